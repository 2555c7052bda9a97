/**
 * libflagver: the id map. What an entity is called in an old system and in a new one:
 * (entity, old id) ↔ (entity, new id), unique both ways. The database holds that, whoever
 * writes at the same time.
 *
 *     char id[FLAGVER_IDMAP_ID_SIZE];
 *
 *     r = flagver_idmap_new(txn, "users", "17", NULL, id, &err);
 *
 * An entity is a kind of thing, for instance a table; ids are texts. Mappings are no records:
 * they have no versions, and no leaves in the audit log, so that there may be millions of them.
 * They belong to the client's tenant, and come along with exports and copies.
 *
 * In an export of a whole store, and in a copy of one, a tenant without any record is seen only
 * if it is "default": name others of which a store keeps nothing but ids.
 */
#ifndef FLAGVER_IDMAP_H
#define FLAGVER_IDMAP_H

#include "flagver/base.h"
#include "flagver/client.h"
#include "flagver/txn.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The longest entity and id, in bytes. Both are UTF-8 without control characters, and not empty. */
#define FLAGVER_IDMAP_ENTITY_LIMIT 64
#define FLAGVER_IDMAP_ID_LIMIT 255

/** Room for any id and its NUL. */
#define FLAGVER_IDMAP_ID_SIZE (FLAGVER_IDMAP_ID_LIMIT + 1)

/** Room for a UUID as text and its NUL. */
#define FLAGVER_UUID_SIZE 37

/** What flagver_idmap_new() makes ids in. */
#define FLAGVER_IDMAP_NAMESPACE "6f1d0c1e-52b4-4c8e-9f57-0d3a7be2a4c9"

/**
 * A mapping. `time` is when it was made, in microseconds since 1970-01-01T00:00:00Z; who puts one
 * need not set it.
 */
typedef struct flagver_idmap_entry {
    const char *entity, *old_id, *new_id;
    int64_t time;
} flagver_idmap_entry;

/* ---- writing ---- */

/**
 * Map an old id to a new one. Where it is mapped to that already nothing happens. It is written
 * together with all else in the transaction, also in one that is enlisted.
 *
 * @return 0, or
 *   FLAGVER_EINVAL  an entity or id that is none
 *   FLAGVER_EEXIST  the old id is mapped to another one, or another one to the new id; the
 *                   message names them. Nothing has changed, and the transaction goes on.
 *   FLAGVER_EBUSY   (also at commit) somebody else has mapped one of them meanwhile: run it again
 *   any storage error
 *
 * Threads: one at a time per transaction.
 */
FLAGVER_API int flagver_idmap_put(flagver_txn *txn, const char *entity, const char *old_id,
                                  const char *new_id, flagver_error *err);

/**
 * Map many: all of them, or after FLAGVER_EINVAL and FLAGVER_EEXIST none. For batches of some
 * thousand: in flagver_txn_run() they take a few round trips, as long as no mapping is
 * refused. An entry may be there twice.
 *
 * @param ret_refused  which entry FLAGVER_EINVAL or FLAGVER_EEXIST is about; may be NULL. Where a
 *                     transaction runs again under an idempotency key it is `count`.
 * @return as flagver_idmap_put()
 */
FLAGVER_API int flagver_idmap_put_many(flagver_txn *txn, const flagver_idmap_entry *entries,
                                       size_t count, size_t *ret_refused, flagver_error *err);

/**
 * What the old id is mapped to; where it is not, map it now.
 *
 * Whoever asks gets the same id. Without one of the host's it is a UUIDv8 (flagver_uuid_v8()) in
 * the namespace FLAGVER_IDMAP_NAMESPACE, of tenant, entity and old id with a byte 0x1f between
 * them, so that it can be computed elsewhere.
 *
 * @param new_id  the id to map it to, of the host's making; NULL: as said above
 * @param ret_id  FLAGVER_IDMAP_ID_SIZE bytes: what it is mapped to now
 * @return as flagver_idmap_put(); FLAGVER_EEXIST: another old id is mapped to the new one.
 *         FLAGVER_ENOTFOUND: the transaction has run before under its idempotency key, and
 *         the mapping has been removed since.
 */
FLAGVER_API int flagver_idmap_new(flagver_txn *txn, const char *entity, const char *old_id,
                                  const char *new_id, char *ret_id, flagver_error *err);

/**
 * Forget a mapping.
 *
 * @return 0, FLAGVER_ENOTFOUND: there is none, or as flagver_idmap_put()
 */
FLAGVER_API int flagver_idmap_remove(flagver_txn *txn, const char *entity, const char *old_id,
                                     flagver_error *err);

/* ---- reading ---- */

/**
 * What an old id is mapped to, and which one a new id is of.
 *
 * @param ret_id  FLAGVER_IDMAP_ID_SIZE bytes
 * @return 0, or
 *   FLAGVER_ENOTFOUND  it is not mapped; `ret_id` is untouched
 *   FLAGVER_EINVAL     an entity or id that is none
 *   FLAGVER_ENOTSUP    the client has no store
 *   any storage error
 *
 * Threads: any number at once.
 */
FLAGVER_API int flagver_idmap_get(flagver_client *client, const char *entity, const char *old_id,
                                  char *ret_id, flagver_error *err);
FLAGVER_API int flagver_idmap_get_old(flagver_client *client, const char *entity,
                                      const char *new_id, char *ret_id, flagver_error *err);

/** The same as seen in a transaction: with what it has put and removed itself. */
FLAGVER_API int flagver_idmap_get_in(flagver_txn *txn, const char *entity, const char *old_id,
                                     char *ret_id, flagver_error *err);
FLAGVER_API int flagver_idmap_get_old_in(flagver_txn *txn, const char *entity, const char *new_id,
                                         char *ret_id, flagver_error *err);

/**
 * Visit mappings in byte order of entity and old id, from one state of the store, until `visit`
 * returns false. What it gets is borrowed until it returns.
 *
 * @param entity  NULL: all
 * @param after   only old ids after this one, which needs an entity; NULL: all
 * @return 0, or as flagver_idmap_get()
 */
FLAGVER_API int flagver_idmap_visit(flagver_client *client, const char *entity, const char *after,
                                    bool (*visit)(void *data, const flagver_idmap_entry *entry),
                                    void *data, flagver_error *err);

/* ---- UUIDs made of names ---- */

/**
 * The UUID of a name in a namespace, which is a UUID itself: the same for the same two,
 * everywhere (RFC 9562).
 *
 * v5  from SHA-1, section 5.5
 * v8  from SHA-256, in the same way (appendix B.2): over the 16 bytes of the namespace and the
 *     name; the first 128 bits of that, of which 6 give way to version and variant
 *
 * @param ret_text  FLAGVER_UUID_SIZE bytes: lower-case
 * @return 0, or
 *   FLAGVER_EINVAL  the namespace is no UUID
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_uuid_v5(const char *name_space, const void *name, size_t length,
                                char *ret_text, flagver_error *err);
FLAGVER_API int flagver_uuid_v8(const char *name_space, const void *name, size_t length,
                                char *ret_text, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
