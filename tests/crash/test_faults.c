/*
 * The driver fails at its n-th call, for every n, in every call that writes or
 * reads: once and from then on, with each error that a driver may have; and commits
 * lie about what they did. Whatever happens there is no half change, nothing is
 * done twice, nothing stays open, and the client goes on working afterwards.
 */
#define _GNU_SOURCE
#include "conformance/fault.h"
#include "crash/holds.h"
#include "driver/sqlite.h"

static struct flagver_fault *fault;
static flagver_client *client;
static struct place place;
static char uri[128];
static flagver_error problem;

static const flagver_actor actor = { .size = sizeof actor, .id = "faulty" };
static const int codes[] = { FLAGVER_EBUSY, FLAGVER_EUNAVAILABLE, FLAGVER_EIO, FLAGVER_ENOMEM };
#define CODES (sizeof codes / sizeof *codes)

/* ---- the operations of transactions ---- */

static int put(flagver_txn *txn, const char *key, const char *json)
{
    return flagver_flag_put(txn, key, json, strlen(json), NULL, NULL, &problem);
}

static int do_put(flagver_txn *txn)
{
    return put(txn, "kept", "{\"type\":\"boolean\",\"beta\":[\"u\"],\"percentage\":7}");
}

/* Every attempt has a number; run again, it does the same again. */
static int attempt_no;

static int do_create(flagver_txn *txn)
{
    char name[32];

    snprintf(name, sizeof name, "new-%d", attempt_no);
    return put(txn, name, "{\"type\":\"boolean\"}");
}

static int do_refer(flagver_txn *txn)
{
    return put(txn, "referring",
               "{\"type\":\"boolean\",\"requires\":[{\"flag\":\"kept\",\"variant\":\"on\"}],"
               "\"rules\":[{\"if\":{\"segment\":\"staff\"},\"serve\":\"on\"}]}");
}

static int do_segment(flagver_txn *txn)
{
    static const char json[] = "{\"include\":[\"bob\"]}";

    return flagver_segment_put(txn, "staff", json, sizeof json - 1, NULL, NULL, &problem);
}

static int do_enable(flagver_txn *txn)
{
    return flagver_flag_enable(txn, "kept", NULL, NULL, &problem);
}

static int do_disable(flagver_txn *txn)
{
    return flagver_flag_disable(txn, "kept", NULL, NULL, &problem);
}

static int do_ramp(flagver_txn *txn)
{
    return flagver_flag_ramp(txn, "kept", 12.5, NULL, NULL, &problem);
}

static int do_release(flagver_txn *txn)
{
    return flagver_flag_release(txn, "kept", NULL, NULL, &problem);
}

static const char *const users[] = { "u1", "u2" };

static int do_beta_add(flagver_txn *txn)
{
    return flagver_flag_beta_add(txn, "kept", users, 2, NULL, NULL, &problem);
}

static int do_beta_remove(flagver_txn *txn)
{
    return flagver_flag_beta_remove(txn, "kept", users, 2, NULL, NULL, &problem);
}

static int do_schedule(flagver_txn *txn)
{
    static const char json[] = "{\"steps\":[{\"at\":\"2026-01-01T00:00:00Z\",\"percentage\":10}]}";

    return flagver_flag_schedule(txn, "kept", json, sizeof json - 1, NULL, NULL, &problem);
}

static int do_revert(flagver_txn *txn)
{
    return flagver_flag_revert(txn, "kept", 1, NULL, NULL, &problem);
}

static int do_delete(flagver_txn *txn)
{
    return flagver_flag_delete(txn, "doomed", NULL, NULL, &problem);
}

static int do_expect(flagver_txn *txn)
{
    const flagver_write_options options = { .size = sizeof options,
                                            .expect_no = FLAGVER_EXPECT_NONE,
                                            .note = "there again" };
    static const char json[] = "{\"type\":\"boolean\"}";

    return flagver_flag_put(txn, "gone", json, sizeof json - 1, &options, NULL, &problem);
}

