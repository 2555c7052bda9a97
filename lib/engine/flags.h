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
#else
#define FV_LIKELY(condition) (condition)
#endif

/* A settled flag's outcome is known without asking, unless the context is invalid. */
static inline bool fv_flag_is_settled_for(const struct fv_flag *flag,
                                          const flagver_context *context)
{
    return flag->settled && (!context || !context->key_invalid || flag->forced);
}

/* Evaluates a flag that is not settled for the context. */
void fv_flags_decide(const flagver_snapshot *snapshot, const struct fv_flag *flag,
                     const flagver_context *context, struct fv_outcome *ret_outcome);

/* A number of one type as the other, when it stays the same; true when the types agree. */
bool fv_flags_convert(const struct fv_flag *flag, int type, struct fv_value *value);

static inline bool fv_flags_fit(const struct fv_flag *flag, int type, struct fv_value *value)
{
    return FV_LIKELY(flag->type == type) || fv_flags_convert(flag, type, value);
}

/* The value for a caller who wants no detail; false: it gets its own default. */
static inline bool fv_flags_ask(struct fv_reader *reader, const struct fv_flag *flag,
                                const flagver_context *context, int type,
                                struct fv_value *ret_value)
{
    struct fv_outcome outcome;
    uint32_t variant = flag->variant;

    if (FV_LIKELY(fv_flag_is_settled_for(flag, context))) {
        *ret_value = flag->value;
    } else {
        fv_flags_decide(reader->snapshot, flag, context, &outcome);
        variant = outcome.variant;
        if (variant != FV_NO_VARIANT)
            *ret_value = flag->body->variants[variant].value;
    }
    if (variant == FV_NO_VARIANT || !fv_flags_fit(flag, type, ret_value)) {
        fv_reader_count(reader, flag->counter);
        return false;
    }
    fv_reader_count(reader, flag->counter + 1 + variant);
    return true;
}

/* What is asked: a flag by key, or by slot. */
struct fv_flag_name {
    const char *key;
    size_t length;
    uint32_t slot; /* FV_MAP_NONE: by key */
};

static inline const struct fv_flag *fv_flags_at(const flagver_snapshot *snapshot, uint32_t slot)
{
    return slot < snapshot->world.flag_count ? snapshot->world.flags[slot] : NULL;
}

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
