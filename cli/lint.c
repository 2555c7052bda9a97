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
    json_array_append_new(data, json_pack("{s:i, s:i, s:s}", "line", line, "column", column,
                                          "message", place ? place + length : message));
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

/* A name that is not UTF-8 cannot be spelled in JSON. */
static char *report_of(const char *name, json_t *warnings)
{
    json_t *file = json_string(name), *report;
    char *text;

    report = json_pack("{s:o, s:O}", "file", file ? file : json_null(), "warnings", warnings);
    text = cli_json_write(report, JSON_COMPACT);
    json_decref(report);
    return text;
}

static int lint_for_programs(const char *name, const char *text, size_t length)
{
    json_t *warnings = json_array();
    flagver_error error;
    char *report;
    int count;

    count = flagver_definitions_lint(text, length, name, collect_warning, warnings, &error);
    if (count >= 0) {
        report = report_of(name, warnings);
        cli_print("%s\n", report);
        free(report);
    }
    json_decref(warnings);
    if (count < 0)
        return cli_fail(NULL, &error);
    return count ? CLI_FOUND : CLI_DONE;
}

int cli_flag_lint(const struct cli_request *request)
{
    const char *path, *name;
    size_t length;
    char *text;
    int r;

    r = cli_request_operand(request, &path);
    if (r)
        return r;
    name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    r = cli_read_file(path, &text, &length);
    if (r > 0) {
        cli_complain(name, "%s", strerror(r));
        return CLI_INVALID;
    }

    if (request->values[CLI_JSON])
        r = lint_for_programs(name, text, length);
    else
        r = lint_for_people(name, text, length);
    free(text);
    return r;
}
