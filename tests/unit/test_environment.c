/*
 * The environment: variables that definitions name, and variables that force a
 * flag.
 */
#define _POSIX_C_SOURCE 200809L /* setenv(), mkdtemp() */
#include "flags.h"

#include <unistd.h>

#define ENABLED "FLAGVER_TEST_ENABLED"
#define BETA "FLAGVER_TEST_BETA"
#define PERCENTAGE "FLAGVER_TEST_PERCENTAGE"
#define ENV "'env': {'enabled': '" ENABLED "', 'beta': '" BETA "', 'percentage': '" PERCENTAGE "'}"

static struct fv_text logged;

static void note(void *data, int level, const char *message)
{
    ck_assert_int_eq(level, FLAGVER_LOG_WARNING);
    ck_assert_ptr_null(strchr(message, '\n'));
    fv_text_format(data, "%s\n", message);
}

static void set_up(void)
{
    logged = (struct fv_text)FV_TEXT_INIT;
}

static void tear_down(void)
{
    static const char *const names[] = { ENABLED,          BETA,
                                         PERCENTAGE,       "FLAGVER_FLAG_F",
                                         "FLAGVER_FLAG_G", "FLAGVER_FLAG_PAY_FAST" };
    int i;

    for (i = 0; i < COUNT(names); i++)
        unsetenv(names[i]);
    fv_text_clear(&logged);
}

static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static flagver_client *open_client(const char *json)
{
    flagver_options options = { .size = sizeof options, .log = note, .log_data = &logged };
    flagver_client *client;

    assert_ok(flagver_open("definitions:", &options, &client, &error));
    assert_ok(load_into(client, json));
    return client;
}

static flagver_client *open_flag(const char *definition)
{
    struct fv_text text = FV_TEXT_INIT;
    flagver_client *client;

    fv_text_format(&text, "{'flags': {'f': %s}}", definition);
    client = open_client(text.data);
    fv_text_clear(&text);
    return client;
}

/* ---- variables that definitions name ---- */

struct row {
    const char *label;
    const char *flag;
    const char *enabled, *beta, *percentage;
    const char *context;
    const char *expected;
    const char *warning; /* NULL: none */
};

#define NOTHING "{'type': 'boolean', " ENV "}"
#define DISABLED "{'type': 'boolean', 'enabled': false, " ENV "}"
#define BETA_U1 "{'type': 'boolean', 'beta': ['u1'], " ENV "}"
#define ALL_IN "{'type': 'boolean', 'percentage': 100, " ENV "}"
#define HALF "{'type': 'boolean', 'percentage': 50, " ENV "}"
#define U1 "{'targetingKey': 'u1'}"
#define U2 "{'targetingKey': 'u2'}"

