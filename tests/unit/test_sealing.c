/*
 * Sealed payloads in stores: they are read as they were written, by who has the keys, and from
 * the row that they were written to.
 */
#define _GNU_SOURCE /* mkdtemp, memmem */
#include "api/drivers.h"
#include "stores.h"
#include "store/transaction.h"

#define PHASE "secrets"
#define TEXT "{\"ssn\":\"123-45-6789\"}"

/* 32 times 'a', 'b', in base64 */
#define KEY_A "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define KEY_B "b:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
#define KEY_A_WRONG "a:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="

static struct fv_store *store;

static void close_store(void)
{
    fv_store_release(store);
    store = NULL;
}

/* The store that was closed before, if it was one that others can open, too. */
static void open_keyed(int kind, const char *keys)
{
    const struct fv_keyring_source source = { .text = keys };
    struct fv_store_options options = { .wait_ms = 100 };

    fv_drivers_prepare();
    assert_ok(fv_keyring_new(&source, &options.keys, &error));
    assert_ok(fv_store_open(store_uri(kind), &options, &store, &error));
    fv_keyring_release(options.keys);
}

static flagver_txn *begin_sealing(const char *tenant)
{
    const struct fv_txn_source source = { .store = store, .tenant = tenant };
    const flagver_actor actor = { .size = sizeof actor, .id = "ann" };
    flagver_txn *txn;

    assert_ok(fv_txn_begin(&source, &actor, NULL, NULL, &txn, &error));
    assert_ok(fv_txn_enter(txn, &error));
    return txn;
}

static void end_sealing(flagver_txn *txn)
{
    assert_ok(fv_txn_leave(txn, 0, NULL));
    assert_ok(fv_txn_commit(txn, &error));
    fv_txn_free(txn);
}

static flagver_bytes copy(flagver_txn *txn, const char *text)
{
    const char *copied = fv_arena_string(fv_txn_arena(txn), text, strlen(text));

    ck_assert_ptr_nonnull(copied);
    return fv_bytes(copied);
}

/* Adds a sealed version, the next one of the subject. */
static struct fv_staged *add(flagver_txn *txn, const char *subject, const char *text)
{
    flagver_version_row row = { .state = FLAGVER_STATE_DRAFT };
    struct fv_series *series;
    struct fv_staged *version;

    assert_ok(fv_txn_salt(txn, &row.payload_salt, &error));
    assert_ok(fv_txn_series(txn, PHASE, subject, true, &series, &error));
    row.created_at = fv_txn_time(txn, series);
    row.created_by = copy(txn, "ann");
    row.payload = copy(txn, text);
    assert_ok(fv_txn_add_version(txn, series, &row, &version, &error));
    return version;
}

static void put(const char *tenant, const char *subject, const char *text)
{
    flagver_txn *txn = begin_sealing(tenant);

    add(txn, subject, text);
    end_sealing(txn);
}

struct found {
    char text[256];
    uint8_t salt[64];
    size_t length, salt_length;
    flagver_id id;
    uint32_t key;
};

static int read_version(const char *tenant, const char *subject, bool sealed,
                        struct found *ret_found)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_NUMBER,
                                  .phase = fv_bytes(PHASE),
                                  .subject = fv_bytes(subject),
                                  .no = 1,
                                  .payload = 1 };
    struct fv_read read;
    flagver_row row;
    int r;

    assert_ok(fv_read_begin(&read, store, tenant, &error));
    read.sealed = sealed;
    assert_ok(fv_read_scan(&read, &query, &error));
    r = fv_read_next(&read, &row, &error);
    if (r > 0) {
        *ret_found = (struct found){ .length = row.as.version.payload.length,
                                     .salt_length = row.as.version.payload_salt.length,
                                     .id = row.as.version.payload_id,
                                     .key = row.as.version.payload_key };
        ck_assert_uint_lt(ret_found->length, sizeof ret_found->text);
        ck_assert_uint_le(ret_found->salt_length, sizeof ret_found->salt);
        memcpy(ret_found->text, row.as.version.payload.data, ret_found->length);
        if (ret_found->salt_length)
            memcpy(ret_found->salt, row.as.version.payload_salt.data, ret_found->salt_length);
    }
    fv_read_end(&read);
    ck_assert_int_ne(r, 0);
    return r > 0 ? 0 : r;
}

