#include "codec/dataset_profile.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/position.h"
#include "codec/schema.h"
#include "model/datetime.h"
#include "model/health.h"
#include "model/quantile.h"
#include "model/tally.h"
#include "util/fail.h"
#include "util/hash.h"
#include "util/map.h"

_Static_assert(FV_TALLY_TEXT == 64, "flagver_dataset_top says where values are cut off");

#define NO_PARENT FV_MAP_NONE

/* In sentences. */
#define NAME_SHOWN 60
#define KEY_SHOWN 80
#define WHY_SHOWN 160

struct field {
    uint32_t parent;  /* the object that it is a member of; NO_PARENT: it is none */
    uint32_t allowed; /* types; 0: no rule says */
    uint64_t count, nulls, booleans, integers, reals, strings, arrays, objects;
    uint64_t empty, invalid, shortest, longest;
    double minimum, maximum, mean, squares; /* the last two as Welford has them */
    struct fv_quantiles quantiles;
    struct fv_tally tally;
};

struct fv_profile {
    const struct fv_field_rule *rules;
    size_t rule_count;
    struct fv_map names; /* JSON pointers */
    struct field *fields;
    size_t room;
    uint64_t records, misfits, left_out;
    char misfit[sizeof((flagver_dataset_health *)NULL)->misfit];
    struct fv_text pointer; /* where we are in a value */
    struct fv_text text;    /* the value there */
    flagver_error *err;
};

/* ---- fields ---- */

/* FV_MAP_NONE: memory is short. */
static uint32_t add_field(struct fv_profile *profile, const char *pointer, uint32_t parent)
{
    const struct fv_field_rule *rule;
    void *fields = profile->fields;
    bool fine = fv_grow(NULL, &fields, &profile->room, profile->names.count, sizeof(struct field));
    uint32_t field;

    profile->fields = fields;
    field = fine ? fv_map_add(&profile->names, pointer, strlen(pointer)) : FV_MAP_NONE;
    if (field == FV_MAP_NONE)
        return FV_MAP_NONE;
    rule = fv_field_find(profile->rules, profile->rule_count, pointer, false);
    profile->fields[field] = (struct field){ .parent = parent, .allowed = rule ? rule->types : 0 };
    return field;
}

/*
 * The field at the pointer, made when it is new. *ret_field is FV_MAP_NONE when there are too many,
 * or its name is too long.
 * The parent is another one when an array stands where an object was.
 */
static int find_field(struct fv_profile *profile, uint32_t parent, uint32_t *ret_field)
{
    const struct fv_text *pointer = &profile->pointer;

    if (pointer->failed)
        return fv_fail_memory(profile->err);
    *ret_field = fv_map_find(&profile->names, pointer->data, pointer->length);
    if (*ret_field != FV_MAP_NONE || profile->names.count >= FLAGVER_DATASET_FIELD_LIMIT ||
        pointer->length > FV_FIELD_NAME_LIMIT)
        return 0;
    *ret_field = add_field(profile, pointer->data, parent);
    return *ret_field == FV_MAP_NONE ? fv_fail_memory(profile->err) : 0;
}

/* The field that a rule names and those that it is in. */
static bool add_named(struct fv_profile *profile, const char *name)
{
    uint32_t parent = NO_PARENT, field;
    char part[FV_FIELD_NAME_LIMIT + 1];
    size_t length = 0;

    if (strstr(name, "/*"))
        return true;
    for (;;) {
        memcpy(part, name, length);
        part[length] = 0;
        field = fv_map_find(&profile->names, part, length);
        if (field == FV_MAP_NONE)
            field = add_field(profile, part, parent);
        if (field == FV_MAP_NONE)
            return false;
        if (!name[length])
            return true;
        parent = field;
        length += 1 + strcspn(name + length + 1, "/");
    }
}

struct fv_profile *fv_profile_new(const struct fv_field_rule *rules, size_t rule_count)
{
    struct fv_profile *profile = calloc(1, sizeof *profile);
    size_t i;
    bool fine;

    if (!profile)
        return NULL;
    profile->rules = rules;
    profile->rule_count = rule_count;
    profile->pointer = profile->text = (struct fv_text)FV_TEXT_INIT;
    fv_map_init(&profile->names, NULL);
    fine = add_named(profile, "");
    for (i = 0; fine && i < rule_count; i++)
        fine = add_named(profile, rules[i].field);
    if (fine)
        return profile;
    fv_profile_free(profile);
    return NULL;
}

