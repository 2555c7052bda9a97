#include "model/context.h"

#include <string.h>

#include "util/hash.h"

#define KEY_NAME "targetingKey"
#define KEY_NAME_LENGTH (sizeof KEY_NAME - 1)
#define ATTRIBUTE_CHUNK 48

/* A list or object that is being built. */
struct fv_open_container {
    struct fv_path_step name; /* in the building arena */
    enum fv_kind kind;
    size_t first; /* index of its first item in `pending` */
};

static bool is_key_name(const char *name, size_t length)
{
    return length == KEY_NAME_LENGTH && memcmp(name, KEY_NAME, length) == 0;
}

static bool step_init(struct fv_path_step *step, struct fv_arena *arena, const char *name,
                      size_t length)
{
    char *copy = fv_arena_string(arena, name, length);

    if (!copy)
        return false;
    *step = (struct fv_path_step){ copy, (uint32_t)length, fv_name_hash(name, length) };
    return true;
}

static size_t count_dots(const char *name, size_t length)
{
    size_t i, dots = 0;

    for (i = 0; i < length; i++)
        dots += name[i] == '.';
    return dots;
}

int fv_path_init(struct fv_path *path, struct fv_arena *arena, const char *name, size_t length)
{
    size_t dots = count_dots(name, length), i;
    const char *at = name, *end = name + length, *stop;
    struct fv_path_step *steps;

    memset(path, 0, sizeof *path);
    if (is_key_name(name, length)) {
        path->is_key = true;
        path->whole = (struct fv_path_step){ KEY_NAME, KEY_NAME_LENGTH, 0 };
        return 0;
    }
    if (!step_init(&path->whole, arena, name, length))
        return FLAGVER_ENOMEM;
    if (!dots)
        return 0;

    steps = fv_arena_allocate(arena, (dots + 1) * sizeof *steps);
    if (!steps)
        return FLAGVER_ENOMEM;
    for (i = 0; i <= dots; i++) {
        stop = memchr(at, '.', (size_t)(end - at));
        if (!stop)
            stop = end;
        if (!step_init(&steps[i], arena, at, (size_t)(stop - at)))
            return FLAGVER_ENOMEM;
        at = stop + 1;
    }
    path->steps = steps;
    path->step_count = (uint32_t)dots + 1;
    return 0;
}

static const struct fv_value *find_step(const struct fv_member *members, size_t count,
                                        const struct fv_path_step *step)
{
    return fv_members_find(members, count, step->name, step->length, step->hash);
}

static const struct fv_value *find_nested(const flagver_context *context,
                                          const struct fv_path *path)
{
    const struct fv_value *value = find_step(context->members, context->count, &path->steps[0]);
    uint32_t i;

    for (i = 1; i < path->step_count; i++) {
        if (!value || value->kind != FV_OBJECT)
            return NULL;
        value = find_step(value->as.members, value->count, &path->steps[i]);
    }
    return value;
}

const struct fv_value *fv_context_find(const flagver_context *context, const struct fv_path *path)
{
    const struct fv_value *value;

    if (!context)
        return NULL;
    if (path->is_key) {
        value = &context->key;
    } else {
        value = find_step(context->members, context->count, &path->whole);
        if (!value && path->step_count)
            value = find_nested(context, path);
    }
    return value && value->kind != FV_NULL ? value : NULL;
}

flagver_context *fv_context_new(void)
{
    flagver_context *context = fv_allocate_zeroed(NULL, 1, sizeof *context);

    if (context)
        fv_arena_init(&context->building, NULL, ATTRIBUTE_CHUNK);
    return context;
}

void fv_context_free(flagver_context *context)
{
    size_t i;

    if (!context)
        return;
    for (i = 0; i < context->arena_count; i++)
        fv_arena_clear(&context->arenas[i]);
    fv_arena_clear(&context->building);
    fv_release(NULL, context->arenas);
    fv_release(NULL, context->members);
    fv_release(NULL, context->pending);
    fv_release(NULL, context->open);
    fv_release(NULL, context->key_memory);
    fv_release(NULL, context);
}

static void abandon_building(flagver_context *context)
{
    fv_arena_reset(&context->building);
    context->pending_count = 0;
    context->open_count = 0;
}

void fv_context_reset(flagver_context *context)
{
    size_t i;

    abandon_building(context);
    for (i = 0; i < context->count; i++)
        fv_arena_reset(&context->arenas[i]);
    context->count = 0;
    context->key_invalid = false;
    context->key = (struct fv_value){ .kind = FV_NULL };
}

int fv_context_set_key(flagver_context *context, const char *key, size_t length)
{
    char *memory = context->key_memory;

    if (length >= UINT32_MAX)
        return FLAGVER_ENOMEM;
    if (length >= context->key_capacity) {
        memory = fv_allocate(NULL, length + 1);
        if (!memory)
            return FLAGVER_ENOMEM;
    }
    if (length)
        memmove(memory, key, length); /* the key may be the old one */
    memory[length] = 0;

    if (memory != context->key_memory) {
        fv_release(NULL, context->key_memory);
        context->key_memory = memory;
        context->key_capacity = length + 1;
    }
    context->key.kind = FV_STRING;
    context->key.count = (uint32_t)length;
    context->key.as.string = memory;
    context->key_hash = fv_hash(memory, length);
    context->key_invalid = false;
    return 0;
}

