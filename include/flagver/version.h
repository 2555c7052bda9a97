/**
 * libflagver: versioned records.
 *
 * A series is named by its phase and its subject and holds versions 1, 2, 3 …
 * without a gap; at most one is in force (current). What was approved never
 * changes. Flags are records of the phase "flagver.flag", segments of
 * "flagver.segment"; their subjects are their keys. flagver/rollout.h changes
 * them more conveniently; what it does is written here.
 *
 *   create       a draft, number last + 1
 *   edit         other content for a draft
 *   rebase       the draft is measured against what is in force now
 *   submit       hand a draft in: it is frozen and waits for approval; where none is asked
 *                for, as for flags by default, it is in force at once
 *   return       take it back, or send it back, to be edited
 *   approve      count as one of those who allow it; with enough of them it is in force and takes
 *                the place of the one before (SUPERSEDED)
 *   reject       it never comes into force
 *   withdraw     give it up
 *   put          create and submit
 *   revert       a draft of what an earlier version said, submitted where no approval is asked for
 *   remove       put a tombstone: when it is in force reads give FLAGVER_ENOTFOUND, history and
 *                as-of go on, and creating again continues the numbers
 *   record       in phases that only keep an audit: in force at once, and for good
 *
 * A phase is a policy: a record of the phase "flagver.phase" whose subject is the phase's name, or
 * the name, '/' and the beginning of subjects, of which the longest counts. docs/versions.md has
 * its form. A phase without a policy is FLAGVER_ENOTFOUND; flags, segments, policies and
 * assignments have built-in ones that ask for no approval. To change a policy takes the approval
 * that the policy in force asks for. Who holds a role for a subject is said by assignments.
 *
 * Actors and roles are the host's word. A host may replace the rules: flagver_options.authorize.
 *
 * Times are microseconds since 1970-01-01T00:00:00Z. All versions that one
 * transaction makes have (almost) one time; within a series times rise strictly.
 */
#ifndef FLAGVER_VERSION_H
#define FLAGVER_VERSION_H

#include "flagver/base.h"
#include "flagver/client.h"
#include "flagver/driver.h" /* FLAGVER_STATE_… */
#include "flagver/txn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FLAGVER_PHASE_FLAG "flagver.flag"
#define FLAGVER_PHASE_SEGMENT "flagver.segment"
#define FLAGVER_PHASE_PHASE "flagver.phase"
#define FLAGVER_PHASE_ASSIGNMENT "flagver.assignment"
#define FLAGVER_PHASE_MIGRATION "flagver.migration"

/** The longest phase, subject and payload, in bytes. */
#define FLAGVER_PHASE_LIMIT 64
#define FLAGVER_SUBJECT_LIMIT 512
#define FLAGVER_PAYLOAD_LIMIT (16u << 20)

/**
 * One version, immutable, owned by whoever got it as `ret_version`. More members
 * may follow in later versions of the library.
 *
 * id               a UUID, as text
 * no               its number; parent_no, base_no, reverts_no, superseded_by: numbers of others,
 *                  0: none. base_no is the one that was current when it was created.
 * state            FLAGVER_STATE_…
 * tombstone        it says that the record is deleted; the payload is empty
 * rev              counts the changes of this version, from 1
 * created_at …     0: not (yet)
 * created_by …     NULL: not (yet), or nothing said
 * content_hash     SHA-256 of the salt (of encrypted payloads), the payload and, in order of their keys,
 *                  for each item the length of its key in 4 bytes, big-endian, its key and its hash
 * payload          canonical JSON, NUL-terminated; NULL when payload_state is another than HERE
 * emergency        in force by an emergency rule, without approval
 * payload_state    FLAGVER_PAYLOAD_…
 */
typedef struct flagver_version {
    const char *phase, *subject, *id;
    uint32_t no, parent_no, base_no, reverts_no, superseded_by;
    int32_t state;
    bool tombstone;
    int64_t rev;
    int64_t created_at, submitted_at, decided_at, superseded_at;
    const char *created_by, *decided_by, *note;
    uint8_t content_hash[32];
    const char *payload;
    size_t payload_length;
    bool emergency;
    int32_t payload_state;
} flagver_version;

/**
 * Where a payload is.
 *
 * NONE      it was not asked for
 * HERE
 * SHREDDED  it is gone for good
 * SEALED    it is encrypted, and the key is not at hand: it is not there, or another one of this name.
 *           flagver_key_list() says which keys open. A payload that was damaged, or put
 *           in another's place, is FLAGVER_ECORRUPT.
 */
#define FLAGVER_PAYLOAD_NONE 0
#define FLAGVER_PAYLOAD_HERE 1
#define FLAGVER_PAYLOAD_SHREDDED 2
#define FLAGVER_PAYLOAD_SEALED 3

