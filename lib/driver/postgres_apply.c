#include "driver/postgres_rows.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fail.h"
#include "util/memory.h"

/*
 * What is expected of a row is part of the statement that writes it, which finds the row as it
 * should be or touches none. So the changes of a call go out together, and are looked at when
 * their answers come.
 *
 * After a refusal the server may have made later changes of the call already: all or none is up
 * to the transaction, which goes back to a savepoint or can then only be rolled back.
 */

#define QUEUED 256 /* statements that are sent before their answers are taken */
#define MUCH 512   /* changes, whose answers are taken by the transaction's next call */
#define NAME_SIZE 400

/* ---- statements ---- */

#define ANY_NUMBER (-1)

/*
 * What writes a change: parameter 1 is the tenant, then come the first `columns` of the row, then,
 * when it is `compared`, the least and the greatest rev that the row may have. `rows` is what it
 * touches when it is not refused.
 */
struct writing {
    struct fv_pg_statement statement;
    const struct fv_pg_columns *columns;
    size_t used;
    bool compared;
    int rows;
};

static const struct writing series_new = {
    { FV_PG_SERIES_NEW, "INSERT INTO flagver.series (tenant, id, phase, subject, last_no, "
                        "current_no, rev, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
                        "ON CONFLICT DO NOTHING" },
    &fv_pg_series_columns,
    7,
    false,
    1
};

static const struct writing series_change = {
    { FV_PG_SERIES_CHANGE,
      "UPDATE flagver.series SET last_no = $5, current_no = $6, rev = $7, changed_at = $8 "
      "WHERE tenant = $1 AND phase = $3 AND subject = $4 AND id = $2 AND rev BETWEEN $9 AND $10" },
    &fv_pg_series_columns,
    7,
    true,
    1
};

/* (ON CONFLICT would ask the triggers for insertion first, here and for items.) */
static const struct writing series_any = {
    { FV_PG_SERIES_ANY,
      "WITH changed AS (UPDATE flagver.series SET last_no = $5, current_no = $6, rev = $7, "
      "changed_at = $8 WHERE tenant = $1 AND phase = $3 AND subject = $4 AND id = $2 "
      "RETURNING 1), added AS (INSERT INTO flagver.series (tenant, id, phase, subject, last_no, "
      "current_no, rev, changed_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8 "
      "WHERE NOT EXISTS (SELECT FROM changed) RETURNING 1) "
      "SELECT 1 FROM changed UNION ALL SELECT 1 FROM added" },
    &fv_pg_series_columns,
    7,
    false,
    1
};

static const struct writing payload_new = {
    { FV_PG_PAYLOAD, "INSERT INTO flagver.payload (tenant, id, key, salt, body) "
                     "VALUES ($1, $2, $3, $4, $5)" },
    &fv_pg_payload_columns,
    4,
    false,
    1
};

/* One that is shredded already is fine, one that is not there is not. */
static const struct writing payload_shred = {
    { FV_PG_SHRED, "WITH gone AS (UPDATE flagver.payload SET body = '', key = NULL, salt = NULL, "
                   "shredded = true WHERE tenant = $1 AND id = $2 AND shredded IS NULL) "
                   "SELECT 1 FROM flagver.payload WHERE tenant = $1 AND id = $2" },
    &fv_pg_payload_columns,
    1,
    false,
    1
};

static const struct writing version_new = {
    { FV_PG_VERSION_NEW,
      "INSERT INTO flagver.version (tenant, series, no, id, state, bits, rev, parent_no, base_no, "
      "reverts_no, superseded_by, created_at, created_by, submitted_at, decided_at, decided_by, "
      "superseded_at, note, payload, content_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
      "$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)" },
    &fv_pg_version_columns,
    19,
    false,
    1
};

