#include "engine/votes.h"

#include <string.h>

#include "util/fail.h"

static bool is_actor(const flagver_txn *txn, flagver_bytes name)
{
    const char *actor = fv_txn_actor(txn);

    return name.length == strlen(actor) && memcmp(name.data, actor, name.length) == 0;
}

int fv_votes_is_author(flagver_txn *txn, const struct fv_staged *version, bool *ret_author,
                       flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_CONTRIBUTORS,
                                  .id = version->row.series,
                                  .no = version->row.no };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    *ret_author = is_actor(txn, version->row.created_by);
    if (*ret_author || version->no_contributors)
        return 0;
    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while (!*ret_author && (r = fv_txn_next(txn, cursor, &row, err)) > 0)
        *ret_author = is_actor(txn, row.as.contributor.actor);
    fv_txn_end_scan(txn, cursor);
    return r < 0 ? r : 0;
}

int fv_votes_add_author(flagver_txn *txn, struct fv_staged *version, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_CONTRIBUTOR };
    flagver_contributor_row *row = fv_arena_allocate(fv_txn_arena(txn), sizeof *row);
    bool is_author;
    int r;

    if (!row)
        return fv_fail_memory(err);
    r = fv_votes_is_author(txn, version, &is_author, err);
    if (r < 0 || is_author)
        return r;
    *row = (flagver_contributor_row){ .series = version->row.series,
                                      .no = version->row.no,
                                      .actor = fv_bytes(fv_txn_actor(txn)) };
    change.row.contributor = row;
    version->no_contributors = false;
    return fv_txn_change(txn, &change, err);
}

int fv_votes_count(flagver_txn *txn, const struct fv_staged *version, uint32_t *ret_votes,
                   bool *ret_has_voted, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VOTES,
                                  .id = version->row.series,
                                  .no = version->row.no };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    *ret_votes = 0;
    *ret_has_voted = false;
    if (version->no_votes)
        return 0;
    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(txn, cursor, &row, err)) > 0) {
        if (memcmp(row.as.vote.content_hash, version->row.content_hash, 32) != 0)
            continue;
        ++*ret_votes;
        *ret_has_voted |= is_actor(txn, row.as.vote.actor);
    }
    fv_txn_end_scan(txn, cursor);
    return r;
}

int fv_votes_add(flagver_txn *txn, struct fv_staged *version, int64_t time, flagver_bytes note,
                 flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_VOTE };
    flagver_vote_row *row = fv_arena_allocate(fv_txn_arena(txn), sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = (flagver_vote_row){ .series = version->row.series,
                               .no = version->row.no,
                               .actor = fv_bytes(fv_txn_actor(txn)),
                               .time = time,
                               .note = note };
    memcpy(row->content_hash, version->row.content_hash, sizeof row->content_hash);
    change.row.vote = row;
    version->no_votes = false;
    return fv_txn_change(txn, &change, err);
}
