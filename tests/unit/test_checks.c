/*
 * What others bring to the doctor: what a driver tells of its database, and checks of the
 * host's own.
 */
#define _DEFAULT_SOURCE /* mkdtemp, setenv */
#include "stores.h"

#include <stddef.h>

#include "flagver/store.h"
#include "util/fail.h"
#include "util/text.h"

/* ---- what the doctor says ---- */

struct report {
    int count[3];
    struct fv_text lines[3]; /* by finding */
    struct fv_text all;
};

static struct report report;

static void take_finding(void *data, int finding, const char *line)
{
    struct report *taken = data;

    ck_assert_int_ge(finding, FLAGVER_FINDING_OK);
    ck_assert_int_le(finding, FLAGVER_FINDING_ERROR);
    taken->count[finding]++;
    fv_text_format(&taken->lines[finding], "%s\n", line);
    fv_text_format(&taken->all, "%s\n", line);
}

static void forget(void)
{
    int i;

    for (i = 0; i < 3; i++) {
        fv_text_clear(&report.lines[i]);
        report.lines[i] = (struct fv_text)FV_TEXT_INIT;
        report.count[i] = 0;
    }
    fv_text_clear(&report.all);
    report.all = (struct fv_text)FV_TEXT_INIT;
}

static void set_up(void)
{
    int i;

    for (i = 0; i < 3; i++)
        report.lines[i] = (struct fv_text)FV_TEXT_INIT;
    report.all = (struct fv_text)FV_TEXT_INIT;
    unsetenv("FLAGVER_KEYS");
}

static int examine(const char *uri, const flagver_doctor_options *options)
{
    int found;

    forget();
    found = flagver_store_doctor_with(uri, options, take_finding, &report, &error);
    ck_assert_int_eq(found,
                     report.count[FLAGVER_FINDING_WARNING] + report.count[FLAGVER_FINDING_ERROR]);
    return found;
}

static void assert_line(int finding, const char *words)
{
    ck_assert_msg(strstr(report.lines[finding].data, words), "\"%s\" is not in %d of:\n%s", words,
                  finding, report.all.data);
}

static const char *new_store(void)
{
    const char *uri = store_uri(SQLITE_KIND);

    flagver_close(open_store(SQLITE_KIND));
    return uri;
}

/* ---- checks of the host's own ---- */

struct answer {
    int finding;
    const char *words;
    int calls;
};

static int give(void *data, char *words, size_t size)
{
    struct answer *answer = data;

    answer->calls++;
    if (answer->words)
        snprintf(words, size, "%s", answer->words);
    return answer->finding;
}

static const struct {
    int finding;
    const char *words, *line;
    int shown;
} answers[] = {
    { FLAGVER_FINDING_OK, "no duplicates", "mine: no duplicates\n", FLAGVER_FINDING_OK },
    { FLAGVER_FINDING_OK, NULL, "mine: fine\n", FLAGVER_FINDING_OK },
    { FLAGVER_FINDING_WARNING, "3 sessions are active; wait", "mine: 3 sessions are active; wait\n",
      FLAGVER_FINDING_WARNING },
    { FLAGVER_FINDING_WARNING, "", "mine: something is wrong, and the check does not say what\n",
      FLAGVER_FINDING_WARNING },
    { FLAGVER_FINDING_ERROR, "one\ntwo", "mine: one\n", FLAGVER_FINDING_ERROR },
    { FLAGVER_FINDING_ERROR, "tab\there\r\nmore", "mine: tab?here\n", FLAGVER_FINDING_ERROR },
    { 3, "what is 3", "mine: the check returned 3, which is no finding: what is 3\n",
      FLAGVER_FINDING_ERROR },
    { -1, NULL, "mine: the check returned -1, which is no finding: \n", FLAGVER_FINDING_ERROR },
};

