/*
 * Clients of stores and everything that threads may do with them at once:
 * evaluate, write, read, refresh, listen, bind, open tenants, reopen, close. Meant to be
 * run under ThreadSanitizer; what it asserts by itself is that no answer is older
 * than one before it, that no change gets lost, and that nobody hears of changes after
 * having said so.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "crash/holds.h"
#include "seed.h"

#define WRITERS 2
#define CHANGES 60 /* of each writer */
#define FLAGS 3

static const flagver_actor actor = { .size = sizeof actor, .id = "thread" };

static struct place place;
static flagver_client *client;
static const char *uris[] = { "memory:", NULL };
static atomic_bool over;
static atomic_int troubles, news;
static atomic_uint acknowledged[FLAGS];

static const char *const names[FLAGS] = { "a", "b", "c" };

static void *trouble(const char *what, int r, const flagver_error *problem)
{
    complain("%s: %d %s", what, r, r < 0 ? problem->message : "");
    atomic_fetch_add(&troubles, 1);
    return NULL;
}

/* ---- writing ---- */

struct change {
    const char *name;
    uint32_t value, no;
};

static int put(void *data, flagver_txn *txn, flagver_error *err)
{
    struct change *change = data;
    char json[80];

    snprintf(json, sizeof json, "{\"type\":\"boolean\",\"enabled\":%s}",
             change->value % 2 ? "true" : "false");
    return flagver_flag_put(txn, change->name, json, strlen(json), NULL, &change->no, err);
}

/* By flagver_txn_run(), and by hand with a transaction that is sometimes given up. */
static int write_one(struct change *change, bool by_hand, flagver_error *err)
{
    flagver_txn *txn;
    int r;

    if (!by_hand)
        return flagver_txn_run(client, &actor, NULL, put, change, err);
    do {
        r = flagver_txn_begin(client, &actor, NULL, &txn, err);
        if (r < 0)
            return r;
        r = put(change, txn, err);
        if (r == 0 && change->value % 5)
            r = flagver_txn_commit(txn, err);
        else if (r == 0)
            change->no = 0;
        flagver_txn_free(txn);
    } while (r < 0 && flagver_error_class(r) == FLAGVER_CLASS_RETRY);
    return r;
}

static void *write_on(void *number)
{
    struct seed seed = { (uint64_t) * (int *)number };
    flagver_error problem;
    struct change change;
    uint32_t flag;
    int i, r;

    for (i = 0; i < CHANGES; i++) {
        flag = seed_below(&seed, FLAGS);
        change = (struct change){ .name = names[flag], .value = seed_below(&seed, 1000) };
        r = write_one(&change, i % 2, &problem);
        if (r < 0)
            return trouble("writing", r, &problem);
        atomic_fetch_add(&acknowledged[flag], change.no > 0);
    }
    return NULL;
}

/* ---- evaluating ---- */

static void *evaluate_on(void *unused)
{
    flagver_detail detail = { .size = sizeof detail };
    const flagver_bound *bound = NULL;
    int64_t last[FLAGS] = { 0 };
    uint32_t flag;
    int i;

    for (i = 0; !atomic_load(&over); i++) {
        flag = (uint32_t)i % FLAGS;
        flagver_flag_bool_detail(client, names[flag], NULL, false, &detail);
        if (detail.version < last[flag])
            return trouble("an older version is served", (int)detail.version, NULL);
        last[flag] = detail.version;
        if (i % 50 == 0 && flagver_flag_bind(client, names[flag], &bound, NULL) < 0)
            return trouble("binding", 0, NULL);
        flagver_bound_bool(bound, NULL, false);
        if (i % 400 == 0)
            flagver_thread_release();
        pause_us(10);
    }
    return unused;
}

/* ---- reading, refreshing, listening ---- */

static bool see(void *count, const flagver_version *version)
{
    *(uint32_t *)count += 1;
    return version->no == *(uint32_t *)count;
}

