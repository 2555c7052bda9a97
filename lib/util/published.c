#include "util/published.h"

#include <string.h>

void fv_published_replace(struct fv_published *published, const void *value, size_t size)
{
    uint64_t turn = atomic_load_explicit(&published->turn, memory_order_relaxed);
    uint64_t word;

    atomic_store_explicit(&published->turn, turn + 1, memory_order_relaxed);
    for (size_t i = 0; i < size / sizeof word; i++) { /* who sees one of them sees the odd turn */
        memcpy(&word, (const char *)value + i * sizeof word, sizeof word);
        atomic_store_explicit(&published->words[i], word, memory_order_release);
    }
    atomic_store_explicit(&published->turn, turn + 2, memory_order_release);
}

bool fv_published_copy(const struct fv_published *published, void *ret_value, size_t size)
{
    uint64_t turn = atomic_load_explicit(&published->turn, memory_order_acquire);
    uint64_t word;

    for (size_t i = 0; i < size / sizeof word; i++) {
        word = atomic_load_explicit(&published->words[i], memory_order_acquire);
        memcpy((char *)ret_value + i * sizeof word, &word, sizeof word);
    }
    return turn % 2 == 0 && atomic_load_explicit(&published->turn, memory_order_relaxed) == turn;
}
