/*
 * Which policy is in force for a record, and whether it lets somebody do something.
 *
 * Policies are read from the store once and kept, compiled, with the client. A row that is
 * raised with every change of a policy says whether they are still the latest; a transaction asks
 * for it once, and rests on it.
 */
#ifndef FV_ENGINE_POLICIES_H
#define FV_ENGINE_POLICIES_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/history.h"
#include "model/policy.h"
#include "store/transaction.h"

/* All policies of a tenant at one moment; immutable, counted. */
struct fv_policies;

/* The last ones that were read, of one client. */
struct fv_policy_cache {
    pthread_mutex_t lock;
    struct fv_policies *policies; /* or NULL */
};

/* The lock of a cache that is otherwise zeroed; and again in a child process. */
void fv_policy_cache_init_lock(struct fv_policy_cache *cache);
void fv_policy_cache_clear(struct fv_policy_cache *cache);

/* Are the records of this phase policies, flags …? */
enum fv_form fv_form_of(const char *phase);

/* What the library itself says about a form. */
const struct fv_policy *fv_policy_built_in(enum fv_form form);

/*
 * The policy for records of a subject. For policies themselves it is one that asks for the approval
 * that the policy they would change asks for.
 *
 * @param ret_policy  lives as long as the transaction
 * @return 0, FLAGVER_ENOTFOUND (the phase has none), FLAGVER_ECORRUPT, or an error of the store
 */
int fv_policies_find(flagver_txn *txn, const char *phase, const char *subject,
                     const struct fv_policy **ret_policy, flagver_error *err);

/* Outside of transactions: all of them, to be released, and one of them. */
int fv_policies_read(struct fv_read *read, struct fv_policies **ret_policies, flagver_error *err);
void fv_policies_release(struct fv_policies *policies); /* NULL is fine */
int fv_policies_of(struct fv_policies *policies, const char *phase, const char *subject,
                   struct fv_policy *ret_policy, flagver_error *err);

/* The phase of one that asks for encryption; NULL: none does. */
const char *fv_policies_encrypted(const struct fv_policies *policies);

/* A policy, or an assignment, has come into force in this transaction. */
int fv_policies_changed(flagver_txn *txn, enum fv_form form, flagver_error *err);

/*
 * The row that says so, as a store has it whose policies (FV_FORM_POLICY) or assignments were brought in
 * and changed last at `time`: clients that have seen it empty look again.
 */
void fv_policies_row(enum fv_form form, int64_t time, flagver_keyed_row *ret_row);

/* ---- who may ---- */

struct fv_claim {
    const char *phase, *subject;
    enum fv_action action;
    const struct fv_permit *rule;
};

/*
 * May the transaction's actor do this? 1, 0, or an error of the store.
 *
 * @param ret_rule  what allowed it, as leaves say it; lives as long as the transaction. "host" also
 *   where the host denies it.
 */
int fv_policies_allow(flagver_txn *txn, const struct fv_claim *claim, const char **ret_rule,
                      flagver_error *err);

/* The same outside of transactions, in a read of its own; the host is not asked. */
int fv_policies_allow_reader(struct fv_read *read, const flagver_actor *actor,
                             const struct fv_claim *claim, flagver_error *err);

#endif
