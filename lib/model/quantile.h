/*
 * Quantiles of any number of numbers, in bounded memory.
 *
 * Different values are counted one by one as long as there are few. When they become too many,
 * all are rounded to fewer binary digits, again and again as need be: quantiles are then
 * off by a known share of themselves, and never by more.
 */
#ifndef FV_MODEL_QUANTILE_H
#define FV_MODEL_QUANTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FV_QUANTILE_LIMIT 2048u

struct fv_quantile_count {
    double value;
    uint64_t count;
};

/* Zero is an empty one. */
struct fv_quantiles {
    struct fv_quantile_count *counts; /* by value */
    size_t used, room;
    uint64_t total;
    int dropped; /* binary digits of the fraction, of 52 */
};

void fv_quantiles_clear(struct fv_quantiles *quantiles);

/* `value` is finite. False: memory is short, and nothing has changed. */
bool fv_quantiles_add(struct fv_quantiles *quantiles, double value);

/* The value of nearest rank, `share` from 0 to 1; 0 of none. */
double fv_quantiles_get(const struct fv_quantiles *quantiles, double share);

/* By what share of itself a quantile may be off; 0: it is exact. */
double fv_quantiles_rounding(const struct fv_quantiles *quantiles);

#endif
