/*
 * Base64: the vectors of the standard, and that a text has no second spelling.
 */
#include "util/base64.h"

#include "support.h"

/* RFC 4648, section 10, and bytes in which the two alphabets differ. */
static const struct {
    enum fv_base64 kind;
    const char *plain, *text;
} vectors[] = {
    { FV_BASE64, "", "" },
    { FV_BASE64, "f", "Zg==" },
    { FV_BASE64, "fo", "Zm8=" },
    { FV_BASE64, "foo", "Zm9v" },
    { FV_BASE64, "foob", "Zm9vYg==" },
    { FV_BASE64, "fooba", "Zm9vYmE=" },
    { FV_BASE64, "foobar", "Zm9vYmFy" },
    { FV_BASE64, "\xfb\xff\xfe", "+//+" },
    { FV_BASE64_URL, "\xfb\xff\xfe", "-__-" },
};
#define VECTORS ((int)(sizeof vectors / sizeof *vectors))

START_TEST(bytes_have_the_text_of_the_standard_and_back)
{
    struct fv_text text = FV_TEXT_INIT;
    uint8_t out[6];
    size_t length;

    fv_base64_encode(vectors[_i].kind, vectors[_i].plain, strlen(vectors[_i].plain), &text);
    ck_assert(!text.failed);
    ck_assert_str_eq(text.data, vectors[_i].text);
    ck_assert(fv_base64_decode(vectors[_i].kind, text.data, text.length, out, &length));
    ck_assert_uint_eq(length, strlen(vectors[_i].plain));
    ck_assert_mem_eq(out, vectors[_i].plain, length);
    fv_text_clear(&text);
}
END_TEST

static const struct {
    enum fv_base64 kind;
    const char *text;
} refused[] = {
    { FV_BASE64, "Zg" },         /* no padding */
    { FV_BASE64, "Zg=" },        /* too little */
    { FV_BASE64, "Z===" },       /* too much */
    { FV_BASE64, "====" },       /**/
    { FV_BASE64, "Zh==" },       /* bits that nobody reads */
    { FV_BASE64, "Zm9=" },       /**/
    { FV_BASE64, "Zg==Zg==" },   /* padding in the middle */
    { FV_BASE64, "Zm9v\n" },     /* white space */
    { FV_BASE64, "Zm9v Zm9" },   /**/
    { FV_BASE64, "-__-" },       /* the other alphabet */
    { FV_BASE64_URL, "+//+" },   /**/
    { FV_BASE64, "Zm\xc3\xb6" }, /* no ASCII */
};
#define REFUSED ((int)(sizeof refused / sizeof *refused))

START_TEST(there_is_no_second_spelling)
{
    uint8_t out[6];
    size_t length;

    ck_assert_msg(!fv_base64_decode(refused[_i].kind, refused[_i].text, strlen(refused[_i].text),
                                    out, &length),
                  "\"%s\"", refused[_i].text);
}
END_TEST

START_TEST(a_nul_is_no_digit)
{
    uint8_t out[3];
    size_t length;

    ck_assert(!fv_base64_decode(FV_BASE64, "Zm\0v", 4, out, &length));
}
END_TEST

static Suite *base64_suite(void)
{
    Suite *suite = suite_create("base64");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, bytes_have_the_text_of_the_standard_and_back, 0, VECTORS);
    tcase_add_loop_test(all, there_is_no_second_spelling, 0, REFUSED);
    tcase_add_test(all, a_nul_is_no_digit);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(base64_suite());
}
