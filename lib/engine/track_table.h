/*
 * Sums in memory, by flag, variant, event and hour: those that are being counted, in stripes with a
 * lock each; those that a flush has taken out; and totals of what was flushed.
 *
 * Threads: any number may add; one at a time takes, settles and gives back. Nobody waits longer than for
 * a look into a table.
 */
#ifndef FV_ENGINE_TRACK_TABLE_H
#define FV_ENGINE_TRACK_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "model/sum.h"

#define FV_TRACK_STRIPES 16
#define FV_TRACK_BUCKETS 64

/* What a sum is of; "" for what there is none of. */
struct fv_track_name {
    const char *flag, *variant, *event;
    uint32_t hour; /* since 1970 */
};

struct fv_track_entry {
    struct fv_track_entry *next;
    uint64_t hash;
    struct fv_track_name name; /* texts behind the struct */
    struct fv_sum sum;
};

struct fv_track_stripe {
    pthread_mutex_t lock;
    struct fv_track_entry *buckets[FV_TRACK_BUCKETS];
};

struct fv_track_table {
    const flagver_allocator *memory;
    atomic_size_t count; /* of entries in stripes and taken */
    struct fv_track_stripe stripes[FV_TRACK_STRIPES];
    pthread_mutex_t lock; /* over what follows; before those of stripes */
    struct fv_track_entry *taken;
    size_t taken_count;
    struct fv_track_entry *totals[FV_TRACK_BUCKETS]; /* all in hour 0 */
    size_t total_count;
    struct fv_track_entry *inherited; /* a parent's */
};

void fv_track_table_init(struct fv_track_table *table, const flagver_allocator *memory);
void fv_track_table_clear(struct fv_track_table *table);

/* 0, FLAGVER_ENOMEM, or FLAGVER_EBUSY: there are too many. Nothing is counted then. */
int fv_track_table_add(struct fv_track_table *table, const struct fv_track_name *name,
                       const struct fv_sum_step *step, flagver_error *err);

/*
 * Take all out; they stay as they are until they are settled or given back. Where some were taken
 * before, it is those alone.
 */
struct fv_track_entry *fv_track_table_take(struct fv_track_table *table, size_t *ret_count);
void fv_track_table_settle(struct fv_track_table *table);
void fv_track_table_give_back(struct fv_track_table *table);
void fv_track_table_drop(struct fv_track_table *table);

/* All that was counted, flushed or not, one sum several times; a visit must not count. False ends it. */
bool fv_track_table_visit(struct fv_track_table *table,
                          bool (*visit)(void *data, const struct fv_track_entry *entry),
                          void *data);

/* Around a fork: everything is locked. In the child nothing was counted yet. */
void fv_track_table_before_fork(struct fv_track_table *table);
void fv_track_table_after_fork(struct fv_track_table *table);
void fv_track_table_forked(struct fv_track_table *table);

#endif
