/*
 * Random numbers for property tests: the same for the same seed everywhere. The
 * environment variable TEST_SEED sets it; a test that fails has said it.
 */
#ifndef FLAGVER_TESTS_SEED_H
#define FLAGVER_TESTS_SEED_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct seed {
    uint64_t state;
};

/* `number` tells apart the tests and rows of one seed. */
static inline struct seed seed_new(uint64_t number)
{
    const char *text = getenv("TEST_SEED");
    uint64_t value = text ? strtoull(text, NULL, 0) : UINT64_C(20260101);

    printf("TEST_SEED=%" PRIu64 "\n", value);
    return (struct seed){ value * UINT64_C(0x9e3779b97f4a7c15) + number + 1 };
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t seed_next(struct seed *seed)
{
    uint64_t z = seed->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 … below - 1 */
static inline uint32_t seed_below(struct seed *seed, uint32_t below)
{
    return (uint32_t)((seed_next(seed) >> 32) * below >> 32);
}

/* Check tells its runner of every assertion: one that holds must cost nothing in a long loop. */
#define must(condition, ...)           \
    do {                               \
        if (!(condition))              \
            ck_abort_msg(__VA_ARGS__); \
    } while (0)

#endif