static int do_version(flagver_txn *txn)
{
    static const char first[] = "{\"type\":\"boolean\",\"percentage\":1}",
                      second[] = "{\"type\":\"boolean\",\"percentage\":2}";
    flagver_version *draft = NULL, *edited = NULL;
    int r;

    r = flagver_version_create(txn, FLAGVER_PHASE_FLAG, "kept", first, sizeof first - 1, NULL,
                               &draft, &problem);
    if (r == 0)
        r = flagver_version_edit(txn, FLAGVER_PHASE_FLAG, "kept", draft->no, second,
                                 sizeof second - 1, NULL, &edited, &problem);
    if (r == 0)
        r = flagver_version_submit(txn, FLAGVER_PHASE_FLAG, "kept", draft->no, NULL, NULL,
                                   &problem);
    flagver_version_free(draft);
    flagver_version_free(edited);
    return r;
}

static int do_withdraw(flagver_txn *txn)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    flagver_version *draft = NULL;
    int r;

    r = flagver_version_create(txn, FLAGVER_PHASE_FLAG, "drafts", json, sizeof json - 1, NULL,
                               &draft, &problem);
    if (r == 0)
        r = flagver_version_withdraw(txn, FLAGVER_PHASE_FLAG, "drafts", draft->no, NULL, NULL,
                                     &problem);
    flagver_version_free(draft);
    return r;
}

/* One is created, one changed, one is another than before. */
static int do_apply(flagver_txn *txn)
{
    char json[256];
    int r;

    snprintf(json, sizeof json,
             "{\"flags\":{\"kept\":{\"type\":\"boolean\",\"percentage\":%d},"
             "\"applied\":{\"type\":\"boolean\"},\"referring\":{\"type\":\"boolean\"}}}",
             attempt_no % 100);
    r = flagver_flags_apply(txn, json, strlen(json), "file", false, NULL, &problem);
    return r < 0 ? r : 0;
}

static int do_several(flagver_txn *txn)
{
    int r;

    r = do_segment(txn);
    if (r == 0)
        r = do_refer(txn);
    if (r == 0)
        r = do_ramp(txn);
    if (r == 0)
        r = do_disable(txn);
    return r;
}

static int put_doomed(flagver_txn *txn)
{
    return put(txn, "doomed", "{\"type\":\"boolean\"}");
}

static int put_and_delete(flagver_txn *txn)
{
    int r = put(txn, "gone", "{\"type\":\"boolean\"}");

    return r < 0 ? r : flagver_flag_delete(txn, "gone", NULL, NULL, &problem);
}

static int delete_applied(flagver_txn *txn)
{
    int r = flagver_flag_delete(txn, "applied", NULL, NULL, &problem);

    return r < 0 && r != FLAGVER_ENOTFOUND ? r : do_several(txn);
}

/* `before` makes what it needs. Each does the same amount whenever it succeeds. */
static const struct operation {
    const char *name;
    int (*run)(flagver_txn *txn);
    int (*before)(flagver_txn *txn);
} operations[] = {
    { "put", do_put, NULL },
    { "create", do_create, NULL },
    { "refer", do_refer, do_segment },
    { "put a segment", do_segment, NULL },
    { "enable", do_enable, NULL },
    { "disable", do_disable, NULL },
    { "ramp", do_ramp, NULL },
    { "release", do_release, NULL },
    { "beta add", do_beta_add, NULL },
    { "beta remove", do_beta_remove, NULL },
    { "schedule", do_schedule, NULL },
    { "revert", do_revert, NULL },
    { "delete", do_delete, put_doomed },
    { "put where nothing is", do_expect, put_and_delete },
    { "create, edit, submit", do_version, NULL },
    { "create, withdraw", do_withdraw, NULL },
    { "apply a file", do_apply, delete_applied },
    { "several", do_several, NULL },
};
#define OPERATIONS (int)(sizeof operations / sizeof *operations)

/* ---- attempts ---- */

enum way { BY_HAND, KEYED, RUN };

static int run_operation(void *operation, flagver_txn *txn, flagver_error *err)
{
    int r = ((const struct operation *)operation)->run(txn);

    if (r < 0)
        *err = problem;
    return r;
}

static int by_hand(int (*run)(flagver_txn *txn), const char *key)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = key };
    flagver_txn *txn;
    int r;

    r = flagver_txn_begin(client, &actor, &options, &txn, &problem);
    if (r < 0)
        return r;
    r = run(txn);
    if (r == 0)
        r = flagver_txn_commit(txn, &problem);
    flagver_txn_free(txn);
    return r;
}

