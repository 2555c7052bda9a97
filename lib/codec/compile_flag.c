/*
 * One flag: from its JSON object to its compiled form.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/compile.h"
#include "flagver/flag.h"
#include "util/fail.h"

enum flag_field {
    TYPE,
    ENABLED,
    VARIANTS,
    DEFAULT,
    OFF,
    REQUIRES,
    TARGETS,
    BETA,
    RULES,
    PERCENTAGE,
    SPLIT,
    SCHEDULE,
    BY,
    SALT,
    BUCKETING,
    ENV,
    DESCRIPTION,
    METADATA,
    FLAG_FIELDS
};

static const char *const flag_names[FLAG_FIELDS] = {
    [TYPE] = "type",
    [ENABLED] = "enabled",
    [VARIANTS] = "variants",
    [DEFAULT] = "default",
    [OFF] = "off",
    [REQUIRES] = "requires",
    [TARGETS] = "targets",
    [BETA] = "beta",
    [RULES] = "rules",
    [PERCENTAGE] = "percentage",
    [SPLIT] = "split",
    [SCHEDULE] = "schedule",
    [BY] = "by",
    [SALT] = "salt",
    [BUCKETING] = "bucketing",
    [ENV] = "env",
    [DESCRIPTION] = "description",
    [METADATA] = "metadata",
};

/* A flag while it is being compiled. */
struct parts {
    struct fv_compiling *compiling;
    const struct fv_place *place;
    json_t *fields[FLAG_FIELDS];
    struct fv_flag *flag;
    struct fv_flag_body *body;
    struct fv_plan plan;
    struct fv_flag_environment env;
};

/* ---- types and variants ---- */

static int read_type(struct parts *parts)
{
    const struct fv_reading *reading = parts->compiling->reading;
    const struct fv_place *place = fv_at_key(parts->place, "type");
    const json_t *value = parts->fields[TYPE];
    int type, r;

    if (!value)
        return fv_refuse(reading, parts->place, "\"type\" is missing");
    r = fv_expect_string(reading, place, value);
    if (r < 0)
        return r;
    for (type = FLAGVER_TYPE_BOOL; type <= FLAGVER_TYPE_JSON; type++) {
        if (strcmp(json_string_value(value), flagver_type_name(type)) == 0) {
            parts->flag->type = (uint8_t)type;
            return 0;
        }
    }
    return fv_refuse(reading, place,
                     "unknown type \"%.60s\"; known are boolean, string, integer, double, json",
                     json_string_value(value));
}

static bool set_string(struct parts *parts, const char *text, size_t length, struct fv_value *value)
{
    value->kind = FV_STRING;
    value->count = (uint32_t)length;
    value->as.string = fv_arena_string(parts->compiling->arena, text, length);
    return value->as.string != NULL;
}

static int set_json(struct parts *parts, const json_t *json, struct fv_value *value)
{
    struct fv_text text = FV_TEXT_INIT;
    int r;

    r = fv_canonical_write(&text, json, parts->compiling->reading->err);
    if (r >= 0 && (text.failed || !set_string(parts, text.data, text.length, value)))
        r = fv_no_memory(parts->compiling);
    fv_text_clear(&text);
    return r;
}

static int read_value(struct parts *parts, const struct fv_place *place, const json_t *json,
                      struct fv_value *value)
{
    switch (parts->flag->type) {
    case FLAGVER_TYPE_BOOL:
        value->kind = FV_BOOL;
        return fv_read_bool(parts->compiling->reading, place, json, &value->as.boolean);
    case FLAGVER_TYPE_STRING:
        if (!json_is_string(json))
            break;
        return set_string(parts, json_string_value(json), json_string_length(json), value)
                   ? 0
                   : fv_no_memory(parts->compiling);
    case FLAGVER_TYPE_INT:
        if (!json_is_integer(json))
            break;
        value->kind = FV_INTEGER;
        value->as.integer = json_integer_value(json);
        return 0;
    case FLAGVER_TYPE_DOUBLE:
        if (!json_is_number(json))
            break;
        value->kind = FV_REAL;
        value->as.real = json_number_value(json);
        return 0;
    default:
        return set_json(parts, json, value);
    }
    return fv_refuse(parts->compiling->reading, place, "the flag is of type %s, this is %s",
                     flagver_type_name(parts->flag->type), fv_json_kind(json));
}

