/*
 * UUIDs: their form, their order, and their text.
 */
#include "support.h"
#include "util/uuid.h"

static const uint8_t zeros[10];
static const uint8_t ones[10] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };

static int order(const flagver_id *a, const flagver_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static uint32_t counter_of(const flagver_id *id)
{
    return (uint32_t)(id->bytes[6] & 0xf) << 8 | id->bytes[7];
}

/* ---- making them ---- */

/* The example of RFC 9562, appendix A.6: its time, its random bits, and a counter of ours. */
START_TEST(an_id_is_laid_out_as_rfc_9562_says)
{
    static const uint8_t random[10] = {
        0xd8, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f, 0xf4, 0xc3
    };
    struct fv_uuid_state state = { 0, 0 };
    flagver_id id = fv_uuid_next(&state, INT64_C(0x017F22E279B0), random);
    char text[FV_UUID_TEXT];

    fv_uuid_text(&id, text);
    ck_assert_str_eq(text, "017f22e2-79b0-74c3-98c4-dc0c0c07398f");
}
END_TEST

START_TEST(version_and_variant_do_not_depend_on_what_is_random)
{
    struct fv_uuid_state state = { 0, 0 };
    flagver_id low = fv_uuid_next(&state, 1, zeros);
    flagver_id high = fv_uuid_next(&state, 2, ones);

    ck_assert_int_eq(low.bytes[6] >> 4, 7);
    ck_assert_int_eq(high.bytes[6] >> 4, 7);
    ck_assert_int_eq(low.bytes[8] >> 6, 2);
    ck_assert_int_eq(high.bytes[8] >> 6, 2);
}
END_TEST

START_TEST(a_millisecond_begins_below_the_middle_of_its_counter)
{
    struct fv_uuid_state state = { 0, 0 };
    flagver_id id = fv_uuid_next(&state, 1000, ones);

    ck_assert_uint_eq(counter_of(&id), 0x7ff);
    id = fv_uuid_next(&state, 1001, zeros);
    ck_assert_uint_eq(counter_of(&id), 0);
}
END_TEST

/* Also when the counter overflows, which 5000 ids in a millisecond make it do. */
START_TEST(ids_of_one_millisecond_rise)
{
    struct fv_uuid_state state = { 0, 0 };
    flagver_id last = fv_uuid_next(&state, 1000, ones), id;
    int i;

    for (i = 0; i < 5000; i++, last = id) {
        id = fv_uuid_next(&state, 1000, i % 2 ? zeros : ones);
        if (order(&last, &id) >= 0)
            ck_abort_msg("id %d does not come after the one before", i);
    }
    ck_assert_int_gt(state.ms, 1000);
}
END_TEST

START_TEST(ids_rise_while_the_clock_steps_back)
{
    struct fv_uuid_state state = { 0, 0 };
    flagver_id before = fv_uuid_next(&state, 5000, ones);
    flagver_id after = fv_uuid_next(&state, 10, zeros);

    ck_assert_int_lt(order(&before, &after), 0);
    before = after;
    after = fv_uuid_next(&state, 5001, zeros);
    ck_assert_int_lt(order(&before, &after), 0);
}
END_TEST

/* ---- texts ---- */

START_TEST(a_text_reads_back_in_either_case)
{
    static const uint8_t bytes[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                       0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10 };
    char text[FV_UUID_TEXT];
    flagver_id id, back;

    memcpy(id.bytes, bytes, sizeof bytes);
    fv_uuid_text(&id, text);
    ck_assert_str_eq(text, "01234567-89ab-cdef-fedc-ba9876543210");
    ck_assert(fv_uuid_parse(text, &back));
    ck_assert_mem_eq(back.bytes, bytes, sizeof bytes);
    ck_assert(fv_uuid_parse("01234567-89AB-CdEf-FEDC-ba9876543210", &back));
    ck_assert_mem_eq(back.bytes, bytes, sizeof bytes);
}
END_TEST

static const char *const no_uuids[] = {
    "",
    "-",
    "0123456789abcdeffedcba9876543210",
    "01234567-89ab-cdef-fedc-ba987654321",
    "01234567-89ab-cdef-fedc-ba98765432100",
    "01234567-89ab-cdef-fedcba98-76543210",
    "01234567_89ab_cdef_fedc_ba9876543210",
    "g1234567-89ab-cdef-fedc-ba9876543210",
    " 01234567-89ab-cdef-fedc-ba9876543210",
    "01234567-89ab-cdef-fedc-ba9876543210 ",
    "{01234567-89ab-cdef-fedc-ba9876543210}",
    "01234567-89ab-cdef-fedc-",
};
#define NO_UUIDS ((int)(sizeof no_uuids / sizeof *no_uuids))

START_TEST(what_is_no_uuid_is_refused)
{
    flagver_id id;

    memset(&id, 0x55, sizeof id);
    ck_assert_msg(!fv_uuid_parse(no_uuids[_i], &id), "\"%s\" was taken for one", no_uuids[_i]);
    ck_assert_int_eq(id.bytes[0], 0x55);
}
END_TEST

static Suite *uuid_suite(void)
{
    Suite *suite = suite_create("uuid");
    TCase *making = tcase_create("making"), *texts = tcase_create("texts");

    tcase_add_test(making, an_id_is_laid_out_as_rfc_9562_says);
    tcase_add_test(making, version_and_variant_do_not_depend_on_what_is_random);
    tcase_add_test(making, a_millisecond_begins_below_the_middle_of_its_counter);
    tcase_add_test(making, ids_of_one_millisecond_rise);
    tcase_add_test(making, ids_rise_while_the_clock_steps_back);
    suite_add_tcase(suite, making);

    tcase_add_test(texts, a_text_reads_back_in_either_case);
    tcase_add_loop_test(texts, what_is_no_uuid_is_refused, 0, NO_UUIDS);
    suite_add_tcase(suite, texts);
    return suite;
}

int main(void)
{
    return run_suite(uuid_suite());
}
