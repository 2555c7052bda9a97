/*
 * The driver fails at its n-th call, for every n, in every operation on records under approval and
 * in every call that reads them; and commits lie about what they did. There is no half change,
 * nothing is done twice, and what was done or refused under an idempotency key stays so.
 */
#define _GNU_SOURCE
#include "approvals.h"
#include "flagver/metric.h"
#include "records.h"
#include "seed.h"

static const int codes[] = { FLAGVER_EBUSY, FLAGVER_EUNAVAILABLE, FLAGVER_EIO, FLAGVER_ENOMEM };
#define CODE(n) codes[(n) % 4]

static flagver_client *client;

/* ---- what is in the store ---- */

/* The store's file without the driver that fails. */
static const char *plain_uri(void)
{
    static char uri[160];

    snprintf(uri, sizeof uri, "sqlite:%s", store_uri(FAULT_KIND) + strlen("fault-sqlite:"));
    return uri;
}

struct state {
    char *text;   /* an export */
    size_t lines; /* of it that stay: all but those of items */
};

static struct state state_now(void)
{
    const char *path = file_named("export");
    struct state state = { NULL, 0 };
    char *at;
    FILE *in;
    long size = -1;

    must(flagver_store_export(plain_uri(), NULL, path, &error) == 0, "export: %s", error.message);
    in = fopen(path, "rb");
    must(in && fseek(in, 0, SEEK_END) == 0 && (size = ftell(in)) >= 0, "no export");
    rewind(in);
    state.text = calloc(1, (size_t)size + 1);
    must(state.text && fread(state.text, 1, (size_t)size, in) == (size_t)size, "no export");
    fclose(in);
    for (at = state.text; (at = strchr(at, '\n')); at++)
        state.lines += strncmp(at + 1, "{\"item\"", 7) != 0;
    return state;
}

static void open_all(void)
{
    first_key = 'a';
    client = open_approvals(FAULT_KIND);
    done(client, dan, CREATE, SECRET, "first", .json = "1"); /* with the first data key */
}

static void keep_line(void *data, const char *line)
{
    snprintf(data, FLAGVER_MESSAGE_SIZE, "%s", line);
}

/* What came of it all fits together. */
static void close_all(void)
{
    char line[FLAGVER_MESSAGE_SIZE] = "";
    int r;

    flagver_fault_reset(fault);
    r = flagver_audit_verify(client, NULL, keep_line, line, NULL, &error);
    ck_assert_msg(r == 0, "verify: %d %s", r, r < 0 ? error.message : line);
    flagver_close(client);
    r = flagver_schema_verify(plain_uri(), NULL, NULL, &error);
    ck_assert_msg(r == 0, "schema: %d %s", r, r < 0 ? error.message : "");
}

/* ---- attempts ---- */

enum way { BY_HAND, KEYED, RUN };

static struct ready ready;
static struct outcome outcome;
static char key[32];

static void prepare(const struct operation *operation)
{
    static unsigned keys;

    get_ready(client, operation, &ready);
    snprintf(key, sizeof key, "attempt %u", ++keys);
}

static void new_outcome(void)
{
    free_outcome(&outcome);
    outcome = untouched();
}

/* A refusal is committed, too: under a key it is recorded. */
static int by_hand(const char *idempotency_key)
{
    const flagver_txn_options options = { .size = sizeof options,
                                          .idempotency_key = idempotency_key };
    flagver_error problem;
    flagver_txn *txn;
    int r, ended = 0;

    r = flagver_txn_begin(client, &ready.actor, &options, &txn, &error);
    if (r < 0)
        return r;
    r = operate(txn, &ready, &outcome);
    must(r == 0 || is_untouched(&outcome), "%s hands out something: %d", ready.operation->name, r);
    if (r == 0 || (idempotency_key && r == ready.operation->code))
        ended = flagver_txn_commit(txn, &problem);
    if (ended < 0)
        error = problem;
    flagver_txn_free(txn);
    return ended < 0 ? ended : r;
}

