#define _POSIX_C_SOURCE 200809L /* clock_gettime() */

#include "engine/portion.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "engine/audit.h"
#include "engine/idmap.h"
#include "engine/idmap_copy.h"
#include "engine/mover.h"
#include "engine/policies.h"
#include "store/log.h"
#include "store/request.h"
#include "util/fail.h"

#define CHUNK 65536
#define ENOUGH_BYTES ((size_t)8 << 20) /* of a portion; more when they belong together */
#define BATCH_CHANGES 1024u            /* handed over at once */
#define SAME_TRANSACTION_US 10         /* between two leaves of one */
#define AGAIN 1                        /* with a greater limit */

struct portion {
    struct fv_passage *passage;
    struct fv_read *source;
    struct fv_read target; /* its transaction writes */
    struct fv_mover mover;
    flagver_leaf_row *rows;
    struct fv_audit_leaf *leaves;
    size_t count, wanted, taken; /* that were read; that are to be carried; and are */
    struct fv_frontier frontier; /* of the target's log */
};

/* ---- leaves ---- */

static int refuse_leaf(uint64_t no, const char *why, flagver_error *err)
{
    return fv_fail(err, FLAGVER_ECORRUPT, "leaf %" PRIu64 " of the source %s", no, why);
}

static bool is_of(flagver_bytes tenant, const char *name)
{
    return tenant.length == strlen(name) && memcmp(tenant.data, name, tenant.length) == 0;
}

static int take_leaf(struct portion *portion, const flagver_leaf_row *row, flagver_error *err)
{
    const uint64_t no = portion->passage->size + portion->count;
    struct fv_audit_leaf *leaf = &portion->leaves[portion->count];
    flagver_leaf_row *kept = &portion->rows[portion->count++];
    uint8_t hash[FV_DIGEST_SIZE];

    *kept = *row;
    kept->tenant = fv_bytes(portion->passage->tenant);
    if (row->no != no)
        return refuse_leaf(no, "is missing", err);
    if (!fv_mover_keep(&portion->mover, &kept->leaf) ||
        !fv_merkle_leaf(portion->mover.digest, row->leaf.data, row->leaf.length, hash))
        return fv_fail_memory(err);
    if (memcmp(hash, row->hash, sizeof hash) != 0)
        return refuse_leaf(no, "does not have the hash that is beside it", err);
    if (!fv_leaf_decode(kept->leaf.data, kept->leaf.length, leaf) || leaf->leaf_no != no ||
        !is_of(leaf->tenant, portion->passage->tenant))
        return refuse_leaf(no, "is malformed, or was made for another place", err);
    return 0;
}

static int read_leaves(struct portion *portion, uint64_t count, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES,
                                  .from = portion->passage->size,
                                  .limit = (uint32_t)count };
    struct fv_arena *arena = &portion->mover.arena;
    flagver_row row;
    int r;

    portion->rows = fv_arena_allocate_zeroed(arena, (size_t)count, sizeof *portion->rows);
    portion->leaves = fv_arena_allocate_zeroed(arena, (size_t)count, sizeof *portion->leaves);
    if (!portion->rows || !portion->leaves)
        return fv_fail_memory(err);
    r = fv_read_scan(portion->source, &query, err);
    while (r >= 0 && portion->count < count && (r = fv_read_next(portion->source, &row, err)) > 0)
        r = take_leaf(portion, &row.as.leaf, err);
    if (r >= 0 && portion->count < count)
        return refuse_leaf(portion->passage->size + portion->count, "is missing", err);
    return r < 0 ? r : 0;
}

