/*
 * Within a transaction, on stores of every kind: keyed rows, those that are held, parts that are taken
 * back, and the application's statements on the store's own connection.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, nanosleep */
#include "stores.h"

#include <time.h>

#include "flagver/sqlite.h"
#include "store/transaction.h"

#ifndef FV_WITHOUT_postgres
#include "flagver/postgres.h"
#endif

#define NUMBER 4711

/* ---- calls of the library's own ---- */

/* A transaction that has begun, between calls; what follows needs no more of fv_txn_enter(). */
static flagver_txn *begun(flagver_client *client)
{
    flagver_txn *txn = begin(client);

    assert_ok(fv_txn_enter(txn, &error));
    fv_txn_leave(txn, 0, NULL);
    return txn;
}

static flagver_keyed_row get(flagver_txn *txn, const char *key)
{
    flagver_keyed_row row;

    assert_ok(fv_txn_keyed_get(txn, "space", fv_bytes(key), &row, &error));
    return row;
}

static void write_row(flagver_txn *txn, const char *key, const char *value)
{
    flagver_keyed_row row = get(txn, key);

    assert_ok(fv_txn_keyed_put(txn, &row, fv_bytes(value), &error));
}

static void check_value(flagver_bytes value, const char *wanted)
{
    ck_assert_msg(wanted ? value.data && value.length == strlen(wanted) &&
                               memcmp(value.data, wanted, value.length) == 0
                         : !value.data,
                  "\"%.*s\" instead of %s", (int)value.length,
                  value.data ? (const char *)value.data : "", wanted ? wanted : "none");
}

/* What there is in the end, as another transaction sees it. NULL: there is no such row. */
static void check_stored(flagver_client *client, const char *key, const char *wanted)
{
    flagver_txn *txn = begun(client);

    check_value(get(txn, key).value, wanted);
    flagver_txn_free(txn);
}

static bool can_nest(int kind)
{
    return kind != JSONFILE_KIND;
}

/* ---- keyed rows ---- */

START_TEST(keyed_rows_are_read_written_and_deleted)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begun(client);
    flagver_keyed_row first = get(txn, "key"), second;

    ck_assert_int_eq(first.rev, 0);
    check_value(first.value, NULL);
    assert_ok(fv_txn_keyed_put(txn, &first, fv_bytes("one"), &error));
    ck_assert_int_gt(first.rev, 0);
    second = get(txn, "key"); /* which sees what was put */
    ck_assert_int_eq(second.rev, first.rev);
    ck_assert_int_eq(second.time, first.time);
    assert_ok(fv_txn_keyed_put(txn, &second, fv_bytes(""), &error));
    ck_assert_int_gt(second.time, first.time);
    check_value(first.value, "one"); /* until the transaction ends */
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    check_stored(client, "key", "");

    txn = begun(client);
    first = get(txn, "key");
    ck_assert_int_eq(first.rev, second.rev);
    assert_ok(fv_txn_keyed_delete(txn, &first, &error));
    ck_assert_int_eq(get(txn, "key").rev, 0);
    commit(txn);
    check_stored(client, "key", NULL);

    txn = begun(client);
    second = get(txn, "key");
    assert_ok(fv_txn_keyed_put(txn, &second, fv_bytes("two"), &error));
    ck_assert_int_gt(second.rev,
                     first.rev); /* who has read the deleted one cannot touch this one */
    commit(txn);
    flagver_close(client);
}
END_TEST

START_TEST(a_row_that_others_have_changed_is_not_written_over)
{
    flagver_client *client = open_store(_i);
    flagver_keyed_row before;
    flagver_txn *txn = begun(client);

    write_row(txn, "key", "one");
    commit(txn);
    txn = begun(client);
    before = get(txn, "key");
    before.rev--;
    assert_ok(fv_txn_keyed_put(txn, &before, fv_bytes("lost"), &error));
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    txn = begun(client);
    before = get(txn, "key");
    before.rev++;
    assert_ok(fv_txn_keyed_delete(txn, &before, &error));
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    check_stored(client, "key", "one");
    flagver_close(client);
}
END_TEST

START_TEST(a_row_is_held_on_every_kind_of_store)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begun(client);
    flagver_keyed_row row;
    int64_t rev;

    assert_ok(fv_txn_hold(txn, "space", fv_bytes("key"), NUMBER, false, &row, &error));
    ck_assert_int_eq(row.rev, 0);
    assert_ok(fv_txn_keyed_put(txn, &row, fv_bytes("one"), &error));
    rev = row.rev;
    ck_assert_int_gt(rev, 0);
    assert_ok(fv_txn_hold(txn, "space", fv_bytes("key"), NUMBER, true, &row, &error));
    ck_assert_int_eq(row.rev, rev);
    write_row(txn, "other", "two");
    check_value(get(txn, "other").value, "two");
    check_value(row.value, "one");
    commit(txn);

    txn = begun(client);
    assert_ok(fv_txn_hold(txn, "space", fv_bytes("key"), NUMBER, true, &row, &error));
    ck_assert_int_eq(row.rev, rev);
    check_value(row.value, "one");
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

