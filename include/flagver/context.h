/**
 * libflagver: evaluation contexts: for whom a flag is evaluated.
 *
 * A context is a targeting key and typed attributes. It copies what it is
 * given, can be reset and used again, and keeps its memory from one use to the
 * next. A context is used by one thread at a time, evaluation included;
 * different contexts are independent. A NULL context is an empty one wherever
 * a context is read; a call that would change it gives FLAGVER_EINVAL.
 */
#ifndef FLAGVER_CONTEXT_H
#define FLAGVER_CONTEXT_H

#include "flagver/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flagver_context flagver_context;

/**
 * Make a context.
 *
 * @param targeting_key  who is asking, NUL-terminated; NULL for nobody. An
 *                       empty string is a key.
 * @return the context, or NULL when memory is short. Freed with
 *         flagver_context_free().
 */
FLAGVER_API flagver_context *flagver_context_new(const char *targeting_key);

/**
 * Make a context from a JSON object: the member "targetingKey" and any other
 * members as attributes. Numbers without point and exponent become integers,
 * other numbers doubles; arrays and objects become lists and objects.
 *
 * "targetingKey" is a string, or an integer, taken as its decimal text; null is
 * a missing key. With anything else the context is made, and every evaluation
 * with it ends in FLAGVER_ERROR_INVALID_CONTEXT.
 *
 * @return 0, or
 *   FLAGVER_EPARSE  not one JSON object, or values nest deeper than 100
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_context_from_json(const char *json, size_t length,
                                          flagver_context **ret_context, flagver_error *err);

/** Free a context. NULL is fine. */
FLAGVER_API void flagver_context_free(flagver_context *context);

/**
 * Forget all attributes and take a new targeting key (NULL: none), keeping the
 * memory for the next use.
 *
 * @return 0 or FLAGVER_ENOMEM; then the context is empty.
 */
FLAGVER_API int flagver_context_reset(flagver_context *context, const char *targeting_key);

/** Replace the targeting key; `length` bytes, any bytes. @return 0 or FLAGVER_ENOMEM. */
FLAGVER_API int flagver_context_set_key(flagver_context *context, const char *key, size_t length);

/**
 * Set an attribute, replacing the one of that name. Names are NUL-terminated
 * and 1 to 255 bytes long; "targetingKey" is not an attribute but the key.
 *
 * Between flagver_context_begin_list() or _begin_object() and its
 * flagver_context_end() the same calls add to that list (the name is then
 * ignored and may be NULL) or set members of that object.
 *
 * A NULL string sets null.
 *
 * @return 0, or
 *   FLAGVER_EINVAL  the name is missing or too long, or is "targetingKey"
 *   FLAGVER_ENOMEM  the attribute is as it was
 */
FLAGVER_API int flagver_context_set_null(flagver_context *context, const char *name);
FLAGVER_API int flagver_context_set_bool(flagver_context *context, const char *name, bool value);
FLAGVER_API int flagver_context_set_int(flagver_context *context, const char *name, int64_t value);
FLAGVER_API int flagver_context_set_double(flagver_context *context, const char *name,
                                           double value);
FLAGVER_API int flagver_context_set_string(flagver_context *context, const char *name,
                                           const char *value);
FLAGVER_API int flagver_context_set_bytes(flagver_context *context, const char *name,
                                          const char *value, size_t length);
/** @param ms  milliseconds since 1970-01-01T00:00:00Z */
FLAGVER_API int flagver_context_set_datetime(flagver_context *context, const char *name,
                                             int64_t ms);

/**
 * Begin a list or an object; what follows goes into it until
 * flagver_context_end(). They nest up to 100 deep. The attribute appears in the
 * context when its outermost list or object is ended.
 *
 *     flagver_context_begin_list(user, "groups");
 *     flagver_context_set_string(user, NULL, "staff");
 *     flagver_context_set_string(user, NULL, "berlin");
 *     flagver_context_end(user);
 *
 * @return 0, or
 *   FLAGVER_EINVAL  a bad name, nested too deep, or nothing to end
 *   FLAGVER_ENOMEM  nothing has changed: what was open still is
 */
FLAGVER_API int flagver_context_begin_list(flagver_context *context, const char *name);
FLAGVER_API int flagver_context_begin_object(flagver_context *context, const char *name);
FLAGVER_API int flagver_context_end(flagver_context *context);

#ifdef __cplusplus
}
#endif

#endif
