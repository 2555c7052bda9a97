#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/merkle.h"
#include "engine/examine.h"
#include "engine/idmap.h"
#include "engine/lines.h"
#include "engine/policies.h"
#include "engine/transfer.h"
#include "store/log.h"
#include "store/sealing.h"
#include "util/fail.h"
#include "util/map.h"
#include "util/memory.h"

#define BATCH_CHANGES 512u
#define BATCH_BYTES ((size_t)4 << 20)
#define BATCH_CHUNK 65536
#define SMALL_CHUNK 4096
#define BEGIN_TRIES 10 /* each waits for a lock as long as any transaction does */

/* ---- going through a file ---- */

/* Looks at every line. `take` (may be NULL) gets each when it has been found sound. */
static int go_through(struct fv_lines *lines,
                      int (*take)(void *data, const struct fv_transfer *line, flagver_error *err),
                      void *data, flagver_error *err)
{
    struct fv_transfer_place place = { lines->path, 0 };
    const struct fv_transfer *line;
    struct fv_examiner *examiner;
    const char *text;
    size_t length;
    int r;

    r = fv_examiner_new(&examiner, err);
    if (r < 0)
        return r;
    while (r >= 0 && (r = fv_lines_next(lines, &text, &length, err)) > 0) {
        place.number = lines->number;
        r = fv_examiner_line(examiner, &place, text, length, &line, err);
        if (r == 0 && take)
            r = take(data, line, err);
    }
    place.number = lines->number + 1;
    if (r == 0)
        r = fv_examiner_end(examiner, &place, err);
    fv_examiner_free(examiner);
    return r;
}

int fv_export_check(const char *path, flagver_error *err)
{
    struct fv_lines lines;
    int r;

    r = fv_lines_open(&lines, path, FV_TRANSFER_LINE_LIMIT, err);
    if (r < 0)
        return r;
    r = go_through(&lines, NULL, NULL, err);
    fv_lines_close(&lines);
    return r;
}

/* ---- one tenant's transaction ---- */

struct import {
    struct fv_store *store;
    flagver_driver_txn *txn; /* NULL: no tenant is open */
    char *tenant;
    bool log_locked;
    struct fv_map tenants; /* of the file, in its order */
    size_t done;           /* so many of them are committed */

    struct fv_arena batch; /* what the changes point to */
    flagver_change changes[BATCH_CHANGES];
    size_t change_count;

    struct fv_arena series_memory, version_memory, last_memory;
    flagver_series_row series; /* the one that is being brought in, as it is going to be */
    bool in_version;
    flagver_version_row version; /* likewise, … */
    int32_t state;               /* … and what it is until now */
    int64_t rev;
    uint32_t in_force;        /* of the versions before; 0: none */
    flagver_version_row last; /* that one, as it is going to be */

    int64_t changed[FV_FORMS]; /* when records of a form did last; 0: there are none */

    struct fv_digest *digest;
    struct fv_frontier frontier; /* of the log so far */
};

static int refuse_rival(const struct import *import, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EEXIST, "somebody wrote to tenant \"%s\" during the import",
                   import->tenant);
}

/* Memory of an unusually large batch is not kept for the next. */
static void clear_batch(struct import *import)
{
    import->change_count = 0;
    if (import->batch.total > BATCH_BYTES)
        fv_arena_clear(&import->batch);
    else
        fv_arena_reset(&import->batch);
}

static int apply(struct import *import, flagver_error *err)
{
    int r;

    if (!import->change_count)
        return 0;
    r = import->store->driver->apply(import->txn, import->changes, import->change_count, err);
    if (r == FLAGVER_ECONFLICT)
        return refuse_rival(import, err);
    clear_batch(import);
    return r;
}

/* What the change points to lives in the batch. */
static int add(struct import *import, const flagver_change *change, flagver_error *err)
{
    import->changes[import->change_count++] = *change;
    return import->change_count == BATCH_CHANGES || import->batch.total > BATCH_BYTES
               ? apply(import, err)
               : 0;
}

