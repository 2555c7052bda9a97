/*
 * Asking flags: getters and what they convert, details, all flags at once,
 * explanations.
 */
#include "flags.h"

#include <jansson.h>
#include <pthread.h>
#include <stdalign.h>

/* ---- names of numbers ---- */

START_TEST(reasons_have_the_names_of_openfeature)
{
    ck_assert_str_eq(flagver_reason_name(FLAGVER_REASON_ERROR), "ERROR");
    ck_assert_str_eq(flagver_reason_name(FLAGVER_REASON_STATIC), "STATIC");
    ck_assert_str_eq(flagver_reason_name(FLAGVER_REASON_DEFAULT), "DEFAULT");
    ck_assert_str_eq(flagver_reason_name(FLAGVER_REASON_TARGETING_MATCH), "TARGETING_MATCH");
    ck_assert_str_eq(flagver_reason_name(FLAGVER_REASON_SPLIT), "SPLIT");
    ck_assert_str_eq(flagver_reason_name(FLAGVER_REASON_DISABLED), "DISABLED");
    ck_assert_str_eq(flagver_reason_name(6), "UNKNOWN");
    ck_assert_str_eq(flagver_reason_name(-1), "UNKNOWN");
    ck_assert_str_eq(flagver_reason_name(INT32_MAX), "UNKNOWN");
}
END_TEST

START_TEST(errors_have_the_names_of_openfeature)
{
    ck_assert_ptr_null(flagver_error_code_name(FLAGVER_ERROR_NONE));
    ck_assert_str_eq(flagver_error_code_name(FLAGVER_ERROR_FLAG_NOT_FOUND), "FLAG_NOT_FOUND");
    ck_assert_str_eq(flagver_error_code_name(FLAGVER_ERROR_PARSE_ERROR), "PARSE_ERROR");
    ck_assert_str_eq(flagver_error_code_name(FLAGVER_ERROR_TYPE_MISMATCH), "TYPE_MISMATCH");
    ck_assert_str_eq(flagver_error_code_name(FLAGVER_ERROR_TARGETING_KEY_MISSING),
                     "TARGETING_KEY_MISSING");
    ck_assert_str_eq(flagver_error_code_name(FLAGVER_ERROR_INVALID_CONTEXT), "INVALID_CONTEXT");
    ck_assert_str_eq(flagver_error_code_name(FLAGVER_ERROR_GENERAL), "GENERAL");
    ck_assert_ptr_null(flagver_error_code_name(7));
    ck_assert_ptr_null(flagver_error_code_name(-1));
}
END_TEST

START_TEST(types_have_the_names_of_definitions)
{
    ck_assert_ptr_null(flagver_type_name(FLAGVER_TYPE_ANY));
    ck_assert_str_eq(flagver_type_name(FLAGVER_TYPE_BOOL), "boolean");
    ck_assert_str_eq(flagver_type_name(FLAGVER_TYPE_STRING), "string");
    ck_assert_str_eq(flagver_type_name(FLAGVER_TYPE_INT), "integer");
    ck_assert_str_eq(flagver_type_name(FLAGVER_TYPE_DOUBLE), "double");
    ck_assert_str_eq(flagver_type_name(FLAGVER_TYPE_JSON), "json");
    ck_assert_ptr_null(flagver_type_name(6));
    ck_assert_ptr_null(flagver_type_name(-1));
}
END_TEST

START_TEST(codes_have_a_name_words_and_a_class)
{
    ck_assert_int_eq(FLAGVER_EINVAL, -1);
    ck_assert_int_eq(FLAGVER_EBUSY, -7);
    ck_assert_str_eq(flagver_error_name(FLAGVER_EPARSE), "EPARSE");
    ck_assert_str_eq(flagver_strerror(FLAGVER_EPARSE), "malformed input");
    ck_assert_int_eq(flagver_error_class(FLAGVER_EPARSE), FLAGVER_CLASS_MISTAKE);
    ck_assert_int_eq(flagver_error_class(FLAGVER_ENOMEM), FLAGVER_CLASS_RETRY);
    ck_assert_int_eq(flagver_error_class(FLAGVER_EIO), FLAGVER_CLASS_RETRY);
    ck_assert_str_eq(flagver_strerror(-1000), "unknown error");
    ck_assert_str_eq(flagver_strerror(5), "unknown error");
    ck_assert_ptr_null(flagver_error_name(-1000));
    ck_assert_ptr_null(flagver_error_name(0));
    ck_assert_int_eq(flagver_error_class(0), 0);
    ck_assert_str_eq(flagver_version_string(), FLAGVER_VERSION);
}
END_TEST

/* ---- getters ---- */

static const char five[] =
    "{'flags': {'boolean': {'type': 'boolean'}, "
    "'string': {'type': 'string', 'variants': {'v': '1'}, 'default': 'v'}, "
    "'integer': {'type': 'integer', 'variants': {'v': 1}, 'default': 'v'}, "
    "'double': {'type': 'double', 'variants': {'v': 1.5}, 'default': 'v'}, "
    "'json': {'type': 'json', 'variants': {'v': 1}, 'default': 'v'}, "
    "'late': {'type': 'string', 'variants': {'v': '1', 'w': '2'}, 'default': 'v', "
    "'split': {'v': 1, 'w': 1}}}}";

