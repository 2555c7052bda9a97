/*
 * Conditions: the operands of their leaves, and the ways between them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/compile.h"
#include "flagver/flag.h"
#include "model/datetime.h"
#include "model/fold.h"

/* ---- operands ---- */

/* The operands of a leaf, from "value" (one) or "values" (an array). */
struct operand_list {
    const struct fv_place *place; /* of "value" or "values" */
    const json_t *single;         /* or NULL */
    const json_t *array;
    size_t count;
};

static const json_t *operand(const struct operand_list *list, size_t i)
{
    return list->single ? list->single : json_array_get(list->array, i);
}

/* Refuses operand i; the place is the element's own. */
static int refuse_operand(struct fv_compiling *compiling, const struct operand_list *list, size_t i,
                          const char *why)
{
    const struct fv_place *place = list->single ? list->place : fv_at_index(list->place, i);

    return fv_refuse(compiling->reading, place, "%s", why);
}

static int refuse_kind(struct fv_compiling *compiling, const struct operand_list *list, size_t i,
                       const char *op, const char *wanted)
{
    char why[160];

    snprintf(why, sizeof why, "%s takes %s, not %s%s", op, wanted, fv_json_kind(operand(list, i)),
             list->single && json_is_array(list->single) ? "; use \"values\" for several" : "");
    return refuse_operand(compiling, list, i, why);
}

/* A copy of a string operand, folded where the leaf asks for it. */
static const char *operand_text(struct fv_arena *arena, const json_t *value, bool fold,
                                size_t *ret_length)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    char *copy;

    if (!fold) {
        *ret_length = length;
        return fv_arena_string(arena, text, length);
    }
    *ret_length = fv_fold_text(text, length, NULL);
    copy = fv_arena_allocate(arena, *ret_length + 1);
    if (!copy)
        return NULL;
    fv_fold_text(text, length, copy);
    copy[*ret_length] = 0;
    return copy;
}

static struct fv_value number_value(const json_t *value)
{
    struct fv_value number = { .kind = FV_INTEGER };

    if (json_is_integer(value)) {
        number.as.integer = json_integer_value(value);
    } else {
        number.kind = FV_REAL;
        number.as.real = json_real_value(value);
    }
    return number;
}

static int compare_numbers(const void *a, const void *b)
{
    return fv_number_compare(a, b);
}

/* eq, in: strings into a set, numbers sorted, booleans as two bits. */
static int any_operands(struct fv_compiling *compiling, const struct operand_list *list,
                        struct fv_leaf *leaf)
{
    struct fv_one_of *one_of = fv_arena_allocate_zeroed(compiling->arena, 1, sizeof *one_of);
    size_t i, length, key_count = 0, number_count = 0, conflict;
    struct fv_value *numbers = NULL;
    struct fv_key *keys;
    const json_t *value;

    for (i = 0; i < list->count; i++)
        number_count += json_is_number(operand(list, i));
    if (number_count)
        numbers = fv_arena_allocate(compiling->arena, number_count * sizeof *numbers);
    keys = fv_arena_allocate(&compiling->scratch, list->count * sizeof *keys);
    if (!one_of || !keys || (number_count && !numbers))
        return fv_no_memory(compiling);

    number_count = 0;
    for (i = 0; i < list->count; i++) {
        value = operand(list, i);
        if (json_is_string(value)) {
            keys[key_count].text = operand_text(&compiling->scratch, value, leaf->fold, &length);
            if (!keys[key_count].text)
                return fv_no_memory(compiling);
            keys[key_count].length = (uint32_t)length;
            keys[key_count++].tag = 0;
        } else if (json_is_number(value)) {
            numbers[number_count++] = number_value(value);
        } else if (json_is_boolean(value)) {
            one_of->booleans[json_is_true(value)] = true;
        } else {
            return refuse_kind(compiling, list, i, fv_operators[leaf->op].name,
                               "strings, numbers and booleans");
        }
    }

    if (number_count)
        qsort(numbers, number_count, sizeof *numbers, compare_numbers);
    one_of->numbers = numbers;
    one_of->number_count = (uint32_t)number_count;
    leaf->operands.one_of = one_of;
    if (key_count && fv_keyset_build(compiling->arena, keys, key_count, leaf->fold,
                                     &one_of->strings, &conflict) < 0)
        return fv_no_memory(compiling);
    return 0;
}

