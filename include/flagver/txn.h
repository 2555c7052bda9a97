/**
 * libflagver: transactions. Every write to a store happens in one, by an actor.
 *
 *     flagver_actor actor = { .size = sizeof actor, .id = "alice" };
 *     flagver_txn *txn;
 *
 *     r = flagver_txn_begin(client, &actor, NULL, &txn, &err);
 *     if (r == 0)
 *         r = flagver_flag_ramp(txn, "report_setup", 25, NULL, NULL, &err);
 *     if (r == 0)
 *         r = flagver_txn_commit(txn, &err);
 *     flagver_txn_free(txn);
 *
 * All of it happens or none of it. An operation that is refused (an error of
 * class MISTAKE) changes nothing and the transaction goes on; after any other
 * error it has been rolled back and can only be freed, and its other calls
 * repeat that error.
 *
 * Threads: one at a time, not always the same.
 */
#ifndef FLAGVER_TXN_H
#define FLAGVER_TXN_H

#include "flagver/base.h"
#include "flagver/client.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flagver_txn flagver_txn;

/** The longest actor, note and idempotency key, in bytes. */
#define FLAGVER_ACTOR_LIMIT 255
#define FLAGVER_NOTE_LIMIT 4096
#define FLAGVER_IDEMPOTENCY_KEY_LIMIT 255

/**
 * Who acts. The library takes the host's word for it: authenticate before.
 * Set `size`; everything is copied.
 *
 * id     1 to 255 bytes of UTF-8 without control characters
 * roles  what the actor may call itself, role_count texts; NULL: none
 */
typedef struct flagver_actor {
    size_t size;
    const char *id;
    const char *const *roles;
    size_t role_count;
} flagver_actor;

/**
 * Options of a transaction; set `size`, zero is the default, NULL all defaults.
 *
 * idempotency_key  makes running the transaction again harmless, for 7 days: the same
 *                  operations in the same order under the same key return what they
 *                  returned then and change nothing; others are FLAGVER_EIDEM. 1 to 255
 *                  bytes; NULL: none.
 * timeout_ms       how long the transaction may stay open (30,000); after that it is rolled back
 *                  and its calls return FLAGVER_ETIMEDOUT. -1: as long as it likes.
 * reserved         0
 */
typedef struct flagver_txn_options {
    size_t size;
    const char *idempotency_key;
    int32_t timeout_ms;
    int32_t reserved;
} flagver_txn_options;

/**
 * Begin a transaction. Nothing is locked before its first operation; from then
 * on other writers may have to wait for its end, so do slow things before.
 *
 * @return 0, or
 *   FLAGVER_EINVAL   no actor, a malformed actor or key
 *   FLAGVER_ENOTSUP  the client has no store
 *   FLAGVER_EFORKED  the process forked since: flagver_client_reopen()
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_txn_begin(flagver_client *client, const flagver_actor *actor,
                                  const flagver_txn_options *options, flagver_txn **ret_txn,
                                  flagver_error *err);

/**
 * Commit. The transaction has ended in any case and is to be freed.
 *
 * @return 0, or
 *   FLAGVER_EUNKNOWN      it may or may not have taken place, and the store does not
 *                         answer. Run it again with the same idempotency key.
 *   FLAGVER_EIDEM         fewer operations than were recorded under the key
 *   FLAGVER_EBUSY         others were faster; nothing happened, run it again
 *   FLAGVER_ETIMEDOUT     it was open for too long; nothing happened
 *   FLAGVER_EUNAVAILABLE, FLAGVER_EIO, FLAGVER_ENOMEM  nothing happened
 */
FLAGVER_API int flagver_txn_commit(flagver_txn *txn, flagver_error *err);

/** Free a transaction; one that is not committed is rolled back. NULL is fine. */
FLAGVER_API void flagver_txn_free(flagver_txn *txn);

