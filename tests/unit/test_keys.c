/*
 * Encrypted phases as users see them: what is read and by whom, what the store holds, new keys, and
 * the end of what payloads say.
 */
#define _GNU_SOURCE /* mkdtemp, setenv, memmem */
#include <flagver/audit.h>
#include <flagver/key.h>
#include <flagver/store.h>

#include "stores.h"

#define PHASE "secrets"
#define JOURNAL "journal"
#define PLAIN "plain"
#define SECRET "123-45-6789"
#define TEXT "{\"ssn\":\"" SECRET "\"}"

/* 32 times 'a', 'b', in base64 */
#define KEY_A "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define KEY_B "b:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="

static const char *const custodian_roles[] = { "Custodian" };
static const flagver_actor custodian = {
    .size = sizeof custodian, .id = "carol", .roles = custodian_roles, .role_count = 1
};

/* ---- stores with keys ---- */

/* NULL: none. */
static flagver_client *open_keyed(int kind, const char *keys)
{
    flagver_client *client;

    if (keys)
        setenv("FLAGVER_KEYS", keys, 1);
    else
        unsetenv("FLAGVER_KEYS");
    client = open_store(kind);
    unsetenv("FLAGVER_KEYS"); /* it is read when a client is opened */
    return client;
}

static void put_policy(flagver_client *client, const char *phase, const char *json)
{
    flagver_txn *txn = begin(client);

    assert_ok(try_put(txn, FLAGVER_PHASE_PHASE, phase, json, NULL, NULL));
    commit(txn);
}

static void put_policies(flagver_client *client)
{
    put_policy(client, PHASE,
               "{'versioning':'full','approval':{'required':false},'encrypt':true,"
               "'shred':{'role_in':['Custodian']}}");
    put_policy(client, JOURNAL,
               "{'versioning':'audit_only','encrypt':true,'shred':{'role_in':['Custodian']}}");
    put_policy(client, PLAIN,
               "{'versioning':'full','approval':{'required':false},'shred':'anyone'}");
}

/* With the policies. */
static flagver_client *begin_store(int kind)
{
    flagver_client *client = open_keyed(kind, KEY_A);

    put_policies(client);
    return client;
}

static int put(flagver_client *client, const char *phase, const char *subject, const char *json)
{
    flagver_txn *txn = begin(client);
    int r = flagver_version_put(txn, phase, subject, json, strlen(json), NULL, NULL, &error);

    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static void assert_says(flagver_client *client, const char *phase, const char *subject, uint32_t no,
                        const char *json)
{
    flagver_version *version = NULL;

    assert_ok(flagver_version_get(client, phase, subject, no, &version, &error));
    if (json)
        ck_assert_str_eq(version->payload, json);
    else
        ck_assert_ptr_null(version->payload);
    flagver_version_free(version);
}

/* Of "x": the payload is there only when it is HERE. */
static void assert_state(flagver_client *client, uint32_t no, int32_t state)
{
    flagver_version *version = NULL;

    assert_ok(flagver_version_get(client, PHASE, "x", no, &version, &error));
    ck_assert_int_eq(version->payload_state, state);
    ck_assert_int_eq(version->payload != NULL, state == FLAGVER_PAYLOAD_HERE);
    flagver_version_free(version);
}

/* ---- reading and writing ---- */

static bool see_text(void *data, const flagver_version *version)
{
    unsigned *seen = data;

    ck_assert_int_eq(version->payload_state, FLAGVER_PAYLOAD_HERE);
    ck_assert_ptr_nonnull(version->payload);
    ck_assert_str_eq(version->payload, TEXT);
    ++*seen;
    return true;
}

START_TEST(what_is_encrypted_is_read_as_it_was_written)
{
    const flagver_list_options with_payload = { .size = sizeof with_payload, .payload = 1 };
    flagver_client *client = begin_store(_i);
    flagver_version *version = NULL, *again = NULL;
    char *text = NULL;
    unsigned seen = 0;

    assert_ok(put(client, PHASE, "x", TEXT));
    assert_says(client, PHASE, "x", 1, TEXT);
    assert_ok(flagver_version_current(client, PHASE, "x", &version, &error));
    ck_assert_str_eq(version->payload, TEXT);
    assert_ok(flagver_version_by_id(client, version->id, &again, &error));
    ck_assert_str_eq(again->payload, TEXT);
    flagver_version_free(again);
    assert_ok(flagver_version_as_of(client, PHASE, "x", version->decided_at, &again, &error));
    ck_assert_str_eq(again->payload, TEXT);
    flagver_version_free(again);
    flagver_version_free(version);
    assert_ok(flagver_version_list(client, PHASE, &with_payload, see_text, &seen, &error));
    assert_ok(flagver_version_history(client, PHASE, "x", &with_payload, see_text, &seen, &error));
    ck_assert_uint_eq(seen, 2);
    assert_ok(
        flagver_version_diff(client, PHASE, "x", 0, 1, FLAGVER_DIFF_MERGE_PATCH, &text, &error));
    ck_assert_str_eq(text, TEXT);
    flagver_string_free(text);
    flagver_close(client);
}
END_TEST

START_TEST(equal_contents_have_different_hashes)
{
    flagver_client *client = begin_store(_i);
    flagver_version *one = NULL, *two = NULL;

    assert_ok(put(client, PHASE, "x", TEXT));
    assert_ok(put(client, PHASE, "x", TEXT));
    assert_ok(flagver_version_get(client, PHASE, "x", 1, &one, &error));
    assert_ok(flagver_version_get(client, PHASE, "x", 2, &two, &error));
    ck_assert_mem_ne(one->content_hash, two->content_hash, 32);
    flagver_version_free(one);
    flagver_version_free(two);
    flagver_close(client);
}
END_TEST

START_TEST(a_draft_is_edited_and_reverted_like_any_other)
{
    flagver_client *client = begin_store(_i);
    flagver_version *version = NULL;
    flagver_txn *txn = begin(client);

    assert_ok(flagver_version_create(txn, PHASE, "x", "1", 1, NULL, NULL, &error));
    assert_ok(flagver_version_edit(txn, PHASE, "x", 1, TEXT, strlen(TEXT), NULL, &version, &error));
    ck_assert_str_eq(version->payload, TEXT);
    flagver_version_free(version);
    commit(txn);
    assert_says(client, PHASE, "x", 1, TEXT);

    txn = begin(client);
    assert_ok(flagver_version_edit(txn, PHASE, "x", 1, "2", 1, NULL, NULL, &error));
    assert_ok(flagver_version_submit(txn, PHASE, "x", 1, NULL, NULL, &error));
    commit(txn);
    assert_says(client, PHASE, "x", 1, "2");
    assert_ok(put(client, PHASE, "x", "3"));

    txn = begin(client);
    assert_ok(flagver_version_revert(txn, PHASE, "x", 1, NULL, NULL, &error));
    commit(txn);
    assert_says(client, PHASE, "x", 3, "2");
    flagver_close(client);
}
END_TEST

START_TEST(what_was_written_before_the_policy_stays_plain_and_readable)
{
    flagver_client *client = open_keyed(_i, KEY_A);

    put_policy(client, PHASE, "{'versioning':'full','approval':{'required':false}}");
    assert_ok(put(client, PHASE, "x", "1"));
    put_policies(client);
    assert_ok(put(client, PHASE, "x", TEXT));
    assert_says(client, PHASE, "x", 1, "1");
    assert_says(client, PHASE, "x", 2, TEXT);
    flagver_close(client);
}
END_TEST

START_TEST(removing_and_creating_again_works)
{
    flagver_client *client = begin_store(_i);
    flagver_version *version = NULL;
    flagver_txn *txn;

    assert_ok(put(client, PHASE, "x", TEXT));
    txn = begin(client);
    assert_ok(flagver_version_remove(txn, PHASE, "x", NULL, NULL, &error));
    commit(txn);
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_current(client, PHASE, "x", &version, &error));
    assert_ok(put(client, PHASE, "x", TEXT));
    assert_says(client, PHASE, "x", 3, TEXT);
    flagver_close(client);
}
END_TEST

