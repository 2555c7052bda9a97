/* Records and the log over them, next to plain SQL on the same tables. */
#include <flagver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "records.h"
#include "report.h"
#include "sql.h"

/* ------------------------------------------------------------------------
 * Records
 */

static void approve_one(flagver_txn *txn, const struct sql_record *record)
{
    records_submit(txn, record);
    records_approve(txn, record);
}

/* The policies; and one record of each kind, so that it is known how long their leaves are. */
static void fill(const struct place *place)
{
    flagver_client *client = place_open(place, NULL);
    flagver_txn *txn = place_begin(client);
    struct sql_record record;
    char subject[SUBJECT];

    records_set_policies(txn);
    place_commit(txn);

    txn = place_begin(client);
    records_make(0, EVENTS, subject, &record);
    records_record(txn, &record);
    records_make(0, REVIEW, subject, &record);
    approve_one(txn, &record);
    place_commit(txn);
    flagver_close(client);
    place_share(place);
}

/* ------------------------------------------------------------------------
 * Writing
 */

struct writing {
    flagver_client *client;
    struct sql *sql;
    const char *phase;
    int transactions, records; /* in one round, and in each of them */
    size_t our_turn, their_turn;
};

static void write_records(void *data)
{
    struct writing *writing = data;
    struct sql_record record;
    char subject[SUBJECT];
    flagver_txn *txn;
    int i, j;

    for (i = 0; i < writing->transactions; i++) {
        txn = place_begin(writing->client);
        for (j = 0; j < writing->records; j++) {
            records_make(++writing->our_turn, writing->phase, subject, &record);
            (strcmp(writing->phase, REVIEW) == 0 ? approve_one : records_record)(txn, &record);
        }
        place_commit(txn);
    }
}

static void write_rows(void *data)
{
    struct writing *writing = data;
    struct sql_record record;
    char subject[SUBJECT];
    int i, j;

    for (i = 0; i < writing->transactions; i++) {
        sql_begin(writing->sql);
        for (j = 0; j < writing->records; j++) {
            records_make(++writing->their_turn, writing->phase, subject, &record);
            (strcmp(writing->phase, REVIEW) == 0 ? sql_approve : sql_record)(writing->sql, &record);
        }
        sql_commit(writing->sql);
    }
}

static void measure(const struct bench_options *options, const struct place *place,
                    struct writing *writing, struct row *row)
{
    const struct bench_task library = { write_records, writing }, other = { write_rows, writing };
    const double records = 1e3 * writing->transactions * writing->records;

    row->how = place->name;
    row->unit = "us";
    if (place->waits)
        bench_wall_turns(&library, &other, options->rounds, records, &row->library, &row->other);
    else
        bench_turns(&library, &other, options->rounds, records, &row->library, &row->other);
    report_ratio(options->report, row, 1.5);
}

static void measure_writing(const struct bench_options *options, const struct place *place)
{
    struct writing writing = { .client = place_open(place, NULL), .sql = sql_open(place->theirs) };
    struct row row = { .id = "V1", .what = "create, submit, approve" };

    writing.phase = REVIEW;
    writing.transactions = options->merges / 10;
    writing.records = 1;
    measure(options, place, &writing, &row);

    row.id = "V2";
    row.what = "1,000 recorded at once";
    writing.phase = EVENTS;
    writing.transactions = 1;
    writing.records = 1000;
    measure(options, place, &writing, &row);

    flagver_close(writing.client);
    sql_close(writing.sql);
    place_compare(place);
}

/* ------------------------------------------------------------------------
 * The log
 */

#define LEAVES_AT_ONCE 1000 /* in one transaction; an even number */
#define PROOFS 200

struct log {
    flagver_client *client;
    struct sql *sql;
    uint64_t leaves, random;
};

/* Submitting a draft and taking it back makes leaves and nothing else. */
static void add_leaves(flagver_txn *txn, const char *subject)
{
    flagver_error err;
    size_t i;

    for (i = 0; i < LEAVES_AT_ONCE; i += 2) {
        bench_must(flagver_version_submit(txn, REVIEW, subject, 1, NULL, NULL, &err), err.message);
        bench_must(flagver_version_return(txn, REVIEW, subject, 1, NULL, NULL, &err), err.message);
    }
}

