/*
 * Many processes on one store of SQLite's: eight of them change flags, some of them the same ones,
 * and lose nothing; and they may create the store together.
 *
 * FLAGVER_TEST_CHANGES says how many changes each process makes.
 */
#define _GNU_SOURCE
#include "crash/writers.h"

#define CHANGES 1000
#define ROUNDS 50 /* of processes that create a store together */

static struct place place;

START_TEST(no_change_of_eight_processes_is_lost)
{
    place = place_new();
    ck_assert_int_eq(in_process(make_shared, place.uri), 0);
    write_together(place.uri, scale("FLAGVER_TEST_CHANGES", CHANGES));
    assert_written();
    ck_assert(schema_holds(place.uri));
    place_remove(&place);
}
END_TEST

static int create_together(void *number)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "creator" };
    struct operation operation = { .flag = 0 };
    flagver_client *client;
    flagver_error problem;
    int r;

    snprintf(operation.note, sizeof operation.note, "%d", *(int *)number);
    wait_for_all(&board->ready);
    r = flagver_open(place.uri, NULL, &client, &problem);
    if (r < 0)
        return !complain("process %d, opening: %s", *(int *)number, problem.message);
    r = flagver_txn_run(client, &actor, NULL, operate, &operation, &problem);
    flagver_close(client);
    return r < 0 && !complain("process %d: %s", *(int *)number, problem.message);
}

static void assert_created(void)
{
    flagver_client *client;
    struct held held;

    assert_ok(flagver_open(place.uri, NULL, &client, &error));
    ck_assert(held_read(client, &held));
    ck_assert_uint_eq(held.count, 1);
    ck_assert_uint_eq(held.series[0].count, PROCESSES);
    held_free(&held);
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
}

START_TEST(processes_may_create_a_store_together)
{
    pid_t creators[PROCESSES];
    int numbers[PROCESSES], i, round, failed = 0;

    for (round = 0; round < ROUNDS; round++) {
        board = shared(sizeof *board);
        place = place_new();
        for (i = 0; i < PROCESSES; i++) {
            numbers[i] = i;
            creators[i] = start(create_together, &numbers[i]);
        }
        for (i = 0; i < PROCESSES; i++)
            failed += finish(creators[i]) != 0;
        ck_assert_int_eq(failed, 0);
        assert_created();
        place_remove(&place);
        munmap(board, sizeof *board);
    }
}
END_TEST

static Suite *writers_suite(void)
{
    Suite *suite = suite_create("many processes");
    TCase *tests = tcase_create("one store");

    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, no_change_of_eight_processes_is_lost);
    tcase_add_test(tests, processes_may_create_a_store_together);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(writers_suite());
}
