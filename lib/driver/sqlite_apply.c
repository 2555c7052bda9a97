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

/* ---- kinds of changes ---- */

/* What the row must be before the change. */
enum expectation {
    AS_SAID, /* what `expect` says */
    ABSENT,
    ANY
};

/* Selects the rev of a row by its key, 1 where it has none. */
struct finder {
    enum fv_sql slot;
    const char *sql;
    void (*bind)(struct fv_binder *call, const flagver_driver_txn *txn,
                 const flagver_change *change);
};

struct kind {
    const char *name; /* of the row, for people */
    enum expectation expectation;
    int (*apply)(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err);
    const struct finder *finder;
};

static const struct kind *kind_of(int32_t kind);

static int64_t expected(const flagver_change *change)
{
    switch (kind_of(change->kind)->expectation) {
    case ABSENT:
        return 0;
    case ANY:
        return FLAGVER_EXPECT_ANY;
    default:
        return change->expect;
    }
}

/* The rev of a row by its key; 0: there is no such row. */
static int find_rev(const flagver_driver_txn *txn, const flagver_change *change, int64_t *ret_rev,
                    flagver_error *err)
{
    const struct finder *finder = kind_of(change->kind)->finder;
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, finder->slot, finder->sql, err);
    if (r < 0)
        return r;
    finder->bind(&call, txn, change);
    r = fv_bind_step(&call, err);
    if (r < 0)
        return r;
    *ret_rev = r > 0 ? sqlite3_column_int64(call.statement, 0) : 0;
    fv_bind_end(&call);
    return 0;
}

/* The change was not made; `refused` holds why when SQLite refused it. */
static int explain(const flagver_driver_txn *txn, const flagver_change *change,
                   const flagver_error *refused, flagver_error *err)
{
    const char *name = kind_of(change->kind)->name;
    int64_t expect = expected(change), rev;
    int r;

    r = find_rev(txn, change, &rev, err);
    if (r < 0)
        return r;
    if (expect == 0 && rev != 0)
        return fv_fail(err, FLAGVER_ECONFLICT, "%.300s: there is such a %s already",
                       txn->store->path, name);
    if (rev == 0 && !refused)
        return fv_fail(err, FLAGVER_ECONFLICT, "%.300s: there is no such %s", txn->store->path,
                       name);
    if (rev != 0 && expect != FLAGVER_EXPECT_ANY && rev != expect)
        return fv_fail(err, FLAGVER_ECONFLICT,
                       "%.300s: the %s is at rev %" PRId64 "; %" PRId64 " was expected",
                       txn->store->path, name, rev, expect);
    if (!refused)
        return fv_fail(err, FLAGVER_ECORRUPT, "%.300s: the %s differs in what never changes",
                       txn->store->path, name);
    if (err)
        *err = *refused;
    return FLAGVER_ECORRUPT;
}

/* Runs a statement that writes one row. */
static int write(const flagver_driver_txn *txn, const flagver_change *change,
                 struct fv_binder *call, flagver_error *err)
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
static int is_new(const flagver_driver_txn *txn, const flagver_change *change, bool *ret_new,
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

static void bind_series(struct fv_binder *call, const flagver_driver_txn *txn,
                        const flagver_change *change)
{
    fv_bind_text(call, txn->tenant);
    fv_bind_text(call, change->row.series->phase);
    fv_bind_text(call, change->row.series->subject);
}

static const struct finder series_by_name = {
    FV_SQL_SERIES_REV,
    "SELECT rev FROM main.flagver_series WHERE tenant = ? AND phase = ? AND subject "
    "= ?",
    bind_series
};

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

static void bind_payload(struct fv_binder *call, const flagver_driver_txn *txn,
                         const flagver_change *change)
{
    (void)txn;
    fv_bind_id(call, &change->row.payload->id);
}

static const struct finder payload_by_id = { FV_SQL_PAYLOAD_REV,
                                             "SELECT 1 FROM main.flagver_payload WHERE id = ?",
                                             bind_payload };

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

/* One that is shredded already is fine. */
static int empty_payload(const flagver_driver_txn *txn, const flagver_change *change,
                         flagver_error *err)
{
    struct fv_binder call;
    int64_t found;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_SHRED,
                      "UPDATE main.flagver_payload SET body = x'', key = NULL, salt = NULL, "
                      "shredded = 1 WHERE id = ? AND shredded IS NULL",
                      err);
    if (r < 0)
        return r;
    bind_payload(&call, txn, change);
    r = fv_bind_step(&call, err);
    if (r < 0 || sqlite3_changes(txn->conn->db) == 1)
        return r;
    r = find_rev(txn, change, &found, err);
    return r == 0 && !found ? explain(txn, change, NULL, err) : r;
}

