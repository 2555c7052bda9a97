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

static bool matches(struct fv_crypto *crypto, const uint8_t *verifier, const void *data,
                    size_t length, const uint8_t *signature)
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

/* A signature that is right, of no bytes: RFC 8032, 7.1, test 1. */
static const uint8_t right_verifier[FV_VERIFIER_SIZE] = {
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a
};
static const uint8_t right_signature[FV_SIGNATURE_SIZE] = {
    0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e, 0x82, 0x8a,
    0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73, 0xe0, 0x65, 0x22, 0x49, 0x01, 0x55,
    0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b, 0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b,
    0xd2, 0x5b, 0xf5, 0xf0, 0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b
};

/*
 * Without memory OpenSSL calls every signature wrong, and nothing may pass for changed that is not:
 * so it is asked twice, and about one that is right.
 */
int fv_sign_check(struct fv_crypto *crypto, const uint8_t verifier[FV_VERIFIER_SIZE],
                  const void *data, size_t length, const uint8_t signature[FV_SIGNATURE_SIZE])
{
    if (matches(crypto, verifier, data, length, signature) ||
        matches(crypto, verifier, data, length, signature))
        return 1;
    return matches(crypto, right_verifier, "", 0, right_signature) ? 0 : FLAGVER_ENOMEM;
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
