/*
 * What was tracked of flags, in a store: `metrics` with options that ask for it.
 */
#ifndef CLI_TRACKED_H
#define CLI_TRACKED_H

#include "request.h"

/* Is it these that the command line asks for? */
bool cli_tracked_is_meant(const struct cli_request *request);

/* As a command's `run`. */
int cli_tracked(const struct cli_request *request);

#endif