static void assert_reads(const char *tenant, const char *subject, const char *text)
{
    struct found found;

    assert_ok(read_version(tenant, subject, false, &found));
    ck_assert_str_eq(found.text, text);
}

/* ---- in and out ---- */

START_TEST(what_is_sealed_reads_as_it_was_written)
{
    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    put("default", "y", "");
    assert_reads("default", "x", TEXT);
    assert_reads("default", "y", "");
    close_store();
}
END_TEST

START_TEST(the_store_holds_no_plaintext)
{
    struct found found;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    assert_ok(read_version("default", "x", true, &found));
    ck_assert_uint_eq(found.key, 1);
    ck_assert_uint_eq(found.salt_length, FV_SALT_SIZE + FV_AEAD_EXTRA);
    ck_assert_uint_eq(found.length, strlen(TEXT) + FV_AEAD_EXTRA);
    ck_assert_ptr_null(memmem(found.text, found.length, "123-45", 6));
    close_store();
}
END_TEST

START_TEST(a_transaction_reads_what_it_has_sealed)
{
    struct fv_series *series;
    struct fv_staged *version;
    flagver_txn *txn;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    txn = begin_sealing("default");
    assert_ok(fv_txn_series(txn, PHASE, "x", false, &series, &error));
    assert_ok(fv_txn_version(txn, series, 1, true, &version, &error));
    ck_assert_str_eq(version->row.payload.data, TEXT);
    ck_assert_uint_eq(version->row.payload_salt.length, FV_SALT_SIZE);
    add(txn, "x", "2");
    assert_ok(fv_txn_version(txn, series, 2, true, &version, &error));
    ck_assert_str_eq(version->row.payload.data, "2");
    end_sealing(txn);
    close_store();
}
END_TEST

START_TEST(a_version_that_was_seen_without_its_payload_gets_it_later)
{
    struct fv_series *series;
    struct fv_staged *version;
    flagver_txn *txn;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    txn = begin_sealing("default");
    assert_ok(fv_txn_series(txn, PHASE, "x", false, &series, &error));
    assert_ok(fv_txn_version(txn, series, 1, false, &version, &error));
    ck_assert_ptr_null(version->row.payload.data);
    assert_ok(fv_txn_version(txn, series, 1, true, &version, &error));
    ck_assert_str_eq(version->row.payload.data, TEXT);
    ck_assert_uint_eq(version->row.payload_salt.length, FV_SALT_SIZE);
    end_sealing(txn);
    close_store();
}
END_TEST

START_TEST(salts_differ)
{
    struct found one, two;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    put("default", "y", TEXT);
    assert_ok(read_version("default", "x", false, &one));
    assert_ok(read_version("default", "y", false, &two));
    ck_assert_uint_eq(one.salt_length, FV_SALT_SIZE);
    ck_assert_mem_ne(one.salt, two.salt, FV_SALT_SIZE);
    close_store();
}
END_TEST

/* ---- in its place ---- */

