#include "line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "json.h"

enum { FLAG, CONTEXT, TYPE, DEFAULT, MEMBER_COUNT };

static const char *const member_names[MEMBER_COUNT] = { "flag", "context", "type", "default" };

#define LONGEST_SHOWN 256

/* JSON text inside the line; a string's has its quotes. */
struct piece {
    const char *text; /* NULL: not there */
    size_t length;
};

/* What is left of the line. */
struct cutter {
    const char *at, *end;
    char *unknown; /* the name of a member that is none of ours; to be freed */
};

int cli_type_of(const char *name)
{
    int type;

    for (type = FLAGVER_TYPE_BOOL; type <= FLAGVER_TYPE_JSON; type++)
        if (strcmp(name, flagver_type_name(type)) == 0)
            return type;
    return FLAGVER_TYPE_ANY;
}

static void skip_space(struct cutter *cutter)
{
    while (cutter->at < cutter->end && (*cutter->at == ' ' || *cutter->at == '\t' ||
                                        *cutter->at == '\r' || *cutter->at == '\n'))
        cutter->at++;
}

/* Skips the space around one character and the character; false when it is another. */
static bool skip_char(struct cutter *cutter, char c)
{
    skip_space(cutter);
    if (cutter->at == cutter->end || *cutter->at != c)
        return false;
    cutter->at++;
    skip_space(cutter);
    return true;
}

static bool skip_string(struct cutter *cutter)
{
    if (cutter->at == cutter->end || *cutter->at != '"')
        return false;
    for (cutter->at++; cutter->at < cutter->end; cutter->at++) {
        if (*cutter->at == '"') {
            cutter->at++;
            return true;
        }
        if (*cutter->at == '\\' && ++cutter->at == cutter->end)
            return false;
    }
    return false;
}

/* An object or array, by quotes and brackets alone: who reads the piece sees what is in it. */
static bool skip_nested(struct cutter *cutter)
{
    size_t depth = 0;

    while (cutter->at < cutter->end) {
        switch (*cutter->at) {
        case '"':
            if (!skip_string(cutter))
                return false;
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            depth--;
            break;
        }
        cutter->at++;
        if (depth == 0)
            return true;
    }
    return false;
}

static bool cut_value(struct cutter *cutter, struct piece *piece)
{
    const char *start = cutter->at;
    bool whole = true;

    if (start < cutter->end && *start == '"')
        whole = skip_string(cutter);
    else if (start < cutter->end && (*start == '{' || *start == '['))
        whole = skip_nested(cutter);
    else
        while (cutter->at < cutter->end && !strchr(",]} \t\r\n", *cutter->at))
            cutter->at++;
    piece->text = start;
    piece->length = (size_t)(cutter->at - start);
    return whole && piece->length > 0;
}

/* The value of a string with escapes in it, or of one that may be no JSON; NULL: it is none. */
static char *decode(const struct piece *piece, size_t *ret_length)
{
    json_error_t error;
    json_t *string = cli_json_read(piece->text, piece->length, JSON_DECODE_ANY, &error);
    char *copy = NULL;

    if (json_is_string(string)) {
        *ret_length = json_string_length(string);
        copy = cli_copy(json_string_value(string), *ret_length);
    }
    json_decref(string);
    return copy;
}

/* Printable ASCII without escapes is what nearly all lines hold. */
static bool is_plain(const struct piece *piece)
{
    size_t i;

    for (i = 1; i + 1 < piece->length; i++)
        if (piece->text[i] < 0x20 || piece->text[i] > 0x7e || piece->text[i] == '\\')
            return false;
    return piece->length >= 2 && piece->text[0] == '"';
}

static char *read_string(const struct piece *piece, size_t *ret_length)
{
    if (!is_plain(piece))
        return decode(piece, ret_length);
    *ret_length = piece->length - 2;
    return cli_copy(piece->text + 1, *ret_length);
}

static int member_of(const struct piece *key)
{
    size_t length = key->length - 2;
    char *decoded = NULL;
    const char *name = key->text + 1;
    int i;

    if (!is_plain(key))
        name = decoded = decode(key, &length);
    for (i = 0; name && i < MEMBER_COUNT; i++)
        if (strlen(member_names[i]) == length && memcmp(member_names[i], name, length) == 0)
            break;
    free(decoded);
    return name ? i : MEMBER_COUNT;
}

