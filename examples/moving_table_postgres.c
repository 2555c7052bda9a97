/*
 * A service moves a table to another database while its customers go on ordering. In SQLite an
 * order's id is a number that the database assigns; in PostgreSQL it is a UUID. The service's
 * threads know orders by the old ids; what belongs to which is in the id map.
 *
 *     moving_table_postgres postgresql://owner@/trial
 *
 * The database is one to play in: tables and a store are made in it. The SQLite file is the
 * program's own. Each side is enlisted in the store beside its table: a row, its mapping and what
 * the other side is owed are one commit.
 *
 * Writes fail on purpose, on either side, and connections break in the middle of transactions.
 * At the end every order must be as its customer was told. Ends with 1 if one is not.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, rand_r, nanosleep */

#include <flagver.h>
#include <flagver/postgres.h>
#include <flagver/sqlite.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ENTITY "order"
#define BEFORE 240 /* orders before the migration */
#define THREADS 4
#define ORDERS 2000   /* of a thread, at most */
#define PATIENCE 1000 /* refusals in a row */
#define KEY_SIZE 24
#define ITEM_SIZE 24

static const flagver_actor mover = { .size = sizeof mover, .id = "mover" };

/* ---- what goes wrong ---- */

static atomic_bool faults;
static atomic_uint writes, breaks;

/* Called before each write of a side. */
static int may_fail(const char *name, flagver_error *err)
{
    if (!faults || atomic_fetch_add(&writes, 1) % 29 > 0)
        return 0;
    err->code = FLAGVER_EUNAVAILABLE;
    snprintf(err->message, sizeof err->message, "the %s has failed, on purpose", name);
    return err->code;
}

/* Now and then the server loses the connection of a transaction that has written something. */
static void may_break(PGconn *db)
{
    if (faults && atomic_fetch_add(&breaks, 1) % 97 == 96)
        PQclear(PQexec(db, "SELECT pg_terminate_backend(pg_backend_pid())"));
}

/* ---- an order ---- */

/* Between the sides an order is "quantity item", for instance "3 lamp". */
struct order {
    int quantity;
    char item[ITEM_SIZE];
};

static int parse(const void *value, size_t length, struct order *order, flagver_error *err)
{
    char text[64];

    snprintf(text, sizeof text, "%.*s", (int)length, (const char *)value);
    if (sscanf(text, "%d %23s", &order->quantity, order->item) == 2)
        return 0;
    err->code = FLAGVER_EINVAL;
    snprintf(err->message, sizeof err->message, "\"%.40s\" is no order", text);
    return err->code;
}

/* ---- the old side: SQLite ---- */

struct old_table {
    pthread_mutex_t lock; /* over the reader */
    sqlite3 *reader;      /* for reads outside of transactions */
};

/* The route's keys are texts, and rise as bytes do: "10" comes before "9". */
static const char old_schema[] =
    "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL,"
    " quantity INTEGER NOT NULL);"
    "CREATE INDEX orders_by_key ON orders (CAST(id AS TEXT));"
    "INSERT INTO orders (item, quantity) WITH RECURSIVE n(i) AS"
    " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 240) SELECT 'lamp', 1 FROM n";

static int old_failed(sqlite3 *db, flagver_error *err)
{
    int code = sqlite3_errcode(db);

    err->code = code == SQLITE_BUSY || code == SQLITE_LOCKED ? FLAGVER_EBUSY : FLAGVER_EIO;
    snprintf(err->message, sizeof err->message, "%.200s", sqlite3_errmsg(db));
    return err->code;
}

/* A statement on the transaction's connection, or on the reader, which is then ours for a while. */
static int old_begin(struct old_table *table, const flagver_side_call *call, const char *sql,
                     sqlite3_stmt **ret_statement, flagver_error *err)
{
    sqlite3 *db = table->reader;
    int r = 0;

    *ret_statement = NULL;
    pthread_mutex_lock(&table->lock);
    if (call->txn)
        r = flagver_txn_connection_sqlite(call->txn, &db, err);
    if (r == 0 && sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL) != SQLITE_OK)
        r = old_failed(db, err);
    return r;
}

