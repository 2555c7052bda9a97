/*
 * A transaction: what it locks, what it is going to write, and how it ends.
 *
 * Changes are collected and handed to the driver in batches: when something has
 * to be read, when many have come together, at the end. Leaves of the audit log
 * get their numbers last, when the log is locked for the commit; nothing else is
 * locked after it.
 *
 * Public operations are framed by fv_txn_enter() and fv_txn_leave(). An error of
 * class MISTAKE in between must have changed nothing; any other ends the
 * transaction.
 */
#ifndef FV_STORE_TRANSACTION_H
#define FV_STORE_TRANSACTION_H

#include "model/leaf.h"
#include "flagver/version.h"
#include "store/store.h"
#include "util/map.h"
#include "util/memory.h"

struct fv_policy_cache;

/* A series that the transaction holds. */
struct fv_series {
    flagver_series_row row;      /* as it will be */
    flagver_series_row *pending; /* its last change, while it is not handed over */
    struct fv_staged *versions;  /* those the transaction has touched */
    uint32_t number;             /* in the transaction */
};

struct fv_series_name {
    const char *phase, *subject;
};

/* A version that the transaction has read or made. */
struct fv_staged {
    flagver_version_row row; /* as it will be */
    struct fv_staged *next;
    bool no_items, no_votes, no_contributors; /* known, as it was made in this transaction */
};

struct fv_txn_source {
    struct fv_store *store;
    const flagver_allocator *memory;
    const char *tenant;
    int64_t (*clock)(void *data); /* µs; NULL: the system's */
    void *clock_data;
    int (*authorize)(void *data, const flagver_actor *actor, const char *action, const char *phase,
                     const char *subject); /* as in flagver_options */
    void *authorize_data;
    struct fv_policy_cache *policies; /* the engine's */
    void (*committed)(void *data);    /* told after a commit; or NULL */
    void *data;
};

/* Begin; `connection` NULL: a transaction of our own. As flagver_txn_begin(_on)(). */
int fv_txn_begin(const struct fv_txn_source *source, const flagver_actor *actor,
                 const flagver_txn_options *options, const flagver_adoption *adoption,
                 flagver_txn **ret_txn, flagver_error *err);
int fv_txn_commit(flagver_txn *txn, flagver_error *err);
void fv_txn_free(flagver_txn *txn);

/* As flagver_txn_run(), with how to begin. */
int fv_txn_run(const struct fv_txn_source *source, const flagver_actor *actor,
               const flagver_txn_options *options,
               int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
               flagver_error *err);

/*
 * The same with as many tries as begin before `until_ms` (fv_monotonic_ms), at least one; 0: as ever. Where
 * one may have taken place it is as ever, too, but for callers who can ask again with an idempotency key.
 */
int fv_txn_run_until(const struct fv_txn_source *source, const flagver_actor *actor,
                     const flagver_txn_options *options, int64_t until_ms,
                     int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                     flagver_error *err);

/* A copy of an actor that can be one; its texts stay where they are. */
int fv_actor_check(const flagver_actor *actor, flagver_actor *ret_actor, flagver_error *err);

/*
 * Roll back if it is over its time and nobody is inside a call on it. True: it was done, and
 * the gate is to be passed on by the caller, who holds it.
 */
bool fv_txn_expire(flagver_txn *txn);

/* ---- for operations ---- */

int fv_txn_enter(flagver_txn *txn, flagver_error *err);
/* Returns `r`. */
int fv_txn_leave(flagver_txn *txn, int r, const flagver_error *err);

/*
 * Inside of an operation, around a function of the host's that may call operations of the transaction
 * itself. After an error of those there is nothing to go on with: resume repeats it.
 */
void fv_txn_pause(flagver_txn *txn);
int fv_txn_resume(flagver_txn *txn, flagver_error *err);

/*
 * An operation under an idempotency key: `words` say what it is asked to do. 1: it was
 * done before, *ret_no is what came of it; 0: do it, then fv_txn_record() its result.
 */
struct fv_words {
    const void *data;
    size_t length;
};
int fv_txn_replay(flagver_txn *txn, const struct fv_words *words, size_t count, uint32_t *ret_no,
                  flagver_error *err);
