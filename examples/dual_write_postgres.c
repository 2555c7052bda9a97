/*
 * Dual write inside of the application's own transactions: a table of customers gives way to one of
 * another shape in the same PostgreSQL database. Whatever the application commits is in both
 * tables, and what it takes back is in neither.
 *
 *     dual_write_postgres postgresql://owner@/trial
 *
 * The database is one to play in: tables and a store are made in it. Both sides are enlisted in that
 * store, so the new table is written in the commit that writes the old one, and nothing has to be
 * remembered, but where the new table refuses a row.
 *
 * Prints what the application does, and what the tables have then. Ends with 1 if any of it is not
 * as it should be.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include <flagver.h>
#include <flagver/postgres.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CUSTOMERS 20
#define ADDRESS_SIZE 80

/* Keys are compared byte by byte, so that both tables are scanned in the same order. */
static const char tables[] =
    "SET client_min_messages = warning; DROP TABLE IF EXISTS customer, person, letter;"
    "CREATE TABLE customer (id text COLLATE \"C\" PRIMARY KEY, address text NOT NULL);"
    "CREATE TABLE person (id text COLLATE \"C\" PRIMARY KEY, street text NOT NULL,"
    " city text NOT NULL CONSTRAINT has_city CHECK (city <> ''));"
    "CREATE TABLE letter (customer text NOT NULL, address text NOT NULL);"
    "INSERT INTO customer"
    " SELECT 'c' || lpad(n::text, 2, '0'), 'High Street ' || n || ', Leeds'"
    " FROM generate_series(1, 20) AS n";

/* ---- the sides ---- */

/* A table, by the statements on it. All of them speak of an address as "street, city". */
struct table {
    PGconn *reader; /* for reads outside of transactions; the program has one thread */
    const char *read, *write, *remove, *scan;
};

static struct table customers = {
    .read = "SELECT address FROM customer WHERE id = $1",
    .write = "INSERT INTO customer VALUES ($1, $2)"
             " ON CONFLICT (id) DO UPDATE SET address = EXCLUDED.address",
    .remove = "DELETE FROM customer WHERE id = $1",
    .scan = "SELECT id, address FROM customer WHERE id > $1 ORDER BY id LIMIT $2::bigint",
};

static struct table persons = {
    .read = "SELECT concat_ws(', ', street, NULLIF(city, '')) FROM person WHERE id = $1",
    .write = "INSERT INTO person VALUES ($1, split_part($2, ', ', 1), split_part($2, ', ', 2))"
             " ON CONFLICT (id) DO UPDATE SET street = EXCLUDED.street, city = EXCLUDED.city",
    .remove = "DELETE FROM person WHERE id = $1",
    .scan = "SELECT id, concat_ws(', ', street, NULLIF(city, '')) FROM person WHERE id > $1"
            " ORDER BY id LIMIT $2::bigint",
};

/* Who has lost a conflict between transactions tries again in another one: FLAGVER_EBUSY. */
static int fail(PGconn *db, const PGresult *result, flagver_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    err->code = state && strncmp(state, "40", 2) == 0 ? FLAGVER_EBUSY : FLAGVER_EUNAVAILABLE;
    snprintf(err->message, sizeof err->message, "%.*s", (int)strcspn(PQerrorMessage(db), "\n"),
             PQerrorMessage(db));
    return err->code;
}

/* A statement; `result`, unless it is NULL, is to be cleared in any case. */
static int run(PGconn *db, const char *sql, const char *const *values, int count, PGresult **result,
               flagver_error *err)
{
    PGresult *answer = count > 0 ? PQexecParams(db, sql, count, NULL, values, NULL, NULL, 0)
                                 : PQexec(db, sql);
    ExecStatusType status = PQresultStatus(answer);
    int r = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : fail(db, answer, err);

    if (result)
        *result = answer;
    else
        PQclear(answer);
    return r;
}

/* The connection of the transaction in which this is to happen, where there is one. */
static int connection_of(const struct table *table, const flagver_side_call *call, PGconn **ret_db,
                         flagver_error *err)
{
    *ret_db = table->reader;
    return call->txn ? flagver_txn_connection_postgres(call->txn, ret_db, err) : 0;
}

