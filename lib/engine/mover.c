#include "engine/mover.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/policies.h"
#include "flagver/audit.h"
#include "model/version.h"
#include "util/fail.h"

#define CHUNK 65536
#define AUDIT_BITS 0xffff0000u /* of a leaf: they are about the act, not the version */

int fv_mover_init(struct fv_mover *mover, struct fv_read *source, struct fv_read *target,
                  flagver_error *err)
{
    *mover = (struct fv_mover){ .source = source,
                                .target = target,
                                .digest = fv_digest_new(source->store->crypto),
                                .name = FV_TEXT_INIT };
    fv_arena_init(&mover->arena, NULL, CHUNK);
    fv_map_init(&mover->names, NULL);
    return mover->digest ? 0 : fv_fail_memory(err);
}

static void clear_items(struct fv_moved_items *items)
{
    fv_release(NULL, items->rows);
}

void fv_mover_clear(struct fv_mover *mover)
{
    struct fv_moved_version *version;
    size_t i;

    for (i = 0; i < mover->names.count; i++)
        for (version = mover->series[i]->versions; version; version = version->next) {
            clear_items(&version->items);
            clear_items(&version->source_items);
        }
    fv_release(NULL, mover->series);
    fv_release(NULL, mover->changes);
    fv_map_clear(&mover->names);
    fv_arena_clear(&mover->arena);
    fv_text_clear(&mover->name);
    fv_digest_free(mover->digest);
}

/* ---- small things ---- */

bool fv_mover_keep(struct fv_mover *mover, flagver_bytes *bytes)
{
    if (!bytes->data)
        return true;
    bytes->data = fv_arena_string(&mover->arena, bytes->data, bytes->length);
    return bytes->data != NULL;
}

int fv_mover_stage(struct fv_mover *mover, const flagver_change *change, flagver_error *err)
{
    if (!fv_grow(NULL, (void **)&mover->changes, &mover->change_capacity, mover->change_count,
                 sizeof *mover->changes))
        return fv_fail_memory(err);
    mover->changes[mover->change_count++] = *change;
    return 0;
}

int fv_mover_find(struct fv_read *read, const flagver_query *query, flagver_row *ret_row,
                  flagver_error *err)
{
    int r = fv_read_scan(read, query, err);

    return r < 0 ? r : fv_read_next(read, ret_row, err);
}

/* A row as it is staged. */
static void *keep_row(struct fv_mover *mover, const void *row, size_t size)
{
    void *kept = fv_arena_allocate(&mover->arena, size);

    if (kept)
        memcpy(kept, row, size);
    return kept;
}

/* What a leaf says cannot be, with these rows. */
static int refuse(const struct fv_audit_leaf *leaf, const char *why, flagver_error *err)
{
    const char *action = fv_action_name(leaf->action);

    return fv_fail(err, FLAGVER_ECORRUPT,
                   "leaf %" PRIu64 " (%s %.*s \"%.*s\" version %" PRIu32 "): %s", leaf->leaf_no,
                   action ? action : "?", (int)leaf->phase.length, (const char *)leaf->phase.data,
                   (int)leaf->subject.length, (const char *)leaf->subject.data, leaf->no, why);
}

static bool is_same_id(const flagver_id *a, const flagver_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* ---- payloads ---- */

/* One that is gone is written empty first; it is shredded when what refers to it is there. */
int fv_mover_payload(struct fv_mover *mover, const flagver_payload_row *row, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_PAYLOAD };
    flagver_payload_row *kept = keep_row(mover, row, sizeof *row);

    if (!kept)
        return fv_fail_memory(err);
    if (!kept->body.data)
        kept->body = fv_bytes("");
    change.row.payload = kept;
    return fv_mover_stage(mover, &change, err);
}

int fv_mover_shred(struct fv_mover *mover, const flagver_id *id, flagver_error *err)
{
    const flagver_payload_row row = { .id = *id };
    flagver_change change = { .kind = FLAGVER_CHANGE_SHRED };

    change.row.payload = keep_row(mover, &row, sizeof row);
    return change.row.payload ? fv_mover_stage(mover, &change, err) : fv_fail_memory(err);
}

/* ---- series ---- */

