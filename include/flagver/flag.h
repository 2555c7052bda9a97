/**
 * libflagver: evaluating flags.
 *
 * Evaluation never fails: when there is no answer the caller gets the default
 * it passed in, and the reason in a flagver_detail. It takes no lock, allocates
 * nothing and reads no file. Definitions and their exact meaning: docs/flags.md.
 *
 * Strings in results are borrowed. From a client they live until this thread's
 * next call on that client (or flagver_thread_release, or flagver_close), the names
 * of variants until flagver_close; from a snapshot until that is freed. A default
 * that is handed back stays the caller's own.
 */
#ifndef FLAGVER_FLAG_H
#define FLAGVER_FLAG_H

#include "flagver/base.h"
#include "flagver/client.h"
#include "flagver/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Types of a flag's value. */
#define FLAGVER_TYPE_ANY 0 /**< in a request: whatever the flag's own type is */
#define FLAGVER_TYPE_BOOL 1
#define FLAGVER_TYPE_STRING 2
#define FLAGVER_TYPE_INT 3
#define FLAGVER_TYPE_DOUBLE 4
#define FLAGVER_TYPE_JSON 5

/** Reasons, as OpenFeature names them. */
#define FLAGVER_REASON_ERROR 0           /**< the default of the caller; see `error` */
#define FLAGVER_REASON_STATIC 1          /**< the flag has nothing to decide, or was forced */
#define FLAGVER_REASON_DEFAULT 2         /**< no target and no rule matched */
#define FLAGVER_REASON_TARGETING_MATCH 3 /**< a target or a rule matched */
#define FLAGVER_REASON_SPLIT 4           /**< a bucket decided */
#define FLAGVER_REASON_DISABLED 5        /**< the flag is switched off */

/** Error codes, as OpenFeature names them. */
#define FLAGVER_ERROR_NONE 0
#define FLAGVER_ERROR_FLAG_NOT_FOUND 1
#define FLAGVER_ERROR_PARSE_ERROR 2
#define FLAGVER_ERROR_TYPE_MISMATCH 3         /**< the flag is of another type */
#define FLAGVER_ERROR_TARGETING_KEY_MISSING 4 /**< a bucket is needed and there is no key */
#define FLAGVER_ERROR_INVALID_CONTEXT 5       /**< the targeting key is no string */
#define FLAGVER_ERROR_GENERAL 6               /**< no client, no key, or memory is short */

/** "SPLIT" for FLAGVER_REASON_SPLIT; "UNKNOWN" for a number that is none. Static. */
FLAGVER_API const char *flagver_reason_name(int reason);

/** "TYPE_MISMATCH" for FLAGVER_ERROR_TYPE_MISMATCH; NULL for FLAGVER_ERROR_NONE. Static. */
FLAGVER_API const char *flagver_error_code_name(int error);

/** "boolean", "string", "integer", "double", "json"; NULL for anything else. Static. */
FLAGVER_API const char *flagver_type_name(int type);

/**
 * A flag's value. `type` says which member holds it: `boolean`, `integer`,
 * `real`, or `string` with `length` (NUL-terminated, for FLAGVER_TYPE_STRING and,
 * as canonical JSON text, for FLAGVER_TYPE_JSON). FLAGVER_TYPE_ANY: no value.
 */
typedef struct flagver_value {
    int32_t type;
    bool boolean;
    int64_t integer;
    double real;
    const char *string;
    size_t length;
} flagver_value;

/**
 * How an evaluation went. Set `size` before the call; the call fills what fits.
 *
 *     flagver_detail detail = { .size = sizeof detail };
 *
 * flag      the flag's key, flag_length bytes; when there is no such flag the
 *           caller's own pointer, which need not be NUL-terminated
 * value     what was served, the caller's default included
 * variant   the variant's name; NULL after an error
 * reason    FLAGVER_REASON_…
 * error     FLAGVER_ERROR_…
 * rule      the id of the rule that decided, "requires" when another flag this
 *           one requires did not serve its variant, or NULL
 * bucket    the bucket that was used, 0 to 99999 (0 to 99 for md5-mod100), or -1
 * version   the flag's version in the store, 0 where flags have none
 * metadata  the flag's metadata as JSON text, or NULL
 */
