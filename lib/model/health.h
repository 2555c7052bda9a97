/*
 * How well the values of a field, and of a whole data set, are: scores from 0 to 100.
 */
#ifndef FV_MODEL_HEALTH_H
#define FV_MODEL_HEALTH_H

#include <stdint.h>

/* From here on a data set is fit, and below this it should not be built upon. */
#define FV_HEALTH_FIT 95u
#define FV_HEALTH_UNFIT 80u

struct fv_field_health {
    uint64_t count, missing;
    uint64_t invalid, odd; /* each costs its place */
    uint64_t nulls, empty; /* each costs half of it, as what is missing does */
};

/* 100 * (1 - bad / places), rounded down; 100 where there are no places. */
uint32_t fv_health_of_field(const struct fv_field_health *field);

/* The mean of the fields' scores times the share of records that fit; 0 without records. */
uint32_t fv_health_of_all(uint64_t score_sum, uint64_t fields, uint64_t records, uint64_t misfits);

#endif
