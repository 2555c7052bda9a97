/*
 * Where a migration stands: what its record wishes, what the fences say, and the steps from one to the
 * other (model/route.h).
 *
 * Rows of the keyed tables, in the home of a side (its client's store; the control store of a
 * detached side), by name of the migration:
 *
 *     space           key                 value
 *     route.fence     name 0x1f old|new   a fence
 *     route.key       name 0x1f key       the version of a record of an enlisted side
 *     route.dirty     name 0x1f key       an entry of the ledger, in the authority's home
 *     route.intent    name 0x1f operation the same of a record that a detached authority creates, by the
 *                                         id of the operation: its key is not known yet
 *     route.lease     name 0x1f router    of a router that has a detached side
 *     route.evidence  name                what was shown, in the control store
 *     route.copy      name                how far its copy has come, there too (engine/passage.h)
 */
#ifndef FV_ENGINE_STEERING_H
#define FV_ENGINE_STEERING_H

#include <pthread.h>

#include "codec/migration.h"
#include "engine/client.h"
#include "model/gate.h"
#include "model/ledger.h"
#include "model/route.h"
#include "util/published.h"

#define FV_SPACE_FENCE "route.fence"
#define FV_SPACE_KEY "route.key"
#define FV_SPACE_DIRTY "route.dirty"
#define FV_SPACE_INTENT "route.intent"
#define FV_SPACE_LEASE "route.lease"
#define FV_SPACE_EVIDENCE "route.evidence"

/* The key of a row: the migration's name, behind 0x1f what else there is: a side, 0x1f and a key at most. */
#define FV_ROUTE_ROW_KEY (FLAGVER_MIGRATION_LIMIT + 1 + 2 + FLAGVER_ROUTE_KEY_LIMIT)

struct fv_row_key {
    char text[FV_ROUTE_ROW_KEY];
    size_t length;
};

void fv_row_key(const char *name, const char *rest, size_t length, struct fv_row_key *ret_key);
flagver_bytes fv_row_key_bytes(const struct fv_row_key *key);

/* What leases and entries go by: microseconds since the epoch, by the system's clock. */
int64_t fv_now_us(void);

/* As of one look. */
struct fv_view {
    struct fv_migration record;
    uint64_t version; /* of the record */
    struct fv_fence fences[2];
};

struct fv_steering {
    const char *name;
    flagver_client *control;
    flagver_client *homes[2];
    bool enlisted[2];
    bool together;      /* both homes are one store and tenant */
    int64_t numbers[2]; /* of the fences, for who holds them */

    struct fv_published view;      /* as of the last look that has ended */
    atomic_int_fast64_t looked_ms; /* CLOCK_MONOTONIC_COARSE */

    pthread_mutex_t lock; /* over changing these, and what follows */
    uint64_t looks;       /* that were begun */
    uint64_t look;        /* the last one of those that have ended: a slow one changes nothing */
};

/*
 * Sides without a client are at home in the control store. Brings fences up where there are
 * none. FLAGVER_ENOTFOUND: no such migration.
 */
int fv_steering_open(struct fv_steering *steering, const char *name, flagver_client *control,
                     flagver_client *const sides[2], flagver_error *err);
void fv_steering_close(struct fv_steering *steering);

/* Look anew. */
int fv_steering_look(struct fv_steering *steering, struct fv_view *ret_view, flagver_error *err);

/* The last look, which is not older than `age_ms` when the stores can be asked. 1: this is a new one. */
int fv_steering_view(struct fv_steering *steering, int64_t age_ms, struct fv_view *ret_view,
                     flagver_error *err);

/*
 * One step towards the record, if there is one to take.
 *
 * @return 1: a step was taken, or another one has taken it; 0: all is as wished;
 *   FLAGVER_EBUSY: a flip waits, for repairs or for routers; any storage error
 */
int fv_steering_step(struct fv_steering *steering, bool give_up, flagver_error *err);

/* Steps until all is as wished, or FLAGVER_EBUSY for `wait_ms`. `work` is called while a flip waits. */
int fv_steering_settle(struct fv_steering *steering, int64_t wait_ms,
                       int (*work)(void *data, flagver_error *err), void *data, flagver_error *err);

/* ---- in transactions on a side's home ---- */

/* Run as an operation in a transaction of the library's own, on a client's store, or a side's home. */
int fv_steering_run_on(flagver_client *client,
                       int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                       flagver_error *err);
int fv_steering_run(struct fv_steering *steering, enum fv_side side,
                    int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                    flagver_error *err);

/* The fence of a side, held until the transaction ends. */
int fv_steering_hold(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                     bool shared, flagver_keyed_row *ret_row, struct fv_fence *ret_fence,
                     flagver_error *err);

/* The same without holding it. */
int fv_steering_fence_in(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                         struct fv_fence *ret_fence, flagver_error *err);

/* FLAGVER_EBUSY: a router with a lease in the home of the authority has not seen this fence of its. */
int fv_steering_wait_for_routers(struct fv_steering *steering, enum fv_side authority,
                                 const struct fv_fence *fence, flagver_error *err);

/* Delete leases in a side's home that ended long ago: of routers that were killed. Some of them, if many. */
int fv_steering_forget_leases(struct fv_steering *steering, enum fv_side side, flagver_error *err);

/* Entries of the ledger, or intents, in the home of the authority: is there any? 1 or 0. */
int fv_steering_backlog(struct fv_steering *steering, enum fv_side side, flagver_error *err);

/* Does this key wait to be repaired? 1 or 0. Who was the authority before has no keys that wait. */
int fv_steering_waits(struct fv_steering *steering, enum fv_side authority, const char *key,
                      flagver_error *err);

/* ---- evidence ---- */

int fv_steering_evidence(struct fv_steering *steering, struct fv_evidence *ret_evidence,
                         flagver_error *err);

/* The same of any migration of a client's store; and its record, with its version. */
int fv_evidence_of(flagver_client *client, const char *name, struct fv_evidence *ret_evidence,
                   flagver_error *err);
int fv_record_of(flagver_client *client, const char *name, struct fv_migration *ret_record,
                 uint64_t *ret_version, flagver_error *err);

/*
 * A row of a migration in a client's store, outside of transactions: `decode` gets its bytes, and is not
 * called where there is none.
 */
int fv_row_of(flagver_client *client, const char *space, const char *name,
              int (*decode)(const flagver_bytes *value, void *data, flagver_error *err), void *data,
              flagver_error *err);

/* Change it: `change` gets it as it is. */
int fv_steering_note(struct fv_steering *steering,
                     void (*change)(void *data, struct fv_evidence *evidence), void *data,
                     flagver_error *err);

/* The evidence of a migration in a transaction on the control store; without a row it is all zeros. */
int fv_evidence_in(flagver_txn *txn, const char *name, flagver_keyed_row *ret_row,
                   struct fv_evidence *ret_evidence, flagver_error *err);

#endif
