#include "engine/audit.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/sign.h"
#include "util/fail.h"

/* ---- reading the log ---- */

/* One state of a tenant's log. */
struct log {
    struct fv_read read;
    struct fv_digest *digest;
    struct fv_frontier frontier;

    /* A leaf whose hash is wanted, and that is likely to be among those that are read anyhow. */
    uint64_t wanted;
    bool found;
    uint8_t wanted_hash[FV_DIGEST_SIZE];
};

static int missing(uint64_t leaf, flagver_error *err)
{
    return fv_fail(err, FLAGVER_ECORRUPT, "leaf %" PRIu64 " of the audit log is missing", leaf);
}

/* Hashes of leaves or kept nodes. *ret_count are there; the rest is missing. */
static int scan_hashes(struct fv_read *read, unsigned level, uint64_t first, size_t count,
                       uint8_t (*out)[FV_DIGEST_SIZE], size_t *ret_count, flagver_error *err)
{
    const flagver_query query = { .kind = level ? FLAGVER_QUERY_NODES : FLAGVER_QUERY_LEAVES,
                                  .no = level,
                                  .from = first,
                                  .limit = (uint32_t)count };
    flagver_row row;
    size_t i = 0;
    int r;

    r = fv_read_scan(read, &query, err);
    for (; r >= 0 && i < count; i++) {
        r = fv_read_next(read, &row, err);
        if (r <= 0 || (level ? row.as.node.index : row.as.leaf.no) != first + i)
            break;
        memcpy(out[i], level ? row.as.node.hash : row.as.leaf.hash, FV_DIGEST_SIZE);
    }
    *ret_count = i;
    return r < 0 ? r : 0;
}

static int read_hashes(void *data, unsigned level, uint64_t first, size_t count,
                       uint8_t (*out)[FV_DIGEST_SIZE], flagver_error *err);

/* A node that is not kept, as in a log from before there were trees: over the 16 below it. */
static int compute_node(struct log *log, unsigned level, uint64_t number,
                        uint8_t out[FV_DIGEST_SIZE], flagver_error *err)
{
    uint8_t below[FV_TILE_NODES][FV_DIGEST_SIZE];
    size_t left = FV_TILE_NODES, i;
    int r = read_hashes(log, level - FV_TILE_LEVELS, number * FV_TILE_NODES, left, below, err);

    if (r < 0)
        return r;
    for (; left > 1; left /= 2)
        for (i = 0; i < left / 2; i++)
            if (!fv_merkle_node(log->digest, below[2 * i], below[2 * i + 1], below[i]))
                return fv_fail_memory(err);
    memcpy(out, below[0], FV_DIGEST_SIZE);
    return 0;
}

/* As fv_merkle_source asks for them. */
static int read_hashes(void *data, unsigned level, uint64_t first, size_t count,
                       uint8_t (*out)[FV_DIGEST_SIZE], flagver_error *err)
{
    struct log *log = data;
    size_t there;
    int r = scan_hashes(&log->read, level, first, count, out, &there, err);

    if (r == 0 && there < count && level == 0)
        return missing(first + there, err);
    if (r == 0 && level == 0 && log->wanted >= first && log->wanted - first < count) {
        memcpy(log->wanted_hash, out[log->wanted - first], FV_DIGEST_SIZE);
        log->found = true;
    }
    for (; r == 0 && there < count; there++)
        r = compute_node(log, level, first + there, out[there], err);
    return r;
}

/* Leaves that the head does not know of: see store/log.c. */
static int catch_up(struct fv_read *read, struct fv_digest *digest, fv_merkle_kept kept, void *data,
                    uint64_t size, struct fv_frontier *frontier, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES, .from = frontier->size };
    flagver_row row;
    int r = frontier->size < size ? fv_read_scan(read, &query, err) : 0;

    while (r >= 0 && frontier->size < size) {
        r = fv_read_next(read, &row, err);
        if (r == 0 || (r > 0 && row.as.leaf.no != frontier->size))
            return missing(frontier->size, err);
        if (r > 0)
            r = fv_frontier_append(frontier, digest, row.as.leaf.hash, kept, data, err);
    }
    return r < 0 ? r : 0;
}

int fv_audit_frontier(struct fv_read *read, struct fv_digest *digest, fv_merkle_kept kept,
                      void *data, struct fv_frontier *ret_frontier, flagver_error *err)
{
    static const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    flagver_bytes frontier;
    flagver_row row;
    int r;

    memset(ret_frontier, 0, sizeof *ret_frontier);
    r = fv_read_scan(read, &query, err);
    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r <= 0)
        return r; /* an empty log */
    frontier = row.as.log.frontier;
    if (frontier.data && (!fv_frontier_decode(frontier.data, frontier.length, ret_frontier) ||
                          ret_frontier->size > row.as.log.size))
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "the head of the audit log is damaged; verify says more");
    return catch_up(read, digest, kept, data, row.as.log.size, ret_frontier, err);
}

