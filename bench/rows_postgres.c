#include "rows.h"

#ifndef FV_WITHOUT_postgres

#include <flagver/postgres.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SCAN "SELECT key, value FROM rows WHERE key > $1 ORDER BY key LIMIT $2::bigint"
#define READ "SELECT value FROM rows WHERE key = $1"
#define WRITE                              \
    "INSERT INTO rows (key, value) VALUES" \
    " ($1, $2) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
#define STAGE                                                               \
    "CREATE TEMPORARY TABLE moved (key text COLLATE \"C\", value text) ON " \
    "COMMIT DELETE ROWS"
#define COPY "COPY moved (key, value) FROM STDIN"
#define TAKE                                                     \
    "INSERT INTO rows (key, value) SELECT key, value FROM moved" \
    " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"

/* By hand: where a greater version stands beside the row, it stays. */
#define NAME "'users' || chr(31) || 'n' || chr(31) || m.key"
#define ONE "'\\x0100000000000000010000000000000001'::bytea"
#define TAKE_NEWER                                                                \
    "INSERT INTO rows (key, value) SELECT m.key, m.value FROM moved m WHERE NOT " \
    "EXISTS (SELECT 1 FROM flagver.keyed k WHERE k.tenant = 'default' AND "       \
    "k.space = 'route.key' AND k.key = " NAME " AND k.value >= " ONE              \
    ") ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
#define TAKE_VERSIONS                                                              \
    "INSERT INTO flagver.keyed AS k (tenant, space, key, rev, time, value)"        \
    " SELECT 'default', 'route.key', " NAME ", 1767225600000000, 1767225600000000" \
    ", " ONE " FROM moved m ON CONFLICT (tenant, space, key) DO UPDATE"            \
    " SET rev = k.rev + 1, value = EXCLUDED.value WHERE k.value < EXCLUDED.value"

struct served_rows {
    struct rows rows;
    PGconn *connection;
    int staged; /* the process of the connection that has the temporary table */
    char text[128];
};

static void must(PGconn *connection, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN)
        bench_die("libpq: %s", PQerrorMessage(connection));
}

static void execute(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);

    must(connection, result);
    PQclear(result);
}

/* ------------------------------------------------------------------------
 * COPY
 */

static char *add_escaped(char *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
            *out++ = '\\';
            *out++ = text[i] == '\t' ? 't' : text[i] == '\n' ? 'n' : text[i] == '\r' ? 'r' : '\\';
        } else {
            *out++ = text[i];
        }
    }
    return out;
}

/* Into the temporary table, which is made when this connection has none yet. */
static void stage(struct served_rows *served, PGconn *connection, const flagver_side_row *added,
                  size_t count)
{
    size_t room = 0;
    char *text, *end;

    if (served->staged != PQbackendPID(connection))
        execute(connection, STAGE);
    served->staged = PQbackendPID(connection);
    for (size_t i = 0; i < count; i++)
        room += 2 * (strlen(added[i].key) + added[i].length) + 2;
    text = end = bench_allocate(room, 1);
    for (size_t i = 0; i < count; i++) {
        end = add_escaped(end, added[i].key, strlen(added[i].key));
        *end++ = '\t';
        end = add_escaped(end, added[i].value, added[i].length);
        *end++ = '\n';
    }
    execute(connection, COPY);
    if (PQputCopyData(connection, text, (int)(end - text)) != 1 ||
        PQputCopyEnd(connection, NULL) != 1)
        bench_die("libpq: %s", PQerrorMessage(connection));
    for (PGresult *result; (result = PQgetResult(connection)); PQclear(result))
        must(connection, result);
    free(text);
}

/* ------------------------------------------------------------------------
 * By hand
 */

static void close_served(struct rows *rows)
{
    struct served_rows *served = (struct served_rows *)rows;

    PQfinish(served->connection);
    free(served);
}

static const char *run_served(struct rows *rows, const char *sql)
{
    struct served_rows *served = (struct served_rows *)rows;
    PGresult *result = PQexec(served->connection, sql);

    must(served->connection, result);
    served->text[0] = '\0';
    if (PQntuples(result) > 0)
        strncat(served->text, PQgetvalue(result, 0, 0), sizeof served->text - 1);
    PQclear(result);
    return served->text;
}

