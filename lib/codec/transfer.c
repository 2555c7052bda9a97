#include "codec/transfer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/reading.h"
#include "model/version.h"
#include "util/fail.h"
#include "util/utf8.h"
#include "util/uuid.h"

_Static_assert(FV_TRANSFER_LINE_LIMIT <= FV_JSON_LIMIT, "every line can be parsed");

/* ---- what lines hold ---- */

enum type { NUMBER32, NUMBER64, COUNT64, STATE, STATUS, TEXT, HEX, ID, HASH, PAYLOAD };

/* A member of a line and its place in the row. Tables are in byte order of the names. */
struct field {
    const char *name;
    enum type type;
    bool required;
    size_t offset;
};

#define FIELD_LIMIT 24

static const struct field tenant_fields[] = {
    { "tenant", TEXT, true, offsetof(struct fv_transfer_tenant, name) },
};

static const struct field key_fields[] = {
    { "key", TEXT, true, offsetof(flagver_keyed_row, key) },
    { "rev", NUMBER64, true, offsetof(flagver_keyed_row, rev) },
    { "time", NUMBER64, false, offsetof(flagver_keyed_row, time) },
    { "value", HEX, true, offsetof(flagver_keyed_row, value) },
};

static const struct field mapping_fields[] = {
    { "entity", TEXT, true, offsetof(struct fv_transfer_mapping, entity) },
    { "new", TEXT, true, offsetof(struct fv_transfer_mapping, new_id) },
    { "old", TEXT, true, offsetof(struct fv_transfer_mapping, old_id) },
    { "time", NUMBER64, false, offsetof(struct fv_transfer_mapping, time) },
};

static const struct field series_fields[] = {
    { "changed_at", NUMBER64, false, offsetof(flagver_series_row, changed_at) },
    { "current_no", NUMBER32, false, offsetof(flagver_series_row, current_no) },
    { "id", ID, true, offsetof(flagver_series_row, id) },
    { "last_no", NUMBER32, false, offsetof(flagver_series_row, last_no) },
    { "phase", TEXT, true, offsetof(flagver_series_row, phase) },
    { "rev", NUMBER64, true, offsetof(flagver_series_row, rev) },
    { "subject", TEXT, true, offsetof(flagver_series_row, subject) },
};

static const struct field version_fields[] = {
    { "base_no", NUMBER32, false, offsetof(flagver_version_row, base_no) },
    { "bits", NUMBER32, false, offsetof(flagver_version_row, bits) },
    { "content_hash", HASH, true, offsetof(flagver_version_row, content_hash) },
    { "created_at", NUMBER64, false, offsetof(flagver_version_row, created_at) },
    { "created_by", TEXT, true, offsetof(flagver_version_row, created_by) },
    { "decided_at", NUMBER64, false, offsetof(flagver_version_row, decided_at) },
    { "decided_by", TEXT, false, offsetof(flagver_version_row, decided_by) },
    { "id", ID, true, offsetof(flagver_version_row, id) },
    { "key", NUMBER32, false, offsetof(flagver_version_row, payload_key) },
    { "no", NUMBER32, true, offsetof(flagver_version_row, no) },
    { "note", TEXT, false, offsetof(flagver_version_row, note) },
    { "parent_no", NUMBER32, false, offsetof(flagver_version_row, parent_no) },
    { "payload", PAYLOAD, true, offsetof(flagver_version_row, payload) },
    { "payload_id", ID, true, offsetof(flagver_version_row, payload_id) },
    { "rev", NUMBER64, true, offsetof(flagver_version_row, rev) },
    { "reverts_no", NUMBER32, false, offsetof(flagver_version_row, reverts_no) },
    { "salt", HEX, false, offsetof(flagver_version_row, payload_salt) },
    { "state", STATE, true, offsetof(flagver_version_row, state) },
    { "submitted_at", NUMBER64, false, offsetof(flagver_version_row, submitted_at) },
    { "superseded_at", NUMBER64, false, offsetof(flagver_version_row, superseded_at) },
    { "superseded_by", NUMBER32, false, offsetof(flagver_version_row, superseded_by) },
};

static const struct field contributor_fields[] = {
    { "actor", TEXT, true, offsetof(flagver_contributor_row, actor) },
};

