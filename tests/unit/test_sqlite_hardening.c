/*
 * The SQLite driver against mistakes that cost more than an error: contents swapped by plain SQL,
 * an application that moves its transaction from under ours, a file that is replaced while it
 * is open.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, utimensat */

#include <errno.h>
#include <fcntl.h>

#include "unit/sqlite_store.h"

static void move(const char *from, const char *to)
{
    ck_assert_msg(rename(from, to) == 0, "%s: %s", from, strerror(errno));
}

/* ---- plain SQL ---- */

#define LATEST "(SELECT payload FROM flagver_version WHERE no = 2)"
#define ROW_OF "(SELECT rowid FROM flagver_payload WHERE id = " LATEST ")"

static const struct {
    const char *label, *statement, *words;
} refused[] = {
    { "a payload deleted and made anew",
      "CREATE TEMP TABLE t AS SELECT " LATEST " AS id; DELETE FROM flagver_payload WHERE id = "
      "(SELECT id FROM t); INSERT INTO flagver_payload (id, body) SELECT id, x'7b7d' FROM t",
      "never deleted" },
    { "a payload pushed out by its row number",
      "INSERT OR REPLACE INTO flagver_payload (rowid, id, body) SELECT " ROW_OF
      ", randomblob(16), x'7b7d'",
      "already" },
    { "a payload with the row number that stands for none",
      "INSERT INTO flagver_payload (rowid, id, body) VALUES (-1, randomblob(16), x'7b7d')",
      "CHECK" },
    { "a superseded version brought back",
      "UPDATE flagver_series SET current_no = 1, rev = rev + 1", "does not come back" },
    { "nothing in force any more", "UPDATE flagver_series SET current_no = NULL, rev = rev + 1",
      "does not come back" },
    { "the only leaf of a log replaced",
      "INSERT INTO flagver_leaf VALUES ('t', 0, x'aa', zeroblob(32)); INSERT OR REPLACE INTO "
      "flagver_leaf VALUES ('t', 0, x'bb', zeroblob(32))",
      "appended" },
    { "the size of a log replaced by the same",
      "INSERT INTO flagver_leaf VALUES ('t', 0, x'aa', zeroblob(32)); INSERT OR REPLACE INTO "
      "flagver_log (tenant, size) VALUES ('t', 1)",
      "appended" },
    { "a rev that cannot be raised", "UPDATE flagver_series SET rev = 9223372036854775807",
      "CHECK" },
    { "a time that cannot be passed",
      "UPDATE flagver_series SET rev = rev + 1, changed_at = 9223372036854775807", "CHECK" },
};

START_TEST(plain_sql_cannot_swap_what_was_approved)
{
    put(store, "a", "1");
    put(store, "a", "2");
    ck_assert_msg(sql(refused[_i].statement) == SQLITE_CONSTRAINT, "%s", refused[_i].label);
    ck_assert_msg(strstr(sql_words, refused[_i].words) != NULL, "%s: %s", refused[_i].label,
                  sql_words);
    ck_assert_str_eq(current(store, "a"), "2");
    put(store, "a", "3");
    ck_assert_str_eq(current(store, "a"), "3");
}
END_TEST

START_TEST(a_payload_that_no_version_has_may_be_deleted)
{
    assert_sql("INSERT INTO flagver_payload (id, body) VALUES (zeroblob(16), x'7b7d'); "
               "DELETE FROM flagver_payload");
}
END_TEST

/* Is it in this file, anywhere? */
static bool holds(const char *name, const char *words)
{
    size_t length = strlen(words), size, i;
    static char bytes[1 << 20];
    FILE *file = fopen(name, "rb");
    bool found = false;

    if (!file)
        return false;
    size = fread(bytes, 1, sizeof bytes, file);
    ck_assert_uint_lt(size, sizeof bytes);
    fclose(file);
    for (i = 0; i + length <= size && !found; i++)
        found = memcmp(bytes + i, words, length) == 0;
    return found;
}

