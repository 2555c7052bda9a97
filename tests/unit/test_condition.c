/*
 * Conditions: every operator on everything that an attribute can be, how
 * attributes are named, and how all, any and not are put together.
 *
 * Every row is looked at twice, as it stands and with `not` around it: the
 * second answer is always the opposite of the first.
 */
#include "flags.h"

#include <math.h>

static bool serves_on(const flagver_snapshot *snapshot, const char *key, flagver_context *context)
{
    flagver_detail detail = { .size = sizeof detail };

    ck_assert_int_eq(
        flagver_snapshot_evaluate(snapshot, key, strlen(key), context, FLAGVER_TYPE_BOOL, &detail),
        0);
    return detail.value.boolean;
}

static flagver_snapshot *compile(const char *condition)
{
    static const char segments[] =
        "'yes': {'if': {'attr': 'targetingKey', 'op': 'exists', 'values': [true, false]}}, "
        "'no': {}";
    struct fv_text text = FV_TEXT_INIT;
    flagver_snapshot *snapshot;
    char *json;

    fv_text_format(&text,
                   "{'flags': {'f': {'type': 'boolean', 'rules': [{'if': %s, 'serve': 'on'}]}, "
                   "'n': {'type': 'boolean', 'rules': [{'if': {'not': %s}, 'serve': 'on'}]}, "
                   "'t': {'type': 'boolean'}}, 'segments': {%s}}",
                   condition, condition, segments);
    json = quoted(text.data);
    assert_ok(flagver_snapshot_load(json, strlen(json), NULL, &snapshot, &error));
    free(json);
    fv_text_clear(&text);
    return snapshot;
}

static void check_for(const char *label, const char *condition, flagver_context *context,
                      bool holds)
{
    flagver_snapshot *snapshot = compile(condition);

    ck_assert_msg(serves_on(snapshot, "f", context) == holds, "%s: %s %s", label, condition,
                  holds ? "does not hold" : "holds");
    ck_assert_msg(serves_on(snapshot, "n", context) == !holds, "%s: not %s %s", label, condition,
                  holds ? "holds" : "does not hold");
    flagver_snapshot_free(snapshot);
}

static void check(const char *label, const char *condition, const char *context_json, bool holds)
{
    flagver_context *context = context_of(context_json);

    check_for(label, condition, context, holds);
    flagver_context_free(context);
}

/* ---- every operator alike ---- */

/*
 * `hit` is a value for which the operator holds with the operand, `miss` one
 * for which it does not, `unlike` an operand for which it does not hold either.
 * `others` are values of other types, which match nothing.
 */
struct operator_row {
    const char *op;
    const char *operand;
    const char *unlike;
    const char *hit;
    const char *miss;
    const char *others[6];
};

static const struct operator_row operator_rows[] = {
    { "eq", "'DE'", "'XX'", "'DE'", "'FR'", { "1", "2.5", "true", "{'DE': 'DE'}" } },
    { "eq", "42", "41", "42", "43", { "'42'", "true", "{'x': 42}" } },
    { "eq", "1", "2", "1.0", "1.5", { "'1'", "true", "{'x': 1}" } },
    { "eq", "2.5", "7", "2.5", "2", { "'2.5'", "true", "{}" } },
    { "eq", "true", "7", "true", "false", { "1", "'true'", "1.0", "{}" } },
    { "eq", "false", "'x'", "false", "true", { "0", "''", "0.0", "{}" } },
    { "in", "'DE'", "'XX'", "'DE'", "'FR'", { "1", "2.5", "true", "{'DE': 'DE'}" } },
    { "in", "42", "41", "42.0", "43", { "'42'", "true", "{}" } },
    { "in", "true", "7", "true", "false", { "1", "'true'", "{}" } },
    { "starts_with", "'ab'", "'b'", "'abc'", "'cab'", { "1", "2.5", "true", "{'ab': 1}" } },
    { "ends_with", "'bc'", "'b'", "'abc'", "'bca'", { "1", "2.5", "true", "{'bc': 1}" } },
    { "contains", "'b'", "'x'", "'abc'", "'ac'", { "1", "2.5", "true", "{'b': 1}" } },
    { "lt", "5", "-5", "4", "5", { "'4'", "true", "{}" } },
    { "lt", "5.5", "-5.5", "5", "6", { "'4'", "false", "{}" } },
    { "lte", "5", "-5", "5", "6", { "'5'", "true", "{}" } },
    { "gt", "5", "50", "6", "5", { "'6'", "true", "{}" } },
    { "gte", "5", "50", "5", "4", { "'5'", "true", "{}" } },
    { "before",
      "'2026-01-01T00:00:00Z'",
      "0",
      "'2025-12-31T23:59:59.999Z'",
      "'2026-01-01T00:00:00Z'",
      { "'yesterday'", "1.5", "true", "{}", "''" } },
    { "after",
      "'2026-01-01T00:00:00Z'",
      "'9999-12-31T23:59:59.999Z'",
      "'2026-01-01T00:00:00.001Z'",
      "'2026-01-01T00:00:00Z'",
      { "'tomorrow'", "1767225600000.5", "true", "{}" } },
    { "semver_eq", "'2.1.0'", "'3.0.0'", "'v2.1'", "'2.1.1'", { "2", "2.1", "true", "'x'", "{}" } },
    { "semver_lt", "'2.1.0'", "'0.0.1'", "'2.0.9'", "'2.1.0'", { "2", "2.0", "true", "''", "{}" } },
    { "semver_lte", "'2.1.0'", "'0.0.1'", "'2.1.0'", "'2.1.1'", { "2", "2.0", "true", "'x'" } },
    { "semver_gt", "'2.1.0'", "'9.0.0'", "'2.1.1'", "'2.1.0'", { "3", "3.0", "true", "'x'" } },
    { "semver_gte", "'2.1.0'", "'9.0.0'", "'2.1.0'", "'2.0.9'", { "3", "3.0", "true", "'x'" } },
    { "matches", "'a+b'", "'^y'", "'xaab'", "'xaac'", { "1", "2.5", "true", "{'aab': 1}" } },
    { "in_cidr",
      "'10.0.0.0/8'",
      "'2001:db8::/32'",
      "'10.1.2.3'",
      "'11.0.0.0'",
      { "10", "10.1", "true", "'ten'", "{}" } },
};

