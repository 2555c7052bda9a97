/*
 * Items: the parts of a version that are decided one by one.
 */
#ifndef FV_ENGINE_ITEMS_H
#define FV_ENGINE_ITEMS_H

#include "engine/records.h"

/*
 * The hash of a content: salt, payload, and the items that the version has now. `version` NULL: there
 * are none.
 */
int fv_items_hash(flagver_txn *txn, const struct fv_staged *version, flagver_bytes salt,
                  flagver_bytes payload, uint8_t out[32], flagver_error *err);

/*
 * The hash of what was decided about the version's items; zeros: nothing yet. In order of keys,
 * of each that is not PENDING: length of the key (4 bytes, big-endian), key, status (1), origin_no
 * (4), decided_at (8), length of decided_by (4), decided_by, length of the note (4), note.
 */
int fv_items_decisions(flagver_txn *txn, const struct fv_staged *version, uint8_t out[32],
                       flagver_error *err);

/* What one item adds to either; false: nothing, as it is not decided. */
void fv_item_add_to_content(struct fv_digest *digest, const flagver_item_row *item);
bool fv_item_add_to_decisions(struct fv_digest *digest, const flagver_item_row *item);

/* The first item that is PENDING, as long as the transaction; NULL: none. */
int fv_items_undecided(flagver_txn *txn, const struct fv_staged *version, const char **ret_key,
                       flagver_error *err);

/* What is carried forward to a new version: approved items, with their decisions. */
struct fv_carried {
    flagver_item_row **rows; /* live as long as the transaction, opened */
    size_t count;
};

/* Those of another version of the series. What cannot be opened turns out here: nothing is staged. */
int fv_items_find_carried(flagver_txn *txn, struct fv_series *series, uint32_t baseline_no,
                          struct fv_carried *ret_carried, flagver_error *err);
int fv_items_carry(flagver_txn *txn, const struct fv_carried *carried, struct fv_staged *version,
                   flagver_error *err);

/* ---- operations; as those of engine/records.h ---- */

struct fv_items_asked {
    uint32_t no;
    const flagver_item_content *items; /* put */
    const char *const *keys;           /* remove, decide */
    size_t count;
    int32_t status; /* decide */
};

int fv_items_put(flagver_txn *txn, const struct fv_target *target,
                 const struct fv_items_asked *asked, struct fv_staged **ret_version,
                 flagver_error *err);
int fv_items_remove(flagver_txn *txn, const struct fv_target *target,
                    const struct fv_items_asked *asked, struct fv_staged **ret_version,
                    flagver_error *err);
int fv_items_decide(flagver_txn *txn, const struct fv_target *target,
                    const struct fv_items_asked *asked, struct fv_staged **ret_version,
                    flagver_error *err);

#endif
