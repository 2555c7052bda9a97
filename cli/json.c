#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "datetime.h"
#include "input.h"
#include "output.h"

/* How far indented text goes before it is broken up. */
#define LINE_WIDTH 80
#define INDENT 2

json_t *cli_json_read(const char *text, size_t length, size_t flags, json_error_t *error)
{
    json_t *value = json_loadb(text, length, flags, error);

    /* The one failure that jansson has no words for, and one with words for programmers. */
    if (!value && !error->text[0])
        cli_out_of_memory();
    if (!value && json_error_code(error) == json_error_null_character)
        strcpy(error->text, "there is a NUL in a string");
    return value;
}

char *cli_json_write(const json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags) : NULL;

    if (value && !text)
        cli_out_of_memory();
    return text;
}

bool cli_is_json(const char *text, size_t length)
{
    json_error_t error;
    json_t *value = cli_json_read(text, length, CLI_JSON_RULES, &error);
    bool is_json = value != NULL;

    json_decref(value);
    return is_json;
}

bool cli_is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool is_utf8 = string != NULL;

    json_decref(string);
    return is_utf8;
}

json_t *cli_json_text(const char *text)
{
    json_t *string = text ? json_string(text) : NULL;

    return string ? string : json_null();
}

json_t *cli_json_number(uint32_t number)
{
    return number ? json_integer(number) : json_null();
}

json_t *cli_json_time(int64_t us)
{
    char text[CLI_DATETIME_SIZE];

    if (!us)
        return json_null();
    cli_datetime_print(us, text);
    return json_string(text);
}

void cli_print_hex(const uint8_t *bytes, size_t count, char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < count; i++) {
        text[i * 2] = digits[bytes[i] >> 4];
        text[i * 2 + 1] = digits[bytes[i] & 15];
    }
    text[count * 2] = 0;
}

void cli_json_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        cli_out_of_memory();
}

void cli_json_set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) < 0)
        cli_out_of_memory();
}

json_t *cli_json_lines(const char *text)
{
    json_t *lines = json_array();
    size_t length;

    for (; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        cli_json_append(lines, json_stringn(text, length));
    }
    return lines;
}

void cli_print_document_with(json_t *document, const char *name, const char *json)
{
    char *text;

    if (!document)
        cli_out_of_memory();
    text = cli_json_write(document, JSON_COMPACT);
    text[strlen(text) - 1] = 0;
    cli_print("%s,\"%s\":%s}\n", text, name, json);
    free(text);
    json_decref(document);
}

void cli_print_document(json_t *document)
{
    char *text;

    if (!document)
        cli_out_of_memory();
    text = cli_json_write(document, JSON_COMPACT);
    cli_print("%s\n", text);
    free(text);
    json_decref(document);
}

/* ---- indented ---- */

/* How long the string at the beginning of the text is, quotes included. */
static size_t string_length(const char *text)
{
    size_t i;

    for (i = 1; text[i] != '"'; i++)
        if (text[i] == '\\')
            i++;
    return i + 1;
}

/* How long the value at the beginning of the text is. */
static size_t value_length(const char *text)
{
    size_t i = 0, depth = 0;

    if (text[0] == '"')
        return string_length(text);
    if (text[0] != '{' && text[0] != '[')
        return strcspn(text, ",]}");
    do {
        depth += text[i] == '{' || text[i] == '[';
        depth -= text[i] == '}' || text[i] == ']';
        i += text[i] == '"' ? string_length(text + i) : 1;
    } while (depth);
    return i;
}

/* The value on one line, with a space behind commas and colons; returns how long it is. */
static size_t flat(const char *text, size_t length, bool print)
{
    size_t width = 0, i, piece;

    for (i = 0; i < length; i += piece) {
        piece = text[i] == '"' ? string_length(text + i) : 1;
        width += piece;
        if (print)
            cli_write(text + i, piece);
        if (text[i] == ',' || text[i] == ':') {
            width++;
            if (print)
                cli_write(" ", 1);
        }
    }
    return width;
}

/* Prints the value and what stands right behind it on its line: `behind` characters. */
static void print_value(const char *text, size_t length, size_t indent, size_t column,
                        size_t behind)
{
    bool is_object = text[0] == '{';
    size_t i = 1, piece;

    if ((text[0] != '{' && text[0] != '[') || length == 2 ||
        column + flat(text, length, false) + behind <= LINE_WIDTH) {
        flat(text, length, true);
        return;
    }

    cli_print("%c", text[0]);
    while (i < length - 1) {
        cli_print("\n%*s", (int)(indent + INDENT), "");
        column = indent + INDENT;
        if (is_object) {
            piece = string_length(text + i);
            cli_write(text + i, piece);
            cli_print(": ");
            column += piece + 2;
            i += piece + 1;
        }
        piece = value_length(text + i);
        print_value(text + i, piece, indent + INDENT, column, 1);
        i += piece;
        if (text[i] == ',') {
            cli_print(",");
            i++;
        }
    }
    cli_print("\n%*s%c", (int)indent, "", text[length - 1]);
}

void cli_print_indented(const char *json, size_t length)
{
    print_value(json, length, 0, 0, 0);
    cli_print("\n");
}