static bool file_holds(const char *words)
{
    char log[128];

    snprintf(log, sizeof log, "%s-wal", path);
    return holds(path, words) || holds(log, words);
}

static void shred(flagver_driver_txn *txn, const char *subject)
{
    flagver_payload_row row = { .id = version_of(txn, subject, 1).payload_id };
    flagver_change change = { .kind = FLAGVER_CHANGE_SHRED, .row.payload = &row };

    assert_ok(driver->apply(txn, &change, 1, &error));
}

#define SECRET "what nobody is to read ever again"

/* Short, and so long that it has pages of its own. */
static const char *secret(bool is_long)
{
    static char words[20000];
    size_t used = 0;

    do
        used += (size_t)snprintf(words + used, sizeof words - used, SECRET ";");
    while (is_long && used < 15000);
    return words;
}

START_TEST(what_was_shredded_is_in_no_file)
{
    flagver_driver_txn *txn;

    put(store, "a", secret(_i));
    put(store, "b", "something else");
    assert_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    put(store, "c", "something else");
    ck_assert(file_holds(SECRET));
    txn = writing();
    shred(txn, "a");
    shred(txn, "a");
    assert_ok(driver->commit(txn, &error));
    ck_assert(!file_holds(SECRET));
    ck_assert_str_eq(current(store, "a"), "");
    ck_assert_str_eq(current(store, "b"), "something else");
}
END_TEST

START_TEST(what_was_just_written_and_shredded_is_in_no_file)
{
    flagver_driver_txn *txn;

    put(store, "a", secret(_i));
    txn = writing();
    shred(txn, "a");
    assert_ok(driver->commit(txn, &error));
    ck_assert(!file_holds(SECRET));
}
END_TEST

static void find_current(void *data, const char *line)
{
    *(bool *)data = *(bool *)data || strstr(line, "is current, in state 1") != NULL;
}

START_TEST(a_draft_is_not_in_force_whatever_its_series_says)
{
    flagver_driver_txn *txn = writing();
    struct record record;
    bool found = false;

    start_record(txn, &record, "a", "1");
    assert_ok(driver->apply(txn, record.changes, record.count, &error));
    assert_ok(driver->commit(txn, &error));
    assert_sql("UPDATE flagver_series SET current_no = 1, rev = rev + 1");
    ck_assert_str_eq(current(store, "a"), "");
    assert_ok(driver->schema_verify(store, find_current, NULL, &found, &error));
    ck_assert(found);
}
END_TEST

/* ---- enlisting ---- */

static sqlite3 *application;

static void run(const char *statements)
{
    char *words = NULL;

    ck_assert_msg(sqlite3_exec(application, statements, NULL, NULL, &words) == SQLITE_OK, "%s: %s",
                  statements, words);
}

static void start_application(void)
{
    set_up();
    put(store, "a", "1");
    ck_assert_int_eq(sqlite3_open(path, &application), SQLITE_OK);
    run("CREATE TABLE orders (name TEXT)");
}

static void end_application(void)
{
    ck_assert_int_eq(sqlite3_close(application), SQLITE_OK);
    tear_down();
}

static int adopt(flagver_driver_txn **ret_txn)
{
    const flagver_adoption adoption = { .connection = application,
                                        .library = sqlite3_sourceid(),
                                        .version = sqlite3_libversion_number() };

    return driver->adopt(store, text("default"), &adoption, ret_txn, &error);
}

/* What the application does between our beginning and our first change, or our second. */
static const char *const retreats[][2] = {
    { "BEGIN IMMEDIATE; INSERT INTO orders VALUES ('x')", "ROLLBACK; BEGIN IMMEDIATE" },
    { "BEGIN IMMEDIATE; SAVEPOINT outside", "ROLLBACK TO outside" },
    { "BEGIN IMMEDIATE; SAVEPOINT outside", "RELEASE outside" },
    { "BEGIN IMMEDIATE", "COMMIT; BEGIN IMMEDIATE; SAVEPOINT flagver" },
    { "SAVEPOINT outside", "ROLLBACK TO outside; INSERT INTO orders VALUES ('x')" },
};

