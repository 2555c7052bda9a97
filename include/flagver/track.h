/**
 * libflagver: what becomes of flags: how often each variant is served, how the code behind it
 * fares, and what users do then.
 *
 *     bool fresh = flagver_flag_bool_detail(fv, "report_setup", user, false, &detail);
 *     int64_t began = now();
 *     bool failed = !(fresh ? make_report_anew(…) : make_report(…));
 *
 *     flagver_track_outcome(fv, "report_setup", detail.variant, failed, now() - began, NULL);
 *     …
 *     flagver_track(fv, user, "report_downloaded", 1, NULL);
 *
 * (The name of a variant lives until flagver_close(): what has run may have asked for flags as well.)
 *
 * All of it is counted in memory and added to the store in batches, by flag, variant and hour (UTC; evaluations
 * to the hour in which they are flushed), so that the sums of all processes are there. It is flushed
 *
 *     by itself               every options.flush_ms, with options.background
 *     by flagver_track_flush()
 *     by flagver_close()      where it is flushed by itself, or the host has tracked or flushed anything; not
 *                             when the store did not answer at the last look, nor with a negative flush_ms
 *
 * What was not flushed yet is lost with a process that is killed: these are measurements, not records.
 * For the same reason an export does not have them. A client without a store only has its own sums. In the child of a
 * fork they begin at zero; the parent flushes what was counted before.
 *
 * Threads: any number at once.
 */
#ifndef FLAGVER_TRACK_H
#define FLAGVER_TRACK_H

#include "flagver/base.h"
#include "flagver/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The longest name of an event, in bytes of UTF-8. */
#define FLAGVER_EVENT_LIMIT 256

/** So many different sums a client holds until it has flushed, and so many of those that it has flushed. */
#define FLAGVER_TRACK_LIMIT 65536

/**
 * Something happened that flags are measured by: somebody bought something, a page took so long. It is
 * counted under its name; and for each flag whose metadata name it ("events": "NAME, NAME", so
 * one with a comma cannot be named) under the variant that this flag serves to `context`, which is not counted as an
 * evaluation.
 *
 * Allocates only for what is new, a sum or a length of time, and when it is the first event since flags
 * have changed; waits for nothing but another thread that counts.
 *
 * @param context  whose event; NULL: nobody's
 * @param event    1 to FLAGVER_EVENT_LIMIT bytes of UTF-8 without control characters
 * @param value    finite; summed up. 1 where only the number of events matters
 * @return 0, FLAGVER_EINVAL, FLAGVER_ENOMEM, or FLAGVER_EBUSY: there are FLAGVER_TRACK_LIMIT other sums
 *   that wait to be flushed. After the last two it is not counted, or not for all of its flags; not to be
 *   told again
 */
FLAGVER_API int flagver_track(flagver_client *client, flagver_context *context, const char *event,
                              double value, flagver_error *err);

/**
 * The code behind a flag has run: it failed or did not, and took so long.
 *
 * @param flag, variant  as in the flagver_detail of the evaluation; a NULL variant is one that ended in an
 *                       error, whose caller went by the default
 * @param latency_ns     negative: not known
 * @return as flagver_track()
 */
FLAGVER_API int flagver_track_outcome(flagver_client *client, const char *flag, const char *variant,
                                      bool failed, int64_t latency_ns, flagver_error *err);

/**
 * Add what was counted to the store, in one transaction that is recorded nowhere else. When it fails
 * everything is kept, to be flushed later; nothing is ever added twice. (What was in doubt for days is
 * given up: nobody knows by then whether it was added.)
 *
 * @return 0, FLAGVER_ENOTSUP (the client has no store), FLAGVER_EFORKED (in a child, before
 *   flagver_client_reopen()), or any storage error
 */
FLAGVER_API int flagver_track_flush(flagver_client *client, flagver_error *err);

#define FLAGVER_TRACK_BY_ALL 0  /**< one group for the whole time */
#define FLAGVER_TRACK_BY_DAY 1  /**< a day each, UTC */
#define FLAGVER_TRACK_BY_HOUR 2 /**< an hour each */

/**
 * Which sums; set `size`, NULL is all defaults.
 *
 * flag      only of this flag; NULL: all
 * from, to  from the hour in which `from` lies to before `to`, microseconds since 1970-01-01T00:00:00Z; 0: any
 * by        FLAGVER_TRACK_BY_…
 * own       non-zero: what this client has counted since it was opened (or forked), flushed or not, for the
 *           whole time: from, to and by do not matter. Needs no store. Of what was flushed the first
 *           FLAGVER_TRACK_LIMIT sums go on, others begin at zero again. Zero: what the store has of all clients
 */
typedef struct flagver_track_options {
    size_t size;
    const char *flag;
    int64_t from, to;
    int32_t by;
    int32_t own;
} flagver_track_options;

/**
 * One group; borrowed. More members may follow in later versions of the library.
 *
 * flag, variant  "": of an event by itself; a variant "" of a flag is of evaluations that ended in an error
 * event          NULL: this is about the flag itself
 * from           when the group begins, microseconds; 0: BY_ALL
 * evaluations    how often the variant was served (as flagver_flag_counts())
 * succeeded, failed   flagver_track_outcome()
 * error_rate     failed of all outcomes, 0 to 1; 0 when there are none
 * mean_ms, p50_ms, p95_ms, p99_ms  how long they took, where it is known; 0 when it is not. Quantiles are
 *                off by at most 3 % of themselves
 * timed          outcomes whose time is known
 * count, sum     events, and their values
 */
typedef struct flagver_track_group {
    const char *flag, *variant, *event;
    int64_t from;
    uint64_t evaluations, succeeded, failed, timed;
    double error_rate, mean_ms, p50_ms, p95_ms, p99_ms;
    uint64_t count;
    double sum;
} flagver_track_group;

/**
 * Visit the groups, in byte order of flag, variant, event (that of the flag itself first), time; from one
 * state of the store, which is let go before. Evaluations and outcomes of one variant are one group.
 *
 * @return 0, FLAGVER_EINVAL, or as flagver_version_current()
 */
FLAGVER_API int flagver_track_report(flagver_client *client, const flagver_track_options *options,
                                     void (*visit)(void *data, const flagver_track_group *group),
                                     void *data, flagver_error *err);

/**
 * The same as OpenMetrics text (version 1.0.0), for a scrape: flagver_evaluations_total,
 * flagver_outcomes_total, flagver_latency_seconds (a histogram), flagver_events_total and
 * flagver_event_value (a gauge, as values may be negative), with the labels flag, variant, outcome ("success",
 * "error") and event; "# EOF" at the end. `by` is ignored. Sums in the store fall when old hours are
 * deleted (flagver_track_forget()), which a scraper takes for a restart.
 *
 * @param ret_text  freed with flagver_string_free()
 */
FLAGVER_API int flagver_track_openmetrics(flagver_client *client,
                                          const flagver_track_options *options, char **ret_text,
                                          flagver_error *err);

/**
 * Delete the sums of hours before that in which `before` lies (microseconds), from the store, in as many
 * transactions as it takes.
 *
 * @return 0, FLAGVER_EINVAL, FLAGVER_ENOTSUP (the client has no store), or any storage error
 */
FLAGVER_API int flagver_track_forget(flagver_client *client, int64_t before, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
