/*
 * OpenMetrics text, read by a strict reader of its own: the rules of version 1.0.0 as far as counters,
 * gauges and histograms go.
 */
#include "codec/openmetrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "flags.h"
#include "flagver/track.h"

/* ---- the reader ---- */

struct reader {
    const char *at;
    char family[64], type[16];
    char families[16][64];
    size_t family_count;
    bool sampled; /* the family has samples already */
    char seen[400][400];
    size_t seen_count;
    /* of the histogram at hand */
    char labels[400];
    double bound, buckets, last;
};

static void expect(struct reader *reader, const char *text)
{
    ck_assert_msg(strncmp(reader->at, text, strlen(text)) == 0, "\"%s\" expected at \"%.60s\"",
                  text, reader->at);
    reader->at += strlen(text);
}

static void read_word(struct reader *reader, char *out, size_t size)
{
    size_t length = strspn(reader->at, "abcdefghijklmnopqrstuvwxyz_0123456789");

    ck_assert_uint_gt(length, 0);
    ck_assert_uint_lt(length, size);
    ck_assert(!isdigit((unsigned char)reader->at[0]));
    memcpy(out, reader->at, length);
    out[length] = 0;
    reader->at += length;
}

static double read_number(struct reader *reader)
{
    char *end;
    double number;

    ck_assert_msg(strchr("-+0123456789", reader->at[0]) && reader->at[0], "%.20s", reader->at);
    number = strtod(reader->at, &end);
    ck_assert(end > reader->at);
    reader->at = end;
    return number;
}

/* Families come once each, their description before all samples. */
static void read_description(struct reader *reader)
{
    char word[64];

    if (strncmp(reader->at, "# TYPE ", 7) == 0) {
        expect(reader, "# TYPE ");
        read_word(reader, reader->family, sizeof reader->family);
        for (size_t i = 0; i < reader->family_count; i++)
            ck_assert_str_ne(reader->families[i], reader->family);
        strcpy(reader->families[reader->family_count++], reader->family);
        expect(reader, " ");
        read_word(reader, reader->type, sizeof reader->type);
        reader->sampled = false;
    } else if (strncmp(reader->at, "# UNIT ", 7) == 0) {
        size_t length = strlen(reader->family);

        expect(reader, "# UNIT ");
        expect(reader, reader->family);
        expect(reader, " ");
        read_word(reader, word, sizeof word);
        ck_assert_uint_gt(length, strlen(word) + 1);
        ck_assert_str_eq(reader->family + length - strlen(word), word);
        ck_assert_int_eq(reader->family[length - strlen(word) - 1], '_');
    } else {
        expect(reader, "# HELP ");
        expect(reader, reader->family);
        expect(reader, " ");
        reader->at += strcspn(reader->at, "\n");
    }
    ck_assert(!reader->sampled);
    expect(reader, "\n");
}

/* A label's value, with its escapes taken away. */
static void read_value(struct reader *reader, char *out, size_t size)
{
    size_t length = 0;

    expect(reader, "\"");
    while (*reader->at != '"') {
        ck_assert(*reader->at && *reader->at != '\n');
        if (*reader->at == '\\') {
            reader->at++;
            ck_assert_msg(strchr("\\\"n", *reader->at), "\\%c", *reader->at);
        }
        ck_assert_uint_lt(length + 1, size);
        out[length++] = *reader->at++;
    }
    out[length] = 0;
    expect(reader, "\"");
}

static void read_bucket(struct reader *reader, const char *labels, const char *bound, double count)
{
    double number = strcmp(bound, "+Inf") == 0 ? HUGE_VAL : strtod(bound, NULL);

    ck_assert_msg(strcmp(bound, "+Inf") == 0 || strchr(bound, '.'), "le=%s", bound);
    if (strcmp(labels, reader->labels) != 0) {
        ck_assert_double_eq(reader->bound, HUGE_VAL); /* the one before was complete */
        strcpy(reader->labels, labels);
        reader->bound = -1;
        reader->buckets = 0;
    }
    ck_assert_double_gt(number, reader->bound);
    ck_assert_double_ge(count, reader->buckets);
    reader->bound = number;
    reader->buckets = count;
}

