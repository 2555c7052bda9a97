/*
 * Sides of routes for tests: a table in memory, which can be told to fail, and a table in a SQLite
 * file or a PostgreSQL database, beside the library's own. Keys and values are texts.
 */
#ifndef FLAGVER_TESTS_SIDES_H
#define FLAGVER_TESTS_SIDES_H

#include <pthread.h>
#include <sqlite3.h>

#include "flagver/route.h"
#include "flagver/sqlite.h"
#include "stores.h"

#ifndef FV_WITHOUT_postgres
#include "flagver/postgres.h"
#endif

/* ---- in memory ---- */

#define TABLE_ROWS 4096

struct table {
    pthread_mutex_t lock;
    struct {
        char key[256], value[256];
    } rows[TABLE_ROWS]; /* in byte order of keys */
    size_t count;
    int fails;       /* what every call returns; 0: none fails */
    int fails_times; /* so often; 0: always */
    unsigned reads, writes, removes;
};

static inline void table_init(struct table *table)
{
    memset(table, 0, sizeof *table);
    pthread_mutex_init(&table->lock, NULL);
}

/* The row of a key, or where it would be. */
static inline size_t table_place(const struct table *table, const char *key, bool *ret_there)
{
    size_t i = 0;

    while (i < table->count && strcmp(table->rows[i].key, key) < 0)
        i++;
    *ret_there = i < table->count && strcmp(table->rows[i].key, key) == 0;
    return i;
}

static inline void table_put(struct table *table, const char *key, const char *value)
{
    bool there;
    size_t i = table_place(table, key, &there);

    if (!there) {
        ck_assert_uint_lt(table->count, TABLE_ROWS);
        memmove(&table->rows[i + 1], &table->rows[i], (table->count++ - i) * sizeof table->rows[0]);
        snprintf(table->rows[i].key, sizeof table->rows[i].key, "%s", key);
    }
    snprintf(table->rows[i].value, sizeof table->rows[i].value, "%s", value);
}

static inline void table_delete(struct table *table, const char *key)
{
    bool there;
    size_t i = table_place(table, key, &there);

    if (there)
        memmove(&table->rows[i], &table->rows[i + 1], (--table->count - i) * sizeof table->rows[0]);
}

/* NULL: there is none. */
static inline const char *table_get(const struct table *table, const char *key)
{
    bool there;
    size_t i = table_place(table, key, &there);

    return there ? table->rows[i].value : NULL;
}

static inline int table_fails(struct table *table, flagver_error *err)
{
    int r = table->fails;

    if (r == 0)
        return 0;
    if (table->fails_times > 0 && --table->fails_times == 0)
        table->fails = 0;
    err->code = r;
    snprintf(err->message, sizeof err->message, "the table is told to fail");
    return r;
}

static inline int table_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                             flagver_error *err)
{
    struct table *table = data;
    const char *value;
    int r;

    pthread_mutex_lock(&table->lock);
    table->reads++;
    r = table_fails(table, err);
    value = table_get(table, call->key);
    if (r == 0)
        r = value ? flagver_sink_value(sink, value, strlen(value)) : FLAGVER_ENOTFOUND;
    pthread_mutex_unlock(&table->lock);
    return r;
}

static inline int table_write(void *data, const flagver_side_call *call, const void *value,
                              size_t length, flagver_sink *sink, flagver_error *err)
{
    struct table *table = data;
    char text[256], key[32];
    int r;

    pthread_mutex_lock(&table->lock);
    table->writes++;
    r = table_fails(table, err);
    if (r == 0) {
        snprintf(text, sizeof text, "%.*s", (int)length, (const char *)value);
        snprintf(key, sizeof key, "%zu", table->count + 1);
        table_put(table, call->key ? call->key : key, text);
        if (!call->key)
            r = flagver_sink_key(sink, key);
    }
    pthread_mutex_unlock(&table->lock);
    return r;
}

static inline int table_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    struct table *table = data;
    int r;

    pthread_mutex_lock(&table->lock);
    table->removes++;
    r = table_fails(table, err);
    if (r == 0)
        table_delete(table, call->key);
    pthread_mutex_unlock(&table->lock);
    return r;
}

