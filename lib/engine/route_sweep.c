#include <stdlib.h>
#include <string.h>

#include "engine/route_chunk.h"
#include "util/fail.h"

/*
 * What only the other side has is left over: from before both sides were written, or from an earlier time
 * when they were. It is brought over as everything else is, by a copy of what the believed side has of
 * it, which is nothing. Whoever writes the key meanwhile is met as in any copy.
 */

/* Leaves in `others` what `found` does not have; both are in order. */
static void keep_left_over(flagver_sink *others, const flagver_sink *found)
{
    size_t kept = 0, next = 0;

    for (size_t i = 0; i < others->found_count; i++) {
        struct fv_found *other = &others->found[i];

        while (next < found->found_count && strcmp(found->found[next].key, other->key) < 0)
            next++;
        if (next < found->found_count && strcmp(found->found[next].key, other->key) == 0)
            free(other->key);
        else
            others->found[kept++] = *other;
    }
    others->found_count = kept;
}

/* Drops what comes after `last`. */
static void cut(flagver_sink *others, const char *last)
{
    while (others->found_count > 0 && strcmp(others->found[others->found_count - 1].key, last) > 0)
        free(others->found[--others->found_count].key);
}

/*
 * How far both are known: the chunk's records and those of the other side end somewhere. A side that
 * has ended is known to the end.
 */
static void meet(flagver_sink *others, struct fv_reach *reach)
{
    const struct fv_found *last = others->found_count ? &others->found[others->found_count - 1]
                                                      : NULL;

    if (!reach->ended && (others->ended || (last && strcmp(last->key, reach->key) >= 0))) {
        cut(others, reach->key);
        return;
    }
    if (others->ended)
        return; /* so has the chunk */
    reach->ended = false;
    strcpy(reach->key, last->key); /* who has not ended has given something */
}

/* One that cannot be removed is alone in the end, and left to be repaired. */
static int carry_guarded(struct fv_chunk *chunk, const char *key, flagver_error *err)
{
    struct fv_act act = { .side = chunk->authority };
    int r;

    memcpy(act.key, key, strlen(key) + 1);
    r = fv_ledger_operation(&chunk->route->ledger, &act.operation, err);
    if (r == 0)
        r = fv_route_carry(chunk->route, &act, err);
    return r < 0 && chunk->limit == 1 ? fv_route_owe(chunk->route, chunk->authority, key, err) : r;
}

static int carry_all(struct fv_chunk *over, flagver_error *err)
{
    int r = 0;

    if (!fv_route_is_guarded(over->route))
        return fv_chunk_carry(over, err);
    for (size_t i = 0; r == 0 && i < over->call.sink.found_count; i++)
        r = carry_guarded(over, over->call.sink.found[i].key, err);
    return r;
}

int fv_chunk_sweep(const struct fv_chunk *chunk, struct fv_reach *reach, flagver_error *err)
{
    struct fv_chunk over = { .route = chunk->route,
                             .authority = chunk->authority,
                             .limit = chunk->limit,
                             .call = { .asked = { .operation = FLAGVER_ROUTE_SCAN },
                                       .after = chunk->after,
                                       .limit = chunk->limit } };
    enum fv_side other = fv_side_other(chunk->authority);
    const flagver_side *side = &chunk->route->sides[other];
    int r;

    if (!side->scan || !side->remove)
        return 0;
    r = fv_route_call(chunk->route, other, &over.call, NULL, err);
    if (r == 0) {
        meet(&over.call.sink, reach);
        keep_left_over(&over.call.sink, &chunk->call.sink);
    }
    if (r == 0 && over.call.sink.found_count > 0)
        r = carry_all(&over, err);
    fv_chunk_clear(&over);
    return r;
}
