#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asking.h"
#include "commands.h"
#include "input.h"
#include "json.h"
#include "line.h"
#include "output.h"

static int answer(const struct cli_asking *asking, const struct cli_line *line, flagver_error *err)
{
    flagver_detail detail = { .size = sizeof detail };
    char *json;
    int r;

    if (cli_ask(asking, line->flag, line->flag_length, line->context, line->type, &detail))
        cli_serve_default(&detail, line->fallback, line->fallback_length);
    r = flagver_detail_json(&detail, &json, err);
    if (r < 0)
        return r;

    cli_write(json, strlen(json));
    cli_write("\n", 1);
    flagver_string_free(json);
    return 0;
}

static void complain(json_int_t number, const char *why)
{
    json_t *object = json_pack("{s:I, s:s}", "line", number, "error", why);
    char *text;

    /* Words that were cut off inside a character are no string for JSON. */
    if (!object)
        object = json_pack("{s:I, s:s}", "line", number, "error", "malformed");
    text = cli_json_write(object, JSON_COMPACT);
    cli_print("%s\n", text);
    free(text);
    json_decref(object);
}

/* Returns CLI_DONE, CLI_INVALID when the line was bad, or what ends the batch. */
static int take(const struct cli_asking *asking, json_int_t number, const char *text, size_t length)
{
    struct cli_line line;
    flagver_error error;
    int r;

    r = cli_line_read(&line, text, length, &error);
    if (r == 0)
        r = answer(asking, &line, &error);
    else if (r == FLAGVER_EPARSE)
        complain(number, error.message);
    cli_line_clear(&line);

    if (r == 0 || r == FLAGVER_EPARSE)
        return cli_status_of(r);
    return cli_fail(NULL, &error);
}

/* Answers all lines that have been read. */
static int take_all(const struct cli_asking *asking, struct cli_lines *lines, json_int_t *number)
{
    int status = CLI_DONE, r;
    const char *text;
    size_t length;

    while (cli_lines_next(lines, &text, &length)) {
        r = take(asking, ++*number, text, length);
        if (r == CLI_INVALID)
            status = r;
        else if (r != CLI_DONE)
            return r;
    }
    return status;
}

int cli_batch_run(const struct cli_asking *asking)
{
    struct cli_lines lines = { .fd = STDIN_FILENO };
    int status = CLI_DONE, r, taken;
    json_int_t number = 0;

    /* Whoever waits for the answers before writing on gets them before we wait. */
    while (cli_flush() && (r = cli_lines_read(&lines)) >= 0) {
        if (r > 0) {
            cli_complain("standard input", "%s", strerror(r));
            status = CLI_INVALID;
            break;
        }
        taken = take_all(asking, &lines, &number);
        if (taken != CLI_DONE)
            status = taken;
        if (taken == CLI_UNAVAILABLE)
            break;
    }
    cli_lines_clear(&lines);
    return status;
}
