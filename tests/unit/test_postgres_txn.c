/*
 * The PostgreSQL driver: how transactions begin and end, what they lock, and what is said of
 * those whose end nobody saw.
 */
#define _GNU_SOURCE /* nanosleep(), SOCK_NONBLOCK */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "cluster.h"
#include "unit/postgres_store.h"

static PGconn *connection_of(const flagver_driver_txn *txn)
{
    return txn->conn->pq;
}

static void terminate(const flagver_driver_txn *txn)
{
    char statement[80];

    snprintf(statement, sizeof statement, "SELECT pg_terminate_backend(%d, 10000)",
             PQbackendPID(connection_of(txn)));
    ck_assert_str_eq(answer(statement), "t");
}

static int apply_row(flagver_driver_txn *txn, const char *space, const char *key)
{
    const flagver_keyed_row row = { .tenant = text("default"),
                                    .space = text(space),
                                    .key = text(key),
                                    .rev = 1,
                                    .time = 1,
                                    .value = text("") };
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED };

    change.row.keyed = &row;
    return driver->apply(txn, &change, 1, &error);
}

static void add_row(flagver_driver_txn *txn, const char *key)
{
    assert_ok(apply_row(txn, "request", key));
}

static bool has_row(const char *key)
{
    char query[120];

    snprintf(query, sizeof query, "SELECT count(*) FROM flagver.keyed WHERE key = '%s'", key);
    return strcmp(answer(query), "1") == 0;
}

static bool outcome(flagver_store *in, const char *key)
{
    bool committed = false;

    assert_ok(driver->outcome(in, text("default"), text(key), &committed, &error));
    return committed;
}

/* ---- connecting ---- */

/* What the server remarks at the start of a session is for nobody's terminal. */
START_TEST(connecting_prints_nothing)
{
    char line[200];
    FILE *said = tmpfile();
    int before = dup(STDERR_FILENO);

    snprintf(line, sizeof line, "ALTER DATABASE %s SET default_tablespace = 'nowhere'", database);
    sql(line);
    ck_assert_int_ge(dup2(fileno(said), STDERR_FILENO), 0);
    driver->close(store);
    store = open_as(ROLE, WAIT_MS);
    changes(store);
    ck_assert_int_ge(dup2(before, STDERR_FILENO), 0);
    close(before);
    rewind(said);
    ck_assert_msg(!fgets(line, sizeof line, said), "%s", line);
    fclose(said);
}
END_TEST

/* A place that takes connections into its queue, as a server does that has stopped. */
static int listen_silently(int backlog, char port[8])
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, backlog), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(port, 8, "%d", ntohs(address.sin_port));
    return listener;
}

/* Connections beyond these two stay without an answer, as if the machine was not there. */
static void fill_queue(int listener, int fillers[2])
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int i;

    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (i = 0; i < 2; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fillers[i], (struct sockaddr *)&address, size) < 0)
            ck_assert_int_eq(errno, EINPROGRESS);
    }
}

/* Number 0 takes connections and says nothing, 1 does not even take them. */
START_TEST(a_host_that_says_nothing_is_given_up_and_passed_over)
{
    flagver_driver_config how = { .size = sizeof how, .wait_ms = WAIT_MS };
    int listener, fillers[2] = { -1, -1 };
    flagver_store *opened;
    char path[400], port[8];

    listener = listen_silently(_i ? 0 : 5, port);
    if (_i)
        fill_queue(listener, fillers);
    snprintf(path, sizeof path, "//app@127.0.0.1:%s/%s?connect_timeout=2&sslmode=disable", port,
             database);
    how.path = path;
    assert_fails(FLAGVER_EUNAVAILABLE, driver->open(&how, &opened, &error));
    ck_assert_msg(strstr(error.message, "no answer within 2 s (connect_timeout"), "%s",
                  error.message);

    snprintf(path, sizeof path,
             "//app@/%s?host=127.0.0.1,%s&port=%s,%d&connect_timeout=2&sslmode=disable", database,
             cluster_directory(cluster_shared()), port, cluster_port(cluster_shared()));
    assert_ok(driver->open(&how, &opened, &error));
    driver->close(opened);
    close(listener);
    close(fillers[0]);
    close(fillers[1]);
}
END_TEST