static const struct field item_fields[] = {
    { "decided_at", NUMBER64, false, offsetof(flagver_item_row, decided_at) },
    { "decided_by", TEXT, false, offsetof(flagver_item_row, decided_by) },
    { "hash", HASH, true, offsetof(flagver_item_row, hash) },
    { "key", TEXT, true, offsetof(flagver_item_row, key) },
    { "note", TEXT, false, offsetof(flagver_item_row, note) },
    { "origin_no", NUMBER32, false, offsetof(flagver_item_row, origin_no) },
    { "payload", PAYLOAD, true, offsetof(flagver_item_row, payload) },
    { "payload_id", ID, true, offsetof(flagver_item_row, payload_id) },
    { "payload_key", NUMBER32, false, offsetof(flagver_item_row, payload_key) },
    { "payload_salt", HEX, false, offsetof(flagver_item_row, payload_salt) },
    { "status", STATUS, true, offsetof(flagver_item_row, status) },
};

static const struct field vote_fields[] = {
    { "actor", TEXT, true, offsetof(flagver_vote_row, actor) },
    { "content_hash", HASH, true, offsetof(flagver_vote_row, content_hash) },
    { "note", TEXT, false, offsetof(flagver_vote_row, note) },
    { "time", NUMBER64, false, offsetof(flagver_vote_row, time) },
};

static const struct field leaf_fields[] = {
    { "hash", HASH, true, offsetof(flagver_leaf_row, hash) },
    { "leaf", HEX, true, offsetof(flagver_leaf_row, leaf) },
    { "no", COUNT64, true, offsetof(flagver_leaf_row, no) },
};

static const struct field end_fields[] = {
    { "records", COUNT64, true, offsetof(struct fv_transfer_end, records) },
    { "sha256", HASH, true, offsetof(struct fv_transfer_end, sha256) },
};

/* A line: its only member is `wrapper`, or the fields are its members. */
struct shape {
    const char *wrapper;
    const struct field *fields;
    size_t count;
};

#define FIELDS(table) table, sizeof table / sizeof *(table)

static const struct shape shapes[] = {
    [FV_TRANSFER_TENANT] = { NULL, FIELDS(tenant_fields) },
    [FV_TRANSFER_KEY] = { "key", FIELDS(key_fields) },
    [FV_TRANSFER_MAPPING] = { "mapping", FIELDS(mapping_fields) },
    [FV_TRANSFER_SERIES] = { "series", FIELDS(series_fields) },
    [FV_TRANSFER_VERSION] = { "version", FIELDS(version_fields) },
    [FV_TRANSFER_CONTRIBUTOR] = { "contributor", FIELDS(contributor_fields) },
    [FV_TRANSFER_ITEM] = { "item", FIELDS(item_fields) },
    [FV_TRANSFER_VOTE] = { "vote", FIELDS(vote_fields) },
    [FV_TRANSFER_LEAF] = { "leaf", FIELDS(leaf_fields) },
    [FV_TRANSFER_END] = { NULL, FIELDS(end_fields) },
};

_Static_assert(sizeof version_fields / sizeof *version_fields <= FIELD_LIMIT, "room for all");

/* ---- words for numbers ---- */

/* NULL: there is no such number. */
static const char *item_status(int32_t status)
{
    static const char *const names[] = { [FLAGVER_ITEM_PENDING] = "pending",
                                         [FLAGVER_ITEM_APPROVED] = "approved",
                                         [FLAGVER_ITEM_REJECTED] = "rejected" };

    return status >= 0 && (size_t)status < sizeof names / sizeof *names ? names[status] : NULL;
}

static const char *word_of(enum type type, int32_t number)
{
    return type == STATE ? fv_state_name(number) : item_status(number);
}

static int32_t first_word(enum type type)
{
    return type == STATE ? FLAGVER_STATE_DRAFT : FLAGVER_ITEM_PENDING;
}

/* ---- writing ---- */

static void add_hex(struct fv_text *out, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = bytes;
    char pair[2];
    size_t i;

    fv_text_add_char(out, '"');
    for (i = 0; i < length; i++) {
        pair[0] = digits[at[i] >> 4];
        pair[1] = digits[at[i] & 15];
        fv_text_add_bytes(out, pair, 2);
    }
    fv_text_add_char(out, '"');
}

