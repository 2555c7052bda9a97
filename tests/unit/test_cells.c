/*
 * Every action in every state under every kind of policy, through the public API, on stores of
 * every kind. The table is docs/versions.md's, written down a second time.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "records.h"

#define P "scoping"
#define ITEM "sample"

enum { NONE, DRAFT, SUBMITTED, APPROVED, SUPERSEDED, REJECTED, WITHDRAWN, RECORDED, STATES };
enum policy_kind { ONE, TWO, NOBODY_ASKED, AUDIT_ONLY, POLICIES };

#define TESTERS "{'role_in':['Tester','Test Lead','Test Manager']}"

static const char *const policies[POLICIES] = {
    [ONE] = "{'approval':{'rule':" TESTERS "}}",
    [TWO] = "{'approval':{'rule':" TESTERS ",'min':2}}",
    [NOBODY_ASKED] = "{'approval':{'rule':" TESTERS ",'min':0}}",
    [AUDIT_ONLY] = "{'versioning':'audit_only','approval':{'rule':" TESTERS "}}",
};

static const char *const state_names[STATES] = {
    "nothing", "draft", "submitted", "approved", "superseded", "rejected", "withdrawn", "recorded"
};

/* What comes of it: a state, or an error. FIT: what the policy makes of a submission. */
#define FIT 100
#define VOTED 101
#define BORN 102 /* a draft, or what FIT is where nobody is asked */
#define NOT FLAGVER_ENOTFOUND
#define STATE FLAGVER_ESTATE
#define FROZEN FLAGVER_EFROZEN
#define PHASE FLAGVER_EPHASE