START_TEST(flags_cannot_be_encrypted)
{
    flagver_client *client = open_keyed(_i, KEY_A);
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_PHASE, FLAGVER_PHASE_FLAG,
                                         "{'versioning':'full','encrypt':true}", NULL, NULL));
    assert_words("encrypt");
    assert_fails(FLAGVER_EPARSE, try_put(txn, FLAGVER_PHASE_PHASE, FLAGVER_PHASE_SEGMENT "/pay_",
                                         "{'versioning':'full','encrypt':true}", NULL, NULL));
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

START_TEST(the_same_again_under_an_idempotency_key_is_harmless)
{
    flagver_client *client = begin_store(_i);
    flagver_version *version = NULL;
    flagver_txn *txn;
    int i;

    for (i = 0; i < 2; i++) {
        txn = begin_with_key(client, "k");
        assert_ok(flagver_version_put(txn, PHASE, "x", TEXT, strlen(TEXT), NULL, &version, &error));
        ck_assert_uint_eq(version->no, 1);
        ck_assert_str_eq(version->payload, TEXT);
        flagver_version_free(version);
        commit(txn);
    }
    ck_assert_uint_eq(current_no(client, PHASE, "x"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(another_content_under_an_idempotency_key_is_refused)
{
    flagver_client *client = begin_store(_i);
    flagver_txn *txn = begin_with_key(client, "k");

    assert_ok(flagver_version_put(txn, PHASE, "x", TEXT, strlen(TEXT), NULL, NULL, &error));
    commit(txn);
    txn = begin_with_key(client, "k");
    assert_fails(FLAGVER_EIDEM, flagver_version_put(txn, PHASE, "x", "2", 1, NULL, NULL, &error));
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

/* Also of the first one, for which a data key is made. */
START_TEST(what_is_refused_under_an_idempotency_key_leaves_the_transaction_open)
{
    const flagver_write_options second = { .size = sizeof second, .expect_no = 1 };
    flagver_client *client = begin_store(_i);
    flagver_txn *txn = begin_with_key(client, "k");

    assert_fails(FLAGVER_ECONFLICT,
                 flagver_version_put(txn, PHASE, "x", TEXT, strlen(TEXT), &second, NULL, &error));
    assert_ok(flagver_version_put(txn, PHASE, "x", TEXT, strlen(TEXT), NULL, NULL, &error));
    commit(txn);
    assert_says(client, PHASE, "x", 1, TEXT);
    flagver_close(client);
}
END_TEST

/* The row that remembers what was done under the key "k". */
static void read_request(flagver_client *client, uint8_t out[256], size_t *ret_length)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_bytes("request"),
                                  .subject = fv_bytes("c:k") };
    struct fv_tenancy tenancy;
    struct fv_read read;
    flagver_row row;

    assert_ok(fv_client_tenancy(client, &tenancy, &error));
    assert_ok(fv_read_begin(&read, tenancy.store, tenancy.tenant, &error));
    assert_ok(fv_read_scan(&read, &query, &error));
    ck_assert_int_eq(fv_read_next(&read, &row, &error), 1);
    *ret_length = row.as.keyed.value.length;
    ck_assert_uint_le(*ret_length, 256);
    memcpy(out, row.as.keyed.value.data, *ret_length);
    fv_read_end(&read);
    fv_store_release(tenancy.store);
}

static void put_under_key(flagver_client *client, const char *phase)
{
    flagver_txn *txn = begin_with_key(client, "k");

    assert_ok(flagver_version_put(txn, phase, "x", TEXT, strlen(TEXT), NULL, NULL, &error));
    commit(txn);
}

/* Tenants have different data keys: what depends on them differs. */
START_TEST(what_is_remembered_of_a_key_does_not_help_to_guess_a_content)
{
    flagver_client *client = begin_store(_i), *tenant;
    uint8_t one[256], two[256];
    size_t length, other_length;

    assert_ok(flagver_client_tenant(client, "other", &tenant, &error));
    put_policies(tenant);
    put_under_key(client, _i % 2 ? PHASE : PLAIN);
    put_under_key(tenant, _i % 2 ? PHASE : PLAIN);
    read_request(client, one, &length);
    read_request(tenant, two, &other_length);
    ck_assert_uint_eq(length, other_length);
    ck_assert_int_eq(memcmp(one, two, length) != 0, _i % 2);
    flagver_close(tenant);
    flagver_close(client);
}
END_TEST

/* ---- items ---- */

struct items {
    unsigned count, there;
    char payloads[4][64];
    int32_t status[4], states[4];
};

static bool see_item(void *data, const flagver_item *item)
{
    struct items *items = data;

    ck_assert_uint_lt(items->count, 4);
    items->status[items->count] = item->status;
    items->states[items->count] = item->payload_state;
    snprintf(items->payloads[items->count++], 64, "%s", item->payload ? item->payload : "");
    items->there += item->payload != NULL;
    return true;
}

static struct items items_of(flagver_client *client, uint32_t no)
{
    struct items items = { .count = 0 };

    assert_ok(flagver_items_list(client, PHASE, "x", no, see_item, &items, &error));
    return items;
}

static const flagver_item_content two_items[] = { { "k1", TEXT, sizeof TEXT - 1 },
                                                  { "k2", "2", 1 } };
static const char *const item_keys[] = { "k1", "k2" };

/* Version 1, in force, with two approved items. */
static void put_with_items(flagver_client *client)
{
    flagver_txn *txn;

    put_policy(client, PHASE,
               "{'versioning':'full','approval':{'required':true,'rule':'anyone','min':1,"
               "'allow_self':true},'encrypt':true,'shred':{'role_in':['Custodian']}}");
    txn = begin(client);
    assert_ok(flagver_version_create(txn, PHASE, "x", TEXT, strlen(TEXT), NULL, NULL, &error));
    assert_ok(flagver_items_put(txn, PHASE, "x", 1, two_items, 2, NULL, NULL, &error));
    assert_ok(flagver_version_submit(txn, PHASE, "x", 1, NULL, NULL, &error));
    assert_ok(flagver_items_decide(txn, PHASE, "x", 1, item_keys, 2, FLAGVER_ITEM_APPROVED, NULL,
                                   NULL, &error));
    assert_ok(flagver_version_approve(txn, PHASE, "x", 1, NULL, NULL, &error));
    commit(txn);
}

/* Version 2, in force, made of version 1. */
static void carry_forward(flagver_client *client)
{
    const flagver_write_options options = { .size = sizeof options, .baseline_no = 1 };
    flagver_txn *txn = begin(client);

    assert_ok(flagver_version_create(txn, PHASE, "x", "2", 1, &options, NULL, &error));
    assert_ok(flagver_version_submit(txn, PHASE, "x", 2, NULL, NULL, &error));
    assert_ok(flagver_version_approve(txn, PHASE, "x", 2, NULL, NULL, &error));
    commit(txn);
}

START_TEST(items_are_encrypted_and_carried_forward)
{
    flagver_client *client = begin_store(_i);
    struct items items;

    put_with_items(client);
    items = items_of(client, 1);
    ck_assert_uint_eq(items.count, 2);
    ck_assert_str_eq(items.payloads[0], TEXT);
    ck_assert_str_eq(items.payloads[1], "2");
    carry_forward(client);
    items = items_of(client, 2);
    ck_assert_uint_eq(items.count, 2);
    ck_assert_str_eq(items.payloads[0], TEXT);
    ck_assert_int_eq(items.status[0], FLAGVER_ITEM_APPROVED);
    flagver_close(client);
}
END_TEST

START_TEST(an_item_that_is_put_as_it_is_keeps_its_decision)
{
    const flagver_write_options options = { .size = sizeof options, .baseline_no = 1 };
    flagver_client *client = begin_store(_i);
    struct items items;
    flagver_txn *txn;

    put_with_items(client);
    txn = begin(client);
    assert_ok(flagver_version_create(txn, PHASE, "x", "2", 1, &options, NULL, &error));
    assert_ok(flagver_items_put(txn, PHASE, "x", 2, two_items, 1, NULL, NULL, &error));
    commit(txn);
    items = items_of(client, 2);
    ck_assert_uint_eq(items.count, 2);
    ck_assert_int_eq(items.status[0], FLAGVER_ITEM_APPROVED);
    flagver_close(client);
}
END_TEST

/* A key service that fails at one call. */
static int calls_left;

static int fail_once(void *data, const char *id, char ret_id[65], uint8_t ret_key[32])
{
    (void)data;
    if (--calls_left == 0)
        return -1;
    if (!id)
        strcpy(ret_id, "a");
    memset(ret_key, 'a', 32);
    return 0;
}

static void rotate_keys(flagver_client *client)
{
    flagver_txn *txn = begin(client);

    assert_ok(flagver_key_rotate(txn, NULL, &error));
    commit(txn);
}

START_TEST(a_key_that_is_missing_on_the_way_changes_nothing)
{
    const flagver_options options = { .size = sizeof options,
                                      .no_environment = 1,
                                      .key = fail_once };
    const flagver_write_options carrying = { .size = sizeof carrying, .baseline_no = 1 };
    const flagver_item_content item = { "a", "1", 1 };
    flagver_client *client = open_with(_i, &options);
    const char *const key = "a";
    flagver_txn *txn;
    int failed, r;

    calls_left = 0;
    put_policies(client);
    ck_assert_int_eq(put(client, PHASE, "first", "1"), 0);
    rotate_keys(client);
    txn = begin(client);
    assert_ok(flagver_version_create(txn, PHASE, "s", "1", 1, NULL, NULL, &error));
    assert_ok(flagver_items_put(txn, PHASE, "s", 1, &item, 1, NULL, NULL, &error));
    commit(txn);
    put_policy(client, PHASE, "{'approval':{'rule':'anyone','allow_self':true},'encrypt':true}");
    txn = begin(client);
    assert_ok(flagver_version_submit(txn, PHASE, "s", 1, NULL, NULL, &error));
    assert_ok(flagver_items_decide(txn, PHASE, "s", 1, &key, 1, FLAGVER_ITEM_APPROVED, NULL, NULL,
                                   &error));
    assert_ok(flagver_version_approve(txn, PHASE, "s", 1, NULL, NULL, &error));
    commit(txn);
    rotate_keys(client);

    for (failed = 0, r = FLAGVER_EKEY; r == FLAGVER_EKEY; failed++) {
        calls_left = failed + 1;
        txn = begin(client);
        r = flagver_version_create(txn, PHASE, "s", "2", 1, &carrying, NULL, &error);
        assert_ok(flagver_version_put(txn, PLAIN, "other", "1", 1, NULL, NULL, &error));
        commit(txn);
        ck_assert_int_eq(flagver_audit_verify(client, NULL, NULL, NULL, NULL, &error), 0);
    }
    ck_assert_int_eq(r, 0);
    ck_assert_int_ge(failed, 3);
    flagver_close(client);
}
END_TEST

START_TEST(shredding_a_version_takes_its_items_and_leaves_those_carried_forward)
{
    flagver_client *client = begin_store(_i);
    struct items items;
    flagver_txn *txn;

    put_with_items(client);
    carry_forward(client);
    txn = begin_as(client, &custodian, NULL);
    assert_ok(flagver_version_shred(txn, PHASE, "x", 1, NULL, &error));
    commit(txn);
    items = items_of(client, 1);
    ck_assert_uint_eq(items.count, 2);
    ck_assert_uint_eq(items.there, 0);
    items = items_of(client, 2);
    ck_assert_uint_eq(items.there, 2);
    ck_assert_str_eq(items.payloads[0], TEXT);
    assert_says(client, PHASE, "x", 1, NULL);
    assert_says(client, PHASE, "x", 2, "2");
    flagver_close(client);
}
END_TEST

/* ---- where it is ---- */

static bool holds(const char *path, const char *text)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 22);
    size_t length = file && bytes ? fread(bytes, 1, 1 << 22, file) : 0;
    bool found = length && memmem(bytes, length, text, strlen(text));

    if (file)
        fclose(file);
    free(bytes);
    return found;
}