/* What never changes is compared: where it differs the row is not found. */
static const struct writing version_change = {
    { FV_PG_VERSION_CHANGE,
      "UPDATE flagver.version SET state = $5, bits = $6, rev = $7, base_no = $9, "
      "superseded_by = $11, submitted_at = $14, decided_at = $15, decided_by = $16, "
      "superseded_at = $17, note = $18, payload = $19, content_hash = $20 "
      "WHERE tenant = $1 AND series = $2 AND no = $3 AND id = $4 "
      "AND parent_no IS NOT DISTINCT FROM $8 AND reverts_no IS NOT DISTINCT FROM $10 "
      "AND created_at = $12 AND created_by = $13 AND rev BETWEEN $21 AND $22" },
    &fv_pg_version_columns,
    19,
    true,
    1
};

static const struct writing item_any = {
    { FV_PG_ITEM,
      "WITH changed AS (UPDATE flagver.item SET status = $5, origin_no = $6, decided_at = $7, "
      "decided_by = $8, note = $9, payload = $10, hash = $11 "
      "WHERE tenant = $1 AND series = $2 AND no = $3 AND key = $4 RETURNING 1), "
      "added AS (INSERT INTO flagver.item (tenant, series, no, key, status, origin_no, decided_at, "
      "decided_by, note, payload, hash) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 "
      "WHERE NOT EXISTS (SELECT FROM changed) RETURNING 1) "
      "SELECT 1 FROM changed UNION ALL SELECT 1 FROM added" },
    &fv_pg_item_columns,
    10,
    false,
    1
};

static const struct writing item_delete = {
    { FV_PG_ITEM_DELETE, "DELETE FROM flagver.item "
                         "WHERE tenant = $1 AND series = $2 AND no = $3 AND key = $4" },
    &fv_pg_item_columns,
    3,
    false,
    1
};

static const struct writing vote_new = {
    { FV_PG_VOTE, "INSERT INTO flagver.vote (tenant, series, no, actor, content_hash, time, note) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7)" },
    &fv_pg_vote_columns,
    6,
    false,
    1
};

static const struct writing contributor_new = {
    { FV_PG_CONTRIBUTOR, "INSERT INTO flagver.contributor (tenant, series, no, actor) "
                         "VALUES ($1, $2, $3, $4)" },
    &fv_pg_contributor_columns,
    3,
    false,
    1
};

static const struct writing leaf_new = {
    { FV_PG_LEAF, "INSERT INTO flagver.leaf (tenant, no, leaf, hash) VALUES ($1, $2, $3, $4)" },
    &fv_pg_leaf_columns,
    3,
    false,
    1
};

static const struct writing node_new = {
    { FV_PG_NODE, "INSERT INTO flagver.node (tenant, level, no, hash) VALUES ($1, $2, $3, $4)" },
    &fv_pg_node_columns,
    3,
    false,
    1
};

static const struct writing head_change = {
    { FV_PG_HEAD, "UPDATE flagver.log SET frontier = $3, "
                  "frontier_size = CASE WHEN $3 IS NULL THEN NULL ELSE size END "
                  "WHERE tenant = $1 AND size = $2" },
    &fv_pg_head_columns,
    2,
    false,
    1
};

static const struct writing keyed_new = {
    { FV_PG_KEYED_NEW, "INSERT INTO flagver.keyed (tenant, space, key, rev, time, value) "
                       "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING" },
    &fv_pg_keyed_columns,
    5,
    false,
    1
};

static const struct writing keyed_change = {
    { FV_PG_KEYED_CHANGE, "UPDATE flagver.keyed SET rev = $4, time = $5, value = $6 "
                          "WHERE tenant = $1 AND space = $2 AND key = $3 "
                          "AND rev BETWEEN $7 AND $8" },
    &fv_pg_keyed_columns,
    5,
    true,
    1
};

static const struct writing keyed_any = {
    { FV_PG_KEYED_ANY, "INSERT INTO flagver.keyed (tenant, space, key, rev, time, value) "
                       "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, space, key) "
                       "DO UPDATE SET rev = $4, time = $5, value = $6" },
    &fv_pg_keyed_columns,
    5,
    false,
    1
};

/* What is to be deleted though it is not there. */
static const struct writing keyed_absent = {
    { -1, "SELECT 1 FROM flagver.keyed WHERE tenant = $1 AND space = $2 AND key = $3" },
    &fv_pg_keyed_columns,
    2,
    false,
    0
};

