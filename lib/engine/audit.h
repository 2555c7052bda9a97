/*
 * The audit log to the outside: its root, checkpoints, proofs. What each function promises is
 * in flagver/audit.h.
 */
#ifndef FV_ENGINE_AUDIT_H
#define FV_ENGINE_AUDIT_H

#include "codec/note.h"
#include "crypto/merkle.h"
#include "engine/history.h"

/* ---- with a store ---- */

int fv_audit_head(const struct fv_tenancy *tenancy, uint64_t *ret_size,
                  uint8_t ret_root[FLAGVER_HASH_SIZE], flagver_error *err);
int fv_audit_checkpoint(const struct fv_tenancy *tenancy, const char *origin, const char *signer,
                        char **ret_checkpoint, flagver_error *err);
int fv_audit_prove_inclusion(const struct fv_tenancy *tenancy, uint64_t no, uint64_t size,
                             flagver_proof *ret_proof, flagver_error *err);
int fv_audit_prove_consistency(const struct fv_tenancy *tenancy, uint64_t old_size, uint64_t size,
                               flagver_proof *ret_proof, flagver_error *err);

/*
 * The frontier of the log in one state of a store, also where the log's head does not know it:
 * then `kept` (or NULL) is told of the nodes over the leaves that it does not know of.
 */
int fv_audit_frontier(struct fv_read *read, struct fv_digest *digest, fv_merkle_kept kept,
                      void *data, struct fv_frontier *ret_frontier, flagver_error *err);

/* ---- without ---- */

int fv_audit_keygen(const char *name, char **ret_signer, char **ret_verifier, flagver_error *err);

/* As flagver_audit_read_checkpoint(). The checkpoint points into `text`. */
int fv_audit_read_checkpoint(const char *text, size_t length, const char *verifier,
                             struct fv_checkpoint *ret_checkpoint, flagver_error *err);

int fv_audit_check_inclusion(const flagver_proof *proof, const uint8_t root[FLAGVER_HASH_SIZE],
                             flagver_error *err);
int fv_audit_check_consistency(const flagver_proof *proof,
                               const uint8_t old_root[FLAGVER_HASH_SIZE],
                               const uint8_t root[FLAGVER_HASH_SIZE], flagver_error *err);

#endif
