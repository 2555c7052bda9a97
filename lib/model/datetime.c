#include "model/datetime.h"

#define MS_PER_DAY INT64_C(86400000)
#define DAYS_PER_400_YEARS 146097
#define EPOCH_DAY 719162 /* days from 0001-01-01 to 1970-01-01 */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int64_t year, int month)
{
    static const signed char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* From 0001-01-01; the year is at least 1. */
static int64_t days_before(int year, int month, int day)
{
    static const short before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    int past = year - 1;

    return past * 365 + past / 4 - past / 100 + past / 400 + before[month - 1] +
           (month > 2 && is_leap(year)) + day - 1;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_number(const char *at, int digits, int lowest, int highest, int *ret)
{
    int number = 0, i;

    for (i = 0; i < digits; i++) {
        if (!is_digit(at[i]))
            return false;
        number = number * 10 + (at[i] - '0');
    }
    *ret = number;
    return number >= lowest && number <= highest;
}

/* The first 19 characters: `2026-01-04T08:30:00`. */
static bool read_local(const char *at, int64_t *ret_ms)
{
    int year, month, day, hour, minute, second;

    if (at[4] != '-' || at[7] != '-' || (at[10] != 'T' && at[10] != 't') || at[13] != ':' ||
        at[16] != ':')
        return false;
    if (!read_number(at, 4, 1, 9999, &year) || !read_number(at + 5, 2, 1, 12, &month) ||
        !read_number(at + 8, 2, 1, days_in_month(year, month), &day) ||
        !read_number(at + 11, 2, 0, 23, &hour) || !read_number(at + 14, 2, 0, 59, &minute) ||
        !read_number(at + 17, 2, 0, 59, &second))
        return false;
    *ret_ms = (days_before(year, month, day) - EPOCH_DAY) * MS_PER_DAY +
              ((hour * 60 + minute) * 60 + second) * INT64_C(1000);
    return true;
}

/* `.25` as 250; *at moves behind the last digit. */
static bool read_fraction(const char **at, const char *end, int *ret_ms)
{
    const char *next = *at + 1;
    int worth = 100, ms = 0;

    if (next == end || !is_digit(*next))
        return false;
    for (; next < end && is_digit(*next); next++) {
        ms += (*next - '0') * worth;
        worth /= 10;
    }
    *at = next;
    *ret_ms = ms;
    return true;
}

/* `Z` or `+01:00`, up to the end. */
static bool read_offset(const char *at, const char *end, int *ret_minutes)
{
    int hours, minutes;

    if (end - at == 1 && (*at == 'Z' || *at == 'z')) {
        *ret_minutes = 0;
        return true;
    }
    if (end - at != 6 || (*at != '+' && *at != '-') || at[3] != ':')
        return false;
    if (!read_number(at + 1, 2, 0, 23, &hours) || !read_number(at + 4, 2, 0, 59, &minutes))
        return false;
    minutes += hours * 60;
    *ret_minutes = *at == '-' ? -minutes : minutes;
    return true;
}

bool fv_datetime_parse(const char *text, size_t length, int64_t *ret_ms)
{
    const char *at, *end;
    int fraction = 0, offset;
    int64_t local;

    if (length < sizeof "0001-01-01T00:00:00Z" - 1 || !read_local(text, &local))
        return false;
    at = text + 19;
    end = text + length;
    if (*at == '.' && !read_fraction(&at, end, &fraction))
        return false;
    if (!read_offset(at, end, &offset))
        return false;
    *ret_ms = local + fraction - offset * INT64_C(60000);
    return true;
}

/* Days since 0001-01-01, as days_before() counts them. */
static void find_date(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    int64_t eras = days / DAYS_PER_400_YEARS, year;
    int day = (int)(days % DAYS_PER_400_YEARS), past, month = 1;

    if (day < 0) {
        day += DAYS_PER_400_YEARS;
        eras--;
    }
    /*
     * Without their leap days the days of 400 years make years of 365. Leap
     * days are the last of 4 years, less those of 100, more that of 400
     * (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms).
     */
    past = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= past * 365 + past / 4 - past / 100;
    year = eras * 400 + past + 1;
    while (day >= days_in_month(year, month))
        day -= days_in_month(year, month++);
    *ret_year = year;
    *ret_month = month;
    *ret_day = day + 1;
}

/* Writes a number with at least `digits` digits; returns where it ends. */
static char *put_number(char *at, int64_t number, int digits)
{
    char reversed[20];
    int count = 0;

    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number || count < digits);
    while (count)
        *at++ = reversed[--count];
    return at;
}

static char *put_year(char *at, int64_t year)
{
    if (year < 0 || year > 9999)
        *at++ = year < 0 ? '-' : '+';
    return put_number(at, year < 0 ? -year : year, 4);
}

static char *put_part(char *at, char before, int number)
{
    *at++ = before;
    return put_number(at, number, 2);
}

size_t fv_datetime_format(int64_t ms, char out[FV_DATETIME_SIZE])
{
    int64_t days = ms / MS_PER_DAY, year;
    int rest = (int)(ms % MS_PER_DAY), month, day;
    char *at;

    if (rest < 0) {
        rest += (int)MS_PER_DAY;
        days--;
    }
    find_date(days + EPOCH_DAY, &year, &month, &day);
    at = put_year(out, year);
    at = put_part(at, '-', month);
    at = put_part(at, '-', day);
    at = put_part(at, 'T', rest / 3600000);
    at = put_part(at, ':', rest / 60000 % 60);
    at = put_part(at, ':', rest / 1000 % 60);
    if (rest % 1000 != 0) {
        *at++ = '.';
        at = put_number(at, rest % 1000, 3);
    }
    *at++ = 'Z';
    *at = 0;
    return (size_t)(at - out);
}
