/**
 * libflagver: how records fare: how many there are in which state, and how long they took.
 * All of it is computed from the versions; nothing is counted beside them.
 */
#ifndef FLAGVER_METRIC_H
#define FLAGVER_METRIC_H

#include "flagver/base.h"
#include "flagver/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Of which versions; set `size`, NULL is all defaults.
 *
 * phase      NULL: all
 * prefix     only subjects that begin with it; NULL: all. Counted by part: "cycle-7" is not a part
 *            of "cycle-70/…" but "cycle-7/" is a prefix of "cycle-7/report-12"
 * from, to   only versions created at or after, and before, these times; 0: any
 * parts      groups are made by the first so many parts of the subject; 0: by phase alone
 * by_month   non-zero: groups also by the month of creation, in UTC
 */
typedef struct flagver_metric_options {
    size_t size;
    const char *phase, *prefix;
    int64_t from, to;
    int32_t parts;
    int32_t by_month;
} flagver_metric_options;

/** A length of time over many versions, in hours; all 0 when count is 0. */
typedef struct flagver_metric_hours {
    uint64_t count;
    double mean, median, p95;
} flagver_metric_hours;

/**
 * One group; borrowed. More members may follow in later versions of the library.
 *
 * phase, subject, month  what is common to it: subject is its first parts, or "";
 *                        month is "2026-03", or ""
 * created    how many versions
 * states     how many are in which state now, by FLAGVER_STATE_…
 * to_submit  from creation to submission, of those that were submitted
 * to_approve from creation to approval, of those that were approved: APPROVED or SUPERSEDED
 * emergencies  how many came into force by an emergency rule
 */
typedef struct flagver_metric_group {
    const char *phase, *subject, *month;
    uint64_t created, emergencies;
    uint64_t states[8];
    flagver_metric_hours to_submit, to_approve;
} flagver_metric_group;

/**
 * Visit the groups in byte order of phase, subject, month, from one state of the store. Percentiles
 * are nearest-rank, of the durations themselves: each is kept until the end, in 8 bytes, so that a
 * million versions take some 16 MB for as long as the call lasts.
 *
 * @return 0, FLAGVER_EINVAL, or as flagver_version_current()
 */
FLAGVER_API int
flagver_version_metrics(flagver_client *client, const flagver_metric_options *options,
                        void (*visit)(void *data, const flagver_metric_group *group), void *data,
                        flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
