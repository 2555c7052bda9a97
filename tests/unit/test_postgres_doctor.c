/*
 * The PostgreSQL driver: what it tells of its database, to the doctor and in health.
 */
#define _GNU_SOURCE /* syscall() */
#include <sys/syscall.h>
#include <time.h>

#include "cluster.h"
#include "unit/postgres_store.h"

/* ---- our clock, which may be wrong ---- */

static int64_t wrong_by_ms;

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int r = (int)syscall(SYS_clock_gettime, clock, time);

    if (r == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += wrong_by_ms / 1000;
    return r;
}

/* ---- what is told ---- */

static struct fv_text told[3], all;
static int counts[3];

static void forget(void)
{
    int i;

    for (i = 0; i < 3; i++) {
        fv_text_clear(&told[i]);
        counts[i] = 0;
    }
    fv_text_clear(&all);
}

static void hear(void *data, int finding, const char *line)
{
    ck_assert_ptr_eq(data, told);
    ck_assert_int_ge(finding, FLAGVER_FINDING_OK);
    ck_assert_int_le(finding, FLAGVER_FINDING_ERROR);
    counts[finding]++;
    fv_text_format(&told[finding], "%s\n", line);
    fv_text_format(&all, "%d %s\n", finding, line);
}

static void examine(flagver_store *whose)
{
    forget();
    assert_ok(driver->examine(whose, hear, told, &error));
}

static void assert_told(int finding, const char *words)
{
    ck_assert_msg(strstr(told[finding].data, words), "\"%s\" is not in %d of:\n%s", words, finding,
                  all.data);
}

/* But for the cluster of tests, which forces nothing to disk. */
static void assert_fine(void)
{
    assert_told(FLAGVER_FINDING_ERROR, "fsync is off: ");
    ck_assert_msg(counts[FLAGVER_FINDING_ERROR] == 1 && counts[FLAGVER_FINDING_WARNING] == 0, "%s",
                  all.data);
}

static void start(void)
{
    int i;

    for (i = 0; i < 3; i++)
        told[i] = (struct fv_text)FV_TEXT_INIT;
    all = (struct fv_text)FV_TEXT_INIT;
    wrong_by_ms = 0;
    set_up();
}

static void end(void)
{
    forget();
    tear_down();
}

/* ---- what is fine ---- */

START_TEST(where_all_is_well_it_says_so)
{
    examine(store);
    assert_fine();
    assert_told(FLAGVER_FINDING_OK, "the server is on this machine, behind a socket\n");
    assert_told(FLAGVER_FINDING_OK, "no pooler is in between");
    assert_told(FLAGVER_FINDING_OK, "the server is PostgreSQL ");
    assert_told(FLAGVER_FINDING_OK, "the database's encoding is UTF8\n");
    assert_told(FLAGVER_FINDING_OK, "role \"app\" is bound by row-level security; the schema "
                                    "belongs to \"owner\"\n");
    assert_told(FLAGVER_FINDING_OK, "the server's clock and this machine's agree\n");
    assert_told(FLAGVER_FINDING_OK, "role \"app\" has the rights on 11 tables that it needs\n");
    assert_told(FLAGVER_FINDING_OK, "row-level security is on and forced for 10 tables\n");
    assert_told(FLAGVER_FINDING_OK, " connections are in use; each process may open 17\n");
    assert_told(FLAGVER_FINDING_OK, "the server is the primary; ");
    assert_told(FLAGVER_FINDING_OK, "of them in the schema flagver\n");
    assert_told(FLAGVER_FINDING_OK, "how much room is left on the server's disk it does not tell");
}
END_TEST

START_TEST(the_owner_is_told_that_applications_need_less)
{
    flagver_store *owners = open_as("owner", WAIT_MS);

    examine(owners);
    assert_fine();
    assert_told(FLAGVER_FINDING_OK, "role \"owner\" owns the schema");
    driver->close(owners);
}
END_TEST

START_TEST(a_database_without_a_schema_is_examined_too)
{
    sql("DROP SCHEMA flagver CASCADE");
    examine(store);
    assert_fine();
    assert_told(FLAGVER_FINDING_OK, "role \"app\" is bound by row-level security\n");
    ck_assert_ptr_null(strstr(all.data, "rights"));
    ck_assert_ptr_null(strstr(all.data, "tables"));
}
END_TEST

START_TEST(nothing_is_left_behind)
{
    flagver_driver_txn *txn;

    examine(store);
    ck_assert_str_eq(answer("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                            "current_database() AND xact_start IS NOT NULL AND pid <> "
                            "pg_backend_pid()"),
                     "0");
    txn = writing();
    assert_ok(driver->commit(txn, &error));
    examine(store);
    assert_fine();
}
END_TEST

/* ---- what is not ---- */

