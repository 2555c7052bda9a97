#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <flagver.h>

#include "commands.h"
#include "datetime.h"
#include "explain.h"
#include "input.h"
#include "json.h"
#include "line.h"
#include "output.h"

/* What eval and explain work with. */
struct asking {
    flagver_client *client;
    flagver_context *context;
    int64_t now; /* what --at says, else when the program began */
};

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int64_t stopped_clock(void *data)
{
    return *(const int64_t *)data;
}

static void warn(void *data, int level, const char *message)
{
    (void)data;
    cli_complain(level == FLAGVER_LOG_WARNING ? "warning" : NULL, "%s", message);
}

static int read_context(const char *json, flagver_context **ret_context)
{
    flagver_error error;

    if (!json || flagver_context_from_json(json, strlen(json), ret_context, &error) == 0)
        return 0;
    return cli_fail("--context", &error);
}

static int open_client(struct asking *asking, const char *path, bool clock_runs)
{
    flagver_options options = { .size = sizeof options, .log = warn };
    size_t length = strlen(path);
    flagver_error error;
    char *uri;
    int r;

    if (!clock_runs) {
        options.clock = stopped_clock;
        options.clock_data = &asking->now;
    }
    uri = cli_allocate(length + sizeof "file:");
    memcpy(uri, "file:", 5);
    memcpy(uri + 5, path, length + 1);
    r = flagver_open(uri, &options, &asking->client, &error);
    free(uri);
    return r < 0 ? cli_fail(NULL, &error) : 0;
}

/* Returns 0 or an exit status; to be ended in any case. */
static int begin(struct asking *asking, const struct cli_request *request)
{
    const char *at = request->values[CLI_AT], *definitions = request->values[CLI_DEFINITIONS];
    int r;

    *asking = (struct asking){ .now = now() };
    if (!definitions)
        return cli_request_refuse(request, "--definitions FILE is missing");
    if (at && !cli_datetime_parse(at, &asking->now))
        return cli_request_refuse(request,
                                  "--at %s is no RFC 3339 time such as 2026-01-31T12:00:00Z", at);

    r = read_context(request->values[CLI_CONTEXT], &asking->context);
    if (r)
        return r;
    /* Only a batch takes so long that it matters. */
    return open_client(asking, definitions, request->values[CLI_BATCH] && !at);
}

static void end(struct asking *asking)
{
    flagver_context_free(asking->context);
    flagver_close(asking->client);
}

void cli_serve_default(flagver_detail *detail, const char *json, size_t length)
{
    if (!json)
        return;
    detail->value.type = FLAGVER_TYPE_JSON;
    detail->value.string = json;
    detail->value.length = length;
}

/* What an evaluation's error means to the person who asked. */
static const char *words_of(int error)
{
    switch (error) {
    case FLAGVER_ERROR_FLAG_NOT_FOUND:
        return "no such flag";
    case FLAGVER_ERROR_TYPE_MISMATCH:
        return "the flag is of another type";
    case FLAGVER_ERROR_TARGETING_KEY_MISSING:
        return "the flag needs a bucket and the context has no key for it";
    case FLAGVER_ERROR_INVALID_CONTEXT:
        return "the context's targetingKey is neither a string nor an integer";
    case FLAGVER_ERROR_PARSE_ERROR:
        return "the flag's definition is malformed";
    default:
        return "out of memory";
    }
}

/* An evaluation that ended in an error is told of on standard error too. */
static int conclude(const char *key, int error)
{
    if (error == FLAGVER_ERROR_NONE)
        return CLI_DONE;
    cli_complain(key, "%s", words_of(error));
    switch (error) {
    case FLAGVER_ERROR_FLAG_NOT_FOUND:
        return CLI_NOT_FOUND;
    case FLAGVER_ERROR_GENERAL:
        return CLI_UNAVAILABLE;
    default:
        return CLI_INVALID;
    }
}

static int print_json(const flagver_detail *detail)
{
    flagver_error error;
    char *json;

    if (flagver_detail_json(detail, &json, &error) < 0)
        return cli_fail(NULL, &error);
    cli_print("%s\n", json);
    flagver_string_free(json);
    return CLI_DONE;
}

/* report_setup: true (variant on, SPLIT, bucket 4567) */
static void print_line(const flagver_detail *detail)
{
    const char *code = flagver_error_code_name(detail->error);

    cli_print_name(detail->flag);
    cli_print(": ");
    cli_print_value(&detail->value);
    cli_print(" (");
    if (detail->variant)
        cli_print("variant %s, ", detail->variant);
    cli_print("%s", flagver_reason_name(detail->reason));
    if (code)
        cli_print(", %s", code);
    if (detail->rule) {
        cli_print(", rule ");
        cli_print_name(detail->rule);
    }
    if (detail->bucket >= 0)
        cli_print(", bucket %d", (int)detail->bucket);
    if (detail->version > 0)
        cli_print(", version %lld", (long long)detail->version);
    cli_print(")\n");
}

