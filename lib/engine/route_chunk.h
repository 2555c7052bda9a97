/*
 * A few records at once, from the believed side to the other one; and what only that one has.
 */
#ifndef FV_ENGINE_ROUTE_CHUNK_H
#define FV_ENGINE_ROUTE_CHUNK_H

#include "engine/route_copy.h"

struct fv_chunk {
    flagver_route *route;
    enum fv_side authority;
    uint64_t epoch; /* of the authority when the copy went on: it is about this one alone */
    const char *after;
    uint32_t limit;              /* records */
    struct fv_side_call call;    /* the scan, with what it has found */
    struct fv_version *versions; /* of enlisted sides: by place in that */
    int said;                    /* fv_chunk_run: by the side */
    bool refused;                /* fv_chunk_read: the authority is not it any more */
};

/* How far the copy has come. */
struct fv_reach {
    bool ended; /* to the end */
    char key[FLAGVER_ROUTE_KEY_LIMIT + 1];
    uint64_t others; /* records of the other side that were looked at */
};

/*
 * Two enlisted sides: `run` gets the chunk in a transaction on the home of this one, and calls its functions
 * by fv_chunk_call(), which returns with what to end that.
 */
int fv_chunk_run(struct fv_chunk *chunk, enum fv_side side,
                 int (*run)(void *data, flagver_txn *txn, flagver_error *err), flagver_error *err);
int fv_chunk_call(struct fv_chunk *chunk, enum fv_side side, struct fv_side_call *call,
                  flagver_txn *txn, flagver_error *err);

/*
 * The same on the authority's home; `read` calls fv_chunk_hold() before it reads. FLAGVER_EBUSY: it is not the
 * authority any more, or not in this epoch.
 */
int fv_chunk_read(struct fv_chunk *chunk,
                  int (*read)(void *data, flagver_txn *txn, flagver_error *err),
                  flagver_error *err);
int fv_chunk_hold(struct fv_chunk *chunk, flagver_txn *txn, struct fv_fence *ret_fence,
                  flagver_error *err);

/*
 * What comes after `after`: to be found in `call` then. Where one record spoils it for all others it
 * fails, unless that one is alone: then it is left to be repaired.
 */
int fv_chunk_copy(struct fv_chunk *chunk, flagver_error *err);

/*
 * After a copy that reaches that far: removes from the other side what the chunk does not have.
 * *reach is how far that is so, if not as far. A side that cannot be scanned, or nothing removed from,
 * is left as it is.
 */
int fv_chunk_sweep(const struct fv_chunk *chunk, struct fv_reach *reach, flagver_error *err);

/* Those that were found, where a side is detached: each by an operation of its own. */
int fv_chunk_carry(struct fv_chunk *chunk, flagver_error *err);
void fv_chunk_clear(struct fv_chunk *chunk);

#endif