/* Asks a flag with a getter of each kind: does it give the flag's value? */
static bool serves(flagver_client *client, const char *key, int type)
{
    static const char fallback[] = "fallback";

    switch (type) {
    case FLAGVER_TYPE_BOOL:
        /* Both, or a fallback could be taken for the value. */
        return flagver_flag_bool(client, key, NULL, false) &&
               flagver_flag_bool(client, key, NULL, true);
    case FLAGVER_TYPE_STRING:
        return flagver_flag_string(client, key, NULL, fallback) != fallback;
    case FLAGVER_TYPE_INT:
        return flagver_flag_int(client, key, NULL, -99) != -99;
    case FLAGVER_TYPE_DOUBLE:
        return flagver_flag_double(client, key, NULL, -99) != -99;
    default:
        return flagver_flag_json(client, key, NULL, fallback) != fallback;
    }
}

START_TEST(a_getter_fits_its_own_type)
{
    flagver_client *client = client_of(five, NULL);
    flagver_detail detail = { .size = sizeof detail };
    const char *key;
    int flag, getter;
    bool fits;

    for (flag = FLAGVER_TYPE_BOOL; flag <= FLAGVER_TYPE_JSON; flag++) {
        for (getter = FLAGVER_TYPE_BOOL; getter <= FLAGVER_TYPE_JSON; getter++) {
            key = flagver_type_name(flag);
            fits = flag == getter || (flag == FLAGVER_TYPE_INT && getter == FLAGVER_TYPE_DOUBLE);
            ck_assert_msg(serves(client, key, getter) == fits, "a %s as %s", key,
                          flagver_type_name(getter));
            ck_assert_int_eq(flagver_flag_evaluate(client, key, strlen(key), NULL, getter, &detail),
                             fits ? 0 : FLAGVER_ERROR_TYPE_MISMATCH);
            ck_assert_int_eq(detail.value.type, fits ? getter : FLAGVER_TYPE_ANY);
        }
        ck_assert_int_eq(flagver_flag_evaluate(client, key, strlen(key), NULL, 99, &detail),
                         FLAGVER_ERROR_TYPE_MISMATCH);
    }
    flagver_close(client);
}
END_TEST

struct number_row {
    const char *type, *value;
    int getter;
    const char *expected;
};

#define MISMATCH "- - ERROR TYPE_MISMATCH"

static const struct number_row number_rows[] = {
    { "integer", "3", FLAGVER_TYPE_DOUBLE, "3 v STATIC" },
    { "integer", "-3", FLAGVER_TYPE_DOUBLE, "-3 v STATIC" },
    { "integer", "9007199254740991", FLAGVER_TYPE_DOUBLE, "9007199254740991 v STATIC" },
    { "integer", "9007199254740992", FLAGVER_TYPE_DOUBLE, "9007199254740992 v STATIC" },
    { "integer", "9007199254740993", FLAGVER_TYPE_DOUBLE, MISMATCH },
    { "integer", "9007199254740994", FLAGVER_TYPE_DOUBLE, "9007199254740994 v STATIC" },
    { "integer", "-9007199254740992", FLAGVER_TYPE_DOUBLE, "-9007199254740992 v STATIC" },
    { "integer", "-9007199254740993", FLAGVER_TYPE_DOUBLE, MISMATCH },
    { "integer", "9223372036854775807", FLAGVER_TYPE_DOUBLE, MISMATCH },
    { "integer", "-9223372036854775808", FLAGVER_TYPE_DOUBLE, "-9.2233720368547758e+18 v STATIC" },
    { "double", "3.0", FLAGVER_TYPE_INT, "3 v STATIC" },
    { "double", "3", FLAGVER_TYPE_INT, "3 v STATIC" },
    { "double", "-3.0", FLAGVER_TYPE_INT, "-3 v STATIC" },
    { "double", "0.0", FLAGVER_TYPE_INT, "0 v STATIC" },
    { "double", "1e3", FLAGVER_TYPE_INT, "1000 v STATIC" },
    { "double", "3.5", FLAGVER_TYPE_INT, MISMATCH },
    { "double", "-0.5", FLAGVER_TYPE_INT, MISMATCH },
    { "double", "5e-324", FLAGVER_TYPE_INT, MISMATCH },
    { "double", "9007199254740991.0", FLAGVER_TYPE_INT, "9007199254740991 v STATIC" },
    { "double", "9007199254740992.0", FLAGVER_TYPE_INT, "9007199254740992 v STATIC" },
    { "double", "9007199254740994.0", FLAGVER_TYPE_INT, MISMATCH },
    { "double", "-9007199254740992.0", FLAGVER_TYPE_INT, "-9007199254740992 v STATIC" },
    { "double", "-9007199254740994.0", FLAGVER_TYPE_INT, MISMATCH },
    { "double", "1e300", FLAGVER_TYPE_INT, MISMATCH },
};

