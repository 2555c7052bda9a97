/*
 * Homes of sides, for tests that run on every arrangement of them: in memory, in a SQLite file, in a
 * PostgreSQL database, each in its own or both in one. Their tables are "old_rows" and "new_rows".
 *
 * A test that runs on all of them is a loop test over 0 … arrangements_to_test(); `_i` is the
 * arrangement. What needs a server that is not there is skipped.
 */
#ifndef FLAGVER_TESTS_HOMES_H
#define FLAGVER_TESTS_HOMES_H

#include <sys/mman.h>

#include "sides.h"

enum home_kind { IN_MEMORY, IN_SQLITE, IN_POSTGRES };

static const struct arrangement {
    const char *label;
    enum home_kind kinds[2]; /* by side */
    bool together;           /* both in one store */
} arrangements[] = {
    { "memory to memory", { IN_MEMORY, IN_MEMORY }, false },
    { "SQLite to memory", { IN_SQLITE, IN_MEMORY }, false },
    { "memory to SQLite", { IN_MEMORY, IN_SQLITE }, false },
    { "SQLite to SQLite", { IN_SQLITE, IN_SQLITE }, false },
    { "inside one SQLite file", { IN_SQLITE, IN_SQLITE }, true },
    { "SQLite to PostgreSQL", { IN_SQLITE, IN_POSTGRES }, false },
    { "PostgreSQL to SQLite", { IN_POSTGRES, IN_SQLITE }, false },
    { "PostgreSQL to PostgreSQL", { IN_POSTGRES, IN_POSTGRES }, false },
    { "inside one PostgreSQL database", { IN_POSTGRES, IN_POSTGRES }, true },
};
#define FIRST_ENLISTED 3
#define FIRST_SERVED 5

/* Where a side is; `client` is of this process, and the tables are open in it. */
struct home {
    enum home_kind kind;
    bool together; /* the other home is the one that has made the place, and opens the client */
    char database[64], uri[320], path[128];
    const char *name; /* of the table */
    flagver_client *client;
    struct table *table; /* in memory, shared with processes that are started later */
    struct lite lite;
#ifndef FV_WITHOUT_postgres
    struct served served;
#endif
};

/* ---- places ---- */

#ifdef FV_WITHOUT_postgres
static inline int arrangements_to_test(void)
{
    return FIRST_SERVED;
}

static inline void home_make_database(struct home *home, int side)
{
    (void)home;
    (void)side;
}

static inline void home_drop_database(struct home *home)
{
    (void)home;
}

static inline void home_sql(const struct home *home, const char *sql)
{
    sqlite3 *db = lite_open(&home->lite);

    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}
#else

/* To be called before Check forks. */
static inline int arrangements_to_test(void)
{
    return kinds_to_test() > POSTGRES_KIND ? (int)(sizeof arrangements / sizeof arrangements[0])
                                           : FIRST_SERVED;
}

/* Whose servers are stopped says its own. */
static struct cluster *homes_cluster MAYBE_UNUSED;

static inline struct cluster *home_cluster(void)
{
    return homes_cluster ? homes_cluster : cluster_shared();
}

static inline void home_make_database(struct home *home, int side)
{
    if (!cluster_possible())
        cluster_skip();
    snprintf(home->database, sizeof home->database, "side_%ld_%u_%d", (long)getpid(), test_number,
             side);
    copy_template(home_cluster(), home->database);
    snprintf(home->uri, sizeof home->uri, "%s", cluster_uri(home_cluster(), home->database, "app"));
}

static inline void home_drop_database(struct home *home)
{
    if (home->kind == IN_POSTGRES && !home->together)
        cluster_drop(home_cluster(), home->database);
}

/* Statements of whoever may do all. */
static inline void home_sql(const struct home *home, const char *sql)
{
    sqlite3 *db;

    if (home->kind == IN_POSTGRES) {
        cluster_sql(home_cluster(), home->database, sql);
        return;
    }
    db = lite_open(&home->lite);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    sqlite3_close(db);
}
#endif

static inline struct table *home_share_table(void)
{
    struct table *table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;

    if (table == MAP_FAILED)
        ck_abort_msg("no memory for processes to share");
    table_init(table);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&table->lock, &attributes);
    return table;
}

