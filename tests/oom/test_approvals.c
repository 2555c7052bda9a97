/*
 * Memory runs out at the k-th allocation, once or for good, for every k, in every call that came with
 * phases, approval, items, the audit and keys. A call that writes says so, hands out nothing,
 * ends its transaction and leaves the store as it was, to the byte of an export; one that reads
 * says so or tells the truth: above all nothing passes for wrong that is right. Nothing leaks.
 *
 * A call with very many allocations is not tried for every k: FLAGVER_OOM_STEPS says
 * from which k on some are left out.
 */
#define _GNU_SOURCE /* dladdr() */
#include <dlfcn.h>
#include <sqlite3.h>

#include "approvals.h"
#include "flagver/metric.h"
#include "oom/failing_malloc.h"
#include "records.h"
#include "seed.h"

#define KIND 3 /* a file of SQLite's */
#define STEPS 300

static flagver_client *client;
static bool persists;
static long tolerated; /* blocks that OpenSSL has leaked */

static long next_k(long k)
{
    const char *text = getenv("FLAGVER_OOM_STEPS");
    long all_until = text && atol(text) > 0 ? atol(text) : STEPS;

    return k + 1 + k / all_until * 7;
}

static void arm(long k)
{
    if (persists)
        failing_malloc_arm_all_after(k);
    else
        failing_malloc_arm(k);
}

/* ---- what is in the store ---- */

static sqlite3 *watcher;

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    char *text;
    long size;

    must(in && fseek(in, 0, SEEK_END) == 0 && (size = ftell(in)) >= 0, "%s cannot be read", path);
    rewind(in);
    text = malloc((size_t)size + 1);
    must(text && fread(text, 1, (size_t)size, in) == (size_t)size, "%s cannot be read", path);
    text[size] = '\0';
    fclose(in);
    return text;
}

static char *export_now(void)
{
    const char *path = file_named("export");

    assert_ok(flagver_store_export(store_uri(KIND), NULL, path, &error));
    return read_file(path);
}

/* SQLite counts the commits of others. */
static int commits(void)
{
    sqlite3_stmt *statement;
    int count;

    must(sqlite3_prepare_v2(watcher, "PRAGMA data_version", -1, &statement, NULL) == SQLITE_OK &&
             sqlite3_step(statement) == SQLITE_ROW,
         "the store cannot be watched");
    count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

struct state {
    char *text;
    int commits;
};

static struct state state_now(void)
{
    return (struct state){ export_now(), commits() };
}

/* Where nobody has committed it is the same; the export says so now and then, and at the end. */
static void check_unchanged(struct state *state, bool thoroughly, const char *when)
{
    int count = commits();
    char *text;

    if (count == state->commits && !thoroughly)
        return;
    text = export_now();
    must(strcmp(text, state->text) == 0, "%s: the store has changed", when);
    free(text);
    state->commits = count;
}

static void open_all(void)
{
    client = open_approvals(KIND);
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_int_eq(sqlite3_open(store_uri(KIND) + strlen("sqlite:"), &watcher), SQLITE_OK);
}

static void close_all(void)
{
    flagver_thread_release();
    flagver_close(client);
    sqlite3_close(watcher);
    client = NULL;
}

static void remove_store(void)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char path[160];
    int i;

    for (i = 0; i < COUNT(ends); i++) {
        snprintf(path, sizeof path, "%s%s", store_uri(KIND) + strlen("sqlite:"), ends[i]);
        remove(path);
    }
}

/* ---- operations ---- */

static struct ready ready;

/* In round 0 nothing fails: what the libraries allocate once and keep is there then. */
static void fail_in_rounds(void (*try)(bool failing), const char *name)
{
    long live = 0;
    int round;

    for (round = 0; round < 2; round++) {
        remove_store();
        live = failing_malloc_live();
        first_key = 'a';
        open_all();
        try(round > 0);
        close_all();
    }
    live = failing_malloc_live() - live - tolerated;
    ck_assert_msg(live <= 0, "%s leaks %ld blocks", name, live);
}

static flagver_txn *begin_ready(const char *key)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = key };

    return begin_as(client, &ready.actor, &options);
}

