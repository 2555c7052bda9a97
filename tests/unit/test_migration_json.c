/* Records of migrations: each field, and each error with its place. */
#include "codec/migration.h"
#include "flags.h"
#include "util/hash.h"

static struct fv_migration migration;

static int read_record(const char *json)
{
    char *text = quoted(json);
    int r = fv_migration_read("users", text, strlen(text), &migration, &error);

    free(text);
    return r;
}

/* ---- what a record says ---- */

START_TEST(a_record_of_a_stage_alone_has_defaults_for_the_rest)
{
    assert_ok(read_record("{'stage': 'off'}"));
    ck_assert_int_eq(migration.stage, FLAGVER_STAGE_OFF);
    ck_assert_uint_eq(migration.bound, 0);
    ck_assert_uint_eq(migration.stages, 8);
    ck_assert(!migration.has_check_ratio && !migration.has_sampling_ratio && !migration.forced);
    ck_assert_uint_eq(migration.check_ratio, 1);
    ck_assert_uint_eq(migration.sampling_ratio, 1);
    ck_assert_double_eq(migration.gates.match_rate, 0.99);
    ck_assert_uint_eq(migration.gates.samples, 300);
    ck_assert_int_eq(migration.gates.soak, 0);
    ck_assert_double_eq(migration.guards.match_rate, 0);
    ck_assert_double_eq(migration.guards.error_rate, 0);
    ck_assert_double_eq(migration.guards.p99_ratio, 0);
    ck_assert_int_eq(migration.guards.oldest_ms, 0);
    ck_assert_uint_eq(migration.salt, fv_murmur3("users", 5, 0));
}
END_TEST

START_TEST(a_record_says_everything)
{
    assert_ok(read_record(
        "{'stage': 'ramp', 'percentage': 12.5, 'stages': 8, 'salt': 's', 'check_ratio': 10,"
        " 'sampling_ratio': 0, 'gates': {'match_rate': 99.5, 'samples': 7, 'soak_s': 60},"
        " 'guards': {'match_rate': 98, 'error_rate': 1, 'p99_ratio': 1.2, 'oldest_s': 300,"
        " 'samples': 500}, 'forced': 'we know'}"));
    ck_assert_int_eq(migration.stage, FLAGVER_STAGE_RAMP);
    ck_assert_uint_eq(migration.bound, 1250);
    ck_assert(migration.has_check_ratio && migration.has_sampling_ratio && migration.forced);
    ck_assert_uint_eq(migration.check_ratio, 10);
    ck_assert_uint_eq(migration.sampling_ratio, 0);
    ck_assert_double_eq(migration.gates.match_rate, 0.995);
    ck_assert_uint_eq(migration.gates.samples, 7);
    ck_assert_int_eq(migration.gates.soak, 60000000);
    ck_assert_double_eq(migration.guards.match_rate, 0.98);
    ck_assert_double_eq(migration.guards.error_rate, 0.01);
    ck_assert_double_eq(migration.guards.p99_ratio, 1.2);
    ck_assert_int_eq(migration.guards.oldest_ms, 300000);
    ck_assert_uint_eq(migration.guards.samples, 500);
    ck_assert_uint_eq(migration.salt, fv_murmur3("s", 1, 0));
}
END_TEST

static const struct {
    const char *stage;
    const char *stages; /* the presets that have it */
} stages[] = {
    { "off", "2468" }, { "dualwrite", "68" }, { "backfill", "8" },  { "shadow", "468" },
    { "ramp", "8" },   { "live", "468" },     { "rampdown", "68" }, { "complete", "2468" },
};

START_TEST(a_stage_is_one_of_the_preset)
{
    char json[80], words[80];

    for (int count = 2; count <= 8; count += 2) {
        snprintf(json, sizeof json, "{'stages': %d, 'stage': '%s'}", count, stages[_i].stage);
        if (strchr(stages[_i].stages, '0' + count)) {
            assert_ok(read_record(json));
            ck_assert_uint_eq(migration.stages, (uint32_t)count);
            ck_assert_int_eq(migration.stage, _i + 1);
            continue;
        }
        assert_fails(FLAGVER_EPARSE, read_record(json));
        snprintf(words, sizeof words, "/stage: a migration of %d stages has no \"%s\"", count,
                 stages[_i].stage);
        assert_words(words);
    }
    assert_fails(FLAGVER_EPARSE, read_record("{'stages': 4, 'stage': 'ramp'}"));
    assert_words("no \"ramp\"; it has off, shadow, live, complete");
}
END_TEST

