#include "engine/comparison.h"

#include <inttypes.h>
#include <string.h>

#include "engine/items.h"
#include "util/fail.h"

int fv_comparison_init(struct fv_comparison *comparison, struct fv_crypto *crypto,
                       struct fv_replay *replay, struct fv_findings *findings, flagver_error *err)
{
    *comparison = (struct fv_comparison){ .replay = replay,
                                          .findings = findings,
                                          .content = fv_digest_new(crypto),
                                          .decisions = fv_digest_new(crypto),
                                          .part = fv_digest_new(crypto),
                                          .name = FV_TEXT_INIT,
                                          .phase = FV_TEXT_INIT,
                                          .subject = FV_TEXT_INIT };
    if (comparison->content && comparison->decisions && comparison->part)
        return 0;
    fv_comparison_clear(comparison);
    return fv_fail_memory(err);
}

void fv_comparison_clear(struct fv_comparison *comparison)
{
    fv_digest_free(comparison->content);
    fv_digest_free(comparison->decisions);
    fv_digest_free(comparison->part);
    fv_text_clear(&comparison->name);
    fv_text_clear(&comparison->phase);
    fv_text_clear(&comparison->subject);
}

/* ---- small helpers ---- */

static bool is_same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, FV_DIGEST_SIZE) == 0;
}

