#include "engine/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/fail.h"

#define WORDS_SIZE 700

/* A scan, and the row of it that is next. Several of them see one state. */
struct stream {
    const flagver_driver *driver;
    flagver_cursor *cursor; /* NULL: it is not open */
    flagver_row row;
    int more; /* 1: there is a row */
};

static int next_row(struct stream *stream, flagver_error *err)
{
    stream->more = stream->driver->next(stream->cursor, &stream->row, err);
    return stream->more < 0 ? stream->more : 0;
}

static void close_stream(struct stream *stream)
{
    if (stream->cursor)
        stream->driver->end_scan(stream->cursor);
    stream->cursor = NULL;
}

static int open_stream(struct stream *stream, const struct fv_read *read,
                       const flagver_query *query, flagver_error *err)
{
    int r;

    stream->driver = read->store->driver;
    r = stream->driver->scan(read->txn, query, &stream->cursor, err);
    return r == 0 ? next_row(stream, err) : r;
}

/* What belongs to versions: in the order of the lines, and which version a row is of. */
static const struct part {
    int32_t query;
    enum fv_transfer_kind kind;
    const char *what;
} parts[] = {
    { FLAGVER_QUERY_CONTRIBUTORS, FV_TRANSFER_CONTRIBUTOR, "a contributor" },
    { FLAGVER_QUERY_ITEMS, FV_TRANSFER_ITEM, "an item" },
    { FLAGVER_QUERY_VOTES, FV_TRANSFER_VOTE, "a vote" },
};

#define PARTS (sizeof parts / sizeof *parts)

/* The version that a part is of. */
static uint32_t version_of(const struct part *part, const flagver_row *row,
                           const flagver_id **ret_series)
{
    switch (part->kind) {
    case FV_TRANSFER_ITEM:
        *ret_series = &row->as.item.series;
        return row->as.item.no;
    case FV_TRANSFER_VOTE:
        *ret_series = &row->as.vote.series;
        return row->as.vote.no;
    default:
        *ret_series = &row->as.contributor.series;
        return row->as.contributor.no;
    }
}

/*
 * Five scans of one state, in the same order: what belongs to a series are the next rows of the
 * others. A scan for each series would be a question for each, and the store may be far away.
 */
struct walk {
    const struct fv_rows_visitor *visitor;
    struct stream series, versions, parts[PARTS];
};

static bool is_of(const flagver_series_row *series, const flagver_id *id)
{
    return memcmp(&series->id, id, sizeof *id) == 0;
}

static int take_part(const struct walk *walk, size_t i, flagver_error *err)
{
    const flagver_row *row = &walk->parts[i].row;
    struct fv_transfer line = { .kind = parts[i].kind };

    if (line.kind == FV_TRANSFER_ITEM)
        line.as.item = row->as.item;
    else if (line.kind == FV_TRANSFER_VOTE)
        line.as.vote = row->as.vote;
    else
        line.as.contributor = row->as.contributor;
    return walk->visitor->take(walk->visitor->data, &line, err);
}

static int leave_part(const struct walk *walk, size_t i, uint32_t no, flagver_error *err)
{
    const flagver_series_row *series = &walk->series.row.as.series;
    char words[WORDS_SIZE];

    if (walk->series.more)
        snprintf(words, sizeof words, "%s of %.*s \"%.*s\" is of no version (%" PRIu32 ")",
                 parts[i].what, (int)series->phase.length, (const char *)series->phase.data,
                 (int)series->subject.length, (const char *)series->subject.data, no);
    else
        snprintf(words, sizeof words, "%s of a version %" PRIu32 " is of no series", parts[i].what,
                 no);
    return walk->visitor->stray(walk->visitor->data, words, err);
}

