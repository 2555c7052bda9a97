/*
 * Sealed bytes: they open to what was sealed, and what was touched does not open at all.
 */
#include "crypto/aead.h"

#include <openssl/err.h>
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

static flagver_bytes bytes_of(const void *data, size_t length)
{
    return (flagver_bytes){ data, length };
}

static flagver_bytes text(const char *words)
{
    return bytes_of(words, strlen(words));
}

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t i, length = strlen(hex) / 2;
    unsigned byte;

    for (i = 0; i < length; i++) {
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return length;
}

/* ---- the standard ---- */

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define KEY "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"

/* The specification of GCM as it was submitted to NIST, test cases 13 to 16. */
static const struct {
    const char *key, *nonce, *about, *plain, *cipher, *tag;
} vectors[] = {
    { ZEROS, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b" },
    { ZEROS, "000000000000000000000000", "", "00000000000000000000000000000000",
      "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
    { KEY, "cafebabefacedbaddecaf888", "",
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
      "b094dac5d93471bdec1a502270e3cc6c" },
    { KEY, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
      "76fc6ece0f4e1768cddf8853bb2d551b" },
};
#define VECTORS ((int)(sizeof vectors / sizeof *vectors))

START_TEST(what_the_standard_sealed_opens)
{
    uint8_t key[32], about[32], plain[64], sealed[128] = { FV_AEAD_FORM }, out[64];
    size_t about_length, plain_length, length = 1;

    ck_assert_uint_eq(unhex(vectors[_i].key, key), sizeof key);
    about_length = unhex(vectors[_i].about, about);
    plain_length = unhex(vectors[_i].plain, plain);
    length += unhex(vectors[_i].nonce, sealed + length);
    length += unhex(vectors[_i].cipher, sealed + length);
    length += unhex(vectors[_i].tag, sealed + length);

    ck_assert_uint_eq(length, plain_length + FV_AEAD_EXTRA);
    ck_assert_int_eq(
        fv_aead_open(crypto, key, bytes_of(about, about_length), bytes_of(sealed, length), out), 0);
    ck_assert_mem_eq(out, plain, plain_length);
}
END_TEST

/* ---- our own ---- */

static const uint8_t key[32] = "a key of exactly thirty-two byte";

START_TEST(what_was_sealed_opens_to_itself)
{
    static const size_t lengths[] = { 0, 1, 15, 16, 17, 4096, 100001 };
    size_t length = lengths[_i];
    uint8_t *plain = malloc(length + 1), *out = malloc(length + 1),
            *sealed = malloc(length + FV_AEAD_EXTRA);

    ck_assert(plain && out && sealed);
    ck_assert(fv_random(plain, length));
    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row 1"), bytes_of(plain, length), sealed), 0);
    ck_assert_int_eq(
        fv_aead_open(crypto, key, text("row 1"), bytes_of(sealed, length + FV_AEAD_EXTRA), out), 0);
    if (length)
        ck_assert_mem_eq(out, plain, length);
    free(plain);
    free(out);
    free(sealed);
}
END_TEST

START_TEST(sealing_twice_gives_different_bytes)
{
    uint8_t one[5 + FV_AEAD_EXTRA], two[5 + FV_AEAD_EXTRA];

    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row"), text("hello"), one), 0);
    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row"), text("hello"), two), 0);
    ck_assert_mem_ne(one + 1, two + 1, FV_AEAD_NONCE_SIZE);
    ck_assert_mem_ne(one + 13, two + 13, 5);
}
END_TEST

START_TEST(any_flipped_bit_is_refused_and_nothing_is_left_to_look_at)
{
    static const uint8_t zeros[11];
    uint8_t sealed[11 + FV_AEAD_EXTRA], out[11];
    size_t i;

    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row"), text("hello world"), sealed), 0);
    for (i = 0; i < 8 * sizeof sealed; i++) {
        memset(out, 0, sizeof out);
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        ck_assert_msg(fv_aead_open(crypto, key, text("row"), bytes_of(sealed, sizeof sealed),
                                   out) == FLAGVER_ECORRUPT,
                      "bit %zu", i);
        ck_assert_mem_eq(out, zeros, sizeof out);
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    ck_assert_int_eq(fv_aead_open(crypto, key, text("row"), bytes_of(sealed, sizeof sealed), out),
                     0);
    ck_assert_mem_eq(out, "hello world", 11);
}
END_TEST

START_TEST(bytes_do_not_open_as_those_of_another_row)
{
    uint8_t sealed[5 + FV_AEAD_EXTRA], out[5];

    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row 1"), text("hello"), sealed), 0);
    ck_assert_int_eq(fv_aead_open(crypto, key, text("row 2"), bytes_of(sealed, sizeof sealed), out),
                     FLAGVER_ECORRUPT);
    ck_assert_int_eq(
        fv_aead_open(crypto, key, text("row 1\n"), bytes_of(sealed, sizeof sealed), out),
        FLAGVER_ECORRUPT);
    ck_assert_int_eq(fv_aead_open(crypto, key, text(""), bytes_of(sealed, sizeof sealed), out),
                     FLAGVER_ECORRUPT);
}
END_TEST

START_TEST(another_key_opens_nothing)
{
    uint8_t sealed[5 + FV_AEAD_EXTRA], out[5], other[32];

    memcpy(other, key, sizeof other);
    other[31] ^= 1;
    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row"), text("hello"), sealed), 0);
    ck_assert_int_eq(fv_aead_open(crypto, other, text("row"), bytes_of(sealed, sizeof sealed), out),
                     FLAGVER_ECORRUPT);
}
END_TEST

START_TEST(what_is_cut_short_is_refused)
{
    uint8_t sealed[5 + FV_AEAD_EXTRA], out[5];
    size_t length;

    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row"), text("hello"), sealed), 0);
    for (length = 0; length < sizeof sealed; length++)
        ck_assert_int_eq(fv_aead_open(crypto, key, text("row"), bytes_of(sealed, length), out),
                         FLAGVER_ECORRUPT);
}
END_TEST

START_TEST(refusing_leaves_no_words_with_the_host)
{
    uint8_t sealed[5 + FV_AEAD_EXTRA], out[5];

    ERR_clear_error();
    ck_assert_int_eq(fv_aead_seal(crypto, key, text("row"), text("hello"), sealed), 0);
    sealed[20] ^= 1;
    ck_assert_int_eq(fv_aead_open(crypto, key, text("row"), bytes_of(sealed, sizeof sealed), out),
                     FLAGVER_ECORRUPT);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(wiped_bytes_are_zero)
{
    static const uint8_t zeros[32];
    uint8_t secret[32];

    memset(secret, 7, sizeof secret);
    fv_wipe(secret, sizeof secret);
    ck_assert_mem_eq(secret, zeros, sizeof zeros);
    fv_wipe(NULL, 0);
}
END_TEST

static Suite *aead_suite(void)
{
    Suite *suite = suite_create("aead");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, make_crypto, free_crypto);
    tcase_add_loop_test(all, what_the_standard_sealed_opens, 0, VECTORS);
    tcase_add_loop_test(all, what_was_sealed_opens_to_itself, 0, 7);
    tcase_add_test(all, sealing_twice_gives_different_bytes);
    tcase_add_test(all, any_flipped_bit_is_refused_and_nothing_is_left_to_look_at);
    tcase_add_test(all, bytes_do_not_open_as_those_of_another_row);
    tcase_add_test(all, another_key_opens_nothing);
    tcase_add_test(all, what_is_cut_short_is_refused);
    tcase_add_test(all, refusing_leaves_no_words_with_the_host);
    tcase_add_test(all, wiped_bytes_are_zero);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(aead_suite());
}
