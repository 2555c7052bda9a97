/*
 * The store fails at its n-th call, for every n, in everything that a route by a migration does: once and from
 * then on, and commits lie. Whatever happens, what was acknowledged is there, what was refused is on both sides
 * or on none, and once the store is well again the sides become equal by themselves.
 */
#define _DEFAULT_SOURCE /* usleep() */
#include <unistd.h>

#include "engine/route.h"
#include "entries.h"
#include "sides.h"
#include "stores.h"

#define OLD FLAGVER_SIDE_OLD
#define NEW FLAGVER_SIDE_NEW

static const struct arrangement {
    const char *label;
    int homes[2]; /* number of the store; -1: detached */
} arrangements[] = {
    { "detached", { -1, -1 } },   { "old enlisted", { 0, -1 } }, { "new enlisted", { -1, 1 } },
    { "in one store", { 0, 0 } }, { "in two stores", { 0, 1 } },
};
#define FIRST_ENLISTED 1
#define ARRANGEMENTS (int)(sizeof arrangements / sizeof *arrangements)

static const int codes[] = { FLAGVER_EBUSY, FLAGVER_EUNAVAILABLE, FLAGVER_EIO };
#define CODES (sizeof codes / sizeof *codes)

/* The migration is in the first store. */
static const struct arrangement *arrangement;
static flagver_client *clients[2];
static char paths[2][128];
static struct lite lites[2];
static struct table tables[2];
static flagver_route *route;
static flagver_route_result result;
static flagver_error problem;
static char when[160]; /* what fails, for the words of an assertion */

/* ---- sides ---- */

static bool is_enlisted(int side)
{
    return arrangement->homes[side] >= 0;
}

/* As a table with a counter does it: what was rolled back has no number. */
static int number_in_table(const struct lite *lite, const flagver_side_call *call, char key[32],
                           flagver_error *err)
{
    sqlite3_stmt *statement;
    sqlite3 *db = NULL;
    int r = lite_connect(lite, call, &db, err);

    if (r < 0)
        return r;
    statement = lite_prepare(lite, db,
                             "SELECT count(*) FROM %s WHERE key LIKE 'made-%%' AND ?1 = ''", "");
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    snprintf(key, 32, "made-%d", sqlite3_column_int(statement, 0) + 1);
    return lite_done(call, db, statement, 0);
}

static bool ramps_flag; /* once, in the transaction of what is written */

static int ramp_flag(const flagver_side_call *call, flagver_error *err)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":5}";

    ramps_flag = false;
    return flagver_flag_put(call->txn, "ramped", json, sizeof json - 1, NULL, NULL, err);
}

static int write_enlisted(void *data, const flagver_side_call *call, const void *value,
                          size_t length, flagver_sink *sink, flagver_error *err)
{
    flagver_side_call with_key = *call;
    char key[32];
    int r;

    r = ramps_flag ? ramp_flag(call, err) : 0;
    if (r < 0)
        return r;
    if (call->key)
        return lite_write(data, call, value, length, sink, err);
    with_key.key = key;
    r = number_in_table(data, call, key, err);
    if (r == 0)
        r = lite_write(data, &with_key, value, length, sink, err);
    return r < 0 ? r : flagver_sink_key(sink, key);
}

static int write_detached(void *data, const flagver_side_call *call, const void *value,
                          size_t length, flagver_sink *sink, flagver_error *err)
{
    flagver_side_call with_key = *call;
    char key[256];
    int r;

    if (call->key)
        return table_write(data, call, value, length, sink, err);
    with_key.key = key;
    snprintf(key, sizeof key, "made-%s", call->operation_id);
    r = table_write(data, &with_key, value, length, sink, err);
    return r < 0 ? r : flagver_sink_key(sink, key);
}

static int find_detached(void *data, const flagver_side_call *call, flagver_sink *sink,
                         flagver_error *err)
{
    char key[256];

    (void)err;
    snprintf(key, sizeof key, "made-%s", call->operation_id);
    return table_get(data, key) ? flagver_sink_key(sink, key) : FLAGVER_ENOTFOUND;
}

static flagver_side side_of(int side)
{
    flagver_side of = is_enlisted(side) ? lite_side(&lites[side]) : table_side(&tables[side]);

    of.write = is_enlisted(side) ? write_enlisted : write_detached;
    of.find_by_operation = is_enlisted(side) ? NULL : find_detached;
    return of;
}

