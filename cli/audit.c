#define _POSIX_C_SOURCE 200809L

/* The audit log: what is in it, checkpoints, proofs, verification. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"
#include "table.h"

#define HEX_SIZE (2 * FLAGVER_HASH_SIZE + 1)

/* ---- small helpers ---- */

/* A number of leaves, or of one. */
static bool parse_count(const char *text, uint64_t *ret_count)
{
    uint64_t count = 0;

    if (!*text || strlen(text) > 18)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        count = count * 10 + (uint64_t)(*text - '0');
    }
    *ret_count = count;
    return true;
}

/* An option that is such a number; without it *ret_count stays. */
static int read_count(const struct cli_request *request, enum cli_option option,
                      uint64_t *ret_count)
{
    const char *text = request->values[option];

    if (!text || parse_count(text, ret_count))
        return 0;
    return cli_request_refuse(request, "--%s %s: a number is needed", cli_options[option].name,
                              text);
}

static json_t *count_document(uint64_t count)
{
    return json_integer((json_int_t)count);
}

static json_t *hex_document(const uint8_t hash[FLAGVER_HASH_SIZE])
{
    char hex[HEX_SIZE];

    cli_print_hex(hash, FLAGVER_HASH_SIZE, hex);
    return cli_json_text(hex);
}

