/*
 * The life of a version: every action in every state.
 */
#include "model/version.h"
#include "support.h"

enum { NONE, DRAFT, SUBMITTED, APPROVED, SUPERSEDED, REJECTED, WITHDRAWN, RECORDED };

#define FROZEN FLAGVER_EFROZEN
#define STATE FLAGVER_ESTATE
#define PHASE FLAGVER_EPHASE

static const char *const names[] = { NULL,         "draft",    "submitted", "approved",
                                     "superseded", "rejected", "withdrawn", "recorded" };

static const struct {
    enum fv_action action;
    uint32_t approvals, votes;
    int next[RECORDED + 1]; /* by the state before */
} rows[] = {
    { FV_ACTION_CREATE, 1, 0, { DRAFT, STATE, STATE, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_EDIT, 0, 0, { STATE, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE } },
    { FV_ACTION_EDIT, 1, 0, { STATE, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE } },
    { FV_ACTION_REBASE, 1, 0, { STATE, DRAFT, FROZEN, FROZEN, FROZEN, FROZEN, FROZEN, PHASE } },
    { FV_ACTION_SUBMIT, 0, 0, { STATE, APPROVED, STATE, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_SUBMIT, 1, 0, { STATE, SUBMITTED, STATE, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_SUBMIT, 2, 0, { STATE, SUBMITTED, STATE, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_RETURN, 1, 0, { STATE, STATE, DRAFT, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_DECIDE, 1, 0, { STATE, STATE, SUBMITTED, FROZEN, FROZEN, FROZEN, FROZEN, PHASE } },
    { FV_ACTION_APPROVE, 1, 1, { STATE, STATE, APPROVED, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_APPROVE, 2, 1, { STATE, STATE, SUBMITTED, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_APPROVE, 2, 2, { STATE, STATE, APPROVED, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_REJECT, 1, 0, { STATE, STATE, REJECTED, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_WITHDRAW,
      0,
      0,
      { STATE, WITHDRAWN, WITHDRAWN, STATE, STATE, STATE, STATE, PHASE } },
    { FV_ACTION_WITHDRAW,
      1,
      0,
      { STATE, WITHDRAWN, WITHDRAWN, STATE, STATE, STATE, STATE, PHASE } },
};
#define ROWS ((int)(sizeof rows / sizeof *rows))

START_TEST(an_action_leads_where_the_table_says)
{
    struct fv_version_facts facts = { .no = 2,
                                      .base_no = 1,
                                      .current_no = 1,
                                      .votes = rows[_i].votes,
                                      .approvals = rows[_i].approvals };
    int next;

    for (facts.state = NONE; facts.state <= RECORDED; facts.state++) {
        next = fv_version_judge(rows[_i].action, &facts);
        ck_assert_msg(next == rows[_i].next[facts.state],
                      "%s with %u of %u approvals from %s gives %d",
                      fv_action_name((int)rows[_i].action), (unsigned)rows[_i].votes,
                      (unsigned)rows[_i].approvals,
                      names[facts.state] ? names[facts.state] : "nothing", next);
    }
}
END_TEST

START_TEST(states_have_the_numbers_of_the_store)
{
    static const int numbers[] = { 0,
                                   FLAGVER_STATE_DRAFT,
                                   FLAGVER_STATE_SUBMITTED,
                                   FLAGVER_STATE_APPROVED,
                                   FLAGVER_STATE_SUPERSEDED,
                                   FLAGVER_STATE_REJECTED,
                                   FLAGVER_STATE_WITHDRAWN,
                                   FLAGVER_STATE_RECORDED };
    int state;

    for (state = DRAFT; state <= RECORDED; state++)
        ck_assert_int_eq(numbers[state], state);
}
END_TEST

START_TEST(every_state_has_a_name_and_nothing_else_has)
{
    int state;

    for (state = DRAFT; state <= RECORDED; state++)
        ck_assert_str_eq(fv_state_name(state), names[state]);
    ck_assert_ptr_null(fv_state_name(0));
    ck_assert_ptr_null(fv_state_name(-1));
    ck_assert_ptr_null(fv_state_name(RECORDED + 1));
    ck_assert_ptr_null(fv_state_name(1 << 20));
}
END_TEST

static Suite *version_model_suite(void)
{
    Suite *suite = suite_create("version model");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, an_action_leads_where_the_table_says, 0, ROWS);
    tcase_add_test(all, states_have_the_numbers_of_the_store);
    tcase_add_test(all, every_state_has_a_name_and_nothing_else_has);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(version_model_suite());
}
