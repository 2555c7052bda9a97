#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"
#include "util/memory.h"

/* ---- new and free ---- */

static flagver_driver_txn *new_txn(flagver_store *store, flagver_bytes tenant, int mode)
{
    flagver_driver_txn *txn = fv_allocate(store->memory, sizeof *txn + tenant.length + 1);
    char *name;

    if (!txn)
        return NULL;
    name = (char *)(txn + 1);
    if (tenant.length)
        memcpy(name, tenant.data, tenant.length);
    name[tenant.length] = 0;
    *txn = (flagver_driver_txn){
        .store = store, .tenant = { name, tenant.length }, .mode = mode, .held = FV_TEXT_INIT
    };
    return txn;
}

static void free_txn(flagver_driver_txn *txn)
{
    flagver_store *store = txn->store;

    if (txn->adopted) {
        fv_sqlite_finalize(txn->conn);
        fv_release(store->memory, txn->conn);
    } else {
        fv_sqlite_pool_put(store, txn->mode, txn->conn);
    }
    fv_text_clear(&txn->held);
    fv_release(store->memory, txn);
}

/* ---- transactions of our own ---- */

static int start(struct fv_sqlite *conn, int mode, flagver_error *err)
{
    if (mode == FLAGVER_MODE_WRITE)
        return fv_sqlite_run(conn, FV_SQL_BEGIN_IMMEDIATE, "BEGIN IMMEDIATE", err);
    return fv_sqlite_run(conn, FV_SQL_BEGIN, "BEGIN", err);
}

static void undo(struct fv_sqlite *conn)
{
    if (!sqlite3_get_autocommit(conn->db))
        fv_sqlite_run(conn, FV_SQL_ROLLBACK, "ROLLBACK", NULL);
}

int fv_sqlite_begin(flagver_store *store, flagver_bytes tenant, int mode,
                    flagver_driver_txn **ret_txn, flagver_error *err)
{
    flagver_driver_txn *txn = new_txn(store, tenant, mode);
    int r;

    if (!txn)
        return fv_fail_memory(err);
    r = fv_sqlite_pool_take(store, mode, &txn->conn, err);
    if (r < 0) {
        fv_release(store->memory, txn);
        return r;
    }
    r = start(txn->conn, mode, err);
    if (r == 0) /* also the first look at the database: from now on it is seen as it is */
        r = fv_sqlite_meta_confirm(txn->conn, err);
    if (r < 0) {
        undo(txn->conn);
        free_txn(txn);
        return r;
    }
    *ret_txn = txn;
    return 0;
}

/* ---- inside the application's ---- */

/*
 * Two savepoints, one right inside of the other, with names that no other transaction has. The
 * outer one is where we go back to. The inner one is let go and set again before each change: when
 * that succeeds the outer one is there too, for the application can only take back or end both. Its
 * changes belong to the outer one's.
 */
int fv_sqlite_run_savepoints(flagver_driver_txn *txn, const char *format, flagver_error *err)
{
    char sql[160];

    snprintf(sql, sizeof sql, format, txn->savepoint, txn->savepoint);
    return fv_sqlite_execute(txn->conn, sql, err);
}

#define SET_BOTH "SAVEPOINT flagver_%" PRIu32 "; SAVEPOINT flagver_%" PRIu32 "_in"
#define SET_AGAIN "RELEASE flagver_%" PRIu32 "_in; SAVEPOINT flagver_%" PRIu32 "_in"
#define SET_NESTED_AGAIN \
    "RELEASE flagver_%" PRIu32 "_nested_in; SAVEPOINT flagver_%" PRIu32 "_nested_in"
#define UNDO "ROLLBACK TO flagver_%" PRIu32 "; RELEASE flagver_%" PRIu32
#define RELEASE_BOTH "RELEASE flagver_%" PRIu32

static int join_in(flagver_driver_txn *txn, flagver_error *err)
{
    static atomic_uint_least32_t count;
    int r;

    txn->savepoint = (uint32_t)atomic_fetch_add(&count, 1);
    r = fv_sqlite_run_savepoints(txn, SET_BOTH, err);
    if (r < 0)
        fv_sqlite_run_savepoints(txn, UNDO, NULL);
    return r;
}

