/*
 * Stores of both drivers for tests of several processes: a file in a place of its own, or a database
 * of the run's PostgreSQL cluster, which an application's role uses and whose owner has made the
 * schema.
 *
 * A test that runs on both is a loop test over 0 … sites_to_test(); `_i` is the kind. What needs a
 * server that is not there is skipped. Who includes this includes cluster.h, too.
 */
#ifndef FLAGVER_TESTS_SITE_H
#define FLAGVER_TESTS_SITE_H

#include <sqlite3.h>

#include "cluster.h"
#include "holds.h"

#ifndef FV_WITHOUT_postgres
#include <libpq-fe.h>
#endif

enum { ON_SQLITE, ON_POSTGRES };

static const char *const site_names[] = { "SQLite", "PostgreSQL" };

/*
 * place      a directory for the file, and for others of the test
 * uri        of the store, as the application opens it
 * owner_uri  of the same, as who looks after it does
 */
struct site {
    int kind;
    struct place place;
    char database[64], uri[512], owner_uri[512];
};

/* Called with each row; false ends the reading. */
typedef bool (*site_visitor)(void *data, char **values);

/* ---- files ---- */

struct site_reading {
    site_visitor visit;
    void *data;
};

static inline int site_visit_row(void *data, int count, char **values, char **names)
{
    const struct site_reading *reading = data;

    (void)count;
    (void)names;
    return !reading->visit(reading->data, values);
}

static inline bool site_read_file(const char *path, const char *sql, site_visitor visit, void *data)
{
    struct site_reading reading = { visit, data };
    sqlite3 *db = NULL;
    int r = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);

    if (r == SQLITE_OK)
        r = sqlite3_exec(db, sql, site_visit_row, &reading, NULL);
    if (r != SQLITE_OK && r != SQLITE_ABORT)
        complain("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
    return r == SQLITE_OK;
}

static inline bool site_says_ok(void *unused, char **values)
{
    (void)unused;
    return (values[0] && strcmp(values[0], "ok") == 0) ||
           complain("integrity_check: %s", values[0]);
}

/* ---- databases ---- */

#ifdef FV_WITHOUT_postgres
static inline int sites_to_test(void)
{
    return ON_POSTGRES;
}

static inline bool site_is_possible(int kind)
{
    return kind != ON_POSTGRES;
}

static inline void site_make_database(struct site *site)
{
    (void)site;
}

static inline void site_drop_database(const struct site *site)
{
    (void)site;
}

static inline bool site_read_database(const struct site *site, const char *sql, site_visitor visit,
                                      void *data)
{
    (void)site;
    (void)visit;
    (void)data;
    return complain("%s: there is no PostgreSQL", sql);
}

static inline void site_await_quiet(const struct site *site)
{
    (void)site;
}
#else
/* To be called before Check forks. */
static inline int sites_to_test(void)
{
    if (cluster_possible())
        cluster_shared();
    return ON_POSTGRES + 1;
}

static inline bool site_is_possible(int kind)
{
    return kind != ON_POSTGRES || cluster_possible();
}

/*
 * All of a test are copies of one, as making a schema takes its time. That one stays as long as the
 * cluster.
 */
static inline void site_make_database(struct site *site)
{
    static char pattern[64];
    static unsigned number;
    struct cluster *cluster;
    const char *owner_uri;

    if (!cluster_possible())
        cluster_skip();
    cluster = cluster_shared();
    if (!pattern[0]) {
        snprintf(pattern, sizeof pattern, "pattern_%ld", (long)getpid());
        cluster_database(cluster, pattern, NULL);
        owner_uri = cluster_uri(cluster, pattern, "owner");
        assert_ok(flagver_schema_up(owner_uri, &error));
        cluster_sql(cluster, pattern, "SELECT flagver.admit('app')");
    }
    snprintf(site->database, sizeof site->database, "site_%ld_%u", (long)getpid(), ++number);
    cluster_database(cluster, site->database, pattern);
    snprintf(site->uri, sizeof site->uri, "%s", cluster_uri(cluster, site->database, "app"));
    snprintf(site->owner_uri, sizeof site->owner_uri, "%s",
             cluster_uri(cluster, site->database, "owner"));
}

static inline void site_drop_database(const struct site *site)
{
    cluster_drop(cluster_shared(), site->database);
}

/* By a superuser, who sees all tenants. */
static inline bool site_read_database(const struct site *site, const char *sql, site_visitor visit,
                                      void *data)
{
    PGconn *connection = PQconnectdb(cluster_uri(cluster_shared(), site->database, "postgres"));
    PGresult *result = PQexec(connection, sql);
    bool fine = PQresultStatus(result) == PGRES_TUPLES_OK ||
                complain("%s: %s", sql, PQerrorMessage(connection));
    int row, column;
    char *values[8];

    for (row = 0; fine && row < PQntuples(result); row++) {
        for (column = 0; column < PQnfields(result) && column < 8; column++)
            values[column] = PQgetisnull(result, row, column) ? NULL
                                                              : PQgetvalue(result, row, column);
        fine = visit(data, values);
    }
    PQclear(result);
    PQfinish(connection);
    return fine;
}

/* What a killed process has left behind on the server ends in its own time. */
static inline void site_await_quiet(const struct site *site)
{
    while (site->kind == ON_POSTGRES &&
           *cluster_value(cluster_shared(), site->database,
                          "SELECT 1 FROM pg_stat_activity WHERE usename = 'app'"
                          " AND datname = current_database()"))
        pause_us(1000);
}
#endif

/* ---- both ---- */

static inline struct site site_new(int kind)
{
    struct site site = { .kind = kind };

    if (kind == ON_POSTGRES)
        site_make_database(&site);
    site.place = place_new();
    if (kind != ON_POSTGRES) {
        snprintf(site.uri, sizeof site.uri, "%s", site.place.uri);
        snprintf(site.owner_uri, sizeof site.owner_uri, "%s", site.place.uri);
    }
    return site;
}

static inline void site_remove(const struct site *site)
{
    if (site->kind == ON_POSTGRES)
        site_drop_database(site);
    place_remove(&site->place);
}

/* The rows of a query, which each kind has its own words for; at most 8 columns, as texts. */
static inline bool site_read(const struct site *site, const char *const queries[],
                             site_visitor visit, void *data)
{
    const char *sql = queries[site->kind];

    return site->kind == ON_POSTGRES ? site_read_database(site, sql, visit, data)
                                     : site_read_file(site->place.path, sql, visit, data);
}

/* Nothing is damaged, and the schema is whole. */
static inline bool site_is_whole(const struct site *site)
{
    return (site->kind == ON_POSTGRES ||
            site_read_file(site->place.path, "PRAGMA integrity_check", site_says_ok, NULL)) &&
           schema_holds(site->owner_uri);
}

#endif
