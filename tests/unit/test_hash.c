#include "util/hash.h"

#include <jansson.h>
#include <stdio.h>

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

/*
 * A copy of exactly this many bytes, at an odd address, so that a read beyond
 * either end is seen by the sanitizers.
 */
static unsigned char *exact(const void *bytes, size_t length)
{
    unsigned char *block = malloc(length + 1);

    ck_assert_ptr_nonnull(block);
    if (length)
        memcpy(block + 1, bytes, length);
    return block;
}

/* Calls `check` with every line of a file of JSON objects; returns their number, -1 without it. */
static int each_row(const char *path, void (*check)(json_t *row, int line))
{
    FILE *file = fopen(path, "r");
    char text[16384];
    int line = 0;

    if (!file)
        return -1;
    while (fgets(text, sizeof text, file)) {
        json_error_t wrong;
        json_t *row = json_loadb(text, strlen(text), JSON_ALLOW_NUL, &wrong);

        line++;
        ck_assert_msg(row != NULL, "%s:%d: %s", path, line, wrong.text);
        check(row, line);
        json_decref(row);
    }
    fclose(file);
    return line;
}

static const char *text_of(json_t *row, const char *name, size_t *length)
{
    json_t *value = json_object_get(row, name);

    ck_assert_msg(json_is_string(value), "no string \"%s\"", name);
    *length = json_string_length(value);
    return json_string_value(value);
}

static uint32_t number_of(json_t *row, const char *name)
{
    json_t *value = json_object_get(row, name);

    ck_assert_msg(json_is_integer(value), "no integer \"%s\"", name);
    return (uint32_t)json_integer_value(value);
}

/*
 * fv_hash and fv_equal
 */

START_TEST(the_wide_product_is_the_same_without_a_128_bit_type)
{
    static const uint64_t numbers[] = {
        0,
        1,
        2,
        UINT32_MAX,
        UINT64_C(1) << 32,
        (UINT64_C(1) << 32) + 1,
        UINT64_C(1) << 63,
        UINT64_MAX - 1,
        UINT64_MAX,
        FV_HASH_A,
        FV_HASH_B,
        FV_HASH_C,
        UINT64_C(0xffffffff00000000),
    };
    int i, j;

    for (i = 0; i < COUNT(numbers); i++) {
        for (j = 0; j < COUNT(numbers); j++) {
            ck_assert_uint_eq(fv_hash_mix(numbers[i], numbers[j]),
                              fv_hash_mix_portable(numbers[i], numbers[j]));
        }
    }
    /* (2^64 - 1)^2 = 2^128 - 2^65 + 1. */
    ck_assert_uint_eq(fv_hash_mix_portable(UINT64_MAX, UINT64_MAX), UINT64_MAX);
    /* 2^63 * 6 = 3 * 2^64. */
    ck_assert_uint_eq(fv_hash_mix_portable(UINT64_C(1) << 63, 6), UINT64_C(1) << 63 ^ 6 ^ 3);
    /* A factor of 0 does not hide the other one. */
    ck_assert_uint_ne(fv_hash_mix(0, 1), fv_hash_mix(0, 2));
}
END_TEST