/* ---- begin ---- */

START_TEST(what_holds_for_a_transaction_is_set_for_it_alone)
{
    flagver_driver_txn *txn;
    PGconn *pq;

    driver->close(store);
    store = open_named(database, ROLE, "flagver_statement_ms=12000&flagver_idle_ms=34000", 5600);
    txn = writing();
    pq = connection_of(txn);
    ck_assert_str_eq(value_on(pq, "SHOW flagver.tenant"), "default");
    ck_assert_str_eq(value_on(pq, "SHOW lock_timeout"), "5600ms");
    ck_assert_str_eq(value_on(pq, "SHOW statement_timeout"), "12s");
    ck_assert_str_eq(value_on(pq, "SHOW idle_in_transaction_session_timeout"), "34s");
    ck_assert_str_eq(value_on(pq, "SHOW transaction_isolation"), "read committed");
    assert_ok(driver->commit(txn, &error));
    ck_assert_str_eq(value_on(pq, "SHOW flagver.tenant"), "");
    ck_assert_str_eq(value_on(pq, "SHOW lock_timeout"), "0");
    ck_assert_str_eq(value_on(pq, "SHOW statement_timeout"), "0");
    ck_assert_str_eq(value_on(pq, "SHOW idle_in_transaction_session_timeout"), "0");

    txn = reading();
    ck_assert_str_eq(value_on(connection_of(txn), "SHOW transaction_isolation"), "repeatable read");
    ck_assert_str_eq(value_on(connection_of(txn), "SHOW transaction_read_only"), "on");
    driver->rollback(txn);
}
END_TEST

START_TEST(limits_of_the_servers_stay_where_we_have_none)
{
    flagver_driver_txn *txn;

    sql("ALTER ROLE " ROLE " SET statement_timeout = '7min'");
    driver->close(store);
    store = open_named(database, ROLE, "flagver_statement_ms=0&flagver_idle_ms=0", 0);
    txn = writing();
    ck_assert_str_eq(value_on(connection_of(txn), "SHOW statement_timeout"), "7min");
    ck_assert_str_eq(value_on(connection_of(txn), "SHOW lock_timeout"), "1ms");
    driver->rollback(txn);
    sql("ALTER ROLE " ROLE " RESET statement_timeout");
}
END_TEST

START_TEST(what_is_acknowledged_is_on_the_disk_whatever_the_database_says)
{
    static const char *const settings[][2] = { { "off", "on" },
                                               { "on", "on" },
                                               { "local", "local" } };
    flagver_driver_txn *txn;
    char more[80];
    size_t i;

    for (i = 0; i < sizeof settings / sizeof *settings; i++) {
        driver->close(store);
        snprintf(more, sizeof more, "options=-csynchronous_commit%%3D%s", settings[i][0]);
        store = open_named(database, ROLE, more, WAIT_MS);
        txn = writing();
        ck_assert_str_eq(value_on(connection_of(txn), "SHOW synchronous_commit"), settings[i][1]);
        driver->rollback(txn);
    }
}
END_TEST

START_TEST(functions_of_the_databases_are_not_taken_for_the_servers)
{
    flagver_driver_txn *txn;

    driver->close(store);
    make_deceit();
    store = open_named(database, ROLE, "options=-csearch_path%3D" DECEIT, WAIT_MS);
    put(store, "a", "1");
    ck_assert_uint_eq(changes(store), 1);
    ck_assert_str_eq(current(store, "a"), "1");
    txn = writing();
    add_row(txn, "key");
    assert_ok(driver->commit(txn, &error));
    ck_assert(outcome(store, "key"));
}
END_TEST