static const struct row rows[] = {
    { .label = "nothing is set", .flag = NOTHING, .expected = "true on STATIC" },
    { .label = "nothing is set, disabled", .flag = DISABLED, .expected = "false off DISABLED" },

    { .label = "true", .flag = DISABLED, .enabled = "true", .expected = "true on STATIC" },
    { .label = "1", .flag = DISABLED, .enabled = "1", .expected = "true on STATIC" },
    { .label = "yes", .flag = DISABLED, .enabled = "yes", .expected = "true on STATIC" },
    { .label = "on", .flag = DISABLED, .enabled = "on", .expected = "true on STATIC" },
    { .label = "false", .flag = NOTHING, .enabled = "false", .expected = "false off DISABLED" },
    { .label = "0", .flag = NOTHING, .enabled = "0", .expected = "false off DISABLED" },
    { .label = "no", .flag = NOTHING, .enabled = "no", .expected = "false off DISABLED" },
    { .label = "off", .flag = NOTHING, .enabled = "off", .expected = "false off DISABLED" },
    { .label = "True", .flag = DISABLED, .enabled = "True", .expected = "true on STATIC" },
    { .label = "YES", .flag = DISABLED, .enabled = "YES", .expected = "true on STATIC" },
    { .label = "oN", .flag = DISABLED, .enabled = "oN", .expected = "true on STATIC" },
    { .label = "FALSE", .flag = NOTHING, .enabled = "FALSE", .expected = "false off DISABLED" },
    { .label = "Off", .flag = NOTHING, .enabled = "Off", .expected = "false off DISABLED" },
    { .label = "blanks around",
      .flag = NOTHING,
      .enabled = " \tno ",
      .expected = "false off DISABLED" },
    { .label = "true says nothing new",
      .flag = NOTHING,
      .enabled = "true",
      .expected = "true on STATIC" },
    { .label = "another word",
      .flag = NOTHING,
      .enabled = "nope",
      .expected = "true on STATIC",
      .warning = ENABLED "=nope" },
    { .label = "another word, disabled",
      .flag = DISABLED,
      .enabled = "ja",
      .expected = "false off DISABLED",
      .warning = ENABLED "=ja" },
    { .label = "a word and more",
      .flag = DISABLED,
      .enabled = "true!",
      .expected = "false off DISABLED",
      .warning = ENABLED "=true!" },
    { .label = "half a word",
      .flag = DISABLED,
      .enabled = "tru",
      .expected = "false off DISABLED",
      .warning = ENABLED },
    { .label = "10",
      .flag = DISABLED,
      .enabled = "10",
      .expected = "false off DISABLED",
      .warning = ENABLED },
    { .label = "an empty word",
      .flag = NOTHING,
      .enabled = "",
      .expected = "true on STATIC",
      .warning = ENABLED },
    { .label = "two lines",
      .flag = NOTHING,
      .enabled = "no\nno",
      .expected = "true on STATIC",
      .warning = ENABLED },
    { .label = "a string flag",
      .flag = "{'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, 'default': 'a', 'off': 'b', "
              "'env': {'enabled': '" ENABLED "'}}",
      .enabled = "no",
      .expected = "'B' b DISABLED" },

    { .label = "a list, in it",
      .flag = NOTHING,
      .beta = "u1,u2",
      .context = U2,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a list, not in it",
      .flag = NOTHING,
      .beta = "u1,u2",
      .context = "{'targetingKey': 'u3'}",
      .expected = "false off DEFAULT" },
    { .label = "a list of one",
      .flag = NOTHING,
      .beta = "u1",
      .context = U1,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a list is trimmed",
      .flag = NOTHING,
      .beta = " u0 ,\tu1\t, u2",
      .context = U1,
      .expected = "true on TARGETING_MATCH" },
    { .label = "blanks inside stay",
      .flag = NOTHING,
      .beta = "u 1",
      .context = U1,
      .expected = "false off DEFAULT" },
    { .label = "empty items are dropped",
      .flag = NOTHING,
      .beta = ",u1,,",
      .context = "{'targetingKey': ''}",
      .expected = "false off DEFAULT" },
    { .label = "an item twice",
      .flag = NOTHING,
      .beta = "u1,u1",
      .context = U1,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a list replaces beta: out",
      .flag = BETA_U1,
      .beta = "u2",
      .context = U1,
      .expected = "false off DEFAULT" },
    { .label = "a list replaces beta: in",
      .flag = BETA_U1,
      .beta = "u2",
      .context = U2,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a list means only those users, whatever the percentage",
      .flag = ALL_IN,
      .beta = "u1",
      .context = U2,
      .expected = "false off DEFAULT" },
    { .label = "a list means only those users, whatever the schedule",
      .flag = "{'type': 'boolean', 'schedule': {'steps': ["
              "{'at': '2000-01-01T00:00:00Z', 'percentage': 100}]}, " ENV "}",
      .beta = "u1",
      .context = U2,
      .expected = "false off DEFAULT" },
    { .label = "a list means only those users, whatever the split",
      .flag = "{'type': 'boolean', 'default': 'off', 'split': {'on': 1}, " ENV "}",
      .beta = "u1",
      .context = U2,
      .expected = "false off DEFAULT" },
    { .label = "a list needs no key of others",
      .flag = HALF,
      .beta = "u1",
      .context = "{}",
      .expected = "false off DEFAULT" },
    { .label = "an empty list clears beta",
      .flag = BETA_U1,
      .beta = "",
      .context = U2,
      .expected = "true on STATIC" },
    { .label = "a blank list clears beta",
      .flag = BETA_U1,
      .beta = "  ",
      .context = U2,
      .expected = "true on STATIC" },
    { .label = "a list of commas clears beta",
      .flag = BETA_U1,
      .beta = ", ,",
      .context = U2,
      .expected = "true on STATIC" },
    { .label = "an empty list leaves the percentage alone",
      .flag = "{'type': 'boolean', 'beta': ['u1'], 'percentage': 50, " ENV "}",
      .beta = "",
      .context = "{'targetingKey': 'k22920'}",
      .expected = "false off SPLIT bucket=50000" },
    { .label = "an empty list leaves targets alone",
      .flag = "{'type': 'boolean', 'beta': ['u1'], 'targets': {'on': ['u2']}, " ENV "}",
      .beta = "",
      .context = U2,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a list takes its keys out of other targets",
      .flag = "{'type': 'boolean', 'targets': {'off': ['u1', 'u2']}, " ENV "}",
      .beta = "u1",
      .context = U1,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a list leaves the others in their targets",
      .flag = "{'type': 'boolean', 'targets': {'off': ['u1', 'u2']}, " ENV "}",
      .beta = "u1",
      .context = U2,
      .expected = "false off TARGETING_MATCH" },
    { .label = "a list of a flag with its own variants",
      .flag = "{'type': 'boolean', 'variants': {'yes': true, 'no': false}, " ENV "}",
      .beta = "u1",
      .context = U1,
      .expected = "true yes TARGETING_MATCH" },
    { .label = "a list in UTF-8",
      .flag = NOTHING,
      .beta = "jörg,ünal",
      .context = "{'targetingKey': 'ünal'}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "disabled beats a list",
      .flag = NOTHING,
      .enabled = "0",
      .beta = "u1",
      .context = U1,
      .expected = "false off DISABLED" },
    { .label = "enabled with a list",
      .flag = DISABLED,
      .enabled = "true",
      .beta = "u1",
      .context = U1,
      .expected = "true on TARGETING_MATCH" },

    { .label = "a percentage of 100",
      .flag = HALF,
      .percentage = "100",
      .expected = "true on DEFAULT" },
    { .label = "a percentage of 0",
      .flag = ALL_IN,
      .percentage = "0",
      .expected = "false off DEFAULT" },
    { .label = "a percentage makes the default false",
      .flag = NOTHING,
      .percentage = "0",
      .expected = "false off DEFAULT" },
    { .label = "three decimals, in",
      .flag = NOTHING,
      .percentage = "12.345",
      .context = "{'targetingKey': 'k15008'}",
      .expected = "true on SPLIT bucket=12344" },
    { .label = "three decimals, out",
      .flag = NOTHING,
      .percentage = "12.345",
      .context = "{'targetingKey': 'k102993'}",
      .expected = "false off SPLIT bucket=12345" },
    { .label = "one decimal",
      .flag = NOTHING,
      .percentage = "0.1",
      .context = "{'targetingKey': 'k7907'}",
      .expected = "true on SPLIT bucket=99" },
    { .label = "one decimal, out",
      .flag = NOTHING,
      .percentage = "0.1",
      .context = "{'targetingKey': 'k8526'}",
      .expected = "false off SPLIT bucket=100" },
    { .label = "a percentage with blanks",
      .flag = HALF,
      .percentage = " 100.000\t",
      .expected = "true on DEFAULT" },
    { .label = "a percentage beside a list: in the list",
      .flag = NOTHING,
      .beta = "u1",
      .percentage = "50",
      .context = U1,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a percentage beside a list: in the percentage",
      .flag = NOTHING,
      .beta = "u1",
      .percentage = "50",
      .context = "{'targetingKey': 'k43809'}",
      .expected = "true on SPLIT bucket=49999" },
    { .label = "a percentage instead of a schedule",
      .flag = "{'type': 'boolean', 'schedule': {'steps': ["
              "{'at': '2000-01-01T00:00:00Z', 'percentage': 100}]}, " ENV "}",
      .percentage = "0",
      .expected = "false off DEFAULT" },
    { .label = "a percentage instead of a split",
      .flag = "{'type': 'boolean', 'default': 'off', 'split': {'off': 1}, " ENV "}",
      .percentage = "100",
      .expected = "true on DEFAULT" },
    { .label = "a percentage by the flag's bucketing",
      .flag = "{'type': 'boolean', 'bucketing': 'md5-mod100', " ENV "}",
      .percentage = "40",
      .context = U2,
      .expected = "true on SPLIT bucket=39" },
    { .label = "a wrong percentage beside a list: only those users",
      .flag = ALL_IN,
      .beta = "u1",
      .percentage = "x",
      .context = U2,
      .expected = "false off DEFAULT",
      .warning = PERCENTAGE "=x" },
};

