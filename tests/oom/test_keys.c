/*
 * Memory runs out at the k-th allocation, ours and OpenSSL's alike, for every k, while keys are
 * read and payloads sealed and opened: each call says so and leaks nothing. Above all nothing
 * passes for damaged, or for sealed with another key, that is not.
 */
#define _GNU_SOURCE /* setenv */
#include <flagver.h>

#include "crypto/fernet.h"
#include "failing_malloc.h"
#include "store/keyring.h"
#include "support.h"

#define KEYS "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="

/* Once without failing: what is allocated on first use only is there then. */
#define FAIL_EACH(call, undo)                                                               \
    do {                                                                                    \
        long k, live;                                                                       \
        int r;                                                                              \
        for (k = 0;; k++) {                                                                 \
            live = failing_malloc_live();                                                   \
            memset(&error, 0, sizeof error);                                                \
            failing_malloc_arm(k);                                                          \
            r = (call);                                                                     \
            failing_malloc_disarm();                                                        \
            if (k && failing_malloc_failed())                                               \
                ck_assert_msg(r == FLAGVER_ENOMEM || r == 0, "k = %ld: %d: %s", k, r,       \
                              error.message);                                               \
            else                                                                            \
                ck_assert_msg(r == 0, "%d: %s", r, error.message);                          \
            undo;                                                                           \
            if (k)                                                                          \
                ck_assert_msg(failing_malloc_live() == live, "k = %ld leaks %ld blocks", k, \
                              failing_malloc_live() - live);                                \
            if (k && !failing_malloc_failed())                                              \
                break;                                                                      \
        }                                                                                   \
        ck_assert_int_gt(k, 1);                                                             \
    } while (0)

/* ---- what is below stores ---- */

static struct fv_crypto *crypto;
static struct fv_keyring *ring;

/* (OpenSSL leaks when its context cannot be made; test_store.c knows about that.) */
static void make_crypto(void)
{
    crypto = fv_crypto_new();
    ck_assert_ptr_nonnull(crypto);
}

static void free_crypto(void)
{
    fv_crypto_free(crypto);
}

static int read_keys(void)
{
    const struct fv_keyring_source source = { .text = KEYS "\n#\nb" KEYS };

    return fv_keyring_new(&source, &ring, &error);
}

static void free_keys(void)
{
    fv_keyring_release(ring);
    ring = NULL;
}

START_TEST(reading_keys)
{
    FAIL_EACH(read_keys(), free_keys());
}
END_TEST

static const uint8_t key[32] = "a key of exactly thirty-two byte";
static uint8_t sealed[5 + FV_AEAD_EXTRA], opened[5];
static const flagver_bytes about = { "about", 5 }, hello = { "hello", 5 },
                           bytes = { sealed, sizeof sealed };

START_TEST(sealing_and_opening)
{
    make_crypto();
    FAIL_EACH(fv_aead_seal(crypto, key, about, hello, sealed), (void)0);
    ck_assert_int_eq(fv_aead_seal(crypto, key, about, hello, sealed), 0);
    FAIL_EACH(fv_aead_open(crypto, key, about, bytes, opened), (void)0);
    ck_assert_mem_eq(opened, "hello", 5);
    free_crypto();
}
END_TEST

static int open_token(void)
{
    static const char token[] =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64j"
        "VmpU4IwqDA==";
    uint8_t secret[FV_FERNET_KEY_SIZE], out[FV_FERNET_ROOM(sizeof token)];
    size_t length;
    uint64_t time;

    if (!fv_fernet_key("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", 44, secret))
        return FLAGVER_EINVAL;
    return fv_fernet_open(crypto, secret, token, sizeof token - 1, out, &length, &time, &error);
}

START_TEST(opening_a_token)
{
    make_crypto();
    FAIL_EACH(open_token(), (void)0);
    free_crypto();
}
END_TEST

/* ---- stores ---- */

static flagver_client *client;
static const flagver_actor actor = { .size = sizeof actor, .id = "short of memory" };

static void open_store(void)
{
    static const char policy[] = "{\"approval\":{\"required\":false},\"encrypt\":true,"
                                 "\"shred\":\"anyone\"}";
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_txn *txn;

    setenv("FLAGVER_KEYS", KEYS, 1);
    assert_ok(flagver_open("memory:", &options, &client, &error));
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_version_put(txn, FLAGVER_PHASE_PHASE, "secrets", policy, sizeof policy - 1,
                                  NULL, NULL, &error));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
}

static int in_transaction(int (*run)(flagver_txn *txn))
{
    flagver_txn *txn;
    int r = flagver_txn_begin(client, &actor, NULL, &txn, &error);

    if (r < 0)
        return r;
    r = run(txn);
    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static int put_secret(flagver_txn *txn)
{
    return flagver_version_put(txn, "secrets", "x", "\"hello\"", 7, NULL, NULL, &error);
}

static int rotate(flagver_txn *txn)
{
    return flagver_key_rotate(txn, NULL, &error);
}

static int retain(flagver_txn *txn)
{
    return flagver_retain(txn, "secrets", NULL, INT64_MAX, NULL, NULL, &error);
}

static flagver_version *version;

static int read_secret(void)
{
    version = NULL;
    return flagver_version_current(client, "secrets", "x", &version, &error);
}

static void check_secret(void)
{
    if (version)
        ck_assert_str_eq(version->payload, "\"hello\"");
    flagver_version_free(version);
}

/* Every third allocation: there are many. */
static void fail_each(int (*call)(void))
{
    long k = 1;
    int r;

    do {
        memset(&error, 0, sizeof error);
        failing_malloc_arm(k);
        r = call();
        failing_malloc_disarm();
        ck_assert_msg(r == 0 || flagver_error_class(r) == FLAGVER_CLASS_RETRY, "k = %ld: %d: %s", k,
                      r, error.message);
        k += 3;
    } while (failing_malloc_failed());
    ck_assert_msg(r == 0, "%d: %s", r, error.message);
}

static int write_secret(void)
{
    return in_transaction(put_secret);
}

static int rotate_keys(void)
{
    return in_transaction(rotate);
}

static int retain_young(void)
{
    return in_transaction(retain);
}

START_TEST(writing_to_a_store)
{
    long live;

    open_store();
    assert_ok(write_secret()); /* what OpenSSL keeps from its first use is not ours */
    flagver_close(client);
    live = failing_malloc_live();
    open_store();
    fail_each(write_secret);
    fail_each(rotate_keys);
    fail_each(retain_young);
    assert_ok(read_secret());
    check_secret();
    flagver_close(client);
    ck_assert_int_le(failing_malloc_live(), live);
}
END_TEST

START_TEST(reading_from_a_store)
{
    open_store();
    assert_ok(in_transaction(put_secret));
    FAIL_EACH(read_secret(), check_secret());
    flagver_close(client);
}
END_TEST

static Suite *keys_suite(void)
{
    Suite *suite = suite_create("oom keys");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 120);
    tcase_add_test(all, reading_keys);
    tcase_add_test(all, sealing_and_opening);
    tcase_add_test(all, opening_a_token);
    tcase_add_test(all, writing_to_a_store);
    tcase_add_test(all, reading_from_a_store);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(keys_suite());
}