#define RETREATS (int)(sizeof retreats / sizeof *retreats)

START_TEST(nothing_is_written_into_a_transaction_that_is_not_the_one_we_joined)
{
    flagver_driver_txn *txn;
    struct record record;

    run(retreats[_i][0]);
    assert_ok(adopt(&txn));
    start_record(txn, &record, "a", "2");
    run(retreats[_i][1]);
    assert_fails(FLAGVER_EINVAL, driver->apply(txn, record.changes, record.count, &error));
    assert_words("took it back");
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "1");
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver_version"), "1");
}
END_TEST

START_TEST(no_second_change_follows_a_first_that_was_taken_back)
{
    flagver_driver_txn *txn;
    struct record record;

    run(retreats[_i][0]);
    assert_ok(adopt(&txn));
    start_record(txn, &record, "b", "1");
    assert_ok(driver->apply(txn, record.changes, record.count, &error));
    run(retreats[_i][1]);
    memset(&record, 0, sizeof record);
    record.payload = (flagver_payload_row){ .id = fresh_id(), .body = text("body") };
    add(&record, FLAGVER_CHANGE_PAYLOAD, 0, &record.payload);
    assert_fails(FLAGVER_EINVAL, driver->apply(txn, record.changes, record.count, &error));
    driver->rollback(txn);
    run("COMMIT");
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver_payload WHERE body = 'body'"), "0");
}
END_TEST

START_TEST(a_savepoint_of_the_application_inside_of_ours_is_its_own)
{
    flagver_driver_txn *txn;

    run("BEGIN");
    assert_ok(adopt(&txn));
    put_in(txn, "a", "2");
    run("SAVEPOINT inside; INSERT INTO orders VALUES ('x'); ROLLBACK TO inside; RELEASE inside");
    put_in(txn, "a", "3");
    assert_ok(driver->commit(txn, &error));
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "3");
    ck_assert_str_eq(answer("SELECT count(*) FROM orders"), "0");
}
END_TEST

/* The application empties its log when it likes. */
START_TEST(shredding_leaves_the_applications_settings_alone)
{
    flagver_driver_txn *txn;

    put(store, "secret", secret(true));
    run(_i ? "PRAGMA secure_delete = fast" : "PRAGMA secure_delete = off");
    run("BEGIN");
    assert_ok(adopt(&txn));
    shred(txn, "secret");
    assert_ok(driver->commit(txn, &error));
    run("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    ck_assert(!file_holds(SECRET));
    run("CREATE TABLE settings (secure_delete); INSERT INTO settings SELECT secure_delete FROM "
        "pragma_secure_delete");
    ck_assert_str_eq(answer("SELECT secure_delete FROM settings"), _i ? "2" : "0");
}
END_TEST

START_TEST(a_rollback_takes_back_every_batch)
{
    flagver_driver_txn *txn;

    run("BEGIN");
    assert_ok(adopt(&txn));
    put_in(txn, "a", "2");
    put_in(txn, "a", "3");
    driver->rollback(txn);
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "1");
}
END_TEST

START_TEST(two_at_once_do_not_take_each_other_for_themselves)
{
    flagver_driver_txn *first, *second;

    run("BEGIN");
    assert_ok(adopt(&first));
    assert_ok(adopt(&second));
    put_in(second, "a", "2");
    driver->rollback(first);
    assert_fails(FLAGVER_EINVAL, driver->commit(second, &error));
    run("COMMIT");
    ck_assert_str_eq(current(store, "a"), "1");
}
END_TEST

