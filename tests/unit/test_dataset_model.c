/*
 * What data sets are judged by: tolerances, rules for fields, quantiles, tallies, scores.
 */
#include "support.h"

#include <float.h>
#include <math.h>

#include "model/field.h"
#include "model/health.h"
#include "model/quantile.h"
#include "model/tally.h"
#include "seed.h"
#include "util/hash.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* ---- tolerances ---- */

static const struct {
    const char *text;
    bool fine;
    double absolute, relative;
} tolerances[] = {
    { "5%", true, 0, 0.05 },
    { "0%", true, 0, 0 },
    { "100%", true, 0, 1 },
    { "0.1%", true, 0, 0.001 },
    { ".5%", true, 0, 0.005 },
    { "abs:2", true, 2, 0 },
    { "abs:0.01", true, 0.01, 0 },
    { "5%,abs:2", true, 2, 0.05 },
    { "abs:2,5%", true, 2, 0.05 },
    { "abs:123456789012345", true, 123456789012345, 0 },
    { "", false, 0, 0 },
    { "5", false, 0, 0 },
    { "%", false, 0, 0 },
    { "5 %", false, 0, 0 },
    { "-5%", false, 0, 0 },
    { "+5%", false, 0, 0 },
    { "5%%", false, 0, 0 },
    { "5.%", false, 0, 0 },
    { ".%", false, 0, 0 },
    { "5,0%", false, 0, 0 },
    { "1e1%", false, 0, 0 },
    { "100.1%", false, 0, 0 },
    { "inf%", false, 0, 0 },
    { "nan%", false, 0, 0 },
    { "abs:", false, 0, 0 },
    { "abs:-1", false, 0, 0 },
    { "abs:1%", false, 0, 0 },
    { "abs:1234567890123456", false, 0, 0 },
    { "5%,", false, 0, 0 },
    { "5%,5%", false, 0, 0 },
    { "abs:1,abs:2", false, 0, 0 },
    { "5%,abs:1,", false, 0, 0 },
};

START_TEST(a_tolerance_is_read_or_refused)
{
    struct fv_tolerance tolerance = { 7, 7 };
    const char *text = tolerances[_i].text;

    ck_assert_msg(fv_tolerance_parse(text, &tolerance) == tolerances[_i].fine, "%s", text);
    ck_assert_double_eq(tolerance.absolute, tolerances[_i].fine ? tolerances[_i].absolute : 7);
    ck_assert_double_eq(tolerance.relative, tolerances[_i].fine ? tolerances[_i].relative : 7);
}
END_TEST

#define INT(value)                             \
    {                                          \
        .is_integer = true, .integer = (value) \
    }
#define REAL(value)     \
    {                   \
        .real = (value) \
    }

static const struct {
    const char *label, *tolerance;
    struct fv_number a, b;
    bool allowed;
} pairs[] = {
    { "5 % of the larger one", "5%", INT(95), INT(100), true },
    { "a little more", "5%", INT(94), INT(99), false },
    { "the larger one may be the negative", "5%", INT(-100), INT(-95), true },
    { "across zero", "5%", INT(-1), INT(1), false },
    { "100 % of the larger is all of one sign", "100%", INT(0), INT(5), true },
    { "but not of two", "100%", INT(-5), INT(5), false },
    { "zero and zero", "5%", INT(0), REAL(0.0), true },
    { "minus zero", "0%", REAL(-0.0), REAL(0.0), true },
    { "zero and nearly zero", "5%", INT(0), REAL(1e-300), false },
    { "absolutely", "abs:2", INT(7), INT(9), true },
    { "absolutely more", "abs:2", INT(7), INT(10), false },
    { "whichever is larger, relative", "1%,abs:2", INT(1000), INT(1009), true },
    { "whichever is larger, absolute", "1%,abs:2", INT(10), INT(12), true },
    { "neither", "1%,abs:2", INT(100), INT(103), false },
    { "decimals are not off by their rounding", "abs:0.1", REAL(0.4), REAL(0.3), true },
    { "relative ones neither", "10%", REAL(0.9), INT(1), true },
    { "but by more", "abs:0.1", REAL(0.4000001), REAL(0.3), false },
    { "zero tolerance is exact", "0%", REAL(0.3), REAL(0.1 + 0.2), false },
    { "equal reals", "0%", REAL(0.1), REAL(0.1), true },
    { "1 is 1.0", "0%", INT(1), REAL(1.0), true },
    { "neighbours beyond 2^53", "0%", INT(9007199254740993), INT(9007199254740992), false },
    { "an integer and its rounding", "0%", INT(9007199254740993), REAL(9007199254740992.0), false },
    { "the largest integer is not 2^63", "0%", INT(INT64_MAX), REAL(0x1p63), false },
    { "the smallest is -2^63", "0%", INT(INT64_MIN), REAL(-0x1p63), true },
    { "the ends of 64 bits", "100%", INT(INT64_MIN), INT(INT64_MAX), false },
    { "the ends, absolutely", "abs:100", INT(INT64_MIN), INT(INT64_MAX), false },
    { "integers carry no rounding", "abs:1", INT(9007199254740993), INT(9007199254740995), false },
    { "integers within it", "abs:2", INT(9007199254740993), INT(9007199254740995), true },
    { "differences beyond doubles", "100%", REAL(1.7e308), REAL(-1.7e308), false },
    { "of the largest, too", "100%", REAL(DBL_MAX), REAL(-DBL_MAX), false },
    { "whole numbers at a bound that is rounded", "29%", INT(71), INT(100), true },
    { "and above it", "29%", INT(70), INT(100), false },
    { "far from zero", "0.07%", INT(9993000000000000), INT(10000000000000000), true },
    { "large ones", "5%", REAL(1.7e308), REAL(1.65e308), true },
    { "tiny ones", "5%", REAL(5e-324), REAL(1e-323), false },
};

