/*
 * Threads that create, approve, decide, list what is due, read policies, change them, assign, rotate
 * keys, verify the audit log, evaluate and refresh on one store at the same time. Meant to be run under
 * ThreadSanitizer; what it asserts by itself is that nobody gets another answer than those
 * that the rules allow, and that afterwards all fits together.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "crash/place.h"
#include "flagver/key.h"
#include "flagver/metric.h"
#include "flagver/rollout.h"
#include "flagver/store.h"
#include "seed.h"

#define P "plan"
#define SERIES 3
#define CHANGES 80 /* of each author */

static struct place place;
static flagver_client *client;
static atomic_bool over;
static atomic_int troubles, in_force;

static const char *const subjects[SERIES] = { "r/1", "r/2", "r/3" };

static const char *const tester[] = { "Tester" }, *const lead[] = { "Lead" };
static const flagver_actor
    ann = { .size = sizeof ann, .id = "ann", .roles = tester, .role_count = 1 },
    ben = { .size = sizeof ben, .id = "ben", .roles = lead, .role_count = 1 },
    eve = { .size = sizeof eve, .id = "eve" };

#define BY_LEADS "{\"any\":[{\"role_in\":[\"Lead\"]},{\"assigned\":\"owner\"}]}"
static const char *const policies[] = {
    "{\"approval\":{\"rule\":" BY_LEADS "},\"encrypt\":true,\"schema\":{\"type\":\"object\"}}",
    "{\"approval\":{\"rule\":" BY_LEADS ",\"stale\":\"allow\"},\"encrypt\":true}",
};

static void *trouble(const char *what, int r, const flagver_error *problem)
{
    complain("%s: %d %s", what, r, r < 0 ? problem->message : "");
    atomic_fetch_add(&troubles, 1);
    return NULL;
}

static int give_key(void *unused, const char *id, char ret_id[65], uint8_t ret_key[32])
{
    (void)unused;
    strcpy(ret_id, id ? id : "k");
    memset(ret_key, 'k', 32);
    return 0;
}

/* Answers that others may have caused. */
static bool is_lost_race(int r)
{
    return r == FLAGVER_ESTALE || r == FLAGVER_ESTATE || r == FLAGVER_ECONFLICT ||
           r == FLAGVER_EFROZEN || r == FLAGVER_ENOTFOUND;
}

/* ---- writing ---- */

struct draft {
    const char *subject;
    uint32_t no;
};

static int create_and_submit(void *data, flagver_txn *txn, flagver_error *err)
{
    static const flagver_item_content item = { "a", "1", 1 };
    struct draft *draft = data;
    flagver_version *version = NULL;
    int r;

    r = flagver_version_create(txn, P, draft->subject, "{\"a\":1}", 7, NULL, &version, err);
    if (r < 0)
        return r;
    draft->no = version->no;
    flagver_version_free(version);
    r = flagver_items_put(txn, P, draft->subject, draft->no, &item, 1, NULL, NULL, err);
    return r < 0 ? r : flagver_version_submit(txn, P, draft->subject, draft->no, NULL, NULL, err);
}

static void *create_on(void *number)
{
    struct seed seed = { (uint64_t) * (int *)number };
    flagver_error problem;
    struct draft draft;
    int i, r;

    for (i = 0; i < CHANGES; i++) {
        draft.subject = subjects[seed_below(&seed, SERIES)];
        r = flagver_txn_run(client, &ann, NULL, create_and_submit, &draft, &problem);
        if (r < 0)
            return trouble("creating", r, &problem);
    }
    return NULL;
}

static int decide_and_approve(void *data, flagver_txn *txn, flagver_error *err)
{
    static const char *const keys[] = { "a" };
    const struct draft *draft = data;
    int r;

    r = flagver_items_decide(txn, P, draft->subject, draft->no, keys, 1, FLAGVER_ITEM_APPROVED,
                             NULL, NULL, err);
    return r < 0 ? r : flagver_version_approve(txn, P, draft->subject, draft->no, NULL, NULL, err);
}

static int reject(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct draft *draft = data;

    return flagver_version_reject(txn, P, draft->subject, draft->no, NULL, NULL, err);
}

/* The subject and number of one that is due: visits must not write. */
struct found {
    char subject[16];
    uint32_t no;
};

static bool see_due(void *data, const flagver_version *version)
{
    struct found *found = data;

    if (strcmp(version->phase, P) == 0) {
        snprintf(found->subject, sizeof found->subject, "%s", version->subject);
        found->no = version->no;
    }
    return !found->no;
}

/* Several do it at once: each is approved by one of them. */
static void *approve_on(void *unused)
{
    const flagver_list_options options = { .size = sizeof options, .payload = 1 };
    struct found found;
    struct draft draft;
    flagver_error problem;
    int r;

    for (;;) {
        found.no = 0;
        r = flagver_version_due(client, &ben, NULL, &options, see_due, &found, &problem);
        if (r < 0)
            return trouble("listing what is due", r, &problem);
        if (!found.no && atomic_load(&over))
            return unused;
        if (!found.no)
            continue;
        draft = (struct draft){ found.subject, found.no };
        r = flagver_txn_run(client, &ben, NULL, decide_and_approve, &draft, &problem);
        if (r == FLAGVER_ESTALE)
            r = flagver_txn_run(client, &ben, NULL, reject, &draft, &problem);
        else
            atomic_fetch_add(&in_force, r == 0);
        if (r < 0 && !is_lost_race(r))
            return trouble("approving", r, &problem);
    }
}