static int table_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                      flagver_error *err)
{
    const struct table *table = data;
    PGresult *result = NULL;
    PGconn *db = NULL;
    int r;

    r = connection_of(table, call, &db, err);
    if (r == 0)
        r = run(db, table->read, &call->key, 1, &result, err);
    if (r == 0)
        r = PQntuples(result) > 0 ? flagver_sink_value(sink, PQgetvalue(result, 0, 0),
                                                       (size_t)PQgetlength(result, 0, 0))
                                  : FLAGVER_ENOTFOUND;
    PQclear(result);
    return r;
}

static int table_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                       flagver_sink *sink, flagver_error *err)
{
    const struct table *table = data;
    char address[ADDRESS_SIZE];
    const char *values[] = { call->key, address };
    PGconn *db = NULL;
    int r;

    (void)sink; /* is for systems that make the keys of what is created */
    snprintf(address, sizeof address, "%.*s", (int)length, (const char *)value);
    r = connection_of(table, call, &db, err);
    return r < 0 ? r : run(db, table->write, values, 2, NULL, err);
}

static int table_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    const struct table *table = data;
    PGconn *db = NULL;
    int r;

    r = connection_of(table, call, &db, err);
    return r < 0 ? r : run(db, table->remove, &call->key, 1, NULL, err);
}

static int table_scan(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                      flagver_sink *sink, flagver_error *err)
{
    const struct table *table = data;
    PGresult *result = NULL;
    char number[16];
    const char *values[] = { after, number };
    PGconn *db = NULL;
    int i, r;

    snprintf(number, sizeof number, "%u", (unsigned)limit);
    r = connection_of(table, call, &db, err);
    if (r == 0)
        r = run(db, table->scan, values, 2, &result, err);
    for (i = 0; r == 0 && i < PQntuples(result); i++)
        r = flagver_sink_row(sink, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1),
                             (size_t)PQgetlength(result, i, 1));
    if (r == 0 && (uint32_t)PQntuples(result) < limit)
        flagver_sink_end(sink);
    PQclear(result);
    return r;
}

/* With a client: enlisted in its store. */
static flagver_side side_of(struct table *table, flagver_client *client, PGconn *reader)
{
    table->reader = reader;
    return (flagver_side){ .size = sizeof(flagver_side),
                           .client = client,
                           .data = table,
                           .read = table_read,
                           .write = table_write,
                           .remove = table_remove,
                           .scan = table_scan };
}

static int are_equal(void *data, const char *key, const void *old_value, size_t old_length,
                     const void *new_value, size_t new_length)
{
    (void)data;
    (void)key;
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

/* ---- the application ---- */

struct application {
    flagver_client *client;
    flagver_route *route;
    PGconn *db; /* for its own transactions */
};

static const flagver_actor mia = { .size = sizeof mia, .id = "mia" };

/* When something is not as this program says that it is. */
static int surprised(flagver_error *err, const char *what)
{
    err->code = FLAGVER_EINVAL;
    snprintf(err->message, sizeof err->message, "unexpected: %s", what);
    return err->code;
}

/* Our part comes last: what it locks stays locked until the application commits. */
static int write_in(struct application *app, const char *id, const char *address, bool *ret_pending,
                    flagver_error *err)
{
    flagver_route_result result = { .size = sizeof result };
    flagver_txn *txn = NULL;
    int r;

    r = flagver_txn_begin_on_postgres(app->client, app->db, &mia, NULL, &txn, err);
    if (r == 0)
        r = flagver_route_write_in(app->route, txn, id, address, strlen(address), NULL, &result,
                                   err);
    if (r == 0)
        r = flagver_txn_commit(txn, err); /* hands it to the application's transaction */
    flagver_txn_free(txn);
    *ret_pending = r == 0 && result.pending;
    if (*ret_pending)
        printf("    the other table: %s\n", result.errors[1 - result.side].message);
    flagver_route_result_clear(&result);
    return r;
}

/* A customer moves, and a letter goes to the new address: one transaction, all or nothing. */
static int move_to(struct application *app, const char *id, const char *address, bool commit,
                   bool *ret_pending, flagver_error *err)
{
    const char *const letter[] = { id, address };
    flagver_error why;
    int r;

    r = run(app->db, "BEGIN", NULL, 0, NULL, err);
    if (r < 0)
        return r;
    r = run(app->db, "INSERT INTO letter VALUES ($1, $2)", letter, 2, NULL, err);
    if (r == 0)
        r = write_in(app, id, address, ret_pending, err);
    if (r < 0) {
        run(app->db, "ROLLBACK", NULL, 0, NULL, &why); /* the first error is the one to tell */
        return r;
    }
    return run(app->db, commit ? "COMMIT" : "ROLLBACK", NULL, 0, NULL, err);
}

/* Where the customer lives by each table, and how many letters went out. */
static int show(struct application *app, const char *id, const char *expected, flagver_error *err)
{
    static const char sql[] =
        "SELECT COALESCE((SELECT address FROM customer WHERE id = $1), 'nothing') || ' | ' ||"
        " COALESCE((SELECT concat_ws(', ', street, NULLIF(city, '')) FROM person WHERE id = $1),"
        " 'nothing') || ' | ' || (SELECT count(*) FROM letter WHERE customer = $1)";
    PGresult *result;
    int r = run(app->db, sql, &id, 1, &result, err);

    if (r == 0) {
        printf("    %s: %s letters\n", id, PQgetvalue(result, 0, 0));
        if (strcmp(PQgetvalue(result, 0, 0), expected) != 0)
            r = surprised(err, expected);
    }
    PQclear(result);
    return r;
}

/* All customers are looked up, some times; both tables are read and compared where the stage says so. */
static int look_up(struct application *app, int times, flagver_error *err)
{
    flagver_route_result result = { .size = sizeof result };
    int reads, from_new = 0, differ = 0, r = 0;
    char id[16];

    for (reads = 0; reads < times * CUSTOMERS && r == 0; reads++) {
        snprintf(id, sizeof id, "c%02d", 1 + reads % CUSTOMERS);
        flagver_route_result_clear(&result); /* of the one before */
        r = flagver_route_read(app->route, id, NULL, &result, err);
        from_new += result.side == FLAGVER_SIDE_NEW;
        differ += result.consistent == 0;
    }
    flagver_route_result_clear(&result);
    printf("    %d reads, %d answered by the new table; in %d the two differed\n", reads, from_new,
           differ);
    if (r < 0)
        return r;
    return differ > 0 ? surprised(err, "reads that differ") : 0;
}

/* ---- the migration ---- */

static int make_migration(void *data, flagver_txn *txn, flagver_error *err)
{
    static const char record[] = "{\"stage\": \"off\"}";

    (void)data;
    return flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, "customers", record, strlen(record),
                               NULL, NULL, err);
}