/* Can it stand in a JSON string? Control characters could, at six bytes each. */
static bool is_plain(flagver_bytes bytes)
{
    const unsigned char *text = bytes.data;
    size_t i;

    for (i = 0; i < bytes.length; i++)
        if (text[i] < 0x20)
            return false;
    return fv_utf8_valid(bytes.data, bytes.length);
}

static bool is_encrypted(const struct fv_transfer *line)
{
    return line->kind == FV_TRANSFER_ITEM ? line->as.item.payload_key
                                          : line->as.version.payload_key;
}

static void add_payload(struct fv_text *out, flagver_bytes payload, bool encrypted)
{
    if (!payload.data) {
        fv_text_add(out, "null");
    } else if (!encrypted && is_plain(payload)) {
        fv_canonical_string(out, payload.data, payload.length);
    } else {
        fv_text_add(out, "{\"hex\":");
        add_hex(out, payload.data, payload.length);
        fv_text_add_char(out, '}');
    }
}

static int64_t number_of(const struct field *field, const void *at)
{
    switch (field->type) {
    case NUMBER32:
        return *(const uint32_t *)at;
    case COUNT64:
        return (int64_t) * (const uint64_t *)at;
    default:
        return *(const int64_t *)at;
    }
}

static bool is_left_out(const struct field *field, const void *at)
{
    if (field->required)
        return false;
    if (field->type == TEXT || field->type == HEX)
        return !((const flagver_bytes *)at)->data;
    return number_of(field, at) == 0;
}

/* A text as what it is called in a message, when it cannot be written; else NULL. */
static const char *fault_of(const struct field *field, const flagver_bytes *text)
{
    if (!text->data)
        return "is missing";
    if (field->type == TEXT &&
        (memchr(text->data, 0, text->length) || !fv_utf8_valid(text->data, text->length)))
        return "is not UTF-8";
    return NULL;
}

static const char *add_word(struct fv_text *out, enum type type, int32_t number)
{
    const char *name = word_of(type, number);

    if (!name)
        return "is none";
    fv_canonical_string(out, name, strlen(name));
    return NULL;
}

static const char *add_value(struct fv_text *out, const struct field *field,
                             const struct fv_transfer *line)
{
    const void *at = (const char *)&line->as + field->offset;
    const flagver_bytes *bytes = at;
    const char *fault = NULL;
    char id[FV_UUID_TEXT];

    switch (field->type) {
    case TEXT:
    case HEX:
        fault = fault_of(field, bytes);
        if (fault)
            return fault;
        if (field->type == TEXT)
            fv_canonical_string(out, bytes->data, bytes->length);
        else
            add_hex(out, bytes->data, bytes->length);
        break;
    case PAYLOAD:
        add_payload(out, *bytes, is_encrypted(line));
        break;
    case ID:
        fv_uuid_text(at, id);
        fv_canonical_string(out, id, FV_UUID_TEXT - 1);
        break;
    case HASH:
        add_hex(out, at, 32);
        break;
    case STATE:
    case STATUS:
        return add_word(out, field->type, *(const int32_t *)at);
    default:
        fv_canonical_integer(out, number_of(field, at));
    }
    return NULL;
}

static int refuse_row(const struct fv_transfer *line, const char *field, const char *fault,
                      flagver_error *err)
{
    const flagver_version_row *version = &line->as.version;
    const flagver_item_row *item = &line->as.item;
    const char *wrapper = shapes[line->kind].wrapper;

    if (line->kind == FV_TRANSFER_ITEM)
        return fv_fail(err, FLAGVER_ECORRUPT, "item \"%.*s\" of a version %" PRIu32 ": %s %s",
                       (int)item->key.length, item->key.data ? (const char *)item->key.data : "",
                       item->no, field, fault);
    if (line->kind == FV_TRANSFER_VERSION)
        return fv_fail(err, FLAGVER_ECORRUPT, "version %" PRIu32 " of %.*s %.*s: %s %s",
                       version->no, (int)version->phase.length,
                       version->phase.data ? (const char *)version->phase.data : "",
                       (int)version->subject.length,
                       version->subject.data ? (const char *)version->subject.data : "", field,
                       fault);
    if (line->kind == FV_TRANSFER_LEAF)
        return fv_fail(err, FLAGVER_ECORRUPT, "leaf %" PRIu64 ": %s %s", line->as.leaf.no, field,
                       fault);
    return fv_fail(err, FLAGVER_ECORRUPT, "%s of a %s %s", field, wrapper ? wrapper : "tenant",
                   fault);
}