static void check_sample(struct reader *reader, const char *suffix, const char *labels,
                         const char *bound, double value)
{
    bool counter = strcmp(reader->type, "counter") == 0;

    if (strcmp(reader->type, "gauge") == 0) {
        ck_assert_str_eq(suffix, "");
        return;
    }
    ck_assert_double_ge(value, 0);
    if (counter) {
        ck_assert_str_eq(suffix, "_total");
        return;
    }
    ck_assert_str_eq(reader->type, "histogram");
    if (strcmp(suffix, "_bucket") == 0) {
        read_bucket(reader, labels, bound, value);
        return;
    }
    ck_assert_str_eq(labels, reader->labels);
    ck_assert_double_eq(reader->bound, HUGE_VAL);
    if (strcmp(suffix, "_count") == 0)
        ck_assert_double_eq(value, reader->buckets);
    else
        ck_assert_str_eq(suffix, "_sum");
}

/* No two samples have the same name and labels. */
static void remember(struct reader *reader, const char *begin, const char *end)
{
    char sample[400];

    snprintf(sample, sizeof sample, "%.*s", (int)(end - begin), begin);
    for (size_t i = 0; i < reader->seen_count; i++)
        ck_assert_str_ne(reader->seen[i], sample);
    ck_assert_uint_lt(reader->seen_count, 400);
    strcpy(reader->seen[reader->seen_count++], sample);
}

static void read_sample(struct reader *reader)
{
    char name[96], label[32], value[300], labels[400] = "", bound[300] = "", names[8][32];
    const char *begin = reader->at;
    size_t count = 0;

    read_word(reader, name, sizeof name);
    ck_assert_msg(strncmp(name, reader->family, strlen(reader->family)) == 0, "%s in %s", name,
                  reader->family);
    reader->sampled = true;
    for (expect(reader, "{"); *reader->at != '}'; count++) {
        if (count)
            expect(reader, ",");
        read_word(reader, label, sizeof label);
        for (size_t i = 0; i < count; i++)
            ck_assert_str_ne(names[i], label);
        strcpy(names[count], label);
        expect(reader, "=");
        read_value(reader, value, sizeof value);
        if (strcmp(label, "le") == 0)
            snprintf(bound, sizeof bound, "%s", value);
        else
            snprintf(labels + strlen(labels), sizeof labels - strlen(labels), "%s=%s;", label,
                     value);
    }
    expect(reader, "}");
    remember(reader, begin, reader->at);
    expect(reader, " ");
    reader->last = read_number(reader);
    check_sample(reader, name + strlen(reader->family), labels, bound, reader->last);
    expect(reader, "\n");
}

/* How many samples there are. */
static size_t check_text(const char *text)
{
    static struct reader reader;

    reader = (struct reader){ .at = text, .bound = HUGE_VAL };
    while (strncmp(reader.at, "# EOF", 5) != 0) {
        if (*reader.at == '#')
            read_description(&reader);
        else
            read_sample(&reader);
    }
    ck_assert_str_eq(reader.at, "# EOF\n");
    return reader.seen_count;
}

/* ---- the texts ---- */

static flagver_client *open_client(void)
{
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_client *client = NULL;

    assert_ok(flagver_open("memory:", &options, &client, &error));
    return client;
}

static char *text_of(flagver_client *client)
{
    const flagver_track_options options = { .size = sizeof options, .own = 1, .by = 1 };
    char *text = NULL;

    assert_ok(flagver_track_openmetrics(client, &options, &text, &error));
    return text;
}

static void holds(const char *text, const char *line)
{
    ck_assert_msg(strstr(text, line) != NULL, "%s is not in\n%s", line, text);
}