static int attempt(const struct operation *operation, enum way way)
{
    char key[32];

    snprintf(key, sizeof key, "attempt %d", attempt_no);
    if (way == RUN)
        return flagver_txn_run(client, &actor, NULL, run_operation, (void *)operation, &problem);
    return by_hand(operation->run, way == KEYED ? key : NULL);
}

/* What is in the store: as text, and how much. */
struct state {
    char *text;
    size_t versions;
    uint64_t leaves;
};

static struct state state_now(void)
{
    struct state state = { .text = dump_store(client) };
    struct held held;
    size_t i;

    ck_assert_ptr_nonnull(state.text);
    ck_assert(held_read(client, &held));
    state.leaves = held.leaves;
    for (i = 0; i < held.count; i++)
        state.versions += held.series[i].count;
    held_free(&held);
    return state;
}

/* No more, and nothing is left open. */
static bool end_faults(void)
{
    bool failed = flagver_fault_failures(fault) > 0;

    ck_assert_msg(flagver_fault_misuses(fault) == 0, "%s", flagver_fault_complaint(fault));
    ck_assert_uint_eq(flagver_fault_txns(fault), 0);
    ck_assert_uint_eq(flagver_fault_cursors(fault), 0);
    flagver_fault_reset(fault);
    return failed;
}

/* `times` the operation has been done since; how much that is, `once` says. */
static void assert_done(const struct operation *operation, const struct state *before,
                        const struct state *once, unsigned times, const char *when)
{
    struct state after = state_now();

    if (times == 0)
        ck_assert_msg(strcmp(before->text, after.text) == 0,
                      "%s, %s: there is something else than before", operation->name, when);
    ck_assert_msg(after.versions - before->versions == times * once->versions &&
                      after.leaves - before->leaves == times * once->leaves,
                  "%s, %s: %zu versions and %llu leaves more instead of %zu and %llu",
                  operation->name, when, after.versions - before->versions,
                  (unsigned long long)(after.leaves - before->leaves), times * once->versions,
                  (unsigned long long)(times * once->leaves));
    free(after.text);
}

static struct state get_ready(const struct operation *operation)
{
    if (operation->before)
        assert_ok(by_hand(operation->before, NULL));
    attempt_no++;
    return state_now();
}

/* How much the operation does. */
static struct state measure(const struct operation *operation)
{
    struct state before = get_ready(operation), after;

    assert_ok(attempt(operation, BY_HAND));
    after = state_now();
    after.versions -= before.versions;
    after.leaves -= before.leaves;
    free(before.text);
    ck_assert_uint_gt(after.versions, 0);
    return after;
}

static void open_client(void)
{
    place = place_new();
    fault = flagver_fault_driver(&fv_sqlite_driver);
    snprintf(uri, sizeof uri, "fault-sqlite:%s", place.path);
    assert_ok(flagver_driver_register(flagver_fault_table(fault), &error));
    assert_ok(flagver_open(uri, NULL, &client, &error));
    assert_ok(by_hand(do_put, NULL));
    assert_ok(by_hand(do_several, NULL));
}

static void close_client(void)
{
    const char *complaint;

    flagver_close(client);
    complaint = flagver_fault_complaint(fault);
    ck_assert_msg(!complaint, "%s", complaint ? complaint : "");
    ck_assert(schema_holds(place.uri));
    place_remove(&place);
}

/* ---- writing ---- */

struct trial {
    const struct operation *operation;
    struct state once;
    enum way way;
    int code;
    bool persists;
};

/* False: nothing failed any more. */
static bool fail_nth(const struct trial *trial, uint64_t n)
{
    struct state before = get_ready(trial->operation);
    char when[96];
    bool failed;
    int r;

    snprintf(when, sizeof when, "%s %s at call %d", flagver_error_name(trial->code),
             trial->persists ? "from then on" : "once", (int)n);
    flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, trial->code, trial->persists);
    r = attempt(trial->operation, trial->way);
    failed = end_faults();
    ck_assert_msg(r == 0 || (failed && r == trial->code), "%s, %s: returned %d: %s",
                  trial->operation->name, when, r, problem.message);
    ck_assert_msg(r == 0 || problem.code == r, "%s, %s: without words", trial->operation->name,
                  when);
    ck_assert_msg(r == 0 || trial->way != RUN || trial->persists, "%s, %s: not run again",
                  trial->operation->name, when);
    assert_done(trial->operation, &before, &trial->once, r == 0, when);
    free(before.text);
    return failed;
}

