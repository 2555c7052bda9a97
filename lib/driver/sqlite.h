/*
 * The SQLite driver. Its functions, and what its schema holds, are described in
 * flagver/driver.h and docs/store.md.
 */
#ifndef FV_DRIVER_SQLITE_H
#define FV_DRIVER_SQLITE_H

#include "flagver/driver.h"

extern const flagver_driver fv_sqlite_driver;

#endif
