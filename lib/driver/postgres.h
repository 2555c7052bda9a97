/*
 * The PostgreSQL driver. Its functions are described in flagver/driver.h, what its schema
 * holds in docs/store.md and docs/postgres.md.
 */
#ifndef FV_DRIVER_POSTGRES_H
#define FV_DRIVER_POSTGRES_H

#include "flagver/driver.h"

extern const flagver_driver fv_postgres_driver;

#endif
