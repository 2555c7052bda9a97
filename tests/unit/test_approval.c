/*
 * Approval: who may, how many, of what content, and over what.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "records.h"

#define P "scoping"
#define S "cycle-7/report-12"
#define DRAFT FLAGVER_STATE_DRAFT
#define SUBMITTED FLAGVER_STATE_SUBMITTED
#define APPROVED FLAGVER_STATE_APPROVED
#define SUPERSEDED FLAGVER_STATE_SUPERSEDED

#define TESTERS "{'role_in':['Tester','Test Lead','Test Manager']}"

static flagver_client *open_phase(int kind, const char *policy)
{
    flagver_client *client = open_store(kind);

    set_policy(client, &dan, P, policy);
    return client;
}

static uint32_t current(flagver_client *client)
{
    return current_no(client, P, S);
}

START_TEST(a_phase_without_a_policy_is_none)
{
    flagver_client *client = open_store(_i);

    refused(client, FLAGVER_ENOTFOUND, ann, CREATE, P, S, .json = "1");
    assert_words("there is no phase \"scoping\"");
    flagver_close(client);
}
END_TEST

START_TEST(somebody_else_approves)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS "}}");

    done(client, ann, CREATE, P, S, .json = "{'x':1}");
    refused(client, FLAGVER_ESTATE, ben, APPROVE, P, S, 1);
    done(client, ann, SUBMIT, P, S, 1);
    refused(client, FLAGVER_ESELF, ann, APPROVE, P, S, 1);
    refused(client, FLAGVER_EDENIED, dan, APPROVE, P, S, 1);
    ck_assert_uint_eq(current(client), 0);
    done(client, ben, APPROVE, P, S, 1, .options.note = "fine");
    ck_assert_uint_eq(current(client), 1);
    ck_assert_int_eq(state_of(client, P, S, 1), APPROVED);
    refused(client, FLAGVER_ESTATE, cat, APPROVE, P, S, 1);
    flagver_close(client);
}
END_TEST

START_TEST(who_has_edited_is_an_author_too)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS "}}");

    done(client, ann, CREATE, P, S, .json = "1");
    done(client, ben, EDIT, P, S, 1, "2");
    done(client, ann, SUBMIT, P, S, 1);
    refused(client, FLAGVER_ESELF, ben, APPROVE, P, S, 1);
    done(client, cat, APPROVE, P, S, 1);
    flagver_close(client);
}
END_TEST

START_TEST(two_are_two_people)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS ",'min':2}}");

    done(client, dan, CREATE, P, S, .json = "1");
    done(client, dan, SUBMIT, P, S, 1);
    done(client, ann, APPROVE, P, S, 1);
    ck_assert_int_eq(state_of(client, P, S, 1), SUBMITTED);
    refused(client, FLAGVER_EEXIST, ann, APPROVE, P, S, 1);
    done(client, ben, APPROVE, P, S, 1);
    ck_assert_int_eq(state_of(client, P, S, 1), APPROVED);
    flagver_close(client);
}
END_TEST

START_TEST(approvals_are_of_a_content)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS ",'min':2}}");
    const uint8_t other[32] = { 1 };

    done(client, dan, CREATE, P, S, .json = "1");
    done(client, dan, SUBMIT, P, S, 1);
    refused(client, FLAGVER_ECHANGED, ann, APPROVE, P, S, 1, .options.content_hash = other);
    done(client, ann, APPROVE, P, S, 1);
    done(client, dan, RETURN, P, S, 1);
    done(client, dan, EDIT, P, S, 1, "2");
    done(client, dan, SUBMIT, P, S, 1);
    done(client, ben, APPROVE, P, S, 1); /* ann's does not count any more */
    ck_assert_int_eq(state_of(client, P, S, 1), SUBMITTED);
    done(client, ann, APPROVE, P, S, 1);
    ck_assert_int_eq(state_of(client, P, S, 1), APPROVED);
    flagver_close(client);
}
END_TEST

START_TEST(who_becomes_an_author_has_approved_in_vain)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS ",'min':2}}");

    done(client, dan, CREATE, P, S, .json = "1");
    done(client, dan, SUBMIT, P, S, 1);
    done(client, ann, APPROVE, P, S, 1);
    done(client, dan, RETURN, P, S, 1);
    done(client, ann, EDIT, P, S, 1, "1"); /* the very content that ann has approved */
    done(client, dan, SUBMIT, P, S, 1);
    done(client, ben, APPROVE, P, S, 1);
    ck_assert_int_eq(state_of(client, P, S, 1), SUBMITTED);
    done(client, cat, APPROVE, P, S, 1);
    ck_assert_int_eq(state_of(client, P, S, 1), APPROVED);
    flagver_close(client);
}
END_TEST

