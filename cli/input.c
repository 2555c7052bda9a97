#define _POSIX_C_SOURCE 200809L

#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

/* What one read asks for at least. */
#define PIECE ((size_t)256 * 1024)

void cli_out_of_memory(void)
{
    cli_complain(NULL, "out of memory");
    exit(cli_finish(CLI_UNAVAILABLE));
}

void *cli_allocate(size_t size)
{
    return cli_reallocate(NULL, size);
}

void *cli_reallocate(void *block, size_t size)
{
    void *moved = realloc(block, size ? size : 1);

    if (!moved)
        cli_out_of_memory();
    return moved;
}

char *cli_copy(const char *bytes, size_t length)
{
    char *copy = cli_allocate(length + 1);

    memcpy(copy, bytes, length);
    copy[length] = 0;
    return copy;
}

/* Returns the number of bytes, 0 at the end, or -1 with errno set. */
static ssize_t read_some(int fd, char *bytes, size_t room)
{
    ssize_t count;

    do
        count = read(fd, bytes, room);
    while (count < 0 && errno == EINTR);
    return count;
}

static int read_all(int fd, char **ret_text, size_t *ret_length)
{
    size_t capacity = 0, length = 0;
    char *text = NULL;
    ssize_t count;
    int number;

    do {
        if (capacity - length < PIECE) {
            capacity = capacity * 2 + PIECE;
            text = cli_reallocate(text, capacity);
        }
        count = read_some(fd, text + length, capacity - length);
        length += count > 0 ? (size_t)count : 0;
    } while (count > 0);

    if (count < 0) {
        number = errno;
        free(text);
        return number;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

int cli_read_file(const char *path, char **ret_text, size_t *ret_length)
{
    int fd, r;

    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, ret_text, ret_length);

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    r = read_all(fd, ret_text, ret_length);
    close(fd);
    return r;
}

int cli_read_operand(const char *path, const char **ret_name, char **ret_text, size_t *ret_length)
{
    int r = cli_read_file(path, ret_text, ret_length);

    *ret_name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    if (r == 0)
        return 0;
    cli_complain(*ret_name, "%s", strerror(r));
    return CLI_INVALID;
}

bool cli_lines_next(struct cli_lines *lines, const char **ret_line, size_t *ret_length)
{
    const char *from = lines->data + lines->searched, *newline = NULL;

    if (lines->searched < lines->end)
        newline = memchr(from, '\n', lines->end - lines->searched);
    if (!newline && !(lines->ended && lines->start < lines->end)) {
        lines->searched = lines->end;
        return false;
    }

    *ret_line = lines->data + lines->start;
    *ret_length = newline ? (size_t)(newline - *ret_line) : lines->end - lines->start;
    lines->start += *ret_length + (newline ? 1 : 0);
    lines->searched = lines->start;
    return true;
}

static void make_room(struct cli_lines *lines)
{
    if (lines->start > 0) {
        memmove(lines->data, lines->data + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->searched -= lines->start;
        lines->start = 0;
    }
    if (lines->capacity - lines->end < PIECE) {
        lines->capacity = lines->capacity * 2 + PIECE;
        lines->data = cli_reallocate(lines->data, lines->capacity);
    }
}

int cli_lines_read(struct cli_lines *lines)
{
    ssize_t count;

    if (lines->ended)
        return -1;
    make_room(lines);
    count = read_some(lines->fd, lines->data + lines->end, lines->capacity - lines->end);
    if (count < 0)
        return errno;
    if (count == 0)
        lines->ended = true;
    lines->end += (size_t)count;
    return 0;
}

void cli_lines_clear(struct cli_lines *lines)
{
    free(lines->data);
    *lines = (struct cli_lines){ .fd = lines->fd };
}
