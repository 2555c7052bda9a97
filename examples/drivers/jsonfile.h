/*
 * A storage driver for libflagver that keeps everything in one JSON file:
 * "jsonfile:PATH". See jsonfile.c.
 */
#ifndef JSONFILE_H
#define JSONFILE_H

#include <flagver/driver.h>

extern const flagver_driver jsonfile_driver;

#endif
