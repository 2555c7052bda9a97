#include <inttypes.h>
#include <string.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"

#define EXPIRE_LIMIT "1000"

/*
 * A statement that was refused or found no row is looked at twice: was the row not as expected
 * (FLAGVER_ECONFLICT), or does the change itself break a rule, which the library should have
 * known (FLAGVER_ECORRUPT, with the words of the constraint or trigger)?
 *
 * All or none: there is no savepoint around the changes, it would double what has to be copied.
 * Instead a transaction in which a change was refused can only be rolled back.
 */

static uint32_t count_or_none(flagver_bytes bytes)
{
    return bytes.length > 200 ? 200 : (uint32_t)bytes.length;
}

static int check_tenant(const flagver_driver_txn *txn, flagver_bytes tenant, flagver_error *err)
{
    if (tenant.length == txn->tenant.length &&
        (tenant.length == 0 || memcmp(tenant.data, txn->tenant.data, tenant.length) == 0))
        return 0;
    return fv_fail(err, FLAGVER_EINVAL, "a row of tenant \"%.*s\" in a transaction of \"%.128s\"",
                   (int)count_or_none(tenant), tenant.data ? (const char *)tenant.data : "",
                   (const char *)txn->tenant.data);
}

/* The rev of a row by its key, 1 for kinds that have none; 0: there is no such row. */
static int find_rev(flagver_driver_txn *txn, const flagver_change *change, int64_t *ret_rev,
                    flagver_error *err)
{
    struct fv_binder call;
    int r;

    switch (change->kind) {
    case FLAGVER_CHANGE_SERIES:
        r = fv_bind_start(&call, txn->conn, FV_SQL_SERIES_REV,
                          "SELECT rev FROM main.flagver_series WHERE tenant = ? AND phase = ? AND "
                          "subject = ?",
                          err);
        if (r < 0)
            return r;
        fv_bind_text(&call, txn->tenant);
        fv_bind_text(&call, change->row.series->phase);
        fv_bind_text(&call, change->row.series->subject);
        break;
    case FLAGVER_CHANGE_PAYLOAD:
        r = fv_bind_start(&call, txn->conn, FV_SQL_PAYLOAD_REV,
                          "SELECT 1 FROM main.flagver_payload WHERE id = ?", err);
        if (r < 0)
            return r;
        fv_bind_id(&call, &change->row.payload->id);
        break;
    case FLAGVER_CHANGE_VERSION_NEW:
    case FLAGVER_CHANGE_VERSION_CHANGE:
        r = fv_bind_start(&call, txn->conn, FV_SQL_VERSION_REV,
                          "SELECT rev FROM main.flagver_version WHERE series = ? AND no = ?", err);
        if (r < 0)
            return r;
        fv_bind_id(&call, &change->row.version->series);
        fv_bind_integer(&call, change->row.version->no);
        break;
    case FLAGVER_CHANGE_LEAF:
        r = fv_bind_start(&call, txn->conn, FV_SQL_LEAF_REV,
                          "SELECT 1 FROM main.flagver_leaf WHERE tenant = ? AND no = ?", err);
        if (r < 0)
            return r;
        fv_bind_text(&call, txn->tenant);
        fv_bind_integer(&call, (int64_t)change->row.leaf->no);
        break;
    default:
        r = fv_bind_start(&call, txn->conn, FV_SQL_KEYED_REV,
                          "SELECT rev FROM main.flagver_keyed WHERE tenant = ? AND space = ? AND "
                          "key = ?",
                          err);
        if (r < 0)
            return r;
        fv_bind_text(&call, txn->tenant);
        fv_bind_text(&call, change->row.keyed->space);
        fv_bind_text(&call, change->row.keyed->key);
        break;
    }
    r = fv_bind_step(&call, err);
    if (r < 0)
        return r;
    *ret_rev = r > 0 ? sqlite3_column_int64(call.statement, 0) : 0;
    fv_bind_end(&call);
    return 0;
}

