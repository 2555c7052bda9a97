/*
 * Clients of a store on PostgreSQL: what another one commits is heard, and what was not heard
 * is found.
 */
#define _DEFAULT_SOURCE /* mkdtemp, nanosleep */
#include "cluster.h"
#include "stores.h"
#include "waiting.h"

#include <poll.h>

#define NEVER (24 * 3600 * 1000) /* no test takes that long */

static flagver_client *open_watching(int background)
{
    flagver_options options = quiet_options();

    options.background = background;
    options.poll_ms = NEVER;
    return open_with(POSTGRES_KIND, &options);
}

static int64_t value_of(flagver_client *client)
{
    return flagver_flag_int(client, "f", NULL, -1);
}

/* What follows within 100 ms is told with the next commit or look of the one that wrote. */
static void put_value(flagver_client *client, int value)
{
    char json[96];

    rest(150);
    snprintf(json, sizeof json, "{'type':'integer','variants':{'v':%d},'default':'v'}", value);
    put_flag(client, "f", json);
}

/* Somebody in this database is listening. */
static bool is_listened_to(void)
{
    return strcmp(cluster_value(cluster_shared(), database,
                                "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN "
                                "flagver' AND datname = current_database()"),
                  "0") != 0;
}

START_TEST(a_commit_of_another_client_is_live_at_once)
{
    flagver_client *watching = open_watching(1), *writing = open_store(POSTGRES_KIND);
    int i;

    wait_until(is_listened_to());
    for (i = 1; i <= 5; i++) {
        put_value(writing, i);
        wait_until(value_of(watching) == i);
    }
    flagver_close(watching);
    flagver_close(writing);
}
END_TEST

START_TEST(who_was_deaf_for_a_while_looks_when_he_hears_again)
{
    flagver_client *watching = open_watching(1), *writing = open_store(POSTGRES_KIND);
    int i;

    wait_until(is_listened_to());
    for (i = 1; i <= 3; i++) {
        cluster_sql(cluster_shared(), database,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN "
                    "flagver' AND datname = current_database()");
        put_value(writing, i);
        wait_until(value_of(watching) == i);
        wait_until(is_listened_to());
    }
    flagver_close(watching);
    flagver_close(writing);
}
END_TEST

START_TEST(a_hosts_own_loop_hears_it_too)
{
    flagver_client *watching = open_watching(0), *writing = open_store(POSTGRES_KIND);
    struct pollfd entry = { .fd = flagver_client_fd(watching, &error), .events = POLLIN };
    int i;

    ck_assert_int_ge(entry.fd, 0);
    for (i = 1; i <= 3; i++) {
        put_value(writing, i);
        while (value_of(watching) != i) {
            ck_assert_int_eq(poll(&entry, 1, 20000), 1);
            assert_ok(flagver_client_refresh(watching, &error));
        }
    }
    flagver_close(watching);
    flagver_close(writing);
}
END_TEST

/* The header's promise: nobody is asked for who only opens a store to write. */
START_TEST(who_does_not_wait_does_not_listen)
{
    flagver_client *writing = open_store(POSTGRES_KIND);

    put_value(writing, 1);
    ck_assert(!is_listened_to());
    ck_assert_int_eq(writing->stored->poll_ms, 500);
    flagver_close(writing);
}
END_TEST

START_TEST(behind_a_pooler_it_is_found_by_asking)
{
    flagver_options options = quiet_options();
    flagver_client *watching = NULL, *writing = open_store(POSTGRES_KIND);
    struct pooler *pooler;

    if (!pooler_possible())
        pooler_skip();
    pooler = pooler_start(cluster_shared(), NULL);
    options.background = 1;
    assert_ok(flagver_open(pooler_uri(pooler, database, "app"), &options, &watching, &error));
    ck_assert_int_eq(watching->stored->poll_ms, 500);
    put_value(writing, 1);
    wait_until(value_of(watching) == 1);
    ck_assert(!is_listened_to());
    flagver_close(watching);
    flagver_close(writing);
    pooler_stop(pooler);
}
END_TEST

static Suite *watch_suite(bool wanted)
{
    Suite *suite = suite_create("postgres watch");
    TCase *tcase = add_store_tcase(suite, "watch");

    tcase_set_tags(tcase, "postgres");
    if (!wanted)
        return suite;
    tcase_add_test(tcase, a_commit_of_another_client_is_live_at_once);
    tcase_add_test(tcase, who_was_deaf_for_a_while_looks_when_he_hears_again);
    tcase_add_test(tcase, a_hosts_own_loop_hears_it_too);
    tcase_add_test(tcase, who_does_not_wait_does_not_listen);
    tcase_add_test(tcase, behind_a_pooler_it_is_found_by_asking);
    return suite;
}

int main(void)
{
    return run_store_suite(watch_suite(STORE_KINDS == ALL_KINDS));
}
