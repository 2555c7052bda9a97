/*
 * PostgreSQL goes away under a client that refreshes itself: the server is stopped, its processes
 * are ended, connections are cut, another server takes its place, the disk is full, the pooler is
 * killed. Flags are evaluated all the time, as they were last; health says what is wrong; what was
 * acknowledged is there, once; and when the cause is gone it works again by itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>

#include "cluster.h"
#include "crash/proxy.h"
#include "seed.h"

#define POLL_MS 20
#define WAIT_MS 400
#define DEADLINE_MS 30000 /* of what should take a moment */

#include "crash/outage.h"

static const flagver_actor actor = { .size = sizeof actor, .id = "outage" };

static struct cluster *cluster;
static char database[32];

/* ---- writing ---- */

static int put(void *ret_no, flagver_txn *txn, flagver_error *err)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":100}";

    return flagver_flag_put(txn, "flag", json, sizeof json - 1, NULL, ret_no, err);
}

/* One try, without the patience of flagver_txn_run(). */
static int write_once(flagver_error *err)
{
    uint32_t no = 0;
    flagver_txn *txn;
    int r;

    r = flagver_txn_begin(client, &actor, NULL, &txn, err);
    if (r < 0)
        return r;
    r = put(&no, txn, err);
    if (r == 0)
        r = flagver_txn_commit(txn, err);
    flagver_txn_free(txn);
    if (r < 0)
        return r;
    must(no == acknowledged + 1, "version %u was acknowledged after version %u", no, acknowledged);
    acknowledged = no;
    return 0;
}

/* With patience, under a key. */
static int run_once(const char *key, uint32_t *ret_no, flagver_error *err)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = key };

    return flagver_txn_run(client, &actor, &options, put, ret_no, err);
}

/*
 * A thread that writes all the time, each under a key of its own until it is acknowledged: so the
 * next version follows the one before, whatever happened on the way.
 */
static struct {
    pthread_t thread;
    atomic_bool over;
    atomic_uint last; /* acknowledged */
    atomic_int again, unknown;
} writer;

static bool write_for_sure(void)
{
    uint32_t no = 0, last = atomic_load(&writer.last);
    flagver_error problem;
    char key[16];
    int r;

    snprintf(key, sizeof key, "%u", last + 1);
    while ((r = run_once(key, &no, &problem)) != 0) {
        if (r != FLAGVER_EBUSY && r != FLAGVER_EUNAVAILABLE && r != FLAGVER_EUNKNOWN)
            return complain("writing: %s", problem.message);
        atomic_fetch_add(&writer.again, 1);
        atomic_fetch_add(&writer.unknown, r == FLAGVER_EUNKNOWN);
        pause_us(2000);
    }
    if (no != last + 1)
        return complain("version %u is acknowledged after version %u", no, last);
    atomic_store(&writer.last, no);
    return true;
}

static void *write_on(void *unused)
{
    while (!atomic_load(&writer.over) && !atomic_load(&troubled))
        if (!write_for_sure())
            atomic_store(&troubled, true);
    return unused;
}

static void start_writing(void)
{
    atomic_store(&writer.last, acknowledged);
    atomic_store(&writer.over, false);
    atomic_store(&writer.again, 0);
    atomic_store(&writer.unknown, 0);
    ck_assert_int_eq(pthread_create(&writer.thread, NULL, write_on, NULL), 0);
}

/* Some more are acknowledged: how long that took. */
static double await_written(unsigned more)
{
    unsigned before = atomic_load(&writer.last);
    double begun = now_ms();

    while (atomic_load(&writer.last) < before + more) {
        ck_assert(!atomic_load(&troubled));
        ck_assert_msg(now_ms() - begun < DEADLINE_MS, "nothing is acknowledged any more");
        pause_us(500);
    }
    return now_ms() - begun;
}

