#include "support.h"

#include <jansson.h>
#include <stdio.h>

#include "codec/position.h"

/* --- line and column --- */

struct offset_row {
    const char *label;
    const char *text;
    size_t offset;
    int line, column;
};

static const struct offset_row offsets[] = {
    { "first byte", "abc", 0, 1, 1 },
    { "third byte", "abc", 2, 1, 3 },
    { "end", "abc", 3, 1, 4 },
    { "beyond the end", "abc", 99, 1, 4 },
    { "empty text", "", 0, 1, 1 },
    { "beyond an empty text", "", 7, 1, 1 },
    { "newline belongs to its line", "ab\ncd", 2, 1, 3 },
    { "first of second line", "ab\ncd", 3, 2, 1 },
    { "end behind a newline", "ab\n", 3, 2, 1 },
    { "empty lines", "\n\n\nx", 3, 4, 1 },
    { "carriage return is a character of its line", "ab\r\ncd", 3, 1, 4 },
    { "CRLF ends one line", "ab\r\ncd", 5, 2, 2 },
    { "carriage return alone ends none", "ab\rcd", 4, 1, 5 },
    { "tab is one character", "\t\tx", 2, 1, 3 },
    { "two bytes are one character", "\xC3\xA9x", 2, 1, 2 },
    { "three bytes are one character", "\xE2\x82\xACx", 3, 1, 2 },
    { "four bytes are one character", "\xF0\x9F\x98\x80x", 4, 1, 2 },
    { "inside a character is the character", "a\xF0\x9F\x98\x80x", 3, 1, 2 },
    { "combining characters count", "e\xCC\x81x", 3, 1, 3 },
    { "stray bytes count alone", "\x80\x80x", 2, 1, 3 },
    { "stray byte itself", "a\x80", 1, 1, 2 },
    { "cut sequence counts its bytes", "\xF0\x9F\x98x", 3, 1, 4 },
    { "characters of other lines do not count", "\xC3\xA9\xC3\xA9\n\xC3\xA9x", 7, 2, 2 },
};

START_TEST(a_byte_has_a_line_and_a_column)
{
    const struct offset_row *row = &offsets[_i];
    struct fv_position place;
    size_t length = strlen(row->text);

    fv_position_at(row->text, length, row->offset, &place);
    ck_assert_msg(place.line == row->line && place.column == row->column, "%s: %d:%d", row->label,
                  (int)place.line, (int)place.column);
    ck_assert_uint_eq(place.offset, row->offset < length ? row->offset : length);
}
END_TEST

/* --- finding values --- */

struct find_row {
    const char *text;
    const char *pointer;
    int line, column;         /* of the value; 0: there is none */
    int key_line, key_column; /* of its key, or of itself */
};

static const char flags_text[] =
    "{\n"
    "  \"flags\": {\n"
    "    \"a/b\": { \"rules\": [ {\"id\": \"x\"}, {\"id\" : \"y\"} ] },\n"
    "    \"gr\xC3\xB6\xC3\x9F"
    "e\": { \"\xF0\x9F\x98\x80\": [true, \"\xE2\x82\xAC\", null] }\n"
    "  },\r\n"
    "\t\"last\":\r\n"
    "\t\t-1.5e3\r\n"
    "}\n";

