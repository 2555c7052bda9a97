/*
 * Memory runs out at the k-th allocation of an operation on a route, for every k: the caller is told, or
 * has an answer; nothing leaks, and the next operation goes as if nothing had been.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "support.h"

#include <flagver.h>

#include "failing_malloc.h"

static const char flags[] = "{\"flags\":{\"move\":{\"type\":\"string\",\"variants\":"
                            "{\"v\":\"shadow\"},\"default\":\"v\"}}}";

static flagver_client *client;
static flagver_route *route;
static flagver_route_result result;
static atomic_int reads[2];

/* It does not look at what the sink says: the route does. */
static int read_side(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    (void)data;
    (void)err;
    atomic_fetch_add(&reads[call->side], 1);
    flagver_sink_value(sink, "a value", 7);
    return 0;
}

static int write_side(void *data, const flagver_side_call *call, const void *value, size_t length,
                      flagver_sink *sink, flagver_error *err)
{
    (void)data;
    (void)value;
    (void)length;
    (void)err;
    return call->key ? 0 : flagver_sink_key(sink, "made");
}

static int compare(void *data, const char *key, const void *old_value, size_t old_length,
                   const void *new_value, size_t new_length)
{
    (void)data;
    (void)key;
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

static int try_open(int order, int workers)
{
    const flagver_side side = { .size = sizeof side, .read = read_side, .write = write_side };
    const flagver_route_options options = { .size = sizeof options,
                                            .flag = "move",
                                            .order = order,
                                            .old_side = side,
                                            .new_side = side,
                                            .workers = workers,
                                            .shadow_timeout_ms = -1,
                                            .compare = compare };

    route = NULL;
    return flagver_route_open(client, NULL, &options, &route, &error);
}

/* What is allocated on first use is allocated. */
static void arrange(int order, int workers)
{
    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_load(client, flags, sizeof flags - 1, &error));
    assert_ok(try_open(order, workers));
    result = (flagver_route_result){ .size = sizeof result };
    assert_ok(flagver_route_read(route, "k", NULL, &result, &error));
    flagver_route_result_clear(&result);
    assert_ok(flagver_route_write(route, NULL, "v", 1, NULL, &result, &error));
    flagver_route_result_clear(&result);
}

static void leave(void)
{
    assert_ok(flagver_route_close(route, 10000, &error));
    flagver_close(client);
}

/* An operation that one allocation of fails; false: there was none of that number. */
static bool fails_at(long k, int (*operation)(void), int *ret_code)
{
    failing_malloc_arm(k);
    *ret_code = operation();
    failing_malloc_disarm();
    return failing_malloc_failed();
}

static int read_once(void)
{
    return flagver_route_read(route, "k", NULL, &result, &error);
}

static int create_once(void)
{
    return flagver_route_write(route, NULL, "v", 1, NULL, &result, &error);
}

START_TEST(a_read_in_turn_without_memory_says_whose_value_there_was_no_room_for)
{
    long live, k;
    int code, old_failed = 0, new_failed = 0;

    arrange(FLAGVER_ORDER_SERIAL, 0);
    live = failing_malloc_live();
    for (k = 1; fails_at(k, read_once, &code); k++) {
        ck_assert(code == 0 || code == FLAGVER_ENOMEM);
        if (code < 0)
            ck_assert_int_eq(error.code, FLAGVER_ENOMEM);
        ck_assert(!code == (result.value != NULL));
        ck_assert(result.sides[0].invoked && result.sides[1].invoked);
        ck_assert_int_eq(result.consistent, -1);
        old_failed += result.sides[0].code == FLAGVER_ENOMEM;
        new_failed += result.sides[1].code == FLAGVER_ENOMEM;
        flagver_route_result_clear(&result);
        ck_assert_int_eq(failing_malloc_live(), live);
    }
    ck_assert_int_eq(k, 3);
    ck_assert_int_eq(old_failed, 1);
    ck_assert_int_eq(new_failed, 1);
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(result.consistent, 1);
    flagver_route_result_clear(&result);
    leave();
}
END_TEST

/* The other side is not asked when there is no memory for what it would need. */
START_TEST(a_read_at_once_without_memory_answers_without_the_other_side)
{
    int code, before;
    long k;

    arrange(FLAGVER_ORDER_CONCURRENT, 1);
    before = atomic_load(&reads[1]);
    for (k = 1; fails_at(k, read_once, &code); k++) {
        if (k == 1) {
            ck_assert_int_eq(code, 0);
            ck_assert_str_eq(result.value, "a value");
            ck_assert(!result.sides[1].invoked);
            ck_assert_int_eq(atomic_load(&reads[1]), before);
        } else {
            ck_assert_int_eq(code, FLAGVER_ENOMEM);
            ck_assert(result.sides[1].invoked);
            ck_assert_int_eq(result.sides[1].code, 0);
        }
        ck_assert_int_eq(result.consistent, -1);
        flagver_route_result_clear(&result);
    }
    ck_assert_int_eq(k, 3);
    ck_assert_int_eq(result.consistent, 1);
    flagver_route_result_clear(&result);
    leave();
}
END_TEST

