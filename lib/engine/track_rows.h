/*
 * Sums in the store: keyed rows of the space "track", one for each flag, variant, event and hour.
 *
 * Their keys are the hour (hexadecimal), the flag, and a digest of variant and event, whose names may be
 * too long for a key: they are in the value with the sum. So the hours of one flag, and all of an
 * hour, lie together. A row's time is the beginning of its hour.
 */
#ifndef FV_ENGINE_TRACK_ROWS_H
#define FV_ENGINE_TRACK_ROWS_H

#include "engine/history.h"
#include "engine/track_table.h"
#include "store/transaction.h"

#define FV_TRACK_SPACE "track"
#define FV_HOUR_US (INT64_C(3600) * 1000000)

/* The hour of a time in µs; those before 1970 are the first one. */
uint32_t fv_track_hour(int64_t time);

/* Adds a list of sums to what the store has, in an operation of a transaction. */
int fv_track_rows_add(flagver_txn *txn, const struct fv_track_entry *list, size_t count,
                      flagver_error *err);

/* Deletes some that are of earlier hours. 1: there are more of them. */
int fv_track_rows_expire(flagver_txn *txn, uint32_t hour, flagver_error *err);

struct fv_track_span {
    const char *flag;  /* NULL: all */
    uint32_t from, to; /* hours, `to` is not among them */
};

/* Visits rows in order of their keys, from one state of the store; an error of `visit` ends it. */
int fv_track_rows_visit(const struct fv_tenancy *tenancy, const struct fv_track_span *span,
                        int (*visit)(void *data, const struct fv_track_name *name,
                                     const struct fv_sum *sum, flagver_error *err),
                        void *data, flagver_error *err);

#endif
