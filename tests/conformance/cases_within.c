/*
 * Within a transaction: rows that are held, parts that are taken back, a connection that is lent.
 * What an application does with that connection is for tests of the database's own.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep() */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "fixture.h"

#define NUMBER INT64_C(0x5eed5eed5eed5eed) /* stands for the row that most tests hold */
#define SHARED 1
#define ALONE 0
#define MANY 600 /* changes: more than a driver may look at before its call returns */
#define THREADS 4
#define ROUNDS 12

/* ---- holding ---- */

static flagver_keyed_row unread(const char *key)
{
    return (flagver_keyed_row){ .space = conform_text("fence"),
                                .key = conform_text(key),
                                .rev = 99,
                                .time = 99,
                                .value = conform_text("unread") };
}

static int hold(flagver_driver_txn *txn, int shared, flagver_keyed_row *ret_row)
{
    *ret_row = unread("row");
    return conform.driver->hold(txn, ret_row, NUMBER, shared, &conform_error);
}

static int put(flagver_driver_txn *txn, const char *key, int64_t rev, const char *value)
{
    struct conform_batch batch = { .count = 0 };

    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("fence", key, rev, value),
                      rev - 1);
    return conform_apply(txn, &batch);
}

static void check_absent(const flagver_keyed_row *row)
{
    ck_assert_int_eq(row->rev, 0);
    ck_assert_int_eq(row->time, 0);
    ck_assert_ptr_null(row->value.data);
    ck_assert(conform_same(row->key, conform_text("row")));
}

/* Is the row there as put() has written it? */
static void check_held(const flagver_keyed_row *row, int64_t rev, const char *value)
{
    const flagver_keyed_row wanted = conform_keyed("fence", "row", rev, value);

    conform_check_keyed(row, &wanted);
}

START_TEST(holding_a_row_reads_it)
{
    flagver_driver_txn *txn = conform_write();
    flagver_keyed_row row;

    assert_ok(hold(txn, ALONE, &row));
    check_absent(&row);
    assert_ok(put(txn, "row", 1, ""));
    assert_ok(hold(txn, ALONE, &row)); /* once more is fine, and sees what the transaction wrote */
    check_held(&row, 1, "");
    conform_commit(txn);

    txn = conform_write();
    assert_ok(hold(txn, SHARED, &row));
    check_held(&row, 1, "");
    assert_ok(put(txn, "row", 2, "value"));
    conform_commit(txn);
    txn = conform_write();
    assert_ok(hold(txn, ALONE, &row));
    check_held(&row, 2, "value");
    conform_rollback(txn);
}
END_TEST

START_TEST(a_row_of_another_tenant_is_not_the_one_that_is_held)
{
    flagver_driver_txn *txn = conform_write();
    flagver_keyed_row row;

    assert_ok(put(txn, "row", 1, "value"));
    conform_commit(txn);
    txn = conform_begin(conform.store, "another", FLAGVER_MODE_WRITE);
    assert_ok(hold(txn, ALONE, &row));
    check_absent(&row);
    conform_rollback(txn);
}
END_TEST

START_TEST(many_rows_are_held_at_once)
{
    flagver_driver_txn *txn = conform_write();
    flagver_keyed_row row;
    char key[16];
    int i;

    for (i = 0; i < 30; i++) {
        snprintf(key, sizeof key, "row-%d", i);
        row = unread(key);
        assert_ok(conform.driver->hold(txn, &row, NUMBER + i, i % 2, &conform_error));
        ck_assert_int_eq(row.rev, 0);
        assert_ok(put(txn, key, 1, key));
    }
    conform_commit(txn);
}
END_TEST

/* What comes of a try to hold the row in a transaction of its own; from whichever step. */
static int try_hold(flagver_store *store, int shared, int64_t *ret_rev)
{
    flagver_driver_txn *txn;
    flagver_keyed_row row;
    int r;

    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn,
                              &conform_error);
    if (r < 0)
        return r;
    r = hold(txn, shared, &row);
    if (r == 0)
        *ret_rev = row.rev;
    conform_rollback(txn);
    return r;
}

