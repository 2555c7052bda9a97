/*
 * Processes fork while a store is open: while its flags are refreshed, while
 * other threads evaluate and write, in the middle of their transactions. The
 * child evaluates at once, is told that the store is not its own, and gets it back by
 * reopening; the parent does not notice.
 *
 * A child that hangs is ended by its alarm.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "crash/holds.h"
#include "seed.h"

#define FORKS 100
#define CHILD_SECONDS 30

static struct place place;
static flagver_client *client;

static const flagver_actor actor = { .size = sizeof actor, .id = "forked" };

/* ---- what parents and children do ---- */

static int put(void *name, flagver_txn *txn, flagver_error *err)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":100}";

    return flagver_flag_put(txn, name, json, sizeof json - 1, NULL, NULL, err);
}

static void open_store(const char *uri, int background)
{
    const flagver_options options = { .size = sizeof options,
                                      .background = background,
                                      .poll_ms = 5 };
    char name[] = "flag";

    assert_ok(flagver_open(uri, &options, &client, &error));
    assert_ok(flagver_txn_run(client, &actor, NULL, put, name, &error));
    assert_ok(flagver_client_refresh(client, &error));
}

static void open_client(int background)
{
    place = place_new();
    open_store(place.uri, background);
}

static uint32_t versions_of(const char *name)
{
    flagver_version *version;
    uint32_t no;

    if (flagver_version_current(client, FLAGVER_PHASE_FLAG, name, &version, NULL) < 0)
        return 0;
    no = version->no;
    flagver_version_free(version);
    return no;
}

static bool evaluates(void)
{
    flagver_detail detail = { .size = sizeof detail };
    bool on;

    on = flagver_flag_bool_detail(client, "flag", NULL, false, &detail);
    return (on && detail.error == FLAGVER_ERROR_NONE) ||
           complain("the flag is off: error %d", detail.error);
}

static bool health_is(const char *status)
{
    char words[64], *json = NULL;
    bool says;

    snprintf(words, sizeof words, "\"status\":\"%s\"", status);
    if (flagver_client_health(client, &json, NULL) < 0)
        return complain("no health");
    says = strstr(json, words) || complain("not %s: %s", status, json);
    flagver_string_free(json);
    return says;
}

static bool is_refused(const char *call, int r)
{
    return r == FLAGVER_EFORKED || complain("%s returned %d", call, r);
}

/* All that needs the store says that it is the parent's. */
static bool is_forked(void)
{
    char name[] = "flag", *text = NULL;
    flagver_version *version;
    flagver_snapshot *snapshot;
    flagver_client *other;
    flagver_txn *txn;

    return health_is("forked") &&
           is_refused("begin", flagver_txn_begin(client, &actor, NULL, &txn, NULL)) &&
           is_refused("run", flagver_txn_run(client, &actor, NULL, put, name, NULL)) &&
           is_refused("current",
                      flagver_version_current(client, FLAGVER_PHASE_FLAG, name, &version, NULL)) &&
           is_refused("refresh", flagver_client_refresh(client, NULL)) &&
           is_refused("export", flagver_flags_export(client, &text, NULL)) &&
           is_refused("past", flagver_snapshot_at(client, 1, &snapshot, NULL)) &&
           is_refused("tenant", flagver_client_tenant(client, "other", &other, NULL)) &&
           evaluates();
}

static bool writes(const char *name)
{
    flagver_error problem;
    int r = flagver_txn_run(client, &actor, NULL, put, (void *)name, &problem);

    return r == 0 || complain("writing: %s", problem.message);
}

static bool reopens(void)
{
    flagver_error problem;
    int r = flagver_client_reopen(client, &problem);

    return (r == 0 || complain("reopening: %s", problem.message)) && health_is("ok") && evaluates();
}

static pid_t start_child(int (*body)(void *data), void *data)
{
    pid_t child = start(body, data);

    ck_assert_int_ge(child, 0);
    return child;
}

