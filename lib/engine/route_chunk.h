/*
 * A few records at once, from the believed side to the other one.
 */
#ifndef FV_ENGINE_ROUTE_CHUNK_H
#define FV_ENGINE_ROUTE_CHUNK_H

#include "engine/route_copy.h"

struct fv_chunk {
    flagver_route *route;
    enum fv_side authority;
    const char *after;
    uint32_t limit;              /* records */
    struct fv_side_call call;    /* the scan, with what it has found */
    struct fv_version *versions; /* of enlisted sides: by place in that */
};

/* What comes after `after`: to be found in `call` then. */
int fv_chunk_copy(struct fv_chunk *chunk, flagver_error *err);
void fv_chunk_clear(struct fv_chunk *chunk);

#endif
