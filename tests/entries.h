/*
 * Entries and intents of the ledger in a SQLite file, changed behind the library's back: for what would take
 * long otherwise.
 */
#ifndef FLAGVER_TESTS_ENTRIES_H
#define FLAGVER_TESTS_ENTRIES_H

#include <sqlite3.h>

#include "model/ledger.h"
#include "stores.h"

/* `row` tells its space and key. */
static inline void entry_store(sqlite3 *db, sqlite3_stmt *row, const struct fv_entry *entry)
{
    uint8_t bytes[FV_ENTRY_BYTES];
    size_t length = fv_entry_encode(entry, bytes);
    sqlite3_stmt *update;

    ck_assert_int_eq(
        sqlite3_prepare_v2(db, "UPDATE flagver_keyed SET value = ?1 WHERE space = ?2 AND key = ?3",
                           -1, &update, NULL),
        SQLITE_OK);
    sqlite3_bind_blob(update, 1, bytes, (int)length, SQLITE_STATIC);
    sqlite3_bind_value(update, 2, sqlite3_column_value(row, 0));
    sqlite3_bind_value(update, 3, sqlite3_column_value(row, 1));
    ck_assert_int_eq(sqlite3_step(update), SQLITE_DONE);
    sqlite3_finalize(update);
}

static inline void entries_change(const char *path, void (*change)(struct fv_entry *entry))
{
    sqlite3_stmt *rows;
    struct fv_entry entry;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    ck_assert_int_eq(sqlite3_prepare_v2(db,
                                        "SELECT space, key, value FROM flagver_keyed WHERE space IN"
                                        " ('route.intent', 'route.dirty')",
                                        -1, &rows, NULL),
                     SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        assert_ok(fv_entry_decode(sqlite3_column_blob(rows, 2),
                                  (size_t)sqlite3_column_bytes(rows, 2), &entry, &error));
        change(&entry);
        entry_store(db, rows, &entry);
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
}

/* As if it was long ago that operations have begun. */
static inline void entry_age(struct fv_entry *entry)
{
    for (uint32_t i = 0; i < entry->count; i++)
        entry->operations[i].until = 1;
}

#endif
