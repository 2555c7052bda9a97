/*
 * Whose turn it is to go on with a passage through all records (engine/passage.h): a chunk at a time, one
 * process at a time.
 */
#ifndef FV_ENGINE_TURN_H
#define FV_ENGINE_TURN_H

#include "engine/passage.h"
#include "engine/route.h"

struct fv_turn {
    flagver_route *route;
    const char *space; /* of the passage */
    enum fv_side from;
    const struct fv_fence *authority;
    int64_t again_us; /* so long after it is done it begins anew, if it is taken then; 0: never */

    struct fv_passage passage; /* as it was seen last */
    bool taken;
    uint64_t epoch; /* that of the passage */
    int64_t began;  /* and when that did */

    /* With `taken`: how far it has come by what was done in this turn. */
    bool ended;
    char key[FLAGVER_ROUTE_KEY_LIMIT + 1];
};

/* 1: it is this route's; 0: the passage is done; FLAGVER_EBUSY: another process is at it. */
int fv_turn_take(struct fv_turn *turn, flagver_error *err);

/*
 * `add` puts what was done into the passage as it is by now; called again when the store asks for that. False:
 * others were further meanwhile, and it does not count. FLAGVER_EBUSY: so it was, or the passage is over.
 */
int fv_turn_end(struct fv_turn *turn, bool (*add)(void *data, struct fv_passage *passage),
                void *data, flagver_error *err);

/* How many records the side has that it is from; 0: not known, or not asked again. */
uint64_t fv_turn_estimate(const struct fv_turn *turn);

#endif
