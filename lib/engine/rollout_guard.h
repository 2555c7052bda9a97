/*
 * Watching the guards of schedules, and taking flags back.
 *
 * Who looks at a flag reads when its version came into force and what was tracked since its step began; what
 * that comes to is decided by model/rollout_guard.h. A flag that is to go back gets a version by a
 * transaction that expects the one that was judged, so of several who look only one acts.
 */
#ifndef FV_ENGINE_ROLLOUT_GUARD_H
#define FV_ENGINE_ROLLOUT_GUARD_H

#include <pthread.h>

#include "flagver/rollout.h"

/* In whose name, and who is told. */
struct fv_guardian {
    flagver_actor actor;
    void (*alert)(void *data, const flagver_rollout_alert *alert); /* or NULL */
    void *data;
};

/*
 * As flagver_flags_guard().
 *
 * @param still  locked while something is asked of the store, and not while anybody is told: a fork
 *               waits for it. NULL: the caller looks after its forks
 */
int fv_rollout_guard(flagver_client *client, const struct fv_guardian *guardian,
                     pthread_mutex_t *still, flagver_error *err);

/* A copy with texts of its own, freed with fv_guardian_free(). FLAGVER_EINVAL: no such actor can be. */
int fv_guardian_new(const flagver_allocator *memory, const struct fv_guardian *guardian,
                    struct fv_guardian **ret_guardian, flagver_error *err);
void fv_guardian_free(struct fv_guardian *guardian, const flagver_allocator *memory); /* or NULL */

#endif
