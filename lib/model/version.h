/*
 * The life of a version: which action leads from which state to which, and what
 * stands in its way. The table is the whole truth; the store's schema repeats it,
 * docs/versions.md is checked against it, and verifying a log carries it out again.
 */
#ifndef FV_MODEL_VERSION_H
#define FV_MODEL_VERSION_H

#include "model/leaf.h"

/*
 * What there is to know about an action before it is done. What an action does not ask
 * for may be left zero.
 */
struct fv_version_facts {
    int state;       /* of the version; 0: there is none yet */
    bool denied;     /* the policy does not allow it to this actor */
    bool audit_only; /* the phase only records */
    bool conflict;   /* what is in force is not what the caller expected */
    bool emergency;  /* it comes into force, or did, by the emergency rule */
    bool is_author;  /* the actor has created or edited the version */
    bool allow_self; /* the policy lets authors approve */
    bool has_voted;  /* the actor has approved this content already */
    bool changed;    /* the content is not what the caller has seen */
    uint32_t no, base_no, current_no;
    bool allow_stale;   /* the policy lets it come into force though the base is outdated */
    bool undecided;     /* items are PENDING, and the policy asks for decisions */
    uint32_t votes;     /* approvals of this content, this one included */
    uint32_t approvals; /* how many the policy asks for; with 0, submitting approves */
};

/*
 * What becomes of the version: the new state, or the first thing in the way, in this order:
 *
 *   FLAGVER_EDENIED      denied
 *   FLAGVER_EPHASE       the phase, or the version, does not know this action
 *   FLAGVER_ECONFLICT    conflict
 *   FLAGVER_EFROZEN      it cannot be edited any more
 *   FLAGVER_ESTATE       not from this state
 *   FLAGVER_EEXIST       has_voted
 *   FLAGVER_ESELF        is_author without allow_self
 *   FLAGVER_ECHANGED     changed
 *   FLAGVER_ESTALE       it would come into force over a version that it was not made from
 *   FLAGVER_EINCOMPLETE  undecided
 */
int fv_version_judge(enum fv_action action, const struct fv_version_facts *facts);

/* "draft" and so on; NULL for a number that is no state. */
const char *fv_state_name(int state);

#endif
