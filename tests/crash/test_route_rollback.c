/*
 * A rollback reaches all processes, and a process that was stopped while the stage changed does not
 * write by the old one.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "homes.h"
#include "stores.h"

#include "crash/doomed.h"
#include "engine/route.h"

#define PROCESSES 8
#define POLL_MS 500    /* how often a process looks, unless it is told otherwise */
#define LEASE_MS 1500  /* instead of ten seconds, of which one is what clocks may differ by */
#define REACH_MS 20000 /* then a rollback has not reached everybody */
#define LINGER_MS 500  /* for writes that should not be */

static struct home homes[2];
static char control_uri[160];
static flagver_client *control;
static flagver_route *route;
static bool doomed; /* stores are opened by the drivers that stop processes */

/* Shared by all processes. */
static struct board {
    atomic_bool stop, begins, done;
    double done_ms; /* the rollback had returned */
    struct {
        double read_ms, write_ms; /* the last one by another stage than off began */
        atomic_uint operations, off_operations;
    } processes[PROCESSES];

    /* of the one process that is stopped */
    atomic_uint asked, answered;
    int code, stage;
    bool old_invoked, new_invoked;
} * board;

/* ---- a process ---- */

static void open_homes(bool makes)
{
    const flagver_options options = quiet_options();
    char uri[400];

    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        home_open(homes, side, NULL);
        if (makes)
            home_make_table(&homes[side]);
    }
    snprintf(uri, sizeof uri, "%s%s", doomed ? "doomed-" : "", control_uri);
    assert_ok(flagver_open(uri, &options, &control, &error));
}

static void open_all(flagver_route_options options)
{
    open_homes(false);
    route = open_route(control, "users", home_side(&homes[0]), home_side(&homes[1]), options);
    route->ledger.lease_ms = LEASE_MS;
}

static void close_homes(void)
{
    flagver_close(control);
    home_close(&homes[1]);
    home_close(&homes[0]);
}

static void close_all(void)
{
    close_route(route);
    close_homes();
}

static int make(void *unused)
{
    (void)unused;
    open_homes(true);
    put_migration(control, "users", "{'stage': 'off'}");
    close_homes();
    return 0;
}

/* With reasons enough for every gate. */
static void go_on_to(int stage)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .forced = "a test",
                                          .wait_ms = 30000 };

    assert_ok(flagver_route_stage(route, &alice, stage, &change, &error));
}

static int take_to(void *data)
{
    const int *stages = data; /* from, to */

    open_all((flagver_route_options){ 0 });
    for (int stage = stages[0]; stage <= stages[1]; stage++) {
        if (stage == FLAGVER_STAGE_SHADOW)
            take_steps(route);
        go_on_to(stage);
    }
    close_all();
    return 0;
}

static void arrange(int i)
{
    board = shared(sizeof *board);
    doom();
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++)
        home_found(homes, side, &arrangements[i]);
    snprintf(control_uri, sizeof control_uri, "sqlite:%s", file_named("control"));
    ck_assert_int_eq(in_process(make, NULL), 0);
}

static void leave(void)
{
    home_remove(&homes[1]);
    home_remove(&homes[0]);
}

/* ---- a rollback ---- */

static _Thread_local double begun_ms;

static void note_stage(void *data, const flagver_route_event *event)
{
    int process = *(const int *)data;

    atomic_fetch_add(&board->processes[process].operations, 1);
    if (event->stage == FLAGVER_STAGE_OFF)
        atomic_fetch_add(&board->processes[process].off_operations, 1);
    else if (event->operation == FLAGVER_ROUTE_READ)
        board->processes[process].read_ms = begun_ms;
    else
        board->processes[process].write_ms = begun_ms;
}

