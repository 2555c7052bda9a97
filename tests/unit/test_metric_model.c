#include "model/metric.h"

#include <stdio.h>

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))
#define HOUR INT64_C(3600000000)

static flagver_bytes bytes(const char *text)
{
    return (flagver_bytes){ text, strlen(text) };
}

/* ---- durations ---- */

struct hours_row {
    const char *label;
    int64_t durations[24];
    size_t count;
    double mean, median, p95;
};

static const struct hours_row hours_rows[] = {
    { "nothing", { 0 }, 0, 0, 0, 0 },
    { "one", { 5 * HOUR }, 1, 5, 5, 5 },
    { "no time at all", { 0 }, 1, 0, 0, 0 },
    { "a µs", { 1 }, 1, 1 / 3600e6, 1 / 3600e6, 1 / 3600e6 },
    { "two", { 4 * HOUR, 1 * HOUR }, 2, 2.5, 1, 4 },
    { "three", { 9 * HOUR, 1 * HOUR, 2 * HOUR }, 3, 4, 2, 9 },
    { "four", { 4 * HOUR, 3 * HOUR, 2 * HOUR, 1 * HOUR }, 4, 2.5, 2, 4 },
    { "equals", { HOUR, HOUR, HOUR, HOUR, HOUR }, 5, 1, 1, 1 },
    { "a remainder", { 1, 1, 2 }, 3, 4 / 3.0 / 3600e6, 1 / 3600e6, 2 / 3600e6 },
    { "19: the 19th is the 95th of a hundred",
      { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 },
      19,
      10 / 3600e6,
      10 / 3600e6,
      19 / 3600e6 },
    { "20: the 19th",
      { 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 },
      20,
      10.5 / 3600e6,
      10 / 3600e6,
      19 / 3600e6 },
    { "21: the 20th",
      { 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 21 },
      21,
      11 / 3600e6,
      11 / 3600e6,
      20 / 3600e6 },
    { "their sum fits into no 64 bits",
      { INT64_MAX, INT64_MAX, INT64_MAX - 2 },
      3,
      0x1p63 / 3600e6,
      0x1p63 / 3600e6,
      0x1p63 / 3600e6 },
};

START_TEST(hours_are_those_of_the_table)
{
    const struct hours_row *row = &hours_rows[_i];
    int64_t durations[24];
    flagver_metric_hours hours;

    memcpy(durations, row->durations, sizeof durations);
    hours = fv_metric_hours_of(durations, row->count);
    ck_assert_msg(hours.count == row->count && hours.mean == row->mean &&
                      hours.median == row->median && hours.p95 == row->p95,
                  "%s: %llu: %.17g %.17g %.17g", row->label, (unsigned long long)hours.count,
                  hours.mean, hours.median, hours.p95);
}
END_TEST

START_TEST(percentiles_of_many_are_by_rank)
{
    enum { MANY = 123457 };
    int64_t *durations = malloc(MANY * sizeof *durations);
    flagver_metric_hours hours;
    size_t i;

    /* A prime step visits all of 1 … MANY once, in no order. */
    for (i = 0; i < MANY; i++)
        durations[i] = (int64_t)(i * 7919 % MANY) + 1;
    hours = fv_metric_hours_of(durations, MANY);
    free(durations);
    ck_assert_double_eq(hours.median, 61729 / 3600e6);
    ck_assert_double_eq(hours.p95, 117285 / 3600e6);
    ck_assert_double_eq(hours.mean, 61729 / 3600e6);
}
END_TEST

/* ---- subjects ---- */

static const struct {
    const char *subject, *prefix;
    bool begins;
} prefix_rows[] = {
    { "cycle-7", NULL, true },
    { "cycle-7", "", true },
    { "cycle-7", "cycle-7", true },
    { "cycle-7/report-12", "cycle-7", true },
    { "cycle-7/report-12", "cycle-7/", true },
    { "cycle-7/report-12", "cycle-7/report-12", true },
    { "cycle-7/report-12/a", "cycle-7/report-12", true },
    { "cycle-70", "cycle-7", false },
    { "cycle-70/report-12", "cycle-7", false },
    { "cycle-7", "cycle-7/", false },
    { "cycle-7/report-12", "cycle-7/report-1", false },
    { "cycle-7/report-12", "cycle-7/r", false },
    { "cycle-7", "cycle", false },
    { "cycle-7", "cycle-8", false },
    { "cycle-7", "cycle-7/report-12", false },
    { "/a", "/", true },
    { "a", "/", false },
};

