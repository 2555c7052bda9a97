/*
 * Definitions from records: one that is malformed, or names what is not there,
 * spoils its own flag and nothing else, and recovers when the cause is gone.
 */
#include "codec/detail.h"
#include "codec/records.h"
#include "engine/flags.h"
#include "flags.h"
#include "seed.h"

/* A store in memory: the definitions so far and what a client would make of them. */
static struct fv_catalog *catalog;
static struct fv_definitions *definitions;
static flagver_snapshot *snapshot;
static struct fv_text told = FV_TEXT_INIT;
static const char *variable_value;

static void open_store(void)
{
    const flagver_options options = { .size = sizeof options };

    catalog = fv_catalog_new(&options);
    ck_assert_ptr_nonnull(catalog);
    definitions = NULL;
    snapshot = NULL;
    variable_value = NULL;
}

static void close_store(void)
{
    fv_snapshot_release(snapshot);
    fv_definitions_release(definitions);
    fv_catalog_release(catalog);
    fv_text_clear(&told);
}

static void listen(void *data, const char *message)
{
    (void)data;
    fv_text_add(&told, message);
    fv_text_add_char(&told, '\n');
}

static const char *variable(void *data, const char *name)
{
    (void)data;
    return strcmp(name, "VARIABLE") == 0 ? variable_value : NULL;
}

static const struct fv_listener listener = { listen, NULL };

static struct fv_definitions_source source_of_store(bool merge)
{
    return (struct fv_definitions_source){ .flag_names = &catalog->flag_names,
                                           .segment_names = &catalog->segment_names,
                                           .attribute_names = &catalog->attribute_names,
                                           .current = definitions,
                                           .merge = merge,
                                           .variable = variable,
                                           .spoiled = &listener };
}

static void take(struct fv_definitions *next)
{
    flagver_snapshot *taken;

    ck_assert_int_eq(fv_catalog_count(catalog, next), 0);
    taken = fv_snapshot_new(catalog, next, NULL, snapshot);
    ck_assert_ptr_nonnull(taken);
    fv_snapshot_release(snapshot);
    fv_definitions_release(definitions);
    snapshot = taken;
    definitions = next;
}

static void read_records(const struct fv_record *records, size_t count, bool merge)
{
    const struct fv_definitions_source source = source_of_store(merge);
    struct fv_definitions *next = NULL;

    fv_text_reset(&told);
    assert_ok(fv_definitions_from_records(&source, records, count, &next, &error));
    take(next);
}

/* Records in a table of tests, with ' for ". A name with "/" before it is a segment's. */
struct row {
    const char *name, *json;
    int64_t version;
};

#define ROWS 16

static void read_rows(const struct row *rows, size_t count, bool merge)
{
    struct fv_record records[ROWS];
    char *texts[ROWS] = { NULL };
    size_t i;

    ck_assert_uint_le(count, ROWS);
    for (i = 0; i < count; i++) {
        texts[i] = rows[i].json ? quoted(rows[i].json) : NULL;
        records[i] = (struct fv_record){ .is_segment = rows[i].name[0] == '/',
                                         .key = rows[i].name + (rows[i].name[0] == '/'),
                                         .text = texts[i],
                                         .length = texts[i] ? strlen(texts[i]) : 0,
                                         .version = rows[i].version };
        records[i].key_length = strlen(records[i].key);
    }
    read_records(records, count, merge);
    for (i = 0; i < count; i++)
        free(texts[i]);
}

#define READ(...)                                  \
    read_rows((const struct row[]){ __VA_ARGS__ }, \
              sizeof((const struct row[]){ __VA_ARGS__ }) / sizeof(struct row), false)
#define MERGE(...)                                 \
    read_rows((const struct row[]){ __VA_ARGS__ }, \
              sizeof((const struct row[]){ __VA_ARGS__ }) / sizeof(struct row), true)

static flagver_detail detail_of(const char *key, size_t length, const char *context_json)
{
    const struct fv_flag_name name = { key, length, FV_MAP_NONE };
    flagver_context *context = context_of(context_json);
    flagver_detail detail = { .size = sizeof detail };

    fv_flags_evaluate_on(snapshot, &name, context, FLAGVER_TYPE_ANY, &detail);
    flagver_context_free(context);
    return detail;
}

static void assert_answer(const char *key, const char *context_json, const char *expected)
{
    flagver_detail detail = detail_of(key, strlen(key), context_json);

    assert_detail(key, &detail, expected);
}

#define SPOILED "- - ERROR PARSE_ERROR"
#define ON "true on STATIC"

/* What is listed as spoiled, a line each. */
static void assert_spoiled(const char *expected)
{
    struct fv_text list = FV_TEXT_INIT;
    size_t i;

    for (i = 0; i < definitions->spoiled_count; i++)
        fv_text_format(&list, "%s%s ", definitions->spoiled[i].is_segment ? "/" : "",
                       definitions->spoiled[i].key);
    ck_assert_str_eq(list.data, expected);
    fv_text_clear(&list);
}

static void assert_why(const char *name, const char *words)
{
    size_t i;

    for (i = 0; i < definitions->spoiled_count; i++)
        if (strcmp(definitions->spoiled[i].key, name) == 0) {
            ck_assert_msg(strstr(definitions->spoiled[i].why, words) != NULL, "\"%s\" is not in %s",
                          words, definitions->spoiled[i].why);
            return;
        }
    ck_abort_msg("%s is not spoiled", name);
}

static const struct fv_flag *flag_of(const char *key)
{
    return definitions->flags[fv_map_find(&catalog->flag_names, key, strlen(key))];
}

static const struct fv_flag *served_of(const char *key)
{
    const struct fv_world world = fv_definitions_world(definitions);

    return world.flags[fv_map_find(&catalog->flag_names, key, strlen(key))];
}

/* ---- sound records ---- */