/* Columns: nothing, draft, submitted, approved, superseded, rejected, withdrawn, recorded. */
static const int cells[DEEDS][STATES] = {
    [CREATE] = { DRAFT, DRAFT, DRAFT, DRAFT, DRAFT, DRAFT, DRAFT, DRAFT },
    [EDIT] = { NOT, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [REBASE] = { NOT, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [SUBMIT] = { NOT, FIT, STATE, STATE, STATE, STATE, STATE, PHASE },
    [RETURN] = { NOT, STATE, DRAFT, STATE, STATE, STATE, STATE, PHASE },
    [DECIDE] = { NOT, STATE, SUBMITTED, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [APPROVE] = { NOT, STATE, VOTED, STATE, STATE, STATE, STATE, PHASE },
    [REJECT] = { NOT, STATE, REJECTED, STATE, STATE, STATE, STATE, PHASE },
    [WITHDRAW] = { NOT, WITHDRAWN, WITHDRAWN, STATE, STATE, STATE, STATE, PHASE },
    [REVERT] = { NOT, STATE, STATE, BORN, BORN, BORN, BORN, PHASE },
    [RECORD] = { PHASE, PHASE, PHASE, PHASE, PHASE, PHASE, PHASE, PHASE },
    [REVIEW] = { NOT, STATE, STATE, STATE, STATE, STATE, STATE, PHASE },
    [PUT] = { FIT, FIT, FIT, FIT, FIT, FIT, FIT, PHASE },
    [REMOVE] = { NOT, NOT, NOT, FIT, FIT, NOT, NOT, PHASE },
    [ITEMS_PUT] = { NOT, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [ITEMS_REMOVE] = { NOT, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
};

/* In a phase that only records. */
static int expected_of_audit(enum deed deed, int state)
{
    if (deed == RECORD) /* not over what was approved */
        return state == APPROVED || state == SUPERSEDED ? PHASE : RECORDED;
    if (deed == REMOVE && state != APPROVED && state != SUPERSEDED && state != RECORDED)
        return NOT;
    return state == NONE && deed != CREATE && deed != PUT ? NOT : PHASE;
}

static int expected(enum policy_kind policy, enum deed deed, int state)
{
    int cell = cells[deed][state];

    if (policy == AUDIT_ONLY)
        return expected_of_audit(deed, state);
    switch (cell) {
    case FIT:
        return policy == NOBODY_ASKED ? APPROVED : SUBMITTED;
    case BORN:
        return policy == NOBODY_ASKED ? APPROVED : DRAFT;
    case VOTED:
        return policy == TWO ? SUBMITTED : APPROVED;
    default:
        return cell;
    }
}

/* ---- getting there ---- */

/* The policy, whatever the one before asks for. */
static void enforce(flagver_client *client, const char *json)
{
    flagver_actor actor = actor_of(&dan);
    flagver_version *version = NULL;
    const struct step put = { PUT, FLAGVER_PHASE_PHASE, P, .json = json };
    flagver_txn *txn;
    uint32_t no;
    int state;

    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(do_step(txn, &put, &version));
    state = version->state;
    no = version->no;
    flagver_version_free(version);
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    if (state == SUBMITTED)
        done(client, ben, APPROVE, FLAGVER_PHASE_PHASE, P, no);
}

static void bring(flagver_client *client, const char *subject, int state)
{
    if (state == NONE)
        return;
    if (state == RECORDED) {
        done(client, dan, RECORD, P, subject, .json = "1");
        return;
    }
    done(client, dan, CREATE, P, subject, .json = "1");
    done(client, dan, ITEMS_PUT, P, subject, 1, "1", ITEM);
    if (state == WITHDRAWN)
        done(client, dan, WITHDRAW, P, subject, 1);
    if (state == DRAFT || state == WITHDRAWN)
        return;
    done(client, dan, SUBMIT, P, subject, 1);
    if (state == REJECTED)
        done(client, ann, REJECT, P, subject, 1);
    if (state == APPROVED || state == SUPERSEDED)
        done(client, ann, APPROVE, P, subject, 1);
    if (state != SUPERSEDED)
        return;
    done(client, dan, CREATE, P, subject, .json = "2");
    done(client, dan, SUBMIT, P, subject, 2);
    done(client, ann, APPROVE, P, subject, 2);
}

/* Each by somebody who may: one who has written nothing decides. */
static const struct person *who(enum deed deed)
{
    return deed == DECIDE || deed == APPROVE || deed == REJECT || deed == REVIEW ? &cat : &dan;
}

static int act(flagver_client *client, const struct person *person, enum deed deed,
               const char *subject)
{
    bool item = deed == ITEMS_PUT || deed == ITEMS_REMOVE || deed == DECIDE;

    return attempt(client, person,
                   STEP(deed, P, subject, 1, "3", item ? ITEM : NULL, FLAGVER_ITEM_APPROVED));
}

/* ---- the cells ---- */

START_TEST(every_cell_is_what_the_table_says)
{
    int kind = _i % STORE_KINDS, policy = _i / STORE_KINDS % POLICIES,
        state = _i / STORE_KINDS / POLICIES, deed, result, wanted;
    flagver_client *client = open_store(kind);

    enforce(client, policies[state == RECORDED ? AUDIT_ONLY : ONE]);
    for (deed = 0; deed < DEEDS; deed++)
        bring(client, deed_names[deed], state);
    enforce(client, policies[policy]);
    for (deed = 0; deed < DEEDS; deed++) {
        wanted = expected((enum policy_kind)policy, (enum deed)deed, state);
        result = act(client, who((enum deed)deed), (enum deed)deed, deed_names[deed]);
        ck_assert_msg(result == wanted, "%s, %s, policy %d: %d instead of %d: %s",
                      state_names[state], deed_names[deed], policy, result, wanted,
                      result < 0 ? error.message : "");
    }
    flagver_close(client);
}
END_TEST

/* ---- what comes first of several things that are wrong ---- */

static int write_denied(void *data, const flagver_actor *actor, const char *action,
                        const char *phase, const char *subject)
{
    (void)data;
    (void)phase;
    (void)subject;
    return strcmp(actor->id, "eve") == 0 && strcmp(action, "create") != 0 ? FLAGVER_DENY
                                                                          : FLAGVER_ASK_RULES;
}

/* Nothing but that: neither in which state a version is nor what would be stale. */
START_TEST(who_may_not_learns_nothing_else)
{
    static const struct person eve = { "eve", { "Tester" } };
    int kind = _i % STORE_KINDS, state = DRAFT + _i / STORE_KINDS, deed;
    flagver_options options = quiet_options();
    flagver_client *client;

    options.authorize = write_denied;
    client = open_with(kind, &options);
    enforce(client, policies[state == RECORDED ? AUDIT_ONLY : ONE]);
    bring(client, "s", state);
    for (deed = 0; deed < DEEDS; deed++) {
        if (deed == CREATE || deed == PUT || deed == REMOVE)
            continue;
        ck_assert_msg(act(client, &eve, (enum deed)deed, "s") == FLAGVER_EDENIED, "%s in %s: %s",
                      deed_names[deed], state_names[state], error.message);
        ck_assert(strstr(error.message, "eve may not "));
    }
    flagver_close(client);
}
END_TEST

START_TEST(who_may_not_does_not_learn_what_a_schema_asks_for)
{
    flagver_client *client = open_store(_i);

    set_policy(client, &dan, P, "{'write':" TESTERS ",'schema':{'type':'integer'}}");
    refused(client, FLAGVER_EVALIDATION, ann, CREATE, P, "s", .json = "'x'");
    refused(client, FLAGVER_EDENIED, dan, CREATE, P, "s", .json = "'x'");
    flagver_close(client);
}
END_TEST

START_TEST(the_host_may_decide_in_place_of_the_rules)
{
    flagver_options options = quiet_options();
    flagver_client *client;

    options.authorize = write_denied;
    client = open_with(_i, &options);
    enforce(client, policies[ONE]);
    bring(client, "s", SUBMITTED);
    ck_assert_int_eq(act(client, &(struct person){ "eve", { "Tester" } }, APPROVE, "s"),
                     FLAGVER_EDENIED);
    assert_words("the host does not allow it");
    ck_assert_int_eq(act(client, &ann, APPROVE, "s"), APPROVED);
    flagver_close(client);
}
END_TEST

static bool count_visited(void *data, const flagver_version *version)
{
    (void)version;
    ++*(int *)data;
    return true;
}

static int count_due(flagver_client *client, const struct person *person)
{
    const flagver_actor actor = actor_of(person);
    int count = 0;

    assert_ok(flagver_version_due(client, &actor, NULL, NULL, count_visited, &count, &error));
    return count;
}

START_TEST(what_is_due_is_what_may_be_approved)
{
    flagver_options options = quiet_options();
    flagver_client *client;

    options.authorize = write_denied;
    client = open_with(_i, &options);
    enforce(client, policies[TWO]);
    bring(client, "draft", DRAFT);
    bring(client, "waits", SUBMITTED);
    ck_assert_int_eq(count_due(client, &ann), 1);
    ck_assert_int_eq(count_due(client, &dan), 0); /* no tester, and its author */
    ck_assert_int_eq(count_due(client, &(struct person){ "eve", { "Tester" } }), 0);
    done(client, ann, APPROVE, P, "waits", 1);
    ck_assert_int_eq(count_due(client, &ann), 0);
    ck_assert_int_eq(count_due(client, &ben), 1);
    flagver_close(client);
}
END_TEST

/* A tenant's own records and those of another: the other's are not there, in the same words. */
START_TEST(what_belongs_to_another_tenant_is_not_there)
{
    flagver_client *client = open_store(_i), *other = NULL;
    flagver_version *version = NULL;
    char id[40], words[FLAGVER_MESSAGE_SIZE];

    enforce(client, policies[ONE]);
    bring(client, "s", APPROVED);
    assert_ok(flagver_version_get(client, P, "s", 1, &version, &error));
    snprintf(id, sizeof id, "%s", version->id);
    flagver_version_free(version);
    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_by_id(other, id, &version, &error));
    strcpy(words, error.message);
    id[35] = id[35] == '0' ? '1' : '0'; /* nobody's */
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_by_id(other, id, &version, &error));
    words[strlen(words) - 1] = error.message[strlen(error.message) - 1] = '\0';
    ck_assert_str_eq(words, error.message);
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_get(other, P, "s", 1, &version, &error));
    refused(other, FLAGVER_ENOTFOUND, ann, APPROVE, P, "s", 1);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

/* ---- what is not kept ---- */

/* Of SQLite: others write payloads in other words. */
static bool file_contains(const char *path, const char *text)
{
    static char bytes[1 << 22];
    FILE *file = fopen(path, "rb");
    size_t length, i, wanted = strlen(text);

    ck_assert_msg(file != NULL, "%s", path);
    length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (i = 0; i + wanted <= length; i++)
        if (memcmp(bytes + i, text, wanted) == 0)
            return true;
    return false;
}

START_TEST(what_a_draft_said_before_is_not_kept)
{
    flagver_client *client = open_store(_i);

    enforce(client, policies[ONE]);
    done(client, dan, CREATE, P, "s", .json = "'SECRET-ONE'");
    done(client, dan, ITEMS_PUT, P, "s", 1, "'SECRET-TWO'", ITEM);
    done(client, dan, ITEMS_PUT, P, "s", 1, "'SECRET-THREE'", ITEM);
    done(client, dan, ITEMS_PUT, P, "s", 1, "'KEPT'", "other");
    done(client, dan, EDIT, P, "s", 1, "2");
    done(client, dan, ITEMS_REMOVE, P, "s", 1, NULL, ITEM);
    flagver_close(client);
    ck_assert(file_contains(file_named("store"), "KEPT"));
    ck_assert(!file_contains(file_named("store"), "SECRET"));
}
END_TEST

START_TEST(a_deletion_has_no_items)
{
    flagver_client *client = open_store(_i);

    enforce(client, policies[ONE]);
    bring(client, "s", APPROVED);
    refused(client, FLAGVER_EINVAL, dan, REMOVE, P, "s", .options.baseline_no = 1);
    done(client, dan, REMOVE, P, "s");
    done(client, dan, RETURN, P, "s", 2);
    refused(client, FLAGVER_ESTATE, dan, ITEMS_PUT, P, "s", 2, "1", ITEM);
    refused(client, FLAGVER_ESTATE, dan, EDIT, P, "s", 2, "1");
    flagver_close(client);
}
END_TEST

/* Two are to agree on policies; that a phase asks for nobody does not change that. */
START_TEST(what_policies_ask_for_is_not_undercut_by_one_of_them)
{
    flagver_client *client = open_store(_i);

    enforce(client, policies[NOBODY_ASKED]);
    set_policy(client, &dan, FLAGVER_PHASE_PHASE, "{'approval':{'rule':" TESTERS ",'min':2}}");
    ck_assert_int_eq(
        attempt(client, &dan, STEP(PUT, FLAGVER_PHASE_PHASE, P, .json = "{'shred':'anyone'}")),
        SUBMITTED);
    flagver_close(client);
}
END_TEST

/* ---- bad input ---- */

static const struct {
    const char *what;
    int code;
    const char *phase, *subject, *json, *words;
} bad[] = {
    { "an unknown phase", FLAGVER_ENOTFOUND, "unheard-of", "s", "1", "unheard-of" },
    { "no JSON", FLAGVER_EPARSE, P, "s", "{", "column" },
    { "a key twice", FLAGVER_EPARSE, P, "s", "{'a':1,'a':2}", "a" },
    { "too large a payload", FLAGVER_EVALIDATION, P, "s", "'12345678901234567890'",
      "allows up to 16" },
    { "what the schema refuses", FLAGVER_EVALIDATION, P "2", "s", "'x'", "" },
    { "a subject without bytes", FLAGVER_EINVAL, P, "", "1", "subject" },
    { "a policy with an unknown member", FLAGVER_EPARSE, FLAGVER_PHASE_PHASE, "x", "{'colour':1}",
      "colour" },
    { "an unknown rule", FLAGVER_EPARSE, FLAGVER_PHASE_PHASE, "x", "{'write':{'moon':'full'}}",
      "moon" },
    { "a policy of a phase that cannot be", FLAGVER_EPARSE, FLAGVER_PHASE_PHASE, "/x", "{}", "" },
    { "an audit of flags alone", FLAGVER_EPARSE, FLAGVER_PHASE_PHASE, "flagver.flag",
      "{'versioning':'audit_only'}", "" },
    { "a schema that is none", FLAGVER_EPARSE, FLAGVER_PHASE_PHASE, "x",
      "{'schema':{'type':'colour'}}", "colour" },
    { "an assignment of nobody", FLAGVER_EPARSE, FLAGVER_PHASE_ASSIGNMENT, "owner/a",
      "{'users':[]}", "users" },
};

START_TEST(bad_input_is_named_and_changes_nothing)
{
    flagver_client *client = open_store(_i);
    uint64_t leaves;
    int i;

    set_policy(client, &dan, P, "{'max_bytes':16}");
    set_policy(client, &dan, P "2", "{'schema':{'type':'integer'}}");
    leaves = leaves_of(client);
    for (i = 0; i < COUNT(bad); i++) {
        int result = attempt(client, &dan,
                             STEP(PUT, bad[i].phase, bad[i].subject, .json = bad[i].json));

        ck_assert_msg(result == bad[i].code, "%s: %d: %s", bad[i].what, result, error.message);
        ck_assert_msg(strstr(error.message, bad[i].words), "%s: %s", bad[i].what, error.message);
        ck_assert_uint_eq(leaves_of(client), leaves);
    }
    flagver_close(client);
}
END_TEST

static Suite *cells_suite(void)
{
    Suite *suite = suite_create("cells");
    TCase *table = add_store_tcase(suite, "table"), *others = add_store_tcase(suite, "others");

    tcase_set_tags(table, "slow");
    tcase_add_loop_test(table, every_cell_is_what_the_table_says, 0,
                        STORE_KINDS * POLICIES * STATES);
    tcase_add_loop_test(others, who_may_not_learns_nothing_else, 0, STORE_KINDS * RECORDED);
    tcase_add_loop_test(others, who_may_not_does_not_learn_what_a_schema_asks_for, 0, STORE_KINDS);
    tcase_add_loop_test(others, the_host_may_decide_in_place_of_the_rules, 0, STORE_KINDS);
    tcase_add_loop_test(others, what_is_due_is_what_may_be_approved, 0, STORE_KINDS);
    tcase_add_loop_test(others, what_belongs_to_another_tenant_is_not_there, 0, STORE_KINDS);
    tcase_add_loop_test(others, what_a_draft_said_before_is_not_kept, FAULT_KIND, FILE_KINDS);
    tcase_add_loop_test(others, a_deletion_has_no_items, 0, STORE_KINDS);
    tcase_add_loop_test(others, what_policies_ask_for_is_not_undercut_by_one_of_them, 0,
                        STORE_KINDS);
    tcase_add_loop_test(others, bad_input_is_named_and_changes_nothing, 0, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(cells_suite());
}
