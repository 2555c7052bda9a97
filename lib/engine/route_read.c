#include <stdlib.h>
#include <string.h>

#include "engine/pool.h"
#include "engine/route.h"
#include "engine/side.h"
#include "util/fail.h"

/* A read under way. */
struct reading {
    flagver_route *route;
    const struct fv_route_asked *asked;
    struct fv_decision decision;
    struct fv_stage_plan plan;
    int64_t deadline;
    struct fv_side_call calls[2]; /* by side */
    flagver_route_result *result;
};

/* ---- asking a side ---- */

static void init_call(struct reading *reading, enum fv_side side)
{
    const flagver_route_call *call = &reading->asked->call;

    reading->calls[side] =
        (struct fv_side_call){ .side = &reading->route->sides[side],
                               .asked = { .operation = FLAGVER_ROUTE_READ,
                                          .side = (int32_t)side,
                                          .key = reading->asked->key,
                                          .operation_id = "",
                                          .payload = call->payload,
                                          .payload_length = call->payload_length },
                               .error = &reading->result->errors[side] };
    if (side != reading->plan.primary)
        reading->calls[side].asked.deadline = reading->deadline;
}

static void note(struct reading *reading, enum fv_side side)
{
    const struct fv_side_call *call = &reading->calls[side];

    reading->result->sides[side] = (flagver_route_side_result){ true, call->code,
                                                                call->latency_ns };
}

static void ask(struct reading *reading, enum fv_side side)
{
    fv_side_run(&reading->calls[side]);
    note(reading, side);
}

/* ---- both at once ---- */

/* The other side's read, which may outlive the caller's: everything it needs is its own. */
struct shadow {
    struct fv_job job;
    struct fv_side_call call;
    flagver_error error;
    char texts[]; /* key and payload */
};

static void run_shadow(struct fv_job *job)
{
    fv_side_run(&((struct shadow *)job)->call);
}

static void free_shadow(struct fv_job *job)
{
    struct shadow *shadow = (struct shadow *)job;

    fv_side_clear(&shadow->call);
    free(shadow);
}

static struct shadow *new_shadow(const struct fv_side_call *call)
{
    size_t key_size = strlen(call->asked.key) + 1;
    struct shadow *shadow = malloc(sizeof *shadow + key_size + call->asked.payload_length);

    if (!shadow)
        return NULL;
    shadow->job = (struct fv_job){ .run = run_shadow, .free = free_shadow };
    shadow->call = *call;
    shadow->call.error = &shadow->error;
    shadow->call.asked.key = memcpy(shadow->texts, call->asked.key, key_size);
    if (call->asked.payload)
        shadow->call.asked.payload = memcpy(shadow->texts + key_size, call->asked.payload,
                                            call->asked.payload_length);
    return shadow;
}

/* It has not answered in time: what it will say nobody hears. */
static void give_up(struct reading *reading, enum fv_side side)
{
    struct fv_side_call *call = &reading->calls[side];

    call->latency_ns = (int64_t)reading->route->options.shadow_timeout_ms * 1000000;
    call->code = fv_fail(call->error, FLAGVER_ETIMEDOUT, "%s: read has not answered after %d ms",
                         fv_side_name((int)side), reading->route->options.shadow_timeout_ms);
    note(reading, side);
}

static void take_over(struct reading *reading, enum fv_side side, struct shadow *shadow)
{
    struct fv_side_call *call = &reading->calls[side];

    call->code = shadow->call.code;
    call->latency_ns = shadow->call.latency_ns;
    call->sink = shadow->call.sink;
    if (call->code < 0)
        *call->error = shadow->error;
    free(shadow);
    note(reading, side);
}

/* Where the other side cannot be asked at once, with all workers busy, it is not asked. */
static void ask_at_once(struct reading *reading)
{
    enum fv_side other = fv_side_other(reading->plan.primary);
    struct shadow *shadow = new_shadow(&reading->calls[other]);

    if (shadow && !fv_pool_start(reading->route->pool, &shadow->job)) {
        free(shadow);
        shadow = NULL;
    }
    ask(reading, reading->plan.primary);
    if (!shadow)
        atomic_fetch_add_explicit(&reading->route->dropped, 1, memory_order_relaxed);
    else if (fv_pool_wait(reading->route->pool, &shadow->job, reading->deadline))
        take_over(reading, other, shadow);
    else
        give_up(reading, other);
}

