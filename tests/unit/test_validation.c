/*
 * Schemas of payloads: what fits, what does not and what is said about it, and
 * which schemas are refused.
 */
#include "codec/json.h"
#include "codec/schema.h"
#include "flags.h"

static struct fv_schema *schema;
static json_t *payload;

static void clear(void)
{
    fv_schema_free(schema);
    json_decref(payload);
    schema = NULL;
    payload = NULL;
}

static json_t *parse(const char *json)
{
    json_t *root = NULL;
    char *text = quoted(json);

    assert_ok(fv_json_parse(text, strlen(text), NULL, &root, &error));
    free(text);
    return root;
}

/* The schema stands alone in its text. */
static int compile(const char *json)
{
    char *text = quoted(json);
    const struct fv_reading reading = { text, strlen(text), NULL, &error };
    json_t *root = parse(json);
    int r = fv_schema_new(&reading, NULL, root, &schema);

    json_decref(root);
    free(text);
    return r;
}

static int check(const char *json)
{
    json_decref(payload);
    payload = parse(json);
    return fv_schema_check(schema, payload, &error);
}

/* ---- schema × payload × verdict: NULL fits, words do not ---- */

struct row {
    const char *schema, *payload, *words;
};

/* clang-format off */
static const struct row rows[] = {
    /* Booleans are schemas, and so is the empty object. */
    { "true", "{'a': 1}", NULL },
    { "{}", "null", NULL },
    { "false", "null", "(root): is not allowed here" },

    /* type */
    { "{'type': 'null'}", "null", NULL },
    { "{'type': 'null'}", "false", "(root): must be null, not a boolean" },
    { "{'type': 'boolean'}", "true", NULL },
    { "{'type': 'boolean'}", "false", NULL },
    { "{'type': 'boolean'}", "0", "must be a boolean, not an integer" },
    { "{'type': 'object'}", "{}", NULL },
    { "{'type': 'object'}", "[]", "must be an object, not an array" },
    { "{'type': 'array'}", "[]", NULL },
    { "{'type': 'array'}", "{}", "must be an array, not an object" },
    { "{'type': 'string'}", "''", NULL },
    { "{'type': 'string'}", "null", "must be a string, not null" },
    { "{'type': 'number'}", "1", NULL },
    { "{'type': 'number'}", "1.5", NULL },
    { "{'type': 'number'}", "'1'", "must be a number, not a string" },
    { "{'type': 'integer'}", "1", NULL },
    { "{'type': 'integer'}", "1.0", NULL },
    { "{'type': 'integer'}", "-1e3", NULL },
    { "{'type': 'integer'}", "1e300", NULL },
    { "{'type': 'integer'}", "1.5", "must be an integer, not a number with a fraction" },
    { "{'type': ['string', 'null']}", "null", NULL },
    { "{'type': ['string', 'null']}", "'a'", NULL },
    { "{'type': ['string', 'null']}", "1", "must be null or a string, not an integer" },
    { "{'type': ['integer', 'number']}", "1.5", NULL },
    { "{'type': ['integer', 'number']}", "'a'", "must be a number, not a string" },

    /* enum and const compare as JSON Schema does. */
    { "{'enum': ['low', 'high', 3]}", "'high'", NULL },
    { "{'enum': ['low', 'high', 3]}", "3.0", NULL },
    { "{'enum': ['low', 'high', 3]}", "'High'", "(root): must be one of \"low\", \"high\", 3" },
    { "{'enum': [[1, {'a': 2}]]}", "[1.0, {'a': 2}]", NULL },
    { "{'enum': [[1, {'a': 2}]]}", "[1, {'a': 3}]", "must be [1,{\"a\":2}]" },
    { "{'const': {'a': 1, 'b': [true, null]}}", "{'b': [true, null], 'a': 1}", NULL },
    { "{'const': {'a': 1}}", "{'a': 1, 'b': 1}", "must be {\"a\":1}" },
    { "{'const': {'a': 1}}", "{'b': 1}", "must be {\"a\":1}" },
    { "{'const': [1, 2]}", "[2, 1]", "must be [1,2]" },
    { "{'const': [1, 2]}", "[1]", "must be [1,2]" },
    { "{'const': null}", "null", NULL },
    { "{'const': null}", "false", "must be null" },
    { "{'const': false}", "0", "must be false" },
    { "{'const': ''}", "''", NULL },
    { "{'const': 'ab'}", "'abc'", "must be \"ab\"" },
    { "{'const': 9007199254740993}", "9007199254740993", NULL },
    { "{'const': 9007199254740993}", "9007199254740992", "must be 9007199254740993" },
    { "{'const': 9007199254740993}", "9007199254740992.0", "must be 9007199254740993" },

    /* Strings: characters are code points. */
    { "{'minLength': 2}", "'ab'", NULL },
    { "{'minLength': 2}", "'a'", "is 1 character; 2 or more allowed" },
    { "{'maxLength': 2}", "'\\ud83d\\ude00\\u00e4'", NULL },
    { "{'maxLength': 2}", "'abc'", "is 3 characters; up to 2 allowed" },
    { "{'minLength': 2, 'maxLength': 3}", "'abcd'", "is 4 characters; 2 to 3 allowed" },
    { "{'minLength': 2, 'maxLength': 3}", "''", "is 0 characters; 2 to 3 allowed" },
    { "{'minLength': 2, 'maxLength': 0, 'minimum': 5}", "[]", NULL },
    { "{'maxLength': 0}", "''", NULL },
    { "{'pattern': '^[a-z]+-[0-9]{2}$'}", "'abc-42'", NULL },
    { "{'pattern': '^[a-z]+-[0-9]{2}$'}", "'abc-421'", "does not match \"^[a-z]+-[0-9]{2}$\"" },
    { "{'pattern': 'b'}", "'abc'", NULL },
    { "{'pattern': 'b'}", "''", "does not match \"b\"" },
    { "{'pattern': 'b'}", "1", NULL },

    /* Numbers: the limits are exact, and integers and reals are one. */
    { "{'minimum': 10}", "10", NULL },
    { "{'minimum': 10}", "9.999", "must not be below 10" },
    { "{'minimum': 10.5}", "10", "must not be below 10.5" },
    { "{'maximum': 10}", "10.0", NULL },
    { "{'maximum': 10}", "11", "must not be above 10" },
    { "{'maximum': 9007199254740992.0}", "9007199254740993", "must not be above" },
    { "{'minimum': 9007199254740993}", "9007199254740992.0", "must not be below 9007199254740993" },
    { "{'exclusiveMinimum': 0}", "0.001", NULL },
    { "{'exclusiveMinimum': 0}", "0", "must be above 0" },
    { "{'exclusiveMinimum': 0}", "-0.0", "must be above 0" },
    { "{'exclusiveMaximum': 1.5}", "1", NULL },
    { "{'exclusiveMaximum': 1.5}", "1.5", "must be below 1.5" },
    { "{'minimum': 1}", "'a'", NULL },

    /* multipleOf: of decimals, exactly. */
    { "{'multipleOf': 7}", "42", NULL },
    { "{'multipleOf': 7}", "-42", NULL },
    { "{'multipleOf': 7}", "0", NULL },
    { "{'multipleOf': 7}", "43", "must be a multiple of 7" },
    { "{'multipleOf': 3}", "9007199254740993", NULL },
    { "{'multipleOf': 3}", "9007199254740994", "must be a multiple of 3" },
    { "{'multipleOf': 9223372036854775807}", "-9223372036854775807", NULL },
    { "{'multipleOf': 9223372036854775807}", "-9223372036854775808", "must be a multiple" },
    { "{'multipleOf': 2}", "-9223372036854775808", NULL },
    { "{'multipleOf': 0.1}", "0.3", NULL },
    { "{'multipleOf': 0.01}", "19.99", NULL },
    { "{'multipleOf': 0.01}", "4.35", NULL },
    { "{'multipleOf': 0.01}", "4.355", "must be a multiple of 0.01" },
    { "{'multipleOf': 0.01}", "1", NULL },
    { "{'multipleOf': 2.5}", "7.5", NULL },
    { "{'multipleOf': 2.5}", "7", "must be a multiple of 2.5" },
    { "{'multipleOf': 5}", "7.5", "must be a multiple of 5" },
    { "{'multipleOf': 5}", "10.0", NULL },
    { "{'multipleOf': 100}", "1e300", NULL },
    { "{'multipleOf': 7}", "1e300", "must be a multiple of 7" },
    { "{'multipleOf': 9223372036854775807}", "1e300", "must be a multiple" },
    { "{'multipleOf': 1e300}", "1", "must be a multiple" },
    { "{'multipleOf': 1e-300}", "1", NULL },
    { "{'multipleOf': 3e-300}", "1", "must be a multiple" },

    /* Arrays. */
    { "{'items': {'type': 'integer'}}", "[]", NULL },
    { "{'items': {'type': 'integer'}}", "[1, 2.0]", NULL },
    { "{'items': {'type': 'integer'}}", "[1, 2, '3']", "/2: must be an integer, not a string" },
    { "{'items': false}", "[]", NULL },
    { "{'items': false}", "[1]", "/0: is not allowed here" },
    { "{'items': {'type': 'integer'}}", "{'a': 'b'}", NULL },
    { "{'minItems': 1}", "[1]", NULL },
    { "{'minItems': 1}", "[]", "has 0 elements; 1 or more allowed" },
    { "{'maxItems': 1}", "[1, 2]", "has 2 elements; up to 1 allowed" },
    { "{'minItems': 2, 'maxItems': 3}", "[1]", "has 1 element; 2 to 3 allowed" },
    { "{'uniqueItems': true}", "[]", NULL },
    { "{'uniqueItems': true}", "[1, '1', true, [1], {'a': 1}, {'a': 2}, null, 'a', false]", NULL },
    { "{'uniqueItems': true}", "[1, 2, 1]", "/2: is the same as element 0" },
    { "{'uniqueItems': true}", "[1, 2, 1.0]", "/2: is the same as element 0" },
    { "{'uniqueItems': true}", "[0.0, -0.0]", "/1: is the same as element 0" },
    { "{'uniqueItems': true}", "[{'a': 1, 'b': [2]}, {'b': [2.0], 'a': 1}]",
      "/1: is the same as element 0" },
    { "{'uniqueItems': true}", "[[1, 2], [2, 1]]", NULL },
    { "{'uniqueItems': true}", "[9007199254740993, 9007199254740992]", NULL },
    { "{'uniqueItems': false}", "[1, 1]", NULL },

    /* Objects. */
    { "{'properties': {'b': {'type': 'string'}, 'a': {'type': 'integer'}}}", "{}", NULL },
    { "{'properties': {'b': {'type': 'string'}, 'a': {'type': 'integer'}}}",
      "{'a': 1, 'b': '', 'c': null}", NULL },
    { "{'properties': {'b': {'type': 'string'}, 'a': {'type': 'integer'}}}",
      "{'c': 1, 'a': 'x'}", "/a: must be an integer, not a string" },
    { "{'properties': {'a': false}}", "{'a': 1}", "/a: is not allowed here" },
    { "{'properties': {'a': {'type': 'integer'}}}", "['x']", NULL },
    { "{'required': ['a', 'b']}", "{'b': 1, 'a': null}", NULL },
    { "{'required': ['a', 'b']}", "{'a': 1}", "(root): \"b\" is missing" },
    { "{'required': []}", "{}", NULL },
    { "{'required': ['a']}", "[]", NULL },
    { "{'properties': {'a': true}, 'additionalProperties': false}", "{'a': 1}", NULL },
    { "{'properties': {'a': true}, 'additionalProperties': false}", "{'a': 1, 'x/y': 2}",
      "/x~1y: is not allowed here" },
    { "{'additionalProperties': false}", "{}", NULL },
    { "{'additionalProperties': {'type': 'string'}}", "{'x': 1}", "/x: must be a string" },
    { "{'properties': {'a': true}, 'additionalProperties': {'type': 'string'}}",
      "{'a': 1, 'x': ''}", NULL },
    { "{'minProperties': 1}", "{}", "has 0 members; 1 or more allowed" },
    { "{'maxProperties': 1}", "{'a': 1, 'b': 2}", "has 2 members; up to 1 allowed" },
    { "{'minProperties': 1, 'maxProperties': 2}", "{'a': 1}", NULL },
    { "{'properties': {'owner': {'properties': {'email': {'maxLength': 5}}}}}",
      "{'owner': {'email': 'abcdef'}}", "/owner/email: is 6 characters; up to 5 allowed" },

    /* Schemas about schemas. */
    { "{'allOf': [{'type': 'integer'}, {'minimum': 5}]}", "5", NULL },
    { "{'allOf': [{'type': 'integer'}, {'minimum': 5}]}", "4", "must not be below 5" },
    { "{'anyOf': [{'type': 'integer'}, {'type': 'null'}]}", "null", NULL },
    { "{'anyOf': [{'type': 'integer'}, {'type': 'null'}]}", "''",
      "(root): fits none of the 2 schemas of \"anyOf\"" },
    { "{'anyOf': [{'type': 'integer'}]}", "''", "must be an integer, not a string" },
    { "{'oneOf': [{'minimum': 5}, {'maximum': 3}]}", "7", NULL },
    { "{'oneOf': [{'minimum': 5}, {'maximum': 3}]}", "4",
      "fits none of the 2 schemas of \"oneOf\"" },
    { "{'oneOf': [{'minimum': 5}, {'maximum': 6}]}", "5",
      "fits more than one schema of \"oneOf\"" },
    { "{'oneOf': [{'minimum': 5}]}", "4", "must not be below 5" },
    { "{'not': {'type': 'null'}}", "1", NULL },
    { "{'not': {'type': 'null'}}", "null", "is what \"not\" rules out" },
    { "{'not': {'not': {'type': 'null'}}}", "null", NULL },
    { "{'not': {}}", "1", "is what \"not\" rules out" },
    { "{'items': {'anyOf': [{'type': 'null'}, {'properties': {'a': {'type': 'null'}}}]}}",
      "[null, {'a': 1}]", "/1: fits none of the 2 schemas" },

    /* References: also to themselves, as long as they look into the value. */
    { "{'$defs': {'id': {'type': 'integer'}}, 'properties': {'a': {'$ref': '#/$defs/id'}}}",
      "{'a': 1}", NULL },
    { "{'$defs': {'id': {'type': 'integer'}}, 'properties': {'a': {'$ref': '#/$defs/id'}}}",
      "{'a': ''}", "/a: must be an integer" },
    { "{'$defs': {'id': {'type': 'integer'}}, '$ref': '#/$defs/id', 'minimum': 3}", "2",
      "must not be below 3" },
    { "{'$defs': {'a/b~c': {'type': 'null'}}, '$ref': '#/$defs/a~1b~0c'}", "1", "must be null" },
    { "{'$defs': {'tree': {'type': 'object', 'properties': {'kids': {'items': "
      "{'$ref': '#/$defs/tree'}}}}}, '$ref': '#/$defs/tree'}",
      "{'kids': [{'kids': []}, {'kids': [{}]}]}", NULL },
    { "{'$defs': {'tree': {'type': 'object', 'properties': {'kids': {'items': "
      "{'$ref': '#/$defs/tree'}}}}}, '$ref': '#/$defs/tree'}",
      "{'kids': [{'kids': []}, {'kids': [1]}]}", "/kids/1/kids/0: must be an object" },
    { "{'$defs': {'a': {'$ref': '#/$defs/b'}, 'b': {'items': {'$ref': '#/$defs/a'}}}, "
      "'$ref': '#/$defs/a'}", "[[[]]]", NULL },

    /* Notes change nothing. */
    { "{'title': 't', 'description': 'd', 'default': 1, 'examples': [2], 'format': 'email', "
      "'$schema': 's', '$id': 'i', '$comment': 'c'}", "{}", NULL },
};
/* clang-format on */

