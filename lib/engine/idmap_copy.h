/*
 * The id map on its way from one store to another. It is in no log: what is missing is found by
 * holding the two maps against each other, in the order of their rows.
 */
#ifndef FV_ENGINE_IDMAP_COPY_H
#define FV_ENGINE_IDMAP_COPY_H

#include "engine/portion.h"

/*
 * Make the target's map what the source's is in this state: about 1000 mappings are one transaction
 * of the target.
 *
 * @return 0, FLAGVER_EBUSY: somebody else writes to it; or an error of either store
 */
int fv_idmap_carry(const struct fv_passage *passage, struct fv_read *source, flagver_error *err);

/* Has the target only what the source has, too? FLAGVER_EEXIST names what it has beside that. */
int fv_idmap_check_own(const struct fv_passage *passage, struct fv_read *source,
                       struct fv_read *target, flagver_error *err);

/* Are the rows of both the same? FLAGVER_ECONFLICT names the first that is not. */
int fv_idmap_compare(struct fv_read *source, struct fv_read *target, flagver_error *err);

#endif
