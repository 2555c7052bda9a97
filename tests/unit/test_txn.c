/*
 * Transactions: who may begin one, what ends it, who waits for whom, and what is
 * done only once.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep, mkdtemp */
#include "store/staging.h"
#include "stores.h"
#include "waiting.h"

#include <pthread.h>
#include <stdatomic.h>

/* Is over its time after this. */
static flagver_txn *begin_short(flagver_client *client, int32_t timeout_ms)
{
    const flagver_txn_options options = { .size = sizeof options, .timeout_ms = timeout_ms };

    return begin_as(client, &alice, &options);
}

static int put_simple(flagver_txn *txn, const char *key)
{
    return try_put(txn, FLAGVER_PHASE_FLAG, key, SIMPLE, NULL, NULL);
}

/* ---- beginning ---- */

static char long_text[300];

static void fill_long_text(void)
{
    memset(long_text, 'x', sizeof long_text - 1);
}

/* The last `length` bytes of it. */
static const char *text_of_length(size_t length)
{
    return long_text + sizeof long_text - 1 - length;
}

static const char *const no_roles[] = { NULL };
static const char *const empty_role[] = { "editor", "" };
static const char *const good_roles[] = { "editor", "of reports" };

static const struct {
    const char *label, *words;
    flagver_actor actor;
} bad_actors[] = {
    { "no size", "actor.size", { .id = "alice" } },
    { "a size that is none", "actor.size", { .size = sizeof(size_t) - 1, .id = "alice" } },
    { "no id", "actor.id", { .size = sizeof(flagver_actor) } },
    { "an empty id", "actor.id", { .size = sizeof(flagver_actor), .id = "" } },
    { "a control character", "byte 2", { .size = sizeof(flagver_actor), .id = "al\nice" } },
    { "a DEL", "byte 0", { .size = sizeof(flagver_actor), .id = "\x7f" } },
    { "no UTF-8", "UTF-8", { .size = sizeof(flagver_actor), .id = "al\xff" } },
    { "roles that are not there",
      "roles[0]",
      { .size = sizeof(flagver_actor), .id = "alice", .role_count = 1 } },
    { "a role that is NULL",
      "roles[0]",
      { .size = sizeof(flagver_actor), .id = "alice", .roles = no_roles, .role_count = 1 } },
    { "an empty role",
      "roles[1]",
      { .size = sizeof(flagver_actor), .id = "alice", .roles = empty_role, .role_count = 2 } },
};

START_TEST(a_malformed_actor_is_refused)
{
    flagver_client *client = open_store(0);
    flagver_txn *const untouched = (flagver_txn *)&error;
    flagver_txn *txn = untouched;

    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin(client, &bad_actors[_i].actor, NULL, &txn, &error));
    assert_words(bad_actors[_i].words);
    ck_assert_ptr_eq(txn, untouched);
    flagver_close(client);
}
END_TEST

START_TEST(a_transaction_needs_an_actor_of_up_to_255_bytes)
{
    flagver_client *client = open_store(0);
    flagver_actor actor = {
        .size = sizeof actor, .id = text_of_length(255), .roles = good_roles, .role_count = 2
    };
    flagver_txn *txn;

    assert_fails(FLAGVER_EINVAL, flagver_txn_begin(client, NULL, NULL, &txn, &error));
    flagver_txn_free(begin_as(client, &actor, NULL));
    actor.id = text_of_length(256);
    assert_fails(FLAGVER_EINVAL, flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_words("256 bytes; 1 to 255");
    flagver_close(client);
}
END_TEST

static const struct {
    const char *words;
    flagver_txn_options options;
} bad_options[] = {
    { "options.size", { .timeout_ms = 1 } },
    { "options.reserved", { .size = sizeof(flagver_txn_options), .reserved = 1 } },
    { "timeout_ms is -2", { .size = sizeof(flagver_txn_options), .timeout_ms = -2 } },
    { "idempotency_key", { .size = sizeof(flagver_txn_options), .idempotency_key = "" } },
    { "idempotency_key", { .size = sizeof(flagver_txn_options), .idempotency_key = "a\tb" } },
    { "256 bytes", { .size = sizeof(flagver_txn_options), .idempotency_key = long_text + 43 } },
};

START_TEST(malformed_options_are_refused)
{
    flagver_client *client = open_store(0);
    flagver_txn *txn;

    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin(client, &alice, &bad_options[_i].options, &txn, &error));
    assert_words(bad_options[_i].words);
    flagver_close(client);
}
END_TEST

START_TEST(what_a_transaction_is_begun_with_is_copied)
{
    char id[] = "alice", key[] = "key-1";
    flagver_actor actor = { .size = sizeof actor, .id = id };
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = key };
    flagver_client *client = open_store(0);
    flagver_txn *txn = begin_as(client, &actor, &options);
    flagver_version *version;

    memset(id, '?', sizeof id - 1);
    memset(key, '?', sizeof key - 1);
    ck_assert_int_eq(try_put(txn, FLAGVER_PHASE_FLAG, "f", SIMPLE, NULL, &version), 0);
    ck_assert_str_eq(version->created_by, "alice");
    flagver_version_free(version);
    commit(txn);
    txn = begin_with_key(client, "key-1");
    ck_assert_int_eq(put_simple(txn, "f"), 0);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_client_without_a_store_has_no_transactions)
{
    flagver_client *client = client_of("{'flags':{}}", NULL);
    flagver_txn *txn;

    assert_fails(FLAGVER_ENOTSUP, flagver_txn_begin(client, &alice, NULL, &txn, &error));
    flagver_close(client);
}
END_TEST

static int never_called(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    (void)txn;
    (void)err;
    ck_abort_msg("called");
    return 0;
}