static const struct writing keyed_delete = {
    { FV_PG_KEYED_DELETE, "DELETE FROM flagver.keyed WHERE tenant = $1 AND space = $2 "
                          "AND key = $3 AND rev BETWEEN $4 AND $5" },
    &fv_pg_keyed_columns,
    2,
    true,
    1
};

static const struct writing keyed_delete_any = {
    { FV_PG_KEYED_DELETE_ANY,
      "DELETE FROM flagver.keyed WHERE tenant = $1 AND space = $2 AND key = $3" },
    &fv_pg_keyed_columns,
    2,
    false,
    ANY_NUMBER
};

/* What another one is deleting already is left to it. */
static const struct writing keyed_expire = {
    { FV_PG_KEYED_EXPIRE, "DELETE FROM flagver.keyed WHERE tenant = $1 AND space = $2 "
                          "AND key = ANY (ARRAY(SELECT key FROM flagver.keyed "
                          "WHERE tenant = $1 AND space = $2 AND time < $3 ORDER BY time "
                          "LIMIT 1000 FOR UPDATE SKIP LOCKED))" },
    &fv_pg_expiry_columns,
    2,
    false,
    ANY_NUMBER
};

/* ---- kinds of changes ---- */

#define NO_TENANT (-1)

struct kind {
    const char *name, *names;                     /* of one row and of many, for people */
    int tenant;                                   /* where it stands in the row */
    const struct writing *absent, *present, *any; /* by what `expect` says */
};

#define AT_TENANT(row) ((int)offsetof(row, tenant))
#define ALWAYS(writing) &(writing), &(writing), &(writing)

static const struct kind kinds[] = {
    [FLAGVER_CHANGE_SERIES] = { "series", "series", AT_TENANT(flagver_series_row), &series_new,
                                &series_change, &series_any },
    [FLAGVER_CHANGE_PAYLOAD] = { "payload", "payloads", NO_TENANT, ALWAYS(payload_new) },
    [FLAGVER_CHANGE_VERSION_NEW] = { "version", "versions", NO_TENANT, ALWAYS(version_new) },
    [FLAGVER_CHANGE_VERSION_CHANGE] = { "version", "versions", NO_TENANT, ALWAYS(version_change) },
    [FLAGVER_CHANGE_LEAF] = { "leaf", "leaves", AT_TENANT(flagver_leaf_row), ALWAYS(leaf_new) },
    [FLAGVER_CHANGE_KEYED] = { "row", "rows", AT_TENANT(flagver_keyed_row), &keyed_new,
                               &keyed_change, &keyed_any },
    [FLAGVER_CHANGE_KEYED_DELETE] = { "row", "rows", AT_TENANT(flagver_keyed_row), &keyed_absent,
                                      &keyed_delete, &keyed_delete_any },
    [FLAGVER_CHANGE_KEYED_EXPIRE] = { "rows of", "rows", AT_TENANT(flagver_keyed_row),
                                      ALWAYS(keyed_expire) },
    [FLAGVER_CHANGE_SHRED] = { "payload", "payloads", NO_TENANT, ALWAYS(payload_shred) },
    [FLAGVER_CHANGE_ITEM] = { "item", "items", NO_TENANT, ALWAYS(item_any) },
    [FLAGVER_CHANGE_ITEM_DELETE] = { "item", "items", NO_TENANT, ALWAYS(item_delete) },
    [FLAGVER_CHANGE_VOTE] = { "vote", "votes", NO_TENANT, ALWAYS(vote_new) },
    [FLAGVER_CHANGE_CONTRIBUTOR] = { "contributor", "contributors", NO_TENANT,
                                     ALWAYS(contributor_new) },
    [FLAGVER_CHANGE_NODE] = { "node", "nodes", AT_TENANT(flagver_node_row), ALWAYS(node_new) },
    [FLAGVER_CHANGE_HEAD] = { "log", "logs", AT_TENANT(flagver_log_row), ALWAYS(head_change) },
};

static const struct kind *kind_of(int32_t kind)
{
    return kind > 0 && kind < (int32_t)(sizeof kinds / sizeof *kinds) ? &kinds[kind] : NULL;
}