START_TEST(a_role_that_no_policy_binds_works_for_the_default_tenant_only)
{
    flagver_store *superusers = open_as("postgres", WAIT_MS);
    flagver_driver_txn *txn = NULL;

    put(superusers, "a", "1");
    assert_fails(FLAGVER_EDENIED,
                 driver->begin(superusers, text("other"), FLAGVER_MODE_READ, &txn, &error));
    assert_words("\"postgres\"");
    assert_words("BYPASSRLS");
    assert_words("flagver.admit");
    assert_fails(FLAGVER_EDENIED,
                 driver->begin(superusers, text("other"), FLAGVER_MODE_WRITE, &txn, &error));
    assert_ok(driver->begin(store, text("other"), FLAGVER_MODE_WRITE, &txn, &error));
    driver->rollback(txn);
    assert_ok(driver->begin(superusers, text(""), FLAGVER_MODE_READ, &txn, &error));
    driver->rollback(txn);
    driver->close(superusers);
}
END_TEST

START_TEST(without_a_tenant_there_is_only_reading)
{
    flagver_driver_txn *txn = NULL;

    assert_fails(FLAGVER_EINVAL, driver->begin(store, text(""), FLAGVER_MODE_WRITE, &txn, &error));
    assert_words("tenant");
    assert_ok(driver->begin(store, text(""), FLAGVER_MODE_READ, &txn, &error));
    assert_ok(driver->commit(txn, &error));
}
END_TEST

START_TEST(a_connection_that_has_died_meanwhile_is_replaced)
{
    static const int modes[] = { FLAGVER_MODE_READ, FLAGVER_MODE_WRITE };
    flagver_driver_txn *txns[2], *txn;
    int pid;
    size_t i, n;

    for (i = 0; i < 2; i++) {
        for (n = 0; n < 2; n++)
            txns[n] = begin(store, modes[i]);
        pid = PQbackendPID(connection_of(txns[0]));
        driver->rollback(txns[1]);
        driver->rollback(txns[0]);
        sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE usename = '" ROLE "' AND datname = current_database()");
        txn = begin(store, modes[i]);
        ck_assert_int_ne(PQbackendPID(connection_of(txn)), pid);
        assert_ok(driver->commit(txn, &error));
    }
}
END_TEST

/* It looks alive when it is taken, and is not: as when the server goes at that very moment. */
START_TEST(a_connection_that_dies_under_begin_is_replaced)
{
    flagver_driver_txn *txn = writing();
    struct fv_pg *conn = txn->conn;

    assert_ok(driver->commit(txn, &error));
    ck_assert_int_eq(shutdown(PQsocket(conn->pq), SHUT_WR), 0);
    txn = writing();
    add_row(txn, "key");
    assert_ok(driver->commit(txn, &error));
    ck_assert(has_row("key"));
}
END_TEST

START_TEST(a_schema_that_is_gone_is_asked_for_by_name)
{
    flagver_driver_txn *txn = NULL;

    sql("DROP SCHEMA flagver CASCADE");
    assert_fails(FLAGVER_ESCHEMA,
                 driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, &error));
    assert_words("schema up");
    assert_fails(FLAGVER_ESCHEMA,
                 driver->begin(store, text("default"), FLAGVER_MODE_WRITE, &txn, &error));
}
END_TEST

START_TEST(a_schema_of_another_version_is_refused)
{
    flagver_driver_txn *txn = NULL;

    sql("UPDATE flagver.meta SET version = 99, compatible = 2");
    driver->rollback(reading());
    sql("UPDATE flagver.meta SET compatible = 99");
    assert_fails(FLAGVER_ESCHEMA,
                 driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, &error));
    assert_words("99");
}
END_TEST

START_TEST(another_store_in_its_place_is_noticed)
{
    flagver_driver_txn *txn = NULL;

    driver->rollback(reading());
    sql("SET session_replication_role = replica;"
        "UPDATE flagver.meta SET store = gen_random_uuid()");
    assert_fails(FLAGVER_EUNAVAILABLE,
                 driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, &error));
    assert_words("another store");
}
END_TEST

/* ---- commit ---- */

