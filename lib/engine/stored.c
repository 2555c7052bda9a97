#define _GNU_SOURCE /* timerfd, eventfd, epoll, clock_gettime, dup3 */

#include "engine/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/cache.h"
#include "engine/client.h"
#include "engine/reader.h"
#include "engine/track.h"
#include "util/fail.h"
#include "util/uri.h"

#define POLL_MS 250
#define POLL_TOLD_MS 500 /* where the store tells of changes */
#define REST_MS 20       /* between two looks because it does: what comes meanwhile is one look */
#define CACHE_PAUSE_MS 5000 /* the cache file is written so often at most while flags change */
#define NOT_CACHED UINT64_MAX
#define LATE_POLLS 10 /* looks that are missed until that is said */
#define LATE_MS 2000  /* and the least that one may take */

static int64_t system_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- new and free ---- */

static bool copy_text(const flagver_allocator *memory, const char *text, char **ret_copy)
{
    if (!text)
        return true;
    *ret_copy = fv_allocate(memory, strlen(text) + 1);
    if (*ret_copy)
        memcpy(*ret_copy, text, strlen(text) + 1);
    return *ret_copy != NULL;
}

/* A store that is away for now is no reason not to start where a cache file may help. */
static bool may_be_away(int code)
{
    return code == FLAGVER_EUNAVAILABLE || code == FLAGVER_EBUSY || code == FLAGVER_EIO;
}

/*
 * A store that was there once is not made anew when it is away: the new one would be in the way of
 * the old one when that comes back. A cache file tells that it was there.
 */
static int open_store(const struct fv_stored *stored, bool was_there, struct fv_store **ret_store,
                      flagver_error *err)
{
    bool cached = stored->cache_file && access(stored->cache_file, F_OK) == 0;
    const struct fv_store_options options = { .memory = stored->memory,
                                              .wait_ms = stored->wait_ms,
                                              .no_create = was_there || cached,
                                              .keys = stored->keys };
    int r = fv_store_open(stored->uri, &options, ret_store, err);

    if (r != FLAGVER_ENOTFOUND)
        return r;
    if (cached)
        return fv_fail(err, FLAGVER_EUNAVAILABLE,
                       "%.300s is not there, but its cache file %.300s is; remove that to begin a "
                       "new store",
                       stored->shown, stored->cache_file);
    return fv_fail(err, FLAGVER_EUNAVAILABLE, "%.300s is not there any more", stored->shown);
}

static void init_locks(struct fv_stored *stored)
{
    pthread_mutex_init(&stored->refreshing, NULL);
    pthread_mutex_init(&stored->status, NULL);
    pthread_mutex_init(&stored->waking, NULL);
    fv_policy_cache_init_lock(&stored->policies);
}