static const struct writing *writing_of(int32_t number, int64_t expect)
{
    const struct kind *kind = kind_of(number);

    return expect == 0 ? kind->absent : expect == FLAGVER_EXPECT_ANY ? kind->any : kind->present;
}

/* ---- what can be said before anything is sent ---- */

static int check_tenant(const flagver_driver_txn *txn, const flagver_change *change,
                        flagver_error *err)
{
    const char *row = (const char *)change->row.series; /* the pointers of the union are alike */
    const flagver_bytes *tenant = (const void *)(row + kind_of(change->kind)->tenant);

    if (tenant->length == txn->tenant.length &&
        (tenant->length == 0 || memcmp(tenant->data, txn->tenant.data, tenant->length) == 0))
        return 0;
    return fv_fail(err, FLAGVER_EINVAL, "a row of tenant \"%.*s\" in a transaction of \"%.128s\"",
                   tenant->length > 200 ? 200 : (int)tenant->length,
                   tenant->data ? (const char *)tenant->data : "", (const char *)txn->tenant.data);
}

static int check(const flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                 flagver_error *err)
{
    size_t i;
    int r = 0;

    if (txn->mode != FLAGVER_MODE_WRITE)
        return fv_fail(err, FLAGVER_EINVAL, "the transaction only reads");
    for (i = 0; r == 0 && i < count; i++)
        if (!kind_of(changes[i].kind))
            r = fv_fail(err, FLAGVER_EINVAL, "there is no change of kind %d", (int)changes[i].kind);
        else if (kind_of(changes[i].kind)->tenant != NO_TENANT)
            r = check_tenant(txn, &changes[i], err);
    return r;
}

/* ---- refusals ---- */

/*
 * A statement that was sent: for one change, or for `rows` new rows of this kind. The change is
 * there until the call returns that has brought it.
 */
struct sent {
    const flagver_change *change;
    int32_t kind;
    int64_t expect;
    int64_t rows; /* that it touches */
    bool many;
};

struct fv_pg_sender {
    struct sent list[QUEUED];
    size_t count;
};

static void add_text(char *out, size_t size, const char *before, flagver_bytes text)
{
    size_t at = strlen(out);

    snprintf(out + at, size - at, "%s\"%.*s\"", before, text.length > 100 ? 100 : (int)text.length,
             text.data ? (const char *)text.data : "");
}

/* Of one change, for people: `series "flag" "new-checkout"`. */
static void name_change(const flagver_change *change, char *out, size_t size)
{
    const char *name = kind_of(change->kind)->name;

    snprintf(out, size, "%s", name);
    switch (change->kind) {
    case FLAGVER_CHANGE_SERIES:
        add_text(out, size, " ", change->row.series->phase);
        add_text(out, size, " ", change->row.series->subject);
        return;
    case FLAGVER_CHANGE_KEYED:
    case FLAGVER_CHANGE_KEYED_DELETE:
        add_text(out, size, " ", change->row.keyed->space);
        add_text(out, size, " ", change->row.keyed->key);
        return;
    case FLAGVER_CHANGE_VERSION_NEW:
    case FLAGVER_CHANGE_VERSION_CHANGE:
        snprintf(out, size, "%s %" PRIu32, name, change->row.version->no);
        return;
    case FLAGVER_CHANGE_ITEM:
    case FLAGVER_CHANGE_ITEM_DELETE:
        add_text(out, size, " ", change->row.item->key);
        return;
    case FLAGVER_CHANGE_VOTE:
        add_text(out, size, " of ", change->row.vote->actor);
        return;
    case FLAGVER_CHANGE_CONTRIBUTOR:
        add_text(out, size, " ", change->row.contributor->actor);
        return;
    case FLAGVER_CHANGE_LEAF:
        snprintf(out, size, "%s %" PRIu64, name, change->row.leaf->no);
        return;
    default:
        return;
    }
}

static void name_sent(const struct sent *sent, char *out, size_t size)
{
    const struct kind *kind = kind_of(sent->kind);

    if (sent->many)
        snprintf(out, size, "one of %" PRId64 " %s", sent->rows, kind->names);
    else if (sent->change)
        name_change(sent->change, out, size);
    else
        snprintf(out, size, "%s", kind->name);
}