static bool read_hex(const json_t *value, uint8_t out[FLAGVER_HASH_SIZE])
{
    const char *text = json_string_value(value);
    unsigned byte;
    size_t i;

    if (!text || strlen(text) != HEX_SIZE - 1 || strspn(text, "0123456789abcdef") != HEX_SIZE - 1)
        return false;
    for (i = 0; i < FLAGVER_HASH_SIZE; i++) {
        sscanf(text + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
    return true;
}

/* The first line of a file that holds a key. */
static int read_key_file(const char *path, char **ret_key)
{
    const char *name;
    size_t length;
    int r = cli_read_operand(path, &name, ret_key, &length);

    if (r == 0)
        (*ret_key)[strcspn(*ret_key, "\r\n")] = 0;
    return r;
}

/* --verifier: a key, or a file with one. NULL where it is not given. */
static int read_verifier(const struct cli_request *request, char **ret_key)
{
    const char *given = request->values[CLI_VERIFIER];

    *ret_key = NULL;
    if (!given)
        return 0;
    if (!strchr(given, '+') || access(given, F_OK) == 0)
        return read_key_file(given, ret_key);
    *ret_key = cli_copy(given, strlen(given));
    return 0;
}

/* A signature that does not hold is what a check has found, and not a key that is missing.
 * What is wrong as an argument is the verifier's key. */
static int fail_checkpoint(const char *name, const flagver_error *err)
{
    int status = cli_fail(err->code == FLAGVER_EINVAL ? "--verifier" : name, err);

    return err->code == FLAGVER_EKEY || err->code == FLAGVER_ECORRUPT ? CLI_FOUND : status;
}

/* ---- log ---- */

struct listing {
    bool as_json;
    const char *phase, *subject; /* NULL: any */
    uint64_t limit, count;       /* 0: no limit */
    struct cli_table table;
};

static json_t *state_document(int32_t state)
{
    return cli_json_text(state ? flagver_state_name(state) : NULL);
}

/* Zeros: there is nothing that it would be of. */
static json_t *optional_hex(const uint8_t hash[FLAGVER_HASH_SIZE])
{
    static const uint8_t zeros[FLAGVER_HASH_SIZE];

    return memcmp(hash, zeros, FLAGVER_HASH_SIZE) == 0 ? json_null() : hex_document(hash);
}

static json_t *entry_document(const flagver_audit_entry *entry)
{
    const char *key = entry->idempotency_key;
    json_t *document = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "no",
        count_document(entry->no), "time", cli_json_time(entry->time), "actor",
        cli_json_text(entry->actor), "action", cli_json_text(entry->action), "phase",
        cli_json_text(entry->phase), "subject", cli_json_text(entry->subject), "version",
        cli_json_number(entry->version_no), "from", state_document(entry->from), "to",
        state_document(entry->to), "supersedes", cli_json_number(entry->supersedes), "emergency",
        (entry->bits & FLAGVER_VERSION_EMERGENCY) != 0, "self",
        (entry->bits & FLAGVER_AUDIT_SELF) != 0);

    cli_json_set(document, "policy", cli_json_text(entry->policy));
    cli_json_set(document, "policyNo", cli_json_number(entry->policy_no));
    cli_json_set(document, "rule", cli_json_text(entry->rule));
    cli_json_set(document, "contentHash", hex_document(entry->content_hash));
    cli_json_set(document, "leafHash", hex_document(entry->leaf_hash));
    cli_json_set(document, "deleted", json_boolean((entry->bits & FLAGVER_VERSION_TOMBSTONE) != 0));
    cli_json_set(document, "rev", json_integer(entry->rev));
    cli_json_set(document, "parentNo", cli_json_number(entry->parent_no));
    cli_json_set(document, "baseNo", cli_json_number(entry->base_no));
    cli_json_set(document, "revertsNo", cli_json_number(entry->reverts_no));
    cli_json_set(document, "noteHash", optional_hex(entry->note_hash));
    cli_json_set(document, "decisionsHash", optional_hex(entry->decisions_hash));
    cli_json_set(document, "idempotencyKey", cli_json_text(key && *key ? key : NULL));
    return document;
}

static void add_entry(struct cli_table *table, const flagver_audit_entry *entry)
{
    char time[CLI_DATETIME_SIZE];

    cli_datetime_print(entry->time, time);
    cli_table_format(table, "%" PRIu64, entry->no);
    cli_table_add(table, time);
    cli_table_add(table, entry->actor);
    cli_table_add(table, entry->action);
    cli_table_add(table, entry->phase);
    cli_table_format(table, "%s@%u", entry->subject, (unsigned)entry->version_no);
    cli_table_add(table, flagver_state_name(entry->to));
    cli_table_add(table, entry->rule);
}

static bool list_entry(void *data, const flagver_audit_entry *entry)
{
    struct listing *listing = data;

    if (listing->phase && strcmp(listing->phase, entry->phase) != 0)
        return true;
    if (listing->subject && strcmp(listing->subject, entry->subject) != 0)
        return true;
    if (listing->as_json)
        cli_print_document(entry_document(entry));
    else
        add_entry(&listing->table, entry);
    return ++listing->count != listing->limit;
}

int cli_audit_log(const struct cli_request *request)
{
    static const char *const heading[] = { "NO",    "TIME",    "BY",     "ACTION",
                                           "PHASE", "SUBJECT", "BECAME", "ALLOWED" };
    struct listing listing = { .as_json = request->values[CLI_JSON],
                               .phase = request->values[CLI_PHASE],
                               .subject = request->values[CLI_SUBJECT],
                               .table = { .columns = 8 } };
    uint64_t from = 0;
    flagver_client *client;
    flagver_error error;
    size_t i;
    int r;

    r = read_count(request, CLI_FROM, &from);
    if (r == 0)
        r = read_count(request, CLI_LIMIT, &listing.limit);
    if (r == 0)
        r = cli_store_read(request, NULL, &client);
    if (r)
        return r;
    for (i = 0; i < sizeof heading / sizeof *heading; i++)
        cli_table_add(&listing.table, heading[i]);
    /* The limit is one of what is printed. */
    r = flagver_audit_log(client, from, 0, list_entry, &listing, NULL, &error);
    flagver_close(client);
    cli_table_print(&listing.table);
    return r < 0 ? cli_fail("audit log", &error) : CLI_DONE;
}

/* ---- keys ---- */

/* Only its owner can read it, and nothing is written over. */
static int write_secret(const char *path, const char *secret)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool fine = file >= 0 && dprintf(file, "%s\n", secret) > 0 && fsync(file) == 0;
    int number = errno;

    if (file >= 0 && close(file) < 0 && fine) {
        number = errno;
        fine = false;
    }
    if (fine)
        return 0;
    cli_complain(path, "%s", strerror(number));
    if (file >= 0)
        unlink(path);
    return number == EEXIST ? CLI_CONFLICT : CLI_UNAVAILABLE;
}

