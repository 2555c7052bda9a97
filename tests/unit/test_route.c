/*
 * Routes by a flag, as tables: what each stage asks of which side, in each order, what is answered, and
 * what is told of it. The groups are those that LaunchDarkly's migrators are held to, and each is run in
 * all orders.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <jansson.h>
#include <sys/mman.h>
#include <time.h>

#include "spies.h"
#include "stores.h"

#define OLD FLAGVER_SIDE_OLD
#define NEW FLAGVER_SIDE_NEW

/* ---- what each stage comes to ---- */

static const struct expected {
    int stage;
    const char *name;
    const char *reads;  /* in serial order */
    const char *writes; /* the authority first */
    int answers;        /* whose read counts */
    int variation;      /* -1: none of the six */
} stages[] = {
    { FLAGVER_STAGE_OFF, "off", "old", "old", OLD, 0 },
    { FLAGVER_STAGE_DUALWRITE, "dualwrite", "old", "old new", OLD, 1 },
    { FLAGVER_STAGE_SHADOW, "shadow", "old new", "old new", OLD, 2 },
    { FLAGVER_STAGE_LIVE, "live", "new old", "new old", NEW, 3 },
    { FLAGVER_STAGE_RAMPDOWN, "rampdown", "new", "new old", NEW, 4 },
    { FLAGVER_STAGE_COMPLETE, "complete", "new", "new", NEW, 5 },
    { FLAGVER_STAGE_BACKFILL, "backfill", "old", "old new", OLD, -1 },
};
#define STAGES COUNT(stages)

static const struct {
    const char *name;
    int order, workers;
} orders[] = { { "serial", FLAGVER_ORDER_SERIAL, 0 },
               { "random", FLAGVER_ORDER_RANDOM, 0 },
               { "concurrent", FLAGVER_ORDER_CONCURRENT, 2 } };
#define ORDERS COUNT(orders)

static const int operations[] = { FLAGVER_ROUTE_READ, FLAGVER_ROUTE_WRITE, FLAGVER_ROUTE_REMOVE };
#define OPERATIONS COUNT(operations)

/* Leaf cases, of all tests; shared with the processes that they run in. */
static int *leaves;

static bool both(const char *calls)
{
    return strchr(calls, ' ') != NULL;
}

static bool first_is(const char *calls, int side)
{
    return strncmp(calls, side == OLD ? "old" : "new", 3) == 0;
}

/* ---- one operation ---- */

static flagver_client *client;
static flagver_route *route;
static flagver_route_result result;
static flagver_error failure;
static flagver_context *context;

static int events;
static flagver_route_event event;
static char event_key[300];
static char *event_json;
static int event_code;

static void keep_event(void *data, const flagver_route_event *told)
{
    (void)data;
    events++;
    event = *told;
    snprintf(event_key, sizeof event_key, "%s", told->key ? told->key : "-");
    flagver_string_free(event_json);
    event_json = NULL;
    event_code = flagver_route_event_json(told, &event_json, NULL);
}