/* It is about a row that must not be there. */
static bool is_new(const struct sent *sent)
{
    switch (sent->kind) {
    case FLAGVER_CHANGE_SERIES:
    case FLAGVER_CHANGE_KEYED:
    case FLAGVER_CHANGE_KEYED_DELETE:
        return sent->expect == 0;
    case FLAGVER_CHANGE_VERSION_CHANGE:
    case FLAGVER_CHANGE_HEAD:
    case FLAGVER_CHANGE_SHRED:
    case FLAGVER_CHANGE_ITEM:
    case FLAGVER_CHANGE_ITEM_DELETE:
    case FLAGVER_CHANGE_KEYED_EXPIRE:
        return false;
    default:
        return true;
    }
}

/* The rows that there are are not those that were expected. */
static int fail_expectation(const struct sent *sent, flagver_error *err)
{
    char name[NAME_SIZE];

    name_sent(sent, name, sizeof name);
    if (is_new(sent))
        return fv_fail(err, FLAGVER_ECONFLICT, "the %s is there already", name);
    if (sent->kind == FLAGVER_CHANGE_HEAD)
        return fv_fail(err, FLAGVER_ECONFLICT, "the log is not of the size that its head is for");
    if (writing_of(sent->kind, sent->expect)->compared && sent->expect != FLAGVER_EXPECT_ANY)
        return fv_fail(err, FLAGVER_ECONFLICT, "the %s is not there with rev %" PRId64, name,
                       sent->expect);
    return fv_fail(err, FLAGVER_ECONFLICT, "the %s is not there", name);
}

/* The server has refused the statement, with these words. */
static int fail_refused(const struct sent *sent, const flagver_error *refused, flagver_error *err)
{
    char name[NAME_SIZE];
    int code = refused->code;

    name_sent(sent, name, sizeof name);
    if (code == FLAGVER_ECONFLICT && is_new(sent))
        fail_expectation(sent, err);
    else if (code == FLAGVER_ECONFLICT || code == FLAGVER_ECORRUPT)
        fv_fail(err, code, "%s: %.600s", name, refused->message);
    else
        fv_fail(err, code, "%s", refused->message);
    if (err)
        memcpy(err->sqlstate, refused->sqlstate, sizeof err->sqlstate);
    return code;
}

/* ---- statements on their way ---- */

static void note(flagver_driver_txn *txn, const flagver_change *change, int64_t rows, bool many)
{
    struct fv_pg_sender *sender = txn->sender;

    sender->list[sender->count++] = (struct sent){ change, change->kind, change->expect, rows,
                                                   many };
    if (change->kind == FLAGVER_CHANGE_LEAF)
        txn->grown = true;
}

static int queue_one(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const struct writing *writing = writing_of(change->kind, change->expect);
    bool any = change->expect == FLAGVER_EXPECT_ANY;
    struct fv_pg_parameters parameters;

    parameters.count = 0;
    fv_pg_text(&parameters, txn->tenant);
    fv_pg_fill(&parameters, writing->columns, writing->used, change);
    if (writing->compared) {
        fv_pg_number(&parameters, any ? INT64_MIN : change->expect);
        fv_pg_number(&parameters, any ? INT64_MAX : change->expect);
    }
    note(txn, change, writing->rows, false);
    return fv_pg_queue(txn->conn, &writing->statement, &parameters, err);
}

static const flagver_change *first_of(const flagver_change *changes, int32_t kind)
{
    while (changes->kind != kind)
        changes++;
    return changes;
}

static int queue_run(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                     flagver_error *err)
{
    size_t i, rows;
    int r = 0;

    for (i = 0; r == 0 && i < FV_PG_BULK_KINDS; i++) {
        r = fv_pg_bulk_queue(txn, changes, count, fv_pg_bulk_kinds[i], &rows, err);
        if (r == 0 && rows > 0)
            note(txn, first_of(changes, fv_pg_bulk_kinds[i]), (int64_t)rows, true);
    }
    return r;
}

