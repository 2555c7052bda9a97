#include "engine/route_chunk.h"

#include <stdlib.h>
#include <string.h>

#include "engine/route_write.h"
#include "util/fail.h"

int fv_chunk_call(struct fv_chunk *chunk, enum fv_side side, struct fv_side_call *call,
                  flagver_txn *txn, flagver_error *err)
{
    chunk->said = fv_route_call(chunk->route, side, call, txn, err);
    return fv_side_end(call);
}

int fv_chunk_run(struct fv_chunk *chunk, enum fv_side side,
                 int (*run)(void *data, flagver_txn *txn, flagver_error *err), flagver_error *err)
{
    int r;

    chunk->said = 0;
    r = fv_steering_run(&chunk->route->steering, side, run, chunk, err);
    return fv_side_ended(chunk->said, r);
}

static int scan(struct fv_chunk *chunk, flagver_txn *txn, flagver_error *err)
{
    fv_side_clear(&chunk->call);
    chunk->call = (struct fv_side_call){ .asked = { .operation = FLAGVER_ROUTE_SCAN },
                                         .after = chunk->after,
                                         .limit = chunk->limit };
    return fv_chunk_call(chunk, chunk->authority, &chunk->call, txn, err);
}

/* ---- two enlisted sides: with the versions of keys ---- */

/* Where what is needed for a while during a transaction lies, one for each record. */
struct rows {
    size_t count;
    struct fv_keyed_version *versions;
    flagver_side_row *due; /* to be written; `count` at most */
    size_t due_count;
};

static int get_versions(struct fv_chunk *chunk, flagver_txn *txn, enum fv_side side,
                        struct fv_keyed_version **ret_versions, flagver_error *err)
{
    const flagver_sink *found = &chunk->call.sink;
    struct fv_keyed_version *versions = fv_arena_allocate_zeroed(
        fv_txn_arena(txn), found->found_count + 1, sizeof *versions);
    const char **keys = fv_arena_allocate(fv_txn_arena(txn),
                                          (found->found_count + 1) * sizeof *keys);
    int r;

    if (!versions || !keys)
        return fv_fail_memory(err);
    for (size_t i = 0; i < found->found_count; i++)
        keys[i] = found->found[i].key;
    r = fv_key_rows_get(&chunk->route->steering, txn, side, chunk->after, keys, found->found_count,
                        versions, err);
    *ret_versions = versions;
    return r;
}

/*
 * What was found may have been changed before its version was looked at: so it is read again. A record
 * that has come since then has the least version there is; its own write brings the right one.
 */
static int look_again(struct fv_chunk *chunk, flagver_txn *txn, const struct fv_fence *fence,
                      flagver_error *err)
{
    struct fv_side_call first = chunk->call;
    struct fv_version *versions = chunk->versions;
    size_t known = 0;
    int r;

    chunk->call = (struct fv_side_call){ 0 };
    r = scan(chunk, txn, err);
    chunk->versions = calloc(chunk->call.sink.found_count + 1, sizeof *versions);
    if (r == 0 && !chunk->versions)
        r = fv_fail_memory(err);
    for (size_t i = 0; r == 0 && i < chunk->call.sink.found_count; i++) {
        int order = 1;

        while (known < first.sink.found_count &&
               (order = strcmp(first.sink.found[known].key, chunk->call.sink.found[i].key)) < 0)
            known++;
        chunk->versions[i] = known < first.sink.found_count && order == 0
                                 ? versions[known]
                                 : fv_version_since((struct fv_version){ 0, 0 }, fence);
    }
    free(versions);
    fv_side_clear(&first);
    return r;
}

/* Not FLAGVER_EBUSY: the transaction would be run again. */
int fv_chunk_hold(struct fv_chunk *chunk, flagver_txn *txn, struct fv_fence *ret_fence,
                  flagver_error *err)
{
    flagver_keyed_row row;
    int r;

    r = fv_steering_hold(&chunk->route->steering, txn, chunk->authority, true, &row, ret_fence,
                         err);
    chunk->refused = r == 0 && !fv_fence_copies(ret_fence, chunk->epoch);
    return chunk->refused ? FLAGVER_ESTATE : r;
}

int fv_chunk_read(struct fv_chunk *chunk,
                  int (*read)(void *data, flagver_txn *txn, flagver_error *err), flagver_error *err)
{
    int r;

    r = fv_chunk_run(chunk, chunk->authority, read, err);
    if (chunk->refused)
        return fv_fail(err, FLAGVER_EBUSY, "%s: the stage is changing", chunk->route->name);
    return r;
}

/* Records, and the versions of their keys that they have at least: those of before the second look. */
static int scan_versioned(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fv_chunk *chunk = data;
    struct fv_keyed_version *stored;
    struct fv_fence fence;
    int r;

    r = fv_chunk_hold(chunk, txn, &fence, err);
    if (r == 0)
        r = scan(chunk, txn, err);
    if (r == 0)
        r = get_versions(chunk, txn, chunk->authority, &stored, err);
    if (r < 0)
        return r;
    free(chunk->versions);
    chunk->versions = calloc(chunk->call.sink.found_count + 1, sizeof *chunk->versions);
    if (!chunk->versions)
        return fv_fail_memory(err);
    for (size_t i = 0; i < chunk->call.sink.found_count; i++)
        chunk->versions[i] = fv_version_since(stored[i].key.version, &fence);
    return look_again(chunk, txn, &fence, err);
}

static int write_one(struct fv_chunk *chunk, const flagver_side_row *row, flagver_txn *txn,
                     flagver_error *err)
{
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_WRITE, .key = row->key },
                                 .value = row->value,
                                 .length = row->length };
    int r = fv_chunk_call(chunk, fv_side_other(chunk->authority), &call, txn, err);

    fv_side_clear(&call);
    return r;
}

