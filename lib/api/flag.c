#include "flagver/flag.h"

#include <string.h>

#include "codec/detail.h"
#include "engine/flags.h"
#include "util/fail.h"

/*
 * ---- plain getters ----
 *
 * Three steps, each for what the one before cannot answer: a settled flag's
 * value stands in the flag (inline, and for bound flags without a stack frame:
 * the other steps are tail calls); a flag that must be asked (x_asked); and the
 * long way, which knows about a thread's first call, a new state of the flags,
 * hooks, errors, and numbers of the other type (x_slowly).
 */

FV_INLINE const struct fv_flag *find(const struct fv_reader *reader, const char *key)
{
    return fv_table_find(&reader->table, key, strlen(key));
}

FV_INLINE const struct fv_flag *find_bound(const struct fv_reader *reader,
                                           const flagver_bound *bound)
{
    return FV_LIKELY(bound->slot < reader->flag_count) ? reader->flags[bound->slot] : NULL;
}

/* What there is to ask without a handle. */
static flagver_client *client_of(const flagver_bound *bound)
{
    return bound ? bound->client : NULL;
}

static const char *key_of(const flagver_bound *bound)
{
    return bound ? bound->key : NULL;
}

static uint32_t slot_of(const flagver_bound *bound)
{
    return bound ? bound->slot : FV_MAP_NONE;
}

static bool ask_slowly(flagver_client *client, const char *key, uint32_t slot,
                       flagver_context *context, int type, flagver_value *ret_value)
{
    struct fv_flag_name name = { key, key ? strlen(key) : 0, slot };
    flagver_detail detail = { .size = sizeof detail };

    if (!client || !key || fv_flags_evaluate(client, &name, context, type, &detail) != 0)
        return false;
    *ret_value = detail.value;
    return true;
}

FV_COLD static bool bool_slowly(flagver_client *client, const char *key, uint32_t slot,
                                flagver_context *context, bool fallback)
{
    flagver_value value;

    return ask_slowly(client, key, slot, context, FLAGVER_TYPE_BOOL, &value) ? value.boolean
                                                                             : fallback;
}

FV_APART static bool bool_asked(struct fv_reader *reader, const struct fv_flag *flag,
                                flagver_context *context, bool fallback)
{
    const struct fv_value *value = fv_flags_ask(reader, flag, context, FLAGVER_TYPE_BOOL);

    return value ? value->as.boolean
                 : bool_slowly(reader->client, flag->key, flag->body->slot, context, fallback);
}

