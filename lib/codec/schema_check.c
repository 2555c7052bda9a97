/*
 * Holding a payload against a schema.
 *
 * A check gives 0 when the value fits, MISFIT when not, and an error code when
 * there is no answer: memory is short, or a limit is reached. Words are only
 * made for a misfit that decides: inside anyOf, oneOf and not nobody reads them.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/schema_node.h"
#include "util/fail.h"
#include "util/utf8.h"

#define MISFIT 1

struct checking {
    uint32_t budget;
    int depth;
    int quiet;
    flagver_error *err;
};

static int check(struct checking *checking, const struct fv_place *place,
                 const struct fv_schema_node *node, const json_t *value);

/* ---- what does not fit ---- */

#define POINTER_ROOM 300
#define WORDS_ROOM 400

static void word(flagver_error *err, const char *pointer, size_t length, const char *why)
{
    char place[POINTER_ROOM + 1], *c;

    fv_json_shorten(place, POINTER_ROOM, POINTER_ROOM / 2, pointer, length);
    fv_fail(err, FLAGVER_EVALIDATION, "%s: %s", length ? place : "(root)", why);
    for (c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static int misfit(struct checking *checking, const struct fv_place *place, const char *format, ...)
    FV_TEXT_FORMAT(3, 4);

static int misfit(struct checking *checking, const struct fv_place *place, const char *format, ...)
{
    struct fv_text pointer = FV_TEXT_INIT;
    char why[FLAGVER_MESSAGE_SIZE - POINTER_ROOM - 8];
    va_list arguments;
    int r = MISFIT;

    if (checking->quiet || !checking->err)
        return MISFIT;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    fv_place_write(place, &pointer);
    if (pointer.failed)
        r = fv_fail_memory(checking->err);
    else
        word(checking->err, pointer.data, pointer.length, why);
    fv_text_clear(&pointer);
    return r;
}

/* A misfit whose words end in values of the schema, as JSON. */
static int misfit_json(struct checking *checking, const struct fv_place *place, const char *words,
                       const json_t *const *values, size_t count)
{
    struct fv_text text = FV_TEXT_INIT;
    char list[WORDS_ROOM + 1];
    size_t i;
    int r = 0;

    if (checking->quiet || !checking->err)
        return MISFIT;
    for (i = 0; r == 0 && i < count && text.length <= WORDS_ROOM; i++) {
        if (i)
            fv_text_add(&text, ", ");
        r = fv_canonical_write(&text, values[i], checking->err);
    }
    if (r == 0) {
        fv_json_shorten(list, WORDS_ROOM, WORDS_ROOM, text.data, text.length);
        r = misfit(checking, place, "%s %s", words, list);
    }
    fv_text_clear(&text);
    return r;
}

static int spend(struct checking *checking, size_t cost)
{
    if (cost < checking->budget) {
        checking->budget -= (uint32_t)cost;
        return 0;
    }
    checking->budget = 0;
    return fv_fail(checking->err, FLAGVER_EVALIDATION,
                   "the schema asks for more than %d checks of this payload", FV_SCHEMA_CHECKS);
}

/* ---- any value ---- */

static uint32_t type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return FV_SCHEMA_OBJECT;
    case JSON_ARRAY:
        return FV_SCHEMA_ARRAY;
    case JSON_STRING:
        return FV_SCHEMA_STRING;
    case JSON_INTEGER:
        return FV_SCHEMA_INTEGER;
    case JSON_REAL:
        return fv_schema_is_whole(value) ? FV_SCHEMA_INTEGER : FV_SCHEMA_FRACTION;
    case JSON_NULL:
        return FV_SCHEMA_NULL;
    default:
        return FV_SCHEMA_BOOLEAN;
    }
}

static int misfit_type(struct checking *checking, const struct fv_place *place, uint32_t types,
                       const json_t *value)
{
    static const struct {
        uint32_t types;
        const char *name;
    } names[] = {
        { FV_SCHEMA_NULL, "null" },          { FV_SCHEMA_BOOLEAN, "a boolean" },
        { FV_SCHEMA_OBJECT, "an object" },   { FV_SCHEMA_ARRAY, "an array" },
        { FV_SCHEMA_STRING, "a string" },    { FV_SCHEMA_FRACTION | FV_SCHEMA_INTEGER, "a number" },
        { FV_SCHEMA_INTEGER, "an integer" },
    };
    char list[128] = "";
    size_t i, length = 0;

    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((types & names[i].types) != names[i].types)
            continue;
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s",
                                   length ? " or " : "", names[i].name);
        types &= ~names[i].types;
    }
    return misfit(checking, place, "must be %s, not %s", list, fv_json_kind(value));
}

