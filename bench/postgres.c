/* The store on PostgreSQL, next to the same done by hand through libpq. */
#define _POSIX_C_SOURCE 200809L

#include <flagver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster.h"
#include "fixture.h"
#include "live.h"
#include "place.h"
#include "pq.h"
#include "records.h"
#include "report.h"

/* ------------------------------------------------------------------------
 * Clusters and databases
 */

/* In every database of a run there is the library's side in "ours" and the other in "theirs". */
struct server {
    struct cluster *cluster;
    const char *name;
};

static void start_server(struct server *server, bool disk)
{
    const struct cluster_options options = { .force = disk,
                                             .place = disk ? "/var/tmp" : NULL,
                                             .settings = "max_connections = 250\n"
                                                         "shared_buffers = 256MB\n"
                                                         "max_wal_size = 4GB\n" };

    server->name = disk ? "on disk" : "in memory";
    server->cluster = cluster_start(&options);
}

/* As an application's role. */
static const char *uri_of(const struct server *server, const char *database)
{
    return cluster_uri(server->cluster, database, "app");
}

static flagver_client *open_database(const struct server *server, const char *database)
{
    flagver_client *client = NULL;
    flagver_error err;

    bench_must(flagver_open(uri_of(server, database), NULL, &client, &err), err.message);
    return client;
}

/* One that may take long. */
static flagver_txn *begin_long(flagver_client *client)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "bench" };
    static const flagver_txn_options patient = { .size = sizeof patient, .timeout_ms = -1 };
    flagver_txn *txn = NULL;
    flagver_error err;

    bench_must(flagver_txn_begin(client, &actor, &patient, &txn, &err), err.message);
    return txn;
}

/* With the schema, and empty. */
static void make_database(const struct server *server, const char *database)
{
    flagver_error err;

    cluster_database(server->cluster, database, NULL);
    bench_must(flagver_schema_up(cluster_uri(server->cluster, database, "owner"), &err),
               err.message);
    cluster_sql(server->cluster, database, "SELECT flagver.admit('app')");
}

/* What the library has made in "ours" is in "theirs", too. */
static void share(const struct server *server)
{
    cluster_sql(server->cluster, "ours", "VACUUM ANALYZE");
    cluster_database(server->cluster, "theirs", "ours");
}

static void drop_both(const struct server *server)
{
    cluster_drop(server->cluster, "ours");
    cluster_drop(server->cluster, "theirs");
}

/* How many rows there are, and how many bytes: equal for equal work. */
static const char census[] =
    "SELECT concat_ws(' ', (SELECT sum(last_no) FROM flagver.series), 'versions',"
    " (SELECT count(*) FROM flagver.version WHERE state = 3), 'approved',"
    " (SELECT count(*) FROM flagver.vote), 'votes', (SELECT count(*) FROM flagver.node), 'nodes',"
    " (SELECT size FROM flagver.log), 'leaves', (SELECT count(*) FROM flagver.keyed), 'requests',"
    " (SELECT sum(octet_length(body)) FROM flagver.payload),"
    " (SELECT sum(octet_length(leaf) + octet_length(hash)) FROM flagver.leaf),"
    " (SELECT octet_length(frontier) FROM flagver.log),"
    " (SELECT sum(octet_length(key) + octet_length(value)) FROM flagver.keyed), 'bytes')";

static void compare(const struct server *server)
{
    const char *ours = cluster_value(server->cluster, "ours", census);
    const char *theirs = cluster_value(server->cluster, "theirs", census);

    if (strcmp(ours, theirs) != 0)
        bench_die("the library has written %s, and libpq %s", ours, theirs);
}

/* ------------------------------------------------------------------------
 * Records
 */

/* The policies, records that wait for approval, and one that went all the way. */
static void fill(const struct server *server, size_t waiting)
{
    flagver_client *client = open_database(server, "ours");
    flagver_txn *txn = place_begin(client);
    struct sql_record record;
    char subject[SUBJECT];
    size_t i;

    records_set_policies(txn);
    place_commit(txn);

    txn = begin_long(client);
    for (i = 0; i <= waiting; i++) {
        records_make(i, REVIEW, subject, &record);
        records_submit(txn, &record);
    }
    records_approve(txn, &record);
    place_commit(txn);
    flagver_close(client);
}

/* ------------------------------------------------------------------------
 * Approving
 */

struct approving {
    flagver_client *client;
    struct pq *pq;
    size_t transactions; /* in one round */
    bool all;            /* creating and submitting, too */
    size_t our_turn, their_turn;
};

static void approve(void *data)
{
    struct approving *approving = data;
    struct sql_record record;
    char subject[SUBJECT];
    flagver_txn *txn;
    size_t i;

    for (i = 0; i < approving->transactions; i++) {
        records_make(approving->our_turn++, REVIEW, subject, &record);
        txn = place_begin(approving->client);
        if (approving->all)
            records_submit(txn, &record);
        records_approve(txn, &record);
        place_commit(txn);
    }
}

