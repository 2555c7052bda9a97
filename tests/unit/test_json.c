#include "support.h"

#include <stdio.h>

#include "codec/json.h"
#include "util/utf8.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* --- what is read --- */

static const char *const accepted[] = {
    "null",
    "true",
    " \t\r\n false \n",
    "0",
    "-0",
    "-0.0",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
    "1e3",
    "1E+3",
    "123e-2",
    "1e-400",
    "0e999999999999999999999",
    "0.0000000000000000000000000000000000000000000000000001e52",
    "1.7976931348623157e308",
    "2.2250738585072011e-308",
    "9007199254740993.0",
    "0.1e1",
    "123456789012345678901234567890.0",
    "0.30000000000000004",
    "1e22",
    "1e23",
    "999999999999999e22",
    "\"\"",
    "\"a\\u0041\\n\\\\\\/\\\"\xC3\xA9\\ud83d\\ude00\"",
    "\"\x7F\xEF\xBF\xBF\"",
    "[]",
    "[1,[2,[3]],{}]",
    "{}",
    "{\"\":0}",
    "{\"a\":{\"a\":{\"a\":[{\"a\":1}]}},\"A\":2}",
    "{\"\\u00e9\":1,\"e\xCC\x81\":2}",
    "{\"a\":[true,false,null,1.25,\"x\"],\"b\":-7}",
};

START_TEST(the_tree_is_the_one_that_jansson_reads)
{
    const char *text = accepted[_i];
    json_t *value, *expected;

    expected = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    ck_assert(expected != NULL);
    assert_ok(fv_json_parse(text, strlen(text), NULL, &value, &error));
    ck_assert_msg(json_equal(value, expected), "%s", text);
    json_decref(value);
    json_decref(expected);
}
END_TEST

START_TEST(strings_keep_their_length_and_reals_their_kind)
{
    static const char text[] = "[\"\\u00e9x\", 1, 1.0, 1e0]";
    json_t *value;

    assert_ok(fv_json_parse(text, sizeof text - 1, NULL, &value, &error));
    ck_assert_uint_eq(json_string_length(json_array_get(value, 0)), 3);
    ck_assert(json_is_integer(json_array_get(value, 1)));
    ck_assert(json_is_real(json_array_get(value, 2)));
    ck_assert(json_is_real(json_array_get(value, 3)));
    json_decref(value);
}
END_TEST

START_TEST(only_the_given_bytes_are_read)
{
    json_t *value;

    assert_ok(fv_json_parse("123456", 3, NULL, &value, &error));
    ck_assert_int_eq(json_integer_value(value), 123);
    json_decref(value);
    assert_ok(fv_json_parse("{}garbage", 2, NULL, &value, &error));
    json_decref(value);
}
END_TEST

/* --- what is refused --- */

struct refused_row {
    const char *text;
    size_t length; /* 0: strlen */
    int line, column;
    const char *words; /* pointer and why, whole */
};