static int run(void *unused, flagver_txn *txn, flagver_error *err)
{
    int r;

    (void)unused;
    new_outcome();
    r = operate(txn, &ready, &outcome);
    if (r < 0)
        *err = error;
    return r;
}

static int attempt_by(enum way way)
{
    new_outcome();
    memset(&error, 0, sizeof error);
    if (way == RUN)
        return flagver_txn_run(client, &ready.actor, NULL, run, NULL, &error);
    return by_hand(way == KEYED ? key : NULL);
}

/* No more of it, and nothing was left open or used wrongly. */
static bool end_faults(void)
{
    bool failed = flagver_fault_failures(fault) > 0;

    must(flagver_fault_misuses(fault) == 0, "%s", flagver_fault_complaint(fault));
    must(flagver_fault_txns(fault) == 0 && flagver_fault_cursors(fault) == 0, "something is open");
    flagver_fault_reset(fault);
    return failed;
}

/* How many lines an operation adds when it is done once. */
static size_t measure(const struct operation *operation)
{
    struct state before, after;
    size_t lines;

    prepare(operation);
    before = state_now();
    ck_assert_int_eq(attempt_by(BY_HAND), operation->code);
    after = state_now();
    lines = after.lines - before.lines;
    ck_assert(operation->code ? lines == 0 : lines > 0);
    free(before.text);
    free(after.text);
    return lines;
}

struct trial {
    const struct operation *operation;
    size_t lines;
    enum way way;
    bool persists;
    struct state before;
};

/* Since trial->before it was done so many times; what is there now is there before the next. */
static void check_done(struct trial *trial, unsigned times, const char *when)
{
    struct state after = state_now();

    if (times == 0 || trial->lines == 0)
        must(strcmp(trial->before.text, after.text) == 0, "%s, %s: the store has changed",
             trial->operation->name, when);
    else
        must(after.lines == trial->before.lines + times * trial->lines,
             "%s, %s: %zu lines more instead of %zu", trial->operation->name, when,
             after.lines - trial->before.lines, times * trial->lines);
    free(trial->before.text);
    trial->before = after;
}

static void get_ready_again(struct trial *trial)
{
    prepare(trial->operation);
    free(trial->before.text);
    trial->before = state_now();
}

static struct trial begin_trial(const struct operation *operation, enum way way)
{
    struct trial trial = { .operation = operation, .lines = measure(operation), .way = way };

    get_ready_again(&trial);
    return trial;
}

static void end_trial(struct trial *trial)
{
    free(trial->before.text);
    new_outcome();
    close_all();
}

/* ---- failures ---- */

/* False: nothing failed any more. */
static bool fail_nth(struct trial *trial, unsigned n)
{
    int expected = trial->operation->code, r;
    char when[96];
    bool failed;

    snprintf(when, sizeof when, "%s %s at call %u", flagver_error_name(CODE(n)),
             trial->persists ? "from then on" : "once", n);
    flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, CODE(n), trial->persists);
    r = attempt_by(trial->way);
    failed = end_faults();
    must(r == expected || (failed && r == CODE(n)), "%s, %s: %d: %s", trial->operation->name, when,
         r, error.message);
    must(r == 0 || error.code == r, "%s, %s: without words", trial->operation->name, when);
    must(r == expected || trial->way != RUN || trial->persists, "%s, %s: not run again",
         trial->operation->name, when);
    check_done(trial, r == 0, when);
    if (r == expected)
        get_ready_again(trial);
    return failed;
}

/* What has succeeded leaves more to be read, and more calls: n has to catch up with it. */
static void fail_each(struct trial *trial)
{
    unsigned n;

    for (n = 1; fail_nth(trial, n); n += 1 + n / 16)
        must(n < 1000, "%s does not end", trial->operation->name);
    ck_assert_uint_gt(n, 2);
}

START_TEST(a_failing_store_makes_no_half_change)
{
    struct trial trial;

    open_all();
    trial = begin_trial(&operations[_i], BY_HAND);
    fail_each(&trial);
    trial.way = KEYED;
    trial.persists = true;
    fail_each(&trial);
    end_trial(&trial);
}
END_TEST

