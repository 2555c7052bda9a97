/*
 * Tracking: what is counted, where it goes, and what becomes of it when something goes wrong.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, fork */
#include "stores.h"

#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "engine/track.h"
#include "waiting.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define HOUR_US (HOUR_MS * 1000)
#define MEASURED "{'type':'boolean','percentage':100,'metadata':{'events':'bought, seen'}}"

static int64_t now_ms;

/* The clock stands at an hour's beginning. */
static flagver_options clocked_options(void)
{
    flagver_options options = quiet_options();

    now_ms = time_of("2026-03-01T10:00:00Z");
    options.clock = tell_time;
    options.clock_data = &now_ms;
    return options;
}

static flagver_client *open_clocked(int kind)
{
    const flagver_options options = clocked_options();

    return open_with(kind, &options);
}

static flagver_client *open_given(const char *definitions)
{
    const flagver_options options = clocked_options();
    char *text = quoted(definitions);
    flagver_client *client = NULL;

    assert_ok(flagver_open("definitions:", &options, &client, &error));
    assert_ok(flagver_client_load(client, text, strlen(text), &error));
    free(text);
    return client;
}

static void ask(flagver_client *client, const char *flag, int times)
{
    for (int i = 0; i < times; i++)
        flagver_flag_bool(client, flag, NULL, false);
}

static void outcomes(flagver_client *client, const char *flag, const char *variant, int succeeded,
                     int failed)
{
    for (int i = 0; i < succeeded + failed; i++)
        assert_ok(flagver_track_outcome(client, flag, variant, i >= succeeded, -1, &error));
}

static void refresh(flagver_client *client)
{
    assert_ok(flagver_client_refresh(client, &error));
}

static void flush(flagver_client *client)
{
    assert_ok(flagver_track_flush(client, &error));
}

/* ---- in a line ---- */

/* "flag/variant/event @hour evaluations succeeded+failed count=sum; " of each group. */
struct told {
    char text[4000];
    flagver_track_group last;
};

static void tell(void *data, const flagver_track_group *group)
{
    struct told *told = data;
    size_t length = strlen(told->text);

    snprintf(
        told->text + length, sizeof told->text - length, "%s/%s/%s @%lld %llu %llu+%llu %llu=%g; ",
        group->flag, group->variant, group->event ? group->event : "",
        group->from ? (long long)((group->from - 1772323200 * INT64_C(1000000)) / HOUR_US) : -1LL,
        (unsigned long long)group->evaluations, (unsigned long long)group->succeeded,
        (unsigned long long)group->failed, (unsigned long long)group->count, group->sum);
    told->last = *group;
}

static const char *report(flagver_client *client, const flagver_track_options *options)
{
    static struct told told;

    told = (struct told){ .text = "" };
    assert_ok(flagver_track_report(client, options, tell, &told, &error));
    return told.text;
}

static const char *stored(flagver_client *client)
{
    return report(client, NULL);
}

static const char *own(flagver_client *client)
{
    const flagver_track_options options = { .size = sizeof options, .own = 1 };

    return report(client, &options);
}

static const char *hourly(flagver_client *client)
{
    const flagver_track_options options = { .size = sizeof options, .by = FLAGVER_TRACK_BY_HOUR };

    return report(client, &options);
}

/* ---- counting ---- */

START_TEST(what_is_served_and_what_comes_of_it_is_added_to_the_store)
{
    flagver_client *client = open_clocked(_i);

    put_flag(client, "f", SHARE(100));
    refresh(client);
    ask(client, "f", 5);
    outcomes(client, "f", "on", 3, 1);
    ck_assert_str_eq(stored(client), "");
    flush(client);
    ck_assert_str_eq(stored(client), "f/on/ @-1 5 3+1 0=0; ");
    flush(client);
    ck_assert_str_eq(stored(client), "f/on/ @-1 5 3+1 0=0; ");
    ask(client, "f", 2);
    outcomes(client, "f", "on", 1, 0);
    flush(client);
    ck_assert_str_eq(stored(client), "f/on/ @-1 7 4+1 0=0; ");
    flagver_close(client);
}
END_TEST

START_TEST(sums_of_several_clients_come_together)
{
    flagver_client *first = open_clocked(_i), *second = open_clocked(_i);

    outcomes(first, "f", "on", 2, 1);
    outcomes(second, "f", "on", 1, 0);
    outcomes(second, "f", "off", 0, 1);
    flush(first);
    flush(second);
    ck_assert_str_eq(stored(first), "f/off/ @-1 0 0+1 0=0; f/on/ @-1 0 3+1 0=0; ");
    ck_assert_str_eq(own(first), "f/on/ @-1 0 2+1 0=0; ");
    flagver_close(first);
    flagver_close(second);
}
END_TEST