START_TEST(every_bit_of_a_key_changes_its_hash)
{
    unsigned char key[200];
    size_t length, bit;

    memset(key, 0x5a, sizeof key);
    for (length = 1; length <= sizeof key; length++) {
        uint64_t whole = fv_hash(key, length);

        for (bit = 0; bit < length * 8; bit++) {
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
            ck_assert_msg(fv_hash(key, length) != whole, "bit %zu of %zu bytes", bit, length);
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
}
END_TEST

START_TEST(runs_of_one_byte_differ_by_their_length)
{
    unsigned char key[100];
    uint64_t seen[256 * 3];
    static const unsigned char fills[] = { 0, 'a', 255 };
    int count = 0, i, fill;
    size_t length;

    for (fill = 0; fill < COUNT(fills); fill++) {
        memset(key, fills[fill], sizeof key);
        for (length = fill > 0; length <= sizeof key; length++) {
            seen[count] = fv_hash(key, length);
            for (i = 0; i < count; i++)
                ck_assert_msg(seen[i] != seen[count], "%zu times %d", length, fills[fill]);
            count++;
        }
    }
}
END_TEST

/*
 * The fullest of `count` slots after `count` keys; about 7 or 8 are expected of 4096. The hash is
 * another one in each process, so there must be room for bad luck, but not for 17.
 */
static unsigned fullest(const char *format, int shift, unsigned step)
{
    static unsigned char slots[4096];
    unsigned i, most = 0;
    char key[64];

    memset(slots, 0, sizeof slots);
    for (i = 0; i < 4096; i++) {
        int length = snprintf(key, sizeof key, format, i * step);
        unsigned slot = (unsigned)(fv_hash(key, (size_t)length) >> shift) % 4096;

        slots[slot]++;
        if (slots[slot] > most)
            most = slots[slot];
    }
    return most;
}

START_TEST(similar_keys_spread_over_a_table)
{
    static const char *formats[] = {
        "%u",
        "%04x",
        "user%u",
        "flag_%08x",
        "feature.%u.enabled",
        "aaaaaaaaaaaaaaaaaaaaaaaa%08u",
        "%08u-0000-0000-0000-000000000000-000",
        "0000000000000000000000000000000000000000000000000%u",
    };
    static const unsigned steps[] = { 1, 16, 256, 65536 };
    int i, j, shift;

    for (i = 0; i < COUNT(formats); i++) {
        for (j = 0; j < COUNT(steps); j++) {
            for (shift = 0; shift <= 52; shift += 26) {
                unsigned most = fullest(formats[i], shift, steps[j]);

                ck_assert_msg(most <= 16, "\"%s\" by %u: %u of 4096 keys in one of 4096 slots",
                              formats[i], steps[j], most);
            }
        }
    }
}
END_TEST

START_TEST(only_the_bytes_of_the_key_are_read)
{
    unsigned char bytes[128], *copy;
    size_t length;
    int i;

    for (i = 0; i < 128; i++)
        bytes[i] = (unsigned char)(i * 37);
    for (length = 0; length <= sizeof bytes; length++) {
        copy = exact(bytes, length);
        ck_assert_uint_eq(fv_hash(copy + 1, length), fv_hash(bytes, length));
        ck_assert(fv_equal(copy + 1, bytes, length));
        free(copy);
    }
    ck_assert_uint_eq(fv_hash(NULL, 0), fv_hash("", 0));
    ck_assert(fv_equal(NULL, NULL, 0));
}
END_TEST

START_TEST(keys_that_differ_in_one_byte_are_not_equal)
{
    unsigned char a[100], b[100];
    size_t length, i;

    memset(a, 'k', sizeof a);
    memset(b, 'k', sizeof b);
    for (length = 0; length <= sizeof a; length++) {
        ck_assert(fv_equal(a, b, length));
        for (i = 0; i < sizeof a; i++) {
            b[i] ^= 0x80;
            ck_assert_msg(fv_equal(a, b, length) == (i >= length), "byte %zu of %zu", i, length);
            b[i] ^= 0x80;
        }
    }
}
END_TEST

/*
 * MurmurHash3
 */

static const struct {
    const char *bytes;
    size_t length;
    uint32_t seed, hash;
} murmur3_rows[] = {
    { "", 0, 0, 0 },
    { "", 0, 1, 0x514e28b7 },
    { "", 0, 0xffffffff, 0x81f16f39 },
    { "\0", 1, 0, 0x514e28b7 },
    { "\0\0", 2, 0, 0x30f4c306 },
    { "\0\0\0", 3, 0, 0x85f0b427 },
    { "\0\0\0\0", 4, 0, 0x2362f9de },
    { "\xff\xff\xff\xff", 4, 0, 0x76293b50 },
    { "!", 1, 0, 0x72661cf4 },
    { "!C", 2, 0, 0xa0f7b07a },
    { "!Ce", 3, 0, 0x7e4a8634 },
    { "!Ce\x87", 4, 0, 0xf55b516b },
    { "!Ce\x87", 4, 0x5082edee, 0x2362f9de },
    { "aaaa", 4, 0x9747b28c, 0x5a97808a },
    { "The quick brown fox jumps over the lazy dog", 43, 0x9747b28c, 0x2fa826cd },
    /* Unleash */
    { "AB12A:122", 9, 0, 1062108722 },
    { "AB12A:123", 9, 0, 1954468150 },
    { "AB12A:155", 9, 0, 3268232399 },
    { "Feature.Variants.C:232", 22, 86028157, 2010930785 },
    /* flagd */
    { "ejOoVL", 6, 0, 0 },
    { "bY9fO-", 6, 0, 1 },
    { "SI7p-", 5, 0, 2147483647 },
    { "6LvT0", 5, 0, 2147483648 },
    { "ceQdGm", 6, 0, 4294967295 },
    { "fractional-flagjack", 19, 0, 2682799072 },
};

/* Hashed at once, and cut in two at every byte. */
static void check_murmur3(const char *bytes, size_t length, uint32_t seed, uint32_t expected)
{
    unsigned char *copy = exact(bytes, length);
    size_t cut;

    ck_assert_uint_eq(fv_murmur3(copy + 1, length, seed), expected);
    for (cut = 0; cut <= length; cut++) {
        unsigned char *head = exact(bytes, cut), *rest = exact(bytes + cut, length - cut);
        struct fv_murmur3_prefix prefix;

        fv_murmur3_begin(&prefix, head + 1, cut, seed);
        free(head);
        ck_assert_msg(fv_murmur3_finish(&prefix, rest + 1, length - cut) == expected,
                      "\"%s\" cut at %zu", bytes, cut);
        free(rest);
    }
    free(copy);
}

START_TEST(murmur3_gives_the_known_numbers)
{
    check_murmur3(murmur3_rows[_i].bytes, murmur3_rows[_i].length, murmur3_rows[_i].seed,
                  murmur3_rows[_i].hash);
}
END_TEST

START_TEST(one_prefix_serves_many_users)
{
    struct fv_murmur3_prefix prefix;

    fv_murmur3_begin(&prefix, "AB12A:", 6, 0);
    ck_assert_uint_eq(fv_murmur3_finish(&prefix, "122", 3), 1062108722);
    ck_assert_uint_eq(fv_murmur3_finish(&prefix, "123", 3), 1954468150);
    ck_assert_uint_eq(fv_murmur3_finish(&prefix, "122", 3), 1062108722);
    ck_assert_uint_eq(fv_murmur3_finish(&prefix, NULL, 0), fv_murmur3("AB12A:", 6, 0));

    fv_murmur3_begin(&prefix, NULL, 0, 0);
    ck_assert_uint_eq(fv_murmur3_finish(&prefix, "ceQdGm", 6), 4294967295);
    ck_assert_uint_eq(fv_murmur3_finish(&prefix, NULL, 0), 0);
}
END_TEST

static void check_bucket(json_t *row, int line)
{
    size_t length;
    const char *input = text_of(row, "input", &length);
    uint32_t hash = number_of(row, "murmur3");

    check_murmur3(input, length, 0, hash);
    ck_assert_msg(((uint64_t)hash * 100000) >> 32 == number_of(row, "bucket"), "line %d", line);
}

START_TEST(buckets_are_the_same_as_of_another_implementation)
{
    ck_assert_int_ge(each_row("tests/data/buckets.jsonl", check_bucket), 250);
}
END_TEST

/*
 * MD5
 */

static const struct {
    const char *text, *digest;
} md5_rows[] = {
    /* RFC 1321, A.5 */
    { "", "d41d8cd98f00b204e9800998ecf8427e" },
    { "a", "0cc175b9c0f1b6a831c399e269772661" },
    { "abc", "900150983cd24fb0d6963f7d28e17f72" },
    { "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
    { "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
    { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
      "d174ab98d277d9f5a5611c2c9f419d9f" },
    { "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
      "57edf4a22be3c955ac49da2e2107b67a" },
};

static void check_md5(const void *bytes, size_t length, const char *expected)
{
    unsigned char *copy = exact(bytes, length);
    uint8_t digest[16];
    char words[33];
    int i;

    fv_md5(copy + 1, length, digest);
    free(copy);
    for (i = 0; i < 16; i++)
        snprintf(words + i * 2, 3, "%02x", digest[i]);
    ck_assert_str_eq(words, expected);
}

START_TEST(md5_gives_the_digests_of_its_rfc)
{
    check_md5(md5_rows[_i].text, strlen(md5_rows[_i].text), md5_rows[_i].digest);
}
END_TEST

static void check_length(json_t *row, int line)
{
    unsigned char bytes[200];
    size_t digest_length;
    unsigned i;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 131 + 7);
    ck_assert_uint_eq(number_of(row, "length"), (unsigned)line - 1);
    check_md5(bytes, number_of(row, "length"), text_of(row, "digest", &digest_length));
}

START_TEST(md5_pads_every_length)
{
    ck_assert_int_eq(each_row("tests/data/md5-lengths.jsonl", check_length), 201);
}
END_TEST

static void check_mod100(json_t *row, int line)
{
    size_t length;
    const char *user = text_of(row, "user", &length);

    ck_assert_msg(fv_md5_mod100(user, length) == number_of(row, "bucket"),
                  "line %d: \"%s\" is in %u", line, user, fv_md5_mod100(user, length));
}

START_TEST(md5_mod100_is_the_whole_digest_modulo_100)
{
    ck_assert_int_ge(each_row("tests/data/md5-mod100.jsonl", check_mod100), 200);
    ck_assert_uint_eq(fv_md5_mod100(NULL, 0), 66);
}
END_TEST

START_TEST(md5_mod100_agrees_with_the_long_vectors)
{
    int rows = each_row("../shared/vectors/md5-mod100.jsonl", check_mod100);

    if (rows < 0)
        printf("SKIPPED: no ../shared/vectors/md5-mod100.jsonl, its 2,000 rows were not tested\n");
    else
        ck_assert_int_ge(rows, 2000);
}
END_TEST

static Suite *hash_suite(void)
{
    Suite *suite = suite_create("hash");
    TCase *table = tcase_create("table");
    TCase *murmur3 = tcase_create("murmur3");
    TCase *md5 = tcase_create("md5");

    tcase_add_test(table, the_wide_product_is_the_same_without_a_128_bit_type);
    tcase_add_test(table, every_bit_of_a_key_changes_its_hash);
    tcase_add_test(table, runs_of_one_byte_differ_by_their_length);
    tcase_add_test(table, similar_keys_spread_over_a_table);
    tcase_add_test(table, only_the_bytes_of_the_key_are_read);
    tcase_add_test(table, keys_that_differ_in_one_byte_are_not_equal);
    suite_add_tcase(suite, table);

    tcase_add_loop_test(murmur3, murmur3_gives_the_known_numbers, 0, COUNT(murmur3_rows));
    tcase_add_test(murmur3, one_prefix_serves_many_users);
    tcase_add_test(murmur3, buckets_are_the_same_as_of_another_implementation);
    suite_add_tcase(suite, murmur3);

    tcase_add_loop_test(md5, md5_gives_the_digests_of_its_rfc, 0, COUNT(md5_rows));
    tcase_add_test(md5, md5_pads_every_length);
    tcase_add_test(md5, md5_mod100_is_the_whole_digest_modulo_100);
    tcase_add_test(md5, md5_mod100_agrees_with_the_long_vectors);
    suite_add_tcase(suite, md5);
    return suite;
}

int main(void)
{
    return run_suite(hash_suite());
}
