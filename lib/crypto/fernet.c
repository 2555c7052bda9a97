#include "crypto/fernet.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/crypto_internal.h"
#include "util/base64.h"
#include "util/fail.h"

/* A token: 0x80, time (8), initial vector (16), ciphertext (whole blocks), MAC of all of it (32) */
#define FORM 0x80
#define BLOCK 16
#define MAC_SIZE 32
#define HEAD (1 + 8 + BLOCK)
#define LEAST (HEAD + BLOCK + MAC_SIZE)
#define HALF (FV_FERNET_KEY_SIZE / 2) /* of the key: the first signs, the second encrypts */

bool fv_fernet_key(const char *text, size_t length, uint8_t out[FV_FERNET_KEY_SIZE])
{
    uint8_t bytes[FV_BASE64_ROOM(44)];
    size_t size;
    bool fine;

    if (length == 45 && text[44] == '\n')
        length--;
    fine = length == 44 && fv_base64_decode(FV_BASE64_URL, text, length, bytes, &size) &&
           size == FV_FERNET_KEY_SIZE;
    if (fine)
        memcpy(out, bytes, FV_FERNET_KEY_SIZE);
    fv_wipe(bytes, sizeof bytes);
    return fine;
}

static bool compute_mac(struct fv_crypto *crypto, const uint8_t *key, const uint8_t *data,
                        size_t length, uint8_t out[MAC_SIZE])
{
    char digest[] = "SHA2-256";
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
                                                                   0),
                                  OSSL_PARAM_construct_end() };
    EVP_MAC *hmac = EVP_MAC_fetch(crypto->context, "HMAC", NULL);
    EVP_MAC_CTX *state = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    bool fine = state && EVP_MAC_init(state, key, HALF, params) == 1 &&
                EVP_MAC_update(state, data, length) == 1 &&
                EVP_MAC_final(state, out, NULL, MAC_SIZE) == 1;

    EVP_MAC_CTX_free(state);
    EVP_MAC_free(hmac);
    return fine;
}

/* -1: OpenSSL cannot; 0: the padding is wrong; 1. */
static int decrypt(struct fv_crypto *crypto, const uint8_t *key, const uint8_t *vector,
                   const uint8_t *text, size_t length, uint8_t *out, size_t *ret_length)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(crypto->context, "AES-128-CBC", NULL);
    EVP_CIPHER_CTX *state = cipher ? EVP_CIPHER_CTX_new() : NULL;
    int some = 0, rest = 0, r = -1;

    if (state && EVP_DecryptInit_ex2(state, cipher, key, vector, NULL) == 1 &&
        EVP_DecryptUpdate(state, out, &some, text, (int)length) == 1)
        r = EVP_DecryptFinal_ex(state, out + some, &rest) == 1;
    EVP_CIPHER_CTX_free(state);
    EVP_CIPHER_free(cipher);
    *ret_length = (size_t)some + (size_t)rest;
    return r;
}

static int open_bytes(struct fv_crypto *crypto, const uint8_t *key, const uint8_t *token,
                      size_t length, uint8_t *out, size_t *ret_length, flagver_error *err)
{
    size_t signed_length = length - MAC_SIZE;
    uint8_t mac[MAC_SIZE];
    int r;

    if (!compute_mac(crypto, key, token, signed_length, mac))
        return fv_fail_memory(err);
    if (CRYPTO_memcmp(mac, token + signed_length, MAC_SIZE) != 0)
        return fv_fail(err, FLAGVER_EKEY, "the token was made with another key, or changed since");
    r = decrypt(crypto, key + HALF, token + 1 + 8, token + HEAD, signed_length - HEAD, out,
                ret_length);
    if (r < 0)
        return fv_fail_memory(err);
    return r ? 0 : fv_fail(err, FLAGVER_EPARSE, "what is in the token does not end in padding");
}

static int check_form(const uint8_t *token, size_t length, flagver_error *err)
{
    if (length < LEAST)
        return fv_fail(err, FLAGVER_EPARSE, "the token is %zu bytes; %d or more are needed", length,
                       LEAST);
    if (token[0] != FORM)
        return fv_fail(err, FLAGVER_EPARSE, "the token begins with %#04x, not 0x80", token[0]);
    if ((length - LEAST) % BLOCK != 0)
        return fv_fail(err, FLAGVER_EPARSE, "the token does not hold whole blocks of %d bytes",
                       BLOCK);
    return 0;
}

int fv_fernet_open(struct fv_crypto *crypto, const uint8_t key[FV_FERNET_KEY_SIZE],
                   const char *token, size_t length, uint8_t *out, size_t *ret_length,
                   uint64_t *ret_time, flagver_error *err)
{
    uint8_t *bytes = NULL;
    size_t size, i;
    int r;

    if (length > INT32_MAX)
        return fv_fail(err, FLAGVER_EPARSE, "the token is %zu bytes; up to %d allowed", length,
                       INT32_MAX);
    bytes = malloc(length + 1);
    if (!bytes)
        return fv_fail_memory(err);
    if (fv_base64_decode(FV_BASE64_URL, token, length, bytes, &size))
        r = check_form(bytes, size, err);
    else
        r = fv_fail(err, FLAGVER_EPARSE, "the token is not base64url");
    if (r == 0) {
        ERR_set_mark();
        r = open_bytes(crypto, key, bytes, size, out, ret_length, err);
        ERR_pop_to_mark();
    }
    if (r < 0)
        fv_wipe(out, FV_FERNET_ROOM(length));
    for (*ret_time = 0, i = 1; r == 0 && i <= 8; i++)
        *ret_time = *ret_time << 8 | bytes[i];
    free(bytes);
    return r;
}
