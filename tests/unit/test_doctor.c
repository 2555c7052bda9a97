/*
 * The doctor: a healthy store is told to be so, and each thing that is wrong is a finding
 * that says what to do.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp(), seteuid(), setenv() */
#include "exports.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include "../examples/drivers/jsonfile.h"
#include "flagver/key.h"
#include "flagver/rollout.h"
#include "flagver/store.h"
#include "flagver/version.h"

/* ---- helpers ---- */

struct report {
    int count[3];
    struct fv_text lines[3]; /* by finding */
};

static void take_finding(void *data, int finding, const char *line)
{
    struct report *report = data;

    ck_assert(finding >= FLAGVER_FINDING_OK && finding <= FLAGVER_FINDING_ERROR);
    ck_assert(line[0] && !strchr(line, '\n'));
    report->count[finding]++;
    fv_text_add(&report->lines[finding], line);
    fv_text_add_char(&report->lines[finding], '\n');
}

static struct report report;

static void forget(void)
{
    int i;

    for (i = 0; i < COUNT(report.lines); i++) {
        fv_text_reset(&report.lines[i]);
        report.count[i] = 0;
    }
}

static int examine(const char *uri)
{
    int found;

    forget();
    found = flagver_store_doctor(uri, take_finding, &report, &error);
    ck_assert_int_eq(found,
                     report.count[FLAGVER_FINDING_WARNING] + report.count[FLAGVER_FINDING_ERROR]);
    ck_assert_int_eq(flagver_store_doctor(uri, NULL, NULL, &error), found);
    return found;
}

static void assert_finding(int finding, const char *words)
{
    ck_assert_msg(strstr(report.lines[finding].data, words) != NULL,
                  "\"%s\" is not found; errors:\n%swarnings:\n%sfine:\n%s", words,
                  report.lines[FLAGVER_FINDING_ERROR].data,
                  report.lines[FLAGVER_FINDING_WARNING].data,
                  report.lines[FLAGVER_FINDING_OK].data);
}

/* One thing is wrong, and that. */
static void assert_only(int finding, const char *words)
{
    assert_finding(finding, words);
    ck_assert_msg(report.count[FLAGVER_FINDING_ERROR] + report.count[FLAGVER_FINDING_WARNING] == 1,
                  "errors:\n%swarnings:\n%s", report.lines[FLAGVER_FINDING_ERROR].data,
                  report.lines[FLAGVER_FINDING_WARNING].data);
}

static void set_up(void)
{
    int i;

    make_folder();
    for (i = 0; i < COUNT(report.lines); i++)
        report.lines[i] = (struct fv_text)FV_TEXT_INIT;
}

static void tear_down(void)
{
    int i;

    unsetenv("FLAGVER_KEYS");
    for (i = 0; i < COUNT(report.lines); i++)
        fv_text_clear(&report.lines[i]);
    remove_folder();
}

static void run_sql(const char *sql)
{
    char *words = NULL;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(FILE_NAMED("store"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s: %s", sql, words);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* A store that a client has written: one flag and one segment. */
static void make_store(void)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "alice" };
    static const char json[] = "{\"type\":\"boolean\"}";
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_client *client;
    flagver_txn *txn;

    assert_ok(flagver_open(STORE_NAMED("store"), &options, &client, &error));
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_flag_put(txn, "checkout", json, strlen(json), NULL, NULL, &error));
    assert_ok(flagver_flag_put(txn, "checkout", json, strlen(json), NULL, NULL, &error));
    assert_ok(
        flagver_segment_put(txn, "staff", "{\"include\":[\"carol\"]}", 21, NULL, NULL, &error));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    flagver_close(client);
    ck_assert_int_eq(chmod(FILE_NAMED("store"), 0600), 0);
}

static void import_into(struct sheet *sheet, const char *scheme)
{
    seal(sheet);
    save_sheet(sheet, "file");
    clear_sheet(sheet);
    assert_ok(flagver_store_import(in_folder(scheme, "store"), FILE_NAMED("file"), &error));
    ck_assert_int_eq(chmod(FILE_NAMED("store"), 0600), 0);
}

static void import(struct sheet *sheet)
{
    import_into(sheet, "sqlite:");
}

/* ---- stores that can be used ---- */

