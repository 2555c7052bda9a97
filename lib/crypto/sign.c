#include "crypto/sign.h"

#include <string.h>

#include "crypto/crypto_internal.h"

#define KIND "ED25519"

static EVP_PKEY *signer(struct fv_crypto *crypto, const uint8_t *seed)
{
    return EVP_PKEY_new_raw_private_key_ex(crypto->context, KIND, NULL, seed, FV_SEED_SIZE);
}

bool fv_sign_verifier(struct fv_crypto *crypto, const uint8_t seed[FV_SEED_SIZE],
                      uint8_t out[FV_VERIFIER_SIZE])
{
    size_t length = FV_VERIFIER_SIZE;
    EVP_PKEY *key;
    bool fine;

    ERR_set_mark();
    key = signer(crypto, seed);
    fine = key && EVP_PKEY_get_raw_public_key(key, out, &length) == 1;
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return fine;
}

bool fv_sign_generate(struct fv_crypto *crypto, uint8_t ret_seed[FV_SEED_SIZE],
                      uint8_t ret_verifier[FV_VERIFIER_SIZE])
{
    return fv_random(ret_seed, FV_SEED_SIZE) && fv_sign_verifier(crypto, ret_seed, ret_verifier);
}

static bool sign_with(struct fv_crypto *crypto, EVP_PKEY *key, const void *data, size_t length,
                      uint8_t *out)
{
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    size_t room = FV_SIGNATURE_SIZE;
    bool fine = state &&
                EVP_DigestSignInit_ex(state, NULL, NULL, crypto->context, NULL, key, NULL) == 1 &&
                EVP_DigestSign(state, out, &room, data, length) == 1;

    EVP_MD_CTX_free(state);
    return fine;
}

bool fv_sign(struct fv_crypto *crypto, const uint8_t seed[FV_SEED_SIZE], const void *data,
             size_t length, uint8_t out[FV_SIGNATURE_SIZE])
{
    EVP_PKEY *key;
    bool fine;

    ERR_set_mark();
    key = signer(crypto, seed);
    fine = key && sign_with(crypto, key, data, length, out);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return fine;
}

static bool check_with(struct fv_crypto *crypto, EVP_PKEY *key, const void *data, size_t length,
                       const uint8_t *signature)
{
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    bool fine = state &&
                EVP_DigestVerifyInit_ex(state, NULL, NULL, crypto->context, NULL, key, NULL) == 1 &&
                EVP_DigestVerify(state, signature, FV_SIGNATURE_SIZE, data, length) == 1;

    EVP_MD_CTX_free(state);
    return fine;
}

bool fv_sign_check(struct fv_crypto *crypto, const uint8_t verifier[FV_VERIFIER_SIZE],
                   const void *data, size_t length, const uint8_t signature[FV_SIGNATURE_SIZE])
{
    EVP_PKEY *key;
    bool fine;

    ERR_set_mark();
    key = EVP_PKEY_new_raw_public_key_ex(crypto->context, KIND, NULL, verifier, FV_VERIFIER_SIZE);
    fine = key && check_with(crypto, key, data, length, signature);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return fine;
}

bool fv_sign_tag(struct fv_digest *digest, const char *name,
                 const uint8_t verifier[FV_VERIFIER_SIZE], uint8_t out[FV_KEY_TAG_SIZE])
{
    static const uint8_t between[2] = { '\n', 1 };
    uint8_t hash[FV_DIGEST_SIZE];

    fv_digest_start(digest);
    fv_digest_add(digest, name, strlen(name));
    fv_digest_add(digest, between, sizeof between);
    fv_digest_add(digest, verifier, FV_VERIFIER_SIZE);
    if (!fv_digest_end(digest, hash))
        return false;
    memcpy(out, hash, FV_KEY_TAG_SIZE);
    return true;
}
