/*
 * A fixed set of keys, each with a tag: user lists, operands of `in`.
 *
 * Built once, then only read. Costs 15 bytes and the key itself per key.
 */
#ifndef FV_MODEL_KEYSET_H
#define FV_MODEL_KEYSET_H

#include "util/memory.h"

struct fv_key {
    const char *text;
    uint32_t length;
    uint32_t tag; /* below 65,536: the variant the key is targeted to, or 0 */
};

struct fv_keyset {
    const struct fv_keyset_slot *slots;
    const unsigned char *entries;
    uint32_t slot_count;
    uint32_t count; /* different keys */
    bool folded;    /* keys are case-folded, and so is what is looked for */
};

/*
 * Build a set in the arena; the keys are copied. A key that stands there twice
 * with one tag is harmless. With two tags the set is refused: *ret_conflict is
 * the index of the later key.
 *
 * @return 0, FLAGVER_EINVAL (a conflict), FLAGVER_ENOMEM
 */
int fv_keyset_build(struct fv_arena *arena, const struct fv_key *keys, size_t count, bool folded,
                    struct fv_keyset *ret_set, size_t *ret_conflict);

/* The tag of a key, or -1. `hash` is fv_hash() of the key; folded sets compute their own. */
int32_t fv_keyset_find(const struct fv_keyset *set, const char *key, size_t length, uint64_t hash);
int32_t fv_keyset_find_folded(const struct fv_keyset *set, const char *key, size_t length);

#endif