START_TEST(an_event_is_counted_by_itself_and_for_each_flag_that_names_it)
{
    flagver_client *client = open_clocked(_i);
    flagver_context *context = context_of("{'targetingKey':'u'}");

    put_flag(client, "measured", MEASURED);
    put_flag(client, "other", SHARE(100));
    refresh(client);
    assert_ok(flagver_track(client, context, "bought", 2.5, &error));
    assert_ok(
        flagver_track(client, NULL, "bought", 1, &error)); /* a percentage has no use for nobody */
    assert_ok(flagver_track(client, context, "unheard of", -4, &error));
    flush(client);
    ck_assert_str_eq(stored(client), "//bought @-1 0 0+0 2=3.5; //unheard of @-1 0 0+0 1=-4; "
                                     "measured/on/bought @-1 0 0+0 2=3.5; ");
    flagver_context_free(context);
    flagver_close(client);
}
END_TEST

START_TEST(an_event_follows_the_flags_as_they_change)
{
    flagver_client *client = open_given("{'flags':{'a':" MEASURED ",'b':{'type':'boolean'}}}");
    char *text = quoted("{'flags':{'a':{'type':'boolean'},'b':{'type':'boolean','enabled':false,"
                        "'metadata':{'events':' seen,,bought ,seen','x':'\\\\'}}}}");

    assert_ok(flagver_track(client, NULL, "seen", 1, &error));
    assert_ok(flagver_client_load(client, text, strlen(text), &error));
    assert_ok(flagver_track(client, NULL, "seen", 1, &error));
    ck_assert_str_eq(own(client), "//seen @-1 0 0+0 2=2; a/on/seen @-1 0 0+0 1=1; "
                                  "b/off/seen @-1 0 0+0 1=1; ");
    free(text);
    flagver_close(client);
}
END_TEST

START_TEST(tracking_an_event_is_no_evaluation)
{
    flagver_client *client = open_given("{'flags':{'a':" MEASURED "}}");

    assert_ok(flagver_track(client, NULL, "seen", 1, &error));
    ask(client, "a", 1);
    ck_assert_str_eq(own(client), "//seen @-1 0 0+0 1=1; a/on/ @-1 1 0+0 0=0; "
                                  "a/on/seen @-1 0 0+0 1=1; ");
    flagver_close(client);
}
END_TEST

START_TEST(evaluations_that_end_in_an_error_are_of_no_variant)
{
    flagver_client *client = open_given("{'flags':{'a':{'type':'string','variants':{'v':'x'},"
                                        "'default':'v'}}}");

    ask(client, "a", 3); /* it is no boolean */
    outcomes(client, "a", NULL, 1, 0);
    ck_assert_str_eq(own(client), "a// @-1 3 1+0 0=0; ");
    flagver_close(client);
}
END_TEST

/* What the flag switches asks for flags itself before it is told how that went. */
START_TEST(the_name_of_a_variant_outlives_what_it_came_of)
{
    flagver_client *client = open_given(
        "{'flags':{'f':{'type':'string','variants':{'a':'1','b':'2'},'default':'a'}}}");
    char *later = quoted("{'flags':{'f':{'type':'string','variants':{'a':'3'},'default':'a'}}}");
    flagver_detail before = { .size = sizeof before }, after = { .size = sizeof after };

    flagver_flag_string_detail(client, "f", NULL, "", &before);
    assert_ok(flagver_client_load(client, later, strlen(later), &error));
    flagver_flag_string_detail(client, "f", NULL, "", &after);
    ck_assert_ptr_eq(before.variant, after.variant);
    assert_ok(flagver_client_load(client, "{}", 2, &error));
    ask(client, "f", 1);
    assert_ok(flagver_track_outcome(client, "f", before.variant, false, -1, &error));
    ck_assert_str_eq(own(client), "f/a/ @-1 2 1+0 0=0; ");
    flagver_close(client);
    free(later);
}
END_TEST

START_TEST(latencies_have_quantiles)
{
    flagver_client *client = open_clocked(0);
    const flagver_track_options of_client = { .size = sizeof of_client, .own = 1 };
    struct told told = { .text = "" };

    for (int ms = 1; ms <= 100; ms++)
        assert_ok(flagver_track_outcome(client, "f", "v", false, ms * INT64_C(1000000), &error));
    flush(client);
    outcomes(client, "f", "v", 1, 0); /* nobody knows how long it took */
    for (int i = 0; i < 2; i++) {
        assert_ok(flagver_track_report(client, i ? &of_client : NULL, tell, &told, &error));
        ck_assert_uint_eq(told.last.timed, 100);
        ck_assert_double_eq_tol(told.last.mean_ms, 50.5, 1e-9);
        ck_assert_double_eq_tol(told.last.p50_ms, 50, 50 * 0.03);
        ck_assert_double_eq_tol(told.last.p95_ms, 95, 95 * 0.03);
        ck_assert_double_eq_tol(told.last.p99_ms, 99, 99 * 0.03);
        ck_assert_double_eq(told.last.error_rate, 0);
    }
    flagver_close(client);
}
END_TEST

START_TEST(rates_are_of_outcomes)
{
    flagver_client *client = open_clocked(0);
    struct told told = { .text = "" };

    outcomes(client, "f", "v", 3, 1);
    flush(client);
    assert_ok(flagver_track_report(client, NULL, tell, &told, &error));
    ck_assert_double_eq(told.last.error_rate, 0.25);
    flagver_close(client);
}
END_TEST

