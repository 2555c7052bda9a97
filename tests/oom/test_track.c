/*
 * Memory runs out at the k-th allocation, for every k, while something is tracked, flushed and reported:
 * each call says so, leaks nothing, and no sum is lost or counted twice.
 */
#define _GNU_SOURCE /* mkdtemp */
#include <flagver.h>

#include <stdio.h>

#include "failing_malloc.h"
#include "support.h"

#define FLAG "f"

static const char definition[] =
    "{\"type\":\"boolean\",\"percentage\":100,\"metadata\":{\"events\":\"seen, bought\"}}";
static const flagver_actor actor = { .size = sizeof actor, .id = "short of memory" };
static flagver_client *client;

static int put_flag(void *unused, flagver_txn *txn, flagver_error *err)
{
    (void)unused;
    return flagver_version_put(txn, FLAGVER_PHASE_FLAG, FLAG, definition, strlen(definition), NULL,
                               NULL, err);
}

static void open_client(void)
{
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };

    assert_ok(flagver_open("memory:", &options, &client, &error));
    assert_ok(flagver_txn_run(client, &actor, NULL, put_flag, NULL, &error));
    assert_ok(flagver_client_refresh(client, &error));
}

struct sums {
    uint64_t evaluations, outcomes, timed, seen, seen_by_flag;
};

static void add_up(void *data, const flagver_track_group *group)
{
    struct sums *sums = data;

    sums->evaluations += group->evaluations;
    sums->outcomes += group->succeeded + group->failed;
    sums->timed += group->timed;
    *(group->flag[0] ? &sums->seen_by_flag : &sums->seen) += group->count;
}

static struct sums report(int own)
{
    const flagver_track_options options = { .size = sizeof options, .own = own };
    struct sums sums = { 0 };

    assert_ok(flagver_track_report(client, &options, add_up, &sums, &error));
    return sums;
}

/* Calls with this k until none fails. Returns how often it was called. */
static long each(int (*call)(void), bool all_after)
{
    long k = 0;
    bool failed;
    int r;

    do {
        k++;
        if (all_after)
            failing_malloc_arm_all_after(k);
        else
            failing_malloc_arm(k);
        r = call();
        failing_malloc_disarm();
        failed = failing_malloc_failed();
        ck_assert_msg(failed ? r == 0 || r == FLAGVER_ENOMEM : r == 0, "%ld: %d %s", k, r,
                      error.message);
    } while (failed);
    return k;
}

/* ---- counting ---- */

static uint64_t counted;
static int64_t latency;

static int outcome(void)
{
    int r = flagver_track_outcome(client, FLAG, "on", false, latency, &error);

    counted += r == 0;
    return r;
}

START_TEST(an_outcome_is_counted_or_not)
{
    open_client();
    counted = 0;
    for (latency = 1; latency < INT64_C(1000000000000); latency *= 3)
        each(outcome, false);
    ck_assert_uint_gt(counted, 20);
    ck_assert_uint_eq(report(1).outcomes, counted);
    ck_assert_uint_eq(report(1).timed, counted);
    flagver_close(client);
}
END_TEST

static uint64_t seen;

static int event(void)
{
    int r = flagver_track(client, NULL, "seen", 1, &error);

    seen += r == 0;
    return r;
}

/* One that could not be counted for a flag may be counted by itself. */
START_TEST(an_event_that_succeeded_is_counted_for_its_flags)
{
    uint64_t calls;

    open_client();
    seen = 0;
    calls = (uint64_t)each(event, false);
    ck_assert_uint_ge(report(1).seen, seen);
    ck_assert_uint_le(report(1).seen, calls);
    ck_assert_uint_eq(report(1).seen_by_flag, seen);
    flagver_close(client);
}
END_TEST

/* ---- flushing ---- */

static void count_some(void)
{
    for (int i = 0; i < 30; i++) {
        flagver_flag_bool(client, FLAG, NULL, false);
        assert_ok(
            flagver_track_outcome(client, FLAG, "on", i % 3 == 0, i * INT64_C(70000), &error));
        assert_ok(flagver_track(client, NULL, "seen", 1, &error));
    }
    counted += 30;
}

