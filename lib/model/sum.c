#include "model/sum.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "model/packed.h"

#define FORM 1 /* first byte of a row's value */
#define NAME_LIMIT 1024

void fv_sum_clear(struct fv_sum *sum, const flagver_allocator *memory)
{
    fv_timings_clear(&sum->timings, memory);
    *sum = (struct fv_sum){ 0 };
}

/* They end up in rows as numbers that are no greater. */
static void count(uint64_t *counter, uint64_t more)
{
    *counter = more > FV_PACKED_MAX - *counter ? FV_PACKED_MAX : *counter + more;
}

/* Very large values stay numbers. */
static void add_value(double *value, double more)
{
    *value += more;
    if (!isfinite(*value))
        *value = *value > 0 ? DBL_MAX : -DBL_MAX;
}

bool fv_sum_add(struct fv_sum *sum, const flagver_allocator *memory, const struct fv_sum_step *step)
{
    if (step->timed && !fv_timings_add(&sum->timings, memory, step->ns))
        return false;
    count(&sum->served, step->served);
    count(&sum->succeeded, step->succeeded);
    count(&sum->failed, step->failed);
    count(&sum->count, step->count);
    add_value(&sum->value, step->value);
    return true;
}

bool fv_sum_merge(struct fv_sum *sum, const flagver_allocator *memory, const struct fv_sum *more)
{
    if (!fv_timings_merge(&sum->timings, memory, &more->timings))
        return false;
    count(&sum->served, more->served);
    count(&sum->succeeded, more->succeeded);
    count(&sum->failed, more->failed);
    count(&sum->count, more->count);
    add_value(&sum->value, more->value);
    return true;
}

double fv_sum_error_rate(const struct fv_sum *sum)
{
    double outcomes = (double)sum->succeeded + (double)sum->failed;

    return outcomes > 0 ? (double)sum->failed / outcomes : 0;
}

/* ---- writing ---- */

static void put(struct fv_text *out, uint64_t number)
{
    uint8_t bytes[FV_PACKED_NUMBER];

    fv_text_add_bytes(out, (const char *)bytes, (size_t)(fv_packed_put(bytes, number) - bytes));
}

static void put_real(struct fv_text *out, double real)
{
    uint8_t bytes[FV_PACKED_TIME];
    int64_t bits;

    memcpy(&bits, &real, sizeof bits);
    fv_packed_put_time(bytes, bits);
    fv_text_add_bytes(out, (const char *)bytes, sizeof bytes);
}

static void put_bytes(struct fv_text *out, flagver_bytes bytes)
{
    put(out, bytes.length);
    if (bytes.length)
        fv_text_add_bytes(out, bytes.data, bytes.length);
}

/* Each step as its distance from the one before. */
static void put_timings(struct fv_text *out, const struct fv_timings *timings)
{
    uint32_t before = 0;
    size_t i;

    put_real(out, timings->total_ns);
    put(out, timings->used);
    for (i = 0; i < timings->used; i++) {
        put(out, timings->steps[i].step - before);
        put(out, timings->steps[i].count);
        before = timings->steps[i].step;
    }
}

void fv_sum_encode(struct fv_text *out, const struct fv_sum_name *name, const struct fv_sum *sum)
{
    put(out, FORM);
    put_bytes(out, name->variant);
    put_bytes(out, name->event);
    put(out, sum->served);
    put(out, sum->succeeded);
    put(out, sum->failed);
    put(out, sum->count);
    put_real(out, sum->value);
    put_timings(out, &sum->timings);
}

/* ---- reading ---- */

static double get_real(struct fv_packed *packed)
{
    int64_t bits = fv_packed_get_time(packed);
    double real;

    memcpy(&real, &bits, sizeof real);
    if (!isfinite(real))
        packed->bad = true;
    return packed->bad ? 0 : real;
}

static flagver_bytes get_bytes(struct fv_packed *packed)
{
    size_t length = (size_t)fv_packed_get(packed, NAME_LIMIT);

    return (flagver_bytes){ fv_packed_get_bytes(packed, length), length };
}

static int get_timings(struct fv_packed *packed, const flagver_allocator *memory,
                       struct fv_timings *timings)
{
    double total = get_real(packed);
    uint64_t used = fv_packed_get(packed, FV_TIMING_STEPS), step = 0, distance, times, i;

    for (i = 0; i < used && !packed->bad; i++) {
        distance = fv_packed_get(packed, FV_TIMING_STEPS - 1 - step);
        times = fv_packed_get(packed, FV_PACKED_MAX - timings->count);
        step += distance;
        if (times == 0 || (distance == 0 && i > 0))
            packed->bad = true;
        if (!packed->bad && !fv_timings_append(timings, memory, (uint32_t)step, times))
            return FLAGVER_ENOMEM;
    }
    timings->total_ns = total;
    if (total < 0)
        packed->bad = true;
    return 0;
}

int fv_sum_decode(const void *data, size_t length, const flagver_allocator *memory,
                  struct fv_sum_name *ret_name, struct fv_sum *ret_sum)
{
    struct fv_packed packed = fv_packed_begin(data, length);
    uint64_t form = fv_packed_get(&packed, FV_PACKED_MAX);
    int r;

    if (packed.bad || form < FORM)
        return FLAGVER_ECORRUPT;
    if (form > FORM)
        return FLAGVER_ESCHEMA;
    ret_name->variant = get_bytes(&packed);
    ret_name->event = get_bytes(&packed);
    ret_sum->served = fv_packed_get(&packed, FV_PACKED_MAX);
    ret_sum->succeeded = fv_packed_get(&packed, FV_PACKED_MAX);
    ret_sum->failed = fv_packed_get(&packed, FV_PACKED_MAX);
    ret_sum->count = fv_packed_get(&packed, FV_PACKED_MAX);
    ret_sum->value = get_real(&packed);
    r = get_timings(&packed, memory, &ret_sum->timings);
    if (r < 0)
        return r;
    return fv_packed_end(&packed) ? 0 : FLAGVER_ECORRUPT;
}
