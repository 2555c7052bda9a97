/*
 * The client: where definitions come from (a file, the host, a store), what
 * overrides them, and which snapshot is current.
 *
 * Writers (refresh, load, override, bind) take turns by `writing`. Publishing
 * a snapshot is a change of one pointer and one number under `publishing`,
 * which readers take only when they see the number changed (engine/reader.h).
 * Lock order: the registry's lock, `writing`, `publishing`.
 */
#ifndef FV_ENGINE_CLIENT_H
#define FV_ENGINE_CLIENT_H

#include <pthread.h>

#include "engine/environment.h"
#include "engine/history.h"
#include "engine/listener.h"
#include "engine/snapshot.h"
#include "engine/stored.h"
#include "store/transaction.h"

struct fv_reader;
struct fv_track;

struct fv_override {
    char *variant; /* NULL: taken back */
};

struct flagver_bound {
    flagver_client *client;
    const char *key;
    uint32_t slot;
};

struct flagver_client {
    /* Read by every evaluation, written when a snapshot is published. */
    atomic_uint_fast64_t generation; /* of all states of all clients, no two have the same */
    uint32_t thread_slot;            /* where threads look for their reader */
    bool hooked;
    uint64_t number; /* never used again for another client */
    flagver_hook hook;

    struct fv_catalog *catalog;
    void (*log)(void *data, int level, const char *message);
    void *log_data;
    char *path;               /* of the definitions file, or NULL */
    struct fv_stored *stored; /* the way to a store, or NULL */
    struct fv_track *track;   /* what was counted, and not flushed yet */
    bool no_environment;
    bool host_clock;
    struct fv_listeners listeners;

    pthread_mutex_t writing;
    struct fv_text warnings;    /* for the host's log, a line each */
    flagver_snapshot *replaced; /* the last state that listeners know of; NULL: they know all */
    struct fv_environment environment;
    struct fv_definitions *definitions; /* as defined: no flag is forced; NULL at first */
    uint64_t file_mark;                 /* hash of the file's text */
    struct fv_map override_keys;
    struct fv_override *overrides; /* by number of the key */
    size_t override_capacity;
    struct flagver_bound **bounds; /* by slot; in bound_memory */
    size_t bound_count;
    struct fv_arena bound_memory;

    pthread_mutex_t publishing;
    flagver_snapshot *snapshot;
    struct fv_reader *readers;  /* of all threads */
    uint64_t *retired_counters; /* of threads that are gone */
    uint32_t retired_count;

    flagver_client *next_client; /* in the registry */
};

const flagver_allocator *fv_client_memory(const flagver_client *client);

int fv_client_open(const char *uri, const flagver_options *options, flagver_client **ret_client,
                   flagver_error *err);
void fv_client_close(flagver_client *client);
int fv_client_tenant(flagver_client *client, const char *tenant, flagver_client **ret_client,
                     flagver_error *err);
int fv_client_reopen(flagver_client *client, flagver_error *err);
int fv_client_refresh(flagver_client *client, flagver_error *err);

/* FLAGVER_ENOTSUP, worded. */
int fv_client_has_no_store(flagver_error *err);

/* Whose records a client reads, and where; the store is held and to be released. */
int fv_client_tenancy(flagver_client *client, struct fv_tenancy *ret_tenancy, flagver_error *err);

/* One version of a client's records, as fv_history_one(). */
int fv_client_version(flagver_client *client, flagver_query *query, bool in_force, const char *what,
                      flagver_version **ret_version, flagver_error *err);

/* Where a client's transactions go; its store is held and to be released. */
int fv_client_source(flagver_client *client, struct fv_txn_source *ret_source, flagver_error *err);

/* As flagver_snapshot_at() and flagver_client_health(). */
int fv_client_snapshot_at(flagver_client *client, int64_t time, flagver_snapshot **ret_snapshot,
                          flagver_error *err);
int fv_client_health(flagver_client *client, char **ret_json, flagver_error *err);

/* ---- for clients of a store ---- */

/*
 * Make records the client's state, with the environment read anew or as it was. Who
 * is to be told of it is told by fv_client_tell(), when no lock is held any more.
 */
int fv_client_take_records(flagver_client *client, const struct fv_harvest *harvest,
                           bool environment, flagver_error *err);

/*
 * The same of a stream, which is all there is, with the environment read anew. Who changes the
 * client meanwhile waits for the stream: it is for a client that has nothing yet.
 */
int fv_client_take_stream(flagver_client *client, const struct fv_record_stream *stream,
                          flagver_error *err);
bool fv_client_is_empty(flagver_client *client);
void fv_client_tell(flagver_client *client);

/* Is the process's environment another one than at the last refresh? */
bool fv_client_environment_changed(flagver_client *client);

/* A line for the host's log: refreshing fails from now on, or (NULL) works again. */
void fv_client_tell_health(flagver_client *client, const flagver_error *error);
int fv_client_load(flagver_client *client, const char *json, size_t length, bool merge,
                   flagver_error *err);
int fv_client_override(flagver_client *client, const char *key, const char *variant,
                       flagver_error *err);
int fv_client_bind(flagver_client *client, const char *key, const flagver_bound **ret_bound,
                   flagver_error *err);
flagver_snapshot *fv_client_snapshot(flagver_client *client);

#endif