/* After an error that only memory makes: nothing else happens in this transaction. */
static void check_ended(flagver_txn *txn, const char *when)
{
    struct outcome outcome = untouched();
    char words[FLAGVER_MESSAGE_SIZE];

    strcpy(words, error.message);
    must(operate(txn, &ready, &outcome) == FLAGVER_ENOMEM && strcmp(words, error.message) == 0,
         "%s: the transaction goes on: %s", when, error.message);
    must(is_untouched(&outcome), "%s: it hands out something", when);
    must(flagver_txn_commit(txn, &error) == FLAGVER_ENOMEM, "%s: it can be committed", when);
}

/* One that is refused changes nothing, and the transaction goes on. */
static void check_refused(flagver_txn *txn, const char *when)
{
    int r = flagver_txn_commit(txn, &error);

    must(r == 0, "%s: refused, and then %d: %s", when, r, error.message);
}

/* Never committed. False: no allocation failed. */
static bool fail_operation(struct state *before, const char *key, long k)
{
    int code = ready.operation->code, r;
    struct outcome outcome = untouched();
    flagver_txn *txn = begin_ready(key);
    char when[96];

    snprintf(when, sizeof when, "%s, allocation %ld%s", ready.operation->name, k,
             persists ? " and all after it" : "");
    arm(k);
    r = operate(txn, &ready, &outcome);
    failing_malloc_disarm();
    must(r == code || (failing_malloc_failed() && r == FLAGVER_ENOMEM), "%s: %d: %s", when, r,
         error.message);
    must(r == 0 || (error.code == r && error.message[0]), "%s: without words", when);
    must(r == 0 || is_untouched(&outcome), "%s: it hands out something", when);
    if (r == FLAGVER_ENOMEM)
        check_ended(txn, when);
    else if (r < 0 && !key)
        check_refused(txn, when);
    flagver_txn_free(txn);
    free_outcome(&outcome);
    check_unchanged(before, k % 100 == 1, when);
    return failing_malloc_failed();
}

static void fail_each(const char *key)
{
    struct state before = state_now();
    long k;

    for (persists = false;; persists = true) {
        for (k = 1; fail_operation(&before, key, k); k = next_k(k))
            ;
        ck_assert_int_gt(k, 1);
        check_unchanged(&before, true, ready.operation->name);
        if (persists)
            break;
    }
    free(before.text);
}

/* It is done, or refused, for good. */
static void do_it(const char *key)
{
    struct outcome outcome = untouched();
    flagver_txn *txn = begin_ready(key);
    int r = operate(txn, &ready, &outcome);

    ck_assert_msg(r == ready.operation->code, "%s: %d: %s", ready.operation->name, r,
                  error.message);
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    free_outcome(&outcome);
}

static const struct operation *under_test;

static void try_operation(bool failing)
{
    get_ready(client, under_test, &ready);
    if (failing)
        fail_each(NULL);
    do_it(NULL);
}

START_TEST(an_operation_without_memory_does_nothing)
{
    under_test = &operations[_i];
    fail_in_rounds(try_operation, under_test->name);
}
END_TEST

static void try_replay(bool failing)
{
    get_ready(client, under_test, &ready);
    do_it("again");
    if (failing)
        fail_each("again");
    do_it("again");
}

START_TEST(an_operation_that_is_run_again_without_memory_does_nothing)
{
    under_test = &operations[_i];
    fail_in_rounds(try_replay, under_test->name);
}
END_TEST

/* ---- commits ---- */

/* False: no allocation failed. What was done is in *before then. */
static bool fail_commit(struct state *before, long k)
{
    struct outcome outcome = untouched();
    flagver_txn *txn = begin_ready(NULL);
    char when[96];
    bool failed;
    int r;

    snprintf(when, sizeof when, "%s, commit, allocation %ld%s", under_test->name, k,
             persists ? " and all after it" : "");
    assert_ok(operate(txn, &ready, &outcome));
    arm(k);
    r = flagver_txn_commit(txn, &error);
    failing_malloc_disarm();
    failed = failing_malloc_failed();
    flagver_txn_free(txn);
    free_outcome(&outcome);
    must(r == 0 || (failed && (r == FLAGVER_ENOMEM || r == FLAGVER_EBUSY || r == FLAGVER_EUNKNOWN)),
         "%s: %d: %s", when, r, error.message);
    must(r != 0 || commits() != before->commits, "%s: nothing has changed", when);
    if (r != 0 && r != FLAGVER_EUNKNOWN)
        check_unchanged(before, k % 100 == 1, when);
    if (commits() == before->commits)
        return failed;
    free(before->text);
    get_ready(client, under_test, &ready);
    *before = state_now();
    return failed;
}

