#include "model/value.h"

#include <float.h>
#include <math.h>

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

#define TWO_53 INT64_C(9007199254740992)

/* ---- doubles as integers ---- */

struct real_row {
    const char *label;
    double real;
    bool fits;
    int64_t integer;
};

static const struct real_row real_rows[] = {
    { "zero", 0.0, true, 0 },
    { "minus zero", -0.0, true, 0 },
    { "one", 1.0, true, 1 },
    { "minus one", -1.0, true, -1 },
    { "a half", 0.5, false, 0 },
    { "minus a half", -0.5, false, 0 },
    { "a little more than one", 1.0 + DBL_EPSILON, false, 0 },
    { "the smallest double", DBL_TRUE_MIN, false, 0 },
    { "2^53 - 1", 9007199254740991.0, true, TWO_53 - 1 },
    { "2^53", 9007199254740992.0, true, TWO_53 },
    { "2^53 + 2", 9007199254740994.0, false, 0 },
    { "-2^53", -9007199254740992.0, true, -TWO_53 },
    { "-2^53 - 2", -9007199254740994.0, false, 0 },
    { "2^53 - 1/2 is rounded to 2^53", 9007199254740991.5, true, TWO_53 },
    { "2^51 + 1/2", 2251799813685248.5, false, 0 },
    { "2^63", 9223372036854775808.0, false, 0 },
    { "-2^63", -9223372036854775808.0, false, 0 },
    { "the largest double", DBL_MAX, false, 0 },
    { "infinity", (double)INFINITY, false, 0 },
    { "minus infinity", (double)-INFINITY, false, 0 },
    { "NaN", (double)NAN, false, 0 },
};

START_TEST(a_whole_double_within_2_53_is_an_integer)
{
    const struct real_row *row = &real_rows[_i];
    int64_t integer = 77;

    ck_assert_msg(fv_real_to_integer(row->real, &integer) == row->fits, "%s", row->label);
    ck_assert_msg(integer == (row->fits ? row->integer : 77), "%s: %lld", row->label,
                  (long long)integer);
}
END_TEST

/* ---- integers as doubles ---- */

struct integer_row {
    int64_t integer;
    bool fits;
};

static const struct integer_row integer_rows[] = {
    { 0, true },
    { 1, true },
    { -1, true },
    { TWO_53, true },
    { TWO_53 + 1, false },
    { TWO_53 + 2, true },
    { -TWO_53, true },
    { -TWO_53 - 1, false },
    { -TWO_53 - 2, true },
    { INT64_C(1) << 62, true },
    { (INT64_C(1) << 62) + 1, false },
    { INT64_MAX, false },
    { INT64_MAX - 1, false },
    { INT64_MAX - 511, false },
    { INT64_MAX - 1023, true },
    { INT64_MIN, true },
    { INT64_MIN + 1, false },
};

START_TEST(an_integer_is_a_double_when_that_is_the_same)
{
    const struct integer_row *row = &integer_rows[_i];
    double real = 7.5;

    ck_assert_msg(fv_integer_to_real(row->integer, &real) == row->fits, "%lld",
                  (long long)row->integer);
    if (row->fits)
        ck_assert_int_eq((int64_t)real, row->integer);
    else
        ck_assert_double_eq(real, 7.5);
}
END_TEST

/* ---- order ---- */

#define INTEGER(number)                            \
    {                                              \
        .kind = FV_INTEGER, .as.integer = (number) \
    }
#define REAL(number)                         \
    {                                        \
        .kind = FV_REAL, .as.real = (number) \
    }

struct order_row {
    struct fv_value a, b;
    int order;
};

