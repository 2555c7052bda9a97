/*
 * What the files of the PostgreSQL driver share.
 *
 * A store has a few connections, each used by one thread at a time:
 *
 *   idle      those that no transaction is using: to the server that writes, and, when reads
 *             are to come from a standby, to that
 *   listener  hears NOTIFY, a hint that a log has grown; kept out of poolers' way
 *
 * postgres_uri.c         what stands in a URI for us, and what is libpq's
 * postgres_connection.c  one connection: opening, statements, errors
 * postgres_pool.c        the connections of a store
 * postgres_fork.c        what becomes of them in a child of the process
 * postgres_notify.c      telling others that a log has grown, and hearing it
 * postgres_steps.c       the schema: what it is, step by step
 * postgres_schema.c      the schema: which one is there, up and down
 * postgres_verify.c      the schema: is it what it should be; are tenants kept apart
 * postgres_doctor.c      the server: what may be wrong with it
 * postgres_txn.c         transactions of our own; locks, outcomes
 * postgres_enlist.c      inside the application's transactions
 * postgres_within.c      rows that are held, parts that are taken back, statements of the
 *                        application's
 * postgres_apply.c       what a transaction writes, statement by statement
 * postgres_bulk.c        and many rows at once
 * postgres_rows.c        rows as parameters of statements
 * postgres_scan.c        what it reads
 * postgres.c             the driver's table, and what has no transaction
 *
 * Every statement names its schema: no setting of the application's may change what it
 * means. Everything that is sent and comes back is in PostgreSQL's binary form. All whole numbers
 * are bigint and travel as such, texts are text COLLATE "C", ids uuid, hashes and
 * payloads bytea, truths boolean; "none" (0 in numbers that say so, NULL in texts) is null.
 */
#ifndef FV_DRIVER_POSTGRES_INTERNAL_H
#define FV_DRIVER_POSTGRES_INTERNAL_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "driver/postgres.h"
#include "driver/sql.h"
#include "util/map.h"
#include "util/text.h"

#define FV_PG_WORDS 700 /* room for words of the server's that are quoted in ours */

/* ---- URIs ---- */

/*
 * What we take out of a URI's parameters before libpq gets the rest:
 *
 *   flagver_pool        connections that are kept, 1 to 1000; 8
 *   flagver_reads       "primary" or "standby": where transactions go that only read; primary
 *   flagver_statement_ms, flagver_idle_ms
 *                       what a statement may take, and how long a transaction may wait for its
 *                       next one: 30000 and 60000; 0: no limit of ours
 */
struct fv_pg_target {
    char *uri;   /* for libpq */
    char *shown; /* without password, for words */
    int32_t pool, statement_ms, idle_ms;
    bool standby_reads;
};

int fv_pg_target_parse(const char *path, const flagver_allocator *memory,
                       struct fv_pg_target *ret_target, flagver_error *err);
void fv_pg_target_clear(struct fv_pg_target *target, const flagver_allocator *memory);

/* ---- connections ---- */

#define FV_PG_KEPT 128 /* statements that a connection can keep prepared */

/*
 * A statement: its text, and its place among those that a connection keeps prepared. Behind a
 * pooler nothing is kept. `slot` -1: it is not worth keeping.
 */
struct fv_pg_statement {
    int slot;
    const char *sql;
};

/* The places; scans have those from FV_PG_SCANS on. */
enum fv_pg_slot {
    FV_PG_BEGIN_WRITE,
    FV_PG_BEGIN_READ,
    FV_PG_ENTER, /* the tenant and the limits of a transaction */
    FV_PG_COMMIT,
    FV_PG_LOG_SIZE,
    FV_PG_NOTIFY,
    FV_PG_LOCK_SERIES,
    FV_PG_TRY_SERIES,
    FV_PG_LOCK_LOG,
    FV_PG_HOLD,
    FV_PG_HOLD_SHARED,
    FV_PG_HELD,
    FV_PG_REQUEST,
    FV_PG_SERIES_NEW,
    FV_PG_SERIES_CHANGE,
    FV_PG_SERIES_ANY,
    FV_PG_PAYLOAD,
    FV_PG_SHRED,
    FV_PG_VERSION_NEW,
    FV_PG_VERSION_CHANGE,
    FV_PG_ITEM,
    FV_PG_ITEM_DELETE,
    FV_PG_VOTE,
    FV_PG_CONTRIBUTOR,
    FV_PG_LEAF,
    FV_PG_NODE,
    FV_PG_HEAD,
    FV_PG_KEYED_NEW,
    FV_PG_KEYED_CHANGE,
    FV_PG_KEYED_ANY,
    FV_PG_KEYED_DELETE,
    FV_PG_KEYED_DELETE_ANY,
    FV_PG_KEYED_EXPIRE,
    FV_PG_MANY_SERIES,
    FV_PG_MANY_PAYLOADS,
    FV_PG_MANY_VERSIONS,
    FV_PG_MANY_ITEMS,
    FV_PG_MANY_CONTRIBUTORS,
    FV_PG_MANY_LEAVES,
    FV_PG_MANY_NODES,
    FV_PG_MANY_KEYED,
    FV_PG_SCANS
};