START_TEST(values_stay_numbers)
{
    flagver_client *client = open_clocked(0);
    struct told told = { .text = "" };

    for (int i = 0; i < 3; i++)
        assert_ok(flagver_track(client, NULL, "much", 1.7e308, &error));
    flush(client);
    assert_ok(flagver_track_report(client, NULL, tell, &told, &error));
    ck_assert_msg(isfinite(told.last.sum) && told.last.sum > 1e308, "%g", told.last.sum);
    flagver_close(client);
}
END_TEST

/* ---- time ---- */

START_TEST(sums_are_kept_by_hour_and_told_by_day_or_as_one)
{
    flagver_client *client = open_clocked(_i);
    flagver_track_options options = { .size = sizeof options, .by = FLAGVER_TRACK_BY_DAY };

    outcomes(client, "f", "v", 1, 0); /* at 10:00 */
    now_ms += HOUR_MS - 1;
    outcomes(client, "f", "v", 1, 0);
    now_ms += 1;
    outcomes(client, "f", "v", 0, 1); /* at 11:00 */
    outcomes(client, "e", "v", 1, 0);
    now_ms += 24 * HOUR_MS;
    outcomes(client, "f", "v", 1, 0); /* at 11:00 of the next day */
    flush(client);
    ck_assert_str_eq(hourly(client), "e/v/ @11 0 1+0 0=0; f/v/ @10 0 2+0 0=0; f/v/ @11 0 0+1 0=0; "
                                     "f/v/ @35 0 1+0 0=0; ");
    ck_assert_str_eq(report(client, &options),
                     "e/v/ @0 0 1+0 0=0; f/v/ @0 0 2+1 0=0; f/v/ @24 0 1+0 0=0; ");
    ck_assert_str_eq(stored(client), "e/v/ @-1 0 1+0 0=0; f/v/ @-1 0 3+1 0=0; ");

    options.by = FLAGVER_TRACK_BY_HOUR;
    options.from = now_ms * 1000 - 24 * HOUR_US + 5; /* within 11:00 of the first day */
    ck_assert_str_eq(report(client, &options),
                     "e/v/ @11 0 1+0 0=0; f/v/ @11 0 0+1 0=0; f/v/ @35 0 1+0 0=0; ");
    options.to = now_ms * 1000;
    ck_assert_str_eq(report(client, &options), "e/v/ @11 0 1+0 0=0; f/v/ @11 0 0+1 0=0; ");
    options.to += 1;
    options.flag = "f";
    ck_assert_str_eq(report(client, &options), "f/v/ @11 0 0+1 0=0; f/v/ @35 0 1+0 0=0; ");
    flagver_close(client);
}
END_TEST

/* More rows than are asked for at once, of flags before and after it in each hour. */
START_TEST(one_flag_is_found_among_many_in_many_hours)
{
    static const char *const flags[] = { "a", "f", "ff", "g" };
    flagver_track_options options = { .size = sizeof options, .flag = "f" };
    flagver_client *client = open_clocked(_i);
    char variant[16];

    for (int hour = 0; hour < 5; hour++, now_ms += 3 * HOUR_MS)
        for (int flag = 0; flag < 4; flag++)
            for (int i = 0; i < (hour == 2 ? 70 : 2) && !(hour == 3 && flag == 1); i++) {
                snprintf(variant, sizeof variant, "%d", i);
                outcomes(client, flags[flag], variant, 1, 0);
            }
    flush(client);
    ck_assert_msg(strncmp(report(client, &options),
                          "f/0/ @-1 0 4+0 0=0; f/1/ @-1 0 4+0 0=0; "
                          "f/10/ @-1 0 1+0 0=0; ",
                          61) == 0,
                  "%s", report(client, &options));
    options.flag = "e";
    ck_assert_str_eq(report(client, &options), "");
    options.flag = "h";
    ck_assert_str_eq(report(client, &options), "");
    flagver_close(client);
}
END_TEST

START_TEST(old_hours_are_forgotten_whole)
{
    flagver_client *client = open_clocked(_i);

    outcomes(client, "f", "v", 1, 0);
    now_ms += HOUR_MS;
    outcomes(client, "f", "v", 2, 0);
    flush(client);
    assert_ok(flagver_track_forget(client, now_ms * 1000 - 1, &error));
    ck_assert_str_eq(hourly(client), "f/v/ @10 0 1+0 0=0; f/v/ @11 0 2+0 0=0; ");
    assert_ok(flagver_track_forget(client, now_ms * 1000 + 1, &error));
    ck_assert_str_eq(hourly(client), "f/v/ @11 0 2+0 0=0; ");
    ck_assert_str_eq(own(client), "f/v/ @-1 0 3+0 0=0; ");
    assert_ok(flagver_track_forget(client, 0, &error));
    flagver_close(client);
}
END_TEST

START_TEST(more_is_forgotten_than_goes_at_once)
{
    flagver_client *client = open_clocked(_i);
    char variant[16];

    for (int i = 0; i < 2500; i++) {
        snprintf(variant, sizeof variant, "%d", i);
        outcomes(client, "f", variant, 1, 0);
    }
    flush(client);
    now_ms += HOUR_MS;
    assert_ok(flagver_track_forget(client, now_ms * 1000, &error));
    ck_assert_str_eq(stored(client), "");
    flagver_close(client);
}
END_TEST

