#include <inttypes.h>
#include <stdio.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"

#define NAME_SIZE 120

static int check_writes(const flagver_driver_txn *txn, flagver_error *err)
{
    return txn->mode == FLAGVER_MODE_WRITE
               ? 0
               : fv_fail(err, FLAGVER_EINVAL, "the transaction only reads");
}

/* ---- rows that are held ---- */

/*
 * The row's number is locked, not the row, which may not be there yet; who waits for it alone is
 * passed by nobody. Then comes a statement of its own: what it sees is not older than the lock. A
 * transaction that sees one state from its start has the server compare the row with the newest,
 * which it does for those that are locked.
 */
static const struct fv_pg_statement hold_alone = { FV_PG_HOLD,
                                                   "SELECT pg_catalog.pg_advisory_xact_lock($1)" },
                                    hold_shared = {
                                        FV_PG_HOLD_SHARED,
                                        "SELECT pg_catalog.pg_advisory_xact_lock_shared($1)"
                                    };

#define HELD                                              \
    "SELECT k.rev, k.time, k.value FROM flagver.keyed k " \
    "WHERE k.tenant = $1 AND k.space = $2 AND k.key = $3"

static const struct fv_pg_statement held = { FV_PG_HELD, HELD },
                                    held_newest = { -1, HELD " FOR SHARE" };

/* One that somebody has added since is not seen. Adding it, too, tells: it is refused then. */
static int check_absence(const flagver_driver_txn *txn, const flagver_keyed_row *row,
                         flagver_error *err)
{
    static const struct fv_pg_statement insert = {
        -1, "INSERT INTO flagver.keyed (tenant, space, key, rev, time, value) "
            "VALUES ($1, $2, $3, 1, 1, '') ON CONFLICT DO NOTHING"
    };
    struct fv_pg_parameters parameters = { .count = 0 };
    int r;

    fv_pg_text(&parameters, txn->tenant);
    fv_pg_text(&parameters, row->space);
    fv_pg_text(&parameters, row->key);
    r = fv_pg_execute(txn->conn, "SAVEPOINT flagver_absence", err);
    if (r == 0)
        r = fv_pg_query(txn->conn, &insert, &parameters, NULL, err);
    if (r == 0)
        r = fv_pg_execute(
            txn->conn, "ROLLBACK TO SAVEPOINT flagver_absence; RELEASE SAVEPOINT flagver_absence",
            err);
    return r;
}

static int lock_and_read(flagver_driver_txn *txn, const flagver_keyed_row *row, int64_t number,
                         bool shared, flagver_error *err)
{
    struct fv_pg_parameters of_lock = { .count = 0 }, of_row = { .count = 0 };
    int r;

    fv_pg_number(&of_lock, number);
    fv_pg_text(&of_row, txn->tenant);
    fv_pg_text(&of_row, row->space);
    fv_pg_text(&of_row, row->key);
    r = fv_pg_query_both(txn->conn, shared ? &hold_shared : &hold_alone, &of_lock,
                         txn->sees_one_state ? &held_newest : &held, &of_row, &txn->held, err);
    if (r == 0 && txn->sees_one_state && PQntuples(txn->held) == 0)
        r = check_absence(txn, row, err);
    return r;
}

static void read_held(const flagver_driver_txn *txn, flagver_keyed_row *row)
{
    *row = (flagver_keyed_row){ .tenant = txn->tenant, .space = row->space, .key = row->key };
    if (PQntuples(txn->held) == 0)
        return;
    row->rev = fv_pg_get_number(txn->held, 0, 0);
    row->time = fv_pg_get_number(txn->held, 0, 1);
    row->value = fv_pg_get_bytes(txn->held, 0, 2);
}

int fv_pg_hold(flagver_driver_txn *txn, flagver_keyed_row *row, int64_t number, int shared,
               flagver_error *err)
{
    int r = check_writes(txn, err);

    if (r == 0)
        r = fv_pg_guard_begin(txn, err);
    if (r < 0)
        return r;
    PQclear(txn->held);
    txn->held = NULL;
    r = fv_pg_guard_end(txn, lock_and_read(txn, row, number, shared != 0, err), err);
    if (r == 0)
        read_held(txn, row);
    return r;
}

/* ---- a part that can be taken back ---- */

#define NESTED "flagver_%" PRIu32 "_nested"

static int run_named(flagver_driver_txn *txn, const char *format, flagver_error *err)
{
    char sql[NAME_SIZE];
    int r;

    snprintf(sql, sizeof sql, format, txn->savepoint, txn->savepoint);
    r = fv_pg_execute(txn->conn, sql, err);
    txn->failed = txn->failed || (r < 0 && !txn->adopted);
    return r;
}