/* Also one that is not there: it must not come to be behind the back of who holds it. */
static void hold_elsewhere(flagver_store *first, flagver_store *second)
{
    flagver_driver_txn *txn;
    flagver_keyed_row row;
    int64_t rev = 0, found;
    int way;

    for (way = 0; way < 4; way++) {
        txn = conform_begin(first, TENANT, FLAGVER_MODE_WRITE);
        assert_ok(hold(txn, ALONE, &row));
        ck_assert_int_eq(row.rev, rev);
        assert_fails(FLAGVER_EBUSY, try_hold(second, SHARED, &found));
        assert_fails(FLAGVER_EBUSY, try_hold(second, ALONE, &found));
        assert_ok(put(txn, "row", rev + 1, "value"));
        if (way % 2) {
            conform_commit(txn);
            rev++;
        } else {
            conform_rollback(txn);
        }
        assert_ok(try_hold(second, SHARED, &found));
        ck_assert_int_eq(found, rev);
        assert_ok(try_hold(second, ALONE, &found));
        ck_assert_int_eq(found, rev);
    }
}

START_TEST(a_row_that_is_held_alone_is_busy_for_another_store)
{
    flagver_store *other = conform_open(CONFORM_SHORT_MS);

    hold_elsewhere(conform.store, other);
    conform_close(other);
}
END_TEST

START_TEST(a_row_that_is_held_alone_is_busy_for_another_transaction)
{
    conform_close(conform.store);
    conform.store = conform_open(CONFORM_SHORT_MS);
    hold_elsewhere(conform.store, conform.store);
}
END_TEST

START_TEST(a_row_is_held_shared_by_many)
{
    flagver_driver_txn *first, *second;
    flagver_keyed_row row;
    int64_t found;

    conform_close(conform.store);
    conform.store = conform_open(CONFORM_SHORT_MS);
    first = conform_write();
    second = conform_write();
    assert_ok(hold(first, SHARED, &row));
    assert_ok(hold(second, SHARED, &row));
    assert_fails(FLAGVER_EBUSY, try_hold(conform.store, ALONE, &found));
    conform_commit(first);
    assert_fails(FLAGVER_EBUSY, try_hold(conform.store, ALONE, &found));
    assert_ok(try_hold(conform.store, SHARED, &found));
    conform_rollback(second);
    assert_ok(try_hold(conform.store, ALONE, &found));
}
END_TEST

START_TEST(rows_are_held_each_by_itself)
{
    flagver_driver_txn *first = conform_write(), *second = conform_write();
    flagver_keyed_row row, other = unread("other");

    assert_ok(hold(first, ALONE, &row));
    assert_ok(conform.driver->hold(second, &other, NUMBER + 1, ALONE, &conform_error));
    conform_commit(first);
    conform_commit(second);
}
END_TEST

/* ---- holding, from threads ---- */

struct holder {
    flagver_store *store;
    int rounds;
    int result;
    const char *step;
};

static void rest(long milliseconds)
{
    const struct timespec time = { 0, milliseconds * 1000000 };

    nanosleep(&time, NULL);
}

static int begin_for(struct holder *holder, flagver_driver_txn **ret_txn)
{
    holder->step = "begin";
    return conform.driver->begin(holder->store, conform_text(TENANT), FLAGVER_MODE_WRITE, ret_txn,
                                 NULL);
}

static int end_for(struct holder *holder, flagver_driver_txn *txn, int r)
{
    if (r == 0) {
        holder->step = "commit";
        return conform.driver->commit(txn, NULL);
    }
    conform.driver->rollback(txn);
    return r;
}

/* Read the row, then write what comes next. A conflict is not for who holds it. */
static int count_up(struct holder *holder)
{
    struct conform_batch batch = { .count = 0 };
    flagver_keyed_row row = unread("row");
    flagver_driver_txn *txn;
    int r = begin_for(holder, &txn);

    if (r < 0)
        return r;
    holder->step = "hold";
    r = conform.driver->hold(txn, &row, NUMBER, ALONE, NULL);
    if (r == 0) {
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED,
                          conform_keyed("fence", "row", row.rev + 1, "value"), row.rev);
        holder->step = "apply";
        r = conform.driver->apply(txn, batch.changes, batch.count, NULL);
    }
    return end_for(holder, txn, r);
}

/* As long as the row is held shared it stays as it is. */
static int look_twice(struct holder *holder)
{
    flagver_keyed_row row = unread("row");
    flagver_driver_txn *txn;
    int64_t rev = 0;
    int r = begin_for(holder, &txn);

    if (r < 0)
        return r;
    holder->step = "hold";
    r = conform.driver->hold(txn, &row, NUMBER, SHARED, NULL);
    if (r == 0) {
        rev = row.rev;
        rest(1);
        holder->step = "hold again";
        row = unread("row");
        r = conform.driver->hold(txn, &row, NUMBER, SHARED, NULL);
    }
    if (r == 0 && row.rev != rev)
        r = 1; /* it has changed */
    return end_for(holder, txn, r);
}

