#include "store/log.h"

#include <inttypes.h>
#include <string.h>

#include "store/staging.h"
#include "util/fail.h"

#define CHUNK_LEAVES 8192u /* of which the nodes are fewer than what is flushed at once */

/* The log of a transaction's tenant while leaves are appended to it. */
struct log {
    flagver_txn *txn;
    struct fv_digest *digest;
    struct fv_frontier frontier;
    struct fv_text encoded;
};

/* ---- rows ---- */

bool fv_log_node(struct fv_arena *arena, const char *tenant, unsigned level, uint64_t number,
                 const uint8_t hash[FV_DIGEST_SIZE], flagver_change *ret_change)
{
    flagver_node_row *row = fv_arena_allocate(arena, sizeof *row);

    if (!row)
        return false;
    *row = (flagver_node_row){ .tenant = fv_bytes(tenant), .level = level, .index = number };
    memcpy(row->hash, hash, sizeof row->hash);
    *ret_change = (flagver_change){ .kind = FLAGVER_CHANGE_NODE, .row.node = row };
    return true;
}

bool fv_log_head(struct fv_arena *arena, const char *tenant, const struct fv_frontier *frontier,
                 flagver_change *ret_change)
{
    flagver_log_row *row = fv_arena_allocate(arena, sizeof *row);
    uint8_t bytes[FV_FRONTIER_BYTES];
    size_t length = fv_frontier_encode(frontier, bytes);
    const char *kept = fv_arena_string(arena, (const char *)bytes, length);

    if (!row || !kept)
        return false;
    *row = (flagver_log_row){ .tenant = fv_bytes(tenant),
                              .size = frontier->size,
                              .frontier = fv_bytes_of(kept, length) };
    *ret_change = (flagver_change){ .kind = FLAGVER_CHANGE_HEAD, .row.head = row };
    return true;
}

/* ---- the tree ---- */

static int stage_node(void *data, unsigned level, uint64_t number,
                      const uint8_t hash[FV_DIGEST_SIZE], flagver_error *err)
{
    flagver_txn *txn = ((struct log *)data)->txn;
    flagver_change change;

    if (!fv_log_node(&txn->arena, txn->source.tenant, level, number, hash, &change))
        return fv_fail_memory(err);
    return fv_txn_change(txn, &change, err);
}

static int append(struct log *log, const uint8_t hash[FV_DIGEST_SIZE], flagver_error *err)
{
    return fv_frontier_append(&log->frontier, log->digest, hash, stage_node, log, err);
}

static int stage_head(struct log *log, flagver_error *err)
{
    flagver_txn *txn = log->txn;
    flagver_change change;

    if (!fv_log_head(&txn->arena, txn->source.tenant, &log->frontier, &change))
        return fv_fail_memory(err);
    return fv_txn_change(txn, &change, err);
}

/* ---- what is there ---- */

static int take_leaves(struct log *log, flagver_cursor *cursor, flagver_error *err)
{
    flagver_row row;
    int r;

    while ((r = fv_txn_next(log->txn, cursor, &row, err)) > 0) {
        if (row.as.leaf.no != log->frontier.size)
            return fv_fail(err, FLAGVER_ECORRUPT, "leaf %" PRIu64 " of the audit log is missing",
                           log->frontier.size);
        r = append(log, row.as.leaf.hash, err);
        if (r < 0)
            return r;
    }
    return r;
}

/*
 * Leaves that the head does not know of: of a log from before there were trees, or written by
 * somebody who does not keep one. Nodes are staged between scans, not during them: what is staged
 * may be handed over.
 */
static int catch_up(struct log *log, uint64_t size, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_LEAVES, .limit = CHUNK_LEAVES };
    flagver_cursor *cursor;
    uint64_t before;
    int r = 0;

    while (r == 0 && log->frontier.size < size) {
        before = log->frontier.size;
        query.from = before;
        r = fv_txn_scan(log->txn, &query, &cursor, err);
        if (r < 0)
            return r;
        r = take_leaves(log, cursor, err);
        fv_txn_end_scan(log->txn, cursor);
        if (r == 0 && log->frontier.size == before)
            r = fv_fail(err, FLAGVER_ECORRUPT, "leaf %" PRIu64 " of the audit log is missing",
                        before);
    }
    return r;
}

static int take_head(struct log *log, flagver_bytes frontier, uint64_t size, flagver_error *err)
{
    if (frontier.data && (!fv_frontier_decode(frontier.data, frontier.length, &log->frontier) ||
                          log->frontier.size > size))
        return fv_fail(err, FLAGVER_ECORRUPT, "the head of the audit log is damaged");
    return catch_up(log, size, err);
}

static int read_head(struct log *log, uint64_t size, flagver_error *err)
{
    static const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    uint8_t bytes[FV_FRONTIER_BYTES];
    flagver_bytes frontier = { NULL, 0 };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    if (size == 0)
        return 0;
    r = fv_txn_scan_store(log->txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = fv_txn_next(log->txn, cursor, &row, err);
    if (r > 0 && row.as.log.frontier.data) {
        frontier = (flagver_bytes){ bytes, row.as.log.frontier.length };
        if (frontier.length <= sizeof bytes)
            memcpy(bytes, row.as.log.frontier.data, frontier.length);
        else
            frontier.length = 0; /* which is none */
    }
    fv_txn_end_scan(log->txn, cursor);
    return r < 0 ? r : take_head(log, frontier, size, err);
}

/* ---- leaves ---- */

static int stage_leaf(struct log *log, struct fv_audit_leaf *leaf, flagver_error *err)
{
    flagver_txn *txn = log->txn;
    flagver_change change = { .kind = FLAGVER_CHANGE_LEAF };
    flagver_leaf_row *row = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *row);
    const char *kept;
    int r;

    fv_text_reset(&log->encoded);
    leaf->leaf_no = log->frontier.size;
    fv_leaf_encode(leaf, &log->encoded);
    if (!row || log->encoded.failed)
        return fv_fail_memory(err);
    kept = fv_arena_string(&txn->arena, log->encoded.data, log->encoded.length);
    if (!kept || !fv_merkle_leaf(log->digest, kept, log->encoded.length, row->hash))
        return fv_fail_memory(err);
    row->tenant = leaf->tenant;
    row->no = leaf->leaf_no;
    row->leaf = fv_bytes_of(kept, log->encoded.length);
    change.row.leaf = row;
    r = fv_txn_change(txn, &change, err);
    return r < 0 ? r : append(log, row->hash, err);
}

int fv_staging_append_leaves(flagver_txn *txn, uint64_t size, flagver_error *err)
{
    struct log log = { .txn = txn, .digest = fv_txn_digester(txn), .encoded = FV_TEXT_INIT };
    size_t i;
    int r;

    if (!log.digest)
        return fv_fail_memory(err);
    r = read_head(&log, size, err);
    for (i = 0; r == 0 && i < txn->leaf_count; i++)
        r = stage_leaf(&log, &txn->leaves[i], err);
    if (r == 0)
        r = stage_head(&log, err);
    fv_text_clear(&log.encoded);
    return r;
}