START_TEST(null_arguments_are_refused)
{
    flagver_client *client = open_store(0);
    flagver_txn *txn;

    assert_fails(FLAGVER_EINVAL, flagver_txn_begin(NULL, &alice, NULL, &txn, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_begin(client, &alice, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_commit(NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_run(client, &alice, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_run(NULL, &alice, NULL, never_called, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_run(client, NULL, NULL, never_called, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_enable(NULL, "f", NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_txn_begin_on(client, NULL, NULL, 0, &alice, NULL, &txn, &error));
    flagver_txn_free(NULL);
    flagver_close(client);
}
END_TEST

/* ---- all or nothing ---- */

START_TEST(what_is_committed_is_there_and_not_before)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    ck_assert_int_eq(put_simple(txn, "a"), 0);
    ck_assert_int_eq(put_simple(txn, "b"), 0);
    if (_i >= SHARED_KINDS) /* in memory, who reads waits for the transaction's end */
        ck_assert_uint_eq(flag_no(client, "a"), 0);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    ck_assert_uint_eq(flag_no(client, "b"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(freeing_without_a_commit_rolls_back)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    ck_assert_int_eq(put_simple(txn, "a"), 0);
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 0);
    ck_assert_uint_eq(leaves_of(client), 0);
    put_flag(client, "a", SIMPLE); /* the next one may write, and its number is the first */
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_transaction_of_nothing_commits)
{
    flagver_client *client = open_store(_i);

    commit(begin(client));
    commit(begin_with_key(client, "key"));
    ck_assert_uint_eq(leaves_of(client), 0);
    flagver_close(client);
}
END_TEST

START_TEST(a_second_commit_is_refused)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    ck_assert_int_eq(put_simple(txn, "a"), 0);
    assert_ok(flagver_txn_commit(txn, &error));
    assert_fails(FLAGVER_EINVAL, flagver_txn_commit(txn, &error));
    assert_words("ended");
    assert_fails(FLAGVER_EINVAL, put_simple(txn, "b"));
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    ck_assert_uint_eq(flag_no(client, "b"), 0);
    flagver_close(client);
}
END_TEST

/* Every way to be refused, between operations that are not. */
START_TEST(refused_operations_leave_the_transaction_usable)
{
    const flagver_write_options expect_7 = { .size = sizeof expect_7, .expect_no = 7 };
    const flagver_write_options no_size = { .expect_no = 1 };
    const char *const users[] = { "u" };
    flagver_client *client = open_store(_i);
    flagver_txn *txn;
    uint64_t before;

    put_flag(client, "a", SIMPLE);
    before = leaves_of(client);
    txn = begin(client);
    put_flag_in(txn, "a", SHARE(1));
    assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_FLAG, "a", "{", NULL, NULL));
    assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_FLAG, "a", "{'type':1}", NULL, NULL));
    assert_fails(FLAGVER_EPARSE,
                 try_put(txn, FLAGVER_PHASE_FLAG, "a",
                         "{'type':'boolean','requires':[{'flag':'x','variant':'on'}]}", NULL,
                         NULL));
    assert_fails(FLAGVER_ECONFLICT, try_put(txn, FLAGVER_PHASE_FLAG, "a", SIMPLE, &expect_7, NULL));
    assert_fails(FLAGVER_ECONFLICT,
                 try_put(txn, FLAGVER_PHASE_FLAG, "new", SIMPLE, &expect_7, NULL));
    assert_fails(FLAGVER_EINVAL, try_put(txn, FLAGVER_PHASE_FLAG, "a", SIMPLE, &no_size, NULL));
    assert_fails(FLAGVER_EINVAL, try_put(txn, FLAGVER_PHASE_FLAG, "", SIMPLE, NULL, NULL));
    assert_fails(FLAGVER_ENOTFOUND, try_put(txn, "no.phase", "a", SIMPLE, NULL, NULL));
    put_flag_in(txn, "b", SIMPLE);
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_ramp(txn, "none", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_ramp(txn, "a", 101, NULL, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_revert(txn, "a", 9, NULL, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_delete(txn, "none", NULL, NULL, &error));
    assert_fails(FLAGVER_ESTATE,
                 flagver_version_withdraw(txn, FLAGVER_PHASE_FLAG, "a", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EFROZEN,
                 flagver_version_edit(txn, FLAGVER_PHASE_FLAG, "a", 2, "{\"type\":\"boolean\"}", 18,
                                      NULL, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_flag_beta_add(txn, "none", users, 1, NULL, NULL, &error));
    put_flag_in(txn, "a", SHARE(2));
    commit(txn);

    ck_assert_uint_eq(flag_no(client, "a"), 3);
    ck_assert_uint_eq(flag_no(client, "b"), 1);
    ck_assert_uint_eq(flag_no(client, "new"), 0);
    ck_assert_uint_eq(leaves_of(client), before + 6); /* create and submit, three times */
    flagver_close(client);
}
END_TEST

START_TEST(a_transaction_of_refused_operations_changes_nothing)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_FLAG, "a", "{", NULL, NULL));
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_ramp(txn, "a", 1, NULL, NULL, &error));
    commit(txn);
    ck_assert_uint_eq(leaves_of(client), 0);
    flagver_close(client);
}
END_TEST

/* More than are handed to a driver at once. */
START_TEST(a_large_transaction_is_one_transaction)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    char key[16];
    int i;

    for (i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "f%d", i);
        put_flag_in(txn, key, SIMPLE);
    }
    put_flag_in(txn, "f0", SHARE(1));
    flagver_txn_free(txn);
    ck_assert_uint_eq(leaves_of(client), 0);

    txn = begin(client);
    for (i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "f%d", i);
        put_flag_in(txn, key, SIMPLE);
    }
    put_flag_in(txn, "f0", SHARE(1));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f0"), 2);
    ck_assert_uint_eq(flag_no(client, "f299"), 1);
    ck_assert_uint_eq(leaves_of(client), 602);
    flagver_close(client);
}
END_TEST

/* ---- time ---- */

START_TEST(a_transaction_that_is_open_for_too_long_is_rolled_back)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_short(client, 30);

    if (put_simple(txn, "a") == 0)
        rest(40);
    assert_fails(FLAGVER_ETIMEDOUT, put_simple(txn, "b"));
    assert_words("longer than its timeout");
    assert_fails(FLAGVER_ETIMEDOUT, put_simple(txn, "b"));
    assert_words("longer than its timeout");
    assert_fails(FLAGVER_ETIMEDOUT, flagver_txn_commit(txn, &error));
    assert_words("longer than its timeout");
    flagver_txn_free(txn);
    ck_assert_uint_eq(leaves_of(client), 0);
    put_flag(client, "a", SIMPLE);
    flagver_close(client);
}
END_TEST

START_TEST(a_commit_comes_too_late_as_well)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_short(client, 30);

    if (put_simple(txn, "a") == 0)
        rest(40);
    assert_fails(FLAGVER_ETIMEDOUT, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    ck_assert_uint_eq(leaves_of(client), 0);
    flagver_close(client);
}
END_TEST

START_TEST(a_transaction_may_be_begun_for_as_long_as_it_likes)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_short(client, -1);

    ck_assert_int_eq(put_simple(txn, "a"), 0);
    rest(5);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    flagver_close(client);
}
END_TEST

/* Its time is over now, however long it has taken to get here. */
static void let_time_run_out(flagver_txn *txn)
{
    pthread_mutex_lock(&txn->lock);
    txn->deadline = fv_monotonic_ms() - 1;
    pthread_mutex_unlock(&txn->lock);
}

START_TEST(who_waits_takes_back_what_is_over_its_time)
{
    flagver_client *client = open_store(_i);
    flagver_txn *late = begin(client), *next = begin(client);

    ck_assert_int_eq(put_simple(late, "late"), 0);
    let_time_run_out(late);
    ck_assert_int_eq(put_simple(next, "next"), 0);
    assert_fails(FLAGVER_ETIMEDOUT, put_simple(late, "late"));
    commit(next);
    assert_fails(FLAGVER_ETIMEDOUT, flagver_txn_commit(late, &error));
    flagver_txn_free(late);
    ck_assert_uint_eq(flag_no(client, "late"), 0);
    ck_assert_uint_eq(flag_no(client, "next"), 1);
    flagver_close(client);
}
END_TEST

