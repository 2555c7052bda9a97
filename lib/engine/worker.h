/*
 * A thread of a route's own that takes its steps.
 */
#ifndef FV_ENGINE_WORKER_H
#define FV_ENGINE_WORKER_H

#include "engine/route.h"

/* FLAGVER_EIO: there is no thread to be had. */
int fv_worker_start(flagver_route *route, struct fv_worker **ret_worker, flagver_error *err);

/*
 * Waits up to `wait_ms` for the step under way, which is short unless a side hangs: false, and the worker
 * stays. NULL is fine, and so is a child of the process.
 */
bool fv_worker_stop(struct fv_worker *worker, int64_t wait_ms);

#endif
