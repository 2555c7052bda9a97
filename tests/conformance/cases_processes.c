/*
 * Processes: several use one store, some end in the middle of it, some are forked
 * while a store is open. Children begin with what the driver makes anew there.
 */
#define _POSIX_C_SOURCE 200809L /* fork() */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define PROCESSES 3
#define ROUNDS 15

static int open_here(flagver_store **ret_store)
{
    flagver_driver_config config = { .size = sizeof config,
                                     .path = conform.path,
                                     .wait_ms = CONFORM_WAIT_MS };

    return conform_try_open(&config, ret_store);
}

/* A keyed row in a transaction that stays open. */
static int begin_row(flagver_store *store, const char *key, flagver_driver_txn **ret_txn)
{
    flagver_keyed_row row = conform_keyed("space", key, 1, "");
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED };
    int r;

    change.row.keyed = &row;
    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE, ret_txn,
                              &conform_error);
    return r < 0 ? r : conform.driver->apply(*ret_txn, &change, 1, &conform_error);
}

static int write_row(flagver_store *store, const char *key)
{
    flagver_driver_txn *txn;
    int r = begin_row(store, key, &txn);

    return r < 0 ? r : conform.driver->commit(txn, &conform_error);
}

static bool is_there(const char *key)
{
    const flagver_query query = conform_keyed_of("space", key);
    flagver_driver_txn *txn = conform_read();
    size_t count = conform_count(txn, &query);

    conform_rollback(txn);
    return count == 1;
}

/* ---- ending in the middle ---- */

struct victim {
    bool commits;
    bool with_a_reader;
};

/* One row is committed; of the second one only the changes are handed over. */
static int end_abruptly(void *data)
{
    const struct victim *victim = data;
    const flagver_query query = conform_keyed_of("space", NULL);
    flagver_driver_txn *txn, *reader;
    flagver_cursor *cursor;
    flagver_store *store;
    flagver_row row;

    if (open_here(&store) < 0)
        return conform_complain("open");
    if (write_row(store, "committed") < 0)
        return conform_complain("writing the first row");
    if (victim->with_a_reader &&
        (conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_READ, &reader,
                               &conform_error) < 0 ||
         conform.driver->scan(reader, &query, &cursor, &conform_error) < 0 ||
         conform.driver->next(cursor, &row, &conform_error) < 0))
        return conform_complain("reading");
    if (begin_row(store, "open", &txn) < 0)
        return conform_complain("writing the second row");
    if (victim->commits && conform.driver->commit(txn, &conform_error) < 0)
        return conform_complain("commit");
    return 0; /* to _exit(): nothing is closed */
}

START_TEST(what_a_process_committed_stays_and_what_it_did_not_is_gone)
{
    struct victim victims[] = {
        { false, false }, { false, true }, { true, false }, { true, true }
    };
    flagver_driver_txn *txn;
    struct conform_batch batch = { .count = 0 };
    size_t i;

    for (i = 0; i < sizeof victims / sizeof *victims; i++) {
        conform_close(conform.store);
        conform.store = NULL;
        ck_assert_int_eq(conform_in_child(end_abruptly, &victims[i]), 0);
        conform.store = conform_open(CONFORM_WAIT_MS);
        ck_assert(is_there("committed"));
        ck_assert_msg(is_there("open") == victims[i].commits, "way %zu", i);

        /* Its locks are gone too. */
        txn = conform_write();
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE,
                          conform_keyed("space", "committed", 0, NULL), 1);
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE,
                          conform_keyed("space", "open", 0, NULL), FLAGVER_EXPECT_ANY);
        assert_ok(conform_apply(txn, &batch));
        conform_commit(txn);
    }
}
END_TEST

START_TEST(who_has_the_store_open_goes_on_when_another_process_ends)
{
    struct victim victim = { false, true };

    ck_assert_int_eq(conform_in_child(end_abruptly, &victim), 0);
    ck_assert(is_there("committed"));
    ck_assert(!is_there("open"));
    assert_ok(write_row(conform.store, "mine"));
    ck_assert(is_there("mine"));
}
END_TEST

/* ---- at once ---- */

/* One more version of a series that is there, and a keyed row. */
static int write_version(flagver_store *store, unsigned id, const char *key)
{
    flagver_series_row series = { .tenant = conform_text(TENANT),
                                  .phase = conform_text("phase"),
                                  .subject = conform_text("subject") };
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    flagver_driver_txn *txn;
    int r;

    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn,
                              &conform_error);
    if (r < 0)
        return r;
    r = conform.driver->lock(txn, &series, 1, 0, &conform_error);
    if (r == 0) {
        series.last_no++;
        series.rev++;
        version = conform_version(&series, series.last_no, FLAGVER_STATE_DRAFT);
        version.id = conform_id(id);
        version.payload_id = conform_id(id + 1000000);
        conform_add_series(&batch, series, series.rev - 1);
        conform_add_payload(&batch, conform_payload(&version, "{}"));
        conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", key, 1, ""), 0);
        r = conform_apply(txn, &batch);
    }
    if (r == 0)
        return conform.driver->commit(txn, &conform_error);
    conform.driver->rollback(txn);
    return r;
}

