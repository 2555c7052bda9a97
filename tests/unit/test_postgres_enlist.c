/*
 * The PostgreSQL driver inside the application's own transaction.
 */
#define _POSIX_C_SOURCE 200809L
#include "cluster.h"
#include "unit/postgres_store.h"

static PGconn *application;

static void run(const char *statements)
{
    assert_run(application, statements);
}

static const char *value(const char *query)
{
    return value_on(application, query);
}

#define LIBRARY PQresStatus(PGRES_COMMAND_OK)
#define LIBRARY_VERSION PQlibVersion()
#define OTHER_LIBRARY "PGRES_COMMAND_OK" /* the same text elsewhere */
#define OLD_VERSION 90603
#define NO_TRANSACTION "no transaction"
#define INSERT_KEYED                                        \
    "SELECT set_config('flagver.tenant', 'default', true);" \
    "INSERT INTO flagver.keyed VALUES ('default', 'space', 'k', 1, 1, '')"
#define MAKE_DECOYS                                                             \
    "CREATE TEMP TABLE series (x integer); CREATE TEMP TABLE meta (x integer);" \
    "SET search_path = pg_temp, public"

#include "unit/enlisting.h"

static void start(void)
{
    set_up();
    put(store, "a", "1");
    sql("CREATE TABLE orders (name text); GRANT ALL ON orders TO " ROLE);
    application = connect_as(ROLE);
}

static void end(void)
{
    PQfinish(application);
    tear_down();
}

/* ---- together or not at all ---- */

START_TEST(what_is_refused_spoils_nothing)
{
    flagver_driver_txn *txn;
    struct record record;

    run("BEGIN; INSERT INTO orders VALUES ('one')");
    txn = adopted();
    start_record(txn, &record, "a", "2");
    record.changes[0].expect = 77;
    assert_fails(FLAGVER_ECONFLICT, driver->apply(txn, record.changes, record.count, &error));
    /* by the server itself: this version has a number already */
    start_record(txn, &record, "a", "2");
    record.version.no = 1;
    assert_fails(FLAGVER_ECORRUPT, driver->apply(txn, record.changes, record.count, &error));
    put_in(txn, "a", "3");
    assert_ok(driver->commit(txn, &error));
    run("COMMIT");
    assert_orders("1");
    ck_assert_str_eq(current(store, "a"), "3");
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver.payload"), "2");
}
END_TEST

START_TEST(one_at_a_time)
{
    flagver_driver_txn *txn, *second;

    run("BEGIN");
    txn = adopted();
    assert_fails(FLAGVER_EINVAL, adopt(&second));
    assert_words("one at a time");
    put_in(txn, "a", "2");
    assert_ok(driver->commit(txn, &error));
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "2");
}
END_TEST

/* ---- the application's own ---- */

static const char changed_settings[] =
    "SELECT string_agg(name, ' ') FROM before JOIN pg_settings s USING (name)"
    " WHERE before.setting IS DISTINCT FROM s.setting AND name NOT LIKE 'transaction_%'";

START_TEST(no_setting_of_the_connection_is_changed)
{
    flagver_driver_txn *txn;
    int way;

    run("SET statement_timeout = '77s'; SET synchronous_commit = off; SET lock_timeout = '7s';"
        "CREATE TEMP TABLE before AS SELECT name, setting FROM pg_settings");
    for (way = 0; way < 2; way++) {
        run("BEGIN");
        txn = adopted();
        ck_assert_str_eq(value(changed_settings), "");
        put_in(txn, "a", way ? "2" : "3");
        if (way)
            driver->rollback(txn);
        else
            assert_ok(driver->commit(txn, &error));
        ck_assert_str_eq(value(changed_settings), "");
        ck_assert_str_eq(value("SELECT current_setting('flagver.tenant', true)"), "");
        run("COMMIT");
        ck_assert_str_eq(value(changed_settings), "");
    }
}
END_TEST

START_TEST(the_tenant_that_was_set_is_set_again)
{
    flagver_driver_txn *txn;
    int way;

    for (way = 0; way < 2; way++) {
        run("BEGIN; SET LOCAL flagver.tenant = 'mine'");
        txn = adopted();
        ck_assert_str_eq(value("SHOW flagver.tenant"), "default");
        if (way)
            driver->rollback(txn);
        else
            assert_ok(driver->commit(txn, &error));
        ck_assert_str_eq(value("SHOW flagver.tenant"), "mine");
        run("COMMIT");
    }
}
END_TEST

