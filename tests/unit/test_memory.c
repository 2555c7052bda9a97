#include "util/memory.h"

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* An allocator that counts, and that has so many allocations left. */
struct counted {
    int allocations, releases, live, left;
};

static void *allocate(void *data, size_t size)
{
    struct counted *counted = data;

    if (counted->left-- <= 0)
        return NULL;
    counted->allocations++;
    counted->live++;
    return malloc(size);
}

static void *reallocate(void *data, void *block, size_t size)
{
    struct counted *counted = data;

    if (counted->left-- <= 0)
        return NULL;
    counted->allocations++;
    if (!block)
        counted->live++;
    return realloc(block, size);
}

static void release(void *data, void *block)
{
    struct counted *counted = data;

    counted->releases++;
    counted->live--;
    free(block);
}

static struct counted counted;
static const flagver_allocator memory = { allocate, reallocate, release, &counted };

static void set_up(void)
{
    counted = (struct counted){ .left = 1000000 };
}

START_TEST(zero_bytes_are_a_block_too)
{
    const flagver_allocator *const allocators[] = { NULL, &memory };
    void *block;
    int i;

    for (i = 0; i < COUNT(allocators); i++) {
        block = fv_allocate(allocators[i], 0);
        ck_assert_ptr_nonnull(block);
        block = fv_reallocate(allocators[i], block, 0);
        ck_assert_ptr_nonnull(block);
        fv_release(allocators[i], block);
        block = fv_allocate_zeroed(allocators[i], 0, 8);
        ck_assert_ptr_nonnull(block);
        fv_release(allocators[i], block);
        block = fv_allocate_zeroed(allocators[i], 8, 0);
        ck_assert_ptr_nonnull(block);
        fv_release(allocators[i], block);
    }
    ck_assert_int_eq(counted.live, 0);
}
END_TEST

START_TEST(releasing_nothing_is_fine)
{
    fv_release(NULL, NULL);
    fv_release(&memory, NULL);
    ck_assert_int_eq(counted.releases, 0);
}
END_TEST

START_TEST(zeroed_memory_is_zero)
{
    const flagver_allocator *const allocators[] = { NULL, &memory };
    unsigned char *block;
    int i, j;

    for (i = 0; i < COUNT(allocators); i++) {
        block = fv_allocate(allocators[i], 100);
        memset(block, 0xff, 100);
        fv_release(allocators[i], block);
        block = fv_allocate_zeroed(allocators[i], 10, 10);
        for (j = 0; j < 100; j++)
            ck_assert_uint_eq(block[j], 0);
        fv_release(allocators[i], block);
    }
}
END_TEST

START_TEST(a_size_that_overflows_is_refused)
{
    struct fv_arena arena;

    ck_assert_ptr_null(fv_allocate_zeroed(NULL, SIZE_MAX / 2 + 2, 2));
    ck_assert_ptr_null(fv_allocate_zeroed(&memory, SIZE_MAX, 2));
    ck_assert_int_eq(counted.allocations, 0);

    fv_arena_init(&arena, &memory, 64);
    ck_assert_ptr_null(fv_arena_allocate_zeroed(&arena, SIZE_MAX / 2 + 2, 2));
    ck_assert_ptr_null(fv_arena_allocate(&arena, SIZE_MAX));
    ck_assert_ptr_null(fv_arena_string(&arena, "", SIZE_MAX));
    ck_assert_int_eq(counted.allocations, 0);
    fv_arena_clear(&arena);
}
END_TEST

START_TEST(an_array_grows_when_it_is_full)
{
    uint64_t *numbers = NULL;
    size_t capacity = 0, count;

    for (count = 0; count < 1000; count++) {
        ck_assert(fv_grow(&memory, (void **)&numbers, &capacity, count, sizeof *numbers));
        ck_assert_uint_gt(capacity, count);
        numbers[count] = count;
    }
    for (count = 0; count < 1000; count++)
        ck_assert_uint_eq(numbers[count], count);
    ck_assert_int_lt(counted.allocations, 12);
    fv_release(&memory, numbers);
}
END_TEST

START_TEST(an_array_that_cannot_grow_stays_as_it_was)
{
    uint64_t *numbers = NULL, *before;
    size_t capacity = 0;

    ck_assert(fv_grow(&memory, (void **)&numbers, &capacity, 0, sizeof *numbers));
    numbers[0] = 7;
    before = numbers;
    counted.left = 0;
    ck_assert(!fv_grow(&memory, (void **)&numbers, &capacity, capacity, sizeof *numbers));
    ck_assert_ptr_eq(numbers, before);
    ck_assert_uint_eq(numbers[0], 7);
    ck_assert_uint_eq(capacity, 8);
    fv_release(&memory, numbers);

    capacity = SIZE_MAX / 16;
    numbers = NULL;
    ck_assert(!fv_grow(NULL, (void **)&numbers, &capacity, capacity, 16));
}
END_TEST

