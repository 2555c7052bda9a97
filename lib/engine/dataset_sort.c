#define _POSIX_C_SOURCE 200809L /* mkstemp(), pread() */

#include "engine/dataset_sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/fail.h"
#include "util/memory.h"

#define PIECE ((size_t)64 << 10)

/* In front of a record's key and value, each of which has a NUL behind it. */
struct header {
    uint64_t line;
    uint32_t key_length, value_length;
};

/* Records on disk, and those of them that are being merged. */
struct fv_sorter_run {
    uint64_t at, end;      /* what was not read yet, in the file */
    struct fv_text buffer; /* what was, … */
    size_t next;           /* … and is not given out yet */
};

void fv_sorter_init(struct fv_sorter *sorter, const char *beside, size_t memory)
{
    *sorter =
        (struct fv_sorter){ .beside = beside, .memory = memory, .held = FV_TEXT_INIT, .file = -1 };
}

void fv_sorter_clear(struct fv_sorter *sorter)
{
    size_t i;

    for (i = 0; i < sorter->run_count; i++)
        fv_text_clear(&sorter->runs[i].buffer);
    free(sorter->runs);
    free(sorter->starts);
    fv_text_clear(&sorter->held);
    if (sorter->file >= 0)
        close(sorter->file);
    fv_sorter_init(sorter, sorter->beside, sorter->memory);
}

/* ---- records in memory ---- */

static size_t size_of(const struct header *header)
{
    return sizeof *header + header->key_length + header->value_length + 2;
}

static struct header header_at(const char *bytes)
{
    struct header header;

    memcpy(&header, bytes, sizeof header);
    return header;
}

static void record_at(const char *bytes, flagver_dataset_record *ret_record)
{
    struct header header = header_at(bytes);

    *ret_record = (flagver_dataset_record){ .key = bytes + sizeof header,
                                            .key_length = header.key_length,
                                            .value = bytes + sizeof header + header.key_length + 1,
                                            .value_length = header.value_length,
                                            .line = header.line };
}

static int compare(const char *a, const char *b)
{
    struct header left = header_at(a), right = header_at(b);
    size_t length = left.key_length < right.key_length ? left.key_length : right.key_length;
    int order = memcmp(a + sizeof left, b + sizeof right, length);

    if (order)
        return order;
    if (left.key_length != right.key_length)
        return left.key_length < right.key_length ? -1 : 1;
    return (left.line > right.line) - (left.line < right.line);
}

/* A heap, the last at its top: qsort() has no place for where the records are. */
static void sift(const struct fv_sorter *sorter, size_t *starts, size_t at, size_t count)
{
    const char *held = sorter->held.data;
    size_t child, moved = starts[at];

    for (; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare(held + starts[child], held + starts[child + 1]) < 0)
            child++;
        if (compare(held + starts[child], held + moved) <= 0)
            break;
        starts[at] = starts[child];
    }
    starts[at] = moved;
}

static bool is_sorted(const struct fv_sorter *sorter)
{
    const char *held = sorter->held.data;
    size_t i;

    for (i = 1; i < sorter->count; i++)
        if (compare(held + sorter->starts[i - 1], held + sorter->starts[i]) > 0)
            return false;
    return true;
}

static void sort(struct fv_sorter *sorter)
{
    size_t *starts = sorter->starts, count = sorter->count, first;

    if (is_sorted(sorter))
        return;
    for (first = count / 2; first-- > 0;)
        sift(sorter, starts, first, count);
    while (count-- > 1) {
        first = starts[0];
        starts[0] = starts[count];
        starts[count] = first;
        sift(sorter, starts, 0, count);
    }
}

/* ---- runs on disk ---- */

static int fail_io(const struct fv_sorter *sorter, flagver_error *err)
{
    return fv_fail_errno(err, FLAGVER_EIO, errno, "a file to sort in, beside %.500s",
                         sorter->beside);
}

static int open_file(struct fv_sorter *sorter, flagver_error *err)
{
    struct fv_text name = FV_TEXT_INIT;

    if (sorter->file >= 0)
        return 0;
    fv_text_format(&name, "%s.XXXXXX", sorter->beside);
    if (name.failed)
        return fv_fail_memory(err);
    sorter->file = mkstemp(name.data);
    if (sorter->file >= 0)
        unlink(name.data);
    fv_text_clear(&name);
    return sorter->file >= 0 ? 0 : fail_io(sorter, err);
}

static int write_all(struct fv_sorter *sorter, const char *bytes, size_t length, flagver_error *err)
{
    ssize_t written;

    while (length) {
        written = write(sorter->file, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail_io(sorter, err);
        bytes += written;
        length -= (size_t)written;
        sorter->written += (uint64_t)written;
    }
    return 0;
}

static int write_held(struct fv_sorter *sorter, flagver_error *err)
{
    struct fv_text piece = FV_TEXT_INIT;
    const char *record;
    struct header header;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < sorter->count; i++) {
        record = sorter->held.data + sorter->starts[i];
        header = header_at(record);
        fv_text_add_bytes(&piece, record, size_of(&header));
        if (piece.failed)
            r = fv_fail_memory(err);
        else if (piece.length >= PIECE || i + 1 == sorter->count) {
            r = write_all(sorter, piece.data, piece.length, err);
            fv_text_reset(&piece);
        }
    }
    fv_text_clear(&piece);
    return r;
}