START_TEST(prefixes_count_by_part)
{
    ck_assert_msg(fv_metric_begins(bytes(prefix_rows[_i].subject), prefix_rows[_i].prefix) ==
                      prefix_rows[_i].begins,
                  "\"%s\" %s", prefix_rows[_i].subject,
                  prefix_rows[_i].prefix ? prefix_rows[_i].prefix : "NULL");
}
END_TEST

static const struct {
    const char *subject;
    int32_t parts;
    const char *first;
} parts_rows[] = {
    { "a/b/c", 0, "" },      { "a/b/c", 1, "a" },     { "a/b/c", 2, "a/b" },
    { "a/b/c", 3, "a/b/c" }, { "a/b/c", 4, "a/b/c" }, { "a/b/c", INT32_MAX, "a/b/c" },
    { "alone", 1, "alone" }, { "alone", 2, "alone" }, { "/b", 1, "" },
    { "/b", 2, "/b" },       { "a/", 1, "a" },        { "a/", 2, "a/" },
    { "a//c", 2, "a/" },     { "a//c", 3, "a//c" },
};

START_TEST(groups_are_made_by_the_first_parts)
{
    size_t length = fv_metric_parts(bytes(parts_rows[_i].subject), parts_rows[_i].parts);

    ck_assert_msg(length == strlen(parts_rows[_i].first), "%d parts of \"%s\": %zu bytes",
                  (int)parts_rows[_i].parts, parts_rows[_i].subject, length);
}
END_TEST

static const struct {
    int64_t time;
    const char *month;
} month_rows[] = {
    { 0, "1970-01" },
    { -1, "1969-12" },
    { INT64_C(1772323199999999), "2026-02" },
    { INT64_C(1772323200000000), "2026-03" },
    { INT64_C(1709164800000000), "2024-02" },
    { INT64_C(253402300799999999), "9999-12" },
    { INT64_C(253402300800000000), "+10000-01" },
    { INT64_MAX, "+294247-01" },
    { INT64_MIN, "-290308-12" },
};

START_TEST(months_are_those_of_utc)
{
    char month[FV_MONTH_SIZE];

    fv_metric_month(month_rows[_i].time, month);
    ck_assert_str_eq(month, month_rows[_i].month);
}
END_TEST

/* ---- groups ---- */

/* What is visited, as text: "phase|subject|month created states emergencies submit approve". */
static char visited[4096];

static void note_group(void *data, const flagver_metric_group *group)
{
    size_t length = strlen(visited);
    int state;

    (void)data;
    length += (size_t)snprintf(visited + length, sizeof visited - length, "%s|%s|%s %llu ",
                               group->phase, group->subject, group->month,
                               (unsigned long long)group->created);
    for (state = 0; state < 8; state++)
        length += (size_t)snprintf(visited + length, sizeof visited - length, "%llu",
                                   (unsigned long long)group->states[state]);
    snprintf(visited + length, sizeof visited - length, " %llu %llu:%g %llu:%g\n",
             (unsigned long long)group->emergencies, (unsigned long long)group->to_submit.count,
             group->to_submit.mean, (unsigned long long)group->to_approve.count,
             group->to_approve.mean);
}

struct version {
    const char *phase, *subject;
    int32_t state;
    uint32_t bits;
    int64_t created, submitted, decided;
};

#define MARCH INT64_C(1772323200000000)
#define APRIL INT64_C(1775001600000000)

static const struct version versions[] = {
    { "b", "x/2", FLAGVER_STATE_APPROVED, 0, MARCH, MARCH + HOUR, MARCH + 3 * HOUR },
    { "b", "x/1", FLAGVER_STATE_SUPERSEDED, 0, MARCH, MARCH + 3 * HOUR, MARCH + 5 * HOUR },
    { "b", "x/1", FLAGVER_STATE_REJECTED, 0, APRIL, APRIL + 2 * HOUR, APRIL + 4 * HOUR },
    { "b", "x!", FLAGVER_STATE_DRAFT, 0, APRIL - 1, 0, 0 },
    { "b", "x", FLAGVER_STATE_SUBMITTED, 0, APRIL, APRIL + 6 * HOUR, 0 },
    { "a", "x", FLAGVER_STATE_RECORDED, 0, APRIL, 0, 0 },
    { "a", "y", FLAGVER_STATE_WITHDRAWN, FLAGVER_VERSION_TOMBSTONE, APRIL, 0, 0 },
    { "a", "y", FLAGVER_STATE_APPROVED, FLAGVER_VERSION_EMERGENCY, APRIL, APRIL - 5, APRIL - HOUR },
};

