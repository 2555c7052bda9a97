/* Data sets are saved, compared and looked over, while allocations fail in turn. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp() */
#include "oom/failing_malloc.h"

#include "exports.h"

#include "codec/dataset_compare.h"
#include "codec/dataset_profile.h"
#include "engine/dataset_sort.h"
#include "flagver/dataset.h"

#define LINES                                                                                     \
    "{\"key\":\"b\",\"value\":{\"n\":1,\"list\":[1,2.5,\"a string of some length\"],\"x\":{}}}\n" \
    "{\"key\":\"a, which is longer than sixteen bytes\",\"value\":{\"n\":2,\"x\":null}}\n"        \
    "{\"key\":\"c\",\"value\":[[[[[1]]]]]}\n"

#define OWN 500

static void arm(bool and_after, long k)
{
    if (and_after)
        failing_malloc_arm_all_after(k);
    else
        failing_malloc_arm(k);
}

static void set_up(void)
{
    make_folder();
    write_bytes("lines", LINES, strlen(LINES));
}

static int save(const char *from, const char *to)
{
    const flagver_dataset_input input = { .size = sizeof input, .path = from };

    return flagver_dataset_save(&input, to, NULL, &error);
}

/* What is allocated once for the process is so now. */
static void warm_up(void)
{
    assert_ok(save(FILE_NAMED("lines"), FILE_NAMED("set")));
}

/*
 * Of `count` allocations the one to try after the k-th. Setting up OpenSSL comes first and takes
 * thousands, of which some are tried; and all of those that come last, which are our own.
 */
static long earlier(long count, long k)
{
    return count - k < OWN ? k - 1 : k - 1 - k / 16;
}

