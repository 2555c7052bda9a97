/*
 * Clients of a store used by many threads: write, refresh, evaluate, look back, come and go,
 * all at once. Meant to be run under ThreadSanitizer; what it asserts by itself is
 * that a transaction is seen as a whole or not at all.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#include <pthread.h>
#include <stdatomic.h>

#define WRITES 25 /* of each writer */

static flagver_client *client;
static atomic_int writers, rounds;

static bool goes_on(void)
{
    return atomic_load(&writers) > 0;
}

static void must_work(int r, const flagver_error *err)
{
    ck_assert_msg(r >= 0, "%d %s", r, err->message);
}

/* ---- writers ---- */

static int put_pair(void *data, flagver_txn *txn, flagver_error *err)
{
    char json[100];
    int length = snprintf(json, sizeof json,
                          "{\"type\":\"integer\",\"variants\":{\"v\":%d},\"default\":\"v\"}",
                          *(const int *)data);
    int r = flagver_flag_put(txn, "a", json, (size_t)length, NULL, NULL, err);

    return r < 0 ? r : flagver_flag_put(txn, "b", json, (size_t)length, NULL, NULL, err);
}

static void *write_pairs(void *data)
{
    flagver_client *own = data ? data : client;
    flagver_error err = { .code = 0 };
    int i, number;

    for (i = 0; i < WRITES; i++) {
        number = atomic_fetch_add(&rounds, 1) + 1;
        must_work(flagver_txn_run(own, &alice, NULL, put_pair, &number, &err), &err);
    }
    atomic_fetch_sub(&writers, 1);
    return NULL;
}

/* ---- the others ---- */

static int64_t number_in(const flagver_snapshot *snapshot, const char *key)
{
    flagver_detail detail = { .size = sizeof detail };

    flagver_snapshot_evaluate(snapshot, key, 1, NULL, FLAGVER_TYPE_INT, &detail);
    return detail.error ? 0 : detail.value.integer;
}

static void *evaluate(void *unused)
{
    flagver_snapshot *snapshot;

    while (goes_on()) {
        snapshot = flagver_client_snapshot(client);
        ck_assert_int_eq(number_in(snapshot, "a"), number_in(snapshot, "b"));
        flagver_snapshot_free(snapshot);
        flagver_flag_int(client, "a", NULL, 0);
    }
    return unused;
}

static void *refresh(void *unused)
{
    flagver_error err = { .code = 0 };

    while (goes_on())
        must_work(flagver_client_refresh(client, &err), &err);
    return unused;
}

static void hear(void *data, const char *const *keys, size_t count)
{
    (void)data;
    ck_assert_uint_gt(count, 0);
    ck_assert_ptr_nonnull(keys[0]);
}

static bool look(void *data, const flagver_version *version)
{
    (void)data;
    return version->no > 0;
}

static void *look_around(void *unused)
{
    flagver_error err = { .code = 0 };
    flagver_snapshot *past;
    uint64_t next;
    int listener;
    char *text;

    while (goes_on()) {
        listener = flagver_client_listen(client, hear, NULL, &err);
        must_work(listener, &err);
        must_work(flagver_client_health(client, &text, &err), &err);
        flagver_string_free(text);
        must_work(flagver_version_list(client, FLAGVER_PHASE_FLAG, NULL, look, NULL, &err), &err);
        must_work(flagver_audit_log(client, 0, 5, ignore_entry, NULL, &next, &err), &err);
        must_work(flagver_snapshot_at(client, INT64_MAX, &past, &err), &err);
        ck_assert_int_eq(number_in(past, "a"), number_in(past, "b"));
        flagver_snapshot_free(past);
        flagver_client_unlisten(client, listener);
    }
    return unused;
}

static int put_one(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    return flagver_flag_put(txn, "own", "{\"type\":\"boolean\"}", 18, NULL, NULL, err);
}

static void *come_and_go(void *unused)
{
    flagver_error err = { .code = 0 };
    flagver_client *view;

    while (goes_on()) {
        must_work(flagver_client_tenant(client, "tenant", &view, &err), &err);
        must_work(flagver_txn_run(view, &bob, NULL, put_one, NULL, &err), &err);
        must_work(flagver_client_refresh(view, &err), &err);
        ck_assert(flagver_flag_bool(view, "own", NULL, false));
        flagver_close(view);
    }
    return unused;
}

static void *reopen(void *unused)
{
    flagver_error err = { .code = 0 };

    while (goes_on())
        must_work(flagver_client_reopen(client, &err), &err);
    return unused;
}

START_TEST(everything_at_once)
{
    void *(*const work[])(void *) = { evaluate, evaluate,    refresh, look_around,
                                      reopen,   come_and_go, reopen };
    int count = _i >= SHARED_KINDS ? COUNT(work) : 4; /* what is one client's cannot be reopened */
    pthread_t threads[COUNT(work)], first, second;
    flagver_options options = quiet_options();
    flagver_client *other = NULL;
    flagver_snapshot *last;
    int i;

    options.background = 1;
    options.poll_ms = 2;
    client = open_with(_i, &options);
    if (_i >= SHARED_KINDS)
        other = open_with(_i, &options);
    atomic_store(&writers, 2);
    ck_assert_int_eq(pthread_create(&first, NULL, write_pairs, NULL), 0);
    ck_assert_int_eq(pthread_create(&second, NULL, write_pairs, other), 0);
    for (i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work[i], NULL), 0);
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    for (i = 0; i < count; i++)
        pthread_join(threads[i], NULL);

    ck_assert_uint_eq(flag_no(client, "a"), 2 * WRITES);
    ck_assert_uint_eq(leaves_of(client), 8 * WRITES);
    assert_ok(flagver_client_refresh(client, &error));
    last = flagver_client_snapshot(client);
    ck_assert_int_gt(number_in(last, "a"), 0);
    flagver_snapshot_free(last);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

static Suite *stores_suite(void)
{
    Suite *suite = suite_create("threads of stores");
    TCase *all = add_store_tcase(suite, "all");

    /* Not the example: jansson looks at a reference count before it changes it atomically. */
    tcase_add_loop_test(all, everything_at_once, 0, JSONFILE_KIND);
    tcase_add_loop_test(all, everything_at_once, SHARED_KINDS, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(stores_suite());
}
