/*
 * All rows of a tenant's records in one state of the store, in the order of an export: each series
 * with its versions, and behind each version its contributors, items and votes. Payloads are as
 * they are stored, sealed or not. However many records there are, a store is asked a few questions
 * only; it has to be read further for what has not come yet.
 */
#ifndef FV_ENGINE_ROWS_H
#define FV_ENGINE_ROWS_H

#include "codec/transfer.h"
#include "store/store.h"

/*
 * take   a row. The line's texts are borrowed for the call, and it may have more than is written:
 *        phase and subject of a version, for instance.
 * stray  a row is of something that is not there: a line of words about it
 *
 * Both return 0 to go on, or an error, which ends it.
 */
struct fv_rows_visitor {
    int (*take)(void *data, const struct fv_transfer *line, flagver_error *err);
    int (*stray)(void *data, const char *words, flagver_error *err);
    void *data;
};

int fv_rows_walk(const struct fv_read *read, const struct fv_rows_visitor *visitor,
                 flagver_error *err);

#endif
