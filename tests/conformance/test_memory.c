/*
 * The SQLite driver passes the suite with databases in memory, each of which is its store's alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "conformance.h"

extern const flagver_driver fv_sqlite_driver;

static int make_place(void *data, char *path, size_t size)
{
    (void)data;
    return (size_t)snprintf(path, size, ":memory:") < size ? 0 : -1;
}

static void remove_place(void *data, const char *path)
{
    (void)data;
    (void)path;
}

static const struct flagver_conformance target = {
    .size = sizeof target,
    .driver = &fv_sqlite_driver,
    .make_place = make_place,
    .remove_place = remove_place,
    .private_stores = true,
    .readers_wait = true,
};

int main(void)
{
    SRunner *runner = srunner_create(flagver_conformance_suite(&target));
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
