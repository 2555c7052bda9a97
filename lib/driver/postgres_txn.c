#define _POSIX_C_SOURCE 200809L /* poll */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/memory.h"

#define OID_TEXT_ARRAY 1009

/* ---- new and free ---- */

flagver_driver_txn *fv_pg_txn_new(flagver_store *store, flagver_bytes tenant, int mode)
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
        .store = store, .tenant = { name, tenant.length }, .mode = mode, .copy = FV_TEXT_INIT
    };
    return txn;
}

void fv_pg_txn_free(flagver_driver_txn *txn)
{
    PQclear(txn->before);
    PQclear(txn->held);
    fv_text_clear(&txn->copy);
    fv_release(txn->store->memory, txn->sender);
    fv_release(txn->store->memory, txn);
}

bool fv_pg_is_lost(const struct fv_pg *conn)
{
    return conn->broken || PQstatus(conn->pq) != CONNECTION_OK;
}

/* ---- begin ---- */

static bool is_default(flagver_bytes tenant)
{
    static const char name[] = "default";

    return tenant.length == sizeof name - 1 && memcmp(tenant.data, name, tenant.length) == 0;
}

int fv_pg_check_role(const struct fv_pg *conn, flagver_bytes tenant, flagver_error *err)
{
    if (!conn->bypasses || tenant.length == 0 || is_default(tenant))
        return 0;
    return fv_fail(
        err, FLAGVER_EDENIED,
        "the role \"%.64s\" bypasses row-level security, which keeps tenants apart, so it "
        "may work for the tenant \"default\" only; connect as a role that is neither "
        "SUPERUSER nor BYPASSRLS (the schema's owner gives it what it needs by SELECT "
        "flagver.admit('ROLE'))",
        PQuser(conn->pq));
}

void fv_pg_forget_id(flagver_store *store)
{
    pthread_mutex_lock(&store->lock);
    store->has_id = false;
    pthread_mutex_unlock(&store->lock);
}

/* It is the schema of the store that this one was from the start, and one that we can use. */
static int confirm(flagver_store *store, const struct fv_pg_meta *meta, flagver_error *err)
{
    bool same;
    int r = fv_pg_meta_check(meta, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&store->lock);
    if (!store->has_id)
        store->id = meta->store;
    store->has_id = true;
    same = memcmp(&meta->store, &store->id, sizeof store->id) == 0;
    pthread_mutex_unlock(&store->lock);
    return same ? 0
                : fv_fail(err, FLAGVER_EUNAVAILABLE,
                          "%.500s has another store now than the one that was opened",
                          store->target.shown);
}

