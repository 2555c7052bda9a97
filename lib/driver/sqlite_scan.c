#include <string.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"
#include "util/memory.h"

struct flagver_cursor {
    flagver_driver_txn *txn;
    sqlite3_stmt *statement;
    int shape; /* where the statement goes back to */
    int32_t kind;
    bool payload, done;
};

/* ---- shapes: what tells statements apart ---- */

enum {
    SHAPE_VERSIONS = 0,      /* pick, 4; has a phase, 2; backwards, 2; payload, 2 */
    SHAPE_OPEN = 32,         /* has a phase, 2; backwards, 2; payload, 2 */
    SHAPE_VERSION = 40,      /* payload, 2 */
    SHAPE_SERIES = 42,       /* has a phase, 2; backwards, 2 */
    SHAPE_ITEMS = 46,        /* of all series, 2; of one version, 2; payload, 2 */
    SHAPE_VOTES = 54,        /* of all series, 2 */
    SHAPE_CONTRIBUTORS = 56, /* of all series, 2 */
    SHAPE_LEAVES = 58,
    SHAPE_NODES,
    SHAPE_LOG,
    SHAPE_KEYED,
    SHAPE_TENANTS,
    SHAPE_COUNT
};

_Static_assert(SHAPE_COUNT <= FV_SCAN_SHAPES, "each shape has a place in a connection");

static int shape_of(const flagver_query *query)
{
    int named = query->phase.data != NULL, backwards = query->backwards != 0;
    int payload = query->payload != 0, all = fv_query_is_of_all_series(query);

    switch (query->kind) {
    case FLAGVER_QUERY_VERSIONS:
        if (fv_query_wants_open(query))
            return SHAPE_OPEN + named * 4 + backwards * 2 + payload;
        return query->pick < FLAGVER_PICK_CURRENT || query->pick > FLAGVER_PICK_ALL
                   ? -1
                   : SHAPE_VERSIONS + (query->pick - 1) * 8 + named * 4 + backwards * 2 + payload;
    case FLAGVER_QUERY_VERSION:
        return SHAPE_VERSION + payload;
    case FLAGVER_QUERY_SERIES:
        return SHAPE_SERIES + named * 2 + backwards;
    case FLAGVER_QUERY_ITEMS:
        return SHAPE_ITEMS + all * 4 + (query->no != 0) * 2 + payload;
    case FLAGVER_QUERY_VOTES:
        return SHAPE_VOTES + all;
    case FLAGVER_QUERY_CONTRIBUTORS:
        return SHAPE_CONTRIBUTORS + all;
    case FLAGVER_QUERY_LEAVES:
        return SHAPE_LEAVES;
    case FLAGVER_QUERY_NODES:
        return SHAPE_NODES;
    case FLAGVER_QUERY_LOG:
        return SHAPE_LOG;
    case FLAGVER_QUERY_KEYED:
        return SHAPE_KEYED;
    case FLAGVER_QUERY_TENANTS:
        return SHAPE_TENANTS;
    default:
        return -1;
    }
}

/*
 * Parameters have one number in all shapes: ?1 tenant, ?2 phase or space, ?3 ?4 the range of
 * subjects or keys, ?5 ?6 numbers, ?7 time, ?8 limit, ?9 id, ?10 states, ?11 the lowest of
 * them.
 *
 * CROSS JOIN keeps the order of the loops: series by name, each one's versions by number. So all
 * comes in the order that is asked for and nothing is sorted, but for open versions and votes.
 */
static const char version_columns[] =
    "SELECT v.series, v.id, v.no, v.parent_no, v.base_no, v.reverts_no, v.superseded_by, v.state, "
    "v.bits, v.rev, v.created_at, v.submitted_at, v.decided_at, v.superseded_at, v.created_by, "
    "v.decided_by, v.note, v.payload, v.content_hash, s.phase, s.subject";

static const char payload_columns[] = ", p.body, p.salt, p.key, p.shredded";
static const char payload_join[] = " LEFT JOIN main.flagver_payload p ON p.id = v.payload";

/*
 * Versions are decided one after the other, so of those that were decided by then the last one
 * is the only one that can have been in force.
 */
