/*
 * Policies and assignments inside of other documents. Only for lib/codec.
 */
#ifndef FV_CODEC_POLICY_TREE_H
#define FV_CODEC_POLICY_TREE_H

#include "codec/policy.h"
#include "codec/reading.h"

/* As fv_policy_read(), of a policy that stands at `place`. */
int fv_policy_read_tree(const struct fv_reading *reading, const struct fv_place *place,
                        const json_t *value, struct fv_arena *arena, struct fv_policy *ret_policy);

/*
 * The sections "phases", {SUBJECT: POLICY}, and "assignments", {ROLE/SUBJECT: ASSIGNMENT}, of a
 * definitions file. NULL: the file has none. With `merge` a null takes one away.
 */
int fv_phases_check(const struct fv_reading *reading, const json_t *value, bool merge);
int fv_assignments_check(const struct fv_reading *reading, const json_t *value, bool merge);

/* What both are: an object, of which each member is checked, but for nulls in a merge. */
int fv_members_check(const struct fv_reading *reading, const char *section, const json_t *value,
                     bool merge,
                     int (*check)(const struct fv_reading *reading, const struct fv_place *place,
                                  const char *subject, const json_t *value));

#endif
