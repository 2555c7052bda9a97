#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "engine/reader.h"

#include <stdlib.h>
#include <string.h>

#include "engine/track.h"

_Thread_local struct fv_thread_slot fv_thread_slots[FV_THREAD_SLOTS] FV_THREAD_MODEL;

/* All readers of this thread; the slots above are a cache of it. */
struct thread_entry {
    uint64_t number;
    struct fv_reader *reader;
    struct thread_entry *next;
};

static _Thread_local struct thread_entry *thread_entries FV_THREAD_MODEL;

/*
 * The only state of the process: which clients are open, and numbers that are
 * given once. A thread that ends, a client that is closed and a fork meet here;
 * evaluation does not.
 */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static flagver_client *registry;
static uint64_t last_number;
static atomic_uint_fast64_t last_generation;
static pthread_key_t thread_key; /* its destructor tells us that a thread ends */
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static bool prepared_well;

/* ---- fork: the child gets every lock in a known state ---- */

#define FORK_WAIT_S 2 /* for stores that are being asked, all together */

static void before_fork(void)
{
    struct timespec deadline;
    flagver_client *client;

    pthread_mutex_lock(&registry_lock);
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += FORK_WAIT_S;
    for (client = registry; client; client = client->next_client) {
        if (client->stored)
            fv_stored_before_fork(client->stored, &deadline);
        fv_track_wait_for_flush(client, &deadline);
        pthread_mutex_lock(&client->writing);
        pthread_mutex_lock(&client->publishing);
        fv_track_before_fork(client);
    }
}

static void after_fork(void)
{
    flagver_client *client;

    for (client = registry; client; client = client->next_client) {
        fv_track_after_fork(client);
        pthread_mutex_unlock(&client->publishing);
        pthread_mutex_unlock(&client->writing);
        if (client->stored)
            fv_stored_after_fork(client->stored);
    }
    pthread_mutex_unlock(&registry_lock);
}

static void in_child(void)
{
    flagver_client *client;

    after_fork();
    for (client = registry; client; client = client->next_client) {
        fv_listeners_forked(&client->listeners);
        fv_track_forked(client);
        if (client->stored)
            fv_stored_forked(client->stored);
    }
}

static void thread_ends(void *unused)
{
    (void)unused;
    fv_thread_release();
}

static void prepare(void)
{
    prepared_well = pthread_key_create(&thread_key, thread_ends) == 0 &&
                    pthread_atfork(before_fork, after_fork, in_child) == 0;
}

/* ---- the registry ---- */

uint64_t fv_next_generation(void)
{
    return atomic_fetch_add_explicit(&last_generation, 1, memory_order_relaxed) + 1;
}

/* Clients that share a slot push each other out of it: share as late as possible. */
static uint32_t emptiest_slot(void)
{
    uint32_t clients[FV_THREAD_SLOTS] = { 0 }, i, best = 0;
    const flagver_client *client;

    for (client = registry; client; client = client->next_client)
        clients[client->thread_slot]++;
    for (i = 1; i < FV_THREAD_SLOTS; i++)
        if (clients[i] < clients[best])
            best = i;
    return best;
}

uint64_t fv_registry_add(flagver_client *client)
{
    pthread_once(&prepared, prepare);
    if (!prepared_well)
        return 0;
    pthread_mutex_lock(&registry_lock);
    client->number = ++last_number;
    client->thread_slot = emptiest_slot();
    client->next_client = registry;
    registry = client;
    pthread_mutex_unlock(&registry_lock);
    return client->number;
}

void fv_registry_remove(flagver_client *client)
{
    flagver_client **at;

    pthread_mutex_lock(&registry_lock);
    for (at = &registry; *at; at = &(*at)->next_client) {
        if (*at == client) {
            *at = client->next_client;
            break;
        }
    }
    pthread_mutex_unlock(&registry_lock);
}

void fv_registry_hurry(const struct fv_store *store, const flagver_client *but)
{
    flagver_client *client;

    pthread_mutex_lock(&registry_lock);
    for (client = registry; client; client = client->next_client)
        if (client != but && client->stored)
            fv_stored_hurry_for(client->stored, store);
    pthread_mutex_unlock(&registry_lock);
}

