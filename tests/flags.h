/*
 * What tests of flags share: JSON that can be read in a C string, contexts, a
 * clock, and what came of an evaluation in one line.
 *
 * JSON in these tests is written with ' for ", so it holds no ' of its own.
 */
#ifndef FLAGVER_TESTS_FLAGS_H
#define FLAGVER_TESTS_FLAGS_H

#include <inttypes.h>
#include <stdio.h>

#include "flagver/client.h"
#include "flagver/flag.h"
#include "model/datetime.h"
#include "support.h"
#include "util/text.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* A copy with " for '. */
static inline char *quoted(const char *text)
{
    char *copy = malloc(strlen(text) + 1), *at;

    ck_assert_ptr_nonnull(copy);
    strcpy(copy, text);
    for (at = copy; *at; at++)
        if (*at == '\'')
            *at = '"';
    return copy;
}

/* NULL stands for no context. */
static inline flagver_context *context_of(const char *json)
{
    flagver_context *context = NULL;
    char *text;

    if (!json)
        return NULL;
    text = quoted(json);
    assert_ok(flagver_context_from_json(text, strlen(text), &context, &error));
    free(text);
    return context;
}

static inline int64_t time_of(const char *text)
{
    int64_t ms = 0;

    ck_assert_msg(fv_datetime_parse(text, strlen(text), &ms), "%s is no time", text);
    return ms;
}

/* A clock for options: `clock_data` points to what it says. */
static inline int64_t tell_time(void *now)
{
    return *(const int64_t *)now;
}

/* A "definitions:" client that the environment does not reach. `now` may be NULL. */
static inline flagver_client *client_of(const char *json, int64_t *now)
{
    flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_client *client = NULL;
    char *text = quoted(json);

    if (now) {
        options.clock = tell_time;
        options.clock_data = now;
    }
    assert_ok(flagver_open("definitions:", &options, &client, &error));
    assert_ok(flagver_client_load(client, text, strlen(text), &error));
    free(text);
    return client;
}

static inline int load_into(flagver_client *client, const char *json)
{
    char *text = quoted(json);
    int r = flagver_client_load(client, text, strlen(text), &error);

    free(text);
    return r;
}

static inline int merge_into(flagver_client *client, const char *json)
{
    char *text = quoted(json);
    int r = flagver_client_merge(client, text, strlen(text), &error);

    free(text);
    return r;
}

static inline void add_value(struct fv_text *out, const flagver_value *value)
{
    const char *at;

    switch (value->type) {
    case FLAGVER_TYPE_BOOL:
        fv_text_add(out, value->boolean ? "true" : "false");
        break;
    case FLAGVER_TYPE_INT:
        fv_text_format(out, "%" PRId64, value->integer);
        break;
    case FLAGVER_TYPE_DOUBLE:
        fv_text_format(out, "%.17g", value->real);
        break;
    case FLAGVER_TYPE_STRING:
        ck_assert_uint_eq(strlen(value->string), value->length);
        fv_text_format(out, "'%s'", value->string);
        break;
    case FLAGVER_TYPE_JSON:
        ck_assert_uint_eq(strlen(value->string), value->length);
        for (at = value->string; *at; at++)
            fv_text_add_char(out, (char)(*at == '"' ? '\'' : *at));
        break;
    default:
        ck_assert_int_eq(value->type, FLAGVER_TYPE_ANY);
        fv_text_add(out, "-");
        break;
    }
}

/*
 * "VALUE VARIANT REASON", "- - ERROR CODE"; behind it, where there are any,
 * "rule=ID" and "bucket=N". Freed by the caller.
 */
static inline char *words_of(const flagver_detail *detail)
{
    struct fv_text out = FV_TEXT_INIT;

    add_value(&out, &detail->value);
    fv_text_format(&out, " %s %s", detail->variant ? detail->variant : "-",
                   flagver_reason_name(detail->reason));
    if (detail->error)
        fv_text_format(&out, " %s", flagver_error_code_name(detail->error));
    if (detail->rule)
        fv_text_format(&out, " rule=%s", detail->rule);
    if (detail->bucket != -1)
        fv_text_format(&out, " bucket=%d", (int)detail->bucket);
    return fv_text_detach(&out);
}

static inline void assert_detail(const char *label, const flagver_detail *detail,
                                 const char *expected)
{
    char *words = words_of(detail);

    ck_assert_msg(strcmp(words, expected) == 0, "%s: %s, not %s", label, words, expected);
    free(words);
}

/* What a client answers, whatever the flag's type. */
static inline void assert_flag(flagver_client *client, const char *key, const char *context_json,
                               const char *expected)
{
    flagver_context *context = context_of(context_json);
    flagver_detail detail = { .size = sizeof detail };

    flagver_flag_evaluate(client, key, strlen(key), context, FLAGVER_TYPE_ANY, &detail);
    assert_detail(key, &detail, expected);
    flagver_context_free(context);
}

/* Does a rule with this condition hold for the context? */
static inline bool holds_for(flagver_context *context, const char *condition)
{
    struct fv_text text = FV_TEXT_INIT;
    flagver_detail detail = { .size = sizeof detail };
    flagver_snapshot *snapshot;
    char *json;

    fv_text_format(&text,
                   "{'flags': {'f': {'type': 'boolean', 'rules': [{'if': %s, 'serve': 'on'}]}}}",
                   condition);
    json = quoted(text.data);
    assert_ok(flagver_snapshot_load(json, strlen(json), NULL, &snapshot, &error));
    ck_assert_int_eq(
        flagver_snapshot_evaluate(snapshot, "f", 1, context, FLAGVER_TYPE_BOOL, &detail), 0);
    flagver_snapshot_free(snapshot);
    free(json);
    fv_text_clear(&text);
    return detail.value.boolean;
}

#endif
