/*
 * What the tests of any driver share: rows for a store, and transactions that write and read
 * them. Whoever includes it has a `driver` and a `store`.
 */
#ifndef FLAGVER_TESTS_DRIVER_ROWS_H
#define FLAGVER_TESTS_DRIVER_ROWS_H

#include <stdio.h>
#include <unistd.h>

#include "flagver/driver.h"
#include "support.h"

static inline flagver_bytes text(const char *words)
{
    return (flagver_bytes){ words, words ? strlen(words) : 0 };
}

static inline bool is_text(flagver_bytes bytes, const char *words)
{
    return bytes.data && bytes.length == strlen(words) &&
           memcmp(bytes.data, words, bytes.length) == 0;
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