static void approve_by_hand(void *data)
{
    struct approving *approving = data;
    struct sql_record record;
    char subject[SUBJECT];
    size_t i;

    for (i = 0; i < approving->transactions; i++) {
        records_make(approving->their_turn++, REVIEW, subject, &record);
        (approving->all ? pq_create : pq_approve)(approving->pq, &record);
    }
}

static void measure_approving(const struct bench_options *options, const struct server *server)
{
    struct approving approving = { .transactions = (size_t)options->merges / 10 };
    const struct bench_task library = { approve, &approving },
                            other = { approve_by_hand, &approving };
    const double records = 1e3 * (double)approving.transactions;
    const size_t waiting = approving.transactions * (size_t)(options->rounds + 1);
    struct row row = { .id = "P1", .what = "approve", .how = server->name, .unit = "us" };

    make_database(server, "ours");
    fill(server, waiting);
    share(server);
    approving.client = open_database(server, "ours");
    approving.pq = pq_open(uri_of(server, "theirs"));
    bench_wall_turns(&library, &other, options->rounds, records, &row.library, &row.other);
    report_ratio(options->report, &row, 1.5);

    row.what = "create, submit, approve";
    approving.all = true;
    approving.our_turn = approving.their_turn = waiting + 1;
    bench_wall_turns(&library, &other, options->rounds, records, &row.library, &row.other);
    report_ratio(options->report, &row, 1.5);

    flagver_close(approving.client);
    pq_close(approving.pq);
    compare(server);
    drop_both(server);
}

/* ------------------------------------------------------------------------
 * Recording many at once
 */

#define AT_ONCE 10000
#define COPIES 5 /* rounds at most */

struct recording {
    flagver_client *client;
    struct pq *from, *to; /* of a superuser: where the library writes, and where COPY does */
    size_t turn;
    char (*subjects)[SUBJECT];
    const char **names;
};

static void lock_all(const struct recording *recording, flagver_txn *txn)
{
    flagver_error err;

    bench_must(flagver_txn_lock(txn, EVENTS, recording->names, AT_ONCE, &err), err.message);
}

static void record_all(void *data)
{
    struct recording *recording = data;
    flagver_txn *txn = begin_long(recording->client);
    struct sql_record record;
    size_t i;

    for (i = 0; i < AT_ONCE; i++) {
        records_make(recording->turn++, EVENTS, recording->subjects[i], &record);
        recording->names[i] = recording->subjects[i];
    }
    lock_all(recording, txn);
    for (i = 0; i < AT_ONCE; i++) {
        record.subject = recording->subjects[i];
        records_record(txn, &record);
    }
    place_commit(txn);
}

static double time_recording(struct recording *recording)
{
    int64_t start = bench_now();

    record_all(recording);
    return (double)(bench_now() - start) / 1e3 / AT_ONCE;
}

/* The rows that the library has written last. */
static double time_copying(const struct recording *recording)
{
    struct pq_rows *rows = pq_copy_out(recording->from);
    int64_t start = bench_now();
    double time;

    pq_copy_in(recording->to, rows);
    time = (double)(bench_now() - start) / 1e3 / AT_ONCE;
    pq_rows_free(rows);
    return time;
}

static void take_turns(struct recording *recording, size_t rounds, struct row *row)
{
    double ours[COPIES], theirs[COPIES];
    size_t i;

    time_recording(recording);
    time_copying(recording);
    for (i = 0; i < rounds; i++) {
        ours[i] = time_recording(recording);
        theirs[i] = time_copying(recording);
    }
    row->library = bench_summary(ours, rounds);
    row->other = bench_summary(theirs, rounds);
}

static void measure_recording(const struct bench_options *options, const struct server *server)
{
    struct recording recording = { .turn = 0 };
    struct row row = { .id = "P2",
                       .what = "10,000 records at once",
                       .how = server->name,
                       .unit = "us",
                       .asked = 0.7,
                       .least = true };

    make_database(server, "ours");
    fill(server, 0);
    share(server);
    recording.client = open_database(server, "ours");
    recording.from = pq_open(cluster_uri(server->cluster, "ours", "postgres"));
    recording.to = pq_open(cluster_uri(server->cluster, "theirs", "postgres"));
    recording.subjects = bench_allocate(AT_ONCE, sizeof *recording.subjects);
    recording.names = bench_allocate(AT_ONCE, sizeof *recording.names);
    take_turns(&recording, options->rounds < COPIES ? (size_t)options->rounds : COPIES, &row);
    row.result = row.other.median / row.library.median;
    report_row(options->report, &row);

    free(recording.names);
    free(recording.subjects);
    flagver_close(recording.client);
    pq_close(recording.from);
    pq_close(recording.to);
    compare(server);
    drop_both(server);
}

/* ------------------------------------------------------------------------
 * Opening
 */

static void open_and_close(void *data)
{
    const struct server *server = *(const struct server **)data;

    flagver_close(open_database(server, "ours"));
}

static void select_and_parse(void *data)
{
    if (pq_read_all(data, records_parse) != BENCH_FLAGS)
        bench_die("there are not %d flags in the store", BENCH_FLAGS);
}