/* What belongs to version `no` of the series; what comes before it belongs to none. */
static int take_parts(struct walk *walk, uint32_t no, flagver_error *err)
{
    struct stream *stream;
    const flagver_id *series;
    uint32_t of;
    size_t i;
    int r = 0;

    for (i = 0; i < PARTS; i++) {
        stream = &walk->parts[i];
        while (r == 0 && stream->more &&
               (of = version_of(&parts[i], &stream->row, &series)) <= no &&
               is_of(&walk->series.row.as.series, series)) {
            r = of == no ? take_part(walk, i, err) : leave_part(walk, i, of, err);
            if (r == 0)
                r = next_row(stream, err);
        }
    }
    return r;
}

static int take_version(struct walk *walk, const flagver_version_row *row, flagver_error *err)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_VERSION, .as.version = *row };
    int r = row->no ? take_parts(walk, row->no - 1, err) : 0;

    if (r == 0)
        r = walk->visitor->take(walk->visitor->data, &line, err);
    return r == 0 ? take_parts(walk, row->no, err) : r;
}

static int take_series(struct walk *walk, flagver_error *err)
{
    const flagver_series_row *series = &walk->series.row.as.series;
    const struct fv_transfer line = { .kind = FV_TRANSFER_SERIES, .as.series = *series };
    struct stream *versions = &walk->versions;
    int r = walk->visitor->take(walk->visitor->data, &line, err);

    while (r == 0 && versions->more && is_of(series, &versions->row.as.version.series)) {
        r = take_version(walk, &versions->row.as.version, err);
        if (r == 0)
            r = next_row(versions, err);
    }
    return r == 0 ? take_parts(walk, UINT32_MAX, err) : r;
}

/* Versions that were not the next ones of any series. */
static int leave_versions(struct walk *walk, flagver_error *err)
{
    const flagver_version_row *row = &walk->versions.row.as.version;
    char words[WORDS_SIZE];
    int r = 0;

    while (r == 0 && walk->versions.more) {
        snprintf(words, sizeof words, "version %" PRIu32 " of %.*s \"%.*s\" is of no series",
                 row->no, (int)row->phase.length, (const char *)row->phase.data,
                 (int)row->subject.length, (const char *)row->subject.data);
        r = walk->visitor->stray(walk->visitor->data, words, err);
        if (r == 0)
            r = next_row(&walk->versions, err);
    }
    return r;
}

static int leave_parts(struct walk *walk, flagver_error *err)
{
    const flagver_id *series;
    size_t i;
    int r = 0;

    for (i = 0; i < PARTS; i++)
        while (r == 0 && walk->parts[i].more) {
            r = leave_part(walk, i, version_of(&parts[i], &walk->parts[i].row, &series), err);
            if (r == 0)
                r = next_row(&walk->parts[i], err);
        }
    return r;
}

static int open_all(struct walk *walk, const struct fv_read *read, flagver_error *err)
{
    const flagver_query series = { .kind = FLAGVER_QUERY_SERIES };
    const flagver_query versions = { .kind = FLAGVER_QUERY_VERSIONS,
                                     .pick = FLAGVER_PICK_ALL,
                                     .payload = 1 };
    flagver_query query = { .payload = 1 };
    int r = open_stream(&walk->series, read, &series, err);
    size_t i;

    if (r == 0)
        r = open_stream(&walk->versions, read, &versions, err);
    for (i = 0; r == 0 && i < PARTS; i++) {
        query.kind = parts[i].query;
        r = open_stream(&walk->parts[i], read, &query, err);
    }
    return r;
}

static void close_all(struct walk *walk)
{
    size_t i;

    for (i = 0; i < PARTS; i++)
        close_stream(&walk->parts[i]);
    close_stream(&walk->versions);
    close_stream(&walk->series);
}

int fv_rows_walk(const struct fv_read *read, const struct fv_rows_visitor *visitor,
                 flagver_error *err)
{
    struct walk walk = { .visitor = visitor };
    int r = open_all(&walk, read, err);

    while (r == 0 && walk.series.more) {
        r = take_series(&walk, err);
        if (r == 0)
            r = next_row(&walk.series, err);
    }
    if (r == 0)
        r = leave_versions(&walk, err);
    if (r == 0)
        r = leave_parts(&walk, err);
    close_all(&walk);
    return r;
}
