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

#ifdef __cplusplus
}
#endif

#endif