/* ---- the store ---- */

START_TEST(a_flush_leaves_no_leaves_and_changes_no_flags)
{
    flagver_client *client = open_clocked(_i);
    uint64_t leaves, generation;

    put_flag(client, "f", SHARE(100));
    refresh(client);
    leaves = leaves_of(client);
    generation = flagver_client_generation(client);
    ask(client, "f", 1);
    flush(client);
    refresh(client);
    ck_assert_uint_eq(leaves_of(client), leaves);
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    flagver_close(client);
}
END_TEST

START_TEST(tenants_have_sums_of_their_own)
{
    flagver_client *client = open_clocked(_i), *other;

    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    outcomes(client, "f", "v", 1, 0);
    outcomes(other, "f", "v", 0, 1);
    flush(client);
    flush(other);
    ck_assert_str_eq(stored(client), "f/v/ @-1 0 1+0 0=0; ");
    ck_assert_str_eq(stored(other), "f/v/ @-1 0 0+1 0=0; ");
    now_ms += HOUR_MS;
    assert_ok(flagver_track_forget(client, now_ms * 1000, &error));
    ck_assert_str_eq(stored(client), "");
    ck_assert_str_eq(stored(other), "f/v/ @-1 0 0+1 0=0; ");
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(the_longest_names_are_kept)
{
    flagver_client *client = open_clocked(_i);
    char flag[257], variant[129], event[257], text[1600];
    struct told told = { .text = "" };

    memset(flag, 'f', 256);
    memset(variant, 'v', 128);
    memset(event, 'e', 256);
    flag[256] = variant[128] = event[256] = 0;
    snprintf(text, sizeof text,
             "{'type':'string','variants':{'%s':'x'},'default':'%s','metadata':{'events':'%s'}}",
             variant, variant, event);
    put_flag(client, flag, text);
    refresh(client);
    assert_ok(flagver_track(client, NULL, event, 1, &error));
    flush(client);
    assert_ok(flagver_track_report(client, NULL, tell, &told, &error));
    snprintf(text, sizeof text, "//%s @-1 0 0+0 1=1; %s/%s/%s @-1 0 0+0 1=1; ", event, flag,
             variant, event);
    ck_assert_str_eq(told.text, text);
    flagver_close(client);
}
END_TEST

/* Whatever call of the driver's fails, nothing is lost and nothing is counted twice. */
START_TEST(a_flush_that_fails_is_made_up_for)
{
    static const int calls[] = { FLAGVER_FAULT_BEGIN, FLAGVER_FAULT_SCAN, FLAGVER_FAULT_NEXT,
                                 FLAGVER_FAULT_APPLY, FLAGVER_FAULT_COMMIT };
    flagver_client *client = open_clocked(FAULT_KIND);

    outcomes(client, "f", "v", 1, 0);
    flush(client);
    outcomes(client, "f", "v", 1, 1);
    flagver_fault_fail(fault, calls[_i], 1, FLAGVER_EUNAVAILABLE, true);
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_track_flush(client, &error));
    ck_assert_str_eq(own(client), "f/v/ @-1 0 2+1 0=0; ");
    outcomes(client, "f", "v", 1, 0);
    flagver_fault_reset(fault);
    ck_assert_str_eq(stored(client), "f/v/ @-1 0 1+0 0=0; ");
    flush(client);
    ck_assert_str_eq(stored(client), "f/v/ @-1 0 3+1 0=0; ");
    ck_assert_str_eq(own(client), "f/v/ @-1 0 3+1 0=0; ");
    flagver_close(client);
}
END_TEST

/* The store lies about the next commit, and does not say what came of it. */
static void lose_the_answer(int truth)
{
    flagver_fault_lie(fault, 1, truth);
    flagver_fault_fail(fault, FLAGVER_FAULT_OUTCOME, 1, FLAGVER_EUNAVAILABLE, true);
    flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, 2, FLAGVER_EUNAVAILABLE, true);
}

START_TEST(what_is_in_doubt_is_not_added_twice)
{
    flagver_client *client = open_clocked(FAULT_KIND);

    outcomes(client, "f", "v", 1, 0);
    lose_the_answer(_i ? FLAGVER_FAULT_DONE : FLAGVER_FAULT_NOT_DONE);
    assert_fails(FLAGVER_EUNKNOWN, flagver_track_flush(client, &error));
    outcomes(client, "f", "v", 0, 1); /* is not of what is in doubt */
    ck_assert_str_eq(own(client), "f/v/ @-1 0 1+1 0=0; ");
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_track_flush(client, &error));
    flagver_fault_reset(fault);
    flush(client);
    ck_assert_str_eq(stored(client), "f/v/ @-1 0 1+1 0=0; ");
    ck_assert_str_eq(own(client), "f/v/ @-1 0 1+1 0=0; ");
    flagver_close(client);
}
END_TEST

