/*
 * The SQLite driver's transactions: conflicts, scans, commits that fail half-way, several
 * connections, processes and forks, and databases in memory.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "driver/sqlite_internal.h"
#include "unit/sqlite_store.h"

#define PROCESSES 4
#define ROUNDS 25

/* ---- conflicts ---- */

START_TEST(after_a_refused_change_only_a_rollback_is_left)
{
    flagver_driver_txn *txn;
    struct record record;

    put(store, "a", "1");
    txn = writing();
    put_in(txn, "b", "1");
    start_record(txn, &record, "a", "2");
    record.series.rev = 1; /* it does not rise */
    assert_fails(FLAGVER_ECORRUPT, driver->apply(txn, record.changes, 1, &error));
    assert_words("flagver: each change of a series raises its rev");
    assert_words(path);
    ck_assert_int_eq(error.native, SQLITE_CONSTRAINT_TRIGGER);
    record.series.rev = 2;
    assert_fails(FLAGVER_EINVAL, driver->apply(txn, record.changes, 1, &error));
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    ck_assert_str_eq(current(store, "b"), "");
}
END_TEST

START_TEST(a_conflict_says_what_was_there)
{
    flagver_driver_txn *txn;
    struct record record;

    put(store, "a", "1");
    txn = writing();
    start_record(txn, &record, "a", "2");
    record.changes[0].expect = 7;
    assert_fails(FLAGVER_ECONFLICT, driver->apply(txn, record.changes, 1, &error));
    assert_words("rev 1");
    assert_words("7");
    driver->rollback(txn);

    txn = writing();
    start_record(txn, &record, "a", "2");
    record.changes[0].expect = 0;
    assert_fails(FLAGVER_ECONFLICT, driver->apply(txn, record.changes, 1, &error));
    assert_words("already");
    driver->rollback(txn);

    txn = writing();
    start_record(txn, &record, "b", "1");
    record.changes[0].expect = 3;
    assert_fails(FLAGVER_ECONFLICT, driver->apply(txn, record.changes, 1, &error));
    assert_words("no such");
    driver->rollback(txn);
}
END_TEST

START_TEST(a_reading_transaction_does_not_write)
{
    flagver_driver_txn *txn = reading();
    struct record record;

    start_record(txn, &record, "a", "1");
    assert_fails(FLAGVER_EINVAL, driver->apply(txn, record.changes, 1, &error));
    driver->rollback(txn);
}
END_TEST

/* ---- scans ---- */

/* Subjects that begin with "a/" and what is next to them in byte order. */
static const char *const subjects[] = {
    "a", "a.", "a/", "a/\x01", "a/b", "a/\xc3\xa4", "a/\xf4\x8f\xbf\xbf", "a0", "b",
};
#define SUBJECTS (sizeof subjects / sizeof *subjects)

static size_t collect(const flagver_query *query, char out[256])
{
    flagver_driver_txn *txn = reading();
    flagver_cursor *cursor;
    flagver_row row;
    size_t found = 0;

    out[0] = 0;
    assert_ok(driver->scan(txn, query, &cursor, &error));
    for (; driver->next(cursor, &row, &error) > 0; found++) {
        strncat(out, row.as.series.subject.data, row.as.series.subject.length);
        strcat(out, " ");
    }
    driver->end_scan(cursor);
    driver->rollback(txn);
    return found;
}

START_TEST(a_prefix_ends_where_its_bytes_end)
{
    flagver_query query = { .kind = FLAGVER_QUERY_SERIES, .phase = text("phase"), .prefix = 1 };
    char found[256];
    size_t i;

    for (i = SUBJECTS; i-- > 0;)
        put(store, subjects[i], "1");
    query.subject = text("a/");
    ck_assert_uint_eq(collect(&query, found), 5);
    ck_assert_str_eq(found, "a/ a/\x01 a/b a/\xc3\xa4 a/\xf4\x8f\xbf\xbf ");
    query.after = text("a/b");
    ck_assert_uint_eq(collect(&query, found), 2);
    query.backwards = 1;
    ck_assert_uint_eq(collect(&query, found), 2);
    ck_assert_str_eq(found, "a/\x01 a/ ");
}
END_TEST