START_TEST(what_is_run_again_is_done_once)
{
    struct trial trial;

    open_all();
    trial = begin_trial(&operations[_i], RUN);
    fail_each(&trial);
    end_trial(&trial);
}
END_TEST

/* ---- commits that lie ---- */

/* The outcome can be asked for. */
static void lie_and_tell(struct trial *trial, int lie)
{
    bool done = lie == FLAGVER_FAULT_DONE || trial->way == RUN;
    int r;

    flagver_fault_lie(fault, 1, lie);
    r = attempt_by(trial->way);
    ck_assert(end_faults());
    ck_assert_msg(r == (done ? 0 : FLAGVER_EBUSY), "%d: %s", r, error.message);
    check_done(trial, done,
               lie == FLAGVER_FAULT_DONE ? "done but unknown" : "not done but unknown");
    if (done)
        get_ready_again(trial);
}

START_TEST(a_commit_that_lies_is_seen_through)
{
    struct trial trial;
    int way;

    if (operations[_i].code)
        return;
    open_all();
    trial = begin_trial(&operations[_i], BY_HAND);
    for (way = BY_HAND; way <= RUN; way++) {
        trial.way = (enum way)way;
        lie_and_tell(&trial, FLAGVER_FAULT_DONE);
        lie_and_tell(&trial, FLAGVER_FAULT_NOT_DONE);
    }
    end_trial(&trial);
}
END_TEST

/* Nor does the store tell what became of it: it is run again under its key. */
static void lie_and_be_silent(struct trial *trial, int lie)
{
    bool done = lie == FLAGVER_FAULT_DONE;
    int r;

    flagver_fault_lie(fault, 1, lie);
    flagver_fault_fail(fault, FLAGVER_FAULT_OUTCOME, 1, FLAGVER_EUNAVAILABLE, true);
    r = attempt_by(KEYED);
    ck_assert(end_faults());
    ck_assert_msg(r == FLAGVER_EUNKNOWN, "%d: %s", r, error.message);
    check_done(trial, done, done ? "done, and silence" : "not done, and silence");
    r = attempt_by(KEYED);
    ck_assert_msg(r == 0, "%d: %s", r, error.message);
    check_done(trial, !done, "run again");
    get_ready_again(trial);
}

START_TEST(an_unknown_outcome_is_not_done_twice)
{
    struct trial trial;

    if (operations[_i].code)
        return;
    open_all();
    trial = begin_trial(&operations[_i], KEYED);
    lie_and_be_silent(&trial, FLAGVER_FAULT_DONE);
    if (_i % 4 == 0) /* it takes time to give up asking */
        lie_and_be_silent(&trial, FLAGVER_FAULT_NOT_DONE);
    end_trial(&trial);
}
END_TEST

/* ---- what was recorded ---- */

static bool is_same_version(const flagver_version *a, const flagver_version *b)
{
    const flagver_version *none = untouched().version;

    if (a == none || b == none)
        return a == b;
    return a->no == b->no && strcmp(a->id, b->id) == 0 && strcmp(a->subject, b->subject) == 0;
}

/* What is handed out the second time is what was the first time. */
static void check_recorded(const struct outcome *first, int r)
{
    const char *name = ready.operation->name;

    must(r == ready.operation->code, "%s, again: %d: %s", name, r, error.message);
    if (r < 0) {
        must(strstr(error.message, "when it was run first"), "%s, again: %s", name, error.message);
        return;
    }
    must(is_same_version(first->version, outcome.version), "%s: another version", name);
    must(first->no == outcome.no && first->count == outcome.count, "%s: other numbers", name);
    must(first->rotation.data_keys == outcome.rotation.data_keys, "%s: another rotation", name);
}

