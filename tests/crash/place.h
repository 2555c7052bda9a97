/*
 * What the crash tests share: places for stores, and processes that work on them.
 *
 * A process that has a store open and forks may not use it in the child. So the
 * test itself opens no store while it still starts processes: it lets others do
 * that, and tells them apart by what they return.
 *
 * Check's assertions are for the test's own process. Others say what is wrong by
 * complain(), which returns false, and end with a status that is not 0.
 */
#ifndef FLAGVER_TESTS_PLACE_H
#define FLAGVER_TESTS_PLACE_H

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <flagver.h>

#include "support.h"

/* ---- places ---- */

static inline bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* A fresh directory in memory, and a store in it that is not there yet. */
struct place {
    char directory[64];
    char path[80];
    char uri[96];
};

static inline bool place_make(struct place *place, const char *where)
{
    snprintf(place->directory, sizeof place->directory, "%s/fvcrash-XXXXXX", where);
    if (!mkdtemp(place->directory))
        return false;
    snprintf(place->path, sizeof place->path, "%s/store", place->directory);
    snprintf(place->uri, sizeof place->uri, "sqlite:%s", place->path);
    return true;
}

static inline struct place place_new(void)
{
    struct place place;

    if (!place_make(&place, "/dev/shm") && !place_make(&place, "/tmp"))
        ck_abort_msg("no directory for a store");
    return place;
}

/* "DIRECTORY/NAME"; room for 128 bytes. */
static inline const char *place_file(const struct place *place, const char *name, char *out)
{
    snprintf(out, 128, "%s/%s", place->directory, name);
    return out;
}

static inline bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Remove what is in it; `begin`: only names that begin like this. The number of files there were. */
static inline int place_empty(const struct place *place, const char *begin)
{
    DIR *directory = opendir(place->directory);
    struct dirent *entry;
    int count = 0;

    while (directory && (entry = readdir(directory))) {
        if (is_dots(entry->d_name) || strncmp(entry->d_name, begin, strlen(begin)) != 0)
            continue;
        count += unlinkat(dirfd(directory), entry->d_name, 0) == 0;
    }
    if (directory)
        closedir(directory);
    return count;
}

static inline void place_remove(const struct place *place)
{
    place_empty(place, "");
    rmdir(place->directory);
}

/* ---- time and numbers ---- */

static inline double now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static inline void pause_us(long us)
{
    const struct timespec time = { us / 1000000, us % 1000000 * 1000 };

    nanosleep(&time, NULL);
}

/* How much is to be done: what the environment says, or this. */
static inline int scale(const char *variable, int usual)
{
    const char *text = getenv(variable);
    int value = text ? atoi(text) : 0;

    return value > 0 ? value : usual;
}

/* What scripts/run-tests.sh shows also of tests that pass. */
__attribute__((format(printf, 1, 2))) static inline void measured(const char *format, ...)
{
    va_list arguments;

    fputs("MEASURED: ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fputc('\n', stdout);
}

/* ---- processes ---- */

__attribute__((format(printf, 1, 2))) static inline bool complain(const char *format, ...)
{
    va_list arguments;

    fputs("    ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

/* Run `body` in a process of its own, which does not outlive this one. It ends with what is returned. */
static inline pid_t start(int (*body)(void *data), void *data)
{
    pid_t parent = getpid(), child;

    fflush(NULL);
    child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, SIG_DFL); /* Check's own kills the test */
    if (getppid() != parent)
        _exit(1);
    _exit(body(data));
}

/* Wait for it; what it returned, or 1000 and the signal that ended it. */
static inline int finish(pid_t child)
{
    int status = 0;

    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline int in_process(int (*body)(void *data), void *data)
{
    return finish(start(body, data));
}

/* Memory that the processes started from now on share; all zero. */
static inline void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        ck_abort_msg("no memory for processes to share");
    return memory;
}

#endif