START_TEST(pages_forwards_and_backwards_meet)
{
    flagver_query query = { .kind = FLAGVER_QUERY_SERIES, .phase = text("phase"), .limit = 2 };
    char found[256], last[64];
    size_t i, pages = 0, total = 0, got;

    for (i = 0; i < SUBJECTS; i++)
        put(store, subjects[i], "1");
    for (query.backwards = 0; query.backwards < 2; query.backwards++) {
        query.after = text(NULL);
        while ((got = collect(&query, found))) {
            total += got;
            pages++;
            found[strlen(found) - 1] = 0;
            snprintf(last, sizeof last, "%.63s",
                     strrchr(found, ' ') ? strrchr(found, ' ') + 1 : found);
            query.after = text(last);
        }
        ck_assert_str_eq(last, query.backwards ? "a" : "b");
    }
    ck_assert_uint_eq(total, 2 * SUBJECTS);
    ck_assert_uint_eq(pages, SUBJECTS + 1);
}
END_TEST

START_TEST(two_cursors_of_one_kind_do_not_disturb_each_other)
{
    flagver_query query = { .kind = FLAGVER_QUERY_SERIES, .phase = text("phase") };
    flagver_cursor *first, *second;
    flagver_driver_txn *txn;
    flagver_row row;

    put(store, "a", "1");
    put(store, "b", "1");
    txn = reading();
    assert_ok(driver->scan(txn, &query, &first, &error));
    ck_assert_int_eq(driver->next(first, &row, &error), 1);
    assert_ok(driver->scan(txn, &query, &second, &error));
    ck_assert_int_eq(driver->next(second, &row, &error), 1);
    ck_assert(is_text(row.as.series.subject, "a"));
    ck_assert_int_eq(driver->next(first, &row, &error), 1);
    ck_assert(is_text(row.as.series.subject, "b"));
    driver->end_scan(first);
    ck_assert_int_eq(driver->next(second, &row, &error), 1);
    ck_assert_int_eq(driver->next(second, &row, &error), 0);
    ck_assert_int_eq(driver->next(second, &row, &error), 0);
    driver->end_scan(second);
    driver->rollback(txn);
}
END_TEST

/* The moments are those of start_record(): 1000 for the first version, 2000 for the second. */
static const struct {
    int64_t time;
    const char *payload;
} moments[] = { { 999, "" }, { 1000, "1" }, { 1999, "1" }, { 2000, "2" }, { 9999, "2" } };

START_TEST(as_of_a_time_is_what_was_in_force_then)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_AS_OF,
                            .phase = text("phase"),
                            .payload = 1 };
    flagver_driver_txn *txn;
    char found[64] = "";

    put(store, "a", "1");
    put(store, "a", "2");
    txn = reading();
    query.time = moments[_i].time;
    count(txn, &query, found);
    ck_assert_str_eq(found, moments[_i].payload);
    driver->rollback(txn);
}
END_TEST

static void scan_all_shapes(void)
{
    flagver_query query = { .phase = text("phase"), .space = text("space"), .payload = 1 };
    flagver_driver_txn *txn = reading();
    const flagver_id of = version_of(txn, subjects[0], 1).series, all = { { 0 } };
    int i;

    for (query.kind = FLAGVER_QUERY_VERSIONS; query.kind <= FLAGVER_QUERY_KEYED; query.kind++)
        for (query.pick = FLAGVER_PICK_CURRENT; query.pick <= FLAGVER_PICK_ALL; query.pick++)
            for (query.backwards = 0; query.backwards < 2; query.backwards++)
                count(txn, &query, NULL);

    for (i = 0; i < 2; i++) {
        query = (flagver_query){ .payload = 1, .id = i ? of : all };
        for (query.kind = FLAGVER_QUERY_ITEMS; query.kind <= FLAGVER_QUERY_LOG; query.kind++)
            for (query.no = 0; query.no < 2; query.no++)
                if (query.kind != FLAGVER_QUERY_VOTES) /* which come by time */
                    count(txn, &query, NULL);
    }
    driver->rollback(txn);
}

