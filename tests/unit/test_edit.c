/*
 * Small changes of a definition: what they change, and what they leave alone.
 */
#define _XOPEN_SOURCE 700 /* strdup() */

#include "codec/edit.h"
#include "codec/payload.h"
#include "flags.h"

#include <math.h>

static struct fv_text out = FV_TEXT_INIT;

static void clear(void)
{
    fv_text_clear(&out);
}

/* What came out is this, and a sound definition. */
static void assert_out(const char *label, const char *expected)
{
    char *text = quoted(expected);

    ck_assert_msg(strcmp(out.data, text) == 0, "%s: %s, not %s", label, out.data, text);
    free(text);
    assert_ok(fv_definition_check(false, "f", 1, out.data, out.length, NULL, NULL, NULL, &error));
    fv_text_reset(&out);
}

/* ---- enabled ---- */

static int enable(const char *json, bool enabled)
{
    char *text = quoted(json);
    int r = fv_edit_enabled(text, strlen(text), enabled, &out, &error);

    free(text);
    return r;
}

START_TEST(a_flag_is_disabled_and_enabled_again)
{
    assert_ok(enable("{'type': 'boolean'}", false));
    assert_out("disabled", "{'enabled':false,'type':'boolean'}");
    assert_ok(enable("{'enabled': false, 'type': 'boolean', 'percentage': 5}", true));
    assert_out("enabled", "{'enabled':true,'percentage':5,'type':'boolean'}");
    assert_ok(enable("{'enabled': true, 'type': 'string', 'variants': {'a': 'x'}, 'default': 'a'}",
                     false));
    assert_out("a string", "{'default':'a','enabled':false,'type':'string','variants':{'a':'x'}}");
}
END_TEST

START_TEST(enabling_what_is_enabled_changes_nothing)
{
    assert_ok(enable("{'type': 'boolean'}", true));
    assert_out("not said", "{'type':'boolean'}");
    assert_ok(enable("{'type': 'boolean', 'enabled': true}", true));
    assert_out("said", "{'enabled':true,'type':'boolean'}");
}
END_TEST

/* ---- ramp ---- */

static int ramp(const char *json, double percentage, bool clear_beta)
{
    char *text = quoted(json);
    int r = fv_edit_ramp(text, strlen(text), percentage, clear_beta, &out, &error);

    free(text);
    return r;
}

struct ramp_row {
    const char *label, *json;
    double percentage;
    bool clear_beta;
    const char *expected;
};

#define STEPS "{'steps': [{'at': '2026-01-01T00:00:00Z', 'percentage': 7}]}"

static const struct ramp_row ramps[] = {
    { "a new percentage", "{'type': 'boolean'}", 25, false, "{'percentage':25,'type':'boolean'}" },
    { "another percentage", "{'type': 'boolean', 'percentage': 25}", 50, false,
      "{'percentage':50,'type':'boolean'}" },
    { "three decimals", "{'type': 'boolean'}", 33.333, false,
      "{'percentage':33.333,'type':'boolean'}" },
    { "one decimal", "{'type': 'boolean'}", 0.5, false, "{'percentage':0.5,'type':'boolean'}" },
    { "nobody", "{'type': 'boolean', 'percentage': 25}", 0, false,
      "{'percentage':0,'type':'boolean'}" },
    { "minus zero", "{'type': 'boolean'}", -0.0, false, "{'percentage':0,'type':'boolean'}" },
    { "everybody", "{'type': 'boolean'}", 100, false, "{'percentage':100,'type':'boolean'}" },
    { "instead of a split", "{'type': 'boolean', 'split': {'on': 1, 'off': 2}}", 10, false,
      "{'percentage':10,'type':'boolean'}" },
    { "instead of a schedule", "{'type': 'boolean', 'schedule': " STEPS "}", 10, false,
      "{'percentage':10,'type':'boolean'}" },
    { "beside a beta list", "{'type': 'boolean', 'beta': ['u1']}", 10, false,
      "{'beta':['u1'],'percentage':10,'type':'boolean'}" },
    { "without the beta list", "{'type': 'boolean', 'beta': ['u1'], 'percentage': 5}", 10, true,
      "{'percentage':10,'type':'boolean'}" },
    { "a beta list that is not there", "{'type': 'boolean'}", 10, true,
      "{'percentage':10,'type':'boolean'}" },
    { "not those of rules",
      "{'type': 'boolean', 'rules': [{'serve': {'percentage': 1}}, {'serve': {'split': {'on': "
      "1}}}], 'metadata': {'percentage': 2, 'split': 'x', 'schedule': 'y', 'beta': 'z'}}",
      10, true,
      "{'metadata':{'beta':'z','percentage':2,'schedule':'y','split':'x'},'percentage':10,"
      "'rules':[{'serve':{'percentage':1}},{'serve':{'split':{'on':1}}}],'type':'boolean'}" },
    { "what buckets stays",
      "{'type': 'boolean', 'by': 'company', 'salt': 's', 'env': {'percentage': 'X'}}", 10, false,
      "{'by':'company','env':{'percentage':'X'},'percentage':10,'salt':'s','type':'boolean'}" },
};

