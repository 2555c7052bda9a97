/* What is in a store: one flag or segment, all of them, what they said before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asking.h"
#include "commands.h"
#include "datetime.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"
#include "summary.h"
#include "table.h"

/* What the reading commands begin with. */
struct reading {
    const struct cli_request *request;
    struct cli_record record;
    flagver_client *client;
    bool as_json;
};

static int begin(struct reading *reading, const struct cli_request *request)
{
    *reading = (struct reading){ .request = request, .as_json = request->values[CLI_JSON] != NULL };
    cli_record_of(request, &reading->record);
    return cli_store_read(request, NULL, &reading->client);
}

static int missing(const struct reading *reading, uint32_t no)
{
    return cli_record_missing(reading->request, reading->client, &reading->record, no);
}

static int missing_then(const struct reading *reading)
{
    const char *uri = "";

    cli_store_uri(reading->request, &uri);
    cli_complain(reading->record.key, "no such %s in %s at that time",
                 reading->record.kind ? reading->record.kind->name : "record", uri);
    return CLI_NOT_FOUND;
}

static int fail(const struct reading *reading, const flagver_error *err)
{
    return cli_fail(reading->record.key ? reading->record.key : reading->record.phase, err);
}

/* ---- get ---- */

static int read_no(const struct cli_request *request, int index, uint32_t least, uint32_t *ret_no)
{
    const char *text = cli_request_operand(request, index);

    if (text && !cli_parse_number(text, least, ret_no))
        return cli_request_refuse(request, "%s is no version's number", text);
    return 0;
}

static void print_document_of(const struct cli_kind *kind, const flagver_version *version)
{
    json_t *document = cli_version_document(kind, version);

    if (!kind)
        cli_json_set(document, "payloadState", cli_payload_state(version));
    cli_print_document_with(document, kind ? "definition" : "payload", cli_payload_json(version));
}

/* What cannot be compared says which key is missing. */
static int fail_sealed(const struct reading *reading, const flagver_version *version)
{
    flagver_error error;
    char *lines = NULL;
    int r = flagver_version_diff(reading->client, version->phase, version->subject, 0, version->no,
                                 FLAGVER_DIFF_LINES, &lines, &error);

    flagver_string_free(lines);
    if (r < 0)
        return cli_fail(version->subject, &error);
    cli_complain(version->subject, "the payload of version %u is sealed", (unsigned)version->no);
    return CLI_NOT_FOUND;
}

static int print_version(const struct reading *reading, const flagver_version *version)
{
    if (reading->as_json) {
        print_document_of(reading->record.kind, version);
    } else if (version->payload) {
        cli_print_indented(version->payload, version->payload_length);
    } else if (version->payload_state == FLAGVER_PAYLOAD_SEALED) {
        return fail_sealed(reading, version);
    } else {
        cli_complain(version->subject, "the payload of version %u was shredded",
                     (unsigned)version->no);
        return CLI_NOT_FOUND;
    }
    return CLI_DONE;
}

/* The version of this number, of this time, or the one in force. */
static int get(const struct reading *reading, uint32_t no, const int64_t *at)
{
    const char *phase = reading->record.phase, *key = reading->record.key;
    flagver_version *version = NULL;
    flagver_error error;
    int r;

    if (no)
        r = flagver_version_get(reading->client, phase, key, no, &version, &error);
    else if (at)
        r = flagver_version_as_of(reading->client, phase, key, *at, &version, &error);
    else
        r = flagver_version_current(reading->client, phase, key, &version, &error);
    if (r == FLAGVER_ENOTFOUND)
        return at ? missing_then(reading) : missing(reading, no);
    if (r < 0)
        return fail(reading, &error);

    if (version->tombstone) {
        cli_complain(key, "version %u says that it is deleted", (unsigned)no);
        r = CLI_NOT_FOUND;
    } else {
        r = print_version(reading, version);
    }
    flagver_version_free(version);
    return r;
}

static int get_and_close(const struct cli_request *request, uint32_t no, const int64_t *at)
{
    struct reading reading;
    int r = begin(&reading, request);

    if (r == 0)
        r = get(&reading, no, at);
    flagver_close(reading.client);
    return r;
}

int cli_record_get(const struct cli_request *request)
{
    bool has_time = request->values[CLI_AT] != NULL;
    uint32_t no = 0;
    int64_t at = 0;
    int r;

    r = read_no(request, 1, 1, &no);
    if (r == 0)
        r = cli_read_at(request, &at);
    if (r)
        return r;
    if (no && has_time)
        return cli_request_refuse(request, "a version's number and --at exclude each other");
    return get_and_close(request, no, has_time ? &at : NULL);
}

int cli_version_current(const struct cli_request *request)
{
    return get_and_close(request, 0, NULL);
}

