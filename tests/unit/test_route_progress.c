/*
 * What steps do beside repairs, and tell of it: how far a copy is, who counts, what holds it up; and that
 * leases of routers that are gone do not stay.
 */
#define _DEFAULT_SOURCE /* usleep() */
#include <jansson.h>

#include "steps.h"

/* ---- the sides ---- */

static struct {
    int counts; /* calls */
    int fails;  /* what count returns */
    bool lies;  /* and whether it tells more than there can be */
    uint32_t limits[256];
    int scans;
    int slow_us; /* for each record that is asked for */
    void (*during_scan)(void);
} seen;

static int count_records(void *data, const flagver_side_call *call, uint64_t *ret_count,
                         flagver_error *err)
{
    struct table *table = data;

    (void)err;
    ck_assert_int_eq(call->operation, FLAGVER_ROUTE_COUNT);
    seen.counts++;
    *ret_count = seen.lies ? UINT64_MAX : table->count;
    return seen.fails;
}

static int scan_old(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                    flagver_sink *sink, flagver_error *err)
{
    void (*during_scan)(void) = seen.during_scan;

    seen.limits[seen.scans++ % COUNT(seen.limits)] = limit;
    usleep((useconds_t)(limit * (uint32_t)seen.slow_us));
    seen.during_scan = NULL;
    if (during_scan)
        during_scan();
    return table_scan(data, call, after, limit, sink, err);
}

static void arrange(flagver_route_options options)
{
    memset(&seen, 0, sizeof seen);
    client = open_store(0);
    make_migration();
    sides[FLAGVER_SIDE_OLD].scan = scan_old;
    route = open_route(client, "users", sides[0], sides[1], options);
    go_to(route, FLAGVER_STAGE_DUALWRITE);
}

/* One chunk, or none. */
static flagver_route_progress step_of(flagver_route *stepping)
{
    return step_for(stepping, 0);
}

/* ---- what is told ---- */

/* "copying" in the library's status of the route, or of the migration in its store. Freed with json_decref(). */
static json_t *copying_of(bool stored)
{
    json_t *status, *copying;
    char *json;

    if (stored)
        assert_ok(flagver_migration_status(client, "users", &json, &error));
    else
        assert_ok(flagver_route_status(route, &json, &error));
    status = json_loads(json, 0, NULL);
    ck_assert_msg(json_object_get(status, "copying"), "%s", json);
    copying = json_incref(json_object_get(status, "copying"));
    json_decref(status);
    flagver_string_free(json);
    return copying;
}

static void assert_no_copy(bool stored)
{
    json_t *copying = copying_of(stored);

    ck_assert(json_is_null(copying));
    json_decref(copying);
}

static json_int_t number_in(json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);

    ck_assert_msg(json_is_number(member), "%s is no number", name);
    return (json_int_t)json_number_value(member);
}

