#include "engine/feed.h"

#include <string.h>

#include "model/leaf.h"
#include "util/fail.h"

#define CHUNK 65536
#define MANY_CHANGES 2000 /* leaves: reading everything takes no longer */

void fv_harvest_init(struct fv_harvest *harvest, const flagver_allocator *memory)
{
    *harvest = (struct fv_harvest){ .memory = memory };
    fv_arena_init(&harvest->arena, memory, CHUNK);
}

void fv_harvest_clear(struct fv_harvest *harvest)
{
    fv_release(harvest->memory, harvest->records);
    fv_arena_clear(&harvest->arena);
    fv_harvest_init(harvest, harvest->memory);
}

int fv_harvest_add(struct fv_harvest *harvest, const struct fv_record *record, flagver_error *err)
{
    struct fv_record copy = *record;

    if (!fv_grow(harvest->memory, (void **)&harvest->records, &harvest->capacity, harvest->count,
                 sizeof *harvest->records))
        return fv_fail_memory(err);
    copy.key = fv_arena_string(&harvest->arena, record->key, record->key_length);
    if (record->text)
        copy.text = fv_arena_string(&harvest->arena, record->text, record->length);
    if (!copy.key || (record->text && !copy.text))
        return fv_fail_memory(err);
    harvest->records[harvest->count++] = copy;
    return 0;
}

/* ---- rows to records ---- */

static struct fv_record record_of(const flagver_version_row *row, bool is_segment)
{
    bool gone = row->bits & FLAGVER_VERSION_TOMBSTONE;

    return (struct fv_record){ .is_segment = is_segment,
                               .key = row->subject.data,
                               .key_length = row->subject.length,
                               .text = gone ? NULL : row->payload.data,
                               .length = gone ? 0 : row->payload.length,
                               .version = row->no };
}

static int add_row(struct fv_harvest *harvest, const flagver_version_row *row, bool is_segment,
                   flagver_error *err)
{
    const struct fv_record record = record_of(row, is_segment);

    return !record.text && harvest->whole ? 0 : fv_harvest_add(harvest, &record, err);
}

static int read_rows(struct fv_read *read, const flagver_query *query, bool is_segment,
                     struct fv_harvest *harvest, flagver_error *err)
{
    flagver_row row;
    int r = fv_read_scan(read, query, err);

    if (r < 0)
        return r;
    while ((r = fv_read_next(read, &row, err)) > 0) {
        r = add_row(harvest, &row.as.version, is_segment, err);
        if (r < 0)
            return r;
    }
    return r;
}

static flagver_query query_of(const char *phase, int64_t as_of)
{
    return (flagver_query){ .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = as_of ? FLAGVER_PICK_AS_OF : FLAGVER_PICK_CURRENT,
                            .phase = fv_bytes(phase),
                            .time = as_of,
                            .payload = 1,
                            .brief = 1 };
}

static int read_all(struct fv_read *read, int64_t as_of, struct fv_harvest *harvest,
                    flagver_error *err)
{
    const flagver_query segments = query_of(FLAGVER_PHASE_SEGMENT, as_of);
    const flagver_query flags = query_of(FLAGVER_PHASE_FLAG, as_of);
    int r;

    harvest->whole = true;
    r = read_rows(read, &segments, true, harvest, err);
    return r < 0 ? r : read_rows(read, &flags, false, harvest, err);
}

/* The mark's leaf, when it has that many. */
static int read_mark(struct fv_read *read, struct fv_log_mark *mark, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES,
                                  .from = mark->size - 1,
                                  .limit = 1 };
    flagver_row row;
    int r;

    memset(mark->leaf, 0, sizeof mark->leaf);
    if (mark->size == 0)
        return 0;
    r = fv_read_scan(read, &query, err);
    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r > 0)
        memcpy(mark->leaf, row.as.leaf.hash, sizeof mark->leaf);
    return r < 0 ? r : 0;
}

static int read_in(flagver_txn *txn, const char *phase, bool is_segment, struct fv_harvest *harvest,
                   flagver_error *err)
{
    const flagver_query query = query_of(phase, 0);
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(txn, cursor, &row, err)) > 0) {
        r = add_row(harvest, &row.as.version, is_segment, err);
        if (r < 0)
            break;
    }
    fv_txn_end_scan(txn, cursor);
    return r;
}

