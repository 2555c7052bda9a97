/*
 * Tables as people read them: columns that stand below each other.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

#define CLI_TABLE_COLUMNS 8

/* Begun with all zero but `columns`; freed by printing it. */
struct cli_table {
    size_t columns; /* at most CLI_TABLE_COLUMNS */
    char **cells;
    size_t count, capacity;
};

/* Adds one cell after the other, row by row; the first row is the heading. NULL is an empty one. */
void cli_table_add(struct cli_table *table, const char *text);
void cli_table_format(struct cli_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first bytes of a text, at most `limit` of them, and none of its characters in part. */
size_t cli_cut(const char *text, size_t length, size_t limit);

/* Prints the table, unless there is nothing but the heading, and frees it. */
void cli_table_print(struct cli_table *table);

#endif
