#include "util/map.h"

#include "util/hash.h"

#define NAMES_CHUNK 4096

void fv_map_init(struct fv_map *map, const flagver_allocator *memory)
{
    memset(map, 0, sizeof *map);
    fv_arena_init(&map->arena, memory, NAMES_CHUNK);
}

void fv_map_clear(struct fv_map *map)
{
    const flagver_allocator *memory = map->arena.chunks.memory;

    fv_release(memory, map->names);
    fv_release(memory, map->slots);
    fv_arena_clear(&map->arena);
    fv_map_init(map, memory);
}

/* The slot that holds the name, or the free one where it belongs. */
static size_t probe(const struct fv_map *map, const char *name, size_t length, uint32_t hash)
{
    size_t mask = map->slot_count - 1, at = hash & mask;
    const struct fv_name *there;

    for (; map->slots[at]; at = (at + 1) & mask) {
        there = &map->names[map->slots[at] - 1];
        if (there->hash == hash && there->length == length && fv_equal(there->text, name, length))
            break;
    }
    return at;
}

/* Keeps the table at most half full. */
static bool make_room(struct fv_map *map)
{
    size_t wanted = map->slot_count ? map->slot_count * 2 : 16, i, at;
    uint32_t *slots;

    if (map->count * 2 < map->slot_count)
        return true;
    slots = fv_allocate_zeroed(map->arena.chunks.memory, wanted, sizeof *slots);
    if (!slots)
        return false;

    for (i = 0; i < map->count; i++) {
        at = map->names[i].hash & (wanted - 1);
        while (slots[at])
            at = (at + 1) & (wanted - 1);
        slots[at] = (uint32_t)i + 1;
    }
    fv_release(map->arena.chunks.memory, map->slots);
    map->slots = slots;
    map->slot_count = wanted;
    return true;
}

uint32_t fv_map_find(const struct fv_map *map, const char *name, size_t length)
{
    size_t at;

    if (!map->slot_count)
        return FV_MAP_NONE;
    at = probe(map, name, length, (uint32_t)fv_hash(name, length));
    return map->slots[at] ? map->slots[at] - 1 : FV_MAP_NONE;
}

uint32_t fv_map_add(struct fv_map *map, const char *name, size_t length)
{
    uint32_t hash = (uint32_t)fv_hash(name, length);
    const flagver_allocator *memory = map->arena.chunks.memory;
    char *copy;
    size_t at;

    if (length >= UINT32_MAX || map->count >= UINT32_MAX - 1 || !make_room(map))
        return FV_MAP_NONE;
    at = probe(map, name, length, hash);
    if (map->slots[at])
        return map->slots[at] - 1;

    if (!fv_grow(memory, (void **)&map->names, &map->capacity, map->count, sizeof *map->names))
        return FV_MAP_NONE;
    copy = fv_arena_string(&map->arena, name, length);
    if (!copy)
        return FV_MAP_NONE;

    map->names[map->count] = (struct fv_name){ copy, (uint32_t)length, hash };
    map->slots[at] = (uint32_t)++map->count;
    return (uint32_t)map->count - 1;
}
