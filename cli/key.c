/* Encryption: data keys, tokens that others have encrypted, and the end of what payloads say. */
#include <stdlib.h>
#include <string.h>

#include "asking.h"
#include "commands.h"
#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"
#include "table.h"
#include "version.h"

/* ---- data keys ---- */

struct listing {
    bool as_json, lacks; /* lacks: one does not open */
    struct cli_table table;
};

static bool list_key(void *data, const flagver_data_key *key)
{
    struct listing *listing = data;
    char time[CLI_DATETIME_SIZE];

    listing->lacks |= !key->opens;
    if (listing->as_json) {
        cli_print_document(json_pack("{s:o, s:o, s:b, s:o}", "no", cli_json_number(key->no),
                                     "keyId", cli_json_text(key->key_id), "opens", key->opens,
                                     "since", cli_json_time(key->time)));
        return true;
    }
    cli_datetime_print(key->time, time);
    cli_table_format(&listing->table, "%u", (unsigned)key->no);
    cli_table_add(&listing->table, key->key_id);
    cli_table_add(&listing->table, key->opens ? "yes" : "no");
    cli_table_add(&listing->table, time);
    return true;
}

int cli_key_list(const struct cli_request *request)
{
    struct listing listing = { .as_json = request->values[CLI_JSON], .table = { .columns = 4 } };
    flagver_client *client;
    flagver_error error;
    int r;

    r = cli_store_read(request, NULL, &client);
    if (r)
        return r;
    cli_table_add(&listing.table, "NO");
    cli_table_add(&listing.table, "UNDER");
    cli_table_add(&listing.table, "OPENS");
    cli_table_add(&listing.table, "SINCE");
    r = flagver_key_list(client, list_key, &listing, &error);
    flagver_close(client);
    cli_table_print(&listing.table);
    if (r < 0)
        return cli_fail(NULL, &error);
    return listing.lacks ? CLI_FOUND : CLI_DONE;
}

static int rotate(void *data, flagver_txn *txn, flagver_error *err)
{
    return flagver_key_rotate(txn, data, err);
}

int cli_key_rotate(const struct cli_request *request)
{
    flagver_key_rotation rotation;
    flagver_client *client;
    flagver_error error;
    int r;

    r = cli_store_write(request, false, &client);
    if (r)
        return r;
    r = cli_transact(request, client, rotate, &rotation, &error);
    flagver_close(client);
    if (r < 0)
        return cli_fail(NULL, &error);
    if (request->values[CLI_JSON])
        cli_print_document(json_pack("{s:I, s:I}", "dataKeys", (json_int_t)rotation.data_keys,
                                     "rewrapped", (json_int_t)rotation.rewrapped));
    else
        cli_print("data key %u encrypts from now on; of the others %u were put under the first "
                  "key-encryption key\n",
                  (unsigned)rotation.data_keys, (unsigned)rotation.rewrapped);
    return CLI_DONE;
}

/* ---- tokens of others ---- */

struct decryption {
    const char *name, *key_name; /* of the files */
    char *token, *keys;
    size_t length;
    char *text;
    size_t text_length;
};

static void trim(char *text, size_t *length)
{
    while (*length && strchr(" \t\r\n", text[*length - 1]))
        text[--*length] = 0;
}

/* A token does not say which key it was made with: they are tried in turn. FLAGVER_EKEY: all were. */
static int try_keys(struct decryption *decryption, flagver_error *err)
{
    char *line = decryption->keys, *next;
    size_t length;
    int r = FLAGVER_EKEY;

    *err = (flagver_error){ .code = FLAGVER_EINVAL };
    strcpy(err->message, "there is no key in the file");
    for (; line && r == FLAGVER_EKEY; line = next) {
        next = strchr(line, '\n');
        length = next ? (size_t)(next - line) : strlen(line);
        if (next)
            *next++ = 0;
        trim(line, &length);
        if (length && *line != '#')
            r = flagver_fernet_decrypt(line, decryption->token, decryption->length,
                                       &decryption->text, &decryption->text_length, err);
    }
    return r < 0 ? err->code : 0;
}

