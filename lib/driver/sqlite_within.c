#include <inttypes.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"

static int check(const flagver_driver_txn *txn, flagver_error *err)
{
    if (txn->mode != FLAGVER_MODE_WRITE)
        return fv_fail(err, FLAGVER_EINVAL, "the transaction only reads");
    return fv_sqlite_check_open(txn, err);
}

/* ---- rows that are held: who may write has the whole database ---- */

/*
 * An application's transaction may have read only until now. A statement that writes takes the right
 * to, also when there is nothing for it to write: FLAGVER_EBUSY when others have written since that
 * transaction began, so that what is read then is the newest.
 */
static int take_right(flagver_driver_txn *txn, flagver_error *err)
{
    int r = fv_sqlite_check_joined(txn, err);

    return r == 0 && txn->adopted ? fv_sqlite_run(txn->conn, FV_SQL_WRITE,
                                                  "DELETE FROM main.flagver_keyed WHERE 0", err)
                                  : r;
}

static int keep_value(flagver_driver_txn *txn, flagver_bytes value, flagver_keyed_row *row,
                      flagver_error *err)
{
    fv_text_reset(&txn->held);
    fv_text_add_bytes(&txn->held, value.data, value.length);
    if (txn->held.failed)
        return fv_fail_memory(err);
    row->value = (flagver_bytes){ txn->held.data, value.length };
    return 0;
}

static int read_held(flagver_driver_txn *txn, flagver_keyed_row *row, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, txn->conn, FV_SQL_HOLD,
                      "SELECT rev, time, value FROM main.flagver_keyed "
                      "WHERE tenant = ? AND space = ? AND key = ?",
                      err);
    if (r < 0)
        return r;
    fv_bind_text(&call, txn->tenant);
    fv_bind_text(&call, row->space);
    fv_bind_text(&call, row->key);
    r = fv_bind_step(&call, err);
    if (r < 0)
        return r;

    *row = (flagver_keyed_row){ .tenant = txn->tenant, .space = row->space, .key = row->key };
    if (r > 0) {
        row->rev = sqlite3_column_int64(call.statement, 0);
        row->time = sqlite3_column_int64(call.statement, 1);
        r = keep_value(txn, fv_column_bytes(call.statement, 2), row, err);
    }
    fv_bind_end(&call);
    return r;
}

int fv_sqlite_hold(flagver_driver_txn *txn, flagver_keyed_row *row, int64_t number, int shared,
                   flagver_error *err)
{
    int r = check(txn, err);

    (void)number;
    (void)shared;
    if (r == 0)
        r = take_right(txn, err);
    return r < 0 ? r : read_held(txn, row, err);
}

/* ---- a part that can be taken back ---- */

/*
 * Two savepoints again, the inner one for fv_sqlite_check_joined(): the one of the whole transaction
 * cannot be let go without these.
 */
#define SET "SAVEPOINT flagver_%" PRIu32 "_nested; SAVEPOINT flagver_%" PRIu32 "_nested_in"
#define KEEP "RELEASE flagver_%" PRIu32 "_nested"
#define UNDO "ROLLBACK TO flagver_%" PRIu32 "_nested; RELEASE flagver_%" PRIu32 "_nested"

/* SQLITE_ERROR is "no such savepoint". */
static int end_nested(flagver_driver_txn *txn, const char *format, flagver_error *err)
{
    int r = fv_sqlite_run_savepoints(txn, format, err);

    txn->nested = false;
    return r == FLAGVER_ESCHEMA ? fv_fail(err, FLAGVER_EINVAL,
                                          "the application has ended a part of the transaction "
                                          "that was not its own")
                                : r;
}

static int begin_nested(flagver_driver_txn *txn, flagver_error *err)
{
    int r = check(txn, err);

    if (r == 0)
        r = fv_sqlite_check_joined(txn, err);
    if (r == 0)
        r = fv_sqlite_run_savepoints(txn, SET, err);
    txn->nested = r == 0;
    return r;
}

/* What was refused since is undone with the rest. */
static int undo_nested(flagver_driver_txn *txn, flagver_error *err)
{
    int r;

    txn->failed = false;
    r = fv_sqlite_check_open(txn, err);
    if (r == 0)
        r = end_nested(txn, UNDO, err);
    txn->failed = r < 0;
    return r;
}

int fv_sqlite_nest(flagver_driver_txn *txn, int what, flagver_error *err)
{
    int r;

    switch (what) {
    case FLAGVER_NEST_BEGIN:
        return begin_nested(txn, err);
    case FLAGVER_NEST_KEEP:
        r = check(txn, err);
        return r < 0 ? r : end_nested(txn, KEEP, err);
    case FLAGVER_NEST_UNDO:
        return undo_nested(txn, err);
    default:
        return fv_fail(err, FLAGVER_EINVAL, "there is no %d to do about a part of a transaction",
                       what);
    }
}

/* ---- the application's statements ---- */

int fv_sqlite_lend(flagver_driver_txn *txn, flagver_adoption *adoption, flagver_error *err)
{
    int r = check(txn, err);

    if (r == 0 && adoption->library)
        r = fv_sqlite_check_library(adoption, err);
    if (r < 0)
        return r;
    txn->lent = true;
    adoption->connection = txn->conn->db;
    return 0;
}
