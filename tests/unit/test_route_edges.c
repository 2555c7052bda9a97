/*
 * Routes by a migration where two things meet: a fork and a lease, a change of stage and a write that was
 * planned before it, a crash and what was shown, a guard and who is told of it, a side that hangs and
 * everybody else.
 */
#define _DEFAULT_SOURCE /* fork() */
#include <sys/wait.h>
#include <unistd.h>

#include "engine/restage.h"
#include "engine/route.h"
#include "flagver/idmap.h"
#include "sides.h"
#include "spies.h"
#include "stores.h"
#include "waiting.h"

#define OLD FLAGVER_SIDE_OLD
#define NEW FLAGVER_SIDE_NEW

static flagver_client *client;
static flagver_route *route;

static void arrange(const char *json, flagver_route_options options)
{
    spies_reset();
    client = open_store(FAULT_KIND + 1);
    put_migration(client, "users", json);
    route = open_route(client, "users", spy_side(OLD), spy_side(NEW), options);
}

static void leave(void)
{
    close_route(route);
    flagver_close(client);
}

/* The number that a query of this SQLite store gives. */
static int count(const char *sql)
{
    sqlite3_stmt *statement;
    sqlite3 *db;
    int number;

    ck_assert_int_eq(sqlite3_open(file_named("store"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
}

static int count_rows(const char *space)
{
    char sql[128];

    snprintf(sql, sizeof sql, "SELECT count(*) FROM flagver_keyed WHERE space = '%s'", space);
    return count(sql);
}

/* ---- a fork, and a lease ---- */

/* With a store of its own again, and with the route that it has inherited; 0: all is as it should be. */
static int try_inherited(void)
{
    flagver_route_result result = { .size = sizeof result };
    flagver_route_progress progress = { .size = sizeof progress };
    char *status;

    if (flagver_client_reopen(client, &error) != 0)
        return 1;
    if (flagver_route_read(route, "k", NULL, &result, &error) != FLAGVER_EFORKED)
        return 2;
    if (flagver_route_write(route, "k", "v", 1, NULL, NULL, &error) != FLAGVER_EFORKED)
        return 3;
    if (flagver_route_step(route, 0, &progress, &error) != FLAGVER_EFORKED)
        return 4;
    if (flagver_route_stage(route, &alice, FLAGVER_STAGE_OFF, NULL, &error) != FLAGVER_EFORKED)
        return 5;
    if (flagver_route_status(route, &status, &error) != FLAGVER_EFORKED)
        return 6;
    if (flagver_route_verify(route, NULL, NULL, NULL, NULL, NULL, &error) != FLAGVER_EFORKED)
        return 7;
    if (flagver_route_close(route, 0, &error) != 0)
        return 8;
    route = open_route(client, "users", spy_side(OLD), spy_side(NEW), (flagver_route_options){ 0 });
    return flagver_route_write(route, "k", "v", 1, NULL, NULL, &error) == 0 ? 0 : 9;
}

/* Others rely on that lease: while it stands they wait for what the parent has not seen. */
START_TEST(a_child_leaves_the_lease_to_its_parent_and_opens_a_route_of_its_own)
{
    pid_t child;
    int status;

    arrange("{'stage': 'dualwrite'}", (flagver_route_options){ .background = _i });
    write_text(route, "k", "v");
    ck_assert_int_eq(count_rows("route.lease"), 1);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(30);
        _exit(try_inherited());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(count_rows("route.lease"), 2);
    write_text(route, "k", "v");
    leave();
}
END_TEST

/* ---- a change of stage, and a write that was planned before it ---- */

/* Nothing would say that the other side has missed the record: its key is known too late. */
START_TEST(no_record_without_a_key_is_made_once_both_sides_are_written)
{
    flagver_route *other;

    arrange("{'stage': 'off'}", (flagver_route_options){ 0 });
    assert_ok(flagver_route_write(route, NULL, "v", 1, NULL, NULL, &error));
    other = open_route(client, "users", spy_side(OLD), spy_side(NEW), (flagver_route_options){ 0 });
    go_to(other, FLAGVER_STAGE_DUALWRITE);
    client->stored->poll_ms = INT32_MAX; /* the route has not looked since */
    route->ledger.lease.until = 0;       /* and renews its lease now */
    spied_count = 0;
    assert_fails(FLAGVER_EINVAL, flagver_route_write(route, NULL, "v", 1, NULL, NULL, &error));
    assert_words("options.old_side.find_by_operation");
    ck_assert_str_eq(who_was_asked(), "");
    write_text(route, "k", "v");
    ck_assert_str_eq(who_was_asked(), "old new");
    close_route(other);
    leave();
}
END_TEST

/* ---- a crash, and what was shown ---- */

/* As a process leaves it that dies behind the first fences. */
static void forget_evidence(void)
{
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(file_named("store"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM flagver_keyed WHERE space = 'route.evidence'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

START_TEST(a_comparison_before_the_first_arrival_was_noted_spoils_nothing)
{
    static struct table tables[2];
    const flagver_compare_options options = { .size = sizeof options };
    flagver_route_progress progress;

    for (int side = OLD; side <= NEW; side++)
        table_init(&tables[side]);
    client = open_store(FAULT_KIND + 1);
    put_migration(client, "users", "{'stage': 'dualwrite'}");
    route = open_route(client, "users", table_side(&tables[OLD]), table_side(&tables[NEW]),
                       (flagver_route_options){ 0 });
    forget_evidence();
    assert_ok(flagver_route_verify(route, &options, NULL, NULL, NULL, NULL, &error));
    progress = take_steps(route);
    ck_assert(progress.settled);
    ck_assert_int_eq(count_rows("route.evidence"), 1);
    leave();
}
END_TEST

/* ---- a guard, and who is told of it ---- */

static int alerts;
static bool acted;

/* Who is told looks at how the migration stands. */
static void look_at_status(void *data, const flagver_route_alert *alert)
{
    char *status = NULL;

    (void)data;
    ck_assert_str_eq(alert->guard, "error_rate");
    acted = alert->acted;
    alerts++;
    ck_assert_int_eq(flagver_route_status(route, &status, &error), 0);
    flagver_string_free(status);
}

static const struct {
    int from;
    bool acts;
    int to;
} guarded[] = {
    { FLAGVER_STAGE_SHADOW, true, FLAGVER_STAGE_BACKFILL },
    { FLAGVER_STAGE_RAMPDOWN, false, FLAGVER_STAGE_RAMPDOWN },
};

START_TEST(an_alert_may_ask_and_comes_once_where_nobody_acts)
{
    flagver_route_change change = { .size = sizeof change, .forced = "a test", .wait_ms = 10000 };
    flagver_route_result result = { .size = sizeof result };

    alerts = 0;
    arrange("{'stage': 'off', 'guards': {'error_rate': 5, 'samples': 3}}",
            (flagver_route_options){ .order = FLAGVER_ORDER_SERIAL, .alert = look_at_status });
    for (int next = FLAGVER_STAGE_DUALWRITE; next <= guarded[_i].from; next++)
        assert_ok(flagver_route_stage(route, &alice, next, &change, &error));
    take_steps(route);
    spies[NEW].returns = FLAGVER_EIO;
    for (int steps = 0; steps < 3; steps++) {
        for (int k = 0; k < 5; k++) {
            flagver_route_read(route, "k", NULL, &result, &error);
            flagver_route_result_clear(&result);
        }
        take_steps(route);
    }
    ck_assert_int_eq(alerts, 1);
    ck_assert_int_eq(acted, guarded[_i].acts);
    ck_assert_int_eq(take_steps(route).stage, guarded[_i].to);
    leave();
}
END_TEST

/* What a guard has seen in ramp must not take the authority from who has got it meanwhile. */
START_TEST(reads_are_taken_back_from_the_version_that_was_looked_at_and_no_other)
{
    const flagver_route_change change = { .size = sizeof change };
    struct fv_restage restage = { "users", FLAGVER_STAGE_OFF, &change, true, 1 };
    uint32_t no;

    arrange("{'stage': 'off'}", (flagver_route_options){ 0 });
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    assert_fails(FLAGVER_ESTALE, fv_restage(client, &restage, &alice, &no, &error));
    ck_assert_int_eq(take_steps(route).stage, FLAGVER_STAGE_DUALWRITE);
    restage.from = 2;
    assert_ok(fv_restage(client, &restage, &alice, &no, &error));
    ck_assert_int_eq(take_steps(route).stage, FLAGVER_STAGE_OFF);
    leave();
}
END_TEST

/* Of a result only `size` has to be set before, whatever comes of the call. */
START_TEST(a_refused_call_leaves_a_result_that_can_be_cleared)
{
    flagver_route_result result;

    arrange("{'stage': 'off'}", (flagver_route_options){ 0 });
    memset(&result, 0x5a, sizeof result);
    result.size = sizeof result;
    assert_fails(FLAGVER_EINVAL, flagver_route_read(route, "", NULL, &result, &error));
    ck_assert_ptr_null(result.value);
    ck_assert_ptr_null(result.key);
    flagver_route_result_clear(&result);
    leave();
}
END_TEST

/* ---- the longest names ---- */

START_TEST(the_longest_name_and_the_longest_key_have_rows)
{
    char name[FLAGVER_MIGRATION_LIMIT + 1], key[FLAGVER_ROUTE_KEY_LIMIT + 1];
    static struct lite lites[2];

    memset(name, 'n', sizeof name - 1);
    memset(key, 'k', sizeof key - 1);
    name[sizeof name - 1] = key[sizeof key - 1] = '\0';
    client = open_store(FAULT_KIND + 1);
    put_migration(client, name, "{'stage': 'dualwrite'}");
    for (int side = OLD; side <= NEW; side++) {
        lites[side] = (struct lite){ .client = client,
                                     .path = file_named("store"),
                                     .name = side ? "to_table" : "of_table" };
        lite_make(&lites[side]);
    }
    route = open_route(client, name, lite_side(&lites[OLD]), lite_side(&lites[NEW]),
                       (flagver_route_options){ 0 });
    write_text(route, key, "v");
    ck_assert_str_eq(read_text(route, key), "v");
    ck_assert_int_eq(count_rows("route.key"), 2);
    ck_assert_int_eq(count("SELECT max(length(key)) FROM flagver_keyed"), FV_ROUTE_ROW_KEY);
    leave();
}
END_TEST

/* ---- the end, and a side that hangs ---- */

static atomic_bool hangs, is_in;

static void let_hang(void)
{
    atomic_store(&is_in, false);
    atomic_store(&hangs, true);
}

static int scan_and_hang(void *data, const flagver_side_call *call, const char *after,
                         uint32_t limit, flagver_sink *sink, flagver_error *err)
{
    (void)data;
    (void)call;
    (void)after;
    (void)limit;
    (void)err;
    atomic_store(&is_in, true);
    while (atomic_load(&hangs))
        usleep(1000);
    flagver_sink_end(sink);
    return 0;
}

START_TEST(closing_does_not_wait_for_ever_for_a_step)
{
    flagver_side sides[2] = { spy_side(OLD), spy_side(NEW) };

    spies_reset();
    let_hang();
    client = open_store(FAULT_KIND + 1);
    put_migration(client, "users", "{'stage': 'dualwrite'}");
    sides[OLD].scan = scan_and_hang;
    route = open_route(client, "users", sides[OLD], sides[NEW],
                       (flagver_route_options){ .background = 1 });
    while (!atomic_load(&is_in))
        usleep(1000);
    assert_fails(FLAGVER_EBUSY, flagver_route_close(route, 10, &error));
    assert_fails(FLAGVER_ESTATE, flagver_route_write(route, "k", "v", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EBUSY, flagver_route_close(route, 0, &error));
    atomic_store(&hangs, false);
    leave();
}
END_TEST

static int read_and_hang(void *data, const flagver_side_call *call, flagver_sink *sink,
                         flagver_error *err)
{
    (void)data;
    (void)err;
    if (!atomic_load(&hangs) || strcmp(call->key, "k") != 0)
        return flagver_sink_value(sink, "v", 1);
    ck_assert_int_gt(call->deadline, 0);
    atomic_store(&is_in, true);
    while (atomic_load(&hangs))
        usleep(1000);
    return FLAGVER_ETIMEDOUT;
}

START_TEST(a_repair_that_hangs_stops_nobody_else)
{
    const flagver_route_change change = { .size = sizeof change, .wait_ms = 1 };
    flagver_side sides[2] = { spy_side(OLD), spy_side(NEW) };
    char *status;

    spies_reset();
    let_hang();
    client = open_store(FAULT_KIND + 1);
    put_migration(client, "users", "{'stage': 'dualwrite'}");
    sides[OLD].read = read_and_hang;
    route = open_route(client, "users", sides[OLD], sides[NEW],
                       (flagver_route_options){ .background = 1 });
    spies[NEW].returns = FLAGVER_EUNAVAILABLE;
    write_text(route, "k", "v");
    spies[NEW].returns = 0;
    while (!atomic_load(&is_in))
        usleep(1000);
    write_text(route, "k", "w");
    write_text(route, "other", "v");
    ck_assert_str_eq(read_text(route, "other"), "v");
    assert_ok(flagver_route_status(route, &status, &error));
    ck_assert_ptr_nonnull(strstr(status, "\"waiting\":"));
    flagver_string_free(status);
    assert_fails(FLAGVER_EBUSY,
                 flagver_route_stage(route, &alice, FLAGVER_STAGE_BACKFILL, &change, &error));
    assert_fails(FLAGVER_EBUSY, flagver_route_close(route, 1, &error));
    atomic_store(&hangs, false);
    leave();
}
END_TEST

/* ---- a transaction of the application's, and operations at the same key ---- */

#define CROWD FV_ENTRY_OPERATIONS

static void crowd(struct fv_act acts[CROWD], bool enters)
{
    for (int i = 0; i < CROWD; i++) {
        if (enters) {
            acts[i] = (struct fv_act){ .kind = FV_ACT_ENTER, .side = FV_OLD, .key = "k" };
            assert_ok(fv_ledger_operation(&route->ledger, &acts[i].operation, &error));
        }
        acts[i].kind = enters ? FV_ACT_ENTER : FV_ACT_LEAVE;
        acts[i].ok = true;
    }
    assert_ok(fv_ledger_post_all(&route->ledger, acts, CROWD, &error));
}

/* The rows are written by then: a refusal would have to be rolled back by whoever has begun it. */
START_TEST(a_write_in_a_transaction_finds_room_beside_any_number_of_operations)
{
    static struct fv_act acts[CROWD];
    struct lite lite = { .path = file_named("store"), .name = "of_table" };
    flagver_route_result result = { .size = sizeof result };
    flagver_side side;
    flagver_txn *txn;

    spies_reset();
    client = open_store(FAULT_KIND + 1);
    put_migration(client, "users", "{'stage': 'dualwrite'}");
    lite.client = client;
    lite_make(&lite);
    side = lite_side(&lite);
    side.scan = NULL; /* nothing is copied */
    route = open_route(client, "users", side, spy_side(NEW), (flagver_route_options){ 0 });
    crowd(acts, true);
    txn = begin(client);
    assert_ok(flagver_route_write_in(route, txn, "k", "v", 1, NULL, &result, &error));
    ck_assert(result.pending);
    flagver_route_result_clear(&result);
    commit(txn);
    ck_assert_str_eq(who_was_asked(), "");
    ck_assert_uint_eq(take_steps(route).waiting, 1);
    crowd(acts, false);
    ck_assert_uint_eq(take_steps(route).repaired, 1);
    ck_assert_str_eq(who_was_asked(), "new");
    ck_assert_uint_eq(take_steps(route).waiting, 0);
    leave();
}
END_TEST

/* Whoever runs it again looks at the same authority until the interval is over, unless the refusal is news. */
START_TEST(a_transaction_that_met_a_flip_is_well_when_it_is_started_over)
{
    struct lite lites[2] = { { .path = file_named("store"), .name = "of_old" },
                             { .path = file_named("store"), .name = "of_new" } };
    const flagver_route_change change = { .size = sizeof change, .forced = "a test" };
    flagver_client *elsewhere;
    flagver_route *steered;
    flagver_txn *txn;

    client = open_store(FAULT_KIND + 1);
    elsewhere = open_store(FAULT_KIND + 1);
    put_migration(client, "users", "{'stage': 'off', 'stages': 2}");
    for (int i = 0; i < 2; i++) {
        lites[i].client = client;
        lite_make(&lites[i]);
    }
    route = open_route(client, "users", lite_side(&lites[OLD]), lite_side(&lites[NEW]),
                       (flagver_route_options){ 0 });
    steered = open_route(elsewhere, "users", lite_side(&lites[OLD]), lite_side(&lites[NEW]),
                         (flagver_route_options){ 0 });
    assert_ok(flagver_route_stage(steered, &alice, FLAGVER_STAGE_OFF, NULL, &error));
    assert_ok(flagver_route_write(route, "k", "v", 1, NULL, NULL, &error));
    client->stored->poll_ms = INT32_MAX; /* the interval does not end */
    assert_ok(flagver_route_stage(steered, &alice, FLAGVER_STAGE_COMPLETE, &change, &error));

    txn = begin(client);
    assert_fails(FLAGVER_EBUSY,
                 flagver_route_write_in(route, txn, "k", "w", 1, NULL, NULL, &error));
    flagver_txn_free(txn);
    txn = begin(client);
    assert_ok(flagver_route_write_in(route, txn, "k", "w", 1, NULL, NULL, &error));
    commit(txn);
    ck_assert_str_eq(read_text(route, "k"), "w");
    close_route(steered);
    flagver_close(elsewhere);
    leave();
}
END_TEST

static int stage_by(int stage, const char *forced, int wait_ms)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .forced = forced,
                                          .wait_ms = wait_ms };

    return flagver_route_stage(route, &alice, stage, &change, &error);
}

/* ---- a transaction of the application's that is run again under its key ---- */

static int made, made_returns, made_length;

/* Keys from a counter, each with a mapping: what comes of a call is never what came of the one before. */
static int make_record(void *data, const flagver_side_call *call, const void *value, size_t length,
                       flagver_sink *sink, flagver_error *err)
{
    flagver_side_call with_key = *call;
    char key[256], id[32];
    int r;

    snprintf(key, sizeof key, "made-%d", ++made);
    if (made_length > 0)
        snprintf(key, sizeof key, "%0*d", made_length, made);
    snprintf(id, sizeof id, "id-%d", made);
    if (made_returns < 0)
        return made_returns;
    with_key.key = key;
    r = lite_write(data, &with_key, value, length, sink, err);
    if (r == 0)
        r = flagver_idmap_put(call->txn, "user", key, id, err);
    return r < 0 ? r : flagver_sink_key(sink, key);
}

static void arrange_making(struct lite *lite)
{
    flagver_side side;

    spies_reset();
    made = made_returns = made_length = 0;
    client = open_store(FAULT_KIND + 1);
    put_migration(client, "users", "{'stage': 'dualwrite'}");
    *lite = (struct lite){ .client = client, .path = file_named("store"), .name = "of_table" };
    lite_make(lite);
    side = lite_side(lite);
    side.write = make_record;
    side.scan = NULL; /* nothing is copied */
    route = open_route(client, "users", side, spy_side(NEW), (flagver_route_options){ 0 });
}

/* What it creates, with a flag of the same name. */
static int create_once(const char *value, char key[32])
{
    flagver_route_result result = { .size = sizeof result };
    flagver_txn *txn = begin_with_key(client, "once");
    int r;

    r = flagver_route_write_in(route, txn, NULL, value, strlen(value), NULL, &result, &error);
    snprintf(key, 32, "%s", r == 0 ? result.key : "");
    flagver_route_result_clear(&result);
    put_flag_in(txn, r == 0 ? key : "none", SIMPLE);
    commit(txn);
    return r;
}

START_TEST(what_a_transaction_has_created_is_created_once_under_its_key)
{
    struct lite lite;
    char key[32];

    arrange_making(&lite);
    for (int i = 0; i < 3; i++) {
        assert_ok(create_once("v", key));
        ck_assert_str_eq(key, "made-1");
    }
    ck_assert_int_eq(made, 1);
    ck_assert_int_eq(count("SELECT count(*) FROM of_table"), 1);
    take_steps(route);
    ck_assert_str_eq(read_text(route, "made-1"), "v");
    leave();
}
END_TEST

/* Among other operations, whatever their keys are; a creation that was refused is one of them. */
START_TEST(so_are_many)
{
    static const int lengths[] = { 1, 35, 36, 37, 72, 255 };
    struct lite lite;

    arrange_making(&lite);
    for (int time = 0; time < 3; time++) {
        flagver_txn *txn = begin_with_key(client, "once");

        for (int i = 0; i < 6; i++) {
            flagver_route_result result = { .size = sizeof result };
            char expected[256], flag[16];

            made_length = lengths[i];
            made_returns = i == 3 ? FLAGVER_EEXIST : 0;
            snprintf(expected, sizeof expected, "%0*d", lengths[i], i + 1);
            snprintf(flag, sizeof flag, "flag-%d", i);
            ck_assert_int_eq(
                flagver_route_write_in(route, txn, NULL, "v", 1, NULL, &result, &error),
                made_returns);
            if (i != 3)
                ck_assert_str_eq(result.key, expected);
            flagver_route_result_clear(&result);
            put_flag_in(txn, flag, SIMPLE);
        }
        commit(txn);
    }
    ck_assert_int_eq(made, 6);
    ck_assert_int_eq(count("SELECT count(*) FROM of_table"), 5);
    leave();
}
END_TEST

static void spoil(const char *sql)
{
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(file_named("store"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

static const char *const spoilt[] = {
    "x'00000000'", /* no key at all */
    "x'00000001'", /* another one */
    "x'00000024'", /* one with zeros in it */
    "x'00000048'", /* one that takes in what was recorded behind it */
    "x'000000ff'", /* one that goes on behind the row, as the next */
    "x'7fffffff'",
};

START_TEST(rows_of_requests_that_are_spoilt_are_no_keys)
{
    struct lite lite;
    char key[32], sql[256];
    flagver_txn *txn;

    arrange_making(&lite);
    assert_ok(create_once("v", key));
    snprintf(sql, sizeof sql,
             "UPDATE flagver_keyed SET value = "
             "CAST(substr(value, 1, 33) || %s || substr(value, 38) AS BLOB) "
             "WHERE space = 'request' AND key = 'c:once'",
             spoilt[_i]);
    spoil(sql);
    txn = begin_with_key(client, "once");
    assert_fails(FLAGVER_ECORRUPT,
                 flagver_route_write_in(route, txn, NULL, "v", 1, NULL, NULL, &error));
    flagver_txn_free(txn);
    ck_assert_int_eq(made, 1);
    leave();
}
END_TEST

/* In whose store the transaction is not. */
START_TEST(also_where_another_side_is_believed_by_then)
{
    struct lite lite;
    char key[32];

    arrange_making(&lite);
    assert_ok(create_once("v", key));
    take_steps(route);
    for (int stage = FLAGVER_STAGE_BACKFILL; stage <= FLAGVER_STAGE_LIVE; stage++)
        ck_assert_int_eq(stage_by(stage, "we have no time", 0), 0);
    assert_ok(create_once("v", key));
    ck_assert_str_eq(key, "made-1");
    ck_assert_int_eq(made, 1);
    leave();
}
END_TEST

START_TEST(what_was_refused_under_a_key_is_not_asked_for_again)
{
    struct lite lite;
    char key[32];

    arrange_making(&lite);
    made_returns = FLAGVER_EEXIST;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(create_once("v", key), FLAGVER_EEXIST);
    ck_assert_int_eq(made, 1);
    leave();
}
END_TEST

START_TEST(what_is_asked_under_a_key_must_be_the_same)
{
    flagver_txn *txn;
    struct lite lite;
    char key[32];

    arrange_making(&lite);
    assert_ok(create_once("v", key));
    txn = begin_with_key(client, "once");
    assert_fails(FLAGVER_EIDEM,
                 flagver_route_write_in(route, txn, NULL, "w", 1, NULL, NULL, &error));
    flagver_txn_free(txn);
    ck_assert_int_eq(made, 1);
    leave();
}
END_TEST

/* ---- a commit that is still under way while the next try is ---- */

/* What a store shows that carries it out a little later: the row that tells of it is not there yet. */
static void hide_requests(const char *from, const char *to)
{
    char sql[160];
    sqlite3 *db;
    int changes = 0;

    ck_assert_int_eq(sqlite3_open(file_named("store"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 20000);
    snprintf(sql, sizeof sql,
             "UPDATE flagver_keyed SET key = '%s' || substr(key, 3) "
             "WHERE space = 'request' AND key GLOB '%s*'",
             to, from);
    while (changes == 0) {
        ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        changes = sqlite3_changes(db);
    }
    sqlite3_close(db);
}

static atomic_int calls;

static void *delay_commit(void *data)
{
    (void)data;
    hide_requests("o:", "x:");
    while (atomic_load(&calls) < 2)
        usleep(1000);
    hide_requests("x:", "o:");
    return NULL;
}

static int make_once(void *data, const flagver_side_call *call, const void *value, size_t length,
                     flagver_sink *sink, flagver_error *err)
{
    return atomic_fetch_add(&calls, 1) == 0 ? make_record(data, call, value, length, sink, err)
                                            : FLAGVER_EBUSY;
}

START_TEST(a_try_that_failed_is_not_taken_for_the_one_that_took_place)
{
    flagver_route_result result = { .size = sizeof result };
    flagver_side side;
    struct lite lite;
    pthread_t thread;
    int r;

    spies_reset();
    made = made_returns = made_length = 0;
    client = open_store(FAULT_KIND);
    put_migration(client, "users", "{'stage': 'off'}");
    lite = (struct lite){ .client = client, .path = file_named("store"), .name = "of_table" };
    lite_make(&lite);
    side = lite_side(&lite);
    side.write = make_once;
    route = open_route(client, "users", side, spy_side(NEW), (flagver_route_options){ 0 });
    flagver_fault_lie(fault, 1, FLAGVER_FAULT_DONE);
    flagver_fault_fail(fault, FLAGVER_FAULT_OUTCOME, 1, FLAGVER_EUNAVAILABLE, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, delay_commit, NULL), 0);
    r = flagver_route_write(route, NULL, "v", 1, NULL, &result, &error);
    pthread_join(thread, NULL);
    flagver_fault_reset(fault);
    ck_assert_ptr_null(result.key);
    ck_assert_int_eq(r, FLAGVER_EUNKNOWN);
    flagver_route_result_clear(&result);
    leave();
}
END_TEST

/* ---- flips that do not come to their end ---- */

/* The new side fails, so that a key waits, and with it the flip to the new side; asked for twice. */
static void begin_what_does_not_end(void)
{
    arrange("{'stage': 'off', 'gates': {'samples': 0, 'match_rate': 0}}",
            (flagver_route_options){ 0 });
    for (int stage = FLAGVER_STAGE_DUALWRITE; stage <= FLAGVER_STAGE_RAMP; stage++)
        assert_ok(stage_by(stage, "a test", 0));
    spies[NEW].returns = FLAGVER_EIO;
    assert_ok(flagver_route_write(route, "k", "v", 1, NULL, NULL, &error));
    for (int i = 0; i < 2; i++)
        assert_fails(FLAGVER_EBUSY, stage_by(FLAGVER_STAGE_LIVE, i ? NULL : "a test", 1));
}

START_TEST(a_flip_that_does_not_end_is_called_off)
{
    begin_what_does_not_end();
    assert_ok(stage_by(FLAGVER_STAGE_RAMP, NULL, 0));
    assert_ok(flagver_route_write(route, "k", "w", 1, NULL, NULL, &error));
    leave();
}
END_TEST

START_TEST(a_rollback_calls_off_a_flip_that_does_not_end)
{
    begin_what_does_not_end();
    assert_ok(flagver_route_rollback(route, &alice, NULL, &error));
    leave();
}
END_TEST

/* What the old side has missed nobody has seen yet; the new one may be believed, though it is not said so. */
START_TEST(no_flip_is_called_off_behind_which_the_old_side_was_not_written)
{
    begin_what_does_not_end();
    for (int stage = FLAGVER_STAGE_RAMPDOWN; stage <= FLAGVER_STAGE_COMPLETE; stage++)
        assert_ok(stage_by(stage, "a test", -1));
    assert_ok(stage_by(FLAGVER_STAGE_RAMPDOWN, NULL, -1));
    assert_fails(FLAGVER_ESTATE, stage_by(FLAGVER_STAGE_RAMP, NULL, -1));
    ck_assert_ptr_nonnull(strstr(error.message, "not carried out yet"));
    leave();
}
END_TEST

/* ---- a thread whose steps fail ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char logged[FLAGVER_MESSAGE_SIZE];
static int times_logged;

static void note_line(void *data, int level, const char *message)
{
    (void)data;
    ck_assert_int_eq(level, FLAGVER_LOG_WARNING);
    pthread_mutex_lock(&log_lock);
    snprintf(logged, sizeof logged, "%s", message);
    times_logged++;
    pthread_mutex_unlock(&log_lock);
}

static int count_logged(void)
{
    int times;

    pthread_mutex_lock(&log_lock);
    times = times_logged;
    pthread_mutex_unlock(&log_lock);
    return times;
}

/* Of a client whose lines are counted; tests may share their process. */
static void open_counted(const char *json)
{
    flagver_options options = quiet_options();

    spies_reset();
    times_logged = 0;
    options.log = note_line;
    client = open_with(FAULT_KIND + 1, &options);
    put_migration(client, "users", json);
}

static atomic_int scans;

static int scan_nothing(void *data, const flagver_side_call *call, const char *after,
                        uint32_t limit, flagver_sink *sink, flagver_error *err)
{
    (void)data;
    (void)call;
    (void)after;
    (void)limit;
    (void)sink;
    (void)err;
    atomic_fetch_add(&scans, 1);
    return 0;
}

START_TEST(why_steps_in_the_background_fail_is_told_to_the_log_and_not_each_time)
{
    flagver_side old = spy_side(OLD);

    open_counted("{'stage': 'dualwrite'}");
    old.scan = scan_nothing;
    route = open_route(client, "users", old, spy_side(NEW),
                       (flagver_route_options){ .background = 1 });
    wait_until(count_logged() > 0 && atomic_load(&scans) > 2);
    leave();
    ck_assert_int_eq(count_logged(), 1);
    ck_assert_str_eq(logged,
                     "users: a step has failed: old: scan gave no record, and did not say that "
                     "there are no more");
}
END_TEST

static int count_asked(int side)
{
    int times;

    pthread_mutex_lock(&spies_lock);
    times = times_asked(side);
    pthread_mutex_unlock(&spies_lock);
    return times;
}

START_TEST(so_is_why_a_key_is_not_repaired)
{
    open_counted("{'stage': 'dualwrite'}");
    spies[NEW] = (struct spy){ .returns = FLAGVER_EIO, .words = "burnt\ndown\n" };
    route = open_route(client, "users", spy_side(OLD), spy_side(NEW),
                       (flagver_route_options){ .background = 1 });
    write_text(route, "k", "v");
    wait_until(count_logged() > 0 && count_asked(NEW) > 3);
    leave();
    ck_assert_int_eq(count_logged(), 1);
    ck_assert_str_eq(logged, "users: \"k\" is not repaired: burnt down");
}
END_TEST

/* The thread may be about to begin a step just then. */
START_TEST(that_a_route_is_closed_is_no_step_that_has_failed)
{
    open_counted("{'stage': 'off'}");
    for (int i = 0; i < 500; i++) {
        route = open_route(client, "users", spy_side(OLD), spy_side(NEW),
                           (flagver_route_options){ .background = 1 });
        close_route(route);
    }
    flagver_close(client);
    ck_assert_msg(count_logged() == 0, "%s", logged);
}
END_TEST

/* ---- words ---- */

static int say_and_write(void *data, const flagver_side_call *call, const void *value,
                         size_t length, flagver_sink *sink, flagver_error *err)
{
    (void)data;
    (void)call;
    (void)value;
    (void)length;
    (void)sink;
    *err = (flagver_error){ .code = FLAGVER_EIO, .line = 7, .message = "not as it seems" };
    return 0;
}

START_TEST(where_nothing_is_wrong_there_are_no_words)
{
    flagver_side sides[2] = { spy_side(OLD), spy_side(NEW) };
    flagver_route_result result = { .size = sizeof result };

    spies_reset();
    client = open_store(FAULT_KIND + 1);
    put_migration(client, "users", "{'stage': 'dualwrite'}");
    sides[OLD].write = say_and_write;
    route = open_route(client, "users", sides[OLD], sides[NEW], (flagver_route_options){ 0 });
    for (int fails = 1; fails >= 0; fails--) {
        spies[NEW] = (struct spy){ .returns = fails ? FLAGVER_EIO : 0, .words = "burnt down" };
        assert_ok(flagver_route_write(route, "k", "v", 1, NULL, &result, &error));
        ck_assert_int_eq(result.sides[NEW].code, fails ? FLAGVER_EIO : 0);
        ck_assert_str_eq(result.errors[NEW].message, fails ? "burnt down" : "");
        ck_assert_int_eq(result.errors[OLD].code, 0);
        ck_assert_int_eq(result.errors[OLD].line, 0);
        ck_assert_str_eq(result.errors[OLD].message, "");
        flagver_route_result_clear(&result);
        ck_assert_str_eq(result.errors[NEW].message, "");
    }
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("edges of routes");
    TCase *tests = add_store_tcase(suite, "edges"), *forks = add_store_tcase(suite, "fork");

    tcase_set_tags(forks, "fork"); /* valgrind leaves it out: what a child leaves is its parent's */
    tcase_add_loop_test(forks, a_child_leaves_the_lease_to_its_parent_and_opens_a_route_of_its_own,
                        0, 2);
    tcase_add_test(tests, no_record_without_a_key_is_made_once_both_sides_are_written);
    tcase_add_test(tests, a_comparison_before_the_first_arrival_was_noted_spoils_nothing);
    tcase_add_loop_test(tests, an_alert_may_ask_and_comes_once_where_nobody_acts, 0,
                        COUNT(guarded));
    tcase_add_test(tests, the_longest_name_and_the_longest_key_have_rows);
    tcase_add_test(tests, closing_does_not_wait_for_ever_for_a_step);
    tcase_add_test(tests, a_repair_that_hangs_stops_nobody_else);
    tcase_add_test(tests, a_write_in_a_transaction_finds_room_beside_any_number_of_operations);
    tcase_add_test(tests, a_transaction_that_met_a_flip_is_well_when_it_is_started_over);
    tcase_add_test(tests, what_a_transaction_has_created_is_created_once_under_its_key);
    tcase_add_test(tests, so_are_many);
    tcase_add_test(tests, a_try_that_failed_is_not_taken_for_the_one_that_took_place);
    tcase_add_loop_test(tests, rows_of_requests_that_are_spoilt_are_no_keys, 0, 6);
    tcase_add_test(tests, also_where_another_side_is_believed_by_then);
    tcase_add_test(tests, what_was_refused_under_a_key_is_not_asked_for_again);
    tcase_add_test(tests, what_is_asked_under_a_key_must_be_the_same);
    tcase_add_test(tests, a_flip_that_does_not_end_is_called_off);
    tcase_add_test(tests, a_rollback_calls_off_a_flip_that_does_not_end);
    tcase_add_test(tests, no_flip_is_called_off_behind_which_the_old_side_was_not_written);
    tcase_add_test(tests, why_steps_in_the_background_fail_is_told_to_the_log_and_not_each_time);
    tcase_add_test(tests, so_is_why_a_key_is_not_repaired);
    tcase_add_test(tests, that_a_route_is_closed_is_no_step_that_has_failed);
    tcase_add_test(tests, where_nothing_is_wrong_there_are_no_words);
    tcase_add_test(tests, reads_are_taken_back_from_the_version_that_was_looked_at_and_no_other);
    tcase_add_test(tests, a_refused_call_leaves_a_result_that_can_be_cleared);
    return run_store_suite(suite);
}
