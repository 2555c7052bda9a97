/*
 * The PostgreSQL driver where reads go to a standby: what was seen stays.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>

#include "cluster.h"
#include "unit/postgres_store.h"

static struct cluster *primary, *standby;

static flagver_store *open_both(void)
{
    flagver_driver_config how = { .size = sizeof how, .wait_ms = WAIT_MS };
    flagver_store *opened;
    char path[700];

    snprintf(path, sizeof path, "//" ROLE "@/one?host=%s,%s&port=%d,%d&flagver_reads=standby",
             cluster_directory(primary), cluster_directory(standby), cluster_port(primary),
             cluster_port(standby));
    how.path = path;
    assert_ok(driver->open(&how, &opened, &error));
    return opened;
}

static void start(void)
{
    flagver_driver_config how = { .size = sizeof how, .wait_ms = WAIT_MS, .no_upgrade = 1 };

    if (!cluster_possible())
        cluster_skip();
    primary = cluster_start(NULL);
    cluster_database(primary, "one", NULL);
    how.path = strchr(cluster_uri(primary, "one", "owner"), ':') + 1;
    assert_ok(driver->open(&how, &store, &error));
    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    driver->close(store);
    cluster_sql(primary, "one", "SELECT flagver.admit('" ROLE "')");
    standby = cluster_standby(primary, NULL);
    store = open_both();
    put(store, "a", "1");
    cluster_wait_standby(primary, standby);
}

static void end(void)
{
    driver->close(store);
    cluster_stop(standby);
    cluster_stop(primary);
}

/* What the server has got is not shown to anybody there from now on. */
static void hold_standby(void)
{
    cluster_sql(standby, "postgres", "SELECT pg_wal_replay_pause()");
}

static void let_standby_go_on(void)
{
    cluster_sql(standby, "postgres", "SELECT pg_wal_replay_resume()");
    cluster_wait_standby(primary, standby);
}

static bool reads_standby(void)
{
    flagver_driver_txn *txn = reading();
    bool is = txn->conn->standby;

    driver->rollback(txn);
    return is;
}

START_TEST(what_was_seen_once_is_never_taken_back)
{
    ck_assert_uint_eq(changes(store), 1);
    ck_assert(reads_standby());
    hold_standby();
    put(store, "a", "2");
    ck_assert_uint_eq(changes(store), 2); /* a flag that was flipped is live at once */
    ck_assert_str_eq(current(store, "a"), "2");
    ck_assert(!reads_standby());
    let_standby_go_on();
    ck_assert_str_eq(current(store, "a"), "2");
    ck_assert(reads_standby());
}
END_TEST

START_TEST(who_has_seen_nothing_newer_reads_what_the_standby_has)
{
    flagver_store *other;

    hold_standby();
    other = open_both();
    ck_assert_uint_eq(changes(other), 1);
    put(store, "a", "2");
    ck_assert_str_eq(current(other, "a"), "1");
    let_standby_go_on();
    driver->close(other);
}
END_TEST

/* A standby says what there is, unless it has less than was seen. */
START_TEST(while_the_primary_is_away_the_standby_answers_if_it_has_everything)
{
    flagver_driver_txn *txn;
    uint64_t size;

    ck_assert_uint_eq(changes(store), 1);
    cluster_end(primary, SIGQUIT);
    ck_assert_uint_eq(changes(store), 1);
    ck_assert_str_eq(current(store, "a"), "1");
    cluster_restart(primary);
    put(store, "a", "2");
    cluster_wait_standby(primary, standby);
    hold_standby();
    put(store, "a", "3");
    ck_assert_uint_eq(changes(store), 3);
    cluster_end(primary, SIGQUIT);
    assert_fails(FLAGVER_EUNAVAILABLE, driver->changes(store, text("default"), &size, &error));
    assert_fails(FLAGVER_EUNAVAILABLE,
                 driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, &error));
    cluster_restart(primary);
    ck_assert_uint_eq(changes(store), 3);
    let_standby_go_on();
    ck_assert(reads_standby());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres standby");
    TCase *tcase = tcase_create("standby");

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_test(tcase, what_was_seen_once_is_never_taken_back);
    tcase_add_test(tcase, who_has_seen_nothing_newer_reads_what_the_standby_has);
    tcase_add_test(tcase, while_the_primary_is_away_the_standby_answers_if_it_has_everything);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