START_TEST(steps_and_statuses_tell_how_far_a_copy_is)
{
    flagver_route_progress progress;
    uint64_t copied = 0;
    json_t *copying;

    arrange((flagver_route_options){ 0 });
    assert_no_copy(_i);
    close_route(route);
    sides[FLAGVER_SIDE_OLD].count = count_records;
    route = open_route(client, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    do {
        progress = step_of(route);
        copied += progress.copied;
        ck_assert_uint_eq(progress.copied_so_far, copied);
        ck_assert_uint_eq(progress.copy_total, ROWS);
        ck_assert_int_ge(progress.copy_left_ms, 0);

        copying = copying_of(_i);
        ck_assert_int_eq(number_in(copying, "records"), (json_int_t)copied);
        ck_assert_int_eq(number_in(copying, "total"), ROWS);
        ck_assert_int_ge(number_in(copying, "left_s"), 0);
        ck_assert_int_gt(number_in(copying, "since"), 0);
        ck_assert_int_eq(json_is_true(json_object_get(copying, "done")), progress.copied_all);
        json_decref(copying);
    } while (!progress.copied_all);
    ck_assert_uint_eq(copied, ROWS);
    ck_assert_int_eq(progress.copy_left_ms, 0);
    ck_assert_double_gt(progress.copy_rate, 0);
    ck_assert_int_eq(seen.counts, 1); /* not with every chunk */

    progress = step_of(route); /* it stays known */
    ck_assert(progress.copied_all);
    ck_assert_uint_eq(progress.copied, 0);
    ck_assert_uint_eq(progress.copied_so_far, ROWS);

    go_to(route, FLAGVER_STAGE_OFF);
    assert_no_copy(_i);
    leave();
}
END_TEST

START_TEST(without_an_estimate_nobody_knows_what_is_left)
{
    flagver_route_progress progress;
    json_t *copying;

    arrange((flagver_route_options){ 0 });
    if (_i > 0) {
        sides[FLAGVER_SIDE_OLD].count = count_records;
        seen.fails = _i == 1 ? FLAGVER_EUNAVAILABLE : 0;
        seen.lies = _i == 2;
        close_route(route);
        route = open_route(client, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    }
    progress = step_of(route);
    ck_assert_uint_eq(progress.copy_total, 0);
    ck_assert_int_eq(progress.copy_left_ms, -1);
    copying = copying_of(true);
    ck_assert(json_is_null(json_object_get(copying, "total")));
    ck_assert(json_is_null(json_object_get(copying, "left_s")));
    json_decref(copying);
    while (!step_of(route).copied_all)
        ;
    ck_assert_int_eq(seen.counts, _i > 0); /* not with every chunk */
    leave();
}
END_TEST

/* ---- several that copy ---- */

static flagver_route *other, *faster;

static void let_the_other_copy(void)
{
    retell(FV_SPACE_COPY, end_turn);
    ck_assert_uint_gt(step_of(faster).copied, 0);
}

START_TEST(a_chunk_that_outlasts_its_turn_counts_once_and_is_not_lost)
{
    flagver_route_progress progress;

    arrange((flagver_route_options){ .chunk_ms = 1 });
    other = open_route(client, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    for (int i = 0;; i++) {
        ck_assert_int_lt(i, ROWS); /* how much is copied at once depends on how long that takes */
        seen.during_scan = let_the_other_copy;
        faster = i % 2 ? route : other;
        retell(FV_SPACE_COPY, end_turn);
        progress = step_of(i % 2 ? other : route);
        if (progress.copied_all)
            break;
    }
    ck_assert_uint_eq(progress.copied_so_far, ROWS);
    ck_assert_uint_eq(tables[FLAGVER_SIDE_NEW].count, ROWS);
    close_route(other);
    leave();
}
END_TEST

/* As if who has copied the last chunk had died before it said so. */
static void forget_the_end(struct fv_passage *copying)
{
    ck_assert(copying->headway.done);
    copying->headway.done = false;
}

START_TEST(a_copy_that_is_all_but_done_is_ended)
{
    json_t *copying;

    arrange((flagver_route_options){ 0 });
    ck_assert(take_steps(route).copied_all);
    retell(FV_SPACE_COPY, forget_the_end);
    take_steps(route);
    copying = copying_of(true);
    ck_assert(json_is_true(json_object_get(copying, "done")));
    ck_assert_int_eq(number_in(copying, "records"), ROWS);
    json_decref(copying);
    leave();
}
END_TEST

START_TEST(one_at_a_time_copies)
{
    arrange((flagver_route_options){ 0 });
    other = open_route(client, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    ck_assert_uint_gt(step_of(route).copied, 0);
    ck_assert_uint_eq(step_of(other).copied, 0);
    ck_assert_uint_gt(step_of(other).copied_so_far, 0); /* all the same it is known */
    close_route(other);
    leave();
}
END_TEST

/* ---- others that steer ---- */

/* Of two processes; the first one's store can be made slow. */
static flagver_client *clients[2];
static flagver_route *routes[2];

static void arrange_two(const char *record)
{
    for (int i = 0; i < 2; i++) {
        clients[i] = open_store(FAULT_KIND + i);
        table_init(&tables[i]);
        sides[i] = table_side(&tables[i]);
    }
    put_migration(clients[0], "users", record);
    for (int i = 0; i < 2; i++)
        routes[i] = open_route(clients[i], "users", sides[0], sides[1],
                               (flagver_route_options){ 0 });
}

static void leave_two(void)
{
    for (int i = 0; i < 2; i++) {
        close_route(routes[i]);
        flagver_close(clients[i]);
    }
}

static int taken_back;

static void *take_back_soon(void *data)
{
    flagver_error problem;

    (void)data;
    usleep(100000);
    taken_back = flagver_route_rollback(routes[1], &alice, NULL, &problem);
    return NULL;
}

/* The first one does `something`; it looks at its store that often, and then the second one is faster. */
static void be_overtaken(uint64_t looks, int (*something)(void))
{
    pthread_t thread;

    flagver_fault_delay(fault, FLAGVER_FAULT_BEGIN, looks + 1, 500);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_back_soon, NULL), 0);
    assert_ok(something());
    pthread_join(thread, NULL);
    ck_assert_int_eq(taken_back, 0);
}

static int take_a_step(void)
{
    return flagver_route_step(routes[0], 0, NULL, &error);
}

START_TEST(a_change_while_a_step_looks_where_it_stands_is_no_failure)
{
    arrange_two("{'stage': 'off'}");
    go_to(routes[1], FLAGVER_STAGE_DUALWRITE);
    be_overtaken(1, take_a_step);
    leave_two();
}
END_TEST

static int take_back(void)
{
    return flagver_route_rollback(routes[0], &alice, NULL, &error);
}

/* There are fewer stages in one, so that a step back to `shadow` would be one forward from `off`. */
static const struct {
    const char *record;
    int stages[4];      /* up to live */
    json_int_t version; /* when all is taken back, once */
} rollbacks[] = {
    { "{'stage': 'off', 'stages': 4}", { FLAGVER_STAGE_SHADOW, FLAGVER_STAGE_LIVE }, 5 },
    { "{'stage': 'off', 'stages': 6}",
      { FLAGVER_STAGE_DUALWRITE, FLAGVER_STAGE_SHADOW, FLAGVER_STAGE_LIVE },
      6 },
};

START_TEST(what_another_process_has_taken_back_is_not_done_again)
{
    flagver_route_change forced = { .size = sizeof forced, .forced = "a test" };
    json_t *status;
    char *json;

    arrange_two(rollbacks[_i].record);
    for (int i = 0; rollbacks[_i].stages[i]; i++)
        assert_ok(flagver_route_stage(routes[1], &alice, rollbacks[_i].stages[i], &forced, &error));
    be_overtaken(4, take_back);
    assert_ok(flagver_migration_status(clients[1], "users", &json, &error));
    status = json_loads(json, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(status, "stage")), "off");
    ck_assert_int_eq(number_in(status, "version"), rollbacks[_i].version);
    json_decref(status);
    flagver_string_free(json);
    leave_two();
}
END_TEST

static void *read_strictly(void *data)
{
    const flagver_route_call strict = { .size = sizeof strict, .strict = 1 };
    flagver_route_result result = { .size = sizeof result };

    (void)data;
    flagver_route_read(route, "k", &strict, &result, NULL);
    flagver_route_result_clear(&result);
    return NULL;
}

/* Four rows are looked at; before the last one another thread takes the migration on. */
START_TEST(what_a_slow_thread_saw_does_not_take_the_place_of_what_is)
{
    flagver_options options = quiet_options();
    flagver_route_result result = { .size = sizeof result };
    pthread_t thread;

    options.poll_ms = 60000;
    client = open_with(FAULT_KIND, &options);
    make_migration();
    route = open_route(client, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    flagver_fault_delay(fault, FLAGVER_FAULT_BEGIN, 4, 500);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_strictly, NULL), 0);
    usleep(100000);
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    pthread_join(thread, NULL);
    assert_fails(FLAGVER_ENOTFOUND, flagver_route_read(route, "k", NULL, &result, &error));
    ck_assert_int_eq(result.stage, FLAGVER_STAGE_DUALWRITE);
    flagver_route_result_clear(&result);
    leave();
}
END_TEST

