/*
 * Is an export sound? It is read line by line, and each line is held against those
 * before it: order, numbers without a gap, states that fit each other and their
 * series, contents that have the hashes they claim, keys that are there, a log that is
 * dense, ids that stand for one thing, and at the end the checksum. What passes can be
 * brought into a store.
 *
 * What is encrypted has its hash from before, and what was shredded had it: of these it is
 * believed. A version's hash can be checked only when all its items are known: an error about
 * that comes with a later line, and names the version's.
 *
 * Memory: one line, and 17 bytes and some for every id and mapping in the file.
 */
#ifndef FV_ENGINE_EXAMINE_H
#define FV_ENGINE_EXAMINE_H

#include "codec/transfer.h"

struct fv_examiner;

/* FLAGVER_ENOMEM. */
int fv_examiner_new(struct fv_examiner **ret_examiner, flagver_error *err);
void fv_examiner_free(struct fv_examiner *examiner); /* NULL is fine */

/*
 * The next line, without its end.
 *
 * @param ret_line  what it says, borrowed until the next call
 * @return 0, FLAGVER_EPARSE, FLAGVER_ENOMEM
 */
int fv_examiner_line(struct fv_examiner *examiner, const struct fv_transfer_place *place,
                     const char *text, size_t length, const struct fv_transfer **ret_line,
                     flagver_error *err);

/* There are no more lines. FLAGVER_EPARSE: there should be one at `place`. */
int fv_examiner_end(const struct fv_examiner *examiner, const struct fv_transfer_place *place,
                    flagver_error *err);

#endif
