/*
 * What looks on: the evaluation hook, and the counters.
 */
#include "flags.h"

#include <pthread.h>

/* ---- the hook ---- */

struct seen {
    struct fv_text text;
    flagver_client *client; /* is asked from inside the hook */
    const flagver_context *context;
    bool release; /* let go of the thread's snapshots from inside the hook */
};

static void before(void *data, const char *flag, const flagver_context *context)
{
    struct seen *seen = data;

    ck_assert_ptr_eq(context, seen->context);
    fv_text_format(&seen->text, "before %s; ", flag);
    if (seen->release)
        flagver_thread_release();
    if (seen->client)
        fv_text_format(&seen->text, "inside %d; ",
                       flagver_flag_bool(seen->client, "inner", NULL, false));
}

static void after(void *data, const flagver_context *context, const struct flagver_detail *detail)
{
    struct seen *seen = data;
    char *words = words_of(detail);

    ck_assert_ptr_eq(context, seen->context);
    ck_assert_uint_eq(detail->size, sizeof *detail);
    fv_text_format(&seen->text, "after %.*s: %s; ", (int)detail->flag_length, detail->flag, words);
    free(words);
    if (seen->release)
        flagver_thread_release();
    if (seen->client)
        fv_text_format(&seen->text, "inside %d; ",
                       flagver_flag_bool(seen->client, "inner", NULL, false));
}

static const char definitions[] =
    "{'flags': {'f': {'type': 'boolean', 'requires': [{'flag': 'inner', 'variant': 'on'}]}, "
    "'inner': {'type': 'boolean'}, 's': {'type': 'string', 'variants': {'a': 'A'}, "
    "'default': 'a'}}}";

static struct seen seen;
static flagver_client *client;

static void open_hooked(void (*hook_before)(void *, const char *, const flagver_context *),
                        void (*hook_after)(void *, const flagver_context *,
                                           const struct flagver_detail *))
{
    flagver_hook hook = { hook_before, hook_after, &seen };
    flagver_options options = { .size = sizeof options, .hook = &hook, .no_environment = 1 };

    assert_ok(flagver_open("definitions:", &options, &client, &error));
    memset(&hook, 0xff, sizeof hook); /* it was copied */
    assert_ok(load_into(client, definitions));
}

static void set_up(void)
{
    seen = (struct seen){ .text = FV_TEXT_INIT };
    open_hooked(before, after);
}

static void tear_down(void)
{
    flagver_close(client);
    client = NULL;
    fv_text_clear(&seen.text);
}

static void assert_seen(const char *expected)
{
    ck_assert_str_eq(seen.text.data, expected);
    fv_text_reset(&seen.text);
}

START_TEST(a_hook_sees_an_evaluation_begin_and_end)
{
    flagver_context *user = flagver_context_new("u1");

    ck_assert(flagver_flag_bool(client, "f", NULL, false));
    assert_seen("before f; after f: true on DEFAULT; ");
    seen.context = user;
    ck_assert(flagver_flag_bool(client, "f", user, false));
    assert_seen("before f; after f: true on DEFAULT; ");
    flagver_context_free(user);
}
END_TEST

START_TEST(a_hook_sees_every_way_to_ask)
{
    flagver_detail detail = { .size = sizeof detail };
    const flagver_bound *bound;

    assert_ok(flagver_flag_bind(client, "s", &bound, &error));
    ck_assert_str_eq(flagver_flag_string(client, "s", NULL, "x"), "A");
    assert_seen("before s; after s: 'A' a STATIC; ");
    ck_assert_str_eq(flagver_flag_string_detail(client, "s", NULL, "x", &detail), "A");
    assert_seen("before s; after s: 'A' a STATIC; ");
    ck_assert_int_eq(flagver_flag_evaluate(client, "s", 1, NULL, 0, &detail), 0);
    assert_seen("before s; after s: 'A' a STATIC; ");
    ck_assert_str_eq(flagver_bound_string(bound, NULL, "x"), "A");
    assert_seen("before s; after s: 'A' a STATIC; ");
    ck_assert_int_eq(flagver_bound_evaluate(bound, NULL, 0, &detail), 0);
    assert_seen("before s; after s: 'A' a STATIC; ");
    ck_assert_int_eq(flagver_flag_int(client, "s", NULL, 7), 7);
    assert_seen("before s; after s: - - ERROR TYPE_MISMATCH; ");
    ck_assert_double_eq(flagver_flag_double(client, "nope", NULL, 7.5), 7.5);
    assert_seen("before nope; after nope: - - ERROR FLAG_NOT_FOUND; ");
    ck_assert_str_eq(flagver_flag_json(client, "s", NULL, "x"), "x");
    assert_seen("before s; after s: - - ERROR TYPE_MISMATCH; ");
}
END_TEST

