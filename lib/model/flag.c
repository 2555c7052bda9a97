#include "model/flag.h"

#include <string.h>

#include "flagver/flag.h"

/* A flag begins on a cache line, so that a lookup touches one and not two. */
#define CACHE_LINE 64u
#define ALIGNMENT_SLACK (CACHE_LINE - 8) /* arenas align to 8 */

static size_t flag_size(size_t key_length)
{
    size_t size = sizeof(struct fv_flag) + key_length + 1;

    return (size + 7) & ~(size_t)7;
}

size_t fv_flag_chunk(size_t key_length, size_t more)
{
    return ALIGNMENT_SLACK + flag_size(key_length) + sizeof(struct fv_flag_body) + more;
}

static struct fv_flag *allocate_flag(struct fv_arena *arena, size_t key_length)
{
    size_t size = ALIGNMENT_SLACK + flag_size(key_length);
    unsigned char *block = fv_arena_allocate(arena, size);
    uintptr_t at;

    if (!block)
        return NULL;
    memset(block, 0, size);
    at = ((uintptr_t)block + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1);
    return (struct fv_flag *)(block + (at - (uintptr_t)block));
}

struct fv_flag *fv_flag_new(struct fv_arena *arena, const char *key, size_t length)
{
    struct fv_flag *flag = allocate_flag(arena, length);
    struct fv_flag_body *body = fv_arena_allocate_zeroed(arena, 1, sizeof *body);

    if (!flag || !body)
        return NULL;
    memcpy(flag->key, key, length);
    flag->key_length = (uint16_t)length;
    flag->body = body;
    atomic_init(&body->references, 1);
    return flag;
}

static void settle_on(struct fv_flag *flag, uint32_t variant, uint8_t reason)
{
    flag->settled = flag->type;
    flag->variant = variant;
    flag->reason = reason;
    flag->value = flag->body->variants[variant].value.as;
}

void fv_flag_complete(struct fv_flag *flag, struct fv_arena *arena, bool enabled)
{
    struct fv_flag_body *body = flag->body;

    body->memory = arena->chunks;
    if (!enabled)
        settle_on(flag, body->off, FLAGVER_REASON_DISABLED);
    else if (!flag->asks)
        settle_on(flag, body->fallback, FLAGVER_REASON_STATIC);
    else if (flag->asks == FV_ASKS_SERVE && !body->serve.range_count)
        settle_on(flag, body->serve.remainder, FLAGVER_REASON_DEFAULT);
}

/* False when memory is short; the arena is then as it was. */
static bool mark_spoiled(struct fv_flag *flag, struct fv_arena *arena, const char *why)
{
    flag->error = FLAGVER_ERROR_PARSE_ERROR;
    flag->variant = FV_NO_VARIANT;
    flag->body->why = fv_arena_string(arena, why, strlen(why));
    return flag->body->why != NULL;
}

bool fv_flag_complete_spoiled(struct fv_flag *flag, struct fv_arena *arena, const char *why)
{
    if (!mark_spoiled(flag, arena, why))
        return false;
    flag->body->memory = arena->chunks;
    return true;
}

/* A small flag that stands in for another one; its caller holds that. */
static struct fv_flag *new_stand_in(struct fv_flag *origin, struct fv_arena *arena, size_t more)
{
    const struct fv_flag_body *body = origin->body;
    struct fv_flag *flag;

    fv_arena_init(arena, body->memory.memory, fv_flag_chunk(origin->key_length, more));
    flag = fv_flag_new(arena, origin->key, origin->key_length);
    if (!flag)
        return NULL;
    flag->type = origin->type;
    flag->body->counter = body->counter;
    flag->body->slot = body->slot;
    flag->body->variants = body->variants;
    flag->body->variant_count = body->variant_count;
    flag->body->metadata = body->metadata;
    flag->body->version = body->version;
    flag->body->origin = origin;
    return flag;
}

struct fv_flag *fv_flag_force(struct fv_flag *origin, uint32_t variant)
{
    struct fv_arena arena;
    struct fv_flag *flag = new_stand_in(origin, &arena, 0);

    if (!flag) {
        fv_arena_clear(&arena);
        return NULL;
    }
    flag->served = origin->body->counter + 1 + variant;
    flag->forced = true;
    flag->body->memory = arena.chunks;
    fv_flag_hold(origin);
    settle_on(flag, variant, FLAGVER_REASON_STATIC);
    return flag;
}

struct fv_flag *fv_flag_spoil(struct fv_flag *origin, const char *why)
{
    struct fv_arena arena;
    struct fv_flag *flag = new_stand_in(origin, &arena, strlen(why) + 8);

    if (!flag || !mark_spoiled(flag, &arena, why)) {
        fv_arena_clear(&arena);
        return NULL;
    }
    flag->body->memory = arena.chunks;
    fv_flag_hold(origin);
    return flag;
}

void fv_flag_hold(struct fv_flag *flag)
{
    atomic_fetch_add_explicit(&flag->body->references, 1, memory_order_relaxed);
}

void fv_flag_release(struct fv_flag *flag)
{
    struct fv_flag *origin;

    while (flag &&
           atomic_fetch_sub_explicit(&flag->body->references, 1, memory_order_acq_rel) == 1) {
        origin = flag->body->origin;
        fv_chunks_free(flag->body->memory);
        flag = origin;
    }
}

struct fv_segment *fv_segment_new(struct fv_arena *arena, const char *name, size_t length)
{
    struct fv_segment *segment = fv_arena_allocate_zeroed(arena, 1, sizeof *segment);

    if (!segment)
        return NULL;
    segment->name = fv_arena_string(arena, name, length);
    segment->name_length = length;
    segment->condition.entry = FV_ANSWER_NO;
    atomic_init(&segment->references, 1);
    return segment->name ? segment : NULL;
}

void fv_segment_complete(struct fv_segment *segment, struct fv_arena *arena)
{
    segment->memory = arena->chunks;
}

void fv_segment_hold(struct fv_segment *segment)
{
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
}

void fv_segment_release(struct fv_segment *segment)
{
    if (segment && atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) == 1)
        fv_chunks_free(segment->memory);
}

uint32_t fv_flag_variant(const struct fv_flag *flag, const char *name)
{
    const struct fv_variant *variants = flag->body->variants;
    uint32_t low = 0, high = flag->body->variant_count, middle;
    int order;

    while (low < high) {
        middle = low + (high - low) / 2;
        order = strcmp(variants[middle].name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return FV_NO_VARIANT;
}