START_TEST(a_check_of_the_hosts_is_a_line_among_the_others)
{
    struct answer answer = { answers[_i].finding, answers[_i].words, 0 };
    const flagver_doctor_check check = { "mine", give, &answer };
    const flagver_doctor_options options = { .size = sizeof options,
                                             .checks = &check,
                                             .check_count = 1 };
    const char *uri = new_store();
    int found = examine(uri, &options);

    ck_assert_int_eq(answer.calls, 1);
    ck_assert_int_eq(found, answers[_i].shown != FLAGVER_FINDING_OK);
    assert_line(answers[_i].shown, answers[_i].line);
    ck_assert_int_eq(flagver_store_doctor_with(uri, &options, NULL, NULL, &error), found);
    ck_assert_int_eq(answer.calls, 2);
}
END_TEST

START_TEST(checks_run_last_and_in_order_whatever_became_of_the_store)
{
    struct answer one = { FLAGVER_FINDING_OK, "first", 0 },
                  two = { FLAGVER_FINDING_WARNING, "second", 0 };
    const flagver_doctor_check checks[] = { { "a", give, &one }, { "b", give, &two } };
    const flagver_doctor_options options = { .size = sizeof options,
                                             .checks = checks,
                                             .check_count = 2 };
    const char *end = "a: first\nb: second\n";

    ck_assert_int_eq(examine(new_store(), &options), 1);
    ck_assert_str_eq(report.all.data + report.all.length - strlen(end), end);
    ck_assert_int_eq(examine("sqlite:/nowhere/at/all", &options), 2);
    ck_assert_str_eq(report.all.data + report.all.length - strlen(end), end);
    ck_assert_int_eq(one.calls, 2);
}
END_TEST

/* As much as there is room for, and what stands there without a NUL, too. */
static int fill(void *data, char *words, size_t size)
{
    ck_assert_uint_ge(size, 256);
    memset(words, 'x', size);
    *(size_t *)data = size;
    return FLAGVER_FINDING_WARNING;
}

START_TEST(a_check_may_use_all_the_room_it_gets)
{
    size_t size = 0;
    const flagver_doctor_check check = { "mine", fill, &size };
    const flagver_doctor_options options = { .size = sizeof options,
                                             .checks = &check,
                                             .check_count = 1 };

    ck_assert_int_eq(examine(new_store(), &options), 1);
    ck_assert_uint_eq(report.lines[FLAGVER_FINDING_WARNING].length, strlen("mine: \n") + size - 1);
}
END_TEST

START_TEST(malformed_options_are_refused)
{
    static char long_name[130];
    struct answer answer = { 0, NULL, 0 };
    const flagver_doctor_check nameless = { NULL, give, &answer }, empty = { "", give, &answer },
                               lines = { "a\nb", give, &answer }, idle = { "idle", NULL, NULL },
                               long_one = { long_name, give, &answer };
    const flagver_doctor_check *const bad[] = { &nameless, &empty, &lines, &idle, &long_one };
    flagver_doctor_options options = { .size = sizeof options, .check_count = 1 };
    const char *uri = new_store();
    size_t i;

    memset(long_name, 'n', sizeof long_name - 1);
    assert_fails(FLAGVER_EINVAL, flagver_store_doctor_with(uri, &options, NULL, NULL, &error));
    assert_words("options.checks is NULL");
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.checks = bad[i];
        assert_fails(FLAGVER_EINVAL, flagver_store_doctor_with(uri, &options, NULL, NULL, &error));
        assert_words("options.checks[0]");
    }
    options.check_count = 0;
    options.tenant = "";
    assert_fails(FLAGVER_EINVAL, flagver_store_doctor_with(uri, &options, NULL, NULL, &error));
    assert_words("options.tenant");
    options.size = 0;
    assert_fails(FLAGVER_EINVAL, flagver_store_doctor_with(uri, &options, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_store_doctor_with(NULL, NULL, NULL, NULL, &error));
    ck_assert_int_eq(answer.calls, 0);
}
END_TEST