static inline int table_scan(void *data, const flagver_side_call *call, const char *after,
                             uint32_t limit, flagver_sink *sink, flagver_error *err)
{
    struct table *table = data;
    size_t i = 0;
    int r;

    (void)call;
    pthread_mutex_lock(&table->lock);
    r = table_fails(table, err);
    while (i < table->count && strcmp(table->rows[i].key, after) <= 0)
        i++;
    for (; r == 0 && limit > 0 && i < table->count; i++, limit--)
        r = flagver_sink_row(sink, table->rows[i].key, table->rows[i].value,
                             strlen(table->rows[i].value));
    if (r == 0 && i == table->count)
        flagver_sink_end(sink);
    pthread_mutex_unlock(&table->lock);
    return r;
}

static inline flagver_side table_side(struct table *table)
{
    return (flagver_side){ .size = sizeof(flagver_side),
                           .data = table,
                           .read = table_read,
                           .write = table_write,
                           .remove = table_remove,
                           .scan = table_scan };
}

/* ---- in a SQLite file ---- */

/* `name` is the table's, in the database of the client's store. */
struct lite {
    flagver_client *client;
    const char *path;
    const char *name;
    int fails; /* what every write returns; 0: none fails */
};

static inline sqlite3 *lite_open(const struct lite *lite)
{
    sqlite3 *db = NULL;

    ck_assert_int_eq(sqlite3_open(lite->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

static inline void lite_make(const struct lite *lite)
{
    sqlite3 *db = lite_open(lite);
    char sql[160];

    snprintf(sql, sizeof sql, "CREATE TABLE %s (key TEXT PRIMARY KEY, value TEXT) STRICT",
             lite->name);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* On the transaction's connection, or on one of our own. */
static inline int lite_connect(const struct lite *lite, const flagver_side_call *call,
                               sqlite3 **ret_db, flagver_error *err)
{
    if (call->txn)
        return flagver_txn_connection_sqlite(call->txn, ret_db, err);
    *ret_db = lite_open(lite);
    return 0;
}

static inline int lite_done(const flagver_side_call *call, sqlite3 *db, sqlite3_stmt *statement,
                            int r)
{
    sqlite3_finalize(statement);
    if (!call->txn)
        sqlite3_close(db);
    return r;
}

static inline sqlite3_stmt *lite_prepare(const struct lite *lite, sqlite3 *db, const char *format,
                                         const char *key)
{
    sqlite3_stmt *statement = NULL;
    char sql[256];

    snprintf(sql, sizeof sql, format, lite->name);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
    return statement;
}

static inline int lite_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                            flagver_error *err)
{
    const struct lite *lite = data;
    sqlite3_stmt *statement;
    sqlite3 *db = NULL;
    int r;

    r = lite_connect(lite, call, &db, err);
    if (r < 0)
        return r;
    statement = lite_prepare(lite, db, "SELECT value FROM %s WHERE key = ?1", call->key);
    if (sqlite3_step(statement) == SQLITE_ROW)
        r = flagver_sink_value(sink, sqlite3_column_text(statement, 0),
                               (size_t)sqlite3_column_bytes(statement, 0));
    else
        r = FLAGVER_ENOTFOUND;
    return lite_done(call, db, statement, r);
}

static inline int lite_change(const struct lite *lite, const flagver_side_call *call,
                              const char *format, const void *value, size_t length,
                              flagver_error *err)
{
    sqlite3_stmt *statement;
    sqlite3 *db = NULL;
    int r;

    if (lite->fails)
        return lite->fails;
    r = lite_connect(lite, call, &db, err);
    if (r < 0)
        return r;
    statement = lite_prepare(lite, db, format, call->key);
    if (value)
        sqlite3_bind_text(statement, 2, value, (int)length, SQLITE_TRANSIENT);
    r = sqlite3_step(statement) == SQLITE_DONE ? 0 : FLAGVER_EIO;
    return lite_done(call, db, statement, r);
}

static inline int lite_write(void *data, const flagver_side_call *call, const void *value,
                             size_t length, flagver_sink *sink, flagver_error *err)
{
    (void)sink;
    return lite_change(data, call, "INSERT OR REPLACE INTO %s VALUES (?1, ?2)", value, length, err);
}

static inline int lite_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    return lite_change(data, call, "DELETE FROM %s WHERE key = ?1", NULL, 0, err);
}

static inline int lite_scan(void *data, const flagver_side_call *call, const char *after,
                            uint32_t limit, flagver_sink *sink, flagver_error *err)
{
    const struct lite *lite = data;
    sqlite3_stmt *statement;
    uint32_t count = 0;
    sqlite3 *db = NULL;
    int r;

    r = lite_connect(lite, call, &db, err);
    if (r < 0)
        return r;
    statement = lite_prepare(
        lite, db, "SELECT key, value FROM %s WHERE key > ?1 ORDER BY key LIMIT ?2", after);
    sqlite3_bind_int64(statement, 2, limit);
    while (r == 0 && sqlite3_step(statement) == SQLITE_ROW) {
        r = flagver_sink_row(sink, (const char *)sqlite3_column_text(statement, 0),
                             sqlite3_column_text(statement, 1),
                             (size_t)sqlite3_column_bytes(statement, 1));
        count++;
    }
    if (r == 0 && count < limit)
        flagver_sink_end(sink);
    return lite_done(call, db, statement, r);
}

static inline flagver_side lite_side(struct lite *lite)
{
    return (flagver_side){ .size = sizeof(flagver_side),
                           .client = lite->client,
                           .data = lite,
                           .read = lite_read,
                           .write = lite_write,
                           .remove = lite_remove,
                           .scan = lite_scan };
}

/* ---- in a PostgreSQL database ---- */

#ifndef FV_WITHOUT_postgres
#define SERVED_IDLE 32

/* `name` is the table's, in the database of the client's store, which is at `uri`. */
struct served {
    flagver_client *client;
    const char *uri;
    const char *name;
    int fails; /* what every write returns; 0: none fails */

    pthread_mutex_t lock; /* over what follows */
    PGconn *idle[SERVED_IDLE];
    int idle_count;
};

static inline void served_init(struct served *served, flagver_client *client, const char *uri,
                               const char *name)
{
    *served = (struct served){ .client = client, .uri = uri, .name = name };
    pthread_mutex_init(&served->lock, NULL);
}

static inline void served_close(struct served *served)
{
    while (served->idle_count > 0)
        PQfinish(served->idle[--served->idle_count]);
}

/* On the transaction's connection, or on one of our own. */
static inline int served_connect(struct served *served, const flagver_side_call *call,
                                 PGconn **ret_connection, flagver_error *err)
{
    PGconn *connection = NULL;

    if (call->txn)
        return flagver_txn_connection_postgres(call->txn, ret_connection, err);
    pthread_mutex_lock(&served->lock);
    if (served->idle_count > 0)
        connection = served->idle[--served->idle_count];
    pthread_mutex_unlock(&served->lock);
    *ret_connection = connection ? connection : PQconnectdb(served->uri);
    return 0;
}

static inline void served_leave(struct served *served, const flagver_side_call *call,
                                PGconn *connection)
{
    bool kept = false;

    if (call->txn)
        return;
    pthread_mutex_lock(&served->lock);
    if (PQstatus(connection) == CONNECTION_OK && served->idle_count < SERVED_IDLE) {
        served->idle[served->idle_count++] = connection;
        kept = true;
    }
    pthread_mutex_unlock(&served->lock);
    if (!kept)
        PQfinish(connection);
}

/* Deadlocks and serialization failures: again, in another transaction. */
static inline int served_error(PGconn *connection, const PGresult *result, flagver_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    err->code = state && strncmp(state, "40", 2) == 0 ? FLAGVER_EBUSY : FLAGVER_EUNAVAILABLE;
    snprintf(err->message, sizeof err->message, "%.200s", PQerrorMessage(connection));
    return err->code;
}

/* `format` has the table's name; a result of the kind that is expected, or NULL and *ret_code. */
static inline PGresult *served_run(const struct served *served, PGconn *connection,
                                   ExecStatusType expected, const char *format,
                                   const char *const *values, int count, int *ret_code,
                                   flagver_error *err)
{
    PGresult *result;
    char sql[256];

    snprintf(sql, sizeof sql, format, served->name);
    result = PQexecParams(connection, sql, count, NULL, values, NULL, NULL, 0);
    *ret_code = 0;
    if (PQresultStatus(result) == expected)
        return result;
    *ret_code = served_error(connection, result, err);
    PQclear(result);
    return NULL;
}

static inline int served_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                              flagver_error *err)
{
    struct served *served = data;
    PGresult *result;
    PGconn *connection = NULL;
    int r;

    r = served_connect(served, call, &connection, err);
    if (r < 0)
        return r;
    result = served_run(served, connection, PGRES_TUPLES_OK, "SELECT value FROM %s WHERE key = $1",
                        &call->key, 1, &r, err);
    if (r == 0)
        r = PQntuples(result) ? flagver_sink_value(sink, PQgetvalue(result, 0, 0),
                                                   (size_t)PQgetlength(result, 0, 0))
                              : FLAGVER_ENOTFOUND;
    PQclear(result);
    served_leave(served, call, connection);
    return r;
}

static inline int served_change(struct served *served, const flagver_side_call *call,
                                const char *format, const char *value, flagver_error *err)
{
    const char *values[] = { call->key, value };
    PGconn *connection = NULL;
    int r;

    if (served->fails)
        return served->fails;
    r = served_connect(served, call, &connection, err);
    if (r < 0)
        return r;
    PQclear(
        served_run(served, connection, PGRES_COMMAND_OK, format, values, value ? 2 : 1, &r, err));
    served_leave(served, call, connection);
    return r;
}

static inline int served_write(void *data, const flagver_side_call *call, const void *value,
                               size_t length, flagver_sink *sink, flagver_error *err)
{
    char text[256];

    (void)sink;
    snprintf(text, sizeof text, "%.*s", (int)length, (const char *)value);
    return served_change(data, call,
                         "INSERT INTO %s VALUES ($1, $2)"
                         " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
                         text, err);
}

static inline int served_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    return served_change(data, call, "DELETE FROM %s WHERE key = $1", NULL, err);
}

