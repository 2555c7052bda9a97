#include "flagver/audit.h"

#include <string.h>

#include "engine/audit.h"
#include "engine/client.h"
#include "engine/verify.h"
#include "util/fail.h"
#include "util/options.h"

static int refuse_null(const char *name, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", name);
}

/* ---- the log ---- */

int flagver_audit_log(flagver_client *client, uint64_t from, uint32_t limit,
                      bool (*visit)(void *data, const flagver_audit_entry *entry), void *data,
                      uint64_t *ret_next, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_log(&tenancy, from, limit, visit, data, ret_next, err);
    fv_store_release(tenancy.store);
    return r;
}

/* ---- checkpoints ---- */

int flagver_audit_head(flagver_client *client, uint64_t *ret_size,
                       uint8_t ret_root[FLAGVER_HASH_SIZE], flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!ret_size || !ret_root)
        return refuse_null(ret_size ? "ret_root" : "ret_size", err);
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_audit_head(&tenancy, ret_size, ret_root, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_audit_keygen(const char *name, char **ret_signer, char **ret_verifier,
                         flagver_error *err)
{
    if (!ret_signer || !ret_verifier)
        return refuse_null(ret_signer ? "ret_verifier" : "ret_signer", err);
    return fv_audit_keygen(name, ret_signer, ret_verifier, err);
}

int flagver_audit_checkpoint(flagver_client *client, const char *origin, const char *signer,
                             char **ret_checkpoint, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!ret_checkpoint)
        return refuse_null("ret_checkpoint", err);
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_audit_checkpoint(&tenancy, origin, signer, ret_checkpoint, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_audit_read_checkpoint(const char *checkpoint, size_t length, const char *verifier,
                                  uint64_t *ret_size, uint8_t ret_root[FLAGVER_HASH_SIZE],
                                  flagver_error *err)
{
    struct fv_checkpoint read;
    int r;

    if (!checkpoint)
        return refuse_null("checkpoint", err);
    r = fv_audit_read_checkpoint(checkpoint, length, verifier, &read, err);
    if (r < 0)
        return r;
    if (ret_size)
        *ret_size = read.size;
    if (ret_root)
        memcpy(ret_root, read.root, sizeof read.root);
    return 0;
}

/* ---- proofs ---- */

int flagver_audit_prove_inclusion(flagver_client *client, uint64_t no, uint64_t size,
                                  flagver_proof *ret_proof, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!ret_proof)
        return refuse_null("ret_proof", err);
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_audit_prove_inclusion(&tenancy, no, size, ret_proof, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_audit_prove_consistency(flagver_client *client, uint64_t old_size, uint64_t size,
                                    flagver_proof *ret_proof, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!ret_proof)
        return refuse_null("ret_proof", err);
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_audit_prove_consistency(&tenancy, old_size, size, ret_proof, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_audit_check_inclusion(const flagver_proof *proof, const uint8_t root[FLAGVER_HASH_SIZE],
                                  flagver_error *err)
{
    if (!proof || !root)
        return refuse_null(proof ? "root" : "proof", err);
    return fv_audit_check_inclusion(proof, root, err);
}

int flagver_audit_check_consistency(const flagver_proof *proof,
                                    const uint8_t old_root[FLAGVER_HASH_SIZE],
                                    const uint8_t root[FLAGVER_HASH_SIZE], flagver_error *err)
{
    if (!proof || !old_root || !root)
        return refuse_null(!proof ? "proof" : old_root ? "root" : "old_root", err);
    return fv_audit_check_consistency(proof, old_root, root, err);
}

/* ---- verification ---- */

static int read_options(const flagver_verify_options *options, flagver_verify_options *ret_options,
                        flagver_error *err)
{
    int r = fv_options_copy("options", options, ret_options, sizeof *ret_options, err);

    if (r == 0 && ret_options->verifier && !ret_options->checkpoint)
        r = fv_fail(err, FLAGVER_EINVAL, "options.verifier is given and no options.checkpoint");
    return r;
}

int flagver_audit_verify(flagver_client *client, const flagver_verify_options *options,
                         void (*found)(void *data, const char *line), void *data,
                         flagver_verify_result *ret_result, flagver_error *err)
{
    flagver_verify_options read;
    struct fv_tenancy tenancy;
    int r = read_options(options, &read, err);

    if (r == 0)
        r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_verify_store(&tenancy, &read, found, data, ret_result, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_audit_verify_file(const char *path, const flagver_verify_options *options,
                              void (*found)(void *data, const char *line), void *data,
                              flagver_verify_result *ret_result, flagver_error *err)
{
    flagver_verify_options read;
    int r = path ? read_options(options, &read, err) : refuse_null("path", err);

    return r < 0 ? r : fv_verify_file(path, &read, found, data, ret_result, err);
}
