/*
 * The fault driver: without faults it is as good as the driver inside, and what is asked of
 * it happens.
 */
#include "../../examples/drivers/jsonfile.c"

#include "fault.h"
#include "fixture.h"

static struct flagver_fault *fault;

static flagver_store *store;
static char place[1024];

static void set_up(void)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_driver_config config = { .size = sizeof config, .path = place, .wait_ms = 5000 };

    ck_assert_int_eq(flagver_conformance_make_file(NULL, place, sizeof place), 0);
    assert_ok(driver->open(&config, &store, &conform_error));
    flagver_fault_reset(fault);
}

static void tear_down(void)
{
    flagver_fault_table(fault)->close(store);
    flagver_conformance_remove_file(NULL, place);
}

static flagver_driver_txn *start(int mode)
{
    flagver_driver_txn *txn;

    assert_ok(
        flagver_fault_table(fault)->begin(store, conform_text(TENANT), mode, &txn, &conform_error));
    return txn;
}

static int put_key(flagver_driver_txn *txn, const char *key)
{
    flagver_keyed_row row = conform_keyed("request", key, 1, "");
    flagver_change put = { .kind = FLAGVER_CHANGE_KEYED };

    put.row.keyed = &row;
    return flagver_fault_table(fault)->apply(txn, &put, 1, &conform_error);
}

/* A transaction that writes this key; what commit returned. */
static int write_key(const char *key)
{
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);

    assert_ok(put_key(txn, key));
    return flagver_fault_table(fault)->commit(txn, &conform_error);
}

static bool has_key(const char *key)
{
    bool committed;

    assert_ok(flagver_fault_table(fault)->outcome(store, conform_text(TENANT), conform_text(key),
                                                  &committed, &conform_error));
    return committed;
}

/* ---- a driver that has what may be missing ---- */

static int hold_nothing(flagver_driver_txn *txn, flagver_keyed_row *row, int64_t number, int shared,
                        flagver_error *err)
{
    (void)txn;
    (void)err;
    row->rev = number + shared;
    return 0;
}

static int nest_nothing(flagver_driver_txn *txn, int what, flagver_error *err)
{
    (void)txn;
    (void)what;
    (void)err;
    return 0;
}

static int lend_nothing(flagver_driver_txn *txn, flagver_adoption *adoption, flagver_error *err)
{
    (void)txn;
    (void)err;
    adoption->connection = place;
    return 0;
}

static flagver_driver grown;
static struct flagver_fault *bare;

static void set_up_grown(void)
{
    grown = jsonfile_driver;
    grown.name = "grown";
    grown.hold = hold_nothing;
    grown.nest = nest_nothing;
    grown.connection = lend_nothing;
    bare = fault;
    fault = flagver_fault_driver(&grown);
    set_up();
}

static void tear_down_grown(void)
{
    tear_down();
    fault = bare;
}

static void check_complaint(const char *wanted)
{
    const char *complaint = flagver_fault_complaint(fault);

    ck_assert_msg(complaint && strstr(complaint, wanted), "\"%s\" does not say \"%s\"",
                  complaint ? complaint : "", wanted);
}

/* ---- failing ---- */

START_TEST(the_table_is_the_drivers_under_another_name)
{
    const flagver_driver *driver = flagver_fault_table(fault);

    ck_assert_str_eq(driver->name, "fault-jsonfile");
    ck_assert_uint_eq(driver->capabilities, jsonfile_driver.capabilities);
    ck_assert(!driver->adopt);
    ck_assert_ptr_eq(flagver_fault_driver(&jsonfile_driver), fault);
}
END_TEST

START_TEST(the_nth_call_fails_once)
{
    flagver_fault_fail(fault, FLAGVER_FAULT_PING, 2, FLAGVER_EUNAVAILABLE, false);
    assert_ok(flagver_fault_table(fault)->ping(store, &conform_error));
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_fault_table(fault)->ping(store, &conform_error));
    assert_ok(flagver_fault_table(fault)->ping(store, &conform_error));
    ck_assert_uint_eq(flagver_fault_calls(fault, FLAGVER_FAULT_PING), 3);
    ck_assert_uint_eq(flagver_fault_failures(fault), 1);
}
END_TEST