static bool go_on(void *data, const flagver_detail *detail)
{
    struct seen *from = data;

    fv_text_format(&from->text, "visit %s; ", detail->flag);
    return true;
}

START_TEST(a_hook_sees_each_of_all_flags)
{
    ck_assert_uint_eq(flagver_flag_all(client, NULL, go_on, &seen), 3);
    assert_seen("before f; after f: true on DEFAULT; visit f; "
                "before inner; after inner: true on STATIC; visit inner; "
                "before s; after s: 'A' a STATIC; visit s; ");
}
END_TEST

static bool ask_again(void *data, const flagver_detail *detail)
{
    (void)data;
    (void)detail;
    ck_assert(flagver_flag_bool(client, "inner", NULL, false));
    return false;
}

START_TEST(a_hook_sees_what_a_visitor_asks)
{
    ck_assert_uint_eq(flagver_flag_all(client, NULL, ask_again, &seen), 1);
    assert_seen("before f; after f: true on DEFAULT; "
                "before inner; after inner: true on STATIC; ");
}
END_TEST

START_TEST(a_hook_is_silent_for_what_is_asked_inside_of_it)
{
    seen.client = client;
    ck_assert(flagver_flag_bool(client, "f", NULL, false));
    assert_seen("before f; inside 1; after f: true on DEFAULT; inside 1; ");
    ck_assert(flagver_flag_bool(client, "f", NULL, false));
    assert_seen("before f; inside 1; after f: true on DEFAULT; inside 1; ");
}
END_TEST

START_TEST(a_thread_may_let_go_inside_a_hook)
{
    seen.client = client;
    seen.release = true;
    ck_assert(flagver_flag_bool(client, "f", NULL, false));
    assert_seen("before f; inside 1; after f: true on DEFAULT; inside 1; ");
    ck_assert_uint_eq(flagver_flag_all(client, NULL, go_on, &seen), 3);
    seen.release = false;
    fv_text_reset(&seen.text);
    ck_assert(flagver_flag_bool(client, "f", NULL, false));
    assert_seen("before f; inside 1; after f: true on DEFAULT; inside 1; ");
}
END_TEST

START_TEST(a_hook_does_not_see_snapshots_and_explanations)
{
    flagver_snapshot *snapshot = flagver_client_snapshot(client);
    flagver_detail detail = { .size = sizeof detail };
    char *json;

    ck_assert_int_eq(flagver_snapshot_evaluate(snapshot, "f", 1, NULL, 0, &detail), 0);
    assert_ok(flagver_flag_explain(client, "f", 1, NULL, &json, &error));
    flagver_string_free(json);
    flagver_snapshot_free(snapshot);
    assert_seen("");
}
END_TEST

/* A key with a length need not end in a NUL; the hook's does, and is cut off after 256 bytes. */
START_TEST(a_hook_is_told_the_flags_key_and_no_more)
{
    flagver_detail detail = { .size = sizeof detail };
    struct fv_text expected = FV_TEXT_INIT;
    char key[400];

    ck_assert_int_eq(flagver_flag_evaluate(client, "feature", 1, NULL, 0, &detail), 0);
    assert_seen("before f; after f: true on DEFAULT; ");
    flagver_flag_evaluate(client, "nobody knows", 6, NULL, 0, &detail);
    assert_seen("before nobody; after nobody: - - ERROR FLAG_NOT_FOUND; ");
    flagver_flag_evaluate(client, "", 0, NULL, 0, &detail);
    assert_seen("before ; after : - - ERROR FLAG_NOT_FOUND; ");

    memset(key, 'k', sizeof key);
    fv_text_format(&expected, "before %.256s; after %.400s: - - ERROR FLAG_NOT_FOUND; ", key, key);
    flagver_flag_evaluate(client, key, sizeof key, NULL, 0, &detail);
    assert_seen(expected.data);
    fv_text_clear(&expected);
}
END_TEST