/*
 * Copies and repairs until nothing is left. A key that has failed is tried again after a pause, so
 * this may take a moment. Services let the route do it: options.background.
 */
static int catch_up(struct application *app, flagver_error *err)
{
    const struct timespec pause = { 0, 10000000 };
    flagver_route_progress progress = { .size = sizeof progress };
    int rounds, r = 0;

    for (rounds = 0; rounds < 1000 && r == 0; rounds++) {
        r = flagver_route_step(app->route, 100, &progress, err);
        if (progress.waiting == 0 && progress.copied == 0)
            break;
        nanosleep(&pause, NULL);
    }
    if (r < 0)
        return r;
    return progress.waiting > 0 ? surprised(err, "keys that wait") : 0;
}

static int verify(struct application *app, flagver_error *err)
{
    uint64_t compared, differences;
    int r;

    r = flagver_route_verify(app->route, NULL, NULL, NULL, &compared, &differences, err);
    if (r < 0)
        return r;
    printf("    verified: %llu customers, %llu differ\n", (unsigned long long)compared,
           (unsigned long long)differences);
    return differences > 0 ? surprised(err, "rows that differ") : 0;
}

/* ---- the story ---- */

/* Commit, rollback, and a row that the new table does not take. */
static int transactions(struct application *app, flagver_error *err)
{
    bool pending;
    int r;

    printf("c01 moves\n");
    r = move_to(app, "c01", "Quay 1, Hull", true, &pending, err);
    if (r == 0)
        r = show(app, "c01", "Quay 1, Hull | Quay 1, Hull | 1", err);
    if (r < 0)
        return r;

    printf("c02 moves, but the application rolls back\n");
    r = move_to(app, "c02", "Quay 2, Hull", false, &pending, err);
    if (r == 0)
        r = show(app, "c02", "High Street 2, Leeds | High Street 2, Leeds | 0", err);
    if (r < 0)
        return r;

    printf("c03 moves to where there is no city\n");
    r = move_to(app, "c03", "Lighthouse", true, &pending, err);
    if (r == 0 && !pending)
        r = surprised(err, "a row without a city in the new table");
    if (r == 0)
        r = show(app, "c03", "Lighthouse | High Street 3, Leeds | 1", err);
    if (r < 0)
        return r;

    printf("the new table learns of lighthouses, and what was refused is repaired\n");
    r = run(app->db, "ALTER TABLE person DROP CONSTRAINT has_city", NULL, 0, NULL, err);
    if (r == 0)
        r = catch_up(app, err);
    return r < 0 ? r : show(app, "c03", "Lighthouse | Lighthouse | 1", err);
}