/* Room for one more member and its arena. */
static bool make_room(flagver_context *context)
{
    struct fv_arena *arenas;

    if (!fv_grow(NULL, (void **)&context->members, &context->capacity, context->count,
                 sizeof *context->members))
        return false;
    if (context->count < context->arena_count)
        return true;

    arenas = fv_reallocate(NULL, context->arenas, context->capacity * sizeof *arenas);
    if (!arenas)
        return false;
    context->arenas = arenas;
    for (; context->arena_count < context->capacity; context->arena_count++)
        fv_arena_init(&arenas[context->arena_count], NULL, ATTRIBUTE_CHUNK);
    return true;
}

/* Takes over what was built: the new attribute's arena changes places with the old one's. */
static int install(flagver_context *context, const struct fv_member *member)
{
    struct fv_arena built = context->building;
    size_t i;

    for (i = 0; i < context->count; i++)
        if (context->members[i].hash == member->hash &&
            context->members[i].length == member->length &&
            fv_equal(context->members[i].name, member->name, member->length))
            break;
    if (i == context->count && !make_room(context)) {
        abandon_building(context);
        return FLAGVER_ENOMEM;
    }

    context->members[i] = *member;
    context->building = context->arenas[i];
    context->arenas[i] = built;
    if (i == context->count)
        context->count++;
    abandon_building(context);
    return 0;
}

/* A later member of an object takes the place of an earlier one of its name. */
static int add_pending(flagver_context *context, const struct fv_member *member)
{
    const struct fv_open_container *open = &context->open[context->open_count - 1];
    size_t i = context->pending_count;

    if (open->kind == FV_OBJECT) {
        for (i = open->first; i < context->pending_count; i++)
            if (context->pending[i].hash == member->hash &&
                context->pending[i].length == member->length &&
                fv_equal(context->pending[i].name, member->name, member->length))
                break;
    }
    if (i == context->pending_count) {
        if (!fv_grow(NULL, (void **)&context->pending, &context->pending_capacity, i,
                     sizeof *context->pending))
            return FLAGVER_ENOMEM;
        context->pending_count++;
    }
    context->pending[i] = *member;
    return 0;
}

static int add_member(flagver_context *context, const struct fv_member *member)
{
    return context->open_count ? add_pending(context, member) : install(context, member);
}

static bool inside_list(const flagver_context *context)
{
    return context->open_count && context->open[context->open_count - 1].kind == FV_LIST;
}

/* Items of a list have no name; members of an object may have any. */
static bool name_allowed(const flagver_context *context, const char *name, size_t length)
{
    if (context->open_count)
        return inside_list(context) || (name && length <= FV_ATTRIBUTE_NAME_LIMIT);
    return name && length >= 1 && length <= FV_ATTRIBUTE_NAME_LIMIT && !is_key_name(name, length);
}

static bool copy_name(flagver_context *context, const char *name, size_t length,
                      struct fv_path_step *ret_name)
{
    if (inside_list(context)) {
        *ret_name = (struct fv_path_step){ "", 0, 0 };
        return true;
    }
    return step_init(ret_name, &context->building, name, length);
}

int fv_context_set(flagver_context *context, const char *name, size_t length,
                   const struct fv_value *value)
{
    struct fv_path_step step;
    struct fv_member member;

    if (!name_allowed(context, name, length))
        return FLAGVER_EINVAL;
    if (!copy_name(context, name, length, &step))
        return FLAGVER_ENOMEM;

    member = (struct fv_member){ step.name, step.length, step.hash, *value };
    if (value->kind == FV_STRING) {
        member.value.as.string = fv_arena_string(&context->building, value->as.string,
                                                 value->count);
        if (!member.value.as.string) {
            if (!context->open_count)
                abandon_building(context);
            return FLAGVER_ENOMEM;
        }
    }
    return add_member(context, &member);
}

int fv_context_begin(flagver_context *context, const char *name, size_t length, enum fv_kind kind)
{
    struct fv_open_container *open;
    struct fv_path_step step;

    if (!name_allowed(context, name, length) || context->open_count >= FV_CONTEXT_DEPTH)
        return FLAGVER_EINVAL;
    if (!fv_grow(NULL, (void **)&context->open, &context->open_capacity, context->open_count,
                 sizeof *context->open) ||
        !copy_name(context, name, length, &step))
        return FLAGVER_ENOMEM;

    open = &context->open[context->open_count++];
    open->name = step;
    open->kind = kind;
    open->first = context->pending_count;
    return 0;
}

/* The items of a finished container, moved into the building arena. */
static bool close_items(flagver_context *context, const struct fv_open_container *open,
                        struct fv_value *ret_value)
{
    size_t count = context->pending_count - open->first, i;
    const struct fv_member *from;
    struct fv_member *members;
    struct fv_value *items;

    *ret_value = (struct fv_value){ .kind = open->kind, .count = (uint32_t)count };
    if (count == 0)
        return true;
    from = &context->pending[open->first];
    if (open->kind == FV_OBJECT) {
        members = fv_arena_allocate(&context->building, count * sizeof *members);
        if (members)
            memcpy(members, from, count * sizeof *members);
        ret_value->as.members = members;
        return members != NULL;
    }
    items = fv_arena_allocate(&context->building, count * sizeof *items);
    for (i = 0; items && i < count; i++)
        items[i] = from[i].value;
    ret_value->as.items = items;
    return items != NULL;
}

int fv_context_end(flagver_context *context)
{
    struct fv_open_container open;
    struct fv_member member;

    if (!context->open_count)
        return FLAGVER_EINVAL;
    open = context->open[context->open_count - 1];
    if (!close_items(context, &open, &member.value))
        return FLAGVER_ENOMEM;

    member.name = open.name.name;
    member.length = open.name.length;
    member.hash = open.name.hash;
    context->pending_count = open.first;
    context->open_count--;
    return add_member(context, &member);
}