START_TEST(what_is_repeated_under_its_key_is_what_it_was_whatever_fails)
{
    struct outcome first;
    struct trial trial;
    bool failed = true;
    unsigned n;
    int r;

    open_all();
    trial = begin_trial(&operations[_i], KEYED);
    r = attempt_by(KEYED);
    ck_assert_msg(r == trial.operation->code, "%d: %s", r, error.message);
    first = outcome;
    outcome = untouched();
    check_done(&trial, r == 0, "first");
    for (n = 1; failed; n++) {
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, CODE(n), n % 3 == 0);
        r = attempt_by(KEYED);
        failed = end_faults();
        if (!failed || r != CODE(n))
            check_recorded(&first, r);
        check_done(&trial, 0, "repeated");
    }
    ck_assert_uint_gt(n, 2);
    free_outcome(&first);
    end_trial(&trial);
}
END_TEST

START_TEST(another_operation_under_a_key_is_refused)
{
    struct trial trial;
    char used[32];
    int r;

    open_all();
    trial = begin_trial(&operations[_i], KEYED);
    ck_assert_int_eq(attempt_by(KEYED), trial.operation->code);
    strcpy(used, key);
    trial.operation = &operations[(_i + 3) % OPERATIONS];
    get_ready_again(&trial);
    strcpy(key, used);
    r = attempt_by(KEYED);
    ck_assert_msg(r == FLAGVER_EIDEM, "%s: %d: %s", trial.operation->name, r, error.message);
    check_done(&trial, 0, "under another's key");
    end_trial(&trial);
}
END_TEST

/* One step under a key; the state it hands out, or the error. */
static int step_under(const char *idempotency_key, const struct person *person,
                      const struct step *step)
{
    const flagver_txn_options options = { .size = sizeof options,
                                          .idempotency_key = idempotency_key };
    const flagver_actor actor = actor_of(person);
    flagver_version *version = NULL;
    flagver_error problem;
    flagver_txn *txn;
    int r;

    assert_ok(flagver_txn_begin(client, &actor, &options, &txn, &error));
    r = do_step(txn, step, &version);
    if (r == 0)
        r = version->state;
    ck_assert_int_eq(flagver_txn_commit(txn, &problem), r == FLAGVER_EIDEM ? r : 0);
    flagver_txn_free(txn);
    flagver_version_free(version);
    return r;
}

/* The answer is the one that was given, though now it would be another one. */
START_TEST(what_was_refused_stays_refused_and_what_was_done_stays_done)
{
    const struct step *approve = STEP(APPROVE, PARTS, "x", .no = 1);

    open_all();
    done(client, dan, CREATE, PARTS, "x", .json = "1");
    done(client, dan, ITEMS_PUT, PARTS, "x", 1, "1", "a");
    done(client, dan, SUBMIT, PARTS, "x", .no = 1);
    ck_assert_int_eq(step_under("early", &ann, approve), FLAGVER_EINCOMPLETE);
    done(client, ben, DECIDE, PARTS, "x", 1, .key = "a", .status = FLAGVER_ITEM_APPROVED);
    ck_assert_int_eq(step_under("early", &ann, approve), FLAGVER_EINCOMPLETE);
    assert_words("when it was run first");
    ck_assert_int_eq(step_under("late", &ann, approve), FLAGVER_STATE_APPROVED);
    done(client, dan, CREATE, PARTS, "x", .json = "2");
    done(client, dan, SUBMIT, PARTS, "x", .no = 2);
    done(client, ann, APPROVE, PARTS, "x", .no = 2);
    ck_assert_int_eq(step_under("late", &ann, approve), FLAGVER_STATE_SUPERSEDED);
    ck_assert_int_eq(step_under("again", &ann, approve), FLAGVER_ESTATE);
    close_all();
}
END_TEST

static bool see_draft(void *count, const flagver_version *version)
{
    *(int *)count += version->state == FLAGVER_STATE_DRAFT;
    return true;
}

