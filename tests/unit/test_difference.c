/* Differences between the sides of a route, as JSON. */
#include "flagver/route.h"
#include "support.h"

static const struct row {
    const char *label;
    flagver_difference difference;
    const char *json; /* NULL: it is refused */
} rows[] = {
    { "a value",
      { FLAGVER_DIFFERENCE_VALUE, "17", "Ada", "Adah", 3, 4 },
      "{\"key\":\"17\",\"kind\":\"value\",\"old\":\"Ada\",\"new\":\"Adah\"}" },
    { "missing",
      { FLAGVER_DIFFERENCE_MISSING_IN_NEW, "17", "Ada", NULL, 3, 0 },
      "{\"key\":\"17\",\"kind\":\"missing_in_new\",\"old\":\"Ada\"}" },
    { "extra",
      { FLAGVER_DIFFERENCE_EXTRA_IN_NEW, "17", NULL, "Ada", 0, 3 },
      "{\"key\":\"17\",\"kind\":\"extra_in_new\",\"new\":\"Ada\"}" },
    { "an empty value",
      { FLAGVER_DIFFERENCE_EXTRA_IN_NEW, "17", NULL, "", 0, 0 },
      "{\"key\":\"17\",\"kind\":\"extra_in_new\",\"new\":\"\"}" },
    { "quotes, and a value that is JSON",
      { FLAGVER_DIFFERENCE_EXTRA_IN_NEW, "\"", NULL, "{\"a\":1}", 0, 7 },
      "{\"key\":\"\\\"\",\"kind\":\"extra_in_new\",\"new\":\"{\\\"a\\\":1}\"}" },
    { "bytes that are not UTF-8",
      { FLAGVER_DIFFERENCE_VALUE, "17", "\xff\x00", "ok", 2, 2 },
      "{\"key\":\"17\",\"kind\":\"value\",\"old_hex\":\"ff00\",\"new\":\"ok\"}" },
    { "no kind", { 0, "17", "a", "b", 1, 1 }, NULL },
    { "no key", { FLAGVER_DIFFERENCE_VALUE, NULL, "a", "b", 1, 1 }, NULL },
};

START_TEST(a_difference_is_a_line_of_json)
{
    const struct row *row = &rows[_i];
    char *json = NULL;

    if (!row->json) {
        assert_fails(FLAGVER_EINVAL,
                     flagver_route_difference_json(&row->difference, &json, &error));
        return;
    }
    assert_ok(flagver_route_difference_json(&row->difference, &json, &error));
    ck_assert_msg(strcmp(json, row->json) == 0, "%s: %s", row->label, json);
    flagver_string_free(json);
}
END_TEST

START_TEST(nothing_is_no_difference)
{
    char *json;

    assert_fails(FLAGVER_EINVAL, flagver_route_difference_json(NULL, &json, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_difference_json(&rows[0].difference, NULL, &error));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("difference");
    TCase *tcase = tcase_create("JSON");

    tcase_add_loop_test(tcase, a_difference_is_a_line_of_json, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(tcase, nothing_is_no_difference);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
