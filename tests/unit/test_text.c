#include "util/text.h"

#include "support.h"

START_TEST(a_new_text_is_empty_and_can_be_printed)
{
    struct fv_text text = FV_TEXT_INIT;

    ck_assert_str_eq(text.data, "");
    ck_assert_uint_eq(text.length, 0);
    ck_assert(!text.failed);
    fv_text_clear(&text);
    ck_assert_str_eq(text.data, "");
}
END_TEST

START_TEST(pieces_are_put_one_behind_the_other)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_add(&text, "hello ");
    fv_text_add(&text, "");
    fv_text_format(&text, "%d %s", 3, "worlds");
    fv_text_add_char(&text, '!');
    fv_text_add_bytes(&text, "?!", 1);
    ck_assert_str_eq(text.data, "hello 3 worlds!?");
    ck_assert_uint_eq(text.length, 16);
    fv_text_clear(&text);
}
END_TEST

START_TEST(bytes_may_hold_a_nul)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_add_bytes(&text, "a\0b", 3);
    fv_text_add_char(&text, 0);
    ck_assert_uint_eq(text.length, 4);
    ck_assert_mem_eq(text.data, "a\0b\0", 5);
    fv_text_add_bytes(&text, NULL, 0);
    ck_assert_uint_eq(text.length, 4);
    fv_text_clear(&text);
}
END_TEST

/* Around the sizes at which a text grows nothing is lost. */
START_TEST(every_length_ends_in_a_nul)
{
    struct fv_text by_char = FV_TEXT_INIT, whole = FV_TEXT_INIT;
    char pattern[600];
    size_t length;

    for (length = 0; length < sizeof pattern; length++)
        pattern[length] = (char)('a' + length % 26);
    for (length = 0; length < sizeof pattern; length++) {
        ck_assert_uint_eq(strlen(by_char.data), length);
        ck_assert_mem_eq(by_char.data, pattern, length);
        fv_text_add_char(&by_char, pattern[length]);

        fv_text_clear(&whole);
        fv_text_format(&whole, "%.*s", (int)length, pattern);
        ck_assert_uint_eq(whole.length, length);
        ck_assert_uint_eq(strlen(whole.data), length);
        fv_text_add(&whole, "x");
        ck_assert_uint_eq(strlen(whole.data), length + 1);
    }
    fv_text_clear(&by_char);
    fv_text_clear(&whole);
}
END_TEST

static const struct {
    uint64_t number;
    int decimals;
    const char *text;
} decimals[] = {
    { 0, 2, "0" },       { 1, 2, "0.01" },    { 10, 2, "0.1" },
    { 10000, 2, "100" }, { 1250, 2, "12.5" }, { 1205, 2, "12.05" },
    { 7, 0, "7" },       { 100, 0, "100" },   { UINT64_MAX, 9, "18446744073.709551615" },
};

START_TEST(a_decimal_has_the_digits_that_it_needs)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_add_decimal(&text, decimals[_i].number, decimals[_i].decimals);
    ck_assert_str_eq(text.data, decimals[_i].text);
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_reset_text_keeps_its_memory)
{
    struct fv_text text = FV_TEXT_INIT;
    const char *data;

    fv_text_reset(&text);
    fv_text_add(&text, "something");
    data = text.data;
    fv_text_reset(&text);
    ck_assert_str_eq(text.data, "");
    ck_assert_uint_eq(text.length, 0);
    fv_text_add(&text, "else");
    ck_assert_str_eq(text.data, "else");
    ck_assert_ptr_eq(text.data, data);
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_detached_text_belongs_to_the_caller)
{
    struct fv_text text = FV_TEXT_INIT;
    char *data;

    fv_text_add(&text, "mine");
    data = fv_text_detach(&text);
    ck_assert_str_eq(data, "mine");
    ck_assert_uint_eq(text.length, 0);
    ck_assert_str_eq(text.data, "");
    fv_text_add(&text, "next");
    ck_assert_str_eq(data, "mine");
    free(data);
    fv_text_clear(&text);
}
END_TEST

START_TEST(an_empty_text_is_detached_as_an_empty_string)
{
    struct fv_text text = FV_TEXT_INIT;
    char *data = fv_text_detach(&text);

    ck_assert_ptr_nonnull(data);
    ck_assert_str_eq(data, "");
    free(data);

    fv_text_add(&text, "x");
    fv_text_reset(&text);
    data = fv_text_detach(&text);
    ck_assert_str_eq(data, "");
    free(data);
}
END_TEST

START_TEST(a_failed_text_ignores_what_follows_and_is_not_handed_out)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_add(&text, "some");
    text.failed = true;
    fv_text_add(&text, "thing");
    fv_text_format(&text, "%d", 1);
    fv_text_add_char(&text, 'x');
    ck_assert_str_eq(text.data, "some");
    ck_assert_ptr_null(fv_text_detach(&text));
    ck_assert(!text.failed);
    ck_assert_str_eq(text.data, "");
}
END_TEST

START_TEST(a_length_that_cannot_be_fails)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_add(&text, "some");
    fv_text_add_bytes(&text, "", SIZE_MAX - 2);
    ck_assert(text.failed);
    ck_assert_str_eq(text.data, "some");
    fv_text_clear(&text);
    fv_text_add_bytes(&text, "", SIZE_MAX / 2 + 1);
    ck_assert(text.failed);
    fv_text_clear(&text);
}
END_TEST

static Suite *text_suite(void)
{
    Suite *suite = suite_create("text");
    TCase *tcase = tcase_create("text");

    tcase_add_test(tcase, a_new_text_is_empty_and_can_be_printed);
    tcase_add_test(tcase, pieces_are_put_one_behind_the_other);
    tcase_add_test(tcase, bytes_may_hold_a_nul);
    tcase_add_test(tcase, every_length_ends_in_a_nul);
    tcase_add_loop_test(tcase, a_decimal_has_the_digits_that_it_needs, 0,
                        (int)(sizeof decimals / sizeof *decimals));
    tcase_add_test(tcase, a_reset_text_keeps_its_memory);
    tcase_add_test(tcase, a_detached_text_belongs_to_the_caller);
    tcase_add_test(tcase, an_empty_text_is_detached_as_an_empty_string);
    tcase_add_test(tcase, a_failed_text_ignores_what_follows_and_is_not_handed_out);
    tcase_add_test(tcase, a_length_that_cannot_be_fails);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(text_suite());
}
