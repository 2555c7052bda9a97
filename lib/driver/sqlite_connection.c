#define _POSIX_C_SOURCE 200809L /* clock_gettime, nanosleep */

#include <string.h>
#include <time.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"
#include "util/memory.h"

#define PAUSE_LEAST_US 300
#define PAUSE_SPREAD_US 1500

/* Pages of the write-ahead log: from when on it is copied into the file, and when it is too long. */
#define LOG_PAGES 1000
#define LONG_LOG_PAGES 4000

/*
 * For how long others are kept waiting at first for the log to begin anew, and for how long that is
 * tried: when it has become long, and when it is long all the same.
 */
#define BRIEF_US 20000
#define TRYING_US 100000
#define LONG_TRYING_US 1000000

/* ---- errors ---- */

/* What the caller can do about an extended result code. */
static int code_of(int extended)
{
    if (extended == SQLITE_IOERR_NOMEM)
        return FLAGVER_ENOMEM;

    switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
        return FLAGVER_EBUSY;
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_NOLFS:
    case SQLITE_AUTH:
        return FLAGVER_EUNAVAILABLE;
    case SQLITE_NOMEM:
        return FLAGVER_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return FLAGVER_ECORRUPT;
    case SQLITE_ERROR: /* our statements are right: a table or column of them is not there */
    case SQLITE_SCHEMA:
        return FLAGVER_ESCHEMA;
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
        return FLAGVER_EINVAL;
    default:
        return FLAGVER_EIO;
    }
}

static int fail(const char *path, int extended, const char *words, flagver_error *err)
{
    int code = code_of(extended);

    if (code == FLAGVER_EBUSY)
        fv_fail(err, code, "%.500s is in use by someone else: %s", path, words);
    else
        fv_fail(err, code, "%.500s: %s", path, words);
    if (err)
        err->native = extended;
    return code;
}

int fv_sqlite_fail(const struct fv_sqlite *conn, flagver_error *err)
{
    return fail(conn->store->path, sqlite3_extended_errcode(conn->db), sqlite3_errmsg(conn->db),
                err);
}

bool fv_sqlite_failed_by_constraint(const struct fv_sqlite *conn)
{
    return (sqlite3_extended_errcode(conn->db) & 0xff) == SQLITE_CONSTRAINT;
}

/* ---- waiting ---- */

static int64_t now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

void fv_sqlite_wait_from(struct fv_sqlite *conn)
{
    conn->deadline_us = now_us() + (int64_t)conn->store->wait_ms * 1000;
}

/*
 * Short pauses of changing length: SQLite's own handler pauses longer and longer, and so
 * some wait for seconds while others come and go.
 */
bool fv_sqlite_wait(struct fv_sqlite *conn)
{
    int64_t left = conn->deadline_us - now_us(), pause;
    struct timespec time = { 0, 0 };

    if (left <= 0)
        return false;
    conn->random = conn->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    pause = PAUSE_LEAST_US + (int64_t)((conn->random >> 33) % PAUSE_SPREAD_US);
    time.tv_nsec = (long)(pause < left ? pause : left) * 1000;
    nanosleep(&time, NULL);
    return true;
}

static int is_busy(void *data, int count)
{
    struct fv_sqlite *conn = data;

    if (count == 0)
        fv_sqlite_wait_from(conn);
    return fv_sqlite_wait(conn);
}

void fv_sqlite_set_patience(struct fv_sqlite *conn, bool patient)
{
    sqlite3_busy_handler(conn->db, patient ? is_busy : NULL, conn);
}

/* ---- the log's length ---- */

static int is_busy_copying(void *data, int count)
{
    struct fv_sqlite *conn = data;
    int64_t deadline = now_us() + conn->patience_us;

    if (count == 0 && deadline < conn->deadline_us)
        conn->deadline_us = deadline;
    return fv_sqlite_wait(conn);
}

/*
 * The log begins anew when all of it is copied while nobody writes, and nobody reads what is only
 * in it. SQLite itself does not wait for others who are copying. Nor does it see that those who read
 * what is old have gone, when the next ones took their slot: so it is asked several times, each
 * time with twice the patience.
 */
static void begin_log_anew(struct fv_sqlite *conn, int64_t trying_us)
{
    int64_t end = now_us() + trying_us;
    int r, pages;

    conn->patience_us = BRIEF_US;
    sqlite3_busy_handler(conn->db, is_busy_copying, conn);
    do {
        conn->deadline_us = end;
        r = sqlite3_wal_checkpoint_v2(conn->db, "main", SQLITE_CHECKPOINT_RESTART, &pages, NULL);
        if (pages >= 0 && conn->patience_us < trying_us) /* nobody else is copying */
            conn->patience_us *= 2;
        conn->deadline_us = end;
    } while ((r & 0xff) == SQLITE_BUSY && fv_sqlite_wait(conn));
    fv_sqlite_set_patience(conn, true);
}

/*
 * Is this the commit with which the log became another LONG_LOG_PAGES longer? Of all connections'
 * there is one, so that who reads for very long holds up one of them each time and not all.
 */
