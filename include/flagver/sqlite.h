/**
 * libflagver: for applications that keep their own tables in the same SQLite file.
 * Include it after or instead of <sqlite3.h>; link -lsqlite3 yourself.
 */
#ifndef FLAGVER_SQLITE_H
#define FLAGVER_SQLITE_H

#include <sqlite3.h>

#include "flagver/txn.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Begin inside the transaction that is open on `db`: see flagver_txn_begin_on().
 * `db` has opened the file that the client opened as "sqlite:PATH". BEGIN
 * IMMEDIATE is wise: a transaction that has only read may find that it cannot
 * write any more (FLAGVER_EBUSY).
 *
 * An application that carries its own copy of SQLite must not use it on this file
 * at all while the library has it open: two copies in a process undo each other's
 * locks. This is found out here: FLAGVER_EINVAL.
 */
static inline int flagver_txn_begin_on_sqlite(flagver_client *client, sqlite3 *db,
                                              const flagver_actor *actor,
                                              const flagver_txn_options *options,
                                              flagver_txn **ret_txn, flagver_error *err)
{
    return flagver_txn_begin_on(client, db, sqlite3_sourceid(), sqlite3_libversion_number(), actor,
                                options, ret_txn, err);
}

/**
 * The connection of a transaction, for statements on tables of the application's in the same file:
 * see flagver_txn_connection(), which says what must not be done there.
 *
 *     r = flagver_txn_connection_sqlite(txn, &db, &err);
 *     if (r == 0 && sqlite3_exec(db, "UPDATE report SET …", NULL, NULL, NULL) != SQLITE_OK)
 *         r = FLAGVER_EIO;
 *
 * - The transaction holds the right to write. A statement that fails is undone by itself, and the
 *   transaction goes on (SQLite ends it where the disk is full or broken; our calls say so).
 * - Statements are finalized before the library is called again. What is left is reset at the end.
 * - Foreign keys are enforced, and the schema is not trusted (SQLITE_DBCONFIG_TRUSTED_SCHEMA).
 */
static inline int flagver_txn_connection_sqlite(flagver_txn *txn, sqlite3 **ret_db,
                                                flagver_error *err)
{
    void *connection;
    int r = flagver_txn_connection(txn, sqlite3_sourceid(), sqlite3_libversion_number(),
                                   &connection, err);

    if (r == 0)
        *ret_db = (sqlite3 *)connection;
    return r;
}

#ifdef __cplusplus
}
#endif

#endif
