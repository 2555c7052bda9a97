#include <stdio.h>
#include <string.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/memory.h"
#include "util/uri.h"

#define SCHEME "postgresql:"
#define OURS "flagver_" /* what the names of our parameters begin with */
#define POOL 8
#define POOL_LIMIT 1000
#define STATEMENT_MS 30000
#define IDLE_MS 60000
#define VALUE_LIMIT 32

/* ---- values ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value without percent-encoding; false: it is malformed, or longer than any that is meant. */
static bool decode(const char *text, size_t length, char out[VALUE_LIMIT + 1])
{
    size_t count = 0, i;
    int high, low;

    for (i = 0; i < length; i++) {
        if (count == VALUE_LIMIT)
            return false;
        out[count++] = text[i];
        if (text[i] != '%')
            continue;
        high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
        low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low < 0 || high + low == 0)
            return false;
        out[count - 1] = (char)(high << 4 | low);
        i += 2;
    }
    out[count] = '\0';
    return true;
}

static bool read_number(const char *text, int32_t least, int32_t most, int32_t *ret_number)
{
    int64_t number = 0;
    const char *c;

    for (c = text; *c >= '0' && *c <= '9' && number <= most; c++)
        number = number * 10 + (*c - '0');
    *ret_number = (int32_t)(number > most ? 0 : number);
    return c > text && !*c && number >= least && number <= most;
}

/* ---- our parameters ---- */

struct parameter {
    const char *name, *value;
    size_t name_length, value_length;
};

static bool is_called(const struct parameter *parameter, const char *name)
{
    return strlen(name) == parameter->name_length &&
           memcmp(name, parameter->name, parameter->name_length) == 0;
}

static int fail_value(const struct parameter *parameter, const char *allowed, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EINVAL, "%.*s is \"%.*s\" in the URI; %s allowed",
                   (int)parameter->name_length, parameter->name,
                   (int)(parameter->value_length < 64 ? parameter->value_length : 64),
                   parameter->value, allowed);
}

static int take_number(const struct parameter *parameter, int32_t least, int32_t most,
                       int32_t *ret_number, flagver_error *err)
{
    char text[VALUE_LIMIT + 1], allowed[48];

    if (decode(parameter->value, parameter->value_length, text) &&
        read_number(text, least, most, ret_number))
        return 0;
    snprintf(allowed, sizeof allowed, "%d to %d", (int)least, (int)most);
    return fail_value(parameter, allowed, err);
}

static int take_reads(const struct parameter *parameter, bool *ret_standby, flagver_error *err)
{
    char text[VALUE_LIMIT + 1];

    if (!decode(parameter->value, parameter->value_length, text) ||
        (strcmp(text, "primary") != 0 && strcmp(text, "standby") != 0))
        return fail_value(parameter, "primary and standby", err);
    *ret_standby = strcmp(text, "standby") == 0;
    return 0;
}

static int take_ours(const struct parameter *parameter, struct fv_pg_target *target,
                     flagver_error *err)
{
    if (is_called(parameter, OURS "pool"))
        return take_number(parameter, 1, POOL_LIMIT, &target->pool, err);
    if (is_called(parameter, OURS "reads"))
        return take_reads(parameter, &target->standby_reads, err);
    if (is_called(parameter, OURS "statement_ms"))
        return take_number(parameter, 0, INT32_MAX, &target->statement_ms, err);
    if (is_called(parameter, OURS "idle_ms"))
        return take_number(parameter, 0, INT32_MAX, &target->idle_ms, err);
    return fv_fail(err, FLAGVER_EINVAL,
                   "there is no parameter %.*s; known are " OURS "pool, " OURS "reads, " OURS
                   "statement_ms and " OURS "idle_ms",
                   (int)(parameter->name_length < 64 ? parameter->name_length : 64),
                   parameter->name);
}

/* ---- taking the URI apart ---- */

/* Where libpq begins to look for parameters, and their first character or the end. */
static const char *query_of(const char *path)
{
    const char *authority = path + strlen("//"), *mark;
    const char *user_end = authority + strcspn(authority, "@/");

    mark = strchr(*user_end == '@' ? user_end : authority, '?');
    return mark ? mark + 1 : path + strlen(path);
}

static struct parameter parameter_at(const char *text, size_t length)
{
    const char *equals = memchr(text, '=', length);

    if (!equals)
        return (struct parameter){ text, text + length, length, 0 };
    return (struct parameter){ text, equals + 1, (size_t)(equals - text),
                               length - (size_t)(equals + 1 - text) };
}