START_TEST(votes_of_authors_count_while_the_policy_lets_them)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS
                                            ",'min':2,'allow_self':true}}");
    const struct step stricter = { PUT, FLAGVER_PHASE_PHASE, P,
                                   .json = "{'approval':{'rule':" TESTERS ",'min':2}}" };

    done(client, ann, CREATE, P, S, .json = "1");
    done(client, ann, SUBMIT, P, S, 1);
    done(client, ann, APPROVE, P, S, 1);
    ck_assert_int_eq(attempt(client, &dan, &stricter), SUBMITTED);
    done(client, ann, APPROVE, FLAGVER_PHASE_PHASE, P, 2);
    done(client, ben, APPROVE, FLAGVER_PHASE_PHASE, P, 2);
    done(client, ben, APPROVE, P, S, 1);
    ck_assert_int_eq(state_of(client, P, S, 1), SUBMITTED);
    done(client, cat, APPROVE, P, S, 1);
    ck_assert_int_eq(state_of(client, P, S, 1), APPROVED);
    flagver_close(client);
}
END_TEST

START_TEST(an_older_number_never_overtakes)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS "}}");

    done(client, dan, CREATE, P, S, .json = "1");
    done(client, dan, CREATE, P, S, .json = "2");
    done(client, dan, SUBMIT, P, S, 1);
    done(client, dan, SUBMIT, P, S, 2);
    done(client, ann, APPROVE, P, S, 2);
    refused(client, FLAGVER_ESTALE, ann, APPROVE, P, S, 1);
    done(client, dan, RETURN, P, S, 1);
    refused(client, FLAGVER_ESTALE, dan, REBASE, P, S, 1);
    done(client, dan, CREATE, P, S, .json = "3");
    done(client, dan, CREATE, P, S, .json = "4");
    done(client, dan, SUBMIT, P, S, 3);
    done(client, ann, APPROVE, P, S, 3);
    ck_assert_int_eq(state_of(client, P, S, 2), SUPERSEDED);
    done(client, dan, SUBMIT, P, S, 4);
    refused(client, FLAGVER_ESTALE, ann, APPROVE, P, S, 4);
    done(client, dan, RETURN, P, S, 4);
    done(client, dan, REBASE, P, S, 4);
    done(client, dan, SUBMIT, P, S, 4);
    done(client, ann, APPROVE, P, S, 4);
    ck_assert_uint_eq(current(client), 4);
    flagver_close(client);
}
END_TEST

START_TEST(submitting_and_approving_are_one_call)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS ",'allow_self':true}}");

    done(client, ann, CREATE, P, S, .json = "1");
    done(client, ann, APPROVE, P, S, 1, .options.flags = FLAGVER_WRITE_SUBMIT);
    ck_assert_uint_eq(current(client), 1);
    refused(client, FLAGVER_EINVAL, ann, SUBMIT, P, S, 1, .options.flags = FLAGVER_WRITE_SUBMIT);
    flagver_close(client);
}
END_TEST

START_TEST(the_assigned_person_approves)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':{'assigned':'report_owner'}}}");
    const flagver_actor actor = actor_of(&dan);
    flagver_txn *txn;

    done(client, ann, CREATE, P, S, .json = "1");
    done(client, ann, SUBMIT, P, S, 1);
    refused(client, FLAGVER_EDENIED, ben, APPROVE, P, S, 1);
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_assign(txn, "report_owner", "*/report-12", "ben", NULL, NULL, &error));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    refused(client, FLAGVER_EDENIED, cat, APPROVE, P, S, 1);
    done(client, ben, APPROVE, P, S, 1);
    ck_assert_uint_eq(current(client), 1);
    flagver_close(client);
}
END_TEST

START_TEST(phases_that_only_record_do)
{
    flagver_client *client = open_phase(_i, "{'versioning':'audit_only'}");

    done(client, ann, RECORD, P, S, .json = "1");
    done(client, ann, RECORD, P, S, .json = "2");
    ck_assert_uint_eq(current(client), 2);
    ck_assert_int_eq(state_of(client, P, S, 1), FLAGVER_STATE_RECORDED);
    refused(client, FLAGVER_EPHASE, ann, CREATE, P, S, .json = "1");
    refused(client, FLAGVER_EPHASE, ann, SUBMIT, P, S, 1);
    flagver_close(client);
}
END_TEST