static int compare_variants(const void *a, const void *b)
{
    return strcmp(((const struct fv_variant *)a)->name, ((const struct fv_variant *)b)->name);
}

const struct fv_variant fv_usual_variants[2] = {
    { "off", 3, { .kind = FV_BOOL, .as.boolean = false } },
    { "on", 2, { .kind = FV_BOOL, .as.boolean = true } },
};

static int use_usual_variants(struct parts *parts)
{
    if (parts->flag->type != FLAGVER_TYPE_BOOL)
        return fv_refuse(parts->compiling->reading, parts->place, "\"variants\" is missing");
    parts->body->variants = fv_usual_variants;
    parts->body->variant_count = 2;
    parts->body->off = 0;
    parts->body->on = 1;
    return 0;
}

static int check_booleans(struct parts *parts, const struct fv_place *place)
{
    struct fv_flag_body *body = parts->body;
    uint32_t first_is_true;

    if (body->variant_count != 2 ||
        body->variants[0].value.as.boolean == body->variants[1].value.as.boolean)
        return fv_refuse(parts->compiling->reading, place,
                         "a boolean flag has exactly one true and one false variant");
    first_is_true = body->variants[0].value.as.boolean;
    body->on = !first_is_true;
    body->off = first_is_true;
    return 0;
}

static int read_variants(struct parts *parts)
{
    const struct fv_reading *reading = parts->compiling->reading;
    const struct fv_place *place = fv_at_key(parts->place, "variants"), *at;
    struct fv_variant *variants;
    size_t count, i = 0;
    const char *name;
    json_t *value;
    int r;

    if (!parts->fields[VARIANTS])
        return use_usual_variants(parts);
    r = fv_expect_object(reading, place, parts->fields[VARIANTS]);
    if (r < 0)
        return r;
    count = json_object_size(parts->fields[VARIANTS]);
    if (count < 1 || count > FV_VARIANT_LIMIT)
        return fv_refuse(reading, place, "%zu variants; 1 to %u allowed", count, FV_VARIANT_LIMIT);

    variants = fv_arena_allocate_zeroed(parts->compiling->arena, count, sizeof *variants);
    if (!variants)
        return fv_no_memory(parts->compiling);
    json_object_foreach(parts->fields[VARIANTS], name, value)
    {
        at = fv_at_key(place, name);
        r = fv_expect_name(reading, at, name, strlen(name), FV_VARIANT_NAME_LIMIT, "variant name");
        if (r >= 0)
            r = read_value(parts, at, value, &variants[i].value);
        if (r < 0)
            return r;
        variants[i].length = (uint32_t)strlen(name);
        variants[i].name = fv_arena_string(parts->compiling->arena, name, strlen(name));
        if (!variants[i++].name)
            return fv_no_memory(parts->compiling);
    }

    qsort(variants, count, sizeof *variants, compare_variants);
    parts->body->variants = variants;
    parts->body->variant_count = (uint32_t)count;
    return parts->flag->type == FLAGVER_TYPE_BOOL ? check_booleans(parts, place) : 0;
}

/* ---- default and off ---- */

static bool has_items(const json_t *array)
{
    return array && json_array_size(array) > 0;
}

/* Is there anything that says who gets the true variant of a boolean? Then others do not. */
static bool is_selective(const struct parts *parts)
{
    bool beta = parts->env.has_beta ? parts->env.beta_count > 0 : has_items(parts->fields[BETA]);

    return beta || parts->plan.targets.count || has_items(parts->fields[RULES]) ||
           parts->env.has_percentage || parts->fields[PERCENTAGE] || parts->fields[SCHEDULE];
}

