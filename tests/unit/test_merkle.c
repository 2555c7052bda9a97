/*
 * The tree of a log: roots that others publish, and proofs against the definitions of
 * RFC 6962 written down as they stand there, recursion and all.
 */
#include "crypto/merkle.h"

#include <stdio.h>

#include "support.h"

static struct fv_crypto *crypto;
static struct fv_digest *digest;

static void make_digest(void)
{
    crypto = fv_crypto_new();
    ck_assert_ptr_nonnull(crypto);
    digest = fv_digest_new(crypto);
    ck_assert_ptr_nonnull(digest);
}

static void free_digest(void)
{
    fv_digest_free(digest);
    fv_crypto_free(crypto);
}

/* ---- the definitions ---- */

#define NAIVE_SIZE 600u

static uint8_t leaves[NAIVE_SIZE][FV_DIGEST_SIZE];

/* Roots that were computed once: remembered[begin][end], in use when known[begin][end]. */
static uint8_t remembered[NAIVE_SIZE + 1][NAIVE_SIZE + 1][FV_DIGEST_SIZE];
static bool known[NAIVE_SIZE + 1][NAIVE_SIZE + 1];

static void make_leaf(uint32_t number, uint8_t out[FV_DIGEST_SIZE])
{
    char text[16];
    int length = snprintf(text, sizeof text, "leaf %u", (unsigned)number);

    ck_assert(fv_merkle_leaf(digest, text, (size_t)length, out));
}

static void make_leaves(void)
{
    uint32_t i;

    make_digest();
    memset(known, 0, sizeof known);
    for (i = 0; i < NAIVE_SIZE; i++)
        make_leaf(i, leaves[i]);
}

/* The largest power of two smaller than n. */
static uint32_t split(uint32_t n)
{
    uint32_t k = 1;

    while (2 * k < n)
        k *= 2;
    return k;
}

/* 2.1: MTH(D[begin:end]) */
static const uint8_t *naive_root(uint32_t begin, uint32_t end)
{
    uint8_t *out = remembered[begin][end];
    uint32_t middle;

    if (known[begin][end])
        return out;
    if (end - begin == 0) {
        fv_digest_start(digest);
        ck_assert(fv_digest_end(digest, out));
    } else if (end - begin == 1) {
        memcpy(out, leaves[begin], FV_DIGEST_SIZE);
    } else {
        middle = begin + split(end - begin);
        naive_root(begin, middle); /* both before the digest is needed for this one */
        naive_root(middle, end);
        fv_digest_start(digest);
        fv_digest_add(digest, "\1", 1);
        fv_digest_add(digest, naive_root(begin, middle), FV_DIGEST_SIZE);
        fv_digest_add(digest, naive_root(middle, end), FV_DIGEST_SIZE);
        ck_assert(fv_digest_end(digest, out));
    }
    known[begin][end] = true;
    return out;
}

static void naive_add(struct fv_proof *proof, uint32_t begin, uint32_t end)
{
    memcpy(proof->hash[proof->count++], naive_root(begin, end), FV_DIGEST_SIZE);
}

/* 2.1.1: PATH(m, D[begin:end]) */
static void naive_path(struct fv_proof *proof, uint32_t m, uint32_t begin, uint32_t end)
{
    uint32_t k = split(end - begin);

    if (end - begin == 1)
        return;
    if (m < k) {
        naive_path(proof, m, begin, begin + k);
        naive_add(proof, begin + k, end);
    } else {
        naive_path(proof, m - k, begin + k, end);
        naive_add(proof, begin, begin + k);
    }
}

/* 2.1.2: SUBPROOF(m, D[begin:end], whole) */
static void naive_subproof(struct fv_proof *proof, uint32_t m, uint32_t begin, uint32_t end,
                           bool whole)
{
    uint32_t k = split(end - begin);

    if (m == end - begin) {
        if (!whole)
            naive_add(proof, begin, end);
    } else if (m <= k) {
        naive_subproof(proof, m, begin, begin + k, whole);
        naive_add(proof, begin + k, end);
    } else {
        naive_subproof(proof, m - k, begin + k, end, false);
        naive_add(proof, begin, begin + k);
    }
}

static void assert_same_proof(const struct fv_proof *proof, const struct fv_proof *expected)
{
    ck_assert_uint_eq(proof->count, expected->count);
    ck_assert_mem_eq(proof->hash, expected->hash, expected->count * FV_DIGEST_SIZE);
}

/* ---- a log in memory that keeps what a store keeps ---- */