START_TEST(what_is_in_doubt_for_days_is_given_up)
{
    flagver_client *client = open_clocked(FAULT_KIND);

    outcomes(client, "f", "v", 1, 0);
    lose_the_answer(FLAGVER_FAULT_DONE);
    assert_fails(FLAGVER_EUNKNOWN, flagver_track_flush(client, &error));
    now_ms += 5 * 24 * HOUR_MS;
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_track_flush(client, &error));
    flagver_fault_reset(fault);
    outcomes(client, "f", "v", 0, 1);
    flush(client);
    ck_assert_str_eq(stored(client), "f/v/ @-1 0 1+1 0=0; ");
    flagver_close(client);
}
END_TEST

START_TEST(what_is_left_is_flushed_when_the_client_is_closed)
{
    flagver_client *client = open_clocked(_i);

    put_flag(client, "f", SHARE(100));
    refresh(client);
    ask(client, "f", 1);
    flagver_close(client);
    client = open_clocked(_i);
    ck_assert_str_eq(stored(client), ""); /* it has tracked nothing */
    ask(client, "f", 2);
    outcomes(client, "f", "on", 1, 0);
    flagver_close(client);
    client = open_clocked(_i);
    ck_assert_str_eq(stored(client), "f/on/ @-1 2 1+0 0=0; ");
    flagver_close(client);
}
END_TEST

START_TEST(who_does_not_want_it_is_not_flushed_at_the_end)
{
    flagver_options options = clocked_options();
    flagver_client *client;

    options.flush_ms = -1;
    options.background = 1;
    client = open_with(SHARED_KINDS, &options);
    outcomes(client, "f", "v", 1, 0);
    flagver_close(client);
    client = open_with(SHARED_KINDS, &options);
    ck_assert_str_eq(stored(client), "");
    flagver_close(client);
}
END_TEST

START_TEST(a_store_that_is_away_is_not_waited_for_at_the_end)
{
    flagver_client *client = open_clocked(FAULT_KIND);
    uint64_t begun;

    outcomes(client, "f", "v", 1, 0);
    flagver_fault_fail(fault, FLAGVER_FAULT_CHANGES, 1, FLAGVER_EUNAVAILABLE, true);
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
    begun = flagver_fault_calls(fault, FLAGVER_FAULT_BEGIN);
    flagver_close(client);
    ck_assert_uint_eq(flagver_fault_calls(fault, FLAGVER_FAULT_BEGIN), begun);
}
END_TEST

START_TEST(a_client_in_the_background_flushes_by_itself)
{
    flagver_options options = clocked_options();
    flagver_client *client, *reader = open_clocked(_i);

    put_flag(reader, "f", SHARE(100));
    options.background = 1;
    options.poll_ms = options.flush_ms = 10;
    client = open_with(_i, &options);
    ask(client, "f", 3);
    wait_until(strcmp(stored(reader), "f/on/ @-1 3 0+0 0=0; ") == 0);
    outcomes(client, "f", "on", 2, 0);
    wait_until(strcmp(stored(reader), "f/on/ @-1 3 2+0 0=0; ") == 0);
    flagver_close(client);
    flagver_close(reader);
}
END_TEST

static void note_line(void *data, int level, const char *message)
{
    ck_assert_int_eq(level, FLAGVER_LOG_WARNING);
    if (strstr(message, "tracked"))
        snprintf(data, 200, "%s", message);
}

START_TEST(trouble_in_the_background_is_logged_once_and_so_is_its_end)
{
    flagver_options options = clocked_options();
    flagver_client *client;
    char line[200] = "";

    options.log = note_line;
    options.log_data = line;
    client = open_with(FAULT_KIND, &options); /* its thread is this one */
    client->track = (fv_track_free(client->track), fv_track_new(NULL, 1));
    ck_assert(!fv_track_tick(client));
    rest(2);
    outcomes(client, "f", "v", 1, 0);
    flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, 1, FLAGVER_EUNAVAILABLE, true);
    ck_assert(fv_track_tick(client));
    ck_assert_msg(strstr(line, "what was tracked is kept in memory: "), "%s", line);
    line[0] = 0;
    rest(2);
    ck_assert(fv_track_tick(client));
    ck_assert_str_eq(line, "");
    flagver_fault_reset(fault);
    rest(2);
    ck_assert(fv_track_tick(client));
    ck_assert_str_eq(line, "what was tracked is in the store again");
    flagver_close(client);
}
END_TEST

START_TEST(what_is_given_up_in_the_background_is_logged)
{
    flagver_options options = clocked_options();
    flagver_client *client;
    char line[200] = "";

    options.log = note_line;
    options.log_data = line;
    client = open_with(FAULT_KIND, &options); /* its thread is this one */
    client->track = (fv_track_free(client->track), fv_track_new(NULL, 1));
    ck_assert(!fv_track_tick(client));
    outcomes(client, "f", "v", 1, 0);
    outcomes(client, "g", "v", 1, 0);
    lose_the_answer(FLAGVER_FAULT_DONE);
    rest(2);
    ck_assert(fv_track_tick(client));
    ck_assert_msg(strstr(line, "what was tracked is kept in memory: "), "%s", line);
    now_ms += 5 * 24 * HOUR_MS;
    rest(2);
    ck_assert(fv_track_tick(client));
    ck_assert_str_eq(line, "2 sums of what was tracked are given up: for days the store has not "
                           "said whether it has them");
    line[0] = 0;
    rest(2);
    ck_assert(fv_track_tick(client));
    ck_assert_ptr_null(strstr(line, "given up"));
    flagver_fault_reset(fault);
    flagver_close(client);
}
END_TEST