START_TEST(a_transaction_that_the_server_has_given_up_is_not_committed)
{
    flagver_driver_txn *txn = writing();

    add_row(txn, "key");
    ck_assert_str_eq(run_on(connection_of(txn), "SELECT 1 / 0"), "22012");
    assert_fails(FLAGVER_EBUSY, driver->commit(txn, &error));
    assert_words("rolled");
    ck_assert(!has_row("key"));
    ck_assert(!outcome(store, "key"));
}
END_TEST

START_TEST(what_is_refused_at_the_commit_leaves_nothing)
{
    flagver_driver_txn *txn = writing();
    struct record record;

    start_record(txn, &record, "a", "1");
    /* the series says that there is a version, which never comes */
    assert_ok(driver->apply(txn, record.changes, 1, &error));
    add_row(txn, "key");
    assert_fails(FLAGVER_ECORRUPT, driver->commit(txn, &error));
    ck_assert_str_eq(error.sqlstate, "23503");
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver.series"), "0");
    ck_assert(!outcome(store, "key"));
    put(store, "a", "1"); /* and the connection is fine */
}
END_TEST

/* At the commit, when what has been deferred is checked, the server process ends itself. */
static const char dies_at_commit[] =
    "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$\n"
    "BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
    "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON flagver.keyed DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW WHEN (NEW.key = 'deadly') EXECUTE FUNCTION die()";

START_TEST(a_commit_without_an_answer_is_found_out)
{
    flagver_driver_txn *txn;

    sql(dies_at_commit);
    txn = writing();
    add_row(txn, "deadly");
    add_row(txn, "key");
    assert_fails(FLAGVER_EUNKNOWN, driver->commit(txn, &error));
    ck_assert(!outcome(store, "key"));

    txn = writing();
    add_row(txn, "key");
    ck_assert_int_eq(PQsendQuery(connection_of(txn), "COMMIT"), 1);
    while (!has_row("key")) /* it is there, and nobody reads the answer */
        ;
    ck_assert_int_eq(shutdown(PQsocket(connection_of(txn)), SHUT_RDWR), 0);
    driver->rollback(txn);
    ck_assert(outcome(store, "key"));
}
END_TEST

/* The server has ended the transaction before it was asked to commit it. */
START_TEST(what_ended_before_the_commit_was_not_committed)
{
    flagver_driver_txn *txn = writing();

    add_row(txn, "key");
    terminate(txn);
    assert_fails(FLAGVER_EUNAVAILABLE, driver->commit(txn, &error));
    assert_words("nothing has happened");

    driver->close(store);
    store = open_named(database, ROLE, "flagver_idle_ms=1", WAIT_MS);
    txn = writing();
    while (*answer("SELECT 1 FROM pg_stat_activity WHERE usename = '" ROLE "'"
                   " AND datname = current_database() AND xact_start IS NOT NULL"))
        ;
    assert_fails(FLAGVER_EUNAVAILABLE, driver->commit(txn, &error));
}
END_TEST

START_TEST(after_a_loss_that_was_noticed_nothing_is_unknown)
{
    flagver_driver_txn *txn = writing();

    terminate(txn);
    assert_fails(FLAGVER_EUNAVAILABLE, apply_row(txn, "request", "key"));
    assert_fails(FLAGVER_EUNAVAILABLE, driver->commit(txn, &error));
    assert_words("nothing has happened");
}
END_TEST

START_TEST(after_a_refusal_there_is_only_rolling_back)
{
    flagver_driver_txn *txn = writing();
    struct record record;
    uint64_t size;

    start_record(txn, &record, "a", "1");
    record.changes[0].expect = 77;
    assert_fails(FLAGVER_ECONFLICT, driver->apply(txn, record.changes, record.count, &error));
    assert_fails(FLAGVER_EINVAL, driver->lock(txn, &record.series, 1, 0, &error));
    assert_words("rolled back");
    assert_fails(FLAGVER_EINVAL, driver->lock_log(txn, &size, &error));
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver.series"), "0");
}
END_TEST

/* ---- fork ---- */

