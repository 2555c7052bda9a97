/*
 * Files that are there whole or not at all: what is written goes into a file beside them,
 * which gets their name at the end.
 */
#ifndef FV_ENGINE_OUTFILE_H
#define FV_ENGINE_OUTFILE_H

#include "flagver/base.h"
#include "util/text.h"

struct fv_outfile {
    const char *path;      /* what it is going to be called */
    struct fv_text beside; /* what it is called until it is complete: PATH.PROCESS-TIME.part */
    bool replace;          /* what has that name already */
    bool made;             /* it is there, under the name beside */
    int file;
    struct fv_text buffer;
    uint64_t written;
};

#define FV_OUTFILE_INIT                                            \
    {                                                              \
        .beside = FV_TEXT_INIT, .file = -1, .buffer = FV_TEXT_INIT \
    }

/*
 * `path` is borrowed. Where `replace`, a regular file that is there is replaced; otherwise it is
 * FLAGVER_EEXIST. To be cleared in any case.
 *
 * @return 0, FLAGVER_EEXIST, FLAGVER_EIO (it cannot be made, or a device or pipe has the name),
 *   FLAGVER_ENOMEM
 */
int fv_outfile_open(struct fv_outfile *file, const char *path, bool replace, flagver_error *err);

/* 0, FLAGVER_EIO, FLAGVER_ENOMEM; after an error it can only be cleared. */
int fv_outfile_add(struct fv_outfile *file, const void *bytes, size_t length, flagver_error *err);

/* Write it through to the disk and give it its name. */
int fv_outfile_complete(struct fv_outfile *file, flagver_error *err);

/* A file that is not complete is removed. */
void fv_outfile_clear(struct fv_outfile *file);

#endif
