/*
 * SHA-256 and random bytes: that they are what they say.
 */
#define _POSIX_C_SOURCE 200809L /* pthread_barrier_t */
#include "crypto/crypto.h"

#include <pthread.h>
#include <stdio.h>

#include "support.h"

static struct fv_crypto *crypto;

static void make_crypto(void)
{
    crypto = fv_crypto_new();
    ck_assert_ptr_nonnull(crypto);
}

static void free_crypto(void)
{
    fv_crypto_free(crypto);
}

static void assert_digest(struct fv_digest *digest, const char *expected)
{
    uint8_t hash[FV_DIGEST_SIZE];
    char text[2 * FV_DIGEST_SIZE + 1];
    int i;

    ck_assert(fv_digest_end(digest, hash));
    for (i = 0; i < FV_DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    ck_assert_str_eq(text, expected);
}

/* FIPS 180-4, appendix B of its examples, and the empty text. */
static const struct {
    const char *text, *hash;
} vectors[] = {
    { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};
#define VECTORS ((int)(sizeof vectors / sizeof *vectors))

START_TEST(a_text_has_the_digest_of_the_standard)
{
    struct fv_digest *digest = fv_digest_new(crypto);

    ck_assert_ptr_nonnull(digest);
    fv_digest_start(digest);
    fv_digest_add(digest, vectors[_i].text, strlen(vectors[_i].text));
    assert_digest(digest, vectors[_i].hash);
    fv_digest_free(digest);
}
END_TEST

START_TEST(a_million_bytes_in_pieces_have_the_digest_of_the_whole)
{
    struct fv_digest *digest = fv_digest_new(crypto);
    char piece[999];
    size_t left = 1000000, now;

    memset(piece, 'a', sizeof piece);
    ck_assert_ptr_nonnull(digest);
    fv_digest_start(digest);
    while (left > 0) {
        now = left < sizeof piece ? left : sizeof piece;
        fv_digest_add(digest, piece, now);
        fv_digest_add(digest, NULL, 0);
        left -= now;
    }
    assert_digest(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    fv_digest_free(digest);
}
END_TEST

START_TEST(a_start_forgets_what_was_before)
{
    struct fv_digest *digest = fv_digest_new(crypto);

    ck_assert_ptr_nonnull(digest);
    fv_digest_start(digest);
    fv_digest_add(digest, "something else", 14);
    fv_digest_start(digest);
    fv_digest_add(digest, "abc", 3);
    assert_digest(digest, vectors[1].hash);
    fv_digest_start(digest);
    assert_digest(digest, vectors[0].hash);
    fv_digest_free(digest);
}
END_TEST

START_TEST(random_bytes_differ_each_time)
{
    uint8_t one[32] = { 0 }, two[32] = { 0 };

    ck_assert(fv_random(one, sizeof one));
    ck_assert(fv_random(two, sizeof two));
    ck_assert_mem_ne(one, two, sizeof one);
}
END_TEST

static pthread_barrier_t used, freed;

static void *use_and_stay(void *unused)
{
    struct fv_digest *digest = fv_digest_new(crypto);
    uint8_t bytes[700] = { 0 };

    ck_assert(fv_random(bytes, sizeof bytes));
    fv_digest_start(digest);
    fv_digest_add(digest, bytes, sizeof bytes);
    ck_assert(fv_digest_end(digest, bytes));
    fv_digest_free(digest);
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&freed);
    return unused;
}

/* OpenSSL keeps state for each thread, and with some of its calls that state outlives the context. */
START_TEST(a_thread_that_used_it_may_end_later)
{
    pthread_t thread;

    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&freed, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, use_and_stay, NULL), 0);
    pthread_barrier_wait(&used);
    fv_crypto_free(crypto);
    crypto = NULL;
    pthread_barrier_wait(&freed);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(all_of_what_was_asked_for_is_random)
{
    uint8_t bytes[2000] = { 0 };
    size_t i, zeros = 0;

    ck_assert(fv_random(bytes, sizeof bytes));
    for (i = 0; i < sizeof bytes; i++)
        zeros += bytes[i] == 0;
    ck_assert_uint_lt(zeros, 60); /* 8 are to be expected */
}
END_TEST

START_TEST(freeing_nothing_is_fine)
{
    fv_digest_free(NULL);
    fv_crypto_free(NULL);
}
END_TEST

static Suite *crypto_suite(void)
{
    Suite *suite = suite_create("crypto");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, make_crypto, free_crypto);
    tcase_add_loop_test(all, a_text_has_the_digest_of_the_standard, 0, VECTORS);
    tcase_add_test(all, a_million_bytes_in_pieces_have_the_digest_of_the_whole);
    tcase_add_test(all, a_start_forgets_what_was_before);
    tcase_add_test(all, random_bytes_differ_each_time);
    tcase_add_test(all, all_of_what_was_asked_for_is_random);
    tcase_add_test(all, a_thread_that_used_it_may_end_later);
    tcase_add_test(all, freeing_nothing_is_fine);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(crypto_suite());
}