static void fail_each(const struct trial *trial)
{
    uint64_t n;

    for (n = 1; fail_nth(trial, n); n++)
        ck_assert_uint_lt(n, 1000);
    ck_assert_uint_gt(n, 4);
}

START_TEST(a_failing_store_makes_no_half_change)
{
    struct trial trial = { .operation = &operations[_i] };
    size_t i;

    open_client();
    trial.once = measure(trial.operation);
    for (i = 0; i < 2 * CODES; i++) {
        trial.code = codes[i / 2];
        trial.persists = i % 2;
        trial.way = i % 4 == 1 ? KEYED : BY_HAND;
        fail_each(&trial);
    }
    free(trial.once.text);
    close_client();
}
END_TEST

START_TEST(what_is_run_again_is_done_once)
{
    struct trial trial = { .operation = &operations[_i], .way = RUN };
    size_t i;

    open_client();
    trial.once = measure(trial.operation);
    for (i = 0; i < CODES; i++) {
        trial.code = codes[i];
        fail_each(&trial);
    }
    free(trial.once.text);
    close_client();
}
END_TEST

/* Ten tries with pauses each: of these only some. */
START_TEST(running_again_comes_to_an_end)
{
    struct trial trial = { .operation = &operations[_i], .way = RUN, .persists = true };
    uint64_t n;

    open_client();
    trial.once = measure(trial.operation);
    for (n = 1; n < 10; n += 2) {
        trial.code = codes[n / 2 % CODES];
        fail_nth(&trial, n);
    }
    free(trial.once.text);
    close_client();
}
END_TEST

/* ---- commits that lie ---- */

/* The outcome can be asked for. */
static void lie_and_tell(const struct trial *trial, int lie)
{
    struct state before = get_ready(trial->operation);
    const char *when = lie == FLAGVER_FAULT_DONE ? "done but unknown" : "not done but unknown";
    int expected = lie == FLAGVER_FAULT_DONE || trial->way == RUN ? 0 : FLAGVER_EBUSY, r;

    flagver_fault_lie(fault, 1, lie);
    r = attempt(trial->operation, trial->way);
    ck_assert(end_faults());
    ck_assert_msg(r == expected, "%s, %s: returned %d", trial->operation->name, when, r);
    assert_done(trial->operation, &before, &trial->once, r == 0, when);
    free(before.text);
}

/* Nor does the store tell what became of it. What is under a key can be run again. */
static void lie_and_be_silent(const struct trial *trial, int lie)
{
    struct state before = get_ready(trial->operation);
    const char *when = lie == FLAGVER_FAULT_DONE ? "done, and silence" : "not done, and silence";
    int r;

    flagver_fault_lie(fault, 1, lie);
    flagver_fault_fail(fault, FLAGVER_FAULT_OUTCOME, 1, FLAGVER_EUNAVAILABLE, true);
    r = attempt(trial->operation, trial->way);
    ck_assert(end_faults());
    if (trial->way == RUN) {
        ck_assert_msg(r == 0, "%s, %s: returned %d", trial->operation->name, when, r);
    } else {
        ck_assert_msg(r == FLAGVER_EUNKNOWN, "%s, %s: returned %d", trial->operation->name, when,
                      r);
        assert_done(trial->operation, &before, &trial->once, lie == FLAGVER_FAULT_DONE, when);
        assert_ok(attempt(trial->operation, trial->way));
    }
    assert_done(trial->operation, &before, &trial->once, 1, when);
    free(before.text);
}

