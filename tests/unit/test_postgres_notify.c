/*
 * The PostgreSQL driver: telling others that a log has grown, and hearing it.
 */
#define _POSIX_C_SOURCE 200809L /* poll() */
#include <poll.h>

#include "cluster.h"
#include "unit/postgres_store.h"

static PGconn *ear; /* of somebody who has nothing to do with us */

static void start(void)
{
    set_up();
    ear = connect_as("postgres");
    assert_run(ear, "LISTEN flagver");
}

static void end(void)
{
    PQfinish(ear);
    tear_down();
}

static bool is_readable(int descriptor, int wait_ms)
{
    struct pollfd watched = { .fd = descriptor, .events = POLLIN };

    return poll(&watched, 1, wait_ms) == 1;
}

/* The next notification, waited for; to be freed. */
static PGnotify *hear(void)
{
    PGnotify *heard;

    while (!(heard = PQnotifies(ear))) {
        ck_assert(is_readable(PQsocket(ear), -1));
        ck_assert(PQconsumeInput(ear));
    }
    return heard;
}

static size_t count_heard(void)
{
    PGnotify *heard;
    size_t n;

    assert_run(ear, "SELECT 1"); /* what was sent before has come by then */
    for (n = 0; (heard = PQnotifies(ear)); n++)
        PQfreemem(heard);
    return n;
}

START_TEST(a_commit_is_told_without_a_word_of_the_tenant)
{
    PGnotify *heard;

    put(store, "a", "1");
    heard = hear();
    ck_assert_str_eq(heard->relname, "flagver");
    ck_assert_str_eq(heard->extra, "");
    PQfreemem(heard);
}
END_TEST

START_TEST(what_leaves_no_leaf_is_not_told)
{
    flagver_driver_txn *txn = writing();
    struct record record;

    start_record(txn, &record, "a", "1");
    assert_ok(driver->apply(txn, record.changes, record.count, &error));
    assert_ok(driver->commit(txn, &error));
    txn = writing();
    put_in(txn, "b", "1");
    driver->rollback(txn);
    ck_assert_uint_eq(count_heard(), 0);
}
END_TEST

/* The last one counts: what is kept back is told with a later poll. */
START_TEST(nothing_stays_untold)
{
    char body[16];
    int i;

    for (i = 0; i < 20; i++) {
        snprintf(body, sizeof body, "%d", i);
        put(store, "a", body);
    }
    ck_assert_uint_le(count_heard(), 20);
    put(store, "a", "first");
    count_heard();
    put(store, "a", "last"); /* told at once, or kept back */
    while (!count_heard())
        changes(store);
}
END_TEST

START_TEST(another_store_hears_it)
{
    flagver_store *other = open_as(ROLE, WAIT_MS);
    int descriptor = driver->watch_fd(other), round;

    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(driver->watch_fd(other), descriptor);
    for (round = 1; round <= 3; round++) {
        do
            changes(other); /* as after its start: all is heard */
        while (is_readable(descriptor, 0));
        put(store, "a", "1");
        while (!is_readable(descriptor, 10))
            changes(store); /* until it is time for another notification */
        ck_assert_uint_eq(changes(other), (unsigned)round);
    }
    driver->close(other);
}
END_TEST

static const char end_listeners[] =
    "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
    " WHERE query = 'LISTEN flagver' AND usename = '" ROLE "' AND datname = current_database()";

static void hear_all(flagver_store *other)
{
    do
        changes(other);
    while (is_readable(driver->watch_fd(other), 0));
}

/* Whoever does nothing but watch is called for each step of it. */
static void lose_listener(flagver_store *other)
{
    int descriptor = driver->watch_fd(other), pid = PQbackendPID(other->listener->pq);

    hear_all(other);
    ck_assert_str_eq(answer(end_listeners), "1");
    do {
        ck_assert(is_readable(descriptor, -1));
        changes(other);
    } while (!other->listener || PQbackendPID(other->listener->pq) == pid);
    ck_assert_int_eq(driver->watch_fd(other), descriptor);
}

START_TEST(a_listener_that_is_lost_comes_back_under_the_same_descriptor)
{
    flagver_store *other = open_as(ROLE, WAIT_MS);
    int descriptor = driver->watch_fd(other), round;

    for (round = 0; round < 2; round++) {
        lose_listener(other);
        ck_assert(is_readable(descriptor, -1)); /* for what was not heard meanwhile */
        hear_all(other);
        put(store, "a", "1");
        while (!is_readable(descriptor, 10))
            changes(store);
    }
    driver->close(other);
}
END_TEST

START_TEST(who_is_forked_off_does_not_disturb_the_listener)
{
    flagver_store *other = open_as(ROLE, WAIT_MS);
    int ends[2];
    char byte;

    ck_assert_int_ge(driver->watch_fd(other), 0);
    ck_assert_int_eq(pipe(ends), 0);
    if (fork() == 0) { /* it keeps the socket open until we are done */
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) < 0);
    }
    lose_listener(other);
    hear_all(other); /* the old socket does not call for ever */
    close(ends[0]);
    close(ends[1]);
    driver->close(other);
}
END_TEST

START_TEST(behind_a_pooler_nothing_is_heard_but_told)
{
    struct pooler *pooler;
    flagver_driver_config how = { .size = sizeof how, .wait_ms = WAIT_MS };
    flagver_store *pooled;

    if (!pooler_possible())
        pooler_skip();
    pooler = pooler_start(cluster_shared(), NULL);
    how.path = strchr(pooler_uri(pooler, database, ROLE), ':') + 1;
    assert_ok(driver->open(&how, &pooled, &error));
    ck_assert_int_eq(driver->watch_fd(pooled), -1);
    put(pooled, "a", "1");
    PQfreemem(hear());
    driver->close(pooled);
    pooler_stop(pooler);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres notify");
    TCase *tcase = tcase_create("notify");
    int r;

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_test(tcase, a_commit_is_told_without_a_word_of_the_tenant);
    tcase_add_test(tcase, what_leaves_no_leaf_is_not_told);
    tcase_add_test(tcase, nothing_stays_untold);
    tcase_add_test(tcase, another_store_hears_it);
    tcase_add_test(tcase, a_listener_that_is_lost_comes_back_under_the_same_descriptor);
    tcase_add_test(tcase, who_is_forked_off_does_not_disturb_the_listener);
    tcase_add_test(tcase, behind_a_pooler_nothing_is_heard_but_told);
    suite_add_tcase(suite, tcase);

    prepare_cluster();
    r = run_suite(suite);
    clean_cluster();
    return r;
}
