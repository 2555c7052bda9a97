#include "api/drivers.h"

#include <pthread.h>

#include "driver/sqlite.h"
#include "store/registry.h"

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    fv_driver_register(&fv_sqlite_driver, NULL);
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