START_TEST(a_healthy_store_has_no_findings)
{
    make_store();
    ck_assert_msg(examine(STORE_NAMED("store")) == 0, "%s%s",
                  report.lines[FLAGVER_FINDING_ERROR].data,
                  report.lines[FLAGVER_FINDING_WARNING].data);
    assert_finding(FLAGVER_FINDING_OK, "can be opened");
    assert_finding(FLAGVER_FINDING_OK, "driver sqlite: {");
    assert_finding(FLAGVER_FINDING_OK, "the schema has version 2");
    assert_finding(FLAGVER_FINDING_OK, "the schema is whole");
    assert_finding(FLAGVER_FINDING_OK, "the store can be written");
    assert_finding(
        FLAGVER_FINDING_OK,
        "the audit log and the records agree: tenants 1, versions 3, leaves 6, payloads 3");
    assert_finding(FLAGVER_FINDING_OK, "all flags and segments are sound: 2");
    assert_finding(FLAGVER_FINDING_OK, "MiB are free");
    assert_finding(FLAGVER_FINDING_OK, "the clock says 2");
}
END_TEST

START_TEST(being_looked_at_leaves_no_trace)
{
    make_store();
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("before"), &error));
    examine(STORE_NAMED("store"));
    assert_ok(flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("after"), &error));
    assert_same_files("before", "after");
    run_sql("CREATE TABLE looked (n INTEGER CHECK (n = 0));"
            "INSERT INTO looked SELECT count(*) FROM flagver_keyed WHERE space <> 'request'");
}
END_TEST

/* ---- stores that cannot ---- */

START_TEST(a_store_that_is_not_there_is_a_finding)
{
    ck_assert_int_eq(examine(STORE_NAMED("none")), 1);
    assert_only(FLAGVER_FINDING_ERROR, "/none; check the path, or create the store: flagver init");
    ck_assert_int_eq(count_files("none"), 0);
    ck_assert_int_eq(examine(STORE_NAMED("no/such/store")), 1);
    assert_only(FLAGVER_FINDING_ERROR,
                "such/store; nor is there its directory: check the path, or create the directory");
    ck_assert_int_eq(examine("what:ever"), 1);
    assert_only(FLAGVER_FINDING_ERROR, "\"what:ever\" names no store; known are sqlite:PATH");
    ck_assert_int_eq(examine("sqlite:"), 1);
    assert_only(FLAGVER_FINDING_ERROR, "is empty; use sqlite:PATH");
    ck_assert_int_eq(examine(""), 1);
    assert_fails(FLAGVER_EINVAL, flagver_store_doctor(NULL, NULL, NULL, &error));
}
END_TEST

START_TEST(a_file_that_is_no_store_is_a_finding)
{
    static const char rubbish[] =
        "This is a text of some length, and certainly no database at all.";

    write_bytes("store", rubbish, sizeof rubbish);
    ck_assert_int_eq(examine(STORE_NAMED("store")), 1);
    assert_only(FLAGVER_FINDING_ERROR, "not a database; if another file was meant, check the path");
    ck_assert_int_eq(examine(in_folder("sqlite:", ".")), 1);
    assert_only(FLAGVER_FINDING_ERROR, "this is a directory: name a file in it");
}
END_TEST

START_TEST(a_store_without_a_schema_is_a_finding)
{
    make_store();
    assert_ok(flagver_schema_down(STORE_NAMED("store"), 0, NULL, true, &error));
    ck_assert_int_eq(examine(STORE_NAMED("store")), 1);
    assert_only(FLAGVER_FINDING_ERROR, "run: flagver schema up");
}
END_TEST

START_TEST(a_damaged_schema_is_a_finding)
{
    make_store();
    run_sql("DROP TRIGGER flagver_leaf_frozen");
    ck_assert_int_eq(examine(STORE_NAMED("store")), 1);
    assert_only(FLAGVER_FINDING_ERROR, "flagver_leaf_frozen");
    assert_finding(FLAGVER_FINDING_ERROR, "flagver schema verify");
}
END_TEST

START_TEST(a_file_that_anybody_may_write_is_a_finding)
{
    make_store();
    ck_assert_int_eq(chmod(FILE_NAMED("store"), 0666), 0);
    ck_assert_int_eq(examine(STORE_NAMED("store")), 1);
    assert_only(FLAGVER_FINDING_WARNING, "chmod o-w");
}
END_TEST

