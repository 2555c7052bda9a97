#define _POSIX_C_SOURCE 200809L /* clock_gettime, pthread_condattr_setclock */

#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/registry.h"
#include "store/transaction.h"
#include "util/fail.h"
#include "util/memory.h"
#include "util/uri.h"
#include "util/utf8.h"

#define MEMORY_URI "memory:"
#define MEMORY_DRIVER "sqlite::memory:"
#define EXPIRY_TICK_MS 50 /* how often those who wait look whether the writer is over its time */

/* ---- small helpers ---- */

flagver_bytes fv_bytes_of(const char *text, size_t length)
{
    return (flagver_bytes){ text, length };
}

flagver_bytes fv_bytes(const char *text)
{
    return fv_bytes_of(text, text ? strlen(text) : 0);
}

int64_t fv_monotonic_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int fv_check_text(const char *what, const char *text, size_t limit, flagver_error *err)
{
    size_t length = text ? strlen(text) : 0, i;
    unsigned char bits = 0;

    if (!text)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", what);
    if (length == 0 || length > limit)
        return fv_fail(err, FLAGVER_EINVAL, "%s is %zu bytes; 1 to %zu allowed", what, length,
                       limit);
    for (i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return fv_fail(err, FLAGVER_EINVAL, "%s has a control character at byte %zu", what, i);
        bits |= (unsigned char)text[i];
    }
    if (bits >= 0x80 && !fv_utf8_valid(text, length)) /* most is ASCII */
        return fv_fail(err, FLAGVER_EINVAL, "%s is not UTF-8", what);
    return 0;
}

/* ---- fork ---- */

static atomic_uint forks; /* of which this process is the child */
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static bool prepared_well;

static void in_child(void)
{
    atomic_fetch_add(&forks, 1);
}

static void prepare(void)
{
    prepared_well = pthread_atfork(NULL, NULL, in_child) == 0;
}

