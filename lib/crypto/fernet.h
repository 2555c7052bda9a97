/*
 * Fernet tokens, as other systems have written them: AES-128-CBC and HMAC-SHA256, in base64url.
 * Opened for imports and never made: a token says neither by which key nor about what it is.
 */
#ifndef FV_CRYPTO_FERNET_H
#define FV_CRYPTO_FERNET_H

#include "crypto/crypto.h"

#define FV_FERNET_KEY_SIZE 32

/* Room for what is in a token, at most. */
#define FV_FERNET_ROOM(length) ((length) / 4 * 3)

/*
 * Open a token: the text that was encrypted into `out` (FV_FERNET_ROOM), and when, in seconds
 * since 1970. How old it is matters to nobody here.
 *
 * 0, or FLAGVER_EPARSE (no token), FLAGVER_EKEY (not made with this key, or changed since),
 * FLAGVER_ENOMEM; `out` is zeros then.
 */
int fv_fernet_open(struct fv_crypto *crypto, const uint8_t key[FV_FERNET_KEY_SIZE],
                   const char *token, size_t length, uint8_t *out, size_t *ret_length,
                   uint64_t *ret_time, flagver_error *err);

/* A key as it is written down: base64url of its bytes, with or without a newline behind it. */
bool fv_fernet_key(const char *text, size_t length, uint8_t out[FV_FERNET_KEY_SIZE]);

#endif
