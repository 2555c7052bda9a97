/* Migrations from end to end: two sides of each kind, through all stages and back. */
#define _DEFAULT_SOURCE /* mkdtemp() */
#include "engine/route_copy.h"
#include "engine/route_write.h"
#include "homes.h"
#include "stores.h"

/* The store of the migration is a third one. */
static struct home homes[2];
static flagver_client *control;
static flagver_route *route;

static void arrange_with(int i, flagver_route_options options)
{
    flagver_side sides[2];

    control = open_store(FAULT_KIND + 1);
    put_migration(control, "users", "{'stage': 'off', 'gates': {'samples': 0, 'match_rate': 0}}");
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        home_begin(homes, side, &arrangements[i]);
        sides[side] = home_side(&homes[side]);
    }
    route = open_route(control, "users", sides[0], sides[1], options);
}

static void arrange(int i)
{
    arrange_with(i, (flagver_route_options){ 0 });
}

static void leave(void)
{
    close_route(route);
    homes_end(homes);
    flagver_close(control);
}

static void fail_writes(int side, int code)
{
    home_fail_writes(&homes[side], code);
}

static void assert_on(int side, const char *key, const char *expected)
{
    const char *value = home_value(&homes[side], key);

    if (expected)
        ck_assert_msg(value && strcmp(value, expected) == 0, "%s: %s has %s, not %s", key,
                      side ? "new" : "old", value ? value : "nothing", expected);
    else
        ck_assert_msg(!value, "%s: %s has %s", key, side ? "new" : "old", value);
}

/* From off, with what the stages ask for on the way. */
static void advance_to(int stage)
{
    uint64_t compared, differences;

    for (int next = FLAGVER_STAGE_DUALWRITE; next <= stage; next++) {
        if (next == FLAGVER_STAGE_SHADOW) {
            flagver_route_progress progress = take_steps(route);

            ck_assert(progress.copied_all);
        }
        if (next == FLAGVER_STAGE_RAMP || next == FLAGVER_STAGE_COMPLETE) {
            assert_ok(
                flagver_route_verify(route, NULL, NULL, NULL, &compared, &differences, &error));
            ck_assert_uint_eq(differences, 0);
        }
        go_to(route, next);
    }
}

START_TEST(a_migration_goes_through_all_stages_and_loses_nothing)
{
    char key[24], value[16];

    arrange(_i);
    for (int i = 0; i < 1200; i++) {
        snprintf(key, sizeof key, "before-%04d", i);
        write_text(route, key, "0");
    }
    for (int stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_COMPLETE; stage++) {
        advance_to(FLAGVER_STAGE_OFF);
        if (stage == FLAGVER_STAGE_SHADOW)
            ck_assert(take_steps(route).copied_all);
        if (stage == FLAGVER_STAGE_RAMP || stage == FLAGVER_STAGE_COMPLETE)
            assert_ok(flagver_route_verify(route, NULL, NULL, NULL, NULL, NULL, &error));
        go_to(route, stage);
        snprintf(key, sizeof key, "in-%d", stage);
        snprintf(value, sizeof value, "%d", stage);
        write_text(route, key, value);
        write_text(route, "before-0007", value);
        ck_assert_str_eq(read_text(route, key), value);
        ck_assert_str_eq(read_text(route, "before-0007"), value);
    }
    assert_on(FLAGVER_SIDE_NEW, "before-1199", "0");
    assert_on(FLAGVER_SIDE_NEW, "before-0007", "8");
    assert_on(FLAGVER_SIDE_OLD, "before-0007", "7");
    assert_on(FLAGVER_SIDE_OLD, "in-8", NULL);
    leave();
}
END_TEST

START_TEST(a_write_that_the_other_side_refuses_is_repaired)
{
    flagver_route_result result = { .size = sizeof result };

    arrange(_i);
    advance_to(FLAGVER_STAGE_DUALWRITE);
    fail_writes(FLAGVER_SIDE_NEW, FLAGVER_EUNAVAILABLE);
    assert_ok(flagver_route_write(route, "k", "v", 1, NULL, &result, &error));
    ck_assert(result.pending);
    ck_assert_int_eq(result.sides[FLAGVER_SIDE_NEW].code, FLAGVER_EUNAVAILABLE);
    flagver_route_result_clear(&result);
    assert_on(FLAGVER_SIDE_NEW, "k", NULL);

    fail_writes(FLAGVER_SIDE_NEW, 0);
    take_steps(route);
    assert_on(FLAGVER_SIDE_NEW, "k", "v");
    ck_assert_uint_eq(take_steps(route).waiting, 0);
    leave();
}
END_TEST

