/*
 * What stands in the fields of many values. Memory is bounded by the number of fields, of which
 * there are at most FLAGVER_DATASET_FIELD_LIMIT.
 */
#ifndef FV_CODEC_DATASET_PROFILE_H
#define FV_CODEC_DATASET_PROFILE_H

#include "flagver/dataset.h"
#include "model/field.h"
#include "util/text.h"

struct fv_profile;
struct fv_schema;

/*
 * @param rules   borrowed; a field that one names without "*" is known from the beginning
 * @return NULL: memory is short
 */
struct fv_profile *fv_profile_new(const struct fv_field_rule *rules, size_t rule_count);
void fv_profile_free(struct fv_profile *profile); /* NULL is fine */

/*
 * Look over the value of one record. `key` names it in the words for a misfit.
 *
 * @param schema  that the value is held against; NULL: none
 * @return 0, FLAGVER_EPARSE (the profile is as before), FLAGVER_ENOMEM (it can only be freed)
 */
int fv_profile_add(struct fv_profile *profile, const char *key, const char *value, size_t length,
                   const struct fv_schema *schema, flagver_error *err);

/* Visit the fields and sum them up. `visit` may be NULL. FLAGVER_ENOMEM. */
int fv_profile_finish(struct fv_profile *profile,
                      void (*visit)(void *data, const flagver_dataset_field *field), void *data,
                      flagver_dataset_health *ret_health, flagver_error *err);

#endif
