#define _POSIX_C_SOURCE 200809L /* getcwd, stat */

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"
#include "util/memory.h"
#include "util/uuid.h"

#define OLDEST_SQLITE 3037000 /* STRICT tables */

/* ---- names ---- */

static char *copy(const flagver_store *store, const char *text)
{
    size_t size = strlen(text) + 1;
    char *block = fv_allocate(store->memory, size);

    if (block)
        memcpy(block, text, size);
    return block;
}

/* A database of this store alone, which SQLite keeps in memory for all connections to it. */
static int name_memory(flagver_store *store, flagver_error *err)
{
    static atomic_uint count;
    char name[80];

    snprintf(name, sizeof name, "file:/flagver-%ld-%u?vfs=memdb", (long)getpid(),
             atomic_fetch_add(&count, 1));
    store->in_memory = true;
    store->path = copy(store, FV_MEMORY_PATH);
    store->name = copy(store, name);
    return store->path && store->name ? 0 : fv_fail_memory(err);
}

/* Absolute: the process may change its directory. Also no "file:…" can be taken for a URI. */
static int name_file(flagver_store *store, const char *path, flagver_error *err)
{
    struct fv_text text = FV_TEXT_INIT;
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);

    if (path[0] != '/' && !directory)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "the current directory of %.500s", path);
    if (directory)
        fv_text_format(&text, "%s/", directory);
    fv_text_add(&text, path);
    free(directory);
    if (!text.failed) {
        store->path = copy(store, text.data);
        store->name = copy(store, text.data);
    }
    fv_text_clear(&text);
    return store->path && store->name ? 0 : fv_fail_memory(err);
}

/* ---- open and close ---- */

static void free_store(flagver_store *store)
{
    flagver_allocator hooks = store->hooks;
    const flagver_allocator *memory = store->memory ? &hooks : NULL;

    fv_release(memory, store->path);
    fv_release(memory, store->name);
    fv_release(memory, store);
}

static flagver_store *new_store(const flagver_driver_config *config)
{
    flagver_store *store = fv_allocate_zeroed(config->memory, 1, sizeof *store);

    if (!store)
        return NULL;
    if (config->memory) {
        store->hooks = *config->memory;
        store->memory = &store->hooks;
    }
    store->wait_ms = config->wait_ms > 0 ? config->wait_ms : 0;
    store->read_only = config->read_only != 0;
    store->no_upgrade = config->no_upgrade != 0;
    store->no_create = config->no_create || store->no_upgrade || store->read_only;
    return store;
}

static int check_library(flagver_error *err)
{
    if (sqlite3_libversion_number() < OLDEST_SQLITE)
        return fv_fail(err, FLAGVER_ENOTSUP, "SQLite is %s; 3.37.0 or newer is needed",
                       sqlite3_libversion());
    if (!sqlite3_threadsafe())
        return fv_fail(err, FLAGVER_ENOTSUP, "SQLite was built without support for threads");
    return 0;
}

static int check_path(const flagver_store *store, flagver_error *err)
{
    struct stat status;

    if (store->in_memory || !store->no_create || stat(store->path, &status) == 0)
        return 0;
    return errno == ENOENT || errno == ENOTDIR
               ? fv_fail(err, FLAGVER_ENOTFOUND, "there is no %.500s", store->path)
               : fv_fail_errno(err, FLAGVER_EUNAVAILABLE, errno, "%.500s", store->path);
}

/* The schema is made or brought up to date, unless it is a newer one that we can use. */
static int prepare_schema(struct fv_sqlite *conn, flagver_error *err)
{
    const flagver_store *store = conn->store;
    struct fv_sqlite_meta meta;
    int r;

    r = fv_sqlite_meta_read(conn, &meta, err);
    if (r < 0)
        return store->no_upgrade && r == FLAGVER_ESCHEMA ? 0 : r;
    if (store->no_upgrade)
        return 0;
    if (!store->read_only && meta.version < FLAGVER_SCHEMA_VERSION) {
        r = fv_sqlite_schema_move(conn, FLAGVER_SCHEMA_VERSION, err);
        if (r < 0)
            return r;
        r = fv_sqlite_meta_read(conn, &meta, err);
    }
    return r < 0 ? r : fv_sqlite_meta_check(conn, &meta, err);
}

