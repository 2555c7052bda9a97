/*
 * The rules of a policy: who may, which part of the rule says so, and which
 * action asks which rule. Whom an assignment reaches.
 */
#include "model/policy.h"
#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* ---- rules for tables ---- */

static const char *const tester[] = { "Tester" };
static const char *const testers[] = { "Test Lead", "Test Manager", "Tester" };
static const char *const lead[] = { "Test Lead" };
static const char *const owner[] = { "report_owner" };
static const char *const deputy[] = { "deputy" };

#define ROLES(list) .kind = FV_PERMIT_ROLE_IN, .names = list, .name_count = COUNT(list)
#define ASSIGNED(list) .kind = FV_PERMIT_ASSIGNED, .names = list, .name_count = 1

/* The building blocks of the exhaustive test. */
static const struct fv_permit leaves[] = {
    { .kind = FV_PERMIT_NOBODY }, { .kind = FV_PERMIT_ANYONE }, { ROLES(tester) }, { ROLES(lead) },
    { ASSIGNED(owner) },          { ASSIGNED(deputy) },
};

/* ---- somebody ---- */

struct somebody {
    const char *roles[3];
    size_t role_count;
    bool is_owner, is_deputy;
    int failure; /* what asking for assignments gives, or 0 */
    int asked;
};

static int assigned(void *data, const char *role, flagver_error *err)
{
    struct somebody *somebody = data;

    (void)err;
    somebody->asked++;
    if (somebody->failure)
        return somebody->failure;
    return strcmp(role, "report_owner") == 0 ? somebody->is_owner
                                             : strcmp(role, "deputy") == 0 && somebody->is_deputy;
}

static int holds(const struct fv_permit *rule, struct somebody *somebody,
                 const struct fv_permit **ret_part, const char **ret_name)
{
    const struct fv_asker asker = { somebody->roles, somebody->role_count, assigned, somebody };

    somebody->asked = 0;
    return fv_permit_holds(rule, &asker, ret_part, ret_name, NULL);
}

/* ---- one leaf ---- */

struct row {
    const char *label;
    struct fv_permit rule;
    struct somebody somebody;
    const char *words; /* NULL: it does not hold */
};

static const struct row rows[] = {
    { "nothing said", { .kind = FV_PERMIT_NOBODY }, { { "Tester" }, 1, true, true, 0, 0 }, NULL },
    { "anyone", { .kind = FV_PERMIT_ANYONE }, { { 0 }, 0, false, false, 0, 0 }, "anyone" },
    { "the role", { ROLES(tester) }, { { "Tester" }, 1, false, false, 0, 0 }, "role_in:Tester" },
    { "one of the roles",
      { ROLES(testers) },
      { { "Guest", "Test Manager" }, 2, false, false, 0, 0 },
      "role_in:Test Manager" },
    { "two of the roles: the rule's first",
      { ROLES(testers) },
      { { "Tester", "Test Lead" }, 2, false, false, 0, 0 },
      "role_in:Test Lead" },
    { "another role", { ROLES(testers) }, { { "Owner" }, 1, true, true, 0, 0 }, NULL },
    { "case counts", { ROLES(tester) }, { { "tester" }, 1, false, false, 0, 0 }, NULL },
    { "the beginning of a role", { ROLES(tester) }, { { "Test" }, 1, false, false, 0, 0 }, NULL },
    { "no roles", { ROLES(testers) }, { { 0 }, 0, false, false, 0, 0 }, NULL },
    { "assigned", { ASSIGNED(owner) }, { { 0 }, 0, true, false, 0, 0 }, "assigned:report_owner" },
    { "assigned another", { ASSIGNED(owner) }, { { 0 }, 0, false, true, 0, 0 }, NULL },
    { "a role of that name is no assignment",
      { ASSIGNED(owner) },
      { { "report_owner" }, 1, false, false, 0, 0 },
      NULL },
    { "any of none", { .kind = FV_PERMIT_ANY }, { { "Tester" }, 1, true, true, 0, 0 }, NULL },
    { "all of none", { .kind = FV_PERMIT_ALL }, { { "Tester" }, 1, true, true, 0, 0 }, NULL },
};

START_TEST(a_rule_holds_or_not_and_says_by_which_part)
{
    const struct row *row = &rows[_i];
    struct fv_text words = FV_TEXT_INIT;
    struct somebody somebody = row->somebody;
    const struct fv_permit *part = NULL;
    const char *name = NULL;

    ck_assert_int_eq(holds(&row->rule, &somebody, &part, &name), row->words != NULL);
    ck_assert_ptr_eq(part, row->words ? &row->rule : NULL);
    if (row->words) {
        fv_permit_words(part, name, &words);
        ck_assert_str_eq(words.data, row->words);
    }
    fv_text_clear(&words);
}
END_TEST

/* ---- all rules of two levels, by everybody ---- */

