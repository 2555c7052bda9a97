#include "engine/history.h"

#include <stdlib.h>
#include <string.h>

#include "codec/diff.h"
#include "model/leaf.h"
#include "model/version.h"
#include "util/fail.h"
#include "util/text.h"

#define CHUNK 512

/* ---- rows as users see them ---- */

/* NULL for none, and *fine becomes false when memory is short. */
static const char *text_of(struct fv_arena *arena, flagver_bytes bytes, bool *fine)
{
    char *text;

    if (!bytes.data)
        return NULL;
    text = fv_arena_string(arena, bytes.data, bytes.length);
    *fine = *fine && text;
    return text;
}

/* Of a row that was read leniently: that it was asked for is not to be seen in it. */
static int32_t state_of(flagver_bytes payload, uint32_t key)
{
    if (payload.data)
        return FLAGVER_PAYLOAD_HERE;
    return key ? FLAGVER_PAYLOAD_SEALED : FLAGVER_PAYLOAD_NONE;
}

/* The same of one that was asked for. */
static int32_t asked_state(int32_t state)
{
    return state == FLAGVER_PAYLOAD_NONE ? FLAGVER_PAYLOAD_SHREDDED : state;
}

int fv_version_fill(struct fv_arena *arena, const flagver_version_row *row,
                    flagver_version *ret_version)
{
    char id[FV_UUID_TEXT];
    bool fine = true;

    fv_uuid_text(&row->id, id);
    *ret_version = (flagver_version){ .phase = text_of(arena, row->phase, &fine),
                                      .subject = text_of(arena, row->subject, &fine),
                                      .id = text_of(arena, fv_bytes(id), &fine),
                                      .no = row->no,
                                      .parent_no = row->parent_no,
                                      .base_no = row->base_no,
                                      .reverts_no = row->reverts_no,
                                      .superseded_by = row->superseded_by,
                                      .state = row->state,
                                      .tombstone = row->bits & FLAGVER_VERSION_TOMBSTONE,
                                      .rev = row->rev,
                                      .created_at = row->created_at,
                                      .submitted_at = row->submitted_at,
                                      .decided_at = row->decided_at,
                                      .superseded_at = row->superseded_at,
                                      .created_by = text_of(arena, row->created_by, &fine),
                                      .decided_by = text_of(arena, row->decided_by, &fine),
                                      .note = text_of(arena, row->note, &fine),
                                      .payload = text_of(arena, row->payload, &fine),
                                      .payload_length = row->payload.length,
                                      .emergency = row->bits & FLAGVER_VERSION_EMERGENCY,
                                      .payload_state = state_of(row->payload, row->payload_key) };
    memcpy(ret_version->content_hash, row->content_hash, sizeof ret_version->content_hash);
    return fine ? 0 : FLAGVER_ENOMEM;
}

struct owned_version {
    flagver_version version; /* first: what users hold */
    struct fv_arena arena;
};

int fv_version_copy(const flagver_version_row *row, flagver_version **ret_version,
                    flagver_error *err)
{
    struct owned_version *owned = malloc(sizeof *owned);

    if (!owned)
        return fv_fail_memory(err);
    fv_arena_init(&owned->arena, NULL, CHUNK);
    if (fv_version_fill(&owned->arena, row, &owned->version) < 0) {
        fv_version_free(&owned->version);
        return fv_fail_memory(err);
    }
    owned->version.payload_state = asked_state(owned->version.payload_state);
    *ret_version = &owned->version;
    return 0;
}

void fv_version_free(flagver_version *version)
{
    struct owned_version *owned = (struct owned_version *)version;

    if (!owned)
        return;
    fv_arena_clear(&owned->arena);
    free(owned);
}

/* ---- one ---- */

