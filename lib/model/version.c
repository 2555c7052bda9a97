#include "model/version.h"

#define STATES 8

enum {
    NONE = 0,
    DRAFT = FLAGVER_STATE_DRAFT,
    SUBMITTED,
    APPROVED,
    SUPERSEDED,
    REJECTED,
    WITHDRAWN,
    RECORDED
};

#define FROZEN FLAGVER_EFROZEN
#define STATE FLAGVER_ESTATE
#define PHASE FLAGVER_EPHASE

/* Rows: actions. Columns: none, draft, submitted, approved, superseded, rejected, withdrawn, recorded. */
static const int8_t transitions[][STATES] = {
    [FV_ACTION_CREATE] = { DRAFT, STATE, STATE, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_EDIT] = { STATE, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [FV_ACTION_REBASE] = { STATE, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [FV_ACTION_SUBMIT] = { STATE, SUBMITTED, STATE, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_RETURN] = { STATE, STATE, DRAFT, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_DECIDE] = { STATE, STATE, SUBMITTED, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [FV_ACTION_APPROVE] = { STATE, STATE, APPROVED, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_REJECT] = { STATE, STATE, REJECTED, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_WITHDRAW] = { STATE, WITHDRAWN, WITHDRAWN, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_RECORD] = { RECORDED, STATE, STATE, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_REVIEW] = { STATE, STATE, STATE, APPROVED, SUPERSEDED, STATE, STATE, PHASE },
    [FV_ACTION_SHRED] = { STATE, STATE, STATE, APPROVED, SUPERSEDED, REJECTED, WITHDRAWN,
                          RECORDED },
    /* what an earlier version is good for, not what becomes of it */
    [FV_ACTION_REVERT] = { STATE, STATE, STATE, APPROVED, SUPERSEDED, REJECTED, WITHDRAWN, PHASE },
};

static bool comes_into_force(enum fv_action action, const struct fv_version_facts *facts)
{
    switch (action) {
    case FV_ACTION_SUBMIT:
        return facts->approvals == 0 || facts->emergency;
    case FV_ACTION_APPROVE:
        return facts->votes >= facts->approvals;
    default:
        return false;
    }
}

/* An older number never takes the place of a newer one, whatever the policy allows. */
static bool is_stale(const struct fv_version_facts *facts)
{
    return facts->no <= facts->current_no ||
           (!facts->allow_stale && facts->base_no != facts->current_no);
}

/* Rebasing what is older than what is in force would change nothing about that. */
static int judge_draft(enum fv_action action, const struct fv_version_facts *facts)
{
    return action == FV_ACTION_REBASE && facts->no <= facts->current_no ? FLAGVER_ESTALE : DRAFT;
}

/* Those who decide about a version look at it as it is, and not at their own. */
static int judge_review(enum fv_action action, const struct fv_version_facts *facts)
{
    bool decides = action != FV_ACTION_REJECT;

    if (facts->has_voted && (action == FV_ACTION_APPROVE || action == FV_ACTION_REVIEW))
        return FLAGVER_EEXIST;
    if (decides && facts->is_author && !facts->allow_self)
        return FLAGVER_ESELF;
    return facts->changed ? FLAGVER_ECHANGED : 0;
}

static int judge_submitted(enum fv_action action, const struct fv_version_facts *facts)
{
    if (action == FV_ACTION_APPROVE && is_stale(facts))
        return FLAGVER_ESTALE; /* even the first of several votes would be in vain */
    if (!comes_into_force(action, facts))
        return SUBMITTED;
    if (is_stale(facts))
        return FLAGVER_ESTALE;
    return facts->undecided ? FLAGVER_EINCOMPLETE : APPROVED;
}

int fv_version_judge(enum fv_action action, const struct fv_version_facts *facts)
{
    int next = transitions[action][facts->state], r = 0;

    if (facts->denied)
        return FLAGVER_EDENIED;
    if (action != FV_ACTION_SHRED && facts->audit_only != (action == FV_ACTION_RECORD))
        return FLAGVER_EPHASE;
    if (next == PHASE)
        return FLAGVER_EPHASE;
    if (facts->conflict)
        return FLAGVER_ECONFLICT;
    if (next < 0)
        return next;

    switch (action) {
    case FV_ACTION_EDIT:
    case FV_ACTION_REBASE:
        return judge_draft(action, facts);
    case FV_ACTION_REVIEW:
        if (!facts->emergency)
            return FLAGVER_ESTATE;
        r = judge_review(action, facts);
        return r < 0 ? r : next;
    case FV_ACTION_DECIDE:
    case FV_ACTION_REJECT:
        r = judge_review(action, facts);
        return r < 0 ? r : next;
    case FV_ACTION_APPROVE:
        r = judge_review(action, facts);
        return r < 0 ? r : judge_submitted(action, facts);
    case FV_ACTION_SUBMIT:
        return judge_submitted(action, facts);
    default:
        return next;
    }
}

const char *fv_state_name(int state)
{
    static const char *const names[STATES] = {
        [DRAFT] = "draft",           [SUBMITTED] = "submitted", [APPROVED] = "approved",
        [SUPERSEDED] = "superseded", [REJECTED] = "rejected",   [WITHDRAWN] = "withdrawn",
        [RECORDED] = "recorded",
    };

    return state > NONE && state < STATES ? names[state] : NULL;
}
