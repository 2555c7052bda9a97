/*
 * Dual write, step by step: customers move from one system to another one while both are in use. One
 * of them fails, one is spoiled, and once it is all taken back; no write is lost.
 *
 * The two systems are tables in memory. They stand for whatever can be reached by a few functions,
 * and know nothing of the library: both sides are detached. What must not be forgotten is in the
 * store of the migration.
 *
 * Prints what the application does, and what the systems have then. Ends with 1 if any of it is not
 * as it should be.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include <flagver.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CUSTOMERS 50
#define LIMIT 100 /* of rows in a system */

/* ---- a system ---- */

struct system {
    pthread_mutex_t lock; /* a side is called by any thread */
    const char *name;
    bool down;
    struct row {
        char key[8], city[24];
    } rows[LIMIT]; /* in byte order of keys */
    size_t count;
};

static struct system old_system = { .lock = PTHREAD_MUTEX_INITIALIZER, .name = "old system" };
static struct system new_system = { .lock = PTHREAD_MUTEX_INITIALIZER, .name = "new system" };

/* The first row whose key is not below this one. */
static size_t place_of(const struct system *system, const char *key)
{
    size_t i = 0;

    while (i < system->count && strcmp(system->rows[i].key, key) < 0)
        i++;
    return i;
}

static bool has(const struct system *system, size_t i, const char *key)
{
    return i < system->count && strcmp(system->rows[i].key, key) == 0;
}

/* Errors of an application are told in its own words. */
static int is_down(const struct system *system, flagver_error *err)
{
    if (!system->down)
        return 0;
    err->code = FLAGVER_EUNAVAILABLE;
    snprintf(err->message, sizeof err->message, "the %s is down", system->name);
    return err->code;
}

static int system_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                       flagver_error *err)
{
    struct system *system = data;
    size_t i;
    int r;

    pthread_mutex_lock(&system->lock);
    r = is_down(system, err);
    i = place_of(system, call->key);
    if (r == 0 && has(system, i, call->key))
        r = flagver_sink_value(sink, system->rows[i].city, strlen(system->rows[i].city));
    else if (r == 0)
        r = FLAGVER_ENOTFOUND;
    pthread_mutex_unlock(&system->lock);
    return r;
}

/* Whether it was there or not: a repair writes what may have been written before. */
static int system_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                        flagver_sink *sink, flagver_error *err)
{
    struct system *system = data;
    struct row *row;
    size_t i;
    int r;

    (void)sink; /* is for systems that make the keys of what is created */
    pthread_mutex_lock(&system->lock);
    r = is_down(system, err);
    i = place_of(system, call->key);
    row = &system->rows[i];
    if (r == 0 && !has(system, i, call->key)) {
        if (system->count < LIMIT) {
            memmove(row + 1, row, (system->count++ - i) * sizeof *row);
            snprintf(row->key, sizeof row->key, "%s", call->key);
        } else {
            r = err->code = FLAGVER_EIO;
            snprintf(err->message, sizeof err->message, "the %s is full", system->name);
        }
    }
    if (r == 0)
        snprintf(row->city, sizeof row->city, "%.*s", (int)length, (const char *)value);
    pthread_mutex_unlock(&system->lock);
    return r;
}

static int system_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    struct system *system = data;
    size_t i;
    int r;

    pthread_mutex_lock(&system->lock);
    r = is_down(system, err);
    i = place_of(system, call->key);
    if (r == 0 && has(system, i, call->key))
        memmove(&system->rows[i], &system->rows[i + 1],
                (--system->count - i) * sizeof system->rows[0]);
    pthread_mutex_unlock(&system->lock);
    return r;
}

static int system_scan(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                       flagver_sink *sink, flagver_error *err)
{
    struct system *system = data;
    size_t i;
    int r;

    (void)call;
    pthread_mutex_lock(&system->lock);
    r = is_down(system, err);
    i = place_of(system, after);
    if (has(system, i, after))
        i++;
    for (; r == 0 && i < system->count && limit > 0; i++, limit--)
        r = flagver_sink_row(sink, system->rows[i].key, system->rows[i].city,
                             strlen(system->rows[i].city));
    if (r == 0 && i == system->count)
        flagver_sink_end(sink);
    pthread_mutex_unlock(&system->lock);
    return r;
}

