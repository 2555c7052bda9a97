#include "util/hash.h"

/* Written out, so that the number is the same on every machine; compilers make one load of it. */
static inline uint32_t load_little(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint32_t rotate(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

const char fv_hash_anchor = 0;

uint64_t fv_hash_long(const void *bytes, size_t length)
{
    const unsigned char *at = bytes, *end = at + length;
    uint64_t state = FV_HASH_A + length * FV_HASH_C, other = state;

    /* Two chains, because each multiplication waits for the one before it. */
    while (end - at > 32) {
        state = fv_hash_mix(fv_load64(at) ^ state, fv_load64(at + 8) ^ FV_HASH_B);
        other = fv_hash_mix(fv_load64(at + 16) ^ other, fv_load64(at + 24) ^ FV_HASH_C);
        at += 32;
    }
    state = fv_hash_mix(fv_load64(end - 32) ^ state, fv_load64(end - 24) ^ FV_HASH_B);
    other = fv_hash_mix(fv_load64(end - 16) ^ other, fv_load64(end - 8) ^ FV_HASH_C);
    return fv_hash_mix(state ^ FV_HASH_A, other ^ FV_HASH_B);
}

/*
 * MurmurHash3_x86_32
 */

static inline uint32_t murmur3_scramble(uint32_t word)
{
    return rotate(word * UINT32_C(0xcc9e2d51), 15) * UINT32_C(0x1b873593);
}

static inline uint32_t murmur3_step(uint32_t state, uint32_t word)
{
    return rotate(state ^ murmur3_scramble(word), 13) * 5 + UINT32_C(0xe6546b64);
}

/* The last length % 4 bytes, first byte lowest. */
static inline uint32_t murmur3_tail(const unsigned char *bytes, size_t length)
{
    const unsigned char *at = bytes + (length & ~(size_t)3);

    switch (length & 3) {
    case 3:
        return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
    case 2:
        return (uint32_t)at[0] | (uint32_t)at[1] << 8;
    case 1:
        return at[0];
    default:
        return 0;
    }
}

static inline uint32_t murmur3_end(uint32_t state, uint32_t tail, size_t length)
{
    /* Scrambling an empty tail gives 0, so it needs no branch. */
    state ^= murmur3_scramble(tail);
    state ^= (uint32_t)length;
    state = (state ^ state >> 16) * UINT32_C(0x85ebca6b);
    state = (state ^ state >> 13) * UINT32_C(0xc2b2ae35);
    return state ^ state >> 16;
}

void fv_murmur3_begin(struct fv_murmur3_prefix *prefix, const void *bytes, size_t length,
                      uint32_t seed)
{
    const unsigned char *at = bytes;
    size_t words = length / 4, i;
    uint32_t state = seed;

    for (i = 0; i < words; i++)
        state = murmur3_step(state, load_little(at + i * 4));
    prefix->state = state;
    prefix->tail = length ? murmur3_tail(at, length) : 0;
    prefix->length = length;
}

uint32_t fv_murmur3_finish(const struct fv_murmur3_prefix *prefix, const void *rest, size_t length)
{
    const unsigned char *at = rest;
    size_t words = length / 4, i;
    unsigned held = prefix->length & 3; /* bytes that still wait for their word */
    uint64_t pending = prefix->tail;
    uint32_t state = prefix->state;

    for (i = 0; i < words; i++) {
        pending |= (uint64_t)load_little(at + i * 4) << (held * 8);
        state = murmur3_step(state, (uint32_t)pending);
        pending >>= 32;
    }
    if (length & 3)
        pending |= (uint64_t)murmur3_tail(at, length) << (held * 8);
    if (held + (length & 3) >= 4) {
        state = murmur3_step(state, (uint32_t)pending);
        pending >>= 32;
    }
    return murmur3_end(state, (uint32_t)pending, prefix->length + length);
}

uint32_t fv_murmur3(const void *bytes, size_t length, uint32_t seed)
{
    struct fv_murmur3_prefix prefix;

    fv_murmur3_begin(&prefix, bytes, length, seed);
    return murmur3_end(prefix.state, prefix.tail, length);
}

/*
 * MD5
 */

/*
 * One step. Everything that does not need `b`, which the step before has only
 * just made, is added up first; compilers like to add it last, in the chain
 * that everything waits for.
 */
#if defined(__GNUC__)
#define MD5_KEEP_APART(sum) __asm__("" : "+r"(sum))
#else
#define MD5_KEEP_APART(sum) ((void)0)
#endif

#define MD5_STEP(round, a, b, c, d, word, constant, bits)                           \
    do {                                                                            \
        uint32_t sum_ = (a) + load_little(block + 4 * (word)) + UINT32_C(constant); \
                                                                                    \
        sum_ += MD5_##round##_EARLY(c, d);                                          \
        MD5_KEEP_APART(sum_);                                                       \
        (a) = rotate(sum_ + MD5_##round(b, c, d), bits) + (b);                      \
    } while (0)

#define MD5_FOUR(round, i, ki, j, kj, m, km, n, kn)               \
    do {                                                          \
        MD5_STEP(round, a, b, c, d, i, ki, MD5_##round##_BITS_1); \
        MD5_STEP(round, d, a, b, c, j, kj, MD5_##round##_BITS_2); \
        MD5_STEP(round, c, d, a, b, m, km, MD5_##round##_BITS_3); \
        MD5_STEP(round, b, c, d, a, n, kn, MD5_##round##_BITS_4); \
    } while (0)

/* The four functions of RFC 1321, each as the sum of what can be had without `b` and the rest. */
#define MD5_F_EARLY(c, d) 0
#define MD5_F(b, c, d) ((((c) ^ (d)) & (b)) ^ (d))
#define MD5_G_EARLY(c, d) (~(d) & (c))
#define MD5_G(b, c, d) ((b) & (d))
#define MD5_H_EARLY(c, d) 0
#define MD5_H(b, c, d) ((b) ^ ((c) ^ (d)))
#define MD5_I_EARLY(c, d) 0
#define MD5_I(b, c, d) (((b) | ~(d)) ^ (c))

enum {
    MD5_F_BITS_1 = 7,
    MD5_F_BITS_2 = 12,
    MD5_F_BITS_3 = 17,
    MD5_F_BITS_4 = 22,
    MD5_G_BITS_1 = 5,
    MD5_G_BITS_2 = 9,
    MD5_G_BITS_3 = 14,
    MD5_G_BITS_4 = 20,
    MD5_H_BITS_1 = 4,
    MD5_H_BITS_2 = 11,
    MD5_H_BITS_3 = 16,
    MD5_H_BITS_4 = 23,
    MD5_I_BITS_1 = 6,
    MD5_I_BITS_2 = 10,
    MD5_I_BITS_3 = 15,
    MD5_I_BITS_4 = 21,
};

static void md5_block(uint32_t state[4], const unsigned char *block)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];

    MD5_FOUR(F, 0, 0xd76aa478, 1, 0xe8c7b756, 2, 0x242070db, 3, 0xc1bdceee);
    MD5_FOUR(F, 4, 0xf57c0faf, 5, 0x4787c62a, 6, 0xa8304613, 7, 0xfd469501);
    MD5_FOUR(F, 8, 0x698098d8, 9, 0x8b44f7af, 10, 0xffff5bb1, 11, 0x895cd7be);
    MD5_FOUR(F, 12, 0x6b901122, 13, 0xfd987193, 14, 0xa679438e, 15, 0x49b40821);
    MD5_FOUR(G, 1, 0xf61e2562, 6, 0xc040b340, 11, 0x265e5a51, 0, 0xe9b6c7aa);
    MD5_FOUR(G, 5, 0xd62f105d, 10, 0x02441453, 15, 0xd8a1e681, 4, 0xe7d3fbc8);
    MD5_FOUR(G, 9, 0x21e1cde6, 14, 0xc33707d6, 3, 0xf4d50d87, 8, 0x455a14ed);
    MD5_FOUR(G, 13, 0xa9e3e905, 2, 0xfcefa3f8, 7, 0x676f02d9, 12, 0x8d2a4c8a);
    MD5_FOUR(H, 5, 0xfffa3942, 8, 0x8771f681, 11, 0x6d9d6122, 14, 0xfde5380c);
    MD5_FOUR(H, 1, 0xa4beea44, 4, 0x4bdecfa9, 7, 0xf6bb4b60, 10, 0xbebfbc70);
    MD5_FOUR(H, 13, 0x289b7ec6, 0, 0xeaa127fa, 3, 0xd4ef3085, 6, 0x04881d05);
    MD5_FOUR(H, 9, 0xd9d4d039, 12, 0xe6db99e5, 15, 0x1fa27cf8, 2, 0xc4ac5665);
    MD5_FOUR(I, 0, 0xf4292244, 7, 0x432aff97, 14, 0xab9423a7, 5, 0xfc93a039);
    MD5_FOUR(I, 12, 0x655b59c3, 3, 0x8f0ccc92, 10, 0xffeff47d, 1, 0x85845dd1);
    MD5_FOUR(I, 8, 0x6fa87e4f, 15, 0xfe2ce6e0, 6, 0xa3014314, 13, 0x4e0811a1);
    MD5_FOUR(I, 4, 0xf7537e82, 11, 0xbd3af235, 2, 0x2ad7d2bb, 9, 0xeb86d391);
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void store_little(unsigned char *at, uint32_t word)
{
    at[0] = (unsigned char)word;
    at[1] = (unsigned char)(word >> 8);
    at[2] = (unsigned char)(word >> 16);
    at[3] = (unsigned char)(word >> 24);
}

static void md5(const void *bytes, size_t length, uint32_t state[4])
{
    const unsigned char *at = bytes;
    unsigned char last[128] = { 0 };
    size_t rest = length, blocks;

    state[0] = UINT32_C(0x67452301);
    state[1] = UINT32_C(0xefcdab89);
    state[2] = UINT32_C(0x98badcfe);
    state[3] = UINT32_C(0x10325476);
    for (; rest >= 64; rest -= 64, at += 64)
        md5_block(state, at);

    if (rest)
        memcpy(last, at, rest);
    last[rest] = 0x80;
    blocks = rest < 56 ? 1 : 2;
    store_little(last + blocks * 64 - 8, (uint32_t)(length << 3));
    store_little(last + blocks * 64 - 4, (uint32_t)((uint64_t)length >> 29));
    md5_block(state, last);
    if (blocks == 2)
        md5_block(state, last + 64);
}

void fv_md5(const void *bytes, size_t length, uint8_t digest[16])
{
    uint32_t state[4];
    int i;

    md5(bytes, length, state);
    for (i = 0; i < 4; i++)
        store_little(digest + i * 4, state[i]);
}

/* The bytes of the digest start with the lowest of the first word. */
static uint64_t swap_bytes(uint32_t word)
{
    word = word >> 16 | word << 16;
    return (word >> 8 & UINT32_C(0x00ff00ff)) | (word & UINT32_C(0x00ff00ff)) << 8;
}

uint32_t fv_md5_mod100(const void *bytes, size_t length)
{
    uint32_t state[4];
    uint64_t sum;

    md5(bytes, length, state);
    /* 2^32, 2^64 and 2^96 leave 96, 16 and 36. */
    sum = swap_bytes(state[0]) * 36 + swap_bytes(state[1]) * 16 + swap_bytes(state[2]) * 96 +
          swap_bytes(state[3]);
    return (uint32_t)(sum % 100);
}