static int read_one(struct fv_read *read, const flagver_query *query, bool in_force,
                    const char *what, flagver_version **ret_version, flagver_error *err)
{
    flagver_row row;
    int r;

    r = fv_read_scan(read, query, err);
    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r < 0)
        return r;
    if (r == 0)
        return fv_fail(err, FLAGVER_ENOTFOUND, "there is no %.300s", what);
    if (in_force && row.as.version.bits & FLAGVER_VERSION_TOMBSTONE)
        return fv_fail(err, FLAGVER_ENOTFOUND, "%.300s was deleted", what);
    return fv_version_copy(&row.as.version, ret_version, err);
}

int fv_history_one(const struct fv_tenancy *tenancy, flagver_query *query, bool in_force,
                   const char *what, flagver_version **ret_version, flagver_error *err)
{
    struct fv_read read;
    int r;

    query->payload = 1;
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    read.lenient = true;
    if (r == 0)
        r = read_one(&read, query, in_force, what, ret_version, err);
    fv_read_end(&read);
    return r;
}

/* ---- many ---- */

struct listing {
    struct fv_history_filter filter;
    uint32_t limit, visited;
    bool ended; /* by who is visited */
    struct fv_arena arena;
    bool (*visit)(void *data, const flagver_version *version);
    void *data;
};

static bool is_wanted(const struct fv_history_filter *filter, const flagver_version_row *row)
{
    size_t length = filter->author ? strlen(filter->author) : 0;

    if (!filter->tombstones && row->bits & FLAGVER_VERSION_TOMBSTONE)
        return false;
    return !filter->author || (row->created_by.length == length &&
                               memcmp(row->created_by.data, filter->author, length) == 0);
}

static int visit_rows(struct fv_read *read, const flagver_query *query, struct listing *listing,
                      flagver_error *err)
{
    flagver_version version;
    flagver_row row;
    int r;

    r = fv_read_scan(read, query, err);
    if (r < 0)
        return r;
    while (!listing->ended && (!listing->limit || listing->visited < listing->limit) &&
           (r = fv_read_next(read, &row, err)) > 0) {
        if (!is_wanted(&listing->filter, &row.as.version))
            continue;
        fv_arena_reset(&listing->arena);
        if (fv_version_fill(&listing->arena, &row.as.version, &version) < 0)
            return fv_fail_memory(err);
        if (query->payload)
            version.payload_state = asked_state(version.payload_state);
        listing->ended = !listing->visit(listing->data, &version);
        listing->visited++;
    }
    return r < 0 ? r : 0;
}

/* A page may end amid the versions of a subject: then the next one begins with the rest of them. */
static int visit_rest(struct fv_read *read, flagver_query *query, struct listing *listing,
                      flagver_error *err)
{
    flagver_query rest = *query;

    if (!query->after.data || !query->after_no)
        return 0;
    query->after_no = 0;
    if (query->subject.data &&
        (query->after.length < query->subject.length ||
         memcmp(query->after.data, query->subject.data, query->subject.length) != 0))
        return 0;
    rest.subject = rest.after;
    rest.prefix = 0;
    rest.after = fv_bytes(NULL);
    return visit_rows(read, &rest, listing, err);
}

int fv_history_visit(const struct fv_tenancy *tenancy, const flagver_query *query,
                     const struct fv_history_filter *filter,
                     bool (*visit)(void *data, const flagver_version *version), void *data,
                     flagver_error *err)
{
    struct listing listing = {
        .filter = *filter, .limit = query->limit, .visit = visit, .data = data
    };
    flagver_query all = *query;
    struct fv_read read;
    int r;

    if (!filter->tombstones || filter->author)
        all.limit = 0; /* those that are left out do not count */
    fv_arena_init(&listing.arena, NULL, CHUNK);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    read.lenient = true;
    if (r == 0)
        r = visit_rest(&read, &all, &listing, err);
    if (r == 0)
        r = visit_rows(&read, &all, &listing, err);
    fv_read_end(&read);
    fv_arena_clear(&listing.arena);
    return r;
}

/* ---- differences ---- */