static int decrypt(struct decryption *decryption)
{
    flagver_error error;
    int r;

    trim(decryption->token, &decryption->length);
    r = try_keys(decryption, &error);
    if (r == FLAGVER_EINVAL)
        return cli_fail(decryption->key_name, &error);
    if (r == 0)
        return CLI_DONE;
    r = cli_fail(decryption->name, &error);
    /* Both were given, and one of them is wrong: no key of the store's is missing. */
    return error.code == FLAGVER_EKEY ? CLI_INVALID : r;
}

static void print_text(const struct cli_request *request, const struct decryption *decryption)
{
    if (request->values[CLI_JSON])
        cli_print_document(json_pack("{s:o}", "text", cli_json_text(decryption->text)));
    else
        cli_write(decryption->text, decryption->text_length);
}

int cli_key_fernet(const struct cli_request *request)
{
    struct decryption decryption = { .text = NULL };
    size_t unused;
    int r;

    r = cli_read_operand(cli_request_operand(request, 0), &decryption.key_name, &decryption.keys,
                         &unused);
    if (r == 0)
        r = cli_read_operand(cli_request_operand(request, 1), &decryption.name, &decryption.token,
                             &decryption.length);
    if (r == 0)
        r = decrypt(&decryption);
    if (r == 0)
        print_text(request, &decryption);
    flagver_string_free(decryption.text);
    free(decryption.token);
    free(decryption.keys);
    return r;
}

/* ---- shredding ---- */

struct shredding {
    const struct cli_request *request;
    struct cli_target target;
    const char *prefix;
    int64_t before;
    uint64_t count;
};

static int shred(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct shredding *shredding = data;

    return flagver_version_shred(txn, shredding->target.phase, shredding->target.subject,
                                 shredding->target.no, shredding->request->values[CLI_NOTE], err);
}

static void print_shredded(const struct shredding *shredding)
{
    const struct cli_target *target = &shredding->target;

    if (shredding->request->values[CLI_JSON]) {
        cli_print_document(json_pack("{s:o, s:o, s:o, s:b}", "phase", cli_json_text(target->phase),
                                     "subject", cli_json_text(target->subject), "no",
                                     cli_json_number(target->no), "shredded", 1));
        return;
    }
    cli_print_name(target->subject);
    cli_print(": what version %u said is forgotten\n", (unsigned)target->no);
}

int cli_version_shred(const struct cli_request *request)
{
    struct shredding shredding = { .request = request };
    flagver_client *client;
    flagver_error error;
    int r;

    r = cli_target_read(&shredding.target, request);
    if (r == 0)
        r = cli_store_write(request, false, &client);
    if (r == 0) {
        if (cli_transact(request, client, shred, &shredding, &error) < 0)
            r = cli_fail(shredding.target.name, &error);
        else
            print_shredded(&shredding);
        flagver_close(client);
    }
    cli_target_clear(&shredding.target);
    return r;
}

static int retain(void *data, flagver_txn *txn, flagver_error *err)
{
    struct shredding *shredding = data;
    const char *const *values = shredding->request->values;

    return flagver_retain(txn, shredding->target.phase, values[CLI_PREFIX], shredding->before,
                          values[CLI_NOTE], &shredding->count, err);
}

static void print_retained(const struct shredding *shredding)
{
    if (shredding->request->values[CLI_JSON])
        cli_print_document(json_pack("{s:o, s:I}", "phase", cli_json_text(shredding->target.phase),
                                     "shredded", (json_int_t)shredding->count));
    else
        cli_print("%s: what %llu version%s said is forgotten\n", shredding->target.phase,
                  (unsigned long long)shredding->count, shredding->count == 1 ? "" : "s");
}

int cli_retain(const struct cli_request *request)
{
    struct shredding shredding = { .request = request,
                                   .target = { .phase = cli_request_operand(request, 0) } };
    flagver_client *client;
    flagver_error error;
    int r;

    if (!request->values[CLI_UNTIL])
        return cli_request_refuse(request, "--until says how old what goes must be: -365d");
    r = cli_read_time(request, CLI_UNTIL, &shredding.before);
    if (r == 0)
        r = cli_store_write(request, false, &client);
    if (r)
        return r;
    if (cli_transact(request, client, retain, &shredding, &error) < 0)
        r = cli_fail(shredding.target.phase, &error);
    else
        print_retained(&shredding);
    flagver_close(client);
    return r;
}
