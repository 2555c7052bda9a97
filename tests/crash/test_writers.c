/*
 * Eight processes change the flags of one store, some of them the same flags, and
 * evaluate meanwhile. Every change that was acknowledged is in the history, under
 * the number that was given, and there is nothing else.
 *
 * FLAGVER_TEST_CHANGES says how many changes each process makes.
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "crash/holds.h"
#include "seed.h"

#define PROCESSES 8
#define SHARED 5
#define FLAGS (SHARED + PROCESSES) /* each process has one of its own, too */
#define USERS 25
#define CHANGES 1000
#define ROUNDS 50 /* of processes that create a store together */

/* An acknowledged change. */
struct change {
    uint32_t flag, no, number;
};

struct writer {
    int changes, refused, again;
    double worst_ms;
    uint64_t state; /* what it serves in the end */
};

static struct {
    atomic_int ready, written;
    atomic_bool failed;
    struct writer writers[PROCESSES];
} * board;

static struct change *changes; /* of all writers */
static int change_count;       /* of each */
static struct place place;
static struct seed seed;

static const char *flag_name(uint32_t flag, char name[16])
{
    snprintf(name, 16, flag < SHARED ? "shared-%u" : "own-%u", flag);
    return name;
}

/* The same for processes that have the same flags; 0 when something is wrong. */
static uint64_t state_of(flagver_client *client)
{
    flagver_detail detail = { .size = sizeof detail };
    uint64_t state = 1;
    uint32_t flag;
    char name[16];
    int i;

    for (flag = 0; flag < FLAGS; flag++) {
        for (i = 0; i < USERS; i++) {
            char user[16];
            flagver_context *context;

            snprintf(user, sizeof user, "user%d", i);
            context = flagver_context_new(user);
            flagver_flag_bool_detail(client, flag_name(flag, name), context, false, &detail);
            flagver_context_free(context);
            if (detail.error != FLAGVER_ERROR_NONE)
                return 0;
            state = state * UINT64_C(0x100000001b3) ^ (uint64_t)detail.version ^
                    (uint64_t)detail.value.boolean << 40 ^ (uint64_t)detail.reason << 44;
        }
    }
    return state;
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
    uint32_t expect_no;
};

static int operate(void *data, flagver_txn *txn, flagver_error *err)
{
    struct operation *operation = data;
    const flagver_write_options options = { .size = sizeof options,
                                            .note = operation->note,
                                            .expect_no = operation->expect_no };
    char name[16], user[16], json[128];
    const char *users[] = { user };

    flag_name(operation->flag, name);
    snprintf(user, sizeof user, "user%u", operation->value % USERS);
    snprintf(json, sizeof json, "{\"type\":\"boolean\",\"percentage\":%u}", operation->value);
    switch (operation->kind) {
    case 0:
        return flagver_flag_put(txn, name, json, strlen(json), &options, &operation->no, err);
    case 1:
        return flagver_flag_beta_add(txn, name, users, 1, &options, &operation->no, err);
    case 2:
        return operation->value % 2
                   ? flagver_flag_enable(txn, name, &options, &operation->no, err)
                   : flagver_flag_disable(txn, name, &options, &operation->no, err);
    default:
        return flagver_flag_ramp(txn, name, operation->value, &options, &operation->no, err);
    }
}

/* By hand, what flagver_txn_run() does: again as long as others are faster. */
static int run_by_hand(struct work *work, const flagver_actor *actor, struct operation *operation,
                       flagver_error *err)
{
    flagver_txn *txn;
    int r;

    for (;;) {
        r = flagver_txn_begin(work->client, actor, NULL, &txn, err);
        if (r < 0)
            return r;
        r = operate(operation, txn, err);
        if (r == 0)
            r = flagver_txn_commit(txn, err);
        flagver_txn_free(txn);
        if (r == 0 || flagver_error_class(r) != FLAGVER_CLASS_RETRY)
            return r;
        work->writer->again++;
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
                                   .kind = seed_below(&work->seed, 6),
                                   .value = seed_below(&work->seed, 101) };
    const flagver_actor actor = { .size = sizeof actor, .id = "writer" };
    flagver_error problem = { 0 };
    double begun = now_ms(), took;
    int r;

    if (number == 0)
        operation = (struct operation){ .flag = SHARED + (uint32_t)work->number };
    snprintf(operation.note, sizeof operation.note, "%d/%d", work->number, number);
    if (seed_below(&work->seed, 8) == 0)
        operation.expect_no = (uint32_t)work->seen[operation.flag];
    r = work->number % 2
            ? run_by_hand(work, &actor, &operation, &problem)
            : flagver_txn_run(work->client, &actor, NULL, operate, &operation, &problem);
    took = now_ms() - begun;
    if (took > work->writer->worst_ms)
        work->writer->worst_ms = took;
    if (r == FLAGVER_ECONFLICT && operation.expect_no) {
        work->writer->refused++;
        return true;
    }
    if (r < 0)
        return complain("process %d, change %d: %s", work->number, number, problem.message);
    work->changes[work->writer->changes++] = (struct change){ operation.flag, operation.no,
                                                              (uint32_t)number };
    if (number % 8 || work->number % 4 == 3)
        return look(work, operation.flag, 0);
    if (flagver_client_refresh(work->client, &problem) < 0)
        return complain("process %d, refresh: %s", work->number, problem.message);
    return look(work, operation.flag, operation.no);
}