/* A version whose payload is these bytes as they are. */
static void plant(const char *subject, const struct found *sealed)
{
    flagver_txn *txn = begin_sealing("default");
    flagver_payload_row payload = { .key = sealed->key,
                                    .salt = fv_bytes_of((const char *)sealed->salt,
                                                        sealed->salt_length),
                                    .body = fv_bytes_of(sealed->text, sealed->length) };
    flagver_version_row version = {
        .no = 1, .state = FLAGVER_STATE_DRAFT, .rev = 1, .created_by = fv_bytes("ann")
    };
    struct fv_series *series;
    flagver_series_row row;
    flagver_change changes[3] = { { .kind = FLAGVER_CHANGE_SERIES, .row.series = &row },
                                  { .kind = FLAGVER_CHANGE_PAYLOAD, .row.payload = &payload },
                                  { .kind = FLAGVER_CHANGE_VERSION_NEW, .row.version = &version } };
    int i;

    assert_ok(fv_txn_series(txn, PHASE, subject, true, &series, &error));
    row = series->row;
    row.last_no = 1;
    row.rev = 1;
    row.changed_at = version.created_at = fv_txn_time(txn, series);
    version.series = row.id;
    assert_ok(fv_txn_id(txn, &payload.id, &error));
    assert_ok(fv_txn_id(txn, &version.id, &error));
    version.payload_id = payload.id;
    for (i = 0; i < 3; i++)
        assert_ok(fv_txn_change(txn, &changes[i], &error));
    end_sealing(txn);
}

START_TEST(a_payload_does_not_open_in_the_place_of_another)
{
    struct found found;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    assert_ok(read_version("default", "x", true, &found));
    plant("y", &found);
    assert_fails(FLAGVER_ECORRUPT, read_version("default", "y", false, &found));
    assert_words("\"y\" in version 1");
    assert_reads("default", "x", TEXT);
    close_store();
}
END_TEST

START_TEST(what_is_too_short_to_be_sealed_is_refused)
{
    struct found found = { .key = 1,
                           .length = FV_AEAD_EXTRA - 1,
                           .salt_length = FV_SALT_SIZE + FV_AEAD_EXTRA };

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    plant("y", &found);
    assert_fails(FLAGVER_ECORRUPT, read_version("default", "y", false, &found));
    assert_words("cut short");
    close_store();
}
END_TEST

START_TEST(a_salt_that_is_missing_or_cut_short_is_refused)
{
    struct found one, two;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    put("default", "y", "2");
    assert_ok(read_version("default", "x", true, &one));
    assert_ok(read_version("default", "y", true, &two));
    two.salt_length = one.salt_length - 1;
    plant("u", &two);
    assert_fails(FLAGVER_ECORRUPT, read_version("default", "u", false, &one));
    assert_words("cut short");
    two.salt_length = 0;
    plant("v", &two);
    assert_fails(FLAGVER_ECORRUPT, read_version("default", "v", false, &one));
    close_store();
}
END_TEST

START_TEST(a_data_key_that_is_not_there_is_named)
{
    struct found found;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    assert_ok(read_version("default", "x", true, &found));
    found.key = 77;
    plant("y", &found);
    assert_fails(FLAGVER_ECORRUPT, read_version("default", "y", false, &found));
    assert_words("data key 77");
    close_store();
}
END_TEST

START_TEST(each_tenant_has_data_keys_of_its_own)
{
    const struct fv_key_place there = { .tenant = "two" };
    struct fv_key_place place = there;
    struct found found;
    struct fv_sealed sealed;
    struct fv_data_keys keys = { NULL, 0 };
    struct fv_read read;
    uint8_t out[sizeof found.text], salt[FV_SALT_SIZE];

    open_keyed(_i, KEY_A);
    put("one", "x", TEXT);
    put("two", "x", "2");
    assert_reads("one", "x", TEXT);
    assert_reads("two", "x", "2");

    assert_ok(read_version("one", "x", true, &found));
    sealed = (struct fv_sealed){ .id = found.id,
                                 .key = found.key,
                                 .body = fv_bytes_of(found.text, found.length),
                                 .salt = fv_bytes_of((const char *)found.salt, found.salt_length),
                                 .name = fv_bytes("x"),
                                 .no = 1 };
    assert_ok(fv_read_begin(&read, store, "two", &error));
    place.store = store;
    place.txn = read.txn;
    assert_fails(FLAGVER_ECORRUPT, fv_sealed_open(&place, &keys, &sealed, out, salt, &error));
    fv_data_keys_clear(&keys);
    fv_read_end(&read);
    close_store();
}
END_TEST