void fv_profile_free(struct fv_profile *profile)
{
    size_t i;

    if (!profile)
        return;
    for (i = 0; i < profile->names.count; i++) {
        fv_quantiles_clear(&profile->fields[i].quantiles);
        fv_tally_clear(&profile->fields[i].tally);
    }
    free(profile->fields);
    fv_map_clear(&profile->names);
    fv_text_clear(&profile->pointer);
    fv_text_clear(&profile->text);
    free(profile);
}

/* ---- values ---- */

/* The same in every process, unlike fv_hash(): so are the numbers that come of it. */
static uint64_t stable_hash(const struct fv_text *text)
{
    return (uint64_t)fv_murmur3(text->data, text->length, 0) << 32 |
           fv_murmur3(text->data, text->length, 1);
}

static int tally_value(struct fv_profile *profile, struct field *field, const json_t *value)
{
    struct fv_text *text = &profile->text;

    fv_text_reset(text);
    if (fv_canonical_write(text, value, profile->err) < 0 ||
        !fv_tally_add(&field->tally, stable_hash(text), text->data, text->length))
        return fv_fail_memory(profile->err);
    return 0;
}

static uint64_t count_characters(const char *text, size_t length)
{
    uint64_t count = 0;
    size_t i;

    for (i = 0; i < length; i++)
        count += (text[i] & 0xc0) != 0x80;
    return count;
}

static uint32_t type_of_string(const char *text, size_t length)
{
    uint32_t types = FV_TYPE_STRING;
    int64_t ms;

    if (fv_field_says_nothing(text, length))
        return FV_TYPE_EMPTY;
    if (fv_datetime_parse(text, length, &ms))
        types |= FV_TYPE_DATETIME;
    if (fv_field_is_uuid(text, length))
        types |= FV_TYPE_UUID;
    return types;
}

static uint32_t add_string(struct field *field, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    uint64_t characters = count_characters(text, length);
    uint32_t types = type_of_string(text, length);

    if (!field->strings || characters < field->shortest)
        field->shortest = characters;
    if (characters > field->longest)
        field->longest = characters;
    field->empty += types == FV_TYPE_EMPTY;
    field->strings++;
    return types;
}

/* 0: memory is short. 1.0 is an integer too, as JSON Schema has it. */
static uint32_t add_number(struct field *field, const json_t *value)
{
    double number = json_number_value(value), half = number / 2 - field->mean / 2;

    if (!fv_quantiles_add(&field->quantiles, number))
        return 0;
    if (field->integers + field->reals == 0)
        field->minimum = field->maximum = number;
    field->minimum = fmin(field->minimum, number);
    field->maximum = fmax(field->maximum, number);
    field->integers += json_is_integer(value);
    field->reals += json_is_real(value);
    /* In halves, for the distance of two numbers may be beyond all numbers. */
    field->mean += half / (double)(field->integers + field->reals) * 2;
    field->squares += half * (number / 2 - field->mean / 2) * 4;
    return json_is_integer(value) || !(floor(number) < number) ? FV_TYPE_INTEGER : FV_TYPE_REAL;
}

/* Counts it; the types that it is of, or 0: memory is short. */
static uint32_t add_by_type(struct field *field, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        field->nulls++;
        return FV_TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        field->booleans++;
        return FV_TYPE_BOOLEAN;
    case JSON_INTEGER:
    case JSON_REAL:
        return add_number(field, value);
    case JSON_STRING:
        return add_string(field, value);
    case JSON_ARRAY:
        field->arrays++;
        return FV_TYPE_ARRAY;
    default:
        field->objects++;
        return FV_TYPE_OBJECT;
    }
}

static int add_value(struct fv_profile *profile, uint32_t parent, const json_t *value);

static void leave(struct fv_profile *profile, size_t length)
{
    if (profile->pointer.length == length)
        return;
    profile->pointer.length = length;
    profile->pointer.data[length] = 0;
}

