/**
 * libflagver: the audit log, and proofs that nobody has changed it.
 *
 * Every transition of a version is a leaf of its tenant's log, in the order in which things
 * happened. Over the leaves stands a Merkle tree as in RFC 6962: a checkpoint is its size and its
 * root, signed. Who has a checkpoint can be shown that a certain leaf is in the log it is
 * of (inclusion), and that a later log begins with that one (consistency), by a few
 * hashes and without trusting the store.
 *
 * What is in the same database proves nothing against who can rewrite the database: evidence
 * begins when a checkpoint leaves it. docs/audit.md says what is proven against whom.
 *
 * Calls on a client need a store and are of its tenant; errors as flagver_version_current().
 * Threads: any.
 */
#ifndef FLAGVER_AUDIT_H
#define FLAGVER_AUDIT_H

#include "flagver/base.h"
#include "flagver/client.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FLAGVER_HASH_SIZE 32

/**
 * One entry of the log: one transition of one version. More members may follow in later
 * versions of the library.
 *
 * no          its number in the tenant's log, from 0
 * action      "create", "edit", "submit", …
 * from, to    FLAGVER_STATE_…; from 0: it was not there
 * supersedes  the number whose place it took, 0: none
 * bits        FLAGVER_VERSION_…, FLAGVER_AUDIT_…
 * policy, policy_no  the record of FLAGVER_PHASE_PHASE that allowed it, "" and 0: the built-in one
 * rule        the part of it that did: "anyone", "role_in:Tester", "assigned:report_owner",
 *             "host", or "": none was asked
 * note_hash, decisions_hash  zeros: no note, no items
 */
typedef struct flagver_audit_entry {
    uint64_t no;
    int64_t time;
    const char *actor, *action, *phase, *subject;
    uint32_t version_no, supersedes;
    int32_t from, to;
    uint32_t bits;
    uint8_t content_hash[32], leaf_hash[32];
    int64_t rev;
    uint32_t parent_no, base_no, reverts_no, policy_no;
    const char *policy, *rule, *idempotency_key;
    uint8_t decisions_hash[32], note_hash[32];
} flagver_audit_entry;

/** The policy let somebody approve what they have written themselves. */
#define FLAGVER_AUDIT_SELF 65536u

/**
 * The change feed: visit the audit log from leaf `from` on, in order. `*ret_next` (may
 * be NULL) is what to ask for next time.
 */
FLAGVER_API int flagver_audit_log(flagver_client *client, uint64_t from, uint32_t limit,
                                  bool (*visit)(void *data, const flagver_audit_entry *entry),
                                  void *data, uint64_t *ret_next, flagver_error *err);

/* ---- checkpoints ---- */

/** Size and root of the log now. */
FLAGVER_API int flagver_audit_head(flagver_client *client, uint64_t *ret_size,
                                   uint8_t ret_root[FLAGVER_HASH_SIZE], flagver_error *err);

/**
 * Make a key pair (Ed25519) in the text form of C2SP's signed notes. The signer's key signs
 * checkpoints and is to be kept secret, outside of the store; the verifier's key is for everybody.
 *
 * @param name  who signs, for instance "example.com/records": no spaces, no '+'
 * @param ret_signer, ret_verifier  freed with flagver_string_free()
 */
FLAGVER_API int flagver_audit_keygen(const char *name, char **ret_signer, char **ret_verifier,
                                     flagver_error *err);

/**
 * A checkpoint of the log now, in the form of C2SP's tlog-checkpoint:
 *
 *     example.com/records/TENANT
 *     SIZE
 *     BASE64 OF THE ROOT
 *
 *     — example.com/records SIGNATURE
 *
 * @param origin  the first line; NULL: the signer's name, "/" and the tenant
 * @param signer  as flagver_audit_keygen() gives it; NULL: not signed
 * @param ret_checkpoint  freed with flagver_string_free()
 * @return 0, FLAGVER_EINVAL (no such key, no origin, …), or an error of the store
 */
FLAGVER_API int flagver_audit_checkpoint(flagver_client *client, const char *origin,
                                         const char *signer, char **ret_checkpoint,
                                         flagver_error *err);

/**
 * What a checkpoint says, when it is well-formed and, with `verifier` not NULL, signed by that key.
 * Needs no store.
 *
 * @return 0, FLAGVER_EPARSE, FLAGVER_EINVAL (no such key), or FLAGVER_EKEY: not signed by this key
 */