START_TEST(numbers_convert_without_loss_or_not_at_all)
{
    const struct number_row *row = &number_rows[_i];
    struct fv_text text = FV_TEXT_INIT;
    flagver_detail detail = { .size = sizeof detail };
    flagver_client *client;
    bool fits = strcmp(row->expected, MISMATCH) != 0;

    fv_text_format(&text,
                   "{'flags': {'f': {'type': '%s', 'variants': {'v': %s}, "
                   "'default': 'v'}}}",
                   row->type, row->value);
    client = client_of(text.data, NULL);
    flagver_flag_evaluate(client, "f", 1, NULL, row->getter, &detail);
    assert_detail(row->value, &detail, row->expected);
    ck_assert_int_eq(serves(client, "f", row->getter), fits);
    if (fits && row->getter == FLAGVER_TYPE_INT)
        ck_assert_int_eq(flagver_flag_int(client, "f", NULL, -99), detail.value.integer);
    else if (fits)
        ck_assert_double_eq(flagver_flag_double(client, "f", NULL, -99), detail.value.real);
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_caller_gets_its_own_default_back)
{
    flagver_client *client = client_of(five, NULL);
    static const char fallback[] = "mine";

    ck_assert_ptr_eq(flagver_flag_string(client, "nope", NULL, fallback), fallback);
    ck_assert_ptr_eq(flagver_flag_string(client, "integer", NULL, fallback), fallback);
    ck_assert_ptr_eq(flagver_flag_string(client, "late", NULL, fallback), fallback);
    ck_assert_ptr_null(flagver_flag_string(client, "nope", NULL, NULL));
    ck_assert_ptr_null(flagver_flag_json(client, "nope", NULL, NULL));
    ck_assert_int_eq(flagver_flag_int(client, "nope", NULL, INT64_MIN), INT64_MIN);
    ck_assert_double_eq(flagver_flag_double(client, "nope", NULL, 0.1), 0.1);
    flagver_close(client);
}
END_TEST

START_TEST(without_a_client_or_a_key_there_is_only_the_default)
{
    flagver_client *client = client_of(five, NULL);
    flagver_detail detail = { .size = sizeof detail };

    ck_assert(flagver_flag_bool(NULL, "boolean", NULL, true));
    ck_assert(!flagver_flag_bool(client, NULL, NULL, false));
    ck_assert_int_eq(flagver_flag_int(NULL, NULL, NULL, 7), 7);
    ck_assert_double_eq(flagver_flag_double(NULL, "double", NULL, 7.5), 7.5);
    ck_assert_str_eq(flagver_flag_string(NULL, "string", NULL, "x"), "x");
    ck_assert_str_eq(flagver_flag_json(client, NULL, NULL, "x"), "x");

    ck_assert(flagver_flag_bool_detail(NULL, "boolean", NULL, true, &detail));
    assert_detail("no client", &detail, "true - ERROR GENERAL");
    ck_assert_int_eq(flagver_flag_int_detail(client, NULL, NULL, 7, &detail), 7);
    assert_detail("no key", &detail, "7 - ERROR GENERAL");
    ck_assert_int_eq(flagver_flag_evaluate(NULL, "x", 1, NULL, 0, &detail), FLAGVER_ERROR_GENERAL);
    ck_assert_int_eq(flagver_flag_evaluate(client, NULL, 0, NULL, 0, &detail),
                     FLAGVER_ERROR_GENERAL);
    ck_assert_int_eq(flagver_snapshot_evaluate(NULL, "x", 1, NULL, 0, &detail),
                     FLAGVER_ERROR_GENERAL);
    ck_assert_int_eq(flagver_bound_evaluate(NULL, NULL, 0, &detail), FLAGVER_ERROR_GENERAL);
    assert_detail("no handle", &detail, "- - ERROR GENERAL");
    ck_assert_uint_eq(flagver_flag_all(NULL, NULL, NULL, NULL), 0);
    flagver_close(client);
}
END_TEST

/* ---- details ---- */

static const char detailed[] =
    "{'flags': {'f': {'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, 'default': 'a', "
    "'metadata': {'owner': 'x', 'n': 1.50, 'cool': true}, "
    "'rules': [{'id': 'r', 'serve': {'split': {'a': 1, 'b': 1}}}]}, "
    "'plain': {'type': 'boolean'}}}";

START_TEST(a_detail_tells_everything)
{
    flagver_client *client = client_of(detailed, NULL);
    flagver_context *user = flagver_context_new("k22920");
    flagver_detail detail;

    memset(&detail, 0xa5, sizeof detail);
    detail.size = sizeof detail;
    ck_assert_str_eq(flagver_flag_string_detail(client, "f", user, "x", &detail), "B");
    ck_assert_uint_eq(detail.size, sizeof detail);
    ck_assert_str_eq(detail.flag, "f");
    ck_assert_int_eq(detail.value.type, FLAGVER_TYPE_STRING);
    ck_assert_str_eq(detail.value.string, "B");
    ck_assert_uint_eq(detail.value.length, 1);
    ck_assert_str_eq(detail.variant, "b");
    ck_assert_int_eq(detail.reason, FLAGVER_REASON_SPLIT);
    ck_assert_int_eq(detail.error, FLAGVER_ERROR_NONE);
    ck_assert_str_eq(detail.rule, "r");
    ck_assert_int_eq(detail.bucket, 50000);
    ck_assert_int_eq(detail.version, 0);
    ck_assert_str_eq(detail.metadata, "{\"cool\":true,\"n\":1.5,\"owner\":\"x\"}");
    flagver_context_free(user);
    flagver_close(client);
}
END_TEST

