/*
 * Threads of a route's own, for what the caller does not wait for to the end.
 *
 * A job is handed over with pool_start and is then the pool's: whoever waits for it may give up at
 * a deadline, and the job is thrown away when it is done. Nothing queues up: when there are
 * more jobs than the pool has room for, the new one is refused.
 */
#ifndef FV_ENGINE_POOL_H
#define FV_ENGINE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "flagver/base.h"

#define FV_POOL_THREADS 64 /* at most */

struct fv_pool;

/* The first member of whatever is to be done. */
struct fv_job {
    void (*run)(struct fv_job *job);  /* on one of the threads */
    void (*free)(struct fv_job *job); /* after that, or instead; by whoever is last */
    int state;                        /* the pool's own, like what follows */
    bool abandoned;
    struct fv_job *next;
};

int fv_pool_new(const flagver_allocator *memory, uint32_t threads, struct fv_pool **ret_pool,
                flagver_error *err);

/* Wait for jobs that run, up to `wait_ms`. False: one still does, and the pool stays. */
bool fv_pool_free(struct fv_pool *pool, int32_t wait_ms);

/* False: there is no room, or this process has forked from the one that has the threads. */
bool fv_pool_start(struct fv_pool *pool, struct fv_job *job);

/*
 * Wait for a job until `deadline` (fv_monotonic_ns; 0: for ever). True: it has run, and
 * is the caller's. False: it is the pool's, and `free` will be called.
 */
bool fv_pool_wait(struct fv_pool *pool, struct fv_job *job, int64_t deadline);

#endif
