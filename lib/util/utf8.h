/*
 * UTF-8, one code point at a time.
 *
 * Well-formed means what Unicode says (The Unicode Standard, table 3-7): no
 * overlong form, no surrogate, nothing above U+10FFFF. Readers never fail: a
 * byte that belongs to no well-formed sequence is read as U+FFFD, alone. A text
 * is thereby cut into the same pieces forwards and backwards.
 */
#ifndef FV_UTIL_UTF8_H
#define FV_UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FV_UTF8_REPLACEMENT 0xFFFDu
#define FV_UTF8_LARGEST 0x10FFFFu

/* The code point at *at, which must be before `end`; *at moves behind it. */
uint32_t fv_utf8_next(const char **at, const char *end);

/*
 * The code point that ends at *at, which must be behind `begin`; *at moves to
 * where it starts. *at must not point into a sequence.
 */
uint32_t fv_utf8_previous(const char *begin, const char **at);

/* The bytes written, 1 to 4; 0, and nothing written, for what is no scalar value. */
size_t fv_utf8_encode(uint32_t code_point, char out[4]);

/* Whether all of the text is well-formed. */
bool fv_utf8_valid(const char *text, size_t length);

#endif
