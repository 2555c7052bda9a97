#define _DEFAULT_SOURCE             /* getentropy */
#define OPENSSL_SUPPRESS_DEPRECATED /* see fv_digest */

#include "crypto/crypto_internal.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <unistd.h>

#define ENTROPY_LIMIT 256 /* bytes that getentropy() gives at once */

static bool fetch(struct fv_crypto *crypto)
{
    ERR_set_mark();
    crypto->context = OSSL_LIB_CTX_new();
    if (crypto->context)
        crypto->sha256 = EVP_MD_fetch(crypto->context, "SHA2-256", NULL);
    if (crypto->sha256)
        crypto->aes_256_gcm = EVP_CIPHER_fetch(crypto->context, "AES-256-GCM", NULL);
    ERR_pop_to_mark();
    return crypto->aes_256_gcm != NULL;
}

struct fv_crypto *fv_crypto_new(void)
{
    struct fv_crypto *crypto = calloc(1, sizeof *crypto);

    if (!crypto)
        return NULL;
    if (!fetch(crypto)) {
        fv_crypto_free(crypto);
        return NULL;
    }
    return crypto;
}

void fv_crypto_free(struct fv_crypto *crypto)
{
    if (!crypto)
        return;
    EVP_CIPHER_free(crypto->aes_256_gcm);
    EVP_MD_free(crypto->sha256);
    OSSL_LIB_CTX_free(crypto->context);
    free(crypto);
}

/*
 * Not from OpenSSL: its generator leaves state with each thread that points into the
 * context, and a thread that ends after the context was freed would follow it.
 */
bool fv_random(void *out, size_t length)
{
    unsigned char *at = out;
    size_t now;

    for (; length > 0; at += now, length -= now) {
        now = length < ENTROPY_LIMIT ? length : ENTROPY_LIMIT;
        if (getentropy(at, now) < 0)
            return false;
    }
    return true;
}

void fv_wipe(void *data, size_t length)
{
    if (length)
        OPENSSL_cleanse(data, length);
}

/*
 * In OpenSSL 3.0 a digest by EVP allocates each time, which takes longer than to hash the 65 bytes
 * of a node of the log's tree. The functions below EVP do not, nor do they fail; where OpenSSL
 * was built without them EVP has to do.
 */
#ifndef OPENSSL_NO_DEPRECATED_3_0

struct fv_digest {
    SHA256_CTX state;
};

struct fv_digest *fv_digest_new(struct fv_crypto *crypto)
{
    (void)crypto;
    return calloc(1, sizeof(struct fv_digest));
}

void fv_digest_free(struct fv_digest *digest)
{
    if (digest)
        fv_wipe(digest, sizeof *digest);
    free(digest);
}

void fv_digest_start(struct fv_digest *digest)
{
    SHA256_Init(&digest->state);
}

void fv_digest_add(struct fv_digest *digest, const void *data, size_t length)
{
    if (length)
        SHA256_Update(&digest->state, data, length);
}

bool fv_digest_end(struct fv_digest *digest, uint8_t out[FV_DIGEST_SIZE])
{
    return SHA256_Final(out, &digest->state) == 1;
}

#else

struct fv_digest {
    struct fv_crypto *crypto;
    EVP_MD_CTX *state;
    bool fine;
};

struct fv_digest *fv_digest_new(struct fv_crypto *crypto)
{
    struct fv_digest *digest = calloc(1, sizeof *digest);

    if (!digest)
        return NULL;
    digest->crypto = crypto;
    ERR_set_mark();
    digest->state = EVP_MD_CTX_new();
    ERR_pop_to_mark();
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
    ERR_set_mark();
    digest->fine = EVP_DigestInit_ex2(digest->state, digest->crypto->sha256, NULL) == 1;
    ERR_pop_to_mark();
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

#endif
