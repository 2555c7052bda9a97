/*
 * Listeners: who is told of which flags, when, and what they may do meanwhile.
 */
#define _DEFAULT_SOURCE /* mkdtemp, nanosleep, setenv */
#include "stores.h"
#include "waiting.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define NEEDS(flag) "{'type':'boolean','requires':[{'flag':'" flag "','variant':'on'}]}"
#define ASKS(segment) "{'type':'boolean','rules':[{'if':{'segment':'" segment "'},'serve':'on'}]}"
#define IN(segment) "{'if':{'segment':'" segment "'}}"

/* What a listener was told: "a b|c" for two calls. */
struct told {
    char text[500];
    atomic_int calls;
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keys come in no promised order. */
static void note_keys(void *data, const char *const *keys, size_t count)
{
    struct told *told = data;
    const char *sorted[32];
    size_t length = strlen(told->text), i;

    ck_assert_uint_le(count, COUNT(sorted));
    for (i = 0; i < count; i++)
        sorted[i] = keys[i];
    qsort(sorted, count, sizeof *sorted, compare_keys);
    for (i = 0; i < count; i++)
        length += (size_t)snprintf(told->text + length, sizeof told->text - length, "%s%s",
                                   i        ? " "
                                   : length ? "|"
                                            : "",
                                   sorted[i]);
    atomic_fetch_add(&told->calls, 1);
}

static void assert_told(struct told *told, const char *expected)
{
    ck_assert_str_eq(told->text, expected);
    told->text[0] = 0;
}

static int listen_to(flagver_client *client,
                     void (*changed)(void *data, const char *const *keys, size_t count), void *data)
{
    int listener = flagver_client_listen(client, changed, data, &error);

    ck_assert_int_gt(listener, 0);
    return listener;
}

static void refresh(flagver_client *client)
{
    assert_ok(flagver_client_refresh(client, &error));
}

static void load(flagver_client *client, const char *json)
{
    ck_assert_msg(load_into(client, json) == 0, "%s", error.message);
}

/* ---- what they are told ---- */

START_TEST(a_listener_is_told_of_what_was_added_changed_and_removed)
{
    flagver_client *client = open_store(_i);
    struct told told = { .text = "" };
    flagver_txn *txn;

    listen_to(client, note_keys, &told);
    put_flag(client, "a", VALUE(1));
    assert_told(&told, ""); /* not before the refresh */
    put_flag(client, "b", VALUE(1));
    refresh(client);
    assert_told(&told, "a b");
    refresh(client);
    assert_told(&told, "");
    put_flag(client, "a", VALUE(2));
    refresh(client);
    assert_told(&told, "a");
    txn = begin(client);
    assert_ok(flagver_flag_delete(txn, "b", NULL, NULL, &error));
    put_flag_in(txn, "c", VALUE(1));
    commit(txn);
    refresh(client);
    assert_told(&told, "b c");
    ck_assert_int_eq(atomic_load(&told.calls), 3);
    flagver_close(client);
}
END_TEST

START_TEST(a_listener_is_told_of_flags_that_refer_to_what_changed)
{
    flagver_client *client = open_store(_i);
    struct told told = { .text = "" };

    put_segment(client, "s", "{'include':['u']}");
    put_segment(client, "t", IN("s"));
    put_flag(client, "a", SIMPLE);
    put_flag(client, "b", NEEDS("a"));
    put_flag(client, "c", NEEDS("b"));
    put_flag(client, "d", ASKS("t"));
    put_flag(client, "e", NEEDS("d"));
    put_flag(client, "f", SIMPLE);
    refresh(client);
    listen_to(client, note_keys, &told);
    put_flag(client, "a", SHARE(1));
    refresh(client);
    assert_told(&told, "a b c");
    put_segment(client, "s", "{'include':['v']}");
    refresh(client);
    assert_told(&told, "d e");
    put_flag(client, "e", SIMPLE);
    refresh(client);
    assert_told(&told, "e");
    put_segment(client, "nobody", "{'include':['v']}");
    refresh(client);
    assert_told(&told, "");
    ck_assert_int_eq(atomic_load(&told.calls), 3);
    flagver_close(client);
}
END_TEST

START_TEST(a_listener_is_told_of_what_is_forced)
{
    flagver_client *client;
    struct told told = { .text = "" };

    unsetenv("FLAGVER_FLAG_B");
    assert_ok(flagver_open(store_uri(_i), NULL, &client, &error));
    put_flag(client, "a", SIMPLE);
    put_flag(client, "b", NEEDS("a"));
    refresh(client);
    listen_to(client, note_keys, &told);
    assert_ok(flagver_flag_override(client, "a", "off", &error));
    assert_told(&told, "a b");
    assert_ok(flagver_flag_override(client, "a", "off", &error));
    assert_told(&told, "");
    assert_ok(flagver_flag_override(client, "a", NULL, &error));
    assert_told(&told, "a b");
    setenv("FLAGVER_FLAG_B", "off", 1);
    refresh(client);
    assert_told(&told, "b");
    assert_ok(flagver_flag_override(client, "a", "off", &error)); /* a forced flag asks nobody */
    assert_told(&told, "a");
    unsetenv("FLAGVER_FLAG_B");
    flagver_close(client);
}
END_TEST

START_TEST(definitions_and_files_have_listeners_too)
{
    flagver_client *client = client_of("{'flags':{'a':" SIMPLE ",'b':" NEEDS("a") "}}", NULL);
    struct told told = { .text = "" };

    listen_to(client, note_keys, &told);
    load(client, "{'flags':{'a':" SIMPLE ",'b':" NEEDS("a") "}}");
    assert_told(&told, "");
    load(client, "{'flags':{'a':" SHARE(1) ",'b':" NEEDS("a") "}}");
    assert_told(&told, "a b");
    assert_ok(merge_into(client, "{'flags':{'c':" SIMPLE "}}"));
    assert_told(&told, "c");
    ck_assert_int_lt(load_into(client, "{'flags':{'a':"), 0);
    assert_told(&told, "");
    load(client, "{}");
    assert_told(&told, "a b c");
    flagver_close(client);
}
END_TEST

static void check_answer(void *data, const char *const *keys, size_t count)
{
    flagver_client *client = data;

    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(keys[0], "a");
    ck_assert_int_eq(flagver_flag_int(client, "a", NULL, 0), 5);
}

START_TEST(a_listener_sees_the_new_state)
{
    flagver_client *client = open_store(_i);

    listen_to(client, check_answer, client);
    put_flag(client, "a", VALUE(5));
    refresh(client);
    flagver_close(client);
}
END_TEST

START_TEST(a_refresher_tells_listeners)
{
    flagver_options options = quiet_options();
    struct told told = { .text = "" };
    flagver_client *client;

    options.background = 1;
    options.poll_ms = 5;
    client = open_with(_i, &options);
    listen_to(client, note_keys, &told);
    put_flag(client, "a", VALUE(1));
    wait_until(atomic_load(&told.calls) == 1);
    flagver_close(client);
    assert_told(&told, "a");
}
END_TEST

START_TEST(listeners_are_told_in_the_order_in_which_they_came)
{
    flagver_client *client = client_of("{}", NULL);
    struct told told = { .text = "" };

    listen_to(client, note_keys, &told);
    listen_to(client, note_keys, &told);
    load(client, "{'flags':{'a':" SIMPLE "}}");
    assert_told(&told, "a|a");
    flagver_close(client);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    flagver_client *client = client_of("{}", NULL);

    assert_fails(FLAGVER_EINVAL, flagver_client_listen(NULL, note_keys, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_client_listen(client, NULL, NULL, &error));
    flagver_client_unlisten(NULL, 1);
    flagver_client_unlisten(client, 1);
    flagver_client_unlisten(client, 0);
    flagver_client_unlisten(client, -1);
    flagver_close(client);
}
END_TEST

/* ---- what they may do ---- */

struct visitor {
    flagver_client *client;
    int listener, other, calls;
    void (*visit)(struct visitor *visitor);
};

static void visit(void *data, const char *const *keys, size_t count)
{
    struct visitor *visitor = data;

    (void)keys;
    (void)count;
    visitor->calls++;
    visitor->visit(visitor);
}

static void leave(struct visitor *visitor)
{
    flagver_client_unlisten(visitor->client, visitor->listener);
    flagver_client_unlisten(visitor->client, visitor->listener);
}

START_TEST(a_listener_may_take_itself_off)
{
    flagver_client *client = open_store(_i);
    struct visitor visitor = { .client = client, .visit = leave };
    struct told told = { .text = "" };

    visitor.listener = listen_to(client, visit, &visitor);
    listen_to(client, note_keys, &told);
    put_flag(client, "a", VALUE(1));
    refresh(client);
    put_flag(client, "a", VALUE(2));
    refresh(client);
    ck_assert_int_eq(visitor.calls, 1);
    assert_told(&told, "a|a");
    flagver_close(client);
}
END_TEST

static void send_other_away(struct visitor *visitor)
{
    flagver_client_unlisten(visitor->client, visitor->other);
}

START_TEST(a_listener_may_take_another_one_off_before_its_turn)
{
    flagver_client *client = open_store(_i);
    struct visitor visitor = { .client = client, .visit = send_other_away };
    struct told told = { .text = "" }, last = { .text = "" };

    listen_to(client, visit, &visitor);
    visitor.other = listen_to(client, note_keys, &told);
    listen_to(client, note_keys, &last);
    put_flag(client, "a", VALUE(1));
    refresh(client);
    assert_told(&told, "");
    assert_told(&last, "a");
    flagver_close(client);
}
END_TEST

static void write_and_refresh(struct visitor *visitor)
{
    if (visitor->calls > 2)
        return;
    put_flag(visitor->client, visitor->calls == 1 ? "b" : "c", VALUE(1));
    refresh(visitor->client);
}

START_TEST(a_listener_may_write_and_refresh)
{
    flagver_client *client = open_store(_i);
    struct visitor visitor = { .client = client, .visit = write_and_refresh };
    struct told told = { .text = "" };

    listen_to(client, visit, &visitor);
    listen_to(client, note_keys, &told);
    put_flag(client, "a", VALUE(1));
    refresh(client);
    ck_assert_int_eq(visitor.calls, 3);
    ck_assert_int_eq(flagver_flag_int(client, "c", NULL, 0), 1);
    ck_assert_int_eq(atomic_load(&told.calls), 3);
    flagver_close(client);
}
END_TEST

static struct told late;

static void listen_more(struct visitor *visitor)
{
    if (visitor->calls == 1)
        listen_to(visitor->client, note_keys, &late);
}

START_TEST(a_listener_may_bring_another_one)
{
    flagver_client *client = open_store(_i);
    struct visitor visitor = { .client = client, .visit = listen_more };

    listen_to(client, visit, &visitor);
    put_flag(client, "a", VALUE(1));
    refresh(client);
    late.text[0] = 0; /* whether it heard of this one is left open */
    put_flag(client, "b", VALUE(1));
    refresh(client);
    assert_told(&late, "b");
    flagver_close(client);
}
END_TEST

static void reopen(struct visitor *visitor)
{
    assert_ok(flagver_client_reopen(visitor->client, &error));
}

static void fork_and_look(struct visitor *visitor)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0)
        _exit(flagver_flag_int(visitor->client, "a", NULL, 0) == 1 ? 0 : 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(a_listener_may_fork)
{
    flagver_client *client = open_store(_i);
    struct visitor visitor = { .client = client, .visit = fork_and_look };

    listen_to(client, visit, &visitor);
    put_flag(client, "a", VALUE(1));
    refresh(client);
    ck_assert_int_eq(visitor.calls, 1);
    flagver_close(client);
}
END_TEST

/* On the refresher's own thread. */
START_TEST(a_listener_may_reopen_the_store)
{
    flagver_options options = quiet_options();
    struct visitor visitor = { .visit = reopen };
    flagver_client *client;

    options.background = 1;
    options.poll_ms = 5;
    client = visitor.client = open_with(_i, &options);
    listen_to(client, visit, &visitor);
    put_flag(client, "a", VALUE(1));
    wait_until(flagver_flag_int(client, "a", NULL, 0) == 1);
    put_flag(client, "a", VALUE(2));
    wait_until(flagver_flag_int(client, "a", NULL, 0) == 2);
    flagver_close(client);
    ck_assert_int_eq(visitor.calls, 2);
}
END_TEST

/* ---- threads ---- */

static atomic_bool inside, may_go, gone;
static flagver_client *shared;
static int shared_listener;

static void stay(void *data, const char *const *keys, size_t count)
{
    (void)data;
    (void)keys;
    (void)count;
    ck_assert(!atomic_load(&gone));
    atomic_store(&inside, true);
    while (!atomic_load(&may_go))
        rest(1);
}

static void *load_there(void *json)
{
    load(shared, json);
    return NULL;
}

static void *unlisten_there(void *unused)
{
    flagver_client_unlisten(shared, shared_listener);
    atomic_store(&gone, true);
    return unused;
}

START_TEST(taking_off_waits_for_a_call_under_way)
{
    static char json[] = "{'flags':{'a':" SIMPLE "}}";
    pthread_t loader, leaver;

    shared = client_of("{}", NULL);
    shared_listener = listen_to(shared, stay, NULL);
    ck_assert_int_eq(pthread_create(&loader, NULL, load_there, json), 0);
    wait_until(atomic_load(&inside));
    ck_assert_int_eq(pthread_create(&leaver, NULL, unlisten_there, NULL), 0);
    rest(30);
    ck_assert(!atomic_load(&gone));
    atomic_store(&may_go, true);
    pthread_join(leaver, NULL);
    pthread_join(loader, NULL);
    ck_assert(atomic_load(&gone));
    load(shared, "{}"); /* it is not called again */
    flagver_close(shared);
}
END_TEST

static atomic_bool stop;

static void *load_often(void *unused)
{
    while (!atomic_load(&stop)) {
        load(shared, "{'flags':{'a':" SIMPLE "}}");
        load(shared, "{}");
    }
    return unused;
}

START_TEST(listeners_come_and_go_while_others_are_told)
{
    struct told told = { .text = "" };
    pthread_t loaders[2];
    int i;

    shared = client_of("{}", NULL);
    for (i = 0; i < COUNT(loaders); i++)
        ck_assert_int_eq(pthread_create(&loaders[i], NULL, load_often, NULL), 0);
    for (i = 0; i < 200; i++) {
        int listener = listen_to(shared, note_keys, &(struct told){ .text = "" });

        flagver_client_unlisten(shared, listener);
    }
    atomic_store(&stop, true);
    for (i = 0; i < COUNT(loaders); i++)
        pthread_join(loaders[i], NULL);
    listen_to(shared, note_keys, &told);
    load(shared, "{'flags':{'b':" SIMPLE "}}");
    assert_told(&told, "b");
    flagver_close(shared);
}
END_TEST

/* ---- without being told ---- */

START_TEST(two_snapshots_tell_what_a_listener_would_have_been_told)
{
    flagver_client *client = client_of("{'flags':{'a':" SIMPLE ",'b':" NEEDS("a") "}}", NULL);
    flagver_snapshot *before = flagver_client_snapshot(client), *after;
    const uint64_t *word = flagver_client_generation_word(client);
    uint64_t generation = *word;
    struct told told = { .text = "" };

    ck_assert_uint_eq(generation, flagver_client_generation(client));
    assert_ok(flagver_snapshot_changes(before, before, note_keys, &told, &error));
    assert_told(&told, "");
    load(client, "{'flags':{'a':" SHARE(1) ",'b':" NEEDS("a") ",'c':" SIMPLE "}}");
    ck_assert_uint_ne(*word, generation);
    ck_assert_uint_eq(*word, flagver_client_generation(client));
    after = flagver_client_snapshot(client);
    assert_ok(flagver_snapshot_changes(before, after, note_keys, &told, &error));
    assert_told(&told, "a b c");
    ck_assert_int_eq(atomic_load(&told.calls), 2);
    flagver_snapshot_free(before);
    flagver_snapshot_free(after);
    flagver_close(client);
}
END_TEST

START_TEST(snapshots_of_two_clients_are_not_compared)
{
    flagver_client *one = client_of("{}", NULL), *other = client_of("{}", NULL);
    flagver_snapshot *before = flagver_client_snapshot(one),
                     *after = flagver_client_snapshot(other);
    struct told told = { .text = "" };

    assert_fails(FLAGVER_EINVAL, flagver_snapshot_changes(before, after, note_keys, &told, &error));
    assert_fails(FLAGVER_EINVAL, flagver_snapshot_changes(NULL, after, note_keys, &told, &error));
    assert_fails(FLAGVER_EINVAL, flagver_snapshot_changes(before, before, NULL, NULL, &error));
    ck_assert_int_eq(atomic_load(&told.calls), 0);
    ck_assert_ptr_null(flagver_client_generation_word(NULL));
    flagver_snapshot_free(before);
    flagver_snapshot_free(after);
    flagver_close(one);
    flagver_close(other);
}
END_TEST

static Suite *listener_suite(void)
{
    Suite *suite = suite_create("listener");
    TCase *told = add_store_tcase(suite, "told"), *acting = add_store_tcase(suite, "acting"),
          *threads = add_store_tcase(suite, "threads"), *forks = add_store_tcase(suite, "forks");

    tcase_add_loop_test(told, a_listener_is_told_of_what_was_added_changed_and_removed, 0,
                        STORE_KINDS);
    tcase_add_loop_test(told, a_listener_is_told_of_flags_that_refer_to_what_changed, 0,
                        STORE_KINDS);
    tcase_add_loop_test(told, a_listener_is_told_of_what_is_forced, 0, STORE_KINDS);
    tcase_add_test(told, definitions_and_files_have_listeners_too);
    tcase_add_loop_test(told, a_listener_sees_the_new_state, 0, STORE_KINDS);
    tcase_add_loop_test(told, a_refresher_tells_listeners, 0, STORE_KINDS);
    tcase_add_test(told, listeners_are_told_in_the_order_in_which_they_came);
    tcase_add_test(told, null_arguments_are_refused);
    tcase_add_test(told, two_snapshots_tell_what_a_listener_would_have_been_told);
    tcase_add_test(told, snapshots_of_two_clients_are_not_compared);

    tcase_add_loop_test(acting, a_listener_may_take_itself_off, 0, STORE_KINDS);
    tcase_add_loop_test(acting, a_listener_may_take_another_one_off_before_its_turn, 0,
                        STORE_KINDS);
    tcase_add_loop_test(acting, a_listener_may_write_and_refresh, 0, STORE_KINDS);
    tcase_add_loop_test(acting, a_listener_may_bring_another_one, 0, STORE_KINDS);
    tcase_add_loop_test(acting, a_listener_may_reopen_the_store, SHARED_KINDS, STORE_KINDS);

    tcase_set_tags(forks, "fork");
    tcase_add_loop_test(forks, a_listener_may_fork, 0, STORE_KINDS);

    tcase_add_test(threads, taking_off_waits_for_a_call_under_way);
    tcase_add_test(threads, listeners_come_and_go_while_others_are_told);
    return suite;
}

int main(void)
{
    return run_store_suite(listener_suite());
}
