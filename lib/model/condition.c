#include "model/condition.h"

#include <string.h>

#include "model/datetime.h"
#include "model/fold.h"
#include "util/hash.h"

const struct fv_operator_info fv_operators[FV_OPERATOR_COUNT] = {
    [FV_EQ] = { "eq", FV_OPERAND_ANY, true },
    [FV_IN] = { "in", FV_OPERAND_ANY, true },
    [FV_STARTS_WITH] = { "starts_with", FV_OPERAND_STRING, true },
    [FV_ENDS_WITH] = { "ends_with", FV_OPERAND_STRING, true },
    [FV_CONTAINS] = { "contains", FV_OPERAND_STRING, true },
    [FV_LT] = { "lt", FV_OPERAND_NUMBER, false },
    [FV_LTE] = { "lte", FV_OPERAND_NUMBER, false },
    [FV_GT] = { "gt", FV_OPERAND_NUMBER, false },
    [FV_GTE] = { "gte", FV_OPERAND_NUMBER, false },
    [FV_BEFORE] = { "before", FV_OPERAND_DATE, false },
    [FV_AFTER] = { "after", FV_OPERAND_DATE, false },
    [FV_SEMVER_EQ] = { "semver_eq", FV_OPERAND_SEMVER, false },
    [FV_SEMVER_LT] = { "semver_lt", FV_OPERAND_SEMVER, false },
    [FV_SEMVER_LTE] = { "semver_lte", FV_OPERAND_SEMVER, false },
    [FV_SEMVER_GT] = { "semver_gt", FV_OPERAND_SEMVER, false },
    [FV_SEMVER_GTE] = { "semver_gte", FV_OPERAND_SEMVER, false },
    [FV_MATCHES] = { "matches", FV_OPERAND_REGEX, true },
    [FV_IN_CIDR] = { "in_cidr", FV_OPERAND_NETWORK, false },
    [FV_EXISTS] = { "exists", FV_OPERAND_BOOLEAN, false },
};

bool fv_operator_parse(const char *name, enum fv_operator *ret_operator)
{
    int op;

    for (op = 0; op < FV_OPERATOR_COUNT; op++) {
        if (strcmp(name, fv_operators[op].name) == 0) {
            *ret_operator = (enum fv_operator)op;
            return true;
        }
    }
    return false;
}

/* What comparing operators accept of an order: -1, 0, 1 (2: not ordered, never). */
static bool order_holds(enum fv_operator op, int order)
{
    switch (op) {
    case FV_LT:
    case FV_BEFORE:
    case FV_SEMVER_LT:
        return order == -1;
    case FV_LTE:
    case FV_SEMVER_LTE:
        return order == -1 || order == 0;
    case FV_GT:
    case FV_AFTER:
    case FV_SEMVER_GT:
        return order == 1;
    case FV_GTE:
    case FV_SEMVER_GTE:
        return order == 1 || order == 0;
    default: /* FV_SEMVER_EQ */
        return order == 0;
    }
}

static bool equals_string(const struct fv_leaf *leaf, const struct fv_value *value)
{
    const struct fv_keyset *strings = &leaf->operands.one_of->strings;
    const char *text = value->as.string;
    size_t length = value->count;

    if (leaf->fold)
        return fv_keyset_find_folded(strings, text, length) >= 0;
    return strings->count && fv_keyset_find(strings, text, length, fv_hash(text, length)) >= 0;
}

