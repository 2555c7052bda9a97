#include "engine/turn.h"

#include <string.h>

#include "engine/route_copy.h"
#include "util/fail.h"

#define LEASE_US 5000000 /* behind the time that it rests */
#define COUNT_MS 60000   /* between estimates of how many records there are */

/* Until when the turn is this route's. */
static int64_t until(const flagver_route *route)
{
    int64_t rest_ms = route->rests_until_ms - fv_monotonic_ms();

    return fv_now_us() + LEASE_US + (rest_ms > 0 ? rest_ms * 1000 : 0);
}

static bool is_mine(const struct fv_turn *turn)
{
    return memcmp(&turn->passage.holder, &turn->route->ledger.router, sizeof(flagver_id)) == 0;
}

/* One of an earlier period, or the other way, does not count. */
static bool begins_anew(const struct fv_turn *turn)
{
    const struct fv_passage *passage = &turn->passage;

    if (!fv_passage_holds(passage, turn->from, turn->authority))
        return true;
    return turn->again_us > 0 && passage->headway.done &&
           fv_now_us() - passage->headway.last >= turn->again_us;
}

static int take(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fv_turn *turn = data;
    struct fv_passage *passage = &turn->passage;
    flagver_keyed_row row;
    int r;

    r = fv_passage_get(txn, turn->space, turn->route->name, &row, passage, err);
    if (r < 0)
        return r;
    if (begins_anew(turn))
        *passage = (struct fv_passage){ .epoch = turn->authority->epoch,
                                        .from = turn->from,
                                        .headway = fv_headway_begin(fv_now_us()) };
    turn->taken = !passage->headway.done && (is_mine(turn) || passage->until < fv_now_us());
    if (!turn->taken)
        return 0;
    passage->holder = turn->route->ledger.router;
    passage->until = until(turn->route);
    turn->epoch = passage->epoch;
    turn->began = passage->headway.began;
    return fv_passage_put(txn, &row, passage, err);
}

int fv_turn_take(struct fv_turn *turn, flagver_error *err)
{
    int r;

    r = fv_steering_run_on(turn->route->client, take, turn, err);
    if (r < 0)
        return r;
    if (!turn->taken && !turn->passage.headway.done)
        return fv_fail(err, FLAGVER_EBUSY, "%s: another process is at it", turn->route->name);
    return turn->taken;
}

struct ending {
    struct fv_turn *turn;
    bool (*add)(void *data, struct fv_passage *passage);
    void *data;
    bool counts;
};

static bool goes_on(const struct fv_turn *turn)
{
    const struct fv_passage *passage = &turn->passage;

    return passage->epoch == turn->epoch && passage->from == turn->from &&
           passage->headway.began == turn->began && !passage->headway.done;
}

/* A chunk may have taken longer than the turn. It counts all the same, unless `add` knows better. */
static int end(void *data, flagver_txn *txn, flagver_error *err)
{
    struct ending *ending = data;
    struct fv_turn *turn = ending->turn;
    struct fv_passage *passage = &turn->passage;
    flagver_keyed_row row;
    int r;

    r = fv_passage_get(txn, turn->space, turn->route->name, &row, passage, err);
    if (r < 0)
        return r;
    ending->counts = goes_on(turn) && ending->add(ending->data, passage);
    if (!ending->counts)
        return 0;
    passage->headway.done = turn->ended;
    if (is_mine(turn))
        passage->until = until(turn->route);
    if (strcmp(turn->key, passage->after) > 0)
        strcpy(passage->after, turn->key);
    return fv_passage_put(txn, &row, passage, err);
}

int fv_turn_end(struct fv_turn *turn, bool (*add)(void *data, struct fv_passage *passage),
                void *data, flagver_error *err)
{
    struct ending ending = { .turn = turn, .add = add, .data = data };
    int r;

    r = fv_steering_run_on(turn->route->client, end, &ending, err);
    if (r < 0 || ending.counts)
        return r;
    return fv_fail(err, FLAGVER_EBUSY, "%s: another process was faster", turn->route->name);
}

/* An estimate that fails is none. */
uint64_t fv_turn_estimate(const struct fv_turn *turn)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_COUNT } };
    flagver_route *route = turn->route;
    int64_t now = fv_monotonic_ms();

    if (!route->sides[turn->from].count ||
        (turn->passage.after[0] && route->counted_ms != 0 && now - route->counted_ms < COUNT_MS))
        return 0;
    route->counted_ms = now;
    return fv_route_call(route, turn->from, &call, NULL, NULL) == 0 ? call.count : 0;
}