/* SQLITE_ERROR is "no such savepoint". */
static int explain_missing(int r, flagver_error *err)
{
    return r == FLAGVER_ESCHEMA
               ? fv_fail(err, FLAGVER_EINVAL,
                         "the application ended its transaction before ours, or took it back")
               : r;
}

/* The one that is right inside of another one, which is our outermost or that of a nested part. */
int fv_sqlite_check_joined(flagver_driver_txn *txn, flagver_error *err)
{
    const char *format = txn->nested ? SET_NESTED_AGAIN : SET_AGAIN;

    return txn->adopted ? explain_missing(fv_sqlite_run_savepoints(txn, format, err), err) : 0;
}

int fv_sqlite_check_library(const flagver_adoption *adoption, flagver_error *err)
{
    /* Two copies of SQLite in a process undo each other's locks on a file. */
    if (adoption->library != (const void *)sqlite3_sourceid() ||
        adoption->version != sqlite3_libversion_number())
        return fv_fail(err, FLAGVER_EINVAL,
                       "the connection comes from another copy of SQLite (%d) than this library's "
                       "(%d); both must use one",
                       (int)adoption->version, sqlite3_libversion_number());
    return 0;
}

static int check_adoption(const flagver_adoption *adoption, flagver_error *err)
{
    int r;

    if (!adoption->connection)
        return fv_fail(err, FLAGVER_EINVAL, "the connection is NULL");
    r = fv_sqlite_check_library(adoption, err);
    if (r == 0 && sqlite3_get_autocommit(adoption->connection))
        return fv_fail(err, FLAGVER_EINVAL, "no transaction is open on the connection");
    return r;
}

static int check_same_store(struct fv_sqlite *conn, flagver_error *err)
{
    flagver_store *store = conn->store;
    const char *path = sqlite3_db_filename(conn->db, "main");
    struct fv_sqlite_meta meta;
    bool same;
    int r;

    r = fv_sqlite_meta_read(conn, &meta, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&store->lock);
    same = store->has_id && memcmp(&meta.store, &store->id, sizeof meta.store) == 0;
    pthread_mutex_unlock(&store->lock);
    if (meta.version == 0 || !same)
        return fv_fail(err, FLAGVER_EINVAL, "the connection's database %.400s %s %.400s",
                       path && *path ? path : FV_MEMORY_PATH,
                       meta.version ? "is another store than"
                                    : "has no flagver schema; the store is",
                       store->path);
    return fv_sqlite_meta_check(conn, &meta, err);
}

int fv_sqlite_adopt(flagver_store *store, flagver_bytes tenant, const flagver_adoption *adoption,
                    flagver_driver_txn **ret_txn, flagver_error *err)
{
    flagver_driver_txn *txn;
    int r;

    r = check_adoption(adoption, err);
    if (r < 0)
        return r;
    txn = new_txn(store, tenant, FLAGVER_MODE_WRITE);
    if (!txn)
        return fv_fail_memory(err);
    txn->adopted = true;
    txn->conn = fv_allocate_zeroed(store->memory, 1, sizeof *txn->conn);
    if (!txn->conn) {
        fv_release(store->memory, txn);
        return fv_fail_memory(err);
    }
    txn->conn->store = store;
    txn->conn->db = adoption->connection;

    r = fv_sqlite_pool_check_moved(txn->conn, err);
    if (r == 0)
        r = check_same_store(txn->conn, err);
    if (r == 0)
        r = fv_sqlite_pool_check_same(txn->conn, err);
    if (r == 0)
        r = join_in(txn, err);
    if (r < 0) {
        free_txn(txn);
        return r;
    }
    *ret_txn = txn;
    return 0;
}

/*
 * The statements go last: if the application has closed its connection, they are all that keeps
 * it, as one that refuses everything.
 */
static void undo_adopted(flagver_driver_txn *txn)
{
    if (!sqlite3_get_autocommit(txn->conn->db))
        fv_sqlite_run_savepoints(txn, UNDO, NULL);
}

static int release(flagver_driver_txn *txn, flagver_error *err)
{
    return explain_missing(fv_sqlite_run_savepoints(txn, RELEASE_BOTH, err), err);
}

/* ---- the end ---- */

