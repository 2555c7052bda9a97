/*
 * The end of payloads: what versions said is forgotten, that there were such versions is not.
 * No key is needed for it.
 */
#ifndef FV_ENGINE_SHREDDING_H
#define FV_ENGINE_SHREDDING_H

#include "engine/records.h"

/* As flagver_version_shred(); as the operations of engine/records.h. */
int fv_record_shred(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                    struct fv_staged **ret_version, flagver_error *err);

/* As flagver_retain(); `prefix` and `options` may be NULL. */
int fv_records_retain(flagver_txn *txn, const char *phase, const char *prefix, int64_t before,
                      const flagver_write_options *options, uint32_t *ret_count,
                      flagver_error *err);

#endif
