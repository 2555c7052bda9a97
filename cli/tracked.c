/* How flags fare: how often each variant was served, and how the code behind it did. */
#include "tracked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asking.h"
#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"
#include "table.h"

#define REAL_DIGITS 15 /* as many as every decimal number keeps */
#define DAY_LENGTH 10  /* of a time as it is printed */
#define HOUR_LENGTH 16

/* A group that the library has told of, with texts of its own. */
struct told {
    flagver_track_group group;
    char *flag, *variant, *event;
};

struct report {
    flagver_track_options options;
    struct told *told;
    size_t count, capacity;
};

static const enum cli_option forms[] = { CLI_DAILY, CLI_HOURLY, CLI_OPENMETRICS, CLI_FORGET };
#define FORMS (sizeof forms / sizeof *forms)

/* ---- what there is ---- */

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = cli_allocate(size);

    memcpy(copy, text, size);
    return copy;
}

static void take_group(void *data, const flagver_track_group *group)
{
    struct report *report = data;
    struct told *told;

    if (report->count == report->capacity) {
        report->capacity = report->capacity ? report->capacity * 2 : 64;
        report->told = cli_reallocate(report->told, report->capacity * sizeof *report->told);
    }
    told = &report->told[report->count++];
    *told = (struct told){ *group, copy_of(group->flag), copy_of(group->variant),
                           group->event ? copy_of(group->event) : NULL };
}

static void clear(struct report *report)
{
    size_t i;

    for (i = 0; i < report->count; i++) {
        free(report->told[i].flag);
        free(report->told[i].variant);
        free(report->told[i].event);
    }
    free(report->told);
}

/* As a report is read: what was at one time stands together, events behind flags. */
static int compare(const void *a, const void *b)
{
    const struct told *left = a, *right = b;
    int order = (left->group.from > right->group.from) - (left->group.from < right->group.from);

    if (!order)
        order = (left->event != NULL) - (right->event != NULL);
    if (!order && left->event)
        order = strcmp(left->event, right->event);
    if (!order)
        order = strcmp(left->flag, right->flag);
    return order ? order : strcmp(left->variant, right->variant);
}

/* ---- for programs ---- */

static json_t *some_text(const char *text)
{
    return cli_json_text(text && *text ? text : NULL);
}

static json_t *known(bool is_known, double real)
{
    return is_known ? json_real(real) : json_null();
}

static json_t *flag_document(const struct told *told)
{
    const flagver_track_group *group = &told->group;
    bool ended = group->succeeded + group->failed > 0, timed = group->timed > 0;

    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o}", "from",
                     cli_json_time(group->from), "flag", some_text(told->flag), "variant",
                     some_text(told->variant), "evaluations", (json_int_t)group->evaluations,
                     "succeeded", (json_int_t)group->succeeded, "failed", (json_int_t)group->failed,
                     "errorRate", known(ended, group->error_rate), "timed",
                     (json_int_t)group->timed, "meanMs", known(timed, group->mean_ms), "p50Ms",
                     known(timed, group->p50_ms), "p95Ms", known(timed, group->p95_ms), "p99Ms",
                     known(timed, group->p99_ms));
}

static json_t *event_document(const struct told *told)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:f}", "from", cli_json_time(told->group.from),
                     "event", cli_json_text(told->event), "flag", some_text(told->flag), "variant",
                     some_text(told->variant), "count", (json_int_t)told->group.count, "sum",
                     told->group.sum);
}