START_TEST(flags_and_segments_come_from_records)
{
    READ({ "a", "{'type': 'boolean', 'percentage': 100}", 3 },
         { "b", "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}", 1 },
         { "/s", "{'include': ['bob']}", 1 });
    assert_answer("a", "{}", "true on DEFAULT");
    assert_answer("b", "{'targetingKey': 'bob'}", "true on TARGETING_MATCH");
    assert_answer("b", "{'targetingKey': 'eve'}", "false off DEFAULT");
    assert_answer("c", "{}", "- - ERROR FLAG_NOT_FOUND");
    assert_spoiled("");
    ck_assert_ptr_null(definitions->served);
    ck_assert_uint_eq(told.length, 0);
}
END_TEST

START_TEST(details_show_the_version_of_the_record)
{
    READ({ "a", "{'type': 'boolean'}", 3 }, { "b", "{", 7 });
    ck_assert_int_eq(detail_of("a", 1, NULL).version, 3);
    ck_assert_int_eq(detail_of("b", 1, NULL).version, 7);
    MERGE({ "a", "{'type': 'boolean'}", 4 }, { "b", "{", INT64_MAX });
    ck_assert_int_eq(detail_of("a", 1, NULL).version, 4);
    ck_assert_int_eq(detail_of("b", 1, NULL).version, INT64_MAX);
    READ({ "a", "{'type': 'boolean'}", 5 });
    ck_assert_int_eq(detail_of("a", 1, NULL).version, 5);
}
END_TEST

START_TEST(what_is_unchanged_is_kept)
{
    const struct fv_flag *a, *b;
    const struct fv_segment *s;

    READ({ "a", "{'type': 'boolean'}", 1 }, { "b", "{'type': 'boolean'}", 1 }, { "/s", "{}", 1 });
    a = flag_of("a");
    b = flag_of("b");
    s = definitions->segments[0];
    MERGE({ "b", "{'type': 'boolean'}", 2 }, { "/s", "{}", 2 });
    ck_assert_ptr_eq(flag_of("a"), a);
    ck_assert_ptr_ne(flag_of("b"), b);
    ck_assert_ptr_eq(definitions->segments[0], s);
    b = flag_of("b");
    READ({ "/s", "{}", 3 }, { "b", "{'type': 'boolean'}", 2 },
         { "a", "{'type': 'boolean', 'enabled': false}", 1 });
    ck_assert_ptr_ne(flag_of("a"), a);
    ck_assert_ptr_eq(flag_of("b"), b);
    ck_assert_ptr_eq(definitions->segments[0], s);
}
END_TEST