static bool make_name(struct fv_mover *mover, const struct fv_audit_leaf *leaf)
{
    fv_text_reset(&mover->name);
    fv_text_add_bytes(&mover->name, leaf->phase.data, leaf->phase.length);
    fv_text_add_char(&mover->name, '\n');
    fv_text_add_bytes(&mover->name, leaf->subject.data, leaf->subject.length);
    return !mover->name.failed;
}

static int add_series(struct fv_mover *mover, const struct fv_audit_leaf *leaf, flagver_error *err)
{
    struct fv_moved_series *series = fv_arena_allocate_zeroed(&mover->arena, 1, sizeof *series);
    size_t before = mover->names.count;
    uint32_t number;

    if (!series || !fv_grow(NULL, (void **)&mover->series, &mover->series_capacity, before,
                            sizeof *mover->series))
        return fv_fail_memory(err);
    series->row.tenant = fv_bytes(mover->target->tenant);
    series->row.phase = leaf->phase;
    series->row.subject = leaf->subject;
    if (!fv_mover_keep(mover, &series->row.phase) || !fv_mover_keep(mover, &series->row.subject))
        return fv_fail_memory(err);
    number = make_name(mover, leaf)
                 ? fv_map_add(&mover->names, mover->name.data, mover->name.length)
                 : FV_MAP_NONE;
    if (number == FV_MAP_NONE)
        return fv_fail_memory(err);
    if (number == before)
        mover->series[number] = series;
    return 0;
}

static int compare(flagver_bytes a, flagver_bytes b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_series(const void *a, const void *b)
{
    const flagver_series_row *one = &(*(struct fv_moved_series *const *)a)->row;
    const flagver_series_row *two = &(*(struct fv_moved_series *const *)b)->row;
    int order = compare(one->phase, two->phase);

    return order ? order : compare(one->subject, two->subject);
}

/* What the target has of a series; of one that is new nothing. */
static void take_row(struct fv_moved_series *series, const flagver_series_row *row)
{
    const flagver_series_row named = series->row; /* the texts are the driver's */

    series->row = *row;
    series->row.tenant = named.tenant;
    series->row.phase = named.phase;
    series->row.subject = named.subject;
}

/* All at once, in the order that the driver asks for. */
static int lock_rows(struct fv_mover *mover, struct fv_moved_series **ordered,
                     flagver_series_row *rows, flagver_error *err)
{
    size_t count = mover->names.count, i;
    int r;

    memcpy(ordered, mover->series, count * sizeof(struct fv_moved_series *));
    qsort(ordered, count, sizeof(struct fv_moved_series *), compare_series);
    for (i = 0; i < count; i++)
        rows[i] = ordered[i]->row;
    r = mover->target->store->driver->lock(mover->target->txn, rows, count, 0, err);
    for (i = 0; r == 0 && i < count; i++)
        take_row(ordered[i], &rows[i]);
    return r;
}

static int read_source(struct fv_mover *mover, struct fv_moved_series *series, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_SERIES,
                                  .phase = series->row.phase,
                                  .subject = series->row.subject };
    flagver_row row;
    int r = fv_mover_find(mover->source, &query, &row, err);

    if (r < 0)
        return r;
    if (r == 0)
        return fv_fail(
            err, FLAGVER_ECORRUPT, "%s \"%s\" is in the log, and there is no such record",
            (const char *)series->row.phase.data, (const char *)series->row.subject.data);
    series->source = row.as.series;
    if (series->row.rev && !is_same_id(&series->row.id, &series->source.id))
        return fv_fail(
            err, FLAGVER_ECONFLICT, "%s \"%s\" of the target is another one than the source's",
            (const char *)series->row.phase.data, (const char *)series->row.subject.data);
    series->row.id = series->source.id;
    return 0;
}

int fv_mover_lock(struct fv_mover *mover, const struct fv_audit_leaf *leaves, size_t count,
                  flagver_error *err)
{
    struct fv_moved_series **ordered;
    flagver_series_row *rows;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < count; i++)
        r = add_series(mover, &leaves[i], err);
    if (r < 0)
        return r;
    ordered = fv_arena_allocate(&mover->arena, mover->names.count * sizeof *ordered);
    rows = fv_arena_allocate(&mover->arena, mover->names.count * sizeof *rows);
    if (!ordered || !rows)
        return fv_fail_memory(err);
    r = lock_rows(mover, ordered, rows, err);
    for (i = 0; r == 0 && i < mover->names.count; i++)
        r = read_source(mover, mover->series[i], err);
    return r;
}

