#include "codec/dataset_profile.h"
#include "engine/dataset.h"
#include "util/fail.h"

static int add_record(void *data, const flagver_dataset_record *record,
                      const struct fv_schema *schema, flagver_error *err)
{
    return fv_profile_add(data, record->key, record->value, record->value_length, schema, err);
}

int fv_dataset_audit(const struct fv_dataset_source *source, const struct fv_field_rule *rules,
                     size_t rule_count,
                     void (*visit)(void *data, const flagver_dataset_field *field), void *data,
                     flagver_dataset_health *ret_health, flagver_error *err)
{
    struct fv_profile *profile = fv_profile_new(rules, rule_count);
    flagver_dataset_health health;
    int r;

    if (!profile)
        return fv_fail_memory(err);
    r = fv_dataset_read(source, add_record, profile, err);
    if (r == 0)
        r = fv_profile_finish(profile, visit, data, &health, err);
    fv_profile_free(profile);
    if (r == 0 && ret_health)
        *ret_health = health;
    return r;
}
