/*
 * What the program reads: whole files, and lines of any length.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Ends the program, which can do nothing else then. */
_Noreturn void cli_out_of_memory(void);

/* malloc and realloc that end it when memory is short. */
void *cli_allocate(size_t size);
void *cli_reallocate(void *block, size_t size);
char *cli_copy(const char *bytes, size_t length); /* with a NUL behind */

/*
 * Read a file, standard input for "-". The text is freed with free().
 *
 * Returns 0 or an errno.
 */
int cli_read_file(const char *path, char **ret_text, size_t *ret_length);

/* The same for an operand; `*ret_name` is what to call it. Returns 0, or CLI_INVALID having said why. */
int cli_read_operand(const char *path, const char **ret_name, char **ret_text, size_t *ret_length);

/* Lines of a descriptor: begun with all but `fd` zero. */
struct cli_lines {
    int fd;
    char *data;
    size_t capacity;
    size_t start, end; /* what was read and not handed out */
    size_t searched;   /* no newline between start and here */
    bool ended;
};

/*
 * Find the next line among what was read already. It stands without its
 * newline and until the next call of either function.
 */
bool cli_lines_next(struct cli_lines *lines, const char **ret_line, size_t *ret_length);

/* Read on, waiting if need be. Returns 0, an errno, or -1 at the end. */
int cli_lines_read(struct cli_lines *lines);

void cli_lines_clear(struct cli_lines *lines);

#endif