static int write_versions(void *data)
{
    unsigned number = *(const unsigned *)data, round, tries = 0;
    flagver_store *store;
    char key[32];
    int r;

    if (open_here(&store) < 0)
        return conform_complain("open");
    for (round = 0; round < ROUNDS; round++) {
        snprintf(key, sizeof key, "%u of %u", round, number);
        do
            r = write_version(store, 1000 * (number + 1) + round, key);
        while (r == FLAGVER_EBUSY && ++tries < 10000);
        if (r < 0)
            return conform_complain(key);
    }
    conform.driver->close(store);
    return 0;
}

/* All of them run at once; whether each returned 0. */
static bool run_together(int (*body)(void *data))
{
    unsigned numbers[PROCESSES], i;
    pid_t children[PROCESSES];
    bool fine = true;
    int status;

    for (i = 0; i < PROCESSES; i++) {
        numbers[i] = i;
        children[i] = fork();
        ck_assert_msg(children[i] >= 0, "there is no child process");
        if (children[i] == 0)
            _exit(body(&numbers[i]));
    }
    for (i = 0; i < PROCESSES; i++) {
        ck_assert(waitpid(children[i], &status, 0) == children[i]);
        fine &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return fine;
}

START_TEST(processes_that_write_at_once_lose_nothing)
{
    const flagver_query all = conform_keyed_of("space", NULL), series = conform_all_series(),
                        versions = conform_all_versions();
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    struct conform_rows rows;

    conform_add_series(&batch, conform_series(1, "phase", "subject"), 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    conform_close(conform.store);
    conform.store = NULL;
    ck_assert(run_together(write_versions));

    conform.store = conform_open(CONFORM_WAIT_MS);
    txn = conform_read();
    ck_assert_uint_eq(conform_count(txn, &all), PROCESSES * ROUNDS);
    conform_one(txn, &series, &rows);
    ck_assert_uint_eq(rows.rows[0].as.series.last_no, PROCESSES * ROUNDS);
    ck_assert_int_eq(rows.rows[0].as.series.rev, 1 + PROCESSES * ROUNDS);
    conform_free(&rows);
    ck_assert_uint_eq(conform_count(txn, &versions), PROCESSES * ROUNDS);
    conform_rollback(txn);
}
END_TEST

static int open_and_ping(void *data)
{
    flagver_store *store;
    uint32_t version;

    (void)data;
    if (open_here(&store) < 0 || conform.driver->ping(store, &conform_error) < 0 ||
        conform.driver->schema_version(store, &version, &conform_error) < 0)
        return conform_complain("opening a fresh place");
    conform.driver->close(store);
    return version == FLAGVER_SCHEMA_VERSION ? 0 : conform_complain("another schema");
}

START_TEST(processes_may_open_a_fresh_place_at_once)
{
    int round;

    for (round = 0; round < 5; round++) {
        conform_close(conform.store);
        conform.store = NULL;
        conform.target->remove_place(conform.target->data, conform.path);
        ck_assert_int_eq(
            conform.target->make_place(conform.target->data, conform.path, sizeof conform.path), 0);
        ck_assert(run_together(open_and_ping));
        conform.store = conform_open(CONFORM_WAIT_MS);
        conform_check_empty(conform.store);
    }
}
END_TEST

static int migrate_up(void *data)
{
    flagver_store *store = conform.store;

    (void)data;
    conform.driver->abandon(store);
    if (open_here(&store) < 0 ||
        conform.driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &conform_error) < 0)
        return conform_complain("migrating");
    conform.driver->close(store);
    return 0;
}

START_TEST(processes_may_migrate_at_once)
{
    uint32_t version = 99;

    assert_ok(conform.driver->schema_migrate(conform.store, 0, &conform_error));
    ck_assert(run_together(migrate_up));
    assert_ok(conform.driver->schema_version(conform.store, &version, &conform_error));
    ck_assert_uint_eq(version, FLAGVER_SCHEMA_VERSION);
    conform_check_empty(conform.store);
}
END_TEST

/* ---- forking with a store open ---- */

/* In the child: give the parent's store up, and use one of our own. */
static int abandon_and_open(void *data)
{
    const flagver_query query = conform_keyed_of("space", NULL);
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    flagver_store *store;
    flagver_row row;
    int r;

    (void)data;
    conform.driver->abandon(conform.store);
    if (open_here(&store) < 0)
        return conform_complain("open");
    if (conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_READ, &txn,
                              &conform_error) < 0 ||
        conform.driver->scan(txn, &query, &cursor, &conform_error) < 0)
        return conform_complain("reading");
    r = conform.driver->next(cursor, &row, &conform_error);
    conform.driver->end_scan(cursor);
    conform.driver->rollback(txn);
    conform.driver->close(store);
    return r == 1 ? 0 : conform_complain("the row of the parent");
}

