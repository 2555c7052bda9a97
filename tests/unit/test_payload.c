/*
 * Payloads: canonical text of what people write, and the check of one definition
 * by itself.
 */
#include "codec/payload.h"
#include "flags.h"

static struct fv_text out = FV_TEXT_INIT;

static void clear(void)
{
    fv_text_clear(&out);
}

static int canonical(const char *json)
{
    char *text = quoted(json);
    int r = fv_payload_canonical(text, strlen(text), &out, &error);

    free(text);
    return r;
}

/* ---- canonical payloads ---- */

START_TEST(any_value_is_written_in_canonical_form)
{
    char *expected;

    assert_ok(canonical(" { 'b' : [ 1 , 2.50 , null ], 'a' : { 'z' : true , 'y' : '\\u00e4' } } "));
    expected = quoted("{'a':{'y':'\xc3\xa4','z':true},'b':[1,2.5,null]}");
    ck_assert_str_eq(out.data, expected);
    free(expected);

    fv_text_reset(&out);
    assert_ok(canonical(" -0.0 "));
    ck_assert_str_eq(out.data, "0.0");
}
END_TEST

START_TEST(what_is_canonical_stays_as_it_is)
{
    static const char json[] = "{\"a\":[1,2.5,\"x\"],\"b\":{}}";

    assert_ok(fv_payload_canonical(json, strlen(json), &out, &error));
    ck_assert_str_eq(out.data, json);
}
END_TEST

START_TEST(a_payload_need_not_end_in_a_nul)
{
    static const char json[] = { '[', '1', ']', '2' };

    assert_ok(fv_payload_canonical(json, 3, &out, &error));
    ck_assert_str_eq(out.data, "[1]");
}
END_TEST

START_TEST(a_malformed_payload_is_refused_with_its_place)
{
    fv_text_add(&out, "before");
    assert_fails(FLAGVER_EPARSE, canonical("{'a': 1,\n 'a': 2}"));
    ck_assert_int_eq(error.line, 2);
    ck_assert_int_eq(error.column, 2);
    assert_words("stands twice");
    assert_fails(FLAGVER_EPARSE, canonical(""));
    assert_fails(FLAGVER_EPARSE, canonical("1 2"));
    assert_fails(FLAGVER_EPARSE, canonical("9223372036854775808"));
    assert_fails(FLAGVER_EPARSE, canonical("'\\u0000'"));
    assert_fails(FLAGVER_EPARSE, canonical("'\xff'"));
    ck_assert_str_eq(out.data, "before");
    ck_assert(!out.failed);
}
END_TEST