/* It has been told that the store is away. */
static void await_refused(void)
{
    double begun = now_ms();

    while (atomic_load(&writer.again) == 0) {
        ck_assert(!atomic_load(&troubled));
        ck_assert_msg(now_ms() - begun < DEADLINE_MS, "nobody says that the store is away");
        pause_us(500);
    }
}

static void stop_writing(void)
{
    atomic_store(&writer.over, true);
    pthread_join(writer.thread, NULL);
    ck_assert(!atomic_load(&troubled));
    acknowledged = atomic_load(&writer.last);
}

/* ---- beginning and ending ---- */

static int fill(void *data)
{
    const char *owner_uri = data;
    flagver_error problem;

    return flagver_schema_up(owner_uri, &problem) < 0 && !complain("%s", problem.message);
}

static void make_database(void)
{
    char owner_uri[512];

    snprintf(database, sizeof database, "outage_%ld", (long)getpid());
    cluster_database(cluster, database, NULL);
    snprintf(owner_uri, sizeof owner_uri, "%s", cluster_uri(cluster, database, "owner"));
    ck_assert_int_eq(in_process(fill, owner_uri), 0);
    cluster_sql(cluster, database, "SELECT flagver.admit('app')");
}

static void open_client(const char *uri)
{
    const flagver_options options = {
        .size = sizeof options, .background = 1, .poll_ms = POLL_MS, .wait_ms = WAIT_MS
    };

    assert_ok(flagver_open(uri, &options, &client, &error));
    assert_ok(write_once(&error));
    await(serves_the_latest);
    start_evaluating();
}

/* A server of the test's own, which it may stop. */
static void begin_alone(const struct cluster_options *options)
{
    if (!cluster_possible())
        cluster_skip();
    cluster = cluster_start(options);
    make_database();
}

static void begin_with_others(void)
{
    if (!cluster_possible())
        cluster_skip();
    cluster = cluster_shared();
    make_database();
}

static void begin(void)
{
    begin_with_others();
    open_client(cluster_uri(cluster, database, "app"));
}

static void print_line(void *data, const char *line)
{
    (void)data;
    complain("%s", line);
}

static void assert_nothing_lost(void)
{
    struct held held;

    ck_assert(held_read(client, &held));
    ck_assert_uint_eq(held_find(&held, FLAGVER_PHASE_FLAG, "flag")->count, acknowledged);
    held_free(&held);
    assert_ok(flagver_audit_verify(client, NULL, print_line, NULL, NULL, &error));
}

/* All is well again, by itself, and nothing is lost. */
static void assert_recovered(void)
{
    await(is_well);
    assert_ok(write_once(&error));
    await(serves_the_latest);
    assert_evaluating();
}

/* `now`: the cluster that has the store in the end. */
static void end_on(struct cluster *now)
{
    assert_recovered();
    assert_nothing_lost();
    stop_evaluating();
    flagver_close(client);
    ck_assert(schema_holds(cluster_uri(now, database, "owner")));
    measured("  %ld evaluations meanwhile, the longest took %.1f ms", atomic_load(&evaluations),
             longest_ms);
}

static void end(void)
{
    end_on(cluster);
    cluster_drop(cluster, database);
}

static void assert_outage(void)
{
    await(is_unavailable);
    assert_fails(FLAGVER_EUNAVAILABLE, write_once(&error));
    assert_evaluating();
    ck_assert_int_eq(served(), acknowledged);
}

/* ---- the server ---- */

static const struct {
    const char *words;
    int signal;
} endings[] = { { "stopped", SIGINT }, { "stopped at once", SIGQUIT }, { "killed", SIGKILL } };

#define ENDINGS (int)(sizeof endings / sizeof *endings)