int cli_audit_keygen(const struct cli_request *request)
{
    const char *name = cli_request_operand(request, 0), *path = cli_request_operand(request, 1);
    char *signer = NULL, *verifier = NULL;
    flagver_error error;
    int r;

    if (flagver_audit_keygen(name, &signer, &verifier, &error) < 0)
        return cli_fail(name, &error);
    r = write_secret(path, signer);
    if (r == 0 && request->values[CLI_JSON])
        cli_print_document(json_pack("{s:o, s:o}", "file", cli_json_text(path), "verifier",
                                     cli_json_text(verifier)));
    else if (r == 0)
        cli_print("%s\n", verifier);
    flagver_string_free(signer);
    flagver_string_free(verifier);
    return r;
}

/* ---- checkpoints ---- */

static int print_checkpoint(const struct cli_request *request, const char *checkpoint)
{
    uint8_t root[FLAGVER_HASH_SIZE];
    flagver_error error;
    uint64_t size;

    if (!request->values[CLI_JSON]) {
        cli_print("%s", checkpoint);
        return CLI_DONE;
    }
    if (flagver_audit_read_checkpoint(checkpoint, strlen(checkpoint), NULL, &size, root, &error) <
        0)
        return cli_fail("audit checkpoint", &error);
    cli_print_document(json_pack("{s:o, s:o, s:o}", "size", count_document(size), "root",
                                 hex_document(root), "checkpoint", cli_json_text(checkpoint)));
    return CLI_DONE;
}

static int make_checkpoint(const struct cli_request *request, const char *signer)
{
    flagver_client *client;
    flagver_error error;
    char *checkpoint;
    int r;

    r = cli_store_read(request, NULL, &client);
    if (r)
        return r;
    r = flagver_audit_checkpoint(client, request->values[CLI_ORIGIN], signer, &checkpoint, &error);
    flagver_close(client);
    if (r < 0)
        return cli_fail("audit checkpoint", &error);
    r = print_checkpoint(request, checkpoint);
    flagver_string_free(checkpoint);
    return r;
}

int cli_audit_checkpoint(const struct cli_request *request)
{
    const char *path = request->values[CLI_SIGNER];
    char *signer = NULL;
    int r;

    if (!path && !request->values[CLI_ORIGIN])
        return cli_request_refuse(request, "needs --signer, or --origin for one that is unsigned");
    r = path ? read_key_file(path, &signer) : 0;
    if (r == 0)
        r = make_checkpoint(request, signer);
    free(signer);
    return r;
}

/* What a checkpoint in a file says, under the key of --verifier where one is given. */
static int read_checkpoint(const char *path, const char *verifier, uint64_t *ret_size,
                           uint8_t ret_root[FLAGVER_HASH_SIZE])
{
    flagver_error error;
    const char *name;
    size_t length;
    char *text;
    int r;

    r = cli_read_operand(path, &name, &text, &length);
    if (r)
        return r;
    if (flagver_audit_read_checkpoint(text, length, verifier, ret_size, ret_root, &error) < 0)
        r = fail_checkpoint(name, &error);
    free(text);
    return r;
}

/* ---- proofs ---- */

