/*
 * Guards of schedules in a store: what was tracked trips them, and the flag goes back, once, in a
 * version that says why.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "records.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "flagver/track.h"
#include "waiting.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define START INT64_C(1772323200000) /* 2026-03-01T00:00:00Z, the first step */

#define STEPS                                                 \
    "'steps':[{'at':'2026-03-01T00:00:00Z','percentage':10}," \
    "{'at':'2026-03-02T00:00:00Z','percentage':25},"          \
    "{'at':'2026-03-03T00:00:00Z','percentage':100}]"
#define GUARDED(guards) \
    "{'type':'boolean','beta':['bob'],'schedule':{" STEPS ",'guards':" guards "}}"
#define ERRORS GUARDED("{'error_rate':1}")
#define FROM_2020                                                                             \
    "{'type':'boolean','schedule':{'steps':[{'at':'2020-01-01T00:00:00Z','percentage':100}]," \
    "'guards':{'error_rate':5}}}"

#define TESTERS "{'role_in':['Tester','Test Lead','Test Manager']}"

/* ---- time ---- */

static int64_t now;

static int64_t clock_of(void *unused)
{
    (void)unused;
    return now;
}

static flagver_client *open_at(int kind, int64_t ms)
{
    flagver_options options = quiet_options();

    options.clock = clock_of;
    now = ms;
    return open_with(kind, &options);
}

/* ---- what was tracked ---- */

static void track(flagver_client *client, const char *variant, int succeeded, int failed, double ms)
{
    int i;

    for (i = 0; i < succeeded + failed; i++)
        assert_ok(flagver_track_outcome(client, "f", variant, i >= succeeded, (int64_t)(ms * 1e6),
                                        &error));
    assert_ok(flagver_track_flush(client, &error));
}

/* ---- what is told ---- */

static struct {
    int count;
    char flag[64], guard[64], why[FLAGVER_MESSAGE_SIZE];
    flagver_rollout_alert alert; /* its texts are gone */
} told;

static void note_alert(void *data, const flagver_rollout_alert *alert)
{
    ck_assert_ptr_eq(data, &told);
    told.count++;
    told.alert = *alert;
    snprintf(told.flag, sizeof told.flag, "%s", alert->flag);
    snprintf(told.guard, sizeof told.guard, "%s", alert->guard);
    snprintf(told.why, sizeof told.why, "%s", alert->why ? alert->why : "");
}

/* How many flags went back. */
static int look_as(flagver_client *client, const flagver_actor *actor)
{
    int r;

    memset(&told, 0, sizeof told);
    memset(&error, 0, sizeof error);
    r = flagver_flags_guard(client, actor, note_alert, &told, &error);
    ck_assert_msg(r >= 0, "flagver_flags_guard returned %d: %s", r, error.message);
    return r;
}

static int look(flagver_client *client)
{
    int r = look_as(client, &alice);

    assert_ok(flagver_client_refresh(client, &error));
    return r;
}

/* The flag's version in force has this number, text and note. */
static void assert_in_force(flagver_client *client, uint32_t no, const char *json, const char *note)
{
    char *expected = quoted(json);
    flagver_version *version;

    assert_ok(flagver_version_current(client, FLAGVER_PHASE_FLAG, "f", &version, &error));
    ck_assert_uint_eq(version->no, no);
    ck_assert_str_eq(version->payload, expected);
    if (note)
        ck_assert_str_eq(version->note, note);
    flagver_version_free(version);
    free(expected);
}

#define BACK_TO(percentage) "{'beta':['bob'],'percentage':" percentage ",'type':'boolean'}"

/* ---- going back ---- */