START_TEST(a_file_is_saved_whole_or_not_at_all)
{
    const char *from, *to;
    long count, k;
    int r;

    warm_up();
    from = FILE_NAMED("lines");
    to = FILE_NAMED("new");
    failing_malloc_arm(0);
    r = save(from, to);
    failing_malloc_disarm();
    ck_assert_int_eq(r, 0);
    count = failing_malloc_count();
    for (k = count; k > 0; k = earlier(count, k)) {
        remove(FILE_NAMED("new"));
        from = FILE_NAMED("lines");
        to = FILE_NAMED("new");
        arm(_i, k);
        r = save(from, to);
        failing_malloc_disarm();
        ck_assert_int_eq(count_files(".part"), 0);
        ck_assert_msg(r == 0 || r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
        ck_assert_int_eq(is_there("new"), r == 0);
    }
}
END_TEST

START_TEST(a_comparison_says_what_is_so_or_that_memory_is_short)
{
    const flagver_dataset_rule rule = { "n", "1%" };
    const flagver_dataset_compare_options options = { .size = sizeof options,
                                                      .rules = &rule,
                                                      .rule_count = 1 };
    flagver_dataset_comparison result;
    const char *set;
    long count, k;
    int r;

    warm_up();
    set = FILE_NAMED("set");
    failing_malloc_arm(0);
    r = flagver_dataset_compare(set, set, &options, NULL, NULL, &result, &error);
    failing_malloc_disarm();
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(result.equal, 3);
    count = failing_malloc_count();
    for (k = count; k > 0; k = earlier(count, k)) {
        set = FILE_NAMED("set");
        arm(_i, k);
        r = flagver_dataset_compare(set, set, &options, NULL, NULL, &result, &error);
        failing_malloc_disarm();
        ck_assert_msg(r == 0 || r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
    }
}
END_TEST

START_TEST(an_audit_says_what_is_so_or_that_memory_is_short)
{
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED("set") };
    const flagver_dataset_rule rule = { "/deep/below", "any" };
    const flagver_dataset_audit_options options = { sizeof options, &rule, 1 };
    flagver_dataset_health health;
    long count, k;
    int r;

    warm_up();
    failing_malloc_arm(0);
    r = flagver_dataset_audit(&input, &options, NULL, NULL, &health, &error);
    failing_malloc_disarm();
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(health.records, 3);
    count = failing_malloc_count();
    for (k = count; k > 0; k = earlier(count, k)) {
        arm(_i, k);
        r = flagver_dataset_audit(&input, &options, NULL, NULL, &health, &error);
        failing_malloc_disarm();
        ck_assert_msg(r == 0 || r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
    }
}
END_TEST

/* ---- without OpenSSL: nothing is left over ---- */

static bool ignore(void *data, const struct fv_dataset_difference *difference)
{
    (void)difference;
    ++*(int *)data;
    return true;
}

START_TEST(values_are_compared_without_a_leak)
{
    static const char before[] = "{\"a\":[1,{\"b\":\"more than sixteen bytes\"}],\"c\":1}";
    static const char after[] = "{\"a\":[2,{\"b\":\"sixteen bytes or more\"}],\"d\":2}";
    const struct fv_dataset_judge judge = { .strict = true };
    long live = failing_malloc_live(), k;
    int r = -1, found = 0;
    bool second;

    for (k = 1; k == 1 || failing_malloc_failed(); k++) {
        found = 0;
        arm(_i, k);
        r = fv_dataset_compare_values(&judge, before, sizeof before - 1, after, sizeof after - 1,
                                      ignore, &found, &second, &error);
        failing_malloc_disarm();
        ck_assert_int_eq(failing_malloc_live(), live);
        ck_assert_msg(r == 0 || r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
    }
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(found, 4);
    ck_assert_int_gt(k, 30);
}
END_TEST

START_TEST(values_are_looked_over_without_a_leak)
{
    static const char value[] = "{\"a\":[1,2,3,{\"b\":\"more than sixteen bytes\"}],\"c\":null}";
    flagver_dataset_health health;
    struct fv_profile *profile;
    long live = failing_malloc_live(), k;
    int r = -1;

    for (k = 1; k == 1 || failing_malloc_failed(); k++) {
        arm(_i, k);
        profile = fv_profile_new(NULL, 0);
        r = profile ? fv_profile_add(profile, "k", value, sizeof value - 1, NULL, &error)
                    : FLAGVER_ENOMEM;
        if (r == 0)
            r = fv_profile_finish(profile, NULL, NULL, &health, &error);
        fv_profile_free(profile);
        failing_malloc_disarm();
        ck_assert_int_eq(failing_malloc_live(), live);
        ck_assert_msg(r == 0 || r == FLAGVER_ENOMEM, "%d", r);
    }
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(health.fields, 4);
    ck_assert_int_gt(k, 30);
}
END_TEST

static int sort_some(struct fv_sorter *sorter, int *ret_count)
{
    static const char *const keys[] = { "d", "a", "c", "b", "f", "e" };
    flagver_dataset_record record = { .key_length = 1, .value = "12345678", .value_length = 8 };
    size_t i;
    int r = 0;

    *ret_count = 0;
    for (i = 0; r == 0 && i < sizeof keys / sizeof *keys; i++) {
        record.key = keys[i];
        r = fv_sorter_add(sorter, &record, &error);
    }
    while (r == 0 && (r = fv_sorter_next(sorter, &record, &error)) > 0) {
        ++*ret_count;
        r = 0;
    }
    return r;
}

START_TEST(records_are_sorted_without_a_leak)
{
    static const size_t memories[] = { 60, 1000 };
    const char *beside = FILE_NAMED("beside");
    long live = failing_malloc_live(), k;
    struct fv_sorter sorter;
    int r = -1, count = 0;

    for (k = 1; k == 1 || failing_malloc_failed(); k++) {
        fv_sorter_init(&sorter, beside, memories[_i / 2]);
        arm(_i % 2, k);
        r = sort_some(&sorter, &count);
        failing_malloc_disarm();
        fv_sorter_clear(&sorter);
        ck_assert_int_eq(failing_malloc_live(), live);
        ck_assert_int_eq(count_files("beside"), 0);
        ck_assert_msg(r == 0 || r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
    }
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(count, 6);
    ck_assert_int_gt(k, 2);
}
END_TEST

static Suite *dataset_suite(void)
{
    Suite *suite = suite_create("oom: dataset");
    TCase *tests = tcase_create("dataset");

    tcase_add_checked_fixture(tests, set_up, remove_folder);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_file_is_saved_whole_or_not_at_all, 0, 2);
    tcase_add_loop_test(tests, a_comparison_says_what_is_so_or_that_memory_is_short, 0, 2);
    tcase_add_loop_test(tests, an_audit_says_what_is_so_or_that_memory_is_short, 0, 2);
    tcase_add_loop_test(tests, values_are_compared_without_a_leak, 0, 2);
    tcase_add_loop_test(tests, values_are_looked_over_without_a_leak, 0, 2);
    tcase_add_loop_test(tests, records_are_sorted_without_a_leak, 0, 4);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(dataset_suite());
}
