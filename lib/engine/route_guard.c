#include "engine/route.h"
#include "engine/restage.h"
#include "engine/route_copy.h"
#include "util/fail.h"

/* ---- what reads of both sides have shown ---- */

static void add_shown(void *data, struct fv_evidence *evidence)
{
    const struct fv_shown *shown = data;

    if (evidence->authority.version != shown->version)
        return; /* it is about another stage */
    evidence->compared += shown->compared;
    evidence->matched += shown->matched;
}

static int note_shown(flagver_route *route, flagver_error *err)
{
    struct fv_shown shown = fv_meter_take(&route->meter);
    int r = 0;

    if (shown.compared > 0)
        r = fv_steering_note(&route->steering, add_shown, &shown, err);
    /* It may be there when nobody knows: rather lost than counted twice, for that opens gates too early. */
    if (r < 0 && r != FLAGVER_EUNKNOWN)
        fv_meter_give_back(&route->meter, &shown);
    return r;
}

/* ---- taking reads back ---- */

/* Reads of the new side end: in `ramp` no key is read there, in `shadow` none is read for comparison. */
static int stage_without_reads(const struct fv_view *view)
{
    int stage = view->record.stage;

    if (stage == FLAGVER_STAGE_RAMP)
        return view->record.bound > 0 ? FLAGVER_STAGE_RAMP : 0;
    if (stage != FLAGVER_STAGE_SHADOW)
        return 0;
    do
        stage--;
    while (!fv_stage_in(stage, view->record.stages));
    return stage;
}

/* What could not be acted on is told once, and not by every step until somebody does. */
static bool is_told(flagver_route *route, const struct fv_view *view, enum fv_guard guard)
{
    bool told = route->told_guard == (int)guard && route->told_version == view->version;

    route->told_guard = (int)guard;
    route->told_version = view->version;
    return told;
}

static void trip(flagver_route *route, const struct fv_view *view, const struct fv_verdict *verdict,
                 flagver_route_alert *ret_alert)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "flagver.guard" };
    const flagver_route_change change = { .size = sizeof change,
                                          .note = fv_guard_name(verdict->guard) };
    const struct fv_restage restage = { route->name, stage_without_reads(view), &change, true,
                                        view->version };
    uint32_t no;
    int r = restage.stage ? fv_restage(route->client, &restage, &actor, &no, NULL) : 0;
    bool acted = restage.stage && r == 0;

    if (r == FLAGVER_ESTALE)
        return; /* it is in another stage by now, whose authority may be another one */
    if (!acted && is_told(route, view, verdict->guard))
        return;
    *ret_alert = (flagver_route_alert){ .route = route->name,
                                        .guard = fv_guard_name(verdict->guard),
                                        .value = verdict->value,
                                        .limit = verdict->limit,
                                        .stage = view->record.stage,
                                        .acted = acted };
}

/* Enough must have been seen since the guards looked last, or the window stays open. */
int fv_route_guard(flagver_route *route, const struct fv_view *view, int64_t oldest_ms,
                   flagver_route_alert *ret_alert, flagver_error *err)
{
    const struct fv_fence *authority = &view->fences[fv_route_believed(view->fences)];
    struct fv_reading_off now;
    struct fv_guard_window window;
    struct fv_verdict verdict;
    int r;

    fv_meter_read(&route->meter, &now);
    r = note_shown(route, err);
    if (r < 0)
        return r;
    if (route->guarded_version != authority->version) {
        route->guarded = now; /* what was before says nothing about this stage */
        route->guarded_version = authority->version;
    }
    fv_meter_window(&route->guarded, &now, &window);
    window.oldest_ms = oldest_ms;
    verdict = fv_guard_judge(&view->record.guards, &window);
    if (verdict.guard != FV_GUARD_NONE)
        trip(route, view, &verdict, ret_alert);
    if (verdict.guard != FV_GUARD_NONE || window.reads[FV_OLD] >= view->record.guards.samples)
        route->guarded = now;
    return 0;
}
