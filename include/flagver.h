/**
 * libflagver: feature flags, evaluated inside the application that asks.
 *
 * This header includes all the others.
 */
#ifndef FLAGVER_H
#define FLAGVER_H

#include "flagver/base.h"
#include "flagver/client.h"
#include "flagver/context.h"
#include "flagver/flag.h"

#endif