static int string_operands(struct fv_compiling *compiling, const struct operand_list *list,
                           struct fv_leaf *leaf)
{
    struct fv_needle *needles = fv_arena_allocate_zeroed(compiling->arena, list->count,
                                                         sizeof *needles);
    uint32_t *failure;
    size_t i, length;

    if (!needles)
        return fv_no_memory(compiling);
    for (i = 0; i < list->count; i++) {
        if (!json_is_string(operand(list, i)))
            return refuse_kind(compiling, list, i, fv_operators[leaf->op].name, "strings");
        needles[i].text = operand_text(compiling->arena, operand(list, i), leaf->fold, &length);
        if (!needles[i].text)
            return fv_no_memory(compiling);
        needles[i].length = (uint32_t)length;
        if (leaf->op != FV_CONTAINS || !length)
            continue;
        failure = fv_arena_allocate(compiling->arena, length * sizeof *failure);
        if (!failure)
            return fv_no_memory(compiling);
        fv_fold_search_prepare(needles[i].text, length, failure);
        needles[i].failure = failure;
    }
    leaf->operands.needles = needles;
    return 0;
}

static int number_operands(struct fv_compiling *compiling, const struct operand_list *list,
                           struct fv_leaf *leaf)
{
    struct fv_value *numbers = fv_arena_allocate(compiling->arena, list->count * sizeof *numbers);
    size_t i;

    if (!numbers)
        return fv_no_memory(compiling);
    for (i = 0; i < list->count; i++) {
        if (!json_is_number(operand(list, i)))
            return refuse_kind(compiling, list, i, fv_operators[leaf->op].name, "numbers");
        numbers[i] = number_value(operand(list, i));
    }
    leaf->operands.numbers = numbers;
    return 0;
}

static bool read_date(const json_t *value, int64_t *ret_ms)
{
    if (json_is_string(value))
        return fv_datetime_parse(json_string_value(value), json_string_length(value), ret_ms);
    if (json_is_real(value))
        return fv_real_to_integer(json_real_value(value), ret_ms);
    if (!json_is_integer(value))
        return false;
    *ret_ms = json_integer_value(value);
    return true;
}

static int date_operands(struct fv_compiling *compiling, const struct operand_list *list,
                         struct fv_leaf *leaf)
{
    struct fv_value *dates = fv_arena_allocate(compiling->arena, list->count * sizeof *dates);
    size_t i;

    if (!dates)
        return fv_no_memory(compiling);
    for (i = 0; i < list->count; i++) {
        dates[i].kind = FV_INTEGER;
        if (!read_date(operand(list, i), &dates[i].as.integer))
            return refuse_operand(compiling, list, i,
                                  "is neither an RFC 3339 date and time such as "
                                  "2026-01-31T12:00:00Z nor a whole number of milliseconds");
    }
    leaf->operands.numbers = dates;
    return 0;
}

static int semver_operands(struct fv_compiling *compiling, const struct operand_list *list,
                           struct fv_leaf *leaf)
{
    struct fv_semver *semvers = fv_arena_allocate(compiling->arena, list->count * sizeof *semvers);
    const char *text;
    size_t i, length;

    if (!semvers)
        return fv_no_memory(compiling);
    for (i = 0; i < list->count; i++) {
        if (!json_is_string(operand(list, i)))
            return refuse_kind(compiling, list, i, "a semver operator", "strings");
        text = operand_text(compiling->arena, operand(list, i), false, &length);
        if (!text)
            return fv_no_memory(compiling);
        if (!fv_semver_parse(text, length, &semvers[i]))
            return refuse_operand(compiling, list, i,
                                  "is no semantic version such as 2.1.0 or 2.1.0-rc.1");
    }
    leaf->operands.semvers = semvers;
    return 0;
}

static int regex_operands(struct fv_compiling *compiling, const struct operand_list *list,
                          struct fv_leaf *leaf)
{
    const struct fv_regex **regexes = fv_arena_allocate(compiling->arena,
                                                        list->count * sizeof *regexes);
    flagver_error why;
    size_t i;
    int r;