FLAGVER_API int flagver_audit_read_checkpoint(const char *checkpoint, size_t length,
                                              const char *verifier, uint64_t *ret_size,
                                              uint8_t ret_root[FLAGVER_HASH_SIZE],
                                              flagver_error *err);

/* ---- proofs ---- */

/** The most hashes in a proof. */
#define FLAGVER_PROOF_LIMIT 128

/** A proof: the hashes of RFC 6962, in its order. `leaf` (inclusion) is the leaf's bytes' hash. */
typedef struct flagver_proof {
    uint64_t first, second; /**< leaf number and size, or old and new size */
    uint32_t count;
    uint32_t reserved;
    uint8_t leaf[FLAGVER_HASH_SIZE];
    uint8_t hashes[FLAGVER_PROOF_LIMIT][FLAGVER_HASH_SIZE];
} flagver_proof;

/**
 * That leaf `no` is in the log of `size` leaves, or that the log of `old_size` leaves is the
 * beginning of that of `size`. `size` 0: the log as it is now.
 *
 * @param ret_proof  caller's
 * @return 0, FLAGVER_EINVAL (beyond the log), or an error of the store
 */
FLAGVER_API int flagver_audit_prove_inclusion(flagver_client *client, uint64_t no, uint64_t size,
                                              flagver_proof *ret_proof, flagver_error *err);
FLAGVER_API int flagver_audit_prove_consistency(flagver_client *client, uint64_t old_size,
                                                uint64_t size, flagver_proof *ret_proof,
                                                flagver_error *err);

/** Check one, without any store. @return 0, or FLAGVER_ECORRUPT: it does not prove that */
FLAGVER_API int flagver_audit_check_inclusion(const flagver_proof *proof,
                                              const uint8_t root[FLAGVER_HASH_SIZE],
                                              flagver_error *err);
FLAGVER_API int flagver_audit_check_consistency(const flagver_proof *proof,
                                                const uint8_t old_root[FLAGVER_HASH_SIZE],
                                                const uint8_t root[FLAGVER_HASH_SIZE],
                                                flagver_error *err);

/* ---- verification ---- */

/**
 * What to hold the log against; set `size`, NULL is all defaults.
 *
 * checkpoint  one that was kept elsewhere: the log must begin with its leaves. It is of the tenant
 *             that its origin ends with, behind a "/"; that of another tenant is refused. An
 *             origin that names no tenant of the store was chosen by hand, and says nothing.
 * verifier    the key that must have signed it; NULL: nobody need have
 * tree_only   non-zero: leaves and tree alone, not the records
 */
typedef struct flagver_verify_options {
    size_t size;
    const char *checkpoint;
    size_t checkpoint_length;
    const char *verifier;
    int32_t tree_only;
    int32_t reserved;
} flagver_verify_options;

/**
 * What was verified, and what could not be.
 *
 * payloads  of versions and items, that were read and held against their hashes
 * root      of the log; of a file with several tenants zeros
 * sealed    payloads that no key at hand opens: they were not looked into
 * shredded  payloads that are gone for good
 */
typedef struct flagver_verify_result {
    uint64_t leaves, versions, payloads;
    uint64_t findings;
    uint8_t root[FLAGVER_HASH_SIZE];
    uint64_t sealed, shredded;
} flagver_verify_result;

/**
 * Recompute everything: every leaf's hash, every node, the head; that the leaves, carried out one
 * after the other by the rules, give exactly the versions, items and votes that are there; and that every
 * payload that is not shredded or without a key has its version's hash. `found` gets one
 * line for each thing that is wrong, naming it and the first leaf it concerns.
 *
 * Beside a store, an export of one (flagver_store_export()) can be verified, by who has nothing else; every
 * tenant in it is.
 *
 * @param ret_result  may be NULL
 * @return the number of findings, at most INT32_MAX; FLAGVER_EKEY, FLAGVER_EPARSE (checkpoint),
 *   FLAGVER_EINVAL (it is another tenant's); or an error of the store or file
 */
FLAGVER_API int flagver_audit_verify(flagver_client *client, const flagver_verify_options *options,
                                     void (*found)(void *data, const char *line), void *data,
                                     flagver_verify_result *ret_result, flagver_error *err);
FLAGVER_API int flagver_audit_verify_file(const char *path, const flagver_verify_options *options,
                                          void (*found)(void *data, const char *line), void *data,
                                          flagver_verify_result *ret_result, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