START_TEST(a_detail_of_an_error_has_the_callers_default)
{
    flagver_client *client = client_of(detailed, NULL);
    flagver_detail detail;
    const char *key = "f", *unknown = "nope";

    memset(&detail, 0xa5, sizeof detail);
    detail.size = sizeof detail;
    ck_assert_str_eq(flagver_flag_string_detail(client, key, NULL, "mine", &detail), "mine");
    assert_detail("missing key", &detail, "'mine' - ERROR TARGETING_KEY_MISSING");
    ck_assert_ptr_null(detail.variant);
    ck_assert_ptr_null(detail.rule);
    ck_assert_int_eq(detail.bucket, -1);
    ck_assert_ptr_nonnull(detail.metadata);

    ck_assert_int_eq(flagver_flag_int_detail(client, unknown, NULL, 7, &detail), 7);
    assert_detail("unknown", &detail, "7 - ERROR FLAG_NOT_FOUND");
    ck_assert_ptr_eq(detail.flag, unknown);
    ck_assert_ptr_null(detail.metadata);
    ck_assert_double_eq(flagver_flag_double_detail(client, unknown, NULL, 7.5, &detail), 7.5);
    assert_detail("unknown", &detail, "7.5 - ERROR FLAG_NOT_FOUND");
    ck_assert(flagver_flag_bool_detail(client, key, NULL, true, &detail));
    assert_detail("a string as boolean", &detail, "true - ERROR TARGETING_KEY_MISSING");
    ck_assert_str_eq(flagver_flag_json_detail(client, unknown, NULL, "[1]", &detail), "[1]");
    assert_detail("unknown", &detail, "[1] - ERROR FLAG_NOT_FOUND");
    ck_assert_ptr_null(flagver_flag_string_detail(client, unknown, NULL, NULL, &detail));
    ck_assert_ptr_null(detail.value.string);
    ck_assert_uint_eq(detail.value.length, 0);
    flagver_close(client);
}
END_TEST

START_TEST(every_getter_with_a_detail_gives_the_value)
{
    flagver_client *client = client_of(five, NULL);
    flagver_detail detail = { .size = sizeof detail };

    ck_assert(flagver_flag_bool_detail(client, "boolean", NULL, false, &detail));
    assert_detail("boolean", &detail, "true on STATIC");
    ck_assert_str_eq(flagver_flag_string_detail(client, "string", NULL, "x", &detail), "1");
    assert_detail("string", &detail, "'1' v STATIC");
    ck_assert_int_eq(flagver_flag_int_detail(client, "integer", NULL, 7, &detail), 1);
    assert_detail("integer", &detail, "1 v STATIC");
    ck_assert_double_eq(flagver_flag_double_detail(client, "double", NULL, 7, &detail), 1.5);
    assert_detail("double", &detail, "1.5 v STATIC");
    ck_assert_str_eq(flagver_flag_json_detail(client, "json", NULL, "x", &detail), "1");
    assert_detail("json", &detail, "1 v STATIC");
    ck_assert_double_eq(flagver_flag_double_detail(client, "integer", NULL, 7, &detail), 1.0);
    assert_detail("integer as double", &detail, "1 v STATIC");
    flagver_close(client);
}
END_TEST

/* An older caller's detail ends earlier: behind its end nothing is written. */
START_TEST(a_detail_is_filled_as_far_as_it_goes)
{
    flagver_client *client = client_of(detailed, NULL);
    flagver_context *user = flagver_context_new("k22920");
    alignas(flagver_detail) unsigned char bytes[2 * sizeof(flagver_detail)];
    flagver_detail *detail = (flagver_detail *)bytes;
    flagver_detail whole = { .size = sizeof whole };
    size_t size, i;

    flagver_flag_evaluate(client, "f", 1, user, 0, &whole);
    for (size = sizeof(size_t); size <= sizeof bytes; size += 4) {
        memset(bytes, 0xa5, sizeof bytes);
        detail->size = size;
        ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, user, 0, detail), 0);
        ck_assert_uint_eq(detail->size, size);
        if (size >= offsetof(flagver_detail, value))
            ck_assert_str_eq(detail->flag, "f");
        if (size >= offsetof(flagver_detail, version))
            ck_assert_int_eq(detail->bucket, whole.bucket);
        for (i = size < sizeof whole ? size : sizeof whole; i < sizeof bytes; i++)
            ck_assert_uint_eq(bytes[i], 0xa5);
    }
    flagver_context_free(user);
    flagver_close(client);
}
END_TEST