static int change_series(struct fv_mover *mover, struct fv_moved_series *series, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_SERIES, .expect = series->row.rev };

    series->row.rev++;
    series->pending = keep_row(mover, &series->row, sizeof series->row);
    series->owed = false;
    change.row.series = series->pending;
    return series->pending ? fv_mover_stage(mover, &change, err) : fv_fail_memory(err);
}

/* Added to the last change of these leaves, if there is one: each costs a number. */
static void touch(struct fv_moved_series *series, const struct fv_audit_leaf *leaf)
{
    series->row.changed_at = leaf->time;
    if (!series->pending) {
        series->owed = true;
        return;
    }
    series->pending->changed_at = leaf->time;
    series->pending->current_no = series->row.current_no;
}

static bool is_complete(const struct fv_moved_series *series)
{
    return series->row.last_no == series->source.last_no &&
           series->row.changed_at == series->source.changed_at;
}

/* Every version that is still to come takes a change, and so does what follows the last one. */
static bool has_enough(const struct fv_moved_series *series)
{
    int64_t left = series->source.rev - series->row.rev - series->owed;
    uint32_t births = series->source.last_no - series->row.last_no;

    return is_complete(series) || left >= (births ? births : 1);
}

bool fv_mover_may_stop(const struct fv_mover *mover)
{
    size_t i;

    for (i = 0; i < mover->names.count; i++)
        if ((mover->series[i]->pending || mover->series[i]->owed) && !has_enough(mover->series[i]))
            return false;
    return true;
}

/* ---- versions ---- */

static bool keep_version(struct fv_mover *mover, flagver_version_row *row)
{
    row->tenant = row->phase = row->subject = (flagver_bytes){ NULL, 0 };
    return fv_mover_keep(mover, &row->created_by) && fv_mover_keep(mover, &row->decided_by) &&
           fv_mover_keep(mover, &row->note) && fv_mover_keep(mover, &row->payload) &&
           fv_mover_keep(mover, &row->payload_salt);
}

static int read_version(struct fv_mover *mover, struct fv_read *read,
                        const struct fv_moved_series *series, uint32_t no, bool payload,
                        flagver_version_row *ret_row, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_NUMBER,
                                  .phase = series->row.phase,
                                  .subject = series->row.subject,
                                  .no = no,
                                  .payload = payload };
    flagver_row row;
    int r = fv_mover_find(read, &query, &row, err);

    if (r < 0)
        return r;
    if (r == 0)
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "%s \"%s\" version %" PRIu32 " is in the log, and there is no such version",
                       (const char *)series->row.phase.data, (const char *)series->row.subject.data,
                       no);
    *ret_row = row.as.version;
    return keep_version(mover, ret_row) ? 0 : fv_fail_memory(err);
}

static struct fv_moved_version *add_version(struct fv_mover *mover, struct fv_moved_series *series)
{
    struct fv_moved_version *version = fv_arena_allocate_zeroed(&mover->arena, 1, sizeof *version);

    if (!version)
        return NULL;
    version->next = series->versions;
    series->versions = version;
    return version;
}

static struct fv_moved_version *known_version(const struct fv_moved_series *series, uint32_t no)
{
    struct fv_moved_version *version = series->versions;

    while (version && version->row.no != no)
        version = version->next;
    return version;
}

static int add_read(struct fv_mover *mover, struct fv_moved_series *series,
                    const flagver_version_row *row, struct fv_moved_version **ret_version,
                    flagver_error *err)
{
    *ret_version = add_version(mover, series);
    if (!*ret_version)
        return fv_fail_memory(err);
    (*ret_version)->row = *row;
    return 0;
}

/* As the target has it. */
static int find_version(struct fv_mover *mover, struct fv_moved_series *series, uint32_t no,
                        struct fv_moved_version **ret_version, flagver_error *err)
{
    flagver_version_row row;
    int r;

