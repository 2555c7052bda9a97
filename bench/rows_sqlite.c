#include "rows.h"

#include <flagver/sqlite.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SCAN "SELECT key, value FROM rows WHERE key > ?1 ORDER BY key LIMIT ?2"
#define READ "SELECT value FROM rows WHERE key = ?1"
#define WRITE                              \
    "INSERT INTO rows (key, value) VALUES" \
    " (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

/* By hand: where a greater version stands beside the row, it stays. */
#define PUT                                                                  \
    "INSERT INTO rows (key, value) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1" \
    " FROM flagver_keyed WHERE tenant = 'default' AND space = 'route.key'"   \
    " AND key = ?3 AND value >= ?4) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
#define VERSION                                                                          \
    "INSERT INTO flagver_keyed (tenant, space, key, rev, time, value)"                   \
    " VALUES ('default', 'route.key', ?3, ?5, ?5, ?4) ON CONFLICT (tenant, space, key) " \
    "DO UPDATE SET rev = rev + 1, value = excluded.value WHERE value < excluded.value"

#define TIME INT64_C(1767225600000000)

struct lite_rows {
    struct rows rows;
    sqlite3 *db;
    sqlite3_stmt *scan, *put, *version;
    char text[128];
};

static void must(sqlite3 *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        bench_die("sqlite: %s", sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    must(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL));
    return statement;
}

static void bind_text(sqlite3_stmt *statement, int at, const void *text, size_t length)
{
    must(sqlite3_db_handle(statement),
         sqlite3_bind_text(statement, at, text, (int)length, SQLITE_STATIC));
}

static void execute(sqlite3_stmt *statement)
{
    must(sqlite3_db_handle(statement), sqlite3_step(statement));
    must(sqlite3_db_handle(statement), sqlite3_reset(statement));
}

/* ------------------------------------------------------------------------
 * By hand
 */

static void close_lite(struct rows *rows)
{
    struct lite_rows *lite = (struct lite_rows *)rows;

    sqlite3_finalize(lite->scan);
    sqlite3_finalize(lite->put);
    sqlite3_finalize(lite->version);
    sqlite3_close(lite->db);
    free(lite);
}

static int keep_first(void *data, int count, char **texts, char **names)
{
    struct lite_rows *lite = data;

    (void)names;
    if (!lite->text[0] && count > 0 && texts[0])
        strncat(lite->text, texts[0], sizeof lite->text - 1);
    return 0;
}

static const char *run_lite(struct rows *rows, const char *sql)
{
    struct lite_rows *lite = (struct lite_rows *)rows;

    lite->text[0] = '\0';
    must(lite->db, sqlite3_exec(lite->db, sql, keep_first, lite, NULL));
    return lite->text;
}

static size_t
scan_lite(struct rows *rows, const char *after, size_t limit,
          void (*visit)(void *data, const char *key, const char *value, size_t length), void *data)
{
    struct lite_rows *lite = (struct lite_rows *)rows;
    size_t count = 0;

    bind_text(lite->scan, 1, after, strlen(after));
    must(lite->db, sqlite3_bind_int64(lite->scan, 2, (sqlite3_int64)limit));
    for (; sqlite3_step(lite->scan) == SQLITE_ROW; count++)
        visit(data, (const char *)sqlite3_column_text(lite->scan, 0),
              (const char *)sqlite3_column_text(lite->scan, 1),
              (size_t)sqlite3_column_bytes(lite->scan, 1));
    must(lite->db, sqlite3_reset(lite->scan));
    return count;
}

static void put_lite(struct rows *rows, const flagver_side_row *added, size_t count)
{
    static const char version[17] = "\1\0\0\0\0\0\0\0\1";
    struct lite_rows *lite = (struct lite_rows *)rows;
    char name[32] = "users\x1fn\x1f";

    run_lite(rows, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < count; i++) {
        strcpy(name + 8, added[i].key);
        bind_text(lite->put, 1, added[i].key, strlen(added[i].key));
        bind_text(lite->put, 2, added[i].value, added[i].length);
        for (int statement = 0; statement < 2; statement++) {
            sqlite3_stmt *call = statement == 0 ? lite->put : lite->version;

            bind_text(call, 3, name, strlen(name));
            must(lite->db, sqlite3_bind_blob(call, 4, version, sizeof version, SQLITE_STATIC));
        }
        must(lite->db, sqlite3_bind_int64(lite->version, 5, TIME));
        execute(lite->put);
        execute(lite->version);
    }
    run_lite(rows, "COMMIT");
}

/* ------------------------------------------------------------------------
 * As a side
 */

static int read_lite(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    struct lite_rows *lite = data;
    sqlite3_stmt *statement;
    sqlite3 *db = lite->db;
    int r = call->txn ? flagver_txn_connection_sqlite(call->txn, &db, err) : 0;

    if (r < 0)
        return r;
    statement = prepare(db, READ);
    bind_text(statement, 1, call->key, strlen(call->key));
    if (sqlite3_step(statement) == SQLITE_ROW)
        r = flagver_sink_value(sink, sqlite3_column_text(statement, 0),
                               (size_t)sqlite3_column_bytes(statement, 0));
    else
        r = FLAGVER_ENOTFOUND;
    sqlite3_finalize(statement);
    return r;
}

static int write_many_lite(void *data, const flagver_side_call *call, const flagver_side_row *added,
                           size_t count, flagver_error *err)
{
    struct lite_rows *lite = data;
    sqlite3 *db = lite->db;
    sqlite3_stmt *statement;
    int r = call->txn ? flagver_txn_connection_sqlite(call->txn, &db, err) : 0;

    if (r < 0)
        return r;
    statement = prepare(db, WRITE);
    for (size_t i = 0; i < count; i++) {
        bind_text(statement, 1, added[i].key, strlen(added[i].key));
        bind_text(statement, 2, added[i].value, added[i].length);
        execute(statement);
    }
    sqlite3_finalize(statement);
    return 0;
}

static int write_lite(void *data, const flagver_side_call *call, const void *value, size_t length,
                      flagver_sink *sink, flagver_error *err)
{
    const flagver_side_row row = { call->key, value, length };

    (void)sink;
    return write_many_lite(data, call, &row, 1, err);
}

struct giving {
    flagver_sink *sink;
    int code;
};

static void give_row(void *data, const char *key, const char *value, size_t length)
{
    struct giving *giving = data;

    if (giving->code == 0)
        giving->code = flagver_sink_row(giving->sink, key, value, length);
}

static int scan_side(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                     flagver_sink *sink, flagver_error *err)
{
    struct giving giving = { sink, 0 };

    (void)call;
    (void)err;
    if (scan_lite(data, after, limit, give_row, &giving) < limit)
        flagver_sink_end(sink);
    return giving.code;
}

static const struct rows_driver driver = {
    close_lite,
    run_lite,
    scan_lite,
    put_lite,
    { .read = read_lite, .write = write_lite, .scan = scan_side, .write_many = write_many_lite }
};

struct rows *rows_open_sqlite(const char *path)
{
    struct lite_rows *lite = bench_allocate(1, sizeof *lite);

    lite->rows.driver = &driver;
    must(lite->db, sqlite3_open(path, &lite->db));
    sqlite3_busy_timeout(lite->db, 10000);
    run_lite(&lite->rows, "PRAGMA synchronous = FULL");
    run_lite(&lite->rows,
             "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, value TEXT) STRICT");
    lite->scan = prepare(lite->db, SCAN);
    lite->put = prepare(lite->db, PUT);
    lite->version = prepare(lite->db, VERSION);
    return &lite->rows;
}