static int write_fields(struct fv_text *out, const struct fv_transfer *line, flagver_error *err)
{
    const struct shape *shape = &shapes[line->kind];
    const char *comma = "", *fault;
    const struct field *field;

    for (field = shape->fields; field < shape->fields + shape->count; field++) {
        if (is_left_out(field, (const char *)&line->as + field->offset))
            continue;
        fv_text_add(out, comma);
        fv_canonical_string(out, field->name, strlen(field->name));
        fv_text_add_char(out, ':');
        fault = add_value(out, field, line);
        if (fault)
            return refuse_row(line, field->name, fault, err);
        comma = ",";
    }
    return 0;
}

int fv_transfer_write(struct fv_text *out, const struct fv_transfer *line, flagver_error *err)
{
    const struct shape *shape = &shapes[line->kind];
    int r;

    if (line->kind == FV_TRANSFER_HEADER) {
        fv_text_format(out, "{\"flagver\":\"export\",\"form\":%" PRIu32 "}", line->as.header.form);
    } else {
        fv_text_add_char(out, '{');
        if (shape->wrapper)
            fv_text_format(out, "\"%s\":{", shape->wrapper);
        r = write_fields(out, line, err);
        if (r < 0)
            return r;
        fv_text_add(out, shape->wrapper ? "}}" : "}");
    }
    return out->failed ? fv_fail_memory(err) : 0;
}

/* ---- the words of an error ---- */

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Of a long file name its end says most. */
static const char *shown(const char *name)
{
    const size_t limit = 400;
    size_t length = strlen(name);

    if (length > limit)
        for (name += length - limit; is_continuation(*name); name++)
            ;
    return name;
}

/* A message that was cut off does not end inside a character. */
static void trim(char *message)
{
    size_t length = strlen(message), last = length;

    while (last && is_continuation(message[last - 1]))
        last--;
    if (last && !fv_utf8_valid(message + last - 1, length - last + 1))
        message[last - 1] = 0;
}

static int finish_error(flagver_error *err, uint64_t number)
{
    char *c;

    trim(err->message);
    err->line = number > INT32_MAX ? INT32_MAX : (int32_t)number;
    for (c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return FLAGVER_EPARSE;
}

int fv_transfer_refuse(flagver_error *err, const struct fv_transfer_place *place,
                       const char *format, ...)
{
    char why[512];
    va_list arguments;

    if (!err)
        return FLAGVER_EPARSE;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    fv_fail(err, FLAGVER_EPARSE, "%s:%" PRIu64 ": %s", shown(place->name), place->number, why);
    return finish_error(err, place->number);
}

/* The reader counts from the line it was given: its error gets the place in the file. */
static void place_error(flagver_error *err, const struct fv_transfer_place *place)
{
    const flagver_error found = *err;
    int place_length = snprintf(NULL, 0, "line %d, column %d: ", (int)found.line,
                                (int)found.column);

    fv_fail(err, FLAGVER_EPARSE, "%s:%" PRIu64 ":%d: %.500s", shown(place->name), place->number,
            (int)found.column, found.message + place_length);
    err->column = found.column;
    finish_error(err, place->number);
}

/* ---- reading ---- */

struct input {
    struct fv_reading reading;
    struct fv_arena *arena;
};

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex(const struct input *input, const struct fv_place *place, const json_t *value,
                    flagver_bytes *ret_bytes)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value), i;
    unsigned char *bytes;
    int r, high, low;

    r = fv_expect_string(&input->reading, place, value);
    if (r < 0)
        return r;
    bytes = fv_arena_allocate(input->arena, length / 2);
    if (!bytes)
        return fv_fail_memory(input->reading.err);
    for (i = 0; i + 1 < length; i += 2) {
        high = digit_of(text[i]);
        low = digit_of(text[i + 1]);
        if (high < 0 || low < 0)
            break;
        bytes[i / 2] = (unsigned char)(high << 4 | low);
    }
    if (i < length)
        return fv_refuse(&input->reading, place, "must be pairs of the digits 0-9 a-f");
    *ret_bytes = (flagver_bytes){ bytes, length / 2 };
    return 0;
}

