/* The items of a version: parts that are decided one by one. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"
#include "table.h"
#include "version.h"

/* What is done to items of one version, or asked about them. */
struct work {
    const struct cli_request *request;
    flagver_client *client;
    struct cli_target target;
    flagver_write_options options;
    uint8_t hash[32];
    const char *const *keys; /* operands behind the version */
    size_t key_count;

    flagver_item_content *contents; /* what is put; their texts are of their own */
    size_t count;
    int32_t status; /* what is decided */
    int (*make)(struct work *work, flagver_txn *txn, flagver_error *err);
    flagver_version *version; /* what came of it */
};

static int begin(struct work *work, const struct cli_request *request)
{
    bool has_hash;
    int r;

    *work = (struct work){ .request = request };
    r = cli_target_read(&work->target, request);
    if (r == 0)
        r = cli_write_options(request, &work->options);
    if (r == 0)
        r = cli_read_hash(request, work->hash, &has_hash);
    if (r)
        return r;
    if (has_hash)
        work->options.content_hash = work->hash;
    work->keys = (const char *const *)request->operands + 2;
    work->key_count = (size_t)request->operand_count - 2;
    return 0;
}

static void end(struct work *work)
{
    size_t i;

    for (i = 0; i < work->count; i++)
        free((char *)work->contents[i].json);
    free(work->contents);
    flagver_version_free(work->version);
    flagver_close(work->client);
    cli_target_clear(&work->target);
}

static int run(void *data, flagver_txn *txn, flagver_error *err)
{
    struct work *work = data;

    flagver_version_free(work->version);
    work->version = NULL;
    return work->make(work, txn, err);
}

/* Makes it in a transaction of its own, and prints how many items that were. */
static int carry_out(struct work *work, size_t count, const char *words)
{
    flagver_error error;
    int r;

    r = cli_store_write(work->request, false, &work->client);
    if (r)
        return r;
    if (cli_transact(work->request, work->client, run, work, &error) < 0)
        return cli_fail(work->target.name, &error);
    if (work->request->values[CLI_JSON]) {
        cli_print_document(cli_version_document(NULL, work->version));
        return CLI_DONE;
    }
    cli_print_name(work->target.name);
    cli_print(": %zu item%s %s\n", count, count == 1 ? "" : "s", words);
    return CLI_DONE;
}

/* ---- put and remove ---- */

static int put(struct work *work, flagver_txn *txn, flagver_error *err)
{
    const struct cli_target *target = &work->target;

    return flagver_items_put(txn, target->phase, target->subject, target->no, work->contents,
                             work->count, &work->options, &work->version, err);
}

/* The members of an object as items. Their keys are the object's. */
static void take_members(struct work *work, json_t *object)
{
    flagver_item_content *content;
    const char *key;
    json_t *value;

    work->contents = cli_allocate((json_object_size(object) + 1) * sizeof *work->contents);
    json_object_foreach(object, key, value)
    {
        content = &work->contents[work->count++];
        content->key = key;
        content->json = cli_json_write(value, JSON_COMPACT | JSON_ENCODE_ANY);
        content->length = strlen(content->json);
    }
}

static int put_file(struct work *work, const char *file)
{
    json_error_t place;
    const char *name;
    json_t *object;
    size_t length;
    char *text;
    int r;

    r = cli_read_operand(file, &name, &text, &length);
    if (r)
        return r;
    object = cli_json_read(text, length, CLI_JSON_RULES, &place);
    if (!object) {
        cli_complain(NULL, "%s:%d:%d: %s", name, place.line, place.column ? place.column : 1,
                     place.text);
        r = CLI_INVALID;
    } else if (!json_is_object(object) || !json_object_size(object)) {
        cli_complain(name, "needs an object with at least one member: {\"KEY\": JSON, ...}");
        r = CLI_INVALID;
    } else {
        work->make = put;
        take_members(work, object);
        r = carry_out(work, work->count, "put");
    }
    json_decref(object);
    free(text);
    return r;
}

static int take_out(struct work *work, flagver_txn *txn, flagver_error *err)
{
    const struct cli_target *target = &work->target;

    return flagver_items_remove(txn, target->phase, target->subject, target->no, work->keys,
                                work->key_count, &work->options, &work->version, err);
}

/* ---- list ---- */

struct listing {
    const struct work *work;
    struct cli_table table; /* for people */
    size_t found;
};

/* Without keys all items are asked for. */
static bool is_wanted(const struct work *work, const char *key)
{
    size_t i;

    for (i = 0; i < work->key_count; i++)
        if (strcmp(work->keys[i], key) == 0)
            return true;
    return work->key_count == 0;
}

