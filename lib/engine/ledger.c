#define _POSIX_C_SOURCE 200809L /* clock_gettime() */
#include "engine/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/side.h"
#include "util/fail.h"

#define LEASE_MS 10000
#define MARGIN_US 1000000 /* what clocks may differ by */
#define NOTED_BEFORE_FLUSH 64

/* ---- entries ---- */

static int get_entry(flagver_txn *txn, const char *space, const char *name, const char *key,
                     flagver_keyed_row *ret_row, struct fv_entry *ret_entry, flagver_error *err)
{
    struct fv_row_key row_key;
    int r;

    fv_row_key(name, key, strlen(key), &row_key);
    *ret_entry = (struct fv_entry){ 0 };
    r = fv_txn_keyed_get(txn, space, fv_row_key_bytes(&row_key), ret_row, err);
    if (r < 0 || ret_row->rev == 0)
        return r;
    return fv_entry_decode(ret_row->value.data, ret_row->value.length, ret_entry, err);
}

int fv_entry_get(flagver_txn *txn, const char *name, const char *key, flagver_keyed_row *ret_row,
                 struct fv_entry *ret_entry, flagver_error *err)
{
    return get_entry(txn, FV_SPACE_DIRTY, name, key, ret_row, ret_entry, err);
}

int fv_entry_put(flagver_txn *txn, flagver_keyed_row *row, const struct fv_entry *entry,
                 flagver_error *err)
{
    uint8_t bytes[FV_ENTRY_BYTES];

    return fv_txn_keyed_put(txn, row, (flagver_bytes){ bytes, fv_entry_encode(entry, bytes) }, err);
}

static int end_entry(flagver_txn *txn, flagver_keyed_row *row, const struct fv_entry *entry,
                     enum fv_entry_fate fate, flagver_error *err)
{
    if (fate == FV_ENTRY_STAYS)
        return fv_entry_put(txn, row, entry, err);
    return fate == FV_ENTRY_GONE && row->rev ? fv_txn_keyed_delete(txn, row, err) : 0;
}

/* ---- one transaction for all that was posted ---- */

struct batch {
    struct fv_ledger *ledger;
    enum fv_side side;
    struct fv_act *acts, *noted;
    bool settled;          /* no operation is left that began under an earlier fence */
    struct fv_fence fence; /* as read in the transaction */
    bool repairs;          /* the side may be read by repairs */
    struct fv_lease lease; /* written there */
    bool renewed, admits;
};

/* ---- acts ---- */

static void enter_entry(const struct batch *batch, struct fv_act *act, struct fv_entry *entry)
{
    act->admitted = act->epoch ? fv_fence_copies(&batch->fence, act->epoch)
                               : fv_fence_owes(&batch->fence);
    if (act->admitted)
        act->code = fv_entry_enter(entry, &act->operation, fv_now_us(), act->err);
    act->done = !act->admitted || act->code < 0;
}

static void repair_entry(const struct batch *batch, struct fv_act *act, bool exists,
                         struct fv_entry *entry)
{
    act->done = !batch->repairs || !exists || !fv_entry_repairable(entry, fv_now_us());
    if (!act->done)
        fv_entry_repair(entry, &act->operation);
}

/*
 * Nothing is doubted under a frozen fence: its backlog may have been found empty. Nor while one side alone is
 * written: what the other one has counts no more then, and may be gone.
 */
static void doubt_entry(const struct batch *batch, struct fv_act *act, struct fv_entry *entry)
{
    act->late = !batch->admits;
    act->done = !fv_fence_owes(&batch->fence);
    if (!act->done)
        fv_entry_doubt(entry, fv_now_us());
}

/* What was intended, and the entry of the key that it has led to. */
struct creation {
    flagver_keyed_row intent_row, row;
    struct fv_entry intent, entry;
};

static int get_creation(const struct batch *batch, flagver_txn *txn, const struct fv_act *act,
                        struct creation *ret_creation, flagver_error *err)
{
    const char *name = batch->ledger->steering->name;
    int r;

    r = get_entry(txn, FV_SPACE_INTENT, name, act->intent, &ret_creation->intent_row,
                  &ret_creation->intent, err);
    if (r == 0 && act->key[0])
        r = fv_entry_get(txn, name, act->key, &ret_creation->row, &ret_creation->entry, err);
    return r;
}

