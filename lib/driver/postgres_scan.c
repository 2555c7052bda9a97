#include <stdio.h>
#include <string.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/memory.h"
#include "util/utf8.h"

/*
 * Most answers are short, so each question is asked for its first rows by a statement that a
 * connection keeps. Only when there are more a cursor of the server's is declared, from the start,
 * so that all rows are of one moment; then they come in chunks. How large those are is told by the
 * rows before them, which may be wrong about what comes, so that there is an end to how many rows
 * come at once, and to what one of them takes: a large body is asked for when its row is looked at.
 */
#define FIRST_ROWS 128
#define CHUNK_BYTES (512u << 10)
#define CHUNK_ROWS 2048
#define CHUNK_GROWTH 4
#define LARGE_BODY "32768"

struct flagver_cursor {
    flagver_driver_txn *txn;
    int32_t kind;
    bool payload;   /* its rows have payloads */
    bool brief;     /* and little else */
    PGresult *rows; /* or NULL */
    PGresult *body; /* of the row that was given out last, when it is a large one */
    int count, at;
    bool more;       /* behind those */
    uint32_t number; /* of the server's cursor; 0: there is none */
    int asked;       /* rows of it that were asked for last */
    bool ahead;      /* they were asked for before they are needed */
    PGresult *next;  /* what has come of that, once it was taken */
};

/* ---- shapes: what tells statements apart ---- */

enum {
    SHAPE_VERSIONS = 0,      /* pick, 4; has a phase, 2; backwards, 2; payload, 2 */
    SHAPE_HISTORY = 32,      /* backwards, 2; payload, 2 */
    SHAPE_OPEN = 36,         /* has a phase, 2; backwards, 2; payload, 2 */
    SHAPE_VERSION = 44,      /* payload, 2 */
    SHAPE_SERIES = 46,       /* has a phase, 2; backwards, 2 */
    SHAPE_ITEMS = 50,        /* of all series, 2; of one version, 2; payload, 2 */
    SHAPE_VOTES = 58,        /* of all series, 2 */
    SHAPE_CONTRIBUTORS = 60, /* of all series, 2 */
    SHAPE_LEAVES = 62,
    SHAPE_NODES,
    SHAPE_LOG,
    SHAPE_KEYED,
    SHAPE_TENANTS,
    SHAPE_BODY,  /* of one payload */
    SHAPE_BRIEF, /* what is in force in a phase, and nothing that need not be there */
    SHAPE_COUNT
};

_Static_assert(FV_PG_SCANS + SHAPE_COUNT <= FV_PG_KEPT, "each shape has a place in a connection");

static bool wants_history(const flagver_query *query)
{
    return query->pick == FLAGVER_PICK_ALL && fv_query_is_of_one_series(query) &&
           !query->after.data;
}

/* Whoever opens a client reads thousands of them, of which a few columns are most of the time. */
static bool is_brief(const flagver_query *query)
{
    return query->brief && query->kind == FLAGVER_QUERY_VERSIONS &&
           query->pick == FLAGVER_PICK_CURRENT && query->phase.data && query->payload &&
           !query->backwards;
}

