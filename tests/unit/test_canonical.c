#define _POSIX_C_SOURCE 200809L /* getline, mkdtemp, setenv */
#include "support.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "codec/canonical.h"
#include "codec/json.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* --- the vectors --- */

#define VECTORS "tests/data/canonical.jsonl"

static void check_vector(const char *line, size_t length, size_t *refused)
{
    const char *label = "", *text = "", *canonical = NULL;
    size_t text_length = 0;
    struct fv_text out = FV_TEXT_INIT;
    json_t *row, *value;

    row = json_loadb(line, length, 0, NULL);
    ck_assert_msg(row != NULL, "no JSON: %s", line);
    ck_assert(json_unpack(row, "{s:s, s:s%, s?s}", "label", &label, "text", &text, &text_length,
                          "canonical", &canonical) == 0);

    if (!canonical) {
        ck_assert_msg(fv_json_parse(text, text_length, NULL, &value, NULL) == FLAGVER_EPARSE, "%s",
                      label);
        ++*refused;
    } else {
        assert_ok(fv_json_parse(text, text_length, label, &value, &error));
        assert_ok(fv_canonical_write(&out, value, &error));
        ck_assert_msg(strcmp(out.data, canonical) == 0, "%s: %s", label, out.data);
        json_decref(value);
    }
    json_decref(row);
    fv_text_clear(&out);
}

START_TEST(the_vectors_hold)
{
    FILE *file = fopen(VECTORS, "r");
    size_t room = 0, rows = 0, refused = 0;
    char *line = NULL;
    ssize_t length;

    ck_assert_msg(file != NULL, "%s: run from the project's root", VECTORS);
    while ((length = getline(&line, &room, file)) > 0) {
        check_vector(line, (size_t)length, &refused);
        rows++;
    }
    free(line);
    fclose(file);
    ck_assert_uint_gt(rows, refused + 40);
    ck_assert_uint_gt(refused, 15);
}
END_TEST

/* --- strings and integers --- */

struct string_row {
    const char *text;
    size_t length;
    const char *canonical;
};