START_TEST(a_child_abandons_the_store_and_opens_its_own)
{
    assert_ok(write_row(conform.store, "before"));
    ck_assert_int_eq(conform_in_child(abandon_and_open, NULL), 0);
    assert_ok(write_row(conform.store, "after"));
    ck_assert(is_there("before"));
    ck_assert(is_there("after"));
}
END_TEST

/*
 * A process that looks at the store when it is told to. It is forked before the store is
 * opened: what a child inherits of a transaction may keep it from opening the store itself.
 */
static struct {
    pid_t child;
    int ask[2], answer[2];
} witness;

/* Is the series locked? 1, 0, or 'e' for an error. */
static char find_busy(void)
{
    flagver_driver_config config = { .size = sizeof config,
                                     .path = conform.path,
                                     .wait_ms = CONFORM_SHORT_MS };
    flagver_series_row row = { .tenant = conform_text(TENANT),
                               .phase = conform_text("phase"),
                               .subject = conform_text("subject") };
    flagver_driver_txn *txn;
    flagver_store *store;
    int r;

    if (conform.driver->open(&config, &store, &conform_error) < 0)
        return 'e';
    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn,
                              &conform_error);
    if (r == 0) {
        r = conform.driver->lock(txn, &row, 1, 1, &conform_error);
        conform.driver->rollback(txn);
    }
    conform.driver->close(store);
    return r == 0 ? 0 : r == FLAGVER_EBUSY ? 1 : 'e';
}

static void start_witness(void)
{
    char question, answer;

    ck_assert(pipe(witness.ask) == 0 && pipe(witness.answer) == 0);
    witness.child = fork();
    ck_assert_msg(witness.child >= 0, "there is no child process");
    if (witness.child > 0) {
        close(witness.ask[0]);
        close(witness.answer[1]);
        return;
    }
    close(witness.ask[1]);
    close(witness.answer[0]);
    while (read(witness.ask[0], &question, 1) == 1) {
        answer = find_busy();
        if (answer == 'e')
            conform_complain("a look at the store");
        if (write(witness.answer[1], &answer, 1) != 1)
            break;
    }
    _exit(0);
}

static bool witness_finds_busy(void)
{
    char answer = 'e';

    ck_assert(write(witness.ask[1], "?", 1) == 1);
    ck_assert(read(witness.answer[0], &answer, 1) == 1);
    ck_assert_msg(answer != 'e', "the witness could not look at the store");
    return answer == 1;
}

static void end_witness(void)
{
    close(witness.ask[1]);
    close(witness.answer[0]);
    ck_assert(waitpid(witness.child, NULL, 0) == witness.child);
}

static int abandon_only(void *data)
{
    conform.driver->abandon(data);
    return 0;
}

START_TEST(a_child_leaves_the_parents_transaction_alone)
{
    const flagver_query query = conform_all_versions();
    flagver_version_row version;
    flagver_series_row series, row;
    flagver_driver_txn *txn;

    series = conform_draft(1, "phase", "subject", &version);
    conform_close(conform.store);
    conform.store = NULL;
    start_witness();
    conform.store = conform_open(CONFORM_WAIT_MS);

    row = series;
    txn = conform_write();
    assert_ok(conform.driver->lock(txn, &row, 1, 0, &conform_error));
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    ck_assert(witness_finds_busy());
    ck_assert_int_eq(conform_in_child(abandon_only, conform.store), 0);
    ck_assert_msg(witness_finds_busy(), "a child that abandoned the store took the lock with it");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "3");
    conform_commit(txn);
    ck_assert(!witness_finds_busy());
    end_witness();

    txn = conform_read();
    ck_assert_uint_eq(conform_count(txn, &query), 3);
    conform_rollback(txn);
}
END_TEST

void conform_process_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "processes");

    conform_add(tcase, NEEDS_REOPEN, what_a_process_committed_stays_and_what_it_did_not_is_gone);
    conform_add(tcase, NEEDS_PROCESSES, who_has_the_store_open_goes_on_when_another_process_ends);
    conform_add(tcase, NEEDS_PROCESSES, processes_that_write_at_once_lose_nothing);
    conform_add(tcase, NEEDS_PROCESSES, processes_may_open_a_fresh_place_at_once);
    conform_add(tcase, NEEDS_PROCESSES, processes_may_migrate_at_once);
    conform_add(tcase, NEEDS_PROCESSES, a_child_abandons_the_store_and_opens_its_own);
    conform_add(tcase, NEEDS_PROCESSES, a_child_leaves_the_parents_transaction_alone);
}