static int open_log(const struct fv_tenancy *tenancy, struct log *log, flagver_error *err)
{
    int r;

    memset(log, 0, sizeof *log);
    r = fv_read_begin(&log->read, tenancy->store, tenancy->tenant, err);
    if (r < 0)
        return r;
    log->digest = fv_digest_new(tenancy->store->crypto);
    return log->digest ? fv_audit_frontier(&log->read, log->digest, NULL, NULL, &log->frontier, err)
                       : fv_fail_memory(err);
}

/* Also after an error. */
static void close_log(struct log *log)
{
    fv_read_end(&log->read);
    fv_digest_free(log->digest);
}

int fv_audit_head(const struct fv_tenancy *tenancy, uint64_t *ret_size,
                  uint8_t ret_root[FLAGVER_HASH_SIZE], flagver_error *err)
{
    uint8_t root[FV_DIGEST_SIZE];
    struct log log;
    int r = open_log(tenancy, &log, err);

    if (r == 0 && !fv_frontier_root(&log.frontier, log.digest, root))
        r = fv_fail_memory(err);
    close_log(&log);
    if (r < 0)
        return r;
    *ret_size = log.frontier.size;
    memcpy(ret_root, root, sizeof root);
    return 0;
}

/* ---- keys ---- */

/* OpenSSL for calls that have no store. */
struct tools {
    struct fv_crypto *crypto;
    struct fv_digest *digest;
};

static void close_tools(struct tools *tools)
{
    fv_digest_free(tools->digest);
    fv_crypto_free(tools->crypto);
}

static int open_tools(struct tools *tools, flagver_error *err)
{
    tools->crypto = fv_crypto_new();
    tools->digest = tools->crypto ? fv_digest_new(tools->crypto) : NULL;
    if (tools->digest)
        return 0;
    close_tools(tools);
    return fv_fail_memory(err);
}

static int write_keys(struct fv_note_key *signer, struct fv_note_key *verifier, char **ret_signer,
                      char **ret_verifier, flagver_error *err)
{
    struct fv_text secret = FV_TEXT_INIT, open = FV_TEXT_INIT;
    int r = 0;

    fv_note_write_signer(&secret, signer);
    fv_note_write_verifier(&open, verifier);
    if (secret.failed || open.failed) {
        r = fv_fail_memory(err);
    } else {
        *ret_signer = fv_text_detach(&secret);
        *ret_verifier = fv_text_detach(&open);
    }
    fv_text_clear(&secret);
    fv_text_clear(&open);
    return r;
}

static int generate(struct tools *tools, const char *name, char **ret_signer, char **ret_verifier,
                    flagver_error *err)
{
    struct fv_note_key signer, verifier;
    int r = 0;

    strcpy(signer.name, name);
    strcpy(verifier.name, name);
    if (!fv_sign_generate(tools->crypto, signer.bytes, verifier.bytes) ||
        !fv_sign_tag(tools->digest, name, verifier.bytes, verifier.tag))
        r = fv_fail(err, FLAGVER_ENOMEM, "a key cannot be made: no memory or no randomness");
    memcpy(signer.tag, verifier.tag, sizeof signer.tag);
    if (r == 0)
        r = write_keys(&signer, &verifier, ret_signer, ret_verifier, err);
    fv_wipe(signer.bytes, sizeof signer.bytes);
    return r;
}

int fv_audit_keygen(const char *name, char **ret_signer, char **ret_verifier, flagver_error *err)
{
    struct tools tools;
    int r = fv_note_check_name(name, err);

    if (r == 0)
        r = open_tools(&tools, err);
    if (r < 0)
        return r;
    r = generate(&tools, name, ret_signer, ret_verifier, err);
    close_tools(&tools);
    return r;
}

/* A key says by its tag which public key it is: is it so? */
static int check_tag(struct fv_digest *digest, const struct fv_note_key *key,
                     const uint8_t verifier[FV_VERIFIER_SIZE], flagver_error *err)
{
    uint8_t tag[FV_KEY_TAG_SIZE];

    if (!fv_sign_tag(digest, key->name, verifier, tag))
        return fv_fail_memory(err);
    if (memcmp(tag, key->tag, sizeof tag) != 0)
        return fv_fail(err, FLAGVER_EINVAL, "the key of \"%s\" is damaged: its parts do not fit",
                       key->name);
    return 0;
}

/* ---- checkpoints ---- */

