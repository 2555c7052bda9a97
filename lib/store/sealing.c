#include "store/sealing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/staging.h"
#include "util/fail.h"

#define FORM 1
#define SEALED_KEY (FV_AEAD_KEY_SIZE + FV_AEAD_EXTRA)
#define SEALED_SALT (FV_SALT_SIZE + FV_AEAD_EXTRA)
#define VALUE_LIMIT (2 + FLAGVER_KEY_ID_LIMIT + SEALED_KEY)
#define DIGITS 10

/* What a seal is about; different first bytes, so that a key never passes for a payload. */
#define ABOUT_PAYLOAD 1
#define ABOUT_KEY 2
#define ABOUT_SALT 3
#define ABOUT_LIMIT (1 + 2 + FV_TENANT_LIMIT + 16 + 4 + 1 + FLAGVER_KEY_ID_LIMIT)

/* A row of the keyed table. */
struct key_row {
    uint32_t no;             /* 0: it is malformed */
    int64_t rev;             /* 0: it is not there yet */
    char id[FV_KEY_ID_SIZE]; /* of the key-encryption key */
    uint8_t sealed[SEALED_KEY];
};

struct fv_data_key {
    uint32_t no;
    uint8_t key[FV_AEAD_KEY_SIZE];
    bool fresh;         /* its row is not staged yet, */
    struct key_row row; /* and will be this one */
    struct fv_data_key *next;
};

void fv_data_keys_clear(struct fv_data_keys *keys)
{
    struct fv_data_key *key;

    while ((key = keys->first)) {
        keys->first = key->next;
        fv_wipe(key, sizeof *key);
        free(key);
    }
    keys->newest = 0;
}

static struct fv_data_key *find_key(const struct fv_data_keys *keys, uint32_t no)
{
    struct fv_data_key *key = keys->first;

    while (key && key->no != no)
        key = key->next;
    return key;
}

static struct fv_data_key *add_key(struct fv_data_keys *keys, uint32_t no)
{
    struct fv_data_key *key = calloc(1, sizeof *key);

    if (!key)
        return NULL;
    key->no = no;
    key->next = keys->first;
    keys->first = key;
    return key;
}

static void drop_first(struct fv_data_keys *keys)
{
    struct fv_data_key *key = keys->first;

    keys->first = key->next;
    fv_wipe(key, sizeof *key);
    free(key);
}

/* ---- what seals are about ---- */

struct about {
    uint8_t bytes[ABOUT_LIMIT];
    size_t length;
};

static void put(struct about *about, const void *data, size_t length)
{
    memcpy(about->bytes + about->length, data, length);
    about->length += length;
}

static void put_number(struct about *about, uint32_t number)
{
    const uint8_t bytes[4] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16),
                               (uint8_t)(number >> 8), (uint8_t)number };

    put(about, bytes, sizeof bytes);
}

static void begin_about(struct about *about, uint8_t kind, const char *tenant)
{
    const size_t length = strlen(tenant);
    const uint8_t head[3] = { kind, (uint8_t)(length >> 8), (uint8_t)length };

    about->length = 0;
    put(about, head, sizeof head);
    put(about, tenant, length);
}

/* `kind` is ABOUT_PAYLOAD or ABOUT_SALT. */
static flagver_bytes about_payload(struct about *about, uint8_t kind, const char *tenant,
                                   const flagver_id *id, uint32_t key)
{
    const uint8_t form = FV_AEAD_FORM;

    begin_about(about, kind, tenant);
    put(about, id->bytes, sizeof id->bytes);
    put_number(about, key);
    put(about, &form, 1);
    return (flagver_bytes){ about->bytes, about->length };
}

static flagver_bytes about_key(struct about *about, const char *tenant, uint32_t no, const char *id)
{
    begin_about(about, ABOUT_KEY, tenant);
    put_number(about, no);
    put(about, id, strlen(id));
    return (flagver_bytes){ about->bytes, about->length };
}

/* ---- rows of keys ---- */

