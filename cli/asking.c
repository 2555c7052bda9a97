#include "asking.h"

#include <stdlib.h>
#include <string.h>

#include "datetime.h"
#include "input.h"
#include "output.h"
#include "store.h"

static int64_t stopped_clock(void *data)
{
    return *(const int64_t *)data;
}

int cli_read_time(const struct cli_request *request, enum cli_option option, int64_t *ret_us)
{
    const char *at = request->values[option], *name = cli_options[option].name, *lacks;

    if (!at || cli_datetime_parse(at, ret_us) || cli_datetime_before(at, cli_now(), ret_us))
        return 0;
    lacks = cli_datetime_lacks(at);
    if (lacks)
        return cli_request_refuse(request, "--%s %s %s", name, at, lacks);
    return cli_request_refuse(request,
                              "--%s %s is neither a time such as 2026-01-31T12:00:00Z nor an "
                              "offset such as -5m",
                              name, at);
}

int cli_read_span(const struct cli_request *request, int64_t *ret_from, int64_t *ret_to)
{
    const char *since = request->values[CLI_SINCE], *until = request->values[CLI_UNTIL];
    int r = cli_read_time(request, CLI_SINCE, ret_from);

    if (r == 0)
        r = cli_read_time(request, CLI_UNTIL, ret_to);
    if (r)
        return r;
    if (since && until && *ret_from >= *ret_to)
        return cli_request_refuse(request, "--until is not after --since");
    if (until && *ret_to == 0)
        *ret_to = -1;
    return 0;
}

int cli_read_at(const struct cli_request *request, int64_t *ret_us)
{
    return cli_read_time(request, CLI_AT, ret_us);
}

static int open_file(struct cli_asking *asking, const char *path, flagver_options *options)
{
    size_t length = strlen(path);
    flagver_error error;
    char *uri;
    int r;

    options->log = cli_warn;
    uri = cli_allocate(length + sizeof "file:");
    memcpy(uri, "file:", 5);
    memcpy(uri + 5, path, length + 1);
    r = flagver_open(uri, options, &asking->client, &error);
    free(uri);
    if (r == 0)
        return 0;
    r = cli_fail(NULL, &error);
    return error.code == FLAGVER_EIO ? CLI_INVALID : r;
}

static int open_past(struct cli_asking *asking, const struct cli_request *request, int64_t us)
{
    flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_error error;
    int r = cli_store_read(request, &options, &asking->client);

    if (r)
        return r;
    if (flagver_snapshot_at(asking->client, us, &asking->snapshot, &error) < 0)
        return cli_fail(NULL, &error);
    return 0;
}

int cli_asking_begin(struct cli_asking *asking, const struct cli_request *request, bool stream)
{
    const char *at = request->values[CLI_AT], *definitions = request->values[CLI_DEFINITIONS];
    flagver_options options = { .size = sizeof options };
    int64_t us = cli_now();
    int r;

    *asking = (struct cli_asking){ .client = NULL };
    r = cli_read_at(request, &us);
    if (r)
        return r;
    asking->now = cli_milliseconds(us);
    asking->source = definitions;
    if (!definitions)
        r = cli_store_uri(request, &asking->source);
    if (r)
        return r;
    if (at && !definitions)
        return open_past(asking, request, us);

    if (at || !stream) {
        options.clock = stopped_clock;
        options.clock_data = &asking->now;
    }
    if (definitions)
        return open_file(asking, definitions, &options);
    options.background = stream;
    return cli_store_read(request, &options, &asking->client);
}

void cli_asking_end(struct cli_asking *asking)
{
    flagver_snapshot_free(asking->snapshot);
    flagver_close(asking->client);
}

int cli_ask(const struct cli_asking *asking, const char *key, size_t length,
            flagver_context *context, int type, flagver_detail *detail)
{
    return asking->snapshot
               ? flagver_snapshot_evaluate(asking->snapshot, key, length, context, type, detail)
               : flagver_flag_evaluate(asking->client, key, length, context, type, detail);
}

int cli_ask_why(const struct cli_asking *asking, const char *key, flagver_context *context,
                char **ret_json, flagver_error *err)
{
    return asking->snapshot
               ? flagver_snapshot_explain(asking->snapshot, key, strlen(key), context, ret_json,
                                          err)
               : flagver_flag_explain(asking->client, key, strlen(key), context, ret_json, err);
}