START_TEST(a_copy_of_the_file_is_not_the_store)
{
    flagver_driver_txn *txn;
    char statement[512];

    snprintf(statement, sizeof statement, "VACUUM INTO '%s'", beside("copy.db"));
    run(statement);
    sqlite3_close(application);
    ck_assert_int_eq(sqlite3_open(beside("copy.db"), &application), SQLITE_OK);
    run("BEGIN IMMEDIATE");
    assert_fails(FLAGVER_EINVAL, adopt(&txn));
    assert_words("copy.db");
    assert_words("app.db");
    run("ROLLBACK");
}
END_TEST

START_TEST(a_connection_that_is_closed_too_early_does_no_harm)
{
    flagver_driver_txn *txn;
    struct record record;

    run("BEGIN IMMEDIATE");
    assert_ok(adopt(&txn));
    start_record(txn, &record, "a", "2");
    ck_assert_int_eq(sqlite3_close_v2(application), SQLITE_OK);
    application = NULL;
    if (_i > 0)
        assert_fails(FLAGVER_EINVAL, driver->apply(txn, record.changes, record.count, &error));
    if (_i > 1)
        assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    else
        driver->rollback(txn);
    put(store, "a", "3");
    ck_assert_str_eq(current(store, "a"), "3");
}
END_TEST

/* ---- a file that is replaced ---- */

/* A copy, complete without a log. */
static void copy_to(const char *name)
{
    char statement[512];

    snprintf(statement, sizeof statement, "VACUUM INTO '%s'", name);
    assert_sql(statement);
}

/* Time passes between writing a file and moving it, which tests are too quick for. */
static void age(const char *name)
{
    const struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };

    ck_assert_msg(utimensat(AT_FDCWD, name, times, 0) == 0, "%s: %s", name, strerror(errno));
}

/* As `mv copy app.db` does it. */
static void replace_by(const char *name)
{
    age(beside("app.db-wal"));
    age(name);
    move(name, path);
}

static void replace_by_copy(void)
{
    put(store, "a", "1");
    copy_to(beside("copy"));
    put(store, "a", "2");
    replace_by(beside("copy"));
}

START_TEST(a_copy_moved_over_it_is_used_without_the_old_log)
{
    replace_by_copy();
    ck_assert_str_eq(current(store, "a"), "1");
    ck_assert_uint_eq(changes(store), 1);
    ck_assert(is_there(beside("app.db-wal.replaced")));
    ck_assert(is_there(beside("app.db-shm.replaced")));
    put(store, "a", "3");
    driver->close(store);
    store = open_store();
    ck_assert_str_eq(current(store, "a"), "3");
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}
END_TEST

START_TEST(closing_leaves_no_log_beside_a_copy)
{
    replace_by_copy();
    driver->close(store);
    store = NULL;
    ck_assert(!is_there(beside("app.db-wal")));
    ck_assert(!is_there(beside("app.db-shm")));
    store = open_store();
    ck_assert_str_eq(current(store, "a"), "1");
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}
END_TEST

START_TEST(several_replacements_leave_nothing_out)
{
    int i;

    for (i = 0; i < 3; i++) {
        replace_by_copy();
        ck_assert_str_eq(current(store, "a"), "1");
    }
    ck_assert(is_there(beside("app.db-wal.replaced-3")));
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}
END_TEST

/* Opened by another process or not: what is in our log is in our file when it comes back. */
static void come_back(void (*meanwhile)(void))
{
    put(store, "a", "1");
    copy_to(beside("copy"));
    put(store, "a", "2");
    age(beside("app.db-wal"));
    age(beside("copy"));
    move(path, beside("away"));
    move(beside("copy"), path);
    meanwhile();
    if (is_there(beside("app.db-wal")))
        age(beside("app.db-wal"));
    move(path, beside("copy"));
    move(beside("away"), path);

    ck_assert_str_eq(current(store, "a"), "2");
    ck_assert_uint_eq(changes(store), 2);
    put(store, "a", "3");
    ck_assert_str_eq(current(store, "a"), "3");
    driver->close(store);
    store = open_store();
    ck_assert_str_eq(current(store, "a"), "3");
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}