/* ---- what reads have shown ---- */

static int agree(void *data, const char *key, const void *old_value, size_t old_length,
                 const void *new_value, size_t new_length)
{
    (void)data, (void)key, (void)old_value, (void)old_length, (void)new_value, (void)new_length;
    return 1;
}

/* How many reads are evidence in the store. */
static json_int_t compared(void)
{
    json_int_t count;
    json_t *status;
    char *json;

    assert_ok(flagver_route_status(route, &json, &error));
    status = json_loads(json, 0, NULL);
    count = number_in(status, "compared");
    json_decref(status);
    flagver_string_free(json);
    return count;
}

static void read_ten(void)
{
    for (int i = 0; i < 10; i++)
        read_text(route, "k");
}

/* The last commit of a step is that of what reads have shown: nobody says what comes of it. */
START_TEST(no_read_is_evidence_twice)
{
    uint64_t begun, committed;

    client = open_store(FAULT_KIND);
    put_migration(client, "users", "{'stage': 'off', 'gates': {'samples': 0, 'match_rate': 0}}");
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        table_init(&tables[side]);
        sides[side] = table_side(&tables[side]);
    }
    route = open_route(client, "users", sides[0], sides[1],
                       (flagver_route_options){ .compare = agree });
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    go_to(route, FLAGVER_STAGE_BACKFILL);
    ck_assert(take_steps(route).copied_all);
    go_to(route, FLAGVER_STAGE_SHADOW);
    step_of(route);
    read_ten();
    begun = flagver_fault_calls(fault, FLAGVER_FAULT_BEGIN);
    committed = flagver_fault_calls(fault, FLAGVER_FAULT_COMMIT);
    step_of(route);
    begun = flagver_fault_calls(fault, FLAGVER_FAULT_BEGIN) - begun;
    committed = flagver_fault_calls(fault, FLAGVER_FAULT_COMMIT) - committed;
    ck_assert_int_eq(compared(), 10);

    read_ten();
    flagver_fault_lie(fault, committed, FLAGVER_FAULT_DONE);
    flagver_fault_fail(fault, FLAGVER_FAULT_OUTCOME, 1, FLAGVER_EUNAVAILABLE, true);
    flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, begun + 1, FLAGVER_EUNAVAILABLE, true);
    assert_fails(FLAGVER_EUNKNOWN, flagver_route_step(route, 0, NULL, &error));
    flagver_fault_reset(fault);
    step_of(route);
    ck_assert_int_eq(compared(), 20);
    leave();
}
END_TEST

