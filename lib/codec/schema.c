/*
 * Compiling a schema. Every schema of a text becomes one node; what a keyword
 * asks for is read into the member of the node that stands beside it in the
 * table, and checked by schema_check.c.
 */
#include "codec/schema.h"

#include <stdlib.h>
#include <string.h>

#include "codec/schema_node.h"
#include "util/fail.h"
#include "util/map.h"

struct compiling {
    const struct fv_reading *reading;
    const struct fv_place *root;
    struct fv_arena *arena;
    struct fv_map definitions;     /* the names in $defs … */
    struct fv_schema_node **nodes; /* … and their schemas, by number */
    int depth;
};

static int no_memory(const struct compiling *compiling)
{
    return fv_fail_memory(compiling->reading->err);
}

static int read_schema(struct compiling *compiling, const struct fv_place *place,
                       const json_t *value, struct fv_schema_node *node);

static struct fv_schema_node *node_new(struct compiling *compiling)
{
    static const struct fv_schema_range any = { 0, INT64_MAX };
    struct fv_schema_node *node = fv_arena_allocate_zeroed(compiling->arena, 1, sizeof *node);

    if (node)
        node->length = node->elements = node->members = any;
    return node;
}

/* ---- one reader per kind of keyword; `field` is the member of the node ---- */

static int read_types_one(struct compiling *compiling, const struct fv_place *place,
                          const json_t *value, uint32_t *types)
{
    static const struct {
        const char *name;
        uint32_t types;
    } known[] = {
        { "null", FV_SCHEMA_NULL },       { "boolean", FV_SCHEMA_BOOLEAN },
        { "object", FV_SCHEMA_OBJECT },   { "array", FV_SCHEMA_ARRAY },
        { "string", FV_SCHEMA_STRING },   { "number", FV_SCHEMA_FRACTION | FV_SCHEMA_INTEGER },
        { "integer", FV_SCHEMA_INTEGER },
    };
    size_t i;
    int r;

    r = fv_expect_string(compiling->reading, place, value);
    if (r < 0)
        return r;
    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(json_string_value(value), known[i].name) == 0) {
            *types |= known[i].types;
            return 0;
        }
    }
    return fv_refuse(compiling->reading, place,
                     "unknown type \"%.60s\"; known are null, boolean, object, array, number, "
                     "integer, string",
                     json_string_value(value));
}

static int read_types(struct compiling *compiling, const struct fv_place *place,
                      const json_t *value, void *field)
{
    size_t i;
    int r;

    if (!json_is_array(value))
        return read_types_one(compiling, place, value, field);
    r = fv_expect_array(compiling->reading, place, value, false);
    for (i = 0; r == 0 && i < json_array_size(value); i++)
        r = read_types_one(compiling, fv_at_index(place, i), json_array_get(value, i), field);
    return r;
}

static int read_any(struct compiling *compiling, const struct fv_place *place, const json_t *value,
                    void *field)
{
    (void)compiling;
    (void)place;
    *(const json_t **)field = value;
    return 0;
}

static int read_values(struct compiling *compiling, const struct fv_place *place,
                       const json_t *value, void *field)
{
    *(const json_t **)field = value;
    return fv_expect_array(compiling->reading, place, value, false);
}

static int read_number(struct compiling *compiling, const struct fv_place *place,
                       const json_t *value, void *field)
{
    if (!json_is_number(value))
        return fv_refuse(compiling->reading, place, "must be a number, not %s",
                         fv_json_kind(value));
    *(const json_t **)field = value;
    return 0;
}

static int read_positive(struct compiling *compiling, const struct fv_place *place,
                         const json_t *value, void *field)
{
    int r = read_number(compiling, place, value, field);

    if (r < 0)
        return r;
    if (json_number_value(value) <= 0)
        return fv_refuse(compiling->reading, place, "must be above 0");
    return 0;
}

