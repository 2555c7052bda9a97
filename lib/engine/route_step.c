#define _POSIX_C_SOURCE 200809L /* clock_gettime(), pthread_mutex_timedlock() */

#include <string.h>
#include <time.h>

#include "engine/restage.h"
#include "engine/route_copy.h"
#include "engine/route_verify.h"
#include "util/fail.h"

/* ---- towards the record ---- */

static int check_migration(const flagver_route *route, flagver_error *err)
{
    if (route->by_flag)
        return fv_fail(err, FLAGVER_ENOTSUP, "%s: a flag says the stage; there is no migration",
                       route->name);
    return fv_route_usable(route, err);
}

/* What others are doing just now is no failure. */
static int unless_busy(int r)
{
    return r == FLAGVER_EBUSY ? 0 : r;
}

/* Towards what the record says, as far as nothing has to be waited for. */
static int carry_out(flagver_route *route, int64_t deadline, struct fv_view *view,
                     flagver_error *err)
{
    int r;

    do
        r = fv_steering_step(&route->steering, false, err);
    while (r > 0 && fv_monotonic_ms() < deadline);
    r = r > 0 ? 0 : unless_busy(r); /* without the time for all of them */
    if (r == 0)
        r = fv_steering_look(&route->steering, view, err);
    if (r == 0)
        r = fv_ledger_follow(&route->ledger, view, err);
    return r < 0 ? r : 0;
}

/* ---- copying and comparing ---- */

struct fv_pace fv_route_pace(const flagver_route *route)
{
    return (struct fv_pace){ .chunk = (int64_t)route->options.chunk_ms * 1000,
                             .share = route->options.copy_share };
}

/* Is no chunk to be copied now? The host is asked once for each. */
static bool is_held_up(flagver_route *route)
{
    int64_t now = fv_monotonic_ms();
    int32_t wait_ms;

    if (now < route->rests_until_ms)
        return true;
    if (!route->options.throttle || route->throttled)
        return false;
    wait_ms = route->options.throttle(route->options.throttle_data);
    route->throttled = wait_ms > 0;
    if (wait_ms > 0)
        route->rests_until_ms = now + wait_ms;
    return wait_ms != 0;
}

static bool may_go_on(flagver_route *route)
{
    if (is_held_up(route))
        return false;
    route->throttled = false;
    return true;
}

static void tell_rest(const flagver_route *route, flagver_route_progress *progress)
{
    int64_t rest_ms = route->rests_until_ms - fv_monotonic_ms();

    progress->rest_ms = rest_ms > 0 ? rest_ms : 0;
}

/*
 * May what the believed side lacks be taken from the other one? Where it has everything, that is left over there.
 * One that was made the authority by force may lack what only the other one has: that is no reason.
 */
static bool may_take_away(const struct fv_evidence *evidence, enum fv_side believed)
{
    return fv_evidence_whole(evidence, believed);
}

static int copy_chunks(flagver_route *route, const struct fv_view *view, bool sweeps,
                       int64_t deadline, flagver_route_progress *progress,
                       struct fv_passage *copying, flagver_error *err)
{
    int r = 1;

    while (r > 0 && may_go_on(route)) {
        r = fv_route_copy(route, view, sweeps, &progress->copied, copying, err);
        if (fv_monotonic_ms() >= deadline)
            break;
    }
    if (r != 0)
        tell_rest(route, progress);
    return r < 0 ? unless_busy(r) : 0;
}

static int compare_chunks(flagver_route *route, const struct fv_view *view, int64_t deadline,
                          bool repairs, flagver_route_progress *progress,
                          struct fv_passage *comparison, flagver_error *err)
{
    int r = 1;

    while (r > 0 && may_go_on(route)) {
        r = fv_route_verify_some(route, view, repairs, comparison, err);
        if (fv_monotonic_ms() >= deadline)
            break;
    }
    if (r != 0)
        tell_rest(route, progress);
    return r < 0 ? unless_busy(r) : 0;
}

static void tell_headway(const struct fv_headway *headway, flagver_route_progress *progress)
{
    int64_t now = fv_now_us(), left = fv_headway_left(headway, now);

    progress->copied_all |= headway->done;
    progress->copied_so_far = headway->records;
    progress->copy_total = headway->total;
    progress->copy_rate = fv_headway_rate(headway, now);
    progress->copy_left_ms = left < 0 ? -1 : left / 1000;
}

/*
 * Until the other side has everything: one that was believed before, and has been written since, has. A copy that
 * was begun is ended.
 */
