/*
 * How many different values there are, and which come most often, in bounded memory.
 *
 * Distinct values: the FV_TALLY_HASHES smallest hashes are kept; how far up they reach tells how
 * many there must be. Frequent values: the counters of Metwally, Agrawal and El Abbadi's
 * "space saving": a value that has none takes over the smallest counter with its count.
 */
#ifndef FV_MODEL_TALLY_H
#define FV_MODEL_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FV_TALLY_HASHES 1024u
#define FV_TALLY_COUNTERS 32u
#define FV_TALLY_TEXT 64u

struct fv_tally_counter {
    uint64_t hash, count, uncertain; /* `count` is too large by at most `uncertain` */
    char text[FV_TALLY_TEXT + 1];    /* the beginning of the value */
};

/* Zero is an empty one. */
struct fv_tally {
    uint64_t *hashes; /* the smallest, rising */
    size_t hash_count, hash_room;
    struct fv_tally_counter *counters;
    size_t counter_count, counter_room;
};

void fv_tally_clear(struct fv_tally *tally);

/*
 * Count one value. `hash` is uniform over 64 bits and the same for the same value; `text` is UTF-8,
 * and cut between characters. False: memory is short, and nothing has changed.
 */
bool fv_tally_add(struct fv_tally *tally, uint64_t hash, const char *text, size_t length);

/* Exact below FV_TALLY_HASHES. */
uint64_t fv_tally_distinct(const struct fv_tally *tally);

/*
 * Up to `limit` of those that come at least twice and `least` times for certain, the most frequent
 * first. Puts the counters into another order.
 */
size_t fv_tally_top(struct fv_tally *tally, uint64_t least, size_t limit,
                    const struct fv_tally_counter **ret_top);

#endif
