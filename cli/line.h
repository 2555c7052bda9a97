/*
 * One line of a batch:
 *
 *     {"flag": KEY, "context"?: {"targetingKey"?: …}, "type"?: TYPE, "default"?: JSON}
 *
 * The line is cut into its members here; what they hold is read by those who
 * know JSON anyhow: the library takes the context, jansson the rest.
 */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include <flagver.h>

struct cli_line {
    char *flag;
    size_t flag_length;
    flagver_context *context; /* NULL: none given */
    int type;
    const char *fallback; /* JSON text inside the line, NULL: no default */
    size_t fallback_length;
};

/*
 * Returns 0, FLAGVER_ENOMEM, or FLAGVER_EPARSE for a line that is no such thing.
 * Freed with cli_line_clear() in any case.
 */
int cli_line_read(struct cli_line *line, const char *text, size_t length, flagver_error *err);

void cli_line_clear(struct cli_line *line);

/* FLAGVER_TYPE_… for a type's name, FLAGVER_TYPE_ANY for anything else. */
int cli_type_of(const char *name);

#endif