static const char *kind_name(int32_t kind)
{
    static const char *const names[] = { "",        "series", "payload", "version",
                                         "version", "leaf",   "row",     "row" };

    return kind > 0 && kind < (int32_t)(sizeof names / sizeof *names) ? names[kind] : "row";
}

/* The change was not made; `refused` holds why when SQLite refused it. */
static int explain(flagver_driver_txn *txn, const flagver_change *change,
                   const flagver_error *refused, flagver_error *err)
{
    const char *kind = kind_name(change->kind);
    int64_t rev;
    int r;

    r = find_rev(txn, change, &rev, err);
    if (r < 0)
        return r;
    if (change->expect == 0 && rev != 0)
        return fv_fail(err, FLAGVER_ECONFLICT, "%.300s: there is such a %s already",
                       txn->store->path, kind);
    if (rev == 0 && !refused)
        return fv_fail(err, FLAGVER_ECONFLICT, "%.300s: there is no such %s", txn->store->path,
                       kind);
    if (rev != 0 && change->expect != FLAGVER_EXPECT_ANY && rev != change->expect)
        return fv_fail(err, FLAGVER_ECONFLICT,
                       "%.300s: the %s is at rev %" PRId64 "; %" PRId64 " was expected",
                       txn->store->path, kind, rev, change->expect);
    if (!refused)
        return fv_fail(err, FLAGVER_ECORRUPT, "%.300s: the %s differs in what never changes",
                       txn->store->path, kind);
    if (err)
        *err = *refused;
    return FLAGVER_ECORRUPT;
}

/* Runs a statement that writes one row. */
static int write(flagver_driver_txn *txn, const flagver_change *change, struct fv_binder *call,
                 flagver_error *err)
{
    flagver_error refused;
    int r = fv_bind_step(call, &refused);

    if (r == 0)
        return sqlite3_changes(txn->conn->db) == 1 ? 0 : explain(txn, change, NULL, err);
    if (r == FLAGVER_ECORRUPT && fv_sqlite_failed_by_constraint(txn->conn))
        return explain(txn, change, &refused, err);
    if (err)
        *err = refused;
    return r;
}

/* WHERE rev BETWEEN ? AND ? */
static void bind_expected(struct fv_binder *call, int64_t expect)
{
    bool any = expect == FLAGVER_EXPECT_ANY;

    fv_bind_integer(call, any ? INT64_MIN : expect);
    fv_bind_integer(call, any ? INT64_MAX : expect);
}

/* With FLAGVER_EXPECT_ANY: is there a row to be changed? */
static int is_new(flagver_driver_txn *txn, const flagver_change *change, bool *ret_new,
                  flagver_error *err)
{
    int64_t rev = 0;
    int r = 0;

    if (change->expect == FLAGVER_EXPECT_ANY)
        r = find_rev(txn, change, &rev, err);
    *ret_new = change->expect == 0 || (change->expect == FLAGVER_EXPECT_ANY && rev == 0);
    return r;
}

/* ---- series ---- */

static int change_series(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_series_row *row = change->row.series;
    struct fv_binder call;
    bool new_row = false;
    int r;

    r = check_tenant(txn, row->tenant, err);
    if (r == 0)
        r = is_new(txn, change, &new_row, err);
    if (r < 0)
        return r;
    if (new_row)
        r = fv_bind_start(&call, txn->conn, FV_SQL_SERIES_NEW,
                          "INSERT INTO main.flagver_series (last_no, current_no, rev, changed_at, "
                          "tenant, phase, subject, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                          err);
    else
        r = fv_bind_start(&call, txn->conn, FV_SQL_SERIES_CHANGE,
                          "UPDATE main.flagver_series SET last_no = ?, current_no = ?, rev = ?, "
                          "changed_at = ? WHERE tenant = ? AND phase = ? AND subject = ? AND "
                          "+id = ? AND rev BETWEEN ? AND ?",
                          err);
    if (r < 0)
        return r;
    fv_bind_positive(&call, row->last_no);
    fv_bind_positive(&call, row->current_no);
    fv_bind_integer(&call, row->rev);
    fv_bind_integer(&call, row->changed_at);
    fv_bind_text(&call, txn->tenant);
    fv_bind_text(&call, row->phase);
    fv_bind_text(&call, row->subject);
    fv_bind_id(&call, &row->id);
    if (!new_row)
        bind_expected(&call, change->expect);
    return write(txn, change, &call, err);
}

/* ---- payloads ---- */

static int add_payload(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_payload_row *row = change->row.payload;
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_PAYLOAD,
                      "INSERT INTO main.flagver_payload (id, key, salt, body) VALUES (?, ?, ?, ?)",
                      err);
    if (r < 0)
        return r;
    fv_bind_id(&call, &row->id);
    fv_bind_positive(&call, row->key);
    fv_bind_blob(&call, row->salt);
    fv_bind_blob(&call, row->body);
    return write(txn, change, &call, err);
}

