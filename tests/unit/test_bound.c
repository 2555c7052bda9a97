/*
 * Handles that skip the key lookup, and variants that are forced by hand.
 */
#include "flags.h"

#include <pthread.h>

#define ON "{'flags': {'f': {'type': 'boolean'}}}"
#define OFF "{'flags': {'f': {'type': 'boolean', 'default': 'off'}}}"
#define AB "{'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, 'default': 'a'}"
#define LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_256 LONG_64 LONG_64 LONG_64 LONG_64

static const flagver_bound *bind(flagver_client *client, const char *key)
{
    const flagver_bound *bound = NULL;

    assert_ok(flagver_flag_bind(client, key, &bound, &error));
    ck_assert_ptr_nonnull(bound);
    return bound;
}

static void assert_bound(const flagver_bound *bound, const char *expected)
{
    flagver_detail detail = { .size = sizeof detail };

    flagver_bound_evaluate(bound, NULL, FLAGVER_TYPE_ANY, &detail);
    assert_detail("bound", &detail, expected);
}

/* ---- handles ---- */

START_TEST(a_handle_follows_its_flag)
{
    flagver_client *client = client_of(ON, NULL);
    const flagver_bound *bound = bind(client, "f");

    assert_bound(bound, "true on STATIC");
    ck_assert(flagver_bound_bool(bound, NULL, false));
    assert_ok(load_into(client, OFF));
    assert_bound(bound, "false off STATIC");
    ck_assert(!flagver_bound_bool(bound, NULL, true));

    assert_ok(load_into(client, "{'flags': {'g': {'type': 'boolean'}}}"));
    assert_bound(bound, "- - ERROR FLAG_NOT_FOUND");
    ck_assert(flagver_bound_bool(bound, NULL, true));
    ck_assert(!flagver_bound_bool(bound, NULL, false));

    assert_ok(merge_into(client, "{'flags': {'f': " AB "}}"));
    assert_bound(bound, "'A' a STATIC");
    ck_assert_str_eq(flagver_bound_string(bound, NULL, "x"), "A");
    ck_assert(flagver_bound_bool(bound, NULL, true));
    assert_ok(merge_into(client, "{'flags': {'f': null}}"));
    assert_bound(bound, "- - ERROR FLAG_NOT_FOUND");
    flagver_close(client);
}
END_TEST

START_TEST(a_key_may_be_bound_before_its_flag_is_there)
{
    flagver_client *client;
    const flagver_bound *bound, *second;
    flagver_detail detail = { .size = sizeof detail };

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    bound = bind(client, "f");
    second = bind(client, "second");
    assert_bound(bound, "- - ERROR FLAG_NOT_FOUND");
    ck_assert_int_eq(flagver_bound_evaluate(second, NULL, 0, &detail),
                     FLAGVER_ERROR_FLAG_NOT_FOUND);
    ck_assert_str_eq(detail.flag, "second");
    ck_assert_int_eq(flagver_bound_int(second, NULL, 7), 7);
    assert_ok(load_into(client, ON));
    assert_bound(bound, "true on STATIC");
    assert_bound(second, "- - ERROR FLAG_NOT_FOUND");
    flagver_close(client);
}
END_TEST

START_TEST(the_same_key_gives_the_same_handle)
{
    flagver_client *client = client_of(ON, NULL), *other = client_of(OFF, NULL);
    const flagver_bound *bound = bind(client, "f");
    char key[] = "f";

    ck_assert_ptr_eq(bind(client, key), bound);
    assert_ok(load_into(client, "{}"));
    ck_assert_ptr_eq(bind(client, "f"), bound);
    assert_ok(load_into(client, ON));
    ck_assert_ptr_eq(bind(client, "f"), bound);
    ck_assert_ptr_ne(bind(client, "g"), bound);
    ck_assert_ptr_ne(bind(other, "f"), bound);
    assert_bound(bound, "true on STATIC");
    assert_bound(bind(other, "f"), "false off STATIC");
    flagver_close(client);
    flagver_close(other);
}
END_TEST

