/*
 * Sums and how long things took: adding, merging, quantiles, and rows.
 */
#include "model/sum.h"

#include <float.h>
#include <math.h>

#include "seed.h"
#include "support.h"

/* ---- steps ---- */

START_TEST(steps_rise_with_time_and_none_is_left_out)
{
    uint32_t before = 0, step;

    for (uint64_t ns = 0; ns < 100000; ns++) {
        step = fv_timing_step(ns);
        must(step == before || step == before + 1, "%u after %u at %u", step, before, (unsigned)ns);
        before = step;
    }
    ck_assert_uint_eq(fv_timing_step(INT64_MAX), FV_TIMING_STEPS - 1);
    ck_assert_uint_eq(fv_timing_step(UINT64_MAX), FV_TIMING_STEPS - 1);
}
END_TEST

START_TEST(the_middle_of_a_step_is_near_to_whatever_is_in_it)
{
    struct seed seed = seed_new(1);
    double middle;
    uint64_t ns;

    for (int i = 0; i < 1000000; i++) {
        ns = seed_next(&seed) >> (1 + seed_below(&seed, 63));
        middle = fv_timing_middle(fv_timing_step(ns));
        must(fabs(middle - (double)ns) <= 0.016 * (double)ns, "%.0f for %.0f", middle, (double)ns);
    }
}
END_TEST

/* ---- quantiles ---- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

/* Against all of them in order, of very different sizes. */
START_TEST(quantiles_are_off_by_less_than_three_percent)
{
    static uint64_t all[5000];
    static const double shares[] = { 0, 0.01, 0.5, 0.9, 0.95, 0.99, 1 };
    struct fv_timings timings = { 0 };
    struct seed seed = seed_new((uint64_t)_i);
    uint32_t count = 1 + seed_below(&seed, 5000), i, rank;
    double found, exact, total = 0;

    for (i = 0; i < count; i++) {
        all[i] = seed_next(&seed) >> (20 + seed_below(&seed, 20));
        total += (double)all[i];
        ck_assert(fv_timings_add(&timings, NULL, all[i]));
    }
    qsort(all, count, sizeof *all, compare_numbers);
    for (i = 0; i < sizeof shares / sizeof *shares; i++) {
        rank = (uint32_t)ceil(shares[i] * count);
        exact = (double)all[rank ? rank - 1 : 0];
        found = fv_timings_quantile(&timings, shares[i]);
        ck_assert_msg(fabs(found - exact) <= 0.03 * exact, "%g: %.0f instead of %.0f", shares[i],
                      found, exact);
    }
    ck_assert_uint_eq(timings.count, count);
    ck_assert_double_eq_tol(fv_timings_mean(&timings), total / count, total / count * 1e-12);
    fv_timings_clear(&timings, NULL);
}
END_TEST

START_TEST(of_nothing_quantiles_and_mean_are_zero)
{
    const struct fv_timings none = { 0 };

    ck_assert_double_eq(fv_timings_quantile(&none, 0.5), 0);
    ck_assert_double_eq(fv_timings_mean(&none), 0);
    ck_assert_uint_eq(fv_timings_within(&none, 1e9), 0);
}
END_TEST

START_TEST(what_took_at_most_so_long_is_counted)
{
    struct fv_timings timings = { 0 };

    for (uint64_t ms = 1; ms <= 10; ms++)
        ck_assert(fv_timings_add(&timings, NULL, ms * 1000000));
    ck_assert_uint_eq(fv_timings_within(&timings, 0.5e6), 0);
    ck_assert_uint_eq(fv_timings_within(&timings, 4.5e6), 4);
    ck_assert_uint_eq(fv_timings_within(&timings, 1e9), 10);
    fv_timings_clear(&timings, NULL);
}
END_TEST

/* ---- sums ---- */

static void add_some(struct fv_sum *sum, struct seed *seed)
{
    struct fv_sum_step step = { .served = seed_below(seed, 5),
                                .succeeded = seed_below(seed, 2),
                                .failed = seed_below(seed, 2),
                                .count = seed_below(seed, 3),
                                .value = seed_below(seed, 100) - 50.0,
                                .timed = seed_below(seed, 3) > 0,
                                .ns = seed_next(seed) >> (10 + seed_below(seed, 50)) };

    ck_assert(fv_sum_add(sum, NULL, &step));
}

/* The order of latencies does not matter, but for the last digits of their total. */
static void check_same(const struct fv_sum *a, const struct fv_sum *b)
{
    ck_assert_uint_eq(a->served, b->served);
    ck_assert_uint_eq(a->succeeded, b->succeeded);
    ck_assert_uint_eq(a->failed, b->failed);
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_double_eq(a->value, b->value);
    ck_assert_uint_eq(a->timings.count, b->timings.count);
    ck_assert_uint_eq(a->timings.used, b->timings.used);
    ck_assert_double_eq_tol(a->timings.total_ns, b->timings.total_ns, a->timings.total_ns * 1e-12);
    for (size_t i = 0; i < a->timings.used; i++) {
        ck_assert_uint_eq(a->timings.steps[i].step, b->timings.steps[i].step);
        ck_assert_uint_eq(a->timings.steps[i].count, b->timings.steps[i].count);
    }
}

static struct fv_text encoded(struct fv_sum *sum)
{
    const struct fv_sum_name name = { { "on", 2 }, { "", 0 } };
    struct fv_text text = FV_TEXT_INIT;

    fv_sum_encode(&text, &name, sum);
    ck_assert(!text.failed);
    return text;
}