START_TEST(a_detail_that_is_too_short_for_the_value_costs_no_value)
{
    flagver_client *client = client_of(five, NULL);
    size_t size;

    for (size = sizeof(size_t); size < sizeof(flagver_detail); size += 8) {
        flagver_detail detail = { .size = size };

        ck_assert_msg(flagver_flag_bool_detail(client, "boolean", NULL, false, &detail), "size %zu",
                      size);
        ck_assert_int_eq(flagver_flag_int_detail(client, "integer", NULL, 7, &detail), 1);
        ck_assert_double_eq(flagver_flag_double_detail(client, "double", NULL, 7, &detail), 1.5);
        ck_assert_str_eq(flagver_flag_string_detail(client, "string", NULL, "x", &detail), "1");
        ck_assert_str_eq(flagver_flag_json_detail(client, "json", NULL, "x", &detail), "1");
        ck_assert_int_eq(flagver_flag_int_detail(client, "nope", NULL, 7, &detail), 7);
    }
    flagver_close(client);
}
END_TEST

START_TEST(a_detail_without_a_client_is_filled_as_far_as_it_goes)
{
    alignas(flagver_detail) unsigned char bytes[sizeof(flagver_detail)];
    flagver_detail *detail = (flagver_detail *)bytes;
    size_t i;

    memset(bytes, 0xa5, sizeof bytes);
    detail->size = offsetof(flagver_detail, bucket);
    ck_assert_int_eq(flagver_flag_evaluate(NULL, "f", 1, NULL, 0, detail), FLAGVER_ERROR_GENERAL);
    ck_assert_uint_eq(detail->size, offsetof(flagver_detail, bucket));
    ck_assert_int_eq(detail->error, FLAGVER_ERROR_GENERAL);
    for (i = offsetof(flagver_detail, bucket); i < sizeof bytes; i++)
        ck_assert_uint_eq(bytes[i], 0xa5);
}
END_TEST

START_TEST(a_detail_knows_how_long_an_unknown_key_is)
{
    flagver_client *client = client_of(detailed, NULL);
    flagver_detail detail = { .size = sizeof detail };
    const char *key = "fully unknown";
    char *json;

    ck_assert_int_eq(flagver_flag_evaluate(client, key, 5, NULL, 0, &detail),
                     FLAGVER_ERROR_FLAG_NOT_FOUND);
    ck_assert_ptr_eq(detail.flag, key);
    ck_assert_uint_eq(detail.flag_length, 5);
    assert_ok(flagver_detail_json(&detail, &json, &error));
    ck_assert_ptr_nonnull(strstr(json, "{\"flag\":\"fully\","));
    flagver_string_free(json);

    flagver_flag_evaluate(client, key, 1, NULL, 0, &detail);
    ck_assert_str_eq(detail.flag, "f");
    ck_assert_uint_eq(detail.flag_length, 1);
    flagver_flag_int_detail(client, "nope", NULL, 7, &detail);
    ck_assert_uint_eq(detail.flag_length, 4);
    flagver_flag_int_detail(client, NULL, NULL, 7, &detail);
    ck_assert_str_eq(detail.flag, "");
    ck_assert_uint_eq(detail.flag_length, 0);
    flagver_close(client);
}
END_TEST

static void assert_json(flagver_client *client, const char *key, flagver_context *user,
                        const char *expected)
{
    flagver_detail detail = { .size = sizeof detail };
    char *json, *wanted = quoted(expected);

    flagver_flag_evaluate(client, key, strlen(key), user, 0, &detail);
    assert_ok(flagver_detail_json(&detail, &json, &error));
    ck_assert_str_eq(json, wanted);
    flagver_string_free(json);
    free(wanted);
}

START_TEST(a_detail_is_written_as_json)
{
    flagver_client *client = client_of(five, NULL);
    flagver_client *other = client_of(detailed, NULL);
    flagver_context *user = flagver_context_new("k22920");

    assert_json(client, "boolean", NULL,
                "{'flag':'boolean','value':true,'variant':'on','reason':'STATIC'}");
    assert_json(client, "string", NULL,
                "{'flag':'string','value':'1','variant':'v','reason':'STATIC'}");
    assert_json(client, "integer", NULL,
                "{'flag':'integer','value':1,'variant':'v','reason':'STATIC'}");
    assert_json(client, "double", NULL,
                "{'flag':'double','value':1.5,'variant':'v','reason':'STATIC'}");
    assert_json(client, "json", NULL, "{'flag':'json','value':1,'variant':'v','reason':'STATIC'}");
    assert_json(client, "no\"pe", NULL,
                "{'flag':'no\\'pe','value':null,'variant':null,'reason':'ERROR',"
                "'errorCode':'FLAG_NOT_FOUND'}");
    assert_json(other, "f", user,
                "{'flag':'f','value':'B','variant':'b','reason':'SPLIT','ruleId':'r',"
                "'bucket':50000}");
    assert_ok(flagver_context_set_key(user, "k106321", 7));
    assert_json(other, "f", user,
                "{'flag':'f','value':'A','variant':'a','reason':'SPLIT','ruleId':'r',"
                "'bucket':0}");
    flagver_string_free(NULL);
    flagver_context_free(user);
    flagver_close(client);
    flagver_close(other);
}
END_TEST

