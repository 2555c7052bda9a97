/*
 * Sorts any number of records by their keys in bounded memory: what does not fit is written, in sorted
 * runs, into a file without a name, and merged.
 */
#ifndef FV_ENGINE_DATASET_SORT_H
#define FV_ENGINE_DATASET_SORT_H

#include "flagver/dataset.h"
#include "util/text.h"

/* Bytes of records that are held in memory, unless a single one is larger; twice as many are taken. */
#define FV_SORTER_MEMORY ((size_t)32 << 20)

struct fv_sorter_run;

struct fv_sorter {
    const char *beside; /* a file; those without a name are made in its folder */
    size_t memory;
    struct fv_text held; /* records, one behind the other */
    size_t *starts;      /* of each in `held` */
    size_t count, room;
    int file; /* with the runs; -1: there is none */
    uint64_t written;
    struct fv_sorter_run *runs;
    size_t run_count, run_room;
    size_t next;                 /* in memory, once sorting has begun */
    struct fv_sorter_run *given; /* whose record was given out last */
};

/* `beside` is borrowed. Tests give less memory than FV_SORTER_MEMORY. */
void fv_sorter_init(struct fv_sorter *sorter, const char *beside, size_t memory);
void fv_sorter_clear(struct fv_sorter *sorter);

/* 0, FLAGVER_EIO, FLAGVER_ENOMEM. */
int fv_sorter_add(struct fv_sorter *sorter, const flagver_dataset_record *record,
                  flagver_error *err);

/*
 * When all were added: 1 and the next one by key, of equal keys that of the lower line; 0 at the
 * end. The record is borrowed until the next call.
 */
int fv_sorter_next(struct fv_sorter *sorter, flagver_dataset_record *ret_record,
                   flagver_error *err);

#endif
