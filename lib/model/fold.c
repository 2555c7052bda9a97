#include "model/fold.h"

#include <string.h>

#include "util/hash.h"
#include "util/utf8.h"

#include "model/fold_table.inc"

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (EACH_BYTE * 0x80)

static inline char fold_byte(unsigned char byte)
{
    return (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
}

/*
 * The next eight bytes, folded; false when there are fewer or not all are ASCII.
 *
 * The sums carry into the high bit of a byte that is at least `A`, or beyond
 * `Z`; the two differ for capitals only.
 */
static inline bool fold_eight(const char *at, size_t room, uint64_t *ret_folded)
{
    uint64_t eight, from_a, beyond_z;

    if (room < 8)
        return false;
    eight = fv_load64(at);
    if ((eight & HIGH_BITS) != 0)
        return false;
    from_a = eight + EACH_BYTE * (0x80 - 'A');
    beyond_z = eight + EACH_BYTE * (0x80 - 'Z' - 1);
    *ret_folded = eight | ((from_a ^ beyond_z) & HIGH_BITS) >> 2;
    return true;
}

static inline uint32_t fold(uint32_t code_point)
{
    uint32_t difference;

    if (code_point >= FOLD_END)
        return code_point;
    difference =
        fold_blocks[fold_index[code_point >> FOLD_BITS]][code_point & ((1u << FOLD_BITS) - 1)];
    return (code_point & ~UINT32_C(0xffff)) | ((code_point + difference) & 0xffff);
}

uint32_t fv_fold(uint32_t code_point)
{
    return fold(code_point);
}

size_t fv_fold_entry_count(void)
{
    return FOLD_COUNT;
}

void fv_fold_entry(size_t i, uint32_t *ret_from, uint32_t *ret_to)
{
    *ret_from = fold_from[i];
    *ret_to = fold(fold_from[i]);
}

/* Folds what stands at *at and moves behind it; the number of bytes in `out`. */
static inline size_t fold_next(const char **at, const char *end, char out[4])
{
    unsigned char byte = (unsigned char)**at;

    if (byte < 0x80) {
        (*at)++;
        out[0] = fold_byte(byte);
        return 1;
    }
    return fv_utf8_encode(fold(fv_utf8_next(at, end)), out);
}

/* The same of what ends at *at, backwards. */
static inline size_t fold_previous(const char *begin, const char **at, char out[4])
{
    unsigned char byte = (unsigned char)(*at)[-1];

    if (byte < 0x80) {
        (*at)--;
        out[0] = fold_byte(byte);
        return 1;
    }
    return fv_utf8_encode(fold(fv_utf8_previous(begin, at)), out);
}

/* Of one character: too few bytes for a call. */
static inline bool same(const char *a, const char *b, size_t size)
{
    while (size > 0 && a[size - 1] == b[size - 1])
        size--;
    return size == 0;
}

size_t fv_fold_text(const char *text, size_t length, char *out)
{
    const char *at = text, *end = text + length;
    size_t written = 0;
    char bytes[4];

    while (at < end) {
        size_t size = fold_next(&at, end, bytes);

        if (out)
            memcpy(out + written, bytes, size);
        written += size;
    }
    return written;
}

/* Whether the text starts with `folded`; *ret_rest is what stands behind it then. */
static inline bool skip_folded(const char *text, const char *end, const char *folded,
                               size_t folded_length, const char **ret_rest)
{
    const char *at = text;
    size_t left = folded_length, size;
    uint64_t eight;
    char bytes[4];

    while (left > 0) {
        if (left >= 8 && fold_eight(at, (size_t)(end - at), &eight)) {
            if (eight != fv_load64(folded))
                return false;
            size = 8;
            at += 8;
        } else {
            if (at == end)
                return false;
            size = fold_next(&at, end, bytes);
            if (size > left || !same(bytes, folded, size))
                return false;
        }
        folded += size;
        left -= size;
    }
    *ret_rest = at;
    return true;
}

bool fv_fold_equal(const char *text, size_t length, const char *folded, size_t folded_length)
{
    const char *rest;

    return skip_folded(text, text + length, folded, folded_length, &rest) && rest == text + length;
}

bool fv_fold_starts(const char *text, size_t length, const char *folded, size_t folded_length)
{
    const char *rest;

    return skip_folded(text, text + length, folded, folded_length, &rest);
}

bool fv_fold_ends(const char *text, size_t length, const char *folded, size_t folded_length)
{
    const char *at = text + length;
    size_t left = folded_length, size;
    uint64_t eight;
    char bytes[4];

    while (left > 0) {
        if (left >= 8 && at - text >= 8 && fold_eight(at - 8, 8, &eight)) {
            if (eight != fv_load64(folded + left - 8))
                return false;
            size = 8;
            at -= 8;
        } else {
            if (at == text)
                return false;
            size = fold_previous(text, &at, bytes);
            if (size > left || !same(bytes, folded + left - size, size))
                return false;
        }
        left -= size;
    }
    return true;
}

/*
 * The folded bytes are hashed in pieces of 64, whose borders depend on those
 * bytes alone and not on how many of them were made at once.
 */
uint64_t fv_fold_hash(const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    char piece[64 + 8];
    size_t used = 0;
    uint64_t hash = 0, eight;

    while (at < end) {
        if (fold_eight(at, (size_t)(end - at), &eight)) {
            memcpy(piece + used, &eight, 8);
            used += 8;
            at += 8;
        } else {
            used += fold_next(&at, end, piece + used);
        }
        if (used >= 64) {
            hash = fv_hash_mix(hash ^ fv_hash_long(piece, 64), FV_HASH_A);
            used -= 64;
            memcpy(piece, piece + 64, 8);
        }
    }
    return hash ^ fv_hash(piece, used);
}

/* How much of the operand is matched when `byte` follows `matched` bytes of it. */
static inline uint32_t match_byte(const char *folded, const uint32_t *failure, uint32_t matched,
                                  char byte)
{
    while (matched > 0 && folded[matched] != byte)
        matched = failure[matched - 1];
    return folded[matched] == byte ? matched + 1 : 0;
}

void fv_fold_search_prepare(const char *folded, size_t folded_length, uint32_t *failure)
{
    uint32_t matched = 0;
    size_t i;

    for (i = 0; i < folded_length; i++) {
        /* The longest proper start of folded[0..i] that is an end of it, too. */
        matched = i > 0 ? match_byte(folded, failure, matched, folded[i]) : 0;
        failure[i] = matched;
    }
}

bool fv_fold_contains(const char *text, size_t length, const char *folded, size_t folded_length,
                      const uint32_t *failure)
{
    const char *at = text, *end = text + length;
    uint32_t matched = 0;
    char bytes[4];

    if (folded_length == 0)
        return true;
    while (at < end) {
        size_t size = fold_next(&at, end, bytes), i;

        for (i = 0; i < size; i++) {
            matched = match_byte(folded, failure, matched, bytes[i]);
            if (matched == folded_length)
                return true;
        }
    }
    return false;
}
