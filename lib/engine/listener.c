#include "engine/listener.h"

#include <string.h>

#include "util/fail.h"

struct fv_change_listener {
    int id;
    void (*changed)(void *data, const char *const *keys, size_t count);
    void *data;
    int calls; /* under way */
    bool removed;
    struct fv_change_listener *next;
};

/* The calls that this thread is inside of: one may take its own listener off. */
struct frame {
    const struct fv_change_listener *listener;
    const struct frame *outer;
};

static _Thread_local const struct frame *frames;

static int own_calls(const struct fv_change_listener *listener)
{
    const struct frame *frame;
    int calls = 0;

    for (frame = frames; frame; frame = frame->outer)
        calls += frame->listener == listener;
    return calls;
}

void fv_listeners_init(struct fv_listeners *listeners, const flagver_allocator *memory)
{
    *listeners = (struct fv_listeners){ .memory = memory };
    pthread_mutex_init(&listeners->lock, NULL);
    pthread_cond_init(&listeners->returned, NULL);
}

void fv_listeners_forked(struct fv_listeners *listeners)
{
    struct fv_change_listener *listener;

    pthread_mutex_init(&listeners->lock, NULL);
    pthread_cond_init(&listeners->returned, NULL);
    for (listener = listeners->first; listener; listener = listener->next)
        listener->calls = 0;
}

void fv_listeners_clear(struct fv_listeners *listeners)
{
    struct fv_change_listener *listener = listeners->first, *next;

    for (; listener; listener = next) {
        next = listener->next;
        fv_release(listeners->memory, listener);
    }
    pthread_mutex_destroy(&listeners->lock);
    pthread_cond_destroy(&listeners->returned);
}

bool fv_listeners_any(struct fv_listeners *listeners)
{
    bool any;

    pthread_mutex_lock(&listeners->lock);
    any = listeners->first != NULL;
    pthread_mutex_unlock(&listeners->lock);
    return any;
}

int fv_listeners_add(struct fv_listeners *listeners,
                     void (*changed)(void *data, const char *const *keys, size_t count), void *data,
                     flagver_error *err)
{
    struct fv_change_listener *listener = fv_allocate_zeroed(listeners->memory, 1,
                                                             sizeof *listener);
    struct fv_change_listener **at;
    int id;

    if (!listener)
        return fv_fail_memory(err);
    listener->changed = changed;
    listener->data = data;
    pthread_mutex_lock(&listeners->lock);
    listener->id = id = ++listeners->last_id;
    for (at = &listeners->first; *at; at = &(*at)->next)
        ;
    *at = listener;
    pthread_mutex_unlock(&listeners->lock);
    return id;
}

static struct fv_change_listener **find(struct fv_listeners *listeners, int id)
{
    struct fv_change_listener **at = &listeners->first;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* Frees the listener if nobody is inside it and nobody is to come. */
static void sweep(struct fv_listeners *listeners, int id)
{
    struct fv_change_listener **at = find(listeners, id), *gone = *at;

    if (!gone || !gone->removed || gone->calls)
        return;
    *at = gone->next;
    fv_release(listeners->memory, gone);
    pthread_cond_broadcast(&listeners->returned);
}

void fv_listeners_remove(struct fv_listeners *listeners, int id)
{
    struct fv_change_listener *listener;

    pthread_mutex_lock(&listeners->lock);
    listener = *find(listeners, id);
    if (listener)
        listener->removed = true;
    sweep(listeners, id);
    while ((listener = *find(listeners, id)) && listener->calls > own_calls(listener))
        pthread_cond_wait(&listeners->returned, &listeners->lock);
    pthread_mutex_unlock(&listeners->lock);
}

/* ---- what is different ---- */

/* Marks by slot: is the answer of this flag, is this segment another one? */
struct difference {
    const struct fv_world *before, *after;
    uint32_t flag_count, segment_count;
    bool *flags, *segments;
};

static bool any_marked(const struct difference *difference, const struct fv_reference *refs,
                       uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++)
        if (refs[i].to_flag ? difference->flags[refs[i].slot] : difference->segments[refs[i].slot])
            return true;
    return false;
}

