/*
 * Within a transaction of the SQLite driver: rows that are held, parts that are taken back, and the
 * application's statements on its connection.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "unit/sqlite_store.h"

#define CONNECTION sqlite3
#define LIBRARY sqlite3_sourceid()
#define LIBRARY_VERSION sqlite3_libversion_number()
#define BEGIN_ANOTHER "BEGIN IMMEDIATE"
#define IN_ORDER(name, from)                                                            \
    "SELECT coalesce(group_concat(" name ", ' '), '') FROM (SELECT " name " FROM " from \
    " ORDER BY " name ")"
#define ALL_KEYS IN_ORDER("key", "flagver_keyed WHERE space = 'space'")
#define ALL_ORDERS IN_ORDER("name", "orders")

static sqlite3 *application;

static int run_on(sqlite3 *db, const char *statements)
{
    return sqlite3_exec(db, statements, NULL, NULL, NULL);
}

#define assert_run(db, statements) \
    ck_assert_msg(run_on(db, statements) == SQLITE_OK, "%s: %s", statements, sqlite3_errmsg(db))

#include "unit/nesting.h"

static void start(void)
{
    set_up();
    ck_assert_int_eq(sqlite3_open(path, &application), SQLITE_OK);
    assert_run(application, "CREATE TABLE orders (name TEXT UNIQUE)");
}

static void end(void)
{
    ck_assert_int_eq(sqlite3_close(application), SQLITE_OK); /* no statement of ours is left */
    tear_down();
}

/* ---- the application's statements ---- */

START_TEST(a_table_of_the_applications_is_rolled_back_too)
{
    flagver_driver_txn *txn = writing();

    assert_ok(put_row(txn, "a", 0));
    assert_run(lent(txn), "INSERT INTO orders VALUES ('one'); CREATE TABLE more (name TEXT)");
    driver->rollback(txn);
    assert_rows("", "");
    ck_assert_str_eq(answer("SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), "0");
}
END_TEST

START_TEST(a_part_is_undone_behind_a_statement_that_failed)
{
    flagver_driver_txn *txn = writing();
    sqlite3 *db = lent(txn);

    assert_run(db, "INSERT INTO orders VALUES ('one')");
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "a", 0));
    assert_run(db, "INSERT INTO orders VALUES ('two'); CREATE TABLE more (name TEXT)");
    ck_assert_int_eq(run_on(db, "INSERT INTO orders VALUES ('one')"), SQLITE_CONSTRAINT_UNIQUE);
    assert_ok(put_row(txn, "b", 0));
    assert_ok(driver->nest(txn, FLAGVER_NEST_UNDO, &error));
    assert_ok(put_row(txn, "c", 0));
    assert_run(db, "INSERT INTO orders VALUES ('three'); CREATE TABLE more (name TEXT)");
    assert_ok(driver->commit(txn, &error));
    assert_rows("c", "one three");
}
END_TEST

/* A statement can end the whole transaction: then no part of it is left. */
START_TEST(a_transaction_that_a_statement_has_ended_is_over)
{
    static const char *const statements[] = { "INSERT OR ROLLBACK INTO orders VALUES ('one')",
                                              "COMMIT" };
    flagver_driver_txn *txn;
    sqlite3 *db;
    int way;

    for (way = 0; way < 2; way++) {
        txn = writing();
        db = lent(txn);
        assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
        assert_run(db, "INSERT OR IGNORE INTO orders VALUES ('one')");
        run_on(db, statements[way]);
        assert_fails(FLAGVER_EINVAL, put_row(txn, "a", 0));
        assert_words("ended");
        assert_fails(FLAGVER_EINVAL, driver->nest(txn, FLAGVER_NEST_UNDO, &error));
        assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
        txn = writing(); /* the connection is as good as before */
        assert_ok(put_row(txn, way ? "b" : "a", 0));
        assert_ok(driver->commit(txn, &error));
    }
    assert_rows("a b", "one");
}
END_TEST

START_TEST(a_savepoint_of_ours_that_is_gone_is_noticed)
{
    flagver_driver_txn *txn = writing();
    sqlite3 *db = lent(txn);

    assert_run(db, "SAVEPOINT theirs");
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_run(db, "ROLLBACK TO theirs");
    assert_fails(FLAGVER_EINVAL, driver->nest(txn, FLAGVER_NEST_KEEP, &error));
    assert_words("not its own");
    driver->rollback(txn);
}
END_TEST