static void make_side(int side)
{
    static const char *const names[] = { "old_rows", "new_rows" };
    int home = arrangement->homes[side];

    table_init(&tables[side]);
    if (home < 0)
        return;
    lites[side] =
        (struct lite){ .client = clients[home], .path = paths[home], .name = names[side] };
    lite_make(&lites[side]);
}

static void fail_writes(int side, int code)
{
    lites[side].fails = code;
    tables[side].fails = code;
}

/* NULL: there is none. Good until the second call from here. */
static const char *value_on(int side, const char *key)
{
    static char texts[2][256];
    static int turn;
    char *text = texts[turn++ % 2];
    sqlite3_stmt *statement;
    sqlite3 *db;
    bool there;

    if (!is_enlisted(side))
        return table_get(&tables[side], key);
    db = lite_open(&lites[side]);
    statement = lite_prepare(&lites[side], db, "SELECT value FROM %s WHERE key = ?1", key);
    there = sqlite3_step(statement) == SQLITE_ROW;
    if (there)
        snprintf(text, sizeof texts[0], "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return there ? text : NULL;
}

static bool equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *shown(const char *value)
{
    return value ? value : "nothing";
}

/* Behind the library's back. */
static void spoil(int side, const char *key, const char *value)
{
    char sql[256];
    sqlite3 *db;

    if (!is_enlisted(side)) {
        table_put(&tables[side], key, value);
        return;
    }
    db = lite_open(&lites[side]);
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s VALUES ('%s', '%s')", lites[side].name,
             key, value);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- the frame ---- */

static flagver_route *open_here(int verify)
{
    return open_route(clients[0], "users", side_of(OLD), side_of(NEW),
                      (flagver_route_options){ .verify = verify });
}

static void arrange(int i)
{
    const flagver_options options = quiet_options();
    char uri[160];

    arrangement = &arrangements[i];
    snprintf(paths[0], sizeof paths[0], "%s", file_named("store"));
    snprintf(paths[1], sizeof paths[1], "%s", file_named("other"));
    clients[0] = open_store(FAULT_KIND);
    snprintf(uri, sizeof uri, "fault-sqlite:%s", paths[1]);
    assert_ok(flagver_open(uri, &options, &clients[1], &error));
    put_migration(clients[0], "users", "{'stage': 'off'}");
    make_side(OLD);
    make_side(NEW);
    route = open_here(FLAGVER_VERIFY_REPAIR);
    result = (flagver_route_result){ .size = sizeof result };
}

static void leave(void)
{
    flagver_route_result_clear(&result);
    close_route(route);
    flagver_close(clients[1]);
    flagver_close(clients[0]);
}

/* ---- time ---- */

/* What was under way has no time left, and what has failed is tried again at once. */
static void age_and_forgive(struct fv_entry *entry)
{
    entry_age(entry);
    entry->failures = 0;
}

static void let_time_pass(void)
{
    entries_change(paths[0], age_and_forgive);
    entries_change(paths[1], age_and_forgive);
}

/* ---- stages ---- */

static int try_stage(int stage, int32_t wait_ms)
{
    const flagver_route_change change = { .size = sizeof change,
                                          .percentage = stage == FLAGVER_STAGE_RAMP ? 100 : 0,
                                          .forced = "a test",
                                          .wait_ms = wait_ms };

    return flagver_route_stage(route, &alice, stage, &change, &problem);
}

static int stage_now(void)
{
    flagver_route_progress progress = { .size = sizeof progress };

    for (int i = 0; i < 100 && !progress.settled; i++) {
        assert_ok(flagver_route_step(route, 1000, &progress, &error));
        if (!progress.settled)
            let_time_pass();
    }
    ck_assert_msg(progress.settled, "%s: a change of stage is not carried out", when);
    return progress.stage;
}

static void bring_to(int stage)
{
    int now = stage_now();

    while (now < stage)
        ck_assert_msg(try_stage(++now, 5000) == 0, "%s: to stage %d: %s", when, now,
                      problem.message);
    if (now > stage)
        ck_assert_msg(try_stage(stage, 5000) == 0, "%s: back to stage %d: %s", when, stage,
                      problem.message);
}

/* Without what a comparison would mend. */
static void come_to_rest(void)
{
    flagver_route_progress progress = { .size = sizeof progress };

    for (int i = 0; i < 20; i++) {
        let_time_pass();
        assert_ok(flagver_route_step(route, 1000, &progress, &error));
        if (progress.settled && progress.waiting == 0)
            return;
    }
    ck_abort_msg("%s: %llu keys wait", when, (unsigned long long)progress.waiting);
}

/* ---- writing and reading ---- */

static unsigned number; /* of the value written last */

static const char *fresh(void)
{
    static char text[16];

    snprintf(text, sizeof text, "v%u", ++number);
    return text;
}

static int put(const char *key, const char *value)
{
    flagver_route_result_clear(&result);
    return flagver_route_write(route, key, value, strlen(value), NULL, &result, &problem);
}

static int read_strictly(const char *key, char text[256])
{
    const flagver_route_call call = { .size = sizeof call, .strict = 1 };
    int r;

    flagver_route_result_clear(&result);
    r = flagver_route_read(route, key, &call, &result, &problem);
    if (r == 0)
        snprintf(text, 256, "%s", result.value);
    return r;
}

static uint64_t compare(int repair)
{
    uint64_t differences = 0, left_out = 0;
    const flagver_compare_options options = {
        .size = sizeof options, .confirm_ms = 1, .repair = repair, .ret_left_out = &left_out
    };

    assert_ok(flagver_route_verify(route, &options, NULL, NULL, NULL, &differences, &error));
    ck_assert_msg(repair || left_out == 0, "%s: keys are left out", when);
    return differences;
}

/* ---- what may fail ---- */

static char before[256],
    after[256]; /* the value of "k", before an operation and as it makes it; "": none */

static void get_ready(void)
{
    snprintf(before, sizeof before, "%s", fresh());
    ck_assert_msg(put("k", before) == 0, "%s: %s", when, problem.message);
    snprintf(after, sizeof after, "%s", before);
    come_to_rest();
}

static void get_ready_to_write(void)
{
    get_ready();
    snprintf(after, sizeof after, "%s", fresh());
}

static int do_write(void)
{
    return put("k", after);
}

static void get_ready_to_remove(void)
{
    get_ready();
    after[0] = '\0';
}

static int do_remove(void)
{
    flagver_route_result_clear(&result);
    return flagver_route_remove(route, "k", NULL, &result, &problem);
}

static int do_create(void)
{
    return put(NULL, "created");
}

static int do_write_in(void)
{
    flagver_txn *txn = NULL;
    int r;

    r = flagver_txn_begin(clients[0], &alice, NULL, &txn, &problem);
    if (r < 0)
        return r;
    flagver_route_result_clear(&result);
    r = flagver_route_write_in(route, txn, "k", after, strlen(after), NULL, &result, &problem);
    if (r == 0)
        r = flagver_txn_commit(txn, &problem);
    flagver_txn_free(txn);
    return r;
}

static int create_in(void *data, flagver_txn *txn, flagver_error *err)
{
    (void)data;
    flagver_route_result_clear(&result);
    return flagver_route_write_in(route, txn, NULL, "created", 7, NULL, &result, err);
}

static int do_create_in(void)
{
    return flagver_txn_run(clients[0], &alice, NULL, create_in, NULL, &problem);
}

static int do_read(void)
{
    char text[256];
    int r = read_strictly("k", text);

    if (r == 0)
        ck_assert_msg(equal(text, before), "%s: read %s, not %s", when, text, before);
    return r;
}

static int do_step(void)
{
    flagver_route_progress progress = { .size = sizeof progress };

    return flagver_route_step(route, 10, &progress, &problem);
}

static void get_ready_to_repair(void)
{
    get_ready();
    fail_writes(NEW, FLAGVER_EUNAVAILABLE);
    snprintf(after, sizeof after, "%s", fresh());
    ck_assert_int_eq(put("k", after), 0);
    ck_assert(result.pending);
    fail_writes(NEW, 0);
    let_time_pass();
    snprintf(before, sizeof before, "%s", after);
}

/* Only one side was written meanwhile. */
static void get_ready_to_copy(void)
{
    bring_to(FLAGVER_STAGE_OFF);
    get_ready();
    ck_assert_int_eq(put("l", before), 0);
    ck_assert_int_eq(flagver_route_remove(route, "m", NULL, NULL, &problem), 0);
    spoil(NEW, "m", "left over");
    ck_assert_int_eq(try_stage(FLAGVER_STAGE_DUALWRITE, 5000), 0);
}

static void get_ready_to_compare(void)
{
    get_ready();
    come_to_rest();
    spoil(NEW, "k", "spoilt");
    ck_assert_uint_eq(compare(0), 1); /* so that steps compare from the start */
}

static int do_verify_and_repair(void)
{
    const flagver_compare_options options = { .size = sizeof options,
                                              .confirm_ms = 1,
                                              .repair = 1 };

    return flagver_route_verify(route, &options, NULL, NULL, NULL, NULL, &problem);
}

static int do_verify(void)
{
    const flagver_compare_options options = { .size = sizeof options, .confirm_ms = 1 };
    uint64_t differences = 0;
    int r = flagver_route_verify(route, &options, NULL, NULL, NULL, &differences, &problem);

    ck_assert_msg(differences == 0, "%s: a difference that is none", when);
    return r;
}

/* A busy machine alone makes no failure of it. */
static int flip_to(int stage)
{
    int r;

    do
        r = try_stage(stage, 20);
    while (r == FLAGVER_EBUSY && flagver_fault_failures(fault) == 0);
    return r;
}

static int do_flip(void)
{
    int r = flip_to(FLAGVER_STAGE_LIVE);

    return r < 0 ? r : flip_to(FLAGVER_STAGE_RAMP);
}

static void get_ready_to_roll_back(void)
{
    bring_to(FLAGVER_STAGE_LIVE);
    get_ready();
}

static int do_rollback(void)
{
    return flagver_route_rollback(route, &alice, NULL, &problem);
}

static int do_open(void)
{
    const flagver_route_options options = { .size = sizeof options,
                                            .old_side = side_of(OLD),
                                            .new_side = side_of(NEW) };
    flagver_route *first = route, *other = NULL;
    int r;

    r = flagver_route_open(clients[0], "users", &options, &other, &problem);
    ck_assert_msg((r == 0) == (other != NULL), "%s: a route that is none", when);
    if (r < 0)
        return r;
    route = other;
    r = put("k", after);
    route = first;
    ck_assert_int_eq(flagver_route_close(other, 1000, &error), 0);
    return r;
}

static const struct operation {
    const char *name;
    int stage;
    void (*get_ready)(void);
    int (*run)(void);
    uint64_t stride; /* 1: each call fails in turn; else some of them, in each arrangement others */
    bool repairs;    /* what a comparison finds */
    bool only_old;   /* is written afterwards */
} operations[] = {
    { "write", FLAGVER_STAGE_RAMP, get_ready_to_write, do_write, .stride = 1 },
    { "remove", FLAGVER_STAGE_RAMP, get_ready_to_remove, do_remove, .stride = 1 },
    { "create", FLAGVER_STAGE_RAMP, get_ready, do_create, .stride = 1 },
    { "write in a transaction", FLAGVER_STAGE_RAMP, get_ready_to_write, do_write_in, .stride = 1 },
    { "strict read", FLAGVER_STAGE_RAMP, get_ready, do_read, .stride = 1 },
    { "repair", FLAGVER_STAGE_RAMP, get_ready_to_repair, do_step, .stride = 1 },
    { "copy", FLAGVER_STAGE_OFF, get_ready_to_copy, do_step, .stride = 5 },
    { "compare", FLAGVER_STAGE_RAMP, get_ready_to_compare, do_step, .repairs = true, .stride = 17 },
    { "verify and repair", FLAGVER_STAGE_RAMP, get_ready_to_compare, do_verify_and_repair,
      .repairs = true, .stride = 11 },
    { "verify", FLAGVER_STAGE_RAMP, get_ready, do_verify, .stride = 1 },
    { "flip", FLAGVER_STAGE_RAMP, get_ready, do_flip, .stride = 11 },
    { "rollback", FLAGVER_STAGE_RAMP, get_ready_to_roll_back, do_rollback, .only_old = true,
      .stride = 11 },
    { "open", FLAGVER_STAGE_RAMP, get_ready_to_write, do_open, .stride = 1 },
    { "create in a transaction", FLAGVER_STAGE_RAMP, get_ready, do_create_in, .stride = 1 },
};
#define OPERATIONS (int)(sizeof operations / sizeof *operations)

/* ---- what must be, whatever happens ---- */

/* Returns whether anything has failed. */
static bool end_faults(void)
{
    bool failed = flagver_fault_failures(fault) > 0;
    const char *complaint;

    ck_assert_msg(flagver_fault_txns(fault) == 0, "%s: a transaction is open", when);
    ck_assert_msg(flagver_fault_cursors(fault) == 0, "%s: a cursor is open", when);
    complaint = flagver_fault_misuses(fault) ? flagver_fault_complaint(fault) : NULL;
    ck_assert_msg(!complaint, "%s: %s", when, complaint ? complaint : "");
    flagver_fault_reset(fault);
    return failed;
}

/* Of what a write has said. */
static void assert_result(const struct operation *operation, int r)
{
    const char *key = result.key ? result.key : "k";
    bool creates = operation->run == do_create || operation->run == do_create_in;

    if (r < 0 || (operation->run != do_write && !creates))
        return;
    if (creates)
        ck_assert_msg(result.key && equal(value_on(OLD, key), "created"),
                      "%s: %s was created, and there is none", when, shown(result.key));
    else
        ck_assert_msg(equal(value_on(OLD, key), after), "%s: acknowledged, and %s is there", when,
                      shown(value_on(OLD, key)));
    if (operation->run == do_create_in)
        return; /* the other side gets it by a repair */
    if (result.pending)
        ck_assert_msg(result.sides[NEW].code < 0, "%s: pending, and all is well", when);
    else
        ck_assert_msg(equal(value_on(NEW, key), value_on(OLD, key)), "%s: %s on the new side", when,
                      shown(value_on(NEW, key)));
}

static void assert_read(int r)
{
    char text[256] = "";
    int read = read_strictly("k", text);

    ck_assert_msg(read == 0 || read == FLAGVER_ENOTFOUND, "%s: %s", when, problem.message);
    ck_assert_msg(equal(text, after) || (r < 0 && equal(text, before)),
                  "%s: returned %d, and a strict read gives \"%s\", not \"%s\"", when, r, text,
                  after);
}

/* What comes next is written to both sides as well: no side is ahead of what it has. */
static void assert_goes_on(const struct operation *operation)
{
    const char *last = fresh();

    ck_assert_msg(put("k", last) == 0, "%s: afterwards: %s", when, problem.message);
    come_to_rest();
    ck_assert_msg(equal(value_on(OLD, "k"), last), "%s: afterwards %s on the old side", when,
                  shown(value_on(OLD, "k")));
    if (!operation->only_old)
        ck_assert_msg(equal(value_on(NEW, "k"), last), "%s: afterwards %s on the new side", when,
                      shown(value_on(NEW, "k")));
}

static void forget_leases(void)
{
    sqlite3 *db;
    char sql[160];

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(sqlite3_open(paths[i], &db), SQLITE_OK);
        sqlite3_busy_timeout(db, 10000);
        snprintf(sql, sizeof sql, "DELETE FROM flagver_keyed WHERE space = 'route.lease'");
        ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
    }
    route->ledger.has_lease = false;
}

