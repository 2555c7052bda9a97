/*
 * Inside the application's own transaction: its rows and our versions together.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, nanosleep */
#include "stores.h"

#include "flagver/sqlite.h"

#include <time.h>

/* ---- the application ---- */

static sqlite3 *open_app(void)
{
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(strchr(store_uri(SQLITE_KIND), ':') + 1, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
    char *words = NULL;
    int r = sqlite3_exec(db, sql, NULL, NULL, &words);

    ck_assert_msg(r == SQLITE_OK, "%s: %s", sql, words ? words : "");
    sqlite3_free(words);
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t answer;

    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

#define ORDERS "SELECT count(*) FROM orders"

static flagver_client *client;
static sqlite3 *app;

static void open_both(void)
{
    client = open_store(SQLITE_KIND);
    app = open_app();
    run_sql(app, "CREATE TABLE orders (name TEXT)");
}

static void close_both(void)
{
    ck_assert_int_eq(sqlite3_close(app), SQLITE_OK); /* nothing of ours is left on it */
    flagver_close(client);
}

static flagver_txn *enlist_with(const flagver_txn_options *options)
{
    flagver_txn *txn = NULL;

    assert_ok(flagver_txn_begin_on_sqlite(client, app, &alice, options, &txn, &error));
    return txn;
}

static flagver_txn *begin_with_order(void)
{
    run_sql(app, "BEGIN IMMEDIATE; INSERT INTO orders VALUES ('o')");
    return enlist_with(NULL);
}

/* ---- together ---- */

START_TEST(both_are_there_when_the_application_commits)
{
    flagver_txn *txn = begin_with_order();

    put_flag_in(txn, "f", VALUE(1));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 0); /* it is the application that commits */
    run_sql(app, "COMMIT");
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    ck_assert_int_eq(ask(app, ORDERS), 1);
    ck_assert_uint_eq(leaves_of(client), 2);
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_int_eq(flagver_flag_int(client, "f", NULL, 0), 1);
}
END_TEST

START_TEST(neither_is_there_when_the_application_rolls_back)
{
    flagver_txn *txn = begin_with_order();

    put_flag_in(txn, "f", VALUE(1));
    commit(txn);
    run_sql(app, "ROLLBACK");
    ck_assert_uint_eq(flag_no(client, "f"), 0);
    ck_assert_int_eq(ask(app, ORDERS), 0);
    ck_assert_uint_eq(leaves_of(client), 0);
    put_flag(client, "f", VALUE(2));
    ck_assert_uint_eq(flag_no(client, "f"), 1);
}
END_TEST

START_TEST(freeing_undoes_our_part_alone)
{
    flagver_txn *txn = begin_with_order();

    put_flag_in(txn, "f", VALUE(1));
    flagver_txn_free(txn);
    run_sql(app, "COMMIT");
    ck_assert_uint_eq(flag_no(client, "f"), 0);
    ck_assert_int_eq(ask(app, ORDERS), 1);
}
END_TEST

START_TEST(a_refusal_does_not_poison_the_applications_transaction)
{
    flagver_txn *txn = begin_with_order();

    assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_FLAG, "f", "{", NULL, NULL));
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_ramp(txn, "f", 5, NULL, NULL, &error));
    put_flag_in(txn, "f", VALUE(1));
    assert_fails(FLAGVER_EINVAL, flagver_flag_ramp(txn, "f", 500, NULL, NULL, &error));
    commit(txn);
    run_sql(app, "INSERT INTO orders VALUES ('another'); COMMIT");
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    ck_assert_int_eq(ask(app, ORDERS), 2);
}
END_TEST

START_TEST(one_comes_after_the_other_in_one_transaction)
{
    flagver_txn *txn = begin_with_order();

    put_flag_in(txn, "f", VALUE(1));
    commit(txn);
    txn = enlist_with(NULL);
    put_flag_in(txn, "f", VALUE(2));
    put_flag_in(txn, "g", VALUE(2));
    flagver_txn_free(txn);
    txn = enlist_with(NULL);
    put_flag_in(txn, "f", VALUE(3));
    commit(txn);
    run_sql(app, "COMMIT");
    ck_assert_uint_eq(flag_no(client, "f"), 2);
    ck_assert_uint_eq(flag_no(client, "g"), 0);
    ck_assert_uint_eq(leaves_of(client), 4);
}
END_TEST