static flagver_client *find_client(uint64_t number)
{
    flagver_client *client;

    for (client = registry; client; client = client->next_client)
        if (client->number == number)
            break;
    return client;
}

/* ---- readers ---- */

static void add_up(uint64_t *sums, uint32_t sum_count, const struct fv_reader *reader)
{
    uint32_t i, count = reader->counter_count < sum_count ? reader->counter_count : sum_count;

    for (i = 0; i < count; i++)
        sums[i] += atomic_load_explicit(&reader->counters[i], memory_order_relaxed);
}

/* Room in the client's own counters, which outlive readers. */
static bool cover_retired(flagver_client *client, uint32_t count)
{
    uint64_t *moved;

    if (count <= client->retired_count)
        return true;
    moved = fv_reallocate(fv_client_memory(client), client->retired_counters,
                          count * sizeof *moved);
    if (!moved)
        return false;
    memset(moved + client->retired_count, 0, (count - client->retired_count) * sizeof *moved);
    client->retired_counters = moved;
    client->retired_count = count;
    return true;
}

/* Keeps what a thread has counted when its reader goes. */
static void retire_counters(flagver_client *client, const struct fv_reader *reader)
{
    cover_retired(client, reader->counter_count);
    add_up(client->retired_counters, client->retired_count, reader);
}

/* The counter has no room: what it holds moves to the client. */
static void carry(struct fv_reader *reader, uint32_t counter)
{
    flagver_client *client = reader->client;

    pthread_mutex_lock(&client->publishing);
    if (cover_retired(client, counter + 1))
        client->retired_counters[counter] += atomic_load_explicit(&reader->counters[counter],
                                                                  memory_order_relaxed);
    atomic_store_explicit(&reader->counters[counter], 0, memory_order_relaxed);
    pthread_mutex_unlock(&client->publishing);
}

void fv_reader_count(struct fv_reader *reader, uint32_t counter)
{
    if (fv_reader_count_quickly(reader, counter))
        return;
    carry(reader, counter);
    fv_reader_count_quickly(reader, counter);
}

void fv_reader_count_many(struct fv_reader *reader, uint32_t counter, uint32_t times)
{
    fv_counter *at = &reader->counters[counter];

    if (atomic_load_explicit(at, memory_order_relaxed) > UINT32_MAX - times)
        carry(reader, counter);
    atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + times,
                          memory_order_relaxed);
}

static void free_reader(flagver_client *client, struct fv_reader *reader)
{
    fv_snapshot_release(reader->snapshot);
    fv_release(fv_client_memory(client), reader->counters);
    fv_release(fv_client_memory(client), reader);
}

static void detach(flagver_client *client, struct fv_reader *reader)
{
    struct fv_reader **at;

    pthread_mutex_lock(&client->publishing);
    for (at = &client->readers; *at != reader; at = &(*at)->next)
        ;
    *at = reader->next;
    retire_counters(client, reader);
    pthread_mutex_unlock(&client->publishing);
    free_reader(client, reader);
}

void fv_readers_free(flagver_client *client)
{
    struct fv_reader *reader = client->readers, *next;

    for (; reader; reader = next) {
        next = reader->next;
        free_reader(client, reader);
    }
    client->readers = NULL;
    fv_release(fv_client_memory(client), client->retired_counters);
}

void fv_readers_sum(flagver_client *client, uint64_t *sums, uint32_t count)
{
    const struct fv_reader *reader;
    uint32_t i;

    pthread_mutex_lock(&client->publishing);
    for (i = 0; i < count && i < client->retired_count; i++)
        sums[i] = client->retired_counters[i];
    for (reader = client->readers; reader; reader = reader->next)
        add_up(sums, count, reader);
    pthread_mutex_unlock(&client->publishing);
}

/* ---- a thread's own list ---- */

void fv_thread_release(void)
{
    struct thread_entry **at = &thread_entries, *entry;
    flagver_client *client;

    memset(fv_thread_slots, 0, sizeof fv_thread_slots);
    pthread_mutex_lock(&registry_lock);
    while ((entry = *at)) {
        client = find_client(entry->number);
        if (client && entry->reader->busy) {
            at = &entry->next; /* called from inside a hook: it is still needed */
            continue;
        }
        if (client)
            detach(client, entry->reader);
        *at = entry->next;
        free(entry);
    }
    pthread_mutex_unlock(&registry_lock);
}