START_TEST(every_getter_has_one_for_handles)
{
    flagver_client *client = client_of(
        "{'flags': {'b': {'type': 'boolean'}, 's': " AB ", "
        "'i': {'type': 'integer', 'variants': {'v': 5}, 'default': 'v'}, "
        "'d': {'type': 'double', 'variants': {'v': 5.5}, 'default': 'v'}, "
        "'j': {'type': 'json', 'variants': {'v': [5]}, 'default': 'v'}}}",
        NULL);

    ck_assert(flagver_bound_bool(bind(client, "b"), NULL, false));
    ck_assert_str_eq(flagver_bound_string(bind(client, "s"), NULL, "x"), "A");
    ck_assert_int_eq(flagver_bound_int(bind(client, "i"), NULL, 7), 5);
    ck_assert_double_eq(flagver_bound_double(bind(client, "d"), NULL, 7), 5.5);
    ck_assert_double_eq(flagver_bound_double(bind(client, "i"), NULL, 7), 5.0);
    ck_assert_str_eq(flagver_bound_json(bind(client, "j"), NULL, "x"), "[5]");
    ck_assert_str_eq(flagver_bound_string(bind(client, "i"), NULL, "x"), "x");
    ck_assert_int_eq(flagver_bound_int(bind(client, "d"), NULL, 7), 7);
    flagver_close(client);
}
END_TEST

START_TEST(a_handle_asks_for_a_context)
{
    flagver_client *client = client_of("{'flags': {'f': {'type': 'boolean', 'beta': ['u1']}}}",
                                       NULL);
    flagver_context *user = flagver_context_new("u1"), *other = flagver_context_new("u2");
    flagver_context *invalid = context_of("{'targetingKey': 1.5}");
    const flagver_bound *bound = bind(client, "f");

    ck_assert(flagver_bound_bool(bound, user, false));
    ck_assert(!flagver_bound_bool(bound, other, true));
    ck_assert(flagver_bound_bool(bound, invalid, true));
    ck_assert(!flagver_bound_bool(bound, invalid, false));
    flagver_context_free(user);
    flagver_context_free(other);
    flagver_context_free(invalid);
    flagver_close(client);
}
END_TEST

START_TEST(keys_of_handles_are_1_to_256_bytes_long)
{
    flagver_client *client = client_of(ON, NULL);
    const flagver_bound *bound = NULL;

    assert_fails(FLAGVER_EINVAL, flagver_flag_bind(client, "", &bound, &error));
    assert_words("0 bytes; 1 to 256 allowed");
    assert_fails(FLAGVER_EINVAL, flagver_flag_bind(client, NULL, &bound, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_bind(client, LONG_256 "a", &bound, &error));
    assert_words("257 bytes; 1 to 256 allowed");
    ck_assert_ptr_null(bound);
    assert_bound(bind(client, LONG_256), "- - ERROR FLAG_NOT_FOUND");
    flagver_close(client);
}
END_TEST

START_TEST(binding_is_no_new_state)
{
    flagver_client *client = client_of(ON, NULL);
    uint64_t generation = flagver_client_generation(client);
    const flagver_bound *bound;
    char key[16];
    int i;

    for (i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        bound = bind(client, key);
        assert_bound(bound, "- - ERROR FLAG_NOT_FOUND");
    }
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_bound(bind(client, "f"), "true on STATIC");
    assert_ok(merge_into(client, "{'flags': {'key777': {'type': 'boolean'}}}"));
    assert_bound(bind(client, "key777"), "true on STATIC");
    assert_bound(bind(client, "key778"), "- - ERROR FLAG_NOT_FOUND");
    flagver_close(client);
}
END_TEST

START_TEST(a_handle_that_was_never_bound_gives_the_default)
{
    flagver_detail detail = { .size = sizeof detail };

    ck_assert_int_eq(flagver_bound_evaluate(NULL, NULL, 0, &detail), FLAGVER_ERROR_GENERAL);
    ck_assert(flagver_bound_bool(NULL, NULL, true));
    ck_assert_int_eq(flagver_bound_int(NULL, NULL, 7), 7);
    ck_assert_double_eq(flagver_bound_double(NULL, NULL, 7.5), 7.5);
    ck_assert_str_eq(flagver_bound_string(NULL, NULL, "x"), "x");
    ck_assert_str_eq(flagver_bound_json(NULL, NULL, "x"), "x");
}
END_TEST

static void *ask(void *data)
{
    const flagver_bound *bound = data;

    return flagver_bound_bool(bound, NULL, false) ? data : NULL;
}

START_TEST(any_thread_may_use_a_handle)
{
    flagver_client *client = client_of(ON, NULL);
    const flagver_bound *bound = bind(client, "f");
    pthread_t threads[4];
    void *result;
    int i;

    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, (void *)bound), 0);
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_eq(result, bound);
    }
    flagver_close(client);
}
END_TEST