/* What is to be seen in each stage before the next one. */
static int live_through(struct application *app, int stage, flagver_error *err)
{
    char id[16], address[32];
    bool pending;
    int r;

    snprintf(id, sizeof id, "c1%d", stage);
    snprintf(address, sizeof address, "Station Road %d, York", stage);
    printf("%s moves\n", id);
    r = move_to(app, id, address, true, &pending, err);
    if (r == 0 && pending)
        r = surprised(err, "a write that is to be repaired");
    if (r == 0 && stage == FLAGVER_STAGE_SHADOW)
        r = look_up(app, 25, err);
    if (r == 0 && stage == FLAGVER_STAGE_RAMP)
        r = look_up(app, 1, err);
    if (r == 0)
        r = catch_up(app, err);
    if (r == 0 && (stage == FLAGVER_STAGE_SHADOW || stage == FLAGVER_STAGE_RAMPDOWN))
        r = verify(app, err);
    return r;
}

/*
 * The gates go by what is in the store. A step brings there what reads have shown, and those count
 * that were made since the first step in their stage.
 */
static int go_to(struct application *app, int stage, flagver_error *err)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .percentage = stage == FLAGVER_STAGE_RAMP ? 30 : 0 };
    flagver_route_progress progress = { .size = sizeof progress };
    int r = flagver_route_step(app->route, 100, &progress, err);

    if (r == 0)
        r = flagver_route_stage(app->route, &mia, stage, &change, err);
    if (r == 0)
        r = flagver_route_step(app->route, 100, &progress, err);
    if (r == 0)
        printf("--- %s\n", flagver_stage_name(stage));
    return r;
}

static int tell(struct application *app, flagver_error *err)
{
    int stage, r = 0;

    for (stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_COMPLETE && r == 0; stage++) {
        r = go_to(app, stage, err);
        if (r == 0 && stage == FLAGVER_STAGE_DUALWRITE)
            r = transactions(app, err);
        if (r == 0)
            r = live_through(app, stage, err);
    }
    /* Since `complete` the old table is not written any more. */
    if (r == 0)
        r = show(app, "c17", "Station Road 7, York | Station Road 7, York | 1", err);
    return r < 0 ? r : show(app, "c18", "High Street 18, Leeds | Station Road 8, York | 1", err);
}

static int connect_to(const char *uri, PGconn **ret_db, flagver_error *err)
{
    *ret_db = PQconnectdb(uri);
    return PQstatus(*ret_db) == CONNECTION_OK ? 0 : fail(*ret_db, NULL, err);
}

static int migrate(struct application *app, const char *uri, flagver_error *err)
{
    flagver_route_options options = { .size = sizeof options, .compare = are_equal };
    PGconn *reader = NULL;
    int r, closed;

    r = connect_to(uri, &reader, err);
    if (r == 0)
        r = run(app->db, tables, NULL, 0, NULL, err);
    if (r == 0)
        r = flagver_txn_run(app->client, &mia, NULL, make_migration, NULL, err);
    options.old_side = side_of(&customers, app->client, reader);
    options.new_side = side_of(&persons, app->client, reader);
    if (r == 0)
        r = flagver_route_open(app->client, "customers", &options, &app->route, err);
    if (r == 0)
        r = tell(app, err);
    closed = flagver_route_close(app->route, 1000, r == 0 ? err : NULL);
    PQfinish(reader);
    return r < 0 ? r : closed;
}

int main(int argc, char **argv)
{
    struct application app = { 0 };
    flagver_error err;
    int r;

    if (argc < 2) {
        printf("SKIPPED: no PostgreSQL server (dual_write_postgres postgresql://…)\n");
        return 0;
    }
    r = flagver_schema_up(argv[1], &err); /* for once: that is its owner's, not the program's */
    if (r == 0)
        r = flagver_open(argv[1], NULL, &app.client, &err);
    if (r == 0)
        r = connect_to(argv[1], &app.db, &err);
    if (r == 0)
        r = migrate(&app, argv[1], &err);
    if (r < 0)
        fprintf(stderr, "dual_write_postgres: %s\n", err.message);
    PQfinish(app.db);
    flagver_close(app.client);
    return r < 0;
}
