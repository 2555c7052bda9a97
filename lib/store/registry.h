/*
 * Drivers by name. The table is of the process: a driver is code, and is
 * registered once for good.
 */
#ifndef FV_STORE_REGISTRY_H
#define FV_STORE_REGISTRY_H

#include "flagver/driver.h"

/* As flagver_driver_register(). */
int fv_driver_register(const flagver_driver *driver, flagver_error *err);

/* The driver whose name begins the URI, with *ret_path behind the colon; NULL: none. */
const flagver_driver *fv_driver_find(const char *uri, const char **ret_path);

#endif
