/*
 * Is the tree of a log what its leaves give? Everything is computed anew from the leaves' bytes:
 *
 *     fv_tree_init(&tree, tenant, digest, &findings);
 *     fv_tree_leaf(&tree, &row, &leaf, err);       each, in order
 *     fv_tree_node(&tree, &row);                   each that is kept, level by level, in order
 *     fv_tree_head(&tree, &row);
 *     fv_tree_end(&tree);
 *     fv_tree_clear(&tree);
 *
 * A copy without nodes and head ends after the leaves.
 */
#ifndef FV_ENGINE_TREE_H
#define FV_ENGINE_TREE_H

#include "crypto/merkle.h"
#include "engine/finding.h"
#include "model/leaf.h"

#define FV_TREE_LEVELS 15 /* 4, 8 … 60 */

/* The nodes of one kept level as they should be: 2 to 4 MB for a million leaves. */
struct fv_tree_level {
    uint8_t (*hashes)[FV_DIGEST_SIZE];
    size_t count, capacity;
    uint64_t seen; /* in the store, from the first on */
};

struct fv_tree {
    const char *tenant;
    size_t tenant_length;
    struct fv_digest *digest;
    struct fv_findings *findings;
    struct fv_frontier frontier;       /* of the leaves before the first gap */
    uint64_t next;                     /* leaf */
    bool broken;                       /* leaves are missing: nothing above them can be known */
    bool has_nodes, has_row, has_head; /* a head may say how long the log is, and no more */
    struct fv_tree_level levels[FV_TREE_LEVELS];

    uint64_t mark; /* fv_tree_mark() */
    bool marked;
    uint8_t root_at_mark[FV_DIGEST_SIZE];
};

void fv_tree_init(struct fv_tree *tree, const char *tenant, struct fv_digest *digest,
                  struct fv_findings *findings);
void fv_tree_clear(struct fv_tree *tree);

/* Before the first leaf: the root that the log had with so many leaves is wanted. */
int fv_tree_mark(struct fv_tree *tree, uint64_t size, flagver_error *err);

/*
 * 1: *ret_leaf is what the leaf says, its texts borrowed from the row; NULL: nobody asks. 0: it
 * is malformed. FLAGVER_ENOMEM.
 */
int fv_tree_leaf(struct fv_tree *tree, const flagver_leaf_row *row, struct fv_audit_leaf *ret_leaf,
                 flagver_error *err);

/* Are all leaves that a checkpoint is of the ones that are there? Needs the mark. */
void fv_tree_check_mark(struct fv_tree *tree, const uint8_t root[FV_DIGEST_SIZE]);

void fv_tree_node(struct fv_tree *tree, const flagver_node_row *row);
void fv_tree_head(struct fv_tree *tree, const flagver_log_row *row);

/* There are no more nodes, and there was a head or not. */
void fv_tree_end(struct fv_tree *tree);

/* Of the leaves before the first gap. FLAGVER_ENOMEM. */
int fv_tree_root(const struct fv_tree *tree, uint8_t out[FV_DIGEST_SIZE], flagver_error *err);

#endif