static int take_id(flagver_store *store, flagver_error *err)
{
    struct fv_sqlite_meta meta;
    int r;

    r = fv_sqlite_meta_read(store->watcher, &meta, err);
    if (r < 0)
        return store->no_upgrade && r == FLAGVER_ESCHEMA ? 0 : r;
    store->has_id = meta.version > 0;
    store->id = meta.store;
    return 0;
}

static int start(flagver_store *store, flagver_error *err)
{
    int r;

    r = fv_sqlite_pool_open(store, err);
    if (r == 0)
        r = fv_sqlite_pool_note_files(store, store->watcher, err);
    if (r == 0)
        r = fv_sqlite_pool_check_log(store, store->watcher, err);
    if (r == 0 && !store->in_memory && !store->read_only && !store->no_upgrade)
        r = fv_sqlite_use_log(store->watcher, err);
    if (r == 0)
        r = prepare_schema(store->watcher, err);
    if (r == 0)
        r = take_id(store, err);
    if (r == 0) /* again: the log may be new */
        r = fv_sqlite_pool_note_files(store, store->watcher, err);
    fv_sqlite_pool_opened(store);
    if (r < 0)
        fv_sqlite_pool_close(store);
    return r;
}

static int open_store(const flagver_driver_config *config, flagver_store **ret_store,
                      flagver_error *err)
{
    flagver_store *store;
    int r;

    r = check_library(err);
    if (r < 0)
        return r;
    store = new_store(config);
    if (!store)
        return fv_fail_memory(err);
    r = strcmp(config->path, FV_MEMORY_PATH) == 0 ? name_memory(store, err)
                                                  : name_file(store, config->path, err);
    if (r == 0)
        r = check_path(store, err);
    if (r == 0)
        r = fv_sqlite_pool_leave_parent(store, err);
    if (r == 0)
        r = start(store, err);
    if (r < 0) {
        free_store(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

static void close_store(flagver_store *store)
{
    fv_sqlite_pool_close(store);
    free_store(store);
}

/*
 * Nothing: what the store has open is the parent's, and locks and memory may be in the middle of
 * something. When the child opens a store, fv_sqlite_pool_leave_parent() looks at it again.
 */
static void abandon(flagver_store *store)
{
    (void)store;
}

/* ---- what has no transaction ---- */

static int ping(flagver_store *store, flagver_error *err)
{
    struct fv_sqlite *conn;
    char version[16];
    int r;

    r = fv_sqlite_pool_watch(store, &conn, err);
    if (r < 0)
        return r;
    r = fv_sqlite_ask(conn, "PRAGMA schema_version", version, sizeof version, err);
    fv_sqlite_pool_unwatch(store);
    return r;
}

static int changes(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                   flagver_error *err)
{
    struct fv_sqlite *conn;
    int r;

    r = fv_sqlite_pool_watch(store, &conn, err);
    if (r < 0)
        return r;
    r = fv_sqlite_log_size(conn, tenant, ret_size, err);
    fv_sqlite_pool_unwatch(store);
    return r;
}

static void add_words(struct fv_text *text, const char *name, const char *value)
{
    fv_description_add(text, name, value);
    fv_text_add(text, ",");
}

/* As a number, 0 when the answer is none. */
static void add_answer(struct fv_text *text, struct fv_sqlite *conn, const char *name,
                       const char *sql)
{
    char answer[32] = "";

    fv_sqlite_ask(conn, sql, answer, sizeof answer, NULL);
    fv_text_format(text, "\"%s\":%s,", name, *answer ? answer : "0");
}

static void add_identity(struct fv_text *text, struct fv_sqlite *conn)
{
    struct fv_sqlite_meta meta = { .version = 0 };
    char id[FV_UUID_TEXT];

    if (fv_sqlite_meta_read(conn, &meta, NULL) == 0 && meta.version > 0) {
        fv_uuid_text(&meta.store, id);
        add_words(text, "store", id);
    }
    fv_text_format(text, "\"schema\":%u,", (unsigned)meta.version);
}

static void add_log_size(struct fv_text *text, const flagver_store *store,
                         const struct fv_sqlite *conn)
{
    const char *path = sqlite3_db_filename(conn->db, "main");
    struct stat status;

    if (store->in_memory || !path || stat(sqlite3_filename_wal(path), &status) != 0)
        status.st_size = 0;
    fv_text_format(text, "\"wal_bytes\":%" PRId64 "}", (int64_t)status.st_size);
}

static void add_all(struct fv_text *text, struct fv_sqlite *conn)
{
    char mode[16] = "";

    fv_text_add(text, "{");
    add_words(text, "driver", fv_sqlite_driver.name);
    add_words(text, "sqlite", sqlite3_libversion());
    add_words(text, "path", conn->store->path);
    fv_sqlite_ask(conn, "PRAGMA journal_mode", mode, sizeof mode, NULL);
    add_words(text, "journal_mode", mode);
    add_answer(text, conn, "page_count", "PRAGMA page_count");
    add_answer(text, conn, "page_size", "PRAGMA page_size");
    add_identity(text, conn);
    add_log_size(text, conn->store, conn);
}

/* In a transaction: after the first answer nobody is in the way of the others. */
static int describe(flagver_store *store, char *buffer, size_t size, flagver_error *err)
{
    struct fv_text text = FV_TEXT_INIT;
    struct fv_sqlite *conn;
    char first[16];
    int r;

    r = fv_sqlite_pool_peek(store, &conn, err);
    if (r < 0)
        return r;
    r = fv_sqlite_execute(conn, "BEGIN", err);
    if (r == 0)
        r = fv_sqlite_ask(conn, "PRAGMA schema_version", first, sizeof first, err);
    if (r == 0)
        add_all(&text, conn);
    sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    fv_sqlite_pool_unpeek(store);

    if (r < 0) {
        fv_text_clear(&text);
        return r;
    }
    return fv_description_give(&text, buffer, size, err);
}

const flagver_driver fv_sqlite_driver = {
    .abi = FLAGVER_DRIVER_ABI,
    .size = sizeof(flagver_driver),
    .name = "sqlite",
    .capabilities = FLAGVER_DRIVER_DURABLE | FLAGVER_DRIVER_PROCESSES | FLAGVER_DRIVER_ONE_WRITER |
                    FLAGVER_DRIVER_ENLIST | FLAGVER_DRIVER_SELF_UPGRADE | FLAGVER_DRIVER_RULES,
    .open = open_store,
    .close = close_store,
    .abandon = abandon,
    .ping = ping,
    .describe = describe,
    .schema_version = fv_sqlite_schema_version,
    .schema_migrate = fv_sqlite_schema_migrate,
    .schema_verify = fv_sqlite_schema_verify,
    .begin = fv_sqlite_begin,
    .adopt = fv_sqlite_adopt,
    .commit = fv_sqlite_commit,
    .rollback = fv_sqlite_rollback,
    .outcome = fv_sqlite_outcome,
    .lock = fv_sqlite_lock,
    .lock_log = fv_sqlite_lock_log,
    .apply = fv_sqlite_apply,
    .scan = fv_sqlite_scan,
    .next = fv_sqlite_next,
    .end_scan = fv_sqlite_end_scan,
    .changes = changes,
    .hold = fv_sqlite_hold,
    .nest = fv_sqlite_nest,
    .connection = fv_sqlite_lend,
};
