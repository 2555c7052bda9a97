/* How records fare: how many there are, in which states, and how long they took. */
#include <stdio.h>
#include <stdlib.h>

#include "asking.h"
#include "commands.h"
#include "json.h"
#include "output.h"
#include "store.h"
#include "table.h"
#include "tracked.h"

#define PARTS_LIMIT 256 /* a subject cannot have more */
#define STATES 8
#define REAL_DIGITS 15 /* as many as every decimal number keeps */

struct report {
    flagver_metric_options options;
    struct cli_table table;
    bool as_json, found;
};

/* ---- for programs ---- */

static json_t *hours_document(const flagver_metric_hours *hours)
{
    json_int_t count = (json_int_t)hours->count;

    if (!count)
        return json_pack("{s:I, s:n, s:n, s:n}", "count", count, "mean", "median", "p95");
    return json_pack("{s:I, s:f, s:f, s:f}", "count", count, "mean", hours->mean, "median",
                     hours->median, "p95", hours->p95);
}

static json_t *states_document(const flagver_metric_group *group)
{
    json_t *states = json_object();
    int state;

    for (state = FLAGVER_STATE_DRAFT; state < STATES; state++)
        cli_json_set(states, flagver_state_name(state),
                     json_integer((json_int_t)group->states[state]));
    return states;
}

static void print_group(const struct report *report, const flagver_metric_group *group)
{
    const flagver_metric_options *options = &report->options;
    json_t *document = json_pack(
        "{s:o, s:o, s:o, s:I, s:o, s:I, s:o, s:o}", "phase", cli_json_text(group->phase), "subject",
        cli_json_text(options->parts ? group->subject : NULL), "month",
        cli_json_text(options->by_month ? group->month : NULL), "created",
        (json_int_t)group->created, "states", states_document(group), "emergencies",
        (json_int_t)group->emergencies, "hoursToSubmit", hours_document(&group->to_submit),
        "hoursToApprove", hours_document(&group->to_approve));
    char *text = cli_json_write(document, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));

    cli_print("%s\n", text);
    free(text);
    json_decref(document);
}

/* ---- for people ---- */

/* "1.5 h": so that two or three digits say it. */
static const char *duration_of(double hours, char text[32])
{
    static const struct {
        double hours;
        const char *name;
    } units[] = { { 24, "d" }, { 1, "h" }, { 1 / 60.0, "min" }, { 1 / 3600.0, "s" } };
    size_t i = 0;

    while (i < 3 && hours < 2 * units[i].hours)
        i++;
    snprintf(text, 32, "%.1f %s", hours / units[i].hours, units[i].name);
    return text;
}

static void add_hours(struct cli_table *table, const flagver_metric_hours *hours)
{
    char mean[32], median[32], p95[32];

    if (!hours->count)
        cli_table_add(table, "");
    else
        cli_table_format(table, "%s, %s, %s", duration_of(hours->mean, mean),
                         duration_of(hours->median, median), duration_of(hours->p95, p95));
}

static void add_states(struct cli_table *table, const flagver_metric_group *group)
{
    char text[256] = "";
    int state, length = 0;

    for (state = FLAGVER_STATE_DRAFT; state < STATES; state++)
        if (group->states[state])
            length += snprintf(text + length, sizeof text - (size_t)length, "%s%llu %s",
                               length ? ", " : "", (unsigned long long)group->states[state],
                               flagver_state_name(state));
    if (group->emergencies)
        snprintf(text + length, sizeof text - (size_t)length, "; %llu by emergency",
                 (unsigned long long)group->emergencies);
    cli_table_add(table, text);
}

static void add_heading(struct report *report)
{
    struct cli_table *table = &report->table;

    cli_table_add(table, "PHASE");
    if (report->options.parts)
        cli_table_add(table, "SUBJECT");
    if (report->options.by_month)
        cli_table_add(table, "MONTH");
    cli_table_add(table, "CREATED");
    cli_table_add(table, "NOW");
    cli_table_add(table, "TO SUBMIT");
    cli_table_add(table, "TO APPROVE (MEAN, MEDIAN, P95)");
    table->columns = table->count;
}

static void add_group(struct report *report, const flagver_metric_group *group)
{
    struct cli_table *table = &report->table;

    cli_table_add(table, group->phase);
    if (report->options.parts)
        cli_table_add(table, group->subject);
    if (report->options.by_month)
        cli_table_add(table, group->month);
    cli_table_format(table, "%llu", (unsigned long long)group->created);
    add_states(table, group);
    add_hours(table, &group->to_submit);
    add_hours(table, &group->to_approve);
}

static void visit_group(void *data, const flagver_metric_group *group)
{
    struct report *report = data;

    report->found = true;
    if (report->as_json)
        print_group(report, group);
    else
        add_group(report, group);
}

/* ---- the command ---- */

static int read_parts(const struct cli_request *request, int32_t *ret_parts)
{
    const char *text = request->values[CLI_PARTS];
    uint32_t parts = 0;

    if (text && (!cli_parse_number(text, 0, &parts) || parts > PARTS_LIMIT))
        return cli_request_refuse(request, "--parts %s is no number from 0 to %d", text,
                                  PARTS_LIMIT);
    *ret_parts = (int32_t)parts;
    return 0;
}

static int read_options(const struct cli_request *request, flagver_metric_options *ret_options)
{
    int r;

    *ret_options = (flagver_metric_options){ .size = sizeof *ret_options,
                                             .phase = cli_request_operand(request, 0),
                                             .prefix = request->values[CLI_PREFIX],
                                             .by_month = request->values[CLI_BY_MONTH] != NULL };
    r = read_parts(request, &ret_options->parts);
    return r ? r : cli_read_span(request, &ret_options->from, &ret_options->to);
}

static int print_report(struct report *report, flagver_client *client)
{
    flagver_error error;
    int r;

    if (!report->as_json)
        add_heading(report);
    r = flagver_version_metrics(client, &report->options, visit_group, report, &error);
    cli_table_print(&report->table);
    if (r < 0)
        return cli_fail(NULL, &error);
    /* For programs nothing is nothing. */
    if (!report->found && !report->as_json && cli_is_terminal())
        cli_print("no versions\n");
    return CLI_DONE;
}

int cli_metrics(const struct cli_request *request)
{
    struct report report = { .as_json = request->values[CLI_JSON] != NULL };
    flagver_client *client = NULL;
    int r;

    if (cli_tracked_is_meant(request))
        return cli_tracked(request);
    r = read_options(request, &report.options);
    if (r == 0)
        r = cli_store_read(request, NULL, &client);
    if (r == 0)
        r = print_report(&report, client);
    flagver_close(client);
    return r;
}