int fv_feed_in(flagver_txn *txn, struct fv_harvest *harvest, flagver_error *err)
{
    int r;

    harvest->whole = true;
    r = read_in(txn, FLAGVER_PHASE_SEGMENT, true, harvest, err);
    return r < 0 ? r : read_in(txn, FLAGVER_PHASE_FLAG, false, harvest, err);
}

int fv_feed_phase_in(flagver_txn *txn, const char *phase, struct fv_harvest *harvest,
                     flagver_error *err)
{
    harvest->whole = true;
    return read_in(txn, phase, false, harvest, err);
}

int fv_feed_phase(const struct fv_tenancy *tenancy, const char *phase, struct fv_harvest *harvest,
                  flagver_error *err)
{
    const flagver_query query = query_of(phase, 0);
    struct fv_read read;
    int r;

    harvest->whole = true;
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = read_rows(&read, &query, false, harvest, err);
    fv_read_end(&read);
    return r;
}

int fv_feed_size(const struct fv_tenancy *tenancy, uint64_t *ret_size, flagver_error *err)
{
    int r = fv_store_usable(tenancy->store, err);

    return r < 0 ? r
                 : tenancy->store->driver->changes(tenancy->store->handle,
                                                   fv_bytes(tenancy->tenant), ret_size, err);
}

int fv_feed_all(const struct fv_tenancy *tenancy, int64_t as_of, struct fv_harvest *harvest,
                flagver_error *err)
{
    struct fv_read read;
    int r;

    /* Asked before: what is read then has at least these leaves, and more do no harm. */
    r = fv_feed_size(tenancy, &harvest->mark.size, err);
    if (r < 0)
        return r;
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = read_all(&read, as_of, harvest, err);
    if (r == 0)
        r = read_mark(&read, &harvest->mark, err);
    fv_read_end(&read);
    return r;
}

int fv_feed_is_known(const struct fv_tenancy *tenancy, const struct fv_log_mark *mark,
                     bool *ret_known, flagver_error *err)
{
    struct fv_log_mark present = { .size = mark->size };
    struct fv_read read;
    int r;

    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = read_mark(&read, &present, err);
    fv_read_end(&read);
    *ret_known = r == 0 && memcmp(present.leaf, mark->leaf, sizeof mark->leaf) == 0;
    return r;
}

/* ---- all, one by one ---- */

int fv_feed_open(struct fv_feed *feed, const struct fv_tenancy *tenancy, uint64_t size,
                 flagver_error *err)
{
    const flagver_query segments = query_of(FLAGVER_PHASE_SEGMENT, 0);
    int r;

    *feed = (struct fv_feed){ .key = FV_TEXT_INIT, .text = FV_TEXT_INIT, .mark.size = size };
    r = fv_read_begin(&feed->read, tenancy->store, tenancy->tenant, err);
    return r == 0 ? fv_read_scan(&feed->read, &segments, err) : r;
}

void fv_feed_close(struct fv_feed *feed)
{
    fv_read_end(&feed->read);
    fv_text_clear(&feed->key);
    fv_text_clear(&feed->text);
}

/* The end of the segments is where the flags begin, and theirs is the end. */
static int next_row(struct fv_feed *feed, flagver_row *ret_row, flagver_error *err)
{
    const flagver_query flags = query_of(FLAGVER_PHASE_FLAG, 0);
    int r = fv_read_next(&feed->read, ret_row, err);

    if (r != 0)
        return r;
    if (feed->at_flags)
        return read_mark(&feed->read, &feed->mark, err);
    feed->at_flags = true;
    r = fv_read_scan(&feed->read, &flags, err);
    return r < 0 ? r : next_row(feed, ret_row, err);
}

/* What a driver hands out need not end in a NUL. */
static const char *copy_of(struct fv_text *text, const char *bytes, size_t length)
{
    fv_text_reset(text);
    fv_text_add_bytes(text, bytes, length);
    return text->data;
}

int fv_feed_next(void *data, struct fv_record *ret_record, flagver_error *err)
{
    struct fv_feed *feed = data;
    flagver_row row;
    int r;

    do {
        r = next_row(feed, &row, err);
        if (r <= 0)
            return r;
        *ret_record = record_of(&row.as.version, !feed->at_flags);
    } while (!ret_record->text); /* it is gone */
    ret_record->key = copy_of(&feed->key, ret_record->key, ret_record->key_length);
    ret_record->text = copy_of(&feed->text, ret_record->text, ret_record->length);
    return feed->key.failed || feed->text.failed ? fv_fail_memory(err) : 1;
}

/* ---- changes ---- */

