#include "summary.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "datetime.h"

struct summary {
    char *text;
    size_t length;
};

static void add_part(struct summary *summary, const char *part)
{
    int length = snprintf(summary->text + summary->length, CLI_SUMMARY_SIZE - summary->length,
                          "%s%s", summary->length ? ", " : "", part);

    summary->length += (size_t)length;
}

static void add_count(struct summary *summary, size_t count, const char *what)
{
    char part[64];

    snprintf(part, sizeof part, "%zu %s%s", count, what, count == 1 ? "" : "s");
    if (count)
        add_part(summary, part);
}

static size_t count_targets(const json_t *definition)
{
    json_t *targets = json_object_get(definition, "targets"), *keys;
    const char *variant;
    size_t count = 0;

    json_object_foreach(targets, variant, keys) count += json_array_size(keys);
    return count;
}

/* A step's time in ms, as schedules count, and its percentage in thousandths. */
static int64_t step_time(const json_t *step)
{
    const char *at = json_string_value(json_object_get(step, "at"));
    int64_t us = 0;

    if (at)
        cli_datetime_parse(at, &us);
    return cli_milliseconds(us);
}

static int64_t step_share(const json_t *step)
{
    return (int64_t)(json_number_value(json_object_get(step, "percentage")) * 1000 + 0.5);
}

/* Where a schedule stands, in percent. */
static double schedule_at(const json_t *schedule, int64_t now)
{
    const char *form = json_string_value(json_object_get(schedule, "interpolate"));
    const json_t *steps = json_object_get(schedule, "steps"), *step, *next;
    bool linear = form && strcmp(form, "linear") == 0;
    double passed;
    size_t i = 0;

    while (i < json_array_size(steps) && step_time(json_array_get(steps, i)) <= now)
        i++;
    if (i == 0)
        return 0;
    step = json_array_get(steps, i - 1);
    next = linear ? json_array_get(steps, i) : NULL;
    if (!next)
        return (double)step_share(step) / 1000;
    passed = (double)(now - step_time(step)) / (double)(step_time(next) - step_time(step));
    passed *= (double)(step_share(next) - step_share(step));
    return (double)(int64_t)((double)step_share(step) + passed) / 1000;
}

void cli_summarise(const json_t *definition, int64_t now_us, char text[CLI_SUMMARY_SIZE])
{
    const json_t *percentage = json_object_get(definition, "percentage");
    const json_t *schedule = json_object_get(definition, "schedule");
    const char *variant = json_string_value(json_object_get(definition, "default"));
    struct summary summary = { .text = text };
    char part[64];

    text[0] = 0;
    add_count(&summary, json_array_size(json_object_get(definition, "beta")), "beta user");
    add_count(&summary, count_targets(definition), "target");
    add_count(&summary, json_array_size(json_object_get(definition, "rules")), "rule");
    if (percentage) {
        snprintf(part, sizeof part, "%g %%", json_number_value(percentage));
        add_part(&summary, part);
    }
    if (json_object_get(definition, "split"))
        add_part(&summary, "split");
    if (schedule) {
        snprintf(part, sizeof part, "schedule at %g %%",
                 schedule_at(schedule, cli_milliseconds(now_us)));
        add_part(&summary, part);
    }
    if (!summary.length)
        snprintf(text, CLI_SUMMARY_SIZE, "%s", variant ? variant : "everybody");
}
