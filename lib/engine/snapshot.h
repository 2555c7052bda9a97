/*
 * Snapshots: all flags at one moment, ready to be looked up by key or slot.
 *
 * A snapshot holds its flags and segments; one that is unchanged is shared with
 * the snapshot before. Names, slots and counters belong to a catalog, which is
 * shared by all snapshots of a client.
 */
#ifndef FV_ENGINE_SNAPSHOT_H
#define FV_ENGINE_SNAPSHOT_H

#include "codec/definitions.h"
#include "flagver/client.h"
#include "flagver/flag.h"
#include "util/compiler.h"
#include "util/hash.h"

/* The counters of a flag while it has these variants: errors first, then one a variant. */
struct fv_counter_range {
    uint32_t slot;
    uint32_t first;
    uint32_t count;           /* of variants */
    const uint32_t *variants; /* their numbers in variant_names */
};

/*
 * What belongs to flags beyond one snapshot. The writer (one at a time) adds to
 * it; readers of snapshots never look into it.
 */
struct fv_catalog {
    atomic_uint references;
    bool own_allocator;
    flagver_allocator allocator;
    int64_t (*clock)(void *data);
    void *clock_data;
    int64_t stopped_ms; /* of a clock that stands still, for snapshots of the past */

    struct fv_map flag_names, segment_names, variant_names, attribute_names;
    struct fv_arena arena;
    struct fv_counter_range *ranges;
    size_t range_count, range_capacity;
    uint32_t *latest; /* by slot: index of the latest range + 1; 0 = none */
    size_t latest_count;
    uint32_t counter_count;
};

const flagver_allocator *fv_catalog_memory(const struct fv_catalog *catalog);

/* Checked options, or defaults. FLAGVER_EINVAL for options of the future. */
int fv_options_read(const flagver_options *options, flagver_options *ret_options,
                    flagver_error *err);

struct fv_catalog *fv_catalog_new(const flagver_options *options);
void fv_catalog_release(struct fv_catalog *catalog);

/* Gives every flag that has none its counters. 0 or FLAGVER_ENOMEM. */
int fv_catalog_count(struct fv_catalog *catalog, const struct fv_definitions *definitions);

struct fv_table_entry {
    uint32_t hash;
    uint32_t slot;
    struct fv_flag *flag; /* NULL: free */
};

/* Flags by key: open addressing, a power of two of entries. */
struct fv_table {
    struct fv_table_entry *entries;
    size_t mask;
};

struct fv_measured;

struct flagver_snapshot {
    atomic_uint references;
    _Atomic(struct fv_measured *) measured; /* NULL: nobody has asked yet */
    struct fv_table table;
    struct fv_world world;
    struct fv_catalog *catalog;
    struct fv_definitions *definitions;
    struct fv_flag **forced; /* the definitions' flags, some of them forced; NULL: none is */
    uint32_t *order;         /* slots of the flags in byte order of their keys */
    uint32_t count;
    uint32_t counter_count;
};

/* May replace flags: *ret_forced is one that is held for the snapshot, or left NULL. */
struct fv_forcing {
    int (*force)(void *data, struct fv_flag *flag, struct fv_flag **ret_forced);
    void *data;
};

/*
 * Take a snapshot of definitions. `forcing` and `previous` may be NULL; the
 * latter saves the work that is saved by having the same keys.
 *
 * @return NULL when memory is short
 */
flagver_snapshot *fv_snapshot_new(struct fv_catalog *catalog, struct fv_definitions *definitions,
                                  const struct fv_forcing *forcing,
                                  const flagver_snapshot *previous);
void fv_snapshot_hold(flagver_snapshot *snapshot);
void fv_snapshot_release(flagver_snapshot *snapshot);

FV_INLINE const struct fv_flag *fv_table_find(const struct fv_table *table, const char *key,
                                              size_t length)
{
    uint32_t hash = (uint32_t)fv_hash(key, length);
    size_t at = hash & table->mask;
    const struct fv_table_entry *entry;

    for (; (entry = &table->entries[at])->flag; at = (at + 1) & table->mask)
        if (entry->hash == hash && entry->flag->key_length == length &&
            fv_equal(entry->flag->key, key, length))
            return entry->flag;
    return NULL;
}

#endif
