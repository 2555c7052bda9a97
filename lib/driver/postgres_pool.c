#define _POSIX_C_SOURCE 200809L /* clock_gettime, poll */

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/memory.h"

/* ---- seats ---- */

static struct fv_pg_seat *seat_of(flagver_store *store, int mode)
{
    if (mode == FV_PG_MODE_NEWEST && store->target.standby_reads)
        return &store->seats[2];
    return &store->seats[mode != FLAGVER_MODE_WRITE];
}

static bool reads_standby(const flagver_store *store, int mode)
{
    return mode == FLAGVER_MODE_READ && store->target.standby_reads;
}

/* Whoever is idle hears nothing: something to read is the end, or a notice of it. */
static bool looks_alive(const struct fv_pg *conn)
{
    struct pollfd socket = { .fd = PQsocket(conn->pq), .events = POLLIN };

    return PQstatus(conn->pq) == CONNECTION_OK && poll(&socket, 1, 0) == 0;
}

static struct fv_pg *pop(struct fv_pg_seat *seat)
{
    struct fv_pg *conn = seat->idle;

    if (conn) {
        seat->idle = conn->next_idle;
        seat->idle_count--;
    }
    return conn;
}

static struct timespec deadline_after(int32_t ms)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += ms / 1000;
    time.tv_nsec += (long)(ms % 1000) * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000;
    }
    return time;
}

/* With `lock` held. */
static int wait_for_seat(flagver_store *store, struct fv_pg_seat *seat, flagver_error *err)
{
    const struct timespec deadline = deadline_after(store->wait_ms);
    int r = 0;

    while (seat->taken >= store->target.pool && r == 0)
        r = pthread_cond_timedwait(&store->returned, &store->lock, &deadline);
    return seat->taken < store->target.pool
               ? 0
               : fv_fail(err, FLAGVER_EBUSY,
                         "all %d connections of the pool are in use (flagver_pool in the URI)",
                         (int)store->target.pool);
}

/* One that is idle and alive, or NULL; those that are not are put into `*ret_dead`. */
static int take_seat(flagver_store *store, int mode, struct fv_pg **ret_conn,
                     struct fv_pg **ret_dead, flagver_error *err)
{
    struct fv_pg_seat *seat = seat_of(store, mode);
    struct fv_pg *conn;
    int r;

    *ret_dead = NULL;
    pthread_mutex_lock(&store->lock);
    r = wait_for_seat(store, seat, err);
    if (r == 0) {
        seat->taken++;
        while ((conn = pop(seat)) && !looks_alive(conn)) {
            conn->next_idle = *ret_dead;
            *ret_dead = conn;
        }
        *ret_conn = conn;
    }
    pthread_mutex_unlock(&store->lock);
    return r;
}

static void leave_seat(flagver_store *store, int mode, struct fv_pg *idle)
{
    struct fv_pg_seat *seat = seat_of(store, mode);

    pthread_mutex_lock(&store->lock);
    seat->taken--;
    if (idle) {
        idle->next_idle = seat->idle;
        seat->idle = idle;
        seat->idle_count++;
    }
    pthread_cond_broadcast(&store->returned);
    pthread_mutex_unlock(&store->lock);
}

static void disconnect_all(struct fv_pg *conn)
{
    struct fv_pg *next;

    for (; conn; conn = next) {
        next = conn->next_idle;
        fv_pg_disconnect(conn);
    }
}

/* ---- taking and putting back ---- */

static int connect_for(flagver_store *store, int mode, struct fv_pg **ret_conn, flagver_error *err)
{
    int r = fv_pg_connect(store, reads_standby(store, mode), ret_conn, err);

    if (r < 0)
        leave_seat(store, mode, NULL);
    else
        (*ret_conn)->mode = mode;
    return r;
}

int fv_pg_pool_take(flagver_store *store, int mode, struct fv_pg **ret_conn, bool *ret_fresh,
                    flagver_error *err)
{
    struct fv_pg *conn = NULL, *dead;
    int r = take_seat(store, mode, &conn, &dead, err);

    if (r < 0)
        return r;
    disconnect_all(dead);
    if (ret_fresh)
        *ret_fresh = !conn;
    if (!conn)
        return connect_for(store, mode, ret_conn, err);
    *ret_conn = conn;
    return 0;
}

int fv_pg_pool_renew(struct fv_pg **conn, flagver_error *err)
{
    flagver_store *store = (*conn)->store;
    int mode = (*conn)->mode;

    fv_pg_disconnect(*conn);
    *conn = NULL;
    return connect_for(store, mode, conn, err);
}

void fv_pg_pool_put(struct fv_pg *conn)
{
    flagver_store *store = conn->store;
    int mode = conn->mode;
    bool good = !conn->broken && PQstatus(conn->pq) == CONNECTION_OK &&
                PQtransactionStatus(conn->pq) == PQTRANS_IDLE;

    if (!good)
        fv_pg_disconnect(conn);
    leave_seat(store, mode, good ? conn : NULL);
}

/* ---- what was seen ---- */

int fv_pg_note_seen(flagver_store *store, flagver_bytes tenant, uint64_t size, flagver_error *err)
{
    uint32_t number;
    size_t count;

    pthread_mutex_lock(&store->lock);
    count = store->tenants.count;
    number = fv_grow(store->memory, (void **)&store->seen, &store->seen_capacity, count,
                     sizeof *store->seen)
                 ? fv_map_add(&store->tenants, tenant.data, tenant.length)
                 : FV_MAP_NONE;
    if (number != FV_MAP_NONE && (number == count || store->seen[number] < size))
        store->seen[number] = size;
    pthread_mutex_unlock(&store->lock);
    return number == FV_MAP_NONE ? fv_fail_memory(err) : 0;
}

uint64_t fv_pg_seen(flagver_store *store, flagver_bytes tenant)
{
    uint64_t size = 0;
    uint32_t number;

    pthread_mutex_lock(&store->lock);
    number = fv_map_find(&store->tenants, tenant.data, tenant.length);
    if (number != FV_MAP_NONE)
        size = store->seen[number];
    pthread_mutex_unlock(&store->lock);
    return size;
}

/* ---- the whole pool ---- */

int fv_pg_pool_init(flagver_store *store, flagver_error *err)
{
    pthread_condattr_t monotonic;

    if (pthread_mutex_init(&store->lock, NULL) != 0)
        return fv_fail_memory(err);
    pthread_mutex_init(&store->hearing, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    fv_map_init(&store->tenants, store->memory);
    store->watch = -1;
    return 0;
}

void fv_pg_pool_close(flagver_store *store)
{
    size_t i;

    for (i = 0; i < sizeof store->seats / sizeof *store->seats; i++)
        disconnect_all(store->seats[i].idle);
    fv_map_clear(&store->tenants);
    fv_release(store->memory, store->seen);
    pthread_cond_destroy(&store->returned);
    pthread_mutex_destroy(&store->hearing);
    pthread_mutex_destroy(&store->lock);
}
