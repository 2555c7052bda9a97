/*
 * What is different between two values, and how bad that is.
 */
#ifndef FV_CODEC_DATASET_COMPARE_H
#define FV_CODEC_DATASET_COMPARE_H

#include "flagver/base.h"
#include "model/field.h"
#include "util/text.h"

struct fv_dataset_judge {
    const struct fv_field_rule *rules;
    size_t rule_count;
    struct fv_tolerance tolerance; /* of numbers that no rule is about */
    bool strict;                   /* there are no warnings */
};

/* JSON; NULL: it is not there. */
struct fv_dataset_difference {
    int finding; /* FLAGVER_FINDING_… */
    const char *pointer, *before, *after;
};

/*
 * Tells `visit` of each difference: members in the order of the first value, then those that only the
 * second one has. What rules allow is none.
 *
 * @return 0; 1 when `visit` returned false; FLAGVER_EPARSE when the first text is malformed, or
 *   (*ret_second) the other one; FLAGVER_ENOMEM
 */
int fv_dataset_compare_values(const struct fv_dataset_judge *judge, const char *before,
                              size_t before_length, const char *after, size_t after_length,
                              bool (*visit)(void *data,
                                            const struct fv_dataset_difference *difference),
                              void *data, bool *ret_second, flagver_error *err);

#endif