static void old_end(struct old_table *table, sqlite3_stmt *statement)
{
    sqlite3_finalize(statement);
    pthread_mutex_unlock(&table->lock);
}

static int old_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                    flagver_error *err)
{
    struct old_table *table = data;
    sqlite3_stmt *statement;
    int r, step;

    r = old_begin(table, call, "SELECT quantity || ' ' || item FROM orders WHERE id = ?1",
                  &statement, err);
    if (r == 0) {
        sqlite3_bind_int64(statement, 1, atoll(call->key));
        step = sqlite3_step(statement);
        if (step == SQLITE_ROW)
            r = flagver_sink_value(sink, sqlite3_column_text(statement, 0),
                                   (size_t)sqlite3_column_bytes(statement, 0));
        else
            r = step == SQLITE_DONE ? FLAGVER_ENOTFOUND
                                    : old_failed(sqlite3_db_handle(statement), err);
    }
    old_end(table, statement);
    return r;
}

/* Without a key an order is created, and the database assigns its id. */
static int old_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                     flagver_sink *sink, flagver_error *err)
{
    struct old_table *table = data;
    sqlite3_stmt *statement;
    struct order order;
    char key[KEY_SIZE];
    sqlite3 *db;
    int r;

    r = may_fail("old side", err);
    if (r == 0)
        r = parse(value, length, &order, err);
    if (r < 0)
        return r;
    r = old_begin(table, call, "INSERT OR REPLACE INTO orders VALUES (?1, ?2, ?3)", &statement,
                  err);
    if (r == 0) {
        db = sqlite3_db_handle(statement);
        if (call->key)
            sqlite3_bind_int64(statement, 1, atoll(call->key));
        sqlite3_bind_text(statement, 2, order.item, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 3, order.quantity);
        r = sqlite3_step(statement) == SQLITE_DONE ? 0 : old_failed(db, err);
        snprintf(key, sizeof key, "%lld", (long long)sqlite3_last_insert_rowid(db));
    }
    if (r == 0 && !call->key)
        r = flagver_sink_key(sink, key);
    old_end(table, statement);
    return r;
}

static int old_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    struct old_table *table = data;
    sqlite3_stmt *statement;
    int r;

    r = may_fail("old side", err);
    if (r < 0)
        return r;
    r = old_begin(table, call, "DELETE FROM orders WHERE id = ?1", &statement, err);
    if (r == 0) {
        sqlite3_bind_int64(statement, 1, atoll(call->key));
        if (sqlite3_step(statement) != SQLITE_DONE)
            r = old_failed(sqlite3_db_handle(statement), err);
    }
    old_end(table, statement);
    return r;
}

static int old_scan(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                    flagver_sink *sink, flagver_error *err)
{
    static const char sql[] = "SELECT CAST(id AS TEXT), quantity || ' ' || item FROM orders"
                              " WHERE CAST(id AS TEXT) > ?1 ORDER BY CAST(id AS TEXT) LIMIT ?2";
    struct old_table *table = data;
    sqlite3_stmt *statement;
    int r, step = SQLITE_DONE;
    uint32_t count = 0;

    r = old_begin(table, call, sql, &statement, err);
    if (r == 0) {
        sqlite3_bind_text(statement, 1, after, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, limit);
    }
    while (r == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        r = flagver_sink_row(sink, (const char *)sqlite3_column_text(statement, 0),
                             sqlite3_column_text(statement, 1),
                             (size_t)sqlite3_column_bytes(statement, 1));
        count++;
    }
    if (r == 0 && step != SQLITE_DONE)
        r = old_failed(sqlite3_db_handle(statement), err);
    if (r == 0 && count < limit)
        flagver_sink_end(sink);
    old_end(table, statement);
    return r;
}

/* ---- the new side: PostgreSQL ---- */

struct new_table {
    flagver_client *client;
    pthread_mutex_t lock; /* over the reader */
    PGconn *reader;       /* for reads outside of transactions */
};

