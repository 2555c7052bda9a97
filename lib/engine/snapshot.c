#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "engine/measured.h"

void fv_snapshot_hold(flagver_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
}

static void release_forced(flagver_snapshot *snapshot)
{
    const struct fv_world world = fv_definitions_world(snapshot->definitions);
    uint32_t i;

    for (i = 0; snapshot->forced && i < world.flag_count; i++)
        if (snapshot->forced[i] != world.flags[i])
            fv_flag_release(snapshot->forced[i]);
    fv_release(fv_catalog_memory(snapshot->catalog), snapshot->forced);
}

static void destroy(flagver_snapshot *snapshot)
{
    struct fv_catalog *catalog = snapshot->catalog;
    const flagver_allocator *memory = fv_catalog_memory(catalog);

    release_forced(snapshot);
    fv_measured_free(atomic_load_explicit(&snapshot->measured, memory_order_relaxed), memory);
    fv_definitions_release(snapshot->definitions);
    fv_release(memory, snapshot->table.entries);
    fv_release(memory, snapshot->order);
    fv_release(memory, snapshot);
    fv_catalog_release(catalog);
}

void fv_snapshot_release(flagver_snapshot *snapshot)
{
    if (snapshot && atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1)
        destroy(snapshot);
}

/*
 * The flags as they are served: the definitions' own, or a copy with some of them
 * replaced. What is forced is the flag as it is defined, spoiled or not.
 */
static bool force_flags(flagver_snapshot *snapshot, const struct fv_forcing *forcing)
{
    const struct fv_definitions *definitions = snapshot->definitions;
    size_t size = definitions->flag_count * sizeof(struct fv_flag *);
    struct fv_flag *forced;
    uint32_t i;

    snapshot->forced = fv_allocate(fv_catalog_memory(snapshot->catalog), size);
    if (!snapshot->forced)
        return false;
    if (size)
        memcpy(snapshot->forced, snapshot->world.flags, size);
    snapshot->world.flags = snapshot->forced;

    for (i = 0; i < definitions->flag_count; i++) {
        forced = NULL;
        if (definitions->flags[i] &&
            forcing->force(forcing->data, definitions->flags[i], &forced) < 0)
            return false;
        if (forced)
            snapshot->forced[i] = forced;
    }
    return true;
}

static void count_flags(flagver_snapshot *snapshot)
{
    uint32_t i;

    for (i = 0; i < snapshot->world.flag_count; i++)
        snapshot->count += snapshot->world.flags[i] != NULL;
}

/* Are there the same keys as in the snapshot before? */
static bool same_keys(const flagver_snapshot *snapshot, const flagver_snapshot *previous)
{
    uint32_t i;

    if (!previous || previous->catalog != snapshot->catalog || previous->count != snapshot->count)
        return false;
    for (i = 0; i < previous->count; i++)
        if (!snapshot->world.flags[previous->order[i]])
            return false;
    return true;
}

static bool copy_tables(flagver_snapshot *snapshot, const flagver_snapshot *previous)
{
    struct fv_table_entry *entries = snapshot->table.entries;
    size_t i;

    memcpy(entries, previous->table.entries, (snapshot->table.mask + 1) * sizeof *entries);
    for (i = 0; i <= snapshot->table.mask; i++)
        if (entries[i].flag)
            entries[i].flag = snapshot->world.flags[entries[i].slot];
    memcpy(snapshot->order, previous->order, snapshot->count * sizeof *snapshot->order);
    return true;
}

struct named_slot {
    const char *key;
    uint32_t slot;
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct named_slot *)a)->key, ((const struct named_slot *)b)->key);
}

static bool fill_order(flagver_snapshot *snapshot)
{
    const flagver_allocator *memory = fv_catalog_memory(snapshot->catalog);
    struct named_slot *slots = fv_allocate(memory, snapshot->count * sizeof *slots);
    uint32_t i, used = 0;

    if (!slots)
        return false;
    for (i = 0; i < snapshot->world.flag_count; i++)
        if (snapshot->world.flags[i])
            slots[used++] = (struct named_slot){ snapshot->world.flags[i]->key, i };
    qsort(slots, used, sizeof *slots, compare_keys);
    for (i = 0; i < used; i++)
        snapshot->order[i] = slots[i].slot;
    fv_release(memory, slots);
    return true;
}

static void fill_entries(flagver_snapshot *snapshot)
{
    const struct fv_name *names = snapshot->catalog->flag_names.names;
    uint32_t i;
    size_t at;

    for (i = 0; i < snapshot->world.flag_count; i++) {
        if (!snapshot->world.flags[i])
            continue;
        at = names[i].hash & snapshot->table.mask;
        while (snapshot->table.entries[at].flag)
            at = (at + 1) & snapshot->table.mask;
        snapshot->table.entries[at] = (struct fv_table_entry){ names[i].hash, i,
                                                               snapshot->world.flags[i] };
    }
}

static bool fill_tables(flagver_snapshot *snapshot, const flagver_snapshot *previous)
{
    const flagver_allocator *memory = fv_catalog_memory(snapshot->catalog);
    size_t capacity = 2;

    /* At most half full: a second look at the table is a branch mispredicted. */
    while (capacity < (size_t)snapshot->count * 2 + 1)
        capacity *= 2;
    snapshot->table.mask = capacity - 1;
    snapshot->table.entries = fv_allocate_zeroed(memory, capacity, sizeof *snapshot->table.entries);
    snapshot->order = fv_allocate(memory, snapshot->count * sizeof *snapshot->order);
    if (!snapshot->table.entries || !snapshot->order)
        return false;

    if (same_keys(snapshot, previous))
        return copy_tables(snapshot, previous);
    fill_entries(snapshot);
    return fill_order(snapshot);
}

flagver_snapshot *fv_snapshot_new(struct fv_catalog *catalog, struct fv_definitions *definitions,
                                  const struct fv_forcing *forcing,
                                  const flagver_snapshot *previous)
{
    flagver_snapshot *snapshot = fv_allocate_zeroed(fv_catalog_memory(catalog), 1,
                                                    sizeof *snapshot);

    if (!snapshot)
        return NULL;
    atomic_init(&snapshot->references, 1);
    atomic_init(&snapshot->measured, NULL);
    snapshot->catalog = catalog;
    atomic_fetch_add_explicit(&catalog->references, 1, memory_order_relaxed);
    snapshot->counter_count = catalog->counter_count;
    snapshot->definitions = definitions;
    fv_definitions_hold(definitions);
    snapshot->world = fv_definitions_world(definitions);
    count_flags(snapshot);

    if ((forcing && !force_flags(snapshot, forcing)) || !fill_tables(snapshot, previous)) {
        fv_snapshot_release(snapshot);
        return NULL;
    }
    return snapshot;
}
