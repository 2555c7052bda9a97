/*
 * Guards of a schedule: when a rollout is taken back without anybody being asked, and how far.
 */
#ifndef FV_MODEL_ROLLOUT_GUARD_H
#define FV_MODEL_ROLLOUT_GUARD_H

#include "model/schedule.h"

/* As a definition says them; a limit of 0 is none. */
struct fv_rollout_guards {
    double error_rate; /* percent of the true variant's outcomes that may fail */
    double p95_ms;     /* of the true variant */
    double p95_ratio;  /* of the true variant's p95 to the other one's */
    uint64_t samples;  /* with fewer of them nothing is known */
    bool to_zero;      /* back to nobody, and not to the last good step */
};

/* What was tracked of a step. By variant: [0] the other one, [1] the true one. */
struct fv_rollout_seen {
    uint64_t outcomes, failed; /* of the true one */
    uint64_t timed[2];         /* outcomes of which it is known how long they took */
    double p95_ms[2];
};

enum fv_rollout_guard {
    FV_ROLLOUT_GOOD,
    FV_ROLLOUT_ERROR_RATE,
    FV_ROLLOUT_P95,
    FV_ROLLOUT_P95_RATIO
};

struct fv_rollout_verdict {
    enum fv_rollout_guard guard; /* the first one that has tripped */
    double value, limit;         /* percent, ms, or a ratio */
    uint64_t samples;            /* of the true variant, that it was seen in */
};

/*
 * The error rate has tripped when the true rate is above the limit with 97.5 % probability, by what was
 * seen (fv_lower_bound() in model/gate.h); quantiles, when they are. A ratio is known
 * when both variants have enough samples.
 */
struct fv_rollout_verdict fv_rollout_judge(const struct fv_rollout_guards *guards,
                                           const struct fv_rollout_seen *seen);

/* "error_rate" and so on; "" for FV_ROLLOUT_GOOD. Static. */
const char *fv_rollout_guard_name(enum fv_rollout_guard guard);

/* Where a schedule stands. Shares are thresholds, as in a schedule. */
struct fv_rollout_reach {
    size_t step;    /* the last one that was reached, from 1 on; 0: none yet */
    int64_t since;  /* when that was */
    uint32_t share; /* by now */
    uint32_t good; /* of the last step that was reached before with a lower one; 0: there is none */
};

struct fv_rollout_reach fv_rollout_reached(const struct fv_schedule *schedule, int64_t now);

#endif