static int same(struct checking *checking, const json_t *a, const json_t *b, bool *ret_same)
{
    *ret_same = fv_schema_same(a, b, &checking->budget);
    return checking->budget ? 0 : spend(checking, 1);
}

static int check_constant(struct checking *checking, const struct fv_place *place,
                          const json_t *constant, const json_t *value)
{
    bool equal;
    int r;

    r = same(checking, constant, value, &equal);
    if (r < 0 || equal)
        return r;
    return misfit_json(checking, place, "must be", &constant, 1);
}

static int misfit_enumeration(struct checking *checking, const struct fv_place *place,
                              const json_t *enumeration)
{
    const json_t *some[WORDS_ROOM / 3]; /* each takes a digit and ", " at least */
    size_t i, count = json_array_size(enumeration);

    if (count > sizeof some / sizeof some[0])
        count = sizeof some / sizeof some[0];
    for (i = 0; i < count; i++)
        some[i] = json_array_get(enumeration, i);
    return misfit_json(checking, place, count > 1 ? "must be one of" : "must be", some, count);
}

static int check_enumeration(struct checking *checking, const struct fv_place *place,
                             const json_t *enumeration, const json_t *value)
{
    bool equal;
    size_t i;
    int r;

    for (i = 0; i < json_array_size(enumeration); i++) {
        r = same(checking, json_array_get(enumeration, i), value, &equal);
        if (r < 0 || equal)
            return r;
    }
    return misfit_enumeration(checking, place, enumeration);
}

/* ---- how many ---- */

static int check_range(struct checking *checking, const struct fv_place *place,
                       const struct fv_schema_range *range, size_t count, const char *words,
                       const char *noun, const char *nouns)
{
    const char *counted = count == 1 ? noun : nouns;

    if ((uint64_t)count >= (uint64_t)range->least && (uint64_t)count <= (uint64_t)range->most)
        return 0;
    if (range->most == INT64_MAX)
        return misfit(checking, place, "%s %zu %s; %" PRId64 " or more allowed", words, count,
                      counted, range->least);
    if (range->least == 0)
        return misfit(checking, place, "%s %zu %s; up to %" PRId64 " allowed", words, count,
                      counted, range->most);
    return misfit(checking, place, "%s %zu %s; %" PRId64 " to %" PRId64 " allowed", words, count,
                  counted, range->least, range->most);
}

/* ---- strings ---- */

static size_t count_characters(const char *text, size_t length)
{
    const char *end = text + length;
    size_t count = 0;

    while (text < end) {
        fv_utf8_next(&text, end);
        count++;
    }
    return count;
}

static int check_pattern(struct checking *checking, const struct fv_place *place,
                         const struct fv_schema_pattern *pattern, const json_t *value)
{
    size_t length = json_string_length(value);
    int r;

    r = spend(checking, length / 256 * fv_regex_steps(pattern->regex) +
                            fv_regex_steps(pattern->regex) / 256 + 1);
    if (r < 0 || fv_regex_search(pattern->regex, json_string_value(value), length))
        return r;
    return misfit(checking, place, "does not match \"%.200s\"", pattern->text);
}

static int check_string(struct checking *checking, const struct fv_place *place,
                        const struct fv_schema_node *node, const json_t *value)
{
    size_t length = json_string_length(value);
    int r;

    if (node->length.least > 0 || node->length.most < INT64_MAX) {
        r = spend(checking, length / 256 + 1);
        if (r == 0)
            r = check_range(checking, place, &node->length,
                            count_characters(json_string_value(value), length), "is", "character",
                            "characters");
        if (r)
            return r;
    }
    return node->pattern.regex ? check_pattern(checking, place, &node->pattern, value) : 0;
}

/* ---- numbers ---- */

static int check_multiple(struct checking *checking, const struct fv_place *place,
                          const json_t *unit, const json_t *value)
{
    bool multiple;

    if (fv_schema_is_multiple(value, unit, &multiple) < 0)
        return fv_fail_memory(checking->err);
    return multiple ? 0 : misfit_json(checking, place, "must be a multiple of", &unit, 1);
}

