/*
 * Changing flags and segments: read-modify-write of their definitions, and whole
 * files of them.
 */
#ifndef FV_ENGINE_ROLLOUT_H
#define FV_ENGINE_ROLLOUT_H

#include "engine/records.h"
#include "engine/history.h"
#include "flagver/rollout.h"

/* How a definition is changed: `edit` makes the new text of the present one. */
struct fv_edit {
    int (*edit)(const void *data, const char *text, size_t length, struct fv_text *out,
                flagver_error *err);
    const void *data;

    /* Does it take the flag back, so that it can be an emergency? 1, 0, an error; NULL: never. */
    int (*takes_back)(const void *data, const char *text, size_t length, flagver_error *err);
};

int fv_rollout_edit(flagver_txn *txn, const struct fv_target *target, const struct fv_edit *edit,
                    struct fv_staged **ret_version, flagver_error *err);

/* A boolean's percentage, which lives as long as the edit. Lowering it can be an emergency. */
struct fv_edit fv_rollout_ramp(const double *percentage);

/* A definitions file, and what it is about. */
struct fv_rollout_file {
    const char *json;
    size_t length;
    const char *name; /* or NULL */
    bool prune;
};

/* As flagver_flags_plan(), flagver_flags_apply() and flagver_flags_export(). */
int fv_rollout_plan(const struct fv_tenancy *tenancy, const struct fv_rollout_file *file,
                    void (*visit)(void *data, const flagver_plan_step *step), void *data,
                    flagver_error *err);
int fv_rollout_apply(flagver_txn *txn, const struct fv_rollout_file *file,
                     const flagver_write_options *options, flagver_error *err);
int fv_rollout_export(const struct fv_tenancy *tenancy, char **ret_json, flagver_error *err);

#endif
