#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/hash.h"
#include "util/memory.h"

/*
 * A NOTIFY is a hint; what counts is the length of the log, which everybody asks for anyway.
 *
 * Commits that notify take turns in the whole server, so ours do not: a statement of its own
 * follows a commit, at once when there was none for this tenant for a while, and else with the
 * next commit or poll after that while. It may wait for the others' turns, a little, and for the
 * disk not at all.
 *
 * Everybody in the database hears it, so it does not say whose log it was: whoever knows how names
 * are hashed tries those that he can think of.
 */
#define PAUSE_MS 100
#define NOTES 256 /* a tenant that shares a place with another one may notify once too often */

struct fv_pg_note {
    uint32_t name;
    bool due;     /* something was kept back */
    int64_t told; /* when; 0: never */
};

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- telling ---- */

/* With `lock` held. Without memory nothing is kept back, nor told. */
static struct fv_pg_note *get_notes(flagver_store *store)
{
    if (!store->notes)
        store->notes = fv_allocate_zeroed(store->memory, NOTES, sizeof *store->notes);
    return store->notes;
}

static void mark_due(flagver_store *store, flagver_bytes tenant)
{
    uint32_t name = fv_murmur3(tenant.data, tenant.length, 0);
    struct fv_pg_note *notes, *note;

    pthread_mutex_lock(&store->lock);
    notes = get_notes(store);
    if (notes) {
        note = &notes[name % NOTES];
        if (note->name != name)
            *note = (struct fv_pg_note){ .name = name };
        note->due = true;
    }
    pthread_mutex_unlock(&store->lock);
}

/* Is it time for any? Those count as told then. */
static bool take_due(flagver_store *store)
{
    int64_t now = now_ms();
    struct fv_pg_note *note;
    bool any = false;
    size_t i;

    pthread_mutex_lock(&store->lock);
    for (i = 0; store->notes && i < NOTES; i++) {
        note = &store->notes[i];
        if (!note->due || (note->told && now - note->told < PAUSE_MS))
            continue;
        note->due = false;
        note->told = now;
        any = true;
    }
    pthread_mutex_unlock(&store->lock);
    return any;
}

void fv_pg_notify_rest(struct fv_pg *conn)
{
    static const struct fv_pg_statement statement = {
        FV_PG_NOTIFY, "SELECT pg_catalog.set_config('synchronous_commit', 'off', true),"
                      " pg_catalog.set_config('lock_timeout', '100', true),"
                      " pg_catalog.pg_notify('flagver', '')"
    };

    if (!conn->standby && take_due(conn->store))
        fv_pg_query(conn, &statement, NULL, NULL, NULL);
}

void fv_pg_notify(struct fv_pg *conn, flagver_bytes tenant)
{
    mark_due(conn->store, tenant);
    fv_pg_notify_rest(conn);
}

/* ---- hearing ---- */

#define PAUSE_MIN_MS 250
#define PAUSE_MAX_MS 8000
#define NEVER INT64_MAX

/*
 * The descriptor that is watched has the listener's socket in it while there is one, and an alarm,
 * which makes it readable when it is time to try again, or when there is a listener again: what
 * happened meanwhile was not heard.
 */
static void set_alarm(const flagver_store *store, int64_t ms)
{
    const struct itimerspec time = { .it_value = { (time_t)(ms / 1000),
                                                   (long)(ms % 1000) * 1000000 + 1 } };

    timerfd_settime(store->alarm, 0, &time, NULL);
}

static void rest_alarm(const flagver_store *store)
{
    uint64_t count;

    if (read(store->alarm, &count, sizeof count) < 0)
        return; /* it has not gone off */
}