static bool copy(struct fv_arena *arena, flagver_bytes *bytes)
{
    if (!bytes->data)
        return true;
    bytes->data = fv_arena_string(arena, bytes->data, bytes->length);
    return bytes->data != NULL;
}

static int check_empty(struct import *import, const flagver_query *query, const char *what,
                       flagver_error *err)
{
    const flagver_driver *driver = import->store->driver;
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = driver->scan(import->txn, query, &cursor, err);
    if (r < 0)
        return r;
    r = driver->next(cursor, &row, err);
    driver->end_scan(cursor);
    return r <= 0 ? r
                  : fv_fail(err, FLAGVER_EEXIST,
                            "tenant \"%s\" has %s already; an import needs an empty one",
                            import->tenant, what);
}

static int begin(struct import *import, int mode, flagver_error *err)
{
    static const flagver_query series = { .kind = FLAGVER_QUERY_SERIES, .limit = 1 };
    static const flagver_query leaves = { .kind = FLAGVER_QUERY_LEAVES, .limit = 1 };
    const flagver_query keys = { .kind = FLAGVER_QUERY_KEYED,
                                 .space = fv_bytes(FV_KEY_SPACE),
                                 .limit = 1 };
    const flagver_query mappings = { .kind = FLAGVER_QUERY_KEYED,
                                     .space = fv_idmap_space(FV_IDMAP_OLD),
                                     .limit = 1 };
    struct fv_store *store = import->store;
    int r = FLAGVER_EBUSY, try;

    for (try = 0; r == FLAGVER_EBUSY && try < BEGIN_TRIES; try++)
        r = store->driver->begin(store->handle, fv_bytes(import->tenant), mode, &import->txn, err);
    if (r == 0)
        r = check_empty(import, &series, "records", err);
    if (r == 0)
        r = check_empty(import, &leaves, "records", err);
    if (r == 0)
        r = check_empty(import, &keys, "keys", err);
    if (r == 0)
        r = check_empty(import, &mappings, "mapped ids", err);
    return r;
}

static void roll_back(struct import *import)
{
    if (import->txn)
        import->store->driver->rollback(import->txn);
    import->txn = NULL;
}

static int name_tenant(struct import *import, flagver_bytes name, flagver_error *err)
{
    char *copied = malloc(name.length + 1);

    if (!copied)
        return fv_fail_memory(err);
    memcpy(copied, name.data, name.length);
    copied[name.length] = 0;
    free(import->tenant);
    import->tenant = copied;
    return 0;
}

/* ---- series ---- */

static int change_series(struct import *import, int64_t expect, uint32_t last_no,
                         uint32_t current_no, int64_t rev, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_SERIES, .expect = expect };
    flagver_series_row *row = fv_arena_allocate(&import->batch, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = import->series;
    row->last_no = last_no;
    row->current_no = current_no;
    row->rev = rev;
    if (!copy(&import->batch, &row->phase) || !copy(&import->batch, &row->subject))
        return fv_fail_memory(err);
    change.row.series = row;
    return add(import, &change, err);
}

/* Others cannot come between us and the series. That it is not there was seen before. */
static int lock_series(struct import *import, flagver_error *err)
{
    flagver_series_row row = { .tenant = import->series.tenant,
                               .phase = import->series.phase,
                               .subject = import->series.subject };
    int r = import->store->driver->lock(import->txn, &row, 1, 0, err);

    return r == 0 && row.rev ? refuse_rival(import, err) : r;
}

static int take_series(struct import *import, const flagver_series_row *row, flagver_error *err)
{
    int64_t *changed;
    int r;

    fv_arena_reset(&import->series_memory);
    import->series = *row;
    import->series.tenant = fv_bytes(import->tenant);
    import->in_force = 0;
    if (!copy(&import->series_memory, &import->series.phase) ||
        !copy(&import->series_memory, &import->series.subject))
        return fv_fail_memory(err);
    changed = &import->changed[fv_form_of(import->series.phase.data)];
    if (row->changed_at > *changed)
        *changed = row->changed_at;
    r = lock_series(import, err);
    if (r == 0 && row->last_no == 0)
        r = change_series(import, 0, 0, 0, row->rev, err);
    return r;
}