/* Checks {"x": value} against the operand; with_unlike: beside an operand that never fits. */
static void check_operator(const struct operator_row *row, const char *label, const char *value,
                           bool holds)
{
    struct fv_text condition = FV_TEXT_INIT, context = FV_TEXT_INIT;

    if (value)
        fv_text_format(&context, "{'x': %s}", value);
    else
        fv_text_add(&context, "{'y': 1}");

    fv_text_format(&condition, "{'attr': 'x', 'op': '%s', 'value': %s}", row->op, row->operand);
    check(label, condition.data, context.data, holds);
    fv_text_reset(&condition);
    fv_text_format(&condition, "{'attr': 'x', 'op': '%s', 'values': [%s]}", row->op, row->operand);
    check(label, condition.data, context.data, holds);
    fv_text_reset(&condition);
    fv_text_format(&condition, "{'attr': 'x', 'op': '%s', 'values': [%s, %s, %s]}", row->op,
                   row->unlike, row->operand, row->unlike);
    check(label, condition.data, context.data, holds);

    fv_text_clear(&condition);
    fv_text_clear(&context);
}

/* The same with a pattern in which %s is a value of the row. */
static void check_around(const struct operator_row *row, const char *label, const char *before,
                         const char *value, const char *behind, bool holds)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_format(&text, "%s%s%s", before, value, behind);
    check_operator(row, label, text.data, holds);
    fv_text_clear(&text);
}

START_TEST(an_operator_compares_a_value_with_its_operands)
{
    const struct operator_row *row = &operator_rows[_i];

    check_operator(row, "match", row->hit, true);
    check_operator(row, "no match", row->miss, false);
}
END_TEST

START_TEST(a_missing_attribute_matches_nothing)
{
    check_operator(&operator_rows[_i], "missing", NULL, false);
    check_operator(&operator_rows[_i], "null", "null", false);
}
END_TEST

START_TEST(a_value_of_another_type_matches_nothing)
{
    const struct operator_row *row = &operator_rows[_i];
    int i;

    for (i = 0; i < COUNT(row->others) && row->others[i]; i++)
        check_operator(row, "other type", row->others[i], false);
    ck_assert_int_ge(i, 3);
    check_around(row, "in an object", "{'x': ", row->hit, "}", false);
}
END_TEST

START_TEST(an_array_matches_if_any_element_does)
{
    const struct operator_row *row = &operator_rows[_i];

    check_operator(row, "empty array", "[]", false);
    check_around(row, "array of a match", "[", row->hit, "]", true);
    check_around(row, "array of a miss", "[", row->miss, "]", false);
    check_around(row, "match behind another type", "[null, {}, [], true, ", row->hit, "]", true);
    check_around(row, "match before another type", "[", row->hit, ", null, {}, []]", true);
    check_around(row, "object in an array", "[{'x': ", row->hit, "}]", false);
}
END_TEST

START_TEST(an_array_in_an_array_is_of_another_type)
{
    const struct operator_row *row = &operator_rows[_i];

    check_around(row, "nested array", "[[", row->hit, "]]", false);
    check_around(row, "nested array beside a miss", "[[", row->hit, "], null]", false);
}
END_TEST

START_TEST(any_of_several_operands_is_enough)
{
    const struct operator_row *row = &operator_rows[_i];
    struct fv_text condition = FV_TEXT_INIT, context = FV_TEXT_INIT;

    fv_text_format(&condition, "{'attr': 'x', 'op': '%s', 'values': [%s, %s]}", row->op,
                   row->unlike, row->unlike);
    fv_text_format(&context, "{'x': %s}", row->hit);
    check("none of the operands", condition.data, context.data, false);
    fv_text_clear(&condition);
    fv_text_clear(&context);
}
END_TEST

/* ---- one by one ---- */

struct row {
    const char *label;
    const char *condition;
    const char *context;
    bool holds;
};

#define LEAF(op, operand) "{'attr': 'x', 'op': '" op "', " operand "}"
#define FOLD(op, operand) "{'attr': 'x', 'op': '" op "', 'fold': true, " operand "}"
#define X(value) "{'x': " value "}"

