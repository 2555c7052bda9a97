/*
 * Bringing records over: of keys that wait to be repaired, and of all that was there before both
 * sides were written. Both read the believed side as it is and write that to the other one.
 */
#ifndef FV_ENGINE_ROUTE_COPY_H
#define FV_ENGINE_ROUTE_COPY_H

#include "engine/passage.h"
#include "engine/route.h"
#include "engine/side.h"

/* What a side has of a key. */
struct fv_side_record {
    char *key;   /* malloc, like the value */
    char *value; /* NULL: there is none */
    size_t length;
    struct fv_version version; /* of enlisted sides */
};

void fv_side_record_clear(struct fv_side_record *record);

/* Call a side's function for the library itself. `call` is cleared by the caller. */
int fv_route_call(flagver_route *route, enum fv_side side, struct fv_side_call *call,
                  flagver_txn *txn, flagver_error *err);

/* Read a key; a record that is not there is no error. */
int fv_route_fetch(flagver_route *route, enum fv_side side, const char *key,
                   struct fv_side_record *ret_record, flagver_error *err);

/* Are both sides enlisted, so that only what is newer is ever written? */
bool fv_route_is_guarded(const flagver_route *route);

/* What the authority has of a key, to the other side, by an operation that has entered. */
int fv_route_carry(flagver_route *route, const struct fv_act *act, flagver_error *err);

/*
 * The same of a key of which the other side has something else, though nothing says so. FLAGVER_EBUSY:
 * this is not the authority, or not now, or not in this epoch of it.
 */
int fv_route_amend(flagver_route *route, enum fv_side authority, uint64_t epoch, const char *key,
                   flagver_error *err);

/*
 * The key waits from now on, with a new version of what the authority has; both sides are enlisted.
 * FLAGVER_EBUSY: it is not the authority, or not now, or not in this epoch of it, or it alone is written.
 */
int fv_route_owe(flagver_route *route, enum fv_side authority, uint64_t epoch, const char *key,
                 flagver_error *err);

/* A key that waits. 1: repaired, 0: not to be repaired now, or not any more. */
int fv_route_repair(flagver_route *route, enum fv_side authority, const char *key,
                    flagver_error *err);

/*
 * Copy the next records of a side that has a scan; if it sweeps, what that lacks is removed from the
 * other one. 1: there may be more, 0: all is there,
 * FLAGVER_EBUSY: another process is at it, or a router has not seen the stage yet. `copied` is added
 * to; *ret_copying is how far it is then, where that could be seen.
 */
int fv_route_copy(flagver_route *route, const struct fv_view *view, bool sweeps, uint64_t *copied,
                  struct fv_passage *ret_copying, flagver_error *err);

/* As fast as the options allow. */
struct fv_pace fv_route_pace(const flagver_route *route);

/* Keys that wait, up to 10,000 of them counted. */
struct fv_backlog {
    uint64_t count;
    int64_t oldest_ms; /* since when the oldest has; 0: none does */
};

int fv_route_backlog(flagver_route *route, enum fv_side authority, struct fv_backlog *ret_backlog,
                     flagver_error *err);

/* Work on keys that wait until `deadline` (fv_monotonic_ms). */
int fv_route_repair_all(flagver_route *route, const struct fv_view *view, int64_t deadline,
                        flagver_route_progress *progress, flagver_error *err);

#endif
