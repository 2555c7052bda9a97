#define _POSIX_C_SOURCE 200809L /* strdup() */

#include <stdlib.h>
#include <string.h>

#include "engine/route_copy.h"
#include "engine/route_write.h"
#include "util/fail.h"

/* ---- what a side has ---- */

void fv_side_record_clear(struct fv_side_record *record)
{
    free(record->key);
    free(record->value);
    *record = (struct fv_side_record){ 0 };
}

#define CALL_NS 10000000000 /* a call that has no other deadline is told this one */

/* What a rollback ends with may take its time: nothing waits behind it. */
int fv_route_call(flagver_route *route, enum fv_side side, struct fv_side_call *call,
                  flagver_txn *txn, flagver_error *err)
{
    flagver_error why;

    if (call->asked.deadline == 0 && call->asked.operation != FLAGVER_ROUTE_DEACTIVATE)
        call->asked.deadline = fv_monotonic_ns() + CALL_NS;

    call->side = &route->sides[side];
    call->asked.side = (int32_t)side;
    call->asked.txn = txn;
    if (!call->asked.operation_id)
        call->asked.operation_id = "";
    call->error = err ? err : &why;
    fv_side_run_in_time(call);
    return call->code;
}

struct fetching {
    flagver_route *route;
    enum fv_side side;
    const char *key;
    struct fv_side_record *record;
    int said;     /* by the side; that there is no record is no error */
    bool repairs; /* only where a repair may read */
    bool refused; /* and it may not */
};

static int fetch(struct fetching *fetching, flagver_txn *txn, flagver_error *err)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_READ,
                                            .key = fetching->key } };
    int r;

    r = fv_route_call(fetching->route, fetching->side, &call, txn, err);
    fetching->said = r == FLAGVER_ENOTFOUND ? 0 : r;
    if (r < 0)
        return fetching->said < 0 ? fv_side_end(&call) : 0;
    fetching->record->value = call.sink.value;
    fetching->record->length = call.sink.length;
    call.sink.value = NULL;
    fv_side_clear(&call);
    return 0;
}

/*
 * 1: so it may, and the key still waits. One that others have repaired meanwhile may be what only the other side
 * has by now, which was believed in between.
 */
static int may_repair(const struct fetching *fetching, flagver_txn *txn,
                      const struct fv_fence *fence, flagver_error *err)
{
    const flagver_route *route = fetching->route;
    struct fv_entry entry;
    flagver_keyed_row row;
    int r;

    r = fv_ledger_repairs(&route->steering, txn, fetching->side, fence, err);
    if (r <= 0)
        return r;
    r = fv_entry_get(txn, route->name, fetching->key, &row, &entry, err);
    return r < 0 ? r : row.rev != 0;
}

/* The record, and the version of its key that it has at least. */
static int fetch_versioned(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fetching *fetching = data;
    struct fv_keyed_version stored;
    flagver_keyed_row row;
    struct fv_fence fence;
    int r;

    free(fetching->record->value);
    fetching->record->value = NULL;
    r = fv_steering_hold(&fetching->route->steering, txn, fetching->side, true, &row, &fence, err);
    if (r == 0 && fetching->repairs) {
        r = may_repair(fetching, txn, &fence, err);
        fetching->refused = r == 0;
        if (r <= 0)
            return r;
        r = 0;
    }
    if (r == 0) /* the version first: then the record is of this one, or of a later one */
        r = fv_key_row_get(&fetching->route->steering, txn, fetching->side, fetching->key, &stored,
                           err);
    if (r == 0)
        r = fetch(fetching, txn, err);
    if (r == 0)
        fetching->record->version = fv_version_since(stored.key.version, &fence);
    return r;
}

static int fetch_record(struct fetching *fetching, flagver_error *err)
{
    flagver_route *route = fetching->route;
    struct fv_side_record *record = fetching->record;
    int r;

    *record = (struct fv_side_record){ .key = strdup(fetching->key) };
    if (!record->key)
        return fv_fail_memory(err);
    r = !route->by_flag && route->steering.enlisted[fetching->side]
            ? fv_steering_run(&route->steering, fetching->side, fetch_versioned, fetching, err)
            : fetch(fetching, NULL, err);
    r = fv_side_ended(fetching->said, r);
    if (r < 0 || fetching->refused)
        fv_side_record_clear(record);
    return r;
}