START_TEST(scans_go_along_indexes_and_sort_nothing)
{
    static const int counters[] = { SQLITE_STMTSTATUS_FULLSCAN_STEP, SQLITE_STMTSTATUS_SORT,
                                    SQLITE_STMTSTATUS_AUTOINDEX };
    sqlite3_stmt *statement;
    size_t i, j, looked_at = 0;

    for (i = 0; i < SUBJECTS; i++)
        put(store, subjects[i], "1");
    assert_forced(
        "INSERT INTO flagver_item (series, no, key, status, payload, hash) SELECT series, no, "
        "'key', 0, payload, content_hash FROM flagver_version; INSERT INTO flagver_contributor "
        "SELECT series, no, 'carol' FROM flagver_version; INSERT INTO flagver_node VALUES "
        "('default', 8, 0, zeroblob(32))");
    scan_all_shapes();
    for (i = 0; i < FV_SCAN_SHAPES; i++) {
        statement = store->idle->scans[i];
        looked_at += statement != NULL;
        for (j = 0; statement && j < sizeof counters / sizeof *counters; j++)
            ck_assert_msg(sqlite3_stmt_status(statement, counters[j], 0) == 0, "%s",
                          sqlite3_sql(statement));
    }
    ck_assert_uint_eq(looked_at, 22);
}
END_TEST

/* Among many series, and without a step for each of them. */
START_TEST(what_is_open_is_found_by_itself)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_ALL,
                                  .states = 1u << FLAGVER_STATE_SUBMITTED,
                                  .payload = 1 };
    flagver_driver_txn *txn = writing();
    struct record record;
    char subject[16], found[64];
    size_t i, steps = 0;

    for (i = 0; i < 300; i++) {
        snprintf(subject, sizeof subject, "%zu", i);
        start_record(txn, &record, subject, subject);
        record.version.state = FLAGVER_STATE_RECORDED;
        assert_ok(driver->apply(txn, record.changes, record.count, &error));
    }
    assert_ok(driver->commit(txn, &error));
    assert_forced("UPDATE flagver_version SET state = 2 WHERE payload = (SELECT id FROM "
                  "flagver_payload WHERE CAST(body AS TEXT) = '77')");

    txn = reading();
    ck_assert_uint_eq(count(txn, &query, found), 1);
    ck_assert_str_eq(found, "77");
    driver->rollback(txn);
    for (i = 0; i < FV_SCAN_SHAPES; i++)
        if (store->idle->scans[i])
            steps += (size_t)sqlite3_stmt_status(store->idle->scans[i], SQLITE_STMTSTATUS_VM_STEP,
                                                 0);
    ck_assert_uint_gt(steps, 0);
    ck_assert_uint_lt(steps, 300);
}
END_TEST

/* What is new needs no rev, so whatever `expect` says it is there or not. */
START_TEST(what_is_there_already_is_a_conflict)
{
    flagver_node_row node = { .tenant = text("default"), .level = 8, .index = 1 };
    flagver_log_row head = { .tenant = text("default"), .size = 2, .frontier = text("f") };
    flagver_item_row item = { .no = 1, .key = text("nothing") };
    flagver_payload_row payload = { .key = 0 };
    const struct {
        flagver_change change;
        const char *words;
    } cases[] = {
        { { .kind = FLAGVER_CHANGE_NODE, .expect = 5, .row.node = &node }, "such a node already" },
        { { .kind = FLAGVER_CHANGE_HEAD, .row.head = &head }, "1 leaves; the head is of 2" },
        { { .kind = FLAGVER_CHANGE_ITEM_DELETE, .row.item = &item }, "there is no such item" },
        { { .kind = FLAGVER_CHANGE_SHRED, .row.payload = &payload }, "there is no such payload" },
    };
    flagver_driver_txn *txn;
    size_t i;

    put(store, "a", "1");
    txn = writing();
    assert_ok(driver->apply(txn, &cases[0].change, 1, &error));
    assert_ok(driver->commit(txn, &error));
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        txn = writing();
        assert_fails(FLAGVER_ECONFLICT, driver->apply(txn, &cases[i].change, 1, &error));
        assert_words(cases[i].words);
        driver->rollback(txn);
    }
}
END_TEST

