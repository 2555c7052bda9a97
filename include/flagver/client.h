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

/** A source of flags, and the way to a store. Calls on a client may be made by any number of threads at
 *  once, except flagver_close(), which must be the last one. */
typedef struct flagver_client flagver_client;

/** Immutable; may be read by any number of threads. Only schedules go on, by the
 *  clock of the client it was taken from: an options.clock must live as long. */
typedef struct flagver_snapshot flagver_snapshot;

struct flagver_actor;
struct flagver_detail;
struct flagver_rollout_alert;

#define FLAGVER_LOG_WARNING 2

/** Answers of flagver_options.authorize. */
#define FLAGVER_DENY 0
#define FLAGVER_ALLOW 1
#define FLAGVER_ASK_RULES 2

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
 *            ignored, what threads of the library's own could not do, such as a step of a route or the
 *            repair of a key. `message` is one line without a newline. Called at the end of the call it
 *            is about, on its thread, with no lock held. NULL: nothing.
 * hook       the evaluation hook; its struct is copied. NULL: none.
 * no_environment  non-zero: environment variables override nothing
 * background  stores only, non-zero: a thread of the library's own refreshes the client, within
 *            a second after any process changed a flag. All signals are blocked in it.
 *            Zero: the host calls flagver_client_refresh(), or watches flagver_client_fd().
 * tenant     stores only: whose records, 1 to 128 bytes of UTF-8 without control characters;
 *            NULL: "default". Copied.
 * cache_file  stores only: a file in which the flags are kept beside the store, so that a
 *            process can start while the store is away, and sooner. Written by the library. Copied.
 * wait_ms    stores only: how long to wait for a lock before FLAGVER_EBUSY; 0: 5000
 * poll_ms    stores only: how often to look for changes; 0: 250, or 500 where the driver's database
 *            can tell of them, as PostgreSQL can: then it is looked at once as well
 * authorize  stores only: asked in place of the rules of policies, whether this actor may do this:
 *            FLAGVER_ALLOW, FLAGVER_DENY, or FLAGVER_ASK_RULES. `action` is "create", "approve" and
 *            so on, as in the audit log. Called inside transactions, and by flagver_version_due(): it
 *            must be quick, must not use the client, and must answer the same when asked again.
 *            NULL: the rules.
 * key        stores only: gives a key-encryption key (flagver/key.h). `id` names it, NULL asks for the one to
 *            encrypt with, whose id goes to `ret_id`. Returns 0, or another number: there is none. NULL: see
 *            key_file.
 * key_file   stores only: a file with such keys; NULL: the environment variable FLAGVER_KEYS
 * flush_ms   stores only: with `background`, how often what was tracked is flushed (flagver/track.h); 0: 60,000;
 *            negative: only by flagver_track_flush()
 * guardian   stores only: with `background`, guards of schedules are watched (flagver_flags_guard()) after each
 *            flush, also one that has failed, and take flags back in the name of this actor, whom an
 *            emergency rule names. FLAGVER_EINVAL with a negative flush_ms. Copied. NULL: they are not watched
 * alert      told when one has tripped, on the library's thread; it may use the client, but not close it.
 *            NULL: the flag's history alone tells
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
    int32_t background;
    const char *tenant;
    const char *cache_file;
    int32_t wait_ms;
    int32_t poll_ms;
    int (*authorize)(void *data, const struct flagver_actor *actor, const char *action,
                     const char *phase, const char *subject);
    void *authorize_data;
    int (*key)(void *data, const char *id, char ret_id[65], uint8_t ret_key[32]);
    void *key_data;
    const char *key_file;
    int32_t flush_ms;
    int32_t reserved;
    const struct flagver_actor *guardian;
    void (*alert)(void *data, const struct flagver_rollout_alert *alert);
    void *alert_data;
} flagver_options;

