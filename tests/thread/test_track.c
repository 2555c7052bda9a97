/*
 * Many threads track while others flush, report, and change the flags: nothing is lost, nothing is counted
 * twice.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#include <pthread.h>
#include <stdatomic.h>

#include "flagver/track.h"

#define THREADS 4
#define ROUNDS 3000
#define FLAG "f"
#define MEASURED "{'type':'boolean','percentage':100,'metadata':{'events':'seen'}}"

static flagver_client *client;
static atomic_bool over;
static atomic_uint_fast64_t flushes;

/* Check's assertions are for its own thread. */
#define require(call)                                         \
    do {                                                      \
        flagver_error why_;                                   \
        if ((call) < 0) {                                     \
            fprintf(stderr, "%s: %s\n", #call, why_.message); \
            abort();                                          \
        }                                                     \
    } while (0)

static void *track(void *number)
{
    const int mine = *(const int *)number;
    flagver_context *context = flagver_context_new("user");
    char event[16];

    snprintf(event, sizeof event, "of %d", mine);
    for (int i = 0; i < ROUNDS; i++) {
        flagver_flag_bool(client, FLAG, context, false);
        require(flagver_track_outcome(client, FLAG, "on", i % 10 == 0, i * INT64_C(1000), &why_));
        require(flagver_track(client, context, "seen", 1, &why_));
        require(flagver_track(client, NULL, event, 2, &why_));
    }
    flagver_context_free(context);
    return NULL;
}

/* Others may be flushing the same sums: that is no failure of ours. */
static void *flush(void *unused)
{
    flagver_error why;
    int r;

    (void)unused;
    while (!atomic_load(&over)) {
        r = flagver_track_flush(client, &why);
        if (r < 0 && r != FLAGVER_EBUSY) {
            fprintf(stderr, "flush: %s\n", why.message);
            abort();
        }
        atomic_fetch_add(&flushes, 1);
    }
    return NULL;
}

static void ignore(void *count, const flagver_track_group *group)
{
    (void)group;
    ++*(int *)count;
}

static void *look(void *unused)
{
    flagver_track_options options = { .size = sizeof options };
    int count = 0;

    (void)unused;
    while (!atomic_load(&over)) {
        options.own = !options.own;
        require(flagver_track_report(client, &options, ignore, &count, &why_));
    }
    return NULL;
}

static void *change(void *unused)
{
    flagver_error why;

    (void)unused;
    for (int i = 0; !atomic_load(&over); i++) {
        flagver_flag_override(client, "other", i % 2 ? "on" : NULL, &why);
        flagver_client_refresh(client, &why);
    }
    return NULL;
}

struct sums {
    uint64_t evaluations, succeeded, failed, timed, seen, seen_by_flag, own[THREADS];
    double values;
};

static void add_up(void *data, const flagver_track_group *group)
{
    struct sums *sums = data;
    int number;

    if (!group->event) {
        ck_assert_str_eq(group->flag, FLAG);
        ck_assert_str_eq(group->variant, "on");
        sums->evaluations += group->evaluations;
        sums->succeeded += group->succeeded;
        sums->failed += group->failed;
        sums->timed += group->timed;
    } else if (strcmp(group->event, "seen") == 0) {
        *(group->flag[0] ? &sums->seen_by_flag : &sums->seen) += group->count;
    } else {
        ck_assert_int_eq(sscanf(group->event, "of %d", &number), 1);
        sums->own[number] += group->count;
        sums->values += group->sum;
    }
}

static void check_sums(int own)
{
    const flagver_track_options options = { .size = sizeof options, .own = own };
    struct sums sums = { 0 };

    assert_ok(flagver_track_report(client, &options, add_up, &sums, &error));
    ck_assert_uint_eq(sums.evaluations, THREADS * ROUNDS);
    ck_assert_uint_eq(sums.succeeded, THREADS * ROUNDS * 9 / 10);
    ck_assert_uint_eq(sums.failed, THREADS * ROUNDS / 10);
    ck_assert_uint_eq(sums.timed, THREADS * ROUNDS);
    ck_assert_uint_eq(sums.seen, THREADS * ROUNDS);
    ck_assert_uint_eq(sums.seen_by_flag, THREADS * ROUNDS);
    ck_assert_double_eq(sums.values, THREADS * ROUNDS * 2.0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_uint_eq(sums.own[i], ROUNDS);
}

START_TEST(what_many_threads_track_is_all_there_and_once)
{
    static void *(*const others[])(void *) = { flush, flush, look, change };
    pthread_t trackers[THREADS], busy[4];
    int numbers[THREADS];

    client = open_store(_i);
    put_flag(client, FLAG, MEASURED);
    put_flag(client, "other", SIMPLE);
    assert_ok(flagver_client_refresh(client, &error));
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&trackers[i], NULL, track, &numbers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&busy[i], NULL, others[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(trackers[i], NULL);
    atomic_store(&over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(busy[i], NULL);

    check_sums(1);
    assert_ok(flagver_track_flush(client, &error));
    ck_assert_uint_gt(atomic_load(&flushes), 0);
    check_sums(0);
    check_sums(1);
    flagver_close(client);
}
END_TEST

/* ---- several clients ---- */

#define FLUSHES 25

/* They are in each other's way all the time: a flush that gives up keeps what it has. */
static void *track_and_flush(void *own_client)
{
    flagver_client *mine = own_client;
    flagver_error why;
    int r = 0;

    for (int i = 0; i < FLUSHES; i++) {
        require(flagver_track_outcome(mine, FLAG, "on", i % 5 == 0, i * INT64_C(100000), &why_));
        require(flagver_track(mine, NULL, "seen", 1, &why_));
        r = flagver_track_flush(mine, &why);
        if (r < 0 && r != FLAGVER_EBUSY)
            break;
    }
    while (r == FLAGVER_EBUSY)
        r = flagver_track_flush(mine, &why);
    if (r < 0) {
        fprintf(stderr, "flush: %s\n", why.message);
        abort();
    }
    return NULL;
}

START_TEST(clients_that_flush_the_same_sums_at_once_lose_none_and_add_none_twice)
{
    const flagver_track_options options = { .size = sizeof options, .flag = FLAG };
    flagver_client *clients[THREADS];
    pthread_t threads[THREADS];
    struct sums sums = { 0 };

    for (int i = 0; i < THREADS; i++)
        clients[i] = open_store(_i);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, track_and_flush, clients[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_ok(flagver_track_report(clients[0], &options, add_up, &sums, &error));
    ck_assert_uint_eq(sums.succeeded, THREADS * FLUSHES * 4 / 5);
    ck_assert_uint_eq(sums.failed, THREADS * FLUSHES / 5);
    ck_assert_uint_eq(sums.timed, THREADS * FLUSHES);
    sums = (struct sums){ 0 };
    assert_ok(flagver_track_report(clients[0], NULL, add_up, &sums, &error));
    ck_assert_uint_eq(sums.seen, THREADS * FLUSHES);
    for (int i = 0; i < THREADS; i++)
        flagver_close(clients[i]);
}
END_TEST

static Suite *track_suite(void)
{
    Suite *suite = suite_create("tracking threads");
    TCase *tcase = add_store_tcase(suite, "threads");

    tcase_add_loop_test(tcase, what_many_threads_track_is_all_there_and_once, 0, JSONFILE_KIND);
    tcase_add_loop_test(tcase, what_many_threads_track_is_all_there_and_once, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(tcase,
                        clients_that_flush_the_same_sums_at_once_lose_none_and_add_none_twice,
                        SHARED_KINDS, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(track_suite());
}
