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
    const struct cli_kind *kind;
    const char *key; /* NULL: all */
    flagver_client *client;
    bool as_json;
};

static int begin(struct reading *reading, const struct cli_request *request)
{
    *reading = (struct reading){ .request = request,
                                 .kind = cli_kind_of(request),
                                 .key = cli_request_operand(request, 0),
                                 .as_json = request->values[CLI_JSON] != NULL };
    return cli_store_read(request, NULL, &reading->client);
}

static int missing(const struct reading *reading, uint32_t no)
{
    return cli_record_missing(reading->request, reading->client, reading->kind, reading->key, no);
}

static int missing_then(const struct reading *reading)
{
    const char *uri = "";

    cli_store_uri(reading->request, &uri);
    cli_complain(reading->key, "no such %s in %s at that time", reading->kind->name, uri);
    return CLI_NOT_FOUND;
}

static int fail(const struct reading *reading, const flagver_error *err)
{
    return cli_fail(reading->key ? reading->key : reading->kind->name, err);
}

/* ---- get ---- */

static int read_no(const struct cli_request *request, int index, uint32_t least, uint32_t *ret_no)
{
    const char *text = cli_request_operand(request, index);

    if (text && !cli_parse_number(text, least, ret_no))
        return cli_request_refuse(request, "%s is no version's number", text);
    return 0;
}

static void print_version(const struct reading *reading, const flagver_version *version)
{
    if (reading->as_json)
        cli_print_document_with(cli_version_document(reading->kind, version), "definition",
                                version->payload);
    else
        cli_print_indented(version->payload, version->payload_length);
}

/* The version of this number, of this time, or the one in force. */
static int get(const struct reading *reading, uint32_t no, const int64_t *at)
{
    const char *phase = reading->kind->phase, *key = reading->key;
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
        print_version(reading, version);
    }
    flagver_version_free(version);
    return r;
}

int cli_record_get(const struct cli_request *request)
{
    bool has_time = request->values[CLI_AT] != NULL;
    struct reading reading;
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

    r = begin(&reading, request);
    if (r == 0)
        r = get(&reading, no, has_time ? &at : NULL);
    flagver_close(reading.client);
    return r;
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

/* Since when it is in force, so that --at with this time finds it; of others since when it is there. */
static void add_time(struct cli_table *table, const flagver_version *version)
{
    char text[CLI_DATETIME_SIZE];

    cli_datetime_print(version->decided_at ? version->decided_at : version->created_at, text);
    cli_table_add(table, text);
}

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
        cli_print_document(cli_version_document(listing->reading->kind, version));
        return;
    }
    cli_table_add(&listing->table, version->subject);
    cli_table_format(&listing->table, "%u", (unsigned)version->no);
    add_time(&listing->table, version);
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
    if (reading->kind == &cli_flag_kind) {
        definition = cli_version_definition(version);
        list_flag(&listing->table, definition, listing->now);
        json_decref(definition);
    }
    cli_table_format(&listing->table, "%u", (unsigned)version->no);
    add_time(&listing->table, version);
    cli_table_add(&listing->table, version->created_by);
    return true;
}

static void add_heading(struct cli_table *table, const char *const *words)
{
    for (; *words; words++, table->columns++)
        cli_table_add(table, *words);
}

