/*
 * Memory runs out at the k-th allocation, for every k, in each call that
 * allocates: it says so, leaks nothing, and what was there goes on answering.
 */
#define _POSIX_C_SOURCE 200809L /* setenv() */

#include "support.h"

#include <flagver.h>

#include "failing_malloc.h"

static const char before[] =
    "{\"flags\":{\"kept\":{\"type\":\"boolean\"},\"changed\":{\"type\":\"boolean\"}}}";

static const char after[] =
    "{\"flags\":{"
    "\"changed\":{\"type\":\"boolean\",\"enabled\":false},"
    "\"report\":{\"type\":\"boolean\",\"beta\":[\"u1\",\"u2\"],\"percentage\":25,"
    "\"metadata\":{\"owner\":\"x\"},\"env\":{\"beta\":\"OOM_TEST_BETA\"}},"
    "\"checkout\":{\"type\":\"string\",\"variants\":{\"a\":\"x\",\"b\":\"y\"},\"default\":\"a\","
    "\"requires\":[{\"flag\":\"changed\",\"variant\":\"off\"}],\"targets\":{\"b\":[\"u3\"]},"
    "\"rules\":[{\"id\":\"r\",\"if\":{\"all\":[{\"attr\":\"a.b\",\"op\":\"in\",\"values\":"
    "[\"x\",1,true,\"\u00c4\"],\"fold\":true},{\"not\":{\"segment\":\"s\"}},"
    "{\"attr\":\"v\",\"op\":\"semver_gt\",\"value\":\"1.0\"},"
    "{\"attr\":\"m\",\"op\":\"matches\",\"value\":\"^(a|[b-d]){2,4}$\"},"
    "{\"attr\":\"c\",\"op\":\"contains\",\"value\":\"zz\"},"
    "{\"attr\":\"i\",\"op\":\"in_cidr\",\"value\":\"10.0.0.0/8\"},"
    "{\"attr\":\"d\",\"op\":\"before\",\"value\":\"2026-01-01T00:00:00Z\"}]},"
    "\"serve\":{\"split\":{\"a\":1,\"b\":2},\"by\":\"company\",\"salt\":\"s\"}}]},"
    "\"plan\":{\"type\":\"json\",\"variants\":{\"x\":{\"a\":[1,2.5,null]},\"y\":null},"
    "\"default\":\"x\",\"split\":{\"x\":1,\"y\":1}},"
    "\"ramp\":{\"type\":\"boolean\",\"schedule\":{\"interpolate\":\"linear\",\"steps\":["
    "{\"at\":\"2026-01-01T00:00:00Z\",\"percentage\":0},"
    "{\"at\":\"2026-02-01T00:00:00Z\",\"percentage\":100}]}}},"
    "\"segments\":{\"s\":{\"include\":[\"u9\"],\"exclude\":[\"u8\"],"
    "\"if\":{\"flag\":\"changed\",\"variant\":\"on\"}}}}";

static const char user[] =
    "{\"targetingKey\":\"u5\",\"a\":{\"b\":\"x\"},\"list\":[1,{\"c\":null}]}";

/* k = 0 is a run in which nothing fails and leaks are not looked for: what the C library and jansson
 * allocate on first use is allocated then. */
#define FAIL_EACH(setup, call, teardown, unharmed)                                          \
    do {                                                                                    \
        long k, live;                                                                       \
        int r;                                                                              \
        for (k = 0;; k++) {                                                                 \
            live = failing_malloc_live();                                                   \
            setup;                                                                          \
            if (k)                                                                          \
                failing_malloc_arm(k);                                                      \
            r = (call);                                                                     \
            failing_malloc_disarm();                                                        \
            if (k && failing_malloc_failed()) {                                             \
                ck_assert_msg(r == FLAGVER_ENOMEM || r == 0, "k = %ld: %d: %s", k, r,       \
                              error.message);                                               \
                if (r == FLAGVER_ENOMEM)                                                    \
                    ck_assert_int_eq(error.code, FLAGVER_ENOMEM);                           \
            } else {                                                                        \
                ck_assert_msg(r == 0, "%d: %s", r, error.message);                          \
            }                                                                               \
            unharmed;                                                                       \
            teardown;                                                                       \
            if (k)                                                                          \
                ck_assert_msg(failing_malloc_live() == live, "k = %ld leaks %ld blocks", k, \
                              failing_malloc_live() - live);                                \
            if (k && !failing_malloc_failed())                                              \
                break;                                                                      \
        }                                                                                   \
        ck_assert_int_gt(k, 1);                                                             \
    } while (0)

