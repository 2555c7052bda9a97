/*
 * Routes: one operation on two sides.
 *
 * An operation is decided first (which stage, by whom, fv_decision), then its sides are called as
 * the stage's plan says (model/stage.h), and last it is told: to the caller in a result, to the
 * host's hook in an event. What a side does that does not answer the caller, the caller only sees in
 * the result.
 */
#ifndef FV_ENGINE_ROUTE_H
#define FV_ENGINE_ROUTE_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/client.h"
#include "engine/flags.h"
#include "engine/ledger.h"
#include "engine/meter.h"
#include "engine/steering.h"
#include "flagver/route.h"
#include "model/stage.h"
#include "util/hash.h"

struct fv_pool;
struct fv_worker;

#define FV_ROUTE_ID_SIZE 18 /* 16 hexadecimal digits, and a dash */

struct flagver_route {
    flagver_client *client;
    const flagver_allocator *memory;
    char *name; /* of the migration or the flag */
    bool by_flag;
    struct fv_flag_name flag;      /* by which one */
    flagver_route_options options; /* `flag` and `size` aside */
    flagver_side sides[2];
    struct fv_pool *pool;                     /* NULL: none */
    unsigned forks;                           /* of the process that has opened it */
    char id[FV_ROUTE_ID_SIZE];                /* what the ids of its operations begin with */
    atomic_uint_fast64_t randoms, operations; /* so far */
    atomic_uint_fast64_t dropped;             /* reads of the other side that found no worker */
    atomic_bool closed;

    /* of a migration */
    struct fv_steering steering;
    struct fv_ledger ledger;
    struct fv_meter meter;
    struct fv_worker *worker; /* the thread that takes steps; NULL: none */

    pthread_mutex_t working; /* one thread at a time takes steps; over what follows */
    char repaired_last[FLAGVER_ROUTE_KEY_LIMIT + 1]; /* the search goes on behind this key */
    char unrepaired[FLAGVER_ROUTE_KEY_LIMIT + 1]; /* the last one for which a repair has failed */
    flagver_error unrepaired_why;
    uint32_t rows_at_once;         /* of a copy; 0: not tried yet */
    uint32_t compared_at_once;     /* the same of a comparison */
    int64_t forgot_ms;             /* when leases were last forgotten; 0: never */
    int64_t counted_ms;            /* when it was asked how many there are; 0: never */
    int64_t rests_until_ms;        /* copies and comparisons */
    bool throttled;                /* by the host, who is not asked again before the next chunk */
    struct fv_reading_off guarded; /* what guards have seen */
    uint64_t guarded_version;
    uint64_t told_version; /* of the record when `told_guard` was told that nobody acts on */
    int told_guard;
};

/* By what an operation is routed. */
struct fv_decision {
    int stage;
    bool moved; /* in `ramp`, this key is read from the new side */
    int64_t version;
    int32_t reason, error;
    uint32_t check_ratio, sampling_ratio; /* 0: never */
};

/* A public call, checked. */
struct fv_route_asked {
    int operation;
    const char *key;   /* NULL: a creation */
    const void *value; /* of a write */
    size_t length;
    flagver_txn *txn; /* of a write: inside of it; or NULL */
    flagver_route_call call;
};

int fv_route_open(flagver_client *client, const char *migration,
                  const flagver_route_options *options, flagver_route **ret_route,
                  flagver_error *err);
int fv_route_close(flagver_route *route, int32_t wait_ms, flagver_error *err);

/* As the public calls; `result` has been cleared and is the caller's or ours. */
int fv_route_read(flagver_route *route, const struct fv_route_asked *asked,
                  flagver_route_result *result, flagver_error *err);
int fv_route_write(flagver_route *route, const struct fv_route_asked *asked,
                   flagver_route_result *result, flagver_error *err);

/* As flagver_route_step(), flagver_route_stage() and so on; checked, and with defaults. */
int fv_route_step_once(flagver_route *route, int32_t budget_ms, flagver_route_progress *progress,
                       flagver_error *err);
int fv_route_stage(flagver_route *route, const flagver_actor *actor, int stage,
                   const flagver_route_change *change, flagver_error *err);
int fv_route_rollback(flagver_route *route, const flagver_actor *actor, const char *note,
                      flagver_error *err);
int fv_route_status(flagver_route *route, char **ret_json, flagver_error *err);
int fv_route_verify(flagver_route *route, const flagver_compare_options *options,
                    bool (*visit)(void *data, const flagver_difference *difference), void *data,
                    uint64_t *ret_compared, uint64_t *ret_differences, flagver_error *err);

/* ---- between the files of a route ---- */

/* Note what reads have shown, and take them back where a guard trips: that is told by *ret_alert. */
int fv_route_guard(flagver_route *route, const struct fv_view *view, int64_t oldest_ms,
                   flagver_route_alert *ret_alert, flagver_error *err);

/* Where the migration stands, as of at most a poll interval ago when its store can be asked. */
int fv_route_view(flagver_route *route, struct fv_view *ret_view, flagver_error *err);

/*
 * FLAGVER_ESTATE: it is closed; FLAGVER_EFORKED: it goes by a migration, and was opened before the
 * process forked: its lease, locks and notes are the parent's.
 */
int fv_route_usable(const flagver_route *route, flagver_error *err);

int fv_route_decide(flagver_route *route, const struct fv_route_asked *asked,
                    struct fv_decision *ret_decision, flagver_error *err);

/* By what an operation on this key is routed, as far as the view tells. `key` NULL: it has none yet. */
void fv_route_decide_by(const flagver_route *route, const struct fv_view *view, const char *key,
                        struct fv_decision *ret_decision);

/* An id that no other route of any process has. False: the system has no random bytes. */
bool fv_route_new_id(char ret_id[FV_ROUTE_ID_SIZE]);

/* Is this one of the one in `ratio`? 0: never. */
bool fv_route_sample(flagver_route *route, uint32_t ratio);
uint64_t fv_route_random(flagver_route *route);

/* Tell the host of an operation that began at `time` (fv_route_now). */
int64_t fv_route_now(const flagver_route *route);
void fv_route_tell(flagver_route *route, const struct fv_route_asked *asked,
                   const struct fv_decision *decision, int64_t time,
                   const flagver_route_result *result);

#endif
