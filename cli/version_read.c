/* Versions of any phase: one of them with all that is known of it, and lists of them. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "datetime.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"
#include "table.h"
#include "version.h"

/* ---- show ---- */

/* What belongs to a version beside itself. */
struct surroundings {
    const flagver_version *version;
    json_t *votes;       /* documents */
    json_t *authors;     /* names */
    json_int_t items[3]; /* how many, by status */
};

static bool collect_vote(void *data, const flagver_vote *vote)
{
    struct surroundings *around = data;
    char hash[sizeof vote->content_hash * 2 + 1];

    cli_print_hex(vote->content_hash, sizeof vote->content_hash, hash);
    cli_json_append(around->votes,
                    json_pack("{s:o, s:o, s:o, s:s, s:b}", "by", cli_json_text(vote->actor), "at",
                              cli_json_time(vote->time), "note", cli_json_text(vote->note),
                              "contentHash", hash, "counts",
                              memcmp(vote->content_hash, around->version->content_hash,
                                     sizeof vote->content_hash) == 0));
    return true;
}

static bool collect_author(void *data, const char *actor)
{
    struct surroundings *around = data;

    cli_json_append(around->authors, cli_json_text(actor));
    return true;
}

static bool count_item(void *data, const flagver_item *item)
{
    struct surroundings *around = data;

    around->items[item->status]++;
    return true;
}

static int look_around(flagver_client *client, struct surroundings *around, flagver_error *err)
{
    const flagver_version *version = around->version;
    int r;

    r = flagver_votes_list(client, version->phase, version->subject, version->no, collect_vote,
                           around, err);
    if (r == 0)
        r = flagver_authors_list(client, version->phase, version->subject, version->no,
                                 collect_author, around, err);
    if (r == 0)
        r = flagver_items_list(client, version->phase, version->subject, version->no, count_item,
                               around, err);
    return r;
}

static void print_document(const struct surroundings *around)
{
    const flagver_version *version = around->version;
    json_t *document = cli_version_document(NULL, version);

    cli_json_set(document, "authors", json_incref(around->authors));
    cli_json_set(document, "approvals", json_incref(around->votes));
    cli_json_set(document, "items",
                 json_pack("{s:I, s:I, s:I}", "pending", around->items[FLAGVER_ITEM_PENDING],
                           "approved", around->items[FLAGVER_ITEM_APPROVED], "rejected",
                           around->items[FLAGVER_ITEM_REJECTED]));
    cli_json_set(document, "payloadState", cli_payload_state(version));
    cli_print_document_with(document, "payload", cli_payload_json(version));
}

static void print_label(const char *label)
{
    cli_print("%-10s ", label);
}

/* "created    2026-01-31T12:00:00.000000Z by alice" */
static void print_event(const char *label, int64_t time, const char *by)
{
    char text[CLI_DATETIME_SIZE];

    if (!time)
        return;
    cli_datetime_print(time, text);
    print_label(label);
    cli_print("%s", text);
    if (by) {
        cli_print(" by ");
        cli_print_name(by);
    }
    cli_print("\n");
}

/* Who has written it beside who created it. */
static void print_editors(const struct surroundings *around)
{
    const char *creator = around->version->created_by, *name;
    const json_t *author;
    size_t i, count = 0;

    json_array_foreach(around->authors, i, author)
    {
        name = json_string_value(author);
        if (!name || (creator && strcmp(name, creator) == 0))
            continue;
        if (count++)
            cli_print(", ");
        else
            print_label("edited by");
        cli_print_name(name);
    }
    if (count)
        cli_print("\n");
}

static void print_number(const char *label, uint32_t no)
{
    if (no)
        cli_print("%-10s %u\n", label, (unsigned)no);
}

static void print_votes(const struct surroundings *around)
{
    const json_t *vote, *note;
    size_t i;

    json_array_foreach(around->votes, i, vote)
    {
        note = json_object_get(vote, "note");
        print_label(json_is_true(json_object_get(vote, "counts")) ? "approval" : "(approval)");
        cli_print("%s by ", json_string_value(json_object_get(vote, "at")));
        cli_print_name(json_string_value(json_object_get(vote, "by")));
        if (json_is_string(note)) {
            cli_print(": ");
            cli_print_name(json_string_value(note));
        }
        cli_print("\n");
    }
}

static void print_items(const struct surroundings *around)
{
    const json_int_t *items = around->items;

    if (items[0] + items[1] + items[2])
        cli_print("%-10s %" JSON_INTEGER_FORMAT " pending, %" JSON_INTEGER_FORMAT
                  " approved, %" JSON_INTEGER_FORMAT " rejected\n",
                  "items", items[FLAGVER_ITEM_PENDING], items[FLAGVER_ITEM_APPROVED],
                  items[FLAGVER_ITEM_REJECTED]);
}

static void print_payload(const flagver_version *version)
{
    cli_print("\n");
    if (version->tombstone)
        cli_print("deleted\n");
    else if (version->payload)
        cli_print_indented(version->payload, version->payload_length);
    else
        cli_print("%s\n", cli_payload_state_name(version->payload_state));
}

static void print_for_people(const struct surroundings *around)
{
    const flagver_version *version = around->version;
    char hash[sizeof version->content_hash * 2 + 1];

    cli_print_hex(version->content_hash, sizeof version->content_hash, hash);
    cli_print_name(version->phase);
    cli_print(" ");
    cli_print_name(version->subject);
    cli_print("@%u: %s%s\n", (unsigned)version->no, flagver_state_name(version->state),
              version->emergency ? ", by emergency" : "");
    print_event("created", version->created_at, version->created_by);
    print_editors(around);
    print_event("submitted", version->submitted_at, NULL);
    print_event("decided", version->decided_at, version->decided_by);
    print_event("superseded", version->superseded_at, NULL);
    print_votes(around);
    print_number("by version", version->superseded_by);
    print_number("base", version->base_no);
    print_number("parent", version->parent_no);
    print_number("reverts", version->reverts_no);
    if (version->note) {
        print_label("note");
        cli_print_name(version->note);
        cli_print("\n");
    }
    print_items(around);
    cli_print("%-10s %s\n", "hash", hash);
    print_payload(version);
}