static bool is_same(flagver_bytes a, flagver_bytes b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* May a transaction have made this leaf and the one before it? No log tells for certain. */
static bool belongs_to_last(const struct portion *portion, size_t i)
{
    const struct fv_audit_leaf *last = &portion->leaves[i - 1], *leaf = &portion->leaves[i];

    return is_same(last->actor, leaf->actor) &&
           is_same(last->idempotency_key, leaf->idempotency_key) &&
           leaf->time <= last->time + SAME_TRANSACTION_US;
}

/* Which of the next `limit` leaves; none of those behind them belongs to the last. */
static int choose_leaves(struct portion *portion, uint64_t limit, uint64_t size, flagver_error *err)
{
    uint64_t left = size - portion->passage->size;
    int r = read_leaves(portion, left > limit ? limit + 1 : left, err);

    if (r < 0)
        return r;
    portion->wanted = portion->count;
    if (left > limit)
        do
            portion->wanted--;
        while (portion->wanted > 0 && belongs_to_last(portion, portion->wanted));
    return portion->wanted ? 0 : AGAIN;
}

/* ---- keyed rows ---- */

static int stage_keyed(struct portion *portion, const flagver_keyed_row *row, int64_t expect,
                       flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = expect };
    flagver_keyed_row *kept = fv_arena_allocate(&portion->mover.arena, sizeof *kept);

    if (!kept)
        return fv_fail_memory(err);
    *kept = *row;
    kept->tenant = fv_bytes(portion->passage->tenant);
    if (!fv_mover_keep(&portion->mover, &kept->space) ||
        !fv_mover_keep(&portion->mover, &kept->key) ||
        !fv_mover_keep(&portion->mover, &kept->value))
        return fv_fail_memory(err);
    change.row.keyed = kept;
    return fv_mover_stage(&portion->mover, &change, err);
}

void fv_passage_keys_clear(struct fv_passage_keys *keys)
{
    fv_release(NULL, keys->rows);
    fv_arena_clear(&keys->arena);
}

static int add_key(struct fv_passage_keys *keys, const flagver_keyed_row *row, flagver_error *err)
{
    flagver_keyed_row *kept;

    if (!fv_grow(NULL, (void **)&keys->rows, &keys->capacity, keys->count, sizeof *keys->rows))
        return fv_fail_memory(err);
    kept = &keys->rows[keys->count++];
    *kept = *row;
    kept->space = fv_bytes(FV_KEY_SPACE);
    kept->key.data = fv_arena_string(&keys->arena, row->key.data, row->key.length);
    kept->value.data = fv_arena_string(&keys->arena, row->value.data, row->value.length);
    return kept->key.data && kept->value.data ? 0 : fv_fail_memory(err);
}

int fv_passage_keys_read(struct fv_read *read, struct fv_passage_keys *keys, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(FV_KEY_SPACE) };
    flagver_row row;
    int r;

    *keys = (struct fv_passage_keys){ .count = 0 };
    fv_arena_init(&keys->arena, NULL, 1024);
    r = fv_read_scan(read, &query, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0)
        r = add_key(keys, &row.as.keyed, err);
    return r;
}

bool fv_passage_keys_have(const struct fv_passage_keys *target, const flagver_keyed_row *source)
{
    size_t i;

    for (i = 0; i < target->count; i++)
        if (is_same(target->rows[i].key, source->key))
            return target->rows[i].rev > source->rev ||
                   is_same(target->rows[i].value, source->value);
    return false;
}

/* The keys that payloads are sealed with, and those that were sealed again since. */
static int carry_keys(struct portion *portion, flagver_error *err)
{
    struct fv_passage_keys source, target;
    size_t i;
    int r = fv_passage_keys_read(portion->source, &source, err);

    if (r == 0) {
        r = fv_passage_keys_read(&portion->target, &target, err);
        for (i = 0; r == 0 && i < source.count; i++)
            if (!fv_passage_keys_have(&target, &source.rows[i]))
                r = stage_keyed(portion, &source.rows[i], FLAGVER_EXPECT_ANY, err);
        fv_passage_keys_clear(&target);
    }
    fv_passage_keys_clear(&source);
    return r;
}

