#include "similar.h"

#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t cli_distance(const char *a, const char *b)
{
    size_t rows[3][CLI_SIMILAR_LIMIT + 1] = { { 0 } }, *before = rows[0], *above = rows[1],
                                       *row = rows[2];
    size_t a_length = strlen(a), b_length = strlen(b), i, j, *spare;

    if (a_length > CLI_SIMILAR_LIMIT || b_length > CLI_SIMILAR_LIMIT)
        return SIZE_MAX;
    for (j = 0; j <= b_length; j++)
        row[j] = j;
    for (i = 1; i <= a_length; i++) {
        spare = before;
        before = above;
        above = row;
        row = spare;
        row[0] = i;
        for (j = 1; j <= b_length; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return row[b_length];
}

size_t cli_tolerance(const char *word)
{
    return least(strlen(word) / 2, 2);
}