/* In any file of this test's. */
static bool is_somewhere(const char *text)
{
    static const char *const files[] = { "store", "store-wal", "store-shm", "export", "cache" };
    size_t i;

    for (i = 0; i < sizeof files / sizeof files[0]; i++)
        if (holds(file_named(files[i]), text))
            return true;
    return false;
}

START_TEST(no_file_has_what_is_secret)
{
    flagver_options options = quiet_options();
    flagver_client *client = begin_store(_i);
    flagver_txn *txn;

    assert_ok(put(client, PHASE, "y", TEXT));
    put_with_items(client);
    txn = begin(client);
    assert_ok(flagver_version_record(txn, JOURNAL, "x", TEXT, strlen(TEXT), NULL, NULL, &error));
    commit(txn);
    flagver_close(client);
    assert_ok(flagver_store_export(owner_uri(_i), NULL, file_named("export"), &error));
    options.cache_file = file_named("cache");
    client = open_with(_i, &options);
    put_flag(client, "f", SIMPLE);
    assert_ok(flagver_client_refresh(client, &error));
    flagver_close(client);
    ck_assert(!is_somewhere(SECRET));

    /* and that is because nothing is found there */
    client = open_keyed(_i, KEY_A);
    assert_ok(put(client, PLAIN, "x", TEXT));
    flagver_close(client);
    assert_ok(flagver_store_export(owner_uri(_i), NULL, file_named("export"), &error));
    ck_assert(is_somewhere(SECRET));
}
END_TEST