/* As notes are hashed in leaves (model/leaf.h); zeros without one. */
static int hash_note(struct fv_comparison *comparison, flagver_bytes note,
                     uint8_t out[FV_DIGEST_SIZE], flagver_error *err)
{
    const uint32_t n = comparison->no;
    const uint8_t no[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
    struct fv_digest *digest = comparison->part;

    memset(out, 0, FV_DIGEST_SIZE);
    if (!note.data)
        return 0;
    fv_digest_start(digest);
    fv_digest_add(digest, comparison->phase.data, comparison->phase.length + 1); /* with its NUL */
    fv_digest_add(digest, comparison->subject.data, comparison->subject.length + 1);
    fv_digest_add(digest, no, sizeof no);
    fv_digest_add(digest, note.data, note.length);
    return fv_digest_end(digest, out) ? 0 : fv_fail_memory(err);
}

/* ---- what is found ---- */

/* A column of the version in hand is another one than the log says. */
static void differs(struct fv_comparison *comparison, const char *column)
{
    fv_found(comparison->findings,
             "%s version %" PRIu32 ": %s is not what the log says (leaf %" PRIu64 ")",
             comparison->name.data, comparison->no, column, comparison->version->leaf);
}

static void expect(struct fv_comparison *comparison, bool holds, const char *column)
{
    if (!holds)
        differs(comparison, column);
}

static void find_missing_votes(struct fv_comparison *comparison)
{
    const struct fv_replayed_vote *vote = comparison->version->votes;
    const struct fv_replayed_author *author = comparison->version->authors;
    const struct fv_map *actors = &comparison->replay->actors;

    for (; vote; vote = vote->next)
        if (!vote->seen)
            fv_found(
                comparison->findings,
                "%s version %" PRIu32 ": the vote of %s is missing or changed (leaf %" PRIu64 ")",
                comparison->name.data, comparison->no, actors->names[vote->actor].text, vote->leaf);
    for (; author; author = author->next)
        if (!author->seen)
            fv_found(comparison->findings,
                     "%s version %" PRIu32 ": %s is missing as a contributor (leaf %" PRIu64 ")",
                     comparison->name.data, comparison->no, actors->names[author->actor].text,
                     author->leaf);
}

/* All that belongs to the version was there. */
static int finish_version(struct fv_comparison *comparison, flagver_error *err)
{
    uint8_t content[FV_DIGEST_SIZE], decisions[FV_DIGEST_SIZE];

    if (!comparison->no)
        return 0;
    if (!fv_digest_end(comparison->content, content) ||
        !fv_digest_end(comparison->decisions, decisions))
        return fv_fail_memory(err);
    if (!comparison->has_decisions)
        memset(decisions, 0, sizeof decisions);
    comparison->payloads += comparison->readable;
    if (comparison->readable && !is_same(content, comparison->content_hash))
        fv_found(comparison->findings,
                 "%s version %" PRIu32 ": its content_hash is not that of its content",
                 comparison->name.data, comparison->no);
    if (comparison->version) {
        expect(comparison, is_same(decisions, comparison->version->decisions_hash),
               "what was decided about items");
        find_missing_votes(comparison);
    }
    comparison->no = 0;
    comparison->version = NULL;
    return 0;
}

static void find_missing_versions(struct fv_comparison *comparison)
{
    const struct fv_replayed_series *series = comparison->series;
    size_t i;

    for (i = 0; series && i < series->count; i++)
        if (!series->versions[i].seen)
            fv_found(comparison->findings, "%s version %zu is missing (leaf %" PRIu64 ")",
                     comparison->name.data, i + 1, series->versions[i].leaf);
}

static int finish_series(struct fv_comparison *comparison, flagver_error *err)
{
    int r = finish_version(comparison, err);

    find_missing_versions(comparison);
    comparison->series = NULL;
    return r;
}

/* ---- series ---- */

static int take_name(struct fv_comparison *comparison, const flagver_series_row *row,
                     flagver_error *err)
{
    fv_text_reset(&comparison->name);
    fv_text_reset(&comparison->phase);
    fv_text_reset(&comparison->subject);
    fv_text_add_bytes(&comparison->phase, row->phase.data, row->phase.length);
    fv_text_add_bytes(&comparison->subject, row->subject.data, row->subject.length);
    fv_text_format(&comparison->name, "%s \"%s\"", comparison->phase.data,
                   comparison->subject.data);
    return comparison->name.failed || comparison->phase.failed || comparison->subject.failed
               ? fv_fail_memory(err)
               : 0;
}

int fv_compare_series(struct fv_comparison *comparison, const flagver_series_row *row,
                      flagver_error *err)
{
    struct fv_replayed_series *series;
    int r = finish_series(comparison, err);

    if (r == 0)
        r = take_name(comparison, row, err);
    if (r < 0)
        return r;
    series = fv_replay_find(comparison->replay, row->phase, row->subject);
    comparison->series = series;
    if (!series) {
        fv_found(comparison->findings, "%s is in no leaf", comparison->name.data);
        return 0;
    }
    series->seen = true;
    if (row->last_no != series->count)
        fv_found(comparison->findings,
                 "%s: last_no is %" PRIu32 ", and by the log %zu (leaf %" PRIu64 ")",
                 comparison->name.data, row->last_no, series->count, series->leaf);
    if (row->current_no != series->current_no)
        fv_found(comparison->findings,
                 "%s: current_no is %" PRIu32 ", and by the log %" PRIu32 " (leaf %" PRIu64 ")",
                 comparison->name.data, row->current_no, series->current_no, series->leaf);
    if (row->changed_at != series->changed_at)
        fv_found(comparison->findings, "%s: changed_at is not what the log says (leaf %" PRIu64 ")",
                 comparison->name.data, series->leaf);
    return 0;
}

/* ---- versions ---- */

static bool is_actor(const struct fv_comparison *comparison, flagver_bytes name, uint32_t actor)
{
    if (!name.data || actor == FV_MAP_NONE)
        return !name.data && actor == FV_MAP_NONE;
    return fv_replay_actor(comparison->replay, name) == actor;
}

static int compare_note(struct fv_comparison *comparison, const flagver_version_row *row,
                        flagver_error *err)
{
    const struct fv_replayed_version *version = comparison->version;
    uint8_t hash[FV_DIGEST_SIZE];
    int r = hash_note(comparison, row->note, hash, err);

    if (r == 0)
        expect(comparison, is_same(hash, version->note_hash), "note");
    return r;
}

static int compare_columns(struct fv_comparison *comparison, const flagver_version_row *row,
                           flagver_error *err)
{
    struct fv_replayed_version *version = comparison->version;

    expect(comparison, row->state == version->state, "state");
    expect(comparison, row->bits == version->bits, "bits");
    expect(comparison, row->rev == version->rev, "rev");
    expect(comparison, row->parent_no == version->parent_no, "parent_no");
    expect(comparison, row->base_no == version->base_no, "base_no");
    expect(comparison, row->reverts_no == version->reverts_no, "reverts_no");
    expect(comparison, row->superseded_by == version->superseded_by, "superseded_by");
    expect(comparison, row->created_at == version->created_at, "created_at");
    expect(comparison, row->submitted_at == version->submitted_at, "submitted_at");
    expect(comparison, row->decided_at == version->decided_at, "decided_at");
    expect(comparison, row->superseded_at == version->superseded_at, "superseded_at");
    expect(comparison, is_actor(comparison, row->created_by, version->created_by), "created_by");
    expect(comparison, is_actor(comparison, row->decided_by, version->decided_by), "decided_by");
    expect(comparison, is_same(row->content_hash, version->content_hash), "content_hash");
    if (!row->payload.data && !version->shredded)
        fv_found(comparison->findings,
                 "%s version %" PRIu32 ": its payload is gone, and no leaf says that it was "
                 "shredded",
                 comparison->name.data, row->no);
    if (row->payload.data && version->shredded)
        fv_found(comparison->findings,
                 "%s version %" PRIu32 ": its payload is there, and was shredded (leaf %" PRIu64
                 ")",
                 comparison->name.data, row->no, version->leaf);
    return compare_note(comparison, row, err);
}

/* The content's hash begins with salt and payload, and goes on with the items. */
static void start_hashes(struct fv_comparison *comparison, const flagver_version_row *row)
{
    comparison->readable = row->payload.data && row->payload_key == 0;
    comparison->sealed += row->payload.data && row->payload_key != 0;
    comparison->shredded += !row->payload.data;
    comparison->has_decisions = false;
    memcpy(comparison->content_hash, row->content_hash, FV_DIGEST_SIZE);
    fv_digest_start(comparison->content);
    fv_digest_add(comparison->content, row->payload_salt.data, row->payload_salt.length);
    if (comparison->readable)
        fv_digest_add(comparison->content, row->payload.data, row->payload.length);
    fv_digest_start(comparison->decisions);
}

int fv_compare_version(struct fv_comparison *comparison, const flagver_version_row *row,
                       flagver_error *err)
{
    struct fv_replayed_series *series = comparison->series;
    int r = finish_version(comparison, err);

    if (r < 0)
        return r;
    comparison->versions++;
    comparison->no = row->no;
    start_hashes(comparison, row);
    if (!series)
        return 0;
    if (row->no == 0 || row->no > series->count) {
        fv_found(comparison->findings, "%s version %" PRIu32 " is in no leaf",
                 comparison->name.data, row->no);
        return 0;
    }
    comparison->version = &series->versions[row->no - 1];
    comparison->version->seen = true;
    return compare_columns(comparison, row, err);
}

/* ---- what belongs to a version ---- */

int fv_compare_contributor(struct fv_comparison *comparison, const flagver_contributor_row *row,
                           flagver_error *err)
{
    struct fv_replayed_author *author = comparison->version ? comparison->version->authors : NULL;
    uint32_t actor = fv_replay_actor(comparison->replay, row->actor);

    (void)err;
    while (author && author->actor != actor)
        author = author->next;
    if (author)
        author->seen = true;
    else if (comparison->version)
        fv_found(comparison->findings, "%s version %" PRIu32 ": by the log %.*s is no contributor",
                 comparison->name.data, comparison->no, (int)row->actor.length,
                 (const char *)row->actor.data);
    return 0;
}

/* The vote that this is, if any. */
static struct fv_replayed_vote *find_vote(const struct fv_comparison *comparison,
                                          const flagver_vote_row *row, const uint8_t *note_hash)
{
    struct fv_replayed_vote *vote = comparison->version->votes;
    uint32_t actor = fv_replay_actor(comparison->replay, row->actor);

    while (vote && (vote->seen || vote->actor != actor || vote->time != row->time ||
                    !is_same(vote->content_hash, row->content_hash) ||
                    !is_same(vote->note_hash, note_hash)))
        vote = vote->next;
    return vote;
}

int fv_compare_vote(struct fv_comparison *comparison, const flagver_vote_row *row,
                    flagver_error *err)
{
    uint8_t note_hash[FV_DIGEST_SIZE];
    struct fv_replayed_vote *vote;
    int r = hash_note(comparison, row->note, note_hash, err);

    if (r < 0 || !comparison->version)
        return r;
    vote = find_vote(comparison, row, note_hash);
    if (vote)
        vote->seen = true;
    else
        fv_found(comparison->findings, "%s version %" PRIu32 ": the vote of %.*s is in no leaf",
                 comparison->name.data, comparison->no, (int)row->actor.length,
                 (const char *)row->actor.data);
    return 0;
}

static void find_item(struct fv_comparison *comparison, const flagver_item_row *row,
                      const char *words)
{
    fv_found(comparison->findings, "%s version %" PRIu32 ": item \"%.*s\": %s",
             comparison->name.data, comparison->no, (int)row->key.length,
             (const char *)row->key.data, words);
}

static int compare_item_payload(struct fv_comparison *comparison, const flagver_item_row *row,
                                flagver_error *err)
{
    struct fv_digest *digest = comparison->part;
    uint8_t hash[FV_DIGEST_SIZE];

    if (!row->payload.data) {
        comparison->shredded++;
        if (comparison->version && !comparison->version->shredded)
            find_item(comparison, row,
                      "its payload is gone, and no leaf says that it was shredded");
        return 0;
    }
    if (comparison->version && comparison->version->shredded)
        find_item(comparison, row, "its payload is there, and was shredded");
    if (row->payload_key != 0) {
        comparison->sealed++;
        return 0;
    }
    comparison->payloads++;
    fv_digest_start(digest);
    fv_digest_add(digest, row->payload_salt.data, row->payload_salt.length);
    fv_digest_add(digest, row->payload.data, row->payload.length);
    if (!fv_digest_end(digest, hash))
        return fv_fail_memory(err);
    if (!is_same(hash, row->hash))
        find_item(comparison, row, "its hash is not that of its payload");
    return 0;
}

/* Its key and hash are part of the content, its decision of the decisions. */
int fv_compare_item(struct fv_comparison *comparison, const flagver_item_row *row,
                    flagver_error *err)
{
    fv_item_add_to_content(comparison->content, row);
    if (fv_item_add_to_decisions(comparison->decisions, row))
        comparison->has_decisions = true;
    else if (row->origin_no || row->decided_at || row->decided_by.data || row->note.data)
        find_item(comparison, row, "it is pending, and says something of a decision");
    return compare_item_payload(comparison, row, err);
}

/* ---- the end ---- */

/* The name of a series in the log: phase, newline, subject. */
static void find_missing_series(struct fv_comparison *comparison, size_t number)
{
    const struct fv_replayed_series *series = &comparison->replay->series[number];
    const char *name = comparison->replay->names.names[number].text;
    const char *newline = strchr(name, '\n');

    fv_found(comparison->findings, "%.*s \"%s\" is missing (leaf %" PRIu64 ")",
             (int)(newline - name), name, newline + 1, series->leaf);
}

int fv_compare_end(struct fv_comparison *comparison, flagver_error *err)
{
    const struct fv_replay *replay = comparison->replay;
    int r = finish_series(comparison, err);
    size_t i;

    for (i = 0; r == 0 && i < replay->names.count; i++)
        if (!replay->series[i].seen && replay->series[i].count)
            find_missing_series(comparison, i);
    return r;
}