static int serve(const struct asking *asking, const char *key, int type, const char *fallback,
                 bool json)
{
    flagver_detail detail = { .size = sizeof detail };
    int r = CLI_DONE;

    if (flagver_flag_evaluate(asking->client, key, strlen(key), asking->context, type, &detail))
        cli_serve_default(&detail, fallback, fallback ? strlen(fallback) : 0);
    if (json)
        r = print_json(&detail);
    else
        print_line(&detail);
    return r ? r : conclude(key, detail.error);
}

static int read_key(const struct cli_request *request, const char **ret_key)
{
    int r = cli_request_operand(request, ret_key);

    if (r == 0 && !cli_is_utf8(*ret_key)) {
        cli_complain(request->command->name, "the KEY is not UTF-8");
        return CLI_INVALID;
    }
    return r;
}

static int read_type(const struct cli_request *request, int *ret_type)
{
    const char *name = request->values[CLI_TYPE];

    *ret_type = name ? cli_type_of(name) : FLAGVER_TYPE_ANY;
    if (name && *ret_type == FLAGVER_TYPE_ANY)
        return cli_request_refuse(
            request, "--type %s is none of boolean, string, integer, double, json", name);
    return 0;
}

/* The default as it was given, but on one line: newlines in JSON are only space. */
static int read_default(const struct cli_request *request, char **ret_text)
{
    const char *given = request->values[CLI_DEFAULT];
    char *text, *c;

    *ret_text = NULL;
    if (!given)
        return 0;
    if (!cli_is_json(given, strlen(given))) {
        cli_complain("--default", "%s is not JSON; a string needs its quotes", given);
        return CLI_INVALID;
    }
    text = cli_copy(given, strlen(given));
    for (c = text; *c; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
    *ret_text = text;
    return 0;
}

static int eval_one(const struct cli_request *request, const char *key)
{
    struct asking asking;
    char *fallback;
    int type, r;

    r = read_type(request, &type);
    if (r)
        return r;
    r = read_default(request, &fallback);
    if (r)
        return r;

    r = begin(&asking, request);
    if (r == 0)
        r = serve(&asking, key, type, fallback, request->values[CLI_JSON] != NULL);
    end(&asking);
    free(fallback);
    return r;
}

static int eval_batch(const struct cli_request *request)
{
    static const struct {
        enum cli_option option;
        const char *name;
    } of_lines[] = { { CLI_CONTEXT, "context" }, { CLI_TYPE, "type" }, { CLI_DEFAULT, "default" } };
    struct asking asking;
    size_t i;
    int r;

    if (request->operand_count > 0)
        return cli_request_refuse(request,
                                  "--batch takes the flags from standard input, not \"%s\"",
                                  request->operands[0]);
    for (i = 0; i < sizeof of_lines / sizeof of_lines[0]; i++)
        if (request->values[of_lines[i].option])
            return cli_request_refuse(request, "with --batch each line has its own \"%s\"",
                                      of_lines[i].name);

    r = begin(&asking, request);
    if (r == 0)
        r = cli_batch_run(asking.client);
    end(&asking);
    return r;
}

int cli_flag_eval(const struct cli_request *request)
{
    const char *key;
    int r;

    if (request->values[CLI_BATCH])
        return eval_batch(request);
    r = read_key(request, &key);
    return r ? r : eval_one(request, key);
}

static int explain(const struct asking *asking, const char *key, bool as_json)
{
    flagver_detail detail = { .size = sizeof detail };
    flagver_error error;
    char *json;

    if (flagver_flag_explain(asking->client, key, strlen(key), asking->context, &json, &error) < 0)
        return cli_fail(NULL, &error);

    /* The same again, because the clock stands still. */
    flagver_flag_evaluate(asking->client, key, strlen(key), asking->context, FLAGVER_TYPE_ANY,
                          &detail);
    if (as_json) {
        cli_print("%s\n", json);
    } else {
        print_line(&detail);
        cli_explain_print(json);
    }
    flagver_string_free(json);
    return conclude(key, detail.error);
}

int cli_flag_explain(const struct cli_request *request)
{
    struct asking asking;
    const char *key;
    int r;

    r = read_key(request, &key);
    if (r)
        return r;

    r = begin(&asking, request);
    if (r == 0)
        r = explain(&asking, key, request->values[CLI_JSON] != NULL);
    end(&asking);
    return r;
}
