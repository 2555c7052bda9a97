/*
 * Policies and assignments as records hold them. A policy:
 *
 *     {"versioning": "full" | "audit_only",
 *      "approval": {"required": true, "rule": RULE, "min": 1, "allow_self": false,
 *                   "stale": "reject" | "allow", "items_complete": false},
 *      "write": RULE, "shred": RULE, "emergency": RULE,
 *      "schema": JSON SCHEMA, "encrypt": false, "max_bytes": N,
 *      "name": "…", "description": "…"}
 *
 * RULE: "anyone" | "nobody" | {"role_in": [ROLE, …]} | {"assigned": ROLE} | {"any" | "all": [RULE, …]}.
 * An assignment: {"users": [USER, …]}, not empty; its subject is ROLE/SUBJECT.
 */
#ifndef FV_CODEC_POLICY_H
#define FV_CODEC_POLICY_H

#include "model/policy.h"
#include "util/memory.h"
#include "util/text.h"

/*
 * Read a policy; all but `subject`, `no` and `form` is set, with defaults where it says nothing:
 * "full", write "anyone", approval required, by "nobody", by one, and so on.
 *
 * @param arena  what the policy points to lives in it, but for the schema: fv_policy_clear()
 * @return 0, FLAGVER_EPARSE with line and column, FLAGVER_ENOMEM
 */
int fv_policy_read(const char *json, size_t length, struct fv_arena *arena,
                   struct fv_policy *ret_policy, flagver_error *err);
void fv_policy_clear(struct fv_policy *policy);

/*
 * May a record of this subject hold this policy? FLAGVER_EPARSE: not a phase's name, or something that the
 * library's own phases cannot have (an audit alone, encryption, a schema).
 */
int fv_policy_check_subject(const char *subject, const struct fv_policy *policy,
                            flagver_error *err);

/*
 * A policy with all defaults filled in and, beside its members, "policy": policy->subject and
 * "version": policy->no. `json` is the record it was read from; NULL: it is built-in.
 */
int fv_policy_describe(const struct fv_policy *policy, const char *json, size_t length,
                       struct fv_text *out, flagver_error *err);

/* Is the assignment well-formed, and for a role and a subject that there can be? */
int fv_assignment_check(const char *subject, const char *json, size_t length, flagver_error *err);

/* Does it name the user? 1, 0, or FLAGVER_ECORRUPT, FLAGVER_ENOMEM. */
int fv_assignment_names(const char *json, size_t length, const char *user, flagver_error *err);

/* With the user added, or taken out. `json` NULL: there is none yet. Nobody left: out is empty. */
int fv_assignment_edit(const char *json, size_t length, const char *user, bool add,
                       struct fv_text *out, flagver_error *err);

#endif