static void *read_and_write(void *data)
{
    flagver_route_result result = { .size = sizeof result };
    char key[16], value[16];

    snprintf(key, sizeof key, "k-%d", *(int *)data);
    for (unsigned i = 0; !atomic_load(&board->stop); i++) {
        snprintf(value, sizeof value, "%u", i);
        begun_ms = now_ms();
        flagver_route_write(route, key, value, strlen(value), NULL, NULL, NULL);
        begun_ms = now_ms();
        flagver_route_read(route, key, NULL, &result, NULL);
        flagver_route_result_clear(&result);
        pause_us(2000);
    }
    return NULL;
}

static int use(void *data)
{
    pthread_t thread;
    int number = *(int *)data;

    open_all((flagver_route_options){ .event = note_stage, .event_data = &number });
    ck_assert_int_eq(pthread_create(&thread, NULL, read_and_write, &number), 0);
    while (number == 0 && !atomic_load(&board->begins))
        pause_us(1000);
    if (number == 0) {
        do /* a step may have to wait for what the others are doing */
            error.code = flagver_route_rollback(route, &alice, NULL, NULL);
        while (error.code == FLAGVER_EBUSY || error.code == FLAGVER_ECONFLICT);
        ck_assert_int_eq(error.code, 0);
        board->done_ms = now_ms();
        atomic_store(&board->done, true);
    }
    pthread_join(thread, NULL);
    close_all();
    return 0;
}

/* Each has done something; `off`: by that stage. */
static bool all_have(bool off)
{
    for (int i = 0; i < PROCESSES; i++) {
        if (atomic_load(off ? &board->processes[i].off_operations
                            : &board->processes[i].operations) == 0)
            return false;
    }
    return true;
}

static bool wait_for_all(bool off)
{
    double until = now_ms() + REACH_MS;

    while (!all_have(off) && now_ms() < until)
        pause_us(2000);
    return all_have(off);
}