static uint32_t read_number(flagver_bytes text)
{
    const char *digits = text.data;
    uint64_t number = 0;
    size_t i;

    if (text.length != DIGITS)
        return 0;
    for (i = 0; i < DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(digits[i] - '0');
    }
    return number > UINT32_MAX ? 0 : (uint32_t)number;
}

static void read_row(const flagver_keyed_row *row, struct key_row *ret_row)
{
    const uint8_t *value = row->value.data;
    size_t length = row->value.length, id_length = length > 2 ? value[1] : 0;

    memset(ret_row, 0, sizeof *ret_row);
    ret_row->rev = row->rev;
    if (!id_length || id_length > FLAGVER_KEY_ID_LIMIT || value[0] != FORM ||
        length != 2 + id_length + SEALED_KEY || memchr(value + 2, 0, id_length))
        return;
    memcpy(ret_row->id, value + 2, id_length);
    memcpy(ret_row->sealed, value + 2 + id_length, SEALED_KEY);
    ret_row->no = read_number(row->key);
}

bool fv_key_row_read(const flagver_keyed_row *row, uint32_t *ret_no, char ret_id[FV_KEY_ID_SIZE])
{
    struct key_row read;

    read_row(row, &read);
    *ret_no = read.no;
    memcpy(ret_id, read.id, FV_KEY_ID_SIZE);
    return read.no != 0;
}

static size_t write_value(const struct key_row *row, uint8_t value[VALUE_LIMIT])
{
    size_t id_length = strlen(row->id);

    value[0] = FORM;
    value[1] = (uint8_t)id_length;
    memcpy(value + 2, row->id, id_length);
    memcpy(value + 2 + id_length, row->sealed, SEALED_KEY);
    return 2 + id_length + SEALED_KEY;
}

/* The row of this number, or (0) all of them are handed to `visit` in order. An error of the driver's. */
static int scan_rows(const struct fv_key_place *place, uint32_t no,
                     bool (*visit)(void *data, const struct key_row *row), void *data,
                     flagver_error *err)
{
    const flagver_driver *driver = place->store->driver;
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(FV_KEY_SPACE) };
    char digits[DIGITS + 1];
    struct key_row row;
    flagver_cursor *cursor;
    flagver_row found;
    int r;

    snprintf(digits, sizeof digits, "%010u", (unsigned)no);
    if (no)
        query.subject = fv_bytes(digits);
    r = driver->scan(place->txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = driver->next(cursor, &found, err)) > 0) {
        read_row(&found.as.keyed, &row);
        if (!visit(data, &row)) {
            r = fv_fail_memory(err);
            break;
        }
    }
    driver->end_scan(cursor);
    return r;
}

static bool keep_row(void *data, const struct key_row *row)
{
    *(struct key_row *)data = *row;
    return true;
}

/* ---- opening and sealing keys ---- */

static int open_key(const struct fv_key_place *place, const struct key_row *row, uint8_t *out,
                    flagver_error *err)
{
    uint8_t outer[FLAGVER_KEY_SIZE];
    struct about about;
    int r = fv_keyring_find(place->store->keys, row->id, outer, err);

    if (r < 0)
        return r;
    r = fv_aead_open(place->store->crypto, outer,
                     about_key(&about, place->tenant, row->no, row->id),
                     (flagver_bytes){ row->sealed, SEALED_KEY }, out);
    fv_wipe(outer, sizeof outer);
    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return r == 0 ? 0
                  : fv_fail(err, FLAGVER_EKEY,
                            "data key %u does not open with the key-encryption key \"%s\": that "
                            "is another one of this name, or the data key is damaged",
                            (unsigned)row->no, row->id);
}

int fv_key_is_wrong(const struct fv_key_place *place, uint32_t no, flagver_error *err)
{
    uint8_t key[FV_AEAD_KEY_SIZE];
    struct key_row row = { .no = 0 };
    int r = scan_rows(place, no, keep_row, &row, err);

    if (r < 0)
        return r;
    r = row.no == no && fv_keyring_find(place->store->keys, row.id, key, NULL) == 0 &&
        open_key(place, &row, key, NULL) == FLAGVER_EKEY;
    fv_wipe(key, sizeof key);
    return r;
}