/* The payload of a number; {} for number 0 and tombstones. What was shredded cannot be compared. */
static int read_side(struct fv_read *read, flagver_query *query, uint32_t no, struct fv_text *out,
                     flagver_error *err)
{
    flagver_row row;
    int r;

    if (no) {
        query->no = no;
        r = fv_read_scan(read, query, err);
        if (r == 0)
            r = fv_read_next(read, &row, err);
        if (r < 0)
            return r;
        if (r == 0)
            return fv_fail(err, FLAGVER_ENOTFOUND, "\"%.256s\" has no version %u",
                           (const char *)query->subject.data, (unsigned)no);
        if (!row.as.version.payload.data && !(row.as.version.bits & FLAGVER_VERSION_TOMBSTONE))
            return fv_fail(err, FLAGVER_ENOTFOUND,
                           "what version %u of \"%.256s\" said was shredded", (unsigned)no,
                           (const char *)query->subject.data);
        fv_text_add_bytes(out, row.as.version.payload.data, row.as.version.payload.length);
    }
    if (!out->length)
        fv_text_add(out, "{}");
    return out->failed ? fv_fail_memory(err) : 0;
}

static int write_diff(const struct fv_text *from, const struct fv_text *to, int form,
                      char **ret_text, flagver_error *err)
{
    struct fv_text out = FV_TEXT_INIT;
    int r;

    if (form == FLAGVER_DIFF_MERGE_PATCH)
        r = fv_diff_merge_patch(from->data, from->length, to->data, to->length, &out, err);
    else
        r = fv_diff_lines(from->data, from->length, to->data, to->length, &out, err);
    if (r == 0)
        r = fv_text_give(&out, ret_text, err);
    fv_text_clear(&out);
    return r;
}

int fv_history_diff(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                    uint32_t from_no, uint32_t to_no, int form, char **ret_text, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_NUMBER,
                            .phase = fv_bytes(phase),
                            .subject = fv_bytes(subject),
                            .payload = 1 };
    struct fv_text from = FV_TEXT_INIT, to = FV_TEXT_INIT;
    struct fv_read read;
    int r;

    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = read_side(&read, &query, from_no, &from, err);
    if (r == 0)
        r = read_side(&read, &query, to_no, &to, err);
    fv_read_end(&read);
    if (r == 0)
        r = write_diff(&from, &to, form, ret_text, err);
    fv_text_clear(&from);
    fv_text_clear(&to);
    return r;
}

/* ---- items, votes and authors ---- */

/* The version without its payload; the row is borrowed until the next one is read. */
static int find_version(struct fv_read *read, const char *phase, const char *subject, uint32_t no,
                        flagver_version_row *ret_row, flagver_error *err)
{
    const flagver_query version = { .kind = FLAGVER_QUERY_VERSIONS,
                                    .pick = FLAGVER_PICK_NUMBER,
                                    .phase = fv_bytes(phase),
                                    .subject = fv_bytes(subject),
                                    .no = no };
    flagver_row row;
    int r;

    r = fv_read_scan(read, &version, err);
    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r < 0)
        return r;
    if (r == 0)
        return fv_fail(err, FLAGVER_ENOTFOUND, "there is no version %u of %s \"%.256s\"",
                       (unsigned)no, phase, subject);
    *ret_row = row.as.version;
    return 0;
}

/* Begins the scan of what belongs to a version. */
static int scan_parts(struct fv_read *read, int kind, const char *phase, const char *subject,
                      uint32_t no, flagver_error *err)
{
    flagver_query parts = { .kind = kind, .no = no, .payload = 1 };
    flagver_version_row version;
    int r = find_version(read, phase, subject, no, &version, err);

    if (r < 0)
        return r;
    parts.id = version.series;
    return fv_read_scan(read, &parts, err);
}