/* ---- policies, roles, keys, flags ---- */

static int put_policy(void *data, flagver_txn *txn, flagver_error *err)
{
    const char *json = *(const char **)data;

    return flagver_version_put(txn, FLAGVER_PHASE_PHASE, P, json, strlen(json), NULL, NULL, err);
}

static int approve_policy(void *data, flagver_txn *txn, flagver_error *err)
{
    return flagver_version_approve(txn, FLAGVER_PHASE_PHASE, P, *(uint32_t *)data, NULL, NULL, err);
}

/* Nobody else changes it; the first is in force as version 1. */
static void *change_policies(void *unused)
{
    flagver_error problem;
    const char *json;
    uint32_t no;
    int r;

    for (no = 2; !atomic_load(&over); no++) {
        json = policies[no % 2];
        r = flagver_txn_run(client, &eve, NULL, put_policy, &json, &problem);
        if (r == 0)
            r = flagver_txn_run(client, &ben, NULL, approve_policy, &no, &problem);
        if (r < 0)
            return trouble("changing a policy", r, &problem);
        pause_us(500);
    }
    return unused;
}

static int assign_or_not(void *data, flagver_txn *txn, flagver_error *err)
{
    return *(int *)data ? flagver_assign(txn, "owner", "*/1", "zoe", NULL, NULL, err)
                        : flagver_unassign(txn, "owner", "*/1", "zoe", NULL, NULL, err);
}

static void *assign_on(void *unused)
{
    flagver_error problem;
    int add, r;

    for (add = 1; !atomic_load(&over); add = !add) {
        r = flagver_txn_run(client, &eve, NULL, assign_or_not, &add, &problem);
        if (r < 0)
            return trouble("assigning", r, &problem);
        pause_us(500);
    }
    return unused;
}

static int rotate(void *unused, flagver_txn *txn, flagver_error *err)
{
    (void)unused;
    return flagver_key_rotate(txn, NULL, err);
}

static bool see_key(void *unused, const flagver_data_key *key)
{
    (void)unused;
    if (!key->opens)
        trouble("a key does not open", (int)key->no, NULL);
    return true;
}

static void *rotate_on(void *unused)
{
    flagver_error problem;
    int i, r;

    for (i = 0; i < 8; i++) {
        r = flagver_txn_run(client, &eve, NULL, rotate, NULL, &problem);
        if (r == 0)
            r = flagver_key_list(client, see_key, NULL, &problem);
        if (r < 0)
            return trouble("rotating", r, &problem);
        pause_us(2000);
    }
    return unused;
}

static int put_flag(void *unused, flagver_txn *txn, flagver_error *err)
{
    static const char json[] = "{\"type\":\"boolean\"}";

    (void)unused;
    return flagver_flag_put(txn, "f", json, sizeof json - 1, NULL, NULL, err);
}

static void *evaluate_on(void *unused)
{
    flagver_detail detail = { .size = sizeof detail };
    flagver_error problem;
    int64_t last = 0;
    int i, r = 0;

    for (i = 0; r == 0 && !atomic_load(&over); i++) {
        flagver_flag_bool_detail(client, "f", NULL, false, &detail);
        if (detail.version < last)
            return trouble("an older version is served", (int)detail.version, NULL);
        last = detail.version;
        if (i % 50 == 0)
            r = flagver_txn_run(client, &ann, NULL, put_flag, NULL, &problem);
        if (i % 20 == 0 && r == 0)
            r = flagver_client_refresh(client, &problem);
        pause_us(100);
    }
    return r < 0 ? trouble("a flag", r, &problem) : unused;
}

/* ---- reading ---- */

static void find(void *unused, const char *line)
{
    (void)unused;
    trouble(line, 0, NULL);
}

/* The log is whole at any time, and each one begins with the one before. */
static void *verify_on(void *unused)
{
    uint8_t root[FLAGVER_HASH_SIZE], old_root[FLAGVER_HASH_SIZE];
    uint64_t size, old_size = 0;
    flagver_error problem;
    flagver_proof proof;
    int r;

    while (!atomic_load(&over)) {
        r = flagver_audit_verify(client, NULL, find, NULL, NULL, &problem);
        if (r == 0)
            r = flagver_audit_head(client, &size, root, &problem);
        if (r == 0 && old_size)
            r = flagver_audit_prove_consistency(client, old_size, size, &proof, &problem);
        if (r == 0 && old_size)
            r = flagver_audit_check_consistency(&proof, old_root, root, &problem);
        if (r != 0)
            return trouble("verifying", r, &problem);
        old_size = size;
        memcpy(old_root, root, sizeof root);
    }
    return unused;
}

static bool see_item(void *unused, const flagver_item *item)
{
    (void)unused;
    if (!item->payload || strcmp(item->payload, "1") != 0)
        trouble("an item says something else", 0, NULL);
    return true;
}

