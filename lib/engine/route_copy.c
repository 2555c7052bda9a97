#include "engine/route_copy.h"

#include <string.h>

#include "engine/copying.h"
#include "engine/route_chunk.h"
#include "util/fail.h"

#define LEASE_US 5000000 /* behind the time that it rests */
#define COUNT_MS 60000   /* between estimates of how many records there are */

/* ---- whose turn it is ---- */

struct turn {
    flagver_route *route;
    const struct fv_fence *authority;
    enum fv_side from;
    struct fv_copying copying;
    bool taken;
    bool sweeps;    /* `from` has everything: what it lacks is left over on the other side */
    uint64_t epoch; /* that of the copy */
    uint64_t total; /* estimated anew; 0: was not */

    /* with `taken`: what was copied */
    const flagver_sink *found;
    struct fv_reach reach;
    uint64_t fresh; /* records that had not been copied before */
};

/* Until when the turn is this route's. */
static int64_t until(const flagver_route *route)
{
    int64_t rest_ms = route->rests_until_ms - fv_monotonic_ms();

    return fv_now_us() + LEASE_US + (rest_ms > 0 ? rest_ms * 1000 : 0);
}

static bool is_mine(const struct turn *turn)
{
    return memcmp(&turn->copying.holder, &turn->route->ledger.router, sizeof(flagver_id)) == 0;
}

/* What was copied in an earlier period, or the other way, does not count. */
static int take_turn(void *data, flagver_txn *txn, flagver_error *err)
{
    struct turn *turn = data;
    struct fv_copying *copying = &turn->copying;
    flagver_keyed_row row;
    int r;

    r = fv_copying_get(txn, turn->route->name, &row, copying, err);
    if (r < 0)
        return r;
    if (!fv_copying_holds(copying, turn->from, turn->authority))
        *copying = (struct fv_copying){ .epoch = turn->authority->epoch,
                                        .from = turn->from,
                                        .headway = fv_headway_begin(fv_now_us()) };
    turn->taken = !copying->headway.done && (is_mine(turn) || copying->until < fv_now_us());
    if (!turn->taken)
        return 0;
    copying->holder = turn->route->ledger.router;
    copying->until = until(turn->route);
    turn->epoch = copying->epoch;
    return fv_copying_put(txn, &row, copying, err);
}

/* Records behind what others have copied meanwhile. */
static uint64_t count_new(const struct turn *turn)
{
    uint64_t count = 0;

    for (size_t i = 0; i < turn->found->found_count; i++) {
        const char *key = turn->found->found[i].key;

        count += strcmp(key, turn->copying.after) > 0 && strcmp(key, turn->reach.key) <= 0;
    }
    return count;
}

/*
 * A chunk that took longer than the turn counts all the same, as long as nobody has begun anew: all
 * before it is copied, whoever was further meanwhile. Else two that are slow would take turns for ever.
 */
static int end_turn(void *data, flagver_txn *txn, flagver_error *err)
{
    struct turn *turn = data;
    struct fv_copying *copying = &turn->copying;
    flagver_keyed_row row;
    int r;

    r = fv_copying_get(txn, turn->route->name, &row, copying, err);
    if (r < 0)
        return r;
    if (copying->epoch != turn->epoch || copying->from != turn->from)
        return fv_fail(err, FLAGVER_ESTATE, "%s: another process has begun to copy anew",
                       turn->route->name);
    turn->fresh = count_new(turn);
    fv_headway_add(&copying->headway, turn->fresh, fv_now_us());
    copying->headway.done |= turn->reach.ended;
    if (turn->total)
        copying->headway.total = turn->total;
    if (is_mine(turn))
        copying->until = until(turn->route);
    if (strcmp(turn->reach.key, copying->after) > 0)
        strcpy(copying->after, turn->reach.key);
    return fv_copying_put(txn, &row, copying, err);
}

/*
 * A side that was made the authority by force may lack what only the other one has: that is no reason to
 * remove it there.
 */