static int write_due(struct fv_chunk *chunk, const struct rows *rows, flagver_txn *txn,
                     flagver_error *err)
{
    enum fv_side other = fv_side_other(chunk->authority);
    struct fv_side_call call = { .asked = { .operation = FLAGVER_ROUTE_WRITE_MANY },
                                 .rows = rows->due,
                                 .row_count = rows->due_count };
    int r = 0;

    if (rows->due_count > 0 && chunk->route->sides[other].write_many)
        return fv_chunk_call(chunk, other, &call, txn, err);
    for (size_t i = 0; r == 0 && i < rows->due_count; i++)
        r = write_one(chunk, &rows->due[i], txn, err);
    return r;
}

/* Only what is newer than what is there. */
static int write_newer(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fv_chunk *chunk = data;
    const flagver_sink *found = &chunk->call.sink;
    struct rows rows = { .count = found->found_count };
    int r;

    rows.due = fv_arena_allocate(fv_txn_arena(txn), (rows.count + 1) * sizeof *rows.due);
    r = rows.due ? get_versions(chunk, txn, fv_side_other(chunk->authority), &rows.versions, err)
                 : fv_fail_memory(err);
    for (size_t i = 0; r == 0 && i < rows.count; i++) {
        if (fv_version_applies(chunk->versions[i], rows.versions[i].key.version))
            rows.due[rows.due_count++] = (flagver_side_row){ found->found[i].key,
                                                             found->found[i].value,
                                                             found->found[i].length };
    }
    if (r == 0)
        r = write_due(chunk, &rows, txn, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++) {
        if (!fv_version_applies(chunk->versions[i], rows.versions[i].key.version))
            continue;
        rows.versions[i].key = (struct fv_key_row){ chunk->versions[i], false };
        r = fv_key_row_put(txn, &rows.versions[i], err);
    }
    return r;
}

static int copy_guarded(struct fv_chunk *chunk, flagver_error *err)
{
    int r;

    r = fv_chunk_read(chunk, scan_versioned, err);
    if (r < 0)
        return r;
    r = fv_chunk_run(chunk, fv_side_other(chunk->authority), write_newer, err);
    if (r == 0 || chunk->limit > 1 || chunk->call.sink.found_count == 0)
        return r;
    return fv_route_owe(chunk->route, chunk->authority, chunk->epoch, chunk->call.sink.found[0].key,
                        err);
}

/* ---- a detached side: each record is an operation of its own ---- */

static int enter_all(struct fv_chunk *chunk, struct fv_act *acts, flagver_error *err)
{
    const flagver_sink *found = &chunk->call.sink;
    int r = 0;

    for (size_t i = 0; r == 0 && i < found->found_count; i++) {
        const char *key = found->found[i].key;

        acts[i] = (struct fv_act){ .kind = FV_ACT_ENTER,
                                   .side = chunk->authority,
                                   .epoch = chunk->epoch };
        memcpy(acts[i].key, key, strlen(key) + 1);
        r = fv_ledger_operation(&chunk->route->ledger, &acts[i].operation, err);
    }
    return r < 0 ? r : fv_ledger_post_all(&chunk->route->ledger, acts, found->found_count, err);
}

/* Those that have not entered, as the stage is not the one in which the copy went on, must not be written. */
static int check_entered(const struct fv_chunk *chunk, const struct fv_act *acts,
                         flagver_error *err)
{
    for (size_t i = 0; i < chunk->call.sink.found_count; i++) {
        if (!acts[i].admitted)
            return fv_fail(err, FLAGVER_EBUSY, "%s: the stage is changing", chunk->route->name);
    }
    return 0;
}

/*
 * Nothing guards the other side: a record is read anew once the ledger knows of its operation. One that
 * cannot be written is left to be repaired; only when none of several can there is no use in going on.
 */
static int copy_entered(struct fv_chunk *chunk, struct fv_act *acts, flagver_error *err)
{
    size_t count = chunk->call.sink.found_count, failed = 0;
    int refused = check_entered(chunk, acts, err), r = 0;

    for (size_t i = 0; i < count; i++) {
        int carried;

        if (!acts[i].admitted)
            continue;
        carried = refused < 0 ? refused : fv_route_carry(chunk->route, &acts[i], err);
        acts[i].kind = FV_ACT_LEAVE;
        acts[i].ok = carried == 0;
        fv_ledger_note(&chunk->route->ledger, &acts[i]);
        failed += carried < 0;
        if (carried < 0)
            r = carried;
    }
    if (refused < 0)
        return refused;
    return failed == count && chunk->limit > 1 ? r : 0;
}

int fv_chunk_carry(struct fv_chunk *chunk, flagver_error *err)
{
    struct fv_act *acts;
    int r;

    acts = calloc(chunk->call.sink.found_count + 1, sizeof *acts);
    r = acts ? enter_all(chunk, acts, err) : fv_fail_memory(err);
    if (r == 0)
        r = copy_entered(chunk, acts, err);
    free(acts);
    return r;
}

static int copy_alone(struct fv_chunk *chunk, flagver_error *err)
{
    int r = scan(chunk, NULL, err);

    return r < 0 ? r : fv_chunk_carry(chunk, err);
}

/* ---- the whole ---- */

int fv_chunk_copy(struct fv_chunk *chunk, flagver_error *err)
{
    return fv_route_is_guarded(chunk->route) ? copy_guarded(chunk, err) : copy_alone(chunk, err);
}

void fv_chunk_clear(struct fv_chunk *chunk)
{
    fv_side_clear(&chunk->call);
    free(chunk->versions);
    chunk->versions = NULL;
}