START_TEST(errors_may_go_unread)
{
    ck_assert_int_eq(fv_payload_canonical("[", 1, &out, NULL), FLAGVER_EPARSE);
    ck_assert_int_eq(fv_definition_check(false, "f", 1, "{}", 2, &out, NULL, NULL, NULL),
                     FLAGVER_EPARSE);
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

/* ---- one definition ---- */

static int check(bool is_segment, const char *key, const char *json)
{
    char *text = quoted(json);
    int r = fv_definition_check(is_segment, key, strlen(key), text, strlen(text), &out, NULL, NULL,
                                &error);

    free(text);
    return r;
}

START_TEST(a_sound_definition_comes_out_in_canonical_form)
{
    char *expected = quoted("{'beta':['u2','u1'],'percentage':25,'type':'boolean'}");

    assert_ok(
        check(false, "report", "{'type': 'boolean', 'percentage': 25, 'beta': ['u2', 'u1']}"));
    ck_assert_str_eq(out.data, expected);
    free(expected);

    fv_text_reset(&out);
    expected = quoted("{'exclude':[],'include':['bob']}");
    assert_ok(check(true, "staff", "{'include': ['bob'], 'exclude': []}"));
    ck_assert_str_eq(out.data, expected);
    free(expected);
}
END_TEST

START_TEST(the_text_may_go_unwanted)
{
    static const char json[] = "{\"type\":\"boolean\"}";

    assert_ok(fv_definition_check(false, "f", 1, json, strlen(json), NULL, NULL, NULL, &error));
}
END_TEST

struct refusal {
    const char *label;
    bool is_segment;
    const char *json, *words;
};

static const struct refusal refusals[] = {
    { "no JSON", false, "{'type': ", "line 1, column 10" },
    { "no object", false, "[]", "(root): must be an object, not an array" },
    { "null", false, "null", "must be an object, not null" },
    { "no type", false, "{}", "\"type\" is missing" },
    { "a type that is none", false, "{'type': 'bool'}", "/type: unknown type \"bool\"" },
    { "an unknown key", false, "{'type': 'boolean', 'percent': 1}", "/percent: unknown key" },
    { "an operator that is none", false,
      "{'type': 'boolean', 'rules': [{'if': {'attr': 'a', 'op': 'like', 'value': 'x'}, "
      "'serve': 'on'}]}",
      "/rules/0/if/op" },
    { "a regular expression that is none", false,
      "{'type': 'boolean', 'rules': [{'if': {'attr': 'a', 'op': 'matches', 'value': '('}, "
      "'serve': 'on'}]}",
      "/rules/0/if/value" },
    { "a percentage out of range", false, "{'type': 'boolean', 'percentage': 100.5}",
      "line 1, column 35: /percentage: percentage is 100.5; 0 to 100 allowed" },
    { "a variant that the flag does not have", false, "{'type': 'boolean', 'default': 'x'}",
      "/default: the flag has no variant \"x\"" },
    { "a flag where a segment should be", true, "{'type': 'boolean'}", "/type: unknown key" },
    { "a segment that is no object", true, "'x'", "must be an object, not a string" },
    { "a member of another type", true, "{'include': [1]}", "/include/0: must be a string" },
};

START_TEST(a_malformed_definition_is_refused_with_its_place)
{
    const struct refusal *row = &refusals[_i];

    fv_text_add(&out, "before");
    assert_fails(FLAGVER_EPARSE, check(row->is_segment, "f", row->json));
    assert_words(row->words);
    ck_assert_int_eq(error.line, 1);
    ck_assert_str_eq(out.data, "before");
}
END_TEST

START_TEST(a_key_is_checked_too)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    char key[258];

    memset(key, 'k', sizeof key);
    assert_ok(fv_definition_check(false, key, 256, json, strlen(json), NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EPARSE, fv_definition_check(false, key, 257, json, strlen(json), NULL,
                                                     NULL, NULL, &error));
    assert_words("flag key is 257 bytes; 1 to 256 allowed");
    assert_fails(FLAGVER_EPARSE,
                 fv_definition_check(true, key, 257, "{}", 2, NULL, NULL, NULL, &error));
    assert_words("segment name is 257 bytes");
    assert_fails(FLAGVER_EPARSE, check(false, "", json));
    assert_fails(FLAGVER_EPARSE, check(false, "a\nb", "{'type': 'boolean'}"));
    assert_words("control character");
    assert_fails(FLAGVER_EPARSE, check(false, "a\xff", "{'type': 'boolean'}"));
    assert_words("not UTF-8");
    assert_fails(FLAGVER_EPARSE, fv_definition_check(false, "a\0b", 3, json, strlen(json), NULL,
                                                     NULL, NULL, &error));
    assert_words("control character");
}
END_TEST

START_TEST(a_definition_that_names_itself_is_refused)
{
    assert_fails(FLAGVER_EPARSE, check(false, "f",
                                       "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': "
                                       "'on'}, {'flag': 'f', 'variant': 'on'}]}"));
    assert_words("/requires/1/flag: flag \"f\" depends on itself through flag \"f\"");
    assert_fails(FLAGVER_EPARSE, check(true, "s", "{'if': {'not': {'segment': 's'}}}"));
    assert_words("/if/not/segment: segment \"s\" depends on itself through segment \"s\"");
    /* Flags and segments have names of their own; and of a longer name this is no part. */
    assert_ok(check(true, "s", "{'if': {'flag': 's', 'variant': 'on'}}"));
    assert_ok(check(false, "f",
                    "{'type': 'boolean', 'requires': [{'flag': 'ff', 'variant': "
                    "'on'}]}"));
}
END_TEST

static void list_reference(void *data, bool to_flag, const char *name, const char *variant)
{
    fv_text_format(data, "%s %s %s\n", to_flag ? "flag" : "segment", name, variant ? variant : "-");
}

static int references(bool is_segment, const char *json, struct fv_text *list)
{
    char *text = quoted(json);
    int r = fv_definition_check(is_segment, "f", 1, text, strlen(text), NULL, list_reference, list,
                                &error);

    free(text);
    return r;
}

START_TEST(what_a_definition_names_is_told)
{
    assert_ok(
        references(false,
                   "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'x'}], 'rules': ["
                   "{'if': {'any': [{'segment': 's'}, {'not': {'flag': 'h', 'variant': 'off'}}]}, "
                   "'serve': 'on'}, {'if': {'segment': 's'}, 'serve': 'off'}]}",
                   &out));
    ck_assert_ptr_nonnull(strstr(out.data, "flag g x\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "flag h off\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "segment s -\n"));
    ck_assert_uint_eq(out.length, strlen("flag g x\nflag h off\nsegment s -\nsegment s -\n"));

    fv_text_reset(&out);
    assert_ok(references(
        true, "{'if': {'all': [{'segment': 't'}, {'flag': 'g', 'variant': 'on'}]}}", &out));
    ck_assert_uint_eq(out.length, strlen("segment t -\nflag g on\n"));

    fv_text_reset(&out);
    assert_ok(references(false, "{'type': 'boolean', 'percentage': 5}", &out));
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

START_TEST(nothing_is_told_of_a_malformed_definition)
{
    assert_fails(FLAGVER_EPARSE,
                 references(false,
                            "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'x'}], "
                            "'percentage': -1}",
                            &out));
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

/* What the environment of this process says has nothing to do with a definition. */
START_TEST(the_environment_is_not_asked)
{
    assert_ok(check(false, "f", "{'type': 'boolean', 'env': {'beta': 'PATH', 'enabled': 'HOME'}}"));
}
END_TEST

static Suite *payload_suite(void)
{
    Suite *suite = suite_create("payload");
    TCase *canonical_tests = tcase_create("canonical");
    TCase *definition_tests = tcase_create("one definition");

    tcase_add_checked_fixture(canonical_tests, NULL, clear);
    tcase_add_test(canonical_tests, any_value_is_written_in_canonical_form);
    tcase_add_test(canonical_tests, what_is_canonical_stays_as_it_is);
    tcase_add_test(canonical_tests, a_payload_need_not_end_in_a_nul);
    tcase_add_test(canonical_tests, a_malformed_payload_is_refused_with_its_place);
    tcase_add_test(canonical_tests, errors_may_go_unread);
    suite_add_tcase(suite, canonical_tests);

    tcase_add_checked_fixture(definition_tests, NULL, clear);
    tcase_add_test(definition_tests, a_sound_definition_comes_out_in_canonical_form);
    tcase_add_test(definition_tests, the_text_may_go_unwanted);
    tcase_add_loop_test(definition_tests, a_malformed_definition_is_refused_with_its_place, 0,
                        COUNT(refusals));
    tcase_add_test(definition_tests, a_key_is_checked_too);
    tcase_add_test(definition_tests, a_definition_that_names_itself_is_refused);
    tcase_add_test(definition_tests, what_a_definition_names_is_told);
    tcase_add_test(definition_tests, nothing_is_told_of_a_malformed_definition);
    tcase_add_test(definition_tests, the_environment_is_not_asked);
    suite_add_tcase(suite, definition_tests);
    return suite;
}

int main(void)
{
    return run_suite(payload_suite());
}
