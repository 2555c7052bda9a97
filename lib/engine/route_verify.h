/*
 * Comparing all records of both sides: at once, for who asks, or a chunk at a time, in steps.
 */
#ifndef FV_ENGINE_ROUTE_VERIFY_H
#define FV_ENGINE_ROUTE_VERIFY_H

#include "engine/passage.h"
#include "engine/route.h"

struct fv_comparison {
    flagver_compare_options options;                                 /* with defaults */
    bool (*visit)(void *data, const flagver_difference *difference); /* NULL: nobody is told */
    void *data;
    enum fv_side believed; /* by who repairs */
    uint64_t epoch;        /* of that one's place */

    char after[FLAGVER_ROUTE_KEY_LIMIT + 1]; /* all up to here was compared */
    bool ended;                              /* there is no more */
    bool stopped;                            /* by who was told */
    uint64_t compared, differences, left_out;
    int64_t waited_ms; /* for writes that may have been on their way */
};

/* Goes on with about `most` keys. */
int fv_route_compare(flagver_route *route, struct fv_comparison *comparison, uint64_t most,
                     flagver_error *err);

/*
 * The next chunk of the comparison that steps make. 1: there is more, 0: it is done, FLAGVER_EBUSY: another
 * process is at it, or a router has not seen the stage yet. *ret_comparison is how far it is then, where that
 * could be seen. `repairs`: make the side that is not believed equal.
 */
int fv_route_verify_some(flagver_route *route, const struct fv_view *view, bool repairs,
                         struct fv_passage *ret_comparison, flagver_error *err);

#endif