/* ---- overrides ---- */

#define TWO                                             \
    "{'flags': {'f': " AB ", 'g': {'type': 'boolean', " \
    "'requires': [{'flag': 'f', 'variant': 'b'}]}}}"

START_TEST(an_override_holds_until_it_is_taken_back)
{
    flagver_client *client = client_of(TWO, NULL);

    assert_ok(flagver_flag_override(client, "f", "b", &error));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    ck_assert_str_eq(flagver_flag_string(client, "f", NULL, "x"), "B");
    assert_ok(flagver_flag_override(client, "f", "a", &error));
    assert_flag(client, "f", NULL, "'A' a STATIC");
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    assert_flag(client, "f", NULL, "'A' a STATIC");
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    assert_ok(flagver_flag_override(client, "never", NULL, &error));
    flagver_close(client);
}
END_TEST

START_TEST(an_override_is_seen_by_flags_that_require_it)
{
    flagver_client *client = client_of(TWO, NULL);

    assert_flag(client, "g", NULL, "false off DEFAULT rule=requires");
    assert_ok(flagver_flag_override(client, "f", "b", &error));
    assert_flag(client, "g", NULL, "true on DEFAULT");
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    assert_flag(client, "g", NULL, "false off DEFAULT rule=requires");
    flagver_close(client);
}
END_TEST

