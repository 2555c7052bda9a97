/* The failing malloc itself: tests that rely on it are worth what it is worth. */
#define _POSIX_C_SOURCE 200809L /* strdup, posix_memalign */
#include "oom/failing_malloc.h"

#include "support.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* Through a volatile, or the compiler drops allocations that nobody looks at. */
static void *volatile block;
static void *volatile more[3];

START_TEST(the_kth_allocation_fails_and_only_that)
{
    long k = _i, i;
    bool given[3];

    failing_malloc_arm(k);
    for (i = 0; i < 3; i++) {
        more[i] = malloc(16);
        given[i] = more[i] != NULL;
    }
    failing_malloc_disarm();

    for (i = 0; i < 3; i++) {
        free(more[i]);
        ck_assert_msg(given[i] == (i + 1 != k), "k %ld, allocation %ld", k, i + 1);
    }
    ck_assert_int_eq(failing_malloc_count(), 3);
    ck_assert_int_eq(failing_malloc_failed(), k >= 1 && k <= 3);
}
END_TEST

START_TEST(all_after_the_kth_fail_too)
{
    long i;
    bool given[3];

    failing_malloc_arm_all_after(2);
    for (i = 0; i < 3; i++) {
        more[i] = malloc(16);
        given[i] = more[i] != NULL;
    }
    failing_malloc_disarm();
    for (i = 0; i < 3; i++)
        free(more[i]);

    ck_assert(given[0] && !given[1] && !given[2]);
    ck_assert(failing_malloc_failed());
}
END_TEST

START_TEST(nothing_fails_or_counts_once_disarmed)
{
    failing_malloc_arm_all_after(1);
    failing_malloc_disarm();
    block = malloc(16);
    ck_assert_ptr_nonnull(block);
    free(block);
    ck_assert_int_eq(failing_malloc_count(), 0);
    ck_assert(!failing_malloc_failed());
}
END_TEST

START_TEST(a_failure_sets_errno)
{
    int seen;

    errno = 0;
    failing_malloc_arm(1);
    block = malloc(16);
    seen = errno;
    failing_malloc_disarm();
    ck_assert_ptr_null(block);
    ck_assert_int_eq(seen, ENOMEM);
}
END_TEST

static void *by_malloc(void)
{
    return malloc(10);
}

static void *by_calloc(void)
{
    return calloc(2, 10);
}

static void *by_realloc(void)
{
    return realloc(NULL, 10);
}

static void *by_aligned_alloc(void)
{
    return aligned_alloc(64, 128);
}

static void *by_posix_memalign(void)
{
    void *aligned = NULL;

    return posix_memalign(&aligned, 64, 100) == 0 ? aligned : NULL;
}

static void *by_strdup(void)
{
    return strdup("inside the C library");
}

static void *by_jansson(void)
{
    return json_integer(1);
}

static const struct way {
    const char *name;
    void *(*allocate)(void);
} ways[] = {
    { "malloc", by_malloc },
    { "calloc", by_calloc },
    { "realloc", by_realloc },
    { "aligned_alloc", by_aligned_alloc },
    { "posix_memalign", by_posix_memalign },
    { "strdup", by_strdup },
    { "a shared library", by_jansson },
};

#define WAYS ((int)(sizeof ways / sizeof ways[0]))

START_TEST(every_way_to_allocate_can_fail)
{
    const struct way *way = &ways[_i];

    failing_malloc_arm(1);
    block = way->allocate();
    failing_malloc_disarm();
    ck_assert_msg(block == NULL, "%s", way->name);
    ck_assert_msg(failing_malloc_failed(), "%s", way->name);
}
END_TEST

START_TEST(a_block_is_live_until_it_is_freed)
{
    const struct way *way = &ways[_i];
    long before = failing_malloc_live(), during, after;

    block = way->allocate();
    during = failing_malloc_live();
    free(block);
    after = failing_malloc_live();

    ck_assert_msg(during == before + 1, "%s: %ld, then %ld", way->name, before, during);
    ck_assert_msg(after == before, "%s: %ld, in the end %ld", way->name, before, after);
}
END_TEST

