/*
 * The columns of rows, in the order in which statements number their parameters. Parameter 1 is
 * always the tenant; the columns follow from 2 on, each as a value or, in a statement that
 * writes many rows, as an array of the values of all of them.
 */
#ifndef FV_DRIVER_POSTGRES_ROWS_H
#define FV_DRIVER_POSTGRES_ROWS_H

#include "driver/postgres_internal.h"

/* What a member of a row is; "or null": 0 is none. */
enum fv_pg_member {
    FV_PG_INT32,
    FV_PG_UINT32,
    FV_PG_UINT32_OR_NULL,
    FV_PG_INT64, /* or uint64_t, which is never greater */
    FV_PG_INT64_OR_NULL,
    FV_PG_ID,
    FV_PG_HASH,
    FV_PG_TEXT,
    FV_PG_BYTES
};

struct fv_pg_column {
    enum fv_pg_member member;
    size_t at; /* where in the row */
};

struct fv_pg_columns {
    const struct fv_pg_column *list;
    size_t count;
};

/*
 * series       id, phase, subject, last_no, current_no, rev, changed_at
 * payload      id, key, salt, body
 * version      series, no, id, state, bits, rev, parent_no, base_no, reverts_no, superseded_by,
 *              created_at, created_by, submitted_at, decided_at, decided_by, superseded_at, note,
 *              payload, content_hash
 * item         series, no, key, status, origin_no, decided_at, decided_by, note, payload, hash
 * vote         series, no, actor, content_hash, time, note
 * contributor  series, no, actor
 * leaf         no, leaf, hash
 * node         level, no, hash
 * head         size, frontier
 * keyed        space, key, rev, time, value
 * expiry       space, time, of keyed rows
 */
extern const struct fv_pg_columns fv_pg_series_columns, fv_pg_payload_columns,
    fv_pg_version_columns, fv_pg_item_columns, fv_pg_vote_columns, fv_pg_contributor_columns,
    fv_pg_leaf_columns, fv_pg_node_columns, fv_pg_head_columns, fv_pg_keyed_columns,
    fv_pg_expiry_columns;

/* Of the change's row the first `count` columns. */
void fv_pg_fill(struct fv_pg_parameters *parameters, const struct fv_pg_columns *columns,
                size_t count, const flagver_change *change);

/*
 * Of those of the changes that are of this kind, `rows` in number, all columns. `room` holds the
 * arrays until the statement has been sent; false: out of memory.
 */
bool fv_pg_fill_many(struct fv_pg_parameters *parameters, const struct fv_pg_columns *columns,
                     const flagver_change *changes, size_t count, int32_t kind, size_t rows,
                     struct fv_text *room);

#endif
