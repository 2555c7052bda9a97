/*
 * Reads of two sides at once, on workers that are fewer than the callers, while the stage changes and
 * sides are slow, fail and hang. Meant to be run under ThreadSanitizer; what it asserts by itself is that
 * everybody gets their own answer, and that nothing is left running when the route is closed.
 */
#define _DEFAULT_SOURCE /* nanosleep() */
#include <flagver.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "support.h"

#define CALLERS 6
#define CALLS_EACH 500

static flagver_client *client;
static flagver_route *route;
static atomic_int wrong, running, events;
static atomic_bool done;
static bool by_migration;

static void pause_ns(long ns)
{
    const struct timespec pause = { 0, ns };

    nanosleep(&pause, NULL);
}

/* The new side: slow now and then, beyond the time that is waited for it, or out of order. */
static int read_side(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    unsigned turn = (unsigned)atomic_fetch_add((atomic_uint *)data, 1);
    int r;

    (void)err;
    atomic_fetch_add(&running, 1);
    if (call->side == FLAGVER_SIDE_NEW && turn % 64 == 0)
        pause_ns(3000000);
    if (call->payload && (call->payload_length != strlen(call->key) ||
                          memcmp(call->payload, call->key, call->payload_length) != 0))
        atomic_fetch_add(&wrong, 1);
    r = call->side == FLAGVER_SIDE_NEW && turn % 7 == 0
            ? FLAGVER_EUNAVAILABLE
            : flagver_sink_value(sink, call->key, strlen(call->key));
    atomic_fetch_sub(&running, 1);
    return r;
}

static int write_side(void *data, const flagver_side_call *call, const void *value, size_t length,
                      flagver_sink *sink, flagver_error *err)
{
    (void)data;
    (void)sink;
    (void)err;
    if (length != strlen(call->key) || memcmp(value, call->key, length) != 0)
        atomic_fetch_add(&wrong, 1);
    return 0;
}

static int compare(void *data, const char *key, const void *old_value, size_t old_length,
                   const void *new_value, size_t new_length)
{
    (void)data;
    if (old_length != strlen(key) || memcmp(old_value, key, old_length) != 0)
        atomic_fetch_add(&wrong, 1);
    return old_length == new_length && memcmp(old_value, new_value, old_length) == 0;
}

static void count_event(void *data, const flagver_route_event *event)
{
    (void)data;
    if (event->consistent == 0)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&events, 1);
}

static void serve(const char *stage)
{
    char json[256];
    int length = snprintf(json, sizeof json,
                          "{\"flags\":{\"move\":{\"type\":\"string\",\"variants\":{\"v\":\"%s\"},"
                          "\"default\":\"v\"}}}",
                          stage);

    assert_ok(flagver_client_load(client, json, (size_t)length, &error));
}

static void *change_stages(void *data)
{
    static const char *const stages[] = { "shadow", "dualwrite", "shadow", "off" };

    (void)data;
    for (unsigned i = 0; !atomic_load(&done); i++) {
        serve(stages[i % 4]);
        pause_ns(200000);
    }
    flagver_thread_release();
    return NULL;
}

static void *call_often(void *data)
{
    flagver_route_call call = { .size = sizeof call };
    flagver_route_result result = { .size = sizeof result };
    char key[32];

    for (int k = 0; k < CALLS_EACH; k++) {
        snprintf(key, sizeof key, "%d-%d", *(const int *)data, k);
        call.payload = key;
        call.payload_length = strlen(key);
        if (flagver_route_read(route, key, &call, &result, NULL) < 0 ||
            strcmp(result.value, key) != 0)
            atomic_fetch_add(&wrong, 1);
        flagver_route_result_clear(&result);
        if (k % 8 == 0 && flagver_route_write(route, key, key, strlen(key), NULL, NULL, NULL) < 0)
            atomic_fetch_add(&wrong, 1);
    }
    flagver_thread_release();
    return NULL;
}