static int read_default_and_off(struct parts *parts)
{
    struct fv_compiling *compiling = parts->compiling;
    struct fv_flag_body *body = parts->body;
    bool boolean = parts->flag->type == FLAGVER_TYPE_BOOL;
    int r = 0;

    if (parts->fields[DEFAULT])
        r = fv_read_variant(compiling, fv_at_key(parts->place, "default"), parts->fields[DEFAULT],
                            &body->fallback);
    else if (boolean)
        body->fallback = is_selective(parts) ? body->off : body->on;
    else
        r = fv_refuse(compiling->reading, parts->place, "\"default\" is missing");
    if (r < 0)
        return r;

    if (parts->fields[OFF])
        return fv_read_variant(compiling, fv_at_key(parts->place, "off"), parts->fields[OFF],
                               &body->off);
    if (!boolean)
        body->off = body->fallback;
    return 0;
}

/* ---- targets ---- */

struct key_list {
    struct fv_key *keys;
    size_t count, capacity;
};

static int add_keys(struct parts *parts, struct key_list *list, const struct fv_place *place,
                    const json_t *array, uint32_t variant)
{
    const flagver_allocator *memory = parts->compiling->source->memory;
    const json_t *item;
    size_t i;
    int r;

    r = fv_expect_array(parts->compiling->reading, place, array, true);
    for (i = 0; r >= 0 && i < json_array_size(array); i++) {
        item = json_array_get(array, i);
        r = fv_expect_string(parts->compiling->reading, fv_at_index(place, i), item);
        if (r < 0)
            break;
        if (!fv_grow(memory, (void **)&list->keys, &list->capacity, list->count,
                     sizeof *list->keys))
            return fv_no_memory(parts->compiling);
        list->keys[list->count++] = (struct fv_key){ json_string_value(item),
                                                     (uint32_t)json_string_length(item), variant };
    }
    return r;
}