static const struct {
    const char *sql;
    int finding;
    const char *words;
} harms[] = {
    { "REVOKE INSERT ON flagver.leaf FROM app", FLAGVER_FINDING_ERROR,
      "role \"app\" lacks 1 rights, the first: INSERT on flagver.leaf; as the owner of the schema "
      "run: SELECT flagver.admit('app')" },
    { "REVOKE EXECUTE ON FUNCTION flagver.log_size(text) FROM app", FLAGVER_FINDING_ERROR,
      "the first: EXECUTE on flagver.log_size;" },
    { "SELECT flagver.expel('app')", FLAGVER_FINDING_ERROR, "role \"app\" lacks 31 rights" },
    { "ALTER TABLE flagver.payload DISABLE ROW LEVEL SECURITY", FLAGVER_FINDING_ERROR,
      "row-level security of flagver.payload is off, so that tenants are not kept apart" },
    { "ALTER TABLE flagver.vote NO FORCE ROW LEVEL SECURITY", FLAGVER_FINDING_ERROR,
      "row-level security of flagver.vote is not forced for the owner" },
    { "DROP POLICY tenant ON flagver.item", FLAGVER_FINDING_ERROR,
      "row-level security of flagver.item is without a policy" },
};

START_TEST(what_is_wrong_is_told_with_what_to_do)
{
    sql(harms[_i].sql);
    examine(store);
    assert_told(harms[_i].finding, harms[_i].words);
    ck_assert_msg(counts[FLAGVER_FINDING_ERROR] == 2, "%s", all.data); /* fsync is the other */
}
END_TEST

START_TEST(a_role_that_nothing_binds_is_a_warning)
{
    flagver_store *supers = open_as("postgres", WAIT_MS);

    examine(supers);
    assert_told(FLAGVER_FINDING_WARNING,
                "role \"postgres\" is a superuser: row-level security does not bind it");
    driver->close(supers);
}
END_TEST

START_TEST(a_database_that_is_not_utf8_is_told)
{
    char statement[200], name[80];
    flagver_store *latin;
    flagver_driver_config how = { .size = sizeof how, .wait_ms = WAIT_MS, .no_upgrade = 1 };

    snprintf(name, sizeof name, "%s_latin", database);
    snprintf(statement, sizeof statement,
             "CREATE DATABASE %s OWNER owner ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
             "TEMPLATE template0",
             name);
    cluster_sql(cluster_shared(), "postgres", statement);
    how.path = strchr(cluster_uri(cluster_shared(), name, "owner"), ':') + 1;
    assert_ok(driver->open(&how, &latin, &error));
    examine(latin);
    assert_told(FLAGVER_FINDING_ERROR, "the database's encoding is LATIN1: make one with UTF8");
    driver->close(latin);
    cluster_drop(cluster_shared(), name);
}
END_TEST

START_TEST(clocks_that_are_apart_are_a_warning)
{
    const struct {
        int64_t ms;
        const char *words;
    } rows[] = { { 60000, "behind this machine's" }, { -60000, "ahead of this machine's" } };

    wrong_by_ms = rows[_i].ms;
    examine(store);
    assert_told(FLAGVER_FINDING_WARNING, "the server's clock is ");
    assert_told(FLAGVER_FINDING_WARNING, rows[_i].words);
    wrong_by_ms = 0;
    examine(store);
    assert_fine();
}
END_TEST

START_TEST(a_pool_that_is_too_large_is_told)
{
    char statement[120];
    flagver_store *small;

    snprintf(statement, sizeof statement, "ALTER DATABASE %s CONNECTION LIMIT 16", database);
    sql(statement);
    examine(store);
    assert_told(FLAGVER_FINDING_ERROR, "each process may open 17 connections (twice flagver_pool, "
                                       "and one that listens), and this role may have 16");
    small = open_named(database, ROLE, "flagver_pool=2", WAIT_MS);
    examine(small);
    ck_assert_ptr_null(strstr(told[FLAGVER_FINDING_ERROR].data, "each process may open"));
    driver->close(small);
}
END_TEST

START_TEST(a_superuser_is_told_how_much_room_is_left)
{
    flagver_store *supers = open_as("postgres", WAIT_MS);

    examine(supers);
    ck_assert_msg(strstr(all.data, " MiB are free in "), "%s", all.data);
    driver->close(supers);
}
END_TEST

/* ---- passwords, poolers ---- */

static void describe(flagver_store *whose, char *out, size_t size)
{
    assert_ok(driver->describe(whose, out, size, &error));
}

START_TEST(a_password_is_not_told)
{
    flagver_store *secretive = open_named(database, ROLE, "password=Zx9secret", WAIT_MS);
    char json[2000];

    examine(secretive);
    describe(secretive, json, sizeof json);
    ck_assert_ptr_null(strstr(all.data, "Zx9secret"));
    ck_assert_ptr_null(strstr(json, "Zx9secret"));
    driver->close(secretive);
}
END_TEST

