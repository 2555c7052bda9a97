/*
 * What the files of the SQLite driver share.
 *
 * A store has a few connections, each used by one thread at a time:
 *
 *   writer   for the one transaction that writes
 *   idle     a small pool for transactions that read
 *   watcher  for what is asked outside of transactions; always open, so that the
 *            files beside the database (-wal, -shm) stay the same as long as we are there
 *
 * sqlite_connection.c  one connection: opening, waiting, statements, errors
 * sqlite_files.c       the file, and what lies beside it: set aside, put back
 * sqlite_pool.c        the connections of a store; the file that is moved or replaced; fork
 * sqlite_steps.c       the schema: what it is, step by step
 * sqlite_schema.c      the schema: which one is there, up and down
 * sqlite_verify.c      the schema: is it what it should be
 * sqlite_txn.c         transactions, our own and the application's
 * sqlite_within.c      in them: rows that are held, parts that are taken back, statements of the
 *                      application's
 * sqlite_apply.c       what a transaction writes
 * sqlite_scan.c        what it reads
 * sqlite.c             the driver's table, and what has no transaction
 */
#ifndef FV_DRIVER_SQLITE_INTERNAL_H
#define FV_DRIVER_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "driver/sqlite.h"
#include "driver/sql.h"
#include "util/text.h"

#define FV_MEMORY_PATH ":memory:"
#define FV_SCAN_SHAPES 64
#define FV_WORDS 512 /* room for words of SQLite that are quoted in ours */

/* ---- connections ---- */

/* Statements that a connection keeps; the text of each stands where it is used. */
enum fv_sql {
    FV_SQL_BEGIN,
    FV_SQL_BEGIN_IMMEDIATE,
    FV_SQL_COMMIT,
    FV_SQL_ROLLBACK,
    FV_SQL_META,
    FV_SQL_LOCK_SERIES,
    FV_SQL_LOG_SIZE,
    FV_SQL_REQUEST,
    FV_SQL_WRITE,
    FV_SQL_HOLD,
    FV_SQL_SETTLE,
    FV_SQL_SERIES_NEW,
    FV_SQL_SERIES_CHANGE,
    FV_SQL_SERIES_REV,
    FV_SQL_PAYLOAD,
    FV_SQL_PAYLOAD_REV,
    FV_SQL_SHRED,
    FV_SQL_VERSION_NEW,
    FV_SQL_VERSION_EDIT,
    FV_SQL_VERSION_DECIDE,
    FV_SQL_VERSION_SUPERSEDE,
    FV_SQL_VERSION_REV,
    FV_SQL_ITEM_NEW,
    FV_SQL_ITEM_CHANGE,
    FV_SQL_ITEM_DELETE,
    FV_SQL_ITEM_REV,
    FV_SQL_VOTE,
    FV_SQL_VOTE_REV,
    FV_SQL_CONTRIBUTOR,
    FV_SQL_CONTRIBUTOR_REV,
    FV_SQL_LEAF,
    FV_SQL_LEAF_REV,
    FV_SQL_NODE,
    FV_SQL_NODE_REV,
    FV_SQL_HEAD,
    FV_SQL_KEYED_NEW,
    FV_SQL_KEYED_CHANGE,
    FV_SQL_KEYED_DELETE,
    FV_SQL_KEYED_EXPIRE,
    FV_SQL_KEYED_REV,
    FV_SQL_COUNT
};

struct fv_sqlite {
    sqlite3 *db;
    flagver_store *store;
    sqlite3_stmt *statements[FV_SQL_COUNT];
    sqlite3_stmt *scans[FV_SCAN_SHAPES]; /* NULL also while a cursor has it */
    uint32_t generation;                 /* of the store's file that it has open */
    int64_t deadline_us;                 /* when waiting ends, on the monotonic clock */
    int64_t patience_us;                 /* with who is in the way of a log that begins anew */
    uint64_t random;                     /* so that those who wait do not meet again */
    int log_pages, log_ahead; /* how long the log was, and when it is to be looked after */
    struct fv_sqlite *next_idle;
};

