#include "crypto/aead.h"

#include <string.h>

#include "crypto/crypto_internal.h"

/* A context under way, with what the bytes are about already in it; NULL: memory. */
static EVP_CIPHER_CTX *start(struct fv_crypto *crypto, const uint8_t *key, const uint8_t *nonce,
                             flagver_bytes about, int sealing)
{
    EVP_CIPHER_CTX *state = EVP_CIPHER_CTX_new();
    int length;

    if (!state)
        return NULL;
    if (EVP_CipherInit_ex2(state, crypto->aes_256_gcm, key, nonce, sealing, NULL) == 1 &&
        EVP_CipherUpdate(state, NULL, &length, about.data, (int)about.length) == 1)
        return state;
    EVP_CIPHER_CTX_free(state);
    return NULL;
}

/* GCM gives as many bytes as it takes. `out` may be NULL for none, which OpenSSL would misread. */
static bool translate(EVP_CIPHER_CTX *state, const void *in, size_t length, uint8_t *out)
{
    int written;

    return length == 0 || EVP_CipherUpdate(state, out, &written, in, (int)length) == 1;
}

static bool seal(struct fv_crypto *crypto, const uint8_t *key, flagver_bytes about,
                 flagver_bytes plain, uint8_t *out)
{
    uint8_t *nonce = out + 1, *text = nonce + FV_AEAD_NONCE_SIZE, *tag = text + plain.length;
    EVP_CIPHER_CTX *state = start(crypto, key, nonce, about, 1);
    bool fine;
    int none;

    if (!state)
        return false;
    fine = translate(state, plain.data, plain.length, text) &&
           EVP_CipherFinal_ex(state, tag, &none) == 1 &&
           EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_AEAD_GET_TAG, FV_AEAD_TAG_SIZE, tag) == 1;
    EVP_CIPHER_CTX_free(state);
    return fine;
}

int fv_aead_seal(struct fv_crypto *crypto, const uint8_t key[FV_AEAD_KEY_SIZE], flagver_bytes about,
                 flagver_bytes plain, uint8_t *out)
{
    bool fine;

    if (plain.length > FV_AEAD_LIMIT || about.length > FV_AEAD_LIMIT)
        return FLAGVER_EINVAL;
    out[0] = FV_AEAD_FORM;
    if (!fv_random(out + 1, FV_AEAD_NONCE_SIZE))
        return FLAGVER_EIO;
    ERR_set_mark();
    fine = seal(crypto, key, about, plain, out);
    ERR_pop_to_mark();
    return fine ? 0 : FLAGVER_ENOMEM;
}

static int open_text(EVP_CIPHER_CTX *state, const uint8_t *text, size_t length, uint8_t *out)
{
    uint8_t tag[FV_AEAD_TAG_SIZE], last[1];
    int none;

    memcpy(tag, text + length, sizeof tag);
    if (!translate(state, text, length, out) ||
        EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1)
        return FLAGVER_ENOMEM;
    return EVP_CipherFinal_ex(state, last, &none) == 1 ? 0 : FLAGVER_ECORRUPT;
}

int fv_aead_open(struct fv_crypto *crypto, const uint8_t key[FV_AEAD_KEY_SIZE], flagver_bytes about,
                 flagver_bytes sealed, uint8_t *out)
{
    const uint8_t *bytes = sealed.data;
    size_t length = sealed.length - FV_AEAD_EXTRA;
    EVP_CIPHER_CTX *state;
    int r = FLAGVER_ENOMEM;

    if (sealed.length < FV_AEAD_EXTRA || bytes[0] != FV_AEAD_FORM || length > FV_AEAD_LIMIT)
        return FLAGVER_ECORRUPT;
    ERR_set_mark();
    state = start(crypto, key, bytes + 1, about, 0);
    if (state)
        r = open_text(state, bytes + 1 + FV_AEAD_NONCE_SIZE, length, out);
    EVP_CIPHER_CTX_free(state);
    ERR_pop_to_mark();
    /* What was not authentic must not be looked at. */
    if (r < 0)
        fv_wipe(out, length);
    return r;
}