bool flagver_flag_bool(flagver_client *client, const char *key, flagver_context *context,
                       bool fallback)
{
    struct fv_reader *reader = client && key ? fv_reader_quick(client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find(reader, key) : NULL;

    if (!FV_LIKELY(flag))
        return bool_slowly(client, key, FV_MAP_NONE, context, fallback);
    if (fv_flags_is_settled(reader, flag, context, FLAGVER_TYPE_BOOL))
        return flag->value.boolean;
    return bool_asked(reader, flag, context, fallback);
}

bool flagver_bound_bool(const flagver_bound *bound, flagver_context *context, bool fallback)
{
    struct fv_reader *reader = bound ? fv_reader_quick(bound->client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find_bound(reader, bound) : NULL;

    if (!FV_LIKELY(flag))
        return bool_slowly(client_of(bound), key_of(bound), slot_of(bound), context, fallback);
    if (fv_flags_is_settled(reader, flag, context, FLAGVER_TYPE_BOOL))
        return flag->value.boolean;
    return bool_asked(reader, flag, context, fallback);
}

FV_COLD static int64_t int_slowly(flagver_client *client, const char *key, uint32_t slot,
                                  flagver_context *context, int64_t fallback)
{
    flagver_value value;

    return ask_slowly(client, key, slot, context, FLAGVER_TYPE_INT, &value) ? value.integer
                                                                            : fallback;
}

FV_APART static int64_t int_asked(struct fv_reader *reader, const struct fv_flag *flag,
                                  flagver_context *context, int64_t fallback)
{
    const struct fv_value *value = fv_flags_ask(reader, flag, context, FLAGVER_TYPE_INT);

    return value ? value->as.integer
                 : int_slowly(reader->client, flag->key, flag->body->slot, context, fallback);
}

int64_t flagver_flag_int(flagver_client *client, const char *key, flagver_context *context,
                         int64_t fallback)
{
    struct fv_reader *reader = client && key ? fv_reader_quick(client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find(reader, key) : NULL;

    if (!FV_LIKELY(flag))
        return int_slowly(client, key, FV_MAP_NONE, context, fallback);
    if (fv_flags_is_settled(reader, flag, context, FLAGVER_TYPE_INT))
        return flag->value.integer;
    return int_asked(reader, flag, context, fallback);
}

int64_t flagver_bound_int(const flagver_bound *bound, flagver_context *context, int64_t fallback)
{
    struct fv_reader *reader = bound ? fv_reader_quick(bound->client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find_bound(reader, bound) : NULL;

    if (!FV_LIKELY(flag))
        return int_slowly(client_of(bound), key_of(bound), slot_of(bound), context, fallback);
    if (fv_flags_is_settled(reader, flag, context, FLAGVER_TYPE_INT))
        return flag->value.integer;
    return int_asked(reader, flag, context, fallback);
}

FV_COLD static double double_slowly(flagver_client *client, const char *key, uint32_t slot,
                                    flagver_context *context, double fallback)
{
    flagver_value value;

    return ask_slowly(client, key, slot, context, FLAGVER_TYPE_DOUBLE, &value) ? value.real
                                                                               : fallback;
}

FV_APART static double double_asked(struct fv_reader *reader, const struct fv_flag *flag,
                                    flagver_context *context, double fallback)
{
    const struct fv_value *value = fv_flags_ask(reader, flag, context, FLAGVER_TYPE_DOUBLE);

    return value ? value->as.real
                 : double_slowly(reader->client, flag->key, flag->body->slot, context, fallback);
}

double flagver_flag_double(flagver_client *client, const char *key, flagver_context *context,
                           double fallback)
{
    struct fv_reader *reader = client && key ? fv_reader_quick(client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find(reader, key) : NULL;

    if (!FV_LIKELY(flag))
        return double_slowly(client, key, FV_MAP_NONE, context, fallback);
    if (fv_flags_is_settled(reader, flag, context, FLAGVER_TYPE_DOUBLE))
        return flag->value.real;
    return double_asked(reader, flag, context, fallback);
}

double flagver_bound_double(const flagver_bound *bound, flagver_context *context, double fallback)
{
    struct fv_reader *reader = bound ? fv_reader_quick(bound->client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find_bound(reader, bound) : NULL;

    if (!FV_LIKELY(flag))
        return double_slowly(client_of(bound), key_of(bound), slot_of(bound), context, fallback);
    if (fv_flags_is_settled(reader, flag, context, FLAGVER_TYPE_DOUBLE))
        return flag->value.real;
    return double_asked(reader, flag, context, fallback);
}

FV_COLD static const char *text_slowly(flagver_client *client, const char *key, uint32_t slot,
                                       flagver_context *context, int type, const char *fallback)
{
    flagver_value value;

    return ask_slowly(client, key, slot, context, type, &value) ? value.string : fallback;
}

FV_APART static const char *text_asked(struct fv_reader *reader, const struct fv_flag *flag,
                                       flagver_context *context, int type, const char *fallback)
{
    const struct fv_value *value = fv_flags_ask(reader, flag, context, type);

    return value
               ? value->as.string
               : text_slowly(reader->client, flag->key, flag->body->slot, context, type, fallback);
}

FV_INLINE const char *flag_text(flagver_client *client, const char *key, flagver_context *context,
                                int type, const char *fallback)
{
    struct fv_reader *reader = client && key ? fv_reader_quick(client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find(reader, key) : NULL;

    if (!FV_LIKELY(flag))
        return text_slowly(client, key, FV_MAP_NONE, context, type, fallback);
    if (fv_flags_is_settled(reader, flag, context, type))
        return flag->value.string;
    return text_asked(reader, flag, context, type, fallback);
}

FV_INLINE const char *bound_text(const flagver_bound *bound, flagver_context *context, int type,
                                 const char *fallback)
{
    struct fv_reader *reader = bound ? fv_reader_quick(bound->client) : NULL;
    const struct fv_flag *flag = FV_LIKELY(reader) ? find_bound(reader, bound) : NULL;

    if (!FV_LIKELY(flag))
        return text_slowly(client_of(bound), key_of(bound), slot_of(bound), context, type,
                           fallback);
    if (fv_flags_is_settled(reader, flag, context, type))
        return flag->value.string;
    return text_asked(reader, flag, context, type, fallback);
}

const char *flagver_flag_string(flagver_client *client, const char *key, flagver_context *context,
                                const char *fallback)
{
    return flag_text(client, key, context, FLAGVER_TYPE_STRING, fallback);
}

const char *flagver_flag_json(flagver_client *client, const char *key, flagver_context *context,
                              const char *fallback)
{
    return flag_text(client, key, context, FLAGVER_TYPE_JSON, fallback);
}

const char *flagver_bound_string(const flagver_bound *bound, flagver_context *context,
                                 const char *fallback)
{
    return bound_text(bound, context, FLAGVER_TYPE_STRING, fallback);
}

const char *flagver_bound_json(const flagver_bound *bound, flagver_context *context,
                               const char *fallback)
{
    return bound_text(bound, context, FLAGVER_TYPE_JSON, fallback);
}

/* ---- with details ---- */

/* A call that names no client or no key. */
static int refuse(const char *key, size_t length, flagver_detail *ret_detail)
{
    const flagver_detail detail = { .size = sizeof detail,
                                    .flag = key ? key : "",
                                    .flag_length = key ? length : 0,
                                    .reason = FLAGVER_REASON_ERROR,
                                    .error = FLAGVER_ERROR_GENERAL,
                                    .bucket = -1 };

    fv_flags_hand_over(&detail, ret_detail);
    return detail.error;
}

int flagver_flag_evaluate(flagver_client *client, const char *key, size_t length,
                          flagver_context *context, int type, flagver_detail *detail)
{
    if (!client || !key)
        return refuse(key, length, detail);
    return fv_flags_evaluate(client, &(struct fv_flag_name){ key, length, FV_MAP_NONE }, context,
                             type, detail);
}

int flagver_bound_evaluate(const flagver_bound *bound, flagver_context *context, int type,
                           flagver_detail *detail)
{
    if (!bound)
        return refuse(NULL, 0, detail);
    return fv_flags_evaluate(bound->client,
                             &(struct fv_flag_name){ bound->key, strlen(bound->key), bound->slot },
                             context, type, detail);
}

int flagver_snapshot_evaluate(const flagver_snapshot *snapshot, const char *key, size_t length,
                              flagver_context *context, int type, flagver_detail *detail)
{
    if (!snapshot || !key)
        return refuse(key, length, detail);
    return fv_flags_evaluate_on(snapshot, &(struct fv_flag_name){ key, length, FV_MAP_NONE },
                                context, type, detail);
}

/* Evaluates into a detail that has room for everything; true when there is a value. */
static bool with_detail(flagver_client *client, const char *key, flagver_context *context, int type,
                        flagver_detail *detail)
{
    *detail = (flagver_detail){ .size = sizeof *detail };
    if (flagver_flag_evaluate(client, key, key ? strlen(key) : 0, context, type, detail) == 0)
        return true;
    detail->value.type = type;
    return false;
}

bool flagver_flag_bool_detail(flagver_client *client, const char *key, flagver_context *context,
                              bool fallback, flagver_detail *ret_detail)
{
    flagver_detail detail;

    if (!with_detail(client, key, context, FLAGVER_TYPE_BOOL, &detail))
        detail.value.boolean = fallback;
    fv_flags_hand_over(&detail, ret_detail);
    return detail.value.boolean;
}

int64_t flagver_flag_int_detail(flagver_client *client, const char *key, flagver_context *context,
                                int64_t fallback, flagver_detail *ret_detail)
{
    flagver_detail detail;

    if (!with_detail(client, key, context, FLAGVER_TYPE_INT, &detail))
        detail.value.integer = fallback;
    fv_flags_hand_over(&detail, ret_detail);
    return detail.value.integer;
}

double flagver_flag_double_detail(flagver_client *client, const char *key, flagver_context *context,
                                  double fallback, flagver_detail *ret_detail)
{
    flagver_detail detail;

    if (!with_detail(client, key, context, FLAGVER_TYPE_DOUBLE, &detail))
        detail.value.real = fallback;
    fv_flags_hand_over(&detail, ret_detail);
    return detail.value.real;
}

static const char *text_with_detail(flagver_client *client, const char *key,
                                    flagver_context *context, int type, const char *fallback,
                                    flagver_detail *ret_detail)
{
    flagver_detail detail;

    if (!with_detail(client, key, context, type, &detail)) {
        detail.value.string = fallback;
        detail.value.length = fallback ? strlen(fallback) : 0;
    }
    fv_flags_hand_over(&detail, ret_detail);
    return detail.value.string;
}

const char *flagver_flag_string_detail(flagver_client *client, const char *key,
                                       flagver_context *context, const char *fallback,
                                       flagver_detail *ret_detail)
{
    return text_with_detail(client, key, context, FLAGVER_TYPE_STRING, fallback, ret_detail);
}

const char *flagver_flag_json_detail(flagver_client *client, const char *key,
                                     flagver_context *context, const char *fallback,
                                     flagver_detail *ret_detail)
{
    return text_with_detail(client, key, context, FLAGVER_TYPE_JSON, fallback, ret_detail);
}

/* ---- all flags, explanations, counts ---- */

size_t flagver_flag_all(flagver_client *client, flagver_context *context,
                        bool (*visit)(void *data, const flagver_detail *detail), void *data)
{
    return client && visit ? fv_flags_visit(client, context, visit, data) : 0;
}

int flagver_flag_explain(flagver_client *client, const char *key, size_t length,
                         flagver_context *context, char **ret_json, flagver_error *err)
{
    flagver_snapshot *snapshot;
    int r;

    if (!client || !key || !ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "client, key or ret_json is NULL");
    snapshot = fv_client_snapshot(client);
    r = flagver_snapshot_explain(snapshot, key, length, context, ret_json, err);
    fv_snapshot_release(snapshot);
    return r;
}

int flagver_snapshot_explain(const flagver_snapshot *snapshot, const char *key, size_t length,
                             flagver_context *context, char **ret_json, flagver_error *err)
{
    if (!snapshot || !key || !ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "snapshot, key or ret_json is NULL");
    return fv_flags_explain(snapshot, &(struct fv_flag_name){ key, length, FV_MAP_NONE }, context,
                            ret_json, err);
}

int flagver_detail_json(const flagver_detail *detail, char **ret_json, flagver_error *err)
{
    flagver_detail full = { .size = sizeof full, .bucket = -1 };
    struct fv_text text = FV_TEXT_INIT;

    if (!detail || !ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", detail ? "ret_json" : "detail");
    fv_flags_hand_over(detail, &full);
    fv_detail_write(&text, &full);
    return fv_text_give(&text, ret_json, err);
}

int flagver_bound_count(const flagver_bound *bound, const char *variant, uint32_t times,
                        flagver_error *err)
{
    if (!bound || !variant)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", bound ? "variant" : "bound");
    return fv_flags_count(bound->client,
                          &(struct fv_flag_name){ bound->key, strlen(bound->key), bound->slot },
                          variant, times, err);
}

int flagver_flag_counts(flagver_client *client,
                        void (*visit)(void *data, const char *flag, const char *variant,
                                      uint64_t count),
                        void *data, flagver_error *err)
{
    if (!client || !visit)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "visit" : "client");
    return fv_flags_counts(client, visit, data, err);
}

/* ---- overrides and handles ---- */

static int check(const flagver_client *client, const char *key, flagver_error *err)
{
    size_t length = key ? strlen(key) : 0;

    if (!client || !key)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "key" : "client");
    if (length < 1 || length > FV_FLAG_KEY_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "key is %zu bytes; 1 to %d allowed", length,
                       FV_FLAG_KEY_LIMIT);
    return 0;
}

int flagver_flag_override(flagver_client *client, const char *key, const char *variant,
                          flagver_error *err)
{
    int r = check(client, key, err);

    return r < 0 ? r : fv_client_override(client, key, variant, err);
}

int flagver_flag_bind(flagver_client *client, const char *key, const flagver_bound **ret_bound,
                      flagver_error *err)
{
    int r = check(client, key, err);

    if (r == 0 && !ret_bound)
        r = fv_fail(err, FLAGVER_EINVAL, "ret_bound is NULL");
    return r < 0 ? r : fv_client_bind(client, key, ret_bound, err);
}
