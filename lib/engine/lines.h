/*
 * The lines of a file, one at a time and as often as one likes, whatever the file's
 * size.
 */
#ifndef FV_ENGINE_LINES_H
#define FV_ENGINE_LINES_H

#include "flagver/base.h"
#include "util/text.h"

struct fv_lines {
    const char *path;
    int file;
    size_t limit;          /* no line may be longer */
    uint64_t number;       /* of the line that was read last, from 1 */
    struct fv_text buffer; /* what was read of the file and not yet given out, from `next` on */
    size_t next;
    bool at_end;  /* of the file: the buffer holds the rest */
    bool once;    /* it need not end in "\n" */
    bool unended; /* the line that was read last does not */
};

/* `path` is borrowed. FLAGVER_EIO: no regular file that can be read; FLAGVER_ENOMEM. */
int fv_lines_open(struct fv_lines *lines, const char *path, size_t limit, flagver_error *err);

/* The same for what is read only once: pipes and devices as well, and "-", standard input. A last line
 * without an end is given out. */
int fv_lines_open_once(struct fv_lines *lines, const char *path, size_t limit, flagver_error *err);
void fv_lines_close(struct fv_lines *lines);

/* Back to the first line; not of what is read once. */
int fv_lines_rewind(struct fv_lines *lines, flagver_error *err);

/*
 * The next line without its "\n", borrowed until the next call.
 *
 * @return 1; 0 at the end; FLAGVER_EPARSE for a line that is too long, or the last
 *   one when it does not end; FLAGVER_EIO, FLAGVER_ENOMEM
 */
int fv_lines_next(struct fv_lines *lines, const char **ret_line, size_t *ret_length,
                  flagver_error *err);

#endif
