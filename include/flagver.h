/**
 * libflagver: feature flags and versioned records, inside the application that asks.
 *
 * This header includes all the others but flagver/sqlite.h and flagver/postgres.h, which need
 * SQLite's and libpq's.
 */
#ifndef FLAGVER_H
#define FLAGVER_H

#include "flagver/audit.h"
#include "flagver/base.h"
#include "flagver/client.h"
#include "flagver/context.h"
#include "flagver/dataset.h"
#include "flagver/driver.h"
#include "flagver/flag.h"
#include "flagver/idmap.h"
#include "flagver/key.h"
#include "flagver/metric.h"
#include "flagver/rollout.h"
#include "flagver/route.h"
#include "flagver/store.h"
#include "flagver/track.h"
#include "flagver/txn.h"
#include "flagver/version.h"

#endif
