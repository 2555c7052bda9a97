/* Guards of schedules: each at its limit, and how far a rollout goes back. */
#include "model/rollout_guard.h"

#include "model/gate.h"
#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* ---- verdicts ---- */

#define ALL                                                              \
    {                                                                    \
        .error_rate = 1, .p95_ms = 500, .p95_ratio = 1.2, .samples = 200 \
    }
#define ERRORS(percent, samples_)                      \
    {                                                  \
        .error_rate = (percent), .samples = (samples_) \
    }
#define SLOW                          \
    {                                 \
        .p95_ms = 500, .samples = 200 \
    }
#define RATIO                            \
    {                                    \
        .p95_ratio = 1.2, .samples = 200 \
    }

/* Seen: outcomes, failed; timed and p95 of the other variant, then of the true one. */
static const struct {
    const char *label;
    struct fv_rollout_guards guards;
    struct fv_rollout_seen seen;
    enum fv_rollout_guard guard;
    double value, limit;
    uint64_t samples;
} verdicts[] = {
    { "nothing was seen", ALL, { 0 }, FV_ROLLOUT_GOOD, 0, 0, 0 },
    { "all is well", ALL, { 1000, 5, { 1000, 1000 }, { 100, 110 } }, FV_ROLLOUT_GOOD, 0, 0, 0 },
    { "no limits", { .samples = 1 }, { 9, 9, { 9, 9 }, { 1, 1e6 } }, FV_ROLLOUT_GOOD, 0, 0, 0 },

    { "three of three fail, and nothing is known yet",
      ERRORS(1, 100),
      { 3, 3, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "three of three fail, which is enough where samples say so",
      ERRORS(1, 3),
      { 3, 3, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_ERROR_RATE,
      100,
      1,
      3 },
    { "three of three may still be 43 %",
      ERRORS(44, 3),
      { 3, 3, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "all fail, one too few to say",
      ERRORS(1, 200),
      { 199, 199, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "all fail, enough to say",
      ERRORS(1, 200),
      { 200, 200, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_ERROR_RATE,
      100,
      1,
      200 },
    { "2 % of 200 fail, which may be chance",
      ERRORS(1, 200),
      { 200, 4, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "2 % of 2,000 fail, which is not",
      ERRORS(1, 200),
      { 2000, 40, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_ERROR_RATE,
      2,
      1,
      2000 },
    { "exactly the limit, however many",
      ERRORS(1, 200),
      { 1000000, 10000, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "a guard at 100 % never trips",
      ERRORS(100, 1),
      { 1000000, 1000000, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "a guard at a thousandth of a percent",
      ERRORS(0.001, 1),
      { 1, 1, { 0, 0 }, { 0, 0 } },
      FV_ROLLOUT_ERROR_RATE,
      100,
      0.001,
      1 },

    { "as slow as it may be", SLOW, { 200, 0, { 0, 200 }, { 0, 500 } }, FV_ROLLOUT_GOOD, 0, 0, 0 },
    { "slower", SLOW, { 200, 0, { 0, 200 }, { 0, 500.5 } }, FV_ROLLOUT_P95, 500.5, 500, 200 },
    { "slow, but of most it is not known",
      SLOW,
      { 5000, 0, { 0, 199 }, { 0, 9000 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "the other variant is slow",
      SLOW,
      { 200, 0, { 200, 200 }, { 9000, 100 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },

    { "20 % slower", RATIO, { 200, 0, { 200, 200 }, { 100, 120 } }, FV_ROLLOUT_GOOD, 0, 0, 0 },
    { "21 % slower",
      RATIO,
      { 200, 0, { 200, 200 }, { 100, 121 } },
      FV_ROLLOUT_P95_RATIO,
      1.21,
      1.2,
      200 },
    { "too few of the other variant",
      RATIO,
      { 900, 0, { 199, 900 }, { 100, 900 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "too few of the true variant",
      RATIO,
      { 199, 0, { 900, 199 }, { 100, 900 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },
    { "the other variant takes no time",
      RATIO,
      { 900, 0, { 900, 900 }, { 0, 900 } },
      FV_ROLLOUT_GOOD,
      0,
      0,
      0 },

    { "errors come first",
      ALL,
      { 1000, 500, { 1000, 1000 }, { 100, 900 } },
      FV_ROLLOUT_ERROR_RATE,
      50,
      1,
      1000 },
    { "then the quantile",
      ALL,
      { 1000, 0, { 1000, 800 }, { 100, 900 } },
      FV_ROLLOUT_P95,
      900,
      500,
      800 },
    { "then the ratio",
      ALL,
      { 1000, 0, { 1000, 800 }, { 100, 300 } },
      FV_ROLLOUT_P95_RATIO,
      3,
      1.2,
      800 },
};

START_TEST(a_guard_trips_above_its_limit_and_not_at_it)
{
    struct fv_rollout_verdict verdict = fv_rollout_judge(&verdicts[_i].guards, &verdicts[_i].seen);
    const char *label = verdicts[_i].label;

    ck_assert_msg(verdict.guard == verdicts[_i].guard, "%s: \"%s\"", label,
                  fv_rollout_guard_name(verdict.guard));
    ck_assert_msg(verdict.value > verdicts[_i].value - 1e-9 &&
                      verdict.value < verdicts[_i].value + 1e-9,
                  "%s: %g", label, verdict.value);
    ck_assert_msg(verdict.limit == verdicts[_i].limit, "%s: limit %g", label, verdict.limit);
    ck_assert_msg(verdict.samples == verdicts[_i].samples, "%s: %llu samples", label,
                  (unsigned long long)verdict.samples);
}
END_TEST

/* The least number of failures that trip is the least whose lower bound is above the limit. */
START_TEST(an_error_rate_trips_where_its_lower_bound_does)
{
    static const uint64_t sizes[] = { 1, 10, 100, 412, 1000, 100000 };
    const struct fv_rollout_guards guards = { .error_rate = 1, .samples = 1 };
    struct fv_rollout_seen seen = { .outcomes = sizes[_i] };

    while (seen.failed < seen.outcomes && fv_rollout_judge(&guards, &seen).guard == FV_ROLLOUT_GOOD)
        seen.failed++;
    ck_assert(fv_lower_bound(seen.failed, seen.outcomes) > 0.01);
    ck_assert(fv_lower_bound(seen.failed - 1, seen.outcomes) <= 0.01);
}
END_TEST

START_TEST(guards_have_names)
{
    ck_assert_str_eq(fv_rollout_guard_name(FV_ROLLOUT_GOOD), "");
    ck_assert_str_eq(fv_rollout_guard_name(FV_ROLLOUT_ERROR_RATE), "error_rate");
    ck_assert_str_eq(fv_rollout_guard_name(FV_ROLLOUT_P95), "p95_ms");
    ck_assert_str_eq(fv_rollout_guard_name(FV_ROLLOUT_P95_RATIO), "p95_ratio");
}
END_TEST

/* ---- steps ---- */

#define FOUR { { 100, 1000 }, { 200, 10000 }, { 300, 50000 }, { 400, 100000 } }, 4
#define HELD { { 100, 10000 }, { 200, 10000 }, { 300, 25000 }, { 400, 25000 } }, 4
#define FALLING { { 100, 10000 }, { 200, 50000 }, { 300, 20000 } }, 3
#define FROM_NONE { { 100, 0 }, { 200, 25000 } }, 2

static const struct {
    const char *label;
    struct fv_schedule_step steps[4];
    size_t count;
    bool linear;
    int64_t now;
    struct fv_rollout_reach reach;
} reaches[] = {
    { "before the first", FOUR, false, 99, { 0, 0, 0, 0 } },
    { "long before", FOUR, false, INT64_MIN, { 0, 0, 0, 0 } },
    { "at the first, behind which there is nothing", FOUR, false, 100, { 1, 100, 1000, 0 } },
    { "just before the second", FOUR, false, 199, { 1, 100, 1000, 0 } },
    { "at the second", FOUR, false, 200, { 2, 200, 10000, 1000 } },
    { "at the third", FOUR, false, 300, { 3, 300, 50000, 10000 } },
    { "at the last", FOUR, false, 400, { 4, 400, 100000, 50000 } },
    { "long after", FOUR, false, INT64_MAX, { 4, 400, 100000, 50000 } },

    { "a share that is held is one more step", HELD, false, 250, { 2, 200, 10000, 0 } },
    { "behind a share that was held", HELD, false, 300, { 3, 300, 25000, 10000 } },
    { "held at the end", HELD, false, 500, { 4, 400, 25000, 10000 } },
    { "after a fall it does not go up again", FALLING, false, 300, { 3, 300, 20000, 10000 } },
    { "before the fall", FALLING, false, 250, { 2, 200, 50000, 10000 } },
    { "nobody has it yet", FROM_NONE, false, 150, { 1, 100, 0, 0 } },
    { "back to nobody", FROM_NONE, false, 200, { 2, 200, 25000, 0 } },

    { "linear, before the first", FOUR, true, 99, { 0, 0, 0, 0 } },
    { "linear, at the first", FOUR, true, 100, { 1, 100, 1000, 0 } },
    { "linear, on its way, the step itself was good", FOUR, true, 150, { 1, 100, 5500, 1000 } },
    { "linear, at the second", FOUR, true, 200, { 2, 200, 10000, 1000 } },
    { "linear, on its way again", FOUR, true, 250, { 2, 200, 30000, 10000 } },
    { "linear, at the last", FOUR, true, 400, { 4, 400, 100000, 50000 } },
    { "linear, falling", FALLING, true, 250, { 2, 200, 35000, 10000 } },
    { "linear, falling below all",
      { { 100, 10000 }, { 200, 0 } },
      2,
      true,
      150,
      { 1, 100, 5000, 0 } },
    { "linear, held", HELD, true, 150, { 1, 100, 10000, 0 } },
};

START_TEST(a_rollout_goes_back_to_the_last_step_with_a_lower_share)
{
    const struct fv_schedule schedule = { .steps = reaches[_i].steps,
                                          .count = reaches[_i].count,
                                          .linear = reaches[_i].linear };
    const struct fv_rollout_reach *expected = &reaches[_i].reach;
    struct fv_rollout_reach reach = fv_rollout_reached(&schedule, reaches[_i].now);

    ck_assert_msg(reach.step == expected->step, "%s: step %zu", reaches[_i].label, reach.step);
    ck_assert_msg(reach.since == expected->since, "%s: since %lld", reaches[_i].label,
                  (long long)reach.since);
    ck_assert_msg(reach.share == expected->share, "%s: share %u", reaches[_i].label, reach.share);
    ck_assert_msg(reach.good == expected->good, "%s: back to %u", reaches[_i].label, reach.good);
    ck_assert(reach.share == fv_schedule_threshold(&schedule, reaches[_i].now));
    ck_assert(reach.good < reach.share || reach.share == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rollout_guard_model");
    TCase *cases = tcase_create("guards");

    tcase_add_loop_test(cases, a_guard_trips_above_its_limit_and_not_at_it, 0, COUNT(verdicts));
    tcase_add_loop_test(cases, an_error_rate_trips_where_its_lower_bound_does, 0, 6);
    tcase_add_test(cases, guards_have_names);
    tcase_add_loop_test(cases, a_rollout_goes_back_to_the_last_step_with_a_lower_share, 0,
                        COUNT(reaches));
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