/* The old ids of orders that are created here begin where the old database will never come to. */
static const char new_schema[] =
    "SET client_min_messages = warning; DROP TABLE IF EXISTS orders;"
    "DROP SEQUENCE IF EXISTS order_number; CREATE SEQUENCE order_number START 1000001;"
    "CREATE TABLE orders (id uuid PRIMARY KEY, item text NOT NULL, quantity bigint NOT NULL)";

/* Who has lost a conflict between transactions tries again in another one: FLAGVER_EBUSY. */
static int new_failed(PGconn *db, const PGresult *result, flagver_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    err->code = state && strncmp(state, "40", 2) == 0 ? FLAGVER_EBUSY : FLAGVER_EUNAVAILABLE;
    snprintf(err->message, sizeof err->message, "%.*s", (int)strcspn(PQerrorMessage(db), "\n"),
             PQerrorMessage(db));
    return err->code;
}

/* `*ret_result` is to be cleared in any case. */
static int run(PGconn *db, const char *sql, const char *const *values, int count,
               PGresult **ret_result, flagver_error *err)
{
    ExecStatusType status;

    *ret_result = count > 0 ? PQexecParams(db, sql, count, NULL, values, NULL, NULL, 0)
                            : PQexec(db, sql);
    status = PQresultStatus(*ret_result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
               ? 0
               : new_failed(db, *ret_result, err);
}

/* On the transaction's connection, or on the reader. */
static int new_run(struct new_table *table, const flagver_side_call *call, const char *sql,
                   const char *const *values, int count, PGresult **ret_result, flagver_error *err)
{
    PGconn *db = NULL;
    int r;

    *ret_result = NULL;
    if (call->txn) {
        r = flagver_txn_connection_postgres(call->txn, &db, err);
        return r < 0 ? r : run(db, sql, values, count, ret_result, err);
    }
    pthread_mutex_lock(&table->lock);
    r = run(table->reader, sql, values, count, ret_result, err);
    pthread_mutex_unlock(&table->lock);
    return r;
}

/* The UUID of an order: as the transaction sees it, where there is one. */
static int new_id(const struct new_table *table, const flagver_side_call *call,
                  char id[FLAGVER_IDMAP_ID_SIZE], flagver_error *err)
{
    return call->txn ? flagver_idmap_get_in(call->txn, ENTITY, call->key, id, err)
                     : flagver_idmap_get(table->client, ENTITY, call->key, id, err);
}

static int new_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                    flagver_error *err)
{
    struct new_table *table = data;
    char id[FLAGVER_IDMAP_ID_SIZE];
    const char *values[] = { id };
    PGresult *result = NULL;
    int r;

    r = new_id(table, call, id, err);
    if (r == 0)
        r = new_run(table, call, "SELECT quantity || ' ' || item FROM orders WHERE id = $1", values,
                    1, &result, err);
    if (r == 0)
        r = PQntuples(result) > 0 ? flagver_sink_value(sink, PQgetvalue(result, 0, 0),
                                                       (size_t)PQgetlength(result, 0, 0))
                                  : FLAGVER_ENOTFOUND;
    PQclear(result);
    return r;
}

/* An order that begins its life here has no old id yet. */
static int new_number(struct new_table *table, const flagver_side_call *call, char key[KEY_SIZE],
                      flagver_sink *sink, flagver_error *err)
{
    PGresult *result;
    int r = new_run(table, call, "SELECT nextval('order_number')", NULL, 0, &result, err);

    if (r == 0) {
        snprintf(key, KEY_SIZE, "%s", PQgetvalue(result, 0, 0));
        r = flagver_sink_key(sink, key);
    }
    PQclear(result);
    return r;
}

