/*
 * Digests and random bytes. What we use of OpenSSL we use in a library context of our
 * own: what the host has configured for itself neither helps nor harms.
 */
#ifndef FV_CRYPTO_CRYPTO_H
#define FV_CRYPTO_CRYPTO_H

#include "flagver/base.h"

#define FV_DIGEST_SIZE 32

/* The library context and what was fetched from it. Threads: any number at once. */
struct fv_crypto;

/* NULL: OpenSSL cannot be set up (memory, or it has no SHA-256 or AES). */
struct fv_crypto *fv_crypto_new(void);
void fv_crypto_free(struct fv_crypto *crypto); /* NULL is fine */

/* Unpredictable bytes. False when the system has none. */
bool fv_random(void *out, size_t length);

/* Zeros that no compiler leaves out: for keys and secrets that are not needed any more. */
void fv_wipe(void *data, size_t length);

/*
 * SHA-256, piece by piece. A digest is used by one thread at a time, and as often
 * as one likes: every start forgets what was before.
 *
 * Calls after a failed one do nothing; fv_digest_end() tells.
 */
struct fv_digest;

struct fv_digest *fv_digest_new(struct fv_crypto *crypto); /* NULL: memory is short */
void fv_digest_free(struct fv_digest *digest);             /* NULL is fine */
void fv_digest_start(struct fv_digest *digest);
void fv_digest_add(struct fv_digest *digest, const void *data, size_t length);
bool fv_digest_end(struct fv_digest *digest, uint8_t out[FV_DIGEST_SIZE]);

#endif
