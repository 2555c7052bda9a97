#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "input.h"
#include "json.h"
#include "output.h"

static void print_warning(void *data, const char *message)
{
    (void)data;
    cli_print("%s\n", message);
}

/* "NAME:LINE:COLUMN: /pointer: what" as a member of the array. */
static void collect_warning(void *data, const char *message)
{
    int line = 0, column = 0, length = 0;
    const char *place = message;

    /* The name may hold colons, and be shortened. */
    while ((place = strchr(place, ':')) && sscanf(place, ":%d:%d: %n", &line, &column, &length) < 2)
        place++;
    cli_json_append(data, json_pack("{s:i, s:i, s:s}", "line", line, "column", column, "message",
                                    place ? place + length : message));
}

static int lint_for_people(const char *name, const char *text, size_t length)
{
    flagver_error error;
    int count;

    count = flagver_definitions_lint(text, length, name, print_warning, NULL, &error);
    if (count < 0)
        return cli_fail(NULL, &error);
    return count ? CLI_FOUND : CLI_DONE;
}

static int lint_for_programs(const char *name, const char *text, size_t length)
{
    json_t *warnings = json_array();
    flagver_error error;
    int count;

    count = flagver_definitions_lint(text, length, name, collect_warning, warnings, &error);
    if (count >= 0)
        cli_print_document(
            json_pack("{s:o, s:O}", "file", cli_json_text(name), "warnings", warnings));
    json_decref(warnings);
    if (count < 0)
        return cli_fail(NULL, &error);
    return count ? CLI_FOUND : CLI_DONE;
}

int cli_flag_lint(const struct cli_request *request)
{
    const char *name;
    size_t length;
    char *text;
    int r;

    r = cli_read_operand(cli_request_operand(request, 0), &name, &text, &length);
    if (r)
        return r;

    if (request->values[CLI_JSON])
        r = lint_for_programs(name, text, length);
    else
        r = lint_for_people(name, text, length);
    free(text);
    return r;
}
