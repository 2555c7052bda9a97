/*
 * Metrics: computed from the versions that are there, whenever somebody asks.
 */
#ifndef FV_ENGINE_METRICS_H
#define FV_ENGINE_METRICS_H

#include "engine/history.h"
#include "flagver/metric.h"

/* As flagver_version_metrics(); `options` has all members. Visits when the store is let go. */
int fv_metrics_read(const struct fv_tenancy *tenancy, const flagver_metric_options *options,
                    void (*visit)(void *data, const flagver_metric_group *group), void *data,
                    flagver_error *err);

#endif
