/*
 * Another stage for a migration: a version of its record. What comes of it is carried out by whoever
 * has the sides (engine/route.h), and seen in the evidence.
 */
#ifndef FV_ENGINE_RESTAGE_H
#define FV_ENGINE_RESTAGE_H

#include "engine/passage.h"
#include "engine/steering.h"

struct fv_restage {
    const char *migration;
    int stage;
    const flagver_route_change *change; /* with defaults filled in */
    bool emergency;                     /* by that rule, where the policy asks for approval */
    uint64_t from;                      /* only if this version is in force; 0: whatever is */
};

/* Checks a caller's change and copies it. */
int fv_change_check(const flagver_route_change *change, flagver_route_change *ret_change,
                    flagver_error *err);

/* *ret_no is the version that is in force then; 0: it waits for approval. */
int fv_restage(flagver_client *client, const struct fv_restage *restage, const flagver_actor *actor,
               uint32_t *ret_no, flagver_error *err);

/* Until this version is carried out by somebody; FLAGVER_EBUSY: it is not, after `wait_ms`. */
int fv_restage_wait(flagver_client *client, const char *migration, uint32_t no, int32_t wait_ms,
                    flagver_error *err);

/* The next stage on the way back to "off", of a migration of so many stages. */
int fv_stage_back(int stage, uint32_t stages);

/* As flagver_migration_rollback() and flagver_migration_status(). */
int fv_restage_back(flagver_client *client, const char *migration, const flagver_actor *actor,
                    const flagver_route_change *change, flagver_error *err);
int fv_restage_status(flagver_client *client, const char *migration, char **ret_json,
                      flagver_error *err);

/* The parts of a status that the record and the evidence tell; each begins with a comma. */
void fv_status_record(struct fv_text *out, const struct fv_migration *record, uint64_t version);
void fv_status_evidence(struct fv_text *out, const struct fv_evidence *evidence,
                        const struct fv_passages *passages);

#endif