START_TEST(a_creation_without_memory_for_its_key_is_not_told_as_done)
{
    long live, k;
    int code;

    arrange(FLAGVER_ORDER_SERIAL, 0);
    live = failing_malloc_live();
    for (k = 1; fails_at(k, create_once, &code); k++) {
        ck_assert_int_eq(code, FLAGVER_ENOMEM);
        ck_assert_ptr_null(result.key);
        ck_assert(!result.sides[1].invoked);
        flagver_route_result_clear(&result);
        ck_assert_int_eq(failing_malloc_live(), live);
    }
    ck_assert_int_gt(k, 1);
    ck_assert_str_eq(result.key, "made");
    flagver_route_result_clear(&result);
    leave();
}
END_TEST

START_TEST(writing_a_record_allocates_nothing)
{
    int code;

    arrange(FLAGVER_ORDER_SERIAL, 0);
    failing_malloc_arm(0);
    code = flagver_route_write(route, "k", "v", 1, NULL, &result, &error);
    failing_malloc_disarm();
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(failing_malloc_count(), 0);
    flagver_route_result_clear(&result);
    leave();
}
END_TEST

static int open_serial(void)
{
    return try_open(FLAGVER_ORDER_SERIAL, 0);
}

START_TEST(opening_without_memory_leaves_nothing)
{
    long live, k;
    int code;

    arrange(FLAGVER_ORDER_SERIAL, 0);
    assert_ok(flagver_route_close(route, 0, &error));
    live = failing_malloc_live();
    for (k = 1; fails_at(k, open_serial, &code); k++) {
        ck_assert_int_eq(code, FLAGVER_ENOMEM);
        ck_assert_int_eq(error.code, FLAGVER_ENOMEM);
        ck_assert_ptr_null(route);
        ck_assert_int_eq(failing_malloc_live(), live);
    }
    ck_assert_int_gt(k, 1);
    ck_assert_int_eq(code, 0);
    leave();
}
END_TEST

/* Threads take memory of the C library's: what it keeps is not looked at. */
START_TEST(opening_with_workers_says_what_it_lacks)
{
    int code = -1;

    arrange(FLAGVER_ORDER_SERIAL, 0);
    assert_ok(flagver_route_close(route, 0, &error));
    for (long k = 1; k < 100 && code != 0; k++) {
        failing_malloc_arm(k);
        code = try_open(FLAGVER_ORDER_CONCURRENT, 2);
        failing_malloc_disarm();
        ck_assert(code == 0 || code == FLAGVER_ENOMEM || code == FLAGVER_EIO);
        ck_assert(!code == (route != NULL));
    }
    ck_assert_int_eq(code, 0);
    leave();
}
END_TEST

static const flagver_route_event event = { .route = "move",
                                           .operation = FLAGVER_ROUTE_READ,
                                           .key = "a key of some length, so that the text grows",
                                           .stage = FLAGVER_STAGE_SHADOW,
                                           .default_stage = FLAGVER_STAGE_OFF,
                                           .sides = { { true, 0, 1 }, { true, FLAGVER_EIO, 2 } },
                                           .consistent = -1,
                                           .sampling_ratio = 1 };

static char *json;

static int encode(void)
{
    json = NULL;
    return flagver_route_event_json(&event, &json, &error);
}

START_TEST(encoding_an_event_without_memory_gives_no_text)
{
    long live, k;
    int code;

    assert_ok(encode());
    flagver_string_free(json);
    live = failing_malloc_live();
    for (k = 1; fails_at(k, encode, &code); k++) {
        ck_assert_int_eq(code, FLAGVER_ENOMEM);
        ck_assert_ptr_null(json);
        ck_assert_int_eq(failing_malloc_live(), live);
    }
    ck_assert_int_gt(k, 1);
    ck_assert_int_eq(code, 0);
    flagver_string_free(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory runs out on a route");
    TCase *tests = tcase_create("each allocation in turn");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_read_in_turn_without_memory_says_whose_value_there_was_no_room_for);
    tcase_add_test(tests, a_read_at_once_without_memory_answers_without_the_other_side);
    tcase_add_test(tests, a_creation_without_memory_for_its_key_is_not_told_as_done);
    tcase_add_test(tests, writing_a_record_allocates_nothing);
    tcase_add_test(tests, opening_without_memory_leaves_nothing);
    tcase_add_test(tests, opening_with_workers_says_what_it_lacks);
    tcase_add_test(tests, encoding_an_event_without_memory_gives_no_text);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
