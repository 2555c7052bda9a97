/*
 * The example driver in examples/drivers passes the suite.
 */
#include "../../examples/drivers/jsonfile.c"

#include "conformance.h"

int main(void)
{
    static const struct flagver_conformance target = {
        .size = sizeof target,
        .driver = &jsonfile_driver,
        .make_place = flagver_conformance_make_file,
        .remove_place = flagver_conformance_remove_file,
        .lose_place = flagver_conformance_lose_file,
    };
    SRunner *runner;
    int failed;

    runner = srunner_create(flagver_conformance_suite(&target));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