START_TEST(a_failed_allocation_is_not_live)
{
    const struct way *way = &ways[_i];
    long before = failing_malloc_live(), after;

    failing_malloc_arm(1);
    block = way->allocate();
    failing_malloc_disarm();
    after = failing_malloc_live();
    ck_assert_msg(after == before, "%s: %ld, then %ld", way->name, before, after);
}
END_TEST

START_TEST(a_leak_shows)
{
    long before = failing_malloc_live(), after;

    more[0] = malloc(10);
    more[1] = malloc(10);
    free(more[0]);
    after = failing_malloc_live();
    ck_assert_int_eq(after, before + 1);
    free(more[1]);
}
END_TEST

START_TEST(a_failed_realloc_leaves_the_block)
{
    char *text = strdup("kept"), *larger;
    long before = failing_malloc_live(), after;

    failing_malloc_arm(1);
    larger = realloc(text, 4096);
    failing_malloc_disarm();
    after = failing_malloc_live();

    ck_assert_ptr_null(larger);
    ck_assert_str_eq(text, "kept");
    ck_assert_int_eq(after, before);
    free(text);
}
END_TEST

START_TEST(a_growing_block_stays_one_block)
{
    long before = failing_malloc_live(), after;

    failing_malloc_arm(0);
    block = malloc(10);
    block = realloc(block, 100000);
    failing_malloc_disarm();
    after = failing_malloc_live();
    free(block);

    ck_assert_int_eq(after, before + 1);
    ck_assert_int_eq(failing_malloc_count(), 2);
}
END_TEST

struct elsewhere {
    atomic_bool go;
    bool given;
};

static void *allocate_elsewhere(void *argument)
{
    struct elsewhere *elsewhere = argument;
    void *volatile own;

    while (!atomic_load(&elsewhere->go))
        sched_yield();
    own = malloc(10);
    elsewhere->given = own != NULL;
    free(own);
    return NULL;
}

START_TEST(other_threads_are_left_alone)
{
    struct elsewhere elsewhere = { false, false };
    pthread_t thread;
    int created, joined;

    created = pthread_create(&thread, NULL, allocate_elsewhere, &elsewhere);
    ck_assert_int_eq(created, 0);

    failing_malloc_arm_all_after(1);
    atomic_store(&elsewhere.go, true);
    joined = pthread_join(thread, NULL);
    failing_malloc_disarm();

    ck_assert_int_eq(joined, 0);
    ck_assert(elsewhere.given);
    ck_assert(!failing_malloc_failed());
}
END_TEST

static Suite *failing_malloc_suite(void)
{
    Suite *suite = suite_create("failing malloc");
    TCase *tcase = tcase_create("failing malloc");

    tcase_add_loop_test(tcase, the_kth_allocation_fails_and_only_that, 0, 5);
    tcase_add_test(tcase, all_after_the_kth_fail_too);
    tcase_add_test(tcase, nothing_fails_or_counts_once_disarmed);
    tcase_add_test(tcase, a_failure_sets_errno);
    tcase_add_loop_test(tcase, every_way_to_allocate_can_fail, 0, WAYS);
    tcase_add_loop_test(tcase, a_block_is_live_until_it_is_freed, 0, WAYS);
    tcase_add_loop_test(tcase, a_failed_allocation_is_not_live, 0, WAYS);
    tcase_add_test(tcase, a_leak_shows);
    tcase_add_test(tcase, a_failed_realloc_leaves_the_block);
    tcase_add_test(tcase, a_growing_block_stays_one_block);
    tcase_add_test(tcase, other_threads_are_left_alone);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    (void)error; /* nothing here reports one */
    return run_suite(failing_malloc_suite());
}
