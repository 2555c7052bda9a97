#include "engine/idmap_copy.h"

#include <string.h>

#include "engine/idmap.h"
#include "util/fail.h"

#define BATCH 1000 /* mappings of a transaction */
#define CHUNK 65536

/* ---- two maps ---- */

/* One of the two, on one side. */
struct walk {
    struct fv_read *read;
    const flagver_keyed_row *at; /* NULL: it has ended */
    flagver_row row;
};

static int step(struct walk *walk, flagver_error *err)
{
    int r = fv_read_next(walk->read, &walk->row, err);

    walk->at = r > 0 ? &walk->row.as.keyed : NULL;
    return r < 0 ? r : 0;
}

static int begin_walk(struct walk *walk, enum fv_idmap_side side, flagver_bytes after,
                      flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_idmap_space(side),
                                  .after = after };
    int r = fv_read_scan(walk->read, &query, err);

    return r < 0 ? r : step(walk, err);
}

static int compare_bytes(flagver_bytes a, flagver_bytes b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int order_of(const struct walk *source, const struct walk *target)
{
    if (!source->at || !target->at)
        return !source->at - !target->at;
    return compare_bytes(source->at->key, target->at->key);
}

static bool is_same(const flagver_keyed_row *a, const flagver_keyed_row *b)
{
    return a->time == b->time && compare_bytes(a->value, b->value) == 0;
}

/* Two reads that are held against each other. */
struct pair {
    struct walk source, target;
};

/*
 * Go on to where they differ; behind that goes the next call when `again`. 1: at *ret_source and
 * *ret_target, of which one may be NULL; 0: there is no more.
 */
static int next_difference(struct pair *pair, bool again, const flagver_keyed_row **ret_source,
                           const flagver_keyed_row **ret_target, flagver_error *err)
{
    int r = 0, order;

    while (r == 0 && (pair->source.at || pair->target.at)) {
        order = order_of(&pair->source, &pair->target);
        if (!again && (order != 0 || !is_same(pair->source.at, pair->target.at))) {
            *ret_source = order <= 0 ? pair->source.at : NULL;
            *ret_target = order >= 0 ? pair->target.at : NULL;
            return 1;
        }
        again = false;
        if (order <= 0)
            r = step(&pair->source, err);
        if (r == 0 && order >= 0)
            r = step(&pair->target, err);
    }
    return r;
}

static int begin_pair(struct pair *pair, enum fv_idmap_side side, flagver_bytes after,
                      flagver_error *err)
{
    int r = begin_walk(&pair->source, side, after, err);

    return r < 0 ? r : begin_walk(&pair->target, side, after, err);
}

/* ---- comparing ---- */

static int compare_side(struct fv_read *source, struct fv_read *target, enum fv_idmap_side side,
                        flagver_error *err)
{
    const flagver_bytes none = { NULL, 0 };
    const flagver_keyed_row *one, *other;
    struct pair pair = { { .read = source }, { .read = target } };
    struct fv_idmap_text text;
    int r = begin_pair(&pair, side, none, err);

    if (r == 0)
        r = next_difference(&pair, false, &one, &other, err);
    if (r <= 0)
        return r;
    r = fv_idmap_read(one ? one : other, &text, err);
    return r < 0 ? r
                 : fv_fail(err, FLAGVER_ECONFLICT, "%s %s \"%s\" is not mapped as in the source",
                           side == FV_IDMAP_OLD ? "old" : "new", text.entity, text.id);
}

int fv_idmap_compare(struct fv_read *source, struct fv_read *target, flagver_error *err)
{
    int r = compare_side(source, target, FV_IDMAP_OLD, err);

    return r < 0 ? r : compare_side(source, target, FV_IDMAP_NEW, err);
}

int fv_idmap_check_own(const struct fv_passage *passage, struct fv_read *source,
                       struct fv_read *target, flagver_error *err)
{
    const flagver_bytes none = { NULL, 0 };
    const flagver_keyed_row *one = NULL, *other = NULL;
    struct pair pair = { { .read = source }, { .read = target } };
    struct fv_idmap_text text;
    bool again = false;
    int r = begin_pair(&pair, FV_IDMAP_OLD, none, err);

    while (r == 0 && (r = next_difference(&pair, again, &one, &other, err)) > 0 && !other) {
        again = true;
        r = 0;
    }
    if (r <= 0)
        return r;
    r = fv_idmap_read(other, &text, err);
    return r < 0 ? r
                 : fv_fail(err, FLAGVER_EEXIST,
                           "tenant \"%s\" of %.300s has mapped ids of its own: %s \"%s\"",
                           passage->tenant, passage->to->shown, text.entity, text.id);
}

/* ---- carrying ---- */

/* First what the source does not have goes, then what the target does not have comes. */
enum task { DROP, PUT };

struct carry {
    const struct fv_passage *passage;
    struct fv_read *source;
    struct fv_digest *digest;
    struct fv_arena arena; /* of the batch */
    enum task task;
    flagver_change changes[2 * BATCH];
    size_t count;
    char after[FV_IDMAP_KEY_SIZE]; /* where the batch before ended */
    size_t after_length;
};

static int add(struct carry *carry, const flagver_keyed_row *row, flagver_error *err)
{
    flagver_change change = { .kind = carry->task == DROP ? FLAGVER_CHANGE_KEYED_DELETE
                                                          : FLAGVER_CHANGE_KEYED };
    struct fv_idmap_text text;
    const flagver_idmap_entry entry = { text.entity, text.id, text.other, row->time };
    enum fv_idmap_side side;
    flagver_keyed_row *made;
    int r = fv_idmap_read(row, &text, err);

    for (side = FV_IDMAP_OLD; r == 0 && side <= FV_IDMAP_NEW; side++) {
        r = fv_idmap_row(&carry->arena, carry->digest, side, carry->passage->tenant, &entry, &made,
                         err);
        if (r < 0)
            return r;
        change.row.keyed = made;
        change.expect = carry->task == DROP ? made->rev : 0;
        carry->changes[carry->count++] = change;
    }
    return r;
}

/* What is to be done next, up to a batch of it. */
static int collect(struct carry *carry, struct fv_read *target, flagver_error *err)
{
    const flagver_bytes after = { carry->after_length ? carry->after : NULL, carry->after_length };
    const flagver_keyed_row *one, *other, *row;
    struct pair pair = { { .read = carry->source }, { .read = target } };
    bool again = false;
    int r = begin_pair(&pair, FV_IDMAP_OLD, after, err);

    while (r == 0 && carry->count < 2 * BATCH &&
           (r = next_difference(&pair, again, &one, &other, err)) > 0) {
        row = carry->task == DROP ? other : one;
        again = true;
        r = row ? add(carry, row, err) : 0;
        if (r == 0 && row) {
            memcpy(carry->after, row->key.data, row->key.length);
            carry->after_length = row->key.length;
        }
    }
    return r;
}

static int write(struct carry *carry, flagver_error *err)
{
    const struct fv_passage *passage = carry->passage;
    const flagver_driver *driver = passage->to->driver;
    flagver_driver_txn *txn;
    int r = driver->begin(passage->to->handle, fv_bytes(passage->tenant), FLAGVER_MODE_WRITE, &txn,
                          err);

    if (r < 0)
        return r;
    r = driver->apply(txn, carry->changes, carry->count, err);
    if (r == 0)
        return driver->commit(txn, err);
    driver->rollback(txn);
    return r == FLAGVER_ECONFLICT
               ? fv_fail(err, FLAGVER_EBUSY,
                         "somebody else is mapping ids of tenant \"%s\" of %.300s", passage->tenant,
                         passage->to->shown)
               : r;
}

/* Or a batch less: *ret_more is whether there may be another one. */
static int carry_batch(struct carry *carry, bool *ret_more, flagver_error *err)
{
    struct fv_read target;
    int r;

    carry->count = 0;
    fv_arena_reset(&carry->arena);
    r = fv_read_begin(&target, carry->passage->to, carry->passage->tenant, err);
    if (r == 0)
        r = collect(carry, &target, err);
    fv_read_end(&target);
    *ret_more = carry->count == 2 * BATCH;
    return r == 0 && carry->count ? write(carry, err) : r;
}

static int carry_all(struct carry *carry, enum task task, flagver_error *err)
{
    bool more = true;
    int r = 0;

    carry->task = task;
    carry->after_length = 0;
    while (r == 0 && more)
        r = carry_batch(carry, &more, err);
    return r;
}

int fv_idmap_carry(const struct fv_passage *passage, struct fv_read *source, flagver_error *err)
{
    struct carry *carry = fv_allocate_zeroed(NULL, 1, sizeof *carry);
    int r;

    if (!carry)
        return fv_fail_memory(err);
    carry->passage = passage;
    carry->source = source;
    fv_arena_init(&carry->arena, NULL, CHUNK);
    carry->digest = fv_digest_new(passage->to->crypto);
    r = carry->digest ? carry_all(carry, DROP, err) : fv_fail_memory(err);
    if (r == 0)
        r = carry_all(carry, PUT, err);
    fv_digest_free(carry->digest);
    fv_arena_clear(&carry->arena);
    fv_release(NULL, carry);
    return r;
}