static void print_document(const struct work *work, const flagver_item *item)
{
    char hash[sizeof item->hash * 2 + 1];
    json_t *document;

    cli_print_hex(item->hash, sizeof item->hash, hash);
    document = json_pack(
        "{s:o, s:o, s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "phase",
        cli_json_text(work->target.phase), "subject", cli_json_text(work->target.subject), "no",
        (json_int_t)work->target.no, "key", cli_json_text(item->key), "status",
        flagver_item_status_name(item->status), "origin", cli_json_number(item->origin_no),
        "decidedAt", cli_json_time(item->decided_at), "decidedBy", cli_json_text(item->decided_by),
        "note", cli_json_text(item->note), "hash", hash, "payloadState",
        cli_json_text(cli_payload_state_name(item->payload_state)));
    cli_print_document_with(document, "payload", item->payload ? item->payload : "null");
}

/* How many bytes of a value a table shows. */
#define SHOWN_BYTES 40

/* Enough of it to know which one it is; all of it is in the document. */
static void add_value(struct cli_table *table, const flagver_item *item)
{
    size_t shown;

    if (!item->payload) {
        cli_table_add(table, cli_payload_state_name(item->payload_state));
        return;
    }
    shown = cli_cut(item->payload, item->payload_length, SHOWN_BYTES);
    cli_table_format(table, "%.*s%s", (int)shown, item->payload,
                     shown < item->payload_length ? "\u2026" : "");
}

static bool list_one(void *data, const flagver_item *item)
{
    struct listing *listing = data;
    struct cli_table *table = &listing->table;
    char time[CLI_DATETIME_SIZE] = "", origin[16] = "";

    if (!is_wanted(listing->work, item->key))
        return true;
    listing->found++;
    if (listing->work->request->values[CLI_JSON]) {
        print_document(listing->work, item);
        return true;
    }
    if (item->decided_at)
        cli_datetime_print(item->decided_at, time);
    if (item->origin_no)
        snprintf(origin, sizeof origin, "%u", (unsigned)item->origin_no);
    cli_table_add(table, item->key);
    add_value(table, item);
    cli_table_add(table, flagver_item_status_name(item->status));
    cli_table_add(table, origin);
    cli_table_add(table, time);
    cli_table_add(table, item->decided_by);
    cli_table_add(table, item->note);
    return true;
}

static int list(struct work *work)
{
    static const char *const words[] = { "KEY",     "VALUE", "STATUS", "ORIGIN",
                                         "DECIDED", "BY",    "NOTE",   NULL };
    const struct cli_target *target = &work->target;
    struct listing listing = { .work = work };
    flagver_error error;
    int r;

    r = cli_store_read(work->request, NULL, &work->client);
    if (r)
        return r;
    cli_table_add_heading(&listing.table, words);
    r = flagver_items_list(work->client, target->phase, target->subject, target->no, list_one,
                           &listing, &error);
    cli_table_print(&listing.table);
    if (r < 0)
        return cli_fail(target->name, &error);
    if (listing.found < work->key_count) {
        cli_complain(target->name,
                     work->key_count == 1 ? "has no such item" : "has not all of these items");
        return CLI_NOT_FOUND;
    }
    return CLI_DONE;
}

static int put_remove_or_list(struct work *work)
{
    const char *file = work->request->values[CLI_PUT];
    bool removes = work->request->values[CLI_REMOVE] != NULL;

    if (file && (removes || work->key_count))
        return cli_request_refuse(work->request, "--put takes the keys from its FILE");
    if (removes && !work->key_count)
        return cli_request_refuse(work->request, "--remove needs a KEY");
    if (file)
        return put_file(work, file);
    if (!removes)
        return list(work);
    work->make = take_out;
    return carry_out(work, work->key_count, "removed");
}

int cli_version_items(const struct cli_request *request)
{
    struct work work;
    int r = begin(&work, request);

    if (r == 0)
        r = put_remove_or_list(&work);
    end(&work);
    return r;
}

/* ---- decide ---- */

static int decide(struct work *work, flagver_txn *txn, flagver_error *err)
{
    const struct cli_target *target = &work->target;

    return flagver_items_decide(txn, target->phase, target->subject, target->no, work->keys,
                                work->key_count, work->status, &work->options, &work->version, err);
}

static int read_decision(struct work *work)
{
    const char *const *values = work->request->values;

    if (!values[CLI_APPROVE] + !values[CLI_REJECT] + !values[CLI_PENDING] != 2)
        return cli_request_refuse(work->request, "needs one of --approve, --reject and --pending");
    work->status = values[CLI_APPROVE]  ? FLAGVER_ITEM_APPROVED
                   : values[CLI_REJECT] ? FLAGVER_ITEM_REJECTED
                                        : FLAGVER_ITEM_PENDING;
    return 0;
}

int cli_version_decide(const struct cli_request *request)
{
    struct work work;
    int r = begin(&work, request);

    if (r == 0)
        r = read_decision(&work);
    if (r == 0) {
        work.make = decide;
        r = carry_out(&work, work.key_count, flagver_item_status_name(work.status));
    }
    end(&work);
    return r;
}
