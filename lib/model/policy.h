/*
 * Policies: what a phase asks for, and its rules about who may do what. Plain data, immutable
 * once made; codec/policy.h reads them from records.
 */
#ifndef FV_MODEL_POLICY_H
#define FV_MODEL_POLICY_H

#include "model/leaf.h"

/* What the payloads of a phase are. */
enum fv_form {
    FV_FORM_JSON, /* anything; perhaps with a schema */
    FV_FORM_FLAG,
    FV_FORM_SEGMENT,
    FV_FORM_POLICY,
    FV_FORM_ASSIGNMENT,
    FV_FORM_MIGRATION
};
#define FV_FORMS (FV_FORM_MIGRATION + 1)

enum fv_permit_kind {
    FV_PERMIT_NOBODY, /* zero: what is not said is not allowed */
    FV_PERMIT_ANYONE,
    FV_PERMIT_ROLE_IN,  /* the actor has one of `names` as a role */
    FV_PERMIT_ASSIGNED, /* names[0] is a role that was assigned to the actor for this subject */
    FV_PERMIT_ANY,
    FV_PERMIT_ALL
};

#define FV_PERMIT_DEPTH_LIMIT 16

struct fv_permit {
    enum fv_permit_kind kind;
    const char *const *names;
    size_t name_count;
    const struct fv_permit *rules; /* of any and all */
    size_t rule_count;
};

struct fv_schema; /* codec/schema.h */

struct fv_policy {
    const char *subject; /* of the record it is from: "phase" or "phase/prefix"; "": built-in */
    uint32_t no;         /* its version; 0: built-in */
    enum fv_form form;
    bool audit_only;
    uint32_t approvals; /* 0: submitting approves */
    bool allow_self, allow_stale, items_complete, encrypt;
    uint64_t max_bytes; /* of a payload; 0: FLAGVER_PAYLOAD_LIMIT */
    struct fv_permit write, approve, shred, emergency;
    const struct fv_schema *schema; /* or NULL */
};

/* Who asks. `assigned` says whether the actor holds the role: 1, 0, or an error. */
struct fv_asker {
    const char *const *roles;
    size_t role_count;
    int (*assigned)(void *data, const char *role, flagver_error *err);
    void *data;
};

/*
 * Does the rule hold? 1, 0, or an error of `assigned`, which is asked only when it matters.
 * *ret_part is then the part of the rule that did: one of the kinds that are no list of
 * rules, or an ALL. *ret_name is the role of ROLE_IN and ASSIGNED, else NULL.
 */
int fv_permit_holds(const struct fv_permit *rule, const struct fv_asker *asker,
                    const struct fv_permit **ret_part, const char **ret_name, flagver_error *err);

/* "anyone", "role_in:Tester", "assigned:report_owner", "all": as leaves say it. */
void fv_permit_words(const struct fv_permit *part, const char *name, struct fv_text *out);

/* Which of a phase's rules an action asks. */
const struct fv_permit *fv_policy_permit(const struct fv_policy *policy, enum fv_action action);

/*
 * Does an assignment for `pattern` reach `subject`? Both are parts between '/'; "*" in the pattern
 * is any one part, and only a whole part.
 */
bool fv_assignment_reaches(const char *pattern, const char *subject);

#define FV_ASSIGNMENT_PARTS 8
#define FV_ROLE_LIMIT 64

#endif
