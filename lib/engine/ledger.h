/*
 * The ledger of a route: entries of keys whose sides may differ (model/ledger.h), and the lease
 * under which a router calls sides that no transaction guards.
 *
 * What is to be written is posted; one of those who post carries all of it out in one transaction,
 * so that many writes share a commit. What has ended is only noted, and goes along with the next
 * transaction, or with fv_ledger_flush().
 */
#ifndef FV_ENGINE_LEDGER_H
#define FV_ENGINE_LEDGER_H

#include "engine/steering.h"

/* What is to happen to the entry of a key. */
enum fv_act_kind {
    FV_ACT_ENTER,   /* an operation begins */
    FV_ACT_LEAVE,   /* it has ended; `ok`: well */
    FV_ACT_SETTLE,  /* the other side has `version` */
    FV_ACT_REPAIR,  /* a repair begins, unless there is nothing to do: `done` */
    FV_ACT_DOUBT,   /* the sides may differ */
    FV_ACT_INTEND,  /* an operation begins that creates a record; `key` is the operation's id */
    FV_ACT_CREATED, /* it has: the entry of the key takes the place of `intent` */
    FV_ACT_RESOLVE  /* `intent` is over: it has led to `key`, or to none ("") */
};

struct fv_act {
    enum fv_act_kind kind;
    enum fv_side side; /* in whose home the entry is */
    char key[FLAGVER_ROUTE_KEY_LIMIT + 1];
    struct fv_entry_operation operation;
    struct fv_version version;
    uint64_t epoch; /* one enters in this epoch of the authority only; 0: in any */
    bool ok;
    const char *intent; /* the id of an operation; of who waits for the act */
    int64_t seen;       /* the revision of the intent that was looked at */

    /* what came of it */
    bool done;     /* a repair that is not to be */
    bool admitted; /* an operation that has entered */
    bool late;     /* one that was no longer in the entry */
    int code;
    struct fv_fence fence; /* the authority's, as it was then */
    bool finished;         /* the ledger's own, like what follows */
    flagver_error *err;    /* or NULL */
    struct fv_act *next;
};

struct fv_ledger {
    struct fv_steering *steering;
    const flagver_allocator *memory;
    flagver_id router;
    int32_t lease_ms;

    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    bool leading;                /* somebody carries out what was posted */
    struct fv_act *first, *last; /* posted */
    struct fv_act *noted;        /* with nobody who waits for them; malloc */
    uint32_t noted_count;
    bool has_lease;
    struct fv_lease lease;
    enum fv_side side;                /* in whose home the lease is */
    struct fv_fence fence;            /* of the last renewal */
    uint64_t generation;              /* of fences seen */
    uint32_t running, running_before; /* operations under this fence, and under earlier ones */
};

/* An operation that calls a detached authority. */
struct fv_admitted {
    struct fv_fence fence; /* it goes by this one */
    uint64_t generation;
    int64_t began, until; /* µs; its calls must have ended by then */
    bool entered;         /* it is in the ledger */
    flagver_id id;
};

int fv_ledger_open(struct fv_ledger *ledger, struct fv_steering *steering,
                   const flagver_allocator *memory, flagver_error *err);

/* What was noted is written, as far as that can be done. */
void fv_ledger_close(struct fv_ledger *ledger);

/* The same in a process that was forked from the one that has opened it: only memory is freed. */
void fv_ledger_forget(struct fv_ledger *ledger);

/*
 * May an operation begin on this detached authority? It enters the ledger if the stage writes both
 * sides: by the key or, where it `creates` a record, by its own id. `name` NULL: it does not.
 *
 * @return FV_ADMIT_GO, FV_ADMIT_ELSEWHERE, FV_ADMIT_WAIT, or an error
 */
int fv_ledger_admit(struct fv_ledger *ledger, enum fv_side authority, const char *name,
                    bool creates, uint64_t seen_version, struct fv_admitted *ret_admitted,
                    flagver_error *err);

/*
 * An operation that has entered by its id, `intent`, has created a record with this key: it goes on by
 * that. When it has outlived its lease, it is not in the ledger any more (admitted->entered is false), and
 * the key waits to be repaired.
 */
int fv_ledger_created(struct fv_ledger *ledger, enum fv_side authority, const char *intent,
                      const char *key, struct fv_admitted *admitted, flagver_error *err);

/* Renew the lease if there is one, and it is time, or the fences are not those that it has seen. */
int fv_ledger_follow(struct fv_ledger *ledger, const struct fv_view *view, flagver_error *err);

/* It has ended. */
void fv_ledger_dismiss(struct fv_ledger *ledger, enum fv_side authority, const char *key,
                       const struct fv_admitted *admitted, bool ok);

/* Carry out an act, in a transaction shared with others. Returns its code. */
int fv_ledger_post(struct fv_ledger *ledger, struct fv_act *act, flagver_error *err);

/* The same of several at once; the first error that there is. Each has its own code. */
int fv_ledger_post_all(struct fv_ledger *ledger, struct fv_act *acts, size_t count,
                       flagver_error *err);

/* Remember one that nobody waits for. Without memory the entry stays, and is repaired. */
void fv_ledger_note(struct fv_ledger *ledger, const struct fv_act *act);

/* Write what was noted. */
int fv_ledger_flush(struct fv_ledger *ledger, flagver_error *err);

/*
 * An operation of this router that begins now: a fresh id, and until when others wait for it. It calls
 * sides until fv_ledger_deadline(), which is a little earlier.
 */
int fv_ledger_operation(struct fv_ledger *ledger, struct fv_entry_operation *ret_operation,
                        flagver_error *err);

int64_t fv_ledger_deadline(const struct fv_entry_operation *operation); /* on fv_monotonic_ns */

/*
 * May a repair read this side, whose fence is held by this transaction on its home (fv_fence_repairs)?
 * 1 or 0.
 */
int fv_ledger_repairs(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                      const struct fv_fence *fence, flagver_error *err);

/* The entry of a key in a transaction on its home; without a row it is all zeros. */
int fv_entry_get(flagver_txn *txn, const char *name, const char *key, flagver_keyed_row *ret_row,
                 struct fv_entry *ret_entry, flagver_error *err);
int fv_entry_put(flagver_txn *txn, flagver_keyed_row *row, const struct fv_entry *entry,
                 flagver_error *err);

#endif