START_TEST(a_commit_that_lies_is_seen_through)
{
    struct trial trial = { .operation = &operations[_i] };
    enum way way;

    open_client();
    trial.once = measure(trial.operation);
    for (way = BY_HAND; way <= RUN; way++) {
        trial.way = way;
        lie_and_tell(&trial, FLAGVER_FAULT_DONE);
        lie_and_tell(&trial, FLAGVER_FAULT_NOT_DONE);
    }
    free(trial.once.text);
    close_client();
}
END_TEST

START_TEST(an_unknown_outcome_is_not_done_twice)
{
    struct trial trial = { .operation = &operations[_i] };

    open_client();
    trial.once = measure(trial.operation);
    trial.way = KEYED;
    lie_and_be_silent(&trial, FLAGVER_FAULT_DONE);
    lie_and_be_silent(&trial, FLAGVER_FAULT_NOT_DONE);
    trial.way = RUN;
    lie_and_be_silent(&trial, FLAGVER_FAULT_DONE);
    lie_and_be_silent(&trial, FLAGVER_FAULT_NOT_DONE);
    free(trial.once.text);
    close_client();
}
END_TEST

START_TEST(repeating_under_a_key_changes_nothing_whatever_fails)
{
    const struct operation *operation = &operations[_i];
    struct state once, before;
    bool failed = true;
    uint64_t n;
    int r;

    open_client();
    once = measure(operation);
    free(get_ready(operation).text);
    assert_ok(attempt(operation, KEYED));
    before = state_now();
    for (n = 1; failed; n++) {
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, codes[n % CODES], n % 3 == 0);
        r = attempt(operation, KEYED);
        failed = end_faults();
        ck_assert_msg(r == (failed ? codes[n % CODES] : 0), "returned %d: %s", r, problem.message);
        assert_done(operation, &before, &once, 0, "repeated");
    }
    ck_assert_uint_gt(n, 2);
    free(before.text);
    free(once.text);
    close_client();
}
END_TEST

/* ---- reading ---- */

static bool see(void *count, const flagver_version *version)
{
    *(int *)count += version->no > 0;
    return true;
}

static bool see_leaf(void *count, const flagver_audit_entry *entry)
{
    *(int *)count += entry->version_no > 0;
    return true;
}

static int read_current(void)
{
    flagver_version *version = NULL;
    int r = flagver_version_current(client, FLAGVER_PHASE_FLAG, "kept", &version, &problem);

    flagver_version_free(version);
    return r;
}

static int read_number(void)
{
    flagver_version *version = NULL;
    int r = flagver_version_get(client, FLAGVER_PHASE_FLAG, "kept", 1, &version, &problem);

    flagver_version_free(version);
    return r;
}

static int read_as_of(void)
{
    flagver_version *version = NULL;
    int r = flagver_version_as_of(client, FLAGVER_PHASE_FLAG, "kept", INT64_MAX / 2, &version,
                                  &problem);

    flagver_version_free(version);
    return r;
}

static int read_history(void)
{
    const flagver_list_options options = { .size = sizeof options, .payload = 1 };
    int count = 0;

    return flagver_version_history(client, FLAGVER_PHASE_FLAG, "kept", &options, see, &count,
                                   &problem);
}

static int read_list(void)
{
    int count = 0;

    return flagver_version_list(client, FLAGVER_PHASE_FLAG, NULL, see, &count, &problem);
}

static int read_log(void)
{
    int count = 0;

    return flagver_audit_log(client, 0, 0, see_leaf, &count, NULL, &problem);
}

static int read_difference(void)
{
    char *text = NULL;
    int r = flagver_version_diff(client, FLAGVER_PHASE_FLAG, "kept", 1, 2, FLAGVER_DIFF_LINES,
                                 &text, &problem);

    flagver_string_free(text);
    return r;
}

static int read_plan(void)
{
    static const char json[] = "{\"flags\":{\"planned\":{\"type\":\"boolean\"}}}";
    int r = flagver_flags_plan(client, json, sizeof json - 1, NULL, true, NULL, NULL, &problem);

    return r < 0 ? r : 0;
}

static int read_export(void)
{
    char *json = NULL;
    int r = flagver_flags_export(client, &json, &problem);

    flagver_string_free(json);
    return r;
}

static int read_past(void)
{
    flagver_snapshot *snapshot = NULL;
    int r = flagver_snapshot_at(client, INT64_MAX / 2, &snapshot, &problem);

    flagver_snapshot_free(snapshot);
    return r;
}

