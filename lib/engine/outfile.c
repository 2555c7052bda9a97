#define _POSIX_C_SOURCE 200809L /* open() with O_CLOEXEC, fsync(), clock_gettime() */

#include "engine/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/fail.h"

#define FLUSH_AT 65536u

static int fail_io(const struct fv_outfile *file, flagver_error *err)
{
    return fv_fail_errno(err, FLAGVER_EIO, errno, "%.500s", file->path);
}

static int fail_there(const struct fv_outfile *file, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EEXIST, "%.500s is there already", file->path);
}

/* ---- opening ---- */

/* No other that is being written has this name: not of this moment and process. */
static int name_beside(struct fv_outfile *file, flagver_error *err)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    fv_text_format(&file->beside, "%s.%ld-%09ld.part", file->path, (long)getpid(),
                   (long)now.tv_nsec);
    return file->beside.failed ? fv_fail_memory(err) : 0;
}

/* Replacing a device or a pipe by a file is not what anybody wants. */
static int check_target(const struct fv_outfile *file, flagver_error *err)
{
    struct stat target;

    if (!file->replace)
        return access(file->path, F_OK) == 0 ? fail_there(file, err) : 0;
    if (stat(file->path, &target) == 0 && !S_ISREG(target.st_mode))
        return fv_fail(err, FLAGVER_EIO, "%.500s: not a regular file", file->path);
    return 0;
}

static int make_file(struct fv_outfile *file, flagver_error *err)
{
    do
        file->file = open(file->beside.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    while (file->file < 0 && errno == EINTR);
    file->made = file->file >= 0;
    return file->made ? 0 : fail_io(file, err);
}

int fv_outfile_open(struct fv_outfile *file, const char *path, bool replace, flagver_error *err)
{
    int r;

    *file = (struct fv_outfile)FV_OUTFILE_INIT;
    file->path = path;
    file->replace = replace;
    r = check_target(file, err);
    if (r == 0)
        r = name_beside(file, err);
    return r == 0 ? make_file(file, err) : r;
}

/* ---- writing ---- */

static int flush(struct fv_outfile *file, flagver_error *err)
{
    const char *at = file->buffer.data, *end = at + file->buffer.length;
    ssize_t written;

    while (at < end) {
        written = write(file->file, at, (size_t)(end - at));
        if (written >= 0)
            at += written;
        else if (errno != EINTR)
            return fail_io(file, err);
    }
    fv_text_reset(&file->buffer);
    return 0;
}

int fv_outfile_add(struct fv_outfile *file, const void *bytes, size_t length, flagver_error *err)
{
    fv_text_add_bytes(&file->buffer, bytes, length);
    if (file->buffer.failed)
        return fv_fail_memory(err);
    file->written += length;
    return file->buffer.length >= FLUSH_AT ? flush(file, err) : 0;
}

/* ---- its name ---- */

/* -1 in *ret_directory where directories cannot be opened. */
static int open_directory(const struct fv_outfile *file, int *ret_directory, flagver_error *err)
{
    const char *slash = strrchr(file->path, '/');
    struct fv_text name = FV_TEXT_INIT;

    if (slash)
        fv_text_add_bytes(&name, file->path, (size_t)(slash - file->path) + 1);
    else
        fv_text_add(&name, ".");
    if (name.failed)
        return fv_fail_memory(err);
    *ret_directory = open(name.data, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    fv_text_clear(&name);
    return 0;
}

/* Unlike rename(), link() never replaces anything; but not every file system has it. */
static int give_new_name(const struct fv_outfile *file, flagver_error *err)
{
    if (link(file->beside.data, file->path) == 0) {
        unlink(file->beside.data);
        return 0;
    }
    if (errno == EEXIST || access(file->path, F_OK) == 0)
        return fail_there(file, err);
    return rename(file->beside.data, file->path) < 0 ? fail_io(file, err) : 0;
}

static int give_name(const struct fv_outfile *file, flagver_error *err)
{
    if (!file->replace)
        return give_new_name(file, err);
    return rename(file->beside.data, file->path) < 0 ? fail_io(file, err) : 0;
}

/* A power cut undoes a new name as long as the directory is not written. */
static int put_in_place(struct fv_outfile *file, int directory, flagver_error *err)
{
    int r = give_name(file, err);

    if (r < 0)
        return r;
    file->made = false;
    if (directory >= 0 && fsync(directory) < 0 && errno != EINVAL)
        return fail_io(file, err);
    return 0;
}

int fv_outfile_complete(struct fv_outfile *file, flagver_error *err)
{
    int directory = -1, descriptor = file->file, r;

    r = flush(file, err);
    if (r < 0)
        return r;
    if (fsync(descriptor) < 0)
        return fail_io(file, err);
    file->file = -1;
    if (close(descriptor) < 0)
        return fail_io(file, err);

    r = open_directory(file, &directory, err);
    if (r == 0)
        r = put_in_place(file, directory, err);
    if (directory >= 0)
        close(directory);
    return r;
}

void fv_outfile_clear(struct fv_outfile *file)
{
    if (file->file >= 0)
        close(file->file);
    if (file->made)
        unlink(file->beside.data);
    fv_text_clear(&file->buffer);
    fv_text_clear(&file->beside);
    file->file = -1;
    file->made = false;
}
