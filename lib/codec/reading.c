#include "codec/reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/json.h"
#include "codec/position.h"
#include "model/datetime.h"
#include "model/schedule.h"
#include "util/fail.h"
#include "util/hash.h"
#include "util/utf8.h"

void fv_place_write(const struct fv_place *place, struct fv_text *pointer)
{
    if (!place)
        return;
    fv_place_write(place->up, pointer);
    if (place->key)
        fv_pointer_add(pointer, place->key, strlen(place->key));
    else
        fv_pointer_add_index(pointer, place->index);
}

static int refuse(const struct fv_reading *reading, const struct fv_place *place, bool at_key,
                  const char *format, va_list arguments)
{
    struct fv_text pointer = FV_TEXT_INIT;
    char why[FLAGVER_MESSAGE_SIZE];
    int r;

    if (!reading->err)
        return FLAGVER_EPARSE;
    vsnprintf(why, sizeof why, format, arguments);
    fv_place_write(place, &pointer);
    if (pointer.failed)
        r = fv_fail_memory(reading->err);
    else
        r = fv_json_fail(reading->err, reading->text, reading->length, reading->name, pointer.data,
                         at_key, "%s", why);
    fv_text_clear(&pointer);
    return r;
}

int fv_refuse(const struct fv_reading *reading, const struct fv_place *place, const char *format,
              ...)
{
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = refuse(reading, place, false, format, arguments);
    va_end(arguments);
    return r;
}

int fv_refuse_key(const struct fv_reading *reading, const struct fv_place *place,
                  const char *format, ...)
{
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = refuse(reading, place, true, format, arguments);
    va_end(arguments);
    return r;
}

const char *fv_json_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

static int unknown_key(const struct fv_reading *reading, const struct fv_place *place,
                       const char *key, const char *const *names, size_t count)
{
    char known[512] = "";
    size_t length = 0, i;

    for (i = 0; i < count && length < sizeof known; i++)
        length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                                   names[i]);
    return fv_refuse_key(reading, fv_at_key(place, key), "unknown key \"%.100s\"; known are %s",
                         key, known);
}

int fv_read_fields(const struct fv_reading *reading, const struct fv_place *place,
                   const json_t *value, const char *const *names, size_t count, json_t **values)
{
    const char *key;
    json_t *member;
    size_t i;
    int r;

    r = fv_expect_object(reading, place, value);
    if (r < 0)
        return r;

    memset(values, 0, count * sizeof(values[0]));
    json_object_foreach((json_t *)value, key, member)
    {
        for (i = 0; i < count; i++)
            if (key[0] == names[i][0] && strcmp(key, names[i]) == 0)
                break;
        if (i == count)
            return unknown_key(reading, place, key, names, count);
        values[i] = member;
    }
    return 0;
}

int fv_read_bool(const struct fv_reading *reading, const struct fv_place *place,
                 const json_t *value, bool *ret_value)
{
    if (!json_is_boolean(value))
        return fv_refuse(reading, place, "must be true or false, not %s", fv_json_kind(value));
    *ret_value = json_is_true(value);
    return 0;
}

int fv_expect_string(const struct fv_reading *reading, const struct fv_place *place,
                     const json_t *value)
{
    if (!json_is_string(value))
        return fv_refuse(reading, place, "must be a string, not %s", fv_json_kind(value));
    return 0;
}

int fv_expect_array(const struct fv_reading *reading, const struct fv_place *place,
                    const json_t *value, bool may_be_empty)
{
    if (!json_is_array(value))
        return fv_refuse(reading, place, "must be an array, not %s", fv_json_kind(value));
    if (!may_be_empty && json_array_size(value) == 0)
        return fv_refuse(reading, place, "must not be empty");
    return 0;
}

int fv_expect_object(const struct fv_reading *reading, const struct fv_place *place,
                     const json_t *value)
{
    if (!json_is_object(value))
        return fv_refuse(reading, place, "must be an object, not %s", fv_json_kind(value));
    return 0;
}

