/*
 * Moving data between two databases: comparing, copying, and what it costs the authority that a key is
 * remembered; each next to the same by hand.
 */
#define _POSIX_C_SOURCE 200809L

#include <flagver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#ifndef FV_WITHOUT_postgres
#include "cluster.h"
#endif
#include "counting.h"
#include "report.h"
#include "rows.h"

#define MOST_ROUNDS 5

enum { OLD, NEW, HAND, DATABASES }; /* what is done by hand has a target of its own */

/* Three databases of one kind, each with a store and a table. */
struct site {
    const char *name;
    char directory[64];
#ifndef FV_WITHOUT_postgres
    struct cluster *cluster;
#endif
    char uris[DATABASES][320];
    flagver_client *clients[2];
    struct rows *rows[DATABASES];
};

static const char *const names[DATABASES] = { "old", "new", "hand" };

/* ------------------------------------------------------------------------
 * Sites
 */

static flagver_client *open_client(const char *uri)
{
    const flagver_options quiet = { .size = sizeof quiet, .no_environment = 1 };
    flagver_client *client = NULL;
    flagver_error err;

    bench_must(flagver_open(uri, &quiet, &client, &err), err.message);
    return client;
}

static void make_lite(struct site *site)
{
    char path[80];

    site->name = "SQLite";
    strcpy(site->directory, "/dev/shm/flagver-bench-XXXXXX");
    if (!mkdtemp(site->directory))
        bench_die("no directory can be made in /dev/shm");
    for (int i = 0; i < DATABASES; i++) {
        snprintf(path, sizeof path, "%s/%s", site->directory, names[i]);
        snprintf(site->uris[i], sizeof site->uris[i], "sqlite:%s", path);
        flagver_close(open_client(site->uris[i]));
        site->rows[i] = rows_open_sqlite(path);
    }
}

static void clear_lite(const struct site *site)
{
    char path[80];

    for (int i = 0; i < DATABASES; i++) {
        snprintf(path, sizeof path, "%s/%s", site->directory, names[i]);
        unlink(path);
    }
    if (rmdir(site->directory) != 0)
        bench_die("%s is not empty", site->directory);
}

#ifndef FV_WITHOUT_postgres
static void make_served(struct site *site)
{
    const struct cluster_options options = { .force = true,
                                             .settings = "shared_buffers = 512MB\n"
                                                         "max_wal_size = 4GB\n" };
    flagver_error err;

    site->name = "PostgreSQL";
    site->cluster = cluster_start(&options);
    for (int i = 0; i < DATABASES; i++) {
        cluster_database(site->cluster, names[i], NULL);
        bench_must(flagver_schema_up(cluster_uri(site->cluster, names[i], "owner"), &err),
                   err.message);
        cluster_sql(site->cluster, names[i],
                    "SELECT flagver.admit('app');"
                    "CREATE TABLE rows (key text COLLATE \"C\" PRIMARY KEY, value text);"
                    "GRANT ALL ON rows TO app");
        snprintf(site->uris[i], sizeof site->uris[i], "%s",
                 cluster_uri(site->cluster, names[i], "app"));
        site->rows[i] = rows_open_postgres(site->uris[i]);
    }
}
#endif

static void open_clients(struct site *site)
{
    for (int i = 0; i < 2; i++)
        site->clients[i] = open_client(site->uris[i]);
}

static void close_clients(struct site *site)
{
    for (int i = 0; i < 2; i++)
        flagver_close(site->clients[i]);
}

static void close_site(struct site *site)
{
    for (int i = 0; i < DATABASES; i++)
        rows_close(site->rows[i]);
#ifndef FV_WITHOUT_postgres
    if (site->cluster) {
        cluster_stop(site->cluster);
        return;
    }
#endif
    clear_lite(site);
}

/* ------------------------------------------------------------------------
 * A migration from the old side to the new one
 */

static void put_migration(flagver_client *client, const char *name)
{
    static const char json[] = "{\"stage\":\"off\"}";
    const flagver_actor actor = { .size = sizeof actor, .id = "bench" };
    flagver_txn *txn = NULL;
    flagver_error err;

    bench_must(flagver_txn_begin(client, &actor, NULL, &txn, &err), err.message);
    bench_must(flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, name, json, sizeof json - 1, NULL,
                                   NULL, &err),
               err.message);
    bench_must(flagver_txn_commit(txn, &err), err.message);
    flagver_txn_free(txn);
}