/* Nor does it matter whether contents were to be encrypted then, or are now. */
START_TEST(what_was_done_is_found_whatever_the_policy_says_now)
{
    static const char plain[] = "{'approval':{'required':false}}",
                      secret[] = "{'approval':{'required':false},'encrypt':true}";
    const struct step *create = STEP(CREATE, "new", "x", .json = "1");
    const struct step *other = STEP(CREATE, "new", "x", .json = "2");
    int drafts = 0;

    open_all();
    set_policy(client, &dan, "new", plain);
    ck_assert_int_eq(step_under("plain", &dan, create), FLAGVER_STATE_DRAFT);
    set_policy(client, &dan, "new", secret);
    ck_assert_int_eq(step_under("secret", &dan, create), FLAGVER_STATE_DRAFT);
    ck_assert_int_eq(step_under("plain", &dan, create), FLAGVER_STATE_DRAFT);
    ck_assert_int_eq(step_under("plain", &dan, other), FLAGVER_EIDEM);
    set_policy(client, &dan, "new", plain);
    ck_assert_int_eq(step_under("secret", &dan, create), FLAGVER_STATE_DRAFT);
    ck_assert_int_eq(step_under("secret", &dan, other), FLAGVER_EIDEM);
    done(client, dan, REMOVE, FLAGVER_PHASE_PHASE, "new");
    ck_assert_int_eq(step_under("secret", &dan, create), FLAGVER_STATE_DRAFT);
    assert_ok(flagver_version_history(client, "new", "x", NULL, see_draft, &drafts, &error));
    ck_assert_int_eq(drafts, 2);
    close_all();
}
END_TEST

/* ---- reading ---- */

#define DOCUMENT "document"

static void fill(void)
{
    done(client, dan, CREATE, SECRET, DOCUMENT, .json = "{'a':1}");
    done(client, dan, ITEMS_PUT, SECRET, DOCUMENT, 1, "{'v':1}", "a");
    done(client, dan, SUBMIT, SECRET, DOCUMENT, .no = 1);
    done(client, ben, DECIDE, SECRET, DOCUMENT, 1, .key = "a", .status = FLAGVER_ITEM_APPROVED);
    done(client, ann, APPROVE, SECRET, DOCUMENT, .no = 1);
    done(client, dan, CREATE, SECRET, DOCUMENT, .json = "{'a':2}", .options.baseline_no = 1);
    done(client, dan, SUBMIT, SECRET, DOCUMENT, .no = 2);
    done(client, dan, CREATE, OWNED, DOCUMENT, .json = "1");
    done(client, dan, SUBMIT, OWNED, DOCUMENT, .no = 1);
}

static unsigned seen;

static bool see_version(void *unused, const flagver_version *version)
{
    (void)unused;
    seen += version->no > 0;
    return true;
}

static bool see_item(void *unused, const flagver_item *item)
{
    (void)unused;
    seen += item->payload != NULL;
    return true;
}

static bool see_vote(void *unused, const flagver_vote *vote)
{
    (void)unused;
    seen += vote->actor != NULL;
    return true;
}

static bool see_author(void *unused, const char *actor)
{
    (void)unused;
    seen += actor != NULL;
    return true;
}

static bool see_key(void *unused, const flagver_data_key *data_key)
{
    (void)unused;
    seen += data_key->opens;
    return true;
}

static void see_group(void *unused, const flagver_metric_group *group)
{
    (void)unused;
    seen += group->created > 0;
}

static void see_finding(void *unused, const char *line)
{
    (void)unused;
    (void)line;
    seen++;
}

static int read_secret(void)
{
    flagver_version *version = NULL;
    int r = flagver_version_current(client, SECRET, DOCUMENT, &version, &error);

    if (r == 0)
        seen += (unsigned)version->payload_length;
    flagver_version_free(version);
    return r;
}

static int list_states(void)
{
    const flagver_list_options options = { .size = sizeof options,
                                           .payload = 1,
                                           .states = FLAGVER_STATES(FLAGVER_STATE_SUBMITTED) };

    return flagver_version_list(client, NULL, &options, see_version, NULL, &error);
}

static int list_due(void)
{
    const flagver_actor actor = actor_of(&cat);

    return flagver_version_due(client, &actor, NULL, NULL, see_version, NULL, &error);
}

static int count_text(int r, char *text)
{
    if (r == 0)
        seen += (unsigned)strlen(text);
    flagver_string_free(text);
    return r;
}