START_TEST(calls_fail_from_the_nth_on)
{
    int i;

    flagver_fault_fail(fault, FLAGVER_FAULT_PING, 1, FLAGVER_EIO, true);
    for (i = 0; i < 3; i++)
        assert_fails(FLAGVER_EIO, flagver_fault_table(fault)->ping(store, &conform_error));
    flagver_fault_reset(fault);
    assert_ok(flagver_fault_table(fault)->ping(store, &conform_error));
}
END_TEST

START_TEST(calls_of_any_kind_are_counted_together)
{
    uint32_t version = 99;

    flagver_fault_fail(fault, FLAGVER_FAULT_ANY, 2, FLAGVER_EBUSY, false);
    assert_ok(flagver_fault_table(fault)->ping(store, &conform_error));
    assert_fails(FLAGVER_EBUSY,
                 flagver_fault_table(fault)->schema_version(store, &version, &conform_error));
    ck_assert_uint_eq(version, 99);
    assert_ok(flagver_fault_table(fault)->schema_version(store, &version, &conform_error));
    ck_assert_uint_eq(flagver_fault_calls(fault, FLAGVER_FAULT_ANY), 3);
}
END_TEST

START_TEST(what_fails_is_not_done)
{
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);

    flagver_fault_fail(fault, FLAGVER_FAULT_APPLY, 1, FLAGVER_ENOMEM, false);
    assert_fails(FLAGVER_ENOMEM, put_key(txn, "key"));
    assert_ok(flagver_fault_table(fault)->commit(txn, &conform_error));
    ck_assert(!has_key("key"));

    flagver_fault_fail(fault, FLAGVER_FAULT_COMMIT, 1, FLAGVER_EBUSY, false);
    assert_fails(FLAGVER_EBUSY, write_key("key"));
    ck_assert(!has_key("key"));
    assert_ok(write_key("key"));
    ck_assert(has_key("key"));
}
END_TEST

START_TEST(every_call_that_can_fail_does)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_driver_config config = { .size = sizeof config, .path = place, .wait_ms = 5000 };
    const flagver_query query = { .kind = FLAGVER_QUERY_TENANTS };
    flagver_store *other = NULL;
    flagver_driver_txn *txn, *none = NULL;
    flagver_cursor *cursor, *no_cursor = NULL;
    flagver_row row;
    uint64_t size;
    bool committed;
    char line[64];

    txn = start(FLAGVER_MODE_WRITE);
    assert_ok(driver->scan(txn, &query, &cursor, &conform_error));
    flagver_fault_fail(fault, FLAGVER_FAULT_ANY, 1, FLAGVER_EIO, true);
    assert_fails(FLAGVER_EIO, driver->open(&config, &other, &conform_error));
    assert_fails(FLAGVER_EIO, driver->describe(store, line, sizeof line, &conform_error));
    assert_fails(FLAGVER_EIO, driver->schema_migrate(store, 0, &conform_error));
    assert_fails(FLAGVER_EIO, driver->schema_verify(store, NULL, NULL, NULL, &conform_error));
    assert_fails(FLAGVER_EIO, driver->begin(store, conform_text(TENANT), FLAGVER_MODE_READ, &none,
                                            &conform_error));
    assert_fails(FLAGVER_EIO, driver->outcome(store, conform_text(TENANT), conform_text("key"),
                                              &committed, &conform_error));
    assert_fails(FLAGVER_EIO, driver->changes(store, conform_text(TENANT), &size, &conform_error));
    assert_fails(FLAGVER_EIO, driver->lock(txn, NULL, 0, 0, &conform_error));
    assert_fails(FLAGVER_EIO, driver->lock_log(txn, &size, &conform_error));
    assert_fails(FLAGVER_EIO, driver->apply(txn, NULL, 0, &conform_error));
    assert_fails(FLAGVER_EIO, driver->scan(txn, &query, &no_cursor, &conform_error));
    assert_fails(FLAGVER_EIO, driver->next(cursor, &row, &conform_error));
    driver->end_scan(cursor);
    assert_fails(FLAGVER_EIO, driver->commit(txn, &conform_error));
    ck_assert(!other && !none && !no_cursor);
    ck_assert_uint_eq(flagver_fault_txns(fault), 0);
    ck_assert_uint_eq(flagver_fault_cursors(fault), 0);
    ck_assert_uint_eq(flagver_fault_stores(fault), 1);
}
END_TEST

