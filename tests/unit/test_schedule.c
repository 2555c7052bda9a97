#include "model/schedule.h"

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* The first and the last moment that a definition can name: years 1 and 9999. */
#define FIRST INT64_C(-62135596800000)
#define LAST INT64_C(253402300799999)

struct row {
    const char *label;
    struct fv_schedule_step steps[4];
    size_t count;
    int64_t now;
    uint32_t by_step, linear;
};

#define ONE { { 1000, 25000 } }, 1
#define THREE { { 1000, 10000 }, { 2000, 25000 }, { 4000, 100000 } }, 3
#define FALLING { { 0, 100000 }, { 3, 0 } }, 2
#define CENTURIES { { FIRST, 0 }, { LAST, 100000 } }, 2
#define CENTURIES_DOWN { { FIRST, 99999 }, { LAST, 1 } }, 2

static const struct row rows[] = {
    { "one step, long before", ONE, INT64_MIN, 0, 0 },
    { "one step, just before", ONE, 999, 0, 0 },
    { "one step, at it", ONE, 1000, 25000, 25000 },
    { "one step, after it", ONE, 1001, 25000, 25000 },
    { "one step, long after", ONE, INT64_MAX, 25000, 25000 },

    { "before the first", THREE, 999, 0, 0 },
    { "at the first", THREE, 1000, 10000, 10000 },
    { "a little later", THREE, 1001, 10000, 10015 },
    { "half way", THREE, 1500, 10000, 17500 },
    { "just before the second", THREE, 1999, 10000, 24985 },
    { "at the second", THREE, 2000, 25000, 25000 },
    { "after the second", THREE, 2001, 25000, 25037 },
    { "just before the last", THREE, 3999, 25000, 99962 },
    { "at the last", THREE, 4000, 100000, 100000 },
    { "after the last", THREE, 4001, 100000, 100000 },

    { "a third is rounded down", { { 0, 0 }, { 3, 100000 } }, 2, 1, 0, 33333 },
    { "two thirds are rounded down", { { 0, 0 }, { 3, 100000 } }, 2, 2, 0, 66666 },
    { "falling, a third", FALLING, 1, 100000, 66666 },
    { "falling, two thirds", FALLING, 2, 100000, 33333 },
    { "falling, at the end", FALLING, 3, 0, 0 },
    { "falling, a whole number", { { 0, 100 }, { 10, 90 } }, 2, 5, 100, 95 },
    { "falling by less than one", { { 0, 1 }, { 10, 0 } }, 2, 1, 1, 0 },
    { "even", { { 0, 500 }, { 10, 500 }, { 20, 600 } }, 3, 9, 500, 500 },
    { "even and up again", { { 0, 500 }, { 10, 500 }, { 20, 600 } }, 3, 11, 500, 510 },
    { "negative times", { { -2000, 0 }, { -1000, 1000 } }, 2, -1001, 0, 999 },
    { "across zero", { { -50, 0 }, { 50, 1000 } }, 2, 0, 0, 500 },
    { "neighbouring milliseconds", { { 7, 1 }, { 8, 99999 } }, 2, 7, 1, 1 },

    /* 100000 × (LAST - FIRST) = 3.2e19 fits into no 64 bits. */
    { "all centuries, at the start", CENTURIES, FIRST, 0, 0 },
    { "all centuries, a third", CENTURIES, INT64_C(43050835734), 0, 19705 },
    { "all centuries, half", CENTURIES, FIRST + (LAST - FIRST) / 2, 0, 49999 },
    { "all centuries, half and a bit", CENTURIES, FIRST + (LAST - FIRST) / 2 + 1, 0, 50000 },
    { "all centuries, just before the end", CENTURIES, LAST - 1, 0, 99999 },
    { "all centuries, at the end", CENTURIES, LAST, 100000, 100000 },
    { "all centuries down, a bit", CENTURIES_DOWN, FIRST + 1, 99999, 99998 },
    { "all centuries down, half", CENTURIES_DOWN, FIRST + (LAST - FIRST) / 2, 99999, 50000 },
    { "all centuries down, just before the end", CENTURIES_DOWN, LAST - 1, 99999, 1 },
};

START_TEST(the_threshold_is_that_of_the_time)
{
    const struct row *row = &rows[_i];
    struct fv_schedule schedule = { .steps = row->steps, .count = row->count };
    uint32_t threshold = fv_schedule_threshold(&schedule, row->now);

    ck_assert_msg(threshold == row->by_step, "%s: by step %u, not %u", row->label, threshold,
                  row->by_step);
    schedule.linear = true;
    threshold = fv_schedule_threshold(&schedule, row->now);
    ck_assert_msg(threshold == row->linear, "%s: linear %u, not %u", row->label, threshold,
                  row->linear);
}
END_TEST

START_TEST(many_steps_are_all_reached)
{
    struct fv_schedule_step steps[1000];
    struct fv_schedule schedule = { .steps = steps, .count = 1000 };
    uint32_t i;

    for (i = 0; i < 1000; i++)
        steps[i] = (struct fv_schedule_step){ (int64_t)i * i, i * 100 };
    for (i = 0; i < 1000; i++) {
        ck_assert_uint_eq(fv_schedule_threshold(&schedule, steps[i].at), i * 100);
        if (i > 1)
            ck_assert_uint_eq(fv_schedule_threshold(&schedule, steps[i].at - 1), i * 100 - 100);
    }
}
END_TEST

static Suite *schedule_suite(void)
{
    Suite *suite = suite_create("schedule");
    TCase *tcase = tcase_create("schedule");

    tcase_add_loop_test(tcase, the_threshold_is_that_of_the_time, 0, COUNT(rows));
    tcase_add_test(tcase, many_steps_are_all_reached);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(schedule_suite());
}
