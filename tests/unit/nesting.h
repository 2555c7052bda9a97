/*
 * What holds within a transaction whatever the database: rows that are held, parts that are taken
 * back, and the application's statements on its connection. Who includes it has, beside what driver_rows.h asks
 * for,
 *
 *     CONNECTION              the type of the database's handle
 *     application             the application's
 *     assert_run()            statements on a connection, which succeed
 *     answer()                a value, from outside
 *     LIBRARY, LIBRARY_VERSION  the copy of the database's library, and its version
 *     ALL_KEYS, ALL_ORDERS    queries: the keys of the space "space", the names of the orders, in order,
 *                             with spaces between
 *     BEGIN_ANOTHER           statements that begin a transaction to write
 *
 * and a table "orders" of a "name", which is empty.
 */
#ifndef FLAGVER_TESTS_NESTING_H
#define FLAGVER_TESTS_NESTING_H

#include "unit/driver_rows.h"

#define NUMBER 4711 /* of the lock on what is held */

static inline flagver_driver_txn *adopted(void)
{
    const flagver_adoption adoption = { .connection = application,
                                        .library = LIBRARY,
                                        .version = LIBRARY_VERSION };
    flagver_driver_txn *txn;

    assert_ok(driver->adopt(store, text("default"), &adoption, &txn, &error));
    return txn;
}

static inline CONNECTION *lent(flagver_driver_txn *txn)
{
    flagver_adoption adoption = { .library = LIBRARY, .version = LIBRARY_VERSION };

    assert_ok(driver->connection(txn, &adoption, &error));
    return adoption.connection;
}

static inline flagver_keyed_row keyed(const char *key, int64_t rev)
{
    return (flagver_keyed_row){ .tenant = text("default"),
                                .space = text("space"),
                                .key = text(key),
                                .rev = rev,
                                .time = 1,
                                .value = text("value") };
}

static inline int put_row(flagver_driver_txn *txn, const char *key, int64_t expect)
{
    const flagver_keyed_row row = keyed(key, expect + 1);
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = expect };

    change.row.keyed = &row;
    return driver->apply(txn, &change, 1, &error);
}

static inline void commit_row(const char *key, int64_t expect)
{
    flagver_driver_txn *txn = writing();

    assert_ok(put_row(txn, key, expect));
    assert_ok(driver->commit(txn, &error));
}

static inline int hold(flagver_driver_txn *txn, const char *key, int shared,
                       flagver_keyed_row *ret_row)
{
    *ret_row = (flagver_keyed_row){ .space = text("space"), .key = text(key) };
    return driver->hold(txn, ret_row, NUMBER, shared, &error);
}

static inline void assert_rows(const char *keys, const char *orders)
{
    ck_assert_str_eq(answer(ALL_KEYS), keys);
    ck_assert_str_eq(answer(ALL_ORDERS), orders);
}

START_TEST(rows_of_both_are_committed_together)
{
    flagver_driver_txn *txn = writing();
    CONNECTION *connection = lent(txn);

    assert_ok(put_row(txn, "a", 0));
    assert_run(connection, "INSERT INTO orders VALUES ('one')");
    assert_ok(put_row(txn, "b", 0));
    assert_run(connection, "INSERT INTO orders VALUES ('two')");
    assert_rows("", "");
    assert_ok(driver->commit(txn, &error));
    assert_rows("a b", "one two");
}
END_TEST

START_TEST(rows_of_both_are_rolled_back_together)
{
    flagver_driver_txn *txn = writing();

    assert_ok(put_row(txn, "a", 0));
    assert_run(lent(txn), "INSERT INTO orders VALUES ('one')");
    driver->rollback(txn);
    assert_rows("", "");
}
END_TEST

START_TEST(the_connection_of_an_adopted_transaction_is_the_applications)
{
    flagver_driver_txn *txn;

    assert_run(application, "BEGIN");
    txn = adopted();
    ck_assert_ptr_eq(lent(txn), application);
    assert_ok(put_row(txn, "a", 0));
    assert_run(application, "INSERT INTO orders VALUES ('one')");
    assert_ok(driver->commit(txn, &error));
    assert_run(application, "COMMIT");
    assert_rows("a", "one");
}
END_TEST

START_TEST(another_transaction_is_not_taken_for_ours_inside_of_a_part)
{
    flagver_driver_txn *txn;

    assert_run(application, "BEGIN");
    txn = adopted();
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_run(application, "ROLLBACK; " BEGIN_ANOTHER "; INSERT INTO orders VALUES ('one')");
    assert_fails(FLAGVER_EINVAL, put_row(txn, "a", 0));
    assert_fails(FLAGVER_EINVAL, driver->nest(txn, FLAGVER_NEST_UNDO, &error));
    driver->rollback(txn);
    assert_run(application, "COMMIT");
    assert_rows("", "one");
}
END_TEST

START_TEST(a_reader_holds_nothing)
{
    flagver_driver_txn *txn = reading();
    flagver_adoption adoption = { .connection = NULL };
    flagver_keyed_row row;

    assert_fails(FLAGVER_EINVAL, hold(txn, "a", 1, &row));
    assert_fails(FLAGVER_EINVAL, driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_fails(FLAGVER_EINVAL, driver->connection(txn, &adoption, &error));
    driver->rollback(txn);
}
END_TEST

static inline void add_nesting_tests(TCase *tcase)
{
    tcase_add_test(tcase, rows_of_both_are_committed_together);
    tcase_add_test(tcase, rows_of_both_are_rolled_back_together);
    tcase_add_test(tcase, the_connection_of_an_adopted_transaction_is_the_applications);
    tcase_add_test(tcase, another_transaction_is_not_taken_for_ours_inside_of_a_part);
    tcase_add_test(tcase, a_reader_holds_nothing);
}

#endif
