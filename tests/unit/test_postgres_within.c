/*
 * Within a transaction of the PostgreSQL driver: rows that are held, parts that are taken back, and
 * the application's statements on its connection.
 */
#define _POSIX_C_SOURCE 200809L
#include "cluster.h"
#include "unit/postgres_store.h"

#define MANY 600 /* changes whose answers are taken later */

#define CONNECTION PGconn
#define LIBRARY PQresStatus(PGRES_COMMAND_OK)
#define LIBRARY_VERSION PQlibVersion()
#define BEGIN_ANOTHER "BEGIN"
#define IN_ORDER(name, from) \
    "SELECT coalesce(string_agg(" name ", ' ' ORDER BY " name "), '') FROM " from
#define ALL_KEYS IN_ORDER("key", "flagver.keyed WHERE space = 'space'")
#define ALL_ORDERS IN_ORDER("name", "orders")

static PGconn *application;

#include "unit/nesting.h"

static void start(void)
{
    set_up();
    sql("CREATE TABLE orders (name text UNIQUE); GRANT ALL ON orders TO " ROLE);
    application = connect_as(ROLE);
}

static void end(void)
{
    PQfinish(application);
    tear_down();
}

/* ---- the application's statements ---- */

START_TEST(a_part_is_undone_behind_a_statement_that_failed)
{
    flagver_driver_txn *txn = writing();
    PGconn *pq = lent(txn);

    assert_run(pq, "INSERT INTO orders VALUES ('one')");
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "a", 0));
    assert_run(pq, "INSERT INTO orders VALUES ('two')");
    ck_assert_str_eq(run_on(pq, "INSERT INTO orders VALUES ('one')"), "23505");
    assert_fails(FLAGVER_EINVAL, put_row(txn, "b", 0));
    assert_fails(FLAGVER_EINVAL, driver->nest(txn, FLAGVER_NEST_KEEP, &error));
    assert_words("failed");
    assert_ok(driver->nest(txn, FLAGVER_NEST_UNDO, &error));
    assert_ok(put_row(txn, "c", 0));
    assert_run(pq, "INSERT INTO orders VALUES ('three')");
    assert_ok(driver->commit(txn, &error));
    assert_rows("c", "one three");
}
END_TEST

START_TEST(a_failed_statement_ends_the_transaction_outside_of_a_part)
{
    flagver_driver_txn *txn = writing();
    PGconn *pq = lent(txn);
    flagver_keyed_row row;

    assert_ok(put_row(txn, "a", 0));
    ck_assert_str_eq(run_on(pq, "SELECT 1 / 0"), "22012");
    assert_fails(FLAGVER_EINVAL, hold(txn, "a", 1, &row));
    assert_words("statement of the application's");
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    assert_rows("", "");
    commit_row("b", 0);
    assert_rows("b", "");
}
END_TEST

/* A savepoint of the application's own. */
START_TEST(a_failed_statement_in_a_savepoint_ends_nothing)
{
    flagver_driver_txn *txn = writing();
    PGconn *pq = lent(txn);

    assert_run(pq, "SAVEPOINT theirs");
    ck_assert_str_eq(run_on(pq, "SELECT 1 / 0"), "22012");
    assert_run(pq, "ROLLBACK TO theirs");
    assert_ok(put_row(txn, "a", 0));
    assert_ok(driver->commit(txn, &error));
    assert_rows("a", "");
}
END_TEST

/* What the application leaves behind: its words, and where the connection goes. */
static void leave_pipeline(PGconn *pq)
{
    ck_assert(PQenterPipelineMode(pq));
}

static void leave_nonblocking(PGconn *pq)
{
    ck_assert_int_eq(PQsetnonblocking(pq, 1), 0);
}

static void leave_results(PGconn *pq)
{
    ck_assert(PQsendQuery(pq, "SELECT generate_series(1, 3)"));
}

static void leave_committed(PGconn *pq)
{
    assert_run(pq, "COMMIT");
}