static int shape_of(const flagver_query *query)
{
    int named = query->phase.data != NULL, backwards = query->backwards != 0;
    int payload = query->payload != 0, all = fv_query_is_of_all_series(query);

    switch (query->kind) {
    case FLAGVER_QUERY_VERSIONS:
        if (is_brief(query))
            return SHAPE_BRIEF;
        if (fv_query_wants_open(query))
            return SHAPE_OPEN + named * 4 + backwards * 2 + payload;
        if (wants_history(query))
            return SHAPE_HISTORY + backwards * 2 + payload;
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
 * Parameters have one number in all shapes: $1 tenant, $2 phase or space, $3 $4 the range of
 * subjects or keys, $5 $6 numbers, $7 time, $8 limit, $9 id, $10 states, $11 the lowest of
 * them.
 *
 * A planner goes by what it was told when tables were analysed last. Of a tenant that has become
 * large since then it thinks that it has next to nothing, and that it may as well go through all of
 * it for each row. So the statements leave it no choice. A subquery with OFFSET 0 or LIMIT is
 * run for each row of what stands before it. One number is asked for as a range from itself to
 * itself, in order: only the index that has this order will do. (Ids have indexes that begin with
 * them.)
 *
 * All comes in the order that is asked for. Sorted are the versions of each series where all are
 * wanted, one series at a time, votes, and what is open.
 */
#define VERSION_COLUMNS                                                                     \
    "SELECT v.series, v.id, v.no, v.parent_no, v.base_no, v.reverts_no, v.superseded_by, "  \
    "v.state, v.bits, v.rev, v.created_at, v.submitted_at, v.decided_at, v.superseded_at, " \
    "v.created_by, v.decided_by, v.note, v.payload, v.content_hash, s.phase, s.subject"
#define BRIEF_COLUMNS "SELECT v.no, v.bits, v.payload, s.subject"
#define PAYLOAD_COLUMNS ", p.body, p.salt, p.key, p.large"

#define SERIES_PHASE " AND s.phase = $2"
#define SERIES_RANGE " AND s.subject >= $3 AND s.subject < $4"
#define STATES " AND (($10 >> x.state::integer) & 1) = 1"

/* What is shredded has no body any more. */
static const char payload_join[] =
    " LEFT JOIN LATERAL (SELECT CASE WHEN pg_catalog.octet_length(q.body) <= " LARGE_BODY
    " THEN q.body END "
    "AS body, q.salt, q.key, pg_catalog.octet_length(q.body) > " LARGE_BODY " AS large FROM "
    "flagver.payload q WHERE q.tenant = $1 AND q.id = v.payload AND q.shredded IS NULL OFFSET 0) "
    "p ON true";

static const struct fv_pg_statement large_body = {
    FV_PG_SCANS + SHAPE_BODY,
    "SELECT body FROM flagver.payload WHERE tenant = $1 AND id = $2 AND shredded IS NULL"
};

/*
 * Versions are decided one after the other, so of those that were decided by then the last one
 * is the only one that can have been in force.
 */
static const char number_as_of[] =
    " CROSS JOIN LATERAL (SELECT coalesce((SELECT d.no FROM flagver.version d WHERE d.tenant = $1 "
    "AND d.series = s.id AND d.decided_at <= $7 AND d.state IN (3, 4) "
    "ORDER BY d.decided_at DESC LIMIT 1), (SELECT d.no FROM flagver.version d WHERE "
    "d.tenant = $1 AND d.series = s.id AND d.state = 7 AND d.created_at <= $7 "
    "ORDER BY d.no DESC LIMIT 1)) AS no OFFSET 0) n";

static const char *const picks[] = {
    "x.no >= s.current_no AND x.no <= s.current_no AND x.state IN (3, 7)",
    "x.no >= n.no AND x.no <= n.no AND (x.superseded_at IS NULL OR x.superseded_at > $7)",
    "x.no >= $5 AND x.no <= $5",
    "x.no > $5 AND x.no < $6",
};

static void write_order(struct fv_text *sql, const flagver_query *query, bool by_number)
{
    const char *down = query->backwards ? " DESC" : "";

    fv_text_format(sql, " ORDER BY s.phase%s, s.subject%s", down, down);
    if (by_number)
        fv_text_format(sql, ", v.no%s", down);
    fv_text_add(sql, " LIMIT $8");
}

static void write_series_range(struct fv_text *sql, const flagver_query *query)
{
    if (query->phase.data)
        fv_text_add(sql, SERIES_PHASE);
    fv_text_add(sql, SERIES_RANGE);
}

static void write_versions(struct fv_text *sql, const flagver_query *query)
{
    bool all = query->pick == FLAGVER_PICK_ALL;

    fv_text_add(sql, " FROM flagver.series s");
    if (query->pick == FLAGVER_PICK_AS_OF)
        fv_text_add(sql, number_as_of);
    fv_text_format(sql,
                   " CROSS JOIN LATERAL (SELECT * FROM flagver.version x WHERE x.tenant = $1 AND "
                   "x.series = s.id AND %s" STATES " ORDER BY x.no %s) v",
                   picks[query->pick - 1], all ? "OFFSET 0" : "LIMIT 1");
    if (query->payload)
        fv_text_add(sql, payload_join);
    fv_text_add(sql, " WHERE s.tenant = $1");
    write_series_range(sql, query);
    write_order(sql, query, all);
}

/* Page by page of a long one: it is read in the order of its index, from where the page begins. */
static void write_history(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, " FROM flagver.version v CROSS JOIN (SELECT $2 AS phase, $3 AS subject) s");
    if (query->payload)
        fv_text_add(sql, payload_join);
    fv_text_add(sql, " WHERE v.tenant = $1 AND v.series = (SELECT s.id FROM flagver.series s WHERE "
                     "s.tenant = $1" SERIES_PHASE SERIES_RANGE " ORDER BY s.subject LIMIT 1) AND "
                     "v.no > $5 AND v.no < $6 AND (($10 >> v.state::integer) & 1) = 1");
    fv_text_format(sql, " ORDER BY v.no%s LIMIT $8", query->backwards ? " DESC" : "");
}

static void write_open(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, " FROM (SELECT * FROM flagver.version x WHERE x.tenant = $1 AND "
                     "x.state >= $11 AND x.state <= 2 AND x.no > $5 AND x.no < $6" STATES
                     " ORDER BY x.state, x.series, x.no OFFSET 0) v CROSS JOIN LATERAL "
                     "(SELECT s.phase, s.subject FROM flagver.series s WHERE s.tenant = $1 AND "
                     "s.id = v.series");
    write_series_range(sql, query);
    fv_text_add(sql, " OFFSET 0) s");
    if (query->payload)
        fv_text_add(sql, payload_join);
    write_order(sql, query, true);
}

