/*
 * Processes change flags and records in one PostgreSQL store, and are killed with SIGKILL at random
 * moments; or the server is, under all of them. What was acknowledged is there exactly once; the
 * rest is there as a whole or not at all; what is run again under its idempotency key is not done
 * twice; and clients go on by themselves when the server is back.
 *
 * FLAGVER_KILLS says how many processes are killed; a tenth of that, but at least 20, is how often
 * the server is.
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "cluster.h"
#include "crash/serial.h"
#include "seed.h"

#define KILLS 100
#define SERVER_KILLS 20
#define WORKERS 4
#define FLAGS 6
#define REPORTS 4
#define OPERATIONS 4
#define TRANSACTIONS 100000 /* of one store at most */
#define CHECKED_AFTER 5     /* kills of processes */
#define STORE_KILLS 50      /* then a fresh store is begun */
#define PATIENCE_MS 30000   /* for what should take a moment */
#define LONG_US 700000      /* longer than anybody tries to find out what became of a commit */

static struct cluster *cluster;
static char database[64], pattern[64], uri[512];
static struct seed dice;

static const flagver_actor actor = { .size = sizeof actor, .id = "killed" };

/* ---- what is known about the transactions of a store ---- */

/* From INTENDED on it may be there, REFUSED it must not be. */
enum state { READY, INTENDED, REFUSED, ACKNOWLEDGED };

struct known {
    atomic_int state;
    uint32_t count;
    struct operation operations[OPERATIONS];
};

/* Shared by all processes: it survives them. */
static struct {
    atomic_uint last; /* serial number that was given out */
    atomic_bool stop, server_may_die, is_open[WORKERS];
    atomic_uint current[WORKERS], acknowledged[WORKERS];
    atomic_int unknown; /* outcomes, in all stores */
    struct known transactions[TRANSACTIONS + 1];
} * board;

static int committed, cut_off; /* in all stores */

static const char *name_of(uint32_t subject, char name[16])
{
    snprintf(name, 16, subject < FLAGS ? "flag-%u" : "report-%u", subject);
    return name;
}

/* ---- transactions, the same for the same serial number ---- */

static int record(flagver_txn *txn, const char *name, uint32_t value,
                  const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    flagver_version *version;
    char json[48];
    int r;

    snprintf(json, sizeof json, "{\"value\":%u}", value);
    r = flagver_version_record(txn, "report", name, json, strlen(json), options, &version, err);
    if (r < 0)
        return r;
    *ret_no = version->no;
    flagver_version_free(version);
    return 0;
}

static int operate(flagver_txn *txn, struct seed *seed, const char *note,
                   struct operation *operation, flagver_error *err)
{
    const flagver_write_options options = { .size = sizeof options, .note = note };
    uint32_t kind = seed_below(seed, 5), value = seed_below(seed, 101), *no = &operation->no;
    char name[16];

    operation->subject = seed_below(seed, FLAGS + REPORTS);
    name_of(operation->subject, name);
    if (operation->subject >= FLAGS)
        return record(txn, name, value, &options, no, err);
    return change_flag(txn, name, kind, value, &options, no, err);
}

static int make_changes(void *data, flagver_txn *txn, flagver_error *err)
{
    uint32_t serial = *(const uint32_t *)data, count, i;
    struct known *known = &board->transactions[serial];
    struct operation operations[OPERATIONS] = { { 0 } };
    struct seed seed = { serial };
    char note[16];
    int r = 0;

    snprintf(note, sizeof note, "%u", serial);
    count = 1 + seed_below(&seed, OPERATIONS);
    for (i = 0; r == 0 && i < count; i++)
        r = operate(txn, &seed, note, &operations[i], err);
    if (r < 0)
        return r;
    known->count = count;
    memcpy(known->operations, operations, sizeof operations);
    atomic_store(&known->state, INTENDED);
    return 0;
}

