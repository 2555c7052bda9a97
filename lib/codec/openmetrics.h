/*
 * What was tracked as OpenMetrics text, version 1.0.0.
 *
 * Samples of one metric have to stand together: each has a text of its own until the end.
 */
#ifndef FV_CODEC_OPENMETRICS_H
#define FV_CODEC_OPENMETRICS_H

#include "model/sum.h"
#include "util/text.h"

enum fv_openmetrics_family {
    FV_METRIC_EVALUATIONS,
    FV_METRIC_OUTCOMES,
    FV_METRIC_LATENCY,
    FV_METRIC_EVENTS,
    FV_METRIC_EVENT_VALUE,
    FV_METRIC_FAMILIES
};

struct fv_openmetrics {
    struct fv_text samples[FV_METRIC_FAMILIES];
};

struct fv_openmetrics_labels {
    const char *flag, *variant, *event; /* event "": the sum is about the flag itself */
};

void fv_openmetrics_init(struct fv_openmetrics *metrics);

/* A sum; no two with the same labels. */
void fv_openmetrics_add(struct fv_openmetrics *metrics, const struct fv_openmetrics_labels *labels,
                        const struct fv_sum *sum);

/* All of it; to be given away or cleared. */
struct fv_text fv_openmetrics_end(struct fv_openmetrics *metrics);

#endif