static int add_parts(struct fv_profile *profile, uint32_t field, const json_t *value)
{
    size_t length = profile->pointer.length, i;
    const char *key;
    json_t *part;
    int r = 0;

    json_object_foreach((json_t *)value, key, part)
    {
        fv_pointer_add(&profile->pointer, key, strlen(key));
        r = add_value(profile, field, part);
        leave(profile, length);
        if (r < 0)
            return r;
    }
    json_array_foreach(value, i, part)
    {
        fv_text_add(&profile->pointer, "/*");
        r = add_value(profile, NO_PARENT, part);
        leave(profile, length);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_value(struct fv_profile *profile, uint32_t parent, const json_t *value)
{
    bool has_parts = json_is_object(value) || json_is_array(value);
    struct field *field;
    uint32_t no = FV_MAP_NONE, types;
    int r;

    r = find_field(profile, parent, &no);
    if (r < 0)
        return r;
    if (no == FV_MAP_NONE) {
        profile->left_out++;
        return 0;
    }
    field = &profile->fields[no];
    types = add_by_type(field, value);
    if (!types)
        return fv_fail_memory(profile->err);
    field->count++;
    field->invalid += field->allowed && !(types & field->allowed);
    if (has_parts)
        return add_parts(profile, no, value);
    return json_is_null(value) ? 0 : tally_value(profile, field, value);
}

static int check_record(struct fv_profile *profile, const char *key, const json_t *value,
                        const struct fv_schema *schema)
{
    char name[KEY_SHOWN + 1], why[WHY_SHOWN + 1];
    flagver_error found = { 0 };
    int r = schema ? fv_schema_check(schema, value, &found) : 0;

    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(profile->err);
    if (r < 0 && !profile->misfits++) {
        fv_json_shorten(name, KEY_SHOWN, KEY_SHOWN / 2, key, strlen(key));
        fv_json_shorten(why, WHY_SHOWN, WHY_SHOWN / 2, found.message, strlen(found.message));
        snprintf(profile->misfit, sizeof profile->misfit, "%s: %s", name, why);
    }
    return 0;
}

int fv_profile_add(struct fv_profile *profile, const char *key, const char *value, size_t length,
                   const struct fv_schema *schema, flagver_error *err)
{
    json_t *root;
    int r;

    r = fv_json_parse(value, length, NULL, &root, err);
    if (r < 0)
        return r;
    profile->err = err;
    profile->records++;
    r = check_record(profile, key, root, schema);
    if (r == 0)
        r = add_value(profile, NO_PARENT, root);
    json_decref(root);
    return r;
}

/* ---- the end ---- */

static uint64_t most(const uint64_t *counts, size_t count)
{
    uint64_t largest = 0;

    while (count-- > 0)
        if (counts[count] > largest)
            largest = counts[count];
    return largest;
}

/* What is not of the type that most values are of. */
static uint64_t count_odd(const struct field *field)
{
    const uint64_t counts[] = { field->booleans, field->integers + field->reals, field->strings,
                                field->arrays, field->objects };

    return field->count - field->nulls - most(counts, sizeof counts / sizeof *counts);
}

/* A field that was expected and never seen has a parent that may be something else by now. */
static uint64_t count_missing(const struct fv_profile *profile, const struct field *field)
{
    uint64_t objects = field->parent == NO_PARENT ? 0 : profile->fields[field->parent].objects;

    return objects > field->count ? objects - field->count : 0;
}

static void describe_numbers(const struct field *field, flagver_dataset_field *out)
{
    static const double shares[] = { 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99 };
    double count = (double)(field->integers + field->reals);
    size_t i;

    if (!(count > 0))
        return;
    out->minimum = field->minimum;
    out->maximum = field->maximum;
    out->mean = field->mean;
    out->deviation = fmin(sqrt(field->squares / count), DBL_MAX);
    out->rounding = fv_quantiles_rounding(&field->quantiles);
    for (i = 0; i < sizeof shares / sizeof *shares; i++) {
        out->quantiles[i] = fv_quantiles_get(&field->quantiles, shares[i]);
        out->quantiles[i] = fmin(fmax(out->quantiles[i], field->minimum), field->maximum);
    }
}

static void describe_top(struct field *field, uint64_t places, flagver_dataset_field *out)
{
    const struct fv_tally_counter *top[FLAGVER_DATASET_TOP];
    size_t count = fv_tally_top(&field->tally, places / 100, FLAGVER_DATASET_TOP, top), i;

    for (i = 0; i < count; i++)
        out->top[i] = (flagver_dataset_top){ top[i]->text, top[i]->count, top[i]->uncertain };
    out->top_count = (uint32_t)count;
    out->distinct = fv_tally_distinct(&field->tally);
}

static void describe(const struct fv_profile *profile, uint32_t no, flagver_dataset_field *out)
{
    struct field *field = &profile->fields[no];
    struct fv_field_health health;

    *out = (flagver_dataset_field){ .field = profile->names.names[no].text,
                                    .count = field->count,
                                    .missing = count_missing(profile, field),
                                    .nulls = field->nulls,
                                    .booleans = field->booleans,
                                    .integers = field->integers,
                                    .reals = field->reals,
                                    .strings = field->strings,
                                    .arrays = field->arrays,
                                    .objects = field->objects,
                                    .empty = field->empty,
                                    .invalid = field->invalid,
                                    .odd = count_odd(field),
                                    .shortest = field->shortest,
                                    .longest = field->longest };
    health = (struct fv_field_health){ .count = out->count,
                                       .missing = out->missing,
                                       .invalid = out->invalid,
                                       .odd = out->odd,
                                       .nulls = out->nulls,
                                       .empty = out->empty };
    describe_numbers(field, out);
    describe_top(field, out->count + out->missing, out);
    out->score = fv_health_of_field(&health);
}

static void recommend(flagver_dataset_health *health, const char *worst, uint32_t worst_score)
{
    char *words = health->recommendation;
    size_t size = sizeof health->recommendation;
    char name[NAME_SHOWN + 1];

    fv_json_shorten(name, NAME_SHOWN, NAME_SHOWN / 2, *worst ? worst : "(root)",
                    *worst ? strlen(worst) : strlen("(root)"));
    if (!health->records)
        snprintf(words, size,
                 "there are no records: find out why before anything is built upon them");
    else if (health->score < FV_HEALTH_UNFIT && health->misfits)
        snprintf(words, size,
                 "do not build upon it: put right the records that do not fit the schema");
    else if (health->score < FV_HEALTH_UNFIT)
        snprintf(words, size, "do not build upon it: put \"%s\" right first, which scores %u", name,
                 worst_score);
    else if (health->misfits || health->invalid)
        snprintf(words, size, "put right what is invalid before it is built upon");
    else if (health->score < FV_HEALTH_FIT)
        snprintf(words, size, "look at \"%s\" before it is built upon, which scores %u", name,
                 worst_score);
    else
        snprintf(words, size, "fit to be built upon");
}

struct named {
    const char *name;
    uint32_t no;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* The fields in byte order of their names; to be freed. NULL: memory is short. */
static struct named *sort_fields(const struct fv_profile *profile)
{
    size_t count = profile->names.count;
    struct named *order = malloc(count * sizeof *order);
    uint32_t i;

    if (!order)
        return NULL;
    for (i = 0; i < count; i++)
        order[i] = (struct named){ profile->names.names[i].text, i };
    qsort(order, count, sizeof *order, compare_names);
    return order;
}

/* The values themselves are a field as others are, unless they are nothing but its fields. */
static bool is_only_objects(const flagver_dataset_field *field)
{
    return field->count == field->objects && !field->invalid;
}

int fv_profile_finish(struct fv_profile *profile,
                      void (*visit)(void *data, const flagver_dataset_field *field), void *data,
                      flagver_dataset_health *ret_health, flagver_error *err)
{
    struct named *order = sort_fields(profile);
    flagver_dataset_field field, worst = { .field = "", .score = 101 };
    flagver_dataset_health health = { .records = profile->records,
                                      .misfits = profile->misfits,
                                      .left_out = profile->left_out };
    uint64_t sum = 0;
    size_t i;

    if (!order)
        return fv_fail_memory(err);
    for (i = 0; i < profile->names.count; i++) {
        describe(profile, order[i].no, &field);
        if (!order[i].no && is_only_objects(&field))
            continue;
        health.fields++;
        sum += field.score;
        health.invalid += field.invalid;
        if (field.score < worst.score)
            worst = field;
        if (visit)
            visit(data, &field);
    }
    free(order);

    memcpy(health.misfit, profile->misfit, sizeof health.misfit);
    health.score = fv_health_of_all(sum, health.fields, health.records, health.misfits);
    recommend(&health, worst.field, worst.score);
    *ret_health = health;
    return 0;
}