#define LOG_SIZE 70000u
#define KEPT_LEVELS 4u /* 4, 8, 12, 16 */

static struct {
    struct fv_frontier frontier;
    uint8_t level0[LOG_SIZE][FV_DIGEST_SIZE];
    uint8_t kept[KEPT_LEVELS][LOG_SIZE / 16][FV_DIGEST_SIZE];
    uint64_t counts[KEPT_LEVELS];
    int reads;
} stored;

/* The nodes of level 0, 4 … 16. */
static uint8_t (*nodes_of(unsigned level))[FV_DIGEST_SIZE]
{
    ck_assert(level % 4 == 0 && level / 4 <= KEPT_LEVELS);
    return level == 0 ? stored.level0 : stored.kept[level / 4 - 1];
}

static int keep(void *data, unsigned level, uint64_t number, const uint8_t hash[FV_DIGEST_SIZE],
                flagver_error *err)
{
    (void)err;
    ck_assert_ptr_eq(data, &stored);
    ck_assert_uint_ne(level, 0);
    memcpy(nodes_of(level)[number], hash, FV_DIGEST_SIZE);
    ck_assert_uint_eq(number, stored.counts[level / 4 - 1]++);
    return 0;
}

static int read_stored(void *data, unsigned level, uint64_t first, size_t count,
                       uint8_t (*out)[FV_DIGEST_SIZE], flagver_error *err)
{
    (void)data;
    (void)err;
    stored.reads++;
    ck_assert_uint_ge(count, 1);
    ck_assert_uint_eq(first / 16, (first + count - 1) / 16);
    ck_assert_uint_le(first + count, stored.frontier.size >> level);
    memcpy(out, nodes_of(level) + first, count * FV_DIGEST_SIZE);
    return 0;
}

static void append(uint32_t number)
{
    make_leaf(number, stored.level0[number]);
    assert_ok(
        fv_frontier_append(&stored.frontier, digest, stored.level0[number], keep, &stored, &error));
}

static void grow_to(uint32_t size)
{
    memset(&stored, 0, sizeof stored);
    while (stored.frontier.size < size)
        append((uint32_t)stored.frontier.size);
}

static const struct fv_merkle_source bare = { .read = read_stored },
                                     with_frontier = { .read = read_stored,
                                                       .frontier = &stored.frontier };

/* ---- roots ---- */

