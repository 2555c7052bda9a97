#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "output.h"

void cli_table_add(struct cli_table *table, const char *text)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->cells = cli_reallocate(table->cells, table->capacity * sizeof *table->cells);
    }
    table->cells[table->count++] = cli_readable(text ? text : "");
}

void cli_table_format(struct cli_table *table, const char *format, ...)
{
    va_list arguments;
    char text[256];

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_table_add(table, text);
}

size_t cli_cut(const char *text, size_t length, size_t limit)
{
    size_t end = length < limit ? length : limit;

    while (end < length && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    return end;
}

/* In characters; that some of them are as wide as two is not known here. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Nothing stands behind the last cell of a row that has something in it. */
static void print_row(char *const *row, const int *widths, size_t columns, enum cli_style style)
{
    size_t i;

    while (columns > 1 && !*row[columns - 1])
        columns--;
    for (i = 0; i < columns; i++) {
        cli_print_styled(style, "%s", row[i]);
        if (i + 1 < columns)
            cli_print("%*s", widths[i] - width_of(row[i]) + 2, "");
    }
    cli_print("\n");
}

void cli_table_print(struct cli_table *table)
{
    int widths[CLI_TABLE_COLUMNS] = { 0 }, width;
    size_t i;

    for (i = 0; i < table->count; i++) {
        width = width_of(table->cells[i]);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    if (table->count > table->columns)
        for (i = 0; i < table->count; i += table->columns)
            print_row(table->cells + i, widths, table->columns, i ? CLI_PLAIN : CLI_BOLD);

    for (i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct cli_table){ .columns = table->columns };
}