#define WRONG(text)                                                                  \
    {                                                                                \
        .label = "a percentage of \"" text "\"", .flag = ALL_IN, .percentage = text, \
        .expected = "true on DEFAULT", .warning = PERCENTAGE "=" text                \
    }

static const struct row wrong_percentages[] = {
    WRONG(""),
    WRONG("-1"),
    WRONG("101"),
    WRONG("100.001"),
    WRONG("12.3456"),
    WRONG("1e1"),
    WRONG("50%"),
    WRONG("5."),
    WRONG(".5"),
    WRONG("0x10"),
    WRONG("+5"),
    WRONG("nan"),
    WRONG("inf"),
    WRONG("5 5"),
    WRONG("1,5"),
    WRONG("5.5.5"),
    WRONG("true"),
    WRONG("4294967346"),
    WRONG("18446744073709551666"),
    WRONG("0.0001"),
    WRONG("1000"),
};

static void check_row(const struct row *row)
{
    flagver_client *client;

    set(ENABLED, row->enabled);
    set(BETA, row->beta);
    set(PERCENTAGE, row->percentage);
    client = open_flag(row->flag);
    assert_flag(client, "f", row->context, row->expected);
    if (row->warning) {
        ck_assert_msg(strstr(logged.data, row->warning) != NULL, "%s: \"%s\" was logged",
                      row->label, logged.data);
        ck_assert_msg(strncmp(logged.data, "flag f: ", 8) == 0, "%s: \"%s\" was logged", row->label,
                      logged.data);
    } else {
        ck_assert_msg(logged.length == 0, "%s: \"%s\" was logged", row->label, logged.data);
    }
    flagver_close(client);
}