START_TEST(a_flag_goes_back_to_the_last_good_step)
{
    flagver_client *client = open_at(_i, START - DAY);

    put_flag(client, "f", ERRORS);
    put_flag(client, "other", SHARE(50));
    assert_ok(flagver_client_refresh(client, &error));
    now = START + DAY + HOUR;
    track(client, "on", 399, 13, -1);
    track(client, "off", 5000, 0, -1);

    ck_assert_int_eq(look(client), 1);
    assert_in_force(client, 2, BACK_TO("10"),
                    "guard error_rate: 3.155 % > 1 % of 412 since step 2 (25 %)");
    ck_assert_int_eq(told.count, 1);
    ck_assert_str_eq(told.flag, "f");
    ck_assert_str_eq(told.guard, "error_rate");
    ck_assert(told.alert.value > 3.1553 && told.alert.value < 3.1554);
    ck_assert(told.alert.limit == 1 && told.alert.from == 25 && told.alert.to == 10);
    ck_assert_uint_eq(told.alert.samples, 412);
    ck_assert(told.alert.acted);
    ck_assert_uint_eq(told.alert.no, 2);
    ck_assert_ptr_null(told.alert.why);

    ck_assert_int_eq(look(client), 0);
    ck_assert_int_eq(told.count, 0);
    ck_assert_uint_eq(flag_no(client, "other"), 1);
    flagver_close(client);
}
END_TEST

static const struct {
    const char *label, *json;
    int64_t at; /* after the first step */
    int on, on_failed, off;
    double on_ms, off_ms;
    const char *percentage, *note; /* NULL: all is well */
} cases[] = {
    { "to zero", GUARDED("{'back':'zero','error_rate':1}"), DAY, 0, 100, 0, -1, -1, "0",
      "guard error_rate: 100 % > 1 % of 100 since step 2 (25 %)" },
    { "to nobody, behind the first step", ERRORS, 0, 0, 100, 0, -1, -1, "0",
      "guard error_rate: 100 % > 1 % of 100 since step 1 (10 %)" },
    { "from everybody", ERRORS, 40 * DAY, 0, 100, 0, -1, -1, "25",
      "guard error_rate: 100 % > 1 % of 100 since step 3 (100 %)" },
    { "slow", GUARDED("{'p95_ms':500}"), DAY, 100, 0, 0, 1000, -1, "10", "guard p95_ms: " },
    { "slower", GUARDED("{'p95_ratio':1.2}"), DAY, 100, 0, 100, 20, 10, "10", "guard p95_ratio: " },
    { "as fast as asked for", GUARDED("{'p95_ms':500,'p95_ratio':1.2}"), DAY, 100, 0, 100, 400, 400,
      NULL, NULL },
    { "too few", ERRORS, DAY, 0, 99, 100, -1, -1, NULL, NULL },
    { "the other variant fails", GUARDED("{'error_rate':1,'samples':1}"), DAY, 100, 0, 0, -1, -1,
      NULL, NULL },
    { "before the first step", GUARDED("{'error_rate':1,'samples':1}"), -HOUR, 0, 100, 0, -1, -1,
      NULL, NULL },
    { "no guards", "{'type':'boolean','beta':['bob'],'schedule':{" STEPS "}}", DAY, 0, 100, 0, -1,
      -1, NULL, NULL },
    { "switched off",
      "{'enabled':false,'type':'boolean','beta':['bob'],'schedule':{" STEPS
      ",'guards':{'error_rate':1}}}",
      DAY, 0, 100, 0, -1, -1, NULL, NULL },
    { "linear, from between two steps",
      "{'type':'boolean','beta':['bob'],'schedule':{'interpolate':'linear'," STEPS
      ",'guards':{'error_rate':1}}}",
      DAY + DAY / 2, 0, 100, 0, -1, -1, "25",
      "guard error_rate: 100 % > 1 % of 100 since step 2 (62.5 %)" },
};

