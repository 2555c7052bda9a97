/*
 * Data sets of phases, in every kind of store.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "records.h"

#include "flagver/dataset.h"

#define PHASE "price"

static char found[4096];

static bool note(void *data, const flagver_dataset_record *record)
{
    size_t length = strlen(found);

    (void)data;
    ck_assert_uint_eq(record->line, 0);
    snprintf(found + length, sizeof found - length, "%s %s;", record->key, record->value);
    return true;
}

static int read_phase(flagver_client *client, const char *phase, const char *prefix, int64_t as_of)
{
    const flagver_dataset_input input = {
        .size = sizeof input, .client = client, .phase = phase, .prefix = prefix, .as_of = as_of
    };

    found[0] = 0;
    memset(&error, 0, sizeof error);
    return flagver_dataset_read(&input, note, NULL, &error);
}

static int save_phase(flagver_client *client, const char *path, flagver_dataset_saved *ret_saved)
{
    const flagver_dataset_input input = { .size = sizeof input, .client = client, .phase = PHASE };

    memset(&error, 0, sizeof error);
    return flagver_dataset_save(&input, path, ret_saved, &error);
}

static void record(flagver_client *client, const char *subject, const char *json)
{
    done(client, ann, RECORD, PHASE, subject, .json = json);
}

static flagver_client *open_filled(int kind)
{
    flagver_client *client = open_store(kind);

    set_policy(client, &dan, PHASE, "{'versioning':'audit_only'}");
    record(client, "b", "{'n':2}");
    record(client, "a/é", "{'n':1.50}");
    record(client, "a/Z", "{'n':[ ]}");
    record(client, "B", "{'n':0}");
    return client;
}

START_TEST(what_is_in_force_comes_in_byte_order_of_subjects)
{
    flagver_client *client = open_filled(_i);

    assert_ok(read_phase(client, PHASE, NULL, 0));
    ck_assert_str_eq(found, "B {\"n\":0};a/Z {\"n\":[]};a/é {\"n\":1.5};b {\"n\":2};");
    assert_ok(read_phase(client, PHASE, "a/", 0));
    ck_assert_str_eq(found, "a/Z {\"n\":[]};a/é {\"n\":1.5};");
    assert_ok(read_phase(client, PHASE, "c", 0));
    ck_assert_str_eq(found, "");
    record(client, "b", "{'n':3}");
    assert_ok(read_phase(client, PHASE, "b", 0));
    ck_assert_str_eq(found, "b {\"n\":3};");
    flagver_close(client);
}
END_TEST

START_TEST(what_was_in_force_can_be_saved_afterwards)
{
    flagver_client *client = open_filled(_i);
    flagver_version *version = NULL;
    int64_t then;

    record(client, "b", "{'n':3}");
    assert_ok(flagver_version_get(client, PHASE, "b", 2, &version, &error));
    then = version->created_at;
    flagver_version_free(version);
    assert_ok(read_phase(client, PHASE, "b", then));
    ck_assert_str_eq(found, "b {\"n\":3};");
    assert_ok(read_phase(client, PHASE, "b", then - 1));
    ck_assert_str_eq(found, "b {\"n\":2};");
    assert_fails(FLAGVER_EINVAL, read_phase(client, PHASE, "b", -1));
    flagver_close(client);
}
END_TEST

START_TEST(what_was_deleted_or_waits_is_no_record)
{
    flagver_client *client = open_store(_i);

    set_policy(client, &dan, PHASE, "{'approval':{'rule':'anyone','allow_self':true}}");
    done(client, ann, CREATE, PHASE, "draft", .json = "1");
    done(client, ann, CREATE, PHASE, "gone", .json = "2");
    done(client, ann, SUBMIT, PHASE, "gone", 1);
    done(client, ben, APPROVE, PHASE, "gone", 1);
    assert_ok(read_phase(client, PHASE, NULL, 0));
    ck_assert_str_eq(found, "gone 2;");
    done(client, ann, REMOVE, PHASE, "gone");
    done(client, ben, APPROVE, PHASE, "gone", 2);
    assert_ok(read_phase(client, PHASE, NULL, 0));
    ck_assert_str_eq(found, "");
    flagver_close(client);
}
END_TEST

START_TEST(a_phase_is_known_by_its_policy_or_its_records)
{
    flagver_client *client = open_filled(_i);

    assert_fails(FLAGVER_ENOTFOUND, read_phase(client, "prise", NULL, 0));
    assert_words("prise");
    set_policy(client, &dan, "empty", "{'versioning':'audit_only'}");
    assert_ok(read_phase(client, "empty", NULL, 0));
    assert_ok(read_phase(client, FLAGVER_PHASE_FLAG, NULL, 0));
    ck_assert_str_eq(found, "");
    assert_fails(FLAGVER_EINVAL, read_phase(client, "", NULL, 0));
    assert_fails(FLAGVER_EINVAL, read_phase(NULL, PHASE, NULL, 0));
    flagver_close(client);
}
END_TEST

START_TEST(two_states_of_a_phase_are_compared)
{
    flagver_client *client = open_filled(_i);
    flagver_dataset_comparison result;
    flagver_dataset_saved saved;
    const char *before = file_named("before"), *after = file_named("after");

    assert_ok(save_phase(client, before, &saved));
    ck_assert_uint_eq(saved.records, 4);
    record(client, "b", "{'n':2.05}");
    record(client, "c", "{'n':1}");
    assert_ok(save_phase(client, after, &saved));
    ck_assert_uint_eq(saved.records, 5);
    assert_ok(flagver_dataset_compare(before, after, NULL, NULL, NULL, &result, &error));
    ck_assert_uint_eq(result.equal, 3);
    ck_assert_uint_eq(result.tolerated, 1);
    ck_assert_uint_eq(result.extra, 1);
    ck_assert_uint_eq(result.errors, 1);
    flagver_close(client);
}
END_TEST

START_TEST(records_are_held_against_the_schema_of_their_subject)
{
    flagver_client *client = open_filled(_i);
    const flagver_dataset_input input = { .size = sizeof input, .client = client, .phase = PHASE };
    flagver_dataset_health health;

    set_policy(client, &dan, PHASE,
               "{'versioning':'audit_only','schema':{'properties':{'n':{'type':'number'}}}}");
    set_policy(client, &dan, PHASE "/b",
               "{'versioning':'audit_only','schema':{'properties':{'n':{'minimum':3}}}}");
    assert_ok(flagver_dataset_audit(&input, NULL, NULL, NULL, &health, &error));
    ck_assert_uint_eq(health.records, 4);
    ck_assert_uint_eq(health.misfits, 2);
    ck_assert_msg(strncmp(health.misfit, "a/Z: /n: ", 9) == 0, "%s", health.misfit);
    flagver_close(client);
}
END_TEST

START_TEST(a_tenant_has_only_its_own)
{
    flagver_client *client = open_filled(_i), *other = NULL;

    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    assert_fails(FLAGVER_ENOTFOUND, read_phase(other, PHASE, NULL, 0));
    set_policy(other, &dan, PHASE, "{'versioning':'audit_only'}");
    assert_ok(read_phase(other, PHASE, NULL, 0));
    ck_assert_str_eq(found, "");
    flagver_close(other);
    flagver_close(client);
}
END_TEST

static Suite *phase_suite(void)
{
    Suite *suite = suite_create("dataset phase");
    TCase *tests = add_store_tcase(suite, "phase");

    tcase_add_loop_test(tests, what_is_in_force_comes_in_byte_order_of_subjects, 0, STORE_KINDS);
    tcase_add_loop_test(tests, what_was_in_force_can_be_saved_afterwards, 0, STORE_KINDS);
    tcase_add_loop_test(tests, what_was_deleted_or_waits_is_no_record, 0, STORE_KINDS);
    tcase_add_loop_test(tests, a_phase_is_known_by_its_policy_or_its_records, 0, STORE_KINDS);
    tcase_add_loop_test(tests, two_states_of_a_phase_are_compared, 0, STORE_KINDS);
    tcase_add_loop_test(tests, records_are_held_against_the_schema_of_their_subject, 0,
                        STORE_KINDS);
    tcase_add_loop_test(tests, a_tenant_has_only_its_own, 0, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(phase_suite());
}