/* Forgets readers of clients that are closed. */
static void prune(void)
{
    struct thread_entry **at = &thread_entries, *entry;

    pthread_mutex_lock(&registry_lock);
    while ((entry = *at)) {
        if (find_client(entry->number)) {
            at = &entry->next;
        } else {
            *at = entry->next;
            free(entry);
        }
    }
    pthread_mutex_unlock(&registry_lock);
}

/* For the next call's quick look; a client with a hook has no quick calls. */
static struct fv_reader *remember(flagver_client *client, struct fv_reader *reader)
{
    struct fv_thread_slot *slot = &fv_thread_slots[client->thread_slot];

    slot->reader = reader;
    slot->generation = client->hooked ? 0 : reader->generation;
    return reader;
}

/*
 * A counter array of its own size is never shrunk. The old one may be read by
 * somebody who sums up: it is replaced under the client's lock.
 */
static bool grow_counters(flagver_client *client, struct fv_reader *reader, uint32_t wanted)
{
    const flagver_allocator *memory = fv_client_memory(client);
    fv_counter *counters, *old = reader->counters;
    uint32_t i;

    if (wanted <= reader->counter_count)
        return true;
    counters = fv_allocate_zeroed(memory, wanted, sizeof *counters);
    if (!counters)
        return false;
    for (i = 0; i < reader->counter_count; i++)
        atomic_init(&counters[i], atomic_load_explicit(&old[i], memory_order_relaxed));
    reader->counters = counters;
    reader->counter_count = wanted;
    fv_release(memory, old);
    return true;
}

static void show(struct fv_reader *reader, flagver_snapshot *snapshot, uint64_t generation)
{
    reader->snapshot = snapshot;
    reader->table = snapshot->table;
    reader->flags = snapshot->world.flags;
    reader->flag_count = snapshot->world.flag_count;
    reader->generation = generation;
}

/* Takes the current snapshot; without memory for its counters the old one goes on answering. */
static bool catch_up(flagver_client *client, struct fv_reader *reader)
{
    flagver_snapshot *old = reader->snapshot;
    bool fine;

    pthread_mutex_lock(&client->publishing);
    fine = grow_counters(client, reader, client->snapshot->counter_count);
    if (fine) {
        fv_snapshot_hold(client->snapshot);
        show(reader, client->snapshot,
             atomic_load_explicit(&client->generation, memory_order_relaxed));
    }
    pthread_mutex_unlock(&client->publishing);

    if (fine)
        fv_snapshot_release(old);
    return fine;
}

static struct fv_reader *new_reader(flagver_client *client)
{
    const flagver_allocator *memory = fv_client_memory(client);
    struct thread_entry *entry;
    struct fv_reader *reader;

    prune();
    entry = malloc(sizeof *entry);
    reader = fv_allocate_zeroed(memory, 1, sizeof *reader);
    if (reader)
        reader->client = client;
    /* Any value but NULL makes the key's destructor run when the thread ends. */
    if (!entry || !reader || pthread_setspecific(thread_key, &registry) != 0 ||
        !catch_up(client, reader)) {
        free(entry);
        fv_release(memory, reader);
        return NULL;
    }

    pthread_mutex_lock(&client->publishing);
    reader->next = client->readers;
    client->readers = reader;
    pthread_mutex_unlock(&client->publishing);

    *entry = (struct thread_entry){ client->number, reader, thread_entries };
    thread_entries = entry;
    return remember(client, reader);
}

struct fv_reader *fv_reader_enter(flagver_client *client)
{
    struct thread_entry *entry = thread_entries;
    struct fv_reader *reader;

    while (entry && entry->number != client->number)
        entry = entry->next;
    if (!entry)
        return new_reader(client);

    reader = remember(client, entry->reader);
    if (!reader->busy &&
        reader->generation != atomic_load_explicit(&client->generation, memory_order_acquire))
        catch_up(client, reader);
    return reader;
}
