#include "datetime.h"

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

/* A fraction of a second in ms, further digits cut; 0 where there is none. */
static bool read_fraction(const char **at, int *ret_ms)
{
    int place = 100;

    *ret_ms = 0;
    if (!skip(at, '.', '.'))
        return true;
    if (!is_digit(**at))
        return false;
    for (; is_digit(**at); ++*at, place /= 10)
        *ret_ms += (**at - '0') * place;
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

bool cli_datetime_parse(const char *text, int64_t *ret_ms)
{
    int year, month, day, hour, minute, second, ms, offset;
    const char *at = text;
    int64_t days;

    if (!number(&at, 4, 1, 9999, &year) || !skip(&at, '-', '-') || !number(&at, 2, 1, 12, &month) ||
        !skip(&at, '-', '-') || !number(&at, 2, 1, 31, &day) || !days_of(year, month, day, &days) ||
        !skip(&at, 'T', 't'))
        return false;
    if (!number(&at, 2, 0, 23, &hour) || !skip(&at, ':', ':') || !number(&at, 2, 0, 59, &minute) ||
        !skip(&at, ':', ':') || !number(&at, 2, 0, 59, &second))
        return false;
    if (!read_fraction(&at, &ms) || !read_offset(&at, &offset) || *at)
        return false;

    *ret_ms = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + ms;
    return true;
}
