/*
 * The id map: two keyed rows for each mapping, so that the store holds that both ids are unique.
 *
 *     space      key                  value
 *     idmap.old  entity 0x1f old id   new id
 *     idmap.new  entity 0x1f new id   old id
 *
 * The rev of a row is a digest of its value: whoever deletes a row, expecting the rev, deletes the
 * mapping that was read. Rows are written with both ids' rows absent, and never changed.
 */
#ifndef FV_ENGINE_IDMAP_H
#define FV_ENGINE_IDMAP_H

#include "engine/history.h"
#include "flagver/idmap.h"
#include "store/transaction.h"

/* What an id is looked up by. */
enum fv_idmap_side { FV_IDMAP_OLD, FV_IDMAP_NEW };

#define FV_IDMAP_KEY_SIZE (FLAGVER_IDMAP_ENTITY_LIMIT + 1 + FLAGVER_IDMAP_ID_LIMIT + 1)

/* The space that the rows of a side are in. */
flagver_bytes fv_idmap_space(enum fv_idmap_side side);

/* FLAGVER_EINVAL, in words that name what is wrong. */
int fv_idmap_check_entity(const char *entity, flagver_error *err);
int fv_idmap_check_id(enum fv_idmap_side side, const char *id, flagver_error *err);
int fv_idmap_check(const flagver_idmap_entry *entry, flagver_error *err);

/* ---- in a transaction; everything is checked by the caller ---- */

/* As flagver_idmap_put_many(). */
int fv_idmap_put(flagver_txn *txn, const flagver_idmap_entry *entries, size_t count,
                 size_t *ret_refused, flagver_error *err);

/* As flagver_idmap_new(), flagver_idmap_remove(), flagver_idmap_get_in(). */
int fv_idmap_new(flagver_txn *txn, const flagver_idmap_entry *entry, char *ret_id,
                 flagver_error *err);
int fv_idmap_remove(flagver_txn *txn, const char *entity, const char *old_id, flagver_error *err);
int fv_idmap_find(flagver_txn *txn, enum fv_idmap_side side, const char *entity, const char *id,
                  char *ret_id, flagver_error *err);

/* ---- without one ---- */

int fv_idmap_get(const struct fv_tenancy *tenancy, enum fv_idmap_side side, const char *entity,
                 const char *id, char *ret_id, flagver_error *err);

/* As flagver_idmap_visit(). */
int fv_idmap_visit(const struct fv_tenancy *tenancy, const char *entity, const char *after,
                   bool (*visit)(void *data, const flagver_idmap_entry *entry), void *data,
                   flagver_error *err);

/* ---- for copies of whole stores ---- */

/* A row, with texts of its own. */
struct fv_idmap_text {
    char entity[FLAGVER_IDMAP_ENTITY_LIMIT + 1];
    char id[FLAGVER_IDMAP_ID_SIZE], other[FLAGVER_IDMAP_ID_SIZE];
};

/* What a row of either side says; FLAGVER_ECORRUPT: it is malformed. */
int fv_idmap_read(const flagver_keyed_row *row, struct fv_idmap_text *ret_text, flagver_error *err);

/* One of a mapping's two rows, of the tenant; what it points to is in the arena. FLAGVER_ENOMEM. */
int fv_idmap_row(struct fv_arena *arena, struct fv_digest *digest, enum fv_idmap_side side,
                 const char *tenant, const flagver_idmap_entry *entry, flagver_keyed_row **ret_row,
                 flagver_error *err);

/* Has the tenant any mapping? 1, 0, or an error. */
int fv_idmap_is_there(struct fv_read *read, flagver_error *err);

#endif
