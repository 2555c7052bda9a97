#include "flagver/key.h"

#include <stdlib.h>
#include <string.h>

#include "api/writing.h"
#include "crypto/fernet.h"
#include "engine/client.h"
#include "engine/keys.h"
#include "engine/shredding.h"
#include "util/fail.h"

/* ---- data keys ---- */

int flagver_key_list(flagver_client *client, bool (*visit)(void *data, const flagver_data_key *key),
                     void *data, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_keys_visit(&tenancy, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

static int rotate(flagver_txn *txn, flagver_key_rotation *ret_rotation, flagver_error *err)
{
    static const struct fv_words words = { "rotate keys", sizeof "rotate keys" - 1 };
    uint32_t count;
    int r;

    r = fv_txn_replay(txn, &words, 1, &count, err);
    if (r > 0)
        *ret_rotation = (flagver_key_rotation){ .data_keys = count };
    if (r != 0)
        return r < 0 ? r : 0;
    r = fv_txn_rotate_keys(txn, ret_rotation, err);
    if (r < 0)
        fv_txn_record_refusal(txn, r);
    else
        fv_txn_record(txn, ret_rotation->data_keys);
    return r;
}

int flagver_key_rotate(flagver_txn *txn, flagver_key_rotation *ret_rotation, flagver_error *err)
{
    flagver_key_rotation rotation;
    int r;

    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = fv_txn_leave(txn, rotate(txn, &rotation, err), err);
    if (r == 0 && ret_rotation)
        *ret_rotation = rotation;
    return r;
}

/* ---- shredding ---- */

static int run_shred(flagver_txn *txn, const struct fv_target *target, const void *no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    return fv_record_shred(txn, target, *(const uint32_t *)no, ret_version, err);
}

int flagver_version_shred(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                          const char *note, flagver_error *err)
{
    const flagver_write_options options = { .size = sizeof options, .note = note };
    const struct fv_operation operation = { .name = "shred",
                                            .phase = phase,
                                            .subject = subject,
                                            .options = &options,
                                            .run = run_shred,
                                            .data = &no,
                                            .asked = { { &no, sizeof no } } };

    return fv_write(txn, &operation, NULL, NULL, err);
}

/* What to shred, and as of when. */
struct retention {
    const char *phase, *prefix;
    int64_t before;
    flagver_write_options options;
};

static struct fv_words words_of(const char *text)
{
    return (struct fv_words){ text, text ? strlen(text) : 0 };
}

static int retain(flagver_txn *txn, const struct retention *retention, uint32_t *ret_count,
                  flagver_error *err)
{
    const struct fv_words words[] = { words_of("retain"),
                                      words_of(retention->phase),
                                      words_of(retention->prefix),
                                      words_of(retention->options.note),
                                      { &retention->before, sizeof retention->before } };
    int r;

    r = fv_txn_replay(txn, words, sizeof words / sizeof *words, ret_count, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = fv_records_retain(txn, retention->phase, retention->prefix, retention->before,
                          &retention->options, ret_count, err);
    if (r < 0)
        fv_txn_record_refusal(txn, r);
    else
        fv_txn_record(txn, *ret_count);
    return r;
}

static int check_retention(const flagver_txn *txn, const struct retention *retention,
                           flagver_error *err)
{
    flagver_write_options unused;
    int r;

    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    r = fv_record_options(&retention->options, &unused, err);
    if (r == 0)
        r = fv_check_text("phase", retention->phase, FLAGVER_PHASE_LIMIT, err);
    if (r == 0 && retention->prefix)
        r = fv_check_text("prefix", retention->prefix, FLAGVER_SUBJECT_LIMIT, err);
    return r;
}

int flagver_retain(flagver_txn *txn, const char *phase, const char *prefix, int64_t before,
                   const char *note, uint64_t *ret_count, flagver_error *err)
{
    const struct retention retention = {
        phase, prefix, before, { .size = sizeof retention.options, .note = note }
    };
    uint32_t count;
    int r;

    r = check_retention(txn, &retention, err);
    if (r == 0)
        r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = fv_txn_leave(txn, retain(txn, &retention, &count, err), err);
    if (r == 0 && ret_count)
        *ret_count = count;
    return r;
}

/* ---- tokens of others ---- */

static int decrypt(const uint8_t key[FV_FERNET_KEY_SIZE], const char *token, size_t length,
                   char **ret_text, size_t *ret_length, flagver_error *err)
{
    struct fv_crypto *crypto = fv_crypto_new();
    char *text = malloc(FV_FERNET_ROOM(length) + 1);
    uint64_t time;
    int r;

    if (crypto && text)
        r = fv_fernet_open(crypto, key, token, length, (uint8_t *)text, ret_length, &time, err);
    else
        r = fv_fail_memory(err);
    fv_crypto_free(crypto);
    if (r < 0) {
        free(text);
        return r;
    }
    text[*ret_length] = 0;
    *ret_text = text;
    return 0;
}

int flagver_fernet_decrypt(const char *key, const char *token, size_t length, char **ret_text,
                           size_t *ret_length, flagver_error *err)
{
    uint8_t bytes[FV_FERNET_KEY_SIZE];
    size_t text_length;
    int r;

    if (!key || (!token && length) || !ret_text)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL",
                       !key       ? "key"
                       : ret_text ? "token"
                                  : "ret_text");
    if (!fv_fernet_key(key, strlen(key), bytes))
        return fv_fail(err, FLAGVER_EINVAL, "key is not 32 bytes in URL-safe base64");
    r = decrypt(bytes, token, length, ret_text, &text_length, err);
    fv_wipe(bytes, sizeof bytes);
    if (r == 0 && ret_length)
        *ret_length = text_length;
    return r;
}
