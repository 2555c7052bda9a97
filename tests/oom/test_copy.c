/*
 * Copies from store to store while allocations fail: the next one goes on, and nothing is missing
 * or there twice. Databases and OpenSSL allocate so often that not each failure is tried: TEST_SEED
 * says which ones.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp() */
#include "oom/failing_malloc.h"

#include "exports.h"

#include "flagver/flag.h"
#include "flagver/key.h"
#include "flagver/rollout.h"
#include "flagver/store.h"
#include "flagver/version.h"

#define SAMPLES 120

static const flagver_actor ann = { .size = sizeof ann, .id = "ann" };
static const flagver_actor ben = { .size = sizeof ben, .id = "ben" };

/* ---- a source with something of everything ---- */

static void put(flagver_txn *txn, const char *phase, const char *subject, const char *json)
{
    assert_ok(flagver_version_put(txn, phase, subject, json, strlen(json), NULL, NULL, &error));
}

static int begin_plan(void *unused, flagver_txn *txn, flagver_error *err)
{
    static const flagver_item_content items[] = { { "i0", "1", 1 }, { "i1", "2", 1 } };

    (void)unused;
    (void)err;
    put(txn, FLAGVER_PHASE_PHASE, "plan",
        "{\"approval\":{\"rule\":\"anyone\"},\"shred\":\"anyone\"}");
    put(txn, FLAGVER_PHASE_FLAG, "f", "{\"type\":\"boolean\"}");
    put(txn, FLAGVER_PHASE_FLAG, "f", "{\"type\":\"boolean\",\"percentage\":5}");
    assert_ok(flagver_version_create(txn, "plan", "a", "1", 1, NULL, NULL, &error));
    assert_ok(flagver_items_put(txn, "plan", "a", 1, items, 2, NULL, NULL, &error));
    assert_ok(flagver_version_submit(txn, "plan", "a", 1, NULL, NULL, &error));
    return 0;
}

static int go_on(void *unused, flagver_txn *txn, flagver_error *err)
{
    const flagver_write_options noted = { .size = sizeof noted, .note = "fine" };
    const char *key = "i0";

    (void)unused;
    (void)err;
    assert_ok(flagver_items_decide(txn, "plan", "a", 1, &key, 1, FLAGVER_ITEM_APPROVED, &noted,
                                   NULL, &error));
    assert_ok(flagver_version_approve(txn, "plan", "a", 1, &noted, NULL, &error));
    assert_ok(flagver_version_create(txn, "plan", "a", "2", 1, NULL, NULL, &error));
    assert_ok(flagver_version_withdraw(txn, "plan", "a", 2, NULL, NULL, &error));
    assert_ok(flagver_version_shred(txn, "plan", "a", 2, NULL, &error));
    assert_ok(flagver_version_create(txn, "plan", "a", "3", 1, NULL, NULL, &error));
    return 0;
}

static int edit(void *unused, flagver_txn *txn, flagver_error *err)
{
    (void)unused;
    (void)err;
    assert_ok(flagver_version_edit(txn, "plan", "a", 3, "4", 1, NULL, NULL, &error));
    return 0;
}

static void copy_ok(void)
{
    const char *from = STORE_NAMED("store"), *to = STORE_NAMED("copy");

    assert_ok(flagver_store_copy(from, to, NULL, &error));
}

static void make_source(void)
{
    flagver_client *client;

    assert_ok(flagver_open(STORE_NAMED("store"), NULL, &client, &error));
    assert_ok(flagver_txn_run(client, &ann, NULL, begin_plan, NULL, &error));
    assert_ok(flagver_txn_run(client, &ben, NULL, go_on, NULL, &error));
    assert_ok(flagver_txn_run(client, &ann, NULL, edit, NULL, &error));
    flagver_close(client);
}

static void remove_copy(void)
{
    static const char *const names[] = { "copy", "copy-wal", "copy-shm" };
    int i;

    for (i = 0; i < COUNT(names); i++)
        remove(FILE_NAMED(names[i]));
}

/* What is allocated once for the process is so then. */
static void set_up(void)
{
    make_folder();
    make_source();
    copy_ok();
    remove_copy();
}

static void assert_same(void)
{
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("one"), &error));
    assert_ok(flagver_store_export(STORE_NAMED("copy"), NULL, FILE_NAMED("other"), &error));
    assert_same_files("one", "other");
}

/* ---- copies ---- */

static void arm(bool and_after, long k)
{
    if (and_after)
        failing_malloc_arm_all_after(k);
    else
        failing_malloc_arm(k);
}

/* The i-th of SAMPLES numbers from 1 to `count`. */
static long sample(struct seed *seed, long count, long i)
{
    long from = count * i / SAMPLES, to = count * (i + 1) / SAMPLES;

    return from + 1 + (to > from ? seed_below(seed, (uint32_t)(to - from)) : 0);
}

/* Odd numbers: everything fails from some point on. */
START_TEST(a_copy_without_memory_goes_on)
{
    const flagver_copy_options options = { .size = sizeof options, .leaves = 3 };
    const char *from = STORE_NAMED("store"), *to = STORE_NAMED("copy");
    struct seed seed = seed_new((uint64_t)_i);
    long count, i;
    int r;

    arm(false, 0);
    r = flagver_store_copy(from, to, &options, &error);
    failing_malloc_disarm();
    count = failing_malloc_count();
    ck_assert_int_eq(r, 0);

    for (i = 0; i < SAMPLES; i++) {
        remove_copy();
        from = STORE_NAMED("store");
        to = STORE_NAMED("copy");
        arm(_i % 2, sample(&seed, count, i));
        r = flagver_store_copy(from, to, &options, &error);
        failing_malloc_disarm();
        if (r < 0) {
            ck_assert_msg(r == FLAGVER_ENOMEM, "%d: %s", r, error.message);
            copy_ok();
        }
        assert_same();
    }
}
END_TEST

static Suite *copy_suite(void)
{
    Suite *suite = suite_create("copies without memory");
    TCase *tests = tcase_create("copies");

    tcase_add_checked_fixture(tests, set_up, remove_folder);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_copy_without_memory_goes_on, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(copy_suite());
}