static void close_if_open(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

void fv_stored_free(struct fv_stored *stored)
{
    if (!stored)
        return;
    fv_policy_cache_clear(&stored->policies); /* Its memory is the store's. */
    close_if_open(&stored->descriptor);       /* before the store closes what is in it */
    close_if_open(&stored->timer);
    close_if_open(&stored->wake);
    fv_store_release(stored->store);
    fv_keyring_release(stored->keys);
    fv_release(stored->memory, stored->uri);
    fv_release(stored->memory, stored->shown);
    fv_release(stored->memory, stored->tenant);
    fv_release(stored->memory, stored->cache_file);
    fv_watch_free(stored->watch, stored->memory);
    pthread_mutex_destroy(&stored->refreshing);
    pthread_mutex_destroy(&stored->status);
    pthread_mutex_destroy(&stored->waking);
    fv_release(stored->memory, stored);
}

static void set_error(struct fv_stored *stored, int code, const flagver_error *error);

static int read_keys(struct fv_stored *stored, const flagver_options *options, flagver_error *err)
{
    const struct fv_keyring_source source = { .ask = options->key,
                                              .data = options->key_data,
                                              .file = options->key_file,
                                              .text = getenv("FLAGVER_KEYS") };

    return fv_keyring_new(&source, &stored->keys, err);
}

static int fill(struct fv_stored *stored, const char *uri, const flagver_options *options,
                struct fv_store *shared, flagver_error *err)
{
    flagver_error error = { .code = 0 };
    int r;

    stored->shown = fv_uri_shown(uri, stored->memory);
    if (!stored->shown || !copy_text(stored->memory, uri, &stored->uri) ||
        !copy_text(stored->memory, options->tenant ? options->tenant : "default",
                   &stored->tenant) ||
        !copy_text(stored->memory, options->cache_file, &stored->cache_file))
        return fv_fail_memory(err);
    r = fv_check_text("tenant", stored->tenant, FV_TENANT_LIMIT, err);
    if (r == 0 && options->guardian)
        r = fv_watch_new(stored->memory, options, &stored->watch, err);
    if (r < 0)
        return r;
    if (shared) {
        fv_store_hold(shared);
        stored->store = shared;
        stored->keys = shared->keys;
        fv_keyring_hold(stored->keys);
        return 0;
    }
    r = read_keys(stored, options, err);
    if (r < 0)
        return r;
    r = open_store(stored, false, &stored->store, &error);
    if (r < 0 && stored->cache_file && may_be_away(r)) {
        set_error(stored, r, &error);
        return 0;
    }
    if (r < 0 && err)
        *err = error;
    return r;
}

int fv_stored_new(flagver_client *client, const char *uri, const flagver_options *options,
                  struct fv_store *shared, struct fv_stored **ret_stored, flagver_error *err)
{
    const flagver_allocator *memory = fv_client_memory(client);
    struct fv_stored *stored = fv_allocate_zeroed(memory, 1, sizeof *stored);
    int r;

    if (!stored)
        return fv_fail_memory(err);
    stored->client = client;
    stored->memory = memory;
    stored->wait_ms = options->wait_ms;
    stored->poll_ms = options->poll_ms > 0  ? options->poll_ms
                      : fv_store_tells(uri) ? POLL_TOLD_MS
                                            : POLL_MS;
    stored->background = options->background != 0;
    stored->authorize = options->authorize;
    stored->authorize_data = options->authorize_data;
    stored->descriptor = stored->timer = stored->watched = stored->wake = -1;
    init_locks(stored);
    r = fill(stored, uri, options, shared, err);
    if (r < 0) {
        fv_stored_free(stored);
        return r;
    }
    *ret_stored = stored;
    return 0;
}

/* ---- status ---- */

/* Keeps the moment at which the trouble began; true when it is news. */
static bool note_error(struct fv_stored *stored, int code, const flagver_error *error)
{
    bool news;

    pthread_mutex_lock(&stored->status);
    news = stored->error.code != code;
    if (news)
        stored->error_ms = system_ms();
    if (code == 0)
        stored->error.code = 0;
    else if (error->code == code)
        stored->error = *error;
    else
        fv_fail(&stored->error, code, "%s", fv_error_words(code));
    if (code == 0)
        stored->refreshed_ms = system_ms();
    stored->asked_ms = 0;
    stored->answered_ms = fv_monotonic_ms();
    stored->shown_size = stored->log.size;
    pthread_mutex_unlock(&stored->status);
    return news;
}

static void set_error(struct fv_stored *stored, int code, const flagver_error *error)
{
    note_error(stored, code, error);
}

static void note_asked(struct fv_stored *stored)
{
    pthread_mutex_lock(&stored->status);
    stored->asked_ms = fv_monotonic_ms();
    pthread_mutex_unlock(&stored->status);
}

/* Where nobody looks by himself it counts from when somebody did. */
int64_t fv_stored_silence(const struct fv_stored *stored)
{
    int64_t since = stored->background && stored->answered_ms ? stored->answered_ms
                                                              : stored->asked_ms;
    int64_t most = (int64_t)LATE_POLLS * stored->poll_ms, silence = fv_monotonic_ms() - since;

    return since && silence > (most > LATE_MS ? most : LATE_MS) ? silence : 0;
}

int fv_stored_hold(struct fv_stored *stored, struct fv_store **ret_store, flagver_error *err)
{
    int r = 0;

    pthread_mutex_lock(&stored->status);
    if (stored->forked)
        r = fv_fail(err, FLAGVER_EFORKED,
                    "%.300s was opened before the process forked; flagver_client_reopen() it",
                    stored->shown);
    else if (!stored->store)
        r = fv_fail(err, FLAGVER_EUNAVAILABLE, "%.600s", stored->error.message);
    if (r == 0) {
        fv_store_hold(stored->store);
        *ret_store = stored->store;
    }
    pthread_mutex_unlock(&stored->status);
    return r;
}

/* The same, and a store that was away when the client started is opened now if it is back. */
static int hold_or_open(struct fv_stored *stored, struct fv_store **ret_store, flagver_error *err)
{
    struct fv_store *opened = NULL;
    int r = 0;

    pthread_mutex_lock(&stored->status);
    if (!stored->store && !stored->forked) {
        pthread_mutex_unlock(&stored->status);
        r = open_store(stored, true, &opened, err);
        pthread_mutex_lock(&stored->status);
        if (r == 0)
            stored->store = opened;
    }
    pthread_mutex_unlock(&stored->status);
    return r < 0 ? r : fv_stored_hold(stored, ret_store, err);
}

/* ---- the cache file ---- */

/* It is only a cache: what goes wrong here is not worth an error. */
static void write_cache(struct fv_stored *stored, const struct fv_tenancy *tenancy)
{
    struct fv_cache_mark mark = { .uri = stored->shown, .tenant = stored->tenant };
    struct fv_harvest harvest;

    fv_harvest_init(&harvest, stored->memory);
    if (fv_feed_all(tenancy, 0, &harvest, NULL) == 0) {
        mark.log = harvest.mark;
        if (fv_cache_write(stored->cache_file, &mark, &harvest, NULL) == 0)
            stored->cached_size = harvest.mark.size;
    }
    stored->cached_ms = fv_monotonic_ms();
    fv_harvest_clear(&harvest);
}

static void cache_sometimes(struct fv_stored *stored, const struct fv_tenancy *tenancy)
{
    if (stored->cache_file && stored->cached_size != stored->log.size &&
        (!stored->cached_ms || fv_monotonic_ms() - stored->cached_ms >= CACHE_PAUSE_MS))
        write_cache(stored, tenancy);
}

/* Makes the cached flags the client's; false: there are none that can be used. */
static bool start_from_cache(struct fv_stored *stored)
{
    struct fv_cache_mark mark = { .uri = stored->shown, .tenant = stored->tenant };
    struct fv_harvest harvest;

    fv_harvest_init(&harvest, stored->memory);
    if (fv_cache_read(stored->cache_file, &mark, &harvest, NULL) == 0 &&
        fv_client_take_records(stored->client, &harvest, true, NULL) == 0) {
        stored->log = mark.log;
        stored->cached_size = mark.log.size;
        stored->known = true;
        stored->confirmed = false;
    }
    fv_harvest_clear(&harvest);
    return stored->known;
}

/* Is the log that our flags are of the one that the store has? Else all is read anew. */
static int confirm(struct fv_stored *stored, const struct fv_tenancy *tenancy, uint64_t size,
                   flagver_error *err)
{
    bool known = false;
    int r = 0;

    if (size >= stored->log.size)
        r = fv_feed_is_known(tenancy, &stored->log, &known, err);
    if (r < 0)
        return r;
    stored->known = known;
    stored->confirmed = true;
    return 0;
}

/* ---- what has changed ---- */

static int take_harvest(struct fv_stored *stored, const struct fv_tenancy *tenancy, bool whole,
                        bool environment, flagver_error *err)
{
    struct fv_harvest harvest;
    int r;

    fv_harvest_init(&harvest, stored->memory);
    r = whole ? fv_feed_all(tenancy, 0, &harvest, err)
              : fv_feed_since(tenancy, &stored->log, &harvest, err);
    if (r == 0)
        r = fv_client_take_records(stored->client, &harvest, environment, err);
    if (r == 0) {
        if (harvest.whole && !whole)
            stored->cached_size = NOT_CACHED;
        stored->log = harvest.mark;
        stored->known = stored->confirmed = true;
    }
    fv_harvest_clear(&harvest);
    return r;
}

/* The client is just being opened: what has come is made into flags while the rest is on its way. */
static int take_feed(struct fv_stored *stored, const struct fv_tenancy *tenancy, uint64_t size,
                     flagver_error *err)
{
    struct fv_feed feed;
    const struct fv_record_stream stream = { fv_feed_next, &feed };
    int r;

    r = fv_feed_open(&feed, tenancy, size, err);
    if (r == 0)
        r = fv_client_take_stream(stored->client, &stream, err);
    fv_feed_close(&feed);
    if (r == 0) {
        stored->log = feed.mark;
        stored->known = stored->confirmed = true;
    }
    return r;
}

static int catch_up(struct fv_stored *stored, const struct fv_tenancy *tenancy, bool environment,
                    flagver_error *err)
{
    uint64_t size;
    int r;

    r = fv_feed_size(tenancy, &size, err);
    /* The usual case, several times a second: nothing has happened. */
    if (r < 0 || (stored->known && stored->confirmed && size == stored->log.size && !environment))
        return r;
    if (stored->known && size <= stored->log.size) { /* what has grown is looked at as it is read */
        r = confirm(stored, tenancy, size, err);
        if (r < 0)
            return r;
    }
    if (!stored->known)
        stored->cached_size = NOT_CACHED; /* the file may be of another store, of the same size */
    if (!stored->known && environment && fv_client_is_empty(stored->client))
        return take_feed(stored, tenancy, size, err);
    /* What names a variable has to be read anew when variables have changed. */
    if (!stored->known || (environment && fv_client_environment_changed(stored->client)))
        return take_harvest(stored, tenancy, true, environment, err);
    return size == stored->log.size ? 0 : take_harvest(stored, tenancy, false, environment, err);
}

static bool is_forked(struct fv_stored *stored)
{
    bool forked;

    pthread_mutex_lock(&stored->status);
    forked = stored->forked;
    pthread_mutex_unlock(&stored->status);
    return forked;
}

/* ---- the descriptor ---- */

static bool add_to(int descriptor, int member)
{
    struct epoll_event event = { .events = EPOLLIN };

    return epoll_ctl(descriptor, EPOLL_CTL_ADD, member, &event) == 0;
}

static void stop_watching(struct fv_stored *stored)
{
    struct epoll_event unused;

    if (stored->watched >= 0)
        epoll_ctl(stored->descriptor, EPOLL_CTL_DEL, stored->watched, &unused);
    stored->watched = -1;
}

/* What the store tells counts as well, from when it does. */
static void start_watching(struct fv_stored *stored, const struct fv_store *store)
{
    int told = fv_store_watch(store);

    if (told == stored->watched)
        return;
    stop_watching(stored);
    if (told >= 0 && add_to(stored->descriptor, told))
        stored->watched = told;
}

/*
 * It rests until the time is up, or the store tells of something: what that did so far is made to
 * rest by looking. After a fork it is the parent's, until the store is reopened.
 */
static void drain_descriptor(struct fv_stored *stored)
{
    uint64_t ticks;

    if (!is_forked(stored) && stored->timer >= 0 && read(stored->timer, &ticks, sizeof ticks) < 0)
        return; /* it has not ticked: there is nothing to drain */
}

static int new_timer(const struct fv_stored *stored)
{
    const struct timespec every = { stored->poll_ms / 1000,
                                    (long)(stored->poll_ms % 1000) * 1000000 };
    const struct itimerspec ticks = { every, every };
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (timer >= 0)
        timerfd_settime(timer, 0, &ticks, NULL);
    return timer;
}

/* One with a timer of its own in it; -1: errno says why. */
static int new_descriptor(const struct fv_stored *stored, int *ret_timer)
{
    int descriptor = epoll_create1(EPOLL_CLOEXEC), number;

    *ret_timer = descriptor < 0 ? -1 : new_timer(stored);
    if (*ret_timer >= 0 && add_to(descriptor, *ret_timer))
        return descriptor;
    number = errno;
    close_if_open(ret_timer);
    close_if_open(&descriptor);
    errno = number;
    return -1;
}

int fv_stored_descriptor(struct fv_stored *stored, flagver_error *err)
{
    struct fv_store *store;
    int r;

    if (stored->background)
        return fv_fail(err, FLAGVER_ENOTSUP, "the client refreshes by itself");
    pthread_mutex_lock(&stored->refreshing);
    if (stored->descriptor < 0) {
        stored->descriptor = new_descriptor(stored, &stored->timer);
        if (stored->descriptor >= 0 && fv_stored_hold(stored, &store, NULL) == 0) {
            start_watching(stored, store);
            fv_store_release(store);
        }
    }
    r = stored->descriptor >= 0 ? stored->descriptor
                                : fv_fail_errno(err, FLAGVER_EIO, errno, "no descriptor");
    pthread_mutex_unlock(&stored->refreshing);
    return r;
}

/* ---- refreshing ---- */

static int refresh(struct fv_stored *stored, bool environment, flagver_error *err)
{
    struct fv_tenancy tenancy = { .tenant = stored->tenant };
    int r;

    drain_descriptor(stored);
    r = hold_or_open(stored, &tenancy.store, err);
    if (r < 0)
        return r;
    if (stored->descriptor >= 0)
        start_watching(stored, tenancy.store);
    r = catch_up(stored, &tenancy, environment, err);
    if (r == 0)
        cache_sometimes(stored, &tenancy);
    fv_store_release(tenancy.store);
    return r;
}

int fv_stored_refresh(struct fv_stored *stored, bool environment, flagver_error *err)
{
    flagver_error error = { .code = 0 };
    bool news;
    int r;

    pthread_mutex_lock(&stored->refreshing);
    note_asked(stored);
    r = refresh(stored, environment, &error);
    news = note_error(stored, r, &error);
    pthread_mutex_unlock(&stored->refreshing);
    if (news)
        fv_client_tell_health(stored->client, r < 0 ? &error : NULL);
    if (r < 0 && err)
        *err = error;
    return r;
}

int fv_stored_start(struct fv_stored *stored, flagver_error *err)
{
    flagver_error error = { .code = 0 };
    bool cached;
    int r;

    pthread_mutex_lock(&stored->refreshing);
    cached = stored->cache_file && start_from_cache(stored);
    note_asked(stored);
    r = refresh(stored, true, &error);
    note_error(stored, r, &error);
    pthread_mutex_unlock(&stored->refreshing);
    cached = cached && stored->known; /* the store may have said that the file is of another one */
    if (r < 0 && cached && may_be_away(r)) {
        fv_client_tell_health(stored->client, &error);
        return 0;
    }
    if (r < 0 && err)
        *err = error;
    return r;
}

/* ---- the refresher's thread ---- */

static bool is_stopped(struct fv_stored *stored)
{
    bool stop;

    pthread_mutex_lock(&stored->waking);
    stop = stored->stop;
    pthread_mutex_unlock(&stored->waking);
    return stop;
}

/*
 * What else there is to do for a store: transactions that are open for too long are taken back.
 * Returns its descriptor.
 */
static int look_after(struct fv_stored *stored, struct fv_store *store)
{
    int told;

    pthread_mutex_lock(&stored->refreshing); /* not while the process forks */
    fv_gate_tick(store);
    told = fv_store_watch(store);
    pthread_mutex_unlock(&stored->refreshing);
    return told;
}

/* Until then, or until something is in the descriptors. A negative one is none. */
static void wait_for(struct pollfd *entries, nfds_t count, int64_t until)
{
    int64_t left = until - fv_monotonic_ms();
    nfds_t i;

    for (i = 0; i < count; i++)
        entries[i].revents = 0;
    poll(entries, count, left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left);
}

/*
 * Until somebody hurries, the store tells of something, or it is time. A store that goes on telling
 * whatever is done costs a look every REST_MS. True: it told.
 */
static bool sleep_until_due(const struct fv_stored *stored, int told)
{
    struct pollfd entries[] = { { .fd = stored->wake, .events = POLLIN },
                                { .fd = told, .events = POLLIN } };
    int64_t now = fv_monotonic_ms(), due = now + stored->poll_ms;
    uint64_t hurries;

    wait_for(entries, 1, due < now + REST_MS ? due : now + REST_MS);
    if (!entries[0].revents)
        wait_for(entries, 2, due);
    if (entries[0].revents && read(stored->wake, &hurries, sizeof hurries) < 0)
        return false; /* nobody else reads it */
    return entries[1].revents != 0;
}

/*
 * The store is not held meanwhile, for a child would have to give it up for the thread that it does
 * not have. Whoever opens another one in its place wakes this one.
 */
static void rest(struct fv_stored *stored)
{
    struct fv_store *store = NULL;
    int told = -1;

    if (fv_stored_hold(stored, &store, NULL) == 0) {
        told = look_after(stored, store);
        fv_store_release(store);
    }
    if (sleep_until_due(stored, told))
        fv_registry_hurry(store, stored->client);
}

static void *run(void *data)
{
    struct fv_stored *stored = data;

    while (!is_stopped(stored)) {
        fv_stored_refresh(stored, false, NULL);
        fv_client_tell(stored->client);
        /* Where nothing can be flushed, what others have flushed is there all the same. */
        if (fv_track_tick(stored->client) && stored->watch)
            fv_watch_look(stored->watch, stored->client);
        rest(stored);
    }
    return NULL;
}

/* With `waking` held. */
static int start_thread(struct fv_stored *stored)
{
    int r;

    if (stored->wake < 0)
        stored->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = stored->wake < 0 ? errno : pthread_create(&stored->thread, NULL, run, stored);
    stored->runs = r == 0;
    return r;
}

/* The host's signals are for the host's threads. */
int fv_stored_run(struct fv_stored *stored, flagver_error *err)
{
    sigset_t all, before;
    int r = 0;

    if (!stored->background)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&stored->waking); /* others may be reopening, too */
    if (!stored->runs)
        r = start_thread(stored);
    pthread_mutex_unlock(&stored->waking);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : fv_fail_errno(err, FLAGVER_ENOMEM, r, "no thread for the refresher");
}