static const struct {
    const char *json;
    uint32_t bound;
} shares[] = {
    { "0", 0 },        { "0.01", 1 },     { "0.29", 29 },    { "1", 100 },
    { "33.33", 3333 }, { "57.29", 5729 }, { "99.99", 9999 }, { "100", 10000 },
};

START_TEST(a_percentage_has_two_decimals)
{
    char json[80];

    snprintf(json, sizeof json, "{'stage': 'ramp', 'percentage': %s}", shares[_i].json);
    assert_ok(read_record(json));
    ck_assert_uint_eq(migration.bound, shares[_i].bound);
}
END_TEST

START_TEST(limits_may_be_reached)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_format(&text,
                   "{'stage': 'off', 'check_ratio': 4294967295, 'sampling_ratio': 4294967295,"
                   " 'salt': '%0*d', 'forced': '%0*d', 'gates': {'match_rate': 100,"
                   " 'samples': 9223372036854775807, 'soak_s': 1000000000},"
                   " 'guards': {'match_rate': 100, 'error_rate': 100, 'p99_ratio': 1000,"
                   " 'oldest_s': 1000000000, 'samples': 9223372036854775807}}",
                   FLAGVER_NOTE_LIMIT, 0, FLAGVER_NOTE_LIMIT, 0);
    assert_ok(read_record(text.data));
    ck_assert_uint_eq(migration.check_ratio, UINT32_MAX);
    ck_assert_int_eq(migration.gates.soak, INT64_C(1000000000000000));
    ck_assert_int_eq(migration.guards.oldest_ms, INT64_C(1000000000000));
    assert_ok(read_record("{'stage': 'off', 'gates': {}, 'guards': {'p99_ratio': 1}}"));
    ck_assert_double_eq(migration.guards.p99_ratio, 1);
    fv_text_clear(&text);
}
END_TEST

/* ---- errors ---- */

