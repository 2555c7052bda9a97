/*
 * Bytes that are read back: what is missing reads as nothing, and nothing beyond is looked at.
 */
#include <stdint.h>

#include "support.h"
#include "util/input.h"

/* A copy without a byte to spare, so that a look beyond it is found out. */
static struct fv_input input_of(const struct fv_text *text, size_t length)
{
    char *copy = malloc(length ? length : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text->data, length);
    return (struct fv_input){ copy, copy + length, false };
}

static void free_input(struct fv_input *input, size_t length)
{
    free((char *)(uintptr_t)(input->end - length));
}

START_TEST(what_was_written_reads_the_same)
{
    struct fv_text text = FV_TEXT_INIT;
    struct fv_input input;
    uint32_t number = 7;
    size_t length;

    fv_text_add_bytes(&text, (const char *)&number, sizeof number);
    fv_text_add_sized(&text, "a\0b", 3);
    fv_text_add_sized(&text, "", 0);
    input = input_of(&text, text.length);

    number = 0;
    fv_input_take(&input, &number, sizeof number);
    ck_assert_uint_eq(number, 7);
    ck_assert_mem_eq(fv_input_text(&input, &length), "a\0b", 4);
    ck_assert_uint_eq(length, 3);
    ck_assert_str_eq(fv_input_text(&input, &length), "");
    ck_assert_uint_eq(length, 0);
    ck_assert(!input.failed);
    ck_assert_ptr_eq(input.next, input.end);
    free_input(&input, text.length);
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_text_that_is_cut_off_reads_as_nothing)
{
    struct fv_text text = FV_TEXT_INIT;
    struct fv_input input;
    size_t cut, length;
    uint32_t number;

    fv_text_add_sized(&text, "text", 4);
    for (cut = 0; cut < text.length; cut++) {
        input = input_of(&text, cut);
        ck_assert_str_eq(fv_input_text(&input, &length), "");
        ck_assert_uint_eq(length, 0);
        ck_assert(input.failed);

        number = 7;
        fv_input_take(&input, &number, sizeof number);
        ck_assert_uint_eq(number, 0);
        ck_assert_ptr_null(fv_input_bytes(&input, 0));
        free_input(&input, cut);
    }
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_text_without_its_end_is_none)
{
    struct fv_text text = FV_TEXT_INIT;
    struct fv_input input;
    size_t length;

    fv_text_add_sized(&text, "text", 4);
    text.data[text.length - 1] = 'x';
    input = input_of(&text, text.length);
    ck_assert_str_eq(fv_input_text(&input, &length), "");
    ck_assert(input.failed);
    free_input(&input, text.length);
    fv_text_clear(&text);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("input");
    TCase *tcase = tcase_create("input");

    tcase_add_test(tcase, what_was_written_reads_the_same);
    tcase_add_test(tcase, a_text_that_is_cut_off_reads_as_nothing);
    tcase_add_test(tcase, a_text_without_its_end_is_none);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(make_suite());
}