/* As slowly and as simply as it can be said. */
static bool plainly(const struct fv_permit *rule, const struct somebody *somebody)
{
    bool all = rule->rule_count > 0, any = false;
    size_t i, j;

    for (i = 0; i < rule->rule_count; i++) {
        all &= plainly(&rule->rules[i], somebody);
        any |= plainly(&rule->rules[i], somebody);
    }
    if (rule->kind == FV_PERMIT_ROLE_IN)
        for (i = 0; i < rule->name_count; i++)
            for (j = 0; j < somebody->role_count; j++)
                any |= strcmp(rule->names[i], somebody->roles[j]) == 0;
    if (rule->kind == FV_PERMIT_ASSIGNED)
        any = rule->names == owner ? somebody->is_owner : somebody->is_deputy;
    return rule->kind == FV_PERMIT_ANYONE || (rule->kind == FV_PERMIT_ALL ? all : any);
}

static struct somebody person(int number)
{
    struct somebody somebody = { .is_owner = number & 4, .is_deputy = number & 8 };

    if (number & 1)
        somebody.roles[somebody.role_count++] = "Tester";
    if (number & 2)
        somebody.roles[somebody.role_count++] = "Test Lead";
    return somebody;
}

/* Would other assignments change the answer? */
static bool matters(const struct fv_permit *rule, int number)
{
    struct somebody somebody;
    bool first = false, same = true;
    int i;

    for (i = 0; i < 4; i++) {
        somebody = person((number & 3) | i << 2);
        if (i == 0)
            first = plainly(rule, &somebody);
        same &= plainly(rule, &somebody) == first;
    }
    return !same;
}

static void try_everybody(const struct fv_permit *rule)
{
    const struct fv_permit *part;
    struct somebody somebody;
    const char *name;
    int number, r;

    for (number = 0; number < 16; number++) {
        somebody = person(number);
        part = NULL;
        r = holds(rule, &somebody, &part, &name);
        ck_assert_int_eq(r, plainly(rule, &somebody));
        ck_assert((somebody.asked > 0) == matters(rule, number));
        ck_assert_int_le(somebody.asked, 4);
        if (!r)
            continue;
        ck_assert(plainly(part, &somebody));
        ck_assert(part->kind != FV_PERMIT_ANY && part->kind != FV_PERMIT_NOBODY);
        ck_assert_int_eq(name != NULL,
                         part->kind == FV_PERMIT_ROLE_IN || part->kind == FV_PERMIT_ASSIGNED);

        /* A store that fails is seen when it is asked, and only then. */
        somebody.failure = FLAGVER_EIO;
        r = holds(rule, &somebody, &part, &name);
        ck_assert_int_eq(r, somebody.asked ? FLAGVER_EIO : 1);
        ck_assert_int_le(somebody.asked, 1);
    }
}

/* outer(x, inner(y, z)) for both kinds of outer and inner, and each leaf in each place. */
START_TEST(rules_about_rules_hold_as_they_are_read)
{
    const int n = COUNT(leaves);
    struct fv_permit inner[2], outer[2], rule, other;
    int kinds, x, y, z;

    for (kinds = 0; kinds < 4; kinds++) {
        other = (struct fv_permit){ .kind = kinds & 1 ? FV_PERMIT_ANY : FV_PERMIT_ALL,
                                    .rules = inner,
                                    .rule_count = 2 };
        rule = (struct fv_permit){ .kind = kinds & 2 ? FV_PERMIT_ANY : FV_PERMIT_ALL,
                                   .rules = outer,
                                   .rule_count = 2 };
        for (x = 0; x < n; x++)
            for (y = 0; y < n; y++)
                for (z = 0; z < n; z++) {
                    inner[0] = leaves[y];
                    inner[1] = leaves[z];
                    outer[0] = leaves[x];
                    outer[1] = other;
                    try_everybody(&rule);
                    outer[0] = other;
                    outer[1] = leaves[x];
                    try_everybody(&rule);
                }
    }
}
END_TEST

START_TEST(all_is_named_as_all)
{
    const struct fv_permit both[] = { leaves[2], leaves[4] };
    const struct fv_permit all = { .kind = FV_PERMIT_ALL, .rules = both, .rule_count = 2 };
    const struct fv_permit either = { .kind = FV_PERMIT_ANY, .rules = &all, .rule_count = 1 };
    struct fv_text words = FV_TEXT_INIT;
    struct somebody somebody = person(1 | 4);
    const struct fv_permit *part = NULL;
    const char *name = "untouched";

    ck_assert_int_eq(holds(&either, &somebody, &part, &name), 1);
    ck_assert_ptr_eq(part, &all);
    ck_assert_ptr_null(name);
    fv_permit_words(part, name, &words);
    ck_assert_str_eq(words.data, "all");
    fv_text_clear(&words);
}
END_TEST