static void *read_on(void *unused)
{
    flagver_error problem;
    uint32_t count, before;
    char *text;
    int i, r;

    for (i = 0; !atomic_load(&over); i++) {
        count = 0;
        before = atomic_load(&acknowledged[i % FLAGS]);
        r = flagver_version_history(client, FLAGVER_PHASE_FLAG, names[i % FLAGS], NULL, see, &count,
                                    &problem);
        if (r < 0 || count < before)
            return trouble("history", r, &problem);
        r = flagver_client_health(client, &text, &problem);
        if (r < 0)
            return trouble("health", r, &problem);
        flagver_string_free(text);
        r = flagver_flags_export(client, &text, &problem);
        if (r < 0)
            return trouble("export", r, &problem);
        flagver_string_free(text);
        pause_us(200);
    }
    return unused;
}

static void *refresh_on(void *unused)
{
    flagver_error problem;
    int i, r;

    for (i = 0; !atomic_load(&over); i++) {
        r = flagver_client_refresh(client, &problem);
        if (r < 0)
            return trouble("refreshing", r, &problem);
        if (i % 8 == 0)
            flagver_flag_override(client, names[i / 8 % FLAGS], i % 16 ? "on" : NULL, NULL);
        pause_us(100);
    }
    for (i = 0; i < FLAGS; i++)
        flagver_flag_override(client, names[i], NULL, NULL);
    return unused;
}

static void be_told(void *listening, const char *const *keys, size_t count)
{
    if (!atomic_load((atomic_bool *)listening) || (count && !keys[0]))
        trouble("told of changes", (int)count, NULL);
    atomic_fetch_add(&news, 1);
}

static void *listen_on(void *unused)
{
    flagver_error problem;
    atomic_bool listening;
    int id;

    while (!atomic_load(&over)) {
        atomic_init(&listening, true);
        id = flagver_client_listen(client, be_told, &listening, &problem);
        if (id < 0)
            return trouble("listening", id, &problem);
        pause_us(300);
        flagver_client_unlisten(client, id);
        atomic_store(&listening, false);
    }
    return unused;
}

/* ---- other tenants ---- */

static void *open_tenants(void *unused)
{
    struct change change = { .name = "of a tenant" };
    flagver_client *tenant;
    flagver_error problem;
    int r;

    while (!atomic_load(&over)) {
        r = flagver_client_tenant(client, "other", &tenant, &problem);
        if (r < 0)
            return trouble("a tenant", r, &problem);
        r = flagver_txn_run(tenant, &actor, NULL, put, &change, &problem);
        if (r == 0)
            r = flagver_client_refresh(tenant, &problem);
        if (r < 0)
            return trouble("a tenant's change", r, &problem);
        flagver_flag_bool(tenant, change.name, NULL, false);
        flagver_close(tenant);
    }
    return unused;
}

/* ---- together ---- */

static void run_all(void)
{
    static void *(*const others[])(void *) = { evaluate_on, evaluate_on, read_on,
                                               refresh_on,  listen_on,   open_tenants };
    pthread_t writers[WRITERS], threads[sizeof others / sizeof *others];
    int numbers[WRITERS];
    size_t i;

    for (i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, others[i], NULL), 0);
    for (i = 0; i < WRITERS; i++) {
        numbers[i] = (int)i;
        ck_assert_int_eq(pthread_create(&writers[i], NULL, write_on, &numbers[i]), 0);
    }
    for (i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&over, true);
    for (i = 0; i < sizeof others / sizeof *others; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&troubles), 0);
}

static void assert_all_there(void)
{
    struct held held;
    uint32_t flag;

    ck_assert(held_read(client, &held));
    for (flag = 0; flag < FLAGS; flag++)
        ck_assert_uint_eq(held_find(&held, FLAGVER_PHASE_FLAG, names[flag])->count,
                          atomic_load(&acknowledged[flag]));
    held_free(&held);
}

START_TEST(threads_may_do_everything_at_once)
{
    const flagver_options options = { .size = sizeof options, .background = _i / 2, .poll_ms = 1 };
    atomic_bool listening = true;

    place = place_new();
    uris[1] = place.uri;
    assert_ok(flagver_open(uris[_i % 2], &options, &client, &error));
    ck_assert_int_gt(flagver_client_listen(client, be_told, &listening, &error), 0);
    run_all();
    assert_all_there();
    assert_ok(flagver_client_refresh(client, &error));
    flagver_close(client);
    ck_assert_int_gt(atomic_load(&news), 0);
    place_remove(&place);
}
END_TEST

/* ---- reopening ---- */

