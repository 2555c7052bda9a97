#define _XOPEN_SOURCE 700 /* pthread_mutex_timedlock */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"
#include "util/memory.h"

#define IDLE_LIMIT 4

/* ---- files ---- */

/* Does the connection's file no longer have the name under which it was opened? */
static bool has_moved(const struct fv_sqlite *conn)
{
    int moved = 0;

    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

static int fail_missing(const flagver_store *store, int number, flagver_error *err)
{
    return number == ENOENT || number == ENOTDIR
               ? fv_fail(err, FLAGVER_EUNAVAILABLE, "%.500s is gone: it was moved or deleted",
                         store->path)
               : fv_fail_errno(err, FLAGVER_EUNAVAILABLE, number, "%.500s", store->path);
}

static int fail_replaced(const flagver_store *store, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EUNAVAILABLE, "%.500s was moved or replaced while it was in use",
                   store->path);
}

int fv_sqlite_pool_note_files(flagver_store *store, struct fv_sqlite *conn, flagver_error *err)
{
    int number;

    if (store->in_memory)
        return 0;
    number = fv_file_identify(store->path, &store->files.file);
    if (number)
        return fail_missing(store, number, err);
    if (has_moved(conn))
        return fail_replaced(store, err);
    store->files.log = fv_file_log(store->path, false);
    store->files.index = fv_file_index(store->path, false);
    return 0;
}

/* ---- a file without its log ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '-' || c == '_' || c == '.';
}

/* The file as it is, without its log. */
static int connect_to_file_alone(flagver_store *store, struct fv_sqlite *conn, flagver_error *err)
{
    struct fv_text name = FV_TEXT_INIT;
    const char *at;
    int r;

    fv_text_add(&name, "file:");
    for (at = store->path; *at; at++)
        if (is_plain(*at))
            fv_text_add_char(&name, *at);
        else
            fv_text_format(&name, "%%%02x", (unsigned)(unsigned char)*at);
    fv_text_add(&name, "?immutable=1");
    if (name.failed)
        return fv_fail_memory(err);
    conn->store = store;
    r = sqlite3_open_v2(name.data, &conn->db,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
                            SQLITE_OPEN_PRIVATECACHE,
                        NULL);
    fv_text_clear(&name);
    if (r == SQLITE_OK)
        return 0;
    return conn->db ? fv_sqlite_fail(conn, err) : fv_fail_memory(err);
}

static int read_file_alone(flagver_store *store, struct fv_sqlite_meta *ret_meta,
                           flagver_error *err)
{
    struct fv_sqlite alone = { .db = NULL };
    int r;

    r = connect_to_file_alone(store, &alone, err);
    if (r == 0)
        r = fv_sqlite_meta_read(&alone, ret_meta, err);
    fv_sqlite_finalize(&alone);
    sqlite3_close(alone.db);
    return r;
}

/* ---- a file that was replaced ---- */

/*
 * SQLite believes a log that lies beside a database: with the log of the file before,
 * the new one would be given pages that were never its own.
 */
static int check_no_old_log(const flagver_store *store, flagver_error *err)
{
    struct fv_file_id log = fv_file_log(store->path, true);
    struct fv_file_id index = fv_file_index(store->path, true);

    if ((log.inode && fv_file_same(log, store->files.log)) ||
        (index.inode && fv_file_same(index, store->files.index)))
        return fv_fail(err, FLAGVER_EUNAVAILABLE,
                       "%.300s was replaced, but the -wal and -shm beside it are still those of "
                       "the file before; move them away",
                       store->path);
    return 0;
}

/* For a file that is there; a deleted one is never made anew while the store is open. */
static int open_flags(const flagver_store *store)
{
    if (store->in_memory)
        return SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI;
    return store->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
}

static int check_identity(const flagver_store *store, const struct fv_sqlite_meta *meta,
                          flagver_error *err)
{
    return store->has_id && meta->version > 0 &&
                   memcmp(&meta->store, &store->id, sizeof store->id) == 0
               ? 0
               : fv_fail(
                     err, FLAGVER_EUNAVAILABLE,
                     "%.500s was replaced by another file; another store, or none, is there now",
                     store->path);
}

/* What is certainly another one is not even opened: SQLite would put a log of its own beside it. */
static int check_file_alone(flagver_store *store, flagver_error *err)
{
    struct fv_sqlite_meta meta;

    if (store->in_memory || fv_file_log(store->path, true).inode ||
        read_file_alone(store, &meta, NULL) < 0)
        return 0;
    return check_identity(store, &meta, err);
}

