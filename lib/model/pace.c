#include "model/pace.h"

#define WINDOW 10000000
#define SECOND 1000000.0

/* ---- chunks ---- */

static uint32_t within(double rows, uint32_t most)
{
    if (rows < 1)
        return 1;
    return rows > most ? most : (uint32_t)rows;
}

/* What took no time that a clock can tell counts as a microsecond. */
uint32_t fv_pace_rows(const struct fv_pace *pace, uint32_t asked, uint64_t found, int64_t took)
{
    double fits = (double)found * (double)pace->chunk / (double)(took > 0 ? took : 1);
    uint32_t most = asked > FV_PACE_MOST / 2 ? FV_PACE_MOST : asked * 2;

    if (took < pace->chunk && found < asked)
        return asked; /* the table ended: that says nothing of a full chunk */
    return within(fits, most);
}

uint32_t fv_pace_fewer(uint32_t asked)
{
    return asked > 1 ? asked / 2 : 1;
}

int64_t fv_pace_rest(const struct fv_pace *pace, int64_t took)
{
    return took > 0 ? took * (100 - pace->share) / pace->share : 0;
}

/* ---- headway ---- */

struct fv_headway fv_headway_begin(int64_t now)
{
    return (struct fv_headway){ .began = now, .last = now, .marks = { { now, 0 }, { now, 0 } } };
}

void fv_headway_add(struct fv_headway *headway, uint64_t records, int64_t now)
{
    headway->records += records;
    headway->last = now;
    if (now - headway->marks[1].at < WINDOW)
        return;
    headway->marks[0] = headway->marks[1];
    headway->marks[1].at = now;
    headway->marks[1].records = headway->records;
}

double fv_headway_rate(const struct fv_headway *headway, int64_t now)
{
    int64_t from = headway->done ? headway->began : headway->marks[0].at;
    int64_t to = headway->done ? headway->last : now;
    uint64_t before = headway->done ? 0 : headway->marks[0].records;

    return to > from ? (double)(headway->records - before) / ((double)(to - from) / SECOND) : 0;
}

int64_t fv_headway_left(const struct fv_headway *headway, int64_t now)
{
    double rate = fv_headway_rate(headway, now);

    if (headway->done)
        return 0;
    if (headway->total == 0 || rate <= 0)
        return -1;
    return headway->total > headway->records
               ? (int64_t)((double)(headway->total - headway->records) / rate * SECOND)
               : 0;
}
