#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT32_MAX
#define MOST_STATES 2000000

/* A growing array of equal parts. */
struct array {
    char *data;
    size_t part, count, capacity;
};

struct explorer {
    const struct world *world;
    struct array states;
    struct array origins;    /* uint32_t, of each state: the one it was reached from */
    struct array labels;     /* const char *, of each state: how */
    struct array first_step; /* uint32_t, of each state: its first one in `targets` */
    struct array targets;    /* uint32_t, of each step */
    uint32_t *slots;         /* by hash: number of a state, NOWHERE: free */
    size_t slot_count;
    uint32_t from; /* the state that steps are being taken from */
    const char *wanted, *fault, *fault_label;
    uint32_t fault_at;
};

static void *checked(void *memory)
{
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static void *at(const struct array *array, size_t index)
{
    return array->data + index * array->part;
}

static void push(struct array *array, const void *part)
{
    if (array->count == array->capacity) {
        array->capacity = array->capacity ? array->capacity * 2 : 1024;
        array->data = checked(realloc(array->data, array->capacity * array->part));
    }
    memcpy(at(array, array->count++), part, array->part);
}

static uint32_t number_at(const struct array *array, size_t index)
{
    uint32_t number;

    memcpy(&number, at(array, index), sizeof number);
    return number;
}

static uint64_t hash_of(const unsigned char *bytes, size_t length)
{
    uint64_t hash = 0x9e3779b97f4a7c15u, word;

    for (; length >= 8; bytes += 8, length -= 8) {
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    for (; length > 0; bytes++, length--)
        hash = (hash ^ *bytes) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 29;
}

static size_t slot_of(const struct explorer *explorer, const void *state)
{
    size_t size = explorer->world->size;
    size_t slot = hash_of(state, size) & (explorer->slot_count - 1);

    while (explorer->slots[slot] != NOWHERE &&
           memcmp(at(&explorer->states, explorer->slots[slot]), state, size) != 0)
        slot = (slot + 1) & (explorer->slot_count - 1);
    return slot;
}

static void make_room(struct explorer *explorer)
{
    size_t i;

    if (explorer->states.count * 2 < explorer->slot_count)
        return;
    free(explorer->slots);
    explorer->slot_count = explorer->slot_count ? explorer->slot_count * 2 : 4096;
    explorer->slots = checked(malloc(explorer->slot_count * sizeof *explorer->slots));
    memset(explorer->slots, 0xff, explorer->slot_count * sizeof *explorer->slots);
    for (i = 0; i < explorer->states.count; i++)
        explorer->slots[slot_of(explorer, at(&explorer->states, i))] = (uint32_t)i;
}

void explore_reach(struct explorer *explorer, const void *state, const char *label)
{
    uint32_t number;
    size_t slot;

    make_room(explorer);
    slot = slot_of(explorer, state);
    number = explorer->slots[slot];
    if (number == NOWHERE) {
        number = (uint32_t)explorer->states.count;
        explorer->slots[slot] = number;
        push(&explorer->states, state);
        push(&explorer->origins, &explorer->from);
        push(&explorer->labels, &label);
    }
    if (explorer->from != NOWHERE)
        push(&explorer->targets, &number);
}

void explore_fault(struct explorer *explorer, const char *fault, const char *label)
{
    if (explorer->fault || (explorer->wanted && strcmp(fault, explorer->wanted) != 0))
        return;
    explorer->fault = fault;
    explorer->fault_label = label;
    explorer->fault_at = explorer->from;
}

static void print_way(const struct explorer *explorer, uint32_t number)
{
    const struct world *world = explorer->world;
    uint32_t origin = number_at(&explorer->origins, number);
    const char *label;

    if (origin != NOWHERE)
        print_way(explorer, origin);
    memcpy(&label, at(&explorer->labels, number), sizeof label);
    printf("    %-28s ", label);
    world->print(world->context, at(&explorer->states, number));
    printf("\n");
}

/*
 * From every state a last one must be reachable, or somebody waits for what never comes. States
 * reached late lead to the end soonest, so passes from the back need few rounds.
 */
static void find_trap(struct explorer *explorer)
{
    size_t count = explorer->states.count, i, j, end;
    bool *leads = checked(calloc(count, sizeof *leads));
    bool changed = true;

    while (changed) {
        changed = false;
        for (i = count; i-- > 0;) {
            j = number_at(&explorer->first_step, i);
            end = i + 1 < count ? number_at(&explorer->first_step, i + 1) : explorer->targets.count;
            if (leads[i])
                continue;
            leads[i] = j == end;
            for (; j < end && !leads[i]; j++)
                leads[i] = leads[number_at(&explorer->targets, j)];
            changed = changed || leads[i];
        }
    }
    for (i = 0; i < count && !explorer->fault; i++)
        if (!leads[i]) {
            explorer->from = (uint32_t)i;
            explore_fault(explorer, "no way leads on to an end", "");
        }
    free(leads);
}

static void take_steps(struct explorer *explorer, struct exploration *found)
{
    const struct world *world = explorer->world;
    void *state = checked(malloc(world->size));
    const char *fault;
    uint32_t i, first;
    bool last;

    for (i = 0; i < explorer->states.count && !explorer->fault; i++) {
        if (explorer->states.count > MOST_STATES)
            break;
        explorer->from = i;
        first = (uint32_t)explorer->targets.count;
        push(&explorer->first_step, &first);
        /* Steps make the array grow, and move. */
        memcpy(state, at(&explorer->states, i), world->size);
        world->step(world->context, state, explorer);
        last = explorer->targets.count == first;
        found->last += last;
        fault = world->fault(world->context, state, last);
        if (fault)
            explore_fault(explorer, fault, "");
    }
    /* Wanted or not, nothing more will be found. */
    if (!explorer->fault && i < explorer->states.count) {
        explorer->wanted = NULL;
        explore_fault(explorer, "there is no end of states", "");
    }
    free(state);
}

static void clear(struct explorer *explorer)
{
    free(explorer->states.data);
    free(explorer->origins.data);
    free(explorer->labels.data);
    free(explorer->first_step.data);
    free(explorer->targets.data);
    free(explorer->slots);
}

struct exploration explore(const struct world *world,
                           void (*begin)(const void *context, struct explorer *explorer),
                           const char *wanted, bool verbose)
{
    struct explorer explorer = { .world = world,
                                 .states.part = world->size,
                                 .origins.part = sizeof(uint32_t),
                                 .labels.part = sizeof(const char *),
                                 .first_step.part = sizeof(uint32_t),
                                 .targets.part = sizeof(uint32_t),
                                 .from = NOWHERE,
                                 .wanted = wanted };
    struct exploration found = { 0 };

    begin(world->context, &explorer);
    take_steps(&explorer, &found);
    if (!explorer.fault)
        find_trap(&explorer);
    if (explorer.fault && verbose) {
        printf("  %s:\n", explorer.fault);
        print_way(&explorer, explorer.fault_at);
        if (explorer.fault_label[0])
            printf("    %s\n", explorer.fault_label);
    }
    found.states = (uint32_t)explorer.states.count;
    found.steps = (uint32_t)explorer.targets.count;
    found.fault = explorer.fault;
    clear(&explorer);
    return found;
}
