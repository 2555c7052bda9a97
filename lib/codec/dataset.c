#include "codec/dataset.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/reading.h"
#include "flagver/dataset.h"
#include "model/datetime.h"
#include "util/fail.h"
#include "util/utf8.h"

#define HEX_LENGTH 64u
#define NAME_SHOWN 400
#define WORDS_SHOWN 500

/* ---- words ---- */

int fv_dataset_refuse(flagver_error *err, const struct fv_dataset_place *place, int32_t column,
                      const char *format, ...)
{
    char words[FLAGVER_MESSAGE_SIZE], shown[WORDS_SHOWN + 1], name[NAME_SHOWN + 1];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    fv_json_shorten(shown, WORDS_SHOWN, WORDS_SHOWN * 3 / 4, words, strlen(words));
    fv_json_shorten(name, NAME_SHOWN, NAME_SHOWN / 2, place->name, strlen(place->name));
    if (column)
        fv_fail(err, FLAGVER_EPARSE, "%s:%" PRIu64 ":%d: %s", name, place->number, (int)column,
                shown);
    else
        fv_fail(err, FLAGVER_EPARSE, "%s:%" PRIu64 ": %s", name, place->number, shown);
    if (err) {
        err->line = place->number > INT32_MAX ? INT32_MAX : (int32_t)place->number;
        err->column = column;
    }
    return FLAGVER_EPARSE;
}

/* An error about a text of its own, "line 1, column 7: why", is one about this line. */
static int relocate(const flagver_error *found, const struct fv_dataset_place *place,
                    flagver_error *err)
{
    const char *words;

    if (found->code != FLAGVER_EPARSE) {
        if (err)
            *err = *found;
        return found->code;
    }
    words = strstr(found->message, ": ");
    return fv_dataset_refuse(err, place, found->column, "%s", words ? words + 2 : found->message);
}

const char *fv_dataset_key_fault(const char *key, size_t length, char words[FV_DATASET_WORDS])
{
    size_t i;

    if (length < 1 || length > FLAGVER_DATASET_KEY_LIMIT)
        snprintf(words, FV_DATASET_WORDS, "is %zu bytes; 1 to %d allowed", length,
                 FLAGVER_DATASET_KEY_LIMIT);
    else if (!fv_utf8_valid(key, length))
        snprintf(words, FV_DATASET_WORDS, "is not UTF-8");
    else {
        for (i = 0; i < length; i++)
            if ((unsigned char)key[i] < 0x20 || key[i] == 0x7f)
                break;
        if (i == length)
            return NULL;
        snprintf(words, FV_DATASET_WORDS, "has a control character at byte %zu", i);
    }
    return words;
}

static int check_key(const struct fv_text *key, const struct fv_dataset_place *place,
                     flagver_error *err)
{
    char words[FV_DATASET_WORDS];

    if (key->failed)
        return fv_fail_memory(err);
    if (fv_dataset_key_fault(key->data, key->length, words))
        return fv_dataset_refuse(err, place, 0, "the key %s", words);
    return 0;
}

/* ---- writing ---- */

static void add_hash(struct fv_text *out, const uint8_t sha256[32])
{
    static const char digits[] = "0123456789abcdef";
    char hex[HEX_LENGTH];
    size_t i;

    for (i = 0; i < 32; i++) {
        hex[2 * i] = digits[sha256[i] >> 4];
        hex[2 * i + 1] = digits[sha256[i] & 15];
    }
    fv_text_add(out, "\"sha256\":\"");
    fv_text_add_bytes(out, hex, sizeof hex);
    fv_text_add_char(out, '"');
}

static void add_text(struct fv_text *out, const char *name, const char *text)
{
    fv_text_format(out, ",\"%s\":", name);
    if (text)
        fv_canonical_string(out, text, strlen(text));
    else
        fv_text_add(out, "null");
}