static const struct row text_rows[] = {
    { "the empty text equals itself", LEAF("eq", "'value': ''"), X("''"), true },
    { "the empty text and another", LEAF("eq", "'value': ''"), X("'a'"), false },
    { "the empty text is not missing", LEAF("eq", "'value': ''"), "{}", false },
    { "a prefix is not the text", LEAF("eq", "'value': 'abc'"), X("'ab'"), false },
    { "a longer text", LEAF("eq", "'value': 'abc'"), X("'abcd'"), false },
    { "case counts", LEAF("eq", "'value': 'DE'"), X("'de'"), false },
    { "spaces count", LEAF("eq", "'value': 'DE'"), X("'DE '"), false },
    { "bytes are compared, not looks", LEAF("eq", "'value': 'é'"), X("'e\\u0301'"), false },
    { "escapes are read", LEAF("eq", "'value': '\\u00e9'"), X("'é'"), true },
    { "fold false", "{'attr': 'x', 'op': 'eq', 'value': 'DE', 'fold': false}", X("'de'"), false },
    { "every text starts with the empty one", LEAF("starts_with", "'value': ''"), X("''"), true },
    { "every text ends with the empty one", LEAF("ends_with", "'value': ''"), X("'a'"), true },
    { "every text contains the empty one", LEAF("contains", "'value': ''"), X("''"), true },
    { "a number does not start with anything", LEAF("starts_with", "'value': ''"), X("1"), false },
    { "starts with itself", LEAF("starts_with", "'value': 'ab'"), X("'ab'"), true },
    { "starts with more", LEAF("starts_with", "'value': 'ab'"), X("'a'"), false },
    { "ends with itself", LEAF("ends_with", "'value': 'ab'"), X("'ab'"), true },
    { "ends with more", LEAF("ends_with", "'value': 'ab'"), X("'b'"), false },
    { "contains, at the start", LEAF("contains", "'value': 'ab'"), X("'abc'"), true },
    { "contains, at the end", LEAF("contains", "'value': 'bc'"), X("'abc'"), true },
    { "contains, not in one piece", LEAF("contains", "'value': 'ac'"), X("'abc'"), false },
    { "contains, after half a match", LEAF("contains", "'value': 'aab'"), X("'aaab'"), true },
    { "contains, after a long half", LEAF("contains", "'value': 'ababac'"), X("'abababac'"), true },
    { "contains, only the beginning", LEAF("contains", "'value': 'aab'"), X("'aaaa'"), false },
    { "case counts in starts_with", LEAF("starts_with", "'value': 'Ab'"), X("'ab'"), false },
    { "case counts in ends_with", LEAF("ends_with", "'value': 'Ab'"), X("'ab'"), false },
    { "case counts in contains", LEAF("contains", "'value': 'Ab'"), X("'ab'"), false },

    { "fold, eq", FOLD("eq", "'value': 'DE'"), X("'de'"), true },
    { "fold, eq, the other way", FOLD("eq", "'value': 'de'"), X("'DE'"), true },
    { "fold, another text", FOLD("eq", "'value': 'DE'"), X("'fr'"), false },
    { "fold, in", FOLD("in", "'values': ['DE', 'Fr']"), X("'fR'"), true },
    { "fold, in an array", FOLD("in", "'values': ['DE', 'Fr']"), X("[1, 'de']"), true },
    { "fold, starts_with", FOLD("starts_with", "'value': 'ÄB'"), X("'äbc'"), true },
    { "fold, ends_with", FOLD("ends_with", "'value': '@Example.COM'"), X("'a@eXAMPLE.com'"), true },
    { "fold, contains", FOLD("contains", "'value': 'ÖL'"), X("'Erdölpreis'"), true },
    { "fold, contains after half a match", FOLD("contains", "'value': 'AAB'"), X("'aaAb'"), true },
    { "fold, matches", FOLD("matches", "'value': '^ä+$'"), X("'ÄäÄ'"), true },
    { "fold, Cyrillic", FOLD("eq", "'value': 'ПРИВЕТ'"), X("'привет'"), true },
    { "fold, all three sigmas", FOLD("eq", "'value': 'ΣΑΣ'"), X("'σας'"), true },
    { "fold is simple: ß is not ss", FOLD("eq", "'value': 'STRASSE'"), X("'straße'"), false },
    { "fold is simple: ẞ is ß", FOLD("eq", "'value': 'STRAẞE'"), X("'straße'"), true },
    { "fold, the kelvin sign is k", FOLD("eq", "'value': 'k'"), X("'\\u212a'"), true },
    { "fold is not Turkic: I is i", FOLD("eq", "'value': 'TITLE'"), X("'title'"), true },
    { "fold is not Turkic: I is not ı", FOLD("eq", "'value': 'I'"), X("'ı'"), false },
    { "fold is not Turkic: İ is not i", FOLD("eq", "'value': 'İ'"), X("'i'"), false },
    { "fold leaves numbers alone", FOLD("in", "'values': ['A', 5]"), X("5"), true },
    { "fold and a number that is not there", FOLD("in", "'values': ['A', 5]"), X("6"), false },
    { "fold and missing", FOLD("eq", "'value': 'A'"), "{}", false },
    { "fold and another type", FOLD("contains", "'value': ''"), X("1"), false },

    { "mixed operands: a string", LEAF("in", "'values': [1, '2', true]"), X("'2'"), true },
    { "mixed operands: a number", LEAF("in", "'values': [1, '2', true]"), X("1.0"), true },
    { "mixed operands: a boolean", LEAF("in", "'values': [1, '2', true]"), X("true"), true },
    { "mixed operands: the number as a string", LEAF("in", "'values': [1, '2', true]"), X("'1'"),
      false },
    { "mixed operands: the string as a number", LEAF("in", "'values': [1, '2', true]"), X("2"),
      false },
    { "mixed operands: the other boolean", LEAF("in", "'values': [1, '2', true]"), X("false"),
      false },
    { "both booleans", LEAF("eq", "'values': [true, false]"), X("false"), true },
    { "the same operand twice", LEAF("in", "'values': ['a', 'a', 'a']"), X("'a'"), true },
    { "in with one value", LEAF("in", "'value': 'a'"), X("'a'"), true },
    { "eq with several values", LEAF("eq", "'values': ['a', 'b']"), X("'b'"), true },

    { "matches is not anchored", LEAF("matches", "'value': 'b'"), X("'abc'"), true },
    { "matches, anchored", LEAF("matches", "'value': '^b$'"), X("'abc'"), false },
    { "matches, the empty pattern", LEAF("matches", "'value': ''"), X("''"), true },
    { "matches, any of several", LEAF("matches", "'values': ['^x', 'c$']"), X("'abc'"), true },
    { "matches, . is one code point", LEAF("matches", "'value': '^.$'"), X("'ä'"), true },
    { "matches, case counts", LEAF("matches", "'value': 'B'"), X("'abc'"), false },
    { "matches, (?i)", LEAF("matches", "'value': '(?i)B'"), X("'abc'"), true },
};