static const char *const picks[] = {
    "v.no = s.current_no AND (v.state = 3 OR v.state = 7)",
    "v.no = ifnull((SELECT no FROM main.flagver_version WHERE series = s.id AND decided_at <= ?7 "
    "AND state IN (3, 4) ORDER BY decided_at DESC LIMIT 1), (SELECT no FROM main.flagver_version "
    "WHERE series = s.id AND state = 7 AND created_at <= ?7 ORDER BY no DESC LIMIT 1)) AND "
    "(v.superseded_at IS NULL OR v.superseded_at > ?7)",
    "v.no = ?5",
    "v.no > ?5 AND v.no < ?6",
};

static void add_range(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, " WHERE s.tenant = ?1");
    if (query->phase.data)
        fv_text_add(sql, " AND s.phase = ?2");
    fv_text_add(sql, " AND s.subject >= ?3 AND s.subject < ?4");
}

static void write_versions(struct fv_text *sql, const flagver_query *query)
{
    const char *down = query->backwards ? " DESC" : "";

    fv_text_add(sql, version_columns);
    if (query->payload)
        fv_text_add(sql, payload_columns);
    if (fv_query_wants_open(query))
        fv_text_add(sql, " FROM main.flagver_version v CROSS JOIN main.flagver_series s ON "
                         "s.id = v.series AND v.state >= ?11 AND v.state <= 2 AND v.no > ?5 "
                         "AND v.no < ?6");
    else
        fv_text_format(sql,
                       " FROM main.flagver_series s CROSS JOIN main.flagver_version v ON "
                       "v.series = s.id AND %s",
                       picks[query->pick - 1]);
    if (query->payload)
        fv_text_add(sql, payload_join);
    add_range(sql, query);
    fv_text_add(sql, " AND (?10 >> v.state) & 1");
    fv_text_format(sql, " ORDER BY s.phase%s, s.subject%s, v.no%s LIMIT ?8", down, down, down);
}

static void write_version(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, version_columns);
    if (query->payload)
        fv_text_add(sql, payload_columns);
    fv_text_add(sql, " FROM main.flagver_version v CROSS JOIN main.flagver_series s ON "
                     "s.id = v.series");
    if (query->payload)
        fv_text_add(sql, payload_join);
    fv_text_add(sql, " WHERE v.id = ?9 AND s.tenant = ?1");
}

static void write_series(struct fv_text *sql, const flagver_query *query)
{
    const char *down = query->backwards ? " DESC" : "";

    fv_text_add(sql, "SELECT s.id, s.phase, s.subject, s.last_no, s.current_no, s.rev, "
                     "s.changed_at FROM main.flagver_series s");
    add_range(sql, query);
    fv_text_format(sql, " ORDER BY s.phase%s, s.subject%s LIMIT ?8", down, down);
}

/*
 * What belongs to versions. Series have ids of their own in each tenant: what belongs to one is seen
 * through it.
 */
static void write_parts(struct fv_text *sql, const flagver_query *query, const char *table,
                        const char *which, const char *order)
{
    bool all = fv_query_is_of_all_series(query);

    fv_text_format(
        sql, " FROM main.flagver_series s CROSS JOIN main.flagver_%s v ON v.series = s.id", table);
    if (query->kind == FLAGVER_QUERY_ITEMS && query->payload)
        fv_text_add(sql, payload_join);
    fv_text_format(sql, " WHERE s.tenant = ?1%s AND %s ORDER BY %s%s LIMIT ?8",
                   all ? "" : " AND s.id = ?9", which, all ? "s.phase, s.subject, " : "", order);
}

static void write_items(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, "SELECT v.series, v.no, v.key, v.status, v.origin_no, v.decided_at, "
                     "v.decided_by, v.note, v.payload, v.hash");
    if (query->payload)
        fv_text_add(sql, payload_columns);
    write_parts(sql, query, "item",
                query->no ? "v.no = ?5 AND v.key >= ?3 AND v.key < ?4"
                          : "v.no > ?5 AND v.key >= ?3 AND v.key < ?4",
                "v.no, v.key");
}

static void write_votes(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, "SELECT v.series, v.no, v.actor, v.content_hash, v.time, v.note");
    write_parts(sql, query, "vote", "v.no BETWEEN ?5 AND ?6",
                "v.no, v.time, v.actor, v.content_hash");
}