START_TEST(nothing_is_a_text_too)
{
    flagver_client *client = open_client();
    char *text = text_of(client);

    ck_assert_uint_eq(check_text(text), 0);
    flagver_string_free(text);
    flagver_close(client);
}
END_TEST

START_TEST(every_sum_is_there_in_its_form)
{
    flagver_client *client = open_client();
    char *text;

    for (int ms = 1; ms <= 4; ms++)
        assert_ok(flagver_track_outcome(client, "f", "on", ms == 1, ms * INT64_C(1000000), &error));
    assert_ok(flagver_track_outcome(client, "f", NULL, false, -1, &error));
    assert_ok(flagver_track_outcome(client, "g", "v", false, INT64_C(3600000000000), &error));
    assert_ok(flagver_track(client, NULL, "bought", -2.5, &error));
    assert_ok(flagver_track(client, NULL, "big", 1e300, &error));
    text = text_of(client);
    ck_assert_uint_eq(check_text(text), 3 + 6 + 2 * 22 + 4);
    holds(text, "\nflagver_outcomes_total{flag=\"f\",variant=\"on\",outcome=\"success\"} 3\n");
    holds(text, "\nflagver_outcomes_total{flag=\"f\",variant=\"on\",outcome=\"error\"} 1\n");
    holds(text, "\nflagver_outcomes_total{flag=\"f\",variant=\"\",outcome=\"success\"} 1\n");
    holds(text, "\nflagver_latency_seconds_bucket{flag=\"f\",variant=\"on\",le=\"0.0005\"} 0\n");
    holds(text, "\nflagver_latency_seconds_bucket{flag=\"f\",variant=\"on\",le=\"0.0025\"} 2\n");
    holds(text, "\nflagver_latency_seconds_bucket{flag=\"f\",variant=\"on\",le=\"+Inf\"} 4\n");
    holds(text, "\nflagver_latency_seconds_sum{flag=\"f\",variant=\"on\"} 0.01\n");
    holds(text, "\nflagver_latency_seconds_bucket{flag=\"g\",variant=\"v\",le=\"100.0\"} 0\n");
    holds(text, "\nflagver_events_total{flag=\"\",variant=\"\",event=\"bought\"} 1\n");
    holds(text, "\nflagver_event_value{flag=\"\",variant=\"\",event=\"bought\"} -2.5\n");
    flagver_string_free(text);
    flagver_close(client);
}
END_TEST

START_TEST(whatever_a_name_has_stays_inside_of_its_quotes)
{
    flagver_client *client = open_client();
    char *text;

    assert_ok(flagver_track_outcome(client, "a\"b\\c", "}\xc3\xa4{,", true, 1, &error));
    assert_ok(flagver_track(client, NULL, "\"\\\"", 1, &error));
    text = text_of(client);
    ck_assert_uint_eq(check_text(text), 3 + 22 + 2);
    holds(text, "{flag=\"a\\\"b\\\\c\",variant=\"}\xc3\xa4{,\"} 0\n");
    flagver_string_free(text);
    flagver_close(client);
}
END_TEST

START_TEST(the_locale_does_not_matter)
{
    flagver_client *client = open_client();
    char *text;

    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        setlocale(LC_ALL, "");
    assert_ok(flagver_track(client, NULL, "half", 0.5, &error));
    text = text_of(client);
    setlocale(LC_ALL, "C");
    check_text(text);
    holds(text, "event=\"half\"} 0.5\n");
    flagver_string_free(text);
    flagver_close(client);
}
END_TEST

static Suite *openmetrics_suite(void)
{
    Suite *suite = suite_create("openmetrics");
    TCase *tcase = tcase_create("openmetrics");

    tcase_add_test(tcase, nothing_is_a_text_too);
    tcase_add_test(tcase, every_sum_is_there_in_its_form);
    tcase_add_test(tcase, whatever_a_name_has_stays_inside_of_its_quotes);
    tcase_add_test(tcase, the_locale_does_not_matter);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(openmetrics_suite());
}