START_TEST(a_transaction_of_nothing_leaves_nothing)
{
    flagver_txn *txn = begin_with_order();

    commit(txn);
    txn = enlist_with(NULL);
    flagver_txn_free(txn);
    run_sql(app, "COMMIT");
    ck_assert_int_eq(ask(app, ORDERS), 1);
    ck_assert_uint_eq(leaves_of(client), 0);
}
END_TEST

START_TEST(a_key_makes_it_harmless_here_too)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = "key" };
    flagver_txn *txn;
    int i;

    for (i = 0; i < 3; i++) {
        run_sql(app, "BEGIN IMMEDIATE; INSERT INTO orders VALUES ('o')");
        txn = enlist_with(&options);
        put_flag_in(txn, "f", VALUE(1));
        commit(txn);
        run_sql(app, i ? "COMMIT" : "ROLLBACK"); /* what was rolled back is not recorded */
    }
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    ck_assert_uint_eq(leaves_of(client), 2);
    ck_assert_int_eq(ask(app, ORDERS), 2);
}
END_TEST

START_TEST(the_connections_settings_stay_as_they_are)
{
    static const char *const settings[] = {
        "PRAGMA foreign_keys", "PRAGMA synchronous", "PRAGMA recursive_triggers",
        "PRAGMA query_only",   "PRAGMA cache_size",  "PRAGMA trusted_schema",
        "PRAGMA busy_timeout",
    };
    int64_t before[COUNT(settings)];
    flagver_txn *txn;
    int i;

    run_sql(app, "PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON");
    for (i = 0; i < COUNT(settings); i++)
        before[i] = ask(app, settings[i]);
    txn = begin_with_order();
    put_flag_in(txn, "f", VALUE(1));
    commit(txn);
    run_sql(app, "COMMIT");
    for (i = 0; i < COUNT(settings); i++)
        ck_assert_msg(ask(app, settings[i]) == before[i], "%s", settings[i]);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(there_has_to_be_an_open_transaction_of_this_store)
{
    const flagver_actor nobody = { .size = sizeof nobody };
    flagver_client *elsewhere = open_store(0);
    flagver_txn *txn;
    sqlite3 *other;

    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin_on_sqlite(client, app, &alice, NULL, &txn, &error));
    run_sql(app, "BEGIN IMMEDIATE");
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin_on_sqlite(client, app, &nobody, NULL, &txn, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin_on_sqlite(client, NULL, &alice, NULL, &txn, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin_on_sqlite(elsewhere, app, &alice, NULL, &txn, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin_on(client, app, "another copy", sqlite3_libversion_number(),
                                      &alice, NULL, &txn, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_begin_on(client, app, sqlite3_sourceid(), 3000000,
                                                      &alice, NULL, &txn, &error));
    run_sql(app, "ROLLBACK");
    ck_assert_int_eq(sqlite3_open(":memory:", &other), SQLITE_OK);
    run_sql(other, "BEGIN IMMEDIATE");
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin_on_sqlite(client, other, &alice, NULL, &txn, &error));
    sqlite3_close(other);
    flagver_close(elsewhere);
    put_flag(client, "f", SIMPLE);
}
END_TEST

START_TEST(a_transaction_that_only_read_may_find_that_it_cannot_write)
{
    flagver_txn *txn;

    sqlite3_busy_timeout(app, 0);
    run_sql(app, "BEGIN; SELECT * FROM orders");
    ck_assert_int_eq(ask(app, ORDERS), 0);
    put_flag(client, "f", VALUE(1)); /* somebody else was faster */
    txn = enlist_with(NULL);
    memset(&error, 0, sizeof error);
    if (try_put(txn, FLAGVER_PHASE_FLAG, "f", VALUE(2), NULL, NULL) == 0)
        flagver_txn_commit(txn, &error);
    ck_assert_int_eq(error.code, FLAGVER_EBUSY);
    flagver_txn_free(txn);
    run_sql(app, "ROLLBACK; BEGIN IMMEDIATE");
    txn = enlist_with(NULL);
    put_flag_in(txn, "f", VALUE(2));
    commit(txn);
    run_sql(app, "COMMIT");
    ck_assert_uint_eq(flag_no(client, "f"), 2);
}
END_TEST

START_TEST(our_timeout_takes_back_our_part_alone)
{
    const flagver_txn_options options = { .size = sizeof options, .timeout_ms = 20 };
    const struct timespec time = { 0, 30000000 };
    flagver_txn *txn;

    run_sql(app, "BEGIN IMMEDIATE; INSERT INTO orders VALUES ('o')");
    txn = enlist_with(&options);
    if (try_put(txn, FLAGVER_PHASE_FLAG, "f", SIMPLE, NULL, NULL) == 0)
        nanosleep(&time, NULL);
    assert_fails(FLAGVER_ETIMEDOUT, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    run_sql(app, "COMMIT");
    ck_assert_int_eq(ask(app, ORDERS), 1);
    ck_assert_uint_eq(flag_no(client, "f"), 0);
}
END_TEST

/* The application ends its transaction before ours: a mistake, and nothing worse. */
START_TEST(an_application_that_ends_first_is_told)
{
    flagver_txn *txn;
    int i;

    for (i = 0; i < 2; i++) {
        txn = begin_with_order();
        put_flag_in(txn, "f", SIMPLE);
        run_sql(app, i ? "COMMIT" : "ROLLBACK");
        assert_fails(FLAGVER_EINVAL, flagver_txn_commit(txn, &error));
        flagver_txn_free(txn);
    }
    txn = begin_with_order();
    put_flag_in(txn, "f", SIMPLE);
    run_sql(app, "ROLLBACK");
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 0);
    put_flag(client, "f", SIMPLE);
}
END_TEST

static int run_in_run(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    return flagver_flag_put(txn, "f", "{\"type\":\"boolean\"}", 18, NULL, NULL, err);
}

/* Others wait for the application, and are told when that takes too long. */
START_TEST(others_wait_while_the_application_writes)
{
    flagver_options options = quiet_options();
    flagver_client *hasty;
    flagver_txn *txn;

    options.wait_ms = 10;
    hasty = open_with(SQLITE_KIND, &options);
    txn = begin_with_order();
    put_flag_in(txn, "g", SIMPLE);
    assert_fails(FLAGVER_EBUSY, flagver_txn_run(hasty, &bob, NULL, run_in_run, NULL, &error));
    commit(txn);
    run_sql(app, "COMMIT");
    assert_ok(flagver_txn_run(hasty, &bob, NULL, run_in_run, NULL, &error));
    flagver_close(hasty);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
}
END_TEST

static Suite *enlist_suite(void)
{
    Suite *suite = suite_create("enlist");
    TCase *together = add_store_tcase(suite, "together"),
          *refused = add_store_tcase(suite, "refused");

    tcase_add_checked_fixture(together, open_both, close_both);
    tcase_add_test(together, both_are_there_when_the_application_commits);
    tcase_add_test(together, neither_is_there_when_the_application_rolls_back);
    tcase_add_test(together, freeing_undoes_our_part_alone);
    tcase_add_test(together, a_refusal_does_not_poison_the_applications_transaction);
    tcase_add_test(together, one_comes_after_the_other_in_one_transaction);
    tcase_add_test(together, a_transaction_of_nothing_leaves_nothing);
    tcase_add_test(together, a_key_makes_it_harmless_here_too);
    tcase_add_test(together, the_connections_settings_stay_as_they_are);

    tcase_add_checked_fixture(refused, open_both, close_both);
    tcase_add_test(refused, there_has_to_be_an_open_transaction_of_this_store);
    tcase_add_test(refused, a_transaction_that_only_read_may_find_that_it_cannot_write);
    tcase_add_test(refused, our_timeout_takes_back_our_part_alone);
    tcase_add_test(refused, an_application_that_ends_first_is_told);
    tcase_add_test(refused, others_wait_while_the_application_writes);
    return suite;
}

int main(void)
{
    return run_store_suite(enlist_suite());
}
