/*
 * What somebody may have meant who mistyped a word.
 */
#ifndef CLI_SIMILAR_H
#define CLI_SIMILAR_H

#include <stddef.h>

/* Longer texts resemble nothing. */
#define CLI_SIMILAR_LIMIT 64

/*
 * How many letters have to be put in, left out, replaced or swapped with their neighbour to
 * make one text of the other; SIZE_MAX when one is too long.
 */
size_t cli_distance(const char *a, const char *b);

/* How far away something may be from the word to have been meant: the half of it, and two at most. */
size_t cli_tolerance(const char *word);

#endif
