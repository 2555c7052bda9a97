/*
 * A service moves its records from one directory of files into another one while it reads and
 * writes them.
 *
 *     cc directories.c -o directories $(pkg-config --cflags --libs flagver)
 *     ./directories
 *     ./directories sqlite:flagver.db users old new
 *
 * The first makes a directory `old` with 200 users, takes the migration through all its stages and
 * ends. The second is the service alone: it goes on until it is interrupted, and `flagver route …`
 * says how it goes on: docs/runbook.md.
 *
 * Neither directory knows transactions, so both sides are detached: a write is noted in the store
 * before it is made, and what was lost is repaired.
 */
#define _POSIX_C_SOURCE 200809L

#include <flagver.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define USERS 200
#define VALUE_LIMIT 4096
#define PATH_SIZE 512

static volatile sig_atomic_t interrupted;
static atomic_uint temporaries;

/* ---- a side ---- */

static int fail(flagver_error *err, const char *what, const char *name)
{
    err->code = FLAGVER_EIO;
    snprintf(err->message, sizeof err->message, "%s %s: %s", what, name, strerror(errno));
    return err->code;
}

static void path_of(const char *directory, const char *key, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", directory, key);
}

/* The length, or FLAGVER_ENOTFOUND. */
static long read_file(const char *directory, const char *key, char value[VALUE_LIMIT],
                      flagver_error *err)
{
    char path[PATH_SIZE];
    size_t length;
    FILE *file;

    path_of(directory, key, path);
    file = fopen(path, "rb");
    if (!file && errno == ENOENT)
        return FLAGVER_ENOTFOUND;
    if (!file)
        return fail(err, "read", path);
    length = fread(value, 1, VALUE_LIMIT, file);
    fclose(file);
    return (long)length;
}

static int side_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    char value[VALUE_LIMIT];
    long length = read_file(data, call->key, value, err);

    return length < 0 ? (int)length : flagver_sink_value(sink, value, (size_t)length);
}

/* All or nothing, and twice is once: the file is written beside its place and moved there. */
static int side_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                      flagver_sink *sink, flagver_error *err)
{
    char path[PATH_SIZE], temporary[PATH_SIZE];
    bool whole;
    FILE *file;

    (void)sink; /* is for systems that make the keys of what is created */
    path_of(data, call->key, path);
    snprintf(temporary, sizeof temporary, "%s/.%ld.%u", (const char *)data, (long)getpid(),
             atomic_fetch_add(&temporaries, 1));
    file = fopen(temporary, "wb");
    if (!file)
        return fail(err, "write", temporary);
    whole = fwrite(value, 1, length, file) == length;
    whole = fclose(file) == 0 && whole;
    if (whole && rename(temporary, path) == 0)
        return 0;
    fail(err, "write", path);
    unlink(temporary);
    return err->code;
}

static int side_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    char path[PATH_SIZE];

    path_of(data, call->key, path);
    return unlink(path) == 0 || errno == ENOENT ? 0 : fail(err, "remove", path);
}

