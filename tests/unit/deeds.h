/*
 * What may be done to the parts of a version, by the version's state: tables of drivers' tests.
 */
#ifndef FLAGVER_TESTS_DEEDS_H
#define FLAGVER_TESTS_DEEDS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define STATES 7

/* The states in which it is allowed, "1 2 E1"; with `E` before it: with EMERGENCY. */
struct deed {
    const char *statement, *states;
};

/* A loop test has a turn for each state, without and with EMERGENCY, of each deed. */
#define DEED_TURNS(deeds) (2 * STATES * (int)(sizeof(deeds) / sizeof *(deeds)))

struct deed_turn {
    size_t deed;
    int state, emergency;
    char name[4]; /* of the state, as in `states` */
};

static inline struct deed_turn deed_turn(int number)
{
    struct deed_turn turn = { .deed = (size_t)(number / (2 * STATES)),
                              .state = number % STATES + 1,
                              .emergency = number / STATES % 2 };

    snprintf(turn.name, sizeof turn.name, "%s%d", turn.emergency ? "E" : "", turn.state % 10);
    return turn;
}

static inline bool deed_is_allowed(const struct deed *deed, const struct deed_turn *turn)
{
    const char *found = strstr(deed->states, turn->name);

    return found && (turn->emergency || found == deed->states || found[-1] == ' ');
}

#endif