static const struct {
    void (*leave)(PGconn *pq);
    const char *words;
} leavings[] = { { leave_pipeline, "pipeline" },
                 { leave_nonblocking, "nonblocking" },
                 { leave_results, "under way" },
                 { leave_committed, "ended" } };

START_TEST(what_the_application_leaves_behind_is_refused)
{
    flagver_driver_txn *txn = writing();

    leavings[_i].leave(lent(txn));
    assert_fails(FLAGVER_EINVAL, put_row(txn, "a", 0));
    assert_words(leavings[_i].words);
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    commit_row("b", 0); /* and it is in nobody's way */
    txn = writing();
    ck_assert_int_eq(PQpipelineStatus(txn->conn->pq), PQ_PIPELINE_OFF);
    ck_assert_int_eq(PQisnonblocking(txn->conn->pq), 0);
    ck_assert(!txn->conn->lent);
    driver->rollback(txn);
    assert_rows("b", "");
}
END_TEST

/* ---- settings, and statements that are kept ---- */

static void assert_setting(PGconn *pq, const char *name, const char *wanted)
{
    char query[64];

    snprintf(query, sizeof query, "SHOW %s", name);
    ck_assert_str_eq(value_on(pq, query), wanted);
}

START_TEST(the_applications_statements_are_planned_as_its_own)
{
    static const char *const names[] = { "enable_seqscan", "jit", "enable_memoize" };
    char before[3][40];
    flagver_driver_txn *txn = writing();
    PGconn *pq = txn->conn->pq;
    size_t i, count = PQserverVersion(application) < 140000 ? 2 : 3;

    for (i = 0; i < count; i++) {
        snprintf(before[i], sizeof before[i], "SHOW %s", names[i]);
        snprintf(before[i], sizeof before[i], "%s", value_on(application, before[i]));
        assert_setting(pq, names[i], "off");
    }
    ck_assert_ptr_eq(lent(txn), pq);
    for (i = 0; i < count; i++)
        assert_setting(pq, names[i], before[i]);
    assert_setting(pq, "lock_timeout", "10s");
    assert_setting(pq, "flagver.tenant", "default");
    assert_ok(driver->commit(txn, &error));

    txn = writing(); /* what follows on the same connection is ours alone */
    ck_assert_ptr_eq(txn->conn->pq, pq);
    assert_setting(pq, "enable_seqscan", "off");
    driver->rollback(txn);
}
END_TEST

START_TEST(a_setting_of_the_roles_holds_for_its_statements)
{
    flagver_driver_txn *txn;

    sql("ALTER ROLE " ROLE " SET enable_seqscan = off");
    driver->close(store);
    store = open_as(ROLE, WAIT_MS);
    txn = writing();
    assert_setting(lent(txn), "enable_seqscan", "off");
    driver->rollback(txn);
    sql("ALTER ROLE " ROLE " RESET enable_seqscan");
}
END_TEST

#define KEPT "SELECT count(*) FROM pg_prepared_statements"

START_TEST(no_statement_is_kept_while_the_connection_is_lent)
{
    flagver_driver_txn *txn = writing();
    PGconn *pq = lent(txn);
    char before[16];

    snprintf(before, sizeof before, "%s", value_on(pq, KEPT));
    assert_ok(put_row(txn, "a", 0));
    ck_assert_str_eq(value_on(pq, KEPT), before);
    assert_ok(driver->commit(txn, &error));
    txn = writing();
    ck_assert_ptr_eq(txn->conn->pq, pq);
    assert_ok(put_row(txn, "b", 0));
    ck_assert_str_ne(value_on(pq, KEPT), before);
    driver->rollback(txn);
}
END_TEST

/* ---- what is under way ---- */

static int put_many(flagver_driver_txn *txn, const char *last)
{
    static flagver_keyed_row rows[MANY];
    static flagver_change changes[MANY];
    static char keys[MANY][16];
    size_t i;

    for (i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "many-%u", (unsigned)i);
        rows[i] = keyed(i + 1 < MANY ? keys[i] : last, 1);
        changes[i] = (flagver_change){ .kind = FLAGVER_CHANGE_KEYED };
        changes[i].row.keyed = &rows[i];
    }
    return driver->apply(txn, changes, MANY, &error);
}