/**
 * Open a client.
 *
 * @param uri
 *   "sqlite:PATH"  a store in an SQLite file, which may be the application's own database:
 *                  ours are the tables that begin with "flagver_". File and tables are made
 *                  when they are not there.
 *   "postgresql://USER@HOST/DATABASE"  a store on a PostgreSQL server, in a URI of libpq's with
 *                  parameters of ours (docs/postgres.md). Its schema is made by its owner before.
 *   "memory:"      a store in memory, of this client alone
 *   "NAME:PATH"    a store of a registered driver (flagver/driver.h)
 *   "file:PATH"    no store: a definitions file (docs/flags.md), read-only, read again by
 *                  flagver_client_refresh() when it has changed
 *   "definitions:" no store: no flags until flagver_client_load() hands some over
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
 *   FLAGVER_EUNAVAILABLE, FLAGVER_EBUSY  the store cannot be used: the server does not answer, the
 *                    role has no rights on it; and there is no usable cache file
 *   FLAGVER_ESCHEMA  the store was made by a newer version of the library; a server's has no schema
 *                    yet, or an older one: its owner runs `flagver schema up`
 *   FLAGVER_EDENIED  a server's role that row-level security does not bind, for another tenant than
 *                    "default"
 *   FLAGVER_ECORRUPT it is damaged, or no store at all
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_open(const char *uri, const flagver_options *options,
                             flagver_client **ret_client, flagver_error *err);

/**
 * Close a client and free what it holds, the handles bound to it included.
 * No other thread may be inside a call on it, or begin one, and its
 * transactions have to be freed before. Snapshots taken
 * from it stay good. NULL is fine.
 */
FLAGVER_API void flagver_close(flagver_client *client);

/**
 * Read the environment again, and what has changed in the file or the store. Flags that
 * are unchanged are kept as they are; the new state appears to all threads at once.
 * When anything is wrong the running state stays. A record in a store that is malformed, or
 * refers to something that is not there, spoils only its own flag (PARSE_ERROR; health).
 *
 * The definitions of a "definitions:" client are not kept as text: of the
 * environment only FLAGVER_FLAG_… is looked at anew, and the variables that
 * definitions name with the next flagver_client_load().
 *
 * @return as flagver_open()
 */
FLAGVER_API int flagver_client_refresh(flagver_client *client, flagver_error *err);

/**
 * Replace all definitions of a "definitions:" client by these, or put these beside
 * the ones it has: flags and segments of the same name are replaced, those set
 * to null are removed. All or nothing: when anything is wrong, a reference to a
 * flag that would be gone included, the running state stays.
 *
 * @param json  definitions (docs/flags.md), at most 64 MiB
 * @return 0, or
 *   FLAGVER_EPARSE   malformed: "line LINE, column COLUMN: /pointer: why"
 *   FLAGVER_EINVAL   client or json is NULL
 *   FLAGVER_ENOTSUP  not a "definitions:" client
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

/**
 * Where that number stands, until flagver_close(): for language bindings, to which a look at memory is
 * cheaper than a call. To be read only, and whole. NULL for no client.
 */
FLAGVER_API const uint64_t *flagver_client_generation_word(const flagver_client *client);

/**
 * Be told when flags change: `changed` is called after a new state was published, with the keys
 * of the flags that may answer differently (those that were added, changed, removed, forced, and
 * those that refer to such), on the thread that refreshed, with no lock held. It may use the
 * client, but not close it. The keys are borrowed until it returns.
 *
 * @return a number > 0 for flagver_client_unlisten(), or FLAGVER_EINVAL, FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_client_listen(flagver_client *client,
                                      void (*changed)(void *data, const char *const *keys,
                                                      size_t count),
                                      void *data, flagver_error *err);

/** No more calls of this listener after the return; waits for one under way on another thread. */
FLAGVER_API void flagver_client_unlisten(flagver_client *client, int listener);

