/* Stages of a migration, cell by cell: what they read and write, and which may follow which. */
#include "flags.h"
#include "model/stage.h"

enum { OFF = FLAGVER_STAGE_OFF, DUALWRITE, BACKFILL, SHADOW, RAMP, LIVE, RAMPDOWN, COMPLETE };

/* ---- reads and writes ---- */

/* In words, so that the table is not that of the code: "old", "old new", who is first is believed. */
static const struct {
    int stage;
    const char *name;
    const char *read, *read_moved, *write;
    const char *presets;
} stages[] = {
    { OFF, "off", "old", "old", "old", "2468" },
    { DUALWRITE, "dualwrite", "old", "old", "old new", "68" },
    { BACKFILL, "backfill", "old", "old", "old new", "8" },
    { SHADOW, "shadow", "old new", "old new", "old new", "468" },
    { RAMP, "ramp", "old new", "new old", "old new", "8" },
    { LIVE, "live", "new old", "new old", "new old", "468" },
    { RAMPDOWN, "rampdown", "new", "new", "new old", "68" },
    { COMPLETE, "complete", "new", "new", "new", "2468" },
};

static const char *words_of_plan(struct fv_stage_plan plan)
{
    if (plan.primary == FV_OLD)
        return plan.both ? "old new" : "old";
    return plan.both ? "new old" : "new";
}

START_TEST(each_stage_reads_and_writes_its_sides)
{
    ck_assert_str_eq(words_of_plan(fv_stage_read(stages[_i].stage, false)), stages[_i].read);
    ck_assert_str_eq(words_of_plan(fv_stage_read(stages[_i].stage, true)), stages[_i].read_moved);
    ck_assert_str_eq(words_of_plan(fv_stage_write(stages[_i].stage)), stages[_i].write);
}
END_TEST

START_TEST(each_stage_has_a_name_and_a_number)
{
    const char *name = stages[_i].name;

    ck_assert_int_eq(stages[_i].stage, _i + 1);
    ck_assert_str_eq(fv_stage_name(stages[_i].stage), name);
    ck_assert_str_eq(flagver_stage_name(stages[_i].stage), name);
    ck_assert_int_eq(fv_stage_parse(name, strlen(name)), stages[_i].stage);
    ck_assert_int_eq(flagver_stage_parse(name), stages[_i].stage);
    ck_assert_int_eq(fv_stage_parse(name, strlen(name) - 1), 0);
}
END_TEST

START_TEST(what_is_no_stage_has_neither)
{
    static const char *const names[] = { "", "OFF", "off ", " off", "dual", "done", "ramp-down" };
    static const int numbers[] = { -1, 0, 9, 255, INT32_MAX, INT32_MIN };

    for (int i = 0; i < COUNT(names); i++)
        ck_assert_int_eq(flagver_stage_parse(names[i]), 0);
    for (int i = 0; i < COUNT(numbers); i++)
        ck_assert_ptr_null(flagver_stage_name(numbers[i]));
    ck_assert_int_eq(flagver_stage_parse(NULL), 0);
    ck_assert_int_eq(fv_stage_parse("off\0", 4), 0);
}
END_TEST

START_TEST(presets_have_two_four_six_and_eight_stages)
{
    uint32_t count = 0;

    for (int stage = -1; stage <= 9; stage++) {
        bool known = stage >= OFF && stage <= COMPLETE;
        bool in = known && _i < 10 && strchr(stages[stage - 1].presets, '0' + _i);

        ck_assert_msg(fv_stage_in(stage, (uint32_t)_i) == in, "stage %d in %d", stage, _i);
        count += in;
    }
    ck_assert_uint_eq(count, _i == 2 || _i == 4 || _i == 6 || _i == 8 ? (uint32_t)_i : 0);
}
END_TEST

START_TEST(no_preset_is_larger_than_a_word)
{
    ck_assert(!fv_stage_in(OFF, 32));
    ck_assert(!fv_stage_in(OFF, 34));
    ck_assert(!fv_stage_in(OFF, UINT32_MAX));
}
END_TEST

/* ---- keys that move ---- */

START_TEST(no_key_is_moved_at_none_and_every_key_at_all)
{
    static const uint32_t hashes[] = { 0, 1, 429496, 429497, 0x7fffffff, 0x80000000, UINT32_MAX };

    for (int i = 0; i < COUNT(hashes); i++) {
        ck_assert(!fv_stage_moved(hashes[i], 0));
        ck_assert(fv_stage_moved(hashes[i], FV_READ_SCALE));
    }
    ck_assert(fv_stage_moved(429496, 1));
    ck_assert(!fv_stage_moved(429497, 1));
    ck_assert(fv_stage_moved(0x7fffffff, 5000));
    ck_assert(!fv_stage_moved(0x80000000, 5000));
    ck_assert(!fv_stage_moved(UINT32_MAX, FV_READ_SCALE - 1));
}
END_TEST