START_TEST(a_schedule_says_when_and_how_far)
{
    flagver_client *client = open_at(0, START - DAY);
    flagver_version *version;
    char text[128];

    put_flag(client, "f", cases[_i].json);
    assert_ok(flagver_client_refresh(client, &error));
    now = START + cases[_i].at;
    track(client, "on", cases[_i].on, cases[_i].on_failed, cases[_i].on_ms);
    track(client, "off", cases[_i].off, 0, cases[_i].off_ms);

    ck_assert_msg(look(client) == (cases[_i].note != NULL), "%s", cases[_i].label);
    ck_assert_uint_eq(flag_no(client, "f"), cases[_i].note ? 2 : 1);
    if (cases[_i].note) {
        snprintf(text, sizeof text, BACK_TO("%s"), cases[_i].percentage);
        assert_in_force(client, 2, text, NULL);
        assert_ok(flagver_version_current(client, FLAGVER_PHASE_FLAG, "f", &version, &error));
        ck_assert_msg(strncmp(version->note, cases[_i].note, strlen(cases[_i].note)) == 0, "%s: %s",
                      cases[_i].label, version->note);
        flagver_version_free(version);
    }
    flagver_close(client);
}
END_TEST

START_TEST(what_came_before_the_step_is_no_evidence)
{
    flagver_client *client = open_at(_i, START - DAY);

    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    now = START + DAY - MINUTE;
    track(client, "on", 0, 1000, -1);
    now = START + DAY + MINUTE;
    track(client, "on", 1000, 0, -1);
    ck_assert_int_eq(look(client), 0);
    now = START + DAY - MINUTE; /* who looks by then */
    ck_assert_int_eq(look(client), 1);
    flagver_close(client);
}
END_TEST

START_TEST(what_came_before_the_version_is_no_evidence)
{
    flagver_client *client = open_at(_i, START - DAY);

    put_flag(client, "f", ERRORS);
    now = START + HOUR;
    track(client, "on", 0, 1000, -1);
    now = START + 3 * HOUR;
    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_int_eq(look(client), 0);
    track(client, "on", 0, 1000, -1);
    ck_assert_int_eq(look(client), 1);
    flagver_close(client);
}
END_TEST

/* Else a flag that has done well for months could fail for days before it shows. */
START_TEST(what_is_older_than_a_week_is_no_evidence)
{
    flagver_client *client = open_at(_i, START - DAY);

    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    now = START + 3 * DAY;
    track(client, "on", 5000, 0, -1);
    now = START + 10 * DAY;
    track(client, "on", 70, 40, -1);
    ck_assert_int_eq(look(client), 0); /* of 5110 */
    now += HOUR;
    ck_assert_int_eq(look(client), 1);
    ck_assert_uint_eq(told.alert.samples, 110);
    flagver_close(client);
}
END_TEST

START_TEST(a_flag_that_is_forced_here_is_watched_for_the_others)
{
    flagver_client *client = open_at(0, START - DAY);

    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    assert_ok(flagver_flag_override(client, "f", "off", &error));
    now = START;
    track(client, "on", 0, 1000, -1);
    ck_assert_int_eq(look(client), 1);
    flagver_close(client);
}
END_TEST

/* ---- several ---- */

START_TEST(of_two_who_look_one_acts)
{
    flagver_client *first = open_at(_i, START - DAY), *second;

    put_flag(first, "f", ERRORS);
    assert_ok(flagver_client_refresh(first, &error));
    second = open_at(_i, START + DAY);
    track(first, "on", 100, 10, -1);
    track(second, "on", 100, 10, -1);

    ck_assert_int_eq(look_as(first, &alice), 1);
    ck_assert_uint_eq(told.alert.samples, 220);
    ck_assert_int_eq(look_as(second, &bob), 0); /* its flag is still the guarded one */
    ck_assert_int_eq(told.count, 0);
    assert_in_force(second, 2, BACK_TO("10"), NULL);
    flagver_close(first);
    flagver_close(second);
}
END_TEST

struct runner {
    pthread_t thread;
    flagver_client *client;
    int went_back, alerts, failures;
};

static void count_alert(void *data, const flagver_rollout_alert *alert)
{
    struct runner *runner = data;

    if (alert->acted)
        runner->alerts++;
    else
        runner->failures++;
}