/* In the stage in which both sides are written; nothing has been copied. */
static flagver_route *begin_moving(flagver_client *client, const char *name, flagver_side old_side,
                                   flagver_side new_side)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "bench" };
    flagver_route_options options = { .size = sizeof options };
    flagver_route *route = NULL;
    flagver_error err;

    options.old_side = old_side;
    options.new_side = new_side;
    put_migration(client, name);
    bench_must(flagver_route_open(client, name, &options, &route, &err), err.message);
    bench_must(flagver_route_stage(route, &actor, FLAGVER_STAGE_DUALWRITE, NULL, &err),
               err.message);
    return route;
}

static void end_moving(flagver_route *route)
{
    flagver_error err;

    bench_must(flagver_route_close(route, 0, &err), err.message);
}

static flagver_route *move_site(struct site *site, const char *name)
{
    return begin_moving(site->clients[OLD], name, rows_side(site->rows[OLD], site->clients[OLD]),
                        rows_side(site->rows[NEW], site->clients[NEW]));
}

/* ------------------------------------------------------------------------
 * Comparing
 */

#define COMPARED_AT_ONCE 1000 /* the library's own */

struct comparing {
    flagver_route *route;
    const struct site *site;
    size_t count;
};

static void compare(void *data)
{
    struct comparing *comparing = data;
    uint64_t compared, differences;
    flagver_error err;

    bench_must(
        flagver_route_verify(comparing->route, NULL, NULL, NULL, &compared, &differences, &err),
        err.message);
    if (compared != comparing->count || differences > 0)
        bench_die("%zu rows, and %llu were compared, of which %llu differ", comparing->count,
                  (unsigned long long)compared, (unsigned long long)differences);
}

static void hash_both(void *data)
{
    struct comparing *comparing = data;

    for (int side = OLD; side <= NEW; side++) {
        if (rows_hash(comparing->site->rows[side], COMPARED_AT_ONCE) != comparing->count)
            bench_die("there are not %zu rows", comparing->count);
    }
}

static int rounds_of(const struct bench_options *options)
{
    return options->rounds < MOST_ROUNDS ? options->rounds : MOST_ROUNDS;
}

static void measure_comparing(const struct bench_options *options, struct site *site, size_t count)
{
    struct comparing comparing = { .site = site, .count = count };
    const struct bench_task library = { compare, &comparing }, other = { hash_both, &comparing };
    struct row row = { .id = "R3",
                       .what = "compare two tables",
                       .how = site->name,
                       .unit = "ns",
                       .asked = 0.8,
                       .least = true };

    rows_fill(site->rows[NEW], count);
    open_clients(site);
    comparing.route = move_site(site, "compared");
    bench_wall_turns(&library, &other, rounds_of(options), (double)count, &row.library, &row.other);
    row.result = row.other.median / row.library.median;
    report_row(options->report, &row);
    end_moving(comparing.route);
    close_clients(site);
}

/* ------------------------------------------------------------------------
 * Copying
 */

#define COPIED_AT_ONCE 5000 /* as the library, where a chunk does not take long */

/* Both targets are empty again, and what stands beside their rows is gone. */
static void empty_targets(const struct site *site)
{
    for (int i = NEW; i < DATABASES; i++) {
        struct rows *rows = site->rows[i];

#ifndef FV_WITHOUT_postgres
        if (site->cluster) {
            cluster_sql(site->cluster, names[i],
                        "TRUNCATE rows; DELETE FROM flagver.keyed WHERE space = 'route.key';");
            cluster_sql(site->cluster, names[i], "VACUUM ANALYZE");
            continue;
        }
#endif
        rows->driver->run(rows, "DELETE FROM rows");
        rows->driver->run(rows, "DELETE FROM flagver_keyed WHERE space = 'route.key'");
    }
}

static double copy_by_route(struct site *site, const char *name, size_t count)
{
    flagver_route_progress progress = { .size = sizeof progress };
    flagver_route *route = move_site(site, name);
    int64_t start = bench_now();
    flagver_error err;
    double time;

    do
        bench_must(flagver_route_step(route, 60000, &progress, &err), err.message);
    while (!progress.copied_all);
    time = (double)(bench_now() - start) / (double)count;
    end_moving(route);
    return time;
}