/* Nobody of this client asks for anything, and still others need not wait for ever. */
START_TEST(a_refresher_takes_back_what_is_over_its_time)
{
    flagver_options options = quiet_options();
    flagver_client *client, *other = open_store(_i);
    flagver_txn *late, *next = begin(other);

    options.background = 1;
    options.poll_ms = 5;
    client = open_with(_i, &options);
    late = begin(client);
    ck_assert_int_eq(put_simple(late, "late"), 0);
    let_time_run_out(late);
    ck_assert_int_eq(put_simple(next, "next"), 0);
    commit(next);
    assert_fails(FLAGVER_ETIMEDOUT, flagver_txn_commit(late, &error));
    flagver_txn_free(late);
    ck_assert_uint_eq(flag_no(client, "late"), 0);
    ck_assert_uint_eq(flag_no(client, "next"), 1);
    flagver_close(client);
    flagver_close(other);
}
END_TEST

START_TEST(who_waited_in_vain_is_told_so_again)
{
    flagver_options options = quiet_options();
    flagver_client *client;
    flagver_txn *first, *second;
    char words[FLAGVER_MESSAGE_SIZE];

    options.wait_ms = 20;
    client = open_with(_i, &options);
    put_flag(client, "a", SIMPLE);
    first = begin(client);
    second = begin(client);
    ck_assert_int_eq(put_simple(first, "a"), 0);
    assert_fails(FLAGVER_EBUSY, put_simple(second, "a"));
    strcpy(words, error.message);
    commit(first); /* too late for the other one */
    assert_fails(FLAGVER_EBUSY, put_simple(second, "a"));
    ck_assert_str_eq(error.message, words);
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(second, &error));
    ck_assert_str_eq(error.message, words);
    flagver_txn_free(second);
    ck_assert_uint_eq(flag_no(client, "a"), 2);
    put_flag(client, "a", SIMPLE);
    flagver_close(client);
}
END_TEST

START_TEST(an_error_is_repeated_to_those_who_did_not_want_its_words)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_short(client, 1);

    rest(3);
    ck_assert_int_eq(flagver_flag_enable(txn, "a", NULL, NULL, NULL), FLAGVER_ETIMEDOUT);
    assert_fails(FLAGVER_ETIMEDOUT, flagver_flag_enable(txn, "a", NULL, NULL, &error));
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

/* ---- threads ---- */

static void *put_a(void *txn)
{
    ck_assert_int_eq(put_simple(txn, "a"), 0);
    return NULL;
}

START_TEST(a_transaction_may_move_from_thread_to_thread)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    pthread_t thread;
    int i;

    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, put_a, txn), 0);
        pthread_join(thread, NULL);
    }
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 3);
    flagver_close(client);
}
END_TEST

#define WAITERS 6

struct waiter {
    flagver_client *client;
    pthread_t thread;
    char name[24];
};

static void *wait_and_put(void *data)
{
    struct waiter *waiter = data;
    const flagver_actor actor = { .size = sizeof actor, .id = waiter->name };
    flagver_error err = { .code = 0 };
    flagver_txn *txn;

    ck_assert_int_eq(flagver_txn_begin(waiter->client, &actor, NULL, &txn, &err), 0);
    ck_assert_int_eq(flagver_flag_put(txn, "f", "{\"type\":\"boolean\"}", 18, NULL, NULL, &err), 0);
    ck_assert_int_eq(flagver_txn_commit(txn, &err), 0);
    flagver_txn_free(txn);
    return NULL;
}

/* Where the library has a queue: in stores with one writer. The last in it changes when somebody has joined it. */
static void join_queue(struct waiter *waiter)
{
    struct fv_store *store = waiter->client->stored->store;
    const struct fv_waiter *before, *last;

    pthread_mutex_lock(&store->gate);
    before = store->last;
    pthread_mutex_unlock(&store->gate);
    ck_assert_int_eq(pthread_create(&waiter->thread, NULL, wait_and_put, waiter), 0);
    do {
        rest(1);
        pthread_mutex_lock(&store->gate);
        last = store->last;
        pthread_mutex_unlock(&store->gate);
    } while (last == before);
}

static bool compare_actor(void *data, const flagver_audit_entry *entry)
{
    struct waiter *waiters = data;
    const struct waiter *expected = &waiters[entry->no / 2 - 1];

    ck_assert_str_eq(entry->actor, expected->name);
    return true;
}

START_TEST(who_came_first_writes_first)
{
    flagver_client *client = open_store(_i);
    flagver_txn *first = begin(client);
    struct waiter waiters[WAITERS];
    int i;

    ck_assert_int_eq(put_simple(first, "f"), 0);
    for (i = 0; i < WAITERS; i++) {
        waiters[i].client = client;
        snprintf(waiters[i].name, sizeof waiters[i].name, "waiter %d", i);
        join_queue(&waiters[i]);
    }
    commit(first);
    for (i = 0; i < WAITERS; i++)
        pthread_join(waiters[i].thread, NULL);
    ck_assert_uint_eq(flag_no(client, "f"), WAITERS + 1);
    assert_ok(flagver_audit_log(client, 2, 0, compare_actor, waiters, NULL, &error));
    flagver_close(client);
}
END_TEST

#define WRITERS 4
#define ROUNDS 20

static int ramp_shared(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    return flagver_flag_put(txn, "shared", "{\"type\":\"boolean\"}", 18, NULL, NULL, err);
}

static void *write_often(void *client)
{
    flagver_error err = { .code = 0 };
    int i, r;

    for (i = 0; i < ROUNDS; i++) {
        r = flagver_txn_run(client, &bob, NULL, ramp_shared, NULL, &err);
        ck_assert_msg(r == 0, "%d %s", r, err.message);
    }
    return NULL;
}

static bool count_up(void *data, const flagver_version *version)
{
    uint32_t *last = data;

    ck_assert_uint_eq(version->no, *last + 1);
    *last = version->no;
    return true;
}

START_TEST(writers_at_once_leave_numbers_without_a_gap)
{
    flagver_client *client = open_store(_i);
    pthread_t threads[WRITERS];
    uint32_t last = 0;
    int i;

    for (i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_often, client), 0);
    for (i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_ok(flagver_version_history(client, FLAGVER_PHASE_FLAG, "shared", NULL, count_up, &last,
                                      &error));
    ck_assert_uint_eq(last, WRITERS * ROUNDS);
    ck_assert_uint_eq(leaves_of(client), 2 * WRITERS * ROUNDS);
    flagver_close(client);
}
END_TEST

