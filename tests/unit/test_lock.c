/*
 * Locking many series at once: which calls of the driver's it takes, in which order, and
 * that nothing is different afterwards.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"
#include "util/fail.h"

/* ---- a driver that remembers what it is asked to lock ---- */

#define SPY_CALLS 8
#define SPY_TEXT 256

static struct {
    unsigned calls, busy;            /* so many of those to come find them locked */
    bool tried[SPY_CALLS];           /* try_only */
    char names[SPY_CALLS][SPY_TEXT]; /* "phase/subject phase/subject" */
} spied;

static flagver_driver spy;

static void note_name(char *names, const flagver_series_row *row)
{
    size_t length = strlen(names);

    snprintf(names + length, SPY_TEXT - length, "%s%.*s/%.*s", length ? " " : "",
             (int)row->phase.length, (const char *)row->phase.data, (int)row->subject.length,
             (const char *)row->subject.data);
}

static int spy_lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
                    flagver_error *err)
{
    size_t i;

    ck_assert_uint_lt(spied.calls, SPY_CALLS);
    spied.tried[spied.calls] = try_only != 0;
    spied.names[spied.calls][0] = '\0';
    for (i = 0; i < count; i++)
        note_name(spied.names[spied.calls], &series[i]);
    spied.calls++;
    if (try_only && spied.busy > 0) {
        spied.busy--;
        return fv_fail(err, FLAGVER_EBUSY, "another one has locked it");
    }
    return fv_sqlite_driver.lock(txn, series, count, try_only, err);
}

static flagver_client *open_spy(void)
{
    const flagver_options options = quiet_options();
    flagver_client *client = NULL;
    char uri[160];

    spy = fv_sqlite_driver;
    spy.name = "spy";
    spy.lock = spy_lock;
    assert_ok(flagver_driver_register(&spy, &error));
    snprintf(uri, sizeof uri, "spy:%s", file_named("store"));
    assert_ok(flagver_open(uri, &options, &client, &error));
    memset(&spied, 0, sizeof spied);
    return client;
}

#define ask(number, try_only, series)                    \
    do {                                                 \
        ck_assert_uint_gt(spied.calls, number);          \
        ck_assert_int_eq(spied.tried[number], try_only); \
        ck_assert_str_eq(spied.names[number], series);   \
    } while (0)

#define lock_flags(txn, ...)                                                        \
    flagver_txn_lock(txn, FLAGVER_PHASE_FLAG, (const char *const[]){ __VA_ARGS__ }, \
                     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), &error)

/* ---- what the driver is asked ---- */

START_TEST(many_are_locked_in_one_call_and_in_order)
{
    flagver_client *client = open_spy();
    flagver_txn *txn = begin(client);

    assert_ok(lock_flags(txn, "c", "a", "b-longer", "b", "B"));
    ck_assert_uint_eq(spied.calls, 1);
    ask(0, false,
        "flagver.flag/B flagver.flag/a flagver.flag/b flagver.flag/b-longer "
        "flagver.flag/c");
    put_flag_in(txn, "b", SIMPLE);
    put_flag_in(txn, "c", SIMPLE);
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(spied.calls, 1);
    flagver_close(client);
}
END_TEST