/* ---- parts that are taken back ---- */

START_TEST(a_part_is_taken_back_alone)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begun(client);

    put_flag_in(txn, "f", VALUE(1));
    write_row(txn, "before", "stays");
    if (!can_nest(_i)) {
        assert_fails(FLAGVER_ENOTSUP, fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
    } else {
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
        write_row(txn, "before", "changed"); /* staged only */
        write_row(txn, "inside", "gone");
        check_value(get(txn, "before").value, "changed"); /* and handed over */
        write_row(txn, "late", "gone");
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_UNDO, &error));
        check_value(get(txn, "before").value, "stays");
        check_value(get(txn, "inside").value, NULL);
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
        write_row(txn, "kept", "stays");
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_KEEP, &error));
    }
    put_flag_in(txn, "g", VALUE(1));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    ck_assert_uint_eq(flag_no(client, "g"), 1);
    check_stored(client, "before", "stays");
    check_stored(client, "late", NULL);
    check_stored(client, "kept", can_nest(_i) ? "stays" : NULL);
    flagver_close(client);
}
END_TEST

START_TEST(after_a_refusal_a_part_is_taken_back)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begun(client);
    flagver_keyed_row row;

    if (can_nest(_i)) {
        write_row(txn, "key", "one");
        assert_ok(fv_txn_enter(txn, &error));
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
        row = get(txn, "key");
        row.rev = 0;
        assert_ok(fv_txn_keyed_put(txn, &row, fv_bytes("two"), &error));
        assert_fails(FLAGVER_EBUSY, fv_txn_nest(txn, FLAGVER_NEST_KEEP, &error));
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_UNDO, &error));
        /* A mistake now does not end the transaction: as it has nothing behind it. */
        ck_assert_int_eq(fv_txn_leave(txn, FLAGVER_EINVAL, NULL), FLAGVER_EINVAL);
        write_row(txn, "other", "two");
        commit(txn);
        check_stored(client, "key", "one");
        check_stored(client, "other", "two");
    } else {
        flagver_txn_free(txn);
    }
    flagver_close(client);
}
END_TEST

/* As where its connection is lost while a function of the host's uses it. */
START_TEST(a_part_of_a_transaction_that_is_over_is_not_taken_back)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begun(client);

    if (can_nest(_i)) {
        assert_ok(fv_txn_enter(txn, &error));
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
        fv_txn_pause(txn);
        assert_ok(fv_txn_enter(txn, &error));
        fv_txn_leave(txn, FLAGVER_EUNAVAILABLE, NULL);
        assert_fails(FLAGVER_EUNAVAILABLE, fv_txn_resume(txn, &error));
        assert_fails(FLAGVER_EUNAVAILABLE, fv_txn_nest(txn, FLAGVER_NEST_KEEP, &error));
        assert_fails(FLAGVER_EUNAVAILABLE, fv_txn_nest(txn, FLAGVER_NEST_UNDO, &error));
        fv_txn_leave(txn, FLAGVER_EUNAVAILABLE, &error);
        assert_fails(FLAGVER_EUNAVAILABLE, flagver_txn_commit(txn, &error));
    }
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

START_TEST(records_are_not_written_in_a_part)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begun(client);
    const char *subject = "f";

    if (can_nest(_i)) {
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
        write_row(txn, "key", "one");
        assert_fails(FLAGVER_EINVAL, try_put(txn, FLAGVER_PHASE_FLAG, "f", VALUE(1), NULL, NULL));
        assert_words("part of a transaction");
        assert_fails(FLAGVER_EINVAL,
                     flagver_txn_lock(txn, FLAGVER_PHASE_FLAG, &subject, 1, &error));
        assert_fails(FLAGVER_EINVAL, fv_txn_raise(txn, "space", "mark", &error));
        assert_fails(FLAGVER_EINVAL, fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
        assert_ok(fv_txn_nest(txn, FLAGVER_NEST_KEEP, &error));
        assert_fails(FLAGVER_EINVAL, fv_txn_nest(txn, FLAGVER_NEST_UNDO, &error));
        put_flag_in(txn, "f", VALUE(1));
    }
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), can_nest(_i));
    flagver_close(client);
}
END_TEST

/* ---- the application's statements ---- */