static void ask_in_turn(struct reading *reading)
{
    enum fv_side first = reading->plan.primary;

    if (reading->route->options.order == FLAGVER_ORDER_RANDOM &&
        fv_route_random(reading->route) % 2 == 0)
        first = fv_side_other(first);
    ask(reading, first);
    ask(reading, fv_side_other(first));
}

static void ask_both(struct reading *reading)
{
    const flagver_route_options *options = &reading->route->options;

    if (options->shadow_timeout_ms > 0)
        reading->deadline = fv_monotonic_ns() + (int64_t)options->shadow_timeout_ms * 1000000;
    init_call(reading, FV_OLD);
    init_call(reading, FV_NEW);
    if (options->order == FLAGVER_ORDER_CONCURRENT && reading->route->pool)
        ask_at_once(reading);
    else
        ask_in_turn(reading);
}

/* ---- comparing ---- */

/* That there is no such record is an answer as well. */
static bool has_answered(const flagver_route_side_result *side)
{
    return side->invoked && (side->code == 0 || side->code == FLAGVER_ENOTFOUND);
}

/* 1: they agree, 0: they differ, -1: that is not known. */
static int32_t compare(struct reading *reading)
{
    const flagver_route_options *options = &reading->route->options;
    const flagver_sink *old_sink = &reading->calls[FV_OLD].sink;
    const flagver_sink *new_sink = &reading->calls[FV_NEW].sink;
    int r;

    if (!options->compare || !has_answered(&reading->result->sides[FV_OLD]) ||
        !has_answered(&reading->result->sides[FV_NEW]) ||
        !fv_route_sample(reading->route, reading->decision.check_ratio))
        return -1;
    if (!old_sink->value || !new_sink->value)
        return !old_sink->value && !new_sink->value;
    r = options->compare(options->compare_data, reading->asked->key, old_sink->value,
                         old_sink->length, new_sink->value, new_sink->length);
    return r < 0 || r > 1 ? -1 : r;
}

/* ---- the whole ---- */

static int answer(struct reading *reading, flagver_error *err)
{
    struct fv_side_call *call = &reading->calls[reading->plan.primary];
    flagver_route_result *result = reading->result;

    result->side = (int32_t)reading->plan.primary;
    result->value = call->sink.value;
    result->length = call->sink.length;
    call->sink.value = NULL;
    if (call->code < 0 && err)
        *err = *call->error;
    return call->code;
}

/*
 * What the other side has not got yet is read where it was written. Where the authority has changed since
 * the decision nothing waits there any more: before a flip the other side gets it all.
 */
static int be_strict(struct reading *reading, flagver_error *err)
{
    flagver_route *route = reading->route;
    enum fv_side authority = fv_stage_write(reading->decision.stage).primary;
    int r;

    if (route->by_flag)
        return fv_fail(err, FLAGVER_ENOTSUP,
                       "%s: call.strict: where a flag says the stage, nobody knows what was missed",
                       route->name);
    if (reading->plan.primary == authority)
        return 0;
    r = fv_steering_waits(&route->steering, authority, reading->asked->key, err);
    if (r > 0)
        reading->plan.primary = authority;
    return r < 0 ? r : 0;
}

/* What is looked at before a side is asked, and no more: the whole has more than half a thousand bytes. */
static void init(struct reading *reading, flagver_route *route, const struct fv_route_asked *asked,
                 flagver_route_result *result)
{
    reading->route = route;
    reading->asked = asked;
    reading->result = result;
    reading->deadline = 0;
    reading->calls[FV_OLD].sink = (flagver_sink){ 0 };
    reading->calls[FV_NEW].sink = (flagver_sink){ 0 };
}

int fv_route_read(flagver_route *route, const struct fv_route_asked *asked,
                  flagver_route_result *result, flagver_error *err)
{
    int64_t time = fv_route_now(route);
    struct reading reading;
    int r;

    init(&reading, route, asked, result);
    r = fv_route_decide(route, asked, &reading.decision, err);
    if (r < 0)
        return r;
    reading.plan = fv_stage_read(reading.decision.stage, reading.decision.moved);
    result->stage = reading.decision.stage;
    if (asked->call.strict) {
        r = be_strict(&reading, err);
        if (r < 0)
            return r;
    }

    if (reading.plan.both) {
        ask_both(&reading);
        result->consistent = compare(&reading);
    } else {
        init_call(&reading, reading.plan.primary);
        ask(&reading, reading.plan.primary);
    }

    r = answer(&reading, err);
    fv_route_tell(route, asked, &reading.decision, time, result);
    fv_side_clear(&reading.calls[FV_OLD]);
    fv_side_clear(&reading.calls[FV_NEW]);
    return r;
}