static int open_another(void)
{
    flagver_client *other = NULL;
    int r = flagver_open(uri, NULL, &other, &problem);

    flagver_close(other);
    return r;
}

static int open_tenant(void)
{
    flagver_client *other = NULL;
    int r = flagver_client_tenant(client, "other", &other, &problem);

    flagver_close(other);
    return r;
}

static int reopen(void)
{
    return flagver_client_reopen(client, &problem);
}

static int verify_schema(void)
{
    return flagver_schema_verify(uri, NULL, NULL, &problem);
}

static int ask_version(void)
{
    uint32_t version;

    return flagver_schema_version(uri, &version, NULL, &problem);
}

static int bring_up(void)
{
    return flagver_schema_up(uri, &problem);
}

static int export_store(void)
{
    char path[128];
    int r = flagver_store_export(uri, NULL, place_file(&place, "export", path), &problem);

    if (r < 0 && is_there(path))
        return !complain("an export that failed left a file");
    unlink(path);
    return r;
}

static const struct {
    const char *name;
    int (*call)(void);
} reads[] = {
    { "current", read_current },
    { "get", read_number },
    { "as of", read_as_of },
    { "history", read_history },
    { "list", read_list },
    { "audit log", read_log },
    { "diff", read_difference },
    { "plan", read_plan },
    { "export", read_export },
    { "snapshot at", read_past },
    { "open", open_another },
    { "tenant", open_tenant },
    { "reopen", reopen },
    { "verify", verify_schema },
    { "schema version", ask_version },
    { "schema up", bring_up },
    { "store export", export_store },
};
#define READS (int)(sizeof reads / sizeof *reads)

START_TEST(reading_says_what_failed_and_works_again)
{
    struct state before, after;
    size_t i;
    uint64_t n = 0;
    bool failed;
    int r;

    open_client();
    before = state_now();
    for (i = 0; i < 2 * CODES; i++) {
        for (n = 1, failed = true; failed; n++) {
            flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, codes[i / 2], i % 2);
            r = reads[_i].call();
            failed = end_faults();
            ck_assert_msg(r == 0 || (failed && r == codes[i / 2]), "%s, call %d: returned %d: %s",
                          reads[_i].name, (int)n, r, problem.message);
        }
        ck_assert_uint_gt(n, 2);
        after = state_now();
        ck_assert_str_eq(before.text, after.text);
        free(after.text);
    }
    free(before.text);
    close_client();
}
END_TEST

static int64_t served_version(void)
{
    flagver_detail detail = { .size = sizeof detail };

    flagver_flag_bool_detail(client, "kept", NULL, false, &detail);
    return detail.version;
}

static bool health_says(const char *words)
{
    char *json = NULL;
    bool says;

    assert_ok(flagver_client_health(client, &json, &error));
    says = strstr(json, words) != NULL;
    if (!says)
        complain("%s is not in %s", words, json);
    flagver_string_free(json);
    return says;
}

START_TEST(a_refresh_that_fails_keeps_the_flags_and_says_why)
{
    int64_t served;
    size_t i;
    uint64_t n;
    bool failed;
    int r;

    open_client();
    assert_ok(flagver_client_refresh(client, &error));
    for (i = 0; i < 2 * CODES; i++) {
        for (n = 1, failed = true; failed; n++) {
            served = served_version();
            assert_ok(by_hand(do_ramp, NULL));
            flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, codes[i / 2], i % 2);
            r = flagver_client_refresh(client, &problem);
            failed = end_faults();
            ck_assert_int_eq(r, failed ? codes[i / 2] : 0);
            ck_assert_int_eq(served_version(), failed ? served : served + 1);
            ck_assert(health_says(failed ? "\"status\":\"stale\"" : "\"status\":\"ok\""));
            ck_assert(health_says(failed ? flagver_error_name(codes[i / 2]) : "\"error\":null"));
            assert_ok(flagver_client_refresh(client, &error));
            ck_assert_int_eq(served_version(), served + 1);
            ck_assert(health_says("\"status\":\"ok\""));
        }
        ck_assert_uint_gt(n, 2);
    }
    close_client();
}
END_TEST