/* The intent is part of the backlog: so this may be under a frozen fence, as long as it is there. */
static int turn_intent(const struct batch *batch, flagver_txn *txn, struct fv_act *act,
                       flagver_error *err)
{
    struct creation creation;
    enum fv_entry_fate fate;
    int r;

    r = get_creation(batch, txn, act, &creation, err);
    if (r < 0)
        return r;
    fate = fv_entry_leave(&creation.intent, &act->operation.id, true);
    act->admitted = fate != FV_ENTRY_LATE &&
                    fv_entry_enter(&creation.entry, &act->operation, fv_now_us(), NULL) == 0;
    if (fate == FV_ENTRY_LATE)
        doubt_entry(batch, act, &creation.entry);
    else if (!act->admitted)
        fv_entry_doubt(&creation.entry, fv_now_us());
    if (act->done)
        return 0;
    r = fv_entry_put(txn, &creation.row, &creation.entry, err);
    return r < 0 || fate == FV_ENTRY_LATE
               ? r
               : end_entry(txn, &creation.intent_row, &creation.intent, fate, err);
}

/* Only the intent that was looked at: its operation may have been tried again since. */
static int resolve_intent(const struct batch *batch, flagver_txn *txn, struct fv_act *act,
                          flagver_error *err)
{
    struct creation creation;
    int r;

    r = get_creation(batch, txn, act, &creation, err);
    if (r < 0)
        return r;
    act->done = !batch->repairs || creation.intent_row.rev != act->seen;
    if (act->done)
        return 0;
    if (!act->ok) {
        creation.intent.failures += creation.intent.failures < UINT32_MAX;
        return fv_entry_put(txn, &creation.intent_row, &creation.intent, err);
    }
    if (act->key[0]) {
        fv_entry_doubt(&creation.entry, fv_now_us());
        r = fv_entry_put(txn, &creation.row, &creation.entry, err);
    }
    return r < 0 ? r : fv_txn_keyed_delete(txn, &creation.intent_row, err);
}

static int carry_out(struct batch *batch, flagver_txn *txn, struct fv_act *act, flagver_error *err)
{
    const char *space = act->kind == FV_ACT_INTEND ? FV_SPACE_INTENT : FV_SPACE_DIRTY;
    enum fv_entry_fate fate = FV_ENTRY_STAYS;
    struct fv_entry entry;
    flagver_keyed_row row;
    int r;

    if (act->kind == FV_ACT_CREATED)
        return turn_intent(batch, txn, act, err);
    if (act->kind == FV_ACT_RESOLVE)
        return resolve_intent(batch, txn, act, err);
    r = get_entry(txn, space, batch->ledger->steering->name, act->key, &row, &entry, err);
    if (r < 0)
        return r;
    switch (act->kind) {
    case FV_ACT_ENTER:
    case FV_ACT_INTEND:
        enter_entry(batch, act, &entry);
        break;
    case FV_ACT_LEAVE:
        fate = fv_entry_leave(&entry, &act->operation.id, act->ok);
        if (fate == FV_ENTRY_LATE) {
            fate = FV_ENTRY_STAYS;
            doubt_entry(batch, act, &entry);
        }
        break;
    case FV_ACT_SETTLE:
        act->done = row.rev == 0; /* nothing is owed */
        if (!act->done)
            fate = fv_entry_settle(&entry, act->version);
        break;
    case FV_ACT_REPAIR:
        repair_entry(batch, act, row.rev != 0, &entry);
        break;
    default:
        doubt_entry(batch, act, &entry);
        break;
    }
    return act->done ? 0 : end_entry(txn, &row, &entry, fate, err);
}

/* ---- the lease ---- */

static int get_lease(struct fv_ledger *ledger, flagver_txn *txn, flagver_keyed_row *ret_row,
                     flagver_error *err)
{
    char router[FV_UUID_TEXT];
    struct fv_row_key key;

    fv_uuid_text(&ledger->router, router);
    fv_row_key(ledger->steering->name, router, strlen(router), &key);
    return fv_txn_keyed_get(txn, FV_SPACE_LEASE, fv_row_key_bytes(&key), ret_row, err);
}

static int write_lease(struct fv_ledger *ledger, flagver_txn *txn, const struct fv_lease *lease,
                       flagver_error *err)
{
    uint8_t bytes[FV_LEASE_BYTES];
    flagver_keyed_row row;
    int r;

    r = get_lease(ledger, txn, &row, err);
    if (r < 0)
        return r;
    return fv_txn_keyed_put(txn, &row, (flagver_bytes){ bytes, fv_lease_encode(lease, bytes) },
                            err);
}

