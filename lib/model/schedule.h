/*
 * A schedule: the share of a rollout as a function of time.
 *
 * Shares are thresholds from 0 to FV_SCALE; whoever has a bucket below the
 * threshold is in, so nobody drops out while it rises.
 */
#ifndef FV_MODEL_SCHEDULE_H
#define FV_MODEL_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All buckets there are: 100 % is 100,000, so percentages have three decimals. */
#define FV_SCALE 100000u

struct fv_schedule_step {
    int64_t at; /* milliseconds since the epoch */
    uint32_t threshold;
};

struct fv_rollout_guards;

struct fv_schedule {
    const struct fv_schedule_step *steps; /* at least one, `at` strictly rising */
    size_t count;
    bool linear; /* between two steps the threshold moves evenly; otherwise it jumps */
    const struct fv_rollout_guards *guards; /* that take it back (model/rollout_guard.h); or NULL */
};

/* How many steps have been reached. */
size_t fv_schedule_reached(const struct fv_schedule *schedule, int64_t now);

/*
 * The threshold at a time: 0 before the first step, the last one's after the
 * last. Between steps of a linear schedule it is rounded down.
 */
uint32_t fv_schedule_threshold(const struct fv_schedule *schedule, int64_t now);

#endif
