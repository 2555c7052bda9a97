/**
 * libflagver: for applications that keep their own tables in the same PostgreSQL
 * database. Include it after or instead of <libpq-fe.h>; link -lpq yourself.
 */
#ifndef FLAGVER_POSTGRES_H
#define FLAGVER_POSTGRES_H

#include <libpq-fe.h>

#include "flagver/txn.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Begin inside the transaction that is open on `connection`: see flagver_txn_begin_on().
 *
 *     PQclear(PQexec(connection, "BEGIN"));
 *     PQclear(PQexec(connection, "UPDATE report SET title = …"));
 *     r = flagver_txn_begin_on_postgres(client, connection, &actor, NULL, &txn, &err);
 *     if (r == 0)
 *         r = flagver_version_record(txn, "report", "7", json, length, NULL, NULL, &err);
 *     if (r == 0)
 *         r = flagver_txn_commit(txn, &err);
 *     flagver_txn_free(txn);
 *     PQclear(PQexec(connection, r == 0 ? "COMMIT" : "ROLLBACK"));
 *
 * `connection` is to the database that the client opened as "postgresql:…", by whatever
 * way, in blocking mode and outside of pipelines, with the client_encoding UTF8. Its role
 * has the rights that SELECT flagver.admit('ROLE') gives; one that bypasses row-level
 * security may only work for the tenant "default".
 *
 * - Each operation is in a savepoint. One that is refused leaves the application's transaction
 *   as it was, and flagver_txn_free() without a commit goes back to where ours began: what
 *   the application wrote before stays. (After a failed statement of its own the
 *   application's transaction remains failed.)
 * - Any isolation level will do. From REPEATABLE READ on, who comes second gets FLAGVER_EBUSY:
 *   roll back, and start over.
 * - Locks are waited for as long as the connection's lock_timeout says, which PostgreSQL does
 *   not limit by default. No setting is changed; flagver.tenant is put back at the end.
 * - The application's COMMIT decides. Whether it took place when its answer is lost, is for the
 *   application to find out, for instance by its own row.
 * - Other processes see the change when they poll the next time (0.5 s); they are not
 *   notified, because the application's commit would have to wait for all others that notify.
 * - Behind a pooler this works as the application's transaction does.
 *
 * The connection must come from the copy of libpq that this library uses, or its calls would
 * take one struct for another. A program that carries a copy of its own gets FLAGVER_EINVAL.
 */
static inline int flagver_txn_begin_on_postgres(flagver_client *client, PGconn *connection,
                                                const flagver_actor *actor,
                                                const flagver_txn_options *options,
                                                flagver_txn **ret_txn, flagver_error *err)
{
    /* A text inside of the library tells one copy of it from another. */
    return flagver_txn_begin_on(client, connection, PQresStatus(PGRES_COMMAND_OK), PQlibVersion(),
                                actor, options, ret_txn, err);
}

/**
 * The connection of a transaction, for statements on tables of the application's in the same
 * database: see flagver_txn_connection(), which says what must not be done there.
 *
 *     r = flagver_txn_connection_postgres(txn, &connection, &err);
 *     if (r == 0) {
 *         result = PQexec(connection, "UPDATE report SET title = …");
 *         if (PQresultStatus(result) != PGRES_COMMAND_OK)
 *             r = FLAGVER_EIO;
 *         PQclear(result);
 *     }
 *
 * - The transaction is READ COMMITTED. A statement that fails ends it, unless it is in a savepoint
 *   of the application's, which it goes back to.
 * - The role is that of the client's URI; it needs rights to the application's tables.
 * - Statements are planned with the settings that the role has there: the planner's settings that
 *   the library has for its own statements hold no more. Its limits stay: locks are waited
 *   for as long as the client waits for others, and flagver_statement_ms and flagver_idle_ms
 *   of the URI hold for the application's statements, too. So does the setting flagver.tenant.
 * - The connection stays in blocking mode and outside of pipelines between calls of the library.
 * - Behind a pooler in transaction mode it is good until the transaction ends, like ours.
 */
static inline int flagver_txn_connection_postgres(flagver_txn *txn, PGconn **ret_connection,
                                                  flagver_error *err)
{
    void *connection;
    int r = flagver_txn_connection(txn, PQresStatus(PGRES_COMMAND_OK), PQlibVersion(), &connection,
                                   err);

    if (r == 0)
        *ret_connection = (PGconn *)connection;
    return r;
}

#ifdef __cplusplus
}
#endif

#endif