/* As two processes would: only the database stands between them. */
START_TEST(writers_of_two_clients_leave_numbers_without_a_gap)
{
    flagver_client *clients[2] = { open_store(_i), open_store(_i) };
    pthread_t threads[2];
    uint32_t last = 0;
    int i;

    for (i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_often, clients[i]), 0);
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_ok(flagver_version_history(clients[0], FLAGVER_PHASE_FLAG, "shared", NULL, count_up,
                                      &last, &error));
    ck_assert_uint_eq(last, 2 * ROUNDS);
    ck_assert_uint_eq(leaves_of(clients[1]), 4 * ROUNDS);
    flagver_close(clients[0]);
    flagver_close(clients[1]);
}
END_TEST

static void *write_once(void *client)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = "key" };
    flagver_error err = { .code = 0 };
    int r = flagver_txn_run(client, &bob, &options, ramp_shared, NULL, &err);

    ck_assert_msg(r == 0, "%d %s", r, err.message);
    return NULL;
}

START_TEST(the_same_thing_at_once_takes_place_once)
{
    flagver_client *client = open_store(_i), *other;
    pthread_t threads[WRITERS];
    int i;

    other = _i >= SHARED_KINDS ? open_store(_i) : client;
    for (i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_once, i % 2 ? client : other), 0);
    for (i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(flag_no(client, "shared"), 1);
    ck_assert_uint_eq(leaves_of(client), 2);
    if (other != client)
        flagver_close(other);
    flagver_close(client);
}
END_TEST

/* ---- idempotency ---- */

/* One operation of each kind; their results one after the other. */
static void do_everything(flagver_txn *txn, uint32_t numbers[16])
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":5}";
    static const char schedule[] =
        "{\"interpolate\":\"step\",\"steps\":[{\"at\":\"2030-01-01T00:00:00Z\",\"percentage\":1}]}";
    static const char segment[] = "{\"include\":[\"bob\"]}";
    static const char file[] = "{\"flags\":{\"filed\":{\"type\":\"boolean\"}}}";
    static const char *const users[] = { "u1", "u2" };
    const flagver_write_options note = { .size = sizeof note, .note = "why" };
    uint32_t *at = numbers;
    flagver_version *version;
    int steps;

    assert_ok(flagver_flag_put(txn, "f", json, strlen(json), &note, at++, &error));
    assert_ok(flagver_segment_put(txn, "s", segment, strlen(segment), NULL, at++, &error));
    assert_ok(flagver_flag_disable(txn, "f", NULL, at++, &error));
    assert_ok(flagver_flag_enable(txn, "f", NULL, at++, &error));
    assert_ok(flagver_flag_ramp(txn, "f", 12.5, NULL, at++, &error));
    assert_ok(flagver_flag_beta_add(txn, "f", users, 2, NULL, at++, &error));
    assert_ok(flagver_flag_beta_remove(txn, "f", users, 1, NULL, at++, &error));
    assert_ok(flagver_flag_schedule(txn, "f", schedule, strlen(schedule), NULL, at++, &error));
    assert_ok(flagver_flag_release(txn, "f", NULL, at++, &error));
    assert_ok(flagver_flag_revert(txn, "f", 1, NULL, at++, &error));
    assert_ok(flagver_version_create(txn, FLAGVER_PHASE_FLAG, "f", json, strlen(json), NULL,
                                     &version, &error));
    *at++ = version->no;
    flagver_version_free(version);
    assert_ok(flagver_version_edit(txn, FLAGVER_PHASE_FLAG, "f", at[-1], json, strlen(json), NULL,
                                   NULL, &error));
    assert_ok(flagver_version_submit(txn, FLAGVER_PHASE_FLAG, "f", at[-1], NULL, NULL, &error));
    assert_ok(flagver_version_create(txn, FLAGVER_PHASE_FLAG, "f", json, strlen(json), NULL,
                                     &version, &error));
    *at++ = version->no;
    flagver_version_free(version);
    assert_ok(flagver_version_withdraw(txn, FLAGVER_PHASE_FLAG, "f", at[-1], &note, NULL, &error));
    steps = flagver_flags_apply(txn, file, strlen(file), "file", false, NULL, &error);
    ck_assert_msg(steps == 1, "apply: %d %s", steps, error.message);
    *at++ = (uint32_t)steps;
    assert_ok(flagver_flag_delete(txn, "f", NULL, at++, &error));
    assert_ok(flagver_segment_delete(txn, "s", NULL, at++, &error));
    *at = 0;
}

START_TEST(running_it_again_returns_what_it_returned_then)
{
    flagver_client *client = open_store(_i);
    uint32_t first[16] = { 0 }, second[16] = { 0 };
    flagver_txn *txn = begin_with_key(client, "key");
    uint64_t leaves;

    do_everything(txn, first);
    commit(txn);
    put_flag(client, "filed", SHARE(1)); /* the world goes on */
    put_flag(client, "f", SIMPLE);
    leaves = leaves_of(client);

    txn = begin_with_key(client, "key");
    do_everything(txn, second);
    commit(txn);
    ck_assert_mem_eq(first, second, sizeof first);
    ck_assert_uint_eq(leaves_of(client), leaves);
    flagver_close(client);
}
END_TEST

START_TEST(a_key_is_known_to_other_clients_of_the_store)
{
    flagver_client *one = open_store(_i), *two;
    flagver_txn *txn = begin_with_key(one, "key");

    put_flag_in(txn, "f", SIMPLE);
    commit(txn);
    flagver_close(one);
    two = open_store(_i);
    txn = begin_with_key(two, "key");
    put_flag_in(txn, "f", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(two, "f"), 1);
    flagver_close(two);
}
END_TEST

START_TEST(a_replayed_operation_hands_out_its_version)
{
    flagver_client *client = open_store(_i);
    flagver_version *first, *second;
    flagver_txn *txn = begin_with_key(client, "key");

    ck_assert_int_eq(try_put(txn, FLAGVER_PHASE_FLAG, "f", SHARE(1), NULL, &first), 0);
    commit(txn);
    put_flag(client, "f", SHARE(2));
    txn = begin_with_key(client, "key");
    ck_assert_int_eq(try_put(txn, FLAGVER_PHASE_FLAG, "f", SHARE(1), NULL, &second), 0);
    commit(txn);
    ck_assert_str_eq(first->id, second->id);
    ck_assert_uint_eq(second->no, 1);
    ck_assert_str_eq(first->payload, second->payload);
    flagver_version_free(first);
    flagver_version_free(second);
    flagver_close(client);
}
END_TEST

static flagver_client *with_two_recorded(int kind)
{
    flagver_client *client = open_store(kind);
    flagver_txn *txn = begin_with_key(client, "key");

    put_flag_in(txn, "a", SIMPLE);
    put_flag_in(txn, "b", SIMPLE);
    commit(txn);
    return client;
}

START_TEST(fewer_operations_under_a_key_are_refused_at_the_commit)
{
    flagver_client *client = with_two_recorded(_i);
    flagver_txn *txn = begin_with_key(client, "key");

    put_flag_in(txn, "a", SIMPLE);
    assert_fails(FLAGVER_EIDEM, flagver_txn_commit(txn, &error));
    assert_words("2 operations were recorded, not 1");
    flagver_txn_free(txn);
    ck_assert_uint_eq(leaves_of(client), 4);
    flagver_close(client);
}
END_TEST

