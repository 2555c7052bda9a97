#include <inttypes.h>
#include <string.h>

#include "engine/audit.h"
#include "engine/idmap_copy.h"
#include "engine/portion.h"
#include "engine/rows.h"
#include "util/fail.h"

#define MARK_SIZE \
    16 /* of a digest: nobody is to be deceived, only what went wrong is to be found */

/* What a store has of a tenant: a mark for each series with all that belongs to it. */
struct sketch {
    struct fv_digest *digest;
    struct fv_text line, name; /* of the series at hand: phase "subject" */
    bool in_series;
    uint8_t (*marks)[MARK_SIZE];
    size_t count, capacity;
    const struct sketch *model; /* that it has to be like; or NULL */
};

static int init_sketch(struct sketch *sketch, struct fv_crypto *crypto, const struct sketch *model,
                       flagver_error *err)
{
    *sketch = (struct sketch){
        .digest = fv_digest_new(crypto), .line = FV_TEXT_INIT, .name = FV_TEXT_INIT, .model = model
    };
    return sketch->digest ? 0 : fv_fail_memory(err);
}

static void clear_sketch(struct sketch *sketch)
{
    fv_digest_free(sketch->digest);
    fv_text_clear(&sketch->line);
    fv_text_clear(&sketch->name);
    fv_release(NULL, sketch->marks);
}

/* ---- rows ---- */

static bool is_like_model(const struct sketch *sketch)
{
    size_t last = sketch->count - 1;

    return !sketch->model ||
           (last < sketch->model->count &&
            memcmp(sketch->marks[last], sketch->model->marks[last], MARK_SIZE) == 0);
}

static int finish_series(struct sketch *sketch, flagver_error *err)
{
    uint8_t hash[FV_DIGEST_SIZE];

    if (!sketch->in_series)
        return 0;
    sketch->in_series = false;
    if (!fv_digest_end(sketch->digest, hash) ||
        !fv_grow(NULL, (void **)&sketch->marks, &sketch->capacity, sketch->count,
                 sizeof *sketch->marks))
        return fv_fail_memory(err);
    memcpy(sketch->marks[sketch->count++], hash, MARK_SIZE);
    return is_like_model(sketch)
               ? 0
               : fv_fail(err, FLAGVER_ECONFLICT,
                         "the records are not those of the source from %s on", sketch->name.data);
}

static int begin_series(struct sketch *sketch, const flagver_series_row *row, flagver_error *err)
{
    int r = finish_series(sketch, err);

    if (r < 0)
        return r;
    sketch->in_series = true;
    fv_digest_start(sketch->digest);
    fv_text_reset(&sketch->name);
    fv_text_format(&sketch->name, "%.*s \"%.*s\"", (int)row->phase.length,
                   (const char *)row->phase.data, (int)row->subject.length,
                   (const char *)row->subject.data);
    return sketch->name.failed ? fv_fail_memory(err) : 0;
}

static int add_line(struct sketch *sketch, const struct fv_transfer *line, flagver_error *err)
{
    int r;

    fv_text_reset(&sketch->line);
    r = fv_transfer_write(&sketch->line, line, err);
    if (r == 0)
        fv_digest_add(sketch->digest, sketch->line.data, sketch->line.length + 1);
    return r;
}

static int take_row(void *data, const struct fv_transfer *line, flagver_error *err)
{
    struct sketch *sketch = data;
    int r = line->kind == FV_TRANSFER_SERIES ? begin_series(sketch, &line->as.series, err) : 0;

    return r < 0 ? r : add_line(sketch, line, err);
}

static int refuse_stray(void *data, const char *words, flagver_error *err)
{
    (void)data;
    return fv_fail(err, FLAGVER_ECORRUPT, "%s", words);
}

static int sketch_rows(struct sketch *sketch, struct fv_read *read, flagver_error *err)
{
    const struct fv_rows_visitor visitor = { take_row, refuse_stray, sketch };
    int r = fv_rows_walk(read, &visitor, err);

    if (r == 0)
        r = finish_series(sketch, err);
    if (r == 0 && sketch->model && sketch->count != sketch->model->count)
        r = fv_fail(err, FLAGVER_ECONFLICT, "there are %zu records, and %zu in the source",
                    sketch->count, sketch->model->count);
    return r;
}

/* ---- the log ---- */

/* The bytes: that the hashes beside them are the same is known by then. */
static int digest_leaves(struct sketch *sketch, struct fv_read *read, uint8_t out[FV_DIGEST_SIZE],
                         flagver_error *err)
{
    static const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES };
    struct fv_transfer line = { .kind = FV_TRANSFER_LEAF };
    flagver_row row;
    int r = fv_read_scan(read, &query, err);

    fv_digest_start(sketch->digest);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0) {
        line.as.leaf = row.as.leaf;
        r = add_line(sketch, &line, err);
    }
    if (r < 0)
        return r;
    return fv_digest_end(sketch->digest, out) ? 0 : fv_fail_memory(err);
}