static int check_number(struct checking *checking, const struct fv_place *place,
                        const struct fv_schema_node *node, const json_t *value)
{
    if (node->minimum && fv_schema_order(value, node->minimum) < 0)
        return misfit_json(checking, place, "must not be below", &node->minimum, 1);
    if (node->maximum && fv_schema_order(value, node->maximum) > 0)
        return misfit_json(checking, place, "must not be above", &node->maximum, 1);
    if (node->above && fv_schema_order(value, node->above) <= 0)
        return misfit_json(checking, place, "must be above", &node->above, 1);
    if (node->below && fv_schema_order(value, node->below) >= 0)
        return misfit_json(checking, place, "must be below", &node->below, 1);
    return node->multiple ? check_multiple(checking, place, node->multiple, value) : 0;
}

/* ---- arrays ---- */

struct element {
    uint64_t hash;
    size_t index;
};

static int compare_elements(const void *one, const void *other)
{
    const struct element *a = one, *b = other;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* Compares those of one hash, which stand next to each other. */
static int find_twins(struct checking *checking, const struct fv_place *place, const json_t *array,
                      const struct element *elements, size_t count)
{
    bool equal;
    size_t i, j;
    int r;

    for (i = 1; i < count; i++) {
        for (j = i; j > 0 && elements[j - 1].hash == elements[i].hash; j--) {
            r = same(checking, json_array_get(array, elements[i].index),
                     json_array_get(array, elements[j - 1].index), &equal);
            if (r < 0)
                return r;
            if (equal)
                return misfit(checking, fv_at_index(place, elements[i].index),
                              "is the same as element %zu", elements[j - 1].index);
        }
    }
    return 0;
}

static int check_unique(struct checking *checking, const struct fv_place *place,
                        const json_t *array)
{
    size_t count = json_array_size(array), i;
    struct element *elements;
    int r = 0;

    if (count < 2)
        return 0;
    elements = malloc(count * sizeof *elements);
    if (!elements)
        return fv_fail_memory(checking->err);
    for (i = 0; r == 0 && i < count; i++) {
        elements[i].index = i;
        elements[i].hash = fv_schema_hash(json_array_get(array, i), &checking->budget);
        r = checking->budget ? 0 : spend(checking, 1);
    }
    if (r == 0) {
        qsort(elements, count, sizeof *elements, compare_elements);
        r = find_twins(checking, place, array, elements, count);
    }
    free(elements);
    return r;
}

static int check_array(struct checking *checking, const struct fv_place *place,
                       const struct fv_schema_node *node, const json_t *value)
{
    size_t count = json_array_size(value), i;
    int r;

    r = check_range(checking, place, &node->elements, count, "has", "element", "elements");
    for (i = 0; r == 0 && node->items && i < count; i++)
        r = check(checking, fv_at_index(place, i), node->items, json_array_get(value, i));
    if (r == 0 && node->unique)
        r = check_unique(checking, place, value);
    return r;
}

/* ---- objects ---- */

static int compare_name(const void *name, const void *property)
{
    return strcmp(name, ((const struct fv_schema_property *)property)->name);
}

/* What is asked of a member; NULL: nothing. */
static const struct fv_schema_node *asked_of(const struct fv_schema_node *node, const char *name)
{
    const struct fv_schema_property *property = NULL;

    if (node->properties.count)
        property = bsearch(name, node->properties.members, node->properties.count, sizeof *property,
                           compare_name);
    return property ? property->node : node->additional;
}

static int check_required(struct checking *checking, const struct fv_place *place,
                          const json_t *required, const json_t *value)
{
    size_t count = json_array_size(required), i;
    const char *name;
    int r;

    r = spend(checking, count);
    for (i = 0; r == 0 && i < count; i++) {
        name = json_string_value(json_array_get(required, i));
        if (!json_object_get(value, name))
            r = misfit(checking, place, "\"%.100s\" is missing", name);
    }
    return r;
}

static int check_object(struct checking *checking, const struct fv_place *place,
                        const struct fv_schema_node *node, const json_t *value)
{
    const struct fv_schema_node *asked;
    const char *name;
    json_t *member;
    int r = 0;

    if (node->required)
        r = check_required(checking, place, node->required, value);
    if (r == 0)
        r = check_range(checking, place, &node->members, json_object_size(value), "has", "member",
                        "members");
    if (r || !(node->properties.count || node->additional))
        return r;
    json_object_foreach((json_t *)value, name, member)
    {
        asked = asked_of(node, name);
        if (asked)
            r = check(checking, fv_at_key(place, name), asked, member);
        if (r)
            return r;
    }
    return 0;
}

/* ---- schemas about schemas ---- */

/* How many fit; stops when `enough` do. An error code when there is no answer. */
static int count_fits(struct checking *checking, const struct fv_place *place,
                      const struct fv_schema_list *list, int enough, const json_t *value)
{
    int fits = 0, r = 0;
    size_t i;

    checking->quiet++;
    for (i = 0; r >= 0 && fits < enough && i < list->count; i++) {
        r = check(checking, place, list->nodes[i], value);
        fits += r == 0;
    }
    checking->quiet--;
    return r < 0 ? r : fits;
}

static int check_any(struct checking *checking, const struct fv_place *place,
                     const struct fv_schema_list *list, const json_t *value)
{
    int fits;

    if (list->count == 1)
        return check(checking, place, list->nodes[0], value);
    fits = count_fits(checking, place, list, 1, value);
    if (fits)
        return fits < 0 ? fits : 0;
    return misfit(checking, place, "fits none of the %zu schemas of \"anyOf\"", list->count);
}

static int check_one(struct checking *checking, const struct fv_place *place,
                     const struct fv_schema_list *list, const json_t *value)
{
    int fits;

    if (list->count == 1)
        return check(checking, place, list->nodes[0], value);
    fits = count_fits(checking, place, list, 2, value);
    if (fits == 0)
        return misfit(checking, place, "fits none of the %zu schemas of \"oneOf\"", list->count);
    if (fits == 2)
        return misfit(checking, place, "fits more than one schema of \"oneOf\"");
    return fits < 0 ? fits : 0;
}

static int check_except(struct checking *checking, const struct fv_place *place,
                        const struct fv_schema_node *node, const json_t *value)
{
    int r;

    checking->quiet++;
    r = check(checking, place, node, value);
    checking->quiet--;
    if (r == MISFIT)
        return 0;
    return r < 0 ? r : misfit(checking, place, "is what \"not\" rules out");
}

static int check_schemas(struct checking *checking, const struct fv_place *place,
                         const struct fv_schema_node *node, const json_t *value)
{
    size_t i;
    int r = 0;

    if (node->reference.node)
        r = check(checking, place, node->reference.node, value);
    for (i = 0; r == 0 && i < node->all.count; i++)
        r = check(checking, place, node->all.nodes[i], value);
    if (r == 0 && node->any.count)
        r = check_any(checking, place, &node->any, value);
    if (r == 0 && node->one.count)
        r = check_one(checking, place, &node->one, value);
    if (r == 0 && node->except)
        r = check_except(checking, place, node->except, value);
    return r;
}

/* ---- a schema ---- */

static int check_value(struct checking *checking, const struct fv_place *place,
                       const struct fv_schema_node *node, const json_t *value)
{
    uint32_t type = type_of(value);
    int r = 0;

    if (node->never)
        return misfit(checking, place, "is not allowed here");
    if (node->types && !(node->types & type))
        return misfit_type(checking, place, node->types, value);
    if (node->constant)
        r = check_constant(checking, place, node->constant, value);
    if (r == 0 && node->enumeration)
        r = check_enumeration(checking, place, node->enumeration, value);
    if (r)
        return r;

    if (type == FV_SCHEMA_STRING)
        r = check_string(checking, place, node, value);
    else if (type == FV_SCHEMA_ARRAY)
        r = check_array(checking, place, node, value);
    else if (type == FV_SCHEMA_OBJECT)
        r = check_object(checking, place, node, value);
    else if (type & (FV_SCHEMA_FRACTION | FV_SCHEMA_INTEGER))
        r = check_number(checking, place, node, value);
    return r ? r : check_schemas(checking, place, node, value);
}

static int check(struct checking *checking, const struct fv_place *place,
                 const struct fv_schema_node *node, const json_t *value)
{
    int r;

    r = spend(checking, 1);
    if (r < 0)
        return r;
    if (checking->depth == FV_SCHEMA_DEPTH)
        return fv_fail(checking->err, FLAGVER_EVALIDATION,
                       "the schema leads more than %d deep in this payload", FV_SCHEMA_DEPTH);
    checking->depth++;
    r = check_value(checking, place, node, value);
    checking->depth--;
    return r;
}

int fv_schema_check(const struct fv_schema *schema, const json_t *payload, flagver_error *err)
{
    struct checking checking = { .budget = FV_SCHEMA_CHECKS + 1, .err = err };
    int r = check(&checking, NULL, schema->root, payload);

    return r == MISFIT ? FLAGVER_EVALIDATION : r;
}
