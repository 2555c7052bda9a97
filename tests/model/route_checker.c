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

/* Whom the stores of transactions stand behind. */
#define ENLISTED .enlisted = { true, true }
#define OLD_ENLISTED .enlisted = { true, false }
#define NEW_ENLISTED .enlisted = { false, true }
#define DETACHED .enlisted = { false, false }, .one_home = true

/* Who is there, and with whom. */
#define WRITERS(count) .writers = (count), .repairers = 1
#define COPY .copiers = 1, .steppers = 1
#define LEASES .leases = true

/* What the record says, one version after the other. */
#define RECORD(...) .record = { __VA_ARGS__, { 0, ANY_TIME } }
#define STAY RECORD({ DUAL, 0 })
#define FLIP .steppers = 1, RECORD({ DUAL, 0 }, { LIVE, CARRIED_OUT })
#define ABORT RECORD({ DUAL, 0 }, { LIVE, CARRIED_OUT }, { DUAL, ANY_TIME })
#define COPY_FLIP RECORD({ DUAL, 0 }, { LIVE, COPIED })
#define OFF_COPY RECORD({ OFF, 0 }, { DUAL, CARRIED_OUT })
#define OFF_COPY_FLIP RECORD({ OFF, 0 }, { DUAL, CARRIED_OUT }, { LIVE, COPIED })
#define OFF_AND_ON { DUAL, 0 }, { OFF, CARRIED_OUT }, { DUAL, CARRIED_OUT }
#define THERE_AND_BACK RECORD({ DUAL, 0 }, { LIVE, COPIED }, { COMPLETE, CARRIED_OUT }, \
    { DOWN, CARRIED_OUT })
#define FOUND_EQUAL .found_equal = true, \
    RECORD({ DUAL, 0 }, { LIVE, CARRIED_OUT }, { COMPLETE, CARRIED_OUT })
#define CUT_OVER .steppers = 1, RECORD({ OFF, 0 }, { COMPLETE, CARRIED_OUT })
#define FENCES .from_nothing = true, .steppers = 3, \
    RECORD({ OFF, 0 }, { DUAL, ANY_TIME }, { LIVE, ANY_TIME }, { DUAL, ANY_TIME })

