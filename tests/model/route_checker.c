/*
 * The routing protocol, checked in all interleavings: every setting must be without a fault, and
 * every setting that leaves something of the protocol out must show one.
 *
 *     route_checker                 all of them
 *     route_checker SETTING         one, by a part of its name, with the way to its fault
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

#define OFF FLAGVER_STAGE_OFF
#define DUAL FLAGVER_STAGE_DUALWRITE
#define LIVE FLAGVER_STAGE_LIVE
#define DOWN FLAGVER_STAGE_RAMPDOWN
#define COMPLETE FLAGVER_STAGE_COMPLETE

/* clang-format off */
#define ENLISTED .enlisted = { true, true }
#define OLD_ENLISTED .enlisted = { true, false }
#define NEW_ENLISTED .enlisted = { false, true }
#define DETACHED .enlisted = { false, false }, .one_home = true

#define STAY .record = { { DUAL, 0 } }
#define FLIP .record = { { DUAL, 0 }, { LIVE, CARRIED_OUT } }, .steppers = 1
#define ABORT .record = { { DUAL, 0 }, { LIVE, CARRIED_OUT }, { DUAL, ANY_TIME } }, .steppers = 2

static const struct setting settings[] = {
    { .name = "fences alone, three steppers, forth and back", .steppers = 3, .from_nothing = true, ENLISTED,
      .record = { { OFF, 0 }, { DUAL, ANY_TIME }, { LIVE, ANY_TIME }, { DUAL, ANY_TIME } } },

    { .name = "enlisted, 2 writers", ENLISTED, .writers = 2, .repairers = 1, STAY },
    { .name = "enlisted, 3 writers", ENLISTED, .writers = 3, .repairers = 1, STAY },
    { .name = "enlisted, 2 writers, 2 repairers", ENLISTED, .writers = 2, .repairers = 2, STAY },
    { .name = "enlisted, 2 writers, flip", ENLISTED, .writers = 2, .repairers = 1, FLIP },
    { .name = "enlisted, 3 writers, flip", ENLISTED, .writers = 3, .repairers = 1, FLIP },
    { .name = "enlisted, 2 writers, flip or abort", ENLISTED, .writers = 2, .repairers = 1, ABORT },
    { .name = "enlisted, 1 writer, flip given up", ENLISTED, .writers = 1, .repairers = 1, FLIP, .gives_up = true },
    { .name = "enlisted, 2 writers, copy, flip", ENLISTED, .writers = 2, .repairers = 1, .copiers = 2, .steppers = 1,
      .record = { { DUAL, 0 }, { LIVE, COPIED } } },
    { .name = "enlisted, 2 writers, off and on again", ENLISTED, .writers = 2, .repairers = 1, .copiers = 1, .steppers = 1,
      .record = { { DUAL, 0 }, { OFF, CARRIED_OUT }, { DUAL, CARRIED_OUT }, { LIVE, COPIED } } },
    { .name = "enlisted, one database, 3 writers, flip", ENLISTED, .one_home = true, .writers = 3, .repairers = 1, FLIP },
    { .name = "enlisted, 2 writers, a commit forgotten", ENLISTED, .writers = 2, .repairers = 1, .copiers = 1, .steppers = 1, .forgets = true, STAY },

    { .name = "old enlisted, 2 writers", OLD_ENLISTED, .writers = 2, .repairers = 1, STAY },
    { .name = "old enlisted, 3 writers", OLD_ENLISTED, .writers = 3, .operations = "PMD", .repairers = 1, STAY },
    { .name = "old enlisted, 2 writers, flip", OLD_ENLISTED, .writers = 2, .repairers = 1, FLIP },
    { .name = "old enlisted, 2 writers, copy, flip", OLD_ENLISTED, .writers = 2, .operations = "MD", .repairers = 1, .copiers = 1, .steppers = 1,
      .record = { { DUAL, 0 }, { LIVE, COPIED } } },
    { .name = "old enlisted, 1 writer, flip or abort", OLD_ENLISTED, .writers = 1, .repairers = 1, ABORT },
    { .name = "new enlisted, 2 writers, flip", NEW_ENLISTED, .writers = 2, .repairers = 1, FLIP },

    { .name = "detached, 2 writers", DETACHED, .writers = 2, .repairers = 1, STAY },
    { .name = "detached, 3 writers", DETACHED, .writers = 3, .operations = "PMD", .repairers = 1, STAY },
    { .name = "detached, 2 writers, 2 repairers", DETACHED, .writers = 2, .repairers = 2, STAY },
    { .name = "detached, 2 writers, flip", DETACHED, .writers = 2, .repairers = 1, FLIP },
    { .name = "detached, 1 writer, flip or abort", DETACHED, .writers = 1, .repairers = 1, ABORT },
    { .name = "detached, 2 writers, callbacks too late", DETACHED, .writers = 2, .repairers = 1, .overruns = true, STAY },
    { .name = "detached, 1 writer, off, copy, flip", DETACHED, .leases = true, .writers = 1, .repairers = 1, .copiers = 1, .steppers = 1,
      .record = { { OFF, 0 }, { DUAL, CARRIED_OUT }, { LIVE, COPIED } } },
    { .name = "detached, 2 writers, off, copy", DETACHED, .nobody_stops = true, .operations = "PM", .leases = true, .writers = 2, .repairers = 1, .copiers = 1, .steppers = 1,
      .record = { { OFF, 0 }, { DUAL, CARRIED_OUT } } },
    { .name = "detached, 2 writers, off to complete", DETACHED, .leases = true, .writers = 2, .steppers = 1,
      .record = { { OFF, 0 }, { COMPLETE, CARRIED_OUT } } },
};
/* clang-format on */

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

int main(int argc, char **argv)
{
    size_t i;
    bool failed = false;

    for (i = 0; i < sizeof settings / sizeof *settings; i++) {
        double begin = seconds();
        struct exploration found;

        if (argc > 1 && !strstr(settings[i].name, argv[1]))
            continue;
        found = world_explore(&settings[i], true);
        printf("%-50s %8u states %9u steps %6u ends  %.2f s  %s\n", settings[i].name, found.states,
               found.steps, found.last, seconds() - begin, found.fault ? found.fault : "ok");
        fflush(stdout);
        failed = failed || found.fault;
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
