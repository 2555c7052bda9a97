/* Reading and writing JSON while each allocation fails in turn, jansson's too. */
#include "oom/failing_malloc.h"

#include "support.h"

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/position.h"

/* Deeper than what a scan holds without memory, with long tokens, numbers of
 * every kind and more members than jansson makes room for at first. */
static const char text[] =
    "{\"flags\":{\"z\":[1,2.5,\"a string of more than sixteen bytes\",{\"b\":null}],"
    "\"a key of more than sixteen bytes, \\u00e9\":123456789012345678,\"c\":true,\"d\":1,"
    "\"e\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]],\"f\":{},\"g\":0.30000000000000004,"
    "\"h\":\"\\u00e9 and more than sixteen bytes\",\"i\":[0,1,2,3,4,5,6,7,8,9,10]}}";

static void arm(bool and_after, long k)
{
    if (and_after)
        failing_malloc_arm_all_after(k);
    else
        failing_malloc_arm(k);
}

START_TEST(a_text_is_read_whole_or_not_at_all)
{
    json_t *expected = json_loads(text, 0, NULL), *value;
    long before = failing_malloc_live(), k;
    int r = -1;

    for (k = 1; r < 0; k++) {
        value = NULL;
        arm(_i, k);
        r = fv_json_parse(text, sizeof text - 1, "x", &value, &error);
        failing_malloc_disarm();
        if (r < 0) {
            ck_assert_int_eq(r, FLAGVER_ENOMEM);
            ck_assert_int_eq(error.code, FLAGVER_ENOMEM);
            ck_assert(value == NULL);
            ck_assert_int_eq(failing_malloc_live(), before);
        }
    }
    ck_assert(!failing_malloc_failed());
    ck_assert_int_gt(k, 50);
    ck_assert(json_equal(value, expected));
    json_decref(value);
    json_decref(expected);
}
END_TEST

START_TEST(a_malformed_text_is_refused_for_that_or_for_memory)
{
    static const char broken[] = "[[[[[[[[[[[[[[[[[[[[{\"a\":1,\"a\":2}";
    json_t *value = NULL;
    long before = failing_malloc_live(), k = 0;
    int r;

    do {
        memset(&error, 0, sizeof error);
        arm(_i, ++k);
        r = fv_json_parse(broken, sizeof broken - 1, "x", &value, &error);
        failing_malloc_disarm();
        ck_assert(r == FLAGVER_ENOMEM || r == FLAGVER_EPARSE);
        ck_assert_int_eq(error.code, r);
        if (r == FLAGVER_EPARSE)
            assert_words("key \"a\" stands twice in this object");
        ck_assert_int_eq(failing_malloc_live(), before);
    } while (failing_malloc_failed());
    ck_assert_int_eq(r, FLAGVER_EPARSE);
    ck_assert_int_gt(k, 5);
}
END_TEST

START_TEST(canonical_json_is_written_whole_or_not_at_all)
{
    json_t *value = json_loads(text, 0, NULL);
    struct fv_text out, whole = FV_TEXT_INIT;
    long before, k;
    int r = -1;

    assert_ok(fv_canonical_write(&whole, value, &error));
    before = failing_malloc_live();
    for (k = 1; r < 0; k++) {
        out = (struct fv_text)FV_TEXT_INIT;
        arm(_i, k);
        r = fv_canonical_write(&out, value, &error);
        failing_malloc_disarm();
        if (r < 0) {
            ck_assert_int_eq(r, FLAGVER_ENOMEM);
            ck_assert_int_eq(error.code, FLAGVER_ENOMEM);
            ck_assert(out.failed);
            ck_assert_uint_eq(out.length, 0);
            ck_assert_str_eq(out.data, "");
        } else {
            ck_assert_str_eq(out.data, whole.data);
        }
        fv_text_clear(&out);
        ck_assert_int_eq(failing_malloc_live(), before);
    }
    ck_assert_int_gt(k, 5);
    json_decref(value);
    fv_text_clear(&whole);
}
END_TEST

START_TEST(a_place_is_found_or_the_root_is_named)
{
    static const char deep[] = "/flags/e/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0";
    struct fv_position place;
    long before = failing_malloc_live(), k;
    bool there = false;

    for (k = 1; !there; k++) {
        arm(_i, k);
        there = fv_position_find(text, sizeof text - 1, deep, false, &place);
        failing_malloc_disarm();
        ck_assert(there || failing_malloc_failed());
        ck_assert_uint_eq(place.offset, there ? (size_t)(strstr(text, "[1]") + 1 - text) : 0);
        ck_assert_int_eq(failing_malloc_live(), before);
    }
    ck_assert_int_ge(k, 3);

    /* What is found before memory runs out is found. */
    failing_malloc_arm_all_after(1);
    there = fv_position_find(text, sizeof text - 1, "/flags", true, &place);
    failing_malloc_disarm();
    ck_assert(there);
    ck_assert_uint_eq(place.offset, 1);
}
END_TEST

static Suite *json_suite(void)
{
    Suite *suite = suite_create("oom: json");
    TCase *tests = tcase_create("json");

    tcase_add_loop_test(tests, a_text_is_read_whole_or_not_at_all, 0, 2);
    tcase_add_loop_test(tests, a_malformed_text_is_refused_for_that_or_for_memory, 0, 2);
    tcase_add_loop_test(tests, canonical_json_is_written_whole_or_not_at_all, 0, 2);
    tcase_add_loop_test(tests, a_place_is_found_or_the_root_is_named, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(json_suite());
}