int fv_sqlite_check_open(const flagver_driver_txn *txn, flagver_error *err)
{
    if (txn->failed)
        return fv_fail(err, FLAGVER_EINVAL,
                       "a change of this transaction was refused; it can only be rolled back");
    if (!sqlite3_get_autocommit(txn->conn->db))
        return 0;
    if (txn->adopted)
        return fv_fail(err, FLAGVER_EINVAL, "the application's transaction is not open any more");
    return txn->lent ? fv_fail(err, FLAGVER_EINVAL,
                               "the application has ended the transaction, or a statement of its "
                               "own has")
                     : fv_fail(err, FLAGVER_EUNAVAILABLE,
                               "%.500s: SQLite has rolled the transaction back", txn->store->path);
}

/*
 * When COMMIT fails and the transaction is still open, nothing of it has been written for
 * good, and rolling back ends it. When it is not open any more, the failure came while the log
 * was being written:
 *
 * - SQLITE_FULL comes from writing the pages into the log. The last of them carries the mark that
 *   commits; it is not there, so the transaction is gone. (Unless the log is padded to sectors,
 *   which goes on behind that mark.)
 * - After anything else, a failed sync above all, the mark may be in the log. No connection looks
 *   so far, and whoever writes next writes over it. But should all processes die before that, the
 *   one that comes then reads the log from its start and finds a committed transaction.
 *   fv_sqlite_outcome() puts an end to this.
 */
static bool is_certainly_gone(struct fv_sqlite *conn, int extended)
{
    int safe_overwrite = -1;

    if (!sqlite3_get_autocommit(conn->db) || conn->store->in_memory)
        return true;
    if ((extended & 0xff) != SQLITE_FULL)
        return false;
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_POWERSAFE_OVERWRITE, &safe_overwrite);
    return safe_overwrite == 1;
}

static int commit_write(struct fv_sqlite *conn, flagver_error *err)
{
    int r, extended;
    bool gone;

    /* What went into a file that nobody finds any more would be lost. */
    r = fv_sqlite_pool_check_moved(conn, err);
    if (r < 0)
        return r;
    r = fv_sqlite_run(conn, FV_SQL_COMMIT, "COMMIT", err);
    if (r == 0)
        return 0;
    extended = sqlite3_extended_errcode(conn->db);
    gone = is_certainly_gone(conn, extended);
    if (gone)
        return r;
    fv_fail(err, FLAGVER_EUNKNOWN, "%.400s: the commit failed half-way: %.400s", conn->store->path,
            sqlite3_errstr(extended));
    if (err)
        err->native = extended;
    return FLAGVER_EUNKNOWN;
}

/* What the application has left unfinished would keep the connection's state from the next one. */
static void take_back_connection(flagver_driver_txn *txn)
{
    sqlite3_stmt *statement = NULL;

    if (txn->adopted || !txn->lent)
        return;
    while ((statement = sqlite3_next_stmt(txn->conn->db, statement)))
        if (sqlite3_stmt_busy(statement))
            sqlite3_reset(statement);
}

int fv_sqlite_commit(flagver_driver_txn *txn, flagver_error *err)
{
    int r = 0;

    take_back_connection(txn);
    if (txn->mode == FLAGVER_MODE_WRITE)
        r = fv_sqlite_check_open(txn, err);
    if (r < 0) {
        fv_sqlite_rollback(txn);
        return r;
    }
    if (txn->adopted)
        r = release(txn, err);
    else if (txn->mode == FLAGVER_MODE_WRITE)
        r = commit_write(txn->conn, err);

    if (txn->adopted && r < 0)
        undo_adopted(txn);
    else if (!txn->adopted)
        undo(txn->conn); /* what is still open: it has failed, or has only read */
    if (r == 0 && txn->shredded && !txn->adopted)
        fv_sqlite_empty_log(txn->conn);
    free_txn(txn);
    return r;
}

void fv_sqlite_rollback(flagver_driver_txn *txn)
{
    take_back_connection(txn);
    if (txn->adopted)
        undo_adopted(txn);
    else
        undo(txn->conn);
    free_txn(txn);
}

/* ---- outcome ---- */

