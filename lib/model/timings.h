/*
 * How long many things took, in little memory: counts by steps of a 32nd of a power of two, of
 * which only those are kept that something fell into. A quantile is off by at most 1.6 % of itself.
 */
#ifndef FV_MODEL_TIMINGS_H
#define FV_MODEL_TIMINGS_H

#include "util/memory.h"

struct fv_timing {
    uint32_t step;
    uint64_t count;
};

/* Zero is an empty one. */
struct fv_timings {
    struct fv_timing *steps; /* rising */
    size_t used, capacity;
    uint64_t count;  /* of all */
    double total_ns; /* as they were given, not as steps */
};

/* A step for every length of time that there is. */
#define FV_TIMING_STEPS 1888u

uint32_t fv_timing_step(uint64_t ns);
double fv_timing_middle(uint32_t step); /* in ns */

void fv_timings_clear(struct fv_timings *timings, const flagver_allocator *memory);

/* False: memory is short, and nothing has changed. So it is for all that add something. */
bool fv_timings_add(struct fv_timings *timings, const flagver_allocator *memory, uint64_t ns);
bool fv_timings_merge(struct fv_timings *timings, const flagver_allocator *memory,
                      const struct fv_timings *more);

/* As the next step, behind all that are there; `count` is more than 0. */
bool fv_timings_append(struct fv_timings *timings, const flagver_allocator *memory, uint32_t step,
                       uint64_t count);

/* The quantile of nearest rank in ns, `share` from 0 to 1; 0 of none. */
double fv_timings_quantile(const struct fv_timings *timings, double share);

/* How many took at most so long, but for what is within the error of a step. */
uint64_t fv_timings_within(const struct fv_timings *timings, double ns);

double fv_timings_mean(const struct fv_timings *timings);

#endif
