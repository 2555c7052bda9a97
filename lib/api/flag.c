#include "flagver/flag.h"

#include <string.h>

#include "codec/detail.h"
#include "engine/flags.h"
#include "util/fail.h"

/* ---- plain getters: the hot path ---- */

/* The long way: the thread's first call, a new state of the flags, a hook, nothing to ask. */
static bool ask_slowly(flagver_client *client, const struct fv_flag_name *name,
                       const flagver_context *context, int type, struct fv_value *ret_value)
{
    flagver_detail detail = { .size = sizeof detail };

    if (!client || !name->key || fv_flags_evaluate(client, name, context, type, &detail) != 0)
        return false;
    switch (type) {
    case FLAGVER_TYPE_BOOL:
        ret_value->as.boolean = detail.value.boolean;
        break;
    case FLAGVER_TYPE_INT:
        ret_value->as.integer = detail.value.integer;
        break;
    case FLAGVER_TYPE_DOUBLE:
        ret_value->as.real = detail.value.real;
        break;
    default:
        ret_value->as.string = detail.value.string;
        break;
    }
    return true;
}

FV_INLINE bool ask(flagver_client *client, const char *key, const flagver_context *context,
                   int type, struct fv_value *ret_value)
{
    struct fv_reader *reader = client && key ? fv_reader_quick(client) : NULL;
    const struct fv_flag *flag;
    size_t length;

    if (!FV_LIKELY(reader))
        return ask_slowly(client, &(struct fv_flag_name){ key, key ? strlen(key) : 0, FV_MAP_NONE },
                          context, type, ret_value);
    length = strlen(key);
    flag = fv_table_find(&reader->table, key, length);
    return FV_LIKELY(flag) && fv_flags_ask_quickly(reader, flag, context, type, ret_value);
}

FV_INLINE bool ask_bound(const flagver_bound *bound, const flagver_context *context, int type,
                         struct fv_value *ret_value)
{
    struct fv_reader *reader = bound ? fv_reader_quick(bound->client) : NULL;
    const struct fv_flag *flag;

    if (!FV_LIKELY(reader))
        return bound &&
               ask_slowly(bound->client, &(struct fv_flag_name){ bound->key, 0, bound->slot },
                          context, type, ret_value);
    flag = FV_LIKELY(bound->slot < reader->flag_count) ? reader->flags[bound->slot] : NULL;
    return FV_LIKELY(flag) && fv_flags_ask_quickly(reader, flag, context, type, ret_value);
}

bool flagver_flag_bool(flagver_client *client, const char *key, flagver_context *context,
                       bool fallback)
{
    struct fv_value value;

    return ask(client, key, context, FLAGVER_TYPE_BOOL, &value) ? value.as.boolean : fallback;
}

int64_t flagver_flag_int(flagver_client *client, const char *key, flagver_context *context,
                         int64_t fallback)
{
    struct fv_value value;

    return ask(client, key, context, FLAGVER_TYPE_INT, &value) ? value.as.integer : fallback;
}

double flagver_flag_double(flagver_client *client, const char *key, flagver_context *context,
                           double fallback)
{
    struct fv_value value;

    return ask(client, key, context, FLAGVER_TYPE_DOUBLE, &value) ? value.as.real : fallback;
}

const char *flagver_flag_string(flagver_client *client, const char *key, flagver_context *context,
                                const char *fallback)
{
    struct fv_value value;

    return ask(client, key, context, FLAGVER_TYPE_STRING, &value) ? value.as.string : fallback;
}

const char *flagver_flag_json(flagver_client *client, const char *key, flagver_context *context,
                              const char *fallback)
{
    struct fv_value value;

    return ask(client, key, context, FLAGVER_TYPE_JSON, &value) ? value.as.string : fallback;
}

bool flagver_bound_bool(const flagver_bound *bound, flagver_context *context, bool fallback)
{
    struct fv_value value;

    return ask_bound(bound, context, FLAGVER_TYPE_BOOL, &value) ? value.as.boolean : fallback;
}

int64_t flagver_bound_int(const flagver_bound *bound, flagver_context *context, int64_t fallback)
{
    struct fv_value value;

    return ask_bound(bound, context, FLAGVER_TYPE_INT, &value) ? value.as.integer : fallback;
}

double flagver_bound_double(const flagver_bound *bound, flagver_context *context, double fallback)
{
    struct fv_value value;

    return ask_bound(bound, context, FLAGVER_TYPE_DOUBLE, &value) ? value.as.real : fallback;
}

const char *flagver_bound_string(const flagver_bound *bound, flagver_context *context,
                                 const char *fallback)
{
    struct fv_value value;

    return ask_bound(bound, context, FLAGVER_TYPE_STRING, &value) ? value.as.string : fallback;
}

const char *flagver_bound_json(const flagver_bound *bound, flagver_context *context,
                               const char *fallback)
{
    struct fv_value value;

    return ask_bound(bound, context, FLAGVER_TYPE_JSON, &value) ? value.as.string : fallback;
}

/* ---- with details ---- */

/* The detail of a call that names no client or no key. */
static int refuse(const char *key, flagver_detail *detail)
{
    size_t size = detail->size;
    flagver_detail refused = { .size = size,
                               .flag = key ? key : "",
                               .reason = FLAGVER_REASON_ERROR,
                               .error = FLAGVER_ERROR_GENERAL,
                               .bucket = -1 };

    memcpy(detail, &refused, size < sizeof refused ? size : sizeof refused);
    return refused.error;
}