int fv_route_fetch(flagver_route *route, enum fv_side side, const char *key,
                   struct fv_side_record *ret_record, flagver_error *err)
{
    struct fetching fetching = { .route = route, .side = side, .key = key, .record = ret_record };

    return fetch_record(&fetching, err);
}

/* ---- what a side gets ---- */

struct bringing {
    flagver_route *route;
    enum fv_side side;
    const struct fv_side_record *record;
    bool versioned;   /* only what is newer than what is there */
    int64_t deadline; /* fv_monotonic_ns; 0: none */
    int said;         /* by the side */
};

static int bring(void *data, flagver_txn *txn, flagver_error *err)
{
    struct bringing *bringing = data;
    const struct fv_side_record *record = bringing->record;
    struct fv_side_call call = { .asked = { .operation = record->value ? FLAGVER_ROUTE_WRITE
                                                                       : FLAGVER_ROUTE_REMOVE,
                                            .key = record->key,
                                            .deadline = bringing->deadline },
                                 .value = record->value,
                                 .length = record->length };
    struct fv_keyed_version stored;
    int r;

    if (!record->value && !bringing->route->sides[bringing->side].remove)
        return fv_fail(err, FLAGVER_EINVAL, "options.%s_side.remove is NULL",
                       fv_side_name((int)bringing->side));
    if (bringing->versioned) {
        r = fv_key_row_get(&bringing->route->steering, txn, bringing->side, record->key, &stored,
                           err);
        if (r < 0 || !fv_version_applies(record->version, stored.key.version))
            return r;
    }
    bringing->said = fv_route_call(bringing->route, bringing->side, &call, txn, err);
    fv_side_clear(&call);
    r = fv_side_end(&call);
    if (r < 0 || !bringing->versioned)
        return r;
    stored.key = (struct fv_key_row){ record->version, record->value == NULL };
    return fv_key_row_put(txn, &stored, err);
}

static int bring_over(struct bringing *bringing, flagver_error *err)
{
    struct fv_steering *steering = &bringing->route->steering;
    int r;

    r = steering->enlisted[bringing->side]
            ? fv_steering_run(steering, bringing->side, bring, bringing, err)
            : bring(bringing, NULL, err);
    return fv_side_ended(bringing->said, r);
}

/* ---- a key ---- */

bool fv_route_is_guarded(const flagver_route *route)
{
    return route->steering.enlisted[FV_OLD] && route->steering.enlisted[FV_NEW];
}

/* 1: so it is; 0: two enlisted sides, and the authority is not it any more. */
static int copy_key(flagver_route *route, enum fv_side authority, const char *key, int64_t deadline,
                    struct fv_version *ret_version, flagver_error *err)
{
    struct fv_side_record record;
    struct bringing bringing = { .route = route,
                                 .side = fv_side_other(authority),
                                 .record = &record,
                                 .versioned = fv_route_is_guarded(route),
                                 .deadline = deadline };
    struct fetching fetching = { .route = route,
                                 .side = authority,
                                 .key = key,
                                 .record = &record,
                                 .repairs = bringing.versioned };
    int r;

    r = fetch_record(&fetching, err);
    if (r < 0 || fetching.refused)
        return r;
    r = bring_over(&bringing, err);
    *ret_version = record.version;
    fv_side_record_clear(&record);
    return r < 0 ? r : 1;
}

int fv_route_carry(flagver_route *route, const struct fv_act *act, flagver_error *err)
{
    struct fv_version version;
    int r;

    r = copy_key(route, act->side, act->key, fv_ledger_deadline(&act->operation), &version, err);
    return r < 0 ? r : 0;
}

/* Nothing guards the other side: the repair is an operation like others, that others may overlap. */
static int repair_alone(flagver_route *route, struct fv_act *act, flagver_error *err)
{
    int r;

    act->kind = FV_ACT_REPAIR;
    r = fv_ledger_operation(&route->ledger, &act->operation, err);
    if (r == 0)
        r = fv_ledger_post(&route->ledger, act, err);
    if (r < 0 || act->done)
        return r;

    r = fv_route_carry(route, act, err);
    act->kind = FV_ACT_LEAVE;
    act->ok = r == 0;
    fv_ledger_note(&route->ledger, act);
    return r < 0 ? r : 1;
}

