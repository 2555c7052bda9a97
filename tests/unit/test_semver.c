#include "model/semver.h"

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define TEXT(literal) literal, sizeof(literal) - 1

static void assert_slice(const struct fv_semver_slice *slice, const char *expected)
{
    ck_assert_uint_eq(slice->length, strlen(expected));
    ck_assert_mem_eq(slice->text, expected, slice->length);
}

static const struct {
    const char *text, *major, *minor, *patch, *prerelease;
} versions[] = {
    { "0", "0", "0", "0", "" },
    { "2", "2", "0", "0", "" },
    { "v2", "2", "0", "0", "" },
    { "v1.2", "1", "2", "0", "" },
    { "1.2.3", "1", "2", "3", "" },
    { "v1.2.3", "1", "2", "3", "" },
    { "0.0.0", "0", "0", "0", "" },
    { "10.20.30", "10", "20", "30", "" },
    { "2-rc.1", "2", "0", "0", "rc.1" },
    { "2.1-rc.1+build", "2", "1", "0", "rc.1" },
    { "v2-0", "2", "0", "0", "0" },
    { "2+5", "2", "0", "0", "" },
    { "2.1+5-x", "2", "1", "0", "" },
    { "1.1.2-prerelease+meta", "1", "1", "2", "prerelease" },
    { "1.1.2+meta", "1", "1", "2", "" },
    { "1.1.2+meta-valid", "1", "1", "2", "" },
    { "1.0.0-alpha.0valid", "1", "0", "0", "alpha.0valid" },
    { "1.0.0-0A.is.legal", "1", "0", "0", "0A.is.legal" },
    { "1.0.0-0-0", "1", "0", "0", "0-0" },
    { "1.0.0--", "1", "0", "0", "-" },
    { "1.0.0----RC-SNAPSHOT.12.9.1--.12+788", "1", "0", "0", "---RC-SNAPSHOT.12.9.1--.12" },
    { "1.0.0+0.build.1-rc.10000aaa-kk-0.1", "1", "0", "0", "" },
    { "1.0.0+001.00", "1", "0", "0", "" },
    { "1.0.0-rc.1+build.123", "1", "0", "0", "rc.1" },
    { "1.0.0-v1", "1", "0", "0", "v1" },
    { "99999999999999999999999.999999999999999999.99999999999999999", "99999999999999999999999",
      "999999999999999999", "99999999999999999", "" },
};

START_TEST(a_version_has_three_numbers_and_a_prerelease)
{
    struct fv_semver version;
    size_t length = strlen(versions[_i].text);
    char *exact = malloc(length + 1);

    ck_assert_ptr_nonnull(exact);
    memcpy(exact + 1, versions[_i].text, length);
    ck_assert_msg(fv_semver_parse(exact + 1, length, &version), "\"%s\"", versions[_i].text);
    assert_slice(&version.core[0], versions[_i].major);
    assert_slice(&version.core[1], versions[_i].minor);
    assert_slice(&version.core[2], versions[_i].patch);
    assert_slice(&version.prerelease, versions[_i].prerelease);
    ck_assert_int_eq(fv_semver_compare(&version, &version), 0);
    free(exact);
}
END_TEST

static const struct {
    const char *text;
    size_t length;
} refused[] = {
    { TEXT("") },
    { TEXT("v") },
    { TEXT("V2") },
    { TEXT("vv2") },
    { TEXT(" 2") },
    { TEXT("2 ") },
    { TEXT("v 2") },
    { TEXT("2\n") },
    { TEXT("2\0") },
    { TEXT("\0002") },
    { TEXT("=2") },
    { TEXT("+2") },
    { TEXT("-2") },
    { TEXT(".") },
    { TEXT(".2") },
    { TEXT("2.") },
    { TEXT("2..1") },
    { TEXT("2.1.") },
    { TEXT("1.2.3.") },
    { TEXT("1.2.3.4") },
    { TEXT("1.2.3.4-rc") },
    { TEXT("01") },
    { TEXT("00") },
    { TEXT("1.02") },
    { TEXT("1.2.03") },
    { TEXT("v01.2.3") },
    { TEXT("1.x") },
    { TEXT("1.2.*") },
    { TEXT("1.2a") },
    { TEXT("a.b.c") },
    { TEXT("rc.1") },
    { TEXT("1,2") },
    { TEXT("0x10") },
    { TEXT("1e3") },
    { TEXT("2-") },
    { TEXT("2.1.0-") },
    { TEXT("2.1.0-+b") },
    { TEXT("2.1.0-rc..1") },
    { TEXT("2.1.0-.rc") },
    { TEXT("2.1.0-rc.") },
    { TEXT("2.1.0-rc.01") },
    { TEXT("2.1.0-00") },
    { TEXT("2.1.0-0123.0123") },
    { TEXT("2.1.0-rc_1") },
    { TEXT("2.1.0-rc 1") },
    { TEXT("2.1.0-r\xC3\xB6") },
    { TEXT("2.1.0-rc\0") },
    { TEXT("2+") },
    { TEXT("2.1.0+") },
    { TEXT("2.1.0+.b") },
    { TEXT("2.1.0+b.") },
    { TEXT("2.1.0+b..c") },
    { TEXT("2.1.0+b+c") },
    { TEXT("2.1.0-rc+") },
    { TEXT("2.1.0-rc+b_c") },
    { TEXT("2.1.0+\xC3\xB6") },
    { TEXT("\xEF\xBC\x92") }, /* FULLWIDTH DIGIT TWO */
};

