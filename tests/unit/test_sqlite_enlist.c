/*
 * The SQLite driver inside the application's own transaction.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "unit/sqlite_store.h"

static sqlite3 *application;

static void run(const char *statements)
{
    char *words = NULL;

    ck_assert_msg(sqlite3_exec(application, statements, NULL, NULL, &words) == SQLITE_OK, "%s: %s",
                  statements, words);
}

#define LIBRARY sqlite3_sourceid()
#define LIBRARY_VERSION sqlite3_libversion_number()
#define OTHER_LIBRARY "another"
#define OLD_VERSION 3007017
#define NO_TRANSACTION "not open any more"
#define INSERT_KEYED "INSERT INTO flagver_keyed VALUES ('default', 'space', 'k', 1, 1, x'')"
#define MAKE_DECOYS "CREATE TEMP TABLE flagver_series (x); CREATE TEMP TABLE flagver_meta (x)"

#include "unit/enlisting.h"

/* The application, as it comes: its connection has no settings of ours. */
static void connect_application(const char *file)
{
    ck_assert_int_eq(sqlite3_open(file, &application), SQLITE_OK);
}

static void start(void)
{
    set_up();
    put(store, "a", "1");
    connect_application(path);
    run("CREATE TABLE orders (name TEXT)");
}

static void end(void)
{
    ck_assert_int_eq(sqlite3_close(application), SQLITE_OK); /* no statement of ours is left */
    tear_down();
}

START_TEST(a_refused_change_leaves_what_the_application_wrote)
{
    flagver_driver_txn *txn;
    struct record record;

    run("BEGIN; INSERT INTO orders VALUES ('one')");
    txn = adopted();
    start_record(txn, &record, "a", "2");
    record.changes[0].expect = 77;
    assert_fails(FLAGVER_ECONFLICT, driver->apply(txn, record.changes, record.count, &error));
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    assert_words("refused");
    run("COMMIT");
    assert_orders("1");
    ck_assert_str_eq(current(store, "a"), "1");
}
END_TEST

START_TEST(no_setting_of_the_connection_is_changed)
{
    static const char *const settings[] = { "foreign_keys",       "synchronous",    "busy_timeout",
                                            "recursive_triggers", "trusted_schema", "temp_store",
                                            "journal_mode" };
    char query[64], before[64], after[64];
    flagver_driver_txn *txn;
    sqlite3_stmt *statement;
    int round;
    size_t i;

    run("PRAGMA busy_timeout = 77; PRAGMA synchronous = OFF");
    for (i = 0; i < sizeof settings / sizeof *settings; i++) {
        snprintf(query, sizeof query, "PRAGMA %s", settings[i]);
        before[0] = 0;
        for (round = 0; round < 2; round++) {
            ck_assert_int_eq(sqlite3_prepare_v2(application, query, -1, &statement, NULL),
                             SQLITE_OK);
            ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
            snprintf(round ? after : before, sizeof after, "%s",
                     (const char *)sqlite3_column_text(statement, 0));
            sqlite3_finalize(statement);
            if (round)
                continue;
            run("BEGIN");
            txn = adopted();
            put_in(txn, "a", "2");
            assert_ok(driver->commit(txn, &error));
            run("ROLLBACK");
        }
        ck_assert_msg(strcmp(before, after) == 0, "%s: %s, then %s", settings[i], before, after);
    }
}
END_TEST

START_TEST(it_works_with_and_without_foreign_keys)
{
    flagver_driver_txn *txn;

    run(_i ? "PRAGMA foreign_keys = ON" : "PRAGMA foreign_keys = OFF");
    run("BEGIN IMMEDIATE");
    txn = adopted();
    put_in(txn, "a", "2");
    put_in(txn, "b", "1");
    assert_ok(driver->commit(txn, &error));
    run("COMMIT");
    ck_assert_str_eq(current(store, "b"), "1");
    ck_assert_str_eq(answer("PRAGMA foreign_key_check"), "");
}
END_TEST

START_TEST(an_open_transaction_is_asked_for)
{
    flagver_driver_txn *txn;

    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("no transaction");
}
END_TEST

START_TEST(another_database_is_refused)
{
    flagver_driver_config how = config();
    flagver_driver_txn *txn;
    flagver_store *other;

    sqlite3_close(application);
    connect_application(beside("foreign.db"));
    run("BEGIN");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("foreign.db");
    assert_words("app.db");
    assert_words("no flagver schema");
    sqlite3_close(application);

    how.path = beside("other.db");
    assert_ok(driver->open(&how, &other, &error));
    connect_application(beside("other.db"));
    run("BEGIN");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("other.db");
    assert_words("app.db");
    assert_words("another store");
    run("ROLLBACK");
    driver->close(other);
}
END_TEST

START_TEST(a_transaction_that_has_only_read_is_told_that_it_is_late)
{
    flagver_driver_txn *txn;
    struct record record;

    run("BEGIN; SELECT count(*) FROM orders");
    txn = adopted();
    put(store, "a", "2");
    start_record(txn, &record, "a", "3");
    assert_fails(FLAGVER_EBUSY, driver->apply(txn, record.changes, record.count, &error));
    ck_assert_int_eq(error.native, SQLITE_BUSY_SNAPSHOT);
    driver->rollback(txn);
    run("ROLLBACK");
    ck_assert_str_eq(current(store, "a"), "2");
}
END_TEST

START_TEST(a_file_that_was_moved_is_unavailable)
{
    flagver_driver_txn *txn;

    run("BEGIN");
    ck_assert_int_eq(rename(path, beside("away")), 0);
    assert_fails(FLAGVER_EUNAVAILABLE, adopt(&txn));
    assert_words(path);
    ck_assert_int_eq(rename(beside("away"), path), 0);
    run("ROLLBACK");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite enlist");
    TCase *tcase = tcase_create("enlisting");

    tcase_add_checked_fixture(tcase, start, end);
    add_enlisting_tests(tcase);
    tcase_add_test(tcase, a_refused_change_leaves_what_the_application_wrote);
    tcase_add_test(tcase, no_setting_of_the_connection_is_changed);
    tcase_add_loop_test(tcase, it_works_with_and_without_foreign_keys, 0, 2);
    tcase_add_test(tcase, an_open_transaction_is_asked_for);
    tcase_add_test(tcase, another_database_is_refused);
    tcase_add_test(tcase, a_transaction_that_has_only_read_is_told_that_it_is_late);
    tcase_add_test(tcase, a_file_that_was_moved_is_unavailable);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