static int run_once(flagver_client *client, uint32_t serial, flagver_error *err)
{
    flagver_txn_options options = { .size = sizeof options };
    char key[16];

    snprintf(key, sizeof key, "%u", serial);
    if (is_keyed(serial))
        options.idempotency_key = key;
    return flagver_txn_run(client, &actor, &options, make_changes, &serial, err);
}

static bool may_fail_with(int r)
{
    return r == FLAGVER_EBUSY || (atomic_load(&board->server_may_die) &&
                                  (r == FLAGVER_EUNAVAILABLE || r == FLAGVER_EUNKNOWN));
}

/*
 * `pursued`: it may be there already. Then, and when nobody knows what became of it, it is run
 * until there is an answer, if it has a key.
 */
static bool run_one(flagver_client *client, uint32_t serial, bool pursued)
{
    struct known *known = &board->transactions[serial];
    flagver_error problem;
    int r;

    while ((r = run_once(client, serial, &problem)) != 0) {
        if (!may_fail_with(r))
            return complain("transaction %u: %s", serial, problem.message);
        if (r == FLAGVER_EUNKNOWN) {
            atomic_fetch_add(&board->unknown, 1);
            if (!is_keyed(serial))
                return true;
            pursued = true;
        }
        if (!pursued) {
            atomic_store(&known->state, REFUSED);
            return true;
        }
        pause_us(5000);
    }
    atomic_store(&known->state, ACKNOWLEDGED);
    return true;
}

/* ---- who is killed ---- */

struct job {
    int number;
    uint32_t again; /* the transaction that was cut off; 0: none */
    pid_t process;
};

static struct job jobs[WORKERS];

static bool work_on(flagver_client *client, const struct job *job)
{
    bool fine = !job->again || run_one(client, job->again, true);
    uint32_t serial;

    while (fine && !atomic_load(&board->stop)) {
        serial = atomic_fetch_add(&board->last, 1) + 1;
        if (serial > TRANSACTIONS)
            return complain("there is no room for so many transactions");
        atomic_store(&board->current[job->number], serial);
        fine = run_one(client, serial, false);
        if (atomic_load(&board->transactions[serial].state) == ACKNOWLEDGED)
            atomic_fetch_add(&board->acknowledged[job->number], 1);
    }
    return fine;
}

static int work(void *data)
{
    const struct job *job = data;
    flagver_client *client;
    flagver_error problem;
    bool fine;

    if (flagver_open(uri, NULL, &client, &problem) < 0)
        return !complain("opening: %s", problem.message);
    atomic_store(&board->is_open[job->number], true);
    fine = work_on(client, job);
    flagver_close(client);
    return !fine;
}

static void start_one(struct job *job)
{
    atomic_store(&board->is_open[job->number], false);
    job->process = start(work, job);
}

static void start_all(void)
{
    int i;

    atomic_store(&board->stop, false);
    for (i = 0; i < WORKERS; i++) {
        jobs[i] = (struct job){ .number = i };
        start_one(&jobs[i]);
    }
}

static void stop_all(void)
{
    int i;

    atomic_store(&board->stop, true);
    for (i = 0; i < WORKERS; i++)
        ck_assert_int_eq(finish(jobs[i].process), 0);
}

/* ---- is everything as it was said? ---- */

static bool find_owner(const struct held_series *series, uint32_t no, uint32_t *found)
{
    unsigned long serial = strtoul(series->versions[no - 1].note, NULL, 10);
    const struct known *known;

    if (!serial || serial > atomic_load(&board->last))
        return complain("version %u of %s was never announced", no, series->subject);
    known = &board->transactions[serial];
    if (!is_among(known->operations, known->count, series->subject, no))
        return complain("version %u of %s is of transaction %lu, which does not know it", no,
                        series->subject, serial);
    found[serial]++;
    return true;
}