struct flushing {
    flagver_client *client;
    int r;
    atomic_bool ended;
};

static void *flush_patiently(void *data)
{
    struct flushing *flushing = data;

    flushing->r = flagver_track_flush(flushing->client, NULL);
    atomic_store(&flushing->ended, true);
    return NULL;
}

START_TEST(the_background_waits_for_no_flush_of_the_host)
{
    flagver_options options = clocked_options();
    flagver_client *client, *other = open_clocked(FAULT_KIND);
    struct flushing flushing = { .client = NULL };
    pthread_t thread;
    flagver_txn *txn;
    uint64_t begun;

    options.wait_ms = 1000;                   /* and that ten times */
    client = open_with(FAULT_KIND, &options); /* its thread is this one */
    client->track = (fv_track_free(client->track), fv_track_new(NULL, 1));
    ck_assert(!fv_track_tick(client));
    outcomes(client, "f", "v", 1, 0);
    txn = begin(other);
    put_flag_in(txn, "f", SHARE(100));
    flushing.client = client;
    begun = flagver_fault_calls(fault, FLAGVER_FAULT_BEGIN);
    ck_assert_int_eq(pthread_create(&thread, NULL, flush_patiently, &flushing), 0);
    wait_until(flagver_fault_calls(fault, FLAGVER_FAULT_BEGIN) > begun);
    rest(2);
    ck_assert(fv_track_tick(client));
    ck_assert(!atomic_load(&flushing.ended));
    flagver_txn_free(txn);
    pthread_join(thread, NULL);
    ck_assert_int_eq(flushing.r, 0);
    ck_assert_str_eq(stored(client), "f/v/ @-1 0 1+0 0=0; ");
    flagver_close(client);
    flagver_close(other);
}
END_TEST

/* ---- limits ---- */

START_TEST(there_is_an_end_to_what_waits_to_be_flushed)
{
    flagver_client *client = open_clocked(0);
    char event[16];

    put_flag(client, "f", SHARE(100));
    refresh(client);
    for (int i = 0; i < FLAGVER_TRACK_LIMIT; i++) {
        snprintf(event, sizeof event, "%d", i);
        assert_ok(flagver_track(client, NULL, event, 1, &error));
    }
    assert_fails(FLAGVER_EBUSY, flagver_track(client, NULL, "one more", 1, &error));
    assert_words("65536");
    assert_ok(flagver_track(client, NULL, "1", 1, &error));
    ask(client, "f", 3); /* there is no room for them, either, but they are not lost */
    flush(client);
    assert_ok(flagver_track(client, NULL, "one more", 1, &error));
    flush(client);
    const flagver_track_options options = { .size = sizeof options, .flag = "f" };
    ck_assert_str_eq(report(client, &options), "f/on/ @-1 3 0+0 0=0; ");
    flagver_close(client);
}
END_TEST

/* Of what was flushed only so many sums are kept in memory; those go on. */
START_TEST(what_the_client_has_counted_goes_on_when_much_else_was)
{
    const flagver_track_options options = { .size = sizeof options, .flag = "f", .own = 1 };
    flagver_client *client = open_clocked(0);
    char event[16];

    outcomes(client, "f", "v", 1, 0);
    for (int i = 1; i < FLAGVER_TRACK_LIMIT; i++) {
        snprintf(event, sizeof event, "%d", i);
        assert_ok(flagver_track(client, NULL, event, 1, &error));
    }
    flush(client);
    outcomes(client, "f", "v", 1, 1);
    outcomes(client, "f", "new", 1, 0);
    ck_assert_str_eq(report(client, &options), "f/new/ @-1 0 1+0 0=0; f/v/ @-1 0 2+1 0=0; ");
    flush(client);
    ck_assert_str_eq(report(client, &options), "f/v/ @-1 0 2+1 0=0; ");
    flagver_close(client);
}
END_TEST

static const struct fault_row {
    const char *flag, *variant, *event, *words;
    double value;
} faults[] = {
    { "", "v", NULL, "flag is 0 bytes; 1 to 256 allowed", 0 },
    { NULL, "v", NULL, "flag is NULL", 0 },
    { "f", "", NULL, "variant is 0 bytes; 1 to 128 allowed", 0 },
    { "f\n", "v", NULL, "flag has a control character at byte 1", 0 },
    { "f\xff", "v", NULL, "flag is not UTF-8", 0 },
    { NULL, NULL, "", "event is 0 bytes; 1 to 256 allowed", 0 },
    { NULL, NULL, "a\x1f", "event has a control character at byte 1", 0 },
    { NULL, NULL, "a", "the value of event \"a\" is not finite", NAN },
    { NULL, NULL, "a", "the value of event \"a\" is not finite", INFINITY },
};

