/**
 * libflagver: the client, where flags come from; and snapshots, all flags as
 * they were at one moment.
 */
#ifndef FLAGVER_CLIENT_H
#define FLAGVER_CLIENT_H

#include "flagver/base.h"
#include "flagver/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A source of flags. Calls on a client may be made by any number of threads at
 *  once, except flagver_close(), which must be the last one. */
typedef struct flagver_client flagver_client;

/** Immutable; may be read by any number of threads. Only schedules go on, by the
 *  clock of the client it was taken from: an options.clock must live as long. */
typedef struct flagver_snapshot flagver_snapshot;

struct flagver_detail;

#define FLAGVER_LOG_WARNING 2

/**
 * The host's part in an evaluation, for tracing. (This struct will not grow;
 * what a later version adds will be an option of its own.) Both functions are optional
 * and run on the evaluating thread. They may evaluate flags themselves (with
 * this hook silent for those), but must not change or close the client.
 *
 * before  the evaluation of `flag` for `context` (may be NULL) begins; the key is
 *         borrowed until the function returns, and cut off after 256 bytes
 * after   it ended with `detail`, borrowed until the function returns
 */
typedef struct flagver_hook {
    void (*before)(void *data, const char *flag, const flagver_context *context);
    void (*after)(void *data, const flagver_context *context, const struct flagver_detail *detail);
    void *data;
} flagver_hook;

/**
 * Options of flagver_open() and flagver_snapshot_load(). Set `size` and leave
 * the rest zero for the defaults; NULL options are all defaults.
 *
 *     flagver_options options = { .size = sizeof options };
 *
 * allocator  for the library's own memory; NULL: malloc. Copied.
 * clock      milliseconds since 1970-01-01T00:00:00Z, for schedules; NULL: the
 *            system's clock. Called while evaluating: it must be quick, and must
 *            not change or close the client.
 * log        what no return value can carry: an environment variable that was
 *            ignored. `message` is one line without a newline. Called at the end
 *            of the call it is about, on its thread, with no lock held. NULL: nothing.
 * hook       the evaluation hook; its struct is copied. NULL: none.
 * no_environment  non-zero: environment variables override nothing
 * reserved   0
 */
typedef struct flagver_options {
    size_t size;
    const flagver_allocator *allocator;
    int64_t (*clock)(void *data);
    void *clock_data;
    void (*log)(void *data, int level, const char *message);
    void *log_data;
    const flagver_hook *hook;
    int32_t no_environment;
    int32_t reserved;
} flagver_options;

/**
 * Open a client.
 *
 * @param uri
 *   "file:PATH"  a definitions file (docs/flags.md), read-only, read again by
 *                flagver_client_refresh() when it has changed
 *   "memory:"    no flags until flagver_client_load() hands some over
 *
 * The environment is read here and in flagver_client_refresh(), on the calling
 * thread and nowhere else: the variables that definitions name in "env", and
 * FLAGVER_FLAG_<KEY>=variant, which forces a flag.
 *
 * @return 0, or
 *   FLAGVER_EINVAL   no URI, or options of a newer version with members set
 *                    that this one does not know
 *   FLAGVER_ENOTSUP  no such kind of URI
 *   FLAGVER_EIO      the file cannot be read; `native` is errno
 *   FLAGVER_EPARSE   the definitions are malformed: "FILE:LINE:COLUMN: /pointer: why"
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_open(const char *uri, const flagver_options *options,
                             flagver_client **ret_client, flagver_error *err);

/**
 * Close a client and free what it holds, the handles bound to it included.
 * No other thread may be inside a call on it, or begin one. Snapshots taken
 * from it stay good. NULL is fine.
 */
FLAGVER_API void flagver_close(flagver_client *client);

/**
 * Read the environment again, and the file if it has changed. Flags that are
 * unchanged are kept as they are; the new state appears to all threads at once.
 * When anything is wrong the running state stays.
 *
 * The definitions of a "memory:" client are not kept as text: of the
 * environment only FLAGVER_FLAG_… is looked at anew, and the variables that
 * definitions name with the next flagver_client_load().
 *
 * @return as flagver_open()
 */
FLAGVER_API int flagver_client_refresh(flagver_client *client, flagver_error *err);

/**
 * Replace all definitions of a "memory:" client by these, or put these beside
 * the ones it has: flags and segments of the same name are replaced, those set
 * to null are removed. All or nothing: when anything is wrong, a reference to a
 * flag that would be gone included, the running state stays.
 *
 * @param json  definitions (docs/flags.md), at most 64 MiB
 * @return 0, or
 *   FLAGVER_EPARSE   malformed: "line LINE, column COLUMN: /pointer: why"
 *   FLAGVER_EINVAL   client or json is NULL
 *   FLAGVER_ENOTSUP  not a "memory:" client
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_client_load(flagver_client *client, const char *json, size_t length,
                                    flagver_error *err);
FLAGVER_API int flagver_client_merge(flagver_client *client, const char *json, size_t length,
                                     flagver_error *err);

/**
 * A number that changes with every new state of the client's flags, and with
 * nothing else. Never 0.
 */
FLAGVER_API uint64_t flagver_client_generation(const flagver_client *client);

/** Hold the flags as they are now. Freed with flagver_snapshot_free(). NULL for no client. */
FLAGVER_API flagver_snapshot *flagver_client_snapshot(flagver_client *client);

/**
 * Make a snapshot from definitions alone, without a client. The environment is
 * not looked at.
 *
 * @return as flagver_client_load()
 */
FLAGVER_API int flagver_snapshot_load(const char *json, size_t length,
                                      const flagver_options *options,
                                      flagver_snapshot **ret_snapshot, flagver_error *err);

/** Free a snapshot. Strings borrowed from it end with it. NULL is fine. */
FLAGVER_API void flagver_snapshot_free(flagver_snapshot *snapshot);

/** Number of flags in a snapshot. */
FLAGVER_API size_t flagver_snapshot_size(const flagver_snapshot *snapshot);

/**
 * Look at definitions the way an editor would: are they well-formed, and is
 * there anything in them that is allowed but hardly meant? `warn` is called for
 * each such thing with one line, "NAME:LINE:COLUMN: /pointer: what".
 *
 * @param name  put in front of places, a file's name for instance; NULL: none
 * @param warn  called for the first 100 warnings; NULL: they are only counted
 * @return the number of warnings, or a code as flagver_client_load()
 */
FLAGVER_API int flagver_definitions_lint(const char *json, size_t length, const char *name,
                                         void (*warn)(void *data, const char *message), void *data,
                                         flagver_error *err);

/**
 * Give back what this thread holds for its clients: references to snapshots,
 * counters. Never needed for correctness: a thread that exits does this by
 * itself, and a thread that evaluates again just takes new ones. For threads
 * that live long and have stopped evaluating.
 */
FLAGVER_API void flagver_thread_release(void);

#ifdef __cplusplus
}
#endif

#endif