START_TEST(what_was_shredded_is_in_no_file_of_the_store)
{
    flagver_client *client = begin_store(_i);
    flagver_txn *txn;

    assert_ok(put(client, PLAIN, "x", TEXT));
    assert_ok(put(client, PLAIN, "x", "2"));
    txn = begin(client);
    assert_ok(flagver_version_shred(txn, PLAIN, "x", 1, NULL, &error));
    commit(txn);
    flagver_close(client);
    ck_assert(!is_somewhere(SECRET));
}
END_TEST

START_TEST(an_export_brings_keys_and_payloads_along)
{
    flagver_client *client = begin_store(_i);
    struct items items;
    char uri[160];

    put_with_items(client);
    assert_ok(put(client, PLAIN, "x", "1"));
    flagver_close(client);
    assert_ok(flagver_store_export(owner_uri(_i), NULL, file_named("export"), &error));
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    assert_ok(flagver_store_import(uri, file_named("export"), &error));

    setenv("FLAGVER_KEYS", KEY_A, 1);
    assert_ok(flagver_open(uri, NULL, &client, &error));
    unsetenv("FLAGVER_KEYS");
    assert_says(client, PHASE, "x", 1, TEXT);
    items = items_of(client, 1);
    ck_assert_str_eq(items.payloads[0], TEXT);
    carry_forward(client);
    assert_says(client, PHASE, "x", 2, "2");
    flagver_close(client);

    assert_ok(flagver_open(uri, NULL, &client, &error));
    assert_state(client, 1, FLAGVER_PAYLOAD_SEALED);
    flagver_close(client);
}
END_TEST

/* ---- without keys ---- */

static bool count_version(void *data, const flagver_version *version)
{
    ck_assert_ptr_null(version->payload);
    ++*(unsigned *)data;
    return true;
}

START_TEST(without_a_key_nothing_is_written_and_all_but_payloads_is_read)
{
    flagver_client *client = begin_store(_i);
    flagver_version *version = NULL;
    unsigned count = 0;

    assert_ok(put(client, PHASE, "x", TEXT));
    flagver_close(client);
    client = open_keyed(_i, KEY_B);
    assert_fails(FLAGVER_EKEY, put(client, PHASE, "y", TEXT));
    assert_words("\"a\"");
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_get(client, PHASE, "y", 1, &version, &error));
    assert_ok(flagver_version_history(client, PHASE, "x", NULL, count_version, &count, &error));
    ck_assert_uint_eq(count, 1);
    assert_ok(put(client, PLAIN, "y", TEXT));
    flagver_close(client);
}
END_TEST

static bool see_states(void *data, const flagver_version *version)
{
    int32_t *states = data;

    ck_assert_uint_le(version->no, 3);
    ck_assert_int_eq(version->payload != NULL, version->payload_state == FLAGVER_PAYLOAD_HERE);
    states[version->no] = version->payload_state;
    return true;
}

/* 'a' by name, but 32 times 'b' */
#define KEY_A_WRONG "a:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="

static void see_finding(void *data, const char *line)
{
    snprintf(data, FLAGVER_MESSAGE_SIZE, "%s", line);
}

/* A key that is not there hides what is sealed with it; one that does not open it is a finding. */
START_TEST(verification_tells_a_key_that_is_wrong_from_one_that_is_missing)
{
    flagver_client *client = begin_store(_i);
    char line[FLAGVER_MESSAGE_SIZE] = "";

    assert_ok(put(client, PHASE, "x", TEXT));
    flagver_close(client);
    client = open_keyed(_i, KEY_B);
    ck_assert_int_eq(flagver_audit_verify(client, NULL, see_finding, line, NULL, &error), 0);
    flagver_close(client);
    client = open_keyed(_i, KEY_A_WRONG);
    ck_assert_int_eq(flagver_audit_verify(client, NULL, see_finding, line, NULL, &error), 1);
    ck_assert_msg(strstr(line, "does not open with the key-encryption key \"a\""), "%s", line);
    flagver_close(client);
}
END_TEST

/* Of what was written under KEY_A: version 1 is shredded, version 2 is in force and has items. */
static void assert_all_is_read_but_payloads(flagver_client *client)
{
    const flagver_list_options asked = { .size = sizeof asked, .payload = 1 };
    int32_t states[4] = { -1, -1, -1, -1 };
    flagver_version *version = NULL, *again = NULL;
    struct items items;
    char *text = NULL;

    assert_state(client, 1, FLAGVER_PAYLOAD_SHREDDED);
    assert_state(client, 2, FLAGVER_PAYLOAD_SEALED);
    assert_ok(flagver_version_current(client, PHASE, "x", &version, &error));
    ck_assert_int_eq(version->payload_state, FLAGVER_PAYLOAD_SEALED);
    ck_assert_uint_eq(version->payload_length, 0);
    assert_ok(flagver_version_as_of(client, PHASE, "x", version->decided_at, &again, &error));
    ck_assert_int_eq(again->payload_state, FLAGVER_PAYLOAD_SEALED);
    flagver_version_free(again);
    flagver_version_free(version);

    assert_ok(flagver_version_history(client, PHASE, "x", &asked, see_states, states, &error));
    ck_assert_int_eq(states[1], FLAGVER_PAYLOAD_SHREDDED);
    ck_assert_int_eq(states[2], FLAGVER_PAYLOAD_SEALED);
    assert_ok(flagver_version_history(client, PHASE, "x", NULL, see_states, states, &error));
    ck_assert_int_eq(states[1], FLAGVER_PAYLOAD_NONE);
    ck_assert_int_eq(states[2], FLAGVER_PAYLOAD_NONE);
    assert_ok(flagver_version_list(client, PHASE, &asked, see_states, states, &error));
    ck_assert_int_eq(states[2], FLAGVER_PAYLOAD_SEALED);

    items = items_of(client, 2);
    ck_assert_uint_eq(items.count, 2);
    ck_assert_uint_eq(items.there, 0);
    ck_assert_int_eq(items.states[0], FLAGVER_PAYLOAD_SEALED);
    ck_assert_int_eq(items.status[0], FLAGVER_ITEM_APPROVED);
    assert_fails(FLAGVER_EKEY,
                 flagver_version_diff(client, PHASE, "x", 0, 2, FLAGVER_DIFF_LINES, &text, &error));
    assert_words("\"a\"");
}

