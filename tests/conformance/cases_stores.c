/*
 * Stores: the table of the driver, opening, schema, what is asked outside of
 * transactions, memory.
 */
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>

#include "fixture.h"

/* ---- the table ---- */

START_TEST(the_table_is_complete)
{
    const flagver_driver *driver = conform.driver;
    bool enlists = driver->capabilities & FLAGVER_DRIVER_ENLIST;

    ck_assert_uint_eq(driver->abi, FLAGVER_DRIVER_ABI);
    ck_assert_uint_ge(driver->size, offsetof(flagver_driver, examine));
    ck_assert_msg(driver->open && driver->close && driver->abandon && driver->ping &&
                      driver->describe && driver->schema_version && driver->schema_migrate &&
                      driver->schema_verify && driver->begin && driver->commit &&
                      driver->rollback && driver->outcome && driver->lock && driver->lock_log &&
                      driver->apply && driver->scan && driver->next && driver->end_scan &&
                      driver->changes,
                  "a required function is missing");
    ck_assert_msg(enlists == (driver->adopt != NULL), "adopt and ENLIST go together");
}
END_TEST

START_TEST(the_name_can_stand_in_a_uri)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
    size_t length = strlen(conform.driver->name);

    ck_assert_uint_ge(length, 1);
    ck_assert_uint_le(length, 32);
    ck_assert_uint_eq(strspn(conform.driver->name, allowed), length);
}
END_TEST

/* ---- opening ---- */

START_TEST(a_fresh_store_is_there_and_empty)
{
    assert_ok(conform.driver->ping(conform.store, &conform_error));
    conform_check_empty(conform.store);
}
END_TEST

START_TEST(a_description_is_a_line_of_json_that_fits)
{
    char line[4096];
    size_t length;

    memset(line, '#', sizeof line);
    assert_ok(conform.driver->describe(conform.store, line, sizeof line, &conform_error));
    ck_assert_msg(memchr(line, '\0', sizeof line) != NULL, "the description does not end");
    length = strlen(line);
    ck_assert_msg(length >= 2 && line[0] == '{' && line[length - 1] == '}', "%s is no JSON object",
                  line);
    ck_assert_msg(!strpbrk(line, "\r\n"), "%s is more than one line", line);
}
END_TEST

START_TEST(a_description_never_runs_over_its_buffer)
{
    char line[64];
    size_t size, i;

    for (size = 1; size < 16; size++) {
        memset(line, '#', sizeof line);
        if (conform.driver->describe(conform.store, line, size, &conform_error) == 0)
            ck_assert_ptr_nonnull(memchr(line, '\0', size));
        for (i = size; i < sizeof line; i++)
            ck_assert_msg(line[i] == '#', "byte %zu of %zu was written", i, size);
    }
}
END_TEST

START_TEST(the_configuration_is_borrowed_until_open_returns)
{
    char path[CONFORM_PATH_SIZE];
    flagver_driver_config config = { .size = sizeof config, .path = path, .wait_ms = 5000 };
    flagver_store *store;

    conform_close(conform.store);
    conform.store = NULL;
    strcpy(path, conform.path);
    assert_ok(conform.driver->open(&config, &store, &conform_error));
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    memset(&config, 0xee, sizeof config);
    conform.store = store;
    assert_ok(conform.driver->ping(store, &conform_error));
    conform_check_empty(store);
}
END_TEST

/* A fresh place beside the one of the fixture. */
static void with_fresh_place(void (*body)(const char *path))
{
    char path[CONFORM_PATH_SIZE];

    ck_assert_int_eq(conform.target->make_place(conform.target->data, path, sizeof path), 0);
    body(path);
    conform.target->remove_place(conform.target->data, path);
}

static bool upgrades_itself(void)
{
    return conform.driver->capabilities & FLAGVER_DRIVER_SELF_UPGRADE;
}