/* ---- versions ---- */

/* One that was shredded is written empty first. */
static int add_payload(struct import *import, const flagver_payload_row *payload,
                       flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_PAYLOAD };
    flagver_payload_row *row = fv_arena_allocate(&import->batch, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = *payload;
    if (!row->body.data)
        row->body = fv_bytes("");
    if (!copy(&import->batch, &row->salt) || !copy(&import->batch, &row->body))
        return fv_fail_memory(err);
    change.row.payload = row;
    return add(import, &change, err);
}

/* What refers to it is there by now. */
static int shred_payload(struct import *import, const flagver_payload_row *payload,
                         flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_SHRED };
    flagver_payload_row *row;

    if (payload->body.data)
        return 0;
    row = fv_arena_allocate_zeroed(&import->batch, 1, sizeof *row);
    if (!row)
        return fv_fail_memory(err);
    row->id = payload->id;
    change.row.payload = row;
    return add(import, &change, err);
}

/* A version without what belongs to its payload. */
static bool copy_version(struct fv_arena *arena, flagver_version_row *row)
{
    row->payload = row->payload_salt = (flagver_bytes){ NULL, 0 };
    row->payload_key = 0;
    return copy(arena, &row->created_by) && copy(arena, &row->decided_by) &&
           copy(arena, &row->note);
}