static int read_signer(const struct fv_tenancy *tenancy, struct fv_digest *digest, const char *text,
                       struct fv_note_key *ret_key, flagver_error *err)
{
    uint8_t verifier[FV_VERIFIER_SIZE];
    int r = fv_note_read_signer(text, ret_key, err);

    if (r < 0)
        return r;
    if (!fv_sign_verifier(tenancy->store->crypto, ret_key->bytes, verifier))
        return fv_fail_memory(err);
    return check_tag(digest, ret_key, verifier, err);
}

static int sign(const struct fv_tenancy *tenancy, const struct fv_note_key *key,
                struct fv_text *text, flagver_error *err)
{
    uint8_t signature[FV_SIGNATURE_SIZE];

    if (text->failed ||
        !fv_sign(tenancy->store->crypto, key->bytes, text->data, text->length, signature))
        return fv_fail_memory(err);
    fv_text_add_char(text, '\n');
    fv_note_write_signature(text, key->name, key->tag, signature);
    return 0;
}

static int write_checkpoint(struct log *log, const char *origin, struct fv_text *out,
                            flagver_error *err)
{
    struct fv_checkpoint checkpoint = { .origin = fv_bytes(origin), .size = log->frontier.size };

    if (!fv_frontier_root(&log->frontier, log->digest, checkpoint.root))
        return fv_fail_memory(err);
    return fv_checkpoint_write(&checkpoint, out, err);
}

/* What is signed, and with a key the signature. */
static int make_checkpoint(const struct fv_tenancy *tenancy, struct log *log, const char *origin,
                           const char *signer, struct fv_text *out, flagver_error *err)
{
    struct fv_text own_origin = FV_TEXT_INIT;
    struct fv_note_key key;
    int r = signer ? read_signer(tenancy, log->digest, signer, &key, err) : 0;

    if (r == 0 && !origin && !signer)
        r = fv_fail(err, FLAGVER_EINVAL, "neither an origin nor a signer is given");
    if (r == 0 && !origin) {
        fv_text_format(&own_origin, "%s/%s", key.name, tenancy->tenant);
        r = own_origin.failed ? fv_fail_memory(err) : 0;
    }
    if (r == 0)
        r = write_checkpoint(log, origin ? origin : own_origin.data, out, err);
    if (r == 0 && signer)
        r = sign(tenancy, &key, out, err);
    fv_wipe(key.bytes, sizeof key.bytes);
    fv_text_clear(&own_origin);
    return r;
}

int fv_audit_checkpoint(const struct fv_tenancy *tenancy, const char *origin, const char *signer,
                        char **ret_checkpoint, flagver_error *err)
{
    struct fv_text out = FV_TEXT_INIT;
    struct log log;
    int r = open_log(tenancy, &log, err);

    if (r == 0)
        r = make_checkpoint(tenancy, &log, origin, signer, &out, err);
    close_log(&log);
    if (r == 0)
        r = fv_text_give(&out, ret_checkpoint, err);
    fv_text_clear(&out);
    return r;
}

/* Is one of the signatures by this key? */
static int check_signer(struct tools *tools, const struct fv_note *note,
                        const struct fv_note_key *key, flagver_error *err)
{
    flagver_bytes left = note->signatures;
    struct fv_note_signature signature;
    int r = check_tag(tools->digest, key, key->bytes, err);

    if (r < 0)
        return r;
    while (fv_note_next(&left, &signature)) {
        if (signature.name.length != strlen(key->name) ||
            memcmp(signature.name.data, key->name, signature.name.length) != 0 ||
            memcmp(signature.tag, key->tag, sizeof key->tag) != 0)
            continue;
        r = signature.is_ed25519 ? fv_sign_check(tools->crypto, key->bytes, note->text.data,
                                                 note->text.length, signature.bytes)
                                 : 0;
        if (r < 0)
            return fv_fail_memory(err);
        if (r == 0)
            return fv_fail(err, FLAGVER_EKEY,
                           "the signature of \"%s\" is not of this checkpoint: one of them was "
                           "changed",
                           key->name);
        return 0;
    }
    return fv_fail(err, FLAGVER_EKEY, "the checkpoint is not signed by this key of \"%s\"",
                   key->name);
}

int fv_audit_read_checkpoint(const char *text, size_t length, const char *verifier,
                             struct fv_checkpoint *ret_checkpoint, flagver_error *err)
{
    struct fv_note_key key;
    struct fv_note note;
    struct tools tools;
    int r = verifier ? fv_note_read_verifier(verifier, &key, err) : 0;

    if (r == 0)
        r = fv_note_read(text, length, !verifier, &note, err);
    if (r == 0 && verifier) {
        r = open_tools(&tools, err);
        if (r < 0)
            return r;
        r = check_signer(&tools, &note, &key, err);
        close_tools(&tools);
    }
    return r < 0 ? r : fv_checkpoint_read(note.text, ret_checkpoint, err);
}