typedef struct flagver_detail {
    size_t size;
    const char *flag;
    size_t flag_length;
    flagver_value value;
    const char *variant;
    int32_t reason;
    int32_t error;
    const char *rule;
    int32_t bucket;
    int64_t version;
    const char *metadata;
} flagver_detail;

/**
 * A detail as one JSON object: "flag", "value" (null when there is none),
 * "variant" (null after an error), "reason", and where they apply "errorCode",
 * "ruleId", "bucket", "version". A caller's default for a JSON flag stands there
 * as it is when it is JSON, else as a string; bytes that are no UTF-8 as U+FFFD.
 *
 * @param ret_json  freed with flagver_string_free()
 * @return 0 or FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_detail_json(const flagver_detail *detail, char **ret_json,
                                    flagver_error *err);

/**
 * The value of a flag for a context, or `fallback`.
 *
 * @param context  for whom; NULL is an empty context
 *
 * A flag of another type gives `fallback` (TYPE_MISMATCH). Between integer and
 * double a value passes when it stays exactly the same; a double must be
 * within ±2^53 for that.
 */
FLAGVER_API bool flagver_flag_bool(flagver_client *client, const char *key,
                                   flagver_context *context, bool fallback);
FLAGVER_API int64_t flagver_flag_int(flagver_client *client, const char *key,
                                     flagver_context *context, int64_t fallback);
FLAGVER_API double flagver_flag_double(flagver_client *client, const char *key,
                                       flagver_context *context, double fallback);
FLAGVER_API const char *flagver_flag_string(flagver_client *client, const char *key,
                                            flagver_context *context, const char *fallback);
/** The value as canonical JSON text; `fallback` may be any text, or NULL. */
FLAGVER_API const char *flagver_flag_json(flagver_client *client, const char *key,
                                          flagver_context *context, const char *fallback);

/** The same, with details. `detail` may not be NULL. */
FLAGVER_API bool flagver_flag_bool_detail(flagver_client *client, const char *key,
                                          flagver_context *context, bool fallback,
                                          flagver_detail *detail);
FLAGVER_API int64_t flagver_flag_int_detail(flagver_client *client, const char *key,
                                            flagver_context *context, int64_t fallback,
                                            flagver_detail *detail);
FLAGVER_API double flagver_flag_double_detail(flagver_client *client, const char *key,
                                              flagver_context *context, double fallback,
                                              flagver_detail *detail);
FLAGVER_API const char *flagver_flag_string_detail(flagver_client *client, const char *key,
                                                   flagver_context *context, const char *fallback,
                                                   flagver_detail *detail);
FLAGVER_API const char *flagver_flag_json_detail(flagver_client *client, const char *key,
                                                 flagver_context *context, const char *fallback,
                                                 flagver_detail *detail);

/**
 * Evaluate with any key (pointer and length) and any type.
 *
 * After an error the value's type is FLAGVER_TYPE_ANY: there is none, and the
 * caller falls back on what it likes.
 *
 * @param type  FLAGVER_TYPE_…; FLAGVER_TYPE_ANY takes the flag's own
 * @return the error, detail->error: 0 when the flag served a value, else a
 *   positive FLAGVER_ERROR_…, never one of the negative FLAGVER_E… codes
 */
FLAGVER_API int flagver_flag_evaluate(flagver_client *client, const char *key, size_t length,
                                      flagver_context *context, int type, flagver_detail *detail);

/** The same on a snapshot. No hook is called and nothing is counted. */
FLAGVER_API int flagver_snapshot_evaluate(const flagver_snapshot *snapshot, const char *key,
                                          size_t length, flagver_context *context, int type,
                                          flagver_detail *detail);

/**
 * Evaluate every flag for one context, in byte order of their keys: `visit` is
 * called with each flag's detail, borrowed until it returns; it ends the walk by
 * returning false. Disabled flags are among them. All details come from one
 * state of the flags, even when a new one is published in the meantime.
 *
 * @return the number of flags visited; 0 also when memory is short for a
 *   thread's first call
 */
