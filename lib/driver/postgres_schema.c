#define _DEFAULT_SOURCE /* getentropy */

#include <string.h>
#include <unistd.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"

#define OLDEST_SERVER 120000

/* Who changes the schema has the lock of this number, which is "flagver" in ASCII. */
#define LOCK "28829613227926898"

/* ---- what is there ---- */

/* A row when there is such a table: may the role read it, and what is the role called? */
static const struct fv_pg_statement find_meta = {
    -1,
    "SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE')\n"
    "  AND pg_catalog.has_table_privilege(c.oid, 'SELECT'), current_user::text\n"
    "FROM pg_catalog.pg_namespace AS n JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid\n"
    "WHERE n.nspname = 'flagver' AND c.relname = 'meta'"
};

static int has_meta(struct fv_pg *conn, bool *ret_has, flagver_error *err)
{
    PGresult *result;
    int r = fv_pg_query(conn, &find_meta, NULL, &result, err);

    if (r < 0)
        return r;
    *ret_has = PQntuples(result) > 0;
    if (*ret_has && !fv_pg_get_truth(result, 0, 0))
        r = fv_fail(err, FLAGVER_EUNAVAILABLE,
                    "role \"%.128s\" has no rights on flagver's tables; their owner gives them: "
                    "SELECT flagver.admit('%.128s')",
                    PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 1));
    PQclear(result);
    return r;
}

static int read_meta(struct fv_pg *conn, struct fv_pg_meta *ret_meta, flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        -1, "SELECT store, version, compatible FROM flagver.meta"
    };
    PGresult *result;
    int r = fv_pg_query(conn, &statement, NULL, &result, err);

    if (r == FLAGVER_ESCHEMA)
        return fv_fail(err, r,
                       "flagver.meta is not what this library knows; see `flagver schema verify`");
    if (r < 0)
        return r;
    if (PQntuples(result) == 0) {
        r = fv_fail(err, FLAGVER_ECORRUPT, "flagver.meta is empty; see `flagver schema verify`");
    } else {
        fv_pg_get_id(result, 0, 0, &ret_meta->store);
        ret_meta->version = (uint32_t)fv_pg_get_number(result, 0, 1);
        ret_meta->compatible = (uint32_t)fv_pg_get_number(result, 0, 2);
    }
    PQclear(result);
    return r;
}

int fv_pg_meta_read(struct fv_pg *conn, struct fv_pg_meta *ret_meta, flagver_error *err)
{
    bool has = false;
    int r = has_meta(conn, &has, err);

    if (r < 0)
        return r;
    if (has)
        return read_meta(conn, ret_meta, err);
    memset(ret_meta, 0, sizeof *ret_meta);
    return 0;
}

int fv_pg_meta_check(const struct fv_pg_meta *meta, flagver_error *err)
{
    if (meta->version == 0)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "the database has no flagver schema; `flagver --store URI schema up` makes "
                       "it, as the role that is to own it");
    if (meta->version < FLAGVER_SCHEMA_VERSION)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "the database has schema %u and this library needs %u; `flagver --store URI "
                       "schema up` upgrades it, as the role that owns it",
                       (unsigned)meta->version, FLAGVER_SCHEMA_VERSION);
    if (meta->compatible > FLAGVER_SCHEMA_VERSION)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "the database has schema %u, which libraries for schema %u and newer can "
                       "use; this one is for %u; see `flagver schema`",
                       (unsigned)meta->version, (unsigned)meta->compatible, FLAGVER_SCHEMA_VERSION);
    return 0;
}

int fv_pg_schema_version(flagver_store *store, uint32_t *ret_version, flagver_error *err)
{
    struct fv_pg_meta meta;
    struct fv_pg *conn;
    int r = fv_pg_pool_take(store, FLAGVER_MODE_READ, &conn, NULL, err);

    if (r < 0)
        return r;
    r = fv_pg_aside_begin(conn, err);
    if (r == 0)
        r = fv_pg_aside_end(conn, fv_pg_meta_read(conn, &meta, err), err);
    fv_pg_pool_put(conn);
    if (r == 0)
        *ret_version = meta.version;
    return r;
}

/* ---- may it be made here? ---- */