/* ---- proofs ---- */

_Static_assert(FV_PROOF_NODES <= FLAGVER_PROOF_LIMIT, "every proof fits");

static void give_proof(uint64_t first, uint64_t second, const struct fv_proof *proof,
                       flagver_proof *ret_proof)
{
    memset(ret_proof, 0, sizeof *ret_proof);
    ret_proof->first = first;
    ret_proof->second = second;
    ret_proof->count = (uint32_t)proof->count;
    memcpy(ret_proof->hashes, proof->hash, proof->count * sizeof *proof->hash);
}

static int prove_inclusion(struct log *log, uint64_t no, uint64_t size, flagver_proof *ret_proof,
                           flagver_error *err)
{
    const struct fv_merkle_source source = { read_hashes, log, &log->frontier };
    uint8_t leaf[1][FV_DIGEST_SIZE];
    struct fv_proof proof;
    int r;

    if (!size)
        size = log->frontier.size;
    log->wanted = no;
    r = fv_merkle_prove_inclusion(&source, log->digest, no, size, &proof, err);
    if (r == 0 && !log->found)
        r = read_hashes(log, 0, no, 1, leaf, err);
    if (r < 0)
        return r;
    give_proof(no, size, &proof, ret_proof);
    memcpy(ret_proof->leaf, log->wanted_hash, sizeof ret_proof->leaf);
    return 0;
}

int fv_audit_prove_inclusion(const struct fv_tenancy *tenancy, uint64_t no, uint64_t size,
                             flagver_proof *ret_proof, flagver_error *err)
{
    struct log log;
    int r = open_log(tenancy, &log, err);

    if (r == 0)
        r = prove_inclusion(&log, no, size, ret_proof, err);
    close_log(&log);
    return r;
}

static int prove_consistency(struct log *log, uint64_t old_size, uint64_t size,
                             flagver_proof *ret_proof, flagver_error *err)
{
    const struct fv_merkle_source source = { read_hashes, log, &log->frontier };
    struct fv_proof proof;
    int r;

    if (!size)
        size = log->frontier.size;
    r = fv_merkle_prove_consistency(&source, log->digest, old_size, size, &proof, err);
    if (r == 0)
        give_proof(old_size, size, &proof, ret_proof);
    return r;
}

int fv_audit_prove_consistency(const struct fv_tenancy *tenancy, uint64_t old_size, uint64_t size,
                               flagver_proof *ret_proof, flagver_error *err)
{
    struct log log;
    int r = open_log(tenancy, &log, err);

    if (r == 0)
        r = prove_consistency(&log, old_size, size, ret_proof, err);
    close_log(&log);
    return r;
}

/* False: longer than any that proves something. */
static bool take_proof(const flagver_proof *proof, struct fv_proof *ret_proof)
{
    if (proof->count > FV_PROOF_NODES)
        return false;
    ret_proof->count = proof->count;
    memcpy(ret_proof->hash, proof->hashes, proof->count * sizeof *ret_proof->hash);
    return true;
}

int fv_audit_check_inclusion(const flagver_proof *proof, const uint8_t root[FLAGVER_HASH_SIZE],
                             flagver_error *err)
{
    struct fv_proof taken;
    struct tools tools;
    int r = open_tools(&tools, err);

    if (r < 0)
        return r;
    r = take_proof(proof, &taken) ? fv_merkle_check_inclusion(tools.digest, &taken, proof->first,
                                                              proof->second, proof->leaf, root, err)
                                  : 0;
    close_tools(&tools);
    if (r < 0)
        return r;
    return r ? 0
             : fv_fail(err, FLAGVER_ECORRUPT,
                       "this does not prove that leaf %" PRIu64 " is in that log of %" PRIu64,
                       proof->first, proof->second);
}

int fv_audit_check_consistency(const flagver_proof *proof,
                               const uint8_t old_root[FLAGVER_HASH_SIZE],
                               const uint8_t root[FLAGVER_HASH_SIZE], flagver_error *err)
{
    struct fv_proof taken;
    struct tools tools;
    int r = open_tools(&tools, err);

    if (r < 0)
        return r;
    r = take_proof(proof, &taken) ? fv_merkle_check_consistency(tools.digest, &taken, proof->first,
                                                                proof->second, old_root, root, err)
                                  : 0;
    close_tools(&tools);
    if (r < 0)
        return r;
    return r ? 0
             : fv_fail(err, FLAGVER_ECORRUPT,
                       "this does not prove that the log of %" PRIu64
                       " leaves begins with that of %" PRIu64,
                       proof->second, proof->first);
}
