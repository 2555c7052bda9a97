/*
 * A malloc that fails when it is told to, for this thread only.
 *
 * A program that is linked with failing_malloc.o has it in the place of the C
 * library's, for every caller: strdup(), jansson and Check as well as us. It
 * needs glibc, whose own functions it passes on to.
 *
 * The usual loop lets each allocation of a call fail in turn:
 *
 *     for (long k = 1;; k++) {
 *         failing_malloc_arm(k);
 *         r = call_under_test();
 *         failing_malloc_disarm();
 *         if (!failing_malloc_failed())
 *             break;
 *         …the call said FLAGVER_ENOMEM and changed nothing…
 *     }
 *
 * Check's assertions allocate, also those that hold: disarm before one.
 *
 * A compiler may leave out a malloc whose block is only freed; keep the pointer
 * in a volatile where that matters.
 */
#ifndef FLAGVER_TESTS_FAILING_MALLOC_H
#define FLAGVER_TESTS_FAILING_MALLOC_H

#include <stdbool.h>

/* The k-th allocation from now on fails, k from 1, those after it succeed. With
 * k = 0 none fails: they are counted. */
void failing_malloc_arm(long k);

/* The k-th allocation from now on fails, and every one after it. */
void failing_malloc_arm_all_after(long k);

void failing_malloc_disarm(void);

/* How many allocations were asked for while armed, the failed ones included:
 * since the last arming, and until disarmed. A realloc() is one, also when the
 * block shrinks; a realloc() to 0 bytes frees and is none. */
long failing_malloc_count(void);

/* Did one fail since the last arming? */
bool failing_malloc_failed(void);

/* The code that asked for the first block that it did not get; NULL: all got theirs. */
const void *failing_malloc_caller(void);

/* Blocks that are allocated now, by all threads: the same before and after a
 * call that leaks nothing. What stdio and Check allocate on first use counts
 * too, so print nothing in between. */
long failing_malloc_live(void);

#endif