/* Until all are as far, or one of them will never be. */
static void wait_for_all(atomic_int *counter)
{
    atomic_fetch_add(counter, 1);
    while (atomic_load(counter) < PROCESSES && !atomic_load(&board->failed))
        pause_us(500);
}

static bool change_all(struct work *work)
{
    flagver_error problem;
    int i;

    for (i = 0; i < change_count; i++)
        if (!change_once(work, i))
            return false;
    wait_for_all(&board->written);
    if (flagver_client_refresh(work->client, &problem) < 0)
        return complain("process %d, last refresh: %s", work->number, problem.message);
    work->writer->state = state_of(work->client);
    return true;
}

/* Every fourth has a thread that refreshes, the others do it themselves. */
static bool work_on(int number)
{
    struct work work = { .number = number };
    const flagver_options options = { .size = sizeof options,
                                      .background = work.number % 4 == 3,
                                      .poll_ms = 20 };
    flagver_error problem;
    bool fine;

    work.writer = &board->writers[work.number];
    work.changes = changes + work.number * change_count;
    work.seed = (struct seed){ seed.state + (uint64_t)number };
    wait_for_all(&board->ready);
    if (flagver_open(place.uri, &options, &work.client, &problem) < 0)
        return complain("process %d: %s", number, problem.message);
    fine = change_all(&work);
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

static int prepare(void *unused)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "first" };
    flagver_client *client;
    flagver_error problem;
    int r;

    (void)unused;
    r = flagver_open(place.uri, NULL, &client, &problem);
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
        for (k = 0; k < board->writers[i].changes; k++) {
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

static void assert_same_state(void)
{
    flagver_client *client;
    struct held held;
    uint64_t state;
    int i;

    assert_ok(flagver_open(place.uri, NULL, &client, &error));
    ck_assert(held_read(client, &held));
    assert_all_there(&held);
    held_free(&held);
    state = state_of(client);
    ck_assert_uint_ne(state, 0);
    for (i = 0; i < PROCESSES; i++)
        ck_assert_msg(board->writers[i].state == state, "process %d ended with other flags", i);
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
}

static void report(double took)
{
    int i, made = 0, refused = 0, again = 0;
    double worst = 0;

    for (i = 0; i < PROCESSES; i++) {
        made += board->writers[i].changes;
        refused += board->writers[i].refused;
        again += board->writers[i].again;
        if (board->writers[i].worst_ms > worst)
            worst = board->writers[i].worst_ms;
    }
    measured(
        "%d processes: %d changes and %d refused ones in %.1f s, %d run again, worst wait %.0f "
        "ms",
        PROCESSES, made, refused, took / 1e3, again, worst);
}

START_TEST(no_change_of_eight_processes_is_lost)
{
    pid_t writers[PROCESSES];
    int numbers[PROCESSES], i, failed = 0;
    double begun;

    change_count = scale("FLAGVER_TEST_CHANGES", CHANGES);
    board = shared(sizeof *board);
    changes = shared((size_t)(PROCESSES * change_count) * sizeof *changes);
    seed = seed_new(0);
    place = place_new();
    ck_assert_int_eq(in_process(prepare, NULL), 0);

    begun = now_ms();
    for (i = 0; i < PROCESSES; i++) {
        numbers[i] = i;
        writers[i] = start(write_on, &numbers[i]);
    }
    for (i = 0; i < PROCESSES; i++)
        failed += finish(writers[i]) != 0;
    report(now_ms() - begun);
    ck_assert_int_eq(failed, 0);
    assert_same_state();
    place_remove(&place);
}
END_TEST

static int create_together(void *number)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "creator" };
    struct operation operation = { .flag = 0 };
    flagver_client *client;
    flagver_error problem;
    int r;

    snprintf(operation.note, sizeof operation.note, "%d", *(int *)number);
    wait_for_all(&board->ready);
    r = flagver_open(place.uri, NULL, &client, &problem);
    if (r < 0)
        return !complain("process %d, opening: %s", *(int *)number, problem.message);
    r = flagver_txn_run(client, &actor, NULL, operate, &operation, &problem);
    flagver_close(client);
    return r < 0 && !complain("process %d: %s", *(int *)number, problem.message);
}

static void assert_created(void)
{
    flagver_client *client;
    struct held held;

    assert_ok(flagver_open(place.uri, NULL, &client, &error));
    ck_assert(held_read(client, &held));
    ck_assert_uint_eq(held.count, 1);
    ck_assert_uint_eq(held.series[0].count, PROCESSES);
    held_free(&held);
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
}

START_TEST(processes_may_create_a_store_together)
{
    pid_t creators[PROCESSES];
    int numbers[PROCESSES], i, round, failed = 0;

    for (round = 0; round < ROUNDS; round++) {
        board = shared(sizeof *board);
        place = place_new();
        for (i = 0; i < PROCESSES; i++) {
            numbers[i] = i;
            creators[i] = start(create_together, &numbers[i]);
        }
        for (i = 0; i < PROCESSES; i++)
            failed += finish(creators[i]) != 0;
        ck_assert_int_eq(failed, 0);
        assert_created();
        place_remove(&place);
        munmap(board, sizeof *board);
    }
}
END_TEST

static Suite *writers_suite(void)
{
    Suite *suite = suite_create("many processes");
    TCase *tests = tcase_create("one store");

    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, no_change_of_eight_processes_is_lost);
    tcase_add_test(tests, processes_may_create_a_store_together);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(writers_suite());
}