/* ---- copies ---- */

static struct state state_of(const char *other_uri)
{
    flagver_client *mine = client;
    struct state state;

    assert_ok(flagver_open(other_uri, NULL, &client, &error));
    state = state_now();
    flagver_close(client);
    client = mine;
    return state;
}

START_TEST(an_import_that_fails_brings_nothing)
{
    char export[128], target[128], target_uri[160];
    struct state whole, there;
    bool failed = true;
    uint64_t n;
    int r;

    open_client();
    whole = state_now();
    snprintf(target_uri, sizeof target_uri, "fault-sqlite:%s",
             place_file(&place, "target", target));
    assert_ok(flagver_store_export(uri, NULL, place_file(&place, "export", export), &error));
    for (n = 1; failed; n++) {
        place_empty(&place, "target");
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, codes[n % CODES], n % 3 == 0);
        r = flagver_store_import(target_uri, export, &problem);
        failed = end_faults();
        ck_assert_msg(r == 0 || (failed && r == codes[n % CODES]), "call %d: returned %d: %s",
                      (int)n, r, problem.message);
        there = state_of(target_uri);
        ck_assert_str_eq(there.text, r == 0 ? whole.text : "");
        free(there.text);
    }
    ck_assert_uint_gt(n, 4);
    free(whole.text);
    close_client();
}
END_TEST

/* What was in it is in it, or the backup is whole. */
START_TEST(taking_the_schema_down_fails_before_anything_is_lost)
{
    char export[128], backup[128], target[128], target_uri[160];
    struct state whole, there;
    bool failed = true;
    uint64_t n;
    int r;

    open_client();
    whole = state_now();
    snprintf(target_uri, sizeof target_uri, "fault-sqlite:%s",
             place_file(&place, "target", target));
    assert_ok(flagver_store_export(uri, NULL, place_file(&place, "export", export), &error));
    place_file(&place, "backup", backup);
    for (n = 1; failed; n++) {
        place_empty(&place, "target");
        place_empty(&place, "backup");
        assert_ok(flagver_store_import(target_uri, export, &error));
        flagver_fault_reset(fault);
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, codes[n % CODES], n % 3 == 0);
        r = flagver_schema_down(target_uri, 0, backup, false, &problem);
        failed = end_faults();
        ck_assert_int_eq(r, failed ? codes[n % CODES] : 0);
        ck_assert(r < 0 || is_there(backup));
        there = state_of(target_uri);
        ck_assert_str_eq(there.text, r < 0 ? whole.text : "");
        free(there.text);
    }
    ck_assert_uint_gt(n, 4);
    free(whole.text);
    close_client();
}
END_TEST

static Suite *faults_suite(void)
{
    Suite *suite = suite_create("failing stores");
    TCase *writing = tcase_create("writing"), *reading = tcase_create("reading");

    tcase_set_timeout(writing, 120);
    tcase_add_loop_test(writing, a_failing_store_makes_no_half_change, 0, OPERATIONS);
    tcase_add_loop_test(writing, what_is_run_again_is_done_once, 0, OPERATIONS);
    tcase_add_loop_test(writing, running_again_comes_to_an_end, OPERATIONS - 1, OPERATIONS);
    tcase_add_loop_test(writing, a_commit_that_lies_is_seen_through, 0, OPERATIONS);
    tcase_add_loop_test(writing, an_unknown_outcome_is_not_done_twice, OPERATIONS - 2, OPERATIONS);
    tcase_add_loop_test(writing, repeating_under_a_key_changes_nothing_whatever_fails, 0,
                        OPERATIONS);
    suite_add_tcase(suite, writing);

    tcase_set_timeout(reading, 120);
    tcase_add_loop_test(reading, reading_says_what_failed_and_works_again, 0, READS);
    tcase_add_test(reading, a_refresh_that_fails_keeps_the_flags_and_says_why);
    tcase_add_test(reading, an_import_that_fails_brings_nothing);
    tcase_add_test(reading, taking_the_schema_down_fails_before_anything_is_lost);
    suite_add_tcase(suite, reading);
    return suite;
}

int main(void)
{
    return run_suite(faults_suite());
}