static const struct {
    const char *label;
    flagver_metric_options options;
    const char *expected;
} group_rows[] = {
    { "by phase",
      { .size = 0 },
      "a|| 3 00010011 1 1:0 1:0\n"
      "b|| 5 01111100 0 4:3 2:4\n" },
    { "by part, in byte order",
      { .parts = 1 },
      "a|x| 1 00000001 0 0:0 0:0\n"
      "a|y| 2 00010010 1 1:0 1:0\n"
      "b|x| 4 00111100 0 4:3 2:4\n"
      "b|x!| 1 01000000 0 0:0 0:0\n" },
    { "by two parts",
      { .parts = 2, .prefix = "x" },
      "a|x| 1 00000001 0 0:0 0:0\n"
      "b|x| 1 00100000 0 1:6 0:0\n"
      "b|x/1| 2 00001100 0 2:2.5 1:5\n"
      "b|x/2| 1 00010000 0 1:1 1:3\n" },
    { "by month",
      { .by_month = 1 },
      "a||2026-04 3 00010011 1 1:0 1:0\n"
      "b||2026-03 3 01011000 0 2:2 2:4\n"
      "b||2026-04 2 00100100 0 2:4 0:0\n" },
    { "from a time on", { .from = APRIL, .prefix = "x/1" }, "b|| 1 00000100 0 1:2 0:0\n" },
    { "before a time",
      { .to = APRIL, .parts = 1, .prefix = "x!" },
      "b|x!| 1 01000000 0 0:0 0:0\n" },
    { "the first moment is in, the last is not",
      { .from = MARCH, .to = APRIL - 1 },
      "b|| 2 00011000 0 2:2 2:4\n" },
    { "nothing", { .from = APRIL + 1 }, "" },
};

static flagver_version_row row_of(const struct version *version)
{
    return (flagver_version_row){ .phase = bytes(version->phase),
                                  .subject = bytes(version->subject),
                                  .state = version->state,
                                  .bits = version->bits,
                                  .created_at = version->created,
                                  .submitted_at = version->submitted,
                                  .decided_at = version->decided };
}

START_TEST(versions_are_grouped_and_counted)
{
    struct fv_metrics metrics;
    flagver_version_row row;
    int i;

    fv_metrics_init(&metrics, &group_rows[_i].options);
    for (i = 0; i < COUNT(versions); i++) {
        row = row_of(&versions[i]);
        ck_assert(fv_metrics_add(&metrics, &row));
    }
    visited[0] = 0;
    fv_metrics_visit(&metrics, note_group, NULL);
    fv_metrics_clear(&metrics);
    ck_assert_msg(strcmp(visited, group_rows[_i].expected) == 0, "%s:\n%s", group_rows[_i].label,
                  visited);
}
END_TEST

START_TEST(what_is_damaged_is_counted_and_does_no_harm)
{
    const flagver_metric_options options = { .by_month = 1 };
    struct version odd[] = {
        { "p", "s", 99, 0, INT64_MIN, INT64_MAX, 0 },
        { "p", "s", -1, 0, INT64_MIN, 0, 0 },
        { "p", "s", FLAGVER_STATE_APPROVED, 0, INT64_MIN, 0, 0 },
    };
    struct fv_metrics metrics;
    flagver_version_row row;
    int i;

    fv_metrics_init(&metrics, &options);
    for (i = 0; i < COUNT(odd); i++) {
        row = row_of(&odd[i]);
        ck_assert(fv_metrics_add(&metrics, &row));
    }
    visited[0] = 0;
    fv_metrics_visit(&metrics, note_group, NULL);
    fv_metrics_clear(&metrics);
    ck_assert_str_eq(visited, "p||-290308-12 3 00010000 0 1:2.56205e+09 1:2.56205e+09\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metric_model");
    TCase *tcase = tcase_create("metric_model");

    tcase_add_loop_test(tcase, hours_are_those_of_the_table, 0, COUNT(hours_rows));
    tcase_add_test(tcase, percentiles_of_many_are_by_rank);
    tcase_add_loop_test(tcase, prefixes_count_by_part, 0, COUNT(prefix_rows));
    tcase_add_loop_test(tcase, groups_are_made_by_the_first_parts, 0, COUNT(parts_rows));
    tcase_add_loop_test(tcase, months_are_those_of_utc, 0, COUNT(month_rows));
    tcase_add_loop_test(tcase, versions_are_grouped_and_counted, 0, COUNT(group_rows));
    tcase_add_test(tcase, what_is_damaged_is_counted_and_does_no_harm);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