/* Ours are taken, the others go to `uri` as they are. */
static int take_parameters(const char *query, struct fv_pg_target *target, struct fv_text *uri,
                           flagver_error *err)
{
    struct parameter parameter;
    char between = '?';
    size_t length;
    int r;

    for (; *query; query += length + (query[length] == '&')) {
        length = strcspn(query, "&");
        parameter = parameter_at(query, length);
        if (strncmp(query, OURS, strlen(OURS)) == 0) {
            r = take_ours(&parameter, target, err);
            if (r < 0)
                return r;
            continue;
        }
        fv_text_add_char(uri, between);
        fv_text_add_bytes(uri, query, length);
        between = '&';
    }
    return 0;
}

/* ---- what libpq says of the rest ---- */

/* Does libpq take it? 0, FLAGVER_EINVAL or FLAGVER_ENOMEM. */
static int ask_libpq(const char *uri)
{
    char *words = NULL;
    PQconninfoOption *options = PQconninfoParse(uri, &words);
    int r = options ? 0 : words ? FLAGVER_EINVAL : FLAGVER_ENOMEM;

    PQconninfoFree(options);
    PQfreemem(words);
    return r;
}

static int ask_about_parameter(const char *text, size_t length)
{
    struct fv_text uri = FV_TEXT_INIT;
    int r;

    fv_text_add(&uri, SCHEME "//?");
    fv_text_add_bytes(&uri, text, length);
    r = uri.failed ? FLAGVER_ENOMEM : ask_libpq(uri.data);
    fv_text_clear(&uri);
    return r;
}

static int refuse_parameter(const struct parameter *parameter, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EINVAL,
                   "libpq does not take the parameter \"%.*s\" of the URI: it has no such one, or "
                   "the value is not percent-encoded",
                   (int)(parameter->name_length < 64 ? parameter->name_length : 64),
                   parameter->name);
}

/*
 * In our own words: libpq's quote what may be a password, and so does the name of a parameter
 * behind a password in which an & was not encoded.
 */
static int refuse(const char *uri, flagver_error *err)
{
    const char *at = query_of(uri + strlen(SCHEME));
    struct parameter parameter;
    size_t length;

    for (; *at; at += length + (at[length] == '&')) {
        length = strcspn(at, "&");
        parameter = parameter_at(at, length);
        if (ask_about_parameter(at, length) == FLAGVER_EINVAL && parameter.value_length)
            return refuse_parameter(&parameter, err);
        if (fv_uri_names_secret(parameter.name, parameter.name_length))
            break;
    }
    return fv_fail(err, FLAGVER_EINVAL,
                   "the URI is malformed: it should be postgresql://USER@HOST:PORT/DATABASE?NAME="
                   "VALUE&..., with %%40 for @, %%2F for /, %%3A for :, %%3F for ? and %%26 for & "
                   "in names and passwords");
}

/* ---- all of it ---- */

static int parse(const char *path, struct fv_pg_target *target, struct fv_text *uri,
                 flagver_error *err)
{
    const char *query;
    size_t before;
    int r;

    if (strncmp(path, "//", 2) != 0)
        return fv_fail(err, FLAGVER_EINVAL, "a URI of PostgreSQL begins with " SCHEME "//");
    query = query_of(path);
    before = (size_t)(query - path);
    fv_text_add(uri, SCHEME);
    fv_text_add_bytes(uri, path, before && query[-1] == '?' ? before - 1 : before);
    r = take_parameters(query, target, uri, err);
    if (r < 0)
        return r;
    if (uri->failed)
        return fv_fail_memory(err);
    r = ask_libpq(uri->data);
    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return r < 0 ? refuse(uri->data, err) : 0;
}

/* Both texts, in the store's memory. */
static int keep(const struct fv_text *uri, const char *path, const flagver_allocator *memory,
                struct fv_pg_target *target, flagver_error *err)
{
    struct fv_text given = FV_TEXT_INIT;

    fv_text_add(&given, SCHEME);
    fv_text_add(&given, path);
    target->uri = fv_allocate(memory, uri->length + 1);
    target->shown = given.failed ? NULL : fv_uri_shown(given.data, memory);
    fv_text_clear(&given);
    if (!target->uri || !target->shown) {
        fv_pg_target_clear(target, memory);
        return fv_fail_memory(err);
    }
    memcpy(target->uri, uri->data, uri->length + 1);
    return 0;
}

int fv_pg_target_parse(const char *path, const flagver_allocator *memory,
                       struct fv_pg_target *ret_target, flagver_error *err)
{
    struct fv_pg_target target = { .pool = POOL, .statement_ms = STATEMENT_MS, .idle_ms = IDLE_MS };
    struct fv_text uri = FV_TEXT_INIT;
    int r;

    r = parse(path, &target, &uri, err);
    if (r == 0)
        r = keep(&uri, path, memory, &target, err);
    fv_text_clear(&uri);
    if (r == 0)
        *ret_target = target;
    return r;
}

void fv_pg_target_clear(struct fv_pg_target *target, const flagver_allocator *memory)
{
    fv_release(memory, target->uri);
    fv_release(memory, target->shown);
    target->uri = target->shown = NULL;
}
