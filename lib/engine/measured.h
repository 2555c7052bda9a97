/*
 * Which flags of a snapshot an event measures: those whose metadata name it.
 */
#ifndef FV_ENGINE_MEASURED_H
#define FV_ENGINE_MEASURED_H

#include "engine/snapshot.h"

struct fv_measured {
    struct fv_map events;
    uint32_t *first; /* by number of the event, and one more: where its slots begin */
    uint32_t *slots;
};

/*
 * Made when it is asked for first, and kept with the snapshot. Threads: any number at once.
 *
 * @return NULL when memory is short
 */
const struct fv_measured *fv_measured_of(flagver_snapshot *snapshot);

void fv_measured_free(struct fv_measured *measured,
                      const flagver_allocator *memory); /* NULL: fine */

#endif
