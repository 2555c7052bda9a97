/*
 * The hash tree of a log (RFC 6962, RFC 9162): its root, and proofs about it.
 *
 * A log of n leaves is summed up in its frontier: the hashes of the perfect subtrees that
 * the binary digits of n name. That is enough to append and to know the root. Proofs also need
 * nodes from the inside. Of those only the levels 4, 8, 12 … are kept, one node for
 * 16 of the kept level below; the rest is computed again from the 16.
 *
 * A node is named by its level (0: the leaves) and its number on that level; only nodes whose
 * subtree is complete have such a name.
 *
 * Threads: what a digest is used for is done by one thread at a time.
 */
#ifndef FV_CRYPTO_MERKLE_H
#define FV_CRYPTO_MERKLE_H

#include "crypto/crypto.h"

#define FV_TILE_LEVELS 4u
#define FV_TILE_NODES 16u

/* H(0x00, leaf), and H(0x01, left, right). False as fv_digest_end(). */
bool fv_merkle_leaf(struct fv_digest *digest, const void *leaf, size_t length,
                    uint8_t out[FV_DIGEST_SIZE]);
bool fv_merkle_node(struct fv_digest *digest, const uint8_t left[FV_DIGEST_SIZE],
                    const uint8_t right[FV_DIGEST_SIZE], uint8_t out[FV_DIGEST_SIZE]);

/* ---- the frontier ---- */

#define FV_LOG_LIMIT ((uint64_t)INT64_MAX) /* leaves: as many as a database counts */
#define FV_FRONTIER_NODES 63

/* hash[i] is that of the i-th greatest subtree. All zero is the empty log. */
struct fv_frontier {
    uint64_t size;
    uint8_t hash[FV_FRONTIER_NODES][FV_DIGEST_SIZE];
};

/*
 * Append a leaf, given by its hash. `kept` is told of each node that is complete now and
 * is to be kept, from the lowest level upwards; it may be NULL. When it fails, so does this, and
 * the frontier is good for nothing.
 */
typedef int (*fv_merkle_kept)(void *data, unsigned level, uint64_t number,
                              const uint8_t hash[FV_DIGEST_SIZE], flagver_error *err);

int fv_frontier_append(struct fv_frontier *frontier, struct fv_digest *digest,
                       const uint8_t leaf_hash[FV_DIGEST_SIZE], fv_merkle_kept kept, void *data,
                       flagver_error *err);

/* The root; of the empty log SHA-256 of nothing. */
bool fv_frontier_root(const struct fv_frontier *frontier, struct fv_digest *digest,
                      uint8_t out[FV_DIGEST_SIZE]);

/* As bytes: the size in 8, big-endian, and the hashes, greatest subtree first. */
#define FV_FRONTIER_BYTES (8 + FV_FRONTIER_NODES * FV_DIGEST_SIZE)

size_t fv_frontier_encode(const struct fv_frontier *frontier, uint8_t out[FV_FRONTIER_BYTES]);

/* False when the bytes are no frontier. */
bool fv_frontier_decode(const void *data, size_t length, struct fv_frontier *ret_frontier);

/* ---- proofs ---- */

/* RFC 9162: an inclusion proof has at most 64 hashes, a consistency proof one more. */
#define FV_PROOF_NODES 65

struct fv_proof {
    size_t count;
    uint8_t hash[FV_PROOF_NODES][FV_DIGEST_SIZE];
};

/*
 * Where the nodes that are kept come from.
 *
 * read      `count` hashes of nodes on `level` (0, 4, 8 …) from number `first` on; at most
 *           FV_TILE_NODES, all of one tile
 * frontier  of a log that is at least as long as what is asked about: hashes that it has are
 *           not read. NULL: none
 */
struct fv_merkle_source {
    int (*read)(void *data, unsigned level, uint64_t first, size_t count,
                uint8_t (*out)[FV_DIGEST_SIZE], flagver_error *err);
    void *data;
    const struct fv_frontier *frontier;
};

/*
 * The proof that leaf number `leaf` is in the log of `size` leaves; FLAGVER_EINVAL when
 * it cannot be.
 */
int fv_merkle_prove_inclusion(const struct fv_merkle_source *source, struct fv_digest *digest,
                              uint64_t leaf, uint64_t size, struct fv_proof *ret_proof,
                              flagver_error *err);

/*
 * The proof that the log of `size` leaves begins with that of `old_size` leaves. Empty when
 * they are equal, or old_size is 0.
 */
int fv_merkle_prove_consistency(const struct fv_merkle_source *source, struct fv_digest *digest,
                                uint64_t old_size, uint64_t size, struct fv_proof *ret_proof,
                                flagver_error *err);

/* Does the proof hold? 1 or 0, or FLAGVER_ENOMEM. Both ask nobody but the digest. */
int fv_merkle_check_inclusion(struct fv_digest *digest, const struct fv_proof *proof, uint64_t leaf,
                              uint64_t size, const uint8_t leaf_hash[FV_DIGEST_SIZE],
                              const uint8_t root[FV_DIGEST_SIZE], flagver_error *err);
int fv_merkle_check_consistency(struct fv_digest *digest, const struct fv_proof *proof,
                                uint64_t old_size, uint64_t size,
                                const uint8_t old_root[FV_DIGEST_SIZE],
                                const uint8_t root[FV_DIGEST_SIZE], flagver_error *err);

#endif