/* ---- versions ---- */

static flagver_bytes hash_of(const uint8_t *hash)
{
    return (flagver_bytes){ hash, 32 };
}

static int add_version(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_version_row *row = change->row.version;
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_VERSION_NEW,
                      "INSERT INTO main.flagver_version (series, no, id, state, bits, rev, "
                      "parent_no, base_no, reverts_no, superseded_by, created_at, created_by, "
                      "submitted_at, decided_at, decided_by, superseded_at, note, payload, "
                      "content_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                      "?)",
                      err);
    if (r < 0)
        return r;
    fv_bind_id(&call, &row->series);
    fv_bind_integer(&call, row->no);
    fv_bind_id(&call, &row->id);
    fv_bind_integer(&call, row->state);
    fv_bind_integer(&call, row->bits);
    fv_bind_integer(&call, row->rev);
    fv_bind_positive(&call, row->parent_no);
    fv_bind_positive(&call, row->base_no);
    fv_bind_positive(&call, row->reverts_no);
    fv_bind_positive(&call, row->superseded_by);
    fv_bind_integer(&call, row->created_at);
    fv_bind_text(&call, row->created_by);
    fv_bind_positive(&call, row->submitted_at);
    fv_bind_positive(&call, row->decided_at);
    fv_bind_text(&call, row->decided_by);
    fv_bind_positive(&call, row->superseded_at);
    fv_bind_text(&call, row->note);
    fv_bind_id(&call, &row->payload_id);
    fv_bind_blob(&call, hash_of(row->content_hash));
    return write(txn, change, &call, err);
}

/* The + keeps SQLite from looking in the index of ids first. */
#define VERSION_KEY                                                                       \
    "WHERE series = ? AND no = ? AND +id = ? AND parent_no IS ? AND reverts_no IS ? AND " \
    "created_at = ? AND created_by = ? AND rev BETWEEN ? AND ?"
#define VERSION_CONTENT " AND payload = ? AND content_hash = ? AND base_no IS ?"
#define VERSION_DECISION \
    " AND submitted_at IS ? AND decided_at IS ? AND decided_by IS ? AND note IS ? AND bits = ?"

static void bind_key(struct fv_binder *call, const flagver_version_row *row, int64_t expect)
{
    fv_bind_id(call, &row->series);
    fv_bind_integer(call, row->no);
    fv_bind_id(call, &row->id);
    fv_bind_positive(call, row->parent_no);
    fv_bind_positive(call, row->reverts_no);
    fv_bind_integer(call, row->created_at);
    fv_bind_text(call, row->created_by);
    bind_expected(call, expect);
}

static void bind_content(struct fv_binder *call, const flagver_version_row *row)
{
    fv_bind_id(call, &row->payload_id);
    fv_bind_blob(call, hash_of(row->content_hash));
    fv_bind_positive(call, row->base_no);
}

static void bind_decision(struct fv_binder *call, const flagver_version_row *row)
{
    fv_bind_positive(call, row->submitted_at);
    fv_bind_positive(call, row->decided_at);
    fv_bind_text(call, row->decided_by);
    fv_bind_text(call, row->note);
    fv_bind_integer(call, row->bits);
}