/* With `waking` held. That it is written already is as good. */
static void wake(const struct fv_stored *stored)
{
    const uint64_t one = 1;

    if (stored->wake >= 0 && write(stored->wake, &one, sizeof one) < 0)
        return;
}

void fv_stored_stop(struct fv_stored *stored)
{
    if (!stored->runs)
        return;
    pthread_mutex_lock(&stored->waking);
    stored->stop = true;
    wake(stored);
    pthread_mutex_unlock(&stored->waking);
    pthread_join(stored->thread, NULL);
    stored->runs = false;
}

void fv_stored_hurry(void *data)
{
    struct fv_stored *stored = data;

    pthread_mutex_lock(&stored->waking);
    wake(stored);
    pthread_mutex_unlock(&stored->waking);
}

void fv_stored_hurry_for(struct fv_stored *stored, const struct fv_store *store)
{
    bool ours;

    pthread_mutex_lock(&stored->status);
    ours = stored->store == store;
    pthread_mutex_unlock(&stored->status);
    if (ours)
        fv_stored_hurry(stored);
}

/* ---- fork ---- */

void fv_stored_before_fork(struct fv_stored *stored, const struct timespec *deadline)
{
    stored->forks_still = pthread_mutex_timedlock(&stored->refreshing, deadline) == 0;
    fv_watch_before_fork(stored->watch, deadline);
}

