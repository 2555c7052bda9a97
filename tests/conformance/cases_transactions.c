/*
 * Transactions: what is seen by whom and when, how they end, what is locked. One thread.
 */
#include <stdio.h>

#include "fixture.h"

/* ---- seeing ---- */

static const char *const keys[] = { "a", "b", "c", "d" };

static void put_key(flagver_driver_txn *txn, const char *key)
{
    struct conform_batch batch = { .count = 0 };

    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", key, 1, ""), 0);
    assert_ok(conform_apply(txn, &batch));
}

static void check_keys(flagver_driver_txn *txn, size_t wanted)
{
    const flagver_query query = conform_keyed_of("space", NULL);

    ck_assert_uint_eq(conform_count(txn, &query), wanted);
}

START_TEST(a_transaction_sees_its_own_changes_and_no_other_does)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    const flagver_query versions = conform_all_versions(),
                        tenants = { .kind = FLAGVER_QUERY_TENANTS };
    flagver_driver_txn *txn = conform_write(), *reader;
    struct conform_rows rows;
    flagver_version_row version;

    version = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "body");
    put_key(txn, "a");
    conform_one(txn, &versions, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("body")));
    conform_free(&rows);
    check_keys(txn, 1);
    ck_assert_uint_eq(conform_count(txn, &tenants), 1);

    reader = conform_read();
    ck_assert_uint_eq(conform_count(reader, &versions), 0);
    ck_assert_uint_eq(conform_count(reader, &tenants), 0);
    check_keys(reader, 0);
    conform_rollback(reader);

    conform_commit(txn);
    reader = conform_read();
    ck_assert_uint_eq(conform_count(reader, &versions), 1);
    check_keys(reader, 1);
    conform_rollback(reader);
}
END_TEST

START_TEST(a_reader_sees_one_state_while_others_commit)
{
    flagver_driver_txn *reader, *writer;
    size_t i;

    writer = conform_write();
    put_key(writer, keys[0]);
    conform_commit(writer);
    reader = conform_read();
    check_keys(reader, 1);
    for (i = 1; i < 4; i++) {
        writer = conform_write();
        put_key(writer, keys[i]);
        conform_commit(writer);
        check_keys(reader, 1);
    }
    conform_commit(reader);
    reader = conform_read();
    check_keys(reader, 4);
    conform_rollback(reader);
}
END_TEST

START_TEST(a_cursor_stays_in_its_state_while_others_commit)
{
    const flagver_query query = conform_keyed_of("space", NULL);
    flagver_driver_txn *reader, *writer;
    flagver_cursor *cursor;
    flagver_row row;

    writer = conform_write();
    put_key(writer, "b");
    put_key(writer, "d");
    conform_commit(writer);
    reader = conform_read();
    assert_ok(conform.driver->scan(reader, &query, &cursor, &conform_error));
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 1);
    writer = conform_write();
    put_key(writer, "a");
    put_key(writer, "c");
    conform_commit(writer);
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 1);
    ck_assert(conform_same(row.as.keyed.key, conform_text("d")));
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 0);
    conform.driver->end_scan(cursor);
    conform_rollback(reader);
}
END_TEST

START_TEST(readers_see_the_state_of_when_they_began_to_read)
{
    flagver_driver_txn *readers[4], *writer;
    size_t i;

    for (i = 0; i < 4; i++) {
        readers[i] = conform_read();
        check_keys(readers[i], i);
        writer = conform_write();
        put_key(writer, keys[i]);
        conform_commit(writer);
    }
    for (i = 0; i < 4; i++) {
        check_keys(readers[i], i);
        conform_rollback(readers[i]);
    }
}
END_TEST

START_TEST(a_writer_sees_the_newest_state)
{
    flagver_store *other = conform_open(CONFORM_WAIT_MS);
    flagver_driver_txn *txn;
    size_t i;

    for (i = 0; i < 4; i++) {
        txn = conform_begin(i % 2 ? conform.store : other, TENANT, FLAGVER_MODE_WRITE);
        check_keys(txn, i);
        put_key(txn, keys[i]);
        conform_commit(txn);
    }
    conform_close(other);
}
END_TEST