static void write_version(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, " FROM flagver.version v CROSS JOIN LATERAL (SELECT s.phase, s.subject FROM "
                     "flagver.series s WHERE s.tenant = $1 AND s.id = v.series OFFSET 0) s");
    if (query->payload)
        fv_text_add(sql, payload_join);
    fv_text_add(sql, " WHERE v.tenant = $1 AND v.id = $9");
}

static void write_any_version(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, is_brief(query) ? BRIEF_COLUMNS : VERSION_COLUMNS);
    if (query->payload)
        fv_text_add(sql, PAYLOAD_COLUMNS);
    if (query->kind == FLAGVER_QUERY_VERSION)
        write_version(sql, query);
    else if (fv_query_wants_open(query))
        write_open(sql, query);
    else if (wants_history(query))
        write_history(sql, query);
    else
        write_versions(sql, query);
}

static void write_series(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, "SELECT s.id, s.phase, s.subject, s.last_no, s.current_no, s.rev, "
                     "s.changed_at FROM flagver.series s WHERE s.tenant = $1");
    write_series_range(sql, query);
    write_order(sql, query, false);
}

/* What belongs to versions. */
static void write_parts(struct fv_text *sql, const flagver_query *query, const char *table,
                        const char *which, const char *order)
{
    bool all = fv_query_is_of_all_series(query);

    fv_text_format(sql,
                   " FROM %s(SELECT * FROM flagver.%s x WHERE x.tenant = $1 AND x.series = %s AND "
                   "%s%s) v",
                   all ? "flagver.series s CROSS JOIN LATERAL " : "", table, all ? "s.id" : "$9",
                   which, all ? " ORDER BY x.no OFFSET 0" : "");
    if (query->kind == FLAGVER_QUERY_ITEMS && query->payload)
        fv_text_add(sql, payload_join);
    fv_text_format(sql, "%s ORDER BY %s%s LIMIT $8", all ? " WHERE s.tenant = $1" : "",
                   all ? "s.phase, s.subject, " : "", order);
}

static void write_items(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, "SELECT v.series, v.no, v.key, v.status, v.origin_no, v.decided_at, "
                     "v.decided_by, v.note, v.payload, v.hash");
    if (query->payload)
        fv_text_add(sql, PAYLOAD_COLUMNS);
    write_parts(sql, query, "item",
                query->no ? "x.no = $5 AND x.key >= $3 AND x.key < $4"
                          : "x.key >= $3 AND x.key < $4",
                "v.no, v.key");
}

static void write_votes(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, "SELECT v.series, v.no, v.actor, v.content_hash, v.time, v.note");
    write_parts(sql, query, "vote", "x.no >= $5 AND x.no <= $6",
                "v.no, v.time, v.actor, v.content_hash");
}

static void write_contributors(struct fv_text *sql, const flagver_query *query)
{
    fv_text_add(sql, "SELECT v.series, v.no, v.actor");
    write_parts(sql, query, "contributor", "x.no >= $5 AND x.no <= $6", "v.no, v.actor");
}

static const char leaves[] = "SELECT no, leaf, hash FROM flagver.leaf WHERE tenant = $1 AND "
                             "no >= $5 ORDER BY no LIMIT $8";

static const char nodes[] = "SELECT level, no, hash FROM flagver.node WHERE tenant = $1 AND "
                            "level = $6 AND no >= $5 ORDER BY no LIMIT $8";

static const char log_head[] = "SELECT size, frontier FROM flagver.log WHERE tenant = $1";

static const char keyed[] =
    "SELECT key, rev, time, value, space FROM flagver.keyed WHERE tenant = $1 AND space = $2 AND "
    "key >= $3 AND key < $4 AND time < $7 ORDER BY key LIMIT $8";

/* From one tenant to the next, without a look at all of its series. */
static const char tenants[] =
    "WITH RECURSIVE t (tenant) AS ((SELECT tenant FROM flagver.series ORDER BY tenant LIMIT 1) "
    "UNION ALL SELECT (SELECT s.tenant FROM flagver.series s WHERE s.tenant > t.tenant "
    "ORDER BY s.tenant LIMIT 1) FROM t WHERE t.tenant IS NOT NULL) "
    "SELECT tenant FROM t WHERE tenant IS NOT NULL UNION SELECT tenant FROM flagver.log "
    "ORDER BY 1 LIMIT $8";

