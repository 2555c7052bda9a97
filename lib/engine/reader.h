/*
 * Readers: how a thread gets at the current snapshot without a lock.
 *
 * Each thread has one reader a client: a counted reference to the snapshot it
 * saw last, and its own counters. As long as the client's generation is the
 * reader's, evaluation touches nothing that another thread writes. When it has
 * changed, the thread takes the new snapshot under the client's lock, once.
 *
 * A thread remembers its readers by the client's number, which is never used
 * again: what it remembers of a closed client is never looked at.
 */
#ifndef FV_ENGINE_READER_H
#define FV_ENGINE_READER_H

#include "engine/client.h"

typedef atomic_uint_fast64_t fv_counter;

struct fv_reader {
    uint64_t generation;
    flagver_snapshot *snapshot;
    fv_counter *counters; /* written by this thread, read by whoever sums them up */
    uint32_t counter_count;
    uint32_t busy; /* evaluations on the way up the stack: the snapshot stays */
    struct fv_reader *next; /* of the client */
};

#define FV_THREAD_SLOTS 8u

struct fv_thread_slot {
    uint64_t number; /* of the client; 0: free */
    struct fv_reader *reader;
};

#if defined(__GNUC__) && defined(__GLIBC__)
#define FV_THREAD_MODEL __attribute__((tls_model("initial-exec")))
#else
#define FV_THREAD_MODEL
#endif

extern _Thread_local struct fv_thread_slot fv_thread_slots[FV_THREAD_SLOTS] FV_THREAD_MODEL;

/* The same, when the thread has no reader yet or the generation has changed. */
struct fv_reader *fv_reader_enter_slow(flagver_client *client);

/* This thread's reader, up to date. NULL: memory is short for a first one. */
static inline struct fv_reader *fv_reader_enter(flagver_client *client)
{
    const struct fv_thread_slot *slot =
        &fv_thread_slots[client->number % FV_THREAD_SLOTS];

    if (slot->number == client->number &&
        slot->reader->generation ==
            atomic_load_explicit(&client->generation, memory_order_acquire))
        return slot->reader;
    return fv_reader_enter_slow(client);
}

/* One writer: no need for an atomic addition, only for whole words. */
static inline void fv_reader_count(struct fv_reader *reader, uint32_t counter)
{
    fv_counter *at = &reader->counters[counter];

    atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* Drops what this thread holds for all clients. */
void fv_thread_release(void);

/* Clients that are open, so that a thread that ends knows whom to tell. */
uint64_t fv_registry_add(flagver_client *client); /* 0: memory is short */
void fv_registry_remove(flagver_client *client);

/* The client's readers, of all threads; it is closed. */
void fv_readers_free(flagver_client *client);

/* Sums up all threads' counters into sums[0 … count-1]. */
void fv_readers_sum(flagver_client *client, uint64_t *sums, uint32_t count);

#endif
