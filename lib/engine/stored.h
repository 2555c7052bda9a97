/*
 * Clients whose flags live in a store: how they start, keep up with what other
 * processes change, and bear with a store that is away.
 *
 * Asking the store takes `refreshing`, one thread at a time, and may take long;
 * nobody who evaluates ever waits for it. What is found is then made the client's
 * state under its own locks (engine/client.h). Lock order: the registry's,
 * `refreshing`, those of the client, `status`, `waking`. While guards are looked at only the last two are
 * taken (engine/rollout_guard.h).
 *
 * Where the driver has a descriptor that tells of changes, whoever waits for the next look waits
 * for that as well. Looking makes it rest, for all clients of the store: so the refresher that was
 * woken by it wakes the others.
 */
#ifndef FV_ENGINE_STORED_H
#define FV_ENGINE_STORED_H

#include <pthread.h>
#include <time.h>

#include "engine/environment.h"
#include "engine/feed.h"
#include "engine/history.h"
#include "engine/policies.h"
#include "engine/rollout_guard.h"

struct fv_stored {
    flagver_client *client;
    const flagver_allocator *memory;
    char *uri, *shown;         /* shown: without passwords */
    char *tenant, *cache_file; /* cache_file: or NULL */
    struct fv_keyring *keys;
    int32_t wait_ms, poll_ms;
    bool background;

    bool forks_still;           /* the fork that is under way has locked `refreshing` */
    pthread_mutex_t refreshing; /* over what follows */
    struct fv_log_mark log;     /* that the client's flags are of */
    bool known;                 /* the client has flags of this store */
    bool confirmed;             /* and the store, not only a cache file, has said so */
    uint64_t cached_size;       /* of the log that the cache file is of */
    int64_t cached_ms;          /* when it was written, monotonic */

    pthread_mutex_t status; /* over what follows */
    struct fv_store *store; /* NULL: could not be opened yet */
    flagver_error error;    /* code 0: all is well */
    int64_t error_ms;       /* since when, by the system's clock */
    int64_t refreshed_ms;   /* when the flags were last known to be the latest; 0: never */
    int64_t asked_ms;       /* since when the store is being asked, monotonic; 0: it is not */
    int64_t answered_ms;    /* when it last was, well or badly; 0: never */
    uint64_t shown_size;    /* of `log`, for those who must not wait for `refreshing` */
    bool forked;

    pthread_mutex_t waking; /* of the refresher's thread */
    int wake;               /* it sleeps on this; -1: there is none yet */
    bool runs, stop;
    pthread_t thread;

    int (*authorize)(void *data, const flagver_actor *actor, const char *action, const char *phase,
                     const char *subject); /* the host's, or NULL */
    void *authorize_data;
    struct fv_policy_cache policies;
    struct fv_watch *watch; /* looks at guards after each flush; or NULL */

    int descriptor; /* flagver_client_fd(): has the two below in it; -1: none was asked for */
    int timer;
    int watched; /* the store's; -1: none */
};

/*
 * Make one: of a URI, or of another client's store. Nothing is asked of the store
 * yet but to be opened, and that may fail for now where there is a cache file.
 */
int fv_stored_new(flagver_client *client, const char *uri, const flagver_options *options,
                  struct fv_store *shared, struct fv_stored **ret_stored, flagver_error *err);
void fv_stored_free(struct fv_stored *stored); /* NULL is fine; the refresher has been stopped */

/* Fill the client for the first time. */
int fv_stored_start(struct fv_stored *stored, flagver_error *err);

/* Catch up with the store; with `environment` that is read anew, too. */
int fv_stored_refresh(struct fv_stored *stored, bool environment, flagver_error *err);

/* The background refresher. Starting one that runs, or stopping none, is fine. */
int fv_stored_run(struct fv_stored *stored, flagver_error *err);
void fv_stored_stop(struct fv_stored *stored);
void fv_stored_hurry(void *stored); /* somebody has committed something */

/* The same if this is its store; for the registry of clients. */
void fv_stored_hurry_for(struct fv_stored *stored, const struct fv_store *store);

/* The store, held; it is to be released. */
int fv_stored_hold(struct fv_stored *stored, struct fv_store **ret_store, flagver_error *err);

/*
 * For how long the store has not answered, in ms, where that is worth saying; else 0. Longer than
 * looking at it takes, or the time between two looks.
 */
int64_t fv_stored_silence(const struct fv_stored *stored); /* with `status` held */

/*
 * Around a fork. The refresher should not be inside the database's library then: what that
 * has locked for the whole process would be locked in the child for good. (The
 * threads that are the host's are the host's to look after.) A store that does not answer is waited
 * for until the deadline only, by the system's clock: who waits for that has locked nothing.
 */
void fv_stored_before_fork(struct fv_stored *stored, const struct timespec *deadline);
void fv_stored_after_fork(struct fv_stored *stored);

/* In the child, and the way back to a store. */
void fv_stored_forked(struct fv_stored *stored);
int fv_stored_reopen(struct fv_stored *stored, flagver_error *err);

int fv_stored_descriptor(struct fv_stored *stored, flagver_error *err);

#endif
