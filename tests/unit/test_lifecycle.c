/*
 * examples/testing-lifecycle.json: eight phases with two parts in their subjects,
 * CYCLE/REPORT, as the file brings them into a store, and who may approve what there.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#define FILE_NAME "examples/testing-lifecycle.json"
#define REPORT_12 "cycle-7/report-12"
#define REPORT_13 "cycle-8/report-13"
#define POLICIES 10 /* of the eight phases, of policies, of assignments */
#define STEPS 12    /* and two assignments */

enum approver { NOBODY, TESTER, REPORT_OWNER };

static const struct {
    const char *phase;
    enum approver approver;
} phases[] = {
    { "planning", TESTER },
    { "data_profiling", REPORT_OWNER },
    { "scoping", REPORT_OWNER },
    { "data_owner_id", NOBODY },
    { "sample_selection", REPORT_OWNER },
    { "request_info", NOBODY },
    { "test_execution", NOBODY },
    { "observation_management", REPORT_OWNER },
};

/* ---- loading ---- */

static struct fv_text file = FV_TEXT_INIT;

static void read_file(void)
{
    FILE *stream = fopen(FILE_NAME, "rb");
    char piece[4096];
    size_t length;

    ck_assert_msg(stream != NULL, "%s cannot be opened", FILE_NAME);
    while ((length = fread(piece, 1, sizeof piece, stream)) > 0)
        fv_text_add_bytes(&file, piece, length);
    fclose(stream);
    ck_assert(!file.failed);
}

static int apply(flagver_client *client)
{
    flagver_txn *txn = begin(client);
    int steps = flagver_flags_apply(txn, file.data, file.length, FILE_NAME, false, NULL, &error);

    ck_assert_msg(steps >= 0, "%s", error.message);
    commit(txn);
    return steps;
}

static flagver_client *open_loaded(int kind)
{
    flagver_client *client = open_store(kind);

    read_file();
    ck_assert_int_eq(apply(client), STEPS);
    return client;
}

static void close_loaded(flagver_client *client)
{
    flagver_close(client);
    fv_text_clear(&file);
}

/* ---- acting ---- */

enum act { CREATE, SUBMIT, APPROVE, RECORD };

/* One act by somebody with at most one role; its code. */
static int act(flagver_client *client, const char *id, const char *role, enum act what,
               const char *phase, const char *subject)
{
    const flagver_actor actor = {
        .size = sizeof actor, .id = id, .roles = &role, .role_count = role != NULL
    };
    flagver_txn *txn = begin_as(client, &actor, NULL);
    int r = 0;

    memset(&error, 0, sizeof error);
    if (what == CREATE)
        r = flagver_version_create(txn, phase, subject, "{}", 2, NULL, NULL, &error);
    else if (what == SUBMIT)
        r = flagver_version_submit(txn, phase, subject, 1, NULL, NULL, &error);
    else if (what == APPROVE)
        r = flagver_version_approve(txn, phase, subject, 1, NULL, NULL, &error);
    else
        r = flagver_version_record(txn, phase, subject, "{}", 2, NULL, NULL, &error);
    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static void assert_current(flagver_client *client, const char *phase, const char *subject,
                           int state, const char *by)
{
    flagver_version *version;

    assert_ok(flagver_version_current(client, phase, subject, &version, &error));
    ck_assert_uint_eq(version->no, 1);
    ck_assert_int_eq(version->state, state);
    /* What is recorded was nobody's decision. */
    ck_assert_str_eq(state == FLAGVER_STATE_RECORDED ? version->created_by : version->decided_by,
                     by);
    flagver_version_free(version);
}

static void submit_by_tina(flagver_client *client, const char *phase, const char *subject)
{
    flagver_version *version;

    assert_ok(act(client, "tina", "Tester", CREATE, phase, subject));
    assert_ok(act(client, "tina", "Tester", SUBMIT, phase, subject));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_version_current(client, phase, subject, &version, &error));
}

/* ---- what each phase asks for ---- */