static PGresult *select_rows(struct served_rows *served, const char *after, size_t limit)
{
    char number[24];
    const char *values[] = { after, number };
    PGresult *result;

    snprintf(number, sizeof number, "%zu", limit);
    result = PQexecPrepared(served->connection, "scan", 2, values, NULL, NULL, 0);
    must(served->connection, result);
    return result;
}

static size_t scan_served(struct rows *rows, const char *after, size_t limit,
                          void (*visit)(void *data, const char *key, const char *value,
                                        size_t length),
                          void *data)
{
    PGresult *result = select_rows((struct served_rows *)rows, after, limit);
    int count = PQntuples(result);

    for (int i = 0; i < count; i++)
        visit(data, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1),
              (size_t)PQgetlength(result, i, 1));
    PQclear(result);
    return (size_t)count;
}

static void put_served(struct rows *rows, const flagver_side_row *added, size_t count)
{
    struct served_rows *served = (struct served_rows *)rows;

    execute(served->connection, "BEGIN");
    execute(served->connection, "SELECT set_config('flagver.tenant', 'default', true)");
    stage(served, served->connection, added, count);
    execute(served->connection, TAKE_NEWER);
    execute(served->connection, TAKE_VERSIONS);
    execute(served->connection, "COMMIT");
}

/* ------------------------------------------------------------------------
 * As a side
 */

static int connect_side(struct served_rows *served, const flagver_side_call *call,
                        PGconn **ret_connection, flagver_error *err)
{
    *ret_connection = served->connection;
    return call->txn ? flagver_txn_connection_postgres(call->txn, ret_connection, err) : 0;
}

static int read_served(void *data, const flagver_side_call *call, flagver_sink *sink,
                       flagver_error *err)
{
    PGconn *connection;
    PGresult *result;
    int r = connect_side(data, call, &connection, err);

    if (r < 0)
        return r;
    result = PQexecParams(connection, READ, 1, NULL, &call->key, NULL, NULL, 0);
    must(connection, result);
    r = PQntuples(result)
            ? flagver_sink_value(sink, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0))
            : FLAGVER_ENOTFOUND;
    PQclear(result);
    return r;
}

static int write_served(void *data, const flagver_side_call *call, const void *value, size_t length,
                        flagver_sink *sink, flagver_error *err)
{
    char text[ROWS_VALUE];
    const char *values[] = { call->key, text };
    PGconn *connection;
    PGresult *result;
    int r = connect_side(data, call, &connection, err);

    (void)sink;
    if (r < 0)
        return r;
    snprintf(text, sizeof text, "%.*s", (int)length, (const char *)value);
    result = PQexecParams(connection, WRITE, 2, NULL, values, NULL, NULL, 0);
    must(connection, result);
    PQclear(result);
    return 0;
}

static int write_many_served(void *data, const flagver_side_call *call,
                             const flagver_side_row *added, size_t count, flagver_error *err)
{
    PGconn *connection;
    int r = connect_side(data, call, &connection, err);

    if (r < 0)
        return r;
    stage(data, connection, added, count);
    execute(connection, TAKE);
    return 0;
}

static int scan_side(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                     flagver_sink *sink, flagver_error *err)
{
    PGresult *result = select_rows(data, after, limit);
    int count = PQntuples(result), r = 0;

    (void)call;
    (void)err;
    for (int i = 0; i < count && r == 0; i++)
        r = flagver_sink_row(sink, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1),
                             (size_t)PQgetlength(result, i, 1));
    if (r == 0 && (uint32_t)count < limit)
        flagver_sink_end(sink);
    PQclear(result);
    return r;
}

static const struct rows_driver driver = { close_served,
                                           run_served,
                                           scan_served,
                                           put_served,
                                           { .read = read_served,
                                             .write = write_served,
                                             .scan = scan_side,
                                             .write_many = write_many_served } };

struct rows *rows_open_postgres(const char *uri)
{
    struct served_rows *served = bench_allocate(1, sizeof *served);
    PGresult *result;

    served->rows.driver = &driver;
    served->connection = PQconnectdb(uri);
    if (PQstatus(served->connection) != CONNECTION_OK)
        bench_die("libpq: %s", PQerrorMessage(served->connection));
    result = PQprepare(served->connection, "scan", SCAN, 2, NULL);
    must(served->connection, result);
    PQclear(result);
    return &served->rows;
}

#endif