static bool is_definition(const struct fv_audit_leaf *leaf, bool *ret_segment)
{
    static const char flag[] = FLAGVER_PHASE_FLAG, segment[] = FLAGVER_PHASE_SEGMENT;

    *ret_segment = leaf->phase.length == sizeof segment - 1 &&
                   memcmp(leaf->phase.data, segment, sizeof segment - 1) == 0;
    return *ret_segment || (leaf->phase.length == sizeof flag - 1 &&
                            memcmp(leaf->phase.data, flag, sizeof flag - 1) == 0);
}

/* The keys that leaves are about: "f" or "s" and the key, each once. */
static int note_leaf(struct fv_map *keys, struct fv_arena *arena, const flagver_leaf_row *row,
                     flagver_error *err)
{
    struct fv_audit_leaf leaf;
    bool is_segment;
    char *key;

    if (!fv_leaf_decode(row->leaf.data, row->leaf.length, &leaf))
        return fv_fail(err, FLAGVER_ECORRUPT, "leaf %llu of the audit log is malformed",
                       (unsigned long long)row->no);
    if (leaf.to != FLAGVER_STATE_APPROVED || !is_definition(&leaf, &is_segment))
        return 0;
    key = fv_arena_allocate(arena, leaf.subject.length + 1);
    if (!key)
        return fv_fail_memory(err);
    key[0] = is_segment ? 's' : 'f';
    memcpy(key + 1, leaf.subject.data, leaf.subject.length);
    return fv_map_add(keys, key, leaf.subject.length + 1) == FV_MAP_NONE ? fv_fail_memory(err) : 0;
}

/*
 * From the mark's last leaf on, which tells whether the log is the one that it is of: else
 * everything is to be read.
 */
static int read_leaves(struct fv_read *read, const struct fv_log_mark *mark, struct fv_map *keys,
                       struct fv_harvest *harvest, bool *ret_all, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES,
                                  .from = mark->size ? mark->size - 1 : 0 };
    bool known = mark->size == 0;
    flagver_row row;
    int r = fv_read_scan(read, &query, err);

    if (r < 0)
        return r;
    harvest->mark = *mark;
    while ((r = fv_read_next(read, &row, err)) > 0) {
        if (row.as.leaf.no >= mark->size)
            r = note_leaf(keys, &harvest->arena, &row.as.leaf, err);
        else
            known = memcmp(row.as.leaf.hash, mark->leaf, sizeof mark->leaf) == 0;
        if (r < 0 || !known)
            break;
        harvest->mark.size = row.as.leaf.no + 1;
        memcpy(harvest->mark.leaf, row.as.leaf.hash, sizeof harvest->mark.leaf);
    }
    *ret_all = !known;
    return r < 0 ? r : 0;
}

static int read_keys(struct fv_read *read, const struct fv_map *keys, struct fv_harvest *harvest,
                     flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .payload = 1 };
    bool is_segment;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < keys->count; i++) {
        is_segment = keys->names[i].text[0] == 's';
        query.phase = fv_bytes(is_segment ? FLAGVER_PHASE_SEGMENT : FLAGVER_PHASE_FLAG);
        query.subject = fv_bytes_of(keys->names[i].text + 1, keys->names[i].length - 1);
        r = read_rows(read, &query, is_segment, harvest, err);
    }
    return r;
}

static int read_changes(struct fv_read *read, const struct fv_log_mark *mark,
                        struct fv_harvest *harvest, bool *ret_all, flagver_error *err)
{
    struct fv_map keys;
    int r;

    fv_map_init(&keys, harvest->memory);
    r = read_leaves(read, mark, &keys, harvest, ret_all, err);
    if (r == 0 && !*ret_all)
        r = read_keys(read, &keys, harvest, err);
    fv_map_clear(&keys);
    return r;
}

int fv_feed_since(const struct fv_tenancy *tenancy, const struct fv_log_mark *mark,
                  struct fv_harvest *harvest, flagver_error *err)
{
    struct fv_read read;
    bool all = false;
    uint64_t now;
    int r;

    r = fv_feed_size(tenancy, &now, err);
    if (r < 0)
        return r;
    /* A log that got shorter is that of a restored copy. */
    if (now < mark->size || now - mark->size > MANY_CHANGES)
        return fv_feed_all(tenancy, 0, harvest, err);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = read_changes(&read, mark, harvest, &all, err);
    fv_read_end(&read);
    return r == 0 && all ? fv_feed_all(tenancy, 0, harvest, err) : r;
}