START_TEST(a_payload_fits_or_the_words_say_what_does_not)
{
    const struct row *row = &rows[_i];

    assert_ok(compile(row->schema));
    if (row->words) {
        assert_fails(FLAGVER_EVALIDATION, check(row->payload));
        assert_words(row->words);
    } else {
        assert_ok(check(row->payload));
    }
}
END_TEST

START_TEST(words_may_go_unread)
{
    assert_ok(compile("{'type': 'object', 'properties': {'a': {'enum': [1, 2]}}}"));
    payload = parse("{'a': 3}");
    ck_assert_int_eq(fv_schema_check(schema, payload, NULL), FLAGVER_EVALIDATION);
}
END_TEST

START_TEST(words_do_not_tell_what_the_payload_holds)
{
    assert_ok(compile("{'properties': {'a': {'enum': ['x']}, 'b': {'minimum': 5000}, 'c': "
                      "{'pattern': '^x'}, 'd': {'const': 1}}}"));
    assert_fails(FLAGVER_EVALIDATION, check("{'a': 'secret'}"));
    ck_assert_ptr_null(strstr(error.message, "secret"));
    assert_fails(FLAGVER_EVALIDATION, check("{'b': 4242}"));
    ck_assert_ptr_null(strstr(error.message, "4242"));
    assert_fails(FLAGVER_EVALIDATION, check("{'c': 'secret'}"));
    ck_assert_ptr_null(strstr(error.message, "secret"));
    assert_fails(FLAGVER_EVALIDATION, check("{'d': 'secret'}"));
    ck_assert_ptr_null(strstr(error.message, "secret"));
}
END_TEST

