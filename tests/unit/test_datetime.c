#include "model/datetime.h"

#include <stdio.h>

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define TEXT(literal) literal, sizeof(literal) - 1

static bool parse_exact(const char *text, size_t length, int64_t *ret_ms)
{
    char *exact = malloc(length + 1);
    bool parsed;

    ck_assert_ptr_nonnull(exact);
    memcpy(exact + 1, text, length);
    parsed = fv_datetime_parse(exact + 1, length, ret_ms);
    free(exact);
    return parsed;
}

static const struct {
    const char *text;
    int64_t ms;
} moments[] = {
    { "1970-01-01T00:00:00Z", 0 },
    { "1970-01-01T00:00:00.001Z", 1 },
    { "1969-12-31T23:59:59.999Z", -1 },
    { "1969-12-31T23:59:59Z", -1000 },
    { "0001-01-01T00:00:00Z", -62135596800000 },
    { "9999-12-31T23:59:59.999Z", 253402300799999 },
    { "1582-10-15T00:00:00Z", -12219292800000 },
    { "1600-02-29T00:00:00Z", -11670998400000 },
    { "1900-02-28T23:59:59Z", -2203891201000 },
    { "2000-02-29T12:00:00Z", 951825600000 },
    { "2038-01-19T03:14:08Z", 2147483648000 },
    /* RFC 3339, 5.8 */
    { "1985-04-12T23:20:50.52Z", 482196050520 },
    { "1996-12-19T16:39:57-08:00", 851042397000 },
    { "1937-01-01T12:00:27.87+00:20", -1041337172130 },
    /* case */
    { "2026-01-04t00:00:00Z", 1767484800000 },
    { "2026-01-04T00:00:00z", 1767484800000 },
    { "2026-01-04t00:00:00z", 1767484800000 },
    /* offsets */
    { "2024-02-29T00:00:00-00:00", 1709164800000 },
    { "2024-02-29T00:00:00+00:00", 1709164800000 },
    { "2026-01-04T08:30:00.250+01:00", 1767511800250 },
    { "2026-01-04T00:00:00+23:59", 1767398460000 },
    { "2026-01-04T00:00:00-23:59", 1767571140000 },
    { "2026-01-04T00:00:00-00:01", 1767484860000 },
    { "0001-01-01T00:00:00+23:59", -62135683140000 },
    { "9999-12-31T23:59:59-23:59", 253402387139000 },
    /* fractions are cut, not rounded */
    { "2026-01-04T00:00:00.0Z", 1767484800000 },
    { "2026-01-04T00:00:00.5Z", 1767484800500 },
    { "2026-01-04T00:00:00.05Z", 1767484800050 },
    { "2026-01-04T00:00:00.005Z", 1767484800005 },
    { "2026-01-04T00:00:00.0009Z", 1767484800000 },
    { "2026-01-04T00:00:00.9999Z", 1767484800999 },
    { "2026-01-04T00:00:00.123456789+00:00", 1767484800123 },
    { "1969-12-31T23:59:59.99999Z", -1 },
    { "2026-01-04T23:59:59.999999999999999999999999999999999999999999Z", 1767571199999 },
    /* days */
    { "2024-12-31T23:59:59Z", 1735689599000 },
    { "2400-02-29T00:00:00Z", 13574563200000 },
};

START_TEST(a_date_with_time_and_offset_is_a_moment)
{
    int64_t ms = 42;

    ck_assert_msg(parse_exact(moments[_i].text, strlen(moments[_i].text), &ms), "%s",
                  moments[_i].text);
    ck_assert_msg(ms == moments[_i].ms, "%s is %lld", moments[_i].text, (long long)ms);
}
END_TEST