void fv_dataset_write_head(struct fv_text *out, const struct fv_dataset_head *head)
{
    char time[FV_DATETIME_SIZE];

    fv_datetime_format(head->time, time);
    fv_text_format(out, "{\"flagver\":\"snapshot\",\"form\":%d", FV_DATASET_FORM);
    add_text(out, "phase", head->phase);
    add_text(out, "prefix", head->prefix);
    add_text(out, "time", time);
    fv_text_add(out, "}\n");
}

void fv_dataset_write_record(struct fv_text *out, const char *key, size_t key_length,
                             const char *value, size_t value_length, const uint8_t sha256[32])
{
    fv_text_add(out, "{\"key\":");
    fv_canonical_string(out, key, key_length);
    fv_text_add_char(out, ',');
    add_hash(out, sha256);
    fv_text_add(out, ",\"value\":");
    fv_text_add_bytes(out, value, value_length);
    fv_text_add(out, "}\n");
}

void fv_dataset_write_end(struct fv_text *out, uint64_t records, const uint8_t sha256[32])
{
    fv_text_format(out, "{\"records\":%" PRIu64 ",", records);
    add_hash(out, sha256);
    fv_text_add(out, "}\n");
}

/* ---- cutting ---- */

/* What is left of a line. */
struct cutter {
    const char *at, *end;
};

static bool skip(struct cutter *cutter, const char *text)
{
    size_t length = strlen(text);

    if ((size_t)(cutter->end - cutter->at) < length || memcmp(cutter->at, text, length) != 0)
        return false;
    cutter->at += length;
    return true;
}

