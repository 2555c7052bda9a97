/*
 * What every test file uses: Check, and assertions that print an error's words.
 *
 * A test file is a program: it fills a suite and hands it to run_suite().
 */
#ifndef FLAGVER_TESTS_SUPPORT_H
#define FLAGVER_TESTS_SUPPORT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flagver/base.h"

#if defined(__GNUC__)
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif

/* The calls under test report into this. */
static flagver_error error MAYBE_UNUSED;

/* The call returns 0; otherwise its words are printed. */
#define assert_ok(call)                                                                 \
    do {                                                                                \
        int assert_result_;                                                             \
        memset(&error, 0, sizeof error);                                                \
        assert_result_ = (call);                                                        \
        ck_assert_msg(assert_result_ == 0, "%s returned %d: %s", #call, assert_result_, \
                      error.message);                                                   \
    } while (0)

/* The call returns this code and fills `error`, code and words. */
#define assert_fails(expected, call)                                                           \
    do {                                                                                       \
        int assert_result_;                                                                    \
        memset(&error, 0, sizeof error);                                                       \
        assert_result_ = (call);                                                               \
        ck_assert_msg(assert_result_ == (expected), "%s returned %d instead of %s: %s", #call, \
                      assert_result_, #expected, error.message);                               \
        ck_assert_int_eq(error.code, (expected));                                              \
        ck_assert_msg(error.message[0], "%s failed without words", #call);                     \
    } while (0)

/* The words of the last failure contain this. */
#define assert_words(part)                                                                  \
    ck_assert_msg(strstr(error.message, (part)) != NULL, "\"%s\" is not in \"%s\"", (part), \
                  error.message)

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
