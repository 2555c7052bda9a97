/*
 * Policies and assignments as records hold them: what is read from them, what is
 * refused, and how a policy is described.
 */
#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/policy.h"
#include "codec/schema.h"
#include "flags.h"
#include "flagver/version.h"

static struct fv_arena arena;
static struct fv_policy policy;
static struct fv_text out = FV_TEXT_INIT;

static void set_up(void)
{
    fv_arena_init(&arena, NULL, 256);
    memset(&policy, 0, sizeof policy);
}

static void clear(void)
{
    fv_policy_clear(&policy);
    fv_arena_clear(&arena);
    fv_text_clear(&out);
}

static int read_policy(const char *json)
{
    char *text = quoted(json);
    int r;

    fv_policy_clear(&policy);
    r = fv_policy_read(text, strlen(text), &arena, &policy, &error);
    free(text);
    return r;
}

/* ---- what is read ---- */

START_TEST(a_policy_that_says_nothing_asks_for_approval_that_nobody_can_give)
{
    assert_ok(read_policy("{}"));
    ck_assert(!policy.audit_only && !policy.allow_self && !policy.allow_stale);
    ck_assert(!policy.items_complete && !policy.encrypt);
    ck_assert_uint_eq(policy.approvals, 1);
    ck_assert_uint_eq(policy.max_bytes, 0);
    ck_assert_ptr_null(policy.schema);
    ck_assert_int_eq(policy.write.kind, FV_PERMIT_ANYONE);
    ck_assert_int_eq(policy.approve.kind, FV_PERMIT_NOBODY);
    ck_assert_int_eq(policy.shred.kind, FV_PERMIT_NOBODY);
    ck_assert_int_eq(policy.emergency.kind, FV_PERMIT_NOBODY);
}
END_TEST

START_TEST(a_policy_may_say_everything)
{
    const struct fv_permit *rule;
    json_t *payload = json_pack("{s:i}", "a", 1);

    assert_ok(read_policy(
        "{'versioning': 'full', 'name': 'Scoping', 'description': 'What is tested',"
        " 'approval': {'required': true, 'min': 2, 'allow_self': true, 'stale': 'allow',"
        "  'items_complete': true, 'rule': {'any': [{'assigned': 'report_owner'},"
        "  {'all': [{'role_in': ['Lead', 'Manager']}, 'anyone']}]}},"
        " 'write': {'role_in': ['Tester']}, 'shred': {'assigned': 'officer'},"
        " 'emergency': 'nobody', 'encrypt': true, 'max_bytes': 4096,"
        " 'schema': {'type': 'object', 'properties': {'a': {'type': 'string'}}}}"));
    ck_assert(!policy.audit_only && policy.allow_self && policy.allow_stale);
    ck_assert(policy.items_complete && policy.encrypt);
    ck_assert_uint_eq(policy.approvals, 2);
    ck_assert_uint_eq(policy.max_bytes, 4096);

    rule = &policy.approve;
    ck_assert_int_eq(rule->kind, FV_PERMIT_ANY);
    ck_assert_uint_eq(rule->rule_count, 2);
    ck_assert_int_eq(rule->rules[0].kind, FV_PERMIT_ASSIGNED);
    ck_assert_uint_eq(rule->rules[0].name_count, 1);
    ck_assert_str_eq(rule->rules[0].names[0], "report_owner");
    rule = &rule->rules[1];
    ck_assert_int_eq(rule->kind, FV_PERMIT_ALL);
    ck_assert_uint_eq(rule->rule_count, 2);
    ck_assert_int_eq(rule->rules[0].kind, FV_PERMIT_ROLE_IN);
    ck_assert_uint_eq(rule->rules[0].name_count, 2);
    ck_assert_str_eq(rule->rules[0].names[0], "Lead");
    ck_assert_str_eq(rule->rules[0].names[1], "Manager");
    ck_assert_int_eq(rule->rules[1].kind, FV_PERMIT_ANYONE);

    ck_assert_int_eq(policy.write.kind, FV_PERMIT_ROLE_IN);
    ck_assert_str_eq(policy.write.names[0], "Tester");
    ck_assert_int_eq(policy.shred.kind, FV_PERMIT_ASSIGNED);
    ck_assert_int_eq(policy.emergency.kind, FV_PERMIT_NOBODY);

    ck_assert_ptr_nonnull(policy.schema);
    assert_fails(FLAGVER_EVALIDATION, fv_schema_check(policy.schema, payload, &error));
    assert_words("/a: must be a string, not an integer");
    json_decref(payload);
}
END_TEST