static int look_whether_whole(struct turn *turn, flagver_error *err)
{
    flagver_route *route = turn->route;
    struct fv_evidence evidence;
    int r;

    r = fv_steering_evidence(&route->steering, &evidence, err);
    if (r < 0)
        return r;
    if (evidence.authority.period != turn->authority->period)
        return fv_fail(err, FLAGVER_EBUSY, "%s: the stage has only just come", route->name);
    turn->sweeps = fv_evidence_whole(&evidence, turn->from);
    return 0;
}

/* An estimate that fails is none. */
static uint64_t estimate(flagver_route *route, enum fv_side side, const struct fv_copying *copying)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_COUNT } };
    int64_t now = fv_monotonic_ms();

    if (!route->sides[side].count ||
        (copying->headway.total > 0 && now - route->counted_ms < COUNT_MS))
        return 0;
    route->counted_ms = now;
    return fv_route_call(route, side, &call, NULL, NULL) == 0 ? call.count : 0;
}

/* ---- the whole ---- */

static void note_whole(void *data, struct fv_evidence *evidence)
{
    const struct turn *turn = data;
    uint64_t *epoch = &evidence->whole_epoch[fv_side_other(turn->from)];

    if (*epoch < turn->epoch)
        *epoch = turn->epoch;
}

/* Where one record spoils a chunk for all others, the next ones are smaller, until it is alone. */
static int copy_at_pace(struct turn *turn, struct fv_chunk *chunk, flagver_error *err)
{
    const struct fv_pace pace = fv_route_pace(turn->route);
    uint32_t *rows = &turn->route->rows_at_once;
    const flagver_sink *found = &chunk->call.sink;
    int64_t began = fv_monotonic_ns(), took;
    uint64_t most;
    int r;

    chunk->limit = *rows ? *rows : FV_PACE_FIRST;
    r = fv_chunk_copy(chunk, err);
    if (r == 0) {
        turn->reach.ended = found->ended;
        strcpy(turn->reach.key,
               found->found_count ? found->found[found->found_count - 1].key : chunk->after);
        r = turn->sweeps ? fv_chunk_sweep(chunk, &turn->reach, err) : 0;
    }
    took = (fv_monotonic_ns() - began) / 1000;
    most = found->found_count > turn->reach.others ? found->found_count : turn->reach.others;
    *rows = r < 0 ? fv_pace_fewer(chunk->limit) : fv_pace_rows(&pace, chunk->limit, most, took);
    turn->route->rests_until_ms = fv_monotonic_ms() + fv_pace_rest(&pace, took) / 1000;
    return r;
}

/* That all is there is noted before the copy is done: who dies in between copies the last chunk again. */
static int copy_chunk(struct turn *turn, struct fv_chunk *chunk, flagver_error *err)
{
    char after[FLAGVER_ROUTE_KEY_LIMIT + 1];
    int r;

    chunk->after = strcpy(after, turn->copying.after);
    turn->found = &chunk->call.sink;
    r = copy_at_pace(turn, chunk, err);
    if (r == 0 && turn->reach.ended)
        r = fv_steering_note(&turn->route->steering, note_whole, turn, err);
    return r < 0 ? r : fv_steering_run_on(turn->route->client, end_turn, turn, err);
}

int fv_route_copy(flagver_route *route, const struct fv_view *view, uint64_t *copied,
                  struct fv_copying *ret_copying, flagver_error *err)
{
    enum fv_side authority = fv_view_authority(view);
    struct turn turn = { .route = route, .authority = &view->fences[authority], .from = authority };
    struct fv_chunk chunk = { .route = route, .authority = authority };
    int r;

    r = fv_steering_wait_for_routers(&route->steering, authority, turn.authority, err);
    if (r == 0)
        r = look_whether_whole(&turn, err);
    if (r == 0)
        r = fv_steering_run_on(route->client, take_turn, &turn, err);
    if (r < 0)
        return r;
    *ret_copying = turn.copying;
    if (turn.copying.headway.done)
        return 0;
    if (!turn.taken)
        return fv_fail(err, FLAGVER_EBUSY, "%s: another process is copying", route->name);

    turn.total = estimate(route, authority, &turn.copying);
    r = copy_chunk(&turn, &chunk, err);
    *copied += r == 0 ? turn.fresh : 0;
    *ret_copying = turn.copying;
    fv_chunk_clear(&chunk);
    return r < 0 ? r : !turn.copying.headway.done;
}