START_TEST(a_record_without_text_is_taken_away)
{
    READ({ "a", "{'type': 'boolean'}", 1 }, { "b", NULL, 2 }, { "/s", NULL, 2 },
         { "c", "{'type': 'boolean'}", 1 });
    assert_answer("b", NULL, "- - ERROR FLAG_NOT_FOUND");
    MERGE({ "a", NULL, 2 }, { "never", NULL, 1 }, { "/never", NULL, 1 });
    assert_answer("a", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_answer("c", NULL, ON);
    ck_assert_uint_eq(fv_map_find(&catalog->flag_names, "never", 5), FV_MAP_NONE);
    READ({ "a", "{'type': 'boolean'}", 3 });
    assert_answer("a", NULL, ON);
    assert_answer("c", NULL, "- - ERROR FLAG_NOT_FOUND");
    read_records(NULL, 0, false);
    assert_answer("a", NULL, "- - ERROR FLAG_NOT_FOUND");
}
END_TEST

START_TEST(of_two_records_with_one_key_the_later_counts)
{
    READ({ "a", "{'type': 'boolean'}", 1 }, { "a", "{'type': 'boolean', 'enabled': false}", 2 },
         { "b", "{", 1 }, { "b", "{'type': 'boolean'}", 2 }, { "/s", "{", 1 }, { "/s", NULL, 2 },
         { "c", "{'type': 'boolean'}", 1 }, { "c", NULL, 2 });
    assert_answer("a", NULL, "false off DISABLED");
    assert_answer("b", NULL, ON);
    assert_answer("c", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_spoiled("");
}
END_TEST

/* Not even the parser sees an unchanged record; one that reads the environment it does. */
START_TEST(the_environment_is_looked_at_again)
{
    static const char json[] = "{'type': 'boolean', 'env': {'enabled': 'VARIABLE'}}";
    const struct fv_flag *flag;

    READ({ "a", json, 1 });
    flag = flag_of("a");
    assert_answer("a", NULL, ON);
    READ({ "a", json, 1 });
    ck_assert_ptr_eq(flag_of("a"), flag);
    variable_value = "no";
    READ({ "a", json, 1 });
    assert_answer("a", NULL, "false off DISABLED");
    variable_value = NULL;
    MERGE({ "a", json, 1 });
    assert_answer("a", NULL, ON);
}
END_TEST

/* ---- malformed records ---- */

#define DEEP_4 "[[[["
#define DEEP_64                                                                                \
    DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 DEEP_4 \
        DEEP_4 DEEP_4 DEEP_4

static const char *const malformed[][2] = {
    { "", "text is empty" },
    { "{", "line 1, column 2" },
    { "{'type': 'boolean'} {}", "text goes on" },
    { "[]", "must be an object" },
    { "null", "must be an object" },
    { "\xef\xbb\xbf{'type': 'boolean'}", "byte order mark" },
    { "{'type': 'boolean', 'type': 'boolean'}", "stands twice" },
    { "{'type': 'boolean', 'description': '\xff'}", "not UTF-8" },
    { "{'type': 'boolean', 'description': '\\u0000'}", "NUL" },
    { "{'type': 'boolean', 'salt': 1}", "/salt: must be a string" },
    { "{'type': 'boolean', 'percent': 1}", "/percent: unknown key" },
    { "{'type': 'boolean', 'percentage': 1e999}", "out of range" },
    { "{'type': 'integer', 'variants': {'a': 9223372036854775808}}", "out of range" },
    { "{'type': 'boolean', 'rules': [{'if': {'attr': 'a', 'op': 'matches', 'value': '(((('}, "
      "'serve': 'on'}]}",
      "/rules/0/if/value" },
    { DEEP_64 DEEP_64 DEEP_64 DEEP_64 DEEP_64 DEEP_64 DEEP_64 DEEP_64, "nested deeper than 500" },
};

START_TEST(a_malformed_record_spoils_its_own_flag)
{
    READ({ "a", "{'type': 'boolean'}", 1 }, { "bad", malformed[_i][0], 1 },
         { "/bad", malformed[_i][0], 1 }, { "z", "{'type': 'boolean'}", 1 });
    assert_answer("bad", NULL, SPOILED);
    assert_answer("bad", "{'targetingKey': 'u'}", SPOILED);
    assert_answer("a", NULL, ON);
    assert_answer("z", NULL, ON);
    assert_spoiled("bad /bad ");
    assert_why("bad", malformed[_i][1]);
    ck_assert_ptr_nonnull(strstr(told.data, "flag \"bad\" cannot be used: line 1, column "));
    ck_assert_ptr_nonnull(strstr(told.data, "segment \"bad\" cannot be used: line 1, column "));

    MERGE({ "bad", "{'type': 'boolean'}", 2 }, { "/bad", "{}", 2 });
    assert_answer("bad", NULL, ON);
    assert_spoiled("");
}
END_TEST

START_TEST(a_text_may_hold_any_bytes)
{
    struct fv_record record = { false, "a", 1, "{\"type\":\0\"boolean\"}", 19, 1, NULL, 0 };

    read_records(&record, 1, false);
    assert_answer("a", NULL, SPOILED);
    record.text = "{\"type\":\"boolean\"}\0\n";
    record.length = 18;
    read_records(&record, 1, true);
    assert_answer("a", NULL, ON);
    record.length = 19;
    read_records(&record, 1, true);
    assert_answer("a", NULL, SPOILED);
}
END_TEST

/* Forced, malformed, and only then the context: docs/flags.md, "Order of evaluation". */
START_TEST(malformed_comes_before_an_invalid_context)
{
    READ({ "bad", "{", 1 },
         { "lost",
           "{'type': 'boolean', 'requires': [{'flag': 'x', 'variant': "
           "'on'}]}",
           1 },
         { "good", "{'type': 'boolean'}", 1 });
    assert_answer("bad", "{'targetingKey': [1]}", SPOILED);
    assert_answer("lost", "{'targetingKey': [1]}", SPOILED);
    assert_answer("good", "{'targetingKey': [1]}", "- - ERROR INVALID_CONTEXT");
}
END_TEST

START_TEST(a_wrong_type_does_not_hide_that_a_flag_is_malformed)
{
    const struct fv_flag_name name = { "bad", 3, FV_MAP_NONE };
    flagver_detail detail = { .size = sizeof detail };
    int type;

    READ({ "bad", "{'type': 'boolean', 'percentage': 101}", 1 });
    for (type = FLAGVER_TYPE_ANY; type <= FLAGVER_TYPE_JSON; type++)
        ck_assert_int_eq(fv_flags_evaluate_on(snapshot, &name, NULL, type, &detail),
                         FLAGVER_ERROR_PARSE_ERROR);
}
END_TEST

START_TEST(a_key_that_is_none_is_malformed)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    char key[513];
    struct fv_record record = { false, key, 0, json, strlen(json), 1, NULL, 0 };

    memset(key, 'k', sizeof key);
    read_records(&record, 1, false);
    ck_assert_int_eq(detail_of("", 0, NULL).error, FLAGVER_ERROR_PARSE_ERROR);
    record.key_length = 256;
    read_records(&record, 1, false);
    ck_assert_int_eq(detail_of(key, 256, NULL).error, 0);
    record.key_length = 257;
    read_records(&record, 1, false);
    ck_assert_int_eq(detail_of(key, 257, NULL).error, FLAGVER_ERROR_PARSE_ERROR);
    ck_assert_ptr_nonnull(strstr(definitions->spoiled[0].why, "flag key is 257 bytes"));
    record.key_length = 512;
    read_records(&record, 1, false);
    ck_assert_int_eq(detail_of(key, 512, NULL).error, FLAGVER_ERROR_PARSE_ERROR);
    record.is_segment = true;
    read_records(&record, 1, false);
    ck_assert_uint_eq(definitions->spoiled_count, 1);
    record = (struct fv_record){ false, "a\0b", 3, json, strlen(json), 1, NULL, 0 };
    read_records(&record, 1, true);
    ck_assert_int_eq(detail_of("a\0b", 3, NULL).error, FLAGVER_ERROR_PARSE_ERROR);
    ck_assert_int_eq(detail_of("a", 1, NULL).error, FLAGVER_ERROR_FLAG_NOT_FOUND);
    record = (struct fv_record){ false, "\xc3", 1, json, strlen(json), 1, NULL, 0 };
    read_records(&record, 1, true);
    ck_assert_int_eq(detail_of("\xc3", 1, NULL).error, FLAGVER_ERROR_PARSE_ERROR);
    record.text = NULL;
    read_records(&record, 1, true);
    ck_assert_int_eq(detail_of("\xc3", 1, NULL).error, FLAGVER_ERROR_FLAG_NOT_FOUND);
}
END_TEST

START_TEST(a_key_that_no_store_can_have_is_left_out)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    char *key = malloc(70000);
    const struct fv_record records[] = { { false, key, 513, json, strlen(json), 1, NULL, 0 },
                                         { true, key, 70000, "{}", 2, 1, NULL, 0 },
                                         { false, key, 70000, NULL, 0, 1, NULL, 0 } };

    ck_assert_ptr_nonnull(key);
    memset(key, 'k', 70000);
    read_records(records, 3, false);
    ck_assert_uint_eq(snapshot->count, 0);
    ck_assert_uint_eq(definitions->spoiled_count, 0);
    free(key);
}
END_TEST

/* ---- what is not there (any longer) ---- */

#define REQUIRES(other) "{'type': 'boolean', 'requires': [{'flag': '" other "', 'variant': 'on'}]}"
#define ASKS(condition) \
    "{'type': 'boolean', 'default': 'off', 'rules': [{'if': " condition ", 'serve': 'on'}]}"