START_TEST(half_a_hook_is_enough)
{
    flagver_close(client);
    open_hooked(before, NULL);
    ck_assert(flagver_flag_bool(client, "inner", NULL, false));
    ck_assert_uint_eq(flagver_flag_all(client, NULL, go_on, &seen), 3);
    assert_seen("before inner; before f; visit f; before inner; visit inner; before s; visit s; ");

    flagver_close(client);
    open_hooked(NULL, after);
    ck_assert(flagver_flag_bool(client, "inner", NULL, false));
    assert_seen("after inner: true on STATIC; ");

    flagver_close(client);
    open_hooked(NULL, NULL);
    ck_assert(flagver_flag_bool(client, "inner", NULL, false));
    assert_seen("");
}
END_TEST

/* ---- counters ---- */

static void note(void *data, const char *flag, const char *variant, uint64_t count)
{
    fv_text_format(data, "%s %s %" PRIu64 "; ", flag, variant ? variant : "-", count);
}

static void assert_counts(flagver_client *of, const char *expected)
{
    struct fv_text text = FV_TEXT_INIT;

    assert_ok(flagver_flag_counts(of, note, &text, &error));
    ck_assert_str_eq(text.data, expected);
    fv_text_clear(&text);
}

static const char counted[] =
    "{'flags': {'b': {'type': 'boolean', 'beta': ['u1']}, "
    "'a': {'type': 'string', 'variants': {'x': 'X', 'y': 'Y'}, 'default': 'x', "
    "'requires': [{'flag': 'b', 'variant': 'on'}]}}}";

START_TEST(what_is_served_is_counted)
{
    flagver_client *plain = client_of(counted, NULL);
    flagver_context *user = flagver_context_new("u1"), *other = flagver_context_new("u2");
    int i;

    assert_counts(plain, "");
    for (i = 0; i < 5; i++)
        ck_assert(flagver_flag_bool(plain, "b", user, false));
    ck_assert(!flagver_flag_bool(plain, "b", other, false));
    assert_counts(plain, "b off 1; b on 5; ");
    ck_assert_str_eq(flagver_flag_string(plain, "a", user, ""), "X");
    assert_counts(plain, "a x 1; b off 1; b on 5; ");
    flagver_context_free(user);
    flagver_context_free(other);
    flagver_close(plain);
}
END_TEST

START_TEST(an_error_is_counted_as_one)
{
    flagver_client *plain = client_of(counted, NULL);
    flagver_context *invalid = context_of("{'targetingKey': []}");
    flagver_detail detail = { .size = sizeof detail };

    ck_assert_int_eq(flagver_flag_int(plain, "b", NULL, 7), 7);
    ck_assert(flagver_flag_bool(plain, "b", invalid, true));
    flagver_flag_evaluate(plain, "b", 1, NULL, FLAGVER_TYPE_STRING, &detail);
    ck_assert_int_eq(flagver_flag_int(plain, "nope", NULL, 7), 7);
    assert_counts(plain, "b - 3; ");
    flagver_context_free(invalid);
    flagver_close(plain);
}
END_TEST

START_TEST(every_way_to_ask_counts_once)
{
    flagver_client *plain = client_of(counted, NULL);
    flagver_detail detail = { .size = sizeof detail };
    flagver_snapshot *snapshot;
    const flagver_bound *bound;
    char *json;

    assert_ok(flagver_flag_bind(plain, "b", &bound, &error));
    flagver_flag_bool(plain, "b", NULL, false);
    flagver_flag_bool_detail(plain, "b", NULL, false, &detail);
    flagver_flag_evaluate(plain, "b", 1, NULL, 0, &detail);
    flagver_bound_bool(bound, NULL, false);
    flagver_bound_evaluate(bound, NULL, 0, &detail);
    assert_counts(plain, "b off 5; ");
    ck_assert_uint_eq(flagver_flag_all(plain, NULL, go_on, &seen), 2);
    assert_counts(plain, "a x 1; b off 6; ");

    snapshot = flagver_client_snapshot(plain);
    flagver_snapshot_evaluate(snapshot, "b", 1, NULL, 0, &detail);
    assert_ok(flagver_flag_explain(plain, "b", 1, NULL, &json, &error));
    assert_counts(plain, "a x 1; b off 6; ");
    flagver_string_free(json);
    flagver_snapshot_free(snapshot);
    flagver_close(plain);
}
END_TEST

