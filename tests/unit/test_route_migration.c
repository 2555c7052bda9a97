/*
 * Routes by a migration, as tables: what each of the eight stages asks of which side, where keys are read
 * in ramp, and what is told of it. What is remembered and repaired is in test_migration.c.
 */
#define _DEFAULT_SOURCE /* usleep() */
#include <jansson.h>

#include "sides.h"
#include "spies.h"
#include "stores.h"
#include "util/hash.h"

#define OLD FLAGVER_SIDE_OLD
#define NEW FLAGVER_SIDE_NEW

static flagver_client *client;
static flagver_route *route;
static flagver_route_result result;
static int events;
static flagver_route_event event;
static char *event_json;

static void keep_event(void *data, const flagver_route_event *told)
{
    (void)data;
    events++;
    event = *told;
    flagver_string_free(event_json);
    event_json = NULL;
    ck_assert_int_eq(flagver_route_event_json(told, &event_json, NULL), 0);
}

static int compare_bytes(void *data, const char *key, const void *old_value, size_t old_length,
                         const void *new_value, size_t new_length)
{
    (void)data;
    (void)key;
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

static void go_on(int stage, double percentage)
{
    const flagver_route_change change = {
        .size = sizeof change, .percentage = percentage, .forced = "a test", .wait_ms = 10000
    };

    assert_ok(flagver_route_stage(route, &alice, stage, &change, &error));
}

/* `more` is what else the record says, with a comma before it. */
static void arrange(int stage, const char *more, flagver_route_options options)
{
    char json[256];

    spies_reset();
    events = 0;
    client = open_store(0);
    snprintf(json, sizeof json, "{'stage': 'off'%s}", more ? more : "");
    put_migration(client, "users", json);
    options.event = keep_event;
    route = open_route(client, "users", spy_side(OLD), spy_side(NEW), options);
    for (int next = FLAGVER_STAGE_DUALWRITE; next <= stage; next++)
        go_on(next, next == FLAGVER_STAGE_RAMP ? 50 : 0);
    spied_count = 0;
    result = (flagver_route_result){ .size = sizeof result };
}

static void leave(void)
{
    flagver_route_result_clear(&result);
    close_route(route);
    flagver_close(client);
    flagver_string_free(event_json);
    event_json = NULL;
}

static int read_key(const char *key)
{
    flagver_route_result_clear(&result);
    return flagver_route_read(route, key, NULL, &result, &error);
}

/* Of the record of "users", whose salt is its name. */
static bool is_moved(const char *key, double percentage)
{
    uint32_t salt = fv_murmur3("users", 5, 0);

    return (double)fv_murmur3(key, strlen(key), salt) / 4294967296.0 < percentage / 100;
}

static const char *moved_key(bool moved)
{
    static char key[16];

    for (int i = 0;; i++) {
        snprintf(key, sizeof key, "k%d", i);
        if (is_moved(key, 50) == moved)
            return key;
    }
}

/* ---- calls ---- */

static const struct {
    int stage;
    bool moved; /* the key, in ramp */
    const char *name, *reads, *writes;
    int variation; /* -1: none */
} stages[] = {
    { FLAGVER_STAGE_OFF, false, "off", "old", "old", 0 },
    { FLAGVER_STAGE_DUALWRITE, false, "dualwrite", "old", "old new", 1 },
    { FLAGVER_STAGE_BACKFILL, false, "backfill", "old", "old new", -1 },
    { FLAGVER_STAGE_SHADOW, false, "shadow", "old new", "old new", 2 },
    { FLAGVER_STAGE_RAMP, false, "ramp", "old new", "old new", -1 },
    { FLAGVER_STAGE_RAMP, true, "ramp", "new old", "old new", -1 },
    { FLAGVER_STAGE_LIVE, false, "live", "new old", "new old", 3 },
    { FLAGVER_STAGE_RAMPDOWN, false, "rampdown", "new", "new old", 4 },
    { FLAGVER_STAGE_COMPLETE, true, "complete", "new", "new", 5 },
};

static int first_of(const char *calls)
{
    return calls[0] == 'o' ? OLD : NEW;
}

START_TEST(each_stage_reads_its_sides)
{
    const char *key = moved_key(stages[_i].moved);

    arrange(stages[_i].stage, NULL,
            (flagver_route_options){ .order = FLAGVER_ORDER_SERIAL, .compare = compare_bytes });
    assert_ok(read_key(key));
    ck_assert_str_eq(who_was_asked(), stages[_i].reads);
    ck_assert_int_eq(result.stage, stages[_i].stage);
    ck_assert_int_eq(result.side, first_of(stages[_i].reads));
    ck_assert_str_eq(result.value, result.side == OLD ? "of old" : "of new");
    ck_assert_int_eq(result.consistent, strlen(stages[_i].reads) > 3 ? 0 : -1);
    leave();
}
END_TEST

START_TEST(each_stage_writes_its_sides_the_authority_first)
{
    const char *key = moved_key(stages[_i].moved);

    arrange(stages[_i].stage, NULL, (flagver_route_options){ 0 });
    assert_ok(flagver_route_write(route, key, "v", 1, NULL, &result, &error));
    ck_assert_str_eq(who_was_asked(), stages[_i].writes);
    ck_assert_int_eq(result.stage, stages[_i].stage);
    ck_assert_int_eq(result.side, first_of(stages[_i].writes));
    ck_assert(!result.pending);
    ck_assert_int_eq(events, 1);
    ck_assert_int_eq(event.operation, FLAGVER_ROUTE_WRITE);
    ck_assert_int_eq(event.stage, stages[_i].stage);
    ck_assert_int_eq(event.version, stages[_i].stage);
    ck_assert_int_eq(event.reason, FLAGVER_REASON_STATIC);

    spied_count = 0;
    assert_ok(flagver_route_remove(route, key, NULL, &result, &error));
    ck_assert_str_eq(who_was_asked(), stages[_i].writes);
    ck_assert_int_eq(event.operation, FLAGVER_ROUTE_REMOVE);
    leave();
}
END_TEST

START_TEST(what_is_read_is_told_with_the_records_key)
{
    json_t *found, *evaluation;
    const char *key = moved_key(stages[_i].moved);

    arrange(stages[_i].stage, NULL, (flagver_route_options){ 0 });
    assert_ok(read_key(key));
    found = json_loads(event_json, 0, NULL);
    evaluation = json_object_get(found, "evaluation");
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(found, "contextKeys"), "record")), key);
    ck_assert_str_eq(json_string_value(json_object_get(evaluation, "key")), "users");
    ck_assert_str_eq(json_string_value(json_object_get(evaluation, "value")), stages[_i].name);
    ck_assert_str_eq(json_string_value(json_object_get(evaluation, "default")), "off");
    ck_assert_int_eq(json_integer_value(json_object_get(evaluation, "version")), stages[_i].stage);
    if (stages[_i].variation < 0)
        ck_assert_ptr_null(json_object_get(evaluation, "variation"));
    else
        ck_assert_int_eq(json_integer_value(json_object_get(evaluation, "variation")),
                         stages[_i].variation);
    json_decref(found);
    leave();
}
END_TEST

