/*
 * When are two numbers as good as equal?
 */
#ifndef FV_MODEL_TOLERANCE_H
#define FV_MODEL_TOLERANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fv_number {
    bool is_integer;
    int64_t integer; /* when it is one … */
    double real;     /* … and when not; never NaN or infinite */
};

struct fv_tolerance {
    double absolute;
    double relative; /* 0.05: 5 % of the larger one */
};

/*
 * "5%", "abs:0.01", "1%,abs:2" in any order: decimals of up to 15 digits without a sign or an
 * exponent; a percentage is at most 100. *ret_tolerance is untouched when the answer is false.
 */
bool fv_tolerance_parse(const char *text, struct fv_tolerance *ret_tolerance);

/*
 * |a - b| <= max(absolute, relative * max(|a|, |b|)). Zero tolerance compares exactly, an integer
 * with a real too; any other allows for the rounding of the two numbers: a 2^52nd of the larger.
 */
bool fv_tolerance_allows(const struct fv_tolerance *tolerance, const struct fv_number *a,
                         const struct fv_number *b);

#endif
