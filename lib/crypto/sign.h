/*
 * Ed25519 signatures (RFC 8032).
 *
 * Threads: any number at once.
 */
#ifndef FV_CRYPTO_SIGN_H
#define FV_CRYPTO_SIGN_H

#include "crypto/crypto.h"

#define FV_SEED_SIZE 32 /* the secret from which both keys are made */
#define FV_VERIFIER_SIZE 32
#define FV_SIGNATURE_SIZE 64

/* The public key of a seed. False: memory is short, or OpenSSL has no Ed25519. */
bool fv_sign_verifier(struct fv_crypto *crypto, const uint8_t seed[FV_SEED_SIZE],
                      uint8_t out[FV_VERIFIER_SIZE]);

/* A seed from the system's randomness, and its public key. */
bool fv_sign_generate(struct fv_crypto *crypto, uint8_t ret_seed[FV_SEED_SIZE],
                      uint8_t ret_verifier[FV_VERIFIER_SIZE]);

bool fv_sign(struct fv_crypto *crypto, const uint8_t seed[FV_SEED_SIZE], const void *data,
             size_t length, uint8_t out[FV_SIGNATURE_SIZE]);

/*
 * Is this the signature of the data by that key? 1; 0, also for what is no key; or FLAGVER_ENOMEM: it
 * could not be found out.
 */
int fv_sign_check(struct fv_crypto *crypto, const uint8_t verifier[FV_VERIFIER_SIZE],
                  const void *data, size_t length, const uint8_t signature[FV_SIGNATURE_SIZE]);

/*
 * By which 4 bytes signed notes tell keys apart: the first of the SHA-256 of name, newline,
 * 0x01 for Ed25519, and public key.
 */
#define FV_KEY_TAG_SIZE 4

bool fv_sign_tag(struct fv_digest *digest, const char *name,
                 const uint8_t verifier[FV_VERIFIER_SIZE], uint8_t out[FV_KEY_TAG_SIZE]);

#endif