/* The version of the schema in a store that opens with this. */
static uint32_t version_in(const flagver_driver_config *config)
{
    uint32_t version = 99;
    flagver_store *store;

    assert_ok(conform.driver->open(config, &store, &conform_error));
    assert_ok(conform.driver->schema_version(store, &version, &conform_error));
    conform_close(store);
    return version;
}

static void open_fresh(const char *path)
{
    flagver_driver_config config = { .size = sizeof config, .path = path, .wait_ms = 5000 };
    flagver_store *store;

    if (upgrades_itself()) {
        ck_assert_uint_eq(version_in(&config), FLAGVER_SCHEMA_VERSION);
        return;
    }
    assert_fails(FLAGVER_ESCHEMA, conform.driver->open(&config, &store, &conform_error));
    config.no_upgrade = 1;
    ck_assert_uint_eq(version_in(&config), 0);
}

START_TEST(open_makes_the_schema_only_if_the_driver_says_so)
{
    with_fresh_place(open_fresh);
}
END_TEST

static void read_fresh(const char *path)
{
    flagver_driver_config config = {
        .size = sizeof config, .path = path, .wait_ms = 5000, .read_only = 1
    };
    flagver_store *store, *untouched = (flagver_store *)&config;
    uint32_t version = 99;

    store = untouched;
    if (conform.driver->open(&config, &store, &conform_error) < 0) {
        ck_assert_msg(store == untouched, "open failed and wrote a store all the same");
        return;
    }
    if (conform.driver->schema_version(store, &version, &conform_error) == 0)
        ck_assert_uint_eq(version, 0);
    conform_close(store);
}

START_TEST(a_store_that_is_only_read_is_not_created)
{
    with_fresh_place(read_fresh);
}
END_TEST

/*
 * Neither is one that was there once and is to be opened again, nor one that is looked at. Where
 * open makes nothing the place itself is there, and what is in it is none of a store's.
 */
static void find_nothing(const char *path)
{
    flagver_driver_config again = {
        .size = sizeof again, .path = path, .wait_ms = 5000, .no_create = 1
    };
    flagver_driver_config look = {
        .size = sizeof look, .path = path, .wait_ms = 5000, .no_upgrade = 1
    };
    flagver_store *store;

    if (!upgrades_itself()) {
        assert_fails(FLAGVER_ESCHEMA, conform.driver->open(&again, &store, &conform_error));
        ck_assert_uint_eq(version_in(&look), 0);
        return;
    }
    assert_fails(FLAGVER_ENOTFOUND, conform.driver->open(&again, &store, &conform_error));
    assert_fails(FLAGVER_ENOTFOUND, conform.driver->open(&look, &store, &conform_error));
    /* The first try did not create it either. */
    assert_fails(FLAGVER_ENOTFOUND, conform.driver->open(&again, &store, &conform_error));
}

START_TEST(a_store_that_has_to_be_there_is_not_created)
{
    with_fresh_place(find_nothing);
}
END_TEST

START_TEST(a_store_can_be_opened_to_be_read_only)
{
    flagver_driver_config config = {
        .size = sizeof config, .path = conform.path, .wait_ms = 5000, .read_only = 1
    };
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);
    flagver_query query = conform_versions_of(&series);
    struct conform_rows rows;
    flagver_driver_txn *txn;
    flagver_store *store;
    uint64_t size = 99;

    assert_ok(conform.driver->open(&config, &store, &conform_error));
    txn = conform_begin(store, TENANT, FLAGVER_MODE_READ);
    conform_one(txn, &query, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    conform_free(&rows);
    conform_rollback(txn);
    assert_ok(conform.driver->changes(store, conform_text(TENANT), &size, &conform_error));
    ck_assert_uint_eq(size, 0);
    conform_close(store);
}
END_TEST

