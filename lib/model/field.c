#include "model/field.h"

#include <string.h>

/* ---- what a rule asks ---- */

bool fv_field_read_comparison(const char *text, struct fv_field_rule *rule)
{
    rule->ignore = strcmp(text, "ignore") == 0;
    rule->exact = strcmp(text, "exact") == 0;
    return rule->ignore || rule->exact || fv_tolerance_parse(text, &rule->tolerance);
}

static uint32_t type_named(const char *name, size_t length)
{
    static const struct {
        const char *name;
        uint32_t types;
    } types[] = {
        { "null", FV_TYPE_NULL },       { "boolean", FV_TYPE_BOOLEAN },
        { "integer", FV_TYPE_INTEGER }, { "number", FV_TYPE_INTEGER | FV_TYPE_REAL },
        { "string", FV_TYPE_STRING },   { "array", FV_TYPE_ARRAY },
        { "object", FV_TYPE_OBJECT },   { "datetime", FV_TYPE_DATETIME },
        { "uuid", FV_TYPE_UUID },       { "any", FV_TYPE_EMPTY * 2 - 1 },
    };
    size_t i;

    for (i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].name) == length && memcmp(types[i].name, name, length) == 0)
            return types[i].types;
    return 0;
}

bool fv_field_read_types(const char *text, struct fv_field_rule *rule)
{
    uint32_t types;
    size_t length;

    for (rule->types = 0;; text += length + 1) {
        length = strcspn(text, "|");
        types = type_named(text, length);
        if (!types)
            return false;
        rule->types |= types;
        if (!text[length])
            return true;
    }
}

/* ---- which field it is about ---- */

static size_t part_length(const char *part)
{
    return strcspn(part, "/");
}

bool fv_field_fits(const char *pattern, const char *pointer, bool below)
{
    size_t asked, given;

    while (*pattern && *pointer) {
        pattern++;
        pointer++;
        asked = part_length(pattern);
        given = part_length(pointer);
        if (!(asked == 1 && *pattern == '*') &&
            (asked != given || memcmp(pattern, pointer, given) != 0))
            return false;
        pattern += asked;
        pointer += given;
    }
    return !*pattern && (below || !*pointer);
}

const struct fv_field_rule *fv_field_find(const struct fv_field_rule *rules, size_t count,
                                          const char *pointer, bool below)
{
    while (count-- > 0)
        if (fv_field_fits(rules[count].field, pointer, below))
            return &rules[count];
    return NULL;
}

/* ---- what strings are ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(const char *text, size_t length, const char *word)
{
    size_t i;

    if (strlen(word) != length)
        return false;
    for (i = 0; i < length; i++)
        if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]) != word[i])
            return false;
    return true;
}

bool fv_field_says_nothing(const char *text, size_t length)
{
    static const char *const words[] = { "", "null", "none", "nan", "n/a", "undefined" };
    size_t i;

    while (length && is_space(text[0])) {
        text++;
        length--;
    }
    while (length && is_space(text[length - 1]))
        length--;
    for (i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(text, length, words[i]))
            return true;
    return false;
}

bool fv_field_is_uuid(const char *text, size_t length)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    size_t i;

    if (length != 36)
        return false;
    for (i = 0; i < length; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-'
                                                    : !text[i] || !strchr(digits, text[i]))
            return false;
    return true;
}