/* Version by version: whose is it? The first ones of the flags and the policy are nobody's. */
static bool find_owners(const struct held *held, uint32_t *found)
{
    const struct held_series *series;
    bool fine = true;
    uint32_t no;
    size_t i;

    for (i = 0; i < held->count; i++) {
        series = &held->series[i];
        if (strcmp(series->phase, FLAGVER_PHASE_PHASE) == 0)
            continue;
        no = strcmp(series->phase, FLAGVER_PHASE_FLAG) == 0 ? 2 : 1;
        for (; fine && no <= series->count; no++)
            fine = find_owner(series, no, found);
    }
    return fine;
}

static bool is_there_as_said(uint32_t serial, uint32_t found)
{
    const struct known *known = &board->transactions[serial];
    static const char *const words[] = { "begun", "cut off", "refused", "acknowledged" };
    int state = atomic_load(&known->state);
    bool all = found == known->count, none = found == 0;

    if (state == ACKNOWLEDGED ? all : state == INTENDED ? all || none : none)
        return true;
    return complain("of transaction %u (%s) %u of %u operations are there", serial, words[state],
                    found, known->count);
}

static bool ledger_holds(const struct held *held)
{
    uint32_t last = atomic_load(&board->last), serial;
    uint32_t *found = calloc(last + 1, sizeof *found);
    bool fine = found && find_owners(held, found);

    for (serial = 1; fine && serial <= last; serial++)
        fine = is_there_as_said(serial, found[serial]);
    free(found);
    return fine;
}

static void print_line(void *data, const char *line)
{
    (void)data;
    complain("%s", line);
}

static int check(void *unused)
{
    flagver_client *client;
    flagver_error problem;
    struct held held;
    bool fine;
    int r;

    (void)unused;
    if (flagver_open(uri, NULL, &client, &problem) < 0)
        return !complain("opening after a kill: %s", problem.message);
    fine = held_read(client, &held) && ledger_holds(&held);
    held_free(&held);
    r = flagver_audit_verify(client, NULL, print_line, NULL, NULL, &problem);
    if (r != 0)
        fine = complain("audit verify: %s", r < 0 ? problem.message : "see above");
    flagver_close(client);
    return !fine;
}

/* What a process has left behind on the server ends in its own time. */
static void assert_all_as_said(void)
{
    while (*cluster_value(cluster, database,
                          "SELECT 1 FROM pg_stat_activity WHERE usename = 'app'"
                          " AND datname = current_database()"))
        pause_us(1000);
    ck_assert_int_eq(in_process(check, NULL), 0);
}

/* ---- stores ---- */

static int put_all(void *unused, flagver_txn *txn, flagver_error *err)
{
    static const char policy[] = "{\"versioning\":\"audit_only\"}";
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":1}";
    uint32_t flag;
    char name[16];
    int r;

    (void)unused;
    r = flagver_version_put(txn, FLAGVER_PHASE_PHASE, "report", policy, sizeof policy - 1, NULL,
                            NULL, err);
    for (flag = 0; r == 0 && flag < FLAGS; flag++)
        r = flagver_flag_put(txn, name_of(flag, name), json, sizeof json - 1, NULL, NULL, err);
    return r;
}

static int fill(void *owner_uri)
{
    flagver_client *client;
    flagver_error problem;
    int r;

    r = flagver_schema_up(owner_uri, &problem);
    if (r == 0)
        r = flagver_open(owner_uri, NULL, &client, &problem);
    if (r < 0)
        return !complain("%s", problem.message);
    r = flagver_txn_run(client, &actor, NULL, put_all, NULL, &problem);
    flagver_close(client);
    return r < 0 && !complain("%s", problem.message);
}

/* Of all programs that use the cluster. */
static void name_database(const char *what, char name[64])
{
    static int number;

    snprintf(name, 64, "%s_%ld_%d", what, (long)getpid(), ++number);
}