START_TEST(a_server_that_was_away_is_used_again)
{
    double well = 0, written;
    int i;

    begin_alone(NULL);
    open_client(cluster_uri(cluster, database, "app"));
    for (i = 0; i < ENDINGS; i++) {
        start_writing();
        await_written(5);
        cluster_end(cluster, endings[i].signal);
        await(is_unavailable);
        await_refused();
        assert_evaluating();
        cluster_restart(cluster);
        written = await_written(1);
        well = await(is_well);
        stop_writing();
        measured("server %s: the next change is acknowledged %.0f ms after it answers again, and "
                 "%.0f ms later all is well; %d tries failed, %d without outcome",
                 endings[i].words, written, well, atomic_load(&writer.again),
                 atomic_load(&writer.unknown));
        await(serves_the_latest);
        cluster_end(cluster, endings[i].signal);
        assert_outage();
        cluster_restart(cluster);
        assert_recovered();
    }
    end_on(cluster);
    cluster_stop(cluster);
}
END_TEST

/* ---- processes of the server ---- */

#define END_ALL                                                                          \
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename " \
    "= 'app' AND datname = current_database()"
#define ENDED 40

/* One that was idle is replaced, and nobody notices. */
START_TEST(an_idle_session_that_is_ended_is_replaced)
{
    int i;

    begin();
    for (i = 0; i < 5; i++) {
        cluster_sql(cluster, database, END_ALL);
        assert_ok(write_once(&error));
        await(serves_the_latest);
    }
    end();
}
END_TEST

/* What a transaction has done until then is gone, and that is known. */
START_TEST(a_transaction_whose_session_is_ended_has_not_happened)
{
    flagver_txn *txn;
    uint32_t no;
    int i;

    begin();
    for (i = 0; i < 5; i++) {
        assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
        assert_ok(put(&no, txn, &error));
        cluster_sql(cluster, database, END_ALL);
        if (i % 2)
            assert_fails(
                FLAGVER_EUNAVAILABLE,
                flagver_txn_lock(txn, FLAGVER_PHASE_FLAG, (const char *[]){ "other" }, 1, &error));
        assert_fails(FLAGVER_EUNAVAILABLE, flagver_txn_commit(txn, &error));
        flagver_txn_free(txn);
        assert_recovered();
    }
    end();
}
END_TEST

/* The server is there all the time: so what became of each is found out. */
START_TEST(sessions_that_are_ended_at_any_moment_lose_nothing)
{
    struct seed seed = seed_new(0);
    int i;

    begin();
    start_writing();
    for (i = 0; i < ENDED; i++) {
        pause_us(seed_below(&seed, 20000));
        cluster_sql(cluster, database, END_ALL);
        await_written(1);
    }
    stop_writing();
    ck_assert_int_eq(atomic_load(&writer.unknown), 0);
    measured("all sessions ended %d times: %u changes acknowledged, %d tries failed", ENDED,
             acknowledged, atomic_load(&writer.again));
    end();
}
END_TEST

#define FROZEN 32

/* Those of the client stop where they are, without a word; how many. */
static int freeze(pid_t frozen[FROZEN])
{
    const char *list = cluster_value(cluster, database,
                                     "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity"
                                     " WHERE usename = 'app' AND datname = current_database()");
    char *rest;
    int count = 0;
    long pid;

    for (; count < FROZEN && (pid = strtol(list, &rest, 10)) > 0; list = rest, count++) {
        frozen[count] = (pid_t)pid;
        kill(frozen[count], SIGSTOP);
    }
    return count;
}

/* Who asks the server waits. Who asks us does not. */
START_TEST(sessions_that_stand_still_hold_up_no_evaluation)
{
    pid_t frozen[FROZEN];
    int i, count;

    begin();
    start_writing();
    await_written(5);
    count = freeze(frozen);
    ck_assert_int_gt(count, 0);
    for (i = 0; i < 5; i++) {
        assert_evaluating();
        ck_assert(health_has("\"status\":"));
    }
    for (i = 0; i < count; i++)
        kill(frozen[i], SIGCONT);
    await_written(5);
    stop_writing();
    end();
}
END_TEST

/* ---- connections that are cut ---- */

static void begin_behind_proxy(const char *parameters)
{
    char uri[256];

    begin_with_others();
    proxy_start(cluster_directory(cluster));
    snprintf(uri, sizeof uri, "postgresql://app@/%s?host=%s&port=5432%s", database,
             proxy.place.directory, parameters);
    open_client(uri);
}

