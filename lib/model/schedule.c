#include "model/schedule.h"

/* floor(factor * part / whole) for part < whole, whatever the product's size. */
static uint64_t scale_down(uint64_t factor, uint64_t part, uint64_t whole, bool *ret_exact)
{
    uint64_t quotient = 0, rest = 0;
    int bit;

    if (part <= UINT64_MAX / (FV_SCALE + 1)) {
        *ret_exact = factor * part % whole == 0;
        return factor * part / whole;
    }
    /* Steps more than 5,000 years apart: long division, a bit of the factor at a time. */
    for (bit = 17; bit >= 0; bit--) {
        rest = rest * 2 + (factor >> bit & 1 ? part : 0);
        quotient = quotient * 2 + rest / whole;
        rest %= whole;
    }
    *ret_exact = rest == 0;
    return quotient;
}

static uint32_t between(const struct fv_schedule_step *from, const struct fv_schedule_step *to,
                        int64_t now)
{
    uint64_t elapsed = (uint64_t)now - (uint64_t)from->at;
    uint64_t whole = (uint64_t)to->at - (uint64_t)from->at;
    uint64_t moved;
    bool exact;

    if (to->threshold >= from->threshold) {
        moved = scale_down(to->threshold - from->threshold, elapsed, whole, &exact);
        return from->threshold + (uint32_t)moved;
    }
    /* Falling: rounding the threshold down rounds the way it has moved up. */
    moved = scale_down(from->threshold - to->threshold, elapsed, whole, &exact);
    return from->threshold - (uint32_t)moved - !exact;
}

size_t fv_schedule_reached(const struct fv_schedule *schedule, int64_t now)
{
    size_t low = 0, high = schedule->count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (schedule->steps[middle].at <= now)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t fv_schedule_threshold(const struct fv_schedule *schedule, int64_t now)
{
    const struct fv_schedule_step *steps = schedule->steps;
    size_t reached = fv_schedule_reached(schedule, now);

    if (reached == 0)
        return 0;
    if (!schedule->linear || reached == schedule->count)
        return steps[reached - 1].threshold;
    return between(&steps[reached - 1], &steps[reached], now);
}