static int add_version(struct import *import, int32_t kind, int64_t expect,
                       const flagver_version_row *version, flagver_error *err)
{
    flagver_change change = { .kind = kind, .expect = expect };
    flagver_version_row *row = fv_arena_allocate(&import->batch, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = *version;
    if (!copy_version(&import->batch, row))
        return fv_fail_memory(err);
    change.row.version = row;
    return add(import, &change, err);
}

/*
 * The version as it is on its way, in a state before the one that it is in at the end. What a
 * state does not have yet is not said of it.
 */
static flagver_version_row earlier(const flagver_version_row *version, int32_t state, int64_t rev)
{
    flagver_version_row row = *version;

    row.state = state;
    row.rev = rev;
    row.superseded_by = 0;
    row.superseded_at = 0;
    if (state == FLAGVER_STATE_APPROVED)
        return row;
    row.bits &= ~FLAGVER_VERSION_EMERGENCY;
    row.decided_at = 0;
    row.decided_by = (flagver_bytes){ NULL, 0 };
    if (state == FLAGVER_STATE_DRAFT)
        row.submitted_at = 0;
    return row;
}

/*
 * So many changes a version still has before it when it is born: it becomes SUBMITTED when there are
 * votes on it, or when it cannot be avoided, and each change raises the rev. Fewer revs than that:
 * nobody has ever voted on it.
 */
static int64_t changes_before(const flagver_version_row *version)
{
    static const int64_t most[] = {
        [FLAGVER_STATE_DRAFT] = 2,    [FLAGVER_STATE_SUBMITTED] = 1,
        [FLAGVER_STATE_APPROVED] = 2, [FLAGVER_STATE_SUPERSEDED] = 3,
        [FLAGVER_STATE_REJECTED] = 2, [FLAGVER_STATE_WITHDRAWN] = 2,
        [FLAGVER_STATE_RECORDED] = 0,
    };

    return version->rev > most[version->state]     ? most[version->state]
           : version->state == FLAGVER_STATE_DRAFT ? 0
                                                   : version->rev - 1;
}

/* Write the open version again. */
static int change_version(struct import *import, const flagver_version_row *row, flagver_error *err)
{
    int r = add_version(import, FLAGVER_CHANGE_VERSION_CHANGE, import->rev, row, err);

    import->state = row->state;
    import->rev = row->rev;
    return r;
}

static int submit(struct import *import, flagver_error *err)
{
    const flagver_version_row row = earlier(&import->version, FLAGVER_STATE_SUBMITTED,
                                            import->rev + 1);

    return import->version.state == FLAGVER_STATE_SUBMITTED
               ? change_version(import, &import->version, err)
               : change_version(import, &row, err);
}

/* The version that was in force makes room; this one takes its place. */
static int succeed(struct import *import, flagver_error *err)
{
    const flagver_version_row *last = &import->last;
    int r = import->in_force
                ? add_version(import, FLAGVER_CHANGE_VERSION_CHANGE, last->rev - 1, last, err)
                : 0;

    if (r < 0)
        return r;
    fv_arena_reset(&import->last_memory);
    import->in_force = import->version.no;
    import->last = import->version;
    return copy_version(&import->last_memory, &import->last) ? 0 : fv_fail_memory(err);
}

/* What is superseded is so when its successor is approved. */
static int approve(struct import *import, flagver_error *err)
{
    const flagver_version_row *version = &import->version;
    bool superseded = version->state == FLAGVER_STATE_SUPERSEDED;
    const flagver_version_row row = earlier(version, FLAGVER_STATE_APPROVED,
                                            superseded ? version->rev - 1 : version->rev);
    int r = succeed(import, err);

    return r == 0 ? change_version(import, &row, err) : r;
}

static bool was_in_force(const flagver_version_row *version)
{
    return version->state == FLAGVER_STATE_APPROVED || version->state == FLAGVER_STATE_SUPERSEDED;
}

/* There is nothing more of it in the file: the rest of its way. */
static int finish_version(struct import *import, flagver_error *err)
{
    const flagver_version_row *version = &import->version;
    int r = 0;

    if (!import->in_version)
        return 0;
    import->in_version = false;
    if (was_in_force(version))
        return import->state == FLAGVER_STATE_APPROVED ? 0 : approve(import, err);
    if (version->state == FLAGVER_STATE_REJECTED && import->state == FLAGVER_STATE_DRAFT)
        r = submit(import, err);
    return r == 0 && import->rev < version->rev ? change_version(import, version, err) : r;
}

static int bear_version(struct import *import, flagver_error *err)
{
    const flagver_version_row *version = &import->version;
    int64_t before = changes_before(version);
    flagver_version_row row = *version;

    if (before)
        row = earlier(version, FLAGVER_STATE_DRAFT, version->rev - before);
    import->state = row.state;
    import->rev = row.rev;
    return add_version(import, FLAGVER_CHANGE_VERSION_NEW, 0, &row, err);
}

static int take_version(struct import *import, const flagver_version_row *row, flagver_error *err)
{
    const flagver_payload_row payload = { row->payload_id, row->payload_key, row->payload_salt,
                                          row->payload };
    bool in_force = was_in_force(row) || row->state == FLAGVER_STATE_RECORDED;
    int64_t rev = import->series.rev - (import->series.last_no - row->no);
    int r;

    r = change_series(import, row->no == 1 ? 0 : rev - 1, row->no,
                      in_force ? row->no : import->in_force, rev, err);
    if (r == 0)
        r = add_payload(import, &payload, err);
    if (r < 0)
        return r;

    fv_arena_reset(&import->version_memory);
    import->version = *row;
    import->version.series = import->series.id;
    import->in_version = copy_version(&import->version_memory, &import->version);
    if (!import->in_version)
        return fv_fail_memory(err);
    r = bear_version(import, err);
    return r == 0 ? shred_payload(import, &payload, err) : r;
}

/* ---- what belongs to a version ---- */

static int take_contributor(struct import *import, const flagver_contributor_row *contributor,
                            flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_CONTRIBUTOR };
    flagver_contributor_row *row = fv_arena_allocate(&import->batch, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = *contributor;
    row->series = import->series.id;
    row->no = import->version.no;
    if (!copy(&import->batch, &row->actor))
        return fv_fail_memory(err);
    change.row.contributor = row;
    return add(import, &change, err);
}

static int add_item(struct import *import, const flagver_item_row *item, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_ITEM };
    flagver_item_row *row = fv_arena_allocate(&import->batch, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = *item;
    row->series = import->series.id;
    row->no = import->version.no;
    row->payload = row->payload_salt = (flagver_bytes){ NULL, 0 };
    row->payload_key = 0;
    if (!copy(&import->batch, &row->key) || !copy(&import->batch, &row->decided_by) ||
        !copy(&import->batch, &row->note))
        return fv_fail_memory(err);
    change.row.item = row;
    return add(import, &change, err);
}

/* An item of a draft may be decided: those that were carried forward are. */
static int take_item(struct import *import, const flagver_item_row *item, flagver_error *err)
{
    const flagver_payload_row payload = { item->payload_id, item->payload_key, item->payload_salt,
                                          item->payload };
    int r = add_payload(import, &payload, err);

    if (r == 0)
        r = add_item(import, item, err);
    return r == 0 ? shred_payload(import, &payload, err) : r;
}

/* Votes come while it is submitted, or to what is in force without any. */
static int open_vote(struct import *import, flagver_error *err)
{
    if (import->state != FLAGVER_STATE_DRAFT)
        return 0;
    return import->version.bits & FLAGVER_VERSION_EMERGENCY ? approve(import, err)
                                                            : submit(import, err);
}

static int take_vote(struct import *import, const flagver_vote_row *vote, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_VOTE };
    flagver_vote_row *row;
    int r = open_vote(import, err);

    if (r < 0)
        return r;
    row = fv_arena_allocate(&import->batch, sizeof *row);
    if (!row)
        return fv_fail_memory(err);
    *row = *vote;
    row->series = import->series.id;
    row->no = import->version.no;
    if (!copy(&import->batch, &row->actor) || !copy(&import->batch, &row->note))
        return fv_fail_memory(err);
    change.row.vote = row;
    return add(import, &change, err);
}