static const struct fv_pg_statement
    begin_write = { FV_PG_BEGIN_WRITE, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE" },
    begin_read = { FV_PG_BEGIN_READ, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" };

/*
 * What holds for this transaction alone, so that behind a pooler nobody else inherits it. A null
 * limit leaves what the server has. What is acknowledged must be on the disk, also where somebody
 * has decided otherwise for the rest of the database. A plan to read a whole table, because it was
 * small when the plan was made, would outlive its smallness: thousands of rows may come in one
 * transaction. Compiling a statement takes longer than most of ours, and no row is looked for
 * twice, so that remembering them (from PostgreSQL 14 on) would be for nothing. Of meta one row is
 * asked for, since whoever expects many makes a new plan for it each time.
 */
static const struct fv_pg_statement enter = {
    FV_PG_ENTER,
    "SELECT m.store, m.version, m.compatible,"
    " pg_catalog.set_config('flagver.tenant', $1, true),"
    " pg_catalog.set_config('lock_timeout', $2::pg_catalog.text, true),"
    " pg_catalog.set_config('statement_timeout', COALESCE($3::pg_catalog.text,"
    "  pg_catalog.current_setting('statement_timeout')), true),"
    " pg_catalog.set_config('idle_in_transaction_session_timeout', COALESCE($4::pg_catalog.text,"
    "  pg_catalog.current_setting('idle_in_transaction_session_timeout')), true),"
    " pg_catalog.set_config('synchronous_commit',"
    "  CASE pg_catalog.current_setting('synchronous_commit')"
    "  WHEN 'off' THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END, true),"
    " pg_catalog.set_config('enable_seqscan', 'off', true),"
    " pg_catalog.set_config('jit', 'off', true),"
    " pg_catalog.set_config("
    "  CASE WHEN pg_catalog.current_setting('server_version_num')::integer >= 140000"
    "  THEN 'enable_memoize' ELSE 'flagver.memoize' END, 'off', true)"
    " FROM (VALUES (1)) AS one LEFT JOIN flagver.meta m ON m.one = 1"
};

static void set_limits(struct fv_pg_parameters *parameters, const flagver_store *store)
{
    fv_pg_number(parameters, store->wait_ms > 0 ? store->wait_ms : 1); /* 0 would be for ever */
    fv_pg_positive(parameters, store->target.statement_ms);
    fv_pg_positive(parameters, store->target.idle_ms);
}

static void read_meta(const PGresult *result, struct fv_pg_meta *ret_meta)
{
    fv_pg_get_id(result, 0, 0, &ret_meta->store);
    ret_meta->version = (uint32_t)fv_pg_get_number(result, 0, 1);
    ret_meta->compatible = (uint32_t)fv_pg_get_number(result, 0, 2);
}

static int send_begin(const flagver_driver_txn *txn, flagver_error *err)
{
    struct fv_pg_parameters parameters = { .count = 0 };
    struct fv_pg *conn = txn->conn;
    int r;

    fv_pg_text(&parameters, txn->tenant);
    set_limits(&parameters, txn->store);
    r = fv_pg_queue(conn, txn->mode == FLAGVER_MODE_WRITE ? &begin_write : &begin_read, NULL, err);
    if (r == 0)
        r = fv_pg_queue(conn, &enter, &parameters, err);
    if (r == 0)
        r = fv_pg_flush(conn, err);
    if (r < 0)
        conn->broken = true; /* nobody knows how much of it is under way */
    return r;
}

/* BEGIN and what follows it, in one round trip; also the first look at the schema. */
static int open_transaction(flagver_driver_txn *txn, flagver_error *err)
{
    struct fv_pg_meta meta = { .version = 0 };
    PGresult *result = NULL;
    int r, end;

    r = fv_pg_check_role(txn->conn, txn->tenant, err);
    if (r == 0)
        r = fv_pg_pipeline_begin(txn->conn, err);
    if (r < 0)
        return r;
    r = send_begin(txn, err);
    if (r == 0)
        r = fv_pg_take(txn->conn, NULL, err);
    if (r == 0)
        r = fv_pg_take(txn->conn, &result, err);
    end = fv_pg_pipeline_end(txn->conn, r < 0 ? NULL : err);
    if (r == 0)
        r = end;
    if (r == 0)
        read_meta(result, &meta);
    PQclear(result);
    /* Without a schema nothing was found out: the meta of none gives the words. */
    return r == 0 || r == FLAGVER_ESCHEMA ? confirm(txn->store, &meta, err) : r;
}

/* A connection that died while it was idle is replaced, once. */
static int open_in(flagver_driver_txn *txn, int mode, flagver_error *err)
{
    bool fresh;
    int r;

    r = fv_pg_pool_take(txn->store, mode, &txn->conn, &fresh, err);
    if (r < 0)
        return r;
    r = open_transaction(txn, err);
    if (r == 0 || fresh || !fv_pg_is_lost(txn->conn))
        return r;
    r = fv_pg_pool_renew(&txn->conn, err);
    return r == 0 ? open_transaction(txn, err) : r;
}

/* What a rollback cannot end is closed by the pool. */
static void undo(struct fv_pg *conn)
{
    if (!fv_pg_is_lost(conn) && PQtransactionStatus(conn->pq) != PQTRANS_IDLE)
        fv_pg_execute(conn, "ROLLBACK", NULL);
}

/* Does a standby not have all yet that this process has been told of? */
static int is_behind(const flagver_driver_txn *txn, bool *ret_behind, flagver_error *err)
{
    uint64_t seen, size;
    int r;

    *ret_behind = false;
    seen = txn->conn->standby ? fv_pg_seen(txn->store, txn->tenant) : 0;
    if (seen == 0)
        return 0;
    r = fv_pg_log_size(txn->conn, txn->tenant, &size, err);
    *ret_behind = r == 0 && size < seen;
    return r;
}

/* Reads go to a standby where that is asked for, but never back behind what was seen. */
static int start(flagver_driver_txn *txn, flagver_error *err)
{
    bool behind = false;
    int r = open_in(txn, txn->mode, err);

    if (r == 0)
        r = is_behind(txn, &behind, err);
    if (r < 0 || !behind)
        return r;
    undo(txn->conn);
    fv_pg_pool_put(txn->conn);
    txn->conn = NULL;
    r = open_in(txn, FV_PG_MODE_NEWEST, err);
    if (r == 0)
        r = is_behind(txn, &behind, err);
    return r == 0 && behind
               ? fv_fail(err, FLAGVER_EUNAVAILABLE,
                         "%.500s: only a standby answers, which does not have yet what "
                         "was seen already",
                         txn->store->target.shown)
               : r;
}

static void end_own(flagver_driver_txn *txn)
{
    if (txn->conn) {
        fv_pg_settle(txn, NULL);
        undo(txn->conn);
        fv_pg_take_back(txn->conn);
        fv_pg_pool_put(txn->conn);
    }
    fv_pg_txn_free(txn);
}

int fv_pg_begin(flagver_store *store, flagver_bytes tenant, int mode, flagver_driver_txn **ret_txn,
                flagver_error *err)
{
    flagver_driver_txn *txn;
    int r;

    if (tenant.length == 0 && mode == FLAGVER_MODE_WRITE)
        return fv_fail(err, FLAGVER_EINVAL, "a transaction without a tenant only reads");
    if (store->read_only && mode == FLAGVER_MODE_WRITE)
        return fv_fail(err, FLAGVER_EINVAL, "%.500s was opened for reading only",
                       store->target.shown);
    txn = fv_pg_txn_new(store, tenant, mode);
    if (!txn)
        return fv_fail_memory(err);
    r = start(txn, err);
    if (r < 0) {
        end_own(txn);
        return r;
    }
    *ret_txn = txn;
    return 0;
}

/* ---- the end ---- */

static int fail_lost(flagver_error *err)
{
    return fv_fail(err, FLAGVER_EUNAVAILABLE,
                   "the connection was lost and the transaction with it; nothing has happened");
}

static int check_open(flagver_driver_txn *txn, flagver_error *err)
{
    int r = fv_pg_settle(txn, err);

    if (r < 0)
        return r;
    if (fv_pg_is_lost(txn->conn))
        return fail_lost(err);
    if (txn->failed)
        return fv_fail(err, FLAGVER_EINVAL,
                       "a change of this transaction was refused; it can only be rolled back");
    return txn->conn->lent ? fv_pg_check_lent(txn->conn, err) : 0;
}

/* Something to read that nobody has asked for is the end, or a notice. */
static bool has_ended(struct fv_pg *conn)
{
    struct pollfd socket = { .fd = PQsocket(conn->pq), .events = POLLIN };

    while (!fv_pg_is_lost(conn) && poll(&socket, 1, 0) > 0) {
        if (!PQconsumeInput(conn->pq))
            return true;
        (void)PQisBusy(conn->pq); /* which reads what has come */
    }
    return fv_pg_is_lost(conn);
}

/* Did the server say what became of COMMIT? What ends a session may come before and after it. */
static bool is_certain(const struct fv_pg *conn, const flagver_error *problem)
{
    const char *state = problem->sqlstate;

    return PQstatus(conn->pq) == CONNECTION_OK && *state && strncmp(state, "08", 2) != 0 &&
           strncmp(state, "57P", 3) != 0;
}

/*
 * What comes back decides. An error is one that came before the commit: deferred constraints are
 * checked, serialisable transactions refused. A transaction that had failed unnoticed ends with
 * the tag "ROLLBACK".
 */
static int commit_write(struct fv_pg *conn, flagver_error *err)
{
    static const struct fv_pg_statement commit = { FV_PG_COMMIT, "COMMIT" };
    flagver_error problem = { .code = 0 };
    PGresult *result;
    bool committed;
    int r;

    if (has_ended(conn)) {
        conn->broken = true;
        return fail_lost(err);
    }
    r = fv_pg_query(conn, &commit, NULL, &result, &problem);
    if (r < 0 && !is_certain(conn, &problem)) {
        conn->broken = true;
        fv_fail(err, FLAGVER_EUNKNOWN, "the connection was lost during the commit: %.800s",
                problem.message);
        if (err)
            memcpy(err->sqlstate, problem.sqlstate, sizeof err->sqlstate);
        return FLAGVER_EUNKNOWN;
    }
    if (r < 0) {
        if (err)
            *err = problem;
        return r;
    }
    committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    return committed ? 0
                     : fv_fail(err, FLAGVER_EBUSY, "the server has rolled the transaction back");
}

int fv_pg_commit(flagver_driver_txn *txn, flagver_error *err)
{
    int r = 0;

    if (txn->adopted)
        return fv_pg_enlisted_commit(txn, err);
    if (txn->mode == FLAGVER_MODE_WRITE) {
        r = check_open(txn, err);
        if (r == 0)
            r = commit_write(txn->conn, err);
        if (r == 0 && txn->grown)
            fv_pg_notify(txn->conn, txn->tenant);
    }
    end_own(txn);
    return r;
}

void fv_pg_rollback(flagver_driver_txn *txn)
{
    if (txn->adopted)
        fv_pg_enlisted_rollback(txn);
    else
        end_own(txn);
}

/* ---- around what may be refused ---- */

int fv_pg_guard_begin(flagver_driver_txn *txn, flagver_error *err)
{
    int r = check_open(txn, err);

    return r == 0 && txn->adopted ? fv_pg_enlisted_guard_begin(txn, err) : r;
}

int fv_pg_guard_end(flagver_driver_txn *txn, int r, flagver_error *err)
{
    if (txn->adopted)
        return fv_pg_enlisted_guard_end(txn, r, err);
    txn->failed = txn->failed || r < 0;
    return r;
}

/* ---- outcome ---- */

/*
 * Which transaction is asking, as its rivals' server knows it (a pooler tells the client another
 * number), and patience for twice as long as a lock is waited for: when half of it is over the
 * rivals are ended.
 */
static int get_patience(struct fv_pg *conn, int64_t wait_ms, int64_t *ret_pid, flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        -1, "SELECT pg_catalog.pg_backend_pid()::bigint,"
            " pg_catalog.set_config('lock_timeout', $1::pg_catalog.text, true)"
    };
    struct fv_pg_parameters parameters = { .count = 0 };
    PGresult *result;
    int r;

    fv_pg_number(&parameters, 2 * wait_ms + 1000);
    r = fv_pg_query(conn, &statement, &parameters, &result, err);
    if (r < 0)
        return r;
    *ret_pid = fv_pg_get_number(result, 0, 0);
    PQclear(result);
    return 0;
}

/*
 * Whoever stands in the way has written the same row and is not at its end yet: what a lost
 * connection has left behind. It is not ours to end when another role has made it.
 */
static void end_rivals(flagver_store *store, int64_t pid)
{
    static const struct fv_pg_statement statement = {
        -1, "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a"
            " WHERE a.pid = ANY (pg_catalog.pg_blocking_pids($1::integer))"
            " AND a.usename = current_user"
    };
    struct fv_pg_parameters parameters = { .count = 0 };
    struct fv_pg *conn;

    /* Not the pool's: all of those may be waiting for the same. */
    if (fv_pg_connect(store, false, &conn, NULL) < 0)
        return;
    fv_pg_number(&parameters, pid);
    fv_pg_query(conn, &statement, &parameters, NULL, NULL);
    fv_pg_disconnect(conn);
}

static bool answers_within(const struct fv_pg *conn, int wait_ms)
{
    struct pollfd socket = { .fd = PQsocket(conn->pq), .events = POLLIN };
    int r;

    do
        r = poll(&socket, 1, wait_ms);
    while (r < 0 && errno == EINTR);
    return r != 0;
}

/*
 * An insert of the same key waits for the end of whoever has inserted it: after that it finds a
 * row, or becomes one. A commit is sent only after the row was written, so what may still commit
 * has it.
 */
static int insert_rival(flagver_driver_txn *txn, flagver_bytes key, int64_t pid,
                        bool *ret_committed, flagver_error *err)
{
    static const struct fv_pg_statement insert = {
        FV_PG_REQUEST, "INSERT INTO flagver.keyed (tenant, space, key, rev, time, value)"
                       " VALUES ($1, 'request', $2, 1, 1, '') ON CONFLICT DO NOTHING"
    };
    struct fv_pg_parameters parameters = { .count = 0 };
    struct fv_pg *conn = txn->conn;
    PGresult *result;
    int r;

    fv_pg_text(&parameters, txn->tenant);
    fv_pg_text(&parameters, key);
    r = fv_pg_queue(conn, &insert, &parameters, err);
    if (r == 0)
        r = fv_pg_flush(conn, err);
    if (r < 0) {
        conn->broken = true;
        return r;
    }
    if (!answers_within(conn, txn->store->wait_ms))
        end_rivals(txn->store, pid);
    r = fv_pg_take(conn, &result, err);
    if (r < 0)
        return r;
    *ret_committed = strcmp(PQcmdTuples(result), "0") == 0;
    PQclear(result);
    return 0;
}

static int find_outcome(flagver_driver_txn *txn, flagver_bytes key, bool *ret_committed,
                        flagver_error *err)
{
    bool committed = false;
    int64_t pid = 0;
    int r, end;

    r = get_patience(txn->conn, txn->store->wait_ms, &pid, err);
    if (r == 0)
        r = fv_pg_pipeline_begin(txn->conn, err);
    if (r < 0)
        return r;
    r = insert_rival(txn, key, pid, &committed, err);
    end = fv_pg_pipeline_end(txn->conn, r < 0 ? NULL : err);
    r = r < 0 ? r : end;
    if (r == FLAGVER_EBUSY)
        return fv_fail(err, FLAGVER_EBUSY,
                       "a transaction under this key is still open, and is not this role's to end");
    if (r == 0)
        *ret_committed = committed;
    return r;
}

/*
 * A commit whose session was ended while it waited for a standby can be seen, though no standby has
 * it. One that follows it waits for both.
 */
static int wait_for_standbys(flagver_driver_txn *txn, flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        -1, "SELECT pg_catalog.pg_logical_emit_message(true, 'flagver', ''::pg_catalog.text)"
    };
    int r = fv_pg_query(txn->conn, &statement, NULL, NULL, err);

    return r < 0 ? r : commit_write(txn->conn, err);
}