static const struct row number_rows[] = {
    { "an integer and a whole double", LEAF("eq", "'value': 3"), X("3.0"), true },
    { "a whole double and an integer", LEAF("eq", "'value': 3.0"), X("3"), true },
    { "an exponent", LEAF("eq", "'value': 1e3"), X("1000"), true },
    { "zero and minus zero", LEAF("eq", "'value': 0"), X("-0.0"), true },
    { "beyond 2^53 integers are exact", LEAF("eq", "'value': 9007199254740993"),
      X("9007199254740992"), false },
    { "beyond 2^53 an integer is not the double next to it",
      LEAF("eq", "'value': 9007199254740993"), X("9007199254740992.0"), false },
    { "2^53 as a double", LEAF("eq", "'value': 9007199254740992"), X("9007199254740992.0"), true },
    { "beyond 2^53 an integer is more than the double below",
      LEAF("lt", "'value': 9007199254740993"), X("9007199254740992.0"), true },
    { "beyond 2^53 a double is less than the integer above",
      LEAF("gt", "'value': 9007199254740992.0"), X("9007199254740993"), true },
    { "2^63 is more than any integer", LEAF("lt", "'value': 9223372036854775808.0"),
      X("9223372036854775807"), true },
    { "2^63 equals no integer", LEAF("eq", "'value': 9223372036854775808.0"),
      X("9223372036854775807"), false },
    { "-2^63 is an integer", LEAF("eq", "'value': -9223372036854775808"),
      X("-9223372036854775808.0"), true },
    { "a huge double", LEAF("gt", "'value': 9223372036854775807"), X("1e300"), true },
    { "a hugely negative double", LEAF("lt", "'value': -9223372036854775808"), X("-1e300"), true },
    { "a tiny double is more than 0", LEAF("gt", "'value': 0"), X("5e-324"), true },
    { "a fraction below", LEAF("lt", "'value': 5"), X("4.999"), true },
    { "a fraction above", LEAF("lt", "'value': 5"), X("5.001"), false },
    { "a negative fraction", LEAF("lt", "'value': -2"), X("-2.5"), true },
    { "a negative fraction above", LEAF("gt", "'value': -3"), X("-2.5"), true },
    { "lte, equal", LEAF("lte", "'value': 5"), X("5.0"), true },
    { "lte, a little more", LEAF("lte", "'value': 5"), X("5.000001"), false },
    { "gt, equal", LEAF("gt", "'value': 5"), X("5.0"), false },
    { "gte, a little less", LEAF("gte", "'value': 5"), X("4.999999"), false },
    { "gt, any of several operands", LEAF("gt", "'values': [10, 1]"), X("5"), true },
    { "lt, any of several operands", LEAF("lt", "'values': [1, 10]"), X("5"), true },
    { "gt, an array of which one is", LEAF("gt", "'value': 4"), X("[1, 2, 5]"), true },
    { "many operands, unsorted", LEAF("in", "'values': [9, 1, 7.5, -3, 4, 100, 8]"), X("7.5"),
      true },
    { "many operands, the least", LEAF("in", "'values': [9, 1, 7.5, -3, 4, 100, 8]"), X("-3"),
      true },
    { "many operands, the largest", LEAF("in", "'values': [9, 1, 7.5, -3, 4, 100, 8]"), X("100"),
      true },
    { "many operands, none", LEAF("in", "'values': [9, 1, 7.5, -3, 4, 100, 8]"), X("5"), false },
    { "a boolean is no number", LEAF("eq", "'value': 1"), X("true"), false },
    { "a text is no number", LEAF("lt", "'value': 5"), X("'4'"), false },
};

#define DATE(op, text) LEAF(op, "'value': '" text "'")
#define NEW_YEAR "2026-01-01T00:00:00Z" /* 1767225600000 */

static const struct row date_rows[] = {
    { "milliseconds before a text", DATE("before", NEW_YEAR), X("1767225599999"), true },
    { "milliseconds that equal a text", DATE("before", NEW_YEAR), X("1767225600000"), false },
    { "after excludes equality", DATE("after", NEW_YEAR), X("1767225600000"), false },
    { "milliseconds after a text", DATE("after", NEW_YEAR), X("1767225600001"), true },
    { "a text before milliseconds", LEAF("before", "'value': 1767225600000"),
      X("'2025-12-31T23:59:59Z'"), true },
    { "an operand that is a whole double", LEAF("before", "'value': 1767225600000.0"),
      X("1767225599999"), true },
    { "a whole double", DATE("before", NEW_YEAR), X("1767225599999.0"), true },
    { "a double that is not whole is of another type", DATE("before", NEW_YEAR),
      X("1767225599999.5"), false },
    { "negative milliseconds", DATE("before", "1970-01-01T00:00:00Z"), X("-1"), true },
    { "offsets are applied", DATE("before", NEW_YEAR), X("'2026-01-01T00:30:00+01:00'"), true },
    { "offsets are applied to operands", DATE("before", "2026-01-01T00:30:00+01:00"),
      X("'" NEW_YEAR "'"), false },
    { "a fraction", DATE("after", NEW_YEAR), X("'2026-01-01T00:00:00.5Z'"), true },
    { "digits beyond milliseconds are cut", DATE("after", NEW_YEAR),
      X("'2026-01-01T00:00:00.000999Z'"), false },
    { "digits beyond milliseconds are cut, not rounded", DATE("before", "2026-01-01T00:00:00.001Z"),
      X("'2026-01-01T00:00:00.0009Z'"), true },
    { "lower-case t and z", DATE("before", NEW_YEAR), X("'2025-12-31t00:00:00z'"), true },
    { "offset -00:00", DATE("before", NEW_YEAR), X("'2025-12-31T00:00:00-00:00'"), true },
    { "the year 1", DATE("before", NEW_YEAR), X("'0001-01-01T00:00:00Z'"), true },
    { "the year 9999", DATE("after", NEW_YEAR), X("'9999-12-31T23:59:59Z'"), true },
    { "the year 0 is none", DATE("before", NEW_YEAR), X("'0000-01-01T00:00:00Z'"), false },
    { "a space is no T", DATE("before", NEW_YEAR), X("'2025-12-31 00:00:00Z'"), false },
    { "no offset", DATE("before", NEW_YEAR), X("'2025-12-31T00:00:00'"), false },
    { "a date alone", DATE("before", NEW_YEAR), X("'2025-12-31'"), false },
    { "second 60", DATE("before", NEW_YEAR), X("'2025-06-30T23:59:60Z'"), false },
    { "a day that is none", DATE("before", NEW_YEAR), X("'2025-02-29T00:00:00Z'"), false },
    { "a leap day", DATE("before", NEW_YEAR), X("'2024-02-29T00:00:00Z'"), true },
    { "a number as a text", DATE("before", NEW_YEAR), X("'0'"), false },
    { "before any of several", LEAF("before", "'values': [0, 2000]"), X("1000"), true },
    { "after any of several", LEAF("after", "'values': [2000, 0]"), X("1000"), true },
    { "an array of mixed dates", DATE("before", NEW_YEAR), X("['x', 1767225600000, 0]"), true },
};

