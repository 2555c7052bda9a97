#include "model/keyset.h"

#include <stdio.h>

#include "model/fold.h"
#include "support.h"
#include "util/hash.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

static struct fv_arena arena;
static struct fv_keyset set;

static void set_up(void)
{
    fv_arena_init(&arena, NULL, 256);
    memset(&set, 0, sizeof set);
}

static void tear_down(void)
{
    fv_arena_clear(&arena);
}

static struct fv_key key(const char *text, uint32_t tag)
{
    return (struct fv_key){ text, (uint32_t)strlen(text), tag };
}

static int build(const struct fv_key *keys, size_t count, bool folded)
{
    size_t conflict = 999;
    int r = fv_keyset_build(&arena, keys, count, folded, &set, &conflict);

    ck_assert_int_eq(r, 0);
    return r;
}

static int32_t find_bytes(const char *text, size_t length)
{
    return fv_keyset_find(&set, text, length, fv_hash(text, length));
}

static int32_t find(const char *text)
{
    return find_bytes(text, strlen(text));
}

START_TEST(an_empty_set_holds_nothing)
{
    ck_assert_int_eq(find(""), -1);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "a", 1), -1);
    build(NULL, 0, false);
    ck_assert_uint_eq(set.count, 0);
    ck_assert_int_eq(find(""), -1);
    ck_assert_int_eq(find("a"), -1);
}
END_TEST

START_TEST(a_key_has_its_tag)
{
    const struct fv_key keys[] = { key("a", 0), key("b", 1), key("ab", 65535), key("", 7) };

    build(keys, 4, false);
    ck_assert_uint_eq(set.count, 4);
    ck_assert_int_eq(find("a"), 0);
    ck_assert_int_eq(find("b"), 1);
    ck_assert_int_eq(find("ab"), 65535);
    ck_assert_int_eq(find(""), 7);
    ck_assert_int_eq(find("c"), -1);
    ck_assert_int_eq(find("A"), -1);
    ck_assert_int_eq(find("abc"), -1);
}
END_TEST

START_TEST(a_key_is_bytes_with_a_length)
{
    const struct fv_key keys[] = { { "a\0b", 3, 1 }, { "a\0c", 3, 2 }, { "abc", 2, 3 } };

    build(keys, 3, false);
    ck_assert_int_eq(find_bytes("a\0b", 3), 1);
    ck_assert_int_eq(find_bytes("a\0c", 3), 2);
    ck_assert_int_eq(find_bytes("a\0d", 3), -1);
    ck_assert_int_eq(find("a"), -1);
    ck_assert_int_eq(find("ab"), 3);
    ck_assert_int_eq(find("abc"), -1);
}
END_TEST

START_TEST(keys_are_copied)
{
    char text[] = "name";
    struct fv_key keys[1];

    keys[0] = key(text, 3);
    build(keys, 1, false);
    text[0] = 'X';
    ck_assert_int_eq(find("name"), 3);
    ck_assert_int_eq(find("Xame"), -1);
}
END_TEST

/* Around the length from which on an entry is written in another form. */
START_TEST(keys_have_any_length)
{
    static const uint32_t lengths[] = { 0, 1, 7, 8, 253, 254, 255, 256, 257, 65535, 65536, 300000 };
    struct fv_key keys[COUNT(lengths)];
    char *text = malloc(300001);
    int i;

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', 300001);
    for (i = 0; i < COUNT(lengths); i++)
        keys[i] = (struct fv_key){ text, lengths[i], (uint32_t)i };
    build(keys, COUNT(lengths), false);
    for (i = 0; i < COUNT(lengths); i++)
        ck_assert_int_eq(find_bytes(text, lengths[i]), i);
    ck_assert_int_eq(find_bytes(text, 2), -1);
    ck_assert_int_eq(find_bytes(text, 258), -1);
    ck_assert_int_eq(find_bytes(text, 300001), -1);
    free(text);
}
END_TEST

START_TEST(a_key_twice_with_one_tag_is_harmless)
{
    const struct fv_key keys[] = { key("a", 4), key("b", 5), key("a", 4), key("a", 4) };

    build(keys, 4, false);
    ck_assert_uint_eq(set.count, 2);
    ck_assert_int_eq(find("a"), 4);
    ck_assert_int_eq(find("b"), 5);
}
END_TEST

START_TEST(a_key_with_two_tags_is_refused)
{
    const struct fv_key keys[] = { key("a", 4), key("b", 5), key("c", 4), key("b", 4),
                                   key("a", 5) };
    size_t conflict = 999;

    ck_assert_int_eq(fv_keyset_build(&arena, keys, 5, false, &set, &conflict), FLAGVER_EINVAL);
    ck_assert_uint_eq(conflict, 3);
    ck_assert_uint_eq(set.count, 0);
}
END_TEST

START_TEST(many_keys_are_all_found)
{
    enum { MANY = 20000 };
    struct fv_key *keys = malloc(MANY * sizeof *keys);
    char(*names)[24] = malloc(MANY * sizeof *names), other[24];
    int i;

    ck_assert(keys && names);
    for (i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "user-%d", i);
        keys[i] = key(names[i], (uint32_t)i % 65536);
    }
    build(keys, MANY, false);
    ck_assert_uint_eq(set.count, MANY);
    for (i = 0; i < MANY; i++) {
        ck_assert_int_eq(find(names[i]), i % 65536);
        snprintf(other, sizeof other, "other-%d", i);
        ck_assert_int_eq(find(other), -1);
    }
    free(keys);
    free(names);
}
END_TEST

START_TEST(a_folded_set_is_asked_in_any_case)
{
    static const char *const texts[] = { "ABC", "Straße", "ΣΑΣ", "" };
    struct fv_key keys[COUNT(texts)];
    char folded[COUNT(texts)][64];
    int i;

    for (i = 0; i < COUNT(texts); i++) {
        keys[i].text = folded[i];
        keys[i].length = (uint32_t)fv_fold_text(texts[i], strlen(texts[i]), folded[i]);
        keys[i].tag = 0;
    }
    build(keys, COUNT(texts), true);
    ck_assert(set.folded);
    for (i = 0; i < COUNT(texts); i++)
        ck_assert_int_eq(fv_keyset_find_folded(&set, texts[i], strlen(texts[i])), 0);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "abc", 3), 0);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "aBc", 3), 0);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "STRAẞE", strlen("STRAẞE")), 0);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "σας", strlen("σας")), 0);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "strasse", 7), -1);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "ab", 2), -1);
    ck_assert_int_eq(fv_keyset_find_folded(&set, "abcd", 4), -1);
}
END_TEST

static Suite *keyset_suite(void)
{
    Suite *suite = suite_create("keyset");
    TCase *tcase = tcase_create("keyset");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_empty_set_holds_nothing);
    tcase_add_test(tcase, a_key_has_its_tag);
    tcase_add_test(tcase, a_key_is_bytes_with_a_length);
    tcase_add_test(tcase, keys_are_copied);
    tcase_add_test(tcase, keys_have_any_length);
    tcase_add_test(tcase, a_key_twice_with_one_tag_is_harmless);
    tcase_add_test(tcase, a_key_with_two_tags_is_refused);
    tcase_add_test(tcase, many_keys_are_all_found);
    tcase_add_test(tcase, a_folded_set_is_asked_in_any_case);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(keyset_suite());
}
