/*
 * A set of code points, as ranges: what a character class of a regular
 * expression is while it is being read.
 *
 *     struct fv_regex_set set = { .memory = arena->memory };
 *
 *     fv_regex_set_add(&set, 'a', 'z');
 *     fv_regex_set_complement(&set);
 *     if (set.failed)
 *         return fv_fail_memory(err);
 *     fv_regex_set_clear(&set);
 *
 * The ranges ascend and neither overlap nor touch. As with fv_text, writers
 * need no checks: a set that ran out of memory remembers it in `failed`.
 */
#ifndef FV_MODEL_REGEX_SET_H
#define FV_MODEL_REGEX_SET_H

#include <stdint.h>

#include "util/memory.h"

struct fv_regex_range {
    uint32_t low, high; /* both belong to it */
};

struct fv_regex_set {
    const flagver_allocator *memory;
    struct fv_regex_range *ranges;
    size_t count, capacity;
    bool failed;
};

/* Frees the memory; the set is empty again and can be used anew. */
void fv_regex_set_clear(struct fv_regex_set *set);

/* Forgets the contents but keeps the memory for the next use. */
void fv_regex_set_reset(struct fv_regex_set *set);

void fv_regex_set_add(struct fv_regex_set *set, uint32_t low, uint32_t high);
void fv_regex_set_add_all(struct fv_regex_set *set, const struct fv_regex_set *others);

/* Keeps exactly the code points up to U+10FFFF that were not there. */
void fv_regex_set_complement(struct fv_regex_set *set);

/*
 * Adds what the members fold to. Afterwards fv_fold(c) is in the set exactly
 * when some member differs from c in nothing but case.
 */
void fv_regex_set_fold(struct fv_regex_set *set);

bool fv_regex_ranges_have(const struct fv_regex_range *ranges, size_t count, uint32_t code_point);

#endif