START_TEST(numbers_are_within_a_tolerance)
{
    struct fv_tolerance tolerance;

    ck_assert(fv_tolerance_parse(pairs[_i].tolerance, &tolerance));
    ck_assert_msg(fv_tolerance_allows(&tolerance, &pairs[_i].a, &pairs[_i].b) == pairs[_i].allowed,
                  "%s", pairs[_i].label);
    ck_assert_msg(fv_tolerance_allows(&tolerance, &pairs[_i].b, &pairs[_i].a) == pairs[_i].allowed,
                  "%s, the other way", pairs[_i].label);
}
END_TEST

/* ---- fields ---- */

static const struct {
    const char *pattern, *pointer;
    bool fits, below;
} fields[] = {
    { "", "", true, true },
    { "", "/a", false, true },
    { "/a", "/a", true, true },
    { "/a", "/a/b", false, true },
    { "/a", "/ab", false, false },
    { "/a", "", false, false },
    { "/a/b", "/a", false, false },
    { "/*", "/a", true, true },
    { "/*", "/a/b", false, true },
    { "/*/b", "/a/b", true, true },
    { "/*/b", "/a/c", false, false },
    { "/lines/*/price", "/lines/10/price", true, true },
    { "/lines/*/price", "/lines/price", false, false },
    { "/*", "/", true, true },
    { "/a*", "/ab", false, false },
    { "/**", "/a", false, false },
    { "/a~1b", "/a~1b", true, true },
    { "/", "/", true, true },
    { "/", "/a", false, false },
};

START_TEST(a_rule_is_about_a_field)
{
    const char *pattern = fields[_i].pattern, *pointer = fields[_i].pointer;

    ck_assert_msg(fv_field_fits(pattern, pointer, false) == fields[_i].fits, "%s %s", pattern,
                  pointer);
    ck_assert_msg(fv_field_fits(pattern, pointer, true) == fields[_i].below, "%s above %s", pattern,
                  pointer);
}
END_TEST

START_TEST(the_last_rule_that_fits_counts)
{
    static const struct fv_field_rule rules[] = {
        { .field = "" }, { .field = "/a" }, { .field = "/a/b" }, { .field = "/*" }
    };

    ck_assert_ptr_eq(fv_field_find(rules, 4, "/a/b", true), &rules[3]);
    ck_assert_ptr_eq(fv_field_find(rules, 3, "/a/b", true), &rules[2]);
    ck_assert_ptr_eq(fv_field_find(rules, 3, "/a/c", true), &rules[1]);
    ck_assert_ptr_eq(fv_field_find(rules, 3, "/c", true), &rules[0]);
    ck_assert_ptr_null(fv_field_find(rules, 3, "/c", false));
    ck_assert_ptr_null(fv_field_find(rules, 0, "", true));
}
END_TEST