static int read_count(struct compiling *compiling, const struct fv_place *place,
                      const json_t *value, void *field)
{
    if (!json_is_integer(value))
        return fv_refuse(compiling->reading, place, "must be an integer, not %s",
                         fv_json_kind(value));
    if (json_integer_value(value) < 0)
        return fv_refuse(compiling->reading, place, "must not be below 0");
    *(int64_t *)field = json_integer_value(value);
    return 0;
}

static int read_truth(struct compiling *compiling, const struct fv_place *place,
                      const json_t *value, void *field)
{
    return fv_read_bool(compiling->reading, place, value, field);
}

static int read_pattern(struct compiling *compiling, const struct fv_place *place,
                        const json_t *value, void *field)
{
    struct fv_schema_pattern *pattern = field;
    flagver_error why;
    int r;

    r = fv_expect_string(compiling->reading, place, value);
    if (r < 0)
        return r;
    pattern->text = json_string_value(value);
    r = fv_regex_compile(compiling->arena, pattern->text, json_string_length(value), false,
                         &pattern->regex, &why);
    if (r == FLAGVER_ENOMEM)
        return no_memory(compiling);
    return r < 0 ? fv_refuse(compiling->reading, place, "%s", why.message) : 0;
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static int refuse_twice(struct compiling *compiling, const struct fv_place *place,
                        const json_t *names, const char *name)
{
    bool before = false;
    size_t i;

    for (i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), name) != 0)
            continue;
        if (before)
            break;
        before = true;
    }
    return fv_refuse(compiling->reading, fv_at_index(place, i), "\"%.100s\" stands twice", name);
}

