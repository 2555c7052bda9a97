#include "codec/json.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/position.h"
#include "util/fail.h"
#include "util/memory.h"
#include "util/utf8.h"

_Static_assert(sizeof(json_int_t) == sizeof(int64_t), "integers are 64 bits wide");

/* --- the words of an error --- */

/* Room of a message: for name, pointer and reason together, and for the first two at least. */
#define ROOM (FLAGVER_MESSAGE_SIZE - 1 - sizeof "line 2147483647, column 2147483647: : ")
#define PLACE_ROOM ((size_t)280)

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

void fv_json_shorten(char *out, size_t room, size_t head, const char *text, size_t length)
{
    static const char dots[] = "\xE2\x80\xA6";
    const size_t width = sizeof dots - 1;
    size_t tail;

    if (length <= room) {
        memcpy(out, text, length);
        out[length] = 0;
        return;
    }

    if (head > room - width)
        head = room - width;
    tail = length - (room - width - head);
    while (head && is_continuation(text[head]))
        head--;
    while (tail < length && is_continuation(text[tail]))
        tail++;

    memcpy(out, text, head);
    memcpy(out + head, dots, width);
    memcpy(out + head + width, text + tail, length - tail);
    out[head + width + length - tail] = 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int fail_at(flagver_error *err, const char *name, const struct fv_position *place,
                   const char *pointer, const char *why)
{
    char words[ROOM + 1], file[ROOM + 1], value[ROOM + 1], *c;
    size_t room, share, name_length = name ? strlen(name) : 0;

    if (!*pointer)
        pointer = "(root)";
    room = ROOM - smaller(name_length + strlen(pointer), PLACE_ROOM);
    fv_json_shorten(words, room, room, why, strlen(why));

    /* Of a file's name the end says most; of a pointer both ends do. */
    room = ROOM - strlen(words);
    share = room - smaller(strlen(pointer), room / 2);
    fv_json_shorten(file, share, 0, name ? name : "", name_length);
    room -= strlen(file);
    fv_json_shorten(value, room, room / 2, pointer, strlen(pointer));

    if (name)
        fv_fail(err, FLAGVER_EPARSE, "%s:%d:%d: %s: %s", file, (int)place->line, (int)place->column,
                value, words);
    else
        fv_fail(err, FLAGVER_EPARSE, "line %d, column %d: %s: %s", (int)place->line,
                (int)place->column, value, words);

    err->line = place->line;
    err->column = place->column;
    for (c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    return FLAGVER_EPARSE;
}

int fv_json_fail(flagver_error *err, const char *text, size_t length, const char *name,
                 const char *pointer, bool at_key, const char *format, ...)
{
    char why[FLAGVER_MESSAGE_SIZE];
    struct fv_position place;
    va_list arguments;

    if (!err)
        return FLAGVER_EPARSE;

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);

    fv_position_find(text, length, pointer, at_key, &place);
    return fail_at(err, name, &place, pointer, why);
}

/* --- the reader --- */

/*
 * The tree is jansson's, but not read by json_loadb(): when memory is short, as
 * of 2.14, that aborts the process (an assertion in lex_unget_unsave) or loses
 * bytes of a string and reports success, because strbuffer_append_byte()'s
 * result is ignored; and it aborts where the locale's decimal point is longer
 * than a byte (ps_AF). The reader that finds the places of errors has to know
 * all of the grammar anyway. tests/fuzz compares the two.
 */
struct reader {
    struct fv_scan scan;
    struct fv_text key; /* of the member being read */
    struct fv_text scratch;
    json_t *root;
    json_t **open; /* the containers around the token; they belong to the root */
    size_t capacity;
    const char *name;
    flagver_error *err;
};

static int refuse(const struct reader *reader, size_t offset, const char *format, ...)
    FV_TEXT_FORMAT(3, 4);

static int refuse(const struct reader *reader, size_t offset, const char *format, ...)
{
    struct fv_text pointer = FV_TEXT_INIT;
    char why[FLAGVER_MESSAGE_SIZE];
    struct fv_position place;
    va_list arguments;

    if (!reader->err)
        return FLAGVER_EPARSE;

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);

    fv_position_at(reader->scan.text, reader->scan.length, offset, &place);
    fv_scan_pointer(&reader->scan, &pointer);
    fail_at(reader->err, reader->name, &place, pointer.data, why);
    fv_text_clear(&pointer);
    return FLAGVER_EPARSE;
}