    *ret_version = known_version(series, no);
    if (*ret_version)
        return 0;
    r = read_version(mover, mover->target, series, no, false, &row, err);
    return r < 0 ? r : add_read(mover, series, &row, ret_version, err);
}

/* The version as the source has it, with its payload. */
static int find_source(struct fv_mover *mover, const struct fv_moved_series *series,
                       struct fv_moved_version *version, flagver_error *err)
{
    return version->source.no ? 0
                              : read_version(mover, mover->source, series, version->row.no, true,
                                             &version->source, err);
}

static int stage_version(struct fv_mover *mover, const flagver_version_row *row, int32_t kind,
                         int64_t expect, flagver_error *err)
{
    flagver_change change = { .kind = kind, .expect = expect };
    flagver_version_row *kept = keep_row(mover, row, sizeof *row);

    if (!kept)
        return fv_fail_memory(err);
    kept->payload = kept->payload_salt = (flagver_bytes){ NULL, 0 };
    kept->payload_key = 0;
    change.row.version = kept;
    return fv_mover_stage(mover, &change, err);
}

static int stage_content(struct fv_mover *mover, const flagver_version_row *source,
                         flagver_error *err)
{
    const flagver_payload_row payload = { source->payload_id, source->payload_key,
                                          source->payload_salt, source->payload };

    return fv_mover_payload(mover, &payload, err);
}

/* ---- a version is born ---- */

/* The hash of a content without items is that of salt and payload: then nobody need look for any. */
static int may_have_items(struct fv_mover *mover, const flagver_version_row *source, bool *ret_may,
                          flagver_error *err)
{
    uint8_t hash[FV_DIGEST_SIZE];

    *ret_may = true;
    if (!source->payload.data || source->payload_key)
        return 0;
    fv_digest_start(mover->digest);
    fv_digest_add(mover->digest, source->payload.data, source->payload.length);
    if (!fv_digest_end(mover->digest, hash))
        return fv_fail_memory(err);
    *ret_may = memcmp(hash, source->content_hash, sizeof hash) != 0;
    return 0;
}

/* In the state that the leaf says, with the content that the source has. */
static void be_born(struct fv_moved_version *version, const struct fv_moved_series *series,
                    const struct fv_audit_leaf *leaf)
{
    const flagver_version_row *source = &version->source;

    version->row = (flagver_version_row){ .series = series->row.id,
                                          .id = source->id,
                                          .no = leaf->no,
                                          .parent_no = leaf->parent_no,
                                          .base_no = leaf->base_no,
                                          .reverts_no = leaf->reverts_no,
                                          .state = leaf->to,
                                          .bits = leaf->bits & ~AUDIT_BITS,
                                          .rev = leaf->rev,
                                          .created_at = leaf->time,
                                          .created_by = leaf->actor,
                                          .note = source->note,
                                          .payload_id = source->payload_id };
    memcpy(version->row.content_hash, source->content_hash, FV_DIGEST_SIZE);
    version->born = version->has_content = version->knows_authors = true;
    version->items.known = true; /* it has none yet */
}

static int stage_birth(struct fv_mover *mover, struct fv_moved_series *series,
                       struct fv_moved_version *version, flagver_error *err)
{
    const flagver_version_row *source = &version->source;
    bool has_items = true;
    int r = change_series(mover, series, err);

    if (r == 0)
        r = stage_content(mover, source, err);
    if (r == 0)
        r = stage_version(mover, &version->row, FLAGVER_CHANGE_VERSION_NEW, 0, err);
    if (r == 0)
        r = may_have_items(mover, source, &has_items, err);
    if (r < 0)
        return r;
    version->source_items.known = !has_items;
    if (version->row.state == FLAGVER_STATE_DRAFT)
        r = fv_mover_items(mover, version, err);
    if (r == 0 && !source->payload.data)
        r = fv_mover_shred(mover, &source->payload_id, err);
    return r;
}

static int bear(struct fv_mover *mover, struct fv_moved_series *series,
                const struct fv_audit_leaf *leaf, flagver_error *err)
{
    struct fv_moved_version *version;
    int r;

    if (leaf->no != series->row.last_no + 1)
        return refuse(leaf, "it is not the next version of the series", err);
    version = add_version(mover, series);
    if (!version)
        return fv_fail_memory(err);
    r = read_version(mover, mover->source, series, leaf->no, true, &version->source, err);
    if (r < 0)
        return r;
    be_born(version, series, leaf);
    series->row.last_no = leaf->no;
    series->row.changed_at = leaf->time;
    if (leaf->action == FV_ACTION_RECORD)
        series->row.current_no = leaf->no;
    return stage_birth(mover, series, version, err);
}