#define IN(segment) "{'segment': '" segment "'}"
#define SERVES(other) "{'flag': '" other "', 'variant': 'on'}"
#define PLAIN "{'type': 'boolean'}"

struct missing {
    const char *label;
    struct row own, cause, gone; /* the flag, what it names, and what becomes of that */
    const char *answer, *why;
};

static const struct missing missing[] = {
    { "a flag",
      { "a", REQUIRES("b"), 1 },
      { "b", PLAIN, 1 },
      { "b", NULL, 2 },
      "true on DEFAULT",
      "/requires/0/flag: flag \"a\" names a flag \"b\" that does not exist" },
    { "a flag in a condition",
      { "a", ASKS(SERVES("b")), 1 },
      { "b", PLAIN, 1 },
      { "b", NULL, 2 },
      "true on TARGETING_MATCH",
      "/rules/0/if/flag: flag \"a\" names a flag \"b\"" },
    { "a variant",
      { "a", REQUIRES("b"), 1 },
      { "b", PLAIN, 1 },
      { "b", "{'type': 'boolean', 'variants': {'yes': true, 'no': false}}", 2 },
      "true on DEFAULT",
      "/requires/0/variant: flag \"a\" asks for variant \"on\", which flag \"b\" does not have" },
    { "a segment",
      { "a", ASKS(IN("s")), 1 },
      { "/s", "{'include': ['u']}", 1 },
      { "/s", NULL, 2 },
      "true on TARGETING_MATCH",
      "/rules/0/if/segment: flag \"a\" names a segment \"s\" that does" },
    { "a malformed segment",
      { "a", ASKS(IN("s")), 1 },
      { "/s", "{'include': ['u']}", 1 },
      { "/s", "{'include': 'u'}", 2 },
      "true on TARGETING_MATCH",
      "flag \"a\" names a segment \"s\" that is malformed" },
};

START_TEST(what_is_missing_spoils_who_names_it_until_it_is_back)
{
    const struct missing *row = &missing[_i];
    const struct fv_flag *compiled;

    READ(row->own, row->cause, { "z", PLAIN, 1 });
    compiled = flag_of("a");
    assert_answer("a", "{'targetingKey': 'u'}", row->answer);

    MERGE(row->gone);
    assert_answer("a", "{'targetingKey': 'u'}", SPOILED);
    assert_answer("z", NULL, ON);
    assert_why("a", row->why);
    ck_assert_ptr_nonnull(strstr(told.data, row->why));
    ck_assert_int_eq(detail_of("a", 1, NULL).version, 1);
    ck_assert_ptr_eq(flag_of("a"), compiled);
    ck_assert_ptr_ne(served_of("a"), compiled);

    MERGE({ row->cause.name, row->cause.json, 3 });
    assert_answer("a", "{'targetingKey': 'u'}", row->answer);
    assert_spoiled("");
    ck_assert_ptr_eq(served_of("a"), compiled);
}
END_TEST

START_TEST(who_asks_a_spoiled_flag_finds_that_it_serves_nothing)
{
    READ({ "bad", "{", 1 }, { "lost", REQUIRES("nowhere"), 1 }, { "a", REQUIRES("bad"), 1 },
         { "b", REQUIRES("lost"), 1 }, { "c", ASKS("{'not': " SERVES("lost") "}"), 1 },
         { "d", ASKS(SERVES("bad")), 1 }, { "e", ASKS(IN("s")), 1 },
         { "/s", "{'if': {'not': " SERVES("lost") "}}", 1 });
    assert_spoiled("bad lost ");
    assert_answer("a", NULL, "false off DEFAULT rule=requires");
    assert_answer("b", NULL, "false off DEFAULT rule=requires");
    assert_answer("c", NULL, "true on TARGETING_MATCH");
    assert_answer("d", NULL, "false off DEFAULT");
    assert_answer("e", NULL, "true on TARGETING_MATCH");
}
END_TEST

START_TEST(a_segment_that_names_what_is_missing_is_missing_itself)
{
    READ({ "a", ASKS(IN("s")), 1 }, { "b", ASKS(IN("t")), 1 }, { "c", ASKS(IN("u")), 1 },
         { "/s", "{'if': " IN("t") "}", 1 }, { "/t", "{'if': " IN("nowhere") "}", 1 },
         { "/u", "{'include': ['u']}", 1 });
    assert_spoiled("a b /s /t ");
    assert_answer("c", "{'targetingKey': 'u'}", "true on TARGETING_MATCH");
    MERGE({ "/nowhere", "{'include': ['u']}", 1 });
    assert_spoiled("");
    assert_answer("a", "{'targetingKey': 'u'}", "true on TARGETING_MATCH");
}
END_TEST

/* ---- cycles ---- */

START_TEST(a_cycle_spoils_the_flags_on_it_and_no_others)
{
    READ({ "before", REQUIRES("a"), 1 }, { "a", REQUIRES("b"), 1 }, { "b", ASKS(SERVES("c")), 1 },
         { "c", "{'type': 'boolean', 'requires': [" SERVES("behind") ", " SERVES("a") "]}", 1 },
         { "behind", PLAIN, 1 }, { "self", REQUIRES("self"), 1 });
    assert_spoiled("a b c self ");
    assert_why("a", "/requires/0/flag: flag \"a\" depends on itself through flag \"b\"");
    assert_why("c", "/requires/1/flag: flag \"c\" depends on itself through flag \"a\"");
    assert_why("self", "through flag \"self\"");
    assert_answer("before", NULL, "false off DEFAULT rule=requires");
    assert_answer("behind", NULL, ON);
    MERGE({ "b", PLAIN, 2 });
    assert_spoiled("self ");
    assert_answer("before", NULL, "true on DEFAULT");
    MERGE({ "b", ASKS(SERVES("c")), 3 });
    assert_spoiled("a b c self ");
}
END_TEST