/* ---- commits that fail half-way ---- */

/* A file system that fails when it is told to, for write-ahead logs only. */
static sqlite3_vfs failing;
static sqlite3_io_methods failing_methods;
static const sqlite3_io_methods *real_methods;
static bool sync_fails, write_fails;

static int fail_sync(sqlite3_file *file, int flags)
{
    return sync_fails ? SQLITE_IOERR_FSYNC : real_methods->xSync(file, flags);
}

static int fail_write(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 offset)
{
    return write_fails ? SQLITE_FULL : real_methods->xWrite(file, bytes, amount, offset);
}

static int open_failing(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                        int *ret_flags)
{
    sqlite3_vfs *real = failing.pNext;
    int r;

    (void)vfs;
    while (strcmp(real->zName, "unix") != 0)
        real = real->pNext;
    r = real->xOpen(real, name, file, flags, ret_flags);
    if (r == SQLITE_OK && flags & SQLITE_OPEN_WAL) {
        real_methods = file->pMethods;
        failing_methods = *real_methods;
        failing_methods.xSync = fail_sync;
        failing_methods.xWrite = fail_write;
        file->pMethods = &failing_methods;
    }
    return r;
}

static void set_up_failing(void)
{
    failing = *sqlite3_vfs_find("unix");
    failing.zName = "failing";
    failing.xOpen = open_failing;
    sync_fails = write_fails = false;
    ck_assert_int_eq(sqlite3_vfs_register(&failing, 1), SQLITE_OK);
    set_up();
}

static void tear_down_failing(void)
{
    sync_fails = write_fails = false;
    tear_down();
    sqlite3_vfs_unregister(&failing);
}

/* Writes the keyed row by which the outcome can be told. */
static int commit_request(const char *key)
{
    const flagver_keyed_row row = { .tenant = text("default"),
                                    .space = text("request"),
                                    .key = text(key),
                                    .rev = 1,
                                    .time = 1,
                                    .value = text("") };
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .row.keyed = &row };
    flagver_driver_txn *txn = writing();

    assert_ok(driver->apply(txn, &change, 1, &error));
    return driver->commit(txn, &error);
}

static bool committed(const char *key)
{
    bool answer_ = false;

    assert_ok(driver->outcome(store, text("default"), text(key), &answer_, &error));
    return answer_;
}

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 20];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t length = read(in, bytes, sizeof bytes);

    if (length < 0 || write(out, bytes, (size_t)length) != length)
        end_child(false);
    close(in);
    close(out);
}

/*
 * What a process finds that comes after all of us have died: the file and the log as they are
 * now. By a child, since closing a database's file undoes the locks of its process.
 */
static const char *requests_after_a_crash(void)
{
    static char found[64];
    pid_t child = fork();

    if (child == 0) {
        copy_file(path, beside("crash"));
        copy_file(beside("app.db-wal"), beside("crash-wal"));
        end_child(true);
    }
    ck_assert(was_content(child));
    unlink(beside("crash-shm"));
    ck_assert_int_eq(sql_at(beside("crash"),
                            "SELECT ifnull(group_concat(key), '') FROM flagver_keyed", found,
                            sizeof found, true),
                     SQLITE_OK);
    unlink(beside("crash"));
    return found;
}

