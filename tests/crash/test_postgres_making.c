/*
 * Processes are killed with SIGKILL while they make a store in PostgreSQL: its schema, an import, a
 * copy of one in SQLite. What is there is whole, and the next process brings it to its end.
 *
 * FLAGVER_KILLS says how many: a tenth of that in each test.
 */
#define _GNU_SOURCE
#include "cluster.h"
#include "crash/race.h"

#define KILLS 100

static struct cluster *cluster;
static struct place place; /* of the store that is carried over */
static char database[64], pattern[64], owner_uri[512];

static int schema_is_whole(void *unused)
{
    (void)unused;
    return !schema_holds(owner_uri);
}

static int make_schema(void *unused)
{
    flagver_error problem;

    (void)unused;
    return flagver_schema_up(owner_uri, &problem) < 0 &&
           !complain("schema up: %s", problem.message);
}

static char whole[128], copy[128];

static int import_it(void *unused)
{
    flagver_error problem;

    (void)unused;
    return flagver_store_import(owner_uri, whole, &problem) < 0 &&
           !complain("import: %s", problem.message);
}

static int fill_source(void *unused)
{
    (void)unused;
    return fill_much(place.uri, whole);
}

/* In several transactions. */
static int copy_it(void *unused)
{
    const flagver_copy_options options = { .size = sizeof options, .leaves = 20 };
    flagver_error problem;

    (void)unused;
    return flagver_store_copy(place.uri, owner_uri, &options, &problem) < 0 &&
           !complain("copy: %s", problem.message);
}

/* How many flags there are, of which everything told of is there; 255: something is wrong. */
static int count_flags(void *unused)
{
    flagver_client *client;
    flagver_error problem;
    struct held held;
    int count = 255;

    (void)unused;
    if (flagver_open(owner_uri, NULL, &client, &problem) < 0)
        return complain("%s", problem.message) + count;
    if (held_read(client, &held))
        count = (int)held.count;
    held_free(&held);
    flagver_close(client);
    return count;
}

static int is_the_source(void *unused)
{
    flagver_error problem;

    (void)unused;
    if (flagver_store_export(owner_uri, NULL, copy, &problem) < 0)
        return !complain("export: %s", problem.message);
    return !same_file(copy, whole) && !complain("what arrived is not what was sent");
}

static void wait_for_owner(void)
{
    while (*cluster_value(cluster, database,
                          "SELECT 1 FROM pg_stat_activity WHERE usename = 'owner'"
                          " AND datname = current_database()"))
        pause_us(1000);
}

static void begin_target(const char *like)
{
    static int number;

    snprintf(database, sizeof database, "target_%ld_%d", (long)getpid(), ++number);
    cluster_database(cluster, database, like);
    snprintf(owner_uri, sizeof owner_uri, "%s", cluster_uri(cluster, database, "owner"));
}

/* The target's schema is the pattern's, and there is nothing in it. */
static void begin_source(void)
{
    cluster = cluster_shared();
    place = place_new();
    place_file(&place, "whole", whole);
    place_file(&place, "copy", copy);
    ck_assert_int_eq(in_process(fill_source, NULL), 0);
    begin_target(NULL);
    ck_assert_int_eq(in_process(make_schema, NULL), 0);
    memcpy(pattern, database, sizeof pattern);
    begin_target(pattern);
}

static void end_target(void)
{
    cluster_drop(cluster, database);
}

static void end_source(void)
{
    end_target();
    cluster_drop(cluster, pattern);
    place_remove(&place);
}

/* There are few: how long they take is to be found soon. */
static void begin_short_race(uint64_t number)
{
    begin_race(number);
    race.sooner = 0.8;
    race.later = 1.05;
}

static int making_kills(void)
{
    return scale("FLAGVER_KILLS", KILLS) / 10 + 1;
}

START_TEST(a_schema_that_was_half_made_is_made_by_the_next)
{
    int i;

    begin_short_race(0);
    cluster = cluster_shared();
    begin_target(NULL);
    measure(make_schema, NULL);
    for (i = 0; i < making_kills(); i++) {
        end_target();
        begin_target(NULL);
        kill_during(make_schema, NULL);
        ck_assert_int_eq(in_process(make_schema, NULL), 0);
        ck_assert_int_eq(in_process(schema_is_whole, NULL), 0);
    }
    end_target();
    report("schema up");
}
END_TEST

START_TEST(an_import_is_complete_or_did_not_happen)
{
    int i, count;

    begin_short_race(1);
    begin_source();
    measure(import_it, NULL);
    for (i = 0; i < making_kills(); i++) {
        end_target();
        begin_target(pattern);
        kill_during(import_it, NULL);
        wait_for_owner();
        count = in_process(count_flags, NULL);
        ck_assert_msg(count == 0 || count == MANY, "%d of %d flags came in", count, MANY);
        if (count == 0)
            ck_assert_int_eq(in_process(import_it, NULL), 0);
        ck_assert_int_eq(in_process(is_the_source, NULL), 0);
    }
    end_source();
    report("import");
}
END_TEST

/* What was carried over stays, and the rest follows. */
START_TEST(a_copy_goes_on_where_it_was_killed)
{
    int i;

    begin_short_race(2);
    begin_source();
    measure(copy_it, NULL);
    for (i = 0; i < making_kills(); i++) {
        end_target();
        begin_target(pattern);
        kill_during(copy_it, NULL);
        ck_assert_int_ne(in_process(count_flags, NULL), 255);
        ck_assert_int_eq(in_process(copy_it, NULL), 0);
        ck_assert_int_eq(in_process(is_the_source, NULL), 0);
    }
    end_source();
    report("copy from SQLite");
}
END_TEST

static void want_server(void)
{
    if (!cluster_possible())
        cluster_skip();
}

static Suite *making_suite(void)
{
    Suite *suite = suite_create("PostgreSQL, killed while a store is made");
    TCase *tests = tcase_create("at any moment");

    tcase_set_tags(tests, "postgres");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, want_server, NULL);
    tcase_add_test(tests, a_schema_that_was_half_made_is_made_by_the_next);
    tcase_add_test(tests, an_import_is_complete_or_did_not_happen);
    tcase_add_test(tests, a_copy_goes_on_where_it_was_killed);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    if (cluster_possible())
        cluster_shared();
    return run_suite(making_suite());
}
