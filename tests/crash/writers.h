/*
 * Eight processes change the flags of one store, some of them the same flags, and
 * evaluate meanwhile. Every change that was acknowledged is in the history, under
 * the number that was given, and there is nothing else.
 *
 * A test makes the store with put_shared() in a process of its own, lets them write_together()
 * and looks with assert_written().
 */
#ifndef FLAGVER_TESTS_WRITERS_H
#define FLAGVER_TESTS_WRITERS_H

#include <stdatomic.h>

#include "crash/holds.h"
#include "seed.h"

#define PROCESSES 8
#define SHARED 5
#define FLAGS (SHARED + PROCESSES) /* each process has one of its own, too */
#define USERS 25

/* An acknowledged change. */
struct change {
    uint32_t flag, no, number;
};

struct writer {
    int changes, refused, again;
    double worst_ms, done_ms; /* the longest change; when all of them were made */
    uint64_t state;           /* what it serves in the end */
};

static struct {
    atomic_int ready, written;
    atomic_bool failed;
    struct writer writers[PROCESSES];
} * board;

static struct change *changes; /* of all writers */
static int change_count;       /* of each */
static char writers_uri[512];  /* of the store */
static struct seed seed;
static double begun_ms;

static inline const char *flag_name(uint32_t flag, char name[16])
{
    snprintf(name, 16, flag < SHARED ? "shared-%u" : "own-%u", flag);
    return name;
}

/* The same for processes that have the same flags; 0 when something is wrong. */
static inline uint64_t state_of(flagver_client *client)
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

static inline int operate(void *data, flagver_txn *txn, flagver_error *err)
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
static inline int run_by_hand(struct work *work, const flagver_actor *actor,
                              struct operation *operation, flagver_error *err)
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

static inline bool look(struct work *work, uint32_t flag, uint32_t at_least)
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

static inline bool change_once(struct work *work, int number)
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
static inline void wait_for_all(atomic_int *counter)
{
    atomic_fetch_add(counter, 1);
    while (atomic_load(counter) < PROCESSES && !atomic_load(&board->failed))
        pause_us(500);
}

static inline bool change_all(struct work *work)
{
    flagver_error problem;
    int i;

    for (i = 0; i < change_count; i++)
        if (!change_once(work, i))
            return false;
    work->writer->done_ms = now_ms() - begun_ms;
    wait_for_all(&board->written);
    if (flagver_client_refresh(work->client, &problem) < 0)
        return complain("process %d, last refresh: %s", work->number, problem.message);
    work->writer->state = state_of(work->client);
    return true;
}

/* Every fourth has a thread that refreshes, the others do it themselves. */
static inline bool work_on(int number)
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
    if (flagver_open(writers_uri, &options, &work.client, &problem) < 0)
        return complain("process %d: %s", number, problem.message);
    fine = change_all(&work);
    flagver_close(work.client);
    return fine;
}

static inline int write_on(void *number)
{
    bool fine = work_on(*(int *)number);

    if (!fine)
        atomic_store(&board->failed, true);
    return !fine;
}

/* ---- the test ---- */

static inline int put_shared(void *unused, flagver_txn *txn, flagver_error *err)
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

/* The flags that all of them change; for a process of its own. */
static inline int make_shared(void *uri)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "first" };
    flagver_client *client;
    flagver_error problem;
    int r;

    r = flagver_open(uri, NULL, &client, &problem);
    if (r == 0) {
        r = flagver_txn_run(client, &actor, NULL, put_shared, NULL, &problem);
        flagver_close(client);
    }
    return r < 0 && !complain("%s", problem.message);
}

static inline void report(double took)
{
    int i, made = 0, refused = 0, again = 0;
    double worst = 0, first = took;

    for (i = 0; i < PROCESSES; i++) {
        made += board->writers[i].changes;
        refused += board->writers[i].refused;
        again += board->writers[i].again;
        if (board->writers[i].worst_ms > worst)
            worst = board->writers[i].worst_ms;
        if (board->writers[i].done_ms < first)
            first = board->writers[i].done_ms;
    }
    measured("%d processes: %d changes and %d refused ones in %.1f s, %d run again; the first was "
             "ready after %.1f s; worst wait %.0f ms",
             PROCESSES, made, refused, took / 1e3, again, first / 1e3, worst);
}

/* All of them, each so many changes, in a store that has the shared flags. */
static inline void write_together(const char *uri, int count)
{
    int numbers[PROCESSES], i, failed = 0;
    pid_t writers[PROCESSES];

    snprintf(writers_uri, sizeof writers_uri, "%s", uri);
    change_count = count;
    board = shared(sizeof *board);
    changes = shared((size_t)(PROCESSES * change_count) * sizeof *changes);
    seed = seed_new(0);
    begun_ms = now_ms();
    for (i = 0; i < PROCESSES; i++) {
        numbers[i] = i;
        writers[i] = start(write_on, &numbers[i]);
    }
    for (i = 0; i < PROCESSES; i++)
        failed += finish(writers[i]) != 0;
    report(now_ms() - begun_ms);
    ck_assert_int_eq(failed, 0);
}

/* Each change has a version of its own, and each version its change. */
static inline void assert_all_there(const struct held *held)
{
    uint32_t counts[FLAGS] = { 0 }, flag;
    const struct held_series *series;
    const struct change *change;
    char name[16], note[32];
    int i, k;

    for (i = 0; i < PROCESSES; i++) {
        ck_assert_int_eq(board->writers[i].changes + board->writers[i].refused, change_count);
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

static inline void print_line(void *data, const char *line)
{
    (void)data;
    complain("%s", line);
}

/* What they wrote and nothing else, by the records and by the log; and all of them end with it. */
static inline void assert_written(void)
{
    flagver_client *client;
    struct held held;
    uint64_t state;
    int i;

    assert_ok(flagver_open(writers_uri, NULL, &client, &error));
    ck_assert(held_read(client, &held));
    assert_all_there(&held);
    held_free(&held);
    assert_ok(flagver_audit_verify(client, NULL, print_line, NULL, NULL, &error));
    state = state_of(client);
    ck_assert_uint_ne(state, 0);
    for (i = 0; i < PROCESSES; i++)
        ck_assert_msg(board->writers[i].state == state, "process %d ended with other flags", i);
    flagver_close(client);
}

#endif