/* The row and its mapping, in one commit. */
static int new_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                     flagver_sink *sink, flagver_error *err)
{
    struct new_table *table = data;
    char id[FLAGVER_IDMAP_ID_SIZE], key[KEY_SIZE], quantity[16];
    struct order order = { 0 };
    const char *values[] = { id, order.item, quantity };
    PGresult *result = NULL;
    PGconn *db = NULL;
    int r;

    r = may_fail("new side", err);
    if (r == 0)
        r = parse(value, length, &order, err);
    if (r == 0 && !call->key)
        r = new_number(table, call, key, sink, err);
    if (r == 0)
        r = flagver_idmap_new(call->txn, ENTITY, call->key ? call->key : key, NULL, id, err);
    if (r < 0)
        return r;
    snprintf(quantity, sizeof quantity, "%d", order.quantity);
    r = new_run(table, call,
                "INSERT INTO orders VALUES ($1, $2, $3) ON CONFLICT (id)"
                " DO UPDATE SET item = EXCLUDED.item, quantity = EXCLUDED.quantity",
                values, 3, &result, err);
    PQclear(result);
    if (r == 0 && flagver_txn_connection_postgres(call->txn, &db, NULL) == 0)
        may_break(db);
    return r;
}

/* The mapping goes with the row. */
static int new_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    struct new_table *table = data;
    char id[FLAGVER_IDMAP_ID_SIZE];
    const char *values[] = { id };
    PGresult *result = NULL;
    int r;

    r = may_fail("new side", err);
    if (r == 0)
        r = new_id(table, call, id, err);
    if (r < 0)
        return r == FLAGVER_ENOTFOUND ? 0 : r;
    r = new_run(table, call, "DELETE FROM orders WHERE id = $1", values, 1, &result, err);
    PQclear(result);
    return r < 0 ? r : flagver_idmap_remove(call->txn, ENTITY, call->key, err);
}

/* Old ids and UUIDs of a scan, as two arrays of PostgreSQL's. */
struct page {
    uint32_t limit, count;
    size_t old_length, new_length;
    char *old_ids, *new_ids;
    char last[KEY_SIZE];
};

static bool turn(void *data, const flagver_idmap_entry *entry)
{
    struct page *page = data;
    char separator = page->count == 0 ? '{' : ',';

    page->old_length += (size_t)snprintf(page->old_ids + page->old_length, KEY_SIZE + 1, "%c%s",
                                         separator, entry->old_id);
    page->new_length += (size_t)snprintf(page->new_ids + page->new_length, FLAGVER_UUID_SIZE + 1,
                                         "%c%s", separator, entry->new_id);
    snprintf(page->last, sizeof page->last, "%s", entry->old_id);
    return ++page->count < page->limit;
}

/* The rows of a page, in the order of their old ids. */
static int new_page(struct new_table *table, const flagver_side_call *call, struct page *page,
                    flagver_sink *sink, int *ret_rows, flagver_error *err)
{
    const char *values[] = { page->old_ids, page->new_ids };
    PGresult *result = NULL;
    int i, r;

    memcpy(page->old_ids + page->old_length, "}", 2);
    memcpy(page->new_ids + page->new_length, "}", 2);
    r = new_run(table, call,
                "SELECT m.key, o.quantity || ' ' || o.item"
                " FROM unnest($1::text[], $2::uuid[]) AS m (key, id) JOIN orders AS o USING (id)"
                " ORDER BY m.key COLLATE \"C\"",
                values, 2, &result, err);
    *ret_rows = r == 0 ? PQntuples(result) : 0;
    for (i = 0; r == 0 && i < *ret_rows; i++)
        r = flagver_sink_row(sink, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1),
                             (size_t)PQgetlength(result, i, 1));
    PQclear(result);
    return r;
}

/* By the id map, which is in the order of old ids. A row may be gone since its mapping was seen. */
static int new_scan(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                    flagver_sink *sink, flagver_error *err)
{
    struct page page = { .limit = limit };
    struct new_table *table = data;
    int rows = 0, r = 0;

    page.old_ids = malloc(limit * (KEY_SIZE + 1) + 2);
    page.new_ids = malloc(limit * (FLAGVER_UUID_SIZE + 1) + 2);
    if (!page.old_ids || !page.new_ids)
        r = err->code = FLAGVER_ENOMEM;
    snprintf(page.last, sizeof page.last, "%s", after);
    do {
        page.count = 0;
        page.old_length = page.new_length = 0;
        if (r == 0)
            r = flagver_idmap_visit(table->client, ENTITY, *page.last ? page.last : NULL, turn,
                                    &page, err);
        if (r == 0 && page.count > 0)
            r = new_page(table, call, &page, sink, &rows, err);
    } while (r == 0 && rows == 0 && page.count == limit);
    if (r == 0 && page.count < limit)
        flagver_sink_end(sink);
    free(page.old_ids);
    free(page.new_ids);
    return r;
}