static int read_root(struct fv_read *read, uint64_t *ret_size, uint8_t root[FV_DIGEST_SIZE],
                     flagver_error *err)
{
    struct fv_digest *digest = fv_digest_new(read->store->crypto);
    struct fv_frontier frontier;
    int r = digest ? fv_audit_frontier(read, digest, NULL, NULL, &frontier, err)
                   : fv_fail_memory(err);

    if (r == 0 && !fv_frontier_root(&frontier, digest, root))
        r = fv_fail_memory(err);
    fv_digest_free(digest);
    if (r == 0)
        *ret_size = frontier.size;
    return r;
}

static int compare_logs(struct fv_read *source, struct fv_read *target,
                        uint8_t ret_root[FV_DIGEST_SIZE], flagver_error *err)
{
    uint8_t root[FV_DIGEST_SIZE];
    uint64_t size, other;
    int r = read_root(source, &size, ret_root, err);

    if (r == 0)
        r = read_root(target, &other, root, err);
    if (r < 0)
        return r;
    if (size != other)
        return fv_fail(err, FLAGVER_ECONFLICT,
                       "the log has %" PRIu64 " leaves, and %" PRIu64 " in the source", other,
                       size);
    if (memcmp(root, ret_root, sizeof root) != 0)
        return fv_fail(err, FLAGVER_ECONFLICT,
                       "the root of the log's %" PRIu64 " leaves is not that of the source", size);
    return 0;
}

/* ---- keys ---- */

static int compare_keys(struct fv_read *source, struct fv_read *target, flagver_error *err)
{
    struct fv_passage_keys wanted, there;
    size_t i;
    int r = fv_passage_keys_read(source, &wanted, err);

    if (r == 0) {
        r = fv_passage_keys_read(target, &there, err);
        for (i = 0; r == 0 && i < wanted.count; i++)
            if (!fv_passage_keys_have(&there, &wanted.rows[i]))
                r = fv_fail(err, FLAGVER_ECONFLICT, "data key %s is not that of the source",
                            (const char *)wanted.rows[i].key.data);
        fv_passage_keys_clear(&there);
    }
    fv_passage_keys_clear(&wanted);
    return r;
}

/* ---- all of it ---- */

static int compare_sketches(struct sketch *one, struct sketch *other, struct fv_read *source,
                            struct fv_read *target, flagver_error *err)
{
    uint8_t leaves[FV_DIGEST_SIZE], other_leaves[FV_DIGEST_SIZE];
    int r = sketch_rows(one, source, err);

    if (r == 0)
        r = sketch_rows(other, target, err);
    if (r == 0)
        r = digest_leaves(one, source, leaves, err);
    if (r == 0)
        r = digest_leaves(other, target, other_leaves, err);
    if (r == 0 && memcmp(leaves, other_leaves, sizeof leaves) != 0)
        r = fv_fail(err, FLAGVER_ECONFLICT, "the bytes of the leaves are not those of the source");
    return r;
}

static int compare_rows(struct fv_read *source, struct fv_read *target, flagver_error *err)
{
    struct sketch one, other;
    int r = init_sketch(&one, source->store->crypto, NULL, err);

    if (r == 0) {
        r = init_sketch(&other, source->store->crypto, &one, err);
        if (r == 0)
            r = compare_sketches(&one, &other, source, target, err);
        clear_sketch(&other);
    }
    clear_sketch(&one);
    if (r == 0)
        r = compare_keys(source, target, err);
    return r == 0 ? fv_idmap_compare(source, target, err) : r;
}

int fv_passage_compare(const struct fv_passage *passage, struct fv_read *source, bool logs_only,
                       uint8_t ret_root[FV_DIGEST_SIZE], flagver_error *err)
{
    flagver_error found = { .code = 0 };
    struct fv_read target;
    int r = fv_read_begin(&target, passage->to, passage->tenant, err);

    if (r < 0)
        return r;
    target.sealed = true;
    r = compare_logs(source, &target, ret_root, &found);
    if (r == 0 && !logs_only)
        r = compare_rows(source, &target, &found);
    fv_read_end(&target);
    if (r == FLAGVER_ECONFLICT)
        return fv_fail(err, r, "tenant \"%s\" of %.300s: %.600s", passage->tenant,
                       passage->to->shown, found.message);
    if (r < 0 && err)
        *err = found;
    return r;
}