static void grow(const struct place *place, size_t least)
{
    static const char subject[] = "returned";
    flagver_client *client = place_open(place, NULL);
    flagver_txn *txn = place_begin(client);
    flagver_error err;
    size_t leaves;

    bench_must(flagver_version_create(txn, REVIEW, subject, "{}", 2, NULL, NULL, &err),
               err.message);
    place_commit(txn);
    for (leaves = 0; leaves < least; leaves += LEAVES_AT_ONCE) {
        txn = place_begin(client);
        add_leaves(txn, subject);
        place_commit(txn);
    }
    flagver_close(client);
    place_share(place);
}

static void complain(void *data, const char *line)
{
    (void)data;
    bench_die("audit verify: %s", line);
}

static void verify(void *data)
{
    static const flagver_verify_options options = { .size = sizeof options, .tree_only = 1 };
    const struct log *log = data;
    flagver_verify_result result;
    flagver_error err;

    bench_must(flagver_audit_verify(log->client, &options, complain, NULL, &result, &err),
               err.message);
    if (result.leaves != log->leaves)
        bench_die("%llu of %llu leaves were verified", (unsigned long long)result.leaves,
                  (unsigned long long)log->leaves);
}

static void scan_and_hash(void *data)
{
    const struct log *log = data;

    if (sql_hash_leaves(log->sql) != log->leaves)
        bench_die("there are not %llu leaves", (unsigned long long)log->leaves);
}

static void prove(void *data)
{
    struct log *log = data;
    flagver_proof proof;
    flagver_error err;
    int i;

    for (i = 0; i < PROOFS; i++) {
        bench_must(flagver_audit_prove_inclusion(
                       log->client, bench_random(&log->random) % log->leaves, 0, &proof, &err),
                   err.message);
        bench_sink += proof.count;
    }
}

static void read_leaves(void *data)
{
    struct log *log = data;
    int i;

    for (i = 0; i < PROOFS; i++)
        bench_sink += sql_read_leaf(log->sql, (int64_t)(bench_random(&log->random) % log->leaves));
}

static void measure_log(const struct bench_options *options, struct place *place)
{
    struct log log = { .client = place_open(place, NULL), .sql = sql_open(place->theirs) };
    const struct bench_task verifying = { verify, &log }, scanning = { scan_and_hash, &log },
                            proving = { prove, &log }, reading = { read_leaves, &log };
    struct row row = { .id = "V3", .how = place->name, .what = "audit verify of the tree" };
    uint8_t root[FLAGVER_HASH_SIZE];
    flagver_error err;

    bench_must(flagver_audit_head(log.client, &log.leaves, root, &err), err.message);
    report_group(options->report, "The log, in ns a leaf: how fast it is beside a scan",
                 "SELECT, SHA-256", "share");
    row.unit = "ns";
    bench_turns(&verifying, &scanning, options->rounds < 5 ? options->rounds : 5,
                (double)log.leaves, &row.library, &row.other);
    row.result = row.other.median / row.library.median;
    row.asked = 0.7;
    row.least = true;
    report_row(options->report, &row);

    report_group(options->report, "The log, in microseconds a proof", "SELECT", "ratio");
    row =
        (struct row){ .id = "V4", .how = place->name, .what = "inclusion of a leaf", .unit = "us" };
    bench_turns(&proving, &reading, options->rounds, PROOFS * 1e3, &row.library, &row.other);
    report_ratio(options->report, &row, 20);
    flagver_close(log.client);
    sql_close(log.sql);
}

void bench_versions(const struct bench_options *options)
{
    struct place places[PLACES];
    int i;

    report_group(options->report,
                 "Records, in microseconds each (on disk by the clock on the wall)", "SQL",
                 "ratio");
    for (i = 0; i < PLACES; i++) {
        place_init(&places[i], i);
        fill(&places[i]);
        measure_writing(options, &places[i]);
    }
    grow(&places[0], (size_t)options->merges * 2000);
    measure_log(options, &places[0]);
    for (i = 0; i < PLACES; i++)
        place_clear(&places[i]);
}