START_TEST(two_stores_on_one_path_see_the_same)
{
    flagver_store *other = conform_open(CONFORM_WAIT_MS);
    flagver_driver_txn *writer, *reader;

    reader = conform_begin(other, TENANT, FLAGVER_MODE_READ);
    check_keys(reader, 0);
    writer = conform_write();
    put_key(writer, "a");
    check_keys(reader, 0);
    conform_commit(writer);
    check_keys(reader, 0);
    conform_commit(reader);
    reader = conform_begin(other, TENANT, FLAGVER_MODE_READ);
    check_keys(reader, 1);
    conform_commit(reader);
    conform_close(other);
}
END_TEST

/* ---- ending ---- */

static void change_everything(flagver_driver_txn *txn)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    uint64_t size;

    version = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    conform_approve(txn, &series, NULL, &version);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "key", 1, ""), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("request", "key", 1, ""), 0);
    assert_ok(conform_apply(txn, &batch));
    assert_ok(conform.driver->lock_log(txn, &size, &conform_error));
    conform_add_leaf(&batch, conform_leaf(size, "leaf"));
    assert_ok(conform_apply(txn, &batch));
}

START_TEST(rolling_back_leaves_nothing)
{
    bool committed = true;
    flagver_driver_txn *txn = conform_write();

    change_everything(txn);
    conform_rollback(txn);
    conform_check_empty(conform.store);
    assert_ok(conform.driver->outcome(conform.store, conform_text(TENANT), conform_text("key"),
                                      &committed, &conform_error));
    ck_assert(!committed);
    /* The same ids and numbers are free. */
    txn = conform_write();
    change_everything(txn);
    conform_commit(txn);
}
END_TEST

START_TEST(rolling_back_restores_what_was_changed)
{
    flagver_version_row version, changed;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version), moved = series;
    flagver_query query = conform_versions_of(&series), all = conform_all_series();
    struct conform_rows rows;
    flagver_driver_txn *txn = conform_write();

    put_key(txn, "kept");
    conform_commit(txn);
    changed = version;
    txn = conform_write();
    conform_approve(txn, &moved, NULL, &changed);
    {
        struct conform_batch batch = { .count = 0 };

        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE,
                          conform_keyed("space", "kept", 0, NULL), 1);
        assert_ok(conform_apply(txn, &batch));
    }
    conform_rollback(txn);

    txn = conform_read();
    conform_one(txn, &query, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    conform_free(&rows);
    conform_one(txn, &all, &rows);
    conform_check_series(&rows.rows[0].as.series, &series);
    conform_free(&rows);
    check_keys(txn, 1);
    conform_rollback(txn);
}
END_TEST

START_TEST(transactions_without_changes_end_well)
{
    static const int modes[] = { FLAGVER_MODE_READ, FLAGVER_MODE_WRITE };
    size_t i;

    for (i = 0; i < 2; i++) {
        conform_commit(conform_begin(conform.store, TENANT, modes[i]));
        conform_rollback(conform_begin(conform.store, TENANT, modes[i]));
    }
    conform_check_empty(conform.store);
}
END_TEST

/* ---- tenants ---- */