void fv_txn_record(flagver_txn *txn, uint32_t no);
void fv_txn_record_refusal(flagver_txn *txn, int code); /* nothing after an error of the store */

/*
 * The same of an operation that comes to a text of up to 255 bytes, and in which a function of the host's may make
 * operations: those are part of it. Where it was done before, *ret_text is what came of it, and that function is
 * not to be called. Else it is recorded with the text, or with its error.
 */
struct fv_deed {
    uint8_t asked[32];
    size_t begin; /* of what is recorded of it */
};
int fv_txn_replay_deed(flagver_txn *txn, const struct fv_words *words, size_t count,
                       struct fv_deed *ret_deed, const char **ret_text, flagver_error *err);
void fv_txn_record_deed(flagver_txn *txn, const struct fv_deed *deed, int r, const char *text);

const char *fv_txn_actor(const flagver_txn *txn);
bool fv_txn_is_enlisted(const flagver_txn *txn);
const flagver_actor *fv_txn_who(const flagver_txn *txn);
struct fv_arena *fv_txn_arena(flagver_txn *txn); /* lives as long as the transaction */
const struct fv_txn_source *fv_txn_source(const flagver_txn *txn);

/* When its first operation began, in µs. */
int64_t fv_txn_began(const flagver_txn *txn);

/* Was it committed by an earlier try? Then all that was recorded in it counts as done again. */
bool fv_txn_took_place(flagver_txn *txn);

/* Which try this is, from 1; and the one that it will have been: the last whose outcome nobody knew. 0: none. */
int fv_txn_try(const flagver_txn *txn);
int fv_txn_try_in_doubt(const flagver_txn *txn);

/* Is another try to follow, for certain, when others turn out to have been faster? */
bool fv_txn_is_first_try(const flagver_txn *txn);

/* The series, locked; a new one when it is not there and `create`, else FLAGVER_ENOTFOUND. */
int fv_txn_series(flagver_txn *txn, const char *phase, const char *subject, bool create,
                  struct fv_series **ret_series, flagver_error *err);

/* Lock these at once, whether they are there or not; each may be named several times. */
int fv_txn_lock(flagver_txn *txn, const struct fv_series_name *names, size_t count,
                flagver_error *err);

/* A version of it, perhaps with its payload; FLAGVER_ENOTFOUND. */
int fv_txn_version(flagver_txn *txn, struct fv_series *series, uint32_t no, bool payload,
                   struct fv_staged **ret_version, flagver_error *err);

/* The next moment of this series: later than anything in it. */
int64_t fv_txn_time(const flagver_txn *txn, const struct fv_series *series);

/* What the engine keeps with the transaction; released with it, or when it is replaced. */
void fv_txn_attach(flagver_txn *txn, void *data, void (*release)(void *data));
void *fv_txn_attached(const flagver_txn *txn);

/* A keyed row by which others notice that something has changed. */
struct fv_mark {
    int64_t rev, time; /* of the row; 0: there is none */
    bool raised;       /* by this transaction */
};

/*
 * The mark as it was when this was asked first; what is staged is not seen. The transaction
 * rests on it from now on: when another one raises it before our commit, that is FLAGVER_EBUSY.
 */
int fv_txn_rest_on(flagver_txn *txn, const char *space, const char *key, struct fv_mark *ret_mark,
                   flagver_error *err);

/* Raise a mark; once in a transaction is enough. */
int fv_txn_raise(flagver_txn *txn, const char *space, const char *key, flagver_error *err);

/*
 * Keyed rows. What is read lives as long as the transaction, and has its changes; rev 0: there is
 * none.
 */
int fv_txn_keyed_get(flagver_txn *txn, const char *space, flagver_bytes key,
                     flagver_keyed_row *ret_row, flagver_error *err);

/*
 * The rows of many keys, in one scan: keys rise, begin with `prefix`, and come after `after`, which
 * begins with it, too.
 */
struct fv_keyed_range {
    const char *space;
    flagver_bytes prefix, after;
};

int fv_txn_keyed_get_many(flagver_txn *txn, const struct fv_keyed_range *range,
                          const flagver_bytes *keys, size_t count, flagver_keyed_row *ret_rows,
                          flagver_error *err);