    if (!regexes)
        return fv_no_memory(compiling);
    for (i = 0; i < list->count; i++) {
        if (!json_is_string(operand(list, i)))
            return refuse_kind(compiling, list, i, "matches", "strings");
        r = fv_regex_compile(compiling->arena, json_string_value(operand(list, i)),
                             json_string_length(operand(list, i)), leaf->fold, &regexes[i], &why);
        if (r == FLAGVER_ENOMEM)
            return fv_no_memory(compiling);
        if (r < 0)
            return refuse_operand(compiling, list, i, why.message);
    }
    leaf->operands.regexes = regexes;
    return 0;
}

static int network_operands(struct fv_compiling *compiling, const struct operand_list *list,
                            struct fv_leaf *leaf)
{
    struct fv_network *networks = fv_arena_allocate(compiling->arena,
                                                    list->count * sizeof *networks);
    const json_t *value;
    size_t i;

    if (!networks)
        return fv_no_memory(compiling);
    for (i = 0; i < list->count; i++) {
        value = operand(list, i);
        if (!json_is_string(value))
            return refuse_kind(compiling, list, i, "in_cidr", "strings");
        if (!fv_network_parse(json_string_value(value), json_string_length(value), &networks[i]))
            return refuse_operand(compiling, list, i,
                                  "is no network such as 10.0.0.0/8 or 2001:db8::/32");
    }
    leaf->operands.networks = networks;
    return 0;
}

static int boolean_operands(struct fv_compiling *compiling, const struct operand_list *list,
                            struct fv_leaf *leaf)
{
    size_t i;

    for (i = 0; i < list->count; i++) {
        if (!json_is_boolean(operand(list, i)))
            return refuse_kind(compiling, list, i, "exists", "true or false");
        leaf->operands.exists[json_is_true(operand(list, i))] = true;
    }
    return 0;
}

static int read_operands(struct fv_compiling *compiling, const struct operand_list *list,
                         struct fv_leaf *leaf)
{
    switch (fv_operators[leaf->op].operand) {
    case FV_OPERAND_ANY:
        return any_operands(compiling, list, leaf);
    case FV_OPERAND_STRING:
        return string_operands(compiling, list, leaf);
    case FV_OPERAND_NUMBER:
        return number_operands(compiling, list, leaf);
    case FV_OPERAND_DATE:
        return date_operands(compiling, list, leaf);
    case FV_OPERAND_SEMVER:
        return semver_operands(compiling, list, leaf);
    case FV_OPERAND_REGEX:
        return regex_operands(compiling, list, leaf);
    case FV_OPERAND_NETWORK:
        return network_operands(compiling, list, leaf);
    default:
        return boolean_operands(compiling, list, leaf);
    }
}

/* ---- conditions ---- */

enum condition_field {
    ALL,
    ANY,
    NOT,
    SEGMENT,
    FLAG,
    VARIANT,
    ATTR,
    OP,
    VALUE,
    VALUES,
    FOLD,
    CONDITION_FIELDS
};

static const char *const condition_names[CONDITION_FIELDS] = {
    [ALL] = "all",     [ANY] = "any",         [NOT] = "not",   [SEGMENT] = "segment",
    [FLAG] = "flag",   [VARIANT] = "variant", [ATTR] = "attr", [OP] = "op",
    [VALUE] = "value", [VALUES] = "values",   [FOLD] = "fold",
};

/* The form of a condition is told by one of these fields; the bits say which others it takes. */
static const struct {
    enum condition_field field;
    unsigned takes;
} condition_forms[] = {
    { ALL, 0 },
    { ANY, 0 },
    { NOT, 0 },
    { SEGMENT, 0 },
    { FLAG, 1u << VARIANT },
    { ATTR, 1u << OP | 1u << VALUE | 1u << VALUES | 1u << FOLD },
};

static int emit(struct fv_compiling *compiling, const struct fv_place *place, const json_t *value,
                uint32_t yes, uint32_t no, unsigned depth, uint32_t *ret_entry);

