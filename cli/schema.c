/* The schema of a store, and whether the store is fit for use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "commands.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"

/* ---- status, up, down ---- */

/* How the version that is there is related to the one that this program's library makes. */
static const char *relation(uint32_t version, uint32_t wanted)
{
    if (version == wanted)
        return "up to date";
    if (version > wanted)
        return "made by a newer flagver";
    return version ? "\"flagver schema up\" upgrades it" : "\"flagver schema up\" makes it";
}

int cli_schema_status(const struct cli_request *request)
{
    uint32_t version, wanted;
    flagver_error error;
    const char *uri;
    int r;

    r = cli_store_uri(request, &uri);
    if (r)
        return r;
    if (cli_store_version(uri, &version, &wanted, &error) < 0)
        return cli_store_fail(uri, &error);

    if (request->values[CLI_JSON])
        cli_print_document(json_pack("{s:o, s:I, s:I, s:b}", "store", cli_json_text(cli_shown(uri)),
                                     "version", (json_int_t)version, "wanted", (json_int_t)wanted,
                                     "current", version == wanted));
    else
        cli_print("%s: schema version %u of %u, %s\n", cli_shown(uri), (unsigned)version,
                  (unsigned)wanted, relation(version, wanted));
    return version == wanted ? CLI_DONE : CLI_FOUND;
}

static void print_move(const struct cli_request *request, const char *uri, uint32_t from,
                       uint32_t to, const char *backup)
{
    if (request->values[CLI_JSON]) {
        cli_print_document(json_pack("{s:o, s:I, s:I, s:o}", "store", cli_json_text(cli_shown(uri)),
                                     "from", (json_int_t)from, "version", (json_int_t)to, "backup",
                                     cli_json_text(backup)));
        return;
    }
    cli_print("%s: schema version %u", cli_shown(uri), (unsigned)from);
    if (from != to)
        cli_print(" -> %u", (unsigned)to);
    if (backup)
        cli_print("; backup in %s", backup);
    cli_print("\n");
}

int cli_schema_up(const struct cli_request *request)
{
    uint32_t version, wanted;
    flagver_error error;
    const char *uri;
    int r;

    r = cli_store_uri(request, &uri);
    if (r)
        return r;
    if (cli_store_version(uri, &version, &wanted, &error) < 0 || flagver_schema_up(uri, &error) < 0)
        return cli_store_fail(uri, &error);
    print_move(request, uri, version, wanted, NULL);
    return CLI_DONE;
}

int cli_schema_down(const struct cli_request *request)
{
    const char *to_text = cli_request_operand(request, 0), *uri;
    const char *backup = request->values[CLI_BACKUP];
    uint32_t version, wanted, to = 0;
    flagver_error error;
    int r;

    if (to_text && !cli_parse_number(to_text, 0, &to))
        return cli_request_refuse(request, "%s is no version of the schema", to_text);
    if (!backup == !request->values[CLI_NO_BACKUP])
        return cli_request_refuse(request, "needs either --backup FILE or --no-backup");
    r = cli_store_uri(request, &uri);
    if (r)
        return r;

    if (cli_store_version(uri, &version, &wanted, &error) < 0)
        return cli_store_fail(uri, &error);
    cli_progress("taking the schema down");
    r = flagver_schema_down(uri, to, backup, !backup, &error);
    cli_progress(NULL);
    if (r < 0)
        return cli_store_fail(uri, &error);
    /* Where nothing is taken down there is no backup. */
    print_move(request, uri, version, to, version == to ? NULL : backup);
    return CLI_DONE;
}

/* ---- verify and doctor: lines as they come, or one document ---- */

struct report {
    json_t *lines; /* NULL: for people */
};

static void begin_report(struct report *report, const struct cli_request *request)
{
    report->lines = request->values[CLI_JSON] ? json_array() : NULL;
    if (report->lines)
        cli_progress("looking");
}

/* Returns the exit status. `found` is how many lines are not fine, or a code. */
static int end_report(struct report *report, const char *uri, int found, flagver_error *err)
{
    cli_progress(NULL);
    if (found >= 0 && report->lines)
        cli_print_document(json_pack("{s:o, s:i, s:O}", "store", cli_json_text(cli_shown(uri)),
                                     "found", found, "lines", report->lines));
    json_decref(report->lines);
    if (found < 0)
        return cli_store_fail(uri, err);
    return found ? CLI_FOUND : CLI_DONE;
}

