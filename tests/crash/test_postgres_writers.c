/*
 * Eight processes change the flags of one PostgreSQL store, some of them the same flags, and
 * evaluate meanwhile. Every change that was acknowledged is in the history, under the number that
 * was given, there is nothing else, and none of them waits while the others go on.
 *
 * FLAGVER_TEST_CHANGES / 10 says how many changes each process makes.
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "cluster.h"
#include "crash/holds.h"
#include "seed.h"

#define PROCESSES 8
#define SHARED 5
#define FLAGS (SHARED + PROCESSES) /* each process has one of its own, too */
#define CHANGES 2000

/* An acknowledged change. */
struct change {
    uint32_t flag, no, number;
};

struct writer {
    int changes;
    double worst_ms, done_ms; /* the longest one; when it was ready with all */
};

static struct {
    atomic_int ready;
    atomic_bool failed;
    struct writer writers[PROCESSES];
} * board;

static struct change *changes; /* of all writers */
static int change_count;       /* of each */
static char database[32], uri[512];
static double begun_ms;

static const flagver_actor actor = { .size = sizeof actor, .id = "writer" };

static const char *flag_name(uint32_t flag, char name[16])
{
    snprintf(name, 16, flag < SHARED ? "shared-%u" : "own-%u", flag);
    return name;
}

/* ---- one process ---- */

struct work {
    int number; /* of the process */
    flagver_client *client;
    struct writer *writer;
    struct change *changes;
    struct seed seed;
    int64_t seen[FLAGS]; /* versions that were served: they never fall */
};

struct operation {
    uint32_t flag, kind, value, no;
    char note[32];
};

static int operate(void *data, flagver_txn *txn, flagver_error *err)
{
    struct operation *operation = data;
    const flagver_write_options options = { .size = sizeof options, .note = operation->note };
    char name[16], user[16], json[128];
    const char *users[] = { user };

    flag_name(operation->flag, name);
    snprintf(user, sizeof user, "user%u", operation->value % 25);
    snprintf(json, sizeof json, "{\"type\":\"boolean\",\"percentage\":%u}", operation->value);
    switch (operation->kind) {
    case 0:
        return flagver_flag_put(txn, name, json, strlen(json), &options, &operation->no, err);
    case 1:
        return flagver_flag_beta_add(txn, name, users, 1, &options, &operation->no, err);
    default:
        return flagver_flag_ramp(txn, name, operation->value, &options, &operation->no, err);
    }
}

static bool look(struct work *work, uint32_t flag, uint32_t at_least)
{
    flagver_detail detail = { .size = sizeof detail };
    char name[16];

    flagver_flag_bool_detail(work->client, flag_name(flag, name), NULL, false, &detail);
    if (detail.error == FLAGVER_ERROR_FLAG_NOT_FOUND && !at_least && !work->seen[flag])
        return true;
    if (detail.error != FLAGVER_ERROR_NONE && detail.error != FLAGVER_ERROR_TARGETING_KEY_MISSING)
        return complain("%s ends in error %d", name, detail.error);
    if (detail.version < work->seen[flag] || detail.version < at_least)
        return complain("%s is at version %lld after %lld and %u", name, (long long)detail.version,
                        (long long)work->seen[flag], at_least);
    work->seen[flag] = detail.version;
    return true;
}

static bool change_once(struct work *work, int number)
{
    struct operation operation = { .flag = seed_below(&work->seed, 5) < 3
                                               ? seed_below(&work->seed, SHARED)
                                               : SHARED + (uint32_t)work->number,
                                   .kind = seed_below(&work->seed, 4),
                                   .value = seed_below(&work->seed, 101) };
    flagver_error problem = { 0 };
    double begun = now_ms(), took;

    if (number == 0)
        operation = (struct operation){ .flag = SHARED + (uint32_t)work->number };
    snprintf(operation.note, sizeof operation.note, "%d/%d", work->number, number);
    if (flagver_txn_run(work->client, &actor, NULL, operate, &operation, &problem) < 0)
        return complain("process %d, change %d: %s", work->number, number, problem.message);
    took = now_ms() - begun;
    if (took > work->writer->worst_ms)
        work->writer->worst_ms = took;
    work->changes[work->writer->changes++] = (struct change){ operation.flag, operation.no,
                                                              (uint32_t)number };
    if (number % 8 || work->number % 4 == 3)
        return look(work, operation.flag, 0);
    if (flagver_client_refresh(work->client, &problem) < 0)
        return complain("process %d, refresh: %s", work->number, problem.message);
    return look(work, operation.flag, operation.no);
}

static void wait_for_all(void)
{
    atomic_fetch_add(&board->ready, 1);
    while (atomic_load(&board->ready) < PROCESSES && !atomic_load(&board->failed))
        pause_us(500);
}

/* Every fourth has a thread that refreshes, the others do it themselves. */
static bool work_on(int number)
{
    const flagver_options options = { .size = sizeof options,
                                      .background = number % 4 == 3,
                                      .poll_ms = 20 };
    struct work work = { .number = number,
                         .writer = &board->writers[number],
                         .changes = changes + number * change_count,
                         .seed = seed_new((uint64_t)number) };
    flagver_error problem;
    bool fine = true;
    int i;

    if (flagver_open(uri, &options, &work.client, &problem) < 0)
        return complain("process %d: %s", number, problem.message);
    wait_for_all();
    for (i = 0; fine && i < change_count; i++)
        fine = change_once(&work, i);
    work.writer->done_ms = now_ms() - begun_ms;
    flagver_close(work.client);
    return fine;
}