static const struct order_row order_rows[] = {
    { INTEGER(1), INTEGER(1), 0 },
    { INTEGER(1), INTEGER(2), -1 },
    { INTEGER(INT64_MIN), INTEGER(INT64_MAX), -1 },
    { REAL(1.5), REAL(1.5), 0 },
    { REAL(1.5), REAL(2.5), -1 },
    { REAL(0.0), REAL(-0.0), 0 },
    { INTEGER(1), REAL(1.0), 0 },
    { INTEGER(1), REAL(1.5), -1 },
    { INTEGER(2), REAL(1.5), 1 },
    { INTEGER(-1), REAL(-1.5), 1 },
    { INTEGER(-2), REAL(-1.5), -1 },
    { INTEGER(0), REAL(-0.0), 0 },
    { INTEGER(0), REAL(DBL_TRUE_MIN), -1 },
    { INTEGER(0), REAL(-DBL_TRUE_MIN), 1 },
    { INTEGER(TWO_53 + 1), REAL(9007199254740992.0), 1 },
    { INTEGER(TWO_53 + 1), REAL(9007199254740994.0), -1 },
    { INTEGER(TWO_53), REAL(9007199254740992.0), 0 },
    { INTEGER(INT64_MAX), REAL(9223372036854775808.0), -1 },
    { INTEGER(INT64_MAX), REAL(9223372036854774784.0), 1 },
    { INTEGER(INT64_MIN), REAL(-9223372036854775808.0), 0 },
    { INTEGER(INT64_MIN), REAL(-9223372036854777856.0), 1 },
    { INTEGER(INT64_MAX), REAL(DBL_MAX), -1 },
    { INTEGER(INT64_MIN), REAL(-DBL_MAX), 1 },
    { INTEGER(INT64_MAX), REAL((double)INFINITY), -1 },
    { INTEGER(INT64_MIN), REAL((double)-INFINITY), 1 },
    { REAL((double)-INFINITY), REAL((double)INFINITY), -1 },
    { REAL((double)INFINITY), REAL((double)INFINITY), 0 },
    { INTEGER(0), REAL((double)NAN), 2 },
    { REAL(0.0), REAL((double)NAN), 2 },
    { REAL((double)NAN), REAL((double)NAN), 2 },
    { REAL((double)NAN), REAL((double)INFINITY), 2 },
};

START_TEST(numbers_are_ordered_by_their_exact_values)
{
    const struct order_row *row = &order_rows[_i];

    ck_assert_int_eq(fv_number_compare(&row->a, &row->b), row->order);
    ck_assert_int_eq(fv_number_compare(&row->b, &row->a), row->order == 2 ? 2 : -row->order);
    ck_assert(fv_is_number(&row->a) && fv_is_number(&row->b));
}
END_TEST

START_TEST(only_integers_and_doubles_are_numbers)
{
    struct fv_value value = { .kind = FV_NULL };

    for (; value.kind <= FV_OBJECT; value.kind++)
        ck_assert_int_eq(fv_is_number(&value), value.kind == FV_INTEGER || value.kind == FV_REAL);
}
END_TEST

/* ---- members ---- */

static struct fv_member member(const char *name, size_t length, int64_t number)
{
    return (struct fv_member){ name, (uint32_t)length, fv_name_hash(name, length),
                               INTEGER(number) };
}

static int64_t find(const struct fv_member *members, size_t count, const char *name, size_t length)
{
    const struct fv_value *value = fv_members_find(members, count, name, length,
                                                   fv_name_hash(name, length));

    return value ? value->as.integer : -1;
}

START_TEST(members_are_found_by_name)
{
    const struct fv_member members[] = { member("a", 1, 1), member("ab", 2, 2), member("", 0, 3),
                                         member("a\0b", 3, 4), member("a", 1, 5) };

    ck_assert_int_eq(find(members, 5, "a", 1), 1);
    ck_assert_int_eq(find(members, 5, "ab", 2), 2);
    ck_assert_int_eq(find(members, 5, "", 0), 3);
    ck_assert_int_eq(find(members, 5, "a\0b", 3), 4);
    ck_assert_int_eq(find(members, 5, "b", 1), -1);
    ck_assert_int_eq(find(members, 5, "a\0c", 3), -1);
    ck_assert_int_eq(find(members, 1, "ab", 2), -1);
    ck_assert_int_eq(find(NULL, 0, "a", 1), -1);
}
END_TEST

static Suite *value_suite(void)
{
    Suite *suite = suite_create("value");
    TCase *tcase = tcase_create("value");

    tcase_add_loop_test(tcase, a_whole_double_within_2_53_is_an_integer, 0, COUNT(real_rows));
    tcase_add_loop_test(tcase, an_integer_is_a_double_when_that_is_the_same, 0,
                        COUNT(integer_rows));
    tcase_add_loop_test(tcase, numbers_are_ordered_by_their_exact_values, 0, COUNT(order_rows));
    tcase_add_test(tcase, only_integers_and_doubles_are_numbers);
    tcase_add_test(tcase, members_are_found_by_name);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(value_suite());
}