/* ---- ramp ---- */

START_TEST(in_ramp_each_key_is_read_where_its_hash_says)
{
    static const double shares[] = { 0, 0.01, 1, 25, 50, 99.99, 100 };
    char key[16];

    arrange(FLAGVER_STAGE_RAMP, NULL, (flagver_route_options){ 0 });
    for (int i = 0; i < COUNT(shares); i++) {
        go_on(FLAGVER_STAGE_RAMP, shares[i]);
        for (int k = 0; k < 500; k++) {
            snprintf(key, sizeof key, "key-%d", k);
            assert_ok(read_key(key));
            ck_assert_msg((result.side == NEW) == is_moved(key, shares[i]), "%s at %g", key,
                          shares[i]);
            spied_count = 0;
        }
    }
    leave();
}
END_TEST

/* The key that is moved has not been written there yet. */
START_TEST(a_strict_read_in_ramp_is_answered_by_who_has_the_last_write)
{
    const flagver_route_call strict = { .size = sizeof strict, .strict = 1 };
    char key[16];

    snprintf(key, sizeof key, "%s", moved_key(true));
    arrange(FLAGVER_STAGE_RAMP, NULL, (flagver_route_options){ 0 });
    spies[NEW].returns = FLAGVER_EUNAVAILABLE;
    assert_ok(flagver_route_write(route, key, "v", 1, NULL, &result, &error));
    ck_assert(result.pending);
    spies[NEW].returns = 0;
    flagver_route_result_clear(&result);
    assert_ok(flagver_route_read(route, key, &strict, &result, &error));
    ck_assert_int_eq(result.side, OLD);
    assert_ok(read_key(key));
    ck_assert_int_eq(result.side, NEW);
    while (take_steps(route).waiting > 0) /* not at once: it has failed before */
        usleep(10000);
    flagver_route_result_clear(&result);
    assert_ok(flagver_route_read(route, key, &strict, &result, &error));
    ck_assert_int_eq(result.side, NEW);
    leave();
}
END_TEST