static int read_hash(const struct input *input, const struct fv_place *place, const json_t *value,
                     uint8_t ret_hash[32])
{
    flagver_bytes bytes = { NULL, 0 };
    int r = read_hex(input, place, value, &bytes);

    if (r < 0)
        return r;
    if (bytes.length != 32)
        return fv_refuse(&input->reading, place, "is %zu bytes; a SHA-256 is 32", bytes.length);
    memcpy(ret_hash, bytes.data, 32);
    return 0;
}

static int read_text(const struct input *input, const struct fv_place *place, const json_t *value,
                     flagver_bytes *ret_text)
{
    int r = fv_expect_string(&input->reading, place, value);
    char *copy;

    if (r < 0)
        return r;
    copy = fv_arena_string(input->arena, json_string_value(value), json_string_length(value));
    if (!copy)
        return fv_fail_memory(input->reading.err);
    *ret_text = (flagver_bytes){ copy, json_string_length(value) };
    return 0;
}

static int read_payload(const struct input *input, const struct fv_place *place,
                        const json_t *value, flagver_bytes *ret_payload)
{
    static const char *const names[] = { "hex" };
    json_t *hex;
    int r;

    if (json_is_null(value))
        return 0;
    if (!json_is_object(value))
        return read_text(input, place, value, ret_payload);
    r = fv_read_fields(&input->reading, place, value, names, 1, &hex);
    if (r < 0)
        return r;
    if (!hex)
        return fv_refuse(&input->reading, place, "hex is missing");
    return read_hex(input, fv_at_key(place, "hex"), hex, ret_payload);
}

static int read_id(const struct input *input, const struct fv_place *place, const json_t *value,
                   flagver_id *ret_id)
{
    int r = fv_expect_string(&input->reading, place, value);

    if (r < 0)
        return r;
    if (!fv_uuid_parse(json_string_value(value), ret_id))
        return fv_refuse(&input->reading, place, "\"%.60s\" is no UUID", json_string_value(value));
    return 0;
}

static int read_word(const struct input *input, const struct fv_place *place, const json_t *value,
                     enum type type, int32_t *ret_number)
{
    int r = fv_expect_string(&input->reading, place, value);
    const char *word;
    int32_t number;

    if (r < 0)
        return r;
    for (number = first_word(type); (word = word_of(type, number)); number++)
        if (strcmp(word, json_string_value(value)) == 0) {
            *ret_number = number;
            return 0;
        }
    return fv_refuse(&input->reading, place, "\"%.60s\" is no %s", json_string_value(value),
                     type == STATE ? "state" : "status");
}

static int read_number(const struct input *input, const struct fv_place *place, const json_t *value,
                       const struct field *field, void *at)
{
    int64_t number = json_integer_value(value);
    int64_t least = field->type == NUMBER64 ? INT64_MIN : 0;
    int64_t most = field->type == NUMBER32 ? UINT32_MAX : INT64_MAX;

    if (!json_is_integer(value))
        return fv_refuse(&input->reading, place, "must be an integer, not %s", fv_json_kind(value));
    if (number < least || number > most)
        return fv_refuse(&input->reading, place,
                         "is %" PRId64 "; %" PRId64 " to %" PRId64 " allowed", number, least, most);
    if (field->type == NUMBER32)
        *(uint32_t *)at = (uint32_t)number;
    else if (field->type == COUNT64)
        *(uint64_t *)at = (uint64_t)number;
    else
        *(int64_t *)at = number;
    return 0;
}

static int read_value(const struct input *input, const struct fv_place *place, const json_t *value,
                      const struct field *field, void *at)
{
    switch (field->type) {
    case TEXT:
        return read_text(input, place, value, at);
    case HEX:
        return read_hex(input, place, value, at);
    case PAYLOAD:
        return read_payload(input, place, value, at);
    case ID:
        return read_id(input, place, value, at);
    case HASH:
        return read_hash(input, place, value, at);
    case STATE:
    case STATUS:
        return read_word(input, place, value, field->type, at);
    default:
        return read_number(input, place, value, field, at);
    }
}

static int read_fields(const struct input *input, const struct fv_place *place, const json_t *value,
                       const struct shape *shape, void *row)
{
    const char *names[FIELD_LIMIT];
    json_t *values[FIELD_LIMIT];
    const struct field *field;
    size_t i;
    int r;

    for (i = 0; i < shape->count; i++)
        names[i] = shape->fields[i].name;
    r = fv_read_fields(&input->reading, place, value, names, shape->count, values);

    for (i = 0; r == 0 && i < shape->count; i++) {
        field = &shape->fields[i];
        if (values[i])
            r = read_value(input, fv_at_key(place, field->name), values[i], field,
                           (char *)row + field->offset);
        else if (field->required)
            r = fv_refuse(&input->reading, place, "%s is missing", field->name);
    }
    return r;
}