unsigned fv_forks(void)
{
    pthread_once(&prepared, prepare);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

/* ---- opening ---- */

static const flagver_driver *find_driver(const char *uri, const char **ret_path)
{
    return fv_driver_find(strcmp(uri, MEMORY_URI) == 0 ? MEMORY_DRIVER : uri, ret_path);
}

bool fv_store_is_uri(const char *uri)
{
    const char *path;

    return find_driver(uri, &path) != NULL;
}

bool fv_store_tells(const char *uri)
{
    const char *path;
    const flagver_driver *driver = find_driver(uri, &path);

    return driver && driver->watch_fd;
}

static void free_store(struct fv_store *store)
{
    const flagver_allocator allocator = store->allocator; /* it frees what describes it */
    const flagver_allocator *memory = store->memory ? &allocator : NULL;

    fv_crypto_free(store->crypto);
    fv_keyring_release(store->keys);
    pthread_mutex_destroy(&store->ids);
    pthread_mutex_destroy(&store->gate);
    pthread_cond_destroy(&store->passed);
    fv_release(memory, store->uri);
    fv_release(memory, store->shown);
    fv_release(memory, store);
}

static struct fv_store *new_store(const char *uri, const struct fv_store_options *options)
{
    struct fv_store *store;
    pthread_condattr_t monotonic;

    pthread_once(&prepared, prepare);
    store = prepared_well ? fv_allocate_zeroed(options->memory, 1, sizeof *store) : NULL;
    if (!store)
        return NULL;
    if (options->memory) {
        store->allocator = *options->memory;
        store->memory = &store->allocator;
    }
    atomic_init(&store->references, 1);
    store->forks = atomic_load(&forks);
    atomic_init(&store->commits, 0);
    store->wait_ms = options->wait_ms ? options->wait_ms : FV_WAIT_MS;
    store->keys = options->keys;
    fv_keyring_hold(store->keys);
    pthread_mutex_init(&store->gate, NULL);
    pthread_mutex_init(&store->ids, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->passed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    store->uri = fv_allocate(store->memory, strlen(uri) + 1);
    store->shown = fv_uri_shown(uri, store->memory);
    store->crypto = fv_crypto_new();
    if (!store->uri || !store->shown || !store->crypto) {
        free_store(store);
        return NULL;
    }
    memcpy(store->uri, uri, strlen(uri) + 1);
    return store;
}

int fv_store_open(const char *uri, const struct fv_store_options *options,
                  struct fv_store **ret_store, flagver_error *err)
{
    flagver_driver_config config = { .size = sizeof config,
                                     .read_only = options->read_only,
                                     .no_upgrade = options->no_upgrade,
                                     .no_create = options->no_create };
    const flagver_driver *driver = find_driver(uri, &config.path);
    struct fv_uri_brief brief;
    struct fv_store *store;
    int r;

    if (!driver)
        return fv_fail(err, FLAGVER_ENOTSUP,
                       "\"%.200s\" names no store; known are sqlite:PATH, memory: and registered "
                       "drivers",
                       fv_uri_brief(uri, &brief));
    if (!*config.path)
        return fv_fail(err, FLAGVER_EINVAL, "the path in \"%s\" is empty", uri);
    store = new_store(uri, options);
    if (!store)
        return fv_fail_memory(err);
    config.wait_ms = store->wait_ms;
    config.memory = store->memory;
    r = driver->open(&config, &store->handle, err);
    if (r < 0) {
        free_store(store);
        return r;
    }
    store->driver = driver;
    *ret_store = store;
    return 0;
}

void fv_store_hold(struct fv_store *store)
{
    atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
}

/* Of a store that the parent process has open nothing may be touched that could be locked. */
void fv_store_release(struct fv_store *store)
{
    if (!store || atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) != 1)
        return;
    if (fv_store_is_inherited(store)) {
        store->driver->abandon(store->handle);
        return;
    }
    store->driver->close(store->handle);
    free_store(store);
}

bool fv_store_is_inherited(const struct fv_store *store)
{
    return store->forks != atomic_load_explicit(&forks, memory_order_relaxed);
}

int fv_store_usable(const struct fv_store *store, flagver_error *err)
{
    if (!fv_store_is_inherited(store))
        return 0;
    return fv_fail(err, FLAGVER_EFORKED,
                   "%.300s was opened before the process forked; flagver_client_reopen() it",
                   store->shown);
}

int fv_store_watch(const struct fv_store *store)
{
    return store->driver->watch_fd ? store->driver->watch_fd(store->handle) : -1;
}

int fv_store_examine(const struct fv_store *store,
                     void (*visit)(void *data, int finding, const char *line), void *data,
                     flagver_error *err)
{
    const flagver_driver *driver = store->driver;

    if (!FV_DRIVER_HAS(driver, examine))
        return fv_fail(err, FLAGVER_ENOTSUP, "the driver \"%s\" has nothing to tell", driver->name);
    return driver->examine(store->handle, visit, data, err);
}

/* ---- ids ---- */

int fv_store_id(struct fv_store *store, int64_t now_ms, flagver_id *ret_id, flagver_error *err)
{
    bool fine = true;

    pthread_mutex_lock(&store->ids);
    if (store->random_left < FV_ID_RANDOM) {
        fine = fv_random(store->random, sizeof store->random);
        store->random_left = fine ? sizeof store->random : 0;
    }
    if (fine) {
        store->random_left -= FV_ID_RANDOM;
        *ret_id = fv_uuid_next(&store->uuids, now_ms, store->random + store->random_left);
    }
    pthread_mutex_unlock(&store->ids);
    return fine ? 0 : fv_fail(err, FLAGVER_EIO, "the system has no random numbers");
}

/* ---- the gate ---- */

struct fv_waiter {
    struct flagver_txn *txn;
    bool granted;
    struct fv_waiter *next;
};

static void enqueue(struct fv_store *store, struct fv_waiter *waiter)
{
    if (store->last)
        store->last->next = waiter;
    else
        store->first = waiter;
    store->last = waiter;
}

static void dequeue(struct fv_store *store, const struct fv_waiter *waiter)
{
    struct fv_waiter **at = &store->first, *before = NULL;

    while (*at != waiter) {
        before = *at;
        at = &(*at)->next;
    }
    *at = waiter->next;
    if (store->last == waiter)
        store->last = before;
}

/* Whoever is first in the queue may write now. */
static void pass_on(struct fv_store *store)
{
    struct fv_waiter *first = store->first;

    store->writer = NULL;
    if (!first)
        return;
    dequeue(store, first);
    first->granted = true;
    store->writer = first->txn;
    pthread_cond_broadcast(&store->passed);
}

static void wait_a_little(struct fv_store *store, int64_t deadline)
{
    int64_t until = fv_monotonic_ms() + EXPIRY_TICK_MS;
    struct timespec time;

    if (until > deadline)
        until = deadline;
    time.tv_sec = (time_t)(until / 1000);
    time.tv_nsec = (long)(until % 1000) * 1000000;
    pthread_cond_timedwait(&store->passed, &store->gate, &time);
}

int fv_gate_enter(struct fv_store *store, struct flagver_txn *txn, int64_t deadline,
                  flagver_error *err)
{
    struct fv_waiter waiter = { txn, false, NULL };

    pthread_mutex_lock(&store->gate);
    if (!store->writer) {
        store->writer = txn;
        waiter.granted = true;
    } else {
        enqueue(store, &waiter);
    }
    while (!waiter.granted && fv_monotonic_ms() < deadline) {
        wait_a_little(store, deadline);
        if (!waiter.granted && fv_txn_expire(store->writer))
            pass_on(store);
    }
    if (!waiter.granted)
        dequeue(store, &waiter);
    pthread_mutex_unlock(&store->gate);

    return waiter.granted
               ? 0
               : fv_fail(err, FLAGVER_EBUSY,
                         "another transaction of this process is writing to %.300s", store->shown);
}

void fv_gate_leave(struct fv_store *store, struct flagver_txn *txn)
{
    pthread_mutex_lock(&store->gate);
    if (store->writer == txn)
        pass_on(store);
    pthread_mutex_unlock(&store->gate);
}

void fv_gate_tick(struct fv_store *store)
{
    pthread_mutex_lock(&store->gate);
    if (store->writer && fv_txn_expire(store->writer))
        pass_on(store);
    pthread_mutex_unlock(&store->gate);
}

/* ---- reading ---- */

int fv_read_begin(struct fv_read *read, struct fv_store *store, const char *tenant,
                  flagver_error *err)
{
    int r;

    *read = (struct fv_read){ .store = store, .tenant = tenant };
    r = fv_store_usable(store, err);
    if (r < 0)
        return r;
    return store->driver->begin(store->handle, fv_bytes(tenant ? tenant : ""), FLAGVER_MODE_READ,
                                &read->txn, err);
}

static void drop_opened(struct fv_read *read)
{
    if (!read->opened)
        return;
    fv_wipe(read->opened, read->opened_size);
    free(read->opened);
    read->opened = NULL;
}

static void end_scan(struct fv_read *read)
{
    if (read->cursor)
        read->store->driver->end_scan(read->cursor);
    read->cursor = NULL;
}

void fv_read_end(struct fv_read *read)
{
    if (!read->txn)
        return;
    end_scan(read);
    drop_opened(read);
    fv_data_keys_clear(&read->data_keys);
    read->store->driver->rollback(read->txn);
    read->txn = NULL;
}

int fv_read_scan(struct fv_read *read, const flagver_query *query, flagver_error *err)
{
    end_scan(read);
    read->kind = query->kind;
    return read->store->driver->scan(read->txn, query, &read->cursor, err);
}

/* In place of the sealed bytes of a row, with a NUL behind it. */
static int open_payload(struct fv_read *read, const struct fv_sealed *sealed,
                        flagver_bytes *ret_body, flagver_bytes *ret_salt, flagver_error *err)
{
    const struct fv_key_place place = { read->store, read->txn, read->tenant };
    int r = fv_sealed_size(sealed, &read->opened_size, err);

    if (r < 0)
        return r;
    read->opened = malloc(read->opened_size + 1);
    if (!read->opened)
        return fv_fail_memory(err);
    r = fv_sealed_open(&place, &read->data_keys, sealed, read->opened, read->salt, err);
    if (r < 0)
        return r;
    read->opened[read->opened_size] = 0;
    *ret_body = (flagver_bytes){ read->opened, read->opened_size };
    *ret_salt = (flagver_bytes){ read->salt, sizeof read->salt };
    return 0;
}

static int open_row(struct fv_read *read, flagver_row *row, flagver_error *err)
{
    struct fv_sealed sealed;

    if (read->kind == FLAGVER_QUERY_ITEMS && fv_item_is_sealed(&row->as.item, &sealed))
        return open_payload(read, &sealed, &row->as.item.payload, &row->as.item.payload_salt, err);
    if ((read->kind == FLAGVER_QUERY_VERSIONS || read->kind == FLAGVER_QUERY_VERSION) &&
        fv_version_is_sealed(&row->as.version, &sealed))
        return open_payload(read, &sealed, &row->as.version.payload, &row->as.version.payload_salt,
                            err);
    return 0;
}

/* In place of a payload whose key is not at hand. */
static void leave_out(struct fv_read *read, flagver_row *row)
{
    const flagver_bytes none = { NULL, 0 };

    if (read->kind == FLAGVER_QUERY_ITEMS)
        row->as.item.payload = row->as.item.payload_salt = none;
    else
        row->as.version.payload = row->as.version.payload_salt = none;
}

static int open_leniently(struct fv_read *read, flagver_row *row, flagver_error *err)
{
    flagver_error problem;
    int r = open_row(read, row, &problem);

    if (r == FLAGVER_EKEY) {
        leave_out(read, row);
        return 0;
    }
    if (r < 0 && err)
        *err = problem;
    return r;
}

int fv_read_next(struct fv_read *read, flagver_row *ret_row, flagver_error *err)
{
    int r, opened;

    drop_opened(read);
    r = read->store->driver->next(read->cursor, ret_row, err);
    if (r <= 0 || read->sealed)
        return r;
    opened = read->lenient ? open_leniently(read, ret_row, err) : open_row(read, ret_row, err);
    return opened < 0 ? opened : r;
}