/* ---- ratios ---- */

static uint64_t counted;

static uint64_t count_up(void *data)
{
    (void)data;
    return counted++;
}

static const struct {
    int record; /* -1: says nothing */
    int32_t option;
    int of_sixty;
} ratios[] = {
    { -1, 0, 60 }, { -1, -1, 0 }, { -1, 6, 10 }, { 0, 1, 0 }, { 1, -1, 60 }, { 4, 0, 15 },
};

static void say_ratio(char more[64], const char *name, int ratio)
{
    more[0] = '\0';
    if (ratio >= 0)
        snprintf(more, 64, ", '%s': %d", name, ratio);
}

START_TEST(ratios_of_the_record_count_before_those_of_the_options)
{
    char more[64];
    int compared = 0;

    say_ratio(more, "check_ratio", ratios[_i].record);
    arrange(FLAGVER_STAGE_SHADOW, more,
            (flagver_route_options){
                .compare = compare_bytes, .check_ratio = ratios[_i].option, .random = count_up });
    counted = 0;
    for (int k = 0; k < 60; k++) {
        assert_ok(read_key("k"));
        compared += result.consistent >= 0;
        spied_count = 0;
    }
    ck_assert_int_eq(compared, ratios[_i].of_sixty);
    ck_assert_int_eq(events, 60);
    leave();

    say_ratio(more, "sampling_ratio", ratios[_i].record);
    arrange(FLAGVER_STAGE_OFF, more,
            (flagver_route_options){ .sampling_ratio = ratios[_i].option, .random = count_up });
    counted = 0;
    for (int k = 0; k < 60; k++)
        assert_ok(read_key("k"));
    ck_assert_int_eq(events, ratios[_i].of_sixty);
    leave();
}
END_TEST

/* ---- what the route has seen ---- */

static atomic_bool hangs;
static atomic_int inside;

static void hang(int side)
{
    (void)side;
    atomic_fetch_add(&inside, 1);
    while (atomic_load(&hangs))
        usleep(1000);
    atomic_fetch_sub(&inside, 1);
}

/* The answering side's: until the other one is inside. */
static void wait_for_other(int side)
{
    (void)side;
    while (atomic_load(&inside) == 0)
        usleep(1000);
}

static json_t *status(void)
{
    char *text = NULL;
    json_t *found;

    assert_ok(flagver_route_status(route, &text, &error));
    found = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(found);
    flagver_string_free(text);
    return found;
}

static json_int_t number_of(json_t *object, const char *name)
{
    ck_assert_msg(json_is_integer(json_object_get(object, name)), "%s is no number", name);
    return json_integer_value(json_object_get(object, name));
}

START_TEST(the_status_counts_reads_that_found_no_worker)
{
    json_t *found, *new_side;

    arrange(FLAGVER_STAGE_SHADOW, NULL,
            (flagver_route_options){ .workers = 1, .shadow_timeout_ms = 1 });
    atomic_store(&hangs, true);
    spies[NEW].first = hang;
    spies[OLD].first = wait_for_other;
    for (int k = 0; k < 10; k++)
        assert_ok(read_key("k"));
    found = status();
    ck_assert_int_eq(number_of(found, "dropped"), 6);
    new_side = json_object_get(json_object_get(found, "sides"), "new");
    ck_assert_int_eq(number_of(new_side, "reads"), 4);
    ck_assert_int_eq(number_of(new_side, "read_errors"), 4);
    json_decref(found);
    atomic_store(&hangs, false);
    while (atomic_load(&inside) > 0)
        usleep(1000);
    leave();
}
END_TEST