static const struct find_row finds[] = {
    { flags_text, "", 1, 1, 1, 1 },
    { flags_text, "/flags", 2, 12, 2, 3 },
    { flags_text, "/flags/a~1b", 3, 12, 3, 5 },
    { flags_text, "/flags/a~1b/rules", 3, 23, 3, 14 },
    { flags_text, "/flags/a~1b/rules/0", 3, 25, 3, 25 },
    { flags_text, "/flags/a~1b/rules/0/id", 3, 32, 3, 26 },
    { flags_text, "/flags/a~1b/rules/1", 3, 38, 3, 38 },
    { flags_text, "/flags/a~1b/rules/1/id", 3, 46, 3, 39 },
    { flags_text, "/flags/a~1b/rules/2", 0, 0, 0, 0 },
    { flags_text,
      "/flags/gr\xC3\xB6\xC3\x9F"
      "e",
      4, 14, 4, 5 },
    { flags_text,
      "/flags/gr\xC3\xB6\xC3\x9F"
      "e/\xF0\x9F\x98\x80",
      4, 21, 4, 16 },
    { flags_text,
      "/flags/gr\xC3\xB6\xC3\x9F"
      "e/\xF0\x9F\x98\x80/0",
      4, 22, 4, 22 },
    { flags_text,
      "/flags/gr\xC3\xB6\xC3\x9F"
      "e/\xF0\x9F\x98\x80/1",
      4, 28, 4, 28 },
    { flags_text,
      "/flags/gr\xC3\xB6\xC3\x9F"
      "e/\xF0\x9F\x98\x80/2",
      4, 33, 4, 33 },
    { flags_text, "/last", 7, 3, 6, 2 },
    { flags_text, "/last/0", 0, 0, 0, 0 },
    { flags_text, "/Flags", 0, 0, 0, 0 },
    { flags_text, "/flag", 0, 0, 0, 0 },
    { flags_text, "/flagsx", 0, 0, 0, 0 },
    { flags_text, "/flags/", 0, 0, 0, 0 },
    { flags_text, "/", 0, 0, 0, 0 },
    { flags_text, "flags", 0, 0, 0, 0 },

    { " 1", "", 1, 2, 1, 2 },
    { "\n\n  \"x\"", "", 3, 3, 3, 3 },
    { "7", "/0", 0, 0, 0, 0 },
    { "7", "/", 0, 0, 0, 0 },

    /* Indices are written in one way only. */
    { "[10,11,12]", "/2", 1, 8, 1, 8 },
    { "[10,11,12]", "/02", 0, 0, 0, 0 },
    { "[10,11,12]", "/-", 0, 0, 0, 0 },
    { "[10,11,12]", "/+1", 0, 0, 0, 0 },
    { "[10,11,12]", "/1 ", 0, 0, 0, 0 },
    { "[10,11,12]", "/", 0, 0, 0, 0 },
    { "[10,11,12]", "/3", 0, 0, 0, 0 },
    { "[10,11,12]", "/18446744073709551617", 0, 0, 0, 0 },
    { "[0,1,2,3,4,5,6,7,8,9,{\"a\":1}]", "/10/a", 1, 27, 1, 23 },
    { "{\"0\":{\"01\":1}}", "/0/01", 1, 12, 1, 7 },
    { "[[],[[1],[2,3]]]", "/1/1/1", 1, 13, 1, 13 },
    { "[[],[[1],[2,3]]]", "/0", 1, 2, 1, 2 },
    { "[[],[[1],[2,3]]]", "/0/0", 0, 0, 0, 0 },

    /* The empty key. */
    { "{\"\":{\"\":1}}", "/", 1, 5, 1, 2 },
    { "{\"\":{\"\":1}}", "//", 1, 9, 1, 6 },
    { "{\"\":{\"\":1}}", "///", 0, 0, 0, 0 },

    /* Escapes of the pointer. */
    { "{\"~\":1,\"/\":2,\"~1\":3,\"~0~\":4}", "/~0", 1, 6, 1, 2 },
    { "{\"~\":1,\"/\":2,\"~1\":3,\"~0~\":4}", "/~1", 1, 12, 1, 8 },
    { "{\"~\":1,\"/\":2,\"~1\":3,\"~0~\":4}", "/~01", 1, 19, 1, 14 },
    { "{\"~\":1,\"/\":2,\"~1\":3,\"~0~\":4}", "/~00~0", 1, 27, 1, 21 },
    { "{\"~\":1,\"/\":2,\"~1\":3,\"~0~\":4}", "/~", 0, 0, 0, 0 },
    { "{\"~\":1,\"/\":2,\"~1\":3,\"~0~\":4}", "/~2", 0, 0, 0, 0 },

    /* Escapes of the text. */
    { "{\"caf\\u00e9\": 1}", "/caf\xC3\xA9", 1, 15, 1, 2 },
    { "{\"caf\\u00E9\": 1}", "/caf\xC3\xA9", 1, 15, 1, 2 },
    { "{\"\\uD83D\\uDE00\": 1}", "/\xF0\x9F\x98\x80", 1, 18, 1, 2 },
    { "{\"\\u20ac\\u007e\": 1}", "/\xE2\x82\xAC~0", 1, 18, 1, 2 },
    { "{\"a\\/b\":1}", "/a~1b", 1, 9, 1, 2 },
    { "{\"a\\u002fb\":1}", "/a~1b", 1, 13, 1, 2 },
    { "{\"\\\"\\\\\\b\\f\\n\\r\\t\":1}", "/\"\\\b\f\n\r\t", 1, 19, 1, 2 },
    { "{\"a\\u0062\":1,\"ab\":2}", "/ab", 1, 19, 1, 14 },
    { "{\"a\\\\\":1}", "/a\\", 1, 8, 1, 2 },
    { "{\"a\\\\u0062\":1}", "/ab", 0, 0, 0, 0 },

    /* Braces and quotes in strings are none. */
    { "{\"}\\\"]\":[\"]{\",\"\\\\\"],\"b\":3}", "/b", 1, 25, 1, 21 },
    { "{\"}\\\"]\":[\"]{\",\"\\\\\"],\"b\":3}", "/}\"]/1", 1, 15, 1, 15 },

    /* Of duplicate keys the last counts, also when it is another kind of value. */
    { "{\"a\":1,\"b\":2,\"a\":3}", "/a", 1, 18, 1, 14 },
    { "{\"a\":{\"b\":1},\"a\":{\"b\":2}}", "/a/b", 1, 23, 1, 19 },
    { "{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "/a/b", 0, 0, 0, 0 },
    { "{\"a\":{\"b\":1},\"a\":2}", "/a/b", 0, 0, 0, 0 },
    { "{\"a\":{\"b\":1},\"a\":[2]}", "/a/0", 1, 19, 1, 19 },
    { "{\"a\":1,\"a\":{\"b\":{\"c\":1},\"b\":{\"c\":2}}}", "/a/b/c", 1, 34, 1, 30 },
    { "{\"x\":{\"b\":1},\"a\":{\"b\":2},\"y\":{\"b\":3}}", "/a/b", 1, 23, 1, 19 },
    { "{\"a\":{\"x\":{\"b\":1},\"b\":2}}", "/a/b", 1, 23, 1, 19 },
    { "{\"a\":{\"a\":{\"a\":1}}}", "/a/a/a", 1, 16, 1, 12 },
    { "{\"a\":{\"a\":{\"a\":1}}}", "/a/a/a/a", 0, 0, 0, 0 },
};

START_TEST(a_pointer_finds_its_value_and_its_key)
{
    const struct find_row *row = &finds[_i];
    struct fv_position value, key, root;
    bool there;

    fv_position_find(row->text, strlen(row->text), "", false, &root);
    there = fv_position_find(row->text, strlen(row->text), row->pointer, false, &value);
    ck_assert_msg(there == (row->line != 0), "%s in %s: %d", row->pointer, row->text, there);
    ck_assert(fv_position_find(row->text, strlen(row->text), row->pointer, true, &key) == there);

    if (!there) {
        ck_assert_uint_eq(value.offset, root.offset);
        ck_assert_uint_eq(key.offset, root.offset);
        return;
    }
    ck_assert_msg(value.line == row->line && value.column == row->column, "%s in %s: %d:%d",
                  row->pointer, row->text, (int)value.line, (int)value.column);
    ck_assert_msg(key.line == row->key_line && key.column == row->key_column, "key %s in %s: %d:%d",
                  row->pointer, row->text, (int)key.line, (int)key.column);
}
END_TEST

START_TEST(a_text_without_a_value_has_nothing_to_find)
{
    struct fv_position place;

    ck_assert(!fv_position_find("", 0, "/a", false, &place));
    ck_assert_int_eq(place.line, 1);
    ck_assert_int_eq(place.column, 1);
    ck_assert(!fv_position_find(NULL, 0, "/a", false, &place));
    ck_assert(!fv_position_find(" \n ", 3, "/a", true, &place));
    ck_assert_int_eq(place.line, 2);
    ck_assert_int_eq(place.column, 2);
}
END_TEST

/* The pointer of what is read at the first token that ends behind `offset`. */
static void read_pointer(const char *text, size_t length, size_t offset, struct fv_text *pointer)
{
    struct fv_scan scan;

    fv_scan_init(&scan, text, length);
    while (fv_scan_next(&scan) && scan.token.end <= offset)
        ;
    fv_text_reset(pointer);
    fv_scan_pointer(&scan, pointer);
    fv_scan_clear(&scan);
}

START_TEST(only_the_given_bytes_are_read)
{
    struct fv_position place;
    struct fv_text pointer = FV_TEXT_INIT;

    ck_assert(!fv_position_find("[1,2,3]", 4, "/2", false, &place));
    ck_assert(!fv_position_find("[1,2,3]", 3, "/1", false, &place));
    ck_assert(fv_position_find("[1,2,3]", 4, "/1", false, &place));
    read_pointer("[1,2,3]", 3, 99, &pointer);
    ck_assert_str_eq(pointer.data, "");
    fv_text_clear(&pointer);
}
END_TEST

static char *nested(size_t depth)
{
    char *text = malloc(depth * 2 + 2);

    ck_assert(text != NULL);
    memset(text, '[', depth);
    text[depth] = '1';
    memset(text + depth + 1, ']', depth);
    text[depth * 2 + 1] = 0;
    return text;
}

START_TEST(ten_thousand_levels_are_no_trouble)
{
    const size_t depth = 10000;
    struct fv_text pointer = FV_TEXT_INIT, expected = FV_TEXT_INIT;
    struct fv_position place;
    char *text = nested(depth);
    size_t i;

    for (i = 0; i < depth; i++)
        fv_text_add(&expected, "/0");

    ck_assert(fv_position_find(text, depth * 2 + 1, expected.data, false, &place));
    ck_assert_uint_eq(place.offset, depth);
    read_pointer(text, depth * 2 + 1, depth, &pointer);
    ck_assert_str_eq(pointer.data, expected.data);
    fv_text_add(&expected, "/0");
    ck_assert(!fv_position_find(text, depth * 2 + 1, expected.data, false, &place));

    fv_text_clear(&pointer);
    fv_text_clear(&expected);
    free(text);
}
END_TEST

START_TEST(garbage_that_never_closes_is_followed_only_so_far)
{
    const size_t depth = FV_SCAN_DEPTH_LIMIT + 1000;
    struct fv_text pointer = FV_TEXT_INIT;
    struct fv_position place;
    char *text = nested(depth);

    read_pointer(text, depth, depth, &pointer);
    ck_assert_uint_eq(pointer.length, 2 * (size_t)FV_SCAN_DEPTH_LIMIT);
    ck_assert(!fv_position_find(text, depth * 2 + 1, "/0/1", false, &place));
    fv_text_clear(&pointer);
    free(text);
}
END_TEST

/* --- what is being read --- */

struct reading_row {
    const char *text; /* read up to the token at or behind the "@", which is taken out */
    const char *pointer;
};

static const struct reading_row readings[] = {
    { "@", "" },
    { " @ ", "" },
    { "@1", "" },
    { "1@", "" },
    { "1 @x", "" },
    { "@{}", "" },
    { "{@}", "" },
    { "{}@", "" },
    { "{@\"a\":1}", "" },
    { "{\"@a\":1}", "" },
    { "{\"a\"@ :1}", "" },
    { "{\"a\"@:1}", "" },
    { "{\"a\" @", "" },
    { "{\"a\":@1}", "/a" },
    { "{\"a\":@", "/a" },
    { "{\"a\": @ 1}", "/a" },
    { "{\"a\":12@3}", "/a" },
    { "{\"a\":123@}", "" },
    { "{\"a\":123@,", "" },
    { "{\"a\":123,@\"b\":1}", "" },
    { "{\"a\":123,\"b\":@1}", "/b" },
    { "{\"a\":1,\"a\":@2}", "/a" },
    { "{\"a\":1,@\"a\":2}", "" },
    { "[@1]", "/0" },
    { "[ @", "" },
    { "[ @ 1]", "/0" },
    { "[1@,2]", "" },
    { "[1,@2]", "/1" },
    { "[1,@", "" },
    { "[1,@]", "" },
    { "[1,@x]", "/1" },
    { "[1,@'x']", "/1" },
    { "[1,tru@e]", "/1" },
    { "[1,\"@", "/1" },
    { "[[1],[2,[@3]]]", "/1/1/0" },
    { "[[1],[2,[3@]]]", "/1/1" },
    { "[[1],[2,@[3]]]", "/1/1" },
    { "[[1],[2,[3]@]]", "/1" },
    { "{\"flags\":{\"a/b\":{\"rules\":[@", "/flags/a~1b/rules" },
    { "{\"flags\":{\"a/b\":{\"rules\":[{@", "/flags/a~1b/rules/0" },
    { "{\"flags\":{\"a/b\":{\"rules\":[{\"id\":\"x\"},{\"id\":\"@", "/flags/a~1b/rules/1/id" },
    { "{\"a~b\":{\"\\u00e9\\/\\ud83d\\ude00\":@", "/a~0b/\xC3\xA9~1\xF0\x9F\x98\x80" },
    { "{\"\":{\"\":[@1", "///0" },
    /* Behind a fault nothing is known any more. */
    { "{\"a\":[1 2,{\"b\":@3}]}", "/a" },
    { "{\"a\":[x,{\"b\":@3}]}", "/a/0" },
    { "[1,2}@", "" },
    { "{\"a\":\"\\q\",\"b\":@1}", "/a" },
    { "{\"a\\q\":@1}", "" },
    { "{a:@1}", "" },
};

START_TEST(the_value_being_read_has_a_pointer)
{
    const struct reading_row *row = &readings[_i];
    struct fv_text text = FV_TEXT_INIT, pointer = FV_TEXT_INIT;
    size_t offset = strcspn(row->text, "@");

    fv_text_add_bytes(&text, row->text, offset);
    fv_text_add(&text, row->text + offset + 1);
    fv_text_add(&pointer, "what was there before");

    read_pointer(text.data, text.length, offset, &pointer);
    ck_assert_msg(strcmp(pointer.data, row->pointer) == 0, "%s: \"%s\"", row->text, pointer.data);
    fv_text_clear(&text);
    fv_text_clear(&pointer);
}
END_TEST

START_TEST(tokens_of_pointers_are_escaped)
{
    struct fv_text pointer = FV_TEXT_INIT;

    fv_pointer_add(&pointer, "flags", 5);
    fv_pointer_add(&pointer, "", 0);
    fv_pointer_add(&pointer, "~1/~0 \xC3\xA9\"", 9);
    fv_pointer_add_index(&pointer, 0);
    fv_pointer_add_index(&pointer, 4294967296u);
    fv_pointer_add(&pointer, "abcd", 2);
    ck_assert_str_eq(pointer.data, "/flags//~01~1~00 \xC3\xA9\"/0/4294967296/ab");
    fv_text_clear(&pointer);
}
END_TEST

/* --- random documents --- */

static uint64_t random_state;

static unsigned pick(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % below;
}

static void add_space(struct fv_text *text)
{
    static const char *const spaces[] = { "", "", "", " ", "\n", "\r\n", "\t", " \n\n  " };

    fv_text_add(text, spaces[pick(8)]);
}

static void add_string(struct fv_text *text)
{
    static const char *const pieces[] = {
        "a",
        "b",
        "~",
        "/",
        "\\/",
        "\\u0061",
        "\\u00e9",
        "\xC3\xA9",
        "\\ud83d\\ude00",
        "\xF0\x9F\x98\x80",
        "\\\\",
        "\\\"",
        "\\n",
        "{",
        "]",
        "\xE2\x82\xAC",
        "0",
        "~1",
        ":",
        ",",
    };
    unsigned count = pick(4);

    fv_text_add_char(text, '"');
    while (count--)
        fv_text_add(text, pieces[pick(20)]);
    fv_text_add_char(text, '"');
}

static void add_value(struct fv_text *text, unsigned depth);

static void add_members(struct fv_text *text, unsigned depth, bool object)
{
    unsigned count = pick(5), i;

    fv_text_add_char(text, object ? '{' : '[');
    for (i = 0; i < count; i++) {
        add_space(text);
        if (object) {
            add_string(text); /* now and then the same again */
            add_space(text);
            fv_text_add_char(text, ':');
            add_space(text);
        }
        add_value(text, depth + 1);
        add_space(text);
        if (i + 1 < count)
            fv_text_add_char(text, ',');
    }
    add_space(text);
    fv_text_add_char(text, object ? '}' : ']');
}

static void add_value(struct fv_text *text, unsigned depth)
{
    static const char *const scalars[] = { "true", "false", "null", "0",      "-17",
                                           "1.5",  "1e-3",  "12",   "-0.0e1", "9007199254740993" };
    unsigned kind = pick(depth < 5 ? 6 : 2);

    if (kind == 0)
        fv_text_add(text, scalars[pick(10)]);
    else if (kind == 1)
        add_string(text);
    else
        add_members(text, depth, kind % 2 == 0);
}

/* Counted anew, in another way. */
static void check_line_and_column(const char *text, const struct fv_position *place)
{
    int line = 1, column = 1;
    size_t i;

    for (i = 0; i < place->offset; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    ck_assert_int_eq(place->line, line);
    ck_assert_int_eq(place->column, column);
}

static void check_value(const struct fv_text *text, const char *pointer, const json_t *value,
                        const char *key)
{
    struct fv_text back = FV_TEXT_INIT;
    struct fv_position place;
    json_t *parsed;

    ck_assert_msg(fv_position_find(text->data, text->length, pointer, false, &place), "%s in\n%s",
                  pointer, text->data);
    check_line_and_column(text->data, &place);
    parsed = json_loadb(text->data + place.offset, text->length - place.offset,
                        JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, NULL);
    ck_assert_msg(json_equal(parsed, value), "%s in\n%s", pointer, text->data);
    json_decref(parsed);

    read_pointer(text->data, text->length, place.offset, &back);
    ck_assert_msg(strcmp(back.data, pointer) == 0, "%s, not %s in\n%s", pointer, back.data,
                  text->data);
    fv_text_clear(&back);

    ck_assert(fv_position_find(text->data, text->length, pointer, true, &place));
    check_line_and_column(text->data, &place);
    parsed = json_loadb(text->data + place.offset, text->length - place.offset,
                        JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, NULL);
    if (key)
        ck_assert_msg(json_is_string(parsed) && strcmp(json_string_value(parsed), key) == 0,
                      "key of %s in\n%s", pointer, text->data);
    else
        ck_assert(json_equal(parsed, value));
    json_decref(parsed);
}

static size_t check_tree(const struct fv_text *text, struct fv_text *pointer, json_t *value,
                         const char *key)
{
    struct fv_text below = FV_TEXT_INIT;
    size_t i, seen = 1;
    const char *name;
    json_t *member;

    check_value(text, pointer->data, value, key);
    json_object_foreach(value, name, member)
    {
        fv_text_reset(&below);
        fv_text_add(&below, pointer->data);
        fv_pointer_add(&below, name, strlen(name));
        seen += check_tree(text, &below, member, name);
    }
    for (i = 0; i < json_array_size(value); i++) {
        fv_text_reset(&below);
        fv_text_add(&below, pointer->data);
        fv_pointer_add_index(&below, i);
        seen += check_tree(text, &below, json_array_get(value, i), NULL);
    }
    fv_text_clear(&below);
    return seen;
}

START_TEST(every_value_of_a_random_document_is_found)
{
    struct fv_text text = FV_TEXT_INIT, pointer = FV_TEXT_INIT;
    json_error_t words;
    json_t *root;
    size_t seen = 0;
    int round;

    random_state = 88172645463325252u + (uint64_t)_i;
    for (round = 0; round < 40; round++) {
        fv_text_reset(&text);
        add_space(&text);
        add_value(&text, 0);
        add_space(&text);
        root = json_loadb(text.data, text.length, JSON_DECODE_ANY, &words);
        ck_assert_msg(root != NULL, "%s: %s", words.text, text.data);
        seen += check_tree(&text, &pointer, root, NULL);
        json_decref(root);
    }
    ck_assert_uint_gt(seen, 40);
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_broken_document_has_a_place_and_a_pointer_everywhere)
{
    struct fv_text text = FV_TEXT_INIT, pointer = FV_TEXT_INIT;
    struct fv_position place;
    size_t length, offset;
    char *exact;
    int round;

    random_state = 42 + (uint64_t)_i;
    for (round = 0; round < 15; round++) {
        fv_text_reset(&text);
        add_members(&text, 2, true);
        length = pick((unsigned)text.length + 1);
        text.data[pick((unsigned)text.length)] = (char)pick(256);

        /* Exactly as long as that, so that a sanitizer sees a read behind it. */
        exact = malloc(length ? length : 1);
        ck_assert(exact != NULL);
        memcpy(exact, text.data, length);
        for (offset = 0; offset <= length + 1; offset++) {
            fv_position_at(exact, length, offset, &place);
            ck_assert_uint_le(place.offset, length);
            read_pointer(exact, length, offset, &pointer);
            ck_assert(!pointer.failed);
            ck_assert(!pointer.length || pointer.data[0] == '/');
            fv_position_find(exact, length, pointer.data, offset % 2, &place);
            ck_assert_uint_le(place.offset, length);
        }
        free(exact);
    }
    fv_text_clear(&text);
    fv_text_clear(&pointer);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

static Suite *position_suite(void)
{
    Suite *suite = suite_create("position");
    TCase *tests = tcase_create("position");

    (void)error; /* nothing here reports one */
    tcase_add_loop_test(tests, a_byte_has_a_line_and_a_column, 0, COUNT(offsets));
    tcase_add_loop_test(tests, a_pointer_finds_its_value_and_its_key, 0, COUNT(finds));
    tcase_add_test(tests, a_text_without_a_value_has_nothing_to_find);
    tcase_add_test(tests, only_the_given_bytes_are_read);
    tcase_add_test(tests, ten_thousand_levels_are_no_trouble);
    tcase_add_test(tests, garbage_that_never_closes_is_followed_only_so_far);
    tcase_add_loop_test(tests, the_value_being_read_has_a_pointer, 0, COUNT(readings));
    tcase_add_test(tests, tokens_of_pointers_are_escaped);
    tcase_add_loop_test(tests, every_value_of_a_random_document_is_found, 0, 20);
    tcase_add_loop_test(tests, a_broken_document_has_a_place_and_a_pointer_everywhere, 0, 20);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(position_suite());
}