static int find_form(struct fv_compiling *compiling, const struct fv_place *place,
                     json_t *const fields[CONDITION_FIELDS], enum condition_field *ret_form)
{
    size_t i;
    int field;

    for (i = 0; i < sizeof condition_forms / sizeof condition_forms[0]; i++)
        if (fields[condition_forms[i].field])
            break;
    if (i == sizeof condition_forms / sizeof condition_forms[0])
        return fv_refuse(compiling->reading, place,
                         "a condition has one of all, any, not, segment, flag, attr");

    for (field = 0; field < CONDITION_FIELDS; field++)
        if (fields[field] && field != (int)condition_forms[i].field &&
            !(condition_forms[i].takes >> field & 1))
            return fv_refuse_key(compiling->reading, fv_at_key(place, condition_names[field]),
                                 "\"%s\" cannot stand beside \"%s\"", condition_names[field],
                                 condition_names[condition_forms[i].field]);
    *ret_form = condition_forms[i].field;
    return 0;
}

static int push_leaf(struct fv_compiling *compiling, const struct fv_leaf *leaf,
                     uint32_t *ret_entry)
{
    if (!fv_grow(compiling->source->memory, (void **)&compiling->leaves, &compiling->leaf_capacity,
                 compiling->leaf_count, sizeof *leaf))
        return fv_no_memory(compiling);
    *ret_entry = (uint32_t)compiling->leaf_count;
    compiling->leaves[compiling->leaf_count++] = *leaf;
    return 0;
}

/* The parts are emitted last to first, so that each knows where to go on. */
static int emit_list(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *list, bool all, uint32_t yes, uint32_t no, unsigned depth,
                     uint32_t *ret_entry)
{
    size_t i;
    int r;

    r = fv_expect_array(compiling->reading, place, list, false);
    for (i = r < 0 ? 0 : json_array_size(list); i-- > 0;) {
        r = emit(compiling, fv_at_index(place, i), json_array_get(list, i), yes, no, depth,
                 ret_entry);
        if (r < 0)
            break;
        if (all)
            yes = *ret_entry;
        else
            no = *ret_entry;
    }
    return r;
}

static int emit_segment(struct fv_compiling *compiling, const struct fv_place *place,
                        const json_t *name, struct fv_leaf *leaf, uint32_t *ret_entry)
{
    struct fv_reference reference;
    int r;

    r = fv_add_reference(compiling, place, name, NULL, &reference);
    if (r < 0)
        return r;
    leaf->test = FV_TEST_SEGMENT;
    leaf->slot = reference.slot;
    return push_leaf(compiling, leaf, ret_entry);
}

static int emit_flag(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *key, const json_t *variant, struct fv_leaf *leaf,
                     uint32_t *ret_entry)
{
    struct fv_reference reference;
    int r;

    if (!variant)
        return fv_refuse(compiling->reading, place, "\"variant\" is missing beside \"flag\"");
    r = fv_add_reference(compiling, place, key, variant, &reference);
    if (r < 0)
        return r;
    leaf->test = FV_TEST_FLAG;
    leaf->slot = reference.slot;
    leaf->variant = reference.variant;
    return push_leaf(compiling, leaf, ret_entry);
}

static int unknown_operator(struct fv_compiling *compiling, const struct fv_place *place,
                            const char *name)
{
    char known[256] = "";
    size_t length = 0;
    int op;

    for (op = 0; op < FV_OPERATOR_COUNT && length < sizeof known; op++)
        length += (size_t)snprintf(known + length, sizeof known - length, " %s",
                                   fv_operators[op].name);
    return fv_refuse(compiling->reading, place, "unknown operator \"%.60s\"; known are%s", name,
                     known);
}

static int read_operator(struct fv_compiling *compiling, const struct fv_place *place,
                         json_t *const fields[CONDITION_FIELDS], struct fv_leaf *leaf)
{
    enum fv_operator op;
    int r;

    if (!fields[OP])
        return fv_refuse(compiling->reading, place, "\"op\" is missing");
    r = fv_expect_string(compiling->reading, fv_at_key(place, "op"), fields[OP]);
    if (r < 0)
        return r;
    if (!fv_operator_parse(json_string_value(fields[OP]), &op))
        return unknown_operator(compiling, fv_at_key(place, "op"), json_string_value(fields[OP]));
    leaf->op = (uint8_t)op;

    if (fields[FOLD])
        r = fv_read_bool(compiling->reading, fv_at_key(place, "fold"), fields[FOLD], &leaf->fold);
    if (r >= 0 && fields[FOLD] && !fv_operators[op].folds)
        r = fv_refuse_key(compiling->reading, fv_at_key(place, "fold"),
                          "%s does not compare strings: \"fold\" means nothing to it",
                          fv_operators[op].name);
    return r;
}