START_TEST(what_is_under_way_is_finished_before)
{
    flagver_driver_txn *txn = writing();
    PGconn *pq;

    assert_ok(put_many(txn, "last"));
    ck_assert(txn->behind);
    pq = lent(txn);
    ck_assert_int_eq(PQtransactionStatus(pq), PQTRANS_INTRANS);
    ck_assert_str_eq(value_on(pq, "SELECT count(*) FROM flagver.keyed"), "600");
    assert_ok(driver->commit(txn, &error));

    sql("DELETE FROM flagver.keyed WHERE key <> 'last'");
    txn = writing();
    ck_assert_ptr_eq(lent(txn), pq);
    assert_fails(FLAGVER_ECONFLICT, put_many(txn, "last")); /* and at once from then on */
    driver->rollback(txn);
}
END_TEST

/* Elsewhere the next rows are asked for while these are looked at. */
START_TEST(no_rows_are_on_their_way_between_calls)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = text("space") };
    flagver_driver_txn *txn = writing();
    flagver_cursor *cursor;
    flagver_row row;
    PGconn *pq;
    int found;

    sql("INSERT INTO flagver.keyed SELECT 'default', 'space', n, 1, 1, '' "
        "FROM generate_series(1, 6000) AS n");
    pq = lent(txn);
    assert_ok(driver->scan(txn, &query, &cursor, &error));
    for (found = 0; driver->next(cursor, &row, &error) == 1; found++)
        ck_assert_int_eq(PQtransactionStatus(pq), PQTRANS_INTRANS);
    ck_assert_int_eq(found, 6000);
    driver->end_scan(cursor);
    driver->rollback(txn);
}
END_TEST

START_TEST(what_was_refused_late_is_told_before)
{
    flagver_adoption adoption = { .connection = NULL };
    flagver_driver_txn *txn = writing();

    assert_ok(put_many(txn, "many-0"));
    assert_fails(FLAGVER_EBUSY, driver->connection(txn, &adoption, &error));
    ck_assert_ptr_null(adoption.connection);
    driver->rollback(txn);
}
END_TEST

/* ---- in the application's transaction ---- */

START_TEST(the_applications_own_settings_stay)
{
    flagver_driver_txn *txn;

    assert_run(application, "BEGIN; SET LOCAL enable_seqscan = off");
    txn = adopted();
    ck_assert_ptr_eq(lent(txn), application);
    assert_setting(application, "enable_seqscan", "off");
    assert_ok(put_row(txn, "a", 0));
    assert_ok(driver->commit(txn, &error));
    assert_setting(application, "enable_seqscan", "off");
    assert_run(application, "COMMIT");
}
END_TEST

START_TEST(parts_of_an_adopted_transaction_are_kept_and_undone)
{
    flagver_driver_txn *txn;

    assert_run(application, "BEGIN; INSERT INTO orders VALUES ('one')");
    txn = adopted();
    assert_ok(put_row(txn, "a", 0));
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "b", 0));
    assert_fails(FLAGVER_ECONFLICT, put_row(txn, "a", 0));
    ck_assert_str_eq(run_on(application, "INSERT INTO orders VALUES ('one')"), "23505");
    assert_ok(driver->nest(txn, FLAGVER_NEST_UNDO, &error));
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "c", 0));
    assert_ok(driver->nest(txn, FLAGVER_NEST_UNDO, &error)); /* also when nothing has failed */
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "d", 0));
    assert_run(application, "INSERT INTO orders VALUES ('two')");
    assert_ok(driver->nest(txn, FLAGVER_NEST_KEEP, &error));
    assert_ok(put_row(txn, "e", 0));
    assert_ok(driver->commit(txn, &error));
    assert_run(application, "COMMIT");
    assert_rows("a d e", "one two");
}
END_TEST

/* ---- rows that are held ---- */