static void add_line(struct report *report, int finding, const char *line)
{
    static const struct {
        const char *name, *shown;
        enum cli_style style;
    } levels[] = {
        [FLAGVER_FINDING_OK] = { "ok", "ok", CLI_GREEN },
        [FLAGVER_FINDING_WARNING] = { "warning", "WARNING", CLI_YELLOW },
        [FLAGVER_FINDING_ERROR] = { "error", "ERROR", CLI_RED },
    };

    if (!report->lines) {
        cli_print_styled(levels[finding].style, "%-8s", levels[finding].shown);
        cli_print("%s\n", line);
    } else {
        cli_json_append(report->lines, json_pack("{s:s, s:o}", "level", levels[finding].name,
                                                 "what", cli_json_text(line)));
    }
}

static void take_check(void *data, bool fine, const char *line)
{
    add_line(data, fine ? FLAGVER_FINDING_OK : FLAGVER_FINDING_ERROR, line);
}

int cli_schema_verify(const struct cli_request *request)
{
    struct report report;
    flagver_error error;
    const char *uri;
    int r;

    r = cli_store_uri(request, &uri);
    if (r)
        return r;
    begin_report(&report, request);
    r = flagver_schema_verify(uri, take_check, &report, &error);
    return end_report(&report, uri, r, &error);
}

/* The members of what a driver says of itself that people want to read, in this order. */
static const struct {
    const char *name, *before;
} facts_of_drivers[] = { { "sqlite", " " },       { "server", " " },  { "path", ", " },
                         { "database", ", " },    { "host", " at " }, { "role", " as " },
                         { "journal_mode", ", " } };

/* "driver sqlite 3.40.1, /path, wal" of a line that ends in such an object; NULL: it is another one. */
static char *driver_line(const char *line)
{
    const char *facts = strstr(line, ": {"), *value;
    size_t size = strlen(line) + 64, length, i; /* JSON is longer than what it says */
    json_error_t error;
    json_t *object = NULL;
    char *text = NULL;

    if (strncmp(line, "driver ", 7) == 0 && facts)
        object = cli_json_read(facts + 2, strlen(facts + 2), 0, &error);
    if (json_object_get(object, "sqlite") || json_object_get(object, "server")) {
        text = cli_allocate(size);
        snprintf(text, size, "%.*s", (int)(facts - line), line);
        for (i = 0; i < sizeof facts_of_drivers / sizeof *facts_of_drivers; i++) {
            value = json_string_value(json_object_get(object, facts_of_drivers[i].name));
            length = strlen(text);
            if (value && *value)
                snprintf(text + length, size - length, "%s%s", facts_of_drivers[i].before, value);
        }
    }
    json_decref(object);
    return text;
}

static void take_finding(void *data, int finding, const char *line)
{
    struct report *report = data;
    char *shown = report->lines ? NULL : driver_line(line);

    add_line(report, finding, shown ? shown : line);
    free(shown);
}

/* "check 1" and so on: what the command is may be as secret as what is in it. */
#define CHECK_NAME 32

struct named_check {
    char name[CHECK_NAME];
};

static int run_doctor(const struct cli_request *request, const char *uri, struct report *report,
                      flagver_error *err)
{
    size_t count = request->check_count, i;
    flagver_doctor_check *checks = cli_allocate((count + 1) * sizeof *checks);
    struct named_check *names = cli_allocate((count + 1) * sizeof *names);
    const flagver_doctor_options options = { .size = sizeof options,
                                             .checks = checks,
                                             .check_count = count,
                                             .tenant = cli_store_tenant(request) };
    int r;

    for (i = 0; i < count; i++) {
        snprintf(names[i].name, sizeof names[i].name, "check %zu", i + 1);
        checks[i] = (flagver_doctor_check){ names[i].name, cli_check_run,
                                            (void *)request->checks[i] };
    }
    r = flagver_store_doctor_with(uri, &options, take_finding, report, err);
    free(names);
    free(checks);
    return r;
}

int cli_doctor(const struct cli_request *request)
{
    struct report report;
    flagver_error error;
    const char *uri;
    int r;

    r = cli_store_uri(request, &uri);
    if (r)
        return r;
    begin_report(&report, request);
    r = run_doctor(request, uri, &report, &error);
    return end_report(&report, uri, r, &error);
}