START_TEST(a_cycle_may_lead_through_segments)
{
    READ({ "a", ASKS(IN("s")), 1 }, { "/s", "{'if': " SERVES("a") "}", 1 },
         { "b", ASKS(IN("s")), 1 }, { "/t", "{'if': " IN("u") "}", 1 },
         { "/u", "{'if': {'not': " IN("t") "}}", 1 }, { "/v", "{'if': " IN("v") "}", 1 },
         { "c", ASKS(IN("v")), 1 }, { "d", ASKS(SERVES("a")), 1 });
    assert_spoiled("a b c /s /t /u /v ");
    assert_why("a", "flag \"a\" depends on itself through segment \"s\"");
    assert_why("b", "flag \"b\" names a segment \"s\" that is malformed");
    assert_answer("d", NULL, "false off DEFAULT");
    MERGE({ "a", PLAIN, 2 }, { "/t", NULL, 2 }, { "/v", "{}", 2 });
    assert_spoiled("/u ");
}
END_TEST

START_TEST(two_ways_to_one_flag_are_no_cycle)
{
    READ({ "a", "{'type': 'boolean', 'requires': [" SERVES("b") ", " SERVES("c") "]}", 1 },
         { "b", REQUIRES("d"), 1 }, { "c", REQUIRES("d"), 1 }, { "d", PLAIN, 1 });
    assert_spoiled("");
    assert_answer("a", NULL, "true on DEFAULT");
}
END_TEST

/* ---- too deep, too long ---- */

/* n0 requires n1 requires … n<count>. */
static void read_chain(int count)
{
    struct fv_record *records = calloc((size_t)count + 1, sizeof *records);
    char(*keys)[16] = calloc((size_t)count + 1, sizeof *keys);
    struct fv_text *texts = calloc((size_t)count + 1, sizeof *texts);
    int i;

    ck_assert(records && keys && texts);
    for (i = 0; i <= count; i++) {
        texts[i] = (struct fv_text)FV_TEXT_INIT;
        snprintf(keys[i], sizeof keys[i], "n%d", i);
        if (i < count)
            fv_text_format(&texts[i],
                           "{\"type\":\"boolean\",\"requires\":[{\"flag\":\"n%d\",\"variant\":"
                           "\"on\"}]}",
                           i + 1);
        else
            fv_text_add(&texts[i], "{\"type\":\"boolean\"}");
        records[i] = (struct fv_record){
            false, keys[i], strlen(keys[i]), texts[i].data, texts[i].length, 1, NULL, 0
        };
    }
    read_records(records, (size_t)count + 1, false);
    for (i = 0; i <= count; i++)
        fv_text_clear(&texts[i]);
    free(records);
    free(keys);
    free(texts);
}

START_TEST(a_flag_from_which_too_many_lead_on_is_spoiled)
{
    read_chain(100);
    assert_spoiled("");
    assert_answer("n0", NULL, "true on DEFAULT");
    read_chain(101);
    assert_spoiled("n0 ");
    assert_why("n0", "lead on from flag \"n0\" more than 100 times");
    assert_answer("n1", NULL, "true on DEFAULT");
    /* A spoiled flag is an end: those before it begin to count anew. */
    read_chain(201);
    assert_spoiled("n100 ");
    assert_answer("n99", NULL, "false off DEFAULT rule=requires");
    assert_answer("n0", NULL, "false off DEFAULT rule=requires");
    assert_answer("n101", NULL, "true on DEFAULT");
}
END_TEST

START_TEST(very_long_chains_and_rings_are_looked_through)
{
    static const char closing[] =
        "{\"type\":\"boolean\",\"requires\":[{\"flag\":\"n0\",\"variant\":\"on\"}]}";
    const struct fv_record record = { false, "n30000", 6, closing, sizeof closing - 1, 2, NULL, 0 };

    read_chain(30000);
    ck_assert_uint_eq(definitions->spoiled_count, 30000 / 101);
    read_records(&record, 1, true);
    ck_assert_uint_eq(definitions->spoiled_count, 30001);
}
END_TEST

START_TEST(a_flag_that_could_make_too_many_tests_is_spoiled)
{
    struct row rows[ROWS] = { { "a", ASKS(IN("n0")), 1 } };
    static const char *const names[] = { "/n0", "/n1", "/n2", "/n3", "/n4", "/n5", "/n6", "/n7" };
    struct fv_text texts[8];
    int i, j;

    /* Each asks the next one ten times: n7 makes 1 test, n0 ten million. */
    for (i = 0; i < 8; i++) {
        texts[i] = (struct fv_text)FV_TEXT_INIT;
        fv_text_add(&texts[i], "{'if': {'any': [{'attr': 'x', 'op': 'exists', 'value': true}");
        for (j = 0; i < 7 && j < 10; j++)
            fv_text_format(&texts[i], ", {'segment': 'n%d'}", i + 1);
        fv_text_add(&texts[i], "]}}");
        rows[i + 1] = (struct row){ names[i], texts[i].data, 1 };
    }
    rows[9] = (struct row){ "b", ASKS(IN("n3")), 1 };
    read_rows(rows, 10, false);
    assert_answer("a", "{'x': 1}", SPOILED);
    assert_answer("b", "{'x': 1}", "true on TARGETING_MATCH");
    assert_why("n1", "one evaluation of segment \"n1\" could make more than 1000000 tests");
    for (i = 0; i < 8; i++)
        fv_text_clear(&texts[i]);
}
END_TEST

/* ---- forcing ---- */

static int force_on(void *data, struct fv_flag *flag, struct fv_flag **ret_forced)
{
    uint32_t variant = fv_flag_variant(flag, data);

    if (variant == FV_NO_VARIANT)
        return 0;
    *ret_forced = fv_flag_force(flag, variant);
    return *ret_forced ? 0 : FLAGVER_ENOMEM;
}

