/*
 * What holds inside the application's own transaction, whatever the database. Who includes it has,
 * beside what driver_rows.h asks for,
 *
 *     application             the application's connection
 *     run()                   statements on it, which succeed
 *     answer()                a value, from outside
 *     LIBRARY, LIBRARY_VERSION, OTHER_LIBRARY, OLD_VERSION
 *                             the copy of the database's library and its version; and of another one
 *     NO_TRANSACTION          words of who ends what the application has ended already
 *     INSERT_KEYED            statements that write a row of keyed, in the space "space"
 *     MAKE_DECOYS             statements that make temporary tables of the names of ours
 *
 * and a table "orders", which is empty, and the subject "a", which is "1".
 */
#ifndef FLAGVER_TESTS_ENLISTING_H
#define FLAGVER_TESTS_ENLISTING_H

#include "unit/driver_rows.h"

static inline int adopt_with(const flagver_adoption *adoption)
{
    flagver_driver_txn *txn;

    return driver->adopt(store, text("default"), adoption, &txn, &error);
}

static inline int adopt(flagver_driver_txn **ret_txn)
{
    const flagver_adoption adoption = { .connection = application,
                                        .library = LIBRARY,
                                        .version = LIBRARY_VERSION };

    return driver->adopt(store, text("default"), &adoption, ret_txn, &error);
}

static inline flagver_driver_txn *adopted(void)
{
    flagver_driver_txn *txn;

    assert_ok(adopt(&txn));
    return txn;
}

/* From the beginning to the end of ours. */
static inline void put_adopted(const char *subject, const char *body)
{
    flagver_driver_txn *txn = adopted();

    put_in(txn, subject, body);
    assert_ok(driver->commit(txn, &error));
}

static inline void put_and_take_back(const char *subject, const char *body)
{
    flagver_driver_txn *txn = adopted();

    put_in(txn, subject, body);
    driver->rollback(txn);
}

static inline void assert_orders(const char *wanted)
{
    ck_assert_str_eq(answer("SELECT count(*) FROM orders"), wanted);
}

START_TEST(both_writes_commit_together)
{
    run("BEGIN; INSERT INTO orders VALUES ('one')");
    put_adopted("a", "2");
    ck_assert_str_eq(current(store, "a"), "1"); /* the application has not committed yet */
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "2");
    ck_assert_uint_eq(changes(store), 2);
    assert_orders("1");
}
END_TEST

START_TEST(the_application_takes_back_both)
{
    run("BEGIN; INSERT INTO orders VALUES ('one')");
    put_adopted("a", "2");
    run("ROLLBACK");
    ck_assert_str_eq(current(store, "a"), "1");
    assert_orders("0");
}
END_TEST

START_TEST(a_rollback_of_ours_leaves_what_the_application_wrote)
{
    run("BEGIN; INSERT INTO orders VALUES ('one')");
    put_and_take_back("a", "2");
    run("INSERT INTO orders VALUES ('two'); COMMIT");
    ck_assert_str_eq(current(store, "a"), "1");
    assert_orders("2");
}
END_TEST

START_TEST(it_reads_what_the_application_has_not_committed)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = text("space") };
    flagver_driver_txn *txn;

    run("BEGIN; " INSERT_KEYED);
    txn = adopted();
    ck_assert_uint_eq(count(txn, &query, NULL), 1);
    driver->rollback(txn);
    run("ROLLBACK");
}
END_TEST

START_TEST(one_follows_the_other)
{
    run("BEGIN");
    put_adopted("a", "2");
    put_and_take_back("a", "lost");
    put_adopted("b", "1");
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "2");
    ck_assert_str_eq(current(store, "b"), "1");
    ck_assert_uint_eq(changes(store), 3);
}
END_TEST

START_TEST(tables_of_the_application_are_in_nobodys_way)
{
    run(MAKE_DECOYS "; BEGIN");
    put_adopted("a", "2");
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "2");
}
END_TEST

START_TEST(an_application_that_ended_its_transaction_is_told)
{
    flagver_driver_txn *txn;

    run("BEGIN");
    txn = adopted();
    put_in(txn, "a", "2");
    run("ROLLBACK");
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    assert_words(NO_TRANSACTION);

    run("BEGIN");
    txn = adopted();
    run("ROLLBACK; BEGIN; INSERT INTO orders VALUES ('one')");
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    assert_words("ended its transaction");
    run("COMMIT"); /* the new one has nothing to do with it */
    assert_orders("1");

    run("BEGIN; SAVEPOINT mine");
    txn = adopted();
    put_in(txn, "a", "2");
    run("ROLLBACK TO mine");
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    run("COMMIT");

    run("BEGIN");
    txn = adopted();
    run("ROLLBACK");
    driver->rollback(txn);
    run("BEGIN");
    txn = adopted();
    run("ROLLBACK; BEGIN; INSERT INTO orders VALUES ('two')");
    driver->rollback(txn);
    run("COMMIT");
    assert_orders("2");
    ck_assert_str_eq(current(store, "a"), "1");
}
END_TEST

START_TEST(another_copy_of_the_library_is_refused)
{
    flagver_adoption adoption = { .connection = application,
                                  .library = OTHER_LIBRARY,
                                  .version = LIBRARY_VERSION };
    char old[16];

    run("BEGIN");
    assert_fails(FLAGVER_EINVAL, adopt_with(&adoption));
    assert_words("another copy");
    adoption.library = LIBRARY;
    adoption.version = OLD_VERSION;
    assert_fails(FLAGVER_EINVAL, adopt_with(&adoption));
    snprintf(old, sizeof old, "%d", OLD_VERSION);
    assert_words(old);
    run("ROLLBACK");
}
END_TEST

static inline void add_enlisting_tests(TCase *tcase)
{
    tcase_add_test(tcase, both_writes_commit_together);
    tcase_add_test(tcase, the_application_takes_back_both);
    tcase_add_test(tcase, a_rollback_of_ours_leaves_what_the_application_wrote);
    tcase_add_test(tcase, it_reads_what_the_application_has_not_committed);
    tcase_add_test(tcase, one_follows_the_other);
    tcase_add_test(tcase, tables_of_the_application_are_in_nobodys_way);
    tcase_add_test(tcase, an_application_that_ended_its_transaction_is_told);
    tcase_add_test(tcase, another_copy_of_the_library_is_refused);
}

#endif