static void try_commit(bool failing)
{
    struct state before;
    long k;

    get_ready(client, under_test, &ready);
    before = state_now();
    for (persists = false; failing; persists = true) {
        for (k = 1; fail_commit(&before, k); k = next_k(k))
            ;
        ck_assert_int_gt(k, 1);
        if (persists)
            break;
    }
    free(before.text);
    do_it(NULL);
}

START_TEST(a_commit_without_memory_does_all_or_nothing)
{
    under_test = &operations[_i];
    if (!under_test->code)
        fail_in_rounds(try_commit, under_test->name);
}
END_TEST

/* ---- reading ---- */

/* What a call hands out. */
static struct outputs {
    char *text, *other;
    flagver_version *version;
    uint64_t number;
    uint8_t root[FLAGVER_HASH_SIZE];
    flagver_proof proof;
    flagver_verify_result result;
    size_t length;
} outputs;

static unsigned seen;

static bool see_version(void *unused, const flagver_version *version)
{
    (void)unused;
    seen += version->no > 0 && version->created_by;
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

static bool see_key(void *unused, const flagver_data_key *key)
{
    (void)unused;
    seen += key->opens;
    return true;
}

static bool see_entry(void *unused, const flagver_audit_entry *entry)
{
    (void)unused;
    seen += entry->rule != NULL;
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
    seen++; /* more than there is */
}

#define DOCUMENT "document"

/* Two versions with items, a vote and a secret, and what waits for cat. */
static void fill(void)
{
    done(client, dan, CREATE, SECRET, DOCUMENT, .json = "{'a':1}");
    done(client, dan, ITEMS_PUT, SECRET, DOCUMENT, 1, "{'v':1}", "a");
    done(client, dan, SUBMIT, SECRET, DOCUMENT, 1);
    done(client, ben, DECIDE, SECRET, DOCUMENT, 1, .key = "a", .status = FLAGVER_ITEM_APPROVED);
    done(client, ann, APPROVE, SECRET, DOCUMENT, 1, .options.note = "fine");
    done(client, dan, CREATE, SECRET, DOCUMENT, .json = "{'a':2}", .options.baseline_no = 1);
    done(client, dan, SUBMIT, SECRET, DOCUMENT, 2);
    done(client, dan, CREATE, OWNED, DOCUMENT, .json = "1");
    done(client, dan, SUBMIT, OWNED, DOCUMENT, 1);
}

/* What calls are given. */
static char *signer, *verifier, *checkpoint;
static flagver_proof inclusion, consistency;
static uint8_t old_root[FLAGVER_HASH_SIZE], root[FLAGVER_HASH_SIZE];
static uint64_t old_size, size;
static char document_id[40];

static void find_id(void)
{
    flagver_version *version = NULL;

    assert_ok(flagver_version_get(client, SECRET, DOCUMENT, 1, &version, &error));
    snprintf(document_id, sizeof document_id, "%s", version->id);
    flagver_version_free(version);
}

static void collect_evidence(void)
{
    assert_ok(flagver_audit_head(client, &old_size, old_root, &error));
    fill();
    find_id();
    assert_ok(flagver_audit_head(client, &size, root, &error));
    assert_ok(flagver_audit_keygen("example.com", &signer, &verifier, &error));
    assert_ok(flagver_audit_checkpoint(client, NULL, signer, &checkpoint, &error));
    assert_ok(flagver_audit_prove_inclusion(client, 3, 0, &inclusion, &error));
    assert_ok(flagver_audit_prove_consistency(client, old_size, 0, &consistency, &error));
    assert_ok(flagver_store_export(store_uri(KIND), NULL, file_named("export"), &error));
}

static void drop_evidence(void)
{
    flagver_string_free(signer);
    flagver_string_free(verifier);
    flagver_string_free(checkpoint);
}

static int read_current(void)
{
    return flagver_version_current(client, SECRET, DOCUMENT, &outputs.version, &error);
}

static int read_number(void)
{
    return flagver_version_get(client, SECRET, DOCUMENT, 2, &outputs.version, &error);
}

static int read_by_id(void)
{
    return flagver_version_by_id(client, document_id, &outputs.version, &error);
}

static int read_past(void)
{
    return flagver_version_as_of(client, SECRET, DOCUMENT, INT64_MAX / 2, &outputs.version, &error);
}

static int read_history(void)
{
    const flagver_list_options options = { .size = sizeof options, .payload = 1 };

    return flagver_version_history(client, SECRET, DOCUMENT, &options, see_version, NULL, &error);
}

static int list_states(void)
{
    const flagver_list_options options = { .size = sizeof options,
                                           .payload = 1,
                                           .states = FLAGVER_STATES(FLAGVER_STATE_SUBMITTED) |
                                                     FLAGVER_STATES(FLAGVER_STATE_APPROVED),
                                           .author = "dan" };

    return flagver_version_list(client, SECRET, &options, see_version, NULL, &error);
}

static int list_due(void)
{
    const flagver_actor actor = actor_of(&cat);
    const flagver_list_options options = { .size = sizeof options, .payload = 1 };

    return flagver_version_due(client, &actor, NULL, &options, see_version, NULL, &error);
}

static int describe_policy(void)
{
    return flagver_phase_policy(client, PLAIN, DOCUMENT, &outputs.text, &error);
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

static int compare(void)
{
    return flagver_version_diff(client, SECRET, DOCUMENT, 1, 2, FLAGVER_DIFF_LINES, &outputs.text,
                                &error);
}

static int list_keys(void)
{
    return flagver_key_list(client, see_key, NULL, &error);
}

static int measure(void)
{
    const flagver_metric_options options = { .size = sizeof options, .parts = 1, .by_month = 1 };

    return flagver_version_metrics(client, &options, see_group, NULL, &error);
}

static int read_log(void)
{
    return flagver_audit_log(client, 0, 0, see_entry, NULL, &outputs.number, &error);
}

static int read_head(void)
{
    return flagver_audit_head(client, &outputs.number, outputs.root, &error);
}

static int make_checkpoint(void)
{
    return flagver_audit_checkpoint(client, NULL, signer, &outputs.text, &error);
}

static int prove_inclusion(void)
{
    return flagver_audit_prove_inclusion(client, 3, 0, &outputs.proof, &error);
}

static int prove_consistency(void)
{
    return flagver_audit_prove_consistency(client, old_size, 0, &outputs.proof, &error);
}

static int verify(void)
{
    return flagver_audit_verify(client, NULL, see_finding, NULL, &outputs.result, &error);
}

static int verify_checkpoint(void)
{
    const flagver_verify_options options = { .size = sizeof options,
                                             .checkpoint = checkpoint,
                                             .checkpoint_length = strlen(checkpoint),
                                             .verifier = verifier,
                                             .tree_only = 1 };

    return flagver_audit_verify(client, &options, see_finding, NULL, &outputs.result, &error);
}

static int verify_file(void)
{
    return flagver_audit_verify_file(file_named("export"), NULL, see_finding, NULL, &outputs.result,
                                     &error);
}

static int generate_key(void)
{
    return flagver_audit_keygen("example.com", &outputs.text, &outputs.other, &error);
}

static int read_checkpoint(void)
{
    return flagver_audit_read_checkpoint(checkpoint, strlen(checkpoint), verifier, &outputs.number,
                                         outputs.root, &error);
}

static int check_inclusion(void)
{
    return flagver_audit_check_inclusion(&inclusion, root, &error);
}

static int check_consistency(void)
{
    return flagver_audit_check_consistency(&consistency, old_root, root, &error);
}

static int decrypt(void)
{
    static const char token[] =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64j"
        "VmpU4IwqDA==";

    return flagver_fernet_decrypt("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", token,
                                  sizeof token - 1, &outputs.text, &outputs.length, &error);
}

static const struct read {
    const char *name;
    int (*run)(void);
    bool differs; /* from time to time */
} reads[] = {
    { "current", read_current, false },
    { "get", read_number, false },
    { "by id", read_by_id, false },
    { "as of", read_past, false },
    { "history", read_history, false },
    { "list by states", list_states, false },
    { "due", list_due, false },
    { "policy", describe_policy, false },
    { "items", list_items, false },
    { "votes", list_votes, false },
    { "authors", list_authors, false },
    { "diff", compare, false },
    { "keys", list_keys, false },
    { "metrics", measure, false },
    { "log", read_log, false },
    { "head", read_head, false },
    { "checkpoint", make_checkpoint, false },
    { "prove inclusion", prove_inclusion, false },
    { "prove consistency", prove_consistency, false },
    { "verify", verify, false },
    { "verify with a checkpoint", verify_checkpoint, false },
    { "verify a file", verify_file, false },
    { "generate a key", generate_key, true },
    { "read a checkpoint", read_checkpoint, false },
    { "check inclusion", check_inclusion, false },
    { "check consistency", check_consistency, false },
    { "decrypt a token", decrypt, false },
};
#define READS COUNT(reads)

/* Nothing is handed out where this is still there. */
static void clear_outputs(void)
{
    memset(&outputs, 0x5a, sizeof outputs);
    seen = 0;
}

static bool is_text(const char *text)
{
    static struct outputs none;

    memset(&none, 0x5a, sizeof none);
    return text != none.text;
}

static void free_outputs(struct outputs *given)
{
    if (is_text(given->text))
        flagver_string_free(given->text);
    if (is_text(given->other))
        flagver_string_free(given->other);
    if (is_text((const char *)given->version))
        flagver_version_free(given->version);
}

static bool are_untouched(void)
{
    static struct outputs none;

    memset(&none, 0x5a, sizeof none);
    return memcmp(&outputs, &none, sizeof none) == 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return is_text(a) && is_text(b) ? strcmp(a, b) == 0 : is_text(a) == is_text(b);
}

/* What was handed out when there was memory. */
static struct outputs expected;
static unsigned expected_seen;

static bool are_as_expected(void)
{
    return is_same_text(outputs.text, expected.text) && outputs.number == expected.number &&
           memcmp(outputs.root, expected.root, sizeof outputs.root) == 0 &&
           memcmp(&outputs.proof, &expected.proof, sizeof outputs.proof) == 0 &&
           memcmp(&outputs.result, &expected.result, sizeof outputs.result) == 0 &&
           (!is_text((const char *)expected.version) ||
            strcmp(outputs.version->payload, expected.version->payload) == 0) &&
           outputs.length == expected.length && seen == expected_seen;
}

/*
 * When its own context cannot be made, OpenSSL 3.0 does not free what it has of it; nor all
 * names that it could not add to one.
 */
static bool openssl_may_leak(void)
{
    const void *caller = failing_malloc_caller();
    Dl_info library;

    return caller && dladdr(caller, &library) && library.dli_fname &&
           strstr(library.dli_fname, "libcrypto");
}

/* False: no allocation failed. */
static bool fail_read(const struct read *read, long k)
{
    long live = failing_malloc_live();
    char when[96];
    bool failed;
    int r;

    snprintf(when, sizeof when, "%s, allocation %ld%s", read->name, k,
             persists ? " and all after it" : "");
    clear_outputs();
    arm(k);
    r = read->run();
    failing_malloc_disarm();
    failed = failing_malloc_failed();
    must(r == 0 || (failed && r == FLAGVER_ENOMEM), "%s: %d: %s", when, r, error.message);
    must(r == 0 || (error.code == r && error.message[0]), "%s: without words", when);
    must(r == 0 || are_untouched(), "%s: it hands out something", when);
    must(r != 0 || read->differs || are_as_expected(), "%s: it says something else", when);
    free_outputs(&outputs);
    if (openssl_may_leak() && failing_malloc_live() > live)
        tolerated += failing_malloc_live() - live;
    return failed;
}

static void read_all_of(const struct read *read, bool failing)
{
    long k;

    clear_outputs();
    assert_ok(read->run());
    expected = outputs;
    expected_seen = seen;
    for (persists = false; failing; persists = true) {
        for (k = 1; fail_read(read, k); k = next_k(k))
            ;
        ck_assert_int_gt(k, 1);
        if (persists)
            break;
    }
    free_outputs(&expected);
}

static const struct read *read_under_test;

static void try_read(bool failing)
{
    collect_evidence();
    read_all_of(read_under_test, failing);
    drop_evidence();
}

START_TEST(reading_without_memory_says_so_or_tells_the_truth)
{
    read_under_test = &reads[_i];
    fail_in_rounds(try_read, read_under_test->name);
}
END_TEST

static Suite *approvals_suite(void)
{
    Suite *suite = suite_create("memory runs out under approval");
    TCase *tests = add_store_tcase(suite, "calls");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, an_operation_without_memory_does_nothing, 0, OPERATIONS);
    tcase_add_loop_test(tests, an_operation_that_is_run_again_without_memory_does_nothing, 0,
                        OPERATIONS);
    tcase_add_loop_test(tests, a_commit_without_memory_does_all_or_nothing, 0, OPERATIONS);
    tcase_add_loop_test(tests, reading_without_memory_says_so_or_tells_the_truth, 0, READS);
    return suite;
}

int main(void)
{
    return run_store_suite(approvals_suite());
}