/* A connection with our settings; `flags` as for sqlite3_open_v2(). */
int fv_sqlite_connect(flagver_store *store, int flags, struct fv_sqlite **ret_conn,
                      flagver_error *err);

/* `keep_log`: leave the files beside the database alone, they may be another's. NULL is fine. */
void fv_sqlite_disconnect(struct fv_sqlite *conn, bool keep_log);
void fv_sqlite_finalize(struct fv_sqlite *conn);

/* Sleep a little; false: wait_ms have passed since fv_sqlite_wait_from(). */
void fv_sqlite_wait_from(struct fv_sqlite *conn);
bool fv_sqlite_wait(struct fv_sqlite *conn);

/* What the connection has just failed with, as our error. */
int fv_sqlite_fail(const struct fv_sqlite *conn, flagver_error *err);
bool fv_sqlite_failed_by_constraint(const struct fv_sqlite *conn);

int fv_sqlite_prepare(struct fv_sqlite *conn, const char *sql, sqlite3_stmt **ret_statement,
                      flagver_error *err);

/* The statement of this slot, prepared on first use. */
int fv_sqlite_statement(struct fv_sqlite *conn, enum fv_sql slot, const char *sql,
                        sqlite3_stmt **ret_statement, flagver_error *err);

/* Put the database into WAL mode for good, so that readers and a writer do not wait for each other. */
int fv_sqlite_use_log(struct fv_sqlite *conn, flagver_error *err);

/* Take what is in the log into the file, and empty it, as far as that goes without waiting. */
void fv_sqlite_empty_log(struct fv_sqlite *conn);

/* Who is in the way is waited for, or not. */
void fv_sqlite_set_patience(struct fv_sqlite *conn, bool patient);

/* Statements without a result: kept, and as they come. */
int fv_sqlite_run(struct fv_sqlite *conn, enum fv_sql slot, const char *sql, flagver_error *err);
int fv_sqlite_execute(struct fv_sqlite *conn, const char *sql, flagver_error *err);

/* The first column of the first row, as text; "" when there is no row. */
int fv_sqlite_ask(struct fv_sqlite *conn, const char *sql, char *out, size_t size,
                  flagver_error *err);

/*
 * Binding in a row; the first failure is kept, and found by the step. What is bound is
 * not copied.
 */
struct fv_binder {
    struct fv_sqlite *conn;
    sqlite3_stmt *statement;
    int at, code;
};

int fv_bind_start(struct fv_binder *binder, struct fv_sqlite *conn, enum fv_sql slot,
                  const char *sql, flagver_error *err);
void fv_bind_text(struct fv_binder *binder, flagver_bytes text);
void fv_bind_blob(struct fv_binder *binder, flagver_bytes blob);
void fv_bind_id(struct fv_binder *binder, const flagver_id *id);
void fv_bind_integer(struct fv_binder *binder, int64_t value);
void fv_bind_positive(struct fv_binder *binder, int64_t value); /* 0 is none */

/* 1: a row to look at, then fv_bind_end(); 0: no row; or an error. */
int fv_bind_step(struct fv_binder *binder, flagver_error *err);
void fv_bind_end(struct fv_binder *binder);

flagver_bytes fv_column_bytes(sqlite3_stmt *statement, int column);
void fv_column_id(sqlite3_stmt *statement, int column, flagver_id *ret_id);

/* ---- files ---- */

struct fv_file_id {
    dev_t device;
    ino_t inode; /* 0: no file */
};

/* A database, and what SQLite keeps beside it. */
struct fv_files {
    struct fv_file_id file, log, index;
};

bool fv_file_same(struct fv_file_id a, struct fv_file_id b);

/* 0, or an errno. */
int fv_file_identify(const char *path, struct fv_file_id *ret_file);

/* Of what is beside the database at `path`; with `only_filled` what is empty does not count. */
struct fv_file_id fv_file_log(const char *path, bool only_filled);
struct fv_file_id fv_file_index(const char *path, bool only_filled);