START_TEST(a_key_moves_once_while_the_share_rises)
{
    for (uint64_t hash = 0; hash <= UINT32_MAX; hash += 40000003) {
        bool moved = false;

        for (uint32_t bound = 0; bound <= FV_READ_SCALE; bound += 25) {
            bool now = fv_stage_moved((uint32_t)hash, bound);

            ck_assert_msg(now || !moved, "%llu comes back at %u", (unsigned long long)hash, bound);
            moved = now;
        }
        ck_assert(moved);
    }
}
END_TEST

/* ---- changes ---- */

/*
 * A change in words: "-" it is not allowed, otherwise letters: B back, F flip, S starts to write both, E ends
 * to; and behind a colon the gates: W whole, V verified, M matching, R repaired, K soaked.
 * By row: from; by column: to.
 */
static const struct {
    uint32_t stages;
    const char *cells[9][9];
} presets[] = {
    { 8,
      { [OFF] = { [OFF] = ":",
                  [DUALWRITE] = "S:",
                  [BACKFILL] = "-",
                  [SHADOW] = "-",
                  [RAMP] = "-",
                  [LIVE] = "-",
                  [RAMPDOWN] = "-",
                  [COMPLETE] = "-" },
        [DUALWRITE] = { [OFF] = "BE:",
                        [DUALWRITE] = ":",
                        [BACKFILL] = ":",
                        [SHADOW] = "-",
                        [RAMP] = "-",
                        [LIVE] = "-",
                        [RAMPDOWN] = "-",
                        [COMPLETE] = "-" },
        [BACKFILL] = { [OFF] = "BE:",
                       [DUALWRITE] = "B:",
                       [BACKFILL] = ":",
                       [SHADOW] = ":W",
                       [RAMP] = "-",
                       [LIVE] = "-",
                       [RAMPDOWN] = "-",
                       [COMPLETE] = "-" },
        [SHADOW] = { [OFF] = "BE:",
                     [DUALWRITE] = "B:",
                     [BACKFILL] = "B:",
                     [SHADOW] = ":",
                     [RAMP] = ":VM",
                     [LIVE] = "-",
                     [RAMPDOWN] = "-",
                     [COMPLETE] = "-" },
        [RAMP] = { [OFF] = "BE:",
                   [DUALWRITE] = "B:",
                   [BACKFILL] = "B:",
                   [SHADOW] = "B:",
                   [RAMP] = ":",
                   [LIVE] = "F:WR",
                   [RAMPDOWN] = "-",
                   [COMPLETE] = "-" },
        [LIVE] = { [OFF] = "BFE:W",
                   [DUALWRITE] = "BF:W",
                   [BACKFILL] = "BF:W",
                   [SHADOW] = "BF:W",
                   [RAMP] = "BF:W",
                   [LIVE] = ":",
                   [RAMPDOWN] = ":",
                   [COMPLETE] = "-" },
        [RAMPDOWN] = { [OFF] = "BFE:W",
                       [DUALWRITE] = "BF:W",
                       [BACKFILL] = "BF:W",
                       [SHADOW] = "BF:W",
                       [RAMP] = "BF:W",
                       [LIVE] = "B:",
                       [RAMPDOWN] = ":",
                       [COMPLETE] = "E:VK" },
        [COMPLETE] = { [OFF] = "BF:WVR",
                       [DUALWRITE] = "BFS:WVR",
                       [BACKFILL] = "BFS:WVR",
                       [SHADOW] = "BFS:WVR",
                       [RAMP] = "BFS:WVR",
                       [LIVE] = "BS:",
                       [RAMPDOWN] = "BS:",
                       [COMPLETE] = ":" } } },
    { 6,
      { [OFF] = { [OFF] = ":",
                  [DUALWRITE] = "S:",
                  [SHADOW] = "-",
                  [LIVE] = "-",
                  [RAMPDOWN] = "-",
                  [COMPLETE] = "-" },
        [DUALWRITE] = { [OFF] = "BE:",
                        [DUALWRITE] = ":",
                        [SHADOW] = ":W",
                        [LIVE] = "-",
                        [RAMPDOWN] = "-",
                        [COMPLETE] = "-" },
        [SHADOW] = { [OFF] = "BE:",
                     [DUALWRITE] = "B:",
                     [SHADOW] = ":",
                     [LIVE] = "F:WVMR",
                     [RAMPDOWN] = "-",
                     [COMPLETE] = "-" },
        [LIVE] = { [OFF] = "BFE:W",
                   [DUALWRITE] = "BF:W",
                   [SHADOW] = "BF:W",
                   [LIVE] = ":",
                   [RAMPDOWN] = ":",
                   [COMPLETE] = "-" },
        [RAMPDOWN] = { [OFF] = "BFE:W",
                       [DUALWRITE] = "BF:W",
                       [SHADOW] = "BF:W",
                       [LIVE] = "B:",
                       [RAMPDOWN] = ":",
                       [COMPLETE] = "E:VK" },
        [COMPLETE] = { [OFF] = "BF:WVR",
                       [DUALWRITE] = "BFS:WVR",
                       [SHADOW] = "BFS:WVR",
                       [LIVE] = "BS:",
                       [RAMPDOWN] = "BS:",
                       [COMPLETE] = ":" } } },
    { 4,
      { [OFF] = { [OFF] = ":", [SHADOW] = "S:", [LIVE] = "-", [COMPLETE] = "-" },
        [SHADOW] = { [OFF] = "BE:", [SHADOW] = ":", [LIVE] = "F:WVMR", [COMPLETE] = "-" },
        [LIVE] = { [OFF] = "BFE:W", [SHADOW] = "BF:W", [LIVE] = ":", [COMPLETE] = "E:VK" },
        [COMPLETE] = { [OFF] = "BF:WVR",
                       [SHADOW] = "BFS:WVR",
                       [LIVE] = "BS:",
                       [COMPLETE] = ":" } } },
    /* The direct cutover: nothing is ever compared by reads, and no stage writes both. */
    { 2,
      { [OFF] = { [OFF] = ":", [COMPLETE] = "F:WVR" },
        [COMPLETE] = { [OFF] = "BF:WVR", [COMPLETE] = ":" } } },
};