static const struct fv_pg_statement find_place = {
    -1, "SELECT pg_catalog.current_setting('server_encoding'),\n"
        "  EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'flagver'),\n"
        "  COALESCE((SELECT pg_catalog.has_schema_privilege(oid, 'CREATE')\n"
        "      AND pg_catalog.has_schema_privilege(oid, 'USAGE')\n"
        "      FROM pg_catalog.pg_namespace WHERE nspname = 'flagver'),\n"
        "    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')),\n"
        "  pg_catalog.quote_ident(current_user),\n"
        "  pg_catalog.quote_ident(pg_catalog.current_database())"
};

/* Texts are to be UTF-8 byte for byte: they are compared, ordered and hashed as such. */
static int check_place(const struct fv_pg *conn, const PGresult *place, flagver_error *err)
{
    const char *encoding = PQgetvalue(place, 0, 0), *role = PQgetvalue(place, 0, 3),
               *database = PQgetvalue(place, 0, 4);
    bool there = fv_pg_get_truth(place, 0, 1);
    int version = PQserverVersion(conn->pq);

    if (version < OLDEST_SERVER)
        return fv_fail(err, FLAGVER_ENOTSUP,
                       "the server is PostgreSQL %d.%d; 12 or newer is needed", version / 10000,
                       version % 10000);
    if (strcmp(encoding, "UTF8") != 0)
        return fv_fail(
            err, FLAGVER_ENOTSUP,
            "database %.128s keeps its texts as %.32s; UTF8 is needed: CREATE DATABASE … "
            "ENCODING 'UTF8' TEMPLATE template0",
            database, encoding);
    if (fv_pg_get_truth(place, 0, 2))
        return 0;
    return fv_fail(err, FLAGVER_EUNAVAILABLE,
                   "role %.128s may not create %s: use the role that is to own the tables, or, if "
                   "that is this one, GRANT CREATE%s ON %s %.128s TO %.128s",
                   role, there ? "tables in schema flagver" : "a schema in this database",
                   there ? ", USAGE" : "", there ? "SCHEMA" : "DATABASE",
                   there ? "flagver" : database, role);
}

/* A schema that is there already was made for us, by somebody who may do that. */
static int make_place(struct fv_pg *conn, flagver_error *err)
{
    PGresult *place;
    int r = fv_pg_query(conn, &find_place, NULL, &place, err);

    if (r < 0)
        return r;
    r = check_place(conn, place, err);
    if (r == 0 && !fv_pg_get_truth(place, 0, 1))
        r = fv_pg_execute(conn, "CREATE SCHEMA flagver", err);
    PQclear(place);
    return r;
}

/* It stays where there is something else in it, and where we could not make it again. */
static const char leave_place[] =
    "DO $$\n"
    "BEGIN\n"
    "  IF pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') THEN\n"
    "    DROP SCHEMA flagver;\n"
    "  END IF;\n"
    "EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN\n"
    "  NULL;\n"
    "END $$";

/* ---- up and down ---- */

static int execute_all(struct fv_pg *conn, const char *const *statements, flagver_error *err)
{
    int r = 0;

    for (; *statements && r == 0; statements++)
        r = fv_pg_execute(conn, *statements, err);
    return r;
}

/* A UUID of version 4. */
static int make_id(flagver_id *ret_id, flagver_error *err)
{
    if (getentropy(ret_id->bytes, sizeof ret_id->bytes) < 0)
        return fv_fail(err, FLAGVER_EIO, "no random bytes for the store's id");
    ret_id->bytes[6] = (uint8_t)((ret_id->bytes[6] & 0x0f) | 0x40);
    ret_id->bytes[8] = (uint8_t)((ret_id->bytes[8] & 0x3f) | 0x80);
    return 0;
}

/* The first step makes the tables, and with them the store's identity. */
static int write_meta(struct fv_pg *conn, const struct fv_pg_step *step, flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        -1, "INSERT INTO flagver.meta (one, store, version, compatible) VALUES (1, $1, $2, $3)\n"
            "ON CONFLICT (one) DO UPDATE SET version = $2, compatible = $3"
    };
    struct fv_pg_parameters parameters = { .count = 0 };
    flagver_id id;
    int r = make_id(&id, err);

    if (r < 0)
        return r;
    fv_pg_id(&parameters, &id);
    fv_pg_number(&parameters, step->version);
    fv_pg_number(&parameters, step->compatible);
    return fv_pg_query(conn, &statement, &parameters, NULL, err);
}

/* The place among the steps of the one that leads to this version; those that we know have one. */
static size_t step_to(uint32_t version)
{
    size_t i = 0;

    while (fv_pg_steps[i].version && fv_pg_steps[i].version != version)
        i++;
    return i;
}