START_TEST(tenants_have_rows_of_the_same_names)
{
    static const char *const names[] = { "tenant", "Tenant", "tenant2", "tenan" };
    const flagver_query all = conform_all_versions();
    flagver_driver_txn *txn;
    struct conform_rows rows;
    unsigned i;

    for (i = 0; i < 4; i++) {
        struct conform_batch batch = { .count = 0 };
        flagver_series_row series = conform_series(i + 1, "phase", "subject");
        flagver_keyed_row keyed = conform_keyed("space", "key", i + 1, names[i]);

        series.tenant = keyed.tenant = conform_text(names[i]);
        txn = conform_begin(conform.store, names[i], FLAGVER_MODE_WRITE);
        conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, names[i]);
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, keyed, 0);
        assert_ok(conform_apply(txn, &batch));
        conform_commit(txn);
    }
    for (i = 0; i < 4; i++) {
        const flagver_query keyed = conform_keyed_of("space", "key");

        txn = conform_begin(conform.store, names[i], FLAGVER_MODE_READ);
        conform_one(txn, &all, &rows);
        ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text(names[i])));
        ck_assert(conform_same(rows.rows[0].as.version.tenant, conform_text(names[i])));
        conform_free(&rows);
        conform_one(txn, &keyed, &rows);
        ck_assert(conform_same(rows.rows[0].as.keyed.value, conform_text(names[i])));
        conform_free(&rows);
        conform_rollback(txn);
    }
}
END_TEST

START_TEST(nothing_is_deleted_of_another_tenant)
{
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };
    flagver_keyed_row row = conform_keyed("space", "key", 1, "");

    put_key(txn, "key");
    conform_commit(txn);
    row.tenant = conform_text("other");
    row.time = INT64_MAX;
    txn = conform_begin(conform.store, "other", FLAGVER_MODE_WRITE);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_EXPIRE, row, FLAGVER_EXPECT_ANY);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE, row, FLAGVER_EXPECT_ANY);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    txn = conform_read();
    check_keys(txn, 1);
    conform_rollback(txn);
}
END_TEST

/* ---- locking ---- */

/* As lock wants it: the names, and nothing that may be looked at. */
static flagver_series_row named(const char *phase, const char *subject)
{
    flagver_series_row row;

    memset(&row, 0xee, sizeof row);
    row.tenant = conform_text(TENANT);
    row.phase = conform_text(phase);
    row.subject = conform_text(subject);
    return row;
}

START_TEST(locking_reads_the_series)
{
    flagver_version_row version;
    flagver_series_row a = conform_draft(1, "phase", "a", &version),
                       c = conform_draft(2, "phase", "c", &version),
                       z = conform_draft(3, "qhase", "a", &version);
    flagver_series_row rows[] = { named("phase", "a"), named("phase", "b"), named("phase", "c"),
                                  named("qhase", "a") };
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform.driver->lock(txn, rows, 4, 0, &conform_error));
    conform_check_series(&rows[0], &a);
    ck_assert_int_eq(rows[1].rev, 0);
    conform_check_series(&rows[2], &c);
    conform_check_series(&rows[3], &z);
    assert_ok(conform.driver->lock(txn, NULL, 0, 0, &conform_error));
    conform_rollback(txn);
}
END_TEST

START_TEST(a_series_can_be_locked_again_and_later)
{
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "b", &version);
    flagver_series_row row = named("phase", "b"), earlier = named("phase", "a"), again;
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform.driver->lock(txn, &row, 1, 0, &conform_error));
    conform_check_series(&row, &series);
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    again = named("phase", "b");
    assert_ok(conform.driver->lock(txn, &again, 1, 0, &conform_error));
    conform_check_series(&again, &series);
    /* Nobody else is there, so trying out of order succeeds. */
    assert_ok(conform.driver->lock(txn, &earlier, 1, 1, &conform_error));
    ck_assert_int_eq(earlier.rev, 0);
    /* The texts of locked rows stay what they are until the transaction ends. */
    row = again;
    conform_next_version(txn, &again, FLAGVER_STATE_DRAFT, "3");
    conform_next_version(txn, &again, FLAGVER_STATE_DRAFT, "4");
    conform_check_series(&row, &series);
    conform_commit(txn);
}
END_TEST

START_TEST(a_series_that_was_not_there_can_be_locked_and_created)
{
    flagver_series_row row = named("phase", "subject"), series;
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform.driver->lock(txn, &row, 1, 0, &conform_error));
    ck_assert_int_eq(row.rev, 0);
    series = conform_series(1, "phase", "subject");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    conform_commit(txn);

    txn = conform_write();
    row = named("phase", "subject");
    assert_ok(conform.driver->lock(txn, &row, 1, 0, &conform_error));
    conform_check_series(&row, &series);
    conform_rollback(txn);
}
END_TEST