START_TEST(more_operations_under_a_key_are_refused)
{
    flagver_client *client = with_two_recorded(_i);
    flagver_txn *txn = begin_with_key(client, "key");

    put_flag_in(txn, "a", SIMPLE);
    put_flag_in(txn, "b", SIMPLE);
    assert_fails(FLAGVER_EIDEM, put_simple(txn, "c"));
    assert_words("operation 3");
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "c"), 0);
    flagver_close(client);
}
END_TEST

START_TEST(other_operations_under_a_key_are_refused)
{
    const flagver_write_options note = { .size = sizeof note, .note = "" };
    const flagver_write_options expect = { .size = sizeof expect, .expect_no = 1 };
    flagver_client *client = with_two_recorded(_i);
    flagver_txn *txn = begin_with_key(client, "key");

    assert_fails(FLAGVER_EIDEM, put_simple(txn, "b")); /* in another order */
    assert_fails(FLAGVER_EIDEM, try_put(txn, FLAGVER_PHASE_FLAG, "a", SHARE(1), NULL, NULL));
    assert_fails(FLAGVER_EIDEM, try_put(txn, FLAGVER_PHASE_FLAG, "a", SIMPLE, &note, NULL));
    assert_fails(FLAGVER_EIDEM, try_put(txn, FLAGVER_PHASE_FLAG, "a", SIMPLE, &expect, NULL));
    assert_fails(FLAGVER_EIDEM,
                 try_put(txn, FLAGVER_PHASE_SEGMENT, "a", "{'include':['x']}", NULL, NULL));
    assert_fails(FLAGVER_EIDEM, flagver_flag_enable(txn, "a", NULL, NULL, &error));
    assert_fails(FLAGVER_EIDEM, flagver_flags_apply(txn, "{}", 2, NULL, false, NULL, &error));
    put_flag_in(txn, "a", SIMPLE); /* a refusal has changed nothing */
    put_flag_in(txn, "b", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(leaves_of(client), 4);
    flagver_close(client);
}
END_TEST

START_TEST(what_was_rolled_back_is_not_recorded)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_with_key(client, "key");

    put_flag_in(txn, "a", SIMPLE);
    flagver_txn_free(txn);
    txn = begin_with_key(client, "key");
    put_flag_in(txn, "b", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 0);
    ck_assert_uint_eq(flag_no(client, "b"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(what_was_refused_is_refused_again)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;
    int run;

    for (run = 0; run < 2; run++) {
        txn = begin_with_key(client, "key");
        assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_FLAG, "a", "[]", NULL, NULL));
        put_flag_in(txn, "a", SIMPLE);
        assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_FLAG, "b", "[]", NULL, NULL));
        commit(txn);
        ck_assert_uint_eq(flag_no(client, "a"), 1);
    }
    txn = begin_with_key(client, "key");
    assert_fails(FLAGVER_EIDEM, try_put(txn, FLAGVER_PHASE_FLAG, "a", SIMPLE, NULL, NULL));
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

static int apply_to(flagver_client *client, const char *json)
{
    flagver_txn *txn = begin_with_key(client, "key");
    char *text = quoted(json);
    int steps = flagver_flags_apply(txn, text, strlen(text), NULL, false, NULL, &error);

    free(text);
    ck_assert_msg(steps >= 0, "apply: %s", error.message);
    commit(txn);
    return steps;
}

START_TEST(an_operation_that_had_nothing_to_do_has_nothing_to_do_again)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "a", SIMPLE);
    ck_assert_int_eq(apply_to(client, "{'flags':{'a':" SIMPLE "}}"), 0);
    put_flag(client, "a", SHARE(1));
    ck_assert_int_eq(apply_to(client, "{'flags':{'a':" SIMPLE "}}"), 0);
    ck_assert_uint_eq(flag_no(client, "a"), 2);
    flagver_close(client);
}
END_TEST

START_TEST(keys_of_different_tenants_do_not_meet)
{
    flagver_client *one = open_store(_i), *two;
    flagver_txn *txn = begin_with_key(one, "key");

    assert_ok(flagver_client_tenant(one, "other", &two, &error));
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    txn = begin_with_key(two, "key");
    put_flag_in(txn, "b", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(one, "b"), 0);
    ck_assert_uint_eq(flag_no(two, "b"), 1);
    flagver_close(one);
    flagver_close(two);
}
END_TEST

#define DAY_MS (INT64_C(24) * 3600 * 1000)

START_TEST(a_key_is_kept_for_seven_days)
{
    int64_t now = time_of("2026-03-01T12:00:00Z");
    flagver_options options = quiet_options();
    flagver_client *client;
    flagver_txn *txn;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    txn = begin_with_key(client, "key");
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);

    now += 7 * DAY_MS - 1000;
    put_flag(client, "other", SIMPLE);
    txn = begin_with_key(client, "key");
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 1);

    now += DAY_MS;
    put_flag(client, "other", SIMPLE);
    txn = begin_with_key(client, "key");
    put_flag_in(txn, "a", SHARE(3)); /* no replay any more */
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 2);
    flagver_close(client);
}
END_TEST

/* Some commits throw away keys that are too old: not the one that they write. */
START_TEST(a_key_that_was_used_long_ago_is_used_again_by_any_commit)
{
    int64_t now = time_of("2026-03-01T12:00:00Z");
    flagver_options options = quiet_options();
    flagver_client *client;
    flagver_txn *txn;
    char key[16];
    int i, round;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    for (round = 0; round < 2; round++, now += 8 * DAY_MS)
        for (i = 0; i < 65; i++) {
            snprintf(key, sizeof key, "key %d", i);
            txn = begin_with_key(client, key);
            put_flag_in(txn, "a", i % 2 ? SHARE(1) : SHARE(2));
            commit(txn);
        }
    flagver_close(client);
}
END_TEST

/* ---- running it several times ---- */

struct run {
    int calls;
    int failures; /* of the first calls */
    int code;     /* of a failure */
    bool before;  /* it fails before its operation, not behind it */
};

static int run_some(void *data, flagver_txn *txn, flagver_error *err)
{
    struct run *run = data;
    int r = 0;

    run->calls++;
    if (run->before && run->calls <= run->failures)
        return run->code;
    r = flagver_flag_put(txn, "f", "{\"type\":\"boolean\"}", 18, NULL, NULL, err);
    return run->calls <= run->failures ? run->code : r;
}

