/*
 * Processes write through one migration, others take its steps, repair and copy, and they are killed
 * with SIGKILL at named points of a write, a repair, a copy and a flip, and at random moments; or
 * PostgreSQL's server is stopped under them, in immediate mode or by SIGKILL. What
 * was acknowledged is there; both sides are equal in the end; there are never two authorities; and the
 * migration can go on.
 *
 * FLAGVER_ROUTE_KILLS says how many are killed in all arrangements together (200); servers are stopped
 * once for 200 of them in each arrangement that has one.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "homes.h"
#include "stores.h"

#include "crash/doomed.h"
#include "engine/passage.h"
#include "seed.h"

#define KILLS 200
#define ROUND_KILLS 12 /* then all is looked at, and a new period begins */
#define WRITERS 2      /* processes */
#define THREADS 2      /* of each that write */
#define STEPPERS 2
#define WORKERS (WRITERS + STEPPERS)
#define OWN_KEYS 8 /* that one thread writes */
#define SHARED_KEYS 8
#define PATIENCE_MS 150 /* for a point to be passed; then somebody is killed all the same */
#define FLIP_PATIENCE_MS 400
#define REST_MS 60000

#define ARRANGEMENTS (arrangements_to_test() - FIRST_ENLISTED)

static struct home homes[2];
static flagver_client *control;
static flagver_route *route;
static flagver_side inner[2];
static struct seed dice;
static bool doomed;

/* What a thread knows of a key that nobody else writes. Numbers that 8 divides are removals. */
struct own {
    atomic_uint intended, acknowledged;
};

/* Shared by all processes: it survives them. */
static struct board {
    atomic_bool stop; /* writing */
    atomic_bool rest; /* and taking steps */
    atomic_bool violated;
    struct own keys[WRITERS][THREADS][OWN_KEYS];
    atomic_uint open; /* processes */
    atomic_uint acknowledged, refused, reads, looks, flips;
} * board;

static bool violated(const char *format, const char *what, const char *words)
{
    atomic_store(&board->violated, true);
    return complain(format, what, words);
}

/* ---- the sides ---- */

static int call_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                      flagver_sink *sink, flagver_error *err)
{
    static atomic_uint calls;

    if (doomed && atomic_fetch_add(&calls, 1) % 40 == 39)
        return FLAGVER_EUNAVAILABLE;
    if (doomed && doomed_writes)
        doomed_pass(DEED_CALL, false);
    return inner[call->side].write(data, call, value, length, sink, err);
}

static int call_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    scanned = false;
    if (doomed && !doomed_writes)
        doomed_pass(DEED_FETCH, false);
    return inner[call->side].read(data, call, sink, err);
}

static int call_scan(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                     flagver_sink *sink, flagver_error *err)
{
    scanned = true;
    if (doomed && !doomed_writes)
        doomed_pass(DEED_SCAN, false);
    return inner[call->side].scan(data, call, after, limit, sink, err);
}

/* ---- a process ---- */

/* The old side's store is the migration's, too. */
static void open_homes(bool makes)
{
    flagver_client *client;
    const flagver_options options = quiet_options();
    char uri[400];

    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        snprintf(uri, sizeof uri, "%s%s", doomed ? "doomed-" : "", homes[side].uri);
        home_open(homes, side, uri);
        if (makes)
            home_make_table(&homes[side]);
    }
    snprintf(uri, sizeof uri, "%s%s", doomed ? "doomed-" : "", homes[0].uri);
    assert_ok(flagver_open(uri, &options, &client, &error));
    control = client;
}

static void open_all(void)
{
    flagver_side sides[2];

    open_homes(false);
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        inner[side] = sides[side] = home_side(&homes[side]);
        sides[side].read = call_read;
        sides[side].write = call_write;
        sides[side].scan = call_scan;
    }
    route = open_route(control, "users", sides[0], sides[1], (flagver_route_options){ 0 });
}

