/*
 * Data keys as users see them.
 */
#ifndef FV_ENGINE_KEYS_H
#define FV_ENGINE_KEYS_H

#include "engine/history.h"
#include "flagver/key.h"

/* As flagver_key_list(). */
int fv_keys_visit(const struct fv_tenancy *tenancy,
                  bool (*visit)(void *data, const flagver_data_key *key), void *data,
                  flagver_error *err);

#endif
