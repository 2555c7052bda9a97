#include <string.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"

/* ---- what is there ---- */

static int has_schema(struct fv_sqlite *conn, bool *ret_has, flagver_error *err)
{
    char answer[4];
    int r;

    r = fv_sqlite_ask(conn,
                      "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND "
                      "name = 'flagver_meta'",
                      answer, sizeof answer, err);
    if (r == 0)
        *ret_has = answer[0] == '1';
    return r;
}

static int read_meta(struct fv_sqlite *conn, struct fv_sqlite_meta *ret_meta, flagver_error *err)
{
    struct fv_binder call;
    int r;

    r = fv_bind_start(&call, conn, FV_SQL_META,
                      "SELECT store, version, compatible FROM main.flagver_meta", err);
    if (r == 0)
        r = fv_bind_step(&call, err);
    if (r <= 0)
        return r == 0 ? fv_fail(err, FLAGVER_ECORRUPT, "%.500s: flagver_meta is empty",
                                conn->store->path)
                      : r;
    fv_column_id(call.statement, 0, &ret_meta->store);
    ret_meta->version = (uint32_t)sqlite3_column_int64(call.statement, 1);
    ret_meta->compatible = (uint32_t)sqlite3_column_int64(call.statement, 2);
    fv_bind_end(&call);
    return 0;
}

int fv_sqlite_meta_read(struct fv_sqlite *conn, struct fv_sqlite_meta *ret_meta, flagver_error *err)
{
    bool has = false;
    int r;

    r = read_meta(conn, ret_meta, err);
    if (r != FLAGVER_ESCHEMA)
        return r;
    /* "no such table", or what is there is not ours */
    r = has_schema(conn, &has, err);
    if (r < 0)
        return r;
    if (has) /* by now: somebody else may just have made it */
        r = read_meta(conn, ret_meta, err);
    if (has && r != FLAGVER_ESCHEMA)
        return r;
    if (has)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "%.500s: flagver_meta is not what this library knows; see `flagver schema "
                       "verify`",
                       conn->store->path);
    memset(ret_meta, 0, sizeof *ret_meta);
    return 0;
}

int fv_sqlite_meta_check(const struct fv_sqlite *conn, const struct fv_sqlite_meta *meta,
                         flagver_error *err)
{
    const char *path = conn->store->path;

    if (meta->version == 0)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "%.500s has no flagver schema; `flagver schema up` makes it", path);
    if (meta->version < FLAGVER_SCHEMA_VERSION)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "%.500s has schema %u and this library needs %u; see `flagver schema up`",
                       path, (unsigned)meta->version, FLAGVER_SCHEMA_VERSION);
    if (meta->compatible > FLAGVER_SCHEMA_VERSION)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "%.500s has schema %u, which libraries for schema %u and newer can use; "
                       "this one is for %u; see `flagver schema`",
                       path, (unsigned)meta->version, (unsigned)meta->compatible,
                       FLAGVER_SCHEMA_VERSION);
    return 0;
}

int fv_sqlite_meta_confirm(struct fv_sqlite *conn, flagver_error *err)
{
    flagver_store *store = conn->store;
    struct fv_sqlite_meta meta;
    bool same;
    int r;

    r = fv_sqlite_meta_read(conn, &meta, err);
    if (r == 0)
        r = fv_sqlite_meta_check(conn, &meta, err);
    if (r < 0)
        return r;

    pthread_mutex_lock(&store->lock);
    if (!store->has_id) { /* opened without a schema, and someone has made one since */
        store->id = meta.store;
        store->has_id = true;
    }
    same = memcmp(&meta.store, &store->id, sizeof meta.store) == 0;
    pthread_mutex_unlock(&store->lock);
    return same ? 0
                : fv_fail(err, FLAGVER_EUNAVAILABLE,
                          "%.500s is another store than the one that was opened", store->path);
}

/* ---- up and down ---- */

static int execute_all(struct fv_sqlite *conn, const char *const *statements, flagver_error *err)
{
    int r = 0;

    for (; *statements && r == 0; statements++)
        r = fv_sqlite_execute(conn, *statements, err);
    return r;
}

/* A UUID of version 4. */
static void make_id(flagver_id *ret_id)
{
    sqlite3_randomness(sizeof ret_id->bytes, ret_id->bytes);
    ret_id->bytes[6] = (uint8_t)((ret_id->bytes[6] & 0x0f) | 0x40);
    ret_id->bytes[8] = (uint8_t)((ret_id->bytes[8] & 0x3f) | 0x80);
}

static int write_meta(struct fv_sqlite *conn, flagver_error *err)
{
    sqlite3_stmt *statement;
    flagver_id id;
    int r;

    r = fv_sqlite_prepare(conn, "INSERT INTO main.flagver_meta VALUES (1, ?, 1, 1, 0)", &statement,
                          err);
    if (r < 0)
        return r;
    make_id(&id);
    sqlite3_bind_blob(statement, 1, id.bytes, sizeof id.bytes, SQLITE_STATIC);
    r = sqlite3_step(statement) == SQLITE_DONE ? 0 : fv_sqlite_fail(conn, err);
    sqlite3_finalize(statement);
    return r;
}