START_TEST(blocks_of_an_arena_are_aligned_and_apart)
{
    unsigned char *blocks[300];
    struct fv_arena arena;
    size_t i, j;

    fv_arena_init(&arena, &memory, 48);
    for (i = 0; i < 300; i++) {
        blocks[i] = fv_arena_allocate(&arena, i % 40);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 8, 0);
        memset(blocks[i], (int)(i % 251), i % 40);
    }
    for (i = 0; i < 300; i++)
        for (j = 0; j < i % 40; j++)
            ck_assert_uint_eq(blocks[i][j], i % 251);
    fv_arena_clear(&arena);
    ck_assert_int_eq(counted.live, 0);
}
END_TEST

START_TEST(what_fits_into_the_first_chunk_is_one_allocation)
{
    struct fv_arena arena;
    int i;

    fv_arena_init(&arena, &memory, 64);
    ck_assert_int_eq(counted.allocations, 0);
    for (i = 0; i < 8; i++)
        ck_assert_ptr_nonnull(fv_arena_allocate(&arena, 8));
    ck_assert_int_eq(counted.allocations, 1);
    ck_assert_ptr_nonnull(fv_arena_allocate(&arena, 1));
    ck_assert_int_eq(counted.allocations, 2);
    fv_arena_clear(&arena);
}
END_TEST

START_TEST(chunks_grow_with_the_total)
{
    struct fv_arena arena;
    int i;

    fv_arena_init(&arena, &memory, 64);
    for (i = 0; i < 100000; i++)
        ck_assert_ptr_nonnull(fv_arena_allocate(&arena, 16));
    ck_assert_int_lt(counted.allocations, 100);
    fv_arena_clear(&arena);
    ck_assert_int_eq(counted.live, 0);
}
END_TEST

START_TEST(a_block_larger_than_a_chunk_is_fine)
{
    struct fv_arena arena;
    char *block;

    fv_arena_init(&arena, &memory, 16);
    block = fv_arena_allocate_zeroed(&arena, 1000, 1000);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(block[999999], 0);
    ck_assert_ptr_nonnull(fv_arena_allocate(&arena, 0));
    fv_arena_clear(&arena);
}
END_TEST

START_TEST(a_string_is_copied_and_ends_in_a_nul)
{
    struct fv_arena arena;
    char *copy;

    fv_arena_init(&arena, NULL, 16);
    copy = fv_arena_string(&arena, "abcdef", 3);
    ck_assert_str_eq(copy, "abc");
    copy = fv_arena_string(&arena, "a\0c", 3);
    ck_assert_mem_eq(copy, "a\0c", 4);
    copy = fv_arena_string(&arena, NULL, 0);
    ck_assert_str_eq(copy, "");
    fv_arena_clear(&arena);
}
END_TEST

START_TEST(a_reset_arena_keeps_one_chunk)
{
    struct fv_arena arena;
    int i;

    fv_arena_init(&arena, &memory, 64);
    fv_arena_reset(&arena);
    for (i = 0; i < 1000; i++)
        fv_arena_allocate(&arena, 64);
    fv_arena_reset(&arena);
    ck_assert_int_eq(counted.live, 1);

    counted.allocations = 0;
    ck_assert_ptr_nonnull(fv_arena_allocate(&arena, 64));
    ck_assert_int_eq(counted.allocations, 0);
    fv_arena_clear(&arena);
    ck_assert_int_eq(counted.live, 0);
    ck_assert_ptr_nonnull(fv_arena_allocate(&arena, 64));
    fv_arena_clear(&arena);
    fv_arena_clear(&arena);
}
END_TEST

START_TEST(an_arena_without_memory_goes_on_later)
{
    struct fv_arena arena;
    char *first;

    fv_arena_init(&arena, &memory, 16);
    counted.left = 0;
    ck_assert_ptr_null(fv_arena_allocate(&arena, 8));
    ck_assert_ptr_null(fv_arena_string(&arena, "a", 1));
    ck_assert_ptr_null(fv_arena_allocate_zeroed(&arena, 1, 8));
    counted.left = 1;
    first = fv_arena_string(&arena, "a", 1);
    ck_assert_str_eq(first, "a");
    ck_assert_ptr_null(fv_arena_allocate(&arena, 100));
    ck_assert_str_eq(first, "a");
    fv_arena_clear(&arena);
    ck_assert_int_eq(counted.live, 0);
}
END_TEST

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, zero_bytes_are_a_block_too);
    tcase_add_test(tcase, releasing_nothing_is_fine);
    tcase_add_test(tcase, zeroed_memory_is_zero);
    tcase_add_test(tcase, a_size_that_overflows_is_refused);
    tcase_add_test(tcase, an_array_grows_when_it_is_full);
    tcase_add_test(tcase, an_array_that_cannot_grow_stays_as_it_was);
    tcase_add_test(tcase, blocks_of_an_arena_are_aligned_and_apart);
    tcase_add_test(tcase, what_fits_into_the_first_chunk_is_one_allocation);
    tcase_add_test(tcase, chunks_grow_with_the_total);
    tcase_add_test(tcase, a_block_larger_than_a_chunk_is_fine);
    tcase_add_test(tcase, a_string_is_copied_and_ends_in_a_nul);
    tcase_add_test(tcase, a_reset_arena_keeps_one_chunk);
    tcase_add_test(tcase, an_arena_without_memory_goes_on_later);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(memory_suite());
}
