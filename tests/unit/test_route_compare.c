/*
 * Comparisons that steps make: a chunk at a time, by several, again after a difference; and the gate that
 * they open.
 */
#define _DEFAULT_SOURCE /* usleep() */
#include <jansson.h>

#include "engine/route.h"
#include "steps.h"

static flagver_route *other;

static struct {
    char keys[16][16];
    int kinds[16];
    int count;
} told;

static void note_difference(void *data, const flagver_difference *difference)
{
    ck_assert_ptr_eq(data, &told);
    ck_assert_int_lt(told.count, COUNT(told.kinds));
    snprintf(told.keys[told.count], sizeof told.keys[0], "%s", difference->key);
    told.kinds[told.count++] = difference->kind;
}

static void (*during_scan)(void);
static uint32_t scan_us; /* for each record that is asked for */

static int scan_old(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                    flagver_sink *sink, flagver_error *err)
{
    void (*meanwhile)(void) = during_scan;

    during_scan = NULL;
    if (meanwhile)
        meanwhile();
    usleep((useconds_t)(limit * scan_us));
    return table_scan(data, call, after, limit, sink, err);
}

/* Everything has been copied, and nothing compared. */
static void arrange_polled(flagver_route_options options, int32_t poll_ms)
{
    flagver_options of_client = quiet_options();

    memset(&told, 0, sizeof told);
    scan_us = 0;
    options.difference = note_difference;
    options.difference_data = &told;
    of_client.poll_ms = poll_ms;
    client = open_with(0, &of_client);
    make_migration();
    sides[FLAGVER_SIDE_OLD].scan = scan_old;
    route = open_route(client, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    ck_assert(take_steps(route).copied_all);
    close_route(route);
    route = open_route(client, "users", sides[0], sides[1], options);
}

static void arrange(flagver_route_options options)
{
    arrange_polled(options, 0);
}

/* "verified" and "comparing" in both statuses: {records, differences, left_out, done}, as numbers. */
static void assert_status(bool verified, int records, int differences, bool done)
{
    for (int stored = 0; stored < 2; stored++) {
        json_t *status, *comparing;
        char *json;

        assert_ok(stored ? flagver_migration_status(client, "users", &json, &error)
                         : flagver_route_status(route, &json, &error));
        status = json_loads(json, 0, NULL);
        comparing = json_object_get(status, "comparing");
        ck_assert_msg(json_is_object(comparing), "%s", json);
        ck_assert_int_eq(json_is_true(json_object_get(status, "verified")), verified);
        ck_assert_int_eq(json_integer_value(json_object_get(comparing, "records")), records);
        ck_assert_int_eq(json_integer_value(json_object_get(comparing, "differences")),
                         differences);
        ck_assert_int_eq(json_integer_value(json_object_get(comparing, "left_out")), 0);
        ck_assert_int_eq(json_is_true(json_object_get(comparing, "done")), done);
        json_decref(status);
        flagver_string_free(json);
    }
}

static bool is_verified(void)
{
    bool verified;
    json_t *status;
    char *json;

    assert_ok(flagver_migration_status(client, "users", &json, &error));
    status = json_loads(json, 0, NULL);
    verified = json_is_true(json_object_get(status, "verified"));
    json_decref(status);
    flagver_string_free(json);
    return verified;
}

/* As if the last comparison had ended two minutes ago. */
static void end_long_ago(struct fv_passage *comparison)
{
    ck_assert(comparison->headway.done);
    comparison->headway.last -= 120000000;
}

START_TEST(steps_compare_when_all_is_copied_and_open_the_gate)
{
    flagver_route_progress progress;

    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    progress = take_steps(route);
    ck_assert_uint_eq(progress.compared_so_far, ROWS);
    ck_assert_uint_eq(progress.differences, 0);
    ck_assert_uint_eq(progress.left_out, 0);
    ck_assert(progress.verified);
    ck_assert(take_steps(route).verified);
    assert_status(true, ROWS, 0, true);
    ck_assert_int_eq(told.count, 0);
    leave();
}
END_TEST

START_TEST(without_the_option_nothing_is_compared)
{
    arrange((flagver_route_options){ 0 });
    ck_assert_uint_eq(take_steps(route).compared_so_far, 0);
    ck_assert(!take_steps(route).verified);
    leave();
}
END_TEST

START_TEST(a_chunk_at_a_time_each_key_is_compared_once)
{
    flagver_route_progress progress = { .size = sizeof progress };
    uint64_t before = 0;
    int steps = 0;

    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    table_put(&tables[FLAGVER_SIDE_NEW], "k0250x", "extra");
    table_put(&tables[FLAGVER_SIDE_NEW], "k0700", "other");
    while (!progress.verified && progress.compared_so_far < ROWS + 1) {
        progress = step_for(route, 0);
        ck_assert_uint_ge(progress.compared_so_far, before);
        before = progress.compared_so_far;
        ck_assert_int_lt(++steps, 100);
    }
    ck_assert_int_gt(steps, 1);
    ck_assert_uint_eq(progress.compared_so_far, ROWS + 1);
    assert_status(false, ROWS + 1, 2, true);
    ck_assert_int_eq(told.count, 2);
    ck_assert_str_eq(told.keys[0], "k0250x");
    ck_assert_int_eq(told.kinds[0], FLAGVER_DIFFERENCE_EXTRA_IN_NEW);
    ck_assert_str_eq(told.keys[1], "k0700");
    ck_assert_int_eq(told.kinds[1], FLAGVER_DIFFERENCE_VALUE);
    leave();
}
END_TEST

START_TEST(what_differed_is_looked_for_again_after_a_while)
{
    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    table_put(&tables[FLAGVER_SIDE_NEW], "k0700", "other");
    ck_assert_uint_eq(take_steps(route).differences, 1);
    table_put(&tables[FLAGVER_SIDE_NEW], "k0700", "v");
    ck_assert_uint_eq(take_steps(route).differences, 1); /* not yet */
    ck_assert(!take_steps(route).verified);
    retell(FV_SPACE_COMPARISON, end_long_ago);
    ck_assert_uint_eq(take_steps(route).differences, 0);
    ck_assert(take_steps(route).verified);
    leave();
}
END_TEST

START_TEST(a_gate_that_another_comparison_has_shut_is_opened_again)
{
    const flagver_compare_options options = { .size = sizeof options, .confirm_ms = 1 };

    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    ck_assert(take_steps(route).verified);
    table_put(&tables[FLAGVER_SIDE_NEW], "k0700", "other");
    assert_ok(flagver_route_verify(route, &options, NULL, NULL, NULL, NULL, &error));
    ck_assert(!is_verified());
    ck_assert(!take_steps(route).verified);
    table_put(&tables[FLAGVER_SIDE_NEW], "k0700", "v");
    retell(FV_SPACE_COMPARISON, end_long_ago);
    ck_assert(take_steps(route).verified);
    ck_assert(is_verified());
    leave();
}
END_TEST

START_TEST(what_another_comparison_has_found_is_not_passed_over)
{
    const flagver_compare_options options = { .size = sizeof options, .confirm_ms = 1 };

    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    ck_assert_uint_lt(step_for(route, 0).compared_so_far, ROWS);
    table_put(&tables[FLAGVER_SIDE_NEW], "k0001", "other"); /* steps are past it */
    assert_ok(flagver_route_verify(route, &options, NULL, NULL, NULL, NULL, &error));
    ck_assert_uint_eq(take_steps(route).differences, 1);
    ck_assert(!is_verified());
    leave();
}
END_TEST

START_TEST(what_differs_is_repaired_when_that_is_asked_for)
{
    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPAIR });
    table_put(&tables[FLAGVER_SIDE_NEW], "k0700", "other");
    table_put(&tables[FLAGVER_SIDE_NEW], "z", "extra");
    ck_assert_uint_eq(take_steps(route).differences, 2);
    ck_assert_str_eq(table_get(&tables[FLAGVER_SIDE_NEW], "k0700"), "v");
    ck_assert_ptr_null(table_get(&tables[FLAGVER_SIDE_NEW], "z"));
    retell(FV_SPACE_COMPARISON, end_long_ago);
    take_steps(route);
    ck_assert(take_steps(route).verified);
    leave();
}
END_TEST