static bool watch(const flagver_store *store, int descriptor)
{
    struct epoll_event event = { .events = EPOLLIN };

    return epoll_ctl(store->watch, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/*
 * What is watched is a duplicate of the socket, since libpq closes its own when the server is gone:
 * a child of ours may have it open, too, and only who has a descriptor of it can take it out then.
 */
static bool watch_listener(flagver_store *store)
{
    struct fv_pg *listener = store->listener;

    listener->ear = fcntl(PQsocket(listener->pq), F_DUPFD_CLOEXEC, 0);
    return listener->ear >= 0 && watch(store, listener->ear);
}

static void drop_listener(flagver_store *store)
{
    struct epoll_event unused;

    if (!store->listener)
        return;
    if (store->listener->ear >= 0) {
        epoll_ctl(store->watch, EPOLL_CTL_DEL, store->listener->ear, &unused);
        close(store->listener->ear);
        store->listener->ear = -1;
    }
    fv_pg_disconnect(store->listener);
    store->listener = NULL;
}

static void try_later(flagver_store *store)
{
    int32_t pause = store->listen_pause ? 2 * store->listen_pause : PAUSE_MIN_MS;

    store->listen_pause = pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
    store->listen_again = now_ms() + store->listen_pause;
    if (store->watch >= 0)
        set_alarm(store, store->listen_pause);
}

/* Behind a pooler a session is not ours, and its notifications go to whoever has it then. */
static int connect_listener(flagver_store *store, struct fv_pg **ret_conn)
{
    int r = fv_pg_connect(store, false, ret_conn, NULL);

    if (r < 0)
        return r;
    r = (*ret_conn)->pooled || (*ret_conn)->standby
            ? FLAGVER_ENOTSUP
            : fv_pg_execute(*ret_conn, "LISTEN flagver", NULL);
    if (r < 0)
        fv_pg_disconnect(*ret_conn);
    return r;
}

static void listen_again(flagver_store *store)
{
    struct fv_pg *conn;
    int r;

    if (now_ms() < store->listen_again)
        return;
    r = connect_listener(store, &conn);
    if (r == FLAGVER_ENOTSUP) {
        store->listen_again = NEVER;
        return;
    }
    if (r == 0) {
        store->listener = conn;
        if (!watch_listener(store)) {
            drop_listener(store);
            r = FLAGVER_EIO;
        }
    }
    if (r < 0) {
        try_later(store);
        return;
    }
    store->listen_pause = 0;
    set_alarm(store, 0);
}

static bool hear_all(struct fv_pg *listener)
{
    PGnotify *heard;

    if (!PQconsumeInput(listener->pq))
        return false;
    while ((heard = PQnotifies(listener->pq)))
        PQfreemem(heard);
    return PQstatus(listener->pq) == CONNECTION_OK;
}

void fv_pg_hear(flagver_store *store)
{
    if (pthread_mutex_trylock(&store->hearing) != 0)
        return; /* somebody is at it */
    if (store->watch >= 0) {
        rest_alarm(store);
        if (store->listener && !hear_all(store->listener)) {
            drop_listener(store);
            try_later(store);
        }
        if (!store->listener)
            listen_again(store);
    }
    pthread_mutex_unlock(&store->hearing);
}

/* ---- the descriptor ---- */

static void close_watch(flagver_store *store)
{
    drop_listener(store);
    if (store->watch >= 0) {
        close(store->alarm);
        close(store->watch);
    }
    store->watch = -1;
}

static void open_watch(flagver_store *store)
{
    store->watch = epoll_create1(EPOLL_CLOEXEC);
    if (store->watch < 0)
        return;
    store->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (store->alarm < 0 || !watch(store, store->alarm)) {
        close_watch(store);
        return;
    }
    listen_again(store);
    if (store->listen_again == NEVER)
        close_watch(store);
}

int fv_pg_watch_fd(flagver_store *store)
{
    int descriptor;

    pthread_mutex_lock(&store->hearing);
    if (store->watch < 0 && store->listen_again != NEVER)
        open_watch(store);
    descriptor = store->watch;
    pthread_mutex_unlock(&store->hearing);
    return descriptor;
}

const char *fv_pg_listens(flagver_store *store)
{
    bool listens;

    if (pthread_mutex_trylock(&store->hearing) != 0)
        return "null";
    listens = store->listener != NULL;
    pthread_mutex_unlock(&store->hearing);
    return listens ? "true" : "false";
}

void fv_pg_notify_close(flagver_store *store)
{
    close_watch(store);
    fv_release(store->memory, store->notes);
    store->notes = NULL;
}
