/*
 * How records fare: versions are counted and timed in groups. What comes in are rows, in any
 * order; what comes out are the groups, sorted. Every duration is kept until then, in 8 bytes:
 * percentiles are of what happened, not of an estimate.
 */
#ifndef FV_MODEL_METRIC_H
#define FV_MODEL_METRIC_H

#include "flagver/driver.h"
#include "flagver/metric.h"
#include "util/map.h"
#include "util/text.h"

/* Mean, median and 95th percentile (nearest-rank) of durations in microseconds; sorts them. */
flagver_metric_hours fv_metric_hours_of(int64_t *durations, size_t count);

/*
 * Does the subject begin with these parts? "cycle-7" begins "cycle-7" and "cycle-7/report-1", but
 * not "cycle-70"; "cycle-7/" begins only the second. "" begins everything.
 */
bool fv_metric_begins(flagver_bytes subject, const char *prefix);

/* How many bytes of the subject its first `parts` parts have. */
size_t fv_metric_parts(flagver_bytes subject, int32_t parts);

#define FV_MONTH_SIZE 16

/* The month of a time in microseconds, in UTC: "2026-03". */
void fv_metric_month(int64_t time, char ret_month[FV_MONTH_SIZE]);

struct fv_metric_tally; /* of one group */

struct fv_metrics {
    flagver_metric_options options;
    struct fv_map names;
    struct fv_text name;             /* of the group that was looked for last */
    struct fv_metric_tally *tallies; /* by number of their names */
    size_t count, capacity;
};

/* `options` are those of the public call, with all members; borrowed texts. */
void fv_metrics_init(struct fv_metrics *metrics, const flagver_metric_options *options);
void fv_metrics_clear(struct fv_metrics *metrics);

/* Count a version, if the options ask for it. False when memory is short. */
bool fv_metrics_add(struct fv_metrics *metrics, const flagver_version_row *version);

/* As flagver_version_metrics(). Nothing can be counted after it. */
void fv_metrics_visit(struct fv_metrics *metrics,
                      void (*visit)(void *data, const flagver_metric_group *group), void *data);

#endif