static double copy_by_hand(const struct site *site, size_t count)
{
    int64_t start = bench_now();

    if (rows_copy(site->rows[OLD], site->rows[HAND], COPIED_AT_ONCE) != count)
        bench_die("there are not %zu rows", count);
    return (double)(bench_now() - start) / (double)count;
}

static void check_copies(const struct site *site)
{
    static const char census[] = "SELECT count(*) || ' rows, ' || sum(length(key) + length(value))"
                                 " || ' bytes' FROM rows";
    char ours[128];

    snprintf(ours, sizeof ours, "%s", site->rows[NEW]->driver->run(site->rows[NEW], census));
    if (strcmp(ours, site->rows[HAND]->driver->run(site->rows[HAND], census)) != 0)
        bench_die("the library has copied %s, and by hand it is not the same", ours);
}

/* By hand in chunks as large as the library's largest. */
static void measure_copying(const struct bench_options *options, struct site *site, size_t count)
{
    struct row row = { .id = "R4",
                       .what = "copy a table",
                       .how = site->name,
                       .unit = "ns",
                       .asked = 0.6,
                       .least = true };
    const size_t rounds = (size_t)rounds_of(options);
    double ours[MOST_ROUNDS], theirs[MOST_ROUNDS];

    open_clients(site);
    for (size_t i = 0; i <= rounds; i++) { /* the first one warms up */
        size_t at = i ? i - 1 : 0;
        char name[24];

        snprintf(name, sizeof name, "copied-%zu", i);
        empty_targets(site);
        ours[at] = copy_by_route(site, name, count);
        theirs[at] = copy_by_hand(site, count);
        check_copies(site);
    }
    row.library = bench_summary(ours, rounds);
    row.other = bench_summary(theirs, rounds);
    row.result = row.other.median / row.library.median;
    report_row(options->report, &row);
    close_clients(site);
}

/* ------------------------------------------------------------------------
 * What is forced to the disk, where the authority is. The other side is nowhere: it forces nothing.
 */

static int read_nothing(void *data, const flagver_side_call *call, flagver_sink *sink,
                        flagver_error *err)
{
    (void)data;
    (void)call;
    (void)sink;
    (void)err;
    return FLAGVER_ENOTFOUND;
}

/* `data`: does it fail? Then the key stays remembered. */
static int write_nothing(void *data, const flagver_side_call *call, const void *value,
                         size_t length, flagver_sink *sink, flagver_error *err)
{
    (void)call;
    (void)value;
    (void)length;
    (void)sink;
    (void)err;
    return *(const bool *)data ? FLAGVER_EUNAVAILABLE : 0;
}

/* What is written is not what was there: where nothing changes SQLite writes nothing. */
static size_t make_row(size_t i, const char *by, char key[24], char value[64])
{
    snprintf(key, 24, "user-%011zu", i * 7919 % 5003);
    return (size_t)snprintf(value, 64, "{\"name\":\"number %zu\",\"by\":\"%s\"}", i, by);
}

static void write_routed(const struct site *site, size_t count, bool fails)
{
    flagver_client *client = open_client(site->uris[OLD]), *nowhere = open_client("memory:");
    flagver_route_options options = { .size = sizeof options };
    flagver_route *route = NULL;
    char key[24], value[64];
    flagver_error err;

    options.old_side = rows_side(site->rows[OLD], client);
    options.new_side = (flagver_side){ .size = sizeof(flagver_side),
                                       .client = nowhere,
                                       .data = &fails,
                                       .read = read_nothing,
                                       .write = write_nothing };
    bench_must(flagver_route_open(client, "written", &options, &route, &err), err.message);
    if (count == 0) {
        const flagver_actor actor = { .size = sizeof actor, .id = "bench" };

        bench_must(flagver_route_stage(route, &actor, FLAGVER_STAGE_DUALWRITE, NULL, &err),
                   err.message);
    }
    counting_start();
    for (size_t i = 0; i < count; i++) {
        size_t length = make_row(i, "route", key, value);

        bench_must(flagver_route_write(route, key, value, length, NULL, NULL, &err), err.message);
    }
    end_moving(route);
    flagver_close(nowhere);
    flagver_close(client);
}