/* ---- borrowed strings ---- */

static void *replace_all(void *client)
{
    ck_assert_int_eq(load_into(client, "{'flags': {'x': {'type': 'boolean'}}}"), 0);
    return NULL;
}

START_TEST(a_borrowed_string_outlives_its_flag)
{
    flagver_client *client = client_of(detailed, NULL);
    flagver_context *user = flagver_context_new("k22920");
    flagver_detail detail = { .size = sizeof detail };
    const char *value;
    pthread_t thread;

    value = flagver_flag_string_detail(client, "f", user, "x", &detail);
    ck_assert_int_eq(pthread_create(&thread, NULL, replace_all, client), 0);
    pthread_join(thread, NULL);
    /* Not this thread's call on the client: what it has borrowed is still there. */
    ck_assert_str_eq(value, "B");
    ck_assert_str_eq(detail.variant, "b");
    ck_assert_str_eq(detail.rule, "r");
    ck_assert_str_eq(detail.flag, "f");
    ck_assert_int_eq(detail.metadata[0], '{');
    ck_assert_str_eq(flagver_flag_string(client, "f", user, "gone"), "gone");
    flagver_context_free(user);
    flagver_close(client);
}
END_TEST

/* ---- all flags ---- */

struct walk {
    struct fv_text seen;
    int stop_after; /* 0: never */
    int count;
    flagver_client *client; /* is changed in between */
};

static bool visit(void *data, const flagver_detail *detail)
{
    struct walk *walk = data;
    char *words = words_of(detail);

    ck_assert_uint_eq(detail->size, sizeof *detail);
    fv_text_format(&walk->seen, "%s: %s\n", detail->flag, words);
    free(words);
    if (walk->client)
        assert_ok(load_into(walk->client, "{'flags': {'zz': {'type': 'boolean'}}}"));
    return ++walk->count != walk->stop_after;
}

static const char many[] =
    "{'flags': {'b': {'type': 'boolean', 'enabled': false}, 'a': {'type': 'boolean'}, "
    "'ä': {'type': 'integer', 'variants': {'v': 3}, 'default': 'v'}, 'Z': {'type': 'boolean', "
    "'percentage': 50}, 'a-a': {'type': 'boolean', 'beta': ['k22920']}}}";

START_TEST(all_flags_come_in_byte_order)
{
    flagver_client *client = client_of(many, NULL);
    flagver_context *user = flagver_context_new("k22920");
    struct walk walk = { .seen = FV_TEXT_INIT };

    ck_assert_uint_eq(flagver_flag_all(client, NULL, visit, &walk), 5);
    ck_assert_str_eq(walk.seen.data, "Z: - - ERROR TARGETING_KEY_MISSING\n"
                                     "a: true on STATIC\n"
                                     "a-a: false off DEFAULT\n"
                                     "b: false off DISABLED\n"
                                     "ä: 3 v STATIC\n");
    fv_text_reset(&walk.seen);
    ck_assert_uint_eq(flagver_flag_all(client, user, visit, &walk), 5);
    ck_assert_ptr_nonnull(strstr(walk.seen.data, "a-a: true on TARGETING_MATCH\n"));
    fv_text_clear(&walk.seen);
    flagver_context_free(user);
    flagver_close(client);
}
END_TEST

START_TEST(a_walk_over_all_flags_can_be_ended)
{
    flagver_client *client = client_of(many, NULL);
    struct walk walk = { .seen = FV_TEXT_INIT, .stop_after = 2 };

    ck_assert_uint_eq(flagver_flag_all(client, NULL, visit, &walk), 2);
    ck_assert_int_eq(walk.count, 2);
    fv_text_clear(&walk.seen);
    flagver_close(client);
}
END_TEST

START_TEST(a_client_without_flags_has_none_to_visit)
{
    flagver_client *client = client_of("{}", NULL);

    ck_assert_uint_eq(flagver_flag_all(client, NULL, visit, NULL), 0);
    flagver_close(client);
}
END_TEST

START_TEST(all_details_come_from_one_state)
{
    flagver_client *client = client_of(many, NULL);
    struct walk walk = { .seen = FV_TEXT_INIT, .client = client };

    ck_assert_uint_eq(flagver_flag_all(client, NULL, visit, &walk), 5);
    ck_assert_ptr_nonnull(strstr(walk.seen.data, "ä: 3 v STATIC\n"));
    ck_assert_ptr_null(strstr(walk.seen.data, "zz"));

    fv_text_reset(&walk.seen);
    ck_assert_uint_eq(flagver_flag_all(client, NULL, visit, &walk), 1);
    ck_assert_str_eq(walk.seen.data, "zz: true on STATIC\n");
    fv_text_clear(&walk.seen);
    flagver_close(client);
}
END_TEST

/* ---- explanations ---- */

static json_t *explain(flagver_client *client, const char *key, size_t length,
                       const char *context_json)
{
    flagver_context *context = context_of(context_json);
    json_error_t wrong;
    json_t *root;
    char *text;

    assert_ok(flagver_flag_explain(client, key, length, context, &text, &error));
    root = json_loads(text, 0, &wrong);
    ck_assert_msg(root != NULL, "%s: %s", wrong.text, text);
    flagver_string_free(text);
    flagver_context_free(context);
    return root;
}

