#define _POSIX_C_SOURCE 200809L /* clock_gettime() */

/*
 * The catalog: names, slots and counters beyond one snapshot.
 */
#include <string.h>
#include <time.h>

#include "engine/snapshot.h"
#include "util/fail.h"
#include "util/options.h"

#define CATALOG_CHUNK 4096

static int64_t system_clock(void *data)
{
    struct timespec now;

    (void)data;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int fv_options_read(const flagver_options *options, flagver_options *ret_options,
                    flagver_error *err)
{
    int r = fv_options_copy("options", options, ret_options, sizeof *ret_options, err);

    if (r < 0)
        return r;
    if (ret_options->wait_ms < 0 || ret_options->poll_ms < 0)
        return fv_fail(err, FLAGVER_EINVAL, "options.%s is negative",
                       ret_options->wait_ms < 0 ? "wait_ms" : "poll_ms");
    if (ret_options->allocator &&
        (!ret_options->allocator->allocate || !ret_options->allocator->reallocate ||
         !ret_options->allocator->release))
        return fv_fail(err, FLAGVER_EINVAL, "options.allocator lacks a function");
    return 0;
}

const flagver_allocator *fv_catalog_memory(const struct fv_catalog *catalog)
{
    return catalog->own_allocator ? &catalog->allocator : NULL;
}

struct fv_catalog *fv_catalog_new(const flagver_options *options)
{
    struct fv_catalog *catalog = fv_allocate_zeroed(options->allocator, 1, sizeof *catalog);
    const flagver_allocator *memory;

    if (!catalog)
        return NULL;
    if (options->allocator) {
        catalog->own_allocator = true;
        catalog->allocator = *options->allocator;
    }
    catalog->clock = options->clock ? options->clock : system_clock;
    catalog->clock_data = options->clock_data;
    catalog->counter_count = 1; /* counter 0 means: none yet */
    atomic_init(&catalog->references, 1);

    memory = fv_catalog_memory(catalog);
    fv_map_init(&catalog->flag_names, memory);
    fv_map_init(&catalog->segment_names, memory);
    fv_map_init(&catalog->variant_names, memory);
    fv_map_init(&catalog->attribute_names, memory);
    fv_arena_init(&catalog->arena, memory, CATALOG_CHUNK);
    return catalog;
}

void fv_catalog_release(struct fv_catalog *catalog)
{
    flagver_allocator allocator;
    bool own;

    if (!catalog || atomic_fetch_sub_explicit(&catalog->references, 1, memory_order_acq_rel) != 1)
        return;
    fv_map_clear(&catalog->flag_names);
    fv_map_clear(&catalog->segment_names);
    fv_map_clear(&catalog->variant_names);
    fv_map_clear(&catalog->attribute_names);
    fv_arena_clear(&catalog->arena);
    fv_release(fv_catalog_memory(catalog), catalog->ranges);
    fv_release(fv_catalog_memory(catalog), catalog->latest);

    own = catalog->own_allocator; /* the allocator frees what describes it */
    allocator = catalog->allocator;
    fv_release(own ? &allocator : NULL, catalog);
}

static bool cover_slots(struct fv_catalog *catalog, size_t count)
{
    uint32_t *latest;

    if (count <= catalog->latest_count)
        return true;
    latest = fv_reallocate(fv_catalog_memory(catalog), catalog->latest, count * sizeof *latest);
    if (!latest)
        return false;
    memset(latest + catalog->latest_count, 0, (count - catalog->latest_count) * sizeof *latest);
    catalog->latest = latest;
    catalog->latest_count = count;
    return true;
}

static bool same_variants(const struct fv_catalog *catalog, const struct fv_counter_range *range,
                          const struct fv_flag *flag)
{
    uint32_t i;

    if (range->count != flag->body->variant_count)
        return false;
    for (i = 0; i < range->count; i++)
        if (strcmp(catalog->variant_names.names[range->variants[i]].text,
                   flag->body->variants[i].name) != 0)
            return false;
    return true;
}

/* The variants' numbers; flags with the variants of the range before share its list. */
static const uint32_t *number_variants(struct fv_catalog *catalog, const struct fv_flag *flag)
{
    const struct fv_counter_range *before = catalog->range_count
                                                ? &catalog->ranges[catalog->range_count - 1]
                                                : NULL;
    const struct fv_flag_body *body = flag->body;
    uint32_t *numbers, i;

    if (before && same_variants(catalog, before, flag))
        return before->variants;
    numbers = fv_arena_allocate(&catalog->arena, body->variant_count * sizeof *numbers);
    for (i = 0; numbers && i < body->variant_count; i++) {
        numbers[i] = fv_map_add(&catalog->variant_names, body->variants[i].name,
                                body->variants[i].length);
        if (numbers[i] == FV_MAP_NONE)
            return NULL;
    }
    return numbers;
}

static void count_from(struct fv_flag *flag, uint32_t first)
{
    flag->body->counter = first;
    flag->served = first + 1 + flag->variant;
}

static bool add_range(struct fv_catalog *catalog, struct fv_flag *flag)
{
    struct fv_counter_range range = { .slot = flag->body->slot,
                                      .first = catalog->counter_count,
                                      .count = flag->body->variant_count };

    range.variants = number_variants(catalog, flag);
    if (!range.variants || !fv_grow(fv_catalog_memory(catalog), (void **)&catalog->ranges,
                                    &catalog->range_capacity, catalog->range_count, sizeof range))
        return false;

    catalog->ranges[catalog->range_count++] = range;
    catalog->latest[flag->body->slot] = (uint32_t)catalog->range_count;
    catalog->counter_count += 1 + range.count;
    count_from(flag, range.first);
    return true;
}

/*
 * Whoever was served a variant may tell of its outcome by that name, after the flag has changed: it is the
 * catalog's from now on. Nobody else has the flag yet.
 */
static void name_variants(const struct fv_catalog *catalog, const struct fv_counter_range *range,
                          const struct fv_flag_body *body)
{
    struct fv_variant *variants = (struct fv_variant *)body->variants; /* in the flag's memory */
    uint32_t i;

    if (body->variants == fv_usual_variants)
        return;
    for (i = 0; i < range->count; i++)
        variants[i].name = catalog->variant_names.names[range->variants[i]].text;
}

static bool count_flag(struct fv_catalog *catalog, struct fv_flag *flag)
{
    uint32_t number = catalog->latest[flag->body->slot];

    if (number && same_variants(catalog, &catalog->ranges[number - 1], flag))
        count_from(flag, catalog->ranges[number - 1].first);
    else if (!add_range(catalog, flag))
        return false;
    number = catalog->latest[flag->body->slot];
    name_variants(catalog, &catalog->ranges[number - 1], flag->body);
    return true;
}

int fv_catalog_count(struct fv_catalog *catalog, const struct fv_definitions *definitions)
{
    const struct fv_world served = fv_definitions_world(definitions);
    struct fv_flag *flag;
    uint32_t slot;

    if (!cover_slots(catalog, definitions->flag_count))
        return FLAGVER_ENOMEM;
    for (slot = 0; slot < definitions->flag_count; slot++) {
        flag = definitions->flags[slot];
        if (!flag)
            continue;
        if (!flag->body->counter && !count_flag(catalog, flag))
            return FLAGVER_ENOMEM;
        if (!served.flags[slot]->body->counter) /* it stands in for the flag */
            count_from(served.flags[slot], flag->body->counter);
    }
    return 0;
}