int fv_route_repair(flagver_route *route, enum fv_side authority, const char *key,
                    flagver_error *err)
{
    struct fv_act act = { .side = authority };
    int r;

    memcpy(act.key, key, strlen(key) + 1);
    if (!fv_route_is_guarded(route))
        return repair_alone(route, &act, err);

    r = copy_key(route, authority, key, 0, &act.version, err);
    if (r <= 0)
        return r;
    act.kind = FV_ACT_SETTLE;
    fv_ledger_note(&route->ledger, &act);
    return 1;
}

/* ---- a key whose sides differ, and nobody knows why ---- */

struct amending {
    flagver_route *route;
    enum fv_side authority;
    uint64_t epoch;
    const char *key;
    bool admitted;
};

/*
 * A new version of what the authority has, which is owed: then it is newer than what is there. Only the
 * authority gives out versions: another side's would keep that one's next write out.
 */
static int owe_again(void *data, flagver_txn *txn, flagver_error *err)
{
    struct amending *amending = data;
    flagver_route *route = amending->route;
    struct fv_keyed_version stored;
    struct fv_entry entry;
    flagver_keyed_row row;
    struct fv_fence fence;
    int r;

    r = fv_steering_hold(&route->steering, txn, amending->authority, true, &row, &fence, err);
    if (r < 0)
        return r;
    amending->admitted = fv_fence_copies(&fence, amending->epoch);
    if (!amending->admitted)
        return 0;
    r = fv_key_row_get(&route->steering, txn, amending->authority, amending->key, &stored, err);
    if (r == 0)
        r = fv_version_next(fv_version_since(stored.key.version, &fence), &fence,
                            &stored.key.version, err);
    if (r == 0)
        r = fv_key_row_put(txn, &stored, err);
    if (r == 0)
        r = fv_entry_get(txn, route->name, amending->key, &row, &entry, err);
    if (r < 0)
        return r;
    fv_entry_owe(&entry, stored.key.version, fv_txn_began(txn));
    return fv_entry_put(txn, &row, &entry, err);
}

static int amend_alone(flagver_route *route, enum fv_side authority, uint64_t epoch,
                       const char *key, flagver_error *err)
{
    struct fv_act act = { .kind = FV_ACT_ENTER, .side = authority, .epoch = epoch };
    int r;

    memcpy(act.key, key, strlen(key) + 1);
    r = fv_ledger_operation(&route->ledger, &act.operation, err);
    if (r == 0)
        r = fv_ledger_post(&route->ledger, &act, err);
    if (r < 0)
        return r;
    if (!act.admitted)
        return fv_fail(err, FLAGVER_EBUSY, "%s: the stage is changing", route->name);
    r = fv_route_carry(route, &act, err);
    act.kind = FV_ACT_LEAVE;
    act.ok = r == 0;
    fv_ledger_note(&route->ledger, &act);
    return r;
}

int fv_route_owe(flagver_route *route, enum fv_side authority, uint64_t epoch, const char *key,
                 flagver_error *err)
{
    struct amending amending = {
        .route = route, .authority = authority, .epoch = epoch, .key = key
    };
    int r;

    r = fv_steering_run(&route->steering, authority, owe_again, &amending, err);
    if (r < 0 || amending.admitted)
        return r;
    return fv_fail(err, FLAGVER_EBUSY, "%s: the stage is changing", route->name);
}

int fv_route_amend(flagver_route *route, enum fv_side authority, uint64_t epoch, const char *key,
                   flagver_error *err)
{
    struct fv_view view;
    int r;

    r = fv_steering_look(&route->steering, &view, err);
    if (r < 0)
        return r;
    if (fv_route_believed(view.fences) != authority)
        return fv_fail(err, FLAGVER_EBUSY, "%s: the %s side is not believed any more", route->name,
                       fv_side_name((int)authority));
    if (!fv_stage_write(view.fences[authority].stage).both)
        return fv_fail(err, FLAGVER_ESTATE, "%s: only one side is written in stage %s", route->name,
                       fv_stage_name(view.fences[authority].stage));
    if (!fv_route_is_guarded(route))
        return amend_alone(route, authority, epoch, key, err);
    r = fv_route_owe(route, authority, epoch, key, err);
    if (r == 0)
        r = fv_route_repair(route, authority, key, err);
    return r < 0 ? r : 0;
}

