/*
 * Databases with the driver's schema in them, and plain SQL for what is in there. A test file
 * makes its template in an unchecked fixture, and each test uses that, or a copy of its own.
 */
#ifndef FLAGVER_TESTS_POSTGRES_SQL_H
#define FLAGVER_TESTS_POSTGRES_SQL_H

#include <libpq-fe.h>
#include <stdio.h>
#include <unistd.h>

#include "cluster.h"
#include "driver/postgres.h"
#include "support.h"

static struct cluster *cluster;
static const flagver_driver *const driver = &fv_postgres_driver;
static char template_name[32];

/* ---- the driver's store ---- */

static flagver_store *store MAYBE_UNUSED;

/* As it is, whatever the schema. */
static MAYBE_UNUSED flagver_store *open_as(const char *database, const char *role)
{
    flagver_driver_config how = { .size = sizeof how, .wait_ms = 20000, .no_upgrade = 1 };
    flagver_store *opened;

    how.path = cluster_uri(cluster, database, role) + strlen("postgresql:");
    assert_ok(driver->open(&how, &opened, &error));
    return opened;
}

/* ---- plain SQL ---- */

static PGconn *conn;
static char sql_words[4096];

static MAYBE_UNUSED PGconn *connect_as(const char *database, const char *role)
{
    PGconn *made = PQconnectdb(cluster_uri(cluster, database, role));

    ck_assert_msg(PQstatus(made) == CONNECTION_OK, "%s", PQerrorMessage(made));
    PQclear(PQexec(made, "SET client_min_messages = error"));
    return made;
}

static MAYBE_UNUSED bool sql(const char *statements)
{
    PGresult *result = PQexec(conn, statements);
    bool fine = PQresultStatus(result) == PGRES_COMMAND_OK ||
                PQresultStatus(result) == PGRES_TUPLES_OK;

    snprintf(sql_words, sizeof sql_words, "%s", fine ? "" : PQresultErrorMessage(result));
    PQclear(result);
    return fine;
}

#define assert_sql(statements) ck_assert_msg(sql(statements), "%s: %s", statements, sql_words)

