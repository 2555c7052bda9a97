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

/* Who has approved the content that the version has; the names live as long as the transaction. */
struct voters {
    flagver_bytes *names;
    size_t count, capacity;
};

static int add_voter(flagver_txn *txn, struct voters *voters, flagver_bytes name,
                     flagver_error *err)
{
    const char *copy = fv_arena_string(fv_txn_arena(txn), name.data, name.length);

    if (!copy || !fv_grow(NULL, (void **)&voters->names, &voters->capacity, voters->count,
                          sizeof *voters->names))
        return fv_fail_memory(err);
    voters->names[voters->count++] = fv_bytes_of(copy, name.length);
    return 0;
}

static int find_voters(flagver_txn *txn, const struct fv_staged *version, struct voters *voters,
                       flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VOTES,
                                  .id = version->row.series,
                                  .no = version->row.no };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(txn, cursor, &row, err)) > 0) {
        if (memcmp(row.as.vote.content_hash, version->row.content_hash, 32) != 0)
            continue;
        r = add_voter(txn, voters, row.as.vote.actor, err);
        if (r < 0)
            break;
    }
    fv_txn_end_scan(txn, cursor);
    return r;
}

static bool is_among(const struct voters *voters, flagver_bytes name)
{
    size_t i;

    for (i = 0; i < voters->count; i++)
        if (voters->names[i].length == name.length &&
            memcmp(voters->names[i].data, name.data, name.length) == 0)
            return true;
    return false;
}

/* How many of them have written the version, perhaps after they had approved it. */
static int count_authors(flagver_txn *txn, const struct fv_staged *version,
                         const struct voters *voters, uint32_t *ret_authors, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_CONTRIBUTORS,
                                  .id = version->row.series,
                                  .no = version->row.no };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    *ret_authors = is_among(voters, version->row.created_by);
    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(txn, cursor, &row, err)) > 0)
        *ret_authors += is_among(voters, row.as.contributor.actor);
    fv_txn_end_scan(txn, cursor);
    return r;
}

int fv_votes_count(flagver_txn *txn, const struct fv_staged *version, bool of_authors,
                   uint32_t *ret_votes, bool *ret_has_voted, flagver_error *err)
{
    struct voters voters = { NULL, 0, 0 };
    uint32_t authors = 0;
    int r = version->no_votes ? 0 : find_voters(txn, version, &voters, err);

    if (r == 0 && voters.count && !of_authors)
        r = count_authors(txn, version, &voters, &authors, err);
    *ret_votes = (uint32_t)voters.count - authors;
    *ret_has_voted = is_among(&voters, fv_bytes(fv_txn_actor(txn)));
    fv_release(NULL, voters.names);
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