START_TEST(a_delayed_call_is_made_all_the_same)
{
    flagver_fault_delay(fault, FLAGVER_FAULT_COMMIT, 1, 1);
    assert_ok(write_key("key"));
    ck_assert(has_key("key"));
    ck_assert_uint_eq(flagver_fault_failures(fault), 0);
}
END_TEST

/* ---- lying ---- */

START_TEST(a_commit_that_was_done_is_denied)
{
    flagver_fault_lie(fault, 2, FLAGVER_FAULT_DONE);
    assert_ok(write_key("first"));
    assert_fails(FLAGVER_EUNKNOWN, write_key("second"));
    assert_ok(write_key("third"));
    ck_assert(has_key("first") && has_key("second") && has_key("third"));
    ck_assert_uint_eq(flagver_fault_failures(fault), 1);
    ck_assert_uint_eq(flagver_fault_txns(fault), 0);
}
END_TEST

START_TEST(a_commit_that_was_not_done_is_not_admitted)
{
    flagver_fault_lie(fault, 1, FLAGVER_FAULT_NOT_DONE);
    assert_fails(FLAGVER_EUNKNOWN, write_key("first"));
    ck_assert(!has_key("first"));
    assert_ok(write_key("first"));
    ck_assert(has_key("first"));
}
END_TEST

/* ---- misuse ---- */

START_TEST(right_use_is_not_complained_about)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);
    flagver_series_row rows[] = { conform_series(1, "a", "b"), conform_series(2, "a", "c"),
                                  conform_series(3, "b", "a") };
    uint64_t size;

    assert_ok(driver->lock(txn, rows, 3, 0, &conform_error));
    assert_ok(put_key(txn, "key"));
    assert_ok(driver->lock_log(txn, &size, &conform_error));
    assert_ok(driver->commit(txn, &conform_error));
    ck_assert_uint_eq(flagver_fault_misuses(fault), 0);
    check_complaint("1 stores, 0 transactions and 0 cursors are still open");
    driver->close(store);
    ck_assert_ptr_null(flagver_fault_complaint(fault));
    assert_ok(driver->open(&(flagver_driver_config){ .size = sizeof(flagver_driver_config),
                                                     .path = place,
                                                     .wait_ms = 5000 },
                           &store, &conform_error));
}
END_TEST

START_TEST(calls_after_the_end_are_noticed)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    const flagver_query query = { .kind = FLAGVER_QUERY_TENANTS };
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);
    flagver_cursor *cursor;
    flagver_row row;

    assert_ok(driver->scan(txn, &query, &cursor, &conform_error));
    driver->end_scan(cursor);
    assert_fails(FLAGVER_EINVAL, driver->next(cursor, &row, &conform_error));
    check_complaint("next on a cursor that has ended");
    driver->rollback(txn);
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &conform_error));
    driver->rollback(txn);
    assert_fails(FLAGVER_EINVAL, put_key(txn, "key"));
    ck_assert_uint_eq(flagver_fault_misuses(fault), 4);
    ck_assert_uint_eq(flagver_fault_txns(fault), 0);
}
END_TEST

START_TEST(an_open_cursor_at_the_end_is_noticed)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    const flagver_query query = { .kind = FLAGVER_QUERY_TENANTS };
    flagver_driver_txn *txn = start(FLAGVER_MODE_READ);
    flagver_cursor *cursor;

    assert_ok(driver->scan(txn, &query, &cursor, &conform_error));
    driver->rollback(txn);
    check_complaint("rollback with a cursor open");
    ck_assert_uint_eq(flagver_fault_cursors(fault), 0);
    driver->end_scan(cursor);
    ck_assert_uint_eq(flagver_fault_misuses(fault), 2);
}
END_TEST

START_TEST(a_second_writer_is_noticed)
{
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE), *second = NULL;

    assert_fails(FLAGVER_EINVAL,
                 flagver_fault_table(fault)->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE,
                                                   &second, &conform_error));
    check_complaint("begin of a second writer");
    flagver_fault_table(fault)->rollback(txn);
    flagver_fault_table(fault)->rollback(start(FLAGVER_MODE_WRITE));
    ck_assert_uint_eq(flagver_fault_misuses(fault), 1);
}
END_TEST

