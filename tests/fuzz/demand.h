/* What holds for every input; a target that finds one for which it does not ends there. */
#ifndef FLAGVER_TESTS_DEMAND_H
#define FLAGVER_TESTS_DEMAND_H

#include <stdio.h>
#include <stdlib.h>

#define demand(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

#endif