/* ---- one child ---- */

static int live_as_a_child(void *unused)
{
    char name[] = "of-the-child";

    (void)unused;
    alarm(CHILD_SECONDS);
    if (!evaluates() || !is_forked() || !reopens() || !writes(name))
        return 1;
    flagver_close(client);
    return 0;
}

START_TEST(a_child_evaluates_at_once_and_reopens_for_the_rest)
{
    open_client(_i);
    ck_assert_int_eq(finish(start_child(live_as_a_child, NULL)), 0);
    ck_assert(evaluates() && writes("of-the-parent") && health_is("ok"));
    ck_assert_uint_eq(versions_of("of-the-child"), 1);
    ck_assert_uint_eq(versions_of("of-the-parent"), 1);
    ck_assert(holds(client));
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
    place_remove(&place);
}
END_TEST

static int end_at_once(void *close)
{
    alarm(CHILD_SECONDS);
    if (!evaluates())
        return 1;
    if (close)
        flagver_close(client);
    return 0;
}

START_TEST(a_child_may_close_or_just_end)
{
    bool close = true;
    int i;

    open_client(1);
    for (i = 0; i < FORKS; i++) {
        ck_assert_int_eq(finish(start_child(end_at_once, i % 2 ? &close : NULL)), 0);
        ck_assert(writes("flag"));
    }
    ck_assert_uint_eq(versions_of("flag"), FORKS + 1);
    ck_assert(holds(client));
    flagver_close(client);
    place_remove(&place);
}
END_TEST

/* ---- children of children, and parents that go first ---- */

static int ends[2]; /* of a pipe: the parent tells the child to go on */

static int outlive(void *unused)
{
    char name[] = "of-the-child", byte;

    (void)unused;
    alarm(CHILD_SECONDS);
    if (!reopens() || !writes(name) || read(ends[0], &byte, 1) != 1 || !writes(name))
        return 1;
    flagver_close(client);
    return 0;
}

/*
 * Who closes a store last takes its log away. A child that has locked nothing would
 * write into a log that is not there any more.
 */
START_TEST(what_a_child_writes_after_its_parent_has_closed_stays)
{
    pid_t child;

    open_client(_i);
    ck_assert_int_eq(pipe(ends), 0);
    child = start_child(outlive, NULL);
    while (versions_of("of-the-child") == 0)
        pause_us(1000);
    flagver_close(client);
    ck_assert_int_eq(write(ends[1], "g", 1), 1);
    ck_assert_int_eq(finish(child), 0);

    assert_ok(flagver_open(place.uri, NULL, &client, &error));
    ck_assert_uint_eq(versions_of("of-the-child"), 2);
    ck_assert(holds(client));
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
    place_remove(&place);
}
END_TEST

static int have_a_child(void *unused)
{
    alarm(CHILD_SECONDS);
    if (!reopens() || !writes("of-the-child"))
        return 1;
    if (finish(start(live_as_a_child, unused)) != 0 || !writes("of-the-child"))
        return 1;
    flagver_close(client);
    return 0;
}

START_TEST(children_have_children)
{
    open_client(1);
    ck_assert_int_eq(finish(start_child(have_a_child, NULL)), 0);
    ck_assert_uint_eq(versions_of("of-the-child"), 3);
    ck_assert(writes("flag") && holds(client));
    flagver_close(client);
    place_remove(&place);
}
END_TEST

/* ---- in the middle of a transaction ---- */

static flagver_txn *open_txn;

