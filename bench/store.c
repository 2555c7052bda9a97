/* Flags in a store: changing, opening, reading, next to plain SQL on the same tables. */
#define _POSIX_C_SOURCE 200809L

#include <flagver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "place.h"
#include "records.h"
#include "report.h"
#include "sql.h"

/* All flags, for both sides. */
static void fill(const struct place *place)
{
    flagver_client *client = place_open(place, NULL);
    flagver_txn *txn = place_begin(client);

    records_put_flags(txn);
    place_commit(txn);
    flagver_close(client);
    place_share(place);
}

/* ------------------------------------------------------------------------
 * Opening
 */

static void open_and_close(void *data)
{
    const struct place *place = data;

    flagver_close(place_open(place, NULL));
}

static void open_with_cache(void *data)
{
    const struct place *place = data;

    flagver_close(place_open(place, place->cache));
}

static void select_and_parse(void *data)
{
    if (sql_read_all(data, records_parse) != BENCH_FLAGS)
        bench_die("there are not %d flags in the store", BENCH_FLAGS);
}

static void measure_opening(const struct bench_options *options, struct place *place)
{
    struct sql *sql = sql_open(place->theirs);
    const struct bench_task plain = { open_and_close, place }, cached = { open_with_cache, place },
                            other = { select_and_parse, sql };
    struct row row = { .id = "S1", .what = "10,000 flags", .how = place->name, .unit = "ms" };

    bench_turns(&plain, &other, options->rounds, 1e6, &row.library, &row.other);
    report_ratio(options->report, &row, 1.6);

    row.id = "S2";
    row.what = "the same with a cache file";
    bench_turns(&cached, &other, options->rounds, 1e6, &row.library, &row.other);
    report_ratio(options->report, &row, 0.5);
    sql_close(sql);
}

/* ------------------------------------------------------------------------
 * Reading
 */

#define READS 2000

struct reading {
    flagver_client *client;
    struct sql *sql;
    size_t order[BENCH_FLAGS];
};

static void read_versions(void *data)
{
    const struct reading *reading = data;
    flagver_version *version = NULL;
    char key[BARE_KEY];
    flagver_error err;
    size_t i;

    for (i = 0; i < READS; i++) {
        plan_key(reading->order[i], key);
        bench_must(
            flagver_version_current(reading->client, FLAGVER_PHASE_FLAG, key, &version, &err),
            err.message);
        bench_sink += version->payload_length;
        flagver_version_free(version);
    }
}

static void select_versions(void *data)
{
    const struct reading *reading = data;
    char key[BARE_KEY];
    size_t i;

    for (i = 0; i < READS; i++) {
        plan_key(reading->order[i], key);
        bench_sink += sql_read(reading->sql, key);
    }
}

static void measure_reading(const struct bench_options *options, struct place *place)
{
    struct reading *reading = bench_allocate(1, sizeof *reading);
    const struct bench_task library = { read_versions, reading },
                            other = { select_versions, reading };
    struct row row = {
        .id = "S3", .what = "flagver_version_current", .how = place->name, .unit = "us"
    };
    uint64_t random = 3;

    reading->client = place_open(place, NULL);
    reading->sql = sql_open(place->theirs);
    bench_shuffle(reading->order, BENCH_FLAGS, &random);
    bench_turns(&library, &other, options->rounds, READS * 1e3, &row.library, &row.other);
    report_ratio(options->report, &row, 2);
    flagver_close(reading->client);
    sql_close(reading->sql);
    free(reading);
}

/* ------------------------------------------------------------------------
 * Changing
 */

struct changing {
    flagver_client *client;
    struct sql *sql;
    int transactions, changes; /* in one round, and in each of them */
    bool ramp, waits;
    size_t our_turn, their_turn;
};

/* Both sides change the same flags in the same order. */
static unsigned share_of(size_t turn)
{
    return 10 + (unsigned)(turn % 90);
}

static void change_one(struct changing *changing, flagver_txn *txn)
{
    size_t turn = changing->our_turn++, length;
    char json[512], key[BARE_KEY];
    flagver_error err;
    int r;

    length = mixed_change(turn, share_of(turn), key, json, sizeof json);
    if (changing->ramp)
        r = flagver_flag_ramp(txn, key, share_of(turn), NULL, NULL, &err);
    else
        r = flagver_flag_put(txn, key, json, length, NULL, NULL, &err);
    bench_must(r, err.message);
}

static void change_flags(void *data)
{
    struct changing *changing = data;
    flagver_txn *txn;
    int i, j;

    for (i = 0; i < changing->transactions; i++) {
        txn = place_begin(changing->client);
        for (j = 0; j < changing->changes; j++)
            change_one(changing, txn);
        place_commit(txn);
    }
}

static void write_rows(void *data)
{
    struct changing *changing = data;
    char json[512], key[BARE_KEY];
    size_t turn, length;
    int i, j;

    for (i = 0; i < changing->transactions; i++) {
        sql_begin(changing->sql);
        for (j = 0; j < changing->changes; j++) {
            turn = changing->their_turn++;
            length = mixed_change(turn, share_of(turn), key, json, sizeof json);
            sql_change(changing->sql, key, json, length);
        }
        sql_commit(changing->sql);
    }
}

static void measure_changes(const struct bench_options *options, struct changing *changing,
                            struct row *row)
{
    const struct bench_task library = { change_flags, changing }, other = { write_rows, changing };
    const double changes = 1e3 * changing->transactions * changing->changes;

    if (changing->waits)
        bench_wall_turns(&library, &other, options->rounds, changes, &row->library, &row->other);
    else
        bench_turns(&library, &other, options->rounds, changes, &row->library, &row->other);
    report_ratio(options->report, row, 1.5);
}

static void measure_changing(const struct bench_options *options, const struct place *place)
{
    struct changing changing = { .client = place_open(place, NULL),
                                 .sql = sql_open(place->theirs),
                                 .transactions = options->merges / 10,
                                 .changes = 1,
                                 .waits = place->waits };
    struct row row = { .how = place->name, .unit = "us" };

    row.id = "S4";
    row.what = "one flag put";
    measure_changes(options, &changing, &row);
    row.what = "one flag ramped";
    changing.ramp = true;
    measure_changes(options, &changing, &row);

    row.id = "S5";
    row.what = "1,000 ramped at once";
    changing.transactions = 1;
    changing.changes = 1000;
    measure_changes(options, &changing, &row);
    row.what = "1,000 put at once";
    changing.ramp = false;
    measure_changes(options, &changing, &row);

    flagver_close(changing.client);
    sql_close(changing.sql);
    place_compare(place);
}

void bench_store(const struct bench_options *options)
{
    struct place places[PLACES];
    int i;

    for (i = 0; i < PLACES; i++) {
        place_init(&places[i], i);
        fill(&places[i]);
    }
    report_group(options->report, "Opening and closing a store, in ms", "SELECT and jansson",
                 "ratio");
    for (i = 0; i < PLACES; i++)
        measure_opening(options, &places[i]);
    report_group(options->report, "Reading a version, in microseconds", "SELECT", "ratio");
    for (i = 0; i < PLACES; i++)
        measure_reading(options, &places[i]);
    report_group(options->report,
                 "Changing flags, in microseconds a change (on disk by the clock on the wall)",
                 "SQL", "ratio");
    for (i = 0; i < PLACES; i++)
        measure_changing(options, &places[i]);
    for (i = 0; i < PLACES; i++)
        place_clear(&places[i]);
}