static void close_homes(void)
{
    flagver_close(control);
    home_close(&homes[1]);
    home_close(&homes[0]);
}

static int make(void *unused)
{
    (void)unused;
    open_homes(true);
    put_migration(control, "users", "{'stage': 'off', 'gates': {'samples': 0, 'match_rate': 0}}");
    close_homes();
    return 0;
}

/* ---- who writes ---- */

struct hand {
    pthread_t thread;
    int writer, number;
    struct seed dice;
};

static const char *own_key(char key[32], int writer, int number, unsigned i)
{
    snprintf(key, 32, "own-%d-%d-%u", writer, number, i);
    return key;
}

/* Is it what was written last and acknowledged, or what came after that? */
static bool is_known(const struct own *own, const char *value)
{
    unsigned from = atomic_load(&own->acknowledged), to = atomic_load(&own->intended);
    unsigned number = value ? (unsigned)strtoul(value, NULL, 10) : 0;

    if (value)
        return number >= from && number <= to && number % 8 != 0;
    return from == 0 || from % 8 == 0 || to - to % 8 > from;
}

static bool is_bad(int r)
{
    return r == FLAGVER_ECORRUPT || r == FLAGVER_EINVAL || r == FLAGVER_ENOTSUP ||
           r == FLAGVER_ENOTFOUND;
}

static int write_number(const char *key, unsigned number, flagver_error *err)
{
    char value[16];

    snprintf(value, sizeof value, "%u", number);
    return number % 8 == 0 ? flagver_route_remove(route, key, NULL, NULL, err)
                           : flagver_route_write(route, key, value, strlen(value), NULL, NULL, err);
}

static void write_own(struct hand *hand)
{
    unsigned i = seed_below(&hand->dice, OWN_KEYS);
    struct own *own = &board->keys[hand->writer][hand->number][i];
    unsigned number = atomic_load(&own->intended) + 1;
    flagver_error problem;
    char key[32];
    int r;

    own_key(key, hand->writer, hand->number, i);
    atomic_store(&own->intended, number);
    r = write_number(key, number, &problem);
    if (r == 0)
        atomic_store(&own->acknowledged, number);
    else if (is_bad(r))
        violated("%s: %s", key, problem.message);
    atomic_fetch_add(r == 0 ? &board->acknowledged : &board->refused, 1);
}

static void write_shared(struct hand *hand)
{
    char key[32];

    snprintf(key, sizeof key, "shared-%u", seed_below(&hand->dice, SHARED_KEYS));
    write_number(key, seed_below(&hand->dice, 1000), NULL);
}

static void read_own(struct hand *hand)
{
    const flagver_route_call call = { .size = sizeof call, .strict = 1 };
    flagver_route_result result = { .size = sizeof result };
    unsigned i = seed_below(&hand->dice, OWN_KEYS);
    char key[32];
    int r;

    own_key(key, hand->writer, hand->number, i);
    r = flagver_route_read(route, key, &call, &result, NULL);
    if ((r == 0 || r == FLAGVER_ENOTFOUND) &&
        !is_known(&board->keys[hand->writer][hand->number][i], r == 0 ? result.value : NULL))
        violated("%s was read as \"%s\"", key, r == 0 ? result.value : "");
    flagver_route_result_clear(&result);
    atomic_fetch_add(&board->reads, 1);
}

static void *use_hand(void *data)
{
    struct hand *hand = data;

    while (!atomic_load(&board->stop)) {
        write_own(hand);
        write_shared(hand);
        if (seed_below(&hand->dice, 4) == 0)
            read_own(hand);
        pause_us(1000); /* the others are to get on, too */
    }
    return NULL;
}