/* ---- keys and leaves ---- */

static int take_key(struct import *import, const flagver_keyed_row *key, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED };
    flagver_keyed_row *row = fv_arena_allocate(&import->batch, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = *key;
    row->tenant = fv_bytes(import->tenant);
    row->space = fv_bytes(FV_KEY_SPACE);
    if (!copy(&import->batch, &row->key) || !copy(&import->batch, &row->value))
        return fv_fail_memory(err);
    change.row.keyed = row;
    return add(import, &change, err);
}

static int take_mapping(struct import *import, const struct fv_transfer_mapping *mapping,
                        flagver_error *err)
{
    const flagver_idmap_entry entry = { mapping->entity.data, mapping->old_id.data,
                                        mapping->new_id.data, mapping->time };
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED };
    enum fv_idmap_side side;
    flagver_keyed_row *row;
    int r = 0;

    for (side = FV_IDMAP_OLD; r == 0 && side <= FV_IDMAP_NEW; side++) {
        r = fv_idmap_row(&import->batch, import->digest, side, import->tenant, &entry, &row, err);
        change.row.keyed = row;
        if (r == 0)
            r = add(import, &change, err);
    }
    return r;
}

static int lock_log(struct import *import, flagver_error *err)
{
    uint64_t size;
    int r;

    if (import->log_locked)
        return 0;
    r = import->store->driver->lock_log(import->txn, &size, err);
    if (r == 0 && size)
        r = refuse_rival(import, err);
    import->log_locked = r == 0;
    return r;
}

static int add_leaf(struct import *import, const flagver_leaf_row *leaf, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_LEAF };
    flagver_leaf_row *row = fv_arena_allocate(&import->batch, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = *leaf;
    row->tenant = fv_bytes(import->tenant);
    if (!copy(&import->batch, &row->leaf))
        return fv_fail_memory(err);
    change.row.leaf = row;
    return add(import, &change, err);
}

