/*
 * Ed25519: the vectors of RFC 8032, and what does not hold.
 */
#include "crypto/sign.h"

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

/* RFC 8032, section 7.1. */
static const struct {
    const char *seed, *verifier, *message, *signature;
} vectors[] = {
    { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
      "1cf9b46bd25bf5f0595bbe24655141438e7a100b" },
    { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
      "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
    { "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
      "984dc6594a7c15e9716ed28dc027beceea1ec40a" },
};
#define VECTORS ((int)(sizeof vectors / sizeof *vectors))

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t length = strlen(text) / 2, i;
    unsigned byte;

    for (i = 0; i < length; i++) {
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return length;
}

START_TEST(keys_and_signatures_are_those_of_the_standard)
{
    uint8_t seed[FV_SEED_SIZE], verifier[FV_VERIFIER_SIZE], expected[FV_SIGNATURE_SIZE];
    uint8_t message[8], signature[FV_SIGNATURE_SIZE];
    size_t length = from_hex(vectors[_i].message, message);

    from_hex(vectors[_i].seed, seed);
    ck_assert(fv_sign_verifier(crypto, seed, verifier));
    from_hex(vectors[_i].verifier, expected);
    ck_assert_mem_eq(verifier, expected, FV_VERIFIER_SIZE);

    ck_assert(fv_sign(crypto, seed, message, length, signature));
    from_hex(vectors[_i].signature, expected);
    ck_assert_mem_eq(signature, expected, FV_SIGNATURE_SIZE);
    ck_assert_int_eq(fv_sign_check(crypto, verifier, message, length, signature), 1);
}
END_TEST

START_TEST(every_byte_counts)
{
    uint8_t seed[FV_SEED_SIZE], verifier[FV_VERIFIER_SIZE], signature[FV_SIGNATURE_SIZE];
    char message[] = "twelve bytes";
    size_t i;

    ck_assert(fv_sign_generate(crypto, seed, verifier));
    ck_assert(fv_sign(crypto, seed, message, 12, signature));
    for (i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        ck_assert_int_eq(fv_sign_check(crypto, verifier, message, 12, signature), 0);
        signature[i] ^= 1;
    }
    for (i = 0; i < 12; i++) {
        message[i] ^= 1;
        ck_assert_int_eq(fv_sign_check(crypto, verifier, message, 12, signature), 0);
        message[i] ^= 1;
    }
    for (i = 0; i < sizeof verifier; i++) {
        verifier[i] ^= 1;
        ck_assert_int_eq(fv_sign_check(crypto, verifier, message, 12, signature), 0);
        verifier[i] ^= 1;
    }
    ck_assert_int_eq(fv_sign_check(crypto, verifier, message, 11, signature), 0);
    ck_assert_int_eq(fv_sign_check(crypto, verifier, message, 12, signature), 1);
}
END_TEST

START_TEST(each_key_is_another_one)
{
    uint8_t seed[2][FV_SEED_SIZE], verifier[2][FV_VERIFIER_SIZE];
    int i;

    for (i = 0; i < 2; i++)
        ck_assert(fv_sign_generate(crypto, seed[i], verifier[i]));
    ck_assert_mem_ne(seed[0], seed[1], FV_SEED_SIZE);
    ck_assert_mem_ne(verifier[0], verifier[1], FV_VERIFIER_SIZE);
}
END_TEST

/* The key that signs the checksums of Go modules. */
START_TEST(a_key_has_the_tag_that_others_compute)
{
    static const uint8_t expected[FV_KEY_TAG_SIZE] = { 0x03, 0x3d, 0xe0, 0xae };
    struct fv_digest *digest = fv_digest_new(crypto);
    uint8_t verifier[FV_VERIFIER_SIZE], tag[FV_KEY_TAG_SIZE];

    ck_assert_ptr_nonnull(digest);
    from_hex("ce3372d75ad1ee5ecdaf8727293d4b111d87eb37531d7c86d4d3003f0eb809fc", verifier);
    ck_assert(fv_sign_tag(digest, "sum.golang.org", verifier, tag));
    ck_assert_mem_eq(tag, expected, sizeof tag);
    fv_digest_free(digest);
}
END_TEST

static Suite *sign_suite(void)
{
    Suite *suite = suite_create("sign");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, make_crypto, free_crypto);
    tcase_add_loop_test(all, keys_and_signatures_are_those_of_the_standard, 0, VECTORS);
    tcase_add_test(all, every_byte_counts);
    tcase_add_test(all, each_key_is_another_one);
    tcase_add_test(all, a_key_has_the_tag_that_others_compute);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(sign_suite());
}