static void *reopen_on(void *unused)
{
    flagver_error problem;
    int i, r;

    for (i = 0; i < 10; i++) {
        r = flagver_client_reopen(client, &problem);
        if (r < 0)
            return trouble("reopening", r, &problem);
        pause_us(1000);
    }
    return unused;
}

START_TEST(threads_may_reopen_a_client_that_others_use)
{
    const flagver_options options = { .size = sizeof options, .background = 1, .poll_ms = 1 };
    static void *(*const bodies[])(void *) = { reopen_on, reopen_on, evaluate_on, listen_on };
    pthread_t threads[4], writer;
    int i, number = 0;

    place = place_new();
    assert_ok(flagver_open(place.uri, &options, &client, &error));
    ck_assert_int_eq(pthread_create(&writer, NULL, write_on, &number), 0);
    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, bodies[i], NULL), 0);
    pthread_join(writer, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    atomic_store(&over, true);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    ck_assert_int_eq(atomic_load(&troubles), 0);
    assert_all_there();
    flagver_close(client);
    place_remove(&place);
}
END_TEST

/* ---- opening and closing ---- */

static void *open_and_close(void *number)
{
    struct change change = { .name = names[*(int *)number % FLAGS] };
    flagver_options options = { .size = sizeof options, .poll_ms = 1 };
    flagver_client *mine;
    flagver_error problem;
    int i, r;

    for (i = 0; i < 10; i++) {
        options.background = i % 2;
        r = flagver_open(place.uri, &options, &mine, &problem);
        if (r < 0)
            return trouble("opening", r, &problem);
        r = flagver_txn_run(mine, &actor, NULL, put, &change, &problem);
        flagver_flag_bool(mine, change.name, NULL, false);
        flagver_flag_bool(client, change.name, NULL, false);
        flagver_close(mine);
        if (r < 0)
            return trouble("writing", r, &problem);
    }
    return NULL;
}

START_TEST(threads_may_have_a_store_open_each)
{
    pthread_t threads[4];
    int numbers[4], i;
    struct held held;

    place = place_new();
    assert_ok(flagver_open(place.uri, NULL, &client, &error));
    for (i = 0; i < 4; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, &numbers[i]), 0);
    }
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&troubles), 0);
    ck_assert(held_read(client, &held));
    ck_assert_uint_eq(held.leaves, 2 * 40);
    held_free(&held);
    flagver_close(client);
    place_remove(&place);
}
END_TEST

/* ---- transactions that are too slow ---- */

static void *hold_and_commit(void *unused)
{
    const flagver_txn_options slow = { .size = sizeof slow, .timeout_ms = 20 };
    struct change change = { .name = "a" };
    flagver_error problem;
    flagver_txn *txn;
    int i, r;

    for (i = 0; i < 10; i++) {
        r = flagver_txn_begin(client, &actor, &slow, &txn, &problem);
        if (r == 0)
            r = put(&change, txn, &problem);
        pause_us(i % 2 ? 40000 : 1000);
        if (r == 0)
            r = flagver_txn_commit(txn, &problem);
        flagver_txn_free(txn);
        if (r == 0)
            atomic_fetch_add(&acknowledged[0], 1);
        else if (r != FLAGVER_ETIMEDOUT && r != FLAGVER_EBUSY)
            return trouble("a slow transaction", r, &problem);
    }
    return unused;
}

/* Whoever waits, and the refresher, take back what is open for too long. */
START_TEST(slow_transactions_are_taken_back_by_others)
{
    const flagver_options options = { .size = sizeof options, .background = 1, .poll_ms = 5 };
    pthread_t threads[4];
    int number = 0, i;

    place = place_new();
    assert_ok(flagver_open(place.uri, &options, &client, &error));
    for (i = 0; i < 4; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, i < 3 ? hold_and_commit : write_on, &number), 0);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&troubles), 0);
    assert_all_there();
    flagver_close(client);
    place_remove(&place);
}
END_TEST

static Suite *store_suite(void)
{
    Suite *suite = suite_create("threads and stores");
    TCase *tests = tcase_create("at once");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, threads_may_do_everything_at_once, 0, 4);
    tcase_add_test(tests, threads_may_reopen_a_client_that_others_use);
    tcase_add_test(tests, threads_may_have_a_store_open_each);
    tcase_add_test(tests, slow_transactions_are_taken_back_by_others);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(store_suite());
}