static bool is_milestone(sqlite3 *db, int pages)
{
    int written = 0, highest;

    sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &written, &highest, 1);
    return pages / LONG_LOG_PAGES > (pages - written) / LONG_LOG_PAGES;
}

/* Others must not come to the end of their own patience, which is likely to be the same. */
static int64_t long_trying(const struct fv_sqlite *conn)
{
    int64_t half_us = (int64_t)conn->store->wait_ms * 500;

    return half_us > LONG_TRYING_US ? LONG_TRYING_US : half_us > TRYING_US ? half_us : TRYING_US;
}

/*
 * After each commit. SQLite's own way is to copy what it can and to wait for nobody: as long as many
 * write and read at the same time there is never a moment for the log to begin anew, and it
 * grows by gigabytes. Where readers are in the way it is tried again when the log has grown by a
 * quarter; and at milestones who writes waits until they have ended, so that only one who reads for
 * longer than that lets the log grow on.
 */
static int keep_log_short(void *data, sqlite3 *db, const char *name, int pages)
{
    struct fv_sqlite *conn = data;
    int more = pages / 4 > LOG_PAGES ? pages / 4 : LOG_PAGES;
    bool waits = is_milestone(db, pages) && pages >= 2 * LONG_LOG_PAGES;

    if (pages < conn->log_pages)
        conn->log_ahead = LOG_PAGES; /* it has begun anew */
    conn->log_pages = pages;
    if (pages < conn->log_ahead && !waits)
        return SQLITE_OK;
    conn->log_ahead = pages + more;
    if (pages < LONG_LOG_PAGES)
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    else
        begin_log_anew(conn, waits ? long_trying(conn) : TRYING_US);
    return SQLITE_OK; /* the commit has taken place, whatever comes of this */
}

/* ---- opening and closing ---- */

static int set_up(struct fv_sqlite *conn, flagver_error *err)
{
    sqlite3_extended_result_codes(conn->db, 1);
    fv_sqlite_set_patience(conn, true);
    conn->log_ahead = LOG_PAGES;
    sqlite3_wal_hook(conn->db, keep_log_short, conn);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, (int *)NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, (int *)NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    /* What a single statement may have to undo: a file of it takes long, and a place of its own. */
    return fv_sqlite_execute(conn, "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY", err);
}