static const char *words_of_change(const struct fv_stage_change *change)
{
    static char words[16];

    snprintf(words, sizeof words, "%s%s%s%s:%s%s%s%s%s", change->back ? "B" : "",
             change->flip ? "F" : "", change->starts ? "S" : "", change->ends ? "E" : "",
             change->gates & FV_GATE_WHOLE ? "W" : "", change->gates & FV_GATE_VERIFIED ? "V" : "",
             change->gates & FV_GATE_MATCHING ? "M" : "",
             change->gates & FV_GATE_REPAIRED ? "R" : "",
             change->gates & FV_GATE_SOAKED ? "K" : "");
    return words;
}

/* NULL: a stage of the two is none of the preset. */
static void assert_change(uint32_t count, int from, int to, const char *expected)
{
    struct fv_stage_change change;
    int r = fv_stage_change(count, from, to, &change);

    if (!expected || expected[0] == '-') {
        ck_assert_msg(r == (expected ? FLAGVER_ESTATE : FLAGVER_EINVAL), "%u: %d to %d: %d", count,
                      from, to, r);
        return;
    }
    ck_assert_msg(r == 0, "%u: %s to %s: %d", count, fv_stage_name(from), fv_stage_name(to), r);
    ck_assert_msg(strcmp(words_of_change(&change), expected) == 0, "%u: %s to %s: %s, not %s",
                  count, fv_stage_name(from), fv_stage_name(to), words_of_change(&change),
                  expected);
    ck_assert_uint_eq(change.gates & ~31u, 0);
}

START_TEST(each_change_of_stage_is_what_the_table_says)
{
    for (int from = OFF; from <= COMPLETE; from++)
        for (int to = OFF; to <= COMPLETE; to++)
            assert_change(presets[_i].stages, from, to, presets[_i].cells[from][to]);
}
END_TEST

START_TEST(what_is_no_stage_or_preset_has_no_changes)
{
    static const int numbers[] = { -1, 0, 9, 64 };
    static const uint32_t counts[] = { 0, 1, 3, 5, 7, 9, 32, UINT32_MAX };

    for (int i = 0; i < COUNT(numbers); i++) {
        assert_change(8, numbers[i], OFF, NULL);
        assert_change(8, OFF, numbers[i], NULL);
    }
    for (int i = 0; i < COUNT(counts); i++)
        assert_change(counts[i], OFF, OFF, NULL);
}
END_TEST

/* Back from the last, so that what follows is known. */
START_TEST(each_stage_of_a_preset_is_followed_by_the_one_that_the_table_has_next)
{
    static const struct {
        char digit;
        uint32_t count;
    } sizes[] = { { '2', 2 }, { '4', 4 }, { '6', 6 }, { '8', 8 } };
    int next = 0;

    for (int i = COUNT(stages) - 1; i >= 0; i--) {
        ck_assert_int_eq(fv_stage_next(stages[i].stage, sizes[_i].count), next);
        if (strchr(stages[i].presets, sizes[_i].digit))
            next = stages[i].stage;
    }
    ck_assert_int_eq(next, OFF);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stages");
    TCase *tests = tcase_create("tables");

    tcase_add_loop_test(tests, each_stage_reads_and_writes_its_sides, 0, COUNT(stages));
    tcase_add_loop_test(tests, each_stage_has_a_name_and_a_number, 0, COUNT(stages));
    tcase_add_test(tests, what_is_no_stage_has_neither);
    tcase_add_loop_test(tests, presets_have_two_four_six_and_eight_stages, 0, 12);
    tcase_add_loop_test(
        tests, each_stage_of_a_preset_is_followed_by_the_one_that_the_table_has_next, 0, 4);
    tcase_add_test(tests, no_preset_is_larger_than_a_word);
    tcase_add_test(tests, no_key_is_moved_at_none_and_every_key_at_all);
    tcase_add_test(tests, a_key_moves_once_while_the_share_rises);
    tcase_add_loop_test(tests, each_change_of_stage_is_what_the_table_says, 0, COUNT(presets));
    tcase_add_test(tests, what_is_no_stage_or_preset_has_no_changes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