static const struct {
    const char *label;
    int code, failures; /* of `run`'s */
    int result, calls;
    uint32_t number; /* that is in force afterwards */
} runs[] = {
    { "success", 0, 0, 0, 1, 1 },
    { "busy twice", FLAGVER_EBUSY, 2, 0, 3, 1 },
    { "busy nine times", FLAGVER_EBUSY, 9, 0, 10, 1 },
    { "busy for ever", FLAGVER_EBUSY, 99, FLAGVER_EBUSY, 10, 0 },
    { "memory short once", FLAGVER_ENOMEM, 1, 0, 2, 1 },
    { "unknown once", FLAGVER_EUNKNOWN, 1, 0, 2, 1 },
    { "a mistake", FLAGVER_EINVAL, 1, FLAGVER_EINVAL, 1, 0 },
    { "a conflict", FLAGVER_ECONFLICT, 1, FLAGVER_ECONFLICT, 1, 0 },
    { "over its time", FLAGVER_ETIMEDOUT, 1, FLAGVER_ETIMEDOUT, 1, 0 },
    { "a code of the host's", -4711, 1, -4711, 1, 0 },
};

START_TEST(a_run_is_tried_again_when_that_may_help)
{
    flagver_client *client = open_store(0);
    int before;

    for (before = 0; before < 2; before++) {
        struct run run = { 0, runs[_i].failures, runs[_i].code, before };
        uint32_t number = runs[_i].number * (uint32_t)(before + 1);
        int r = flagver_txn_run(client, &alice, NULL, run_some, &run, NULL);

        ck_assert_msg(r == runs[_i].result, "%s: %d", runs[_i].label, r);
        ck_assert_msg(run.calls == runs[_i].calls, "%s: %d calls", runs[_i].label, run.calls);
        ck_assert_uint_eq(flag_no(client, "f"), number);
    }
    flagver_close(client);
}
END_TEST

START_TEST(a_run_under_a_key_takes_place_once)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = "key" };
    flagver_client *client = open_store(_i);
    struct run run = { 0, 0, 0, false };

    assert_ok(flagver_txn_run(client, &alice, &options, run_some, &run, &error));
    assert_ok(flagver_txn_run(client, &alice, &options, run_some, &run, &error));
    ck_assert_int_eq(run.calls, 2);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

static int run_for_too_long(void *data, flagver_txn *txn, flagver_error *err)
{
    ++*(int *)data;
    flagver_flag_put(txn, "f", "{\"type\":\"boolean\"}", 18, NULL, NULL, err);
    rest(40);
    return 0;
}

START_TEST(a_run_that_takes_too_long_is_not_tried_again)
{
    const flagver_txn_options options = { .size = sizeof options, .timeout_ms = 30 };
    flagver_client *client = open_store(_i);
    int calls = 0;

    assert_fails(FLAGVER_ETIMEDOUT,
                 flagver_txn_run(client, &alice, &options, run_for_too_long, &calls, &error));
    ck_assert_int_eq(calls, 1);
    ck_assert_uint_eq(flag_no(client, "f"), 0);
    flagver_close(client);
}
END_TEST

/* What `run` hides the commit finds. */
static int run_and_hide(void *data, flagver_txn *txn, flagver_error *err)
{
    const flagver_client *client = data;

    (void)err;
    if (client->stored->store->writer)
        flagver_flag_put(txn, "f", "{\"type\":\"boolean\"}", 18, NULL, NULL, NULL);
    return 0;
}

START_TEST(an_error_that_a_run_keeps_to_itself_counts_all_the_same)
{
    flagver_options options = quiet_options();
    flagver_client *client;
    flagver_txn *writer;

    options.wait_ms = 1;
    client = open_with(_i, &options);
    writer = begin(client);
    put_flag_in(writer, "w", SIMPLE);
    assert_fails(FLAGVER_EBUSY,
                 flagver_txn_run(client, &alice, NULL, run_and_hide, client, &error));
    flagver_txn_free(writer);
    flagver_close(client);
}
END_TEST

/* A first try whose commit nobody knows of takes place while the second one is under way. */
struct late {
    flagver_client *client;
    int calls;
    uint32_t no;
};

static int submit_late(void *data, flagver_txn *txn, flagver_error *err)
{
    struct late *late = data;
    flagver_txn *first;

    if (++late->calls == 1)
        return FLAGVER_EUNKNOWN;
    if (late->calls == 2) {
        assert_ok(flagver_flag_enable(txn, "other", NULL, NULL, &error)); /* begins it */
        first = begin_with_key(late->client, "key");
        assert_ok(
            flagver_version_submit(first, FLAGVER_PHASE_FLAG, "f", late->no, NULL, NULL, &error));
        commit(first);
    }
    return flagver_version_submit(txn, FLAGVER_PHASE_FLAG, "f", late->no, NULL, NULL, err);
}

START_TEST(what_took_place_late_is_not_called_refused)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = "key" };
    struct late late = { .client = open_store(_i) };
    flagver_version *version;
    flagver_txn *txn;

    if (!(late.client->stored->store->driver->capabilities & FLAGVER_DRIVER_ONE_WRITER)) {
        put_flag(late.client, "other", SIMPLE);
        txn = begin(late.client);
        assert_ok(flagver_version_create(txn, FLAGVER_PHASE_FLAG, "f", json, strlen(json), NULL,
                                         &version, &error));
        late.no = version->no;
        flagver_version_free(version);
        commit(txn);
        assert_ok(flagver_txn_run(late.client, &alice, &options, submit_late, &late, &error));
        ck_assert_int_eq(late.calls, 3);
    }
    flagver_close(late.client);
}
END_TEST

/* ---- a store that fails ---- */

static void fail_next(int call, int code)
{
    flagver_fault_fail(fault, call, 1, code, false);
}

static void fail_always(int call, int code)
{
    flagver_fault_fail(fault, call, 1, code, true);
}

START_TEST(a_lost_answer_to_a_commit_that_took_place_is_found_out)
{
    flagver_client *client = open_store(FAULT_KIND);

    flagver_fault_lie(fault, 1, FLAGVER_FAULT_DONE);
    put_flag(client, "f", SIMPLE);
    ck_assert_uint_eq(flagver_fault_calls(fault, FLAGVER_FAULT_OUTCOME), 1);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_lost_answer_to_a_commit_that_did_not_take_place_is_found_out)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn = begin(client);

    flagver_fault_lie(fault, 1, FLAGVER_FAULT_NOT_DONE);
    put_flag_in(txn, "f", SIMPLE);
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    assert_words("nothing has happened");
    assert_fails(FLAGVER_EINVAL, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    put_flag(client, "f", SIMPLE);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

/* The row of the key that was used then is still there, whatever becomes of this commit. */
START_TEST(a_lost_commit_under_a_key_that_was_used_long_ago_is_found_out)
{
    int64_t now = time_of("2026-03-01T12:00:00Z");
    flagver_options options = quiet_options();
    flagver_client *client;
    flagver_txn *txn;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(FAULT_KIND, &options);
    put_flag(client, "other", SIMPLE);
    txn = begin_with_key(client, "key");
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    now += 8 * DAY_MS;
    txn = begin_with_key(client, "key");
    put_flag_in(txn, "a", SHARE(3));
    flagver_fault_lie(fault, 1, _i);
    if (_i == FLAGVER_FAULT_DONE)
        assert_ok(flagver_txn_commit(txn, &error));
    else
        assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "a"), _i == FLAGVER_FAULT_DONE ? 2 : 1);
    txn = begin_with_key(client, "key");
    put_flag_in(txn, "a", SHARE(3));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 2);
    flagver_close(client);
}
END_TEST