int fv_key_row_try(const struct fv_key_place *place, const flagver_keyed_row *row,
                   flagver_error *err)
{
    uint8_t key[FV_AEAD_KEY_SIZE];
    struct key_row read;
    int r;

    read_row(row, &read);
    r = open_key(place, &read, key, err);
    fv_wipe(key, sizeof key);
    return r;
}

/* Under the first key-encryption key. */
static int seal_key(const struct fv_key_place *place, const struct fv_data_key *key,
                    struct key_row *ret_row, flagver_error *err)
{
    uint8_t outer[FLAGVER_KEY_SIZE];
    struct about about;
    int r = fv_keyring_first(place->store->keys, ret_row->id, outer, err);

    if (r < 0)
        return r;
    ret_row->no = key->no;
    r = fv_aead_seal(place->store->crypto, outer,
                     about_key(&about, place->tenant, key->no, ret_row->id),
                     (flagver_bytes){ key->key, sizeof key->key }, ret_row->sealed);
    fv_wipe(outer, sizeof outer);
    if (r == FLAGVER_EIO)
        return fv_fail(err, FLAGVER_EIO, "the system has no random numbers");
    return r < 0 ? fv_fail_memory(err) : 0;
}

static int take_key(const struct fv_key_place *place, struct fv_data_keys *keys,
                    const struct key_row *row, struct fv_data_key **ret_key, flagver_error *err)
{
    struct fv_data_key *key = find_key(keys, row->no);
    int r = 0;

    if (!key) {
        key = add_key(keys, row->no);
        if (!key)
            return fv_fail_memory(err);
        r = open_key(place, row, key->key, err);
    }
    if (r < 0)
        drop_first(keys);
    else
        *ret_key = key;
    return r;
}

/* A new one: sealed, in no row yet. */
static int make_key(const struct fv_key_place *place, struct fv_data_keys *keys, uint32_t no,
                    struct fv_data_key **ret_key, flagver_error *err)
{
    struct fv_data_key *key = add_key(keys, no);
    int r;

    if (!key)
        return fv_fail_memory(err);
    key->fresh = true;
    if (fv_random(key->key, sizeof key->key))
        r = seal_key(place, key, &key->row, err);
    else
        r = fv_fail(err, FLAGVER_EIO, "the system has no random numbers");
    if (r < 0)
        drop_first(keys);
    else
        *ret_key = key;
    return r;
}

/* ---- payloads ---- */

bool fv_version_is_sealed(const flagver_version_row *row, struct fv_sealed *ret_sealed)
{
    *ret_sealed = (struct fv_sealed){ .id = row->payload_id,
                                      .key = row->payload_key,
                                      .body = row->payload,
                                      .salt = row->payload_salt,
                                      .name = row->subject,
                                      .no = row->no };
    return row->payload_key != 0 && row->payload.data;
}

bool fv_item_is_sealed(const flagver_item_row *row, struct fv_sealed *ret_sealed)
{
    *ret_sealed = (struct fv_sealed){ .id = row->payload_id,
                                      .key = row->payload_key,
                                      .body = row->payload,
                                      .salt = row->payload_salt,
                                      .name = row->key,
                                      .no = row->no };
    return row->payload_key != 0 && row->payload.data;
}

/* The payload's name for people. */
#define NAME(sealed) (int)(sealed)->name.length, (const char *)(sealed)->name.data

int fv_sealed_size(const struct fv_sealed *sealed, size_t *ret_size, flagver_error *err)
{
    if (sealed->body.length < FV_AEAD_EXTRA || sealed->salt.length != SEALED_SALT)
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "the sealed payload of \"%.*s\" in version %u, or its salt, is cut short",
                       NAME(sealed), (unsigned)sealed->no);
    *ret_size = sealed->body.length - FV_AEAD_EXTRA;
    return 0;
}

