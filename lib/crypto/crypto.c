#include "crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

struct fv_crypto {
    OSSL_LIB_CTX *context;
    EVP_MD *sha256; /* fetched once: an implicit fetch doubles the time of a short digest */
};

struct fv_digest {
    struct fv_crypto *crypto;
    EVP_MD_CTX *state;
    bool fine;
};

struct fv_crypto *fv_crypto_new(void)
{
    struct fv_crypto *crypto = calloc(1, sizeof *crypto);

    if (!crypto)
        return NULL;
    crypto->context = OSSL_LIB_CTX_new();
    if (crypto->context)
        crypto->sha256 = EVP_MD_fetch(crypto->context, "SHA2-256", NULL);
    if (!crypto->sha256) {
        fv_crypto_free(crypto);
        return NULL;
    }
    return crypto;
}

void fv_crypto_free(struct fv_crypto *crypto)
{
    if (!crypto)
        return;
    EVP_MD_free(crypto->sha256);
    OSSL_LIB_CTX_free(crypto->context);
    free(crypto);
}

bool fv_random(struct fv_crypto *crypto, void *out, size_t length)
{
    return RAND_bytes_ex(crypto->context, out, length, 0) == 1;
}

struct fv_digest *fv_digest_new(struct fv_crypto *crypto)
{
    struct fv_digest *digest = calloc(1, sizeof *digest);

    if (!digest)
        return NULL;
    digest->crypto = crypto;
    digest->state = EVP_MD_CTX_new();
    if (!digest->state) {
        free(digest);
        return NULL;
    }
    return digest;
}

void fv_digest_free(struct fv_digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->state);
    free(digest);
}

void fv_digest_start(struct fv_digest *digest)
{
    digest->fine = EVP_DigestInit_ex2(digest->state, digest->crypto->sha256, NULL) == 1;
}

void fv_digest_add(struct fv_digest *digest, const void *data, size_t length)
{
    if (digest->fine && length)
        digest->fine = EVP_DigestUpdate(digest->state, data, length) == 1;
}

bool fv_digest_end(struct fv_digest *digest, uint8_t out[FV_DIGEST_SIZE])
{
    return digest->fine && EVP_DigestFinal_ex(digest->state, out, NULL) == 1;
}
