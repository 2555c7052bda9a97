#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/memory.h"

/*
 * Inside the application's transaction.
 *
 * - A savepoint of its own, with a name that no other has, is what a rollback goes back to and
 *   a commit releases.
 * - Inside of it two settings hold: whose rows are seen, and the savepoint's number. They are
 *   local to the transaction, and they go when the savepoint goes. As long as the number is there
 *   nobody has taken our part back, nor ended the transaction and begun another one.
 * - Each operation is in a savepoint again, so that one that is refused spoils nothing.
 *
 * Nobody is notified: a NOTIFY in the application's transaction would make its commit wait
 * for all others that notify. The length of the log tells whoever asks for it.
 */
#define MARK "flagver.enlisted"
#define NAME_SIZE 120

static void format_name(char out[NAME_SIZE], const char *format, uint32_t number)
{
    snprintf(out, NAME_SIZE, format, number, number);
}

static int run_numbered(const flagver_driver_txn *txn, const char *format, flagver_error *err)
{
    char sql[NAME_SIZE];

    format_name(sql, format, txn->savepoint);
    return fv_pg_execute(txn->conn, sql, err);
}

#define SET "SAVEPOINT flagver_%" PRIu32
#define UNDO "ROLLBACK TO SAVEPOINT flagver_%" PRIu32 "; RELEASE SAVEPOINT flagver_%" PRIu32
#define RELEASE "RELEASE SAVEPOINT flagver_%" PRIu32
#define FAIL "ROLLBACK TO SAVEPOINT flagver_%" PRIu32

/* ---- what there has to be ---- */

int fv_pg_check_library(const flagver_adoption *adoption, flagver_error *err)
{
    /* What a PGconn consists of is known to its own copy of libpq only. */
    if (adoption->library != (const void *)PQresStatus(PGRES_COMMAND_OK) ||
        adoption->version != PQlibVersion())
        return fv_fail(err, FLAGVER_EINVAL,
                       "the connection comes from another copy of libpq (%d) than this library's "
                       "(%d); both must use one",
                       (int)adoption->version, PQlibVersion());
    return 0;
}

/* Is it in a transaction that takes commands? */
static int check_state(const PGconn *pq, flagver_error *err)
{
    if (PQstatus(pq) != CONNECTION_OK)
        return fv_fail(err, FLAGVER_EUNAVAILABLE, "the application's connection is lost");
    if (PQpipelineStatus(pq) != PQ_PIPELINE_OFF)
        return fv_fail(err, FLAGVER_EINVAL, "the application's connection is in pipeline mode");
    if (PQisnonblocking(pq))
        return fv_fail(err, FLAGVER_EINVAL, "the application's connection is in nonblocking mode");
    switch (PQtransactionStatus(pq)) {
    case PQTRANS_INTRANS:
        return 0;
    case PQTRANS_INERROR:
        return fv_fail(err, FLAGVER_EINVAL,
                       "the application's transaction has failed and can only be rolled back");
    case PQTRANS_ACTIVE:
        return fv_fail(err, FLAGVER_EINVAL,
                       "a command of the application's is under way on its connection");
    default:
        return fv_fail(err, FLAGVER_EINVAL, "no transaction is open on the connection");
    }
}

/* What is sent as text arrives in this encoding, whatever is called binary. */
static int check_encoding(const PGconn *pq, flagver_error *err)
{
    const char *encoding = PQparameterStatus(pq, "client_encoding");

    return encoding && strcmp(encoding, "UTF8") == 0
               ? 0
               : fv_fail(err, FLAGVER_EINVAL,
                         "the connection's client_encoding is %.40s; UTF8 is needed",
                         encoding ? encoding : "not known");
}

/* Which store is ours, when no transaction has found that out yet, or it is another one now. */
static int learn_id(flagver_store *store, flagver_error *err)
{
    const flagver_bytes nobody = { "", 0 };
    flagver_driver_txn *txn;
    int r = fv_pg_begin(store, nobody, FLAGVER_MODE_READ, &txn, err);

    if (r == 0)
        fv_pg_rollback(txn);
    return r;
}

static bool is_ours(flagver_store *store, const flagver_id *id)
{
    bool same;

    pthread_mutex_lock(&store->lock);
    same = store->has_id && memcmp(&store->id, id, sizeof *id) == 0;
    pthread_mutex_unlock(&store->lock);
    return same;
}

static int check_store(const flagver_driver_txn *txn, const struct fv_pg_meta *meta,
                       flagver_error *err)
{
    int r = 0;

    if (meta->version == 0)
        return fv_fail(err, FLAGVER_EINVAL,
                       "the connection's database \"%.100s\" has no flagver schema; the store is "
                       "%.500s",
                       PQdb(txn->conn->pq), txn->store->target.shown);
    if (!is_ours(txn->store, &meta->store))
        r = learn_id(txn->store, err);
    if (r == 0 && !is_ours(txn->store, &meta->store))
        r = fv_fail(err, FLAGVER_EINVAL,
                    "the connection's database \"%.100s\" is another store than %.500s",
                    PQdb(txn->conn->pq), txn->store->target.shown);
    return r == 0 ? fv_pg_meta_check(meta, err) : r;
}

