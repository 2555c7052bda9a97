/**
 * libflagver: looking after a store: its schema, its health, copies of it.
 *
 * URIs are those of flagver_open() that name a store: "sqlite:PATH", "memory:",
 * "NAME:PATH" of a registered driver. docs/store.md tells what is where.
 */
#ifndef FLAGVER_STORE_H
#define FLAGVER_STORE_H

#include "flagver/base.h"
#include "flagver/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A URI as people and logs may see it: "***" in place of the user's password and of the value of
 * every parameter whose name has "password" in it. The library shows URIs like this in messages
 * and in JSON, flagver_client_health() included. What is not a URI comes back as it is.
 *
 * @param ret_text  to be freed with flagver_string_free()
 * @return 0, FLAGVER_EINVAL or FLAGVER_ENOMEM
 *
 * Threads: any.
 */
FLAGVER_API int flagver_uri_show(const char *uri, char **ret_text, flagver_error *err);

/* ---- schema ---- */

/**
 * The version of the schema in a store; 0: none. `*ret_wanted` (may be NULL) is the one that this
 * library makes. Nothing is created.
 *
 * @return 0, or
 *   FLAGVER_ENOTFOUND     there is no such store
 *   FLAGVER_ENOTSUP       no such kind of URI
 *   FLAGVER_EUNAVAILABLE, FLAGVER_EBUSY, FLAGVER_ECORRUPT, FLAGVER_EIO, FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_schema_version(const char *uri, uint32_t *ret_version, uint32_t *ret_wanted,
                                       flagver_error *err);

/** Create or upgrade the schema. Doing it twice, or in several processes at once, is harmless. */
FLAGVER_API int flagver_schema_up(const char *uri, flagver_error *err);

/**
 * Take the schema down to version `to`, 0: remove it with all that is in it. No other
 * process should be using the store.
 *
 * @param backup  a file that must not exist yet: everything is exported into it, and the
 *                export is read back and checked, before anything is taken down. NULL
 *                with `no_backup` true: no backup is made. Nor is one when the schema has
 *                version `to` already.
 * @return 0, or
 *   FLAGVER_EINVAL   neither a backup nor `no_backup`, or no such version
 *   FLAGVER_EEXIST   the backup file is there already
 *   FLAGVER_ECORRUPT the store contradicts itself, so that the backup could not be brought
 *                    back; the message names the place in it
 *   as flagver_schema_version(); the store is then as it was
 */
FLAGVER_API int flagver_schema_down(const char *uri, uint32_t to, const char *backup,
                                    bool no_backup, flagver_error *err);

/**
 * Compare a store's schema with what it should be: every table, column, index,
 * constraint and trigger; and look for damage. `visit` (may be NULL) gets one line for each
 * thing that was looked at, `fine` or not.
 *
 * @return the number of things that are not fine, or as flagver_schema_version()
 */
FLAGVER_API int flagver_schema_verify(const char *uri,
                                      void (*visit)(void *data, bool fine, const char *line),
                                      void *data, flagver_error *err);

/* ---- copies ---- */

/**
 * Write everything in the store, of all tenants or (`tenant` not NULL) of one, as JSON
 * lines that end in a checksum. The same contents give the same bytes. Each tenant is
 * exported as it is at one moment, also while others write. A file that is there is
 * replaced at the end, all at once; after an error it is as it was.
 *
 * @return 0, or
 *   FLAGVER_EINVAL     no name of a tenant, or the file is the store itself
 *   FLAGVER_ENOTFOUND  no such store, or no such tenant in it
 *   FLAGVER_EDENIED    all tenants were asked for, and who asks may not see which there are: on
 *                      PostgreSQL whoever does not own the schema
 *   FLAGVER_EIO        the file cannot be written
 *   as flagver_schema_version()
 */
FLAGVER_API int flagver_store_export(const char *uri, const char *tenant, const char *path,
                                     flagver_error *err);

/**
 * Bring an export into a store: numbers, times, authors, ids and the audit log
 * are kept. The tenants must be empty there. The whole file is checked first: one that is
 * damaged, incomplete or contradicts itself changes nothing. Then each tenant comes in
 * in one transaction.
 *
 * @return 0, or
 *   FLAGVER_EPARSE   the file is malformed, or its checksum is wrong
 *   FLAGVER_EEXIST   a tenant has records already, or somebody wrote to it meanwhile
 *   FLAGVER_EIO      the file cannot be read
 *   FLAGVER_EUNKNOWN it is not known whether the tenant that the message names came in
 *   as flagver_open(); the message says so when some tenants came in before
 */
FLAGVER_API int flagver_store_import(const char *uri, const char *path, flagver_error *err);

/** Where a copy from store to store is. */
#define FLAGVER_COPY_BEHIND 1    /**< leaves were carried over, and there are more */
#define FLAGVER_COPY_EQUAL 2     /**< everything is there: the logs have one root */
#define FLAGVER_COPY_FOLLOWING 3 /**< nothing was behind a moment ago */
#define FLAGVER_COPY_WAITING 4   /**< one of the stores cannot be used; it is tried again */

