/**
 * libflagver: changing flags and segments in a store. Every change is a version
 * (flagver/version.h) with an author, a number, a difference and a history.
 *
 * The calls need a transaction. They take effect in a client when it refreshes
 * next: flagver_client_refresh(), or by itself where options.background is set.
 * A change that leaves a definition as it is makes a version all the same, so
 * that the history says who asked for it.
 *
 * Errors are those of flagver_version_put(); a key is 1 to 256 bytes. All of
 * them take options (flagver_write_options) and give the new number in
 * `ret_no`; both may be NULL.
 */
#ifndef FLAGVER_ROLLOUT_H
#define FLAGVER_ROLLOUT_H

#include "flagver/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Create or replace a flag or segment by this definition (docs/flags.md), one JSON object. */
FLAGVER_API int flagver_flag_put(flagver_txn *txn, const char *key, const char *json, size_t length,
                                 const flagver_write_options *options, uint32_t *ret_no,
                                 flagver_error *err);
FLAGVER_API int flagver_segment_put(flagver_txn *txn, const char *name, const char *json,
                                    size_t length, const flagver_write_options *options,
                                    uint32_t *ret_no, flagver_error *err);

/** Switch a flag on or off ("enabled"): off, everybody gets its `off` variant. */
FLAGVER_API int flagver_flag_enable(flagver_txn *txn, const char *key,
                                    const flagver_write_options *options, uint32_t *ret_no,
                                    flagver_error *err);
FLAGVER_API int flagver_flag_disable(flagver_txn *txn, const char *key,
                                     const flagver_write_options *options, uint32_t *ret_no,
                                     flagver_error *err);

/**
 * Give a boolean flag this percentage, 0 to 100 with at most three decimals, in
 * place of its own percentage, split or schedule. Beta users stay in.
 *
 * flagver_flag_release: 100 percent, no beta list, enabled: everybody has it.
 */
FLAGVER_API int flagver_flag_ramp(flagver_txn *txn, const char *key, double percentage,
                                  const flagver_write_options *options, uint32_t *ret_no,
                                  flagver_error *err);
FLAGVER_API int flagver_flag_release(flagver_txn *txn, const char *key,
                                     const flagver_write_options *options, uint32_t *ret_no,
                                     flagver_error *err);

/** Add users to a boolean flag's beta list, or take them off; who is (not) on it already is harmless. */
FLAGVER_API int flagver_flag_beta_add(flagver_txn *txn, const char *key, const char *const *users,
                                      size_t count, const flagver_write_options *options,
                                      uint32_t *ret_no, flagver_error *err);
FLAGVER_API int flagver_flag_beta_remove(flagver_txn *txn, const char *key,
                                         const char *const *users, size_t count,
                                         const flagver_write_options *options, uint32_t *ret_no,
                                         flagver_error *err);

/**
 * Give a flag this schedule, a JSON object as in a definition, in place of its
 * percentage, split or schedule; NULL takes the schedule away.
 */
FLAGVER_API int flagver_flag_schedule(flagver_txn *txn, const char *key, const char *json,
                                      size_t length, const flagver_write_options *options,
                                      uint32_t *ret_no, flagver_error *err);

/**
 * A guard of a schedule has tripped; borrowed. More members may follow in later versions of the library.
 *
 * guard         "error_rate" (percent), "p95_ms" or "p95_ratio"
 * value, limit  what was seen, and what the schedule allows
 * samples       outcomes of the true variant in which it was seen
 * from, to      the percentage that was reached, and the one of the last good step, or 0
 * acted         the flag went back, in version `no`. False: it could not, or nobody knows (FLAGVER_EUNKNOWN),
 *               and `why` says what stood in the way, else NULL. That is told once for each version of a
 *               flag, by each client
 */
typedef struct flagver_rollout_alert {
    const char *flag;
    const char *guard;
    double value, limit;
    double from, to;
    uint64_t samples;
    bool acted;
    uint32_t no;
    const char *why;
} flagver_rollout_alert;

