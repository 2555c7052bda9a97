#include "json.h"

#include <string.h>

#include "input.h"

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
