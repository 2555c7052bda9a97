#include "engine/route_copy.h"

#include <string.h>

#include "engine/route_chunk.h"
#include "util/fail.h"

/*
 * How far the copying has come, in a keyed row of the control store ("route.copy", by the name of the
 * migration), so that it goes on after a crash, and one process at a time is at it.
 */
#define SPACE_COPY "route.copy"
#define LEASE_US 30000000

struct progress {
    uint64_t epoch; /* of the authority when it began; 0: never */
    enum fv_side from;
    bool done;
    flagver_id holder;
    int64_t until; /* the holder's for so long, µs */
    char after[FLAGVER_ROUTE_KEY_LIMIT + 1];
};

/* ---- the row ---- */

/* One format of this library alone: the struct's members in this order, in big-endian bytes. */
#define HEAD_BYTES (1 + 8 + 1 + 16 + 8)
#define FORM 1
#define FROM_NEW 2u /* beside `done` */

static void put64(uint8_t *at, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        at[i] = (uint8_t)number;
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

static size_t encode(const struct progress *progress, uint8_t *out)
{
    size_t length = strlen(progress->after);

    out[0] = FORM;
    put64(out + 1, progress->epoch);
    out[9] = (uint8_t)(progress->done | (progress->from == FV_NEW ? FROM_NEW : 0));
    memcpy(out + 10, progress->holder.bytes, 16);
    put64(out + 26, (uint64_t)progress->until);
    memcpy(out + HEAD_BYTES, progress->after, length);
    return HEAD_BYTES + length;
}

static int decode(const flagver_bytes *value, struct progress *ret_progress, flagver_error *err)
{
    const uint8_t *in = value->data;
    size_t length = value->length - HEAD_BYTES;

    if (value->length < HEAD_BYTES || in[0] != FORM || length > FLAGVER_ROUTE_KEY_LIMIT)
        return fv_fail(err, FLAGVER_ECORRUPT, "the progress of a copy cannot be read");
    *ret_progress = (struct progress){ .epoch = get64(in + 1),
                                       .from = in[9] & FROM_NEW ? FV_NEW : FV_OLD,
                                       .done = in[9] & 1,
                                       .until = (int64_t)get64(in + 26) };
    memcpy(ret_progress->holder.bytes, in + 10, 16);
    memcpy(ret_progress->after, in + HEAD_BYTES, length);
    return 0;
}

struct turn {
    flagver_route *route;
    const struct fv_fence *authority;
    enum fv_side from;
    struct progress progress;
    bool taken;
    bool done; /* with `taken`: the chunk was the last */
    const char *after;
};

static int get_progress(struct turn *turn, flagver_txn *txn, flagver_keyed_row *ret_row,
                        flagver_error *err)
{
    struct fv_row_key key;
    int r;

    fv_row_key(turn->route->name, NULL, 0, &key);
    turn->progress = (struct progress){ 0 };
    r = fv_txn_keyed_get(txn, SPACE_COPY, fv_row_key_bytes(&key), ret_row, err);
    if (r < 0 || ret_row->rev == 0)
        return r;
    return decode(&ret_row->value, &turn->progress, err);
}

static int put_progress(struct turn *turn, flagver_txn *txn, flagver_keyed_row *row,
                        flagver_error *err)
{
    uint8_t bytes[HEAD_BYTES + FLAGVER_ROUTE_KEY_LIMIT];

    return fv_txn_keyed_put(txn, row, (flagver_bytes){ bytes, encode(&turn->progress, bytes) },
                            err);
}

static bool is_mine(const struct turn *turn)
{
    return memcmp(&turn->progress.holder, &turn->route->ledger.router, sizeof(flagver_id)) == 0;
}

/* What was copied in an earlier period, or the other way, does not count. */
static int take_turn(void *data, flagver_txn *txn, flagver_error *err)
{
    struct turn *turn = data;
    flagver_keyed_row row;
    int r;

    r = get_progress(turn, txn, &row, err);
    if (r < 0)
        return r;
    if (turn->progress.from != turn->from ||
        !fv_fence_gate_holds(turn->authority, turn->progress.epoch))
        turn->progress = (struct progress){ .epoch = turn->authority->epoch, .from = turn->from };
    turn->taken = !turn->progress.done && (is_mine(turn) || turn->progress.until < fv_now_us());
    if (!turn->taken)
        return 0;
    turn->progress.holder = turn->route->ledger.router;
    turn->progress.until = fv_now_us() + LEASE_US;
    return put_progress(turn, txn, &row, err);
}

/* Only who still has the turn: another one may have begun anew. */
static int end_turn(void *data, flagver_txn *txn, flagver_error *err)
{
    struct turn *turn = data;
    uint64_t epoch = turn->progress.epoch;
    flagver_keyed_row row;
    int r;

    r = get_progress(turn, txn, &row, err);
    if (r < 0)
        return r;
    if (!is_mine(turn) || turn->progress.epoch != epoch)
        return fv_fail(err, FLAGVER_ESTATE, "%s: another process is copying", turn->route->name);
    turn->progress.done = turn->done;
    turn->progress.until = fv_now_us() + LEASE_US;
    memcpy(turn->progress.after, turn->after, strlen(turn->after) + 1);
    return put_progress(turn, txn, &row, err);
}

/* ---- the whole ---- */

static void note_whole(void *data, struct fv_evidence *evidence)
{
    const struct turn *turn = data;

    uint64_t *epoch = &evidence->whole_epoch[fv_side_other(turn->progress.from)];

    if (*epoch < turn->progress.epoch)
        *epoch = turn->progress.epoch;
}

static int copy_chunk(struct turn *turn, struct fv_chunk *chunk, flagver_error *err)
{
    const flagver_sink *found = &chunk->call.sink;
    char after[FLAGVER_ROUTE_KEY_LIMIT + 1];
    int r;

    chunk->after = memcpy(after, turn->progress.after, sizeof after);
    r = fv_chunk_copy(chunk, err);
    if (r < 0)
        return r;
    turn->after = found->found_count ? found->found[found->found_count - 1].key : after;
    turn->done = found->ended;
    r = fv_steering_run_on(turn->route->client, end_turn, turn, err);
    if (r == 0 && turn->done)
        r = fv_steering_note(&turn->route->steering, note_whole, turn, err);
    return r;
}

int fv_route_copy(flagver_route *route, const struct fv_view *view, uint64_t *copied,
                  flagver_error *err)
{
    enum fv_side authority = fv_view_authority(view);
    struct turn turn = { .route = route, .authority = &view->fences[authority], .from = authority };
    struct fv_chunk chunk = { .route = route, .authority = authority };
    int r;

    if (!route->sides[authority].scan)
        return fv_fail(err, FLAGVER_EINVAL, "options.%s_side.scan is NULL",
                       fv_side_name((int)authority));
    r = fv_steering_wait_for_routers(&route->steering, authority, turn.authority, err);
    if (r == 0)
        r = fv_steering_run_on(route->client, take_turn, &turn, err);
    if (r < 0 || turn.progress.done)
        return r;
    if (!turn.taken)
        return fv_fail(err, FLAGVER_EBUSY, "%s: another process is copying", route->name);

    r = copy_chunk(&turn, &chunk, err);
    *copied += r == 0 ? chunk.call.sink.found_count : 0;
    fv_chunk_clear(&chunk);
    return r < 0 ? r : !turn.done;
}
