#include "engine/route_copy.h"

#include <string.h>

#include "engine/route_chunk.h"
#include "engine/turn.h"
#include "util/fail.h"

struct copying {
    struct fv_turn turn;
    const flagver_sink *found;
    bool sweeps;    /* what the believed side lacks is removed from the other one */
    uint64_t total; /* estimated anew; 0: was not */
    uint64_t fresh; /* records that had not been copied before */
};

/* ---- a chunk ---- */

static void note_whole(void *data, struct fv_evidence *evidence)
{
    const struct fv_turn *turn = data;
    uint64_t *epoch = &evidence->whole_epoch[fv_side_other(turn->from)];

    if (*epoch < turn->epoch)
        *epoch = turn->epoch;
}

/* Where one record spoils a chunk for all others, the next ones are smaller, until it is alone. */
static int copy_at_pace(struct copying *copying, struct fv_chunk *chunk, flagver_error *err)
{
    struct fv_turn *turn = &copying->turn;
    const struct fv_pace pace = fv_route_pace(turn->route);
    uint32_t *rows = &turn->route->rows_at_once;
    const flagver_sink *found = &chunk->call.sink;
    int64_t began = fv_monotonic_ns(), took;
    struct fv_reach reach = { 0 };
    uint64_t most;
    int r;

    chunk->limit = *rows ? *rows : FV_PACE_FIRST;
    r = fv_chunk_copy(chunk, err);
    if (r == 0) {
        reach.ended = found->ended;
        strcpy(reach.key,
               found->found_count ? found->found[found->found_count - 1].key : chunk->after);
        r = copying->sweeps ? fv_chunk_sweep(chunk, &reach, err) : 0;
    }
    turn->ended = reach.ended;
    strcpy(turn->key, reach.key);
    took = (fv_monotonic_ns() - began) / 1000;
    most = found->found_count > reach.others ? found->found_count : reach.others;
    *rows = r < 0 ? fv_pace_fewer(chunk->limit) : fv_pace_rows(&pace, chunk->limit, most, took);
    turn->route->rests_until_ms = fv_monotonic_ms() + fv_pace_rest(&pace, took) / 1000;
    return r;
}

/* Records behind what others have copied meanwhile. */
static uint64_t count_new(const struct copying *copying, const char *after)
{
    uint64_t count = 0;

    for (size_t i = 0; i < copying->found->found_count; i++) {
        const char *key = copying->found->found[i].key;

        count += strcmp(key, after) > 0 && strcmp(key, copying->turn.key) <= 0;
    }
    return count;
}

/*
 * All before it is copied, whoever was further meanwhile. Else two that are slow would take turns for ever.
 */
static bool add_copied(void *data, struct fv_passage *passage)
{
    struct copying *copying = data;

    copying->fresh = count_new(copying, passage->after);
    fv_headway_add(&passage->headway, copying->fresh, fv_now_us());
    if (copying->total)
        passage->headway.total = copying->total;
    return true;
}

/* That all is there is noted before the copy is done: who dies in between copies the last chunk again. */
static int copy_chunk(struct copying *copying, struct fv_chunk *chunk, flagver_error *err)
{
    struct fv_turn *turn = &copying->turn;
    char after[FLAGVER_ROUTE_KEY_LIMIT + 1];
    int r;

    chunk->after = strcpy(after, turn->passage.after);
    copying->found = &chunk->call.sink;
    r = copy_at_pace(copying, chunk, err);
    if (r == 0 && turn->ended)
        r = fv_steering_note(&turn->route->steering, note_whole, turn, err);
    return r < 0 ? r : fv_turn_end(turn, add_copied, copying, err);
}

int fv_route_copy(flagver_route *route, const struct fv_view *view, bool sweeps, uint64_t *copied,
                  struct fv_passage *ret_copying, flagver_error *err)
{
    enum fv_side authority = fv_route_believed(view->fences);
    struct copying copying = { .turn = { .route = route,
                                         .space = FV_SPACE_COPY,
                                         .authority = &view->fences[authority],
                                         .from = authority },
                               .sweeps = sweeps };
    struct fv_chunk chunk = { .route = route,
                              .authority = authority,
                              .epoch = copying.turn.authority->epoch };
    int r;

    r = fv_steering_wait_for_routers(&route->steering, authority, copying.turn.authority, err);
    if (r == 0)
        r = fv_turn_take(&copying.turn, err);
    if (copying.turn.passage.epoch > 0)
        *ret_copying = copying.turn.passage;
    if (r <= 0)
        return r;

    copying.total = fv_turn_estimate(&copying.turn);
    r = copy_chunk(&copying, &chunk, err);
    *copied += r == 0 ? copying.fresh : 0;
    *ret_copying = copying.turn.passage;
    fv_chunk_clear(&chunk);
    return r < 0 ? r : !copying.turn.passage.headway.done;
}
