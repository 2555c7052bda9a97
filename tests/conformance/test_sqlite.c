/*
 * The SQLite driver passes the suite.
 */
#include <stdlib.h>

#include "conformance.h"

extern const flagver_driver fv_sqlite_driver;

static const struct flagver_conformance target = {
    .size = sizeof target,
    .driver = &fv_sqlite_driver,
    .make_place = flagver_conformance_make_file,
    .remove_place = flagver_conformance_remove_file,
    .lose_place = flagver_conformance_lose_file,
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