START_TEST(a_spoiled_flag_can_be_forced)
{
    const struct fv_forcing forcing = { force_on, "on" };
    flagver_snapshot *plain;

    READ({ "lost", REQUIRES("nowhere"), 4 }, { "bad", "{'type': 'boolean', 'percent': 1}", 5 },
         { "own", "{'type': 'string', 'variants': {'on': 'x'}, 'default': 'nowhere'}", 1 },
         { "ruin", "{", 1 }, { "odd", "{'type': 'boolean', 'variants': {'on': 1}}", 1 },
         { "twins", "{'type': 'boolean', 'variants': {'on': true, 'up': true}}", 1 },
         { "asks", REQUIRES("bad"), 1 });
    plain = snapshot;
    snapshot = fv_snapshot_new(catalog, definitions, &forcing, plain);
    ck_assert_ptr_nonnull(snapshot);
    fv_snapshot_release(plain);
    assert_answer("lost", "{'targetingKey': [1]}", "true on STATIC");
    ck_assert_int_eq(detail_of("lost", 4, NULL).version, 4);
    assert_answer("bad", NULL, "true on STATIC");
    ck_assert_int_eq(detail_of("bad", 3, NULL).version, 5);
    assert_answer("own", NULL, "'x' on STATIC");
    /* Of these no variant is known. */
    assert_answer("ruin", NULL, SPOILED);
    assert_answer("odd", NULL, SPOILED);
    assert_answer("twins", NULL, SPOILED);
}
END_TEST

START_TEST(a_shared_variable_is_known)
{
    READ({ "a-b", PLAIN, 1 }, { "a_b", "{", 1 }, { "A.B", PLAIN, 1 }, { "a-c", PLAIN, 1 },
         { "a-b2", PLAIN, 1 }, { "a", PLAIN, 1 }, { "\xc3\xa4", PLAIN, 1 }, { "..", PLAIN, 1 });
    ck_assert(fv_force_is_shared(definitions, flag_of("a-b")));
    ck_assert(fv_force_is_shared(definitions, flag_of("a_b")));
    ck_assert(fv_force_is_shared(definitions, flag_of("A.B")));
    ck_assert(!fv_force_is_shared(definitions, flag_of("a-c")));
    ck_assert(!fv_force_is_shared(definitions, flag_of("a-b2")));
    ck_assert(!fv_force_is_shared(definitions, flag_of("a")));
    ck_assert(fv_force_is_shared(definitions, flag_of("\xc3\xa4")));
    assert_answer("a-b", NULL, ON);
    MERGE({ "a_b", NULL, 2 }, { "A.B", NULL, 2 });
    ck_assert(!fv_force_is_shared(definitions, flag_of("a-b")));
}
END_TEST

/* ---- counting, listening, explaining ---- */

START_TEST(a_spoiled_flag_counts_where_it_counted_before)
{
    const struct fv_flag *served;

    READ({ "a", REQUIRES("b"), 1 }, { "b", PLAIN, 1 });
    MERGE({ "b", NULL, 2 });
    served = served_of("a");
    ck_assert_uint_ne(served->body->counter, 0);
    ck_assert_uint_eq(served->body->counter, flag_of("a")->body->counter);
    /* Also one that was never anything else. */
    MERGE({ "c", REQUIRES("b"), 1 }, { "d", "{", 1 });
    ck_assert_uint_ne(served_of("c")->body->counter, 0);
    ck_assert_uint_eq(served_of("c")->body->counter, flag_of("c")->body->counter);
    ck_assert_uint_ne(served_of("d")->body->counter, 0);
}
END_TEST

START_TEST(what_is_spoiled_already_is_not_told_again)
{
    const struct fv_flag *stand_in;

    READ({ "a", REQUIRES("b"), 1 }, { "bad", "{", 1 });
    ck_assert_ptr_nonnull(strstr(told.data, "flag \"a\" cannot be used: /requires/0/flag: "));
    ck_assert_ptr_nonnull(strstr(told.data, "flag \"bad\" cannot be used: line 1"));
    stand_in = served_of("a");
    MERGE({ "z", PLAIN, 1 });
    ck_assert_uint_eq(told.length, 0);
    ck_assert_ptr_eq(served_of("a"), stand_in);
    READ({ "bad", "{", 1 }, { "a", REQUIRES("b"), 1 });
    ck_assert_uint_eq(told.length, 0);
    ck_assert_ptr_eq(served_of("a"), stand_in);
    /* Another reason is news, and so is the same one after a while without. */
    MERGE({ "b", REQUIRES("a"), 1 });
    ck_assert_ptr_nonnull(strstr(
        told.data, "flag \"a\" cannot be used: /requires/0/flag: flag \"a\" depends on itself"));
    ck_assert_ptr_null(strstr(told.data, "bad"));
    MERGE({ "bad", PLAIN, 2 });
    MERGE({ "bad", "{", 3 });
    ck_assert_ptr_nonnull(strstr(told.data, "flag \"bad\" cannot be used"));
    ck_assert_ptr_null(strstr(told.data, "flag \"a\""));
}
END_TEST

START_TEST(what_is_spoiled_is_listed_in_order)
{
    READ({ "c", "{", 1 }, { "/b", "{", 1 }, { "a", REQUIRES("nowhere"), 1 }, { "ab", "{", 1 },
         { "/a", "{'if': " IN("b") "}", 1 }, { "B", "{", 1 });
    assert_spoiled("B a ab c /a /b ");
    ck_assert_uint_eq(definitions->spoiled[2].key_length, 2);
}
END_TEST

START_TEST(an_explanation_says_why)
{
    const struct fv_world world = { 0 };
    struct fv_explanation explanation;
    struct fv_question question = { .world = &world };
    struct fv_outcome outcome;

    READ({ "bad", "{'type': 'boolean', 'percentage': 101}", 1 });
    fv_explanation_init(&explanation, NULL);
    question.trace = &explanation.trace;
    fv_evaluate(&question, served_of("bad"), &outcome);
    ck_assert_int_eq(outcome.error, FLAGVER_ERROR_PARSE_ERROR);
    ck_assert_ptr_nonnull(strstr(explanation.steps.data, "{\"step\":\"malformed\",\"flag\":\"bad\","
                                                         "\"why\":\"line 1, column 35: "
                                                         "/percentage: percentage is 101"));
    fv_explanation_clear(&explanation);
}
END_TEST

/* ---- a file over records ---- */