START_TEST(rules_of_either_kind_are_read)
{
    struct fv_field_rule rule = { .field = "" };

    ck_assert(fv_field_read_comparison("exact", &rule) && rule.exact && !rule.ignore);
    ck_assert(fv_field_read_comparison("ignore", &rule) && rule.ignore && !rule.exact);
    ck_assert(fv_field_read_comparison("5%", &rule) && !rule.ignore && !rule.exact);
    ck_assert(!fv_field_read_comparison("string", &rule));
    ck_assert(!fv_field_read_comparison("Exact", &rule));
    ck_assert(fv_field_read_types("number|null", &rule));
    ck_assert_uint_eq(rule.types, FV_TYPE_INTEGER | FV_TYPE_REAL | FV_TYPE_NULL);
    ck_assert(fv_field_read_types("any", &rule));
    ck_assert_uint_eq(rule.types, 1023);
    ck_assert(!fv_field_read_types("", &rule));
    ck_assert(!fv_field_read_types("number|", &rule));
    ck_assert(!fv_field_read_types("|number", &rule));
    ck_assert(!fv_field_read_types("numbers", &rule));
    ck_assert(!fv_field_read_types("5%", &rule));
}
END_TEST

START_TEST(some_strings_say_nothing)
{
    static const char *const nothing[] = { "",       " ",   "\t\r\n", "null", "NULL",
                                           " None ", "NaN", "n/a",    "N/A",  "undefined" };
    static const char *const something[] = { "x",    "0",   "nul", "nulls",
                                             "nan1", "a b", "na",  "\xc2\xa0" };
    int i;

    for (i = 0; i < COUNT(nothing); i++)
        ck_assert_msg(fv_field_says_nothing(nothing[i], strlen(nothing[i])), "%s", nothing[i]);
    for (i = 0; i < COUNT(something); i++)
        ck_assert_msg(!fv_field_says_nothing(something[i], strlen(something[i])), "%s",
                      something[i]);
    ck_assert(!fv_field_says_nothing("null\0", 5));
}
END_TEST

START_TEST(a_uuid_is_known)
{
    static const char good[] = "01890a5d-ac96-774b-bcce-b302099A8057";
    char text[sizeof good];
    size_t i;

    ck_assert(fv_field_is_uuid(good, 36));
    ck_assert(!fv_field_is_uuid(good, 35));
    for (i = 0; i < 36; i++) {
        memcpy(text, good, sizeof text);
        text[i] = 'g';
        ck_assert(!fv_field_is_uuid(text, 36));
        text[i] = 0;
        ck_assert(!fv_field_is_uuid(text, 36));
        text[i] = good[i] == '-' ? '0' : '-';
        ck_assert(!fv_field_is_uuid(text, 36));
    }
}
END_TEST

/* ---- quantiles ---- */

#define MANY 50000

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of some kind of numbers. */
static double draw(struct seed *seed, int kind)
{
    double share = (double)(seed_next(seed) >> 11) * 0x1p-53;
    uint64_t bits;
    double value;

    switch (kind) {
    case 0:
        return (double)seed_below(seed, 2000) - 1000;
    case 1:
        return share - 0.5;
    case 2:
        return exp(share * 40 - 20) * (seed_below(seed, 2) ? 1 : -1);
    default:
        do {
            bits = seed_next(seed);
            memcpy(&value, &bits, sizeof value);
        } while (!isfinite(value));
        return value;
    }
}

START_TEST(quantiles_are_exact_or_off_by_what_they_say)
{
    static const double shares[] = { 0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1 };
    static double values[MANY];
    struct seed seed = seed_new((uint64_t)_i);
    struct fv_quantiles quantiles = { 0 };
    double exact, got, rounding;
    size_t i, rank;

    for (i = 0; i < MANY; i++) {
        values[i] = draw(&seed, _i);
        must(fv_quantiles_add(&quantiles, values[i]), "memory");
        must(quantiles.used <= FV_QUANTILE_LIMIT, "%zu are kept", quantiles.used);
    }
    qsort(values, MANY, sizeof *values, compare_doubles);
    rounding = fv_quantiles_rounding(&quantiles);
    if (_i == 0)
        ck_assert_double_eq(rounding, 0);
    else if (_i < 3)
        ck_assert(rounding > 0 && rounding < 0.07);
    for (i = 0; i < (size_t)COUNT(shares); i++) {
        rank = (size_t)ceil(shares[i] * MANY);
        exact = values[rank ? rank - 1 : 0];
        got = fv_quantiles_get(&quantiles, shares[i]);
        ck_assert_msg(isfinite(got) && fabs(got - exact) <= rounding * fabs(got) * 1.000001,
                      "%g: %g instead of %g, rounding %g", shares[i], got, exact, rounding);
    }
    fv_quantiles_clear(&quantiles);
}
END_TEST

