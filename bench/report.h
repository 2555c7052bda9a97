/*
 * The table, or the same as JSON. Rows appear as soon as they are measured.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench.h"

/*
 * One row.
 *
 * id       "W1"
 * what     "static boolean"
 * how      "hot key"
 * unit     of both columns: "ns", "ms", "x", "bytes", ""
 * library  what was measured
 * other    what it is compared with; a median of 0: with nothing
 * result   what `asked` is about
 * asked    the limit
 * least    the limit is a lower one
 */
struct row {
    const char *id, *what, *how, *unit;
    struct bench_stats library, other;
    double result, asked;
    bool least;
};

struct report;

struct report *report_new(bool json);

/* Ends the report: how many rows missed what was asked. */
int report_free(struct report *report);

/*
 * Rows that belong together: `other` is what the library is compared with, and
 * `result` the name of what is asked about. The title, kept by its address,
 * says the unit.
 */
void report_group(struct report *report, const char *title, const char *other, const char *result);

void report_row(struct report *report, const struct row *row);

/* The same; the result is how many times the other's median the library's is. */
void report_ratio(struct report *report, struct row *row, double asked);

/* One number, at most `asked`. */
void report_number(struct report *report, const char *id, const char *what, const char *how,
                   const char *unit, double number, double asked);

/* A line for people; not in JSON. */
void report_text(struct report *report, const char *text);

#endif