/*
 * What SQLite frees stays in the file until the place is needed, unless it is told to write over
 * it. The connection may be the application's: it gets its setting back.
 */
static int shred_payload(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    static const char *const settings[] = { "PRAGMA main.secure_delete = off",
                                            "PRAGMA main.secure_delete = on",
                                            "PRAGMA main.secure_delete = fast" };
    char before[4], now[4];
    int r;

    r = fv_sqlite_ask(txn->conn, "PRAGMA main.secure_delete", before, sizeof before, err);
    if (r == 0)
        r = fv_sqlite_ask(txn->conn, settings[1], now, sizeof now, err);
    if (r < 0)
        return r;
    txn->shredded = true;
    r = empty_payload(txn, change, err);
    if (before[0] == '0' || before[0] == '2')
        fv_sqlite_ask(txn->conn, settings[before[0] - '0'], now, sizeof now, NULL);
    return r;
}

/* ---- versions ---- */

static flagver_bytes hash_of(const uint8_t *hash)
{
    return (flagver_bytes){ hash, 32 };
}

static void bind_version(struct fv_binder *call, const flagver_driver_txn *txn,
                         const flagver_change *change)
{
    (void)txn;
    fv_bind_id(call, &change->row.version->series);
    fv_bind_integer(call, change->row.version->no);
}

static const struct finder version_by_number = {
    FV_SQL_VERSION_REV, "SELECT rev FROM main.flagver_version WHERE series = ? AND no = ?",
    bind_version
};

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

/* ---- what belongs to a version ---- */

static void bind_item(struct fv_binder *call, const flagver_driver_txn *txn,
                      const flagver_change *change)
{
    (void)txn;
    fv_bind_id(call, &change->row.item->series);
    fv_bind_integer(call, change->row.item->no);
    fv_bind_text(call, change->row.item->key);
}

static const struct finder item_by_key = {
    FV_SQL_ITEM_REV, "SELECT 1 FROM main.flagver_item WHERE series = ? AND no = ? AND key = ?",
    bind_item
};

static void bind_item_rest(struct fv_binder *call, const flagver_item_row *row)
{
    fv_bind_integer(call, row->status);
    fv_bind_positive(call, row->origin_no);
    fv_bind_positive(call, row->decided_at);
    fv_bind_text(call, row->decided_by);
    fv_bind_text(call, row->note);
    fv_bind_id(call, &row->payload_id);
    fv_bind_blob(call, hash_of(row->hash));
}

static int add_item(const flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_ITEM_NEW,
                      "INSERT INTO main.flagver_item (status, origin_no, decided_at, decided_by, "
                      "note, payload, hash, series, no, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      err);
    if (r < 0)
        return r;
    bind_item_rest(&call, change->row.item);
    bind_item(&call, txn, change);
    return write(txn, change, &call, err);
}

/* Changed if it is there. (ON CONFLICT would ask the triggers for insertion first.) */
static int write_item(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_ITEM_CHANGE,
                      "UPDATE main.flagver_item SET status = ?, origin_no = ?, decided_at = ?, "
                      "decided_by = ?, note = ?, payload = ?, hash = ? WHERE series = ? AND "
                      "no = ? AND key = ?",
                      err);
    if (r < 0)
        return r;
    bind_item_rest(&call, change->row.item);
    bind_item(&call, txn, change);
    r = fv_bind_step(&call, err);
    if (r < 0)
        return r;
    return sqlite3_changes(txn->conn->db) == 1 ? 0 : add_item(txn, change, err);
}

static int delete_item(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_ITEM_DELETE,
                      "DELETE FROM main.flagver_item WHERE series = ? AND no = ? AND key = ?", err);
    if (r < 0)
        return r;
    bind_item(&call, txn, change);
    return write(txn, change, &call, err);
}