static flagver_side side_of(struct system *system)
{
    return (flagver_side){ .size = sizeof(flagver_side),
                           .data = system,
                           .read = system_read,
                           .write = system_write,
                           .remove = system_remove,
                           .scan = system_scan };
}

/* Past the route, as somebody does who knows nothing of the migration. */
static int put_directly(struct system *system, const char *key, const char *city,
                        flagver_error *err)
{
    const flagver_side_call call = { .operation = FLAGVER_ROUTE_WRITE, .key = key };

    return system_write(system, &call, city, strlen(city), NULL, err);
}

static const char *city_in(const struct system *system, const char *key)
{
    size_t i = place_of(system, key);

    return has(system, i, key) ? system->rows[i].city : "nothing";
}

/* ---- the application ---- */

/* When something is not as this program says that it is. */
static int surprised(flagver_error *err, const char *what, const char *key)
{
    err->code = FLAGVER_EINVAL;
    snprintf(err->message, sizeof err->message, "unexpected: %s %s", what, key);
    return err->code;
}

/* What both systems have, and must have. */
static int show(const char *key, const char *in_old, const char *in_new, flagver_error *err)
{
    const char *olds = city_in(&old_system, key), *news = city_in(&new_system, key);

    printf("              %s: the old system has %s, the new one %s\n", key, olds, news);
    if (strcmp(olds, in_old) == 0 && strcmp(news, in_new) == 0)
        return 0;
    return surprised(err, "what the systems have for", key);
}

/* A customer moves. That the other system has not heard of it is no error, but it is told. */
static int move_to(flagver_route *route, const char *key, const char *city, bool *ret_pending,
                   flagver_error *err)
{
    flagver_route_result result = { .size = sizeof result };
    int r = flagver_route_write(route, key, city, strlen(city), NULL, &result, err);

    printf("%-9s %s moves to %s: %s\n", flagver_stage_name(result.stage), key, city,
           r < 0            ? err->message
           : result.pending ? "done, and to be repaired in the other system"
                            : "done");
    *ret_pending = r == 0 && result.pending;
    flagver_route_result_clear(&result);
    return r;
}

/* All customers are looked up, some times. Says how many answers were the new system's. */
static int look_up(flagver_route *route, int times, flagver_error *err)
{
    flagver_route_result result = { .size = sizeof result };
    int reads, from_new = 0, differ = 0, r = 0;
    char key[8];

    for (reads = 0; reads < times * CUSTOMERS && r == 0; reads++) {
        snprintf(key, sizeof key, "c%02d", reads % CUSTOMERS);
        flagver_route_result_clear(&result); /* of the one before */
        r = flagver_route_read(route, key, NULL, &result, err);
        from_new += result.side == FLAGVER_SIDE_NEW;
        differ += result.consistent == 0;
    }
    printf("%-9s %d reads, %d answered by the new system; in %d the two differed\n",
           flagver_stage_name(result.stage), reads, from_new, differ);
    flagver_route_result_clear(&result);
    return r;
}

static int are_equal(void *data, const char *key, const void *old_value, size_t old_length,
                     const void *new_value, size_t new_length)
{
    (void)data;
    (void)key;
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

/* ---- the migration ---- */

static const flagver_actor mia = { .size = sizeof mia, .id = "mia" };

/* Without "gates" those are the library's: 300 reads, of which 99 % agree. */
static int make_migration(void *data, flagver_txn *txn, flagver_error *err)
{
    static const char record[] = "{\"stage\": \"off\"}";

    (void)data;
    return flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, "customers", record, strlen(record),
                               NULL, NULL, err);
}

/*
 * Copies and repairs until nothing is left. A key that has failed is tried again after a pause, so
 * this may take a moment. Services let the route do it: options.background.
 */
static int catch_up(flagver_route *route, flagver_error *err)
{
    const struct timespec pause = { 0, 10000000 };
    flagver_route_progress progress = { .size = sizeof progress };
    uint64_t copied = 0, repaired = 0;
    int rounds, r = 0;

    for (rounds = 0; rounds < 1000 && r == 0; rounds++) {
        r = flagver_route_step(route, 100, &progress, err);
        copied += progress.copied;
        repaired += progress.repaired;
        if (progress.waiting == 0 && progress.copied == 0)
            break;
        nanosleep(&pause, NULL);
    }
    if (r < 0)
        return r;
    printf("%-9s %llu copied, %llu repaired, %llu waiting\n", flagver_stage_name(progress.stage),
           (unsigned long long)copied, (unsigned long long)repaired,
           (unsigned long long)progress.waiting);
    return progress.waiting > 0 ? surprised(err, "keys that wait", "") : 0;
}

