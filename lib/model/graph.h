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
    FV_GRAPH_FINE,
    FV_GRAPH_NO_FLAG, /* the flag `reference` names is not there */
    FV_GRAPH_NO_SEGMENT,
    FV_GRAPH_NO_VARIANT, /* the flag is there and has no such variant */
    FV_GRAPH_CYCLE,      /* `reference` closes a cycle */
    FV_GRAPH_TOO_DEEP,
    FV_GRAPH_TOO_LONG
};

struct fv_graph_problem {
    enum fv_graph_fault fault;
    const char *owner; /* key of the flag or name of the segment that refers */
    bool owner_is_flag;
    const struct fv_reference *reference;
};

/* @return 0, also with a problem found (ret_problem->fault), or FLAGVER_ENOMEM */
int fv_graph_check(const struct fv_world *world, const flagver_allocator *memory,
                   struct fv_graph_problem *ret_problem);

#endif