static json_t *proof_document(const flagver_proof *proof, bool inclusion)
{
    json_t *document = json_object(), *hashes = json_array();
    uint32_t i;

    for (i = 0; i < proof->count; i++)
        cli_json_append(hashes, hex_document(proof->hashes[i]));
    if (inclusion) {
        cli_json_set(document, "leaf", count_document(proof->first));
        cli_json_set(document, "leafHash", hex_document(proof->leaf));
    } else {
        cli_json_set(document, "oldSize", count_document(proof->first));
    }
    cli_json_set(document, "size", count_document(proof->second));
    cli_json_set(document, "hashes", hashes);
    return document;
}

static void print_proof(const flagver_proof *proof, bool inclusion)
{
    char hex[HEX_SIZE];
    uint32_t i;

    if (inclusion) {
        cli_print_hex(proof->leaf, FLAGVER_HASH_SIZE, hex);
        cli_print("leaf %" PRIu64 " %s\n", proof->first, hex);
        cli_print("is in the log of %" PRIu64 " leaves, by\n", proof->second);
    } else {
        cli_print("the log of %" PRIu64 " leaves\n", proof->first);
        cli_print("is the beginning of that of %" PRIu64 ", by\n", proof->second);
    }
    for (i = 0; i < proof->count; i++) {
        cli_print_hex(proof->hashes[i], FLAGVER_HASH_SIZE, hex);
        cli_print("  %s\n", hex);
    }
    if (!proof->count)
        cli_print("  nothing else\n");
}

static int prove(const struct cli_request *request, uint64_t first, uint64_t size, bool inclusion)
{
    flagver_client *client;
    flagver_error error;
    flagver_proof proof;
    int r;

    r = cli_store_read(request, NULL, &client);
    if (r)
        return r;
    r = inclusion ? flagver_audit_prove_inclusion(client, first, size, &proof, &error)
                  : flagver_audit_prove_consistency(client, first, size, &proof, &error);
    flagver_close(client);
    if (r < 0)
        return cli_fail("audit prove", &error);
    if (request->values[CLI_JSON])
        cli_print_document(proof_document(&proof, inclusion));
    else
        print_proof(&proof, inclusion);
    return CLI_DONE;
}

int cli_audit_prove(const struct cli_request *request)
{
    const char *leaf = cli_request_operand(request, 0);
    uint64_t first = 0, size = 0;
    int r;

    if (!leaf == !request->values[CLI_OLD])
        return cli_request_refuse(request, "needs the number of a leaf, or --old, and not both");
    if (leaf && !parse_count(leaf, &first))
        return cli_request_refuse(request, "%s is no leaf's number", leaf);
    r = read_count(request, CLI_OLD, &first);
    if (r == 0)
        r = read_count(request, CLI_SIZE, &size);
    if (r == 0 && request->values[CLI_SIZE] && !size)
        return cli_request_refuse(request, "--size 0: of nothing nothing can be proven");
    return r ? r : prove(request, first, size, leaf != NULL);
}

/* ---- checking proofs ---- */