/* "required": no name twice. */
static int read_names(struct compiling *compiling, const struct fv_place *place,
                      const json_t *value, void *field)
{
    size_t count, i;
    const char **names;
    int r;

    *(const json_t **)field = value;
    r = fv_expect_array(compiling->reading, place, value, true);
    count = r == 0 ? json_array_size(value) : 0;
    for (i = 0; r == 0 && i < count; i++)
        r = fv_expect_string(compiling->reading, fv_at_index(place, i), json_array_get(value, i));
    if (r < 0 || count == 0)
        return r;

    names = malloc(count * sizeof *names);
    if (!names)
        return no_memory(compiling);
    for (i = 0; i < count; i++)
        names[i] = json_string_value(json_array_get(value, i));
    qsort(names, count, sizeof *names, compare_names);
    for (i = 1; r == 0 && i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            r = refuse_twice(compiling, place, value, names[i]);
    free(names);
    return r;
}

static int read_child(struct compiling *compiling, const struct fv_place *place,
                      const json_t *value, void *field)
{
    struct fv_schema_node *node = node_new(compiling);

    if (!node)
        return no_memory(compiling);
    *(struct fv_schema_node **)field = node;
    return read_schema(compiling, place, value, node);
}

static int read_children(struct compiling *compiling, const struct fv_place *place,
                         const json_t *value, void *field)
{
    struct fv_schema_list *list = field;
    size_t count, i;
    int r;

    r = fv_expect_array(compiling->reading, place, value, false);
    if (r < 0)
        return r;
    count = json_array_size(value);
    list->nodes = fv_arena_allocate_zeroed(compiling->arena, count, sizeof *list->nodes);
    if (!list->nodes)
        return no_memory(compiling);
    list->count = count;
    for (i = 0; r == 0 && i < count; i++)
        r = read_child(compiling, fv_at_index(place, i), json_array_get(value, i), &list->nodes[i]);
    return r;
}

static int read_properties(struct compiling *compiling, const struct fv_place *place,
                           const json_t *value, void *field)
{
    struct fv_schema_properties *properties = field;
    struct fv_schema_property *property;
    const char *name;
    json_t *member;
    int r;

    r = fv_expect_object(compiling->reading, place, value);
    if (r < 0)
        return r;
    properties->members = fv_arena_allocate_zeroed(compiling->arena, json_object_size(value),
                                                   sizeof *properties->members);
    if (!properties->members)
        return no_memory(compiling);
    json_object_foreach((json_t *)value, name, member)
    {
        property = &properties->members[properties->count++];
        property->name = name;
        r = read_child(compiling, fv_at_key(place, name), member, &property->node);
        if (r < 0)
            return r;
    }
    qsort(properties->members, properties->count, sizeof *properties->members, compare_names);
    return 0;
}

/* "~1" and "~0" in a JSON pointer are "/" and "~". False for any other "~". */
static bool unescape(const char *token, struct fv_text *out)
{
    for (; *token; token++) {
        if (*token != '~') {
            fv_text_add_char(out, *token);
            continue;
        }
        token++;
        if (*token != '0' && *token != '1')
            return false;
        fv_text_add_char(out, *token == '0' ? '~' : '/');
    }
    return true;
}

static int find_definition(struct compiling *compiling, const struct fv_place *place,
                           const char *token, uint32_t *ret_definition)
{
    struct fv_text name = FV_TEXT_INIT;
    bool sound = !strchr(token, '/') && unescape(token, &name);
    int r = 0;

    if (name.failed)
        r = no_memory(compiling);
    else if (sound)
        *ret_definition = fv_map_find(&compiling->definitions, name.data, name.length);
    if (r == 0 && (!sound || *ret_definition == FV_MAP_NONE))
        r = fv_refuse(compiling->reading, place, "\"$defs\" has no \"%.100s\"", token);
    fv_text_clear(&name);
    return r;
}

static int read_reference(struct compiling *compiling, const struct fv_place *place,
                          const json_t *value, void *field)
{
    static const char start[] = "#/$defs/";
    struct fv_schema_reference *reference = field;
    const char *text;
    int r;

    r = fv_expect_string(compiling->reading, place, value);
    if (r < 0)
        return r;
    text = json_string_value(value);
    if (strncmp(text, start, sizeof start - 1) != 0)
        return fv_refuse(compiling->reading, place,
                         "\"%.100s\" leads elsewhere; only \"#/$defs/NAME\" is allowed", text);
    r = find_definition(compiling, place, text + sizeof start - 1, &reference->definition);
    if (r == 0)
        reference->node = compiling->nodes[reference->definition];
    return r;
}

/* Their nodes are there already: fv_schema_new() makes them before anything refers to them. */
static int read_definitions(struct compiling *compiling, const struct fv_place *place,
                            const json_t *value, void *field)
{
    const char *name;
    json_t *member;
    uint32_t number;
    int r = 0;

    (void)field;
    if (compiling->depth > 1)
        return fv_refuse_key(compiling->reading, place, "\"$defs\" may only stand at the top");
    json_object_foreach((json_t *)value, name, member)
    {
        number = fv_map_find(&compiling->definitions, name, strlen(name));
        r = read_schema(compiling, fv_at_key(place, name), member, compiling->nodes[number]);
        if (r < 0)
            break;
    }
    return r;
}

static int read_note(struct compiling *compiling, const struct fv_place *place, const json_t *value,
                     void *field)
{
    (void)field;
    return fv_expect_string(compiling->reading, place, value);
}

static int read_examples(struct compiling *compiling, const struct fv_place *place,
                         const json_t *value, void *field)
{
    (void)field;
    return fv_expect_array(compiling->reading, place, value, true);
}

static int read_nothing(struct compiling *compiling, const struct fv_place *place,
                        const json_t *value, void *field)
{
    (void)compiling;
    (void)place;
    (void)value;
    (void)field;
    return 0;
}

/* ---- a schema ---- */

#define KEYWORDS(X)                                   \
    X("type", read_types, types)                      \
    X("enum", read_values, enumeration)               \
    X("const", read_any, constant)                    \
    X("properties", read_properties, properties)      \
    X("required", read_names, required)               \
    X("additionalProperties", read_child, additional) \
    X("minProperties", read_count, members.least)     \
    X("maxProperties", read_count, members.most)      \
    X("items", read_child, items)                     \
    X("minItems", read_count, elements.least)         \
    X("maxItems", read_count, elements.most)          \
    X("uniqueItems", read_truth, unique)              \
    X("minLength", read_count, length.least)          \
    X("maxLength", read_count, length.most)           \
    X("pattern", read_pattern, pattern)               \
    X("minimum", read_number, minimum)                \
    X("maximum", read_number, maximum)                \
    X("exclusiveMinimum", read_number, above)         \
    X("exclusiveMaximum", read_number, below)         \
    X("multipleOf", read_positive, multiple)          \
    X("allOf", read_children, all)                    \
    X("anyOf", read_children, any)                    \
    X("oneOf", read_children, one)                    \
    X("not", read_child, except)                      \
    X("$ref", read_reference, reference)              \
    X("$defs", read_definitions, never)               \
    X("title", read_note, never)                      \
    X("description", read_note, never)                \
    X("default", read_nothing, never)                 \
    X("examples", read_examples, never)               \
    X("format", read_note, never)                     \
    X("$schema", read_note, never)                    \
    X("$id", read_note, never)                        \
    X("$comment", read_note, never)

#define NAME(name, read, field) name,
static const char *const keyword_names[] = { KEYWORDS(NAME) };
#undef NAME

static const struct {
    int (*read)(struct compiling *compiling, const struct fv_place *place, const json_t *value,
                void *field);
    size_t offset;
} keywords[] = {
#define KEYWORD(name, read, field) { read, offsetof(struct fv_schema_node, field) },
    KEYWORDS(KEYWORD)
#undef KEYWORD
};

#define KEYWORD_COUNT (sizeof keywords / sizeof keywords[0])

static int read_keywords(struct compiling *compiling, const struct fv_place *place,
                         const json_t *value, struct fv_schema_node *node)
{
    json_t *values[KEYWORD_COUNT];
    size_t i;
    int r;

    r = fv_read_fields(compiling->reading, place, value, keyword_names, KEYWORD_COUNT, values);
    for (i = 0; r == 0 && i < KEYWORD_COUNT; i++)
        if (values[i])
            r = keywords[i].read(compiling, fv_at_key(place, keyword_names[i]), values[i],
                                 (char *)node + keywords[i].offset);
    return r;
}

static int read_schema(struct compiling *compiling, const struct fv_place *place,
                       const json_t *value, struct fv_schema_node *node)
{
    int r;

    if (json_is_boolean(value)) {
        node->never = json_is_false(value);
        return 0;
    }
    if (!json_is_object(value))
        return fv_refuse(compiling->reading, place,
                         "must be a schema: an object or boolean, not %s", fv_json_kind(value));
    if (compiling->depth == FV_SCHEMA_NESTING)
        return fv_refuse(compiling->reading, place, "schemas are nested deeper than %d",
                         FV_SCHEMA_NESTING);
    compiling->depth++;
    r = read_keywords(compiling, place, value, node);
    compiling->depth--;
    return r;
}

/* Gives every definition its node. */
static int declare(struct compiling *compiling, const json_t *definitions)
{
    const char *name;
    json_t *member;
    uint32_t number;
    int r;

    if (!definitions)
        return 0;
    r = fv_expect_object(compiling->reading, fv_at_key(compiling->root, "$defs"), definitions);
    if (r < 0)
        return r;
    compiling->nodes = fv_arena_allocate_zeroed(compiling->arena, json_object_size(definitions),
                                                sizeof(struct fv_schema_node *));
    if (!compiling->nodes)
        return no_memory(compiling);
    json_object_foreach((json_t *)definitions, name, member)
    {
        number = fv_map_add(&compiling->definitions, name, strlen(name));
        if (number == FV_MAP_NONE)
            return no_memory(compiling);
        compiling->nodes[number] = node_new(compiling);
        if (!compiling->nodes[number])
            return no_memory(compiling);
    }
    return 0;
}

/* ---- ways that lead on without looking into the value ---- */

#define CLIMBING (-1)

static int climb(struct compiling *compiling, const struct fv_place *place,
                 struct fv_schema_node *node, int depth);

/* Keeps the largest; an error stays. */
static void raise_to(int *height, int other)
{
    if (*height >= 0 && (other < 0 || other > *height))
        *height = other;
}

static int climb_list(struct compiling *compiling, const struct fv_place *place,
                      const struct fv_schema_list *list, int depth)
{
    int height = 0;
    size_t i;

    for (i = 0; height >= 0 && i < list->count; i++)
        raise_to(&height, climb(compiling, fv_at_index(place, i), list->nodes[i], depth));
    return height;
}

static int climb_reference(struct compiling *compiling, const struct fv_place *place,
                           const struct fv_schema_reference *reference, int depth)
{
    const char *name = compiling->definitions.names[reference->definition].text;
    int height;

    if (reference->node->height == CLIMBING)
        return fv_refuse(compiling->reading, place,
                         "leads back to itself before it looks into the value");
    /* The one it leads to is number `depth` of this way. */
    height = depth - 1 + (reference->node->height > 0 ? reference->node->height : 1);
    if (height > FV_SCHEMA_NESTING)
        return fv_refuse(compiling->reading, place, "leads on more than %d times",
                         FV_SCHEMA_NESTING);
    return climb(compiling, fv_at_key(fv_at_key(compiling->root, "$defs"), name), reference->node,
                 depth);
}

/*
 * How many schemas lead on from this one, itself included; asked once for each.
 * A way that comes back to where it began must lead through a definition, so
 * that starting from those finds all. Recursion: `depth` stays below twice the
 * limit, since what is written nests no deeper either.
 */
static int climb(struct compiling *compiling, const struct fv_place *place,
                 struct fv_schema_node *node, int depth)
{
    int height = 0;

    if (node->height > 0)
        return node->height;
    node->height = CLIMBING;
    if (node->reference.node)
        raise_to(&height,
                 climb_reference(compiling, fv_at_key(place, "$ref"), &node->reference, depth + 1));
    if (height >= 0)
        raise_to(&height, climb_list(compiling, fv_at_key(place, "allOf"), &node->all, depth + 1));
    if (height >= 0)
        raise_to(&height, climb_list(compiling, fv_at_key(place, "anyOf"), &node->any, depth + 1));
    if (height >= 0)
        raise_to(&height, climb_list(compiling, fv_at_key(place, "oneOf"), &node->one, depth + 1));
    if (height >= 0 && node->except)
        raise_to(&height, climb(compiling, fv_at_key(place, "not"), node->except, depth + 1));
    if (height < 0)
        return height;
    node->height = height + 1;
    return node->height;
}

static int climb_definitions(struct compiling *compiling)
{
    const struct fv_place *place = fv_at_key(compiling->root, "$defs");
    size_t i;
    int height = 0;

    for (i = 0; height >= 0 && i < compiling->definitions.count; i++)
        height = climb(compiling, fv_at_key(place, compiling->definitions.names[i].text),
                       compiling->nodes[i], 1);
    return height < 0 ? height : 0;
}

/* ---- all of it ---- */

int fv_schema_new(const struct fv_reading *reading, const struct fv_place *place,
                  const json_t *value, struct fv_schema **ret_schema)
{
    struct compiling compiling = { .reading = reading, .root = place };
    struct fv_schema *schema = calloc(1, sizeof *schema);
    int r;

    if (!schema)
        return fv_fail_memory(reading->err);
    schema->tree = json_incref((json_t *)value);
    fv_arena_init(&schema->arena, NULL, 1024);
    compiling.arena = &schema->arena;
    fv_map_init(&compiling.definitions, NULL);

    r = declare(&compiling, json_object_get(value, "$defs"));
    if (r == 0)
        r = read_child(&compiling, place, value, &schema->root);
    if (r == 0)
        r = climb_definitions(&compiling);
    fv_map_clear(&compiling.definitions);
    if (r < 0) {
        fv_schema_free(schema);
        return r;
    }
    *ret_schema = schema;
    return 0;
}

void fv_schema_free(struct fv_schema *schema)
{
    if (!schema)
        return;
    fv_arena_clear(&schema->arena);
    json_decref(schema->tree);
    free(schema);
}