static void end_behind_proxy(void)
{
    end_on(cluster);
    proxy_stop();
    cluster_drop(cluster, database);
}

static const struct {
    const char *words;
    enum cut cut;
    bool may_happen, may_not; /* have taken place */
} cuts[] = {
    { "before it reached the server", CUT_BEFORE, false, true },
    { "in the middle of the request", CUT_REQUEST, false, true },
    { "behind the request", CUT_BEHIND, true, true },
    { "in the middle of the answer", CUT_ANSWER, true, false },
    { "before the answer reached the client", CUT_AFTER, true, false },
    { "for the client, and the request comes late", CUT_LATE, true, false },
    { "for the client alone", CUT_ONE_SIDED, false, true },
};

#define CUTS (int)(sizeof cuts / sizeof *cuts)
#define ROUNDS 5

/* The server answers: so it is known what became of the transaction. */
static void cut_once(int i)
{
    int r;

    proxy_cut(cuts[i].cut, false);
    r = write_once(&error);
    proxy_assert_cut();
    must(r == 0 ? cuts[i].may_happen : cuts[i].may_not && r == FLAGVER_EBUSY,
         "cut %s: commit returned %d: %s", cuts[i].words, r, error.message);
}

START_TEST(a_commit_that_is_cut_off_is_found_out)
{
    uint32_t no, before;
    int i, round;

    begin_behind_proxy("");
    for (i = 0; i < CUTS; i++) {
        for (round = 0; round < ROUNDS; round++) {
            before = acknowledged;
            cut_once(i);
            await(serves_the_latest);
            assert_ok(write_once(&error)); /* which follows, so nothing else has taken place */
            ck_assert_uint_ge(acknowledged, before + 1);
        }
        proxy_cut(cuts[i].cut, false);
        assert_ok(run_once(cuts[i].words, &no, &error));
        proxy_assert_cut();
        ck_assert_uint_eq(no, ++acknowledged);
        assert_ok(run_once(cuts[i].words, &no, &error)); /* under the same key */
        ck_assert_uint_eq(no, acknowledged);
        assert_evaluating();
    }
    measured("%d connections cut in mid-commit, in %d ways, all outcomes found",
             CUTS * (ROUNDS + 1), CUTS);
    end_behind_proxy();
}
END_TEST

/*
 * Whoever runs it again under the same key does it once, and is told of the same version. What
 * is still open on the server, since that was not told of the end, is in the way for flagver_idle_ms.
 */
START_TEST(a_commit_without_an_answer_is_unknown_and_may_be_run_again)
{
    uint32_t no;
    int i;

    begin_behind_proxy("&flagver_idle_ms=2000");
    for (i = 0; i < CUTS; i++) {
        proxy_cut(cuts[i].cut, true);
        assert_fails(FLAGVER_EUNKNOWN, run_once(cuts[i].words, &no, &error));
        await(is_unavailable);
        assert_evaluating();
        proxy_assert_cut();
        assert_ok(run_once(cuts[i].words, &no, &error));
        ck_assert_uint_eq(no, ++acknowledged);
        assert_recovered();
    }
    end_behind_proxy();
}
END_TEST

/* ---- another server takes the place ---- */

