/* Routes at stage off: what a read and a write cost over calling the side's function oneself. */
#define _POSIX_C_SOURCE 200809L

#include <flagver.h>

#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "report.h"

#define KEYS 1024u
#define CALLS 20000u
#define MIGRATION "users"

/* ------------------------------------------------------------------------
 * A side, and the same without a route
 */

struct cell {
    char key[16], value[48];
};

/* The row of a key, "k" and its number. */
static struct cell *find(struct cell *cells, const char *key)
{
    return &cells[(unsigned)strtoul(key + 1, NULL, 10) % KEYS];
}

static int read_side(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    const struct cell *cell = find(data, call->key);

    (void)err;
    return flagver_sink_value(sink, cell->value, sizeof cell->value);
}

static int write_side(void *data, const flagver_side_call *call, const void *value, size_t length,
                      flagver_sink *sink, flagver_error *err)
{
    struct cell *cell = find(data, call->key);

    (void)sink;
    (void)err;
    memcpy(cell->value, value, length < sizeof cell->value ? length : sizeof cell->value);
    return 0;
}

/* As a caller would have it without a route: a value of one's own, behind a pointer. */
static int read_bare(void *data, const char *key, char **ret_value, size_t *ret_length)
{
    const struct cell *cell = find(data, key);
    char *value = malloc(sizeof cell->value + 1);

    if (!value)
        return FLAGVER_ENOMEM;
    memcpy(value, cell->value, sizeof cell->value);
    value[sizeof cell->value] = '\0';
    *ret_value = value;
    *ret_length = sizeof cell->value;
    return 0;
}

static int write_bare(void *data, const char *key, const void *value, size_t length)
{
    struct cell *cell = find(data, key);

    memcpy(cell->value, value, length < sizeof cell->value ? length : sizeof cell->value);
    return 0;
}

static int (*volatile bare_reader)(void *data, const char *key, char **ret_value,
                                   size_t *ret_length) = read_bare;
static int (*volatile bare_writer)(void *data, const char *key, const void *value,
                                   size_t length) = write_bare;

/* ------------------------------------------------------------------------
 * Rounds
 */

struct routing {
    flagver_client *client;
    flagver_route *route;
    struct cell cells[2][KEYS];
    char keys[KEYS][16];
};

static void read_by_route(void *data)
{
    struct routing *routing = data;
    flagver_route_result result = { .size = sizeof result };
    flagver_error err;

    for (unsigned i = 0; i < CALLS; i++) {
        bench_must(flagver_route_read(routing->route, routing->keys[i % KEYS], NULL, &result, &err),
                   err.message);
        bench_sink += result.length;
        flagver_route_result_clear(&result);
    }
}

static void read_by_hand(void *data)
{
    struct routing *routing = data;
    size_t length = 0;
    char *value;

    for (unsigned i = 0; i < CALLS; i++) {
        bench_must(bare_reader(routing->cells[0], routing->keys[i % KEYS], &value, &length), "");
        bench_sink += length;
        free(value);
    }
}

static void write_by_route(void *data)
{
    struct routing *routing = data;
    flagver_error err;

    for (unsigned i = 0; i < CALLS; i++)
        bench_must(flagver_route_write(routing->route, routing->keys[i % KEYS],
                                       "the value of a record", 21, NULL, NULL, &err),
                   err.message);
}

static void write_by_hand(void *data)
{
    struct routing *routing = data;

    for (unsigned i = 0; i < CALLS; i++)
        bench_must(
            bare_writer(routing->cells[0], routing->keys[i % KEYS], "the value of a record", 21),
            "");
}

/* ------------------------------------------------------------------------
 * By a flag, and by a migration
 */

static void serve_off(flagver_client *client)
{
    static const char json[] = "{\"flags\":{\"" MIGRATION "\":{\"type\":\"string\","
                               "\"variants\":{\"off\":\"off\"},\"default\":\"off\"}}}";
    flagver_error err;

    bench_must(flagver_client_load(client, json, sizeof json - 1, &err), err.message);
}

static void put_migration(flagver_client *client)
{
    static const char json[] = "{\"stage\":\"off\"}";
    const flagver_actor actor = { .size = sizeof actor, .id = "bench" };
    flagver_txn *txn = NULL;
    flagver_error err;

    bench_must(flagver_txn_begin(client, &actor, NULL, &txn, &err), err.message);
    bench_must(flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, MIGRATION, json, sizeof json - 1,
                                   NULL, NULL, &err),
               err.message);
    bench_must(flagver_txn_commit(txn, &err), err.message);
    flagver_txn_free(txn);
}

static struct routing *routing_new(bool by_flag)
{
    const flagver_options quiet = { .size = sizeof quiet, .no_environment = 1 };
    struct routing *routing = bench_allocate(1, sizeof *routing);
    flagver_route_options options = { .size = sizeof options };
    flagver_side *const sides[2] = { &options.old_side, &options.new_side };
    flagver_error err;

    for (unsigned i = 0; i < KEYS; i++) {
        unsigned number = i * 7919 % KEYS;

        routing->keys[i][0] = 'k';
        for (int digit = 4; digit > 0; digit--, number /= 10)
            routing->keys[i][digit] = (char)('0' + number % 10);
    }
    for (int side = 0; side < 2; side++)
        *sides[side] = (flagver_side){ .size = sizeof(flagver_side),
                                       .data = routing->cells[side],
                                       .read = read_side,
                                       .write = write_side };
    bench_must(flagver_open(by_flag ? "definitions:" : "memory:", &quiet, &routing->client, &err),
               err.message);
    if (by_flag) {
        serve_off(routing->client);
        options.flag = MIGRATION;
    } else {
        put_migration(routing->client);
    }
    bench_must(flagver_route_open(routing->client, by_flag ? NULL : MIGRATION, &options,
                                  &routing->route, &err),
               err.message);
    return routing;
}

static void routing_free(struct routing *routing)
{
    flagver_error err;

    bench_must(flagver_route_close(routing->route, 0, &err), err.message);
    flagver_close(routing->client);
    free(routing);
}

static void measure(const struct bench_options *options, const char *id, const char *what,
                    const char *how, struct routing *routing, void (*library)(void *data),
                    void (*bare)(void *data))
{
    const struct bench_task ours = { library, routing }, theirs = { bare, routing };
    struct row row = { .id = id, .what = what, .how = how, .unit = "ns", .asked = 200 };

    bench_turns(&ours, &theirs, options->rounds, CALLS, &row.library, &row.other);
    row.result = row.library.median - row.other.median;
    report_row(options->report, &row);
}

void bench_route(const struct bench_options *options)
{
    static const char *const ways[] = { "by a flag", "by a migration" };

    report_group(options->report, "Routes at stage off, in ns a call", "bare callback", "over it");
    for (int by_flag = 1; by_flag >= 0; by_flag--) {
        struct routing *routing = routing_new(by_flag);

        measure(options, "R1", "read", ways[!by_flag], routing, read_by_route, read_by_hand);
        measure(options, "R2", "write", ways[!by_flag], routing, write_by_route, write_by_hand);
        routing_free(routing);
    }
}