START_TEST(a_write_that_the_authority_refuses_is_nowhere)
{
    arrange(_i);
    advance_to(FLAGVER_STAGE_DUALWRITE);
    fail_writes(FLAGVER_SIDE_OLD, FLAGVER_EUNAVAILABLE);
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_route_write(route, "k", "v", 1, NULL, NULL, &error));
    assert_on(FLAGVER_SIDE_OLD, "k", NULL);
    assert_on(FLAGVER_SIDE_NEW, "k", NULL);
    fail_writes(FLAGVER_SIDE_OLD, 0);
    leave();
}
END_TEST

START_TEST(what_is_removed_does_not_come_back)
{
    arrange(_i);
    write_text(route, "k", "v");
    advance_to(FLAGVER_STAGE_BACKFILL);
    assert_ok(flagver_route_remove(route, "k", NULL, NULL, &error));
    take_steps(route);
    assert_on(FLAGVER_SIDE_OLD, "k", NULL);
    assert_on(FLAGVER_SIDE_NEW, "k", NULL);
    leave();
}
END_TEST

/* What only the other side has when both are written again, between the records that both have. */
START_TEST(what_was_removed_while_only_one_side_was_written_does_not_come_back)
{
    uint64_t differences;
    char key[24];

    arrange(_i);
    for (int i = 0; i < 700; i++) {
        snprintf(key, sizeof key, "k-%04d", i);
        write_text(route, key, "1");
    }
    advance_to(FLAGVER_STAGE_RAMP);
    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    for (int i = 0; i < 700; i++) {
        snprintf(key, sizeof key, "k-%04d", i);
        if (i % 100 != 50 && i < 650) /* few are left, and none at the ends */
            assert_ok(flagver_route_remove(route, key, NULL, NULL, &error));
    }
    for (int i = 650; i < 700; i++) {
        snprintf(key, sizeof key, "k-%04d", i);
        assert_ok(flagver_route_remove(route, key, NULL, NULL, &error));
    }
    write_text(route, "k-0050", "2");

    go_to(route, FLAGVER_STAGE_DUALWRITE);
    write_text(route, "k-0007", "3"); /* it has come back by itself */
    while (!take_steps(route).copied_all)
        ;
    assert_on(FLAGVER_SIDE_NEW, "k-0000", NULL);
    assert_on(FLAGVER_SIDE_NEW, "k-0007", "3");
    assert_on(FLAGVER_SIDE_NEW, "k-0050", "2");
    assert_on(FLAGVER_SIDE_NEW, "k-0150", "1");
    assert_on(FLAGVER_SIDE_NEW, "k-0151", NULL);
    assert_on(FLAGVER_SIDE_NEW, "k-0699", NULL);
    assert_ok(flagver_route_verify(route, NULL, NULL, NULL, NULL, &differences, &error));
    ck_assert_uint_eq(differences, 0);
    leave();
}
END_TEST

static void force(int stage)
{
    const flagver_route_change forced = { .size = sizeof forced, .forced = "we have no time" };

    assert_ok(flagver_route_stage(route, &alice, stage, &forced, &error));
}

/* Somebody has forced it: what the new side lacks is not taken from the old one. */
static void believe_by_force(int arrangement, int verify)
{
    arrange_with(arrangement, (flagver_route_options){ .verify = verify });
    write_text(route, "a", "1");
    write_text(route, "z", "2");
    for (int stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_LIVE; stage++)
        force(stage);
    write_text(route, "m", "3");
    while (!take_steps(route).copied_all)
        ;
    assert_on(FLAGVER_SIDE_NEW, "a", NULL);
    assert_on(FLAGVER_SIDE_OLD, "a", "1");
    assert_on(FLAGVER_SIDE_OLD, "m", "3");
    assert_on(FLAGVER_SIDE_OLD, "z", "2");
    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    assert_on(FLAGVER_SIDE_OLD, "a", "1");
    assert_on(FLAGVER_SIDE_OLD, "m", "3");
    leave();
}

START_TEST(a_side_that_is_believed_before_it_has_everything_takes_nothing_away)
{
    believe_by_force(_i, FLAGVER_VERIFY_BY_CALL);
}
END_TEST

START_TEST(nor_does_it_by_a_comparison_that_repairs)
{
    believe_by_force(_i, FLAGVER_VERIFY_REPAIR);
}
END_TEST

static bool force_live(void *data, const flagver_difference *difference)
{
    (void)data;
    ck_assert_str_eq(difference->key, "a");
    for (int stage = FLAGVER_STAGE_BACKFILL; stage <= FLAGVER_STAGE_LIVE; stage++)
        force(stage);
    return true;
}

