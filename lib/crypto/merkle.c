#include "crypto/merkle.h"

#include <string.h>

#include "util/fail.h"

#define SHORT_LEAF 511 /* bytes; most leaves are shorter */

bool fv_merkle_leaf(struct fv_digest *digest, const void *leaf, size_t length,
                    uint8_t out[FV_DIGEST_SIZE])
{
    uint8_t bytes[1 + SHORT_LEAF];
    size_t first = length < SHORT_LEAF ? length : SHORT_LEAF;

    bytes[0] = 0;
    if (first)
        memcpy(bytes + 1, leaf, first);
    fv_digest_start(digest);
    fv_digest_add(digest, bytes, 1 + first); /* in one piece: what is cut at 63 costs more */
    if (length > first)
        fv_digest_add(digest, (const uint8_t *)leaf + first, length - first);
    return fv_digest_end(digest, out);
}

bool fv_merkle_node(struct fv_digest *digest, const uint8_t left[FV_DIGEST_SIZE],
                    const uint8_t right[FV_DIGEST_SIZE], uint8_t out[FV_DIGEST_SIZE])
{
    uint8_t node[1 + 2 * FV_DIGEST_SIZE] = { 1 };

    memcpy(node + 1, left, FV_DIGEST_SIZE);
    memcpy(node + 1 + FV_DIGEST_SIZE, right, FV_DIGEST_SIZE);
    fv_digest_start(digest);
    fv_digest_add(digest, node, sizeof node);
    return fv_digest_end(digest, out);
}

static bool is_same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, FV_DIGEST_SIZE) == 0;
}

/* ---- the frontier ---- */

