/*
 * The schema of a store: looked at without being made, up, verified, and down only with
 * a backup that could be brought back.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp() */
#include "exports.h"

#include <sqlite3.h>
#include <sys/wait.h>

#include "flagver.h"
#include "flagver/store.h"

static uint32_t version_of(const char *store)
{
    uint32_t version = 99, wanted = 99;

    assert_ok(flagver_schema_version(STORE_NAMED(store), &version, &wanted, &error));
    ck_assert_uint_eq(wanted, FLAGVER_SCHEMA_VERSION);
    return version;
}

static void fill(const char *store)
{
    struct sheet sheet = base_sheet();

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    assert_ok(flagver_store_import(STORE_NAMED(store), FILE_NAMED("base"), &error));
}

/* Behind the library's back. */
static void run_sql(const char *store, const char *sql)
{
    char *words = NULL;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(FILE_NAMED(store), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s: %s", sql, words);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* ---- looking ---- */

START_TEST(looking_creates_nothing)
{
    uint32_t version;

    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_schema_version(STORE_NAMED("none"), &version, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_schema_verify(STORE_NAMED("none"), NULL, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_schema_down(STORE_NAMED("none"), 0, NULL, true, &error));
    ck_assert_int_eq(count_files("none"), 0);

    assert_fails(FLAGVER_ENOTSUP, flagver_schema_version("what:ever", &version, NULL, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_schema_up("file:flags.json", &error));
    assert_fails(FLAGVER_EINVAL, flagver_schema_version(NULL, &version, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_schema_version(STORE_NAMED("none"), NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_schema_up(NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_schema_down(NULL, 0, NULL, true, &error));
    assert_fails(FLAGVER_EINVAL, flagver_schema_verify(NULL, NULL, NULL, &error));
}
END_TEST

START_TEST(a_database_of_the_application_has_no_schema_and_stays_so)
{
    run_sql("app", "CREATE TABLE customer (name TEXT)");
    ck_assert_uint_eq(version_of("app"), 0);
    assert_ok(flagver_schema_up(STORE_NAMED("app"), &error));
    ck_assert_uint_eq(version_of("app"), FLAGVER_SCHEMA_VERSION);
    assert_ok(flagver_schema_down(STORE_NAMED("app"), 0, NULL, true, &error));
    ck_assert_uint_eq(version_of("app"), 0);
    run_sql("app", "INSERT INTO customer VALUES ('still there')");
}
END_TEST

/* ---- up ---- */

START_TEST(up_twice_is_harmless)
{
    assert_ok(flagver_schema_up(STORE_NAMED("store"), &error));
    ck_assert_uint_eq(version_of("store"), FLAGVER_SCHEMA_VERSION);
    fill("store");
    assert_ok(flagver_schema_up(STORE_NAMED("store"), &error));
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("after"), &error));
    assert_same_files("base", "after");
}
END_TEST

/* From nothing, and from version 1. */
START_TEST(several_processes_may_go_up_at_once)
{
    pid_t children[4];
    int i, status;

    if (_i) {
        fill("store");
        assert_ok(flagver_schema_down(STORE_NAMED("store"), 1, NULL, true, &error));
    }
    for (i = 0; i < COUNT(children); i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(flagver_schema_up(STORE_NAMED("store"), NULL) == 0 ? 0 : 1);
    }
    for (i = 0; i < COUNT(children); i++) {
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_uint_eq(version_of("store"), FLAGVER_SCHEMA_VERSION);
    ck_assert_int_eq(flagver_schema_verify(STORE_NAMED("store"), NULL, NULL, &error), 0);
}
END_TEST

static int64_t number_of(const char *store, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t number;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(FILE_NAMED(store), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    return number;
}

START_TEST(an_application_goes_on_with_its_store_of_version_1)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "alice" };
    flagver_client *client;
    flagver_txn *txn;
    int64_t leaves;

    fill("store");
    leaves = number_of("store", "SELECT size FROM flagver_log WHERE tenant = 'default'");
    assert_ok(flagver_schema_down(STORE_NAMED("store"), 1, NULL, true, &error));
    ck_assert_uint_eq(version_of("store"), 1);

    assert_ok(flagver_open(STORE_NAMED("store"), NULL, &client, &error));
    ck_assert_uint_eq(version_of("store"), FLAGVER_SCHEMA_VERSION);
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("after"), &error));
    assert_same_files("base", "after");
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_flag_put(txn, "anew", "{\"type\": \"boolean\"}", 19, NULL, NULL, &error));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    flagver_close(client);

    ck_assert_int_gt(number_of("store", "SELECT size FROM flagver_log WHERE tenant = 'default'"),
                     leaves);
    ck_assert_int_eq(number_of("store", "SELECT size = frontier_size FROM flagver_log WHERE "
                                        "tenant = 'default'"),
                     1);
    ck_assert_int_eq(flagver_schema_verify(STORE_NAMED("store"), NULL, NULL, &error), 0);
}
END_TEST

/* ---- down ---- */

START_TEST(down_asks_for_a_backup)
{
    fill("store");
    assert_fails(FLAGVER_EINVAL, flagver_schema_down(STORE_NAMED("store"), 0, NULL, false, &error));
    assert_words("backup");
    assert_words("no_backup");
    ck_assert_uint_eq(version_of("store"), FLAGVER_SCHEMA_VERSION);
}
END_TEST

START_TEST(down_with_a_backup_can_be_undone)
{
    fill("store");
    assert_ok(flagver_schema_down(STORE_NAMED("store"), 0, FILE_NAMED("backup"), false, &error));
    ck_assert_uint_eq(version_of("store"), 0);
    assert_same_files("base", "backup");
    ck_assert_int_eq(count_files(".part"), 0);

    assert_ok(flagver_store_import(STORE_NAMED("store"), FILE_NAMED("backup"), &error));
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("after"), &error));
    assert_same_files("base", "after");
}
END_TEST