/* C0, DEL and C1: Unicode's category Cc. */
static bool has_control_character(const char *name, size_t length)
{
    const char *at = name, *end = name + length;
    uint32_t c;

    while (at < end) {
        c = fv_utf8_next(&at, end);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            return true;
    }
    return false;
}

int fv_expect_name(const struct fv_reading *reading, const struct fv_place *place, const char *name,
                   size_t length, size_t limit, const char *what)
{
    if (length < 1 || length > limit)
        return fv_refuse_key(reading, place, "%s is %zu bytes; 1 to %zu allowed", what, length,
                             limit);
    if (!fv_utf8_valid(name, length)) /* one that did not come out of a JSON text */
        return fv_refuse_key(reading, place, "%s is not UTF-8", what);
    if (has_control_character(name, length))
        return fv_refuse_key(reading, place, "%s holds a control character", what);
    return 0;
}

bool fv_percentage_check(double percentage, uint32_t *ret_threshold,
                         char words[FV_PERCENTAGE_WORDS])
{
    double thousandths;

    if (!(percentage >= 0 && percentage <= 100)) {
        snprintf(words, FV_PERCENTAGE_WORDS, "percentage is %g; 0 to 100 allowed", percentage);
        return false;
    }
    /* A number of at most three decimals is the double nearest to thousandths / 1000. */
    thousandths = (double)(int32_t)(percentage * 1000 + 0.5);
    if (thousandths / 1000 != percentage) {
        snprintf(words, FV_PERCENTAGE_WORDS, "percentage has more than three decimals");
        return false;
    }
    *ret_threshold = (uint32_t)thousandths;
    return true;
}

int fv_read_percentage(const struct fv_reading *reading, const struct fv_place *place,
                       const json_t *value, uint32_t *ret_threshold)
{
    char words[FV_PERCENTAGE_WORDS];

    if (!json_is_number(value))
        return fv_refuse(reading, place, "must be a number from 0 to 100, not %s",
                         fv_json_kind(value));
    if (!fv_percentage_check(json_number_value(value), ret_threshold, words))
        return fv_refuse(reading, place, "%s", words);
    return 0;
}

int fv_read_datetime(const struct fv_reading *reading, const struct fv_place *place,
                     const json_t *value, int64_t *ret_ms)
{
    int r = fv_expect_string(reading, place, value);

    if (r < 0)
        return r;
    if (!fv_datetime_parse(json_string_value(value), json_string_length(value), ret_ms))
        return fv_refuse(reading, place,
                         "\"%.60s\" is no RFC 3339 date and time such as 2026-01-31T12:00:00Z",
                         json_string_value(value));
    return 0;
}

static uint64_t hash_word(uint64_t state, uint64_t word)
{
    return fv_hash_mix(state ^ word, FV_HASH_B) + FV_HASH_A;
}

static uint64_t hash_bytes(uint64_t state, const char *bytes, size_t length)
{
    return hash_word(hash_word(state, length), fv_hash(bytes, length));
}

static uint64_t hash_members(const json_t *value, uint64_t state)
{
    const char *key;
    json_t *member;

    json_object_foreach((json_t *)value, key, member)
        state = fv_json_hash(member, hash_bytes(state, key, strlen(key)));
    /* Where the object ends: or a member could move to the one around it unseen. */
    return hash_word(state, json_object_size(value));
}

/* Recursion is as deep as the parser allows JSON to nest. */
uint64_t fv_json_hash(const json_t *value, uint64_t state)
{
    uint64_t bits;
    double real;
    size_t i;

    if (!value)
        return hash_word(state, UINT64_MAX);
    state = hash_word(state, (uint64_t)json_typeof(value));
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return hash_members(value, state);
    case JSON_ARRAY:
        for (i = 0; i < json_array_size(value); i++)
            state = fv_json_hash(json_array_get(value, i), state);
        return hash_word(state, json_array_size(value));
    case JSON_STRING:
        return hash_bytes(state, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return hash_word(state, (uint64_t)json_integer_value(value));
    case JSON_REAL:
        real = json_real_value(value);
        memcpy(&bits, &real, sizeof bits);
        return hash_word(state, bits);
    default:
        return state;
    }
}