static void bind_state(struct fv_binder *call, const flagver_version_row *row)
{
    fv_bind_integer(call, row->state);
    fv_bind_positive(call, row->superseded_by);
    fv_bind_positive(call, row->superseded_at);
    fv_bind_integer(call, row->rev);
}

/*
 * Three statements, by the state that the version is to have, so that each writes only
 * the columns, and with them the indexes and references, that can change then. The others are
 * compared: where they differ the row is not found.
 */
static int change_version(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_version_row *row = change->row.version;
    struct fv_binder call;
    int r;

    if (row->state == FLAGVER_STATE_SUPERSEDED)
        r = fv_bind_start(
            &call, txn->conn, FV_SQL_VERSION_SUPERSEDE,
            "UPDATE main.flagver_version SET state = ?, superseded_by = ?, "
            "superseded_at = ?, rev = ? " VERSION_KEY VERSION_CONTENT VERSION_DECISION,
            err);
    else if (row->state == FLAGVER_STATE_DRAFT)
        r = fv_bind_start(&call, txn->conn, FV_SQL_VERSION_EDIT,
                          "UPDATE main.flagver_version SET state = ?, superseded_by = ?, "
                          "superseded_at = ?, rev = ?, payload = ?, content_hash = ?, base_no = ?, "
                          "submitted_at = ?, decided_at = ?, decided_by = ?, note = ?, "
                          "bits = ? " VERSION_KEY,
                          err);
    else
        r = fv_bind_start(&call, txn->conn, FV_SQL_VERSION_DECIDE,
                          "UPDATE main.flagver_version SET state = ?, superseded_by = ?, "
                          "superseded_at = ?, rev = ?, submitted_at = ?, decided_at = ?, "
                          "decided_by = ?, note = ?, bits = ? " VERSION_KEY VERSION_CONTENT,
                          err);
    if (r < 0)
        return r;

    bind_state(&call, row);
    if (row->state == FLAGVER_STATE_SUPERSEDED) {
        bind_key(&call, row, change->expect);
        bind_content(&call, row);
        bind_decision(&call, row);
    } else if (row->state == FLAGVER_STATE_DRAFT) {
        bind_content(&call, row);
        bind_decision(&call, row);
        bind_key(&call, row, change->expect);
    } else {
        bind_decision(&call, row);
        bind_key(&call, row, change->expect);
        bind_content(&call, row);
    }
    return write(txn, change, &call, err);
}

/* ---- leaves ---- */

static int append_leaf(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_leaf_row *row = change->row.leaf;
    struct fv_binder call;
    int r;

    r = check_tenant(txn, row->tenant, err);
    if (r == 0)
        r = fv_bind_start(
            &call, txn->conn, FV_SQL_LEAF,
            "INSERT INTO main.flagver_leaf (tenant, no, leaf, hash) VALUES (?, ?, ?, ?)", err);
    if (r < 0)
        return r;
    fv_bind_text(&call, txn->tenant);
    fv_bind_integer(&call, (int64_t)row->no);
    fv_bind_blob(&call, row->leaf);
    fv_bind_blob(&call, hash_of(row->hash));
    return write(txn, change, &call, err);
}

/* ---- keyed rows ---- */

static int write_keyed(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_keyed_row *row = change->row.keyed;
    struct fv_binder call;
    bool new_row = false;
    int r;

    r = is_new(txn, change, &new_row, err);
    if (r < 0)
        return r;
    if (new_row)
        r = fv_bind_start(&call, txn->conn, FV_SQL_KEYED_NEW,
                          "INSERT INTO main.flagver_keyed (rev, time, value, tenant, space, key) "
                          "VALUES (?, ?, ?, ?, ?, ?)",
                          err);
    else
        r = fv_bind_start(&call, txn->conn, FV_SQL_KEYED_CHANGE,
                          "UPDATE main.flagver_keyed SET rev = ?, time = ?, value = ? WHERE "
                          "tenant = ? AND space = ? AND key = ? AND rev BETWEEN ? AND ?",
                          err);
    if (r < 0)
        return r;
    fv_bind_integer(&call, row->rev);
    fv_bind_integer(&call, row->time);
    fv_bind_blob(&call, row->value);
    fv_bind_text(&call, txn->tenant);
    fv_bind_text(&call, row->space);
    fv_bind_text(&call, row->key);
    if (!new_row)
        bind_expected(&call, change->expect);
    return write(txn, change, &call, err);
}