static const struct {
    const char *text;
    size_t length;
} refused[] = {
    { TEXT("") },
    { TEXT("2026") },
    { TEXT("2026-01-04") },
    { TEXT("2026-01-04Z") },
    { TEXT("2026-01-04T") },
    { TEXT("2026-01-04T00:00") },
    { TEXT("2026-01-04T00:00Z") },
    { TEXT("2026-01-04T00:00:00") },
    { TEXT("2026-01-04T00:00:00.5") },
    { TEXT("2026-01-04T00:00:00 ") },
    { TEXT("2026-01-04 00:00:00Z") },
    { TEXT("2026-01-04_00:00:00Z") },
    { TEXT("2026-01-04T00:00:00.Z") },
    { TEXT("2026-01-04T00:00:00.+01:00") },
    { TEXT("2026-01-04T00:00:00,5Z") },
    { TEXT("2026-01-04T00:00:00.5 Z") },
    { TEXT("2026-01-04T00:00:00.5.5Z") },
    { TEXT("2026-01-04T00:00:00.-5Z") },
    { TEXT(" 2026-01-04T00:00:00Z") },
    { TEXT("2026-01-04T00:00:00Z ") },
    { TEXT("2026-01-04T00:00:00Z\n") },
    { TEXT("2026-01-04T00:00:00Z\0") },
    { TEXT("2026-01-04T00:00:00\0Z") },
    { TEXT("2026-01-04T00:00:00ZZ") },
    { TEXT("2026-01-04T00:00:00Z+00:00") },
    { TEXT("2026-01-04T00:00:00UTC") },
    { TEXT("2026-01-04T00:00:00+0100") },
    { TEXT("2026-01-04T00:00:00+01") },
    { TEXT("2026-01-04T00:00:00+01:0") },
    { TEXT("2026-01-04T00:00:00+01:000") },
    { TEXT("2026-01-04T00:00:00+1:00") },
    { TEXT("2026-01-04T00:00:00+24:00") },
    { TEXT("2026-01-04T00:00:00-24:00") },
    { TEXT("2026-01-04T00:00:00+00:60") },
    { TEXT("2026-01-04T00:00:00+-1:00") },
    { TEXT("2026-01-04T00:00:00 01:00") },
    { TEXT("2026-01-04T00:00:00\xE2\x88\x92"
           "00:00") }, /* MINUS SIGN */
    { TEXT("2026-01-04T00:00:60Z") },
    { TEXT("2016-12-31T23:59:60Z") },
    { TEXT("2026-01-04T00:60:00Z") },
    { TEXT("2026-01-04T24:00:00Z") },
    { TEXT("2026-01-04T-1:00:00Z") },
    { TEXT("2026-01-04T 1:00:00Z") },
    { TEXT("2026-01-04T+1:00:00Z") },
    { TEXT("0000-01-01T00:00:00Z") },
    { TEXT("10000-01-01T00:00:00Z") },
    { TEXT("+2026-01-04T00:00:00Z") },
    { TEXT("-0001-01-04T00:00:00Z") },
    { TEXT("026-01-04T00:00:00.0Z") },
    { TEXT("20260104T000000Z") },
    { TEXT("2026/01/04T00:00:00Z") },
    { TEXT("2026-1-04T00:00:00.0Z") },
    { TEXT("2026-00-04T00:00:00Z") },
    { TEXT("2026-13-04T00:00:00Z") },
    { TEXT("2026-01-00T00:00:00Z") },
    { TEXT("2026-01-32T00:00:00Z") },
    { TEXT("2026-04-31T00:00:00Z") },
    { TEXT("2026-06-31T00:00:00Z") },
    { TEXT("2026-09-31T00:00:00Z") },
    { TEXT("2026-11-31T00:00:00Z") },
    { TEXT("2026-02-29T00:00:00Z") },
    { TEXT("2024-02-30T00:00:00Z") },
    { TEXT("1900-02-29T00:00:00Z") },
    { TEXT("2100-02-29T00:00:00Z") },
    { TEXT("2000-02-30T00:00:00Z") },
    { TEXT("2026-W01-4T00:00:00Z") },
    { TEXT("2026-004T00:00:00.00Z") },
    { TEXT("2026-01-04T00-00-00Z") },
    { TEXT("2026-01-04T00:00:0aZ") },
    { TEXT("\xEF\xBC\x92"
           "26-01-04T00:00:00Z") }, /* FULLWIDTH DIGIT TWO */
};

