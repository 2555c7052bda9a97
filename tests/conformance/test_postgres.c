/*
 * The PostgreSQL driver passes the suite: as the owner of a database, who makes the schema.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster.h"
#include "conformance.h"

extern const flagver_driver fv_postgres_driver;

#define OWNER "//owner@/"

static int make_place(void *data, char *path, size_t size)
{
    static unsigned number;
    char name[64];
    const char *uri;

    (void)data;
    if (!cluster_possible())
        cluster_skip();
    snprintf(name, sizeof name, "place_%ld_%u", (long)getpid(), number++);
    cluster_database(cluster_shared(), name, NULL);
    uri = cluster_uri(cluster_shared(), name, "owner");
    return (size_t)snprintf(path, size, "%s", strchr(uri, ':') + 1) < size ? 0 : -1;
}

/* The database in a path that make_place() made. */
static const char *name_in(const char *path)
{
    static char name[64];

    snprintf(name, sizeof name, "%s", path + strlen(OWNER));
    name[strcspn(name, "?")] = '\0';
    return name;
}

static void remove_place(void *data, const char *path)
{
    (void)data;
    cluster_drop(cluster_shared(), name_in(path));
}

/* Nobody gets in any more, and who is in is thrown out. */
static void lose_place(void *data, const char *path)
{
    const char *name = name_in(path);
    char sql[400];

    (void)data;
    snprintf(sql, sizeof sql,
             "ALTER DATABASE %s ALLOW_CONNECTIONS false;"
             "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '%s'",
             name, name);
    cluster_sql(cluster_shared(), "postgres", sql);
}

static const struct flagver_conformance target = {
    .size = sizeof target,
    .driver = &fv_postgres_driver,
    .make_place = make_place,
    .remove_place = remove_place,
    .lose_place = lose_place,
};

int main(void)
{
    SRunner *runner = srunner_create(flagver_conformance_suite(&target));
    int failed;

    if (cluster_possible())
        cluster_shared(); /* before tests fork, each of which would start its own */
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
