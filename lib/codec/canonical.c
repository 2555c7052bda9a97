#include "codec/canonical.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "util/fail.h"
#include "util/memory.h"

/* --- strings --- */

static void add_escape(struct fv_text *out, unsigned char c)
{
    static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
    static const char digits[] = "0123456789abcdef";
    const char *meaning = memchr(meanings, c, sizeof meanings - 1);
    char escape[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

    if (meaning)
        escape[1] = letters[meaning - meanings];
    fv_text_add_bytes(out, escape, meaning ? 2 : 6);
}

void fv_canonical_string(struct fv_text *out, const char *text, size_t length)
{
    size_t from = 0, at;
    unsigned char c;

    fv_text_add_char(out, '"');
    for (at = 0; at < length; at++) {
        c = (unsigned char)text[at];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        fv_text_add_bytes(out, text + from, at - from);
        add_escape(out, c);
        from = at + 1;
    }
    fv_text_add_bytes(out, text + from, length - from);
    fv_text_add_char(out, '"');
}

/* --- numbers --- */

/* The decimal digits of a number, right-aligned in `out`; returns where they begin. */
static char *to_digits(uint64_t number, char out[20])
{
    char *at = out + 20;

    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return at;
}

void fv_canonical_integer(struct fv_text *out, int64_t value)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char digits[20], *at;

    at = to_digits(magnitude, digits);
    if (value < 0)
        fv_text_add_char(out, '-');
    fv_text_add_bytes(out, at, (size_t)(digits + 20 - at));
}

static void add_zeros(struct fv_text *out, int count)
{
    for (; count > 0; count--)
        fv_text_add_char(out, '0');
}

/* 0.d1d2d3… times ten to `point`, as "%.*g" with `count` digits lays it out. The
 * last digit is not 0. */
static void add_decimal(struct fv_text *out, const char *digits, int count, int point)
{
    if (point < -3 || point > count) {
        fv_text_add_char(out, digits[0]);
        if (count > 1) {
            fv_text_add_char(out, '.');
            fv_text_add_bytes(out, digits + 1, (size_t)count - 1);
        }
        fv_text_format(out, "e%+03d", point - 1);
    } else if (point <= 0) {
        fv_text_add(out, "0.");
        add_zeros(out, -point);
        fv_text_add_bytes(out, digits, (size_t)count);
    } else {
        fv_text_add_bytes(out, digits, (size_t)point);
        fv_text_add_char(out, '.');
        if (point == count)
            fv_text_add_char(out, '0');
        fv_text_add_bytes(out, digits + point, (size_t)(count - point));
    }
}

static int without_zeros(const char *digits, int count)
{
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/*
 * Reals that are a whole number, or a few decimals, of at most 15 digits: most
 * of those that people write. The division is rounded once, from two exact
 * doubles, so it gives what reading the decimal would. No other decimal of 15
 * digits or fewer reads as the same double (DBL_DIG).
 */
static bool add_short_real(struct fv_text *out, double value)
{
    static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6 };
    char digits[20], *at;
    uint64_t number;
    size_t places;
    int count;

    if (FLT_EVAL_METHOD != 0)
        return false;
    for (places = 0; places < sizeof powers / sizeof powers[0]; places++) {
        if (value * powers[places] > 999999999999999.0)
            return false;
        number = (uint64_t)(value * powers[places] + 0.5);
        if ((double)number / powers[places] != value)
            continue;
        at = to_digits(number, digits);
        count = (int)(digits + 20 - at);
        add_decimal(out, at, without_zeros(at, count), count - (int)places);
        return true;
    }
    return false;
}

/*
 * Writes `count` significant digits to `digits` and returns the exponent of the
 * first. What lies between the digits is the host's decimal point, whatever it
 * is; strtod() wants the same one, so it reads the text before it is taken apart.
 */
static int round_to(double value, int count, char digits[17], bool *ret_equal)
{
    char text[64];
    const char *at;
    int written = 0;

    snprintf(text, sizeof text, "%.*e", count - 1, value);
    *ret_equal = strtod(text, NULL) == value;
    for (at = text; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            digits[written++] = *at;
    return (int)strtol(at + 1, NULL, 10);
}

static void add_long_real(struct fv_text *out, double value)
{
    /* Fewer than 15 digits that read back equal are the same as 15 of which the
     * last are zeros; only below DBL_MIN a double keeps fewer. */
    int count = value < DBL_MIN ? 1 : DBL_DIG, exponent;
    char digits[17];
    bool equal;

    exponent = round_to(value, count, digits, &equal);
    while (!equal && count < DBL_DECIMAL_DIG)
        exponent = round_to(value, ++count, digits, &equal);
    add_decimal(out, digits, without_zeros(digits, count), exponent + 1);
}

void fv_canonical_real(struct fv_text *out, double value)
{
    if (!isfinite(value)) {
        fv_text_add(out, "null");
        return;
    }
    if (value == 0) {
        fv_text_add(out, "0.0");
        return;
    }

    if (value < 0)
        fv_text_add_char(out, '-');
    value = fabs(value);
    if (!add_short_real(out, value))
        add_long_real(out, value);
}

/* --- trees --- */

struct entry {
    const char *key;
    size_t length;
    const json_t *value;
};

/* The entries of all objects being written, the innermost's last. */
struct writer {
    struct fv_text *out;
    struct entry *entries;
    size_t count, capacity;
    flagver_error *err;
};

static int write_value(struct writer *writer, const json_t *value, int depth);

static int compare_entries(const void *one, const void *other)
{
    const struct entry *a = one, *b = other;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->key, b->key, shorter);

    if (order)
        return order;
    return (a->length > b->length) - (a->length < b->length);
}