START_TEST(a_commit_whose_sync_fails_is_unknown_until_it_is_settled)
{
    assert_ok(commit_request("one"));
    sync_fails = true;
    assert_fails(FLAGVER_EUNKNOWN, commit_request("two"));
    ck_assert_int_eq(error.native, SQLITE_IOERR_FSYNC);
    assert_words(path);
    sync_fails = false;
    /* Nobody sees it; but it is in the log, where it would be found after a crash. */
    ck_assert_str_eq(answer("SELECT group_concat(key) FROM flagver_keyed"), "one");
    ck_assert_str_eq(requests_after_a_crash(), "one,two");

    ck_assert(!committed("two"));
    ck_assert_str_eq(requests_after_a_crash(), "one");
    ck_assert(committed("one"));
}
END_TEST

START_TEST(as_long_as_it_cannot_be_settled_the_outcome_is_unknown)
{
    bool there;

    sync_fails = true;
    assert_fails(FLAGVER_EUNKNOWN, commit_request("one"));
    ck_assert_int_lt(driver->outcome(store, text("default"), text("one"), &there, &error), 0);
    sync_fails = false;
    ck_assert(!committed("one"));
    assert_ok(commit_request("one"));
    ck_assert(committed("one"));
}
END_TEST

START_TEST(a_commit_that_finds_the_disk_full_is_certainly_gone)
{
    assert_ok(commit_request("one"));
    write_fails = true;
    assert_fails(FLAGVER_EUNAVAILABLE, commit_request("two"));
    ck_assert_int_eq(error.native, SQLITE_FULL);
    write_fails = false;
    ck_assert_str_eq(requests_after_a_crash(), "one");
    ck_assert(!committed("two"));
    assert_ok(commit_request("two"));
}
END_TEST

/* ---- several connections ---- */

static flagver_store *impatient(int32_t wait_ms)
{
    flagver_driver_config how = config();
    flagver_store *opened;

    how.wait_ms = wait_ms;
    assert_ok(driver->open(&how, &opened, &error));
    return opened;
}

START_TEST(who_waits_too_long_is_told_that_it_is_busy)
{
    flagver_store *other = impatient(20);
    flagver_driver_txn *txn = writing(), *second;

    assert_fails(FLAGVER_EBUSY,
                 driver->begin(other, text("default"), FLAGVER_MODE_WRITE, &second, &error));
    assert_words(path);
    ck_assert_int_eq(error.native & 0xff, SQLITE_BUSY);
    put_in(txn, "a", "1");
    assert_ok(driver->commit(txn, &error));
    put(other, "a", "2");
    ck_assert_str_eq(current(store, "a"), "2");
    driver->close(other);
}
END_TEST

START_TEST(readers_and_the_writer_do_not_wait_for_each_other)
{
    flagver_store *other = impatient(0);
    flagver_driver_txn *read = begin(other, FLAGVER_MODE_READ), *write = writing();
    const flagver_query all = { .kind = FLAGVER_QUERY_SERIES };

    put_in(write, "a", "1");
    ck_assert_str_eq(current(other, "a"), "");
    assert_ok(driver->commit(write, &error));
    ck_assert_uint_eq(count(read, &all, NULL), 0);
    driver->rollback(read);
    ck_assert_str_eq(current(other, "a"), "1");
    driver->close(other);
}
END_TEST

/* ---- the log's length ---- */

#define READERS 4
#define READING_MS 200
#define LARGE (256u << 10)
#define WRITTEN (96u << 20)
#define LONG_LOG (64u << 20)

static atomic_bool is_written;

static void pause_ms(long ms)
{
    const struct timespec time = { 0, ms * 1000000 };

    nanosleep(&time, NULL);
}

/* There is hardly a moment at which none of them has been reading for a while. */
static void *read_again_and_again(void *number)
{
    flagver_driver_txn *txn;

    pause_ms(*(const int *)number * READING_MS / READERS);
    while (!atomic_load(&is_written)) {
        if (driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, NULL) < 0)
            return NULL;
        pause_ms(READING_MS);
        driver->rollback(txn);
    }
    return (void *)number;
}

