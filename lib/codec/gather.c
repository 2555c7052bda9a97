#include "codec/gather.h"

#include <string.h>

#include "util/fail.h"

/* ---- definitions ---- */

void fv_definitions_hold(struct fv_definitions *definitions)
{
    atomic_fetch_add_explicit(&definitions->references, 1, memory_order_relaxed);
}

static void release_stand_ins(struct fv_definitions *definitions)
{
    uint32_t i;

    for (i = 0; definitions->served && i < definitions->flag_count; i++)
        if (definitions->served[i] != definitions->flags[i])
            fv_flag_release(definitions->served[i]);
    fv_release(definitions->memory, definitions->served);
}

void fv_definitions_release(struct fv_definitions *definitions)
{
    uint32_t i;

    if (!definitions ||
        atomic_fetch_sub_explicit(&definitions->references, 1, memory_order_acq_rel) != 1)
        return;
    release_stand_ins(definitions);
    for (i = 0; i < definitions->flag_count; i++)
        fv_flag_release(definitions->flags[i]);
    for (i = 0; i < definitions->segment_count; i++)
        fv_segment_release(definitions->segments[i]);
    fv_release(definitions->memory, definitions->flags);
    fv_release(definitions->memory, definitions->segments);
    fv_release(definitions->memory, definitions->spoiled);
    fv_arena_clear(&definitions->words);
    fv_release(definitions->memory, definitions);
}

struct fv_world fv_definitions_world(const struct fv_definitions *definitions)
{
    return (struct fv_world){ definitions->served ? definitions->served : definitions->flags,
                              definitions->segments, definitions->flag_count,
                              definitions->segment_count };
}

static struct fv_definitions *new_definitions(const flagver_allocator *memory)
{
    struct fv_definitions *definitions = fv_allocate_zeroed(memory, 1, sizeof *definitions);

    if (!definitions)
        return NULL;
    definitions->memory = memory;
    atomic_init(&definitions->references, 1);
    fv_arena_init(&definitions->words, memory, 0);
    return definitions;
}

/* ---- slots ---- */

/* Grows an array of pointers by slot, with some to spare; new slots are empty. */
static bool cover(const flagver_allocator *memory, void **array, uint32_t *count, size_t wanted)
{
    void **moved;

    if (wanted <= *count)
        return true;
    if (wanted < (size_t)*count * 2)
        wanted = (size_t)*count * 2;
    moved = fv_reallocate(memory, *array, wanted * sizeof *moved);
    if (!moved)
        return false;
    memset(moved + *count, 0, (wanted - *count) * sizeof *moved);
    *array = moved;
    *count = (uint32_t)wanted;
    return true;
}

static int cover_slots(struct fv_gathering *gathering, size_t flags, size_t segments)
{
    struct fv_definitions *result = gathering->result;

    if (!cover(result->memory, (void **)&result->flags, &result->flag_count, flags) ||
        !cover(result->memory, (void **)&result->segments, &result->segment_count, segments))
        return fv_fail_memory(gathering->err);
    return 0;
}

int fv_gather_cover(struct fv_gathering *gathering)
{
    return cover_slots(gathering, gathering->source->flag_names->count,
                       gathering->source->segment_names->count);
}

static int add_name(struct fv_gathering *gathering, struct fv_map *names, const char *name,
                    size_t length, uint32_t *ret_slot)
{
    *ret_slot = fv_map_add(names, name, length);
    if (*ret_slot == FV_MAP_NONE)
        return fv_fail_memory(gathering->err);
    return fv_gather_cover(gathering);
}

int fv_gather_flag_slot(struct fv_gathering *gathering, const char *key, size_t length,
                        uint32_t *ret_slot)
{
    return add_name(gathering, gathering->source->flag_names, key, length, ret_slot);
}

int fv_gather_segment_slot(struct fv_gathering *gathering, const char *name, size_t length,
                           uint32_t *ret_slot)
{
    return add_name(gathering, gathering->source->segment_names, name, length, ret_slot);
}

struct fv_flag *fv_gather_current_flag(const struct fv_gathering *gathering, uint32_t slot)
{
    const struct fv_definitions *current = gathering->source->current;

    return current && slot < current->flag_count ? current->flags[slot] : NULL;
}

struct fv_segment *fv_gather_current_segment(const struct fv_gathering *gathering, uint32_t slot)
{
    const struct fv_definitions *current = gathering->source->current;

    return current && slot < current->segment_count ? current->segments[slot] : NULL;
}

void fv_gather_put_flag(struct fv_gathering *gathering, uint32_t slot, struct fv_flag *flag)
{
    struct fv_flag **place = &gathering->result->flags[slot];

    gathering->names_changed |= flag && !fv_gather_current_flag(gathering, slot);
    gathering->malformed |= flag && flag->error;
    fv_flag_release(*place);
    *place = flag;
}

void fv_gather_put_segment(struct fv_gathering *gathering, uint32_t slot,
                           struct fv_segment *segment)
{
    struct fv_segment **place = &gathering->result->segments[slot];

    gathering->malformed |= segment && segment->why;
    fv_segment_release(*place);
    *place = segment;
}

int fv_compare_keys(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

    return order ? order : (a_length > b_length) - (a_length < b_length);
}

/* ---- beginning and end ---- */

static int begin_merge(struct fv_gathering *gathering)
{
    const struct fv_definitions *current = gathering->source->current;
    struct fv_definitions *result = gathering->result;
    uint32_t i;
    int r;

    gathering->malformed = current->spoiled_count > 0;
    r = cover_slots(gathering, current->flag_count, current->segment_count);
    if (r < 0)
        return r;
    for (i = 0; i < current->flag_count; i++) {
        result->flags[i] = current->flags[i];
        if (result->flags[i])
            fv_flag_hold(result->flags[i]);
    }
    for (i = 0; i < current->segment_count; i++) {
        result->segments[i] = current->segments[i];
        if (result->segments[i])
            fv_segment_hold(result->segments[i]);
    }
    return 0;
}

int fv_gather_begin(struct fv_gathering *gathering, const struct fv_definitions_source *source,
                    flagver_error *err)
{
    *gathering = (struct fv_gathering){ .source = source, .err = err };
    fv_compiling_init(&gathering->compiling, &gathering->reading, source);
    gathering->result = new_definitions(source->memory);
    if (!gathering->result)
        return fv_fail_memory(err);
    return source->merge && source->current ? begin_merge(gathering) : 0;
}

int fv_gather_end(struct fv_gathering *gathering, int r, struct fv_definitions **ret_definitions)
{
    fv_compiling_clear(&gathering->compiling);
    if (r < 0)
        fv_definitions_release(gathering->result);
    else
        *ret_definitions = gathering->result;
    return r;
}
