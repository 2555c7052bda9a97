/*
 * Where stores are measured: in memory and on a disk. There is the same store twice, one for the
 * library and one for what it is compared with.
 */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <flagver.h>

struct place {
    const char *name;
    bool waits; /* for a disk, when something is committed */
    char directory[64];
    char ours[96], theirs[96], cache[96], uri[112];
};

#define PLACES 2

/* A directory of its own; there is no store in it yet. 0: in memory, 1: on a disk. */
void place_init(struct place *place, int which);
void place_clear(struct place *place);

/* Ours becomes theirs, too. Nobody has it open. */
void place_share(const struct place *place);

/* `cache` may be NULL. */
flagver_client *place_open(const struct place *place, const char *cache);

/* A transaction by "bench". */
flagver_txn *place_begin(flagver_client *client);
void place_commit(flagver_txn *txn);

/* The bare side has written what the library has, or the comparison is worth nothing. */
void place_compare(const struct place *place);

#endif
