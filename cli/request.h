/*
 * What the command line asks for: a command, its options, its operands.
 *
 * Options may stand anywhere, as --name=value or --name value; after "--" all
 * words are operands. A word that begins with "--" is taken as a value only
 * behind "=", so that a forgotten value is noticed. Given twice, the last counts.
 */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum cli_option {
    CLI_DEFINITIONS,
    CLI_BATCH,
    CLI_CONTEXT,
    CLI_AT,
    CLI_TYPE,
    CLI_DEFAULT,
    CLI_JSON,
    CLI_HELP,
    CLI_VERSION,
    CLI_OPTION_COUNT
};

#define CLI_BIT(option) (1u << (option))

struct cli_request;

struct cli_command {
    const char *name;    /* its words: "flag eval" */
    const char *operand; /* the one that it takes: "KEY" */
    const char *summary; /* half a line */
    const char *manual;  /* what --help says beyond that, lines */
    unsigned options;    /* CLI_BIT of each that it understands */
    int (*run)(const struct cli_request *request);
};

struct cli_request {
    const struct cli_command *command;    /* NULL: none, which --help and --version allow */
    const char *group;                    /* without a command, the group that was named, or NULL */
    const char *values[CLI_OPTION_COUNT]; /* NULL: not given; "" where it takes none */
    char **operands;
    int operand_count;
};

/*
 * Take a command line apart; `argv` is reordered and referred to. `commands`
 * ends with one without a name.
 *
 * Returns 0, or CLI_USAGE after having said what is wrong.
 */
int cli_request_parse(struct cli_request *request, const struct cli_command *commands, int argc,
                      char **argv);

/* The only operand. Returns 0, or CLI_USAGE after having said what is wrong. */
int cli_request_operand(const struct cli_request *request, const char **ret_operand);

/* Says "flagver: flag eval: why" on standard error and returns CLI_USAGE. */
int cli_request_refuse(const struct cli_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What --help prints: about the command, the group of commands, or all of it. */
void cli_request_help(const struct cli_request *request, const struct cli_command *commands);

#endif