/* It would keep the next transaction on this connection from seeing what is new. */
START_TEST(a_statement_that_is_left_unfinished_is_in_nobodys_way)
{
    flagver_store *other = open_store();
    flagver_driver_txn *txn;
    sqlite3_stmt *statement;
    flagver_keyed_row row;
    sqlite3 *db;
    int way;

    for (way = 0; way < 2; way++) {
        txn = writing();
        db = lent(txn);
        assert_run(db, "INSERT OR IGNORE INTO orders VALUES ('one'), ('two')");
        ck_assert_int_eq(sqlite3_prepare_v2(db,
                                            way ? "INSERT INTO orders VALUES ('x'), ('y')"
                                                  " RETURNING name"
                                                : "SELECT name FROM orders",
                                            -1, &statement, NULL),
                         SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
        assert_ok(driver->commit(txn, &error));

        txn = begin(other, FLAGVER_MODE_WRITE);
        assert_ok(put_row(txn, "a", way));
        assert_ok(driver->commit(txn, &error));
        txn = writing();
        assert_ok(hold(txn, "a", 1, &row));
        ck_assert_int_eq(row.rev, way + 1);
        assert_ok(driver->commit(txn, &error));
        sqlite3_finalize(statement);
    }
    driver->close(other);
    assert_rows("a", "one two x y");
}
END_TEST

/* A connection that an application has a statement on goes when that goes. */
START_TEST(a_statement_outlives_the_store)
{
    flagver_driver_txn *txn = writing();
    sqlite3_stmt *statement;

    ck_assert_int_eq(sqlite3_prepare_v2(lent(txn), "SELECT name FROM orders", -1, &statement, NULL),
                     SQLITE_OK);
    driver->rollback(txn);
    driver->close(store);
    store = NULL;
    ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
}
END_TEST

/* ---- in the application's transaction ---- */

START_TEST(parts_of_an_adopted_transaction_are_kept_and_undone)
{
    flagver_driver_txn *txn;

    assert_run(application, "BEGIN; INSERT INTO orders VALUES ('one')");
    txn = adopted();
    assert_ok(put_row(txn, "a", 0));
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "b", 0));
    assert_ok(put_row(txn, "c", 0));
    assert_run(application, "INSERT INTO orders VALUES ('two')");
    assert_fails(FLAGVER_ECONFLICT, put_row(txn, "a", 0));
    assert_ok(driver->nest(txn, FLAGVER_NEST_UNDO, &error));
    assert_ok(put_row(txn, "d", 0));
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "e", 0));
    assert_run(application, "INSERT INTO orders VALUES ('three')");
    assert_ok(driver->nest(txn, FLAGVER_NEST_KEEP, &error));
    assert_ok(put_row(txn, "f", 0));
    assert_ok(driver->commit(txn, &error));
    assert_run(application, "COMMIT");
    assert_rows("a d e f", "one three");
}
END_TEST

/* ---- rows that are held ---- */

START_TEST(who_has_only_read_gets_the_right_to_write)
{
    flagver_driver_txn *txn;
    flagver_keyed_row row;
    sqlite3 *other;

    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    assert_run(application, "BEGIN; SELECT count(*) FROM orders");
    txn = adopted();
    assert_run(other, "BEGIN IMMEDIATE; ROLLBACK"); /* nobody has it yet */
    assert_ok(hold(txn, "a", 1, &row));
    ck_assert_int_eq(row.rev, 0);
    ck_assert_int_eq(run_on(other, "BEGIN IMMEDIATE") & 0xff, SQLITE_BUSY);
    assert_ok(driver->commit(txn, &error));
    ck_assert_int_eq(run_on(other, "BEGIN IMMEDIATE") & 0xff, SQLITE_BUSY);
    assert_run(application, "COMMIT");
    assert_run(other, "BEGIN IMMEDIATE; ROLLBACK");
    sqlite3_close(other);
}
END_TEST

START_TEST(who_began_before_others_wrote_is_busy)
{
    flagver_driver_txn *txn, *other;
    flagver_keyed_row row;

    assert_run(application, "BEGIN; SELECT count(*) FROM orders");
    other = writing();
    assert_ok(put_row(other, "a", 0));
    assert_ok(driver->commit(other, &error));
    txn = adopted();
    assert_fails(FLAGVER_EBUSY, hold(txn, "a", 1, &row));
    driver->rollback(txn);
    assert_run(application, "ROLLBACK; BEGIN");
    txn = adopted();
    assert_ok(hold(txn, "a", 1, &row));
    ck_assert_int_eq(row.rev, 1);
    ck_assert(is_text(row.value, "value"));
    driver->rollback(txn);
    assert_run(application, "ROLLBACK");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("within a transaction of SQLite's");
    TCase *tcase = tcase_create("within");

    tcase_add_checked_fixture(tcase, start, end);
    add_nesting_tests(tcase);
    tcase_add_test(tcase, a_table_of_the_applications_is_rolled_back_too);
    tcase_add_test(tcase, a_part_is_undone_behind_a_statement_that_failed);
    tcase_add_test(tcase, a_transaction_that_a_statement_has_ended_is_over);
    tcase_add_test(tcase, a_savepoint_of_ours_that_is_gone_is_noticed);
    tcase_add_test(tcase, a_statement_that_is_left_unfinished_is_in_nobodys_way);
    tcase_add_test(tcase, a_statement_outlives_the_store);
    tcase_add_test(tcase, parts_of_an_adopted_transaction_are_kept_and_undone);
    tcase_add_test(tcase, who_has_only_read_gets_the_right_to_write);
    tcase_add_test(tcase, who_began_before_others_wrote_is_busy);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(suite());
}