static void open_route(int order, int workers)
{
    static atomic_uint turns[2];
    flagver_route_options options = { .size = sizeof options,
                                      .flag = by_migration ? NULL : "move",
                                      .background = by_migration,
                                      .order = order,
                                      .workers = workers,
                                      .shadow_timeout_ms = 1,
                                      .compare = compare,
                                      .event = count_event };
    flagver_side *const sides[] = { &options.old_side, &options.new_side };

    for (int side = 0; side < 2; side++)
        *sides[side] = (flagver_side){ .size = sizeof(flagver_side),
                                       .data = &turns[side],
                                       .read = read_side,
                                       .write = write_side };
    assert_ok(flagver_route_open(client, by_migration ? "move" : NULL, &options, &route, &error));
}

START_TEST(callers_get_their_own_answers_whatever_the_other_side_does)
{
    pthread_t threads[CALLERS], changer;
    int numbers[CALLERS];

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    serve("shadow");
    open_route(_i, _i == FLAGVER_ORDER_CONCURRENT ? 3 : 0);
    ck_assert_int_eq(pthread_create(&changer, NULL, change_stages, NULL), 0);
    for (int i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &numbers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&done, true);
    pthread_join(changer, NULL);

    ck_assert_int_eq(atomic_load(&wrong), 0);
    ck_assert_int_eq(atomic_load(&events), CALLERS * (CALLS_EACH + (CALLS_EACH + 7) / 8));
    assert_ok(flagver_route_close(route, 30000, &error));
    ck_assert_int_eq(atomic_load(&running), 0);
    flagver_close(client);
}
END_TEST

/* Closed while jobs still wait or run: they are finished or thrown away first. */
START_TEST(a_route_is_closed_behind_its_last_read)
{
    flagver_route_call call = { .size = sizeof call, .payload = "k", .payload_length = 1 };
    flagver_route_result result = { .size = sizeof result };

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    serve("shadow");
    for (int k = 0; k < 50; k++) {
        open_route(FLAGVER_ORDER_CONCURRENT, 2);
        for (int i = 0; i < 8; i++) {
            assert_ok(flagver_route_read(route, "k", &call, &result, &error));
            flagver_route_result_clear(&result);
        }
        assert_ok(flagver_route_close(route, 30000, &error));
        ck_assert_int_eq(atomic_load(&running), 0);
    }
    flagver_close(client);
}
END_TEST

/* ---- by a migration, with a thread that takes steps ---- */

static const flagver_actor actor = { .size = sizeof actor, .id = "alice" };

static void put_migration(void)
{
    static const char json[] = "{\"stage\":\"off\"}";
    flagver_txn *txn = NULL;

    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, "move", json, sizeof json - 1, NULL,
                                  NULL, &error));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
}

/* Through the stages and back again, while others read and write. */
START_TEST(callers_get_their_own_answers_while_the_migration_goes_on_and_back)
{
    const flagver_route_change change = { .size = sizeof change, .forced = "a test" };
    const flagver_options quiet = { .size = sizeof quiet, .no_environment = 1 };
    pthread_t threads[CALLERS];
    int numbers[CALLERS];

    assert_ok(flagver_open("memory:", &quiet, &client, &error));
    put_migration();
    by_migration = true;
    open_route(FLAGVER_ORDER_CONCURRENT, 2);
    for (int i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &numbers[i]), 0);
    }
    for (int stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_SHADOW; stage++)
        assert_ok(flagver_route_stage(route, &actor, stage, &change, &error));
    assert_ok(flagver_route_rollback(route, &actor, "back", &error));
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);

    ck_assert_int_eq(atomic_load(&wrong), 0);
    assert_ok(flagver_route_close(route, 30000, &error));
    ck_assert_int_eq(atomic_load(&running), 0);
    flagver_close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes and threads");
    TCase *tests = tcase_create("reads");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, callers_get_their_own_answers_whatever_the_other_side_does, 0, 3);
    tcase_add_test(tests, a_route_is_closed_behind_its_last_read);
    tcase_add_test(tests, callers_get_their_own_answers_while_the_migration_goes_on_and_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