START_TEST(down_without_a_backup_when_that_is_said)
{
    fill("store");
    assert_ok(flagver_schema_down(STORE_NAMED("store"), 0, NULL, true, &error));
    ck_assert_uint_eq(version_of("store"), 0);
    /* There is nothing left to take down, and so nothing to back up. */
    assert_ok(flagver_schema_down(STORE_NAMED("store"), 0, FILE_NAMED("backup"), false, &error));
    ck_assert(!is_there("backup"));
}
END_TEST

START_TEST(an_older_schema_goes_down_without_a_backup)
{
    fill("store");
    assert_ok(flagver_schema_down(STORE_NAMED("store"), 1, FILE_NAMED("backup"), false, &error));
    ck_assert_uint_eq(version_of("store"), 1);
    assert_fails(FLAGVER_ESCHEMA,
                 flagver_schema_down(STORE_NAMED("store"), 0, FILE_NAMED("more"), false, &error));
    assert_words("version 1, and only version 2 can be backed up: go up first, or say no_backup");
    ck_assert(!is_there("more"));
    ck_assert_uint_eq(version_of("store"), 1);
    assert_ok(flagver_schema_down(STORE_NAMED("store"), 0, NULL, true, &error));
    ck_assert_uint_eq(version_of("store"), 0);
}
END_TEST

START_TEST(a_backup_overwrites_nothing)
{
    struct fv_text text;

    fill("store");
    write_bytes("backup", "precious", 8);
    assert_fails(FLAGVER_EEXIST,
                 flagver_schema_down(STORE_NAMED("store"), 0, FILE_NAMED("backup"), false, &error));
    text = read_bytes("backup");
    ck_assert_str_eq(text.data, "precious");
    fv_text_clear(&text);
    ck_assert_uint_eq(version_of("store"), FLAGVER_SCHEMA_VERSION);
    assert_fails(FLAGVER_EIO, flagver_schema_down(STORE_NAMED("store"), 0,
                                                  FILE_NAMED("no/such/folder"), false, &error));
    ck_assert_uint_eq(version_of("store"), FLAGVER_SCHEMA_VERSION);
}
END_TEST