static int step_up(struct fv_pg *conn, const struct fv_pg_step *step, flagver_error *err)
{
    int r = make_place(conn, err);

    if (r == 0)
        r = execute_all(conn, step->up, err);
    return r == 0 ? write_meta(conn, step, err) : r;
}

/* `below`: the step that led to the version that is to be there then; NULL: nothing is. */
static int step_down(struct fv_pg *conn, const struct fv_pg_step *step,
                     const struct fv_pg_step *below, flagver_error *err)
{
    int r = execute_all(conn, step->down, err);

    if (r < 0)
        return r;
    return below ? write_meta(conn, below, err) : fv_pg_execute(conn, leave_place, err);
}

/* One step, if it is still to be done. 1: it was the last. */
static int step(struct fv_pg *conn, uint32_t to, flagver_error *err)
{
    const struct fv_pg_step *below;
    struct fv_pg_meta meta;
    size_t next;
    int r = fv_pg_meta_read(conn, &meta, err);

    if (r < 0)
        return r;
    if (meta.version > FLAGVER_SCHEMA_VERSION)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "the database has schema %u; this library can change schemas up to %u only",
                       (unsigned)meta.version, FLAGVER_SCHEMA_VERSION);
    if (meta.version == to)
        return 1;
    next = meta.version ? step_to(meta.version) + 1 : 0;
    if (meta.version < to) {
        r = step_up(conn, &fv_pg_steps[next], err);
        return r < 0 ? r : fv_pg_steps[next].version == to;
    }
    below = next > 1 ? &fv_pg_steps[next - 2] : NULL;
    r = step_down(conn, &fv_pg_steps[next - 1], below, err);
    return r < 0 ? r : to == (below ? below->version : 0);
}

/* Whoever else changes the schema is waited for as long as that takes, or not at all. */
static int lock_schema(struct fv_pg *conn, flagver_error *err)
{
    static const struct fv_pg_statement attempt = {
        -1, "SELECT pg_catalog.pg_try_advisory_xact_lock(" LOCK ")"
    };
    PGresult *result;
    bool locked;
    int r;

    if (conn->store->wait_ms > 0)
        return fv_pg_execute(conn, "SELECT pg_catalog.pg_advisory_xact_lock(" LOCK ")", err);
    r = fv_pg_query(conn, &attempt, NULL, &result, err);
    if (r < 0)
        return r;
    locked = fv_pg_get_truth(result, 0, 0);
    PQclear(result);
    return locked ? 0
                  : fv_fail(err, FLAGVER_EBUSY,
                            "somebody else is changing the schema, and nobody is waited for "
                            "(wait_ms is %d)",
                            (int)conn->store->wait_ms);
}

/* Who uses it is not waited for longer than for any lock: those behind us would wait as well. */
static int enter(struct fv_pg *conn, flagver_error *err)
{
    int r;

    r = fv_pg_execute(conn,
                      "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL search_path = "
                      "pg_catalog; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; "
                      "SET LOCAL idle_in_transaction_session_timeout = 0",
                      err);
    if (r == 0)
        r = lock_schema(conn, err);
    return r == 0 ? fv_pg_limit_locks(conn, err) : r;
}

static int move(struct fv_pg *conn, uint32_t to, flagver_error *err)
{
    int r, done;

    do {
        r = enter(conn, err);
        done = r < 0 ? r : step(conn, to, err);
        r = done < 0 ? done : fv_pg_execute(conn, "COMMIT", err);
        if (r < 0)
            fv_pg_execute(conn, "ROLLBACK", NULL);
        r = fv_pg_name_limit(conn, r, err);
    } while (r == 0 && !done);
    return r;
}

int fv_pg_schema_migrate(flagver_store *store, uint32_t to, flagver_error *err)
{
    struct fv_pg *conn;
    int r;

    if (to && !fv_pg_steps[step_to(to)].version)
        return fv_fail(err, FLAGVER_EINVAL,
                       "there is no schema %u on PostgreSQL: the first is %u, this library knows "
                       "up to %u, and 0 is none",
                       (unsigned)to, (unsigned)fv_pg_steps[0].version, FLAGVER_SCHEMA_VERSION);
    r = fv_pg_pool_take(store, FLAGVER_MODE_WRITE, &conn, NULL, err);
    if (r < 0)
        return r;
    r = move(conn, to, err);
    fv_pg_pool_put(conn);
    if (r == 0 && to == 0)
        fv_pg_forget_id(store);
    return r;
}
