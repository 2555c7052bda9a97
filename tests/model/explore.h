/*
 * All states that can be reached from some, each looked at once: breadth first, so that the way
 * to the first bad one is as short as can be. Nothing is random, and nothing is left out: states
 * are compared whole, the hash only finds them.
 */
#ifndef FLAGVER_TESTS_MODEL_EXPLORE_H
#define FLAGVER_TESTS_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct explorer;

struct world {
    size_t size; /* of a state; its bytes are compared, so it must have no padding */
    const void *context;
    /* Calls explore_reach() for every state that one step leads to. */
    void (*step)(const void *context, const void *state, struct explorer *explorer);
    /* What is wrong with a state, NULL: nothing. `last`: no step leads on from it. */
    const char *(*fault)(const void *context, const void *state, bool last);
    void (*print)(const void *context, const void *state);
};

struct exploration {
    uint32_t states, steps, last; /* last: from which no step leads on */
    const char *fault;            /* the first one found, or the one looked for; NULL: none */
};

/* A first state, or one that `step` leads to by what `label` says (a literal). */
void explore_reach(struct explorer *explorer, const void *state, const char *label);

/* `step` found something that must not happen on the way to a state. */
void explore_fault(struct explorer *explorer, const char *fault, const char *label);

/*
 * `begin` reaches the first states. Afterwards it is a fault as well if from some state no last
 * one can be reached, or if there are more states than there should be in any world. The exploration ends with the first fault, or with the first one that is
 * called `wanted`. `verbose` prints the way to it.
 */
struct exploration explore(const struct world *world,
                           void (*begin)(const void *context, struct explorer *explorer),
                           const char *wanted, bool verbose);

#endif