static int find_request(struct fv_sqlite *conn, flagver_bytes tenant, flagver_bytes key,
                        bool *ret_there, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, conn, FV_SQL_REQUEST,
                      "SELECT 1 FROM main.flagver_keyed WHERE tenant = ? AND space = 'request' AND "
                      "key = ?",
                      err);
    if (r < 0)
        return r;
    fv_bind_text(&call, tenant);
    fv_bind_text(&call, key);
    r = fv_bind_step(&call, err);
    if (r < 0)
        return r;
    fv_bind_end(&call);
    *ret_there = r > 0;
    return 0;
}

/*
 * With the right to write nobody is in the middle of a commit. If the row is not there, what
 * a failed commit has left at the end of the log is written over, so that it can never be read
 * as a commit; the counter makes sure that there is something to write.
 */
static int settle(struct fv_sqlite *conn, flagver_bytes tenant, flagver_bytes key,
                  bool *ret_committed, flagver_error *err)
{
    bool there;
    int r;

    r = fv_sqlite_meta_confirm(conn, err);
    if (r == 0)
        r = find_request(conn, tenant, key, &there, err);
    if (r == 0 && !there)
        r = fv_sqlite_run(conn, FV_SQL_SETTLE, "UPDATE main.flagver_meta SET settled = settled + 1",
                          err);
    if (r == 0 && !there)
        r = commit_write(conn, err);
    if (r == 0)
        *ret_committed = there;
    return r;
}

int fv_sqlite_outcome(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                      bool *ret_committed, flagver_error *err)
{
    struct fv_sqlite *conn;
    int r;

    r = fv_sqlite_pool_take(store, FLAGVER_MODE_WRITE, &conn, err);
    if (r < 0)
        return r;
    r = start(conn, FLAGVER_MODE_WRITE, err);
    if (r == 0)
        r = settle(conn, tenant, key, ret_committed, err);
    undo(conn);
    fv_sqlite_pool_put(store, FLAGVER_MODE_WRITE, conn);
    return r;
}

/* ---- locks: who may write has the whole database ---- */

static int read_series(struct fv_sqlite *conn, flagver_bytes tenant, flagver_series_row *series,
                       flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, conn, FV_SQL_LOCK_SERIES,
                      "SELECT id, last_no, current_no, rev, changed_at FROM main.flagver_series "
                      "WHERE tenant = ? AND phase = ? AND subject = ?",
                      err);
    if (r < 0)
        return r;
    fv_bind_text(&call, tenant);
    fv_bind_text(&call, series->phase);
    fv_bind_text(&call, series->subject);
    r = fv_bind_step(&call, err);
    if (r < 0)
        return r;

    memset(&series->id, 0, sizeof series->id);
    series->last_no = series->current_no = 0;
    series->rev = series->changed_at = 0;
    if (r > 0) {
        fv_column_id(call.statement, 0, &series->id);
        series->last_no = (uint32_t)sqlite3_column_int64(call.statement, 1);
        series->current_no = (uint32_t)sqlite3_column_int64(call.statement, 2);
        series->rev = sqlite3_column_int64(call.statement, 3);
        series->changed_at = sqlite3_column_int64(call.statement, 4);
    }
    fv_bind_end(&call);
    return 0;
}

int fv_sqlite_lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
                   flagver_error *err)
{
    size_t i;
    int r;

    (void)try_only;
    r = fv_sqlite_check_open(txn, err);
    for (i = 0; i < count && r == 0; i++)
        r = read_series(txn->conn, txn->tenant, &series[i], err);
    return r;
}

int fv_sqlite_log_size(struct fv_sqlite *conn, flagver_bytes tenant, uint64_t *ret_size,
                       flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, conn, FV_SQL_LOG_SIZE,
                      "SELECT size FROM main.flagver_log WHERE tenant = ?", err);
    if (r < 0)
        return r;
    fv_bind_text(&call, tenant);
    r = fv_bind_step(&call, err);
    if (r < 0)
        return r;
    *ret_size = r > 0 ? (uint64_t)sqlite3_column_int64(call.statement, 0) : 0;
    fv_bind_end(&call);
    return 0;
}

int fv_sqlite_lock_log(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err)
{
    int r = fv_sqlite_check_open(txn, err);

    return r < 0 ? r : fv_sqlite_log_size(txn->conn, txn->tenant, ret_size, err);
}
