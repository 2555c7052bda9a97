#include "engine/tree.h"

#include <inttypes.h>
#include <string.h>

#include "util/fail.h"
#include "util/memory.h"

void fv_tree_init(struct fv_tree *tree, const char *tenant, struct fv_digest *digest,
                  struct fv_findings *findings)
{
    *tree = (struct fv_tree){ .tenant = tenant,
                              .tenant_length = strlen(tenant),
                              .digest = digest,
                              .findings = findings,
                              .mark = UINT64_MAX };
}

void fv_tree_clear(struct fv_tree *tree)
{
    size_t i;

    for (i = 0; i < FV_TREE_LEVELS; i++)
        fv_release(NULL, tree->levels[i].hashes);
}

int fv_tree_root(const struct fv_tree *tree, uint8_t out[FV_DIGEST_SIZE], flagver_error *err)
{
    return fv_frontier_root(&tree->frontier, tree->digest, out) ? 0 : fv_fail_memory(err);
}

/* ---- leaves ---- */

static int take_mark(struct fv_tree *tree, flagver_error *err)
{
    if (tree->frontier.size != tree->mark)
        return 0;
    tree->marked = true;
    return fv_tree_root(tree, tree->root_at_mark, err);
}

int fv_tree_mark(struct fv_tree *tree, uint64_t size, flagver_error *err)
{
    tree->mark = size;
    return take_mark(tree, err);
}

static int keep_node(void *data, unsigned level, uint64_t number,
                     const uint8_t hash[FV_DIGEST_SIZE], flagver_error *err)
{
    struct fv_tree *tree = data;
    struct fv_tree_level *kept = &tree->levels[level / FV_TILE_LEVELS - 1];

    (void)number; /* they come in order */
    if (!fv_grow(NULL, (void **)&kept->hashes, &kept->capacity, kept->count, sizeof *kept->hashes))
        return fv_fail_memory(err);
    memcpy(kept->hashes[kept->count++], hash, FV_DIGEST_SIZE);
    return 0;
}

static void find_gap(struct fv_tree *tree, uint64_t no)
{
    if (no == tree->next + 1)
        fv_found(tree->findings, "leaf %" PRIu64 " is missing", tree->next);
    else
        fv_found(tree->findings, "leaves %" PRIu64 " to %" PRIu64 " are missing", tree->next,
                 no - 1);
    tree->broken = true;
}

/* Does the leaf say what it is? */
static bool read_leaf(struct fv_tree *tree, const flagver_leaf_row *row,
                      struct fv_audit_leaf *ret_leaf)
{
    flagver_bytes tenant;
    uint64_t no;

    if (!fv_leaf_peek(row->leaf.data, row->leaf.length, &tenant, &no) ||
        (ret_leaf && !fv_leaf_decode(row->leaf.data, row->leaf.length, ret_leaf))) {
        fv_found(tree->findings, "leaf %" PRIu64 " is malformed", row->no);
        return false;
    }
    if (no != row->no) {
        fv_found(tree->findings, "leaf %" PRIu64 " says of itself that it is leaf %" PRIu64,
                 row->no, no);
        return false;
    }
    if (tenant.length != tree->tenant_length ||
        memcmp(tenant.data, tree->tenant, tenant.length) != 0) {
        fv_found(tree->findings, "leaf %" PRIu64 " says that it is of tenant \"%.*s\"", row->no,
                 (int)tenant.length, (const char *)tenant.data);
        return false;
    }
    return true;
}

static int append(struct fv_tree *tree, const uint8_t hash[FV_DIGEST_SIZE], flagver_error *err)
{
    int r = fv_frontier_append(&tree->frontier, tree->digest, hash, keep_node, tree, err);

    return r < 0 ? r : take_mark(tree, err);
}

int fv_tree_leaf(struct fv_tree *tree, const flagver_leaf_row *row, struct fv_audit_leaf *ret_leaf,
                 flagver_error *err)
{
    uint8_t hash[FV_DIGEST_SIZE];
    int r = 0;

    if (row->no != tree->next)
        find_gap(tree, row->no);
    tree->next = row->no + 1;
    if (!fv_merkle_leaf(tree->digest, row->leaf.data, row->leaf.length, hash))
        return fv_fail_memory(err);
    if (memcmp(hash, row->hash, sizeof hash) != 0)
        fv_found(tree->findings, "leaf %" PRIu64 ": its hash is not that of its bytes", row->no);
    if (!tree->broken)
        r = append(tree, hash, err);
    return r < 0 ? r : read_leaf(tree, row, ret_leaf);
}