START_TEST(anything_else_is_no_moment)
{
    int64_t ms = 42;

    ck_assert_msg(!parse_exact(refused[_i].text, refused[_i].length, &ms), "\"%s\"",
                  refused[_i].text);
    ck_assert_int_eq(ms, 42);
}
END_TEST

static const struct {
    int64_t ms;
    const char *text;
} formats[] = {
    { 0, "1970-01-01T00:00:00Z" },
    { 1, "1970-01-01T00:00:00.001Z" },
    { 1767484800000, "2026-01-04T00:00:00Z" },
    { 1767484800050, "2026-01-04T00:00:00.050Z" },
    { 1767571199999, "2026-01-04T23:59:59.999Z" },
    { -1, "1969-12-31T23:59:59.999Z" },
    { -1000, "1969-12-31T23:59:59Z" },
    { -86400000, "1969-12-31T00:00:00Z" },
    { -86400001, "1969-12-30T23:59:59.999Z" },
    { -62135596800000, "0001-01-01T00:00:00Z" },
    { -62135596800001, "0000-12-31T23:59:59.999Z" },
    { -62167219200000, "0000-01-01T00:00:00Z" },
    { -62167219200001, "-0001-12-31T23:59:59.999Z" },
    { 253402300799999, "9999-12-31T23:59:59.999Z" },
    { 253402300800000, "+10000-01-01T00:00:00Z" },
    { INT64_MAX, "+292278994-08-17T07:12:55.807Z" },
    { INT64_MIN, "-292275055-05-16T16:47:04.192Z" },
};

START_TEST(a_moment_is_written_in_utc)
{
    char out[FV_DATETIME_SIZE];
    size_t length = fv_datetime_format(formats[_i].ms, out);

    ck_assert_str_eq(out, formats[_i].text);
    ck_assert_uint_eq(length, strlen(out));
}
END_TEST

/* Counts the days by the calendar: each one is read and written as its number says. */
static int walk(int first_year, int last_year, int64_t day)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year, month, d, wrong = 0;

    for (year = first_year; year <= last_year; year++) {
        bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);

        for (month = 1; month <= 12; month++) {
            int last = lengths[month - 1] + (month == 2 && leap);

            for (d = 1; d <= 32; d++) {
                char text[64], out[FV_DATETIME_SIZE];
                int64_t ms = 0;

                snprintf(text, sizeof text, "%04d-%02d-%02dT00:00:00Z", year, month, d);
                if (fv_datetime_parse(text, 20, &ms) != (d <= last))
                    wrong++;
                if (d > last)
                    continue;
                fv_datetime_format(day * 86400000, out);
                if (ms != day * 86400000 || strcmp(out, text) != 0)
                    wrong++;
                day++;
            }
        }
    }
    return wrong;
}

START_TEST(every_day_of_the_calendar_has_its_number)
{
    ck_assert_int_eq(walk(1, 420, -719162), 0);
    ck_assert_int_eq(walk(1890, 2110, -29219), 0);
    ck_assert_int_eq(walk(9960, 9999, 2918287), 0);
}
END_TEST

static Suite *datetime_suite(void)
{
    Suite *suite = suite_create("datetime");
    TCase *parse = tcase_create("parse");
    TCase *format = tcase_create("format");

    tcase_add_loop_test(parse, a_date_with_time_and_offset_is_a_moment, 0, COUNT(moments));
    tcase_add_loop_test(parse, anything_else_is_no_moment, 0, COUNT(refused));
    suite_add_tcase(suite, parse);

    tcase_add_loop_test(format, a_moment_is_written_in_utc, 0, COUNT(formats));
    tcase_add_test(format, every_day_of_the_calendar_has_its_number);
    tcase_set_timeout(format, 30);
    suite_add_tcase(suite, format);
    return suite;
}

int main(void)
{
    return run_suite(datetime_suite());
}