static const struct {
    const char *bytes;
    size_t length;
} reference_leaves[] = {
    { "", 0 },
    { "\x00", 1 },
    { "\x10", 1 },
    { "\x20\x21", 2 },
    { "\x30\x31", 2 },
    { "\x40\x41\x42\x43", 4 },
    { "\x50\x51\x52\x53\x54\x55\x56\x57", 8 },
    { "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16 },
};

static const char *const reference_roots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

START_TEST(the_reference_tree_has_the_published_roots)
{
    uint8_t hash[FV_DIGEST_SIZE], root[FV_DIGEST_SIZE];
    struct fv_frontier frontier = { 0 };
    char text[2 * FV_DIGEST_SIZE + 1];
    int i;

    for (i = 0; i < _i; i++) {
        ck_assert(
            fv_merkle_leaf(digest, reference_leaves[i].bytes, reference_leaves[i].length, hash));
        memcpy(leaves[i], hash, sizeof hash);
        assert_ok(fv_frontier_append(&frontier, digest, hash, NULL, NULL, &error));
    }
    ck_assert(fv_frontier_root(&frontier, digest, root));
    for (i = 0; i < FV_DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", root[i]);
    ck_assert_str_eq(text, reference_roots[_i]);
    ck_assert_mem_eq(root, naive_root(0, (uint32_t)_i), FV_DIGEST_SIZE);
}
END_TEST

START_TEST(a_frontier_has_the_root_of_the_definition)
{
    uint8_t root[FV_DIGEST_SIZE];
    uint32_t size;

    grow_to(0);
    for (size = 0;; size++) {
        ck_assert(fv_frontier_root(&stored.frontier, digest, root));
        ck_assert_mem_eq(root, naive_root(0, size), FV_DIGEST_SIZE);
        if (size == NAIVE_SIZE)
            break;
        append(size);
    }
}
END_TEST

/* The nodes are complete at once, and in order: keep() looks at the numbers. */
START_TEST(nodes_at_the_edges_of_tiles_are_told)
{
    unsigned level;
    size_t last;

    grow_to(LOG_SIZE);
    for (level = 4; level <= 4 * KEPT_LEVELS; level += 4) {
        ck_assert_uint_eq(stored.counts[level / 4 - 1], LOG_SIZE >> level);
        last = (LOG_SIZE >> level) - 1;
        memcpy(leaves, nodes_of(level - 4) + 16 * last, 16 * sizeof *leaves);
        memset(known, 0, sizeof known);
        ck_assert_mem_eq(nodes_of(level)[last], naive_root(0, 16), FV_DIGEST_SIZE);
    }
}
END_TEST

static int refuse(void *data, unsigned level, uint64_t number, const uint8_t hash[FV_DIGEST_SIZE],
                  flagver_error *err)
{
    (void)data;
    (void)level;
    (void)number;
    (void)hash;
    err->code = FLAGVER_EIO;
    strcpy(err->message, "no");
    return FLAGVER_EIO;
}

START_TEST(who_cannot_keep_a_node_ends_the_append)
{
    grow_to(15);
    assert_fails(FLAGVER_EIO, fv_frontier_append(&stored.frontier, digest, stored.level0[0], refuse,
                                                 NULL, &error));
}
END_TEST

/* ---- frontiers as bytes ---- */

START_TEST(a_frontier_comes_back_from_its_bytes)
{
    static const uint32_t sizes[] = { 0, 1, 2, 15, 16, 255, 256, 599 };
    uint8_t bytes[FV_FRONTIER_BYTES];
    struct fv_frontier again = { 0 };
    size_t length;

    grow_to(sizes[_i]);
    length = fv_frontier_encode(&stored.frontier, bytes);
    ck_assert_uint_eq(bytes[6] * 256u + bytes[7], sizes[_i]);
    ck_assert(fv_frontier_decode(bytes, length, &again));
    ck_assert_uint_eq(again.size, sizes[_i]);
    ck_assert_mem_eq(again.hash, stored.frontier.hash, length - 8);
}
END_TEST

START_TEST(what_is_no_frontier_is_refused)
{
    uint8_t bytes[FV_FRONTIER_BYTES + FV_DIGEST_SIZE];
    struct fv_frontier frontier;
    size_t length, wrong;

    grow_to(7);
    length = fv_frontier_encode(&stored.frontier, bytes);
    ck_assert_uint_eq(length, 8 + 3 * FV_DIGEST_SIZE);
    for (wrong = 0; wrong <= length + FV_DIGEST_SIZE; wrong++)
        ck_assert_int_eq(fv_frontier_decode(bytes, wrong, &frontier), wrong == length);
    bytes[7] = 3; /* two hashes */
    ck_assert(!fv_frontier_decode(bytes, length, &frontier));
    memset(bytes, 0xff, 8); /* more leaves than can be counted */
    ck_assert(!fv_frontier_decode(bytes, sizeof bytes, &frontier));
}
END_TEST

/* ---- proofs ---- */

/* All leaves of small logs; of the others the ends and some between. */
static bool is_of_interest(uint32_t number, uint32_t size)
{
    return size <= 70 || number == 0 || number + 1 >= size || (number * 7 + size) % 61 == 0;
}

START_TEST(an_inclusion_proof_is_that_of_the_definition)
{
    struct fv_proof proof = { 0 }, expected;
    uint32_t leaf, size;

    grow_to(NAIVE_SIZE);
    for (size = 1; size <= NAIVE_SIZE; size++)
        for (leaf = 0; leaf < size; leaf++) {
            if (!is_of_interest(leaf, size))
                continue;
            expected.count = 0;
            naive_path(&expected, leaf, 0, size);
            assert_ok(fv_merkle_prove_inclusion(leaf % 2 ? &bare : &with_frontier, digest, leaf,
                                                size, &proof, &error));
            assert_same_proof(&proof, &expected);
            ck_assert_int_eq(fv_merkle_check_inclusion(digest, &proof, leaf, size, leaves[leaf],
                                                       naive_root(0, size), &error),
                             1);
        }
}
END_TEST

START_TEST(a_consistency_proof_is_that_of_the_definition)
{
    struct fv_proof proof = { 0 }, expected;
    uint32_t old_size, size;

    grow_to(NAIVE_SIZE);
    for (size = 1; size <= NAIVE_SIZE; size++)
        for (old_size = 1; old_size <= size; old_size++) {
            if (!is_of_interest(old_size, size))
                continue;
            expected.count = 0;
            naive_subproof(&expected, old_size, 0, size, true);
            assert_ok(fv_merkle_prove_consistency(old_size % 2 ? &bare : &with_frontier, digest,
                                                  old_size, size, &proof, &error));
            assert_same_proof(&proof, &expected);
            ck_assert_int_eq(fv_merkle_check_consistency(digest, &proof, old_size, size,
                                                         naive_root(0, old_size),
                                                         naive_root(0, size), &error),
                             1);
        }
}
END_TEST

static void root_of_stored(uint32_t size, uint8_t out[FV_DIGEST_SIZE])
{
    struct fv_frontier frontier = { 0 };
    uint32_t i;

    for (i = 0; i < size; i++)
        assert_ok(fv_frontier_append(&frontier, digest, stored.level0[i], NULL, NULL, &error));
    ck_assert(fv_frontier_root(&frontier, digest, out));
}

START_TEST(proofs_of_long_logs_hold)
{
    static const uint32_t sizes[] = { 65536, 66000, LOG_SIZE };
    static const uint32_t numbers[] = { 0, 1, 255, 4711, 65279 };
    uint8_t old_root[FV_DIGEST_SIZE], root[FV_DIGEST_SIZE];
    const struct fv_merkle_source *source;
    struct fv_proof proof = { 0 };
    size_t i, j;

    grow_to(LOG_SIZE);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        root_of_stored(sizes[i], root);
        for (j = 0; j < sizeof numbers / sizeof *numbers; j++) {
            source = (i + j) % 2 ? &bare : &with_frontier;
            assert_ok(
                fv_merkle_prove_inclusion(source, digest, numbers[j], sizes[i], &proof, &error));
            ck_assert_uint_ge(proof.count, 5);
            ck_assert_int_eq(fv_merkle_check_inclusion(digest, &proof, numbers[j], sizes[i],
                                                       stored.level0[numbers[j]], root, &error),
                             1);
            root_of_stored(numbers[j], old_root);
            assert_ok(
                fv_merkle_prove_consistency(source, digest, numbers[j], sizes[i], &proof, &error));
            ck_assert_int_eq(fv_merkle_check_consistency(digest, &proof, numbers[j], sizes[i],
                                                         old_root, root, &error),
                             1);
        }
    }
}
END_TEST

START_TEST(a_proof_reads_each_tile_once)
{
    struct fv_proof proof;

    grow_to(LOG_SIZE);
    stored.reads = 0;
    assert_ok(fv_merkle_prove_inclusion(&with_frontier, digest, 4711, LOG_SIZE, &proof, &error));
    ck_assert_int_eq(stored.reads, 4); /* level 16 has one node, which the frontier has */
    stored.reads = 0;
    assert_ok(fv_merkle_prove_inclusion(&bare, digest, 4711, LOG_SIZE, &proof, &error));
    ck_assert_int_le(stored.reads, 7);
}
END_TEST

static int fail_to_read(void *data, unsigned level, uint64_t first, size_t count,
                        uint8_t (*out)[FV_DIGEST_SIZE], flagver_error *err)
{
    (void)level;
    (void)first;
    (void)count;
    (void)out;
    return refuse(data, 0, 0, NULL, err);
}

START_TEST(what_cannot_be_read_ends_the_proof)
{
    static const struct fv_merkle_source broken = { .read = fail_to_read };
    struct fv_proof proof;

    assert_fails(FLAGVER_EIO, fv_merkle_prove_inclusion(&broken, digest, 3, 300, &proof, &error));
    assert_fails(FLAGVER_EIO, fv_merkle_prove_consistency(&broken, digest, 3, 300, &proof, &error));
}
END_TEST

START_TEST(a_proof_about_what_is_not_there_is_refused)
{
    struct fv_proof proof;

    grow_to(10);
    assert_fails(FLAGVER_EINVAL, fv_merkle_prove_inclusion(&bare, digest, 10, 10, &proof, &error));
    assert_words("a log of 10 leaves has no leaf 10");
    assert_fails(FLAGVER_EINVAL, fv_merkle_prove_inclusion(&bare, digest, 0, 0, &proof, &error));
    assert_fails(FLAGVER_EINVAL,
                 fv_merkle_prove_inclusion(&with_frontier, digest, 3, 11, &proof, &error));
    assert_words("the log has 10 leaves, not 11");
    assert_fails(FLAGVER_EINVAL,
                 fv_merkle_prove_consistency(&bare, digest, 11, 10, &proof, &error));
    assert_words("a log of 10 leaves does not begin with 11");
    assert_fails(FLAGVER_EINVAL,
                 fv_merkle_prove_consistency(&with_frontier, digest, 3, 11, &proof, &error));
    assert_fails(FLAGVER_EINVAL,
                 fv_merkle_prove_inclusion(&bare, digest, 0, UINT64_MAX, &proof, &error));
}
END_TEST

/* ---- what does not hold ---- */

static int check_inclusion(const struct fv_proof *proof, uint64_t leaf, uint64_t size,
                           const uint8_t *hash, const uint8_t *root)
{
    return fv_merkle_check_inclusion(digest, proof, leaf, size, hash, root, &error);
}

static int check_consistency(const struct fv_proof *proof, uint64_t old_size, uint64_t size,
                             const uint8_t *old_root, const uint8_t *root)
{
    return fv_merkle_check_consistency(digest, proof, old_size, size, old_root, root, &error);
}

static const uint32_t pairs[][2] = { { 0, 2 },    { 1, 2 },   { 2, 3 },     { 3, 8 },
                                     { 6, 7 },    { 7, 13 },  { 12, 13 },   { 16, 31 },
                                     { 30, 31 },  { 64, 65 }, { 255, 257 }, { 256, 512 },
                                     { 300, 599 } };
#define PAIRS ((int)(sizeof pairs / sizeof *pairs))

START_TEST(an_inclusion_proof_with_another_byte_does_not_hold)
{
    uint32_t leaf = pairs[_i][0], size = pairs[_i][1];
    uint8_t root[FV_DIGEST_SIZE], hash[FV_DIGEST_SIZE];
    struct fv_proof proof = { 0 };
    size_t i, j;

    grow_to(size);
    memcpy(root, naive_root(0, size), sizeof root);
    memcpy(hash, leaves[leaf], sizeof hash);
    assert_ok(fv_merkle_prove_inclusion(&bare, digest, leaf, size, &proof, &error));
    for (i = 0; i < proof.count; i++)
        for (j = 0; j < FV_DIGEST_SIZE; j++) {
            proof.hash[i][j] ^= 0x40;
            ck_assert_int_eq(check_inclusion(&proof, leaf, size, hash, root), 0);
            proof.hash[i][j] ^= 0x40;
        }
    for (j = 0; j < FV_DIGEST_SIZE; j++) {
        root[j] ^= 1;
        ck_assert_int_eq(check_inclusion(&proof, leaf, size, hash, root), 0);
        root[j] ^= 1;
        hash[j] ^= 1;
        ck_assert_int_eq(check_inclusion(&proof, leaf, size, hash, root), 0);
        hash[j] ^= 1;
    }
    ck_assert_int_eq(check_inclusion(&proof, leaf ^ 1, size, hash, root), 0);
    ck_assert_int_eq(check_inclusion(&proof, size, size, hash, root), 0);
    ck_assert_int_eq(check_inclusion(&proof, leaf, 0, hash, root), 0);
    proof.count--;
    ck_assert_int_eq(check_inclusion(&proof, leaf, size, hash, root), 0);
    proof.count += 2;
    ck_assert_int_eq(check_inclusion(&proof, leaf, size, hash, root), 0);
    proof.count--;
    ck_assert_int_eq(check_inclusion(&proof, leaf, size, hash, root), 1);
}
END_TEST

START_TEST(a_consistency_proof_with_another_byte_does_not_hold)
{
    uint32_t old_size = pairs[_i][0] ? pairs[_i][0] : 1, size = pairs[_i][1];
    uint8_t old_root[FV_DIGEST_SIZE], root[FV_DIGEST_SIZE];
    struct fv_proof proof = { 0 };
    size_t i, j;

    grow_to(size);
    memcpy(old_root, naive_root(0, old_size), sizeof old_root);
    memcpy(root, naive_root(0, size), sizeof root);
    assert_ok(fv_merkle_prove_consistency(&bare, digest, old_size, size, &proof, &error));
    for (i = 0; i < proof.count; i++)
        for (j = 0; j < FV_DIGEST_SIZE; j++) {
            proof.hash[i][j] ^= 0x40;
            ck_assert_int_eq(check_consistency(&proof, old_size, size, old_root, root), 0);
            proof.hash[i][j] ^= 0x40;
        }
    for (j = 0; j < FV_DIGEST_SIZE; j++) {
        old_root[j] ^= 1;
        ck_assert_int_eq(check_consistency(&proof, old_size, size, old_root, root), 0);
        old_root[j] ^= 1;
        root[j] ^= 1;
        ck_assert_int_eq(check_consistency(&proof, old_size, size, old_root, root), 0);
        root[j] ^= 1;
    }
    ck_assert_int_eq(check_consistency(&proof, size, old_size, old_root, root), 0);
    proof.count--;
    ck_assert_int_eq(check_consistency(&proof, old_size, size, old_root, root), 0);
    proof.count += 2;
    ck_assert_int_eq(check_consistency(&proof, old_size, size, old_root, root), 0);
    proof.count--;
    ck_assert_int_eq(check_consistency(&proof, old_size, size, old_root, root), 1);
}
END_TEST

START_TEST(the_log_of_one_leaf_needs_no_proof)
{
    struct fv_proof none = { 0 };

    ck_assert_int_eq(check_inclusion(&none, 0, 1, leaves[0], leaves[0]), 1);
    ck_assert_int_eq(check_inclusion(&none, 0, 1, leaves[0], leaves[1]), 0);
    none.count = 1;
    ck_assert_int_eq(check_inclusion(&none, 0, 1, leaves[0], leaves[0]), 0);
}
END_TEST

START_TEST(the_empty_log_is_the_beginning_of_every_log)
{
    struct fv_proof proof = { .count = 9 };

    assert_ok(fv_merkle_prove_consistency(&bare, digest, 0, 5, &proof, &error));
    ck_assert_uint_eq(proof.count, 0);
    ck_assert_int_eq(check_consistency(&proof, 0, 5, naive_root(0, 0), naive_root(0, 5)), 1);
    ck_assert_int_eq(check_consistency(&proof, 0, 5, naive_root(0, 1), naive_root(0, 5)), 0);
    proof.count = 1;
    ck_assert_int_eq(check_consistency(&proof, 0, 5, naive_root(0, 0), naive_root(0, 5)), 0);
}
END_TEST

START_TEST(a_log_is_consistent_with_itself_alone)
{
    struct fv_proof proof = { .count = 9 };

    assert_ok(fv_merkle_prove_consistency(&bare, digest, 5, 5, &proof, &error));
    ck_assert_uint_eq(proof.count, 0);
    ck_assert_int_eq(check_consistency(&proof, 5, 5, naive_root(0, 5), naive_root(0, 5)), 1);
    ck_assert_int_eq(check_consistency(&proof, 5, 5, naive_root(0, 4), naive_root(0, 5)), 0);
    proof.count = 1;
    ck_assert_int_eq(check_consistency(&proof, 5, 5, naive_root(0, 5), naive_root(0, 5)), 0);
}
END_TEST

static Suite *merkle_suite(void)
{
    Suite *suite = suite_create("merkle");
    TCase *roots = tcase_create("roots"), *proofs = tcase_create("proofs");

    tcase_set_timeout(roots, 60);
    tcase_add_checked_fixture(roots, make_leaves, free_digest);
    tcase_add_loop_test(roots, the_reference_tree_has_the_published_roots, 0, 9);
    tcase_add_test(roots, a_frontier_has_the_root_of_the_definition);
    tcase_add_test(roots, nodes_at_the_edges_of_tiles_are_told);
    tcase_add_test(roots, who_cannot_keep_a_node_ends_the_append);
    tcase_add_loop_test(roots, a_frontier_comes_back_from_its_bytes, 0, 8);
    tcase_add_test(roots, what_is_no_frontier_is_refused);
    suite_add_tcase(suite, roots);

    tcase_set_timeout(proofs, 60);
    tcase_add_checked_fixture(proofs, make_leaves, free_digest);
    tcase_add_test(proofs, an_inclusion_proof_is_that_of_the_definition);
    tcase_add_test(proofs, a_consistency_proof_is_that_of_the_definition);
    tcase_add_test(proofs, proofs_of_long_logs_hold);
    tcase_add_test(proofs, a_proof_reads_each_tile_once);
    tcase_add_test(proofs, what_cannot_be_read_ends_the_proof);
    tcase_add_test(proofs, a_proof_about_what_is_not_there_is_refused);
    tcase_add_loop_test(proofs, an_inclusion_proof_with_another_byte_does_not_hold, 0, PAIRS);
    tcase_add_loop_test(proofs, a_consistency_proof_with_another_byte_does_not_hold, 0, PAIRS);
    tcase_add_test(proofs, the_log_of_one_leaf_needs_no_proof);
    tcase_add_test(proofs, the_empty_log_is_the_beginning_of_every_log);
    tcase_add_test(proofs, a_log_is_consistent_with_itself_alone);
    suite_add_tcase(suite, proofs);
    return suite;
}

int main(void)
{
    return run_suite(merkle_suite());
}