START_TEST(a_comparison_repairs_for_the_side_that_was_believed_when_it_began)
{
    const flagver_compare_options options = { .size = sizeof options, .repair = 1 };

    arrange(_i);
    write_text(route, "a", "1");
    write_text(route, "z", "2");
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    assert_fails(FLAGVER_EBUSY,
                 flagver_route_verify(route, &options, force_live, NULL, NULL, NULL, &error));
    assert_on(FLAGVER_SIDE_OLD, "a", "1");
    assert_on(FLAGVER_SIDE_OLD, "z", "2");
    leave();
}
END_TEST

/* Nobody had the sides meanwhile: the flip comes at once with the stage that writes both. */
START_TEST(stages_that_were_forced_while_nobody_looked_take_nothing_away)
{
    flagver_route_change forced = { .size = sizeof forced,
                                    .forced = "the service is down anyway",
                                    .wait_ms = -1 };

    arrange(_i);
    write_text(route, "a", "1");
    for (int stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_LIVE; stage++)
        assert_ok(flagver_route_stage(route, &alice, stage, &forced, &error));
    while (!take_steps(route).copied_all)
        ;
    ck_assert_int_eq(take_steps(route).stage, FLAGVER_STAGE_LIVE);
    assert_on(FLAGVER_SIDE_OLD, "a", "1");
    leave();
}
END_TEST

/* It has been written all the time: what was spoiled on the new side alone is still there. */
START_TEST(the_side_that_was_believed_before_is_not_copied_to)
{
    arrange(_i);
    write_text(route, "b", "1");
    advance_to(FLAGVER_STAGE_RAMP);
    home_spoil(&homes[FLAGVER_SIDE_NEW], "b", "2");
    go_to(route, FLAGVER_STAGE_LIVE);
    for (int i = 0; i < 3; i++) {
        ck_assert(take_steps(route).copied_all);
        ck_assert_uint_eq(take_steps(route).copied, 0);
    }
    assert_on(FLAGVER_SIDE_OLD, "b", "1");
    leave();
}
END_TEST

static flagver_side old_side;
static bool fails_to_read;

static int read_old(void *data, const flagver_side_call *call, flagver_sink *sink,
                    flagver_error *err)
{
    return fails_to_read && strcmp(call->key, "left") == 0 ? FLAGVER_EIO
                                                           : old_side.read(data, call, sink, err);
}

START_TEST(a_left_over_key_that_the_believed_side_cannot_read_does_not_stop_a_copy)
{
    flagver_route_progress progress = { .size = sizeof progress };
    flagver_side side;

    arrange(_i);
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    write_text(route, "kept", "1");
    write_text(route, "left", "1");
    take_steps(route);
    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    assert_ok(flagver_route_remove(route, "left", NULL, NULL, &error));
    close_route(route);

    side = old_side = home_side(&homes[FLAGVER_SIDE_OLD]);
    side.read = read_old;
    fails_to_read = true;
    route = open_route(control, "users", side, home_side(&homes[FLAGVER_SIDE_NEW]),
                       (flagver_route_options){ 0 });
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    for (int i = 0; i < 20 && !progress.copied_all; i++)
        flagver_route_step(route, 0, &progress, NULL); /* with fewer records each time */
    ck_assert(progress.copied_all);
    assert_ok(flagver_route_step(route, 0, &progress, &error));
    ck_assert_uint_eq(progress.waiting, 1);
    assert_on(FLAGVER_SIDE_NEW, "left", "1");
    leave();
}
END_TEST

/* A function of the new side's that fails in the transaction itself, as when its connection is lost. */
static flagver_side new_side;
static bool breaks;

static bool break_off(const flagver_side_call *call)
{
    if (!breaks || !call->txn)
        return false;
    breaks = false;
    assert_ok(fv_txn_enter(call->txn, &error));
    fv_txn_leave(call->txn, FLAGVER_EUNAVAILABLE, NULL);
    return true;
}

static int write_new(void *data, const flagver_side_call *call, const void *value, size_t length,
                     flagver_sink *sink, flagver_error *err)
{
    return break_off(call) ? FLAGVER_EINVAL : new_side.write(data, call, value, length, sink, err);
}

static int read_new(void *data, const flagver_side_call *call, flagver_sink *sink,
                    flagver_error *err)
{
    return break_off(call) ? FLAGVER_ENOTFOUND : new_side.read(data, call, sink, err);
}