static int write_on(void *number)
{
    bool fine = work_on(*(int *)number);

    if (!fine)
        atomic_store(&board->failed, true);
    return !fine;
}

/* ---- the test ---- */

static int put_shared(void *unused, flagver_txn *txn, flagver_error *err)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":10}";
    uint32_t flag;
    char name[16];
    int r = 0;

    (void)unused;
    for (flag = 0; r == 0 && flag < SHARED; flag++)
        r = flagver_flag_put(txn, flag_name(flag, name), json, sizeof json - 1, NULL, NULL, err);
    return r;
}

static int prepare(void *owner_uri)
{
    flagver_client *client;
    flagver_error problem;
    int r;

    r = flagver_schema_up(owner_uri, &problem);
    if (r == 0)
        r = flagver_open(owner_uri, NULL, &client, &problem);
    if (r == 0) {
        r = flagver_txn_run(client, &actor, NULL, put_shared, NULL, &problem);
        flagver_close(client);
    }
    return r < 0 && !complain("%s", problem.message);
}

/* Each change has a version of its own, and each version its change. */
static void assert_all_there(const struct held *held)
{
    uint32_t counts[FLAGS] = { 0 }, flag;
    const struct held_series *series;
    const struct change *change;
    char name[16], note[32];
    int i, k;

    for (i = 0; i < PROCESSES; i++) {
        ck_assert_int_eq(board->writers[i].changes, change_count);
        for (k = 0; k < change_count; k++) {
            change = &changes[i * change_count + k];
            series = held_find(held, FLAGVER_PHASE_FLAG, flag_name(change->flag, name));
            snprintf(note, sizeof note, "%d/%u", i, change->number);
            must(series && change->no >= 1 && change->no <= series->count, "%s has no version %u",
                 name, change->no);
            must(strcmp(series->versions[change->no - 1].note, note) == 0,
                 "version %u of %s is change %s and not %s", change->no, name,
                 series->versions[change->no - 1].note, note);
            counts[change->flag]++;
        }
    }
    for (flag = 0; flag < FLAGS; flag++) {
        series = held_find(held, FLAGVER_PHASE_FLAG, flag_name(flag, name));
        ck_assert_uint_eq(series->count, counts[flag] + (flag < SHARED));
    }
}

static void print_line(void *data, const char *line)
{
    (void)data;
    complain("%s", line);
}

static void assert_history(void)
{
    flagver_client *client;
    struct held held;

    assert_ok(flagver_open(uri, NULL, &client, &error));
    ck_assert(held_read(client, &held));
    assert_all_there(&held);
    held_free(&held);
    assert_ok(flagver_audit_verify(client, NULL, print_line, NULL, NULL, &error));
    flagver_close(client);
    ck_assert(schema_holds(cluster_uri(cluster_shared(), database, "owner")));
}

static void report(double took)
{
    double worst = 0, first = took;
    int i;

    for (i = 0; i < PROCESSES; i++) {
        if (board->writers[i].worst_ms > worst)
            worst = board->writers[i].worst_ms;
        if (board->writers[i].done_ms < first)
            first = board->writers[i].done_ms;
    }
    measured("%d processes, %d changes each, in %.1f s; the first was ready after %.1f s; worst "
             "wait %.0f ms",
             PROCESSES, change_count, took / 1e3, first / 1e3, worst);
}

static void set_up(void)
{
    char owner_uri[512];

    if (!cluster_possible())
        cluster_skip();
    snprintf(database, sizeof database, "writers_%ld", (long)getpid());
    cluster_database(cluster_shared(), database, NULL);
    snprintf(uri, sizeof uri, "%s", cluster_uri(cluster_shared(), database, "app"));
    snprintf(owner_uri, sizeof owner_uri, "%s", cluster_uri(cluster_shared(), database, "owner"));
    ck_assert_int_eq(in_process(prepare, owner_uri), 0);
    cluster_sql(cluster_shared(), database, "SELECT flagver.admit('app')");
}

static void tear_down(void)
{
    cluster_drop(cluster_shared(), database);
}

START_TEST(no_change_of_eight_processes_is_lost)
{
    int numbers[PROCESSES], i, failed = 0;
    pid_t writers[PROCESSES];

    change_count = scale("FLAGVER_TEST_CHANGES", CHANGES) / 10 + 1;
    board = shared(sizeof *board);
    changes = shared((size_t)(PROCESSES * change_count) * sizeof *changes);
    begun_ms = now_ms();
    for (i = 0; i < PROCESSES; i++) {
        numbers[i] = i;
        writers[i] = start(write_on, &numbers[i]);
    }
    for (i = 0; i < PROCESSES; i++)
        failed += finish(writers[i]) != 0;
    report(now_ms() - begun_ms);
    ck_assert_int_eq(failed, 0);
    assert_history();
}
END_TEST

static Suite *writers_suite(void)
{
    Suite *suite = suite_create("many processes on PostgreSQL");
    TCase *tests = tcase_create("one store");

    tcase_set_tags(tests, "postgres");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, no_change_of_eight_processes_is_lost);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    if (cluster_possible())
        cluster_shared();
    return run_suite(writers_suite());
}