START_TEST(locking_the_log_counts_its_leaves)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    uint64_t size = 99, no;

    for (no = 0; no < 3; no++) {
        txn = conform_write();
        assert_ok(conform.driver->lock_log(txn, &size, &conform_error));
        ck_assert_uint_eq(size, no);
        conform_add_leaf(&batch, conform_leaf(no, "leaf"));
        assert_ok(conform_apply(txn, &batch));
        conform_commit(txn);
    }
}
END_TEST

/* Try to make a series the transaction's own; EBUSY from whichever step it was. */
static int try_series(flagver_store *store, int try_only, flagver_series_row *row)
{
    flagver_driver_txn *txn;
    int r;

    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn,
                              &conform_error);
    if (r < 0)
        return r;
    r = conform.driver->lock(txn, row, 1, try_only, &conform_error);
    conform_rollback(txn);
    return r;
}

static int try_log(flagver_store *store)
{
    flagver_driver_txn *txn;
    uint64_t size;
    int r;

    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn,
                              &conform_error);
    if (r < 0)
        return r;
    r = conform.driver->lock_log(txn, &size, &conform_error);
    conform_rollback(txn);
    return r;
}

/* A locked series is nobody else's until the transaction ends, in whichever way. */
static void lock_elsewhere(flagver_store *first, flagver_store *second)
{
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version), row;
    flagver_driver_txn *txn;
    int way;

    for (way = 0; way < 2; way++) {
        txn = conform_begin(first, TENANT, FLAGVER_MODE_WRITE);
        row = named("phase", "subject");
        assert_ok(conform.driver->lock(txn, &row, 1, 0, &conform_error));
        row = named("phase", "subject");
        assert_fails(FLAGVER_EBUSY, try_series(second, 1, &row));
        assert_fails(FLAGVER_EBUSY, try_series(second, 0, &row));
        if (way == 0) {
            conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
            conform_commit(txn);
        } else {
            conform_rollback(txn);
        }
        row = named("phase", "subject");
        assert_ok(try_series(second, 1, &row));
        ck_assert_uint_eq(row.last_no, series.last_no);
    }
}

START_TEST(what_is_locked_is_busy_for_another_store)
{
    flagver_store *other = conform_open(CONFORM_SHORT_MS);

    lock_elsewhere(conform.store, other);
    conform_close(other);
}
END_TEST

START_TEST(what_is_locked_is_busy_for_another_transaction)
{
    conform_close(conform.store);
    conform.store = conform_open(CONFORM_SHORT_MS);
    lock_elsewhere(conform.store, conform.store);
}
END_TEST

START_TEST(the_locked_log_is_busy_for_others)
{
    flagver_store *other = conform_open(CONFORM_SHORT_MS);
    flagver_driver_txn *txn = conform_write();
    uint64_t size;

    assert_ok(conform.driver->lock_log(txn, &size, &conform_error));
    assert_fails(FLAGVER_EBUSY, try_log(other));
    conform_commit(txn);
    assert_ok(try_log(other));
    conform_close(other);
}
END_TEST

START_TEST(a_lock_out_of_order_is_only_tried)
{
    flagver_version_row version;
    flagver_series_row a = named("phase", "a"), b = named("phase", "b");
    flagver_driver_txn *first, *second;
    int r;

    conform_draft(1, "phase", "a", &version);
    conform_draft(2, "phase", "b", &version);
    conform_close(conform.store);
    conform.store = conform_open(CONFORM_SHORT_MS);
    first = conform_write();
    assert_ok(conform.driver->lock(first, &b, 1, 0, &conform_error));
    r = conform.driver->begin(conform.store, conform_text(TENANT), FLAGVER_MODE_WRITE, &second,
                              &conform_error);
    if (r == 0) {
        r = conform.driver->lock(second, &a, 1, 0, &conform_error);
        if (r == 0) {
            a = named("phase", "a");
            assert_fails(FLAGVER_EBUSY, conform.driver->lock(first, &a, 1, 1, &conform_error));
        }
        conform_rollback(second);
    }
    /* A driver may lock more than it is asked to. */
    ck_assert_msg(r == 0 || r == FLAGVER_EBUSY, "a writer of another series got %d", r);
    conform_rollback(first);
}
END_TEST

