#define _DEFAULT_SOURCE /* realpath, flock, st_mtim */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "driver/sqlite_internal.h"

#define LOG "-wal"
#define INDEX "-shm"
#define NAMES_ASIDE 99

/* ---- who is who ---- */

bool fv_file_same(struct fv_file_id a, struct fv_file_id b)
{
    return a.inode == b.inode && a.device == b.device;
}

static struct fv_file_id id_of(const struct stat *status)
{
    return (struct fv_file_id){ status->st_dev, status->st_ino };
}

int fv_file_identify(const char *path, struct fv_file_id *ret_file)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return errno;
    *ret_file = id_of(&status);
    return 0;
}

/* SQLite puts it beside what a link points to. */
static void name_beside(struct fv_text *name, const char *path, const char *suffix)
{
    char *real = realpath(path, NULL);

    fv_text_add(name, real ? real : path);
    fv_text_add(name, suffix);
    free(real);
}

static struct fv_file_id identify_beside(const char *path, const char *suffix, bool only_filled)
{
    struct fv_text name = FV_TEXT_INIT;
    struct fv_file_id file = { 0, 0 };
    struct stat status;

    name_beside(&name, path, suffix);
    if (!name.failed && stat(name.data, &status) == 0 && (status.st_size > 0 || !only_filled))
        file = id_of(&status);
    fv_text_clear(&name);
    return file;
}

struct fv_file_id fv_file_log(const char *path, bool only_filled)
{
    return identify_beside(path, LOG, only_filled);
}

struct fv_file_id fv_file_index(const char *path, bool only_filled)
{
    return identify_beside(path, INDEX, only_filled);
}

/* ---- other names ---- */

/* No file is ever overwritten: there may be the log of something that is still of use. */
static void name_aside(struct fv_text *aside, const char *name, int number)
{
    fv_text_reset(aside);
    fv_text_format(aside, "%s.replaced", name);
    if (number > 1)
        fv_text_format(aside, "-%d", number);
}

/* A link and not a new name: that would overwrite what has come there meanwhile. */
static bool rename_to_free(const char *from, const char *to)
{
    if (link(from, to) != 0)
        return false;
    unlink(from);
    return true;
}

static void rename_aside(const char *name)
{
    struct fv_text aside = FV_TEXT_INIT;
    bool done = false;
    int number;

    for (number = 1; number <= NAMES_ASIDE && !done; number++) {
        name_aside(&aside, name, number);
        done = aside.failed || rename_to_free(name, aside.data) || errno != EEXIST;
    }
    fv_text_clear(&aside);
}

static void rename_back(const char *name, struct fv_file_id ours)
{
    struct fv_text aside = FV_TEXT_INIT;
    struct fv_file_id file = { 0, 0 };
    bool done = false;
    int number;

    for (number = 1; number <= NAMES_ASIDE && !done; number++) {
        name_aside(&aside, name, number);
        if (aside.failed || fv_file_identify(aside.data, &file) != 0 || !fv_file_same(file, ours))
            continue;
        rename_to_free(aside.data, name);
        done = true;
    }
    fv_text_clear(&aside);
}

/* ---- set aside, put back ---- */

static bool earlier(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/*
 * Who has opened the new file beside our log, while that was empty, has it for its own. Then one
 * of the two was written after the new one got its name (which is what changed it last).
 */
static bool is_in_use(const char *path, const struct stat *log)
{
    struct stat file;

    return stat(path, &file) != 0 || !earlier(file.st_mtim, file.st_ctim) ||
           !earlier(log->st_mtim, file.st_ctim);
}

static void set_aside(const char *path, const char *log, const struct fv_files *ours,
                      struct fv_sqlite *conn)
{
    struct fv_text index = FV_TEXT_INIT;
    struct fv_file_id file = { 0, 0 };

    if (conn)
        fv_sqlite_empty_log(conn);
    name_beside(&index, path, INDEX);
    rename_aside(log);
    if (!index.failed && fv_file_identify(index.data, &file) == 0 &&
        fv_file_same(file, ours->index))
        rename_aside(index.data);
    fv_text_clear(&index);
}

/*
 * Several processes may find the new file at once. Who has the lock on the log and still finds it
 * under its name renames it. (SQLite has no locks on the log, so closing it here ends none.)
 */
void fv_files_set_aside(const char *path, const struct fv_files *ours, struct fv_sqlite *conn)
{
    struct fv_text name = FV_TEXT_INIT;
    struct fv_file_id named = { 0, 0 };
    struct stat log;
    int file;

    name_beside(&name, path, LOG);
    file = name.failed ? -1 : open(name.data, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &log) == 0 &&
        fv_file_same(id_of(&log), ours->log) && fv_file_identify(name.data, &named) == 0 &&
        fv_file_same(named, ours->log) && !is_in_use(path, &log))
        set_aside(path, name.data, ours, conn);
    if (file >= 0)
        close(file);
    fv_text_clear(&name);
}

void fv_files_put_back(const char *path, const struct fv_files *ours)
{
    struct fv_text log = FV_TEXT_INIT, index = FV_TEXT_INIT;

    name_beside(&log, path, LOG);
    name_beside(&index, path, INDEX);
    if (!log.failed && !index.failed) {
        rename_back(index.data, ours->index);
        rename_back(log.data, ours->log);
    }
    fv_text_clear(&log);
    fv_text_clear(&index);
}