static void await_replication(void)
{
    double begun = now_ms();

    cluster_sql(cluster, "postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
    cluster_sql(cluster, "postgres", "SELECT pg_reload_conf()");
    while (!*cluster_value(cluster, "postgres",
                           "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")) {
        ck_assert(now_ms() - begun < DEADLINE_MS);
        pause_us(5000);
    }
}

/* Two servers, of which the one follows the other, and a client that writes. */
static struct cluster *begin_with_standby(bool synchronous, const char *parameters)
{
    struct cluster *standby;
    char uri[512];

    begin_alone(NULL);
    standby = cluster_standby(cluster, NULL);
    if (synchronous)
        await_replication();
    else
        cluster_wait_standby(cluster, standby);
    snprintf(uri, sizeof uri, "postgresql://app@/%s?host=%s,%s%s", database,
             cluster_directory(cluster), cluster_directory(standby), parameters);
    open_client(uri);
    start_writing();
    await_written(20);
    return standby;
}

/* Who reads from the standby does not even notice. */
START_TEST(a_standby_that_is_promoted_has_everything)
{
    struct cluster *standby = begin_with_standby(true, _i ? "&flagver_reads=standby" : "");
    double written, well;

    cluster_kill(cluster);
    await_refused();
    await(_i ? is_well : is_unavailable);
    assert_evaluating();
    cluster_promote(standby);
    written = await_written(1);
    well = await(is_well);
    await_written(20);
    stop_writing();
    measured("standby promoted: the next change is acknowledged %.0f ms after it takes writes, and "
             "%.0f ms later all is well; %d tries failed, %d without outcome",
             written, well, atomic_load(&writer.again), atomic_load(&writer.unknown));
    end_on(standby);
    cluster_stop(standby);
    cluster_stop(cluster);
}
END_TEST

/* Who reads from it reads from the primary meanwhile, and sees no flag older than it was. */
START_TEST(a_standby_that_is_read_from_may_go_away)
{
    struct cluster *standby = begin_with_standby(false, "&flagver_reads=standby");
    int i;

    for (i = 0; i < 3; i++) {
        cluster_end(standby, endings[i].signal);
        await_written(20);
        await(is_well);
        assert_evaluating();
        cluster_restart(standby);
        await_written(20);
    }
    stop_writing();
    end_on(cluster);
    cluster_stop(standby);
    cluster_stop(cluster);
}
END_TEST

static void assert_nothing_acknowledged(unsigned since)
{
    pause_us(500000);
    ck_assert_uint_eq(atomic_load(&writer.last), since);
    ck_assert(!atomic_load(&troubled));
}

/* The last change that was acknowledged. */
static unsigned end_standby(struct cluster *standby)
{
    cluster_end(standby, SIGQUIT);
    pause_us(200000); /* what was on its way arrives */
    return atomic_load(&writer.last);
}

/*
 * When a session is ended that waits for a standby, the server has committed without. That is not
 * acknowledged before a standby has it either: it would be lost with the server.
 */
START_TEST(what_no_standby_has_is_not_acknowledged)
{
    struct cluster *standby = begin_with_standby(true, "");
    unsigned last = end_standby(standby);

    assert_nothing_acknowledged(last);
    cluster_sql(cluster, database, END_ALL);
    assert_nothing_acknowledged(last);
    assert_evaluating();
    cluster_restart(standby);
    await_written(5);

    last = end_standby(standby);
    assert_nothing_acknowledged(last);
    cluster_kill(cluster);
    cluster_restart(standby);
    cluster_promote(standby);
    await_written(5);
    stop_writing();
    end_on(standby);
    cluster_stop(standby);
    cluster_stop(cluster);
}
END_TEST

/* ---- no room ---- */

static bool mount_small_disk(const char *directory)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", directory, "tmpfs", 0, "size=160m") == 0;
}

/* Until there is no byte left. */
static void fill_disk(const char *path)
{
    static const char zeros[4096];
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    while (fwrite(zeros, sizeof zeros, 1, file) == 1)
        ;
    fclose(file);
}

static void write_until_refused(void)
{
    int i, r = 0;

    for (i = 0; i < 10000 && r == 0; i++)
        r = write_once(&error);
    ck_assert_msg(r == FLAGVER_EUNAVAILABLE, "%d: %s", r, error.message);
    await(serves_the_latest);
    assert_evaluating();
}

static bool server_has_ended(void)
{
    return strcmp(cluster_try(cluster, database, "postgres", "SELECT 1"), "08006") == 0;
}

