/*
 * Payloads that are sealed: encrypted with a data key of their tenant, bound to
 * their row.
 *
 * Data keys are numbered from 1 and lie in the keyed table, space "key", under their numbers in ten
 * digits, each sealed with a key-encryption key (store/keyring.h). The one with the greatest
 * number seals what is new; it comes about with the first payload that needs it. A row's value is
 *
 *    1  form: 1
 *    1  length of the id, id of the key-encryption key
 *   61  the data key, sealed (crypto/aead.h)
 *
 * A payload that is sealed has a salt, which its content hash begins with: otherwise a short text
 * could be guessed from the hash. The salt is sealed, too, in the row's column of that name: a guess
 * is worth nothing without the keys, nor when the payload is gone.
 */
#ifndef FV_STORE_SEALING_H
#define FV_STORE_SEALING_H

#include "flagver/driver.h"
#include "flagver/key.h"
#include "store/keyring.h"
#include "util/text.h"

#define FV_KEY_SPACE "key"
#define FV_SALT_SIZE 16

struct fv_store;
struct fv_data_key;

/* The data keys that a transaction or a read has needed, as they are without a seal. */
struct fv_data_keys {
    struct fv_data_key *first;
    uint32_t newest; /* which seals; 0: nobody has asked yet */
};

void fv_data_keys_clear(struct fv_data_keys *keys);

/* A payload as it is stored, and whose it is. */
struct fv_sealed {
    flagver_id id;
    uint32_t key;
    flagver_bytes body, salt;
    flagver_bytes name; /* a subject, or an item's key, */
    uint32_t no;        /* and the version's number: for errors */
};

/* Is there a payload in the row, and is it sealed? */
bool fv_version_is_sealed(const flagver_version_row *row, struct fv_sealed *ret_sealed);
bool fv_item_is_sealed(const flagver_item_row *row, struct fv_sealed *ret_sealed);

/* Room for the payload; FLAGVER_ECORRUPT. */
int fv_sealed_size(const struct fv_sealed *sealed, size_t *ret_size, flagver_error *err);

/* Where data keys are read: a transaction of the driver's. */
struct fv_key_place {
    const struct fv_store *store;
    flagver_driver_txn *txn;
    const char *tenant;
};

/*
 * Opens it into `out` (fv_sealed_size). FLAGVER_EKEY: a key-encryption key is missing or
 * wrong; FLAGVER_ECORRUPT: it was changed, or is another row's.
 */
int fv_sealed_open(const struct fv_key_place *place, struct fv_data_keys *keys,
                   const struct fv_sealed *sealed, uint8_t *out, uint8_t ret_salt[FV_SALT_SIZE],
                   flagver_error *err);

/*
 * Is a row of FV_KEY_SPACE a data key? Then its number, and which key-encryption key it is under.
 * For rows that come from elsewhere, and for lists.
 */
bool fv_key_row_read(const flagver_keyed_row *row, uint32_t *ret_no, char ret_id[FV_KEY_ID_SIZE]);

/* Does it open? 0, FLAGVER_EKEY, FLAGVER_ENOMEM. */
int fv_key_row_try(const struct fv_key_place *place, const flagver_keyed_row *row,
                   flagver_error *err);

/*
 * Is the key-encryption key at hand that data key `no` is said to be under, and does not open it? 1,
 * 0, or an error of the driver's. One of the two is wrong then.
 */
int fv_key_is_wrong(const struct fv_key_place *place, uint32_t no, flagver_error *err);

/* ---- in a transaction ---- */

struct flagver_txn;

/*
 * A salt for a payload that is to be sealed, in the transaction's arena. Whether there is a key to
 * do it with turns out here, before anything is staged: FLAGVER_EKEY.
 */
int fv_txn_salt(struct flagver_txn *txn, flagver_bytes *ret_salt, flagver_error *err);

/* Seals a payload that is about to be staged: body, salt and key of the row. */
int fv_txn_seal(struct flagver_txn *txn, flagver_payload_row *row, flagver_error *err);

/* Opens one that was read: what comes back is then the transaction's. */
int fv_txn_unseal(struct flagver_txn *txn, const struct fv_sealed *sealed, flagver_bytes *ret_body,
                  flagver_bytes *ret_salt, flagver_error *err);

/*
 * A digest of what is secret, for the rows of idempotency keys: the same for the same, and of no
 * use without the keys. Zeros where nothing is recorded.
 */
int fv_txn_veil(struct flagver_txn *txn, const void *data, size_t length,
                uint8_t out[FV_DIGEST_SIZE], flagver_error *err);

/* As flagver_key_rotate(). */
int fv_txn_rotate_keys(struct flagver_txn *txn, flagver_key_rotation *ret_rotation,
                       flagver_error *err);

#endif