static void bind_vote(struct fv_binder *call, const flagver_driver_txn *txn,
                      const flagver_change *change)
{
    (void)txn;
    fv_bind_id(call, &change->row.vote->series);
    fv_bind_integer(call, change->row.vote->no);
    fv_bind_text(call, change->row.vote->actor);
    fv_bind_blob(call, hash_of(change->row.vote->content_hash));
}

static const struct finder vote_by_actor = {
    FV_SQL_VOTE_REV,
    "SELECT 1 FROM main.flagver_vote WHERE series = ? AND no = ? AND actor = ? AND "
    "content_hash = ?",
    bind_vote
};

static int add_vote(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_VOTE,
                      "INSERT INTO main.flagver_vote (series, no, actor, content_hash, time, note) "
                      "VALUES (?, ?, ?, ?, ?, ?)",
                      err);
    if (r < 0)
        return r;
    bind_vote(&call, txn, change);
    fv_bind_integer(&call, change->row.vote->time);
    fv_bind_text(&call, change->row.vote->note);
    return write(txn, change, &call, err);
}

static void bind_contributor(struct fv_binder *call, const flagver_driver_txn *txn,
                             const flagver_change *change)
{
    (void)txn;
    fv_bind_id(call, &change->row.contributor->series);
    fv_bind_integer(call, change->row.contributor->no);
    fv_bind_text(call, change->row.contributor->actor);
}

static const struct finder contributor_by_actor = {
    FV_SQL_CONTRIBUTOR_REV,
    "SELECT 1 FROM main.flagver_contributor WHERE series = ? AND no = ? AND actor = "
    "?",
    bind_contributor
};

static int add_contributor(flagver_driver_txn *txn, const flagver_change *change,
                           flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_CONTRIBUTOR,
                      "INSERT INTO main.flagver_contributor (series, no, actor) VALUES (?, ?, ?)",
                      err);
    if (r < 0)
        return r;
    bind_contributor(&call, txn, change);
    return write(txn, change, &call, err);
}

/* ---- the log ---- */

static void bind_leaf(struct fv_binder *call, const flagver_driver_txn *txn,
                      const flagver_change *change)
{
    fv_bind_text(call, txn->tenant);
    fv_bind_integer(call, (int64_t)change->row.leaf->no);
}

static const struct finder leaf_by_number = {
    FV_SQL_LEAF_REV, "SELECT 1 FROM main.flagver_leaf WHERE tenant = ? AND no = ?", bind_leaf
};

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
    bind_leaf(&call, txn, change);
    fv_bind_blob(&call, row->leaf);
    fv_bind_blob(&call, hash_of(row->hash));
    return write(txn, change, &call, err);
}

static void bind_node(struct fv_binder *call, const flagver_driver_txn *txn,
                      const flagver_change *change)
{
    fv_bind_text(call, txn->tenant);
    fv_bind_integer(call, change->row.node->level);
    fv_bind_integer(call, (int64_t)change->row.node->index);
}

static const struct finder node_by_number = {
    FV_SQL_NODE_REV, "SELECT 1 FROM main.flagver_node WHERE tenant = ? AND level = ? AND no = ?",
    bind_node
};

static int add_node(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = check_tenant(txn, change->row.node->tenant, err);
    if (r == 0)
        r = fv_bind_start(&call, txn->conn, FV_SQL_NODE,
                          "INSERT INTO main.flagver_node (tenant, level, no, hash) VALUES (?, ?, "
                          "?, ?)",
                          err);
    if (r < 0)
        return r;
    bind_node(&call, txn, change);
    fv_bind_blob(&call, hash_of(change->row.node->hash));
    return write(txn, change, &call, err);
}

static void bind_log(struct fv_binder *call, const flagver_driver_txn *txn,
                     const flagver_change *change)
{
    (void)change;
    fv_bind_text(call, txn->tenant);
}

static const struct finder log_by_tenant = { FV_SQL_LOG_SIZE,
                                             "SELECT size FROM main.flagver_log WHERE tenant = ?",
                                             bind_log };

