/*
 * Asking flags: from a client, a bound handle or a snapshot to a value.
 *
 * The inline part is the hot path: it allocates nothing, takes no lock, and for
 * a settled flag touches the table, the flag's first cache line and a counter.
 */
#ifndef FV_ENGINE_FLAGS_H
#define FV_ENGINE_FLAGS_H

#include "engine/reader.h"

#if defined(__GNUC__)
#define FV_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define FV_INLINE static inline __attribute__((always_inline))
#else
#define FV_LIKELY(condition) (condition)
#define FV_INLINE static inline
#endif

/* The value for a caller who wants no details; false: it gets its own default. */
bool fv_flags_ask(struct fv_reader *reader, const struct fv_flag *flag,
                  const flagver_context *context, int type, struct fv_value *ret_value);

/* The same, quick for a settled flag of the type that is asked for. */
FV_INLINE bool fv_flags_ask_quickly(struct fv_reader *reader, const struct fv_flag *flag,
                                    const flagver_context *context, int type,
                                    struct fv_value *ret_value)
{
    if (FV_LIKELY(flag->settled == type && (!context || !context->key_invalid))) {
        *ret_value = flag->value;
        fv_reader_count(reader, flag->counter + 1 + flag->variant);
        return true;
    }
    return fv_flags_ask(reader, flag, context, type, ret_value);
}

/* What is asked: a flag by key, or by slot. */
struct fv_flag_name {
    const char *key;
    size_t length;
    uint32_t slot; /* FV_MAP_NONE: by key */
};

/* With all details and the hook. Returns the error. */
int fv_flags_evaluate(flagver_client *client, const struct fv_flag_name *name,
                      const flagver_context *context, int type, flagver_detail *ret_detail);

int fv_flags_evaluate_on(const flagver_snapshot *snapshot,
                         const struct fv_flag_name *name,
                         const flagver_context *context, int type, flagver_detail *ret_detail);

size_t fv_flags_visit(flagver_client *client, const flagver_context *context,
                      bool (*visit)(void *data, const flagver_detail *detail), void *data);

int fv_flags_explain(flagver_client *client, const struct fv_flag_name *name,
                     const flagver_context *context, char **ret_json, flagver_error *err);

int fv_flags_counts(flagver_client *client,
                    void (*visit)(void *data, const char *flag, const char *variant,
                                  uint64_t count),
                    void *data, flagver_error *err);

#endif
