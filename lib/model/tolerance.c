#include "model/tolerance.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* So many digits and every power of ten up to there are doubles, and their quotient is rounded once. */
#define DIGITS_LIMIT 15

/* ---- reading ---- */

/* By hand: the host's locale may have another decimal point. */
static bool read_decimal(const char **at, double *ret_value)
{
    double digits = 0, scale = 1;
    int count = 0;
    bool point = false;

    for (; (**at >= '0' && **at <= '9') || (**at == '.' && !point); (*at)++) {
        if (**at == '.') {
            point = true;
            continue;
        }
        if (++count > DIGITS_LIMIT)
            return false;
        digits = digits * 10 + (**at - '0');
        if (point)
            scale *= 10;
    }
    *ret_value = digits / scale;
    return count > 0 && (*at)[-1] != '.';
}

static bool read_part(const char **at, double *ret_absolute, double *ret_relative)
{
    double value;

    if (strncmp(*at, "abs:", 4) == 0) {
        *at += 4;
        return *ret_absolute < 0 && read_decimal(at, ret_absolute);
    }
    if (*ret_relative >= 0 || !read_decimal(at, &value) || **at != '%' || value > 100)
        return false;
    (*at)++;
    *ret_relative = value / 100;
    return true;
}

bool fv_tolerance_parse(const char *text, struct fv_tolerance *ret_tolerance)
{
    double absolute = -1, relative = -1; /* not given yet */

    if (!read_part(&text, &absolute, &relative))
        return false;
    if (*text == ',') {
        text++;
        if (!read_part(&text, &absolute, &relative))
            return false;
    }
    if (*text)
        return false;
    ret_tolerance->absolute = absolute > 0 ? absolute : 0;
    ret_tolerance->relative = relative > 0 ? relative : 0;
    return true;
}

/* ---- comparing ---- */

static double value_of(const struct fv_number *number)
{
    return number->is_integer ? (double)number->integer : number->real;
}

/* Is the real a whole number, and this one? */
static bool is_same(double real, int64_t integer)
{
    if (!(real >= -0x1p63 && real < 0x1p63))
        return false;
    return (double)(int64_t)real == real && (int64_t)real == integer;
}

static bool is_equal(const struct fv_number *a, const struct fv_number *b)
{
    if (a->is_integer && b->is_integer)
        return a->integer == b->integer;
    if (a->is_integer)
        return is_same(b->real, a->integer);
    return b->is_integer ? is_same(a->real, b->integer) : a->real <= b->real && a->real >= b->real;
}

/* How far apart they are; of integers the difference is exact before it is rounded. */
static double distance(const struct fv_number *a, const struct fv_number *b)
{
    if (!a->is_integer || !b->is_integer)
        return fabs(value_of(a) - value_of(b));
    return a->integer > b->integer ? (double)((uint64_t)a->integer - (uint64_t)b->integer)
                                   : (double)((uint64_t)b->integer - (uint64_t)a->integer);
}

bool fv_tolerance_allows(const struct fv_tolerance *tolerance, const struct fv_number *a,
                         const struct fv_number *b)
{
    double larger = fmax(fabs(value_of(a)), fabs(value_of(b)));
    double share = tolerance->relative * larger, apart = distance(a, b), bound;

    /* A percentage is rounded as it is read, and as it is multiplied: 29 % of 100 is 29, and no less. */
    bound = fmax(tolerance->absolute, share + share * DBL_EPSILON);
    if (is_equal(a, b))
        return true;
    if (!(bound > 0))
        return false;
    /* Integers carry no rounding. */
    if (!a->is_integer || !b->is_integer)
        bound += larger * DBL_EPSILON;
    return isfinite(apart) && apart <= bound; /* nothing allows more than there are numbers for */
}