static bool see_vote(void *unused, const flagver_vote *vote)
{
    (void)unused;
    return vote->actor != NULL;
}

static void see_group(void *unused, const flagver_metric_group *group)
{
    (void)unused;
    if (group->states[FLAGVER_STATE_APPROVED] > group->created)
        trouble("more is approved than was created", 0, NULL);
}

/* All that is about the version in force. */
static int read_current(const char *subject, flagver_error *err)
{
    flagver_version *version = NULL;
    int r = flagver_version_current(client, P, subject, &version, err);

    if (r == FLAGVER_ENOTFOUND)
        return 0;
    if (r == 0 && strcmp(version->payload, "{\"a\":1}") != 0)
        trouble("a version says something else", 0, NULL);
    if (r == 0)
        r = flagver_items_list(client, P, subject, version->no, see_item, NULL, err);
    if (r == 0)
        r = flagver_votes_list(client, P, subject, version->no, see_vote, NULL, err);
    flagver_version_free(version);
    return r;
}

static void *read_on(void *unused)
{
    flagver_error problem;
    char *json;
    int i, r = 0;

    for (i = 0; r == 0 && !atomic_load(&over); i++) {
        r = read_current(subjects[i % SERIES], &problem);
        if (r == 0)
            r = flagver_version_metrics(client, NULL, see_group, NULL, &problem);
        if (r == 0)
            r = flagver_phase_policy(client, P, subjects[i % SERIES], &json, &problem);
        if (r == 0 && !strstr(json, "\"policy\":\"" P "\""))
            trouble("another policy", 0, NULL);
        if (r == 0)
            flagver_string_free(json);
    }
    return r < 0 ? trouble("reading", r, &problem) : unused;
}

/* ---- together ---- */

static atomic_uint asked;

static int ask_rules(void *unused, const flagver_actor *actor, const char *action,
                     const char *phase, const char *subject)
{
    (void)unused;
    atomic_fetch_add(&asked, actor->id && action && phase && subject);
    return FLAGVER_ASK_RULES;
}

static void open_client(const char *uri)
{
    const flagver_options options = { .size = sizeof options,
                                      .background = 1,
                                      .poll_ms = 1,
                                      .key = give_key,
                                      .authorize = ask_rules };
    const char *json = policies[1];

    assert_ok(flagver_open(uri, &options, &client, &error));
    assert_ok(flagver_txn_run(client, &eve, NULL, put_policy, &json, &error));
}

static void run_all(void)
{
    static void *(*const others[])(void *) = { approve_on, approve_on,  change_policies,
                                               assign_on,  rotate_on,   evaluate_on,
                                               verify_on,  evaluate_on, read_on };
    enum { OTHERS = sizeof others / sizeof *others, AUTHORS = 2 };
    pthread_t threads[OTHERS], authors[AUTHORS];
    int numbers[AUTHORS], i;

    for (i = 0; i < OTHERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, others[i], NULL), 0);
    for (i = 0; i < AUTHORS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&authors[i], NULL, create_on, &numbers[i]), 0);
    }
    for (i = 0; i < AUTHORS; i++)
        pthread_join(authors[i], NULL);
    atomic_store(&over, true);
    for (i = 0; i < OTHERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&troubles), 0);
}

static bool count_states(void *counts, const flagver_version *version)
{
    ((int *)counts)[version->state]++;
    return true;
}

/* Everything was decided, and each approval is there once. */
static void assert_all_there(void)
{
    int counts[FLAGVER_STATE_RECORDED + 1] = { 0 }, i;

    for (i = 0; i < SERIES; i++)
        assert_ok(
            flagver_version_history(client, P, subjects[i], NULL, count_states, counts, &error));
    ck_assert_int_eq(counts[FLAGVER_STATE_DRAFT] + counts[FLAGVER_STATE_SUBMITTED], 0);
    ck_assert_int_le(counts[FLAGVER_STATE_APPROVED], SERIES);
    ck_assert_int_gt(atomic_load(&in_force), SERIES);
    ck_assert_int_eq(counts[FLAGVER_STATE_APPROVED] + counts[FLAGVER_STATE_SUPERSEDED],
                     atomic_load(&in_force));
    ck_assert_int_eq(counts[FLAGVER_STATE_APPROVED] + counts[FLAGVER_STATE_SUPERSEDED] +
                         counts[FLAGVER_STATE_REJECTED],
                     2 * CHANGES);
    ck_assert_int_eq(flagver_audit_verify(client, NULL, find, NULL, NULL, &error), 0);
}

START_TEST(threads_may_do_all_of_it_at_once)
{
    place = place_new();
    open_client(_i ? place.uri : "memory:");
    run_all();
    assert_all_there();
    ck_assert_uint_gt(atomic_load(&asked), 0);
    flagver_close(client);
    place_remove(&place);
}
END_TEST

static Suite *approvals_suite(void)
{
    Suite *suite = suite_create("threads and approval");
    TCase *tests = tcase_create("at once");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, threads_may_do_all_of_it_at_once, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(approvals_suite());
}