static inline int served_scan(void *data, const flagver_side_call *call, const char *after,
                              uint32_t limit, flagver_sink *sink, flagver_error *err)
{
    struct served *served = data;
    char number[16];
    const char *values[] = { after, number };
    PGresult *result;
    PGconn *connection = NULL;
    int r;

    r = served_connect(served, call, &connection, err);
    if (r < 0)
        return r;
    snprintf(number, sizeof number, "%u", (unsigned)limit);
    result = served_run(served, connection, PGRES_TUPLES_OK,
                        "SELECT key, value FROM %s WHERE key > $1 ORDER BY key LIMIT $2::bigint",
                        values, 2, &r, err);
    for (int row = 0; r == 0 && row < PQntuples(result); row++)
        r = flagver_sink_row(sink, PQgetvalue(result, row, 0), PQgetvalue(result, row, 1),
                             (size_t)PQgetlength(result, row, 1));
    if (r == 0 && (uint32_t)PQntuples(result) < limit)
        flagver_sink_end(sink);
    PQclear(result);
    served_leave(served, call, connection);
    return r;
}

static inline flagver_side served_side(struct served *served)
{
    return (flagver_side){ .size = sizeof(flagver_side),
                           .client = served->client,
                           .data = served,
                           .read = served_read,
                           .write = served_write,
                           .remove = served_remove,
                           .scan = served_scan };
}
#endif

