#include "engine/environment.h"

#include <string.h>

#include "codec/definitions.h"
#include "util/hash.h"

extern char **environ;

void fv_environment_init(struct fv_environment *environment, const flagver_allocator *memory)
{
    memset(environment, 0, sizeof *environment);
    fv_map_init(&environment->names, memory);
}

void fv_environment_clear(struct fv_environment *environment)
{
    fv_release(environment->names.arena.chunks.memory, environment->values);
    environment->values = NULL;
    fv_map_clear(&environment->names);
}

static int add(struct fv_environment *environment, const char *variable, const char *equals)
{
    size_t before = environment->names.count, length = strlen(variable);
    uint32_t number;
    char *value;

    number = fv_map_add(&environment->names, variable, (size_t)(equals - variable));
    value = fv_arena_string(&environment->names.arena, equals + 1, strlen(equals + 1));
    if (number == FV_MAP_NONE || !value)
        return FLAGVER_ENOMEM;
    if (number < before)
        return 0; /* set twice: the first counts, as for getenv() */

    environment->values[number] = value;
    environment->mark = fv_hash_mix(environment->mark ^ fv_hash(variable, length), FV_HASH_B);
    if (strncmp(variable, FV_FORCE_PREFIX, sizeof FV_FORCE_PREFIX - 1) == 0)
        environment->forces = true;
    return 0;
}

int fv_environment_read(struct fv_environment *environment)
{
    const flagver_allocator *memory = environment->names.arena.chunks.memory;
    size_t count = 0;
    const char *equals;
    char **variable;
    int r = 0;

    for (variable = environ; variable && *variable; variable++)
        count++;
    environment->mark = FV_HASH_A;
    environment->values = fv_allocate_zeroed(memory, count, sizeof(const char *));
    if (!environment->values)
        return FLAGVER_ENOMEM;

    for (variable = environ; r == 0 && variable && *variable && count; variable++, count--) {
        equals = strchr(*variable, '=');
        if (equals)
            r = add(environment, *variable, equals);
    }
    return r;
}

const char *fv_environment_get(void *data, const char *name)
{
    const struct fv_environment *environment = data;
    uint32_t number = fv_map_find(&environment->names, name, strlen(name));

    return number == FV_MAP_NONE ? NULL : environment->values[number];
}