START_TEST(a_payload_whose_key_is_not_at_hand_is_sealed)
{
    flagver_client *client = begin_store(_i);
    struct items items;
    flagver_txn *txn;

    put_with_items(client);
    carry_forward(client);
    txn = begin_as(client, &custodian, NULL);
    assert_ok(flagver_version_shred(txn, PHASE, "x", 1, NULL, &error));
    commit(txn);
    assert_state(client, 2, FLAGVER_PAYLOAD_HERE);
    items = items_of(client, 1);
    ck_assert_int_eq(items.states[0], FLAGVER_PAYLOAD_SHREDDED);
    items = items_of(client, 2);
    ck_assert_int_eq(items.states[0], FLAGVER_PAYLOAD_HERE);
    flagver_close(client);

    client = open_keyed(_i, NULL);
    assert_all_is_read_but_payloads(client);
    flagver_close(client);
    client = open_keyed(_i, KEY_A_WRONG);
    assert_all_is_read_but_payloads(client);
    flagver_close(client);
}
END_TEST

START_TEST(what_waits_is_listed_without_the_key)
{
    const flagver_list_options asked = { .size = sizeof asked, .payload = 1 };
    int32_t states[4] = { -1, -1, -1, -1 };
    flagver_client *client = begin_store(_i);
    flagver_txn *txn;

    put_with_items(client);
    txn = begin(client);
    assert_ok(flagver_version_create(txn, PHASE, "x", "2", 1, NULL, NULL, &error));
    assert_ok(flagver_version_submit(txn, PHASE, "x", 2, NULL, NULL, &error));
    commit(txn);
    flagver_close(client);
    client = open_keyed(_i, NULL);
    assert_ok(flagver_version_due(client, &custodian, PHASE, &asked, see_states, states, &error));
    ck_assert_int_eq(states[2], FLAGVER_PAYLOAD_SEALED);
    flagver_close(client);
}
END_TEST

START_TEST(without_any_key_the_first_payload_is_refused)
{
    flagver_client *client = open_keyed(_i, NULL);
    flagver_version *version = NULL;
    flagver_txn *txn;

    put_policies(client);
    txn = begin(client);
    assert_fails(FLAGVER_EKEY,
                 flagver_version_create(txn, PHASE, "x", TEXT, strlen(TEXT), NULL, NULL, &error));
    assert_words("FLAGVER_KEYS");
    assert_ok(flagver_version_put(txn, PLAIN, "x", "1", 1, NULL, NULL, &error));
    commit(txn);
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_get(client, PHASE, "x", 1, &version, &error));
    assert_says(client, PLAIN, "x", 1, "1");
    flagver_close(client);
}
END_TEST

/* ---- where keys come from ---- */

static int give_a(void *data, const char *id, char ret_id[65], uint8_t ret_key[32])
{
    ++*(unsigned *)data;
    if (id && strcmp(id, "a") != 0)
        return 1;
    if (!id)
        strcpy(ret_id, "a");
    memset(ret_key, 'a', 32);
    return 0;
}

START_TEST(keys_come_from_a_function_a_file_or_the_environment)
{
    flagver_options options = quiet_options();
    flagver_client *client = begin_store(_i), *tenant;
    FILE *file = fopen(file_named("keys"), "w");
    unsigned asked = 0;

    assert_ok(put(client, PHASE, "x", TEXT));
    flagver_close(client);
    ck_assert_ptr_nonnull(file);
    fputs("# ours\n" KEY_A "\n", file);
    fclose(file);

    options.key_file = file_named("keys");
    setenv("FLAGVER_KEYS", "nonsense", 1);
    client = open_with(_i, &options);
    assert_says(client, PHASE, "x", 1, TEXT);
    if (_i >= SHARED_KINDS) {
        assert_ok(flagver_client_reopen(client, &error));
        assert_says(client, PHASE, "x", 1, TEXT);
    }
    assert_ok(flagver_client_tenant(client, "other", &tenant, &error));
    put_policies(tenant);
    assert_ok(put(tenant, PHASE, "x", "1"));
    assert_says(tenant, PHASE, "x", 1, "1");
    flagver_close(tenant);
    flagver_close(client);

    options.key_file = "/nowhere/at/all";
    options.key = give_a;
    options.key_data = &asked;
    client = open_with(_i, &options);
    assert_says(client, PHASE, "x", 1, TEXT);
    ck_assert_uint_gt(asked, 0);
    flagver_close(client);

    options.key = NULL;
    assert_fails(FLAGVER_EIO, flagver_open(store_uri(_i), &options, &client, &error));
    assert_words("/nowhere/at/all");
    options.key_file = NULL;
    assert_fails(FLAGVER_EPARSE, flagver_open(store_uri(_i), &options, &client, &error));
    assert_words("FLAGVER_KEYS");
    unsetenv("FLAGVER_KEYS");
}
END_TEST

/* ---- rotation ---- */

static bool see_key(void *data, const flagver_data_key *key)
{
    struct fv_text *text = data;

    fv_text_format(text, "%u %s %s,", (unsigned)key->no, key->key_id, key->opens ? "yes" : "no");
    ck_assert_int_gt(key->time, 0);
    return true;
}

static void assert_keys(flagver_client *client, const char *expected)
{
    struct fv_text text = FV_TEXT_INIT;

    assert_ok(flagver_key_list(client, see_key, &text, &error));
    ck_assert_str_eq(text.data, expected);
    fv_text_clear(&text);
}

static flagver_key_rotation rotate(flagver_client *client, const char *key)
{
    flagver_key_rotation rotation;
    flagver_txn *txn = key ? begin_with_key(client, key) : begin(client);

    assert_ok(flagver_key_rotate(txn, &rotation, &error));
    commit(txn);
    return rotation;
}

