#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/examine.h"
#include "engine/lines.h"
#include "engine/transfer.h"
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

    struct fv_arena series_memory, version_memory;
    flagver_series_row series; /* the one that is being brought in, as it is going to be */
    uint32_t in_force;         /* of the versions so far; 0: none */
    flagver_version_row last;  /* that one, as it is going to be */
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

static int check_empty(struct import *import, const flagver_query *query, flagver_error *err)
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
                            "tenant \"%s\" has records already; an import needs an empty one",
                            import->tenant);
}

static int begin(struct import *import, int mode, flagver_error *err)
{
    static const flagver_query series = { .kind = FLAGVER_QUERY_SERIES, .limit = 1 };
    static const flagver_query leaves = { .kind = FLAGVER_QUERY_LEAVES, .limit = 1 };
    struct fv_store *store = import->store;
    int r = FLAGVER_EBUSY, try;

    for (try = 0; r == FLAGVER_EBUSY && try < BEGIN_TRIES; try++)
        r = store->driver->begin(store->handle, fv_bytes(import->tenant), mode, &import->txn, err);
    if (r == 0)
        r = check_empty(import, &series, err);
    if (r == 0)
        r = check_empty(import, &leaves, err);
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

static int commit(struct import *import, flagver_error *err)
{
    flagver_driver_txn *txn = import->txn;
    int r;

    if (!txn)
        return 0;
    r = apply(import, err);
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
    return r == 0 ? begin(import, FLAGVER_MODE_WRITE, err) : r;
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
    int r;

    fv_arena_reset(&import->series_memory);
    import->series = *row;
    import->series.tenant = fv_bytes(import->tenant);
    import->in_force = 0;
    if (!copy(&import->series_memory, &import->series.phase) ||
        !copy(&import->series_memory, &import->series.subject))
        return fv_fail_memory(err);
    r = lock_series(import, err);
    if (r == 0 && row->last_no == 0)
        r = change_series(import, 0, 0, 0, row->rev, err);
    return r;
}

/* ---- versions ---- */

static int add_payload(struct import *import, const flagver_version_row *version,
                       flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_PAYLOAD };
    flagver_payload_row *row = fv_arena_allocate_zeroed(&import->batch, 1, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    row->id = version->payload_id;
    row->key = version->payload_key;
    row->salt = version->payload_salt;
    row->body = version->payload;
    if (!copy(&import->batch, &row->salt) || !copy(&import->batch, &row->body))
        return fv_fail_memory(err);
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

/* Write the version again, one rev further. */
static int change_version(struct import *import, const flagver_version_row *version,
                          flagver_error *err)
{
    return add_version(import, FLAGVER_CHANGE_VERSION_CHANGE, version->rev - 1, version, err);
}

/*
 * States that a version went through on the way to the one it is in, the last first. It is
 * born so many revs before the one it has.
 */
static const struct {
    int count;
    int32_t before[2];
} ways[] = {
    [FLAGVER_STATE_SUBMITTED] = { 1, { FLAGVER_STATE_DRAFT } },
    [FLAGVER_STATE_APPROVED] = { 1, { FLAGVER_STATE_DRAFT } },
    [FLAGVER_STATE_SUPERSEDED] = { 2, { FLAGVER_STATE_APPROVED, FLAGVER_STATE_DRAFT } },
    [FLAGVER_STATE_REJECTED] = { 2, { FLAGVER_STATE_SUBMITTED, FLAGVER_STATE_DRAFT } },
    [FLAGVER_STATE_WITHDRAWN] = { 1, { FLAGVER_STATE_DRAFT } },
    [FLAGVER_STATE_RECORDED] = { 0, { 0 } },
};

/* The version as it was `steps` steps before it became what it is. */
static flagver_version_row earlier(const flagver_version_row *version, int steps)
{
    flagver_version_row row = *version;

    if (steps == 0)
        return row;
    row.state = ways[version->state].before[steps - 1];
    row.rev -= steps;
    row.superseded_by = 0;
    row.superseded_at = 0;
    if (row.state != FLAGVER_STATE_APPROVED) {
        row.decided_at = 0;
        row.decided_by = (flagver_bytes){ NULL, 0 };
    }
    if (row.state == FLAGVER_STATE_DRAFT)
        row.submitted_at = 0;
    return row;
}

/* The version that was in force makes room; this one takes its place. */
static int succeed(struct import *import, const flagver_version_row *version, flagver_error *err)
{
    int r = import->in_force ? change_version(import, &import->last, err) : 0;

    if (r < 0)
        return r;
    fv_arena_reset(&import->version_memory);
    import->in_force = version->no;
    import->last = *version;
    return copy_version(&import->version_memory, &import->last) ? 0 : fv_fail_memory(err);
}

static int take_version(struct import *import, const flagver_version_row *row, flagver_error *err)
{
    flagver_version_row version = *row, before;
    bool approved = row->state == FLAGVER_STATE_APPROVED || row->state == FLAGVER_STATE_SUPERSEDED;
    int last = row->state == FLAGVER_STATE_SUPERSEDED; /* that step comes with its successor */
    int64_t rev = import->series.rev - (import->series.last_no - row->no);
    int step = ways[row->state].count, r;

    version.series = import->series.id;
    r = change_series(import, row->no == 1 ? 0 : rev - 1, row->no,
                      approved || row->state == FLAGVER_STATE_RECORDED ? row->no : import->in_force,
                      rev, err);
    if (r == 0)
        r = add_payload(import, row, err);
    before = earlier(&version, step);
    if (r == 0)
        r = add_version(import, FLAGVER_CHANGE_VERSION_NEW, 0, &before, err);
    if (r == 0 && approved)
        r = succeed(import, &version, err);
    while (r == 0 && step-- > last) {
        before = earlier(&version, step);
        r = change_version(import, &before, err);
    }
    return r;
}

/* ---- leaves ---- */

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

static int take_leaf(struct import *import, const flagver_leaf_row *leaf, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_LEAF };
    flagver_leaf_row *row = fv_arena_allocate(&import->batch, sizeof *row);
    int r = lock_log(import, err);

    if (r < 0)
        return r;
    if (!row)
        return fv_fail_memory(err);
    *row = *leaf;
    row->tenant = fv_bytes(import->tenant);
    if (!copy(&import->batch, &row->leaf))
        return fv_fail_memory(err);
    change.row.leaf = row;
    return add(import, &change, err);
}

/* ---- the whole ---- */

static int take(void *data, const struct fv_transfer *line, flagver_error *err)
{
    struct import *import = data;

    switch (line->kind) {
    case FV_TRANSFER_TENANT:
        return take_tenant(import, line->as.tenant.name, err);
    case FV_TRANSFER_SERIES:
        return take_series(import, &line->as.series, err);
    case FV_TRANSFER_VERSION:
        return take_version(import, &line->as.version, err);
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
    const struct fv_name *name = import->tenants.names, *end = name + import->tenants.count;
    int r = 0;

    for (; r == 0 && name < end; name++) {
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
    return r == 0 ? write_store(import, lines, err) : r;
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
    return import;
}

static void free_import(struct import *import)
{
    fv_store_release(import->store);
    fv_map_clear(&import->tenants);
    fv_arena_clear(&import->batch);
    fv_arena_clear(&import->series_memory);
    fv_arena_clear(&import->version_memory);
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