static bool print_difference(void *data, const flagver_difference *difference)
{
    const int old_length = (int)difference->old_length, new_length = (int)difference->new_length;

    (void)data;
    printf("              %s differs: old \"%.*s\", new \"%.*s\"\n", difference->key, old_length,
           old_length ? (const char *)difference->old_value : "", new_length,
           new_length ? (const char *)difference->new_value : "");
    return true;
}

/* Compares all records, and gives the new system what the old one has, where they differ. */
static int verify(flagver_route *route, uint64_t expected, flagver_error *err)
{
    const flagver_compare_options options = { .size = sizeof options, .repair = 1 };
    uint64_t compared, differences;
    int r;

    r = flagver_route_verify(route, &options, print_difference, NULL, &compared, &differences, err);
    if (r < 0)
        return r;
    printf("          verified: %llu customers, %llu differ\n", (unsigned long long)compared,
           (unsigned long long)differences);
    return differences == expected ? 0 : surprised(err, "the number of", "differences");
}

/*
 * The gates go by what is in the store. A step brings there what reads have shown, and those count
 * that were made since the first step in their stage.
 */
static int go_to(flagver_route *route, int stage, flagver_error *err)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .percentage = stage == FLAGVER_STAGE_RAMP ? 30 : 0 };
    flagver_route_progress progress = { .size = sizeof progress };
    int r = flagver_route_step(route, 100, &progress, err);

    if (r == 0)
        r = flagver_route_stage(route, &mia, stage, &change, err);
    if (r == 0)
        r = flagver_route_step(route, 100, &progress, err);
    if (r == 0)
        printf("--- %s\n", flagver_stage_name(stage));
    return r;
}

/* ---- the story ---- */

/* What is removed is removed from both, and no copy brings it back. */
static int come_and_go(flagver_route *route, flagver_error *err)
{
    bool pending;
    int r;

    r = move_to(route, "c50", "Paris", &pending, err);
    if (r == 0)
        r = flagver_route_remove(route, "c50", NULL, NULL, err);
    if (r < 0)
        return r;
    printf("          c50 leaves\n");
    return show("c50", "nothing", "nothing", err);
}

/* Either system fails. The one that is believed decides what the caller hears. */
static int failures(flagver_route *route, flagver_error *err)
{
    bool pending;
    int r;

    r = move_to(route, "c01", "Lisbon", &pending, err);
    if (r == 0)
        r = show("c01", "Lisbon", "Lisbon", err);
    if (r < 0)
        return r;

    new_system.down = true;
    r = move_to(route, "c02", "Porto", &pending, err);
    new_system.down = false;
    if (r < 0 || !pending)
        return r < 0 ? r : surprised(err, "nothing is to be repaired of", "c02");
    r = show("c02", "Porto", "Berlin", err);
    if (r == 0)
        r = catch_up(route, err);
    if (r == 0)
        r = show("c02", "Porto", "Porto", err);
    if (r < 0)
        return r;

    old_system.down = true;
    r = move_to(route, "c03", "Faro", &pending, err);
    old_system.down = false;
    if (r != FLAGVER_EUNAVAILABLE)
        return r < 0 ? r : surprised(err, "an acknowledged write of", "c03");
    /* Not acknowledged is not the same as not made: the key is looked at, too. */
    r = catch_up(route, err);
    return r < 0 ? r : show("c03", "Berlin", "Berlin", err);
}

/* Reads of both systems are compared; the caller gets what the old one says. */
static int shadow_reads(flagver_route *route, flagver_error *err)
{
    int r;

    r = put_directly(&new_system, "c07", "Atlantis", err);
    if (r == 0)
        r = look_up(route, 1, err);
    if (r == 0)
        r = verify(route, 1, err);
    if (r == 0)
        r = show("c07", "Berlin", "Berlin", err);
    if (r == 0)
        r = verify(route, 0, err); /* opens the gate to `ramp` */
    return r < 0 ? r : look_up(route, 20, err);
}

