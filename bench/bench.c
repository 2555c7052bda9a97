#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

volatile uint64_t bench_sink;

bool bench_wanted(const struct bench_options *options, const char *name)
{
    return !options->only || strstr(name, options->only) != NULL;
}

void bench_die(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("bench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void bench_must(int code, const char *message)
{
    if (code < 0)
        bench_die("%s", message);
}

void *bench_allocate(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);

    if (!block)
        bench_die("out of memory");
    return block;
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Sebastiano Vigna's splitmix64 (public domain). */
uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void bench_shuffle(size_t *order, size_t count, uint64_t *state)
{
    size_t i, j, swap;

    for (i = 0; i < count; i++)
        order[i] = i;
    for (i = count; i > 1; i--) {
        j = (size_t)(bench_random(state) % i);
        swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct bench_stats bench_summary(double *samples, size_t count)
{
    struct bench_stats stats;

    qsort(samples, count, sizeof *samples, compare_doubles);
    stats.min = samples[0];
    stats.max = samples[count - 1];
    stats.median = (samples[(count - 1) / 2] + samples[count / 2]) / 2;
    return stats;
}

static double time_task(clockid_t clock, const struct bench_task *task, double operations)
{
    int64_t start = read_clock(clock);

    task->run(task->data);
    return (double)(read_clock(clock) - start) / operations;
}

static void take_turns(clockid_t clock, const struct bench_task *library,
                       const struct bench_task *other, int rounds, double operations,
                       struct bench_stats *ret_library, struct bench_stats *ret_other)
{
    const size_t count = (size_t)rounds;
    double *ours = bench_allocate(count, sizeof *ours);
    double *theirs = bench_allocate(count, sizeof *theirs);
    size_t i;

    library->run(library->data);
    other->run(other->data);
    for (i = 0; i < count; i++) {
        ours[i] = time_task(clock, library, operations);
        theirs[i] = time_task(clock, other, operations);
    }

    *ret_library = bench_summary(ours, count);
    *ret_other = bench_summary(theirs, count);
    free(ours);
    free(theirs);
}

void bench_turns(const struct bench_task *library, const struct bench_task *other, int rounds,
                 double operations, struct bench_stats *ret_library, struct bench_stats *ret_other)
{
    take_turns(CLOCK_THREAD_CPUTIME_ID, library, other, rounds, operations, ret_library, ret_other);
}

void bench_wall_turns(const struct bench_task *library, const struct bench_task *other, int rounds,
                      double operations, struct bench_stats *ret_library,
                      struct bench_stats *ret_other)
{
    take_turns(CLOCK_MONOTONIC, library, other, rounds, operations, ret_library, ret_other);
}