static int add_targets(struct parts *parts, struct key_list *list)
{
    const struct fv_place *place = fv_at_key(parts->place, "targets");
    const struct fv_reading *reading = parts->compiling->reading;
    const char *name;
    json_t *array;
    uint32_t variant;
    int r;

    if (!parts->fields[TARGETS])
        return 0;
    r = fv_expect_object(reading, place, parts->fields[TARGETS]);
    if (r < 0)
        return r;
    json_object_foreach(parts->fields[TARGETS], name, array)
    {
        variant = fv_flag_variant(parts->flag, name);
        if (variant == FV_NO_VARIANT)
            return fv_refuse_key(reading, fv_at_key(place, name),
                                 "the flag has no variant \"%.128s\"", name);
        r = add_keys(parts, list, fv_at_key(place, name), array, variant);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_beta(struct parts *parts, struct key_list *list)
{
    const struct fv_place *place = fv_at_key(parts->place, "beta");

    if (!parts->fields[BETA])
        return 0;
    if (parts->flag->type != FLAGVER_TYPE_BOOL)
        return fv_refuse_key(parts->compiling->reading, place,
                             "only boolean flags take a beta list; use \"targets\"");
    return add_keys(parts, list, place, parts->fields[BETA], parts->body->on);
}

/* The place of key `index` of the list: the lists were added in this order. */
static int refuse_twice(struct parts *parts, const struct key_list *list, size_t index)
{
    const struct fv_place *place = fv_at_key(parts->place, "targets");
    const struct fv_reading *reading = parts->compiling->reading;
    size_t at = index;
    const char *name;
    json_t *array;

    json_object_foreach(parts->fields[TARGETS], name, array)
    {
        if (at < json_array_size(array))
            return fv_refuse(reading, fv_at_index(fv_at_key(place, name), at),
                             "\"%.128s\" is targeted to two variants", list->keys[index].text);
        at -= json_array_size(array);
    }
    return fv_refuse(reading, fv_at_index(fv_at_key(parts->place, "beta"), at),
                     "\"%.128s\" is targeted to two variants", list->keys[index].text);
}

/* The environment's list wins: its keys go first and are taken out of other variants' targets. */
static int apply_beta(struct parts *parts, struct key_list *list, size_t targets)
{
    struct fv_keyset beta;
    size_t i, kept = 0, conflict;

    if (fv_keyset_build(&parts->compiling->scratch, parts->env.beta, parts->env.beta_count, false,
                        &beta, &conflict) < 0)
        return fv_no_memory(parts->compiling);
    for (i = 0; i < targets; i++)
        if (fv_keyset_find(&beta, list->keys[i].text, list->keys[i].length,
                           fv_hash(list->keys[i].text, list->keys[i].length)) < 0)
            list->keys[kept++] = list->keys[i];
    list->count = kept;

    for (i = 0; i < parts->env.beta_count; i++) {
        if (!fv_grow(parts->compiling->source->memory, (void **)&list->keys, &list->capacity,
                     list->count, sizeof *list->keys))
            return fv_no_memory(parts->compiling);
        list->keys[list->count++] = parts->env.beta[i];
    }
    return 0;
}

static int read_targets(struct parts *parts)
{
    struct key_list list = { 0 };
    size_t targets = 0, conflict = 0;
    struct fv_keyset keys;
    int r;

    r = add_targets(parts, &list);
    targets = list.count;
    if (r >= 0)
        r = add_beta(parts, &list);
    /* The definition must be sound by itself, whatever the environment says. */
    if (r >= 0 && list.count) {
        r = fv_keyset_build(parts->env.has_beta ? &parts->compiling->scratch
                                                : parts->compiling->arena,
                            list.keys, list.count, false, &keys, &conflict);
        if (r == FLAGVER_EINVAL)
            r = refuse_twice(parts, &list, conflict);
        else if (r < 0)
            r = fv_no_memory(parts->compiling);
        else
            parts->plan.targets = keys;
    }

    if (r >= 0 && parts->env.has_beta) {
        parts->plan.targets = (struct fv_keyset){ 0 };
        r = apply_beta(parts, &list, targets);
        if (r >= 0 && list.count &&
            fv_keyset_build(parts->compiling->arena, list.keys, list.count, false,
                            &parts->plan.targets, &conflict) < 0)
            r = fv_no_memory(parts->compiling);
    }
    fv_release(parts->compiling->source->memory, list.keys);
    return r;
}

/* ---- requires and rules ---- */

static int read_requires(struct parts *parts)
{
    static const char *const names[] = { "flag", "variant" };
    const struct fv_reading *reading = parts->compiling->reading;
    const struct fv_place *place = fv_at_key(parts->place, "requires"), *at;
    const json_t *array = parts->fields[REQUIRES];
    struct fv_requirement *requirements;
    struct fv_reference reference;
    size_t i, count;
    json_t *fields[2];
    int r;

    if (!array)
        return 0;
    r = fv_expect_array(reading, place, array, true);
    if (r < 0)
        return r;
    count = json_array_size(array);
    requirements = fv_arena_allocate(parts->compiling->arena, count * sizeof *requirements);
    if (!requirements)
        return fv_no_memory(parts->compiling);

    for (i = 0; i < count; i++) {
        at = fv_at_index(place, i);
        r = fv_read_fields(reading, at, json_array_get(array, i), names, 2, fields);
        if (r < 0)
            return r;
        if (!fields[0] || !fields[1])
            return fv_refuse(reading, at, "needs \"flag\" and \"variant\"");
        r = fv_add_reference(parts->compiling, at, fields[0], fields[1], &reference);
        if (r < 0)
            return r;
        requirements[i] = (struct fv_requirement){ reference.slot, reference.variant };
    }
    parts->plan.requirements = requirements;
    parts->plan.requirement_count = (uint32_t)count;
    return 0;
}

static int read_rule_id(struct parts *parts, const struct fv_place *place, const json_t *id,
                        struct fv_map *ids, struct fv_rule *rule)
{
    const struct fv_reading *reading = parts->compiling->reading;
    size_t before = ids->count;
    uint32_t number;
    int r;

    if (!id)
        return 0;
    r = fv_expect_string(reading, place, id);
    if (r < 0)
        return r;
    number = fv_map_add(ids, json_string_value(id), json_string_length(id));
    rule->id = fv_arena_string(parts->compiling->arena, json_string_value(id),
                               json_string_length(id));
    if (number == FV_MAP_NONE || !rule->id)
        return fv_no_memory(parts->compiling);
    if (number < before)
        return fv_refuse(reading, place, "another rule of this flag has the id \"%.128s\"",
                         rule->id);
    return 0;
}

static int read_rule(struct parts *parts, const struct fv_place *place, const json_t *value,
                     struct fv_map *ids, struct fv_rule *rule)
{
    static const char *const names[] = { "id", "if", "serve", "description" };
    struct fv_compiling *compiling = parts->compiling;
    json_t *fields[4];
    int r;

    r = fv_read_fields(compiling->reading, place, value, names, 4, fields);
    if (r >= 0)
        r = read_rule_id(parts, fv_at_key(place, "id"), fields[0], ids, rule);
    if (r >= 0 && fields[3])
        r = fv_expect_string(compiling->reading, fv_at_key(place, "description"), fields[3]);
    if (r < 0)
        return r;
    if (!fields[2])
        return fv_refuse(compiling->reading, place, "\"serve\" is missing");

    rule->condition = (struct fv_condition){ .entry = FV_ANSWER_YES };
    if (fields[1])
        r = fv_compile_condition(compiling, fv_at_key(place, "if"), fields[1], &rule->condition);
    if (r >= 0)
        r = fv_compile_serve(compiling, fv_at_key(place, "serve"), fields[2], &rule->serve);
    return r;
}

static int read_rules(struct parts *parts)
{
    const struct fv_place *place = fv_at_key(parts->place, "rules");
    const json_t *array = parts->fields[RULES];
    struct fv_rule *rules;
    struct fv_map ids;
    size_t i, count;
    int r;

    if (!array)
        return 0;
    r = fv_expect_array(parts->compiling->reading, place, array, true);
    if (r < 0)
        return r;
    count = json_array_size(array);
    rules = fv_arena_allocate_zeroed(parts->compiling->arena, count, sizeof *rules);
    if (!rules)
        return fv_no_memory(parts->compiling);

    fv_map_init(&ids, parts->compiling->source->memory);
    for (i = 0; r >= 0 && i < count; i++) {
        r = read_rule(parts, fv_at_index(place, i), json_array_get(array, i), &ids, &rules[i]);
        if (r >= 0 && !rules[i].condition.count && i + 1 < count)
            fv_lint(parts->compiling, fv_at_index(place, i),
                    "this rule always holds: those after it are never tried");
    }
    fv_map_clear(&ids);
    parts->plan.rules = rules;
    parts->plan.rule_count = (uint32_t)count;
    return r;
}

/* ---- the flag's own split, percentage or schedule ---- */

static void asks(struct parts *parts, enum fv_asks what, bool so)
{
    if (so)
        parts->flag->asks = (uint8_t)(parts->flag->asks | (unsigned)what);
}

static int only_one_of_three(struct parts *parts)
{
    static const enum flag_field three[] = { PERCENTAGE, SPLIT, SCHEDULE };
    const struct fv_reading *reading = parts->compiling->reading;
    enum flag_field found = FLAG_FIELDS;
    size_t i;

    for (i = 0; i < 3; i++) {
        if (!parts->fields[three[i]])
            continue;
        if (found != FLAG_FIELDS)
            return fv_refuse_key(reading, fv_at_key(parts->place, flag_names[three[i]]),
                                 "\"%s\" cannot stand beside \"%s\"", flag_names[three[i]],
                                 flag_names[found]);
        if (three[i] != SPLIT && parts->flag->type != FLAGVER_TYPE_BOOL)
            return fv_refuse_key(reading, fv_at_key(parts->place, flag_names[three[i]]),
                                 "only boolean flags take a %s; use \"split\"",
                                 flag_names[three[i]]);
        found = three[i];
    }
    return 0;
}

static int read_own_serve(struct parts *parts)
{
    struct fv_compiling *compiling = parts->compiling;
    struct fv_serve *serve = &parts->body->serve;
    int r;

    r = only_one_of_three(parts);
    if (r < 0)
        return r;
    if (!parts->fields[PERCENTAGE] && !parts->fields[SPLIT] && !parts->fields[SCHEDULE] &&
        !parts->env.has_percentage)
        return 0;
    asks(parts, FV_ASKS_SERVE, true);
    if (parts->plan.rule_count && !parts->plan.rules[parts->plan.rule_count - 1].condition.count)
        fv_lint(compiling, parts->place,
                "the last rule always holds: the flag's own percentage, split or schedule is "
                "never tried");

    /* The definition is read even where the environment replaces it: it must be sound. */
    if (parts->fields[SPLIT])
        r = fv_compile_split(compiling, fv_at_key(parts->place, "split"), parts->fields[SPLIT],
                             &compiling->bucket_words, serve);
    if (parts->fields[SCHEDULE])
        r = fv_compile_schedule(compiling, fv_at_key(parts->place, "schedule"),
                                parts->fields[SCHEDULE], serve);
    if (parts->fields[PERCENTAGE])
        r = fv_compile_percentage(compiling, fv_at_key(parts->place, "percentage"),
                                  parts->fields[PERCENTAGE], &compiling->bucket_words, serve);
    if (r >= 0 && parts->env.has_percentage)
        r = fv_compile_share(compiling, parts->env.threshold, &compiling->bucket_words, serve);
    return r;
}

/* ---- the rest ---- */

static int read_words(struct parts *parts)
{
    struct fv_compiling *compiling = parts->compiling;
    const struct fv_place *place = fv_at_key(parts->place, "metadata");
    struct fv_value text;
    const char *name;
    json_t *value;
    int r = 0;

    if (parts->fields[DESCRIPTION])
        r = fv_expect_string(compiling->reading, fv_at_key(parts->place, "description"),
                             parts->fields[DESCRIPTION]);
    if (r < 0 || !parts->fields[METADATA])
        return r;
    r = fv_expect_object(compiling->reading, place, parts->fields[METADATA]);
    if (r < 0)
        return r;
    json_object_foreach(
        parts->fields[METADATA], name,
        value) if (!json_is_string(value) && !json_is_number(value) &&
                   !json_is_boolean(
                       value)) return fv_refuse(compiling->reading, fv_at_key(place, name),
                                                "must be a string, a number or a boolean, not %s",
                                                fv_json_kind(value));
    r = set_json(parts, parts->fields[METADATA], &text);
    if (r >= 0)
        parts->body->metadata = text.as.string;
    return r;
}

/* Keeps what was found out about the plan, when there is any. */
static int keep_plan(struct parts *parts)
{
    struct fv_plan *found = &parts->plan, *plan;
    int r;

    asks(parts, FV_ASKS_REQUIREMENTS, found->requirement_count > 0);
    asks(parts, FV_ASKS_TARGETS, found->targets.count > 0);
    asks(parts, FV_ASKS_RULES, found->rule_count > 0);
    if (!(parts->flag->asks & ~FV_ASKS_SERVE))
        return 0;

    r = fv_seal_references(parts->compiling, &found->refs, &found->ref_count);
    if (r < 0)
        return r;
    found->leaf_count = parts->compiling->leaf_total;
    plan = fv_arena_allocate(parts->compiling->arena, sizeof *plan);
    if (!plan)
        return fv_no_memory(parts->compiling);
    *plan = *found;
    parts->body->plan = plan;
    return 0;
}

static int read_parts(struct parts *parts, bool *ret_enabled)
{
    struct fv_compiling *compiling = parts->compiling;
    int r;

    r = read_type(parts);
    if (r >= 0 && parts->fields[ENABLED])
        r = fv_read_bool(compiling->reading, fv_at_key(parts->place, "enabled"),
                         parts->fields[ENABLED], ret_enabled);
    if (r >= 0)
        r = read_variants(parts);
    if (r >= 0)
        r = fv_read_bucket_words(compiling, parts->place, parts->fields[BY], parts->fields[SALT],
                                 parts->fields[BUCKETING], &compiling->bucket_words);
    if (r >= 0 && parts->fields[ENV])
        r = fv_read_flag_environment(compiling, fv_at_key(parts->place, "env"), parts->fields[ENV],
                                     &parts->env);
    if (r >= 0)
        r = read_targets(parts);
    if (r >= 0)
        r = read_default_and_off(parts);
    if (r >= 0)
        r = read_requires(parts);
    if (r >= 0)
        r = read_rules(parts);
    if (r >= 0)
        r = read_own_serve(parts);
    if (r >= 0)
        r = read_words(parts);
    if (r >= 0)
        r = keep_plan(parts);
    if (r >= 0 && parts->env.has_enabled)
        *ret_enabled = parts->env.enabled;
    return r;
}

/*
 * What a flag needs beyond itself, so that it lies in one piece: its variants, a
 * bucketing when it has a share of its own, and room for a few rules.
 */
#define VARIANT_ROOM (sizeof(struct fv_variant) + sizeof(struct fv_range) + 40)
#define RULES_ROOM 768

static size_t extra_room(json_t *const fields[FLAG_FIELDS])
{
    size_t room = json_object_size(fields[VARIANTS]) * VARIANT_ROOM;

    if (fields[PERCENTAGE] || fields[SPLIT] || fields[SCHEDULE])
        room += sizeof(struct fv_bucketing);
    if (has_items(fields[RULES]))
        room += RULES_ROOM;
    return room;
}

int fv_compile_flag(struct fv_compiling *compiling, const struct fv_place *place,
                    const json_t *value, const char *key, size_t length, uint32_t slot,
                    struct fv_flag **ret_flag)
{
    struct parts parts = { .compiling = compiling, .place = place };
    struct fv_arena arena;
    bool enabled = true;
    int r;

    r = fv_expect_name(compiling->reading, place, key, length, FV_FLAG_KEY_LIMIT, "flag key");
    if (r >= 0)
        r = fv_read_fields(compiling->reading, place, value, flag_names, FLAG_FIELDS, parts.fields);
    if (r < 0)
        return r;

    fv_arena_init(&arena, compiling->source->memory,
                  fv_flag_chunk(length, extra_room(parts.fields)));
    parts.flag = fv_flag_new(&arena, key, length);
    if (parts.flag) {
        parts.body = parts.flag->body;
        parts.body->slot = slot;
        fv_compiling_start(compiling, &arena, parts.flag);
        r = read_parts(&parts, &enabled);
    } else {
        r = fv_no_memory(compiling);
    }
    if (r < 0) {
        fv_arena_clear(&arena);
        return r;
    }
    fv_flag_complete(parts.flag, &arena, enabled);
    *ret_flag = parts.flag;
    return 0;
}

/* ---- what cannot be compiled ---- */

/* The type and variants, if they are sound. */
static bool read_what_it_may_serve(struct fv_compiling *compiling, const json_t *value,
                                   struct fv_flag *flag)
{
    const struct fv_reading quiet = { 0 };
    const struct fv_reading *before = compiling->reading;
    struct parts parts = { .compiling = compiling, .flag = flag, .body = flag->body };
    bool sound;

    parts.fields[TYPE] = json_object_get(value, flag_names[TYPE]);
    parts.fields[VARIANTS] = json_object_get(value, flag_names[VARIANTS]);
    compiling->reading = &quiet;
    sound = read_type(&parts) == 0 && read_variants(&parts) == 0;
    compiling->reading = before;
    return sound;
}

int fv_compile_malformed_flag(struct fv_compiling *compiling, const json_t *value, const char *key,
                              size_t length, uint32_t slot, const char *why,
                              struct fv_flag **ret_flag)
{
    struct fv_arena arena;
    struct fv_flag *flag;

    fv_arena_init(&arena, compiling->source->memory, fv_flag_chunk(length, strlen(why) + 8));
    flag = fv_flag_new(&arena, key, length);
    if (flag) {
        flag->body->slot = slot;
        fv_compiling_start(compiling, &arena, flag);
        if (!read_what_it_may_serve(compiling, value, flag))
            flag->body->variant_count = 0;
    }
    if (!flag || !fv_flag_complete_spoiled(flag, &arena, why)) {
        fv_arena_clear(&arena);
        return fv_no_memory(compiling);
    }
    *ret_flag = flag;
    return 0;
}
