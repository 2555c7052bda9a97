#include "codec/openmetrics.h"

#include <inttypes.h>

#include "codec/canonical.h"

static const struct {
    const char *name, *type, *unit, *help;
} families[FV_METRIC_FAMILIES] = {
    [FV_METRIC_EVALUATIONS] = { "flagver_evaluations", "counter", NULL,
                                "How often a variant was served." },
    [FV_METRIC_OUTCOMES] = { "flagver_outcomes", "counter", NULL,
                             "How the code behind a variant has ended." },
    [FV_METRIC_LATENCY] = { "flagver_latency_seconds", "histogram", "seconds",
                            "How long the code behind a variant has taken." },
    [FV_METRIC_EVENTS] = { "flagver_events", "counter", NULL, "How often an event was tracked." },
    /* Values may be negative: their sum is no counter. */
    [FV_METRIC_EVENT_VALUE] = { "flagver_event_value", "gauge", NULL,
                                "The sum of the values of an event." },
};

/* In seconds; as texts, for a number has to be written in the same way each time. */
static const struct {
    const char *text;
    double seconds;
} bounds[] = {
    { "0.0001", 0.0001 }, { "0.00025", 0.00025 }, { "0.0005", 0.0005 }, { "0.001", 0.001 },
    { "0.0025", 0.0025 }, { "0.005", 0.005 },     { "0.01", 0.01 },     { "0.025", 0.025 },
    { "0.05", 0.05 },     { "0.1", 0.1 },         { "0.25", 0.25 },     { "0.5", 0.5 },
    { "1.0", 1 },         { "2.5", 2.5 },         { "5.0", 5 },         { "10.0", 10 },
    { "25.0", 25 },       { "50.0", 50 },         { "100.0", 100 },
};

void fv_openmetrics_init(struct fv_openmetrics *metrics)
{
    size_t i;

    for (i = 0; i < FV_METRIC_FAMILIES; i++)
        metrics->samples[i] = (struct fv_text)FV_TEXT_INIT;
}

/* ---- pieces ---- */

static void add_label(struct fv_text *text, const char *name, const char *value)
{
    const char *at;

    fv_text_format(text, "%s=\"", name);
    for (at = value; *at; at++) {
        if (*at == '\\' || *at == '"')
            fv_text_add_char(text, '\\');
        if (*at == '\n')
            fv_text_add(text, "\\n");
        else
            fv_text_add_char(text, *at);
    }
    fv_text_add_char(text, '"');
}

/* "NAME{labels", with the brace open. */
static struct fv_text *begin_sample(struct fv_openmetrics *metrics,
                                    enum fv_openmetrics_family family, const char *suffix,
                                    const struct fv_openmetrics_labels *labels)
{
    struct fv_text *text = &metrics->samples[family];

    fv_text_format(text, "%s%s{", families[family].name, suffix);
    add_label(text, "flag", labels->flag);
    fv_text_add_char(text, ',');
    add_label(text, "variant", labels->variant);
    return text;
}

static void end_count(struct fv_text *text, uint64_t count)
{
    fv_text_format(text, "} %" PRIu64 "\n", count);
}

static void add_outcome(struct fv_openmetrics *metrics, const struct fv_openmetrics_labels *labels,
                        const char *outcome, uint64_t count)
{
    struct fv_text *text = begin_sample(metrics, FV_METRIC_OUTCOMES, "_total", labels);

    fv_text_add_char(text, ',');
    add_label(text, "outcome", outcome);
    end_count(text, count);
}

static void add_bucket(struct fv_openmetrics *metrics, const struct fv_openmetrics_labels *labels,
                       const char *bound, uint64_t count)
{
    struct fv_text *text = begin_sample(metrics, FV_METRIC_LATENCY, "_bucket", labels);

    fv_text_add_char(text, ',');
    add_label(text, "le", bound);
    end_count(text, count);
}

static void add_latency(struct fv_openmetrics *metrics, const struct fv_openmetrics_labels *labels,
                        const struct fv_timings *timings)
{
    struct fv_text *text;
    size_t i;

    for (i = 0; i < sizeof bounds / sizeof *bounds; i++)
        add_bucket(metrics, labels, bounds[i].text,
                   fv_timings_within(timings, bounds[i].seconds * 1e9));
    add_bucket(metrics, labels, "+Inf", timings->count);
    end_count(begin_sample(metrics, FV_METRIC_LATENCY, "_count", labels), timings->count);
    text = begin_sample(metrics, FV_METRIC_LATENCY, "_sum", labels);
    fv_text_add(text, "} ");
    fv_canonical_real(text, timings->total_ns / 1e9);
    fv_text_add_char(text, '\n');
}

static void add_event(struct fv_openmetrics *metrics, const struct fv_openmetrics_labels *labels,
                      const struct fv_sum *sum)
{
    struct fv_text *text = begin_sample(metrics, FV_METRIC_EVENTS, "_total", labels);

    fv_text_add_char(text, ',');
    add_label(text, "event", labels->event);
    end_count(text, sum->count);
    text = begin_sample(metrics, FV_METRIC_EVENT_VALUE, "", labels);
    fv_text_add_char(text, ',');
    add_label(text, "event", labels->event);
    fv_text_add(text, "} ");
    fv_canonical_real(text, sum->value);
    fv_text_add_char(text, '\n');
}

/* ---- the whole ---- */

void fv_openmetrics_add(struct fv_openmetrics *metrics, const struct fv_openmetrics_labels *labels,
                        const struct fv_sum *sum)
{
    if (labels->event[0]) {
        add_event(metrics, labels, sum);
        return;
    }
    end_count(begin_sample(metrics, FV_METRIC_EVALUATIONS, "_total", labels), sum->served);
    add_outcome(metrics, labels, "success", sum->succeeded);
    add_outcome(metrics, labels, "error", sum->failed);
    if (sum->timings.count)
        add_latency(metrics, labels, &sum->timings);
}

struct fv_text fv_openmetrics_end(struct fv_openmetrics *metrics)
{
    struct fv_text text = FV_TEXT_INIT;
    size_t i;

    for (i = 0; i < FV_METRIC_FAMILIES; i++) {
        fv_text_format(&text, "# TYPE %s %s\n", families[i].name, families[i].type);
        if (families[i].unit)
            fv_text_format(&text, "# UNIT %s %s\n", families[i].name, families[i].unit);
        fv_text_format(&text, "# HELP %s %s\n", families[i].name, families[i].help);
        fv_text_add_bytes(&text, metrics->samples[i].data, metrics->samples[i].length);
        text.failed = text.failed || metrics->samples[i].failed;
        fv_text_clear(&metrics->samples[i]);
    }
    fv_text_add(&text, "# EOF\n");
    return text;
}