/* A place for a side; nothing is opened yet. */
static inline void home_found(struct home homes[2], int side, const struct arrangement *arrangement)
{
    struct home *home = &homes[side];

    memset(home, 0, sizeof *home);
    home->kind = arrangement->kinds[side];
    home->together = arrangement->together && side == FLAGVER_SIDE_NEW;
    home->name = side == FLAGVER_SIDE_OLD ? "old_rows" : "new_rows";
    home->table = home_share_table();
    home->lite = (struct lite){ .path = home->path, .name = home->name };
    if (home->together) {
        memcpy(home->database, homes[0].database, sizeof home->database);
        memcpy(home->uri, homes[0].uri, sizeof home->uri);
        memcpy(home->path, homes[0].path, sizeof home->path);
    } else if (home->kind == IN_POSTGRES) {
        home_make_database(home, side);
    } else if (home->kind == IN_SQLITE) {
        snprintf(home->path, sizeof home->path, "%s", file_named(side ? "new" : "old"));
        snprintf(home->uri, sizeof home->uri, "sqlite:%s", home->path);
    }
}

/* What is left of it when nobody has it open any more. */
static inline void home_remove(struct home *home)
{
    munmap(home->table, sizeof *home->table);
    home_drop_database(home);
}

/* ---- in a process ---- */

/* `uri` NULL: its own; or the same store by another driver. The old side's home first. */
static inline void home_open(struct home homes[2], int side, const char *uri)
{
    const flagver_options options = quiet_options();
    struct home *home = &homes[side];

    if (home->together)
        home->client = homes[0].client;
    else if (home->kind != IN_MEMORY)
        assert_ok(flagver_open(uri ? uri : home->uri, &options, &home->client, &error));
    home->lite.client = home->client;
#ifndef FV_WITHOUT_postgres
    served_init(&home->served, home->client, home->uri, home->name);
#endif
}

/* After it was opened for the first time. */
static inline void home_make_table(const struct home *home)
{
    char sql[256];

    if (home->kind == IN_SQLITE)
        lite_make(&home->lite);
    if (home->kind != IN_POSTGRES)
        return;
    snprintf(sql, sizeof sql,
             "CREATE TABLE %s (key text COLLATE \"C\" PRIMARY KEY, value text);"
             "GRANT ALL ON %s TO app",
             home->name, home->name);
    home_sql(home, sql);
}

static inline void home_close(struct home *home)
{
#ifndef FV_WITHOUT_postgres
    served_close(&home->served);
#endif
    if (!home->together)
        flagver_close(home->client);
    home->client = NULL;
}

/* Both in a process that lives as long as they do. The old side's home first. */
static inline void home_begin(struct home homes[2], int side, const struct arrangement *arrangement)
{
    home_found(homes, side, arrangement);
    home_open(homes, side, NULL);
    home_make_table(&homes[side]);
}

static inline void homes_end(struct home homes[2])
{
    for (int side = FLAGVER_SIDE_NEW; side >= FLAGVER_SIDE_OLD; side--) {
        home_close(&homes[side]);
        home_remove(&homes[side]);
    }
}

static inline flagver_side home_side(struct home *home)
{
#ifndef FV_WITHOUT_postgres
    if (home->kind == IN_POSTGRES)
        return served_side(&home->served);
#endif
    return home->kind == IN_SQLITE ? lite_side(&home->lite) : table_side(home->table);
}

static inline void home_fail_writes(struct home *home, int code)
{
    home->table->fails = code;
    home->lite.fails = code;
#ifndef FV_WITHOUT_postgres
    home->served.fails = code;
#endif
}

/* ---- what is there ---- */

static inline const char *home_value_in_file(const struct home *home, const char *key)
{
    static char texts[2][256];
    static int turn;
    char *text = texts[turn++ % 2];
    sqlite3 *db = lite_open(&home->lite);
    sqlite3_stmt *statement = lite_prepare(&home->lite, db, "SELECT value FROM %s WHERE key = ?1",
                                           key);
    bool there = sqlite3_step(statement) == SQLITE_ROW;

    if (there)
        snprintf(text, sizeof texts[0], "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return there ? text : NULL;
}

/* NULL: there is none. Good until the second call from here. */
static inline const char *home_value(const struct home *home, const char *key)
{
    if (home->kind == IN_MEMORY)
        return table_get(home->table, key);
#ifndef FV_WITHOUT_postgres
    if (home->kind == IN_POSTGRES) {
        const char *value;
        char sql[512];

        snprintf(sql, sizeof sql, "SELECT value FROM %s WHERE key = '%s'", home->name, key);
        value = cluster_value(home_cluster(), home->database, sql);
        return *value ? value : NULL;
    }
#endif
    return home_value_in_file(home, key);
}

/* Make a record another one behind the library's back. */
static inline void home_spoil(struct home *home, const char *key, const char *value)
{
    char sql[512];

    if (home->kind == IN_MEMORY) {
        table_put(home->table, key, value);
        return;
    }
    snprintf(sql, sizeof sql, "UPDATE %s SET value = '%s' WHERE key = '%s'", home->name, value,
             key);
    home_sql(home, sql);
}

#endif