static void write_contributors(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, "SELECT v.series, v.no, v.actor");
    write_parts(sql, query, "contributor", "v.no BETWEEN ?5 AND ?6", "v.no, v.actor");
}

static const char leaves[] = "SELECT no, leaf, hash FROM main.flagver_leaf WHERE tenant = ?1 AND "
                             "no >= ?5 ORDER BY no LIMIT ?8";

static const char nodes[] = "SELECT level, no, hash FROM main.flagver_node WHERE tenant = ?1 AND "
                            "level = ?6 AND no >= ?5 ORDER BY no LIMIT ?8";

static const char log_head[] = "SELECT size, frontier FROM main.flagver_log WHERE tenant = ?1";

static const char keyed[] =
    "SELECT key, rev, time, value, space FROM main.flagver_keyed WHERE tenant = ?1 "
    "AND space = ?2 AND key >= ?3 AND key < ?4 AND time < ?7 ORDER BY key "
    "LIMIT ?8";

/* From one tenant to the next, without a look at all of its series. */
static const char tenants[] =
    "WITH RECURSIVE t (tenant) AS (SELECT min(tenant) FROM main.flagver_series UNION ALL "
    "SELECT (SELECT min(tenant) FROM main.flagver_series WHERE tenant > t.tenant) FROM t "
    "WHERE t.tenant IS NOT NULL) "
    "SELECT tenant FROM t WHERE tenant IS NOT NULL UNION SELECT tenant FROM main.flagver_log "
    "ORDER BY 1 LIMIT ?8";

static void write_sql(struct fv_text *sql, const flagver_query *query)
{
    switch (query->kind) {
    case FLAGVER_QUERY_VERSIONS:
        write_versions(sql, query);
        break;
    case FLAGVER_QUERY_VERSION:
        write_version(sql, query);
        break;
    case FLAGVER_QUERY_SERIES:
        write_series(sql, query);
        break;
    case FLAGVER_QUERY_ITEMS:
        write_items(sql, query);
        break;
    case FLAGVER_QUERY_VOTES:
        write_votes(sql, query);
        break;
    case FLAGVER_QUERY_CONTRIBUTORS:
        write_contributors(sql, query);
        break;
    case FLAGVER_QUERY_LEAVES:
        fv_text_add(sql, leaves);
        break;
    case FLAGVER_QUERY_NODES:
        fv_text_add(sql, nodes);
        break;
    case FLAGVER_QUERY_LOG:
        fv_text_add(sql, log_head);
        break;
    case FLAGVER_QUERY_KEYED:
        fv_text_add(sql, keyed);
        break;
    default:
        fv_text_add(sql, tenants);
    }
}

/* The statement of the shape; one that another cursor has is made anew. */
static int take_statement(flagver_driver_txn *txn, const flagver_query *query, int shape,
                          sqlite3_stmt **ret_statement, flagver_error *err)
{
    struct fv_text sql = FV_TEXT_INIT;
    int r;

    if (txn->conn->scans[shape]) {
        *ret_statement = txn->conn->scans[shape];
        txn->conn->scans[shape] = NULL;
        return 0;
    }
    write_sql(&sql, query);
    r = sql.failed ? fv_fail_memory(err)
                   : fv_sqlite_prepare(txn->conn, sql.data, ret_statement, err);
    fv_text_clear(&sql);
    return r;
}

/* ---- ranges ---- */

/* Which texts: low <= text < high. */
struct range {
    struct fv_text low, high;
    bool open; /* there is no upper end */
};

static int compare(const struct fv_text *a, const struct fv_text *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, shorter);

    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static void set(struct fv_text *text, flagver_bytes value, const char *tail, size_t tail_length)
{
    fv_text_reset(text);
    fv_text_add_bytes(text, value.data, value.length);
    fv_text_add_bytes(text, tail, tail_length);
}

/*
 * What comes next after a text is that text with a NUL, which no text has; what begins with a
 * prefix is less than the prefix with a byte that UTF-8 does not have.
 */