/* ---- what a driver tells ---- */

static flagver_driver telling;
static int examine_fails;

static int tell(flagver_store *store, void (*visit)(void *data, int finding, const char *line),
                void *data, flagver_error *err)
{
    ck_assert_ptr_nonnull(store);
    if (examine_fails) {
        if (err)
            *err = (flagver_error){ .code = examine_fails, .message = "no answer" };
        return examine_fails;
    }
    visit(data, FLAGVER_FINDING_OK, "the server is there");
    visit(data, FLAGVER_FINDING_WARNING, "its clock is slow: set it");
    visit(data, FLAGVER_FINDING_ERROR, "its disk is full: make room");
    visit(data, 77, "what it says has no level");
    return 0;
}

static int open_behind(const flagver_driver_config *config, flagver_store **ret_store,
                       flagver_error *err)
{
    flagver_driver_config file = *config;

    file.path = file_named("behind");
    return fv_sqlite_driver.open(&file, ret_store, err);
}

static int refuse_to_open(const flagver_driver_config *config, flagver_store **ret_store,
                          flagver_error *err)
{
    (void)config;
    (void)ret_store;
    if (err)
        *err = (flagver_error){ .code = FLAGVER_EUNAVAILABLE, .message = "nobody there" };
    return FLAGVER_EUNAVAILABLE;
}

static void register_telling(void)
{
    telling = fv_sqlite_driver;
    telling.name = "telling";
    telling.open = open_behind;
    telling.examine = tell;
    examine_fails = 0;
}

#define TELLING "telling://ann@host/db"

static void make_schema(void)
{
    assert_ok(flagver_driver_register(&telling, &error));
    assert_ok(flagver_schema_up(TELLING, &error));
}

START_TEST(what_a_driver_tells_of_its_database_is_among_the_lines)
{
    register_telling();
    make_schema();
    ck_assert_int_eq(examine(TELLING, NULL), 3);
    assert_line(FLAGVER_FINDING_OK, "the server is there\n");
    assert_line(FLAGVER_FINDING_WARNING, "its clock is slow: set it\n");
    assert_line(FLAGVER_FINDING_ERROR, "its disk is full: make room\n");
    assert_line(FLAGVER_FINDING_ERROR, "what it says has no level\n");
    ck_assert_int_eq(flagver_store_doctor(TELLING, NULL, NULL, &error), 3);
}
END_TEST

START_TEST(a_driver_that_cannot_look_is_a_finding)
{
    register_telling();
    make_schema();
    examine_fails = FLAGVER_EUNAVAILABLE;
    ck_assert_int_eq(examine(TELLING, NULL), 1);
    assert_line(FLAGVER_FINDING_ERROR,
                "the database cannot be looked at: no answer; check that the server runs");
    examine_fails = FLAGVER_ENOMEM;
    forget();
    assert_fails(FLAGVER_ENOMEM, flagver_store_doctor(TELLING, take_finding, &report, &error));
}
END_TEST

/* One that was compiled before the table had this. */
START_TEST(a_driver_with_a_shorter_table_tells_nothing)
{
    register_telling();
    telling.size = offsetof(flagver_driver, examine);
    make_schema();
    ck_assert_int_eq(examine(TELLING, NULL), 0);
    ck_assert_ptr_null(strstr(report.all.data, "the server is there"));
}
END_TEST

START_TEST(advice_about_a_server_is_not_about_files)
{
    register_telling();
    telling.open = refuse_to_open;
    assert_ok(flagver_driver_register(&telling, &error));
    ck_assert_int_eq(examine(TELLING, NULL), 1);
    assert_line(FLAGVER_FINDING_ERROR, "the store cannot be opened: nobody there; check that the "
                                       "server runs and takes connections from here");
    ck_assert_ptr_null(strstr(report.all.data, "file"));
}
END_TEST

