/* Two threads against one: nothing may be shared that slows both down. */
#define _GNU_SOURCE

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "report.h"
#include "work.h"

#define LANES 2
#define ROUNDS 7                /* they are long */
#define PUBLISH_EVERY 100000000 /* nanoseconds */

/* Threads that run the same loop for a while, each on its own core with its own users. */
struct race {
    struct fixture fixture;
    struct users *users[LANES];
    struct work *work[LANES];
    int64_t slice;
    unsigned turn; /* of the published change */
    atomic_bool stop;
    pthread_barrier_t start;
};

struct lane {
    struct race *race;
    int number;
    pass_function *pass;
    pthread_t thread;
    double rate; /* evaluations in a second */
};

/* Where the machine has only one core, both threads share it and the figures say so. */
static void pin_to_core(int number)
{
    cpu_set_t allowed, one;
    size_t core;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, &allowed) && number-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            pthread_setaffinity_np(pthread_self(), sizeof one, &one);
            return;
        }
    }
}

/*
 * Nanoseconds that this thread was ready to run and another process had its
 * core. They say nothing about the library; waiting for a lock is not among them.
 */
static int64_t time_without_core(void)
{
    FILE *file = fopen("/proc/thread-self/schedstat", "r");
    long long waited = 0;

    if (file) {
        if (fscanf(file, "%*u %lld", &waited) != 1)
            waited = 0;
        fclose(file);
    }
    return waited;
}

static void *run_lane(void *data)
{
    struct lane *lane = data;
    const struct work *work = lane->race->work[lane->number];
    uint64_t sum, passes = 0;
    int64_t start, waited, elapsed;

    pin_to_core(lane->number);
    sum = lane->pass(work, 0);
    pthread_barrier_wait(&lane->race->start);

    waited = time_without_core();
    start = bench_now();
    while (!atomic_load_explicit(&lane->race->stop, memory_order_relaxed)) {
        sum += lane->pass(work, (size_t)passes % work->keys);
        passes++;
    }
    elapsed = bench_now() - start - (time_without_core() - waited);
    lane->rate = (double)passes * BENCH_USERS * 1e9 / (double)elapsed;
    bench_sink = sum;
    return NULL;
}

static void sleep_for(int64_t nanoseconds)
{
    struct timespec time = { nanoseconds / 1000000000, nanoseconds % 1000000000 };

    nanosleep(&time, NULL);
}

static void publish(struct race *race)
{
    flagver_error err;
    char json[128];
    size_t length;

    length = plan_change(0, race->turn++, json, sizeof json);
    bench_must(flagver_client_merge(race->fixture.client, json, length, &err), err.message);
}

static void pass_time(struct race *race, bool publishing)
{
    int64_t left;

    if (!publishing) {
        sleep_for(race->slice);
        return;
    }
    for (left = race->slice; left > 0; left -= PUBLISH_EVERY) {
        sleep_for(left < PUBLISH_EVERY ? left : PUBLISH_EVERY);
        publish(race);
    }
}

/* The threads first … last run; evaluations in a second, all together. */
static double run_race(struct race *race, pass_function *pass, int first, int last, bool publishing)
{
    struct lane lanes[LANES];
    double rate = 0;
    int i;

    atomic_store(&race->stop, false);
    pthread_barrier_init(&race->start, NULL, (unsigned)(last - first + 2));
    for (i = first; i <= last; i++) {
        lanes[i] = (struct lane){ .race = race, .number = i, .pass = pass };
        if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) != 0)
            bench_die("no thread");
    }

    pthread_barrier_wait(&race->start);
    pass_time(race, publishing);
    atomic_store(&race->stop, true);
    for (i = first; i <= last; i++) {
        pthread_join(lanes[i].thread, NULL);
        rate += lanes[i].rate;
    }
    pthread_barrier_destroy(&race->start);
    return rate;
}

/* How many times as much two threads do as one, round by round. */
struct gains {
    double *library, *publishing, *bare;
};

static void run_round(struct race *race, int round, struct gains *gains)
{
    const int alone = round % LANES;
    double one;

    one = run_race(race, pass_bool, alone, alone, false);
    gains->library[round] = run_race(race, pass_bool, 0, LANES - 1, false) / one;
    gains->publishing[round] = run_race(race, pass_bool, 0, LANES - 1, true) / one;
    one = run_race(race, pass_bare_static, alone, alone, false);
    gains->bare[round] = run_race(race, pass_bare_static, 0, LANES - 1, false) / one;
}

static void report_gain(struct report *report, const char *what, const char *how, double asked,
                        const struct bench_stats *library, const struct bench_stats *bare)
{
    const struct row row = { .id = "T",
                             .what = what,
                             .how = how,
                             .unit = "times",
                             .library = *library,
                             .other = *bare,
                             .result = library->median,
                             .asked = asked,
                             .least = true };

    report_row(report, &row);
}

static void measure(const struct bench_options *options, struct race *race, bool hot)
{
    const size_t count = options->rounds < ROUNDS ? (size_t)options->rounds : ROUNDS;
    double samples[3][ROUNDS];
    struct gains gains = { samples[0], samples[1], samples[2] };
    const char *how = hot ? "hot key" : "random keys";
    struct bench_stats library, publishing, bare;
    int i;

    for (i = 0; i < LANES; i++)
        work_use_keys(race->work[i], BARE_STATIC, hot);
    for (i = 0; i < (int)count; i++)
        run_round(race, i, &gains);

    library = bench_summary(gains.library, count);
    publishing = bench_summary(gains.publishing, count);
    bare = bench_summary(gains.bare, count);
    report_gain(options->report, "W1", how, 1.9, &library, &bare);
    report_gain(options->report, "W1, 10 changes a second", how, 1.8, &publishing, &bare);
}

/* The first flag is the one that changes; nobody asks for it. */
static const enum bare_kind pattern[BENCH_FLAGS] = { BARE_PERCENTAGE };

void bench_threads(const struct bench_options *options)
{
    const struct plan plan = { .count = BENCH_FLAGS, .pattern = pattern, .period = BENCH_FLAGS };
    struct race *race = bench_allocate(1, sizeof *race);
    int lane;

    fixture_init(&race->fixture, &plan);
    race->slice = options->slice;
    for (lane = 0; lane < LANES; lane++) {
        race->users[lane] = users_new();
        race->work[lane] = work_new(&race->fixture, race->users[lane], 0);
    }

    report_group(options->report, "Two threads: how many times as much as one", "bare", "times");
    measure(options, race, true);
    measure(options, race, false);

    for (lane = 0; lane < LANES; lane++) {
        work_free(race->work[lane]);
        users_free(race->users[lane]);
    }
    fixture_clear(&race->fixture);
    free(race);
}
