/*
 * Sides of routes that do as they are told and write down what they were asked.
 */
#ifndef FLAGVER_TESTS_SPIES_H
#define FLAGVER_TESTS_SPIES_H

#include <pthread.h>
#include <stdatomic.h>

#include "flags.h"
#include "flagver/route.h"

#define CALLS 256

/* What was asked, in order; texts are cut. */
struct spied {
    int side, operation;
    bool has_key;
    char key[256], payload[64], value[64], id[256];
    size_t payload_length, length;
    bool has_deadline;
};

/* What a side does. `gives` NULL: nothing is handed over. */
struct spy {
    const char *gives;
    const char *makes; /* the key of what is created */
    int returns;
    const char *words; /* of an error */
    void (*first)(int side);
};

static pthread_mutex_t spies_lock = PTHREAD_MUTEX_INITIALIZER;
static struct spied spied[CALLS];
static int spied_count;
static struct spy spies[2];
static int spy_numbers[2] = { FLAGVER_SIDE_OLD, FLAGVER_SIDE_NEW };

static inline void spies_reset(void)
{
    spied_count = 0;
    memset(spied, 0, sizeof spied);
    spies[FLAGVER_SIDE_OLD] = (struct spy){ .gives = "of old", .makes = "made by old" };
    spies[FLAGVER_SIDE_NEW] = (struct spy){ .gives = "of new", .makes = "made by new" };
}

static inline void spy_note(int side, const flagver_side_call *call, const void *value,
                            size_t length)
{
    struct spied *note;

    pthread_mutex_lock(&spies_lock);
    if (spied_count < CALLS) {
        note = &spied[spied_count++];
        note->side = side;
        note->operation = call->operation;
        note->has_key = call->key != NULL;
        snprintf(note->key, sizeof note->key, "%s", call->key ? call->key : "");
        snprintf(note->id, sizeof note->id, "%s", call->operation_id);
        snprintf(note->payload, sizeof note->payload, "%.*s",
                 (int)(call->payload_length < 60 ? call->payload_length : 60),
                 call->payload ? (const char *)call->payload : "");
        snprintf(note->value, sizeof note->value, "%.*s", (int)(length < 60 ? length : 60),
                 value ? (const char *)value : "");
        note->payload_length = call->payload_length;
        note->length = length;
        note->has_deadline = call->deadline != 0;
    }
    pthread_mutex_unlock(&spies_lock);
    if (spies[side].first)
        spies[side].first(side);
}

static inline int spy_end(int side, flagver_error *err)
{
    const struct spy *spy = &spies[side];

    if (spy->returns != 0 && spy->words) {
        err->code = spy->returns;
        snprintf(err->message, sizeof err->message, "%s", spy->words);
    }
    return spy->returns;
}

static inline int spy_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                           flagver_error *err)
{
    int side = *(const int *)data;

    spy_note(side, call, NULL, 0);
    if (spies[side].gives)
        flagver_sink_value(sink, spies[side].gives, strlen(spies[side].gives));
    return spy_end(side, err);
}

static inline int spy_write(void *data, const flagver_side_call *call, const void *value,
                            size_t length, flagver_sink *sink, flagver_error *err)
{
    int side = *(const int *)data;

    spy_note(side, call, value, length);
    if (!call->key && spies[side].makes)
        flagver_sink_key(sink, spies[side].makes);
    return spy_end(side, err);
}

static inline int spy_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    int side = *(const int *)data;

    spy_note(side, call, NULL, 0);
    return spy_end(side, err);
}

static inline flagver_side spy_side(int side)
{
    return (flagver_side){ .size = sizeof(flagver_side),
                           .data = &spy_numbers[side],
                           .read = spy_read,
                           .write = spy_write,
                           .remove = spy_remove };
}

/* "old", "new old" and so on: who was asked, in order. */
static inline const char *who_was_asked(void)
{
    static char words[CALLS * 4 + 1];
    size_t length = 0;

    words[0] = '\0';
    for (int i = 0; i < spied_count; i++)
        length += (size_t)snprintf(words + length, sizeof words - length, "%s%s", i ? " " : "",
                                   spied[i].side == FLAGVER_SIDE_OLD ? "old" : "new");
    return words;
}

/* How often a side was asked. */
static inline int times_asked(int side)
{
    int times = 0;

    for (int i = 0; i < spied_count; i++)
        times += spied[i].side == side;
    return times;
}

/* ---- routes by the flag "move" ---- */

/* Serves a stage to everybody; `metadata` is an object, or NULL. */
static inline void serve_stage(flagver_client *client, const char *stage, const char *metadata)
{
    char json[512];

    snprintf(json, sizeof json,
             "{'flags': {'move': {'type': 'string', 'variants': {'v': '%s'}, 'default': 'v'%s%s}}}",
             stage, metadata ? ", 'metadata': " : "", metadata ? metadata : "");
    assert_ok(load_into(client, json));
}

static inline flagver_route *open_spied(flagver_client *client, flagver_route_options options)
{
    flagver_route *route = NULL;

    options.size = sizeof options;
    if (!options.flag)
        options.flag = "move";
    options.old_side = spy_side(FLAGVER_SIDE_OLD);
    options.new_side = spy_side(FLAGVER_SIDE_NEW);
    assert_ok(flagver_route_open(client, NULL, &options, &route, &error));
    return route;
}

static inline void close_spied(flagver_route *route)
{
    assert_ok(flagver_route_close(route, 10000, &error));
}

#endif
