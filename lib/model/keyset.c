#include "model/keyset.h"

#include <string.h>

#include "model/fold.h"
#include "util/hash.h"

struct fv_keyset_slot {
    uint32_t hash;
    uint32_t at; /* offset of the entry + 1; 0 = free */
};

/*
 * An entry is the tag (2 bytes), the length (1 byte, or 255 and 4 bytes) and
 * the key's bytes, packed.
 */
#define LONG_LENGTH 255u

static size_t entry_size(const struct fv_key *key)
{
    return 2 + (key->length < LONG_LENGTH ? 1u : 5u) + key->length;
}

static void entry_write(unsigned char *at, const struct fv_key *key)
{
    uint16_t tag = (uint16_t)key->tag;

    memcpy(at, &tag, 2);
    if (key->length < LONG_LENGTH) {
        at[2] = (unsigned char)key->length;
        at += 3;
    } else {
        at[2] = LONG_LENGTH;
        memcpy(at + 3, &key->length, 4);
        at += 7;
    }
    if (key->length)
        memcpy(at, key->text, key->length);
}

static inline struct fv_key entry_read(const unsigned char *at)
{
    struct fv_key key;
    uint16_t tag;

    memcpy(&tag, at, 2);
    key.tag = tag;
    key.length = at[2];
    at += 3;
    if (key.length == LONG_LENGTH) {
        memcpy(&key.length, at, 4);
        at += 4;
    }
    key.text = (const char *)at;
    return key;
}

/* Spreads the upper half of the hash over any number of slots without dividing. */
static inline uint32_t first_slot(const struct fv_keyset *set, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * set->slot_count >> 32);
}

static inline uint32_t next_slot(const struct fv_keyset *set, uint32_t slot)
{
    return slot + 1 == set->slot_count ? 0 : slot + 1;
}

static uint32_t key_hash(const struct fv_key *key, bool folded)
{
    return (uint32_t)((folded ? fv_fold_hash(key->text, key->length)
                              : fv_hash(key->text, key->length)) >>
                      32);
}

/* The slot of an equal key, or the free one where this key belongs. */
static uint32_t place(const struct fv_keyset *set, const struct fv_key *key, uint32_t hash)
{
    uint32_t slot = first_slot(set, hash);
    struct fv_key there;

    for (; set->slots[slot].at; slot = next_slot(set, slot)) {
        if (set->slots[slot].hash != hash)
            continue;
        there = entry_read(set->entries + set->slots[slot].at - 1);
        if (there.length == key->length && fv_equal(there.text, key->text, key->length))
            break;
    }
    return slot;
}

int fv_keyset_build(struct fv_arena *arena, const struct fv_key *keys, size_t count, bool folded,
                    struct fv_keyset *ret_set, size_t *ret_conflict)
{
    struct fv_keyset set = { .folded = folded };
    struct fv_keyset_slot *slots;
    unsigned char *entries;
    size_t i, size = 0, used = 0;
    uint32_t hash, slot;

    for (i = 0; i < count; i++)
        size += entry_size(&keys[i]);
    if (size >= UINT32_MAX || count > UINT32_MAX / 2)
        return FLAGVER_ENOMEM;

    /* Half as many slots again as keys: a miss looks at five on average. */
    set.slot_count = (uint32_t)(count + count / 2 + 1);
    slots = fv_arena_allocate_zeroed(arena, set.slot_count, sizeof *slots);
    entries = fv_arena_allocate(arena, size);
    if (!slots || !entries)
        return FLAGVER_ENOMEM;
    set.slots = slots;
    set.entries = entries;

    for (i = 0; i < count; i++) {
        hash = key_hash(&keys[i], folded);
        slot = place(&set, &keys[i], hash);
        if (!slots[slot].at) {
            entry_write(entries + used, &keys[i]);
            slots[slot] = (struct fv_keyset_slot){ hash, (uint32_t)used + 1 };
            used += entry_size(&keys[i]);
            set.count++;
        } else if (entry_read(entries + slots[slot].at - 1).tag != keys[i].tag) {
            *ret_conflict = i;
            return FLAGVER_EINVAL;
        }
    }
    *ret_set = set;
    return 0;
}

int32_t fv_keyset_find(const struct fv_keyset *set, const char *key, size_t length, uint64_t hash)
{
    uint32_t wanted = (uint32_t)(hash >> 32), slot;
    struct fv_key there;

    if (!set->count)
        return -1;
    for (slot = first_slot(set, wanted); set->slots[slot].at; slot = next_slot(set, slot)) {
        if (set->slots[slot].hash != wanted)
            continue;
        there = entry_read(set->entries + set->slots[slot].at - 1);
        if (there.length == length && fv_equal(there.text, key, length))
            return (int32_t)there.tag;
    }
    return -1;
}

int32_t fv_keyset_find_folded(const struct fv_keyset *set, const char *key, size_t length)
{
    uint32_t wanted, slot;
    struct fv_key there;

    if (!set->count)
        return -1;
    wanted = (uint32_t)(fv_fold_hash(key, length) >> 32);
    for (slot = first_slot(set, wanted); set->slots[slot].at; slot = next_slot(set, slot)) {
        if (set->slots[slot].hash != wanted)
            continue;
        there = entry_read(set->entries + set->slots[slot].at - 1);
        if (fv_fold_equal(key, length, there.text, there.length))
            return (int32_t)there.tag;
    }
    return -1;
}