/* A plain getter asks once for what it cannot tell at first glance. */
START_TEST(numbers_of_the_other_type_count_once)
{
    flagver_client *plain = client_of(
        "{'flags': {'i': {'type': 'integer', 'variants': {'v': 5}, 'default': 'v'}, "
        "'d': {'type': 'double', 'variants': {'v': 5.0, 'w': 5.5}, 'default': 'v', "
        "'rules': [{'if': {'attr': 'x', 'op': 'exists', 'value': true}, "
        "'serve': 'w'}]}}}",
        NULL);
    flagver_context *context = context_of("{'x': 1}");

    ck_assert_double_eq(flagver_flag_double(plain, "i", NULL, 7), 5.0);
    ck_assert_int_eq(flagver_flag_int(plain, "d", NULL, 7), 5);
    ck_assert_int_eq(flagver_flag_int(plain, "d", context, 7), 7);
    assert_counts(plain, "d - 1; d v 1; i v 1; ");
    flagver_context_free(context);
    flagver_close(plain);
}
END_TEST

START_TEST(hooked_evaluations_count_too)
{
    seen.client = client;
    flagver_flag_bool(client, "f", NULL, false);
    flagver_flag_bool(client, "nope", NULL, false);
    assert_counts(client, "f on 1; inner on 4; ");
}
END_TEST

START_TEST(counts_of_one_name_are_summed_up_over_changes)
{
    flagver_client *plain = client_of(counted, NULL);

    flagver_flag_bool(plain, "b", NULL, false);
    assert_ok(load_into(plain, "{'flags': {'b': {'type': 'boolean', 'default': 'off'}}}"));
    flagver_flag_bool(plain, "b", NULL, false);
    assert_counts(plain, "b off 2; ");
    assert_ok(load_into(plain, "{'flags': {'b': {'type': 'integer', 'default': 'off', "
                               "'variants': {'off': 0, 'more': 1}}}}"));
    flagver_flag_int(plain, "b", NULL, 7);
    flagver_flag_bool(plain, "b", NULL, false);
    assert_counts(plain, "b - 1; b off 3; ");
    assert_ok(load_into(plain, "{'flags': {'b': {'type': 'integer', 'default': 'more', "
                               "'variants': {'off': 0, 'more': 1, 'most': 2}}}}"));
    flagver_flag_int(plain, "b", NULL, 7);
    assert_counts(plain, "b - 1; b more 1; b off 3; ");
    flagver_close(plain);
}
END_TEST

#define VARIANTS(list, served)                                                               \
    "{'flags': {'f': {'type': 'integer', 'variants': {" list "}, 'default': '" served "'}, " \
    "'z': {'type': 'boolean'}}}"

/* One list of names may be the beginning of the other. */
START_TEST(a_variant_more_or_less_has_its_own_count)
{
    flagver_client *plain = client_of(VARIANTS("'a': 1", "a"), NULL);

    flagver_flag_int(plain, "f", NULL, 7);
    assert_ok(load_into(plain, VARIANTS("'a': 1, 'b': 2, 'c': 3", "c")));
    flagver_flag_int(plain, "f", NULL, 7);
    flagver_flag_bool(plain, "z", NULL, false);
    assert_counts(plain, "f a 1; f c 1; z on 1; ");
    assert_ok(load_into(plain, VARIANTS("'a': 1, 'b': 2", "b")));
    flagver_flag_int(plain, "f", NULL, 7);
    flagver_flag_int(plain, "z", NULL, 7);
    assert_counts(plain, "f a 1; f b 1; f c 1; z - 1; z on 1; ");
    flagver_close(plain);
}
END_TEST

