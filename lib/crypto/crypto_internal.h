/*
 * What the files of this folder share: the library context and what was fetched from it.
 *
 * What fails in OpenSSL leaves words in a queue of the thread's, where the host would find
 * them and take them for its own: SSL_get_error(), for instance, looks there. So what
 * we add is taken away again: every call of OpenSSL's that can leave words stands between
 * ERR_set_mark() and ERR_pop_to_mark().
 */
#ifndef FV_CRYPTO_CRYPTO_INTERNAL_H
#define FV_CRYPTO_CRYPTO_INTERNAL_H

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto/crypto.h"

/* Fetched once: an implicit fetch doubles the time of a short digest. */
struct fv_crypto {
    OSSL_LIB_CTX *context;
    EVP_MD *sha256;
    EVP_CIPHER *aes_256_gcm;
};

#endif
