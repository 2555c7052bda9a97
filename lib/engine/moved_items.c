#include <string.h>

#include "engine/mover.h"
#include "util/fail.h"

/* ---- what is there ---- */

static bool keep_item(struct fv_mover *mover, flagver_item_row *row)
{
    return fv_mover_keep(mover, &row->key) && fv_mover_keep(mover, &row->decided_by) &&
           fv_mover_keep(mover, &row->note) && fv_mover_keep(mover, &row->payload) &&
           fv_mover_keep(mover, &row->payload_salt);
}

static int add_row(struct fv_moved_items *items, const flagver_item_row *row, flagver_error *err)
{
    if (!fv_grow(NULL, (void **)&items->rows, &items->capacity, items->count, sizeof *items->rows))
        return fv_fail_memory(err);
    items->rows[items->count++] = *row;
    return 0;
}

static int read_items(struct fv_mover *mover, struct fv_read *read,
                      const struct fv_moved_version *version, bool payloads,
                      struct fv_moved_items *items, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_ITEMS,
                                  .id = version->row.series,
                                  .no = version->row.no,
                                  .payload = payloads };
    flagver_row row;
    int r;

    if (items->known)
        return 0;
    r = fv_read_scan(read, &query, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0)
        r = keep_item(mover, &row.as.item) ? add_row(items, &row.as.item, err)
                                           : fv_fail_memory(err);
    items->known = r == 0;
    return r;
}

/* An item of the source with its payload: those of a newborn version came with theirs. */
static int read_payload(struct fv_mover *mover, const struct fv_moved_version *version,
                        flagver_item_row *item, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_ITEMS,
                                  .id = item->series,
                                  .no = item->no,
                                  .subject = item->key,
                                  .payload = 1 };
    flagver_row row;
    int r;

    if (version->born)
        return 0;
    r = fv_mover_find(mover->source, &query, &row, err);
    if (r <= 0)
        return r < 0 ? r
                     : fv_fail(err, FLAGVER_ECORRUPT, "item \"%s\" is not there any more",
                               (const char *)item->key.data);
    item->payload = row.as.item.payload;
    item->payload_salt = row.as.item.payload_salt;
    item->payload_key = row.as.item.payload_key;
    return fv_mover_keep(mover, &item->payload) && fv_mover_keep(mover, &item->payload_salt)
               ? 0
               : fv_fail_memory(err);
}

/* ---- changes ---- */

static int stage(struct fv_mover *mover, int32_t kind, const flagver_item_row *row,
                 flagver_error *err)
{
    flagver_change change = { .kind = kind };
    flagver_item_row *kept = fv_arena_allocate(&mover->arena, sizeof *kept);

    if (!kept)
        return fv_fail_memory(err);
    *kept = *row;
    kept->payload = kept->payload_salt = (flagver_bytes){ NULL, 0 };
    kept->payload_key = 0;
    change.row.item = kept;
    return fv_mover_stage(mover, &change, err);
}