START_TEST(a_ramp_sets_the_flags_own_percentage)
{
    const struct ramp_row *row = &ramps[_i];

    assert_ok(ramp(row->json, row->percentage, row->clear_beta));
    assert_out(row->label, row->expected);
}
END_TEST

START_TEST(a_percentage_that_is_none_is_refused)
{
    static const double out_of_range[] = { -0.001, 100.001, 1e300, -1e300, INFINITY, -INFINITY };
    int i;

    fv_text_add(&out, "before");
    for (i = 0; i < COUNT(out_of_range); i++) {
        assert_fails(FLAGVER_EINVAL, ramp("{'type': 'boolean'}", out_of_range[i], false));
        assert_words("0 to 100 allowed");
    }
    assert_fails(FLAGVER_EINVAL, ramp("{'type': 'boolean'}", (double)NAN, false));
    assert_fails(FLAGVER_EINVAL, ramp("{'type': 'boolean'}", 12.3456, false));
    assert_words("percentage has more than three decimals");
    assert_fails(FLAGVER_EINVAL, ramp("{'type': 'boolean'}", 0.0001, false));
    ck_assert_str_eq(out.data, "before");
}
END_TEST

START_TEST(a_percentage_with_every_count_of_thousandths_passes)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    int thousandths;

    for (thousandths = 0; thousandths <= 100000; thousandths += 7) {
        fv_text_reset(&out);
        if (fv_edit_ramp(json, strlen(json), thousandths / 1000.0, false, &out, &error) < 0)
            ck_abort_msg("%d thousandths: %s", thousandths, error.message);
    }
}
END_TEST

/* ---- beta ---- */

static int beta(const char *json, bool add, const char *names)
{
    const char *users[8];
    char *text = quoted(json), *list = strdup(names), *name;
    size_t count = 0;
    int r;

    for (name = strtok(list, " "); name; name = strtok(NULL, " "))
        users[count++] = name;
    r = fv_edit_beta(text, strlen(text), add, users, count, &out, &error);
    free(list);
    free(text);
    return r;
}

struct beta_row {
    const char *label, *json;
    bool add;
    const char *users, *expected;
};

static const struct beta_row betas[] = {
    { "a first one", "{'type': 'boolean'}", true, "u1", "{'beta':['u1'],'type':'boolean'}" },
    { "behind the others", "{'type': 'boolean', 'beta': ['u2']}", true, "u3 u1",
      "{'beta':['u2','u3','u1'],'type':'boolean'}" },
    { "one who is there", "{'type': 'boolean', 'beta': ['u2', 'u1']}", true, "u2",
      "{'beta':['u2','u1'],'type':'boolean'}" },
    { "one twice", "{'type': 'boolean', 'beta': []}", true, "u2 u1 u2",
      "{'beta':['u2','u1'],'type':'boolean'}" },
    { "who stood there twice", "{'type': 'boolean', 'beta': ['u1', 'u2', 'u1']}", true, "u3",
      "{'beta':['u1','u2','u3'],'type':'boolean'}" },
    { "adding nobody", "{'type': 'boolean'}", true, "", "{'type':'boolean'}" },
    { "removing one", "{'type': 'boolean', 'beta': ['u1', 'u2', 'u3']}", false, "u2",
      "{'beta':['u1','u3'],'type':'boolean'}" },
    { "removing one who stands there twice", "{'type': 'boolean', 'beta': ['u1', 'u2', 'u1']}",
      false, "u1", "{'beta':['u2'],'type':'boolean'}" },
    { "removing one who is not there", "{'type': 'boolean', 'beta': ['u1']}", false, "u2 u3",
      "{'beta':['u1'],'type':'boolean'}" },
    { "removing from no list", "{'type': 'boolean'}", false, "u1", "{'type':'boolean'}" },
    { "removing from an empty list", "{'type': 'boolean', 'beta': []}", false, "u1",
      "{'beta':[],'type':'boolean'}" },
    { "removing nobody", "{'type': 'boolean', 'beta': ['u1']}", false, "",
      "{'beta':['u1'],'type':'boolean'}" },
    { "the last of those with a percentage",
      "{'type': 'boolean', 'beta': ['u1'], 'percentage': 25}", false, "u1",
      "{'percentage':25,'type':'boolean'}" },
    { "the last of those with a default", "{'type': 'boolean', 'beta': ['u1'], 'default': 'on'}",
      false, "u1", "{'default':'on','type':'boolean'}" },
    { "the last of those with targets",
      "{'type': 'boolean', 'beta': ['u1'], 'targets': {'off': ['u2']}}", false, "u1",
      "{'targets':{'off':['u2']},'type':'boolean'}" },
    { "bytes and not letters", "{'type': 'boolean', 'beta': ['\xc3\xa4']}", true,
      "a\xcc\x88 \xc3\xa4", "{'beta':['\xc3\xa4','a\xcc\x88'],'type':'boolean'}" },
};

