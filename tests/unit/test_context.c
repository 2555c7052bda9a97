/*
 * Contexts: what is put into one is what conditions find in it.
 */
#include "flags.h"

#include "model/context.h"

#define LEAF(name, op, operand) "{'attr': '" name "', 'op': '" op "', 'value': " operand "}"
#define EXISTS(name) LEAF(name, "exists", "true")
#define KEY(text) LEAF("targetingKey", "eq", text)

static flagver_context *context;

static void set_up(void)
{
    context = flagver_context_new("u1");
    ck_assert_ptr_nonnull(context);
}

static void tear_down(void)
{
    flagver_context_free(context);
    context = NULL;
}

#define assert_holds(condition) \
    ck_assert_msg(holds_for(context, (condition)), "%s does not hold", (condition))
#define assert_fails_to_hold(condition) \
    ck_assert_msg(!holds_for(context, (condition)), "%s holds", (condition))

/* ---- the targeting key ---- */

START_TEST(a_context_has_the_key_it_was_made_with)
{
    assert_holds(KEY("'u1'"));
    assert_fails_to_hold(KEY("'u2'"));
}
END_TEST

START_TEST(a_context_may_have_no_key_or_an_empty_one)
{
    flagver_context_free(context);
    context = flagver_context_new(NULL);
    assert_fails_to_hold(EXISTS("targetingKey"));
    flagver_context_free(context);
    context = flagver_context_new("");
    assert_holds(EXISTS("targetingKey"));
    assert_holds(KEY("''"));
}
END_TEST

START_TEST(a_key_is_replaced_by_any_bytes)
{
    assert_ok(flagver_context_set_key(context, "a\0b and more", 3));
    assert_fails_to_hold(KEY("'a'"));
    assert_holds(LEAF("targetingKey", "starts_with", "'a'"));
    assert_holds(LEAF("targetingKey", "ends_with", "'b'"));
    assert_ok(flagver_context_set_key(context, "", 0));
    assert_holds(KEY("''"));
    assert_ok(flagver_context_set_key(context, "a key that is longer than the ones before", 10));
    assert_holds(KEY("'a key that'"));
}
END_TEST

START_TEST(an_invalid_key_is_made_good_by_a_new_one)
{
    flagver_client *client = client_of("{'flags': {'f': {'type': 'boolean'}}}", NULL);
    flagver_context *invalid = context_of("{'targetingKey': 1.5, 'x': 1}");
    flagver_detail detail = { .size = sizeof detail };

    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, invalid, 0, &detail),
                     FLAGVER_ERROR_INVALID_CONTEXT);
    ck_assert(!flagver_flag_bool(client, "f", invalid, false));
    assert_ok(flagver_context_set_int(invalid, "x", 2));
    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, invalid, 0, &detail),
                     FLAGVER_ERROR_INVALID_CONTEXT);
    assert_ok(flagver_context_set_key(invalid, "u1", 2));
    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, invalid, 0, &detail), 0);

    flagver_context_free(invalid);
    invalid = context_of("{'targetingKey': []}");
    assert_ok(flagver_context_reset(invalid, NULL));
    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, invalid, 0, &detail), 0);
    flagver_context_free(invalid);
    flagver_close(client);
}
END_TEST

/* ---- attributes ---- */

START_TEST(every_type_can_be_set)
{
    assert_ok(flagver_context_set_bool(context, "b", true));
    assert_ok(flagver_context_set_int(context, "i", INT64_MIN));
    assert_ok(flagver_context_set_double(context, "d", 2.5));
    assert_ok(flagver_context_set_string(context, "s", "text"));
    assert_ok(flagver_context_set_bytes(context, "y", "bytes and more", 5));
    assert_ok(flagver_context_set_datetime(context, "t", 1000));
    assert_ok(flagver_context_set_null(context, "n"));
    assert_holds(LEAF("b", "eq", "true"));
    assert_holds(LEAF("i", "eq", "-9223372036854775808"));
    assert_holds(LEAF("d", "eq", "2.5"));
    assert_holds(LEAF("s", "eq", "'text'"));
    assert_holds(LEAF("y", "eq", "'bytes'"));
    assert_holds(LEAF("t", "after", "999"));
    assert_fails_to_hold(EXISTS("n"));
    assert_fails_to_hold(EXISTS("never"));
}
END_TEST