/* What all stores of a test are copied from. */
static void make_pattern(void)
{
    char owner_uri[512];

    name_database("pattern", pattern);
    cluster_database(cluster, pattern, NULL);
    snprintf(owner_uri, sizeof owner_uri, "%s", cluster_uri(cluster, pattern, "owner"));
    ck_assert_int_eq(in_process(fill, owner_uri), 0);
    cluster_sql(cluster, pattern, "SELECT flagver.admit('app')");
}

static void begin_store(void)
{
    memset(board->transactions, 0, (atomic_load(&board->last) + 1) * sizeof(struct known));
    atomic_store(&board->last, 0);
    name_database("store", database);
    cluster_database(cluster, database, pattern);
    snprintf(uri, sizeof uri, "%s", cluster_uri(cluster, database, "app"));
}

static int schema_is_whole(void *unused)
{
    (void)unused;
    return !schema_holds(cluster_uri(cluster, database, "owner"));
}

static void end_store(void)
{
    uint32_t serial;
    int state;

    for (serial = 1; serial <= atomic_load(&board->last); serial++) {
        state = atomic_load(&board->transactions[serial].state);
        committed += state == ACKNOWLEDGED;
        cut_off += state == INTENDED;
    }
    ck_assert_int_eq(in_process(schema_is_whole, NULL), 0);
    cluster_drop(cluster, database);
}

static void begin_stores(struct cluster *in)
{
    cluster = in;
    board = shared(sizeof *board);
    make_pattern();
}

/* ---- processes ---- */

static long random_delay(void)
{
    return seed_below(&dice, 8) ? seed_below(&dice, 30000) : seed_below(&dice, 100000);
}

static void wait_until_open(const struct job *job)
{
    siginfo_t ended = { .si_pid = 0 };

    while (!atomic_load(&board->is_open[job->number])) {
        waitid(P_PID, (id_t)job->process, &ended, WEXITED | WNOHANG | WNOWAIT);
        ck_assert_msg(ended.si_pid == 0, "a process ended before it was killed");
        pause_us(200);
    }
}

/* The transaction that it was cut off in, if it is to be run again. */
static uint32_t find_cut_off(const struct job *job)
{
    uint32_t serial = job->again;

    if (!serial || atomic_load(&board->transactions[serial].state) == ACKNOWLEDGED)
        serial = atomic_load(&board->current[job->number]);
    return is_keyed(serial) && atomic_load(&board->transactions[serial].state) == INTENDED ? serial
                                                                                           : 0;
}

/*
 * Most are killed while they write, some while they open the store. Another one takes the place at
 * once, while the server may not be done with what was cut off.
 */
static void kill_worker(struct job *job)
{
    if (seed_below(&dice, 10) < 8)
        wait_until_open(job);
    pause_us(random_delay());
    kill(job->process, SIGKILL);
    ck_assert_int_eq(finish(job->process), 1000 + SIGKILL);
    job->again = find_cut_off(job);
    start_one(job);
}

START_TEST(a_killed_process_leaves_whole_transactions)
{
    int i, count = scale("FLAGVER_KILLS", KILLS);

    dice = seed_new(0);
    begin_stores(cluster_shared());
    for (i = 0; i < count; i++) {
        if (i % STORE_KILLS == 0)
            begin_store();
        if (i % CHECKED_AFTER == 0)
            start_all();
        kill_worker(&jobs[seed_below(&dice, WORKERS)]);
        if (i % CHECKED_AFTER == CHECKED_AFTER - 1 || i == count - 1) {
            stop_all();
            assert_all_as_said();
        }
        if (i % STORE_KILLS == STORE_KILLS - 1 || i == count - 1)
            end_store();
    }
    cluster_drop(cluster, pattern);
    ck_assert_int_gt(committed, 0);
    measured("%d kills of processes: %d transactions acknowledged, %d cut off between announcement "
             "and acknowledgement",
             count, committed, cut_off);
}
END_TEST