/* The token as it is written, shortened. */
static const char *token_text(const struct reader *reader, char out[64])
{
    const struct fv_token *token = &reader->scan.token;

    fv_json_shorten(out, 63, 48, reader->scan.text + token->start, token->end - token->start);
    return out;
}

static int refuse_too_deep(const struct reader *reader)
{
    return refuse(reader, reader->scan.token.start, "nested deeper than %d", FV_JSON_DEPTH);
}

/* --- what is wrong with a text --- */

static const char *found(const struct reader *reader, char out[64])
{
    switch (reader->scan.token.kind) {
    case '"':
        return "a string";
    case '0':
        return "a number";
    case 'a':
        return token_text(reader, out);
    default:
        snprintf(out, 64, "'%c'", reader->scan.token.kind);
        return out;
    }
}

static int refuse_end(const struct reader *reader)
{
    const struct fv_scan *scan = &reader->scan;
    bool object;

    if (scan->depth == 0)
        return refuse(reader, scan->fault_at, "text is empty; a JSON value was expected");
    object = scan->levels[scan->depth - 1].object;
    return refuse(reader, scan->fault_at, "text ends inside %s", object ? "an object" : "an array");
}

static int refuse_unexpected(const struct reader *reader)
{
    const struct fv_scan *scan = &reader->scan;
    const char *wanted = "";
    char out[64];

    if (scan->token.kind == 0)
        return refuse_end(reader);

    switch (scan->state) {
    case FV_EXPECT_VALUE:
        wanted = "a value";
        break;
    case FV_EXPECT_VALUE_OR_END:
        wanted = "a value or ']'";
        break;
    case FV_EXPECT_KEY:
        wanted = "a key in double quotes";
        break;
    case FV_EXPECT_KEY_OR_END:
        wanted = "a key in double quotes or '}'";
        break;
    case FV_EXPECT_COLON:
        wanted = "':' after the key";
        break;
    case FV_EXPECT_COMMA_OR_END:
        wanted = scan->levels[scan->depth - 1].object ? "',' or '}'" : "',' or ']'";
        break;
    case FV_EXPECT_NOTHING:
        return refuse(reader, scan->fault_at, "text goes on after the value");
    }

    if ((scan->state == FV_EXPECT_KEY && scan->token.kind == '}') ||
        (scan->state == FV_EXPECT_VALUE && scan->token.kind == ']' && scan->depth &&
         !scan->levels[scan->depth - 1].object))
        return refuse(reader, scan->fault_at, "a comma stands before '%c'", scan->token.kind);
    return refuse(reader, scan->fault_at, "expected %s, found %s", wanted, found(reader, out));
}

static int refuse_character(const struct reader *reader)
{
    const struct fv_scan *scan = &reader->scan;
    const char *at = scan->text + scan->fault_at, *next = at;
    size_t length = scan->token.end - scan->token.start;
    uint32_t code_point;

    if (*at == '\'')
        return refuse(reader, scan->fault_at, "strings stand in double quotes");
    if (*at == '/')
        return refuse(reader, scan->fault_at, "unexpected '/'; there are no comments in JSON");
    if (length > 1) { /* often one that looks like a space or a quote */
        code_point = fv_utf8_next(&next, at + length);
        return refuse(reader, scan->fault_at, "unexpected character '%.*s' (U+%04X)", (int)length,
                      at, (unsigned)code_point);
    }
    if ((unsigned char)*at < 0x20 || *at == 0x7F)
        return refuse(reader, scan->fault_at, "unexpected control character 0x%02x",
                      (unsigned)(unsigned char)*at);
    return refuse(reader, scan->fault_at, "unexpected character '%c'", *at);
}