static int open_payload(const struct fv_key_place *place, const struct fv_data_key *key,
                        const struct fv_sealed *sealed, uint8_t *out, uint8_t *ret_salt,
                        flagver_error *err)
{
    struct fv_crypto *crypto = place->store->crypto;
    const char *tenant = place->tenant;
    struct about about;
    int r;

    r = fv_aead_open(crypto, key->key,
                     about_payload(&about, ABOUT_SALT, tenant, &sealed->id, key->no), sealed->salt,
                     ret_salt);
    if (r == 0)
        r = fv_aead_open(crypto, key->key,
                         about_payload(&about, ABOUT_PAYLOAD, tenant, &sealed->id, key->no),
                         sealed->body, out);
    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return r == 0 ? 0
                  : fv_fail(err, FLAGVER_ECORRUPT,
                            "the sealed payload of \"%.*s\" in version %u was changed, or is "
                            "another's",
                            NAME(sealed), (unsigned)sealed->no);
}

static int read_key(const struct fv_key_place *place, struct fv_data_keys *keys,
                    const struct fv_sealed *sealed, const struct key_row *row,
                    struct fv_data_key **ret_key, flagver_error *err)
{
    if (row->no != sealed->key)
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "data key %u, with which \"%.*s\" in version %u is sealed, is missing or "
                       "malformed",
                       (unsigned)sealed->key, NAME(sealed), (unsigned)sealed->no);
    return take_key(place, keys, row, ret_key, err);
}

int fv_sealed_open(const struct fv_key_place *place, struct fv_data_keys *keys,
                   const struct fv_sealed *sealed, uint8_t *out, uint8_t ret_salt[FV_SALT_SIZE],
                   flagver_error *err)
{
    struct fv_data_key *key = find_key(keys, sealed->key);
    struct key_row row = { .no = 0 };
    int r = 0;

    if (!key) {
        r = scan_rows(place, sealed->key, keep_row, &row, err);
        if (r == 0)
            r = read_key(place, keys, sealed, &row, &key, err);
    }
    return r < 0 ? r : open_payload(place, key, sealed, out, ret_salt, err);
}

/* ---- in a transaction ---- */

static struct fv_key_place place_of(const flagver_txn *txn)
{
    return (struct fv_key_place){ txn->source.store, txn->driver, txn->source.tenant };
}

int fv_txn_unseal(flagver_txn *txn, const struct fv_sealed *sealed, flagver_bytes *ret_body,
                  flagver_bytes *ret_salt, flagver_error *err)
{
    const struct fv_key_place place = place_of(txn);
    size_t size = 0;
    uint8_t *out, *salt;
    int r = fv_sealed_size(sealed, &size, err);

    if (r < 0)
        return r;
    salt = fv_arena_allocate(&txn->arena, FV_SALT_SIZE);
    out = fv_arena_allocate(&txn->arena, size + 1);
    if (!salt || !out)
        return fv_fail_memory(err);
    r = fv_sealed_open(&place, &txn->data_keys, sealed, out, salt, err);
    if (r < 0)
        return r;
    out[size] = 0;
    *ret_body = (flagver_bytes){ out, size };
    *ret_salt = (flagver_bytes){ salt, FV_SALT_SIZE };
    return 0;
}

static int stage_row(flagver_txn *txn, const struct key_row *row, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = row->rev };
    flagver_keyed_row *keyed = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *keyed);
    uint8_t value[VALUE_LIMIT];
    char digits[DIGITS + 1];

    if (!keyed)
        return fv_fail_memory(err);
    snprintf(digits, sizeof digits, "%010u", (unsigned)row->no);
    keyed->tenant = fv_bytes(txn->source.tenant);
    keyed->space = fv_bytes(FV_KEY_SPACE);
    keyed->key = fv_bytes(fv_arena_string(&txn->arena, digits, DIGITS));
    keyed->rev = row->rev + 1;
    keyed->time = txn->time;
    keyed->value.length = write_value(row, value);
    keyed->value.data = fv_arena_string(&txn->arena, (const char *)value, keyed->value.length);
    if (!keyed->key.data || !keyed->value.data)
        return fv_fail_memory(err);
    change.row.keyed = keyed;
    return fv_txn_change(txn, &change, err);
}

