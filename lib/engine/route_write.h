/*
 * A write or a removal under way, in the ways that there are: by a flag, and by a migration whose
 * authority is enlisted or detached.
 */
#ifndef FV_ENGINE_ROUTE_WRITE_H
#define FV_ENGINE_ROUTE_WRITE_H

#include "engine/route.h"
#include "engine/side.h"

#define FV_OPERATION_ID_SIZE \
    (FV_ROUTE_ID_SIZE + 16) /* of one of ours: a route's id, and a number */

struct fv_writing {
    flagver_route *route;
    const struct fv_route_asked *asked;
    struct fv_decision decision;
    struct fv_stage_plan plan;
    const char *operation_id;
    char own_id[FV_OPERATION_ID_SIZE];
    int64_t deadline;             /* of calls, fv_monotonic_ns; 0: none */
    struct fv_side_call calls[2]; /* by side */
    flagver_route_result *result;
};

/* Route by this stage. */
void fv_write_plan(struct fv_writing *writing, int stage);

/* Call the side's function. Returns what came of it, which is in the result then. */
int fv_write_side(struct fv_writing *writing, enum fv_side side, const char *key, flagver_txn *txn);

/* The error of the side that the caller gets. */
int fv_write_failed(struct fv_writing *writing, enum fv_side side, flagver_error *err);

/* The same, with what a transaction of ours is to end (fv_side_end). */
int fv_write_refused(struct fv_writing *writing, enum fv_side side, flagver_error *err);

/* What came of it where the transaction ended with `r` (fv_side_ended). An error of an earlier try is over. */
int fv_write_ended(const struct fv_writing *writing, enum fv_side side, int r);

/* The caller's key, or that of what the authority has created. */
const char *fv_written_key(const struct fv_writing *writing, enum fv_side authority);

/*
 * Write by a migration, on this side if it is the authority. FV_ADMIT_ELSEWHERE, FV_ADMIT_WAIT:
 * it is not, or not now, and nothing was done.
 */
int fv_write_enlisted(struct fv_writing *writing, enum fv_side authority, flagver_error *err);
int fv_write_detached(struct fv_writing *writing, enum fv_side authority,
                      const struct fv_view *view, flagver_error *err);

/* The same inside a transaction of others, which is to be on the authority's store. */
int fv_write_within(struct fv_writing *writing, enum fv_side authority, flagver_txn *txn,
                    flagver_error *err);

/* ---- rows of keys, in transactions on the home of their side ---- */

struct fv_keyed_version {
    flagver_keyed_row row;
    struct fv_key_row key;
};

int fv_key_row_get(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                   const char *key, struct fv_keyed_version *ret_version, flagver_error *err);
/* The same of many keys, which rise and come after `after`. */
int fv_key_rows_get(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                    const char *after, const char *const *keys, size_t count,
                    struct fv_keyed_version *ret_versions, flagver_error *err);
int fv_key_row_put(flagver_txn *txn, struct fv_keyed_version *version, flagver_error *err);

#endif
