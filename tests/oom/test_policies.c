/*
 * Memory runs out at the k-th allocation, for every k, while policies and
 * assignments are read, described, edited and planned, and payloads are held
 * against schemas: each call says so, leaks nothing and leaves what was there as
 * it was.
 */
#include "codec/json.h"
#include "codec/plan.h"
#include "codec/policy.h"
#include "codec/schema.h"
#include "support.h"

#include "failing_malloc.h"

static const char policy_text[] =
    "{\"approval\":{\"rule\":{\"any\":[{\"assigned\":\"owner\"},{\"all\":[{\"role_in\":[\"a\","
    "\"b\"]},\"anyone\"]}]}},\"name\":\"N\",\"schema\":{\"$defs\":{\"id\":{\"pattern\":\"^[a-z]+"
    "(x|y)*$\"}},\"properties\":{\"a\":{\"$ref\":\"#/$defs/id\"},\"b\":{\"uniqueItems\":true},"
    "\"c\":{\"multipleOf\":0.01}},\"required\":[\"a\",\"b\"],\"allOf\":[{\"anyOf\":[true,{}]}]}}";
static const char bad_policy[] =
    "{\"schema\":{\"$defs\":{\"a\":{\"type\":\"null\"},\"b\":{\"allOf\":"
    "[{\"$ref\":\"#/$defs/c\"}]}}}}";
static const char fitting[] = "{\"a\":\"abcxy\",\"b\":[1,\"1\",{\"x\":1}],\"c\":19.99}";
static const char misfitting[] = "{\"a\":\"abcxy\",\"b\":[1,2,{\"x\":1},{\"x\":1.0}],\"c\":1}";
static const char users[] = "{\"users\":[\"alice\",\"bob\"]}";

static struct fv_arena arena;
static struct fv_policy policy;
static struct fv_text out = FV_TEXT_INIT;
static struct fv_plan_steps steps;

/* Check's own assertions allocate: nothing is asserted while memory fails. */
#define FAIL_EACH(call, teardown, expected)                                                      \
    do {                                                                                         \
        long k, live = 0;                                                                        \
        bool failed;                                                                             \
        int r;                                                                                   \
        for (k = 0;; k++) {                                                                      \
            live = failing_malloc_live();                                                        \
            if (k)                                                                               \
                failing_malloc_arm(k);                                                           \
            r = (call);                                                                          \
            failing_malloc_disarm();                                                             \
            failed = k && failing_malloc_failed();                                               \
            teardown;                                                                            \
            if (k)                                                                               \
                ck_assert_msg(failing_malloc_live() == live, "k = %ld leaks", k);                \
            ck_assert_msg(r == (expected) || (failed && r == FLAGVER_ENOMEM), "k = %ld: %d: %s", \
                          k, r, error.message);                                                  \
            if (r < 0)                                                                           \
                ck_assert_int_eq(error.code, r);                                                 \
            if (k && !failed)                                                                    \
                break;                                                                           \
        }                                                                                        \
        ck_assert_int_gt(k, 1);                                                                  \
    } while (0)

static int read_policy(const char *json)
{
    fv_arena_init(&arena, NULL, 64);
    memset(&policy, 0, sizeof policy);
    return fv_policy_read(json, strlen(json), &arena, &policy, &error);
}

static void clear_policy(void)
{
    fv_policy_clear(&policy);
    fv_arena_clear(&arena);
}

START_TEST(reading_a_policy_without_memory_gives_none)
{
    FAIL_EACH(read_policy(policy_text), clear_policy(), 0);
    FAIL_EACH(read_policy(bad_policy), clear_policy(), FLAGVER_EPARSE);
}
END_TEST

START_TEST(describing_a_policy_without_memory_leaves_the_text_as_it_was)
{
    ck_assert_int_eq(read_policy(policy_text), 0);
    FAIL_EACH(fv_policy_describe(&policy, policy_text, strlen(policy_text), &out, &error),
              fv_text_clear(&out), 0);
    clear_policy();
}
END_TEST

static void check_payload(const char *json, int expected)
{
    json_t *payload = NULL;

    ck_assert_int_eq(fv_json_parse(json, strlen(json), NULL, &payload, &error), 0);
    FAIL_EACH(fv_schema_check(policy.schema, payload, &error), (void)0, expected);
    json_decref(payload);
}

START_TEST(checking_a_payload_without_memory_says_so)
{
    ck_assert_int_eq(read_policy(policy_text), 0);
    check_payload(fitting, 0);
    check_payload(misfitting, FLAGVER_EVALIDATION);
    clear_policy();
}
END_TEST

START_TEST(assignments_without_memory_are_left_as_they_were)
{
    FAIL_EACH(fv_assignment_check("r/a", users, strlen(users), &error), (void)0, 0);
    FAIL_EACH(fv_assignment_names(users, strlen(users), "bob", &error), (void)0, 1);
    FAIL_EACH(fv_assignment_names("[]", 2, "bob", &error), (void)0, FLAGVER_ECORRUPT);
    FAIL_EACH(fv_assignment_edit(users, strlen(users), "carol", true, &out, &error),
              fv_text_clear(&out), 0);
}
END_TEST

static int plan(void)
{
    static const char file[] = "{\"phases\":{\"p\":{\"write\":\"nobody\"},\"q\":{\"schema\":"
                               "{\"enum\":[1]}}},\"assignments\":{\"r/a\":{\"users\":[\"x\"]}}}";
    static const struct fv_record policies[] = {
        { false, "p", 1, "{}", 2, 1, NULL, 0 },
        { false, "gone", 4, "{}", 2, 1, NULL, 0 },
    };
    static const struct fv_record assignments[] = {
        { false, "r/a", 3, users, sizeof users - 1, 1, NULL, 0 },
    };
    const struct fv_plan_request request = { .text = file,
                                             .length = sizeof file - 1,
                                             .policies = { policies, 2 },
                                             .assignments = { assignments, 1 },
                                             .prune = true };
    int r;

    memset(&steps, 0, sizeof steps);
    r = fv_plan_make(&request, &steps, &error);
    return r < 0 ? r : (int)steps.count;
}

START_TEST(planning_phases_without_memory_gives_no_plan)
{
    FAIL_EACH(plan(), fv_plan_clear(&steps), 4);
}
END_TEST

static Suite *policies_suite(void)
{
    Suite *suite = suite_create("memory runs out");
    TCase *tests = tcase_create("policies");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, reading_a_policy_without_memory_gives_none);
    tcase_add_test(tests, describing_a_policy_without_memory_leaves_the_text_as_it_was);
    tcase_add_test(tests, checking_a_payload_without_memory_says_so);
    tcase_add_test(tests, assignments_without_memory_are_left_as_they_were);
    tcase_add_test(tests, planning_phases_without_memory_gives_no_plan);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(policies_suite());
}
