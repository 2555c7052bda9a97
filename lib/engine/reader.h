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

typedef _Atomic(uint32_t) fv_counter;

struct fv_reader {
    uint64_t quick;        /* the generation of its snapshot; 0 when calls must take the long way */
    fv_counter *counters;  /* written by this thread, read by whoever sums them up */
    struct fv_table table; /* the snapshot's, at hand */
    struct fv_flag *const *flags;
    uint32_t flag_count;
    uint32_t busy;  /* calls on the way up the stack that use the snapshot: it stays */
    uint32_t hooks; /* of them, hooks: they are silent for what is evaluated inside */

    uint64_t generation;
    flagver_snapshot *snapshot;
    flagver_client *client;
    uint32_t counter_count;
    struct fv_reader *next; /* of the client */
};

#define FV_THREAD_SLOTS 8u

/* Generations belong to one state of one client: an equal one says it all. */
struct fv_thread_slot {
    uint64_t generation; /* of the reader's snapshot; 0: calls must take the long way */
    struct fv_reader *reader;
};

#if defined(__GNUC__) && defined(__GLIBC__)
#define FV_THREAD_MODEL __attribute__((tls_model("initial-exec")))
#else
#define FV_THREAD_MODEL
#endif

extern _Thread_local struct fv_thread_slot fv_thread_slots[FV_THREAD_SLOTS] FV_THREAD_MODEL;

/*
 * This thread's reader for a call that wants no details, when it is up to date
 * and the client has no hook; NULL: take the long way.
 */
FV_INLINE struct fv_reader *fv_reader_quick(flagver_client *client)
{
    const struct fv_thread_slot *slot = &fv_thread_slots[client->thread_slot];

    return slot->generation == atomic_load_explicit(&client->generation, memory_order_acquire)
               ? slot->reader
               : NULL;
}

/* This thread's reader, up to date. NULL: memory is short for a first one. */
struct fv_reader *fv_reader_enter(flagver_client *client);

/* Counts one more; 2^32 of them are kept elsewhere. */
void fv_reader_count(struct fv_reader *reader, uint32_t counter);

void fv_reader_count_many(struct fv_reader *reader, uint32_t counter, uint32_t times);

/*
 * The same, inline, but for one in 2^32 times: false, and nothing was counted.
 * One writer: no need for an atomic addition, only for whole words.
 */
FV_INLINE bool fv_reader_count_quickly(struct fv_reader *reader, uint32_t counter)
{
    fv_counter *at = &reader->counters[counter];
    uint32_t count = atomic_load_explicit(at, memory_order_relaxed);

    if (count == UINT32_MAX)
        return false;
    atomic_store_explicit(at, count + 1, memory_order_relaxed);
    return true;
}

/* Drops what this thread holds for all clients. */
void fv_thread_release(void);

/* A number that was never given before, from 1. */
uint64_t fv_next_generation(void);

/* Clients that are open, so that a thread that ends knows whom to tell. */
uint64_t fv_registry_add(flagver_client *client); /* 0: memory is short */
void fv_registry_remove(flagver_client *client);

/* This store has told of changes: refreshers of its clients look, all but that of `but`. */
void fv_registry_hurry(const struct fv_store *store, const flagver_client *but);

/* The client's readers, of all threads; it is closed. */
void fv_readers_free(flagver_client *client);

/* Sums up all threads' counters into sums[0 … count-1]. */
void fv_readers_sum(flagver_client *client, uint64_t *sums, uint32_t count);

#endif
