/* Tables in the documentation, which are held against the code. */
#ifndef FLAGVER_TESTS_DOCUMENT_H
#define FLAGVER_TESTS_DOCUMENT_H

#include <stdio.h>
#include <string.h>

#include "support.h"

#define CELL_SIZE 64

/* The next cell of a row, without the spaces around it. */
static inline const char *next_cell(const char *at, char cell[CELL_SIZE])
{
    size_t length;

    ck_assert_msg(*at == '|', "no cell at \"%.20s\"", at);
    at += 1 + strspn(at + 1, " ");
    length = strcspn(at, "|");
    ck_assert_uint_lt(length, CELL_SIZE);
    memcpy(cell, at, length);
    while (length && cell[length - 1] == ' ')
        length--;
    cell[length] = 0;
    return at + strcspn(at, "|");
}

/* The rows of the table that has this heading, a line. Returns how many there are. */
static inline int each_row(const char *document, const char *heading,
                           void (*check)(int number, const char *row))
{
    FILE *file = fopen(document, "r");
    bool inside = false;
    char line[512];
    int rows = 0;

    ck_assert_msg(file != NULL, "no %s here", document);
    while (fgets(line, sizeof line, file)) {
        if (inside && *line != '|')
            break;
        if (inside && strncmp(line, "|---", 4) != 0)
            check(++rows, line);
        inside = inside || strcmp(line, heading) == 0;
    }
    fclose(file);
    return rows;
}

#endif
