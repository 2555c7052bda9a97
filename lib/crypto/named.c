#define OPENSSL_SUPPRESS_DEPRECATED /* as in crypto.c */

#include "crypto/named.h"

#include <openssl/sha.h>

#include "crypto/crypto_internal.h"

#ifndef OPENSSL_NO_DEPRECATED_3_0

static bool hash_sha1(const flagver_id *name_space, const void *name, size_t length, uint8_t *out)
{
    SHA_CTX state;

    return SHA1_Init(&state) && SHA1_Update(&state, name_space->bytes, sizeof name_space->bytes) &&
           SHA1_Update(&state, name, length) && SHA1_Final(out, &state);
}

static bool hash_sha256(const flagver_id *name_space, const void *name, size_t length, uint8_t *out)
{
    SHA256_CTX state;

    return SHA256_Init(&state) &&
           SHA256_Update(&state, name_space->bytes, sizeof name_space->bytes) &&
           SHA256_Update(&state, name, length) && SHA256_Final(out, &state);
}

static bool hash(int version, const flagver_id *name_space, const void *name, size_t length,
                 uint8_t *out)
{
    return version == 5 ? hash_sha1(name_space, name, length, out)
                        : hash_sha256(name_space, name, length, out);
}

#else

static bool hash_with(OSSL_LIB_CTX *context, int version, const flagver_id *name_space,
                      const void *name, size_t length, uint8_t *out)
{
    EVP_MD *digest = EVP_MD_fetch(context, version == 5 ? "SHA1" : "SHA2-256", NULL);
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    bool fine = digest && state && EVP_DigestInit_ex2(state, digest, NULL) == 1 &&
                EVP_DigestUpdate(state, name_space->bytes, sizeof name_space->bytes) == 1 &&
                EVP_DigestUpdate(state, name, length) == 1 &&
                EVP_DigestFinal_ex(state, out, NULL) == 1;

    EVP_MD_CTX_free(state);
    EVP_MD_free(digest);
    return fine;
}

static bool hash(int version, const flagver_id *name_space, const void *name, size_t length,
                 uint8_t *out)
{
    OSSL_LIB_CTX *context;
    bool fine;

    ERR_set_mark();
    context = OSSL_LIB_CTX_new();
    fine = context && hash_with(context, version, name_space, name, length, out);
    OSSL_LIB_CTX_free(context);
    ERR_pop_to_mark();
    return fine;
}

#endif

bool fv_uuid_named(int version, const flagver_id *name_space, const void *name, size_t length,
                   flagver_id *ret_id)
{
    uint8_t out[SHA256_DIGEST_LENGTH];

    if (!hash(version, name_space, name, length, out))
        return false;
    *ret_id = fv_uuid_of_hash(version, out);
    return true;
}