/* ---- the service ---- */

/* What a customer was told of an order; quantity 0: it was cancelled. */
struct told {
    char key[KEY_SIZE];
    int quantity;
};

struct clerk {
    pthread_t thread;
    flagver_route *route;
    unsigned seed;
    struct told told[ORDERS];
    int count;
    unsigned acknowledged, refused, in_a_row, lost;
    flagver_error err; /* code 0: none that ended the thread */
};

static atomic_bool closing;

static void nap(long milliseconds)
{
    nanosleep(&(struct timespec){ 0, milliseconds * 1000000 }, NULL);
}

/* What may go well the next time: nothing was acknowledged, so it is asked for again, for a while. */
static bool again(struct clerk *clerk, int r)
{
    if (r != FLAGVER_EUNAVAILABLE && r != FLAGVER_EBUSY && r != FLAGVER_ETIMEDOUT &&
        r != FLAGVER_EIO) {
        clerk->in_a_row = 0;
        return false;
    }
    clerk->refused++;
    nap(2);
    return ++clerk->in_a_row < PATIENCE;
}

/* An order is placed, changed or cancelled (quantity 0). */
static int change(struct clerk *clerk, struct told *told, int quantity)
{
    flagver_route_result result = { .size = sizeof result };
    const char *key = *told->key ? told->key : NULL;
    char value[32];
    int r;

    snprintf(value, sizeof value, "%d lamp", quantity);
    do
        r = quantity > 0 ? flagver_route_write(clerk->route, key, value, strlen(value), NULL,
                                               &result, &clerk->err)
                         : flagver_route_remove(clerk->route, key, NULL, &result, &clerk->err);
    while (again(clerk, r));
    if (r == 0) {
        if (!key)
            snprintf(told->key, sizeof told->key, "%s", result.key);
        told->quantity = quantity;
        clerk->acknowledged++;
    }
    flagver_route_result_clear(&result);
    return r;
}

/* Strict: not less than what was acknowledged, whichever side the order is on just now. */
static int look(struct clerk *clerk, const struct told *told)
{
    const flagver_route_call call = { .size = sizeof call, .strict = 1 };
    flagver_route_result result = { .size = sizeof result };
    int r, quantity;

    do
        r = flagver_route_read(clerk->route, told->key, &call, &result, &clerk->err);
    while (again(clerk, r));
    quantity = r == 0 ? atoi(result.value) : 0;
    if (r == FLAGVER_ENOTFOUND)
        r = 0;
    if (r == 0 && quantity != told->quantity) {
        printf("order %s: the customer was told %d, it is %d\n", told->key, told->quantity,
               quantity);
        clerk->lost++;
    }
    flagver_route_result_clear(&result);
    return r;
}

/* One customer. */
static int serve(struct clerk *clerk)
{
    int dice = rand_r(&clerk->seed) % 20, which = rand_r(&clerk->seed) % clerk->count;
    struct told *told = &clerk->told[which];

    if (dice < 3 && clerk->count < ORDERS)
        return change(clerk, &clerk->told[clerk->count++], 1);
    if (told->quantity > 0 && dice < 9)
        return change(clerk, told, dice == 3 ? 0 : told->quantity + 1);
    return look(clerk, told);
}

static void *work(void *data)
{
    struct clerk *clerk = data;
    int r = 0;

    while (!closing && r == 0) {
        r = serve(clerk);
        nap(1);
    }
    if (r == 0)
        clerk->err.code = 0; /* what was refused went well in the end */
    return NULL;
}

/* Each has customers of its own, so that it knows what they were told. */
static int open_shop(struct clerk *clerks, flagver_route *route)
{
    int i, id;

    for (i = 0; i < THREADS; i++) {
        clerks[i].route = route;
        clerks[i].seed = (unsigned)i + 1;
        for (id = 1 + i; id <= BEFORE; id += THREADS) {
            struct told *told = &clerks[i].told[clerks[i].count++];

            snprintf(told->key, sizeof told->key, "%d", id);
            told->quantity = 1;
        }
    }
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&clerks[i].thread, NULL, work, &clerks[i]) != 0)
            return i;
    return THREADS;
}