static size_t key_length(void *iterator, const char *key)
{
#if JANSSON_VERSION_HEX >= 0x020E00
    (void)key;
    return json_object_iter_key_len(iterator);
#else
    (void)iterator;
    return strlen(key);
#endif
}

static int no_memory(struct writer *writer)
{
    writer->out->failed = true;
    return fv_fail_memory(writer->err);
}

/* Adds the members of an object to the entries, in their order. */
static int collect(struct writer *writer, json_t *object)
{
    size_t first = writer->count;
    bool sorted = true;
    struct entry *entry;
    void *iterator;

    for (iterator = json_object_iter(object); iterator;
         iterator = json_object_iter_next(object, iterator)) {
        if (!fv_grow(NULL, (void **)&writer->entries, &writer->capacity, writer->count,
                     sizeof *writer->entries))
            return no_memory(writer);
        entry = &writer->entries[writer->count++];
        entry->key = json_object_iter_key(iterator);
        entry->length = key_length(iterator, entry->key);
        entry->value = json_object_iter_value(iterator);
        if (memchr(entry->key, 0, entry->length))
            return fv_fail(writer->err, FLAGVER_EINVAL, "key \"%.100s\" holds a NUL", entry->key);
        if (sorted && writer->count > first + 1)
            sorted = compare_entries(entry - 1, entry) < 0;
    }
    if (!sorted)
        qsort(writer->entries + first, writer->count - first, sizeof *writer->entries,
              compare_entries);
    return 0;
}

static int write_object(struct writer *writer, const json_t *object, int depth)
{
    size_t first = writer->count, end, i;
    int r;

    r = collect(writer, (json_t *)object);
    end = writer->count;

    fv_text_add_char(writer->out, '{');
    for (i = first; r == 0 && i < end; i++) {
        if (i > first)
            fv_text_add_char(writer->out, ',');
        fv_canonical_string(writer->out, writer->entries[i].key, writer->entries[i].length);
        fv_text_add_char(writer->out, ':');
        r = write_value(writer, writer->entries[i].value, depth + 1);
    }
    fv_text_add_char(writer->out, '}');

    writer->count = first;
    return r;
}

static int write_array(struct writer *writer, const json_t *array, int depth)
{
    size_t count = json_array_size(array), i;
    int r = 0;

    fv_text_add_char(writer->out, '[');
    for (i = 0; r == 0 && i < count; i++) {
        if (i)
            fv_text_add_char(writer->out, ',');
        r = write_value(writer, json_array_get(array, i), depth + 1);
    }
    fv_text_add_char(writer->out, ']');
    return r;
}

static int write_string(struct writer *writer, const json_t *string)
{
    const char *text = json_string_value(string);
    size_t length = json_string_length(string);

    if (memchr(text, 0, length))
        return fv_fail(writer->err, FLAGVER_EINVAL, "string \"%.100s\" holds a NUL", text);
    fv_canonical_string(writer->out, text, length);
    return 0;
}

static int write_value(struct writer *writer, const json_t *value, int depth)
{
    if (writer->out->failed)
        return fv_fail_memory(writer->err);
    if (depth > FV_JSON_DEPTH)
        return fv_fail(writer->err, FLAGVER_EINVAL, "value is nested deeper than %d",
                       FV_JSON_DEPTH);

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(writer, value, depth);
    case JSON_ARRAY:
        return write_array(writer, value, depth);
    case JSON_STRING:
        return write_string(writer, value);
    case JSON_INTEGER:
        fv_canonical_integer(writer->out, json_integer_value(value));
        return 0;
    case JSON_REAL:
        fv_canonical_real(writer->out, json_real_value(value));
        return 0;
    case JSON_TRUE:
        fv_text_add(writer->out, "true");
        return 0;
    case JSON_FALSE:
        fv_text_add(writer->out, "false");
        return 0;
    case JSON_NULL:
        fv_text_add(writer->out, "null");
        return 0;
    }
    return fv_fail(writer->err, FLAGVER_EINVAL, "value is of no JSON type");
}

int fv_canonical_write(struct fv_text *out, const json_t *value, flagver_error *err)
{
    struct writer writer = { .out = out, .err = err };
    size_t before = out->length;
    int r;

    if (!value)
        return fv_fail(err, FLAGVER_EINVAL, "there is no value to write");

    r = write_value(&writer, value, 1);
    if (r == 0 && out->failed)
        r = fv_fail_memory(err);
    if (r < 0 && out->capacity) {
        out->length = before;
        out->data[before] = 0;
    }
    free(writer.entries);
    return r;
}