/** Free a version. NULL is fine. */
FLAGVER_API void flagver_version_free(flagver_version *version);

/** "draft" for FLAGVER_STATE_DRAFT and so on; NULL for a number that is none. Static. */
FLAGVER_API const char *flagver_state_name(int state);

/**
 * Options of a write; set `size`, NULL is all defaults.
 *
 * note          why, up to 4096 bytes of UTF-8; kept with the version. NULL: nothing said.
 * expect_no     the number that must be current, or FLAGVER_EXPECT_NONE (nothing may be in force);
 *               0: whatever is. When it is not so: FLAGVER_ECONFLICT.
 * flags         FLAGVER_WRITE_…
 * content_hash  approve, reject, decide: the content that was looked at, 32 bytes; when the version
 *               has another: FLAGVER_ECHANGED. NULL: whatever it has.
 * parent_no     create: the version that it goes back to; 0: the current one
 * baseline_no   create: a version that is or was in force; its approved items are carried forward
 *               with their decisions. It is also the parent, unless another is given. 0: none
 *
 * FLAGVER_WRITE_SUBMIT     approve: submit it first
 * FLAGVER_WRITE_EMERGENCY  flagver_flag_disable(), and flagver_flag_ramp() to a lower percentage: in force
 *                          at once, by an actor whom the policy's emergency rule names, with a note
 *                          that says why. It is listed by flagver_store_doctor() until somebody
 *                          has reviewed it. Where no approval is asked for it says nothing.
 */
typedef struct flagver_write_options {
    size_t size;
    const char *note;
    uint32_t expect_no;
    uint32_t flags;
    const uint8_t *content_hash;
    uint32_t parent_no;
    uint32_t baseline_no;
} flagver_write_options;

#define FLAGVER_WRITE_SUBMIT 1u
#define FLAGVER_WRITE_EMERGENCY 2u

#define FLAGVER_EXPECT_NONE UINT32_MAX

/**
 * Write. Where `ret_version` may be NULL the caller does not want to see what came
 * of it.
 *
 * @param json  any JSON value for a phase without a form of its own; for flags and segments
 *              a definition (docs/flags.md). Kept as canonical JSON.
 * @return 0, or
 *   FLAGVER_EINVAL     a phase, subject, note or payload that is malformed or too long
 *   FLAGVER_EPARSE     `json` is malformed, or names a flag, variant or segment that is not there
 *   FLAGVER_ENOTFOUND  no such phase, series or version; nothing in force to remove
 *   FLAGVER_EDENIED    the policy does not allow it to this actor
 *   FLAGVER_EVALIDATION the payload is not what the policy's schema asks for, or longer than it allows
 *   FLAGVER_ECONFLICT  expect_no is not the current number
 *   FLAGVER_EPHASE     this phase does not know the operation
 *   FLAGVER_ESTATE     this version's state does not allow it
 *   FLAGVER_EFROZEN    the version was submitted and cannot be edited
 *   FLAGVER_ESELF      who wrote it, or a part of it, cannot approve it
 *   FLAGVER_EEXIST     this actor has approved it already
 *   FLAGVER_ECHANGED   it does not have the content that was reviewed
 *   FLAGVER_ESTALE     the current version is not the one the draft was made from
 *   FLAGVER_EINCOMPLETE  some of its items are not decided yet
 *   FLAGVER_EKEY       the phase is encrypted, and there is no key
 *   FLAGVER_EIDEM      under this idempotency key another operation was recorded
 *   FLAGVER_EBUSY, FLAGVER_EUNAVAILABLE, FLAGVER_ETIMEDOUT, FLAGVER_EFORKED,
 *   FLAGVER_EIO, FLAGVER_ECORRUPT, FLAGVER_ENOMEM  the transaction is over
 */