#define SEMVER(op, text) LEAF("semver_" op, "'value': '" text "'")

static const struct row semver_rows[] = {
    { "lt below", SEMVER("lt", "2.1.0"), X("'2.0.10'"), true },
    { "lt equal", SEMVER("lt", "2.1.0"), X("'2.1.0'"), false },
    { "lt above", SEMVER("lt", "2.1.0"), X("'2.10.0'"), false },
    { "lte below", SEMVER("lte", "2.1.0"), X("'2.0.10'"), true },
    { "lte equal", SEMVER("lte", "2.1.0"), X("'2.1.0'"), true },
    { "lte above", SEMVER("lte", "2.1.0"), X("'2.1.1'"), false },
    { "eq below", SEMVER("eq", "2.1.0"), X("'2.0.10'"), false },
    { "eq equal", SEMVER("eq", "2.1.0"), X("'2.1.0'"), true },
    { "eq above", SEMVER("eq", "2.1.0"), X("'2.1.1'"), false },
    { "gte below", SEMVER("gte", "2.1.0"), X("'2.0.10'"), false },
    { "gte equal", SEMVER("gte", "2.1.0"), X("'2.1.0'"), true },
    { "gte above", SEMVER("gte", "2.1.0"), X("'10.0.0'"), true },
    { "gt below", SEMVER("gt", "2.1.0"), X("'2.0.10'"), false },
    { "gt equal", SEMVER("gt", "2.1.0"), X("'2.1.0'"), false },
    { "gt above", SEMVER("gt", "2.1.0"), X("'10.0.0'"), true },
    { "a leading v", SEMVER("eq", "v2.1.0"), X("'2.1.0'"), true },
    { "a leading V is no version", SEMVER("eq", "2.0.0"), X("'V2'"), false },
    { "missing parts", SEMVER("eq", "2"), X("'v2.0'"), true },
    { "a prerelease is below its release", SEMVER("lt", "2.0.0"), X("'2.0.0-rc.1'"), true },
    { "2-rc.1 is a version", SEMVER("eq", "2.0.0-rc.1"), X("'2-rc.1'"), true },
    { "prereleases: numbers as numbers", SEMVER("lt", "1.0.0-rc.10"), X("'1.0.0-rc.2'"), true },
    { "prereleases: numbers below texts", SEMVER("lt", "1.0.0-rc"), X("'1.0.0-1'"), true },
    { "the build is ignored", SEMVER("eq", "1.0.0+a"), X("'1.0.0+b'"), true },
    { "numbers of any length", SEMVER("gt", "1.0.99999999999999999999"),
      X("'1.0.100000000000000000000'"), true },
    { "leading zeros are no version", SEMVER("eq", "1.2.0"), X("'1.02.0'"), false },
    { "four parts are no version", SEMVER("gt", "1.0.0"), X("'2.0.0.0'"), false },
    { "the empty text is no version", SEMVER("gte", "0.0.0"), X("''"), false },
    { "any of several", LEAF("semver_eq", "'values': ['1.0.0', '2.0.0']"), X("'2'"), true },
};

#define CIDR(text) LEAF("in_cidr", "'value': '" text "'")

static const struct row network_rows[] = {
    { "the first of a network", CIDR("10.1.0.0/16"), X("'10.1.0.0'"), true },
    { "the last of a network", CIDR("10.1.0.0/16"), X("'10.1.255.255'"), true },
    { "behind a network", CIDR("10.1.0.0/16"), X("'10.2.0.0'"), false },
    { "before a network", CIDR("10.1.0.0/16"), X("'10.0.255.255'"), false },
    { "host bits are masked", CIDR("10.1.2.3/16"), X("'10.1.0.0'"), true },
    { "a bare address is one host", CIDR("10.1.2.3"), X("'10.1.2.3'"), true },
    { "a bare address, its neighbour", CIDR("10.1.2.3"), X("'10.1.2.4'"), false },
    { "a prefix within a byte", CIDR("10.1.2.128/25"), X("'10.1.2.127'"), false },
    { "everything", CIDR("0.0.0.0/0"), X("'255.255.255.255'"), true },
    { "everything of IPv4 is not IPv6", CIDR("0.0.0.0/0"), X("'::1'"), false },
    { "IPv6", CIDR("2001:db8::/32"), X("'2001:db8:ffff::1'"), true },
    { "IPv6, another spelling", CIDR("2001:db8::/32"), X("'2001:0DB8:0:0:0:0:0:1'"), true },
    { "IPv6, outside", CIDR("2001:db8::/32"), X("'2001:db9::1'"), false },
    { "a mapped address is IPv6, not IPv4", CIDR("10.0.0.0/8"), X("'::ffff:10.0.0.1'"), false },
    { "a mapped address is IPv6", CIDR("::ffff:0:0/96"), X("'::ffff:10.0.0.1'"), true },
    { "a zone is no address", CIDR("fe80::/10"), X("'fe80::1%eth0'"), false },
    { "leading zeros are no address", CIDR("10.0.0.0/8"), X("'10.01.0.1'"), false },
    { "a network is no address", CIDR("10.0.0.0/8"), X("'10.0.0.0/8'"), false },
    { "any of several", LEAF("in_cidr", "'values': ['10.0.0.0/8', '::1']"), X("'::1'"), true },
    { "an array of addresses", CIDR("10.0.0.0/8"), X("['192.168.0.1', '10.0.0.1']"), true },
};

#define EXISTS(value) LEAF("exists", "'value': " value)

