#include <string.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"

/*
 * Version 1. Texts are compared by their bytes, ids are 16 bytes, times are microseconds,
 * NULL is "none".
 *
 * Triggers repeat the library's rules for whoever writes with plain SQL; their words reach
 * people. They look at what is there before a row is inserted, too: OR REPLACE deletes
 * without asking the triggers for deletion, and references are checked only by connections that
 * ask for it.
 *
 * There are few references. A series that has a last number has that version, by the time of
 * the commit, and numbers have no gaps and versions stay: so the other numbers in a series and
 * its versions refer to something that exists.
 *
 * All of it runs in every change, so it is written to be cheap: triggers for what hardly anybody
 * writes are bound to those columns, and where IN would make a table for its list each time
 * there are comparisons.
 */
static const char *const version_1[] = {
    "CREATE TABLE flagver_meta (\n"
    "  one INTEGER PRIMARY KEY CHECK (one = 1),\n"
    "  store BLOB NOT NULL CHECK (length(store) = 16),\n"
    "  version INTEGER NOT NULL,\n"
    "  compatible INTEGER NOT NULL CHECK (compatible BETWEEN 1 AND version),\n"
    "  settled INTEGER NOT NULL\n"
    ") STRICT",

    "CREATE TABLE flagver_series (\n"
    "  tenant TEXT NOT NULL CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 128),\n"
    "  phase TEXT NOT NULL CHECK (length(CAST(phase AS BLOB)) BETWEEN 1 AND 128),\n"
    "  subject TEXT NOT NULL CHECK (length(CAST(subject AS BLOB)) BETWEEN 1 AND 512),\n"
    "  id BLOB NOT NULL CHECK (length(id) = 16),\n"
    "  last_no INTEGER CHECK (last_no >= 1),\n"
    "  current_no INTEGER CHECK (current_no BETWEEN 1 AND ifnull(last_no, 0)),\n"
    "  rev INTEGER NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  changed_at INTEGER NOT NULL CHECK (changed_at <= 4611686018427387904),\n"
    "  PRIMARY KEY (tenant, phase, subject),\n"
    "  UNIQUE (id),\n"
    "  FOREIGN KEY (id, last_no) REFERENCES flagver_version (series, no)\n"
    "    DEFERRABLE INITIALLY DEFERRED\n"
    ") STRICT, WITHOUT ROWID",

    /*
     * With rowids: payloads are long, and long rows make a tree without them deep. A trigger sees
     * -1 for a rowid that is still to be chosen, so none may be that.
     */
    "CREATE TABLE flagver_payload (\n"
    "  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),\n"
    "  key INTEGER CHECK (key >= 1),\n"
    "  salt BLOB,\n"
    "  body BLOB NOT NULL,\n"
    "  CHECK (rowid > 0)\n"
    ") STRICT",

    "CREATE TABLE flagver_version (\n"
    "  series BLOB NOT NULL,\n"
    "  no INTEGER NOT NULL CHECK (no BETWEEN 1 AND 4294967295),\n"
    "  id BLOB NOT NULL CHECK (length(id) = 16),\n"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 7),\n"
    "  bits INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 4294967295),\n"
    "  rev INTEGER NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  parent_no INTEGER CHECK (parent_no BETWEEN 1 AND no - 1),\n"
    "  base_no INTEGER CHECK (base_no BETWEEN 1 AND no - 1),\n"
    "  reverts_no INTEGER CHECK (reverts_no BETWEEN 1 AND no - 1),\n"
    "  superseded_by INTEGER CHECK (superseded_by > no),\n"
    "  created_at INTEGER NOT NULL,\n"
    "  created_by TEXT NOT NULL,\n"
    "  submitted_at INTEGER,\n"
    "  decided_at INTEGER,\n"
    "  decided_by TEXT,\n"
    "  superseded_at INTEGER CHECK (superseded_at > decided_at),\n"
    "  note TEXT,\n"
    "  payload BLOB NOT NULL REFERENCES flagver_payload (id),\n"
    "  content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),\n"
    "  PRIMARY KEY (series, no),\n"
    "  UNIQUE (id),\n"
    "  CHECK ((state = 4) = (superseded_by IS NOT NULL)),\n"
    "  CHECK ((state = 4) = (superseded_at IS NOT NULL)),\n"
    "  CHECK ((decided_at IS NULL) = (decided_by IS NULL)),\n"
    "  CHECK (state NOT BETWEEN 3 AND 5 OR decided_at IS NOT NULL)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE UNIQUE INDEX flagver_version_approved ON flagver_version (series) WHERE state = 3",

    "CREATE INDEX flagver_version_decided ON flagver_version (series, decided_at)\n"
    "  WHERE decided_at IS NOT NULL",

    "CREATE TABLE flagver_log (\n"
    "  tenant TEXT NOT NULL PRIMARY KEY CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 128),\n"
    "  size INTEGER NOT NULL CHECK (size >= 1)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE flagver_leaf (\n"
    "  tenant TEXT NOT NULL,\n"
    "  no INTEGER NOT NULL CHECK (no >= 0),\n"
    "  leaf BLOB NOT NULL,\n"
    "  hash BLOB NOT NULL CHECK (length(hash) = 32),\n"
    "  PRIMARY KEY (tenant, no)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE flagver_keyed (\n"
    "  tenant TEXT NOT NULL CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 128),\n"
    "  space TEXT NOT NULL CHECK (length(CAST(space AS BLOB)) BETWEEN 1 AND 64),\n"
    "  key TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 512),\n"
    "  rev INTEGER NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  time INTEGER NOT NULL,\n"
    "  value BLOB NOT NULL,\n"
    "  PRIMARY KEY (tenant, space, key)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE INDEX flagver_keyed_time ON flagver_keyed (tenant, space, time)",

    /* ---- meta ---- */

    "CREATE TRIGGER flagver_meta_once BEFORE INSERT ON flagver_meta\n"
    "WHEN EXISTS (SELECT 1 FROM flagver_meta)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the store has its identity already');\n"
    "END",

    "CREATE TRIGGER flagver_meta_kept BEFORE UPDATE ON flagver_meta\n"
    "WHEN NEW.one IS NOT OLD.one OR NEW.store IS NOT OLD.store\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the identity of the store never changes');\n"
    "END",

    "CREATE TRIGGER flagver_meta_stays BEFORE DELETE ON flagver_meta\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the identity of the store is never deleted');\n"
    "END",

    /* ---- series ---- */

    "CREATE TRIGGER flagver_series_born BEFORE INSERT ON flagver_series\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.last_no > 1\n"
    "      THEN RAISE(ABORT, 'flagver: the numbers of a series begin with 1')\n"
    "    WHEN EXISTS (SELECT 1 FROM flagver_series WHERE id = NEW.id)\n"
    "      OR EXISTS (SELECT 1 FROM flagver_series WHERE tenant = NEW.tenant\n"
    "        AND phase = NEW.phase AND subject = NEW.subject)\n"
    "      THEN RAISE(ABORT, 'flagver: there is such a series already')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_series_frozen BEFORE UPDATE OF tenant, phase, subject, id\n"
    "ON flagver_series\n"
    "WHEN (NEW.id, NEW.tenant, NEW.phase, NEW.subject)\n"
    "  IS NOT (OLD.id, OLD.tenant, OLD.phase, OLD.subject)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a series keeps its id and its name');\n"
    "END",

    "CREATE TRIGGER flagver_series_changes BEFORE UPDATE ON flagver_series\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.last_no IS NOT OLD.last_no\n"
    "      AND NEW.last_no IS NOT ifnull(OLD.last_no, 0) + 1\n"
    "      THEN RAISE(ABORT, 'flagver: the numbers of a series rise by one')\n"
    "    WHEN NEW.last_no > OLD.last_no AND NOT EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = OLD.id AND no = OLD.last_no)\n"
    "      THEN RAISE(ABORT, 'flagver: the last number of the series is not used yet')\n"
    "    WHEN ifnull(NEW.current_no, 0) < OLD.current_no\n"
    "      THEN RAISE(ABORT, 'flagver: what was in force once does not come back')\n"
    "    WHEN NEW.rev <= OLD.rev\n"
    "      THEN RAISE(ABORT, 'flagver: each change of a series raises its rev')\n"
    "    WHEN NEW.changed_at < OLD.changed_at\n"
    "      THEN RAISE(ABORT, 'flagver: the time of a series never falls')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_series_stays BEFORE DELETE ON flagver_series\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a series is never deleted');\n"
    "END",

    /* ---- payloads ---- */

    "CREATE TRIGGER flagver_payload_born BEFORE INSERT ON flagver_payload\n"
    "WHEN EXISTS (SELECT 1 FROM flagver_payload WHERE id = NEW.id)\n"
    "  OR NEW.rowid > 0 AND EXISTS (SELECT 1 FROM flagver_payload WHERE rowid = NEW.rowid)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: there is such a payload already');\n"
    "END",

    "CREATE TRIGGER flagver_payload_frozen BEFORE UPDATE ON flagver_payload\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a payload never changes');\n"
    "END",

    "CREATE TRIGGER flagver_payload_stays BEFORE DELETE ON flagver_payload\n"
    "WHEN EXISTS (SELECT 1 FROM flagver_version WHERE payload = OLD.id)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the payload of a version is never deleted');\n"
    "END",

    /* ---- versions ---- */

    "CREATE TRIGGER flagver_version_born BEFORE INSERT ON flagver_version\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.state <> 1 AND NEW.state <> 7\n"
    "      THEN RAISE(ABORT, 'flagver: a version is born as draft or as recorded')\n"
    "    WHEN NEW.no IS NOT (SELECT last_no FROM flagver_series WHERE id = NEW.series)\n"
    "      THEN RAISE(ABORT, 'flagver: a version takes the last number of its series')\n"
    "    WHEN EXISTS (SELECT 1 FROM flagver_version WHERE id = NEW.id)\n"
    "      OR EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = NEW.series AND no = NEW.no)\n"
    "      THEN RAISE(ABORT, 'flagver: there is such a version already')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_version_frozen BEFORE UPDATE OF series, no, id, parent_no,\n"
    "  reverts_no, created_at, created_by ON flagver_version\n"
    "WHEN (NEW.series, NEW.no, NEW.id, NEW.parent_no, NEW.reverts_no, NEW.created_at,\n"
    "    NEW.created_by)\n"
    "  IS NOT (OLD.series, OLD.no, OLD.id, OLD.parent_no, OLD.reverts_no, OLD.created_at,\n"
    "    OLD.created_by)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: what a version was born with never changes');\n"
    "END",

    "CREATE TRIGGER flagver_version_content BEFORE UPDATE OF payload, content_hash, base_no\n"
    "ON flagver_version\n"
    "WHEN (OLD.state <> 1 OR NEW.state <> 1)\n"
    "  AND (NEW.payload, NEW.content_hash, NEW.base_no)\n"
    "    IS NOT (OLD.payload, OLD.content_hash, OLD.base_no)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the content changes in drafts only');\n"
    "END",

    "CREATE TRIGGER flagver_version_changes BEFORE UPDATE ON flagver_version\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NOT (OLD.state = 1 AND (NEW.state <= 3 OR NEW.state = 6)\n"
    "        OR OLD.state = 2 AND (NEW.state <= 3 OR NEW.state = 5 OR NEW.state = 6)\n"
    "        OR OLD.state = 3 AND NEW.state = 4)\n"
    "      THEN RAISE(ABORT, 'flagver: a version in this state does not change so')\n"
    "    WHEN OLD.state = 3\n"
    "      AND (NEW.submitted_at, NEW.decided_at, NEW.decided_by, NEW.note, NEW.bits)\n"
    "        IS NOT (OLD.submitted_at, OLD.decided_at, OLD.decided_by, OLD.note, OLD.bits)\n"
    "      THEN RAISE(ABORT, 'flagver: what was approved only becomes superseded')\n"
    "    WHEN (NEW.bits & 1) <> (OLD.bits & 1)\n"
    "      THEN RAISE(ABORT, 'flagver: a version does not become a deletion, nor cease to be "
    "one')\n"
    "    WHEN NEW.rev <= OLD.rev\n"
    "      THEN RAISE(ABORT, 'flagver: each change of a version raises its rev')\n"
    "    WHEN NEW.state = 4 AND NOT EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = NEW.series AND no = NEW.superseded_by)\n"
    "      THEN RAISE(ABORT, 'flagver: the version that supersedes is not there')\n"
    "    WHEN NEW.state = 3 AND EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = NEW.series AND state = 3)\n"
    "      THEN RAISE(ABORT, 'flagver: another version of the series is approved')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_version_stays BEFORE DELETE ON flagver_version\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a version is never deleted');\n"
    "END",

    /* ---- the log: its size is what its leaves say, and only they make it grow ---- */

    "CREATE TRIGGER flagver_leaf_first AFTER INSERT ON flagver_leaf WHEN NEW.no = 0\n"
    "BEGIN\n"
    "  INSERT INTO flagver_log (tenant, size) VALUES (NEW.tenant, 1);\n"
    "END",

    "CREATE TRIGGER flagver_leaf_next AFTER INSERT ON flagver_leaf WHEN NEW.no > 0\n"
    "BEGIN\n"
    "  UPDATE flagver_log SET size = size + 1 WHERE tenant = NEW.tenant;\n"
    "  SELECT RAISE(ABORT, 'flagver: leaves are appended to the log one by one, from 0')\n"
    "    WHERE NOT EXISTS (SELECT 1 FROM flagver_log WHERE tenant = NEW.tenant\n"
    "      AND size = NEW.no + 1);\n"
    "END",

    "CREATE TRIGGER flagver_leaf_frozen BEFORE UPDATE ON flagver_leaf\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a leaf of the log never changes');\n"
    "END",

    "CREATE TRIGGER flagver_leaf_stays BEFORE DELETE ON flagver_leaf\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a leaf of the log is never deleted');\n"
    "END",

    "CREATE TRIGGER flagver_log_born BEFORE INSERT ON flagver_log\n"
    "WHEN NEW.size <> 1 OR EXISTS (SELECT 1 FROM flagver_log WHERE tenant = NEW.tenant)\n"
    "  OR NOT EXISTS (SELECT 1 FROM flagver_leaf WHERE tenant = NEW.tenant AND no = 0)\n"
    "  OR EXISTS (SELECT 1 FROM flagver_leaf WHERE tenant = NEW.tenant AND no = 1)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: leaves are appended to the log one by one, from 0');\n"
    "END",

    "CREATE TRIGGER flagver_log_grows BEFORE UPDATE ON flagver_log\n"
    "WHEN NEW.tenant IS NOT OLD.tenant OR NEW.size IS NOT OLD.size + 1\n"
    "  OR NOT EXISTS (SELECT 1 FROM flagver_leaf WHERE tenant = OLD.tenant AND no = OLD.size)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: leaves are appended to the log one by one, from 0');\n"
    "END",

    "CREATE TRIGGER flagver_log_stays BEFORE DELETE ON flagver_log\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the log is never deleted');\n"
    "END",
};