static const struct string_row strings[] = {
    { "", 0, "\"\"" },
    { "abc", 3, "\"abc\"" },
    { "abc", 2, "\"ab\"" },
    { "a/b", 3, "\"a/b\"" },
    { "\"", 1, "\"\\\"\"" },
    { "\\", 1, "\"\\\\\"" },
    { "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
    { "\x01\x0B\x1F", 3, "\"\\u0001\\u000b\\u001f\"" },
    { "\x7F", 1, "\"\x7F\"" },
    { "x\xC3\xA9\"\xF0\x9F\x98\x80", 8, "\"x\xC3\xA9\\\"\xF0\x9F\x98\x80\"" },
    { "'<>&\xE2\x80\xA8", 7, "\"'<>&\xE2\x80\xA8\"" },
    { "\x1E-\x1A", 3, "\"\\u001e-\\u001a\"" },
    { "a\0b", 3, "\"a\\u0000b\"" },
};

START_TEST(a_string_has_the_shortest_escapes)
{
    struct fv_text out = FV_TEXT_INIT;

    fv_canonical_string(&out, strings[_i].text, strings[_i].length);
    ck_assert_str_eq(out.data, strings[_i].canonical);
    fv_text_clear(&out);
}
END_TEST

START_TEST(every_other_byte_of_a_string_stays)
{
    struct fv_text out = FV_TEXT_INIT;
    char text[1];
    int c;

    for (c = 0x20; c < 0x100; c++) {
        text[0] = (char)c;
        fv_text_reset(&out);
        fv_canonical_string(&out, text, 1);
        ck_assert_uint_eq(out.length, c == '"' || c == '\\' ? 4 : 3);
        ck_assert(out.data[out.length - 2] == text[0]);
    }
    fv_text_clear(&out);
}
END_TEST

struct integer_row {
    int64_t value;
    const char *canonical;
};

static const struct integer_row integers[] = {
    { 0, "0" },
    { 1, "1" },
    { -1, "-1" },
    { 9, "9" },
    { 10, "10" },
    { -100, "-100" },
    { 9007199254740993, "9007199254740993" },
    { INT64_MAX, "9223372036854775807" },
    { INT64_MIN, "-9223372036854775808" },
    { INT64_MIN + 1, "-9223372036854775807" },
};

START_TEST(an_integer_is_written_exactly)
{
    struct fv_text out = FV_TEXT_INIT;

    fv_canonical_integer(&out, integers[_i].value);
    ck_assert_str_eq(out.data, integers[_i].canonical);
    fv_text_clear(&out);
}
END_TEST

/* --- reals --- */

struct real_row {
    double value;
    const char *canonical;
};

static const struct real_row reals[] = {
    { 0.0, "0.0" },
    { -0.0, "0.0" },
    { 1.0, "1.0" },
    { -1.0, "-1.0" },
    { 9.0, "9.0" },
    { 10.0, "1e+01" },
    { 12.0, "12.0" },
    { 25.0, "25.0" },
    { 100.0, "1e+02" },
    { 101.0, "101.0" },
    { 120.0, "1.2e+02" },
    { 123456.0, "123456.0" },
    { 999999999999999.0, "999999999999999.0" },
    { 1000000000000000.0, "1e+15" },
    { 1000000000000001.0, "1000000000000001.0" },
    { 9007199254740991.0, "9007199254740991.0" },
    { 12345678901234567.0, "12345678901234568.0" },
    { 123456789012345678.0, "1.2345678901234568e+17" },
    { 0.1, "0.1" },
    { 0.5, "0.5" },
    { 0.25, "0.25" },
    { 1.5, "1.5" },
    { 99.95, "99.95" },
    { 33.333333, "33.333333" },
    { 33.3333333, "33.3333333" },
    { 0.001, "0.001" },
    { 0.0001, "0.0001" },
    { 0.00001, "1e-05" },
    { 0.00012, "0.00012" },
    { 0.000099, "9.9e-05" },
    { 1e-6, "1e-06" },
    { 1e-7, "1e-07" },
    { 0.1 + 0.2, "0.30000000000000004" },
    { 1.0 / 3, "0.3333333333333333" },
    { 2.0 / 3, "0.6666666666666666" },
    { 1e22, "1e+22" },
    { 1e23, "1e+23" },
    { 1e100, "1e+100" },
    { 1.5e-100, "1.5e-100" },
    { 5e-324, "5e-324" },
    { 1e-320, "1e-320" },
    { 123456e-320, "1.23456e-315" },
    { DBL_MIN, "2.2250738585072014e-308" },
    { DBL_MAX, "1.7976931348623157e+308" },
    { DBL_EPSILON, "2.220446049250313e-16" },
    { 1.0 + DBL_EPSILON, "1.0000000000000002" },
    { 1.0 - DBL_EPSILON / 2, "0.9999999999999999" },
    { 2251799813685249.5, "2251799813685249.5" },
    { -1.7e-9, "-1.7e-09" },
};

START_TEST(a_real_has_the_fewest_digits)
{
    struct fv_text out = FV_TEXT_INIT;

    fv_canonical_real(&out, reals[_i].value);
    ck_assert_str_eq(out.data, reals[_i].canonical);
    fv_text_clear(&out);
}
END_TEST

START_TEST(what_json_cannot_hold_is_null)
{
    struct fv_text out = FV_TEXT_INIT;

    fv_canonical_real(&out, (double)INFINITY);
    fv_canonical_real(&out, -(double)INFINITY);
    fv_canonical_real(&out, (double)NAN);
    ck_assert_str_eq(out.data, "nullnullnull");
    fv_text_clear(&out);
}
END_TEST

/* The definition, word by word. */
static void write_by_definition(double value, char out[64])
{
    int digits;

    if (value == 0) {
        strcpy(out, "0.0");
        return;
    }
    for (digits = 1; digits <= 17; digits++) {
        snprintf(out, 64, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    if (!strpbrk(out, ".e"))
        strcat(out, ".0");
}

static uint64_t random_state = 88172645463325252u;

static uint64_t pick(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

static double random_real(int kind)
{
    static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
    double value;
    uint64_t bits;

    switch (kind) {
    case 0: /* any double */
        bits = pick(1u << 31) << 33 | pick(1u << 31) << 2 | pick(4);
        memcpy(&value, &bits, sizeof value);
        return value;
    case 1: /* a few decimals */
        return (double)pick(1000000) / powers[pick(10)];
    case 2: /* many decimals */
        return (double)pick((uint64_t)1 << 53) / powers[pick(10)];
    case 3: /* whole, with zeros */
        return (double)pick(100000) * powers[pick(10)];
    case 4: /* between powers of two */
        value = ldexp(1, (int)pick(2098) - 1074);
        return pick(2) ? value : nextafter(value, pick(2) ? 0 : (double)INFINITY);
    case 5: /* below DBL_MIN */
        return (double)pick((uint64_t)1 << 52) * 5e-324;
    default: /* a decimal exponent */
        return (double)pick(1000) * pow(10, (double)pick(600) - 300);
    }
}

START_TEST(random_reals_follow_the_definition)
{
    struct fv_text out = FV_TEXT_INIT;
    char expected[64];
    double value;
    int round;

    for (round = 0; round < 3000; round++) {
        value = random_real(_i);
        if (!isfinite(value))
            continue;
        if (pick(2))
            value = -value;
        fv_text_reset(&out);
        fv_canonical_real(&out, value);
        write_by_definition(value, expected);
        ck_assert_msg(strcmp(out.data, expected) == 0, "%a is %s, not %s", value, expected,
                      out.data);
    }
    fv_text_clear(&out);
}
END_TEST

/* --- the host's locale --- */

/* A locale that has nothing but a decimal point, made on the spot. */
static bool make_locale(const char *folder, const char *point, const char *charmap)
{
    char command[256], source[128];
    FILE *file;

    snprintf(source, sizeof source, "%s/source", folder);
    file = fopen(source, "w");
    if (!file)
        return false;
    fprintf(file,
            "LC_NUMERIC\ndecimal_point \"%s\"\nthousands_sep \"\"\ngrouping -1\n"
            "END LC_NUMERIC\nLC_CTYPE\ncopy \"POSIX\"\nEND LC_CTYPE\n",
            point);
    fclose(file);

    /* localedef also complains about all the categories that are not there. */
    snprintf(command, sizeof command, "localedef --quiet -c -i %s -f %s %s/made >%s/words 2>&1",
             source, charmap, folder, folder);
    if (system(command) == -1)
        return false;
    setenv("LOCPATH", folder, 1);
    return setlocale(LC_NUMERIC, "made") != NULL;
}

static void check_numbers(void)
{
    static const char text[] =
        "[0.5,12.75,1e+01,1234.0,0.30000000000000004,1.5e-07,2.5e+300,1.7976931348623157e+308,"
        "5e-324,1.2345678901234567,-0.1,123456789012345.67]";
    struct fv_text out = FV_TEXT_INIT;
    json_t *value;

    assert_ok(fv_json_parse(text, sizeof text - 1, NULL, &value, &error));
    ck_assert(json_real_value(json_array_get(value, 1)) == 12.75);
    ck_assert(json_real_value(json_array_get(value, 4)) == 0.1 + 0.2);
    assert_ok(fv_canonical_write(&out, value, &error));
    ck_assert_str_eq(out.data, text);
    json_decref(value);
    fv_text_clear(&out);
}

struct locale_row {
    const char *names[6]; /* of locales that may be there */
    const char *point, *charmap;
    const char *printed; /* 1.5 there */
};

static const struct locale_row locales[] = {
    { { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR" },
      ",",
      "ANSI_X3.4-1968",
      "1,5" },
    { { "ps_AF.UTF-8", "ps_AF.utf8", "ps_AF" },
      "<U066B>",
      "UTF-8",
      "1\xD9\xAB"
      "5" },
};

START_TEST(numbers_do_not_depend_on_the_locale)
{
    const struct locale_row *row = &locales[_i];
    char folder[] = "/tmp/flagver-locale-XXXXXX", command[64], printed[16];
    const char *const *name;
    bool there = false;

    for (name = row->names; *name && !there; name++)
        there = setlocale(LC_NUMERIC, *name) != NULL;
    if (!there) {
        ck_assert(mkdtemp(folder) != NULL);
        there = make_locale(folder, row->point, row->charmap);
        snprintf(command, sizeof command, "rm -r %s", folder);
        ck_assert_int_eq(system(command), 0);
    }
    if (!there) {
        printf("SKIPPED: no locale with the decimal point %s, and localedef makes none\n",
               row->point);
        return;
    }

    snprintf(printed, sizeof printed, "%.1f", 1.5);
    ck_assert_str_eq(printed, row->printed);
    check_numbers();
    setlocale(LC_NUMERIC, "C");
}
END_TEST

/* --- trees --- */

START_TEST(a_hundred_thousand_keys_are_sorted)
{
    enum { KEYS = 100000 };
    struct fv_text out = FV_TEXT_INIT;
    json_t *object = json_object();
    char key[16], before[16] = "";
    const char *at;
    size_t length;
    int i;

    /* 7919 and KEYS have no common divisor, so this is every number once. */
    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%d", (int)((int64_t)i * 7919 % KEYS));
        ck_assert(json_object_set_new(object, key, json_integer(i)) == 0);
    }
    assert_ok(fv_canonical_write(&out, object, &error));

    at = out.data + 1;
    for (i = 0; i < KEYS; i++) {
        length = strcspn(++at, "\"");
        ck_assert_uint_lt(length, sizeof key);
        memcpy(key, at, length);
        key[length] = 0;
        ck_assert_msg(strcmp(before, key) < 0, "%s before %s", before, key);
        strcpy(before, key);
        at += strcspn(at, ",}") + 1;
    }
    ck_assert(*at == 0);
    json_decref(object);
    fv_text_clear(&out);
}
END_TEST

START_TEST(what_was_in_the_text_stays_in_front)
{
    struct fv_text out = FV_TEXT_INIT;
    json_t *value = json_pack("{s:[i,b,n], s:f}", "b", 1, 1, "a", 2.5);

    fv_text_add(&out, "before ");
    assert_ok(fv_canonical_write(&out, value, &error));
    ck_assert_str_eq(out.data, "before {\"a\":2.5,\"b\":[1,true,null]}");
    json_decref(value);
    fv_text_clear(&out);
}
END_TEST

START_TEST(a_refused_value_leaves_the_text_as_it_was)
{
    struct fv_text out = FV_TEXT_INIT, nothing = FV_TEXT_INIT;
    json_t *value = json_array();

    json_array_append_new(value, json_integer(1));
    json_array_append_new(value, json_stringn("a\0b", 3));
    fv_text_add(&out, "before");
    assert_fails(FLAGVER_EINVAL, fv_canonical_write(&out, value, &error));
    assert_words("\"a\" holds a NUL");
    ck_assert_str_eq(out.data, "before");
    ck_assert(!out.failed);

    assert_fails(FLAGVER_EINVAL, fv_canonical_write(&nothing, NULL, &error));
    ck_assert_int_eq(fv_canonical_write(&nothing, NULL, NULL), FLAGVER_EINVAL);
    ck_assert_str_eq(nothing.data, "");
    json_decref(value);
    fv_text_clear(&out);
    fv_text_clear(&nothing);
}
END_TEST

#if JANSSON_VERSION_HEX >= 0x020E00
START_TEST(a_key_with_a_nul_is_refused)
{
    struct fv_text out = FV_TEXT_INIT;
    json_t *value = json_object(), *outer = json_array();

    json_object_set_new(value, "z", json_true());
    json_object_setn_new(value, "k\0y", 3, json_true());
    json_array_append_new(outer, value);
    assert_fails(FLAGVER_EINVAL, fv_canonical_write(&out, outer, &error));
    assert_words("key \"k\" holds a NUL");
    json_decref(outer);
    fv_text_clear(&out);
}
END_TEST
#endif

static json_t *nested(int depth)
{
    json_t *value = json_null(), *outer;

    for (; depth > 1; depth--) {
        outer = depth % 2 ? json_array() : json_object();
        if (depth % 2)
            json_array_append_new(outer, value);
        else
            json_object_set_new(outer, "a", value);
        value = outer;
    }
    return value;
}

START_TEST(values_nest_as_deep_as_the_parser_lets_them)
{
    struct fv_text out = FV_TEXT_INIT;
    json_t *deepest = nested(FV_JSON_DEPTH), *deeper = nested(FV_JSON_DEPTH + 1), *back;

    assert_ok(fv_canonical_write(&out, deepest, &error));
    assert_ok(fv_json_parse(out.data, out.length, NULL, &back, &error));
    ck_assert(json_equal(deepest, back));
    assert_fails(FLAGVER_EINVAL, fv_canonical_write(&out, deeper, &error));
    assert_words("nested deeper than 500");
    json_decref(back);
    json_decref(deepest);
    json_decref(deeper);
    fv_text_clear(&out);
}
END_TEST

START_TEST(a_text_without_memory_says_so)
{
    struct fv_text out = FV_TEXT_INIT;
    json_t *value = json_true();

    out.failed = true;
    assert_fails(FLAGVER_ENOMEM, fv_canonical_write(&out, value, &error));
    ck_assert(out.failed);
    ck_assert_uint_eq(out.length, 0);
    fv_text_clear(&out);
}
END_TEST

static Suite *canonical_suite(void)
{
    Suite *suite = suite_create("canonical");
    TCase *tests = tcase_create("canonical"), *slow = tcase_create("slow");

    tcase_add_test(tests, the_vectors_hold);
    tcase_add_loop_test(tests, a_string_has_the_shortest_escapes, 0, COUNT(strings));
    tcase_add_test(tests, every_other_byte_of_a_string_stays);
    tcase_add_loop_test(tests, an_integer_is_written_exactly, 0, COUNT(integers));
    tcase_add_loop_test(tests, a_real_has_the_fewest_digits, 0, COUNT(reals));
    tcase_add_test(tests, what_json_cannot_hold_is_null);
    tcase_add_test(tests, what_was_in_the_text_stays_in_front);
    tcase_add_test(tests, a_refused_value_leaves_the_text_as_it_was);
#if JANSSON_VERSION_HEX >= 0x020E00
    tcase_add_test(tests, a_key_with_a_nul_is_refused);
#endif
    tcase_add_test(tests, values_nest_as_deep_as_the_parser_lets_them);
    tcase_add_test(tests, a_text_without_memory_says_so);
    suite_add_tcase(suite, tests);

    tcase_set_timeout(slow, 60);
    tcase_set_tags(slow, "slow"); /* valgrind leaves it out */
    tcase_add_loop_test(slow, random_reals_follow_the_definition, 0, 7);
    tcase_add_test(slow, a_hundred_thousand_keys_are_sorted);
    tcase_add_loop_test(slow, numbers_do_not_depend_on_the_locale, 0, COUNT(locales));
    suite_add_tcase(suite, slow);
    return suite;
}

int main(void)
{
    return run_suite(canonical_suite());
}