/*
 * Another file has come to `path` while our log still lies there, which SQLite would take for the
 * new one's. It is renamed, to "-wal.replaced" and so on, unless somebody may be using it with
 * the new one. What is in it goes into our own file first, by `conn` (or NULL).
 */
void fv_files_set_aside(const char *path, const struct fv_files *ours, struct fv_sqlite *conn);

/* Our file is at `path` again: what was renamed comes back, if nothing has its name. */
void fv_files_put_back(const char *path, const struct fv_files *ours);

/* ---- stores ---- */

struct flagver_store {
    flagver_allocator hooks;
    const flagver_allocator *memory; /* &hooks, or NULL */
    char *path;                      /* absolute; or FV_MEMORY_PATH */
    char *name;                      /* what SQLite opens */
    bool in_memory, read_only, no_upgrade, no_create;
    int32_t wait_ms;
    uint32_t forks; /* tells the process that opened it from its children */

    pthread_mutex_t lock; /* over what follows */
    struct fv_files files;
    struct fv_files before; /* of what was replaced; should it come back */
    bool doubts_log;        /* the log may not be this file's: nothing of it may get there */
    uint32_t generation;    /* counts the files that were at `path` */
    flagver_id id;
    bool has_id;
    struct fv_sqlite *writer, *idle;
    int idle_count;
    int inside;               /* threads and transactions that use a connection */
    bool forking;             /* nobody comes in; in the child: it was so when it was forked */
    pthread_cond_t may_go_on; /* `inside` or `forking` has changed */

    pthread_mutex_t watching; /* before `lock` */
    struct fv_sqlite *watcher;

    flagver_store *next_open;
};

/*
 * Makes the watcher, and with it the file. It may be used without asking until
 * fv_sqlite_pool_opened(), which has to follow also after an error.
 */
int fv_sqlite_pool_open(flagver_store *store, flagver_error *err);
void fv_sqlite_pool_opened(flagver_store *store);
void fv_sqlite_pool_close(flagver_store *store);

/* The files are those that will be there from now on. */
int fv_sqlite_pool_note_files(flagver_store *store, struct fv_sqlite *conn, flagver_error *err);

/* A connection for a transaction, on the file that is at the store's path now. */
int fv_sqlite_pool_take(flagver_store *store, int mode, struct fv_sqlite **ret_conn,
                        flagver_error *err);
void fv_sqlite_pool_put(flagver_store *store, int mode, struct fv_sqlite *conn);

/* FLAGVER_ECORRUPT when the log that was found beside the file belongs to another store. */
int fv_sqlite_pool_check_log(flagver_store *store, struct fv_sqlite *conn, flagver_error *err);

/* FLAGVER_EINVAL when an application's connection is to another file than the store's. */
int fv_sqlite_pool_check_same(const struct fv_sqlite *conn, flagver_error *err);

/* FLAGVER_EUNAVAILABLE when the connection's file has been moved, deleted or replaced. */
int fv_sqlite_pool_check_moved(const struct fv_sqlite *conn, flagver_error *err);

/* The watcher, for one thread at a time. */
int fv_sqlite_pool_watch(flagver_store *store, struct fv_sqlite **ret_conn, flagver_error *err);
void fv_sqlite_pool_unwatch(flagver_store *store);

/* The same without waiting for anybody, or FLAGVER_EBUSY; ends with fv_sqlite_pool_unpeek(). */
int fv_sqlite_pool_peek(flagver_store *store, struct fv_sqlite **ret_conn, flagver_error *err);
void fv_sqlite_pool_unpeek(flagver_store *store);

/* Before anything is opened: gives up what this process has inherited from its parent. */
int fv_sqlite_pool_leave_parent(const flagver_store *store, flagver_error *err);

/* ---- the schema ---- */

struct fv_sqlite_meta {
    flagver_id store;
    uint32_t version, compatible; /* version 0: there is no schema */
};