static int is_record(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int in_byte_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* One record of a scan; one that is gone meanwhile is none. */
static int hand_over(const char *directory, const char *key, flagver_sink *sink, flagver_error *err)
{
    char value[VALUE_LIMIT];
    long length = read_file(directory, key, value, err);

    if (length == FLAGVER_ENOTFOUND)
        return 0;
    return length < 0 ? (int)length : flagver_sink_row(sink, key, value, (size_t)length);
}

static int side_scan(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                     flagver_sink *sink, flagver_error *err)
{
    struct dirent **entries;
    int count = scandir(data, &entries, is_record, in_byte_order), i, r = 0;

    (void)call;
    if (count < 0)
        return fail(err, "scan", data);
    for (i = 0; i < count && limit && r == 0; i++) {
        if (strcmp(entries[i]->d_name, after) <= 0)
            continue;
        r = hand_over(data, entries[i]->d_name, sink, err);
        limit--;
    }
    if (r == 0 && i == count)
        flagver_sink_end(sink);
    for (i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return r;
}

static flagver_side side_in(const char *directory)
{
    return (flagver_side){ .size = sizeof(flagver_side),
                           .data = (void *)(uintptr_t)directory,
                           .read = side_read,
                           .write = side_write,
                           .remove = side_remove,
                           .scan = side_scan };
}

/* ---- the route ---- */

static int compare(void *data, const char *key, const void *old_value, size_t old_length,
                   const void *new_value, size_t new_length)
{
    (void)data;
    (void)key;
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

static void tell_alert(void *data, const flagver_route_alert *alert)
{
    (void)data;
    printf("guard %s: %g, limit %g; %s\n", alert->guard, alert->value, alert->limit,
           alert->acted ? "reads were taken back" : "somebody has to act");
}

static int open_route(flagver_client *client, const char *migration, const char *old_directory,
                      const char *new_directory, flagver_route **ret_route, flagver_error *err)
{
    const flagver_route_options options = { .size = sizeof options,
                                            .old_side = side_in(old_directory),
                                            .new_side = side_in(new_directory),
                                            .compare = compare,
                                            .alert = tell_alert,
                                            .background = 1 };

    return flagver_route_open(client, migration, &options, ret_route, err);
}

/* ---- what the service does ---- */

static bool print_difference(void *data, const flagver_difference *difference)
{
    static const char *const kinds[] = { "", "missing in new", "extra in new", "value" };

    (void)data;
    printf("difference: %s: %s\n", difference->key, kinds[difference->kind]);
    return true;
}

/* Compares all records where that has not been done yet, and repairs what differs. */
static int look_over(flagver_route *route, flagver_error *err)
{
    const flagver_compare_options options = { .size = sizeof options, .repair = 1 };
    uint64_t compared, differences;
    bool due;
    char *json;
    int r;

    r = flagver_route_status(route, &json, err);
    if (r < 0)
        return r;
    due = strstr(json, "\"copied\":true") && strstr(json, "\"verified\":false");
    flagver_string_free(json);
    if (!due)
        return 0;
    r = flagver_route_verify(route, &options, print_difference, NULL, &compared, &differences, err);
    if (r == 0)
        printf("verified: %llu records, %llu differ\n", (unsigned long long)compared,
               (unsigned long long)differences);
    return r;
}

/* One request: mostly a read, now and then a write. */
static int serve_one(flagver_route *route, flagver_error *err)
{
    flagver_route_result result = { .size = sizeof result };
    char key[16], value[32];
    int length, r;

    snprintf(key, sizeof key, "user%03d", 1 + rand() % USERS);
    if (rand() % 10 > 0) {
        r = flagver_route_read(route, key, NULL, &result, err);
        if (r == FLAGVER_ENOTFOUND)
            r = 0;
    } else {
        length = snprintf(value, sizeof value, "visit %d\n", rand());
        r = flagver_route_write(route, key, value, (size_t)length, NULL, &result, err);
    }
    flagver_route_result_clear(&result);
    return r;
}

/* Requests come, and some fail: that is said, and the next one may do better. */
static void serve(flagver_route *route, int requests)
{
    const struct timespec pause = { 0, 1000000 };
    flagver_error err;

    while (requests-- > 0 && !interrupted) {
        if (serve_one(route, &err) < 0)
            printf("%s\n", err.message);
        nanosleep(&pause, NULL);
    }
    if (look_over(route, &err) < 0)
        printf("%s\n", err.message);
    fflush(stdout);
}

/* ---- all by itself ---- */

static int make_migration(void *data, flagver_txn *txn, flagver_error *err)
{
    static const char record[] = "{\"stage\": \"off\", \"gates\": {\"samples\": 100, "
                                 "\"match_rate\": 90}}";
    flagver_version *version;
    int r;

    (void)data;
    r = flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, "users", record, sizeof record - 1, NULL,
                            &version, err);
    if (r == 0)
        flagver_version_free(version);
    return r;
}

/* As files that were there before the service knew of migrations. */
static int make_users(const char *directory, flagver_error *err)
{
    flagver_side_call call = { .operation = FLAGVER_ROUTE_WRITE, .operation_id = "" };
    char key[16];
    int i, r = 0;

    for (i = 1; i <= USERS && r == 0; i++) {
        snprintf(key, sizeof key, "user%03d", i);
        call.key = key;
        r = side_write((void *)(uintptr_t)directory, &call, "new here\n", 9, NULL, err);
    }
    return r;
}

/* Gates open when there has been enough to see, so it is asked again after some more requests. */
static int advance(flagver_route *route, const flagver_actor *actor, int stage, flagver_error *err)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .percentage = stage == FLAGVER_STAGE_RAMP ? 50 : 0 };
    int tries, r = FLAGVER_ESTATE;

    for (tries = 0; tries < 200 && (r == FLAGVER_ESTATE || r == FLAGVER_EBUSY); tries++) {
        serve(route, 50);
        r = flagver_route_stage(route, actor, stage, &change, err);
    }
    if (r == 0)
        printf("stage: %s\n", flagver_stage_name(stage));
    return r;
}

static int migrate(flagver_route *route, const flagver_actor *actor, flagver_error *err)
{
    int stage, r = 0;

    for (stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_COMPLETE && r == 0; stage++)
        r = advance(route, actor, stage, err);
    return r;
}

static int demonstrate(flagver_client *client, flagver_error *err)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "directories" };
    flagver_route *route = NULL;
    int r = 0;

    if (mkdir("old", 0777) < 0 || mkdir("new", 0777) < 0)
        r = fail(err, "make", "old and new");
    if (r == 0)
        r = make_users("old", err);
    if (r == 0)
        r = flagver_txn_run(client, &actor, NULL, make_migration, NULL, err);
    if (r == 0)
        r = open_route(client, "users", "old", "new", &route, err);
    if (r == 0)
        r = migrate(route, &actor, err);
    flagver_route_close(route, 1000, NULL);
    return r;
}

/* ---- alone ---- */

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static int run_service(flagver_client *client, char **names, flagver_error *err)
{
    const struct sigaction action = { .sa_handler = interrupt };
    flagver_route *route;
    int r;

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    r = open_route(client, names[0], names[1], names[2], &route, err);
    if (r < 0)
        return r;
    while (!interrupted)
        serve(route, 100);
    return flagver_route_close(route, 5000, err);
}

int main(int argc, char **argv)
{
    flagver_client *client;
    flagver_error err;
    int r;

    if (argc != 1 && argc != 5) {
        fprintf(stderr, "usage: directories [STORE MIGRATION OLD NEW]\n");
        return 2;
    }
    r = flagver_open(argc == 5 ? argv[1] : "sqlite:directories.db", NULL, &client, &err);
    if (r == 0) {
        r = argc == 5 ? run_service(client, argv + 2, &err) : demonstrate(client, &err);
        flagver_close(client);
    }
    if (r < 0)
        fprintf(stderr, "directories: %s\n", err.message);
    return r < 0;
}