/* The steps in short: "evaluate f, condition no, rule no, served a". */
static char *steps_of(json_t *root)
{
    struct fv_text out = FV_TEXT_INIT;
    json_t *step, *holds;
    const char *name;
    size_t i;

    json_array_foreach(json_object_get(root, "steps"), i, step)
    {
        fv_text_format(&out, "%s%s", i ? ", " : "",
                       json_string_value(json_object_get(step, "step")));
        name = json_string_value(json_object_get(step, "flag"));
        if (name)
            fv_text_format(&out, " %s", name);
        name = json_string_value(json_object_get(step, "attr"));
        if (name)
            fv_text_format(&out, " %s", name);
        name = json_string_value(json_object_get(step, "segment"));
        if (name)
            fv_text_format(&out, " %s", name);
        name = json_string_value(json_object_get(step, "variant"));
        if (name)
            fv_text_format(&out, " %s", name);
        holds = json_object_get(step, "holds");
        if (holds)
            fv_text_add(&out, json_is_true(holds) ? " yes" : " no");
    }
    return fv_text_detach(&out);
}

static const char explained[] =
    "{'flags': {'f': {'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, 'default': 'a', "
    "'requires': [{'flag': 'g', 'variant': 'on'}], 'targets': {'b': ['u1']}, 'rules': ["
    "{'id': 'one', 'if': {'all': [{'attr': 'x', 'op': 'lt', 'value': 5}, {'segment': 's'}]}, "
    "'serve': 'b'}, {'if': {'flag': 'g', 'variant': 'off'}, 'serve': 'b'}]}, "
    "'g': {'type': 'boolean'}}, 'segments': {'s': {'include': ['u2']}}}";

struct explain_row {
    const char *context;
    const char *steps;
};

static const struct explain_row explain_rows[] = {
    { "{'targetingKey': 'u1'}", "evaluate f, evaluate g, settled g, served g on, requires g on "
                                "yes, targets yes, served f b" },
    { "{'targetingKey': 'u2', 'x': 4}",
      "evaluate f, evaluate g, settled g, served g on, requires g on yes, targets no, "
      "condition x yes, segment s yes, rule yes, served f b" },
    { "{'targetingKey': 'u3', 'x': 5}",
      "evaluate f, evaluate g, settled g, served g on, requires g on yes, targets no, "
      "condition x no, rule no, evaluate g, settled g, served g on, requires g off no, rule no, "
      "served f a" },
};

START_TEST(an_explanation_tells_every_step_in_order)
{
    const struct explain_row *row = &explain_rows[_i];
    flagver_client *client = client_of(explained, NULL);
    json_t *root = explain(client, "f", 1, row->context);
    char *steps = steps_of(root);

    ck_assert_str_eq(steps, row->steps);
    ck_assert_str_eq(json_string_value(json_object_get(root, "flag")), "f");
    free(steps);
    json_decref(root);
    flagver_close(client);
}
END_TEST

START_TEST(an_explanation_begins_with_the_result)
{
    flagver_client *client = client_of(detailed, NULL);
    json_t *root = explain(client, "f", 1, "{'targetingKey': 'k22920'}");

    ck_assert_str_eq(json_string_value(json_object_get(root, "value")), "B");
    ck_assert_str_eq(json_string_value(json_object_get(root, "variant")), "b");
    ck_assert_str_eq(json_string_value(json_object_get(root, "reason")), "SPLIT");
    ck_assert_str_eq(json_string_value(json_object_get(root, "ruleId")), "r");
    ck_assert_int_eq(json_integer_value(json_object_get(root, "bucket")), 50000);
    json_decref(root);
    flagver_close(client);
}
END_TEST

/* Bucket 0 is a bucket. */
START_TEST(the_last_step_tells_what_was_served)
{
    flagver_client *client = client_of(detailed, NULL);
    json_t *root = explain(client, "f", 1, "{'targetingKey': 'k106321'}"), *steps, *last;

    steps = json_object_get(root, "steps");
    last = json_array_get(steps, json_array_size(steps) - 1);
    ck_assert_str_eq(json_string_value(json_object_get(last, "step")), "served");
    ck_assert_str_eq(json_string_value(json_object_get(last, "reason")), "SPLIT");
    ck_assert(json_is_integer(json_object_get(last, "bucket")));
    ck_assert_int_eq(json_integer_value(json_object_get(last, "bucket")), 0);
    ck_assert(json_is_integer(json_object_get(root, "bucket")));
    json_decref(root);

    root = explain(client, "plain", 5, NULL);
    ck_assert_ptr_null(json_object_get(root, "bucket"));
    json_decref(root);
    flagver_close(client);
}
END_TEST