START_TEST(another_process_goes_on_where_one_was)
{
    const flagver_route_options options = { .verify = FLAGVER_VERIFY_REPORT };
    uint64_t compared;

    arrange(options);
    table_put(&tables[FLAGVER_SIDE_NEW], "k0001", "other");
    compared = step_for(route, 0).compared_so_far;
    ck_assert_uint_gt(compared, 0);
    other = open_route(client, "users", sides[0], sides[1], options);
    ck_assert_uint_eq(take_steps(other).compared_so_far, compared); /* it is not its turn */
    retell(FV_SPACE_COMPARISON, end_turn);
    ck_assert_uint_eq(take_steps(other).compared_so_far, ROWS);
    assert_status(false, ROWS, 1, true);
    close_route(other);
    leave();
}
END_TEST

/* ---- two that compare the same ---- */

/* `route` compares `before` keys and then so many; while it scans for those `meanwhile` is called. */
static void compare_slowly(uint32_t before, uint32_t keys, void (*meanwhile)(void))
{
    route->compared_at_once = before;
    if (before > 0)
        ck_assert_uint_eq(step_for(route, 0).compared_so_far, before);
    route->compared_at_once = keys;
    other = open_route(client, "users", sides[0], sides[1],
                       (flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    during_scan = meanwhile;
    step_for(route, 0);
    ck_assert(!during_scan);
    retell(FV_SPACE_COMPARISON, end_turn);
}

static void leave_both(void)
{
    close_route(other);
    leave();
}

static void let_the_other_compare_a_little(void)
{
    retell(FV_SPACE_COMPARISON, end_turn);
    other->compared_at_once = 100;
    ck_assert_uint_gt(step_for(other, 0).compared_so_far, 0);
}

START_TEST(what_only_the_slower_one_has_seen_is_not_passed_over)
{
    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    table_put(&tables[FLAGVER_SIDE_NEW], "k0300", "other");
    compare_slowly(0, 500, let_the_other_compare_a_little);
    ck_assert(!take_steps(other).verified);
    assert_status(false, ROWS, 1, true);
    leave_both();
}
END_TEST

static void let_the_other_end(void)
{
    retell(FV_SPACE_COMPARISON, end_turn);
    other->compared_at_once = 1000;
    take_steps(other);
    assert_status(false, ROWS, 1, true);
}

START_TEST(a_difference_that_two_have_seen_counts_once)
{
    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    table_put(&tables[FLAGVER_SIDE_NEW], "k1199", "other");
    compare_slowly(500, 1000, let_the_other_end);
    assert_status(false, ROWS, 1, true);
    leave_both();
}
END_TEST

static void let_the_other_begin_anew(void)
{
    let_the_other_end();
    retell(FV_SPACE_COMPARISON, end_long_ago);
    other->compared_at_once = 100;
    ck_assert_uint_lt(step_for(other, 0).compared_so_far, ROWS);
}

START_TEST(a_chunk_of_an_earlier_comparison_is_none_of_the_next)
{
    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT });
    table_put(&tables[FLAGVER_SIDE_NEW], "k0001", "other");
    compare_slowly(500, 500, let_the_other_begin_anew);
    take_steps(other);
    assert_status(false, ROWS, 1, true);
    leave_both();
}
END_TEST