/* As many of the changes as one pipeline takes. */
static int queue_some(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                      size_t *ret_queued, flagver_error *err)
{
    size_t at = 0, run;
    int r = 0;

    txn->sender->count = 0;
    while (r == 0 && at < count && txn->sender->count + FV_PG_BULK_KINDS <= QUEUED) {
        run = fv_pg_bulk_count(changes + at, count - at);
        r = run ? queue_run(txn, changes + at, run, err) : queue_one(txn, changes + at, err);
        at += run ? run : 1;
    }
    *ret_queued = at;
    return r;
}

/* From here to take_answers() the connection is in the pipeline: `behind`. */
static int send_some(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                     size_t *ret_sent, flagver_error *err)
{
    int r = fv_pg_pipeline_begin(txn->conn, err), flushed;

    if (r < 0)
        return r;
    r = queue_some(txn, changes, count, ret_sent, err);
    flushed = fv_pg_flush(txn->conn, r < 0 ? NULL : err);
    r = r < 0 ? r : flushed;
    if (r < 0)
        fv_pg_pipeline_end(txn->conn, NULL); /* with the answers to what was queued */
    else
        txn->behind = true;
    return r;
}

static int64_t rows_of(PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return PQntuples(result);
    return strtoll(PQcmdTuples(result), NULL, 10);
}

static int take_answer(flagver_driver_txn *txn, const struct sent *sent, flagver_error *err)
{
    flagver_error refused;
    PGresult *result;
    int64_t rows;
    int r = fv_pg_take(txn->conn, &result, &refused);

    if (r < 0)
        return fail_refused(sent, &refused, err);
    rows = rows_of(result);
    PQclear(result);
    return sent->rows == ANY_NUMBER || rows == sent->rows ? 0 : fail_expectation(sent, err);
}

static int take_answers(flagver_driver_txn *txn, flagver_error *err)
{
    size_t i;
    int r = 0, end;

    if (!txn->behind)
        return 0;
    txn->behind = false;
    for (i = 0; r == 0 && i < txn->sender->count; i++)
        r = take_answer(txn, &txn->sender->list[i], err);
    end = fv_pg_pipeline_end(txn->conn, r < 0 ? NULL : err);
    return r < 0 ? r : end;
}

static int send_all(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                    flagver_error *err)
{
    size_t done = 0, sent;
    int r = 0;

    for (; r == 0 && done < count; done += sent) {
        r = take_answers(txn, err);
        if (r == 0)
            r = send_some(txn, changes + done, count - done, &sent, err);
    }
    return r;
}

/*
 * While the server is busy with much the caller makes ready what comes next. Of an application's
 * transaction it has to be known at once whether the savepoint is needed.
 */
static int await_answers(flagver_driver_txn *txn, size_t count, flagver_error *err)
{
    size_t i;

    if (fv_pg_is_shared(txn->conn) || count < MUCH)
        return take_answers(txn, err);
    for (i = 0; i < txn->sender->count; i++)
        txn->sender->list[i].change = NULL;
    return 0;
}

int fv_pg_settle(flagver_driver_txn *txn, flagver_error *err)
{
    fv_pg_scan_settle(txn);
    if (txn->behind && take_answers(txn, &txn->late) < 0) {
        if (txn->late.code == FLAGVER_ECONFLICT)
            txn->late.code = FLAGVER_EBUSY;
        txn->failed = true;
    }
    if (txn->late.code && err)
        *err = txn->late;
    return txn->late.code;
}

int fv_pg_apply(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                flagver_error *err)
{
    int r = check(txn, changes, count, err);

    if (r < 0 || count == 0)
        return r;
    if (!txn->sender)
        txn->sender = fv_allocate_zeroed(txn->store->memory, 1, sizeof *txn->sender);
    if (!txn->sender)
        return fv_fail_memory(err);
    r = fv_pg_guard_begin(txn, err);
    if (r < 0)
        return r;
    r = send_all(txn, changes, count, err);
    if (r == 0)
        r = await_answers(txn, count, err);
    return fv_pg_guard_end(txn, r, err);
}
