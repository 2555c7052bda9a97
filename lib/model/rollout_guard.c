#include "model/rollout_guard.h"

#include "model/gate.h"

/* ---- what was seen ---- */

static struct fv_rollout_verdict tripped(enum fv_rollout_guard guard, double value, double limit,
                                         uint64_t samples)
{
    return (struct fv_rollout_verdict){ guard, value, limit, samples };
}

struct fv_rollout_verdict fv_rollout_judge(const struct fv_rollout_guards *guards,
                                           const struct fv_rollout_seen *seen)
{
    bool timed = seen->timed[1] >= guards->samples;
    double ratio = seen->p95_ms[0] > 0 ? seen->p95_ms[1] / seen->p95_ms[0] : 0;

    if (guards->error_rate > 0 && seen->outcomes >= guards->samples &&
        fv_lower_bound(seen->failed, seen->outcomes) * 100 > guards->error_rate)
        return tripped(FV_ROLLOUT_ERROR_RATE, 100.0 * (double)seen->failed / (double)seen->outcomes,
                       guards->error_rate, seen->outcomes);
    if (guards->p95_ms > 0 && timed && seen->p95_ms[1] > guards->p95_ms)
        return tripped(FV_ROLLOUT_P95, seen->p95_ms[1], guards->p95_ms, seen->timed[1]);
    if (guards->p95_ratio > 0 && timed && seen->timed[0] >= guards->samples &&
        ratio > guards->p95_ratio)
        return tripped(FV_ROLLOUT_P95_RATIO, ratio, guards->p95_ratio, seen->timed[1]);
    return tripped(FV_ROLLOUT_GOOD, 0, 0, 0);
}

const char *fv_rollout_guard_name(enum fv_rollout_guard guard)
{
    static const char *const names[] = { "", "error_rate", "p95_ms", "p95_ratio" };

    return names[guard];
}

/* ---- where it stands ---- */

struct fv_rollout_reach fv_rollout_reached(const struct fv_schedule *schedule, int64_t now)
{
    struct fv_rollout_reach reach = { .step = fv_schedule_reached(schedule, now) };
    size_t before = reach.step;

    if (reach.step == 0)
        return reach;
    reach.since = schedule->steps[reach.step - 1].at;
    reach.share = fv_schedule_threshold(schedule, now);
    /* The step itself is the last good one where a linear schedule has moved on from it. */
    while (before > 0 && schedule->steps[before - 1].threshold >= reach.share)
        before--;
    if (before > 0)
        reach.good = schedule->steps[before - 1].threshold;
    return reach;
}
