/*
 * What all compiling shares; and segments.
 */
#include "codec/compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/fail.h"

int fv_no_memory(const struct fv_compiling *compiling)
{
    return fv_fail_memory(compiling->reading->err);
}

#define SCRATCH_CHUNK 4096

void fv_compiling_init(struct fv_compiling *compiling, const struct fv_reading *reading,
                       const struct fv_definitions_source *source)
{
    *compiling = (struct fv_compiling){ .reading = reading, .source = source };
    fv_arena_init(&compiling->scratch, source->memory, SCRATCH_CHUNK);
}

void fv_compiling_clear(struct fv_compiling *compiling)
{
    fv_release(compiling->source->memory, compiling->leaves);
    fv_release(compiling->source->memory, compiling->refs);
    fv_arena_clear(&compiling->scratch);
}

static void say(const struct fv_compiling *compiling, const struct fv_listener *listener,
                const struct fv_place *place, const char *format, va_list arguments)
{
    flagver_error message;
    struct fv_reading reading = *compiling->reading;
    char words[512];

    vsnprintf(words, sizeof words, format, arguments);
    reading.err = &message;
    fv_refuse(&reading, place, "%s", words);
    listener->tell(listener->data, message.message);
}

void fv_lint(const struct fv_compiling *compiling, const struct fv_place *place, const char *format,
             ...)
{
    va_list arguments;

    if (!compiling->source->lint || ++*compiling->source->lint_count > FV_LINT_LIMIT)
        return;
    va_start(arguments, format);
    say(compiling, compiling->source->lint, place, format, arguments);
    va_end(arguments);
}

int fv_compile_path(struct fv_compiling *compiling, const char *name, size_t length,
                    struct fv_path *ret_path)
{
    struct fv_map *names = compiling->source->attribute_names;
    uint32_t number = fv_map_add(names, name, length);

    if (number == FV_MAP_NONE ||
        fv_path_init(ret_path, compiling->arena, names->names[number].text, length) < 0)
        return fv_no_memory(compiling);
    return 0;
}

static char *copy_pointer(struct fv_compiling *compiling, const struct fv_place *place)
{
    struct fv_text pointer = FV_TEXT_INIT;
    char *copy = NULL;

    fv_place_write(place, &pointer);
    if (!pointer.failed)
        copy = fv_arena_string(compiling->arena, pointer.data, pointer.length);
    fv_text_clear(&pointer);
    return copy;
}

int fv_add_reference(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *name, const json_t *variant, struct fv_reference *ret_reference)
{
    struct fv_reference reference = { .to_flag = variant != NULL };
    struct fv_map *names = variant ? compiling->source->flag_names
                                   : compiling->source->segment_names;
    int r;

    r = fv_expect_string(compiling->reading, variant ? fv_at_key(place, "flag") : place, name);
    if (r >= 0 && variant)
        r = fv_expect_string(compiling->reading, fv_at_key(place, "variant"), variant);
    if (r < 0)
        return r;

    reference.slot = fv_map_add(names, json_string_value(name), json_string_length(name));
    if (reference.slot == FV_MAP_NONE)
        return fv_no_memory(compiling);
    reference.name = names->names[reference.slot].text;
    reference.pointer = copy_pointer(compiling, place);
    if (variant)
        reference.variant = fv_arena_string(compiling->arena, json_string_value(variant),
                                            json_string_length(variant));
    if (!reference.pointer || (variant && !reference.variant) ||
        !fv_grow(compiling->source->memory, (void **)&compiling->refs, &compiling->ref_capacity,
                 compiling->ref_count, sizeof reference))
        return fv_no_memory(compiling);

    compiling->refs[compiling->ref_count++] = reference;
    *ret_reference = reference;
    return 0;
}

int fv_seal_references(struct fv_compiling *compiling, const struct fv_reference **ret_refs,
                       uint32_t *ret_count)
{
    size_t size = compiling->ref_count * sizeof **ret_refs;
    struct fv_reference *refs;

    if (!size)
        return 0;
    refs = fv_arena_allocate(compiling->arena, size);
    if (!refs)
        return fv_no_memory(compiling);
    memcpy(refs, compiling->refs, size);
    *ret_refs = refs;
    *ret_count = (uint32_t)compiling->ref_count;
    return 0;
}