START_TEST(rotating_makes_old_keys_needless)
{
    flagver_client *client = begin_store(_i);
    flagver_key_rotation rotation;

    assert_keys(client, "");
    assert_ok(put(client, PHASE, "x", TEXT));
    assert_keys(client, "1 a yes,");
    flagver_close(client);

    client = open_keyed(_i, KEY_B "\n" KEY_A);
    rotation = rotate(client, NULL);
    ck_assert_uint_eq(rotation.data_keys, 2);
    ck_assert_uint_eq(rotation.rewrapped, 1);
    assert_keys(client, "1 b yes,2 b yes,");
    assert_ok(put(client, PHASE, "x", "2"));
    flagver_close(client);

    client = open_keyed(_i, KEY_B);
    assert_says(client, PHASE, "x", 1, TEXT);
    assert_says(client, PHASE, "x", 2, "2");
    flagver_close(client);

    client = open_keyed(_i, KEY_A);
    assert_keys(client, "1 b no,2 b no,");
    flagver_close(client);
}
END_TEST

START_TEST(rotating_again_under_an_idempotency_key_makes_no_further_key)
{
    flagver_client *client = begin_store(_i);

    ck_assert_uint_eq(rotate(client, "k").data_keys, 1);
    ck_assert_uint_eq(rotate(client, "k").data_keys, 1);
    assert_keys(client, "1 a yes,");
    ck_assert_uint_eq(rotate(client, "l").data_keys, 2);
    flagver_close(client);
}
END_TEST

/* ---- shredding ---- */

static int shred(flagver_client *client, const flagver_actor *actor, const char *phase,
                 const char *subject, uint32_t no)
{
    flagver_txn *txn = begin_as(client, actor, NULL);
    int r = flagver_version_shred(txn, phase, subject, no, "as asked for", &error);

    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static bool see_last(void *data, const flagver_audit_entry *entry)
{
    struct fv_text *text = data;

    fv_text_reset(text);
    fv_text_format(text, "%s %s %u %s %d %d", entry->action, entry->subject,
                   (unsigned)entry->version_no, entry->actor, entry->from, entry->to);
    return true;
}

START_TEST(what_was_shredded_is_gone_and_all_else_stays)
{
    flagver_client *client = begin_store(_i);
    flagver_version *before = NULL, *after = NULL;
    struct fv_text last = FV_TEXT_INIT;
    char *text = NULL;
    flagver_txn *txn;

    assert_ok(put(client, PHASE, "x", TEXT));
    assert_ok(put(client, PHASE, "x", "2"));
    assert_ok(flagver_version_get(client, PHASE, "x", 1, &before, &error));
    assert_ok(shred(client, &custodian, PHASE, "x", 1));
    assert_ok(flagver_version_get(client, PHASE, "x", 1, &after, &error));
    ck_assert_ptr_null(after->payload);
    ck_assert_uint_eq(after->payload_length, 0);
    ck_assert_int_eq(after->state, FLAGVER_STATE_SUPERSEDED);
    ck_assert_str_eq(after->created_by, "alice");
    ck_assert_mem_eq(after->content_hash, before->content_hash, 32);
    ck_assert_int_eq(after->rev, before->rev);
    flagver_version_free(before);
    flagver_version_free(after);
    assert_says(client, PHASE, "x", 2, "2");

    assert_ok(flagver_audit_log(client, 0, 0, see_last, &last, NULL, &error));
    ck_assert_str_eq(last.data, "shred x 1 carol 4 4");
    fv_text_clear(&last);

    assert_fails(FLAGVER_ESTATE, shred(client, &custodian, PHASE, "x", 1));
    assert_words("shredded before");
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_version_diff(client, PHASE, "x", 1, 2, FLAGVER_DIFF_LINES, &text, &error));
    txn = begin(client);
    ck_assert_int_lt(flagver_version_revert(txn, PHASE, "x", 1, NULL, NULL, &error), 0);
    ck_assert_int_eq(flagver_error_class(error.code), FLAGVER_CLASS_MISTAKE);
    commit(txn);
    ck_assert_uint_eq(current_no(client, PHASE, "x"), 2);
    flagver_close(client);
}
END_TEST

START_TEST(what_is_in_force_can_be_shredded_and_replaced)
{
    flagver_client *client = begin_store(_i);
    flagver_version *version = NULL;

    assert_ok(put(client, PHASE, "x", TEXT));
    assert_ok(shred(client, &custodian, PHASE, "x", 1));
    assert_ok(flagver_version_current(client, PHASE, "x", &version, &error));
    ck_assert_ptr_null(version->payload);
    flagver_version_free(version);
    assert_ok(put(client, PHASE, "x", "2"));
    assert_says(client, PHASE, "x", 2, "2");
    flagver_close(client);
}
END_TEST

START_TEST(a_transaction_does_not_see_what_it_has_shredded)
{
    flagver_client *client = begin_store(_i);
    flagver_txn *txn;

    assert_ok(put(client, PHASE, "x", TEXT));
    assert_ok(put(client, PHASE, "x", "2"));
    txn = begin_as(client, &custodian, NULL);
    assert_ok(flagver_version_shred(txn, PHASE, "x", 1, NULL, &error));
    assert_fails(FLAGVER_ESTATE, flagver_version_shred(txn, PHASE, "x", 1, NULL, &error));
    ck_assert_int_lt(flagver_version_revert(txn, PHASE, "x", 1, NULL, NULL, &error), 0);
    commit(txn);
    assert_says(client, PHASE, "x", 1, NULL);
    flagver_close(client);
}
END_TEST

START_TEST(only_whom_the_policy_names_may_shred)
{
    flagver_client *client = begin_store(_i);

    assert_ok(put(client, PHASE, "x", TEXT));
    assert_fails(FLAGVER_EDENIED, shred(client, &alice, PHASE, "x", 1));
    assert_says(client, PHASE, "x", 1, TEXT);
    flagver_close(client);
}
END_TEST

START_TEST(what_is_not_decided_yet_cannot_be_shredded)
{
    flagver_client *client = begin_store(_i);
    flagver_version *version = NULL;
    flagver_txn *txn = begin(client);

    assert_ok(flagver_version_create(txn, PHASE, "x", TEXT, strlen(TEXT), NULL, NULL, &error));
    commit(txn);
    assert_fails(FLAGVER_ESTATE, shred(client, &custodian, PHASE, "x", 1));
    assert_fails(FLAGVER_ENOTFOUND, shred(client, &custodian, PHASE, "x", 2));
    assert_fails(FLAGVER_ENOTFOUND, shred(client, &custodian, PHASE, "y", 1));
    assert_says(client, PHASE, "x", 1, TEXT);
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_get(client, PHASE, "y", 1, &version, &error));
    flagver_close(client);
}
END_TEST