int cli_version_as_of(const struct cli_request *request)
{
    int64_t at = 0;
    int r = cli_read_at(request, &at);

    if (r)
        return r;
    if (!request->values[CLI_AT])
        return cli_request_refuse(request, "needs --at");
    return get_and_close(request, 0, &at);
}

/* ---- list ---- */

struct listing {
    const struct reading *reading;
    struct cli_table table; /* for people */
    int64_t now;            /* the time that is asked about, in µs */
    bool deleted;           /* only what is */
    bool found;             /* anything */
    int result;             /* a code: what ended it before its end, told in err */
    flagver_error *err;
};

static void list_flag(struct cli_table *table, const json_t *definition, int64_t now)
{
    const json_t *enabled = json_object_get(definition, "enabled");
    char summary[CLI_SUMMARY_SIZE];

    cli_summarise(definition, now, summary);
    cli_table_add(table, json_string_value(json_object_get(definition, "type")));
    cli_table_add(table, json_is_false(enabled) ? "off" : "on");
    cli_table_add(table, summary);
}

static void list_deleted(struct listing *listing, const flagver_version *version)
{
    if (listing->reading->as_json) {
        cli_print_document(cli_version_document(listing->reading->record.kind, version));
        return;
    }
    cli_table_add(&listing->table, version->subject);
    cli_table_format(&listing->table, "%u", (unsigned)version->no);
    cli_table_add_since(&listing->table, version);
    cli_table_add(&listing->table, version->created_by);
    cli_table_add(&listing->table, version->note);
}

static bool list_one(void *data, const flagver_version *version)
{
    struct listing *listing = data;
    const struct reading *reading = listing->reading;
    json_t *definition;

    if (listing->deleted && !version->tombstone)
        return true;
    listing->found = true;
    if (listing->deleted) {
        list_deleted(listing, version);
        return true;
    }
    if (reading->as_json) {
        print_version(reading, version);
        return true;
    }
    cli_table_add(&listing->table, version->subject);
    if (reading->record.kind == &cli_flag_kind) {
        definition = cli_version_definition(version);
        list_flag(&listing->table, definition, listing->now);
        json_decref(definition);
    }
    cli_table_format(&listing->table, "%u", (unsigned)version->no);
    cli_table_add_since(&listing->table, version);
    cli_table_add(&listing->table, version->created_by);
    return true;
}

static const char *const *heading_of(const struct listing *listing)
{
    static const char *const flags[] = { "FLAG", "TYPE",  "STATE", "SERVES",
                                         "NO",   "SINCE", "BY",    NULL };
    static const char *const segments[] = { "SEGMENT", "NO", "SINCE", "BY", NULL };
    static const char *const deleted[] = { "DELETED", "NO", "SINCE", "BY", "NOTE", NULL };

    if (listing->deleted)
        return deleted;
    return listing->reading->record.kind == &cli_flag_kind ? flags : segments;
}

static bool tell_pending(void *data, const flagver_version *version)
{
    (void)data;
    cli_print_name(version->subject);
    cli_print(": ");
    cli_print_pending(version);
    cli_print("\n");
    return true;
}

/* What may be in force soon. */
static int list_pending(const struct reading *reading, flagver_error *err)
{
    flagver_list_options options = { .size = sizeof options,
                                     .all = 1,
                                     .states = FLAGVER_STATES(FLAGVER_STATE_SUBMITTED) };

    return flagver_version_list(reading->client, reading->record.phase, &options, tell_pending,
                                NULL, err);
}

static int list(const struct reading *reading, int64_t as_of)
{
    struct listing listing = { .reading = reading,
                               .now = as_of ? as_of : cli_now(),
                               .deleted = reading->request->values[CLI_DELETED] };
    flagver_list_options options = {
        .size = sizeof options, .payload = !listing.deleted, .all = listing.deleted, .as_of = as_of
    };
    flagver_error error;
    int r;

    cli_table_add_heading(&listing.table, heading_of(&listing));
    r = flagver_version_list(reading->client, reading->record.phase, &options, list_one, &listing,
                             &error);
    cli_table_print(&listing.table);
    if (r == 0 && !reading->as_json && !as_of && !listing.deleted)
        r = list_pending(reading, &error);
    if (r < 0)
        return fail(reading, &error);
    /* For programs nothing is nothing. */
    if (!listing.found && !reading->as_json && cli_is_terminal())
        cli_print("no %s%ss\n", listing.deleted ? "deleted " : "", reading->record.kind->name);
    return CLI_DONE;
}

int cli_record_list(const struct cli_request *request)
{
    struct reading reading;
    int64_t at = 0;
    int r;

    r = cli_read_at(request, &at);
    if (r)
        return r;
    /* To the library 0 is now. */
    if (request->values[CLI_AT] && at == 0)
        at = -1;
    r = begin(&reading, request);
    if (r == 0)
        r = list(&reading, at);
    flagver_close(reading.client);
    return r;
}

