#include "codec/context.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/json.h"
#include "codec/reading.h"
#include "util/fail.h"

static int add(flagver_context *context, const char *name, const json_t *value);

static int set(flagver_context *context, const char *name, struct fv_value value)
{
    return fv_context_set(context, name, name ? strlen(name) : 0, &value);
}

static int add_array(flagver_context *context, const char *name, const json_t *array)
{
    size_t i;
    int r;

    r = fv_context_begin(context, name, name ? strlen(name) : 0, FV_LIST);
    for (i = 0; r == 0 && i < json_array_size(array); i++)
        r = add(context, NULL, json_array_get(array, i));
    return r == 0 ? fv_context_end(context) : r;
}

static int add_object(flagver_context *context, const char *name, const json_t *object)
{
    const char *key;
    json_t *value;
    int r;

    r = fv_context_begin(context, name, name ? strlen(name) : 0, FV_OBJECT);
    json_object_foreach((json_t *)object, key, value)
    {
        if (r < 0)
            break;
        r = add(context, key, value);
    }
    return r == 0 ? fv_context_end(context) : r;
}

/* FLAGVER_EINVAL: a name is too long, or values nest too deep. */
static int add(flagver_context *context, const char *name, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return add_object(context, name, value);
    case JSON_ARRAY:
        return add_array(context, name, value);
    case JSON_STRING:
        return set(context, name,
                   (struct fv_value){ .kind = FV_STRING,
                                      .count = (uint32_t)json_string_length(value),
                                      .as.string = json_string_value(value) });
    case JSON_INTEGER:
        return set(
            context, name,
            (struct fv_value){ .kind = FV_INTEGER, .as.integer = json_integer_value(value) });
    case JSON_REAL:
        return set(context, name,
                   (struct fv_value){ .kind = FV_REAL, .as.real = json_real_value(value) });
    case JSON_NULL:
        return set(context, name, (struct fv_value){ .kind = FV_NULL });
    default:
        return set(context, name,
                   (struct fv_value){ .kind = FV_BOOL, .as.boolean = json_is_true(value) });
    }
}

static int add_key(flagver_context *context, const json_t *value)
{
    char digits[24];

    switch (json_typeof(value)) {
    case JSON_STRING:
        return fv_context_set_key(context, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        snprintf(digits, sizeof digits, "%" PRId64, (int64_t)json_integer_value(value));
        return fv_context_set_key(context, digits, strlen(digits));
    case JSON_NULL:
        return 0;
    default:
        context->key_invalid = true;
        return 0;
    }
}

/* Will add_key() find the key invalid? */
static bool is_suspect(const json_t *root)
{
    const json_t *key = json_object_get(root, "targetingKey");

    return key && !json_is_string(key) && !json_is_integer(key) && !json_is_null(key);
}

static int fill(const struct fv_reading *reading, flagver_context *context, const json_t *root)
{
    const char *name;
    json_t *value;
    int r;

    context->names_differ = true; /* the parser refuses a name that stands twice */
    json_object_foreach((json_t *)root, name, value)
    {
        if (strcmp(name, "targetingKey") == 0)
            r = add_key(context, value);
        else
            r = add(context, name, value);
        if (r == FLAGVER_EINVAL)
            return fv_refuse_key(reading, fv_at_key(NULL, name),
                                 "a name is not 1 to %d bytes long, or values nest deeper than %d",
                                 FV_ATTRIBUTE_NAME_LIMIT, FV_CONTEXT_DEPTH);
        if (r < 0)
            return fv_fail_memory(reading->err);
    }
    return 0;
}

int fv_context_read(const char *json, size_t length, flagver_context **ret_context,
                    flagver_error *err)
{
    const struct fv_reading reading = { json, length, NULL, err };
    flagver_context *context = NULL;
    json_t *root;
    int r;

    r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    r = fv_expect_object(&reading, NULL, root);
    if (r == 0) {
        context = fv_context_new(is_suspect(root));
        r = context ? fill(&reading, context, root) : fv_fail_memory(err);
        if (context)
            context->names_differ = false;
    }
    json_decref(root);
    if (r < 0)
        fv_context_free(context);
    else
        *ret_context = context;
    return r;
}
