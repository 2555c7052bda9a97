/*
 * Records of migrations: what one may say depends on what was said before, and on what the migration
 * has shown since.
 */
#ifndef FV_ENGINE_MIGRATIONS_H
#define FV_ENGINE_MIGRATIONS_H

#include "engine/records.h"

/*
 * May this be the migration's record from now on?
 *
 * @return 0, or
 *   FLAGVER_EPARSE  it is malformed
 *   FLAGVER_ESTATE  the stage does not follow the one before, that is not carried out yet, or a
 *                   gate is shut and it is not forced
 *   any storage error
 */
int fv_migrations_check(flagver_txn *txn, const struct fv_target *target, const char *json,
                        size_t length, flagver_error *err);

#endif
