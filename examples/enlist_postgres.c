/*
 * One commit for three things in the application's own PostgreSQL transaction: a row of a table of
 * its own, the version that records it, and the mapping of the old system's id to the new one.
 * All of them are there or none, whatever is killed, and when.
 *
 *     enlist_postgres postgresql://owner@/trial
 *
 * The database is one to play in: tables and a store are made in it. Prints what there is after a
 * commit, and after the application has changed its mind.
 */
#include <flagver.h>
#include <flagver/postgres.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHASE "report"

static const char tables[] =
    "SET client_min_messages = warning; DROP TABLE IF EXISTS report_map, report;"
    "CREATE TABLE report (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL);"
    "CREATE TABLE report_map (old_id text PRIMARY KEY, new_id uuid NOT NULL UNIQUE"
    " REFERENCES report)";

/* What is recorded counts at once, and stays. */
static const char policy[] = "{\"versioning\": \"audit_only\"}";

/* A statement; the first column of its first row, "" when there is none, goes to `value`. */
static int run(PGconn *db, const char *sql, int count, const char *const *parameters,
               char value[40])
{
    PGresult *result = count ? PQexecParams(db, sql, count, NULL, parameters, NULL, NULL, 0)
                             : PQexec(db, sql);
    ExecStatusType status = PQresultStatus(result);
    int r = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : -1;

    if (r < 0)
        fprintf(stderr, "%s", PQerrorMessage(db));
    else if (value)
        snprintf(value, 40, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return r;
}

/* Our part comes last: what it locks stays locked until the application commits. */
static int record(flagver_client *client, PGconn *db, const char *id, const char *title)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "mover" };
    flagver_txn *txn = NULL;
    flagver_error err;
    char json[160];
    int r;

    snprintf(json, sizeof json, "{\"title\": \"%s\"}", title);
    r = flagver_txn_begin_on_postgres(client, db, &actor, NULL, &txn, &err);
    if (r == 0)
        r = flagver_version_record(txn, PHASE, id, json, strlen(json), NULL, NULL, &err);
    if (r == 0)
        r = flagver_txn_commit(txn, &err); /* hands it to the application's transaction */
    flagver_txn_free(txn);
    if (r < 0)
        fprintf(stderr, "%s\n", err.message);
    return r;
}

/* A report of the old system becomes one of the new one, with this id. */
static int move(flagver_client *client, PGconn *db, const char *old_id, const char *title,
                bool commit, char id[40])
{
    const char *const report[] = { title }, *const map[] = { old_id, id };
    int r;

    if (run(db, "BEGIN", 0, NULL, NULL) < 0)
        return -1;
    r = run(db, "INSERT INTO report (title) VALUES ($1) RETURNING id", 1, report, id);
    if (r == 0)
        r = run(db, "INSERT INTO report_map VALUES ($1, $2)", 2, map, NULL);
    if (r == 0)
        r = record(client, db, id, title);
    if (run(db, r == 0 && commit ? "COMMIT" : "ROLLBACK", 0, NULL, NULL) < 0)
        return -1;
    return r;
}

static int show(flagver_client *client, PGconn *db, const char *old_id, const char *id)
{
    flagver_version *version = NULL;
    char reports[40], mapped[40];

    if (run(db, "SELECT count(*) FROM report WHERE id = $1", 1, &id, reports) < 0 ||
        run(db, "SELECT count(*) FROM report_map WHERE old_id = $1", 1, &old_id, mapped) < 0)
        return -1;
    flagver_version_current(client, PHASE, id, &version, NULL);
    printf("%-4s %s report, %s mapping, %s\n", old_id, reports, mapped,
           version ? version->payload : "no version");
    flagver_version_free(version);
    return 0;
}

static int set_policy(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    return flagver_version_put(txn, FLAGVER_PHASE_PHASE, PHASE, policy, strlen(policy), NULL, NULL,
                               err);
}

static int tell(flagver_client *client, PGconn *db)
{
    char id[40] = "";
    int r;

    r = run(db, tables, 0, NULL, NULL);
    if (r == 0)
        r = move(client, db, "R1", "Rates", true, id);
    if (r == 0)
        r = show(client, db, "R1", id);
    if (r == 0)
        r = move(client, db, "R2", "Fees", false, id); /* the application changes its mind */
    return r == 0 ? show(client, db, "R2", id) : r;
}

int main(int argc, char **argv)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "owner" };
    flagver_client *client = NULL;
    flagver_error err;
    PGconn *db;
    int r;

    if (argc < 2) {
        printf("SKIPPED: no PostgreSQL server (enlist_postgres postgresql://…)\n");
        return 0;
    }
    r = flagver_schema_up(argv[1], &err); /* for once: that is its owner's, not the program's */
    if (r == 0)
        r = flagver_open(argv[1], NULL, &client, &err);
    if (r == 0)
        r = flagver_txn_run(client, &actor, NULL, set_policy, NULL, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.message);
        flagver_close(client);
        return 1;
    }
    db = PQconnectdb(argv[1]);
    if (PQstatus(db) == CONNECTION_OK) {
        r = tell(client, db);
    } else {
        fprintf(stderr, "%s", PQerrorMessage(db));
        r = -1;
    }
    PQfinish(db);
    flagver_close(client);
    return r == 0 ? 0 : 1;
}
