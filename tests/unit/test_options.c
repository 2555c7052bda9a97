/*
 * Structs of options: of this version, of an earlier one, and of one to come.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#include "util/options.h"

struct known {
    size_t size;
    int32_t one, two;
    const char *three;
};

struct longer {
    struct known known;
    int64_t four;
};

START_TEST(nothing_is_all_defaults)
{
    struct known copy = { .one = 5, .three = "x" };

    assert_ok(fv_options_copy("options", NULL, &copy, sizeof copy, &error));
    ck_assert_uint_eq(copy.size, sizeof copy);
    ck_assert_int_eq(copy.one, 0);
    ck_assert_ptr_null(copy.three);
}
END_TEST

START_TEST(an_earlier_versions_options_lack_what_is_new)
{
    const struct known given = { offsetof(struct known, two), 1, 2, "three" };
    struct known copy;

    assert_ok(fv_options_copy("options", &given, &copy, sizeof copy, &error));
    ck_assert_uint_eq(copy.size, sizeof copy);
    ck_assert_int_eq(copy.one, 1);
    ck_assert_int_eq(copy.two, 0);
    ck_assert_ptr_null(copy.three);
}
END_TEST

START_TEST(a_later_versions_options_must_not_say_more)
{
    struct longer given = { { sizeof given, 1, 2, "three" }, 0 };
    struct known copy = { .one = 77 };

    assert_ok(fv_options_copy("options", &given, &copy, sizeof copy, &error));
    ck_assert_int_eq(copy.two, 2);
    ck_assert_str_eq(copy.three, "three");
    copy.one = 77;
    given.four = (int64_t)1 << 56;
    assert_fails(FLAGVER_EINVAL,
                 fv_options_copy("the options", &given, &copy, sizeof copy, &error));
    assert_words("the options");
    ck_assert_int_eq(copy.one, 77);
}
END_TEST

START_TEST(a_size_that_was_forgotten_is_found_out)
{
    struct known given = { 0, 1, 2, NULL }, copy;

    assert_fails(FLAGVER_EINVAL, fv_options_copy("options", &given, &copy, sizeof copy, &error));
    assert_words("options.size is 0");
    given.size = sizeof given.size - 1;
    assert_fails(FLAGVER_EINVAL, fv_options_copy("options", &given, &copy, sizeof copy, &error));
}
END_TEST

/* ---- every call that takes some ---- */

static bool ignore_version(void *data, const flagver_version *version)
{
    (void)data;
    (void)version;
    return true;
}

/* Hands out options with a tail, which is zero or not. */
#define WITH_TAIL(type, name) \
    struct {                  \
        type known;           \
        int64_t tail;         \
    } name = { .known = { .size = sizeof name } }

START_TEST(every_call_looks_at_the_tail)
{
    WITH_TAIL(flagver_options, opening);
    WITH_TAIL(flagver_actor, actor);
    WITH_TAIL(flagver_txn_options, beginning);
    WITH_TAIL(flagver_write_options, writing);
    WITH_TAIL(flagver_list_options, listing);
    const int expected = _i ? FLAGVER_EINVAL : 0;
    flagver_client *client = open_store(0), *other;
    flagver_txn *txn, *second;
    int r;

    opening.tail = actor.tail = beginning.tail = writing.tail = listing.tail = _i;
    actor.known.id = "alice";
    r = flagver_open("memory:", &opening.known, &other, &error);
    ck_assert_int_eq(r, expected);
    if (r == 0)
        flagver_close(other);
    txn = begin(client);
    r = flagver_txn_begin(client, &actor.known, NULL, &second, &error);
    ck_assert_int_eq(r, expected);
    if (r == 0)
        flagver_txn_free(second);
    r = flagver_txn_begin(client, &alice, &beginning.known, &second, &error);
    ck_assert_int_eq(r, expected);
    if (r == 0)
        flagver_txn_free(second);
    ck_assert_int_eq(try_put(txn, FLAGVER_PHASE_FLAG, "f", SIMPLE, &writing.known, NULL), expected);
    ck_assert_int_eq(flagver_flags_apply(txn, "{}", 2, NULL, false, &writing.known, &error),
                     expected);
    flagver_txn_free(txn);
    ck_assert_int_eq(flagver_version_list(client, FLAGVER_PHASE_FLAG, &listing.known,
                                          ignore_version, NULL, &error),
                     expected);
    ck_assert_int_eq(flagver_version_history(client, FLAGVER_PHASE_FLAG, "f", &listing.known,
                                             ignore_version, NULL, &error),
                     expected);
    flagver_close(client);
}
END_TEST

static Suite *options_suite(void)
{
    Suite *suite = suite_create("options");
    TCase *copying = add_store_tcase(suite, "copying"), *calls = add_store_tcase(suite, "calls");

    tcase_add_test(copying, nothing_is_all_defaults);
    tcase_add_test(copying, an_earlier_versions_options_lack_what_is_new);
    tcase_add_test(copying, a_later_versions_options_must_not_say_more);
    tcase_add_test(copying, a_size_that_was_forgotten_is_found_out);

    tcase_add_loop_test(calls, every_call_looks_at_the_tail, 0, 2);
    return suite;
}

int main(void)
{
    return run_store_suite(options_suite());
}