/* What is in memory becomes a run. */
static int spill(struct fv_sorter *sorter, flagver_error *err)
{
    void *runs = sorter->runs;
    uint64_t at;
    bool fine;
    int r;

    if (!sorter->count)
        return 0;
    fine = fv_grow(NULL, &runs, &sorter->run_room, sorter->run_count, sizeof *sorter->runs);
    sorter->runs = runs;
    if (!fine)
        return fv_fail_memory(err);
    r = open_file(sorter, err);
    if (r < 0)
        return r;
    sort(sorter);
    at = sorter->written;
    r = write_held(sorter, err);
    if (r < 0)
        return r;
    sorter->runs[sorter->run_count++] =
        (struct fv_sorter_run){ .at = at, .end = sorter->written, .buffer = FV_TEXT_INIT };
    fv_text_reset(&sorter->held);
    sorter->count = 0;
    return 0;
}

int fv_sorter_add(struct fv_sorter *sorter, const flagver_dataset_record *record,
                  flagver_error *err)
{
    const struct header header = { record->line, (uint32_t)record->key_length,
                                   (uint32_t)record->value_length };
    struct fv_text *held = &sorter->held;
    void *starts = sorter->starts;
    bool fine;
    int r = 0;

    if (held->length + size_of(&header) + sorter->count * sizeof *sorter->starts > sorter->memory)
        r = spill(sorter, err);
    if (r < 0)
        return r;
    fine = fv_grow(NULL, &starts, &sorter->room, sorter->count, sizeof *sorter->starts);
    sorter->starts = starts;
    if (!fine)
        return fv_fail_memory(err);
    sorter->starts[sorter->count] = held->length;
    fv_text_add_bytes(held, (const char *)&header, sizeof header);
    fv_text_add_bytes(held, record->key, record->key_length);
    fv_text_add_char(held, 0);
    fv_text_add_bytes(held, record->value, record->value_length);
    fv_text_add_char(held, 0);
    if (held->failed)
        return fv_fail_memory(err);
    sorter->count++;
    return 0;
}

/* ---- merging ---- */

/* Until so many bytes are there, which are in the run. */
static int fill(struct fv_sorter *sorter, struct fv_sorter_run *run, size_t wanted,
                flagver_error *err)
{
    struct fv_text *buffer = &run->buffer;
    char piece[PIECE / 4];
    size_t most;
    ssize_t got;

    while (buffer->length - run->next < wanted) {
        most = run->end - run->at < sizeof piece ? (size_t)(run->end - run->at) : sizeof piece;
        got = pread(sorter->file, piece, most, (off_t)run->at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; /* somebody else has cut it off */
        if (got <= 0)
            return fail_io(sorter, err);
        run->at += (uint64_t)got;
        fv_text_add_bytes(buffer, piece, (size_t)got);
        if (buffer->failed)
            return fv_fail_memory(err);
    }
    return 0;
}

static void drop_given(struct fv_sorter_run *run)
{
    struct fv_text *buffer = &run->buffer;

    if (!run->next)
        return;
    memmove(buffer->data, buffer->data + run->next, buffer->length - run->next);
    buffer->length -= run->next;
    run->next = 0;
}

/* The run's first record is in its buffer. 0: it has none any more. */
static int load(struct fv_sorter *sorter, struct fv_sorter_run *run, flagver_error *err)
{
    struct header header;
    int r;

    if (run->buffer.length == run->next && run->at == run->end)
        return 0;
    if (run->buffer.length - run->next < PIECE / 4)
        drop_given(run);
    r = fill(sorter, run, sizeof header, err);
    if (r < 0)
        return r;
    header = header_at(run->buffer.data + run->next);
    r = fill(sorter, run, size_of(&header), err);
    return r < 0 ? r : 1;
}

static int next_merged(struct fv_sorter *sorter, flagver_dataset_record *ret_record,
                       flagver_error *err)
{
    struct fv_sorter_run *run, *least = NULL;
    struct header header;
    const char *first;
    size_t i;
    int r;

    if (sorter->given) {
        header = header_at(sorter->given->buffer.data + sorter->given->next);
        sorter->given->next += size_of(&header);
    }
    for (i = 0; i < sorter->run_count; i++) {
        run = &sorter->runs[i];
        r = load(sorter, run, err);
        if (r < 0)
            return r;
        first = run->buffer.data + run->next;
        if (r > 0 && (!least || compare(first, least->buffer.data + least->next) < 0))
            least = run;
    }
    sorter->given = least;
    if (!least)
        return 0;
    record_at(least->buffer.data + least->next, ret_record);
    return 1;
}

int fv_sorter_next(struct fv_sorter *sorter, flagver_dataset_record *ret_record, flagver_error *err)
{
    int r = 0;

    if (sorter->run_count) {
        r = spill(sorter, err);
        if (r == 0)
            fv_text_clear(&sorter->held);
        return r < 0 ? r : next_merged(sorter, ret_record, err);
    }
    if (!sorter->next)
        sort(sorter);
    if (sorter->next == sorter->count)
        return 0;
    record_at(sorter->held.data + sorter->starts[sorter->next++], ret_record);
    return 1;
}