START_TEST(words_are_one_line_and_long_ones_are_shortened)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    assert_ok(compile("{'additionalProperties': {'enum': ['a', 'b']}}"));
    fv_text_add(&text, "{'a\\nb");
    for (i = 0; i < 1000; i++)
        fv_text_add(&text, "\xc3\xa4");
    fv_text_add(&text, "': 1}");
    assert_fails(FLAGVER_EVALIDATION, check(text.data));
    assert_words("/a?b\xc3\xa4");
    assert_words("\xe2\x80\xa6\xc3\xa4");
    assert_words(": must be one of \"a\", \"b\"");
    clear();

    fv_text_reset(&text);
    fv_text_add(&text, "{'enum': ['x'");
    for (i = 0; i < 1000; i++)
        fv_text_format(&text, ", 'value %d'", i);
    fv_text_add(&text, "]}");
    assert_ok(compile(text.data));
    assert_fails(FLAGVER_EVALIDATION, check("1"));
    assert_words("must be one of \"x\", \"value 0\", \"value 1\"");
    assert_words("\xe2\x80\xa6");
    assert_ok(check("'value 999'"));
    fv_text_clear(&text);
}
END_TEST

START_TEST(the_schema_outlives_the_text_that_it_is_from)
{
    assert_ok(compile("{'properties': {'name': {'const': 'kept', 'pattern': 'ke'}}}"));
    assert_ok(check("{'name': 'kept'}"));
    fv_schema_free(NULL);
}
END_TEST