static void run_on_sqlite(flagver_txn *txn, const char *sql)
{
    char *words = NULL;
    sqlite3 *db;

    assert_ok(flagver_txn_connection_sqlite(txn, &db, &error));
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s: %s", sql, words);
}

static int64_t count_on_sqlite(flagver_txn *txn)
{
    sqlite3_stmt *statement;
    int64_t count;
    sqlite3 *db;

    assert_ok(flagver_txn_connection_sqlite(txn, &db, &error));
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM orders", -1, &statement, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

#ifndef FV_WITHOUT_postgres
static int64_t run_on_postgres(flagver_txn *txn, const char *sql)
{
    int64_t count;
    PGresult *result;
    PGconn *pq;

    assert_ok(flagver_txn_connection_postgres(txn, &pq, &error));
    result = PQexec(pq, sql);
    ck_assert_msg(!*PQresultErrorMessage(result), "%s: %s", sql, PQresultErrorMessage(result));
    count = PQntuples(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return count;
}

static void make_table_on_postgres(void)
{
    cluster_sql(cluster_shared(), database,
                "CREATE TABLE orders (name text); GRANT ALL ON orders TO app");
}
#else
static int64_t run_on_postgres(flagver_txn *txn, const char *sql)
{
    (void)txn;
    (void)sql;
    return 0;
}

static void make_table_on_postgres(void)
{
}
#endif

static int store_kind; /* of the test */

static void order(flagver_txn *txn)
{
    static const char sql[] = "INSERT INTO orders VALUES ('one')";

    if (store_kind == POSTGRES_KIND)
        run_on_postgres(txn, sql);
    else
        run_on_sqlite(txn, sql);
}

static int64_t orders(flagver_client *client)
{
    flagver_txn *txn = begin(client);
    int64_t count = store_kind == POSTGRES_KIND
                        ? run_on_postgres(txn, "SELECT count(*) FROM orders")
                        : count_on_sqlite(txn);

    flagver_txn_free(txn);
    return count;
}

/* A store that has a table of the application's; NULL: its kind has no such thing. */
static flagver_client *open_with_table(int kind)
{
    flagver_client *client = open_store(kind);
    flagver_txn *txn;
    void *connection;

    store_kind = kind;
    if (kind == POSTGRES_KIND) {
        make_table_on_postgres();
        return client;
    }
    txn = begin(client);
    if (kind == JSONFILE_KIND) {
        assert_fails(FLAGVER_ENOTSUP, flagver_txn_connection(txn, NULL, 0, &connection, &error));
        put_flag_in(txn, "f", VALUE(1)); /* it goes on */
        commit(txn);
        flagver_close(client);
        return NULL;
    }
    run_on_sqlite(txn, "CREATE TABLE orders (name TEXT)");
    commit(txn);
    return client;
}

START_TEST(what_the_application_writes_is_committed_with_ours)
{
    flagver_client *client = open_with_table(_i);
    flagver_txn *txn;

    if (!client)
        return;
    txn = begin(client);
    order(txn);
    put_flag_in(txn, "f", VALUE(1));
    order(txn);
    commit(txn);
    ck_assert_int_eq(orders(client), 2);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    txn = begin(client);
    put_flag_in(txn, "f", VALUE(2));
    order(txn);
    flagver_txn_free(txn);
    ck_assert_int_eq(orders(client), 2);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(what_the_application_writes_alone_is_committed)
{
    flagver_client *client = open_with_table(_i);
    flagver_txn *txn;

    if (!client)
        return;
    txn = begin(client);
    order(txn);
    commit(txn);
    ck_assert_int_eq(orders(client), 1);
    ck_assert_uint_eq(leaves_of(client), 0);
    flagver_close(client);
}
END_TEST

START_TEST(what_took_place_under_a_key_takes_place_once)
{
    flagver_client *client = open_with_table(_i);
    flagver_txn *txn;
    int i;

    if (!client)
        return;
    for (i = 0; i < 2; i++) {
        txn = begin_with_key(client, "key");
        put_flag_in(txn, "f", VALUE(1));
        order(txn);
        commit(txn);
    }
    ck_assert_int_eq(orders(client), 1);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

static int order_once(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    (void)err;
    order(txn);
    return 0;
}

START_TEST(an_unknown_commit_of_the_applications_rows_is_found_out)
{
    static const int lies[] = { FLAGVER_FAULT_DONE, FLAGVER_FAULT_NOT_DONE };
    flagver_client *client = open_with_table(FAULT_KIND);

    flagver_fault_lie(fault, 1, lies[_i]);
    assert_ok(flagver_txn_run(client, &alice, NULL, order_once, NULL, &error));
    ck_assert_int_eq(orders(client), 1);
    flagver_close(client);
}
END_TEST

/* Whoever waits does not take back what the application may be using at this moment. */
START_TEST(a_connection_that_is_lent_is_not_taken_away)
{
    const flagver_txn_options brief = { .size = sizeof brief, .timeout_ms = 20 };
    const struct timespec pause = { 0, 40000000 };
    flagver_options impatient = quiet_options();
    flagver_txn *txn, *other;
    flagver_client *client;
    sqlite3 *db;

    client = open_with_table(SQLITE_KIND);
    flagver_close(client);
    impatient.wait_ms = 200;
    client = open_with(SQLITE_KIND, &impatient);
    txn = begin_as(client, &alice, &brief);
    assert_ok(flagver_txn_connection_sqlite(txn, &db, &error));
    nanosleep(&pause, NULL);
    other = begin(client);
    assert_fails(FLAGVER_EBUSY, try_put(other, FLAGVER_PHASE_FLAG, "f", VALUE(1), NULL, NULL));
    flagver_txn_free(other);
    ck_assert_int_eq(sqlite3_get_autocommit(db), 0);
    assert_fails(FLAGVER_ETIMEDOUT, flagver_txn_connection_sqlite(txn, &db, &error));
    flagver_txn_free(txn);
    put_flag(client, "f", VALUE(1));
    flagver_close(client);
}
END_TEST

START_TEST(another_copy_of_the_library_gets_no_connection)
{
    flagver_client *client = open_with_table(_i);
    void *connection = NULL;
    flagver_txn *txn;

    if (!client)
        return;
    txn = begin(client);
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_connection(txn, "another copy", 1, &connection, &error));
    ck_assert_ptr_null(connection);
    assert_fails(FLAGVER_EINVAL, flagver_txn_connection(txn, NULL, 0, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_connection(NULL, NULL, 0, &connection, &error));
    order(txn);
    commit(txn);
    assert_fails(FLAGVER_EINVAL, flagver_txn_connection(NULL, NULL, 0, &connection, &error));
    ck_assert_int_eq(orders(client), 1);
    flagver_close(client);
}
END_TEST

/* ---- drivers that have none of it ---- */

static flagver_driver older;

START_TEST(a_driver_of_before_can_do_none_of_it)
{
    const flagver_options options = quiet_options();
    flagver_client *client = NULL;
    flagver_keyed_row row;
    void *connection;
    flagver_txn *txn;
    char uri[160];

    older = fv_sqlite_driver;
    older.name = "older";
    older.size = offsetof(flagver_driver, hold);
    assert_ok(flagver_driver_register(&older, &error));
    snprintf(uri, sizeof uri, "older:%s", file_named("store"));
    assert_ok(flagver_open(uri, &options, &client, &error));
    txn = begun(client);
    /* Others may write in this file, too. */
    assert_fails(FLAGVER_ENOTSUP,
                 fv_txn_hold(txn, "space", fv_bytes("key"), NUMBER, true, &row, &error));
    assert_words("\"older\"");
    assert_fails(FLAGVER_ENOTSUP, fv_txn_nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_txn_connection(txn, NULL, 0, &connection, &error));
    write_row(txn, "key", "one");
    commit(txn);
    check_stored(client, "key", "one");
    flagver_close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("within a transaction");
    TCase *tcase;

    tcase = add_store_tcase(suite, "keyed rows");
    tcase_add_loop_test(tcase, keyed_rows_are_read_written_and_deleted, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_row_that_others_have_changed_is_not_written_over, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_row_is_held_on_every_kind_of_store, 0, STORE_KINDS);

    tcase = add_store_tcase(suite, "parts that are taken back");
    tcase_add_loop_test(tcase, a_part_is_taken_back_alone, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, after_a_refusal_a_part_is_taken_back, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_part_of_a_transaction_that_is_over_is_not_taken_back, 0,
                        STORE_KINDS);
    tcase_add_loop_test(tcase, records_are_not_written_in_a_part, 0, STORE_KINDS);

    tcase = add_store_tcase(suite, "statements of the application's");
    tcase_add_loop_test(tcase, what_the_application_writes_is_committed_with_ours, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, what_the_application_writes_alone_is_committed, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, what_took_place_under_a_key_takes_place_once, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, an_unknown_commit_of_the_applications_rows_is_found_out, 0, 2);
    tcase_add_test(tcase, a_connection_that_is_lent_is_not_taken_away);
    tcase_add_loop_test(tcase, another_copy_of_the_library_gets_no_connection, 0, STORE_KINDS);
    tcase_add_test(tcase, a_driver_of_before_can_do_none_of_it);
    return run_store_suite(suite);
}