START_TEST(writing_in_a_reader_is_noticed)
{
    flagver_driver_txn *txn = start(FLAGVER_MODE_READ);

    put_key(txn, "key");
    check_complaint("apply in a transaction that reads");
    flagver_fault_table(fault)->rollback(txn);
}
END_TEST

START_TEST(locks_in_a_wrong_order_are_noticed)
{
    static const char *const words[] = { "not in order", "behind lock_log" };
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_series_row rows[] = { conform_series(1, "b", "a"), conform_series(2, "a", "b") };
    flagver_driver_txn *txn;
    uint64_t size;
    int way;

    for (way = 0; way < 2; way++) {
        flagver_fault_reset(fault);
        txn = start(FLAGVER_MODE_WRITE);
        if (way == 1)
            assert_ok(driver->lock_log(txn, &size, &conform_error));
        driver->lock(txn, rows, way == 0 ? 2 : 1, 0, &conform_error);
        check_complaint(words[way]);
        driver->rollback(txn);
    }
}
END_TEST

START_TEST(changes_of_the_log_without_a_lock_are_noticed)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    const flagver_leaf_row leaf = conform_leaf(0, "leaf");
    const flagver_node_row node = conform_node(8, 0);
    const flagver_log_row head = conform_head(0, "frontier");
    const struct {
        flagver_change change;
        const char *complaint;
    } rows[] = {
        { { .kind = FLAGVER_CHANGE_LEAF, .row.leaf = &leaf }, "apply of a leaf without lock_log" },
        { { .kind = FLAGVER_CHANGE_NODE, .row.node = &node }, "apply of a node without lock_log" },
        { { .kind = FLAGVER_CHANGE_HEAD, .row.head = &head }, "apply of a head without lock_log" },
    };
    flagver_driver_txn *txn;
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        flagver_fault_reset(fault);
        txn = start(FLAGVER_MODE_WRITE);
        driver->apply(txn, &rows[i].change, 1, &conform_error);
        check_complaint(rows[i].complaint);
        driver->rollback(txn);
    }
}
END_TEST

/* A version with an item, a vote and a contributor, of which this one comes first. */
static void apply_first(size_t first)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_version_row version;
    flagver_item_row item;
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);
    flagver_change moved;

    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    item = conform_item(&version, "key");
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_add_payload(&batch, (flagver_payload_row){ .id = item.payload_id, .body = { "", 0 } });
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    conform_add_vote(&batch, conform_vote(&version, "voter"));
    conform_add_contributor(&batch, conform_contributor(&version, "editor"));
    moved = batch.changes[first];
    memmove(&batch.changes[1], &batch.changes[0], first * sizeof moved);
    batch.changes[0] = moved;
    driver->apply(txn, batch.changes, batch.count, &conform_error);
    driver->rollback(txn);
}

START_TEST(what_comes_before_its_version_is_noticed)
{
    static const char *const complaints[] = { "apply of an item before its version",
                                              "apply of a vote before its version",
                                              "apply of a contributor before its version" };
    size_t i;

    apply_first(0);
    ck_assert_uint_eq(flagver_fault_misuses(fault), 0);
    for (i = 0; i < sizeof complaints / sizeof *complaints; i++) {
        flagver_fault_reset(fault);
        apply_first(4 + i);
        check_complaint(complaints[i]);
    }
}
END_TEST

START_TEST(an_item_before_its_payload_is_noticed)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_version_row version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    flagver_item_row item = conform_item(&version, "key");
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);

    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    conform_add_payload(&batch, (flagver_payload_row){ .id = item.payload_id, .body = { "", 0 } });
    driver->apply(txn, batch.changes, batch.count, &conform_error);
    check_complaint("apply of an item before its payload");
    driver->rollback(txn);
}
END_TEST

START_TEST(a_scan_of_items_that_begins_nowhere_is_noticed)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_ITEMS, .after = { "a", 1 } };
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_driver_txn *txn = start(FLAGVER_MODE_READ);
    flagver_cursor *cursor;

    assert_ok(driver->scan(txn, &query, &cursor, &conform_error));
    driver->end_scan(cursor);
    check_complaint("scan of items after a key of no version");
    driver->rollback(txn);
}
END_TEST