static void try_tester(flagver_client *client, const char *phase)
{
    static const char *const roles[] = { "Test Lead", "Test Manager", "Tester" };
    char subject[64];
    int i;

    for (i = 0; i < COUNT(roles); i++) {
        snprintf(subject, sizeof subject, "cycle-%d/report-12", i);
        submit_by_tina(client, phase, subject);
        assert_fails(FLAGVER_EDENIED, act(client, "gus", "Guest", APPROVE, phase, subject));
        assert_fails(FLAGVER_EDENIED, act(client, "olga", NULL, APPROVE, phase, subject));
        assert_fails(FLAGVER_ESELF, act(client, "tina", "Tester", APPROVE, phase, subject));
        assert_ok(act(client, "tom", roles[i], APPROVE, phase, subject));
        assert_current(client, phase, subject, FLAGVER_STATE_APPROVED, "tom");
    }
}

static void try_report_owner(flagver_client *client, const char *phase)
{
    submit_by_tina(client, phase, REPORT_12);
    assert_fails(FLAGVER_EDENIED, act(client, "tom", "Test Lead", APPROVE, phase, REPORT_12));
    assert_fails(FLAGVER_EDENIED, act(client, "omar", NULL, APPROVE, phase, REPORT_12));
    assert_fails(FLAGVER_EDENIED, act(client, "gus", "report_owner", APPROVE, phase, REPORT_12));
    assert_ok(act(client, "olga", NULL, APPROVE, phase, REPORT_12));
    assert_current(client, phase, REPORT_12, FLAGVER_STATE_APPROVED, "olga");

    /* Of another report somebody else is the owner, in every cycle. */
    submit_by_tina(client, phase, REPORT_13);
    assert_ok(act(client, "omar", NULL, APPROVE, phase, REPORT_13));
    assert_current(client, phase, REPORT_13, FLAGVER_STATE_APPROVED, "omar");
}

static void try_audit_only(flagver_client *client, const char *phase)
{
    assert_fails(FLAGVER_EPHASE, act(client, "tina", "Tester", CREATE, phase, REPORT_12));
    assert_ok(act(client, "tina", "Tester", RECORD, phase, REPORT_12));
    assert_current(client, phase, REPORT_12, FLAGVER_STATE_RECORDED, "tina");
    assert_fails(FLAGVER_EPHASE, act(client, "tina", "Tester", SUBMIT, phase, REPORT_12));
}

START_TEST(each_phase_lets_those_decide_that_it_names)
{
    flagver_client *client = open_loaded(_i);
    int i;

    for (i = 0; i < COUNT(phases); i++) {
        if (phases[i].approver == NOBODY) {
            try_audit_only(client, phases[i].phase);
            continue;
        }
        assert_fails(FLAGVER_EPHASE,
                     act(client, "tina", "Tester", RECORD, phases[i].phase, REPORT_12));
        if (phases[i].approver == TESTER)
            try_tester(client, phases[i].phase);
        else
            try_report_owner(client, phases[i].phase);
    }
    assert_fails(FLAGVER_ENOTFOUND, act(client, "tina", "Tester", CREATE, "reporting", REPORT_12));
    close_loaded(client);
}
END_TEST

/* ---- the file as a whole ---- */

START_TEST(there_are_eight_phases_and_loading_them_again_changes_nothing)
{
    flagver_client *client = open_loaded(_i);
    char *json, *wanted;
    int i;

    ck_assert_int_eq(apply(client), 0);
    for (i = 0; i < COUNT(phases); i++) {
        assert_ok(flagver_phase_policy(client, phases[i].phase, REPORT_12, &json, &error));
        wanted = quoted(phases[i].approver == NOBODY   ? "'versioning':'audit_only'"
                        : phases[i].approver == TESTER ? "'rule':{'role_in':['Test Lead',"
                                                         "'Test Manager','Tester']}"
                                                       : "'rule':{'assigned':'report_owner'}");
        ck_assert_msg(strstr(json, wanted) != NULL, "%s: %s is not in %s", phases[i].phase, wanted,
                      json);
        ck_assert(strstr(json, "\"required\":true") ? phases[i].approver != NOBODY
                                                    : phases[i].approver == NOBODY);
        free(wanted);
        flagver_string_free(json);
    }
    close_loaded(client);
}
END_TEST

static bool count_steps(void *data, const flagver_version *version)
{
    int *count = data;

    (void)version;
    ++*count;
    return true;
}

