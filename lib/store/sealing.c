#include "store/sealing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/staging.h"
#include "util/fail.h"

#define FORM 1
#define SEALED_KEY (FV_AEAD_KEY_SIZE + FV_AEAD_EXTRA)
#define VALUE_LIMIT (2 + FLAGVER_KEY_ID_LIMIT + SEALED_KEY)
#define DIGITS 10
#define FEW_ROWS 16 /* of keys, to begin with */

/* What a seal is about; different first bytes, so that a key never passes for a payload. */
#define ABOUT_PAYLOAD 1
#define ABOUT_KEY 2
#define ABOUT_LIMIT (1 + 2 + FV_TENANT_LIMIT + 16 + 4 + 1 + FLAGVER_KEY_ID_LIMIT)

struct fv_data_key {
    uint32_t no;
    uint8_t key[FV_AEAD_KEY_SIZE];
    bool staged; /* it is in the store, or on the way there */
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

static flagver_bytes about_payload(struct about *about, const char *tenant, const flagver_id *id,
                                   uint32_t key)
{
    const uint8_t form = FV_AEAD_FORM;

    begin_about(about, ABOUT_PAYLOAD, tenant);
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

/* A row as it is stored. */
struct key_row {
    uint32_t no; /* 0: it is malformed */
    int64_t rev;
    char id[FV_KEY_ID_SIZE]; /* of the key-encryption key */
    uint8_t sealed[SEALED_KEY];
};

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
            r = FLAGVER_ENOMEM;
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
    r = fv_aead_open(place->store->crypto, outer, about_key(&about, place->tenant, row->no, row->id),
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
                    const struct key_row *row, const struct fv_data_key **ret_key,
                    flagver_error *err)
{
    struct fv_data_key *key = add_key(keys, row->no);
    int r;

    if (!key)
        return fv_fail_memory(err);
    key->staged = true;
    r = open_key(place, row, key->key, err);
    if (r < 0)
        drop_first(keys);
    else
        *ret_key = key;
    return r;
}

/* ---- payloads ---- */

int fv_sealed_size(const struct fv_sealed *sealed, size_t *ret_size, flagver_error *err)
{
    if (sealed->body.length < FV_AEAD_EXTRA)
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "the sealed payload of \"%.*s\" in version %u is cut short",
                       (int)sealed->name.length, (const char *)sealed->name.data,
                       (unsigned)sealed->no);
    *ret_size = sealed->body.length - FV_AEAD_EXTRA;
    return 0;
}

static int open_payload(const struct fv_key_place *place, const struct fv_data_key *key,
                        const struct fv_sealed *sealed, uint8_t *out, flagver_error *err)
{
    struct about about;
    int r = fv_aead_open(place->store->crypto, key->key,
                         about_payload(&about, place->tenant, &sealed->id, key->no), sealed->body,
                         out);

    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return r == 0 ? 0
                  : fv_fail(err, FLAGVER_ECORRUPT,
                            "the sealed payload of \"%.*s\" in version %u was changed, or is "
                            "another's",
                            (int)sealed->name.length, (const char *)sealed->name.data,
                            (unsigned)sealed->no);
}

static int refuse_row(uint32_t no, flagver_error *err)
{
    return fv_fail(err, FLAGVER_ECORRUPT, "data key %u is missing or malformed", (unsigned)no);
}

int fv_sealed_open(const struct fv_key_place *place, struct fv_data_keys *keys,
                   const struct fv_sealed *sealed, uint8_t *out, flagver_error *err)
{
    const struct fv_data_key *key = find_key(keys, sealed->key);
    struct key_row row = { .no = 0 };
    int r = 0;

    if (!key) {
        r = scan_rows(place, sealed->key, keep_row, &row, err);
        if (r == 0 && row.no != sealed->key)
            r = refuse_row(sealed->key, err);
        if (r == 0)
            r = take_key(place, keys, &row, &key, err);
    }
    return r < 0 ? r : open_payload(place, key, sealed, out, err);
}

/* ---- in a transaction ---- */

static struct fv_key_place place_of(const flagver_txn *txn)
{
    return (struct fv_key_place){ txn->source.store, txn->driver, txn->source.tenant };
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

/* A new one, in no row yet. */
static int make_key(flagver_txn *txn, uint32_t no, flagver_error *err)
{
    struct fv_data_key *key;

    if (no == 0)
        return fv_fail(err, FLAGVER_ENOTSUP, "there are %u data keys already", UINT32_MAX);
    key = add_key(&txn->data_keys, no);
    if (!key)
        return fv_fail_memory(err);
    if (!fv_random(key->key, sizeof key->key)) {
        drop_first(&txn->data_keys);
        return fv_fail(err, FLAGVER_EIO, "the system has no random numbers");
    }
    return 0;
}

/* The one to seal with is among the transaction's keys then. */
static int ready_key(flagver_txn *txn, flagver_error *err)
{
    const struct fv_key_place place = place_of(txn);
    const struct fv_data_key *key;
    struct key_row row = { .rev = 0 };
    int r;

    if (txn->data_keys.newest)
        return 0;
    r = fv_txn_outcome(txn, scan_rows(&place, 0, keep_row, &row, err)); /* the last one stays */
    if (r < 0)
        return r;
    if (row.rev && !row.no)
        return fv_fail(err, FLAGVER_ECORRUPT, "the row of a data key is malformed");
    if (row.no)
        r = take_key(&place, &txn->data_keys, &row, &key, err);
    else
        r = make_key(txn, row.no + 1, err);
    if (r == 0)
        txn->data_keys.newest = row.no ? row.no : 1;
    return r;
}