static int refuse_escape(const struct reader *reader)
{
    const struct fv_scan *scan = &reader->scan;
    const char *at = scan->text + scan->fault_at;

    if (scan->fault == FV_FAULT_NUL_ESCAPE)
        return refuse(reader, scan->fault_at, "NUL is not allowed in a string (\\u0000)");
    if (scan->fault == FV_FAULT_SURROGATE)
        return refuse(reader, scan->fault_at, "%.6s is half of a surrogate pair", at);
    if (at[1] == 'u')
        return refuse(reader, scan->fault_at, "\\u wants four hexadecimal digits behind it");
    if (at[1] > 0x20 && at[1] < 0x7F)
        return refuse(reader, scan->fault_at, "\\%c is no escape; \\\\ is a backslash", at[1]);
    return refuse(reader, scan->fault_at, "\\ begins no escape here; \\\\ is a backslash");
}

static int refuse_fault(const struct reader *reader)
{
    const struct fv_scan *scan = &reader->scan;
    unsigned byte = scan->fault_at < scan->length ? (unsigned char)scan->text[scan->fault_at] : 0;
    char out[64];

    switch (scan->fault) {
    case FV_FAULT_UNEXPECTED:
        return refuse_unexpected(reader);
    case FV_FAULT_CHARACTER:
        return refuse_character(reader);
    case FV_FAULT_UTF8:
        return refuse(reader, scan->fault_at, "byte 0x%02x is not UTF-8", byte);
    case FV_FAULT_NUL:
        return refuse(reader, scan->fault_at, "NUL is not allowed in a text");
    case FV_FAULT_NUMBER:
        return refuse(reader, scan->fault_at, "malformed number %s", token_text(reader, out));
    case FV_FAULT_WORD:
        return refuse(reader, scan->fault_at, "unknown word %s; true, false and null are known",
                      token_text(reader, out));
    case FV_FAULT_OPEN:
        return refuse(reader, scan->fault_at, "text ends inside a string");
    case FV_FAULT_LINE:
        return refuse(reader, scan->fault_at, "line ends inside a string");
    case FV_FAULT_CONTROL:
        return refuse(reader, scan->fault_at,
                      "control character in a string; it is written \\u%04x", byte);
    case FV_FAULT_ESCAPE:
    case FV_FAULT_SURROGATE:
    case FV_FAULT_NUL_ESCAPE:
        return refuse_escape(reader);
    case FV_FAULT_DEPTH:
        return refuse_too_deep(reader);
    case FV_FAULT_NONE:
    case FV_FAULT_MEMORY:
        break;
    }
    return fv_fail_memory(reader->err);
}

/* --- numbers --- */