struct fv_pg {
    PGconn *pq;
    flagver_store *store;
    bool pooled;   /* a pooler is between us and the server: sessions are not ours */
    bool bypasses; /* the role is not bound by row-level security */
    bool standby;  /* for reading only */
    bool adopted;  /* the application's: nothing is kept, no setting is touched */
    bool lent;     /* the application may use it between our calls, and nothing is kept */
    bool broken;   /* not to be used again */
    int mode;      /* what the pool has given it out for */
    uint64_t kept[FV_PG_KEPT / 64]; /* slots whose statement is prepared */
    uint32_t cursors;               /* made so far, for their names */
    int *awaited;                   /* in a pipeline: what each answer will be to */
    size_t awaited_count, awaited_capacity, awaited_at;
    struct fv_pg *next_idle;

    _Atomic(struct fv_pg *) next_ours; /* of all of this process, for its children */
    dev_t device;                      /* which file its socket is */
    ino_t inode;
    atomic_int socket, ear; /* descriptors of that; -1: none */
};

/* Connect; `standby`: to a server that only reads, if there is one. */
int fv_pg_connect(flagver_store *store, bool standby, struct fv_pg **ret_conn, flagver_error *err);
void fv_pg_disconnect(struct fv_pg *conn); /* NULL is fine */

/* Which connections there are, and what they are connected by: for children of this process. */
void fv_pg_count_in(struct fv_pg *conn);
void fv_pg_count_out(const struct fv_pg *conn);
void fv_pg_note_socket(struct fv_pg *conn);

/*
 * What the server has just refused, as our error; `result` NULL: the connection itself failed,
 * and it is broken. Codes by SQLSTATE:
 *
 *   EBUSY         40001 40P01 55P03 57014
 *   ECONFLICT     23505
 *   ECORRUPT      other 23…, 22…, 42501 of a row that row-level security refuses, P0001
 *   ESCHEMA       3F000 42P01 42703 42883
 *   EUNAVAILABLE  08… 25006 28… 3D000 42501 53… 57P… and no answer
 *   EIO           anything else
 */
int fv_pg_fail(struct fv_pg *conn, const PGresult *result, flagver_error *err);

/* Is it the application's as well as ours? Then nothing is under way between our calls. */
bool fv_pg_is_shared(const struct fv_pg *conn);

/* The SQLSTATE of an answer, "" when it has none. */
const char *fv_pg_state(const PGresult *result);

/*
 * Parameters in the order of their numbers. What they point to is borrowed until the
 * statement has been sent.
 */
#define FV_PG_PARAMETERS 24

struct fv_pg_parameters {
    int count;
    Oid types[FV_PG_PARAMETERS];
    const char *values[FV_PG_PARAMETERS];
    int lengths[FV_PG_PARAMETERS], formats[FV_PG_PARAMETERS];
    unsigned char numbers[FV_PG_PARAMETERS][8];
};

void fv_pg_text(struct fv_pg_parameters *parameters, flagver_bytes text); /* none: null */
void fv_pg_bytea(struct fv_pg_parameters *parameters, flagver_bytes bytes);
void fv_pg_hash(struct fv_pg_parameters *parameters, const uint8_t hash[32]);
void fv_pg_id(struct fv_pg_parameters *parameters, const flagver_id *id);
void fv_pg_number(struct fv_pg_parameters *parameters, int64_t number);
void fv_pg_positive(struct fv_pg_parameters *parameters, int64_t number); /* 0: null */

/* A statement and its answer; `*ret_result` is to be cleared with PQclear(). NULL is fine for it. */
int fv_pg_query(struct fv_pg *conn, const struct fv_pg_statement *statement,
                const struct fv_pg_parameters *parameters, PGresult **ret_result,
                flagver_error *err);

/* Two statements on one way; the answer of the second one. */
int fv_pg_query_both(struct fv_pg *conn, const struct fv_pg_statement *first,
                     const struct fv_pg_parameters *of_first, const struct fv_pg_statement *second,
                     const struct fv_pg_parameters *of_second, PGresult **ret_result,
                     flagver_error *err);

