/* One thread replaces a value, others copy it: each copy is one value, and none is older than the one before. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "support.h"
#include "util/published.h"

#define NUMBERS (FV_PUBLISHED_WORDS - 1)
#define READERS 3
#define COPIES 100000 /* of all of them, while it is being replaced */

struct value {
    uint64_t numbers[NUMBERS]; /* all the same */
    uint32_t last;             /* not a whole word, but for what is left free behind it */
};

static struct fv_published published;
static atomic_int copies;
static atomic_bool over;

static void replace(uint32_t number)
{
    struct value value = { .last = number };

    for (int i = 0; i < NUMBERS; i++)
        value.numbers[i] = number;
    fv_published_replace(&published, &value, sizeof value);
}

struct seen {
    uint64_t backwards, torn;
};

static void *copy(void *data)
{
    struct seen *seen = data;
    struct value value;
    uint32_t before = 0;

    while (!atomic_load(&over)) {
        if (!fv_published_copy(&published, &value, sizeof value))
            continue;
        atomic_fetch_add(&copies, 1);
        seen->backwards += value.last < before;
        for (int i = 0; i < NUMBERS; i++)
            seen->torn += value.numbers[i] != value.last;
        before = value.last;
    }
    return NULL;
}

START_TEST(a_copy_is_one_value_and_none_is_older_than_the_one_before)
{
    struct seen seen[READERS] = { 0 };
    pthread_t threads[READERS];

    replace(1);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, copy, &seen[i]), 0);
    for (uint32_t number = 2; atomic_load(&copies) < COPIES; number++)
        replace(number);
    atomic_store(&over, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(seen[i].backwards, 0);
        ck_assert_uint_eq(seen[i].torn, 0);
    }
}
END_TEST

START_TEST(what_is_being_replaced_is_not_copied)
{
    struct value value;

    replace(7);
    ck_assert(fv_published_copy(&published, &value, sizeof value));
    ck_assert_uint_eq(value.numbers[NUMBERS - 1], 7);
    ck_assert_uint_eq(value.last, 7);
    atomic_fetch_add(&published.turn, 1);
    ck_assert(!fv_published_copy(&published, &value, sizeof value));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("published values");
    TCase *tests = tcase_create("published");

    tcase_add_test(tests, a_copy_is_one_value_and_none_is_older_than_the_one_before);
    tcase_add_test(tests, what_is_being_replaced_is_not_copied);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
