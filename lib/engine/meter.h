/*
 * What a route has seen of its sides: how long calls took, how many failed, how many reads agreed.
 * Counted without locks, by whoever calls, but for what gates want to know of reads that were compared;
 * looked at by whoever takes steps.
 */
#ifndef FV_ENGINE_METER_H
#define FV_ENGINE_METER_H

#include <pthread.h>
#include <stdatomic.h>

#include "flagver/route.h"
#include "model/guard.h"

/* Reads that were compared, of one version of the migration's record: the last one. */
struct fv_shown {
    uint64_t version, compared, matched;
};

struct fv_meter {
    atomic_uint_fast64_t latencies[2][FV_LATENCY_STEPS]; /* of reads, by side */
    atomic_uint_fast64_t errors[2];                      /* of reads */
    atomic_uint_fast64_t writes[2], write_errors[2];
    atomic_uint_fast64_t compared, matched;
    pthread_mutex_t lock;  /* over the next */
    struct fv_shown shown; /* and not noted yet */
};

/* What the meter said at one moment. */
struct fv_reading_off {
    uint64_t latencies[2][FV_LATENCY_STEPS];
    uint64_t errors[2];
    uint64_t compared, matched;
};

void fv_meter_init(struct fv_meter *meter);
void fv_meter_clear(struct fv_meter *meter);

/* `version`: by which the operation was routed. */
void fv_meter_count(struct fv_meter *meter, int operation, uint64_t version,
                    const flagver_route_result *result);

/* Takes what was shown; gives it back, when it could not be noted. */
struct fv_shown fv_meter_take(struct fv_meter *meter);
void fv_meter_give_back(struct fv_meter *meter, const struct fv_shown *shown);

void fv_meter_read(struct fv_meter *meter, struct fv_reading_off *ret_now);

/* What was counted between two moments. */
void fv_meter_window(const struct fv_reading_off *before, const struct fv_reading_off *now,
                     struct fv_guard_window *ret_window);

#endif