START_TEST(functions_of_the_application_are_in_nobodys_way)
{
    flagver_driver_txn *txn;

    make_deceit();
    run("SET search_path = " DECEIT "; BEGIN");
    txn = adopted();
    put_in(txn, "a", "2");
    put_in(txn, "b", "1");
    assert_ok(driver->commit(txn, &error));
    put_and_take_back("a", "3");
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "2");
}
END_TEST

START_TEST(constraints_may_be_checked_at_once)
{
    flagver_driver_txn *txn;

    run("BEGIN; SET CONSTRAINTS ALL IMMEDIATE");
    txn = adopted();
    put_in(txn, "a", "2");
    put_in(txn, "b", "1");
    assert_ok(driver->commit(txn, &error));
    run("SET CONSTRAINTS ALL IMMEDIATE; COMMIT");
    ck_assert_str_eq(current(store, "b"), "1");
}
END_TEST

START_TEST(whoever_is_second_in_a_strict_isolation_is_told_to_start_over)
{
    static const char *const levels[] = { "REPEATABLE READ", "SERIALIZABLE" };
    flagver_series_row row = { .tenant = text("default"),
                               .phase = text("phase"),
                               .subject = text("a") };
    flagver_driver_txn *txn;
    char begin_level[64];

    snprintf(begin_level, sizeof begin_level, "BEGIN ISOLATION LEVEL %s", levels[_i]);
    run(begin_level);
    run("INSERT INTO orders VALUES ('one')");
    txn = adopted();
    put(store, "a", "2");
    assert_fails(FLAGVER_EBUSY, driver->lock(txn, &row, 1, 0, &error));
    ck_assert_str_eq(error.sqlstate, "40001");
    driver->rollback(txn);
    run("ROLLBACK");

    run(begin_level);
    run("INSERT INTO orders VALUES ('one')");
    put_adopted("a", "3");
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "3");
}
END_TEST

/* ---- misuse ---- */

START_TEST(an_open_transaction_is_asked_for)
{
    flagver_driver_txn *txn;

    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("no transaction");
    run("BEGIN");
    ck_assert_str_eq(run_on(application, "SELECT 1 / 0"), "22012");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("failed");
    run("ROLLBACK; BEGIN READ ONLY");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("only reads");
    run("SELECT 1; ROLLBACK"); /* it goes on */
}
END_TEST

START_TEST(a_connection_in_another_mode_is_refused)
{
    flagver_driver_txn *txn;
    PGresult *result;

    run("BEGIN");
    ck_assert_int_eq(PQsetnonblocking(application, 1), 0);
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("nonblocking");
    ck_assert_int_eq(PQsetnonblocking(application, 0), 0);

    ck_assert_int_eq(PQenterPipelineMode(application), 1);
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("pipeline");
    ck_assert_int_eq(PQexitPipelineMode(application), 1);

    ck_assert_int_eq(PQsendQuery(application, "SELECT 1"), 1);
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("under way");
    while ((result = PQgetResult(application)))
        PQclear(result);

    run("SET client_encoding = 'LATIN1'");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("LATIN1");
    run("SET client_encoding = 'UTF8'");
    driver->rollback(adopted());
    run("ROLLBACK");
}
END_TEST

START_TEST(no_connection_is_refused)
{
    const flagver_adoption adoption = { .library = LIBRARY, .version = LIBRARY_VERSION };

    assert_fails(FLAGVER_EINVAL, adopt_with(&adoption));
}
END_TEST

static void connect_elsewhere(const char *name)
{
    PQfinish(application);
    application = PQconnectdb(cluster_uri(cluster_shared(), name, ROLE));
    ck_assert_int_eq(PQstatus(application), CONNECTION_OK);
}

START_TEST(another_database_is_refused)
{
    flagver_driver_txn *txn;
    char other[80];

    snprintf(other, sizeof other, "%s_other", database);
    cluster_database(cluster_shared(), other, NULL);
    connect_elsewhere(other);
    run("BEGIN");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words(other);
    assert_words("no flagver schema");
    run("SELECT 1; ROLLBACK");

    make_schema(other);
    run("BEGIN");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words(other);
    assert_words("another store");
    run("SELECT 1; ROLLBACK");
    connect_elsewhere(database);
    cluster_drop(cluster_shared(), other);
}
END_TEST

