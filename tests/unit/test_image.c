/*
 * Images of flags: a flag that comes from its image is the flag that its definition would have
 * been compiled to, and bytes that are no image do no harm.
 */
#include "codec/image.h"
#include "engine/flags.h"
#include "flags.h"

#define KEY "checkout"

static struct fv_record record_of(const char *json)
{
    return (struct fv_record){
        .key = KEY, .key_length = strlen(KEY), .text = json, .length = strlen(json), .version = 7
    };
}

/* What a client would make of one record. */
static flagver_snapshot *snapshot_of(const struct fv_record *record)
{
    const flagver_options options = { .size = sizeof options };
    struct fv_catalog *catalog = fv_catalog_new(&options);
    const struct fv_definitions_source source = { .flag_names = &catalog->flag_names,
                                                  .segment_names = &catalog->segment_names,
                                                  .attribute_names = &catalog->attribute_names };
    struct fv_definitions *definitions = NULL;
    flagver_snapshot *snapshot;

    assert_ok(fv_definitions_from_records(&source, record, 1, &definitions, &error));
    assert_ok(fv_catalog_count(catalog, definitions));
    snapshot = fv_snapshot_new(catalog, definitions, NULL, NULL);
    ck_assert_ptr_nonnull(snapshot);
    fv_definitions_release(definitions);
    fv_catalog_release(catalog);
    return snapshot;
}

static char *answer(const flagver_snapshot *snapshot, const char *context_json)
{
    const struct fv_flag_name name = { KEY, strlen(KEY), FV_MAP_NONE };
    flagver_context *context = context_of(context_json);
    flagver_detail detail = { .size = sizeof detail };
    struct fv_text out = FV_TEXT_INIT;
    char *words;

    fv_flags_evaluate_on((flagver_snapshot *)snapshot, &name, context, FLAGVER_TYPE_ANY, &detail);
    words = words_of(&detail);
    fv_text_format(&out, "%s version=%d %s", words, (int)detail.version,
                   detail.metadata ? detail.metadata : "");
    flagver_context_free(context);
    free(words);
    return fv_text_detach(&out);
}

static const char *const contexts[] = {
    "{}",
    "{'targetingKey': 'alice'}",
    "{'targetingKey': 'bob', 'company': 'acme', 'account': {'id': 12}}",
    "{'targetingKey': 'u3', 'company': 'umbrella', 'account': {'id': 13}}",
    "{'targetingKey': 'u4', 'company': 4, 'account': {'id': '14'}}",
    "{'targetingKey': true}",
};

static void assert_same_answers(const flagver_snapshot *one, const flagver_snapshot *other)
{
    char *a, *b;
    int i;

    for (i = 0; i < COUNT(contexts); i++) {
        a = answer(one, contexts[i]);
        b = answer(other, contexts[i]);
        ck_assert_msg(strcmp(a, b) == 0, "%s: \"%s\", and from the image \"%s\"", contexts[i], a,
                      b);
        free(a);
        free(b);
    }
}

/* ---- flags that have an image ---- */

static const char *const simple[] = {
    "{'type': 'boolean'}",
    "{'type': 'boolean', 'enabled': false}",
    "{'type': 'boolean', 'default': 'off', 'description': 'text'}",
    "{'type': 'boolean', 'enabled': false, 'off': 'on', 'percentage': 40}",
    "{'type': 'boolean', 'percentage': 0}",
    "{'type': 'boolean', 'percentage': 50, 'metadata': {'owner': 'me', 'n': 1.5}}",
    "{'type': 'boolean', 'percentage': 50, 'salt': 'other', 'by': 'company'}",
    "{'type': 'boolean', 'percentage': 50, 'salt': '', 'by': 'account.id', 'default': 'on'}",
    "{'type': 'boolean', 'percentage': 50, 'bucketing': 'md5-mod100'}",
    "{'type': 'boolean', 'percentage': 30, 'variants': {'yes': true, 'no': false}}",
    "{'type': 'boolean', 'percentage': 30, 'variants': {'a': true, 'b': false}, 'off': 'a'}",
    "{'type': 'string', 'variants': {'a': 'x', 'b': ''}, 'default': 'b'}",
    "{'type': 'string', 'variants': {'a': 'x', 'b': 'y', 'c': 'z', 'd': 'é'}, 'default': 'b',"
    " 'split': {'a': 1, 'b': 0, 'c': 2, 'd': 1}}",
    "{'type': 'integer', 'variants': {'least': -9223372036854775808, 'm': 9}, 'default': 'm',"
    " 'split': {'least': 1, 'm': 1}, 'by': 'company'}",
    "{'type': 'double', 'variants': {'a': 0.1, 'b': 3}, 'default': 'a', 'off': 'b'}",
    "{'type': 'json', 'variants': {'a': {'k': [1, null]}, 'b': 2}, 'default': 'a',"
    " 'split': {'a': 0, 'b': 5}}",
};