static const struct {
    const char *json;
    uint32_t approvals;
    bool audit_only;
} approvals[] = {
    { "{'approval': {}}", 1, false },
    { "{'approval': {'min': 3}}", 3, false },
    { "{'approval': {'min': 0}}", 0, false },
    { "{'approval': {'min': 100}}", 100, false },
    { "{'approval': {'required': false}}", 0, false },
    { "{'approval': {'required': false, 'min': 2}}", 0, false },
    { "{'versioning': 'audit_only'}", 0, true },
    { "{'versioning': 'audit_only', 'approval': {'required': false}}", 0, true },
    { "{'versioning': 'audit_only', 'approval': {'rule': 'anyone'}}", 0, true },
};

START_TEST(how_many_approvals_it_takes)
{
    assert_ok(read_policy(approvals[_i].json));
    ck_assert_uint_eq(policy.approvals, approvals[_i].approvals);
    ck_assert_int_eq(policy.audit_only, approvals[_i].audit_only);
}
END_TEST

/* ---- what is refused ---- */

struct refusal {
    const char *json, *words;
    int column;
};

static const struct refusal refusals[] = {
    { "", "line 1, column 1", 1 },
    { "[]", "(root): must be an object, not an array", 1 },
    { "null", "(root): must be an object, not null", 1 },
    { "{'versions': 'full'}", "/versions: unknown key \"versions\"; known are versioning", 2 },
    { "{'versioning': 'both'}", "/versioning: must be \"full\" or \"audit_only\", not \"both\"",
      16 },
    { "{'versioning': true}", "/versioning: must be a string", 16 },
    { "{'approval': true}", "/approval: must be an object, not a boolean", 14 },
    { "{'approval': {'by': 'anyone'}}", "/approval/by: unknown key \"by\"", 15 },
    { "{'approval': {'required': 1}}", "/approval/required: must be true or false", 27 },
    { "{'approval': {'min': -1}}", "/approval/min: is -1; 0 to 100 allowed", 22 },
    { "{'approval': {'min': 101}}", "/approval/min: is 101; 0 to 100 allowed", 22 },
    { "{'approval': {'min': 1.0}}", "/approval/min: must be an integer", 22 },
    { "{'approval': {'allow_self': 'no'}}", "/approval/allow_self: must be true or false", 29 },
    { "{'approval': {'stale': 'fine'}}",
      "/approval/stale: must be \"reject\" or \"allow\", not \"fine\"", 24 },
    { "{'approval': {'items_complete': null}}", "/approval/items_complete: must be true or false",
      33 },
    { "{'versioning': 'audit_only', 'approval': {'required': true}}",
      "/approval/required: what is only recorded is not approved", 55 },
    { "{'encrypt': 1}", "/encrypt: must be true or false", 13 },
    { "{'max_bytes': 0}", "/max_bytes: is 0; 1 to 16777216 allowed", 15 },
    { "{'max_bytes': 16777217}", "/max_bytes: is 16777217; 1 to 16777216 allowed", 15 },
    { "{'max_bytes': '1'}", "/max_bytes: must be an integer", 15 },
    { "{'name': 1}", "/name: must be a string", 10 },
    { "{'description': []}", "/description: must be a string", 17 },
    { "{'schema': {'type': 'objekt'}}", "/schema/type: unknown type \"objekt\"", 21 },
    { "{'schema': {'if': {}}}", "/schema/if: unknown key \"if\"", 13 },
    { "{'schema': 1}", "/schema: must be a schema", 12 },

    /* Rules. */
    { "{'write': 'everyone'}", "/write: unknown rule \"everyone\"; known are anyone, nobody", 11 },
    { "{'write': 1}", "/write: must be a rule: a string or an object, not an integer", 11 },
    { "{'write': {}}", "/write: a rule has one of role_in, assigned, any, all; this one has 0",
      11 },
    { "{'shred': {'role_in': ['a'], 'assigned': 'b'}}", "/shred: a rule has one of", 11 },
    { "{'shred': {'role': 'a'}}", "/shred/role: unknown key \"role\"", 12 },
    { "{'emergency': {'role_in': 'a'}}", "/emergency/role_in: must be an array", 27 },
    { "{'write': {'role_in': []}}", "/write/role_in: must not be empty", 23 },
    { "{'write': {'role_in': ['a', 1]}}", "/write/role_in/1: must be a string", 29 },
    { "{'write': {'role_in': ['']}}", "/write/role_in/0: role is 0 bytes; 1 to 255 allowed", 24 },
    { "{'write': {'role_in': ['a\\n']}}", "/write/role_in/0: role holds a control character", 24 },
    { "{'write': {'assigned': ['a']}}", "/write/assigned: must be a string", 24 },
    { "{'write': {'assigned': ''}}", "/write/assigned: role is 0 bytes; 1 to 64 allowed", 0 },
    { "{'write': {'assigned': 'a/b'}}",
      "/write/assigned: a role that is assigned cannot hold a \"/\"", 24 },
    { "{'write': {'any': []}}", "/write/any: must not be empty", 19 },
    { "{'write': {'all': {}}}", "/write/all: must be an array", 19 },
    { "{'approval': {'rule': {'all': ['anyone', 'x']}}}",
      "/approval/rule/all/1: unknown rule \"x\"", 42 },
};

