/*
 * Watching the guards of schedules, and taking flags back.
 *
 * Who looks at a flag reads when its version came into force and what was tracked since its step began; what
 * that comes to is decided by model/rollout_guard.h. A flag that is to go back gets a version by a
 * transaction that expects the one that was judged, so of several who look only one acts.
 */
#ifndef FV_ENGINE_ROLLOUT_GUARD_H
#define FV_ENGINE_ROLLOUT_GUARD_H

#include <time.h>

#include "flagver/rollout.h"

/* In whose name, and who is told. */
struct fv_guardian {
    flagver_actor actor;
    void (*alert)(void *data, const flagver_rollout_alert *alert); /* or NULL */
    void *data;
};

/* As flagver_flags_guard(). */
int fv_rollout_guard(flagver_client *client, const struct fv_guardian *guardian,
                     flagver_error *err);

/* ---- by itself: of the thread that refreshes ---- */

/* As options.guardian says, with texts of its own. FLAGVER_EINVAL: no such actor, or he would never look. */
struct fv_watch;
int fv_watch_new(const flagver_allocator *memory, const flagver_options *options,
                 struct fv_watch **ret_watch, flagver_error *err);
void fv_watch_free(struct fv_watch *watch, const flagver_allocator *memory); /* NULL is fine */
const struct fv_guardian *fv_watch_guardian(const struct fv_watch *watch);

/* Looks, and tells the host's log when that fails, or works again. */
void fv_watch_look(struct fv_watch *watch, flagver_client *client);

/* Around a fork, and in the child; as in engine/stored.h. NULL is fine. */
void fv_watch_before_fork(struct fv_watch *watch, const struct timespec *deadline);
void fv_watch_after_fork(struct fv_watch *watch);
void fv_watch_forked(struct fv_watch *watch);

#endif