/* ---- migrations ---- */

static inline void put_migration(flagver_client *client, const char *name, const char *json)
{
    flagver_txn *txn = begin(client);

    assert_ok(try_put(txn, FLAGVER_PHASE_MIGRATION, name, json, NULL, NULL));
    commit(txn);
}

/* A route between two sides, by a migration, with what else the options say. */
static inline flagver_route *open_route(flagver_client *client, const char *migration,
                                        flagver_side old_side, flagver_side new_side,
                                        flagver_route_options options)
{
    flagver_route *route = NULL;

    options.size = sizeof options;
    options.old_side = old_side;
    options.new_side = new_side;
    assert_ok(flagver_route_open(client, migration, &options, &route, &error));
    return route;
}

static inline void close_route(flagver_route *route)
{
    assert_ok(flagver_route_close(route, 10000, &error));
}

static inline void write_text(flagver_route *route, const char *key, const char *value)
{
    assert_ok(flagver_route_write(route, key, value, strlen(value), NULL, NULL, &error));
}

/* NULL: there is none. Good until the next call. */
static inline const char *read_text(flagver_route *route, const char *key)
{
    static char text[256];
    flagver_route_result result = { .size = sizeof result };
    int r = flagver_route_read(route, key, NULL, &result, &error);

    if (r == FLAGVER_ENOTFOUND)
        return NULL;
    ck_assert_msg(r == 0, "%s", error.message);
    snprintf(text, sizeof text, "%s", result.value);
    flagver_route_result_clear(&result);
    return text;
}

static inline void go_to(flagver_route *route, int stage)
{
    assert_ok(flagver_route_stage(route, &alice, stage, NULL, &error));
}

static inline flagver_route_progress take_steps(flagver_route *route)
{
    flagver_route_progress progress = { .size = sizeof progress };

    assert_ok(flagver_route_step(route, 10000, &progress, &error));
    return progress;
}

#endif