static const struct setting settings[] = {
    { "fences alone, 3 steppers, forth and back", ENLISTED, FENCES },

    { "fences alone, 3 steppers, given up twice", ENLISTED, .steppers = 3, .gives_up = 2,
      RECORD({ DUAL, 0 }, { LIVE, CARRIED_OUT }) },

    { "enlisted, 2 writers", ENLISTED, WRITERS(2), STAY },
    { "enlisted, 3 writers", ENLISTED, WRITERS(3), STAY },
    { "enlisted, 2 writers, 2 repairers", ENLISTED, .writers = 2, .repairers = 2, STAY },
    { "enlisted, 2 writers, flip", ENLISTED, WRITERS(2), FLIP },
    { "enlisted, 3 writers, flip", ENLISTED, WRITERS(3), FLIP },
    { "enlisted, 2 writers, flip or abort", ENLISTED, WRITERS(2), .steppers = 2, ABORT },
    { "enlisted, 1 writer, flip given up", ENLISTED, WRITERS(1), FLIP, .gives_up = 1 },
    { "enlisted, 2 writers, 2 copies, flip", ENLISTED, WRITERS(2), .copiers = 2, .steppers = 1,
      COPY_FLIP },
    { "enlisted, 2 writers, off and on again", ENLISTED, WRITERS(2), .operations = "MD", COPY,
      RECORD(OFF_AND_ON, { LIVE, COPIED }) },
    { "enlisted, 2 writers, complete and down again", ENLISTED, WRITERS(2), .operations = "PM", COPY,
      THERE_AND_BACK },
    { "enlisted, 2 writers, found equal, complete", ENLISTED, WRITERS(2), .operations = "PM", COPY,
      FOUND_EQUAL },
    { "enlisted, 2 writers, a commit forgotten", ENLISTED, WRITERS(2), COPY, .forgets = true, STAY },
    { "enlisted, 2 writers, copy, flip, loose reads", ENLISTED, .loose = true, WRITERS(2),
      .operations = "MD", COPY, COPY_FLIP },
    { "one database, 3 writers, flip", ENLISTED, .one_home = true, WRITERS(3), FLIP },

    { "old enlisted, 2 writers", OLD_ENLISTED, WRITERS(2), STAY },
    { "old enlisted, 3 writers", OLD_ENLISTED, WRITERS(3), .operations = "PMD", STAY },
    { "old enlisted, 2 writers, flip", OLD_ENLISTED, WRITERS(2), FLIP },
    { "old enlisted, 2 writers, flip or abort", OLD_ENLISTED, WRITERS(2), .operations = "PM",
      .steppers = 1, ABORT },
    { "old enlisted, 1 writer, flip or abort", OLD_ENLISTED, WRITERS(1), .steppers = 2, ABORT },
    { "old enlisted, 2 writers, copy, flip", OLD_ENLISTED, WRITERS(2), .operations = "MD", COPY,
      COPY_FLIP },
    { "new enlisted, 2 writers, flip", NEW_ENLISTED, WRITERS(2), .operations = "MD", FLIP },

    { "detached, 2 writers", DETACHED, WRITERS(2), STAY },
    { "detached, 3 writers", DETACHED, WRITERS(3), .operations = "PMD", STAY },
    { "detached, 2 writers, 2 repairers", DETACHED, .writers = 2, .operations = "PM",
      .repairers = 2, STAY },
    { "detached, 2 writers, late callbacks", DETACHED, WRITERS(2), .overruns = true, STAY },
    { "detached, 2 writers, flip", DETACHED, WRITERS(2), .operations = "MD", FLIP },
    { "detached, 2 writers, flip or abort", DETACHED, WRITERS(2), .operations = "PM",
      .steppers = 1, ABORT },
    { "detached, 1 writer, flip or abort", DETACHED, WRITERS(1), .steppers = 2, ABORT },
    { "detached, 2 writers, off to complete", DETACHED, LEASES, .writers = 2, CUT_OVER },
    { "detached, 1 writer, off, copy, flip", DETACHED, LEASES, WRITERS(1), COPY, OFF_COPY_FLIP },
    { "detached, 1 writer, off and on again", DETACHED, LEASES, WRITERS(1), .operations = "M",
      COPY, RECORD(OFF_AND_ON) },
    { "detached, 2 writers, off, copy, flip, calm", DETACHED, LEASES, WRITERS(2), .calm = true,
      COPY, OFF_COPY_FLIP },
    { "detached, 2 writers, through all, calm", DETACHED, LEASES, WRITERS(2), .calm = true, COPY,
      RECORD(OFF_AND_ON, { LIVE, COPIED }, { DOWN, CARRIED_OUT }, { COMPLETE, CARRIED_OUT }) },
};

#define DIFFER "the sides differ"
#define LOST "a write was lost"
#define STRAY "a side is written that is not the authority any more"
#define TWO "both sides are the authority"