START_TEST(what_is_named_twice_or_locked_already_is_asked_for_once)
{
    flagver_client *client = open_spy();
    flagver_txn *txn = begin(client);

    assert_ok(lock_flags(txn, "b", "a", "b", "b", "a"));
    ask(0, false, "flagver.flag/a flagver.flag/b");
    assert_ok(lock_flags(txn, "a", "b"));
    ck_assert_uint_eq(spied.calls, 1);
    assert_ok(lock_flags(txn, "b", "c", "a"));
    ask(1, false, "flagver.flag/c");
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

START_TEST(what_comes_before_something_locked_is_only_tried)
{
    flagver_client *client = open_spy();
    flagver_txn *txn = begin(client);

    put_flag_in(txn, "m", SIMPLE);
    ask(0, false, "flagver.flag/m");
    assert_ok(lock_flags(txn, "z", "a", "n", "b"));
    ask(1, true, "flagver.flag/a flagver.flag/b");
    ask(2, false, "flagver.flag/n flagver.flag/z");
    put_flag_in(txn, "y", SIMPLE);
    ask(3, true, "flagver.flag/y");
    put_segment_in(txn, "a", "{}");
    ask(4, false, "flagver.segment/a");
    put_flag_in(txn, "zz", SIMPLE);
    ask(5, true, "flagver.flag/zz");
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

static int put_m_a_b(void *data, flagver_txn *txn, flagver_error *err)
{
    static const char plain[] = "{\"type\":\"boolean\"}";
    int *runs = data, r;

    ++*runs;
    r = flagver_flag_put(txn, "m", plain, strlen(plain), NULL, NULL, err);
    if (r == 0)
        r = flagver_flag_put(txn, "a", plain, strlen(plain), NULL, NULL, err);
    if (r == 0)
        r = flagver_flag_put(txn, "b", plain, strlen(plain), NULL, NULL, err);
    return r;
}

START_TEST(who_was_turned_away_asks_for_all_of_it_first)
{
    flagver_client *client = open_spy();
    int runs = 0;

    spied.busy = 2;
    assert_ok(flagver_txn_run(client, &alice, NULL, put_m_a_b, &runs, &error));
    ask(0, false, "flagver.flag/m");
    ask(1, true, "flagver.flag/a");
    ask(2, false, "flagver.flag/a flagver.flag/m");
    ask(3, true, "flagver.flag/b");
    ask(4, false, "flagver.flag/a flagver.flag/b flagver.flag/m");
    ck_assert_uint_eq(spied.calls, 5);
    ck_assert_int_eq(runs, 3);
    flagver_close(client);
}
END_TEST

START_TEST(nothing_to_lock_asks_for_nothing)
{
    flagver_client *client = open_spy();
    flagver_txn *txn = begin(client);

    assert_ok(flagver_txn_lock(txn, FLAGVER_PHASE_FLAG, NULL, 0, &error));
    ck_assert_uint_eq(spied.calls, 0);
    commit(txn);
    flagver_close(client);
}
END_TEST

static const char definitions[] =
    "{'flags':{'c':{'type':'boolean'},'a':{'type':'boolean'},'b':{'type':'boolean',"
    "'rules':[{'if':{'segment':'s'},'serve':'on'}]}},'segments':{'s':{'include':['u']}}}";

START_TEST(a_file_of_flags_is_applied_with_one_lock)
{
    flagver_client *client = open_spy();
    flagver_txn *txn = begin(client);
    char *json = quoted(definitions);
    int written = flagver_flags_apply(txn, json, strlen(json), NULL, false, NULL, &error);

    ck_assert_msg(written == 4, "%d %s", written, error.message);
    ck_assert_uint_eq(spied.calls, 1);
    ask(0, false, "flagver.flag/a flagver.flag/b flagver.flag/c flagver.segment/s");
    commit(txn);
    free(json);
    flagver_close(client);
}
END_TEST

/* ---- what comes of it ---- */

START_TEST(locked_series_are_as_they_were)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    put_flag(client, "b", SIMPLE);
    put_flag(client, "b", SHARE(1));
    delete_flag(client, "b");
    put_flag(client, "d", SIMPLE);
    txn = begin(client);
    assert_ok(lock_flags(txn, "d", "c", "b", "a"));
    put_flag_in(txn, "b", SHARE(2));
    put_flag_in(txn, "c", SIMPLE);
    assert_ok(flagver_flag_ramp(txn, "d", 5, NULL, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_ramp(txn, "a", 5, NULL, NULL, &error));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 0);
    ck_assert_uint_eq(flag_no(client, "b"), 4);
    ck_assert_uint_eq(flag_no(client, "c"), 1);
    ck_assert_uint_eq(flag_no(client, "d"), 2);
    flagver_close(client);
}
END_TEST

START_TEST(locking_alone_changes_nothing)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_with_key(client, "key");

    assert_ok(lock_flags(txn, "a", "b"));
    commit(txn);
    ck_assert_uint_eq(leaves_of(client), 0);
    ck_assert_uint_eq(flag_no(client, "a"), 0);
    put_flag(client, "a", SIMPLE);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    flagver_close(client);
}
END_TEST

/* With or without the lock it is the same work. */
START_TEST(a_key_is_found_again_whatever_is_locked)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_with_key(client, "key");

    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    txn = begin_with_key(client, "key");
    assert_ok(lock_flags(txn, "b", "a"));
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_thousand_records_are_locked_at_once)
{
    static char names[1000][8];
    static const char *subjects[1000];
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    int i;

    for (i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "r%d", i * 7 % 1000);
        subjects[i] = names[i];
    }
    assert_ok(flagver_txn_lock(txn, FLAGVER_PHASE_FLAG, subjects, 1000, &error));
    put_flag_in(txn, "r999", SIMPLE);
    put_flag_in(txn, "r0", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "r999"), 1);
    ck_assert_uint_eq(flag_no(client, "r0"), 1);
    flagver_close(client);
}
END_TEST

