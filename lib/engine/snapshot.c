#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

void fv_snapshot_hold(flagver_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
}

static void destroy(flagver_snapshot *snapshot)
{
    struct fv_catalog *catalog = snapshot->catalog;
    const flagver_allocator *memory = fv_catalog_memory(catalog);
    const struct fv_world *world = &snapshot->world;
    uint32_t i;

    for (i = 0; i < world->flag_count; i++)
        fv_flag_release(world->flags[i]);
    for (i = 0; i < world->segment_count; i++)
        fv_segment_release(world->segments[i]);
    fv_release(memory, (void *)world->flags);
    fv_release(memory, (void *)world->segments);
    fv_release(memory, snapshot->entries);
    fv_release(memory, snapshot->order);
    fv_release(memory, snapshot);
    fv_catalog_release(catalog);
}

void fv_snapshot_release(flagver_snapshot *snapshot)
{
    if (snapshot &&
        atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1)
        destroy(snapshot);
}

static bool copy_segments(flagver_snapshot *snapshot, const struct fv_definitions *definitions)
{
    struct fv_segment **segments = fv_allocate_zeroed(
        fv_catalog_memory(snapshot->catalog), definitions->segment_count, sizeof(void *));
    uint32_t i;

    if (!segments)
        return false;
    for (i = 0; i < definitions->segment_count; i++) {
        segments[i] = definitions->segments[i];
        if (segments[i])
            fv_segment_hold(segments[i]);
    }
    snapshot->world.segments = segments;
    snapshot->world.segment_count = definitions->segment_count;
    return true;
}

static bool copy_flags(flagver_snapshot *snapshot, const struct fv_definitions *definitions,
                       const struct fv_forcing *forcing)
{
    struct fv_flag **flags = fv_allocate_zeroed(fv_catalog_memory(snapshot->catalog),
                                                definitions->flag_count, sizeof(void *));
    struct fv_flag *forced;
    uint32_t i;

    if (!flags)
        return false;
    snapshot->world.flags = flags;
    snapshot->world.flag_count = definitions->flag_count;
    for (i = 0; i < definitions->flag_count; i++) {
        if (!definitions->flags[i])
            continue;
        forced = NULL;
        if (forcing && forcing->force(forcing->data, definitions->flags[i], &forced) < 0)
            return false;
        flags[i] = forced ? forced : definitions->flags[i];
        if (!forced)
            fv_flag_hold(flags[i]);
        snapshot->count++;
    }
    return true;
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
    struct fv_entry *entries = snapshot->entries;
    uint32_t i;

    memcpy(entries, previous->entries, ((size_t)snapshot->mask + 1) * sizeof *entries);
    for (i = 0; i <= snapshot->mask; i++)
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
    uint32_t i, at;

    for (i = 0; i < snapshot->world.flag_count; i++) {
        if (!snapshot->world.flags[i])
            continue;
        at = names[i].hash & snapshot->mask;
        while (snapshot->entries[at].flag)
            at = (at + 1) & snapshot->mask;
        snapshot->entries[at] =
            (struct fv_entry){ names[i].hash, i, snapshot->world.flags[i] };
    }
}

static bool fill_tables(flagver_snapshot *snapshot, const flagver_snapshot *previous)
{
    const flagver_allocator *memory = fv_catalog_memory(snapshot->catalog);
    size_t capacity = 2;

    while (capacity < (size_t)snapshot->count * 2)
        capacity *= 2;
    snapshot->mask = (uint32_t)capacity - 1;
    snapshot->entries = fv_allocate_zeroed(memory, capacity, sizeof *snapshot->entries);
    snapshot->order = fv_allocate(memory, snapshot->count * sizeof *snapshot->order);
    if (!snapshot->entries || !snapshot->order)
        return false;

    if (same_keys(snapshot, previous))
        return copy_tables(snapshot, previous);
    fill_entries(snapshot);
    return fill_order(snapshot);
}

flagver_snapshot *fv_snapshot_new(struct fv_catalog *catalog,
                                  const struct fv_definitions *definitions,
                                  const struct fv_forcing *forcing,
                                  const flagver_snapshot *previous)
{
    flagver_snapshot *snapshot =
        fv_allocate_zeroed(fv_catalog_memory(catalog), 1, sizeof *snapshot);

    if (!snapshot)
        return NULL;
    atomic_init(&snapshot->references, 1);
    snapshot->catalog = catalog;
    atomic_fetch_add_explicit(&catalog->references, 1, memory_order_relaxed);
    snapshot->counter_count = catalog->counter_count;

    if (!copy_segments(snapshot, definitions) || !copy_flags(snapshot, definitions, forcing) ||
        !fill_tables(snapshot, previous)) {
        fv_snapshot_release(snapshot);
        return NULL;
    }
    return snapshot;
}