START_TEST(what_is_no_name_or_number_is_refused)
{
    const struct fault_row *row = &faults[_i];
    flagver_client *client = open_clocked(0);

    if (row->event)
        assert_fails(FLAGVER_EINVAL, flagver_track(client, NULL, row->event, row->value, &error));
    else
        assert_fails(FLAGVER_EINVAL,
                     flagver_track_outcome(client, row->flag, row->variant, false, 1, &error));
    ck_assert_str_eq(error.message, row->words);
    ck_assert_str_eq(own(client), "");
    flagver_close(client);
}
END_TEST

START_TEST(misuse_is_refused)
{
    flagver_client *client = open_clocked(0), *given = open_given("{}");
    flagver_track_options options = { .size = sizeof options, .by = 3 };
    char *text = NULL;

    assert_fails(FLAGVER_EINVAL, flagver_track(NULL, NULL, "e", 1, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track(client, NULL, NULL, 1, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_outcome(NULL, "f", "v", false, 1, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_flush(NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_forget(NULL, 0, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_report(client, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_report(NULL, NULL, tell, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_report(client, &options, tell, NULL, &error));
    assert_words("options.by is 3; 0 to 2 allowed");
    options = (flagver_track_options){ .size = sizeof options, .flag = "" };
    assert_fails(FLAGVER_EINVAL, flagver_track_report(client, &options, tell, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_openmetrics(client, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_track_openmetrics(client, &options, &text, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_track_flush(given, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_track_report(given, NULL, tell, NULL, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_track_openmetrics(given, NULL, &text, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_track_forget(given, 0, &error));
    ck_assert_ptr_null(text);
    flagver_close(given);
    flagver_close(client);
}
END_TEST

/* ---- fork ---- */

#define require(condition)             \
    do {                               \
        if (!(condition))              \
            _exit(__LINE__ % 250 + 1); \
    } while (0)

/* Check's assertions belong to its own process. */
static void run_child(flagver_client *client)
{
    struct told told = { .text = "" };
    const flagver_track_options options = { .size = sizeof options, .own = 1 };

    require(flagver_track_report(client, &options, tell, &told, &error) == 0);
    require(strcmp(told.text, "") == 0);
    flagver_flag_bool(client, "f", NULL, false);
    require(flagver_track_outcome(client, "f", "on", true, 5, &error) == 0);
    require(flagver_track_flush(client, &error) == FLAGVER_EFORKED);
    require(flagver_client_reopen(client, &error) == 0);
    require(flagver_track_flush(client, &error) == 0);
    flagver_close(client);
    _exit(0);
}

START_TEST(a_child_counts_from_zero_and_the_parent_flushes_its_own)
{
    flagver_client *client = open_clocked(_i);
    pid_t child;
    int status;

    put_flag(client, "f", SHARE(100));
    refresh(client);
    ask(client, "f", 4);
    outcomes(client, "f", "on", 4, 0);
    flush(client);
    ask(client, "f", 3);
    outcomes(client, "f", "on", 3, 0);
    child = fork();
    if (child == 0)
        run_child(client);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "line %d of %%250", WEXITSTATUS(status) - 1);
    ck_assert_str_eq(stored(client), "f/on/ @-1 5 4+1 0=0; ");
    flush(client);
    ck_assert_str_eq(stored(client), "f/on/ @-1 8 7+1 0=0; ");
    ck_assert_str_eq(own(client), "f/on/ @-1 7 7+0 0=0; ");
    flagver_close(client);
}
END_TEST

/* ---- damage ---- */

static const struct damage {
    const char *sql;
    int code;
    const char *words;
} damages[] = {
    { "UPDATE flagver_keyed SET value = x'' WHERE space = 'track'", FLAGVER_ECORRUPT,
      "what was tracked is malformed" },
    { "UPDATE flagver_keyed SET value = x'ff01' WHERE space = 'track'", FLAGVER_ESCHEMA,
      "was written by a newer version" },
    { "UPDATE flagver_keyed SET value = substr(value, 1, length(value) - 1) WHERE space = 'track'",
      FLAGVER_ECORRUPT, "what was tracked is malformed" },
    { "UPDATE flagver_keyed SET value = CAST(value || x'00' AS BLOB) WHERE space = 'track'",
      FLAGVER_ECORRUPT, "what was tracked is malformed" },
};

/* What no flush has written would be told to scrapers, and looked for by guards. */
static const char *const strangers[] = {
    "key = 'ffffffff' || substr(key, 9)", /* an hour beyond all times */
    "key = '0x078000' || substr(key, 9)",
    "key = substr(key, 1, 9) || char(10) || substr(key, 11)", /* the flag */
    "key = substr(key, 1, 9) || CAST(x'ff' AS TEXT) || substr(key, 11)",
    "value = CAST(replace(value, 'v', x'0a') AS BLOB)", /* the variant */
    "value = CAST(replace(value, 'v', x'00') AS BLOB)",
    "value = CAST(replace(value, 'v', x'ff') AS BLOB)",
};

START_TEST(a_row_that_no_flush_writes_is_told)
{
    flagver_client *client = open_clocked(SHARED_KINDS);
    char sql[200];
    sqlite3 *db = NULL;

    outcomes(client, "f", "v", 1, 0);
    flush(client);
    snprintf(sql, sizeof sql, "UPDATE flagver_keyed SET %s WHERE space = 'track'", strangers[_i]);
    ck_assert_int_eq(sqlite3_open(strchr(store_uri(SHARED_KINDS), ':') + 1, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
    assert_fails(FLAGVER_ECORRUPT, flagver_track_report(client, NULL, tell, NULL, &error));
    assert_words("of what was tracked is malformed");
    flagver_close(client);
}
END_TEST

START_TEST(a_row_that_is_damaged_is_told_and_not_written_over)
{
    const struct damage *damage = &damages[_i];
    flagver_client *client = open_clocked(SHARED_KINDS);
    sqlite3 *db = NULL;

    outcomes(client, "f", "v", 1, 0);
    flush(client);
    ck_assert_int_eq(sqlite3_open(strchr(store_uri(SHARED_KINDS), ':') + 1, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, damage->sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
    assert_fails(damage->code, flagver_track_report(client, NULL, tell, NULL, &error));
    assert_words(damage->words);
    outcomes(client, "f", "v", 1, 0);
    assert_fails(damage->code, flagver_track_flush(client, &error));
    ck_assert_str_eq(own(client), "f/v/ @-1 0 2+0 0=0; ");
    flagver_close(client);
}
END_TEST

static Suite *track_suite(void)
{
    Suite *suite = suite_create("track");
    TCase *all = add_store_tcase(suite, "on every store"),
          *shared = add_store_tcase(suite, "shared"), *once = add_store_tcase(suite, "once"),
          *many = add_store_tcase(suite, "many"), *forks = add_store_tcase(suite, "fork");

    tcase_add_loop_test(all, what_is_served_and_what_comes_of_it_is_added_to_the_store, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, an_event_is_counted_by_itself_and_for_each_flag_that_names_it, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, sums_are_kept_by_hour_and_told_by_day_or_as_one, 0, STORE_KINDS);
    tcase_add_loop_test(all, one_flag_is_found_among_many_in_many_hours, 0, STORE_KINDS);
    tcase_add_loop_test(all, old_hours_are_forgotten_whole, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_flush_leaves_no_leaves_and_changes_no_flags, 0, STORE_KINDS);
    tcase_add_loop_test(all, tenants_have_sums_of_their_own, 0, STORE_KINDS);
    tcase_add_loop_test(all, the_longest_names_are_kept, 0, STORE_KINDS);

    tcase_add_loop_test(shared, sums_of_several_clients_come_together, SHARED_KINDS, STORE_KINDS);
    tcase_add_loop_test(shared, what_is_left_is_flushed_when_the_client_is_closed, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(shared, a_client_in_the_background_flushes_by_itself, SHARED_KINDS,
                        STORE_KINDS);
    tcase_set_tags(forks, "fork"); /* valgrind leaves it out: what a child leaves is its parent's */
    tcase_add_loop_test(forks, a_child_counts_from_zero_and_the_parent_flushes_its_own,
                        SHARED_KINDS + 1, STORE_KINDS);

    tcase_add_test(once, an_event_follows_the_flags_as_they_change);
    tcase_add_test(once, tracking_an_event_is_no_evaluation);
    tcase_add_test(once, evaluations_that_end_in_an_error_are_of_no_variant);
    tcase_add_test(once, the_name_of_a_variant_outlives_what_it_came_of);
    tcase_add_test(once, latencies_have_quantiles);
    tcase_add_test(once, rates_are_of_outcomes);
    tcase_add_test(once, values_stay_numbers);
    tcase_add_loop_test(once, a_flush_that_fails_is_made_up_for, 0, 5);
    tcase_add_loop_test(once, what_is_in_doubt_is_not_added_twice, 0, 2);
    tcase_add_test(once, what_is_in_doubt_for_days_is_given_up);
    tcase_add_test(once, a_store_that_is_away_is_not_waited_for_at_the_end);
    tcase_add_test(once, who_does_not_want_it_is_not_flushed_at_the_end);
    tcase_add_test(once, trouble_in_the_background_is_logged_once_and_so_is_its_end);
    tcase_add_test(once, what_is_given_up_in_the_background_is_logged);
    tcase_add_test(once, the_background_waits_for_no_flush_of_the_host);
    tcase_add_loop_test(once, what_is_no_name_or_number_is_refused, 0, COUNT(faults));
    tcase_add_test(once, misuse_is_refused);
    tcase_add_loop_test(once, a_row_that_is_damaged_is_told_and_not_written_over, 0,
                        COUNT(damages));
    tcase_add_loop_test(once, a_row_that_no_flush_writes_is_told, 0, COUNT(strangers));

    tcase_set_tags(many, "slow"); /* valgrind leaves it out */
    tcase_add_loop_test(many, more_is_forgotten_than_goes_at_once, 0, STORE_KINDS);
    tcase_add_test(many, there_is_an_end_to_what_waits_to_be_flushed);
    tcase_add_test(many, what_the_client_has_counted_goes_on_when_much_else_was);
    return suite;
}

int main(void)
{
    return run_store_suite(track_suite());
}