START_TEST(a_malformed_policy_is_refused_with_its_place)
{
    const struct refusal *row = &refusals[_i];

    assert_fails(FLAGVER_EPARSE, read_policy(row->json));
    assert_words(row->words);
    if (row->column)
        ck_assert_int_eq(error.column, row->column);
    ck_assert_ptr_null(policy.schema);
}
END_TEST

static char *rules_inside_each_other(int depth)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    fv_text_add(&text, "{'write': ");
    for (i = 1; i < depth; i++)
        fv_text_add(&text, "{'any': [");
    fv_text_add(&text, "'anyone'");
    for (i = 1; i < depth; i++)
        fv_text_add(&text, "]}");
    fv_text_add(&text, "}");
    return fv_text_detach(&text);
}

START_TEST(rules_nest_sixteen_deep)
{
    char *text = rules_inside_each_other(FV_PERMIT_DEPTH_LIMIT);

    assert_ok(read_policy(text));
    free(text);
    text = rules_inside_each_other(FV_PERMIT_DEPTH_LIMIT + 1);
    assert_fails(FLAGVER_EPARSE, read_policy(text));
    assert_words("rules are nested deeper than 16");
    free(text);
}
END_TEST

START_TEST(roles_have_a_longest_name)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_format(&text, "{'write': {'assigned': '%064d'}, 'shred': {'role_in': ['%0255d']}}", 1,
                   1);
    assert_ok(read_policy(text.data));
    fv_text_reset(&text);
    fv_text_format(&text, "{'write': {'assigned': '%065d'}}", 1);
    assert_fails(FLAGVER_EPARSE, read_policy(text.data));
    assert_words("role is 65 bytes; 1 to 64 allowed");
    fv_text_reset(&text);
    fv_text_format(&text, "{'write': {'role_in': ['%0256d']}}", 1);
    assert_fails(FLAGVER_EPARSE, read_policy(text.data));
    assert_words("role is 256 bytes; 1 to 255 allowed");
    fv_text_clear(&text);
}
END_TEST

START_TEST(errors_may_go_unread)
{
    ck_assert_int_eq(fv_policy_read("{\"write\":1}", 11, &arena, &policy, NULL), FLAGVER_EPARSE);
    ck_assert_int_eq(fv_policy_read("{", 1, &arena, &policy, NULL), FLAGVER_EPARSE);
    ck_assert_int_eq(fv_assignment_check("a/b", "{}", 2, NULL), FLAGVER_EPARSE);
}
END_TEST

/* ---- which phases may have it ---- */