START_TEST(an_outcome_that_stays_unknown_is_called_so)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn = begin_with_key(client, "key");

    flagver_fault_lie(fault, 1, FLAGVER_FAULT_DONE);
    fail_always(FLAGVER_FAULT_OUTCOME, FLAGVER_EUNAVAILABLE);
    put_flag_in(txn, "f", SIMPLE);
    assert_fails(FLAGVER_EUNKNOWN, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    txn = begin_with_key(client, "key"); /* as the header advises */
    put_flag_in(txn, "f", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

/* What befalls a run, `times` times; `lie`: at the commit. */
struct mishap {
    const char *label;
    int call, code, lie, times;
    bool outcome_is_away;
    int calls; /* of the run until it is through */
};

static const struct mishap mishaps[] = {
    { "it took place, as was found out", 0, 0, FLAGVER_FAULT_DONE, 1, false, 1 },
    { "it took place, and nobody knew", 0, 0, FLAGVER_FAULT_DONE, 1, true, 2 },
    { "it did not, as was found out", 0, 0, FLAGVER_FAULT_NOT_DONE, 2, false, 3 },
    { "it did not, and nobody knew", 0, 0, FLAGVER_FAULT_NOT_DONE, 2, true, 3 },
    { "no room for it", FLAGVER_FAULT_COMMIT, FLAGVER_EIO, 0, 3, false, 4 },
    { "somebody was faster", FLAGVER_FAULT_APPLY, FLAGVER_ECONFLICT, 0, 2, false, 3 },
    { "the store was away", FLAGVER_FAULT_BEGIN, FLAGVER_EUNAVAILABLE, 0, 4, false, 5 },
    { "the series was locked", FLAGVER_FAULT_LOCK, FLAGVER_EBUSY, 0, 1, false, 2 },
    { "the log was locked", FLAGVER_FAULT_LOCK_LOG, FLAGVER_EBUSY, 0, 9, false, 10 },
    { "a read failed", FLAGVER_FAULT_SCAN, FLAGVER_EIO, 0, 1, false, 2 },
    { "memory was short", FLAGVER_FAULT_NEXT, FLAGVER_ENOMEM, 0, 1, false, 2 },
};

static const struct mishap *mishap;

static int run_with_mishaps(void *data, flagver_txn *txn, flagver_error *err)
{
    int *calls = data;

    if (++*calls <= mishap->times && mishap->lie)
        flagver_fault_lie(fault, 1, mishap->lie);
    else if (*calls <= mishap->times)
        fail_next(mishap->call, mishap->code);
    return flagver_flag_put(txn, "f", "{\"type\":\"boolean\",\"percentage\":1}", 33, NULL, NULL,
                            err);
}

START_TEST(a_run_applies_nothing_twice_whatever_gets_lost)
{
    flagver_client *client = open_store(FAULT_KIND);
    int calls = 0;

    put_flag(client, "f", SIMPLE);
    mishap = &mishaps[_i];
    if (mishap->outcome_is_away)
        fail_always(FLAGVER_FAULT_OUTCOME, FLAGVER_EUNAVAILABLE);
    assert_ok(flagver_txn_run(client, &alice, NULL, run_with_mishaps, &calls, &error));
    ck_assert_msg(calls == mishap->calls, "%s: %d calls", mishap->label, calls);
    ck_assert_uint_eq(flag_no(client, "f"), 2);
    ck_assert_uint_eq(leaves_of(client), 4);
    flagver_close(client);
}
END_TEST

START_TEST(a_store_that_is_away_ends_the_transaction)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn = begin(client);

    fail_next(FLAGVER_FAULT_BEGIN, FLAGVER_EUNAVAILABLE);
    assert_fails(FLAGVER_EUNAVAILABLE, put_simple(txn, "f"));
    assert_fails(FLAGVER_EUNAVAILABLE, put_simple(txn, "f"));
    assert_words("asked for");
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_txn_commit(txn, &error));
    assert_words("asked for");
    flagver_txn_free(txn);
    put_flag(client, "f", SIMPLE);
    flagver_close(client);
}
END_TEST

/* ESCHEMA is a mistake of the host's, and yet there is no transaction to go on with. */
START_TEST(a_transaction_that_could_not_begin_does_not_go_on)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn = begin(client);

    fail_next(FLAGVER_FAULT_BEGIN, FLAGVER_ESCHEMA);
    assert_fails(FLAGVER_ESCHEMA, put_simple(txn, "f"));
    assert_fails(FLAGVER_ESCHEMA, put_simple(txn, "f"));
    assert_fails(FLAGVER_ESCHEMA, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    ck_assert_uint_eq(leaves_of(client), 0);
    flagver_close(client);
}
END_TEST

/* Whatever the driver says: half of an operation may have been done. */
START_TEST(what_the_store_refuses_ends_the_transaction)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn = begin(client);

    put_flag_in(txn, "b", SIMPLE);
    fail_next(FLAGVER_FAULT_LOCK, FLAGVER_ESCHEMA);
    assert_fails(FLAGVER_ESCHEMA, put_simple(txn, "a"));
    assert_fails(FLAGVER_ESCHEMA, put_simple(txn, "c"));
    assert_fails(FLAGVER_ESCHEMA, flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "b"), 0);
    flagver_close(client);
}
END_TEST

START_TEST(a_version_is_never_made_by_half)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn;

    put_flag(client, "f", SIMPLE);
    txn = begin(client);
    fail_next(FLAGVER_FAULT_SCAN, FLAGVER_ESCHEMA); /* when the one in force is looked at */
    assert_fails(FLAGVER_ESCHEMA, put_simple(txn, "f"));
    ck_assert_int_lt(flagver_txn_commit(txn, &error), 0);
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(no_text_is_refused_with_and_without_a_key)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin_with_key(client, "key");

    assert_fails(FLAGVER_EINVAL, flagver_flag_put(txn, "f", NULL, 5, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_put(txn, FLAGVER_PHASE_FLAG, "f", NULL, 0, NULL, NULL, &error));
    put_flag_in(txn, "f", SIMPLE);
    assert_ok(flagver_flag_schedule(txn, "f", NULL, 9, NULL, NULL, &error));
    commit(txn);
    flagver_close(client);
}
END_TEST

