/*
 * Sealed bytes: AES-256-GCM. What is opened is what was sealed, about the same thing and with
 * the same key, or it is refused as a whole.
 *
 * Sealed bytes are a form number (1), a nonce (12), the ciphertext and a tag (16). Nonces are
 * random, so one key is good for 2^32 times of sealing (NIST SP 800-38D, 8.3).
 *
 * `about` says what the bytes are about (the additional authenticated data): it is
 * not kept with them, and they open only with the same again.
 */
#ifndef FV_CRYPTO_AEAD_H
#define FV_CRYPTO_AEAD_H

#include "crypto/crypto.h"
#include "flagver/driver.h" /* flagver_bytes */

#define FV_AEAD_FORM 1
#define FV_AEAD_KEY_SIZE 32
#define FV_AEAD_NONCE_SIZE 12
#define FV_AEAD_TAG_SIZE 16
#define FV_AEAD_EXTRA (1 + FV_AEAD_NONCE_SIZE + FV_AEAD_TAG_SIZE)
#define FV_AEAD_LIMIT (1u << 30) /* bytes at once */

/*
 * `out` has room for length + FV_AEAD_EXTRA bytes; nothing of it counts after an error.
 *
 * 0, or FLAGVER_EIO (the system has no random numbers), FLAGVER_EINVAL (too long), FLAGVER_ENOMEM.
 */
int fv_aead_seal(struct fv_crypto *crypto, const uint8_t key[FV_AEAD_KEY_SIZE], flagver_bytes about,
                 flagver_bytes plain, uint8_t *out);

/*
 * `out` has room for sealed.length - FV_AEAD_EXTRA bytes; zeros after an error.
 *
 * 0, or FLAGVER_ECORRUPT (not sealed like this, or changed since), FLAGVER_ENOMEM.
 */
int fv_aead_open(struct fv_crypto *crypto, const uint8_t key[FV_AEAD_KEY_SIZE], flagver_bytes about,
                 flagver_bytes sealed, uint8_t *out);

#endif