/* The new system is believed, and turns out slow: back to where it began, with what was written. */
static int change_of_mind(flagver_route *route, flagver_error *err)
{
    bool pending;
    int r;

    r = move_to(route, "c11", "Madrid", &pending, err);
    if (r == 0)
        r = flagver_route_rollback(route, &mia, "the new system is slow", err);
    if (r < 0)
        return r;
    printf("--- taken back\n");
    r = move_to(route, "c12", "Rome", &pending, err);
    if (r == 0)
        r = show("c11", "Madrid", "Madrid", err);
    return r < 0 ? r : show("c12", "Rome", "Berlin", err);
}

/* What is to be seen in each stage before the next one. */
static int live_through(flagver_route *route, int stage, flagver_error *err)
{
    char key[8];
    bool pending;
    int r;

    snprintf(key, sizeof key, "c2%d", stage);
    r = move_to(route, key, "Vienna", &pending, err);
    if (r == 0 && stage == FLAGVER_STAGE_BACKFILL)
        r = catch_up(route, err);
    if (r == 0 && stage == FLAGVER_STAGE_SHADOW)
        r = look_up(route, 20, err);
    if (r == 0 && stage == FLAGVER_STAGE_RAMP)
        r = look_up(route, 1, err);
    if (r == 0 && (stage == FLAGVER_STAGE_SHADOW || stage == FLAGVER_STAGE_RAMPDOWN))
        r = verify(route, 0, err);
    return r;
}

static int first_try(flagver_route *route, flagver_error *err)
{
    int r;

    r = go_to(route, FLAGVER_STAGE_DUALWRITE, err);
    if (r == 0)
        r = failures(route, err);
    if (r == 0)
        r = come_and_go(route, err);
    if (r == 0)
        r = go_to(route, FLAGVER_STAGE_BACKFILL, err);
    if (r == 0)
        r = catch_up(route, err);
    if (r == 0)
        r = go_to(route, FLAGVER_STAGE_SHADOW, err);
    if (r == 0)
        r = shadow_reads(route, err);
    if (r == 0)
        r = go_to(route, FLAGVER_STAGE_RAMP, err);
    if (r == 0)
        r = look_up(route, 1, err);
    if (r == 0)
        r = go_to(route, FLAGVER_STAGE_LIVE, err);
    return r < 0 ? r : change_of_mind(route, err);
}

static int tell(flagver_route *route, flagver_error *err)
{
    int stage, r = first_try(route, err);

    for (stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_COMPLETE && r == 0; stage++) {
        r = go_to(route, stage, err);
        if (r == 0)
            r = live_through(route, stage, err);
    }
    /* The last write is the new system's alone; all before it are on both. */
    if (r == 0)
        r = show("c12", "Rome", "Rome", err);
    if (r == 0)
        r = show("c27", "Vienna", "Vienna", err);
    return r < 0 ? r : show("c28", "Berlin", "Vienna", err);
}

int main(void)
{
    flagver_route_options options = { .size = sizeof options,
                                      .old_side = side_of(&old_system),
                                      .new_side = side_of(&new_system),
                                      .compare = are_equal };
    flagver_client *client = NULL;
    flagver_route *route = NULL;
    flagver_error err;
    char key[8];
    int i, r;

    /* In a service "sqlite:…" or "postgresql:…": this one is gone when the program ends. */
    r = flagver_open("memory:", NULL, &client, &err);
    if (r == 0)
        r = flagver_txn_run(client, &mia, NULL, make_migration, NULL, &err);
    for (i = 0; i < CUSTOMERS && r == 0; i++) {
        snprintf(key, sizeof key, "c%02d", i);
        r = put_directly(&old_system, key, "Berlin", &err);
    }
    if (r == 0)
        r = flagver_route_open(client, "customers", &options, &route, &err);
    if (r == 0)
        r = tell(route, &err);
    if (r < 0)
        fprintf(stderr, "dual_write: %s\n", err.message);
    if (flagver_route_close(route, 1000, &err) < 0) {
        fprintf(stderr, "dual_write: %s\n", err.message);
        return 1; /* a worker is still inside of a side, and may need the client */
    }
    flagver_close(client);
    return r < 0;
}
