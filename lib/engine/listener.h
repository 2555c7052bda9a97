/*
 * Who wants to be told when flags change, and what has changed from one snapshot
 * to the next.
 */
#ifndef FV_ENGINE_LISTENER_H
#define FV_ENGINE_LISTENER_H

#include <pthread.h>

#include "engine/snapshot.h"

struct fv_listeners {
    pthread_mutex_t lock;
    pthread_cond_t returned; /* a call of somebody's has */
    struct fv_change_listener *first;
    int last_id;
    const flagver_allocator *memory;
};

void fv_listeners_init(struct fv_listeners *listeners, const flagver_allocator *memory);
void fv_listeners_clear(struct fv_listeners *listeners);
bool fv_listeners_any(struct fv_listeners *listeners);

/* As flagver_client_listen() and flagver_client_unlisten(). */
int fv_listeners_add(struct fv_listeners *listeners,
                     void (*changed)(void *data, const char *const *keys, size_t count), void *data,
                     flagver_error *err);
void fv_listeners_remove(struct fv_listeners *listeners, int id);

/*
 * The keys of flags that may answer differently in `after`, which is of the same catalog as `before`;
 * freed with fv_release(), borrowed from the two. NULL: memory is short.
 */
const char **fv_changed_keys(const flagver_allocator *memory, const flagver_snapshot *before,
                             const flagver_snapshot *after, size_t *ret_count);

/* Tell all of them what is different in `after`; no lock of the client may be held. */
void fv_listeners_tell(struct fv_listeners *listeners, const flagver_snapshot *before,
                       const flagver_snapshot *after);

/* In the child of a fork: no other thread is inside any more. */
void fv_listeners_forked(struct fv_listeners *listeners);

#endif
