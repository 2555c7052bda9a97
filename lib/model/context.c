#include "model/context.h"

#include <string.h>

#include "util/hash.h"

#define KEY_NAME "targetingKey"
#define KEY_NAME_LENGTH (sizeof KEY_NAME - 1)
#define CONTEXT_CHUNK 128
#define LEFT_BEHIND_LIMIT 4096 /* below it nothing moves */

/* A list or object that is being built. */
struct fv_open_container {
    struct fv_path_step name;
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

static struct fv_path_step step_of(const char *name, size_t length)
{
    return (struct fv_path_step){ name, (uint32_t)length, fv_name_hash(name, length) };
}

int fv_path_init(struct fv_path *path, struct fv_arena *arena, const char *name, size_t length)
{
    size_t dots = count_dots(name, length), i;
    const char *at = name, *end = name + length, *stop;
    struct fv_path_step *steps;

    memset(path, 0, sizeof *path);
    path->is_key = is_key_name(name, length);
    path->whole = step_of(name, length);
    if (!dots)
        return 0;

    steps = fv_arena_allocate(arena, (dots + 1) * sizeof *steps);
    if (!steps)
        return FLAGVER_ENOMEM;
    for (i = 0; i <= dots; i++) {
        stop = memchr(at, '.', (size_t)(end - at));
        if (!stop)
            stop = end;
        steps[i] = step_of(at, (size_t)(stop - at));
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

/* The first hashes tell which of the first members to look at, and mostly that none is worth it. */
static const struct fv_value *find_attribute(const flagver_context *context,
                                             const struct fv_path_step *step)
{
    const struct fv_member *member;
    uint32_t i;

    for (i = 0; i < context->count && i < FV_FIRST_HASHES; i++) {
        if (context->first_hashes[i] != step->hash)
            continue;
        member = &context->members[i];
        if (member->length == step->length && fv_equal(member->name, step->name, step->length))
            return &member->value;
    }
    return i == context->count ? NULL : find_step(context->members + i, context->count - i, step);
}

static const struct fv_value *find_nested(const flagver_context *context,
                                          const struct fv_path *path)
{
    const struct fv_value *value = find_attribute(context, &path->steps[0]);
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
        value = find_attribute(context, &path->whole);
        if (!value && path->step_count)
            value = find_nested(context, path);
    }
    return value && value->kind != FV_NULL ? value : NULL;
}

#define CACHE_LINE 64u

flagver_context *fv_context_new(bool suspect)
{
    unsigned char *block = fv_allocate_zeroed(NULL, 1, sizeof(flagver_context) + CACHE_LINE);
    flagver_context *context;
    size_t skip;

    if (!block)
        return NULL;
    skip = (CACHE_LINE - (uintptr_t)block % CACHE_LINE) % CACHE_LINE;
    if (suspect)
        skip = (skip + FV_SUSPECT_BIT) % CACHE_LINE;
    context = (flagver_context *)(void *)(block + skip);
    context->block = block;
    context->members = context->own_members;
    context->capacity = FV_OWN_MEMBERS;
    fv_arena_init(&context->arena, NULL, CONTEXT_CHUNK);
    return context;
}

void fv_context_free(flagver_context *context)
{
    if (!context)
        return;
    fv_arena_clear(&context->arena);
    if (context->members != context->own_members)
        fv_release(NULL, context->members);
    fv_release(NULL, context->pending);
    fv_release(NULL, context->open);
    fv_release(NULL, context->block);
}

void fv_context_reset(flagver_context *context)
{
    fv_arena_reset(&context->arena);
    context->left_behind = 0;
    context->pending_count = 0;
    context->open_count = 0;
    context->count = 0;
    context->key_invalid = false;
    context->key = (struct fv_value){ .kind = FV_NULL };
}

/* ---- moving to a fresh arena ---- */

static bool copy_value(struct fv_arena *arena, const struct fv_value *from, struct fv_value *to);

static bool copy_items(struct fv_arena *arena, struct fv_value *list)
{
    struct fv_value *items = fv_arena_allocate(arena, list->count * sizeof *items);
    uint32_t i;

    if (!items)
        return false;
    for (i = 0; i < list->count; i++)
        if (!copy_value(arena, &list->as.items[i], &items[i]))
            return false;
    list->as.items = items;
    return true;
}

static bool copy_member(struct fv_arena *arena, const struct fv_member *from, struct fv_member *to)
{
    *to = *from;
    to->name = fv_arena_string(arena, from->name, from->length);
    return to->name && copy_value(arena, &from->value, &to->value);
}

static bool copy_members(struct fv_arena *arena, struct fv_value *object)
{
    struct fv_member *members = fv_arena_allocate(arena, object->count * sizeof *members);
    uint32_t i;

    if (!members)
        return false;
    for (i = 0; i < object->count; i++)
        if (!copy_member(arena, &object->as.members[i], &members[i]))
            return false;
    object->as.members = members;
    return true;
}

/* Recursion is as deep as values nest: FV_CONTEXT_DEPTH. */
static bool copy_value(struct fv_arena *arena, const struct fv_value *from, struct fv_value *to)
{
    *to = *from;
    switch ((enum fv_kind)from->kind) {
    case FV_STRING:
        to->as.string = fv_arena_string(arena, from->as.string, from->count);
        return to->as.string != NULL;
    case FV_LIST:
        return copy_items(arena, to);
    case FV_OBJECT:
        return copy_members(arena, to);
    default:
        return true;
    }
}

/* What a string takes of the arena. */
static size_t string_size(size_t length)
{
    return (length + 1 + 7) & ~(size_t)7;
}

/* What a value takes of the arena, itself not counted. */
static size_t value_size(const struct fv_value *value)
{
    size_t size = 0;
    uint32_t i;

    if (value->kind == FV_STRING)
        size = string_size(value->count);
    for (i = 0; value->kind == FV_LIST && i < value->count; i++)
        size += sizeof *value + value_size(&value->as.items[i]);
    for (i = 0; value->kind == FV_OBJECT && i < value->count; i++)
        size += sizeof(struct fv_member) + string_size(value->as.members[i].length) +
                value_size(&value->as.members[i].value);
    return size;
}

static bool copy_all(const flagver_context *context, struct fv_arena *arena, struct fv_value *key,
                     struct fv_member *members)
{
    size_t i;

    if (!copy_value(arena, &context->key, key))
        return false;
    for (i = 0; i < context->count; i++)
        if (!copy_member(arena, &context->members[i], &members[i]))
            return false;
    return true;
}

/* Without memory for the move everything stays where it is. */
static void move(flagver_context *context)
{
    struct fv_member *members = fv_allocate(NULL, context->count * sizeof *members);
    struct fv_arena arena;
    struct fv_value key;

    fv_arena_init(&arena, NULL, CONTEXT_CHUNK);
    if (!members || !copy_all(context, &arena, &key, members)) {
        fv_arena_clear(&arena);
        fv_release(NULL, members);
        return;
    }
    fv_arena_clear(&context->arena);
    context->arena = arena;
    if (context->count)
        memcpy(context->members, members, context->count * sizeof *members);
    fv_release(NULL, members);
    context->key = key;
    context->left_behind = 0;
}

/* Something in the arena is in use no more. */
static void leave_behind(flagver_context *context, size_t size)
{
    context->left_behind += size;
    if (context->left_behind > LEFT_BEHIND_LIMIT &&
        context->left_behind > context->arena.total / 2 && !context->open_count)
        move(context);
}

/* ---- setting ---- */

int fv_context_set_key(flagver_context *context, const char *key, size_t length)
{
    size_t old = value_size(&context->key);
    char *copy = length < UINT32_MAX ? fv_arena_string(&context->arena, key, length) : NULL;

    if (!copy)
        return FLAGVER_ENOMEM;
    context->key.kind = FV_STRING;
    context->key.count = (uint32_t)length;
    context->key.as.string = copy;
    context->key_hash = fv_hash(copy, length);
    context->key_invalid = false;
    leave_behind(context, old);
    return 0;
}

static struct fv_member *find_member(struct fv_member *members, size_t first, size_t count,
                                     const struct fv_member *like)
{
    size_t i;

    for (i = first; i < count; i++)
        if (members[i].hash == like->hash && members[i].length == like->length &&
            fv_equal(members[i].name, like->name, like->length))
            return &members[i];
    return NULL;
}

/* Whoever has more attributes than a context holds by itself may have many. */
static bool grow_members(flagver_context *context)
{
    bool own = context->members == context->own_members;
    size_t capacity = context->capacity * 4;
    struct fv_member *members;

    if (capacity > UINT32_MAX || capacity > SIZE_MAX / sizeof *members)
        return false;
    members = fv_reallocate(NULL, own ? NULL : context->members, capacity * sizeof *members);
    if (!members)
        return false;
    if (own)
        memcpy(members, context->own_members, sizeof context->own_members);
    context->members = members;
    context->capacity = capacity;
    return true;
}

/* Takes the place of the attribute of that name, or the next one. */
static int install(flagver_context *context, const struct fv_member *member)
{
    struct fv_member *there = context->names_differ
                                  ? NULL
                                  : find_member(context->members, 0, context->count, member);
    size_t old;

    if (there) {
        old = string_size(there->length) + value_size(&there->value);
        *there = *member;
        leave_behind(context, old);
        return 0;
    }
    if (context->count == context->capacity && !grow_members(context))
        return FLAGVER_ENOMEM;
    if (context->count < FV_FIRST_HASHES)
        context->first_hashes[context->count] = member->hash;
    context->members[context->count++] = *member;
    return 0;
}

/* A later member of an object takes the place of an earlier one of its name. */
static int add_pending(flagver_context *context, const struct fv_member *member)
{
    const struct fv_open_container *open = &context->open[context->open_count - 1];
    struct fv_member *there = NULL;

    if (open->kind == FV_OBJECT && !context->names_differ)
        there = find_member(context->pending, open->first, context->pending_count, member);
    if (there) {
        context->left_behind += string_size(there->length) + value_size(&there->value);
    } else {
        if (!fv_grow(NULL, (void **)&context->pending, &context->pending_capacity,
                     context->pending_count, sizeof *context->pending))
            return FLAGVER_ENOMEM;
        there = &context->pending[context->pending_count++];
    }
    *there = *member;
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
    return step_init(ret_name, &context->arena, name, length);
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
        member.value.as.string = fv_arena_string(&context->arena, value->as.string, value->count);
        if (!member.value.as.string)
            return FLAGVER_ENOMEM;
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

/* The items of a finished container, moved into the arena. */
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
        members = fv_arena_allocate(&context->arena, count * sizeof *members);
        if (members)
            memcpy(members, from, count * sizeof *members);
        ret_value->as.members = members;
        return members != NULL;
    }
    items = fv_arena_allocate(&context->arena, count * sizeof *items);
    for (i = 0; items && i < count; i++)
        items[i] = from[i].value;
    ret_value->as.items = items;
    return items != NULL;
}

int fv_context_end(flagver_context *context)
{
    size_t pending = context->pending_count;
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
    if (add_member(context, &member) < 0) {
        context->pending_count = pending; /* nothing was overwritten: it is still open */
        context->open_count++;
        return FLAGVER_ENOMEM;
    }
    return 0;
}
