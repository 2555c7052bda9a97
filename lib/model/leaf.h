/*
 * A leaf of the audit log: one transition of one version, as bytes. This encoding
 * is final: hashes, and later proofs and signatures, are made over it. Another one
 * would get another form number in its first byte.
 *
 * Integers are big-endian. A text is its length in 2 bytes and its bytes.
 *
 *    1  form: 1
 *    1  form of the canonical JSON that content_hash is of: 1
 *       tenant, text
 *    8  leaf number
 *    8  time, microseconds since 1970-01-01T00:00:00Z
 *       actor, text
 *    1  action
 *       phase, text; subject, text
 *    4  version number
 *    1  state before, 0: none      1  state after
 *    4  bits: FLAGVER_VERSION_…, and from 65536 on those of the act: FLAGVER_AUDIT_…
 *    8  rev of the version after it
 *    4  parent_no   4  base_no   4  reverts_no   4  supersedes
 *   32  content_hash
 *   32  decisions_hash: over the decisions on items; zeros while there are none
 *   32  note_hash: SHA-256 of the series' key, the number and the note; zeros without a note
 *       policy, text: subject of the policy that allowed it; empty: the built-in one
 *    4  number of that policy's version
 *       rule, text: the part of it that did; empty: none was asked
 *       idempotency key of the caller, text
 *
 * Nothing in it is random, so that the same history gives the same log whatever
 * store it is in. Private texts are in it only as hashes.
 */
#ifndef FV_MODEL_LEAF_H
#define FV_MODEL_LEAF_H

#include "flagver/driver.h"
#include "util/text.h"

enum fv_action {
    FV_ACTION_CREATE = 1,
    FV_ACTION_EDIT = 2,
    FV_ACTION_REBASE = 3,
    FV_ACTION_SUBMIT = 4,
    FV_ACTION_RETURN = 5,
    FV_ACTION_DECIDE = 6,
    FV_ACTION_APPROVE = 7,
    FV_ACTION_REJECT = 8,
    FV_ACTION_WITHDRAW = 9,
    FV_ACTION_RECORD = 10,
    FV_ACTION_REVIEW = 11,
    FV_ACTION_SHRED = 12,
    FV_ACTION_REVERT = 13 /* asked for like the others, but what it writes is a "create" */
};

struct fv_audit_leaf {
    flagver_bytes tenant;
    uint64_t leaf_no;
    int64_t time;
    flagver_bytes actor;
    uint8_t action;
    flagver_bytes phase, subject;
    uint32_t no;
    uint8_t from, to;
    uint32_t bits;
    int64_t rev;
    uint32_t parent_no, base_no, reverts_no, supersedes;
    uint8_t content_hash[32], decisions_hash[32], note_hash[32];
    flagver_bytes policy;
    uint32_t policy_no;
    flagver_bytes rule, idempotency_key;
};

/* "create" and so on; NULL for a number that is none. */
const char *fv_action_name(int action);

/* Appends the encoding; texts beyond 65535 bytes make out->failed. */
void fv_leaf_encode(const struct fv_audit_leaf *leaf, struct fv_text *out);

/* False when the bytes are no leaf of this form. The texts point into `data`. */
bool fv_leaf_decode(const void *data, size_t length, struct fv_audit_leaf *ret_leaf);

/* Only whose leaf it is, and its number. False when it does not even say that. */
bool fv_leaf_peek(const void *data, size_t length, flagver_bytes *ret_tenant,
                  uint64_t *ret_leaf_no);

/* Was something said with it; and does the version keep that as its note? */
bool fv_leaf_has_note(const struct fv_audit_leaf *leaf);
bool fv_leaf_keeps_note(const struct fv_audit_leaf *leaf);

#endif
