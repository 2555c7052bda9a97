/*
 * A flag that is flipped in one process is soon live in all others: at once where notifications are
 * heard, and with the next poll where they are not: behind a pooler, while nobody can listen, when
 * nobody was told, and when the server went away meanwhile. And what that costs who only waits.
 *
 * How long it takes is printed; what is asserted is that it happens at all.
 */
#define _GNU_SOURCE
#include <libpq-fe.h>
#include <stdatomic.h>

#include "cluster.h"
#include "crash/place.h"
#include "flagver/postgres.h"

#define WATCHERS 50
#define FEW 10
#define FLIPS 20
#define DEADLINE_MS 30000 /* of what should take less than a second */
#define IDLE_SECONDS 3
#define PER_SECOND 2 /* statements of an idle process */

static struct cluster *cluster, *usual_cluster;
static struct pooler *pooler;

/* Times are on the monotonic clock, which is one for all processes. */
static struct {
    atomic_bool over;
    atomic_int ready, failed;
    struct {
        atomic_long no; /* the version that is served */
        double since;   /* written before `no` */
    } watchers[WATCHERS];
} * board;

static char database[64];
static flagver_client *client;
static const flagver_actor actor = { .size = sizeof actor, .id = "flipper" };

/* ---- those who watch ---- */

static struct watcher {
    int number;
    const char *uri;
    flagver_client *client;
} watchers[WATCHERS];

static void see(void *data, const char *const *keys, size_t count)
{
    const struct watcher *watcher = data;
    flagver_detail detail = { .size = sizeof detail };

    (void)keys;
    (void)count;
    flagver_flag_bool_detail(watcher->client, "flag", NULL, false, &detail);
    board->watchers[watcher->number].since = now_ms();
    atomic_store(&board->watchers[watcher->number].no, detail.version);
}

static int watch(void *data)
{
    const flagver_options options = { .size = sizeof options,
                                      .no_environment = 1,
                                      .background = 1 };
    struct watcher *watcher = data;
    flagver_error problem;

    if (flagver_open(watcher->uri, &options, &watcher->client, &problem) < 0 ||
        flagver_client_listen(watcher->client, see, watcher, &problem) < 0) {
        atomic_fetch_add(&board->failed, 1);
        return !complain("watcher %d: %s", watcher->number, problem.message);
    }
    atomic_fetch_add(&board->ready, 1);
    while (!atomic_load(&board->over))
        pause_us(20000);
    flagver_close(watcher->client);
    return 0;
}

static pid_t children[WATCHERS];
static int child_count;

static void start_watchers(int count, const char *uri)
{
    double deadline = now_ms() + DEADLINE_MS;

    for (child_count = 0; child_count < count; child_count++) {
        watchers[child_count] = (struct watcher){ .number = child_count, .uri = uri };
        children[child_count] = start(watch, &watchers[child_count]);
    }
    while (atomic_load(&board->ready) < count && now_ms() < deadline)
        pause_us(1000);
    ck_assert_int_eq(atomic_load(&board->ready), count);
}

static void end_watchers(void)
{
    int i, failed = 0;

    atomic_store(&board->over, true);
    for (i = 0; i < child_count; i++)
        failed += finish(children[i]) != 0;
    ck_assert_int_eq(failed, 0);
}

/* ---- who flips ---- */

static int flip_in(flagver_txn *txn, bool on, uint32_t *ret_no)
{
    static const char yes[] = "{\"type\":\"boolean\",\"percentage\":100}",
                      no[] = "{\"type\":\"boolean\",\"percentage\":0}";

    return flagver_flag_put(txn, "flag", on ? yes : no, strlen(on ? yes : no), NULL, ret_no,
                            &error);
}

/* The number that is to be live everywhere; `*ret_begun`: when the commit was asked for. */
static uint32_t flip(double *ret_begun)
{
    static bool on;
    flagver_txn *txn;
    uint32_t no = 0;

    on = !on;
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flip_in(txn, on, &no));
    *ret_begun = now_ms();
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    return no;
}

/* The same inside of a transaction of the application's, which notifies nobody. */
static uint32_t flip_silently(double *ret_begun)
{
    PGconn *db = PQconnectdb(cluster_uri(cluster, database, "app"));
    flagver_txn *txn;
    uint32_t no = 0;

    PQclear(PQexec(db, "BEGIN"));
    assert_ok(flagver_txn_begin_on_postgres(client, db, &actor, NULL, &txn, &error));
    assert_ok(flip_in(txn, true, &no));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    *ret_begun = now_ms();
    PQclear(PQexec(db, "COMMIT"));
    PQfinish(db);
    return no;
}

/* ---- what comes of it ---- */

static double *delays;
static int delay_count;

static bool is_live(int watcher, uint32_t no)
{
    return atomic_load(&board->watchers[watcher].no) >= (long)no;
}