START_TEST(a_version_that_is_not_below_is_no_way_down)
{
    fill("store");
    assert_fails(
        FLAGVER_EINVAL,
        flagver_schema_down(STORE_NAMED("store"), FLAGVER_SCHEMA_VERSION + 1, NULL, true, &error));
    assert_words("cannot go down to 3");
    assert_ok(
        flagver_schema_down(STORE_NAMED("store"), FLAGVER_SCHEMA_VERSION, NULL, true, &error));
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("after"), &error));
    assert_same_files("base", "after");
}
END_TEST

START_TEST(a_store_whose_backup_is_unsound_stays)
{
    fill("store");
    run_sql("store", "DROP TRIGGER flagver_payload_frozen;"
                     "UPDATE flagver_payload SET body = CAST('{}' AS BLOB)"
                     " WHERE body = CAST('{\"a\":2}' AS BLOB)");
    assert_fails(FLAGVER_ECORRUPT,
                 flagver_schema_down(STORE_NAMED("store"), 0, FILE_NAMED("backup"), false, &error));
    assert_words("nothing was taken down");
    assert_words("backup:5: the content_hash is not that of the contents");
    ck_assert_uint_eq(version_of("store"), FLAGVER_SCHEMA_VERSION);
}
END_TEST

/* ---- verify ---- */

struct lines {
    int fine, wrong;
    char wrong_words[2048];
};

static void take_line(void *data, bool fine, const char *line)
{
    struct lines *lines = data;

    ck_assert(line[0] && !strchr(line, '\n'));
    if (fine) {
        lines->fine++;
    } else {
        lines->wrong++;
        strncat(lines->wrong_words, line,
                sizeof lines->wrong_words - strlen(lines->wrong_words) - 1);
    }
}

START_TEST(a_whole_schema_is_told_part_by_part)
{
    struct lines lines = { .fine = 0 };

    fill("store");
    ck_assert_int_eq(flagver_schema_verify(STORE_NAMED("store"), take_line, &lines, &error), 0);
    ck_assert_int_gt(lines.fine, 20);
    ck_assert_int_eq(lines.wrong, 0);
}
END_TEST

START_TEST(what_is_missing_is_counted_and_named)
{
    struct lines lines = { .fine = 0 };

    fill("store");
    run_sql("store", "DROP TRIGGER flagver_leaf_frozen; DROP INDEX flagver_version_approved");
    ck_assert_int_eq(flagver_schema_verify(STORE_NAMED("store"), take_line, &lines, &error),
                     lines.wrong);
    ck_assert_int_ge(lines.wrong, 2);
    ck_assert_ptr_nonnull(strstr(lines.wrong_words, "flagver_leaf_frozen"));
    ck_assert_ptr_nonnull(strstr(lines.wrong_words, "flagver_version_approved"));
    ck_assert_int_eq(flagver_schema_verify(STORE_NAMED("store"), NULL, NULL, &error), lines.wrong);
}
END_TEST

static Suite *schema_suite(void)
{
    Suite *suite = suite_create("schema");
    TCase *tests = tcase_create("schema");

    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, looking_creates_nothing);
    tcase_add_test(tests, a_database_of_the_application_has_no_schema_and_stays_so);
    tcase_add_test(tests, up_twice_is_harmless);
    tcase_add_loop_test(tests, several_processes_may_go_up_at_once, 0, 2);
    tcase_add_test(tests, an_application_goes_on_with_its_store_of_version_1);
    tcase_add_test(tests, down_asks_for_a_backup);
    tcase_add_test(tests, down_with_a_backup_can_be_undone);
    tcase_add_test(tests, down_without_a_backup_when_that_is_said);
    tcase_add_test(tests, an_older_schema_goes_down_without_a_backup);
    tcase_add_test(tests, a_backup_overwrites_nothing);
    tcase_add_test(tests, a_version_that_is_not_below_is_no_way_down);
    tcase_add_test(tests, a_store_whose_backup_is_unsound_stays);
    tcase_add_test(tests, a_whole_schema_is_told_part_by_part);
    tcase_add_test(tests, what_is_missing_is_counted_and_named);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(schema_suite());
}
