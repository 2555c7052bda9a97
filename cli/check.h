/*
 * Checks of the user's own, for doctor: commands that /bin/sh runs.
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include <stddef.h>

/*
 * Run one, for flagver_doctor_check: its exit status says what it has found (0 nothing, 1 something
 * to look at, any other something wrong), the first line that it prints says what.
 */
int cli_check_run(void *command, char *words, size_t size);

#endif