/* The first column of the first row; "" when there is none. */
static MAYBE_UNUSED const char *answer(const char *statement)
{
    static char text[262144];
    PGresult *result = PQexec(conn, statement);

    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", statement,
                  PQresultErrorMessage(result));
    snprintf(text, sizeof text, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

#define TENANT(name) "SELECT set_config('flagver.tenant', '" name "', true); "

/* ---- a store with some of everything ---- */

/*
 * In both tenants, "default" and "other": number 1 of "draft", of "open", which is submitted, and
 * of "done", which is approved; all have the items a and b, a contributor, and votes but for the
 * draft. "s": 1 superseded, 2 approved, 3 a draft. "urgent": 1 superseded, 2 approved, by
 * emergency. "gone" is approved and shredded, "r" recorded. A log of 2 leaves, with a head and
 * a node; a keyed row. Ids are the same in both.
 */
static const char *const filling[] = {
    "CREATE FUNCTION pg_temp.id(name text) RETURNS uuid LANGUAGE sql AS 'SELECT md5(name)::uuid'",
    "CREATE FUNCTION pg_temp.draft(t text, s text, n bigint, st bigint) RETURNS void LANGUAGE "
    "plpgsql AS $$ BEGIN"
    "  INSERT INTO flagver.payload (tenant, id, body)"
    "    VALUES (t, pg_temp.id(s || n), convert_to(format('{\"n\": %s}', n), 'UTF8'));"
    "  INSERT INTO flagver.series (tenant, id, phase, subject, last_no, rev, changed_at)"
    "    SELECT t, pg_temp.id(s), 'phase', s, 1, 1, 10 WHERE n = 1;"
    "  UPDATE flagver.series SET last_no = n, rev = rev + 1 WHERE tenant = t AND subject = s AND n "
    "> 1;"
    "  INSERT INTO flagver.version (tenant, series, no, id, state, bits, rev, created_at, "
    "created_by, payload, content_hash)"
    "    VALUES (t, pg_temp.id(s), n, pg_temp.id(s || n), st, 0, 1, 10 * n, 'alice', "
    "pg_temp.id(s || n), decode(repeat('00', 32), 'hex'));"
    "  IF st = 1 THEN"
    "    INSERT INTO flagver.item (tenant, series, no, key, status, payload, hash)"
    "      SELECT t, pg_temp.id(s), n, k, 0, pg_temp.id(s || n), decode(repeat('00', 32), 'hex')"
    "      FROM unnest('{a,b}'::text[]) AS k;"
    "    INSERT INTO flagver.contributor (tenant, series, no, actor)"
    "      VALUES (t, pg_temp.id(s), n, 'carol');"
    "  END IF;"
    "END $$",
    "CREATE FUNCTION pg_temp.submit(t text, s text, n bigint) RETURNS void LANGUAGE plpgsql AS $$ "
    "BEGIN"
    "  UPDATE flagver.version SET state = 2, rev = 2, submitted_at = 10 * n + 1"
    "    WHERE tenant = t AND series = pg_temp.id(s) AND no = n;"
    "  INSERT INTO flagver.vote (tenant, series, no, actor, content_hash, time)"
    "    VALUES (t, pg_temp.id(s), n, 'bob', decode(repeat('00', 32), 'hex'), 7);"
    "END $$",
    "CREATE FUNCTION pg_temp.approve(t text, s text, n bigint, b bigint) RETURNS void LANGUAGE "
    "plpgsql AS $$ BEGIN"
    "  UPDATE flagver.version SET state = 4, rev = rev + 1, superseded_by = n, superseded_at = 10 "
    "* n + 2"
    "    WHERE tenant = t AND series = pg_temp.id(s) AND state = 3;"
    "  UPDATE flagver.version SET state = 3, bits = b, rev = 3, decided_at = 10 * n + 2, "
    "decided_by = 'bob'"
    "    WHERE tenant = t AND series = pg_temp.id(s) AND no = n;"
    "  UPDATE flagver.series SET current_no = n, rev = rev + 1 WHERE tenant = t AND subject = s;"
    "END $$",
    "CREATE FUNCTION pg_temp.fill(t text) RETURNS void LANGUAGE plpgsql AS $$ DECLARE s text; n "
    "bigint; BEGIN"
    "  PERFORM set_config('flagver.tenant', t, true);"
    "  PERFORM pg_temp.draft(t, 'draft', 1, 1), pg_temp.draft(t, 'r', 1, 7);"
    "  PERFORM pg_temp.draft(t, 'open', 1, 1), pg_temp.submit(t, 'open', 1);"
    "  FOREACH s IN ARRAY '{done,gone}'::text[] LOOP"
    "    PERFORM pg_temp.draft(t, s, 1, 1), pg_temp.submit(t, s, 1), pg_temp.approve(t, s, 1, 0);"
    "  END LOOP;"
    "  FOR n IN 1 .. 2 LOOP"
    "    PERFORM pg_temp.draft(t, 's', n, 1), pg_temp.submit(t, 's', n), pg_temp.approve(t, 's', "
    "n, 0);"
    "    PERFORM pg_temp.draft(t, 'urgent', n, 1), pg_temp.submit(t, 'urgent', n), "
    "pg_temp.approve(t, 'urgent', n, 2);"
    "  END LOOP;"
    "  PERFORM pg_temp.draft(t, 's', 3, 1);"
    "  UPDATE flagver.series SET current_no = 1, rev = 2 WHERE tenant = t AND subject = 'r';"
    "  UPDATE flagver.payload SET body = '', shredded = true WHERE tenant = t AND id = "
    "pg_temp.id('gone1');"
    "  INSERT INTO flagver.leaf (tenant, no, leaf, hash)"
    "    SELECT t, g, '\\x00', decode(repeat('00', 32), 'hex') FROM generate_series(0, 1) AS g;"
    "  UPDATE flagver.log SET frontier = 'f', frontier_size = 2 WHERE tenant = t;"
    "  INSERT INTO flagver.node (tenant, level, no, hash)"
    "    VALUES (t, 8, 0, decode(repeat('00', 32), 'hex'));"
    "  INSERT INTO flagver.keyed (tenant, space, key, rev, time, value) VALUES (t, 'k', 'k', 1, "
    "1, '');"
    "END $$",
    "SELECT pg_temp.fill('default')",
    "SELECT pg_temp.fill('other')",
};

/* The template: the schema, with these rows, and the role `app` admitted. */
static MAYBE_UNUSED void make_template(void)
{
    size_t i;

    cluster = cluster_shared();
    snprintf(template_name, sizeof template_name, "schema_%ld", (long)getpid());
    cluster_database(cluster, template_name, NULL);
    store = open_as(template_name, "owner");
    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    driver->close(store);
    conn = connect_as(template_name, "owner");
    for (i = 0; i < sizeof filling / sizeof *filling; i++)
        assert_sql(filling[i]);
    assert_sql("SELECT flagver.admit('app')");
    PQfinish(conn);
}

static MAYBE_UNUSED void drop_template(void)
{
    cluster_drop(cluster, template_name);
}

#endif