static int64_t now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Who runs a transaction again on the target finds what came of it on the source. */
static int carry_request(struct portion *portion, const struct fv_audit_leaf *leaf,
                         flagver_error *err)
{
    struct fv_text key = FV_TEXT_INIT;
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(FV_REQUEST_SPACE) };
    flagver_row row;
    int r = 0;

    fv_text_add(&key, FV_REQUEST_OF_CALLER);
    fv_text_add_bytes(&key, leaf->idempotency_key.data, leaf->idempotency_key.length);
    query.subject = fv_bytes_of(key.data, key.length);
    r = key.failed ? fv_fail_memory(err) : fv_mover_find(portion->source, &query, &row, err);
    if (r > 0) {
        row.as.keyed.space = query.space;
        row.as.keyed.key = query.subject;
        r = stage_keyed(portion, &row.as.keyed, FLAGVER_EXPECT_ANY, err);
    }
    fv_text_clear(&key);
    return r;
}

static int carry_requests(struct portion *portion, flagver_error *err)
{
    int64_t oldest = now_us() - FV_REQUEST_KEPT_US;
    const struct fv_audit_leaf *leaf;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < portion->taken; i++) {
        leaf = &portion->leaves[i];
        if (leaf->idempotency_key.length && leaf->time >= oldest &&
            (i == 0 || !is_same(leaf->idempotency_key, leaf[-1].idempotency_key)))
            r = carry_request(portion, leaf, err);
    }
    return r;
}

/* Clients of the target that have read policies or assignments read them again. */
static int raise_mark(struct portion *portion, enum fv_form form, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED };
    flagver_keyed_row mark;
    flagver_row row;
    int64_t before = 0;
    int r;

    if (!portion->mover.changed[form])
        return 0;
    fv_policies_row(form, now_us(), &mark);
    query.space = mark.space;
    query.subject = mark.key;
    r = fv_mover_find(&portion->target, &query, &row, err);
    if (r < 0)
        return r;
    if (r > 0) {
        before = row.as.keyed.rev;
        if (mark.time <= row.as.keyed.time)
            mark.time = row.as.keyed.time + 1;
    }
    mark.rev = before + 1;
    return stage_keyed(portion, &mark, before, err);
}

/* ---- the log ---- */

static int add_node(void *data, unsigned level, uint64_t number, const uint8_t hash[FV_DIGEST_SIZE],
                    flagver_error *err)
{
    struct portion *portion = data;
    flagver_change change;

    if (!fv_log_node(&portion->mover.arena, portion->passage->tenant, level, number, hash, &change))
        return fv_fail_memory(err);
    return fv_mover_stage(&portion->mover, &change, err);
}

static int add_head(struct portion *portion, flagver_error *err)
{
    flagver_change change;

    if (!fv_log_head(&portion->mover.arena, portion->passage->tenant, &portion->frontier, &change))
        return fv_fail_memory(err);
    return fv_mover_stage(&portion->mover, &change, err);
}

static int add_leaves(struct portion *portion, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_LEAF };
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < portion->taken; i++) {
        change.row.leaf = &portion->rows[i];
        r = fv_mover_stage(&portion->mover, &change, err);
        if (r == 0)
            r = fv_frontier_append(&portion->frontier, portion->mover.digest, portion->rows[i].hash,
                                   add_node, portion, err);
    }
    return r == 0 ? add_head(portion, err) : r;
}

/* ---- the transaction ---- */

/* No scan is under way while something is written. */
static void end_scan(struct fv_read *read)
{
    if (read->cursor)
        read->store->driver->end_scan(read->cursor);
    read->cursor = NULL;
}

static int refuse_rival(const struct portion *portion, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EBUSY, "somebody else is writing to tenant \"%s\" of %.300s",
                   portion->passage->tenant, portion->passage->to->shown);
}

static int apply(struct portion *portion, flagver_error *err)
{
    struct fv_mover *mover = &portion->mover;
    size_t done, count;
    int r = 0;

    end_scan(&portion->target);
    for (done = 0; r == 0 && done < mover->change_count; done += count) {
        count = mover->change_count - done;
        if (count > BATCH_CHANGES)
            count = BATCH_CHANGES;
        r = portion->target.store->driver->apply(portion->target.txn, mover->changes + done, count,
                                                 err);
    }
    mover->change_count = 0;
    return r;
}