/*
 * A statement without parameters that is not kept, whose answer is taken later, before anything
 * else is asked; NULL: the connection is lost. False: it was not sent, since it could not, or the
 * answers of a pipeline are still to be taken.
 */
bool fv_pg_send(struct fv_pg *conn, const struct fv_pg_statement *statement);
PGresult *fv_pg_receive(struct fv_pg *conn);

/* Without parameters or answer; may be several statements. */
int fv_pg_execute(struct fv_pg *conn, const char *sql, flagver_error *err);

/*
 * Around what is asked outside of a store's transactions: a short one, that only reads, with the
 * limits that those have. fv_pg_aside_end() hands on `r`.
 */
int fv_pg_aside_begin(struct fv_pg *conn, flagver_error *err);
int fv_pg_aside_end(struct fv_pg *conn, int r, flagver_error *err);

/* In a transaction: locks are waited for as long as the store says. */
int fv_pg_limit_locks(struct fv_pg *conn, flagver_error *err);

/* An error that is about a limit says which one it is; hands on `r`. */
int fv_pg_name_limit(const struct fv_pg *conn, int r, flagver_error *err);

/*
 * Many statements on one way: queue them, then take their answers in order. After an error the
 * server passes over what is queued behind it; fv_pg_pipeline_end() takes what is still to come,
 * and returns the first error that nobody took. Between begin and end nothing else may be asked.
 *
 *     fv_pg_pipeline_begin(conn, err);
 *     fv_pg_queue(conn, &first, &parameters, err);
 *     fv_pg_queue(conn, &second, &parameters, err);
 *     fv_pg_flush(conn, err);                 sync, and send
 *     fv_pg_take(conn, &result, err);         of the first; an error is returned as such
 *     fv_pg_take(conn, &result, err);
 *     fv_pg_pipeline_end(conn, err);
 */
int fv_pg_pipeline_begin(struct fv_pg *conn, flagver_error *err);
int fv_pg_queue(struct fv_pg *conn, const struct fv_pg_statement *statement,
                const struct fv_pg_parameters *parameters, flagver_error *err);
int fv_pg_flush(struct fv_pg *conn, flagver_error *err);
int fv_pg_take(struct fv_pg *conn, PGresult **ret_result, flagver_error *err);
int fv_pg_pipeline_end(struct fv_pg *conn, flagver_error *err);

/* Columns of an answer; null is 0, none, or false. */
int64_t fv_pg_get_number(const PGresult *result, int row, int column);
flagver_bytes fv_pg_get_bytes(const PGresult *result, int row, int column);
void fv_pg_get_id(const PGresult *result, int row, int column, flagver_id *ret_id);
bool fv_pg_get_truth(const PGresult *result, int row, int column);

/* ---- stores ---- */

/*
 * Connections of one purpose. Writing and reading have each their own, as many as the URI says:
 * who writes may read meanwhile, and must not wait for himself.
 */
struct fv_pg_seat {
    struct fv_pg *idle;
    int taken, idle_count;
};

/* As FLAGVER_MODE_READ, of the server that writes, also where reads are to come from a standby. */
#define FV_PG_MODE_NEWEST 3

/* What was seen when a connection was made last: for health, which asks nobody. */
struct fv_pg_facts {
    int server_version; /* 150004 is 15.4; 0: none was made yet */
    bool pooled, bypasses, standby;
    char host[128], database[64], role[64];
};

struct flagver_store {
    flagver_allocator hooks;
    const flagver_allocator *memory; /* &hooks, or NULL */
    struct fv_pg_target target;
    bool read_only, no_upgrade;
    int32_t wait_ms;

    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t returned;
    struct fv_pg_seat seats[3]; /* for writing, for reading, for reading what is newest */
    struct fv_pg_facts facts;
    struct fv_pg_note *notes; /* by tenant: when others were told last */
    flagver_id id;            /* of the schema's meta, once a transaction has seen it */
    bool has_id;
    struct fv_map tenants; /* whose logs were looked at, where standbys are read from */
    uint64_t *seen;        /* by their numbers: the longest that each was then */
    size_t seen_capacity;

    pthread_mutex_t hearing; /* over what follows; before `lock` */
    struct fv_pg *listener;
    int watch;            /* an epoll descriptor that has the listener's socket; -1: none */
    int alarm;            /* in it, too: a timer that wakes those who watch */
    int64_t listen_again; /* on the monotonic clock, in ms: not before */
    int32_t listen_pause; /* what is waited for after a try that failed, in ms; 0: none did */
};

