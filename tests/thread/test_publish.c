/*
 * Evaluate, publish, hold, count and come and go, all at once. Meant to be run
 * under ThreadSanitizer; what it asserts by itself is that no evaluation ever
 * sees a state that was never published.
 */
#include "support.h"

#include <flagver.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define STATES 400
#define READERS 4

static flagver_client *client;
static atomic_int done;
static atomic_long evaluations;

/* In state n, "a" and "b" both serve n, and "on" is on when n is even. */
static void publish_state(int n)
{
    char json[512];
    int length;

    length = snprintf(
        json, sizeof json,
        "{\"flags\":{"
        "\"a\":{\"type\":\"integer\",\"variants\":{\"v%d\":%d},\"default\":\"v%d\"},"
        "\"b\":{\"type\":\"integer\",\"variants\":{\"x\":%d,\"y\":-1},\"default\":\"y\","
        "\"rules\":[{\"if\":{\"attr\":\"k\",\"op\":\"eq\",\"value\":1},\"serve\":\"x\"}]},"
        "\"on\":{\"type\":\"boolean\",\"enabled\":%s}%s}}",
        n % 7, n, n % 7, n, n % 2 ? "false" : "true",
        n % 3 ? ",\"sometimes\":{\"type\":\"boolean\"}" : ",\"sometimes\":null");
    assert_ok(flagver_client_merge(client, json, (size_t)length, &error));
}

struct pair {
    int64_t a, b;
};

static bool see(void *data, const flagver_detail *detail)
{
    struct pair *pair = data;

    if (strcmp(detail->flag, "a") == 0)
        pair->a = detail->value.integer;
    if (strcmp(detail->flag, "b") == 0)
        pair->b = detail->value.integer;
    return true;
}

static void evaluate(flagver_context *context, const flagver_bound *bound)
{
    flagver_detail detail = { .size = sizeof detail };
    struct pair pair = { -2, -3 };
    int64_t before = flagver_flag_int(client, "a", context, -1);
    int64_t after;

    flagver_flag_all(client, context, see, &pair);
    ck_assert_int_eq(pair.a, pair.b);
    after = flagver_bound_int(bound, context, -1);
    ck_assert_int_le(before, pair.a);
    ck_assert_int_le(pair.a, after);

    ck_assert_int_eq(flagver_flag_evaluate(client, "a", 1, context, FLAGVER_TYPE_INT, &detail), 0);
    ck_assert_int_eq(detail.variant[0], 'v');
    ck_assert_int_eq(detail.variant[1], '0' + (int)(detail.value.integer % 7));
}

static void hold(flagver_context *context)
{
    flagver_snapshot *snapshot = flagver_client_snapshot(client);
    flagver_detail a = { .size = sizeof a }, b = { .size = sizeof b };

    flagver_snapshot_evaluate(snapshot, "a", 1, context, FLAGVER_TYPE_INT, &a);
    flagver_flag_bool(client, "on", context, false);
    flagver_snapshot_evaluate(snapshot, "b", 1, context, FLAGVER_TYPE_INT, &b);
    ck_assert_int_eq(a.value.integer, b.value.integer);
    flagver_snapshot_free(snapshot);
}

static void *read_on(void *unused)
{
    flagver_context *context = flagver_context_new("user");
    const flagver_bound *bound;
    long i;

    (void)unused;
    ck_assert_int_eq(flagver_flag_bind(client, "a", &bound, NULL), 0);
    ck_assert_int_eq(flagver_context_set_int(context, "k", 1), 0);
    for (i = 0; !atomic_load(&done); i++) {
        evaluate(context, bound);
        if (i % 16 == 0)
            hold(context);
        if (i % 64 == 0)
            flagver_thread_release();
    }
    atomic_fetch_add(&evaluations, i);
    flagver_context_free(context);
    return NULL;
}

/* Threads that end take their counters with them; nothing may be lost. */
static void *evaluate_and_end(void *unused)
{
    (void)unused;
    flagver_flag_bool(client, "sometimes", NULL, false);
    flagver_flag_bool(client, "counted", NULL, false);
    return NULL;
}

static void sum_counted(void *data, const char *flag, const char *variant, uint64_t count)
{
    if (strcmp(flag, "counted") == 0 && variant)
        *(uint64_t *)data += count;
}

START_TEST(readers_see_published_states_only)
{
    static const char counted[] = "{\"flags\":{\"counted\":{\"type\":\"boolean\"}}}";
    pthread_t readers[READERS], passing;
    uint64_t sum = 0;
    int i;

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_merge(client, counted, sizeof counted - 1, &error));
    publish_state(0);
    for (i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_on, NULL), 0);
    for (i = 1; i < STATES; i++) {
        publish_state(i);
        ck_assert_int_eq(pthread_create(&passing, NULL, evaluate_and_end, NULL), 0);
        if (i % 10 == 0)
            assert_ok(flagver_flag_override(client, "on", i % 20 ? "on" : NULL, &error));
        if (i % 25 == 0)
            assert_ok(flagver_flag_counts(client, sum_counted, &(uint64_t){ 0 }, &error));
        pthread_join(passing, NULL);
    }
    atomic_store(&done, 1);
    for (i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);

    assert_ok(flagver_flag_counts(client, sum_counted, &sum, &error));
    ck_assert_int_gt(atomic_load(&evaluations), 0);
    /* Each passing thread asked once, and each round of a reader visited it once. */
    ck_assert_uint_eq(sum, STATES - 1 + (uint64_t)atomic_load(&evaluations));
    flagver_close(client);
}
END_TEST

static void *open_and_close(void *unused)
{
    static const char one[] = "{\"flags\":{\"a\":{\"type\":\"boolean\"}}}";
    flagver_client *own;
    int i;

    (void)unused;
    for (i = 0; i < 50; i++) {
        ck_assert_int_eq(flagver_open("definitions:", NULL, &own, NULL), 0);
        ck_assert_int_eq(flagver_client_load(own, one, sizeof one - 1, NULL), 0);
        ck_assert(flagver_flag_bool(own, "a", NULL, false));
        ck_assert(flagver_flag_bool(client, "a", NULL, false));
        flagver_close(own);
    }
    return NULL;
}

START_TEST(clients_open_and_close_beside_each_other)
{
    static const char one[] = "{\"flags\":{\"a\":{\"type\":\"boolean\"}}}";
    pthread_t threads[READERS];
    int i;

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_load(client, one, sizeof one - 1, &error));
    for (i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
    for (i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    flagver_close(client);
}
END_TEST

static Suite *publish_suite(void)
{
    Suite *suite = suite_create("threads");
    TCase *tests = tcase_create("publish");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, readers_see_published_states_only);
    tcase_add_test(tests, clients_open_and_close_beside_each_other);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(publish_suite());
}