FLAGVER_API size_t flagver_flag_all(flagver_client *client, flagver_context *context,
                                    bool (*visit)(void *data, const flagver_detail *detail),
                                    void *data);

/**
 * Why a flag serves what it serves: a JSON text with the result as in
 * flagver_detail and "steps", what was looked at in order and what came of it.
 *
 * @param ret_json  freed with flagver_string_free()
 * @return 0, also when the evaluation ends in an error, or FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_flag_explain(flagver_client *client, const char *key, size_t length,
                                     flagver_context *context, char **ret_json, flagver_error *err);

/** The same on a snapshot. */
FLAGVER_API int flagver_snapshot_explain(const flagver_snapshot *snapshot, const char *key,
                                         size_t length, flagver_context *context, char **ret_json,
                                         flagver_error *err);

/**
 * Serve this variant of the flag to everyone in this process, whatever its
 * definition says, until it is taken back with a NULL variant. For tests and
 * for emergencies. Survives refreshes, also of a flag that is not there yet.
 *
 * @return 0, or
 *   FLAGVER_EINVAL    no key
 *   FLAGVER_ENOTFOUND the flag is there and has no such variant
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_flag_override(flagver_client *client, const char *key, const char *variant,
                                      flagver_error *err);

/**
 * A flag looked up once. The handle skips the key lookup and survives change,
 * deletion and re-creation of its flag; without it, it answers FLAG_NOT_FOUND.
 * Any thread may use it. It lives as long as the client, which owns it: there
 * is nothing to free, and binding the same key again gives the same handle.
 */
typedef struct flagver_bound flagver_bound;

/**
 * @return 0, or
 *   FLAGVER_EINVAL  the key is empty or longer than 256 bytes
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_flag_bind(flagver_client *client, const char *key,
                                  const flagver_bound **ret_bound, flagver_error *err);

/** As flagver_flag_bool() and its like. */
FLAGVER_API bool flagver_bound_bool(const flagver_bound *bound, flagver_context *context,
                                    bool fallback);
FLAGVER_API int64_t flagver_bound_int(const flagver_bound *bound, flagver_context *context,
                                      int64_t fallback);
FLAGVER_API double flagver_bound_double(const flagver_bound *bound, flagver_context *context,
                                        double fallback);
FLAGVER_API const char *flagver_bound_string(const flagver_bound *bound, flagver_context *context,
                                             const char *fallback);
FLAGVER_API const char *flagver_bound_json(const flagver_bound *bound, flagver_context *context,
                                           const char *fallback);
/** As flagver_flag_evaluate(). */
FLAGVER_API int flagver_bound_evaluate(const flagver_bound *bound, flagver_context *context,
                                       int type, flagver_detail *detail);

/**
 * This variant was served `times` more often than the client knows: for language bindings that keep what
 * a flag without anything to decide (FLAGVER_REASON_STATIC, _DISABLED) serves until the generation
 * changes (flagver_client_generation_word()), and tell it from time to time. Counted as if asked for
 * on this thread now; no hook is called.
 *
 * @return 0, or
 *   FLAGVER_EINVAL    no handle, no variant
 *   FLAGVER_ENOTFOUND the flag is gone, or has no such variant any more
 *   FLAGVER_ENOMEM    nothing was counted
 */
FLAGVER_API int flagver_bound_count(const flagver_bound *bound, const char *variant, uint32_t times,
                                    flagver_error *err);

/**
 * How often each variant of each flag was served to callers of this client, in
 * all threads together, since it was opened: `visit` is called for every count
 * that is not zero, in byte order of the flags' keys; a NULL variant counts the
 * evaluations that ended in an error. Evaluations of a flag because another one
 * refers to it, of flags that are not there, by explain and on snapshots are not
 * counted. Exact once the evaluating threads are at rest.
 *
 * @return 0 or FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_flag_counts(flagver_client *client,
                                    void (*visit)(void *data, const char *flag, const char *variant,
                                                  uint64_t count),
                                    void *data, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