START_TEST(an_attribute_is_replaced_whatever_it_was)
{
    assert_ok(flagver_context_set_string(context, "x", "text"));
    assert_ok(flagver_context_set_int(context, "x", 1));
    assert_holds(LEAF("x", "eq", "1"));
    assert_fails_to_hold(LEAF("x", "eq", "'text'"));

    assert_ok(flagver_context_begin_list(context, "x"));
    assert_ok(flagver_context_set_int(context, NULL, 2));
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("x", "eq", "2"));
    assert_fails_to_hold(LEAF("x", "eq", "1"));

    assert_ok(flagver_context_set_null(context, "x"));
    assert_fails_to_hold(EXISTS("x"));
    assert_ok(flagver_context_set_string(context, "x", "again"));
    assert_holds(LEAF("x", "eq", "'again'"));
}
END_TEST

START_TEST(what_is_given_is_copied)
{
    char key[] = "key", name[] = "name", value[] = "value";

    assert_ok(flagver_context_set_key(context, key, 3));
    assert_ok(flagver_context_set_string(context, name, value));
    key[0] = name[0] = value[0] = 'X';
    assert_holds(KEY("'key'"));
    assert_holds(LEAF("name", "eq", "'value'"));
}
END_TEST

START_TEST(names_are_1_to_255_bytes_long)
{
    char name[300];

    memset(name, 'n', sizeof name);
    name[255] = 0;
    assert_ok(flagver_context_set_int(context, name, 1));
    name[255] = 'n';
    name[256] = 0;
    ck_assert_int_eq(flagver_context_set_int(context, name, 1), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_string(context, "", "x"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_bool(context, NULL, true), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_begin_list(context, ""), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_begin_object(context, NULL), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_end(context), FLAGVER_EINVAL);
}
END_TEST

START_TEST(the_key_is_no_attribute)
{
    ck_assert_int_eq(flagver_context_set_string(context, "targetingKey", "x"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_null(context, "targetingKey"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_begin_object(context, "targetingKey"), FLAGVER_EINVAL);
    assert_holds(KEY("'u1'"));
}
END_TEST

START_TEST(many_attributes_are_all_found)
{
    struct fv_text condition = FV_TEXT_INIT;
    char name[16];
    int i, round;

    for (round = 0; round < 3; round++) {
        for (i = 0; i < 500; i++) {
            snprintf(name, sizeof name, "a%d", i);
            assert_ok(flagver_context_set_int(context, name, i + round));
        }
    }
    for (i = 0; i < 500; i += 7) {
        fv_text_reset(&condition);
        fv_text_format(&condition, "{'attr': 'a%d', 'op': 'eq', 'value': %d}", i, i + 2);
        assert_holds(condition.data);
    }
    fv_text_clear(&condition);
}
END_TEST

/* ---- lists and objects ---- */

START_TEST(a_list_holds_anything)
{
    assert_ok(flagver_context_begin_list(context, "x"));
    assert_ok(flagver_context_set_bool(context, NULL, true));
    assert_ok(flagver_context_set_int(context, "ignored", 5));
    assert_ok(flagver_context_set_double(context, "targetingKey", 1.5));
    assert_ok(flagver_context_set_string(context, "", "text"));
    assert_ok(flagver_context_set_null(context, NULL));
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("x", "eq", "true"));
    assert_holds(LEAF("x", "eq", "5"));
    assert_holds(LEAF("x", "eq", "1.5"));
    assert_holds(LEAF("x", "eq", "'text'"));
    assert_fails_to_hold(LEAF("x", "eq", "6"));
    assert_holds(KEY("'u1'"));
}
END_TEST

START_TEST(an_object_is_found_by_path)
{
    assert_ok(flagver_context_begin_object(context, "account"));
    assert_ok(flagver_context_set_string(context, "plan", "pro"));
    assert_ok(flagver_context_begin_object(context, "owner"));
    assert_ok(flagver_context_set_int(context, "id", 7));
    assert_ok(flagver_context_end(context));
    assert_ok(flagver_context_begin_list(context, "tags"));
    assert_ok(flagver_context_set_string(context, NULL, "a"));
    assert_ok(flagver_context_set_string(context, NULL, "b"));
    assert_ok(flagver_context_end(context));
    assert_ok(flagver_context_set_bool(context, "paid", true));
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("account.plan", "eq", "'pro'"));
    assert_holds(LEAF("account.owner.id", "eq", "7"));
    assert_holds(LEAF("account.tags", "eq", "'b'"));
    assert_holds(LEAF("account.paid", "eq", "true"));
    assert_fails_to_hold(EXISTS("plan"));
    assert_fails_to_hold(EXISTS("account.id"));
}
END_TEST

START_TEST(a_later_member_takes_the_place_of_an_earlier_one)
{
    assert_ok(flagver_context_begin_object(context, "x"));
    assert_ok(flagver_context_set_int(context, "a", 1));
    assert_ok(flagver_context_begin_object(context, "b"));
    assert_ok(flagver_context_set_int(context, "a", 2));
    assert_ok(flagver_context_end(context));
    assert_ok(flagver_context_set_int(context, "a", 3));
    assert_ok(flagver_context_set_int(context, "b", 4));
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("x.a", "eq", "3"));
    assert_holds(LEAF("x.b", "eq", "4"));
    assert_fails_to_hold(EXISTS("x.b.a"));
}
END_TEST