static void *run_guard(void *data)
{
    struct runner *runner = data;
    flagver_error err;
    int i, r;

    for (i = 0; i < 5; i++) {
        r = flagver_flags_guard(runner->client, &alice, count_alert, runner, &err);
        if (r > 0)
            runner->went_back += r;
    }
    return NULL;
}

START_TEST(of_many_threads_one_acts)
{
    struct runner runners[4] = { { .client = open_at(_i, START - DAY) } };
    int i, went_back = 0, alerts = 0, failures = 0;

    put_flag(runners[0].client, "f", ERRORS);
    set_policy(runners[0].client, &dan, FLAGVER_PHASE_FLAG,
               "{'approval':{'rule':" TESTERS "},'emergency':'anyone'}");
    assert_ok(flagver_client_refresh(runners[0].client, &error));
    for (i = 1; i < 4; i++)
        runners[i].client = open_at(_i, START + DAY);
    track(runners[0].client, "on", 0, 100, -1);
    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&runners[i].thread, NULL, run_guard, &runners[i]), 0);
    for (i = 0; i < 4; i++) {
        pthread_join(runners[i].thread, NULL);
        went_back += runners[i].went_back;
        alerts += runners[i].alerts;
        failures += runners[i].failures;
    }
    ck_assert_int_eq(went_back, 1);
    ck_assert_int_eq(alerts, 1);
    ck_assert_int_eq(failures, 0);
    assert_in_force(runners[0].client, 2, BACK_TO("10"), NULL);
    for (i = 0; i < 4; i++)
        flagver_close(runners[i].client);
}
END_TEST

/* ---- approval ---- */