/* A string as canonical JSON has it: a key has no characters that need other escapes. */
static bool cut_string(struct cutter *cutter, struct fv_text *out)
{
    const char *start;

    if (!skip(cutter, "\""))
        return false;
    for (;;) {
        start = cutter->at;
        while (cutter->at < cutter->end && *cutter->at != '"' && *cutter->at != '\\')
            cutter->at++;
        fv_text_add_bytes(out, start, (size_t)(cutter->at - start));
        if (cutter->end - cutter->at < 2)
            return false;
        if (*cutter->at++ == '"')
            return true;
        if (*cutter->at != '"' && *cutter->at != '\\')
            return false;
        fv_text_add_char(out, *cutter->at++);
    }
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool cut_hash(struct cutter *cutter, uint8_t ret_sha256[32])
{
    int high, low;
    size_t i;

    if (!skip(cutter, "\"sha256\":\"") || (size_t)(cutter->end - cutter->at) < HEX_LENGTH)
        return false;
    for (i = 0; i < 32; i++) {
        high = digit_of(*cutter->at++);
        low = digit_of(*cutter->at++);
        if (high < 0 || low < 0)
            return false;
        ret_sha256[i] = (uint8_t)(high << 4 | low);
    }
    return skip(cutter, "\"");
}

static bool cut_count(struct cutter *cutter, uint64_t *ret_count)
{
    const char *start = cutter->at;
    uint64_t count = 0;

    for (; cutter->at < cutter->end && *cutter->at >= '0' && *cutter->at <= '9'; cutter->at++)
        count = count * 10 + (uint64_t)(*cutter->at - '0');
    *ret_count = count;
    return cutter->at > start && cutter->at - start < 19 &&
           (*start != '0' || cutter->at - start == 1);
}

int fv_dataset_read_record(const char *text, size_t length, const struct fv_dataset_place *place,
                           struct fv_text *key, const char **ret_value, size_t *ret_value_length,
                           uint8_t ret_sha256[32], flagver_error *err)
{
    struct cutter cutter = { text, text + length };

    fv_text_reset(key);
    if (!skip(&cutter, "{\"key\":") || !cut_string(&cutter, key) || !skip(&cutter, ",") ||
        !cut_hash(&cutter, ret_sha256) || !skip(&cutter, ",\"value\":") ||
        cutter.end - cutter.at < 2 || cutter.end[-1] != '}')
        return fv_dataset_refuse(err, place, 0, "is not a record of a snapshot");
    *ret_value = cutter.at;
    *ret_value_length = (size_t)(cutter.end - cutter.at) - 1;
    return check_key(key, place, err);
}

bool fv_dataset_is_end(const char *text, size_t length)
{
    struct cutter cutter = { text, text + length };

    return skip(&cutter, "{\"records\":");
}

int fv_dataset_read_end(const char *text, size_t length, const struct fv_dataset_place *place,
                        uint64_t *ret_records, uint8_t ret_sha256[32], flagver_error *err)
{
    struct cutter cutter = { text, text + length };

    if (!skip(&cutter, "{\"records\":") || !cut_count(&cutter, ret_records) ||
        !skip(&cutter, ",") || !cut_hash(&cutter, ret_sha256) || !skip(&cutter, "}") ||
        cutter.at != cutter.end)
        return fv_dataset_refuse(err, place, 0, "is not the last line of a snapshot");
    return 0;
}

/* ---- reading ---- */

bool fv_dataset_is_head(const char *text, size_t length)
{
    struct cutter cutter = { text, text + length };

    return skip(&cutter, "{\"flagver\":");
}

static int read_head(const struct fv_reading *reading, const json_t *root)
{
    static const char *const names[] = { "flagver", "form", "phase", "prefix", "time" };
    json_t *values[5];
    int r = fv_read_fields(reading, NULL, root, names, 5, values);
    const char *kind;

    if (r < 0)
        return r;
    kind = json_string_value(values[0]);
    if (!kind || strcmp(kind, "snapshot") != 0)
        return fv_refuse(reading, fv_at_key(NULL, names[0]), "must be \"snapshot\"");
    if (!json_is_integer(values[1]))
        return fv_refuse(reading, NULL, "form is missing");
    if (json_integer_value(values[1]) != FV_DATASET_FORM)
        return fv_refuse(reading, fv_at_key(NULL, names[1]),
                         "form %" JSON_INTEGER_FORMAT " is not one that is known; %d is",
                         json_integer_value(values[1]), FV_DATASET_FORM);
    return 0;
}

int fv_dataset_read_head(const char *text, size_t length, const struct fv_dataset_place *place,
                         flagver_error *err)
{
    flagver_error found = { 0 };
    const struct fv_reading reading = { text, length, NULL, &found };
    json_t *root;
    int r;

    r = fv_json_parse(text, length, NULL, &root, &found);
    if (r == 0) {
        r = read_head(&reading, root);
        json_decref(root);
    }
    return r < 0 ? relocate(&found, place, err) : 0;
}

static int read_loose(const struct fv_reading *reading, const json_t *root, struct fv_text *key,
                      struct fv_text *value)
{
    static const char *const names[] = { "key", "value" };
    char words[FV_DATASET_WORDS];
    json_t *values[2];
    int r = fv_read_fields(reading, NULL, root, names, 2, values);

    if (r < 0)
        return r;
    if (!values[0] || !values[1])
        return fv_refuse(reading, NULL, "%s is missing", values[0] ? "value" : "key");
    r = fv_expect_string(reading, fv_at_key(NULL, "key"), values[0]);
    if (r < 0)
        return r;
    fv_text_add_bytes(key, json_string_value(values[0]), json_string_length(values[0]));
    if (key->failed)
        return fv_fail_memory(reading->err);
    if (fv_dataset_key_fault(key->data, key->length, words))
        return fv_refuse(reading, fv_at_key(NULL, "key"), "%s", words);
    return fv_canonical_write(value, values[1], reading->err);
}

int fv_dataset_read_loose(const char *text, size_t length, const struct fv_dataset_place *place,
                          struct fv_text *key, struct fv_text *value, flagver_error *err)
{
    flagver_error found = { 0 };
    const struct fv_reading reading = { text, length, NULL, &found };
    json_t *root;
    int r;

    fv_text_reset(key);
    fv_text_reset(value);
    r = fv_json_parse(text, length, NULL, &root, &found);
    if (r == 0) {
        r = read_loose(&reading, root, key, value);
        json_decref(root);
    }
    return r < 0 ? relocate(&found, place, err) : 0;
}