/* ---- what is refused when it is written ---- */

struct refusal {
    const char *schema, *words;
    int column;
};

static const struct refusal refusals[] = {
    { "1", "(root): must be a schema: an object or boolean, not an integer", 1 },
    { "{'items': 'x'}", "/items: must be a schema: an object or boolean, not a string", 11 },
    { "{'patternProperties': {}}", "/patternProperties: unknown key \"patternProperties\"", 2 },
    { "{'prefixItems': []}", "unknown key \"prefixItems\"", 2 },
    { "{'if': {}}", "unknown key \"if\"", 2 },
    { "{'contains': {}}", "unknown key \"contains\"", 2 },
    { "{'propertyNames': {}}", "unknown key \"propertyNames\"", 2 },
    { "{'dependentRequired': {}}", "unknown key \"dependentRequired\"", 2 },
    { "{'unevaluatedProperties': false}", "unknown key \"unevaluatedProperties\"", 2 },
    { "{'$anchor': 'a'}", "unknown key \"$anchor\"", 2 },
    { "{'$dynamicRef': '#'}", "unknown key \"$dynamicRef\"", 2 },
    { "{'definitions': {}}", "unknown key \"definitions\"", 2 },
    { "{'properties': {'a': {'typ': 'null'}}}", "/properties/a/typ: unknown key \"typ\"", 23 },
    { "{'type': 'int'}", "/type: unknown type \"int\"", 10 },
    { "{'type': 1}", "/type: must be a string", 10 },
    { "{'type': []}", "/type: must not be empty", 10 },
    { "{'type': ['null', 'any']}", "/type/1: unknown type \"any\"", 19 },
    { "{'type': [1]}", "/type/0: must be a string", 11 },
    { "{'enum': 1}", "/enum: must be an array", 10 },
    { "{'enum': []}", "/enum: must not be empty", 10 },
    { "{'properties': []}", "/properties: must be an object", 16 },
    { "{'properties': {'a': 1}}", "/properties/a: must be a schema", 22 },
    { "{'required': 'a'}", "/required: must be an array", 14 },
    { "{'required': ['a', 1]}", "/required/1: must be a string", 20 },
    { "{'required': ['a', 'b', 'a']}", "/required/2: \"a\" stands twice", 25 },
    { "{'additionalProperties': 1}", "/additionalProperties: must be a schema", 26 },
    { "{'minLength': -1}", "/minLength: must not be below 0", 15 },
    { "{'maxLength': 1.0}", "/maxLength: must be an integer", 15 },
    { "{'minItems': '1'}", "/minItems: must be an integer", 14 },
    { "{'maxItems': null}", "/maxItems: must be an integer", 14 },
    { "{'minProperties': -2}", "/minProperties: must not be below 0", 19 },
    { "{'maxProperties': []}", "/maxProperties: must be an integer", 19 },
    { "{'uniqueItems': 1}", "/uniqueItems: must be true or false", 17 },
    { "{'pattern': 1}", "/pattern: must be a string", 13 },
    { "{'pattern': '('}", "/pattern: ", 13 },
    { "{'pattern': 'a(?=b)'}", "/pattern: ", 13 },
    { "{'minimum': '1'}", "/minimum: must be a number", 13 },
    { "{'maximum': null}", "/maximum: must be a number", 13 },
    { "{'exclusiveMinimum': true}", "/exclusiveMinimum: must be a number", 22 },
    { "{'exclusiveMaximum': {}}", "/exclusiveMaximum: must be a number", 22 },
    { "{'multipleOf': 0}", "/multipleOf: must be above 0", 16 },
    { "{'multipleOf': -0.5}", "/multipleOf: must be above 0", 16 },
    { "{'multipleOf': 'x'}", "/multipleOf: must be a number", 16 },
    { "{'allOf': {}}", "/allOf: must be an array", 11 },
    { "{'allOf': []}", "/allOf: must not be empty", 11 },
    { "{'anyOf': [true, 1]}", "/anyOf/1: must be a schema", 18 },
    { "{'oneOf': []}", "/oneOf: must not be empty", 11 },
    { "{'not': []}", "/not: must be a schema", 9 },
    { "{'title': 1}", "/title: must be a string", 11 },
    { "{'examples': 1}", "/examples: must be an array", 14 },
    { "{'$ref': 1}", "/$ref: must be a string", 10 },
    { "{'$ref': '#'}", "only \"#/$defs/NAME\" is allowed", 10 },
    { "{'$ref': 'https://example.com/a.json'}", "only \"#/$defs/NAME\" is allowed", 10 },
    { "{'$ref': '#/$defs/a'}", "/$ref: \"$defs\" has no \"a\"", 10 },
    { "{'$defs': {'a': true}, '$ref': '#/$defs/a/items'}", "\"$defs\" has no \"a/items\"", 32 },
    { "{'$defs': {'a~': true}, '$ref': '#/$defs/a~'}", "\"$defs\" has no \"a~\"", 33 },
    { "{'$defs': []}", "/$defs: must be an object", 11 },
    { "{'$defs': {'a': 1}}", "/$defs/a: must be a schema", 17 },
    { "{'items': {'$defs': {}}}", "/items/$defs: \"$defs\" may only stand at the top", 12 },
    { "{'$defs': {'a': {'$ref': '#/$defs/a'}}}",
      "/$defs/a/$ref: leads back to itself before it looks into the value", 26 },
    { "{'$defs': {'a': {'allOf': [{'not': {'$ref': '#/$defs/b'}}]}, 'b': {'oneOf': [true, "
      "{'anyOf': [{'$ref': '#/$defs/a'}]}]}}}",
      "leads back to itself before it looks into the value", 0 },
};

