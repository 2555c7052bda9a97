/*
 * Threads: a store is used by many at once, a transaction by one after the other.
 * Nothing here is asserted about time; deadlocks end by Check's timeout.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep() */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "fixture.h"

#define THREADS 4
#define ROUNDS 12

static void rest(long milliseconds)
{
    const struct timespec time = { 0, milliseconds * 1000000 };

    nanosleep(&time, NULL);
}

static void start(pthread_t *thread, void *(*body)(void *data), void *data)
{
    ck_assert_int_eq(pthread_create(thread, NULL, body, data), 0);
}

/* ---- a transaction wanders ---- */

struct wanderer {
    flagver_driver_txn *txn;
    int result;
};

static void *apply_there(void *data)
{
    struct wanderer *wanderer = data;
    flagver_series_row series = { .tenant = conform_text(TENANT),
                                  .phase = conform_text("phase"),
                                  .subject = conform_text("subject") };
    flagver_keyed_row row = conform_keyed("space", "key", 1, "");
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED };

    change.row.keyed = &row;
    wanderer->result = conform.driver->lock(wanderer->txn, &series, 1, 0, NULL);
    if (wanderer->result == 0)
        wanderer->result = conform.driver->apply(wanderer->txn, &change, 1, NULL);
    return NULL;
}

static void *commit_there(void *data)
{
    struct wanderer *wanderer = data;

    wanderer->result = conform.driver->commit(wanderer->txn, NULL);
    return NULL;
}

START_TEST(a_transaction_need_not_stay_in_its_thread)
{
    static void *(*const steps[])(void *) = { apply_there, commit_there };
    const flagver_query query = conform_keyed_of("space", NULL);
    struct wanderer wanderer = { conform_write(), 99 };
    flagver_driver_txn *txn;
    pthread_t thread;
    size_t i;

    for (i = 0; i < 2; i++) {
        start(&thread, steps[i], &wanderer);
        pthread_join(thread, NULL);
        ck_assert_int_eq(wanderer.result, 0);
    }
    txn = conform_read();
    ck_assert_uint_eq(conform_count(txn, &query), 1);
    conform_rollback(txn);
}
END_TEST

/* ---- many writers of one series ---- */

struct writer {
    flagver_store *store;
    unsigned number;
    bool gated; /* as the library does for ONE_WRITER */
    int result;
    const char *step;
};

/* The changes of one more version and its leaf. */
static int add_version(flagver_driver_txn *txn, flagver_series_row *series, unsigned id)
{
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    flagver_error err;
    uint64_t size;
    int64_t rev = series->rev;
    int r;

    if (rev == 0)
        *series = conform_series(1, "phase", "subject");
    else
        series->rev++;
    series->last_no++;
    version = conform_version(series, series->last_no, FLAGVER_STATE_DRAFT);
    version.id = conform_id(id);
    version.payload_id = conform_id(id + 1000000);
    series->changed_at = version.created_at;
    conform_add_series(&batch, *series, rev);
    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    r = conform.driver->apply(txn, batch.changes, batch.count, &err);
    if (r == 0)
        r = conform.driver->lock_log(txn, &size, &err);
    if (r == 0) {
        batch.count = 0;
        conform_add_leaf(&batch, conform_leaf(size, "leaf"));
        r = conform.driver->apply(txn, batch.changes, batch.count, &err);
    }
    return r;
}

static int write_once(struct writer *writer, unsigned id)
{
    flagver_series_row series = { .tenant = conform_text(TENANT),
                                  .phase = conform_text("phase"),
                                  .subject = conform_text("subject") };
    flagver_driver_txn *txn;
    int r;

    writer->step = "begin";
    r = conform.driver->begin(writer->store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn, NULL);
    if (r < 0)
        return r;
    writer->step = "lock";
    r = conform.driver->lock(txn, &series, 1, 0, NULL);
    if (r == 0) {
        writer->step = "apply";
        r = add_version(txn, &series, id);
        /* A series that is not there is not locked everywhere: another one was faster. */
        if (r == FLAGVER_ECONFLICT && series.last_no == 1)
            r = FLAGVER_EBUSY;
    }
    if (r < 0) {
        conform.driver->rollback(txn);
        return r;
    }
    writer->step = "commit";
    return conform.driver->commit(txn, NULL);
}

static void *write_often(void *data)
{
    struct writer *writer = data;
    unsigned round, tries = 0;
    int r;

    for (round = 0; round < ROUNDS; round++) {
        do {
            if (writer->gated)
                conform_enter();
            r = write_once(writer, writer->number * 1000 + round + 1);
            if (writer->gated)
                conform_leave();
        } while (r == FLAGVER_EBUSY && ++tries < 10000);
        if (r < 0) {
            writer->result = r;
            return NULL;
        }
    }
    return NULL;
}