int fv_sqlite_meta_read(struct fv_sqlite *conn, struct fv_sqlite_meta *ret_meta,
                        flagver_error *err);

/* Can this library work with it? Else FLAGVER_ESCHEMA. */
int fv_sqlite_meta_check(const struct fv_sqlite *conn, const struct fv_sqlite_meta *meta,
                         flagver_error *err);

/* Read and check, and it is the schema of this very store. */
int fv_sqlite_meta_confirm(struct fv_sqlite *conn, flagver_error *err);

/* From one version to the next and back: statements, then NULL. */
struct fv_sqlite_step {
    const char *const *up, *const *down;
};

extern const struct fv_sqlite_step fv_sqlite_steps[FLAGVER_SCHEMA_VERSION];

/* Step by step to version `to`; one that is there already is fine. */
int fv_sqlite_schema_move(struct fv_sqlite *conn, uint32_t to, flagver_error *err);

int fv_sqlite_schema_version(flagver_store *store, uint32_t *ret_version, flagver_error *err);
int fv_sqlite_schema_migrate(flagver_store *store, uint32_t to, flagver_error *err);
int fv_sqlite_schema_verify(flagver_store *store, void (*found)(void *data, const char *line),
                            void (*checked)(void *data, const char *line), void *data,
                            flagver_error *err);

/* ---- transactions ---- */

struct flagver_driver_txn {
    flagver_store *store;
    struct fv_sqlite *conn;
    flagver_bytes tenant;
    int mode;
    bool adopted;
    uint32_t savepoint;  /* of an adopted one: its number in this process, and in its name */
    bool shredded;       /* what is gone is not to stay in the log */
    bool failed;         /* a change could not be made; what was made before it must not stay */
    bool nested;         /* there are two savepoints more: see fv_sqlite_nest() */
    bool lent;           /* the application has the connection */
    struct fv_text held; /* the value of the row that was held last */
};

int fv_sqlite_begin(flagver_store *store, flagver_bytes tenant, int mode,
                    flagver_driver_txn **ret_txn, flagver_error *err);
int fv_sqlite_adopt(flagver_store *store, flagver_bytes tenant, const flagver_adoption *adoption,
                    flagver_driver_txn **ret_txn, flagver_error *err);
int fv_sqlite_commit(flagver_driver_txn *txn, flagver_error *err);
void fv_sqlite_rollback(flagver_driver_txn *txn);
int fv_sqlite_outcome(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                      bool *ret_committed, flagver_error *err);
int fv_sqlite_lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
                   flagver_error *err);
int fv_sqlite_lock_log(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err);

int fv_sqlite_hold(flagver_driver_txn *txn, flagver_keyed_row *row, int64_t number, int shared,
                   flagver_error *err);
int fv_sqlite_nest(flagver_driver_txn *txn, int what, flagver_error *err);
int fv_sqlite_lend(flagver_driver_txn *txn, flagver_adoption *adoption, flagver_error *err);

/* Is the application's SQLite the library's? */
int fv_sqlite_check_library(const flagver_adoption *adoption, flagver_error *err);

/* Statements for savepoints; `format` has the transaction's number twice, or once. */
int fv_sqlite_run_savepoints(flagver_driver_txn *txn, const char *format, flagver_error *err);

/* Is the transaction still there? SQLite ends it by itself after some errors. */
int fv_sqlite_check_open(const flagver_driver_txn *txn, flagver_error *err);

/* Before each change: is the application's transaction still the one that was adopted? */
int fv_sqlite_check_joined(flagver_driver_txn *txn, flagver_error *err);

int fv_sqlite_log_size(struct fv_sqlite *conn, flagver_bytes tenant, uint64_t *ret_size,
                       flagver_error *err);

int fv_sqlite_apply(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                    flagver_error *err);

int fv_sqlite_scan(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                   flagver_error *err);
int fv_sqlite_next(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err);
void fv_sqlite_end_scan(flagver_cursor *cursor);

#endif