static bool has_detached(const struct fv_ledger *ledger)
{
    return !ledger->steering->enlisted[FV_OLD] || !ledger->steering->enlisted[FV_NEW];
}

/* ---- the transaction ---- */

static bool is_for(const struct batch *batch, const struct fv_act *act)
{
    return act->side == batch->side;
}

/* A fence that others than an authority have admits nobody, but entries may be ended. */
static int carry_out_all(struct batch *batch, flagver_txn *txn, struct fv_act *acts,
                         flagver_error *err)
{
    int r = 0;

    for (struct fv_act *act = acts; r == 0 && act; act = act->next) {
        if (!is_for(batch, act))
            continue;
        act->code = 0;
        act->done = false;
        act->late = false;
        act->fence = batch->fence;
        r = carry_out(batch, txn, act, err);
    }
    return r;
}

/*
 * Operations may begin under the fence of the last renewal while this transaction is under way. So
 * only a fence that was that one already can be said to be seen: by the next renewal at the latest.
 */
static struct fv_lease renew_lease(const struct fv_ledger *ledger, const struct batch *batch)
{
    bool same = ledger->has_lease && ledger->side == batch->side;
    bool idle = !ledger->has_lease ||
                (same && batch->settled && fv_fence_equal(&ledger->fence, &batch->fence));

    return fv_lease_renew(ledger->has_lease ? &ledger->lease : NULL, &batch->fence, idle,
                          fv_now_us() + (int64_t)ledger->lease_ms * 1000);
}

int fv_ledger_repairs(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                      const struct fv_fence *fence, flagver_error *err)
{
    struct fv_fence other;
    int r;

    if (!steering->together || fence->role != FV_ROLE_FROZEN)
        return fv_fence_repairs(fence, NULL);
    r = fv_steering_fence_in(steering, txn, fv_side_other(side), &other, err);
    return r < 0 ? r : fv_fence_repairs(fence, &other);
}

static int run_batch(void *data, flagver_txn *txn, flagver_error *err)
{
    struct batch *batch = data;
    struct fv_ledger *ledger = batch->ledger;
    flagver_keyed_row row;
    int r;

    r = fv_steering_hold(ledger->steering, txn, batch->side, true, &row, &batch->fence, err);
    if (r < 0)
        return r;
    batch->admits = fv_fence_admit(&batch->fence, batch->fence.version) == FV_ADMIT_GO;
    r = fv_ledger_repairs(ledger->steering, txn, batch->side, &batch->fence, err);
    if (r < 0)
        return r;
    batch->repairs = r > 0;
    r = 0;

    batch->renewed = has_detached(ledger) && (batch->fence.role == FV_ROLE_AUTHORITY ||
                                              batch->fence.role == FV_ROLE_FROZEN);
    if (batch->renewed) {
        batch->lease = renew_lease(ledger, batch);
        r = write_lease(ledger, txn, &batch->lease, err);
    }
    if (r == 0)
        r = carry_out_all(batch, txn, batch->noted, err);
    return r < 0 ? r : carry_out_all(batch, txn, batch->acts, err);
}

/* With the lock held. */
static void take_lease(struct fv_ledger *ledger, const struct batch *batch)
{
    if (!fv_fence_equal(&ledger->fence, &batch->fence) || ledger->side != batch->side) {
        ledger->generation++;
        ledger->running_before += ledger->running;
        ledger->running = 0;
    }
    ledger->has_lease = true;
    ledger->lease = batch->lease;
    ledger->side = batch->side;
    ledger->fence = batch->fence;
}

/* Those of a list for this side, taken out of it. */
static struct fv_act *take_for(struct fv_act **list, enum fv_side side)
{
    struct fv_act *taken = NULL, **end = &taken;

    while (*list) {
        struct fv_act *act = *list;

        if (act->side != side) {
            list = &act->next;
            continue;
        }
        *list = act->next;
        act->next = NULL;
        *end = act;
        end = &act->next;
    }
    return taken;
}

static void finish(struct fv_act *acts, int r, const flagver_error *why)
{
    struct fv_act *next;

    for (struct fv_act *act = acts; act; act = next) {
        next = act->next; /* its owner may be gone as soon as it is finished */
        if (r < 0) {
            act->code = r;
            if (act->err)
                *act->err = *why;
        }
        act->finished = true;
    }
}