START_TEST(a_schema_that_would_not_be_checked_is_refused_with_its_place)
{
    const struct refusal *row = &refusals[_i];

    assert_fails(FLAGVER_EPARSE, compile(row->schema));
    assert_words(row->words);
    ck_assert_int_eq(error.line, 1);
    if (row->column)
        ck_assert_int_eq(error.column, row->column);
    ck_assert_ptr_null(schema);
}
END_TEST

START_TEST(a_schema_inside_a_document_is_refused_with_the_place_there)
{
    static const char text[] = "{\"schema\":\n {\"$defs\": {\"a\": {\"$ref\": \"#/$defs/a\"}}}}";
    const struct fv_reading reading = { text, strlen(text), "p.json", &error };
    json_t *root = parse(text);

    assert_fails(FLAGVER_EPARSE, fv_schema_new(&reading, fv_at_key(NULL, "schema"),
                                               json_object_get(root, "schema"), &schema));
    assert_words("p.json:2:27: /schema/$defs/a/$ref: leads back to itself");
    json_decref(root);
}
END_TEST

/* ---- limits ---- */

/* `before` count times, `middle`, `after` count times. */
static char *nested(const char *before, const char *middle, const char *after, int count)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    for (i = 0; i < count; i++)
        fv_text_add(&text, before);
    fv_text_add(&text, middle);
    for (i = 0; i < count; i++)
        fv_text_add(&text, after);
    return fv_text_detach(&text);
}