START_TEST(who_holds_a_row_has_a_lock_until_the_end)
{
    flagver_store *other = open_as(ROLE, SHORT_MS);
    flagver_driver_txn *txn = writing(), *second;
    flagver_keyed_row row;

    assert_ok(hold(txn, "a", 1, &row));
    ck_assert_str_eq(answer("SELECT string_agg(mode, ' ') FROM pg_locks WHERE "
                            "locktype = 'advisory' AND objid = 4711 AND granted"),
                     "ShareLock");
    second = begin(other, FLAGVER_MODE_WRITE);
    assert_fails(FLAGVER_EBUSY, hold(second, "a", 0, &row));
    ck_assert_str_eq(error.sqlstate, "55P03");
    driver->rollback(second);
    assert_ok(driver->commit(txn, &error));
    ck_assert_str_eq(answer("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
    driver->close(other);
}
END_TEST

/* One that begins to see its state before somebody else commits. */
static flagver_driver_txn *adopted_at(const char *level)
{
    char statements[100];

    snprintf(statements, sizeof statements, "BEGIN ISOLATION LEVEL %s; SELECT count(*) FROM orders",
             level);
    assert_run(application, statements);
    return adopted();
}

START_TEST(the_newest_row_is_held_in_an_adopted_transaction)
{
    flagver_driver_txn *txn;
    flagver_keyed_row row;

    txn = adopted_at("READ COMMITTED");
    commit_row("a", 0);
    assert_ok(hold(txn, "a", 1, &row));
    ck_assert_int_eq(row.rev, 1);
    ck_assert(is_text(row.value, "value"));
    ck_assert_str_eq(
        answer("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"), "1");
    assert_ok(driver->commit(txn, &error)); /* ours; the application's goes on, and holds it */
    ck_assert_str_eq(
        answer("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"), "1");
    assert_run(application, "COMMIT");
}
END_TEST

static const char *const strict_levels[] = { "REPEATABLE READ", "SERIALIZABLE" };

#define STRICT_LEVELS ((int)(sizeof strict_levels / sizeof *strict_levels))

START_TEST(a_row_that_has_changed_since_is_not_held_as_it_was)
{
    static const char *const keys[] = { "changed", "deleted", "added" };
    flagver_driver_txn *txn;
    flagver_keyed_row row;
    size_t i;

    commit_row("changed", 0);
    commit_row("deleted", 0);
    for (i = 0; i < sizeof keys / sizeof *keys; i++) {
        txn = adopted_at(strict_levels[_i]);
        if (i == 1)
            sql("DELETE FROM flagver.keyed WHERE key = 'deleted'");
        else
            commit_row(keys[i], i == 0);
        assert_fails(FLAGVER_EBUSY, hold(txn, keys[i], 1, &row));
        ck_assert_str_eq(error.sqlstate, "40001");
        ck_assert_int_eq(PQtransactionStatus(application), PQTRANS_INTRANS); /* as it was */
        driver->rollback(txn);
        assert_run(application, "ROLLBACK");
    }
}
END_TEST

START_TEST(a_row_that_has_not_changed_is_held_as_it_is)
{
    flagver_driver_txn *txn;
    flagver_keyed_row row;

    commit_row("a", 0);
    txn = adopted_at(strict_levels[_i]);
    assert_ok(hold(txn, "a", 1, &row));
    ck_assert_int_eq(row.rev, 1);
    assert_ok(put_row(txn, "a", 1));
    assert_ok(hold(txn, "a", 0, &row));
    ck_assert_int_eq(row.rev, 2);
    assert_ok(hold(txn, "b", 1, &row));
    ck_assert_int_eq(row.rev, 0);
    assert_ok(put_row(txn, "b", 0));
    assert_ok(driver->commit(txn, &error));
    assert_run(application, "COMMIT");
    assert_rows("a b", "");
}
END_TEST

START_TEST(a_row_that_is_not_there_is_not_added_by_looking)
{
    flagver_driver_txn *txn = adopted_at(strict_levels[_i]);
    flagver_keyed_row row;

    assert_ok(hold(txn, "a", 1, &row));
    ck_assert_int_eq(row.rev, 0);
    assert_ok(driver->commit(txn, &error));
    assert_run(application, "COMMIT");
    assert_rows("", "");
}
END_TEST

START_TEST(a_row_is_held_and_a_connection_lent_behind_a_pooler)
{
    struct pooler *pooler;
    flagver_driver_config how = { .size = sizeof how, .wait_ms = SHORT_MS };
    flagver_driver_txn *txn, *second;
    flagver_store *pooled;
    flagver_keyed_row row;

    if (!pooler_possible())
        pooler_skip();
    pooler = pooler_start(cluster_shared(), "");
    how.path = strchr(pooler_uri(pooler, database, ROLE), ':') + 1;
    assert_ok(driver->open(&how, &pooled, &error));
    txn = begin(pooled, FLAGVER_MODE_WRITE);
    assert_ok(hold(txn, "a", 0, &row));
    assert_run(lent(txn), "INSERT INTO orders VALUES ('one')");
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &error));
    assert_ok(put_row(txn, "lost", 0));
    ck_assert_str_eq(run_on(lent(txn), "INSERT INTO orders VALUES ('one')"), "23505");
    assert_ok(driver->nest(txn, FLAGVER_NEST_UNDO, &error));
    second = begin(pooled, FLAGVER_MODE_WRITE);
    assert_fails(FLAGVER_EBUSY, hold(second, "a", 1, &row));
    driver->rollback(second);
    assert_ok(put_row(txn, "a", 0));
    assert_ok(driver->commit(txn, &error));
    second = begin(pooled, FLAGVER_MODE_WRITE);
    assert_ok(hold(second, "a", 1, &row));
    ck_assert_int_eq(row.rev, 1);
    driver->rollback(second);
    driver->close(pooled);
    pooler_stop(pooler);
    assert_rows("a", "one");
}
END_TEST