/* A database that tells nobody but the owner whose records there are. */
static int scan_of_nobody(flagver_driver_txn *txn, const flagver_query *query,
                          flagver_cursor **ret_cursor, flagver_error *err)
{
    if (query->kind == FLAGVER_QUERY_TENANTS)
        return fv_fail(err, FLAGVER_EDENIED, "none of your business");
    return fv_sqlite_driver.scan(txn, query, ret_cursor, err);
}

START_TEST(a_tenant_is_looked_into_where_no_names_are_told)
{
    flagver_doctor_options options = { .size = sizeof options, .tenant = "acme" };
    flagver_options opening = quiet_options();
    flagver_client *client = NULL;

    register_telling();
    telling.examine = NULL;
    telling.scan = scan_of_nobody;
    make_schema();
    opening.tenant = "acme";
    assert_ok(flagver_open(TELLING, &opening, &client, &error));
    put_flag(client, "f", SIMPLE);
    flagver_close(client);
    ck_assert_int_eq(examine(TELLING, &options), 0);
    assert_line(FLAGVER_FINDING_OK, "those of \"acme\" are looked into");
    assert_line(FLAGVER_FINDING_OK, "tenants 1, versions 1, leaves 2");
    ck_assert_int_eq(examine(TELLING, NULL), 0);
    assert_line(FLAGVER_FINDING_OK, "those of \"default\" are looked into");
    assert_line(FLAGVER_FINDING_OK, "tenants 1, versions 0, leaves 0");
}
END_TEST

/* ---- keys ---- */

#define KEY "main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

START_TEST(a_phase_that_is_encrypted_needs_a_key)
{
    const char *uri = store_uri(SQLITE_KIND);
    flagver_client *client = open_store(SQLITE_KIND);
    flagver_txn *txn = begin_as(client, &alice, NULL);

    ck_assert_int_eq(try_put(txn, FLAGVER_PHASE_PHASE, "secrets",
                             "{'encrypt':true,'approval':{'required':false}}", NULL, NULL),
                     0);
    commit(txn);
    flagver_close(client);
    ck_assert_int_eq(examine(uri, NULL), 1);
    assert_line(FLAGVER_FINDING_WARNING, "tenant \"default\": phase \"secrets\" is encrypted and "
                                         "there is no key: put one into FLAGVER_KEYS");
    setenv("FLAGVER_KEYS", KEY, 1);
    ck_assert_int_eq(examine(uri, NULL), 0);
    assert_line(FLAGVER_FINDING_OK, "there is a key for what is encrypted, \"main\"\n");
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = add_store_tcase(suite, name);

    tcase_add_checked_fixture(tcase, set_up, forget);
    return tcase;
}

static Suite *checks_suite(void)
{
    Suite *suite = suite_create("checks");
    TCase *tcase;

    tcase = add_case(suite, "host");
    tcase_add_loop_test(tcase, a_check_of_the_hosts_is_a_line_among_the_others, 0,
                        (int)(sizeof answers / sizeof *answers));
    tcase_add_test(tcase, checks_run_last_and_in_order_whatever_became_of_the_store);
    tcase_add_test(tcase, a_check_may_use_all_the_room_it_gets);
    tcase_add_test(tcase, malformed_options_are_refused);

    tcase = add_case(suite, "driver");
    tcase_add_test(tcase, what_a_driver_tells_of_its_database_is_among_the_lines);
    tcase_add_test(tcase, a_driver_that_cannot_look_is_a_finding);
    tcase_add_test(tcase, a_driver_with_a_shorter_table_tells_nothing);
    tcase_add_test(tcase, advice_about_a_server_is_not_about_files);
    tcase_add_test(tcase, a_tenant_is_looked_into_where_no_names_are_told);

    tcase = add_case(suite, "keys");
    tcase_add_test(tcase, a_phase_that_is_encrypted_needs_a_key);
    return suite;
}

int main(void)
{
    return run_store_suite(checks_suite());
}