static void fill_flags(const struct server *server)
{
    flagver_client *client = open_database(server, "ours");
    flagver_txn *txn = begin_long(client);

    records_put_flags(txn);
    place_commit(txn);
    flagver_close(client);
}

static void measure_opening(const struct bench_options *options, const struct server *server)
{
    struct row row = { .id = "P3", .what = "10,000 flags", .how = server->name, .unit = "ms" };
    struct bench_task library = { open_and_close, &server }, other = { select_and_parse, NULL };
    struct pq *pq;

    make_database(server, "ours");
    fill_flags(server);
    share(server);
    pq = pq_open(uri_of(server, "theirs"));
    other.data = pq;
    bench_wall_turns(&library, &other, options->rounds, 1e6, &row.library, &row.other);
    report_ratio(options->report, &row, 1.5);
    pq_close(pq);
    drop_both(server);
}

/* ------------------------------------------------------------------------
 * Following
 */

#define PROCESSES 50
#define FLIPS 20

static void measure_flips(const struct bench_options *options, const struct server *server)
{
    const size_t flips = options->rounds < FLIPS ? (size_t)options->rounds : FLIPS;
    const size_t count = flips * PROCESSES;
    double *samples = bench_allocate(count, sizeof *samples);
    struct live *live = live_start(uri_of(server, "live"), PROCESSES);
    struct bench_stats stats;
    struct row row = { .id = "P4", .what = "a flip in 50 processes", .unit = "ms", .asked = 100 };
    size_t i;

    live_flip(live, flips, samples);
    live_stop(live);
    for (i = 0; i < count; i++)
        samples[i] /= 1e6;
    stats = bench_summary(samples, count);
    row.how = "median";
    row.library = stats;
    row.result = stats.median;
    report_row(options->report, &row);
    row.how = "p99";
    row.result = samples[count - 1 - count / 100];
    report_row(options->report, &row);
    free(samples);
}

/* Lines of the server's log that tell of a statement; of `database` all are told of. */
static long count_statements(const struct server *server)
{
    FILE *log = fopen(cluster_log(server->cluster), "r");
    char line[4096];
    long count = 0;

    if (!log)
        bench_die("the server's log cannot be read");
    while (fgets(line, sizeof line, log))
        count += strstr(line, "LOG:  execute ") || strstr(line, "LOG:  statement: ");
    fclose(log);
    return count;
}

static void pause_for(int64_t nanoseconds)
{
    const struct timespec pause = { nanoseconds / 1000000000, nanoseconds % 1000000000 };

    nanosleep(&pause, NULL);
}

static void measure_idling(const struct bench_options *options, const struct server *server)
{
    const int64_t seconds = options->rounds < FLIPS ? 2 : 10;
    struct live *live;
    long before;

    cluster_sql(server->cluster, "live", "ALTER DATABASE live SET log_statement = 'all'");
    live = live_start(uri_of(server, "live"), 1);
    pause_for(1000000000); /* what comes after opening is over */
    before = count_statements(server);
    pause_for(seconds * 1000000000);
    report_number(options->report, "P5", "an idle client asks", "per second", "",
                  (double)(count_statements(server) - before) / (double)seconds, 2);
    live_stop(live);
}

static void measure_following(const struct bench_options *options, const struct server *server)
{
    make_database(server, "live");
    if (bench_wanted(options, "postgres P4"))
        measure_flips(options, server);
    if (bench_wanted(options, "postgres P5"))
        measure_idling(options, server);
}

/* ------------------------------------------------------------------------
 */

static void measure_on_both(const struct bench_options *options, const struct server servers[2],
                            void (*measure)(const struct bench_options *options,
                                            const struct server *server))
{
    int i;

    for (i = 0; i < 2; i++)
        measure(options, &servers[i]);
}

static void measure_all(const struct bench_options *options, const struct server servers[2])
{
    if (bench_wanted(options, "postgres P1")) {
        report_group(options->report,
                     "PostgreSQL: approving, in microseconds, by the clock on the wall", "libpq",
                     "ratio");
        measure_on_both(options, servers, measure_approving);
    }
    if (bench_wanted(options, "postgres P2")) {
        report_group(options->report,
                     "PostgreSQL: microseconds a record: how fast it is beside COPY", "COPY",
                     "share");
        measure_on_both(options, servers, measure_recording);
    }
    if (bench_wanted(options, "postgres P3")) {
        report_group(options->report, "PostgreSQL: opening and closing a store, in ms",
                     "SELECT, jansson", "ratio");
        measure_opening(options, &servers[0]);
    }
    if (bench_wanted(options, "postgres P4 P5")) {
        report_group(options->report,
                     "PostgreSQL: ms from a commit to other processes; what an idle client asks",
                     "", "result");
        measure_following(options, &servers[0]);
    }
}

void bench_postgres(const struct bench_options *options)
{
    struct server servers[2];
    int i;

    if (!cluster_possible()) {
        report_text(options->report, "\nPostgreSQL is left out: no server is installed");
        return;
    }
    for (i = 0; i < 2; i++)
        start_server(&servers[i], i == 1);
    measure_all(options, servers);
    for (i = 0; i < 2; i++)
        cluster_stop(servers[i].cluster);
}