static void repeat(struct holder *holder, int (*once)(struct holder *holder))
{
    int tries = 0, r = 0;

    for (; r == 0 && holder->rounds > 0; holder->rounds--)
        do
            r = once(holder);
        while (r == FLAGVER_EBUSY && ++tries < 10000);
    holder->result = r;
}

static void *count_often(void *data)
{
    repeat(data, count_up);
    return NULL;
}

static void *look_often(void *data)
{
    repeat(data, look_twice);
    return NULL;
}

/* Each thread in a store of its own. */
static void run_together(void *(*const bodies[THREADS])(void *data), int64_t wanted)
{
    struct holder holders[THREADS];
    pthread_t threads[THREADS];
    int64_t rev;
    int i;

    for (i = 0; i < THREADS; i++) {
        holders[i] = (struct holder){ conform_open(CONFORM_WAIT_MS), ROUNDS, 99, "" };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, bodies[i], &holders[i]), 0);
    }
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (i = 0; i < THREADS; i++) {
        ck_assert_msg(holders[i].result == 0, "thread %d: %s returned %d (1: the row has changed)",
                      i, holders[i].step, holders[i].result);
        conform_close(holders[i].store);
    }
    assert_ok(try_hold(conform.store, SHARED, &rev));
    ck_assert_int_eq(rev, wanted);
}

START_TEST(who_holds_a_row_alone_loses_no_change)
{
    static void *(*const bodies[THREADS])(void *) = { count_often, count_often, count_often,
                                                      count_often };

    run_together(bodies, THREADS * ROUNDS);
}
END_TEST

START_TEST(a_row_stays_as_it_is_while_it_is_held_shared)
{
    static void *(*const bodies[THREADS])(void *) = { count_often, look_often, count_often,
                                                      look_often };

    run_together(bodies, 2 * ROUNDS);
}
END_TEST

static atomic_bool crowding;

/* Several of these leave no moment in which nobody holds the row. */
static void *crowd(void *data)
{
    struct holder *holder = data;
    int r = 0;

    while (r == 0 && atomic_load(&crowding))
        r = look_twice(holder);
    holder->result = r;
    return NULL;
}

START_TEST(who_waits_alone_is_not_passed_for_ever)
{
    struct holder holders[THREADS];
    pthread_t threads[THREADS];
    int64_t rev;
    int i, r = 0;

    atomic_store(&crowding, true);
    for (i = 0; i < THREADS; i++) {
        holders[i] = (struct holder){ conform.store, 0, 99, "" };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, crowd, &holders[i]), 0);
    }
    rest(20);
    for (i = 0; r == 0 && i < 5; i++)
        r = try_hold(conform.store, ALONE, &rev);
    atomic_store(&crowding, false);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_msg(r == 0, "who waited alone got %d: %s", r, conform_error.message);
    for (i = 0; i < THREADS; i++)
        ck_assert_msg(holders[i].result == 0, "thread %d: %s returned %d", i, holders[i].step,
                      holders[i].result);
}
END_TEST

/* ---- parts that are taken back ---- */

static int nest(flagver_driver_txn *txn, int what)
{
    return conform.driver->nest(txn, what, &conform_error);
}

/* Which keys are there, one after the other. */
static void check_keys(flagver_driver_txn *txn, const char *wanted)
{
    const flagver_query query = conform_keyed_of("fence", NULL);
    struct conform_rows rows;
    char found[256] = "";
    size_t i;

    conform_scan(txn, &query, &rows);
    for (i = 0; i < rows.count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.*s", i ? " " : "",
                 (int)rows.rows[i].as.keyed.key.length,
                 (const char *)rows.rows[i].as.keyed.key.data);
    conform_free(&rows);
    ck_assert_str_eq(found, wanted);
}

static void check_committed(const char *wanted)
{
    flagver_driver_txn *txn = conform_read();

    check_keys(txn, wanted);
    conform_rollback(txn);
}