START_TEST(a_side_that_breaks_its_transaction_harms_nobody)
{
    uint64_t differences;
    flagver_side side;
    int r;

    arrange(_i);
    close_route(route);
    side = new_side = home_side(&homes[FLAGVER_SIDE_NEW]);
    side.write = write_new;
    side.read = read_new;
    route = open_route(control, "users", home_side(&homes[FLAGVER_SIDE_OLD]), side,
                       (flagver_route_options){ 0 });
    write_text(route, "k", "1");
    go_to(route, FLAGVER_STAGE_DUALWRITE);

    breaks = true;
    r = flagver_route_write(route, "k", "2", 1, NULL, NULL, &error);
    ck_assert(r == 0 || r == FLAGVER_EUNAVAILABLE); /* it may have been the authority's, too */
    assert_on(FLAGVER_SIDE_OLD, "k", r == 0 ? "2" : "1");
    write_text(route, "k", "3");
    while (take_steps(route).waiting > 0)
        ;
    assert_on(FLAGVER_SIDE_NEW, "k", "3");

    home_spoil(&homes[FLAGVER_SIDE_NEW], "k", "4");
    breaks = true;
    assert_ok(flagver_route_verify(route, NULL, NULL, NULL, NULL, &differences, &error));
    ck_assert_uint_eq(differences, 1);
    ck_assert(!breaks);
    leave();
}
END_TEST

/* ---- a side that fails, and how often it is asked ---- */

enum asking { BY_REPAIR, BY_COPY, BY_COMPARISON };

static const struct failure {
    enum asking by;
    int side, operation;
} failures[] = {
    { BY_REPAIR, FLAGVER_SIDE_OLD, FLAGVER_ROUTE_READ },
    { BY_REPAIR, FLAGVER_SIDE_NEW, FLAGVER_ROUTE_WRITE },
    { BY_REPAIR, FLAGVER_SIDE_NEW, FLAGVER_ROUTE_REMOVE },
    { BY_COPY, FLAGVER_SIDE_OLD, FLAGVER_ROUTE_SCAN },
    { BY_COPY, FLAGVER_SIDE_NEW, FLAGVER_ROUTE_WRITE },
    { BY_COPY, FLAGVER_SIDE_NEW, FLAGVER_ROUTE_WRITE_MANY },
    { BY_COPY, FLAGVER_SIDE_OLD, FLAGVER_ROUTE_READ }, /* of what only the other one has */
    { BY_COPY, FLAGVER_SIDE_NEW, FLAGVER_ROUTE_REMOVE },
    { BY_COMPARISON, FLAGVER_SIDE_NEW, FLAGVER_ROUTE_READ },
};
#define FAILURES (int)(sizeof failures / sizeof *failures)

static const struct failure *failure; /* NULL: all is well */
static int failed_calls;
static flagver_side well[2];

static int fail_as_told(const flagver_side_call *call, flagver_error *err)
{
    if (!failure || failure->side != call->side || failure->operation != call->operation)
        return 0;
    failed_calls++;
    err->code = FLAGVER_EUNAVAILABLE;
    snprintf(err->message, sizeof err->message, "%s has burnt down", call->side ? "new" : "old");
    return FLAGVER_EUNAVAILABLE;
}

static int read_or_fail(void *data, const flagver_side_call *call, flagver_sink *sink,
                        flagver_error *err)
{
    int r = fail_as_told(call, err);

    return r < 0 ? r : well[call->side].read(data, call, sink, err);
}

static int write_or_fail(void *data, const flagver_side_call *call, const void *value,
                         size_t length, flagver_sink *sink, flagver_error *err)
{
    int r = fail_as_told(call, err);

    return r < 0 ? r : well[call->side].write(data, call, value, length, sink, err);
}

static int write_many_and_fail(void *data, const flagver_side_call *call,
                               const flagver_side_row *rows, size_t count, flagver_error *err)
{
    (void)data, (void)rows, (void)count;
    return fail_as_told(call, err);
}

static int remove_or_fail(void *data, const flagver_side_call *call, flagver_error *err)
{
    int r = fail_as_told(call, err);

    return r < 0 ? r : well[call->side].remove(data, call, err);
}

static int scan_or_fail(void *data, const flagver_side_call *call, const char *after,
                        uint32_t limit, flagver_sink *sink, flagver_error *err)
{
    int r = fail_as_told(call, err);

    return r < 0 ? r : well[call->side].scan(data, call, after, limit, sink, err);
}

static void reopen_failing(bool writes_many)
{
    flagver_side sides[2];

    close_route(route);
    failure = NULL;
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        sides[side] = well[side] = home_side(&homes[side]);
        sides[side].read = read_or_fail;
        sides[side].write = write_or_fail;
        sides[side].remove = remove_or_fail;
        sides[side].scan = scan_or_fail;
        if (writes_many)
            sides[side].write_many = write_many_and_fail;
    }
    route = open_route(control, "users", sides[0], sides[1], (flagver_route_options){ 0 });
}