static void assert_well(const struct operation *operation, int r)
{
    assert_result(operation, r);
    if (!operation->repairs) /* what was spoilt is read */
        assert_read(r);
    if (operation->run == do_open)
        forget_leases();
    if (operation->only_old) {
        if (r < 0)
            ck_assert_msg(do_rollback() == 0, "%s: again: %s", when, problem.message);
        ck_assert_int_eq(stage_now(), FLAGVER_STAGE_OFF);
    } else if (operation->get_ready != get_ready_to_copy) {
        bring_to(operation->stage);
        come_to_rest();
        if (operation->repairs)
            compare(1);
        ck_assert_msg(compare(0) == 0, "%s: the sides differ", when);
    } else {
        for (int i = 0; i < 20 && !take_steps(route).copied_all; i++)
            ;
        come_to_rest();
        ck_assert_msg(compare(0) == 0, "%s: the sides differ", when);
    }
    assert_read(r);
    assert_goes_on(operation);
}

/* ---- faults ---- */

static bool is_for(const struct operation *operation)
{
    return (operation->run != do_write_in && operation->run != do_create_in) ||
           arrangement->homes[OLD] == 0;
}

static void prepare(const struct operation *operation)
{
    if (operation->get_ready != get_ready_to_copy && operation->get_ready != get_ready_to_roll_back)
        bring_to(operation->stage);
    operation->get_ready();
    flagver_fault_reset(fault);
    memset(&problem, 0, sizeof problem);
}

