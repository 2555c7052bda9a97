/*
 * Small rows as few bytes: whole numbers of 7 bits a byte, least significant first, a high bit
 * on all but the last; times and ids in full. Every row has one encoding.
 *
 * As with texts, readers need no checks until the end: what is missing or out of range is
 * remembered in `bad`, and what is read then is 0.
 */
#ifndef FV_MODEL_PACKED_H
#define FV_MODEL_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flagver/driver.h"

/* Numbers stay below this, so that one more is always a number too. */
#define FV_PACKED_MAX ((uint64_t)INT64_MAX)
#define FV_PACKED_NUMBER 9 /* bytes, at most */
#define FV_PACKED_TIME 8
#define FV_PACKED_ID 16

/* They write at `out` and return where the next one goes. */
uint8_t *fv_packed_put(uint8_t *out, uint64_t number);
uint8_t *fv_packed_put_time(uint8_t *out, int64_t time);
uint8_t *fv_packed_put_id(uint8_t *out, const flagver_id *id);

struct fv_packed {
    const uint8_t *next, *end;
    bool bad;
};

struct fv_packed fv_packed_begin(const void *data, size_t length);

/* A number up to `max`. */
uint64_t fv_packed_get(struct fv_packed *packed, uint64_t max);
int64_t fv_packed_get_time(struct fv_packed *packed);
flagver_id fv_packed_get_id(struct fv_packed *packed);
const void *fv_packed_get_bytes(struct fv_packed *packed, size_t length); /* in what is read */

/* Was everything well-formed, and nothing left? */
bool fv_packed_end(const struct fv_packed *packed);

#endif
