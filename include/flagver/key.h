/**
 * libflagver: encryption of payloads, and their end.
 *
 * Where a phase's policy says "encrypt": true, payloads and items are kept encrypted
 * (AES-256-GCM), bound to their row so that one cannot be put in another's place. They are
 * encrypted with data keys of the tenant, which lie in the store, and these with key-encryption
 * keys, which never do: the host gives them. In this order:
 *
 *   flagver_options.key        a function of the host's
 *   flagver_options.key_file   a file
 *   FLAGVER_KEYS               an environment variable, read when the client is opened
 *
 * File and variable hold keys as "ID:BASE64 OF 32 BYTES", one a line or between commas; the
 * first is used for what is encrypted anew, the others are there to read what is older.
 * Lines that begin with '#' are comments. They are read when the client is opened: a process that
 * is to know a new key is started anew, or asks a function.
 *
 * Without the key everything but the payloads can be read: they are FLAGVER_PAYLOAD_SEALED then. So
 * it is with another key of the same name. Nothing of an encrypted phase is written, and no payloads
 * are compared: FLAGVER_EKEY names the key.
 */
#ifndef FLAGVER_KEY_H
#define FLAGVER_KEY_H

#include "flagver/client.h"
#include "flagver/txn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FLAGVER_KEY_SIZE 32
#define FLAGVER_KEY_ID_LIMIT 64

/**
 * A data key.
 *
 * no      its number, from 1; the highest encrypts
 * key_id  the key-encryption key that it lies under
 * opens   whether that key is there, and is the right one
 * time    since when it lies under it
 */
typedef struct flagver_data_key {
    uint32_t no;
    const char *key_id;
    bool opens;
    int64_t time;
} flagver_data_key;

/**
 * Visit the tenant's data keys in order of their numbers, until `visit` returns false. What it
 * gets is borrowed until it returns.
 *
 * @return 0, or as flagver_version_current()
 */
FLAGVER_API int flagver_key_list(flagver_client *client,
                                 bool (*visit)(void *data, const flagver_data_key *key), void *data,
                                 flagver_error *err);

/** What rotating did. */
typedef struct flagver_key_rotation {
    uint32_t data_keys; /**< how many there are now */
    uint32_t rewrapped; /**< that were under another key-encryption key than the first */
} flagver_key_rotation;

/**
 * Make a new data key for what is encrypted from now on, and put all data keys under the first
 * key-encryption key: once that is committed, the older ones are not needed any more. What was
 * encrypted before stays under its data key.
 *
 * @param ret_rotation  may be NULL. Where the transaction runs again under an idempotency
 *                      key, nothing was `rewrapped`.
 * @return 0, FLAGVER_EKEY, or as flagver_version_put()
 */
FLAGVER_API int flagver_key_rotate(flagver_txn *txn, flagver_key_rotation *ret_rotation,
                                   flagver_error *err);

/**
 * Forget the payload of a version, and of its items, for good: as far as the store reaches;
 * backups and exports that were made before have it still. Row, hashes and leaves stay, so
 * that the log can be verified as before. Allowed to whom the policy's "shred" rule names, for
 * versions that are not DRAFT or SUBMITTED. A second time is FLAGVER_ESTATE, and so is what the
 * library itself still needs: a flag, segment, policy or assignment that is in force.
 *
 * @return 0, FLAGVER_EDENIED, FLAGVER_ESTATE, or as flagver_version_put()
 */
FLAGVER_API int flagver_version_shred(flagver_txn *txn, const char *phase, const char *subject,
                                      uint32_t no, const char *note, flagver_error *err);

/**
 * Shred what is out of force (SUPERSEDED, REJECTED, WITHDRAWN, and of what was RECORDED all but
 * the last) and was created before `before`; what is gone already is left alone. All of it or,
 * when the policy of one of them does not allow it, nothing.
 *
 * @param prefix     what subjects begin with; NULL: all of the phase
 * @param ret_count  how many; may be NULL
 * @return 0, FLAGVER_EDENIED, or as flagver_version_put()
 */
FLAGVER_API int flagver_retain(flagver_txn *txn, const char *phase, const char *prefix,
                               int64_t before, const char *note, uint64_t *ret_count,
                               flagver_error *err);

/**
 * Decrypt a Fernet token, to bring it into a store that encrypts by itself. Its age is not
 * looked at.
 *
 * @param key         32 bytes in URL-safe base64
 * @param ret_text    NUL-terminated; freed with flagver_string_free()
 * @param ret_length  may be NULL
 * @return 0, or
 *   FLAGVER_EINVAL  no such key
 *   FLAGVER_EPARSE  no token
 *   FLAGVER_EKEY    made with another key, or damaged
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_fernet_decrypt(const char *key, const char *token, size_t length,
                                       char **ret_text, size_t *ret_length, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
