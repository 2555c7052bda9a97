/*
 * The example driver in examples/drivers passes the suite.
 */
#include "../../examples/drivers/jsonfile.c"

#include "conformance.h"

int main(void)
{
    /* There is no database that keeps tenants apart, but this driver does: let it be asked. */
    static flagver_driver driver;
    static const struct flagver_conformance target = {
        .size = sizeof target,
        .driver = &driver,
        .make_place = flagver_conformance_make_file,
        .remove_place = flagver_conformance_remove_file,
        .lose_place = flagver_conformance_lose_file,
    };
    SRunner *runner;
    int failed;

    driver = jsonfile_driver;
    driver.capabilities |= FLAGVER_DRIVER_TENANTS;
    runner = srunner_create(flagver_conformance_suite(&target));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
