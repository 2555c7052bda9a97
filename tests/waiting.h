/*
 * Waiting in tests: for a while, or until another thread or process has made something so.
 * Who includes it asks for _POSIX_C_SOURCE 200809L or more.
 */
#ifndef FLAGVER_TESTS_WAITING_H
#define FLAGVER_TESTS_WAITING_H

#include <check.h>
#include <time.h>

static inline void rest(int ms)
{
    const struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&time, NULL);
}

/* It is to be so soon; the test fails when it is not within 20 s. */
#define wait_until(condition)                                         \
    do {                                                              \
        int left_;                                                    \
        for (left_ = 4000; left_ > 0 && !(condition); left_--)        \
            rest(5);                                                  \
        ck_assert_msg(left_ > 0, "%s: it does not come", #condition); \
    } while (0)

#endif