/* ---- coming in ---- */

#define COLUMN_BEFORE 0
#define COLUMN_MARK 1
#define COLUMN_READ_ONLY 2
#define COLUMN_BYPASSES 3
#define COLUMN_STORE 4
#define COLUMN_VERSION 5
#define COLUMN_COMPATIBLE 6
#define COLUMN_ONE_STATE 7

static const struct fv_pg_statement look = {
    -1, "SELECT pg_catalog.current_setting('flagver.tenant', true),"
        " pg_catalog.current_setting('" MARK "', true),"
        " pg_catalog.current_setting('transaction_read_only') = 'on',"
        " r.rolsuper OR r.rolbypassrls, m.store, m.version, m.compatible,"
        " pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', "
        "'serializable')"
        " FROM pg_catalog.pg_roles r LEFT JOIN flagver.meta m ON true"
        " WHERE r.rolname = current_user"
};

static int check_answer(flagver_driver_txn *txn, const PGresult *answer, flagver_error *err)
{
    struct fv_pg_meta meta;
    int r;

    if (fv_pg_get_bytes(answer, 0, COLUMN_MARK).length)
        return fv_fail(err, FLAGVER_EINVAL,
                       "another transaction of ours is open in the application's; one at a time");
    if (fv_pg_get_truth(answer, 0, COLUMN_READ_ONLY))
        return fv_fail(err, FLAGVER_EINVAL, "the application's transaction only reads");
    fv_pg_get_id(answer, 0, COLUMN_STORE, &meta.store);
    meta.version = (uint32_t)fv_pg_get_number(answer, 0, COLUMN_VERSION);
    meta.compatible = (uint32_t)fv_pg_get_number(answer, 0, COLUMN_COMPATIBLE);
    r = check_store(txn, &meta, err);
    txn->conn->bypasses = fv_pg_get_truth(answer, 0, COLUMN_BYPASSES);
    txn->sees_one_state = fv_pg_get_truth(answer, 0, COLUMN_ONE_STATE);
    return r == 0 ? fv_pg_check_role(txn->conn, txn->tenant, err) : r;
}

static const struct fv_pg_statement set_both = {
    -1, "SELECT pg_catalog.set_config('flagver.tenant', $1, true),"
        " pg_catalog.set_config('" MARK "', $2, true)"
};

/*
 * An application that has all its constraints checked at once would have ours checked between two
 * statements that belong together.
 */
static int enter(const flagver_driver_txn *txn, flagver_error *err)
{
    struct fv_pg_parameters parameters = { .count = 0 };
    char number[16];
    int r;

    snprintf(number, sizeof number, "%" PRIu32, txn->savepoint);
    fv_pg_text(&parameters, txn->tenant);
    fv_pg_text(&parameters, (flagver_bytes){ number, strlen(number) });
    r = fv_pg_query(txn->conn, &set_both, &parameters, NULL, err);
    return r == 0 ? fv_pg_execute(txn->conn, "SET CONSTRAINTS flagver.series_last DEFERRED", err)
                  : r;
}

static int join_in(flagver_driver_txn *txn, flagver_error *err)
{
    const struct fv_pg_meta none = { .version = 0 };
    int r;

    r = run_numbered(txn, SET, err);
    if (r < 0)
        return r;
    r = fv_pg_query(txn->conn, &look, NULL, &txn->before, err);
    if (r == FLAGVER_ESCHEMA)
        r = check_store(txn, &none, err);
    else if (r == 0)
        r = check_answer(txn, txn->before, err);
    if (r == 0)
        r = enter(txn, err);
    if (r < 0)
        run_numbered(txn, UNDO, NULL);
    return r;
}

static void free_adopted(flagver_driver_txn *txn)
{
    fv_pg_disconnect(txn->conn);
    fv_pg_txn_free(txn);
}

static flagver_driver_txn *new_adopted(flagver_store *store, flagver_bytes tenant, PGconn *pq)
{
    static atomic_uint_least32_t count;
    flagver_driver_txn *txn = fv_pg_txn_new(store, tenant, FLAGVER_MODE_WRITE);

    if (!txn)
        return NULL;
    txn->adopted = true;
    txn->savepoint = (uint32_t)atomic_fetch_add(&count, 1);
    txn->conn = fv_allocate_zeroed(store->memory, 1, sizeof *txn->conn);
    if (!txn->conn) {
        fv_pg_txn_free(txn);
        return NULL;
    }
    txn->conn->store = store;
    txn->conn->pq = pq;
    txn->conn->adopted = true;
    return txn;
}

