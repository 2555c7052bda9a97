#include "codec/dataset_compare.h"

#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/position.h"
#include "util/fail.h"

struct comparing {
    const struct fv_dataset_judge *judge;
    struct fv_text pointer; /* where we are */
    struct fv_text before, after;
    bool (*visit)(void *data, const struct fv_dataset_difference *difference);
    void *data;
    flagver_error *err;
};

/* ---- where we are ---- */

static void leave(struct comparing *comparing, size_t length)
{
    if (comparing->pointer.length == length)
        return;
    comparing->pointer.length = length;
    comparing->pointer.data[length] = 0;
}

static const struct fv_field_rule *rule_here(const struct comparing *comparing)
{
    return fv_field_find(comparing->judge->rules, comparing->judge->rule_count,
                         comparing->pointer.data, true);
}

/* ---- telling ---- */

static bool has_number(const json_t *value)
{
    const char *key;
    json_t *part;
    size_t i;

    json_array_foreach(value, i, part) if (has_number(part)) return true;
    json_object_foreach((json_t *)value, key, part) if (has_number(part)) return true;
    return json_is_number(value);
}

static int write_side(struct fv_text *out, const json_t *value, const char **ret_text,
                      flagver_error *err)
{
    fv_text_reset(out);
    *ret_text = NULL;
    if (!value)
        return 0;
    if (fv_canonical_write(out, value, err) < 0)
        return fv_fail_memory(err);
    *ret_text = out->data;
    return 0;
}

/* One of the two may be NULL. */
static int tell(struct comparing *comparing, const json_t *before, const json_t *after)
{
    const struct fv_field_rule *rule = rule_here(comparing);
    struct fv_dataset_difference difference = { .finding = FLAGVER_FINDING_WARNING,
                                                .pointer = comparing->pointer.data };
    int r;

    if (rule && rule->ignore)
        return 0;
    if (comparing->judge->strict || (rule && rule->exact) || has_number(before) ||
        has_number(after))
        difference.finding = FLAGVER_FINDING_ERROR;
    if (comparing->pointer.failed)
        return fv_fail_memory(comparing->err);
    r = write_side(&comparing->before, before, &difference.before, comparing->err);
    if (r == 0)
        r = write_side(&comparing->after, after, &difference.after, comparing->err);
    if (r < 0)
        return r;
    return comparing->visit(comparing->data, &difference) ? 0 : 1;
}

/* ---- comparing ---- */

static int compare(struct comparing *comparing, const json_t *before, const json_t *after);

static int compare_member(struct comparing *comparing, const char *key, const json_t *before,
                          const json_t *after)
{
    size_t length = comparing->pointer.length;
    int r;

    fv_pointer_add(&comparing->pointer, key, strlen(key));
    r = compare(comparing, before, after);
    leave(comparing, length);
    return r;
}

static int compare_objects(struct comparing *comparing, json_t *before, json_t *after)
{
    const char *key;
    json_t *value;
    int r = 0;

    json_object_foreach(before, key, value)
    {
        r = compare_member(comparing, key, value, json_object_get(after, key));
        if (r)
            return r;
    }
    json_object_foreach(after, key, value)
    {
        if (json_object_get(before, key))
            continue;
        r = compare_member(comparing, key, NULL, value);
        if (r)
            return r;
    }
    return 0;
}

static int compare_arrays(struct comparing *comparing, const json_t *before, const json_t *after)
{
    size_t length = comparing->pointer.length, count = json_array_size(before), i;
    int r = 0;

    if (count < json_array_size(after))
        count = json_array_size(after);
    for (i = 0; r == 0 && i < count; i++) {
        fv_pointer_add_index(&comparing->pointer, i);
        r = compare(comparing, json_array_get(before, i), json_array_get(after, i));
        leave(comparing, length);
    }
    return r;
}

static struct fv_number number_of(const json_t *value)
{
    if (json_is_integer(value))
        return (struct fv_number){ .is_integer = true, .integer = json_integer_value(value) };
    return (struct fv_number){ .real = json_real_value(value) };
}

static int compare_numbers(struct comparing *comparing, const json_t *before, const json_t *after)
{
    static const struct fv_tolerance none = { 0, 0 };
    const struct fv_field_rule *rule = rule_here(comparing);
    const struct fv_tolerance *tolerance = !rule         ? &comparing->judge->tolerance
                                           : rule->exact ? &none
                                                         : &rule->tolerance;
    struct fv_number a = number_of(before), b = number_of(after);

    return fv_tolerance_allows(tolerance, &a, &b) ? 0 : tell(comparing, before, after);
}

static int compare(struct comparing *comparing, const json_t *before, const json_t *after)
{
    if (json_is_object(before) && json_is_object(after))
        return compare_objects(comparing, (json_t *)before, (json_t *)after);
    if (json_is_array(before) && json_is_array(after))
        return compare_arrays(comparing, before, after);
    if (json_is_number(before) && json_is_number(after))
        return compare_numbers(comparing, before, after);
    /* What is left has no parts, or is of two types. */
    return before && after && json_equal(before, after) ? 0 : tell(comparing, before, after);
}

static int compare_trees(const struct fv_dataset_judge *judge, const json_t *before,
                         const json_t *after,
                         bool (*visit)(void *data, const struct fv_dataset_difference *difference),
                         void *data, flagver_error *err)
{
    struct comparing comparing = { .judge = judge,
                                   .pointer = FV_TEXT_INIT,
                                   .before = FV_TEXT_INIT,
                                   .after = FV_TEXT_INIT,
                                   .visit = visit,
                                   .data = data,
                                   .err = err };
    int r = compare(&comparing, before, after);

    /* Then rules were held against the wrong fields. */
    if (r >= 0 && comparing.pointer.failed)
        r = fv_fail_memory(err);
    fv_text_clear(&comparing.pointer);
    fv_text_clear(&comparing.before);
    fv_text_clear(&comparing.after);
    return r;
}

int fv_dataset_compare_values(const struct fv_dataset_judge *judge, const char *before,
                              size_t before_length, const char *after, size_t after_length,
                              bool (*visit)(void *data,
                                            const struct fv_dataset_difference *difference),
                              void *data, bool *ret_second, flagver_error *err)
{
    json_t *first = NULL, *second = NULL;
    int r;

    *ret_second = false;
    r = fv_json_parse(before, before_length, NULL, &first, err);
    if (r == 0) {
        *ret_second = true;
        r = fv_json_parse(after, after_length, NULL, &second, err);
    }
    if (r == 0)
        r = compare_trees(judge, first, second, visit, data, err);
    json_decref(first);
    json_decref(second);
    return r;
}
