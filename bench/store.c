/* Flags in a store: changing, opening, reading, next to plain SQL on the same tables. */
#define _POSIX_C_SOURCE 200809L

#include <flagver.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "report.h"
#include "sql.h"

/* Where a store is: the same store twice, one for each side. */
struct place {
    const char *name;
    bool waits; /* for a disk, when something is committed */
    char directory[64];
    char ours[96], theirs[96], cache[96], uri[112];
};

/* ------------------------------------------------------------------------
 * Stores
 */

static flagver_client *open_store(const char *uri, const char *cache)
{
    const flagver_options options = { .size = sizeof options, .cache_file = cache };
    flagver_client *client = NULL;
    flagver_error err;

    bench_must(flagver_open(uri, &options, &client, &err), err.message);
    return client;
}

static flagver_txn *begin(flagver_client *client)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "bench" };
    flagver_txn *txn = NULL;
    flagver_error err;

    bench_must(flagver_txn_begin(client, &actor, NULL, &txn, &err), err.message);
    return txn;
}

static void commit(flagver_txn *txn)
{
    flagver_error err;

    bench_must(flagver_txn_commit(txn, &err), err.message);
    flagver_txn_free(txn);
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char block[65536];
    size_t got;

    if (!in || !out)
        bench_die("cannot copy %s to %s", from, to);
    while ((got = fread(block, 1, sizeof block, in)) > 0)
        fwrite(block, 1, got, out);
    if (ferror(in) || fclose(out) != 0)
        bench_die("cannot copy %s to %s", from, to);
    fclose(in);
}

static void place_init(struct place *place, const char *name, bool waits, const char *where)
{
    char *json;
    flagver_client *client;
    flagver_error err;
    flagver_txn *txn;
    size_t length;

    memset(place, 0, sizeof *place);
    place->name = name;
    place->waits = waits;
    snprintf(place->directory, sizeof place->directory, "%s/flagver-bench-XXXXXX", where);
    if (!mkdtemp(place->directory))
        bench_die("no directory can be made in %s", where);
    snprintf(place->ours, sizeof place->ours, "%s/ours", place->directory);
    snprintf(place->theirs, sizeof place->theirs, "%s/theirs", place->directory);
    snprintf(place->cache, sizeof place->cache, "%s/cache", place->directory);
    snprintf(place->uri, sizeof place->uri, "sqlite:%s", place->ours);

    json = mixed_json(&length);
    client = open_store(place->uri, NULL);
    txn = begin(client);
    bench_must(flagver_flags_apply(txn, json, length, NULL, false, NULL, &err), err.message);
    commit(txn);
    flagver_close(client);
    free(json);
    copy_file(place->ours, place->theirs);
}

static void place_clear(struct place *place)
{
    unlink(place->ours);
    unlink(place->theirs);
    unlink(place->cache);
    if (rmdir(place->directory) != 0)
        bench_die("%s is not empty", place->directory);
}

/* ------------------------------------------------------------------------
 * Opening
 */

static void open_and_close(void *data)
{
    const struct place *place = data;

    flagver_close(open_store(place->uri, NULL));
}

static void open_with_cache(void *data)
{
    const struct place *place = data;

    flagver_close(open_store(place->uri, place->cache));
}

static void parse(const char *text, size_t length)
{
    json_error_t err;
    json_t *json = json_loadb(text, length, 0, &err);

    if (!json)
        bench_die("jansson: %s", err.text);
    json_decref(json);
}

static void select_and_parse(void *data)
{
    if (sql_read_all(data, parse) != BENCH_FLAGS)
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

    reading->client = open_store(place->uri, NULL);
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
        txn = begin(changing->client);
        for (j = 0; j < changing->changes; j++)
            change_one(changing, txn);
        commit(txn);
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

/* The bare side has written what the library has, or the comparison is worth nothing. */
static void compare_stores(const struct place *place)
{
    char *ours = sql_census(place->ours), *theirs = sql_census(place->theirs);

    if (strcmp(ours, theirs) != 0)
        bench_die("the library has written %s, and SQL %s", ours, theirs);
    free(ours);
    free(theirs);
}

static void measure_changing(const struct bench_options *options, const struct place *place)
{
    struct changing changing = { .client = open_store(place->uri, NULL),
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
    compare_stores(place);
}

void bench_store(const struct bench_options *options)
{
    struct place places[2];
    int i;

    place_init(&places[0], "in memory", false, "/dev/shm");
    place_init(&places[1], "on disk", true, "/var/tmp");
    report_group(options->report, "Opening and closing a store, in ms", "SELECT and jansson",
                 "ratio");
    for (i = 0; i < 2; i++)
        measure_opening(options, &places[i]);
    report_group(options->report, "Reading a version, in microseconds", "SELECT", "ratio");
    for (i = 0; i < 2; i++)
        measure_reading(options, &places[i]);
    report_group(options->report,
                 "Changing flags, in microseconds a change (on disk by the clock on the wall)",
                 "SQL", "ratio");
    for (i = 0; i < 2; i++)
        measure_changing(options, &places[i]);
    for (i = 0; i < 2; i++)
        place_clear(&places[i]);
}
