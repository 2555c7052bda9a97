#define _POSIX_C_SOURCE 200809L /* nanosleep() */

#include "engine/route_write.h"

#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "store/store.h"
#include "util/fail.h"

/* ---- calling a side ---- */

int fv_write_side(struct fv_writing *writing, enum fv_side side, const char *key, flagver_txn *txn)
{
    struct fv_side_call *call = &writing->calls[side];

    fv_side_clear(call);
    call->side = &writing->route->sides[side];
    call->asked = (flagver_side_call){ .operation = writing->asked->operation,
                                       .side = (int32_t)side,
                                       .key = key,
                                       .operation_id = writing->operation_id,
                                       .deadline = writing->deadline,
                                       .txn = txn };
    call->value = writing->asked->value;
    call->length = writing->asked->length;
    call->error = &writing->result->errors[side];
    if (!fv_side_run_in_time(call))
        return writing->result->sides[side].code = call->code;
    writing->result->sides[side] = (flagver_route_side_result){ true, call->code,
                                                                call->latency_ns };
    return call->code;
}

int fv_write_failed(struct fv_writing *writing, enum fv_side side, flagver_error *err)
{
    if (err)
        *err = *writing->calls[side].error;
    return writing->calls[side].code;
}

int fv_write_refused(struct fv_writing *writing, enum fv_side side, flagver_error *err)
{
    fv_write_failed(writing, side, err);
    return fv_side_end(&writing->calls[side]);
}

int fv_write_ended(const struct fv_writing *writing, enum fv_side side, int r)
{
    return fv_side_ended(writing->calls[side].code, r);
}

const char *fv_written_key(const struct fv_writing *writing, enum fv_side authority)
{
    return writing->asked->key ? writing->asked->key : writing->calls[authority].sink.key;
}

void fv_write_plan(struct fv_writing *writing, int stage)
{
    writing->decision.stage = stage;
    writing->plan = fv_stage_write(stage);
    writing->result->stage = stage;
    writing->result->side = (int32_t)writing->plan.primary;
}

/* ---- by a flag ---- */

/* The authority first; when that fails nothing else is tried. */
static int write_by_flag(struct fv_writing *writing, flagver_error *err)
{
    enum fv_side authority;
    int r;

    r = fv_route_decide(writing->route, writing->asked, &writing->decision, err);
    if (r < 0)
        return r;
    fv_write_plan(writing, writing->decision.stage);
    authority = writing->plan.primary;
    r = fv_write_side(writing, authority, writing->asked->key, NULL);
    if (r < 0)
        return fv_write_failed(writing, authority, err);
    if (writing->plan.both)
        writing->result->pending = fv_write_side(writing, fv_side_other(authority),
                                                 fv_written_key(writing, authority), NULL) < 0;
    return 0;
}

/* ---- by a migration ---- */

#define PAUSE_NS 5000000

/* The authority as far as is known may not be it any more, or may not be it just now. */
static int write_by_migration(struct fv_writing *writing, flagver_error *err)
{
    flagver_route *route = writing->route;
    int64_t deadline = 0; /* most writes do without a look at the clock */
    struct fv_view view;
    int r;

    r = fv_route_view(route, &view, err);
    while (r == 0) {
        enum fv_side authority = fv_route_believed(view.fences);

        fv_route_decide_by(route, &view, writing->asked->key, &writing->decision);
        r = route->steering.enlisted[authority] ? fv_write_enlisted(writing, authority, err)
                                                : fv_write_detached(writing, authority, &view, err);
        if (r <= 0)
            break;
        if (deadline == 0)
            deadline = fv_monotonic_ms() + FV_WAIT_MS;
        else if (fv_monotonic_ms() > deadline)
            return fv_fail(err, FLAGVER_EBUSY, "%s: a flip is under way, for more than %d ms",
                           route->name, FV_WAIT_MS);
        if (r == FV_ADMIT_WAIT)
            nanosleep(&(struct timespec){ 0, PAUSE_NS }, NULL);
        r = fv_steering_look(&route->steering, &view, err);
    }
    return r;
}