START_TEST(variables_override_what_is_defined)
{
    check_row(&rows[_i]);
}
END_TEST

START_TEST(a_percentage_that_makes_no_sense_is_ignored)
{
    check_row(&wrong_percentages[_i]);
}
END_TEST

START_TEST(no_environment_means_none)
{
    flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_client *client;

    set(ENABLED, "no");
    set("FLAGVER_FLAG_F", "off");
    assert_ok(flagver_open("definitions:", &options, &client, &error));
    assert_ok(load_into(client, "{'flags': {'f': " NOTHING "}}"));
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(a_snapshot_from_json_does_not_look_at_the_environment)
{
    char *json = quoted("{'flags': {'f': " NOTHING "}}");
    flagver_detail detail = { .size = sizeof detail };
    flagver_snapshot *snapshot;

    set(ENABLED, "no");
    set("FLAGVER_FLAG_F", "off");
    assert_ok(flagver_snapshot_load(json, strlen(json), NULL, &snapshot, &error));
    ck_assert_int_eq(flagver_snapshot_evaluate(snapshot, "f", 1, NULL, 0, &detail), 0);
    assert_detail("f", &detail, "true on STATIC");
    flagver_snapshot_free(snapshot);
    free(json);
}
END_TEST

START_TEST(a_warning_that_nobody_hears_is_none)
{
    flagver_client *client;

    set(ENABLED, "perhaps");
    set("FLAGVER_FLAG_F", "perhaps");
    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(load_into(client, "{'flags': {'f': " NOTHING "}}"));
    assert_flag(client, "f", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(a_long_list_is_read_whole)
{
    struct fv_text list = FV_TEXT_INIT;
    flagver_context *context = flagver_context_new(NULL);
    flagver_client *client;
    char key[16];
    int i;

    for (i = 0; i < 5000; i++)
        fv_text_format(&list, "%suser%d", i ? ", " : "", i);
    set(BETA, list.data);
    client = open_flag(NOTHING);
    for (i = 0; i < 6000; i++) {
        snprintf(key, sizeof key, "user%d", i);
        assert_ok(flagver_context_reset(context, key));
        ck_assert_int_eq(flagver_flag_bool(client, "f", context, false), i < 5000);
    }
    flagver_close(client);
    flagver_context_free(context);
    fv_text_clear(&list);
}
END_TEST

START_TEST(a_definition_must_be_sound_whatever_the_environment_says)
{
    flagver_client *client = open_client("{}");

    set(BETA, "u1");
    set(PERCENTAGE, "5");
    assert_ok(flagver_client_refresh(client, &error));
    assert_fails(FLAGVER_EPARSE,
                 load_into(client, "{'flags': {'f': {'type': 'boolean', 'beta': ['u1'], "
                                   "'targets': {'off': ['u1']}, " ENV "}}}"));
    assert_fails(FLAGVER_EPARSE, load_into(client, "{'flags': {'f': {'type': 'boolean', "
                                                   "'schedule': {'steps': []}, " ENV "}}}"));
    assert_fails(FLAGVER_EPARSE, load_into(client, "{'flags': {'f': {'type': 'boolean', "
                                                   "'split': {'x': 1}, " ENV "}}}"));
    flagver_close(client);
}
END_TEST

/* ---- when it is read ---- */

static void write_file(const char *path, const char *json)
{
    char *text = quoted(json);
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    free(text);
}

START_TEST(a_refresh_reads_the_environment_again)
{
    char folder[] = "/tmp/flagver-XXXXXX", path[64], uri[80];
    flagver_client *client;
    uint64_t generation;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f.json", folder);
    snprintf(uri, sizeof uri, "file:%s", path);
    write_file(path, "{'flags': {'f': " NOTHING ", 'g': {'type': 'boolean'}}}");
    set(ENABLED, "no");
    assert_ok(flagver_open(uri, NULL, &client, &error));
    assert_flag(client, "f", NULL, "false off DISABLED");
    generation = flagver_client_generation(client);

    set(ENABLED, NULL);
    set(BETA, "u1");
    set("FLAGVER_FLAG_G", "off");
    assert_flag(client, "f", NULL, "false off DISABLED");
    assert_flag(client, "g", NULL, "true on STATIC");
    ck_assert_uint_eq(flagver_client_generation(client), generation);

    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", U1, "true on TARGETING_MATCH");
    assert_flag(client, "g", NULL, "false off STATIC");
    ck_assert_uint_ne(flagver_client_generation(client), generation);

    generation = flagver_client_generation(client);
    set("FLAGVER_TEST_UNRELATED", "x");
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    set("FLAGVER_TEST_UNRELATED", NULL);

    set(BETA, NULL);
    set("FLAGVER_FLAG_G", NULL);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_flag(client, "g", NULL, "true on STATIC");
    flagver_close(client);
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(a_refresh_of_handed_over_definitions_sees_what_is_forced)
{
    flagver_client *client = open_client("{'flags': {'f': {'type': 'boolean'}}}");

    set("FLAGVER_FLAG_F", "off");
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_ok(load_into(client, "{'flags': {'f': {'type': 'boolean'}}}"));
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "false off STATIC");
    set("FLAGVER_FLAG_F", NULL);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

/* docs/flags.md: the text is not kept, so named variables count from the next load on. */
START_TEST(named_variables_count_from_the_next_load_after_a_refresh)
{
    flagver_client *client = open_flag(NOTHING);

    set(ENABLED, "no");
    assert_ok(load_into(client, "{'flags': {'f': " NOTHING "}}"));
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_ok(flagver_client_refresh(client, &error));
    assert_ok(merge_into(client, "{'flags': {'f': " NOTHING "}}"));
    assert_flag(client, "f", NULL, "false off DISABLED");
    flagver_close(client);
}
END_TEST

/* ---- variables that force a flag ---- */

#define LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define UPPER_64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct name_row {
    const char *key, *variable;
};

static const struct name_row name_rows[] = {
    { "f", "FLAGVER_FLAG_F" },
    { "pay_fast", "FLAGVER_FLAG_PAY_FAST" },
    { "pay-fast", "FLAGVER_FLAG_PAY_FAST" },
    { "Pay.Fast", "FLAGVER_FLAG_PAY_FAST" },
    { "9lives", "FLAGVER_FLAG_9LIVES" },
    { "größe", "FLAGVER_FLAG_GR____E" }, /* two bytes each */
    { " ", "FLAGVER_FLAG__" },
    { LONG_64 LONG_64 LONG_64 LONG_64, "FLAGVER_FLAG_" UPPER_64 UPPER_64 UPPER_64 UPPER_64 },
};

START_TEST(a_flags_variable_is_its_key_in_capitals)
{
    const struct name_row *row = &name_rows[_i];
    struct fv_text text = FV_TEXT_INIT;
    flagver_client *client;

    fv_text_format(&text, "{'flags': {'%s': {'type': 'boolean'}, 'other': {'type': 'boolean'}}}",
                   row->key);
    set(row->variable, "off");
    client = open_client(text.data);
    assert_flag(client, row->key, NULL, "false off STATIC");
    assert_flag(client, "other", NULL, "true on STATIC");
    set(row->variable, NULL);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, row->key, NULL, "true on STATIC");
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

struct force_row {
    const char *label, *flag, *value, *context, *expected, *warning;
};

#define AB "{'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, 'default': 'a'}"

static const struct force_row force_rows[] = {
    { "a variant", AB, "b", NULL, "'B' b STATIC", NULL },
    { "the default", AB, "a", NULL, "'A' a STATIC", NULL },
    { "before disabled", "{'type': 'boolean', 'enabled': false}", "on", NULL, "true on STATIC",
      NULL },
    { "before an invalid context", AB, "b", "{'targetingKey': 1.5}", "'B' b STATIC", NULL },
    { "before rules and buckets", "{'type': 'boolean', 'rules': [{'serve': {'percentage': 50}}]}",
      "on", NULL, "true on STATIC", NULL },
    { "an unknown variant", AB, "c", NULL, "'A' a STATIC", "\"c\"" },
    { "a variant in another case", AB, "B", NULL, "'A' a STATIC", "\"B\"" },
    { "a value and not a variant", "{'type': 'boolean'}", "false", NULL, "true on STATIC",
      "\"false\"" },
    { "a variant with blanks", AB, " b", NULL, "'A' a STATIC", "\" b\"" },
    { "nothing", AB, "", NULL, "'A' a STATIC", "\"\"" },
    { "two lines", AB, "b\nb", NULL, "'A' a STATIC", "flag f" },
};

START_TEST(a_variable_forces_a_variant)
{
    const struct force_row *row = &force_rows[_i];
    flagver_client *client;

    set("FLAGVER_FLAG_F", row->value);
    client = open_flag(row->flag);
    assert_flag(client, "f", row->context, row->expected);
    if (row->warning)
        ck_assert_msg(strstr(logged.data, row->warning) != NULL, "%s: \"%s\" was logged",
                      row->label, logged.data);
    else
        ck_assert_msg(logged.length == 0, "%s: \"%s\" was logged", row->label, logged.data);
    flagver_close(client);
}
END_TEST

START_TEST(a_variable_of_no_flag_is_nothing)
{
    flagver_client *client;

    set("FLAGVER_FLAG_G", "on");
    client = open_flag(AB);
    assert_flag(client, "g", NULL, "- - ERROR FLAG_NOT_FOUND");
    ck_assert_str_eq(logged.data, "");
    flagver_close(client);
}
END_TEST

START_TEST(an_override_wins_over_a_variable)
{
    flagver_client *client;

    set("FLAGVER_FLAG_F", "b");
    client = open_flag(AB);
    assert_flag(client, "f", NULL, "'B' b STATIC");
    assert_ok(flagver_flag_override(client, "f", "a", &error));
    assert_flag(client, "f", NULL, "'A' a STATIC");
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "'A' a STATIC");
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    assert_flag(client, "f", NULL, "'B' b STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(a_flag_that_a_variable_forces_counts_for_those_that_require_it)
{
    flagver_client *client;

    set("FLAGVER_FLAG_F", "off");
    client = open_client("{'flags': {'f': {'type': 'boolean'}, 'g': {'type': 'boolean', "
                         "'requires': [{'flag': 'f', 'variant': 'on'}]}}}");
    assert_flag(client, "g", NULL, "false off DEFAULT rule=requires");
    flagver_close(client);
}
END_TEST

static Suite *environment_suite(void)
{
    Suite *suite = suite_create("environment");
    TCase *named = tcase_create("named");
    TCase *forced = tcase_create("forced");

    tcase_add_checked_fixture(named, set_up, tear_down);
    tcase_add_loop_test(named, variables_override_what_is_defined, 0, COUNT(rows));
    tcase_add_loop_test(named, a_percentage_that_makes_no_sense_is_ignored, 0,
                        COUNT(wrong_percentages));
    tcase_add_test(named, no_environment_means_none);
    tcase_add_test(named, a_snapshot_from_json_does_not_look_at_the_environment);
    tcase_add_test(named, a_warning_that_nobody_hears_is_none);
    tcase_add_test(named, a_long_list_is_read_whole);
    tcase_add_test(named, a_definition_must_be_sound_whatever_the_environment_says);
    tcase_add_test(named, a_refresh_reads_the_environment_again);
    tcase_add_test(named, a_refresh_of_handed_over_definitions_sees_what_is_forced);
    tcase_add_test(named, named_variables_count_from_the_next_load_after_a_refresh);
    suite_add_tcase(suite, named);

    tcase_add_checked_fixture(forced, set_up, tear_down);
    tcase_add_loop_test(forced, a_flags_variable_is_its_key_in_capitals, 0, COUNT(name_rows));
    tcase_add_loop_test(forced, a_variable_forces_a_variant, 0, COUNT(force_rows));
    tcase_add_test(forced, a_variable_of_no_flag_is_nothing);
    tcase_add_test(forced, an_override_wins_over_a_variable);
    tcase_add_test(forced, a_flag_that_a_variable_forces_counts_for_those_that_require_it);
    suite_add_tcase(suite, forced);
    return suite;
}

int main(void)
{
    return run_suite(environment_suite());
}