/* Tables take their indexes and triggers along. */
static const char *const version_0[] = {
    "DROP TABLE IF EXISTS main.flagver_keyed",   "DROP TABLE IF EXISTS main.flagver_leaf",
    "DROP TABLE IF EXISTS main.flagver_log",     "DROP TABLE IF EXISTS main.flagver_version",
    "DROP TABLE IF EXISTS main.flagver_payload", "DROP TABLE IF EXISTS main.flagver_series",
    "DROP TABLE IF EXISTS main.flagver_meta",
};

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

static int execute_all(struct fv_sqlite *conn, const char *const *statements, size_t count,
                       flagver_error *err)
{
    size_t i;
    int r = 0;

    for (i = 0; i < count && r == 0; i++)
        r = fv_sqlite_execute(conn, statements[i], err);
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

static int step_up(struct fv_sqlite *conn, flagver_error *err)
{
    int r;

    r = check_encoding(conn, err);
    if (r == 0)
        r = execute_all(conn, version_1, sizeof version_1 / sizeof *version_1, err);
    return r == 0 ? write_meta(conn, err) : r;
}

static int step_down(struct fv_sqlite *conn, flagver_error *err)
{
    return execute_all(conn, version_0, sizeof version_0 / sizeof *version_0, err);
}

/* One step under the write lock, if it is still to be done. 1: it was the last. */
static int step(struct fv_sqlite *conn, uint32_t to, flagver_error *err)
{
    struct fv_sqlite_meta meta;
    bool up;
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
    up = meta.version < to;
    r = up ? step_up(conn, err) : step_down(conn, err);
    if (r < 0)
        return r;
    return (up ? meta.version + 1 : meta.version - 1) == to;
}

int fv_sqlite_schema_move(struct fv_sqlite *conn, uint32_t to, flagver_error *err)
{
    int r, done;

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
    /* Or dropping a table would first delete its rows one by one and look who refers to them. */
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, (int *)NULL);
    r = fv_sqlite_schema_move(conn, to, err);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, (int *)NULL);
    if (r == 0)
        take_new_id(store, conn);
    fv_sqlite_pool_put(store, FLAGVER_MODE_WRITE, conn);
    return r;
}