/* Columns count from 1; 0: that of the whole is not looked at. */
static const struct {
    const char *json, *words;
    int column;
} refusals[] = {
    { "", "", 0 },
    { "{", "", 0 },
    { "[]", "must be an object, not an array", 1 },
    { "1", "must be an object", 1 },
    { "{}", "\"stage\" is missing", 1 },
    { "{'stage': 'off', 'stage': 'off'}", "key \"stage\" stands twice", 18 },
    { "{'stage': 1}", "/stage: must be a string, not an integer", 11 },
    { "{'stage': ''}", "/stage: unknown stage \"\"", 11 },
    { "{'stage': 'Off'}",
      "/stage: unknown stage \"Off\"; known are off, dualwrite, backfill, shadow, ramp, live, "
      "rampdown, complete",
      11 },
    { "{'stage': 'off', 'stag': 1}",
      "/stag: unknown key \"stag\"; known are stage, percentage, stages, salt, check_ratio, "
      "sampling_ratio, gates, guards, forced",
      18 },
    { "{'stage': 'off', 'stages': 0}", "/stages: there are 2, 4, 6 or 8 stages", 28 },
    { "{'stage': 'off', 'stages': 3}", "/stages: there are 2, 4, 6 or 8 stages", 28 },
    { "{'stage': 'off', 'stages': 10}", "/stages: must be a whole number from 0 to 8", 28 },
    { "{'stage': 'off', 'stages': '8'}", "/stages: must be a whole number", 28 },
    { "{'stage': 'off', 'stages': 8.0}", "/stages: must be a whole number", 28 },
    { "{'stage': 'ramp', 'percentage': -1}", "/percentage: percentage is -1; 0 to 100 allowed",
      33 },
    { "{'stage': 'ramp', 'percentage': 100.01}", "/percentage: percentage is 100.01", 33 },
    { "{'stage': 'ramp', 'percentage': '5'}",
      "/percentage: must be a number from 0 to 100, not a string", 33 },
    { "{'stage': 'ramp', 'percentage': 0.005}", "/percentage: has more than two decimals", 33 },
    { "{'stage': 'off', 'salt': ''}", "/salt: salt is 0 bytes", 18 },
    { "{'stage': 'off', 'salt': 1}", "/salt: must be a string", 26 },
    { "{'stage': 'off', 'salt': 'a\\n'}", "/salt: salt holds a control character", 18 },
    { "{'stage': 'off', 'check_ratio': -1}",
      "/check_ratio: must be a whole number from 0 to 4294967295", 33 },
    { "{'stage': 'off', 'check_ratio': 4294967296}", "/check_ratio: must be a whole number", 33 },
    { "{'stage': 'off', 'check_ratio': true}", "/check_ratio: must be a whole number", 33 },
    { "{'stage': 'off', 'check_ratio': null}", "/check_ratio: must be a whole number", 33 },
    { "{'stage': 'off', 'sampling_ratio': 1.5}", "/sampling_ratio: must be a whole number", 36 },
    { "{'stage': 'off', 'sampling_ratio': -1}", "/sampling_ratio: must be a whole number", 36 },
    { "{'stage': 'off', 'gates': []}", "/gates: must be an object", 27 },
    { "{'stage': 'off', 'gates': {'soak': 1}}",
      "/gates/soak: unknown key \"soak\"; known are match_rate, samples, soak_s", 28 },
    { "{'stage': 'off', 'gates': {'match_rate': 101}}", "/gates/match_rate: percentage is 101",
      42 },
    { "{'stage': 'off', 'gates': {'match_rate': '99'}}", "/gates/match_rate: must be a number",
      42 },
    { "{'stage': 'off', 'gates': {'samples': -1}}", "/gates/samples: must be a whole number", 39 },
    { "{'stage': 'off', 'gates': {'soak_s': 1000000001}}",
      "/gates/soak_s: must be a whole number from 0 to 1000000000", 38 },
    { "{'stage': 'off', 'guards': 1}", "/guards: must be an object", 28 },
    { "{'stage': 'off', 'guards': {'rate': 1}}",
      "/guards/rate: unknown key \"rate\"; known are match_rate, error_rate, p99_ratio, oldest_s, "
      "samples",
      29 },
    { "{'stage': 'off', 'guards': {'match_rate': -1}}", "/guards/match_rate: percentage is -1",
      43 },
    { "{'stage': 'off', 'guards': {'error_rate': 'x'}}", "/guards/error_rate: must be a number",
      43 },
    { "{'stage': 'off', 'guards': {'p99_ratio': 0.99}}",
      "/guards/p99_ratio: must be a number from 1 to 1000", 42 },
    { "{'stage': 'off', 'guards': {'p99_ratio': 1001}}", "/guards/p99_ratio: must be a number",
      42 },
    { "{'stage': 'off', 'guards': {'p99_ratio': '2'}}", "/guards/p99_ratio: must be a number", 42 },
    { "{'stage': 'off', 'guards': {'oldest_s': -1}}", "/guards/oldest_s: must be a whole number",
      41 },
    { "{'stage': 'off', 'guards': {'samples': 0.5}}", "/guards/samples: must be a whole number",
      40 },
    { "{'stage': 'off', 'forced': ''}", "/forced: forced is 0 bytes", 18 },
    { "{'stage': 'off', 'forced': true}", "/forced: must be a string, not a boolean", 28 },
};

START_TEST(a_malformed_record_is_refused_with_its_place)
{
    struct fv_migration untouched;

    memset(&migration, 0x5a, sizeof migration);
    untouched = migration;
    assert_fails(FLAGVER_EPARSE, read_record(refusals[_i].json));
    assert_words(refusals[_i].words);
    if (refusals[_i].column) {
        ck_assert_int_eq(error.line, 1);
        ck_assert_int_eq(error.column, refusals[_i].column);
    }
    ck_assert_mem_eq(&migration, &untouched, sizeof migration);
}
END_TEST

START_TEST(texts_have_a_longest_length)
{
    static const char *const names[] = { "salt", "forced" };
    struct fv_text text = FV_TEXT_INIT;

    for (int i = 0; i < COUNT(names); i++) {
        fv_text_reset(&text);
        fv_text_format(&text, "{'stage': 'off', '%s': '%0*d'}", names[i], FLAGVER_NOTE_LIMIT + 1,
                       0);
        assert_fails(FLAGVER_EPARSE, read_record(text.data));
        assert_words("bytes; 1 to");
    }
    fv_text_clear(&text);
}
END_TEST

START_TEST(errors_may_go_unread)
{
    ck_assert_int_eq(fv_migration_read("users", "{}", 2, &migration, NULL), FLAGVER_EPARSE);
    ck_assert_int_eq(fv_migration_read("users", "{", 1, &migration, NULL), FLAGVER_EPARSE);
}
END_TEST