START_TEST(rollback_reaches_eight_processes)
{
    int live[] = { FLAGVER_STAGE_DUALWRITE, FLAGVER_STAGE_LIVE }, numbers[PROCESSES];
    double latest = 0;
    pid_t children[PROCESSES];

    arrange(_i);
    ck_assert_int_eq(in_process(take_to, live), 0);
    for (int i = 0; i < PROCESSES; i++) {
        numbers[i] = i;
        children[i] = start(use, &numbers[i]);
    }
    ck_assert(wait_for_all(false));
    atomic_store(&board->begins, true);
    while (!atomic_load(&board->done))
        pause_us(1000);
    ck_assert(wait_for_all(true));
    pause_us(LINGER_MS * 1000);
    atomic_store(&board->stop, true);
    for (int i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(finish(children[i]), 0);

    for (int i = 0; i < PROCESSES; i++) {
        double late = board->processes[i].read_ms - board->done_ms;

        ck_assert_msg(board->processes[i].write_ms <= board->done_ms,
                      "process %d began to write by an old stage %.1f ms after the rollback", i,
                      board->processes[i].write_ms - board->done_ms);
        if (late > latest)
            latest = late;
    }
    measured("%s: %d processes go by a rollback %.0f ms after it, at the latest; they look every "
             "%d ms",
             arrangements[_i].label, PROCESSES, latest, POLL_MS);
    ck_assert_double_lt(latest, 10 * POLL_MS);
    leave();
}
END_TEST

/* ---- a process that is stopped ---- */

static void answer(unsigned number)
{
    flagver_route_result result = { .size = sizeof result };
    char value[16];

    snprintf(value, sizeof value, "%u", number);
    board->code = flagver_route_write(route, "k", value, strlen(value), NULL, &result, &error);
    board->stage = result.stage;
    board->old_invoked = result.sides[FLAGVER_SIDE_OLD].invoked;
    board->new_invoked = result.sides[FLAGVER_SIDE_NEW].invoked;
    flagver_route_result_clear(&result);
    atomic_store(&board->answered, number);
}

/* Writes when it is asked to. */
static int listen_on(void *unused)
{
    (void)unused;
    doomed = true;
    doomed_writes = true;
    open_all((flagver_route_options){ 0 });
    while (!atomic_load(&board->stop)) {
        unsigned asked = atomic_load(&board->asked);

        if (asked != atomic_load(&board->answered))
            answer(asked);
        pause_us(1000);
    }
    close_all();
    return 0;
}

static void await_answer(unsigned number)
{
    double until = now_ms() + REACH_MS;

    while (atomic_load(&board->answered) != number && now_ms() < until)
        pause_us(1000);
    ck_assert_uint_eq(atomic_load(&board->answered), number);
}

static void ask(unsigned number)
{
    atomic_store(&board->asked, number);
    await_answer(number);
}

static void await_stop(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(WIFSTOPPED(status));
}

static pid_t begin_listening(int i)
{
    int dualwrite[] = { FLAGVER_STAGE_DUALWRITE, FLAGVER_STAGE_DUALWRITE };
    pid_t child;

    arrange(i);
    ck_assert_int_eq(in_process(take_to, dualwrite), 0);
    child = start(listen_on, NULL);
    ask(1);
    ck_assert_int_eq(board->code, 0);
    ck_assert_int_eq(board->stage, FLAGVER_STAGE_DUALWRITE);
    ck_assert(board->old_invoked && board->new_invoked);
    return child;
}

static void end_listening(pid_t child)
{
    atomic_store(&board->stop, true);
    ck_assert_int_eq(finish(child), 0);
    leave();
}

START_TEST(who_missed_a_change_does_not_write_by_the_old_stage)
{
    int complete[] = { FLAGVER_STAGE_BACKFILL, FLAGVER_STAGE_COMPLETE };
    pid_t child = begin_listening(_i);

    kill(child, SIGSTOP);
    await_stop(child);
    ck_assert_int_eq(in_process(take_to, complete), 0);
    kill(child, SIGCONT);
    ask(2);
    ck_assert_int_eq(board->code, 0);
    ck_assert_int_eq(board->stage, FLAGVER_STAGE_COMPLETE);
    ck_assert(!board->old_invoked);
    ck_assert_str_eq(home_value(&homes[FLAGVER_SIDE_OLD], "k"), "1");
    ck_assert_str_eq(home_value(&homes[FLAGVER_SIDE_NEW], "k"), "2");
    end_listening(child);
}
END_TEST

/* It was admitted, and its lease ran out before it called the authority. */
START_TEST(who_was_stopped_in_a_write_does_not_reach_the_old_side)
{
    int complete[] = { FLAGVER_STAGE_BACKFILL, FLAGVER_STAGE_COMPLETE };
    pid_t child = begin_listening(0);

    atomic_store(&fate->signal, SIGSTOP);
    atomic_store(&fate->armed, 2 * DEED_WRITE + 1);
    atomic_store(&board->asked, 2);
    await_stop(child);
    ck_assert_int_eq(in_process(take_to, complete), 0);
    kill(child, SIGCONT);
    await_answer(2);
    ck_assert_str_eq(home_value(&homes[FLAGVER_SIDE_OLD], "k"), "1");
    ck_assert_str_eq(home_value(&homes[FLAGVER_SIDE_NEW], "k"), board->code == 0 ? "2" : "1");
    ask(3);
    ck_assert_int_eq(board->code, 0);
    ck_assert_str_eq(home_value(&homes[FLAGVER_SIDE_OLD], "k"), "1");
    ck_assert_str_eq(home_value(&homes[FLAGVER_SIDE_NEW], "k"), "3");
    end_listening(child);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route_rollback");
    TCase *rollback = add_store_tcase(suite, "rollback");
    TCase *stopped = add_store_tcase(suite, "stopped");
    int count = arrangements_to_test();

    tcase_set_timeout(rollback, 120);
    tcase_add_loop_test(rollback, rollback_reaches_eight_processes, FIRST_ENLISTED, count);
    tcase_set_timeout(stopped, 120);
    tcase_add_loop_test(stopped, who_missed_a_change_does_not_write_by_the_old_stage, 0, count);
    tcase_add_test(stopped, who_was_stopped_in_a_write_does_not_reach_the_old_side);
    return run_store_suite(suite);
}