static void fail_from_now(const struct failure *what)
{
    failure = what;
    failed_calls = 0;
}

/* The new side has missed the write, or the removal that it is to be asked for. */
static int repair_and_fail(const struct failure *what)
{
    static const struct failure write = { BY_REPAIR, FLAGVER_SIDE_NEW, FLAGVER_ROUTE_WRITE };

    fail_from_now(&write);
    write_text(route, "k", "v");
    fail_from_now(what);
    if (what->operation == FLAGVER_ROUTE_REMOVE)
        assert_ok(flagver_route_remove(route, "k", NULL, NULL, &error));
    fail_from_now(what);
    return fv_route_repair(route, FV_OLD, "k", &error);
}

/* One chunk, with a record that the new side has not, and one that it alone has. */
static int copy_and_fail(const struct failure *what)
{
    write_text(route, "left", "1");
    take_steps(route);
    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    assert_ok(flagver_route_remove(route, "left", NULL, NULL, &error));
    write_text(route, "k", "1");
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    fail_from_now(what);
    return flagver_route_step(route, 0, NULL, &error);
}

static int compare_and_fail(const struct failure *what)
{
    write_text(route, "k", "1");
    take_steps(route);
    home_spoil(&homes[FLAGVER_SIDE_NEW], "k", "2");
    fail_from_now(what);
    return flagver_route_verify(route, NULL, NULL, NULL, NULL, NULL, &error);
}

/* What it says is not the store's: a transaction that ends with that is not run again. */
START_TEST(a_side_that_fails_in_a_transaction_is_asked_once)
{
    static int (*const ways[])(const struct failure *what) = { repair_and_fail, copy_and_fail,
                                                               compare_and_fail };
    const struct failure *what = &failures[_i % FAILURES];

    arrange(_i / FAILURES);
    reopen_failing(what->operation == FLAGVER_ROUTE_WRITE_MANY);
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    assert_fails(FLAGVER_EUNAVAILABLE, ways[what->by](what));
    ck_assert_str_eq(error.message, what->side ? "new has burnt down" : "old has burnt down");
    ck_assert_int_eq(failed_calls, 1);
    failure = NULL;
    leave();
}
END_TEST

START_TEST(rollback_takes_it_all_back)
{
    arrange(_i);
    write_text(route, "k", "v");
    advance_to(FLAGVER_STAGE_LIVE);
    write_text(route, "k", "w");
    assert_ok(flagver_route_rollback(route, &alice, "slow", &error));
    ck_assert_str_eq(read_text(route, "k"), "w");
    ck_assert_int_eq(take_steps(route).stage, FLAGVER_STAGE_OFF);
    write_text(route, "k", "x");
    assert_on(FLAGVER_SIDE_OLD, "k", "x");
    assert_on(FLAGVER_SIDE_NEW, "k", "w");
    leave();
}
END_TEST

/* Step by step, until the old side has got its place back and the new one has not left it yet. */
static void stop_after_the_grant(void)
{
    const flagver_route_change change = { .size = sizeof change, .wait_ms = -1 };
    struct fv_view view;

    assert_ok(flagver_route_stage(route, &alice, FLAGVER_STAGE_SHADOW, &change, &error));
    for (;;) {
        assert_ok(fv_steering_look(&route->steering, &view, &error));
        assert_ok(fv_ledger_follow(&route->ledger, &view, &error));
        if (view.fences[FV_OLD].role == FV_ROLE_AUTHORITY)
            break;
        ck_assert_int_eq(fv_steering_step(&route->steering, false, &error), 1);
    }
    ck_assert_int_eq(view.fences[FV_NEW].role, FV_ROLE_FROZEN);
}

START_TEST(who_dies_in_a_flip_after_the_grant_holds_nobody_up)
{
    const flagver_route_call strict = { .size = sizeof strict, .strict = 1 };
    flagver_route_result result = { .size = sizeof result };

    arrange(_i);
    write_text(route, "k", "1");
    advance_to(FLAGVER_STAGE_LIVE);
    take_steps(route);
    stop_after_the_grant();
    fail_writes(FLAGVER_SIDE_NEW, FLAGVER_EUNAVAILABLE);
    write_text(route, "k", "2");
    assert_ok(flagver_route_read(route, "k", &strict, &result, &error));
    ck_assert_str_eq(result.value, "2");
    ck_assert_int_eq(result.side, FLAGVER_SIDE_OLD);
    flagver_route_result_clear(&result);
    fail_writes(FLAGVER_SIDE_NEW, 0);
    leave();
}
END_TEST