static flagver_series_row series_a(void)
{
    return (flagver_series_row){ .tenant = text("default"),
                                 .phase = text("phase"),
                                 .subject = text("a") };
}

/* Locks the series and forks a child that does nothing, whose number it tells. */
static void lock_and_fork(int said)
{
    flagver_series_row series = series_a();
    flagver_driver_txn *txn = begin(open_as(ROLE, WAIT_MS), FLAGVER_MODE_WRITE);
    pid_t child;

    assert_ok(driver->lock(txn, &series, 1, 0, &error));
    add_row(txn, "key");
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    if (write(said, &child, sizeof child) != (ssize_t)sizeof child)
        _exit(EXIT_FAILURE);
}

/* Else what it had locked would be locked for as long as its child lives. */
START_TEST(a_process_that_is_killed_is_gone_for_the_server_though_its_child_lives)
{
    flagver_series_row series = series_a();
    flagver_driver_txn *txn;
    pid_t parent, child;
    int ends[2], status;

    put(store, "a", "1");
    ck_assert_int_eq(pipe(ends), 0);
    parent = fork();
    if (parent == 0) {
        lock_and_fork(ends[1]);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], &child, sizeof child), sizeof child);
    kill(parent, SIGKILL);
    ck_assert_int_eq(waitpid(parent, &status, 0), parent);
    txn = writing();
    assert_ok(driver->lock(txn, &series, 1, 0, &error));
    assert_ok(driver->commit(txn, &error));
    ck_assert(!has_row("key"));
    kill(child, SIGKILL);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* And its own end is none for the parent. */