static void write_sql(struct fv_text *sql, const flagver_query *query)
{
    switch (query->kind) {
    case FLAGVER_QUERY_VERSIONS:
    case FLAGVER_QUERY_VERSION:
        write_any_version(sql, query);
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

/* ---- ranges ---- */

/* Which texts: low <= text < high. */
struct range {
    struct fv_text low, high;
};

static flagver_bytes bytes_of(const struct fv_text *text)
{
    return (flagver_bytes){ text->data, text->length };
}

static int compare(flagver_bytes a, flagver_bytes b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static void set(struct fv_text *text, flagver_bytes value, const char *tail, size_t tail_length)
{
    fv_text_reset(text);
    if (value.length)
        fv_text_add_bytes(text, value.data, value.length);
    fv_text_add_bytes(text, tail, tail_length);
}

/* Surrogates are no characters: the next one stands for them. */
static size_t encode(uint32_t character, char out[4])
{
    return fv_utf8_encode(character >= 0xd800 && character < 0xe000 ? 0xe000 : character, out);
}

/* The least character whose bytes are greater than these; one more than the largest: none is. */
static uint32_t least_above(flagver_bytes bytes)
{
    uint32_t low = 1, high = FV_UTF8_LARGEST + 1, middle;
    char encoded[4];

    while (low < high) {
        middle = low + (high - low) / 2;
        if (compare((flagver_bytes){ encoded, encode(middle, encoded) }, bytes) > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* How many of the bytes are a text for PostgreSQL, which has no NUL. */
static size_t valid_length(const struct fv_text *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    const char *at = text->data, *end = at + text->length, *from;
    uint32_t character;

    while (at < end) {
        from = at;
        character = fv_utf8_next(&at, end);
        if (character == 0 || (character == FV_UTF8_REPLACEMENT &&
                               (at - from != 3 || memcmp(from, replacement, 3) != 0)))
            return (size_t)(from - text->data);
    }
    return text->length;
}

/* What has up to 512 bytes, as subjects and keys, is less than this. */
static void set_above_all(struct fv_text *text)
{
    int i;

    fv_text_reset(text);
    for (i = 0; i <= 512 / 4; i++)
        fv_text_add(text, "\xf4\x8f\xbf\xbf");
}

/*
 * PostgreSQL takes texts only. In the place of any bytes comes the least text that is not less: to
 * no text does it make a difference which of the two it is compared with.
 */
static void round_up(struct fv_text *text)
{
    size_t length = valid_length(text);
    const char *end = text->data + length;
    uint32_t character;
    char encoded[4];

    if (length == text->length)
        return;
    character = least_above((flagver_bytes){ end, text->length - length });
    while (character > FV_UTF8_LARGEST && end > text->data)
        character = fv_utf8_previous(text->data, &end) + 1;
    if (character > FV_UTF8_LARGEST) {
        set_above_all(text);
        return;
    }
    text->length = (size_t)(end - text->data);
    fv_text_add_bytes(text, encoded, encode(character, encoded));
}

/*
 * What comes next after a text is that text with a NUL, which no text has; what begins with a
 * prefix is less than the prefix with a byte that UTF-8 does not have.
 */
static void find_range(struct range *range, const flagver_query *query)
{
    static const flagver_bytes none = { NULL, 0 };

    set(&range->low, query->subject, "", 0);
    if (query->subject.data)
        set(&range->high, query->subject, query->prefix ? "\xff" : "\0", 1);
    else
        set(&range->high, none, "\xff", 1);

    if (query->after.data && query->backwards) {
        if (compare(query->after, bytes_of(&range->high)) < 0)
            set(&range->high, query->after, "", 0);
    } else if (query->after.data && compare(query->after, bytes_of(&range->low)) >= 0) {
        set(&range->low, query->after, "\0", 1);
    }
    round_up(&range->low);
    round_up(&range->high);
}

/* ---- questions ---- */

/* A statement, and what its parameters have. */
struct question {
    struct fv_text sql;
    struct range range;
    int slot;
};

static void bind_all(struct fv_pg_parameters *parameters, const flagver_driver_txn *txn,
                     const flagver_query *query, const struct range *range, uint32_t limit)
{
    bool is_keyed = query->kind == FLAGVER_QUERY_KEYED;
    int64_t low, high;

    fv_query_numbers(query, &low, &high);
    parameters->count = 0;
    fv_pg_text(parameters, txn->tenant);
    fv_pg_text(parameters, is_keyed ? query->space : query->phase);
    fv_pg_text(parameters, bytes_of(&range->low));
    fv_pg_text(parameters, bytes_of(&range->high));
    fv_pg_number(parameters, low);
    fv_pg_number(parameters, high);
    fv_pg_number(parameters, is_keyed && !query->time ? INT64_MAX : query->time);
    fv_pg_positive(parameters, limit);
    fv_pg_id(parameters, &query->id);
    fv_pg_number(parameters, query->states ? query->states : UINT32_MAX);
    fv_pg_number(parameters, fv_query_lowest_open_state(query));
}

static int make_question(struct question *question, const flagver_query *query, int shape,
                         flagver_error *err)
{
    *question = (struct question){ .sql = FV_TEXT_INIT,
                                   .range = { FV_TEXT_INIT, FV_TEXT_INIT },
                                   .slot = FV_PG_SCANS + shape };
    write_sql(&question->sql, query);
    find_range(&question->range, query);
    return question->sql.failed || question->range.low.failed || question->range.high.failed
               ? fv_fail_memory(err)
               : 0;
}

static void clear_question(struct question *question)
{
    fv_text_clear(&question->sql);
    fv_text_clear(&question->range.low);
    fv_text_clear(&question->range.high);
}

/* ---- the server's cursors ---- */

static void take_rows(flagver_cursor *cursor)
{
    cursor->count = PQntuples(cursor->rows);
    cursor->at = 0;
    cursor->more = cursor->number && cursor->count == cursor->asked;
}

static void forget_rows(flagver_cursor *cursor)
{
    PQclear(cursor->rows);
    cursor->rows = NULL;
    cursor->count = cursor->at = 0;
}

/* How many rows like these make a chunk. */
static int chunk_after(const flagver_cursor *cursor)
{
    size_t each = PQresultMemorySize(cursor->rows) / (size_t)cursor->count + 1;
    int fitting = (int)(CHUNK_BYTES / each), most = CHUNK_ROWS;

    if (most > cursor->count * CHUNK_GROWTH)
        most = cursor->count * CHUNK_GROWTH;
    if (fitting > most)
        return most;
    return fitting > 0 ? fitting : 1;
}

#define COMMAND_SIZE 64

static struct fv_pg_statement fetching(const flagver_cursor *cursor, char sql[COMMAND_SIZE])
{
    snprintf(sql, COMMAND_SIZE, "FETCH %d FROM flagver_%u", cursor->asked,
             (unsigned)cursor->number);
    return (struct fv_pg_statement){ -1, sql };
}

/* DECLARE and the first FETCH on one way. */
static int send_declare(flagver_cursor *cursor, const char *declare,
                        const struct fv_pg_parameters *parameters, flagver_error *err)
{
    const struct fv_pg_statement declaring = { -1, declare };
    struct fv_pg *conn = cursor->txn->conn;
    struct fv_pg_statement fetch;
    char sql[COMMAND_SIZE];
    int r;

    fetch = fetching(cursor, sql);
    r = fv_pg_queue(conn, &declaring, parameters, err);
    if (r == 0)
        r = fv_pg_queue(conn, &fetch, NULL, err);
    if (r == 0)
        r = fv_pg_flush(conn, err);
    if (r < 0)
        conn->broken = true; /* nobody knows how much of it is under way */
    return r;
}

static int declare(flagver_cursor *cursor, const char *sql,
                   const struct fv_pg_parameters *parameters, flagver_error *err)
{
    struct fv_pg *conn = cursor->txn->conn;
    int r, end;

    r = fv_pg_pipeline_begin(conn, err);
    if (r < 0)
        return r;
    r = send_declare(cursor, sql, parameters, err);
    if (r == 0)
        r = fv_pg_take(conn, NULL, err);
    if (r == 0)
        r = fv_pg_take(conn, &cursor->rows, err);
    end = fv_pg_pipeline_end(conn, r < 0 ? NULL : err);
    return r < 0 ? r : end;
}

/* Begin anew, with a cursor; the rows that have come say how large its chunks may be. */
static int open_long(flagver_cursor *cursor, const struct question *question,
                     const struct fv_pg_parameters *parameters, flagver_error *err)
{
    struct fv_text sql = FV_TEXT_INIT;
    int r;

    cursor->asked = chunk_after(cursor);
    cursor->number = ++cursor->txn->conn->cursors;
    forget_rows(cursor);
    fv_text_format(&sql, "DECLARE flagver_%u NO SCROLL CURSOR FOR %s", (unsigned)cursor->number,
                   question->sql.data);
    r = sql.failed ? fv_fail_memory(err) : declare(cursor, sql.data, parameters, err);
    fv_text_clear(&sql);
    return r;
}

static int fetch_now(flagver_cursor *cursor, flagver_error *err)
{
    struct fv_pg_statement statement;
    char sql[COMMAND_SIZE];
    int r;

    if (cursor->rows) /* else they are still owed */
        cursor->asked = chunk_after(cursor);
    statement = fetching(cursor, sql);
    forget_rows(cursor);
    r = fv_pg_guard_begin(cursor->txn, err);
    if (r < 0)
        return r;
    r = fv_pg_query(cursor->txn->conn, &statement, NULL, &cursor->rows, err);
    return fv_pg_guard_end(cursor->txn, r, err);
}

/*
 * Who has read one chunk will read the next one: it is made while this one is looked at. Not on
 * an application's connection, which is its own between our calls.
 */
static void ask_ahead(flagver_cursor *cursor)
{
    flagver_driver_txn *txn = cursor->txn;
    struct fv_pg_statement statement;
    char sql[COMMAND_SIZE];

    if (!cursor->more || fv_pg_is_shared(txn->conn) || txn->behind || txn->failed)
        return;
    cursor->asked = chunk_after(cursor);
    statement = fetching(cursor, sql);
    cursor->ahead = fv_pg_send(txn->conn, &statement);
    if (cursor->ahead)
        txn->ahead = cursor;
}

void fv_pg_scan_settle(flagver_driver_txn *txn)
{
    flagver_cursor *cursor = txn->ahead;

    if (!cursor)
        return;
    txn->ahead = NULL;
    cursor->next = fv_pg_receive(txn->conn);
    if (PQresultStatus(cursor->next) != PGRES_TUPLES_OK) {
        fv_pg_fail(txn->conn, cursor->next, &txn->late);
        txn->failed = true;
    }
}

static int take_ahead(flagver_cursor *cursor, flagver_error *err)
{
    fv_pg_scan_settle(cursor->txn);
    forget_rows(cursor);
    cursor->ahead = false;
    if (PQresultStatus(cursor->next) != PGRES_TUPLES_OK)
        return fv_pg_fail(cursor->txn->conn, cursor->next, err);
    cursor->rows = cursor->next;
    cursor->next = NULL;
    return 0;
}

/* The next chunk; the one before goes first. */
static int fetch(flagver_cursor *cursor, flagver_error *err)
{
    int r = cursor->ahead ? take_ahead(cursor, err) : fetch_now(cursor, err);

    if (r < 0)
        return r;
    take_rows(cursor);
    ask_ahead(cursor);
    return 0;
}

static void close_long(flagver_cursor *cursor)
{
    char sql[COMMAND_SIZE];

    /* One that went with its transaction needs no closing, and a failed one takes no statements. */
    if (fv_pg_guard_begin(cursor->txn, NULL) < 0)
        return;
    snprintf(sql, sizeof sql, "CLOSE flagver_%u", (unsigned)cursor->number);
    fv_pg_guard_end(cursor->txn, fv_pg_execute(cursor->txn->conn, sql, NULL), NULL);
}

/* ---- cursors ---- */

static int open_cursor(flagver_cursor *cursor, const flagver_query *query,
                       const struct question *question, flagver_error *err)
{
    const struct fv_pg_statement statement = { question->slot, question->sql.data };
    uint32_t first = FIRST_ROWS;
    struct fv_pg_parameters parameters;
    int r;

    if (query->limit && query->limit < first)
        first = query->limit;
    bind_all(&parameters, cursor->txn, query, &question->range, first);
    r = fv_pg_query(cursor->txn->conn, &statement, &parameters, &cursor->rows, err);
    if (r == 0 && PQntuples(cursor->rows) == (int)first && first != query->limit) {
        take_rows(cursor);
        bind_all(&parameters, cursor->txn, query, &question->range, query->limit);
        r = open_long(cursor, question, &parameters, err);
    }
    if (r == 0)
        take_rows(cursor);
    return r;
}

/*
 * Names of tenants are seen by whoever owns the schema while the transaction has no tenant; whoever
 * does not is told so, or would take it that there are none. All come at once: a cursor would look
 * for its tenant again at each step.
 */
static int send_tenants(flagver_driver_txn *txn, const struct fv_pg_statement *statement,
                        const struct fv_pg_parameters *parameters, flagver_error *err)
{
    static const struct fv_pg_statement leave = {
        -1, "SELECT pg_catalog.set_config('flagver.tenant', $1, true),"
            " pg_catalog.pg_has_role(c.relowner, 'USAGE')"
            " FROM pg_catalog.pg_class AS c"
            " WHERE c.oid OPERATOR(pg_catalog.=) 'flagver.series'::pg_catalog.regclass"
    };
    static const struct fv_pg_statement enter = {
        -1, "SELECT pg_catalog.set_config('flagver.tenant', $1, true)"
    };
    static const flagver_bytes nobody = { "", 0 };
    struct fv_pg_parameters leaving = { .count = 0 }, returning = { .count = 0 };
    int r;

    fv_pg_text(&leaving, nobody);
    fv_pg_text(&returning, txn->tenant);
    r = fv_pg_queue(txn->conn, &leave, &leaving, err);
    if (r == 0)
        r = fv_pg_queue(txn->conn, statement, parameters, err);
    if (r == 0)
        r = fv_pg_queue(txn->conn, &enter, &returning, err);
    if (r == 0)
        r = fv_pg_flush(txn->conn, err);
    if (r < 0)
        txn->conn->broken = true; /* nobody knows how much of it is under way */
    return r;
}

static int open_tenants(flagver_cursor *cursor, const flagver_query *query,
                        const struct question *question, flagver_error *err)
{
    const struct fv_pg_statement statement = { question->slot, question->sql.data };
    struct fv_pg *conn = cursor->txn->conn;
    struct fv_pg_parameters parameters;
    PGresult *owns = NULL;
    bool sees = conn->bypasses;
    int r, end;

    bind_all(&parameters, cursor->txn, query, &question->range, query->limit);
    r = fv_pg_pipeline_begin(conn, err);
    if (r < 0)
        return r;
    r = send_tenants(cursor->txn, &statement, &parameters, err);
    if (r == 0)
        r = fv_pg_take(conn, &owns, err);
    if (r == 0) {
        sees = sees || fv_pg_get_truth(owns, 0, 1);
        PQclear(owns);
        r = fv_pg_take(conn, &cursor->rows, err);
    }
    end = fv_pg_pipeline_end(conn, r < 0 ? NULL : err);
    r = r < 0 ? r : end;
    if (r == 0 && !sees)
        return fv_fail(err, FLAGVER_EDENIED,
                       "the role \"%s\" may not see which tenants there are, only the owner of the "
                       "schema may; name the tenant",
                       PQuser(conn->pq));
    if (r == 0)
        take_rows(cursor);
    return r;
}

static int ask(flagver_cursor *cursor, const flagver_query *query, int shape, flagver_error *err)
{
    struct question question;
    int r;

    r = make_question(&question, query, shape, err);
    if (r == 0)
        r = fv_pg_guard_begin(cursor->txn, err);
    if (r == 0) {
        r = query->kind == FLAGVER_QUERY_TENANTS ? open_tenants(cursor, query, &question, err)
                                                 : open_cursor(cursor, query, &question, err);
        r = fv_pg_guard_end(cursor->txn, r, err);
    }
    clear_question(&question);
    return r;
}

static bool has_payloads(int32_t kind)
{
    return kind == FLAGVER_QUERY_VERSIONS || kind == FLAGVER_QUERY_VERSION ||
           kind == FLAGVER_QUERY_ITEMS;
}

int fv_pg_scan(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
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
    cursor->kind = query->kind;
    cursor->payload = query->payload && has_payloads(query->kind);
    cursor->brief = is_brief(query);
    r = ask(cursor, query, shape, err);
    if (r < 0) {
        cursor->number = 0; /* it was taken back with what has failed */
        fv_pg_end_scan(cursor);
        return r;
    }
    *ret_cursor = cursor;
    return 0;
}

void fv_pg_end_scan(flagver_cursor *cursor)
{
    PQclear(cursor->rows);
    PQclear(cursor->body);
    fv_pg_scan_settle(cursor->txn);
    PQclear(cursor->next);
    if (cursor->number)
        close_long(cursor);
    fv_release(cursor->txn->store->memory, cursor);
}

/* ---- rows ---- */

static int64_t number(const flagver_cursor *cursor, int column)
{
    return fv_pg_get_number(cursor->rows, cursor->at, column);
}

static uint32_t small(const flagver_cursor *cursor, int column)
{
    return (uint32_t)number(cursor, column);
}

static flagver_bytes bytes(const flagver_cursor *cursor, int column)
{
    return fv_pg_get_bytes(cursor->rows, cursor->at, column);
}

static void get_id(const flagver_cursor *cursor, int column, flagver_id *ret_id)
{
    fv_pg_get_id(cursor->rows, cursor->at, column, ret_id);
}

static void get_hash(const flagver_cursor *cursor, int column, uint8_t out[32])
{
    flagver_bytes hash = bytes(cursor, column);

    if (hash.length == 32)
        memcpy(out, hash.data, 32);
    else
        memset(out, 0, 32);
}

/* Columns that versions and items have in different places. */
static int column_of_payload_id(const flagver_cursor *cursor)
{
    return cursor->brief ? 2 : cursor->kind == FLAGVER_QUERY_ITEMS ? 8 : 17;
}

static int column_of_payload(const flagver_cursor *cursor)
{
    return cursor->brief ? 4 : cursor->kind == FLAGVER_QUERY_ITEMS ? 10 : 21;
}

static int fetch_body(flagver_cursor *cursor, flagver_error *err)
{
    struct fv_pg_parameters parameters = { .count = 0 };
    flagver_driver_txn *txn = cursor->txn;
    flagver_id id;
    int r;

    get_id(cursor, column_of_payload_id(cursor), &id);
    fv_pg_text(&parameters, txn->tenant);
    fv_pg_id(&parameters, &id);
    r = fv_pg_guard_begin(txn, err);
    if (r < 0)
        return r;
    r = fv_pg_query(txn->conn, &large_body, &parameters, &cursor->body, err);
    return fv_pg_guard_end(txn, r, err);
}

/* One that was shredded since its row came is none. */
static void read_payload(const flagver_cursor *cursor, flagver_bytes *ret_body,
                         flagver_bytes *ret_salt, uint32_t *ret_key)
{
    int column = column_of_payload(cursor);

    if (!cursor->payload || (cursor->body && PQntuples(cursor->body) == 0))
        return;
    *ret_body = cursor->body ? fv_pg_get_bytes(cursor->body, 0, 0) : bytes(cursor, column);
    *ret_salt = bytes(cursor, column + 1);
    *ret_key = small(cursor, column + 2);
}

static void read_brief(const flagver_cursor *cursor, flagver_version_row *row)
{
    row->no = small(cursor, 0);
    row->bits = small(cursor, 1);
    get_id(cursor, 2, &row->payload_id);
    row->subject = bytes(cursor, 3);
    read_payload(cursor, &row->payload, &row->payload_salt, &row->payload_key);
}

static void read_version(const flagver_cursor *cursor, flagver_version_row *row)
{
    get_id(cursor, 0, &row->series);
    get_id(cursor, 1, &row->id);
    row->no = small(cursor, 2);
    row->parent_no = small(cursor, 3);
    row->base_no = small(cursor, 4);
    row->reverts_no = small(cursor, 5);
    row->superseded_by = small(cursor, 6);
    row->state = (int32_t)number(cursor, 7);
    row->bits = small(cursor, 8);
    row->rev = number(cursor, 9);
    row->created_at = number(cursor, 10);
    row->submitted_at = number(cursor, 11);
    row->decided_at = number(cursor, 12);
    row->superseded_at = number(cursor, 13);
    row->created_by = bytes(cursor, 14);
    row->decided_by = bytes(cursor, 15);
    row->note = bytes(cursor, 16);
    get_id(cursor, 17, &row->payload_id);
    get_hash(cursor, 18, row->content_hash);
    row->tenant = cursor->txn->tenant;
    row->phase = bytes(cursor, 19);
    row->subject = bytes(cursor, 20);
    read_payload(cursor, &row->payload, &row->payload_salt, &row->payload_key);
}

static void read_series(const flagver_cursor *cursor, flagver_series_row *row)
{
    row->tenant = cursor->txn->tenant;
    get_id(cursor, 0, &row->id);
    row->phase = bytes(cursor, 1);
    row->subject = bytes(cursor, 2);
    row->last_no = small(cursor, 3);
    row->current_no = small(cursor, 4);
    row->rev = number(cursor, 5);
    row->changed_at = number(cursor, 6);
}

static void read_item(const flagver_cursor *cursor, flagver_item_row *row)
{
    get_id(cursor, 0, &row->series);
    row->no = small(cursor, 1);
    row->key = bytes(cursor, 2);
    row->status = (int32_t)number(cursor, 3);
    row->origin_no = small(cursor, 4);
    row->decided_at = number(cursor, 5);
    row->decided_by = bytes(cursor, 6);
    row->note = bytes(cursor, 7);
    get_id(cursor, 8, &row->payload_id);
    get_hash(cursor, 9, row->hash);
    read_payload(cursor, &row->payload, &row->payload_salt, &row->payload_key);
}

static void read_vote(const flagver_cursor *cursor, flagver_vote_row *row)
{
    get_id(cursor, 0, &row->series);
    row->no = small(cursor, 1);
    row->actor = bytes(cursor, 2);
    get_hash(cursor, 3, row->content_hash);
    row->time = number(cursor, 4);
    row->note = bytes(cursor, 5);
}

static void read_contributor(const flagver_cursor *cursor, flagver_contributor_row *row)
{
    get_id(cursor, 0, &row->series);
    row->no = small(cursor, 1);
    row->actor = bytes(cursor, 2);
}

static void read_leaf(const flagver_cursor *cursor, flagver_leaf_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->no = (uint64_t)number(cursor, 0);
    row->leaf = bytes(cursor, 1);
    get_hash(cursor, 2, row->hash);
}

static void read_node(const flagver_cursor *cursor, flagver_node_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->level = small(cursor, 0);
    row->index = (uint64_t)number(cursor, 1);
    get_hash(cursor, 2, row->hash);
}

static void read_log(const flagver_cursor *cursor, flagver_log_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->size = (uint64_t)number(cursor, 0);
    row->frontier = bytes(cursor, 1);
}

static void read_keyed(const flagver_cursor *cursor, flagver_keyed_row *row)
{
    row->tenant = cursor->txn->tenant;
    row->space = bytes(cursor, 4);
    row->key = bytes(cursor, 0);
    row->rev = number(cursor, 1);
    row->time = number(cursor, 2);
    row->value = bytes(cursor, 3);
}

static void read_row(const flagver_cursor *cursor, flagver_row *row)
{
    switch (cursor->kind) {
    case FLAGVER_QUERY_VERSIONS:
    case FLAGVER_QUERY_VERSION:
        (cursor->brief ? read_brief : read_version)(cursor, &row->as.version);
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
        row->as.tenant = bytes(cursor, 0);
    }
}

int fv_pg_next(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err)
{
    int r = 0;

    PQclear(cursor->body);
    cursor->body = NULL;
    if (cursor->at == cursor->count && cursor->more)
        r = fetch(cursor, err);
    if (r < 0 || cursor->at == cursor->count)
        return r;
    if (cursor->payload && fv_pg_get_truth(cursor->rows, cursor->at, column_of_payload(cursor) + 3))
        r = fetch_body(cursor, err);
    if (r < 0)
        return r;

    /* Those of the log have no members that are not written, and are read by the hundred. */
    if (cursor->kind != FLAGVER_QUERY_LEAVES && cursor->kind != FLAGVER_QUERY_NODES)
        memset(ret_row, 0, sizeof *ret_row);
    read_row(cursor, ret_row);
    cursor->at++;
    return 1;
}
