/*
 * Tracking: what is counted of flags, in memory first and then in the store.
 *
 * A client has a table of sums by flag, variant, event and hour, in stripes with a lock each.
 * Evaluations are not counted there but where they always were (engine/reader.h): a flush adds what
 * has come since the one before. A flush takes all sums out of the table, writes them in one transaction
 * under an idempotency key, and puts them back when that has certainly not taken place; as long as
 * nobody knows, they wait with their key for the next flush.
 *
 * Lock order: `flushing`, `writing` of the client, the stripes in order. Nothing is asked of the store with any of
 * these but `flushing`.
 */
#ifndef FV_ENGINE_TRACK_H
#define FV_ENGINE_TRACK_H

#include <time.h>

#include "engine/client.h"
#include "flagver/track.h"
#include "model/sum.h"

struct fv_track;

/* `flush_ms` as in flagver_options. NULL: memory is short. */
struct fv_track *fv_track_new(const flagver_allocator *memory, int32_t flush_ms);
void fv_track_free(struct fv_track *track); /* NULL is fine */
int32_t fv_track_flush_ms(const struct fv_track *track);

/* ---- counting; as flagver_track() and flagver_track_outcome(), of arguments that are checked ---- */

int fv_track_event(flagver_client *client, const flagver_context *context, const char *event,
                   double value, flagver_error *err);
int fv_track_outcome(flagver_client *client, const char *flag, const char *variant, bool failed,
                     int64_t latency_ns, flagver_error *err);

/* ---- the store ---- */

int fv_track_flush(flagver_client *client, flagver_error *err);

/* For the thread that refreshes, now and then: flushes when it is time. True: it was, flushed or not. */
bool fv_track_tick(flagver_client *client);

/* What is left when the client is closed, if it is one that flushes by itself and its store is there. */
void fv_track_close(flagver_client *client);

int fv_track_forget(flagver_client *client, int64_t before, flagver_error *err);

/* ---- reading ---- */

/* As in flagver_track_options. */
struct fv_track_query {
    const char *flag; /* NULL: all */
    int64_t from, to; /* µs, whole hours count; 0: any */
    int32_t by;
    bool own;
};

struct fv_track_group {
    const char *flag, *variant, *event; /* "": none */
    int64_t from;
    const struct fv_sum *sum;
};

/*
 * Visits what the client itself has counted, evaluations too; one sum in several pieces. A visit must not count;
 * false: memory is short.
 */
struct fv_track_entry;
int fv_track_read_own(flagver_client *client,
                      bool (*visit)(void *data, const struct fv_track_entry *entry), void *data,
                      flagver_error *err);

/* Visits merged sums in order of flag, variant, event, time, when the store is let go. */
int fv_track_read(flagver_client *client, const struct fv_track_query *query,
                  void (*visit)(void *data, const struct fv_track_group *group), void *data,
                  flagver_error *err);

/*
 * What the store has about the variants of one flag in the hours from that in which `from` lies to before
 * `to`, without events. The variant "" is of evaluations that ended in an error.
 */
int fv_track_variants(flagver_client *client, const char *flag, int64_t from, int64_t to,
                      void (*visit)(void *data, const char *variant, const struct fv_sum *sum),
                      void *data, flagver_error *err);

/* ---- fork ---- */

/*
 * Before the client's locks are taken: a flush that is under way is waited for until the deadline only, by
 * the system's clock. Then, with `writing` held, the rest.
 */
void fv_track_wait_for_flush(flagver_client *client, const struct timespec *deadline);
void fv_track_before_fork(flagver_client *client);
void fv_track_after_fork(flagver_client *client);

/* In the child, after that: its sums start at zero. */
void fv_track_forked(flagver_client *client);

#endif
