/*
 * What flags and segments say about each other: is everything there that they
 * name, does nothing lead back to itself, is no evaluation unreasonably deep or
 * long?
 */
#ifndef FV_MODEL_GRAPH_H
#define FV_MODEL_GRAPH_H

#include "model/evaluate.h"

/* References lead from one flag or segment to the next at most so often. */
#define FV_REFERENCE_DEPTH 100

/* One evaluation makes at most so many tests: a diamond of 20 flags could ask for a million. */
#define FV_TEST_LIMIT 1000000u

enum fv_graph_fault {
    FV_GRAPH_NO_FLAG, /* the flag `reference` names is not there */
    FV_GRAPH_NO_SEGMENT,
    FV_GRAPH_BAD_SEGMENT, /* the segment is there, and has a problem itself */
    FV_GRAPH_NO_VARIANT,  /* the flag is there and has no such variant */
    FV_GRAPH_CYCLE,       /* `reference` leads back to its owner */
    FV_GRAPH_TOO_DEEP,
    FV_GRAPH_TOO_LONG
};

struct fv_graph_problem {
    enum fv_graph_fault fault;
    bool owner_is_flag; /* it refers */
    uint32_t owner_slot;
    const char *owner; /* key of the flag or name of the segment */
    const struct fv_reference *reference;
};

/*
 * Tells `report` of every flag and segment that has a problem, once, before those
 * that refer to it; it returns false to hear no more. Takes time in proportion to
 * the number of flags, segments and references.
 *
 * A flag with a problem is an end for those who refer to it: it serves nothing,
 * and nothing leads on from it. So is one that is malformed (`error` is set), of
 * which nothing is told. A segment with a problem, or a malformed one (`why` is
 * set), is a problem for those who name it.
 *
 * @return 0 or FLAGVER_ENOMEM
 */
int fv_graph_check(const struct fv_world *world, const flagver_allocator *memory,
                   bool (*report)(void *data, const struct fv_graph_problem *problem), void *data);

#endif
