#include <inttypes.h>
#include <string.h>

#include "codec/canonical.h"
#include "engine/restage.h"
#include "engine/route_copy.h"
#include "util/fail.h"

/* ---- the parts ---- */

static void add_bool(struct fv_text *out, const char *name, bool value)
{
    fv_text_format(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void add_count(struct fv_text *out, const char *name, uint64_t value)
{
    fv_text_format(out, ",\"%s\":%" PRIu64, name, value);
}

static void add_stage(struct fv_text *out, const struct fv_view *view)
{
    enum fv_side side = fv_route_believed(view->fences);
    const struct fv_fence *authority = &view->fences[side];

    fv_text_format(out, ",\"stage\":\"%s\",\"percentage\":", fv_stage_name(authority->stage));
    fv_text_add_decimal(out, authority->bound, 2);
    fv_status_record(out, &view->record, view->version);
    add_bool(out, "settled",
             authority->role == FV_ROLE_AUTHORITY && authority->version == view->version);
    add_bool(out, "frozen", authority->role == FV_ROLE_FROZEN);
    fv_text_format(out, ",\"believed\":\"%s\"", fv_side_name((int)side));
    add_count(out, "epoch", authority->epoch);
}

static uint64_t value_of(atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_side(struct fv_text *out, flagver_route *route, const struct fv_reading_off *now,
                     int side)
{
    const uint64_t *latencies = now->latencies[side];
    uint64_t reads = 0;

    for (unsigned i = 0; i < FV_LATENCY_STEPS; i++)
        reads += latencies[i];
    fv_text_format(out, "\"%s\":{\"reads\":%" PRIu64, fv_side_name(side), reads);
    add_count(out, "read_errors", now->errors[side]);
    add_count(out, "read_p50_ns", fv_latency_quantile(latencies, 0.5));
    add_count(out, "read_p99_ns", fv_latency_quantile(latencies, 0.99));
    add_count(out, "writes", value_of(&route->meter.writes[side]));
    add_count(out, "write_errors", value_of(&route->meter.write_errors[side]));
    fv_text_add(out, "}");
}

/* ---- the whole ---- */

static int write_status(flagver_route *route, const struct fv_view *view,
                        const struct fv_evidence *evidence, const struct fv_passages *passages,
                        const struct fv_backlog *backlog, char **ret_json, flagver_error *err)
{
    struct fv_text out = FV_TEXT_INIT;
    struct fv_reading_off now;

    fv_meter_read(&route->meter, &now);
    fv_text_add(&out, "{\"migration\":");
    fv_canonical_string(&out, route->name, strlen(route->name));
    add_stage(&out, view);
    fv_status_evidence(&out, evidence, passages);
    add_count(&out, "waiting", backlog->count);
    fv_text_format(&out, ",\"oldest_ms\":%" PRId64, backlog->oldest_ms);
    add_count(&out, "dropped", value_of(&route->dropped));
    fv_text_add(&out, ",\"sides\":{");
    add_side(&out, route, &now, FLAGVER_SIDE_OLD);
    fv_text_add(&out, ",");
    add_side(&out, route, &now, FLAGVER_SIDE_NEW);
    fv_text_add(&out, "}}");
    return fv_text_give(&out, ret_json, err);
}

int fv_route_status(flagver_route *route, char **ret_json, flagver_error *err)
{
    struct fv_evidence evidence;
    struct fv_passages passages;
    struct fv_backlog backlog;
    struct fv_view view;
    int r;

    if (route->by_flag)
        return fv_fail(err, FLAGVER_ENOTSUP, "%s: a flag says the stage; there is no migration",
                       route->name);
    r = fv_route_usable(route, err);
    if (r == 0)
        r = fv_steering_look(&route->steering, &view, err);
    if (r == 0)
        r = fv_steering_evidence(&route->steering, &evidence, err);
    if (r == 0)
        r = fv_passages_of(route->client, route->name, &passages, err);
    if (r == 0)
        r = fv_route_backlog(route, fv_route_believed(view.fences), &backlog, err);
    return r < 0 ? r : write_status(route, &view, &evidence, &passages, &backlog, ret_json, err);
}