START_TEST(items_are_decided_before_the_whole_is)
{
    flagver_client *client = open_phase(_i,
                                        "{'approval':{'rule':" TESTERS ",'items_complete':true}}");
    flagver_version *one, *two;

    done(client, dan, CREATE, P, S, .json = "{}");
    done(client, dan, ITEMS_PUT, P, S, 1, "{'a':1}", "sample-1");
    done(client, dan, ITEMS_PUT, P, S, 1, "{'a':2}", "sample-2");
    refused(client, FLAGVER_ESTATE, ann, DECIDE, P, S, 1, .key = "sample-1",
            .status = FLAGVER_ITEM_APPROVED);
    done(client, dan, SUBMIT, P, S, 1);
    refused(client, FLAGVER_EFROZEN, dan, ITEMS_PUT, P, S, 1, "{'a':3}", "sample-2");
    refused(client, FLAGVER_EINCOMPLETE, ann, APPROVE, P, S, 1);
    refused(client, FLAGVER_ENOTFOUND, ann, DECIDE, P, S, 1, .key = "sample-9",
            .status = FLAGVER_ITEM_APPROVED);
    done(client, ann, DECIDE, P, S, 1, .key = "sample-1", .status = FLAGVER_ITEM_APPROVED);
    refused(client, FLAGVER_EINCOMPLETE, ann, APPROVE, P, S, 1);
    done(client, ann, DECIDE, P, S, 1, .key = "sample-2", .status = FLAGVER_ITEM_REJECTED);
    done(client, ann, APPROVE, P, S, 1);

    done(client, dan, CREATE, P, S, .json = "{}", .options.baseline_no = 1);
    assert_ok(flagver_version_get(client, P, S, 1, &one, &error));
    assert_ok(flagver_version_get(client, P, S, 2, &two, &error));
    ck_assert(memcmp(one->content_hash, two->content_hash, 32) != 0); /* without sample-2 */
    flagver_version_free(one);
    flagver_version_free(two);
    done(client, dan, SUBMIT, P, S, 2);
    done(client, ann, APPROVE, P, S, 2);
    flagver_close(client);
}
END_TEST

static bool has_no_note(void *data, const flagver_item *item)
{
    ck_assert_int_eq(item->status, FLAGVER_ITEM_PENDING);
    ck_assert_ptr_null(item->note);
    ++*(int *)data;
    return true;
}

START_TEST(of_a_decision_that_is_taken_back_nothing_stays)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS "}}");
    int seen = 0;

    done(client, dan, CREATE, P, S, .json = "1");
    done(client, dan, ITEMS_PUT, P, S, 1, "1", "a");
    done(client, dan, SUBMIT, P, S, 1);
    done(client, ann, DECIDE, P, S, 1, .key = "a", .status = FLAGVER_ITEM_APPROVED,
         .options.note = "good");
    done(client, ann, DECIDE, P, S, 1, .key = "a", .status = FLAGVER_ITEM_PENDING,
         .options.note = "or is it?");
    assert_ok(flagver_items_list(client, P, S, 1, has_no_note, &seen, &error));
    ck_assert_int_eq(seen, 1);
    ck_assert_int_eq(flagver_audit_verify(client, NULL, NULL, NULL, NULL, &error), 0);
    flagver_close(client);
}
END_TEST

START_TEST(an_item_is_put_once_at_a_time)
{
    static const flagver_item_content twice[] = { { "a", "2", 1 },
                                                  { "b", "1", 1 },
                                                  { "a", "1", 1 } };
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS "}}");
    const flagver_actor actor = actor_of(&ann);
    flagver_txn *txn;

    done(client, ann, CREATE, P, S, .json = "1");
    done(client, ann, ITEMS_PUT, P, S, 1, "1", "a");
    txn = begin_as(client, &actor, NULL);
    assert_fails(FLAGVER_EINVAL, flagver_items_put(txn, P, S, 1, twice, 3, NULL, NULL, &error));
    assert_words("twice");
    assert_ok(flagver_items_put(txn, P, S, 1, twice, 2, NULL, NULL, &error));
    commit(txn);
    flagver_close(client);
}
END_TEST

START_TEST(a_policy_is_changed_by_the_approval_that_it_asks_for)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':" TESTERS "}}");
    const struct step weaker = { PUT, FLAGVER_PHASE_PHASE, P, .json = "{'approval':{'min':0}}" };

    ck_assert_int_eq(attempt(client, &dan, &weaker), SUBMITTED);
    done(client, ann, CREATE, P, S, .json = "1");
    ck_assert_int_eq(attempt(client, &ann, STEP(SUBMIT, P, S, 1)), SUBMITTED);
    refused(client, FLAGVER_EDENIED, dan, APPROVE, FLAGVER_PHASE_PHASE, P, 2);
    done(client, ben, APPROVE, FLAGVER_PHASE_PHASE, P, 2);
    ck_assert_int_eq(attempt(client, &ann, STEP(PUT, P, S, .json = "2")), APPROVED);
    flagver_close(client);
}
END_TEST

