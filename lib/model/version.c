#include "model/version.h"

#define STATES 8

enum {
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
    [FV_ACTION_EDIT] = { STATE, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE },
    [FV_ACTION_SUBMIT] = { STATE, SUBMITTED, STATE, STATE, STATE, STATE, STATE, PHASE },
    [FV_ACTION_WITHDRAW] = { STATE, WITHDRAWN, WITHDRAWN, STATE, STATE, STATE, STATE, PHASE },
};

int fv_version_next(enum fv_action action, int state, uint32_t approvals)
{
    int next = transitions[action][state];

    return action == FV_ACTION_SUBMIT && next == SUBMITTED && approvals == 0 ? APPROVED : next;
}

const char *fv_state_name(int state)
{
    static const char *const names[STATES] = {
        [DRAFT] = "draft",           [SUBMITTED] = "submitted", [APPROVED] = "approved",
        [SUPERSEDED] = "superseded", [REJECTED] = "rejected",   [WITHDRAWN] = "withdrawn",
        [RECORDED] = "recorded",
    };

    return state > 0 && state < STATES ? names[state] : NULL;
}
