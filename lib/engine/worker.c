#define _POSIX_C_SOURCE 200809L /* pthread_condattr_setclock(), sigfillset() */

#include "engine/worker.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "store/store.h"
#include "util/fail.h"
#include "util/memory.h"

#define BUDGET_MS 100 /* of a step */
#define SILENCE_MS 60000

struct fv_worker {
    flagver_route *route;
    unsigned forks;
    pthread_t thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t wake;
    bool stops, stopped;

    /* the thread's own */
    uint64_t compared; /* so far, by all processes, as of the last step */
    int64_t told_ms;   /* when it was told last that a step has failed; 0: never */
    int64_t told_unrepaired_ms;
};

static struct timespec in_ms(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Where there was work to do there may be more of it; what rests goes on when it has. */
static int64_t until_next_step(struct fv_worker *worker, const flagver_route_progress *progress)
{
    int64_t poll_ms = worker->route->client->stored->poll_ms;
    bool went_on = progress->copied > 0 || progress->compared_so_far > worker->compared;

    worker->compared = progress->compared_so_far;
    if (progress->repaired > 0 || (went_on && progress->rest_ms == 0))
        return 1;
    return progress->rest_ms > 0 && progress->rest_ms < poll_ms ? progress->rest_ms : poll_ms;
}

/* False: the worker stops. */
static bool rest(struct fv_worker *worker, const flagver_route_progress *progress)
{
    struct timespec until = in_ms(until_next_step(worker, progress));
    bool stops;

    pthread_mutex_lock(&worker->lock);
    while (!worker->stops && pthread_cond_timedwait(&worker->wake, &worker->lock, &until) == 0)
        ;
    stops = worker->stops;
    pthread_mutex_unlock(&worker->lock);
    return !stops;
}

/*
 * Nobody gets what the step returns, nor why a repair has failed; who looks for the reason finds it without being
 * flooded. That the route is being closed is none.
 */
static void tell(struct fv_worker *worker, int64_t *told_ms, const char *what,
                 const flagver_error *why)
{
    char message[FLAGVER_MIGRATION_LIMIT + FLAGVER_ROUTE_KEY_LIMIT + FLAGVER_MESSAGE_SIZE + 32];
    const flagver_client *client = worker->route->client;
    int64_t now = fv_monotonic_ms();

    if (!client->log || atomic_load(&worker->route->closed) ||
        (*told_ms && now - *told_ms < SILENCE_MS))
        return;
    *told_ms = now;
    snprintf(message, sizeof message, "%s: %s: %s", worker->route->name, what, why->message);
    client->log(client->log_data, FLAGVER_LOG_WARNING, message);
}

/* One of the keys: where many are not repaired, that is for one reason, as a rule. */
static void tell_unrepaired(struct fv_worker *worker)
{
    flagver_route *route = worker->route;
    char what[FLAGVER_ROUTE_KEY_LIMIT + 24];
    flagver_error why;

    pthread_mutex_lock(&route->working);
    snprintf(what, sizeof what, "\"%s\" is not repaired", route->unrepaired);
    why = route->unrepaired_why;
    pthread_mutex_unlock(&route->working);
    tell(worker, &worker->told_unrepaired_ms, what, &why);
}

/* A step that fails is taken again: what it could not do now it may do later. */
static void *work(void *data)
{
    struct fv_worker *worker = data;
    flagver_route_progress progress;
    flagver_error problem;

    do {
        progress = (flagver_route_progress){ .size = sizeof progress };
        if (fv_route_step_once(worker->route, BUDGET_MS, &progress, &problem) < 0)
            tell(worker, &worker->told_ms, "a step has failed", &problem);
        if (progress.unrepaired > 0)
            tell_unrepaired(worker);
    } while (rest(worker, &progress));

    pthread_mutex_lock(&worker->lock);
    worker->stopped = true;
    pthread_cond_broadcast(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static int start_thread(struct fv_worker *worker)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int fv_worker_start(flagver_route *route, struct fv_worker **ret_worker, flagver_error *err)
{
    struct fv_worker *worker = fv_allocate_zeroed(route->memory, 1, sizeof *worker);
    pthread_condattr_t attributes;
    int r;

    if (!worker)
        return fv_fail_memory(err);
    worker->route = route;
    worker->forks = fv_forks();
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->wake, &attributes);
    pthread_condattr_destroy(&attributes);

    r = start_thread(worker);
    if (r != 0) {
        pthread_cond_destroy(&worker->wake);
        pthread_mutex_destroy(&worker->lock);
        fv_release(route->memory, worker);
        return fv_fail_errno(err, FLAGVER_EIO, r, "no thread for a route's steps");
    }
    *ret_worker = worker;
    return 0;
}

static bool wait_for_end(struct fv_worker *worker, int64_t wait_ms)
{
    struct timespec until = in_ms(wait_ms > 0 ? wait_ms : 0);
    bool stopped;

    pthread_mutex_lock(&worker->lock);
    worker->stops = true;
    pthread_cond_broadcast(&worker->wake);
    while (!worker->stopped && pthread_cond_timedwait(&worker->wake, &worker->lock, &until) == 0)
        ;
    stopped = worker->stopped;
    pthread_mutex_unlock(&worker->lock);
    return stopped;
}

bool fv_worker_stop(struct fv_worker *worker, int64_t wait_ms)
{
    if (!worker)
        return true;
    if (worker->forks == fv_forks()) {
        if (!wait_for_end(worker, wait_ms))
            return false;
        pthread_join(worker->thread, NULL);
        pthread_cond_destroy(&worker->wake);
        pthread_mutex_destroy(&worker->lock);
    }
    fv_release(worker->route->memory, worker);
    return true;
}