START_TEST(a_part_that_is_kept_stays)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(put(txn, "a", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    assert_ok(put(txn, "b", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_KEEP));
    assert_ok(put(txn, "c", 1, ""));
    check_keys(txn, "a b c");
    conform_commit(txn);
    check_committed("a b c");
}
END_TEST

START_TEST(a_part_that_is_undone_is_gone)
{
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };

    assert_ok(put(txn, "a", 1, ""));
    assert_ok(put(txn, "b", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    assert_ok(put(txn, "a", 2, "changed"));
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE, conform_keyed("fence", "b", 1, ""), 1);
    assert_ok(conform_apply(txn, &batch));
    assert_ok(put(txn, "c", 1, ""));
    check_keys(txn, "a c");
    assert_ok(nest(txn, FLAGVER_NEST_UNDO));
    check_keys(txn, "a b");
    assert_ok(put(txn, "a", 2, "for good")); /* of rev 1 again */
    assert_ok(put(txn, "d", 1, ""));
    conform_commit(txn);
    check_committed("a b d");
}
END_TEST

START_TEST(after_a_refusal_a_part_is_undone)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(put(txn, "a", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    assert_ok(put(txn, "b", 1, ""));
    assert_fails(FLAGVER_ECONFLICT, put(txn, "a", 1, "again"));
    assert_ok(nest(txn, FLAGVER_NEST_UNDO));
    assert_ok(put(txn, "c", 1, ""));
    check_keys(txn, "a c");
    conform_commit(txn);
    check_committed("a c");
}
END_TEST

/* So many changes that a driver may find out later that one of them is refused. */
static int put_many(flagver_driver_txn *txn)
{
    static flagver_keyed_row rows[MANY];
    static flagver_change changes[MANY];
    static char keys[MANY][16];
    size_t i;

    for (i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "many-%u", i + 1 < MANY ? (unsigned)i : 0u);
        rows[i] = conform_keyed("fence", keys[i], 1, "");
        changes[i] = (flagver_change){ .kind = FLAGVER_CHANGE_KEYED };
        changes[i].row.keyed = &rows[i];
    }
    return conform.driver->apply(txn, changes, MANY, &conform_error);
}

START_TEST(after_a_refusal_that_comes_late_a_part_is_undone)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(put(txn, "a", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    if (put_many(txn) == 0)
        ck_assert_int_lt(nest(txn, FLAGVER_NEST_KEEP), 0);
    assert_ok(nest(txn, FLAGVER_NEST_UNDO));
    assert_ok(put(txn, "c", 1, ""));
    check_keys(txn, "a c");
    conform_commit(txn);
    check_committed("a c");
}
END_TEST

START_TEST(parts_come_one_after_the_other)
{
    flagver_driver_txn *txn = conform_write();
    char key[2] = "a";

    for (; *key <= 'j'; ++*key) {
        assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
        assert_ok(put(txn, key, 1, ""));
        assert_ok(nest(txn, *key % 2 ? FLAGVER_NEST_KEEP : FLAGVER_NEST_UNDO));
    }
    check_keys(txn, "a c e g i");
    conform_commit(txn);
    check_committed("a c e g i");
}
END_TEST

START_TEST(rolling_back_takes_back_what_was_kept)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    assert_ok(put(txn, "a", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_KEEP));
    conform_rollback(txn);
    txn = conform_write();
    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    assert_ok(put(txn, "b", 1, ""));
    conform_rollback(txn);
    check_committed("");
}
END_TEST

START_TEST(records_of_a_part_are_undone_too)
{
    const flagver_query versions = conform_all_versions();
    flagver_driver_txn *txn = conform_write();
    flagver_series_row series;
    int i;

    for (i = 0; i < 2; i++) {
        series = conform_series(1, "phase", "subject");
        assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
        conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
        ck_assert_uint_eq(conform_count(txn, &versions), 1);
        assert_ok(nest(txn, i ? FLAGVER_NEST_KEEP : FLAGVER_NEST_UNDO));
        ck_assert_uint_eq(conform_count(txn, &versions), (size_t)i);
    }
    conform_commit(txn);
}
END_TEST

START_TEST(a_row_that_is_held_stays_held_when_a_part_is_undone)
{
    flagver_store *other = conform_open(CONFORM_SHORT_MS);
    flagver_driver_txn *txn = conform_write();
    flagver_keyed_row row;
    int64_t rev;

    assert_ok(hold(txn, ALONE, &row));
    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    assert_ok(hold(txn, ALONE, &row));
    assert_ok(put(txn, "row", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_UNDO));
    assert_fails(FLAGVER_EBUSY, try_hold(other, SHARED, &rev));
    conform_commit(txn);
    assert_ok(try_hold(other, SHARED, &rev));
    ck_assert_int_eq(rev, 0);
    conform_close(other);
}
END_TEST

/* ---- a connection that is lent ---- */

START_TEST(a_connection_is_lent_and_the_transaction_goes_on)
{
    flagver_adoption adoption = { .connection = NULL };
    flagver_driver_txn *txn = conform_write();
    void *first;

    assert_ok(put(txn, "a", 1, ""));
    assert_ok(conform.driver->connection(txn, &adoption, &conform_error));
    first = adoption.connection;
    ck_assert_ptr_nonnull(first);
    assert_ok(put(txn, "b", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_BEGIN));
    assert_ok(put(txn, "c", 1, ""));
    assert_ok(nest(txn, FLAGVER_NEST_UNDO));
    assert_ok(conform.driver->connection(txn, &adoption, &conform_error));
    ck_assert_ptr_eq(adoption.connection, first);
    check_keys(txn, "a b");
    conform_commit(txn);
    check_committed("a b");
}
END_TEST

START_TEST(a_connection_is_not_lent_to_another_copy_of_the_library)
{
    flagver_adoption adoption = { .library = "another copy", .version = 1 };
    flagver_driver_txn *txn = conform_write();

    assert_fails(FLAGVER_EINVAL, conform.driver->connection(txn, &adoption, &conform_error));
    ck_assert_ptr_null(adoption.connection);
    assert_ok(put(txn, "a", 1, ""));
    conform_commit(txn);
}
END_TEST

START_TEST(a_cursor_goes_on_when_the_connection_is_lent)
{
    const flagver_query query = conform_keyed_of("fence", NULL);
    flagver_adoption adoption = { .connection = NULL };
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };
    static char keys[MANY][16];
    flagver_cursor *cursor;
    flagver_row row;
    unsigned i;

    for (i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "%05u", i);
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("fence", keys[i], 1, ""), 0);
        if (batch.count == CONFORM_BATCH || i + 1 == MANY)
            assert_ok(conform_apply(txn, &batch));
    }
    assert_ok(conform.driver->scan(txn, &query, &cursor, &conform_error));
    for (i = 0; i < MANY; i++) {
        if (i == 10 || i == 350)
            assert_ok(conform.driver->connection(txn, &adoption, &conform_error));
        ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 1);
        ck_assert(conform_same(row.as.keyed.key, conform_text(keys[i])));
    }
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 0);
    conform.driver->end_scan(cursor);
    conform_commit(txn);
}
END_TEST