/* The key to seal with is among the transaction's keys then. */
static int ready_key(flagver_txn *txn, struct fv_data_key **ret_key, flagver_error *err)
{
    const struct fv_key_place place = place_of(txn);
    struct fv_data_keys *keys = &txn->data_keys;
    struct key_row row = { .no = 0 };
    int r;

    *ret_key = find_key(keys, keys->newest);
    if (*ret_key)
        return 0;
    r = fv_txn_outcome(txn, scan_rows(&place, 0, keep_row, &row, err)); /* the last one stays */
    if (r < 0)
        return r;
    if (row.rev && !row.no)
        return fv_fail(err, FLAGVER_ECORRUPT, "the row of the newest data key is malformed");
    r = row.no ? take_key(&place, keys, &row, ret_key, err)
               : make_key(&place, keys, 1, ret_key, err);
    if (r == 0)
        keys->newest = (*ret_key)->no;
    return r;
}

int fv_txn_salt(flagver_txn *txn, flagver_bytes *ret_salt, flagver_error *err)
{
    struct fv_data_key *key;
    uint8_t *salt;
    int r = ready_key(txn, &key, err);

    if (r < 0)
        return r;
    salt = fv_arena_allocate(&txn->arena, FV_SALT_SIZE);
    if (!salt)
        return fv_fail_memory(err);
    if (!fv_random(salt, FV_SALT_SIZE))
        return fv_fail(err, FLAGVER_EIO, "the system has no random numbers");
    *ret_salt = (flagver_bytes){ salt, FV_SALT_SIZE };
    return 0;
}

static int stage_if_fresh(flagver_txn *txn, struct fv_data_key *key, flagver_error *err)
{
    if (!key->fresh)
        return 0;
    key->fresh = false;
    return stage_row(txn, &key->row, err);
}

static int seal_bytes(flagver_txn *txn, const struct fv_data_key *key, uint8_t kind,
                      const flagver_id *id, flagver_bytes *bytes, flagver_error *err)
{
    uint8_t *out = fv_arena_allocate(&txn->arena, bytes->length + FV_AEAD_EXTRA);
    struct about about;
    int r;

    if (!out)
        return fv_fail_memory(err);
    r = fv_aead_seal(txn->source.store->crypto, key->key,
                     about_payload(&about, kind, txn->source.tenant, id, key->no), *bytes, out);
    if (r < 0)
        return fv_fail(err, r, "a payload could not be sealed: %s", fv_error_words(r));
    *bytes = (flagver_bytes){ out, bytes->length + FV_AEAD_EXTRA };
    return 0;
}

int fv_txn_seal(flagver_txn *txn, flagver_payload_row *row, flagver_error *err)
{
    struct fv_data_key *key;
    int r;

    r = ready_key(txn, &key, err);
    if (r == 0)
        r = stage_if_fresh(txn, key, err);
    if (r == 0)
        r = seal_bytes(txn, key, ABOUT_SALT, &row->id, &row->salt, err);
    if (r == 0)
        r = seal_bytes(txn, key, ABOUT_PAYLOAD, &row->id, &row->body, err);
    if (r == 0)
        row->key = key->no;
    return r;
}

/* ---- veiling ---- */

/* The first one, because there is always that: others come with a rotation. */
static int ready_first_key(flagver_txn *txn, struct fv_data_key **ret_key, flagver_error *err)
{
    const struct fv_key_place place = place_of(txn);
    struct key_row row = { .no = 0 };
    int r;

    *ret_key = find_key(&txn->data_keys, 1);
    if (*ret_key)
        return 0;
    r = fv_txn_outcome(txn, scan_rows(&place, 1, keep_row, &row, err));
    if (r < 0)
        return r;
    return row.no ? take_key(&place, &txn->data_keys, &row, ret_key, err)
                  : ready_key(txn, ret_key, err);
}

int fv_txn_veil(flagver_txn *txn, const void *data, size_t length, uint8_t out[FV_DIGEST_SIZE],
                flagver_error *err)
{
    struct fv_words parts[2] = { { NULL, 0 }, { data, length } };
    bool begun = txn->staged != txn->staged_before;
    struct fv_data_key *key;
    int r;

    memset(out, 0, FV_DIGEST_SIZE);
    if (!txn->key)
        return 0;
    r = ready_first_key(txn, &key, err);
    if (r == 0)
        r = stage_if_fresh(txn, key, err);
    if (r < 0)
        return r;
    /* A data key alone is no half of an operation: that may still be refused. */
    if (!begun)
        txn->staged_before = txn->staged;
    parts[0] = (struct fv_words){ key->key, sizeof key->key };
    return fv_txn_digest(txn, parts, 2, out, err);
}