START_TEST(under_approval_it_is_an_emergency_of_whom_the_policy_trusts)
{
    const flagver_actor trusted = actor_of(&ann), stranger = actor_of(&dan);
    flagver_client *client = open_at(_i, START - DAY);
    flagver_version *version;

    put_flag(client, "f", ERRORS);
    set_policy(client, &dan, FLAGVER_PHASE_FLAG,
               "{'approval':{'rule':" TESTERS "},'emergency':{'role_in':['Tester']}}");
    assert_ok(flagver_client_refresh(client, &error));
    now = START + DAY;
    track(client, "on", 0, 100, -1);

    ck_assert_int_eq(look_as(client, &stranger), 0);
    ck_assert_int_eq(told.count, 1);
    ck_assert(!told.alert.acted);
    ck_assert_uint_eq(told.alert.no, 0);
    ck_assert(told.alert.from == 25 && told.alert.to == 10);
    ck_assert_msg(strstr(told.why, "dan"), "%s", told.why);
    ck_assert_uint_eq(flag_no(client, "f"), 1);

    /* Once is enough, until there is another version. */
    ck_assert_int_eq(look_as(client, &stranger), 0);
    ck_assert_int_eq(told.count, 0);

    ck_assert_int_eq(look_as(client, &trusted), 1);
    ck_assert_int_eq(told.count, 1);
    assert_ok(flagver_version_current(client, FLAGVER_PHASE_FLAG, "f", &version, &error));
    ck_assert(version->emergency);
    ck_assert_str_eq(version->created_by, "ann");
    ck_assert_str_eq(version->note, "guard error_rate: 100 % > 1 % of 100 since step 2 (25 %)");
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

START_TEST(another_version_is_told_of_again)
{
    const flagver_actor stranger = actor_of(&dan);
    flagver_client *client = open_at(0, START + DAY);
    uint32_t no;

    put_flag(client, "f", ERRORS);
    set_policy(client, &dan, FLAGVER_PHASE_FLAG, "{'approval':{'rule':" TESTERS "}}");
    assert_ok(flagver_client_refresh(client, &error));
    track(client, "on", 0, 100, -1);
    ck_assert_int_eq(look_as(client, &stranger), 0);
    ck_assert_int_eq(told.count, 1);

    done(client, ann, PUT, FLAGVER_PHASE_FLAG, "f", .json = ERRORS);
    for (no = 2; state_of(client, FLAGVER_PHASE_FLAG, "f", no) != FLAGVER_STATE_SUBMITTED; no++)
        ;
    done(client, ben, APPROVE, FLAGVER_PHASE_FLAG, "f", no);
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_int_eq(look_as(client, &stranger), 0);
    ck_assert_int_eq(told.count, 1);
    flagver_close(client);
}
END_TEST

/* ---- a store that fails ---- */

static const int failing[] = { FLAGVER_FAULT_SCAN, FLAGVER_FAULT_NEXT, FLAGVER_FAULT_BEGIN,
                               FLAGVER_FAULT_APPLY };

START_TEST(a_store_that_fails_is_an_error_and_the_next_look_acts)
{
    flagver_client *client = open_at(FAULT_KIND, START - DAY);

    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    now = START + DAY;
    track(client, "on", 0, 100, -1);
    memset(&told, 0, sizeof told);
    flagver_fault_fail(fault, failing[_i], 1, FLAGVER_EIO, true);
    assert_fails(FLAGVER_EIO, flagver_flags_guard(client, &alice, note_alert, &told, &error));
    ck_assert_int_eq(told.count, 0);
    flagver_fault_reset(fault);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    ck_assert_int_eq(look(client), 1);
    flagver_close(client);
}
END_TEST

static const int of_one[] = { FLAGVER_ECORRUPT, FLAGVER_ESCHEMA, FLAGVER_EBUSY };

/* Damaged, written by a newer version, or locked by somebody for long. */
START_TEST(one_that_fails_does_not_keep_the_others_from_going_back)
{
    flagver_client *client = open_at(FAULT_KIND, START - DAY);

    put_flag(client, "another", ERRORS);
    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    now = START + DAY;
    track(client, "on", 0, 100, -1);
    memset(&told, 0, sizeof told);
    flagver_fault_fail(fault, FLAGVER_FAULT_SCAN, 1, of_one[_i], false);
    assert_fails(of_one[_i], flagver_flags_guard(client, &alice, note_alert, &told, &error));
    ck_assert_int_eq(told.count, 1);
    ck_assert_str_eq(told.flag, "f");
    ck_assert_uint_eq(flag_no(client, "f"), 2);
    ck_assert_uint_eq(flag_no(client, "another"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(an_answer_that_was_lost_is_found)
{
    flagver_client *client = open_at(FAULT_KIND, START - DAY);

    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    now = START + DAY;
    track(client, "on", 0, 100, -1);
    flagver_fault_lie(fault, 1, _i ? FLAGVER_FAULT_DONE : FLAGVER_FAULT_NOT_DONE);
    ck_assert_int_eq(look(client), 1);
    ck_assert_uint_eq(told.alert.no, 2);
    assert_in_force(client, 2, BACK_TO("10"), NULL);
    flagver_close(client);
}
END_TEST

/* It may have gone back, and then no look will find anything to tell of. */
START_TEST(an_answer_that_stays_away_is_told_once)
{
    flagver_client *client = open_at(FAULT_KIND, START - DAY);
    int i;

    put_flag(client, "f", ERRORS);
    assert_ok(flagver_client_refresh(client, &error));
    now = START + DAY;
    track(client, "on", 0, 100, -1);
    memset(&told, 0, sizeof told);
    for (i = 0; i < 2; i++) {
        flagver_fault_lie(fault, 1, FLAGVER_FAULT_NOT_DONE);
        flagver_fault_fail(fault, FLAGVER_FAULT_OUTCOME, 1, FLAGVER_EUNAVAILABLE, true);
        flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, 4, FLAGVER_EUNAVAILABLE, true);
        assert_fails(FLAGVER_EUNKNOWN,
                     flagver_flags_guard(client, &alice, note_alert, &told, &error));
        flagver_fault_reset(fault);
        ck_assert_int_eq(told.count, 1);
        ck_assert(!told.alert.acted);
        ck_assert_str_eq(told.why, error.message);
    }
    ck_assert_int_eq(look(client), 1);
    ck_assert(told.alert.acted);
    ck_assert_uint_eq(told.alert.no, 2);
    flagver_close(client);
}
END_TEST

/* ---- by itself ---- */

/* Of several threads; the number in the high half is of those that were acted on. */
static atomic_int alerts;

static void add_alert(void *data, const flagver_rollout_alert *alert)
{
    flagver_client **client = data;

    atomic_fetch_add(&alerts, alert->acted ? 0x10001 : 1);
    flagver_flag_bool(*client, "f", NULL, false); /* it may use the client */
    flagver_client_refresh(*client, NULL);
}

/* The actor's texts are gone when it is open. */
static void open_guarded(int kind, flagver_client **ret_client)
{
    char id[] = "watchman", role[] = "Tester";
    const char *roles[] = { role };
    const flagver_actor actor = { .size = sizeof actor, .id = id, .roles = roles, .role_count = 1 };
    flagver_options options = quiet_options();

    options.background = 1;
    options.poll_ms = 10;
    options.flush_ms = 20;
    options.guardian = &actor;
    options.alert = add_alert;
    options.alert_data = ret_client;
    *ret_client = open_with(kind, &options);
    memset(id, 'x', sizeof id - 1);
    memset(role, 'x', sizeof role - 1);
}

static bool is_on(flagver_client *client)
{
    flagver_context *context = flagver_context_new("carol");
    bool on = flagver_flag_bool(client, "f", context, true);

    flagver_context_free(context);
    return on;
}

START_TEST(two_processes_that_watch_take_it_back_once)
{
    flagver_client *clients[2];
    flagver_version *version;
    int i, turn;

    atomic_store(&alerts, 0);
    open_guarded(_i, &clients[0]);
    set_policy(clients[0], &dan, FLAGVER_PHASE_FLAG,
               "{'approval':{'required':false},'emergency':{'role_in':['Tester']}}");
    put_flag(clients[0], "f", FROM_2020);
    set_policy(clients[0], &dan, FLAGVER_PHASE_FLAG,
               "{'approval':{'rule':" TESTERS "},'emergency':{'role_in':['Tester']}}");
    open_guarded(_i, &clients[1]);
    wait_until(is_on(clients[0]) && is_on(clients[1]));

    for (turn = 0; turn < 200; turn++)
        for (i = 0; i < 2; i++)
            assert_ok(flagver_track_outcome(clients[i], "f", "on", turn % 2, 1000, &error));
    wait_until(!is_on(clients[0]) && !is_on(clients[1]));
    wait_until(atomic_load(&alerts) >= 0x10001);

    /* What they flush after that is of the version before. */
    rest(100);
    ck_assert_int_eq(atomic_load(&alerts), 0x10001);
    assert_ok(flagver_version_current(clients[1], FLAGVER_PHASE_FLAG, "f", &version, &error));
    ck_assert_uint_eq(version->no, 2);
    ck_assert_str_eq(version->created_by, "watchman");
    ck_assert(version->emergency);
    ck_assert_msg(strstr(version->note, " % > 5 % of "), "%s", version->note);
    flagver_version_free(version);
    flagver_close(clients[0]);
    flagver_close(clients[1]);
}
END_TEST

static void note_words(void *data, int level, const char *message)
{
    (void)level;
    if (strstr(message, "guards of schedules are not watched"))
        atomic_fetch_or((atomic_int *)data, 1);
    if (strstr(message, "guards of schedules are watched again"))
        atomic_fetch_or((atomic_int *)data, 2);
}

START_TEST(that_nobody_watches_is_told_to_the_host)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "watchman" };
    flagver_options options = quiet_options();
    atomic_int words = 0;
    flagver_client *client, *writer = open_store(FAULT_KIND);

    put_flag(writer, "f", FROM_2020);
    options.background = 1;
    options.poll_ms = 10;
    options.flush_ms = 20;
    options.guardian = &actor;
    options.log = note_words;
    options.log_data = &words;
    client = open_with(FAULT_KIND, &options);
    flagver_fault_fail(fault, FLAGVER_FAULT_SCAN, 1, FLAGVER_EIO, true);
    wait_until(atomic_load(&words) == 1);
    flagver_fault_reset(fault);
    wait_until(atomic_load(&words) == 3);
    flagver_close(client);
    flagver_close(writer);
}
END_TEST

static void damage_what_was_tracked(int kind)
{
    sqlite3 *db = NULL;

    ck_assert_int_eq(sqlite3_open(strchr(store_uri(kind), ':') + 1, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "UPDATE flagver_keyed SET value = x'' WHERE space = 'track'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

/* What others have tracked is in the store all the same. */
START_TEST(who_cannot_flush_watches)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "watchman" };
    flagver_options options = quiet_options();
    flagver_client *client, *writer = open_store(SHARED_KINDS);

    put_flag(writer, "f", FROM_2020);
    assert_ok(flagver_track_outcome(writer, "damaged", "on", true, -1, &error));
    assert_ok(flagver_track_flush(writer, &error));
    damage_what_was_tracked(SHARED_KINDS);
    track(writer, "on", 0, 100, -1);
    options.background = 1;
    options.poll_ms = 10;
    options.flush_ms = 20;
    options.guardian = &actor;
    client = open_with(SHARED_KINDS, &options);
    assert_ok(flagver_track_outcome(client, "damaged", "on", true, -1, &error));
    wait_until(flag_no(writer, "f") == 2);
    assert_fails(FLAGVER_ECORRUPT, flagver_track_flush(client, &error));
    flagver_close(client);
    flagver_close(writer);
}
END_TEST

/* Where a flag can be locked alone: elsewhere nothing could be flushed, either. */
START_TEST(a_flag_that_others_have_locked_holds_up_no_refresh)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "watchman" };
    flagver_client *client, *writer = open_store(_i);
    flagver_options options = quiet_options();
    atomic_int words = 0;
    flagver_txn *txn;
    int i;

    put_flag(writer, "f", FROM_2020);
    options.background = 1;
    options.wait_ms = 900;
    options.poll_ms = 10;
    options.flush_ms = 20;
    options.guardian = &actor;
    options.log = note_words;
    options.log_data = &words;
    txn = begin(writer);
    put_flag_in(txn, "f", FROM_2020);
    client = open_with(_i, &options);
    for (i = 0; i < 100; i++)
        assert_ok(flagver_track_outcome(client, "f", "on", true, -1, &error));
    wait_until(atomic_load(&words) == 1);
    put_flag(writer, "another", SIMPLE);
    wait_until(flagver_flag_bool(client, "another", NULL, false));
    flagver_txn_free(txn);
    wait_until(flag_no(writer, "f") == 2);
    flagver_close(client);
    flagver_close(writer);
}
END_TEST

