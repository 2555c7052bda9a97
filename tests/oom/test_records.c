/*
 * Memory runs out at the k-th allocation, for every k, while records are read,
 * checked, changed, compared and planned: each call says so, leaks nothing and
 * leaves what was there as it was.
 */
#include "codec/diff.h"
#include "codec/edit.h"
#include "codec/image.h"
#include "codec/payload.h"
#include "codec/plan.h"
#include "support.h"
#include "util/fail.h"

#include "failing_malloc.h"

#define TEXT(json) json, sizeof json - 1

static const struct fv_record before[] = {
    { false, TEXT("kept"), TEXT("{\"type\":\"boolean\"}"), 1, NULL, 0 },
    { false, TEXT("changed"), TEXT("{\"type\":\"boolean\"}"), 1, NULL, 0 },
    { false, TEXT("lost"),
      TEXT("{\"requires\":[{\"flag\":\"nowhere\",\"variant\":\"on\"}],\"type\":\"boolean\"}"), 1,
      NULL, 0 },
    { false, TEXT("bad"), TEXT("{\"type\":\"boolean\",\"percentage\":101}"), 1, NULL, 0 },
    { true, TEXT("s"), TEXT("{\"include\":[\"u1\"]}"), 1, NULL, 0 },
};

static const struct fv_record after[] = {
    { false, TEXT("changed"), TEXT("{\"enabled\":false,\"type\":\"boolean\"}"), 2, NULL, 0 },
    { false, TEXT("ring"),
      TEXT("{\"type\":\"boolean\",\"requires\":[{\"flag\":\"ring\",\"variant\":\"on\"}]}"), 1, NULL,
      0 },
    { false, TEXT("worse"), TEXT("{\"type\":\"boolean\",\"variants\":{\"a\":true,\"b\":false},"), 1,
      NULL, 0 },
    { false, TEXT("asks"),
      TEXT("{\"type\":\"boolean\",\"rules\":[{\"if\":{\"segment\":\"t\"},\"serve\":\"on\"}]}"), 1,
      NULL, 0 },
    { true, TEXT("t"), TEXT("{\"if\":{\"segment\":\"u\"}}"), 1, NULL, 0 },
    { true, TEXT("v"), TEXT("{"), 1, NULL, 0 },
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* As in test_flags.c: k = 0 is a run in which nothing fails and leaks are not looked for. */
#define FAIL_EACH(setup, call, teardown, expected, unharmed)                                   \
    do {                                                                                       \
        long k, live;                                                                          \
        int r;                                                                                 \
        for (k = 0;; k++) {                                                                    \
            live = failing_malloc_live();                                                      \
            setup;                                                                             \
            if (k)                                                                             \
                failing_malloc_arm(k);                                                         \
            r = (call);                                                                        \
            failing_malloc_disarm();                                                           \
            if (k && failing_malloc_failed())                                                  \
                ck_assert_msg(r == FLAGVER_ENOMEM || r == (expected), "k = %ld: %d: %s", k, r, \
                              error.message);                                                  \
            else                                                                               \
                ck_assert_msg(r == (expected), "%d: %s", r, error.message);                    \
            if (r)                                                                             \
                ck_assert_int_eq(error.code, r);                                               \
            unharmed;                                                                          \
            teardown;                                                                          \
            if (k)                                                                             \
                ck_assert_msg(failing_malloc_live() == live, "k = %ld leaks %ld blocks", k,    \
                              failing_malloc_live() - live);                                   \
            if (k && !failing_malloc_failed())                                                 \
                break;                                                                         \
        }                                                                                      \
        ck_assert_int_gt(k, 1);                                                                \
    } while (0)

/* ---- records ---- */

static struct fv_map flag_names, segment_names, attribute_names;
static struct fv_definitions *current, *result;

static void ignore(void *data, const char *message)
{
    (void)data;
    (void)message;
}

static const struct fv_listener listener = { ignore, NULL };

static struct fv_definitions_source source_of(bool merge)
{
    return (struct fv_definitions_source){ .flag_names = &flag_names,
                                           .segment_names = &segment_names,
                                           .attribute_names = &attribute_names,
                                           .current = current,
                                           .merge = merge,
                                           .spoiled = &listener };
}

static void open_names(void)
{
    fv_map_init(&flag_names, NULL);
    fv_map_init(&segment_names, NULL);
    fv_map_init(&attribute_names, NULL);
    current = result = NULL;
}

static void open_with_before(void)
{
    struct fv_definitions_source source;

    open_names();
    source = source_of(false);
    assert_ok(fv_definitions_from_records(&source, before, COUNT(before), &current, &error));
}

static void close_all(void)
{
    fv_definitions_release(result);
    fv_definitions_release(current);
    fv_map_clear(&flag_names);
    fv_map_clear(&segment_names);
    fv_map_clear(&attribute_names);
}

static int read_before(void)
{
    const struct fv_definitions_source source = source_of(false);

    return fv_definitions_from_records(&source, before, COUNT(before), &result, &error);
}

static int merge_after(void)
{
    const struct fv_definitions_source source = source_of(true);

    return fv_definitions_from_records(&source, after, COUNT(after), &result, &error);
}

static void assert_spoiled(int r, size_t count)
{
    ck_assert((r == 0) == (result != NULL));
    if (result)
        ck_assert_uint_eq(result->spoiled_count, count);
    if (current)
        ck_assert_uint_eq(current->spoiled_count, 2);
}

START_TEST(reading_records_without_memory_gives_no_definitions)
{
    FAIL_EACH(open_names(), read_before(), close_all(), 0, assert_spoiled(r, 2));
}
END_TEST

START_TEST(merging_records_without_memory_keeps_what_is_there)
{
    FAIL_EACH(open_with_before(), merge_after(), close_all(), 0, assert_spoiled(r, 7));
}
END_TEST

static int merge_file(void)
{
    struct fv_definitions_source source = source_of(true);

    source.text = "{\"flags\":{\"x\":{\"type\":\"boolean\"}}}";
    source.length = strlen(source.text);
    return fv_definitions_read(&source, &result, &error);
}

START_TEST(a_file_over_spoiled_records_without_memory_changes_nothing)
{
    FAIL_EACH(open_with_before(), merge_file(), close_all(), 0, assert_spoiled(r, 2));
}
END_TEST

/* ---- images ---- */

static struct fv_record pictured = {
    false,
    TEXT("pictured"),
    TEXT(
        "{\"type\":\"string\",\"variants\":{\"a\":\"x\",\"b\":\"y\",\"c\":\"z\"},\"default\":\"a\","
        "\"split\":{\"a\":1,\"b\":1,\"c\":1},\"by\":\"account.plan\",\"metadata\":{\"owner\":"
        "\"me\"}}"),
    1,
    NULL,
    0
};

static int read_pictured(void)
{
    const struct fv_definitions_source source = source_of(false);

    return fv_definitions_from_records(&source, &pictured, 1, &result, &error);
}

START_TEST(reading_an_image_without_memory_gives_no_definitions)
{
    struct fv_text image = FV_TEXT_INIT;

    ck_assert_int_eq(fv_image_write(&pictured, &image), 0);
    ck_assert_uint_gt(image.length, 0);
    pictured.image = image.data;
    pictured.image_length = image.length;
    FAIL_EACH(open_names(), read_pictured(), close_all(), 0,
              ck_assert((r == 0) == (result != NULL)));
    fv_text_clear(&image);
}
END_TEST

/* ---- texts ---- */

static struct fv_text out;

static void start_text(void)
{
    out = (struct fv_text)FV_TEXT_INIT;
}

static void stop_text(void)
{
    fv_text_clear(&out);
}

#define FAIL_EACH_TEXT(call, expected)                   \
    FAIL_EACH(start_text(), call, stop_text(), expected, \
              ck_assert_msg(r == 0 || out.length == 0, "%s", out.data))

static const char definition[] =
    "{\"type\":\"boolean\",\"beta\":[\"u1\",\"u2\"],\"rules\":[{\"id\":\"r\",\"if\":{\"all\":["
    "{\"segment\":\"s\"},{\"flag\":\"g\",\"variant\":\"on\"}]},\"serve\":\"on\"}],"
    "\"schedule\":{\"steps\":[{\"at\":\"2026-01-01T00:00:00Z\",\"percentage\":1}]}}";

static void see(void *data, bool to_flag, const char *name, const char *variant)
{
    (void)data;
    (void)to_flag;
    (void)name;
    (void)variant;
}

START_TEST(checking_without_memory_says_so)
{
    FAIL_EACH_TEXT(fv_payload_canonical(definition, strlen(definition), &out, &error), 0);
    FAIL_EACH_TEXT(
        fv_definition_check(false, "f", 1, definition, strlen(definition), &out, see, NULL, &error),
        0);
    FAIL_EACH_TEXT(fv_definition_check(true, "s", 1, "{\"if\":{\"segment\":\"s\"}}", 22, &out, see,
                                       NULL, &error),
                   FLAGVER_EPARSE);
}
END_TEST

static int write_image(void)
{
    return fv_image_write(&pictured, &out) < 0 ? fv_fail_memory(&error) : 0;
}

START_TEST(making_an_image_without_memory_says_so)
{
    FAIL_EACH(start_text(), write_image(), stop_text(), 0, ck_assert(r < 0 || out.length > 0));
}
END_TEST

START_TEST(editing_without_memory_says_so)
{
    static const char steps[] = "{\"steps\":[]}";
    const char *const users[] = { "u2", "u3" };

    FAIL_EACH_TEXT(fv_edit_enabled(definition, strlen(definition), false, &out, &error), 0);
    FAIL_EACH_TEXT(fv_edit_ramp(definition, strlen(definition), 12.5, true, &out, &error), 0);
    FAIL_EACH_TEXT(fv_edit_beta(definition, strlen(definition), true, users, 2, &out, &error), 0);
    FAIL_EACH_TEXT(fv_edit_beta(definition, strlen(definition), false, users, 2, &out, &error), 0);
    FAIL_EACH_TEXT(
        fv_edit_schedule(definition, strlen(definition), steps, strlen(steps), &out, &error), 0);
    FAIL_EACH_TEXT(fv_edit_schedule(definition, strlen(definition), NULL, 0, &out, &error), 0);
}
END_TEST

START_TEST(comparing_without_memory_says_so)
{
    static const char other[] =
        "{\"type\":\"boolean\",\"beta\":[\"u2\",\"u3\",\"u4\"],\"rules\":[],"
        "\"new\":{\"x\":[{\"id\":\"a\"}]}}";
    static const char rules[] = "[{\"id\":\"b\"},{\"id\":\"a\",\"x\":{\"y\":1}}]";
    static const char others[] = "[{\"id\":\"a\",\"x\":{\"y\":2}},{\"id\":\"c\"}]";

    FAIL_EACH_TEXT(
        fv_diff_merge_patch(definition, strlen(definition), other, strlen(other), &out, &error), 0);
    FAIL_EACH_TEXT(fv_diff_merge_patch("{}", 2, "{\"a\":{\"b\":null}}", 16, &out, &error),
                   FLAGVER_ENOTSUP);
    FAIL_EACH_TEXT(
        fv_diff_lines(definition, strlen(definition), other, strlen(other), &out, &error), 0);
    FAIL_EACH_TEXT(fv_diff_lines(rules, strlen(rules), others, strlen(others), &out, &error), 0);
}
END_TEST

/* ---- plans ---- */

static struct fv_plan_steps steps;

static int plan(bool prune)
{
    static const char file[] = "{\"flags\":{\"changed\":{\"type\":\"boolean\",\"percentage\":5},"
                               "\"kept\":{\"type\":\"boolean\"},\"new\":{\"type\":\"boolean\"}},"
                               "\"segments\":{\"s\":{\"include\":[]}}}";
    const struct fv_plan_request request = { .text = file,
                                             .length = sizeof file - 1,
                                             .records = before,
                                             .count = COUNT(before),
                                             .prune = prune };

    return fv_plan_make(&request, &steps, &error);
}

START_TEST(planning_without_memory_gives_no_plan)
{
    memset(&steps, 0, sizeof steps);
    FAIL_EACH((void)0, plan(false), fv_plan_clear(&steps), 0,
              ck_assert_uint_eq(steps.count, r ? 0 : 3));
    FAIL_EACH((void)0, plan(true), fv_plan_clear(&steps), 0,
              ck_assert_uint_eq(steps.count, r ? 0 : 5));
}
END_TEST

START_TEST(exporting_without_memory_says_so)
{
    FAIL_EACH_TEXT(fv_definitions_export(before, COUNT(before), &out, &error), 0);
    FAIL_EACH_TEXT(fv_definitions_export(after, COUNT(after), &out, &error), FLAGVER_EPARSE);
}
END_TEST

static Suite *records_suite(void)
{
    Suite *suite = suite_create("memory runs out");
    TCase *tests = tcase_create("records");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, reading_records_without_memory_gives_no_definitions);
    tcase_add_test(tests, merging_records_without_memory_keeps_what_is_there);
    tcase_add_test(tests, a_file_over_spoiled_records_without_memory_changes_nothing);
    tcase_add_test(tests, reading_an_image_without_memory_gives_no_definitions);
    tcase_add_test(tests, checking_without_memory_says_so);
    tcase_add_test(tests, making_an_image_without_memory_says_so);
    tcase_add_test(tests, editing_without_memory_says_so);
    tcase_add_test(tests, comparing_without_memory_says_so);
    tcase_add_test(tests, planning_without_memory_gives_no_plan);
    tcase_add_test(tests, exporting_without_memory_says_so);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(records_suite());
}