/* Order by bytes is the order of UTF-8 only where texts are kept as UTF-8. */
static int check_encoding(struct fv_sqlite *conn, flagver_error *err)
{
    char encoding[16];
    int r;

    r = fv_sqlite_ask(conn, "PRAGMA encoding", encoding, sizeof encoding, err);
    if (r == 0 && strcmp(encoding, "UTF-8") != 0)
        r = fv_fail(err, FLAGVER_ENOTSUP, "%.500s keeps its texts as %s; UTF-8 is needed",
                    conn->store->path, encoding);
    return r;
}

/* The first step makes the tables, and with them the store's identity. */
static int step_up(struct fv_sqlite *conn, uint32_t from, flagver_error *err)
{
    int r = from == 0 ? check_encoding(conn, err) : 0;

    if (r == 0)
        r = execute_all(conn, fv_sqlite_steps[from].up, err);
    return r == 0 && from == 0 ? write_meta(conn, err) : r;
}

/* Down to nothing in one step, whatever the version. 1: it was the last. */
static int step_down(struct fv_sqlite *conn, uint32_t from, uint32_t to, flagver_error *err)
{
    uint32_t below = to == 0 ? 0 : from - 1;
    int r = execute_all(conn, fv_sqlite_steps[below].down, err);

    return r < 0 ? r : below == to;
}

/* One step under the write lock, if it is still to be done. 1: it was the last. */
static int step(struct fv_sqlite *conn, uint32_t to, flagver_error *err)
{
    struct fv_sqlite_meta meta;
    int r;

    r = fv_sqlite_meta_read(conn, &meta, err);
    if (r == 0 && meta.version > FLAGVER_SCHEMA_VERSION)
        r = fv_fail(err, FLAGVER_ESCHEMA,
                    "%.500s has schema %u; this library can change schemas up to %u only",
                    conn->store->path, (unsigned)meta.version, FLAGVER_SCHEMA_VERSION);
    if (r < 0)
        return r;
    if (meta.version == to)
        return 1;
    if (meta.version > to)
        return step_down(conn, meta.version, to, err);
    r = step_up(conn, meta.version, err);
    return r < 0 ? r : meta.version + 1 == to;
}

/*
 * The log goes into the file first: an identity that is still in the file, while another one is in
 * the log, would look like the log of another store to whoever opens it after a crash.
 */
int fv_sqlite_schema_move(struct fv_sqlite *conn, uint32_t to, flagver_error *err)
{
    int r, done;

    fv_sqlite_empty_log(conn);
    do {
        r = fv_sqlite_execute(conn, "BEGIN IMMEDIATE", err);
        if (r < 0)
            return r;
        done = step(conn, to, err);
        r = done < 0 ? done : fv_sqlite_execute(conn, "COMMIT", err);
        if (r < 0)
            sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    } while (r == 0 && !done);
    return r;
}

int fv_sqlite_schema_version(flagver_store *store, uint32_t *ret_version, flagver_error *err)
{
    struct fv_sqlite_meta meta;
    struct fv_sqlite *conn;
    int r;

    r = fv_sqlite_pool_watch(store, &conn, err);
    if (r < 0)
        return r;
    r = fv_sqlite_meta_read(conn, &meta, err);
    fv_sqlite_pool_unwatch(store);
    if (r == 0)
        *ret_version = meta.version;
    return r;
}

/* A schema that was made anew is a store of its own. */
static void take_new_id(flagver_store *store, struct fv_sqlite *conn)
{
    struct fv_sqlite_meta meta;

    if (fv_sqlite_meta_read(conn, &meta, NULL) < 0)
        return;
    pthread_mutex_lock(&store->lock);
    store->has_id = meta.version > 0;
    store->id = meta.store;
    pthread_mutex_unlock(&store->lock);
}

int fv_sqlite_schema_migrate(flagver_store *store, uint32_t to, flagver_error *err)
{
    struct fv_sqlite *conn;
    int r;

    if (to > FLAGVER_SCHEMA_VERSION)
        return fv_fail(err, FLAGVER_EINVAL, "there is no schema %u; 0 to %u are known",
                       (unsigned)to, FLAGVER_SCHEMA_VERSION);
    r = fv_sqlite_pool_take(store, FLAGVER_MODE_WRITE, &conn, err);
    if (r < 0)
        return r;
    /*
     * Or dropping a table would first delete its rows one by one and look who refers to them, and
     * dropping a column would fail where a view of the application makes no sense.
     */
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, (int *)NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, (int *)NULL);
    r = fv_sqlite_schema_move(conn, to, err);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0, (int *)NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, (int *)NULL);
    if (r == 0)
        take_new_id(store, conn);
    fv_sqlite_pool_put(store, FLAGVER_MODE_WRITE, conn);
    return r;
}
