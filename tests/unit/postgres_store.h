/*
 * What the tests of the PostgreSQL driver share: a store in a fresh database, rows for it, and
 * plain SQL from outside. A program that includes it calls prepare_cluster() before its suite runs.
 */
#ifndef FLAGVER_TESTS_POSTGRES_STORE_H
#define FLAGVER_TESTS_POSTGRES_STORE_H

#include <libpq-fe.h>
#include <stdio.h>
#include <unistd.h>

#include "cluster.h"
#include "driver/postgres_internal.h"
#include "support.h"

#define WAIT_MS 10000
#define SHORT_MS 50
#define ROLE "app" /* as most tests open the store; "owner" made the schema */

static const flagver_driver *const driver MAYBE_UNUSED = &fv_postgres_driver;
static flagver_store *store;
static char database[64], template_database[64];

#include "unit/driver_rows.h"

/* ---- places ---- */

static inline flagver_store *open_named(const char *name, const char *role, const char *more,
                                        int32_t wait_ms)
{
    flagver_driver_config how = { .size = sizeof how, .wait_ms = wait_ms };
    flagver_store *opened;
    char path[600];

    snprintf(path, sizeof path, "%s%s%s",
             strchr(cluster_uri(cluster_shared(), name, role), ':') + 1, *more ? "&" : "", more);
    how.path = path;
    assert_ok(driver->open(&how, &opened, &error));
    return opened;
}

static inline flagver_store *open_as(const char *role, int32_t wait_ms)
{
    return open_named(database, role, "", wait_ms);
}

/* Also where no test runs yet, and Check's assertions are of no use. */
static inline void must(int r)
{
    if (r == 0)
        return;
    fprintf(stderr, "%s\n", error.message);
    exit(EXIT_FAILURE);
}

/* In a fresh database without a schema: make it, as its owner. */
static inline void make_schema(const char *name)
{
    flagver_driver_config how = { .size = sizeof how, .wait_ms = WAIT_MS, .no_upgrade = 1 };
    flagver_store *owners;

    how.path = strchr(cluster_uri(cluster_shared(), name, "owner"), ':') + 1;
    must(driver->open(&how, &owners, &error));
    must(driver->schema_migrate(owners, FLAGVER_SCHEMA_VERSION, &error));
    driver->close(owners);
    cluster_sql(cluster_shared(), name, "SELECT flagver.admit('" ROLE "')");
}

/* Once in a program, before any test forks: a database with the schema, of which tests get copies. */
static inline void prepare_cluster(void)
{
    if (!cluster_possible())
        return;
    snprintf(template_database, sizeof template_database, "template_%ld", (long)getpid());
    cluster_database(cluster_shared(), template_database, NULL);
    make_schema(template_database);
}

static inline void clean_cluster(void)
{
    if (cluster_possible())
        cluster_drop(cluster_shared(), template_database);
}

static inline void make_database(void)
{
    if (!cluster_possible())
        cluster_skip();
    snprintf(database, sizeof database, "unit_%ld", (long)getpid());
    cluster_database(cluster_shared(), database, template_database);
}

/* For tests with one store. */
static inline void set_up(void)
{
    make_database();
    store = open_as(ROLE, WAIT_MS);
}

static inline void tear_down(void)
{
    if (store)
        driver->close(store);
    store = NULL;
    cluster_drop(cluster_shared(), database);
}

/* ---- plain SQL ---- */

/* As a superuser, who sees all tenants. */
static inline const char *answer(const char *query)
{
    return cluster_value(cluster_shared(), database, query);
}

static inline void sql(const char *statements)
{
    cluster_sql(cluster_shared(), database, statements);
}

/* A connection of an application's. */
static inline PGconn *connect_as(const char *role)
{
    PGconn *pq = PQconnectdb(cluster_uri(cluster_shared(), database, role));

    ck_assert_msg(PQstatus(pq) == CONNECTION_OK, "%s", PQerrorMessage(pq));
    return pq;
}

/* The SQLSTATE of what was refused; "" when nothing was. */
static inline const char *run_on(PGconn *pq, const char *statements)
{
    static char state[8];
    PGresult *result = PQexec(pq, statements);
    const char *words = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    snprintf(state, sizeof state, "%s", words ? words : "");
    PQclear(result);
    return state;
}

#define assert_run(pq, statements) \
    ck_assert_msg(!*run_on(pq, statements), "%s: %s", statements, PQerrorMessage(pq))

/* The first column of the first row of the last statement; good until the call after the next. */
static inline const char *value_on(PGconn *pq, const char *query)
{
    static char values[2][256];
    static unsigned turn;
    char *value = values[turn++ % 2];
    PGresult *result = PQexec(pq, query);

    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", query, PQerrorMessage(pq));
    snprintf(value, sizeof values[0], "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

/* Functions and a type that stand before the server's own for whoever has such a search_path. */
static inline void make_deceit(void)
{
    static const char *const shapes[] = {
        "set_config(text, text, boolean) RETURNS text",
        "current_setting(text) RETURNS text",
        "current_setting(text, boolean) RETURNS text",
        "pg_notify(text, text) RETURNS void",
        "pg_backend_pid() RETURNS integer",
        "pg_advisory_xact_lock(bigint) RETURNS void",
        "octet_length(bytea) RETURNS integer",
        "string_to_array(text, text) RETURNS text[]",
        "pg_terminate_backend(integer) RETURNS boolean",
        "sha256(bytea) RETURNS bytea",
    };
    char statement[300];
    size_t i;

    sql("CREATE SCHEMA deceit; GRANT USAGE ON SCHEMA deceit TO PUBLIC;"
        "CREATE DOMAIN deceit.text AS pg_catalog.text CHECK (VALUE IS NULL)");
    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        snprintf(statement, sizeof statement,
                 "CREATE FUNCTION deceit.%s LANGUAGE plpgsql AS 'BEGIN RAISE ''deceived''; END'",
                 shapes[i]);
        sql(statement);
    }
}

#define DECEIT "deceit,pg_catalog"

#endif
