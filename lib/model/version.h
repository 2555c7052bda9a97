/*
 * The life of a version: which action leads from which state to which. The table
 * is the whole truth; the store's schema repeats it.
 */
#ifndef FV_MODEL_VERSION_H
#define FV_MODEL_VERSION_H

#include "model/leaf.h"

/*
 * What becomes of a version in `state` by `action`.
 *
 * @param approvals  how many the policy asks for: with 0, submitting approves
 * @return the new state, or
 *   FLAGVER_EFROZEN  it cannot be edited any more
 *   FLAGVER_ESTATE   not from this state
 *   FLAGVER_EPHASE   it was recorded: no action applies
 */
int fv_version_next(enum fv_action action, int state, uint32_t approvals);

/* "draft" and so on; NULL for a number that is no state. */
const char *fv_state_name(int state);

#endif