static const struct {
    const char *subject, *json, *words;
} subjects[] = {
    { "scoping", "{'versioning': 'audit_only', 'encrypt': true}", NULL },
    { "scoping/cycle-7/", "{}", NULL },
    { "flagver.flag", "{}", NULL },
    { "flagver.flag/pay_", "{'approval': {'min': 2}}", NULL },
    { "flagver.segment", "{}", NULL },
    { "flagver.phase", "{}", NULL },
    { "flagver.assignment/owner/", "{}", NULL },
    { "flagverflag", "{'encrypt': true}", NULL },
    { "", "{}", "phase is 0 bytes; 1 to 64 allowed" },
    { "/cycle-7", "{}", "phase is 0 bytes" },
    { "flagver.flags", "{}",
      "phase \"flagver.flags\": names that begin with \"flagver.\" are reserved" },
    { "flagver./x", "{}", "reserved" },
    { "flagver.flag", "{'versioning': 'audit_only'}",
      "phase \"flagver.flag\" cannot have \"versioning\": \"audit_only\"" },
    { "flagver.segment/a", "{'encrypt': true}",
      "phase \"flagver.segment\" cannot have \"encrypt\"" },
    { "flagver.phase", "{'schema': {}}", "phase \"flagver.phase\" cannot have a \"schema\"" },
    { "flagver.assignment", "{'schema': true}", "cannot have a \"schema\"" },
};

START_TEST(not_every_phase_may_have_every_policy)
{
    assert_ok(read_policy(subjects[_i].json));
    if (subjects[_i].words) {
        assert_fails(FLAGVER_EPARSE,
                     fv_policy_check_subject(subjects[_i].subject, &policy, &error));
        assert_words(subjects[_i].words);
    } else {
        assert_ok(fv_policy_check_subject(subjects[_i].subject, &policy, &error));
    }
}
END_TEST

START_TEST(a_phase_has_a_longest_name)
{
    char subject[80] = "";

    assert_ok(read_policy("{}"));
    memset(subject, 'p', 64);
    strcpy(subject + 64, "/prefix");
    assert_ok(fv_policy_check_subject(subject, &policy, &error));
    strcpy(subject + 64, "p/prefix");
    assert_fails(FLAGVER_EPARSE, fv_policy_check_subject(subject, &policy, &error));
    assert_words("phase is 65 bytes; 1 to 64 allowed");
}
END_TEST

/* ---- for people ---- */

static const struct {
    const char *json, *described;
} descriptions[] = {
    { "{}", "{'approval':{'allow_self':false,'items_complete':false,'min':1,'required':true,"
            "'rule':'nobody','stale':'reject'},'emergency':'nobody','encrypt':false,"
            "'max_bytes':16777216,'policy':'p','shred':'nobody','version':3,'versioning':'full',"
            "'write':'anyone'}" },
    { "{'versioning': 'audit_only', 'name': 'N', 'description': 'D', 'encrypt': true,"
      " 'schema': {'type': 'object', 'maxProperties': 3}, 'max_bytes': 10,"
      " 'write': {'role_in': ['a', 'b\\'']}, 'shred': {'assigned': 'r'},"
      " 'emergency': {'any': [{'all': ['anyone', {'role_in': ['c']}]}, 'nobody']}}",
      "{'approval':{'allow_self':false,'items_complete':false,'min':0,'required':false,"
      "'rule':'nobody','stale':'reject'},'description':'D',"
      "'emergency':{'any':[{'all':['anyone',{'role_in':['c']}]},'nobody']},'encrypt':true,"
      "'max_bytes':10,'name':'N','policy':'p','schema':{'maxProperties':3,'type':'object'},"
      "'shred':{'assigned':'r'},'version':3,'versioning':'audit_only',"
      "'write':{'role_in':['a','b\\'']}}" },
    { "{'approval': {'min': 2, 'allow_self': true, 'stale': 'allow', 'items_complete': true,"
      " 'rule': 'anyone'}}",
      "{'approval':{'allow_self':true,'items_complete':true,'min':2,'required':true,"
      "'rule':'anyone','stale':'allow'},'emergency':'nobody','encrypt':false,"
      "'max_bytes':16777216,'policy':'p','shred':'nobody','version':3,'versioning':'full',"
      "'write':'anyone'}" },
};