START_TEST(what_was_committed_is_there_after_reopening)
{
    struct conform_batch batch = { .count = 0 };
    flagver_keyed_row keyed = conform_keyed("space", "key", 3, "value");
    flagver_query query, keyed_query = conform_keyed_of("space", "key");
    flagver_driver_txn *txn = conform_write();
    flagver_version_row version;
    flagver_series_row series;
    struct conform_rows rows;
    uint64_t size = 99;

    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, keyed, 0);
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    series = conform_draft(1, "phase", "subject", &version);
    query = conform_versions_of(&series);

    conform_close(conform.store);
    conform.store = conform_open(CONFORM_WAIT_MS);
    txn = conform_read();
    conform_one(txn, &query, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    conform_free(&rows);
    conform_one(txn, &keyed_query, &rows);
    conform_check_keyed(&rows.rows[0].as.keyed, &keyed);
    conform_free(&rows);
    conform_rollback(txn);
    assert_ok(conform.driver->changes(conform.store, conform_text(TENANT), &size, &conform_error));
    ck_assert_uint_eq(size, 1);
}
END_TEST

START_TEST(a_lost_store_is_noticed)
{
    flagver_version_row version;
    uint64_t size = 99;

    conform_draft(1, "phase", "subject", &version);
    conform.target->lose_place(conform.target->data, conform.path);
    assert_fails(FLAGVER_EUNAVAILABLE, conform.driver->changes(conform.store, conform_text(TENANT),
                                                               &size, &conform_error));
    ck_assert_uint_eq(size, 99);
    assert_fails(FLAGVER_EUNAVAILABLE, conform.driver->ping(conform.store, &conform_error));
}
END_TEST

/* A transaction from begin to end; the first error, or 0. */
static int write_keyed(void)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    int r;

    r = conform.driver->begin(conform.store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn,
                              &conform_error);
    if (r < 0)
        return r;
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "key", 1, ""), 0);
    r = conform_apply(txn, &batch);
    if (r == 0)
        return conform.driver->commit(txn, &conform_error);
    conform_rollback(txn);
    return r;
}

START_TEST(nothing_is_written_to_a_lost_store)
{
    conform.target->lose_place(conform.target->data, conform.path);
    assert_fails(FLAGVER_EUNAVAILABLE, write_keyed());
}
END_TEST

START_TEST(a_store_that_is_lost_in_the_middle_takes_no_commit)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    int r;

    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "key", 1, ""), 0);
    assert_ok(conform_apply(txn, &batch));
    conform.target->lose_place(conform.target->data, conform.path);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "more", 1, ""), 0);
    r = conform_apply(txn, &batch);
    if (r == 0)
        r = conform.driver->commit(txn, &conform_error);
    else
        conform_rollback(txn);
    ck_assert_msg(r == FLAGVER_EUNAVAILABLE, "the store is gone, and it returned %d", r);
}
END_TEST

/* ---- schema ---- */

static void count_lines(void *data, const char *line)
{
    size_t *count = data;

    ck_assert_msg(line && *line && !strpbrk(line, "\r\n"), "this is no line: \"%s\"",
                  line ? line : "");
    ++*count;
}

static void complain(void *data, const char *line)
{
    (void)data;
    ck_abort_msg("the schema is not fine: %s", line);
}

static void verify(void)
{
    size_t checked = 0;

    assert_ok(conform.driver->schema_verify(conform.store, complain, count_lines, &checked,
                                            &conform_error));
    assert_ok(conform.driver->schema_verify(conform.store, complain, NULL, NULL, &conform_error));
    assert_ok(conform.driver->schema_verify(conform.store, NULL, NULL, NULL, &conform_error));
    ck_assert_msg(checked > 0, "nothing was checked");
}

static void migrate(uint32_t to)
{
    uint32_t version = 99;

    assert_ok(conform.driver->schema_migrate(conform.store, to, &conform_error));
    assert_ok(conform.driver->schema_version(conform.store, &version, &conform_error));
    ck_assert_uint_eq(version, to);
}

START_TEST(a_good_schema_verifies)
{
    flagver_version_row version;

    verify();
    conform_draft(1, "phase", "subject", &version);
    verify();
}
END_TEST