static int fill_item(struct fv_arena *arena, const flagver_item_row *row, flagver_item *ret_item,
                     flagver_error *err)
{
    bool fine = true;

    *ret_item =
        (flagver_item){ .key = text_of(arena, row->key, &fine),
                        .origin_no = row->origin_no,
                        .status = row->status,
                        .decided_by = text_of(arena, row->decided_by, &fine),
                        .note = text_of(arena, row->note, &fine),
                        .decided_at = row->decided_at,
                        .payload = text_of(arena, row->payload, &fine),
                        .payload_length = row->payload.length,
                        .payload_state = asked_state(state_of(row->payload, row->payload_key)) };
    memcpy(ret_item->hash, row->hash, sizeof ret_item->hash);
    return fine ? 0 : fv_fail_memory(err);
}

static int visit_items(struct fv_read *read, struct fv_arena *arena,
                       bool (*visit)(void *data, const flagver_item *item), void *data,
                       flagver_error *err)
{
    flagver_item item;
    flagver_row row;
    int r;

    while ((r = fv_read_next(read, &row, err)) > 0) {
        fv_arena_reset(arena);
        r = fill_item(arena, &row.as.item, &item, err);
        if (r < 0 || !visit(data, &item))
            return r;
    }
    return r;
}

int fv_history_items(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                     uint32_t no, bool (*visit)(void *data, const flagver_item *item), void *data,
                     flagver_error *err)
{
    struct fv_arena arena;
    struct fv_read read;
    int r;

    fv_arena_init(&arena, NULL, CHUNK);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    read.lenient = true;
    if (r == 0)
        r = scan_parts(&read, FLAGVER_QUERY_ITEMS, phase, subject, no, err);
    if (r == 0)
        r = visit_items(&read, &arena, visit, data, err);
    fv_read_end(&read);
    fv_arena_clear(&arena);
    return r;
}

static int fill_vote(struct fv_arena *arena, const flagver_vote_row *row, flagver_vote *ret_vote,
                     flagver_error *err)
{
    bool fine = true;

    *ret_vote = (flagver_vote){ .actor = text_of(arena, row->actor, &fine),
                                .note = text_of(arena, row->note, &fine),
                                .time = row->time };
    memcpy(ret_vote->content_hash, row->content_hash, sizeof ret_vote->content_hash);
    return fine ? 0 : fv_fail_memory(err);
}

static int visit_votes(struct fv_read *read, struct fv_arena *arena,
                       bool (*visit)(void *data, const flagver_vote *vote), void *data,
                       flagver_error *err)
{
    flagver_vote vote;
    flagver_row row;
    int r;

    while ((r = fv_read_next(read, &row, err)) > 0) {
        fv_arena_reset(arena);
        r = fill_vote(arena, &row.as.vote, &vote, err);
        if (r < 0 || !visit(data, &vote))
            return r;
    }
    return r;
}

int fv_history_votes(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                     uint32_t no, bool (*visit)(void *data, const flagver_vote *vote), void *data,
                     flagver_error *err)
{
    struct fv_arena arena;
    struct fv_read read;
    int r;

    fv_arena_init(&arena, NULL, CHUNK);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = scan_parts(&read, FLAGVER_QUERY_VOTES, phase, subject, no, err);
    if (r == 0)
        r = visit_votes(&read, &arena, visit, data, err);
    fv_read_end(&read);
    fv_arena_clear(&arena);
    return r;
}

/* 1: go on. */
static int visit_author(struct fv_arena *arena, flagver_bytes actor,
                        bool (*visit)(void *data, const char *actor), void *data,
                        flagver_error *err)
{
    bool fine = true;
    const char *text;

    fv_arena_reset(arena);
    text = text_of(arena, actor, &fine);
    if (!fine)
        return fv_fail_memory(err);
    return !text || visit(data, text);
}

static int visit_authors(struct fv_read *read, struct fv_arena *arena,
                         const flagver_version_row *version,
                         bool (*visit)(void *data, const char *actor), void *data,
                         flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_CONTRIBUTORS,
                                  .id = version->series,
                                  .no = version->no };
    flagver_row row;
    int r = visit_author(arena, version->created_by, visit, data, err);

    if (r <= 0)
        return r;
    r = fv_read_scan(read, &query, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0) {
        r = visit_author(arena, row.as.contributor.actor, visit, data, err);
        if (r <= 0)
            return r;
    }
    return r;
}

