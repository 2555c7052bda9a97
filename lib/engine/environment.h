/*
 * The environment variables as they were at one moment.
 *
 * getenv() may race with setenv() on another thread; so the environment is
 * copied when a client is opened or explicitly refreshed, on the thread that
 * asks for it, and only the copy is looked at from then on.
 */
#ifndef FV_ENGINE_ENVIRONMENT_H
#define FV_ENGINE_ENVIRONMENT_H

#include "util/map.h"

struct fv_environment {
    struct fv_map names;
    const char **values; /* by number of the name; in the map's arena */
    uint64_t mark;       /* hash of it all */
    bool forces;         /* there is a variable that begins with FV_FORCE_PREFIX */
};

void fv_environment_init(struct fv_environment *environment, const flagver_allocator *memory);
void fv_environment_clear(struct fv_environment *environment);

/* Copy the environment of the process. 0 or FLAGVER_ENOMEM. */
int fv_environment_read(struct fv_environment *environment);

/* The value of a variable, NULL when it is not set. `environment` as void *: a callback. */
const char *fv_environment_get(void *environment, const char *name);

#endif
