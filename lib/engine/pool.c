#define _POSIX_C_SOURCE 200809L /* pthread_condattr_setclock(), sigfillset() */
#include "engine/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "store/store.h"
#include "util/fail.h"
#include "util/memory.h"

enum { QUEUED, RUNNING, DONE };

/* Who waits for a job has asked for it just now: a long queue would only make all of them late. */
#define ROOM_PER_THREAD 4

struct fv_pool {
    const flagver_allocator *memory;
    unsigned forks;       /* tells the process that has the threads from its children */
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t work, done;
    struct fv_job *first, *last;
    uint32_t queued, running, threads, room;
    bool stops;
    pthread_t thread[FV_POOL_THREADS];
};

/* ---- the threads ---- */

static struct fv_job *take(struct fv_pool *pool)
{
    struct fv_job *job = pool->first;

    pool->first = job->next;
    if (!pool->first)
        pool->last = NULL;
    pool->queued--;
    return job;
}

static void *work(void *data)
{
    struct fv_pool *pool = data;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct fv_job *job;
        bool abandoned;

        while (!pool->first && !pool->stops)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (!pool->first)
            break;

        job = take(pool);
        job->state = RUNNING;
        abandoned = job->abandoned;
        pool->running++;
        pthread_mutex_unlock(&pool->lock);
        if (!abandoned)
            job->run(job);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
        job->state = DONE;
        if (job->abandoned)
            job->free(job);
        pthread_cond_broadcast(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int start_threads(struct fv_pool *pool, uint32_t threads, flagver_error *err)
{
    sigset_t all, before;
    int r = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (r == 0 && pool->threads < threads) {
        r = pthread_create(&pool->thread[pool->threads], NULL, work, pool);
        if (r == 0)
            pool->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : fv_fail_errno(err, FLAGVER_EIO, r, "no thread for a route's worker");
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int fv_pool_new(const flagver_allocator *memory, uint32_t threads, struct fv_pool **ret_pool,
                flagver_error *err)
{
    struct fv_pool *pool = fv_allocate_zeroed(memory, 1, sizeof *pool);
    int r;

    if (!pool)
        return fv_fail_memory(err);
    pool->memory = memory;
    pool->forks = fv_forks();
    pool->room = threads * ROOM_PER_THREAD;
    pthread_mutex_init(&pool->lock, NULL);
    init_condition(&pool->work);
    init_condition(&pool->done);

    r = start_threads(pool, threads, err);
    if (r < 0) {
        fv_pool_free(pool, 0);
        return r;
    }
    *ret_pool = pool;
    return 0;
}

/* ---- jobs ---- */

static bool is_inherited(const struct fv_pool *pool)
{
    return pool->forks != fv_forks();
}

bool fv_pool_start(struct fv_pool *pool, struct fv_job *job)
{
    bool taken;

    if (is_inherited(pool))
        return false;

    pthread_mutex_lock(&pool->lock);
    taken = !pool->stops && pool->queued + pool->running < pool->room;
    if (taken) {
        job->state = QUEUED;
        job->abandoned = false;
        job->next = NULL;
        if (pool->last)
            pool->last->next = job;
        else
            pool->first = job;
        pool->last = job;
        pool->queued++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

/* False: it is later than `deadline`. */
static bool sleep_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline)
{
    struct timespec until = { (time_t)(deadline / 1000000000), (long)(deadline % 1000000000) };

    if (deadline == 0)
        return pthread_cond_wait(condition, lock) == 0;
    return pthread_cond_timedwait(condition, lock, &until) != ETIMEDOUT;
}

bool fv_pool_wait(struct fv_pool *pool, struct fv_job *job, int64_t deadline)
{
    bool done;

    pthread_mutex_lock(&pool->lock);
    while (job->state != DONE && sleep_until(&pool->done, &pool->lock, deadline))
        ;
    done = job->state == DONE;
    job->abandoned = !done;
    pthread_mutex_unlock(&pool->lock);
    return done;
}

/* ---- the end ---- */

static int64_t deadline_in(int32_t wait_ms)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + (int64_t)wait_ms * 1000000;
}

/* In a child nobody runs, and what the threads have held at the fork cannot be told. */
static bool leave_to_parent(struct fv_pool *pool)
{
    fv_release(pool->memory, pool);
    return true;
}

bool fv_pool_free(struct fv_pool *pool, int32_t wait_ms)
{
    int64_t deadline = deadline_in(wait_ms);
    bool idle;

    if (!pool)
        return true;
    if (is_inherited(pool))
        return leave_to_parent(pool);

    pthread_mutex_lock(&pool->lock);
    pool->stops = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->queued + pool->running > 0 && sleep_until(&pool->done, &pool->lock, deadline))
        ;
    idle = pool->queued + pool->running == 0;
    pthread_mutex_unlock(&pool->lock);
    if (!idle)
        return false;

    for (uint32_t i = 0; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    fv_release(pool->memory, pool);
    return true;
}