static bool is_same_text(flagver_bytes a, flagver_bytes b)
{
    return (a.data != NULL) == (b.data != NULL) && a.length == b.length &&
           (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static bool is_same_decision(const flagver_item_row *a, const flagver_item_row *b)
{
    return a->status == b->status && a->origin_no == b->origin_no &&
           a->decided_at == b->decided_at && is_same_text(a->decided_by, b->decided_by) &&
           is_same_text(a->note, b->note);
}

static int write_new(struct fv_mover *mover, const struct fv_moved_version *version,
                     const flagver_item_row *item, flagver_error *err)
{
    flagver_item_row row = *item;
    flagver_payload_row payload;
    int r = read_payload(mover, version, &row, err);

    if (r < 0)
        return r;
    payload = (flagver_payload_row){ row.payload_id, row.payload_key, row.payload_salt,
                                     row.payload };
    r = fv_mover_payload(mover, &payload, err);
    if (r == 0)
        r = stage(mover, FLAGVER_CHANGE_ITEM, &row, err);
    if (r == 0 && !row.payload.data)
        r = fv_mover_shred(mover, &row.payload_id, err);
    return r;
}

static int remove_old(struct fv_mover *mover, const flagver_item_row *item, flagver_error *err)
{
    int r = stage(mover, FLAGVER_CHANGE_ITEM_DELETE, item, err);

    return r < 0 ? r : fv_mover_shred(mover, &item->payload_id, err);
}

/* ---- the one and the other ---- */

/* Items of the target on their way to those of the source, in order of keys. */
struct merge {
    struct fv_mover *mover;
    const struct fv_moved_version *version;
    bool is_draft;
    struct fv_moved_items result;
};

static int only_in_source(struct merge *merge, const flagver_item_row *item, flagver_error *err)
{
    int r;

    if (!merge->is_draft)
        return 0; /* it comes when the version is a draft again */
    r = write_new(merge->mover, merge->version, item, err);
    return r < 0 ? r : add_row(&merge->result, item, err);
}

static int only_in_target(struct merge *merge, const flagver_item_row *item, flagver_error *err)
{
    if (merge->is_draft)
        return remove_old(merge->mover, item, err);
    return add_row(&merge->result, item, err);
}

static int in_both(struct merge *merge, const flagver_item_row *target,
                   const flagver_item_row *source, flagver_error *err)
{
    int r = 0;

    if (memcmp(&target->payload_id, &source->payload_id, sizeof target->payload_id) != 0) {
        if (!merge->is_draft)
            return add_row(&merge->result, target, err);
        r = write_new(merge->mover, merge->version, source, err);
        if (r == 0)
            r = fv_mover_shred(merge->mover, &target->payload_id, err);
    } else if (!is_same_decision(target, source)) {
        r = stage(merge->mover, FLAGVER_CHANGE_ITEM, source, err);
    }
    return r < 0 ? r : add_row(&merge->result, source, err);
}

static int compare_keys(const flagver_item_row *a, const flagver_item_row *b)
{
    size_t shorter = a->key.length < b->key.length ? a->key.length : b->key.length;
    int order = memcmp(a->key.data, b->key.data, shorter);

    return order ? order : (a->key.length > b->key.length) - (a->key.length < b->key.length);
}

static int merge_all(struct merge *merge, const struct fv_moved_items *target,
                     const struct fv_moved_items *source, flagver_error *err)
{
    size_t t = 0, s = 0;
    int order, r = 0;

    while (r == 0 && (t < target->count || s < source->count)) {
        order = t == target->count   ? 1
                : s == source->count ? -1
                                     : compare_keys(&target->rows[t], &source->rows[s]);
        if (order < 0)
            r = only_in_target(merge, &target->rows[t], err);
        else if (order > 0)
            r = only_in_source(merge, &source->rows[s], err);
        else
            r = in_both(merge, &target->rows[t], &source->rows[s], err);
        t += order <= 0;
        s += order >= 0;
    }
    return r;
}

int fv_mover_items(struct fv_mover *mover, struct fv_moved_version *version, flagver_error *err)
{
    struct merge merge = { .mover = mover,
                           .version = version,
                           .is_draft = version->row.state == FLAGVER_STATE_DRAFT };
    int r = read_items(mover, mover->source, version, version->born, &version->source_items, err);

    if (r == 0)
        r = read_items(mover, mover->target, version, false, &version->items, err);
    if (r == 0)
        r = merge_all(&merge, &version->items, &version->source_items, err);
    if (r < 0) {
        fv_release(NULL, merge.result.rows);
        return r;
    }
    fv_release(NULL, version->items.rows);
    version->items = merge.result;
    version->items.known = true;
    return 0;
}

int fv_mover_shred_items(struct fv_mover *mover, struct fv_moved_version *version,
                         flagver_error *err)
{
    size_t i;
    int r = read_items(mover, mover->target, version, false, &version->items, err);

    for (i = 0; r == 0 && i < version->items.count; i++)
        r = fv_mover_shred(mover, &version->items.rows[i].payload_id, err);
    return r;
}