static void write_remembered(const struct site *site, size_t count)
{
    write_routed(site, count, true);
}

static void write_settled(const struct site *site, size_t count)
{
    write_routed(site, count, false);
}

static void write_by_hand(const struct site *site, size_t count)
{
    char key[24], value[64], sql[256];

    counting_start();
    for (size_t i = 0; i < count; i++) {
        make_row(i, "hand", key, value);
        snprintf(sql, sizeof sql,
                 "INSERT INTO rows (key, value) VALUES ('%s', '%s')"
                 " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                 key, value);
        site->rows[OLD]->driver->run(site->rows[OLD], sql);
    }
}

#ifndef FV_WITHOUT_postgres
/* Servers count what has ended when its connection has. */
static int64_t ask_server(struct site *site)
{
    const struct timespec pause = { 0, 10000000 };

    rows_close(site->rows[OLD]);
    while (strcmp(cluster_value(site->cluster, "postgres",
                                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'old'"),
                  "0") != 0)
        nanosleep(&pause, NULL);
    site->rows[OLD] = rows_open_postgres(site->uris[OLD]);
    return atoll(cluster_value(site->cluster, "postgres", "SELECT wal_sync FROM pg_stat_wal"));
}
#endif

static int64_t count_forced(struct site *site, void (*write)(const struct site *site, size_t count),
                            size_t count)
{
#ifndef FV_WITHOUT_postgres
    if (site->cluster) {
        int64_t before = ask_server(site);

        write(site, count);
        counting_stop();
        return ask_server(site) - before;
    }
#endif
    write(site, count);
    return counting_stop().syncs;
}

static double syncs_of(struct site *site, void (*write)(const struct site *site, size_t count),
                       size_t count)
{
    int64_t none = count_forced(site, write, 0);

    return (double)(count_forced(site, write, count) - none) / (double)count;
}

/*
 * An entry that came with a commit of its own would make it 2. What there is beyond 1: logs that begin anew
 * a little earlier, as there is more in them, and that the other side has got it, which is noted
 * later, for many keys in one commit.
 */
static void measure_forcing(const struct bench_options *options, struct site *site, size_t count)
{
    struct row row = { .id = "R5", .how = site->name, .unit = "" };
    flagver_client *client = open_client(site->uris[OLD]);
    double bare, routed;

    put_migration(client, "written");
    flagver_close(client);
    bare = syncs_of(site, write_by_hand, count);
    row.other = (struct bench_stats){ bare, bare, bare };
    routed = syncs_of(site, write_remembered, count);
    row.what = "syncs, remembered";
    row.library = (struct bench_stats){ routed, routed, routed };
    report_ratio(options->report, &row, 1.05);
    routed = syncs_of(site, write_settled, count);
    row.what = "syncs, and settled";
    row.library = (struct bench_stats){ routed, routed, routed };
    report_ratio(options->report, &row, 1.05);
}

/* ------------------------------------------------------------------------
 */

static void measure_all(const struct bench_options *options, struct site *site)
{
    const bool quick = options->rounds < MOST_ROUNDS;
    const size_t count = quick ? 10000 : 100000;

    rows_fill(site->rows[OLD], count);
    if (bench_wanted(options, "route R3"))
        measure_comparing(options, site, count);
    if (bench_wanted(options, "route R4"))
        measure_copying(options, site, count);
    if (bench_wanted(options, "route R5"))
        measure_forcing(options, site, quick ? 500 : 2000);
    close_site(site);
}

void bench_moving(const struct bench_options *options)
{
    struct site lite = { .name = NULL };
#ifndef FV_WITHOUT_postgres
    struct site served = { .name = NULL };
#endif

    report_group(options->report, "Two databases, a row or a write, by the clock on the wall",
                 "by hand", "share");
    make_lite(&lite);
    measure_all(options, &lite);
#ifndef FV_WITHOUT_postgres
    if (!cluster_possible()) {
        report_text(options->report, "PostgreSQL is left out: no server is installed");
        return;
    }
    make_served(&served);
    measure_all(options, &served);
#endif
}