START_TEST(the_log_begins_anew_though_somebody_is_always_reading)
{
    int numbers[READERS] = { 0, 1, 2, 3 }, i;
    uint64_t written, longest = 0;
    char *large = malloc(LARGE + 1);
    pthread_t readers[READERS];
    struct stat status;
    void *fine;

    memset(large, 'x', LARGE);
    large[LARGE] = 0;
    atomic_store(&is_written, false);
    for (i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_again_and_again, &numbers[i]), 0);
    for (written = 0; written < WRITTEN; written += LARGE) {
        put(store, "a", large);
        if (stat(beside("app.db-wal"), &status) == 0 && (uint64_t)status.st_size > longest)
            longest = (uint64_t)status.st_size;
    }
    atomic_store(&is_written, true);
    for (i = 0; i < READERS; i++) {
        pthread_join(readers[i], &fine);
        ck_assert_ptr_nonnull(fine);
    }
    ck_assert_uint_lt(longest, LONG_LOG);
    free(large);
}
END_TEST

/* ---- processes ---- */

static void write_much(void)
{
    flagver_store *own = open_store();
    int i;

    for (i = 0; i < ROUNDS; i++)
        put(own, i % 2 ? "a" : "b", "x");
    driver->close(own);
}

static void check_sum(int expected)
{
    char wanted[64];

    snprintf(wanted, sizeof wanted, "%d", expected);
    ck_assert_str_eq(answer("SELECT sum(last_no) FROM flagver_series"), wanted);
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver_version"), wanted);
    ck_assert_str_eq(answer("SELECT size FROM flagver_log"), wanted);
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}

/* The children begin at once, on a file that nobody has made yet. */
START_TEST(processes_on_a_fresh_file_lose_nothing)
{
    pid_t children[PROCESSES];
    int i;

    for (i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            write_much();
            end_child(true);
        }
    }
    for (i = 0; i < PROCESSES; i++)
        ck_assert(was_content(children[i]));
    check_sum(PROCESSES * ROUNDS);
}
END_TEST

/*
 * SQLite on its own loses what the child writes here: the child believes that it holds the locks
 * of its parent, and the parent deletes the log when it closes.
 */
