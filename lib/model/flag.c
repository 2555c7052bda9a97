#include "model/flag.h"

#include <string.h>

#include "flagver/flag.h"

/* A boolean with two variants and a percentage fits into the first chunk. */
#define FLAG_CHUNK 320
#define SEGMENT_CHUNK 320

struct fv_flag *fv_flag_new(const flagver_allocator *memory, const char *key, size_t length)
{
    struct fv_flag_body *body;
    struct fv_arena arena;
    struct fv_flag *flag;

    fv_arena_init(&arena, memory, FLAG_CHUNK);
    flag = fv_arena_allocate_zeroed(&arena, 1, sizeof *flag + length + 1);
    body = fv_arena_allocate_zeroed(&arena, 1, sizeof *body);
    if (!flag || !body) {
        fv_arena_clear(&arena);
        return NULL;
    }

    memcpy(flag->key, key, length);
    flag->key_length = (uint32_t)length;
    flag->body = body;
    body->arena = arena;
    atomic_init(&body->references, 1);
    return flag;
}

struct fv_segment *fv_segment_new(const flagver_allocator *memory, const char *name, size_t length)
{
    struct fv_segment *segment;
    struct fv_arena arena;

    fv_arena_init(&arena, memory, SEGMENT_CHUNK);
    segment = fv_arena_allocate_zeroed(&arena, 1, sizeof *segment);
    if (segment)
        segment->name = fv_arena_string(&arena, name, length);
    if (!segment || !segment->name) {
        fv_arena_clear(&arena);
        return NULL;
    }
    segment->arena = arena;
    segment->condition.entry = FV_ANSWER_NO;
    atomic_init(&segment->references, 1);
    return segment;
}

static void settle_on(struct fv_flag *flag, uint32_t variant, uint8_t reason)
{
    flag->settled = true;
    flag->variant = variant;
    flag->reason = reason;
    flag->value = flag->body->variants[variant].value;
}

struct fv_flag *fv_flag_force(struct fv_flag *origin, uint32_t variant)
{
    struct fv_flag *flag =
        fv_flag_new(origin->body->arena.memory, origin->key, origin->key_length);

    if (!flag)
        return NULL;
    flag->slot = origin->slot;
    flag->counter = origin->counter;
    flag->type = origin->type;
    flag->forced = true;
    flag->body->mark = origin->body->mark;
    flag->body->variants = origin->body->variants;
    flag->body->variant_count = origin->body->variant_count;
    flag->body->metadata = origin->body->metadata;
    flag->body->version = origin->body->version;
    flag->body->origin = origin;
    fv_flag_hold(origin);
    settle_on(flag, variant, FLAGVER_REASON_STATIC);
    return flag;
}

void fv_flag_settle(struct fv_flag *flag, bool enabled)
{
    const struct fv_flag_body *body = flag->body;
    const struct fv_serve *serve = body->serve;

    if (!enabled) {
        settle_on(flag, body->off, FLAGVER_REASON_DISABLED);
    } else if (!body->requirement_count && !body->targets.count && !body->rule_count) {
        if (!serve)
            settle_on(flag, body->fallback, FLAGVER_REASON_STATIC);
        else if (!serve->range_count)
            settle_on(flag, serve->remainder, FLAGVER_REASON_DEFAULT);
    }
}

void fv_flag_hold(struct fv_flag *flag)
{
    atomic_fetch_add_explicit(&flag->body->references, 1, memory_order_relaxed);
}

void fv_flag_release(struct fv_flag *flag)
{
    struct fv_flag *origin;
    struct fv_arena arena;

    while (flag && atomic_fetch_sub_explicit(&flag->body->references, 1, memory_order_acq_rel) == 1) {
        origin = (struct fv_flag *)flag->body->origin;
        arena = flag->body->arena; /* the arena holds its own description */
        fv_arena_clear(&arena);
        flag = origin;
    }
}

void fv_segment_hold(struct fv_segment *segment)
{
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
}

void fv_segment_release(struct fv_segment *segment)
{
    struct fv_arena arena;

    if (!segment ||
        atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) != 1)
        return;
    arena = segment->arena;
    fv_arena_clear(&arena);
}

uint32_t fv_flag_variant(const struct fv_flag *flag, const char *name)
{
    uint32_t i;

    for (i = 0; i < flag->body->variant_count; i++)
        if (strcmp(flag->body->variants[i].name, name) == 0)
            return i;
    return FV_NO_VARIANT;
}