static int read_header(const struct input *input, const json_t *root,
                       struct fv_transfer_header *ret_header)
{
    static const char *const names[] = { "flagver", "form" };
    static const struct field form = { "form", NUMBER32, true, 0 };
    json_t *values[2];
    int r;

    r = fv_read_fields(&input->reading, NULL, root, names, 2, values);
    if (r < 0)
        return r;
    if (!json_is_string(values[0]) || strcmp(json_string_value(values[0]), "export") != 0)
        return fv_refuse(&input->reading, fv_at_key(NULL, "flagver"), "must be \"export\"");
    if (!values[1])
        return fv_refuse(&input->reading, NULL, "form is missing");
    return read_number(input, fv_at_key(NULL, "form"), values[1], &form, &ret_header->form);
}

/* What a line is, by a member that only this kind has. */
static bool find_kind(const json_t *root, enum fv_transfer_kind *ret_kind)
{
    static const char *const marks[] = {
        [FV_TRANSFER_HEADER] = "flagver",
        [FV_TRANSFER_TENANT] = "tenant",
        [FV_TRANSFER_KEY] = "key",
        [FV_TRANSFER_MAPPING] = "mapping",
        [FV_TRANSFER_SERIES] = "series",
        [FV_TRANSFER_VERSION] = "version",
        [FV_TRANSFER_CONTRIBUTOR] = "contributor",
        [FV_TRANSFER_ITEM] = "item",
        [FV_TRANSFER_VOTE] = "vote",
        [FV_TRANSFER_LEAF] = "leaf",
        [FV_TRANSFER_END] = "records",
    };
    size_t i;

    for (i = 0; i < sizeof marks / sizeof *marks; i++)
        if (json_object_get(root, marks[i])) {
            *ret_kind = (enum fv_transfer_kind)i;
            return true;
        }
    return false;
}

static int read_root(const struct input *input, const json_t *root, struct fv_transfer *line)
{
    const struct shape *shape;
    json_t *inside;
    int r;

    if (!find_kind(root, &line->kind))
        return fv_refuse(&input->reading, NULL, "is no line of an export");
    if (line->kind == FV_TRANSFER_HEADER)
        return read_header(input, root, &line->as.header);

    shape = &shapes[line->kind];
    if (!shape->wrapper)
        return read_fields(input, NULL, root, shape, &line->as);
    r = fv_read_fields(&input->reading, NULL, root, &shape->wrapper, 1, &inside);
    if (r < 0)
        return r;
    return read_fields(input, fv_at_key(NULL, shape->wrapper), inside, shape, &line->as);
}

static int check_spelling(const char *text, size_t length, const struct fv_transfer_place *place,
                          const struct fv_transfer *line, flagver_error *err)
{
    struct fv_text again = FV_TEXT_INIT;
    size_t i = 0;
    int r;

    r = fv_transfer_write(&again, line, err);
    while (r == 0 && i < length && i < again.length && text[i] == again.data[i])
        i++;
    if (r == 0 && (i < length || i < again.length))
        r = fv_transfer_refuse(err, place, "byte %zu of the line is not as an export spells it",
                               i + 1);
    fv_text_clear(&again);
    return r;
}

int fv_transfer_read(const char *text, size_t length, const struct fv_transfer_place *place,
                     struct fv_arena *arena, struct fv_transfer *ret_line, flagver_error *err)
{
    flagver_error found = { .code = 0 };
    struct input input = { { text, length, NULL, &found }, arena };
    struct fv_transfer line;
    json_t *root;
    int r;

    memset(&line, 0, sizeof line);
    r = fv_json_parse(text, length, NULL, &root, &found);
    if (r == 0) {
        r = read_root(&input, root, &line);
        json_decref(root);
    }
    if (r == FLAGVER_EPARSE)
        place_error(&found, place);
    if (r == 0)
        r = check_spelling(text, length, place, &line, &found);
    if (r < 0) {
        if (err)
            *err = found;
        return r;
    }
    *ret_line = line;
    return 0;
}