/* False: there is no n-th call. */
static bool fail_nth(const struct operation *operation, int call, uint64_t n, int code,
                     bool persists)
{
    bool failed;
    int r;

    snprintf(when, sizeof when, "%s, %s: %s from call %llu of kind %d%s", arrangement->label,
             operation->name, flagver_error_name(code), (unsigned long long)n, call,
             persists ? " on" : "");
    prepare(operation);
    flagver_fault_fail(fault, call, n, code, persists);
    r = operation->run();
    failed = end_faults();
    ck_assert_msg(r == 0 || (failed && (r == code || r == FLAGVER_EBUSY)), "%s: returned %d: %s",
                  when, r, problem.message);
    ck_assert_msg(r == 0 || problem.code == r, "%s: returned %d, and says %d: %s", when, r,
                  problem.code, problem.message);
    assert_well(operation, r);
    return failed;
}

/* False: there is no n-th commit. */
static bool lie_nth(const struct operation *operation, uint64_t n, int lie, bool silent)
{
    bool failed;
    int r;

    snprintf(when, sizeof when, "%s, %s: commit %llu lies: it was %sdone%s", arrangement->label,
             operation->name, (unsigned long long)n, lie == FLAGVER_FAULT_DONE ? "" : "not ",
             silent ? ", and silence" : "");
    prepare(operation);
    flagver_fault_lie(fault, n, lie);
    if (silent)
        flagver_fault_fail(fault, FLAGVER_FAULT_OUTCOME, 1, FLAGVER_EUNAVAILABLE, true);
    r = operation->run();
    failed = end_faults();
    ck_assert_msg(r == 0 || r == FLAGVER_EUNKNOWN || r == FLAGVER_EBUSY, "%s: returned %d: %s",
                  when, r, problem.message);
    ck_assert_msg(r == 0 || problem.code == r, "%s: returned %d, and says %d: %s", when, r,
                  problem.code, problem.message);
    assert_well(operation, r);
    return failed;
}

