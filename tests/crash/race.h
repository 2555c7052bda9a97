/*
 * What tests share that kill a process at any moment before it would end: how long it takes when
 * it is left alone is learned on the way. And a store with much in it, to make or to carry over.
 */
#ifndef FLAGVER_TESTS_RACE_H
#define FLAGVER_TESTS_RACE_H

#include "crash/holds.h"
#include "seed.h"

static struct seed dice;

static struct {
    double usual_ms;      /* how long it takes when it is not killed */
    double share;         /* of that is waited at most */
    double sooner, later; /* what that becomes when it was faster, and when it was killed */
    int killed, ended;
} race = { .share = 1.1, .sooner = 0.9, .later = 1.03 };

static inline void begin_race(uint64_t number)
{
    dice = seed_new(number);
    race.killed = race.ended = 0;
}

/* Let it end once. */
static inline void measure(int (*body)(void *data), void *data)
{
    double begun = now_ms();

    ck_assert_int_eq(in_process(body, data), 0);
    race.usual_ms = now_ms() - begun;
    race.killed = race.ended = 0;
}

static inline void kill_during(int (*body)(void *data), void *data)
{
    pid_t child = start(body, data);
    int status;

    pause_us(seed_below(&dice, (uint32_t)(race.usual_ms * race.share * 1000)));
    kill(child, SIGKILL);
    status = finish(child);
    ck_assert_msg(status == 0 || status == 1000 + SIGKILL, "it ended by itself, with %d", status);
    race.killed += status != 0;
    race.ended += status == 0;
    /* The first time it took longer than it usually does. */
    race.usual_ms *= status == 0 ? race.sooner : race.later;
}

static inline void report(const char *what)
{
    measured("%s: %d killed, %d were faster", what, race.killed, race.ended);
    ck_assert_int_gt(race.killed, 0);
}

/* ---- much ---- */

#define MANY 150

/* Flags, or another version of each. */
static inline int put_many(void *again, flagver_txn *txn, flagver_error *err)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":1}";
    char name[32];
    int i, r = 0;

    for (i = 0; r == 0 && i < MANY; i++) {
        snprintf(name, sizeof name, "flag-%d", i);
        r = again ? flagver_flag_ramp(txn, name, 50, NULL, NULL, err)
                  : flagver_flag_put(txn, name, json, sizeof json - 1, NULL, NULL, err);
    }
    return r;
}

/* Many flags with two versions each, and an export of them; what a process ends with. */
static inline int fill_much(const char *uri, const char *path)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "first" };
    flagver_client *client;
    flagver_error problem;
    bool again = true;
    int r;

    r = flagver_open(uri, NULL, &client, &problem);
    if (r < 0)
        return !complain("%s", problem.message);
    r = flagver_txn_run(client, &actor, NULL, put_many, NULL, &problem);
    if (r == 0)
        r = flagver_txn_run(client, &actor, NULL, put_many, &again, &problem);
    flagver_close(client);
    if (r == 0)
        r = flagver_store_export(uri, NULL, path, &problem);
    return r < 0 && !complain("%s", problem.message);
}

static inline char *read_file(const char *path, size_t *ret_length)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t length = 0;

    if (!file)
        return NULL;
    do {
        text = realloc(text, length + 65536);
        if (!text)
            abort();
        *ret_length = length;
        length += fread(text + length, 1, 65536, file);
    } while (length > *ret_length);
    fclose(file);
    return text;
}

static inline bool same_file(const char *path, const char *other)
{
    size_t length = 0, other_length = 0;
    char *text = read_file(path, &length), *other_text = read_file(other, &other_length);
    bool same = text && other_text && length == other_length &&
                memcmp(text, other_text, length) == 0;

    free(text);
    free(other_text);
    return same;
}

#endif
