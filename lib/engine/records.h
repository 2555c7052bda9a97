/*
 * The record engine: versions are made and moved on by the rules of their phase.
 * Everything happens inside a transaction, between fv_txn_enter() and
 * fv_txn_leave(); what is refused is refused before anything is staged.
 */
#ifndef FV_ENGINE_RECORDS_H
#define FV_ENGINE_RECORDS_H

#include "flagver/version.h"
#include "model/policy.h"
#include "store/transaction.h"
#include "util/text.h"

/*
 * Which record an operation is about, and how. fv_record_target() checks what can be
 * checked without the store; fv_record_resolve() finds the policy, in the transaction.
 */
struct fv_target {
    const char *phase, *subject;
    enum fv_form form;
    const struct fv_policy *policy;
    const char *note;   /* or NULL */
    uint32_t expect_no; /* as in flagver_write_options, like what follows */
    uint32_t flags;
    const uint8_t *content_hash;
    uint32_t parent_no, baseline_no;
};

int fv_record_target(const char *phase, const char *subject, const flagver_write_options *options,
                     struct fv_target *ret_target, flagver_error *err);
int fv_record_options(const flagver_write_options *options, flagver_write_options *ret_options,
                      flagver_error *err);

/* FLAGVER_ENOTFOUND: the phase has no policy. */
int fv_record_resolve(flagver_txn *txn, struct fv_target *target, flagver_error *err);

/* What a new version is to hold; canonical, lives as long as the transaction. */
struct fv_content {
    flagver_bytes payload, salt; /* salt: of what is to be encrypted */
    uint32_t reverts_no;
    uint32_t bits;
};

/*
 * Checks a text that somebody wants to write and brings it into canonical form, in
 * the transaction's arena. A definition is also checked with what it refers to.
 */
int fv_record_content(flagver_txn *txn, const struct fv_target *target, const char *json,
                      size_t length, struct fv_content *ret_content, flagver_error *err);

/* The same for a definition that was checked already together with others. */
int fv_record_checked(flagver_txn *txn, const struct fv_target *target, const char *canonical,
                      size_t length, struct fv_content *ret_content, flagver_error *err);

/* The same for a part of a content, an item: any JSON. */
int fv_record_part(flagver_txn *txn, const struct fv_target *target, const char *json,
                   size_t length, struct fv_content *ret_content, flagver_error *err);

/* Is there anything in the way, but for the content? All operations ask by themselves. */
int fv_record_may(flagver_txn *txn, const struct fv_target *target, enum fv_action action,
                  uint32_t no, flagver_error *err);
int fv_record_may_put(flagver_txn *txn, const struct fv_target *target, flagver_error *err);

int fv_record_create(flagver_txn *txn, const struct fv_target *target,
                     const struct fv_content *content, struct fv_staged **ret_version,
                     flagver_error *err);
int fv_record_edit(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                   const struct fv_content *content, struct fv_staged **ret_version,
                   flagver_error *err);
int fv_record_rebase(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err);
int fv_record_submit(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err);
int fv_record_return(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err);
int fv_record_approve(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                      struct fv_staged **ret_version, flagver_error *err);
int fv_record_reject(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err);
int fv_record_review(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err);
int fv_record_withdraw(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                       struct fv_staged **ret_version, flagver_error *err);
int fv_record_record(flagver_txn *txn, const struct fv_target *target,
                     const struct fv_content *content, struct fv_staged **ret_version,
                     flagver_error *err);

/* Create and submit. */
int fv_record_put(flagver_txn *txn, const struct fv_target *target,
                  const struct fv_content *content, struct fv_staged **ret_version,
                  flagver_error *err);
int fv_record_remove(flagver_txn *txn, const struct fv_target *target,
                     struct fv_staged **ret_version, flagver_error *err);

/* A draft of what version `no` said; `submit`, or where no approval is asked for: it is submitted, too. */
int fv_record_revert(flagver_txn *txn, const struct fv_target *target, uint32_t no, bool submit,
                     struct fv_staged **ret_version, flagver_error *err);

/* The version in force, with its payload; FLAGVER_ENOTFOUND also for a tombstone. */
int fv_record_current(flagver_txn *txn, const struct fv_target *target,
                      struct fv_staged **ret_version, flagver_error *err);

/* A version of the series as it is in this transaction, with its payload. */
int fv_record_get(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                  struct fv_staged **ret_version, flagver_error *err);

#endif