START_TEST(a_file_is_proposed_once)
{
    flagver_client *client = open_store(_i);
    const flagver_actor actor = actor_of(&dan);
    char *json = quoted("{'flags':{'a':{'type':'boolean'}}}");
    flagver_txn *txn;
    int round;

    set_policy(client, &dan, FLAGVER_PHASE_FLAG, "{'approval':{'rule':" TESTERS "}}");
    for (round = 0; round < 2; round++) {
        assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
        ck_assert_int_eq(flagver_flags_apply(txn, json, strlen(json), NULL, false, NULL, &error),
                         round == 0);
        assert_ok(flagver_txn_commit(txn, &error));
        flagver_txn_free(txn);
    }
    done(client, ann, APPROVE, FLAGVER_PHASE_FLAG, "a", 1);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    free(json);
    flagver_close(client);
}
END_TEST

/* The author proposes, another one approves, everybody follows; switching off needs no second. */
static int apply_with(flagver_client *client, const struct person *person, const char *json,
                      const flagver_write_options *options)
{
    const flagver_actor actor = actor_of(person);
    char *file = quoted(json);
    flagver_txn *txn = NULL;
    int r, committed;

    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    r = flagver_flags_apply(txn, file, strlen(file), NULL, false, options, &error);
    committed = flagver_txn_commit(txn, NULL);
    flagver_txn_free(txn);
    free(file);
    return r < 0 ? r : committed < 0 ? committed : r;
}