/* Marks what refers to something marked; true when there was such a thing. */
static bool spread(struct difference *difference)
{
    const struct fv_segment *segment;
    const struct fv_flag *flag;
    bool more = false;
    uint32_t i;

    for (i = 0; i < difference->segment_count; i++) {
        segment = fv_world_segment(difference->after, i);
        if (segment && !difference->segments[i] &&
            any_marked(difference, segment->refs, segment->ref_count))
            more = difference->segments[i] = true;
    }
    for (i = 0; i < difference->flag_count; i++) {
        flag = fv_world_flag(difference->after, i);
        if (flag && !difference->flags[i] && flag->body->plan &&
            any_marked(difference, flag->body->plan->refs, flag->body->plan->ref_count))
            more = difference->flags[i] = true;
    }
    return more;
}

static void mark(struct difference *difference)
{
    uint32_t i;

    for (i = 0; i < difference->flag_count; i++)
        difference->flags[i] = fv_world_flag(difference->before, i) !=
                               fv_world_flag(difference->after, i);
    for (i = 0; i < difference->segment_count; i++)
        difference->segments[i] = fv_world_segment(difference->before, i) !=
                                  fv_world_segment(difference->after, i);
    while (spread(difference))
        ;
}

static size_t collect(const struct difference *difference, const char **keys)
{
    const struct fv_flag *flag;
    size_t count = 0;
    uint32_t i;

    for (i = 0; i < difference->flag_count; i++) {
        if (!difference->flags[i])
            continue;
        flag = fv_world_flag(difference->after, i);
        keys[count++] = flag ? flag->key : fv_world_flag(difference->before, i)->key;
    }
    return count;
}

const char **fv_changed_keys(const flagver_allocator *memory, const flagver_snapshot *before,
                             const flagver_snapshot *after, size_t *ret_count)
{
    struct difference difference = { &before->world, &after->world,
                                     .flag_count = before->world.flag_count,
                                     .segment_count = before->world.segment_count };
    const char **keys;

    *ret_count = 0;
    if (difference.flag_count < after->world.flag_count)
        difference.flag_count = after->world.flag_count;
    if (difference.segment_count < after->world.segment_count)
        difference.segment_count = after->world.segment_count;
    difference.flags = fv_allocate(memory, difference.flag_count);
    difference.segments = fv_allocate(memory, difference.segment_count);
    keys = fv_allocate(memory, (size_t)difference.flag_count * sizeof *keys);

    if (difference.flags && difference.segments && keys) {
        mark(&difference);
        *ret_count = collect(&difference, keys);
    } else {
        fv_release(memory, keys);
        keys = NULL;
    }
    fv_release(memory, difference.flags);
    fv_release(memory, difference.segments);
    return keys;
}

/* ---- telling ---- */

/* The listener behind this one (0: the first) that is still wanted, entered; NULL: no more. */
static struct fv_change_listener *enter_next(struct fv_listeners *listeners, int id)
{
    struct fv_change_listener *listener;

    pthread_mutex_lock(&listeners->lock);
    for (listener = listeners->first; listener; listener = listener->next)
        if (listener->id > id && !listener->removed)
            break;
    if (listener)
        listener->calls++;
    pthread_mutex_unlock(&listeners->lock);
    return listener;
}

static void leave(struct fv_listeners *listeners, struct fv_change_listener *listener)
{
    pthread_mutex_lock(&listeners->lock);
    listener->calls--;
    pthread_cond_broadcast(&listeners->returned);
    sweep(listeners, listener->id);
    pthread_mutex_unlock(&listeners->lock);
}

static void tell_all(struct fv_listeners *listeners, const char *const *keys, size_t count)
{
    struct fv_change_listener *listener;
    struct frame frame;
    int id = 0;

    while ((listener = enter_next(listeners, id))) {
        frame = (struct frame){ listener, frames };
        frames = &frame;
        id = listener->id;
        listener->changed(listener->data, keys, count);
        frames = frame.outer;
        leave(listeners, listener);
    }
}

void fv_listeners_tell(struct fv_listeners *listeners, const flagver_snapshot *before,
                       const flagver_snapshot *after)
{
    size_t count;
    const char **keys = fv_changed_keys(listeners->memory, before, after, &count);

    /* Without memory for the keys: no keys, but a call. */
    if (count || !keys)
        tell_all(listeners, keys, count);
    fv_release(listeners->memory, keys);
}