static int flush(void)
{
    return flagver_track_flush(client, &error);
}

static void check_all(const struct sums sums)
{
    ck_assert_uint_eq(sums.evaluations, counted);
    ck_assert_uint_eq(sums.outcomes, counted);
    ck_assert_uint_eq(sums.timed, counted);
    ck_assert_uint_eq(sums.seen, counted);
    ck_assert_uint_eq(sums.seen_by_flag, counted);
}

/* As a rule another try follows, which has its memory; without any left there is none. */
START_TEST(a_flush_adds_all_of_it_or_keeps_it)
{
    long step = _i ? 37 : 1, k;
    bool failed = true;
    int r;

    open_client();
    counted = 0;
    for (k = 1; failed; k += step) {
        count_some();
        if (_i)
            failing_malloc_arm_all_after(k);
        else
            failing_malloc_arm(k);
        r = flush();
        failing_malloc_disarm();
        failed = failing_malloc_failed();
        ck_assert_msg(r == 0 || (failed && r == FLAGVER_ENOMEM), "%ld: %d %s", k, r, error.message);
        check_all(report(1));
        if (r == 0)
            check_all(report(0));
    }
    printf("MEASURED: flush: %ld allocations\n", k - step);
    assert_ok(flush());
    check_all(report(0));
    flagver_close(client);
}
END_TEST

/* ---- reporting ---- */

static struct sums told;

static int tell(void)
{
    told = (struct sums){ 0 };
    return flagver_track_report(client, NULL, add_up, &told, &error);
}

static int tell_own(void)
{
    const flagver_track_options options = { .size = sizeof options, .own = 1 };

    told = (struct sums){ 0 };
    return flagver_track_report(client, &options, add_up, &told, &error);
}

static int scrape(void)
{
    char *text = NULL;
    int r = flagver_track_openmetrics(client, NULL, &text, &error);

    flagver_string_free(text);
    return r;
}

START_TEST(a_report_is_complete_or_fails)
{
    long live;

    open_client();
    counted = 0;
    count_some();
    assert_ok(flush());
    count_some();
    assert_ok(flush());
    check_all(report(0));
    live = failing_malloc_live();
    each(tell, false);
    check_all(told);
    each(tell_own, false);
    check_all(told);
    each(scrape, false);
    each(scrape, true);
    ck_assert_int_eq(failing_malloc_live(), live);
    flagver_close(client);
}
END_TEST

static void live_and_die(void)
{
    flagver_error why;

    if (flagver_track(client, NULL, "seen", 1, &why) == 0)
        flagver_track_flush(client, &why);
    flagver_track_outcome(client, FLAG, "off", true, 5, &why);
}

START_TEST(nothing_is_left_behind)
{
    flagver_client *first;
    long live;

    open_client();
    first = client; /* what is kept for the whole process is there with it */
    open_client();
    flagver_close(client);
    flagver_thread_release();
    live = failing_malloc_live();
    for (long k = 1; k < 60; k++) {
        open_client();
        failing_malloc_arm_all_after(k);
        live_and_die();
        failing_malloc_disarm();
        flagver_close(client);
        flagver_thread_release();
        ck_assert_msg(failing_malloc_live() == live, "%ld: %ld blocks", k,
                      failing_malloc_live() - live);
    }
    flagver_close(first);
}
END_TEST

static Suite *track_suite(void)
{
    Suite *suite = suite_create("tracking without memory");
    TCase *tcase = tcase_create("tracking");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, an_outcome_is_counted_or_not);
    tcase_add_test(tcase, an_event_that_succeeded_is_counted_for_its_flags);
    tcase_add_loop_test(tcase, a_flush_adds_all_of_it_or_keeps_it, 0, 2);
    tcase_add_test(tcase, a_report_is_complete_or_fails);
    tcase_add_test(tcase, nothing_is_left_behind);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(track_suite());
}