static int delete_keyed(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_keyed_row *row = change->row.keyed;
    struct fv_binder call;
    int64_t rev;
    int r;

    r = find_rev(txn, change, &rev, err);
    if (r < 0)
        return r;
    if (rev == 0 && (change->expect == 0 || change->expect == FLAGVER_EXPECT_ANY))
        return 0;
    if (change->expect == 0)
        return explain(txn, change, NULL, err);
    r = fv_bind_start(&call, txn->conn, FV_SQL_KEYED_DELETE,
                      "DELETE FROM main.flagver_keyed WHERE tenant = ? AND space = ? AND key = ? "
                      "AND rev BETWEEN ? AND ?",
                      err);
    if (r < 0)
        return r;
    fv_bind_text(&call, txn->tenant);
    fv_bind_text(&call, row->space);
    fv_bind_text(&call, row->key);
    bind_expected(&call, change->expect);
    return write(txn, change, &call, err);
}

static int expire_keyed(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_keyed_row *row = change->row.keyed;
    struct fv_binder call;
    int r;

    r = fv_bind_start(
        &call, txn->conn, FV_SQL_KEYED_EXPIRE,
        "DELETE FROM main.flagver_keyed WHERE (tenant, space, key) IN (SELECT tenant, "
        "space, key FROM main.flagver_keyed WHERE tenant = ? AND space = ? AND "
        "time < ? ORDER BY time LIMIT " EXPIRE_LIMIT ")",
        err);
    if (r < 0)
        return r;
    fv_bind_text(&call, txn->tenant);
    fv_bind_text(&call, row->space);
    fv_bind_integer(&call, row->time);
    return fv_bind_step(&call, err);
}

static int change_keyed(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    int r = check_tenant(txn, change->row.keyed->tenant, err);

    if (r < 0)
        return r;
    if (change->kind == FLAGVER_CHANGE_KEYED)
        return write_keyed(txn, change, err);
    if (change->kind == FLAGVER_CHANGE_KEYED_DELETE)
        return delete_keyed(txn, change, err);
    return expire_keyed(txn, change, err);
}

/* ---- all of them ---- */

static int apply_one(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    switch (change->kind) {
    case FLAGVER_CHANGE_SERIES:
        return change_series(txn, change, err);
    case FLAGVER_CHANGE_PAYLOAD:
        return add_payload(txn, change, err);
    case FLAGVER_CHANGE_VERSION_NEW:
        return add_version(txn, change, err);
    case FLAGVER_CHANGE_VERSION_CHANGE:
        return change_version(txn, change, err);
    case FLAGVER_CHANGE_LEAF:
        return append_leaf(txn, change, err);
    case FLAGVER_CHANGE_KEYED:
    case FLAGVER_CHANGE_KEYED_DELETE:
    case FLAGVER_CHANGE_KEYED_EXPIRE:
        return change_keyed(txn, change, err);
    default:
        return fv_fail(err, FLAGVER_EINVAL, "there is no change of kind %d", (int)change->kind);
    }
}

int fv_sqlite_apply(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                    flagver_error *err)
{
    size_t i;
    int r;

    r = fv_sqlite_check_open(txn, err);
    if (r == 0 && txn->mode != FLAGVER_MODE_WRITE)
        r = fv_fail(err, FLAGVER_EINVAL, "the transaction only reads");
    if (r == 0)
        r = fv_sqlite_check_joined(txn, err);
    if (r < 0)
        return r;
    for (i = 0; i < count; i++) {
        r = apply_one(txn, &changes[i], err);
        if (r < 0) {
            txn->failed = true;
            return r;
        }
    }
    return 0;
}
