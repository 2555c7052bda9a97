#define _POSIX_C_SOURCE 200809L

#include "live.h"

#include <flagver.h>

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define FLAG "flipped"
#define PATIENCE_MS 30000 /* with processes that say nothing */

/* What a process says: the flag is `on`, and since when. */
struct word {
    int64_t time;
    int64_t on;
};

static flagver_client *open_store(const char *uri, bool background)
{
    const flagver_options options = { .size = sizeof options, .background = background };
    flagver_client *client = NULL;
    flagver_error err;

    bench_must(flagver_open(uri, &options, &client, &err), err.message);
    return client;
}

/* ------------------------------------------------------------------------
 * Following
 */

static void tell(void *data, const char *const *keys, size_t count)
{
    const struct word word = { bench_now(), flagver_flag_bool(data, FLAG, NULL, false) };

    (void)keys;
    (void)count;
    if (write(STDOUT_FILENO, &word, sizeof word) != (ssize_t)sizeof word)
        bench_die("nobody listens");
}

int live_follow(const char *uri)
{
    flagver_client *client = open_store(uri, true);
    flagver_error err;
    char byte;

    bench_must(flagver_client_listen(client, tell, client, &err), err.message);
    tell(client, NULL, 0);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    flagver_close(client);
    return 0;
}

/* ------------------------------------------------------------------------
 * Being followed
 */

struct live {
    flagver_client *client;
    size_t count;
    pid_t *processes;
    int words; /* what they say */
    int life;  /* while this is open they go on */
    bool on;
};

/* Both ends of a pipe, above what a program is given. */
static void make_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        bench_die("no pipe can be made");
}

static pid_t start_process(const char *uri, const int life[2], const int words[2])
{
    char option[] = "--follow", name[] = "bench";
    char *copy = strdup(uri);
    char *const arguments[] = { name, option, copy, NULL };
    pid_t process = fork();

    if (process < 0)
        bench_die("no process can be started");
    if (process == 0) {
        dup2(life[0], STDIN_FILENO);
        dup2(words[1], STDOUT_FILENO);
        close(life[0]);
        close(life[1]); /* or it would never end */
        close(words[0]);
        close(words[1]);
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    free(copy);
    return process;
}

/* One word of each; their times go to `times`, which may be NULL. */
static void hear_all(const struct live *live, int64_t *times)
{
    struct pollfd words = { .fd = live->words, .events = POLLIN };
    struct word word;
    size_t i;

    for (i = 0; i < live->count; i++) {
        if (poll(&words, 1, PATIENCE_MS) != 1 ||
            read(live->words, &word, sizeof word) != (ssize_t)sizeof word)
            bench_die("%zu of %zu processes have seen the flag change", i, live->count);
        if (word.on != live->on)
            bench_die("a process has seen the flag change twice");
        if (times)
            times[i] = word.time;
    }
}

static void put_flag(flagver_txn *txn, bool on)
{
    const char *json = on ? "{\"type\":\"boolean\"}" : "{\"type\":\"boolean\",\"enabled\":false}";
    flagver_error err;

    bench_must(flagver_flag_put(txn, FLAG, json, strlen(json), NULL, NULL, &err), err.message);
}

/* When the commit began. */
static int64_t flip(struct live *live)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "bench" };
    flagver_txn *txn = NULL;
    flagver_error err;
    int64_t time;

    live->on = !live->on;
    bench_must(flagver_txn_begin(live->client, &actor, NULL, &txn, &err), err.message);
    put_flag(txn, live->on);
    time = bench_now();
    bench_must(flagver_txn_commit(txn, &err), err.message);
    flagver_txn_free(txn);
    return time;
}

struct live *live_start(const char *uri, size_t count)
{
    struct live *live = bench_allocate(1, sizeof *live);
    int words[2], life[2];
    size_t i;

    live->client = open_store(uri, false);
    live->count = count;
    live->processes = bench_allocate(count, sizeof *live->processes);
    flip(live);
    make_pipe(words);
    make_pipe(life);
    for (i = 0; i < count; i++)
        live->processes[i] = start_process(uri, life, words);
    close(words[1]);
    close(life[0]);
    live->words = words[0];
    live->life = life[1];
    hear_all(live, NULL);
    return live;
}

void live_stop(struct live *live)
{
    size_t i;
    int status;

    close(live->life);
    for (i = 0; i < live->count; i++)
        if (waitpid(live->processes[i], &status, 0) < 0 || status != 0)
            bench_die("a process that followed has failed");
    close(live->words);
    flagver_close(live->client);
    free(live->processes);
    free(live);
}

/* Long enough that no flip is held back behind the one before, and never as long as polling takes. */
static void pause_between(uint64_t *random)
{
    struct timespec pause = { 0, 300000000 + (long)(bench_random(random) % 400000000) };

    nanosleep(&pause, NULL);
}

void live_flip(struct live *live, size_t flips, double *samples)
{
    int64_t *times = bench_allocate(live->count, sizeof *times), start;
    uint64_t random = 1;
    size_t i, j;

    for (i = 0; i < flips; i++) {
        pause_between(&random);
        start = flip(live);
        hear_all(live, times);
        for (j = 0; j < live->count; j++)
            *samples++ = (double)(times[j] - start);
    }
    free(times);
}
