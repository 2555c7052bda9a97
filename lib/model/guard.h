/*
 * Guards: when reads of the new side are taken back without anybody being asked.
 */
#ifndef FV_MODEL_GUARD_H
#define FV_MODEL_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* What was seen of reads since the last look. By side: FLAGVER_SIDE_…. */
struct fv_guard_window {
    uint64_t compared, matched;
    uint64_t reads[2], errors[2];
    uint64_t p99_ns[2];
    int64_t oldest_ms; /* since when the oldest key has waited to be repaired; 0: none does */
};

/* Rates are 0 … 1; a limit of 0 is none. */
struct fv_guard_limits {
    double match_rate; /* the lower bound of the rate of reads that agree is to be above */
    double error_rate; /* so much more often may the new side fail than the old one */
    double p99_ratio;  /* of the new side's to the old side's */
    int64_t oldest_ms;
    uint64_t samples; /* with fewer of them nothing is known */
};

enum fv_guard {
    FV_GUARD_NONE,
    FV_GUARD_MATCH_RATE,
    FV_GUARD_ERROR_RATE,
    FV_GUARD_LATENCY,
    FV_GUARD_OLDEST
};

struct fv_verdict {
    enum fv_guard guard; /* the first one that has tripped */
    double value, limit;
};

struct fv_verdict fv_guard_judge(const struct fv_guard_limits *limits,
                                 const struct fv_guard_window *window);

/* "match_rate" and so on; "" for FV_GUARD_NONE. */
const char *fv_guard_name(enum fv_guard guard);

/* ---- how long calls take: counts in steps of a quarter of a power of two ---- */

#define FV_LATENCY_STEPS 256u

unsigned fv_latency_step(uint64_t ns);

/* The upper end of a step, in ns. */
uint64_t fv_latency_of(unsigned step);

/* The least latency that `share` of the calls did not exceed; 0: there were none. */
uint64_t fv_latency_quantile(const uint64_t counts[FV_LATENCY_STEPS], double share);

#endif