START_TEST(schemas_nest_a_hundred_deep)
{
    char *text = nested("{'items': ", "{}", "}", FV_SCHEMA_NESTING - 1);

    assert_ok(compile(text));
    free(text);
    clear();
    text = nested("{'not': ", "{}", "}", FV_SCHEMA_NESTING);
    assert_fails(FLAGVER_EPARSE, compile(text));
    assert_words("schemas are nested deeper than 100");
    free(text);
}
END_TEST

/* d0 → d1 → … → d(count - 1), by $ref alone. */
static char *chain(int count)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    fv_text_add(&text, "{'$ref': '#/$defs/d0', '$defs': {'last': {'type': 'null'}");
    for (i = 0; i < count - 1; i++)
        fv_text_format(&text, ", 'd%d': {'$ref': '#/$defs/d%d'}", i, i + 1);
    fv_text_format(&text, ", 'd%d': {'type': 'null'}}}", count - 1);
    return fv_text_detach(&text);
}

START_TEST(references_lead_on_a_hundred_times)
{
    char *text = chain(FV_SCHEMA_NESTING);

    assert_ok(compile(text));
    assert_ok(check("null"));
    assert_fails(FLAGVER_EVALIDATION, check("1"));
    free(text);
    clear();
    text = chain(FV_SCHEMA_NESTING + 1);
    assert_fails(FLAGVER_EPARSE, compile(text));
    assert_words("leads on more than 100 times");
    free(text);
    text = chain(20000);
    assert_fails(FLAGVER_EPARSE, compile(text));
    free(text);
}
END_TEST

