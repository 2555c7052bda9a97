/*
 * Memory: the client's allocator, and arenas.
 *
 * A NULL allocator means the C library's. Every function returns NULL when
 * memory is short, and then has changed nothing.
 */
#ifndef FV_UTIL_MEMORY_H
#define FV_UTIL_MEMORY_H

#include "flagver/base.h"

/* size 0 gives a block that may be freed, not NULL. */
void *fv_allocate(const flagver_allocator *memory, size_t size);
void *fv_allocate_zeroed(const flagver_allocator *memory, size_t count, size_t size);
void *fv_reallocate(const flagver_allocator *memory, void *block, size_t size);
void fv_release(const flagver_allocator *memory, void *block);

/*
 * Make room for one more element in a growing array: doubles *capacity when
 * count has reached it. False when memory is short; the array is then as it was.
 */
bool fv_grow(const flagver_allocator *memory, void **array, size_t *capacity, size_t count,
             size_t element_size);

/*
 * An arena: many small allocations, one lifetime. Blocks never move and are
 * all freed together. Chunks grow with the total, so an arena whose first chunk
 * is well chosen costs little more than what it holds.
 */
struct fv_chunk;

/* The memory of an arena, for one that will not grow any more. */
struct fv_chunks {
    const flagver_allocator *memory;
    struct fv_chunk *newest;
};

void fv_chunks_free(struct fv_chunks chunks);

struct fv_arena {
    struct fv_chunks chunks;
    unsigned char *next, *end; /* the free part of the newest */
    size_t first;              /* bytes in the first chunk, unless more are needed */
    size_t total;              /* bytes in all chunks */
};

void fv_arena_init(struct fv_arena *arena, const flagver_allocator *memory, size_t first);

/* Frees every block; the arena can be used again. */
void fv_arena_clear(struct fv_arena *arena);

/* The same, but keeps one chunk for the next use. */
void fv_arena_reset(struct fv_arena *arena);

/* 8-byte aligned, not zeroed. */
void *fv_arena_allocate(struct fv_arena *arena, size_t size);
void *fv_arena_allocate_zeroed(struct fv_arena *arena, size_t count, size_t size);

/* A copy of `length` bytes with a NUL behind it. */
char *fv_arena_string(struct fv_arena *arena, const char *text, size_t length);

#endif