/* For less time than a lease takes to be renewed by itself. */
START_TEST(a_router_that_writes_nothing_does_not_hold_a_flip_up)
{
    const flagver_route_change change = { .size = sizeof change, .wait_ms = 3000 };

    arrange(_i);
    write_text(route, "a", "1");
    advance_to(FLAGVER_STAGE_RAMP);
    write_text(route, "a", "2");
    take_steps(route);
    assert_ok(flagver_route_stage(route, &alice, FLAGVER_STAGE_LIVE, &change, &error));
    leave();
}
END_TEST

START_TEST(steps_without_time_for_more_are_taken_one_by_one)
{
    const flagver_route_change change = { .size = sizeof change, .wait_ms = -1 };
    flagver_route_progress progress = { .size = sizeof progress };

    arrange(_i);
    assert_ok(flagver_route_stage(route, &alice, FLAGVER_STAGE_DUALWRITE, &change, &error));
    for (int i = 0; i < 20 && !progress.settled; i++) {
        progress = (flagver_route_progress){ .size = sizeof progress };
        assert_ok(flagver_route_step(route, 0, &progress, &error));
        ck_assert_ptr_nonnull(flagver_stage_name(progress.stage));
    }
    ck_assert(progress.settled);
    ck_assert_int_eq(progress.stage, FLAGVER_STAGE_DUALWRITE);
    leave();
}
END_TEST

static bool remember(void *data, const flagver_difference *difference)
{
    snprintf(data, 256, "%d %s", difference->kind, difference->key);
    return true;
}

START_TEST(what_somebody_has_spoiled_is_found_and_amended)
{
    const flagver_compare_options options = { .size = sizeof options, .repair = 1 };
    uint64_t compared, differences;
    char found[256] = "";

    arrange(_i);
    write_text(route, "a", "1");
    write_text(route, "b", "2");
    advance_to(FLAGVER_STAGE_SHADOW);
    home_spoil(&homes[FLAGVER_SIDE_NEW], "b", "x");
    assert_ok(
        flagver_route_verify(route, &options, remember, found, &compared, &differences, &error));
    ck_assert_uint_eq(compared, 2);
    ck_assert_uint_eq(differences, 1);
    ck_assert_str_eq(found, "3 b");
    assert_on(FLAGVER_SIDE_NEW, "b", "2");
    assert_ok(flagver_route_verify(route, NULL, NULL, NULL, &compared, &differences, &error));
    ck_assert_uint_eq(differences, 0);
    leave();
}
END_TEST

static bool is_verified(void)
{
    bool verified;
    char *status;

    assert_ok(flagver_route_status(route, &status, &error));
    verified = strstr(status, "\"verified\":true") != NULL;
    ck_assert(verified || strstr(status, "\"verified\":false"));
    flagver_string_free(status);
    return verified;
}

START_TEST(sides_that_were_found_to_differ_are_not_verified_any_more)
{
    uint64_t differences;

    arrange(_i);
    write_text(route, "a", "1");
    write_text(route, "b", "2");
    advance_to(FLAGVER_STAGE_RAMP);
    ck_assert(is_verified());
    home_spoil(&homes[FLAGVER_SIDE_NEW], "b", "x");
    ck_assert(is_verified());
    assert_ok(flagver_route_verify(route, NULL, NULL, NULL, NULL, &differences, &error));
    ck_assert_uint_eq(differences, 1);
    ck_assert(!is_verified());
    leave();
}
END_TEST

START_TEST(what_was_compared_before_a_flip_does_not_count_after_it)
{
    arrange(_i);
    write_text(route, "a", "1");
    advance_to(FLAGVER_STAGE_LIVE);
    ck_assert(!is_verified());
    go_to(route, FLAGVER_STAGE_RAMPDOWN);
    assert_fails(FLAGVER_ESTATE,
                 flagver_route_stage(route, &alice, FLAGVER_STAGE_COMPLETE, NULL, &error));
    assert_words("have not been found equal");
    assert_ok(flagver_route_verify(route, NULL, NULL, NULL, NULL, NULL, &error));
    ck_assert(is_verified());
    go_to(route, FLAGVER_STAGE_COMPLETE);
    leave();
}
END_TEST