static const struct refused_row refused[] = {
    { "", 0, 1, 1, "(root): text is empty; a JSON value was expected" },
    { " \n \n", 0, 3, 1, "(root): text is empty; a JSON value was expected" },

    /* Ends too early. */
    { "{", 0, 1, 2, "(root): text ends inside an object" },
    { "{\"a\"", 0, 1, 5, "(root): text ends inside an object" },
    { "{\"a\":", 0, 1, 6, "/a: text ends inside an object" },
    { "{\"a\":1", 0, 1, 7, "(root): text ends inside an object" },
    { "{\"a\":1,", 0, 1, 8, "(root): text ends inside an object" },
    { "{\"a\":[1,\n", 0, 2, 1, "/a: text ends inside an array" },
    { "{\"a\":[{\"b\":[", 0, 1, 13, "/a/0/b: text ends inside an array" },
    { "[\"abc", 0, 1, 2, "/0: text ends inside a string" },
    { "[\"abc\\", 0, 1, 2, "/0: text ends inside a string" },
    { "[\"abc\\u00", 0, 1, 2, "/0: text ends inside a string" },
    { "{\"abc", 0, 1, 2, "(root): text ends inside a string" },

    /* Goes on. */
    { "1 2", 0, 1, 3, "(root): text goes on after the value" },
    { "{}\n}", 0, 2, 1, "(root): text goes on after the value" },
    { "[],", 0, 1, 3, "(root): text goes on after the value" },
    { "{} \"x", 0, 1, 4, "(root): text goes on after the value" },

    /* The wrong thing. */
    { "[1,]", 0, 1, 4, "(root): a comma stands before ']'" },
    { "{\"a\":{\"b\":1, }}", 0, 1, 14, "/a: a comma stands before '}'" },
    { "[,1]", 0, 1, 2, "(root): expected a value or ']', found ','" },
    { "[1,,2]", 0, 1, 4, "(root): expected a value, found ','" },
    { "{\"a\":]}", 0, 1, 6, "/a: expected a value, found ']'" },
    { "{\"a\":,\"b\":1}", 0, 1, 6, "/a: expected a value, found ','" },
    { "]", 0, 1, 1, "(root): expected a value, found ']'" },
    { "[1 2]", 0, 1, 4, "(root): expected ',' or ']', found a number" },
    { "[1 \"b\xFF\"]", 0, 1, 4, "(root): expected ',' or ']', found a string" },
    { "[1}", 0, 1, 3, "(root): expected ',' or ']', found '}'" },
    { "{\"a\":1]", 0, 1, 7, "(root): expected ',' or '}', found ']'" },
    { "{\"a\":1 \"b\":2}", 0, 1, 8, "(root): expected ',' or '}', found a string" },
    { "[{\"a\" 1}]", 0, 1, 7, "/0: expected ':' after the key, found a number" },
    { "{\"a\",1}", 0, 1, 5, "(root): expected ':' after the key, found ','" },
    { "{a:1}", 0, 1, 2, "(root): expected a key in double quotes or '}', found a" },
    { "{1:2}", 0, 1, 2, "(root): expected a key in double quotes or '}', found a number" },
    { "{\"a\":1,b:2}", 0, 1, 8, "(root): expected a key in double quotes, found b" },
    { "{,}", 0, 1, 2, "(root): expected a key in double quotes or '}', found ','" },

    /* No token. */
    { "{'a':1}", 0, 1, 2, "(root): strings stand in double quotes" },
    { "[1, // x\n2]", 0, 1, 5, "/1: unexpected '/'; there are no comments in JSON" },
    { "/* x */ 1", 0, 1, 1, "(root): unexpected '/'; there are no comments in JSON" },
    { "[#]", 0, 1, 2, "/0: unexpected character '#'" },
    { "[\xC2\xA0]", 0, 1, 2, "/0: unexpected character '\xC2\xA0' (U+00A0)" },
    { "{\xE2\x80\x9C"
      "a\xE2\x80\x9D:1}",
      0, 1, 2, "(root): unexpected character '\xE2\x80\x9C' (U+201C)" },
    { "\f1", 0, 1, 1, "(root): unexpected control character 0x0c" },
    { "[\x7F]", 0, 1, 2, "/0: unexpected control character 0x7f" },
    { "{\"a\": True}", 0, 1, 7, "/a: unknown word True; true, false and null are known" },
    { "NaN", 0, 1, 1, "(root): unknown word NaN; true, false and null are known" },
    { "[nul]", 0, 1, 2, "/0: unknown word nul; true, false and null are known" },
    { "truefalse", 0, 1, 1, "(root): unknown word truefalse; true, false and null are known" },

    /* Numbers. */
    { "01", 0, 1, 1, "(root): malformed number 01" },
    { "[-01]", 0, 1, 2, "/0: malformed number -01" },
    { "+1", 0, 1, 1, "(root): malformed number +1" },
    { "1.", 0, 1, 1, "(root): malformed number 1." },
    { ".5", 0, 1, 1, "(root): malformed number .5" },
    { "1.e3", 0, 1, 1, "(root): malformed number 1.e3" },
    { "1e", 0, 1, 1, "(root): malformed number 1e" },
    { "1e+", 0, 1, 1, "(root): malformed number 1e+" },
    { "-", 0, 1, 1, "(root): malformed number -" },
    { "-Infinity", 0, 1, 1, "(root): malformed number -Infinity" },
    { "0x10", 0, 1, 1, "(root): malformed number 0x10" },
    { "1_000", 0, 1, 1, "(root): malformed number 1_000" },
    { "1-2", 0, 1, 1, "(root): malformed number 1-2" },
    { "[1a]", 0, 1, 2, "/0: malformed number 1a" },
    { "{\"a\":9223372036854775808}", 0, 1, 6,
      "/a: integer is out of range: -9223372036854775808 to 9223372036854775807" },
    { "[0,-9223372036854775809]", 0, 1, 4,
      "/1: integer is out of range: -9223372036854775808 to 9223372036854775807" },
    { "18446744073709551616", 0, 1, 1,
      "(root): integer is out of range: -9223372036854775808 to 9223372036854775807" },
    { "92233720368547758070", 0, 1, 1,
      "(root): integer is out of range: -9223372036854775808 to 9223372036854775807" },
    { "[ 1e309]", 0, 1, 3,
      "/0: number is out of range: -1.7976931348623157e308 to 1.7976931348623157e308" },
    { "-1.7976931348623159e308", 0, 1, 1,
      "(root): number is out of range: -1.7976931348623157e308 to 1.7976931348623157e308" },
    { "1e99999999999999999999999999", 0, 1, 1,
      "(root): number is out of range: -1.7976931348623157e308 to 1.7976931348623157e308" },

    /* Strings. */
    { "[\"abc\n\"]", 0, 1, 2, "/0: line ends inside a string" },
    { "{\"a\": \"x,\r\n \"b\": 1}", 0, 1, 7, "/a: line ends inside a string" },
    { "{\"\xC3\xA9\": \"a\tb\"}", 0, 1, 9,
      "/\xC3\xA9: control character in a string; it is written \\u0009" },
    { "\"\x1F\"", 0, 1, 2, "(root): control character in a string; it is written \\u001f" },
    { "[\"a\\qb\"]", 0, 1, 4, "/0: \\q is no escape; \\\\ is a backslash" },
    { "\"C:\\Users\"", 0, 1, 4, "(root): \\U is no escape; \\\\ is a backslash" },
    { "\"\\\n\"", 0, 1, 2, "(root): \\ begins no escape here; \\\\ is a backslash" },
    { "\"\\\xC3\xA9\"", 0, 1, 2, "(root): \\ begins no escape here; \\\\ is a backslash" },
    { "\"\\u12g4\"", 0, 1, 2, "(root): \\u wants four hexadecimal digits behind it" },
    { "\"\\u12\"", 0, 1, 2, "(root): \\u wants four hexadecimal digits behind it" },
    { "\"x\\ud800\"", 0, 1, 3, "(root): \\ud800 is half of a surrogate pair" },
    { "\"\\ud800\\u0041\"", 0, 1, 2, "(root): \\ud800 is half of a surrogate pair" },
    { "\"\\uD800\\n00000\"", 0, 1, 2, "(root): \\uD800 is half of a surrogate pair" },
    { "\"\\udc00\"", 0, 1, 2, "(root): \\udc00 is half of a surrogate pair" },
    { "{\"a\":\"x\\u0000\"}", 0, 1, 8, "/a: NUL is not allowed in a string (\\u0000)" },
    { "{\"a\\u0000b\":1}", 0, 1, 4, "(root): NUL is not allowed in a string (\\u0000)" },

    /* NUL and UTF-8. */
    { "\"a\0b\"", 5, 1, 3, "(root): NUL is not allowed in a text" },
    { "[1]\0", 4, 1, 4, "(root): NUL is not allowed in a text" },
    { "1\0", 2, 1, 2, "(root): NUL is not allowed in a text" },
    { "[1,\0 2]", 7, 1, 4, "/1: NUL is not allowed in a text" },
    { "{\"a\":\"\xC3\xA9\x80\"}", 0, 1, 8, "/a: byte 0x80 is not UTF-8" },
    { "{\"\xC3\":1}", 0, 1, 3, "(root): byte 0xc3 is not UTF-8" },
    { "\"\xC0\x80\"", 0, 1, 2, "(root): byte 0xc0 is not UTF-8" },
    { "\"\xED\xA0\x80\"", 0, 1, 2, "(root): byte 0xed is not UTF-8" },
    { "\"\xF4\x90\x80\x80\"", 0, 1, 2, "(root): byte 0xf4 is not UTF-8" },
    { "\"\xC3", 0, 1, 2, "(root): byte 0xc3 is not UTF-8" },
    { "[1] \xFF", 0, 1, 5, "(root): byte 0xff is not UTF-8" },
    { "\xFF\xFE{\0}\0", 6, 1, 1, "(root): byte 0xff is not UTF-8" },
    { "\xEF\xBB\xBF{}", 0, 1, 1,
      "(root): text begins with a UTF-8 byte order mark; save it without one" },
    { "\xEF\xBB\xBF", 0, 1, 1,
      "(root): text begins with a UTF-8 byte order mark; save it without one" },

    /* Duplicate keys. */
    { "{\"a\":1,\"a\":2}", 0, 1, 8, "(root): key \"a\" stands twice in this object" },
    { "[{\"x\":{\"\":1,\n \"b\":2,\r\n\t\"\":3}}]", 0, 3, 2,
      "/0/x: key \"\" stands twice in this object" },
    { "{\"\xC3\xA9\":1,\"\\u00e9\":1}", 0, 1, 8,
      "(root): key \"\\u00e9\" stands twice in this object" },
    { "{\"a\":1,\"a\" 2}", 0, 1, 8, "(root): key \"a\" stands twice in this object" },

    /* The first fault counts. */
    { "[1 2, tru", 0, 1, 4, "(root): expected ',' or ']', found a number" },
    { "{\"a\":\"\\q\", \"a\":1}", 0, 1, 7, "/a: \\q is no escape; \\\\ is a backslash" },
};

