/*
 * Key-encryption keys: 32 bytes each, by their ids. They come from the host and are never
 * written anywhere; what is in the store is sealed with data keys (store/sealing.h),
 * and these with them.
 *
 * A key ring is immutable and counted. Threads: any number at once.
 */
#ifndef FV_STORE_KEYRING_H
#define FV_STORE_KEYRING_H

#include "crypto/aead.h"
#include "flagver/key.h"

#define FV_KEY_ID_SIZE (FLAGVER_KEY_ID_LIMIT + 1)

struct fv_keyring;

/* Where the keys are: the first of these that is not NULL. */
struct fv_keyring_source {
    int (*ask)(void *data, const char *id, char ret_id[FV_KEY_ID_SIZE],
               uint8_t ret_key[FLAGVER_KEY_SIZE]); /* as flagver_options.key */
    void *data;
    const char *file; /* a path */
    const char *text; /* the keys themselves */
};

/*
 * Held once. Without a source there are no keys, and that is fine until one is needed.
 *
 * 0, or FLAGVER_EIO (the file cannot be read), FLAGVER_EPARSE, FLAGVER_ENOMEM.
 */
int fv_keyring_new(const struct fv_keyring_source *source, struct fv_keyring **ret_ring,
                   flagver_error *err);
void fv_keyring_hold(struct fv_keyring *ring);    /* NULL is fine */
void fv_keyring_release(struct fv_keyring *ring); /* NULL is fine */

/* The key with this id, to open; FLAGVER_EKEY. `ring` NULL: there are no keys. */
int fv_keyring_find(const struct fv_keyring *ring, const char *id, uint8_t out[FLAGVER_KEY_SIZE],
                    flagver_error *err);

/* The one to seal with. */
int fv_keyring_first(const struct fv_keyring *ring, char ret_id[FV_KEY_ID_SIZE],
                     uint8_t out[FLAGVER_KEY_SIZE], flagver_error *err);

#endif