/* Who is root may write everything, and is somebody else meanwhile. */
START_TEST(a_file_that_may_not_be_written_is_a_finding)
{
    bool root = geteuid() == 0;

    make_store();
    ck_assert_int_eq(chmod(FILE_NAMED("store"), 0444), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(root ? seteuid(65534) : 0, 0);
    examine(STORE_NAMED("store"));
    ck_assert_int_eq(root ? seteuid(0) : 0, 0);
    ck_assert_int_ge(report.count[FLAGVER_FINDING_ERROR], 1);
    assert_finding(FLAGVER_FINDING_ERROR, "this user");
}
END_TEST

START_TEST(a_writer_that_stays_is_a_finding)
{
    sqlite3 *db;

    make_store();
    ck_assert_int_eq(sqlite3_open(FILE_NAMED("store"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    forget();
    ck_assert_int_eq(flagver_store_doctor(STORE_NAMED("store"), take_finding, &report, &error), 1);
    assert_only(FLAGVER_FINDING_WARNING, "holds a transaction open");
    sqlite3_close(db);
}
END_TEST

START_TEST(a_log_that_grows_and_grows_is_a_finding)
{
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_client *client;

    make_store();
    assert_ok(flagver_open(STORE_NAMED("store"), &options, &client, &error));
    ck_assert_int_eq(truncate(FILE_NAMED("store-wal"), (off_t)65 << 20), 0);
    forget(); /* being looked at once makes it short again */
    ck_assert_int_eq(flagver_store_doctor(STORE_NAMED("store"), take_finding, &report, &error), 1);
    assert_only(FLAGVER_FINDING_WARNING, "store-wal has 65 MiB: some reader stays open");
    flagver_close(client);
}
END_TEST

/* ---- contents ---- */

START_TEST(a_malformed_flag_is_a_finding)
{
    struct sheet sheet = new_sheet();

    add_tenant(&sheet, "default");
    add_series(&sheet, "flagver.flag", "broken", 1, 1);
    add_version(&sheet, 1, FLAGVER_STATE_APPROVED, 0, "{\"type\":\"boolean\",\"percentage\":101}");
    add_series(&sheet, "flagver.flag", "orphan", 1, 1);
    add_version(&sheet, 1, FLAGVER_STATE_APPROVED, 0,
                "{\"requires\":[{\"flag\":\"none\",\"variant\":\"on\"}],\"type\":\"boolean\"}");
    add_series(&sheet, "flagver.flag", "sound", 1, 1);
    add_version(&sheet, 1, FLAGVER_STATE_APPROVED, 0, "{\"type\":\"boolean\"}");
    add_leaf(&sheet, "flagver.flag", "broken", 1, created(1));
    add_leaf(&sheet, "flagver.flag", "orphan", 1, created(1));
    add_leaf(&sheet, "flagver.flag", "sound", 1, created(1));
    import(&sheet);
    examine(STORE_NAMED("store"));
    assert_finding(FLAGVER_FINDING_ERROR,
                   "tenant \"default\": 2 of 3 flags and segments cannot be used, the first: flag "
                   "\"broken\": ");
}
END_TEST

/* With the trigger that forbids it out of the way for a moment. */
static void run_behind(const char *trigger, const char *sql)
{
    char query[128], definition[2048];
    sqlite3_stmt *statement;
    sqlite3 *db;

    snprintf(query, sizeof query, "SELECT sql FROM sqlite_schema WHERE name = '%s'", trigger);
    ck_assert_int_eq(sqlite3_open(FILE_NAMED("store"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_int_lt(snprintf(definition, sizeof definition, "%s",
                              (const char *)sqlite3_column_text(statement, 0)),
                     (int)sizeof definition);
    sqlite3_finalize(statement);
    sqlite3_close(db);

    snprintf(query, sizeof query, "DROP TRIGGER %s", trigger);
    run_sql(query);
    run_sql(sql);
    run_sql(definition);
}

struct rewriting_row {
    const char *trigger, *sql, *words;
};

static const struct rewriting_row rewritings[] = {
    { "flagver_payload_frozen",
      "UPDATE flagver_payload SET body = CAST('{\"enabled\":true,\"type\":\"boolean\"}' AS BLOB) "
      "WHERE id = (SELECT payload FROM flagver_version WHERE no = 2)",
      "flagver.flag \"checkout\" version 2: its content_hash is not that of its content; " },
    { "flagver_version_changes", "UPDATE flagver_version SET decided_by = 'eve' WHERE no = 2",
      "flagver.flag \"checkout\" version 2: decided_by is not what the log says (leaf 3); " },
    { "flagver_version_changes", "UPDATE flagver_version SET note = 'so be it' WHERE no = 2",
      "flagver.flag \"checkout\" version 2: note is not what the log says (leaf 3); " },
};

START_TEST(what_was_rewritten_behind_the_triggers_is_a_finding)
{
    make_store();
    run_behind(rewritings[_i].trigger, rewritings[_i].sql);
    ck_assert_int_eq(examine(STORE_NAMED("store")), 1);
    assert_only(FLAGVER_FINDING_ERROR, rewritings[_i].words);
    ck_assert_ptr_null(strstr(report.lines[FLAGVER_FINDING_OK].data, "agree"));
}
END_TEST

static void add_approved(struct sheet *sheet, const char *subject, uint32_t bits,
                         const char *reviewer)
{
    flagver_version_row row = version_row(sheet, 1, FLAGVER_STATE_APPROVED, 0, fv_bytes("1"));

    add_series(sheet, "plan", subject, 1, 1);
    row.bits = bits;
    add_row(sheet, &row);
    if (reviewer)
        add_vote(sheet, reviewer, row.content_hash, decided(1) + 1, NULL);
}

START_TEST(an_emergency_is_a_finding_until_it_is_reviewed)
{
    const char *scheme = _i ? "jsonfile:" : "sqlite:";
    struct sheet sheet = new_sheet();
    flagver_version_row row;

    add_tenant(&sheet, "default");
    add_approved(&sheet, "calm", 0, NULL);
    add_approved(&sheet, "reviewed", FLAGVER_VERSION_EMERGENCY, "carol");
    add_approved(&sheet, "waiting", FLAGVER_VERSION_EMERGENCY, NULL);
    add_leaf(&sheet, "plan", "calm", 1, created(1));
    add_leaf(&sheet, "plan", "reviewed", 1, created(1));
    add_leaf(&sheet, "plan", "waiting", 1, created(1));
    add_tenant(&sheet, "other");
    add_series(&sheet, "plan", "past", 2, 2);
    row = version_row(&sheet, 1, FLAGVER_STATE_SUPERSEDED, 2, fv_bytes("1"));
    row.bits = FLAGVER_VERSION_EMERGENCY;
    add_row(&sheet, &row);
    add_version(&sheet, 2, FLAGVER_STATE_APPROVED, 0, "2");
    add_leaf(&sheet, "plan", "past", 1, created(1));
    add_leaf(&sheet, "plan", "past", 2, created(2));
    import_into(&sheet, scheme);
    examine(in_folder(scheme, "store"));
    assert_finding(FLAGVER_FINDING_WARNING,
                   "bob brought version 1 of plan \"waiting\" into force by emergency at "
                   "2026-01-01T00:00:00.001Z, and nobody has reviewed it; have another person run: "
                   "flagver version review plan waiting@1\n");
    assert_finding(FLAGVER_FINDING_WARNING, "flagver --tenant other version review plan past@1\n");
    ck_assert_ptr_null(strstr(report.lines[FLAGVER_FINDING_WARNING].data, "reviewed@"));
    ck_assert_ptr_null(strstr(report.lines[FLAGVER_FINDING_WARNING].data, "calm"));
    ck_assert_int_eq(report.count[FLAGVER_FINDING_WARNING], 2);
}
END_TEST

START_TEST(items_are_a_part_of_what_was_approved)
{
    static const char words[] = "plan \"a\" version 1: its content_hash is not that of its content";
    struct sheet sheet = new_sheet();
    flagver_item_row items[2];
    flagver_version_row row;

    add_tenant(&sheet, "default");
    add_series(&sheet, "plan", "a", 1, 1);
    items[0] = item_row(&sheet, "s1", 1, fv_bytes("1"));
    items[1] = item_row(&sheet, "s2", 1, fv_bytes("2"));
    row = version_row(&sheet, 1, FLAGVER_STATE_APPROVED, 0, fv_bytes("{}"));
    add_with_items(&sheet, &row, items, 2);
    add_leaf(&sheet, "plan", "a", 1, created(1));
    import(&sheet);
    examine(STORE_NAMED("store"));
    ck_assert_ptr_null(strstr(report.lines[FLAGVER_FINDING_ERROR].data, words));
    run_behind("flagver_item_stays", "DELETE FROM flagver_item WHERE key = 's2'");
    examine(STORE_NAMED("store"));
    assert_finding(FLAGVER_FINDING_ERROR, words);
}
END_TEST

/* ---- what is sealed ---- */

#define KEY "main:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define WRONG_KEY "main:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="

static void put(flagver_txn *txn, const char *phase, const char *subject, const char *json)
{
    assert_ok(flagver_version_put(txn, phase, subject, json, strlen(json), NULL, NULL, &error));
}

/* Three versions, one of which was shredded. */
static void make_sealed_store(void)
{
    static const flagver_actor actor = { .size = sizeof actor, .id = "alice" };
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_client *client;
    flagver_txn *txn;

    setenv("FLAGVER_KEYS", KEY, 1);
    assert_ok(flagver_open(STORE_NAMED("store"), &options, &client, &error));
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    put(txn, FLAGVER_PHASE_PHASE, "secrets",
        "{\"encrypt\":true,\"shred\":\"anyone\",\"approval\":{\"required\":false}}");
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    put(txn, "secrets", "x", "1");
    put(txn, "secrets", "x", "2");
    put(txn, "secrets", "y", "3");
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_version_shred(txn, "secrets", "x", 1, NULL, &error));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    flagver_close(client);
    ck_assert_int_eq(chmod(FILE_NAMED("store"), 0600), 0);
}

START_TEST(what_was_shredded_is_not_missing)
{
    make_sealed_store();
    ck_assert_int_eq(examine(STORE_NAMED("store")), 0);
    assert_finding(FLAGVER_FINDING_OK,
                   "versions 4, leaves 9, payloads 3; sealed and not looked into 0, shredded 1\n");
}
END_TEST

START_TEST(what_no_key_opens_is_not_said_to_be_fine)
{
    make_sealed_store();
    unsetenv("FLAGVER_KEYS");
    ck_assert_int_eq(examine(STORE_NAMED("store")), 1);
    assert_only(
        FLAGVER_FINDING_WARNING,
        "tenant \"default\": 1 of 1 data keys cannot be opened, the first: 1, which is under "
        "\"main\"; ");
    assert_finding(FLAGVER_FINDING_OK, "payloads 1; sealed and not looked into 2, shredded 1\n");
}
END_TEST

/* Two versions are sealed with it, and the key that should open it does not. */
START_TEST(a_key_that_is_wrong_is_a_finding_of_what_it_should_open)
{
    make_sealed_store();
    setenv("FLAGVER_KEYS", WRONG_KEY, 1);
    ck_assert_int_eq(examine(STORE_NAMED("store")), 3);
    assert_finding(FLAGVER_FINDING_WARNING, "1 of 1 data keys cannot be opened");
    assert_finding(FLAGVER_FINDING_ERROR,
                   "data key 1 does not open with the key-encryption key \"main\"");
}
END_TEST

START_TEST(keys_that_are_none_are_a_finding)
{
    make_sealed_store();
    setenv("FLAGVER_KEYS", "nonsense", 1);
    ck_assert_int_eq(examine(STORE_NAMED("store")), 2);
    assert_finding(FLAGVER_FINDING_ERROR, "the keys cannot be read: FLAGVER_KEYS: key 1: ");
    assert_finding(FLAGVER_FINDING_WARNING, "1 of 1 data keys cannot be opened");
}
END_TEST

/* ---- the log ---- */

START_TEST(a_log_and_versions_that_disagree_are_a_finding)
{
    struct sheet sheet = new_sheet();

    add_tenant(&sheet, "default");
    add_series(&sheet, "notes", "n", 1, 0);
    add_version(&sheet, 1, FLAGVER_STATE_DRAFT, 0, "1");
    add_leaf(&sheet, "notes", "n", 1, created(1));
    add_leaf(&sheet, "notes", "n", 2, created(2));
    import(&sheet);
    examine(STORE_NAMED("store"));
    assert_finding(FLAGVER_FINDING_ERROR, "notes \"n\" version 2 is missing (leaf 1)");
}
END_TEST

struct damage_row {
    const char *sql, *words;
};

static const struct damage_row damages[] = {
    { "UPDATE flagver_leaf SET leaf = x'0101' WHERE no = 2", "leaf 2 is malformed" },
    { "UPDATE flagver_leaf SET leaf = (SELECT leaf FROM flagver_leaf WHERE no = 1) WHERE no = 2",
      "leaf 2 says of itself that it is leaf 1" },
    { "UPDATE flagver_leaf SET hash = zeroblob(32) WHERE no = 0",
      "leaf 0: its hash is not that of its bytes" },
    { "DELETE FROM flagver_leaf WHERE no = 3", "leaf 3 is missing" },
    { "UPDATE flagver_leaf SET leaf = (SELECT leaf FROM flagver_leaf WHERE no = 1) WHERE no = 2",
      "tenant \"default\": 2 more things are wrong; flagver audit verify lists them" },
};

START_TEST(a_damaged_log_is_a_finding)
{
    make_store();
    run_sql("DROP TRIGGER flagver_leaf_frozen; DROP TRIGGER flagver_leaf_stays;"
            "DROP TRIGGER flagver_log_grows");
    run_sql(damages[_i].sql);
    ck_assert_int_ge(examine(STORE_NAMED("store")), 2); /* the schema, and this */
    assert_finding(FLAGVER_FINDING_ERROR, damages[_i].words);
}
END_TEST

START_TEST(a_clock_behind_the_store_is_a_finding)
{
    struct sheet sheet = new_sheet();

    add_tenant(&sheet, "default");
    add_series(&sheet, "notes", "n", 1, 0);
    add_version(&sheet, 1, FLAGVER_STATE_DRAFT, 0, "1");
    add_leaf(&sheet, "notes", "n", 1, ((int64_t)time(NULL) + 3600) * 1000000);
    import(&sheet);
    examine(STORE_NAMED("store"));
    assert_finding(FLAGVER_FINDING_ERROR, "before the newest change in the store: set it");
}
END_TEST

static Suite *doctor_suite(void)
{
    Suite *suite = suite_create("doctor");
    TCase *tests = tcase_create("doctor");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_healthy_store_has_no_findings);
    tcase_add_test(tests, being_looked_at_leaves_no_trace);
    tcase_add_test(tests, a_store_that_is_not_there_is_a_finding);
    tcase_add_test(tests, a_file_that_is_no_store_is_a_finding);
    tcase_add_test(tests, a_store_without_a_schema_is_a_finding);
    tcase_add_test(tests, a_damaged_schema_is_a_finding);
    tcase_add_test(tests, a_file_that_anybody_may_write_is_a_finding);
    tcase_add_test(tests, a_file_that_may_not_be_written_is_a_finding);
    tcase_add_test(tests, a_writer_that_stays_is_a_finding);
    tcase_add_test(tests, a_log_that_grows_and_grows_is_a_finding);
    tcase_add_test(tests, a_malformed_flag_is_a_finding);
    tcase_add_loop_test(tests, what_was_rewritten_behind_the_triggers_is_a_finding, 0,
                        COUNT(rewritings));
    tcase_add_loop_test(tests, an_emergency_is_a_finding_until_it_is_reviewed, 0, 2);
    tcase_add_test(tests, items_are_a_part_of_what_was_approved);
    tcase_add_test(tests, what_was_shredded_is_not_missing);
    tcase_add_test(tests, what_no_key_opens_is_not_said_to_be_fine);
    tcase_add_test(tests, a_key_that_is_wrong_is_a_finding_of_what_it_should_open);
    tcase_add_test(tests, keys_that_are_none_are_a_finding);
    tcase_add_test(tests, a_log_and_versions_that_disagree_are_a_finding);
    tcase_add_loop_test(tests, a_damaged_log_is_a_finding, 0, COUNT(damages));
    tcase_add_test(tests, a_clock_behind_the_store_is_a_finding);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    if (flagver_driver_register(&jsonfile_driver, NULL) < 0)
        return EXIT_FAILURE;
    return run_suite(doctor_suite());
}
