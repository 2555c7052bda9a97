/*
 * The benchmark: what the library costs, next to what was asked of it.
 *
 *     bench [--quick] [--json] [--rounds N] [--only W3]
 *
 * Times are shown and never asserted: the exit status is 0 also when a figure is
 * missed. It is 1 when the library and the bare loop disagree about an answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "live.h"
#include "report.h"

static const char usage[] =
    "usage: bench [--quick] [--json] [--rounds N] [--only NAME]\n"
    "  --quick     few short rounds: does it run, and do the answers agree?\n"
    "  --json      one JSON document instead of the table\n"
    "  --rounds N  rounds of each measurement, 1 to 1000\n"
    "  --only NAME W1 to W6, threads, loading, memory, store, versions, route, R1 to R5,\n"
    "               postgres, P1 to P5\n";

static void be_quick(struct bench_options *options)
{
    options->rounds = 3;
    options->passes = 1;
    options->slice = 20000000;
    options->merges = 20;
}

static int parse_rounds(const char *text)
{
    char *end;
    long rounds = strtol(text, &end, 10);

    return *end || rounds < 1 || rounds > 1000 ? 0 : (int)rounds;
}

static bool parse(int argc, char **argv, struct bench_options *options, bool *ret_json)
{
    int i;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            be_quick(options);
        else if (strcmp(argv[i], "--json") == 0)
            *ret_json = true;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            options->rounds = parse_rounds(argv[++i]);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            options->only = argv[++i];
        else
            return false;
    }
    return options->rounds > 0;
}

int main(int argc, char **argv)
{
    struct bench_options options = {
        .rounds = 21, .passes = 10, .slice = 250000000, .merges = 500
    };
    bool json = false;

    if (argc == 3 && strcmp(argv[1], "--follow") == 0) /* started by ourselves */
        return live_follow(argv[2]);
    if (!parse(argc, argv, &options, &json)) {
        fputs(usage, stderr);
        return 2;
    }

    options.report = report_new(json);
    if (bench_wanted(&options, "W1 W2 W3 W4 W5 W6"))
        bench_evaluation(&options);
    if (bench_wanted(&options, "threads"))
        bench_threads(&options);
    if (bench_wanted(&options, "loading"))
        bench_loading(&options);
    if (bench_wanted(&options, "memory"))
        bench_memory(&options);
    if (bench_wanted(&options, "store"))
        bench_store(&options);
    if (bench_wanted(&options, "versions"))
        bench_versions(&options);
    if (bench_wanted(&options, "route R1 R2"))
        bench_route(&options);
    if (bench_wanted(&options, "route R3 R4 R5"))
        bench_moving(&options);
    if (bench_wanted(&options, "postgres P1 P2 P3 P4 P5"))
#ifdef FV_WITHOUT_postgres
        report_text(options.report, "\nPostgreSQL is left out: libpq was not there");
#else
        bench_postgres(&options);
#endif
    report_free(options.report);
    return 0;
}