START_TEST(a_store_that_nobody_has_used_yet_is_known)
{
    driver->close(store);
    store = open_as(ROLE, WAIT_MS);
    run("BEGIN");
    put_adopted("a", "2");
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "2");
}
END_TEST

START_TEST(a_role_that_no_policy_binds_works_for_the_default_tenant_only)
{
    flagver_adoption adoption = { .library = PQresStatus(PGRES_COMMAND_OK),
                                  .version = PQlibVersion() };
    flagver_driver_txn *txn;

    PQfinish(application);
    application = connect_as("postgres");
    adoption.connection = application;
    run("BEGIN");
    assert_fails(FLAGVER_EDENIED, driver->adopt(store, text("other"), &adoption, &txn, &error));
    assert_words("BYPASSRLS");
    put_adopted("a", "2");
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "2");
}
END_TEST

START_TEST(a_failed_transaction_of_the_applications_stays_failed)
{
    flagver_driver_txn *txn;

    run("BEGIN; INSERT INTO orders VALUES ('one')");
    txn = adopted();
    put_in(txn, "a", "2");
    ck_assert_str_eq(run_on(application, "SELECT 1 / 0"), "22012");
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    assert_words("failed");
    ck_assert_int_eq(PQtransactionStatus(application), PQTRANS_INERROR);
    run("COMMIT"); /* says ROLLBACK */
    assert_orders("0");

    /* What the application goes back to must not bring back ours. */
    run("BEGIN; INSERT INTO orders VALUES ('one'); SAVEPOINT before");
    txn = adopted();
    put_in(txn, "a", "2");
    run("SAVEPOINT inside");
    ck_assert_str_eq(run_on(application, "SELECT 1 / 0"), "22012");
    driver->rollback(txn);
    ck_assert_str_eq(run_on(application, "ROLLBACK TO inside"), "3B001");
    run("ROLLBACK TO before; COMMIT");
    assert_orders("1");
    ck_assert_str_eq(current(store, "a"), "1");
}
END_TEST

START_TEST(a_connection_that_is_lost_is_unavailable)
{
    flagver_driver_txn *txn, *second;
    char statement[80];

    run("BEGIN");
    txn = adopted();
    put_in(txn, "a", "2");
    snprintf(statement, sizeof statement, "SELECT pg_terminate_backend(%d, 10000)",
             PQbackendPID(application));
    ck_assert_str_eq(answer(statement), "t");
    assert_fails(FLAGVER_EUNAVAILABLE, driver->commit(txn, &error));
    assert_fails(FLAGVER_EUNAVAILABLE, adopt(&second));
    ck_assert_str_eq(current(store, "a"), "1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres enlist");
    TCase *tcase = tcase_create("enlisting");
    int r;

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, start, end);
    add_enlisting_tests(tcase);
    tcase_add_test(tcase, what_is_refused_spoils_nothing);
    tcase_add_test(tcase, one_at_a_time);
    tcase_add_test(tcase, no_setting_of_the_connection_is_changed);
    tcase_add_test(tcase, the_tenant_that_was_set_is_set_again);
    tcase_add_test(tcase, functions_of_the_application_are_in_nobodys_way);
    tcase_add_test(tcase, constraints_may_be_checked_at_once);
    tcase_add_loop_test(tcase, whoever_is_second_in_a_strict_isolation_is_told_to_start_over, 0, 2);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("misuse");
    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_test(tcase, an_open_transaction_is_asked_for);
    tcase_add_test(tcase, a_connection_in_another_mode_is_refused);
    tcase_add_test(tcase, no_connection_is_refused);
    tcase_add_test(tcase, another_database_is_refused);
    tcase_add_test(tcase, a_store_that_nobody_has_used_yet_is_known);
    tcase_add_test(tcase, a_role_that_no_policy_binds_works_for_the_default_tenant_only);
    tcase_add_test(tcase, a_failed_transaction_of_the_applications_stays_failed);
    tcase_add_test(tcase, a_connection_that_is_lost_is_unavailable);
    suite_add_tcase(suite, tcase);

    prepare_cluster();
    r = run_suite(suite);
    clean_cluster();
    return r;
}
