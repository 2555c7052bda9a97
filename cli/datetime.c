#define _POSIX_C_SOURCE 200809L

#include "datetime.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* How long before 1970 the year 1 began, in µs: there are no times before it. */
#define FIRST_YEAR (INT64_C(719162) * 86400000000)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads so many digits and moves behind them. */
static bool number(const char **at, int count, int lowest, int highest, int *ret_number)
{
    int value = 0;

    for (; count > 0; count--, ++*at) {
        if (!is_digit(**at))
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret_number = value;
    return value >= lowest && value <= highest;
}

/* Moves behind one of two characters. */
static bool skip(const char **at, char c, char other)
{
    if (**at != c && **at != other)
        return false;
    ++*at;
    return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; false when there is no such date. */
static bool days_of(int year, int month, int day, int64_t *ret_days)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int past = year - 1;

    if (day > before[month] - before[month - 1] + (month == 2 && leap))
        return false;
    *ret_days = (int64_t)past * 365 + past / 4 - past / 100 + past / 400 + before[month - 1] +
                (month > 2 && leap) + day - 1 - 719162;
    return true;
}

/* A fraction of a second in µs, further digits cut; 0 where there is none. */
static bool read_fraction(const char **at, int *ret_us)
{
    int place = 100000;

    *ret_us = 0;
    if (!skip(at, '.', '.'))
        return true;
    if (!is_digit(**at))
        return false;
    for (; is_digit(**at); ++*at, place /= 10)
        *ret_us += (**at - '0') * place;
    return true;
}

/* "Z" or an offset, in minutes. */
static bool read_offset(const char **at, int *ret_minutes)
{
    int hours, minutes, sign = **at == '-' ? -1 : 1;

    *ret_minutes = 0;
    if (skip(at, 'Z', 'z'))
        return true;
    if (!skip(at, '+', '-') || !number(at, 2, 0, 23, &hours) || !skip(at, ':', ':') ||
        !number(at, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

bool cli_datetime_parse(const char *text, int64_t *ret_us)
{
    int year, month, day, hour, minute, second, us, offset;
    const char *at = text;
    int64_t days;

    if (!number(&at, 4, 1, 9999, &year) || !skip(&at, '-', '-') || !number(&at, 2, 1, 12, &month) ||
        !skip(&at, '-', '-') || !number(&at, 2, 1, 31, &day) || !days_of(year, month, day, &days) ||
        !skip(&at, 'T', 't'))
        return false;
    if (!number(&at, 2, 0, 23, &hour) || !skip(&at, ':', ':') || !number(&at, 2, 0, 59, &minute) ||
        !skip(&at, ':', ':') || !number(&at, 2, 0, 59, &second))
        return false;
    if (!read_fraction(&at, &us) || !read_offset(&at, &offset) || *at)
        return false;

    *ret_us = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000000 + us;
    return true;
}

static int64_t floor_of(int64_t value, int64_t unit)
{
    return value / unit - (value % unit < 0);
}

const char *cli_datetime_lacks(const char *text)
{
    char completed[CLI_DATETIME_SIZE];
    int64_t us;

    snprintf(completed, sizeof completed, "%.40sZ", text);
    if (cli_datetime_parse(completed, &us))
        return "needs an offset such as Z";
    snprintf(completed, sizeof completed, "%.40sT00:00:00Z", text);
    if (cli_datetime_parse(completed, &us))
        return "needs a time of day such as T12:00:00Z";
    return NULL;
}

bool cli_datetime_before(const char *text, int64_t now_us, int64_t *ret_us)
{
    static const struct {
        char name;
        int64_t us;
    } units[] = { { 's', INT64_C(1000000) },
                  { 'm', INT64_C(60000000) },
                  { 'h', INT64_C(3600000000) },
                  { 'd', INT64_C(86400000000) } };
    int64_t count = 0;
    const char *c;
    size_t i;

    if (text[0] != '-' || !is_digit(text[1]))
        return false;
    for (c = text + 1; is_digit(*c) && count < FIRST_YEAR; c++)
        count = count * 10 + (*c - '0');
    for (i = 0; i < sizeof units / sizeof units[0]; i++)
        if (*c == units[i].name && !c[1] && count <= (now_us + FIRST_YEAR) / units[i].us) {
            *ret_us = now_us - count * units[i].us;
            return true;
        }
    return false;
}

int64_t cli_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t cli_milliseconds(int64_t us)
{
    return floor_of(us, 1000);
}

/* The date that is so many days after 1970-01-01. */
static void date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t first;

    /* A guess that is at most one too high or too low. */
    *ret_year = (int)(1970 + floor_of(days * 400, 146097));
    while (days_of(*ret_year + 1, 1, 1, &first) && first <= days)
        ++*ret_year;
    while (days_of(*ret_year, 1, 1, &first) && first > days)
        --*ret_year;
    for (*ret_month = 12; days_of(*ret_year, *ret_month, 1, &first) && first > days;)
        --*ret_month;
    *ret_day = (int)(days - first) + 1;
}

void cli_datetime_print(int64_t us, char text[CLI_DATETIME_SIZE])
{
    int64_t days = floor_of(us, INT64_C(86400000000));
    int64_t rest = us - days * INT64_C(86400000000);
    int seconds = (int)(rest / 1000000), year, month, day;

    date_of(days, &year, &month, &day);
    snprintf(text, CLI_DATETIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day,
             seconds / 3600, seconds / 60 % 60, seconds % 60, (int)(rest % 1000000));
}