static int add_node(void *data, unsigned level, uint64_t number, const uint8_t hash[FV_DIGEST_SIZE],
                    flagver_error *err)
{
    struct import *import = data;
    flagver_change change;

    if (!fv_log_node(&import->batch, import->tenant, level, number, hash, &change))
        return fv_fail_memory(err);
    return add(import, &change, err);
}

static int take_leaf(struct import *import, const flagver_leaf_row *leaf, flagver_error *err)
{
    int r = lock_log(import, err);

    if (r == 0)
        r = add_leaf(import, leaf, err);
    return r == 0 ? fv_frontier_append(&import->frontier, import->digest, leaf->hash, add_node,
                                       import, err)
                  : r;
}

/* The tree over the log is not in the file: it follows from the leaves. */
static int add_head(struct import *import, flagver_error *err)
{
    flagver_change change;

    if (!fv_log_head(&import->batch, import->tenant, &import->frontier, &change))
        return fv_fail_memory(err);
    return add(import, &change, err);
}

/* ---- a tenant begins and ends ---- */

/* Who has seen that there are no policies yet is told. */
static int raise_policies(struct import *import, enum fv_form form, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = FLAGVER_EXPECT_ANY };
    flagver_keyed_row *row;

    if (!import->changed[form])
        return 0;
    row = fv_arena_allocate_zeroed(&import->batch, 1, sizeof *row);
    if (!row)
        return fv_fail_memory(err);
    fv_policies_row(form, import->changed[form], row);
    row->tenant = fv_bytes(import->tenant);
    change.row.keyed = row;
    return add(import, &change, err);
}

static int hand_over(struct import *import, flagver_error *err)
{
    int r = import->frontier.size ? add_head(import, err) : 0;

    if (r == 0)
        r = raise_policies(import, FV_FORM_POLICY, err);
    if (r == 0)
        r = raise_policies(import, FV_FORM_ASSIGNMENT, err);
    return r == 0 ? apply(import, err) : r;
}

static int commit(struct import *import, flagver_error *err)
{
    flagver_driver_txn *txn = import->txn;
    int r;

    if (!txn)
        return 0;
    r = hand_over(import, err);
    if (r < 0)
        return r;
    import->txn = NULL; /* gone, whatever comes back */
    r = import->store->driver->commit(txn, err);
    if (r == FLAGVER_EUNKNOWN)
        return fv_fail(err, r, "it is not known whether tenant \"%s\" was imported; look into it",
                       import->tenant);
    import->done += r == 0;
    return r;
}

static int take_tenant(struct import *import, flagver_bytes name, flagver_error *err)
{
    int r = commit(import, err);

    if (r == 0)
        r = name_tenant(import, name, err);
    import->log_locked = false;
    memset(&import->frontier, 0, sizeof import->frontier);
    memset(import->changed, 0, sizeof import->changed);
    return r == 0 ? begin(import, FLAGVER_MODE_WRITE, err) : r;
}

/* ---- the whole ---- */

static bool belongs_to_version(const struct fv_transfer *line)
{
    return line->kind == FV_TRANSFER_CONTRIBUTOR || line->kind == FV_TRANSFER_ITEM ||
           line->kind == FV_TRANSFER_VOTE;
}

static int take(void *data, const struct fv_transfer *line, flagver_error *err)
{
    struct import *import = data;
    int r = belongs_to_version(line) ? 0 : finish_version(import, err);

    if (r < 0)
        return r;
    switch (line->kind) {
    case FV_TRANSFER_TENANT:
        return take_tenant(import, line->as.tenant.name, err);
    case FV_TRANSFER_KEY:
        return take_key(import, &line->as.key, err);
    case FV_TRANSFER_MAPPING:
        return take_mapping(import, &line->as.mapping, err);
    case FV_TRANSFER_SERIES:
        return take_series(import, &line->as.series, err);
    case FV_TRANSFER_VERSION:
        return take_version(import, &line->as.version, err);
    case FV_TRANSFER_CONTRIBUTOR:
        return take_contributor(import, &line->as.contributor, err);
    case FV_TRANSFER_ITEM:
        return take_item(import, &line->as.item, err);
    case FV_TRANSFER_VOTE:
        return take_vote(import, &line->as.vote, err);
    case FV_TRANSFER_LEAF:
        return take_leaf(import, &line->as.leaf, err);
    case FV_TRANSFER_END:
        return commit(import, err);
    case FV_TRANSFER_HEADER:
        break;
    }
    return 0;
}