/* ---- authors and votes ---- */

static bool is_author(const struct fv_moved_version *version, flagver_bytes actor)
{
    const struct fv_moved_author *author = version->authors;

    while (author && compare(author->actor, actor) != 0)
        author = author->next;
    return author || compare(version->row.created_by, actor) == 0;
}

static int add_author(struct fv_mover *mover, struct fv_moved_version *version, flagver_bytes actor,
                      flagver_error *err)
{
    struct fv_moved_author *author = fv_arena_allocate(&mover->arena, sizeof *author);

    if (!author)
        return fv_fail_memory(err);
    *author = (struct fv_moved_author){ actor, version->authors };
    version->authors = author;
    return fv_mover_keep(mover, &author->actor) ? 0 : fv_fail_memory(err);
}

static int find_authors(struct fv_mover *mover, struct fv_moved_version *version,
                        flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_CONTRIBUTORS,
                                  .id = version->row.series,
                                  .no = version->row.no };
    flagver_row row;
    int r;

    if (version->knows_authors)
        return 0;
    version->knows_authors = true;
    r = fv_read_scan(mover->target, &query, err);
    while (r >= 0 && (r = fv_read_next(mover->target, &row, err)) > 0)
        r = add_author(mover, version, row.as.contributor.actor, err);
    return r;
}

static int contribute(struct fv_mover *mover, struct fv_moved_version *version, flagver_bytes actor,
                      flagver_error *err)
{
    const flagver_contributor_row row = { version->row.series, version->row.no, actor };
    flagver_change change = { .kind = FLAGVER_CHANGE_CONTRIBUTOR };
    int r = find_authors(mover, version, err);

    if (r < 0 || is_author(version, actor))
        return r;
    change.row.contributor = keep_row(mover, &row, sizeof row);
    if (!change.row.contributor)
        return fv_fail_memory(err);
    r = add_author(mover, version, actor, err);
    return r < 0 ? r : fv_mover_stage(mover, &change, err);
}

/* The rest of the vote is in the leaf. */
static int find_note(struct fv_mover *mover, flagver_vote_row *vote,
                     const struct fv_audit_leaf *leaf, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VOTES, .id = vote->series, .no = vote->no };
    flagver_row row;
    int r;

    if (!fv_leaf_has_note(leaf))
        return 0;
    r = fv_read_scan(mover->source, &query, err);
    while (r >= 0 && (r = fv_read_next(mover->source, &row, err)) > 0) {
        if (compare(row.as.vote.actor, vote->actor) != 0 ||
            memcmp(row.as.vote.content_hash, vote->content_hash, FV_DIGEST_SIZE) != 0)
            continue;
        vote->note = row.as.vote.note;
        return fv_mover_keep(mover, &vote->note) ? 0 : fv_fail_memory(err);
    }
    return r < 0 ? r : refuse(leaf, "the vote is missing", err);
}

static int vote(struct fv_mover *mover, const struct fv_moved_version *version,
                const struct fv_audit_leaf *leaf, flagver_error *err)
{
    flagver_vote_row row = { .series = version->row.series,
                             .no = version->row.no,
                             .actor = leaf->actor,
                             .time = leaf->time };
    flagver_change change = { .kind = FLAGVER_CHANGE_VOTE };
    int r;

    memcpy(row.content_hash, leaf->content_hash, FV_DIGEST_SIZE);
    r = find_note(mover, &row, leaf, err);
    if (r < 0)
        return r;
    change.row.vote = keep_row(mover, &row, sizeof row);
    return change.row.vote ? fv_mover_stage(mover, &change, err) : fv_fail_memory(err);
}

/* ---- a draft is edited ---- */

/* The old payload is gone once nothing refers to it any more. */
struct edit {
    bool has_old;
    flagver_id old;
};