/* ---- held up ---- */

static int32_t never(void *data)
{
    (void)data;
    return -1;
}

START_TEST(a_host_can_stop_a_comparison)
{
    arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT, .throttle = never });
    ck_assert_uint_eq(take_steps(route).compared_so_far, 0);
    leave();
}
END_TEST

static int32_t later(void *data)
{
    (void)data;
    return 60000;
}

START_TEST(a_comparison_tells_how_long_it_rests)
{
    flagver_route_progress progress;

    if (_i == 0) {
        arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT, .throttle = later });
        progress = step_for(route, 0);
        ck_assert_uint_eq(progress.compared_so_far, 0);
    } else {
        arrange((flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT, .copy_share = 1 });
        scan_us = 40; /* 20 ms, then two seconds to rest */
        progress = step_for(route, 0);
        ck_assert_uint_gt(progress.compared_so_far, 0);
    }
    ck_assert_int_gt(progress.rest_ms, 0);
    leave();
}
END_TEST

START_TEST(a_thread_of_the_routes_goes_on_comparing_at_once)
{
    arrange_polled((flagver_route_options){ 0 }, 600000);
    close_route(route);
    scan_us = 250; /* 500 of them are more than the thread does in a step */
    route = open_route(client, "users", sides[0], sides[1],
                       (flagver_route_options){ .verify = FLAGVER_VERIFY_REPORT, .background = 1 });
    while (!is_verified())
        usleep(10000);
    leave();
}
END_TEST