/* ---- tests ---- */

START_TEST(whatever_call_fails_the_sides_become_equal)
{
    const struct operation *operation = &operations[_i % OPERATIONS];
    uint64_t stride = operation->stride;
    bool failed = true;

    arrange(_i / OPERATIONS);
    if (is_for(operation))
        for (uint64_t n = 1 + (uint64_t)(_i / OPERATIONS) % stride; failed; n += stride) {
            int code = codes[n % CODES];
            bool persists = code == FLAGVER_EIO ? n / CODES % 2 : n % 20 == 1;

            failed = fail_nth(operation, FLAGVER_FAULT_ANY, n, code, persists);
        }
    leave();
}
END_TEST

START_TEST(a_commit_that_lies_is_found_out)
{
    const struct operation *operation = &operations[_i % OPERATIONS];
    bool failed = true;

    arrange(_i / OPERATIONS);
    if (is_for(operation))
        for (uint64_t n = 1; failed; n += operation->stride > 1 ? 3 : 1)
            failed = lie_nth(operation, n, n % 2 ? FLAGVER_FAULT_DONE : FLAGVER_FAULT_NOT_DONE,
                             false);
    leave();
}
END_TEST

static const int untold[] = { 0, 1, 2, 6, 10, 13 }; /* of the operations */
#define UNTOLD (int)(sizeof untold / sizeof *untold)