static flagver_client *client;
static flagver_context *context;
static flagver_snapshot *snapshot;
static char *text;

static void open_with(const char *json)
{
    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_load(client, json, strlen(json), &error));
}

static void close_all(void)
{
    flagver_thread_release();
    flagver_close(client);
    client = NULL;
}

/* After a failure: the old state; after success: the new one. Never anything in between. */
static void assert_old_or_new(int r)
{
    ck_assert(flagver_flag_bool(client, "kept", NULL, false) == true);
    ck_assert(flagver_flag_bool(client, "changed", NULL, false) == (r != 0));
}

START_TEST(opening_without_memory_leaves_nothing)
{
    FAIL_EACH(client = NULL, flagver_open("definitions:", NULL, &client, &error), close_all(),
              ck_assert(r == 0 || client == NULL));
}
END_TEST

START_TEST(loading_without_memory_keeps_the_old_flags)
{
    setenv("OOM_TEST_BETA", "u1,u7", 1);
    FAIL_EACH(open_with(before), flagver_client_merge(client, after, sizeof after - 1, &error),
              close_all(), assert_old_or_new(r));
}
END_TEST

START_TEST(a_snapshot_without_memory_is_not_made)
{
    FAIL_EACH(snapshot = NULL,
              flagver_snapshot_load(after, sizeof after - 1, NULL, &snapshot, &error),
              flagver_snapshot_free(snapshot), ck_assert((r == 0) == (snapshot != NULL)));
}
END_TEST

START_TEST(refusing_without_memory_still_refuses)
{
    static const char bad[] = "{\"flags\":{\"a\":{\"type\":\"boolean\",\"percentage\":1e9}}}";
    long k, live;
    int r;

    for (k = 0;; k++) {
        live = failing_malloc_live();
        failing_malloc_arm(k);
        r = flagver_snapshot_load(bad, sizeof bad - 1, NULL, &snapshot, &error);
        failing_malloc_disarm();
        ck_assert(r == FLAGVER_ENOMEM || r == FLAGVER_EPARSE);
        if (k)
            ck_assert_int_eq(failing_malloc_live(), live);
        if (k && !failing_malloc_failed())
            break;
    }
    ck_assert_int_eq(r, FLAGVER_EPARSE);
}
END_TEST

START_TEST(overriding_without_memory_changes_nothing)
{
    FAIL_EACH(open_with(before), flagver_flag_override(client, "changed", "off", &error),
              close_all(), assert_old_or_new(r));
}
END_TEST

START_TEST(binding_without_memory_gives_no_handle)
{
    const flagver_bound *bound;

    FAIL_EACH(open_with(before); bound = NULL, flagver_flag_bind(client, "new", &bound, &error),
                                 close_all(), ck_assert((r == 0) == (bound != NULL)));
}
END_TEST

START_TEST(refreshing_without_memory_keeps_the_old_flags)
{
    setenv("FLAGVER_FLAG_CHANGED", "off", 1);
    unsetenv("FLAGVER_FLAG_CHANGED");
    FAIL_EACH(open_with(before); setenv("FLAGVER_FLAG_CHANGED", "off", 1),
                                 flagver_client_refresh(client, &error), close_all();
              unsetenv("FLAGVER_FLAG_CHANGED"), assert_old_or_new(r));
}
END_TEST

/* A thread's first evaluation allocates its reader; without memory the caller gets its default. */
static int first_evaluation(void)
{
    flagver_detail detail = { .size = sizeof detail };

    if (flagver_flag_evaluate(client, "kept", 4, NULL, FLAGVER_TYPE_BOOL, &detail) == 0)
        return detail.value.boolean ? 0 : FLAGVER_EINVAL;
    error.code = FLAGVER_ENOMEM;
    return detail.error == FLAGVER_ERROR_GENERAL ? FLAGVER_ENOMEM : FLAGVER_EINVAL;
}

START_TEST(a_first_evaluation_without_memory_gives_the_default)
{
    FAIL_EACH(open_with(before), first_evaluation(), close_all(),
              assert_old_or_new(FLAGVER_ENOMEM));
}
END_TEST