START_TEST(what_is_no_version_is_refused)
{
    struct fv_semver version;

    ck_assert_msg(!fv_semver_parse(refused[_i].text, refused[_i].length, &version), "\"%s\"",
                  refused[_i].text);
}
END_TEST

/* Ascending; versions on one line, up to NULL, have the same precedence. */
static const char *order[][6] = {
    { "0-0", "0.0.0-0", "v0.0-0+b" },
    { "0", "v0.0.0" },
    { "0.0.1-a" },
    { "0.0.1" },
    { "0.0.9" },
    { "0.0.10" },
    { "0.1" },
    { "0.99999999999999999999" },
    { "0.100000000000000000000" },
    { "1.0.0-0" },
    { "1.0.0-1" },
    { "1.0.0-9" },
    { "1.0.0-10" },
    { "1.0.0-18446744073709551615" },
    { "1.0.0-18446744073709551616" },
    { "1.0.0--" },
    { "1.0.0--1" },
    { "1.0.0-0a" },
    { "1.0.0-1-" },
    { "1.0.0-A" },
    { "1.0.0-Z" },
    { "1.0.0-a" },
    { "1.0.0-a.0" },
    { "1.0.0-a.0.0" },
    { "1.0.0-a.b" },
    { "1.0.0-a-" },
    { "1.0.0-aa" },
    /* semver.org, 11 */
    { "1.0.0-alpha", "1.0-alpha", "1-alpha", "v1-alpha", "1.0.0-alpha+1", "1-alpha+z" },
    { "1.0.0-alpha.1" },
    { "1.0.0-alpha.beta" },
    { "1.0.0-beta" },
    { "1.0.0-beta.2" },
    { "1.0.0-beta.11" },
    { "1.0.0-rc.1" },
    { "1.0.0", "1", "v1", "1.0", "1+b", "1.0.0+a.b" },
    { "2.0.0-rc.1", "2-rc.1" },
    { "2.0.0", "2" },
    { "2.0.1" },
    { "2.1.0-rc.1", "2.1-rc.1+build" },
    { "2.1.0" },
    { "2.1.1" },
    { "2.9" },
    { "2.10" },
    { "9.99.99" },
    { "10-a" },
    { "10" },
    { "18446744073709551615" },
    { "18446744073709551616" },
    { "18446744073709551616.0.1" },
    { "99999999999999999999999999999999999999999" },
};

static void compare_rows(int row, int other)
{
    int i, j;

    for (i = 0; i < 6 && order[row][i]; i++) {
        for (j = 0; j < 6 && order[other][j]; j++) {
            const char *x = order[row][i], *y = order[other][j];
            struct fv_semver a, b;

            ck_assert_msg(fv_semver_parse(x, strlen(x), &a), "\"%s\"", x);
            ck_assert_msg(fv_semver_parse(y, strlen(y), &b), "\"%s\"", y);
            ck_assert_msg(fv_semver_compare(&a, &b) == (row > other) - (row < other),
                          "\"%s\" and \"%s\" compare as %d", x, y, fv_semver_compare(&a, &b));
        }
    }
}

START_TEST(versions_are_ordered_by_precedence)
{
    int other;

    for (other = 0; other < COUNT(order); other++)
        compare_rows(_i, other);
}
END_TEST

static Suite *semver_suite(void)
{
    Suite *suite = suite_create("semver");
    TCase *parse = tcase_create("parse");
    TCase *compare = tcase_create("compare");

    tcase_add_loop_test(parse, a_version_has_three_numbers_and_a_prerelease, 0, COUNT(versions));
    tcase_add_loop_test(parse, what_is_no_version_is_refused, 0, COUNT(refused));
    suite_add_tcase(suite, parse);

    tcase_add_loop_test(compare, versions_are_ordered_by_precedence, 0, COUNT(order));
    suite_add_tcase(suite, compare);
    return suite;
}

int main(void)
{
    return run_suite(semver_suite());
}