static const struct row exists_rows[] = {
    { "exists", EXISTS("true"), X("'a'"), true },
    { "exists, missing", EXISTS("true"), "{}", false },
    { "exists, null is missing", EXISTS("true"), X("null"), false },
    { "exists, the empty text", EXISTS("true"), X("''"), true },
    { "exists, false", EXISTS("true"), X("false"), true },
    { "exists, zero", EXISTS("true"), X("0"), true },
    { "exists, an empty array", EXISTS("true"), X("[]"), true },
    { "exists, an array of null", EXISTS("true"), X("[null]"), true },
    { "exists, an empty object", EXISTS("true"), X("{}"), true },
    { "exists, a nested array", EXISTS("true"), X("[[1]]"), true },
    { "does not exist", EXISTS("false"), X("'a'"), false },
    { "does not exist, missing", EXISTS("false"), "{}", true },
    { "does not exist, null", EXISTS("false"), X("null"), true },
    { "does not exist, an empty array", EXISTS("false"), X("[]"), false },
    { "does not exist, no context", EXISTS("false"), NULL, true },
    { "exists, no context", EXISTS("true"), NULL, false },
    { "exists or not", LEAF("exists", "'values': [true, false]"), "{}", true },
    { "exists, one value in a list", LEAF("exists", "'values': [false]"), X("1"), false },
    { "the targeting key exists", "{'attr': 'targetingKey', 'op': 'exists', 'value': true}",
      "{'targetingKey': ''}", true },
    { "the targeting key is null", "{'attr': 'targetingKey', 'op': 'exists', 'value': true}",
      "{'targetingKey': null}", false },
};

#define ATTR(name) "{'attr': '" name "', 'op': 'eq', 'value': 1}"

static const struct row name_rows[] = {
    { "a name", ATTR("x"), "{'x': 1}", true },
    { "names are exact", ATTR("x"), "{'X': 1}", false },
    { "a path", ATTR("a.b"), "{'a': {'b': 1}}", true },
    { "a longer path", ATTR("a.b.c.d"), "{'a': {'b': {'c': {'d': 1}}}}", true },
    { "a path that ends early", ATTR("a.b"), "{'a': 1}", false },
    { "a path that goes on", ATTR("a"), "{'a': {'b': 1}}", false },
    { "a path to something missing", ATTR("a.b"), "{'a': {'c': 1}}", false },
    { "a path through null", ATTR("a.b"), "{'a': null}", false },
    { "a path through a text", ATTR("a.b"), "{'a': 'b'}", false },
    { "a path through an array", ATTR("a.b"), "{'a': [{'b': 1}]}", false },
    { "no index into an array", ATTR("a.0"), "{'a': [1]}", false },
    { "a path to an array", ATTR("a.b"), "{'a': {'b': [2, 1]}}", true },
    { "a path to null", ATTR("a.b"), "{'a': {'b': null}}", false },
    { "the exact name", ATTR("a.b"), "{'a.b': 1}", true },
    { "the exact name comes before the path", ATTR("a.b"), "{'a': {'b': 1}, 'a.b': 2}", false },
    { "the exact name comes before the path, matching", ATTR("a.b"), "{'a': {'b': 2}, 'a.b': 1}",
      true },
    { "the exact name counts even when it is null", ATTR("a.b"), "{'a': {'b': 1}, 'a.b': null}",
      false },
    { "the exact name counts even when it is of another type", ATTR("a.b"),
      "{'a': {'b': 1}, 'a.b': 'x'}", false },
    { "a path is split at every dot", ATTR("a.b.c"), "{'a.b': {'c': 1}}", false },
    { "a path is split at every dot, inside", ATTR("a.b.c"), "{'a': {'b.c': 1}}", false },
    { "members may have empty names", ATTR("a..b"), "{'a': {'': {'b': 1}}}", true },
    { "a dot at the end", ATTR("a."), "{'a': {'': 1}}", true },
    { "a dot at the end is not nothing", ATTR("a."), "{'a': 1}", false },
    { "a name in UTF-8", ATTR("größe"), "{'größe': 1}", true },
    { "the targeting key", "{'attr': 'targetingKey', 'op': 'eq', 'value': 'u1'}",
      "{'targetingKey': 'u1'}", true },
    { "an integer as a targeting key is a text",
      "{'attr': 'targetingKey', 'op': 'eq', 'value': '42'}", "{'targetingKey': 42}", true },
    { "an integer as a targeting key is no number",
      "{'attr': 'targetingKey', 'op': 'eq', 'value': 42}", "{'targetingKey': 42}", false },
    { "the targeting key's name is exact", ATTR("TargetingKey"), "{'TargetingKey': 1}", true },
    { "a member called targetingKey", ATTR("user.targetingKey"), "{'user': {'targetingKey': 1}}",
      true },
};

#define T "{'segment': 'yes'}"
#define F "{'segment': 'no'}"

static const struct row tree_rows[] = {
    { "yes", T, NULL, true },
    { "no", F, NULL, false },
    { "not", "{'not': " F "}", NULL, true },
    { "not not", "{'not': {'not': " T "}}", NULL, true },
    { "all of one", "{'all': [" T "]}", NULL, true },
    { "all of one that does not hold", "{'all': [" F "]}", NULL, false },
    { "all", "{'all': [" T ", " T ", " T "]}", NULL, true },
    { "all, not the first", "{'all': [" F ", " T ", " T "]}", NULL, false },
    { "all, not the middle", "{'all': [" T ", " F ", " T "]}", NULL, false },
    { "all, not the last", "{'all': [" T ", " T ", " F "]}", NULL, false },
    { "any of one", "{'any': [" T "]}", NULL, true },
    { "any of one that does not hold", "{'any': [" F "]}", NULL, false },
    { "any", "{'any': [" F ", " F ", " F "]}", NULL, false },
    { "any, the first", "{'any': [" T ", " F ", " F "]}", NULL, true },
    { "any, the middle", "{'any': [" F ", " T ", " F "]}", NULL, true },
    { "any, the last", "{'any': [" F ", " F ", " T "]}", NULL, true },
    { "not all", "{'not': {'all': [" T ", " F "]}}", NULL, true },
    { "not any", "{'not': {'any': [" T ", " F "]}}", NULL, false },
    { "all of any", "{'all': [{'any': [" F ", " T "]}, {'any': [" T ", " F "]}]}", NULL, true },
    { "any of all", "{'any': [{'all': [" T ", " F "]}, {'all': [" F ", " T "]}]}", NULL, false },
    { "all, a not at the end", "{'all': [" T ", {'not': " F "}]}", NULL, true },
    { "any, a not in front", "{'any': [{'not': " T "}, " F "]}", NULL, false },
    { "a flag", "{'flag': 't', 'variant': 'on'}", NULL, true },
    { "a flag's other variant", "{'flag': 't', 'variant': 'off'}", NULL, false },
    { "both kinds of leaves", "{'all': [" T ", {'flag': 't', 'variant': 'on'}, " ATTR("x") "]}",
      X("1"), true },
};