START_TEST(merging_gives_what_adding_would_have)
{
    struct fv_sum all = { 0 }, first = { 0 }, second = { 0 };
    struct seed seed = seed_new((uint64_t)_i), again;
    uint32_t i, split = seed_below(&seed, 200);

    again = seed;
    for (i = 0; i < 200; i++) {
        add_some(&all, &seed);
        add_some(i < split ? &first : &second, &again);
    }
    ck_assert(fv_sum_merge(&first, NULL, &second));
    check_same(&first, &all);
    fv_sum_clear(&all, NULL);
    fv_sum_clear(&first, NULL);
    fv_sum_clear(&second, NULL);
}
END_TEST

START_TEST(counters_end_where_rows_end)
{
    struct fv_sum sum = { .served = INT64_MAX - 1 };
    const struct fv_sum_step step = { .served = 5, .value = -DBL_MAX };

    ck_assert(fv_sum_add(&sum, NULL, &step));
    ck_assert_uint_eq(sum.served, INT64_MAX);
    ck_assert(fv_sum_add(&sum, NULL, &step));
    ck_assert_uint_eq(sum.served, INT64_MAX);
    ck_assert_double_eq(sum.value, -DBL_MAX);
}
END_TEST

START_TEST(what_a_store_says_beyond_all_counting_stays_a_row)
{
    struct fv_timing many = { 40, INT64_MAX - 1 };
    struct fv_sum sum = { .timings = { &many, 1, 1, INT64_MAX - 1, DBL_MAX } }, all = { 0 };
    struct fv_sum_name name;
    struct fv_text text;

    for (int i = 0; i < 3; i++)
        ck_assert(fv_sum_merge(&all, NULL, &sum));
    text = encoded(&all);
    fv_sum_clear(&all, NULL);
    ck_assert_int_eq(fv_sum_decode(text.data, text.length, NULL, &name, &all), 0);
    ck_assert_uint_eq(all.timings.count, INT64_MAX - 1);
    fv_text_clear(&text);
    fv_sum_clear(&all, NULL);
}
END_TEST

START_TEST(the_error_rate_is_of_outcomes)
{
    ck_assert_double_eq(fv_sum_error_rate(&(struct fv_sum){ .served = 9 }), 0);
    ck_assert_double_eq(fv_sum_error_rate(&(struct fv_sum){ .succeeded = 3, .failed = 1 }), 0.25);
}
END_TEST

/* ---- rows ---- */

START_TEST(a_row_says_what_was_written)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct fv_sum sum = { 0 }, read = { 0 };
    struct fv_sum_name name;
    struct fv_text text;

    for (uint32_t i = seed_below(&seed, 300); i > 0; i--)
        add_some(&sum, &seed);
    text = encoded(&sum);
    ck_assert_int_eq(fv_sum_decode(text.data, text.length, NULL, &name, &read), 0);
    ck_assert_uint_eq(name.variant.length, 2);
    ck_assert_mem_eq(name.variant.data, "on", 2);
    ck_assert_uint_eq(name.event.length, 0);
    check_same(&read, &sum);
    fv_text_clear(&text);
    fv_sum_clear(&sum, NULL);
    fv_sum_clear(&read, NULL);
}
END_TEST

/* No part of a row is one, and what is changed in it is refused or is another row. */
START_TEST(a_row_that_is_cut_off_or_changed_is_noticed)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct fv_sum sum = { 0 }, read = { 0 };
    struct fv_sum_name name;
    struct fv_text text, again;
    size_t at;
    int r;

    for (int i = 0; i < 20; i++)
        add_some(&sum, &seed);
    text = encoded(&sum);
    for (at = 0; at < text.length; at++) {
        ck_assert_int_eq(fv_sum_decode(text.data, at, NULL, &name, &read), FLAGVER_ECORRUPT);
        fv_sum_clear(&read, NULL);
    }
    for (int i = 0; i < 2000; i++) {
        at = seed_below(&seed, (uint32_t)text.length);
        text.data[at] = (char)(text.data[at] ^ (1 << seed_below(&seed, 8)));
        r = fv_sum_decode(text.data, text.length, NULL, &name, &read);
        ck_assert_msg(r == 0 || r == FLAGVER_ECORRUPT || r == FLAGVER_ESCHEMA, "%d", r);
        if (r == 0) {
            again = (struct fv_text)FV_TEXT_INIT;
            fv_sum_encode(&again, &name, &read);
            ck_assert_uint_eq(again.length, text.length);
            ck_assert_mem_eq(again.data, text.data, text.length);
            fv_text_clear(&again);
        }
        fv_sum_clear(&read, NULL);
    }
    fv_text_clear(&text);
    fv_sum_clear(&sum, NULL);
}
END_TEST

static Suite *sum_suite(void)
{
    Suite *suite = suite_create("sum");
    TCase *tcase = tcase_create("sum");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, steps_rise_with_time_and_none_is_left_out);
    tcase_add_test(tcase, the_middle_of_a_step_is_near_to_whatever_is_in_it);
    tcase_add_loop_test(tcase, quantiles_are_off_by_less_than_three_percent, 0, 50);
    tcase_add_test(tcase, of_nothing_quantiles_and_mean_are_zero);
    tcase_add_test(tcase, what_took_at_most_so_long_is_counted);
    tcase_add_loop_test(tcase, merging_gives_what_adding_would_have, 0, 50);
    tcase_add_test(tcase, counters_end_where_rows_end);
    tcase_add_test(tcase, what_a_store_says_beyond_all_counting_stays_a_row);
    tcase_add_test(tcase, the_error_rate_is_of_outcomes);
    tcase_add_loop_test(tcase, a_row_says_what_was_written, 0, 50);
    tcase_add_loop_test(tcase, a_row_that_is_cut_off_or_changed_is_noticed, 0, 20);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(sum_suite());
}