START_TEST(of_several_that_hold_the_one_that_need_not_be_looked_up_is_named)
{
    const struct fv_permit both[] = { leaves[4], leaves[2] };
    const struct fv_permit either = { .kind = FV_PERMIT_ANY, .rules = both, .rule_count = 2 };
    struct somebody somebody = person(1 | 4);
    const struct fv_permit *part = NULL;
    const char *name = NULL;

    ck_assert_int_eq(holds(&either, &somebody, &part, &name), 1);
    ck_assert_ptr_eq(part, &both[1]);
    ck_assert_int_eq(somebody.asked, 0);
    somebody = person(4);
    ck_assert_int_eq(holds(&either, &somebody, &part, &name), 1);
    ck_assert_ptr_eq(part, &both[0]);
    ck_assert_str_eq(name, "report_owner");
}
END_TEST

/* ---- which rule an action asks ---- */

START_TEST(each_action_asks_one_rule)
{
    static const struct fv_policy policy = { .subject = "" };
    static const struct {
        enum fv_action action;
        const struct fv_permit *rule;
    } table[] = {
        { FV_ACTION_CREATE, &policy.write },    { FV_ACTION_EDIT, &policy.write },
        { FV_ACTION_REBASE, &policy.write },    { FV_ACTION_SUBMIT, &policy.write },
        { FV_ACTION_RETURN, &policy.write },    { FV_ACTION_DECIDE, &policy.approve },
        { FV_ACTION_APPROVE, &policy.approve }, { FV_ACTION_REJECT, &policy.approve },
        { FV_ACTION_WITHDRAW, &policy.write },  { FV_ACTION_RECORD, &policy.write },
        { FV_ACTION_REVIEW, &policy.approve },  { FV_ACTION_SHRED, &policy.shred },
        { FV_ACTION_REVERT, &policy.write },
    };
    int i;

    ck_assert_int_eq(COUNT(table), FV_ACTION_REVERT);
    for (i = 0; i < COUNT(table); i++)
        ck_assert_ptr_eq(fv_policy_permit(&policy, table[i].action), table[i].rule);
}
END_TEST

/* ---- assignments ---- */

static const struct {
    const char *pattern, *subject;
    bool reaches;
} reaches[] = {
    { "cycle-7/report-12", "cycle-7/report-12", true },
    { "cycle-7/report-12", "cycle-7/report-1", false },
    { "cycle-7/report-1", "cycle-7/report-12", false },
    { "cycle-7/report-12", "cycle-7", false },
    { "cycle-7", "cycle-7/report-12", false },
    { "*/report-12", "cycle-7/report-12", true },
    { "*/report-12", "cycle-8/report-12", true },
    { "*/report-12", "cycle-7/report-13", false },
    { "*/report-12", "report-12", false },
    { "*/report-12", "a/b/report-12", false },
    { "cycle-7/*", "cycle-7/report-12", true },
    { "cycle-7/*", "cycle-7", false },
    { "cycle-7/*", "cycle-7/a/b", false },
    { "cycle-7/*", "cycle-8/report-12", false },
    { "*", "cycle-7", true },
    { "*", "cycle-7/report-12", false },
    { "*/*", "cycle-7/report-12", true },
    { "*/*/*", "cycle-7/report-12", false },
    { "a/*/c", "a/b/c", true },
    { "a/*/c", "a/b/d", false },
    { "cycle-*", "cycle-7", false },
    { "*7", "cycle-7", false },
    { "**", "cycle-7", false },
    { "cycle-*", "cycle-*", true },
    { "cycle-7", "*", false },
    { "*", "*", true },
    { "*/b", "/b", true },
    { "/b", "/b", true },
    { "a/", "a/", true },
    { "a/", "a", false },
    { "a", "a/", false },
    { "a/*", "a/", true },
    { "A", "a", false },
};

START_TEST(an_assignment_reaches_whole_parts)
{
    ck_assert_int_eq(fv_assignment_reaches(reaches[_i].pattern, reaches[_i].subject),
                     reaches[_i].reaches);
}
END_TEST

static Suite *policy_suite(void)
{
    Suite *suite = suite_create("policy");
    TCase *rules = tcase_create("rules");
    TCase *assignments = tcase_create("assignments");

    tcase_add_loop_test(rules, a_rule_holds_or_not_and_says_by_which_part, 0, COUNT(rows));
    tcase_add_test(rules, rules_about_rules_hold_as_they_are_read);
    tcase_add_test(rules, all_is_named_as_all);
    tcase_add_test(rules, of_several_that_hold_the_one_that_need_not_be_looked_up_is_named);
    tcase_add_test(rules, each_action_asks_one_rule);
    suite_add_tcase(suite, rules);

    tcase_add_loop_test(assignments, an_assignment_reaches_whole_parts, 0, COUNT(reaches));
    suite_add_tcase(suite, assignments);
    return suite;
}

int main(void)
{
    return run_suite(policy_suite());
}