static void check_dense(uint32_t wanted)
{
    const flagver_query versions = conform_all_versions(), series = conform_all_series(),
                        leaves = conform_all_leaves();
    flagver_driver_txn *txn = conform_read();
    struct conform_rows rows;
    size_t i;

    conform_scan(txn, &versions, &rows);
    ck_assert_uint_eq(rows.count, wanted);
    for (i = 0; i < rows.count; i++)
        ck_assert_uint_eq(rows.rows[i].as.version.no, i + 1);
    conform_free(&rows);
    conform_one(txn, &series, &rows);
    ck_assert_uint_eq(rows.rows[0].as.series.last_no, wanted);
    ck_assert_int_eq(rows.rows[0].as.series.rev, wanted);
    conform_free(&rows);
    conform_scan(txn, &leaves, &rows);
    ck_assert_uint_eq(rows.count, wanted);
    for (i = 0; i < rows.count; i++)
        ck_assert_uint_eq(rows.rows[i].as.leaf.no, i);
    conform_free(&rows);
    conform_rollback(txn);
}

/* Threads write, each in its store of these. */
static void write_together(flagver_store *const *stores, size_t store_count, bool gated)
{
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    unsigned i;

    for (i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){ stores[i % store_count], i, gated, 0, "" };
        start(&threads[i], write_often, &writers[i]);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_msg(writers[i].result == 0, "writer %u: %s returned %d", i, writers[i].step,
                      writers[i].result);
    }
    check_dense(THREADS * ROUNDS);
}

START_TEST(threads_that_write_in_one_store_leave_no_gap)
{
    write_together(&conform.store, 1, true);
}
END_TEST

START_TEST(threads_that_write_in_stores_of_their_own_leave_no_gap)
{
    flagver_store *stores[THREADS];
    size_t i;

    for (i = 0; i < THREADS; i++)
        stores[i] = conform_open(CONFORM_WAIT_MS);
    write_together(stores, THREADS, false);
    for (i = 0; i < THREADS; i++)
        conform_close(stores[i]);
}
END_TEST

/* ---- readers beside a writer ---- */

static atomic_bool writing;
static atomic_int trouble; /* a code, or 1 for a state that never was */

/* The rows of a series and its versions belong together in every state. */
static int look(flagver_store *store)
{
    const flagver_query versions = conform_all_versions(), series = conform_all_series();
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    uint32_t count = 0, last_no = 0;
    flagver_row row;
    int r;

    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_READ, &txn, NULL);
    if (r < 0)
        return r;
    r = conform.driver->scan(txn, &versions, &cursor, NULL);
    if (r == 0) {
        while ((r = conform.driver->next(cursor, &row, NULL)) == 1)
            count++;
        conform.driver->end_scan(cursor);
    }
    if (r == 0)
        r = conform.driver->scan(txn, &series, &cursor, NULL);
    if (r == 0) {
        if ((r = conform.driver->next(cursor, &row, NULL)) == 1) {
            last_no = row.as.series.last_no;
            r = 0;
        }
        conform.driver->end_scan(cursor);
    }
    conform.driver->rollback(txn);
    return r == 0 && count != last_no ? 1 : r;
}

static void *look_often(void *data)
{
    uint64_t size, before = 0;
    int r;

    while (atomic_load(&writing)) {
        r = look(data);
        if (r == 0)
            r = conform.driver->changes(data, conform_text(TENANT), &size, NULL);
        if (r == 0 && size < before)
            r = 1;
        if (r != 0) {
            atomic_store(&trouble, r);
            return NULL;
        }
        before = size;
    }
    return NULL;
}

START_TEST(readers_see_whole_states_while_a_writer_writes)
{
    struct writer writer = { conform.store, 1, true, 0, "" };
    pthread_t threads[2];
    size_t i;

    atomic_store(&writing, true);
    for (i = 0; i < 2; i++)
        start(&threads[i], look_often, conform.store);
    write_often(&writer);
    atomic_store(&writing, false);
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_msg(writer.result == 0, "%s returned %d", writer.step, writer.result);
    ck_assert_msg(atomic_load(&trouble) == 0, "a reader got %d (1: a state that never was)",
                  atomic_load(&trouble));
    check_dense(ROUNDS);
}
END_TEST

/* ---- waiting ---- */