START_TEST(what_a_forked_child_writes_outlives_its_parents_store)
{
    int to_child[2], to_parent[2];
    char byte = 'x';
    pid_t child;

    put(store, "a", "1");
    ck_assert(pipe(to_child) == 0 && pipe(to_parent) == 0);
    child = fork();
    if (child == 0) {
        flagver_store *own;

        driver->abandon(store);
        own = open_store();
        put(own, "a", "2");
        if (write(to_parent[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 1)
            end_child(false);
        put(own, "a", "3");
        end_child(true);
    }
    ck_assert(read(to_parent[0], &byte, 1) == 1);
    ck_assert_str_eq(current(store, "a"), "2");
    driver->close(store);
    store = NULL;
    ck_assert(write(to_child[1], &byte, 1) == 1);
    ck_assert(was_content(child));
    store = open_store();
    ck_assert_str_eq(current(store, "a"), "3");
}
END_TEST

START_TEST(a_child_that_abandons_disturbs_nothing)
{
    flagver_driver_txn *txn = writing();
    pid_t child;

    put_in(txn, "a", "1");
    child = fork();
    if (child == 0) {
        driver->abandon(store);
        end_child(true);
    }
    ck_assert(was_content(child));
    assert_ok(driver->commit(txn, &error));
    ck_assert_str_eq(current(store, "a"), "1");
}
END_TEST

/* ---- in memory ---- */

static void set_up_memory(void)
{
    flagver_driver_config how = config();

    make_place();
    how.path = ":memory:";
    assert_ok(driver->open(&how, &store, &error));
}

static void *commit_soon(void *data)
{
    const struct timespec pause = { 0, 20000000 };

    nanosleep(&pause, NULL);
    return driver->commit(data, NULL) == 0 ? data : NULL;
}

START_TEST(in_memory_a_reader_waits_for_the_writer)
{
    flagver_driver_txn *txn = writing();
    pthread_t thread;
    void *done;

    put_in(txn, "a", "1");
    ck_assert_int_eq(pthread_create(&thread, NULL, commit_soon, txn), 0);
    ck_assert_str_eq(current(store, "a"), "1");
    pthread_join(thread, &done);
    ck_assert_ptr_nonnull(done);
}
END_TEST

START_TEST(each_store_in_memory_is_its_own)
{
    flagver_driver_config how = config();
    flagver_store *other;
    char line[1024];

    how.path = ":memory:";
    assert_ok(driver->open(&how, &other, &error));
    put(store, "a", "1");
    ck_assert_str_eq(current(other, "a"), "");
    ck_assert_str_eq(current(store, "a"), "1");
    driver->close(other);
    ck_assert_str_eq(current(store, "a"), "1");
    ck_assert_uint_eq(changes(store), 1);
    assert_ok(driver->ping(store, &error));
    assert_ok(driver->describe(store, line, sizeof line, &error));
    ck_assert_ptr_nonnull(strstr(line, "\":memory:\""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite transactions");
    TCase *alone = tcase_create("one store"), *failing_ = tcase_create("failing commits");
    TCase *several = tcase_create("several"), *fresh = tcase_create("a fresh file");
    TCase *memory = tcase_create("memory"), *log = tcase_create("a long log");

    tcase_add_checked_fixture(alone, set_up, tear_down);
    tcase_add_test(alone, after_a_refused_change_only_a_rollback_is_left);
    tcase_add_test(alone, a_conflict_says_what_was_there);
    tcase_add_test(alone, a_reading_transaction_does_not_write);
    tcase_add_test(alone, a_prefix_ends_where_its_bytes_end);
    tcase_add_test(alone, pages_forwards_and_backwards_meet);
    tcase_add_test(alone, two_cursors_of_one_kind_do_not_disturb_each_other);
    tcase_add_loop_test(alone, as_of_a_time_is_what_was_in_force_then, 0,
                        sizeof moments / sizeof *moments);
    tcase_add_test(alone, scans_go_along_indexes_and_sort_nothing);
    tcase_add_test(alone, what_is_open_is_found_by_itself);
    tcase_add_test(alone, what_is_there_already_is_a_conflict);
    suite_add_tcase(suite, alone);

    tcase_add_checked_fixture(failing_, set_up_failing, tear_down_failing);
    tcase_add_test(failing_, a_commit_whose_sync_fails_is_unknown_until_it_is_settled);
    tcase_add_test(failing_, as_long_as_it_cannot_be_settled_the_outcome_is_unknown);
    tcase_add_test(failing_, a_commit_that_finds_the_disk_full_is_certainly_gone);
    suite_add_tcase(suite, failing_);

    tcase_add_checked_fixture(several, set_up, tear_down);
    tcase_add_test(several, who_waits_too_long_is_told_that_it_is_busy);
    tcase_add_test(several, readers_and_the_writer_do_not_wait_for_each_other);
    tcase_add_test(several, what_a_forked_child_writes_outlives_its_parents_store);
    tcase_add_test(several, a_child_that_abandons_disturbs_nothing);
    suite_add_tcase(suite, several);

    tcase_add_checked_fixture(log, set_up, tear_down);
    tcase_set_tags(log, "slow");
    tcase_add_test(log, the_log_begins_anew_though_somebody_is_always_reading);
    suite_add_tcase(suite, log);

    tcase_add_checked_fixture(fresh, make_place, tear_down);
    tcase_add_test(fresh, processes_on_a_fresh_file_lose_nothing);
    suite_add_tcase(suite, fresh);

    tcase_add_checked_fixture(memory, set_up_memory, tear_down);
    tcase_add_test(memory, in_memory_a_reader_waits_for_the_writer);
    tcase_add_test(memory, each_store_in_memory_is_its_own);
    suite_add_tcase(suite, memory);
    return run_suite(suite);
}