/* The target's log, and what is known of the tree over it. Nodes that are missing are made. */
static int begin(struct portion *portion, flagver_error *err)
{
    const struct fv_passage *passage = portion->passage;
    int r = passage->to->driver->begin(passage->to->handle, fv_bytes(passage->tenant),
                                       FLAGVER_MODE_WRITE, &portion->target.txn, err);

    if (r == 0)
        r = fv_audit_frontier(&portion->target, portion->mover.digest, add_node, portion,
                              &portion->frontier, err);
    if (r == 0 && portion->frontier.size != passage->size)
        r = refuse_rival(portion, err);
    end_scan(&portion->target);
    return r;
}

static int move_rows(struct portion *portion, uint64_t size, flagver_error *err)
{
    struct fv_mover *mover = &portion->mover;
    size_t i;
    int r = fv_mover_lock(mover, portion->leaves, portion->wanted, err);

    for (i = 0; r == 0 && i < portion->wanted; i++) {
        if (i > 0 && mover->arena.total > ENOUGH_BYTES && !belongs_to_last(portion, i) &&
            fv_mover_may_stop(mover))
            break;
        r = fv_mover_leaf(mover, &portion->leaves[i], err);
    }
    portion->taken = i;
    if (r < 0)
        return r;
    if (portion->passage->size + portion->taken < size && !fv_mover_may_stop(mover))
        return AGAIN;
    return fv_mover_finish(mover, err);
}

static int move_log(struct portion *portion, flagver_error *err)
{
    uint64_t size;
    int r = portion->target.store->driver->lock_log(portion->target.txn, &size, err);

    if (r == 0 && size != portion->passage->size)
        r = refuse_rival(portion, err);
    if (r == 0)
        r = add_leaves(portion, err);
    return r < 0 ? r : apply(portion, err);
}

static int move_all(struct portion *portion, uint64_t size, flagver_error *err)
{
    int r = carry_keys(portion, err);

    end_scan(&portion->target);
    if (r == 0)
        r = move_rows(portion, size, err);
    if (r == 0)
        r = carry_requests(portion, err);
    if (r == 0)
        r = raise_mark(portion, FV_FORM_POLICY, err);
    if (r == 0)
        r = raise_mark(portion, FV_FORM_ASSIGNMENT, err);
    if (r == 0)
        r = apply(portion, err);
    return r == 0 ? move_log(portion, err) : r;
}

static int commit(struct portion *portion, flagver_error *err)
{
    flagver_driver_txn *txn = portion->target.txn;

    portion->target.txn = NULL; /* gone, whatever comes back */
    return portion->target.store->driver->commit(txn, err);
}

static int carry_at_most(struct fv_passage *passage, struct fv_read *source, uint64_t size,
                         uint64_t limit, flagver_error *err)
{
    struct portion portion = { .passage = passage, .source = source };
    int r;

    portion.target =
        (struct fv_read){ .store = passage->to, .tenant = passage->tenant, .sealed = true };
    r = fv_mover_init(&portion.mover, source, &portion.target, err);
    if (r == 0)
        r = choose_leaves(&portion, limit, size, err);
    if (r == 0)
        r = begin(&portion, err);
    if (r == 0)
        r = move_all(&portion, size, err);
    if (r == 0)
        r = commit(&portion, err);
    fv_read_end(&portion.target);
    if (r == 0)
        passage->size += portion.taken;
    fv_mover_clear(&portion.mover);
    return r;
}

int fv_passage_carry(struct fv_passage *passage, struct fv_read *source, uint64_t size,
                     flagver_error *err)
{
    uint64_t limit = passage->limit;
    int r;

    do {
        r = carry_at_most(passage, source, size, limit, err);
        limit *= 2;
    } while (r == AGAIN);
    return r;
}

/* ---- how far it has come ---- */

int fv_passage_size(struct fv_read *read, uint64_t *ret_size, flagver_error *err)
{
    static const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    flagver_row row;
    int r = fv_mover_find(read, &query, &row, err);

    if (r < 0)
        return r;
    *ret_size = r > 0 ? row.as.log.size : 0;
    return 0;
}