static void check_row(const struct row *row)
{
    check(row->label, row->condition, row->context, row->holds);
}

START_TEST(texts_are_compared_like_this)
{
    check_row(&text_rows[_i]);
}
END_TEST

START_TEST(numbers_are_compared_by_their_exact_values)
{
    check_row(&number_rows[_i]);
}
END_TEST

START_TEST(dates_are_datetimes_texts_and_milliseconds)
{
    check_row(&date_rows[_i]);
}
END_TEST

START_TEST(versions_are_compared_by_precedence)
{
    check_row(&semver_rows[_i]);
}
END_TEST

START_TEST(addresses_lie_in_networks)
{
    check_row(&network_rows[_i]);
}
END_TEST

START_TEST(exists_asks_for_anything_but_missing_and_null)
{
    check_row(&exists_rows[_i]);
}
END_TEST

START_TEST(an_attribute_is_a_name_or_else_a_path)
{
    check_row(&name_rows[_i]);
}
END_TEST

START_TEST(conditions_are_put_together)
{
    check_row(&tree_rows[_i]);
}
END_TEST

/* ---- what JSON cannot say ---- */

START_TEST(a_datetime_attribute_is_a_date_and_nothing_else)
{
    flagver_context *context = flagver_context_new(NULL);

    assert_ok(flagver_context_set_datetime(context, "x", 1767225600000));
    check_for("before", LEAF("before", "'value': 1767225600001"), context, true);
    check_for("before, equal", DATE("before", NEW_YEAR), context, false);
    check_for("after", LEAF("after", "'value': '2025-12-31T23:59:59.999Z'"), context, true);
    check_for("exists", EXISTS("true"), context, true);
    check_for("eq", LEAF("eq", "'value': 1767225600000"), context, false);
    check_for("lt", LEAF("lt", "'value': 1767225600001"), context, false);
    check_for("gte", LEAF("gte", "'value': 0"), context, false);
    check_for("contains", LEAF("contains", "'value': ''"), context, false);
    flagver_context_free(context);
}
END_TEST

START_TEST(a_list_may_hold_datetimes)
{
    flagver_context *context = flagver_context_new(NULL);

    assert_ok(flagver_context_begin_list(context, "x"));
    assert_ok(flagver_context_set_datetime(context, NULL, 1767225600000));
    assert_ok(flagver_context_set_datetime(context, NULL, 1000));
    assert_ok(flagver_context_end(context));
    check_for("before", LEAF("before", "'value': 1001"), context, true);
    check_for("before", LEAF("before", "'value': 1000"), context, false);
    flagver_context_free(context);
}
END_TEST

START_TEST(a_text_with_a_nul_is_longer_than_it_looks)
{
    flagver_context *context = flagver_context_new(NULL);

    assert_ok(flagver_context_set_bytes(context, "x", "ab\0cd", 5));
    check_for("eq", LEAF("eq", "'value': 'ab'"), context, false);
    check_for("eq, folded", FOLD("eq", "'value': 'AB'"), context, false);
    check_for("starts_with", LEAF("starts_with", "'value': 'ab'"), context, true);
    check_for("ends_with", LEAF("ends_with", "'value': 'cd'"), context, true);
    check_for("contains", LEAF("contains", "'value': 'cd'"), context, true);
    check_for("contains, folded", FOLD("contains", "'value': 'CD'"), context, true);
    check_for("matches", LEAF("matches", "'value': 'd$'"), context, true);

    assert_ok(flagver_context_set_bytes(context, "x", "1.0.0\0", 6));
    check_for("semver", LEAF("semver_eq", "'value': '1.0.0'"), context, false);
    assert_ok(flagver_context_set_bytes(context, "x", "10.0.0.1\0", 9));
    check_for("address", CIDR("10.0.0.0/8"), context, false);
    assert_ok(flagver_context_set_bytes(context, "x", NEW_YEAR "\0", sizeof NEW_YEAR));
    check_for("date", LEAF("after", "'value': 0"), context, false);
    flagver_context_free(context);
}
END_TEST

START_TEST(bytes_that_are_no_utf8_are_compared_as_they_are)
{
    flagver_context *context = flagver_context_new(NULL);

    assert_ok(flagver_context_set_string(context, "x", "a\xff"));
    check_for("eq", LEAF("eq", "'value': 'a'"), context, false);
    check_for("starts_with", LEAF("starts_with", "'value': 'a'"), context, true);
    check_for("starts_with, folded", FOLD("starts_with", "'value': 'A'"), context, true);
    check_for("matches", LEAF("matches", "'value': '^a'"), context, true);
    flagver_context_free(context);
}
END_TEST