START_TEST(migrating_to_where_the_schema_is_changes_nothing)
{
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);
    flagver_query query = conform_versions_of(&series);
    struct conform_rows rows;
    flagver_driver_txn *txn;

    migrate(FLAGVER_SCHEMA_VERSION);
    txn = conform_read();
    conform_one(txn, &query, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

/* Begins or at least scans, if there is a schema. */
static int try_to_read(void)
{
    flagver_query query = conform_all_series();
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    int r;

    r = conform.driver->begin(conform.store, conform_text(TENANT), FLAGVER_MODE_READ, &txn,
                              &conform_error);
    if (r < 0)
        return r;
    r = conform.driver->scan(txn, &query, &cursor, &conform_error);
    if (r == 0)
        conform.driver->end_scan(cursor);
    conform_rollback(txn);
    return r;
}

START_TEST(going_down_and_up_again_leaves_an_empty_store)
{
    flagver_version_row version;

    conform_draft(1, "phase", "subject", &version);
    migrate(0);
    assert_fails(FLAGVER_ESCHEMA, try_to_read());
    migrate(0);
    migrate(FLAGVER_SCHEMA_VERSION);
    verify();
    conform_check_empty(conform.store);
    conform_draft(1, "phase", "subject", &version);
}
END_TEST

START_TEST(a_missing_schema_is_found_by_verifying)
{
    size_t found = 0;
    int r;

    migrate(0);
    r = conform.driver->schema_verify(conform.store, count_lines, NULL, &found, &conform_error);
    ck_assert_msg(r == FLAGVER_ESCHEMA || (r == 0 && found > 0),
                  "verifying nothing returned %d and found %zu things", r, found);
    migrate(FLAGVER_SCHEMA_VERSION);
}
END_TEST

/* A driver may be younger than the first schema: then it says so, and nothing is changed. */
static bool goes_down_to(uint32_t to)
{
    int r = conform.driver->schema_migrate(conform.store, to, &conform_error);

    ck_assert_msg(r == 0 || flagver_error_class(r) == FLAGVER_CLASS_MISTAKE,
                  "migrating to %u returned %d: %s", to, r, conform_error.message);
    return r == 0;
}

/* What an older version cannot hold is gone then; the rest is not. */
START_TEST(going_down_a_step_and_up_again_keeps_versions)
{
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);
    flagver_query query = conform_versions_of(&series),
                  items = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0);
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    struct conform_rows rows;
    bool went;

    conform_add_new_item(&batch, conform_item(&version, "key"), "item");
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_head(&batch, conform_head(1, "frontier"));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    went = goes_down_to(1);
    if (went)
        assert_fails(FLAGVER_ESCHEMA, try_to_read());
    migrate(FLAGVER_SCHEMA_VERSION);
    verify();
    txn = conform_read();
    conform_one(txn, &query, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("{}")));
    conform_free(&rows);
    ck_assert_uint_eq(conform_count(txn, &items), went ? 0 : 1);
    conform_check_log(txn, 1, went ? NULL : "frontier");
    conform_rollback(txn);
}
END_TEST

START_TEST(there_is_no_schema_beyond_the_newest)
{
    uint32_t version = 99;
    int r;

    r = conform.driver->schema_migrate(conform.store, FLAGVER_SCHEMA_VERSION + 1, &conform_error);
    ck_assert_msg(flagver_error_class(r) == FLAGVER_CLASS_MISTAKE, "migrating to %u returned %d",
                  FLAGVER_SCHEMA_VERSION + 1, r);
    assert_ok(conform.driver->schema_version(conform.store, &version, &conform_error));
    ck_assert_uint_eq(version, FLAGVER_SCHEMA_VERSION);
}
END_TEST

/* ---- errors ---- */

START_TEST(errors_need_no_place_to_go)
{
    const flagver_driver *driver = conform.driver;
    flagver_keyed_row row = conform_keyed("space", "key", 2, "value");
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = 1 };
    flagver_driver_txn *txn = conform_write();

    change.row.keyed = &row;
    ck_assert_int_eq(driver->apply(txn, &change, 1, NULL), FLAGVER_ECONFLICT);
    ck_assert_int_lt(driver->schema_migrate(conform.store, FLAGVER_SCHEMA_VERSION + 1, NULL), 0);
    conform_rollback(txn);
}
END_TEST