/* ---- leases of routers that are gone ---- */

static const struct lease {
    const char *router;
    int64_t ended_s; /* ago */
    bool stays;
} leases[] = {
    { "crashed-long-ago", 7200, false },
    { "crashed-longer-ago", 1000000, false },
    { "crashed", 60, true },
    { "alive", -60, true },
};

static struct fv_row_key lease_key(const char *router)
{
    struct fv_row_key key;

    fv_row_key("users", router, strlen(router), &key);
    return key;
}

static int put_leases(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    for (int i = 0; i < COUNT(leases); i++) {
        const struct fv_lease lease = { .until = fv_now_us() - leases[i].ended_s * 1000000,
                                        .epoch = 1,
                                        .version = 1 };
        struct fv_row_key key = lease_key(leases[i].router);
        uint8_t bytes[FV_LEASE_BYTES];
        flagver_keyed_row row;

        assert_ok(fv_txn_keyed_get(txn, FV_SPACE_LEASE, fv_row_key_bytes(&key), &row, err));
        assert_ok(fv_txn_keyed_put(txn, &row,
                                   (flagver_bytes){ bytes, fv_lease_encode(&lease, bytes) }, err));
    }
    return 0;
}

static int check_leases(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    for (int i = 0; i < COUNT(leases); i++) {
        struct fv_row_key key = lease_key(leases[i].router);
        flagver_keyed_row row;

        assert_ok(fv_txn_keyed_get(txn, FV_SPACE_LEASE, fv_row_key_bytes(&key), &row, err));
        ck_assert_msg((row.rev != 0) == leases[i].stays, "%s", leases[i].router);
    }
    return 0;
}

START_TEST(leases_that_ended_long_ago_are_deleted)
{
    arrange((flagver_route_options){ 0 });
    write_text(route, "k", "v");
    assert_ok(fv_steering_run_on(client, put_leases, NULL, &error));
    take_steps(route);
    assert_ok(fv_steering_run_on(client, check_leases, NULL, &error));
    write_text(route, "k", "w"); /* with a lease of its own */
    leave();
}
END_TEST

/* ---- held up ---- */

static int32_t throttle_says;
static int throttle_calls;

static int32_t throttle(void *data)
{
    ck_assert_ptr_eq(data, &throttle_says);
    throttle_calls++;
    return throttle_says;
}

static const flagver_route_options throttled = { .throttle = throttle,
                                                 .throttle_data = &throttle_says };

START_TEST(a_host_can_stop_a_copy)
{
    arrange(throttled);
    throttle_says = -1;
    throttle_calls = 0;
    for (int i = 1; i <= 3; i++) {
        ck_assert_uint_eq(step_of(route).copied, 0);
        ck_assert_int_eq(throttle_calls, i);
    }
    throttle_says = 0;
    ck_assert_uint_gt(step_of(route).copied, 0);
    ck_assert_int_eq(throttle_calls, 4);
    take_steps(route);
    throttle_calls = 0;
    throttle_says = -1;
    ck_assert(step_of(route).copied_all); /* there is nothing to ask for */
    ck_assert_int_eq(throttle_calls, 0);
    leave();
}
END_TEST

START_TEST(a_host_that_wants_a_while_is_asked_once_for_each_chunk)
{
    flagver_route_progress progress;

    arrange(throttled);
    throttle_says = 20;
    throttle_calls = 0;
    progress = step_of(route);
    ck_assert_uint_eq(progress.copied, 0);
    while (step_of(route).copied == 0)
        usleep(1000);
    ck_assert_int_eq(throttle_calls, 1);
    while (step_of(route).copied == 0)
        usleep(1000);
    ck_assert_int_eq(throttle_calls, 2);
    leave();
}
END_TEST