START_TEST(a_nan_is_no_match_for_anything)
{
    flagver_context *context = flagver_context_new(NULL);

    assert_ok(flagver_context_set_double(context, "x", (double)NAN));
    check_for("eq", LEAF("eq", "'values': [0, 1.5, -1]"), context, false);
    check_for("lt", LEAF("lt", "'value': 0"), context, false);
    check_for("lte", LEAF("lte", "'value': 0.5"), context, false);
    check_for("gt", LEAF("gt", "'value': 0"), context, false);
    check_for("gte", LEAF("gte", "'value': 0.5"), context, false);
    check_for("before", LEAF("before", "'value': 9e15"), context, false);
    check_for("after", LEAF("after", "'value': 0"), context, false);
    check_for("exists", EXISTS("true"), context, true);
    flagver_context_free(context);
}
END_TEST

START_TEST(an_infinity_is_beyond_all_numbers)
{
    flagver_context *context = flagver_context_new(NULL);

    assert_ok(flagver_context_set_double(context, "x", (double)INFINITY));
    check_for("gt", LEAF("gt", "'value': 9223372036854775807"), context, true);
    check_for("gt", LEAF("gt", "'value': 1.7976931348623157e308"), context, true);
    check_for("lt", LEAF("lt", "'value': 1.7976931348623157e308"), context, false);
    check_for("after", LEAF("after", "'value': 0"), context, false);
    assert_ok(flagver_context_set_double(context, "x", (double)-INFINITY));
    check_for("lt", LEAF("lt", "'value': -9223372036854775808"), context, true);
    check_for("eq", LEAF("eq", "'value': -9223372036854775808"), context, false);
    flagver_context_free(context);
}
END_TEST

START_TEST(a_thousand_operands_are_all_found)
{
    struct fv_text condition = FV_TEXT_INIT, folded = FV_TEXT_INIT;
    flagver_context *context = flagver_context_new(NULL);
    flagver_snapshot *plain, *fold;
    char text[32];
    int i;

    fv_text_add(&condition, "{'attr': 'x', 'op': 'in', 'values': [");
    for (i = 0; i < 1000; i++)
        fv_text_format(&condition, "%s'User%d', %d, %d.5", i ? ", " : "", i, i * 2, i);
    fv_text_format(&folded, "%s], 'fold': true}", condition.data);
    fv_text_add(&condition, "]}");
    plain = compile(condition.data);
    fold = compile(folded.data);

    for (i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "User%d", i);
        assert_ok(flagver_context_set_string(context, "x", text));
        ck_assert_msg(serves_on(plain, "f", context), "%s is not found", text);
        snprintf(text, sizeof text, "uSER%d", i);
        assert_ok(flagver_context_set_string(context, "x", text));
        ck_assert_msg(!serves_on(plain, "f", context), "%s is found", text);
        ck_assert_msg(serves_on(fold, "f", context), "%s is not found, folded", text);
        assert_ok(flagver_context_set_int(context, "x", i * 2));
        ck_assert_msg(serves_on(plain, "f", context), "%d is not found", i * 2);
        assert_ok(flagver_context_set_int(context, "x", i * 2 + 1));
        ck_assert_msg(!serves_on(plain, "f", context), "%d is found", i * 2 + 1);
        assert_ok(flagver_context_set_double(context, "x", i + 0.5));
        ck_assert_msg(serves_on(plain, "f", context), "%d.5 is not found", i);
        assert_ok(flagver_context_set_double(context, "x", i + 0.25));
        ck_assert_msg(!serves_on(plain, "f", context), "%d.25 is found", i);
    }

    flagver_snapshot_free(plain);
    flagver_snapshot_free(fold);
    flagver_context_free(context);
    fv_text_clear(&condition);
    fv_text_clear(&folded);
}
END_TEST

static Suite *condition_suite(void)
{
    Suite *suite = suite_create("condition");
    TCase *operators = tcase_create("operators");
    TCase *rows = tcase_create("rows");
    TCase *others = tcase_create("others");

    tcase_add_loop_test(operators, an_operator_compares_a_value_with_its_operands, 0,
                        COUNT(operator_rows));
    tcase_add_loop_test(operators, a_missing_attribute_matches_nothing, 0, COUNT(operator_rows));
    tcase_add_loop_test(operators, a_value_of_another_type_matches_nothing, 0,
                        COUNT(operator_rows));
    tcase_add_loop_test(operators, an_array_matches_if_any_element_does, 0, COUNT(operator_rows));
    tcase_add_loop_test(operators, an_array_in_an_array_is_of_another_type, 0,
                        COUNT(operator_rows));
    tcase_add_loop_test(operators, any_of_several_operands_is_enough, 0, COUNT(operator_rows));
    suite_add_tcase(suite, operators);

    tcase_add_loop_test(rows, texts_are_compared_like_this, 0, COUNT(text_rows));
    tcase_add_loop_test(rows, numbers_are_compared_by_their_exact_values, 0, COUNT(number_rows));
    tcase_add_loop_test(rows, dates_are_datetimes_texts_and_milliseconds, 0, COUNT(date_rows));
    tcase_add_loop_test(rows, versions_are_compared_by_precedence, 0, COUNT(semver_rows));
    tcase_add_loop_test(rows, addresses_lie_in_networks, 0, COUNT(network_rows));
    tcase_add_loop_test(rows, exists_asks_for_anything_but_missing_and_null, 0, COUNT(exists_rows));
    tcase_add_loop_test(rows, an_attribute_is_a_name_or_else_a_path, 0, COUNT(name_rows));
    tcase_add_loop_test(rows, conditions_are_put_together, 0, COUNT(tree_rows));
    suite_add_tcase(suite, rows);

    tcase_add_test(others, a_datetime_attribute_is_a_date_and_nothing_else);
    tcase_add_test(others, a_list_may_hold_datetimes);
    tcase_add_test(others, a_text_with_a_nul_is_longer_than_it_looks);
    tcase_add_test(others, bytes_that_are_no_utf8_are_compared_as_they_are);
    tcase_add_test(others, a_nan_is_no_match_for_anything);
    tcase_add_test(others, an_infinity_is_beyond_all_numbers);
    tcase_add_test(others, a_thousand_operands_are_all_found);
    suite_add_tcase(suite, others);
    return suite;
}

int main(void)
{
    return run_suite(condition_suite());
}