static void *apply_there(void *data)
{
    return put_key(data, "slow") == 0 ? NULL : data;
}

START_TEST(two_threads_in_one_transaction_are_noticed)
{
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);
    flagver_error err;
    pthread_t thread;
    uint64_t size;
    void *failed;

    flagver_fault_delay(fault, FLAGVER_FAULT_APPLY, 1, 200);
    ck_assert_int_eq(pthread_create(&thread, NULL, apply_there, txn), 0);
    while (flagver_fault_calls(fault, FLAGVER_FAULT_APPLY) == 0)
        ;
    ck_assert_int_eq(flagver_fault_table(fault)->lock_log(txn, &size, &err), FLAGVER_EINVAL);
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
    check_complaint("lock_log while another thread is inside a call");
    flagver_fault_table(fault)->rollback(txn);
}
END_TEST

/* ---- what a driver may be without ---- */

START_TEST(what_a_driver_is_without_its_table_is_without)
{
    const flagver_driver *driver = flagver_fault_table(bare);
    static flagver_driver older;

    ck_assert(!driver->hold && !driver->nest && !driver->connection);
    older = grown;
    older.name = "older";
    older.size = offsetof(flagver_driver, hold);
    driver = flagver_fault_table(flagver_fault_driver(&older));
    ck_assert(!driver->hold && !driver->nest && !driver->connection);
}
END_TEST

START_TEST(what_is_within_a_transaction_is_passed_on)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);
    flagver_adoption adoption = { .connection = NULL };
    flagver_keyed_row row = conform_keyed("space", "key", 99, "");

    assert_ok(driver->hold(txn, &row, 7, 1, &conform_error));
    ck_assert_int_eq(row.rev, 8);
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &conform_error));
    assert_ok(driver->connection(txn, &adoption, &conform_error));
    ck_assert_ptr_eq(adoption.connection, place);
    assert_ok(driver->nest(txn, FLAGVER_NEST_UNDO, &conform_error));
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &conform_error));
    assert_ok(driver->nest(txn, FLAGVER_NEST_KEEP, &conform_error));
    assert_ok(driver->commit(txn, &conform_error));
    ck_assert_uint_eq(flagver_fault_misuses(fault), 0);
    ck_assert_uint_eq(flagver_fault_calls(fault, FLAGVER_FAULT_NEST), 4);
}
END_TEST

START_TEST(what_is_within_a_transaction_fails_when_it_is_told_to)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_driver_txn *txn = start(FLAGVER_MODE_WRITE);
    flagver_adoption adoption = { .connection = NULL };
    flagver_keyed_row row = conform_keyed("space", "key", 99, "");

    flagver_fault_fail(fault, FLAGVER_FAULT_HOLD, 1, FLAGVER_EBUSY, false);
    flagver_fault_fail(fault, FLAGVER_FAULT_NEST, 1, FLAGVER_EIO, false);
    flagver_fault_fail(fault, FLAGVER_FAULT_CONNECTION, 1, FLAGVER_EUNAVAILABLE, false);
    assert_fails(FLAGVER_EBUSY, driver->hold(txn, &row, 7, 1, &conform_error));
    ck_assert_int_eq(row.rev, 99);
    assert_fails(FLAGVER_EIO, driver->nest(txn, FLAGVER_NEST_BEGIN, &conform_error));
    assert_fails(FLAGVER_EUNAVAILABLE, driver->connection(txn, &adoption, &conform_error));
    ck_assert_ptr_null(adoption.connection);
    driver->rollback(txn);
    ck_assert_uint_eq(flagver_fault_failures(fault), 3);
}
END_TEST