int flagver_flag_evaluate(flagver_client *client, const char *key, size_t length,
                          flagver_context *context, int type, flagver_detail *detail)
{
    if (!client || !key)
        return refuse(key, detail);
    return fv_flags_evaluate(client, &(struct fv_flag_name){ key, length, FV_MAP_NONE }, context,
                             type, detail);
}

int flagver_bound_evaluate(const flagver_bound *bound, flagver_context *context, int type,
                           flagver_detail *detail)
{
    if (!bound)
        return refuse(NULL, detail);
    return fv_flags_evaluate(bound->client, &(struct fv_flag_name){ bound->key, 0, bound->slot },
                             context, type, detail);
}

int flagver_snapshot_evaluate(const flagver_snapshot *snapshot, const char *key, size_t length,
                              flagver_context *context, int type, flagver_detail *detail)
{
    if (!snapshot || !key)
        return refuse(key, detail);
    return fv_flags_evaluate_on(snapshot, &(struct fv_flag_name){ key, length, FV_MAP_NONE },
                                context, type, detail);
}

static int with_detail(flagver_client *client, const char *key, flagver_context *context, int type,
                       flagver_detail *detail)
{
    return flagver_flag_evaluate(client, key, key ? strlen(key) : 0, context, type, detail);
}

/* Does the caller's detail, perhaps of an older version, reach as far as the value? */
static bool has_value(const flagver_detail *detail)
{
    return detail->size >= offsetof(flagver_detail, value) + sizeof detail->value;
}

bool flagver_flag_bool_detail(flagver_client *client, const char *key, flagver_context *context,
                              bool fallback, flagver_detail *detail)
{
    if (with_detail(client, key, context, FLAGVER_TYPE_BOOL, detail) != 0 && has_value(detail)) {
        detail->value.type = FLAGVER_TYPE_BOOL;
        detail->value.boolean = fallback;
    }
    return has_value(detail) ? detail->value.boolean : fallback;
}

int64_t flagver_flag_int_detail(flagver_client *client, const char *key, flagver_context *context,
                                int64_t fallback, flagver_detail *detail)
{
    if (with_detail(client, key, context, FLAGVER_TYPE_INT, detail) != 0 && has_value(detail)) {
        detail->value.type = FLAGVER_TYPE_INT;
        detail->value.integer = fallback;
    }
    return has_value(detail) ? detail->value.integer : fallback;
}

double flagver_flag_double_detail(flagver_client *client, const char *key, flagver_context *context,
                                  double fallback, flagver_detail *detail)
{
    if (with_detail(client, key, context, FLAGVER_TYPE_DOUBLE, detail) != 0 && has_value(detail)) {
        detail->value.type = FLAGVER_TYPE_DOUBLE;
        detail->value.real = fallback;
    }
    return has_value(detail) ? detail->value.real : fallback;
}

static const char *text_with_detail(flagver_client *client, const char *key,
                                    flagver_context *context, int type, const char *fallback,
                                    flagver_detail *detail)
{
    if (with_detail(client, key, context, type, detail) != 0 && has_value(detail)) {
        detail->value.type = type;
        detail->value.string = fallback;
        detail->value.length = fallback ? strlen(fallback) : 0;
    }
    return has_value(detail) ? detail->value.string : fallback;
}

const char *flagver_flag_string_detail(flagver_client *client, const char *key,
                                       flagver_context *context, const char *fallback,
                                       flagver_detail *detail)
{
    return text_with_detail(client, key, context, FLAGVER_TYPE_STRING, fallback, detail);
}

const char *flagver_flag_json_detail(flagver_client *client, const char *key,
                                     flagver_context *context, const char *fallback,
                                     flagver_detail *detail)
{
    return text_with_detail(client, key, context, FLAGVER_TYPE_JSON, fallback, detail);
}

/* ---- all flags, explanations, counts ---- */

size_t flagver_flag_all(flagver_client *client, flagver_context *context,
                        bool (*visit)(void *data, const flagver_detail *detail), void *data)
{
    return client ? fv_flags_visit(client, context, visit, data) : 0;
}

int flagver_flag_explain(flagver_client *client, const char *key, size_t length,
                         flagver_context *context, char **ret_json, flagver_error *err)
{
    if (!client || !key)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "key" : "client");
    return fv_flags_explain(client, &(struct fv_flag_name){ key, length, FV_MAP_NONE }, context,
                            ret_json, err);
}

int flagver_detail_json(const flagver_detail *detail, char **ret_json, flagver_error *err)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_detail_write(&text, detail);
    *ret_json = fv_text_detach(&text);
    return *ret_json ? 0 : fv_fail_memory(err);
}

int flagver_flag_counts(flagver_client *client,
                        void (*visit)(void *data, const char *flag, const char *variant,
                                      uint64_t count),
                        void *data, flagver_error *err)
{
    return fv_flags_counts(client, visit, data, err);
}

/* ---- overrides and handles ---- */

static int check_key(const char *key, flagver_error *err)
{
    size_t length = key ? strlen(key) : 0;

    if (!key)
        return fv_fail(err, FLAGVER_EINVAL, "key is NULL");
    if (length < 1 || length > FV_FLAG_KEY_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "key is %zu bytes; 1 to %d allowed", length,
                       FV_FLAG_KEY_LIMIT);
    return 0;
}

int flagver_flag_override(flagver_client *client, const char *key, const char *variant,
                          flagver_error *err)
{
    int r = check_key(key, err);

    return r < 0 ? r : fv_client_override(client, key, variant, err);
}

int flagver_flag_bind(flagver_client *client, const char *key, const flagver_bound **ret_bound,
                      flagver_error *err)
{
    int r = check_key(key, err);

    return r < 0 ? r : fv_client_bind(client, key, ret_bound, err);
}
