/*
 * Base64 (RFC 4648), strictly: with its padding, without white space, and without
 * bits that nobody reads. So a text stands for bytes in one way only.
 */
#ifndef FV_UTIL_BASE64_H
#define FV_UTIL_BASE64_H

#include <stdint.h>

#include "util/text.h"

enum fv_base64 {
    FV_BASE64,    /* with + and / */
    FV_BASE64_URL /* with - and _ */
};

/* Room for the bytes of a text, at most. */
#define FV_BASE64_ROOM(length) ((length) / 4 * 3)

/* False when the text is not base64; `out` (FV_BASE64_ROOM) may have been written to. */
bool fv_base64_decode(enum fv_base64 kind, const char *text, size_t length, uint8_t *out,
                      size_t *ret_length);

/* Appends. */
void fv_base64_encode(enum fv_base64 kind, const void *data, size_t length, struct fv_text *out);

#endif