int fv_pg_outcome(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                  bool *ret_committed, flagver_error *err)
{
    flagver_driver_txn *txn;
    bool committed = false;
    int r;

    r = fv_pg_begin(store, tenant, FLAGVER_MODE_WRITE, &txn, err);
    if (r < 0)
        return r;
    r = find_outcome(txn, key, &committed, err);
    if (r == 0 && committed)
        r = wait_for_standbys(txn, err);
    if (r == 0)
        *ret_committed = committed;
    fv_pg_rollback(txn);
    return r;
}

/* ---- locking series ---- */

/*
 * One row is asked for as a range from itself to itself, in order: then a planner that takes the
 * tenant for a small one cannot choose to go through all of it. Many are asked for one after the
 * other, as they are named, so they are locked in the order of their keys.
 */
#define SERIES_COLUMNS "s.id, s.last_no, s.current_no, s.rev, s.changed_at"
#define SERIES_OF(phase, subject)                                                              \
    "SELECT " SERIES_COLUMNS " FROM flagver.series s WHERE s.tenant = $1 AND s.phase = " phase \
    " AND s.subject >= " subject " AND s.subject <= " subject " ORDER BY s.subject LIMIT 1"
#define NAMED_SERIES(locked)                                            \
    " FROM unnest($2, $3) WITH ORDINALITY AS k (phase, subject, place)" \
    " CROSS JOIN LATERAL (" SERIES_OF("k.phase", "k.subject") locked ") s"