static int merge_file(const char *json)
{
    struct fv_definitions_source source = source_of_store(true);
    struct fv_definitions *next = NULL;
    char *text = quoted(json);
    int r;

    source.text = text;
    source.length = strlen(text);
    r = fv_definitions_read(&source, &next, &error);
    if (r == 0)
        take(next);
    free(text);
    return r;
}

START_TEST(a_file_is_not_blamed_for_what_records_had_wrong)
{
    READ({ "bad", "{", 1 }, { "lost", REQUIRES("nowhere"), 1 }, { "/s", "{'if': " IN("x") "}", 1 },
         { "a-b", PLAIN, 1 }, { "a_b", PLAIN, 1 }, { "b", PLAIN, 1 }, { "c", REQUIRES("b"), 1 });
    assert_ok(merge_file("{'flags': {'new': " REQUIRES("bad") "}}"));
    assert_spoiled("bad lost /s ");
    assert_answer("lost", NULL, SPOILED);
    assert_answer("new", NULL, "false off DEFAULT rule=requires");

    assert_fails(FLAGVER_EPARSE, merge_file("{'flags': {'lost': " REQUIRES("elsewhere") "}}"));
    assert_words("/flags/lost/requires/0/flag: flag \"lost\" names a flag \"elsewhere\"");
    assert_fails(FLAGVER_EPARSE, merge_file("{'flags': {'d': " ASKS(IN("s")) "}}"));
    assert_words("flag \"d\" names a segment \"s\" that is malformed");
    assert_fails(FLAGVER_EPARSE, merge_file("{'flags': {'b': null}}"));
    assert_words("flag \"c\" names a flag \"b\" that does not exist");
    assert_fails(FLAGVER_EPARSE, merge_file("{'flags': {'A-b': " PLAIN "}}"));
    assert_words("FLAGVER_FLAG_A_B");
    assert_fails(FLAGVER_EPARSE, merge_file("{'flags': {'bad': {}}}"));

    assert_ok(merge_file("{'flags': {'bad': " PLAIN ", 'nowhere': " PLAIN "}}"));
    assert_spoiled("/s ");
    assert_answer("lost", NULL, "true on DEFAULT");
}
END_TEST

/* ---- any order of changes comes to the same as the last state ---- */

#define NAMES 9

/* One flag or segment of a random store. */
struct node {
    bool there, malformed, other_variants;
    int ref_count;
    struct {
        int to; /* flags are 0 … NAMES-1, segments follow */
    } refs[3];
};

static struct node nodes[2 * NAMES];

static void node_text(int at, struct fv_text *out)
{
    const struct node *node = &nodes[at];
    int i, to;

    fv_text_add(out, at < NAMES ? "{\"type\":\"boolean\",\"default\":\"" : "{\"if\":{\"any\":[");
    if (at < NAMES)
        fv_text_format(out, "%s\",\"rules\":[{\"serve\":\"%s\",\"if\":{\"any\":[",
                       node->other_variants ? "no" : "off", node->other_variants ? "yes" : "on");
    fv_text_add(out, "{\"attr\":\"x\",\"op\":\"exists\",\"value\":true}");
    for (i = 0; i < node->ref_count; i++) {
        to = node->refs[i].to;
        if (to < NAMES)
            fv_text_format(out, ",{\"not\":{\"flag\":\"n%d\",\"variant\":\"on\"}}", to);
        else
            fv_text_format(out, ",{\"not\":{\"segment\":\"n%d\"}}", to - NAMES);
    }
    fv_text_add(out, "]}}");
    if (at < NAMES)
        fv_text_format(out, "]%s}",
                       node->other_variants ? ",\"variants\":{\"yes\":true,\"no\":false}" : "");
    if (node->malformed)
        out->data[out->length - 1] = ']';
}

static void change_node(struct node *node, struct seed *seed)
{
    int i;

    *node = (struct node){ .there = seed_below(seed, 8) != 0,
                           .malformed = seed_below(seed, 8) == 0,
                           .other_variants = seed_below(seed, 10) == 0,
                           .ref_count = (int)seed_below(seed, 3) };
    for (i = 0; i < node->ref_count; i++)
        node->refs[i].to = (int)seed_below(seed, 2 * NAMES);
}

static bool has_refs(const struct node *node)
{
    return node->there && !node->malformed;
}

/* Is there a way from one node to another? */
static bool leads(int from, int to, bool seen[2 * NAMES])
{
    int i;

    if (seen[from] || !has_refs(&nodes[from]))
        return false;
    seen[from] = true;
    for (i = 0; i < nodes[from].ref_count; i++)
        if (nodes[from].refs[i].to == to || leads(nodes[from].refs[i].to, to, seen))
            return true;
    return false;
}

static bool is_spoiled(int at)
{
    const struct node *node = &nodes[at], *behind;
    bool seen[2 * NAMES] = { false };
    int i;

    if (!node->there || node->malformed)
        return node->there;
    if (leads(at, at, seen))
        return true;
    for (i = 0; i < node->ref_count; i++) {
        behind = &nodes[node->refs[i].to];
        if (!behind->there)
            return true;
        if (node->refs[i].to < NAMES ? !behind->malformed && behind->other_variants
                                     : is_spoiled(node->refs[i].to))
            return true;
    }
    return false;
}

static void random_record(int at, struct fv_text *text, char key[8], struct fv_record *record)
{
    fv_text_reset(text);
    node_text(at, text);
    snprintf(key, 8, "n%d", at % NAMES);
    *record = (struct fv_record){
        at >= NAMES, key, strlen(key), nodes[at].there ? text->data : NULL, text->length, 1, NULL, 0
    };
}

/* Everything at once, beside the store that grew step by step. */
static struct fv_definitions *read_all(void)
{
    struct fv_definitions_source source = source_of_store(false);
    struct fv_record records[2 * NAMES];
    struct fv_text texts[2 * NAMES];
    struct fv_definitions *all = NULL;
    char keys[2 * NAMES][8];
    int i;

