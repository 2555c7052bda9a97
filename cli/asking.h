/*
 * Where the flags come from that eval and explain ask: the file of --definitions,
 * the store, or the store as it was at the time of --at.
 */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include <flagver.h>

#include "request.h"

struct cli_asking {
    flagver_client *client;
    flagver_snapshot *snapshot; /* of the past; NULL: ask the client */
    const char *source;         /* the file's name or the store's URI */
    int64_t now;                /* for clocks that stand still: --at, else when we began; in ms */
};

/*
 * An option in microseconds, a time or an offset from now; without it *ret_us stays as it is. Returns 0, or
 * CLI_USAGE after having said what is wrong.
 */
int cli_read_time(const struct cli_request *request, enum cli_option option, int64_t *ret_us);
/* --since and --until: the second one after the first. 0 is "any" to the library, so an end there is -1. */
int cli_read_span(const struct cli_request *request, int64_t *ret_from, int64_t *ret_to);
int cli_read_at(const struct cli_request *request, int64_t *ret_us);

/*
 * `stream`: questions come one after the other, so without --at the clock runs and
 * a store is watched for changes; else everything is asked of one moment.
 *
 * Returns 0 or an exit status; to be ended in any case. May not be moved in between.
 */
int cli_asking_begin(struct cli_asking *asking, const struct cli_request *request, bool stream);
void cli_asking_end(struct cli_asking *asking);

/* As flagver_flag_evaluate() and flagver_flag_explain(). */
int cli_ask(const struct cli_asking *asking, const char *key, size_t length,
            flagver_context *context, int type, flagver_detail *detail);
int cli_ask_why(const struct cli_asking *asking, const char *key, flagver_context *context,
                char **ret_json, flagver_error *err);

#endif
