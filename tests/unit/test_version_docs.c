/*
 * The table in docs/versions.md says what the model does: every action in every state.
 *
 * A cell holds the states that come of it, or the code it ends with, with " / " between them where
 * that depends on more than the state; "–" where there is nothing to act on.
 */
#include "model/version.h"
#include "unit/document.h"

#define DOCUMENT "docs/versions.md"
#define HEADING                                                                          \
    "| action | new | draft | submitted | approved | superseded | rejected | withdrawn " \
    "| recorded |\n"
#define STATES 8

/* What else decides, in all its combinations that there are. */
static const struct {
    uint32_t approvals, votes;
    bool emergency;
} circumstances[] = { { 1, 1, false }, { 2, 1, false }, { 1, 1, true }, { 0, 0, false } };

#define CIRCUMSTANCES (sizeof circumstances / sizeof *circumstances)

static const char *name_of(int outcome)
{
    return outcome < 0 ? flagver_error_name(outcome) : fv_state_name(outcome);
}

static int judge(enum fv_action action, int state, size_t i)
{
    const struct fv_version_facts facts = { .state = state,
                                            .audit_only = action == FV_ACTION_RECORD,
                                            .emergency = circumstances[i].emergency,
                                            .no = 2,
                                            .base_no = 1,
                                            .current_no = 1,
                                            .votes = circumstances[i].votes,
                                            .approvals = circumstances[i].approvals };

    return fv_version_judge(action, &facts);
}

/* Is the word one of those in the cell? */
static bool says(const char *cell, const char *word)
{
    size_t length = strlen(word);
    const char *at = cell;

    for (; (at = strstr(at, word)); at++)
        if ((at == cell || at[-1] == ' ') && (!at[length] || at[length] == ' '))
            return true;
    return false;
}

static int count_words(const char *cell)
{
    int count = 1;

    for (; (cell = strstr(cell, " / ")); cell += 3)
        count++;
    return count;
}

/* Nothing is approved where no approval is asked for; all else is tried in all circumstances. */
static bool is_possible(enum fv_action action, size_t i)
{
    return action != FV_ACTION_APPROVE || circumstances[i].approvals > 0;
}

static void check_cell(enum fv_action action, int state, const char *cell)
{
    int outcomes[CIRCUMSTANCES], count = 0, outcome, j;
    size_t i;

    for (i = 0; i < CIRCUMSTANCES; i++) {
        if (!is_possible(action, i))
            continue;
        outcome = judge(action, state, i);
        for (j = 0; j < count && outcomes[j] != outcome; j++)
            ;
        if (j == count)
            outcomes[count++] = outcome;
    }

    if (strcmp(cell, "–") == 0) {
        ck_assert_msg(count == 1 && outcomes[0] < 0 &&
                          (!state || action == FV_ACTION_CREATE || action == FV_ACTION_RECORD),
                      "%s, state %d: not nothing", fv_action_name((int)action), state);
        return;
    }
    for (j = 0; j < count; j++)
        ck_assert_msg(says(cell, name_of(outcomes[j])), "%s, state %d: \"%s\" lacks %s",
                      fv_action_name((int)action), state, cell, name_of(outcomes[j]));
    ck_assert_msg(count_words(cell) == count, "%s, state %d: \"%s\" says too much",
                  fv_action_name((int)action), state, cell);
}

static enum fv_action action_named(const char *name)
{
    int action;

    for (action = FV_ACTION_CREATE; fv_action_name(action); action++)
        if (strcmp(fv_action_name(action), name) == 0)
            break;
    ck_assert_msg(fv_action_name(action) != NULL, "no action \"%s\"", name);
    return (enum fv_action)action;
}

static unsigned seen; /* a bit for each action that a row is about */

static void check_row(int number, const char *row)
{
    enum fv_action action;
    char cell[CELL_SIZE];
    int state;

    (void)number;
    row = next_cell(row, cell);
    action = action_named(cell);
    for (state = 0; state < STATES; state++) {
        row = next_cell(row, cell);
        check_cell(action, state, cell);
    }
    seen |= 1u << action;
}

START_TEST(the_table_in_the_documentation_is_the_models)
{
    unsigned all = 0;
    int action;

    each_row(DOCUMENT, HEADING, check_row);
    for (action = FV_ACTION_CREATE; fv_action_name(action); action++)
        all |= 1u << action;
    ck_assert_uint_eq(seen, all);
}
END_TEST

static Suite *version_docs_suite(void)
{
    Suite *suite = suite_create("version docs");
    TCase *all = tcase_create("all");

    tcase_add_test(all, the_table_in_the_documentation_is_the_models);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(version_docs_suite());
}
