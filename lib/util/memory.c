#include "util/memory.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST_GROWTH 65536u

struct fv_chunk {
    struct fv_chunk *older;
    size_t size;
};

void *fv_allocate(const flagver_allocator *memory, size_t size)
{
    if (size == 0)
        size = 1;
    return memory ? memory->allocate(memory->data, size) : malloc(size);
}

void *fv_allocate_zeroed(const flagver_allocator *memory, size_t count, size_t size)
{
    void *block;

    if (size && count > SIZE_MAX / size)
        return NULL;
    if (!memory)
        return calloc(count ? count : 1, size ? size : 1);

    block = fv_allocate(memory, count * size);
    if (block)
        memset(block, 0, count * size);
    return block;
}

void *fv_reallocate(const flagver_allocator *memory, void *block, size_t size)
{
    if (size == 0)
        size = 1;
    return memory ? memory->reallocate(memory->data, block, size) : realloc(block, size);
}

void fv_release(const flagver_allocator *memory, void *block)
{
    if (!block)
        return;
    if (memory)
        memory->release(memory->data, block);
    else
        free(block);
}

bool fv_grow(const flagver_allocator *memory, void **array, size_t *capacity, size_t count,
             size_t element_size)
{
    size_t wanted = *capacity ? *capacity * 2 : 8;
    void *moved;

    if (count < *capacity)
        return true;
    if (wanted > SIZE_MAX / element_size)
        return false;

    moved = fv_reallocate(memory, *array, wanted * element_size);
    if (!moved)
        return false;
    *array = moved;
    *capacity = wanted;
    return true;
}

void fv_arena_init(struct fv_arena *arena, const flagver_allocator *memory, size_t first)
{
    memset(arena, 0, sizeof *arena);
    arena->chunks.memory = memory;
    arena->first = first;
}

void fv_chunks_free(struct fv_chunks chunks)
{
    struct fv_chunk *chunk = chunks.newest, *older;

    for (; chunk; chunk = older) {
        older = chunk->older;
        fv_release(chunks.memory, chunk);
    }
}

void fv_arena_clear(struct fv_arena *arena)
{
    fv_chunks_free(arena->chunks);
    fv_arena_init(arena, arena->chunks.memory, arena->first);
}

void fv_arena_reset(struct fv_arena *arena)
{
    struct fv_chunk *kept = arena->chunks.newest;

    if (!kept)
        return;
    arena->chunks.newest = kept->older;
    fv_arena_clear(arena);

    kept->older = NULL;
    arena->chunks.newest = kept;
    arena->next = (unsigned char *)(kept + 1);
    arena->end = arena->next + kept->size;
    arena->total = kept->size;
}

static size_t chunk_size(const struct fv_arena *arena, size_t needed)
{
    size_t size = arena->total ? arena->total / 2 : arena->first;

    if (size > LARGEST_GROWTH)
        size = LARGEST_GROWTH;
    return needed > size ? needed : size;
}

void *fv_arena_allocate(struct fv_arena *arena, size_t size)
{
    struct fv_chunk *chunk;
    void *block;
    size_t room;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + 7) & ~(size_t)7 : 8; /* also of nothing: a block, not NULL */

    if (size > (size_t)(arena->end - arena->next)) {
        room = chunk_size(arena, size);
        chunk = fv_allocate(arena->chunks.memory, sizeof *chunk + room);
        if (!chunk)
            return NULL;
        chunk->older = arena->chunks.newest;
        chunk->size = room;
        arena->chunks.newest = chunk;
        arena->next = (unsigned char *)(chunk + 1);
        arena->end = arena->next + room;
        arena->total += room;
    }

    block = arena->next;
    arena->next += size;
    return block;
}

void *fv_arena_allocate_zeroed(struct fv_arena *arena, size_t count, size_t size)
{
    void *block;

    if (size && count > SIZE_MAX / size)
        return NULL;
    block = fv_arena_allocate(arena, count * size);
    if (block)
        memset(block, 0, count * size);
    return block;
}

char *fv_arena_string(struct fv_arena *arena, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? fv_arena_allocate(arena, length + 1) : NULL;

    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}
