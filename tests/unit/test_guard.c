/* Guards: each at its limit, and steps of latencies. */
#include "flags.h"
#include "model/gate.h"
#include "model/guard.h"

/* ---- guards ---- */

#define LIMITS                                                                         \
    {                                                                                  \
        .match_rate = 0.99, .error_rate = 0.01, .p99_ratio = 1.5, .oldest_ms = 300000, \
        .samples = 1000                                                                \
    }

/* By side: old, new. */
static const struct {
    const char *label;
    struct fv_guard_limits limits;
    struct fv_guard_window window;
    enum fv_guard guard;
    double value;
} cases[] = {
    { "nothing was seen", LIMITS, { 0 }, FV_GUARD_NONE, 0 },
    { "no limits",
      { .samples = 1 },
      { 5000, 0, { 5000, 5000 }, { 0, 5000 }, { 1, 1000000 }, INT64_MAX },
      FV_GUARD_NONE,
      0 },
    { "all is well",
      LIMITS,
      { 5000, 5000, { 5000, 5000 }, { 10, 10 }, { 1000, 1000 }, 0 },
      FV_GUARD_NONE,
      0 },
    { "none of 1,000 agrees", LIMITS, { .compared = 1000 }, FV_GUARD_MATCH_RATE, 0 },
    { "none of 999 agrees, too few to say", LIMITS, { .compared = 999 }, FV_GUARD_NONE, 0 },
    { "996 of 1,000 agree, by which it may be 98.98 %",
      LIMITS,
      { .compared = 1000, .matched = 996 },
      FV_GUARD_MATCH_RATE,
      0.98976 },
    { "997 of 1,000 agree, by which it is 99.1 %",
      LIMITS,
      { .compared = 1000, .matched = 997 },
      FV_GUARD_NONE,
      0 },
    { "1 % more fail", LIMITS, { .reads = { 1000, 1000 }, .errors = { 0, 10 } }, FV_GUARD_NONE, 0 },
    { "1.1 % more fail",
      LIMITS,
      { .reads = { 1000, 1000 }, .errors = { 0, 11 } },
      FV_GUARD_ERROR_RATE,
      0.011 },
    { "as many fail on both",
      LIMITS,
      { .reads = { 1000, 1000 }, .errors = { 900, 900 } },
      FV_GUARD_NONE,
      0 },
    { "the old one fails more",
      LIMITS,
      { .reads = { 1000, 1000 }, .errors = { 900, 0 } },
      FV_GUARD_NONE,
      0 },
    { "all of 999 fail, too few to say",
      LIMITS,
      { .reads = { 1000, 999 }, .errors = { 0, 999 } },
      FV_GUARD_NONE,
      0 },
    { "only the new one is read, and fails",
      LIMITS,
      { .reads = { 0, 1000 }, .errors = { 0, 11 } },
      FV_GUARD_ERROR_RATE,
      0.011 },
    { "as slow as it may be",
      LIMITS,
      { .reads = { 1000, 1000 }, .p99_ns = { 1000, 1500 } },
      FV_GUARD_NONE,
      0 },
    { "slower",
      LIMITS,
      { .reads = { 1000, 1000 }, .p99_ns = { 1000, 1501 } },
      FV_GUARD_LATENCY,
      1.501 },
    { "slower, by too few reads of the old one",
      LIMITS,
      { .reads = { 999, 1000 }, .p99_ns = { 1000, 9000 } },
      FV_GUARD_NONE,
      0 },
    { "slower, by too few reads of the new one",
      LIMITS,
      { .reads = { 1000, 999 }, .p99_ns = { 1000, 9000 } },
      FV_GUARD_NONE,
      0 },
    { "nothing to be slower than",
      LIMITS,
      { .reads = { 1000, 1000 }, .p99_ns = { 0, 9000 } },
      FV_GUARD_NONE,
      0 },
    { "waits as long as it may", LIMITS, { .oldest_ms = 300000 }, FV_GUARD_NONE, 0 },
    { "waits longer, which needs no samples",
      LIMITS,
      { .oldest_ms = 300001 },
      FV_GUARD_OLDEST,
      300001 },
    { "the first one that trips is told",
      LIMITS,
      { 1000, 0, { 1000, 1000 }, { 0, 1000 }, { 1, 1000 }, 300001 },
      FV_GUARD_MATCH_RATE,
      0 },
    { "then the second",
      LIMITS,
      { 1000, 1000, { 1000, 1000 }, { 0, 1000 }, { 1, 1000 }, 300001 },
      FV_GUARD_ERROR_RATE,
      1 },
    { "then the third",
      LIMITS,
      { 1000, 1000, { 1000, 1000 }, { 0, 0 }, { 1, 1000 }, 300001 },
      FV_GUARD_LATENCY,
      1000 },
};

static double limit_of(const struct fv_guard_limits *limits, enum fv_guard guard)
{
    const double by_guard[] = { 0, limits->match_rate, limits->error_rate, limits->p99_ratio,
                                (double)limits->oldest_ms };

    return by_guard[guard];
}

