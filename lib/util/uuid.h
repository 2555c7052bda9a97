/*
 * UUIDs (RFC 9562). Version 7: 48 bits of milliseconds, a 12-bit counter that
 * begins at a random place below its middle in each millisecond (section 6.2,
 * method 1), 62 random bits. They never go backwards, not even with the clock.
 * Pure: time and randomness come in.
 */
#ifndef FV_UTIL_UUID_H
#define FV_UTIL_UUID_H

#include "flagver/driver.h"

struct fv_uuid_state {
    int64_t ms; /* of the last one */
    uint32_t counter;
};

/* The next id; `random` is fresh for each. */
flagver_id fv_uuid_next(struct fv_uuid_state *state, int64_t now_ms, const uint8_t random[10]);

/* The first 16 bytes of a hash, with a version from 1 to 15 and the variant put in. */
flagver_id fv_uuid_of_hash(int version, const uint8_t *hash);

#define FV_UUID_TEXT 37 /* with its NUL */
void fv_uuid_text(const flagver_id *id, char out[FV_UUID_TEXT]);

/* False when the text is no UUID: 8-4-4-4-12 hexadecimal digits in either case. */
bool fv_uuid_parse(const char *text, flagver_id *ret_id);

#endif
