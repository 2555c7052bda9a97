#include <stdlib.h>
#include <string.h>

#include "engine/route_chunk.h"
#include "engine/route_write.h"
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

/* ---- two enlisted sides: with the versions of keys ---- */

static const char **keys_of(const flagver_sink *found, flagver_txn *txn)
{
    const char **keys = fv_arena_allocate(fv_txn_arena(txn), found->found_count * sizeof *keys);

    for (size_t i = 0; keys && i < found->found_count; i++)
        keys[i] = found->found[i].key;
    return keys;
}

static int get_versions(const struct fv_chunk *over, flagver_txn *txn, enum fv_side side,
                        struct fv_keyed_version **ret_versions, flagver_error *err)
{
    size_t count = over->call.sink.found_count;
    const char **keys = keys_of(&over->call.sink, txn);

    *ret_versions = fv_arena_allocate_zeroed(fv_txn_arena(txn), count, sizeof **ret_versions);
    if (!keys || !*ret_versions)
        return fv_fail_memory(err);
    return fv_key_rows_get(&over->route->steering, txn, side, over->after, keys, count,
                           *ret_versions, err);
}

static const struct fv_version never = { 0, 0 };

/* A record that has come meanwhile gets no version: its own write brings it over. */
static int look_for_record(struct fv_chunk *over, flagver_txn *txn, size_t i,
                           struct fv_version version, flagver_error *err)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_READ,
                                            .key = over->call.sink.found[i].key } };
    int r = fv_chunk_call(over, over->authority, &call, txn, err);

    fv_side_clear(&call);
    over->versions[i] = never;
    if (over->said != FLAGVER_ENOTFOUND)
        return r;
    over->versions[i] = version;
    over->said = 0;
    return 0;
}

/* The versions first: then it is of this one that there is no record, or of a later one. */
static int look_at_authority(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fv_chunk *over = data;
    struct fv_keyed_version *stored;
    struct fv_fence fence;
    int r;

    r = fv_chunk_hold(over, txn, &fence, err);
    if (r == 0)
        r = get_versions(over, txn, over->authority, &stored, err);
    for (size_t i = 0; r == 0 && i < over->call.sink.found_count; i++)
        r = look_for_record(over, txn, i, fv_version_since(stored[i].key.version, &fence), err);
    return r;
}

static int remove_one(struct fv_chunk *over, flagver_txn *txn, size_t i,
                      struct fv_keyed_version *stored, flagver_error *err)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_REMOVE,
                                            .key = over->call.sink.found[i].key } };
    int r;

    if (!fv_version_applies(over->versions[i], stored->key.version))
        return 0;
    r = fv_chunk_call(over, fv_side_other(over->authority), &call, txn, err);
    fv_side_clear(&call);
    stored->key = (struct fv_key_row){ over->versions[i], true };
    return r < 0 ? r : fv_key_row_put(txn, stored, err);
}

static int remove_from_other(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fv_chunk *over = data;
    struct fv_keyed_version *stored;
    int r;

    r = get_versions(over, txn, fv_side_other(over->authority), &stored, err);
    for (size_t i = 0; r == 0 && i < over->call.sink.found_count; i++)
        r = remove_one(over, txn, i, &stored[i], err);
    return r;
}

/* One that cannot be looked at or removed is alone in the end, and left to be repaired. */
static int carry_guarded(struct fv_chunk *over, flagver_error *err)
{
    int r;

    over->versions = calloc(over->call.sink.found_count, sizeof *over->versions);
    if (!over->versions)
        return fv_fail_memory(err);
    r = fv_chunk_read(over, look_at_authority, err);
    if (r == 0)
        r = fv_chunk_run(over, fv_side_other(over->authority), remove_from_other, err);
    if (r == 0 || over->limit > 1 || over->refused)
        return r;
    r = 0;
    for (size_t i = 0; r == 0 && i < over->call.sink.found_count; i++)
        r = fv_route_owe(over->route, over->authority, over->epoch, over->call.sink.found[i].key,
                         err);
    return r;
}

/* ---- the whole ---- */

int fv_chunk_sweep(const struct fv_chunk *chunk, struct fv_reach *reach, flagver_error *err)
{
    struct fv_chunk over = { .route = chunk->route,
                             .authority = chunk->authority,
                             .epoch = chunk->epoch,
                             .after = chunk->after,
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
        reach->others = over.call.sink.found_count;
        meet(&over.call.sink, reach);
        keep_left_over(&over.call.sink, &chunk->call.sink);
    }
    if (r == 0 && over.call.sink.found_count > 0)
        r = fv_route_is_guarded(over.route) ? carry_guarded(&over, err)
                                            : fv_chunk_carry(&over, err);
    fv_chunk_clear(&over);
    return r;
}