/* The first time through the file only the tenants' names are taken. */
static int take_name(void *data, const struct fv_transfer *line, flagver_error *err)
{
    struct import *import = data;
    const flagver_bytes *name = &line->as.tenant.name;

    if (line->kind != FV_TRANSFER_TENANT)
        return 0;
    return fv_map_add(&import->tenants, name->data, name->length) == FV_MAP_NONE
               ? fv_fail_memory(err)
               : 0;
}

static int check_tenants(struct import *import, flagver_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < import->tenants.count; i++) {
        const struct fv_name *name = &import->tenants.names[i];

        r = name_tenant(import, fv_bytes_of(name->text, name->length), err);
        if (r == 0)
            r = begin(import, FLAGVER_MODE_READ, err);
        roll_back(import);
    }
    return r;
}

static void say_what_is_done(const struct import *import, flagver_error *err)
{
    size_t length;

    if (!err || !import->done)
        return;
    length = strlen(err->message);
    snprintf(err->message + length, sizeof err->message - length,
             " (tenants of the file before \"%s\" are in the store)", import->tenant);
}

static int write_store(struct import *import, struct fv_lines *lines, flagver_error *err)
{
    int r;

    r = check_tenants(import, err);
    if (r == 0)
        r = fv_lines_rewind(lines, err);
    if (r == 0)
        r = go_through(lines, take, import, err);
    roll_back(import);
    if (r < 0)
        say_what_is_done(import, err);
    return r;
}

/* A bad file must not so much as create the store: it is checked before that is opened. */
static int run(struct import *import, const char *uri, struct fv_lines *lines, flagver_error *err)
{
    const struct fv_store_options options = { .read_only = false };
    int r;

    r = go_through(lines, take_name, import, err);
    if (r == 0)
        r = fv_store_open(uri, &options, &import->store, err);
    if (r < 0)
        return r;
    import->digest = fv_digest_new(import->store->crypto);
    return import->digest ? write_store(import, lines, err) : fv_fail_memory(err);
}

static struct import *new_import(void)
{
    struct import *import = fv_allocate_zeroed(NULL, 1, sizeof *import);

    if (!import)
        return NULL;
    fv_map_init(&import->tenants, NULL);
    fv_arena_init(&import->batch, NULL, BATCH_CHUNK);
    fv_arena_init(&import->series_memory, NULL, SMALL_CHUNK);
    fv_arena_init(&import->version_memory, NULL, SMALL_CHUNK);
    fv_arena_init(&import->last_memory, NULL, SMALL_CHUNK);
    return import;
}

static void free_import(struct import *import)
{
    fv_digest_free(import->digest);
    fv_store_release(import->store);
    fv_map_clear(&import->tenants);
    fv_arena_clear(&import->batch);
    fv_arena_clear(&import->series_memory);
    fv_arena_clear(&import->version_memory);
    fv_arena_clear(&import->last_memory);
    free(import->tenant);
    free(import);
}

int fv_import(const char *uri, const char *path, flagver_error *err)
{
    struct import *import;
    struct fv_lines lines;
    int r;

    r = fv_lines_open(&lines, path, FV_TRANSFER_LINE_LIMIT, err);
    if (r < 0)
        return r;
    import = new_import();
    if (import) {
        r = run(import, uri, &lines, err);
        free_import(import);
    } else {
        r = fv_fail_memory(err);
    }
    fv_lines_close(&lines);
    return r;
}
