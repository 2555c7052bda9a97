/*
 * The SQLite driver and its file: missing, foreign, moved, deleted, replaced, full.
 */
#define _GNU_SOURCE /* unshare */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "unit/sqlite_store.h"

static flagver_store *opened;

static int open_as(flagver_driver_config how)
{
    return driver->open(&how, &opened, &error);
}

static void write_file(const char *name, const char *content, size_t length)
{
    FILE *file = fopen(name, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static int begin_write(void)
{
    flagver_driver_txn *txn;
    int r = driver->begin(store, text("default"), FLAGVER_MODE_WRITE, &txn, &error);

    if (r == 0)
        driver->rollback(txn);
    return r;
}

static int poll_changes(void)
{
    uint64_t size;

    return driver->changes(store, text("default"), &size, &error);
}

#define assert_unavailable(call, part)            \
    do {                                          \
        assert_fails(FLAGVER_EUNAVAILABLE, call); \
        assert_words(path);                       \
        assert_words(part);                       \
    } while (0)

/* A copy as a careful administrator makes it, complete without a log. */
static void copy_to(const char *name)
{
    char statement[512];

    snprintf(statement, sizeof statement, "VACUUM INTO '%s'", name);
    assert_sql(statement);
}

static void move(const char *from, const char *to)
{
    ck_assert_msg(rename(from, to) == 0, "%s: %s", from, strerror(errno));
}

static void move_log_away(void)
{
    move(beside("app.db-wal"), beside("old-wal"));
    move(beside("app.db-shm"), beside("old-shm"));
}

/* ---- opening ---- */

START_TEST(a_missing_file_is_made_with_its_schema)
{
    assert_ok(open_as(config()));
    put(opened, "a", "1");
    driver->close(opened);
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver_version"), "1");
    ck_assert_str_eq(answer("PRAGMA journal_mode"), "wal");
    ck_assert(!is_there(beside("app.db-wal")));
}
END_TEST

START_TEST(the_tables_of_the_application_are_left_alone)
{
    write_file(path, "", 0);
    assert_sql("CREATE TABLE customer (name TEXT); INSERT INTO customer VALUES ('eve')");
    assert_ok(open_as(config()));
    put(opened, "a", "1");
    assert_ok(driver->schema_migrate(opened, 0, &error));
    driver->close(opened);
    ck_assert_str_eq(answer("SELECT group_concat(name) FROM sqlite_schema"), "customer");
    ck_assert_str_eq(answer("SELECT name FROM customer"), "eve");
}
END_TEST

START_TEST(a_store_that_is_missing_is_not_made_for_readers)
{
    flagver_driver_config how = config();

    how.read_only = 1;
    assert_fails(FLAGVER_ENOTFOUND, open_as(how));
    assert_words(path);
    how = config();
    how.no_upgrade = 1;
    assert_fails(FLAGVER_ENOTFOUND, open_as(how));
    ck_assert(!is_there(path));
}
END_TEST

START_TEST(a_reader_does_not_upgrade)
{
    flagver_driver_config how = config();

    write_file(path, "", 0);
    assert_sql("CREATE TABLE customer (name TEXT)");
    how.read_only = 1;
    assert_fails(FLAGVER_ESCHEMA, open_as(how));
    assert_words("flagver schema up");
    ck_assert_str_eq(answer("SELECT count(*) FROM sqlite_schema"), "1");
}
END_TEST

START_TEST(a_reader_reads_and_does_not_write)
{
    flagver_driver_config how = config();
    flagver_driver_txn *txn;
    struct record record;

    store = open_store();
    put(store, "a", "1");
    how.read_only = 1;
    assert_ok(open_as(how));
    ck_assert_str_eq(current(opened, "a"), "1");
    ck_assert_uint_eq(changes(opened), 1);
    if (driver->begin(opened, text("default"), FLAGVER_MODE_WRITE, &txn, &error) == 0) {
        start_record(txn, &record, "a", "2");
        assert_fails(FLAGVER_EUNAVAILABLE,
                     driver->apply(txn, record.changes, record.count, &error));
        driver->rollback(txn);
    }
    driver->close(opened);
    ck_assert_str_eq(current(store, "a"), "1");
    driver->close(store);
    store = NULL;
}
END_TEST

START_TEST(what_is_no_database_is_said_so)
{
    char garbage[8192];

    memset(garbage, 'x', sizeof garbage);
    write_file(path, garbage, sizeof garbage);
    assert_fails(FLAGVER_ECORRUPT, open_as(config()));
    assert_words(path);
    assert_words("not a database");
    ck_assert_int_eq(error.native, SQLITE_NOTADB);
}
END_TEST

START_TEST(a_path_that_cannot_be_opened_is_named)
{
    flagver_driver_config how = config();
    char missing[128];

    snprintf(missing, sizeof missing, "%s/no/app.db", directory);
    how.path = missing;
    assert_fails(FLAGVER_EUNAVAILABLE, open_as(how));
    assert_words(missing);
    ck_assert_int_ne(error.native, 0);
    how.path = directory;
    assert_fails(FLAGVER_EUNAVAILABLE, open_as(how));
    assert_words(directory);
}
END_TEST

START_TEST(a_database_in_utf_16_is_refused)
{
    write_file(path, "", 0);
    assert_sql("PRAGMA encoding = 'UTF-16'; CREATE TABLE customer (name TEXT)");
    assert_fails(FLAGVER_ENOTSUP, open_as(config()));
    assert_words("UTF-16");
}
END_TEST

START_TEST(a_path_is_no_uri_and_outlives_a_change_of_directory)
{
    flagver_driver_config how = config();
    int before = open(".", O_RDONLY | O_DIRECTORY);

    ck_assert_int_eq(chdir(directory), 0);
    how.path = "file:app.db?mode=memory";
    assert_ok(open_as(how));
    ck_assert_int_eq(fchdir(before), 0);
    close(before);
    put(opened, "a", "1");
    ck_assert_str_eq(current(opened, "a"), "1");
    driver->close(opened);
    ck_assert(is_there(beside("file:app.db?mode=memory")));
}
END_TEST

/* ---- moved, deleted ---- */

START_TEST(a_file_that_is_away_is_unavailable_until_it_is_back)
{
    flagver_driver_txn *txn;

    put(store, "a", "1");
    move(path, beside("away"));
    assert_unavailable(begin_write(), "gone");
    assert_unavailable(poll_changes(), "gone");
    assert_unavailable(driver->ping(store, &error), "gone");
    assert_unavailable(driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, &error),
                       "gone");
    ck_assert(!is_there(path));

    move(beside("away"), path);
    put(store, "a", "2");
    ck_assert_str_eq(current(store, "a"), "2");
    ck_assert_uint_eq(changes(store), 2);
}
END_TEST

START_TEST(nothing_is_committed_into_a_file_that_is_away)
{
    flagver_driver_txn *txn = writing();

    put_in(txn, "a", "1");
    move(path, beside("away"));
    assert_unavailable(driver->commit(txn, &error), "moved");
    move(beside("away"), path);
    ck_assert_str_eq(current(store, "a"), "");
    put(store, "a", "2");
    ck_assert_str_eq(current(store, "a"), "2");
}
END_TEST

START_TEST(a_deleted_file_is_not_made_anew)
{
    put(store, "a", "1");
    ck_assert_int_eq(unlink(path), 0);
    assert_unavailable(begin_write(), "gone");
    assert_unavailable(poll_changes(), "gone");
    driver->close(store);
    store = NULL;
    ck_assert(!is_there(path));
}
END_TEST

START_TEST(what_was_committed_goes_along_with_a_file_that_was_moved)
{
    char found[32];

    put(store, "a", "1");
    move(path, beside("away"));
    driver->close(store); /* while the log still lies at the old place */
    store = NULL;
    ck_assert_int_eq(
        sql_at(beside("away"), "SELECT count(*) FROM flagver_version", found, sizeof found, true),
        SQLITE_OK);
    ck_assert_str_eq(found, "1");
}
END_TEST

/* ---- replaced ---- */

START_TEST(a_copy_that_is_put_back_is_used)
{
    flagver_driver_txn *txn;

    put(store, "a", "1");
    copy_to(beside("copy"));
    put(store, "a", "2");
    txn = reading();
    move(path, beside("away"));
    move_log_away();
    move(beside("copy"), path);

    ck_assert_str_eq(current(store, "a"), "1");
    ck_assert_uint_eq(changes(store), 1);
    put(store, "a", "3");
    ck_assert_str_eq(current(store, "a"), "3");
    driver->rollback(txn);
    ck_assert_uint_eq(changes(store), 2);
    driver->close(store);
    store = open_store();
    ck_assert_str_eq(current(store, "a"), "3");
}
END_TEST

START_TEST(a_transaction_across_a_replacement_does_not_commit)
{
    flagver_driver_txn *txn;

    put(store, "a", "1");
    copy_to(beside("copy"));
    txn = writing();
    put_in(txn, "a", "2");
    move(path, beside("away"));
    move_log_away();
    move(beside("copy"), path);
    ck_assert_uint_eq(changes(store), 1); /* the new file is in use by now */
    assert_unavailable(driver->commit(txn, &error), "replaced");
    ck_assert_str_eq(current(store, "a"), "1");
    put(store, "a", "3");
    ck_assert_str_eq(current(store, "a"), "3");
}
END_TEST

START_TEST(a_copy_beside_the_old_log_is_refused)
{
    put(store, "a", "1");
    copy_to(beside("copy"));
    put(store, "a", "2");
    ck_assert_int_eq(unlink(path), 0);
    move(beside("copy"), path);
    /* somebody has written it since, perhaps for the copy */
    ck_assert_int_eq(utimensat(AT_FDCWD, beside("app.db-wal"), NULL, 0), 0);
    assert_unavailable(begin_write(), "-wal");
    assert_unavailable(poll_changes(), "-wal");

    move_log_away();
    ck_assert_str_eq(current(store, "a"), "1");
    put(store, "a", "3");
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}
END_TEST

START_TEST(another_store_in_its_place_is_refused)
{
    flagver_driver_config how = config();
    char before[64];

    put(store, "a", "1");
    how.path = beside("other.db");
    assert_ok(open_as(how));
    driver->close(opened);
    move(path, beside("away"));
    move_log_away();
    move(beside("other.db"), path);
    assert_unavailable(begin_write(), "another store");
    assert_unavailable(poll_changes(), "another store");
    snprintf(before, sizeof before, "%s", answer("SELECT count(*) FROM flagver_series"));
    driver->close(store);
    store = NULL;
    ck_assert_str_eq(before, "0");
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}
END_TEST

START_TEST(a_foreign_file_in_its_place_is_refused)
{
    put(store, "a", "1");
    move(path, beside("away"));
    move_log_away();
    write_file(path, "", 0);
    assert_unavailable(begin_write(), "none, is there");
    ck_assert_str_eq(answer("SELECT count(*) FROM sqlite_schema"), "0");
}
END_TEST

/* Somebody else writes to what is at the path now; then we close. */
static void close_beside_another(void)
{
    struct stat before, after;
    sqlite3 *other;

    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(other, "PRAGMA journal_mode = WAL; CREATE TABLE t (x)", NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_int_eq(stat(beside("app.db-wal"), &before), 0);
    ck_assert_int_gt(before.st_size, 0);

    driver->close(store);
    store = NULL;
    ck_assert_int_eq(stat(beside("app.db-wal"), &after), 0);
    ck_assert(before.st_ino == after.st_ino && before.st_size == after.st_size);
    ck_assert_int_eq(sqlite3_exec(other, "INSERT INTO t VALUES (1)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    ck_assert_str_eq(answer("SELECT count(*) FROM t"), "1");
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
}

START_TEST(closing_leaves_the_log_of_another_file_alone)
{
    put(store, "a", "1");
    copy_to(beside("copy"));
    move(path, beside("away"));
    move_log_away();
    move(beside("copy"), path);
    close_beside_another();
}
END_TEST

START_TEST(closing_leaves_a_log_alone_that_another_file_has_taken_over)
{
    put(store, "a", "1");
    assert_sql("PRAGMA wal_checkpoint(TRUNCATE)"); /* an empty one does no harm to the copy */
    copy_to(beside("copy"));
    ck_assert_int_eq(unlink(path), 0);
    move(beside("copy"), path);
    close_beside_another();
}
END_TEST

START_TEST(a_link_that_points_elsewhere_counts_as_replaced)
{
    flagver_driver_config how = config();

    ck_assert_int_eq(symlink("app.db", beside("link")), 0);
    driver->close(store);
    how.path = beside("link");
    assert_ok(open_as(how));
    store = opened;
    put(store, "a", "1");
    copy_to(beside("copy"));
    put(store, "a", "2");
    ck_assert_int_eq(unlink(beside("link")), 0);
    ck_assert_int_eq(symlink("copy", beside("link")), 0);
    ck_assert_str_eq(current(store, "a"), "1");
    put(store, "a", "3");
    ck_assert_str_eq(current(store, "a"), "3");
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver_version"), "2");
}
END_TEST

START_TEST(an_identity_that_changes_under_it_is_noticed)
{
    put(store, "a", "1");
    assert_forced("UPDATE flagver_meta SET store = zeroblob(16)");
    assert_unavailable(begin_write(), "another store");
}
END_TEST

/*
 * Both identities are the file's own, the one before in it and the new one in the log, when a
 * process dies between them.
 */
START_TEST(a_store_that_was_made_anew_outlives_its_maker)
{
    pid_t child;

    driver->close(open_store());
    child = fork();
    if (child == 0) {
        store = open_store();
        end_child(driver->schema_migrate(store, 0, &error) == 0 &&
                  driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error) == 0);
    }
    ck_assert(was_content(child));
    driver->close(open_store());
}
END_TEST

/* ---- full ---- */

/* For a process of its own, whose mounts nobody else sees. */
static bool mount_small_disk(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", directory, "tmpfs", 0, "size=1m") == 0;
}

static void fill_small_disk(void)
{
    static char body[4096];
    flagver_driver_txn *txn;
    struct record record;
    uint64_t before;
    int r = 0, i;

    memset(body, 'x', sizeof body - 1);
    store = open_store();
    for (i = 0; r == 0 && i < 1000; i++) {
        before = changes(store);
        txn = writing();
        start_record(txn, &record, "a", body);
        approve_record(txn, &record, "a");
        log_record(txn, &record);
        r = driver->apply(txn, record.changes, record.count, &error);
        if (r == 0)
            r = driver->commit(txn, &error);
        else
            driver->rollback(txn);
    }
    ck_assert_msg(r == FLAGVER_EUNAVAILABLE, "%d %s", r, error.message);
    ck_assert_int_eq(error.native & 0xff, SQLITE_FULL);
    assert_words(path);
    ck_assert_uint_eq(changes(store), before);
    ck_assert_str_eq(answer("PRAGMA integrity_check"), "ok");
    driver->close(store);
    umount(directory);
}

START_TEST(a_full_disk_is_said_so_and_nothing_is_half_done)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (!mount_small_disk())
            raise(SIGUSR1);
        fill_small_disk();
        end_child(true);
    }
    ck_assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    if (WTERMSIG(status) == SIGUSR1)
        printf("SKIPPED: no small file system can be mounted here\n");
    else
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

/* ---- describing ---- */

START_TEST(a_store_describes_itself_as_json)
{
    char line[1024], small[8];

    put(store, "a", "1");
    assert_ok(driver->describe(store, line, sizeof line, &error));
    ck_assert_msg(line[0] == '{' && line[strlen(line) - 1] == '}', "%s", line);
    ck_assert_ptr_nonnull(strstr(line, "\"driver\":\"sqlite\""));
    ck_assert_ptr_nonnull(strstr(line, "\"journal_mode\":\"wal\""));
    ck_assert_ptr_nonnull(strstr(line, "\"schema\":2"));
    ck_assert_ptr_nonnull(strstr(line, path));
    assert_fails(FLAGVER_EINVAL, driver->describe(store, small, sizeof small, &error));
}
END_TEST

START_TEST(a_description_is_json_whatever_the_path)
{
    flagver_driver_config how = config();
    char line[1024];

    how.path = beside("a\"b\\c\n\xff.db");
    assert_ok(open_as(how));
    assert_ok(driver->describe(opened, line, sizeof line, &error));
    driver->close(opened);
    ck_assert_msg(strstr(line, "a\\u0022b\\u005cc\\u000a\xef\xbf\xbd.db") != NULL, "%s", line);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite files");
    TCase *opening = tcase_create("opening"), *in_use = tcase_create("in use");

    tcase_add_checked_fixture(opening, make_place, remove_place);
    tcase_add_test(opening, a_missing_file_is_made_with_its_schema);
    tcase_add_test(opening, the_tables_of_the_application_are_left_alone);
    tcase_add_test(opening, a_store_that_is_missing_is_not_made_for_readers);
    tcase_add_test(opening, a_reader_does_not_upgrade);
    tcase_add_test(opening, a_reader_reads_and_does_not_write);
    tcase_add_test(opening, what_is_no_database_is_said_so);
    tcase_add_test(opening, a_path_that_cannot_be_opened_is_named);
    tcase_add_test(opening, a_database_in_utf_16_is_refused);
    tcase_add_test(opening, a_path_is_no_uri_and_outlives_a_change_of_directory);
    tcase_add_test(opening, a_store_that_was_made_anew_outlives_its_maker);
    tcase_add_test(opening, a_full_disk_is_said_so_and_nothing_is_half_done);
    suite_add_tcase(suite, opening);

    tcase_add_checked_fixture(in_use, set_up, tear_down);
    tcase_add_test(in_use, a_file_that_is_away_is_unavailable_until_it_is_back);
    tcase_add_test(in_use, nothing_is_committed_into_a_file_that_is_away);
    tcase_add_test(in_use, a_deleted_file_is_not_made_anew);
    tcase_add_test(in_use, what_was_committed_goes_along_with_a_file_that_was_moved);
    tcase_add_test(in_use, a_copy_that_is_put_back_is_used);
    tcase_add_test(in_use, a_transaction_across_a_replacement_does_not_commit);
    tcase_add_test(in_use, a_copy_beside_the_old_log_is_refused);
    tcase_add_test(in_use, another_store_in_its_place_is_refused);
    tcase_add_test(in_use, a_foreign_file_in_its_place_is_refused);
    tcase_add_test(in_use, closing_leaves_the_log_of_another_file_alone);
    tcase_add_test(in_use, closing_leaves_a_log_alone_that_another_file_has_taken_over);
    tcase_add_test(in_use, a_link_that_points_elsewhere_counts_as_replaced);
    tcase_add_test(in_use, an_identity_that_changes_under_it_is_noticed);
    tcase_add_test(in_use, a_store_describes_itself_as_json);
    tcase_add_test(in_use, a_description_is_json_whatever_the_path);
    suite_add_tcase(suite, in_use);
    return run_suite(suite);
}
