#include "engine/measured.h"

#include "codec/metadata.h"

struct pair {
    uint32_t event, slot;
};

struct finding {
    struct fv_measured *measured;
    const flagver_allocator *memory;
    struct pair *pairs;
    size_t count, capacity;
    uint32_t slot; /* of the flag at hand */
};

/* An event that a flag names twice is one. */
static bool is_known(const struct finding *finding, uint32_t event)
{
    size_t i;

    for (i = finding->count; i > 0 && finding->pairs[i - 1].slot == finding->slot; i--)
        if (finding->pairs[i - 1].event == event)
            return true;
    return false;
}

static bool find_event(void *data, const char *event, size_t length)
{
    struct finding *finding = data;
    uint32_t number = fv_map_add(&finding->measured->events, event, length);

    if (number == FV_MAP_NONE)
        return false;
    if (is_known(finding, number))
        return true;
    if (!fv_grow(finding->memory, (void **)&finding->pairs, &finding->capacity, finding->count,
                 sizeof *finding->pairs))
        return false;
    finding->pairs[finding->count++] = (struct pair){ number, finding->slot };
    return true;
}

static bool find_events(struct finding *finding, const struct fv_world *world)
{
    const struct fv_flag *flag;

    for (finding->slot = 0; finding->slot < world->flag_count; finding->slot++) {
        flag = world->flags[finding->slot];
        if (flag && flag->body->metadata &&
            fv_metadata_events(flag->body->metadata, find_event, finding) < 0)
            return false;
    }
    return true;
}

/* Pairs come in order of their slots: those of each event are put together. */
static bool arrange(struct finding *finding)
{
    struct fv_measured *measured = finding->measured;
    size_t events = measured->events.count, i;

    measured->first = fv_allocate_zeroed(finding->memory, events + 2, sizeof *measured->first);
    measured->slots = fv_allocate(finding->memory, finding->count * sizeof *measured->slots);
    if (!measured->first || !measured->slots)
        return false;
    for (i = 0; i < finding->count; i++)
        measured->first[finding->pairs[i].event + 2]++;
    for (i = 2; i < events + 2; i++)
        measured->first[i] += measured->first[i - 1];
    for (i = 0; i < finding->count; i++) /* [event + 1] moves from its beginning to its end */
        measured->slots[measured->first[finding->pairs[i].event + 1]++] = finding->pairs[i].slot;
    return true;
}

static struct fv_measured *measure(const flagver_snapshot *snapshot)
{
    const flagver_allocator *memory = fv_catalog_memory(snapshot->catalog);
    struct finding finding = { .memory = memory };
    bool fine;

    finding.measured = fv_allocate_zeroed(memory, 1, sizeof *finding.measured);
    if (!finding.measured)
        return NULL;
    fv_map_init(&finding.measured->events, memory);
    fine = find_events(&finding, &snapshot->world) && arrange(&finding);
    fv_release(memory, finding.pairs);
    if (fine)
        return finding.measured;
    fv_measured_free(finding.measured, memory);
    return NULL;
}

const struct fv_measured *fv_measured_of(flagver_snapshot *snapshot)
{
    struct fv_measured *measured = atomic_load_explicit(&snapshot->measured, memory_order_acquire);
    struct fv_measured *first = NULL;

    if (measured)
        return measured;
    measured = measure(snapshot);
    if (!measured || atomic_compare_exchange_strong(&snapshot->measured, &first, measured))
        return measured;
    fv_measured_free(measured, fv_catalog_memory(snapshot->catalog)); /* others were faster */
    return first;
}

void fv_measured_free(struct fv_measured *measured, const flagver_allocator *memory)
{
    if (!measured)
        return;
    fv_map_clear(&measured->events);
    fv_release(memory, measured->first);
    fv_release(memory, measured->slots);
    fv_release(memory, measured);
}
