#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/memory.h"

#define OLDEST_SERVER 120000

/* ---- open and close ---- */

static flagver_store *new_store(const flagver_driver_config *config)
{
    flagver_store *store = fv_allocate_zeroed(config->memory, 1, sizeof *store);

    if (!store)
        return NULL;
    if (config->memory) {
        store->hooks = *config->memory;
        store->memory = &store->hooks;
    }
    store->read_only = config->read_only != 0;
    store->no_upgrade = config->no_upgrade != 0;
    store->wait_ms = config->wait_ms;
    return store;
}

static void free_store(flagver_store *store)
{
    flagver_allocator hooks = store->hooks;

    fv_pg_target_clear(&store->target, store->memory);
    fv_release(store->memory ? &hooks : NULL, store);
}

/* Can this server be worked with, and is the schema there? With no_upgrade that is not asked. */
static int check(flagver_store *store, struct fv_pg *conn, flagver_error *err)
{
    int version = PQserverVersion(conn->pq);
    struct fv_pg_meta meta;
    int r;

    if (version < OLDEST_SERVER)
        return fv_fail(err, FLAGVER_ENOTSUP,
                       "%.250s: the server is PostgreSQL %d; 12 or newer is "
                       "needed",
                       store->target.shown, version / 10000);
    if (store->no_upgrade)
        return 0;
    r = fv_pg_aside_begin(conn, err);
    if (r == 0)
        r = fv_pg_aside_end(conn, fv_pg_meta_read(conn, &meta, err), err);
    return r < 0 ? r : fv_pg_meta_check(&meta, err);
}

/* By a connection for reading: many stores are never written to. */
static int start(flagver_store *store, flagver_error *err)
{
    struct fv_pg *conn;
    int r = fv_pg_pool_take(store, FLAGVER_MODE_READ, &conn, NULL, err);

    if (r < 0)
        return r;
    r = check(store, conn, err);
    fv_pg_pool_put(conn);
    return r;
}

static void close_store(flagver_store *store)
{
    fv_pg_notify_close(store);
    fv_pg_pool_close(store);
    free_store(store);
}