int fv_pg_pool_init(flagver_store *store, flagver_error *err);
void fv_pg_pool_close(flagver_store *store);

/*
 * A connection for a transaction of this mode. While all are taken somebody's is waited for, for
 * wait_ms: FLAGVER_EBUSY. One that was idle looks alive but may have died on the way:
 * `*ret_fresh` (may be NULL) says that it was made just now. fv_pg_pool_renew() puts a new one in
 * the place of a broken one; when it fails the place is free again and `*conn` is NULL.
 */
int fv_pg_pool_take(flagver_store *store, int mode, struct fv_pg **ret_conn, bool *ret_fresh,
                    flagver_error *err);
int fv_pg_pool_renew(struct fv_pg **conn, flagver_error *err);

/*
 * How long this process has seen a tenant's log, from the moment on that somebody notes it. Only
 * for stores that read from standbys.
 */
int fv_pg_note_seen(flagver_store *store, flagver_bytes tenant, uint64_t size, flagver_error *err);
uint64_t fv_pg_seen(flagver_store *store, flagver_bytes tenant);

/* Outside of a transaction; a broken one, or one that is still in a transaction, is closed. */
void fv_pg_pool_put(struct fv_pg *conn);

/* ---- notify ---- */

/* The tenant's log has grown: tell others, unless they were told a moment ago. Never fails. */
void fv_pg_notify(struct fv_pg *conn, flagver_bytes tenant);

/* What was kept back then, if its time has come. Never fails. */
void fv_pg_notify_rest(struct fv_pg *conn);

/* The descriptor; opened on first use, -1 when there is none to be had. */
int fv_pg_watch_fd(flagver_store *store);

/* "true" or "false"; "null" while somebody is at it, who is not waited for. */
const char *fv_pg_listens(flagver_store *store);

/* Take what has been heard, so that the descriptor rests; connect again when that was lost. */
void fv_pg_hear(flagver_store *store);
void fv_pg_notify_close(flagver_store *store);

/* ---- the schema ---- */

/*
 * From one version to the next and back: statements that name the schema as "flagver.", except in
 * quotes, so that they can be made elsewhere for comparison; then NULL. Version 1 never was there:
 * the steps begin with 2, and end with version 0.
 */
struct fv_pg_step {
    uint32_t version, compatible; /* what meta says after `up` */
    const char *const *up, *const *down;
};

extern const struct fv_pg_step fv_pg_steps[];

struct fv_pg_meta {
    flagver_id store;
    uint32_t version, compatible; /* version 0: there is no schema */
};

int fv_pg_meta_read(struct fv_pg *conn, struct fv_pg_meta *ret_meta, flagver_error *err);

/* Can this library work with it? Else FLAGVER_ESCHEMA, with the command that helps. */
int fv_pg_meta_check(const struct fv_pg_meta *meta, flagver_error *err);

int fv_pg_schema_version(flagver_store *store, uint32_t *ret_version, flagver_error *err);
int fv_pg_schema_migrate(flagver_store *store, uint32_t to, flagver_error *err);
int fv_pg_schema_verify(flagver_store *store, void (*found)(void *data, const char *line),
                        void (*checked)(void *data, const char *line), void *data,
                        flagver_error *err);

/* As examine in flagver/driver.h: postgres_doctor.c. */
int fv_pg_examine(flagver_store *store, void (*visit)(void *data, int finding, const char *line),
                  void *data, flagver_error *err);

/* ---- transactions ---- */

struct flagver_driver_txn {
    flagver_store *store;
    struct fv_pg *conn;
    flagver_bytes tenant; /* a copy */
    int mode;
    bool adopted;
    bool grown;          /* leaves were appended */
    bool failed;         /* the server takes nothing more but ROLLBACK */
    flagver_error late;  /* what was refused behind a call's back: every later one is told */
    uint32_t savepoint;  /* of an adopted one: its number in this process, and in its name */
    bool sees_one_state; /* of an adopted one: as it was when the transaction began */
    PGresult *held;      /* the row that was held last */
    PGresult *before;    /* and what was set before: the tenant, in column 0 */
    struct fv_text copy; /* room for rows on their way into a table */
    struct fv_pg_sender *sender; /* what was sent */
    bool behind;                 /* and its answers are still to be taken: see fv_pg_settle() */
    flagver_cursor *ahead;       /* whose next rows are on their way: see fv_pg_scan_settle() */
};

