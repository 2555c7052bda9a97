/*
 * What examples/enlist_postgres.c shows: a row of the application's, its version and its id mapping
 * are committed together or not at all. Here the program is killed before and after each message
 * that it sends to the server and each answer that it reads; and while it works on, server
 * processes are ended under it.
 *
 * FLAGVER_KILLS says how many of those are ended.
 */
#define _GNU_SOURCE
#include <libpq-fe.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "cluster.h"
#include "crash/place.h"
#include "seed.h"

#include <flagver/postgres.h>

#define KILLS 40
#define REPORTS 100000
#define STEPS_AT_LEAST 20

static struct {
    atomic_int sent;            /* reports whose move was begun */
    atomic_bool acked[REPORTS]; /* committed, as the program was told */
    atomic_bool is_moving;
} * board;

static char database[64], application_uri[512];

/* ---- where it is killed ---- */

static bool armed;
static int steps_left;

static void step(void)
{
    if (armed && steps_left-- == 0)
        raise(SIGKILL);
}

/* In place of the C library's, for all that this program is linked with. */
ssize_t send(int socket, const void *bytes, size_t length, int flags)
{
    ssize_t sent;

    step();
    sent = syscall(SYS_sendto, socket, bytes, length, flags, NULL, 0);
    step();
    return sent;
}

ssize_t recv(int socket, void *bytes, size_t length, int flags)
{
    ssize_t read = syscall(SYS_recvfrom, socket, bytes, length, flags, NULL, NULL);

    step();
    return read;
}

/* ---- the program ---- */

