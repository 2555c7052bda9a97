/*
 * Eight processes change the flags of one PostgreSQL store, some of them the same ones, as an
 * application's role, and lose nothing; and none of them waits while the others go on.
 *
 * FLAGVER_TEST_CHANGES / 10 says how many changes each process makes.
 */
#define _GNU_SOURCE
#include "cluster.h"
#include "crash/writers.h"

#define CHANGES 2000

static char database[32], uri[512], owner_uri[512];

static int make_store(void *unused)
{
    flagver_error problem;

    (void)unused;
    if (flagver_schema_up(owner_uri, &problem) < 0)
        return !complain("%s", problem.message);
    return make_shared(owner_uri);
}

static void set_up(void)
{
    if (!cluster_possible())
        cluster_skip();
    snprintf(database, sizeof database, "writers_%ld", (long)getpid());
    cluster_database(cluster_shared(), database, NULL);
    snprintf(uri, sizeof uri, "%s", cluster_uri(cluster_shared(), database, "app"));
    snprintf(owner_uri, sizeof owner_uri, "%s", cluster_uri(cluster_shared(), database, "owner"));
    ck_assert_int_eq(in_process(make_store, NULL), 0);
    cluster_sql(cluster_shared(), database, "SELECT flagver.admit('app')");
}

static void tear_down(void)
{
    cluster_drop(cluster_shared(), database);
}

START_TEST(no_change_of_eight_processes_is_lost)
{
    write_together(uri, scale("FLAGVER_TEST_CHANGES", CHANGES) / 10 + 1);
    assert_written();
    ck_assert(schema_holds(owner_uri));
}
END_TEST

static Suite *writers_suite(void)
{
    Suite *suite = suite_create("many processes on PostgreSQL");
    TCase *tests = tcase_create("one store");

    tcase_set_tags(tests, "postgres");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, no_change_of_eight_processes_is_lost);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    if (cluster_possible())
        cluster_shared();
    return run_suite(writers_suite());
}