/* What could not be written stays noted: the entry is there, and will be repaired at the latest. */
static void end_noted(struct fv_ledger *ledger, struct fv_act *noted, int r)
{
    struct fv_act *next;

    for (struct fv_act *act = noted; act; act = next) {
        next = act->next;
        if (r == 0 && act->late) { /* another side is the authority by now, or will be */
            act->kind = FV_ACT_DOUBT;
            act->side = fv_side_other(act->side);
        }
        if (r < 0 || act->late) {
            act->next = ledger->noted;
            ledger->noted = act;
        } else {
            ledger->noted_count--;
            fv_release(ledger->memory, act);
        }
    }
}

/* With the lock held, which is let go meanwhile. */
static int lead(struct fv_ledger *ledger, enum fv_side side, struct fv_fence *ret_fence,
                flagver_error *err)
{
    struct batch batch = { .ledger = ledger, .side = side, .settled = ledger->running_before == 0 };
    flagver_error why;
    int r;

    ledger->leading = true;
    batch.acts = take_for(&ledger->first, side);
    ledger->last = ledger->first;
    while (ledger->last && ledger->last->next)
        ledger->last = ledger->last->next;
    batch.noted = take_for(&ledger->noted, side);
    pthread_mutex_unlock(&ledger->lock);

    r = fv_steering_run(ledger->steering, side, run_batch, &batch, &why);

    pthread_mutex_lock(&ledger->lock);
    ledger->leading = false;
    if (r == 0 && batch.renewed)
        take_lease(ledger, &batch);
    end_noted(ledger, batch.noted, r);
    finish(batch.acts, r, &why);
    pthread_cond_broadcast(&ledger->changed);
    if (r < 0 && err)
        *err = why;
    if (r == 0 && ret_fence)
        *ret_fence = batch.fence;
    return r;
}

/* With the lock held. */
static void append(struct fv_ledger *ledger, struct fv_act *act)
{
    act->finished = false;
    act->next = NULL;
    if (ledger->last)
        ledger->last->next = act;
    else
        ledger->first = act;
    ledger->last = act;
}

static int first_failure(const struct fv_act *acts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (acts[i].code < 0)
            return acts[i].code;
    }
    return 0;
}

int fv_ledger_post_all(struct fv_ledger *ledger, struct fv_act *acts, size_t count,
                       flagver_error *err)
{
    flagver_error why = { 0 };
    int r;

    pthread_mutex_lock(&ledger->lock);
    for (size_t i = 0; i < count; i++) {
        acts[i].err = &why;
        append(ledger, &acts[i]);
    }
    for (size_t i = 0; i < count;) {
        if (acts[i].finished)
            i++;
        else if (ledger->leading)
            pthread_cond_wait(&ledger->changed, &ledger->lock);
        else
            lead(ledger, acts[i].side, NULL, NULL);
    }
    pthread_mutex_unlock(&ledger->lock);
    r = first_failure(acts, count);
    if (r < 0 && err)
        *err = why;
    return r;
}

int fv_ledger_post(struct fv_ledger *ledger, struct fv_act *act, flagver_error *err)
{
    return fv_ledger_post_all(ledger, act, 1, err);
}

int fv_ledger_flush(struct fv_ledger *ledger, flagver_error *err)
{
    int r = 0;

    pthread_mutex_lock(&ledger->lock);
    while (ledger->leading)
        pthread_cond_wait(&ledger->changed, &ledger->lock);
    for (int side = FV_OLD; r == 0 && side <= FV_NEW; side++) {
        for (struct fv_act *act = ledger->noted; act; act = act->next) {
            if (act->side != (enum fv_side)side)
                continue;
            r = lead(ledger, (enum fv_side)side, NULL, err);
            break;
        }
    }
    pthread_mutex_unlock(&ledger->lock);
    return r;
}

void fv_ledger_note(struct fv_ledger *ledger, const struct fv_act *act)
{
    struct fv_act *copy = fv_allocate(ledger->memory, sizeof *copy);
    bool full;

    if (!copy)
        return;
    *copy = *act;
    copy->err = NULL;
    pthread_mutex_lock(&ledger->lock);
    copy->next = ledger->noted;
    ledger->noted = copy;
    full = ++ledger->noted_count >= NOTED_BEFORE_FLUSH && !ledger->leading;
    pthread_mutex_unlock(&ledger->lock);
    if (full)
        fv_ledger_flush(ledger, NULL);
}

/* ---- operations on a detached authority ---- */

