/*
 * Evaluating, case by case.
 */
#ifndef BENCH_EVALUATION_H
#define BENCH_EVALUATION_H

#include "bench.h"
#include "counting.h"
#include "fixture.h"

/* What the library's evaluations asked the system for. */
struct tally {
    int64_t evaluations, allocations, locks;
};

void tally_add(struct tally *tally, const struct counts *counts, int64_t evaluations);

/* W6: all flags for one user. */
void walk_flags(const struct bench_options *options, const struct users *users,
                struct tally *tally);

#endif