/* Each leaves out one thing, and must show the fault that this thing prevents. */
static const struct ablation {
    struct setting setting;
    const char *fault;
} ablations[] = {
    { { "no version guard", ENLISTED, WRITERS(2), STAY, .without = WITHOUT_GUARD }, DIFFER },
    { { "no fence in the transaction", ENLISTED, WRITERS(2), FLIP, .without = WITHOUT_FENCE },
      DIFFER },
    { { "no drain", ENLISTED, WRITERS(2), FLIP, .without = WITHOUT_DRAIN }, LOST },
    { { "no tombstone", ENLISTED, WRITERS(2), STAY, .without = WITHOUT_TOMBSTONE },
      "deleted data came back" },
    { { "no overlap detection, old enlisted", OLD_ENLISTED, WRITERS(2), STAY,
        .without = WITHOUT_OVERLAP }, DIFFER },
    { { "no overlap detection, detached", DETACHED, WRITERS(2), STAY,
        .without = WITHOUT_OVERLAP }, DIFFER },
    { { "no lease of operations, old enlisted", OLD_ENLISTED, WRITERS(2), STAY,
        .without = WITHOUT_DEADLINE }, DIFFER },
    { { "no lease of operations, detached", DETACHED, WRITERS(2), STAY,
        .without = WITHOUT_DEADLINE }, DIFFER },
    { { "no lease of routers, off to complete", DETACHED, LEASES, .writers = 2, CUT_OVER,
        .without = WITHOUT_LEASE }, STRAY },
    { { "no lease of routers, copy", DETACHED, LEASES, WRITERS(1), COPY, OFF_COPY,
        .without = WITHOUT_LEASE }, DIFFER },
    { { "no waiting for leases, off to complete", DETACHED, LEASES, .writers = 2, CUT_OVER,
        .without = WITHOUT_WAITING }, STRAY },
    { { "no waiting for leases, copy", DETACHED, LEASES, WRITERS(1), COPY, OFF_COPY,
        .without = WITHOUT_WAITING }, DIFFER },
    { { "no admission of doubts", OLD_ENLISTED, WRITERS(2), .operations = "PM", FLIP,
        .without = WITHOUT_ADMISSION }, LOST },
    { { "no comparing in steps", ENLISTED, FENCES, .without = WITHOUT_COMPARING }, TWO },
    { { "no one moment for both fences", ENLISTED, FENCES, .without = WITHOUT_MOMENT }, TWO },
    { { "no order in loose reads", ENLISTED, .loose = true, WRITERS(2), STAY,
        .without = WITHOUT_ORDER }, DIFFER },
    { { "no place looked at by who reads", ENLISTED, WRITERS(2), .operations = "PM", COPY,
        THERE_AND_BACK, .without = WITHOUT_PLACE }, LOST },
    { { "no version while one side is written", ENLISTED, WRITERS(1), .operations = "P", COPY,
        FOUND_EQUAL, .without = WITHOUT_VERSION }, LOST },
    { { "no period in copies", ENLISTED, WRITERS(2), COPY, STAY, .without = WITHOUT_PERIOD },
      DIFFER },
    { { "no new epoch after a commit was forgotten", ENLISTED, WRITERS(2), COPY, .forgets = true,
        STAY, .without = WITHOUT_RENEWAL }, DIFFER },
};
/* clang-format on */

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void report(const char *name, const struct exploration *found, double since,
                   const char *verdict)
{
    printf("%-50s %8u states %9u steps %5u ends %6.2f s  %s\n", name, found->states, found->steps,
           found->last, seconds() - since, verdict);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    struct exploration found;
    uint64_t states = 0;
    bool failed = false;
    double begin;
    size_t i;

    for (i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (!strstr(settings[i].name, part))
            continue;
        begin = seconds();
        found = world_explore(&settings[i], NULL, true);
        report(settings[i].name, &found, begin, found.fault ? found.fault : "ok");
        states += found.states;
        failed = failed || found.fault;
    }
    for (i = 0; i < sizeof ablations / sizeof *ablations; i++) {
        const struct ablation *ablation = &ablations[i];

        if (!strstr(ablation->setting.name, part))
            continue;
        begin = seconds();
        found = world_explore(&ablation->setting, ablation->fault, *part != 0);
        report(ablation->setting.name, &found, begin, found.fault ? found.fault : "NO FAULT SEEN");
        failed = failed || !found.fault || strcmp(found.fault, ablation->fault) != 0;
    }
    printf("%llu states\n", (unsigned long long)states);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