/* ---- all keys that wait ---- */

#define KEYS_AT_ONCE 64
#define COUNTED 10000
#define PAUSE_US 100000 /* before a key that has failed is tried again, doubled each time */
#define LONGEST_PAUSE_US 60000000

/* Where the search for keys to repair goes on, so that those which fail are not in the way of others. */
static void go_on_after(flagver_route *route, const char *key)
{
    memcpy(route->repaired_last, key, strlen(key) + 1);
}

/* Intents are found by the ids of their operations, which are as long as keys. */
struct waiting {
    char keys[KEYS_AT_ONCE][FLAGVER_ROUTE_KEY_LIMIT + 1]; /* to be repaired now */
    int64_t revisions[KEYS_AT_ONCE];
    size_t key_count;
    uint64_t count;
    int64_t oldest; /* µs; 0: none */
};

static bool is_ripe(const struct fv_entry *entry, int64_t changed, int64_t now)
{
    int64_t pause = entry->failures > 9 ? LONGEST_PAUSE_US : (int64_t)PAUSE_US << entry->failures;

    return fv_entry_repairable(entry, now) && (entry->failures == 0 || now - changed >= pause);
}

static void look_at(struct waiting *waiting, const flagver_keyed_row *row, size_t prefix,
                    int64_t now)
{
    struct fv_entry entry;
    size_t length = row->key.length - prefix;

    waiting->count++;
    if (fv_entry_decode(row->value.data, row->value.length, &entry, NULL) < 0)
        return;
    if (waiting->oldest == 0 || entry.since < waiting->oldest)
        waiting->oldest = entry.since;
    if (waiting->key_count < KEYS_AT_ONCE && length <= FLAGVER_ROUTE_KEY_LIMIT &&
        is_ripe(&entry, row->time, now)) {
        memcpy(waiting->keys[waiting->key_count], (const char *)row->key.data + prefix, length);
        waiting->revisions[waiting->key_count] = row->rev;
        waiting->keys[waiting->key_count++][length] = '\0';
    }
}

static int search(struct fv_read *read, const flagver_query *query, struct waiting *waiting,
                  size_t prefix, flagver_error *err)
{
    int64_t now = fv_now_us();
    flagver_row row;
    int r;

    r = fv_read_scan(read, query, err);
    while (r == 0 && (r = fv_read_next(read, &row, err)) > 0) {
        look_at(waiting, &row.as.keyed, prefix, now);
        r = 0;
    }
    return r;
}

/* Behind `last` first, and then, when there are not too many, once more from the first on. */
static int find_waiting(flagver_route *route, enum fv_side authority, const char *space,
                        const char *last, struct waiting *waiting, flagver_error *err)
{
    struct fv_row_key prefix, after;
    flagver_query query = {
        .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(space), .prefix = 1, .limit = COUNTED
    };
    struct fv_tenancy tenancy;
    struct fv_read read;
    int r;

    *waiting = (struct waiting){ 0 };
    fv_row_key(route->name, "", 0, &prefix);
    query.subject = fv_row_key_bytes(&prefix);
    fv_row_key(route->name, last, strlen(last), &after);
    query.after = fv_row_key_bytes(&after);
    r = fv_client_tenancy(route->steering.homes[authority], &tenancy, err);
    if (r < 0)
        return r;
    r = fv_read_begin(&read, tenancy.store, tenancy.tenant, err);
    if (r == 0)
        r = search(&read, &query, waiting, prefix.length, err);
    if (r == 0 && last[0] && waiting->count < COUNTED) {
        waiting->count = 0;
        query.after = fv_bytes(NULL);
        r = search(&read, &query, waiting, prefix.length, err);
    }
    fv_read_end(&read);
    fv_store_release(tenancy.store);
    return r;
}

static void add_waiting(struct fv_backlog *backlog, const struct waiting *waiting)
{
    int64_t age_ms = waiting->oldest ? (fv_now_us() - waiting->oldest) / 1000 : 0;

    backlog->count += waiting->count;
    if (backlog->oldest_ms < age_ms)
        backlog->oldest_ms = age_ms;
}