static void use_the_copy(void)
{
    ck_assert_str_eq(current(store, "a"), "1");
    age(path); /* it was not written for a while before it is moved away */
}

static void use_the_copy_during_a_transaction(void)
{
    flagver_driver_txn *txn;
    struct record record;

    assert_ok(driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, &error));
    put(store, "b", "1");
    start_record(txn, &record, "a", "9");
    driver->rollback(txn);
    age(path);
}

START_TEST(away_and_back_again_loses_nothing)
{
    come_back(_i ? use_the_copy_during_a_transaction : use_the_copy);
}
END_TEST

static void replace_by_another_store(void)
{
    flagver_driver_config how = config();
    flagver_store *other;

    how.path = beside("other.db");
    assert_ok(driver->open(&how, &other, &error));
    driver->close(other);
    age(beside("other.db"));
    move(path, beside("copy"));
    move(beside("other.db"), path);
    assert_fails(FLAGVER_EUNAVAILABLE, driver->ping(store, &error));
    assert_words("another store");
    ck_assert(!is_there(beside("app.db-wal")));
}

START_TEST(another_store_in_between_loses_nothing)
{
    come_back(replace_by_another_store);
}
END_TEST

START_TEST(a_log_that_somebody_writes_is_not_taken_away)
{
    struct stat before, after;

    put(store, "a", "1");
    copy_to(beside("copy"));
    age(beside("copy"));
    move(beside("copy"), path);
    ck_assert_int_eq(stat(beside("app.db-wal"), &before), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, beside("app.db-wal"), NULL, 0), 0);
    assert_fails(FLAGVER_EUNAVAILABLE, driver->ping(store, &error));
    assert_words("move them away");
    ck_assert_int_eq(stat(beside("app.db-wal"), &after), 0);
    ck_assert(before.st_ino == after.st_ino);
}
END_TEST

START_TEST(a_reader_takes_no_log_away)
{
    flagver_driver_config how = config();
    flagver_store *reader;

    how.read_only = 1;
    assert_ok(driver->open(&how, &reader, &error));
    replace_by_copy();
    assert_fails(FLAGVER_EUNAVAILABLE, driver->ping(reader, &error));
    ck_assert(is_there(beside("app.db-wal")));
    driver->close(reader);
}
END_TEST

/* ---- opening beside a log ---- */

static void copy_bytes(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    int c;

    ck_assert(in && out);
    while ((c = fgetc(in)) != EOF)
        fputc(c, out);
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
}

START_TEST(the_log_of_another_store_is_refused)
{
    flagver_driver_config how = config();
    struct stat before, after;
    flagver_store *opened;

    put(store, "a", "1");
    copy_bytes(beside("app.db-wal"), beside("other db%3f#?.db-wal"));
    driver->close(store);
    store = NULL;
    move(path, beside("away"));

    how.path = path;
    assert_ok(driver->open(&how, &opened, &error));
    put(opened, "b", "1");
    driver->close(opened);
    move(path, beside("other db%3f#?.db"));
    how.path = beside("other db%3f#?.db");
    ck_assert_int_eq(stat(how.path, &before), 0);
    assert_fails(FLAGVER_ECORRUPT, driver->open(&how, &opened, &error));
    assert_words("belongs to another store");
    ck_assert(is_there(beside("other db%3f#?.db-wal")));
    ck_assert_int_eq(stat(how.path, &after), 0);
    ck_assert(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
              before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);

    ck_assert_int_eq(unlink(beside("other db%3f#?.db-wal")), 0);
    assert_ok(driver->open(&how, &opened, &error));
    ck_assert_str_eq(current(opened, "b"), "1");
    driver->close(opened);
}
END_TEST

