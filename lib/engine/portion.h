/*
 * A log on its way from one store to another, a portion at a time. A portion is some leaves in
 * their order, with the rows that they stand for (engine/mover.h), the tree over them and the keys
 * that payloads are sealed with, all in one transaction. What is left of the way is known from the
 * target alone: its log is the beginning of the source's.
 */
#ifndef FV_ENGINE_PORTION_H
#define FV_ENGINE_PORTION_H

#include "store/store.h"
#include "util/memory.h"

/* One tenant's way. */
struct fv_passage {
    struct fv_store *from, *to;
    const char *tenant;
    uint32_t limit; /* leaves in a portion, about */
    uint64_t size;  /* leaves in the target */
};

/*
 * How far it has come: finds `size`.
 *
 * @return 0, or
 *   FLAGVER_EEXIST     the target's tenant has something, and no log; or ids that the source has not
 *   FLAGVER_ECONFLICT  its log is not the beginning of the source's; the message names the leaf
 *   an error of either store
 */
int fv_passage_look(struct fv_passage *passage, flagver_error *err);

/* The number of leaves in this state of a store. */
int fv_passage_size(struct fv_read *read, uint64_t *ret_size, flagver_error *err);

/*
 * Carries the next portion over; there is one, as the source has `size` leaves. Transactions of the
 * source are not cut in two as far as that can be told, so that it may be more than the limit.
 *
 * @return 0, or
 *   FLAGVER_EBUSY, FLAGVER_ECONFLICT  the target is not as it was: look again
 *   FLAGVER_ECORRUPT                  log and rows of the source contradict each other
 *   an error of either store; nothing has happened then, but after FLAGVER_EUNKNOWN
 */
int fv_passage_carry(struct fv_passage *passage, struct fv_read *source, uint64_t size,
                     flagver_error *err);

/*
 * Is everything that the source has in this state in the target, and nothing else? Logs, roots, all
 * rows, keys and mapped ids are held against each other; with `logs_only` no rows.
 *
 * @param ret_root  of both logs
 * @return 0, FLAGVER_ECONFLICT: they differ, and where; or an error of either store
 */
int fv_passage_compare(const struct fv_passage *passage, struct fv_read *source, bool logs_only,
                       uint8_t ret_root[FV_DIGEST_SIZE], flagver_error *err);

/* ---- for the files of it ---- */

/* Data keys of a tenant, as they are stored. */
struct fv_passage_keys {
    struct fv_arena arena;
    flagver_keyed_row *rows;
    size_t count, capacity;
};

/* To be cleared in any case. */
int fv_passage_keys_read(struct fv_read *read, struct fv_passage_keys *keys, flagver_error *err);
void fv_passage_keys_clear(struct fv_passage_keys *keys);

/* Is the target's key this one, or was it sealed again since? */
bool fv_passage_keys_have(const struct fv_passage_keys *target, const flagver_keyed_row *source);

#endif