int fv_history_authors(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                       uint32_t no, bool (*visit)(void *data, const char *actor), void *data,
                       flagver_error *err)
{
    flagver_version_row version;
    struct fv_arena arena;
    struct fv_read read;
    int r;

    fv_arena_init(&arena, NULL, CHUNK);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = find_version(&read, phase, subject, no, &version, err);
    if (r == 0)
        r = visit_authors(&read, &arena, &version, visit, data, err);
    fv_read_end(&read);
    fv_arena_clear(&arena);
    return r;
}

/* ---- the audit log ---- */

static int fill_entry(struct fv_arena *arena, const flagver_leaf_row *row,
                      flagver_audit_entry *ret_entry, flagver_error *err)
{
    struct fv_audit_leaf leaf;
    bool fine = true;

    if (!fv_leaf_decode(row->leaf.data, row->leaf.length, &leaf) || leaf.leaf_no != row->no)
        return fv_fail(err, FLAGVER_ECORRUPT, "leaf %llu of the audit log is malformed",
                       (unsigned long long)row->no);
    *ret_entry = (flagver_audit_entry){ .no = row->no,
                                        .time = leaf.time,
                                        .actor = text_of(arena, leaf.actor, &fine),
                                        .action = fv_action_name(leaf.action),
                                        .phase = text_of(arena, leaf.phase, &fine),
                                        .subject = text_of(arena, leaf.subject, &fine),
                                        .version_no = leaf.no,
                                        .supersedes = leaf.supersedes,
                                        .from = leaf.from,
                                        .to = leaf.to,
                                        .bits = leaf.bits,
                                        .rev = leaf.rev,
                                        .parent_no = leaf.parent_no,
                                        .base_no = leaf.base_no,
                                        .reverts_no = leaf.reverts_no,
                                        .policy_no = leaf.policy_no,
                                        .policy = text_of(arena, leaf.policy, &fine),
                                        .rule = text_of(arena, leaf.rule, &fine),
                                        .idempotency_key = text_of(arena, leaf.idempotency_key,
                                                                   &fine) };
    memcpy(ret_entry->content_hash, leaf.content_hash, sizeof leaf.content_hash);
    memcpy(ret_entry->decisions_hash, leaf.decisions_hash, sizeof leaf.decisions_hash);
    memcpy(ret_entry->note_hash, leaf.note_hash, sizeof leaf.note_hash);
    memcpy(ret_entry->leaf_hash, row->hash, sizeof row->hash);
    return fine ? 0 : fv_fail_memory(err);
}

static int visit_leaves(struct fv_read *read, struct fv_arena *arena,
                        bool (*visit)(void *data, const flagver_audit_entry *entry), void *data,
                        uint64_t *next, flagver_error *err)
{
    flagver_audit_entry entry;
    flagver_row row;
    int r;

    while ((r = fv_read_next(read, &row, err)) > 0) {
        fv_arena_reset(arena);
        r = fill_entry(arena, &row.as.leaf, &entry, err);
        if (r < 0)
            return r;
        *next = row.as.leaf.no + 1;
        if (!visit(data, &entry))
            return 0;
    }
    return r;
}

int fv_history_log(const struct fv_tenancy *tenancy, uint64_t from, uint32_t limit,
                   bool (*visit)(void *data, const flagver_audit_entry *entry), void *data,
                   uint64_t *ret_next, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES, .from = from, .limit = limit };
    struct fv_arena arena;
    struct fv_read read;
    uint64_t next = from;
    int r;

    fv_arena_init(&arena, NULL, CHUNK);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = fv_read_scan(&read, &query, err);
    if (r == 0)
        r = visit_leaves(&read, &arena, visit, data, &next, err);
    fv_read_end(&read);
    fv_arena_clear(&arena);
    if (r == 0 && ret_next)
        *ret_next = next;
    return r;
}