FLAGVER_API int flagver_version_create(flagver_txn *txn, const char *phase, const char *subject,
                                       const char *json, size_t length,
                                       const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_edit(flagver_txn *txn, const char *phase, const char *subject,
                                     uint32_t no, const char *json, size_t length,
                                     const flagver_write_options *options,
                                     flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_submit(flagver_txn *txn, const char *phase, const char *subject,
                                       uint32_t no, const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_rebase(flagver_txn *txn, const char *phase, const char *subject,
                                       uint32_t no, const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_return(flagver_txn *txn, const char *phase, const char *subject,
                                       uint32_t no, const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_approve(flagver_txn *txn, const char *phase, const char *subject,
                                        uint32_t no, const flagver_write_options *options,
                                        flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_reject(flagver_txn *txn, const char *phase, const char *subject,
                                       uint32_t no, const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_withdraw(flagver_txn *txn, const char *phase, const char *subject,
                                         uint32_t no, const flagver_write_options *options,
                                         flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_put(flagver_txn *txn, const char *phase, const char *subject,
                                    const char *json, size_t length,
                                    const flagver_write_options *options,
                                    flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_revert(flagver_txn *txn, const char *phase, const char *subject,
                                       uint32_t no, const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_remove(flagver_txn *txn, const char *phase, const char *subject,
                                       const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);

/** Record, in a phase that only keeps an audit ("audit_only"). */
FLAGVER_API int flagver_version_record(flagver_txn *txn, const char *phase, const char *subject,
                                       const char *json, size_t length,
                                       const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);

/**
 * Say afterwards that an emergency was right: by an actor who could have approved it and
 * did not make it. FLAGVER_ESTATE when it was none.
 */
FLAGVER_API int flagver_version_review(flagver_txn *txn, const char *phase, const char *subject,
                                       uint32_t no, const flagver_write_options *options,
                                       flagver_version **ret_version, flagver_error *err);

/**
 * Give a user a role, or take it away: a record of FLAGVER_PHASE_ASSIGNMENT. Policies ask for it by
 * {"assigned": role}.
 *
 * @param role     1 to 64 bytes, without '/'
 * @param subject  whose records: at most 8 parts between '/', "*" for any one part
 */
FLAGVER_API int flagver_assign(flagver_txn *txn, const char *role, const char *subject,
                               const char *user, const flagver_write_options *options,
                               uint32_t *ret_no, flagver_error *err);
FLAGVER_API int flagver_unassign(flagver_txn *txn, const char *role, const char *subject,
                                 const char *user, const flagver_write_options *options,
                                 uint32_t *ret_no, flagver_error *err);

/* ---- items ---- */

/** The longest key of an item, and the most items of a version. */
#define FLAGVER_ITEM_KEY_LIMIT 512
#define FLAGVER_ITEM_COUNT_LIMIT 100000u

/** What to put into an item: any JSON value. */
typedef struct flagver_item_content {
    const char *key;
    const char *json;
    size_t length;
} flagver_item_content;

/**
 * Parts of a version that are decided one by one: samples, attributes. Put them into a DRAFT, or
 * take them out; decide them while it is SUBMITTED, as who could approve the version
 * could. An item whose content changes is PENDING again; one that was carried forward keeps
 * its decision and its origin.
 *
 * @param status  FLAGVER_ITEM_APPROVED, _REJECTED, or _PENDING to take a decision back
 * @return as above; FLAGVER_EINVAL for an item that is to be put twice, FLAGVER_ENOTFOUND for one that
 *   is not there; nothing has happened then
 */
FLAGVER_API int flagver_items_put(flagver_txn *txn, const char *phase, const char *subject,
                                  uint32_t no, const flagver_item_content *items, size_t count,
                                  const flagver_write_options *options,
                                  flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_items_remove(flagver_txn *txn, const char *phase, const char *subject,
                                     uint32_t no, const char *const *keys, size_t count,
                                     const flagver_write_options *options,
                                     flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_items_decide(flagver_txn *txn, const char *phase, const char *subject,
                                     uint32_t no, const char *const *keys, size_t count,
                                     int32_t status, const flagver_write_options *options,
                                     flagver_version **ret_version, flagver_error *err);

/** An item as it is read; borrowed. `origin_no`, `decided_…` as in flagver_item_row, `payload…` as
    in flagver_version; it is always asked for. */
typedef struct flagver_item {
    const char *key;
    uint32_t origin_no;
    int32_t status;
    const char *decided_by, *note;
    int64_t decided_at;
    uint8_t hash[32];
    const char *payload;
    size_t payload_length;
    int32_t payload_state;
} flagver_item;

/** "pending", "approved", "rejected"; NULL for a number that is none. Static. */
FLAGVER_API const char *flagver_item_status_name(int32_t status);

/** Visit the items of a version in byte order of their keys; as flagver_version_history(). */
FLAGVER_API int flagver_items_list(flagver_client *client, const char *phase, const char *subject,
                                   uint32_t no, bool (*visit)(void *data, const flagver_item *item),
                                   void *data, flagver_error *err);

/** Somebody's approval; borrowed. It counts while the version has this content. */
typedef struct flagver_vote {
    const char *actor, *note;
    int64_t time;
    uint8_t content_hash[32];
} flagver_vote;

/** Visit the approvals of a version, in the order in which they came. */
FLAGVER_API int flagver_votes_list(flagver_client *client, const char *phase, const char *subject,
                                   uint32_t no, bool (*visit)(void *data, const flagver_vote *vote),
                                   void *data, flagver_error *err);

/**
 * Visit who has written a version: who created it, unless nobody was named, then, in byte order,
 * those who have edited it as well. The names are borrowed. As flagver_version_history().
 */
FLAGVER_API int flagver_authors_list(flagver_client *client, const char *phase, const char *subject,
                                     uint32_t no, bool (*visit)(void *data, const char *actor),
                                     void *data, flagver_error *err);

/* ---- reading ---- */

/**
 * Read one version: the current one, number `no`, the one that was in force at
 * `time`, or the one with this id. No transaction and no actor is needed; what
 * an open transaction has written is not seen. No key is needed either: a payload may be
 * FLAGVER_PAYLOAD_SEALED.
 *
 * @return 0, or
 *   FLAGVER_ENOTFOUND  there is none; for current and as_of also when it is a tombstone
 *   FLAGVER_EINVAL     malformed arguments
 *   FLAGVER_ENOTSUP    the client has no store
 *   FLAGVER_EUNAVAILABLE, FLAGVER_EBUSY, FLAGVER_EFORKED, FLAGVER_EIO, FLAGVER_ECORRUPT,
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_version_current(flagver_client *client, const char *phase,
                                        const char *subject, flagver_version **ret_version,
                                        flagver_error *err);
FLAGVER_API int flagver_version_get(flagver_client *client, const char *phase, const char *subject,
                                    uint32_t no, flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_as_of(flagver_client *client, const char *phase,
                                      const char *subject, int64_t time,
                                      flagver_version **ret_version, flagver_error *err);
FLAGVER_API int flagver_version_by_id(flagver_client *client, const char *id,
                                      flagver_version **ret_version, flagver_error *err);

/**
 * What to list; set `size`, NULL is all defaults.
 *
 * prefix     only subjects that begin with it; NULL: all
 * after      only subjects after this one, of one phase; NULL: from the first
 * after_no   history: only numbers after this one (backwards: before); 0: all. list with `states`
 *            and `after`: also those of the subject `after`, so that a page may end anywhere
 * limit      at most so many; 0: all
 * backwards  non-zero: in the opposite order
 * as_of      list: what was in force at this time; 0: now
 * payload    non-zero: with payloads
 * all        list, non-zero: tombstones too
 * states     list: not what is in force, but every version in one of these states; the sum of
 *            FLAGVER_STATES(state), without as_of. history: only those. 0: all
 * author     list: only what this actor has created; NULL: all
 */
typedef struct flagver_list_options {
    size_t size;
    const char *prefix, *after;
    uint32_t after_no, limit;
    int32_t backwards, payload, all;
    uint32_t states;
    int64_t as_of;
    const char *author;
} flagver_list_options;

#define FLAGVER_STATES(state) (1u << (state))

/**
 * Visit the versions of one series by number, or the versions in force of a phase (NULL: of all)
 * by phase and subject in byte order. All come from one state of the store. `visit` gets
 * each version, borrowed until it returns; it ends the walk by returning false.
 * It may read, but must not write.
 *
 * @return 0 (history of a series that is not there visits nothing), or as above
 */
FLAGVER_API int flagver_version_history(flagver_client *client, const char *phase,
                                        const char *subject, const flagver_list_options *options,
                                        bool (*visit)(void *data, const flagver_version *version),
                                        void *data, flagver_error *err);
FLAGVER_API int flagver_version_list(flagver_client *client, const char *phase,
                                     const flagver_list_options *options,
                                     bool (*visit)(void *data, const flagver_version *version),
                                     void *data, flagver_error *err);

/** Forms of a difference: lines for people, or an RFC 7396 merge patch. */
#define FLAGVER_DIFF_LINES 1
#define FLAGVER_DIFF_MERGE_PATCH 2

/**
 * What changed from one version of a series to another. Number 0 and tombstones
 * are the empty object.
 *
 * @param ret_text  freed with flagver_string_free()
 * @return 0, or as above; FLAGVER_EKEY names the key without which a payload cannot be compared,
 *   and FLAGVER_ENOTFOUND is also what was shredded
 */
FLAGVER_API int flagver_version_diff(flagver_client *client, const char *phase, const char *subject,
                                     uint32_t from_no, uint32_t to_no, int form, char **ret_text,
                                     flagver_error *err);

/**
 * Visit what waits for this actor: versions that are SUBMITTED and that it may approve and has not.
 * As flagver_version_list(); `options.states` and as_of say nothing here.
 */
FLAGVER_API int flagver_version_due(flagver_client *client, const flagver_actor *actor,
                                    const char *phase, const flagver_list_options *options,
                                    bool (*visit)(void *data, const flagver_version *version),
                                    void *data, flagver_error *err);

/**
 * The policy that is in force for records of this phase and subject (may be NULL), with all defaults
 * filled in, as one JSON object; beside its members "policy" and "version" say which record
 * it is from, "" and 0 for a built-in one.
 *
 * @param ret_json  freed with flagver_string_free()
 */
FLAGVER_API int flagver_phase_policy(flagver_client *client, const char *phase, const char *subject,
                                     char **ret_json, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