static void print_documents(const struct report *report)
{
    json_t *document;
    char *text;
    size_t i;

    for (i = 0; i < report->count; i++) {
        document = report->told[i].event ? event_document(&report->told[i])
                                         : flag_document(&report->told[i]);
        text = cli_json_write(document, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
        cli_print("%s\n", text);
        free(text);
        json_decref(document);
    }
}

/* ---- for people ---- */

static void add_time(struct cli_table *table, const struct report *report, int64_t from)
{
    bool by_day = report->options.by == FLAGVER_TRACK_BY_DAY;
    char text[CLI_DATETIME_SIZE];

    cli_datetime_print(from, text);
    text[DAY_LENGTH] = ' ';
    text[by_day ? DAY_LENGTH : HOUR_LENGTH] = 0;
    cli_table_add(table, text);
}

static void add_name(struct cli_table *table, const char *name, const char *none)
{
    char *readable = cli_readable(*name ? name : none);

    cli_table_add(table, readable);
    free(readable);
}

static void add_ms(struct cli_table *table, bool known, double ms)
{
    if (!known)
        cli_table_add(table, "");
    else if (ms >= 1000)
        cli_table_format(table, "%.2f s", ms / 1000);
    else
        cli_table_format(table, ms < 10 ? "%.2f ms" : "%.1f ms", ms);
}

static void add_outcomes(struct cli_table *table, uint64_t succeeded, uint64_t failed)
{
    uint64_t outcomes = succeeded + failed;

    cli_table_format(table, "%llu", (unsigned long long)outcomes);
    if (outcomes)
        cli_table_format(table, "%.2f %%", 100.0 * (double)succeeded / (double)outcomes);
    else
        cli_table_add(table, "");
}

static void add_flag(struct cli_table *table, const struct report *report, const struct told *told)
{
    const flagver_track_group *group = &told->group;

    add_time(table, report, group->from);
    add_name(table, told->flag, "");
    add_name(table, told->variant, "(error)");
    cli_table_format(table, "%llu", (unsigned long long)group->evaluations);
    add_outcomes(table, group->succeeded, group->failed);
    add_ms(table, group->timed != 0, group->mean_ms);
    add_ms(table, group->timed != 0, group->p95_ms);
}

/* Of all flags at one time. The quantiles of several groups are not known from theirs. */
static void add_total(struct cli_table *table, const struct report *report,
                      const flagver_track_group *total)
{
    add_time(table, report, total->from);
    cli_table_add(table, "(all)");
    cli_table_add(table, "");
    cli_table_format(table, "%llu", (unsigned long long)total->evaluations);
    add_outcomes(table, total->succeeded, total->failed);
    add_ms(table, total->timed != 0, total->mean_ms);
    cli_table_add(table, "");
}

static void add_up(flagver_track_group *total, const flagver_track_group *group)
{
    double timed = (double)(total->timed + group->timed);

    if (group->timed)
        total->mean_ms =
            (total->mean_ms * (double)total->timed + group->mean_ms * (double)group->timed) / timed;
    total->timed += group->timed;
    total->evaluations += group->evaluations;
    total->succeeded += group->succeeded;
    total->failed += group->failed;
}

/* Is this the last group about a flag of its time? */
static bool ends_time(const struct report *report, size_t i)
{
    const struct told *next = &report->told[i + 1];

    return i + 1 == report->count || next->event || next->group.from != report->told[i].group.from;
}

static void add_flags(struct cli_table *table, const struct report *report)
{
    flagver_track_group total = { .from = 0 };
    size_t i, rows = 0;

    for (i = 0; i < report->count; i++) {
        if (report->told[i].event)
            continue;
        if (rows++ == 0)
            total = (flagver_track_group){ .from = report->told[i].group.from };
        add_flag(table, report, &report->told[i]);
        add_up(&total, &report->told[i].group);
        if (!ends_time(report, i))
            continue;
        if (rows > 1)
            add_total(table, report, &total);
        rows = 0;
    }
}

static void print_flags(const struct report *report, const char *period)
{
    const char *const heading[] = { period,     "FLAG",    "VARIANT", "EVALUATIONS",
                                    "OUTCOMES", "SUCCESS", "MEAN",    "P95" };
    struct cli_table table = { .columns = sizeof heading / sizeof *heading };
    size_t i;

    for (i = 0; i < table.columns; i++)
        cli_table_add(&table, heading[i]);
    add_flags(&table, report);
    cli_table_print(&table);
}

static bool has_events(const struct report *report)
{
    size_t i;

    for (i = 0; i < report->count; i++)
        if (report->told[i].event)
            return true;
    return false;
}

static void print_events(const struct report *report, const char *period)
{
    const char *const heading[] = { period, "EVENT", "FLAG", "VARIANT", "COUNT", "SUM" };
    struct cli_table table = { .columns = sizeof heading / sizeof *heading };
    const struct told *told;
    size_t i;

    for (i = 0; i < table.columns; i++)
        cli_table_add(&table, heading[i]);
    for (i = 0; i < report->count; i++) {
        told = &report->told[i];
        if (!told->event)
            continue;
        add_time(&table, report, told->group.from);
        add_name(&table, told->event, "");
        add_name(&table, told->flag, "");
        add_name(&table, told->variant, *told->flag ? "(error)" : "");
        cli_table_format(&table, "%llu", (unsigned long long)told->group.count);
        cli_table_format(&table, "%.10g", told->group.sum);
    }
    cli_table_print(&table);
}

static void print_tables(const struct report *report)
{
    const char *period = report->options.by == FLAGVER_TRACK_BY_DAY ? "DAY" : "HOUR";

    /* For programs nothing is nothing. */
    if (report->count == 0 && cli_is_terminal())
        cli_print("nothing was tracked\n");
    print_flags(report, period);
    if (!has_events(report))
        return;
    if (!report->told[0].event)
        cli_print("\n");
    print_events(report, period);
}

/* ---- the command ---- */

static int print_report(const struct cli_request *request, flagver_client *client,
                        struct report *report)
{
    flagver_error error;
    int r = flagver_track_report(client, &report->options, take_group, report, &error);

    if (r < 0)
        return cli_fail(NULL, &error);
    if (report->count)
        qsort(report->told, report->count, sizeof *report->told, compare);
    if (request->values[CLI_JSON])
        print_documents(report);
    else
        print_tables(report);
    return CLI_DONE;
}

static int print_openmetrics(flagver_client *client, const flagver_track_options *options)
{
    flagver_error error;
    char *text;
    int r = flagver_track_openmetrics(client, options, &text, &error);

    if (r < 0)
        return cli_fail(NULL, &error);
    cli_write(text, strlen(text));
    flagver_string_free(text);
    return CLI_DONE;
}

static int forget(flagver_client *client, int64_t before)
{
    flagver_error error;
    int r = flagver_track_forget(client, before, &error);

    return r < 0 ? cli_fail(NULL, &error) : CLI_DONE;
}

bool cli_tracked_is_meant(const struct cli_request *request)
{
    size_t i;

    for (i = 0; i < FORMS; i++)
        if (request->values[forms[i]])
            return true;
    return request->values[CLI_FLAG] != NULL;
}

/* One of the forms, and nothing that is about versions. */
static int check_form(const struct cli_request *request, enum cli_option *ret_form)
{
    static const enum cli_option foreign[] = { CLI_PREFIX, CLI_PARTS, CLI_BY_MONTH };
    size_t i, given = 0;

    for (i = 0; i < FORMS; i++) {
        if (!request->values[forms[i]])
            continue;
        *ret_form = forms[i];
        given++;
    }
    if (given != 1)
        return cli_request_refuse(request, "%s of --daily, --hourly, --openmetrics and --forget",
                                  given ? "only one" : "--flag needs one");
    for (i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (request->values[foreign[i]])
            return cli_request_refuse(request, "--%s is about versions, --%s about flags",
                                      cli_options[foreign[i]].name, cli_options[*ret_form].name);
    if (request->operand_count)
        return cli_request_refuse(request, "--%s is about flags, not phases: --flag %s",
                                  cli_options[*ret_form].name, request->operands[0]);
    return 0;
}

/* What is forgotten is forgotten of all flags, and OpenMetrics are what they are. */
static int check_rest(const struct cli_request *request, enum cli_option form)
{
    static const enum cli_option spans[] = { CLI_SINCE, CLI_UNTIL, CLI_FLAG };
    size_t i;

    if (form == CLI_OPENMETRICS && request->values[CLI_JSON])
        return cli_request_refuse(request, "--openmetrics is no JSON");
    for (i = 0; form == CLI_FORGET && i < sizeof spans / sizeof *spans; i++)
        if (request->values[spans[i]])
            return cli_request_refuse(request, "--forget takes no --%s",
                                      cli_options[spans[i]].name);
    return 0;
}

static int read_options(const struct cli_request *request, enum cli_option form,
                        flagver_track_options *ret_options)
{
    *ret_options = (flagver_track_options){ .size = sizeof *ret_options,
                                            .flag = request->values[CLI_FLAG],
                                            .by = form == CLI_DAILY    ? FLAGVER_TRACK_BY_DAY
                                                  : form == CLI_HOURLY ? FLAGVER_TRACK_BY_HOUR
                                                                       : FLAGVER_TRACK_BY_ALL };
    return cli_read_span(request, &ret_options->from, &ret_options->to);
}

int cli_tracked(const struct cli_request *request)
{
    struct report report = { .count = 0 };
    enum cli_option form = CLI_DAILY;
    flagver_client *client = NULL;
    int64_t before = 0;
    int r = check_form(request, &form);

    if (r == 0)
        r = check_rest(request, form);
    if (r == 0)
        r = cli_read_time(request, CLI_FORGET, &before);
    if (r == 0)
        r = read_options(request, form, &report.options);
    if (r == 0)
        r = cli_store_read(request, NULL, &client);
    if (r)
        return r;
    if (form == CLI_OPENMETRICS)
        r = print_openmetrics(client, &report.options);
    else if (form == CLI_FORGET)
        r = forget(client, before);
    else
        r = print_report(request, client, &report);
    clear(&report);
    flagver_close(client);
    return r;
}
