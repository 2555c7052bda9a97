#include "driver/postgres_rows.h"

#include <string.h>

#include "util/fail.h"

/*
 * Many rows at once: one statement takes the columns of all of them as arrays. (COPY does not go
 * where row-level security holds, and its rows cannot travel with other statements.)
 */

#define RUN_BYTES (4u << 20) /* of a run, about */
#define ROW_BYTES 256u       /* of a row besides its payload or leaf, roughly */

/* ---- which changes ---- */

/* What the run has so far that others may follow: the last row of each kind. */
struct run {
    const flagver_series_row *series;
    const flagver_payload_row *payload;
    const flagver_version_row *version;
    const flagver_item_row *item; /* of that version */
    const flagver_leaf_row *leaf;
    size_t bytes;
};

static bool is_same(const flagver_id *a, const flagver_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static bool is_less(flagver_bytes a, flagver_bytes b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    return order < 0 || (order == 0 && a.length < b.length);
}

static bool has_payload(const struct run *run, const flagver_id *payload_id)
{
    return run->payload && is_same(&run->payload->id, payload_id);
}

static bool has_version(const struct run *run, const flagver_id *series, uint32_t no)
{
    return run->version && run->version->no == no && is_same(&run->version->series, series);
}

static bool follows_item(const struct run *run, const flagver_item_row *item)
{
    return !run->item || is_less(run->item->key, item->key);
}

/*
 * Does it belong to the run? Of a run each change adds a row, so that the order does not matter
 * but for what a row refers to, and what a rule looks at. Both are there in time, kind by kind and
 * one by one, when
 *
 *   a series, or a keyed row, is new
 *   a version follows its series and its payload; so there is one version of each series
 *   an item or a contributor follows its version, an item its payload, too. An item that is there
 *     already would be changed; but those of a new version are new when their keys rise.
 *   a leaf follows the leaf before it
 *
 * Only the last row of each kind is remembered. So some changes end a run that could be part of
 * it; the library's way of handing over does not.
 */
static bool belongs(const struct run *run, const flagver_change *change)
{
    switch (change->kind) {
    case FLAGVER_CHANGE_SERIES:
    case FLAGVER_CHANGE_KEYED:
        return change->expect == 0;
    case FLAGVER_CHANGE_PAYLOAD:
    case FLAGVER_CHANGE_NODE:
        return true;
    case FLAGVER_CHANGE_VERSION_NEW:
        return run->series && is_same(&run->series->id, &change->row.version->series) &&
               has_payload(run, &change->row.version->payload_id);
    case FLAGVER_CHANGE_ITEM:
        return has_version(run, &change->row.item->series, change->row.item->no) &&
               has_payload(run, &change->row.item->payload_id) &&
               follows_item(run, change->row.item);
    case FLAGVER_CHANGE_CONTRIBUTOR:
        return has_version(run, &change->row.contributor->series, change->row.contributor->no);
    case FLAGVER_CHANGE_LEAF:
        return !run->leaf || change->row.leaf->no == run->leaf->no + 1;
    default:
        return false;
    }
}

static void remember(struct run *run, const flagver_change *change)
{
    switch (change->kind) {
    case FLAGVER_CHANGE_SERIES:
        run->series = change->row.series;
        return;
    case FLAGVER_CHANGE_PAYLOAD:
        run->payload = change->row.payload;
        return;
    case FLAGVER_CHANGE_VERSION_NEW:
        run->version = change->row.version;
        run->item = NULL;
        return;
    case FLAGVER_CHANGE_ITEM:
        run->item = change->row.item;
        return;
    case FLAGVER_CHANGE_LEAF:
        run->leaf = change->row.leaf;
        return;
    default:
        return;
    }
}

static size_t bytes_of(const flagver_change *change)
{
    if (change->kind == FLAGVER_CHANGE_PAYLOAD)
        return ROW_BYTES + change->row.payload->body.length;
    if (change->kind == FLAGVER_CHANGE_LEAF)
        return ROW_BYTES + change->row.leaf->leaf.length;
    if (change->kind == FLAGVER_CHANGE_KEYED)
        return ROW_BYTES + change->row.keyed->value.length;
    return ROW_BYTES;
}

size_t fv_pg_bulk_count(const flagver_change *changes, size_t count)
{
    struct run run = { .bytes = 0 };
    size_t i;

    if (count < FV_PG_BULK_LEAST)
        return 0;
    for (i = 0; i < count && belongs(&run, &changes[i]); i++) {
        run.bytes += bytes_of(&changes[i]);
        if (run.bytes > RUN_BYTES)
            break;
        remember(&run, &changes[i]);
    }
    return i < FV_PG_BULK_LEAST ? 0 : i;
}

/* ---- statements ---- */

const int32_t fv_pg_bulk_kinds[FV_PG_BULK_KINDS] = {
    FLAGVER_CHANGE_SERIES, FLAGVER_CHANGE_PAYLOAD,     FLAGVER_CHANGE_VERSION_NEW,
    FLAGVER_CHANGE_ITEM,   FLAGVER_CHANGE_CONTRIBUTOR, FLAGVER_CHANGE_LEAF,
    FLAGVER_CHANGE_NODE,   FLAGVER_CHANGE_KEYED,
};

struct insertion {
    struct fv_pg_statement statement;
    const struct fv_pg_columns *columns;
};

/*
 * In the list of what is selected the arrays are gone through side by side, without putting them
 * away in between; one that is null, since its column is null in all rows, gives nulls.
 */
#define EACH(number) ", pg_catalog.unnest($" #number ")"
#define EACH_3 "SELECT $1" EACH(2) EACH(3) EACH(4)
#define EACH_4 EACH_3 EACH(5)
#define EACH_5 EACH_4 EACH(6)
#define EACH_7 EACH_4 EACH(6) EACH(7) EACH(8)
#define EACH_10 EACH_7 EACH(9) EACH(10) EACH(11)
#define EACH_19 \
    EACH_10 EACH(12) EACH(13) EACH(14) EACH(15) EACH(16) EACH(17) EACH(18) EACH(19) EACH(20)

static const struct insertion insertions[] = {
    [FLAGVER_CHANGE_SERIES] = { { FV_PG_MANY_SERIES,
                                  "INSERT INTO flagver.series (tenant, id, phase, subject, "
                                  "last_no, current_no, rev, changed_at) " EACH_7 },
                                &fv_pg_series_columns },
    [FLAGVER_CHANGE_PAYLOAD] = { { FV_PG_MANY_PAYLOADS, "INSERT INTO flagver.payload (tenant, id, "
                                                        "key, salt, body) " EACH_4 },
                                 &fv_pg_payload_columns },
    [FLAGVER_CHANGE_VERSION_NEW] = { { FV_PG_MANY_VERSIONS,
                                       "INSERT INTO flagver.version (tenant, series, no, id, "
                                       "state, bits, rev, parent_no, base_no, reverts_no, "
                                       "superseded_by, created_at, created_by, submitted_at, "
                                       "decided_at, decided_by, superseded_at, note, payload, "
                                       "content_hash) " EACH_19 },
                                     &fv_pg_version_columns },
    [FLAGVER_CHANGE_ITEM] = { { FV_PG_MANY_ITEMS, "INSERT INTO flagver.item (tenant, series, no, "
                                                  "key, status, origin_no, decided_at, decided_by, "
                                                  "note, payload, hash) " EACH_10 },
                              &fv_pg_item_columns },
    [FLAGVER_CHANGE_CONTRIBUTOR] = { { FV_PG_MANY_CONTRIBUTORS,
                                       "INSERT INTO flagver.contributor (tenant, series, no, "
                                       "actor) " EACH_3 },
                                     &fv_pg_contributor_columns },
    [FLAGVER_CHANGE_LEAF] = { { FV_PG_MANY_LEAVES,
                                "INSERT INTO flagver.leaf (tenant, no, leaf, hash) " EACH_3 },
                              &fv_pg_leaf_columns },
    [FLAGVER_CHANGE_NODE] = { { FV_PG_MANY_NODES,
                                "INSERT INTO flagver.node (tenant, level, no, hash) " EACH_3 },
                              &fv_pg_node_columns },
    [FLAGVER_CHANGE_KEYED] = { { FV_PG_MANY_KEYED,
                                 "INSERT INTO flagver.keyed (tenant, space, key, "
                                 "rev, time, value) " EACH_5 " ON CONFLICT DO NOTHING" },
                               &fv_pg_keyed_columns },
};

static size_t count_kind(const flagver_change *changes, size_t count, int32_t kind)
{
    size_t rows = 0, i;

    for (i = 0; i < count; i++)
        rows += changes[i].kind == kind;
    return rows;
}

int fv_pg_bulk_queue(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                     int32_t kind, size_t *ret_rows, flagver_error *err)
{
    const struct insertion *insertion = &insertions[kind];
    size_t rows = count_kind(changes, count, kind);
    struct fv_pg_parameters parameters;
    int r = 0;

    parameters.count = 0;
    fv_pg_text(&parameters, txn->tenant);
    if (rows > 0 &&
        !fv_pg_fill_many(&parameters, insertion->columns, changes, count, kind, rows, &txn->copy))
        return fv_fail_memory(err);
    if (rows > 0)
        r = fv_pg_queue(txn->conn, &insertion->statement, &parameters, err);
    *ret_rows = rows;
    return r;
}
