/*
 * The frame of every public operation on a record: its arguments are checked, the
 * transaction is entered, what was done before under its idempotency key is not
 * done again, and what came of it is recorded and handed out.
 */
#ifndef FV_API_WRITING_H
#define FV_API_WRITING_H

#include "engine/records.h"

struct fv_operation {
    const char *name;
    const char *phase, *subject;
    const flagver_write_options *options;
    int (*run)(flagver_txn *txn, const struct fv_target *target, const void *data,
               struct fv_staged **ret_version, flagver_error *err);
    const void *data;
    struct fv_words asked[2]; /* what `data` asks for, as bytes: another time it must be the same */
    uint32_t flags;           /* which of options.flags it knows */
};

/* `ret_version` and `ret_no` may be NULL. */
int fv_write(flagver_txn *txn, const struct fv_operation *operation, flagver_version **ret_version,
             uint32_t *ret_no, flagver_error *err);

/* The same; asked[0] is the content, which no row may help to guess when it is to be encrypted. */
int fv_write_content(flagver_txn *txn, const struct fv_operation *operation,
                     flagver_version **ret_version, flagver_error *err);

/* There was no memory for what the operation needs: that ends the transaction, as in the midst of it. */
int fv_write_without_memory(flagver_txn *txn, flagver_error *err);

/* Operations that take a text: checks it, then create, edit (number `no`) or put. */
struct fv_text_asked {
    const char *json;
    size_t length;
    uint32_t no;
};

int fv_write_create(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                    struct fv_staged **ret_version, flagver_error *err);
int fv_write_edit(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                  struct fv_staged **ret_version, flagver_error *err);
int fv_write_put(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                 struct fv_staged **ret_version, flagver_error *err);

int fv_write_record(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                    struct fv_staged **ret_version, flagver_error *err);
/* Operations of records and of flags. */
struct fv_revert_asked {
    uint32_t no;
    bool submit;
};

int fv_write_revert(flagver_txn *txn, const struct fv_target *target, const void *revert_asked,
                    struct fv_staged **ret_version, flagver_error *err);
int fv_write_remove(flagver_txn *txn, const struct fv_target *target, const void *unused,
                    struct fv_staged **ret_version, flagver_error *err);

#endif
