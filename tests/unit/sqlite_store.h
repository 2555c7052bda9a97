/*
 * What the tests of the SQLite driver share: a store in a fresh directory, rows for it,
 * and plain SQL from outside.
 */
#ifndef FLAGVER_TESTS_SQLITE_STORE_H
#define FLAGVER_TESTS_SQLITE_STORE_H

#include <dirent.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/sqlite.h"
#include "support.h"

#define WAIT_MS 5000

static const flagver_driver *const driver MAYBE_UNUSED = &fv_sqlite_driver;
static flagver_store *store;
static char directory[64], path[96];

static inline flagver_bytes text(const char *words)
{
    return (flagver_bytes){ words, words ? strlen(words) : 0 };
}

static inline bool is_text(flagver_bytes bytes, const char *words)
{
    return bytes.data && bytes.length == strlen(words) &&
           memcmp(bytes.data, words, bytes.length) == 0;
}

/* ---- places ---- */

static inline void make_place(void)
{
    strcpy(directory, "/dev/shm/flagver-unit-XXXXXX");
    if (!mkdtemp(directory)) {
        strcpy(directory, "/tmp/flagver-unit-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(directory));
    }
    snprintf(path, sizeof path, "%s/app.db", directory);
}

/* The path of another file in the same directory; good until the next call but three. */
static inline const char *beside(const char *name)
{
    static char names[4][400];
    static unsigned next;
    char *out = names[next++ % 4];

    snprintf(out, sizeof names[0], "%s/%s", directory, name);
    return out;
}

static inline void remove_place(void)
{
    DIR *list = opendir(directory);
    struct dirent *entry;

    ck_assert_ptr_nonnull(list);
    while ((entry = readdir(list)))
        if (entry->d_name[0] != '.')
            unlink(beside(entry->d_name));
    closedir(list);
    ck_assert_int_eq(rmdir(directory), 0);
}

static inline bool is_there(const char *name)
{
    return access(name, F_OK) == 0;
}

static inline flagver_driver_config config(void)
{
    return (flagver_driver_config){ .size = sizeof(flagver_driver_config),
                                    .path = path,
                                    .wait_ms = WAIT_MS };
}

static inline flagver_store *open_store(void)
{
    flagver_driver_config how = config();
    flagver_store *opened;

    assert_ok(driver->open(&how, &opened, &error));
    return opened;
}

/* For tests with one store. */
static inline void set_up(void)
{
    make_place();
    store = open_store();
}

static inline void tear_down(void)
{
    if (store)
        driver->close(store);
    store = NULL;
    remove_place();
}

/* ---- children ---- */

/*
 * A child that is content ends by a signal: at its exit a leak checker would find what is its
 * parent's.
 */
static inline void end_child(bool content)
{
    if (content)
        raise(SIGKILL);
    _exit(1);
}

static inline bool was_content(pid_t child)
{
    int status;

    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL;
}

/* ---- plain SQL ---- */

static char sql_words[256] MAYBE_UNUSED;

/* What any program may do: a connection of its own, without settings. */
static inline int sql_at(const char *file, const char *statements, char *answer, size_t size,
                         bool with_triggers)
{
    sqlite3_stmt *statement = NULL;
    const char *rest = statements;
    sqlite3 *db;
    int r;

    if (answer)
        answer[0] = 0;
    r = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL);
    sqlite3_busy_timeout(db, WAIT_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, with_triggers, NULL);
    while (r == SQLITE_OK && *rest) {
        r = sqlite3_prepare_v2(db, rest, -1, &statement, &rest);
        if (r != SQLITE_OK || !statement)
            break;
        while ((r = sqlite3_step(statement)) == SQLITE_ROW)
            if (answer)
                snprintf(answer, size, "%s", (const char *)sqlite3_column_text(statement, 0));
        r = sqlite3_finalize(statement);
    }
    snprintf(sql_words, sizeof sql_words, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    return r;
}

static inline int sql(const char *statements)
{
    return sql_at(path, statements, NULL, 0, true);
}

#define assert_sql(statements) \
    ck_assert_msg(sql(statements) == SQLITE_OK, "%s: %s", statements, sql_words)

/* Past the triggers, to make what should never be. */
#define assert_forced(statements)                                                              \
    ck_assert_msg(sql_at(path, statements, NULL, 0, false) == SQLITE_OK, "%s: %s", statements, \
                  sql_words)

/* The first column of the last row. */
static inline const char *answer(const char *query)
{
    static char out[131072];

    ck_assert_msg(sql_at(path, query, out, sizeof out, true) == SQLITE_OK, "%s: %s", query,
                  sql_words);
    return out;
}

/* All rows of all tables, byte for byte; the length. */
static inline size_t fingerprint(char *out, size_t size)
{
    static const char *const tables[] = { "meta", "series", "payload",     "version",
                                          "item", "vote",   "contributor", "log",
                                          "leaf", "node",   "keyed" };
    size_t i, length, used = 0;
    sqlite3_stmt *statement;
    char query[64];
    sqlite3 *db;
    int column;

    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    for (i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(query, sizeof query, "SELECT * FROM flagver_%s ORDER BY 1, 2, 3", tables[i]);
        ck_assert_int_eq(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
        while (sqlite3_step(statement) == SQLITE_ROW) {
            for (column = 0; column < sqlite3_column_count(statement); column++) {
                length = (size_t)sqlite3_column_bytes(statement, column);
                ck_assert_uint_lt(used + length + 2, size);
                out[used++] = (char)('0' + sqlite3_column_type(statement, column));
                if (length)
                    memcpy(out + used, sqlite3_column_blob(statement, column), length);
                used += length;
            }
            out[used++] = '\n';
        }
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
    return used;
}

/* ---- transactions ---- */

static inline flagver_driver_txn *begin(flagver_store *in, int mode)
{
    flagver_driver_txn *txn;

    assert_ok(driver->begin(in, text("default"), mode, &txn, &error));
    return txn;
}

static inline flagver_driver_txn *reading(void)
{
    return begin(store, FLAGVER_MODE_READ);
}

static inline flagver_driver_txn *writing(void)
{
    return begin(store, FLAGVER_MODE_WRITE);
}

static inline uint64_t changes(flagver_store *in)
{
    uint64_t size = UINT64_MAX;

    assert_ok(driver->changes(in, text("default"), &size, &error));
    return size;
}

/* ---- rows ---- */

static inline flagver_id fresh_id(void)
{
    static uint32_t count;
    const uint32_t parts[4] = { (uint32_t)getpid(), ++count, 1, 2 };
    flagver_id id;

    memcpy(id.bytes, parts, sizeof id.bytes);
    return id;
}

/* What one change of a record consists of. */
struct record {
    flagver_series_row series;
    flagver_payload_row payload;
    flagver_version_row version, approved, old;
    flagver_leaf_row leaf;
    flagver_change changes[16];
    size_t count;
};

static inline void add(struct record *record, int32_t kind, int64_t expect, const void *row)
{
    flagver_change *change = &record->changes[record->count++];

    *change = (flagver_change){ .kind = kind, .expect = expect };
    memcpy(&change->row, &row, sizeof row);
}

static inline flagver_version_row version_of(flagver_driver_txn *txn, const char *subject,
                                             uint32_t no)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_NUMBER,
                                  .phase = text("phase"),
                                  .subject = text(subject),
                                  .no = no };
    flagver_cursor *cursor;
    flagver_row row;

    assert_ok(driver->scan(txn, &query, &cursor, &error));
    ck_assert_int_eq(driver->next(cursor, &row, &error), 1);
    driver->end_scan(cursor);
    /* what the rows of these tests have, by memory that lasts */
    row.as.version.created_by = text("alice");
    row.as.version.decided_by = row.as.version.decided_at ? text("bob") : text(NULL);
    return row.as.version;
}

static inline void start_record(flagver_driver_txn *txn, struct record *record, const char *subject,
                                const char *body)
{
    flagver_series_row *series = &record->series;
    int64_t rev, now;

    memset(record, 0, sizeof *record);
    series->tenant = text("default");
    series->phase = text("phase");
    series->subject = text(subject);
    assert_ok(driver->lock(txn, series, 1, 0, &error));
    rev = series->rev;
    now = series->changed_at + 1000;
    if (!rev)
        series->id = fresh_id();
    series->rev++;
    series->last_no++;
    series->changed_at = now;
    add(record, FLAGVER_CHANGE_SERIES, rev, series);

    record->payload = (flagver_payload_row){ .id = fresh_id(), .body = text(body) };
    add(record, FLAGVER_CHANGE_PAYLOAD, 0, &record->payload);

    record->version = (flagver_version_row){ .series = series->id,
                                             .id = fresh_id(),
                                             .no = series->last_no,
                                             .base_no = series->current_no,
                                             .parent_no = series->current_no,
                                             .state = FLAGVER_STATE_DRAFT,
                                             .rev = 1,
                                             .created_at = now,
                                             .created_by = text("alice"),
                                             .payload_id = record->payload.id };
    add(record, FLAGVER_CHANGE_VERSION_NEW, 0, &record->version);
}

static inline void approve_record(flagver_driver_txn *txn, struct record *record,
                                  const char *subject)
{
    uint32_t current = record->series.current_no;
    int64_t now = record->series.changed_at;

    record->series.current_no = record->version.no;
    if (current) {
        record->old = version_of(txn, subject, current);
        record->old.state = FLAGVER_STATE_SUPERSEDED;
        record->old.superseded_by = record->version.no;
        record->old.superseded_at = now;
        record->old.rev++;
        add(record, FLAGVER_CHANGE_VERSION_CHANGE, record->old.rev - 1, &record->old);
    }
    record->approved = record->version;
    record->approved.state = FLAGVER_STATE_APPROVED;
    record->approved.rev = 2;
    record->approved.submitted_at = record->approved.decided_at = now;
    record->approved.decided_by = text("bob");
    add(record, FLAGVER_CHANGE_VERSION_CHANGE, 1, &record->approved);
}

static inline void log_record(flagver_driver_txn *txn, struct record *record)
{
    record->leaf = (flagver_leaf_row){ .tenant = text("default"), .leaf = text("leaf") };
    assert_ok(driver->lock_log(txn, &record->leaf.no, &error));
    add(record, FLAGVER_CHANGE_LEAF, 0, &record->leaf);
}

/* A version of this subject takes effect, and a leaf says so. */
static inline void put_in(flagver_driver_txn *txn, const char *subject, const char *body)
{
    struct record record;

    start_record(txn, &record, subject, body);
    approve_record(txn, &record, subject);
    log_record(txn, &record);
    assert_ok(driver->apply(txn, record.changes, record.count, &error));
}

static inline void put(flagver_store *in, const char *subject, const char *body)
{
    flagver_driver_txn *txn = begin(in, FLAGVER_MODE_WRITE);

    put_in(txn, subject, body);
    assert_ok(driver->commit(txn, &error));
}

/* How many rows a query has; what the first one's payload says goes to `first`. */
static inline size_t count(flagver_driver_txn *txn, const flagver_query *query, char first[64])
{
    flagver_cursor *cursor;
    flagver_row row;
    size_t found = 0;
    int r;

    assert_ok(driver->scan(txn, query, &cursor, &error));
    while ((r = driver->next(cursor, &row, &error)) > 0)
        if (found++ == 0 && first && row.as.version.payload.data)
            snprintf(first, 64, "%.*s", (int)row.as.version.payload.length,
                     (const char *)row.as.version.payload.data);
    ck_assert_msg(r == 0, "%s", error.message);
    driver->end_scan(cursor);
    return found;
}

/* The payload that is in force; "" when there is none. */
static inline const char *current(flagver_store *in, const char *subject)
{
    static char body[64];
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_CURRENT,
                                  .phase = text("phase"),
                                  .subject = text(subject),
                                  .payload = 1 };
    flagver_driver_txn *txn = begin(in, FLAGVER_MODE_READ);

    body[0] = 0;
    count(txn, &query, body);
    driver->rollback(txn);
    return body;
}

#endif