/* ---- changes and outcome ---- */

static void check_changes(const char *tenant, uint64_t wanted)
{
    uint64_t size = 99;

    assert_ok(conform.driver->changes(conform.store, conform_text(tenant), &size, &conform_error));
    ck_assert_uint_eq(size, wanted);
}

static flagver_driver_txn *begin_leaf(uint64_t no)
{
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };

    conform_add_leaf(&batch, conform_leaf(no, "leaf"));
    assert_ok(conform_apply(txn, &batch));
    return txn;
}

START_TEST(changes_counts_the_leaves_of_a_tenant)
{
    check_changes(TENANT, 0);
    conform_commit(begin_leaf(0));
    check_changes(TENANT, 1);
    conform_commit(begin_leaf(1));
    check_changes(TENANT, 2);
    conform_rollback(begin_leaf(2));
    check_changes(TENANT, 2);
    check_changes("other", 0);
}
END_TEST

START_TEST(changes_does_not_count_what_is_not_committed)
{
    flagver_driver_txn *txn = begin_leaf(0);

    check_changes(TENANT, 0);
    conform_commit(txn);
    check_changes(TENANT, 1);
}
END_TEST

START_TEST(changes_notices_what_another_store_commits)
{
    struct conform_batch batch = { .count = 0 };
    flagver_store *other = conform_open(CONFORM_WAIT_MS);
    flagver_driver_txn *txn;
    uint64_t no;

    for (no = 0; no < 5; no++) {
        txn = conform_begin(other, TENANT, FLAGVER_MODE_WRITE);
        conform_add_leaf(&batch, conform_leaf(no, "leaf"));
        assert_ok(conform_apply(txn, &batch));
        check_changes(TENANT, no);
        conform_commit(txn);
        check_changes(TENANT, no + 1);
    }
    conform_close(other);
}
END_TEST

static bool was_committed(flagver_store *store, const char *tenant, const char *key)
{
    bool committed = true, again = false;

    assert_ok(conform.driver->outcome(store, conform_text(tenant), conform_text(key), &committed,
                                      &conform_error));
    assert_ok(conform.driver->outcome(store, conform_text(tenant), conform_text(key), &again,
                                      &conform_error));
    ck_assert_msg(committed == again, "asked twice, outcome gave two answers");
    return committed;
}

START_TEST(an_outcome_is_that_of_the_transaction_with_the_key)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;

    ck_assert(!was_committed(conform.store, TENANT, "k"));
    txn = conform_write();
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("request", "k", 1, "v"), 0);
    assert_ok(conform_apply(txn, &batch));
    conform_rollback(txn);
    ck_assert(!was_committed(conform.store, TENANT, "k"));

    txn = conform_write();
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("request", "k", 1, "v"), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "other", 1, "v"), 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    ck_assert(was_committed(conform.store, TENANT, "k"));
    ck_assert_msg(!was_committed(conform.store, TENANT, "other"), "of another space");
    ck_assert_msg(!was_committed(conform.store, TENANT, "K"), "of another case");
    ck_assert_msg(!was_committed(conform.store, TENANT, "kk"), "of a longer key");
    ck_assert_msg(!was_committed(conform.store, "other", "k"), "of another tenant");
}
END_TEST

static bool is_readable(int descriptor)
{
    struct pollfd entry = { .fd = descriptor, .events = POLLIN };

    return poll(&entry, 1, 0) == 1;
}

/* What was told on the way may arrive a moment later, but not for ever. */
static bool comes_to_rest(int descriptor)
{
    uint64_t size;
    int tries;

    for (tries = 0; tries < 1000 && is_readable(descriptor); tries++)
        assert_ok(
            conform.driver->changes(conform.store, conform_text(TENANT), &size, &conform_error));
    return !is_readable(descriptor);
}

