/*
 * Copies of a store, and looking it over, while allocations fail. Databases and OpenSSL
 * allocate so often that not each failure is tried: TEST_SEED says which ones.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp() */
#include "oom/failing_malloc.h"

#include "exports.h"

#include "engine/examine.h"
#include "flagver/store.h"

#define SAMPLES 150

static void arm(bool and_after, long k)
{
    if (and_after)
        failing_malloc_arm_all_after(k);
    else
        failing_malloc_arm(k);
}

/* Tests run for both; odd numbers: everything fails from some point on. */
static struct sheet sheet_for(int i)
{
    return i < 2 ? base_sheet() : approval_sheet();
}

static void set_up_with(int i)
{
    struct sheet sheet = sheet_for(i);

    make_folder();
    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    /* What is allocated once for the process is so now. */
    assert_ok(flagver_store_import(STORE_NAMED("store"), FILE_NAMED("base"), &error));
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("file"), &error));
    remove(FILE_NAMED("file"));
}

static void set_up(void)
{
    set_up_with(0);
}

static void set_up_approval(void)
{
    set_up_with(2);
}

/* The i-th of SAMPLES numbers from 1 to `count`. */
static long sample(struct seed *seed, long count, long i)
{
    long from = count * i / SAMPLES, to = count * (i + 1) / SAMPLES;

    return from + 1 + (to > from ? seed_below(seed, (uint32_t)(to - from)) : 0);
}

/* ---- what is pure: each allocation ---- */

START_TEST(lines_are_examined_or_refused_for_memory)
{
    struct sheet sheet = sheet_for(_i);
    struct fv_transfer_place place = { "name", 0 };
    const struct fv_transfer *line;
    struct fv_examiner *examiner;
    const char *at, *end;
    long before, k;
    int r = -1;

    for (k = 1; r < 0; k++) {
        before = failing_malloc_live();
        /* OpenSSL, which an examiner sets up, leaks when it is short of memory in that. */
        assert_ok(fv_examiner_new(&examiner, &error));
        place.number = 0;
        arm(_i % 2, k);
        for (r = 0, at = sheet.text.data; r == 0 && *at; at = end + 1) {
            end = strchr(at, '\n');
            place.number++;
            r = fv_examiner_line(examiner, &place, at, (size_t)(end - at), &line, &error);
        }
        failing_malloc_disarm();
        fv_examiner_free(examiner);
        if (r < 0) {
            ck_assert_int_eq(r, FLAGVER_ENOMEM);
            ck_assert_int_eq(error.code, FLAGVER_ENOMEM);
        }
        /* OpenSSL keeps the words of an error of its own in the thread: two blocks. */
        ck_assert_int_le(failing_malloc_live() - before, 2);
    }
    ck_assert_int_gt(k, 100);
    clear_sheet(&sheet);
}
END_TEST

/* ---- stores ---- */

START_TEST(an_export_is_complete_or_not_there)
{
    struct seed seed = seed_new((uint64_t)_i);
    const char *store = STORE_NAMED("store"), *file = FILE_NAMED("file");
    long count, i;
    int r;

    arm(false, 0);
    r = flagver_store_export(store, NULL, file, &error);
    failing_malloc_disarm();
    count = failing_malloc_count();
    ck_assert_int_eq(r, 0);

    for (i = 0; i < SAMPLES; i++) {
        remove(FILE_NAMED("file"));
        store = STORE_NAMED("store");
        file = FILE_NAMED("file");
        arm(_i % 2, sample(&seed, count, i));
        r = flagver_store_export(store, NULL, file, &error);
        failing_malloc_disarm();
        ck_assert_int_eq(count_files(".part"), 0);
        if (r == 0) {
            assert_same_files("base", "file");
        } else {
            ck_assert_msg(r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
            ck_assert(!is_there("file"));
        }
    }
}
END_TEST

static void remove_store(void)
{
    static const char *const names[] = { "copy", "copy-wal", "copy-shm" };
    int i;

    for (i = 0; i < COUNT(names); i++)
        remove(FILE_NAMED(names[i]));
}

/* Both tenants are there as they should be, or each is empty or whole. */
static void assert_whole_or_empty(void)
{
    static const char *const tenants[] = { "default", "other" };
    char all[32], one[32];
    int i, r;

    for (i = 0; i < COUNT(tenants); i++) {
        snprintf(all, sizeof all, "all-%d", i);
        snprintf(one, sizeof one, "one-%d", i);
        r = flagver_store_export(STORE_NAMED("store"), tenants[i], FILE_NAMED(all), &error);
        if (r == FLAGVER_ENOTFOUND)
            continue;
        assert_ok(r);
        r = flagver_store_export(STORE_NAMED("copy"), tenants[i], FILE_NAMED(one), &error);
        if (r == 0)
            assert_same_files(all, one);
        else
            ck_assert_msg(r == FLAGVER_ENOTFOUND || r == FLAGVER_ESCHEMA, "%d: %s", r,
                          error.message);
    }
}

START_TEST(an_import_brings_whole_tenants_or_none)
{
    struct seed seed = seed_new((uint64_t)_i);
    const char *file = FILE_NAMED("base"), *copy = STORE_NAMED("copy");
    long count, i;
    int r;

    arm(false, 0);
    r = flagver_store_import(copy, file, &error);
    failing_malloc_disarm();
    count = failing_malloc_count();
    ck_assert_int_eq(r, 0);

    for (i = 0; i < SAMPLES; i++) {
        remove_store();
        file = FILE_NAMED("base");
        copy = STORE_NAMED("copy");
        arm(_i % 2, sample(&seed, count, i));
        r = flagver_store_import(copy, file, &error);
        failing_malloc_disarm();
        if (r == 0) {
            assert_ok(flagver_store_export(copy, NULL, FILE_NAMED("again"), &error));
            assert_same_files("base", "again");
        } else {
            ck_assert_msg(r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
            if (is_there("copy"))
                assert_whole_or_empty();
        }
    }
}
END_TEST

START_TEST(the_doctor_finds_what_there_is_or_has_no_memory)
{
    struct seed seed = seed_new((uint64_t)_i);
    const char *store = STORE_NAMED("store");
    int expected = flagver_store_doctor(store, NULL, NULL, &error), r;
    long count, i;

    arm(false, 0);
    r = flagver_store_doctor(store, NULL, NULL, &error);
    failing_malloc_disarm();
    count = failing_malloc_count();
    ck_assert_int_eq(r, expected);
    for (i = 0; i < SAMPLES; i++) {
        store = STORE_NAMED("store");
        arm(_i % 2, sample(&seed, count, i));
        r = flagver_store_doctor(store, NULL, NULL, &error);
        failing_malloc_disarm();
        ck_assert_msg(r == expected || r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
    }
}
END_TEST

static void add_tests(Suite *suite, const char *name, void (*set_up_sheet)(void), int first)
{
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, set_up_sheet, remove_folder);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, lines_are_examined_or_refused_for_memory, first, first + 2);
    tcase_add_loop_test(tests, an_export_is_complete_or_not_there, first, first + 2);
    tcase_add_loop_test(tests, an_import_brings_whole_tenants_or_none, first, first + 2);
    tcase_add_loop_test(tests, the_doctor_finds_what_there_is_or_has_no_memory, first, first + 2);
    suite_add_tcase(suite, tests);
}

static Suite *transfer_suite(void)
{
    Suite *suite = suite_create("oom: transfer");

    add_tests(suite, "transfer", set_up, 0);
    add_tests(suite, "approval", set_up_approval, 2);
    return suite;
}

int main(void)
{
    return run_suite(transfer_suite());
}