static int show(const struct cli_request *request, flagver_client *client,
                const struct cli_target *target)
{
    struct surroundings around = { .votes = json_array(), .authors = json_array() };
    flagver_version *version = NULL;
    flagver_error error;
    int r;

    r = flagver_version_get(client, target->phase, target->subject, target->no, &version, &error);
    around.version = version;
    if (r == 0)
        r = look_around(client, &around, &error);
    if (r < 0)
        r = cli_fail(target->name, &error);
    else if (request->values[CLI_JSON])
        print_document(&around);
    else
        print_for_people(&around);
    json_decref(around.votes);
    json_decref(around.authors);
    flagver_version_free(version);
    return r;
}

int cli_version_show(const struct cli_request *request)
{
    flagver_client *client = NULL;
    struct cli_target target;
    int r;

    r = cli_target_read(&target, request);
    if (r == 0)
        r = cli_store_read(request, NULL, &client);
    if (r == 0)
        r = show(request, client, &target);
    flagver_close(client);
    cli_target_clear(&target);
    return r;
}

/* ---- list and due ---- */

struct listing {
    const char *phase; /* NULL: all, and the table says which */
    bool as_json, found;
    struct cli_table table;
};

static bool list_one(void *data, const flagver_version *version)
{
    struct listing *listing = data;

    listing->found = true;
    if (listing->as_json) {
        cli_print_document(cli_version_document(NULL, version));
        return true;
    }
    if (!listing->phase)
        cli_table_add(&listing->table, version->phase);
    cli_table_add(&listing->table, version->subject);
    cli_table_format(&listing->table, "%u", (unsigned)version->no);
    cli_table_add_state(&listing->table, version);
    cli_table_add_since(&listing->table, version);
    cli_table_add(&listing->table, version->created_by);
    cli_table_add(&listing->table, version->note);
    return true;
}

/* "draft,submitted" */
static int read_states(const struct cli_request *request, uint32_t *ret_states)
{
    const char *text = request->values[CLI_STATE];
    size_t length;
    int state;

    *ret_states = 0;
    for (; text; text = text[length] ? text + length + 1 : NULL) {
        length = strcspn(text, ",");
        for (state = FLAGVER_STATE_DRAFT; state <= FLAGVER_STATE_RECORDED; state++)
            if (strlen(flagver_state_name(state)) == length &&
                memcmp(flagver_state_name(state), text, length) == 0)
                break;
        if (state > FLAGVER_STATE_RECORDED)
            return cli_request_refuse(request,
                                      "--state %.*s is none of draft, submitted, approved, "
                                      "superseded, rejected, withdrawn, recorded",
                                      (int)length, text);
        *ret_states |= FLAGVER_STATES(state);
    }
    return 0;
}

static int read_list_options(const struct cli_request *request, flagver_list_options *ret_options)
{
    int r;

    *ret_options = (flagver_list_options){ .size = sizeof *ret_options,
                                           .prefix = request->values[CLI_PREFIX],
                                           .after = request->values[CLI_AFTER],
                                           .author = request->values[CLI_AUTHOR],
                                           .all = request->values[CLI_ALL] != NULL };
    r = cli_read_number(request, CLI_LIMIT, &ret_options->limit);
    if (r == 0)
        r = read_states(request, &ret_options->states);
    /* That something is to be deleted waits like all else. */
    if (ret_options->states)
        ret_options->all = 1;
    return r;
}

static int list(const struct cli_request *request,
                int (*read)(const struct cli_request *request, flagver_client *client,
                            const flagver_list_options *options, struct listing *listing,
                            flagver_error *err),
                const char *nothing)
{
    static const char *const words[] = { "PHASE", "SUBJECT", "NO",   "STATE",
                                         "SINCE", "BY",      "NOTE", NULL };
    struct listing listing = { .phase = cli_request_operand(request, 0),
                               .as_json = request->values[CLI_JSON] != NULL };
    flagver_list_options options;
    flagver_client *client;
    flagver_error error;
    int r;

    r = read_list_options(request, &options);
    if (r == 0)
        r = cli_store_read(request, NULL, &client);
    if (r)
        return r;

    cli_table_add_heading(&listing.table, listing.phase ? words + 1 : words);
    r = read(request, client, &options, &listing, &error);
    cli_table_print(&listing.table);
    flagver_close(client);
    if (r < 0)
        return cli_fail(listing.phase, &error);
    /* For programs nothing is nothing. */
    if (!listing.found && !listing.as_json && cli_is_terminal())
        cli_print("%s\n", nothing);
    return CLI_DONE;
}

static int read_list(const struct cli_request *request, flagver_client *client,
                     const flagver_list_options *options, struct listing *listing,
                     flagver_error *err)
{
    (void)request;
    return flagver_version_list(client, listing->phase, options, list_one, listing, err);
}

int cli_version_list(const struct cli_request *request)
{
    return list(request, read_list, "no such versions");
}

static int read_due(const struct cli_request *request, flagver_client *client,
                    const flagver_list_options *options, struct listing *listing,
                    flagver_error *err)
{
    struct cli_actor who;

    cli_store_actor(request, &who);
    return flagver_version_due(client, &who.actor, listing->phase, options, list_one, listing, err);
}

int cli_version_due(const struct cli_request *request)
{
    return list(request, read_due, "nothing waits");
}
