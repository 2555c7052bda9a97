#include "model/quantile.h"

#include <math.h>
#include <string.h>

#include "util/memory.h"

/* Of a double: its fraction, and all but the sign. */
#define FRACTION_DIGITS 52
#define ALL_DIGITS 63
#define FIRST_ROOM 16u

void fv_quantiles_clear(struct fv_quantiles *quantiles)
{
    fv_release(NULL, quantiles->counts);
    *quantiles = (struct fv_quantiles){ 0 };
}

/* Towards zero, which keeps the order. Minus zero is zero. */
static double rounded(double value, int dropped)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    bits &= UINT64_MAX << dropped;
    memcpy(&value, &bits, sizeof value);
    return value + 0.0;
}

static size_t place_of(const struct fv_quantiles *quantiles, double value)
{
    size_t low = 0, high = quantiles->used, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (quantiles->counts[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct fv_quantiles *quantiles, size_t place, double value)
{
    return place < quantiles->used && !(quantiles->counts[place].value > value);
}

/* Digit by digit, until half of the room is free. Numbers of very many magnitudes lose digits of
 * their exponents, too. */
static void coarsen(struct fv_quantiles *quantiles)
{
    struct fv_quantile_count *counts = quantiles->counts;
    size_t from, to;

    while (quantiles->used > FV_QUANTILE_LIMIT / 2 && quantiles->dropped < ALL_DIGITS) {
        quantiles->dropped++;
        for (from = 0, to = 0; from < quantiles->used; from++) {
            counts[from].value = rounded(counts[from].value, quantiles->dropped);
            if (to > 0 && !(counts[to - 1].value < counts[from].value))
                counts[to - 1].count += counts[from].count;
            else
                counts[to++] = counts[from];
        }
        quantiles->used = to;
    }
}

static bool grow(struct fv_quantiles *quantiles)
{
    size_t room = quantiles->room ? quantiles->room * 2 : FIRST_ROOM;
    struct fv_quantile_count *moved;

    if (quantiles->used < quantiles->room)
        return true;
    moved = fv_reallocate(NULL, quantiles->counts, room * sizeof *moved);
    if (!moved)
        return false;
    quantiles->counts = moved;
    quantiles->room = room;
    return true;
}

bool fv_quantiles_add(struct fv_quantiles *quantiles, double value)
{
    struct fv_quantile_count *counts;
    double kept = rounded(value, quantiles->dropped);
    size_t place = place_of(quantiles, kept);

    if (!is_at(quantiles, place, kept)) {
        if (quantiles->used == FV_QUANTILE_LIMIT) {
            coarsen(quantiles);
            return fv_quantiles_add(quantiles, value);
        }
        if (!grow(quantiles))
            return false;
        counts = quantiles->counts;
        memmove(counts + place + 1, counts + place, (quantiles->used - place) * sizeof *counts);
        counts[place] = (struct fv_quantile_count){ .value = kept };
        quantiles->used++;
    }
    quantiles->counts[place].count++;
    quantiles->total++;
    return true;
}

/* The middle of what was rounded to this. */
static double shown(const struct fv_quantiles *quantiles, double value)
{
    uint64_t bits;

    if (!quantiles->dropped || quantiles->dropped > FRACTION_DIGITS)
        return value;
    memcpy(&bits, &value, sizeof bits);
    bits |= UINT64_C(1) << (quantiles->dropped - 1);
    memcpy(&value, &bits, sizeof value);
    return value;
}

double fv_quantiles_get(const struct fv_quantiles *quantiles, double share)
{
    double rank = ceil(share * (double)quantiles->total);
    uint64_t before = 0;
    size_t i;

    if (!quantiles->used)
        return 0;
    for (i = 0; i + 1 < quantiles->used; i++) {
        before += quantiles->counts[i].count;
        if ((double)before >= rank)
            break;
    }
    return shown(quantiles, quantiles->counts[i].value);
}

double fv_quantiles_rounding(const struct fv_quantiles *quantiles)
{
    int dropped = quantiles->dropped;

    if (dropped > FRACTION_DIGITS)
        return ldexp(1, 1 << (dropped - FRACTION_DIGITS)) - 1;
    return dropped ? ldexp(1, dropped - FRACTION_DIGITS - 1) : 0;
}
