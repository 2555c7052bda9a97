#include "support.h"

#include "util/utf8.h"

struct sequence {
    const char *label;
    const char *bytes;
    size_t length;
    uint32_t code_point;
};

static const struct sequence well_formed[] = {
    { "NUL", "\0", 1, 0 },
    { "smallest of two bytes", "\xC2\x80", 2, 0x80 },
    { "letter", "a", 1, 'a' },
    { "DEL", "\x7F", 1, 0x7F },
    { "largest of two bytes", "\xDF\xBF", 2, 0x7FF },
    { "smallest of three bytes", "\xE0\xA0\x80", 3, 0x800 },
    { "KELVIN SIGN", "\xE2\x84\xAA", 3, 0x212A },
    { "last before the surrogates", "\xED\x9F\xBF", 3, 0xD7FF },
    { "first behind the surrogates", "\xEE\x80\x80", 3, 0xE000 },
    { "the replacement itself", "\xEF\xBF\xBD", 3, 0xFFFD },
    { "largest of three bytes", "\xEF\xBF\xBF", 3, 0xFFFF },
    { "smallest of four bytes", "\xF0\x90\x80\x80", 4, 0x10000 },
    { "face", "\xF0\x9F\x98\x80", 4, 0x1F600 },
    { "largest of all", "\xF4\x8F\xBF\xBF", 4, 0x10FFFF },
};

static const struct sequence malformed[] = {
    { "lone continuation", "\x80", 1, 0 },
    { "last continuation", "\xBF", 1, 0 },
    { "overlong NUL", "\xC0\x80", 2, 0 },
    { "overlong DEL", "\xC1\xBF", 2, 0 },
    { "two bytes cut", "\xC3", 1, 0 },
    { "three bytes cut to two", "\xE2\x84", 2, 0 },
    { "three bytes cut to one", "\xE2", 1, 0 },
    { "overlong of three bytes", "\xE0\x9F\xBF", 3, 0 },
    { "first surrogate", "\xED\xA0\x80", 3, 0 },
    { "last surrogate", "\xED\xBF\xBF", 3, 0 },
    { "four bytes cut to three", "\xF0\x9F\x98", 3, 0 },
    { "overlong of four bytes", "\xF0\x8F\xBF\xBF", 4, 0 },
    { "beyond U+10FFFF", "\xF4\x90\x80\x80", 4, 0 },
    { "lead of five bytes", "\xF8\x88\x80\x80\x80", 5, 0 },
    { "byte that never occurs", "\xFF", 1, 0 },
    { "continuation missing in the middle",
      "\xE2"
      "a\xAA",
      3, 0 },
    { "continuation missing at the end",
      "\xE2\x84"
      "a",
      3, 0 },
    { "one continuation too many", "\xC3\xA9\xA9", 3, 0 },
};

START_TEST(a_well_formed_sequence_is_read_both_ways_and_written_back)
{
    const struct sequence *row = &well_formed[_i];
    const char *at = row->bytes, *end = row->bytes + row->length;
    char out[4] = { 'x', 'x', 'x', 'x' };

    ck_assert_msg(fv_utf8_next(&at, end) == row->code_point, "%s", row->label);
    ck_assert_msg(at == end, "%s", row->label);
    ck_assert_msg(fv_utf8_previous(row->bytes, &at) == row->code_point, "%s", row->label);
    ck_assert_msg(at == row->bytes, "%s", row->label);
    ck_assert_msg(fv_utf8_encode(row->code_point, out) == row->length, "%s", row->label);
    ck_assert_msg(memcmp(out, row->bytes, row->length) == 0, "%s", row->label);
    ck_assert_msg(fv_utf8_valid(row->bytes, row->length), "%s", row->label);
}
END_TEST

START_TEST(a_malformed_text_is_not_valid_wherever_the_fault_stands)
{
    const struct sequence *row = &malformed[_i];
    char text[64];
    size_t before;

    ck_assert_msg(!fv_utf8_valid(row->bytes, row->length), "%s", row->label);
    for (before = 0; before < 20; before++) {
        memset(text, 'a', sizeof text);
        memcpy(text + before, row->bytes, row->length);
        ck_assert_msg(!fv_utf8_valid(text, sizeof text), "%s behind %zu", row->label, before);
        ck_assert_msg(!fv_utf8_valid(text, before + row->length), "%s behind %zu at the end",
                      row->label, before);
    }
}
END_TEST