static int describe_policy(void)
{
    char *json = NULL;
    int r = flagver_phase_policy(client, PLAIN, NULL, &json, &error);

    return count_text(r, json);
}

static int list_items(void)
{
    return flagver_items_list(client, SECRET, DOCUMENT, 2, see_item, NULL, &error);
}

static int list_votes(void)
{
    return flagver_votes_list(client, SECRET, DOCUMENT, 1, see_vote, NULL, &error);
}

static int list_authors(void)
{
    return flagver_authors_list(client, SECRET, DOCUMENT, 1, see_author, NULL, &error);
}

static int list_keys(void)
{
    return flagver_key_list(client, see_key, NULL, &error);
}

static int count_versions(void)
{
    return flagver_version_metrics(client, NULL, see_group, NULL, &error);
}

static int read_head(void)
{
    uint8_t root[FLAGVER_HASH_SIZE];
    uint64_t size = 0;
    int r = flagver_audit_head(client, &size, root, &error);

    seen += (unsigned)size;
    return r;
}

static int make_checkpoint(void)
{
    char *text = NULL;
    int r = flagver_audit_checkpoint(client, "example.com", NULL, &text, &error);

    return count_text(r, text);
}

static int prove(void)
{
    flagver_proof proof = { .count = 0 };
    int r = flagver_audit_prove_inclusion(client, 2, 0, &proof, &error);

    if (r == 0)
        r = flagver_audit_prove_consistency(client, 3, 0, &proof, &error);
    seen += proof.count;
    return r;
}

static int verify(void)
{
    return flagver_audit_verify(client, NULL, see_finding, NULL, NULL, &error);
}

static const struct {
    const char *name;
    int (*call)(void);
} reads[] = {
    { "a secret", read_secret },
    { "list by states", list_states },
    { "due", list_due },
    { "policy", describe_policy },
    { "items", list_items },
    { "votes", list_votes },
    { "authors", list_authors },
    { "keys", list_keys },
    { "metrics", count_versions },
    { "head", read_head },
    { "checkpoint", make_checkpoint },
    { "proofs", prove },
    { "verify", verify },
};
#define READS COUNT(reads)

START_TEST(reading_says_what_failed_or_tells_all)
{
    bool failed = true;
    unsigned n, all;
    int r;

    open_all();
    fill();
    ck_assert_int_eq(reads[_i].call(), 0);
    all = seen;
    flagver_fault_reset(fault);
    for (n = 1; failed; n++) {
        seen = 0;
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, CODE(n), n % 3 == 0);
        r = reads[_i].call();
        failed = end_faults();
        ck_assert_msg(r == 0 ? seen == all : failed && r == CODE(n), "%s, call %u: %d: %s",
                      reads[_i].name, n, r, error.message);
        ck_assert(r == 0 || error.code == r);
    }
    ck_assert_uint_gt(n, 2);
    close_all();
}
END_TEST

static Suite *faults_suite(void)
{
    Suite *suite = suite_create("failing stores under approval");
    TCase *tests = add_store_tcase(suite, "operations"), *reading = add_store_tcase(suite, "reads");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_failing_store_makes_no_half_change, 0, OPERATIONS);
    tcase_add_loop_test(tests, what_is_run_again_is_done_once, 0, OPERATIONS);
    tcase_add_loop_test(tests, a_commit_that_lies_is_seen_through, 0, OPERATIONS);
    tcase_add_loop_test(tests, an_unknown_outcome_is_not_done_twice, 0, OPERATIONS);
    tcase_add_loop_test(tests, what_is_repeated_under_its_key_is_what_it_was_whatever_fails, 0,
                        OPERATIONS);
    tcase_add_loop_test(tests, another_operation_under_a_key_is_refused, 0, OPERATIONS);
    tcase_add_test(tests, what_was_refused_stays_refused_and_what_was_done_stays_done);
    tcase_add_test(tests, what_was_done_is_found_whatever_the_policy_says_now);
    tcase_add_loop_test(reading, reading_says_what_failed_or_tells_all, 0, READS);
    return suite;
}

int main(void)
{
    return run_store_suite(faults_suite());
}
