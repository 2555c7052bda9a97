/*
 * What is counted of a flag's variant, or of an event: how sums grow, are merged, and become bytes.
 */
#ifndef FV_MODEL_SUM_H
#define FV_MODEL_SUM_H

#include "flagver/driver.h"
#include "model/timings.h"
#include "util/text.h"

/* Zero is an empty one. */
struct fv_sum {
    uint64_t served;
    uint64_t succeeded, failed; /* outcomes; */
    struct fv_timings timings;  /* those whose time is known */
    uint64_t count;             /* events, */
    double value;               /* and their values */
};

/* What one call adds. */
struct fv_sum_step {
    uint64_t served, succeeded, failed, count;
    double value;
    bool timed;
    uint64_t ns;
};

void fv_sum_clear(struct fv_sum *sum, const flagver_allocator *memory);

/* False: memory is short, and nothing has changed. */
bool fv_sum_add(struct fv_sum *sum, const flagver_allocator *memory,
                const struct fv_sum_step *step);
bool fv_sum_merge(struct fv_sum *sum, const flagver_allocator *memory, const struct fv_sum *more);

double fv_sum_error_rate(const struct fv_sum *sum); /* 0 to 1; 0: there are no outcomes */

/* ---- as a row's value ---- */

/* What it is the sum of; flag and hour are in the row's key. */
struct fv_sum_name {
    flagver_bytes variant, event; /* of no length: none */
};

void fv_sum_encode(struct fv_text *out, const struct fv_sum_name *name, const struct fv_sum *sum);

/*
 * `ret_sum` is empty before, and to be cleared; the name is in `data`.
 *
 * @return 0, FLAGVER_ECORRUPT, FLAGVER_ESCHEMA (of a later version of the library), FLAGVER_ENOMEM;
 *   not worded
 */
int fv_sum_decode(const void *data, size_t length, const flagver_allocator *memory,
                  struct fv_sum_name *ret_name, struct fv_sum *ret_sum);

#endif