static int edit(struct fv_mover *mover, const struct fv_moved_series *series,
                struct fv_moved_version *version, const struct fv_audit_leaf *leaf,
                struct edit *ret_edit, flagver_error *err)
{
    flagver_version_row *row = &version->row;
    int r = contribute(mover, version, leaf->actor, err);

    if (r < 0 || version->has_content)
        return r;
    version->has_content = true;
    r = find_source(mover, series, version, err);
    if (r == 0)
        r = fv_mover_items(mover, version, err);
    if (r < 0)
        return r;
    memcpy(row->content_hash, version->source.content_hash, FV_DIGEST_SIZE);
    if (is_same_id(&row->payload_id, &version->source.payload_id))
        return 0;
    *ret_edit = (struct edit){ true, row->payload_id };
    row->payload_id = version->source.payload_id;
    return stage_content(mover, &version->source, err);
}

static int finish_edit(struct fv_mover *mover, const struct fv_moved_version *version,
                       const struct edit *edit, flagver_error *err)
{
    int r = edit->has_old ? fv_mover_shred(mover, &edit->old, err) : 0;

    if (r == 0 && edit->has_old && !version->source.payload.data)
        r = fv_mover_shred(mover, &version->source.payload_id, err);
    return r;
}

/* ---- other leaves ---- */

static bool comes_into_force(const struct fv_moved_version *version,
                             const struct fv_audit_leaf *leaf)
{
    return leaf->to == FLAGVER_STATE_APPROVED && version->row.state != FLAGVER_STATE_APPROVED;
}

static int change_version(struct fv_mover *mover, struct fv_moved_version *version, int64_t rev,
                          flagver_error *err)
{
    int64_t before = version->row.rev;

    version->row.rev = rev;
    return stage_version(mover, &version->row, FLAGVER_CHANGE_VERSION_CHANGE, before, err);
}

/*
 * The version that is in force until this leaf. What is superseded never changes, so the source
 * says what it was before, and the target, which may be far away, need not be asked for each.
 */
static int find_superseded(struct fv_mover *mover, struct fv_moved_series *series,
                           const struct fv_audit_leaf *leaf, struct fv_moved_version **ret_version,
                           flagver_error *err)
{
    flagver_version_row row;
    int r;

    *ret_version = known_version(series, leaf->supersedes);
    if (*ret_version)
        return 0;
    r = read_version(mover, mover->source, series, leaf->supersedes, false, &row, err);
    if (r < 0)
        return r;
    if (row.state != FLAGVER_STATE_SUPERSEDED || row.superseded_by != leaf->no)
        return refuse(leaf, "what it supersedes does not say so", err);
    row.rev--;
    return add_read(mover, series, &row, ret_version, err);
}

/* The version in force makes room. */
static int supersede(struct fv_mover *mover, struct fv_moved_series *series,
                     const struct fv_audit_leaf *leaf, flagver_error *err)
{
    struct fv_moved_version *old;
    int r;

    if (leaf->supersedes != series->row.current_no)
        return refuse(leaf, "another version was in force", err);
    mover->changed[fv_form_of(series->row.phase.data)] = true;
    series->row.current_no = leaf->no;
    if (!leaf->supersedes)
        return 0;
    r = find_superseded(mover, series, leaf, &old, err);
    if (r < 0)
        return r;
    old->row.state = FLAGVER_STATE_SUPERSEDED;
    old->row.superseded_by = leaf->no;
    old->row.superseded_at = leaf->time;
    return change_version(mover, old, old->row.rev + 1, err);
}

static int settle_items(struct fv_mover *mover, struct fv_moved_version *version,
                        flagver_error *err)
{
    if (!version->undecided)
        return 0;
    version->undecided = false;
    return fv_mover_items(mover, version, err);
}

