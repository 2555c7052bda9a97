#include "flagver/track.h"

#include <math.h>
#include <string.h>

#include "codec/openmetrics.h"
#include "engine/track.h"
#include "model/flag.h"
#include "util/fail.h"
#include "util/options.h"

/* ---- counting ---- */

int flagver_track(flagver_client *client, flagver_context *context, const char *event, double value,
                  flagver_error *err)
{
    int r;

    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    r = fv_check_text("event", event, FLAGVER_EVENT_LIMIT, err);
    if (r < 0)
        return r;
    if (!isfinite(value))
        return fv_fail(err, FLAGVER_EINVAL, "the value of event \"%.256s\" is not finite", event);
    return fv_track_event(client, context, event, value, err);
}

int flagver_track_outcome(flagver_client *client, const char *flag, const char *variant,
                          bool failed, int64_t latency_ns, flagver_error *err)
{
    int r;

    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    r = fv_check_text("flag", flag, FV_FLAG_KEY_LIMIT, err);
    if (r == 0 && variant)
        r = fv_check_text("variant", variant, FV_VARIANT_NAME_LIMIT, err);
    return r < 0 ? r : fv_track_outcome(client, flag, variant, failed, latency_ns, err);
}

int flagver_track_flush(flagver_client *client, flagver_error *err)
{
    return client ? fv_track_flush(client, err) : fv_fail(err, FLAGVER_EINVAL, "client is NULL");
}

int flagver_track_forget(flagver_client *client, int64_t before, flagver_error *err)
{
    return client ? fv_track_forget(client, before, err)
                  : fv_fail(err, FLAGVER_EINVAL, "client is NULL");
}

/* ---- reading ---- */

static int read_options(const flagver_track_options *options, struct fv_track_query *ret_query,
                        flagver_error *err)
{
    flagver_track_options given;
    int r = fv_options_copy("options", options, &given, sizeof given, err);

    if (r == 0 && given.flag)
        r = fv_check_text("options.flag", given.flag, FV_FLAG_KEY_LIMIT, err);
    if (r < 0)
        return r;
    if (given.by < FLAGVER_TRACK_BY_ALL || given.by > FLAGVER_TRACK_BY_HOUR)
        return fv_fail(err, FLAGVER_EINVAL, "options.by is %d; 0 to %d allowed", (int)given.by,
                       FLAGVER_TRACK_BY_HOUR);
    *ret_query = (struct fv_track_query){ .flag = given.flag,
                                          .from = given.from,
                                          .to = given.to,
                                          .by = given.by,
                                          .own = given.own != 0 };
    return 0;
}

struct report {
    void (*visit)(void *data, const flagver_track_group *group);
    void *data;
};

static void show_group(void *data, const struct fv_track_group *group)
{
    const struct report *report = data;
    const struct fv_sum *sum = group->sum;
    const struct fv_timings *timings = &sum->timings;
    const flagver_track_group shown = { .flag = group->flag,
                                        .variant = group->variant,
                                        .event = group->event[0] ? group->event : NULL,
                                        .from = group->from,
                                        .evaluations = sum->served,
                                        .succeeded = sum->succeeded,
                                        .failed = sum->failed,
                                        .timed = timings->count,
                                        .error_rate = fv_sum_error_rate(sum),
                                        .mean_ms = fv_timings_mean(timings) / 1e6,
                                        .p50_ms = fv_timings_quantile(timings, 0.5) / 1e6,
                                        .p95_ms = fv_timings_quantile(timings, 0.95) / 1e6,
                                        .p99_ms = fv_timings_quantile(timings, 0.99) / 1e6,
                                        .count = sum->count,
                                        .sum = sum->value };

    report->visit(report->data, &shown);
}

int flagver_track_report(flagver_client *client, const flagver_track_options *options,
                         void (*visit)(void *data, const flagver_track_group *group), void *data,
                         flagver_error *err)
{
    struct report report = { visit, data };
    struct fv_track_query query;
    int r;

    if (!client || !visit)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "visit" : "client");
    r = read_options(options, &query, err);
    return r < 0 ? r : fv_track_read(client, &query, show_group, &report, err);
}

static void write_group(void *data, const struct fv_track_group *group)
{
    const struct fv_openmetrics_labels labels = { group->flag, group->variant, group->event };

    fv_openmetrics_add(data, &labels, group->sum);
}

int flagver_track_openmetrics(flagver_client *client, const flagver_track_options *options,
                              char **ret_text, flagver_error *err)
{
    struct fv_openmetrics metrics;
    struct fv_track_query query;
    struct fv_text text;
    int r;

    if (!client || !ret_text)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "ret_text" : "client");
    r = read_options(options, &query, err);
    if (r < 0)
        return r;
    query.by = FLAGVER_TRACK_BY_ALL;
    fv_openmetrics_init(&metrics);
    r = fv_track_read(client, &query, write_group, &metrics, err);
    text = fv_openmetrics_end(&metrics);
    if (r == 0)
        return fv_text_give(&text, ret_text, err);
    fv_text_clear(&text);
    return r;
}