START_TEST(all_of_it_is_in_force_with_the_transaction_that_loads_it)
{
    flagver_client *client = open_loaded(_i);
    int count = 0;

    assert_ok(flagver_version_list(client, FLAGVER_PHASE_PHASE, NULL, count_steps, &count, &error));
    ck_assert_int_eq(count, POLICIES);
    assert_ok(
        flagver_version_list(client, FLAGVER_PHASE_ASSIGNMENT, NULL, count_steps, &count, &error));
    ck_assert_int_eq(count, STEPS);
    close_loaded(client);
}
END_TEST

/* Puts a record of the library's own phases; the code. */
static int put_as(flagver_client *client, const char *role, const char *phase, const char *subject,
                  const char *payload)
{
    const flagver_actor actor = {
        .size = sizeof actor, .id = "mallory", .roles = &role, .role_count = 1
    };
    flagver_txn *txn = begin_as(client, &actor, NULL);
    flagver_version *version;
    int r;

    memset(&error, 0, sizeof error);
    r = try_put(txn, phase, subject, payload, NULL, &version);
    if (r == 0) {
        flagver_version_free(version);
        r = flagver_txn_commit(txn, &error);
    }
    flagver_txn_free(txn);
    return r;
}

START_TEST(nobody_gives_himself_a_role_or_another_policy)
{
    static const char owner[] = "report_owner/*/report-12", me[] = "{'users': ['mallory']}";
    flagver_client *client = open_loaded(_i);

    assert_fails(FLAGVER_EDENIED, put_as(client, "Tester", FLAGVER_PHASE_ASSIGNMENT, owner, me));
    assert_fails(FLAGVER_EDENIED, put_as(client, "Tester", FLAGVER_PHASE_ASSIGNMENT,
                                         "report_owner/*/report-14", me));
    assert_fails(FLAGVER_EDENIED, put_as(client, "Tester", FLAGVER_PHASE_PHASE, "reporting", "{}"));
    assert_fails(FLAGVER_EDENIED,
                 put_as(client, "Tester", FLAGVER_PHASE_PHASE, FLAGVER_PHASE_ASSIGNMENT,
                        "{'approval': {'required': false}}"));

    assert_ok(put_as(client, "Administrator", FLAGVER_PHASE_ASSIGNMENT, owner, me));
    assert_ok(put_as(client, "Administrator", FLAGVER_PHASE_PHASE, "reporting", "{}"));
    close_loaded(client);
}
END_TEST

/* What the file says about flags' policies does not hold up the flags of the same file. */
START_TEST(a_file_is_written_by_the_policies_from_before)
{
    static const char rest[] =
        "{'phases': {'flagver.flag/pay_': {'approval': {'rule': {'role_in': ['Lead']}}}},"
        " 'flags': {'pay_card': {'type': 'boolean'}}}";
    flagver_client *client = open_store(_i);
    flagver_version *version;
    char *text = quoted(rest);
    flagver_txn *txn = begin(client);

    ck_assert_int_eq(flagver_flags_apply(txn, text, strlen(text), NULL, false, NULL, &error), 2);
    commit(txn);
    free(text);
    assert_ok(flagver_version_current(client, FLAGVER_PHASE_FLAG, "pay_card", &version, &error));
    flagver_version_free(version);

    txn = begin(client);
    assert_ok(try_put(txn, FLAGVER_PHASE_FLAG, "pay_card", "{'type': 'boolean', 'percentage': 5}",
                      NULL, &version));
    ck_assert_int_eq(version->state, FLAGVER_STATE_SUBMITTED);
    flagver_version_free(version);
    commit(txn);
    flagver_close(client);
}
END_TEST

static Suite *lifecycle_suite(void)
{
    Suite *suite = suite_create("lifecycle");
    TCase *tests = add_store_tcase(suite, "the example");

    tcase_add_loop_test(tests, each_phase_lets_those_decide_that_it_names, 0, STORE_KINDS);
    tcase_add_loop_test(tests, there_are_eight_phases_and_loading_them_again_changes_nothing, 0,
                        STORE_KINDS);
    tcase_add_loop_test(tests, all_of_it_is_in_force_with_the_transaction_that_loads_it, 0,
                        STORE_KINDS);
    tcase_add_loop_test(tests, nobody_gives_himself_a_role_or_another_policy, 0, STORE_KINDS);
    tcase_add_loop_test(tests, a_file_is_written_by_the_policies_from_before, 0, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(lifecycle_suite());
}
