/*
 * A value that is replaced now and then, and copied at any time by threads that neither wait for each other nor
 * write: a sequence lock. All of it are atomic words, each copied with acquire and replaced with release, as in
 * H.-J. Boehm, "Can seqlocks get along with programming language memory models?" (MSPC 2012).
 *
 * Threads: any number copy; whoever replaces holds a lock of the owner's.
 */
#ifndef FV_UTIL_PUBLISHED_H
#define FV_UTIL_PUBLISHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FV_PUBLISHED_WORDS 32
#define FV_PUBLISHED_SIZE (FV_PUBLISHED_WORDS * sizeof(uint64_t))

struct fv_published {
    atomic_uint_fast64_t turn; /* odd while it is being replaced */
    atomic_uint_fast64_t words[FV_PUBLISHED_WORDS];
};

/* `size`: always the same: a multiple of 8, FV_PUBLISHED_SIZE at most. */
void fv_published_replace(struct fv_published *published, const void *value, size_t size);

/* False: it is being replaced just now, and what is there is no value. */
bool fv_published_copy(const struct fv_published *published, void *ret_value, size_t size);

#endif