/**
 * Lock several series of one phase, whether they exist or not, and read what the store says of
 * each: in one round trip where the operations that follow would take one each.
 *
 * Series are locked in byte order of phase and subject, whatever order they are named in, so that
 * two transactions cannot wait for each other. What sorts before anything that the transaction has
 * locked already is only tried: so lock what many others want too first, and in one call. A
 * series that is named twice or locked already does no harm. An error of this call that is not
 * FLAGVER_EINVAL ends the transaction.
 *
 * @param subjects  `count` keys of flags or segments, or subjects of records
 * @return 0, or
 *   FLAGVER_EINVAL  a malformed phase or subject; nothing was locked
 *   FLAGVER_EBUSY   another transaction has one of them: run it again
 *   any storage error
 */
FLAGVER_API int flagver_txn_lock(flagver_txn *txn, const char *phase, const char *const *subjects,
                                 size_t count, flagver_error *err);

/**
 * Run `run` in a transaction and commit it; both again, up to 10 times in all with
 * growing pauses of 1 to 64 ms, after errors of class RETRY. Where others had locked
 * what it asked for, that is all locked first, in order, before `run` is called again: so it
 * waits for its turn. An unknown outcome is found out: nothing is applied twice.
 *
 * @param run  makes its operations and returns 0, or the error that ends it all.
 *             It may be called several times and must not end the transaction.
 * @return 0, what `run` returned, or as flagver_txn_begin() and flagver_txn_commit()
 */
FLAGVER_API int flagver_txn_run(flagver_client *client, const flagver_actor *actor,
                                const flagver_txn_options *options,
                                int (*run)(void *data, flagver_txn *txn, flagver_error *err),
                                void *data, flagver_error *err);

/**
 * Enlist: begin inside the application's own open transaction, so that its rows and
 * ours are committed together or not at all. Use the typed function of the
 * database's header (flagver/sqlite.h, flagver/postgres.h), which calls this one.
 *
 * - Our writes come last: what they lock stays locked until the application commits.
 * - flagver_txn_commit() hands our changes to the application's transaction; the
 *   application commits. If it rolls back, they are gone.
 * - One at a time in an application's transaction.
 * - Settings of the connection are not changed.
 * - Nothing is run again: errors of class RETRY go to the caller, who rolls back
 *   and starts over.
 *
 * @param connection  the database library's handle
 * @param library     tells its copy of that library from ours
 * @return as flagver_txn_begin(), or
 *   FLAGVER_EINVAL   no open transaction, another copy of the database library, or
 *                    a database that is not this client's store
 *   FLAGVER_ENOTSUP  this driver cannot
 */
FLAGVER_API int flagver_txn_begin_on(flagver_client *client, void *connection, const void *library,
                                     int32_t library_version, const flagver_actor *actor,
                                     const flagver_txn_options *options, flagver_txn **ret_txn,
                                     flagver_error *err);

/**
 * The database connection of a transaction: for statements of the application's own in it, so that
 * its rows and ours are committed together or not at all. Use the typed function of the
 * database's header (flagver/sqlite.h, flagver/postgres.h), which calls this one.
 *
 * The connection is the library's (of an enlisted transaction: the application's own), and lent
 * until the transaction ends; then it may serve another one at once. What our operations have
 * changed so far is visible there, and they see what is done there. The application must not
 *
 * - end the transaction or go back to a savepoint that it has not set itself
 * - leave anything that outlasts the transaction: settings, prepared statements, temporary tables,
 *   functions, handlers of its own
 * - change rows of the library's
 * - leave results unread or a statement unfinished when it calls the library again; nor use
 *   the connection while a call of the library's is under way
 *
 * A statement of its own that fails may have ended the transaction (PostgreSQL): then
 * our calls return FLAGVER_EINVAL, and it can only be freed. Time that runs out is noticed by our
 * next call; until then others wait. Under an idempotency key that was used before, nothing
 * that is done there stays: it took place the first time.
 *
 * @param library  tells the caller's copy of the database library from ours; NULL: not compared
 * @return 0, or
 *   FLAGVER_EINVAL   another copy of the database library
 *   FLAGVER_ENOTSUP  this driver has no such thing
 *   any storage error
 */
FLAGVER_API int flagver_txn_connection(flagver_txn *txn, const void *library,
                                       int32_t library_version, void **ret_connection,
                                       flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
