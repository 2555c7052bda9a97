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

    *stream = (struct stream){ .driver = read->store->driver };
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

static uint32_t version_of(const struct part *part, const flagver_row *row)
{
    switch (part->kind) {
    case FV_TRANSFER_ITEM:
        return row->as.item.no;
    case FV_TRANSFER_VOTE:
        return row->as.vote.no;
    default:
        return row->as.contributor.no;
    }
}

/* The walk through one series. */
struct walk {
    const struct fv_rows_visitor *visitor;
    const flagver_series_row *series;
    struct stream parts[PARTS];
};

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

static int leave_part(const struct walk *walk, size_t i, flagver_error *err)
{
    const flagver_series_row *series = walk->series;
    char words[WORDS_SIZE];

    snprintf(words, sizeof words, "%s of %.*s \"%.*s\" is of no version (%" PRIu32 ")",
             parts[i].what, (int)series->phase.length, (const char *)series->phase.data,
             (int)series->subject.length, (const char *)series->subject.data,
             version_of(&parts[i], &walk->parts[i].row));
    return walk->visitor->stray(walk->visitor->data, words, err);
}

/* What belongs to version `no`; what comes before it belongs to none. */
static int take_parts(struct walk *walk, uint32_t no, flagver_error *err)
{
    struct stream *stream;
    uint32_t of;
    size_t i;
    int r = 0;

    for (i = 0; i < PARTS; i++) {
        stream = &walk->parts[i];
        while (r == 0 && stream->more && (of = version_of(&parts[i], &stream->row)) <= no) {
            r = of == no ? take_part(walk, i, err) : leave_part(walk, i, err);
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

/* The versions of a series, the next ones of all, with what belongs to each. */
static int take_versions(struct walk *walk, struct stream *versions, flagver_error *err)
{
    const flagver_version_row *version = &versions->row.as.version;
    int r = 0;

    while (r == 0 && versions->more &&
           memcmp(&version->series, &walk->series->id, sizeof version->series) == 0) {
        r = take_version(walk, version, err);
        if (r == 0)
            r = next_row(versions, err);
    }
    return r == 0 ? take_parts(walk, UINT32_MAX, err) : r;
}

static int take_series(const struct fv_read *read, const struct fv_rows_visitor *visitor,
                       const flagver_series_row *series, struct stream *versions,
                       flagver_error *err)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_SERIES, .as.series = *series };
    struct walk walk = { .visitor = visitor, .series = series };
    flagver_query query = { .id = series->id, .payload = 1 };
    int r = visitor->take(visitor->data, &line, err);
    size_t i;

    for (i = 0; r == 0 && i < PARTS; i++) {
        query.kind = parts[i].query;
        r = open_stream(&walk.parts[i], read, &query, err);
    }
    if (r == 0)
        r = take_versions(&walk, versions, err);
    for (i = 0; i < PARTS; i++)
        close_stream(&walk.parts[i]);
    return r;
}

/* Versions that were not the next ones of any series. */
static int leave_versions(const struct fv_rows_visitor *visitor, struct stream *versions,
                          flagver_error *err)
{
    const flagver_version_row *row = &versions->row.as.version;
    char words[WORDS_SIZE];
    int r = 0;

    while (r == 0 && versions->more) {
        snprintf(words, sizeof words, "version %" PRIu32 " of %.*s \"%.*s\" is of no series",
                 row->no, (int)row->phase.length, (const char *)row->phase.data,
                 (int)row->subject.length, (const char *)row->subject.data);
        r = visitor->stray(visitor->data, words, err);
        if (r == 0)
            r = next_row(versions, err);
    }
    return r;
}

/*
 * Series and versions are two scans of one state, in the same order: the versions of a series
 * are the next ones of the other scan.
 */
int fv_rows_walk(const struct fv_read *read, const struct fv_rows_visitor *visitor,
                 flagver_error *err)
{
    const flagver_query all = { .kind = FLAGVER_QUERY_SERIES };
    const flagver_query all_versions = { .kind = FLAGVER_QUERY_VERSIONS,
                                         .pick = FLAGVER_PICK_ALL,
                                         .payload = 1 };
    struct stream series = { .cursor = NULL }, versions;
    int r;

    r = open_stream(&versions, read, &all_versions, err);
    if (r == 0)
        r = open_stream(&series, read, &all, err);
    while (r == 0 && series.more) {
        r = take_series(read, visitor, &series.row.as.series, &versions, err);
        if (r == 0)
            r = next_row(&series, err);
    }
    if (r == 0)
        r = leave_versions(visitor, &versions, err);
    close_stream(&series);
    close_stream(&versions);
    return r;
}