START_TEST(a_file_is_no_emergency_nor_of_one_version)
{
    static const char file[] = "{'flags':{'f':{'type':'boolean'}}}";
    const uint8_t hash[32] = { 1 };
    const flagver_write_options refused_options[] = {
        { .size = sizeof(flagver_write_options), .note = "!", .flags = FLAGVER_WRITE_EMERGENCY },
        { .size = sizeof(flagver_write_options), .flags = FLAGVER_WRITE_SUBMIT },
        { .size = sizeof(flagver_write_options), .parent_no = 1 },
        { .size = sizeof(flagver_write_options), .baseline_no = 1 },
        { .size = sizeof(flagver_write_options), .content_hash = hash },
    };
    flagver_client *client = open_store(_i);
    size_t i;

    done(client, ann, PUT, FLAGVER_PHASE_FLAG, "f", .json = "{'type':'boolean','enabled':false}");
    set_policy(client, &dan, FLAGVER_PHASE_FLAG,
               "{'approval':{'rule':{'role_in':['Test Lead']}},'emergency':'anyone'}");
    for (i = 0; i < sizeof refused_options / sizeof *refused_options; i++)
        ck_assert_int_eq(apply_with(client, &ann, file, &refused_options[i]), FLAGVER_EINVAL);
    ck_assert_uint_eq(current_no(client, FLAGVER_PHASE_FLAG, "f"), 1);
    ck_assert_int_eq(apply_with(client, &ann, file, NULL), 1);
    ck_assert_uint_eq(current_no(client, FLAGVER_PHASE_FLAG, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_file_that_locks_out_its_author_does_nothing)
{
    flagver_client *client = open_store(_i);

    done(client, dan, PUT, FLAGVER_PHASE_ASSIGNMENT, "admin/*/*", .json = "{'users':['ann']}");
    done(client, dan, PUT, FLAGVER_PHASE_ASSIGNMENT, "admin/*/*/*", .json = "{'users':['ann']}");
    set_policy(client, &dan, FLAGVER_PHASE_ASSIGNMENT,
               "{'approval':{'required':false},'write':{'assigned':'admin'}}");
    ck_assert_int_lt(apply_with(client, &ann,
                                "{'assignments':{'admin/*/*':{'users':['ben']},"
                                "'admin/*/*/*':{'users':['ann']},'zed/x':{'users':['ann']}}}",
                                NULL),
                     0);
    ck_assert_uint_eq(current_no(client, FLAGVER_PHASE_ASSIGNMENT, "admin/*/*"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(flags_go_by_the_same_rules)
{
    flagver_client *client = open_store(_i);
    const flagver_actor author = actor_of(&dan), operator= actor_of(&ann);
    const flagver_write_options silent = { .size = sizeof silent,
                                           .flags = FLAGVER_WRITE_EMERGENCY };
    flagver_write_options urgent = { .size = sizeof urgent,
                                     .note = "errors",
                                     .flags = FLAGVER_WRITE_EMERGENCY };
    flagver_version *version;
    flagver_txn *txn;
    uint32_t no;

    put_flag(client, "f", "{'type':'boolean','percentage':10}");
    set_policy(client, &dan, FLAGVER_PHASE_FLAG,
               "{'approval':{'rule':" TESTERS "},'emergency':{'role_in':['Tester']}}");

    txn = begin_as(client, &author, NULL);
    assert_ok(flagver_flag_ramp(txn, "f", 50, NULL, &no, &error));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    refused(client, FLAGVER_EDENIED, dan, APPROVE, FLAGVER_PHASE_FLAG, "f", no);
    done(client, ben, APPROVE, FLAGVER_PHASE_FLAG, "f", no);
    ck_assert_uint_eq(flag_no(client, "f"), 2);

    txn = begin_as(client, &author, NULL);
    assert_fails(FLAGVER_EDENIED, flagver_flag_disable(txn, "f", &urgent, NULL, &error));
    flagver_txn_free(txn);
    txn = begin_as(client, &operator, NULL);
    assert_fails(FLAGVER_EINVAL, flagver_flag_disable(txn, "f", &silent, NULL, &error));
    assert_words("note");
    assert_fails(FLAGVER_EINVAL, flagver_flag_ramp(txn, "f", 60, &urgent, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_enable(txn, "f", &urgent, NULL, &error));
    assert_ok(flagver_flag_ramp(txn, "f", 5, &urgent, NULL, &error));
    assert_ok(flagver_flag_disable(txn, "f", &urgent, &no, &error));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), no);
    assert_ok(flagver_version_get(client, FLAGVER_PHASE_FLAG, "f", no, &version, &error));
    ck_assert(version->emergency);
    flagver_version_free(version);

    refused(client, FLAGVER_ESELF, ann, REVIEW, FLAGVER_PHASE_FLAG, "f", no);
    refused(client, FLAGVER_ESTATE, ben, REVIEW, FLAGVER_PHASE_FLAG, "f", 2);
    done(client, ben, REVIEW, FLAGVER_PHASE_FLAG, "f", no);
    refused(client, FLAGVER_EEXIST, ben, REVIEW, FLAGVER_PHASE_FLAG, "f", no);
    flagver_close(client);
}
END_TEST

static Suite *approval_suite(void)
{
    Suite *suite = suite_create("approval");
    TCase *tests = add_store_tcase(suite, "approval");

    tcase_add_loop_test(tests, a_phase_without_a_policy_is_none, 0, STORE_KINDS);
    tcase_add_loop_test(tests, somebody_else_approves, 0, STORE_KINDS);
    tcase_add_loop_test(tests, who_has_edited_is_an_author_too, 0, STORE_KINDS);
    tcase_add_loop_test(tests, two_are_two_people, 0, STORE_KINDS);
    tcase_add_loop_test(tests, approvals_are_of_a_content, 0, STORE_KINDS);
    tcase_add_loop_test(tests, who_becomes_an_author_has_approved_in_vain, 0, STORE_KINDS);
    tcase_add_loop_test(tests, votes_of_authors_count_while_the_policy_lets_them, 0, STORE_KINDS);
    tcase_add_loop_test(tests, an_older_number_never_overtakes, 0, STORE_KINDS);
    tcase_add_loop_test(tests, submitting_and_approving_are_one_call, 0, STORE_KINDS);
    tcase_add_loop_test(tests, the_assigned_person_approves, 0, STORE_KINDS);
    tcase_add_loop_test(tests, phases_that_only_record_do, 0, STORE_KINDS);
    tcase_add_loop_test(tests, items_are_decided_before_the_whole_is, 0, STORE_KINDS);
    tcase_add_loop_test(tests, of_a_decision_that_is_taken_back_nothing_stays, 0, STORE_KINDS);
    tcase_add_loop_test(tests, an_item_is_put_once_at_a_time, 0, STORE_KINDS);
    tcase_add_loop_test(tests, a_policy_is_changed_by_the_approval_that_it_asks_for, 0,
                        STORE_KINDS);
    tcase_add_loop_test(tests, a_file_is_proposed_once, 0, STORE_KINDS);
    tcase_add_loop_test(tests, a_file_is_no_emergency_nor_of_one_version, 0, STORE_KINDS);
    tcase_add_loop_test(tests, a_file_that_locks_out_its_author_does_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(tests, flags_go_by_the_same_rules, 0, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(approval_suite());
}
