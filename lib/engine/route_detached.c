#include "engine/route_write.h"
#include "util/fail.h"

struct enlisted_call {
    struct fv_writing *writing;
    enum fv_side side;
    const char *key;
};

static int call_in(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct enlisted_call *call = data;

    return fv_write_side(call->writing, call->side, call->key, txn) < 0
               ? fv_write_refused(call->writing, call->side, err)
               : 0;
}

/* The other side of a detached authority; its transaction is its own. */
static int reach(struct fv_writing *writing, enum fv_side side, const char *key)
{
    struct fv_steering *steering = &writing->route->steering;
    struct enlisted_call call = { writing, side, key };
    int r;

    if (!steering->enlisted[side])
        return fv_write_side(writing, side, key, NULL);
    r = fv_steering_run(steering, side, call_in, &call, &writing->result->errors[side]);
    if (r < 0) /* its function may have been fine, and its store not */
        writing->result->sides[side].code = fv_write_ended(writing, side, r);
    return r;
}

/*
 * An intent whose authority has failed stays for as long as calls may be on their way: then a repair asks
 * what became of it. Without an entry the other side is left to a repair, too.
 */
static int write_admitted(struct fv_writing *writing, enum fv_side authority,
                          struct fv_admitted *admitted, bool *ret_ok, flagver_error *err)
{
    int r;

    *ret_ok = false;
    r = fv_write_side(writing, authority, writing->asked->key, NULL);
    if (r < 0) {
        admitted->entered = admitted->entered && writing->asked->key;
        return fv_write_failed(writing, authority, err);
    }
    *ret_ok = true;
    if (!writing->plan.both)
        return 0;
    if (!writing->asked->key) {
        r = fv_ledger_created(&writing->route->ledger, authority, writing->operation_id,
                              fv_written_key(writing, authority), admitted, err);
        if (r < 0)
            return r;
    }
    *ret_ok = admitted->entered &&
              reach(writing, fv_side_other(authority), fv_written_key(writing, authority)) == 0;
    writing->result->pending = !*ret_ok;
    return 0;
}

/* What was created before a crash nobody would find. */
static int refuse_creation(enum fv_side authority, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EINVAL,
                   "options.%s_side.find_by_operation is NULL: while both sides are written, a "
                   "detached side that makes keys needs it",
                   fv_side_name((int)authority));
}

int fv_write_detached(struct fv_writing *writing, enum fv_side authority,
                      const struct fv_view *view, flagver_error *err)
{
    flagver_route *route = writing->route;
    int64_t asked_ns = fv_monotonic_coarse_ns(); /* who is held up after that has less time left */
    const char *key = writing->asked->key, *name = key;
    struct fv_admitted admitted;
    bool ok;
    int r;

    if (!key && route->sides[authority].find_by_operation)
        name = writing->operation_id;
    if (!name && fv_stage_write(view->fences[authority].stage).both)
        return refuse_creation(authority, err);
    r = fv_ledger_admit(&route->ledger, authority, name, !key, view->fences[authority].version,
                        &admitted, err);
    if (r != FV_ADMIT_GO)
        return r;
    writing->decision.version = (int64_t)admitted.fence.version;
    fv_write_plan(writing, admitted.fence.stage);
    writing->deadline = asked_ns + (admitted.until - admitted.began) * 1000;
    ok = false;
    r = !name && writing->plan.both /* since the view */
            ? refuse_creation(authority, err)
            : write_admitted(writing, authority, &admitted, &ok, err);
    fv_ledger_dismiss(&route->ledger, authority, fv_written_key(writing, authority), &admitted, ok);
    return r;
}