/* Each of these in a transaction of its own. */
static const char *misuse_within(int way, flagver_driver_txn *txn)
{
    static const flagver_query query = { .kind = FLAGVER_QUERY_TENANTS };
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_keyed_row row = conform_keyed("space", "key", 99, "");
    flagver_cursor *cursor;
    uint64_t size;

    switch (way) {
    case 0:
        assert_ok(driver->lock_log(txn, &size, &conform_error));
        driver->hold(txn, &row, 7, 1, &conform_error);
        return "hold behind lock_log";
    case 1:
        assert_ok(driver->scan(txn, &query, &cursor, &conform_error));
        driver->nest(txn, FLAGVER_NEST_BEGIN, &conform_error);
        driver->end_scan(cursor);
        return "nest with a cursor open";
    case 2:
        driver->nest(txn, FLAGVER_NEST_BEGIN, &conform_error);
        driver->nest(txn, FLAGVER_NEST_BEGIN, &conform_error);
        return "nest inside of another one";
    default:
        driver->nest(txn, FLAGVER_NEST_UNDO, &conform_error);
        return "the end of what did not begin";
    }
}

START_TEST(misuse_within_a_transaction_is_noticed)
{
    const flagver_driver *driver = flagver_fault_table(fault);
    flagver_adoption adoption = { .connection = NULL };
    flagver_driver_txn *txn;
    int way;

    for (way = 0; way < 4; way++) {
        flagver_fault_reset(fault);
        txn = start(FLAGVER_MODE_WRITE);
        check_complaint(misuse_within(way, txn));
        driver->rollback(txn);
    }
    flagver_fault_reset(fault);
    txn = start(FLAGVER_MODE_WRITE);
    assert_ok(driver->nest(txn, FLAGVER_NEST_BEGIN, &conform_error));
    assert_ok(driver->commit(txn, &conform_error));
    check_complaint("commit inside of a part that may be taken back");
    flagver_fault_reset(fault);
    txn = start(FLAGVER_MODE_READ);
    driver->connection(txn, &adoption, &conform_error);
    check_complaint("connection of a transaction that reads");
    driver->rollback(txn);
}
END_TEST

static Suite *fault_suite(void)
{
    Suite *suite = suite_create("the fault driver");
    TCase *tcase = tcase_create("faults");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_table_is_the_drivers_under_another_name);
    tcase_add_test(tcase, the_nth_call_fails_once);
    tcase_add_test(tcase, calls_fail_from_the_nth_on);
    tcase_add_test(tcase, calls_of_any_kind_are_counted_together);
    tcase_add_test(tcase, what_fails_is_not_done);
    tcase_add_test(tcase, every_call_that_can_fail_does);
    tcase_add_test(tcase, a_delayed_call_is_made_all_the_same);
    tcase_add_test(tcase, a_commit_that_was_done_is_denied);
    tcase_add_test(tcase, a_commit_that_was_not_done_is_not_admitted);
    tcase_add_test(tcase, right_use_is_not_complained_about);
    tcase_add_test(tcase, calls_after_the_end_are_noticed);
    tcase_add_test(tcase, an_open_cursor_at_the_end_is_noticed);
    tcase_add_test(tcase, a_second_writer_is_noticed);
    tcase_add_test(tcase, writing_in_a_reader_is_noticed);
    tcase_add_test(tcase, locks_in_a_wrong_order_are_noticed);
    tcase_add_test(tcase, changes_of_the_log_without_a_lock_are_noticed);
    tcase_add_test(tcase, what_comes_before_its_version_is_noticed);
    tcase_add_test(tcase, an_item_before_its_payload_is_noticed);
    tcase_add_test(tcase, a_scan_of_items_that_begins_nowhere_is_noticed);
    tcase_add_test(tcase, two_threads_in_one_transaction_are_noticed);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("within a transaction");
    tcase_add_checked_fixture(tcase, set_up_grown, tear_down_grown);
    tcase_add_test(tcase, what_a_driver_is_without_its_table_is_without);
    tcase_add_test(tcase, what_is_within_a_transaction_is_passed_on);
    tcase_add_test(tcase, what_is_within_a_transaction_fails_when_it_is_told_to);
    tcase_add_test(tcase, misuse_within_a_transaction_is_noticed);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    static struct flagver_conformance target = {
        .size = sizeof target,
        .make_place = flagver_conformance_make_file,
        .remove_place = flagver_conformance_remove_file,
        .lose_place = flagver_conformance_lose_file,
    };
    SRunner *runner;
    int failed;

    fault = flagver_fault_driver(&jsonfile_driver);
    target.driver = flagver_fault_table(fault);
    runner = srunner_create(flagver_conformance_suite(&target));
    srunner_add_suite(runner, fault_suite());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