START_TEST(a_stray_byte_is_read_alone_as_the_replacement)
{
    static const char text[] = "\xE2\x84\xC3\xA9\xFF";
    const char *at = text, *end = text + 5;

    ck_assert_uint_eq(fv_utf8_next(&at, end), 0xFFFD);
    ck_assert_ptr_eq(at, text + 1);
    ck_assert_uint_eq(fv_utf8_next(&at, end), 0xFFFD);
    ck_assert_ptr_eq(at, text + 2);
    ck_assert_uint_eq(fv_utf8_next(&at, end), 0xE9);
    ck_assert_ptr_eq(at, text + 4);
    ck_assert_uint_eq(fv_utf8_next(&at, end), 0xFFFD);
    ck_assert_ptr_eq(at, end);
}
END_TEST

START_TEST(what_is_no_scalar_value_is_not_written)
{
    static const uint32_t refused[] = { 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x110000, 0xFFFFFFFFu };
    char out[4] = { 1, 2, 3, 4 };

    ck_assert_uint_eq(fv_utf8_encode(refused[_i], out), 0);
    ck_assert_int_eq(out[0], 1);
}
END_TEST

START_TEST(every_scalar_value_survives_the_round_trip)
{
    const char *at;
    char bytes[4];
    size_t length;
    uint32_t c;

    for (c = 0; c <= FV_UTF8_LARGEST; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        length = fv_utf8_encode(c, bytes);
        at = bytes;
        if (length == 0 || fv_utf8_next(&at, bytes + length) != c || at != bytes + length ||
            fv_utf8_previous(bytes, &at) != c || at != bytes || !fv_utf8_valid(bytes, length))
            ck_abort_msg("U+%04X does not survive", (unsigned)c);
    }
}
END_TEST

/* Bytes that matter, so that short random texts are full of near misses. */
static const unsigned char telling[] = { 'a',  0x7F, 0x80, 0x84, 0x8F, 0x90, 0x9F, 0xA0,
                                         0xAA, 0xBF, 0xC1, 0xC2, 0xC3, 0xDF, 0xE0, 0xE2,
                                         0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF, 0 };

static bool cut_both_ways_alike(const char *text, size_t length)
{
    const char *starts[12], *at = text, *end = text + length;
    uint32_t code_points[12];
    bool valid = true;
    size_t count;

    for (count = 0; at < end; count++) {
        starts[count] = at;
        code_points[count] = fv_utf8_next(&at, end);
        if (code_points[count] == FV_UTF8_REPLACEMENT && at - starts[count] == 1)
            valid = false;
    }
    if (at != end || fv_utf8_valid(text, length) != valid)
        return false;
    while (count--) {
        if (fv_utf8_previous(text, &at) != code_points[count] || at != starts[count])
            return false;
    }
    return at == text;
}

START_TEST(any_text_is_cut_into_the_same_pieces_both_ways)
{
    uint32_t random = 1;
    size_t round, length, i;
    char text[12];

    for (round = 0; round < 200000; round++) {
        random = random * 1664525u + 1013904223u;
        length = 1 + (random >> 16) % sizeof text;
        for (i = 0; i < length; i++) {
            random = random * 1664525u + 1013904223u;
            text[i] = (char)telling[(random >> 16) % sizeof telling];
        }
        if (!cut_both_ways_alike(text, length))
            ck_abort_msg("text %zu is cut differently", round);
    }
}
END_TEST

START_TEST(the_empty_text_is_valid)
{
    ck_assert(fv_utf8_valid("", 0));
    ck_assert(fv_utf8_valid(NULL, 0));
}
END_TEST

static Suite *utf8_suite(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tests = tcase_create("utf8");

    tcase_add_loop_test(tests, a_well_formed_sequence_is_read_both_ways_and_written_back, 0,
                        (int)(sizeof well_formed / sizeof well_formed[0]));
    tcase_add_loop_test(tests, a_malformed_text_is_not_valid_wherever_the_fault_stands, 0,
                        (int)(sizeof malformed / sizeof malformed[0]));
    tcase_add_loop_test(tests, what_is_no_scalar_value_is_not_written, 0, 6);
    tcase_add_test(tests, a_stray_byte_is_read_alone_as_the_replacement);
    tcase_add_test(tests, every_scalar_value_survives_the_round_trip);
    tcase_add_test(tests, any_text_is_cut_into_the_same_pieces_both_ways);
    tcase_add_test(tests, the_empty_text_is_valid);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(utf8_suite());
}