int fv_sqlite_connect(flagver_store *store, int flags, struct fv_sqlite **ret_conn,
                      flagver_error *err)
{
    struct fv_sqlite *conn = fv_allocate_zeroed(store->memory, 1, sizeof *conn);
    int r;

    if (!conn)
        return fv_fail_memory(err);
    conn->store = store;
    sqlite3_randomness(sizeof conn->random, &conn->random);

    r = sqlite3_open_v2(store->name, &conn->db,
                        flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (r == SQLITE_OK)
        r = set_up(conn, err);
    else
        r = fail(store->path, conn->db ? sqlite3_extended_errcode(conn->db) : r,
                 conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(r), err);
    if (r < 0) {
        fv_sqlite_disconnect(conn, true);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

void fv_sqlite_finalize(struct fv_sqlite *conn)
{
    size_t i;

    for (i = 0; i < FV_SQL_COUNT; i++)
        sqlite3_finalize(conn->statements[i]);
    for (i = 0; i < FV_SCAN_SHAPES; i++)
        sqlite3_finalize(conn->scans[i]);
    memset(conn->statements, 0, sizeof conn->statements);
    memset(conn->scans, 0, sizeof conn->scans);
}

void fv_sqlite_disconnect(struct fv_sqlite *conn, bool keep_log)
{
    if (!conn)
        return;
    fv_sqlite_finalize(conn);
    if (conn->db && keep_log)
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_close_v2(conn->db); /* an application may have left a statement behind */
    fv_release(conn->store->memory, conn);
}

/* ---- statements ---- */

int fv_sqlite_prepare(struct fv_sqlite *conn, const char *sql, sqlite3_stmt **ret_statement,
                      flagver_error *err)
{
    int r = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);

    return r == SQLITE_OK ? 0 : fv_sqlite_fail(conn, err);
}

int fv_sqlite_statement(struct fv_sqlite *conn, enum fv_sql slot, const char *sql,
                        sqlite3_stmt **ret_statement, flagver_error *err)
{
    int r;

    if (!conn->statements[slot]) {
        r = fv_sqlite_prepare(conn, sql, &conn->statements[slot], err);
        if (r < 0)
            return r;
    }
    *ret_statement = conn->statements[slot];
    return 0;
}

int fv_sqlite_run(struct fv_sqlite *conn, enum fv_sql slot, const char *sql, flagver_error *err)
{
    sqlite3_stmt *statement;
    int r;

    r = fv_sqlite_statement(conn, slot, sql, &statement, err);
    if (r < 0)
        return r;
    r = sqlite3_step(statement) == SQLITE_DONE ? 0 : fv_sqlite_fail(conn, err);
    sqlite3_reset(statement);
    return r;
}

int fv_sqlite_execute(struct fv_sqlite *conn, const char *sql, flagver_error *err)
{
    return sqlite3_exec(conn->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                      : fv_sqlite_fail(conn, err);
}

int fv_sqlite_ask(struct fv_sqlite *conn, const char *sql, char *out, size_t size,
                  flagver_error *err)
{
    sqlite3_stmt *statement;
    const char *text = NULL;
    int r;

    r = fv_sqlite_prepare(conn, sql, &statement, err);
    if (r < 0)
        return r;
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(statement, 0);
    if (r != SQLITE_ROW && r != SQLITE_DONE)
        r = fv_sqlite_fail(conn, err);
    else
        r = 0;
    if (r == 0)
        sqlite3_snprintf((int)size, out, "%s", text ? text : "");
    sqlite3_finalize(statement);
    return r;
}

/*
 * Only one connection at a time can switch, and SQLite does not wait for its turn here: two
 * that have both begun to read would wait for each other.
 */
int fv_sqlite_use_log(struct fv_sqlite *conn, flagver_error *err)
{
    char mode[16];
    int r;

    fv_sqlite_wait_from(conn);
    for (;;) {
        r = fv_sqlite_ask(conn, "PRAGMA journal_mode", mode, sizeof mode, err);
        if (r == 0 && strcmp(mode, "wal") != 0)
            r = fv_sqlite_ask(conn, "PRAGMA journal_mode = WAL", mode, sizeof mode, err);
        if (r != FLAGVER_EBUSY || !fv_sqlite_wait(conn))
            break;
    }
    if (r == 0 && strcmp(mode, "wal") != 0)
        return fv_fail(err, FLAGVER_EUNAVAILABLE,
                       "%.500s cannot have a write-ahead log: its journal mode stays \"%s\"",
                       conn->store->path, mode);
    return r;
}

void fv_sqlite_empty_log(struct fv_sqlite *conn)
{
    fv_sqlite_set_patience(conn, false); /* who still reads can do it later */
    sqlite3_wal_checkpoint_v2(conn->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    fv_sqlite_set_patience(conn, true);
}

/* ---- binding ---- */

int fv_bind_start(struct fv_binder *binder, struct fv_sqlite *conn, enum fv_sql slot,
                  const char *sql, flagver_error *err)
{
    *binder = (struct fv_binder){ .conn = conn };
    return fv_sqlite_statement(conn, slot, sql, &binder->statement, err);
}

static void note(struct fv_binder *binder, int code)
{
    if (binder->code == SQLITE_OK)
        binder->code = code;
}

void fv_bind_text(struct fv_binder *binder, flagver_bytes text)
{
    note(binder, sqlite3_bind_text64(binder->statement, ++binder->at, text.data, text.length,
                                     SQLITE_STATIC, SQLITE_UTF8));
}

void fv_bind_blob(struct fv_binder *binder, flagver_bytes blob)
{
    note(binder, sqlite3_bind_blob64(binder->statement, ++binder->at, blob.data, blob.length,
                                     SQLITE_STATIC));
}

void fv_bind_id(struct fv_binder *binder, const flagver_id *id)
{
    fv_bind_blob(binder, (flagver_bytes){ id->bytes, sizeof id->bytes });
}

void fv_bind_integer(struct fv_binder *binder, int64_t value)
{
    note(binder, sqlite3_bind_int64(binder->statement, ++binder->at, value));
}

void fv_bind_positive(struct fv_binder *binder, int64_t value)
{
    if (value)
        fv_bind_integer(binder, value);
    else
        note(binder, sqlite3_bind_null(binder->statement, ++binder->at));
}

int fv_bind_step(struct fv_binder *binder, flagver_error *err)
{
    int r;

    if (binder->code != SQLITE_OK)
        return fv_sqlite_fail(binder->conn, err);
    r = sqlite3_step(binder->statement);
    if (r == SQLITE_ROW)
        return 1;
    r = r == SQLITE_DONE ? 0 : fv_sqlite_fail(binder->conn, err);
    sqlite3_reset(binder->statement);
    return r;
}

void fv_bind_end(struct fv_binder *binder)
{
    sqlite3_reset(binder->statement);
}

/* SQLite gives NULL for what is empty, too; for us that is "none". */
flagver_bytes fv_column_bytes(sqlite3_stmt *statement, int column)
{
    flagver_bytes bytes = { NULL, 0 };
    int type = sqlite3_column_type(statement, column);

    if (type == SQLITE_NULL)
        return bytes;
    bytes.data = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(statement, column)
                                     : sqlite3_column_blob(statement, column);
    bytes.length = (size_t)sqlite3_column_bytes(statement, column);
    if (!bytes.data)
        bytes.data = "";
    return bytes;
}

void fv_column_id(sqlite3_stmt *statement, int column, flagver_id *ret_id)
{
    flagver_bytes bytes = fv_column_bytes(statement, column);

    memset(ret_id, 0, sizeof *ret_id);
    if (bytes.length == sizeof ret_id->bytes)
        memcpy(ret_id->bytes, bytes.data, sizeof ret_id->bytes);
}