/* It may not be possible to open this store again in this process; but no call hangs or harms. */
static int free_and_reopen(void *unused)
{
    flagver_error problem;
    int r;

    (void)unused;
    alarm(CHILD_SECONDS);
    if (!evaluates() ||
        !is_refused("ramp", flagver_flag_ramp(open_txn, "flag", 1, NULL, NULL, NULL)) ||
        !is_refused("commit", flagver_txn_commit(open_txn, NULL)))
        return 1;
    flagver_txn_free(open_txn);
    r = flagver_client_reopen(client, &problem);
    if (r < 0 && r != FLAGVER_EUNAVAILABLE)
        return !complain("reopening: %d %s", r, problem.message);
    if (!evaluates() || !health_is(r == 0 ? "ok" : "forked"))
        return 1;
    flagver_close(client);
    return 0;
}

START_TEST(a_transaction_that_is_open_stays_the_parents)
{
    open_client(_i);
    assert_ok(flagver_txn_begin(client, &actor, NULL, &open_txn, &error));
    assert_ok(flagver_flag_ramp(open_txn, "flag", 50, NULL, NULL, &error));
    ck_assert_int_eq(finish(start_child(free_and_reopen, NULL)), 0);
    assert_ok(flagver_flag_ramp(open_txn, "flag", 100, NULL, NULL, &error));
    assert_ok(flagver_txn_commit(open_txn, &error));
    flagver_txn_free(open_txn);
    ck_assert_uint_eq(versions_of("flag"), 3);
    ck_assert(holds(client));
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
    place_remove(&place);
}
END_TEST

/* The client has another store by now, but the transaction is still the parent's. */
static int leave_it_alone(void *unused)
{
    (void)unused;
    alarm(CHILD_SECONDS);
    if (!is_refused("ramp", flagver_flag_ramp(open_txn, "flag", 1, NULL, NULL, NULL)) ||
        !is_refused("commit", flagver_txn_commit(open_txn, NULL)))
        return 1;
    flagver_txn_free(open_txn);
    flagver_close(client);
    return 0;
}

START_TEST(a_transaction_from_before_a_reopening_stays_the_parents)
{
    open_client(_i);
    assert_ok(flagver_txn_begin(client, &actor, NULL, &open_txn, &error));
    assert_ok(flagver_flag_ramp(open_txn, "flag", 50, NULL, NULL, &error));
    assert_ok(flagver_client_reopen(client, &error));
    ck_assert_int_eq(finish(start_child(leave_it_alone, NULL)), 0);
    assert_ok(flagver_flag_ramp(open_txn, "flag", 100, NULL, NULL, &error));
    assert_ok(flagver_txn_commit(open_txn, &error));
    flagver_txn_free(open_txn);
    ck_assert_uint_eq(versions_of("flag"), 3);
    ck_assert(holds(client));
    flagver_close(client);
    place_remove(&place);
}
END_TEST

/* ---- while threads do everything at once ---- */

static atomic_bool over, troubled;
static atomic_int written;
static pthread_rwlock_t writing = PTHREAD_RWLOCK_INITIALIZER;

static void *evaluate_on(void *unused)
{
    while (!atomic_load(&over) && !atomic_load(&troubled))
        if (!evaluates())
            atomic_store(&troubled, true);
    return unused;
}

static void *write_on(void *unused)
{
    while (!atomic_load(&over) && !atomic_load(&troubled)) {
        pthread_rwlock_rdlock(&writing);
        if (writes("flag"))
            atomic_fetch_add(&written, 1);
        else
            atomic_store(&troubled, true);
        pthread_rwlock_unlock(&writing);
        pause_us(500);
    }
    return unused;
}

static void *refresh_on(void *unused)
{
    flagver_error problem;

    while (!atomic_load(&over) && !atomic_load(&troubled)) {
        if (flagver_client_refresh(client, &problem) < 0)
            atomic_store(&troubled, !complain("refreshing: %s", problem.message));
        pause_us(200);
    }
    return unused;
}

enum { OPENED = 10, REFUSED = 11 };

