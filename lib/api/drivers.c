#include "api/drivers.h"

#include <pthread.h>

#include "driver/postgres.h"
#include "driver/sqlite.h"
#include "store/registry.h"

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* The build leaves out a driver whose library is not there. */
static void prepare(void)
{
#ifndef FV_WITHOUT_sqlite
    fv_driver_register(&fv_sqlite_driver, NULL);
#endif
#ifndef FV_WITHOUT_postgres
    fv_driver_register(&fv_postgres_driver, NULL);
#endif
}

void fv_drivers_prepare(void)
{
    pthread_once(&prepared, prepare);
}

int flagver_driver_register(const flagver_driver *driver, flagver_error *err)
{
    fv_drivers_prepare(); /* ours have their names first */
    return fv_driver_register(driver, err);
}