/* Opens what is at the path now; it has to be this very store. */
static int connect_anew(flagver_store *store, struct fv_sqlite **ret_conn, flagver_error *err)
{
    struct fv_sqlite_meta meta;
    struct fv_sqlite *conn;
    int r;

    r = check_no_old_log(store, err);
    if (r == 0)
        r = check_file_alone(store, err);
    if (r == 0)
        r = fv_sqlite_connect(store, open_flags(store), &conn, err);
    if (r < 0)
        return r;
    r = fv_sqlite_meta_read(conn, &meta, err);
    if (r == 0)
        r = check_identity(store, &meta, err);
    if (r == 0 && !store->read_only && !store->no_upgrade)
        r = fv_sqlite_use_log(conn, err);
    if (r == 0) /* again: only now is there a log, if there was none */
        r = fv_sqlite_meta_read(conn, &meta, err);
    if (r == 0)
        r = fv_sqlite_pool_note_files(store, conn, err);
    if (r < 0) {
        fv_sqlite_disconnect(conn, true);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

static void drop_idle(flagver_store *store)
{
    struct fv_sqlite *conn = store->idle, *next;

    for (; conn; conn = next) {
        next = conn->next_idle;
        fv_sqlite_disconnect(conn, true);
    }
    fv_sqlite_disconnect(store->writer, true);
    store->writer = store->idle = NULL;
    store->idle_count = 0;
}

static void add_idle(flagver_store *store, struct fv_sqlite *conn)
{
    conn->next_idle = store->idle;
    store->idle = conn;
    store->idle_count++;
}

/* What is at the path now takes the place of what we had open. */
static int reconnect(flagver_store *store, flagver_error *err)
{
    const struct fv_files ours = store->files;
    struct fv_sqlite *conn;
    int r;

    r = connect_anew(store, &conn, err);
    if (r < 0) {
        store->files = ours;
        return r;
    }
    drop_idle(store);
    store->generation++;
    conn->generation = store->generation;
    add_idle(store, conn);
    return 0;
}

/* Another file is at the path: a copy that was put back, we hope. */
static int follow(flagver_store *store, struct fv_file_id file, flagver_error *err)
{
    const struct fv_files before = store->before;

    store->before = store->files;
    if (!store->read_only)
        fv_files_set_aside(store->path, &store->files, store->writer ? store->writer : store->idle);
    if (fv_file_same(file, before.file))
        fv_files_put_back(store->path, &before);
    return reconnect(store, err);
}

/*
 * Our own file has come back after another one, which we did not follow. Our connections still have
 * the log that was beside it open: no other one may be there.
 */
static int come_back(flagver_store *store, flagver_error *err)
{
    struct fv_file_id log;

    fv_files_put_back(store->path, &store->files);
    log = fv_file_log(store->path, false);
    if (log.inode && !fv_file_same(log, store->files.log))
        return fv_fail(err, FLAGVER_EUNAVAILABLE,
                       "%.300s is back, but the -wal beside it is not its own; move it and the "
                       "-shm away",
                       store->path);
    store->before.file.inode = 0;
    return log.inode || !store->files.log.inode ? 0 : reconnect(store, err);
}

/* Under the lock: is the file still the one we know? */
static int check_file(flagver_store *store, flagver_error *err)
{
    struct fv_file_id file;
    int number;

    if (store->in_memory)
        return 0;
    number = fv_file_identify(store->path, &file);
    if (number)
        return fail_missing(store, number, err);
    if (!fv_file_same(file, store->files.file))
        return follow(store, file, err);
    return fv_file_same(file, store->before.file) ? come_back(store, err) : 0;
}

int fv_sqlite_pool_check_moved(const struct fv_sqlite *conn, flagver_error *err)
{
    return has_moved(conn) ? fail_replaced(conn->store, err) : 0;
}

/* ---- taking and putting back ---- */

/* Under the lock. Nobody comes in while the process forks; it waits until those inside are gone. */
static void enter(flagver_store *store)
{
    while (store->forking)
        pthread_cond_wait(&store->may_go_on, &store->lock);
    store->inside++;
}

static void leave(flagver_store *store)
{
    store->inside--;
    if (store->forking)
        pthread_cond_broadcast(&store->may_go_on);
}

static void come_in(flagver_store *store)
{
    pthread_mutex_lock(&store->lock);
    enter(store);
    pthread_mutex_unlock(&store->lock);
}

static void go_out(flagver_store *store)
{
    pthread_mutex_lock(&store->lock);
    leave(store);
    pthread_mutex_unlock(&store->lock);
}

/* Between a look at the file and its opening it may have been replaced. */
static int check_just_opened(const struct fv_sqlite *conn, flagver_error *err)
{
    flagver_store *store = conn->store;
    struct fv_file_id file;
    bool same;
    int number;

    if (store->in_memory)
        return 0;
    number = fv_file_identify(store->path, &file);
    if (number)
        return fail_missing(store, number, err);
    pthread_mutex_lock(&store->lock);
    same = fv_file_same(file, store->files.file) && conn->generation == store->generation;
    pthread_mutex_unlock(&store->lock);
    return same && !has_moved(conn) ? 0 : fail_replaced(store, err);
}

static int connect_one(flagver_store *store, uint32_t generation, struct fv_sqlite **ret_conn,
                       flagver_error *err)
{
    struct fv_sqlite *conn;
    int r;

    r = fv_sqlite_connect(store, open_flags(store), &conn, err);
    if (r < 0)
        return r;
    conn->generation = generation;
    r = check_just_opened(conn, err);
    if (r < 0) {
        fv_sqlite_disconnect(conn, true);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

static struct fv_sqlite *take_idle(flagver_store *store, int mode)
{
    struct fv_sqlite *conn = mode == FLAGVER_MODE_WRITE ? store->writer : store->idle;

    if (mode == FLAGVER_MODE_WRITE) {
        store->writer = NULL;
    } else if (conn) {
        store->idle = conn->next_idle;
        store->idle_count--;
    }
    return conn;
}

int fv_sqlite_pool_take(flagver_store *store, int mode, struct fv_sqlite **ret_conn,
                        flagver_error *err)
{
    struct fv_sqlite *conn = NULL;
    uint32_t generation;
    int r;

    pthread_mutex_lock(&store->lock);
    enter(store);
    r = check_file(store, err);
    if (r == 0)
        conn = take_idle(store, mode);
    generation = store->generation;
    pthread_mutex_unlock(&store->lock);

    if (r == 0 && !conn)
        r = connect_one(store, generation, &conn, err);
    if (r == 0)
        r = fv_sqlite_pool_check_moved(conn, err);
    if (r < 0) {
        fv_sqlite_pool_put(store, mode, conn);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

/* A connection that could not end its transaction is of no use to the next one. */
static bool keep(const flagver_store *store, int mode, const struct fv_sqlite *conn)
{
    if (!conn || conn->generation != store->generation || !sqlite3_get_autocommit(conn->db))
        return false;
    return mode == FLAGVER_MODE_WRITE ? !store->writer : store->idle_count < IDLE_LIMIT;
}

static bool put_back(flagver_store *store, int mode, struct fv_sqlite *conn)
{
    bool kept = keep(store, mode, conn);

    if (kept && mode == FLAGVER_MODE_WRITE)
        store->writer = conn;
    else if (kept)
        add_idle(store, conn);
    return kept;
}

void fv_sqlite_pool_put(flagver_store *store, int mode, struct fv_sqlite *conn)
{
    pthread_mutex_lock(&store->lock);
    if (!put_back(store, mode, conn)) {
        pthread_mutex_unlock(&store->lock);
        fv_sqlite_disconnect(conn, true);
        pthread_mutex_lock(&store->lock);
    }
    leave(store);
    pthread_mutex_unlock(&store->lock);
}

int fv_sqlite_pool_check_same(const struct fv_sqlite *conn, flagver_error *err)
{
    flagver_store *store = conn->store;
    const char *path = sqlite3_db_filename(conn->db, "main");
    struct fv_file_id file = { 0, 0 };
    bool same = false;
    int r;

    if (store->in_memory)
        return 0;
    if (path)
        fv_file_identify(path, &file);
    pthread_mutex_lock(&store->lock);
    enter(store);
    r = check_file(store, err);
    if (r == 0)
        same = fv_file_same(file, store->files.file);
    leave(store);
    pthread_mutex_unlock(&store->lock);
    if (r == 0 && !same)
        r = fv_fail(
            err, FLAGVER_EINVAL,
            "the connection's database %.400s is another file than the store %.400s, if with "
            "the same contents",
            path, store->path);
    return r;
}

/* ---- the watcher ---- */

static int watch(flagver_store *store, flagver_error *err)
{
    uint32_t generation;
    int r;

    pthread_mutex_lock(&store->lock);
    r = check_file(store, err);
    generation = store->generation;
    pthread_mutex_unlock(&store->lock);

    if (r == 0 && store->watcher && store->watcher->generation != generation) {
        fv_sqlite_disconnect(store->watcher, true);
        store->watcher = NULL;
    }
    if (r == 0 && !store->watcher)
        r = connect_one(store, generation, &store->watcher, err);
    return r < 0 ? r : fv_sqlite_pool_check_moved(store->watcher, err);
}

int fv_sqlite_pool_watch(flagver_store *store, struct fv_sqlite **ret_conn, flagver_error *err)
{
    int r;

    come_in(store);
    pthread_mutex_lock(&store->watching);
    r = watch(store, err);
    if (r < 0) {
        fv_sqlite_pool_unwatch(store);
        return r;
    }
    *ret_conn = store->watcher;
    return 0;
}

void fv_sqlite_pool_unwatch(flagver_store *store)
{
    pthread_mutex_unlock(&store->watching);
    go_out(store);
}

/* Who waits for the database holds `watching`, and perhaps `lock`. */
static int peek(flagver_store *store, flagver_error *err)
{
    struct fv_file_id file = { 0, 0 };
    int number = store->in_memory ? 0 : fv_file_identify(store->path, &file);

    if (number)
        return fail_missing(store, number, err);
    if (!store->watcher || store->watcher->generation != store->generation ||
        !fv_file_same(file, store->files.file))
        return fv_fail(err, FLAGVER_EBUSY, "%.500s is about to be opened anew", store->path);
    fv_sqlite_set_patience(store->watcher, false);
    return 0;
}

int fv_sqlite_pool_peek(flagver_store *store, struct fv_sqlite **ret_conn, flagver_error *err)
{
    bool came_in = false;
    int r = FLAGVER_EBUSY;

    if (pthread_mutex_trylock(&store->watching) != 0)
        return fv_fail(err, r, "%.500s is being looked at", store->path);
    if (pthread_mutex_trylock(&store->lock) == 0) {
        came_in = !store->forking;
        if (came_in)
            r = peek(store, err);
        if (r == 0)
            enter(store);
        pthread_mutex_unlock(&store->lock);
    }
    if (r < 0) {
        pthread_mutex_unlock(&store->watching);
        return came_in ? r : fv_fail(err, r, "%.500s is being opened", store->path);
    }
    *ret_conn = store->watcher;
    return 0;
}

void fv_sqlite_pool_unpeek(flagver_store *store)
{
    fv_sqlite_set_patience(store->watcher, true);
    fv_sqlite_pool_unwatch(store);
}

/* ---- fork ---- */

/*
 * SQLite keeps a list of the files that are open in the process, with the locks on them. A
 * child inherits the list but not the locks: a connection that it opens to such a file
 * believes that it has locked what it has not, and loses what it writes. So before a
 * child opens anything, the connections that it inherited are closed, in its own memory:
 * their descriptors are the child's own copies, and nothing is written, checkpointed or unlocked
 * by it that is the parent's. That can be done with connections that nobody was using.
 */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static flagver_store *open_stores;
static uint32_t forks; /* of which this process is the child */
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

#define FORK_WAIT_NS 100000000 /* a fork does not wait longer for those who use a store */

static void lock_open_stores(void)
{
    pthread_mutex_lock(&open_lock);
}

static void unlock_open_stores(void)
{
    pthread_mutex_unlock(&open_lock);
}

/* Wait for reads under way, which are short. A transaction of the host's may go on for long. */
static void hold_still(flagver_store *store, const struct timespec *deadline)
{
    store->forking = pthread_mutex_timedlock(&store->lock, deadline) == 0;
    while (store->forking && store->inside &&
           pthread_cond_timedwait(&store->may_go_on, &store->lock, deadline) == 0)
        ;
}

static void before_fork(void)
{
    struct timespec deadline;
    flagver_store *store;

    lock_open_stores();
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += FORK_WAIT_NS;
    deadline.tv_sec += deadline.tv_nsec / 1000000000;
    deadline.tv_nsec %= 1000000000;
    for (store = open_stores; store; store = store->next_open)
        if (store->forks == forks)
            hold_still(store, &deadline);
}

static void in_parent(void)
{
    flagver_store *store;

    for (store = open_stores; store; store = store->next_open) {
        if (store->forks != forks || !store->forking)
            continue;
        store->forking = false;
        pthread_cond_broadcast(&store->may_go_on);
        pthread_mutex_unlock(&store->lock);
    }
    unlock_open_stores();
}

/* Who waited in the parent does not wait here. */
static void in_child(void)
{
    flagver_store *store;

    for (store = open_stores; store; store = store->next_open)
        if (store->forks == forks && store->forking)
            pthread_mutex_unlock(&store->lock);
    forks++;
    unlock_open_stores();
}

static void prepare(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

static void remember(flagver_store *store)
{
    lock_open_stores();
    store->forks = forks;
    store->next_open = open_stores;
    open_stores = store;
    unlock_open_stores();
}

static void forget(flagver_store *store)
{
    flagver_store **at;

    lock_open_stores();
    for (at = &open_stores; *at; at = &(*at)->next_open) {
        if (*at == store) {
            *at = store->next_open;
            break;
        }
    }
    unlock_open_stores();
}

/*
 * What a thread of the parent was using when it forked cannot be closed: nobody knows what
 * state it was left in. False then.
 */
static bool let_go(flagver_store *store)
{
    if (!store->forking || store->inside)
        return false;
    fv_sqlite_disconnect(store->watcher, true);
    store->watcher = NULL;
    drop_idle(store);
    return true;
}

int fv_sqlite_pool_leave_parent(const flagver_store *store, flagver_error *err)
{
    struct fv_file_id file = { 0, 0 };
    flagver_store **at;
    int r = 0;

    pthread_once(&prepared, prepare);
    if (store->in_memory)
        return 0;
    fv_file_identify(store->path, &file);

    lock_open_stores();
    at = &open_stores;
    while (*at) {
        if ((*at)->forks != forks && let_go(*at)) {
            *at = (*at)->next_open;
            continue;
        }
        if ((*at)->forks != forks && !(*at)->in_memory && fv_file_same((*at)->files.file, file))
            r = fv_fail(err, FLAGVER_EUNAVAILABLE,
                        "%.500s was in the middle of a transaction when this process was forked; "
                        "only a program that is started anew can open it",
                        store->path);
        at = &(*at)->next_open;
    }
    unlock_open_stores();
    return r;
}

/* ---- opening and closing ---- */

int fv_sqlite_pool_check_log(flagver_store *store, struct fv_sqlite *conn, flagver_error *err)
{
    struct fv_sqlite_meta alone = { .version = 0 }, seen = { .version = 0 };
    int r;

    if (store->in_memory || !fv_file_log(store->path, true).inode)
        return 0;
    store->doubts_log = true;
    r = read_file_alone(store, &alone, err);
    if (r == FLAGVER_ENOMEM)
        return r;
    if (r < 0 || alone.version == 0) /* the file makes no sense without its log: it is its own */
        r = 0;
    else
        r = fv_sqlite_meta_read(conn, &seen, err);
    if (r == 0 && alone.version > 0 && seen.version > 0 &&
        memcmp(&seen.store, &alone.store, sizeof seen.store) != 0)
        r = fv_fail(err, FLAGVER_ECORRUPT,
                    "the -wal beside %.400s belongs to another store; move it and the -shm away",
                    store->path);
    if (r == FLAGVER_ESCHEMA && store->no_upgrade) /* there are tools to look at that */
        r = 0;
    store->doubts_log = r < 0;
    return r;
}

int fv_sqlite_pool_open(flagver_store *store, flagver_error *err)
{
    bool create = store->in_memory || !store->no_create;
    int flags = open_flags(store) | (create ? SQLITE_OPEN_CREATE : 0);

    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->watching, NULL);
    pthread_cond_init(&store->may_go_on, NULL);
    store->inside = 1;
    remember(store);
    return fv_sqlite_connect(store, flags, &store->watcher, err);
}

void fv_sqlite_pool_opened(flagver_store *store)
{
    go_out(store);
}

/*
 * When the file is gone, what is in the log still belongs into it, wherever it is. When another
 * one is in its place, that one must not find our log there.
 */
static bool leaves_log(const flagver_store *store)
{
    struct fv_file_id file;
    bool moved;

    if (store->in_memory || store->read_only || !store->watcher || store->doubts_log)
        return true;
    if (fv_file_identify(store->path, &file) != 0) {
        moved = true;
    } else if (!fv_file_same(file, store->files.file)) {
        fv_files_set_aside(store->path, &store->files, store->watcher);
        return true;
    } else {
        moved = has_moved(store->watcher);
    }
    fv_sqlite_empty_log(store->watcher);
    return moved;
}

static void disconnect_all(flagver_store *store)
{
    bool keep_log;

    if (store->watcher && store->watcher->generation != store->generation) {
        fv_sqlite_disconnect(store->watcher, true);
        store->watcher = take_idle(store, FLAGVER_MODE_READ);
    }
    drop_idle(store);
    keep_log = leaves_log(store);
    fv_sqlite_disconnect(store->watcher, keep_log);
    store->watcher = NULL;
}

void fv_sqlite_pool_close(flagver_store *store)
{
    come_in(store);
    disconnect_all(store);
    go_out(store);
    forget(store);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->watching);
    pthread_cond_destroy(&store->may_go_on);
}
