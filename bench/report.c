#define _GNU_SOURCE

#include "report.h"

#include <flagver.h>

#include <jansson.h>
#include <openssl/opensslv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

struct report {
    bool json;
    int rows, missed;
    const char *group;
};

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown compiler"
#endif

/* ------------------------------------------------------------------------
 * The machine
 */

static void name_processor(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256], *value;

    snprintf(name, size, "unknown processor");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        value = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && value) {
            value[strcspn(value, "\n")] = 0;
            snprintf(name, size, "%s", value + 2);
            break;
        }
    }
    fclose(file);
}

static void describe_machine(char *text, size_t size)
{
    struct utsname system;
    char processor[128];
    double load = 0;

    name_processor(processor, sizeof processor);
    uname(&system);
    getloadavg(&load, 1);
    snprintf(text, size, "%s, %ld cores, load %.1f, %s %s %s", processor,
             sysconf(_SC_NPROCESSORS_ONLN), load, system.sysname, system.release, system.machine);
}

static void describe_software(char *text, size_t size)
{
    snprintf(text, size, "libflagver %s, jansson %s, OpenSSL %s, benchmark by %s",
             flagver_version_string(), JANSSON_VERSION, OPENSSL_FULL_VERSION_STR, COMPILER);
}

/* ------------------------------------------------------------------------
 * JSON
 */

static void print_json_stats(const char *name, const struct bench_stats *stats)
{
    printf(", \"%s\": {\"median\": %.4f, \"min\": %.4f, \"max\": %.4f}", name, stats->median,
           stats->min, stats->max);
}

static void print_json_row(const struct report *report, const struct row *row, bool met)
{
    printf("%s\n  {\"group\": \"%s\", \"id\": \"%s\", \"what\": \"%s\", \"how\": \"%s\", "
           "\"unit\": \"%s\"",
           report->rows ? "," : "", report->group, row->id, row->what, row->how, row->unit);
    print_json_stats("library", &row->library);
    if (row->other.median > 0)
        print_json_stats("other", &row->other);
    printf(", \"result\": %.4f, \"asked\": %.4f, \"limit\": \"%s\", \"met\": %s}", row->result,
           row->asked, row->least ? "least" : "most", met ? "true" : "false");
}

/* ------------------------------------------------------------------------
 * The table
 */

/* As many digits as the eye needs to compare. */
static int digits(double number)
{
    return number >= 100 ? 0 : number >= 10 ? 1 : 2;
}

static void print_stats(const struct bench_stats *stats)
{
    char range[48] = "";

    if (stats->min < stats->max)
        snprintf(range, sizeof range, "(%.*f-%.*f)", digits(stats->min), stats->min,
                 digits(stats->max), stats->max);
    printf("  %7.*f %-14s", digits(stats->median), stats->median, range);
}

static void print_table_row(const struct row *row, bool met)
{
    printf("%-2s %-27s %-11s", row->id, row->what, row->how);
    print_stats(&row->library);
    if (row->other.median > 0)
        print_stats(&row->other);
    else
        printf("  %22s", "");

    printf("  %6.2f  %s %-4g %s\n", row->result, row->least ? ">=" : "<=", row->asked,
           met ? "met" : "MISSED");
}

/* ------------------------------------------------------------------------
 */

struct report *report_new(bool json)
{
    struct report *report = bench_allocate(1, sizeof *report);
    char machine[512], software[256];

    report->json = json;
    describe_machine(machine, sizeof machine);
    describe_software(software, sizeof software);
    if (json)
        printf("{\"machine\": \"%s\", \"software\": \"%s\", \"rows\": [", machine, software);
    else
        printf("%s\n%s\n\n"
               "Every line is a median (min-max) of rounds in which the library and what it is\n"
               "compared with took turns; then the result, and what is asked of it.\n",
               machine, software);
    return report;
}

int report_free(struct report *report)
{
    int missed = report->missed;

    if (report->json)
        printf("\n], \"missed\": %d}\n", missed);
    else
        printf("\n%d of %d met\n", report->rows - missed, report->rows);
    free(report);
    return missed;
}

void report_group(struct report *report, const char *title, const char *other, const char *result)
{
    report->group = title;
    if (!report->json)
        printf("\n%s\n%42s  %7s %-14s  %7s %-14s  %6s  asked\n", title, "", "library", "", other,
               "", result);
}

void report_row(struct report *report, const struct row *row)
{
    const bool met = row->least ? row->result >= row->asked : row->result <= row->asked;

    if (report->json)
        print_json_row(report, row, met);
    else
        print_table_row(row, met);
    fflush(stdout);

    report->rows++;
    report->missed += !met;
}

void report_ratio(struct report *report, struct row *row, double asked)
{
    row->result = row->library.median / row->other.median;
    row->asked = asked;
    report_row(report, row);
}

void report_number(struct report *report, const char *id, const char *what, const char *how,
                   const char *unit, double number, double asked)
{
    const struct row row = { .id = id,
                             .what = what,
                             .how = how,
                             .unit = unit,
                             .library = { number, number, number },
                             .result = number,
                             .asked = asked };

    report_row(report, &row);
}

void report_text(struct report *report, const char *text)
{
    if (!report->json)
        printf("%s\n", text);
}