/* ---- history ---- */

/* How many changes of a version a table shows, and how many bytes of each. */
#define SHOWN_CHANGES 2
#define SHOWN_BYTES 28

static int cut(const char *text, size_t length)
{
    return (int)cli_cut(text, length, SHOWN_BYTES);
}

/* One line of a difference in short: "percentage 10 -> 25" of "~ /percentage: 10 -> 25". */
static void shorten(const char *line, size_t length, char *text, size_t size)
{
    const char *mark = line[0] == '~' ? "" : line[0] == '+' ? "+ " : "- ";
    const char *pointer = line + 2 + (line[2] == '/'), *end = line + length;
    const char *colon = strstr(pointer, ": "), *value;
    int shown;

    if (!colon || colon >= end)
        colon = end;
    value = colon < end ? colon + 2 : end;
    shown = cut(value, (size_t)(end - value));
    snprintf(text, size, "%s%.*s%s%.*s%s", mark, cut(pointer, (size_t)(colon - pointer)), pointer,
             value < end ? " " : "", shown, value, shown < end - value ? "\u2026" : "");
}

/* What a version changed, in short: its first changes, or why nothing is known of them. */
static void add_change(struct cli_table *table, const flagver_version *version, const char *lines)
{
    char text[512] = "", change[SHOWN_BYTES * 2 + 32];
    size_t length, used = 0, i;

    if (version->tombstone) {
        lines = "";
    } else if (!lines) {
        if (!version->payload)
            used = (size_t)snprintf(text, sizeof text, "%s",
                                    cli_payload_state_name(version->payload_state));
        lines = "";
    } else if (!version->base_no)
        used = (size_t)snprintf(text, sizeof text, "created");
    else if (!*lines)
        used = (size_t)snprintf(text, sizeof text, "nothing");
    for (i = 0; *lines && version->base_no && i <= SHOWN_CHANGES; i++) {
        length = strcspn(lines, "\n");
        shorten(lines, length, change, sizeof change);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "",
                                 i < SHOWN_CHANGES ? change : "\u2026");
        lines += length + (lines[length] == '\n');
    }
    cli_table_add(table, text);
}

static void tell_for_people(struct listing *listing, const flagver_version *version,
                            const char *lines)
{
    struct cli_table *table = &listing->table;

    cli_table_format(table, "%u", (unsigned)version->no);
    cli_table_add_state(table, version);
    cli_table_add_since(table, version);
    cli_table_add(table, version->created_by);
    if (!listing->reading->record.kind)
        cli_table_add(table, version->decided_by);
    add_change(table, version, lines);
    cli_table_add(table, version->note);
}

/* What a version changed; nothing is known of that when its payload, or the one before, is not there. */
static int read_changes(const struct reading *reading, const flagver_version *version,
                        char **ret_lines, flagver_error *err)
{
    int r = flagver_version_diff(reading->client, reading->record.phase, reading->record.key,
                                 version->base_no, version->no, FLAGVER_DIFF_LINES, ret_lines, err);

    return r == FLAGVER_ENOTFOUND || r == FLAGVER_EKEY ? 0 : r;
}

static bool tell_one(void *data, const flagver_version *version)
{
    struct listing *listing = data;
    const struct reading *reading = listing->reading;
    char *lines = NULL;
    json_t *document;

    listing->found = true;
    listing->result = read_changes(reading, version, &lines, listing->err);
    if (listing->result < 0)
        return false;
    if (reading->as_json) {
        document = cli_version_document(reading->record.kind, version);
        if (!reading->record.kind)
            cli_json_set(document, "payloadState", cli_payload_state(version));
        cli_json_set(document, "changes", lines ? cli_json_lines(lines) : json_null());
        cli_print_document(document);
    } else {
        tell_for_people(listing, version, lines);
    }
    flagver_string_free(lines);
    return true;
}

static int history(const struct reading *reading)
{
    static const char *const plain[] = { "NO", "STATE", "SINCE", "BY", "CHANGE", "NOTE", NULL };
    static const char *const decided[] = { "NO",         "STATE",  "SINCE", "BY",
                                           "DECIDED BY", "CHANGE", "NOTE",  NULL };
    flagver_list_options options = { .size = sizeof options, .backwards = 1, .payload = 1 };
    flagver_error error;
    struct listing listing = { .reading = reading, .err = &error };
    int r;

    cli_table_add_heading(&listing.table, reading->record.kind ? plain : decided);
    r = flagver_version_history(reading->client, reading->record.phase, reading->record.key,
                                &options, tell_one, &listing, &error);
    if (r == 0)
        r = listing.result;
    cli_table_print(&listing.table);
    if (r < 0)
        return fail(reading, &error);
    return listing.found ? CLI_DONE : missing(reading, 0);
}

