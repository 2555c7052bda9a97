/*
 * What every measurement needs: a clock, an order that looks random, statistics,
 * and two things measured in turns.
 *
 * The benchmark is a client like any other: it sees the public headers and
 * nothing else of the library.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct report;

struct bench_options {
    int rounds;       /* each gives one number for the library and one for the bare loop */
    int passes;       /* over all users, in one round */
    int64_t slice;    /* nanoseconds that threads run in one round */
    int merges;       /* changed flags that are published one after the other */
    const char *only; /* run what has this in its name; NULL: everything */
    struct report *report;
};

/* Is this measurement asked for? */
bool bench_wanted(const struct bench_options *options, const char *name);

/* The parts; main() calls them one after the other. */
void bench_evaluation(const struct bench_options *options);
void bench_threads(const struct bench_options *options);
void bench_loading(const struct bench_options *options);
void bench_memory(const struct bench_options *options);
void bench_store(const struct bench_options *options);
void bench_versions(const struct bench_options *options);
void bench_postgres(const struct bench_options *options);
void bench_route(const struct bench_options *options);
void bench_moving(const struct bench_options *options);

/* Ends the program: a benchmark that went wrong has no numbers. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a call that returned a negative code with these words. */
void bench_must(int code, const char *message);

/* Zeroed; never NULL. */
void *bench_allocate(size_t count, size_t size);

/* Nanoseconds of a clock that only goes forward. */
int64_t bench_now(void);

/* The next number of a fixed sequence; the same in every run. */
uint64_t bench_random(uint64_t *state);

/* Puts 0 … count-1 into a random order. */
void bench_shuffle(size_t *order, size_t count, uint64_t *state);

/* Results go here, so that no compiler leaves out the work that made them. */
extern volatile uint64_t bench_sink;

struct bench_stats {
    double median, min, max;
};

/* Sorts the samples. */
struct bench_stats bench_summary(double *samples, size_t count);

/* Something to be timed. */
struct bench_task {
    void (*run)(void *data);
    void *data;
};

/*
 * Runs two tasks in turns, once each to warm up and then `rounds` times. The
 * results are nanoseconds per run, divided by `operations`: of this thread's
 * processor time, so that it matters less what else the machine is doing.
 */
void bench_turns(const struct bench_task *library, const struct bench_task *other, int rounds,
                 double operations, struct bench_stats *ret_library, struct bench_stats *ret_other);

/* The same by the clock on the wall, for what waits for a disk. */
void bench_wall_turns(const struct bench_task *library, const struct bench_task *other, int rounds,
                      double operations, struct bench_stats *ret_library,
                      struct bench_stats *ret_other);

#endif