START_TEST(a_child_that_ends_leaves_the_parents_sessions_alone)
{
    flagver_store *listening = open_as(ROLE, WAIT_MS);
    struct pollfd watched = { .fd = driver->watch_fd(listening), .events = POLLIN };
    flagver_driver_txn *txn = writing();
    int status, pid = PQbackendPID(connection_of(txn));
    pid_t child;

    do
        changes(listening);
    while (poll(&watched, 1, 0) > 0);
    add_row(txn, "key");
    child = fork();
    if (child == 0) {
        driver->abandon(store);
        _exit(EXIT_SUCCESS);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    put_in(txn, "a", "1");
    assert_ok(driver->commit(txn, &error));
    ck_assert(has_row("key"));
    txn = writing();
    ck_assert_int_eq(PQbackendPID(connection_of(txn)), pid);
    driver->rollback(txn);
    ck_assert_int_eq(poll(&watched, 1, -1), 1); /* it hears, too */
    ck_assert_uint_eq(changes(listening), 1);
    driver->close(listening);
}
END_TEST

/* ---- outcomes ---- */

START_TEST(an_outcome_is_that_of_the_row)
{
    flagver_driver_txn *txn = writing();

    add_row(txn, "key");
    assert_ok(driver->commit(txn, &error));
    ck_assert(outcome(store, "key"));
    ck_assert(!outcome(store, "another"));
    ck_assert(!has_row("another")); /* asking leaves nothing */
}
END_TEST

#define REMNANT                                                        \
    "BEGIN; SELECT set_config('flagver.tenant', 'default', true);"     \
    "INSERT INTO flagver.keyed (tenant, space, key, rev, time, value)" \
    " VALUES ('default', 'request', 'key', 1, 1, '')"

START_TEST(a_remnant_that_may_still_commit_is_ended)
{
    flagver_store *other = open_as(ROLE, SHORT_MS);
    PGconn *remnant = connect_as(ROLE);

    assert_run(remnant, REMNANT);
    ck_assert(!outcome(other, "key"));
    run_on(remnant, "COMMIT");
    ck_assert_int_eq(PQstatus(remnant), CONNECTION_BAD);
    ck_assert(!has_row("key"));
    PQfinish(remnant);
    driver->close(other);
}
END_TEST

START_TEST(what_another_role_has_left_is_not_ours_to_end)
{
    flagver_store *other = open_as(ROLE, SHORT_MS);
    PGconn *remnant = connect_as("owner");
    bool committed;

    assert_run(remnant, REMNANT);
    assert_fails(FLAGVER_EBUSY,
                 driver->outcome(other, text("default"), text("key"), &committed, &error));
    assert_words("role");
    assert_run(remnant, "COMMIT");
    ck_assert(outcome(other, "key"));
    PQfinish(remnant);
    driver->close(other);
}
END_TEST

START_TEST(with_all_connections_in_use_a_remnant_is_ended_still)
{
    flagver_store *other = open_named(database, ROLE, "flagver_pool=1", SHORT_MS);
    PGconn *remnant = connect_as(ROLE);

    assert_run(remnant, REMNANT);
    ck_assert(!outcome(other, "key"));
    PQfinish(remnant);
    driver->close(other);
}
END_TEST

/* ---- locks ---- */

static flagver_series_row named(const char *subject)
{
    return (flagver_series_row){ .tenant = text("default"),
                                 .phase = text("phase"),
                                 .subject = text(subject) };
}

static const char lock_b[] = "BEGIN; SELECT set_config('flagver.tenant', 'default', true);"
                             "SELECT FROM flagver.series WHERE subject = 'b' FOR UPDATE";

START_TEST(what_is_only_tried_leaves_the_transaction_as_it_was)
{
    flagver_series_row rows[] = { named("a"), named("b"), named("c") }, one = named("b");
    PGconn *other = connect_as(ROLE);
    flagver_driver_txn *txn;

    put(store, "a", "1");
    put(store, "b", "1");
    assert_run(other, lock_b);
    txn = writing();
    assert_fails(FLAGVER_EBUSY, driver->lock(txn, rows, 3, 1, &error));
    assert_fails(FLAGVER_EBUSY, driver->lock(txn, &one, 1, 1, &error));
    add_row(txn, "key");
    assert_run(other, "ROLLBACK");
    assert_ok(driver->lock(txn, rows, 3, 1, &error));
    ck_assert_uint_eq(rows[0].last_no, 1);
    ck_assert_uint_eq(rows[1].last_no, 1);
    ck_assert_int_eq(rows[2].rev, 0);
    assert_ok(driver->commit(txn, &error));
    ck_assert(has_row("key"));
    PQfinish(other);
}
END_TEST

START_TEST(many_series_are_each_found_by_its_own_name)
{
    flagver_series_row rows[] = { named("a"), named("b"), named("c"), named("d") };
    flagver_driver_txn *txn;

    put(store, "d", "1");
    put(store, "b", "1");
    txn = writing();
    rows[3].phase = text("phasf"); /* of the same subject, but another */
    assert_ok(driver->lock(txn, rows, 4, 0, &error));
    ck_assert_int_eq(rows[0].rev, 0);
    ck_assert_uint_eq(rows[1].current_no, 1);
    ck_assert_int_eq(rows[2].rev, 0);
    ck_assert_int_eq(rows[3].rev, 0);
    ck_assert(is_text(rows[1].subject, "b"));
    driver->rollback(txn);
}
END_TEST

START_TEST(of_many_series_those_before_the_one_that_is_waited_for_are_locked_first)
{
    flagver_series_row rows[] = { named("a"), named("b"), named("c") };
    flagver_store *other = open_as(ROLE, SHORT_MS);
    PGconn *holder = connect_as(ROLE), *looker = connect_as(ROLE);
    flagver_driver_txn *txn;

    put(store, "c", "1"); /* so that the order of the rows is another one */
    put(store, "b", "1");
    put(store, "a", "1");
    assert_run(holder, lock_b);
    txn = begin(other, FLAGVER_MODE_WRITE);
    assert_run(looker, "BEGIN; SELECT set_config('flagver.tenant', 'default', true)");
    /* It fails, but what it had locked until then shows in the rows. */
    assert_fails(FLAGVER_EBUSY, driver->lock(txn, rows, 3, 0, &error));
    ck_assert_str_ne(value_on(looker, "SELECT xmax::text FROM flagver.series WHERE subject = 'a'"),
                     "0");
    ck_assert_str_eq(value_on(looker, "SELECT xmax::text FROM flagver.series WHERE subject = 'c'"),
                     "0");
    driver->rollback(txn);
    PQfinish(looker);
    PQfinish(holder);
    driver->close(other);
}
END_TEST

struct appender {
    uint64_t size;
    int result;
};

static void *append_leaf(void *data)
{
    struct appender *appender = data;
    flagver_leaf_row leaf = { .tenant = text("default"), .leaf = text("leaf") };
    flagver_change change = { .kind = FLAGVER_CHANGE_LEAF };
    flagver_driver_txn *txn;

    appender->result = driver->begin(store, text("default"), FLAGVER_MODE_WRITE, &txn, NULL);
    if (appender->result == 0)
        appender->result = driver->lock_log(txn, &appender->size, NULL);
    leaf.no = appender->size;
    change.row.leaf = &leaf;
    if (appender->result == 0)
        appender->result = driver->apply(txn, &change, 1, NULL);
    if (appender->result == 0)
        appender->result = driver->commit(txn, NULL);
    return NULL;
}

/* Until something waits for a lock of this kind. */
static void wait_for(const char *kind)
{
    const struct timespec pause = { 0, 1000000 };
    char query[200];

    snprintf(query, sizeof query,
             "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = '%s' AND database ="
             " (SELECT oid FROM pg_database WHERE datname = current_database())",
             kind);
    while (!*answer(query))
        nanosleep(&pause, NULL);
}

START_TEST(of_two_who_append_the_first_leaf_one_waits_for_the_other)
{
    struct appender appender = { .size = 99 };
    flagver_driver_txn *txn = writing();
    flagver_leaf_row leaf = { .tenant = text("default"), .leaf = text("leaf") };
    flagver_change change = { .kind = FLAGVER_CHANGE_LEAF };
    pthread_t thread;

    assert_ok(driver->lock_log(txn, &leaf.no, &error));
    ck_assert_uint_eq(leaf.no, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, append_leaf, &appender), 0);
    wait_for("advisory");
    change.row.leaf = &leaf;
    assert_ok(driver->apply(txn, &change, 1, &error));
    assert_ok(driver->commit(txn, &error));
    pthread_join(thread, NULL);
    ck_assert_int_eq(appender.result, 0);
    ck_assert_uint_eq(appender.size, 1);
    ck_assert_uint_eq(changes(store), 2);
}
END_TEST

