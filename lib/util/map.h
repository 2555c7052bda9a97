/*
 * Names to numbers: 0, 1, 2 … in the order in which names were first seen.
 *
 * A name keeps its number for as long as the map lives; nothing is removed.
 */
#ifndef FV_UTIL_MAP_H
#define FV_UTIL_MAP_H

#include "util/memory.h"

#define FV_MAP_NONE UINT32_MAX

struct fv_name {
    const char *text; /* NUL-terminated, in the map's arena */
    uint32_t length;
    uint32_t hash;
};

struct fv_map {
    struct fv_arena arena;
    struct fv_name *names; /* by number */
    size_t count, capacity;
    uint32_t *slots; /* number + 1, 0 = free; a power of two of them */
    size_t slot_count;
};

void fv_map_init(struct fv_map *map, const flagver_allocator *memory);
void fv_map_clear(struct fv_map *map);

/* The number of a name, FV_MAP_NONE when it was never seen. */
uint32_t fv_map_find(const struct fv_map *map, const char *name, size_t length);

/* The same, and a new name gets the next number. FV_MAP_NONE: memory is short. */
uint32_t fv_map_add(struct fv_map *map, const char *name, size_t length);

#endif