START_TEST(each_guard_trips_behind_its_limit)
{
    struct fv_verdict verdict = fv_guard_judge(&cases[_i].limits, &cases[_i].window);

    ck_assert_msg(verdict.guard == cases[_i].guard, "%s: \"%s\", not \"%s\"", cases[_i].label,
                  fv_guard_name(verdict.guard), fv_guard_name(cases[_i].guard));
    ck_assert_double_eq_tol(verdict.value, cases[_i].value, 1e-5);
    ck_assert_double_eq(verdict.limit, limit_of(&cases[_i].limits, cases[_i].guard));
}
END_TEST

START_TEST(guards_have_the_names_of_their_limits)
{
    static const char *const names[] = { "", "match_rate", "error_rate", "p99_ratio", "oldest_ms" };

    for (int i = 0; i < COUNT(names); i++)
        ck_assert_str_eq(fv_guard_name((enum fv_guard)i), names[i]);
}
END_TEST

/* ---- latencies ---- */

static void assert_step_of(uint64_t ns)
{
    unsigned step = fv_latency_step(ns);
    uint64_t upper = fv_latency_of(step);

    ck_assert_uint_lt(step, FV_LATENCY_STEPS);
    ck_assert_msg(upper >= ns, "%llu is above its step's end, %llu", (unsigned long long)ns,
                  (unsigned long long)upper);
    ck_assert_msg(upper - ns <= ns / 4, "%llu: %llu is off by more than a quarter",
                  (unsigned long long)ns, (unsigned long long)upper);
    ck_assert_uint_eq(fv_latency_step(upper), step);
}

START_TEST(each_latency_is_within_a_quarter_of_its_step)
{
    for (uint64_t ns = 0; ns < 100000; ns++)
        assert_step_of(ns);
    for (int power = 2; power < 64; power++)
        for (uint64_t quarter = 4; quarter < 8; quarter++) {
            uint64_t begin = quarter << (power - 2);

            assert_step_of(begin);
            assert_step_of(begin - 1);
            assert_step_of(begin + 1);
        }
    assert_step_of(UINT64_MAX);
}
END_TEST

START_TEST(steps_rise_with_latencies_and_leave_none_out)
{
    unsigned last = fv_latency_step(UINT64_MAX);

    ck_assert_uint_eq(fv_latency_step(0), 0);
    for (unsigned step = 0; step < last; step++) {
        ck_assert_uint_lt(fv_latency_of(step), fv_latency_of(step + 1));
        ck_assert_uint_eq(fv_latency_step(fv_latency_of(step) + 1), step + 1);
    }
    ck_assert_uint_eq(fv_latency_of(last), UINT64_MAX);
}
END_TEST

START_TEST(a_quantile_is_the_least_latency_that_is_enough)
{
    uint64_t counts[FV_LATENCY_STEPS] = { 0 };

    ck_assert_uint_eq(fv_latency_quantile(counts, 0.5), 0);
    counts[fv_latency_step(100)] = 98;
    counts[fv_latency_step(1000)] = 1;
    counts[fv_latency_step(1000000)] = 1;
    ck_assert_uint_eq(fv_latency_quantile(counts, 0), fv_latency_of(fv_latency_step(100)));
    ck_assert_uint_eq(fv_latency_quantile(counts, 0.5), fv_latency_of(fv_latency_step(100)));
    ck_assert_uint_eq(fv_latency_quantile(counts, 0.98), fv_latency_of(fv_latency_step(100)));
    ck_assert_uint_eq(fv_latency_quantile(counts, 0.99), fv_latency_of(fv_latency_step(1000)));
    ck_assert_uint_eq(fv_latency_quantile(counts, 0.991), fv_latency_of(fv_latency_step(1000000)));
    ck_assert_uint_eq(fv_latency_quantile(counts, 1), fv_latency_of(fv_latency_step(1000000)));
}
END_TEST

START_TEST(one_call_is_each_quantile)
{
    uint64_t counts[FV_LATENCY_STEPS] = { 0 };
    static const double shares[] = { 0, 0.01, 0.5, 0.99, 1 };

    counts[fv_latency_step(5000)] = 1;
    for (int i = 0; i < COUNT(shares); i++)
        ck_assert_uint_eq(fv_latency_quantile(counts, shares[i]),
                          fv_latency_of(fv_latency_step(5000)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guards");
    TCase *tests = tcase_create("guards");

    tcase_add_loop_test(tests, each_guard_trips_behind_its_limit, 0, COUNT(cases));
    tcase_add_test(tests, guards_have_the_names_of_their_limits);
    tcase_add_test(tests, each_latency_is_within_a_quarter_of_its_step);
    tcase_add_test(tests, steps_rise_with_latencies_and_leave_none_out);
    tcase_add_test(tests, a_quantile_is_the_least_latency_that_is_enough);
    tcase_add_test(tests, one_call_is_each_quantile);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