/* ---- keys that are not there ---- */

START_TEST(without_its_key_a_payload_is_not_read_but_the_rest_is)
{
    struct found found;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    close_store();
    open_keyed(_i, KEY_B);
    assert_fails(FLAGVER_EKEY, read_version("default", "x", false, &found));
    assert_words("\"a\"");
    assert_ok(read_version("default", "x", true, &found));
    close_store();
}
END_TEST

START_TEST(another_key_of_the_same_name_is_noticed)
{
    struct found found;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    close_store();
    open_keyed(_i, KEY_A_WRONG);
    assert_fails(FLAGVER_EKEY, read_version("default", "x", false, &found));
    assert_words("\"a\"");
    close_store();
}
END_TEST

START_TEST(without_a_key_nothing_is_staged_and_the_transaction_goes_on)
{
    flagver_bytes salt;
    flagver_txn *txn;

    open_keyed(_i, NULL);
    txn = begin_sealing("default");
    assert_fails(FLAGVER_EKEY, fv_txn_salt(txn, &salt, &error));
    ck_assert_int_eq(fv_txn_leave(txn, FLAGVER_EKEY, &error), FLAGVER_EKEY);
    assert_ok(fv_txn_enter(txn, &error));
    end_sealing(txn);
    close_store();
}
END_TEST

START_TEST(a_salt_alone_makes_no_data_key)
{
    struct found found;
    flagver_bytes salt;
    flagver_txn *txn;

    open_keyed(_i, KEY_A);
    txn = begin_sealing("default");
    assert_ok(fv_txn_salt(txn, &salt, &error));
    end_sealing(txn);
    put("default", "x", TEXT);
    assert_ok(read_version("default", "x", true, &found));
    ck_assert_uint_eq(found.key, 1);
    close_store();
}
END_TEST

START_TEST(a_data_key_of_a_transaction_that_was_rolled_back_is_gone)
{
    flagver_txn *txn;

    open_keyed(_i, KEY_A);
    txn = begin_sealing("default");
    add(txn, "x", "1");
    assert_ok(fv_txn_flush(txn, &error));
    assert_ok(fv_txn_leave(txn, 0, NULL));
    fv_txn_free(txn);
    put("default", "x", TEXT);
    assert_reads("default", "x", TEXT);
    close_store();
}
END_TEST

/* ---- rotation ---- */

static flagver_key_rotation rotate(void)
{
    flagver_txn *txn = begin_sealing("default");
    flagver_key_rotation rotation;

    assert_ok(fv_txn_rotate_keys(txn, &rotation, &error));
    end_sealing(txn);
    return rotation;
}

START_TEST(a_new_data_key_seals_what_is_new)
{
    flagver_key_rotation rotation;
    struct found found;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    rotation = rotate();
    ck_assert_uint_eq(rotation.data_keys, 2);
    ck_assert_uint_eq(rotation.rewrapped, 0);
    put("default", "y", "2");
    assert_ok(read_version("default", "x", true, &found));
    ck_assert_uint_eq(found.key, 1);
    assert_ok(read_version("default", "y", true, &found));
    ck_assert_uint_eq(found.key, 2);
    assert_reads("default", "x", TEXT);
    assert_reads("default", "y", "2");
    close_store();
}
END_TEST

START_TEST(after_rotation_the_old_key_is_not_needed)
{
    flagver_key_rotation rotation;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    rotate();
    close_store();
    open_keyed(_i, KEY_B "," KEY_A);
    assert_reads("default", "x", TEXT);
    rotation = rotate();
    ck_assert_uint_eq(rotation.data_keys, 3);
    ck_assert_uint_eq(rotation.rewrapped, 2);
    close_store();
    open_keyed(_i, KEY_B);
    assert_reads("default", "x", TEXT);
    put("default", "y", "2");
    assert_reads("default", "y", "2");
    close_store();
}
END_TEST