/* ---- the next version ---- */

static const struct {
    const char *before;
    struct fv_migration_edit edit;
    const char *after;
} edits[] = {
    { "{'stage': 'off'}", { FLAGVER_STAGE_DUALWRITE, 0, NULL }, "{'stage':'dualwrite'}" },
    { "{'stage': 'shadow', 'salt': 's', 'gates': {'samples': 1}}",
      { FLAGVER_STAGE_RAMP, 2500, NULL },
      "{'gates':{'samples':1},'percentage':25,'salt':'s','stage':'ramp'}" },
    { "{'stage': 'ramp', 'percentage': 1}",
      { FLAGVER_STAGE_RAMP, 1, NULL },
      "{'percentage':0.01,'stage':'ramp'}" },
    { "{'stage': 'ramp', 'percentage': 1}",
      { FLAGVER_STAGE_RAMP, 3333, NULL },
      "{'percentage':33.33,'stage':'ramp'}" },
    { "{'stage': 'ramp', 'percentage': 50}",
      { FLAGVER_STAGE_RAMP, 10000, "a \"reason\"" },
      "{'forced':'a \\'reason\\'','percentage':100,'stage':'ramp'}" },
    { "{'stage': 'ramp', 'percentage': 50, 'forced': 'before'}",
      { FLAGVER_STAGE_SHADOW, 0, NULL },
      "{'stage':'shadow'}" },
    { "{'stage': 'off', 'forced': 'before'}",
      { FLAGVER_STAGE_DUALWRITE, 0, "now" },
      "{'forced':'now','stage':'dualwrite'}" },
};

START_TEST(an_edit_changes_what_it_is_about_alone)
{
    char *before = quoted(edits[_i].before), *after = quoted(edits[_i].after);
    struct fv_text out = FV_TEXT_INIT;

    assert_ok(fv_migration_edit(before, strlen(before), &edits[_i].edit, &out, &error));
    ck_assert_str_eq(out.data, after);
    assert_ok(fv_migration_read("users", out.data, out.length, &migration, &error));
    ck_assert_int_eq(migration.stage, edits[_i].edit.stage);
    ck_assert_uint_eq(migration.bound, edits[_i].edit.bound);
    ck_assert_int_eq(migration.forced, edits[_i].edit.forced != NULL);
    fv_text_clear(&out);
    free(before);
    free(after);
}
END_TEST

START_TEST(each_share_survives_an_edit)
{
    for (uint32_t bound = 0; bound <= FV_READ_SCALE; bound++) {
        const struct fv_migration_edit edit = { FLAGVER_STAGE_RAMP, bound, NULL };
        struct fv_text out = FV_TEXT_INIT;

        if (fv_migration_edit("{\"stage\":\"off\"}", 15, &edit, &out, NULL) < 0 ||
            fv_migration_read("users", out.data, out.length, &migration, NULL) < 0 ||
            migration.bound != bound)
            ck_abort_msg("%u is %u in %s", bound, migration.bound, out.data);
        fv_text_clear(&out);
    }
}
END_TEST

START_TEST(what_is_no_record_cannot_be_edited)
{
    const struct fv_migration_edit edit = { FLAGVER_STAGE_OFF, 0, NULL };
    struct fv_text out = FV_TEXT_INIT;

    assert_fails(FLAGVER_EPARSE, fv_migration_edit("{", 1, &edit, &out, &error));
    fv_text_clear(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("records of migrations");
    TCase *tests = tcase_create("records");

    tcase_add_test(tests, a_record_of_a_stage_alone_has_defaults_for_the_rest);
    tcase_add_test(tests, a_record_says_everything);
    tcase_add_loop_test(tests, a_stage_is_one_of_the_preset, 0, COUNT(stages));
    tcase_add_loop_test(tests, a_percentage_has_two_decimals, 0, COUNT(shares));
    tcase_add_test(tests, limits_may_be_reached);
    tcase_add_loop_test(tests, a_malformed_record_is_refused_with_its_place, 0, COUNT(refusals));
    tcase_add_test(tests, texts_have_a_longest_length);
    tcase_add_test(tests, errors_may_go_unread);
    tcase_add_loop_test(tests, an_edit_changes_what_it_is_about_alone, 0, COUNT(edits));
    tcase_add_test(tests, each_share_survives_an_edit);
    tcase_add_test(tests, what_is_no_record_cannot_be_edited);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