/**
 * A descriptor that becomes readable when the client should be refreshed: for
 * event loops, in place of options.background. It belongs to the client; only poll it. It is when
 * options.poll_ms are over and, where the database tells of changes, as soon as it does;
 * flagver_client_refresh() makes it rest. (It is an epoll descriptor: another one may hold it.)
 *
 * @return it, or
 *   FLAGVER_ENOTSUP  the client has no store, or refreshes by itself
 *   FLAGVER_EIO      there is none to be had
 */
FLAGVER_API int flagver_client_fd(flagver_client *client, flagver_error *err);

/**
 * Another tenant's records in the same store, with the same options but no cache file: a
 * client of its own, which shares connections, to be closed with flagver_close(), in any order.
 *
 * @return 0, or FLAGVER_EINVAL, FLAGVER_ENOTSUP (no store), or as flagver_open()
 */
FLAGVER_API int flagver_client_tenant(flagver_client *client, const char *tenant,
                                      flagver_client **ret_client, flagver_error *err);

/**
 * After fork(), in the child: open the store anew. Until then flags go on being
 * evaluated as they were, and what needs the store returns FLAGVER_EFORKED. The parent's
 * connections are left alone. Transactions that were open at the fork can only be freed. If one
 * was, fork() has waited up to 0.1 s for it, and an SQLite store gives FLAGVER_EUNAVAILABLE here for
 * good: only a program that is started anew can open it.
 *
 * Also puts a client right whose store was replaced by another one. A "memory:" store is
 * the parent's: the child begins with an empty one, and elsewhere there is nothing to
 * reopen.
 *
 * @return as flagver_open(), or FLAGVER_ENOTSUP
 */
FLAGVER_API int flagver_client_reopen(flagver_client *client, flagver_error *err);

/**
 * How the client is doing, as one JSON object:
 *
 *   status       "ok"; "stale": the flags are not known to be the latest, `error` says why (also
 *                that the store has not answered for ten times poll_ms, or 2 s);
 *                "forked": flagver_client_reopen() is due
 *   uri, tenant, flags (how many), generation
 *   leaves       the size of the audit log that the flags are of (stores)
 *   refreshed    when that was last known to be the latest, RFC 3339; null: never
 *   error        {"code", "message", "since"} of what keeps the client from refreshing, or null
 *   malformed    [{"flag" or "segment": name, "why"}]: records that cannot be used
 *   store        what the driver tells about itself
 *
 * Nothing is waited for.
 *
 * @param ret_json  freed with flagver_string_free()
 * @return 0, FLAGVER_EINVAL or FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_client_health(flagver_client *client, char **ret_json, flagver_error *err);

/** Hold the flags as they are now. Freed with flagver_snapshot_free(). NULL for no client. */
FLAGVER_API flagver_snapshot *flagver_client_snapshot(flagver_client *client);

/**
 * What a listener would have been told: the keys of the flags that may answer differently in `after`
 * than in `before`. For who looks at the generation from time to time and cannot be called on a
 * thread of the library's. `changed` is called once, before the return, also for no keys; they are borrowed until
 * it returns.
 *
 * @return 0, or
 *   FLAGVER_EINVAL  the two were not taken from one client by flagver_client_snapshot()
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int
flagver_snapshot_changes(const flagver_snapshot *before, const flagver_snapshot *after,
                         void (*changed)(void *data, const char *const *keys, size_t count),
                         void *data, flagver_error *err);

/**
 * Make a snapshot from definitions alone, without a client. The environment is
 * not looked at.
 *
 * @return as flagver_client_load()
 */
FLAGVER_API int flagver_snapshot_load(const char *json, size_t length,
                                      const flagver_options *options,
                                      flagver_snapshot **ret_snapshot, flagver_error *err);

/**
 * Make a snapshot of the flags as they were at `time`, in microseconds since
 * 1970-01-01T00:00:00Z, with the clock set to then and nothing forced. What a flag served is then
 * asked of it with flagver_snapshot_evaluate(). The environment is not looked at.
 *
 * @return 0, or as flagver_version_current()
 */
FLAGVER_API int flagver_snapshot_at(flagver_client *client, int64_t time,
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