/* ---- what is not there ---- */

/* Where others can write meanwhile, which PostgreSQL lets them. */
START_TEST(what_was_not_there_is_not_made_meanwhile)
{
    flagver_client *client = open_store(_i), *other = open_store(_i);
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_enable(txn, "a", NULL, NULL, &error));
    put_flag_in(txn, "b", SIMPLE);
    put_flag(other, "a", SIMPLE);
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    assert_words("meanwhile");
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "b"), 0);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(what_is_still_not_there_is_in_nobodys_way)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_enable(txn, "a", NULL, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_enable(txn, "c", NULL, NULL, &error));
    put_flag_in(txn, "b", SIMPLE);
    put_flag_in(txn, "c", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 0);
    ck_assert_uint_eq(flag_no(client, "b"), 1);
    ck_assert_uint_eq(flag_no(client, "c"), 1);
    flagver_close(client);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(malformed_names_are_refused_and_lock_nothing)
{
    flagver_client *client = open_spy();
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_EINVAL, lock_flags(txn, "a", ""));
    assert_words("flag key is 0 bytes");
    assert_fails(FLAGVER_EINVAL, lock_flags(txn, "a", NULL));
    assert_fails(FLAGVER_EINVAL, lock_flags(txn, "a\nb"));
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_lock(txn, "", (const char *const[]){ "a" }, 1, &error));
    assert_words("phase");
    assert_fails(FLAGVER_EINVAL, flagver_txn_lock(txn, FLAGVER_PHASE_FLAG, NULL, 1, &error));
    assert_fails(FLAGVER_EINVAL, lock_flags(NULL, "a"));
    ck_assert_uint_eq(spied.calls, 0);
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_lock_that_is_busy_ends_the_transaction)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn = begin(client);

    put_flag_in(txn, "m", SIMPLE);
    flagver_fault_fail(fault, FLAGVER_FAULT_LOCK, 1, FLAGVER_EBUSY, false);
    assert_fails(FLAGVER_EBUSY, lock_flags(txn, "a", "z"));
    assert_fails(FLAGVER_EBUSY, try_put(txn, FLAGVER_PHASE_FLAG, "z", SIMPLE, NULL, NULL));
    assert_fails(FLAGVER_EBUSY, lock_flags(txn, "z"));
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "m"), 0);
    flagver_close(client);
}
END_TEST

START_TEST(a_transaction_that_has_ended_locks_nothing)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    assert_ok(flagver_txn_commit(txn, &error));
    assert_fails(FLAGVER_EINVAL, lock_flags(txn, "a"));
    assert_words("ended");
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

static Suite *lock_suite(void)
{
    Suite *suite = suite_create("lock");
    TCase *tcase;

    tcase = add_store_tcase(suite, "driver");
    tcase_add_test(tcase, many_are_locked_in_one_call_and_in_order);
    tcase_add_test(tcase, what_is_named_twice_or_locked_already_is_asked_for_once);
    tcase_add_test(tcase, what_comes_before_something_locked_is_only_tried);
    tcase_add_test(tcase, who_was_turned_away_asks_for_all_of_it_first);
    tcase_add_test(tcase, nothing_to_lock_asks_for_nothing);
    tcase_add_test(tcase, a_file_of_flags_is_applied_with_one_lock);

    tcase = add_store_tcase(suite, "series");
    tcase_add_loop_test(tcase, locked_series_are_as_they_were, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, locking_alone_changes_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_key_is_found_again_whatever_is_locked, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_thousand_records_are_locked_at_once, 0, STORE_KINDS);

    tcase = add_store_tcase(suite, "absence");
    tcase_add_loop_test(tcase, what_was_not_there_is_not_made_meanwhile, POSTGRES_KIND,
                        STORE_KINDS);
    tcase_add_loop_test(tcase, what_is_still_not_there_is_in_nobodys_way, 0, STORE_KINDS);

    tcase = add_store_tcase(suite, "refusals");
    tcase_add_test(tcase, malformed_names_are_refused_and_lock_nothing);
    tcase_add_test(tcase, a_lock_that_is_busy_ends_the_transaction);
    tcase_add_loop_test(tcase, a_transaction_that_has_ended_locks_nothing, 0, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(lock_suite());
}