START_TEST(an_override_survives_what_is_loaded)
{
    flagver_client *client = client_of(TWO, NULL);

    assert_ok(flagver_flag_override(client, "f", "b", &error));
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    assert_ok(load_into(client, TWO));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    assert_ok(merge_into(client, "{'flags': {'h': {'type': 'boolean'}}}"));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    assert_ok(merge_into(client,
                         "{'flags': {'f': {'type': 'string', "
                         "'variants': {'b': 'new', 'c': 'C'}, 'default': 'c'}, 'g': null}}"));
    assert_flag(client, "f", NULL, "'new' b STATIC");
    assert_ok(merge_into(client, "{'flags': {'f': null}}"));
    assert_flag(client, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_ok(load_into(client, TWO));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(an_override_waits_for_a_flag_that_is_not_there_yet)
{
    flagver_client *client = client_of("{}", NULL);
    uint64_t generation = flagver_client_generation(client);

    assert_ok(flagver_flag_override(client, "f", "b", &error));
    assert_flag(client, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_ok(load_into(client, TWO));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(an_override_of_an_unknown_variant_is_refused)
{
    flagver_client *client = client_of(TWO, NULL);
    uint64_t generation = flagver_client_generation(client);

    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_override(client, "f", "c", &error));
    assert_words("\"f\"");
    assert_words("\"c\"");
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_flag(client, "f", NULL, "'A' a STATIC");

    assert_ok(flagver_flag_override(client, "f", "b", &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_override(client, "f", "B", &error));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(an_override_needs_a_key)
{
    flagver_client *client = client_of(TWO, NULL);

    assert_fails(FLAGVER_EINVAL, flagver_flag_override(client, NULL, "a", &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_override(client, "", "a", &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_override(client, LONG_256 "a", "a", &error));
    flagver_close(client);
}
END_TEST

static void note(void *data, int level, const char *message)
{
    struct fv_text *text = data;

    fv_text_format(text, "%d %s\n", level, message);
}

START_TEST(an_override_that_lost_its_variant_is_ignored_with_a_warning)
{
    struct fv_text log = FV_TEXT_INIT;
    flagver_options options = { .size = sizeof options, .log = note, .log_data = &log };
    flagver_client *client;

    assert_ok(flagver_open("definitions:", &options, &client, &error));
    assert_ok(flagver_flag_override(client, "f", "b", &error));
    ck_assert_str_eq(log.data, "");
    assert_ok(load_into(client, ON));
    ck_assert_ptr_nonnull(strstr(log.data, "2 flag f"));
    ck_assert_ptr_nonnull(strstr(log.data, "\"b\""));
    assert_flag(client, "f", NULL, "true on STATIC");
    flagver_close(client);
    fv_text_clear(&log);
}
END_TEST

START_TEST(the_same_override_again_is_no_new_state)
{
    flagver_client *client = client_of(TWO, NULL);
    uint64_t before = flagver_client_generation(client), forced;

    assert_ok(flagver_flag_override(client, "f", "b", &error));
    forced = flagver_client_generation(client);
    ck_assert_uint_ne(forced, before);
    assert_ok(flagver_flag_override(client, "f", "b", &error));
    ck_assert_uint_eq(flagver_client_generation(client), forced);
    assert_ok(flagver_client_refresh(client, &error));
    assert_ok(load_into(client, TWO));
    ck_assert_uint_eq(flagver_client_generation(client), forced);
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    ck_assert_uint_ne(flagver_client_generation(client), forced);
    flagver_close(client);
}
END_TEST

START_TEST(many_overrides_hold_at_once)
{
    struct fv_text text = FV_TEXT_INIT;
    flagver_client *client;
    char key[16];
    int i;

    fv_text_add(&text, "{'flags': {'x': {'type': 'boolean'}");
    for (i = 0; i < 100; i++)
        fv_text_format(&text, ", 'f%d': {'type': 'boolean'}", i);
    fv_text_add(&text, "}}");
    client = client_of(text.data, NULL);
    for (i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "f%d", i);
        assert_ok(flagver_flag_override(client, key, "off", &error));
    }
    for (i = 0; i < 100; i += 2) {
        snprintf(key, sizeof key, "f%d", i);
        assert_ok(flagver_flag_override(client, key, NULL, &error));
    }
    for (i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "f%d", i);
        ck_assert_int_eq(flagver_flag_bool(client, key, NULL, false), i % 2 == 0);
    }
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_forced_flag_keeps_its_metadata)
{
    flagver_client *client = client_of(
        "{'flags': {'f': {'type': 'boolean', 'metadata': {'x': 1}, 'rules': "
        "[{'id': 'r', 'serve': 'on'}]}}}",
        NULL);
    flagver_detail detail = { .size = sizeof detail };

    assert_ok(flagver_flag_override(client, "f", "off", &error));
    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, NULL, 0, &detail), 0);
    ck_assert_str_eq(detail.metadata, "{\"x\":1}");
    ck_assert_str_eq(detail.flag, "f");
    ck_assert_ptr_null(detail.rule);
    flagver_close(client);
}
END_TEST

/* ---- counting ---- */

static void note_count(void *data, const char *flag, const char *variant, uint64_t count)
{
    char *text = data;
    size_t length = strlen(text);

    snprintf(text + length, 200 - length, "%s %s %llu|", flag, variant ? variant : "-",
             (unsigned long long)count);
}

static void assert_counts(flagver_client *client, const char *expected)
{
    char text[200] = "";

    assert_ok(flagver_flag_counts(client, note_count, text, &error));
    ck_assert_str_eq(text, expected);
}

START_TEST(what_was_answered_elsewhere_is_counted_with_the_rest)
{
    flagver_client *client = client_of(ON, NULL);
    const flagver_bound *bound = bind(client, "f");

    ck_assert(flagver_bound_bool(bound, NULL, false));
    assert_ok(flagver_bound_count(bound, "on", 41, &error));
    assert_ok(flagver_bound_count(bound, "off", 1, &error));
    assert_ok(flagver_bound_count(bound, "off", 0, &error));
    assert_counts(client, "f off 1|f on 42|");
    assert_ok(flagver_bound_count(bound, "on", UINT32_MAX, &error));
    assert_ok(flagver_bound_count(bound, "on", UINT32_MAX - 1, &error));
    ck_assert(flagver_bound_bool(bound, NULL, false));
    assert_counts(client, "f off 1|f on 8589934632|");
    flagver_close(client);
}
END_TEST

START_TEST(what_cannot_be_counted_is_refused)
{
    flagver_client *client = client_of(ON, NULL);
    const flagver_bound *bound = bind(client, "f"), *gone = bind(client, "gone");

    assert_fails(FLAGVER_EINVAL, flagver_bound_count(NULL, "on", 1, &error));
    assert_fails(FLAGVER_EINVAL, flagver_bound_count(bound, NULL, 1, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_bound_count(bound, "maybe", 1, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_bound_count(gone, "on", 1, &error));
    assert_ok(load_into(client, "{'flags': {'f': " AB "}}"));
    assert_fails(FLAGVER_ENOTFOUND, flagver_bound_count(bound, "on", 1, &error));
    assert_counts(client, "");
    flagver_close(client);
}
END_TEST

static Suite *bound_suite(void)
{
    Suite *suite = suite_create("bound");
    TCase *handles = tcase_create("handles");
    TCase *overrides = tcase_create("overrides");
    TCase *counting = tcase_create("counting");

    tcase_add_test(handles, a_handle_follows_its_flag);
    tcase_add_test(handles, a_key_may_be_bound_before_its_flag_is_there);
    tcase_add_test(handles, the_same_key_gives_the_same_handle);
    tcase_add_test(handles, every_getter_has_one_for_handles);
    tcase_add_test(handles, a_handle_asks_for_a_context);
    tcase_add_test(handles, keys_of_handles_are_1_to_256_bytes_long);
    tcase_add_test(handles, binding_is_no_new_state);
    tcase_add_test(handles, a_handle_that_was_never_bound_gives_the_default);
    tcase_add_test(handles, any_thread_may_use_a_handle);
    suite_add_tcase(suite, handles);

    tcase_add_test(overrides, an_override_holds_until_it_is_taken_back);
    tcase_add_test(overrides, an_override_is_seen_by_flags_that_require_it);
    tcase_add_test(overrides, an_override_survives_what_is_loaded);
    tcase_add_test(overrides, an_override_waits_for_a_flag_that_is_not_there_yet);
    tcase_add_test(overrides, an_override_of_an_unknown_variant_is_refused);
    tcase_add_test(overrides, an_override_needs_a_key);
    tcase_add_test(overrides, an_override_that_lost_its_variant_is_ignored_with_a_warning);
    tcase_add_test(overrides, the_same_override_again_is_no_new_state);
    tcase_add_test(overrides, many_overrides_hold_at_once);
    tcase_add_test(overrides, a_forced_flag_keeps_its_metadata);
    suite_add_tcase(suite, overrides);

    tcase_add_test(counting, what_was_answered_elsewhere_is_counted_with_the_rest);
    tcase_add_test(counting, what_cannot_be_counted_is_refused);
    suite_add_tcase(suite, counting);
    return suite;
}

int main(void)
{
    return run_suite(bound_suite());
}