/* What it came to is known from the try that took place: the next one sees what that has changed. */
START_TEST(a_commit_whose_outcome_nobody_tells_is_not_taken_for_another)
{
    const struct operation *operation = &operations[untold[_i % UNTOLD]];

    arrange(_i / UNTOLD);
    if (is_for(operation)) {
        lie_nth(operation, 1, FLAGVER_FAULT_DONE, true);
        lie_nth(operation, 2, FLAGVER_FAULT_DONE, true);
    }
    leave();
}
END_TEST

static void get_ready_to_ramp(void)
{
    get_ready_to_write();
    ramps_flag = true;
}

START_TEST(nor_where_a_side_has_written_records_of_the_librarys)
{
    static const struct operation operation = { "write with a flag", FLAGVER_STAGE_RAMP,
                                                get_ready_to_ramp, do_write, .stride = 1 };

    arrange(FIRST_ENLISTED + _i);
    for (uint64_t n = 1; n <= 2; n++) {
        lie_nth(&operation, n, FLAGVER_FAULT_DONE, true);
        ck_assert(!ramps_flag);
    }
    leave();
}
END_TEST

/* The side asks for another try, and then there is no store for that. */
static void fail_second_try(int side, uint64_t n)
{
    int r;

    get_ready_to_write();
    flagver_fault_reset(fault);
    fail_writes(side, FLAGVER_EBUSY);
    flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, n, FLAGVER_EIO, true);
    r = do_write();
    end_faults();
    fail_writes(side, 0);
    ck_assert(r == 0 || r == FLAGVER_EIO || r == FLAGVER_EBUSY);
    ck_assert_msg(r == 0 || problem.code == r, "%s, begin %d: returned %d, and says %d: %s",
                  arrangement->label, (int)n, r, problem.code, problem.message);
    ck_assert_msg(r < 0 || result.sides[NEW].code == result.errors[NEW].code,
                  "%s, begin %d: the new side's code is %d, and says %d: %s", arrangement->label,
                  (int)n, result.sides[NEW].code, result.errors[NEW].code,
                  result.errors[NEW].message);
}