START_TEST(empty_lists_and_objects_exist)
{
    assert_ok(flagver_context_begin_list(context, "list"));
    assert_ok(flagver_context_end(context));
    assert_ok(flagver_context_begin_object(context, "object"));
    assert_ok(flagver_context_end(context));
    assert_holds(EXISTS("list"));
    assert_holds(EXISTS("object"));
    assert_fails_to_hold(LEAF("list", "eq", "''"));
}
END_TEST

START_TEST(an_attribute_appears_when_its_outermost_container_is_ended)
{
    assert_ok(flagver_context_set_int(context, "x", 1));
    assert_ok(flagver_context_begin_list(context, "x"));
    assert_holds(LEAF("x", "eq", "1"));
    assert_ok(flagver_context_set_int(context, NULL, 2));
    assert_ok(flagver_context_begin_list(context, NULL));
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("x", "eq", "1"));
    assert_fails_to_hold(LEAF("x", "eq", "2"));
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("x", "eq", "2"));
    assert_fails_to_hold(LEAF("x", "eq", "1"));
}
END_TEST

START_TEST(a_refused_member_leaves_its_object_open)
{
    char name[300];

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    assert_ok(flagver_context_begin_object(context, "x"));
    assert_ok(flagver_context_set_int(context, "a", 1));
    ck_assert_int_eq(flagver_context_set_int(context, name, 2), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_int(context, NULL, 2), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_begin_list(context, name), FLAGVER_EINVAL);
    assert_ok(flagver_context_set_int(context, "b", 3));
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("x.a", "eq", "1"));
    assert_holds(LEAF("x.b", "eq", "3"));
}
END_TEST

START_TEST(there_must_be_something_to_end)
{
    ck_assert_int_eq(flagver_context_end(context), FLAGVER_EINVAL);
    assert_ok(flagver_context_begin_list(context, "x"));
    assert_ok(flagver_context_end(context));
    ck_assert_int_eq(flagver_context_end(context), FLAGVER_EINVAL);
}
END_TEST