START_TEST(the_status_counts_calls_and_errors_of_each_side)
{
    json_t *found, *sides;

    arrange(FLAGVER_STAGE_DUALWRITE, NULL, (flagver_route_options){ 0 });
    for (int k = 0; k < 5; k++)
        assert_ok(read_key("k"));
    spies[OLD].returns = FLAGVER_ENOTFOUND;
    ck_assert_int_eq(read_key("k"), FLAGVER_ENOTFOUND);
    spies[OLD].returns = FLAGVER_EIO;
    ck_assert_int_eq(read_key("k"), FLAGVER_EIO);
    ck_assert_int_eq(flagver_route_write(route, "k", "v", 1, NULL, &result, &error), FLAGVER_EIO);
    spies[OLD].returns = 0;
    assert_ok(flagver_route_write(route, "k", "v", 1, NULL, &result, &error));
    found = status();
    sides = json_object_get(found, "sides");
    ck_assert_int_eq(number_of(json_object_get(sides, "old"), "reads"), 7);
    ck_assert_int_eq(number_of(json_object_get(sides, "old"), "read_errors"), 1);
    ck_assert_int_eq(number_of(json_object_get(sides, "old"), "writes"), 2);
    ck_assert_int_eq(number_of(json_object_get(sides, "old"), "write_errors"), 1);
    ck_assert_int_eq(number_of(json_object_get(sides, "new"), "reads"), 0);
    ck_assert_int_eq(number_of(json_object_get(sides, "new"), "writes"), 1);
    json_decref(found);
    leave();
}
END_TEST

/* ---- changes that are none ---- */

static const struct {
    int from, to;
    int code;
    const char *words;
} refusals[] = {
    { FLAGVER_STAGE_OFF, 0, FLAGVER_EINVAL, "stage" },
    { FLAGVER_STAGE_OFF, 9, FLAGVER_EINVAL, "stage" },
    { FLAGVER_STAGE_OFF, -1, FLAGVER_EINVAL, "stage" },
    { FLAGVER_STAGE_OFF, FLAGVER_STAGE_SHADOW, FLAGVER_ESTATE, "does not follow" },
    { FLAGVER_STAGE_OFF, FLAGVER_STAGE_COMPLETE, FLAGVER_ESTATE, "does not follow" },
    { FLAGVER_STAGE_BACKFILL, FLAGVER_STAGE_SHADOW, FLAGVER_ESTATE,
      "not everything has been copied" },
    { FLAGVER_STAGE_SHADOW, FLAGVER_STAGE_RAMP, FLAGVER_ESTATE, "not been found equal" },
    { FLAGVER_STAGE_RAMPDOWN, FLAGVER_STAGE_COMPLETE, FLAGVER_ESTATE, "not been found equal" },
};

START_TEST(a_change_that_is_none_changes_nothing)
{
    json_t *found;

    arrange(refusals[_i].from, NULL, (flagver_route_options){ 0 });
    assert_fails(refusals[_i].code,
                 flagver_route_stage(route, &alice, refusals[_i].to, NULL, &error));
    assert_words(refusals[_i].words);
    found = status();
    ck_assert_str_eq(json_string_value(json_object_get(found, "stage")),
                     flagver_stage_name(refusals[_i].from));
    ck_assert_str_eq(json_string_value(json_object_get(found, "asked")),
                     flagver_stage_name(refusals[_i].from));
    ck_assert_int_eq(number_of(found, "version"), refusals[_i].from);
    json_decref(found);
    ck_assert_int_eq(spied_count, 0);
    leave();
}
END_TEST

static const double no_shares[] = { -1, 100.5, 1e300, -0.001 };

START_TEST(a_share_that_is_none_is_refused)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .percentage = no_shares[_i],
                                          .forced = "a test" };

    arrange(FLAGVER_STAGE_RAMP, NULL, (flagver_route_options){ 0 });
    assert_fails(FLAGVER_EINVAL,
                 flagver_route_stage(route, &alice, FLAGVER_STAGE_RAMP, &change, &error));
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes by a migration");
    TCase *tests = add_store_tcase(suite, "stages");

    tcase_add_loop_test(tests, each_stage_reads_its_sides, 0, COUNT(stages));
    tcase_add_loop_test(tests, each_stage_writes_its_sides_the_authority_first, 0, COUNT(stages));
    tcase_add_loop_test(tests, what_is_read_is_told_with_the_records_key, 0, COUNT(stages));
    tcase_add_test(tests, in_ramp_each_key_is_read_where_its_hash_says);
    tcase_add_test(tests, a_strict_read_in_ramp_is_answered_by_who_has_the_last_write);
    tcase_add_loop_test(tests, ratios_of_the_record_count_before_those_of_the_options, 0,
                        COUNT(ratios));
    tcase_add_test(tests, the_status_counts_reads_that_found_no_worker);
    tcase_add_test(tests, the_status_counts_calls_and_errors_of_each_side);
    tcase_add_loop_test(tests, a_change_that_is_none_changes_nothing, 0, COUNT(refusals));
    tcase_add_loop_test(tests, a_share_that_is_none_is_refused, 0, COUNT(no_shares));
    return run_store_suite(suite);
}