static int copy(flagver_route *route, const struct fv_view *view,
                const struct fv_evidence *evidence, int64_t deadline,
                flagver_route_progress *progress, flagver_error *err)
{
    enum fv_side from = fv_route_believed(view->fences);
    struct fv_passage copying;
    bool begun;
    int r;

    r = fv_passage_of(route->client, FV_SPACE_COPY, route->name, &copying, err);
    if (r < 0)
        return r;
    progress->copied_all = fv_evidence_whole(evidence, fv_side_other(from));
    begun = fv_passage_holds(&copying, from, &view->fences[from]) && !copying.headway.done;
    if ((!progress->copied_all || begun) && route->sides[from].scan)
        r = copy_chunks(route, view, may_take_away(evidence, from), deadline, progress, &copying,
                        err);
    if (fv_passage_holds(&copying, from, &view->fences[from]))
        tell_headway(&copying.headway, progress);
    return r;
}

static void tell_comparison(const struct fv_passage *comparison, flagver_route_progress *progress)
{
    int64_t now = fv_now_us(), left = fv_headway_left(&comparison->headway, now);

    progress->compared_so_far = comparison->headway.records;
    progress->compare_rate = fv_headway_rate(&comparison->headway, now);
    progress->compare_left_ms = left < 0 ? -1 : left / 1000;
    progress->differences = comparison->differences;
    progress->left_out = comparison->left_out;
}

/* When all is copied, and until the sides were found equal. */
static int compare(flagver_route *route, const struct fv_view *view, struct fv_evidence *evidence,
                   int64_t deadline, flagver_route_progress *progress, flagver_error *err)
{
    enum fv_side from = fv_route_believed(view->fences);
    struct fv_passage comparison;
    bool repairs;
    int r;

    if (route->options.verify == FLAGVER_VERIFY_BY_CALL || !route->sides[FV_OLD].scan ||
        !route->sides[FV_NEW].scan)
        return 0;
    r = fv_passage_of(route->client, FV_SPACE_COMPARISON, route->name, &comparison, err);
    if (r < 0)
        return r;
    repairs = route->options.verify == FLAGVER_VERIFY_REPAIR && may_take_away(evidence, from);
    if (!fv_evidence_verified(evidence) && fv_evidence_whole(evidence, fv_side_other(from))) {
        r = compare_chunks(route, view, deadline, repairs, progress, &comparison, err);
        if (r == 0)
            r = fv_steering_evidence(&route->steering, evidence, err);
    }
    progress->verified = fv_evidence_verified(evidence);
    if (fv_passage_holds(&comparison, from, &view->fences[from]))
        tell_comparison(&comparison, progress);
    return r;
}

/* By what is known of the stage that is in force; of one that has only just come nothing is known. */
static int copy_and_compare(flagver_route *route, const struct fv_view *view, int64_t deadline,
                            flagver_route_progress *progress, flagver_error *err)
{
    const struct fv_fence *authority = &view->fences[fv_route_believed(view->fences)];
    struct fv_evidence evidence;
    int r;

    if (!fv_stage_write(authority->stage).both)
        return 0;
    r = fv_steering_evidence(&route->steering, &evidence, err);
    if (r < 0 || evidence.authority.epoch != authority->epoch)
        return r;
    r = copy(route, view, &evidence, deadline, progress, err);
    return r < 0 ? r : compare(route, view, &evidence, deadline, progress, err);
}

/* ---- a step ---- */

#define FORGET_MS 3600000

/* Now and then; what comes of it is of no importance to a step. */
static void forget_leases(flagver_route *route)
{
    int64_t now = fv_monotonic_ms();

    if (fv_route_is_guarded(route) || (route->forgot_ms != 0 && now - route->forgot_ms < FORGET_MS))
        return;
    route->forgot_ms = now;
    for (int side = FV_OLD; side <= FV_NEW; side++)
        fv_steering_forget_leases(&route->steering, (enum fv_side)side, NULL);
}

static int work(flagver_route *route, int64_t deadline, flagver_route_progress *progress,
                flagver_route_alert *alert, flagver_error *err)
{
    struct fv_view view;
    const struct fv_fence *authority;
    int r, guarded;

    r = carry_out(route, deadline, &view, err);
    if (r < 0)
        return r;
    authority = &view.fences[fv_route_believed(view.fences)];
    progress->stage = authority->stage;
    progress->settled = authority->role == FV_ROLE_AUTHORITY && authority->version == view.version;

    r = fv_route_repair_all(route, &view, deadline, progress, err);
    if (r == 0)
        r = copy_and_compare(route, &view, deadline, progress, err);
    forget_leases(route);
    /* A side that fails is what guards are for. */
    guarded = fv_route_guard(route, &view, progress->oldest_ms, alert, r < 0 ? NULL : err);
    return r < 0 ? r : guarded;
}

