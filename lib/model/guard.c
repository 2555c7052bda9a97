#include "model/guard.h"

#include <math.h>

#include "model/gate.h"

/* ---- latencies ---- */

/* Below 4 ns each has a step of its own. */
unsigned fv_latency_step(uint64_t ns)
{
    unsigned power = 2;

    if (ns < 4)
        return (unsigned)ns;
    while (ns >> power > 1)
        power++;
    return (power - 1) * 4 + (unsigned)(ns >> (power - 2) & 3);
}

uint64_t fv_latency_of(unsigned step)
{
    unsigned power = step / 4 + 1;

    if (step < 4)
        return step;
    return ((UINT64_C(5) + step % 4) << (power - 2)) - 1;
}

uint64_t fv_latency_quantile(const uint64_t counts[FV_LATENCY_STEPS], double share)
{
    uint64_t total = 0, seen = 0, rank;

    for (unsigned i = 0; i < FV_LATENCY_STEPS; i++)
        total += counts[i];
    if (total == 0)
        return 0;
    rank = (uint64_t)ceil(share * (double)total);
    for (unsigned i = 0; i < FV_LATENCY_STEPS; i++) {
        seen += counts[i];
        if (seen >= rank && seen > 0)
            return fv_latency_of(i);
    }
    return fv_latency_of(FV_LATENCY_STEPS - 1);
}

/* ---- guards ---- */

static double rate(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

struct fv_verdict fv_guard_judge(const struct fv_guard_limits *limits,
                                 const struct fv_guard_window *window)
{
    double bound = fv_lower_bound(window->matched, window->compared);
    double errors = rate(window->errors[1], window->reads[1]) -
                    rate(window->errors[0], window->reads[0]);
    double ratio = rate(window->p99_ns[1], window->p99_ns[0]);
    bool enough = window->reads[0] >= limits->samples && window->reads[1] >= limits->samples;

    if (limits->match_rate > 0 && window->compared >= limits->samples && bound < limits->match_rate)
        return (struct fv_verdict){ FV_GUARD_MATCH_RATE, bound, limits->match_rate };
    if (limits->error_rate > 0 && window->reads[1] >= limits->samples &&
        errors > limits->error_rate)
        return (struct fv_verdict){ FV_GUARD_ERROR_RATE, errors, limits->error_rate };
    if (limits->p99_ratio > 0 && enough && ratio > limits->p99_ratio)
        return (struct fv_verdict){ FV_GUARD_LATENCY, ratio, limits->p99_ratio };
    if (limits->oldest_ms > 0 && window->oldest_ms > limits->oldest_ms)
        return (struct fv_verdict){ FV_GUARD_OLDEST, (double)window->oldest_ms,
                                    (double)limits->oldest_ms };
    return (struct fv_verdict){ FV_GUARD_NONE, 0, 0 };
}

const char *fv_guard_name(enum fv_guard guard)
{
    static const char *const names[] = { "", "match_rate", "error_rate", "p99_ratio", "oldest_ms" };

    return names[guard];
}