/* The operands are sorted: fv_number_compare() orders them. */
static bool equals_number(const struct fv_one_of *operands, const struct fv_value *value)
{
    size_t low = 0, high = operands->number_count, middle;
    int order;

    while (low < high) {
        middle = low + (high - low) / 2;
        order = fv_number_compare(&operands->numbers[middle], value);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool test_one_of(const struct fv_leaf *leaf, const struct fv_value *value)
{
    switch (value->kind) {
    case FV_STRING:
        return equals_string(leaf, value);
    case FV_INTEGER:
    case FV_REAL:
        return equals_number(leaf->operands.one_of, value);
    case FV_BOOL:
        return leaf->operands.one_of->booleans[value->as.boolean];
    default:
        return leaf->when_mismatch;
    }
}

/* Knuth-Morris-Pratt: neither text nor needle can make it slow. */
static bool contains(const char *text, size_t length, const struct fv_needle *needle)
{
    const uint32_t *failure = needle->failure;
    size_t at, matched = 0;

    if (needle->length == 0)
        return true;
    for (at = 0; at < length; at++) {
        while (matched && text[at] != needle->text[matched])
            matched = failure[matched - 1];
        if (text[at] == needle->text[matched] && ++matched == needle->length)
            return true;
    }
    return false;
}

static bool needle_fits(const struct fv_leaf *leaf, const struct fv_needle *needle,
                        const char *text, size_t length)
{
    size_t wanted = needle->length;

    switch ((enum fv_operator)leaf->op) {
    case FV_STARTS_WITH:
        return leaf->fold ? fv_fold_starts(text, length, needle->text, wanted)
                          : wanted <= length && fv_equal(text, needle->text, wanted);
    case FV_ENDS_WITH:
        return leaf->fold
                   ? fv_fold_ends(text, length, needle->text, wanted)
                   : wanted <= length && fv_equal(text + length - wanted, needle->text, wanted);
    default:
        return leaf->fold ? fv_fold_contains(text, length, needle->text, wanted, needle->failure)
                          : contains(text, length, needle);
    }
}

static bool test_needles(const struct fv_leaf *leaf, const struct fv_value *value)
{
    uint32_t i;

    if (value->kind != FV_STRING)
        return leaf->when_mismatch;
    for (i = 0; i < leaf->operand_count; i++)
        if (needle_fits(leaf, &leaf->operands.needles[i], value->as.string, value->count))
            return true;
    return false;
}

static bool test_numbers(const struct fv_leaf *leaf, const struct fv_value *value)
{
    uint32_t i;

    if (!fv_is_number(value))
        return leaf->when_mismatch;
    for (i = 0; i < leaf->operand_count; i++)
        if (order_holds((enum fv_operator)leaf->op,
                        fv_number_compare(value, &leaf->operands.numbers[i])))
            return true;
    return false;
}

/* Dates are datetimes, RFC 3339 texts and whole numbers of milliseconds. */
static bool to_date(const struct fv_value *value, struct fv_value *ret_date)
{
    ret_date->kind = FV_INTEGER;
    switch (value->kind) {
    case FV_DATETIME:
    case FV_INTEGER:
        ret_date->as.integer = value->as.integer;
        return true;
    case FV_REAL:
        return fv_real_to_integer(value->as.real, &ret_date->as.integer);
    case FV_STRING:
        return fv_datetime_parse(value->as.string, value->count, &ret_date->as.integer);
    default:
        return false;
    }
}

static bool test_dates(const struct fv_leaf *leaf, const struct fv_value *value)
{
    struct fv_value date;

    return to_date(value, &date) ? test_numbers(leaf, &date) : leaf->when_mismatch;
}

static bool test_semvers(const struct fv_leaf *leaf, const struct fv_value *value)
{
    struct fv_semver version;
    uint32_t i;

    if (value->kind != FV_STRING || !fv_semver_parse(value->as.string, value->count, &version))
        return leaf->when_mismatch;
    for (i = 0; i < leaf->operand_count; i++)
        if (order_holds((enum fv_operator)leaf->op,
                        fv_semver_compare(&version, &leaf->operands.semvers[i])))
            return true;
    return false;
}

static bool test_regexes(const struct fv_leaf *leaf, const struct fv_value *value)
{
    uint32_t i;

    if (value->kind != FV_STRING)
        return leaf->when_mismatch;
    for (i = 0; i < leaf->operand_count; i++)
        if (fv_regex_search(leaf->operands.regexes[i], value->as.string, value->count))
            return true;
    return false;
}

static bool test_networks(const struct fv_leaf *leaf, const struct fv_value *value)
{
    struct fv_address address;
    uint32_t i;

    if (value->kind != FV_STRING || !fv_address_parse(value->as.string, value->count, &address))
        return leaf->when_mismatch;
    for (i = 0; i < leaf->operand_count; i++)
        if (fv_network_contains(&leaf->operands.networks[i], &address))
            return true;
    return false;
}

static bool test_value(const struct fv_leaf *leaf, const struct fv_value *value)
{
    switch (fv_operators[leaf->op].operand) {
    case FV_OPERAND_ANY:
        return test_one_of(leaf, value);
    case FV_OPERAND_STRING:
        return test_needles(leaf, value);
    case FV_OPERAND_NUMBER:
        return test_numbers(leaf, value);
    case FV_OPERAND_DATE:
        return test_dates(leaf, value);
    case FV_OPERAND_SEMVER:
        return test_semvers(leaf, value);
    case FV_OPERAND_REGEX:
        return test_regexes(leaf, value);
    case FV_OPERAND_NETWORK:
        return test_networks(leaf, value);
    default:
        return leaf->when_mismatch;
    }
}

bool fv_leaf_holds(const struct fv_leaf *leaf, const flagver_context *context)
{
    const struct fv_value *value = fv_context_find(context, &leaf->path);
    uint32_t i;

    if (leaf->op == FV_EXISTS)
        return leaf->operands.exists[value != NULL];
    if (!value)
        return leaf->when_missing;
    if (value->kind != FV_LIST)
        return test_value(leaf, value);

    for (i = 0; i < value->count; i++)
        if (test_value(leaf, &value->as.items[i]))
            return true;
    return false;
}
