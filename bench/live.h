/*
 * Processes that follow a flag: how long after a change they serve it, and what a client that has
 * nothing to do asks of its server.
 */
#ifndef BENCH_LIVE_H
#define BENCH_LIVE_H

#include <stddef.h>

/*
 * This program once more, as a process that follows the flag of a store, until the other
 * end of its standard input closes: its exit status. It writes to its standard output when it is ready
 * and whenever the flag changes.
 */
int live_follow(const char *uri);

/* Processes that follow, all of them ready. They end with live_stop(), and with this one. */
struct live;

struct live *live_start(const char *uri, size_t count);
void live_stop(struct live *live);

/*
 * Change the flag `flips` times in this process: nanoseconds from before the commit until a
 * process served the new state, one number for each flip and process.
 */
void live_flip(struct live *live, size_t flips, double *samples);

#endif
