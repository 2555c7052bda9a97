/*
 * One version of a record of any phase, as the command line names it, and what is done to it.
 */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#include <flagver.h>

#include "request.h"

/* "PHASE SUBJECT@NO"; zero before it is read. */
struct cli_target {
    const char *phase;
    char *subject;    /* of its own */
    uint32_t no;      /* 0: a record, no version of it */
    const char *name; /* as it was given, for complaints */
};

/* Read it from the operands. Returns 0 or CLI_USAGE; cleared in any case. */
int cli_target_read(struct cli_target *target, const struct cli_request *request);
void cli_target_clear(struct cli_target *target);

/* --hash: `*ret_given` is false without it. Returns 0 or CLI_USAGE. */
int cli_read_hash(const struct cli_request *request, uint8_t ret_hash[32], bool *ret_given);

/* An option that is a version's number, 0 without it. Returns 0 or CLI_USAGE. */
int cli_read_number(const struct cli_request *request, enum cli_option option, uint32_t *ret_no);

/*
 * Put the content of a file, submitted, and print what came of it: for phases of which the
 * program knows more than the name. Returns the exit status.
 */
int cli_version_put(const struct cli_request *request, const char *phase, const char *subject,
                    const char *file);

/*
 * A version after a write: a line for people or a document. `words` say what a version that is in
 * force is; NULL: its state.
 */
void cli_print_outcome(const struct cli_request *request, flagver_client *client,
                       const flagver_version *version, const char *words);

#endif