/* ---- the server ---- */

static struct {
    double sum_ms, worst_ms;
} recovery;

/* One of its processes: then all others end, too, and it starts over by itself. */
static void kill_one_of_the_server(void)
{
    const char *pid = cluster_value(cluster, database,
                                    "SELECT pid FROM pg_stat_activity WHERE usename = 'app'"
                                    " ORDER BY state = 'active' DESC LIMIT 1");

    if (*pid)
        kill((pid_t)atol(pid), SIGKILL);
}

static void kill_server(int kind)
{
    switch (kind) {
    case 0:
        cluster_kill(cluster);
        break;
    case 1:
        cluster_end(cluster, SIGQUIT);
        break;
    default:
        kill_one_of_the_server();
        return;
    }
    pause_us(seed_below(&dice, 4) ? random_delay() : LONG_US);
    cluster_restart(cluster);
}

/* Each of them has had something acknowledged since. */
static void await_all(const unsigned before[WORKERS])
{
    double deadline = now_ms() + PATIENCE_MS;
    int i;

    for (i = 0; i < WORKERS; i++)
        while (atomic_load(&board->acknowledged[i]) == before[i]) {
            ck_assert_msg(now_ms() < deadline, "process %d does not go on", i);
            pause_us(500);
        }
}

static void note_acknowledged(unsigned counts[WORKERS])
{
    int i;

    for (i = 0; i < WORKERS; i++)
        counts[i] = atomic_load(&board->acknowledged[i]);
}

/* While they work. */
static void kill_the_server_once(int kind)
{
    unsigned counts[WORKERS];
    double begun, took;

    note_acknowledged(counts);
    start_all();
    await_all(counts);
    pause_us(random_delay());
    kill_server(kind);
    note_acknowledged(counts);
    begun = now_ms();
    await_all(counts);
    took = now_ms() - begun;
    stop_all();
    recovery.sum_ms += took;
    recovery.worst_ms = took > recovery.worst_ms ? took : recovery.worst_ms;
}

static int server_kills(void)
{
    int count = scale("FLAGVER_KILLS", KILLS) / 10;

    return count > SERVER_KILLS ? count : SERVER_KILLS;
}

/* Commits take their time, so that some are under way. */
static const struct cluster_options slow = { .force = true,
                                             .settings = "commit_delay = 20000\n"
                                                         "commit_siblings = 0" };

START_TEST(a_killed_server_has_what_it_has_acknowledged)
{
    int i, count = server_kills();

    dice = seed_new(1);
    begin_stores(cluster_start(&slow));
    atomic_store(&board->server_may_die, true);
    for (i = 0; i < count; i++) {
        if (i % STORE_KILLS == 0)
            begin_store();
        kill_the_server_once((int)seed_below(&dice, 3));
        assert_all_as_said();
        if (i % STORE_KILLS == STORE_KILLS - 1 || i == count - 1)
            end_store();
    }
    cluster_stop(cluster);
    measured("%d kills of the server: %d transactions acknowledged, %d with unknown outcome, %d of "
             "them for good",
             count, committed, atomic_load(&board->unknown), cut_off);
    measured("each of %d processes had something acknowledged again %.0f ms after the server was "
             "back, at most %.0f ms",
             WORKERS, recovery.sum_ms / count, recovery.worst_ms);
}
END_TEST

static void want_server(void)
{
    if (!cluster_possible())
        cluster_skip();
}

static Suite *kill_suite(void)
{
    Suite *suite = suite_create("PostgreSQL, killed");
    TCase *tests = tcase_create("at any moment");

    tcase_set_tags(tests, "postgres");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, want_server, NULL);
    tcase_add_test(tests, a_killed_process_leaves_whole_transactions);
    tcase_add_test(tests, a_killed_server_has_what_it_has_acknowledged);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    if (cluster_possible())
        cluster_shared();
    return run_suite(kill_suite());
}
