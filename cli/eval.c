#include <stdlib.h>
#include <string.h>

#include <flagver.h>

#include "asking.h"
#include "commands.h"
#include "explain.h"
#include "input.h"
#include "json.h"
#include "line.h"
#include "output.h"

static int read_context(const struct cli_request *request, flagver_context **ret_context)
{
    const char *json = request->values[CLI_CONTEXT];
    flagver_error error;

    *ret_context = NULL;
    if (!json || flagver_context_from_json(json, strlen(json), ret_context, &error) == 0)
        return 0;
    return cli_fail("--context", &error);
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

/* The name of the type that the flag has: that of the value which it serves when any will do. */
static const char *own_type(const struct cli_asking *asking, const char *key,
                            flagver_context *context)
{
    flagver_detail detail = { .size = sizeof detail };
    const char *name;

    cli_ask(asking, key, strlen(key), context, FLAGVER_TYPE_ANY, &detail);
    name = flagver_type_name(detail.value.type);
    return name ? name : "another one";
}

/* An evaluation that ended in an error is told of on standard error too. */
static int conclude(const struct cli_asking *asking, const char *key, flagver_context *context,
                    int error)
{
    switch (error) {
    case FLAGVER_ERROR_NONE:
        return CLI_DONE;
    case FLAGVER_ERROR_FLAG_NOT_FOUND:
        cli_complain(key, "no such flag in %s", asking->source);
        return CLI_NOT_FOUND;
    case FLAGVER_ERROR_TYPE_MISMATCH:
        cli_complain(key, "the flag's type is %s", own_type(asking, key, context));
        return CLI_INVALID;
    default:
        cli_complain(key, "%s", words_of(error));
        return error == FLAGVER_ERROR_GENERAL ? CLI_UNAVAILABLE : CLI_INVALID;
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

static int read_key(const struct cli_request *request, const char **ret_key)
{
    *ret_key = cli_request_operand(request, 0);
    if (!*ret_key)
        return cli_request_refuse(request, "no KEY given");
    if (!cli_is_utf8(*ret_key)) {
        cli_complain(request->command->name, "the KEY is not UTF-8");
        return CLI_INVALID;
    }
    return 0;
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

/* What eval asks for besides the key. */
struct question {
    const char *key;
    flagver_context *context;
    char *fallback; /* JSON text or NULL */
    int type;
};

static int read_question(const struct cli_request *request, struct question *question)
{
    int r;

    *question = (struct question){ .key = NULL };
    r = read_key(request, &question->key);
    if (r == 0)
        r = read_type(request, &question->type);
    if (r == 0)
        r = read_default(request, &question->fallback);
    return r ? r : read_context(request, &question->context);
}

static void clear_question(struct question *question)
{
    free(question->fallback);
    flagver_context_free(question->context);
}

static int serve(const struct cli_asking *asking, const struct question *question, bool json)
{
    flagver_detail detail = { .size = sizeof detail };
    const char *fallback = question->fallback;
    int r = CLI_DONE;

    if (cli_ask(asking, question->key, strlen(question->key), question->context, question->type,
                &detail))
        cli_serve_default(&detail, fallback, fallback ? strlen(fallback) : 0);
    if (json)
        r = print_json(&detail);
    else
        print_line(&detail);
    return r ? r : conclude(asking, question->key, question->context, detail.error);
}

static int eval_one(const struct cli_request *request)
{
    struct question question;
    struct cli_asking asking;
    int r;

    r = read_question(request, &question);
    if (r == 0) {
        r = cli_asking_begin(&asking, request, false);
        if (r == 0)
            r = serve(&asking, &question, request->values[CLI_JSON] != NULL);
        cli_asking_end(&asking);
    }
    clear_question(&question);
    return r;
}

static int eval_batch(const struct cli_request *request)
{
    static const struct {
        enum cli_option option;
        const char *name;
    } of_lines[] = { { CLI_CONTEXT, "context" }, { CLI_TYPE, "type" }, { CLI_DEFAULT, "default" } };
    struct cli_asking asking;
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

    r = cli_asking_begin(&asking, request, true);
    if (r == 0)
        r = cli_batch_run(&asking);
    cli_asking_end(&asking);
    return r;
}

int cli_flag_eval(const struct cli_request *request)
{
    return request->values[CLI_BATCH] ? eval_batch(request) : eval_one(request);
}

static int explain(const struct cli_asking *asking, const char *key, flagver_context *context,
                   bool as_json)
{
    flagver_detail detail = { .size = sizeof detail };
    flagver_error error;
    char *json;

    if (cli_ask_why(asking, key, context, &json, &error) < 0)
        return cli_fail(NULL, &error);

    /* The same again, because the clock stands still. */
    cli_ask(asking, key, strlen(key), context, FLAGVER_TYPE_ANY, &detail);
    if (as_json) {
        cli_print("%s\n", json);
    } else {
        print_line(&detail);
        cli_explain_print(json);
    }
    flagver_string_free(json);
    return conclude(asking, key, context, detail.error);
}

int cli_flag_explain(const struct cli_request *request)
{
    flagver_context *context = NULL;
    struct cli_asking asking;
    const char *key;
    int r;

    r = read_key(request, &key);
    if (r == 0)
        r = read_context(request, &context);
    if (r)
        return r;

    r = cli_asking_begin(&asking, request, false);
    if (r == 0)
        r = explain(&asking, key, context, request->values[CLI_JSON] != NULL);
    cli_asking_end(&asking);
    flagver_context_free(context);
    return r;
}