static unsigned count_ones(uint64_t number)
{
    /* Of each 2 bits, 4 bits, 8 bits; then all bytes are summed up in the highest one. */
    number -= number >> 1 & UINT64_C(0x5555555555555555);
    number = (number & UINT64_C(0x3333333333333333)) + (number >> 2 & UINT64_C(0x3333333333333333));
    number = (number + (number >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(number * UINT64_C(0x0101010101010101) >> 56);
}

int fv_frontier_append(struct fv_frontier *frontier, struct fv_digest *digest,
                       const uint8_t leaf_hash[FV_DIGEST_SIZE], fv_merkle_kept kept, void *data,
                       flagver_error *err)
{
    unsigned last = count_ones(frontier->size), level;
    uint8_t hash[FV_DIGEST_SIZE];
    int r;

    memcpy(hash, leaf_hash, sizeof hash);
    for (level = 0;; level++) {
        if (level && level % FV_TILE_LEVELS == 0 && kept) {
            r = kept(data, level, frontier->size >> level, hash, err);
            if (r < 0)
                return r;
        }
        if (!(frontier->size >> level & 1))
            break;
        if (!fv_merkle_node(digest, frontier->hash[--last], hash, hash))
            return fv_fail_memory(err);
    }
    memcpy(frontier->hash[last], hash, sizeof hash);
    frontier->size++;
    return 0;
}

bool fv_frontier_root(const struct fv_frontier *frontier, struct fv_digest *digest,
                      uint8_t out[FV_DIGEST_SIZE])
{
    unsigned left = count_ones(frontier->size);

    if (left == 0) {
        fv_digest_start(digest);
        return fv_digest_end(digest, out);
    }
    memcpy(out, frontier->hash[--left], FV_DIGEST_SIZE);
    while (left > 0)
        if (!fv_merkle_node(digest, frontier->hash[--left], out, out))
            return false;
    return true;
}

size_t fv_frontier_encode(const struct fv_frontier *frontier, uint8_t out[FV_FRONTIER_BYTES])
{
    size_t hashes = count_ones(frontier->size) * (size_t)FV_DIGEST_SIZE;
    int i;

    for (i = 0; i < 8; i++)
        out[i] = (uint8_t)(frontier->size >> (56 - 8 * i));
    memcpy(out + 8, frontier->hash, hashes);
    return 8 + hashes;
}

bool fv_frontier_decode(const void *data, size_t length, struct fv_frontier *ret_frontier)
{
    const uint8_t *bytes = data;
    uint64_t size = 0;
    int i;

    if (length < 8)
        return false;
    for (i = 0; i < 8; i++)
        size = size << 8 | bytes[i];
    if (size > FV_LOG_LIMIT || length != 8 + count_ones(size) * (size_t)FV_DIGEST_SIZE)
        return false;
    ret_frontier->size = size;
    memcpy(ret_frontier->hash, bytes + 8, length - 8);
    return true;
}

/* ---- nodes ---- */

/*
 * What a proof is made from. The tile that was read last stays: the nodes of a
 * proof that lie in one tile come one after the other.
 */
struct maker {
    const struct fv_merkle_source *source;
    struct fv_digest *digest;
    uint64_t size; /* of the log that the proof is about */
    bool has_tile;
    unsigned tile_level;
    uint64_t tile_number;
    uint8_t tile[FV_TILE_NODES][FV_DIGEST_SIZE];
    struct fv_proof *proof;
};

/* The frontier has the node of a level whose binary digit is set, the last one there. */
static const uint8_t *find_in_frontier(const struct fv_frontier *frontier, unsigned level,
                                       uint64_t number)
{
    if (!frontier || !(frontier->size >> level & 1) || number != (frontier->size >> level) - 1)
        return NULL;
    return frontier->hash[count_ones(frontier->size >> level) - 1];
}

/* As much of the tile as the log has. */
static int load_tile(struct maker *maker, unsigned level, uint64_t number, flagver_error *err)
{
    uint64_t first = number * FV_TILE_NODES, there = (maker->size >> level) - first;
    size_t count = there < FV_TILE_NODES ? (size_t)there : FV_TILE_NODES;
    int r;

    if (maker->has_tile && maker->tile_level == level && maker->tile_number == number)
        return 0;
    maker->has_tile = false;
    r = maker->source->read(maker->source->data, level, first, count, maker->tile, err);
    if (r < 0)
        return r;
    maker->has_tile = true;
    maker->tile_level = level;
    maker->tile_number = number;
    return 0;
}

/* The node over 2^levels neighbours. */
static bool fold(struct fv_digest *digest, const uint8_t (*row)[FV_DIGEST_SIZE], unsigned levels,
                 uint8_t out[FV_DIGEST_SIZE])
{
    uint8_t nodes[FV_TILE_NODES / 2][FV_DIGEST_SIZE];
    size_t count = (size_t)1 << levels, i;

    if (levels == 0) {
        memcpy(out, row[0], FV_DIGEST_SIZE);
        return true;
    }
    for (; count > 1; count /= 2, row = (const uint8_t(*)[FV_DIGEST_SIZE])nodes)
        for (i = 0; i < count / 2; i++)
            if (!fv_merkle_node(digest, row[2 * i], row[2 * i + 1], nodes[i]))
                return false;
    memcpy(out, nodes[0], FV_DIGEST_SIZE);
    return true;
}

static int find_node(struct maker *maker, unsigned level, uint64_t number,
                     uint8_t out[FV_DIGEST_SIZE], flagver_error *err)
{
    const uint8_t *known = find_in_frontier(maker->source->frontier, level, number);
    unsigned inside = level % FV_TILE_LEVELS;
    uint64_t first = number << inside;
    int r;

    if (known) {
        memcpy(out, known, FV_DIGEST_SIZE);
        return 0;
    }
    r = load_tile(maker, level - inside, first / FV_TILE_NODES, err);
    if (r < 0)
        return r;
    if (!fold(maker->digest, (const uint8_t(*)[FV_DIGEST_SIZE])maker->tile + first % FV_TILE_NODES,
              inside, out))
        return fv_fail_memory(err);
    return 0;
}

/*
 * The subtree over all leaves from node `number` of `level` to the end. It is made of the
 * perfect ones that the size's digits below name, smallest last.
 */
static int find_right_edge(struct maker *maker, unsigned level, uint64_t number,
                           uint8_t out[FV_DIGEST_SIZE], flagver_error *err)
{
    uint64_t rest = maker->size - (number << level);
    uint8_t left[FV_DIGEST_SIZE];
    unsigned at;
    bool first = true;
    int r;

    for (at = 0; at <= level; at++) {
        if (!(rest >> at & 1))
            continue;
        r = find_node(maker, at, (maker->size >> at) - 1, first ? out : left, err);
        if (r < 0)
            return r;
        if (!first && !fv_merkle_node(maker->digest, left, out, out))
            return fv_fail_memory(err);
        first = false;
    }
    return 0;
}

/* The hashes beside the way from a node to the root. */
static int add_path(struct maker *maker, unsigned level, uint64_t number, flagver_error *err)
{
    uint64_t last = (maker->size - 1) >> level;
    int r = 0;

    for (; r == 0 && last > 0; level++, number /= 2, last /= 2) {
        uint64_t beside = number ^ 1;
        uint8_t *out = maker->proof->hash[maker->proof->count];

        if (beside > last)
            continue;
        r = beside == last ? find_right_edge(maker, level, beside, out, err)
                           : find_node(maker, level, beside, out, err);
        maker->proof->count++;
    }
    return r;
}

/* ---- making proofs ---- */

static int check_size(const struct fv_merkle_source *source, uint64_t size, flagver_error *err)
{
    uint64_t there = source->frontier ? source->frontier->size : FV_LOG_LIMIT;

    if (size > there)
        return fv_fail(err, FLAGVER_EINVAL, "the log has %llu leaves, not %llu",
                       (unsigned long long)there, (unsigned long long)size);
    return 0;
}

int fv_merkle_prove_inclusion(const struct fv_merkle_source *source, struct fv_digest *digest,
                              uint64_t leaf, uint64_t size, struct fv_proof *ret_proof,
                              flagver_error *err)
{
    struct maker maker = { .source = source, .digest = digest, .size = size, .proof = ret_proof };
    int r;

    if (leaf >= size)
        return fv_fail(err, FLAGVER_EINVAL, "a log of %llu leaves has no leaf %llu",
                       (unsigned long long)size, (unsigned long long)leaf);
    r = check_size(source, size, err);
    if (r < 0)
        return r;
    ret_proof->count = 0;
    return add_path(&maker, 0, leaf, err);
}

int fv_merkle_prove_consistency(const struct fv_merkle_source *source, struct fv_digest *digest,
                                uint64_t old_size, uint64_t size, struct fv_proof *ret_proof,
                                flagver_error *err)
{
    struct maker maker = { .source = source, .digest = digest, .size = size, .proof = ret_proof };
    unsigned level = 0;
    uint64_t number;
    int r;

    if (old_size > size)
        return fv_fail(err, FLAGVER_EINVAL, "a log of %llu leaves does not begin with %llu",
                       (unsigned long long)size, (unsigned long long)old_size);
    r = check_size(source, size, err);
    if (r < 0)
        return r;
    ret_proof->count = 0;
    if (old_size == 0 || old_size == size)
        return 0;

    /* From the last perfect subtree of the old log; when that is all of it, its root is known. */
    while (!(old_size >> level & 1))
        level++;
    number = (old_size >> level) - 1;
    if (number > 0) {
        r = find_node(&maker, level, number, ret_proof->hash[0], err);
        if (r < 0)
            return r;
        ret_proof->count = 1;
    }
    return add_path(&maker, level, number, err);
}

/* ---- checking proofs ---- */

/* RFC 9162, 2.1.3.2. */
int fv_merkle_check_inclusion(struct fv_digest *digest, const struct fv_proof *proof, uint64_t leaf,
                              uint64_t size, const uint8_t leaf_hash[FV_DIGEST_SIZE],
                              const uint8_t root[FV_DIGEST_SIZE], flagver_error *err)
{
    uint64_t number = leaf, last = size - 1;
    uint8_t hash[FV_DIGEST_SIZE];
    bool fine = true;
    size_t i;

    if (leaf >= size)
        return 0;
    memcpy(hash, leaf_hash, sizeof hash);
    for (i = 0; fine && i < proof->count; i++, number /= 2, last /= 2) {
        if (last == 0)
            return 0;
        if (number % 2 == 0 && number != last) {
            fine = fv_merkle_node(digest, hash, proof->hash[i], hash);
            continue;
        }
        fine = fv_merkle_node(digest, proof->hash[i], hash, hash);
        while (number % 2 == 0) { /* on these levels there was nothing beside it */
            number /= 2;
            last /= 2;
        }
    }
    if (!fine)
        return fv_fail_memory(err);
    return last == 0 && is_same(hash, root);
}

/* RFC 9162, 2.1.4.2: both roots come from the same hashes. */
static int check_both_roots(struct fv_digest *digest, const struct fv_proof *proof,
                            uint64_t old_size, uint64_t size,
                            const uint8_t old_root[FV_DIGEST_SIZE],
                            const uint8_t root[FV_DIGEST_SIZE], flagver_error *err)
{
    uint64_t number = old_size - 1, last = size - 1;
    bool all_of_old = (old_size & number) == 0, fine = true;
    uint8_t old_hash[FV_DIGEST_SIZE], hash[FV_DIGEST_SIZE];
    size_t i = all_of_old ? 0 : 1;

    if (proof->count == 0)
        return 0;
    for (; number % 2; number /= 2)
        last /= 2;
    memcpy(hash, all_of_old ? old_root : proof->hash[0], sizeof hash);
    memcpy(old_hash, hash, sizeof old_hash);

    for (; fine && i < proof->count; i++, number /= 2, last /= 2) {
        if (last == 0)
            return 0;
        if (number % 2 == 0 && number != last) {
            fine = fv_merkle_node(digest, hash, proof->hash[i], hash);
            continue;
        }
        fine = fv_merkle_node(digest, proof->hash[i], old_hash, old_hash) &&
               fv_merkle_node(digest, proof->hash[i], hash, hash);
        while (number % 2 == 0) {
            number /= 2;
            last /= 2;
        }
    }
    if (!fine)
        return fv_fail_memory(err);
    return last == 0 && is_same(old_hash, old_root) && is_same(hash, root);
}

int fv_merkle_check_consistency(struct fv_digest *digest, const struct fv_proof *proof,
                                uint64_t old_size, uint64_t size,
                                const uint8_t old_root[FV_DIGEST_SIZE],
                                const uint8_t root[FV_DIGEST_SIZE], flagver_error *err)
{
    static const struct fv_frontier nothing;
    uint8_t empty[FV_DIGEST_SIZE];

    if (old_size > size)
        return 0;
    if (old_size == size)
        return proof->count == 0 && is_same(old_root, root);
    if (old_size > 0)
        return check_both_roots(digest, proof, old_size, size, old_root, root, err);
    if (!fv_frontier_root(&nothing, digest, empty))
        return fv_fail_memory(err);
    return proof->count == 0 && is_same(old_root, empty);
}