static int begin_nested(flagver_driver_txn *txn, flagver_error *err)
{
    char name[NAME_SIZE];
    int r = fv_pg_settle(txn, err);

    if (r < 0)
        return r;
    if (txn->adopted) {
        snprintf(name, sizeof name, NESTED, txn->savepoint);
        return fv_pg_enlisted_set(txn, name, err);
    }
    r = fv_pg_guard_begin(txn, err);
    return r < 0 ? r : run_named(txn, "SAVEPOINT " NESTED, err);
}

/* And with it what the guard has set in an application's. */
static int keep_nested(flagver_driver_txn *txn, flagver_error *err)
{
    int r = fv_pg_guard_begin(txn, err);

    return r < 0 ? r : run_named(txn, "RELEASE SAVEPOINT " NESTED, err);
}

/* Does the transaction take what undoes a part of it, if it has failed or not? */
static int check_undoable(flagver_driver_txn *txn, flagver_error *err)
{
    PGTransactionStatusType status = PQtransactionStatus(txn->conn->pq);

    if (fv_pg_is_lost(txn->conn))
        return fv_fail(err, FLAGVER_EUNAVAILABLE,
                       "the connection was lost and the transaction with it; nothing has happened");
    if (txn->adopted && status == PQTRANS_INTRANS)
        return fv_pg_enlisted_guard_begin(txn, err);
    return status == PQTRANS_INERROR ? 0 : fv_pg_check_lent(txn->conn, err);
}

/* What was refused since is undone with the rest. */
static int undo_nested(flagver_driver_txn *txn, flagver_error *err)
{
    int r;

    fv_pg_settle(txn, NULL);
    r = check_undoable(txn, err);
    if (r < 0)
        return r;
    txn->failed = false;
    txn->late.code = 0;
    return run_named(txn, "ROLLBACK TO SAVEPOINT " NESTED "; RELEASE SAVEPOINT " NESTED, err);
}

int fv_pg_nest(flagver_driver_txn *txn, int what, flagver_error *err)
{
    int r = check_writes(txn, err);

    if (r < 0)
        return r;
    switch (what) {
    case FLAGVER_NEST_BEGIN:
        return begin_nested(txn, err);
    case FLAGVER_NEST_KEEP:
        return keep_nested(txn, err);
    case FLAGVER_NEST_UNDO:
        return undo_nested(txn, err);
    default:
        return fv_fail(err, FLAGVER_EINVAL, "there is no %d to do about a part of a transaction",
                       what);
    }
}

/* ---- the application's statements ---- */

int fv_pg_check_lent(const struct fv_pg *conn, flagver_error *err)
{
    if (PQpipelineStatus(conn->pq) != PQ_PIPELINE_OFF || PQisnonblocking(conn->pq))
        return fv_fail(err, FLAGVER_EINVAL,
                       "the application has left the transaction's connection in pipeline mode or "
                       "in nonblocking mode");
    switch (PQtransactionStatus(conn->pq)) {
    case PQTRANS_INTRANS:
        return 0;
    case PQTRANS_INERROR:
        return fv_fail(err, FLAGVER_EINVAL,
                       "a statement of the application's has failed, and the transaction with it; "
                       "it can only be rolled back");
    case PQTRANS_ACTIVE:
        return fv_fail(err, FLAGVER_EINVAL,
                       "a command of the application's is under way on the transaction's "
                       "connection");
    default:
        return fv_fail(err, FLAGVER_EINVAL, "the application has ended the transaction");
    }
}

/*
 * What our own statements are planned with (see fv_pg_begin()) is not for those of others. Plans of
 * ours that are made now would be kept for times when it holds again, so none are.
 */
static int restore_planning(struct fv_pg *conn, flagver_error *err)
{
    static const char always[] = "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL jit TO DEFAULT";
    static const char from_14[] = "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL jit TO DEFAULT; "
                                  "SET LOCAL enable_memoize TO DEFAULT";

    return fv_pg_execute(conn, PQserverVersion(conn->pq) < 140000 ? always : from_14, err);
}

static int lend_own(flagver_driver_txn *txn, flagver_error *err)
{
    int r = fv_pg_guard_begin(txn, err);

    if (r < 0 || txn->conn->lent)
        return r;
    r = fv_pg_guard_end(txn, restore_planning(txn->conn, err), err);
    txn->conn->lent = r == 0;
    return r;
}

int fv_pg_lend(flagver_driver_txn *txn, flagver_adoption *adoption, flagver_error *err)
{
    int r = check_writes(txn, err);

    if (r == 0 && adoption->library)
        r = fv_pg_check_library(adoption, err);
    if (r == 0 && !txn->adopted)
        r = lend_own(txn, err);
    if (r == 0)
        adoption->connection = txn->conn->pq;
    return r;
}

void fv_pg_take_back(struct fv_pg *conn)
{
    if (conn->lent && (PQpipelineStatus(conn->pq) != PQ_PIPELINE_OFF || PQisnonblocking(conn->pq)))
        conn->broken = true;
    conn->lent = false;
}