static size_t length_of(const struct refused_row *row)
{
    return row->length ? row->length : strlen(row->text);
}

START_TEST(a_malformed_text_is_refused_with_place_and_reason)
{
    const struct refused_row *row = &refused[_i];
    char expected[FLAGVER_MESSAGE_SIZE];
    json_t *value = NULL;

    assert_fails(FLAGVER_EPARSE,
                 fv_json_parse(row->text, length_of(row), "flags.json", &value, &error));
    snprintf(expected, sizeof expected, "flags.json:%d:%d: %s", row->line, row->column, row->words);
    ck_assert_str_eq(error.message, expected);
    ck_assert_int_eq(error.line, row->line);
    ck_assert_int_eq(error.column, row->column);

    assert_fails(FLAGVER_EPARSE, fv_json_parse(row->text, length_of(row), NULL, &value, &error));
    snprintf(expected, sizeof expected, "line %d, column %d: %s", row->line, row->column,
             row->words);
    ck_assert_str_eq(error.message, expected);
    ck_assert(value == NULL);
}
END_TEST

START_TEST(what_is_refused_jansson_refuses_too)
{
    const struct refused_row *row = &refused[_i];
    json_t *value;

    /* 2.14 takes a number with a NUL behind it. */
    if (length_of(row) == 2 && row->text[1] == 0)
        return;
    value = json_loadb(row->text, length_of(row), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(value == NULL, "%s", row->text);
}
END_TEST

START_TEST(nobody_needs_to_listen)
{
    json_t *value = NULL;

    ck_assert_int_eq(fv_json_parse("[1", 2, "x", &value, NULL), FLAGVER_EPARSE);
    ck_assert_int_eq(fv_json_parse(NULL, 0, "x", &value, NULL), FLAGVER_EPARSE);
    ck_assert_int_eq(fv_json_fail(NULL, "[1]", 3, "x", "/0", false, "words"), FLAGVER_EPARSE);
    ck_assert(value == NULL);
}
END_TEST

static char *nested(size_t depth, const char *inside, size_t *ret_length)
{
    size_t length = strlen(inside);
    char *text = malloc(depth * 2 + length);

    ck_assert(text != NULL);
    memset(text, '[', depth);
    memcpy(text + depth, inside, length);
    memset(text + depth + length, ']', depth);
    *ret_length = depth * 2 + length;
    return text;
}

struct depth_row {
    size_t containers;
    const char *inside;
    bool fits;
    int column;
};

static const struct depth_row depths[] = {
    { FV_JSON_DEPTH, "", true, 0 },
    { FV_JSON_DEPTH - 1, "1", true, 0 },
    { FV_JSON_DEPTH - 2, "{\"a\":1}", true, 0 },
    { FV_JSON_DEPTH, "1", false, FV_JSON_DEPTH + 1 },
    { FV_JSON_DEPTH - 1, "{\"a\":\"x\"}", false, FV_JSON_DEPTH + 5 },
    { FV_JSON_DEPTH + 1, "", false, FV_JSON_DEPTH + 1 },
    { 100000, "", false, FV_JSON_DEPTH + 1 },
};

START_TEST(values_nest_as_deep_as_small_stacks_bear)
{
    const struct depth_row *row = &depths[_i];
    json_t *value = NULL, *other;
    size_t length;
    char *text = nested(row->containers, row->inside, &length);

    other = json_loadb(text, length, JSON_DECODE_ANY, NULL);
    ck_assert(other || !row->fits);
    if (row->fits) {
        assert_ok(fv_json_parse(text, length, NULL, &value, &error));
        ck_assert(json_equal(value, other));
    } else {
        assert_fails(FLAGVER_EPARSE, fv_json_parse(text, length, "deep.json", &value, &error));
        assert_words(": nested deeper than 500");
        assert_words("deep.json:1:50");
        assert_words(": /0/0/0/");
        assert_words("\xE2\x80\xA6");
        ck_assert_int_eq(error.column, row->column);
    }
    json_decref(value);
    json_decref(other);
    free(text);
}
END_TEST

START_TEST(a_text_beyond_the_limit_is_refused)
{
    json_t *value = NULL;
    char *text = malloc(FV_JSON_LIMIT + 1);

    ck_assert(text != NULL);
    memset(text, ' ', FV_JSON_LIMIT + 1);
    text[0] = '7';
    assert_ok(fv_json_parse(text, FV_JSON_LIMIT, NULL, &value, &error));
    ck_assert_int_eq(json_integer_value(value), 7);
    json_decref(value);
    assert_fails(FLAGVER_EPARSE,
                 fv_json_parse(text, FV_JSON_LIMIT + 1, "big.json", &value, &error));
    ck_assert_str_eq(error.message, "big.json:1:1: (root): text is 67108865 bytes; at most "
                                    "67108864 allowed");
    free(text);
}
END_TEST

/* --- the form of a message --- */

START_TEST(an_error_about_a_value_has_the_same_form)
{
    static const char text[] = "{\n  \"flags\": {\"a/b\": {\"kind\": 17}}\n}\n";

    assert_fails(FLAGVER_EPARSE, fv_json_fail(&error, text, sizeof text - 1, "f.json",
                                              "/flags/a~1b/kind", false, "%s is %d", "kind", 17));
    ck_assert_str_eq(error.message, "f.json:2:29: /flags/a~1b/kind: kind is 17");
    ck_assert_int_eq(error.line, 2);
    ck_assert_int_eq(error.column, 29);

    assert_fails(FLAGVER_EPARSE, fv_json_fail(&error, text, sizeof text - 1, NULL,
                                              "/flags/a~1b/kind", true, "unknown key"));
    ck_assert_str_eq(error.message, "line 2, column 21: /flags/a~1b/kind: unknown key");

    assert_fails(FLAGVER_EPARSE,
                 fv_json_fail(&error, text, sizeof text - 1, "f.json", "", true, "no flags here"));
    ck_assert_str_eq(error.message, "f.json:1:1: (root): no flags here");

    assert_fails(FLAGVER_EPARSE, fv_json_fail(&error, text, sizeof text - 1, "f.json", "/nothing",
                                              false, "is missing"));
    ck_assert_str_eq(error.message, "f.json:1:1: /nothing: is missing");
}
END_TEST

START_TEST(a_message_is_one_line)
{
    static const char text[] = "{\"a\\nb\\u001b[31m\":1}";

    assert_fails(FLAGVER_EPARSE, fv_json_fail(&error, text, sizeof text - 1, "x\ty",
                                              "/a\nb\x1B[31m", false, "two\r\nlines\x7F"));
    ck_assert_str_eq(error.message, "x?y:1:19: /a?b?[31m: two??lines?");
}
END_TEST

/* Name, pointer and reason of these lengths, of the same two-byte character. */
struct long_row {
    size_t name, pointer, why;
};

static const struct long_row longs[] = {
    { 5000, 10, 50 },  { 10, 5000, 50 },  { 5000, 5000, 50 },  { 5000, 5000, 500 },
    { 10, 10, 500 },   { 400, 500, 40 },  { 500, 400, 40 },    { 486, 486, 30 },
    { 0, 5000, 600 },  { 5000, 0, 600 },  { 1, 1, 5000 },      { 5000, 5000, 5000 },
    { 100, 100, 699 }, { 101, 99, 700 },  { 5000, 101, 699 },  { 1021, 1, 1 },
    { 1, 1021, 1 },    { 300, 300, 300 }, { 2000, 2000, 690 }, { 137, 3000, 700 },
};

static char *repeated(size_t length, char first)
{
    char *text = malloc(length + 1);
    size_t i;

    ck_assert(text != NULL);
    for (i = 0; i + 1 < length; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    if (length % 2)
        memmove(text + 1, text, length - 1);
    else if (length)
        text[1] = '-';
    if (length)
        text[0] = first;
    text[length] = 0;
    return text;
}

START_TEST(long_names_and_pointers_leave_room_for_the_reason)
{
    const struct long_row *row = &longs[_i];
    char *name = repeated(row->name, 'n'), *pointer = repeated(row->pointer, '/');
    char *why = repeated(row->why, 'w');
    size_t length;

    assert_fails(FLAGVER_EPARSE, fv_json_fail(&error, "1", 1, name, pointer, false, "%s", why));
    length = strlen(error.message);
    ck_assert_uint_lt(length, FLAGVER_MESSAGE_SIZE);
    assert_words(":1:1: ");
    if (row->why <= 700)
        ck_assert_msg(strcmp(error.message + length - row->why, why) == 0, "%s", error.message);
    else
        assert_words("\xE2\x80\xA6");
    if (row->name + row->pointer + row->why < 900)
        ck_assert_uint_eq(length, row->name + (row->pointer ? row->pointer : strlen("(root)")) +
                                      row->why + strlen(":1:1: : "));
    else
        ck_assert_uint_gt(length, 900);

    /* Nothing was cut inside a character. */
    ck_assert(fv_utf8_valid(error.message, length));
    free(name);
    free(pointer);
    free(why);
}
END_TEST

START_TEST(of_a_name_the_end_is_kept_and_of_a_pointer_both)
{
    char name[2000], pointer[2000];

    memset(name, 'x', sizeof name);
    strcpy(name + sizeof name - 12, "/flags.json");
    memset(pointer, 'y', sizeof pointer);
    memcpy(pointer, "/flags/", 7);
    strcpy(pointer + sizeof pointer - 10, "/rules/17");
    assert_fails(FLAGVER_EPARSE, fv_json_fail(&error, "1", 1, name, pointer, false, "why"));
    assert_words("xxx/flags.json:1:1: /flags/yyy");
    assert_words("yyy/rules/17: why");
    ck_assert(strncmp(error.message, "\xE2\x80\xA6x", 4) == 0);
}
END_TEST

START_TEST(long_tokens_are_shortened)
{
    char text[3000] = "{\"begin";
    json_t *value = NULL;

    memset(text + 7, 'k', 1000);
    strcpy(text + 1007, "end\":1,\"begin");
    memset(text + strlen(text), 'k', 1000);
    strcpy(text + 2020, "end\":2}");
    assert_fails(FLAGVER_EPARSE, fv_json_parse(text, strlen(text), NULL, &value, &error));
    assert_words("key \"begink");
    assert_words("kkend\" stands twice in this object");
    ck_assert_uint_lt(strlen(error.message), 200);
}
END_TEST

/* --- memory --- */

static long allocations_left;
static bool only_one_fails;

static void *scarce(size_t size)
{
    bool fails = only_one_fails ? allocations_left == 0 : allocations_left <= 0;

    allocations_left--;
    return fails ? NULL : malloc(size);
}

START_TEST(when_memory_is_short_nothing_is_read)
{
    static const char text[] =
        "{\"flags\":{\"a\":[1,2.5,\"a string of more than sixteen bytes\",{\"b\":null}],"
        "\"another key of more than sixteen bytes\":123456789012345678,\"c\":true,\"d\":1,"
        "\"e\":[[[]]],\"f\":{},\"g\":0.1,\"h\":\"\\u00e9\",\"i\":[0,1,2,3,4,5,6,7,8,9,10]}}";
    json_t *expected = json_loads(text, 0, NULL), *value = NULL;
    long failing;
    int r = -1;

    only_one_fails = _i;
    json_set_alloc_funcs(scarce, free);
    for (failing = 0; r < 0; failing++) {
        allocations_left = failing;
        memset(&error, 0, sizeof error);
        r = fv_json_parse(text, sizeof text - 1, "x", &value, &error);
        if (r < 0) {
            ck_assert_int_eq(r, FLAGVER_ENOMEM);
            ck_assert_int_eq(error.code, FLAGVER_ENOMEM);
            ck_assert(value == NULL);
        }
    }
    json_set_alloc_funcs(malloc, free);
    ck_assert_int_ge(allocations_left, 0);
    ck_assert_int_gt(failing, 30);
    ck_assert(json_equal(value, expected));
    json_decref(value);
    json_decref(expected);
}
END_TEST

static Suite *json_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("json"), *slow = tcase_create("slow");

    tcase_add_loop_test(tests, the_tree_is_the_one_that_jansson_reads, 0, COUNT(accepted));
    tcase_add_test(tests, strings_keep_their_length_and_reals_their_kind);
    tcase_add_test(tests, only_the_given_bytes_are_read);
    tcase_add_loop_test(tests, a_malformed_text_is_refused_with_place_and_reason, 0,
                        COUNT(refused));
    tcase_add_loop_test(tests, what_is_refused_jansson_refuses_too, 0, COUNT(refused));
    tcase_add_test(tests, nobody_needs_to_listen);
    tcase_add_loop_test(tests, values_nest_as_deep_as_small_stacks_bear, 0, COUNT(depths));
    tcase_add_test(tests, an_error_about_a_value_has_the_same_form);
    tcase_add_test(tests, a_message_is_one_line);
    tcase_add_loop_test(tests, long_names_and_pointers_leave_room_for_the_reason, 0, COUNT(longs));
    tcase_add_test(tests, of_a_name_the_end_is_kept_and_of_a_pointer_both);
    tcase_add_test(tests, long_tokens_are_shortened);
    tcase_add_loop_test(tests, when_memory_is_short_nothing_is_read, 0, 2);
    suite_add_tcase(suite, tests);

    tcase_set_timeout(slow, 60);
    tcase_set_tags(slow, "slow"); /* valgrind leaves it out */
    tcase_add_test(slow, a_text_beyond_the_limit_is_refused);
    suite_add_tcase(suite, slow);
    return suite;
}

int main(void)
{
    return run_suite(json_suite());
}