int fv_route_step_once(flagver_route *route, int32_t budget_ms, flagver_route_progress *progress,
                       flagver_error *err)
{
    int64_t deadline = fv_monotonic_ms() + budget_ms;
    flagver_route_alert alert = { 0 };
    flagver_error why = { .code = 0 }; /* what others are doing just now is said there, too */
    int r;

    r = check_migration(route, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&route->working);
    r = work(route, deadline, progress, &alert, &why);
    pthread_mutex_unlock(&route->working);
    if (r < 0 && err)
        *err = why;
    if (alert.guard && route->options.alert)
        route->options.alert(route->options.alert_data, &alert);
    return r;
}

/* ---- another stage ---- */

#define WAIT_MS 5000

static int repair_while_waiting(void *data, flagver_error *err)
{
    flagver_route_progress progress = { .size = sizeof progress };
    flagver_route *route = data;
    struct fv_view view;
    int r;

    r = fv_steering_look(&route->steering, &view, err);
    if (r == 0)
        r = fv_ledger_follow(&route->ledger, &view, err);
    if (r == 0)
        r = fv_route_repair_all(route, &view, fv_monotonic_ms() + 50, &progress, err);
    return r;
}

/* A side that hangs in another thread's step holds up who asks for no longer than that one waits. */
static bool lock_steps(flagver_route *route, int64_t wait_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_mutex_timedlock(&route->working, &until) == 0;
}

static int settle(flagver_route *route, int64_t wait_ms, flagver_error *err)
{
    int64_t deadline = fv_monotonic_ms() + wait_ms, left;
    int r;

    if (!lock_steps(route, wait_ms))
        return fv_fail(err, FLAGVER_EBUSY,
                       "%s: the change is asked for; another thread's step has not ended",
                       route->name);
    left = deadline - fv_monotonic_ms();
    r = fv_steering_settle(&route->steering, left > 0 ? left : 0, repair_while_waiting, route, err);
    pthread_mutex_unlock(&route->working);
    return r;
}

/* Who approves may be somebody else: then there is nothing to carry out yet. */
int fv_route_stage(flagver_route *route, const flagver_actor *actor, int stage,
                   const flagver_route_change *change, flagver_error *err)
{
    const struct fv_restage restage = { route->name, stage, change, false, 0 };
    uint32_t no;
    int r;

    r = check_migration(route, err);
    if (r == 0)
        r = fv_restage(route->client, &restage, actor, &no, err);
    if (r < 0 || change->wait_ms < 0)
        return r;
    return settle(route, change->wait_ms, err);
}

/* ---- back ---- */

static int deactivate(flagver_route *route, flagver_error *err)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_DEACTIVATE } };

    return route->sides[FV_NEW].deactivate ? fv_route_call(route, FV_NEW, &call, NULL, err) : 0;
}

/* Another process may have been faster: what it has taken back is looked at anew. */
static int step_back(flagver_route *route, const flagver_actor *actor,
                     const flagver_route_change *change, const struct fv_view *view,
                     flagver_error *err)
{
    const struct fv_restage restage = { route->name,
                                        fv_stage_back(view->record.stage, view->record.stages),
                                        change, true, view->version };
    uint32_t no;
    int r = fv_restage(route->client, &restage, actor, &no, err);

    if (r == FLAGVER_ESTALE)
        return 0;
    return r < 0 ? r : settle(route, WAIT_MS, err);
}

int fv_route_rollback(flagver_route *route, const flagver_actor *actor, const char *note,
                      flagver_error *err)
{
    const flagver_route_change change = { .size = sizeof change, .note = note };
    struct fv_view view;
    int r;

    r = check_migration(route, err);
    if (r == 0)
        r = fv_steering_look(&route->steering, &view, err);
    while (r == 0 && view.record.stage != FLAGVER_STAGE_OFF) {
        r = step_back(route, actor, &change, &view, err);
        if (r == 0)
            r = fv_steering_look(&route->steering, &view, err);
    }
    if (r == 0)
        r = settle(route, WAIT_MS, err);
    return r < 0 ? r : deactivate(route, err);
}