/* What everybody on the server can see. */
static uint64_t number_of_first_leaf(void)
{
    flagver_store *opened = open_as(ROLE, WAIT_MS);
    flagver_driver_txn *txn = begin(opened, FLAGVER_MODE_WRITE);
    uint64_t size, number;

    assert_ok(driver->lock_log(txn, &size, &error));
    number = strtoull(answer("SELECT classid::bigint << 32 | objid::bigint FROM pg_locks"
                             " WHERE locktype = 'advisory' AND database ="
                             " (SELECT oid FROM pg_database WHERE datname = current_database())"),
                      NULL, 10);
    driver->rollback(txn);
    driver->close(opened);
    return number;
}

START_TEST(from_the_number_of_a_lock_nobody_guesses_the_tenant)
{
    uint64_t number = number_of_first_leaf();

    ck_assert_uint_ne(number, 0);
    ck_assert_uint_eq(number_of_first_leaf(), number);
    sql("SET session_replication_role = replica; UPDATE flagver.meta SET store = "
        "gen_random_uuid()");
    ck_assert_uint_ne(number_of_first_leaf(), number);
}
END_TEST

START_TEST(who_locks_a_log_without_leaves_and_leaves_it_so_is_in_nobodys_way)
{
    flagver_driver_txn *txn = writing();
    uint64_t size = 99;

    assert_ok(driver->lock_log(txn, &size, &error));
    ck_assert_uint_eq(size, 0);
    assert_ok(driver->commit(txn, &error));
    txn = writing();
    assert_ok(driver->lock_log(txn, &size, &error));
    ck_assert_uint_eq(size, 0);
    driver->rollback(txn);
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver.log"), "0");
}
END_TEST