int fv_pg_adopt(flagver_store *store, flagver_bytes tenant, const flagver_adoption *adoption,
                flagver_driver_txn **ret_txn, flagver_error *err)
{
    flagver_driver_txn *txn;
    int r;

    if (!adoption->connection)
        return fv_fail(err, FLAGVER_EINVAL, "the connection is NULL");
    r = fv_pg_check_library(adoption, err);
    if (r == 0)
        r = check_state(adoption->connection, err);
    if (r == 0)
        r = check_encoding(adoption->connection, err);
    if (r < 0)
        return r;
    txn = new_adopted(store, tenant, adoption->connection);
    if (!txn)
        return fv_fail_memory(err);
    r = join_in(txn, err);
    if (r < 0) {
        free_adopted(txn);
        return r;
    }
    *ret_txn = txn;
    return 0;
}

/* ---- each operation ---- */

static bool has_mark(const flagver_driver_txn *txn, const PGresult *result)
{
    const flagver_bytes mark = fv_pg_get_bytes(result, 0, 0);
    char number[16];

    snprintf(number, sizeof number, "%" PRIu32, txn->savepoint);
    return mark.length == strlen(number) && memcmp(mark.data, number, mark.length) == 0;
}

static const struct fv_pg_statement ask_mark = { -1, "SELECT pg_catalog.current_setting('" MARK
                                                     "', true)" };

int fv_pg_enlisted_set(flagver_driver_txn *txn, const char *name, flagver_error *err)
{
    char set[NAME_SIZE], release[NAME_SIZE];
    const struct fv_pg_statement setting = { -1, set };
    PGresult *result = NULL;
    bool ours;
    int r = check_state(txn->conn->pq, err);

    snprintf(set, sizeof set, "SAVEPOINT %s", name);
    snprintf(release, sizeof release, "RELEASE SAVEPOINT %s", name);
    if (r == 0)
        r = fv_pg_query_both(txn->conn, &setting, NULL, &ask_mark, NULL, &result, err);
    if (r < 0)
        return r;
    ours = has_mark(txn, result);
    PQclear(result);
    if (ours)
        return 0;
    fv_pg_execute(txn->conn, release, NULL);
    return fv_fail(err, FLAGVER_EINVAL,
                   "the application ended its transaction before ours, or took it back");
}

int fv_pg_enlisted_guard_begin(flagver_driver_txn *txn, flagver_error *err)
{
    return fv_pg_enlisted_set(txn, "flagver_in", err);
}

int fv_pg_enlisted_guard_end(flagver_driver_txn *txn, int r, flagver_error *err)
{
    if (r == 0)
        return fv_pg_execute(txn->conn, "RELEASE SAVEPOINT flagver_in", err);
    if (!fv_pg_is_lost(txn->conn))
        fv_pg_execute(txn->conn, "ROLLBACK TO SAVEPOINT flagver_in; RELEASE SAVEPOINT flagver_in",
                      NULL);
    return r;
}

/* ---- the end ---- */

/* The settings, as they were; for other roles than ours an empty tenant is none. */
static int leave(const flagver_driver_txn *txn, flagver_error *err)
{
    struct fv_pg_parameters parameters = { .count = 0 };
    flagver_bytes before = fv_pg_get_bytes(txn->before, 0, COLUMN_BEFORE);

    fv_pg_text(&parameters, before.data ? before : (flagver_bytes){ "", 0 });
    fv_pg_text(&parameters, (flagver_bytes){ "", 0 });
    return fv_pg_query(txn->conn, &set_both, &parameters, NULL, err);
}

int fv_pg_enlisted_commit(flagver_driver_txn *txn, flagver_error *err)
{
    int r = fv_pg_guard_begin(txn, err);

    if (r == 0)
        r = leave(txn, err);
    if (r == 0)
        r = run_numbered(txn, RELEASE, err); /* and with it the inner one */
    if (r < 0) {
        fv_pg_enlisted_rollback(txn);
        return r;
    }
    free_adopted(txn);
    return 0;
}

static bool is_still_there(const flagver_driver_txn *txn)
{
    PGresult *result;
    bool ours;

    if (fv_pg_query(txn->conn, &ask_mark, NULL, &result, NULL) < 0)
        return false;
    ours = has_mark(txn, result);
    PQclear(result);
    return ours;
}

/*
 * A statement of the application's may have failed since. Then its transaction must not come to
 * life again by our going back to before that: whoever does not look would commit the rest of it.
 * Neither may our part stay for a savepoint that was set in it. So it is undone, and the
 * transaction fails again: the savepoint is not there any more.
 */
static void undo_in_failed(const flagver_driver_txn *txn)
{
    if (run_numbered(txn, UNDO, NULL) == 0)
        run_numbered(txn, FAIL, NULL);
}

void fv_pg_enlisted_rollback(flagver_driver_txn *txn)
{
    PGTransactionStatusType status = PQtransactionStatus(txn->conn->pq);

    if (status == PQTRANS_INERROR)
        undo_in_failed(txn);
    else if (status == PQTRANS_INTRANS && is_still_there(txn))
        run_numbered(txn, UNDO, NULL);
    free_adopted(txn);
}
