#include "flagver/context.h"

#include <string.h>

#include "codec/context.h"
#include "model/context.h"
#include "util/fail.h"

flagver_context *flagver_context_new(const char *targeting_key)
{
    flagver_context *context = fv_context_new(false);

    if (context && targeting_key &&
        fv_context_set_key(context, targeting_key, strlen(targeting_key)) < 0) {
        fv_context_free(context);
        return NULL;
    }
    return context;
}

int flagver_context_from_json(const char *json, size_t length, flagver_context **ret_context,
                              flagver_error *err)
{
    if (!json || !ret_context)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", json ? "ret_context" : "json");
    return fv_context_read(json, length, ret_context, err);
}

void flagver_context_free(flagver_context *context)
{
    fv_context_free(context);
}

int flagver_context_reset(flagver_context *context, const char *targeting_key)
{
    if (!context)
        return FLAGVER_EINVAL;
    fv_context_reset(context);
    return targeting_key ? fv_context_set_key(context, targeting_key, strlen(targeting_key)) : 0;
}

int flagver_context_set_key(flagver_context *context, const char *key, size_t length)
{
    if (!context || (!key && length))
        return FLAGVER_EINVAL;
    return fv_context_set_key(context, key, length);
}

static int set(flagver_context *context, const char *name, struct fv_value value)
{
    return context ? fv_context_set(context, name, name ? strlen(name) : 0, &value)
                   : FLAGVER_EINVAL;
}

int flagver_context_set_null(flagver_context *context, const char *name)
{
    return set(context, name, (struct fv_value){ .kind = FV_NULL });
}

int flagver_context_set_bool(flagver_context *context, const char *name, bool value)
{
    return set(context, name, (struct fv_value){ .kind = FV_BOOL, .as.boolean = value });
}

int flagver_context_set_int(flagver_context *context, const char *name, int64_t value)
{
    return set(context, name, (struct fv_value){ .kind = FV_INTEGER, .as.integer = value });
}

int flagver_context_set_double(flagver_context *context, const char *name, double value)
{
    return set(context, name, (struct fv_value){ .kind = FV_REAL, .as.real = value });
}

int flagver_context_set_string(flagver_context *context, const char *name, const char *value)
{
    return flagver_context_set_bytes(context, name, value, value ? strlen(value) : 0);
}

int flagver_context_set_bytes(flagver_context *context, const char *name, const char *value,
                              size_t length)
{
    if (length >= UINT32_MAX)
        return FLAGVER_EINVAL;
    if (!value)
        return length ? FLAGVER_EINVAL : flagver_context_set_null(context, name);
    return set(
        context, name,
        (struct fv_value){ .kind = FV_STRING, .count = (uint32_t)length, .as.string = value });
}

int flagver_context_set_datetime(flagver_context *context, const char *name, int64_t ms)
{
    return set(context, name, (struct fv_value){ .kind = FV_DATETIME, .as.integer = ms });
}

static int begin(flagver_context *context, const char *name, enum fv_kind kind)
{
    return context ? fv_context_begin(context, name, name ? strlen(name) : 0, kind)
                   : FLAGVER_EINVAL;
}

int flagver_context_begin_list(flagver_context *context, const char *name)
{
    return begin(context, name, FV_LIST);
}

int flagver_context_begin_object(flagver_context *context, const char *name)
{
    return begin(context, name, FV_OBJECT);
}

int flagver_context_end(flagver_context *context)
{
    return context ? fv_context_end(context) : FLAGVER_EINVAL;
}