void fv_compiling_start(struct fv_compiling *compiling, struct fv_arena *arena,
                        struct fv_flag *flag)
{
    compiling->arena = arena;
    compiling->flag = flag;
    compiling->ref_count = 0;
    compiling->leaf_total = 0;
    compiling->bucketing = NULL;
    compiling->bucket_words = (struct fv_bucket_words){ .by = "targetingKey", .by_length = 12 };
    fv_arena_reset(&compiling->scratch);
}

/* ---- segments ---- */

static int read_members(struct fv_compiling *compiling, const struct fv_place *place,
                        const json_t *array, struct fv_keyset *ret_set)
{
    const json_t *item;
    struct fv_key *keys;
    size_t i, count, conflict;
    int r;

    if (!array)
        return 0;
    r = fv_expect_array(compiling->reading, place, array, true);
    if (r < 0)
        return r;
    count = json_array_size(array);
    keys = fv_arena_allocate(&compiling->scratch, count * sizeof *keys);
    if (!keys)
        return fv_no_memory(compiling);
    for (i = 0; i < count; i++) {
        item = json_array_get(array, i);
        r = fv_expect_string(compiling->reading, fv_at_index(place, i), item);
        if (r < 0)
            return r;
        keys[i] = (struct fv_key){ json_string_value(item), (uint32_t)json_string_length(item), 0 };
    }
    if (count && fv_keyset_build(compiling->arena, keys, count, false, ret_set, &conflict) < 0)
        return fv_no_memory(compiling);
    return 0;
}

static int read_segment(struct fv_compiling *compiling, const struct fv_place *place,
                        const json_t *value, struct fv_segment *segment)
{
    static const char *const names[] = { "include", "exclude", "if", "description" };
    json_t *fields[4];
    int r;

    r = fv_read_fields(compiling->reading, place, value, names, 4, fields);
    if (r >= 0)
        r = read_members(compiling, fv_at_key(place, "include"), fields[0], &segment->include);
    if (r >= 0)
        r = read_members(compiling, fv_at_key(place, "exclude"), fields[1], &segment->exclude);
    if (r >= 0 && fields[2])
        r = fv_compile_condition(compiling, fv_at_key(place, "if"), fields[2], &segment->condition);
    if (r >= 0 && fields[3])
        r = fv_expect_string(compiling->reading, fv_at_key(place, "description"), fields[3]);
    if (r >= 0)
        r = fv_seal_references(compiling, &segment->refs, &segment->ref_count);
    return r;
}

#define SEGMENT_CHUNK 320

int fv_compile_segment(struct fv_compiling *compiling, const struct fv_place *place,
                       const json_t *value, const char *name, size_t length,
                       struct fv_segment **ret_segment)
{
    struct fv_segment *segment;
    struct fv_arena arena;
    int r;

    r = fv_expect_name(compiling->reading, place, name, length, FV_FLAG_KEY_LIMIT, "segment name");
    if (r < 0)
        return r;
    fv_arena_init(&arena, compiling->source->memory, SEGMENT_CHUNK);
    segment = fv_segment_new(&arena, name, length);
    fv_compiling_start(compiling, &arena, NULL);
    r = segment ? read_segment(compiling, place, value, segment) : fv_no_memory(compiling);
    if (r < 0) {
        fv_arena_clear(&arena);
        return r;
    }
    segment->leaf_count = compiling->leaf_total;
    fv_segment_complete(segment, &arena);
    *ret_segment = segment;
    return 0;
}

int fv_compile_malformed_segment(struct fv_compiling *compiling, const char *name, size_t length,
                                 const char *why, struct fv_segment **ret_segment)
{
    struct fv_segment *segment;
    struct fv_arena arena;

    fv_arena_init(&arena, compiling->source->memory, SEGMENT_CHUNK);
    segment = fv_segment_new(&arena, name, length);
    if (segment)
        segment->why = fv_arena_string(&arena, why, strlen(why));
    if (!segment || !segment->why) {
        fv_arena_clear(&arena);
        return fv_no_memory(compiling);
    }
    fv_segment_complete(segment, &arena);
    *ret_segment = segment;
    return 0;
}