static const char *const *heading_of(const struct listing *listing)
{
    static const char *const flags[] = { "FLAG", "TYPE",  "STATE", "SERVES",
                                         "NO",   "SINCE", "BY",    NULL };
    static const char *const segments[] = { "SEGMENT", "NO", "SINCE", "BY", NULL };
    static const char *const deleted[] = { "DELETED", "NO", "SINCE", "BY", "NOTE", NULL };

    if (listing->deleted)
        return deleted;
    return listing->reading->kind == &cli_flag_kind ? flags : segments;
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

    add_heading(&listing.table, heading_of(&listing));
    r = flagver_version_list(reading->client, reading->kind->phase, &options, list_one, &listing,
                             &error);
    cli_table_print(&listing.table);
    if (r < 0)
        return fail(reading, &error);
    /* For programs nothing is nothing. */
    if (!listing.found && !reading->as_json && cli_is_terminal())
        cli_print("no %s%ss\n", listing.deleted ? "deleted " : "", reading->kind->name);
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

/* "superseded, reverts 2" */
static void add_state(struct cli_table *table, const flagver_version *version)
{
    char reverts[32] = "";

    if (version->reverts_no)
        snprintf(reverts, sizeof reverts, ", reverts %u", (unsigned)version->reverts_no);
    cli_table_format(table, "%s%s%s", flagver_state_name(version->state),
                     version->tombstone ? ", deleted" : "", reverts);
}

/* How many changes of a version a table shows, and how many bytes of each. */
#define SHOWN_CHANGES 2
#define SHOWN_BYTES 28

/* The first bytes of a text, none of its characters in part. */
static int cut(const char *text, size_t length)
{
    size_t end = length < SHOWN_BYTES ? length : SHOWN_BYTES;

    while (end < length && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    return (int)end;
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

/* What a version changed, in short: its first changes. */
static void add_change(struct cli_table *table, const flagver_version *version, const char *lines)
{
    char text[512] = "", change[SHOWN_BYTES * 2 + 32];
    size_t length, used = 0, i;

    if (version->tombstone)
        lines = "";
    else if (!version->base_no)
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

static void tell_for_people(struct cli_table *table, const flagver_version *version,
                            const char *lines)
{
    cli_table_format(table, "%u", (unsigned)version->no);
    add_state(table, version);
    add_time(table, version);
    cli_table_add(table, version->created_by);
    add_change(table, version, lines);
    cli_table_add(table, version->note);
}

static bool tell_one(void *data, const flagver_version *version)
{
    struct listing *listing = data;
    const struct reading *reading = listing->reading;
    json_t *document;
    char *lines;

    listing->found = true;
    listing->result = flagver_version_diff(reading->client, reading->kind->phase, reading->key,
                                           version->base_no, version->no, FLAGVER_DIFF_LINES,
                                           &lines, listing->err);
    if (listing->result < 0)
        return false;
    if (reading->as_json) {
        document = cli_version_document(reading->kind, version);
        cli_json_set(document, "changes", cli_json_lines(lines));
        cli_print_document(document);
    } else {
        tell_for_people(&listing->table, version, lines);
    }
    flagver_string_free(lines);
    return true;
}

static int history(const struct reading *reading)
{
    static const char *const words[] = { "NO", "STATE", "SINCE", "BY", "CHANGE", "NOTE", NULL };
    flagver_list_options options = { .size = sizeof options, .backwards = 1 };
    flagver_error error;
    struct listing listing = { .reading = reading, .err = &error };
    int r;

    add_heading(&listing.table, words);
    r = flagver_version_history(reading->client, reading->kind->phase, reading->key, &options,
                                tell_one, &listing, &error);
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

    if (version->state != FLAGVER_STATE_APPROVED)
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
    if (flagver_version_history(reading->client, reading->kind->phase, reading->key, &options,
                                find_last, span, &error) < 0)
        return fail(reading, &error);
    return span->has_to ? 0 : missing(reading, 0);
}

static int get_diff(const struct reading *reading, const struct span *span, int form,
                    char **ret_text, flagver_error *err)
{
    return flagver_version_diff(reading->client, reading->kind->phase, reading->key, span->from,
                                span->to, form, ret_text, err);
}

/* Of the two it is the first that is not there which is named. */
static int fail_diff(const struct reading *reading, const struct span *span,
                     const flagver_error *err)
{
    flagver_version *version = NULL;
    uint32_t no = span->to;

    if (err->code != FLAGVER_ENOTFOUND)
        return fail(reading, err);
    if (span->from && flagver_version_get(reading->client, reading->kind->phase, reading->key,
                                          span->from, &version, NULL) == FLAGVER_ENOTFOUND)
        no = span->from;
    flagver_version_free(version);
    return missing(reading, no);
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
        cli_print_document_with(json_pack("{s:o, s:I, s:I, s:o}", reading->kind->name,
                                          cli_json_text(reading->key), "from",
                                          (json_int_t)span->from, "to", (json_int_t)span->to,
                                          "changes", cli_json_lines(lines)),
                                "mergePatch", patch ? patch : "null");
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
    struct span span = { .has_from = request->operand_count > 1,
                         .has_to = request->operand_count > 2 };
    struct reading reading;
    int r;

    r = read_no(request, 1, 0, &span.from);
    if (r == 0)
        r = read_no(request, 2, 0, &span.to);
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