START_TEST(no_client_is_opened_for_a_guardian_that_cannot_be)
{
    const flagver_actor nobody = { .size = sizeof nobody, .id = "" };
    flagver_options options = quiet_options();
    flagver_client *client;

    options.guardian = &nobody;
    assert_fails(FLAGVER_EINVAL, flagver_open("memory:", &options, &client, &error));
    options.guardian = &alice;
    options.flush_ms = -1;
    assert_fails(FLAGVER_EINVAL, flagver_open("memory:", &options, &client, &error));
    assert_words("guardian looks after each flush, and flush_ms is -1");
}
END_TEST

static void ignore_alert(void *data, const flagver_rollout_alert *alert)
{
    (void)alert;
    atomic_fetch_add((atomic_int *)data, 1);
}

START_TEST(another_tenant_is_watched_like_the_first)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "watchman" };
    flagver_options options = quiet_options();
    flagver_client *client, *tenant;
    atomic_int count = 0;
    int i;

    options.background = 1;
    options.poll_ms = 10;
    options.flush_ms = 20;
    options.guardian = &actor;
    options.alert = ignore_alert;
    options.alert_data = &count;
    client = open_with(FAULT_KIND, &options);
    assert_ok(flagver_client_tenant(client, "acme", &tenant, &error));
    flagver_close(client);
    put_flag(tenant, "f", FROM_2020);
    for (i = 0; i < 100; i++)
        assert_ok(flagver_track_outcome(tenant, "f", "on", true, -1, &error));
    wait_until(flag_no(tenant, "f") == 2 && atomic_load(&count) == 1);
    flagver_close(tenant);
}
END_TEST