/* Tables cannot grow: the server says so, and is there. Or its log cannot, and it ends. */
static void run_out_of_room(bool of_the_log, const char *ballast)
{
    fill_disk(ballast);
    if (of_the_log) {
        cluster_try(cluster, database, "postgres", "SELECT pg_switch_wal()");
        cluster_try(cluster, database, "postgres", "CREATE TABLE filler AS SELECT 1");
    }
    write_until_refused();
    if (of_the_log)
        await(server_has_ended);
    assert_fails(FLAGVER_EUNAVAILABLE, write_once(&error));
    measured("disk full (%s): %s", of_the_log ? "the server's log" : "tables", error.message);
    ck_assert_int_eq(unlink(ballast), 0);
    if (of_the_log) {
        cluster_end(cluster, SIGQUIT); /* in the middle of a recovery it may not end for less */
        cluster_restart(cluster);
    }
}

START_TEST(a_full_disk_loses_nothing)
{
    struct cluster_options options = { .settings = "min_wal_size = 32MB\nmax_wal_size = 32MB\n"
                                                   "wal_recycle = off" };
    struct place place;
    char ballast[128];

    if (!cluster_possible())
        cluster_skip();
    place = place_new();
    if (!mount_small_disk(place.directory)) {
        printf("SKIPPED: no tmpfs: %s\n", strerror(errno));
        place_remove(&place);
        return;
    }
    options.place = place.directory;
    place_file(&place, "ballast", ballast);
    begin_alone(&options);
    open_client(cluster_uri(cluster, database, "app"));
    run_out_of_room(_i, ballast);
    assert_recovered();
    end_on(cluster);
    cluster_stop(cluster);
    umount(place.directory);
    place_remove(&place);
}
END_TEST

/* ---- the pooler ---- */

START_TEST(a_pooler_that_was_killed_is_used_again)
{
    struct pooler *pooler;
    double written;

    if (!pooler_possible())
        pooler_skip();
    begin_with_others();
    pooler = pooler_start(cluster, NULL);
    open_client(pooler_uri(pooler, database, "app"));
    start_writing();
    await_written(5);
    pooler_kill(pooler);
    await(is_unavailable);
    await_refused();
    assert_evaluating();
    pooler_restart(pooler);
    written = await_written(1);
    stop_writing();
    measured("pooler killed: the next change is acknowledged %.0f ms after it answers again; %d "
             "tries failed, %d without outcome",
             written, atomic_load(&writer.again), atomic_load(&writer.unknown));
    await(serves_the_latest);
    pooler_kill(pooler);
    assert_outage();
    pooler_restart(pooler);
    end_on(cluster);
    pooler_stop(pooler);
    cluster_drop(cluster, database);
}
END_TEST

static Suite *outage_suite(void)
{
    Suite *suite = suite_create("PostgreSQL, away");
    TCase *tests = tcase_create("the server is away");

    tcase_set_tags(tests, "postgres");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_server_that_was_away_is_used_again);
    tcase_add_test(tests, an_idle_session_that_is_ended_is_replaced);
    tcase_add_test(tests, a_transaction_whose_session_is_ended_has_not_happened);
    tcase_add_test(tests, sessions_that_are_ended_at_any_moment_lose_nothing);
    tcase_add_test(tests, sessions_that_stand_still_hold_up_no_evaluation);
    tcase_add_test(tests, a_commit_that_is_cut_off_is_found_out);
    tcase_add_test(tests, a_commit_without_an_answer_is_unknown_and_may_be_run_again);
    tcase_add_loop_test(tests, a_standby_that_is_promoted_has_everything, 0, 2);
    tcase_add_test(tests, a_standby_that_is_read_from_may_go_away);
    tcase_add_test(tests, what_no_standby_has_is_not_acknowledged);
    tcase_add_loop_test(tests, a_full_disk_loses_nothing, 0, 2);
    tcase_add_test(tests, a_pooler_that_was_killed_is_used_again);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    if (cluster_possible())
        cluster_shared();
    return run_suite(outage_suite());
}