/**
 * What a copy tells. More members may follow in later versions of the library.
 *
 * tenant   whose records; "" where it is about none
 * copied   leaves in the target
 * leaves   in the source; what is between the two is behind
 * root     EQUAL: of both logs, with so many leaves
 * problem  WAITING: why
 */
typedef struct flagver_copy_state {
    const char *tenant;
    int32_t stage;
    int32_t reserved;
    uint64_t copied, leaves;
    uint8_t root[32];
    const flagver_error *problem;
} flagver_copy_state;

/**
 * Options of a copy; set `size`, NULL is all defaults.
 *
 * tenant  only this one; NULL: all
 * follow  non-zero: keep up with the source until `tell` says that it is enough
 * leaves  in one transaction, about; 0: 1000
 * tell    told after each transaction, and about ten times a second while following: false
 *         ends it. Returns soon; may be NULL without `follow`.
 */
typedef struct flagver_copy_options {
    size_t size;
    const char *tenant;
    int32_t follow;
    uint32_t leaves;
    bool (*tell)(void *data, const flagver_copy_state *state);
    void *data;
} flagver_copy_options;

/**
 * Copy everything from one store into another, of whatever kinds they are: numbers, times,
 * authors, ids, the audit log and with it its root. Others may go on writing to the source.
 *
 * The log is carried over from its beginning, some leaves with their rows at a time, each
 * time in one transaction. So the target can be read meanwhile, as the source was a while ago; and
 * a copy that was cut off at any moment goes on where it was when it is begun again. At the end
 * both are held against each other, row by row and root by root.
 *
 * With `follow` it then keeps up with what comes, until `tell` returns false: what has come by
 * then is carried over, and size and root of both logs are the same (EQUAL). To change over
 * without a loss, stop those who write to the source, end the copy, and begin to write to the target.
 *
 * Nobody else writes to these tenants of the target before that: whoever does is found out
 * with the next transaction, and the copy ends.
 *
 * What applications are told again under their idempotency keys comes along. Data keys do as
 * well, sealed as they are: whoever reads what is encrypted needs the same FLAGVER_KEYS.
 *
 * @param from, to  the target's schema must be there, unless its driver makes it by itself
 * @return 0, or
 *   1                   `tell` has ended it before everything was there
 *   FLAGVER_EEXIST      the target's tenant has records of its own
 *   FLAGVER_ECONFLICT   somebody else has written to the target; the message names the leaf
 *   FLAGVER_ECORRUPT    the source contradicts itself; the message names the leaf or record
 *   FLAGVER_ENOTFOUND   no such source, or no such tenant in it
 *   FLAGVER_EINVAL      `follow` without `tell`, one store as both, no name of a tenant
 *   an error of either store; what was carried over stays
 *
 * Threads: any. `tell` is called on the caller's.
 */
FLAGVER_API int flagver_store_copy(const char *from, const char *to,
                                   const flagver_copy_options *options, flagver_error *err);

/* ---- doctor ---- */

/**
 * Look a store over before a deployment: can it be opened and written, is its schema whole, is
 * the clock plausible, is there room on the disk, are its flags well-formed, and are the records
 * of every tenant what its audit log says (flagver_audit_verify(), with the keys of FLAGVER_KEYS).
 * `visit` gets one line for each, which says what to do where something is wrong.
 *
 * What the database tells of itself is among them: of PostgreSQL the server's version, this role's
 * rights, row-level security, settings, clocks, room (docs/postgres.md).
 *
 * @return the number of findings that are not OK, or FLAGVER_EINVAL, FLAGVER_ENOMEM. A store
 *   that cannot be used is a finding.
 */
FLAGVER_API int flagver_store_doctor(const char *uri,
                                     void (*visit)(void *data, int finding, const char *line),
                                     void *data, flagver_error *err);

/**
 * A check of the host's own, such as "no duplicates" or "nobody is at work".
 *
 * name  what the line begins with; 1 to 128 bytes of UTF-8 without control characters
 * run   looks, without any client, writes what it has found into `words` (`size` bytes with
 *       the NUL; the first line counts), and returns FLAGVER_FINDING_…. Anything else
 *       that it returns is an error, and is told. What it writes should say what to do.
 * data  handed to it
 */
typedef struct flagver_doctor_check {
    const char *name;
    int (*run)(void *data, char *words, size_t size);
    void *data;
} flagver_doctor_check;

/**
 * Options of flagver_store_doctor_with(); set `size`, zero is the default, NULL all defaults.
 *
 * checks  check_count of them; they run last, in this order, also when the store cannot be opened
 * tenant  whose records are looked into where the database tells nobody but the schema's owner
 *         whose there are; NULL: "default"
 */
typedef struct flagver_doctor_options {
    size_t size;
    const flagver_doctor_check *checks;
    size_t check_count;
    const char *tenant;
} flagver_doctor_options;

/** flagver_store_doctor() with options. FLAGVER_EINVAL also for a malformed check or tenant. */
FLAGVER_API int flagver_store_doctor_with(const char *uri, const flagver_doctor_options *options,
                                          void (*visit)(void *data, int finding, const char *line),
                                          void *data, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
