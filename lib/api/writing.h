/*
 * The frame of every public operation in a transaction: its arguments are checked,
 * the transaction is entered, what was done before under its idempotency key is
 * not done again, and what came of it is recorded.
 */
#ifndef FV_API_WRITING_H
#define FV_API_WRITING_H

#include "engine/records.h"

#define FV_WORDS_LIMIT 16

struct fv_writing {
    flagver_txn *txn;
    struct fv_target target;
    struct fv_words words[FV_WORDS_LIMIT]; /* what the operation is asked to do */
    size_t word_count;
    uint32_t no; /* what came of it */
    bool replayed;
};

/*
 * Begin operation `name` on a record. More of what it is asked goes into
 * fv_writing_add(), then fv_writing_enter().
 */
int fv_writing_begin(struct fv_writing *writing, const char *name, flagver_txn *txn,
                     const char *phase, const char *subject, const flagver_write_options *options,
                     flagver_error *err);
void fv_writing_add(struct fv_writing *writing, const void *data, size_t length);

/* 0: to be done; 1: it was done before, `no` says what came of it; or an error. */
int fv_writing_enter(struct fv_writing *writing, flagver_error *err);

/* Ends it; `version` is what came of it where it was done now. Returns 0 or the error. */
int fv_writing_leave(struct fv_writing *writing, int r, const struct fv_staged *version,
                     const flagver_error *err);

#endif