static void read_series(const PGresult *result, int row, flagver_series_row *series)
{
    fv_pg_get_id(result, row, 0, &series->id);
    series->last_no = (uint32_t)fv_pg_get_number(result, row, 1);
    series->current_no = (uint32_t)fv_pg_get_number(result, row, 2);
    series->rev = fv_pg_get_number(result, row, 3);
    series->changed_at = fv_pg_get_number(result, row, 4);
}

static void read_nothing(flagver_series_row *series)
{
    memset(&series->id, 0, sizeof series->id);
    series->last_no = series->current_no = 0;
    series->rev = series->changed_at = 0;
}

static int lock_one(flagver_driver_txn *txn, flagver_series_row *series, flagver_error *err)
{
    static const struct fv_pg_statement statement = { FV_PG_LOCK_SERIES,
                                                      SERIES_OF("$2", "$3") " FOR UPDATE" };
    struct fv_pg_parameters parameters = { .count = 0 };
    PGresult *result;
    int r;

    fv_pg_text(&parameters, txn->tenant);
    fv_pg_text(&parameters, series->phase);
    fv_pg_text(&parameters, series->subject);
    r = fv_pg_query(txn->conn, &statement, &parameters, &result, err);
    if (r < 0)
        return r;
    if (PQntuples(result) > 0)
        read_series(result, 0, series);
    else
        read_nothing(series);
    PQclear(result);
    return 0;
}

