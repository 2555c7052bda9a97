/*
 * Asking flags: from a client, a bound handle or a snapshot to a value.
 *
 * The inline part is the hot path: it allocates nothing, takes no lock, and for
 * a settled flag touches the table, the flag's first cache line and a counter.
 */
#ifndef FV_ENGINE_FLAGS_H
#define FV_ENGINE_FLAGS_H

#include "engine/reader.h"

/*
 * The value for a caller who wants no details, counted. NULL: there is none of
 * this very type, and nothing was counted; the long way finds out why.
 */
const struct fv_value *fv_flags_ask(struct fv_reader *reader, const struct fv_flag *flag,
                                    const flagver_context *context, int type);

/* True when the flag's own value is what the caller gets; it is counted then. */
FV_INLINE bool fv_flags_is_settled(struct fv_reader *reader, const struct fv_flag *flag,
                                   const flagver_context *context, int type)
{
    return FV_LIKELY(flag->settled == type && !fv_context_is_invalid(context) &&
                     fv_reader_count_quickly(reader, flag->served));
}

/* What is asked: a flag by key, or by slot. */
struct fv_flag_name {
    const char *key; /* of a slot too: for when no flag is there */
    size_t length;
    uint32_t slot; /* FV_MAP_NONE: by key */
};

/* Copies what both details have room for: one may be a caller's of another version. */
void fv_flags_hand_over(const flagver_detail *detail, flagver_detail *ret_detail);

/* With all details and the hook. Returns the error. */
int fv_flags_evaluate(flagver_client *client, const struct fv_flag_name *name,
                      const flagver_context *context, int type, flagver_detail *ret_detail);

int fv_flags_evaluate_on(const flagver_snapshot *snapshot, const struct fv_flag_name *name,
                         const flagver_context *context, int type, flagver_detail *ret_detail);

size_t fv_flags_visit(flagver_client *client, const flagver_context *context,
                      bool (*visit)(void *data, const flagver_detail *detail), void *data);

int fv_flags_explain(const flagver_snapshot *snapshot, const struct fv_flag_name *name,
                     const flagver_context *context, char **ret_json, flagver_error *err);

/* As flagver_bound_count(). */
int fv_flags_count(flagver_client *client, const struct fv_flag_name *name, const char *variant,
                   uint32_t times, flagver_error *err);

int fv_flags_counts(flagver_client *client,
                    void (*visit)(void *data, const char *flag, const char *variant,
                                  uint64_t count),
                    void *data, flagver_error *err);

#endif