/* The columns that the leaf changes. */
static int move(struct fv_mover *mover, struct fv_moved_series *series,
                struct fv_moved_version *version, const struct fv_audit_leaf *leaf,
                flagver_error *err)
{
    flagver_version_row *row = &version->row;
    int r = comes_into_force(version, leaf) ? supersede(mover, series, leaf, err) : 0;

    if (r == 0 && fv_leaf_keeps_note(leaf))
        r = find_source(mover, series, version, err);
    if (r < 0)
        return r;
    if (fv_leaf_keeps_note(leaf))
        row->note = version->source.note;
    if (leaf->action == FV_ACTION_SUBMIT)
        row->submitted_at = leaf->time;
    if (leaf->action == FV_ACTION_RETURN)
        row->submitted_at = 0;
    if (leaf->action == FV_ACTION_REJECT || comes_into_force(version, leaf)) {
        row->decided_at = leaf->time;
        row->decided_by = leaf->actor;
    }
    row->state = leaf->to;
    row->bits = leaf->bits & ~AUDIT_BITS;
    row->base_no = leaf->base_no;
    return change_version(mover, version, leaf->rev, err);
}

static int shred(struct fv_mover *mover, struct fv_moved_version *version, flagver_error *err)
{
    int r = fv_mover_shred_items(mover, version, err);

    return r < 0 ? r : fv_mover_shred(mover, &version->row.payload_id, err);
}

/* What is done beside the version's own row: before it, while it is in the state that it is in. */
static int act(struct fv_mover *mover, struct fv_moved_series *series,
               struct fv_moved_version *version, const struct fv_audit_leaf *leaf,
               struct edit *ret_edit, flagver_error *err)
{
    int r = leaf->to != leaf->from ? settle_items(mover, version, err) : 0;

    if (r < 0)
        return r;
    switch (leaf->action) {
    case FV_ACTION_EDIT:
        return edit(mover, series, version, leaf, ret_edit, err);
    case FV_ACTION_APPROVE:
    case FV_ACTION_REVIEW:
        return vote(mover, version, leaf, err);
    case FV_ACTION_SHRED:
        return shred(mover, version, err);
    case FV_ACTION_DECIDE:
        version->undecided = true;
        return 0;
    default:
        return 0;
    }
}

static int carry_on(struct fv_mover *mover, struct fv_moved_series *series,
                    const struct fv_audit_leaf *leaf, flagver_error *err)
{
    struct fv_moved_version *version;
    struct edit edited = { .has_old = false };
    int r = find_version(mover, series, leaf->no, &version, err);

    if (r < 0)
        return r;
    if (leaf->from != version->row.state)
        return refuse(leaf, "the version is not in the state that it says", err);
    r = act(mover, series, version, leaf, &edited, err);
    if (r == 0 && leaf->action != FV_ACTION_REVIEW && leaf->action != FV_ACTION_SHRED)
        r = move(mover, series, version, leaf, err);
    if (r == 0)
        r = finish_edit(mover, version, &edited, err);
    touch(series, leaf);
    return r;
}

int fv_mover_leaf(struct fv_mover *mover, const struct fv_audit_leaf *leaf, flagver_error *err)
{
    uint32_t number;

    if (!make_name(mover, leaf))
        return fv_fail_memory(err);
    number = fv_map_find(&mover->names, mover->name.data, mover->name.length);
    if (leaf->action == FV_ACTION_CREATE || leaf->action == FV_ACTION_RECORD)
        return bear(mover, mover->series[number], leaf, err);
    return carry_on(mover, mover->series[number], leaf, err);
}

/* ---- the end ---- */

static int finish_versions(struct fv_mover *mover, struct fv_moved_series *series,
                           flagver_error *err)
{
    struct fv_moved_version *version;
    int r = 0;

    for (version = series->versions; r == 0 && version; version = version->next)
        r = settle_items(mover, version, err);
    return r;
}

/* Where the leaves have come as far as the source, so has the count of changes. */
static int finish_series(struct fv_mover *mover, struct fv_moved_series *series, flagver_error *err)
{
    int r = finish_versions(mover, series, err);

    if (r == 0 && series->owed)
        r = change_series(mover, series, err);
    if (r < 0 || !series->pending || !is_complete(series))
        return r;
    if (series->source.rev < series->row.rev)
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "%s \"%s\" is at rev %" PRId64 ", and its log tells of more changes",
                       (const char *)series->row.phase.data, (const char *)series->row.subject.data,
                       series->source.rev);
    series->row.rev = series->pending->rev = series->source.rev;
    return 0;
}

int fv_mover_finish(struct fv_mover *mover, flagver_error *err)
{
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < mover->names.count; i++)
        r = finish_series(mover, mover->series[i], err);
    return r;
}