static int emit_attribute(struct fv_compiling *compiling, const struct fv_place *place,
                          json_t *const fields[CONDITION_FIELDS], struct fv_leaf *leaf,
                          uint32_t *ret_entry)
{
    struct operand_list list = { .single = fields[VALUE], .array = fields[VALUES], .count = 1 };
    int r;

    r = fv_expect_string(compiling->reading, fv_at_key(place, "attr"), fields[ATTR]);
    if (r < 0)
        return r;
    if (json_string_length(fields[ATTR]) == 0)
        return fv_refuse(compiling->reading, fv_at_key(place, "attr"), "must not be empty");
    r = read_operator(compiling, place, fields, leaf);
    if (r < 0)
        return r;

    if (!fields[VALUE] == !fields[VALUES])
        return fv_refuse(compiling->reading, place, "needs either \"value\" or \"values\"");
    list.place = fv_at_key(place, list.single ? "value" : "values");
    if (!list.single) {
        r = fv_expect_array(compiling->reading, list.place, list.array, false);
        if (r < 0)
            return r;
        list.count = json_array_size(list.array);
    }

    r = fv_compile_path(compiling, json_string_value(fields[ATTR]),
                        json_string_length(fields[ATTR]), &leaf->path);
    if (r < 0)
        return r;
    leaf->operand_count = (uint32_t)list.count;
    r = read_operands(compiling, &list, leaf);
    if (r < 0)
        return r;
    return push_leaf(compiling, leaf, ret_entry);
}

/* Emits a condition that goes on at `yes` or `no`; *ret_entry is where it begins. */
static int emit(struct fv_compiling *compiling, const struct fv_place *place, const json_t *value,
                uint32_t yes, uint32_t no, unsigned depth, uint32_t *ret_entry)
{
    struct fv_leaf leaf = { .yes = yes, .no = no };
    json_t *fields[CONDITION_FIELDS];
    enum condition_field form = ATTR;
    int r;

    if (depth > FV_CONDITION_DEPTH)
        return fv_refuse(compiling->reading, place, "conditions nest deeper than %d",
                         FV_CONDITION_DEPTH);
    r = fv_read_fields(compiling->reading, place, value, condition_names, CONDITION_FIELDS, fields);
    if (r >= 0)
        r = find_form(compiling, place, fields, &form);
    if (r < 0)
        return r;

    switch (form) {
    case ALL:
    case ANY:
        return emit_list(compiling, fv_at_key(place, condition_names[form]), fields[form],
                         form == ALL, yes, no, depth + 1, ret_entry);
    case NOT:
        return emit(compiling, fv_at_key(place, "not"), fields[NOT], no, yes, depth + 1, ret_entry);
    case SEGMENT:
        return emit_segment(compiling, fv_at_key(place, "segment"), fields[SEGMENT], &leaf,
                            ret_entry);
    case FLAG:
        return emit_flag(compiling, place, fields[FLAG], fields[VARIANT], &leaf, ret_entry);
    default:
        return emit_attribute(compiling, place, fields, &leaf, ret_entry);
    }
}

int fv_compile_condition(struct fv_compiling *compiling, const struct fv_place *place,
                         const json_t *value, struct fv_condition *ret_condition)
{
    struct fv_leaf *leaves;
    uint32_t entry = FV_ANSWER_NO;
    size_t size;
    int r;

    compiling->leaf_count = 0;
    r = emit(compiling, place, value, FV_ANSWER_YES, FV_ANSWER_NO, 0, &entry);
    if (r < 0)
        return r;

    size = compiling->leaf_count * sizeof *leaves;
    leaves = fv_arena_allocate(compiling->arena, size);
    if (!leaves)
        return fv_no_memory(compiling);
    memcpy(leaves, compiling->leaves, size);
    compiling->leaf_total += (uint32_t)compiling->leaf_count;
    *ret_condition = (struct fv_condition){ leaves, (uint32_t)compiling->leaf_count, entry };
    return 0;
}
