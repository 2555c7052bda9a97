/*
 * How fast a copy goes, and how far it has come. Times are microseconds.
 */
#ifndef FV_MODEL_PACE_H
#define FV_MODEL_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* ---- chunks ---- */

#define FV_PACE_FIRST 500u /* records, before it is known how long they take */
#define FV_PACE_MOST 5000u

/* What a copy is allowed. */
struct fv_pace {
    int64_t chunk; /* about so long should one take */
    int share;     /* of the time, in percent: 1 to 100 */
};

/*
 * So many records make up the next chunk, after one of `asked` records that has brought `found` of
 * them and taken so long. Slower than it should be: at once as few as fit; faster: twice as many at
 * most, as the next ones may be larger.
 */
uint32_t fv_pace_rows(const struct fv_pace *pace, uint32_t asked, uint64_t found, int64_t took);

/* The same after one that has failed: a record that spoils it for all others is alone in the end. */
uint32_t fv_pace_fewer(uint32_t asked);

/* So long the copy rests after a chunk. */
int64_t fv_pace_rest(const struct fv_pace *pace, int64_t took);

/* ---- headway ---- */

/* `marks` are what had been copied when; the first is the older one. */
struct fv_headway {
    uint64_t records, total; /* total: about how many there are, 0: not known */
    int64_t began, last;     /* last: when something was copied */
    bool done;
    struct {
        int64_t at;
        uint64_t records;
    } marks[2];
};

struct fv_headway fv_headway_begin(int64_t now);
void fv_headway_add(struct fv_headway *headway, uint64_t records, int64_t now);

/* Records a second: over the last 10 to 20 seconds, or of the whole when it is done. */
double fv_headway_rate(const struct fv_headway *headway, int64_t now);

/* So long it takes yet, at this rate; -1: not known. */
int64_t fv_headway_left(const struct fv_headway *headway, int64_t now);

#endif
