/*
 * Reading bytes back that were written by this library, for this machine: numbers are as the
 * processor has them.
 *
 *     struct fv_input input = { bytes, bytes + length, false };
 *
 *     fv_input_take(&input, &count, sizeof count);
 *     name = fv_input_text(&input, &name_length);
 *     if (input.failed)
 *         return FLAGVER_EPARSE;
 *
 * Readers need no checks: what is missing reads as nothing, and `failed` tells
 * at the end. What was read is only bytes of the right number: what they mean is the
 * caller's to check.
 */
#ifndef FV_UTIL_INPUT_H
#define FV_UTIL_INPUT_H

#include "util/text.h"

struct fv_input {
    const char *next, *end;
    bool failed;
};

/* The next bytes, where they are; NULL when there are not so many. */
const char *fv_input_bytes(struct fv_input *input, size_t length);

/* The next bytes, copied; zeros when there are not so many. */
void fv_input_take(struct fv_input *input, void *out, size_t length);

/* The text that fv_text_add_sized() wrote, where it is; "" after a failure. */
const char *fv_input_text(struct fv_input *input, size_t *ret_length);

/* Append a text with its length in front and a NUL behind it. */
void fv_text_add_sized(struct fv_text *out, const char *text, size_t length);

#endif