/*
 * Write or delete a row that is in the store as `row` says: of this rev, 0: not there. When it is not
 * any more, that is FLAGVER_EBUSY, now or at the latest at the commit. Copied; put sets rev and time.
 */
int fv_txn_keyed_put(flagver_txn *txn, flagver_keyed_row *row, flagver_bytes value,
                     flagver_error *err);
int fv_txn_keyed_delete(flagver_txn *txn, const flagver_keyed_row *row, flagver_error *err);

/*
 * Read a row as it is committed now, and keep others from holding it until the transaction ends; with
 * `shared` only those who do not hold it shared. `number` as in flagver/driver.h. FLAGVER_ENOTSUP:
 * this driver cannot.
 */
int fv_txn_hold(flagver_txn *txn, const char *space, flagver_bytes key, int64_t number, bool shared,
                flagver_keyed_row *ret_row, flagver_error *err);

/*
 * FLAGVER_NEST_BEGIN: what follows can be taken back alone, by FLAGVER_NEST_UNDO, also after an
 * error; FLAGVER_NEST_KEEP: it stays. Inside of it only keyed rows are read and written (and the
 * application's own tables): whatever is about records or the log is FLAGVER_EINVAL. Rows that are
 * held inside of it are not held any more when it is undone. No scan is open at any of the three.
 * FLAGVER_ENOTSUP: this driver cannot.
 */
int fv_txn_nest(flagver_txn *txn, int what, flagver_error *err);

/*
 * The database library's handle, with everything handed over that was collected; as
 * flagver_txn_connection(), for which `library` and `version` tell the caller's copy (NULL: any).
 */
int fv_txn_connection(flagver_txn *txn, const void *library, int32_t version, void **ret_connection,
                      flagver_error *err);

/* A fresh UUIDv7. */
int fv_txn_id(flagver_txn *txn, flagver_id *ret_id, flagver_error *err);

/*
 * Add a version with number last + 1: fills series, id, no, rev; `payload` is stored with it, sealed
 * where there is a payload_salt (fv_txn_salt). What the row points to must live in the arena.
 */
int fv_txn_add_version(flagver_txn *txn, struct fv_series *series, const flagver_version_row *row,
                       struct fv_staged **ret_version, flagver_error *err);

/* A payload by itself, of an item; one with a salt (fv_txn_salt) is sealed on its way. */
int fv_txn_add_payload(flagver_txn *txn, flagver_bytes body, flagver_bytes salt, flagver_id *ret_id,
                       flagver_error *err);

/* Nothing refers to this payload any more, or is to: it is gone for good. */
int fv_txn_shred_payload(flagver_txn *txn, const flagver_id *id, flagver_error *err);

/* The version's row was changed; `new_payload`: so was its payload. */
int fv_txn_change_version(flagver_txn *txn, struct fv_staged *version, bool new_payload,
                          flagver_error *err);

/* Which version is current has changed, or only something about a version, at this time. */
int fv_txn_change_series(flagver_txn *txn, struct fv_series *series, uint32_t current_no,
                         int64_t time, flagver_error *err);

/* Stage a leaf: tenant, number, actor and hashes of texts are filled in at commit. */
int fv_txn_leaf(flagver_txn *txn, const struct fv_audit_leaf *leaf, flagver_error *err);

/* Any other change, for imports; what it points to must live until the commit. */
int fv_txn_change(flagver_txn *txn, const flagver_change *change, flagver_error *err);

/* Hands everything over that was collected; then scans see it. */
int fv_txn_flush(flagver_txn *txn, flagver_error *err);
int fv_txn_scan(flagver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                flagver_error *err);
int fv_txn_next(flagver_txn *txn, flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err);
void fv_txn_end_scan(flagver_txn *txn, flagver_cursor *cursor);

/* For digests of many parts: between fv_digest_start() and fv_digest_end(). NULL: memory is short. */
struct fv_digest *fv_txn_digester(flagver_txn *txn);

/* SHA-256 of parts in a row. */
int fv_txn_digest(flagver_txn *txn, const struct fv_words *parts, size_t count, uint8_t out[32],
                  flagver_error *err);

#endif
