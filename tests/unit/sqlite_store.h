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

#include "unit/driver_rows.h"

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

#endif