static int open_store(const flagver_driver_config *config, flagver_store **ret_store,
                      flagver_error *err)
{
    flagver_store *store;
    int r;

    if (!PQisthreadsafe())
        return fv_fail(err, FLAGVER_ENOTSUP, "libpq was built without support for threads");
    store = new_store(config);
    if (!store)
        return fv_fail_memory(err);
    r = fv_pg_target_parse(config->path, store->memory, &store->target, err);
    if (r == 0)
        r = fv_pg_pool_init(store, err);
    if (r < 0) {
        free_store(store);
        return r;
    }
    r = start(store, err);
    if (r < 0) {
        close_store(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

/*
 * Nothing: the connections are the parent's, and closing one would say so to the server. The child
 * has let go of its sockets already.
 */
static void abandon(flagver_store *store)
{
    (void)store;
}

/* ---- what has no transaction ---- */

/* Whoever has locked the whole table is not waited for longer than for any other lock. */
static const struct fv_pg_statement log_size = {
    FV_PG_LOG_SIZE,
    "SELECT pg_catalog.set_config('lock_timeout', $2::pg_catalog.text, true), flagver.log_size($1)"
};

int fv_pg_log_size(struct fv_pg *conn, flagver_bytes tenant, uint64_t *ret_size, flagver_error *err)
{
    struct fv_pg_parameters parameters = { .count = 0 };
    PGresult *result;
    int r;

    fv_pg_text(&parameters, tenant);
    fv_pg_number(&parameters, conn->store->wait_ms > 0 ? conn->store->wait_ms : 1);
    r = fv_pg_query(conn, &log_size, &parameters, &result, err);
    if (r < 0)
        return r;
    *ret_size = (uint64_t)fv_pg_get_number(result, 0, 1);
    PQclear(result);
    return 0;
}

/* One that died while it was idle is no reason to say that the server does not answer. */
static int ask_in(flagver_store *store, int mode, flagver_bytes tenant, uint64_t *ret_size,
                  flagver_error *err)
{
    struct fv_pg *conn;
    bool fresh;
    int r = fv_pg_pool_take(store, mode, &conn, &fresh, err);

    if (r < 0)
        return r;
    r = fv_pg_log_size(conn, tenant, ret_size, err);
    if (r < 0 && conn->broken && !fresh) {
        r = fv_pg_pool_renew(&conn, err);
        if (r < 0)
            return r;
        r = fv_pg_log_size(conn, tenant, ret_size, err);
    }
    if (r == 0)
        fv_pg_notify_rest(conn);
    fv_pg_pool_put(conn);
    return r;
}

/*
 * The server that writes says what there is. While it is away a standby does, if that has all that
 * was ever said: nothing that was seen is taken back.
 */
static int ask(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size, flagver_error *err)
{
    uint64_t size;
    int r = ask_in(store, FV_PG_MODE_NEWEST, tenant, &size, err);

    if (r == FLAGVER_EUNAVAILABLE && store->target.standby_reads &&
        ask_in(store, FLAGVER_MODE_READ, tenant, &size, NULL) == 0 &&
        size >= fv_pg_seen(store, tenant))
        r = 0;
    if (r == 0 && store->target.standby_reads)
        r = fv_pg_note_seen(store, tenant, size, err);
    if (r == 0)
        *ret_size = size;
    return r;
}

static int ping(flagver_store *store, flagver_error *err)
{
    static const char nobody[] = "default";
    uint64_t size;

    return ask(store, (flagver_bytes){ nobody, sizeof nobody - 1 }, &size, err);
}

static int changes(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                   flagver_error *err)
{
    fv_pg_hear(store); /* before asking: what comes later is heard the next time */
    return ask(store, tenant, ret_size, err);
}

/* ---- describe ---- */

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void add_all(struct fv_text *text, flagver_store *store)
{
    struct fv_pg_facts facts;
    int writing, reading, idle;

    pthread_mutex_lock(&store->lock);
    facts = store->facts;
    writing = store->seats[0].taken;
    reading = store->seats[1].taken + store->seats[2].taken;
    idle = store->seats[0].idle_count + store->seats[1].idle_count + store->seats[2].idle_count;
    pthread_mutex_unlock(&store->lock);

    fv_text_format(text, "{\"driver\":\"%s\"", fv_postgres_driver.name);
    fv_text_format(text, ",\"server\":\"%d.%d\"", facts.server_version / 10000,
                   facts.server_version % 10000);
    fv_text_add(text, ",");
    fv_description_add(text, "host", facts.host);
    fv_text_add(text, ",");
    fv_description_add(text, "database", facts.database);
    fv_text_add(text, ",");
    fv_description_add(text, "role", facts.role);
    fv_text_format(text, ",\"pooler\":%s,\"bypasses_row_security\":%s,\"standby\":%s",
                   truth(facts.pooled), truth(facts.bypasses), truth(facts.standby));
    fv_text_format(text, ",\"listening\":%s", fv_pg_listens(store));
    fv_text_format(text,
                   ",\"connections\":{\"limit\":%d,\"writing\":%d,\"reading\":%d,\"idle\":%d}}",
                   (int)store->target.pool, writing, reading, idle);
}

static int describe(flagver_store *store, char *buffer, size_t size, flagver_error *err)
{
    struct fv_text text = FV_TEXT_INIT;

    add_all(&text, store);
    return fv_description_give(&text, buffer, size, err);
}

const flagver_driver fv_postgres_driver = {
    .abi = FLAGVER_DRIVER_ABI,
    .size = sizeof(flagver_driver),
    .name = "postgresql",
    .capabilities = FLAGVER_DRIVER_DURABLE | FLAGVER_DRIVER_PROCESSES | FLAGVER_DRIVER_ENLIST |
                    FLAGVER_DRIVER_TENANTS | FLAGVER_DRIVER_RULES,
    .open = open_store,
    .close = close_store,
    .abandon = abandon,
    .ping = ping,
    .describe = describe,
    .schema_version = fv_pg_schema_version,
    .schema_migrate = fv_pg_schema_migrate,
    .schema_verify = fv_pg_schema_verify,
    .begin = fv_pg_begin,
    .adopt = fv_pg_adopt,
    .commit = fv_pg_commit,
    .rollback = fv_pg_rollback,
    .outcome = fv_pg_outcome,
    .lock = fv_pg_lock,
    .lock_log = fv_pg_lock_log,
    .apply = fv_pg_apply,
    .scan = fv_pg_scan,
    .next = fv_pg_next,
    .end_scan = fv_pg_end_scan,
    .changes = changes,
    .watch_fd = fv_pg_watch_fd,
    .examine = fv_pg_examine,
    .hold = fv_pg_hold,
    .nest = fv_pg_nest,
    .connection = fv_pg_lend,
};
