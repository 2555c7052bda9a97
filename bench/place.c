#define _POSIX_C_SOURCE 200809L

#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "sql.h"

void place_init(struct place *place, int which)
{
    const char *where = which == 0 ? "/dev/shm" : "/var/tmp";

    memset(place, 0, sizeof *place);
    place->name = which == 0 ? "in memory" : "on disk";
    place->waits = which != 0;
    snprintf(place->directory, sizeof place->directory, "%s/flagver-bench-XXXXXX", where);
    if (!mkdtemp(place->directory))
        bench_die("no directory can be made in %s", where);
    snprintf(place->ours, sizeof place->ours, "%s/ours", place->directory);
    snprintf(place->theirs, sizeof place->theirs, "%s/theirs", place->directory);
    snprintf(place->cache, sizeof place->cache, "%s/cache", place->directory);
    snprintf(place->uri, sizeof place->uri, "sqlite:%s", place->ours);
}

void place_clear(struct place *place)
{
    unlink(place->ours);
    unlink(place->theirs);
    unlink(place->cache);
    if (rmdir(place->directory) != 0)
        bench_die("%s is not empty", place->directory);
}

void place_share(const struct place *place)
{
    FILE *in = fopen(place->ours, "rb"), *out = fopen(place->theirs, "wb");
    char block[65536];
    size_t got;

    if (!in || !out)
        bench_die("cannot copy %s to %s", place->ours, place->theirs);
    while ((got = fread(block, 1, sizeof block, in)) > 0)
        fwrite(block, 1, got, out);
    if (ferror(in) || fclose(out) != 0)
        bench_die("cannot copy %s to %s", place->ours, place->theirs);
    fclose(in);
}

flagver_client *place_open(const struct place *place, const char *cache)
{
    const flagver_options options = { .size = sizeof options, .cache_file = cache };
    flagver_client *client = NULL;
    flagver_error err;

    bench_must(flagver_open(place->uri, &options, &client, &err), err.message);
    return client;
}

flagver_txn *place_begin(flagver_client *client)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "bench" };
    flagver_txn *txn = NULL;
    flagver_error err;

    bench_must(flagver_txn_begin(client, &actor, NULL, &txn, &err), err.message);
    return txn;
}

void place_commit(flagver_txn *txn)
{
    flagver_error err;

    bench_must(flagver_txn_commit(txn, &err), err.message);
    flagver_txn_free(txn);
}

void place_compare(const struct place *place)
{
    char *ours = sql_census(place->ours), *theirs = sql_census(place->theirs);

    if (strcmp(ours, theirs) != 0)
        bench_die("the library has written %s, and SQL %s", ours, theirs);
    free(ours);
    free(theirs);
}