START_TEST(a_descriptor_to_watch_rests_when_changes_was_asked)
{
    int descriptor;

    if (!conform.driver->watch_fd)
        return;
    descriptor = conform.driver->watch_fd(conform.store);
    ck_assert_int_ge(descriptor, -1);
    if (descriptor < 0)
        return;
    ck_assert_int_eq(conform.driver->watch_fd(conform.store), descriptor);
    ck_assert(comes_to_rest(descriptor));
    conform_commit(begin_leaf(0));
    ck_assert(comes_to_rest(descriptor));
    ck_assert_int_eq(conform.driver->watch_fd(conform.store), descriptor);
}
END_TEST

/* A table of before this member was there ends before it. */
static bool examines(void)
{
    return conform.driver->size > offsetof(flagver_driver, examine) && conform.driver->examine;
}

static void take_finding(void *data, int finding, const char *line)
{
    const char *c;

    ck_assert_int_ge(finding, FLAGVER_FINDING_OK);
    ck_assert_int_le(finding, FLAGVER_FINDING_ERROR);
    ck_assert_msg(*line, "a finding without words");
    for (c = line; *c; c++)
        ck_assert_msg((unsigned char)*c >= 0x20, "more than one line: %s", line);
    ++*(int *)data;
}

/* As often as one likes, and without a schema, too. */
START_TEST(what_is_examined_is_told_in_lines)
{
    int lines = 0, again = 0;

    if (!examines())
        return;
    assert_ok(conform.driver->examine(conform.store, take_finding, &lines, &conform_error));
    ck_assert_msg(lines > 0, "nothing was found, not even that all is well");
    assert_ok(conform.driver->examine(conform.store, take_finding, &again, &conform_error));
    ck_assert_int_eq(again, lines);
    assert_ok(conform.driver->schema_migrate(conform.store, 0, &conform_error));
    assert_ok(conform.driver->examine(conform.store, take_finding, &lines, &conform_error));
}
END_TEST

/* ---- memory ---- */

/* An allocator that counts, and gives nothing the n-th time. */
static struct {
    atomic_long held, calls;
    long fail_at;
} memory;

static bool gives(void)
{
    return atomic_fetch_add(&memory.calls, 1) + 1 != memory.fail_at;
}

static void *allocate(void *data, size_t size)
{
    void *block = gives() ? malloc(size) : NULL;

    (void)data;
    if (block)
        atomic_fetch_add(&memory.held, 1);
    return block;
}

static void *reallocate(void *data, void *block, size_t size)
{
    if (!block)
        return allocate(data, size);
    return gives() ? realloc(block, size) : NULL;
}

static void release(void *data, void *block)
{
    (void)data;
    if (block)
        atomic_fetch_sub(&memory.held, 1);
    free(block);
}

static int write_and_read(flagver_store *store)
{
    struct conform_batch batch = { .count = 0 };
    flagver_series_row series = conform_series(7, "phase", "memory");
    flagver_version_row version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    const flagver_query query = conform_all_versions();
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = conform.driver->begin(store, conform_text(TENANT), FLAGVER_MODE_WRITE, &txn,
                              &conform_error);
    if (r < 0)
        return r;
    series.last_no = 1;
    r = conform.driver->lock(txn,
                             &(flagver_series_row){ .tenant = series.tenant,
                                                    .phase = series.phase,
                                                    .subject = series.subject },
                             1, 0, &conform_error);
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "key", 1, "v"), 0);
    if (r == 0)
        r = conform_apply(txn, &batch);
    if (r == 0)
        r = conform.driver->scan(txn, &query, &cursor, &conform_error);
    if (r == 0) {
        while ((r = conform.driver->next(cursor, &row, &conform_error)) == 1)
            ;
        conform.driver->end_scan(cursor);
    }
    if (r == 0)
        return conform.driver->commit(txn, &conform_error);
    conform.driver->rollback(txn);
    return r;
}