static void add_word(struct fv_text *out, size_t word)
{
    const char bytes[4] = { (char)(word >> 24), (char)(word >> 16), (char)(word >> 8), (char)word };

    fv_text_add_bytes(out, bytes, sizeof bytes);
}

/* text[] as it travels: of one dimension, without nulls, counted from 1. */
static void start_array(struct fv_text *out, size_t count)
{
    add_word(out, 1);
    add_word(out, 0);
    add_word(out, 25); /* text */
    add_word(out, count);
    add_word(out, 1);
}

static void add_element(struct fv_text *out, flagver_bytes text)
{
    add_word(out, text.length);
    fv_text_add_bytes(out, text.data, text.length);
}

static void add_array(struct fv_pg_parameters *parameters, const struct fv_text *array)
{
    fv_pg_bytea(parameters, (flagver_bytes){ array->data, array->length });
    parameters->types[parameters->count - 1] = OID_TEXT_ARRAY;
}

struct names {
    struct fv_text phases, subjects;
    struct fv_pg_parameters parameters;
};

static void clear_names(struct names *names)
{
    fv_text_clear(&names->phases);
    fv_text_clear(&names->subjects);
}

static int fill_names(struct names *names, const flagver_driver_txn *txn,
                      const flagver_series_row *series, size_t count, flagver_error *err)
{
    size_t i;

    names->phases = names->subjects = (struct fv_text)FV_TEXT_INIT;
    names->parameters.count = 0;
    start_array(&names->phases, count);
    start_array(&names->subjects, count);
    for (i = 0; i < count; i++) {
        add_element(&names->phases, series[i].phase);
        add_element(&names->subjects, series[i].subject);
    }
    if (names->phases.failed || names->subjects.failed) {
        clear_names(names);
        return fv_fail_memory(err);
    }
    fv_pg_text(&names->parameters, txn->tenant);
    add_array(&names->parameters, &names->phases);
    add_array(&names->parameters, &names->subjects);
    return 0;
}