START_TEST(a_beta_list_is_added_to_and_taken_from)
{
    const struct beta_row *row = &betas[_i];

    assert_ok(beta(row->json, row->add, row->users));
    assert_out(row->label, row->expected);
}
END_TEST

/* Without its list such a flag would be on for everybody. */
START_TEST(when_the_last_beta_user_leaves_nobody_else_comes_in)
{
    assert_ok(beta("{'type': 'boolean', 'beta': ['u1', 'u2']}", false, "u2 u1"));
    assert_out("only beta", "{'percentage':0,'type':'boolean'}");
    assert_ok(beta("{'type': 'boolean', 'beta': ['u1'], 'rules': [], 'targets': {'off': []}}",
                   false, "u1"));
    assert_out("empty lists", "{'percentage':0,'rules':[],'targets':{'off':[]},'type':'boolean'}");
}
END_TEST

START_TEST(a_list_that_is_none_is_refused_with_its_place)
{
    assert_fails(FLAGVER_EPARSE, beta("{'type': 'boolean', 'beta': 'u1'}", true, "u2"));
    assert_words("/beta: must be an array, not a string");
    assert_fails(FLAGVER_EPARSE, beta("{'type': 'boolean', 'beta': ['u1', 2]}", false, "u2"));
    assert_words("line 1, column 36: /beta/1: must be a string");
    assert_fails(FLAGVER_EINVAL, beta("{'type': 'boolean'}", true, "u1 u\xff"));
    assert_words("user 2 of 2 is not UTF-8");
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

START_TEST(a_long_list_is_changed_in_reasonable_time)
{
    struct fv_text text = FV_TEXT_INIT;
    const char *const users[] = { "user0", "user99999", "new" };
    size_t length;
    int i;

    fv_text_add(&text, "{\"beta\":[");
    for (i = 0; i < 100000; i++)
        fv_text_format(&text, "%s\"user%d\"", i ? "," : "", i);
    length = text.length;
    fv_text_add(&text, "],\"type\":\"boolean\"}");
    assert_ok(fv_edit_beta(text.data, text.length, true, users, 3, &out, &error));
    ck_assert_uint_eq(out.length, text.length + strlen(",\"new\""));
    ck_assert_int_eq(memcmp(out.data, text.data, length), 0);
    fv_text_clear(&text);
}
END_TEST

/* ---- schedule ---- */

static int schedule(const char *json, const char *steps)
{
    char *text = quoted(json), *value = steps ? quoted(steps) : NULL;
    int r = fv_edit_schedule(text, strlen(text), value, value ? strlen(value) : 0, &out, &error);

    free(text);
    free(value);
    return r;
}

#define WRITTEN "'schedule':{'steps':[{'at':'2026-01-01T00:00:00Z','percentage':7}]}"

struct schedule_row {
    const char *label, *json, *schedule, *expected;
};

static const struct schedule_row schedules[] = {
    { "a first one", "{'type': 'boolean'}", STEPS, "{" WRITTEN ",'type':'boolean'}" },
    { "instead of a percentage", "{'type': 'boolean', 'percentage': 3}", STEPS,
      "{" WRITTEN ",'type':'boolean'}" },
    { "instead of a split", "{'type': 'boolean', 'split': {'on': 1}}", STEPS,
      "{" WRITTEN ",'type':'boolean'}" },
    { "instead of another",
      "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': [{'at': "
      "'2020-01-01T00:00:00Z', 'percentage': 1}]}}",
      STEPS, "{" WRITTEN ",'type':'boolean'}" },
    { "none instead of one", "{'type': 'boolean', 'beta': ['u'], 'schedule': " STEPS "}", NULL,
      "{'beta':['u'],'type':'boolean'}" },
    { "none instead of none", "{'type': 'boolean', 'percentage': 3}", NULL,
      "{'percentage':3,'type':'boolean'}" },
    { "none leaves a split alone", "{'type': 'boolean', 'split': {'on': 1}}", NULL,
      "{'split':{'on':1},'type':'boolean'}" },
    { "none leaves a plain flag alone", "{'type': 'boolean'}", NULL, "{'type':'boolean'}" },
    { "when the schedule goes nobody comes in", "{'type': 'boolean', 'schedule': " STEPS "}", NULL,
      "{'percentage':0,'type':'boolean'}" },
};

START_TEST(a_schedule_is_set_and_taken_away)
{
    const struct schedule_row *row = &schedules[_i];

    assert_ok(schedule(row->json, row->schedule));
    assert_out(row->label, row->expected);
}
END_TEST

START_TEST(a_schedule_that_is_no_object_is_refused)
{
    assert_fails(FLAGVER_EPARSE, schedule("{'type': 'boolean'}", "{'steps': [}"));
    ck_assert_int_eq(error.column, 12);
    assert_fails(FLAGVER_EPARSE, schedule("{'type': 'boolean'}", "[1]"));
    assert_words("must be an object, not an array");
    assert_fails(FLAGVER_EPARSE, schedule("{'type': 'boolean'}", "null"));
    assert_fails(FLAGVER_EPARSE, schedule("{'type': 'boolean'}", ""));
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

/* ---- all ---- */

START_TEST(flags_of_other_types_are_refused_by_name)
{
    static const char json[] = "{'type': 'string', 'variants': {'a': 'x'}, 'default': 'a'}";

    assert_fails(FLAGVER_EINVAL, ramp(json, 10, false));
    assert_words("only boolean flags take a percentage; this one is of type \"string\"");
    assert_fails(FLAGVER_EINVAL, beta(json, true, "u1"));
    assert_words("take a beta list; this one is of type \"string\"");
    assert_fails(FLAGVER_EINVAL, schedule(json, STEPS));
    assert_words("take a schedule; this one is of type \"string\"");
    assert_fails(FLAGVER_EINVAL, schedule(json, NULL));
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

static const char *const hostile[] = {
    "",
    "x",
    "[]",
    "null",
    "'boolean'",
    "{}",
    "{'type': null}",
    "{'type': ['boolean']}",
    "{'type': 'boolean', 'type': 'boolean'}",
    "{'type': 'boolean'} x",
    "{'type': 'boolean",
};

START_TEST(what_is_no_definition_is_refused_with_its_place)
{
    const char *json = hostile[_i];

    fv_text_add(&out, "before");
    assert_fails(FLAGVER_EPARSE, enable(json, true));
    ck_assert_int_eq(error.line, 1);
    assert_fails(FLAGVER_EPARSE, ramp(json, 10, true));
    assert_fails(FLAGVER_EPARSE, beta(json, false, "u1"));
    assert_fails(FLAGVER_EPARSE, schedule(json, STEPS));
    ck_assert_str_eq(out.data, "before");
    ck_assert_int_eq(fv_edit_enabled(json, strlen(json), true, &out, NULL), FLAGVER_EPARSE);
}
END_TEST

/* What later versions of the library know, and what a person got wrong, is not lost. */
START_TEST(what_a_change_is_not_about_stays)
{
    char *expected = quoted("{'beta':[1],'enabled':false,'new':{'x':[null]},'type':'boolean'}");

    assert_ok(enable("{'type': 'boolean', 'new': {'x': [null]}, 'beta': [1]}", false));
    ck_assert_str_eq(out.data, expected);
    free(expected);
}
END_TEST

static Suite *edit_suite(void)
{
    Suite *suite = suite_create("edit");
    TCase *tests = tcase_create("changes");

    tcase_add_checked_fixture(tests, NULL, clear);
    tcase_add_test(tests, a_flag_is_disabled_and_enabled_again);
    tcase_add_test(tests, enabling_what_is_enabled_changes_nothing);
    tcase_add_loop_test(tests, a_ramp_sets_the_flags_own_percentage, 0, COUNT(ramps));
    tcase_add_test(tests, a_percentage_that_is_none_is_refused);
    tcase_add_test(tests, a_percentage_with_every_count_of_thousandths_passes);
    tcase_add_loop_test(tests, a_beta_list_is_added_to_and_taken_from, 0, COUNT(betas));
    tcase_add_test(tests, when_the_last_beta_user_leaves_nobody_else_comes_in);
    tcase_add_test(tests, a_list_that_is_none_is_refused_with_its_place);
    tcase_add_test(tests, a_long_list_is_changed_in_reasonable_time);
    tcase_add_loop_test(tests, a_schedule_is_set_and_taken_away, 0, COUNT(schedules));
    tcase_add_test(tests, a_schedule_that_is_no_object_is_refused);
    tcase_add_test(tests, flags_of_other_types_are_refused_by_name);
    tcase_add_loop_test(tests, what_is_no_definition_is_refused_with_its_place, 0, COUNT(hostile));
    tcase_add_test(tests, what_a_change_is_not_about_stays);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(edit_suite());
}