/* As where the authority changes while a comparison makes the sides equal, or a copy gives a key up. */
START_TEST(a_side_that_has_lost_its_place_owes_nothing)
{
    struct fv_view view;

    arrange(_i);
    advance_to(FLAGVER_STAGE_LIVE);
    write_text(route, "k", "1");
    take_steps(route);
    assert_ok(fv_steering_look(&route->steering, &view, &error));
    assert_fails(FLAGVER_EBUSY,
                 fv_route_owe(route, FV_OLD, view.fences[FV_OLD].epoch, "k", &error));
    write_text(route, "k", "2");
    take_steps(route);
    assert_on(FLAGVER_SIDE_NEW, "k", "2");
    assert_on(FLAGVER_SIDE_OLD, "k", "2");
    leave();
}
END_TEST

/*
 * As of who was held up before the new side was believed, and goes on when both sides are written once
 * more: what the old one has is older, though it counts as written when that began.
 */
static void be_held_up(int arrangement, struct fv_view *ret_view)
{
    arrange(arrangement);
    write_text(route, "k", "1");
    advance_to(FLAGVER_STAGE_DUALWRITE);
    assert_ok(fv_steering_look(&route->steering, ret_view, &error));
    write_text(route, "k", "2");
    for (int stage = FLAGVER_STAGE_BACKFILL; stage <= FLAGVER_STAGE_COMPLETE; stage++)
        force(stage);
    write_text(route, "k", "3");
    force(FLAGVER_STAGE_RAMPDOWN);
}

/* In time both have what the new side got last. */
static void assert_settled(void)
{
    ck_assert(take_steps(route).copied_all);
    assert_on(FLAGVER_SIDE_NEW, "k", "3");
    assert_on(FLAGVER_SIDE_OLD, "k", "3");
}

START_TEST(a_repair_that_was_held_up_does_not_overwrite_the_side_that_is_believed_by_now)
{
    struct fv_view view;
    int r;

    be_held_up(_i, &view);
    r = fv_route_repair(route, FV_OLD, "k", &error);
    assert_on(FLAGVER_SIDE_NEW, "k", "3");
    ck_assert_int_eq(r, 0);
    assert_settled();
    leave();
}
END_TEST

START_TEST(nor_does_a_copy)
{
    struct fv_passage passage;
    struct fv_view view;
    uint64_t copied = 0;

    be_held_up(_i, &view);
    assert_fails(FLAGVER_EBUSY, fv_route_copy(route, &view, true, &copied, &passage, &error));
    assert_on(FLAGVER_SIDE_NEW, "k", "3");
    assert_settled();
    leave();
}
END_TEST

/* It is the authority once more, in another epoch, and lacks by force what only the other side has. */
static void force_there_and_back(void)
{
    for (int stage = FLAGVER_STAGE_BACKFILL; stage <= FLAGVER_STAGE_COMPLETE; stage++)
        force(stage);
    write_text(route, "k", "1");
    for (int stage = FLAGVER_STAGE_RAMPDOWN; stage >= FLAGVER_STAGE_RAMP; stage--)
        force(stage);
}

START_TEST(nor_does_a_sweep_of_an_earlier_epoch_remove_anything)
{
    struct fv_passage passage;
    struct fv_view view;
    uint64_t copied = 0;

    arrange(_i);
    advance_to(FLAGVER_STAGE_DUALWRITE);
    assert_ok(fv_steering_look(&route->steering, &view, &error));
    force_there_and_back();
    assert_fails(FLAGVER_EBUSY, fv_route_copy(route, &view, true, &copied, &passage, &error));
    assert_on(FLAGVER_SIDE_NEW, "k", "1");
    ck_assert_uint_eq(take_steps(route).waiting, 0);
    assert_on(FLAGVER_SIDE_NEW, "k", "1");
    leave();
}
END_TEST

static bool force_meanwhile(void *data, const flagver_difference *difference)
{
    (void)data;
    ck_assert_str_eq(difference->key, "k");
    force_there_and_back();
    return true;
}

START_TEST(nor_does_a_comparison)
{
    const flagver_compare_options options = { .size = sizeof options, .repair = 1 };

    arrange(_i);
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    write_text(route, "k", "0");
    take_steps(route);
    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    assert_ok(flagver_route_remove(route, "k", NULL, NULL, &error));
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    assert_fails(FLAGVER_EBUSY,
                 flagver_route_verify(route, &options, force_meanwhile, NULL, NULL, NULL, &error));
    assert_on(FLAGVER_SIDE_NEW, "k", "1");
    ck_assert_uint_eq(take_steps(route).waiting, 0);
    assert_on(FLAGVER_SIDE_NEW, "k", "1");
    leave();
}
END_TEST

/* Others have repaired the key meanwhile: it waits no more. */
START_TEST(nor_does_a_repair)
{
    int r;

    arrange(_i);
    advance_to(FLAGVER_STAGE_DUALWRITE);
    force_there_and_back();
    r = fv_route_repair(route, FV_OLD, "k", &error);
    assert_on(FLAGVER_SIDE_NEW, "k", "1");
    ck_assert_int_eq(r, 0);
    leave();
}
END_TEST

