/*
 * One commit for two things: the application's own row and a flag change, in the
 * application's own SQLite transaction. Either both are there or neither.
 *
 * Prints what is in the database after a commit and after a rollback.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include <flagver.h>
#include <flagver/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(sqlite3 *db, const char *sql)
{
    char *words = NULL;
    int r = sqlite3_exec(db, sql, NULL, NULL, &words);

    if (r != SQLITE_OK)
        fprintf(stderr, "%s: %s\n", sql, words);
    sqlite3_free(words);
    return r == SQLITE_OK ? 0 : -1;
}

/* A new plan for sale, and the flag that shows it to ten percent: both or neither. */
static int add_plan(flagver_client *flags, sqlite3 *db, const char *name, bool commit)
{
    static const char definition[] = "{\"type\": \"boolean\", \"percentage\": 10}";
    const flagver_actor actor = { .size = sizeof actor, .id = "sales" };
    flagver_txn *txn = NULL;
    flagver_error err;
    char sql[128];
    int r;

    snprintf(sql, sizeof sql, "INSERT INTO plan VALUES ('%s')", name);
    if (run(db, "BEGIN IMMEDIATE") < 0 || run(db, sql) < 0)
        return -1;

    r = flagver_txn_begin_on_sqlite(flags, db, &actor, NULL, &txn, &err);
    if (r == 0)
        r = flagver_flag_put(txn, name, definition, strlen(definition), NULL, NULL, &err);
    if (r == 0)
        r = flagver_txn_commit(txn, &err); /* hands it to the application's transaction */
    flagver_txn_free(txn);
    if (r < 0)
        fprintf(stderr, "%s\n", err.message);
    return run(db, r == 0 && commit ? "COMMIT" : "ROLLBACK");
}

static int count(void *found, int columns, char **values, char **names)
{
    (void)columns;
    (void)names;
    *(int *)found = atoi(values[0]);
    return 0;
}

static void show(flagver_client *flags, sqlite3 *db, const char *name)
{
    flagver_version *version = NULL;
    char sql[128];
    int rows = 0;

    snprintf(sql, sizeof sql, "SELECT count(*) FROM plan WHERE name = '%s'", name);
    sqlite3_exec(db, sql, count, &rows, NULL);
    flagver_version_current(flags, FLAGVER_PHASE_FLAG, name, &version, NULL);
    printf("%-8s %d row, flag %s\n", name, rows, version ? "there" : "not there");
    flagver_version_free(version);
}

int main(void)
{
    char folder[] = "/tmp/flagver-enlist-XXXXXX", path[64], uri[72];
    flagver_client *flags;
    flagver_error err;
    sqlite3 *db;
    int r;

    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/app.db", folder);
    snprintf(uri, sizeof uri, "sqlite:%s", path);
    if (flagver_open(uri, NULL, &flags, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (sqlite3_open(path, &db) != SQLITE_OK || run(db, "CREATE TABLE plan (name TEXT)") < 0)
        return 1;

    r = add_plan(flags, db, "gold", true);
    if (r == 0)
        r = add_plan(flags, db, "silver", false); /* the application changes its mind */
    show(flags, db, "gold");
    show(flags, db, "silver");

    sqlite3_close(db);
    flagver_close(flags);
    unlink(path);
    rmdir(folder);
    return r == 0 ? 0 : 1;
}