static int lock_named(flagver_driver_txn *txn, const struct fv_pg_statement *statement,
                      const struct names *names, flagver_series_row *series, size_t count,
                      int *ret_found, flagver_error *err)
{
    PGresult *result;
    size_t i, place;
    int r, row;

    r = fv_pg_query(txn->conn, statement, &names->parameters, &result, err);
    if (r < 0)
        return r;
    for (i = 0; i < count; i++)
        read_nothing(&series[i]);
    for (row = 0; row < PQntuples(result); row++) {
        place = (size_t)fv_pg_get_number(result, row, 5) - 1;
        if (place < count)
            read_series(result, row, &series[place]);
    }
    *ret_found = PQntuples(result);
    PQclear(result);
    return 0;
}

static int lock_many(flagver_driver_txn *txn, const struct names *names, flagver_series_row *series,
                     size_t count, flagver_error *err)
{
    static const struct fv_pg_statement statement = { -1, "SELECT " SERIES_COLUMNS
                                                          ", k.place" NAMED_SERIES(" FOR UPDATE") };
    int found;

    return lock_named(txn, &statement, names, series, count, &found, err);
}

/*
 * Those that another transaction has locked are passed over, so that this one goes on; they are
 * missed when all are counted.
 */
static int try_many(flagver_driver_txn *txn, const struct names *names, flagver_series_row *series,
                    size_t count, bool *ret_busy, flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        FV_PG_TRY_SERIES,
        "SELECT " SERIES_COLUMNS ", k.place" NAMED_SERIES(" FOR UPDATE SKIP LOCKED")
    };
    static const struct fv_pg_statement counting = { -1, "SELECT pg_catalog.count(*)" NAMED_SERIES(
                                                             "") };
    PGresult *result;
    int found, r;

    r = lock_named(txn, &statement, names, series, count, &found, err);
    if (r < 0 || (size_t)found == count)
        return r;
    r = fv_pg_query(txn->conn, &counting, &names->parameters, &result, err);
    if (r < 0)
        return r;
    *ret_busy = fv_pg_get_number(result, 0, 0) > found;
    PQclear(result);
    return 0;
}