START_TEST(health_says_whom_it_talks_to_and_how)
{
    char json[2000];

    describe(store, json, sizeof json);
    ck_assert_ptr_nonnull(strstr(json, "\"driver\":\"postgresql\""));
    ck_assert_ptr_nonnull(strstr(json, "\"role\":\"app\""));
    ck_assert_ptr_nonnull(strstr(json, "\"pooler\":false"));
    ck_assert_ptr_nonnull(strstr(json, "\"standby\":false"));
    ck_assert_ptr_nonnull(strstr(json, "\"listening\":false"));
    ck_assert_ptr_nonnull(strstr(json, "\"connections\":{\"limit\":8,"));
    ck_assert_int_ge(driver->watch_fd(store), 0);
    describe(store, json, sizeof json);
    ck_assert_ptr_nonnull(strstr(json, "\"listening\":true"));
    pthread_mutex_lock(&store->hearing); /* somebody is connecting, say */
    describe(store, json, sizeof json);
    pthread_mutex_unlock(&store->hearing);
    ck_assert_ptr_nonnull(strstr(json, "\"listening\":null"));
}
END_TEST

START_TEST(a_pooler_in_between_is_told)
{
    struct pooler *pooler;
    flagver_driver_config how = { .size = sizeof how, .wait_ms = WAIT_MS };
    flagver_store *pooled;
    char json[2000];

    if (!pooler_possible())
        pooler_skip();
    pooler = pooler_start(cluster_shared(), NULL);
    how.path = strchr(pooler_uri(pooler, database, ROLE), ':') + 1;
    assert_ok(driver->open(&how, &pooled, &error));
    examine(pooled);
    assert_fine();
    assert_told(FLAGVER_FINDING_OK, "a pooler is in between");
    assert_told(FLAGVER_FINDING_OK, "the pooler decides how many of them are ours");
    describe(pooled, json, sizeof json);
    ck_assert_ptr_nonnull(strstr(json, "\"pooler\":true"));
    driver->close(pooled);
    pooler_stop(pooler);
}
END_TEST

/* ---- servers of their own ---- */

static flagver_store *open_at(struct cluster *cluster, int read_only)
{
    flagver_driver_config how = {
        .size = sizeof how, .wait_ms = WAIT_MS, .no_upgrade = 1, .read_only = read_only
    };
    flagver_store *opened;

    how.path = strchr(cluster_uri(cluster, "postgres", "owner"), ':') + 1;
    assert_ok(driver->open(&how, &opened, &error));
    return opened;
}

START_TEST(a_server_that_forces_to_disk_and_its_standby)
{
    const struct cluster_options options = { .force = true };
    struct cluster *primary, *standby;
    flagver_store *opened;

    primary = cluster_start(&options);
    standby = cluster_standby(primary, &options);
    cluster_wait_standby(primary, standby);
    opened = open_at(primary, 0);
    examine(opened);
    ck_assert_msg(counts[FLAGVER_FINDING_ERROR] + counts[FLAGVER_FINDING_WARNING] == 0, "%s",
                  all.data);
    assert_told(FLAGVER_FINDING_OK, "the server forces what is committed to its disk");
    assert_told(FLAGVER_FINDING_OK, "the server is the primary; standbys that follow it: 1\n");
    driver->close(opened);

    opened = open_at(standby, 1);
    examine(opened);
    assert_told(FLAGVER_FINDING_WARNING, "the server is a standby and takes no changes");
    driver->close(opened);
    cluster_stop(standby);
    cluster_stop(primary);
}
END_TEST

static Suite *postgres_doctor_suite(void)
{
    Suite *suite = suite_create("postgres doctor");
    TCase *tcase = tcase_create("doctor");

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, start, end);
    tcase_add_test(tcase, where_all_is_well_it_says_so);
    tcase_add_test(tcase, the_owner_is_told_that_applications_need_less);
    tcase_add_test(tcase, a_database_without_a_schema_is_examined_too);
    tcase_add_test(tcase, nothing_is_left_behind);
    tcase_add_loop_test(tcase, what_is_wrong_is_told_with_what_to_do, 0,
                        (int)(sizeof harms / sizeof *harms));
    tcase_add_test(tcase, a_role_that_nothing_binds_is_a_warning);
    tcase_add_test(tcase, a_database_that_is_not_utf8_is_told);
    tcase_add_loop_test(tcase, clocks_that_are_apart_are_a_warning, 0, 2);
    tcase_add_test(tcase, a_pool_that_is_too_large_is_told);
    tcase_add_test(tcase, a_superuser_is_told_how_much_room_is_left);
    tcase_add_test(tcase, a_password_is_not_told);
    tcase_add_test(tcase, health_says_whom_it_talks_to_and_how);
    tcase_add_test(tcase, a_pooler_in_between_is_told);
    tcase_add_test(tcase, a_server_that_forces_to_disk_and_its_standby);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    int r;

    prepare_cluster();
    r = run_suite(postgres_doctor_suite());
    clean_cluster();
    return r;
}
