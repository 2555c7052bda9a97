#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "engine/route.h"
#include "engine/side.h"
#include "store/store.h"
#include "util/fail.h"

#define ID_SIZE 40 /* of an operation: a route's id, a dash, a number */

/* A write or a removal under way. */
struct writing {
    flagver_route *route;
    const struct fv_route_asked *asked;
    struct fv_decision decision;
    struct fv_stage_plan plan;
    const char *operation_id;
    char own_id[ID_SIZE];
    struct fv_side_call calls[2]; /* by side */
    flagver_route_result *result;
};

static int write_side(struct writing *writing, enum fv_side side, const char *key)
{
    struct fv_side_call *call = &writing->calls[side];

    *call = (struct fv_side_call){ .side = &writing->route->sides[side],
                                   .asked = { .operation = writing->asked->operation,
                                              .side = side,
                                              .key = key,
                                              .operation_id = writing->operation_id },
                                   .value = writing->asked->value,
                                   .length = writing->asked->length,
                                   .error = &writing->result->errors[side] };
    fv_side_run(call);
    writing->result->sides[side] = (flagver_route_side_result){ true, call->code,
                                                                call->latency_ns };
    return call->code;
}

/* The key by which the other side gets a record that the authority has created. */
static const char *key_of(const struct writing *writing)
{
    const char *created = writing->calls[writing->plan.primary].sink.key;

    return writing->asked->key ? writing->asked->key : created;
}

/* The authority first; when that fails nothing else is tried. */
static int write_sides(struct writing *writing, flagver_error *err)
{
    enum fv_side authority = writing->plan.primary;
    int r;

    r = write_side(writing, authority, writing->asked->key);
    if (r < 0) {
        if (err)
            *err = *writing->calls[authority].error;
        return r;
    }
    if (writing->plan.both)
        writing->result->pending = write_side(writing, fv_side_other(authority), key_of(writing)) <
                                   0;
    return 0;
}

/* Before `end`; returns where it begins. */
static char *put_hex(char *end, uint64_t number)
{
    do
        *--end = "0123456789abcdef"[number & 15];
    while (number >>= 4);
    return end;
}

/* An id that no other operation of any process has; NULL: the system has no random bytes. */
static const char *name_operation(struct writing *writing)
{
    flagver_route *route = writing->route;
    char *at = writing->own_id + ID_SIZE - 1;
    uint64_t id = route->id;

    if (fv_forks() != route->forks && !fv_random(&id, sizeof id))
        return NULL; /* a child counts on where its parent does */

    *at = '\0';
    at = put_hex(at, atomic_fetch_add_explicit(&route->operations, 1, memory_order_relaxed));
    *--at = '-';
    return put_hex(at, id);
}

static int check_functions(const flagver_route *route, const struct fv_route_asked *asked,
                           flagver_error *err)
{
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        if (asked->operation == FLAGVER_ROUTE_REMOVE && !route->sides[side].remove)
            return fv_fail(err, FLAGVER_EINVAL, "options.%s_side.remove is NULL",
                           fv_side_name(side));
    }
    return 0;
}

int fv_route_write(flagver_route *route, const struct fv_route_asked *asked,
                   flagver_route_result *result, flagver_error *err)
{
    struct writing writing = { .route = route, .asked = asked, .result = result };
    int64_t time = fv_route_now(route);
    int r;

    r = check_functions(route, asked, err);
    if (r == 0)
        r = fv_route_decide(route, asked, &writing.decision, err);
    if (r < 0)
        return r;
    writing.operation_id = asked->call.operation_id ? asked->call.operation_id
                                                    : name_operation(&writing);
    if (!writing.operation_id)
        return fv_fail(err, FLAGVER_EUNAVAILABLE, "the system has no random bytes");
    writing.plan = fv_stage_write(writing.decision.stage);
    result->stage = writing.decision.stage;
    result->side = (int32_t)writing.plan.primary;

    r = write_sides(&writing, err);
    result->key = writing.calls[writing.plan.primary].sink.key;
    writing.calls[writing.plan.primary].sink.key = NULL;
    fv_route_tell(route, asked, &writing.decision, time, result);
    fv_side_clear(&writing.calls[FV_OLD]);
    fv_side_clear(&writing.calls[FV_NEW]);
    return r;
}