START_TEST(a_commit_that_failed_leaves_the_way_free)
{
    flagver_client *client = open_store(FAULT_KIND);
    flagver_txn *txn = begin(client);

    fail_next(FLAGVER_FAULT_COMMIT, FLAGVER_EIO);
    put_flag_in(txn, "f", SIMPLE);
    assert_fails(FLAGVER_EIO, flagver_txn_commit(txn, &error));
    put_flag(client, "f", SIMPLE); /* before the other one is freed */
    flagver_txn_free(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_driver_that_cannot_enlist_says_so)
{
    flagver_client *client = open_store(JSONFILE_KIND);
    flagver_txn *txn;

    assert_fails(FLAGVER_ENOTSUP,
                 flagver_txn_begin_on(client, client, NULL, 0, &alice, NULL, &txn, &error));
    assert_words("jsonfile");
    flagver_close(client);
}
END_TEST

static Suite *txn_suite(void)
{
    Suite *suite = suite_create("txn");
    TCase *beginning = add_store_tcase(suite, "beginning"),
          *whole = add_store_tcase(suite, "all or nothing"), *time = add_store_tcase(suite, "time"),
          *threads = add_store_tcase(suite, "threads"),
          *idempotency = add_store_tcase(suite, "idempotency"),
          *running = add_store_tcase(suite, "running"), *faults = add_store_tcase(suite, "faults");

    tcase_add_unchecked_fixture(beginning, fill_long_text, NULL);
    tcase_add_loop_test(beginning, a_malformed_actor_is_refused, 0, COUNT(bad_actors));
    tcase_add_test(beginning, a_transaction_needs_an_actor_of_up_to_255_bytes);
    tcase_add_loop_test(beginning, malformed_options_are_refused, 0, COUNT(bad_options));
    tcase_add_test(beginning, what_a_transaction_is_begun_with_is_copied);
    tcase_add_test(beginning, a_client_without_a_store_has_no_transactions);
    tcase_add_test(beginning, null_arguments_are_refused);

    tcase_add_loop_test(whole, what_is_committed_is_there_and_not_before, 0, STORE_KINDS);
    tcase_add_loop_test(whole, freeing_without_a_commit_rolls_back, 0, STORE_KINDS);
    tcase_add_loop_test(whole, a_transaction_of_nothing_commits, 0, STORE_KINDS);
    tcase_add_loop_test(whole, a_second_commit_is_refused, 0, STORE_KINDS);
    tcase_add_loop_test(whole, refused_operations_leave_the_transaction_usable, 0, STORE_KINDS);
    tcase_add_loop_test(whole, a_transaction_of_refused_operations_changes_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(whole, a_large_transaction_is_one_transaction, 0, STORE_KINDS);

    tcase_add_loop_test(time, a_transaction_that_is_open_for_too_long_is_rolled_back, 0,
                        STORE_KINDS);
    tcase_add_loop_test(time, a_commit_comes_too_late_as_well, 0, STORE_KINDS);
    tcase_add_loop_test(time, a_transaction_may_be_begun_for_as_long_as_it_likes, 0, STORE_KINDS);
    tcase_add_loop_test(time, who_waits_takes_back_what_is_over_its_time, 0, STORE_KINDS);
    tcase_add_loop_test(time, a_refresher_takes_back_what_is_over_its_time, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(time, who_waited_in_vain_is_told_so_again, 0, STORE_KINDS);
    tcase_add_loop_test(time, an_error_is_repeated_to_those_who_did_not_want_its_words, 0,
                        STORE_KINDS);

    tcase_add_loop_test(threads, a_transaction_may_move_from_thread_to_thread, 0, STORE_KINDS);
    tcase_add_loop_test(threads, who_came_first_writes_first, 0, FILE_KINDS);
    tcase_add_loop_test(threads, writers_at_once_leave_numbers_without_a_gap, 0, STORE_KINDS);
    tcase_add_loop_test(threads, writers_of_two_clients_leave_numbers_without_a_gap, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(threads, the_same_thing_at_once_takes_place_once, 0, STORE_KINDS);

    tcase_add_loop_test(idempotency, running_it_again_returns_what_it_returned_then, 0,
                        STORE_KINDS);
    tcase_add_loop_test(idempotency, a_key_is_known_to_other_clients_of_the_store, FAULT_KIND,
                        STORE_KINDS);
    tcase_add_loop_test(idempotency, a_replayed_operation_hands_out_its_version, 0, STORE_KINDS);
    tcase_add_loop_test(idempotency, fewer_operations_under_a_key_are_refused_at_the_commit, 0,
                        STORE_KINDS);
    tcase_add_loop_test(idempotency, more_operations_under_a_key_are_refused, 0, STORE_KINDS);
    tcase_add_loop_test(idempotency, other_operations_under_a_key_are_refused, 0, STORE_KINDS);
    tcase_add_loop_test(idempotency, what_was_rolled_back_is_not_recorded, 0, STORE_KINDS);
    tcase_add_loop_test(idempotency, what_was_refused_is_refused_again, 0, STORE_KINDS);
    tcase_add_loop_test(idempotency, an_operation_that_had_nothing_to_do_has_nothing_to_do_again, 0,
                        STORE_KINDS);
    tcase_add_loop_test(idempotency, keys_of_different_tenants_do_not_meet, 0, STORE_KINDS);
    tcase_add_loop_test(idempotency, a_key_is_kept_for_seven_days, 0, STORE_KINDS);
    tcase_add_loop_test(idempotency, a_key_that_was_used_long_ago_is_used_again_by_any_commit, 0,
                        STORE_KINDS);

    tcase_add_loop_test(running, a_run_is_tried_again_when_that_may_help, 0, COUNT(runs));
    tcase_add_loop_test(running, a_run_under_a_key_takes_place_once, 0, STORE_KINDS);
    tcase_add_loop_test(running, what_took_place_late_is_not_called_refused, 0, STORE_KINDS);
    tcase_add_loop_test(running, a_run_that_takes_too_long_is_not_tried_again, 0, STORE_KINDS);
    tcase_add_loop_test(running, an_error_that_a_run_keeps_to_itself_counts_all_the_same, 0,
                        FILE_KINDS);

    tcase_add_test(faults, a_lost_answer_to_a_commit_that_took_place_is_found_out);
    tcase_add_test(faults, a_lost_answer_to_a_commit_that_did_not_take_place_is_found_out);
    tcase_add_loop_test(faults, a_lost_commit_under_a_key_that_was_used_long_ago_is_found_out,
                        FLAGVER_FAULT_DONE, FLAGVER_FAULT_NOT_DONE + 1);
    tcase_add_test(faults, an_outcome_that_stays_unknown_is_called_so);
    tcase_add_loop_test(faults, a_run_applies_nothing_twice_whatever_gets_lost, 0, COUNT(mishaps));
    tcase_add_test(faults, a_store_that_is_away_ends_the_transaction);
    tcase_add_test(faults, a_transaction_that_could_not_begin_does_not_go_on);
    tcase_add_test(faults, what_the_store_refuses_ends_the_transaction);
    tcase_add_test(faults, a_version_is_never_made_by_half);
    tcase_add_loop_test(idempotency, no_text_is_refused_with_and_without_a_key, 0, STORE_KINDS);
    tcase_add_test(faults, a_commit_that_failed_leaves_the_way_free);
    tcase_add_test(faults, a_driver_that_cannot_enlist_says_so);
    return suite;
}

int main(void)
{
    return run_store_suite(txn_suite());
}