int fv_route_backlog(flagver_route *route, enum fv_side authority, struct fv_backlog *ret_backlog,
                     flagver_error *err)
{
    static const char *const spaces[] = { FV_SPACE_INTENT, FV_SPACE_DIRTY }; /* as one turns */
    struct waiting *waiting = malloc(sizeof *waiting);
    int r = 0;

    if (!waiting)
        return fv_fail_memory(err);
    *ret_backlog = (struct fv_backlog){ 0 };
    for (int i = 0; r == 0 && i < 2; i++) {
        r = find_waiting(route, authority, spaces[i], "", waiting, err);
        if (r == 0)
            add_waiting(ret_backlog, waiting);
    }
    free(waiting);
    return r;
}

/* ---- records whose keys were not told ---- */

/* What became of an operation that has not come to an end: the side that was to create knows. */
static int resolve(flagver_route *route, enum fv_side authority, const char *operation_id,
                   int64_t revision, flagver_error *err)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_FIND,
                                            .operation_id = operation_id } };
    struct fv_act act = {
        .kind = FV_ACT_RESOLVE, .side = authority, .intent = operation_id, .seen = revision
    };
    int found, r;

    if (!route->sides[authority].find_by_operation) /* other processes' side has it */
        return fv_fail(err, FLAGVER_ENOTSUP, "options.%s_side.find_by_operation is NULL",
                       fv_side_name((int)authority));
    found = fv_route_call(route, authority, &call, NULL, err);
    act.ok = found == 0 || found == FLAGVER_ENOTFOUND;
    if (found == 0)
        memcpy(act.key, call.sink.key, strlen(call.sink.key) + 1);
    fv_side_clear(&call);
    r = fv_ledger_post(&route->ledger, &act, err);
    return r < 0 || act.ok ? r : found;
}

static void note_unrepaired(flagver_route *route, const char *key, const flagver_error *why,
                            flagver_route_progress *progress)
{
    progress->unrepaired++;
    memcpy(route->unrepaired, key, strlen(key) + 1);
    route->unrepaired_why = *why;
}

static int resolve_all(flagver_route *route, enum fv_side authority, struct waiting *waiting,
                       int64_t deadline, flagver_route_progress *progress, flagver_error *err)
{
    flagver_error why = { .code = 0 };
    int r;

    r = find_waiting(route, authority, FV_SPACE_INTENT, "", waiting, err);
    for (size_t i = 0; r == 0 && i < waiting->key_count && fv_monotonic_ms() < deadline; i++) {
        if (resolve(route, authority, waiting->keys[i], waiting->revisions[i], &why) < 0)
            note_unrepaired(route, waiting->keys[i], &why, progress);
    }
    return r;
}

/* ---- a round of repairs ---- */

/* One key that cannot be repaired does not keep the others from it. */
static int repair_found(flagver_route *route, enum fv_side authority, const struct waiting *waiting,
                        int64_t deadline, flagver_route_progress *progress)
{
    flagver_error why = { .code = 0 };
    int done = 0;

    for (size_t i = 0; i < waiting->key_count && fv_monotonic_ms() < deadline; i++) {
        int r = fv_route_repair(route, authority, waiting->keys[i], &why);

        go_on_after(route, waiting->keys[i]);
        if (r > 0)
            progress->repaired++;
        else if (r < 0)
            note_unrepaired(route, waiting->keys[i], &why, progress);
        done += r > 0;
    }
    return done;
}

int fv_route_repair_all(flagver_route *route, const struct fv_view *view, int64_t deadline,
                        flagver_route_progress *progress, flagver_error *err)
{
    enum fv_side authority = fv_route_believed(view->fences);
    struct waiting *waiting = malloc(sizeof *waiting);
    struct fv_backlog backlog;
    int done, r;

    if (!waiting)
        return fv_fail_memory(err);
    do {
        backlog = (struct fv_backlog){ 0 };
        r = fv_ledger_flush(&route->ledger, err);
        if (r == 0)
            r = resolve_all(route, authority, waiting, deadline, progress, err);
        if (r < 0)
            break;
        add_waiting(&backlog, waiting);
        r = find_waiting(route, authority, FV_SPACE_DIRTY, route->repaired_last, waiting, err);
        if (r < 0)
            break;
        add_waiting(&backlog, waiting);
        done = repair_found(route, authority, waiting, deadline, progress);
        progress->waiting = backlog.count;
        progress->oldest_ms = backlog.oldest_ms;
    } while (done > 0 && fv_monotonic_ms() < deadline);
    free(waiting);
    return r;
}
