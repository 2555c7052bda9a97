/*
 * The commands; each returns the program's exit status.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <flagver.h>

#include "request.h"

int cli_flag_eval(const struct cli_request *request);
int cli_flag_explain(const struct cli_request *request);
int cli_flag_lint(const struct cli_request *request);

/* What an evaluation that ended in an error serves: the caller's default, a JSON text or NULL. */
void cli_serve_default(flagver_detail *detail, const char *json, size_t length);

/* flag eval --batch: answers the lines of standard input. */
int cli_batch_run(flagver_client *client);

#endif
