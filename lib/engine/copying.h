/*
 * How far the copy of a migration has come: a keyed row of the control store ("route.copy", by the
 * name of the migration), so that it goes on after a crash, and one process at a time is at it.
 */
#ifndef FV_ENGINE_COPYING_H
#define FV_ENGINE_COPYING_H

#include "engine/steering.h"
#include "model/pace.h"
#include "util/text.h"

#define FV_SPACE_COPY "route.copy"

struct fv_copying {
    uint64_t epoch; /* of the authority when it began; 0: never */
    enum fv_side from;
    flagver_id holder;
    int64_t until; /* the holder's for so long, µs */
    struct fv_headway headway;
    char after[FLAGVER_ROUTE_KEY_LIMIT + 1];
};

/* In a transaction on the control store; without a row it is all zeros. */
int fv_copying_get(flagver_txn *txn, const char *name, flagver_keyed_row *ret_row,
                   struct fv_copying *ret_copying, flagver_error *err);
int fv_copying_put(flagver_txn *txn, flagver_keyed_row *row, const struct fv_copying *copying,
                   flagver_error *err);

/* The same of any migration of a client's store, outside of transactions. */
int fv_copying_of(flagver_client *client, const char *name, struct fv_copying *ret_copying,
                  flagver_error *err);

/* Is it from this side, since both sides are written? Else it counts no more. */
bool fv_copying_holds(const struct fv_copying *copying, enum fv_side from,
                      const struct fv_fence *authority);

/* ,"copying":…, for a status. */
void fv_copying_write(struct fv_text *out, const struct fv_copying *copying, enum fv_side from,
                      const struct fv_fence *authority);

#endif