START_TEST(what_is_checked_may_not_lead_too_deep)
{
    char *text = nested("[", "", "]", FV_SCHEMA_DEPTH / 2);

    /* Two schemas a level: that of the definition and the one that refers to it. */
    assert_ok(compile("{'$defs': {'l': {'items': {'$ref': '#/$defs/l'}}}, '$ref': '#/$defs/l'}"));
    assert_ok(check(text));
    free(text);
    text = nested("[", "", "]", FV_SCHEMA_DEPTH / 2 + 1);
    assert_fails(FLAGVER_EVALIDATION, check(text));
    assert_words("leads more than 250 deep");
    free(text);
}
END_TEST

/* Each level asks the next twice: 2^20 checks of one value. */
START_TEST(a_schema_cannot_ask_for_more_than_a_million_checks)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    fv_text_add(&text, "{'$ref': '#/$defs/d0', '$defs': {'d20': true");
    for (i = 0; i < 20; i++)
        fv_text_format(&text,
                       ", 'd%d': {'allOf': [{'$ref': '#/$defs/d%d'}, {'$ref': '#/$defs/d%d'}]}", i,
                       i + 1, i + 1);
    fv_text_add(&text, "}}");
    assert_ok(compile(text.data));
    assert_fails(FLAGVER_EVALIDATION, check("1"));
    assert_words("the schema asks for more than 1000000 checks of this payload");
    clear();

    /* Nor behind the back of "not", which would say yes. */
    fv_text_reset(&text);
    fv_text_add(&text, "{'not': {'$ref': '#/$defs/d0'}, '$defs': {'d20': true");
    for (i = 0; i < 20; i++)
        fv_text_format(&text,
                       ", 'd%d': {'allOf': [{'$ref': '#/$defs/d%d'}, {'$ref': '#/$defs/d%d'}]}", i,
                       i + 1, i + 1);
    fv_text_add(&text, "}}");
    assert_ok(compile(text.data));
    assert_fails(FLAGVER_EVALIDATION, check("1"));
    assert_words("more than 1000000 checks");
    fv_text_clear(&text);
}
END_TEST