static void find_range(struct range *range, const flagver_query *query)
{
    struct fv_text after = FV_TEXT_INIT;

    range->open = !query->subject.data;
    if (query->subject.data) {
        set(&range->low, query->subject, "", 0);
        set(&range->high, query->subject, query->prefix ? "\xff" : "\0", 1);
    }
    if (!query->after.data)
        return;

    set(&after, query->after, "\0", query->backwards ? 0 : 1);
    if (!query->backwards) {
        if (compare(&after, &range->low) > 0)
            set(&range->low, query->after, "\0", 1);
    } else if (range->open || compare(&after, &range->high) < 0) {
        set(&range->high, query->after, "", 0);
        range->open = false;
    }
    range->high.failed = range->high.failed || after.failed;
    fv_text_clear(&after);
}

/* ---- binding ---- */

/* A parameter that a statement does not have is passed over. */
static int bind_text(sqlite3_stmt *statement, int at, const void *text, size_t length)
{
    if (at > sqlite3_bind_parameter_count(statement))
        return SQLITE_OK;
    return sqlite3_bind_text64(statement, at, text, length, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int bind_integer(sqlite3_stmt *statement, int at, int64_t value)
{
    return at > sqlite3_bind_parameter_count(statement) ? SQLITE_OK
                                                        : sqlite3_bind_int64(statement, at, value);
}

/* A blob is greater than any text. */
static int bind_range(sqlite3_stmt *statement, const struct range *range)
{
    int r = bind_text(statement, 3, range->low.data, range->low.length);

    if (r != SQLITE_OK || sqlite3_bind_parameter_count(statement) < 4)
        return r;
    return range->open ? sqlite3_bind_zeroblob(statement, 4, 0)
                       : bind_text(statement, 4, range->high.data, range->high.length);
}

static int bind_numbers(sqlite3_stmt *statement, const flagver_query *query)
{
    int64_t low, high;
    int r;

    fv_query_numbers(query, &low, &high);
    r = bind_integer(statement, 5, low);
    return r == SQLITE_OK ? bind_integer(statement, 6, high) : r;
}

static int bind_all(const flagver_driver_txn *txn, sqlite3_stmt *statement,
                    const flagver_query *query, const struct range *range)
{
    bool is_keyed = query->kind == FLAGVER_QUERY_KEYED;
    flagver_bytes place = is_keyed ? query->space : query->phase;
    int r;

    r = bind_text(statement, 1, txn->tenant.data, txn->tenant.length);
    if (r == SQLITE_OK)
        r = bind_text(statement, 2, place.data, place.length);
    if (r == SQLITE_OK)
        r = bind_range(statement, range);
    if (r == SQLITE_OK)
        r = bind_numbers(statement, query);
    if (r == SQLITE_OK)
        r = bind_integer(statement, 7, is_keyed && !query->time ? INT64_MAX : query->time);
    if (r == SQLITE_OK)
        r = bind_integer(statement, 8, query->limit ? (int64_t)query->limit : -1);
    if (r == SQLITE_OK && sqlite3_bind_parameter_count(statement) >= 9)
        r = sqlite3_bind_blob(statement, 9, query->id.bytes, sizeof query->id.bytes,
                              SQLITE_TRANSIENT);
    if (r == SQLITE_OK)
        r = bind_integer(statement, 10, query->states ? query->states : UINT32_MAX);
    if (r == SQLITE_OK)
        r = bind_integer(statement, 11, fv_query_lowest_open_state(query));
    return r;
}

/* ---- cursors ---- */

static int open_cursor(flagver_cursor *cursor, const flagver_query *query, flagver_error *err)
{
    struct range range = { FV_TEXT_INIT, FV_TEXT_INIT, false };
    int r;

    r = take_statement(cursor->txn, query, cursor->shape, &cursor->statement, err);
    if (r < 0)
        return r;
    find_range(&range, query);
    if (range.low.failed || range.high.failed)
        r = fv_fail_memory(err);
    else if (bind_all(cursor->txn, cursor->statement, query, &range) != SQLITE_OK)
        r = fv_sqlite_fail(cursor->txn->conn, err);
    fv_text_clear(&range.low);
    fv_text_clear(&range.high);
    return r;
}

int fv_sqlite_scan(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                   flagver_error *err)
{
    int shape = shape_of(query), r;
    flagver_cursor *cursor;

    if (shape < 0)
        return fv_fail(err, FLAGVER_EINVAL, "there is no query of kind %d, pick %d",
                       (int)query->kind, (int)query->pick);
    cursor = fv_allocate_zeroed(txn->store->memory, 1, sizeof *cursor);
    if (!cursor)
        return fv_fail_memory(err);
    cursor->txn = txn;
    cursor->shape = shape;
    cursor->kind = query->kind;
    cursor->payload = query->payload != 0;
    r = open_cursor(cursor, query, err);
    if (r < 0) {
        fv_sqlite_end_scan(cursor);
        return r;
    }
    *ret_cursor = cursor;
    return 0;
}

static uint32_t column_no(sqlite3_stmt *statement, int column)
{
    return (uint32_t)sqlite3_column_int64(statement, column);
}

static void column_hash(sqlite3_stmt *statement, int column, uint8_t out[32])
{
    const void *hash = sqlite3_column_blob(statement, column);

    if (hash && sqlite3_column_bytes(statement, column) == 32)
        memcpy(out, hash, 32);
    else
        memset(out, 0, 32);
}

/* The columns of a payload, from this one on; none when it was shredded. */
static void read_payload(sqlite3_stmt *statement, int column, flagver_bytes *ret_body,
                         flagver_bytes *ret_salt, uint32_t *ret_key)
{
    if (sqlite3_column_int(statement, column + 3))
        return;
    *ret_body = fv_column_bytes(statement, column);
    *ret_salt = fv_column_bytes(statement, column + 1);
    *ret_key = column_no(statement, column + 2);
}

static void read_version(const flagver_cursor *cursor, flagver_version_row *row)
{
    sqlite3_stmt *statement = cursor->statement;

    fv_column_id(statement, 0, &row->series);
    fv_column_id(statement, 1, &row->id);
    row->no = column_no(statement, 2);
    row->parent_no = column_no(statement, 3);
    row->base_no = column_no(statement, 4);
    row->reverts_no = column_no(statement, 5);
    row->superseded_by = column_no(statement, 6);
    row->state = sqlite3_column_int(statement, 7);
    row->bits = column_no(statement, 8);
    row->rev = sqlite3_column_int64(statement, 9);
    row->created_at = sqlite3_column_int64(statement, 10);
    row->submitted_at = sqlite3_column_int64(statement, 11);
    row->decided_at = sqlite3_column_int64(statement, 12);
    row->superseded_at = sqlite3_column_int64(statement, 13);
    row->created_by = fv_column_bytes(statement, 14);
    row->decided_by = fv_column_bytes(statement, 15);
    row->note = fv_column_bytes(statement, 16);
    fv_column_id(statement, 17, &row->payload_id);
    column_hash(statement, 18, row->content_hash);
    row->tenant = cursor->txn->tenant;
    row->phase = fv_column_bytes(statement, 19);
    row->subject = fv_column_bytes(statement, 20);
    if (cursor->payload)
        read_payload(statement, 21, &row->payload, &row->payload_salt, &row->payload_key);
}

static void read_series(const flagver_cursor *cursor, flagver_series_row *row)
{
    sqlite3_stmt *statement = cursor->statement;

    row->tenant = cursor->txn->tenant;
    fv_column_id(statement, 0, &row->id);
    row->phase = fv_column_bytes(statement, 1);
    row->subject = fv_column_bytes(statement, 2);
    row->last_no = column_no(statement, 3);
    row->current_no = column_no(statement, 4);
    row->rev = sqlite3_column_int64(statement, 5);
    row->changed_at = sqlite3_column_int64(statement, 6);
}

static void read_item(const flagver_cursor *cursor, flagver_item_row *row)
{
    sqlite3_stmt *statement = cursor->statement;

    fv_column_id(statement, 0, &row->series);
    row->no = column_no(statement, 1);
    row->key = fv_column_bytes(statement, 2);
    row->status = sqlite3_column_int(statement, 3);
    row->origin_no = column_no(statement, 4);
    row->decided_at = sqlite3_column_int64(statement, 5);
    row->decided_by = fv_column_bytes(statement, 6);
    row->note = fv_column_bytes(statement, 7);
    fv_column_id(statement, 8, &row->payload_id);
    column_hash(statement, 9, row->hash);
    if (cursor->payload)
        read_payload(statement, 10, &row->payload, &row->payload_salt, &row->payload_key);
}

static void read_vote(const flagver_cursor *cursor, flagver_vote_row *row)
{
    fv_column_id(cursor->statement, 0, &row->series);
    row->no = column_no(cursor->statement, 1);
    row->actor = fv_column_bytes(cursor->statement, 2);
    column_hash(cursor->statement, 3, row->content_hash);
    row->time = sqlite3_column_int64(cursor->statement, 4);
    row->note = fv_column_bytes(cursor->statement, 5);
}

static void read_contributor(const flagver_cursor *cursor, flagver_contributor_row *row)
{
    fv_column_id(cursor->statement, 0, &row->series);
    row->no = column_no(cursor->statement, 1);
    row->actor = fv_column_bytes(cursor->statement, 2);
}

static void read_leaf(const flagver_cursor *cursor, flagver_leaf_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->no = (uint64_t)sqlite3_column_int64(cursor->statement, 0);
    row->leaf.data = sqlite3_column_blob(cursor->statement, 1); /* NULL: an empty one */
    row->leaf.length = (size_t)sqlite3_column_bytes(cursor->statement, 1);
    if (!row->leaf.data)
        row->leaf.data = "";
    column_hash(cursor->statement, 2, row->hash);
}

static void read_node(const flagver_cursor *cursor, flagver_node_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->level = column_no(cursor->statement, 0);
    row->index = (uint64_t)sqlite3_column_int64(cursor->statement, 1);
    column_hash(cursor->statement, 2, row->hash);
}

static void read_log(const flagver_cursor *cursor, flagver_log_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->size = (uint64_t)sqlite3_column_int64(cursor->statement, 0);
    row->frontier = fv_column_bytes(cursor->statement, 1);
}

static void read_keyed(const flagver_cursor *cursor, flagver_keyed_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->space = fv_column_bytes(cursor->statement, 4);
    row->key = fv_column_bytes(cursor->statement, 0);
    row->rev = sqlite3_column_int64(cursor->statement, 1);
    row->time = sqlite3_column_int64(cursor->statement, 2);
    row->value = fv_column_bytes(cursor->statement, 3);
}

static void read_row(const flagver_cursor *cursor, flagver_row *row)
{
    switch (cursor->kind) {
    case FLAGVER_QUERY_VERSIONS:
    case FLAGVER_QUERY_VERSION:
        read_version(cursor, &row->as.version);
        break;
    case FLAGVER_QUERY_SERIES:
        read_series(cursor, &row->as.series);
        break;
    case FLAGVER_QUERY_ITEMS:
        read_item(cursor, &row->as.item);
        break;
    case FLAGVER_QUERY_VOTES:
        read_vote(cursor, &row->as.vote);
        break;
    case FLAGVER_QUERY_CONTRIBUTORS:
        read_contributor(cursor, &row->as.contributor);
        break;
    case FLAGVER_QUERY_LEAVES:
        read_leaf(cursor, &row->as.leaf);
        break;
    case FLAGVER_QUERY_NODES:
        read_node(cursor, &row->as.node);
        break;
    case FLAGVER_QUERY_LOG:
        read_log(cursor, &row->as.log);
        break;
    case FLAGVER_QUERY_KEYED:
        read_keyed(cursor, &row->as.keyed);
        break;
    default:
        row->as.tenant = fv_column_bytes(cursor->statement, 0);
    }
}

int fv_sqlite_next(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err)
{
    int r;

    if (cursor->done)
        return 0;
    r = sqlite3_step(cursor->statement);
    if (r != SQLITE_ROW) {
        cursor->done = true; /* another step would begin anew */
        return r == SQLITE_DONE ? 0 : fv_sqlite_fail(cursor->txn->conn, err);
    }

    /* Those of the log have no members that are not written, and are read by the hundred. */
    if (cursor->kind != FLAGVER_QUERY_LEAVES && cursor->kind != FLAGVER_QUERY_NODES)
        memset(ret_row, 0, sizeof *ret_row);
    read_row(cursor, ret_row);
    return 1;
}

void fv_sqlite_end_scan(flagver_cursor *cursor)
{
    sqlite3_stmt **kept = &cursor->txn->conn->scans[cursor->shape];

    sqlite3_reset(cursor->statement);
    if (*kept || !cursor->statement) {
        sqlite3_finalize(cursor->statement);
    } else {
        sqlite3_clear_bindings(cursor->statement); /* they are copies */
        *kept = cursor->statement;
    }
    fv_release(cursor->txn->store->memory, cursor);
}