static bool to_integer(const char *at, const char *end, int64_t *ret_integer)
{
    bool negative = *at == '-';
    uint64_t magnitude = 0, limit = (uint64_t)INT64_MAX + negative, digit;

    for (at += negative; at < end; at++) {
        digit = (uint64_t)(*at - '0');
        if (magnitude > (limit - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    if (negative && magnitude)
        *ret_integer = -(int64_t)(magnitude - 1) - 1;
    else
        *ret_integer = (int64_t)magnitude;
    return true;
}

/* A decimal number: the digits of whole and fraction, times ten to the exponent. */
struct decimal {
    const char *whole, *fraction;
    size_t whole_length, fraction_length;
    int64_t exponent;
};

static const char *behind_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static void split_decimal(const char *at, const char *end, struct decimal *ret_decimal)
{
    /* So far beyond any double that more digits, of a text that fits in memory,
     * do not change the outcome. */
    const int64_t enough = (int64_t)1 << 40;
    bool negative;
    int64_t exponent = 0;

    *ret_decimal = (struct decimal){ .whole = at };
    at = behind_digits(at, end);
    ret_decimal->whole_length = (size_t)(at - ret_decimal->whole);

    if (at < end && *at == '.') {
        ret_decimal->fraction = ++at;
        at = behind_digits(at, end);
        ret_decimal->fraction_length = (size_t)(at - ret_decimal->fraction);
    }
    if (at < end) { /* the "e" */
        at++;
        negative = *at == '-';
        if (*at == '-' || *at == '+')
            at++;
        for (; at < end && exponent < enough; at++)
            exponent = exponent * 10 + (*at - '0');
        ret_decimal->exponent = negative ? -exponent : exponent;
    }
    ret_decimal->exponent -= (int64_t)ret_decimal->fraction_length;
}

static uint64_t add_digits(uint64_t number, const char *digits, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++)
        number = number * 10 + (uint64_t)(digits[i] - '0');
    return number;
}

/* When digits and power of ten are doubles exactly, one operation rounds rightly
 * (W. Clinger, How to Read Floating Point Numbers Accurately, 1990). */
static bool to_short_real(const struct decimal *decimal, double *ret_real)
{
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    uint64_t digits;

    if (FLT_EVAL_METHOD != 0 || decimal->whole_length + decimal->fraction_length > 15 ||
        decimal->exponent < -22 || decimal->exponent > 22)
        return false;

    digits = add_digits(0, decimal->whole, decimal->whole_length);
    digits = add_digits(digits, decimal->fraction, decimal->fraction_length);
    if (decimal->exponent < 0)
        *ret_real = (double)digits / powers[-decimal->exponent];
    else
        *ret_real = (double)digits * powers[decimal->exponent];
    return true;
}

/* Without a point: strtod() would want the one of the host's locale. */
static bool to_long_real(struct fv_text *scratch, const struct decimal *decimal, double *ret_real)
{
    fv_text_reset(scratch);
    fv_text_add_bytes(scratch, decimal->whole, decimal->whole_length);
    fv_text_add_bytes(scratch, decimal->fraction, decimal->fraction_length);
    fv_text_format(scratch, "e%lld", (long long)decimal->exponent);
    if (scratch->failed)
        return false;
    *ret_real = strtod(scratch->data, NULL);
    return true;
}

static int read_real(struct reader *reader, const char *at, const char *end, json_t **ret_value)
{
    bool negative = *at == '-';
    struct decimal decimal;
    double real;

    split_decimal(at + negative, end, &decimal);
    if (!to_short_real(&decimal, &real) && !to_long_real(&reader->scratch, &decimal, &real))
        return fv_fail_memory(reader->err);
    if (isinf(real))
        return refuse(reader, reader->scan.token.start,
                      "number is out of range: -1.7976931348623157e308 to 1.7976931348623157e308");
    *ret_value = json_real(negative ? -real : real);
    return 0;
}

/* --- values --- */

static int read_number(struct reader *reader, json_t **ret_value)
{
    const struct fv_token *token = &reader->scan.token;
    const char *at = reader->scan.text + token->start, *end = reader->scan.text + token->end;
    int64_t integer;

    if (token->real)
        return read_real(reader, at, end, ret_value);
    if (!to_integer(at, end, &integer))
        return refuse(reader, token->start,
                      "integer is out of range: -9223372036854775808 to 9223372036854775807");
    *ret_value = json_integer(integer);
    return 0;
}

static json_t *read_string(struct reader *reader)
{
    const struct fv_token *token = &reader->scan.token;

    if (!token->escaped)
        return json_stringn_nocheck(reader->scan.text + token->start + 1,
                                    token->end - token->start - 2);
    fv_text_reset(&reader->scratch);
    fv_scan_string(&reader->scan, token->start, token->end, &reader->scratch);
    if (reader->scratch.failed)
        return NULL;
    return json_stringn_nocheck(reader->scratch.data, reader->scratch.length);
}

static json_t *read_word(const struct reader *reader)
{
    switch (reader->scan.text[reader->scan.token.start]) {
    case 't':
        return json_true();
    case 'f':
        return json_false();
    default:
        return json_null();
    }
}

/* Puts a value where it belongs; NULL stands for one that there was no memory for. */
static int attach(struct reader *reader, json_t *value)
{
    size_t depth = reader->scan.depth;
    int r;

    if (!value)
        return fv_fail_memory(reader->err);
    if (depth == 0) {
        reader->root = value;
        return 0;
    }
    if (reader->scan.levels[depth - 1].object)
        r = json_object_set_new_nocheck(reader->open[depth - 1], reader->key.data, value);
    else
        r = json_array_append_new(reader->open[depth - 1], value);
    return r < 0 ? fv_fail_memory(reader->err) : 0;
}

static int read_scalar(struct reader *reader)
{
    json_t *value = NULL;
    int r;

    if (reader->scan.depth >= FV_JSON_DEPTH)
        return refuse_too_deep(reader);

    if (reader->scan.token.kind == '0') {
        r = read_number(reader, &value);
        if (r < 0)
            return r;
    } else if (reader->scan.token.kind == '"') {
        value = read_string(reader);
    } else {
        value = read_word(reader);
    }
    return attach(reader, value);
}

static int read_open(struct reader *reader)
{
    size_t depth = reader->scan.depth;
    json_t *value;
    int r;

    if (depth >= FV_JSON_DEPTH)
        return refuse_too_deep(reader);
    if (!fv_grow(NULL, (void **)&reader->open, &reader->capacity, depth, sizeof *reader->open))
        return fv_fail_memory(reader->err);

    value = reader->scan.token.kind == '{' ? json_object() : json_array();
    r = attach(reader, value);
    if (r == 0)
        reader->open[depth] = value;
    return r;
}

static int read_key(struct reader *reader)
{
    const struct fv_token *token = &reader->scan.token;
    char out[64];

    fv_text_reset(&reader->key);
    fv_scan_string(&reader->scan, token->start, token->end, &reader->key);
    if (reader->key.failed)
        return fv_fail_memory(reader->err);
    if (json_object_get(reader->open[reader->scan.depth - 1], reader->key.data))
        return refuse(reader, token->start, "key %s stands twice in this object",
                      token_text(reader, out));
    return 0;
}

static int read_tree(struct reader *reader)
{
    int r = 0;

    while (r == 0 && fv_scan_next(&reader->scan)) {
        switch (reader->scan.event) {
        case FV_SCAN_KEY:
            r = read_key(reader);
            break;
        case FV_SCAN_VALUE:
            r = read_scalar(reader);
            break;
        case FV_SCAN_OPEN:
            r = read_open(reader);
            break;
        default:
            break;
        }
    }
    if (r == 0 && reader->scan.event == FV_SCAN_FAULT)
        r = refuse_fault(reader);
    return r;
}

static int read_text(struct reader *reader)
{
    const struct fv_scan *scan = &reader->scan;

    if (scan->length > FV_JSON_LIMIT)
        return refuse(reader, 0, "text is %zu bytes; at most %zu allowed", scan->length,
                      FV_JSON_LIMIT);
    if (scan->length >= 3 && memcmp(scan->text, "\xEF\xBB\xBF", 3) == 0)
        return refuse(reader, 0, "text begins with a UTF-8 byte order mark; save it without one");
    return read_tree(reader);
}

int fv_json_parse(const char *text, size_t length, const char *name, json_t **ret_root,
                  flagver_error *err)
{
    struct reader reader = {
        .key = FV_TEXT_INIT, .scratch = FV_TEXT_INIT, .name = name, .err = err
    };
    int r;

    fv_scan_init(&reader.scan, text, length);
    r = read_text(&reader);
    if (r == 0)
        *ret_root = reader.root;
    else
        json_decref(reader.root);

    fv_scan_clear(&reader.scan);
    fv_text_clear(&reader.key);
    fv_text_clear(&reader.scratch);
    free(reader.open);
    return r;
}
