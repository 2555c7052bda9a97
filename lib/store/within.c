/*
 * Within a transaction: a part that can be taken back alone, and statements of the application's.
 */
#include "store/staging.h"
#include "util/fail.h"

/* ---- a part that can be taken back ---- */

int fv_txn_check_flat(const flagver_txn *txn, flagver_error *err)
{
    return txn->nested ? fv_fail(err, FLAGVER_EINVAL,
                                 "records are not written in a part of a transaction that may be "
                                 "taken back alone")
                       : 0;
}

static int call_nest(flagver_txn *txn, int what, flagver_error *err)
{
    return fv_txn_outcome(txn, fv_txn_driver(txn)->nest(txn->driver, what, err));
}

static int begin_nested(flagver_txn *txn, flagver_error *err)
{
    int r = fv_txn_flush(txn, err);

    if (r == 0)
        r = call_nest(txn, FLAGVER_NEST_BEGIN, err);
    if (r < 0)
        return r;
    txn->nested = true;
    txn->before = (struct fv_before){ txn->staged, txn->store_failed, txn->flushed };
    return 0;
}

/* It stays nested when it cannot be kept, so that it can be taken back. */
static int keep_nested(flagver_txn *txn, flagver_error *err)
{
    int r = fv_txn_flush(txn, err);

    if (r == 0)
        r = call_nest(txn, FLAGVER_NEST_KEEP, err);
    if (r == 0)
        txn->nested = false;
    return r;
}

static int undo_nested(flagver_txn *txn, flagver_error *err)
{
    txn->nested = false;
    txn->change_count = 0;
    txn->staged = txn->before.staged;
    txn->store_failed = txn->before.store_failed;
    txn->flushed = txn->before.flushed;
    return call_nest(txn, FLAGVER_NEST_UNDO, err);
}

int fv_txn_nest(flagver_txn *txn, int what, flagver_error *err)
{
    const flagver_driver *driver = fv_txn_driver(txn);
    int r = fv_txn_check_open(txn, err);

    if (r < 0)
        return r;
    if (!FV_DRIVER_HAS(driver, nest))
        return fv_fail(err, FLAGVER_ENOTSUP,
                       "the driver \"%s\" cannot take back a part of a transaction", driver->name);
    if (txn->nested == (what == FLAGVER_NEST_BEGIN))
        return fv_fail(err, FLAGVER_EINVAL, "a part of a transaction that may be taken back %s",
                       txn->nested ? "has no parts of its own" : "was not begun");
    switch (what) {
    case FLAGVER_NEST_BEGIN:
        return begin_nested(txn, err);
    case FLAGVER_NEST_KEEP:
        return keep_nested(txn, err);
    default:
        return undo_nested(txn, err);
    }
}

/* ---- the application's statements ---- */

int fv_txn_connection(flagver_txn *txn, const void *library, int32_t version, void **ret_connection,
                      flagver_error *err)
{
    const flagver_driver *driver = fv_txn_driver(txn);
    flagver_adoption adoption = { .library = library, .version = version };
    int r;

    if (!FV_DRIVER_HAS(driver, connection))
        return fv_fail(err, FLAGVER_ENOTSUP,
                       "the driver \"%s\" has no connection for statements of the application's",
                       driver->name);
    r = fv_txn_flush(txn, err);
    if (r < 0)
        return r;
    r = driver->connection(txn->driver, &adoption, err);
    if (r < 0) /* a mistake, such as another copy of the library, has changed nothing */
        return fv_error_class(r) == FLAGVER_CLASS_MISTAKE ? r : fv_txn_outcome(txn, r);
    txn->lent = true;
    *ret_connection = adoption.connection;
    return 0;
}
