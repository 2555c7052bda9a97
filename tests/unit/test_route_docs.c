/*
 * The table of stages in docs/routing.md is the model's: whom each stage reads, writes and believes,
 * what has to be shown before it, and which migrations have it.
 */
#include "model/stage.h"
#include "unit/document.h"

#define DOCUMENT "docs/routing.md"
#define HEADING \
    "| stage | reads | writes | believed | gates on the way into it | in migrations of |\n"
#define CELLS 6

static const struct {
    uint32_t gate;
    const char *word;
} gates[] = { { FV_GATE_WHOLE, "copied" },
              { FV_GATE_VERIFIED, "verified" },
              { FV_GATE_MATCHING, "agreeing" },
              { FV_GATE_REPAIRED, "repaired" },
              { FV_GATE_SOAKED, "soaked" } };

static const char *plan_words(struct fv_stage_plan plan)
{
    if (plan.both)
        return plan.primary == FV_OLD ? "old, new" : "new, old";
    return plan.primary == FV_OLD ? "old" : "new";
}

static const char *read_words(int stage)
{
    struct fv_stage_plan stays = fv_stage_read(stage, false), moved = fv_stage_read(stage, true);

    return stays.primary == moved.primary ? plan_words(stays) : "by key";
}

static void check_gates(int stage, const char *cell)
{
    struct fv_stage_change change = { 0 };
    char words[CELL_SIZE] = "";

    if (stage > FLAGVER_STAGE_OFF)
        ck_assert_int_eq(fv_stage_change(8, stage - 1, stage, &change), 0);
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        if (!(change.gates & gates[i].gate))
            continue;
        strcat(words, *words ? ", " : "");
        strcat(words, gates[i].word);
    }
    ck_assert_str_eq(cell, *words ? words : "–");
}

static void check_presets(int stage, const char *cell)
{
    char words[CELL_SIZE] = "";

    for (uint32_t stages = 2; stages <= 8; stages += 2) {
        if (!fv_stage_in(stage, stages))
            continue;
        strcat(words, *words ? ", " : "");
        strcat(words, (const char[]){ (char)('0' + stages), 0 });
    }
    strcat(words, " stages");
    ck_assert_str_eq(cell, words);
}

static void check_row(int stage, const char *row)
{
    char cells[CELLS][CELL_SIZE];

    for (int i = 0; i < CELLS; i++)
        row = next_cell(row, cells[i]);
    ck_assert_str_eq(cells[0], fv_stage_name(stage));
    ck_assert_str_eq(cells[1], read_words(stage));
    ck_assert_str_eq(cells[2], plan_words(fv_stage_write(stage)));
    ck_assert_str_eq(cells[3], fv_stage_write(stage).primary == FV_OLD ? "old" : "new");
    check_gates(stage, cells[4]);
    check_presets(stage, cells[5]);
}

START_TEST(the_table_in_the_documentation_is_the_models)
{
    ck_assert_int_eq(each_row(DOCUMENT, HEADING, check_row), FLAGVER_STAGE_COMPLETE);
}
END_TEST

static Suite *route_docs_suite(void)
{
    Suite *suite = suite_create("route docs");
    TCase *all = tcase_create("all");

    tcase_add_test(all, the_table_in_the_documentation_is_the_models);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(route_docs_suite());
}