/* A million elements of one long list of values: a comparison is a check, too. */
START_TEST(comparing_and_searching_are_checks)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    fv_text_add(&text, "{'items': {'enum': [0");
    for (i = 1; i < 2000; i++)
        fv_text_format(&text, ", %d", i);
    fv_text_add(&text, "]}}");
    assert_ok(compile(text.data));
    fv_text_reset(&text);
    fv_text_add(&text, "[1999");
    for (i = 1; i < 600; i++)
        fv_text_add(&text, ", 1999");
    fv_text_add(&text, "]");
    assert_fails(FLAGVER_EVALIDATION, check(text.data));
    assert_words("more than 1000000 checks");
    clear();

    /* 2 MB for a thousand steps. */
    assert_ok(compile("{'pattern': '^(?:a|b){500}$'}"));
    fv_text_reset(&text);
    fv_text_add_char(&text, '\'');
    for (i = 0; i < 2000000; i++)
        fv_text_add_char(&text, 'a');
    fv_text_add_char(&text, '\'');
    assert_fails(FLAGVER_EVALIDATION, check(text.data));
    assert_words("more than 1000000 checks");
    fv_text_clear(&text);
}
END_TEST

static Suite *validation_suite(void)
{
    Suite *suite = suite_create("validation");
    TCase *verdicts = tcase_create("verdicts");
    TCase *reading = tcase_create("reading");
    TCase *limits = tcase_create("limits");

    tcase_add_checked_fixture(verdicts, NULL, clear);
    tcase_add_loop_test(verdicts, a_payload_fits_or_the_words_say_what_does_not, 0, COUNT(rows));
    tcase_add_test(verdicts, words_may_go_unread);
    tcase_add_test(verdicts, words_do_not_tell_what_the_payload_holds);
    tcase_add_test(verdicts, words_are_one_line_and_long_ones_are_shortened);
    tcase_add_test(verdicts, the_schema_outlives_the_text_that_it_is_from);
    suite_add_tcase(suite, verdicts);

    tcase_add_checked_fixture(reading, NULL, clear);
    tcase_add_loop_test(reading, a_schema_that_would_not_be_checked_is_refused_with_its_place, 0,
                        COUNT(refusals));
    tcase_add_test(reading, a_schema_inside_a_document_is_refused_with_the_place_there);
    suite_add_tcase(suite, reading);

    tcase_add_checked_fixture(limits, NULL, clear);
    tcase_add_test(limits, schemas_nest_a_hundred_deep);
    tcase_add_test(limits, references_lead_on_a_hundred_times);
    tcase_add_test(limits, what_is_checked_may_not_lead_too_deep);
    tcase_add_test(limits, a_schema_cannot_ask_for_more_than_a_million_checks);
    tcase_add_test(limits, comparing_and_searching_are_checks);
    suite_add_tcase(suite, limits);
    return suite;
}

int main(void)
{
    return run_suite(validation_suite());
}