static bool read_proof_number(const json_t *document, const char *name, uint64_t *ret_number)
{
    const json_t *value = json_object_get(document, name);

    *ret_number = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* As audit prove --json prints it. */
static bool read_proof(const json_t *document, flagver_proof *ret_proof, bool *ret_inclusion)
{
    const json_t *hashes = json_object_get(document, "hashes");
    size_t i, count = json_array_size(hashes);

    memset(ret_proof, 0, sizeof *ret_proof);
    *ret_inclusion = json_object_get(document, "leaf") != NULL;
    if (!json_is_array(hashes) || count > FLAGVER_PROOF_LIMIT ||
        !read_proof_number(document, "size", &ret_proof->second) ||
        !read_proof_number(document, *ret_inclusion ? "leaf" : "oldSize", &ret_proof->first))
        return false;
    if (*ret_inclusion && !read_hex(json_object_get(document, "leafHash"), ret_proof->leaf))
        return false;
    for (i = 0; i < count; i++)
        if (!read_hex(json_array_get(hashes, i), ret_proof->hashes[i]))
            return false;
    ret_proof->count = (uint32_t)count;
    return true;
}

static int read_proof_file(const char *path, flagver_proof *ret_proof, bool *ret_inclusion)
{
    json_error_t place;
    json_t *document;
    const char *name;
    size_t length;
    char *text;
    bool fine;
    int r;

    r = cli_read_operand(path, &name, &text, &length);
    if (r)
        return r;
    document = cli_json_read(text, length, CLI_JSON_RULES, &place);
    free(text);
    fine = document && read_proof(document, ret_proof, ret_inclusion);
    json_decref(document);
    if (fine)
        return 0;
    cli_complain(name, "this is no proof as audit prove --json prints it");
    return CLI_INVALID;
}

/* The sizes that a proof is about, and whose roots they are. */
struct roots {
    uint64_t size, old_size;
    uint8_t root[FLAGVER_HASH_SIZE], old_root[FLAGVER_HASH_SIZE];
};

static int read_roots(const struct cli_request *request, bool inclusion, struct roots *roots)
{
    const char *old = cli_request_operand(request, 2);
    char *verifier;
    int r;

    if (inclusion == (old != NULL))
        return cli_request_refuse(request, inclusion ? "this proof is about one checkpoint"
                                                     : "this proof is about two checkpoints");
    r = read_verifier(request, &verifier);
    if (r == 0)
        r = read_checkpoint(cli_request_operand(request, 1), verifier, &roots->size, roots->root);
    if (r == 0 && old)
        r = read_checkpoint(old, verifier, &roots->old_size, roots->old_root);
    free(verifier);
    return r;
}

/* It holds, or *err says why not. */
static int check(const flagver_proof *proof, bool inclusion, const struct roots *roots,
                 flagver_error *err)
{
    if (proof->second != roots->size || (!inclusion && proof->first != roots->old_size)) {
        err->code = FLAGVER_ECORRUPT;
        snprintf(err->message, sizeof err->message,
                 "the proof is about logs of other sizes than the checkpoints");
        return err->code;
    }
    return inclusion ? flagver_audit_check_inclusion(proof, roots->root, err)
                     : flagver_audit_check_consistency(proof, roots->old_root, roots->root, err);
}

static void print_proven(const flagver_proof *proof, bool inclusion)
{
    if (inclusion)
        cli_print("leaf %" PRIu64 " is in the log of %" PRIu64 "\n", proof->first, proof->second);
    else
        cli_print("the log of %" PRIu64 " is the beginning of that of %" PRIu64 "\n", proof->first,
                  proof->second);
}

int cli_audit_check(const struct cli_request *request)
{
    flagver_error error = { .code = 0 };
    struct roots roots = { .size = 0 };
    flagver_proof proof;
    bool inclusion;
    int r;

    r = read_proof_file(cli_request_operand(request, 0), &proof, &inclusion);
    if (r == 0)
        r = read_roots(request, inclusion, &roots);
    if (r)
        return r;
    if (check(&proof, inclusion, &roots, &error) < 0)
        r = fail_checkpoint("audit check", &error);
    if (request->values[CLI_JSON])
        cli_print_document(json_pack("{s:b}", "proven", r == 0));
    else if (r == 0)
        print_proven(&proof, inclusion);
    return r;
}

/* ---- verification ---- */

struct verification {
    bool as_json;
    flagver_verify_options options;
    char *checkpoint, *verifier;
    flagver_verify_result result;
};

static void print_finding(void *data, const char *line)
{
    const struct verification *verification = data;

    cli_progress(NULL);
    if (verification->as_json) {
        cli_print_document(json_pack("{s:o}", "finding", cli_json_text(line)));
        return;
    }
    cli_print_styled(CLI_RED, "%s", line);
    cli_print("\n");
}

static void print_result(const struct verification *verification)
{
    const flagver_verify_result *result = &verification->result;
    char hex[HEX_SIZE];

    if (verification->as_json) {
        cli_print_document(json_pack(
            "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "findings", count_document(result->findings),
            "leaves", count_document(result->leaves), "versions", count_document(result->versions),
            "payloads", count_document(result->payloads), "sealed", count_document(result->sealed),
            "shredded", count_document(result->shredded), "root", hex_document(result->root)));
        return;
    }
    cli_print_hex(result->root, FLAGVER_HASH_SIZE, hex);
    cli_print("%" PRIu64 " leaves, %" PRIu64 " versions, %" PRIu64 " payloads: ", result->leaves,
              result->versions, result->payloads);
    if (result->findings)
        cli_print_styled(CLI_RED, "%" PRIu64 " finding%s", result->findings,
                         result->findings == 1 ? "" : "s");
    else
        cli_print_styled(CLI_GREEN, "nothing is wrong");
    cli_print("\n");
    if (result->sealed)
        cli_print("%" PRIu64 " sealed, not looked into\n", result->sealed);
    if (result->shredded)
        cli_print("%" PRIu64 " shredded, gone\n", result->shredded);
    cli_print("root %s\n", hex);
}

/* That something cannot be read because it was damaged is what the check has found. */
static int fail_verification(const char *name, const flagver_error *err)
{
    int status = cli_fail(name, err);

    return err->code == FLAGVER_ECORRUPT ? CLI_FOUND : status;
}

static int verify_store(const struct cli_request *request, struct verification *verification,
                        flagver_error *err)
{
    flagver_client *client;
    int r = cli_store_read(request, NULL, &client);

    if (r)
        return r;
    cli_progress("verifying");
    r = flagver_audit_verify(client, &verification->options, print_finding, verification,
                             &verification->result, err);
    cli_progress(NULL);
    flagver_close(client);
    return r < 0 ? fail_verification("audit verify", err) : 0;
}

static int verify_file(const char *path, struct verification *verification, flagver_error *err)
{
    int r;

    cli_progress("verifying");
    r = flagver_audit_verify_file(path, &verification->options, print_finding, verification,
                                  &verification->result, err);
    cli_progress(NULL);
    if (r >= 0)
        return 0;
    r = fail_verification(path, err);
    return err->code == FLAGVER_EIO ? CLI_INVALID : r; /* as of any file that cannot be read */
}

/* What to hold the log against. */
static int read_options(const struct cli_request *request, struct verification *verification)
{
    const char *path = request->values[CLI_CHECKPOINT], *name;
    size_t length = 0;
    flagver_error error;
    int r;

    if (request->values[CLI_VERIFIER] && !path)
        return cli_request_refuse(request, "--verifier needs --checkpoint");
    r = read_verifier(request, &verification->verifier);
    if (r == 0 && path)
        r = cli_read_operand(path, &name, &verification->checkpoint, &length);
    if (r == 0 && path &&
        flagver_audit_read_checkpoint(verification->checkpoint, length, verification->verifier,
                                      NULL, NULL, &error) < 0)
        r = fail_checkpoint(name, &error);
    verification->options = (flagver_verify_options){ .size = sizeof verification->options,
                                                      .checkpoint = verification->checkpoint,
                                                      .checkpoint_length = length,
                                                      .verifier = verification->verifier,
                                                      .tree_only = request->values[CLI_TREE_ONLY] !=
                                                                   NULL };
    return r;
}

int cli_audit_verify(const struct cli_request *request)
{
    struct verification verification = { .as_json = request->values[CLI_JSON] };
    const char *path = cli_request_operand(request, 0);
    flagver_error error;
    int r = read_options(request, &verification);

    if (r == 0)
        r = path ? verify_file(path, &verification, &error)
                 : verify_store(request, &verification, &error);
    free(verification.checkpoint);
    free(verification.verifier);
    if (r)
        return r;
    print_result(&verification);
    return verification.result.findings ? CLI_FOUND : CLI_DONE;
}
