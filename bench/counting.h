/*
 * What the library asks the C library for. This program's own malloc and
 * pthread_mutex_lock stand in front of the C library's, for everything in the
 * process, and count while they are asked to, as do fsync() and fdatasync(). (Always, and jansson, which
 * allocates more, would look slower than it is.)
 *
 * With another C library than glibc nothing can be counted, and under a
 * sanitizer, which stands there itself: counting_works() says so.
 */
#ifndef BENCH_COUNTING_H
#define BENCH_COUNTING_H

#include <stdbool.h>
#include <stdint.h>

struct counts {
    int64_t allocations;
    int64_t locks;
    int64_t bytes; /* allocated and not freed since, the allocator's own word included */
    int64_t syncs; /* fsync() and fdatasync() */
};

bool counting_works(void);

/* Count from 0, for all threads. */
void counting_start(void);

struct counts counting_stop(void);

#endif