void fv_tree_check_mark(struct fv_tree *tree, const uint8_t root[FV_DIGEST_SIZE])
{
    if (tree->broken && !tree->marked)
        return; /* what is missing was said */
    if (!tree->marked)
        fv_found(tree->findings,
                 "the checkpoint is of %" PRIu64 " leaves, and there are %" PRIu64
                 ": leaves from %" PRIu64 " on are gone",
                 tree->mark, tree->next, tree->next);
    else if (memcmp(tree->root_at_mark, root, FV_DIGEST_SIZE) != 0)
        fv_found(tree->findings,
                 "leaves 0 to %" PRIu64 " are not those of the checkpoint: one of them was changed",
                 tree->mark - (tree->mark > 0));
}

/* ---- nodes ---- */

static void find_missing(struct fv_tree *tree, unsigned level, uint64_t from, uint64_t to)
{
    for (; from < to; from++)
        fv_found(tree->findings,
                 "node %" PRIu64 " of level %u, over leaves %" PRIu64 " to %" PRIu64 ", is missing",
                 from, level, from << level, ((from + 1) << level) - 1);
}

void fv_tree_node(struct fv_tree *tree, const flagver_node_row *row)
{
    struct fv_tree_level *kept;
    unsigned level = row->level;

    tree->has_nodes = true;
    if (tree->broken)
        return;
    if (level == 0 || level % FV_TILE_LEVELS != 0 || level > FV_TREE_LEVELS * FV_TILE_LEVELS ||
        row->index >= tree->levels[level / FV_TILE_LEVELS - 1].count) {
        fv_found(tree->findings, "node %" PRIu64 " of level %u is over leaves that are not there",
                 row->index, level);
        return;
    }
    kept = &tree->levels[level / FV_TILE_LEVELS - 1];
    find_missing(tree, level, kept->seen, row->index);
    kept->seen = row->index + 1;
    if (memcmp(row->hash, kept->hashes[row->index], FV_DIGEST_SIZE) != 0)
        fv_found(tree->findings,
                 "node %" PRIu64 " of level %u is not what its leaves, %" PRIu64 " to %" PRIu64
                 ", give",
                 row->index, level, row->index << level, ((row->index + 1) << level) - 1);
}

/* ---- the head ---- */

/* Both are of as many leaves. */
static void compare_heads(struct fv_tree *tree, const struct fv_frontier *head)
{
    uint64_t first = 0;
    unsigned level, i = 0;

    for (level = FV_FRONTIER_NODES; level-- > 0;) {
        if (!(head->size >> level & 1))
            continue;
        if (memcmp(head->hash[i], tree->frontier.hash[i], FV_DIGEST_SIZE) != 0)
            fv_found(tree->findings,
                     "the head of the log is not what leaves %" PRIu64 " to %" PRIu64 " give",
                     first, first + (UINT64_C(1) << level) - 1);
        first += UINT64_C(1) << level;
        i++;
    }
}

void fv_tree_head(struct fv_tree *tree, const flagver_log_row *row)
{
    struct fv_frontier head;

    tree->has_row = true;
    if (row->size != tree->next)
        fv_found(tree->findings,
                 "the head of the log says %" PRIu64 " leaves, and there are %" PRIu64, row->size,
                 tree->next);
    if (!row->frontier.data)
        return;
    tree->has_head = true;
    if (!fv_frontier_decode(row->frontier.data, row->frontier.length, &head))
        fv_found(tree->findings, "the head of the log is malformed");
    else if (head.size != row->size)
        fv_found(tree->findings,
                 "the head of the log is of %" PRIu64 " leaves, and says that it is of %" PRIu64,
                 head.size, row->size);
    else if (!tree->broken && head.size == tree->frontier.size)
        compare_heads(tree, &head);
}

void fv_tree_end(struct fv_tree *tree)
{
    unsigned i;

    if (!tree->next)
        return;
    if (!tree->has_row || (tree->has_nodes && !tree->has_head))
        fv_found(tree->findings, "the head of the log is missing");
    /* Neither nodes nor head: from before there were trees, and nothing was added since. */
    if (tree->broken || (!tree->has_nodes && !tree->has_head))
        return;
    for (i = 0; i < FV_TREE_LEVELS; i++)
        find_missing(tree, (i + 1) * FV_TILE_LEVELS, tree->levels[i].seen, tree->levels[i].count);
}
