/*
 * One action on one version: what stands in its way, and what it leaves in the log.
 * The decision itself is fv_version_judge(); here the facts for it are found, and the
 * words for what is refused. For the files of the record engine.
 */
#ifndef FV_ENGINE_ACTING_H
#define FV_ENGINE_ACTING_H

#include "engine/records.h"
#include "model/version.h"

struct fv_act {
    flagver_txn *txn;
    const struct fv_target *target;
    enum fv_action action;
    struct fv_series *series;
    struct fv_staged *version; /* NULL: it is made by this */
    int state;                 /* which it has, or will have when this comes to pass */
    bool emergency;            /* asked for */
    bool is_author;            /* found out */
    const char *rule;          /* what allows it */
    bool by_host;              /* it is the host that does not */
    const char *undecided;     /* an item */
};

/*
 * Prepare an action on version `no`, which says nothing where the action makes a new one. The series
 * is locked, and made where there is none yet.
 *
 * @return the state it leads to, or why not; nothing is staged
 */
int fv_act_prepare(struct fv_act *act, flagver_txn *txn, const struct fv_target *target,
                   enum fv_action action, uint32_t no, flagver_error *err);

/* Without asking anything yet: finds the series and the version; `no` NULL: it will be a new one. */
int fv_act_begin(struct fv_act *act, flagver_txn *txn, const struct fv_target *target,
                 const uint32_t *no, flagver_error *err);

/* The same for an action of one that was begun, or a further action of the same operation; act->state is what the first has led to. */
int fv_act_prepare_next(struct fv_act *act, enum fv_action action, flagver_error *err);

/* The version that would be superseded; NULL: none. FLAGVER_EPHASE: the series only records. */
int fv_act_find_current(struct fv_act *act, struct fv_staged **ret_current, flagver_error *err);

/* Stages the leaf: what has just become of the version; its time is when the series changed last. */
int fv_act_leaf(const struct fv_act *act, const flagver_version_row *row, int from,
                uint32_t supersedes, flagver_error *err);

/* A copy of the target's note that lives as long as the transaction; none: *ret_note stays. */
int fv_act_note(const struct fv_act *act, flagver_bytes *ret_note, flagver_error *err);

/* The version comes into force: it supersedes, and its series says so; no leaf yet. */
int fv_act_into_force(struct fv_act *act, struct fv_staged *version, uint32_t *ret_supersedes,
                      flagver_error *err);

/* It changes its state, and nothing else about it is said here; with a leaf. */
int fv_act_move(struct fv_act *act, int state, flagver_error *err);

#endif
