/*
 * Hashes: a fast one for tables inside a process, and the two small ones that
 * flags are bucketed by. None of them withstands somebody who looks for
 * collisions on purpose; nothing here protects anything.
 *
 * Threads: any; nothing is shared.
 */
#ifndef FV_UTIL_HASH_H
#define FV_UTIL_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Fractional bits of the golden ratio and of the roots of 3 and 5. */
#define FV_HASH_A UINT64_C(0x9e3779b97f4a7c15)
#define FV_HASH_B UINT64_C(0xbb67ae8584caa73b)
#define FV_HASH_C UINT64_C(0x3c6ef372fe94f82b)

static inline uint64_t fv_load64(const void *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint32_t fv_load32(const void *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/*
 * Both halves of the 128-bit product, folded into one another, without a 128-bit
 * type. A factor of 0 would make the other one vanish: both are folded in, too.
 */
static inline uint64_t fv_hash_mix_portable(uint64_t a, uint64_t b)
{
    uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
    uint64_t cross = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
    uint64_t other = (a & UINT32_MAX) * (b >> 32) + (cross & UINT32_MAX);
    uint64_t high = (a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32);

    return high ^ (other << 32 | (low & UINT32_MAX)) ^ a ^ b;
}

static inline uint64_t fv_hash_mix(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ a ^ b;
#else
    return fv_hash_mix_portable(a, b);
#endif
}

/*
 * Where this is in memory is different in every process, mostly: nobody can
 * prepare keys that all get one hash.
 */
#if defined(__GNUC__)
__attribute__((visibility("hidden")))
#endif
extern const char fv_hash_anchor;

/* fv_hash() of more than 32 bytes. */
uint64_t fv_hash_long(const void *bytes, size_t length);

/*
 * For tables inside one process: the value differs between processes and is
 * never stored. All 64 bits are usable. `bytes` may be NULL
 * when length is 0.
 *
 * A wide multiplication mixes 16 bytes at once, as in Wang Yi's wyhash; the
 * two loads of a short key overlap, so that no byte is read one by one.
 */
static inline uint64_t fv_hash(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    /* The loads of keys of different lengths may agree: "aaaa" and "aaaaa". */
    uint64_t state = FV_HASH_A + length * FV_HASH_C + (uintptr_t)&fv_hash_anchor;
    uint64_t a = 0, b = 0;

    if (length > 32)
        return fv_hash_long(bytes, length);
    if (length > 16)
        state = fv_hash_mix(fv_load64(at) ^ state, fv_load64(at + 8) ^ FV_HASH_B);
    if (length >= 8) {
        if (length > 16)
            at += length - 16;
        a = fv_load64(at);
        b = fv_load64(at + (length > 16 ? 8 : length - 8));
    } else if (length >= 4) {
        a = fv_load32(at);
        b = fv_load32(at + length - 4);
    } else if (length > 0) {
        a = (uint64_t)at[0] << 16 | (uint64_t)at[length >> 1] << 8 | at[length - 1];
    }
    return fv_hash_mix(a ^ state, b ^ FV_HASH_B);
}

/* The same bytes. Neither pointer is looked at when length is 0. */
static inline bool fv_equal(const void *a, const void *b, size_t length)
{
    const unsigned char *x = a, *y = b;

    if (length > 32)
        return memcmp(a, b, length) == 0;
    if (length > 16) {
        if (((fv_load64(x) ^ fv_load64(y)) | (fv_load64(x + 8) ^ fv_load64(y + 8))) != 0)
            return false;
        x += length - 16;
        y += length - 16;
        return ((fv_load64(x) ^ fv_load64(y)) | (fv_load64(x + 8) ^ fv_load64(y + 8))) == 0;
    }
    if (length >= 8) {
        return ((fv_load64(x) ^ fv_load64(y)) |
                (fv_load64(x + length - 8) ^ fv_load64(y + length - 8))) == 0;
    }
    if (length >= 4) {
        return ((fv_load32(x) ^ fv_load32(y)) |
                (fv_load32(x + length - 4) ^ fv_load32(y + length - 4))) == 0;
    }
    if (length == 0)
        return true;
    return x[0] == y[0] && x[length >> 1] == y[length >> 1] && x[length - 1] == y[length - 1];
}

/*
 * MurmurHash3_x86_32 by Austin Appleby (public domain): the same number on
 * every machine. Like the original it counts the length modulo 2^32.
 */
uint32_t fv_murmur3(const void *bytes, size_t length, uint32_t seed);

/*
 * The same of a prefix and something behind it, where the prefix is worked
 * through once:
 *
 *     fv_murmur3_begin(&salt, "checkout:", 9, 0);
 *     hash = fv_murmur3_finish(&salt, "alice", 5);
 *
 * One prefix serves any number of finishes, on any thread; it keeps no
 * pointer to the bytes it was made from.
 */
struct fv_murmur3_prefix {
    uint32_t state; /* after the whole words of the prefix */
    uint32_t tail;  /* the length % 4 bytes behind them, first byte lowest */
    size_t length;
};

void fv_murmur3_begin(struct fv_murmur3_prefix *prefix, const void *bytes, size_t length,
                      uint32_t seed);
uint32_t fv_murmur3_finish(const struct fv_murmur3_prefix *prefix, const void *rest, size_t length);

/* MD5 (RFC 1321), for bucketing only. */
void fv_md5(const void *bytes, size_t length, uint8_t digest[16]);

/* The digest, read as one big-endian number of 128 bits, modulo 100. */
uint32_t fv_md5_mod100(const void *bytes, size_t length);

#endif