START_TEST(few_numbers_have_quantiles_too)
{
    struct fv_quantiles quantiles = { 0 };

    ck_assert_double_eq(fv_quantiles_get(&quantiles, 0.5), 0);
    ck_assert(fv_quantiles_add(&quantiles, -0.0));
    ck_assert(fv_quantiles_add(&quantiles, 0.0));
    ck_assert_uint_eq(quantiles.used, 1);
    ck_assert(fv_quantiles_add(&quantiles, 3));
    ck_assert_double_eq(fv_quantiles_get(&quantiles, 0), 0);
    ck_assert_double_eq(fv_quantiles_get(&quantiles, 0.5), 0);
    ck_assert_double_eq(fv_quantiles_get(&quantiles, 0.67), 3);
    ck_assert_double_eq(fv_quantiles_get(&quantiles, 1), 3);
    fv_quantiles_clear(&quantiles);
}
END_TEST

START_TEST(numbers_of_all_magnitudes_find_room)
{
    struct fv_quantiles quantiles = { 0 };
    double rounding;
    int i;

    for (i = -1022; i < 1024; i++) {
        ck_assert(fv_quantiles_add(&quantiles, ldexp(1, i)));
        ck_assert(fv_quantiles_add(&quantiles, -ldexp(1, i)));
    }
    ck_assert_uint_le(quantiles.used, FV_QUANTILE_LIMIT);
    rounding = fv_quantiles_rounding(&quantiles);
    ck_assert(isfinite(rounding) && rounding > 0);
    ck_assert(isfinite(fv_quantiles_get(&quantiles, 1)));
    ck_assert(fv_quantiles_get(&quantiles, 0.25) < 0);
    ck_assert(fv_quantiles_get(&quantiles, 0.75) > 0);
    fv_quantiles_clear(&quantiles);
}
END_TEST

/* ---- tallies ---- */

static void add_number(struct fv_tally *tally, uint32_t number)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%u", number);
    uint64_t hash = (uint64_t)fv_murmur3(text, (size_t)length, 0) << 32 |
                    fv_murmur3(text, (size_t)length, 1);

    must(fv_tally_add(tally, hash, text, (size_t)length), "memory");
}

START_TEST(distinct_values_are_counted_or_estimated)
{
    static const uint32_t counts[] = { 0, 1, 2, 100, 1023, 1024, 2000, 10000, 300000 };
    uint32_t count = counts[_i], i;
    struct fv_tally tally = { 0 };
    double distinct;

    for (i = 0; i < 2 * count; i++)
        add_number(&tally, i % count);
    distinct = (double)fv_tally_distinct(&tally);
    if (count < FV_TALLY_HASHES)
        ck_assert_double_eq(distinct, count);
    else
        ck_assert_msg(fabs(distinct - count) <= 0.1 * count, "%g of %u", distinct, count);
    fv_tally_clear(&tally);
}
END_TEST

START_TEST(frequent_values_are_found_among_many)
{
    const struct fv_tally_counter *top[5];
    struct seed seed = seed_new(7);
    struct fv_tally tally = { 0 };
    uint32_t i;
    size_t found;

    /* A fifth is 1, a tenth is 2, the others come once or twice. */
    for (i = 0; i < 20000; i++)
        add_number(&tally, i % 5 == 0 ? 1 : i % 10 == 1 ? 2 : 100 + seed_below(&seed, 100000));
    found = fv_tally_top(&tally, 200, 5, top);
    ck_assert_uint_eq(found, 2);
    ck_assert_str_eq(top[0]->text, "1");
    ck_assert_str_eq(top[1]->text, "2");
    ck_assert_uint_ge(top[0]->count, 4000);
    ck_assert_uint_le(top[0]->count - top[0]->uncertain, 4000);
    ck_assert_uint_ge(top[1]->count, 2000);
    ck_assert_uint_le(top[1]->count - top[1]->uncertain, 2000);
    fv_tally_clear(&tally);
}
END_TEST