START_TEST(a_description_has_all_defaults_filled_in_and_is_canonical)
{
    char *json = quoted(descriptions[_i].json), *expected = quoted(descriptions[_i].described);
    struct fv_text again = FV_TEXT_INIT;
    json_t *root;

    assert_ok(read_policy(descriptions[_i].json));
    policy.subject = "p";
    policy.no = 3;
    fv_text_add(&out, "before ");
    assert_ok(fv_policy_describe(&policy, json, strlen(json), &out, &error));
    ck_assert_str_eq(out.data + strlen("before "), expected);

    assert_ok(fv_json_parse(expected, strlen(expected), NULL, &root, &error));
    assert_ok(fv_canonical_write(&again, root, &error));
    ck_assert_str_eq(again.data, expected);
    json_decref(root);
    fv_text_clear(&again);
    free(json);
    free(expected);
}
END_TEST

START_TEST(a_description_says_what_was_read)
{
    char *again;
    size_t i;

    /* But for "policy" and "version" it can be read again, and means the same. */
    for (i = 0; i < (size_t)COUNT(descriptions); i++) {
        assert_ok(read_policy(descriptions[i].json));
        policy.subject = "";
        fv_text_reset(&out);
        assert_ok(fv_policy_describe(&policy, NULL, 0, &out, &error));
        again = strstr(out.data, "\"policy\":\"\",");
        ck_assert_ptr_nonnull(again);
        memset(again, ' ', strlen("\"policy\":\"\","));
        again = strstr(out.data, "\"version\":0,");
        ck_assert_ptr_nonnull(again);
        memset(again, ' ', strlen("\"version\":0,"));
        assert_ok(read_policy(out.data));
    }
}
END_TEST

/* ---- assignments ---- */

static const struct {
    const char *subject, *json, *words;
} assignments[] = {
    { "report_owner/*/report-12", "{'users': ['alice']}", NULL },
    { "report_owner/*", "{'users': ['alice', 'bob', 'alice']}", NULL },
    { "r/1/2/3/4/5/6/7/8", "{'users': ['a']}", NULL },
    { "r/1/2/3/4/5/6/7/8/9", "{'users': ['a']}", "has 9 parts; up to 8 allowed" },
    { "r", "{'users': ['a']}", "\"r\" does not say for which subject" },
    { "r/", "{'users': ['a']}", "does not say for which subject" },
    { "/a", "{'users': ['a']}", "role is 0 bytes; 1 to 64 allowed" },
    { "a/b", "{'users': []}", "/users: must not be empty" },
    { "a/b", "{}", "\"users\" is missing" },
    { "a/b", "[]", "must be an object" },
    { "a/b", "{'users': 'a'}", "/users: must be an array" },
    { "a/b", "{'users': ['a', 1]}", "/users/1: must be a string" },
    { "a/b", "{'users': ['']}", "/users/0: user is 0 bytes; 1 to 255 allowed" },
    { "a/b", "{'users': ['a'], 'until': 'x'}", "/until: unknown key \"until\"" },
    { "a/b", "{'users': ['a']", "line 1" },
};

START_TEST(an_assignment_names_a_role_a_subject_and_users)
{
    char *json = quoted(assignments[_i].json);

    if (assignments[_i].words) {
        assert_fails(FLAGVER_EPARSE,
                     fv_assignment_check(assignments[_i].subject, json, strlen(json), &error));
        assert_words(assignments[_i].words);
    } else {
        assert_ok(fv_assignment_check(assignments[_i].subject, json, strlen(json), &error));
    }
    free(json);
}
END_TEST

START_TEST(an_assigned_role_has_a_longest_name)
{
    char subject[80] = "";

    memset(subject, 'r', 64);
    strcpy(subject + 64, "/a");
    assert_ok(fv_assignment_check(subject, "{\"users\":[\"a\"]}", 15, &error));
    strcpy(subject + 64, "r/a");
    assert_fails(FLAGVER_EPARSE, fv_assignment_check(subject, "{\"users\":[\"a\"]}", 15, &error));
    assert_words("role is 65 bytes; 1 to 64 allowed");
}
END_TEST