START_TEST(an_error_is_explained_too)
{
    flagver_client *client = client_of(detailed, NULL);
    json_t *root = explain(client, "f", 1, NULL);

    ck_assert_str_eq(json_string_value(json_object_get(root, "errorCode")),
                     "TARGETING_KEY_MISSING");
    ck_assert(json_is_null(json_object_get(root, "value")));
    ck_assert_uint_gt(json_array_size(json_object_get(root, "steps")), 0);
    json_decref(root);

    root = explain(client, "nope", 4, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(root, "errorCode")), "FLAG_NOT_FOUND");
    ck_assert_str_eq(json_string_value(json_object_get(root, "flag")), "nope");
    ck_assert_uint_eq(json_array_size(json_object_get(root, "steps")), 0);
    json_decref(root);
    flagver_close(client);
}
END_TEST

START_TEST(an_explanation_shows_what_was_found)
{
    flagver_client *client = client_of(explained, NULL);
    json_t *root = explain(client, "f", 1, "{'x': {'a': [1, 2.5, null, 'ü', true]}}"), *step,
           *found;
    size_t i, shown = 0;

    json_array_foreach(json_object_get(root, "steps"), i, step)
    {
        found = json_object_get(step, "found");
        if (!found)
            continue;
        shown++;
        ck_assert_uint_eq(json_array_size(json_object_get(found, "a")), 5);
        ck_assert_str_eq(json_string_value(json_array_get(json_object_get(found, "a"), 3)), "ü");
    }
    ck_assert_uint_eq(shown, 1);
    json_decref(root);
    flagver_close(client);
}
END_TEST

START_TEST(a_key_that_is_not_terminated_is_explained_as_it_is)
{
    flagver_client *client = client_of(explained, NULL);
    json_t *root = explain(client, "nobody knows", 6, NULL);

    ck_assert_str_eq(json_string_value(json_object_get(root, "flag")), "nobody");
    json_decref(root);
    root = explain(client, "flag", 1, "{'targetingKey': 'u1'}");
    ck_assert_str_eq(json_string_value(json_object_get(root, "flag")), "f");
    json_decref(root);
    flagver_close(client);
}
END_TEST

START_TEST(explaining_without_a_client_or_key_is_refused)
{
    flagver_client *client = client_of(explained, NULL);
    char *text = NULL;

    assert_fails(FLAGVER_EINVAL, flagver_flag_explain(NULL, "f", 1, NULL, &text, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_explain(client, NULL, 0, NULL, &text, &error));
    ck_assert_ptr_null(text);
    flagver_close(client);
}
END_TEST

static Suite *flag_suite(void)
{
    Suite *suite = suite_create("flag");
    TCase *names = tcase_create("names");
    TCase *getters = tcase_create("getters");
    TCase *details = tcase_create("details");
    TCase *all = tcase_create("all");
    TCase *explanations = tcase_create("explanations");

    tcase_add_test(names, reasons_have_the_names_of_openfeature);
    tcase_add_test(names, errors_have_the_names_of_openfeature);
    tcase_add_test(names, types_have_the_names_of_definitions);
    tcase_add_test(names, codes_have_a_name_words_and_a_class);
    suite_add_tcase(suite, names);

    tcase_add_test(getters, a_getter_fits_its_own_type);
    tcase_add_loop_test(getters, numbers_convert_without_loss_or_not_at_all, 0, COUNT(number_rows));
    tcase_add_test(getters, a_caller_gets_its_own_default_back);
    tcase_add_test(getters, without_a_client_or_a_key_there_is_only_the_default);
    suite_add_tcase(suite, getters);

    tcase_add_test(details, a_detail_tells_everything);
    tcase_add_test(details, a_detail_of_an_error_has_the_callers_default);
    tcase_add_test(details, every_getter_with_a_detail_gives_the_value);
    tcase_add_test(details, a_detail_is_filled_as_far_as_it_goes);
    tcase_add_test(details, a_detail_that_is_too_short_for_the_value_costs_no_value);
    tcase_add_test(details, a_detail_without_a_client_is_filled_as_far_as_it_goes);
    tcase_add_test(details, a_detail_knows_how_long_an_unknown_key_is);
    tcase_add_test(details, a_detail_is_written_as_json);
    tcase_add_test(details, a_borrowed_string_outlives_its_flag);
    suite_add_tcase(suite, details);

    tcase_add_test(all, all_flags_come_in_byte_order);
    tcase_add_test(all, a_walk_over_all_flags_can_be_ended);
    tcase_add_test(all, a_client_without_flags_has_none_to_visit);
    tcase_add_test(all, all_details_come_from_one_state);
    suite_add_tcase(suite, all);

    tcase_add_loop_test(explanations, an_explanation_tells_every_step_in_order, 0,
                        COUNT(explain_rows));
    tcase_add_test(explanations, an_explanation_begins_with_the_result);
    tcase_add_test(explanations, the_last_step_tells_what_was_served);
    tcase_add_test(explanations, an_error_is_explained_too);
    tcase_add_test(explanations, an_explanation_shows_what_was_found);
    tcase_add_test(explanations, a_key_that_is_not_terminated_is_explained_as_it_is);
    tcase_add_test(explanations, explaining_without_a_client_or_key_is_refused);
    suite_add_tcase(suite, explanations);
    return suite;
}

int main(void)
{
    return run_suite(flag_suite());
}