static int write_head(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const flagver_log_row *row = change->row.head;
    struct fv_binder call;
    int64_t size;
    int r;

    r = check_tenant(txn, row->tenant, err);
    if (r == 0)
        r = fv_bind_start(
            &call, txn->conn, FV_SQL_HEAD,
            "UPDATE main.flagver_log SET frontier = ?1, frontier_size = iif(?1 IS NULL, "
            "NULL, size) WHERE tenant = ?2 AND size = ?3",
            err);
    if (r < 0)
        return r;
    fv_bind_blob(&call, row->frontier);
    fv_bind_text(&call, txn->tenant);
    fv_bind_integer(&call, (int64_t)row->size);
    r = fv_bind_step(&call, err);
    if (r < 0 || sqlite3_changes(txn->conn->db) == 1)
        return r;
    r = find_rev(txn, change, &size, err);
    if (r == 0)
        r = fv_fail(err, FLAGVER_ECONFLICT,
                    "%.300s: the log has %" PRId64 " leaves; the head is of %" PRIu64,
                    txn->store->path, size, row->size);
    return r;
}

/* ---- keyed rows ---- */

static void bind_keyed(struct fv_binder *call, const flagver_driver_txn *txn,
                       const flagver_change *change)
{
    fv_bind_text(call, txn->tenant);
    fv_bind_text(call, change->row.keyed->space);
    fv_bind_text(call, change->row.keyed->key);
}

static const struct finder keyed_by_key = {
    FV_SQL_KEYED_REV,
    "SELECT rev FROM main.flagver_keyed WHERE tenant = ? AND space = ? AND key = ?", bind_keyed
};

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
    bind_keyed(&call, txn, change);
    if (!new_row)
        bind_expected(&call, change->expect);
    return write(txn, change, &call, err);
}

static int delete_keyed(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
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
    bind_keyed(&call, txn, change);
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

static const struct kind kinds[] = {
    [FLAGVER_CHANGE_SERIES] = { "series", AS_SAID, change_series, &series_by_name },
    [FLAGVER_CHANGE_PAYLOAD] = { "payload", ABSENT, add_payload, &payload_by_id },
    [FLAGVER_CHANGE_VERSION_NEW] = { "version", ABSENT, add_version, &version_by_number },
    [FLAGVER_CHANGE_VERSION_CHANGE] = { "version", AS_SAID, change_version, &version_by_number },
    [FLAGVER_CHANGE_LEAF] = { "leaf", ABSENT, append_leaf, &leaf_by_number },
    [FLAGVER_CHANGE_KEYED] = { "row", AS_SAID, change_keyed, &keyed_by_key },
    [FLAGVER_CHANGE_KEYED_DELETE] = { "row", AS_SAID, change_keyed, &keyed_by_key },
    [FLAGVER_CHANGE_KEYED_EXPIRE] = { "row", ANY, change_keyed, &keyed_by_key },
    [FLAGVER_CHANGE_SHRED] = { "payload", ANY, shred_payload, &payload_by_id },
    [FLAGVER_CHANGE_ITEM] = { "item", ANY, write_item, &item_by_key },
    [FLAGVER_CHANGE_ITEM_DELETE] = { "item", ANY, delete_item, &item_by_key },
    [FLAGVER_CHANGE_VOTE] = { "vote", ABSENT, add_vote, &vote_by_actor },
    [FLAGVER_CHANGE_CONTRIBUTOR] = { "contributor", ABSENT, add_contributor,
                                     &contributor_by_actor },
    [FLAGVER_CHANGE_NODE] = { "node", ABSENT, add_node, &node_by_number },
    [FLAGVER_CHANGE_HEAD] = { "log", ANY, write_head, &log_by_tenant },
};

static const struct kind *kind_of(int32_t kind)
{
    return kind > 0 && kind < (int32_t)(sizeof kinds / sizeof *kinds) ? &kinds[kind] : NULL;
}

static int apply_one(flagver_driver_txn *txn, const flagver_change *change, flagver_error *err)
{
    const struct kind *kind = kind_of(change->kind);

    return kind ? kind->apply(txn, change, err)
                : fv_fail(err, FLAGVER_EINVAL, "there is no change of kind %d", (int)change->kind);
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