START_TEST(what_comes_once_is_not_frequent)
{
    const struct fv_tally_counter *top[5];
    struct fv_tally tally = { 0 };
    uint32_t i;

    for (i = 0; i < 10; i++)
        add_number(&tally, i);
    ck_assert_uint_eq(fv_tally_top(&tally, 0, 5, top), 0);
    for (i = 0; i < 10; i++)
        add_number(&tally, i);
    ck_assert_uint_eq(fv_tally_top(&tally, 0, 5, top), 5);
    ck_assert_str_eq(top[0]->text, "0"); /* ties by text */
    ck_assert_str_eq(top[4]->text, "4");
    fv_tally_clear(&tally);
}
END_TEST

START_TEST(long_values_are_cut_between_characters)
{
    const struct fv_tally_counter *top[1];
    struct fv_tally tally = { 0 };
    char text[100];
    int i;

    for (i = 0; i < 100; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[0] = 'x'; /* behind it, characters begin at odd places, … */
    text[1] = 'x';
    memmove(text + 1, text + 2, 98);
    for (i = 0; i < 2; i++)
        ck_assert(fv_tally_add(&tally, 1, text, 99));
    ck_assert_uint_eq(fv_tally_top(&tally, 0, 1, top), 1);
    ck_assert_uint_eq(strlen(top[0]->text), 63); /* … and the 64th byte is half of one */
    fv_tally_clear(&tally);
}
END_TEST

/* ---- scores ---- */

static const struct {
    const char *label;
    struct fv_field_health field;
    uint32_t score;
} scores[] = {
    { "nothing", { 0 }, 100 },
    { "all is well", { .count = 10 }, 100 },
    { "one of three is invalid", { .count = 3, .invalid = 1 }, 66 },
    { "all is invalid", { .count = 3, .invalid = 3 }, 0 },
    { "all is invalid, and odd, too", { .count = 3, .invalid = 3, .odd = 1 }, 0 },
    { "half is null", { .count = 10, .nulls = 5 }, 75 },
    { "half is missing", { .count = 5, .missing = 5 }, 75 },
    { "it is nowhere", { .missing = 5 }, 50 },
    { "one in a thousand is empty", { .count = 1000, .empty = 1 }, 99 },
    { "all kinds", { 8, 2, 1, 1, 1, 1 }, 60 },
    { "more than a hundredth of 64 bits", { .count = UINT64_MAX / 2 }, 100 },
};

START_TEST(a_field_has_a_score)
{
    ck_assert_msg(fv_health_of_field(&scores[_i].field) == scores[_i].score, "%s: %u",
                  scores[_i].label, (unsigned)fv_health_of_field(&scores[_i].field));
}
END_TEST

START_TEST(a_data_set_has_a_score)
{
    ck_assert_uint_eq(fv_health_of_all(0, 0, 0, 0), 0);
    ck_assert_uint_eq(fv_health_of_all(0, 0, 5, 0), 100);
    ck_assert_uint_eq(fv_health_of_all(199, 2, 5, 0), 99);
    ck_assert_uint_eq(fv_health_of_all(200, 2, 4, 1), 75);
    ck_assert_uint_eq(fv_health_of_all(200, 2, 4, 4), 0);
}
END_TEST

static Suite *model_suite(void)
{
    Suite *suite = suite_create("dataset model");
    TCase *tests = tcase_create("model");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_tolerance_is_read_or_refused, 0, COUNT(tolerances));
    tcase_add_loop_test(tests, numbers_are_within_a_tolerance, 0, COUNT(pairs));
    tcase_add_loop_test(tests, a_rule_is_about_a_field, 0, COUNT(fields));
    tcase_add_test(tests, the_last_rule_that_fits_counts);
    tcase_add_test(tests, rules_of_either_kind_are_read);
    tcase_add_test(tests, some_strings_say_nothing);
    tcase_add_test(tests, a_uuid_is_known);
    tcase_add_loop_test(tests, quantiles_are_exact_or_off_by_what_they_say, 0, 4);
    tcase_add_test(tests, few_numbers_have_quantiles_too);
    tcase_add_test(tests, numbers_of_all_magnitudes_find_room);
    tcase_add_loop_test(tests, distinct_values_are_counted_or_estimated, 0, 9);
    tcase_add_test(tests, frequent_values_are_found_among_many);
    tcase_add_test(tests, what_comes_once_is_not_frequent);
    tcase_add_test(tests, long_values_are_cut_between_characters);
    tcase_add_loop_test(tests, a_field_has_a_score, 0, COUNT(scores));
    tcase_add_test(tests, a_data_set_has_a_score);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(model_suite());
}