/* Is leaf `no` the same in both? 1, 0, or an error. */
static int is_same_leaf(struct fv_read *source, struct fv_read *target, uint64_t no,
                        flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES, .from = no, .limit = 1 };
    uint8_t hash[FV_DIGEST_SIZE];
    flagver_row row;
    int r = fv_mover_find(target, &query, &row, err);

    if (r <= 0 || row.as.leaf.no != no)
        return r < 0 ? r : 0;
    memcpy(hash, row.as.leaf.hash, sizeof hash);
    r = fv_mover_find(source, &query, &row, err);
    if (r <= 0)
        return r;
    return row.as.leaf.no == no && memcmp(hash, row.as.leaf.hash, sizeof hash) == 0;
}

/* Logs that differ have a common beginning: where does it end? */
static int refuse_log(const struct fv_passage *passage, struct fv_read *source,
                      struct fv_read *target, uint64_t size, flagver_error *err)
{
    uint64_t same = 0, different = size - 1, middle;
    int r;

    while (same < different) {
        middle = same + (different - same) / 2;
        r = is_same_leaf(source, target, middle, err);
        if (r < 0)
            return r;
        if (r > 0)
            same = middle + 1;
        else
            different = middle;
    }
    return fv_fail(err, FLAGVER_ECONFLICT,
                   "leaf %" PRIu64 " of tenant \"%s\" in %.300s is not the one of %.300s: somebody "
                   "else has written there",
                   same, passage->tenant, passage->to->shown, passage->from->shown);
}

static int check_beginning(const struct fv_passage *passage, struct fv_read *target, uint64_t size,
                           flagver_error *err)
{
    struct fv_read source;
    int r = fv_read_begin(&source, passage->from, passage->tenant, err);

    if (r < 0)
        return r;
    source.sealed = true;
    r = is_same_leaf(&source, target, size - 1, err);
    if (r == 0)
        r = refuse_log(passage, &source, target, size, err);
    fv_read_end(&source);
    return r < 0 ? r : 0;
}

static int check_none(const struct fv_passage *passage, struct fv_read *target,
                      const flagver_query *query, const char *what, flagver_error *err)
{
    flagver_row row;
    int r = fv_mover_find(target, query, &row, err);

    return r <= 0 ? r
                  : fv_fail(err, FLAGVER_EEXIST,
                            "tenant \"%s\" of %.300s has %s, and no log that they are in",
                            passage->tenant, passage->to->shown, what);
}

/* Ids have no log that would tell whose they are: those that a copy has brought are the source's. */
static int check_ids(const struct fv_passage *passage, struct fv_read *target, flagver_error *err)
{
    struct fv_read source;
    int r = fv_idmap_is_there(target, err);

    if (r <= 0)
        return r;
    r = fv_read_begin(&source, passage->from, passage->tenant, err);
    if (r == 0)
        r = fv_idmap_check_own(passage, &source, target, err);
    fv_read_end(&source);
    return r;
}

static int check_empty(const struct fv_passage *passage, struct fv_read *target, flagver_error *err)
{
    static const flagver_query series = { .kind = FLAGVER_QUERY_SERIES, .limit = 1 };
    const flagver_query keys = { .kind = FLAGVER_QUERY_KEYED,
                                 .space = fv_bytes(FV_KEY_SPACE),
                                 .limit = 1 };
    int r = check_none(passage, target, &series, "records", err);

    if (r == 0)
        r = check_none(passage, target, &keys, "keys", err);
    return r < 0 ? r : check_ids(passage, target, err);
}

int fv_passage_look(struct fv_passage *passage, flagver_error *err)
{
    struct fv_read target;
    uint64_t size;
    int r = fv_read_begin(&target, passage->to, passage->tenant, err);

    if (r < 0)
        return r;
    target.sealed = true;
    r = fv_passage_size(&target, &size, err);
    if (r == 0)
        r = size ? check_beginning(passage, &target, size, err)
                 : check_empty(passage, &target, err);
    fv_read_end(&target);
    if (r == 0)
        passage->size = size;
    return r;
}