static void await_live(int count, uint32_t no, double begun, void (*meanwhile)(void))
{
    double deadline = begun + DEADLINE_MS;
    int i;

    for (i = 0; i < count; i++) {
        while (!is_live(i, no) && now_ms() < deadline) {
            if (meanwhile)
                meanwhile();
            pause_us(500);
        }
        ck_assert_msg(is_live(i, no), "process %d serves version %ld after %d s, not %u", i,
                      atomic_load(&board->watchers[i].no), DEADLINE_MS / 1000, no);
        /* some may have had it before the clock was started */
        if (board->watchers[i].since >= begun && delay_count < FLIPS * WATCHERS)
            delays[delay_count++] = board->watchers[i].since - begun;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const char *how, int count)
{
    ck_assert_int_gt(delay_count, 0);
    qsort(delays, (size_t)delay_count, sizeof *delays, compare);
    measured("%s: a flipped flag is live in %d other processes after %.0f ms (median), p99 %.0f "
             "ms, at most %.0f ms",
             how, count, delays[delay_count / 2], delays[(delay_count - 1) * 99 / 100],
             delays[delay_count - 1]);
    delay_count = 0;
}

/* Pauses of all lengths, so that flips fall anywhere between two polls. */
static void pause_between(int flip_number)
{
    pause_us(110000 + flip_number * 37 % 100 * 1000);
}

/* ---- set-up ---- */

static int prepare(void *unused)
{
    const char *uri = cluster_uri(cluster, database, "owner");
    flagver_txn *txn;
    uint32_t no;

    (void)unused;
    if (flagver_schema_up(uri, &error) < 0 || flagver_open(uri, NULL, &client, &error) < 0 ||
        flagver_txn_begin(client, &actor, NULL, &txn, &error) < 0 || flip_in(txn, false, &no) < 0 ||
        flagver_txn_commit(txn, &error) < 0)
        return !complain("%s", error.message);
    flagver_txn_free(txn);
    flagver_close(client);
    return 0;
}

/* Fifty processes have two connections each; and the log says which database a statement is for. */
static const struct cluster_options options_of_cluster = {
    .settings = "max_connections = 400\nlog_line_prefix = '%m [%p] [%d] '"
};

static void set_up(void)
{
    if (!cluster_possible())
        cluster_skip();
    snprintf(database, sizeof database, "changes_%ld", (long)getpid());
    cluster_database(cluster, database, NULL);
    ck_assert_int_eq(in_process(prepare, NULL), 0);
    cluster_sql(cluster, database, "SELECT flagver.admit('app')");
    board = shared(sizeof *board);
    delays = calloc(FLIPS * WATCHERS, sizeof *delays);
}

static void tear_down(void)
{
    flagver_close(client);
    end_watchers();
    pooler_stop(pooler);
    free(delays);
    cluster_drop(cluster, database);
}

/* A cluster is taken down by who has started it. */
static void set_up_with_own(void)
{
    usual_cluster = cluster;
    if (cluster_possible())
        cluster = cluster_start(&options_of_cluster);
    set_up();
}

static void tear_down_with_own(void)
{
    tear_down();
    cluster_stop(cluster);
    cluster = usual_cluster;
}

/* After those who watch were started: who has a store open starts nobody. */
static void open_flipper(void)
{
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };

    assert_ok(flagver_open(cluster_uri(cluster, database, "app"), &options, &client, &error));
}

static const char *answer(const char *query)
{
    return cluster_value(cluster, database, query);
}

#define LISTENERS \
    " FROM pg_stat_activity WHERE query = 'LISTEN flagver' AND datname = current_database()"

static void await_listeners(int count)
{
    double deadline = now_ms() + DEADLINE_MS;

    while (atoi(answer("SELECT count(*)" LISTENERS)) < count && now_ms() < deadline)
        pause_us(5000);
    ck_assert_int_eq(atoi(answer("SELECT count(*)" LISTENERS)), count);
}

static void end_listeners(void)
{
    answer("SELECT count(pg_terminate_backend(pid))" LISTENERS);
}

/* ---- the tests ---- */

static void start_few(void)
{
    start_watchers(FEW, cluster_uri(cluster, database, "app"));
    open_flipper();
    await_listeners(FEW);
}

/* A flag is flipped again and again, and each time it is live in all of so many processes. */
static void flip_and_await(int flips, uint32_t (*flip_it)(double *ret_begun), int count)
{
    uint32_t no;
    double begun;
    int i;

    for (i = 0; i < flips; i++) {
        pause_between(i);
        no = flip_it(&begun);
        await_live(count, no, begun, NULL);
    }
}

START_TEST(a_flipped_flag_is_live_in_fifty_other_processes)
{
    start_watchers(WATCHERS, cluster_uri(cluster, database, "app"));
    open_flipper();
    await_listeners(WATCHERS);
    flip_and_await(FLIPS, flip, WATCHERS);
    report("notified", WATCHERS);
}
END_TEST