/**
 * Watch the guards of schedules ("guards" in a definition, docs/flags.md): look at what is in the store
 * (flagver/track.h) of each guarded flag since its schedule reached its step, and since the version in
 * force came into force, and in the last seven days. Where a guard has tripped, take the flag back to the
 * percentage of the last step that was good, or to 0, at once: a version of the flag by the emergency rule,
 * with the guard as its note. To be called every minute or so, by one process or several: a flag goes back
 * once.
 *
 * Flags are those that the client has; one that has changed in the store since is left alone. Sums are kept by
 * the hour: what was tracked earlier in the hour in which a step began counts for it, too.
 *
 * @param actor  whom the policy's emergency rule names, where the flag needs approval
 * @param alert  told of each that has tripped, on this thread; may use the client. NULL: nobody is
 * @return how many flags went back; or FLAGVER_EINVAL, FLAGVER_ENOTSUP (no store), or an error of the store
 *   as of flagver_version_current() and flagver_txn_run(): other flags may have gone back already, and
 *   `alert` knows
 */
FLAGVER_API int flagver_flags_guard(flagver_client *client, const flagver_actor *actor,
                                    void (*alert)(void *data, const flagver_rollout_alert *alert),
                                    void *data, flagver_error *err);

/** Put what version `no` said; of a tombstone: FLAGVER_ESTATE. */
FLAGVER_API int flagver_flag_revert(flagver_txn *txn, const char *key, uint32_t no,
                                    const flagver_write_options *options, uint32_t *ret_no,
                                    flagver_error *err);
FLAGVER_API int flagver_segment_revert(flagver_txn *txn, const char *name, uint32_t no,
                                       const flagver_write_options *options, uint32_t *ret_no,
                                       flagver_error *err);

/** Delete. Its history stays. Refused (FLAGVER_ESTATE) while a flag or segment refers to it. */
FLAGVER_API int flagver_flag_delete(flagver_txn *txn, const char *key,
                                    const flagver_write_options *options, uint32_t *ret_no,
                                    flagver_error *err);
FLAGVER_API int flagver_segment_delete(flagver_txn *txn, const char *name,
                                       const flagver_write_options *options, uint32_t *ret_no,
                                       flagver_error *err);

/* ---- flags as code ---- */

#define FLAGVER_PLAN_CREATE 1
#define FLAGVER_PLAN_CHANGE 2
#define FLAGVER_PLAN_DELETE 3

/** One thing that a definitions file would change. */
typedef struct flagver_plan_step {
    int32_t action; /**< FLAGVER_PLAN_… */
    bool segment;   /**< see `phase` */
    const char *key;
    uint32_t current_no;    /**< 0: there is none */
    const char *difference; /**< lines for people, as FLAGVER_DIFF_LINES */
    const char *phase;      /**< FLAGVER_PHASE_…: policies and assignments are records, too */
} flagver_plan_step;

/**
 * What applying a definitions file would do: `visit` is called for each step, in
 * order, borrowed until it returns. What is the same already is no step.
 *
 * The sections of the file are "flags", "segments", "phases" ({PHASE: POLICY}) and "assignments"
 * ({ROLE/SUBJECT: {"users": [USER, …]}}). All is written by the policies that are in force
 * before; those of the file count from the next transaction on.
 *
 * @param prune  also delete flags and segments that the file does not have; policies
 *               and assignments only when the file has their section
 * @return the number of steps; FLAGVER_EPARSE when the file is malformed, as a
 *   whole and together with what stays; or as flagver_version_current()
 */
FLAGVER_API int flagver_flags_plan(flagver_client *client, const char *json, size_t length,
                                   const char *name, bool prune,
                                   void (*visit)(void *data, const flagver_plan_step *step),
                                   void *data, flagver_error *err);

/**
 * Do it, in this transaction: all steps, or none when anything is wrong. Applying the
 * same file again does nothing. Where approval is asked for a step is only proposed; what was
 * proposed last, and still waits, is not proposed again.
 *
 * A file that takes away from its actor what he needs for the rest of it ends the transaction.
 *
 * @param name  of the file, for messages; NULL: none
 * @param options  note and expect_no; the others are about one version: FLAGVER_EINVAL
 * @return the number of steps that were taken, or as flagver_flags_plan() and flagver_version_put()
 */
FLAGVER_API int flagver_flags_apply(flagver_txn *txn, const char *json, size_t length,
                                    const char *name, bool prune,
                                    const flagver_write_options *options, flagver_error *err);

/**
 * All flags and segments in force as a definitions file: one definition a line,
 * in byte order of the keys.
 *
 * @param ret_json  freed with flagver_string_free()
 */
FLAGVER_API int flagver_flags_export(flagver_client *client, char **ret_json, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
