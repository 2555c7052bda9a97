#include "util/map.h"

#include <stdio.h>

#include "support.h"

static struct fv_map map;

static void set_up(void)
{
    fv_map_init(&map, NULL);
}

static void tear_down(void)
{
    fv_map_clear(&map);
}

static uint32_t add(const char *name)
{
    return fv_map_add(&map, name, strlen(name));
}

static uint32_t find(const char *name)
{
    return fv_map_find(&map, name, strlen(name));
}

START_TEST(names_are_numbered_as_they_come)
{
    ck_assert_uint_eq(add("b"), 0);
    ck_assert_uint_eq(add("a"), 1);
    ck_assert_uint_eq(add("c"), 2);
    ck_assert_uint_eq(map.count, 3);
    ck_assert_str_eq(map.names[1].text, "a");
    ck_assert_uint_eq(map.names[1].length, 1);
}
END_TEST

START_TEST(a_name_keeps_its_number)
{
    ck_assert_uint_eq(add("a"), 0);
    ck_assert_uint_eq(add("b"), 1);
    ck_assert_uint_eq(add("a"), 0);
    ck_assert_uint_eq(map.count, 2);
    ck_assert_uint_eq(find("a"), 0);
    ck_assert_uint_eq(find("b"), 1);
}
END_TEST

START_TEST(looking_adds_nothing)
{
    ck_assert_uint_eq(find("a"), FV_MAP_NONE);
    ck_assert_uint_eq(map.count, 0);
    ck_assert_uint_eq(add("b"), 0);
    ck_assert_uint_eq(find("a"), FV_MAP_NONE);
    ck_assert_uint_eq(map.count, 1);
}
END_TEST

START_TEST(a_name_is_bytes_with_a_length)
{
    ck_assert_uint_eq(fv_map_add(&map, "a\0b", 3), 0);
    ck_assert_uint_eq(fv_map_add(&map, "a\0c", 3), 1);
    ck_assert_uint_eq(fv_map_add(&map, "a", 1), 2);
    ck_assert_uint_eq(fv_map_add(&map, "", 0), 3);
    ck_assert_uint_eq(fv_map_add(&map, "abc", 2), 4);
    ck_assert_uint_eq(fv_map_add(&map, "\xff\xfe", 2), 5);
    ck_assert_uint_eq(fv_map_find(&map, "a\0b", 3), 0);
    ck_assert_uint_eq(fv_map_find(&map, "a\0c", 3), 1);
    ck_assert_uint_eq(fv_map_find(&map, "", 0), 3);
    ck_assert_uint_eq(find("ab"), 4);
    ck_assert_uint_eq(find("abc"), FV_MAP_NONE);
}
END_TEST

START_TEST(names_are_copied)
{
    char name[] = "name";

    add(name);
    name[0] = 'X';
    ck_assert_uint_eq(find("name"), 0);
    ck_assert_str_eq(map.names[0].text, "name");
    ck_assert_ptr_ne(map.names[0].text, name);
}
END_TEST

START_TEST(texts_stay_where_they_are_while_the_map_grows)
{
    const char *first;
    char name[32];
    uint32_t i;

    add("first");
    first = map.names[0].text;
    for (i = 1; i < 20000; i++) {
        snprintf(name, sizeof name, "name %u", (unsigned)i);
        ck_assert_uint_eq(add(name), i);
    }
    ck_assert_ptr_eq(map.names[0].text, first);
    ck_assert_str_eq(first, "first");
    for (i = 1; i < 20000; i++) {
        snprintf(name, sizeof name, "name %u", (unsigned)i);
        ck_assert_uint_eq(find(name), i);
        snprintf(name, sizeof name, "other %u", (unsigned)i);
        ck_assert_uint_eq(find(name), FV_MAP_NONE);
    }
}
END_TEST

START_TEST(a_cleared_map_is_empty_and_can_be_used_again)
{
    add("a");
    fv_map_clear(&map);
    ck_assert_uint_eq(map.count, 0);
    ck_assert_uint_eq(find("a"), FV_MAP_NONE);
    ck_assert_uint_eq(add("b"), 0);
    fv_map_clear(&map);
    fv_map_clear(&map);
}
END_TEST

START_TEST(a_name_may_be_long)
{
    size_t length = 300000;
    char *name = malloc(length);

    ck_assert_ptr_nonnull(name);
    memset(name, 'x', length);
    ck_assert_uint_eq(fv_map_add(&map, name, length), 0);
    ck_assert_uint_eq(fv_map_add(&map, name, length - 1), 1);
    ck_assert_uint_eq(fv_map_find(&map, name, length), 0);
    free(name);
}
END_TEST

/* Memory that is short after so many allocations. */
static int left;

static void *allocate(void *data, size_t size)
{
    (void)data;
    return left-- > 0 ? malloc(size) : NULL;
}

static void *reallocate(void *data, void *block, size_t size)
{
    (void)data;
    return left-- > 0 ? realloc(block, size) : NULL;
}

static void release(void *data, void *block)
{
    (void)data;
    free(block);
}

START_TEST(without_memory_nothing_is_added)
{
    const flagver_allocator memory = { allocate, reallocate, release, NULL };
    struct fv_map scarce;
    char name[32];
    uint32_t i, added = 0;

    fv_map_init(&scarce, &memory);
    for (i = 0; i < 2000; i++) {
        left = (int)(i % 3);
        snprintf(name, sizeof name, "name %u", (unsigned)i);
        if (fv_map_add(&scarce, name, strlen(name)) == FV_MAP_NONE) {
            ck_assert_uint_eq(scarce.count, added);
            ck_assert_uint_eq(fv_map_find(&scarce, name, strlen(name)), FV_MAP_NONE);
            left = 10;
            ck_assert_uint_eq(fv_map_add(&scarce, name, strlen(name)), added);
        }
        ck_assert_uint_eq(fv_map_find(&scarce, name, strlen(name)), added++);
    }
    for (i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "name %u", (unsigned)i);
        ck_assert_uint_eq(fv_map_find(&scarce, name, strlen(name)), i);
    }
    fv_map_clear(&scarce);
}
END_TEST

static Suite *map_suite(void)
{
    Suite *suite = suite_create("map");
    TCase *tcase = tcase_create("map");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, names_are_numbered_as_they_come);
    tcase_add_test(tcase, a_name_keeps_its_number);
    tcase_add_test(tcase, looking_adds_nothing);
    tcase_add_test(tcase, a_name_is_bytes_with_a_length);
    tcase_add_test(tcase, names_are_copied);
    tcase_add_test(tcase, texts_stay_where_they_are_while_the_map_grows);
    tcase_add_test(tcase, a_cleared_map_is_empty_and_can_be_used_again);
    tcase_add_test(tcase, a_name_may_be_long);
    tcase_add_test(tcase, without_memory_nothing_is_added);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(map_suite());
}