START_TEST(what_the_library_needs_is_not_shredded)
{
    flagver_client *client = open_keyed(_i, KEY_A);

    put_policy(client, FLAGVER_PHASE_FLAG,
               "{'versioning':'full','approval':{'required':false},'shred':'anyone'}");
    put_flag(client, "f", SIMPLE);
    assert_fails(FLAGVER_ESTATE, shred(client, &alice, FLAGVER_PHASE_FLAG, "f", 1));
    assert_words("in force");
    put_flag(client, "f", SHARE(5));
    assert_ok(shred(client, &alice, FLAGVER_PHASE_FLAG, "f", 1));
    assert_ok(flagver_client_refresh(client, &error));
    flagver_close(client);
}
END_TEST

START_TEST(no_key_is_needed_to_shred)
{
    flagver_client *client = begin_store(_i);

    put_with_items(client);
    flagver_close(client);
    client = open_keyed(_i, NULL);
    assert_ok(shred(client, &custodian, PHASE, "x", 1));
    assert_says(client, PHASE, "x", 1, NULL);
    ck_assert_uint_eq(items_of(client, 1).there, 0);
    flagver_close(client);
}
END_TEST

START_TEST(what_is_plain_can_be_shredded_as_well)
{
    flagver_client *client = begin_store(_i);

    assert_ok(put(client, PLAIN, "x", TEXT));
    assert_ok(shred(client, &alice, PLAIN, "x", 1));
    assert_says(client, PLAIN, "x", 1, NULL);
    flagver_close(client);
}
END_TEST

START_TEST(an_export_after_shredding_can_be_imported)
{
    flagver_client *client = begin_store(_i);
    char uri[160];

    put_with_items(client);
    carry_forward(client);
    assert_ok(shred(client, &custodian, PHASE, "x", 1));
    flagver_close(client);
    assert_ok(flagver_store_export(owner_uri(_i), NULL, file_named("export"), &error));
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    assert_ok(flagver_store_import(uri, file_named("export"), &error));
    setenv("FLAGVER_KEYS", KEY_A, 1);
    assert_ok(flagver_open(uri, NULL, &client, &error));
    unsetenv("FLAGVER_KEYS");
    assert_says(client, PHASE, "x", 1, NULL);
    assert_says(client, PHASE, "x", 2, "2");
    flagver_close(client);
}
END_TEST

/* ---- retention ---- */

