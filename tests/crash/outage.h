/*
 * What tests share in which the store goes away under a client: a thread that evaluates the flag
 * "flag" all the time, and waiting for what the client says of itself. DEADLINE_MS of who includes
 * it is the longest that anything may take.
 */
#ifndef FLAGVER_TESTS_OUTAGE_H
#define FLAGVER_TESTS_OUTAGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "crash/holds.h"

static flagver_client *client;
static uint32_t acknowledged; /* the last version of the flag that we were given */

/* ---- a thread that evaluates all the time ---- */

static pthread_t evaluator;
static atomic_bool over, troubled;
static atomic_bool may_fall; /* the version that is served: there is another store now */
static atomic_long evaluations;
static double longest_ms;

static inline int64_t served(void)
{
    flagver_detail detail = { .size = sizeof detail };

    flagver_flag_bool_detail(client, "flag", NULL, false, &detail);
    return detail.error == FLAGVER_ERROR_NONE ? detail.version : -1;
}

static inline void *evaluate_on(void *unused)
{
    int64_t last = 0, now;
    double begun, took;

    while (!atomic_load(&over) && !atomic_load(&troubled)) {
        begun = now_ms();
        now = served();
        took = now_ms() - begun;
        longest_ms = took > longest_ms ? took : longest_ms;
        if (now < 0 || (now < last && !atomic_load(&may_fall)))
            atomic_store(&troubled, !complain("version %lld is served after version %lld",
                                              (long long)now, (long long)last));
        last = now;
        atomic_fetch_add(&evaluations, 1);
        pause_us(20);
    }
    return unused;
}

static inline void start_evaluating(void)
{
    ck_assert_int_eq(pthread_create(&evaluator, NULL, evaluate_on, NULL), 0);
}

/* It has not stopped: some more evaluations come to an end. */
static inline void assert_evaluating(void)
{
    long before = atomic_load(&evaluations);
    double deadline = now_ms() + DEADLINE_MS;

    while (atomic_load(&evaluations) < before + 100 && now_ms() < deadline)
        pause_us(100);
    ck_assert(!atomic_load(&troubled));
    ck_assert_int_ge(atomic_load(&evaluations), before + 100);
}

static inline void stop_evaluating(void)
{
    atomic_store(&over, true);
    pthread_join(evaluator, NULL);
    ck_assert(!atomic_load(&troubled));
}

/* ---- what health says ---- */

static inline bool health_has(const char *words)
{
    char *json = NULL;
    bool has;

    if (flagver_client_health(client, &json, NULL) < 0)
        return false;
    has = strstr(json, words) != NULL;
    flagver_string_free(json);
    return has;
}

static inline bool is_well(void)
{
    return health_has("\"status\":\"ok\"") && health_has("\"error\":null");
}

static inline bool is_unavailable(void)
{
    return health_has("\"status\":\"stale\"") && health_has("\"code\":\"EUNAVAILABLE\"");
}

static inline bool serves_the_latest(void)
{
    return served() == acknowledged;
}

/* In how many ms it has come true. */
static inline double await(bool (*condition)(void))
{
    double begun = now_ms();
    char *json = NULL;

    while (!condition()) {
        if (now_ms() - begun > DEADLINE_MS) {
            flagver_client_health(client, &json, NULL);
            ck_abort_msg("version %lld is served, %u was written; health: %s", (long long)served(),
                         acknowledged, json);
        }
        pause_us(500);
    }
    return now_ms() - begun;
}

#endif