/* A series of this name by another store, inside and outside of the writer's time. */
START_TEST(of_two_who_create_a_series_one_wins)
{
    flagver_store *other = conform_open(CONFORM_SHORT_MS);
    flagver_driver_txn *first = conform_write(), *second;
    struct conform_batch batch = { .count = 0 };
    flagver_query query = conform_all_series();
    int r;

    conform_add_series(&batch, conform_series(1, "phase", "subject"), 0);
    assert_ok(conform_apply(first, &batch));
    r = conform.driver->begin(other, conform_text(TENANT), FLAGVER_MODE_WRITE, &second,
                              &conform_error);
    if (r == 0) {
        conform_add_series(&batch, conform_series(2, "phase", "subject"), 0);
        r = conform_apply(second, &batch);
        conform_rollback(second);
    }
    ck_assert_msg(r == FLAGVER_EBUSY || r == FLAGVER_ECONFLICT, "the second one got %d", r);
    conform_commit(first);

    second = conform_begin(other, TENANT, FLAGVER_MODE_WRITE);
    conform_add_series(&batch, conform_series(2, "phase", "subject"), 0);
    assert_fails(FLAGVER_ECONFLICT, conform_apply(second, &batch));
    conform_rollback(second);
    second = conform_begin(other, TENANT, FLAGVER_MODE_READ);
    ck_assert_uint_eq(conform_count(second, &query), 1);
    conform_rollback(second);
    conform_close(other);
}
END_TEST

void conform_transaction_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "transactions");

    conform_add(tcase, NEEDS_SNAPSHOTS, a_transaction_sees_its_own_changes_and_no_other_does);
    conform_add(tcase, NEEDS_SNAPSHOTS, a_reader_sees_one_state_while_others_commit);
    conform_add(tcase, NEEDS_SNAPSHOTS, a_cursor_stays_in_its_state_while_others_commit);
    conform_add(tcase, NEEDS_SNAPSHOTS, readers_see_the_state_of_when_they_began_to_read);
    conform_add(tcase, NEEDS_PROCESSES, a_writer_sees_the_newest_state);
    conform_add(tcase, NEEDS_PROCESSES, two_stores_on_one_path_see_the_same);
    conform_add(tcase, 0, rolling_back_leaves_nothing);
    conform_add(tcase, 0, rolling_back_restores_what_was_changed);
    conform_add(tcase, 0, transactions_without_changes_end_well);
    conform_add(tcase, 0, tenants_have_rows_of_the_same_names);
    conform_add(tcase, 0, nothing_is_deleted_of_another_tenant);

    tcase = conform_tcase(suite, "locks");
    conform_add(tcase, 0, locking_reads_the_series);
    conform_add(tcase, 0, a_series_can_be_locked_again_and_later);
    conform_add(tcase, 0, a_series_that_was_not_there_can_be_locked_and_created);
    conform_add(tcase, 0, locking_the_log_counts_its_leaves);
    conform_add(tcase, NEEDS_PROCESSES, what_is_locked_is_busy_for_another_store);
    conform_add(tcase, NEEDS_REOPEN | NEEDS_MANY_WRITERS,
                what_is_locked_is_busy_for_another_transaction);
    conform_add(tcase, NEEDS_PROCESSES, the_locked_log_is_busy_for_others);
    conform_add(tcase, NEEDS_REOPEN | NEEDS_MANY_WRITERS, a_lock_out_of_order_is_only_tried);
    conform_add(tcase, NEEDS_PROCESSES, of_two_who_create_a_series_one_wins);
}