START_TEST(containers_nest_100_deep)
{
    struct fv_text condition = FV_TEXT_INIT;
    int i;

    for (i = 0; i < 100; i++)
        assert_ok(flagver_context_begin_object(context, "x"));
    ck_assert_int_eq(flagver_context_begin_object(context, "x"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_begin_list(context, "x"), FLAGVER_EINVAL);
    assert_ok(flagver_context_set_int(context, "y", 7));
    for (i = 0; i < 100; i++)
        assert_ok(flagver_context_end(context));
    ck_assert_int_eq(flagver_context_end(context), FLAGVER_EINVAL);

    fv_text_add(&condition, "{'attr': '");
    for (i = 0; i < 100; i++)
        fv_text_add(&condition, "x.");
    fv_text_add(&condition, "y', 'op': 'eq', 'value': 7}");
    assert_holds(condition.data);
    fv_text_clear(&condition);
}
END_TEST

/* ---- reset ---- */

START_TEST(a_reset_forgets_everything)
{
    assert_ok(flagver_context_set_int(context, "x", 1));
    assert_ok(flagver_context_reset(context, "u2"));
    assert_fails_to_hold(EXISTS("x"));
    assert_holds(KEY("'u2'"));
    assert_ok(flagver_context_reset(context, NULL));
    assert_fails_to_hold(EXISTS("targetingKey"));
    assert_ok(flagver_context_set_int(context, "x", 2));
    assert_holds(LEAF("x", "eq", "2"));
}
END_TEST

START_TEST(a_reset_abandons_what_is_open)
{
    assert_ok(flagver_context_begin_object(context, "x"));
    assert_ok(flagver_context_begin_list(context, "y"));
    assert_ok(flagver_context_set_int(context, NULL, 1));
    assert_ok(flagver_context_reset(context, "u1"));
    ck_assert_int_eq(flagver_context_end(context), FLAGVER_EINVAL);
    assert_fails_to_hold(EXISTS("x"));
    assert_ok(flagver_context_set_int(context, "y", 2));
    assert_holds(LEAF("y", "eq", "2"));
}
END_TEST

START_TEST(a_context_can_be_used_again_and_again)
{
    char name[16], value[64];
    int i, j;

    for (i = 0; i < 300; i++) {
        snprintf(value, sizeof value, "user %d of many", i);
        assert_ok(flagver_context_reset(context, value));
        for (j = 0; j < i % 9; j++) {
            snprintf(name, sizeof name, "a%d", j);
            assert_ok(flagver_context_set_string(context, name, value));
            assert_ok(flagver_context_begin_list(context, "list"));
            assert_ok(flagver_context_set_string(context, NULL, value));
            assert_ok(flagver_context_end(context));
        }
    }
    assert_holds(KEY("'user 299 of many'"));
    assert_holds(LEAF("a1", "eq", "'user 299 of many'"));
    assert_holds(LEAF("list", "eq", "'user 299 of many'"));
    assert_fails_to_hold(EXISTS("a2"));
}
END_TEST

/* What is replaced may not pile up in a context that is never reset. */
START_TEST(replacing_does_not_take_more_and_more_memory)
{
    static const char *const values[] = { "", "a", "ab", "a value of some length" };
    int i, j;

    for (j = 0; j < COUNT(values); j++) {
        for (i = 0; i < 100000; i++)
            assert_ok(flagver_context_set_string(context, "x", values[j]));
        ck_assert_msg(context->arena.total < 65536, "\"%s\": %zu bytes", values[j],
                      context->arena.total);
    }
    for (i = 0; i < 100000; i++)
        assert_ok(flagver_context_set_int(context, "n", i));
    ck_assert_msg(context->arena.total < 65536, "integers: %zu bytes", context->arena.total);
    for (i = 0; i < 100000; i++)
        assert_ok(flagver_context_set_key(context, "k", 1));
    ck_assert_msg(context->arena.total < 65536, "keys: %zu bytes", context->arena.total);
    for (i = 0; i < 100000; i++) {
        assert_ok(flagver_context_begin_list(context, "l"));
        assert_ok(flagver_context_set_int(context, NULL, i));
        assert_ok(flagver_context_end(context));
    }
    ck_assert_msg(context->arena.total < 65536, "lists: %zu bytes", context->arena.total);
    assert_holds(LEAF("x", "eq", "'a value of some length'"));
    assert_holds(LEAF("n", "eq", "99999"));
    assert_holds(LEAF("l", "eq", "99999"));
    assert_holds(KEY("'k'"));
}
END_TEST

/* While a list is open nothing moves; what was replaced before does so later. */
START_TEST(replacing_beside_an_open_list_is_fine)
{
    char value[32];
    int i;

    assert_ok(flagver_context_begin_object(context, "o"));
    for (i = 0; i < 20000; i++) {
        snprintf(value, sizeof value, "value %d", i);
        assert_ok(flagver_context_set_string(context, "m", value));
        assert_ok(flagver_context_set_key(context, value, strlen(value)));
    }
    assert_ok(flagver_context_end(context));
    assert_holds(LEAF("o.m", "eq", "'value 19999'"));
    assert_holds(KEY("'value 19999'"));
    for (i = 0; i < 20000; i++) {
        snprintf(value, sizeof value, "value %d", i);
        assert_ok(flagver_context_set_key(context, value, strlen(value)));
        assert_ok(flagver_context_set_string(context, value + 4, value));
        if (i % 100 == 99)
            assert_ok(flagver_context_reset(context, value));
    }
    assert_ok(flagver_context_set_string(context, "x", "y"));
    assert_holds(KEY("'value 19999'"));
    assert_holds(LEAF("x", "eq", "'y'"));
}
END_TEST

/* A move takes everything along. */
START_TEST(what_stays_is_the_same_after_much_was_replaced)
{
    char value[300];
    int i;

    memset(value, 'v', sizeof value);
    flagver_context_free(context);
    context = context_of("{'targetingKey': 'u1', 'i': 42, 't': true, 's': 'text', "
                         "'l': [1, 'a', [2], {'x': 'y'}], 'o': {'a': {'b': ['c', 'd']}}}");
    for (i = 0; i < 5000; i++)
        assert_ok(flagver_context_set_bytes(context, "x", value, (size_t)(i % 300)));
    assert_holds(KEY("'u1'"));
    assert_holds(LEAF("i", "eq", "42"));
    assert_holds(LEAF("t", "eq", "true"));
    assert_holds(LEAF("s", "eq", "'text'"));
    assert_holds(LEAF("l", "eq", "'a'"));
    assert_holds(LEAF("o.a.b", "eq", "'d'"));
    ck_assert_uint_lt(context->arena.total, 65536);
}
END_TEST

START_TEST(a_null_context_cannot_be_changed)
{
    ck_assert_int_eq(flagver_context_reset(NULL, "u1"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_reset(NULL, NULL), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_key(NULL, "u1", 2), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_null(NULL, "x"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_bool(NULL, "x", true), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_int(NULL, "x", 1), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_double(NULL, "x", 1.5), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_string(NULL, "x", "y"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_bytes(NULL, "x", "y", 1), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_set_datetime(NULL, "x", 1), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_begin_list(NULL, "x"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_begin_object(NULL, "x"), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_context_end(NULL), FLAGVER_EINVAL);
}
END_TEST

START_TEST(nothing_can_be_freed)
{
    flagver_context_free(NULL);
}
END_TEST

/* ---- from JSON ---- */

START_TEST(json_becomes_a_context)
{
    flagver_context_free(context);
    context = context_of("{'targetingKey': 'u1', 'i': 42, 'r': 42.5, 'w': 42.0, 'e': 1e2, "
                         "'t': true, 's': 'text', 'n': null, 'l': [1, 'a', [2]], "
                         "'o': {'a': {'b': 'c'}}}");
    assert_holds(KEY("'u1'"));
    assert_holds(LEAF("i", "eq", "42"));
    assert_holds(LEAF("r", "eq", "42.5"));
    assert_holds(LEAF("w", "eq", "42"));
    assert_holds(LEAF("e", "eq", "100"));
    assert_holds(LEAF("t", "eq", "true"));
    assert_holds(LEAF("s", "eq", "'text'"));
    assert_fails_to_hold(EXISTS("n"));
    assert_holds(LEAF("l", "eq", "'a'"));
    assert_fails_to_hold(LEAF("l", "eq", "2"));
    assert_holds(LEAF("o.a.b", "eq", "'c'"));
}
END_TEST

struct json_row {
    const char *label, *json;
    const char *words; /* NULL: it is fine */
};

static const struct json_row json_rows[] = {
    { "an empty object", "{}", NULL },
    { "blanks", " { } ", NULL },
    { "every type",
      "{'targetingKey': 'u1', 'i': 42, 'r': 42.5, 't': true, 'n': null, 'l': [1, 'a', [2], {}], "
      "'o': {'a': {'b': 'c', '': 1, 'targetingKey': 2}}}",
      NULL },
    { "an integer as a key", "{'targetingKey': -5}", NULL },
    { "an invalid key is no error here", "{'targetingKey': {'a': 1}}", NULL },
    { "an array", "[]", "must be an object, not an array" },
    { "a string", "'u1'", "must be an object, not a string" },
    { "nothing", "", "empty" },
    { "two documents", "{}{}", "goes on after the value" },
    { "an attribute twice", "{'x': 1, 'x': 1}", "\"x\" stands twice" },
    { "a member twice", "{'x': {'y': 1, 'y': 1}}", "\"y\" stands twice" },
    { "a key twice", "{'targetingKey': 'a', 'targetingKey': 'b'}", "stands twice" },
    { "an integer out of range", "{'x': 9223372036854775808}", "out of range" },
    { "a key out of range", "{'targetingKey': 9223372036854775808}", "out of range" },
    { "an attribute without a name", "{'': 1}", "1 to 255 bytes" },
    { "a NUL", "{'x': '\\u0000'}", "u0000" },
};

START_TEST(json_is_one_object)
{
    const struct json_row *row = &json_rows[_i];
    flagver_context *made = NULL;
    char *json = quoted(row->json);

    if (!row->words) {
        assert_ok(flagver_context_from_json(json, strlen(json), &made, &error));
        ck_assert_ptr_nonnull(made);
    } else {
        assert_fails(FLAGVER_EPARSE, flagver_context_from_json(json, strlen(json), &made, &error));
        assert_words(row->words);
        ck_assert_ptr_null(made);
        ck_assert_int_eq(flagver_context_from_json(json, strlen(json), &made, NULL),
                         FLAGVER_EPARSE);
    }
    flagver_context_free(made);
    free(json);
}
END_TEST

static int from_json(const char *open, const char *close, int depth, const char *name)
{
    struct fv_text text = FV_TEXT_INIT;
    flagver_context *made = NULL;
    int i, r;

    fv_text_format(&text, "{\"%s\":", name);
    for (i = 0; i < depth; i++)
        fv_text_add(&text, open);
    fv_text_add(&text, "1");
    for (i = 0; i < depth; i++)
        fv_text_add(&text, close);
    fv_text_add(&text, "}");
    r = flagver_context_from_json(text.data, text.length, &made, &error);
    flagver_context_free(made);
    fv_text_clear(&text);
    return r;
}

START_TEST(json_values_nest_100_deep)
{
    assert_ok(from_json("[", "]", 100, "x"));
    assert_ok(from_json("{\"a\":", "}", 100, "x"));
    assert_fails(FLAGVER_EPARSE, from_json("[", "]", 101, "x"));
    assert_words("/x");
    assert_words("100");
    assert_fails(FLAGVER_EPARSE, from_json("{\"a\":", "}", 101, "x"));
    assert_fails(FLAGVER_EPARSE, from_json("[", "]", 10000, "x"));
}
END_TEST

START_TEST(json_names_are_1_to_255_bytes_long)
{
    char name[300];

    memset(name, 'n', sizeof name);
    name[255] = 0;
    assert_ok(from_json("", "", 0, name));
    name[255] = 'n';
    name[256] = 0;
    assert_fails(FLAGVER_EPARSE, from_json("", "", 0, name));
    ck_assert_int_eq(error.line, 1);
    ck_assert_int_eq(error.column, 2);
}
END_TEST

static Suite *context_suite(void)
{
    Suite *suite = suite_create("context");
    TCase *key = tcase_create("key");
    TCase *attributes = tcase_create("attributes");
    TCase *replacing = tcase_create("replacing");
    TCase *json = tcase_create("json");

    tcase_add_checked_fixture(key, set_up, tear_down);
    tcase_add_test(key, a_context_has_the_key_it_was_made_with);
    tcase_add_test(key, a_context_may_have_no_key_or_an_empty_one);
    tcase_add_test(key, a_key_is_replaced_by_any_bytes);
    tcase_add_test(key, an_invalid_key_is_made_good_by_a_new_one);
    suite_add_tcase(suite, key);

    tcase_add_checked_fixture(attributes, set_up, tear_down);
    tcase_add_test(attributes, every_type_can_be_set);
    tcase_add_test(attributes, an_attribute_is_replaced_whatever_it_was);
    tcase_add_test(attributes, what_is_given_is_copied);
    tcase_add_test(attributes, names_are_1_to_255_bytes_long);
    tcase_add_test(attributes, the_key_is_no_attribute);
    tcase_add_test(attributes, many_attributes_are_all_found);
    tcase_add_test(attributes, a_list_holds_anything);
    tcase_add_test(attributes, an_object_is_found_by_path);
    tcase_add_test(attributes, a_later_member_takes_the_place_of_an_earlier_one);
    tcase_add_test(attributes, empty_lists_and_objects_exist);
    tcase_add_test(attributes, an_attribute_appears_when_its_outermost_container_is_ended);
    tcase_add_test(attributes, a_refused_member_leaves_its_object_open);
    tcase_add_test(attributes, there_must_be_something_to_end);
    tcase_add_test(attributes, containers_nest_100_deep);
    tcase_add_test(attributes, a_reset_forgets_everything);
    tcase_add_test(attributes, a_reset_abandons_what_is_open);
    tcase_add_test(attributes, a_context_can_be_used_again_and_again);
    tcase_add_test(attributes, what_stays_is_the_same_after_much_was_replaced);
    tcase_add_test(attributes, a_null_context_cannot_be_changed);
    tcase_add_test(attributes, nothing_can_be_freed);
    suite_add_tcase(suite, attributes);

    tcase_set_tags(replacing, "slow");
    tcase_add_checked_fixture(replacing, set_up, tear_down);
    tcase_add_test(replacing, replacing_does_not_take_more_and_more_memory);
    tcase_add_test(replacing, replacing_beside_an_open_list_is_fine);
    suite_add_tcase(suite, replacing);

    tcase_add_checked_fixture(json, set_up, tear_down);
    tcase_add_test(json, json_becomes_a_context);
    tcase_add_loop_test(json, json_is_one_object, 0, COUNT(json_rows));
    tcase_add_test(json, json_values_nest_100_deep);
    tcase_add_test(json, json_names_are_1_to_255_bytes_long);
    suite_add_tcase(suite, json);
    return suite;
}

int main(void)
{
    return run_suite(context_suite());
}