void conform_within_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "held rows");

    conform_add(tcase, NEEDS_HOLD, holding_a_row_reads_it);
    conform_add(tcase, NEEDS_HOLD, a_row_of_another_tenant_is_not_the_one_that_is_held);
    conform_add(tcase, NEEDS_HOLD, many_rows_are_held_at_once);
    conform_add(tcase, NEEDS_HOLD | NEEDS_PROCESSES | NEEDS_REOPEN,
                a_row_that_is_held_alone_is_busy_for_another_store);
    conform_add(tcase, NEEDS_HOLD | NEEDS_REOPEN | NEEDS_MANY_WRITERS,
                a_row_that_is_held_alone_is_busy_for_another_transaction);
    conform_add(tcase, NEEDS_HOLD | NEEDS_REOPEN | NEEDS_MANY_WRITERS,
                a_row_is_held_shared_by_many);
    conform_add(tcase, NEEDS_HOLD | NEEDS_MANY_WRITERS, rows_are_held_each_by_itself);
    conform_add(tcase, NEEDS_HOLD | NEEDS_PROCESSES, who_holds_a_row_alone_loses_no_change);
    conform_add(tcase, NEEDS_HOLD | NEEDS_PROCESSES, a_row_stays_as_it_is_while_it_is_held_shared);
    conform_add(tcase, NEEDS_HOLD | NEEDS_MANY_WRITERS, who_waits_alone_is_not_passed_for_ever);

    tcase = conform_tcase(suite, "nested parts");
    conform_add(tcase, NEEDS_NEST, a_part_that_is_kept_stays);
    conform_add(tcase, NEEDS_NEST, a_part_that_is_undone_is_gone);
    conform_add(tcase, NEEDS_NEST, after_a_refusal_a_part_is_undone);
    conform_add(tcase, NEEDS_NEST, after_a_refusal_that_comes_late_a_part_is_undone);
    conform_add(tcase, NEEDS_NEST, parts_come_one_after_the_other);
    conform_add(tcase, NEEDS_NEST, rolling_back_takes_back_what_was_kept);
    conform_add(tcase, NEEDS_NEST, records_of_a_part_are_undone_too);
    conform_add(tcase, NEEDS_NEST | NEEDS_HOLD | NEEDS_PROCESSES,
                a_row_that_is_held_stays_held_when_a_part_is_undone);

    tcase = conform_tcase(suite, "lent connections");
    conform_add(tcase, NEEDS_NEST | NEEDS_CONNECTION,
                a_connection_is_lent_and_the_transaction_goes_on);
    conform_add(tcase, NEEDS_CONNECTION, a_connection_is_not_lent_to_another_copy_of_the_library);
    conform_add(tcase, NEEDS_CONNECTION, a_cursor_goes_on_when_the_connection_is_lent);
}