START_TEST(a_copy_that_is_slow_takes_less_at_once)
{
    arrange((flagver_route_options){ .chunk_ms = 5 });
    seen.slow_us = 100; /* 500 of them are 50 ms */
    step_of(route);
    ck_assert_uint_gt(seen.limits[0], 100);
    step_of(route);
    ck_assert_uint_lt(seen.limits[seen.scans - 1], 100);
    leave();
}
END_TEST

static int remove_slowly(void *data, const flagver_side_call *call, flagver_error *err)
{
    usleep(1000);
    return table_remove(data, call, err);
}

START_TEST(removing_what_is_left_over_is_no_slower_where_nothing_is_copied)
{
    char key[16];

    arrange((flagver_route_options){ 0 });
    close_route(route);
    sides[FLAGVER_SIDE_NEW].remove = remove_slowly; /* 500 of them are half a second */
    for (int i = 0; i < ROWS; i++) {
        snprintf(key, sizeof key, "k%04d", i);
        table_delete(&tables[FLAGVER_SIDE_OLD], key);
        table_put(&tables[FLAGVER_SIDE_NEW], key, "v");
    }
    route = open_route(client, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    step_of(route);
    ck_assert_uint_lt(tables[FLAGVER_SIDE_NEW].count, ROWS);
    step_of(route);
    ck_assert_uint_gt(seen.limits[seen.scans - 1], 1);
    leave();
}
END_TEST

START_TEST(a_copy_leaves_time_to_others)
{
    flagver_route_progress progress;

    arrange((flagver_route_options){ .copy_share = 1 });
    seen.slow_us = 20; /* 10 ms, then 990 to rest */
    progress = step_of(route);
    ck_assert_uint_gt(progress.copied, 0);
    ck_assert_int_gt(progress.rest_ms, 0);
    progress = step_of(route);
    ck_assert_uint_eq(progress.copied, 0);
    ck_assert_uint_gt(progress.copied_so_far, 0);
    ck_assert(!progress.copied_all);
    leave();
}
END_TEST

static const struct {
    flagver_route_options options;
    const char *words;
} refused[] = {
    { { .chunk_ms = -1 }, "options.chunk_ms is -1; 0 or more allowed" },
    { { .copy_share = -1 }, "options.copy_share is -1; 0 to 100 allowed" },
    { { .copy_share = 101 }, "options.copy_share is 101; 0 to 100 allowed" },
};

START_TEST(what_is_no_pace_is_refused)
{
    flagver_route_options options = refused[_i].options;

    arrange((flagver_route_options){ 0 });
    options.size = sizeof options;
    options.old_side = sides[0];
    options.new_side = sides[1];
    assert_fails(FLAGVER_EINVAL, flagver_route_open(client, "users", &options, &other, &error));
    ck_assert_str_eq(error.message, refused[_i].words);
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route_progress");
    TCase *tcase = add_store_tcase(suite, "copies");

    tcase_add_loop_test(tcase, steps_and_statuses_tell_how_far_a_copy_is, 0, 2);
    tcase_add_loop_test(tcase, without_an_estimate_nobody_knows_what_is_left, 0, 3);
    tcase_add_test(tcase, a_chunk_that_outlasts_its_turn_counts_once_and_is_not_lost);
    tcase_add_test(tcase, a_copy_that_is_all_but_done_is_ended);
    tcase_add_test(tcase, one_at_a_time_copies);
    tcase_add_test(tcase, a_change_while_a_step_looks_where_it_stands_is_no_failure);
    tcase_add_loop_test(tcase, what_another_process_has_taken_back_is_not_done_again, 0,
                        COUNT(rollbacks));
    tcase_add_test(tcase, what_a_slow_thread_saw_does_not_take_the_place_of_what_is);
    tcase_add_test(tcase, no_read_is_evidence_twice);
    tcase_add_test(tcase, leases_that_ended_long_ago_are_deleted);
    tcase_add_test(tcase, a_host_can_stop_a_copy);
    tcase_add_test(tcase, a_host_that_wants_a_while_is_asked_once_for_each_chunk);
    tcase_add_test(tcase, a_copy_that_is_slow_takes_less_at_once);
    tcase_add_test(tcase, removing_what_is_left_over_is_no_slower_where_nothing_is_copied);
    tcase_add_test(tcase, a_copy_leaves_time_to_others);
    tcase_add_loop_test(tcase, what_is_no_pace_is_refused, 0, COUNT(refused));
    return run_store_suite(suite);
}
