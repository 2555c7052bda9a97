/*
 * Phases as people meet them: which policy is in force, who has which role, and what
 * waits for whom.
 */
#ifndef FV_ENGINE_PHASES_H
#define FV_ENGINE_PHASES_H

#include "engine/history.h"
#include "engine/records.h"

/* As flagver_phase_policy(); the text is freed with free(). */
int fv_phases_describe(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                       char **ret_json, flagver_error *err);

/* The target is the assignment of a role for a subject; it gets the user, or loses it. */
int fv_phases_assign(flagver_txn *txn, const struct fv_target *target, const char *user, bool add,
                     struct fv_staged **ret_version, flagver_error *err);

/* What of the phase (NULL: of all) waits for an actor. */
struct fv_due {
    const flagver_actor *actor;
    const char *phase;
    const flagver_list_options *options;
    int (*authorize)(void *data, const flagver_actor *actor, const char *action, const char *phase,
                     const char *subject); /* the host's, or NULL */
    void *authorize_data;
};

int fv_phases_due(const struct fv_tenancy *tenancy, const struct fv_due *due,
                  bool (*visit)(void *data, const flagver_version *version), void *data,
                  flagver_error *err);

#endif