static int live_in_the_storm(void *round)
{
    flagver_error problem;
    int r;

    alarm(CHILD_SECONDS);
    if (!evaluates() || (*(int *)round % 4 == 0 && !is_forked()))
        return 1;
    r = flagver_client_reopen(client, &problem);
    if (r == FLAGVER_EUNAVAILABLE && *(int *)round % 2)
        return REFUSED; /* some thread was writing */
    if (r < 0)
        return !complain("reopening: %d %s", r, problem.message);
    if (!writes("of-the-child") || !health_is("ok") || !evaluates())
        return 1;
    flagver_close(client);
    return OPENED;
}

/* In every second round nobody writes, but flags are refreshed and evaluated all the time. */
static int fork_once(int round)
{
    pid_t child;

    if (round % 2 == 0)
        pthread_rwlock_wrlock(&writing);
    child = start_child(live_in_the_storm, &round);
    if (round % 2 == 0)
        pthread_rwlock_unlock(&writing);
    return finish(child);
}

START_TEST(forking_while_threads_evaluate_write_and_refresh)
{
    static void *(*const bodies[])(void *) = { evaluate_on, write_on, refresh_on, write_on };
    pthread_t threads[4];
    uint32_t opened = 0;
    int i, status;

    open_client(1);
    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, bodies[i], NULL), 0);
    for (i = 0; i < FORKS; i++) {
        status = fork_once(i);
        ck_assert_msg(status == OPENED || status == REFUSED, "child %d ended with %d", i, status);
        ck_assert(!atomic_load(&troubled));
        opened += status == OPENED;
    }
    atomic_store(&over, true);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    measured("%d forks, %d children opened the store, %d changes meanwhile", FORKS, (int)opened,
             atomic_load(&written));
    ck_assert(!atomic_load(&troubled) && evaluates());
    ck_assert_uint_eq(versions_of("flag"), (uint32_t)atomic_load(&written) + 1);
    ck_assert_uint_eq(versions_of("of-the-child"), opened);
    ck_assert(holds(client));
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
    place_remove(&place);
}
END_TEST

/* What was in memory is the parent's, too: the child begins with nothing. */
static int begin_anew(void *unused)
{
    flagver_error problem;

    (void)unused;
    alarm(CHILD_SECONDS);
    if (!is_forked())
        return 1;
    if (flagver_client_reopen(client, &problem) < 0)
        return !complain("reopening: %s", problem.message);
    if (versions_of("flag") != 0 || !writes("flag") || versions_of("flag") != 1)
        return 1;
    flagver_close(client);
    return 0;
}

START_TEST(a_store_in_memory_is_empty_in_a_child)
{
    static void *(*const bodies[])(void *) = { evaluate_on, write_on, refresh_on, write_on };
    pthread_t threads[4];
    int i;

    open_store("memory:", 1);
    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, bodies[i], NULL), 0);
    for (i = 0; i < FORKS; i++)
        ck_assert_int_eq(finish(start_child(begin_anew, NULL)), 0);
    atomic_store(&over, true);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert(!atomic_load(&troubled));
    ck_assert_uint_eq(versions_of("flag"), (uint32_t)atomic_load(&written) + 1);
    ck_assert(holds(client));
    flagver_close(client);
}
END_TEST

static Suite *fork_suite(void)
{
    Suite *suite = suite_create("fork");
    TCase *tests = tcase_create("parents and children");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_child_evaluates_at_once_and_reopens_for_the_rest, 0, 2);
    tcase_add_test(tests, a_child_may_close_or_just_end);
    tcase_add_loop_test(tests, what_a_child_writes_after_its_parent_has_closed_stays, 0, 2);
    tcase_add_test(tests, children_have_children);
    tcase_add_loop_test(tests, a_transaction_that_is_open_stays_the_parents, 0, 2);
    tcase_add_loop_test(tests, a_transaction_from_before_a_reopening_stays_the_parents, 0, 2);
    tcase_add_test(tests, forking_while_threads_evaluate_write_and_refresh);
    tcase_add_test(tests, a_store_in_memory_is_empty_in_a_child);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(fork_suite());
}