static int get_key_row(void *data, flagver_txn *txn, flagver_error *err)
{
    return fv_key_row_get(&route->steering, txn, FV_NEW, "k", data, err);
}

/* Between its two transactions a copy may be held up for as long as that takes. */
START_TEST(what_one_side_alone_gets_is_newer_than_what_a_copy_still_brings)
{
    struct fv_keyed_version stored;
    struct fv_version late;
    struct fv_view view;

    arrange(_i);
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    assert_ok(fv_steering_look(&route->steering, &view, &error));
    late = fv_version_since((struct fv_version){ 0, 0 }, &view.fences[FV_OLD]);
    for (int stage = FLAGVER_STAGE_BACKFILL; stage <= FLAGVER_STAGE_COMPLETE; stage++)
        force(stage);
    write_text(route, "k", "1");
    assert_ok(fv_steering_run(&route->steering, FV_NEW, get_key_row, &stored, &error));
    ck_assert(!fv_version_applies(late, stored.key.version));
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migration");
    TCase *tcase = add_store_tcase(suite, "arrangements");
    int count = arrangements_to_test();

    tcase_add_loop_test(tcase, a_migration_goes_through_all_stages_and_loses_nothing, 0, count);
    tcase_add_loop_test(tcase, a_write_that_the_other_side_refuses_is_repaired, 0, count);
    tcase_add_loop_test(tcase, a_write_that_the_authority_refuses_is_nowhere, 0, count);
    tcase_add_loop_test(tcase, what_is_removed_does_not_come_back, 0, count);
    tcase_add_loop_test(tcase, what_was_removed_while_only_one_side_was_written_does_not_come_back,
                        0, count);
    tcase_add_loop_test(tcase, a_side_that_is_believed_before_it_has_everything_takes_nothing_away,
                        0, count);
    tcase_add_loop_test(tcase, nor_does_it_by_a_comparison_that_repairs, 0, count);
    tcase_add_loop_test(tcase, a_comparison_repairs_for_the_side_that_was_believed_when_it_began, 0,
                        count);
    tcase_add_loop_test(tcase, stages_that_were_forced_while_nobody_looked_take_nothing_away, 0,
                        count);
    tcase_add_loop_test(tcase, the_side_that_was_believed_before_is_not_copied_to, 0, count);
    tcase_add_loop_test(
        tcase, a_left_over_key_that_the_believed_side_cannot_read_does_not_stop_a_copy, 0, count);
    tcase_add_loop_test(tcase, a_side_that_breaks_its_transaction_harms_nobody, FIRST_ENLISTED,
                        count);
    tcase_add_loop_test(tcase, a_side_that_fails_in_a_transaction_is_asked_once,
                        FIRST_ENLISTED * FAILURES, count * FAILURES);
    tcase_add_loop_test(tcase, rollback_takes_it_all_back, 0, count);
    tcase_add_loop_test(tcase, who_dies_in_a_flip_after_the_grant_holds_nobody_up, 0, count);
    tcase_add_loop_test(tcase, a_router_that_writes_nothing_does_not_hold_a_flip_up, 0, count);
    tcase_add_loop_test(tcase, steps_without_time_for_more_are_taken_one_by_one, 0, count);
    tcase_add_loop_test(tcase, what_somebody_has_spoiled_is_found_and_amended, 0, count);
    tcase_add_loop_test(tcase, sides_that_were_found_to_differ_are_not_verified_any_more, 0, count);
    tcase_add_loop_test(tcase, what_was_compared_before_a_flip_does_not_count_after_it, 0, count);
    tcase_add_loop_test(tcase, a_side_that_has_lost_its_place_owes_nothing, FIRST_ENLISTED, count);
    tcase_add_loop_test(
        tcase, a_repair_that_was_held_up_does_not_overwrite_the_side_that_is_believed_by_now, 0,
        count);
    tcase_add_loop_test(tcase, nor_does_a_copy, 0, count);
    tcase_add_loop_test(tcase, nor_does_a_sweep_of_an_earlier_epoch_remove_anything, 0, count);
    tcase_add_loop_test(tcase, nor_does_a_comparison, 0, count);
    tcase_add_loop_test(tcase, nor_does_a_repair, 0, count);
    tcase_add_loop_test(tcase, what_one_side_alone_gets_is_newer_than_what_a_copy_still_brings,
                        FIRST_ENLISTED, count);
    return run_store_suite(suite);
}