struct waiter {
    flagver_store *store;
    flagver_series_row row;
    atomic_bool started;
    int result;
};

static void *wait_for_series(void *data)
{
    struct waiter *waiter = data;
    flagver_driver_txn *txn;

    atomic_store(&waiter->started, true);
    waiter->result = conform.driver->begin(waiter->store, conform_text(TENANT), FLAGVER_MODE_WRITE,
                                           &txn, NULL);
    if (waiter->result < 0)
        return NULL;
    waiter->result = conform.driver->lock(txn, &waiter->row, 1, 0, NULL);
    if (waiter->result == 0)
        waiter->result = add_version(txn, &waiter->row, 5000);
    if (waiter->result == 0)
        waiter->result = conform.driver->commit(txn, NULL);
    else
        conform.driver->rollback(txn);
    return NULL;
}

/* Who waits for a lock reads the series as it is then, not as it was before. */
static void wait_in(flagver_store *store)
{
    struct waiter waiter = { .store = store, .result = 99 };
    flagver_driver_txn *txn = conform_write();
    flagver_series_row row;
    pthread_t thread;

    row = (flagver_series_row){ .tenant = conform_text(TENANT),
                                .phase = conform_text("phase"),
                                .subject = conform_text("subject") };
    waiter.row = row;
    assert_ok(conform.driver->lock(txn, &row, 1, 0, &conform_error));
    ck_assert_int_eq(add_version(txn, &row, 1), 0);
    conform_commit(txn);

    txn = conform_write();
    assert_ok(conform.driver->lock(txn, &row, 1, 0, &conform_error));
    start(&thread, wait_for_series, &waiter);
    while (!atomic_load(&waiter.started))
        rest(1);
    rest(20);
    ck_assert_int_eq(add_version(txn, &row, 2), 0);
    conform_commit(txn);
    pthread_join(thread, NULL);
    ck_assert_msg(waiter.result == 0, "who waited got %d", waiter.result);
    check_dense(3);
}

START_TEST(who_waits_in_another_store_reads_the_newest)
{
    flagver_store *other = conform_open(CONFORM_WAIT_MS);

    wait_in(other);
    conform_close(other);
}
END_TEST

START_TEST(who_waits_in_the_same_store_reads_the_newest)
{
    wait_in(conform.store);
}
END_TEST

/* ---- outcomes of transactions that are still open ---- */

struct slow_commit {
    flagver_driver_txn *txn;
    atomic_bool asking;
    int result;
};

static void *commit_slowly(void *data)
{
    struct slow_commit *slow = data;

    while (!atomic_load(&slow->asking))
        rest(1);
    rest(20);
    slow->result = conform.driver->commit(slow->txn, NULL);
    return NULL;
}

START_TEST(an_outcome_is_certain_while_the_transaction_may_still_commit)
{
    flagver_store *other = conform_open(CONFORM_WAIT_MS);
    struct slow_commit slow = { .result = 99 };
    struct conform_batch batch = { .count = 0 };
    bool committed = false;
    pthread_t thread;
    int r;

    slow.txn = conform_write();
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("request", "key", 1, ""), 0);
    assert_ok(conform_apply(slow.txn, &batch));
    start(&thread, commit_slowly, &slow);
    atomic_store(&slow.asking, true);
    r = conform.driver->outcome(other, conform_text(TENANT), conform_text("key"), &committed,
                                &conform_error);
    pthread_join(thread, NULL);
    ck_assert_msg(r == 0 || flagver_error_class(r) == FLAGVER_CLASS_RETRY, "outcome returned %d",
                  r);
    if (r == 0)
        ck_assert_msg(committed == (slow.result == 0),
                      "outcome said %s, and then commit returned %d",
                      committed ? "committed" : "not committed", slow.result);
    conform_close(other);
}
END_TEST

void conform_thread_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "threads");

    conform_add(tcase, 0, a_transaction_need_not_stay_in_its_thread);
    conform_add(tcase, 0, threads_that_write_in_one_store_leave_no_gap);
    conform_add(tcase, NEEDS_PROCESSES, threads_that_write_in_stores_of_their_own_leave_no_gap);
    conform_add(tcase, 0, readers_see_whole_states_while_a_writer_writes);
    conform_add(tcase, NEEDS_PROCESSES, who_waits_in_another_store_reads_the_newest);
    conform_add(tcase, NEEDS_MANY_WRITERS, who_waits_in_the_same_store_reads_the_newest);
    conform_add(tcase, NEEDS_PROCESSES,
                an_outcome_is_certain_while_the_transaction_may_still_commit);
}
