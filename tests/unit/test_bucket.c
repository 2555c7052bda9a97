/*
 * Buckets through the whole of the library: from a definition and a context to
 * the number in the detail. The vectors were made without it.
 */
#include "flags.h"

#include <jansson.h>

#include "model/bucket.h"

#define HALF "{'flags': {'f': {'type': 'boolean', 'percentage': 50}}}"

/* Calls `check` with every line of a file of JSON objects; returns their number, -1 without it. */
static int each_row(const char *path, void (*check)(json_t *row, void *data), void *data)
{
    FILE *file = fopen(path, "r");
    char text[16384];
    json_error_t wrong;
    json_t *row;
    int line = 0;

    if (!file)
        return -1;
    while (fgets(text, sizeof text, file)) {
        line++;
        row = json_loadb(text, strlen(text), JSON_ALLOW_NUL, &wrong);
        ck_assert_msg(row != NULL, "%s:%d: %s", path, line, wrong.text);
        check(row, data);
        json_decref(row);
    }
    fclose(file);
    return line;
}

static int32_t bucket_of(json_t *row)
{
    json_t *bucket = json_object_get(row, "bucket");

    ck_assert(json_is_integer(bucket));
    return (int32_t)json_integer_value(bucket);
}

/* ---- murmur3 ---- */

/* A flag with this salt that half of all get. */
static flagver_client *salted(const char *salt, size_t length)
{
    json_t *root = json_pack("{s:{s:{s:s, s:i, s:s%}}}", "flags", "f", "type", "boolean",
                             "percentage", 50, "salt", salt, length);
    char *text = json_dumps(root, 0);
    flagver_client *client;

    ck_assert_ptr_nonnull(text);
    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_load(client, text, strlen(text), &error));
    free(text);
    json_decref(root);
    return client;
}

/* What is hashed is salt, colon, value: wherever a colon stands it could be that one. */
static void check_input(json_t *row, void *data)
{
    json_t *value = json_object_get(row, "input");
    const char *input = json_string_value(value), *end = input + json_string_length(value);
    const char *colon = input;
    flagver_context *context = flagver_context_new(NULL);
    flagver_detail detail = { .size = sizeof detail };
    flagver_client *client;
    int *used = data;

    for (; (colon = memchr(colon, ':', (size_t)(end - colon))); colon++) {
        client = salted(input, (size_t)(colon - input));
        assert_ok(flagver_context_set_key(context, colon + 1, (size_t)(end - colon - 1)));
        ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, context, 0, &detail), 0);
        ck_assert_msg(detail.bucket == bucket_of(row), "\"%s\": bucket %d", input,
                      (int)detail.bucket);
        ck_assert_int_eq(detail.reason, FLAGVER_REASON_SPLIT);
        ck_assert_int_eq(detail.value.boolean, bucket_of(row) < 50000);
        ck_assert_int_eq(flagver_flag_bool(client, "f", context, false), bucket_of(row) < 50000);
        flagver_close(client);
        ++*used;
    }
    flagver_context_free(context);
}

START_TEST(buckets_are_those_of_another_implementation)
{
    int used = 0;

    ck_assert_int_ge(each_row("tests/data/buckets.jsonl", check_input, &used), 250);
    ck_assert_int_ge(used, 200);
}
END_TEST

/* ---- md5-mod100 ---- */

/* Flags p0 to p100, each with its percentage. */
static flagver_client *percentages(void)
{
    struct fv_text text = FV_TEXT_INIT;
    flagver_client *client;
    int i;

    fv_text_add(&text, "{'flags': {");
    for (i = 0; i <= 100; i++)
        fv_text_format(&text,
                       "%s'p%d': {'type': 'boolean', 'percentage': %d, "
                       "'bucketing': 'md5-mod100'}",
                       i ? ", " : "", i, i);
    fv_text_add(&text, "}}");
    client = client_of(text.data, NULL);
    fv_text_clear(&text);
    return client;
}

static bool asks(flagver_client *client, int percentage, flagver_context *context,
                 flagver_detail *detail)
{
    char key[8];

    snprintf(key, sizeof key, "p%d", percentage);
    ck_assert_int_eq(
        flagver_flag_evaluate(client, key, strlen(key), context, FLAGVER_TYPE_BOOL, detail), 0);
    ck_assert_int_eq(flagver_flag_bool(client, key, context, !detail->value.boolean),
                     detail->value.boolean);
    return detail->value.boolean;
}

static void check_user(json_t *row, void *client)
{
    json_t *user = json_object_get(row, "user");
    flagver_context *context = flagver_context_new(NULL);
    flagver_detail detail = { .size = sizeof detail };
    int bucket = bucket_of(row);

    ck_assert(json_is_string(user));
    assert_ok(flagver_context_set_key(context, json_string_value(user), json_string_length(user)));
    ck_assert_msg(!asks(client, bucket, context, &detail), "\"%s\" is in %d %%",
                  json_string_value(user), bucket);
    ck_assert_int_eq(detail.bucket, bucket ? bucket : -1);
    ck_assert_msg(asks(client, bucket + 1, context, &detail), "\"%s\" is not in %d %%",
                  json_string_value(user), bucket + 1);
    ck_assert_int_eq(detail.bucket, bucket < 99 ? bucket : -1);
    flagver_context_free(context);
}