static int write_on(int writer)
{
    struct hand hands[THREADS];

    for (int i = 0; i < THREADS; i++) {
        hands[i] = (struct hand){ .writer = writer,
                                  .number = i,
                                  .dice = { (uint64_t)getpid() * 97 + (uint64_t)i } };
        ck_assert_int_eq(pthread_create(&hands[i].thread, NULL, use_hand, &hands[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(hands[i].thread, NULL);
    return 0;
}

/* ---- who takes steps ---- */

/* What is wanted may have to wait, or be in vain: another one wants something else. */
static void wander(struct seed *seed)
{
    static const int stages[] = {
        FLAGVER_STAGE_DUALWRITE, FLAGVER_STAGE_BACKFILL, FLAGVER_STAGE_SHADOW, FLAGVER_STAGE_RAMP,
        FLAGVER_STAGE_LIVE,      FLAGVER_STAGE_SHADOW,   FLAGVER_STAGE_RAMP,   FLAGVER_STAGE_LIVE,
        FLAGVER_STAGE_RAMPDOWN,  FLAGVER_STAGE_LIVE,     FLAGVER_STAGE_RAMP
    };
    flagver_route_change change = { .size = sizeof change, .wait_ms = 300 };
    flagver_error problem;
    size_t i = seed_below(seed, sizeof stages / sizeof stages[0]);

    while (!atomic_load(&board->rest)) {
        int stage = stages[i++ % (sizeof stages / sizeof stages[0])];
        int r;

        change.forced = stage == FLAGVER_STAGE_SHADOW ? NULL : "a test"; /* not without a copy */
        r = flagver_route_stage(route, &alice, stage, &change, &problem);
        if (r == FLAGVER_ECORRUPT)
            violated("%s: %s", flagver_stage_name(stage), problem.message);
        atomic_fetch_add(&board->flips, r == 0 && stage == FLAGVER_STAGE_LIVE);
        if (r < 0 || seed_below(seed, 2) == 0)
            flagver_route_step(route, 50, NULL, NULL);
    }
}

/* Who was killed in a copy has the turn for a while: as if that were over. */
static int end_turn(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fv_passage copying;
    flagver_keyed_row row;
    int r;

    (void)data;
    r = fv_passage_get(txn, FV_SPACE_COPY, "users", &row, &copying, err);
    copying.until = 0;
    return r < 0 || row.rev == 0 ? r : fv_passage_put(txn, &row, &copying, err);
}

static int step_on(int stepper)
{
    struct seed seed = { (uint64_t)getpid() };
    flagver_error problem;

    fv_steering_run_on(control, end_turn, NULL, NULL);
    if (stepper == 0)
        wander(&seed);
    while (!atomic_load(&board->rest)) {
        if (flagver_route_step(route, 100, NULL, &problem) == FLAGVER_ECORRUPT)
            violated("%s: %s", "a step", problem.message);
        pause_us(20000);
    }
    return 0;
}

static int work(void *data)
{
    int number = *(int *)data;

    doomed = true;
    doomed_writes = number < WRITERS;
    doomed_together = homes[1].together;
    open_all();
    atomic_fetch_add(&board->open, 1);
    if (doomed_writes)
        write_on(number);
    else
        step_on(number - WRITERS);
    close_route(route);
    close_homes();
    return 0;
}

/* ---- who watches the fences ---- */

static int watch(void *unused)
{
    struct fv_steering steering;
    struct fv_view view;

    (void)unused;
    open_homes(false);
    assert_ok(fv_steering_open(&steering, "users", control,
                               (flagver_client *[]){ homes[0].client, homes[1].client }, &error));
    atomic_fetch_add(&board->open, 1);
    while (!atomic_load(&board->rest)) {
        if (fv_steering_look(&steering, &view, NULL) == 0 &&
            view.fences[FV_OLD].role == FV_ROLE_AUTHORITY &&
            view.fences[FV_NEW].role == FV_ROLE_AUTHORITY)
            violated("%s%s", "two authorities", "");
        atomic_fetch_add(&board->looks, 1);
        pause_us(10000);
    }
    fv_steering_close(&steering);
    close_homes();
    return 0;
}

/* ---- what is left ---- */

static flagver_route_progress come_to_rest(bool copied)
{
    flagver_route_progress progress = { .size = sizeof progress };
    double until = now_ms() + REST_MS;

    do
        assert_ok(flagver_route_step(route, 500, &progress, &error));
    while ((progress.waiting > 0 || !progress.settled || (copied && !progress.copied_all)) &&
           now_ms() < until);
    ck_assert_uint_eq(progress.waiting, 0);
    ck_assert(progress.settled);
    return progress;
}

static bool tell_difference(void *data, const flagver_difference *difference)
{
    (void)data;
    return complain("%s differs: old \"%.*s\", new \"%.*s\"", difference->key,
                    (int)difference->old_length,
                    difference->old_value ? (const char *)difference->old_value : "",
                    (int)difference->new_length,
                    difference->new_value ? (const char *)difference->new_value : "") ||
           true;
}

static void assert_equal_sides(void)
{
    uint64_t differences;

    assert_ok(flagver_route_verify(route, NULL, tell_difference, NULL, NULL, &differences, &error));
    ck_assert_uint_eq(differences, 0);
}

/* Not through the library. */
static void assert_equal_tables(void)
{
    char key[32];

    for (int i = 0; i < WRITERS * THREADS * OWN_KEYS; i += 5) {
        const char *old_value, *new_value;

        own_key(key, i / OWN_KEYS / THREADS, i / OWN_KEYS % THREADS, (unsigned)i % OWN_KEYS);
        old_value = home_value(&homes[0], key);
        new_value = home_value(&homes[1], key);
        ck_assert_msg(strcmp(old_value ? old_value : "", new_value ? new_value : "") == 0,
                      "%s: \"%s\" and \"%s\"", key, old_value ? old_value : "",
                      new_value ? new_value : "");
    }
}

static void assert_nothing_lost(void)
{
    char key[32];

    for (int i = 0; i < WRITERS * THREADS * OWN_KEYS; i++) {
        int writer = i / OWN_KEYS / THREADS, number = i / OWN_KEYS % THREADS, k = i % OWN_KEYS;
        const char *value = read_text(route, own_key(key, writer, number, (unsigned)k));
        const struct own *own = &board->keys[writer][number][k];

        ck_assert_msg(is_known(own, value), "%s has \"%s\"; %u was acknowledged, and %u tried", key,
                      value ? value : "", atomic_load(&own->acknowledged),
                      atomic_load(&own->intended));
    }
}

/* Nobody is killed any more. A copy that was is another one's turn in a new period at once. */
static int conclude(void *unused)
{
    flagver_route_progress progress;

    (void)unused;
    open_all();
    progress = come_to_rest(false);
    assert_nothing_lost();
    if (progress.copied_all)
        assert_equal_sides();

    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    for (int stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_LIVE; stage++) {
        go_to(route, stage);
        if (stage == FLAGVER_STAGE_BACKFILL)
            ck_assert(come_to_rest(true).copied_all);
        if (stage == FLAGVER_STAGE_SHADOW)
            assert_equal_sides();
    }
    assert_nothing_lost();
    assert_equal_tables();
    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    close_route(route);
    close_homes();
    return 0;
}

/* ---- who kills ---- */

static struct worker {
    pid_t pid;
    int number;
} workers[WORKERS];

static unsigned by_chance, at_points;

static void start_worker(struct worker *worker)
{
    worker->number = (int)(worker - workers);
    worker->pid = start(work, &worker->number);
    ck_assert_int_gt(worker->pid, 0);
}

/* One that has ended by SIGKILL; NULL: none has. */
static struct worker *find_dead(bool waits)
{
    int status;

    for (int i = 0; i < WORKERS; i++) {
        if (workers[i].pid <= 0 || waitpid(workers[i].pid, &status, WNOHANG) == 0)
            continue;
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                      "process %d ended by itself: %d", i, status);
        return &workers[i];
    }
    return waits ? (pause_us(500), find_dead(true)) : NULL;
}

/* Nobody flips without a copy: so there are rounds in which it is left alone. */
static int draw_point(bool copies)
{
    static const enum deed deeds[] = { DEED_WRITE,  DEED_OTHER,  DEED_CALL,     DEED_CLEAR,
                                       DEED_REPAIR, DEED_FETCH,  DEED_PREPARE,  DEED_FREEZE,
                                       DEED_GRANT,  DEED_DEMOTE, DEED_CALL_OFF, DEED_STAGE,
                                       DEED_SCAN,   DEED_COPY,   DEED_CURSOR };
    uint32_t count = sizeof deeds / sizeof deeds[0];
    enum deed deed;

    do
        deed = deeds[seed_below(&dice, copies ? count : count - 3)];
    while (deed == DEED_OTHER && homes[1].together); /* there it is a part of the write */

    return 2 * (int)deed + (deed < DEED_CALL ? (int)seed_below(&dice, 2) : 0);
}

static struct worker *kill_by_chance(void)
{
    bool writes = seed_below(&dice, 4) > 0;
    struct worker *worker =
        &workers[writes ? seed_below(&dice, WRITERS) : WRITERS + seed_below(&dice, STEPPERS)];

    pause_us((long)seed_below(&dice, 50000));
    kill(worker->pid, SIGKILL);
    by_chance++;
    return find_dead(true);
}

static struct worker *kill_at(int point)
{
    bool flips = point >= 2 * DEED_PREPARE && point < 2 * DEED_CALL;
    double until = now_ms() + (flips ? FLIP_PATIENCE_MS : PATIENCE_MS);
    struct worker *dead = NULL;

    atomic_store(&fate->skip, (int)seed_below(&dice, 3));
    atomic_store(&fate->armed, point);
    while (!dead && now_ms() < until) {
        pause_us(1000);
        dead = find_dead(false);
    }
    if (!dead && atomic_exchange(&fate->armed, 0) != 0)
        return kill_by_chance();
    at_points++;
    return dead ? dead : find_dead(true);
}

static pid_t watcher;

static void begin_round(void)
{
    atomic_store(&board->stop, false);
    atomic_store(&board->rest, false);
    watcher = start(watch, NULL);
    for (int i = 0; i < WORKERS; i++)
        start_worker(&workers[i]);
}

static void finish_worker(struct worker *worker)
{
    ck_assert_int_eq(finish(worker->pid), 0);
    worker->pid = 0;
}

/* A write may wait for the end of a flip: so who takes its steps goes last. */
static void end_round(void)
{
    atomic_store(&board->stop, true);
    for (int i = 0; i < WRITERS; i++)
        finish_worker(&workers[i]);
    atomic_store(&board->rest, true);
    for (int i = WRITERS; i < WORKERS; i++)
        finish_worker(&workers[i]);
    ck_assert_int_eq(finish(watcher), 0);
    ck_assert(!atomic_load(&board->violated));
    ck_assert_int_eq(in_process(conclude, NULL), 0);
}

static void run_round(int kills, bool copies)
{
    begin_round();
    for (int i = 0; i < kills; i++)
        start_worker(seed_below(&dice, 4) == 0 ? kill_by_chance() : kill_at(draw_point(copies)));
    end_round();
}

static void tell_points(void)
{
    char text[1024] = "";

    for (int point = 0; point < POINTS; point++) {
        unsigned killed = atomic_load(&fate->killed[point]);
        size_t length = strlen(text);

        if (killed)
            snprintf(text + length, sizeof text - length, "%s%s%s %u", *text ? ", " : "",
                     point >= 2 * DEED_CALL ? ""
                     : point % 2            ? "after "
                                            : "before ",
                     deed_names[point / 2], killed);
    }
    measured("  %s", text);
}

static int kills_of_all(void)
{
    return scale("FLAGVER_ROUTE_KILLS", KILLS);
}

static void share(void)
{
    doom();
    board = shared(sizeof *board);
}

static void found(const struct arrangement *arrangement)
{
    dice = seed_new((uint64_t)(arrangement - arrangements));
    memset(board, 0, sizeof *board);
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++)
        home_found(homes, side, arrangement);
    ck_assert_int_eq(in_process(make, NULL), 0);
}

static void leave(void)
{
    home_remove(&homes[1]);
    home_remove(&homes[0]);
}

START_TEST(nothing_that_was_acknowledged_is_lost)
{
    const struct arrangement *arrangement = &arrangements[FIRST_ENLISTED + _i];
    int kills = (kills_of_all() + ARRANGEMENTS - 1) / ARRANGEMENTS;

    share();
    found(arrangement);
    for (int done = 0; done < kills; done += ROUND_KILLS)
        run_round(kills - done < ROUND_KILLS ? kills - done : ROUND_KILLS,
                  done / ROUND_KILLS % 2 == 1);

    measured(
        "%s: %u killed, %u of them at points and %u at random moments; %u writes acknowledged, "
        "%u refused, %u strict reads, %u flips, %u looks at the fences",
        arrangement->label, at_points + by_chance, at_points, by_chance,
        atomic_load(&board->acknowledged), atomic_load(&board->refused), atomic_load(&board->reads),
        atomic_load(&board->flips), atomic_load(&board->looks));
    tell_points();
    leave();
}
END_TEST

/* ---- a server ---- */

#ifndef FV_WITHOUT_postgres
#define ROUND_SERVER_KILLS 5

static void wait_for(atomic_uint *count, unsigned least)
{
    double until = now_ms() + REST_MS;

    while (atomic_load(count) < least && now_ms() < until)
        pause_us(1000);
    ck_assert_uint_ge(atomic_load(count), least);
}

/* Those who write go on by themselves once it is back. */
static void kill_server(void)
{
    pause_us((long)seed_below(&dice, 200000));
    cluster_end(homes_cluster, seed_below(&dice, 3) ? SIGQUIT : SIGKILL);
    pause_us((long)seed_below(&dice, 20000));
    cluster_restart(homes_cluster);
    wait_for(&board->acknowledged, atomic_load(&board->acknowledged) + 10);
}

static void run_with_server(const struct arrangement *arrangement, int kills)
{
    found(arrangement);
    for (int done = 0; done < kills; done += ROUND_SERVER_KILLS) {
        atomic_store(&board->open, 0);
        begin_round();
        wait_for(&board->open, WORKERS + 1);
        for (int i = done; i < kills && i < done + ROUND_SERVER_KILLS; i++)
            kill_server();
        end_round();
    }
    measured("%s: a server stopped %d times at random moments; %u writes acknowledged, %u refused, "
             "%u strict reads, %u flips",
             arrangement->label, kills, atomic_load(&board->acknowledged),
             atomic_load(&board->refused), atomic_load(&board->reads), atomic_load(&board->flips));
    leave();
}

START_TEST(nothing_that_was_acknowledged_is_lost_with_a_server)
{
    if (!cluster_possible())
        cluster_skip();
    homes_cluster = cluster_start(NULL);
    share();
    for (int i = FIRST_SERVED; i < arrangements_to_test(); i++)
        run_with_server(&arrangements[i], (kills_of_all() + KILLS - 1) / KILLS);
    cluster_stop(homes_cluster);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("kill_route");
    TCase *tcase = add_store_tcase(suite, "kills");

    tcase_set_timeout(tcase, 300 + kills_of_all());
    tcase_add_loop_test(tcase, nothing_that_was_acknowledged_is_lost, 0, ARRANGEMENTS);
#ifndef FV_WITHOUT_postgres
    if (arrangements_to_test() > FIRST_SERVED)
        tcase_add_test(tcase, nothing_that_was_acknowledged_is_lost_with_a_server);
#endif
    return run_store_suite(suite);
}
