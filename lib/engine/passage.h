/*
 * How far a passage through all records of a migration has come, its copy or its comparison: a keyed row
 * of the control store, by the name of the migration, so that it goes on after a crash, and one process at a
 * time is at it.
 */
#ifndef FV_ENGINE_PASSAGE_H
#define FV_ENGINE_PASSAGE_H

#include "engine/steering.h"
#include "model/pace.h"
#include "util/text.h"

#define FV_SPACE_COPY "route.copy"
#define FV_SPACE_COMPARISON "route.comparison"

struct fv_passage {
    uint64_t epoch; /* of the authority when it began; 0: never */
    enum fv_side from;
    flagver_id holder;
    int64_t until; /* the holder's for so long, µs */
    struct fv_headway headway;
    uint64_t differences, left_out; /* of a comparison: keys */
    char after[FLAGVER_ROUTE_KEY_LIMIT + 1];
};

/* In a transaction on the control store; without a row it is all zeros. */
int fv_passage_get(flagver_txn *txn, const char *space, const char *name,
                   flagver_keyed_row *ret_row, struct fv_passage *ret_passage, flagver_error *err);
int fv_passage_put(flagver_txn *txn, flagver_keyed_row *row, const struct fv_passage *passage,
                   flagver_error *err);

/* The same of any migration of a client's store, outside of transactions. */
int fv_passage_of(flagver_client *client, const char *space, const char *name,
                  struct fv_passage *ret_passage, flagver_error *err);

/* Whoever goes on with it begins anew. In a transaction of its own. */
int fv_passage_forget(flagver_client *client, const char *space, const char *name,
                      flagver_error *err);

struct fv_passages {
    struct fv_passage copy, comparison;
};

int fv_passages_of(flagver_client *client, const char *name, struct fv_passages *ret_passages,
                   flagver_error *err);

/* Is it from this side, since that is believed? Else it counts no more. */
bool fv_passage_holds(const struct fv_passage *passage, enum fv_side from,
                      const struct fv_fence *authority);

/* ,"copying":… or ,"comparing":…, for a status. */
void fv_passage_write(struct fv_text *out, bool compares, const struct fv_passage *passage,
                      enum fv_side from, const struct fv_fence *authority);

#endif