static int close_shop(struct clerk *clerks, int count, flagver_error *err)
{
    unsigned acknowledged = 0, refused = 0, lost = 0;
    int i, j, r = count == THREADS ? 0 : FLAGVER_ENOMEM;

    closing = true;
    for (i = 0; i < count; i++)
        pthread_join(clerks[i].thread, NULL);
    faults = false;
    for (i = 0; i < count; i++) {
        if (clerks[i].err.code < 0) {
            *err = clerks[i].err;
            return err->code;
        }
        for (j = 0; j < clerks[i].count && r == 0; j++)
            r = look(&clerks[i], &clerks[i].told[j]);
        acknowledged += clerks[i].acknowledged;
        refused += clerks[i].refused;
        lost += clerks[i].lost;
    }
    printf("%u changes acknowledged, %u refused and asked for again, %u lost\n", acknowledged,
           refused, lost);
    if (r == 0 && lost == 0)
        return 0;
    err->code = r < 0 ? r : FLAGVER_EINVAL;
    snprintf(err->message, sizeof err->message, "not every order is as its customer was told");
    return err->code;
}

/* ---- the migration ---- */

static int make_migration(void *data, flagver_txn *txn, flagver_error *err)
{
    /* Some reads find what a fault has left behind, until it is repaired. */
    static const char record[] = "{\"stage\": \"off\", \"gates\": {\"match_rate\": 80}}";

    (void)data;
    return flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, "orders", record, strlen(record), NULL,
                               NULL, err);
}

static int are_equal(void *data, const char *key, const void *old_value, size_t old_length,
                     const void *new_value, size_t new_length)
{
    (void)data;
    (void)key;
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

/* Keys that wait to be repaired just now are left out; then it does not open the gate yet. */
static int verify(flagver_route *route, flagver_error *err)
{
    uint64_t compared, differences;
    int r = flagver_route_verify(route, NULL, NULL, NULL, &compared, &differences, err);

    if (r == 0)
        printf("verified: %llu orders, %llu differ\n", (unsigned long long)compared,
               (unsigned long long)differences);
    return r;
}

/* Gates open when enough was seen, and faults are in the way of that: so it is tried for a while. */
static int advance(flagver_route *route, int stage, flagver_error *err)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .percentage = stage == FLAGVER_STAGE_RAMP ? 50 : 0 };
    bool by_verification = stage == FLAGVER_STAGE_RAMP || stage == FLAGVER_STAGE_COMPLETE;
    int tries, r = FLAGVER_ESTATE;

    for (tries = 0; tries < 200 && r < 0; tries++) {
        nap(100);
        r = by_verification ? verify(route, err) : 0;
        if (r == 0)
            r = flagver_route_stage(route, &mover, stage, &change, err);
    }
    if (r == 0)
        printf("--- %s\n", flagver_stage_name(stage));
    return r;
}

static bool count_mapping(void *data, const flagver_idmap_entry *entry)
{
    (void)entry;
    ++*(long *)data;
    return true;
}

/* Every row has an old id, and every old id a row. */
static int check_mapping(struct new_table *table, flagver_error *err)
{
    PGresult *result;
    long mapped = 0, rows = -1;
    int r;

    r = flagver_idmap_visit(table->client, ENTITY, NULL, count_mapping, &mapped, err);
    if (r < 0)
        return r;
    r = run(table->reader, "SELECT count(*) FROM orders", NULL, 0, &result, err);
    if (r == 0)
        rows = atol(PQgetvalue(result, 0, 0));
    PQclear(result);
    if (r < 0)
        return r;
    printf("%ld orders in the new table, %ld ids mapped\n", rows, mapped);
    if (rows == mapped)
        return 0;
    err->code = FLAGVER_EINVAL;
    snprintf(err->message, sizeof err->message, "the mapping is not complete");
    return err->code;
}

