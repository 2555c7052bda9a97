/*
 * What the commands on data sets have in common.
 */
#ifndef CLI_DATASET_H
#define CLI_DATASET_H

#include <flagver.h>

#include "request.h"

/* Where records come from, by operands, --input and --at. */
struct cli_dataset {
    flagver_dataset_input input;
    flagver_client *client; /* NULL: a file */
    const char *name;       /* for complaints */
};

/* Returns 0, or an exit status after having complained. To be closed in any case. */
int cli_dataset_open(const struct cli_request *request, struct cli_dataset *dataset);
void cli_dataset_close(struct cli_dataset *dataset);

/* Each --field; to be freed. Returns 0 or CLI_USAGE. */
int cli_dataset_rules(const struct cli_request *request, flagver_dataset_rule **ret_rules);
void cli_dataset_free_rules(flagver_dataset_rule *rules, size_t count);

/* Complains. `name` is where records come from; NULL: the error is about what is read in any case. A
 * file that cannot be read is invalid input. */
int cli_dataset_fail(const char *name, const flagver_error *err);

#endif