START_TEST(a_flag_from_its_image_answers_like_the_flag)
{
    char *json = quoted(simple[_i]);
    struct fv_record record = record_of(json);
    flagver_snapshot *from_text = snapshot_of(&record), *from_image;
    struct fv_text image = FV_TEXT_INIT;

    ck_assert_int_eq(fv_image_write(&record, &image), 0);
    ck_assert_uint_gt(image.length, 0);
    record.text = "{"; /* not looked at any more */
    record.length = 1;
    record.image = image.data;
    record.image_length = image.length;
    from_image = snapshot_of(&record);
    fv_text_clear(&image);
    assert_same_answers(from_text, from_image);

    fv_snapshot_release(from_text);
    fv_snapshot_release(from_image);
    free(json);
}
END_TEST

/* ---- flags that have none ---- */

static const char *const others[] = {
    "{'type': 'boolean', 'beta': ['alice']}",
    "{'type': 'boolean', 'requires': [{'flag': 'a', 'variant': 'on'}]}",
    "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
    "{'type': 'boolean', 'schedule': {'steps': [{'at': '2026-01-01T00:00:00Z', 'percentage': 9}]}}",
    "{'type': 'boolean', 'env': {'enabled': 'VARIABLE'}}",
    "{'type': 'boolean', 'percentage': 200}",
    "{'type': 'boolean'",
    "[]",
};

START_TEST(flags_that_ask_for_more_have_no_image)
{
    char *json = quoted(others[_i]);
    const struct fv_record record = record_of(json);
    struct fv_text image = FV_TEXT_INIT;

    ck_assert_int_eq(fv_image_write(&record, &image), 0);
    ck_assert_uint_eq(image.length, 0);
    fv_text_clear(&image);
    free(json);
}
END_TEST

START_TEST(segments_have_no_image)
{
    struct fv_record record = record_of("{}");
    struct fv_text image = FV_TEXT_INIT;

    record.is_segment = true;
    ck_assert_int_eq(fv_image_write(&record, &image), 0);
    ck_assert_uint_eq(image.length, 0);
    fv_text_clear(&image);
}
END_TEST

/* ---- what is no image ---- */

/* Bytes in a block of their own, so that a look beyond them is found out. */
static flagver_snapshot *snapshot_of_bytes(struct fv_record record, const char *bytes,
                                           size_t length)
{
    flagver_snapshot *snapshot;
    char *block = malloc(length ? length : 1);

    ck_assert_ptr_nonnull(block);
    memcpy(block, bytes, length);
    record.image = block;
    record.image_length = length;
    snapshot = snapshot_of(&record);
    free(block);
    return snapshot;
}

START_TEST(an_image_that_is_too_short_or_too_long_gives_way_to_the_text)
{
    char *json = quoted(simple[_i]);
    const struct fv_record record = record_of(json);
    flagver_snapshot *expected = snapshot_of(&record), *snapshot;
    struct fv_text image = FV_TEXT_INIT;
    size_t length;

    ck_assert_int_eq(fv_image_write(&record, &image), 0);
    fv_text_add_char(&image, 0);
    for (length = 0; length <= image.length; length++) {
        if (length == image.length - 1)
            continue; /* the image itself */
        snapshot = snapshot_of_bytes(record, image.data, length);
        assert_same_answers(expected, snapshot);
        fv_snapshot_release(snapshot);
    }
    fv_snapshot_release(expected);
    fv_text_clear(&image);
    free(json);
}
END_TEST

START_TEST(whatever_the_bytes_are_the_flag_can_be_evaluated)
{
    static const unsigned char damages[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff };
    char *json = quoted(simple[_i]), kept;
    const struct fv_record record = record_of(json);
    struct fv_text image = FV_TEXT_INIT;
    flagver_snapshot *snapshot;
    size_t at;
    int i;

    ck_assert_int_eq(fv_image_write(&record, &image), 0);
    for (at = 0; at < image.length; at++) {
        kept = image.data[at];
        for (i = 0; i < COUNT(damages); i++) {
            image.data[at] = (char)damages[i];
            snapshot = snapshot_of_bytes(record, image.data, image.length);
            assert_same_answers(snapshot, snapshot);
            fv_snapshot_release(snapshot);
        }
        image.data[at] = kept;
    }
    fv_text_clear(&image);
    free(json);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("image");
    TCase *tcase = tcase_create("image");

    tcase_add_loop_test(tcase, a_flag_from_its_image_answers_like_the_flag, 0, COUNT(simple));
    tcase_add_loop_test(tcase, flags_that_ask_for_more_have_no_image, 0, COUNT(others));
    tcase_add_test(tcase, segments_have_no_image);
    tcase_add_loop_test(tcase, an_image_that_is_too_short_or_too_long_gives_way_to_the_text, 0,
                        COUNT(simple));
    tcase_add_loop_test(tcase, whatever_the_bytes_are_the_flag_can_be_evaluated, 0, COUNT(simple));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(make_suite());
}
