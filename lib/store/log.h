/*
 * Rows about the tree over a tenant's log, as the changes that write them. What they point to lives
 * in the arena.
 */
#ifndef FV_STORE_LOG_H
#define FV_STORE_LOG_H

#include "crypto/merkle.h"
#include "flagver/driver.h"
#include "util/memory.h"

/* False: no memory. `tenant` is borrowed. */
bool fv_log_node(struct fv_arena *arena, const char *tenant, unsigned level, uint64_t number,
                 const uint8_t hash[FV_DIGEST_SIZE], flagver_change *ret_change);
bool fv_log_head(struct fv_arena *arena, const char *tenant, const struct fv_frontier *frontier,
                 flagver_change *ret_change);

#endif