START_TEST(whom_it_names)
{
    static const char json[] = "{\"users\":[\"alice\",\"bob\"]}";

    ck_assert_int_eq(fv_assignment_names(json, strlen(json), "alice", &error), 1);
    ck_assert_int_eq(fv_assignment_names(json, strlen(json), "bob", &error), 1);
    ck_assert_int_eq(fv_assignment_names(json, strlen(json), "bo", &error), 0);
    ck_assert_int_eq(fv_assignment_names(json, strlen(json), "Bob", &error), 0);
    assert_fails(FLAGVER_ECORRUPT, fv_assignment_names("{}", 2, "bob", &error));
    assert_words("an assignment cannot be read: line 1, column 1");
    assert_fails(FLAGVER_ECORRUPT, fv_assignment_names("{", 1, "bob", &error));
}
END_TEST

static const struct {
    const char *before, *user;
    bool add;
    const char *after;
} edits[] = {
    { NULL, "bob", true, "{'users':['bob']}" },
    { NULL, "bob", false, "" },
    { "{'users': ['alice']}", "bob", true, "{'users':['alice','bob']}" },
    { "{'users': ['bob', 'alice']}", "bob", true, "{'users':['bob','alice']}" },
    { "{'users': ['bob', 'alice', 'bob']}", "bob", true, "{'users':['bob','alice']}" },
    { "{'users': ['bob', 'alice', 'bob']}", "bob", false, "{'users':['alice']}" },
    { "{'users': ['alice']}", "bob", false, "{'users':['alice']}" },
    { "{'users': ['bob']}", "bob", false, "" },
};

START_TEST(users_are_added_and_taken_out)
{
    char *before = edits[_i].before ? quoted(edits[_i].before) : NULL;
    char *after = quoted(edits[_i].after);

    assert_ok(fv_assignment_edit(before, before ? strlen(before) : 0, edits[_i].user, edits[_i].add,
                                 &out, &error));
    ck_assert_str_eq(out.data, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(a_damaged_assignment_is_not_edited)
{
    fv_text_add(&out, "before");
    assert_fails(FLAGVER_ECORRUPT, fv_assignment_edit("[]", 2, "bob", true, &out, &error));
    ck_assert_str_eq(out.data, "before");
}
END_TEST

static Suite *policy_suite(void)
{
    Suite *suite = suite_create("policies as JSON");
    TCase *policies = tcase_create("policies");
    TCase *described = tcase_create("described");
    TCase *assigned = tcase_create("assignments");

    tcase_add_checked_fixture(policies, set_up, clear);
    tcase_add_test(policies, a_policy_that_says_nothing_asks_for_approval_that_nobody_can_give);
    tcase_add_test(policies, a_policy_may_say_everything);
    tcase_add_loop_test(policies, how_many_approvals_it_takes, 0, COUNT(approvals));
    tcase_add_loop_test(policies, a_malformed_policy_is_refused_with_its_place, 0, COUNT(refusals));
    tcase_add_test(policies, rules_nest_sixteen_deep);
    tcase_add_test(policies, roles_have_a_longest_name);
    tcase_add_test(policies, errors_may_go_unread);
    tcase_add_loop_test(policies, not_every_phase_may_have_every_policy, 0, COUNT(subjects));
    tcase_add_test(policies, a_phase_has_a_longest_name);
    suite_add_tcase(suite, policies);

    tcase_add_checked_fixture(described, set_up, clear);
    tcase_add_loop_test(described, a_description_has_all_defaults_filled_in_and_is_canonical, 0,
                        COUNT(descriptions));
    tcase_add_test(described, a_description_says_what_was_read);
    suite_add_tcase(suite, described);

    tcase_add_checked_fixture(assigned, set_up, clear);
    tcase_add_loop_test(assigned, an_assignment_names_a_role_a_subject_and_users, 0,
                        COUNT(assignments));
    tcase_add_test(assigned, an_assigned_role_has_a_longest_name);
    tcase_add_test(assigned, whom_it_names);
    tcase_add_loop_test(assigned, users_are_added_and_taken_out, 0, COUNT(edits));
    tcase_add_test(assigned, a_damaged_assignment_is_not_edited);
    suite_add_tcase(suite, assigned);
    return suite;
}

int main(void)
{
    return run_suite(policy_suite());
}
