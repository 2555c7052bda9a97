#define _POSIX_C_SOURCE 200809L /* open() with O_CLOEXEC */

#include "engine/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/transfer.h"
#include "util/fail.h"

#define PIECE 16384u

int fv_lines_open(struct fv_lines *lines, const char *path, size_t limit, flagver_error *err)
{
    struct stat status;
    int file;

    /* Not to wait for somebody to write into a pipe, which is refused below. */
    do
        file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (file < 0 && errno == EINTR);
    if (file < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.500s", path);
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(file);
        return fv_fail(err, FLAGVER_EIO, "%.500s: not a regular file, which could be read twice",
                       path);
    }
    *lines =
        (struct fv_lines){ .path = path, .file = file, .limit = limit, .buffer = FV_TEXT_INIT };
    return 0;
}

/* Waits for who writes into a pipe. */
static int open_input(const char *path)
{
    int file;

    if (strcmp(path, "-") == 0)
        return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    do
        file = open(path, O_RDONLY | O_CLOEXEC);
    while (file < 0 && errno == EINTR);
    return file;
}

int fv_lines_open_once(struct fv_lines *lines, const char *path, size_t limit, flagver_error *err)
{
    int file = open_input(path);

    if (file < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.500s", path);
    *lines = (struct fv_lines){
        .path = path, .file = file, .limit = limit, .once = true, .buffer = FV_TEXT_INIT
    };
    return 0;
}

void fv_lines_close(struct fv_lines *lines)
{
    fv_text_clear(&lines->buffer);
    close(lines->file);
}

int fv_lines_rewind(struct fv_lines *lines, flagver_error *err)
{
    if (lseek(lines->file, 0, SEEK_SET) < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.500s", lines->path);
    fv_text_reset(&lines->buffer);
    lines->next = 0;
    lines->number = 0;
    lines->at_end = false;
    return 0;
}

/* Forget what was given out. */
static void drop_read(struct fv_lines *lines)
{
    struct fv_text *buffer = &lines->buffer;

    if (!lines->next)
        return;
    memmove(buffer->data, buffer->data + lines->next, buffer->length - lines->next + 1);
    buffer->length -= lines->next;
    lines->next = 0;
}

static int read_piece(struct fv_lines *lines, flagver_error *err)
{
    char piece[PIECE];
    ssize_t got;

    drop_read(lines);
    do
        got = read(lines->file, piece, sizeof piece);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.500s", lines->path);
    lines->at_end = got == 0;
    fv_text_add_bytes(&lines->buffer, piece, (size_t)got);
    return lines->buffer.failed ? fv_fail_memory(err) : 0;
}

static int refuse_long(struct fv_lines *lines, flagver_error *err)
{
    const struct fv_transfer_place place = { lines->path, lines->number + 1 };

    return fv_transfer_refuse(err, &place, "the line is longer than %zu bytes", lines->limit);
}

static int refuse_end(struct fv_lines *lines, flagver_error *err)
{
    const struct fv_transfer_place place = { lines->path, lines->number + 1 };

    return fv_transfer_refuse(err, &place, "the file ends inside this line");
}

int fv_lines_next(struct fv_lines *lines, const char **ret_line, size_t *ret_length,
                  flagver_error *err)
{
    const struct fv_text *buffer = &lines->buffer;
    size_t looked = 0; /* so much of the line has no end in it */
    const char *line, *end = NULL;
    int r;

    for (;;) {
        line = buffer->data + lines->next;
        end = memchr(line + looked, '\n', buffer->length - lines->next - looked);
        if (end || lines->at_end)
            break;
        looked = buffer->length - lines->next;
        if (looked > lines->limit)
            return refuse_long(lines, err);
        r = read_piece(lines, err);
        if (r < 0)
            return r;
    }
    if (!end && buffer->length == lines->next)
        return 0;
    if (!end && !lines->once)
        return refuse_end(lines, err);
    lines->unended = !end;
    *ret_line = line;
    *ret_length = end ? (size_t)(end - line) : buffer->length - lines->next;
    lines->next += *ret_length + !lines->unended;
    lines->number++;
    return 1;
}