static int move(flagver_route *route, flagver_error *err)
{
    static struct clerk clerks[THREADS];
    int count, closed, stage, r = 0;
    flagver_error why;

    count = open_shop(clerks, route);
    faults = true;
    for (stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_COMPLETE && r == 0; stage++)
        r = advance(route, stage, err);
    nap(300);
    closed = close_shop(clerks, count, &why);
    if (r == 0 && closed < 0)
        *err = why;
    return r < 0 ? r : closed;
}

/* ---- the two databases ---- */

static int open_old(const char *path, struct old_table *table, flagver_client **ret_client,
                    flagver_error *err)
{
    char uri[80];
    int r;

    snprintf(uri, sizeof uri, "sqlite:%s", path);
    r = flagver_open(uri, NULL, ret_client, err);
    if (r < 0)
        return r;
    if (sqlite3_open(path, &table->reader) != SQLITE_OK ||
        sqlite3_busy_timeout(table->reader, 5000) != SQLITE_OK ||
        sqlite3_exec(table->reader, old_schema, NULL, NULL, NULL) != SQLITE_OK)
        return old_failed(table->reader, err);
    return 0;
}

static int open_new(const char *uri, struct new_table *table, flagver_error *err)
{
    PGresult *result = NULL;
    int r;

    r = flagver_schema_up(uri, err); /* for once: that is its owner's, not the program's */
    if (r == 0)
        r = flagver_open(uri, NULL, &table->client, err);
    if (r < 0)
        return r;
    table->reader = PQconnectdb(uri);
    if (PQstatus(table->reader) != CONNECTION_OK)
        return new_failed(table->reader, NULL, err);
    r = run(table->reader, new_schema, NULL, 0, &result, err);
    PQclear(result);
    return r;
}

/* The migration's record stays where the orders will be. */
static int migrate(flagver_client *old_client, struct old_table *olds, struct new_table *news,
                   flagver_error *err)
{
    const flagver_route_options options = { .size = sizeof options,
                                            .old_side = { .size = sizeof options.old_side,
                                                          .client = old_client,
                                                          .data = olds,
                                                          .read = old_read,
                                                          .write = old_write,
                                                          .remove = old_remove,
                                                          .scan = old_scan },
                                            .new_side = { .size = sizeof options.new_side,
                                                          .client = news->client,
                                                          .data = news,
                                                          .read = new_read,
                                                          .write = new_write,
                                                          .remove = new_remove,
                                                          .scan = new_scan },
                                            .compare = are_equal,
                                            .background = 1 };
    flagver_route *route = NULL;
    int r, closed;

    r = flagver_txn_run(news->client, &mover, NULL, make_migration, NULL, err);
    if (r == 0)
        r = flagver_route_open(news->client, "orders", &options, &route, err);
    if (r == 0)
        r = move(route, err);
    closed = flagver_route_close(route, 5000, r == 0 ? err : NULL);
    if (r == 0)
        r = closed;
    return r < 0 ? r : check_mapping(news, err);
}

int main(int argc, char **argv)
{
    static struct old_table olds = { .lock = PTHREAD_MUTEX_INITIALIZER };
    static struct new_table news = { .lock = PTHREAD_MUTEX_INITIALIZER };
    char folder[] = "/tmp/flagver-orders-XXXXXX", path[64];
    flagver_client *old_client = NULL;
    flagver_error err;
    int r;

    if (argc < 2) {
        printf("SKIPPED: no PostgreSQL server (moving_table_postgres postgresql://…)\n");
        return 0;
    }
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/orders.db", folder);
    r = open_old(path, &olds, &old_client, &err);
    if (r == 0)
        r = open_new(argv[1], &news, &err);
    if (r == 0)
        r = migrate(old_client, &olds, &news, &err);
    if (r < 0)
        fprintf(stderr, "moving_table_postgres: %s\n", err.message);

    PQfinish(news.reader);
    sqlite3_close(olds.reader);
    flagver_close(news.client);
    flagver_close(old_client);
    unlink(path);
    rmdir(folder);
    return r < 0;
}