START_TEST(a_way_of_verifying_that_is_none_is_refused)
{
    flagver_route_options options = { .size = sizeof options, .verify = 3 };
    flagver_route *none;

    arrange((flagver_route_options){ 0 });
    options.old_side = sides[0];
    options.new_side = sides[1];
    assert_fails(FLAGVER_EINVAL, flagver_route_open(client, "users", &options, &none, &error));
    assert_words("options.verify is 3");
    options.verify = FLAGVER_VERIFY_REPORT;
    options.flag = "stage";
    assert_fails(FLAGVER_EINVAL, flagver_route_open(client, NULL, &options, &none, &error));
    assert_words("options.verify");
    leave();
}
END_TEST

START_TEST(a_wait_that_is_none_is_refused)
{
    const flagver_compare_options options = { .size = sizeof options, .confirm_ms = -1 };

    arrange((flagver_route_options){ 0 });
    assert_fails(FLAGVER_EINVAL,
                 flagver_route_verify(route, &options, NULL, NULL, NULL, NULL, &error));
    assert_words("options.confirm_ms is -1; 0 or more allowed");
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route_compare");
    TCase *tcase = add_store_tcase(suite, "steps");

    tcase_add_test(tcase, steps_compare_when_all_is_copied_and_open_the_gate);
    tcase_add_test(tcase, without_the_option_nothing_is_compared);
    tcase_add_test(tcase, a_chunk_at_a_time_each_key_is_compared_once);
    tcase_add_test(tcase, what_differed_is_looked_for_again_after_a_while);
    tcase_add_test(tcase, a_gate_that_another_comparison_has_shut_is_opened_again);
    tcase_add_test(tcase, what_another_comparison_has_found_is_not_passed_over);
    tcase_add_test(tcase, what_differs_is_repaired_when_that_is_asked_for);
    tcase_add_test(tcase, another_process_goes_on_where_one_was);
    tcase_add_test(tcase, what_only_the_slower_one_has_seen_is_not_passed_over);
    tcase_add_test(tcase, a_difference_that_two_have_seen_counts_once);
    tcase_add_test(tcase, a_chunk_of_an_earlier_comparison_is_none_of_the_next);
    tcase_add_test(tcase, a_host_can_stop_a_comparison);
    tcase_add_loop_test(tcase, a_comparison_tells_how_long_it_rests, 0, 2);
    tcase_add_test(tcase, a_thread_of_the_routes_goes_on_comparing_at_once);
    tcase_add_test(tcase, a_way_of_verifying_that_is_none_is_refused);
    tcase_add_test(tcase, a_wait_that_is_none_is_refused);
    return run_store_suite(suite);
}