static int lock_by_names(flagver_driver_txn *txn, flagver_series_row *series, size_t count,
                         int try_only, bool *ret_busy, flagver_error *err)
{
    struct names names;
    int r = fill_names(&names, txn, series, count, err);

    if (r < 0)
        return r;
    r = try_only ? try_many(txn, &names, series, count, ret_busy, err)
                 : lock_many(txn, &names, series, count, err);
    clear_names(&names);
    return r;
}

int fv_pg_lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
               flagver_error *err)
{
    bool busy = false;
    int r;

    if (count == 0)
        return 0;
    r = fv_pg_guard_begin(txn, err);
    if (r < 0)
        return r;
    r = count == 1 && !try_only ? lock_one(txn, series, err)
                                : lock_by_names(txn, series, count, try_only, &busy, err);
    r = fv_pg_guard_end(txn, r, err);
    if (r == 0 && busy)
        return fv_fail(err, FLAGVER_EBUSY, "another transaction has locked the record");
    return r;
}

/* ---- locking the log ---- */

static int lock_row(flagver_driver_txn *txn, bool *ret_there, uint64_t *ret_size,
                    flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        FV_PG_LOCK_LOG, "SELECT size FROM flagver.log WHERE tenant = $1 FOR UPDATE"
    };
    struct fv_pg_parameters parameters = { .count = 0 };
    PGresult *result;
    int r;

    fv_pg_text(&parameters, txn->tenant);
    r = fv_pg_query(txn->conn, &statement, &parameters, &result, err);
    if (r < 0)
        return r;
    *ret_there = PQntuples(result) > 0;
    *ret_size = *ret_there ? (uint64_t)fv_pg_get_number(result, 0, 0) : 0;
    PQclear(result);
    return 0;
}

/*
 * The row is made with the first leaf; until then a lock on the tenant's name takes its place.
 * Everybody on the server can see its number in pg_locks, so that has the store's id in it, too,
 * which only those know whom its owner has admitted. Two names may share a number, which does no
 * harm: nothing is locked after it, so that nobody waits in a circle.
 */
static int lock_name(flagver_driver_txn *txn, flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        -1, "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.concat('x', pg_catalog.substr("
            "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to("
            "pg_catalog.concat(m.store, $1), 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint)"
            " FROM flagver.meta m"
    };
    struct fv_pg_parameters parameters = { .count = 0 };

    fv_pg_text(&parameters, txn->tenant);
    return fv_pg_query(txn->conn, &statement, &parameters, NULL, err);
}

static int lock_size(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err)
{
    bool there;
    int r = lock_row(txn, &there, ret_size, err);

    if (r < 0 || there)
        return r;
    r = lock_name(txn, err);
    return r < 0 ? r : lock_row(txn, &there, ret_size, err); /* made while we were waiting? */
}

int fv_pg_lock_log(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err)
{
    uint64_t size = 0;
    int r = fv_pg_guard_begin(txn, err);

    if (r < 0)
        return r;
    r = fv_pg_guard_end(txn, lock_size(txn, &size, err), err);
    if (r == 0)
        *ret_size = size;
    return r;
}