/* The other side, where it is in another store, gets it by a repair after the commit. */
static int write_within(struct fv_writing *writing, flagver_error *err)
{
    flagver_route *route = writing->route;
    struct fv_view view;
    int r;

    if (route->by_flag)
        return fv_fail(err, FLAGVER_ENOTSUP, "%s: a flag says the stage; no side is enlisted",
                       route->name);
    r = fv_route_view(route, &view, err);
    if (r < 0)
        return r;
    fv_route_decide_by(route, &view, writing->asked->key, &writing->decision);
    r = fv_write_within(writing, fv_route_believed(view.fences), writing->asked->txn, err);
    if (r == FLAGVER_EBUSY) /* whoever starts over is not to go by the same once more */
        fv_steering_look(&route->steering, &view, NULL);
    return r;
}

/* ---- the frame ---- */

/* Digits before `end`; returns where they begin. */
static char *put_hex(char *end, uint64_t number)
{
    do
        *--end = "0123456789abcdef"[number & 15];
    while (number >>= 4);
    return end;
}

/* An id that no other operation of any process has; NULL: the system has no random bytes. */
static const char *name_operation(struct fv_writing *writing)
{
    flagver_route *route = writing->route;
    char *at = writing->own_id + FV_OPERATION_ID_SIZE - 1, own[FV_ROUTE_ID_SIZE];
    bool inherited = fv_forks() != route->forks; /* a child counts on where its parent does */

    if (inherited && !fv_route_new_id(own))
        return NULL;

    *at = '\0';
    at = put_hex(at, atomic_fetch_add_explicit(&route->operations, 1, memory_order_relaxed));
    at -= FV_ROUTE_ID_SIZE - 1;
    return memcpy(at, inherited ? own : route->id, FV_ROUTE_ID_SIZE - 1);
}

static int check(struct fv_writing *writing, flagver_error *err)
{
    flagver_route *route = writing->route;
    int r;

    r = fv_route_usable(route, err);
    if (r < 0)
        return r;
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        if (writing->asked->operation == FLAGVER_ROUTE_REMOVE && !route->sides[side].remove)
            return fv_fail(err, FLAGVER_EINVAL, "options.%s_side.remove is NULL",
                           fv_side_name(side));
    }
    writing->operation_id = writing->asked->call.operation_id;
    if (!writing->operation_id)
        writing->operation_id = name_operation(writing);
    if (!writing->operation_id)
        return fv_fail(err, FLAGVER_EUNAVAILABLE, "the system has no random bytes");
    return 0;
}

/* What is looked at before it is written, and no more: the whole has more than half a thousand bytes. */
static void init(struct fv_writing *writing, flagver_route *route,
                 const struct fv_route_asked *asked, flagver_route_result *result)
{
    writing->route = route;
    writing->asked = asked;
    writing->result = result;
    writing->plan = (struct fv_stage_plan){ .primary = FV_OLD };
    writing->deadline = 0;
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        writing->calls[side].code = 0;
        writing->calls[side].sink = (flagver_sink){ 0 };
    }
}

int fv_route_write(flagver_route *route, const struct fv_route_asked *asked,
                   flagver_route_result *result, flagver_error *err)
{
    int64_t time = fv_route_now(route);
    struct fv_side_call *authority;
    struct fv_writing writing;
    int r;

    init(&writing, route, asked, result);
    r = check(&writing, err);
    if (r == 0 && asked->txn)
        r = write_within(&writing, err);
    else if (r == 0)
        r = route->by_flag ? write_by_flag(&writing, err) : write_by_migration(&writing, err);

    authority = &writing.calls[writing.plan.primary];
    result->key = r == 0 ? authority->sink.key : NULL;
    if (r == 0)
        authority->sink.key = NULL;
    if (result->sides[FV_OLD].invoked || result->sides[FV_NEW].invoked)
        fv_route_tell(route, asked, &writing.decision, time, result);
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        fv_side_clear(&writing.calls[side]);
        if (result->sides[side].code == 0) /* it was well in the end */
            fv_error_clear(&result->errors[side]);
    }
    return r;
}