static int run(PGconn *db, const char *sql, const char *first, const char *second, char value[40])
{
    const char *const parameters[] = { first, second };
    PGresult *result = PQexecParams(db, sql,
                                    second  ? 2
                                    : first ? 1
                                            : 0,
                                    NULL, parameters, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    int r = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : -1;

    if (value && PQntuples(result) > 0)
        snprintf(value, 40, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return r;
}

static int record(flagver_client *client, PGconn *db, const char *id)
{
    static const char json[] = "{\"title\": \"Rates\"}";
    const flagver_actor actor = { .size = sizeof actor, .id = "mover" };
    flagver_txn *txn = NULL;
    int r;

    r = flagver_txn_begin_on_postgres(client, db, &actor, NULL, &txn, &error);
    if (r == 0)
        r = flagver_version_record(txn, "report", id, json, strlen(json), NULL, NULL, &error);
    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static int move(flagver_client *client, PGconn *db, int number)
{
    char old_id[16], id[40];
    int r;

    snprintf(old_id, sizeof old_id, "%d", number);
    r = run(db, "BEGIN", NULL, NULL, NULL);
    if (r == 0)
        r = run(db, "INSERT INTO report (title) VALUES ('Rates') RETURNING id", NULL, NULL, id);
    if (r == 0)
        r = run(db, "INSERT INTO report_map VALUES ($1, $2)", old_id, id, NULL);
    if (r == 0)
        r = record(client, db, id);
    if (r == 0)
        return run(db, "COMMIT", NULL, NULL, NULL);
    run(db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

static void ignore_notice(void *data, const char *words)
{
    (void)data;
    (void)words;
}

static PGconn *connect_application(void)
{
    PGconn *db = PQconnectdb(application_uri);

    PQsetNoticeProcessor(db, ignore_notice, NULL);
    if (PQstatus(db) == CONNECTION_OK)
        return db;
    complain("%s", PQerrorMessage(db));
    PQfinish(db);
    return NULL;
}

/* One report, and the program ends at this step; 0 when it did not come so far. */
static int move_until(void *data)
{
    flagver_client *client;
    PGconn *db = connect_application();

    if (!db || flagver_open(application_uri, NULL, &client, &error) < 0)
        return !complain("%s", error.message);
    /* so that what is done once is done */
    if (move(client, db, -1 - *(const int *)data) < 0)
        return !complain("%s", error.message);
    steps_left = *(const int *)data;
    armed = true;
    if (move(client, db, *(const int *)data) < 0)
        return !complain("%s %s", error.message, PQerrorMessage(db));
    armed = false;
    return 0;
}

/* Report after report, until the program is killed; what goes wrong on the way is tried no more. */
static int move_on(void *data)
{
    flagver_client *client;
    PGconn *db = connect_application();
    int number;

    (void)data;
    if (!db || flagver_open(application_uri, NULL, &client, &error) < 0)
        return !complain("%s", error.message);
    for (number = 0; number < REPORTS; number++) {
        atomic_store(&board->sent, number + 1);
        if (move(client, db, number) == 0)
            atomic_store(&board->acked[number], true);
        if (PQstatus(db) != CONNECTION_OK)
            PQreset(db);
        atomic_store(&board->is_moving, true);
    }
    return 0;
}

/* ---- what there has to be ---- */

static const char *answer(const char *query)
{
    return cluster_value(cluster_shared(), database, query);
}

/* Reports, mappings, versions, or leaves without the others that belong to them. */
static const char half[] =
    "SELECT count(*) FROM report r FULL JOIN report_map m ON m.new_id = r.id"
    " FULL JOIN (SELECT s.subject, v.no FROM flagver.series s JOIN flagver.version v"
    "   ON v.tenant = s.tenant AND v.series = s.id"
    "   JOIN flagver.payload p ON p.tenant = v.tenant AND p.id = v.payload"
    "   WHERE s.phase = 'report') AS v ON v.subject = r.id::text"
    " WHERE r.id IS NULL OR m.old_id IS NULL OR v.no IS DISTINCT FROM 1";

static int count_moved(void)
{
    return atoi(answer("SELECT count(*) FROM report_map"));
}

static bool is_moved(int number)
{
    char query[80];

    snprintf(query, sizeof query, "SELECT 1 FROM report_map WHERE old_id = '%d'", number);
    return *answer(query) == '1';
}

/* All at once. */
static void find_moved(bool moved[REPORTS])
{
    PGconn *db = PQconnectdb(cluster_uri(cluster_shared(), database, "postgres"));
    PGresult *result = PQexec(db, "SELECT old_id FROM report_map");
    int i;

    ck_assert_int_eq(PQresultStatus(result), PGRES_TUPLES_OK);
    for (i = 0; i < PQntuples(result); i++)
        moved[atoi(PQgetvalue(result, i, 0))] = true;
    PQclear(result);
    PQfinish(db);
}

/* What a process has left behind ends in its own time. */
static void wait_for_silence(void)
{
    while (*answer("SELECT 1 FROM pg_stat_activity WHERE usename = 'app'"
                   " AND datname = current_database()"))
        pause_us(1000);
}

static void check_whole(int step_number)
{
    int leaves, moved;

    wait_for_silence();
    ck_assert_msg(strcmp(answer(half), "0") == 0, "step %d: something is only half there",
                  step_number);
    leaves = atoi(answer("SELECT count(*) FROM flagver.leaf"));
    moved = count_moved();
    /* the policy has two leaves, each report has one */
    ck_assert_msg(leaves == moved + 2, "step %d: %d leaves, %d reports", step_number, leaves,
                  moved);
}

static void print_line(void *data, const char *line)
{
    (void)data;
    complain("%s", line);
}

static int verify(void *data)
{
    flagver_client *client;

    (void)data;
    if (flagver_open(application_uri, NULL, &client, &error) < 0)
        return !complain("%s", error.message);
    if (flagver_audit_verify(client, NULL, print_line, NULL, NULL, &error) != 0)
        return !complain("the log: %s", error.message);
    flagver_close(client);
    return 0;
}

/* ---- set-up ---- */

static int prepare(void *data)
{
    static const char policy[] = "{\"versioning\": \"audit_only\"}";
    const flagver_actor actor = { .size = sizeof actor, .id = "owner" };
    const char *uri = cluster_uri(cluster_shared(), database, "owner");
    flagver_client *client;
    flagver_txn *txn;
    int r;

    (void)data;
    r = flagver_schema_up(uri, &error);
    if (r == 0)
        r = flagver_open(uri, NULL, &client, &error);
    if (r == 0)
        r = flagver_txn_begin(client, &actor, NULL, &txn, &error);
    if (r == 0)
        r = flagver_version_put(txn, FLAGVER_PHASE_PHASE, "report", policy, strlen(policy), NULL,
                                NULL, &error);
    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    return r == 0 ? 0 : !complain("%s", error.message);
}

static void set_up(void)
{
    if (!cluster_possible())
        cluster_skip();
    snprintf(database, sizeof database, "enlist_%ld", (long)getpid());
    cluster_database(cluster_shared(), database, NULL);
    snprintf(application_uri, sizeof application_uri, "%s",
             cluster_uri(cluster_shared(), database, "app"));
    ck_assert_int_eq(in_process(prepare, NULL), 0);
    cluster_sql(cluster_shared(), database,
                "SELECT flagver.admit('app');"
                "CREATE TABLE report (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text);"
                "CREATE TABLE report_map (old_id text PRIMARY KEY, new_id uuid NOT NULL UNIQUE);"
                "GRANT ALL ON report, report_map TO app");
    board = shared(sizeof *board);
}

static void tear_down(void)
{
    cluster_drop(cluster_shared(), database);
}

/* ---- the tests ---- */

START_TEST(whoever_is_killed_at_any_step_leaves_all_or_nothing)
{
    int number, result, there = 0;

    for (number = 0;; number++) {
        result = in_process(move_until, &number);
        ck_assert_msg(result == 0 || result == 1000 + SIGKILL, "step %d: the program ended with %d",
                      number, result);
        check_whole(number);
        there += is_moved(number);
        if (result == 0)
            break;
    }
    ck_assert_int_gt(number, STEPS_AT_LEAST);
    ck_assert_int_gt(there, 1); /* also some that were killed had it committed */
    ck_assert_int_lt(there, number / 2);
    ck_assert_int_eq(in_process(verify, NULL), 0);
    measured("killed at %d steps of one transaction: %d times it was there, %d times it was not",
             number, there - 1, number - there + 1);
}
END_TEST

START_TEST(a_server_process_that_is_ended_leaves_all_or_nothing)
{
    int kills = scale("FLAGVER_KILLS", KILLS), i, number, sent, acked = 0, unknown = 0;
    static bool moved[REPORTS];
    bool was_acked;
    struct seed seed = seed_new(1);
    pid_t mover = start(move_on, NULL);

    while (!atomic_load(&board->is_moving))
        pause_us(1000);
    for (i = 0; i < kills; i++) {
        pause_us((long)seed_below(&seed, 60000));
        answer("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
               " WHERE usename = 'app' AND datname = current_database() AND state <> 'idle'");
    }
    kill(mover, SIGKILL);
    ck_assert_int_eq(finish(mover), 1000 + SIGKILL);
    check_whole(-1);

    sent = atomic_load(&board->sent);
    find_moved(moved);
    for (number = 0; number < sent; number++) {
        was_acked = atomic_load(&board->acked[number]);
        must(!was_acked || moved[number], "report %d was acknowledged and is not there", number);
        acked += was_acked;
        unknown += !was_acked && moved[number];
    }
    ck_assert_int_gt(acked, 0);
    ck_assert_int_eq(in_process(verify, NULL), 0);
    measured("%d server processes ended: %d of %d moves acknowledged, %d more had taken place",
             kills, acked, sent, unknown);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("enlisting on PostgreSQL, killed");
    TCase *tcase = tcase_create("kills");

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, whoever_is_killed_at_any_step_leaves_all_or_nothing);
    tcase_add_test(tcase, a_server_process_that_is_ended_leaves_all_or_nothing);
    suite_add_tcase(suite, tcase);
    if (cluster_possible())
        cluster_shared();
    return run_suite(suite);
}