static int compare_bytes(void *data, const char *key, const void *old_value, size_t old_length,
                         const void *new_value, size_t new_length)
{
    (void)data;
    ck_assert_str_eq(key, "k");
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

static void arrange(int order, const char *stage, const char *metadata,
                    flagver_route_options options)
{
    spies_reset();
    events = 0;
    client = client_of("{'flags': {}}", NULL);
    if (stage)
        serve_stage(client, stage, metadata);
    options.order = orders[order].order;
    options.workers = orders[order].workers;
    options.event = keep_event;
    options.shadow_timeout_ms = -1;
    route = open_spied(client, options);
    context = flagver_context_new("u1");
}

static void leave(void)
{
    flagver_route_result_clear(&result);
    flagver_context_free(context);
    close_spied(route);
    flagver_close(client);
    flagver_string_free(event_json);
    event_json = NULL;
    ++*leaves;
}

static int operate_on(int operation, const char *key)
{
    const flagver_route_call call = { .size = sizeof call,
                                      .context = context,
                                      .payload = operation == FLAGVER_ROUTE_READ ? "asked" : NULL,
                                      .payload_length = operation == FLAGVER_ROUTE_READ ? 5 : 0 };

    result = (flagver_route_result){ .size = sizeof result };
    failure = (flagver_error){ 0 };
    if (operation == FLAGVER_ROUTE_READ)
        return flagver_route_read(route, key, &call, &result, &failure);
    if (operation == FLAGVER_ROUTE_REMOVE)
        return flagver_route_remove(route, key, &call, &result, &failure);
    return flagver_route_write(route, key, "written", 7, &call, &result, &failure);
}

static int operate(int operation)
{
    return operate_on(operation, "k");
}

static const char *calls_of(const struct expected *stage, int operation)
{
    return operation == FLAGVER_ROUTE_READ ? stage->reads : stage->writes;
}

/* Reads of both sides may come in any order where the order is not serial. */
static void assert_asked(const char *calls, bool in_order)
{
    int sides = both(calls) ? 2 : 1;

    ck_assert_int_eq(spied_count, sides);
    if (in_order)
        ck_assert_str_eq(who_was_asked(), calls);
    for (int side = OLD; side <= NEW; side++)
        ck_assert_int_eq(times_asked(side), both(calls) || first_is(calls, side));
}

#define EACH_STAGE(s) for (int s = 0; s < STAGES; s++)
#define EACH_OPERATION(o) for (int o = 0; o < OPERATIONS; o++)

/* ---- events ---- */

struct told {
    const char *stage, *otherwise; /* names */
    int variation;                 /* -1: none */
    int64_t version;               /* 0: none */
    const char *reason, *error;    /* NULL: none */
    const char *invoked;           /* "old", "old new" */
    int consistent;                /* -1: no such measurement */
    int check_ratio, sampling_ratio;
    int failed; /* bits: by side */
};

static json_t *sides_json(bool old_too, bool new_too)
{
    json_t *values = json_object();

    if (old_too)
        json_object_set_new(values, "old", json_true());
    if (new_too)
        json_object_set_new(values, "new", json_true());
    return values;
}

static void add_measure(json_t *measurements, const char *key, json_t *values)
{
    json_array_append_new(measurements, json_pack("{s:s, s:o}", "key", key, "values", values));
}

/* Latencies are told in whole milliseconds, which are taken out here: each side's, and no other's. */
static void take_latencies(json_t *measurements, bool old_too, bool new_too)
{
    json_t *measure, *latency;
    const char *side;
    size_t i, found = 0;

    json_array_foreach(measurements, i, measure)
    {
        if (strcmp(json_string_value(json_object_get(measure, "key")), "latency_ms") != 0)
            continue;
        json_object_foreach(json_object_get(measure, "values"), side, latency)
        {
            ck_assert(json_is_integer(latency) && json_integer_value(latency) >= 0);
            ck_assert(strcmp(side, "old") == 0 ? old_too : new_too);
            found++;
        }
        json_array_remove(measurements, i);
        break;
    }
    ck_assert_uint_eq(found, (size_t)old_too + (size_t)new_too);
}

static void assert_event(const struct told *told, int operation)
{
    bool old_too = both(told->invoked) || first_is(told->invoked, OLD);
    bool new_too = both(told->invoked) || first_is(told->invoked, NEW);
    json_t *measurements = json_array(), *evaluation, *expected, *found;
    char *text;

    ck_assert_int_eq(events, 1);
    ck_assert_int_eq(event_code, 0);
    found = json_loads(event_json, 0, NULL);
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(json_integer_value(json_object_get(found, "creationDate")), event.time);
    json_object_del(found, "creationDate");
    take_latencies(json_object_get(found, "measurements"), old_too, new_too);

    add_measure(measurements, "invoked", sides_json(old_too, new_too));
    if (told->consistent >= 0)
        json_array_append_new(measurements,
                              json_pack("{s:s, s:b, s:i}", "key", "consistent", "value",
                                        told->consistent, "samplingRatio", told->check_ratio));
    if (told->failed)
        add_measure(measurements, "error", sides_json(told->failed & 1, told->failed & 2));
    evaluation = json_pack("{s:s, s:s, s:s, s:{s:s}}", "key", "move", "value", told->stage,
                           "default", told->otherwise, "reason", "kind", told->reason);
    if (told->error)
        json_object_set_new(json_object_get(evaluation, "reason"), "errorKind",
                            json_string(told->error));
    if (told->variation >= 0)
        json_object_set_new(evaluation, "variation", json_integer(told->variation));
    if (told->version)
        json_object_set_new(evaluation, "version", json_integer(told->version));
    expected = json_pack("{s:s, s:s, s:{s:s}, s:o, s:o}", "kind", "migration_op", "operation",
                         operation == FLAGVER_ROUTE_READ ? "read" : "write", "contextKeys", "user",
                         "u1", "evaluation", evaluation, "measurements", measurements);
    if (told->sampling_ratio != 1)
        json_object_set_new(expected, "samplingRatio", json_integer(told->sampling_ratio));

    text = json_dumps(expected, JSON_SORT_KEYS);
    ck_assert_msg(json_equal(found, expected), "%s is not %s", event_json, text);
    free(text);
    json_decref(found);
    json_decref(expected);
}

/* What is told of an operation by a flag that serves the stage. */
static struct told told_of(const struct expected *stage, int operation)
{
    return (struct told){ .stage = stage->name,
                          .otherwise = "off",
                          .variation = stage->variation,
                          .reason = "FALLTHROUGH",
                          .invoked = calls_of(stage, operation),
                          .consistent = -1,
                          .check_ratio = 1,
                          .sampling_ratio = 1 };
}

/* ---- 1: the stage comes from the flag ---- */

START_TEST(the_flag_says_the_stage_to_each_context_its_own)
{
    char json[1024], user[32];
    size_t length;

    EACH_STAGE(s)
    {
        arrange(_i, NULL, NULL, (flagver_route_options){ 0 });
        length = (size_t)snprintf(json, sizeof json,
                                  "{'flags': {'move': {'type': 'string', 'default': 'off', "
                                  "'variants': {");
        EACH_STAGE(t)
        length += (size_t)snprintf(json + length, sizeof json - length, "%s'%s': '%s'",
                                   t ? ", " : "", stages[t].name, stages[t].name);
        length += (size_t)snprintf(json + length, sizeof json - length, "}, 'targets': {");
        EACH_STAGE(t)
        length += (size_t)snprintf(json + length, sizeof json - length, "%s'%s': ['in-%s']",
                                   t ? ", " : "", stages[t].name, stages[t].name);
        snprintf(json + length, sizeof json - length, "}}}}");
        assert_ok(load_into(client, json));
        snprintf(user, sizeof user, "in-%s", stages[s].name);
        flagver_context_reset(context, user);
        assert_ok(operate(FLAGVER_ROUTE_READ));
        ck_assert_int_eq(result.stage, stages[s].stage);
        ck_assert_int_eq(event.stage, stages[s].stage);
        ck_assert_int_eq(event.reason, FLAGVER_REASON_TARGETING_MATCH);
        leave();
    }
}
END_TEST

/* ---- 2: reads ---- */

START_TEST(reads_ask_the_sides_of_the_stage_and_answer_what_one_of_them_has)
{
    EACH_STAGE(s)
    {
        arrange(_i, stages[s].name, NULL, (flagver_route_options){ 0 });
        assert_ok(operate(FLAGVER_ROUTE_READ));
        assert_asked(stages[s].reads, orders[_i].order == FLAGVER_ORDER_SERIAL);
        ck_assert_int_eq(result.stage, stages[s].stage);
        ck_assert_int_eq(result.side, stages[s].answers);
        ck_assert_str_eq(result.value, stages[s].answers == OLD ? "of old" : "of new");
        ck_assert_uint_eq(result.length, 6);
        ck_assert(!result.pending && !result.key);
        leave();
    }
}
END_TEST

/* ---- 3: payloads ---- */

START_TEST(what_the_caller_passes_reaches_each_side_that_is_asked)
{
    EACH_STAGE(s) EACH_OPERATION(o)
    {
        bool reads = operations[o] == FLAGVER_ROUTE_READ;

        arrange(_i, stages[s].name, NULL, (flagver_route_options){ 0 });
        assert_ok(operate(operations[o]));
        assert_asked(calls_of(&stages[s], operations[o]), false);
        for (int i = 0; i < spied_count; i++) {
            ck_assert_int_eq(spied[i].operation, operations[o]);
            ck_assert_str_eq(spied[i].key, "k");
            ck_assert_str_eq(spied[i].payload, reads ? "asked" : "");
            ck_assert_str_eq(spied[i].value, operations[o] == FLAGVER_ROUTE_WRITE ? "written" : "");
            ck_assert(reads ? spied[i].id[0] == '\0' : spied[i].id[0] != '\0');
            ck_assert_str_eq(spied[i].id, spied[0].id);
        }
        leave();
    }
}
END_TEST

/* ---- 4: the order of writes ---- */

START_TEST(writes_ask_the_authority_first_and_answer_what_it_says)
{
    EACH_STAGE(s) for (int o = 1; o < OPERATIONS; o++)
    {
        arrange(_i, stages[s].name, NULL, (flagver_route_options){ 0 });
        assert_ok(operate(operations[o]));
        assert_asked(stages[s].writes, true);
        ck_assert_int_eq(result.stage, stages[s].stage);
        ck_assert_int_eq(result.side, stages[s].answers);
        ck_assert_ptr_null(result.value);
        ck_assert_int_eq(result.consistent, -1);
        leave();
    }
}
END_TEST

START_TEST(the_authority_makes_the_key_of_a_creation)
{
    EACH_STAGE(s)
    {
        const char *key = stages[s].answers == OLD ? "made by old" : "made by new";

        arrange(_i, stages[s].name, NULL, (flagver_route_options){ 0 });
        assert_ok(operate_on(FLAGVER_ROUTE_WRITE, NULL));
        assert_asked(stages[s].writes, true);
        ck_assert(!spied[0].has_key);
        ck_assert_str_eq(result.key, key);
        ck_assert_str_eq(event_key, key);
        if (both(stages[s].writes))
            ck_assert_str_eq(spied[1].key, key);
        leave();
    }
}
END_TEST

/* ---- 5, 8: what is told of what went well ---- */

START_TEST(events_tell_who_was_invoked_and_of_no_errors)
{
    EACH_STAGE(s) EACH_OPERATION(o)
    {
        const struct told told = told_of(&stages[s], operations[o]);

        arrange(_i, stages[s].name, NULL, (flagver_route_options){ 0 });
        assert_ok(operate(operations[o]));
        assert_event(&told, operations[o]);
        ck_assert_str_eq(event.route, "move");
        ck_assert_str_eq(event_key, "k");
        ck_assert_int_eq(event.operation, operations[o]);
        ck_assert_int_eq(event.sides[OLD].code, 0);
        ck_assert_int_eq(event.sides[NEW].code, 0);
        leave();
    }
}
END_TEST

START_TEST(events_have_the_time_at_which_it_began)
{
    int64_t before = (int64_t)time(NULL) * 1000 - 1000;

    arrange(_i, "off", NULL, (flagver_route_options){ 0 });
    assert_ok(operate(FLAGVER_ROUTE_READ));
    ck_assert_int_ge(event.time, before);
    ck_assert_int_le(event.time, (int64_t)time(NULL) * 1000 + 1000);
    leave();
}
END_TEST

/* ---- 6: latencies ---- */

static void be_slow(int side)
{
    const struct timespec pause = { 0, side == OLD ? 1000000 : 2000000 };

    nanosleep(&pause, NULL);
}

/* Where all fails a write stops at its authority. */
START_TEST(latencies_are_measured_of_what_was_invoked)
{
    EACH_STAGE(s) EACH_OPERATION(o) for (int fails = 0; fails < 2; fails++)
    {
        const char *calls = calls_of(&stages[s], operations[o]);
        bool stops = fails && operations[o] != FLAGVER_ROUTE_READ;

        arrange(_i, stages[s].name, NULL, (flagver_route_options){ 0 });
        for (int side = OLD; side <= NEW; side++) {
            spies[side].first = be_slow;
            spies[side].returns = fails ? FLAGVER_EIO : 0;
        }
        ck_assert_int_eq(operate(operations[o]), fails ? FLAGVER_EIO : 0);
        for (int side = OLD; side <= NEW; side++) {
            bool invoked = first_is(calls, side) || (both(calls) && !stops);

            ck_assert(result.sides[side].invoked == invoked);
            ck_assert(event.sides[side].invoked == invoked);
            ck_assert_int_eq(event.sides[side].latency_ns, result.sides[side].latency_ns);
            if (invoked)
                ck_assert_int_ge(result.sides[side].latency_ns, side == OLD ? 1000000 : 2000000);
            else
                ck_assert_int_eq(result.sides[side].latency_ns, 0);
        }
        leave();
    }
}
END_TEST

/* ---- 7: errors ---- */

/* Which sides fail: bits. */
static int mended(const char *calls, int fails, int operation)
{
    int asked = (both(calls) ? 3 : first_is(calls, OLD) ? 1 : 2);
    int first = first_is(calls, OLD) ? 1 : 2;

    return operation != FLAGVER_ROUTE_READ && (fails & first) ? first : fails & asked;
}

START_TEST(who_fails_is_told_and_only_the_answering_sides_error_is_returned)
{
    EACH_STAGE(s) EACH_OPERATION(o) for (int fails = 1; fails < 4; fails++)
    {
        const char *calls = calls_of(&stages[s], operations[o]);
        int first = first_is(calls, OLD) ? 1 : 2;
        bool fatal = fails & first, reads = operations[o] == FLAGVER_ROUTE_READ;
        struct told told = told_of(&stages[s], operations[o]);
        bool other_fails = both(calls) && (fails & ~first) && (reads || !fatal);

        arrange(_i, stages[s].name, NULL, (flagver_route_options){ 0 });
        for (int side = OLD; side <= NEW; side++) {
            spies[side].returns = fails & 1 << side ? FLAGVER_EUNAVAILABLE : 0;
            spies[side].words = side == OLD ? "old is away" : "new is away";
        }
        ck_assert_int_eq(operate(operations[o]), fatal ? FLAGVER_EUNAVAILABLE : 0);
        if (fatal) {
            ck_assert_int_eq(failure.code, FLAGVER_EUNAVAILABLE);
            ck_assert_str_eq(failure.message, first == 1 ? "old is away" : "new is away");
            ck_assert_ptr_null(result.value);
        }
        if (both(calls) && other_fails) {
            int other = first == 1 ? NEW : OLD;

            ck_assert_int_eq(result.sides[other].code, FLAGVER_EUNAVAILABLE);
            ck_assert_str_eq(result.errors[other].message,
                             other == OLD ? "old is away" : "new is away");
        }
        ck_assert(result.pending == (!reads && other_fails));
        if (fatal && !reads)
            told.invoked = first == 1 ? "old" : "new";
        told.failed = mended(calls, fails, operations[o]);
        assert_event(&told, operations[o]);
        assert_asked(told.invoked, !reads || orders[_i].order == FLAGVER_ORDER_SERIAL);
        leave();
    }
}
END_TEST

/* That there is no such record is an answer, and no error. */
START_TEST(a_record_that_is_not_there_is_no_error)
{
    EACH_STAGE(s)
    {
        struct told told = told_of(&stages[s], FLAGVER_ROUTE_READ);

        arrange(_i, stages[s].name, NULL, (flagver_route_options){ .compare = compare_bytes });
        spies[OLD] = spies[NEW] = (struct spy){ .returns = FLAGVER_ENOTFOUND };
        ck_assert_int_eq(operate(FLAGVER_ROUTE_READ), FLAGVER_ENOTFOUND);
        ck_assert(failure.message[0]);
        told.consistent = both(stages[s].reads) ? 1 : -1;
        assert_event(&told, FLAGVER_ROUTE_READ);
        leave();
    }
}
END_TEST

/* ---- 9, 10, 11: consistency ---- */

static const struct {
    const char *label, *old_value, *new_value; /* NULL: there is no such record */
    int agree;
} pairs[] = {
    { "the same", "a value", "a value", 1 },
    { "nothing", "", "", 1 },
    { "another one", "a value", "other!!", 0 },
    { "more of it", "a", "a value", 0 },
    { "one is empty", "a", "", 0 },
    { "one is missing", "a", NULL, 0 },
    { "the other is missing", NULL, "a", 0 },
};

static const char *const always[] = { NULL, "{'checkRatio': 1}" };
static const char *const never[] = { "{'checkRatio': 0}", "{'checkRatio': -5}" };

static void give_pair(int pair)
{
    spies[OLD].gives = pairs[pair].old_value;
    spies[NEW].gives = pairs[pair].new_value;
    for (int side = OLD; side <= NEW; side++)
        spies[side].returns = spies[side].gives ? 0 : FLAGVER_ENOTFOUND;
}

START_TEST(reads_of_both_sides_are_compared)
{
    EACH_STAGE(s) for (int pair = 0; pair < COUNT(pairs); pair++) for (int m = 0; m < 2; m++)
    {
        struct told told = told_of(&stages[s], FLAGVER_ROUTE_READ);

        arrange(_i, stages[s].name, always[m], (flagver_route_options){ .compare = compare_bytes });
        give_pair(pair);
        ck_assert_int_eq(operate(FLAGVER_ROUTE_READ), spies[stages[s].answers].returns);
        told.consistent = both(stages[s].reads) ? pairs[pair].agree : -1;
        ck_assert_int_eq(result.consistent, told.consistent);
        assert_event(&told, FLAGVER_ROUTE_READ);
        leave();
    }
}
END_TEST

START_TEST(writes_are_never_compared)
{
    EACH_STAGE(s) for (int o = 1; o < OPERATIONS; o++)
    {
        const struct told told = told_of(&stages[s], operations[o]);

        arrange(_i, stages[s].name, NULL, (flagver_route_options){ .compare = compare_bytes });
        assert_ok(operate(operations[o]));
        assert_event(&told, operations[o]);
        leave();
    }
}
END_TEST

START_TEST(a_check_ratio_of_zero_compares_nothing)
{
    EACH_STAGE(s) for (int m = 0; m < 3; m++) for (int pair = 0; pair < 3; pair++)
    {
        const struct told told = told_of(&stages[s], FLAGVER_ROUTE_READ);

        arrange(_i, stages[s].name, m < 2 ? never[m] : NULL,
                (flagver_route_options){ .compare = compare_bytes, .check_ratio = m < 2 ? 1 : -1 });
        give_pair(pair);
        assert_ok(operate(FLAGVER_ROUTE_READ));
        ck_assert_int_eq(result.consistent, -1);
        assert_event(&told, FLAGVER_ROUTE_READ);
        leave();
    }
}
END_TEST

START_TEST(without_a_comparator_nothing_is_compared)
{
    EACH_STAGE(s)
    {
        const struct told told = told_of(&stages[s], FLAGVER_ROUTE_READ);

        arrange(_i, stages[s].name, always[1], (flagver_route_options){ 0 });
        assert_ok(operate(FLAGVER_ROUTE_READ));
        assert_event(&told, FLAGVER_ROUTE_READ);
        leave();
    }
}
END_TEST

/* With a ratio of 1, so that only the failure can be the reason. */
START_TEST(a_read_that_fails_on_a_side_is_not_compared)
{
    EACH_STAGE(s) for (int fails = 0; fails < 4; fails++)
    {
        struct told told = told_of(&stages[s], FLAGVER_ROUTE_READ);

        arrange(_i, stages[s].name, always[1], (flagver_route_options){ .compare = compare_bytes });
        spies[OLD].gives = spies[NEW].gives = "equal";
        spies[OLD].returns = fails & 1 ? FLAGVER_EIO : 0;
        spies[NEW].returns = fails & 2 ? FLAGVER_EIO : 0;
        operate(FLAGVER_ROUTE_READ);
        told.failed = mended(stages[s].reads, fails, FLAGVER_ROUTE_READ);
        told.consistent = both(stages[s].reads) && fails == 0 ? 1 : -1;
        assert_event(&told, FLAGVER_ROUTE_READ);
        leave();
    }
}
END_TEST

/* Numbers as they come: of a ratio of N the multiples of N are meant. */
static uint64_t counted;

static uint64_t count_up(void *data)
{
    (void)data;
    return counted++;
}

START_TEST(one_read_in_so_many_is_compared)
{
    static const uint32_t ratios[] = { 1, 2, 10, 1000 };

    for (int i = 0; i < COUNT(ratios); i++) {
        char metadata[64];
        uint32_t compared = 0, reads = ratios[i] * 5;

        snprintf(metadata, sizeof metadata, "{'a': 'x', 'checkRatio': %u, 'z': 1}", ratios[i]);
        arrange(_i, "shadow", metadata,
                (flagver_route_options){ .compare = compare_bytes, .random = count_up });
        counted = 0;
        for (uint32_t k = 0; k < reads; k++) {
            uint64_t before = counted;

            assert_ok(operate(FLAGVER_ROUTE_READ));
            /* A random order takes a number as well. */
            if (orders[_i].order == FLAGVER_ORDER_RANDOM)
                counted = before + 1;
            compared += result.consistent >= 0;
            ck_assert_uint_eq(event.check_ratio, ratios[i]);
            flagver_route_result_clear(&result);
            spied_count = 0;
        }
        if (orders[_i].order != FLAGVER_ORDER_RANDOM)
            ck_assert_uint_eq(compared, 5);
        leave();
    }
}
END_TEST

/* The library's own numbers: five standard deviations of slack. */
START_TEST(one_read_in_ten_is_compared_by_chance)
{
    int compared = 0;

    arrange(_i, "live", "{'checkRatio': 10}", (flagver_route_options){ .compare = compare_bytes });
    for (int k = 0; k < 5000; k++) {
        assert_ok(operate(FLAGVER_ROUTE_READ));
        compared += result.consistent >= 0;
        flagver_route_result_clear(&result);
        spied_count = 0;
    }
    ck_assert_int_gt(compared, 500 - 106);
    ck_assert_int_lt(compared, 500 + 106);
    leave();
}
END_TEST

/* ---- 12: sampling of events ---- */

static const struct {
    const char *metadata;
    int32_t option;
    int ratio; /* 0: none is told */
} samplings[] = {
    { NULL, 0, 1 },
    { NULL, -1, 0 },
    { NULL, 4, 4 },
    { "{'samplingRatio': 0}", 0, 0 },
    { "{'samplingRatio': -1}", 7, 0 },
    { "{'samplingRatio': 1}", -1, 1 },
    { "{'samplingRatio': 3}", 0, 3 },
    /* What is no whole number says nothing. */
    { "{'samplingRatio': 'often'}", 0, 1 },
    { "{'samplingRatio': 0.5}", 0, 1 },
    { "{'samplingRatio': true}", 5, 5 },
    { "{'a': 'samplingRatio', 'mysamplingRatio': 9}", 0, 1 },
    { "{'a': '\\\\\\'samplingRatio\\\\\\':9,'}", 0, 1 },
    { "{'checkRatio': 0, 'samplingRatio': 2}", 0, 2 },
};

START_TEST(one_operation_in_so_many_is_told)
{
    EACH_OPERATION(o) for (int i = 0; i < COUNT(samplings); i++)
    {
        arrange(
            _i, "dualwrite", samplings[i].metadata,
            (flagver_route_options){ .sampling_ratio = samplings[i].option, .random = count_up });
        counted = 0;
        for (int k = 0; k < 60; k++) {
            assert_ok(operate(operations[o]));
            flagver_route_result_clear(&result);
        }
        ck_assert_msg(events == (samplings[i].ratio ? 60 / samplings[i].ratio : 0),
                      "%s, %d: %d were told", samplings[i].metadata, samplings[i].option, events);
        if (events) {
            struct told told = told_of(&stages[1], operations[o]);

            told.sampling_ratio = samplings[i].ratio;
            events = 1;
            event.check_ratio = 1;
            assert_event(&told, operations[o]);
        }
        leave();
    }
}
END_TEST

/* ---- 13, 14: without an answer ---- */

static const struct {
    const char *label, *flags;
    const char *reason;
} unanswered[] = {
    { "no flag", "{'flags': {}}", "FLAG_NOT_FOUND" },
    { "no stage",
      "{'flags': {'move': {'type': 'string', 'variants': {'v': 'off?'}, 'default': 'v'}}}",
      "WRONG_TYPE" },
    { "nothing", "{'flags': {'move': {'type': 'string', 'variants': {'v': ''}, 'default': 'v'}}}",
      "WRONG_TYPE" },
    { "in capitals",
      "{'flags': {'move': {'type': 'string', 'variants': {'v': 'LIVE'}, 'default': 'v'}}}",
      "WRONG_TYPE" },
    /* A share of keys is not in a flag. */
    { "by key",
      "{'flags': {'move': {'type': 'string', 'variants': {'v': 'ramp'}, 'default': 'v'}}}",
      "WRONG_TYPE" },
    { "a boolean", "{'flags': {'move': {'type': 'boolean'}}}", "WRONG_TYPE" },
    { "a number", "{'flags': {'move': {'type': 'integer', 'variants': {'v': 1}, 'default': 'v'}}}",
      "WRONG_TYPE" },
    { "a document",
      "{'flags': {'move': {'type': 'json', 'variants': {'v': 'live'}, 'default': 'v'}}}",
      "WRONG_TYPE" },
};

START_TEST(without_an_answer_the_default_stage_counts)
{
    EACH_STAGE(s)
    EACH_OPERATION(o) for (int i = 0; i < COUNT(unanswered); i++)
    {
        struct told told = told_of(&stages[s], operations[o]);

        arrange(_i, NULL, NULL, (flagver_route_options){ .default_stage = stages[s].stage });
        assert_ok(load_into(client, unanswered[i].flags));
        assert_ok(operate(operations[o]));
        assert_asked(calls_of(&stages[s], operations[o]), false);
        ck_assert_int_eq(result.stage, stages[s].stage);
        told.otherwise = stages[s].name;
        told.variation = -1;
        told.reason = "ERROR";
        told.error = unanswered[i].reason;
        assert_event(&told, operations[o]);
        leave();
    }
}
END_TEST

START_TEST(nobody_says_anything_and_it_is_off_until_somebody_does)
{
    arrange(_i, NULL, NULL, (flagver_route_options){ 0 });
    assert_ok(operate(FLAGVER_ROUTE_WRITE));
    ck_assert_int_eq(result.stage, FLAGVER_STAGE_OFF);
    ck_assert_int_eq(event.default_stage, FLAGVER_STAGE_OFF);
    assert_ok(load_into(client, "{'flags': {'move': {'type': 'string', 'variants': {'v': 'live'}, "
                                "'default': 'v'}}}"));
    assert_ok(operate(FLAGVER_ROUTE_WRITE));
    ck_assert_int_eq(result.stage, FLAGVER_STAGE_LIVE);
    leave();
}
END_TEST

/* ---- events by other flags ---- */

static const struct {
    const char *flag, *reason;
} reasons[] = {
    { "{'type': 'string', 'variants': {'v': 'live'}, 'default': 'v'}", "FALLTHROUGH" },
    { "{'type': 'string', 'variants': {'v': 'live'}, 'default': 'v', 'enabled': false}", "OFF" },
    { "{'type': 'string', 'variants': {'v': 'live', 'w': 'off'}, 'default': 'w', 'targets': "
      "{'v': ['u1']}}",
      "RULE_MATCH" },
    { "{'type': 'string', 'variants': {'v': 'live', 'w': 'off'}, 'default': 'w', 'split': "
      "{'v': 1}}",
      "FALLTHROUGH" },
    { "{'type': 'string', 'variants': {'v': 'live', 'w': 'off'}, 'default': 'v', 'targets': "
      "{'w': ['u2']}}",
      "FALLTHROUGH" },
};

START_TEST(how_the_flag_has_decided_is_told)
{
    for (int i = 0; i < COUNT(reasons); i++) {
        struct told told = told_of(&stages[3], FLAGVER_ROUTE_READ);
        char json[512];

        arrange(_i, NULL, NULL, (flagver_route_options){ 0 });
        snprintf(json, sizeof json, "{'flags': {'move': %s}}", reasons[i].flag);
        assert_ok(load_into(client, json));
        assert_ok(operate(FLAGVER_ROUTE_READ));
        told.reason = reasons[i].reason;
        assert_event(&told, FLAGVER_ROUTE_READ);
        leave();
    }
}
END_TEST

/* Flags in a store have versions, also those that are no stage. */
START_TEST(the_version_of_the_flag_is_told)
{
    static const struct {
        const char *flag;
        int version;
        bool answers;
    } versions[] = {
        { "{'type': 'string', 'variants': {'v': 'shadow'}, 'default': 'v'}", 1, true },
        { "{'type': 'string', 'variants': {'v': 'nowhere'}, 'default': 'v'}", 2, false },
        { "{'type': 'boolean'}", 3, false },
    };

    arrange(_i, "off", NULL, (flagver_route_options){ 0 });
    close_spied(route);
    flagver_close(client);
    client = open_store(0);
    route = open_spied(client, (flagver_route_options){ .event = keep_event,
                                                        .order = orders[_i].order,
                                                        .workers = orders[_i].workers,
                                                        .shadow_timeout_ms = -1 });
    for (int i = 0; i < COUNT(versions); i++) {
        struct told told = told_of(&stages[versions[i].answers ? 2 : 0], FLAGVER_ROUTE_READ);

        put_flag(client, "move", versions[i].flag);
        assert_ok(flagver_client_refresh(client, &error));
        events = 0;
        assert_ok(operate(FLAGVER_ROUTE_READ));
        if (!versions[i].answers) {
            told.reason = "ERROR";
            told.error = "WRONG_TYPE";
            told.variation = -1;
        }
        told.version = versions[i].version;
        assert_event(&told, FLAGVER_ROUTE_READ);
        flagver_route_result_clear(&result);
        ++*leaves;
    }
    leave();
}
END_TEST

/* ---- 15: redaction ---- */

START_TEST(of_a_context_only_its_key_is_told)
{
    EACH_OPERATION(o)
    {
        const struct told told = told_of(&stages[1], operations[o]);

        arrange(_i, "dualwrite", NULL, (flagver_route_options){ 0 });
        flagver_context_set_string(context, "name", "Ada Lovelace");
        flagver_context_set_string(context, "email", "ada@example.org");
        flagver_context_begin_object(context, "address");
        flagver_context_set_string(context, "city", "London");
        flagver_context_end(context);
        assert_ok(operate(operations[o]));
        assert_event(&told, operations[o]);
        ck_assert_ptr_null(strstr(event_json, "Ada"));
        ck_assert_ptr_null(strstr(event_json, "city"));
        ck_assert_ptr_null(strstr(event_json, "written"));
        ck_assert_ptr_null(strstr(event_json, "asked"));
        leave();
    }
}
END_TEST

/* ---- the form alone ---- */

static const flagver_route_event whole_event = {
    .route = "move",
    .operation = FLAGVER_ROUTE_READ,
    .key = "k",
    .time = 1790000000000,
    .stage = FLAGVER_STAGE_SHADOW,
    .default_stage = FLAGVER_STAGE_OFF,
    .version = 10,
    .reason = FLAGVER_REASON_STATIC,
    .sides = { { true, 0, 1999999 }, { true, FLAGVER_EIO, 2000000 } },
    .consistent = -1,
    .check_ratio = 1,
    .sampling_ratio = 1,
};

static void assert_json(const flagver_route_event *of, const char *expected)
{
    char *text = quoted(expected), *found = NULL;
    json_t *a, *b;

    assert_ok(flagver_route_event_json(of, &found, &error));
    a = json_loads(found, JSON_REJECT_DUPLICATES, NULL);
    b = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(b);
    ck_assert_msg(a && json_equal(a, b), "%s is not %s", found, text);
    json_decref(a);
    json_decref(b);
    free(text);
    flagver_string_free(found);
    ++*leaves;
}

START_TEST(an_event_has_the_form_of_migration_op)
{
    flagver_route_event of = whole_event;

    assert_json(&of, "{'kind':'migration_op','operation':'read','creationDate':1790000000000,"
                     "'contextKeys':{'record':'k'},'evaluation':{'key':'move','value':'shadow',"
                     "'default':'off','variation':2,'version':10,'reason':{'kind':'FALLTHROUGH'}},"
                     "'measurements':[{'key':'invoked','values':{'old':true,'new':true}},"
                     "{'key':'latency_ms','values':{'old':1,'new':2}},"
                     "{'key':'error','values':{'new':true}}]}");
    of.operation = FLAGVER_ROUTE_REMOVE;
    of.route = "a \"quoted\" name";
    of.key = "back\\slash";
    of.sides[NEW] = (flagver_route_side_result){ 0 };
    of.reason = FLAGVER_REASON_ERROR;
    of.error = FLAGVER_ERROR_FLAG_NOT_FOUND;
    of.version = 0;
    of.sampling_ratio = 20;
    assert_json(&of, "{'kind':'migration_op','operation':'write','creationDate':1790000000000,"
                     "'samplingRatio':20,'contextKeys':{'record':'back\\\\slash'},"
                     "'evaluation':{'key':'a \\'quoted\\' name','value':'shadow','default':'off',"
                     "'reason':{'kind':'ERROR','errorKind':'FLAG_NOT_FOUND'}},"
                     "'measurements':[{'key':'invoked','values':{'old':true}},"
                     "{'key':'latency_ms','values':{'old':1}}]}");
}
END_TEST

static const struct {
    int error;
    const char *kind;
} errors[] = {
    { FLAGVER_ERROR_FLAG_NOT_FOUND, "FLAG_NOT_FOUND" },
    { FLAGVER_ERROR_PARSE_ERROR, "MALFORMED_FLAG" },
    { FLAGVER_ERROR_TYPE_MISMATCH, "WRONG_TYPE" },
    { FLAGVER_ERROR_TARGETING_KEY_MISSING, "USER_NOT_SPECIFIED" },
    { FLAGVER_ERROR_INVALID_CONTEXT, "USER_NOT_SPECIFIED" },
    { FLAGVER_ERROR_GENERAL, "EXCEPTION" },
};

START_TEST(each_error_of_an_evaluation_has_its_kind)
{
    flagver_route_event of = whole_event;
    char *found = NULL;
    char words[64];

    of.reason = FLAGVER_REASON_ERROR;
    of.error = errors[_i].error;
    snprintf(words, sizeof words, "{\"kind\":\"ERROR\",\"errorKind\":\"%s\"}", errors[_i].kind);
    assert_ok(flagver_route_event_json(&of, &found, &error));
    ck_assert_ptr_nonnull(strstr(found, words));
    flagver_string_free(found);
    ++*leaves;
}
END_TEST

static void assert_refused(const flagver_route_event *of, const char *words)
{
    char *untouched = NULL;

    assert_fails(FLAGVER_EINVAL, flagver_route_event_json(of, &untouched, &error));
    assert_words(words);
    ck_assert_ptr_null(untouched);
    ++*leaves;
}

START_TEST(an_event_that_the_form_does_not_have_is_refused)
{
    flagver_route_event of;
    flagver_context *strange = context_of("{'targetingKey': true}");
    static const int32_t numbers[] = { 0, 4, -1, 99 };
    char *json;

#define REFUSE(change, words)       \
    do {                            \
        of = whole_event;           \
        change;                     \
        assert_refused(&of, words); \
    } while (0)

    REFUSE(of.route = "", "event.route is empty");
    REFUSE(of.route = NULL, "event.route is empty");
    REFUSE(of.key = NULL, "key");
    for (int i = 0; i < COUNT(numbers); i++)
        REFUSE(of.operation = numbers[i], "event.operation");
    REFUSE(of.stage = 0, "is no stage");
    REFUSE(of.default_stage = 9, "is no stage");
    REFUSE(of.sides[0].invoked = of.sides[1].invoked = false, "neither side was invoked");
    REFUSE((of.sides[1] = (flagver_route_side_result){ 0 }, of.consistent = 1), "about two sides");
    REFUSE((of.sides[1] = (flagver_route_side_result){ 0 }, of.consistent = 0), "about two sides");
    REFUSE((of.sides[1].code = 0, of.sides[1].invoked = false), "not invoked");
    REFUSE((of.sides[1].latency_ns = 0, of.sides[1].invoked = false), "not invoked");
    REFUSE(of.context = strange, "targeting key");
    assert_fails(FLAGVER_EINVAL, flagver_route_event_json(NULL, &json, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_event_json(&whole_event, NULL, &error));
    flagver_context_free(strange);
}
END_TEST

/* A refused event is one that cannot be encoded: the operation went on, and the hook was told. */
START_TEST(a_context_without_a_proper_key_changes_no_answer)
{
    arrange(_i, "live", NULL, (flagver_route_options){ 0 });
    flagver_context_free(context);
    context = context_of("{'targetingKey': true}");
    operate(FLAGVER_ROUTE_READ);
    ck_assert_int_eq(events, 1);
    ck_assert_int_eq(event_code, FLAGVER_EINVAL);
    ck_assert_ptr_nonnull(result.value);
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes by a flag");
    TCase *tests = add_store_tcase(suite, "groups");
    TCase *form = add_store_tcase(suite, "form");
    int result_of_all;

    leaves = mmap(NULL, sizeof *leaves, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (leaves == MAP_FAILED)
        return EXIT_FAILURE;
    *leaves = 0;

#define ADD(test) tcase_add_loop_test(tests, test, 0, ORDERS)
    ADD(the_flag_says_the_stage_to_each_context_its_own);
    ADD(reads_ask_the_sides_of_the_stage_and_answer_what_one_of_them_has);
    ADD(what_the_caller_passes_reaches_each_side_that_is_asked);
    ADD(writes_ask_the_authority_first_and_answer_what_it_says);
    ADD(the_authority_makes_the_key_of_a_creation);
    ADD(events_tell_who_was_invoked_and_of_no_errors);
    ADD(events_have_the_time_at_which_it_began);
    ADD(latencies_are_measured_of_what_was_invoked);
    ADD(who_fails_is_told_and_only_the_answering_sides_error_is_returned);
    ADD(a_record_that_is_not_there_is_no_error);
    ADD(reads_of_both_sides_are_compared);
    ADD(writes_are_never_compared);
    ADD(a_check_ratio_of_zero_compares_nothing);
    ADD(without_a_comparator_nothing_is_compared);
    ADD(a_read_that_fails_on_a_side_is_not_compared);
    ADD(one_read_in_so_many_is_compared);
    ADD(one_read_in_ten_is_compared_by_chance);
    ADD(one_operation_in_so_many_is_told);
    ADD(without_an_answer_the_default_stage_counts);
    ADD(nobody_says_anything_and_it_is_off_until_somebody_does);
    ADD(how_the_flag_has_decided_is_told);
    ADD(the_version_of_the_flag_is_told);
    ADD(of_a_context_only_its_key_is_told);
    ADD(a_context_without_a_proper_key_changes_no_answer);
    tcase_add_test(form, an_event_has_the_form_of_migration_op);
    tcase_add_loop_test(form, each_error_of_an_evaluation_has_its_kind, 0, COUNT(errors));
    tcase_add_test(form, an_event_that_the_form_does_not_have_is_refused);

    result_of_all = run_store_suite(suite);
    printf("%d leaf cases\n", *leaves);
    return result_of_all;
}