START_TEST(the_error_is_that_of_the_last_try)
{
    arrange(FIRST_ENLISTED + _i);
    bring_to(FLAGVER_STAGE_RAMP);
    for (int side = OLD; side <= NEW; side++)
        for (uint64_t n = 1; n <= 5; n++)
            if (is_enlisted(side))
                fail_second_try(side, n);
    leave();
}
END_TEST

/* The store was busy, once, and then it was not. */
START_TEST(what_was_tried_again_and_went_well_leaves_no_error)
{
    static const int tried[] = { 0, 1, 9 }; /* of the operations */

    arrange(_i);
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        for (uint64_t n = 1; n <= 4; n++) {
            const struct operation *operation = &operations[tried[i]];
            int r;

            prepare(operation);
            flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, n, FLAGVER_EBUSY, false);
            r = operation->run();
            end_faults();
            ck_assert_msg(problem.code == r, "%s, %s, begin %d: returned %d, and says %s",
                          arrangement->label, operation->name, (int)n, r, problem.message);
            come_to_rest();
        }
    leave();
}
END_TEST

/* Which steps and comparisons wait for, and others do not. */
START_TEST(nor_does_a_route_that_has_not_seen_the_stage)
{
    flagver_route *first, *other;

    arrange(0);
    bring_to(FLAGVER_STAGE_RAMP);
    get_ready();
    first = route;
    route = other = open_here(FLAGVER_VERIFY_BY_CALL);
    assert_ok(put("k", "v"));
    route = first;
    assert_ok(try_stage(FLAGVER_STAGE_SHADOW, 5000));
    memset(&problem, 0, sizeof problem);
    assert_ok(do_verify());
    ck_assert_msg(problem.code == 0, "verify: %s", problem.message);
    assert_ok(do_step());
    ck_assert_msg(problem.code == 0, "step: %s", problem.message);
    close_route(other);
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routing while the store fails");
    TCase *tcase;

    tcase = add_store_tcase(suite, "calls");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, whatever_call_fails_the_sides_become_equal, 0,
                        ARRANGEMENTS * OPERATIONS);
    tcase = add_store_tcase(suite, "commits");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_commit_that_lies_is_found_out, 0, ARRANGEMENTS * OPERATIONS);
    tcase_add_loop_test(tcase, a_commit_whose_outcome_nobody_tells_is_not_taken_for_another, 0,
                        ARRANGEMENTS * UNTOLD);
    tcase = add_store_tcase(suite, "tries");
    tcase_add_loop_test(tcase, nor_where_a_side_has_written_records_of_the_librarys, 0,
                        ARRANGEMENTS - FIRST_ENLISTED);
    tcase_add_loop_test(tcase, the_error_is_that_of_the_last_try, 0, ARRANGEMENTS - FIRST_ENLISTED);
    tcase_add_loop_test(tcase, what_was_tried_again_and_went_well_leaves_no_error, 0, ARRANGEMENTS);
    tcase_add_test(tcase, nor_does_a_route_that_has_not_seen_the_stage);
    return run_store_suite(suite);
}