/* ---- rotation ---- */

struct key_rows {
    struct key_row *rows;
    size_t count, capacity;
};

static bool add_row(void *data, const struct key_row *row)
{
    struct key_rows *rows = data;

    if (!fv_grow(NULL, (void **)&rows->rows, &rows->capacity, rows->count, sizeof *rows->rows))
        return false;
    rows->rows[rows->count++] = *row;
    return true;
}

/* Those that are under another key-encryption key than `first`, newly sealed; others are left out. */
static int reseal(flagver_txn *txn, struct key_rows *rows, const char *first, flagver_error *err)
{
    const struct fv_key_place place = place_of(txn);
    struct fv_data_key *key;
    size_t i, kept = 0;
    int r;

    for (i = 0; i < rows->count; i++) {
        if (!rows->rows[i].no)
            return fv_fail(err, FLAGVER_ECORRUPT, "the row of a data key is malformed");
        if (strcmp(rows->rows[i].id, first) == 0)
            continue;
        r = take_key(&place, &txn->data_keys, &rows->rows[i], &key, err);
        if (r < 0)
            return r;
        rows->rows[kept] = (struct key_row){ .rev = rows->rows[i].rev };
        r = seal_key(&place, key, &rows->rows[kept++], err);
        if (r < 0)
            return r;
    }
    rows->count = kept;
    return 0;
}

static int make_newest(flagver_txn *txn, uint32_t after, flagver_error *err)
{
    const struct fv_key_place place = place_of(txn);
    struct fv_data_key *key;
    int r;

    if (after == UINT32_MAX)
        return fv_fail(err, FLAGVER_ENOTSUP, "there are %u data keys already", (unsigned)after);
    r = make_key(&place, &txn->data_keys, after + 1, &key, err);
    if (r == 0)
        txn->data_keys.newest = key->no;
    return r;
}

/* Everything that can be refused comes before anything is staged. */
static int rotate(flagver_txn *txn, struct key_rows *rows, flagver_key_rotation *rotation,
                  flagver_error *err)
{
    char first[FV_KEY_ID_SIZE];
    uint8_t unused[FLAGVER_KEY_SIZE];
    size_t i, count = rows->count;
    uint32_t newest = count ? rows->rows[count - 1].no : 0;
    int r = fv_keyring_first(txn->source.store->keys, first, unused, err);

    fv_wipe(unused, sizeof unused);
    if (r == 0)
        r = reseal(txn, rows, first, err);
    if (r == 0)
        r = make_newest(txn, newest, err);
    for (i = 0; r == 0 && i < rows->count; i++)
        r = stage_row(txn, &rows->rows[i], err);
    if (r == 0)
        r = stage_if_fresh(txn, find_key(&txn->data_keys, txn->data_keys.newest), err);
    *rotation = (flagver_key_rotation){ (uint32_t)count + 1, (uint32_t)rows->count };
    return r;
}

int fv_txn_rotate_keys(flagver_txn *txn, flagver_key_rotation *ret_rotation, flagver_error *err)
{
    const struct fv_key_place place = place_of(txn);
    struct fv_data_key *newest = find_key(&txn->data_keys, txn->data_keys.newest);
    flagver_key_rotation rotation;
    struct key_rows rows = { NULL, 0, 0 };
    int r = newest ? stage_if_fresh(txn, newest, err) : 0;

    if (r == 0)
        r = fv_txn_flush(txn, err);
    if (r == 0)
        r = fv_txn_outcome(txn, scan_rows(&place, 0, add_row, &rows, err));
    if (r == 0)
        r = rotate(txn, &rows, &rotation, err);
    fv_release(NULL, rows.rows);
    if (r == 0)
        *ret_rotation = rotation;
    return r;
}