static TCase *new_tcase(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, start, end);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("within a transaction of PostgreSQL's");
    TCase *tcase = new_tcase(suite, "whatever the database");
    int r;

    add_nesting_tests(tcase);

    tcase = new_tcase(suite, "statements of the application's");
    tcase_add_test(tcase, a_part_is_undone_behind_a_statement_that_failed);
    tcase_add_test(tcase, a_failed_statement_ends_the_transaction_outside_of_a_part);
    tcase_add_test(tcase, a_failed_statement_in_a_savepoint_ends_nothing);
    tcase_add_loop_test(tcase, what_the_application_leaves_behind_is_refused, 0,
                        (int)(sizeof leavings / sizeof *leavings));
    tcase_add_test(tcase, the_applications_statements_are_planned_as_its_own);
    tcase_add_test(tcase, a_setting_of_the_roles_holds_for_its_statements);
    tcase_add_test(tcase, no_statement_is_kept_while_the_connection_is_lent);
    tcase_add_test(tcase, what_is_under_way_is_finished_before);
    tcase_add_test(tcase, no_rows_are_on_their_way_between_calls);
    tcase_add_test(tcase, what_was_refused_late_is_told_before);

    tcase = new_tcase(suite, "in the application's transaction");
    tcase_add_test(tcase, the_applications_own_settings_stay);
    tcase_add_test(tcase, parts_of_an_adopted_transaction_are_kept_and_undone);

    tcase = new_tcase(suite, "rows that are held");
    tcase_add_test(tcase, who_holds_a_row_has_a_lock_until_the_end);
    tcase_add_test(tcase, the_newest_row_is_held_in_an_adopted_transaction);
    tcase_add_loop_test(tcase, a_row_that_has_changed_since_is_not_held_as_it_was, 0,
                        STRICT_LEVELS);
    tcase_add_loop_test(tcase, a_row_that_has_not_changed_is_held_as_it_is, 0, STRICT_LEVELS);
    tcase_add_loop_test(tcase, a_row_that_is_not_there_is_not_added_by_looking, 0, STRICT_LEVELS);
    tcase_add_test(tcase, a_row_is_held_and_a_connection_lent_behind_a_pooler);

    prepare_cluster();
    r = run_suite(suite);
    clean_cluster();
    return r;
}