START_TEST(rotating_without_an_old_key_changes_nothing)
{
    flagver_key_rotation rotation;
    flagver_txn *txn;

    open_keyed(_i, KEY_A);
    put("default", "x", TEXT);
    close_store();
    open_keyed(_i, KEY_B);
    txn = begin_sealing("default");
    assert_fails(FLAGVER_EKEY, fv_txn_rotate_keys(txn, &rotation, &error));
    assert_words("\"a\"");
    end_sealing(txn);
    close_store();
    open_keyed(_i, KEY_A);
    assert_reads("default", "x", TEXT);
    ck_assert_uint_eq(rotate().data_keys, 2);
    close_store();
}
END_TEST

START_TEST(a_transaction_may_seal_and_rotate_in_any_order)
{
    flagver_key_rotation rotation;
    struct found found;
    flagver_bytes salt;
    flagver_txn *txn;

    open_keyed(_i, KEY_A);
    txn = begin_sealing("default");
    assert_ok(fv_txn_salt(txn, &salt, &error));
    assert_ok(fv_txn_rotate_keys(txn, &rotation, &error));
    ck_assert_uint_eq(rotation.data_keys, 2);
    add(txn, "x", TEXT);
    assert_ok(fv_txn_rotate_keys(txn, &rotation, &error));
    ck_assert_uint_eq(rotation.data_keys, 3);
    add(txn, "y", "2");
    end_sealing(txn);
    assert_ok(read_version("default", "x", true, &found));
    ck_assert_uint_eq(found.key, 2);
    assert_ok(read_version("default", "y", true, &found));
    ck_assert_uint_eq(found.key, 3);
    assert_reads("default", "x", TEXT);
    assert_reads("default", "y", "2");
    close_store();
}
END_TEST

START_TEST(rotation_can_be_the_first_thing)
{
    open_keyed(_i, KEY_A);
    ck_assert_uint_eq(rotate().data_keys, 1);
    put("default", "x", TEXT);
    assert_reads("default", "x", TEXT);
    close_store();
}
END_TEST

static Suite *sealing_suite(void)
{
    Suite *suite = suite_create("sealing");
    TCase *all = add_store_tcase(suite, "every store"),
          *shared = add_store_tcase(suite, "stores that are opened twice");

    tcase_add_loop_test(all, what_is_sealed_reads_as_it_was_written, 0, STORE_KINDS);
    tcase_add_loop_test(all, the_store_holds_no_plaintext, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_transaction_reads_what_it_has_sealed, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_version_that_was_seen_without_its_payload_gets_it_later, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, salts_differ, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_payload_does_not_open_in_the_place_of_another, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_is_too_short_to_be_sealed_is_refused, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_salt_that_is_missing_or_cut_short_is_refused, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_data_key_that_is_not_there_is_named, 0, STORE_KINDS);
    tcase_add_loop_test(all, each_tenant_has_data_keys_of_its_own, 0, STORE_KINDS);
    tcase_add_loop_test(all, without_a_key_nothing_is_staged_and_the_transaction_goes_on, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, a_salt_alone_makes_no_data_key, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_data_key_of_a_transaction_that_was_rolled_back_is_gone, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, a_new_data_key_seals_what_is_new, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_transaction_may_seal_and_rotate_in_any_order, 0, STORE_KINDS);
    tcase_add_loop_test(all, rotation_can_be_the_first_thing, 0, STORE_KINDS);

    tcase_add_loop_test(shared, without_its_key_a_payload_is_not_read_but_the_rest_is, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(shared, another_key_of_the_same_name_is_noticed, SHARED_KINDS, STORE_KINDS);
    tcase_add_loop_test(shared, after_rotation_the_old_key_is_not_needed, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(shared, rotating_without_an_old_key_changes_nothing, SHARED_KINDS,
                        STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(sealing_suite());
}