START_TEST(a_log_that_was_left_by_a_process_that_died_is_read)
{
    flagver_driver_config how = config();
    flagver_store *opened;

    put(store, "a", "1");
    copy_bytes(path, beside("dead.db"));
    copy_bytes(beside("app.db-wal"), beside("dead.db-wal"));
    how.path = beside("dead.db");
    assert_ok(driver->open(&how, &opened, &error));
    ck_assert_str_eq(current(opened, "a"), "1");
    driver->close(opened);
}
END_TEST

/* ---- describing ---- */

START_TEST(a_description_waits_for_nobody)
{
    flagver_driver_config how = config();
    flagver_store *memory;
    flagver_driver_txn *txn;
    char line[1024];

    how.path = ":memory:";
    how.wait_ms = 3600000; /* who waits does not come back */
    assert_ok(driver->open(&how, &memory, &error));
    put(memory, "a", "1");
    txn = begin(memory, FLAGVER_MODE_WRITE);
    put_in(txn, "a", "2");
    assert_fails(FLAGVER_EBUSY, driver->describe(memory, line, sizeof line, &error));
    assert_ok(driver->commit(txn, &error));
    assert_ok(driver->describe(memory, line, sizeof line, &error));
    ck_assert_ptr_nonnull(strstr(line, "\"schema\":2"));
    driver->close(memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite hardening");
    TCase *plain = tcase_create("plain SQL"), *enlisting = tcase_create("enlisting"),
          *files = tcase_create("files");

    tcase_add_checked_fixture(plain, set_up, tear_down);
    tcase_add_loop_test(plain, plain_sql_cannot_swap_what_was_approved, 0,
                        (int)(sizeof refused / sizeof *refused));
    tcase_add_test(plain, a_payload_that_no_version_has_may_be_deleted);
    tcase_add_test(plain, a_draft_is_not_in_force_whatever_its_series_says);
    tcase_add_loop_test(plain, what_was_shredded_is_in_no_file, 0, 2);
    tcase_add_loop_test(plain, what_was_just_written_and_shredded_is_in_no_file, 0, 2);
    suite_add_tcase(suite, plain);

    tcase_add_checked_fixture(enlisting, start_application, end_application);
    tcase_add_loop_test(enlisting,
                        nothing_is_written_into_a_transaction_that_is_not_the_one_we_joined, 0,
                        RETREATS);
    tcase_add_loop_test(enlisting, no_second_change_follows_a_first_that_was_taken_back, 0,
                        RETREATS);
    tcase_add_test(enlisting, a_savepoint_of_the_application_inside_of_ours_is_its_own);
    tcase_add_loop_test(enlisting, shredding_leaves_the_applications_settings_alone, 0, 2);
    tcase_add_test(enlisting, a_rollback_takes_back_every_batch);
    tcase_add_test(enlisting, two_at_once_do_not_take_each_other_for_themselves);
    tcase_add_test(enlisting, a_copy_of_the_file_is_not_the_store);
    tcase_add_loop_test(enlisting, a_connection_that_is_closed_too_early_does_no_harm, 0, 3);
    suite_add_tcase(suite, enlisting);

    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, a_copy_moved_over_it_is_used_without_the_old_log);
    tcase_add_test(files, closing_leaves_no_log_beside_a_copy);
    tcase_add_test(files, several_replacements_leave_nothing_out);
    tcase_add_loop_test(files, away_and_back_again_loses_nothing, 0, 2);
    tcase_add_test(files, another_store_in_between_loses_nothing);
    tcase_add_test(files, a_log_that_somebody_writes_is_not_taken_away);
    tcase_add_test(files, a_reader_takes_no_log_away);
    tcase_add_test(files, the_log_of_another_store_is_refused);
    tcase_add_test(files, a_log_that_was_left_by_a_process_that_died_is_read);
    tcase_add_test(files, a_description_waits_for_nobody);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