/* A thread that cannot follow to a new snapshot goes on with the one it has. */
START_TEST(following_without_memory_answers_from_before)
{
    bool on;

    open_with(before);
    ck_assert(flagver_flag_bool(client, "changed", NULL, false));
    assert_ok(flagver_client_merge(client, after, sizeof after - 1, &error));
    failing_malloc_arm_all_after(1);
    on = flagver_flag_bool(client, "changed", NULL, false);
    failing_malloc_disarm();
    ck_assert(failing_malloc_failed() && on);
    ck_assert(!flagver_flag_bool(client, "changed", NULL, false));
    close_all();
}
END_TEST

START_TEST(evaluating_allocates_nothing)
{
    flagver_detail detail = { .size = sizeof detail };
    static const char *const keys[] = { "kept", "report", "checkout", "plan", "ramp", "none" };
    size_t i;

    open_with(before);
    assert_ok(flagver_client_merge(client, after, sizeof after - 1, &error));
    assert_ok(flagver_context_from_json(user, sizeof user - 1, &context, &error));
    flagver_flag_bool(client, "kept", context, false);

    failing_malloc_arm(0);
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        flagver_flag_bool(client, keys[i], context, false);
        flagver_flag_string(client, keys[i], context, NULL);
        flagver_flag_evaluate(client, keys[i], strlen(keys[i]), context, FLAGVER_TYPE_ANY, &detail);
    }
    failing_malloc_disarm();
    ck_assert_int_eq(failing_malloc_count(), 0);
    flagver_context_free(context);
    close_all();
}
END_TEST

static int build_context(void)
{
    int r;

    context = flagver_context_new("u1");
    if (!context) {
        error.code = FLAGVER_ENOMEM;
        return FLAGVER_ENOMEM;
    }
    r = flagver_context_set_string(context, "country", "DE");
    if (r == 0)
        r = flagver_context_begin_object(context, "account");
    if (r == 0)
        r = flagver_context_begin_list(context, "groups");
    if (r == 0)
        r = flagver_context_set_int(context, NULL, 1);
    if (r == 0)
        r = flagver_context_end(context);
    if (r == 0)
        r = flagver_context_end(context);
    if (r == 0)
        r = flagver_context_set_string(context, "country", "a longer text than there was before");
    if (r == 0)
        r = flagver_context_reset(context, "another, rather longer targeting key than before");
    error.code = r;
    return r;
}

START_TEST(a_context_without_memory_says_so)
{
    FAIL_EACH(context = NULL, build_context(), flagver_context_free(context), (void)0);
    FAIL_EACH(context = NULL, flagver_context_from_json(user, sizeof user - 1, &context, &error),
              flagver_context_free(context), ck_assert((r == 0) == (context != NULL)));
}
END_TEST

START_TEST(explaining_without_memory_gives_no_text)
{
    FAIL_EACH(open_with(after);
              text = NULL, flagver_flag_explain(client, "checkout", 8, NULL, &text, &error),
              flagver_string_free(text);
              close_all(), ck_assert((r == 0) == (text != NULL)));
}
END_TEST

static void ignore_count(void *data, const char *flag, const char *variant, uint64_t count)
{
    (void)data;
    (void)flag;
    (void)variant;
    (void)count;
}

START_TEST(counting_without_memory_says_so)
{
    FAIL_EACH(open_with(before); flagver_flag_bool(client, "kept", NULL, false),
                                 flagver_flag_counts(client, ignore_count, NULL, &error),
                                 close_all(), (void)0);
}
END_TEST

static Suite *flags_suite(void)
{
    Suite *suite = suite_create("memory runs out");
    TCase *tests = tcase_create("each allocation in turn");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, opening_without_memory_leaves_nothing);
    tcase_add_test(tests, loading_without_memory_keeps_the_old_flags);
    tcase_add_test(tests, a_snapshot_without_memory_is_not_made);
    tcase_add_test(tests, refusing_without_memory_still_refuses);
    tcase_add_test(tests, overriding_without_memory_changes_nothing);
    tcase_add_test(tests, binding_without_memory_gives_no_handle);
    tcase_add_test(tests, refreshing_without_memory_keeps_the_old_flags);
    tcase_add_test(tests, a_first_evaluation_without_memory_gives_the_default);
    tcase_add_test(tests, following_without_memory_answers_from_before);
    tcase_add_test(tests, evaluating_allocates_nothing);
    tcase_add_test(tests, a_context_without_memory_says_so);
    tcase_add_test(tests, explaining_without_memory_gives_no_text);
    tcase_add_test(tests, counting_without_memory_says_so);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(flags_suite());
}
