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
 *   submit       hand a draft in; where no approval is asked for, as for flags, it is
 *                in force at once and takes the place of the one before (SUPERSEDED)
 *   withdraw     give a draft up
 *   put          create and submit
 *   revert       put what an earlier version said
 *   remove       put a tombstone: reads give FLAGVER_ENOTFOUND, history and as-of go
 *                on, and putting again continues the numbers
 *
 * Phases are policies; this version of the library has the two named above, and
 * any other is FLAGVER_ENOTFOUND.
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
 * content_hash     SHA-256 of the payload
 * payload          canonical JSON, NUL-terminated; NULL when it was not asked for
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
} flagver_version;

/** Free a version. NULL is fine. */
FLAGVER_API void flagver_version_free(flagver_version *version);

/** "draft" for FLAGVER_STATE_DRAFT and so on; NULL for a number that is none. Static. */
FLAGVER_API const char *flagver_state_name(int state);

/**
 * Options of a write; set `size`, NULL is all defaults.
 *
 * note       why, up to 4096 bytes of UTF-8; kept with the version. NULL: nothing said.
 * expect_no  the number that must be current, or FLAGVER_EXPECT_NONE (nothing may be in force);
 *            0: whatever is. When it is not so: FLAGVER_ECONFLICT.
 * reserved   0
 */
typedef struct flagver_write_options {
    size_t size;
    const char *note;
    uint32_t expect_no;
    uint32_t reserved;
} flagver_write_options;

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
 *   FLAGVER_ECONFLICT  expect_no is not the current number
 *   FLAGVER_EPHASE     this phase does not know the operation
 *   FLAGVER_ESTATE     this version's state does not allow it
 *   FLAGVER_EFROZEN    the version was submitted and cannot be edited
 *   FLAGVER_ESTALE     submit: the current version is not the one the draft was made from
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

/**
 * Read one version: the current one, number `no`, the one that was in force at
 * `time`, or the one with this id. No transaction and no actor is needed; what
 * an open transaction has written is not seen.
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
 * after      only subjects after this one; NULL: from the first
 * after_no   history: only numbers after this one (backwards: before); 0: all
 * limit      at most so many; 0: all
 * backwards  non-zero: in the opposite order
 * as_of      list: what was in force at this time; 0: now
 * payload    non-zero: with payloads
 * all        list, non-zero: tombstones too
 */
typedef struct flagver_list_options {
    size_t size;
    const char *prefix, *after;
    uint32_t after_no, limit;
    int32_t backwards, payload, all;
    int32_t reserved;
    int64_t as_of;
} flagver_list_options;

/**
 * Visit the versions of one series by number, or the versions in force of a phase
 * by subject in byte order. All come from one state of the store. `visit` gets
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
 */
FLAGVER_API int flagver_version_diff(flagver_client *client, const char *phase, const char *subject,
                                     uint32_t from_no, uint32_t to_no, int form, char **ret_text,
                                     flagver_error *err);

/**
 * One entry of the audit log: one transition of one version.
 *
 * no          its number in the tenant's log, from 0
 * action      "create", "edit", "submit", …
 * from, to    FLAGVER_STATE_…; from 0: it was not there
 * supersedes  the number whose place it took, 0: none
 * bits        FLAGVER_VERSION_…
 */
typedef struct flagver_audit_entry {
    uint64_t no;
    int64_t time;
    const char *actor, *action, *phase, *subject;
    uint32_t version_no, supersedes;
    int32_t from, to;
    uint32_t bits;
    uint8_t content_hash[32], leaf_hash[32];
} flagver_audit_entry;

/**
 * The change feed: visit the audit log of the client's tenant from leaf `from` on,
 * in order; it is the order in which things happened. `*ret_next` (may be NULL) is
 * what to ask for next time.
 */
FLAGVER_API int flagver_audit_log(flagver_client *client, uint64_t from, uint32_t limit,
                                  bool (*visit)(void *data, const flagver_audit_entry *entry),
                                  void *data, uint64_t *ret_next, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