/* Cuts the line into members. Returns what is wrong with it, or NULL. */
static const char *cut_members(struct cutter *cutter, struct piece members[MEMBER_COUNT])
{
    struct piece key, value;
    int member;

    if (!skip_char(cutter, '{'))
        return "not an object";
    if (!skip_char(cutter, '}')) {
        do {
            key.text = cutter->at;
            if (!skip_string(cutter))
                return "not JSON";
            key.length = (size_t)(cutter->at - key.text);
            if (!skip_char(cutter, ':') || !cut_value(cutter, &value))
                return "not JSON";
            member = member_of(&key);
            if (member == MEMBER_COUNT) {
                cutter->unknown = cli_copy(key.text, key.length);
                return "unknown member";
            }
            if (members[member].text)
                return "a member is there twice";
            members[member] = value;
        } while (skip_char(cutter, ','));
        if (!skip_char(cutter, '}'))
            return "not JSON";
    }
    return cutter->at == cutter->end ? NULL : "not JSON";
}

/* With the member's name as it stands in the line, unless that is longer than anybody reads. */
static const char *name_member(const char *key, char *words, size_t size)
{
    bool is_long = strlen(key) > LONGEST_SHOWN;

    snprintf(words, size, "unknown member%s%s; known are flag, context, type, default",
             is_long ? "" : " ", is_long ? "" : key);
    return words;
}

static const char *read_flag(struct cli_line *line, const struct piece *piece)
{
    if (!piece->text)
        return "\"flag\" is missing";
    line->flag = read_string(piece, &line->flag_length);
    return line->flag ? NULL : "\"flag\" must be a string without NUL";
}

static const char *read_type(struct cli_line *line, const struct piece *piece)
{
    size_t length;
    char *name;

    if (!piece->text)
        return NULL;
    name = read_string(piece, &length);
    line->type = name ? cli_type_of(name) : FLAGVER_TYPE_ANY;
    free(name);
    return line->type != FLAGVER_TYPE_ANY
               ? NULL
               : "\"type\" must be boolean, string, integer, double or json";
}

static const char *read_default(struct cli_line *line, const struct piece *piece)
{
    if (!piece->text)
        return NULL;
    line->fallback = piece->text;
    line->fallback_length = piece->length;
    return cli_is_json(piece->text, piece->length) ? NULL : "\"default\" is not JSON";
}

static int fail(flagver_error *err, const char *wrong)
{
    err->code = FLAGVER_EPARSE;
    snprintf(err->message, sizeof err->message, "%s", wrong);
    return FLAGVER_EPARSE;
}

/* What is wrong with a line that jansson would find the wrong words for, or take. */
static const char *look_over(const char *text, size_t length)
{
    struct cutter cutter = { text, text + length, NULL };

    skip_space(&cutter);
    if (cutter.at == cutter.end)
        return "the line is empty";
    /* jansson overlooks one behind a number. */
    return memchr(text, 0, length) ? "there is a NUL in the line" : NULL;
}

/* A line that is no JSON at all is refused in jansson's words: they name the place. */
static int refuse(const char *text, size_t length, const char *wrong, flagver_error *err)
{
    char words[JSON_ERROR_TEXT_LENGTH + 40];
    json_error_t error;
    json_t *value = cli_json_read(text, length, CLI_JSON_RULES, &error);

    if (value) {
        json_decref(value);
        return fail(err, wrong);
    }
    snprintf(words, sizeof words, "column %d: %s", error.column, error.text);
    return fail(err, words);
}

static int read_context(struct cli_line *line, const char *text, size_t length,
                        const struct piece *piece, flagver_error *err)
{
    char wrong[FLAGVER_MESSAGE_SIZE + 16];
    int r;

    if (!piece->text)
        return refuse(text, length, "\"context\" is missing", err);
    r = flagver_context_from_json(piece->text, piece->length, &line->context, err);
    if (r != FLAGVER_EPARSE)
        return r;
    snprintf(wrong, sizeof wrong, "\"context\": %s", err->message);
    return refuse(text, length, wrong, err);
}

int cli_line_read(struct cli_line *line, const char *text, size_t length, flagver_error *err)
{
    struct cutter cutter = { text, text + length, NULL };
    char named[FLAGVER_MESSAGE_SIZE];
    struct piece members[MEMBER_COUNT] = { { NULL, 0 } };
    const char *wrong;

    *line = (struct cli_line){ .type = FLAGVER_TYPE_ANY };
    wrong = look_over(text, length);
    if (wrong)
        return fail(err, wrong);

    wrong = cut_members(&cutter, members);
    if (cutter.unknown)
        wrong = name_member(cutter.unknown, named, sizeof named);
    free(cutter.unknown);
    if (!wrong)
        wrong = read_flag(line, &members[FLAG]);
    if (!wrong)
        wrong = read_type(line, &members[TYPE]);
    if (!wrong)
        wrong = read_default(line, &members[DEFAULT]);
    if (wrong)
        return refuse(text, length, wrong, err);
    return read_context(line, text, length, &members[CONTEXT], err);
}

void cli_line_clear(struct cli_line *line)
{
    free(line->flag);
    flagver_context_free(line->context);
}