/* All of it with the n-th allocation failing; what came of it. */
static int run_out_of_memory(const flagver_allocator *allocator, const char *path)
{
    flagver_driver_config config = {
        .size = sizeof config, .path = path, .wait_ms = 5000, .memory = allocator
    };
    flagver_store *store;
    int r;

    r = conform_try_open(&config, &store);
    if (r < 0)
        return r;
    r = write_and_read(store);
    conform.driver->close(store);
    return r;
}

START_TEST(every_allocation_may_fail)
{
    const flagver_allocator allocator = { allocate, reallocate, release, NULL };
    char path[CONFORM_PATH_SIZE];
    long n;
    int r;

    for (n = 1; n < 1000; n++) {
        memory.calls = memory.held = 0;
        memory.fail_at = n;
        ck_assert_int_eq(conform.target->make_place(conform.target->data, path, sizeof path), 0);
        r = run_out_of_memory(&allocator, path);
        conform.target->remove_place(conform.target->data, path);
        ck_assert_msg(memory.held == 0, "allocation %ld failed and %ld blocks were kept", n,
                      (long)memory.held);
        if (memory.calls < n)
            break;
        /* A driver may do without what it did not get. */
        ck_assert_msg(r == FLAGVER_ENOMEM || r == 0, "allocation %ld failed: %d, %s", n, r,
                      conform_error.message);
    }
    ck_assert_msg(r == 0, "without a failure: %d, %s", r, conform_error.message);
}
END_TEST

void conform_store_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "stores");

    conform_add(tcase, 0, the_table_is_complete);
    conform_add(tcase, 0, the_name_can_stand_in_a_uri);
    conform_add(tcase, 0, a_fresh_store_is_there_and_empty);
    conform_add(tcase, 0, a_description_is_a_line_of_json_that_fits);
    conform_add(tcase, 0, a_description_never_runs_over_its_buffer);
    conform_add(tcase, 0, the_configuration_is_borrowed_until_open_returns);
    conform_add(tcase, 0, open_makes_the_schema_only_if_the_driver_says_so);
    conform_add(tcase, NEEDS_REOPEN, a_store_that_is_only_read_is_not_created);
    conform_add(tcase, NEEDS_REOPEN, a_store_that_has_to_be_there_is_not_created);
    conform_add(tcase, NEEDS_PROCESSES, a_store_can_be_opened_to_be_read_only);
    conform_add(tcase, NEEDS_REOPEN, what_was_committed_is_there_after_reopening);
    conform_add(tcase, NEEDS_LOSING, a_lost_store_is_noticed);
    conform_add(tcase, NEEDS_LOSING, nothing_is_written_to_a_lost_store);
    conform_add(tcase, NEEDS_LOSING, a_store_that_is_lost_in_the_middle_takes_no_commit);
    conform_add(tcase, 0, a_good_schema_verifies);
    conform_add(tcase, 0, migrating_to_where_the_schema_is_changes_nothing);
    conform_add(tcase, 0, going_down_and_up_again_leaves_an_empty_store);
    conform_add(tcase, 0, a_missing_schema_is_found_by_verifying);
    conform_add(tcase, 0, going_down_a_step_and_up_again_keeps_versions);
    conform_add(tcase, 0, there_is_no_schema_beyond_the_newest);
    conform_add(tcase, 0, errors_need_no_place_to_go);
    conform_add(tcase, 0, changes_counts_the_leaves_of_a_tenant);
    conform_add(tcase, NEEDS_SNAPSHOTS, changes_does_not_count_what_is_not_committed);
    conform_add(tcase, NEEDS_PROCESSES, changes_notices_what_another_store_commits);
    conform_add(tcase, 0, an_outcome_is_that_of_the_transaction_with_the_key);
    conform_add(tcase, 0, a_descriptor_to_watch_rests_when_changes_was_asked);
    conform_add(tcase, 0, what_is_examined_is_told_in_lines);
    conform_add(tcase, 0, every_allocation_may_fail);
}