/* As some upkeep of the database's does; a process that polls holds up who wants to fork. */
START_TEST(who_only_asks_does_not_wait_for_ever_for_a_table_that_is_locked)
{
    flagver_store *other = open_as(ROLE, SHORT_MS);
    PGconn *upkeep = connect_as("postgres");
    uint64_t size;

    put(store, "a", "1");
    ck_assert_uint_eq(changes(other), 1);
    assert_run(upkeep, "BEGIN; LOCK TABLE flagver.log IN ACCESS EXCLUSIVE MODE");
    assert_fails(FLAGVER_EBUSY, driver->changes(other, text("default"), &size, &error));
    assert_fails(FLAGVER_EBUSY, driver->ping(other, &error));
    assert_run(upkeep, "ROLLBACK");
    ck_assert_uint_eq(changes(other), 1);
    PQfinish(upkeep);
    driver->close(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres txn");
    TCase *tcase = tcase_create("begin");
    int r;

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, connecting_prints_nothing);
    tcase_add_loop_test(tcase, a_host_that_says_nothing_is_given_up_and_passed_over, 0, 2);
    tcase_add_test(tcase, what_holds_for_a_transaction_is_set_for_it_alone);
    tcase_add_test(tcase, limits_of_the_servers_stay_where_we_have_none);
    tcase_add_test(tcase, what_is_acknowledged_is_on_the_disk_whatever_the_database_says);
    tcase_add_test(tcase, functions_of_the_databases_are_not_taken_for_the_servers);
    tcase_add_test(tcase, a_role_that_no_policy_binds_works_for_the_default_tenant_only);
    tcase_add_test(tcase, without_a_tenant_there_is_only_reading);
    tcase_add_test(tcase, a_connection_that_has_died_meanwhile_is_replaced);
    tcase_add_test(tcase, a_connection_that_dies_under_begin_is_replaced);
    tcase_add_test(tcase, a_schema_that_is_gone_is_asked_for_by_name);
    tcase_add_test(tcase, a_schema_of_another_version_is_refused);
    tcase_add_test(tcase, another_store_in_its_place_is_noticed);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("commit");
    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_transaction_that_the_server_has_given_up_is_not_committed);
    tcase_add_test(tcase, what_is_refused_at_the_commit_leaves_nothing);
    tcase_add_test(tcase, a_commit_without_an_answer_is_found_out);
    tcase_add_test(tcase, what_ended_before_the_commit_was_not_committed);
    tcase_add_test(tcase, after_a_loss_that_was_noticed_nothing_is_unknown);
    tcase_add_test(tcase, after_a_refusal_there_is_only_rolling_back);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("fork");
    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_process_that_is_killed_is_gone_for_the_server_though_its_child_lives);
    tcase_add_test(tcase, a_child_that_ends_leaves_the_parents_sessions_alone);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("outcome");
    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_outcome_is_that_of_the_row);
    tcase_add_test(tcase, a_remnant_that_may_still_commit_is_ended);
    tcase_add_test(tcase, what_another_role_has_left_is_not_ours_to_end);
    tcase_add_test(tcase, with_all_connections_in_use_a_remnant_is_ended_still);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("locks");
    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_is_only_tried_leaves_the_transaction_as_it_was);
    tcase_add_test(tcase, many_series_are_each_found_by_its_own_name);
    tcase_add_test(tcase, of_many_series_those_before_the_one_that_is_waited_for_are_locked_first);
    tcase_add_test(tcase, of_two_who_append_the_first_leaf_one_waits_for_the_other);
    tcase_add_test(tcase, from_the_number_of_a_lock_nobody_guesses_the_tenant);
    tcase_add_test(tcase, who_locks_a_log_without_leaves_and_leaves_it_so_is_in_nobodys_way);
    tcase_add_test(tcase, who_only_asks_does_not_wait_for_ever_for_a_table_that_is_locked);
    suite_add_tcase(suite, tcase);

    prepare_cluster();
    r = run_suite(suite);
    clean_cluster();
    return r;
}
