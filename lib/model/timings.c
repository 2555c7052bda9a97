#include "model/timings.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Below two of these each length has a step of its own. */
#define DIGITS 5
#define PER_POWER (1u << DIGITS)

uint32_t fv_timing_step(uint64_t ns)
{
    uint32_t power = DIGITS;

    if (ns > INT64_MAX)
        ns = INT64_MAX;
    if (ns < PER_POWER)
        return (uint32_t)ns;
    while (ns >> power > 1)
        power++;
    return (power - DIGITS + 1) * PER_POWER + (uint32_t)(ns >> (power - DIGITS) & (PER_POWER - 1));
}

double fv_timing_middle(uint32_t step)
{
    uint32_t shift = step / PER_POWER;
    double width;

    if (shift == 0)
        return step;
    width = ldexp(1, (int)shift - 1);
    return (PER_POWER + step % PER_POWER) * width + (width - 1) / 2;
}

void fv_timings_clear(struct fv_timings *timings, const flagver_allocator *memory)
{
    fv_release(memory, timings->steps);
    *timings = (struct fv_timings){ 0 };
}

/* The first that is not below `step`. */
static size_t place_of(const struct fv_timings *timings, uint32_t step)
{
    size_t low = 0, high = timings->used, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (timings->steps[middle].step < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool insert(struct fv_timings *timings, const flagver_allocator *memory, size_t place,
                   uint32_t step)
{
    struct fv_timing *at;

    if (!fv_grow(memory, (void **)&timings->steps, &timings->capacity, timings->used, sizeof *at))
        return false;
    at = timings->steps + place;
    memmove(at + 1, at, (timings->used - place) * sizeof *at);
    *at = (struct fv_timing){ .step = step };
    timings->used++;
    return true;
}

bool fv_timings_add(struct fv_timings *timings, const flagver_allocator *memory, uint64_t ns)
{
    uint32_t step = fv_timing_step(ns);
    size_t place = place_of(timings, step);
    bool there = place < timings->used && timings->steps[place].step == step;

    if (!there && !insert(timings, memory, place, step))
        return false;
    timings->steps[place].count++;
    timings->count++;
    timings->total_ns += (double)ns;
    return true;
}

bool fv_timings_append(struct fv_timings *timings, const flagver_allocator *memory, uint32_t step,
                       uint64_t count)
{
    if (!insert(timings, memory, timings->used, step))
        return false;
    timings->steps[timings->used - 1].count = count;
    timings->count += count;
    return true;
}

static size_t merge_steps(const struct fv_timings *a, const struct fv_timings *b,
                          struct fv_timing *out)
{
    size_t i = 0, j = 0, used = 0;

    while (i < a->used || j < b->used) {
        if (j == b->used || (i < a->used && a->steps[i].step < b->steps[j].step)) {
            out[used++] = a->steps[i++];
        } else {
            out[used] = b->steps[j++];
            if (i < a->used && a->steps[i].step == out[used].step)
                out[used].count += a->steps[i++].count;
            used++;
        }
    }
    return used;
}

bool fv_timings_merge(struct fv_timings *timings, const flagver_allocator *memory,
                      const struct fv_timings *more)
{
    size_t capacity = timings->used + more->used;
    struct fv_timing *merged;

    /* Nobody counts that far; but a store may say so. */
    if (more->used == 0 || more->count > INT64_MAX - timings->count)
        return true;
    merged = fv_allocate(memory, capacity * sizeof *merged);
    if (!merged)
        return false;
    timings->used = merge_steps(timings, more, merged);
    fv_release(memory, timings->steps);
    timings->steps = merged;
    timings->capacity = capacity;
    timings->count += more->count;
    timings->total_ns = fmin(timings->total_ns + more->total_ns, DBL_MAX);
    return true;
}

double fv_timings_quantile(const struct fv_timings *timings, double share)
{
    double rank = ceil(share * (double)timings->count);
    uint64_t seen = 0;
    size_t i;

    if (timings->used == 0)
        return 0;
    for (i = 0; i + 1 < timings->used; i++) {
        seen += timings->steps[i].count;
        if ((double)seen >= rank)
            break;
    }
    return fv_timing_middle(timings->steps[i].step);
}

uint64_t fv_timings_within(const struct fv_timings *timings, double ns)
{
    uint64_t seen = 0;
    size_t i;

    for (i = 0; i < timings->used && fv_timing_middle(timings->steps[i].step) <= ns; i++)
        seen += timings->steps[i].count;
    return seen;
}

double fv_timings_mean(const struct fv_timings *timings)
{
    return timings->count ? timings->total_ns / (double)timings->count : 0;
}