void fv_stored_after_fork(struct fv_stored *stored)
{
    fv_watch_after_fork(stored->watch);
    if (stored->forks_still)
        pthread_mutex_unlock(&stored->refreshing);
}

/* No other thread came along; whatever it had locked is locked for good, so all is made anew. */
void fv_stored_forked(struct fv_stored *stored)
{
    init_locks(stored);
    fv_watch_forked(stored->watch);
    stored->forked = true;
    stored->runs = false;
    close_if_open(&stored->wake);
}

/* In place of the parent's, so that its number stays what pollers know. */
static void renew_descriptor(struct fv_stored *stored)
{
    int timer, descriptor;

    if (stored->descriptor < 0)
        return;
    descriptor = new_descriptor(stored, &timer);
    if (descriptor < 0)
        return;
    dup3(descriptor, stored->descriptor, O_CLOEXEC);
    close(descriptor);
    close_if_open(&stored->timer);
    stored->timer = timer;
    stored->watched = -1;
}

/* The refresher goes on meanwhile: it finds another store the next time. */
int fv_stored_reopen(struct fv_stored *stored, flagver_error *err)
{
    struct fv_store *opened, *old;
    bool forked;
    int r, started;

    if (!is_forked(stored) && strcmp(stored->uri, "memory:") == 0)
        return fv_fail(err, FLAGVER_ENOTSUP, "a store in memory cannot be opened again");
    r = open_store(stored, true, &opened, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&stored->refreshing);
    pthread_mutex_lock(&stored->status);
    old = stored->store;
    forked = stored->forked;
    stored->store = opened;
    stored->forked = false;
    pthread_mutex_unlock(&stored->status);
    if (forked)
        renew_descriptor(stored);
    else
        stop_watching(stored);
    stored->known = false;
    pthread_mutex_unlock(&stored->refreshing);
    fv_store_release(old);
    fv_stored_hurry(stored); /* it may be waiting for what the old one tells */

    r = fv_stored_refresh(stored, true, err);
    started = fv_stored_run(stored, r < 0 ? NULL : err);
    return r < 0 ? r : started;
}