START_TEST(counts_outlive_their_flag)
{
    flagver_client *plain = client_of(counted, NULL);

    flagver_flag_bool(plain, "b", NULL, false);
    assert_ok(load_into(plain, "{}"));
    flagver_flag_bool(plain, "b", NULL, false);
    assert_counts(plain, "b off 1; ");
    assert_ok(load_into(plain, counted));
    flagver_flag_bool(plain, "b", NULL, false);
    assert_counts(plain, "b off 2; ");
    flagver_close(plain);
}
END_TEST

START_TEST(an_override_is_counted_as_its_variant)
{
    flagver_client *plain = client_of(counted, NULL);

    assert_ok(flagver_flag_override(plain, "b", "on", &error));
    flagver_flag_bool(plain, "b", NULL, false);
    assert_ok(flagver_flag_override(plain, "b", NULL, &error));
    flagver_flag_bool(plain, "b", NULL, false);
    assert_counts(plain, "b off 1; b on 1; ");
    flagver_close(plain);
}
END_TEST

static void *ask_1000_times(void *data)
{
    int i;

    for (i = 0; i < 1000; i++)
        flagver_flag_bool(data, "b", NULL, false);
    return NULL;
}

START_TEST(counts_of_all_threads_are_summed_up)
{
    flagver_client *plain = client_of(counted, NULL);
    pthread_t threads[4];
    int i;

    for (i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_1000_times, plain), 0);
    ask_1000_times(plain);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_counts(plain, "b off 5000; ");
    flagver_thread_release();
    assert_counts(plain, "b off 5000; ");
    ask_1000_times(plain);
    assert_counts(plain, "b off 6000; ");
    flagver_close(plain);
}
END_TEST

static void *ask_between(void *data)
{
    ask_1000_times(data);
    assert_ok(merge_into(data, "{'flags': {'c': {'type': 'boolean'}}}"));
    flagver_flag_bool(data, "c", NULL, false);
    ask_1000_times(data);
    return NULL;
}

START_TEST(a_thread_that_saw_more_flags_hands_over_all_counts)
{
    flagver_client *plain = client_of(counted, NULL);
    pthread_t thread;

    ask_1000_times(plain);
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_between, plain), 0);
    pthread_join(thread, NULL);
    assert_counts(plain, "b off 3000; c on 1; ");
    flagver_close(plain);
}
END_TEST

static Suite *hook_suite(void)
{
    Suite *suite = suite_create("hook");
    TCase *hook = tcase_create("hook");
    TCase *counters = tcase_create("counters");

    tcase_add_checked_fixture(hook, set_up, tear_down);
    tcase_add_test(hook, a_hook_sees_an_evaluation_begin_and_end);
    tcase_add_test(hook, a_hook_sees_every_way_to_ask);
    tcase_add_test(hook, a_hook_sees_each_of_all_flags);
    tcase_add_test(hook, a_hook_sees_what_a_visitor_asks);
    tcase_add_test(hook, a_hook_is_silent_for_what_is_asked_inside_of_it);
    tcase_add_test(hook, a_thread_may_let_go_inside_a_hook);
    tcase_add_test(hook, a_hook_does_not_see_snapshots_and_explanations);
    tcase_add_test(hook, a_hook_is_told_the_flags_key_and_no_more);
    tcase_add_test(hook, half_a_hook_is_enough);
    suite_add_tcase(suite, hook);

    tcase_add_checked_fixture(counters, set_up, tear_down);
    tcase_add_test(counters, what_is_served_is_counted);
    tcase_add_test(counters, an_error_is_counted_as_one);
    tcase_add_test(counters, every_way_to_ask_counts_once);
    tcase_add_test(counters, numbers_of_the_other_type_count_once);
    tcase_add_test(counters, hooked_evaluations_count_too);
    tcase_add_test(counters, counts_of_one_name_are_summed_up_over_changes);
    tcase_add_test(counters, a_variant_more_or_less_has_its_own_count);
    tcase_add_test(counters, counts_outlive_their_flag);
    tcase_add_test(counters, an_override_is_counted_as_its_variant);
    tcase_add_test(counters, counts_of_all_threads_are_summed_up);
    tcase_add_test(counters, a_thread_that_saw_more_flags_hands_over_all_counts);
    suite_add_tcase(suite, counters);
    return suite;
}

int main(void)
{
    return run_suite(hook_suite());
}