    source.current = NULL;
    source.spoiled = NULL;
    for (i = 0; i < 2 * NAMES; i++) {
        texts[i] = (struct fv_text)FV_TEXT_INIT;
        random_record(i, &texts[i], keys[i], &records[i]);
    }
    assert_ok(fv_definitions_from_records(&source, records, 2 * NAMES, &all, &error));
    for (i = 0; i < 2 * NAMES; i++)
        fv_text_clear(&texts[i]);
    return all;
}

static void compare_answers(const struct fv_definitions *all)
{
    const struct fv_world one = fv_definitions_world(definitions),
                          other = fv_definitions_world(all);
    struct fv_question question = { .world = &one }, again = { .world = &other };
    struct fv_outcome outcome, expected;
    const struct fv_flag *flag;
    char key[16];
    uint32_t slot;
    int i;

    for (i = 0; i < NAMES; i++) {
        snprintf(key, sizeof key, "n%d", i);
        slot = fv_map_find(&catalog->flag_names, key, strlen(key));
        flag = slot < one.flag_count ? one.flags[slot] : NULL;
        must((flag != NULL) == nodes[i].there, "%s is there: %d", key, flag != NULL);
        if (!flag)
            continue;
        must((flag->error != 0) == is_spoiled(i), "%s is spoiled: %d", key, flag->error);
        fv_evaluate(&question, flag, &outcome);
        fv_evaluate(&again, other.flags[slot], &expected);
        must(outcome.error == expected.error && outcome.variant == expected.variant,
             "%s: error %d, variant %u instead of error %d, variant %u", key, outcome.error,
             outcome.variant, expected.error, expected.variant);
    }
}

START_TEST(step_by_step_and_all_at_once_come_to_the_same)
{
    struct fv_text text = FV_TEXT_INIT;
    struct seed seed = seed_new((uint64_t)_i);
    struct fv_definitions *all;
    struct fv_record record;
    size_t i, spoiled, listed;
    char key[8];
    int step, at;

    memset(nodes, 0, sizeof nodes);
    for (step = 0; step < 400; step++) {
        at = (int)seed_below(&seed, 2 * NAMES);
        change_node(&nodes[at], &seed);
        random_record(at, &text, key, &record);
        read_records(&record, 1, true);

        all = read_all();
        compare_answers(all);
        for (spoiled = 0, at = 0; at < 2 * NAMES; at++)
            spoiled += is_spoiled(at);
        listed = definitions->spoiled_count;
        must(listed == spoiled && all->spoiled_count == spoiled, "%zu, %zu spoiled instead of %zu",
             listed, all->spoiled_count, spoiled);
        for (i = 0; i < listed; i++)
            must(strcmp(definitions->spoiled[i].why, all->spoiled[i].why) == 0,
                 "\"%s\" instead of \"%s\"", definitions->spoiled[i].why, all->spoiled[i].why);
        fv_definitions_release(all);
    }
    fv_text_clear(&text);
}
END_TEST

static void add_malformed_tests(Suite *suite)
{
    TCase *tests = tcase_create("malformed");

    tcase_add_checked_fixture(tests, open_store, close_store);
    tcase_add_loop_test(tests, a_malformed_record_spoils_its_own_flag, 0, COUNT(malformed));
    tcase_add_test(tests, a_text_may_hold_any_bytes);
    tcase_add_test(tests, malformed_comes_before_an_invalid_context);
    tcase_add_test(tests, a_wrong_type_does_not_hide_that_a_flag_is_malformed);
    tcase_add_test(tests, a_key_that_is_none_is_malformed);
    tcase_add_test(tests, a_key_that_no_store_can_have_is_left_out);
    suite_add_tcase(suite, tests);
}

static void add_reference_tests(Suite *suite)
{
    TCase *tests = tcase_create("references");

    tcase_add_checked_fixture(tests, open_store, close_store);
    tcase_add_loop_test(tests, what_is_missing_spoils_who_names_it_until_it_is_back, 0,
                        COUNT(missing));
    tcase_add_test(tests, who_asks_a_spoiled_flag_finds_that_it_serves_nothing);
    tcase_add_test(tests, a_segment_that_names_what_is_missing_is_missing_itself);
    tcase_add_test(tests, a_cycle_spoils_the_flags_on_it_and_no_others);
    tcase_add_test(tests, a_cycle_may_lead_through_segments);
    tcase_add_test(tests, two_ways_to_one_flag_are_no_cycle);
    tcase_add_test(tests, a_flag_from_which_too_many_lead_on_is_spoiled);
    tcase_add_test(tests, very_long_chains_and_rings_are_looked_through);
    tcase_add_test(tests, a_flag_that_could_make_too_many_tests_is_spoiled);
    tcase_add_test(tests, a_file_is_not_blamed_for_what_records_had_wrong);
    tcase_add_loop_test(tests, step_by_step_and_all_at_once_come_to_the_same, 0, 4);
    suite_add_tcase(suite, tests);
}

static Suite *records_suite(void)
{
    Suite *suite = suite_create("records");
    TCase *tests = tcase_create("records");

    tcase_add_checked_fixture(tests, open_store, close_store);
    tcase_add_test(tests, flags_and_segments_come_from_records);
    tcase_add_test(tests, details_show_the_version_of_the_record);
    tcase_add_test(tests, what_is_unchanged_is_kept);
    tcase_add_test(tests, a_record_without_text_is_taken_away);
    tcase_add_test(tests, of_two_records_with_one_key_the_later_counts);
    tcase_add_test(tests, the_environment_is_looked_at_again);
    tcase_add_test(tests, a_spoiled_flag_can_be_forced);
    tcase_add_test(tests, a_shared_variable_is_known);
    tcase_add_test(tests, a_spoiled_flag_counts_where_it_counted_before);
    tcase_add_test(tests, what_is_spoiled_already_is_not_told_again);
    tcase_add_test(tests, what_is_spoiled_is_listed_in_order);
    tcase_add_test(tests, an_explanation_says_why);
    suite_add_tcase(suite, tests);
    add_malformed_tests(suite);
    add_reference_tests(suite);
    return suite;
}

int main(void)
{
    return run_suite(records_suite());
}