int fv_pg_begin(flagver_store *store, flagver_bytes tenant, int mode, flagver_driver_txn **ret_txn,
                flagver_error *err);
int fv_pg_adopt(flagver_store *store, flagver_bytes tenant, const flagver_adoption *adoption,
                flagver_driver_txn **ret_txn, flagver_error *err);
int fv_pg_commit(flagver_driver_txn *txn, flagver_error *err);
void fv_pg_rollback(flagver_driver_txn *txn);
int fv_pg_outcome(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                  bool *ret_committed, flagver_error *err);
int fv_pg_lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
               flagver_error *err);
int fv_pg_lock_log(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err);

int fv_pg_hold(flagver_driver_txn *txn, flagver_keyed_row *row, int64_t number, int shared,
               flagver_error *err);
int fv_pg_nest(flagver_driver_txn *txn, int what, flagver_error *err);
int fv_pg_lend(flagver_driver_txn *txn, flagver_adoption *adoption, flagver_error *err);

/* Between our calls: has the application left its connection as it has to be? */
int fv_pg_check_lent(const struct fv_pg *conn, flagver_error *err);

/* The transaction is about to end or has ended: the next one will find the connection ours alone. */
void fv_pg_take_back(struct fv_pg *conn);

/* With `conn` not set yet, and without putting it back. */
flagver_driver_txn *fv_pg_txn_new(flagver_store *store, flagver_bytes tenant, int mode);
void fv_pg_txn_free(flagver_driver_txn *txn);

/* How long the tenant's log is, for this connection. */
int fv_pg_log_size(struct fv_pg *conn, flagver_bytes tenant, uint64_t *ret_size,
                   flagver_error *err);

/* May the connection's role work for this tenant? Else FLAGVER_EDENIED. */
int fv_pg_check_role(const struct fv_pg *conn, flagver_bytes tenant, flagver_error *err);

/* The connection has ended, whether we were told or not. */
bool fv_pg_is_lost(const struct fv_pg *conn);

/* There will be another schema, so that another id is no surprise. */
void fv_pg_forget_id(flagver_store *store);

/* Of an adopted one. */
int fv_pg_enlisted_commit(flagver_driver_txn *txn, flagver_error *err);
void fv_pg_enlisted_rollback(flagver_driver_txn *txn);
int fv_pg_enlisted_guard_begin(flagver_driver_txn *txn, flagver_error *err);

/* The same by a savepoint of this name. */
int fv_pg_enlisted_set(flagver_driver_txn *txn, const char *name, flagver_error *err);

/* Is the application's libpq the library's? */
int fv_pg_check_library(const flagver_adoption *adoption, flagver_error *err);
int fv_pg_enlisted_guard_end(flagver_driver_txn *txn, int r, flagver_error *err);

/*
 * Around what may be refused. Of an application's transaction a savepoint is set and released, or
 * gone back to, so that it goes on; our own is failed then. fv_pg_guard_end() hands on `r`.
 */
int fv_pg_guard_begin(flagver_driver_txn *txn, flagver_error *err);
int fv_pg_guard_end(flagver_driver_txn *txn, int r, flagver_error *err);

int fv_pg_apply(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                flagver_error *err);

/*
 * The answers to many changes are taken by the call that follows, through fv_pg_guard_begin(), so
 * that caller and server work at the same time. A conflict is FLAGVER_EBUSY then, since not
 * every call may tell of one; all that follow return the same.
 */
int fv_pg_settle(flagver_driver_txn *txn, flagver_error *err);

/*
 * Of the changes from the first on, as many as can be written many at a time: at least
 * FV_PG_BULK_LEAST, or 0 when there are not so many. Then those of each kind are written by one
 * statement, in the order of fv_pg_bulk_kinds, which changes nothing: each row is new, and
 * follows what it refers to.
 */
#define FV_PG_BULK_LEAST 8
#define FV_PG_BULK_KINDS 8

extern const int32_t fv_pg_bulk_kinds[FV_PG_BULK_KINDS];

size_t fv_pg_bulk_count(const flagver_change *changes, size_t count);

/* Queue the statement for those of this kind, if there are any; how many. */
int fv_pg_bulk_queue(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                     int32_t kind, size_t *ret_rows, flagver_error *err);

int fv_pg_scan(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
               flagver_error *err);

/* Take what a cursor has asked for ahead, before anything else is asked; fv_pg_settle() does so. */
void fv_pg_scan_settle(flagver_driver_txn *txn);

int fv_pg_next(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err);
void fv_pg_end_scan(flagver_cursor *cursor);

#endif