int fv_ledger_operation(struct fv_ledger *ledger, struct fv_entry_operation *ret_operation,
                        flagver_error *err)
{
    struct fv_tenancy tenancy;
    int64_t now = fv_now_us();
    int r;

    r = fv_client_tenancy(ledger->steering->control, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_store_id(tenancy.store, now / 1000, &ret_operation->id, err);
    ret_operation->until = now + (int64_t)ledger->lease_ms * 1000;
    fv_store_release(tenancy.store);
    return r;
}

int64_t fv_ledger_deadline(const struct fv_entry_operation *operation)
{
    return fv_monotonic_ns() + (operation->until - MARGIN_US - fv_now_us()) * 1000;
}

/* Has the lease to be renewed before anything else? A little early: others wait for what it has seen. */
static bool is_due(const struct fv_ledger *ledger, enum fv_side authority, uint64_t seen_version,
                   int64_t now)
{
    bool unseen = ledger->lease.version != ledger->fence.version ||
                  ledger->lease.epoch != ledger->fence.epoch;

    return !ledger->has_lease || ledger->side != authority ||
           ledger->fence.version < seen_version || (unseen && ledger->running_before == 0) ||
           ledger->lease.until - now < (int64_t)ledger->lease_ms * 500;
}

/* By the lease that is held, however late it is. */
static enum fv_admission admit(struct fv_ledger *ledger, enum fv_side authority, int64_t now,
                               struct fv_admitted *admitted)
{
    enum fv_admission admission;

    if (!ledger->has_lease || ledger->side != authority)
        return FV_ADMIT_RENEW;
    admission = fv_lease_admit(&ledger->lease, &ledger->fence, ledger->fence.version, MARGIN_US,
                               now, &admitted->until);
    if (admission == FV_ADMIT_GO) {
        admitted->fence = ledger->fence;
        admitted->generation = ledger->generation;
        admitted->began = now;
        ledger->running++;
    }
    return admission;
}

/*
 * Some milliseconds late, and cheap. Who is admitted by it so long too late has a deadline that is over: that
 * is counted from the same tick, and looked at by an exact clock before a side is called.
 */
static int64_t coarse_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A lease that cannot be renewed is good until it runs out. */
static int admit_by_lease(struct fv_ledger *ledger, enum fv_side authority, uint64_t seen_version,
                          struct fv_admitted *admitted, flagver_error *err)
{
    enum fv_admission admission;
    struct fv_fence fence = { 0 };
    int64_t now = coarse_now_us();
    int r = 0;

    pthread_mutex_lock(&ledger->lock);
    while (is_due(ledger, authority, seen_version, now) && ledger->leading) {
        pthread_cond_wait(&ledger->changed, &ledger->lock);
        now = coarse_now_us();
    }
    if (is_due(ledger, authority, seen_version, now)) {
        r = lead(ledger, authority, &fence, err);
        now = coarse_now_us();
    }
    admission = admit(ledger, authority, now, admitted);
    pthread_mutex_unlock(&ledger->lock);

    if (admission != FV_ADMIT_RENEW)
        return (int)admission;
    return r < 0 ? r : (int)fv_fence_admit(&fence, fence.version);
}

int fv_ledger_follow(struct fv_ledger *ledger, const struct fv_view *view, flagver_error *err)
{
    enum fv_side authority = fv_route_believed(view->fences);
    const struct fv_fence *seen = &view->fences[authority];
    int r = 0;

    pthread_mutex_lock(&ledger->lock);
    for (int renewals = 0; r == 0 && renewals < 2; renewals++) { /* the second says "seen" */
        if (ledger->has_lease && !ledger->leading &&
            (ledger->fence.epoch < seen->epoch || /* frozen, in a version that it has seen */
             is_due(ledger, authority, seen->version, fv_now_us())))
            r = lead(ledger, authority, NULL, err);
    }
    pthread_mutex_unlock(&ledger->lock);
    return r;
}

static int enter(struct fv_ledger *ledger, enum fv_side authority, const char *name, bool creates,
                 struct fv_admitted *admitted, flagver_error *err)
{
    struct fv_act act = { .kind = creates ? FV_ACT_INTEND : FV_ACT_ENTER, .side = authority };
    enum fv_admission admission;
    int r;

    r = fv_ledger_operation(ledger, &act.operation, err);
    if (r < 0)
        return r;
    act.operation.until = admitted->until + MARGIN_US;
    memcpy(act.key, name, strlen(name) + 1);
    r = fv_ledger_post(ledger, &act, err);
    if (r < 0)
        return r;
    admission = fv_fence_admit(&act.fence, act.fence.version);
    admitted->id = act.operation.id;
    admitted->entered = act.admitted;
    if (admission == FV_ADMIT_GO)
        admitted->fence = act.fence;
    return (int)admission;
}

int fv_ledger_admit(struct fv_ledger *ledger, enum fv_side authority, const char *name,
                    bool creates, uint64_t seen_version, struct fv_admitted *ret_admitted,
                    flagver_error *err)
{
    int admission;

    *ret_admitted = (struct fv_admitted){ 0 };
    admission = admit_by_lease(ledger, authority, seen_version, ret_admitted, err);
    if (admission != FV_ADMIT_GO || !name || !fv_stage_write(ret_admitted->fence.stage).both)
        return admission;

    admission = enter(ledger, authority, name, creates, ret_admitted, err);
    if (admission != FV_ADMIT_GO)
        fv_ledger_dismiss(ledger, authority, name, ret_admitted, false);
    return admission;
}

int fv_ledger_created(struct fv_ledger *ledger, enum fv_side authority, const char *intent,
                      const char *key, struct fv_admitted *admitted, flagver_error *err)
{
    struct fv_act act = { .kind = FV_ACT_CREATED,
                          .side = authority,
                          .intent = intent,
                          .operation = { admitted->id, admitted->until + MARGIN_US } };
    int r;

    memcpy(act.key, key, strlen(key) + 1);
    r = fv_ledger_post(ledger, &act, err);
    admitted->entered = r == 0 && act.admitted;
    if (r < 0 || !act.late)
        return r;

    act.kind = FV_ACT_DOUBT; /* in the home of who is the authority by now, or will be */
    act.side = fv_side_other(authority);
    fv_ledger_note(ledger, &act);
    return fv_fail(err, FLAGVER_ETIMEDOUT, "%s: the record \"%s\" came after its lease had ended",
                   ledger->steering->name, key);
}

static void note_end(struct fv_ledger *ledger, enum fv_side authority, const char *key,
                     const struct fv_admitted *admitted, bool ok)
{
    struct fv_act act = { .kind = FV_ACT_LEAVE, .side = authority, .ok = ok };

    act.operation.id = admitted->id;
    memcpy(act.key, key, strlen(key) + 1);
    fv_ledger_note(ledger, &act);
}

void fv_ledger_dismiss(struct fv_ledger *ledger, enum fv_side authority, const char *key,
                       const struct fv_admitted *admitted, bool ok)
{
    pthread_mutex_lock(&ledger->lock);
    if (admitted->generation == ledger->generation)
        ledger->running--;
    else
        ledger->running_before--;
    pthread_mutex_unlock(&ledger->lock);
    if (admitted->entered)
        note_end(ledger, authority, key, admitted, ok);
}

/* ---- the whole ---- */

int fv_ledger_open(struct fv_ledger *ledger, struct fv_steering *steering,
                   const flagver_allocator *memory, flagver_error *err)
{
    struct fv_entry_operation operation;
    int r;

    *ledger = (struct fv_ledger){ .steering = steering, .memory = memory, .lease_ms = LEASE_MS };
    r = fv_ledger_operation(ledger, &operation, err);
    if (r < 0) {
        ledger->steering = NULL; /* there is nothing to close */
        return r;
    }
    ledger->router = operation.id;
    pthread_mutex_init(&ledger->lock, NULL);
    pthread_cond_init(&ledger->changed, NULL);
    return 0;
}

/* A lease that nobody holds any more is waited for until it runs out: better not. */
static int delete_lease(void *ledger, flagver_txn *txn, flagver_error *err)
{
    flagver_keyed_row row;
    int r;

    r = get_lease(ledger, txn, &row, err);
    return r < 0 || row.rev == 0 ? r : fv_txn_keyed_delete(txn, &row, err);
}

void fv_ledger_forget(struct fv_ledger *ledger)
{
    struct fv_act *next;

    for (struct fv_act *act = ledger->noted; act; act = next) {
        next = act->next;
        fv_release(ledger->memory, act);
    }
}

void fv_ledger_close(struct fv_ledger *ledger)
{
    fv_ledger_flush(ledger, NULL);
    if (ledger->has_lease && ledger->running + ledger->running_before == 0)
        fv_steering_run(ledger->steering, ledger->side, delete_lease, ledger, NULL);
    fv_ledger_forget(ledger);
    pthread_cond_destroy(&ledger->changed);
    pthread_mutex_destroy(&ledger->lock);
}