int cli_record_history(const struct cli_request *request)
{
    struct reading reading;
    int r = begin(&reading, request);

    if (r == 0)
        r = history(&reading);
    flagver_close(reading.client);
    return r;
}

/* ---- diff ---- */

/* From which version to which; without numbers, the last change that came into force. */
struct span {
    uint32_t from, to;
    bool has_from, has_to;
};

static bool find_last(void *data, const flagver_version *version)
{
    struct span *span = data;

    if (version->state != FLAGVER_STATE_APPROVED && version->state != FLAGVER_STATE_RECORDED)
        return true;
    span->to = version->no;
    span->has_to = true;
    if (!span->has_from)
        span->from = version->base_no;
    span->has_from = true;
    return false;
}

static int complete(const struct reading *reading, struct span *span)
{
    flagver_list_options options = { .size = sizeof options, .backwards = 1 };
    flagver_error error;

    if (span->has_to)
        return 0;
    if (flagver_version_history(reading->client, reading->record.phase, reading->record.key,
                                &options, find_last, span, &error) < 0)
        return fail(reading, &error);
    return span->has_to ? 0 : missing(reading, 0);
}

static int get_diff(const struct reading *reading, const struct span *span, int form,
                    char **ret_text, flagver_error *err)
{
    return flagver_version_diff(reading->client, reading->record.phase, reading->record.key,
                                span->from, span->to, form, ret_text, err);
}

static bool is_missing(const struct reading *reading, uint32_t no)
{
    flagver_version *version = NULL;
    int r = no ? flagver_version_get(reading->client, reading->record.phase, reading->record.key,
                                     no, &version, NULL)
               : 0;

    flagver_version_free(version);
    return r == FLAGVER_ENOTFOUND;
}

/* Of the two it is the first that is not there which is named. Where both are, one was shredded. */
static int fail_diff(const struct reading *reading, const struct span *span,
                     const flagver_error *err)
{
    if (err->code != FLAGVER_ENOTFOUND)
        return fail(reading, err);
    if (is_missing(reading, span->from))
        return missing(reading, span->from);
    if (is_missing(reading, span->to))
        return missing(reading, span->to);
    return fail(reading, err);
}

static json_t *describe(const struct reading *reading, const struct span *span, const char *lines)
{
    const struct cli_record *record = &reading->record;
    json_t *document = cli_record_document(record->kind, record->phase, record->key);

    cli_json_set(document, "from", json_integer(span->from));
    cli_json_set(document, "to", json_integer(span->to));
    cli_json_set(document, "changes", cli_json_lines(lines));
    return document;
}

/* There are changes that no merge patch can make; programs get null for it then. */
static int print_document(const struct reading *reading, const struct span *span)
{
    char *lines = NULL, *patch = NULL;
    flagver_error error;
    int r;

    r = get_diff(reading, span, FLAGVER_DIFF_LINES, &lines, &error);
    if (r == 0)
        r = get_diff(reading, span, FLAGVER_DIFF_MERGE_PATCH, &patch, &error);
    if (r == FLAGVER_ENOTSUP)
        r = 0;
    if (r == 0)
        cli_print_document_with(describe(reading, span, lines), "mergePatch",
                                patch ? patch : "null");
    flagver_string_free(lines);
    flagver_string_free(patch);
    return r < 0 ? fail_diff(reading, span, &error) : CLI_DONE;
}

static int print_text(const struct reading *reading, const struct span *span, bool patch)
{
    flagver_error error;
    char *text;

    if (get_diff(reading, span, patch ? FLAGVER_DIFF_MERGE_PATCH : FLAGVER_DIFF_LINES, &text,
                 &error) < 0)
        return fail_diff(reading, span, &error);
    if (patch)
        cli_print("%s\n", text);
    else
        cli_print_changes("", text);
    flagver_string_free(text);
    return CLI_DONE;
}

int cli_record_diff(const struct cli_request *request)
{
    struct span span = { .has_from = false };
    struct cli_record record;
    struct reading reading;
    int r;

    cli_record_of(request, &record);
    span.has_from = request->operand_count > record.operands;
    span.has_to = request->operand_count > record.operands + 1;
    r = read_no(request, record.operands, 0, &span.from);
    if (r == 0)
        r = read_no(request, record.operands + 1, 0, &span.to);
    if (r)
        return r;

    r = begin(&reading, request);
    if (r == 0)
        r = complete(&reading, &span);
    if (r == 0)
        r = reading.as_json ? print_document(&reading, &span)
                            : print_text(&reading, &span, request->values[CLI_MERGE_PATCH]);
    flagver_close(reading.client);
    return r;
}