/* ---- misuse ---- */

START_TEST(it_needs_a_store_and_an_actor)
{
    const flagver_actor nobody = { .size = sizeof nobody, .id = "" };
    flagver_client *client;

    assert_fails(FLAGVER_EINVAL, flagver_flags_guard(NULL, &alice, NULL, NULL, &error));
    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_flags_guard(client, &alice, NULL, NULL, &error));
    flagver_close(client);
    client = open_store(0);
    assert_fails(FLAGVER_EINVAL, flagver_flags_guard(client, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flags_guard(client, &nobody, NULL, NULL, &error));
    ck_assert_int_eq(flagver_flags_guard(client, &alice, NULL, NULL, &error), 0);
    flagver_close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rollout_guard");
    TCase *tests = add_store_tcase(suite, "rollout_guard");

    tcase_add_loop_test(tests, a_flag_goes_back_to_the_last_good_step, 0, STORE_KINDS);
    tcase_add_loop_test(tests, a_schedule_says_when_and_how_far, 0,
                        (int)(sizeof cases / sizeof *cases));
    tcase_add_loop_test(tests, what_came_before_the_step_is_no_evidence, 0, STORE_KINDS);
    tcase_add_loop_test(tests, what_came_before_the_version_is_no_evidence, 0, STORE_KINDS);
    tcase_add_loop_test(tests, what_is_older_than_a_week_is_no_evidence, 0, STORE_KINDS);
    tcase_add_test(tests, a_flag_that_is_forced_here_is_watched_for_the_others);
    tcase_add_loop_test(tests, of_two_who_look_one_acts, SHARED_KINDS, STORE_KINDS);
    tcase_add_loop_test(tests, of_many_threads_one_acts, SHARED_KINDS, STORE_KINDS);
    tcase_add_loop_test(tests, under_approval_it_is_an_emergency_of_whom_the_policy_trusts, 0,
                        STORE_KINDS);
    tcase_add_test(tests, another_version_is_told_of_again);
    tcase_add_loop_test(tests, a_store_that_fails_is_an_error_and_the_next_look_acts, 0,
                        (int)(sizeof failing / sizeof *failing));
    tcase_add_loop_test(tests, one_that_fails_does_not_keep_the_others_from_going_back, 0,
                        (int)(sizeof of_one / sizeof *of_one));
    tcase_add_loop_test(tests, an_answer_that_was_lost_is_found, 0, 2);
    tcase_add_test(tests, an_answer_that_stays_away_is_told_once);
    tcase_add_loop_test(tests, two_processes_that_watch_take_it_back_once, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_test(tests, that_nobody_watches_is_told_to_the_host);
    tcase_add_test(tests, who_cannot_flush_watches);
    tcase_add_loop_test(tests, a_flag_that_others_have_locked_holds_up_no_refresh, POSTGRES_KIND,
                        STORE_KINDS);
    tcase_add_test(tests, no_client_is_opened_for_a_guardian_that_cannot_be);
    tcase_add_test(tests, another_tenant_is_watched_like_the_first);
    tcase_add_test(tests, it_needs_a_store_and_an_actor);
    return run_store_suite(suite);
}