static int retain(flagver_client *client, const flagver_actor *actor, const char *phase,
                  const char *prefix, int64_t before, uint64_t *ret_count)
{
    flagver_txn *txn = begin_as(client, actor, NULL);
    int r = flagver_retain(txn, phase, prefix, before, "too old", ret_count, &error);

    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static int64_t created_at(flagver_client *client, const char *phase, const char *subject,
                          uint32_t no)
{
    flagver_version *version = NULL;
    int64_t time;

    assert_ok(flagver_version_get(client, phase, subject, no, &version, &error));
    time = version->created_at;
    flagver_version_free(version);
    return time;
}

START_TEST(retention_takes_what_is_old_and_out_of_force)
{
    flagver_client *client = begin_store(_i);
    uint64_t count = 99;
    flagver_txn *txn;

    assert_ok(put(client, PHASE, "a/1", "1"));
    assert_ok(put(client, PHASE, "a/1", "2"));
    assert_ok(put(client, PHASE, "a/1", "3"));
    assert_ok(put(client, PHASE, "b/1", "1"));
    txn = begin(client);
    assert_ok(flagver_version_create(txn, PHASE, "b/1", "2", 1, NULL, NULL, &error));
    assert_ok(flagver_version_withdraw(txn, PHASE, "b/1", 2, NULL, NULL, &error));
    assert_ok(flagver_version_create(txn, PHASE, "b/1", "3", 1, NULL, NULL, &error));
    commit(txn);

    assert_ok(retain(client, &custodian, PHASE, NULL, created_at(client, PHASE, "a/1", 2), &count));
    ck_assert_uint_eq(count, 1);
    assert_says(client, PHASE, "a/1", 1, NULL);
    assert_says(client, PHASE, "a/1", 2, "2");

    assert_ok(retain(client, &custodian, PHASE, "b/", INT64_MAX, &count));
    ck_assert_uint_eq(count, 1);
    assert_says(client, PHASE, "b/1", 1, "1");
    assert_says(client, PHASE, "b/1", 2, NULL);
    assert_says(client, PHASE, "b/1", 3, "3");
    assert_says(client, PHASE, "a/1", 2, "2");

    assert_ok(retain(client, &custodian, PHASE, NULL, INT64_MAX, &count));
    ck_assert_uint_eq(count, 1);
    assert_says(client, PHASE, "a/1", 2, NULL);
    assert_says(client, PHASE, "a/1", 3, "3");

    assert_ok(retain(client, &custodian, PHASE, NULL, INT64_MAX, &count));
    ck_assert_uint_eq(count, 0);
    flagver_close(client);
}
END_TEST

START_TEST(of_what_was_recorded_the_last_stays)
{
    flagver_client *client = begin_store(_i);
    uint64_t count = 99;
    flagver_txn *txn = begin(client);

    assert_ok(flagver_version_record(txn, JOURNAL, "x", "1", 1, NULL, NULL, &error));
    assert_ok(flagver_version_record(txn, JOURNAL, "x", "2", 1, NULL, NULL, &error));
    assert_ok(flagver_version_record(txn, JOURNAL, "y", "1", 1, NULL, NULL, &error));
    commit(txn);
    assert_ok(retain(client, &custodian, JOURNAL, NULL, INT64_MAX, &count));
    ck_assert_uint_eq(count, 1);
    assert_says(client, JOURNAL, "x", 1, NULL);
    assert_says(client, JOURNAL, "x", 2, "2");
    assert_says(client, JOURNAL, "y", 1, "1");
    flagver_close(client);
}
END_TEST

START_TEST(retention_that_is_denied_for_one_takes_nothing)
{
    flagver_client *client = begin_store(_i);
    uint64_t count = 99;

    put_policy(client, PHASE "/b/",
               "{'versioning':'full','approval':{'required':false},'encrypt':true}");
    assert_ok(put(client, PHASE, "a/1", "1"));
    assert_ok(put(client, PHASE, "a/1", "2"));
    assert_ok(put(client, PHASE, "b/1", "1"));
    assert_ok(put(client, PHASE, "b/1", "2"));
    assert_fails(FLAGVER_EDENIED, retain(client, &custodian, PHASE, NULL, INT64_MAX, &count));
    assert_words("b/1");
    ck_assert_uint_eq(count, 99);
    assert_says(client, PHASE, "a/1", 1, "1");
    assert_ok(retain(client, &custodian, PHASE, "a/", INT64_MAX, &count));
    ck_assert_uint_eq(count, 1);
    flagver_close(client);
}
END_TEST

START_TEST(retention_needs_no_key)
{
    flagver_client *client = begin_store(_i);
    uint64_t count = 99;

    assert_ok(put(client, PHASE, "x", "1"));
    assert_ok(put(client, PHASE, "x", "2"));
    flagver_close(client);
    client = open_keyed(_i, NULL);
    assert_ok(retain(client, &custodian, PHASE, NULL, INT64_MAX, &count));
    ck_assert_uint_eq(count, 1);
    assert_says(client, PHASE, "x", 1, NULL);
    flagver_close(client);
}
END_TEST

/* ---- tokens of others, misuse ---- */

#define FERNET_KEY "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
#define FERNET_TOKEN                                                                          \
    "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64" \
    "jVmpU4IwqDA=="

START_TEST(a_fernet_token_is_decrypted)
{
    char *text = NULL;
    size_t length = 99;

    assert_ok(flagver_fernet_decrypt(FERNET_KEY, FERNET_TOKEN, strlen(FERNET_TOKEN), &text, &length,
                                     &error));
    ck_assert_str_eq(text, "hello");
    ck_assert_uint_eq(length, 5);
    flagver_string_free(text);
    assert_fails(FLAGVER_EINVAL, flagver_fernet_decrypt("short", FERNET_TOKEN, strlen(FERNET_TOKEN),
                                                        &text, &length, &error));
    assert_fails(FLAGVER_EPARSE,
                 flagver_fernet_decrypt(FERNET_KEY, "hello", 5, &text, &length, &error));
    assert_fails(FLAGVER_EKEY, flagver_fernet_decrypt(
                                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", FERNET_TOKEN,
                                   strlen(FERNET_TOKEN), &text, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_fernet_decrypt(NULL, "", 0, &text, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_fernet_decrypt(FERNET_KEY, NULL, 1, &text, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_fernet_decrypt(FERNET_KEY, "", 0, NULL, NULL, &error));
}
END_TEST

START_TEST(misuse_is_refused)
{
    flagver_client *client = begin_store(0);
    flagver_txn *txn = begin(client);
    char long_note[FLAGVER_NOTE_LIMIT + 2];

    memset(long_note, 'x', sizeof long_note - 1);
    long_note[sizeof long_note - 1] = 0;
    assert_fails(FLAGVER_EINVAL, flagver_key_rotate(NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_key_list(client, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_key_list(NULL, see_key, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_shred(NULL, PHASE, "x", 1, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_shred(txn, PHASE, "", 1, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_shred(txn, PHASE, "x", 1, long_note, &error));
    assert_fails(FLAGVER_EINVAL, flagver_retain(NULL, PHASE, NULL, 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_retain(txn, "", NULL, 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_retain(txn, PHASE, "", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_retain(txn, PHASE, NULL, 1, long_note, NULL, &error));
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

static Suite *keys_suite(void)
{
    Suite *suite = suite_create("keys");
    TCase *all = add_store_tcase(suite, "every store"),
          *shared = add_store_tcase(suite, "stores that are opened twice"),
          *once = add_store_tcase(suite, "no store in particular");

    tcase_add_loop_test(all, what_is_encrypted_is_read_as_it_was_written, 0, STORE_KINDS);
    tcase_add_loop_test(all, equal_contents_have_different_hashes, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_draft_is_edited_and_reverted_like_any_other, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_was_written_before_the_policy_stays_plain_and_readable, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, removing_and_creating_again_works, 0, STORE_KINDS);
    tcase_add_loop_test(all, flags_cannot_be_encrypted, 0, STORE_KINDS);
    tcase_add_loop_test(all, the_same_again_under_an_idempotency_key_is_harmless, 0, STORE_KINDS);
    tcase_add_loop_test(all, another_content_under_an_idempotency_key_is_refused, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_is_refused_under_an_idempotency_key_leaves_the_transaction_open,
                        0, STORE_KINDS);
    tcase_add_loop_test(all, what_is_remembered_of_a_key_does_not_help_to_guess_a_content, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, items_are_encrypted_and_carried_forward, 0, STORE_KINDS);
    tcase_add_loop_test(all, an_item_that_is_put_as_it_is_keeps_its_decision, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_key_that_is_missing_on_the_way_changes_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(all, shredding_a_version_takes_its_items_and_leaves_those_carried_forward,
                        0, STORE_KINDS);
    tcase_add_loop_test(all, without_any_key_the_first_payload_is_refused, 0, STORE_KINDS);
    tcase_add_loop_test(all, rotating_again_under_an_idempotency_key_makes_no_further_key, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, what_was_shredded_is_gone_and_all_else_stays, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_is_in_force_can_be_shredded_and_replaced, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_transaction_does_not_see_what_it_has_shredded, 0, STORE_KINDS);
    tcase_add_loop_test(all, only_whom_the_policy_names_may_shred, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_is_not_decided_yet_cannot_be_shredded, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_the_library_needs_is_not_shredded, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_is_plain_can_be_shredded_as_well, 0, STORE_KINDS);
    tcase_add_loop_test(all, retention_takes_what_is_old_and_out_of_force, 0, STORE_KINDS);
    tcase_add_loop_test(all, of_what_was_recorded_the_last_stays, 0, STORE_KINDS);
    tcase_add_loop_test(all, retention_that_is_denied_for_one_takes_nothing, 0, STORE_KINDS);

    tcase_add_loop_test(shared, no_file_has_what_is_secret, JSONFILE_KIND, FILE_KINDS);
    tcase_add_loop_test(shared, what_was_shredded_is_in_no_file_of_the_store, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(shared, an_export_brings_keys_and_payloads_along, JSONFILE_KIND,
                        STORE_KINDS);
    tcase_add_loop_test(shared, an_export_after_shredding_can_be_imported, JSONFILE_KIND,
                        STORE_KINDS);
    tcase_add_loop_test(shared, without_a_key_nothing_is_written_and_all_but_payloads_is_read,
                        JSONFILE_KIND, STORE_KINDS);
    tcase_add_loop_test(shared, verification_tells_a_key_that_is_wrong_from_one_that_is_missing,
                        JSONFILE_KIND, STORE_KINDS);
    tcase_add_loop_test(shared, a_payload_whose_key_is_not_at_hand_is_sealed, JSONFILE_KIND,
                        STORE_KINDS);
    tcase_add_loop_test(shared, what_waits_is_listed_without_the_key, JSONFILE_KIND, STORE_KINDS);
    tcase_add_loop_test(shared, keys_come_from_a_function_a_file_or_the_environment, JSONFILE_KIND,
                        STORE_KINDS);
    tcase_add_loop_test(shared, rotating_makes_old_keys_needless, JSONFILE_KIND, STORE_KINDS);
    tcase_add_loop_test(shared, no_key_is_needed_to_shred, JSONFILE_KIND, STORE_KINDS);
    tcase_add_loop_test(shared, retention_needs_no_key, JSONFILE_KIND, STORE_KINDS);

    tcase_add_test(once, a_fernet_token_is_decrypted);
    tcase_add_test(once, misuse_is_refused);
    return suite;
}

int main(void)
{
    return run_store_suite(keys_suite());
}