START_TEST(md5_mod100_has_its_own_vectors)
{
    flagver_client *client = percentages();

    ck_assert_int_ge(each_row("tests/data/md5-mod100.jsonl", check_user, client), 200);
    flagver_close(client);
}
END_TEST

START_TEST(md5_mod100_agrees_with_all_2000_vectors)
{
    flagver_client *client = percentages();
    int rows = each_row("../shared/vectors/md5-mod100.jsonl", check_user, client);

    if (rows < 0)
        printf("SKIPPED: ../shared/vectors is not there\n");
    else
        ck_assert_int_ge(rows, 2000);
    flagver_close(client);
}
END_TEST

/* ---- what JSON cannot say ---- */

START_TEST(a_datetime_is_no_value_to_bucket_by)
{
    flagver_client *client = client_of(
        "{'flags': {'f': {'type': 'boolean', 'percentage': 50, 'by': 'x'}}}", NULL);
    flagver_context *context = flagver_context_new("u1");
    flagver_detail detail = { .size = sizeof detail };

    assert_ok(flagver_context_set_datetime(context, "x", 1000));
    flagver_flag_evaluate(client, "f", 1, context, 0, &detail);
    assert_detail("datetime", &detail, "- - ERROR TARGETING_KEY_MISSING");
    assert_ok(flagver_context_set_int(context, "x", 42));
    flagver_flag_evaluate(client, "f", 1, context, 0, &detail);
    assert_detail("integer", &detail, "true on SPLIT bucket=19721");
    flagver_context_free(context);
    flagver_close(client);
}
END_TEST

START_TEST(all_bytes_of_a_key_count)
{
    flagver_client *client = client_of(HALF, NULL);
    flagver_context *context = flagver_context_new(NULL);
    flagver_detail first = { .size = sizeof first }, second = { .size = sizeof second };

    assert_ok(flagver_context_set_key(context, "a\0b", 3));
    flagver_flag_evaluate(client, "f", 1, context, 0, &first);
    assert_ok(flagver_context_set_key(context, "a\0c", 3));
    flagver_flag_evaluate(client, "f", 1, context, 0, &second);
    ck_assert_int_ne(first.bucket, second.bucket);
    assert_ok(flagver_context_set_key(context, "a", 1));
    flagver_flag_evaluate(client, "f", 1, context, 0, &second);
    ck_assert_int_ne(first.bucket, second.bucket);
    assert_ok(flagver_context_set_key(context, "\xff\xfe", 2));
    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, context, 0, &second), 0);
    flagver_context_free(context);
    flagver_close(client);
}
END_TEST

START_TEST(a_key_may_be_long)
{
    flagver_client *client = client_of(HALF, NULL);
    flagver_context *context = flagver_context_new(NULL);
    flagver_detail detail = { .size = sizeof detail };
    char *key = malloc(1000000);

    ck_assert_ptr_nonnull(key);
    memset(key, 'k', 1000000);
    assert_ok(flagver_context_set_key(context, key, 1000000));
    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, context, 0, &detail), 0);
    ck_assert_int_ge(detail.bucket, 0);
    ck_assert_int_lt(detail.bucket, 100000);
    free(key);
    flagver_context_free(context);
    flagver_close(client);
}
END_TEST

START_TEST(hashes_are_known_by_their_exact_names)
{
    enum fv_bucket_hash hash;

    ck_assert(fv_bucket_hash_parse("murmur3", &hash) && hash == FV_HASH_MURMUR3);
    ck_assert(fv_bucket_hash_parse("md5-mod100", &hash) && hash == FV_HASH_MD5_MOD100);
    ck_assert(!fv_bucket_hash_parse("", &hash));
    ck_assert(!fv_bucket_hash_parse("md5", &hash));
    ck_assert(!fv_bucket_hash_parse("MURMUR3", &hash));
    ck_assert(!fv_bucket_hash_parse("murmur3 ", &hash));
}
END_TEST

static Suite *bucket_suite(void)
{
    Suite *suite = suite_create("bucket");
    TCase *vectors = tcase_create("vectors");
    TCase *keys = tcase_create("keys");

    tcase_add_test(vectors, buckets_are_those_of_another_implementation);
    tcase_add_test(vectors, md5_mod100_has_its_own_vectors);
    tcase_add_test(vectors, md5_mod100_agrees_with_all_2000_vectors);
    suite_add_tcase(suite, vectors);

    tcase_add_test(keys, a_datetime_is_no_value_to_bucket_by);
    tcase_add_test(keys, all_bytes_of_a_key_count);
    tcase_add_test(keys, a_key_may_be_long);
    tcase_add_test(keys, hashes_are_known_by_their_exact_names);
    suite_add_tcase(suite, keys);
    return suite;
}

int main(void)
{
    return run_suite(bucket_suite());
}