START_TEST(behind_a_pooler_it_is_live_by_polling)
{
    if (!pooler_possible())
        pooler_skip();
    pooler = pooler_start(cluster, NULL);
    start_watchers(FEW, pooler_uri(pooler, database, "app"));
    open_flipper();
    await_listeners(0);
    flip_and_await(FLIPS / 4, flip, FEW);
    report("through PgBouncer", FEW);
}
END_TEST

START_TEST(what_nobody_was_told_of_is_live_by_polling)
{
    start_few();
    flip_and_await(FLIPS / 4, flip_silently, FEW);
    report("not notified", FEW);
}
END_TEST

START_TEST(while_nobody_can_listen_it_is_live_by_polling)
{
    uint32_t no;
    double begun;
    int i;

    start_few();
    for (i = 0; i < FLIPS / 4; i++) {
        end_listeners();
        pause_between(i);
        no = flip(&begun);
        await_live(FEW, no, begun, end_listeners);
    }
    report("listeners ended all the time", FEW);
    await_listeners(FEW); /* as soon as they may */
    no = flip(&begun);
    await_live(FEW, no, begun, NULL);
}
END_TEST

/* In the middle of a change: whoever has not heard of it by then hears of it from nobody. */
START_TEST(what_was_missed_while_the_server_was_away_is_made_up_for)
{
    uint32_t no;
    double begun;
    int i;

    start_few();
    for (i = 0; i < 3; i++) {
        no = flip(&begun);
        cluster_kill(cluster);
        pause_us(i * 400000); /* those who listen wait longer and longer before they try again */
        cluster_restart(cluster);
        begun = now_ms();
        await_live(FEW, no, begun, NULL);
        no = flip(&begun);
        await_live(FEW, no, begun, NULL);
    }
    report("after the server was away", FEW);
    await_listeners(FEW);
}
END_TEST

/* ---- what it costs ---- */

/* What the server has written down about this database's statements. */
static int count_statements(void)
{
    FILE *log = fopen(cluster_log(cluster), "r");
    char line[4096], mark[80];
    int count = 0;

    snprintf(mark, sizeof mark, "[%s] LOG:  ", database);
    while (log && fgets(line, sizeof line, log))
        count += strstr(line, mark) &&
                 (strstr(line, "LOG:  execute ") || strstr(line, "LOG:  statement: "));
    if (log)
        fclose(log);
    return count;
}

START_TEST(a_process_that_only_waits_sends_two_statements_a_second)
{
    int before, after;
    char log_all[160];
    double begun, seconds;

    snprintf(log_all, sizeof log_all, "ALTER DATABASE %s SET log_statement = 'all'", database);
    cluster_sql(cluster, "postgres", log_all);
    if (_i == 1 && !pooler_possible())
        pooler_skip();
    if (_i == 1)
        pooler = pooler_start(cluster, NULL);
    start_watchers(1, _i == 0 ? cluster_uri(cluster, database, "app")
                              : pooler_uri(pooler, database, "app"));
    pause_us(700000); /* what there is to do once is done */
    begun = now_ms();
    before = count_statements();
    pause_us(IDLE_SECONDS * 1000000);
    after = count_statements();
    seconds = (now_ms() - begun) / 1e3;
    measured("an idle process%s sends %.2f statements a second", _i == 0 ? "" : " behind PgBouncer",
             (after - before) / seconds);
    ck_assert_int_gt(after, before);
    /* and one that was about to come */
    ck_assert_int_le(after - before, (int)(PER_SECOND * seconds) + 1);
}
END_TEST

static TCase *add_tcase(Suite *suite, const char *name, void (*before)(void), void (*after)(void))
{
    TCase *tests = tcase_create(name);

    tcase_set_tags(tests, "postgres");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, before, after);
    suite_add_tcase(suite, tests);
    return tests;
}

static Suite *changes_suite(void)
{
    Suite *suite = suite_create("changes on PostgreSQL");
    TCase *tests = add_tcase(suite, "live in other processes", set_up, tear_down);

    tcase_add_test(tests, a_flipped_flag_is_live_in_fifty_other_processes);
    tcase_add_test(tests, behind_a_pooler_it_is_live_by_polling);
    tcase_add_test(tests, what_nobody_was_told_of_is_live_by_polling);
    tcase_add_test(tests, while_nobody_can_listen_it_is_live_by_polling);
    tcase_add_loop_test(tests, a_process_that_only_waits_sends_two_statements_a_second, 0, 2);
    tests = add_tcase(suite, "the server goes away", set_up_with_own, tear_down_with_own);
    tcase_add_test(tests, what_was_missed_while_the_server_was_away_is_made_up_for);
    return suite;
}

int main(void)
{
    int result;

    if (cluster_possible())
        cluster = cluster_start(&options_of_cluster);
    result = run_suite(changes_suite());
    cluster_stop(cluster);
    return result;
}
