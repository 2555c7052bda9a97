/*
 * What the command line asks for: a command, its options, its operands.
 *
 * Options may stand anywhere, as --name=value or --name value; after "--" all
 * words are operands. A word that begins with "--" is taken as a value only
 * behind "=", so that a forgotten value is noticed. Given twice, the last counts,
 * except for --role, --check and --field.
 */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_option {
    /* Those that stand behind every command. */
    CLI_STORE,
    CLI_TENANT,
    CLI_ACTOR,
    CLI_ROLE,
    CLI_JSON,
    CLI_HELP,
    CLI_VERSION,
    /* Those of some commands. */
    CLI_DEFINITIONS,
    CLI_BATCH,
    CLI_CONTEXT,
    CLI_AT,
    CLI_TYPE,
    CLI_DEFAULT,
    CLI_NOTE,
    CLI_EXPECT,
    CLI_IDEMPOTENCY_KEY,
    CLI_PRUNE,
    CLI_KEEP_OFF,
    CLI_DELETED,
    CLI_MERGE_PATCH,
    CLI_CLEAR,
    CLI_LOAD,
    CLI_ENABLE,
    CLI_BACKUP,
    CLI_NO_BACKUP,
    CLI_SUBMIT,
    CLI_HASH,
    CLI_PARENT,
    CLI_BASELINE,
    CLI_EMERGENCY,
    CLI_STATE,
    CLI_PREFIX,
    CLI_AUTHOR,
    CLI_LIMIT,
    CLI_AFTER,
    CLI_ALL,
    CLI_PUT,
    CLI_REMOVE,
    CLI_APPROVE,
    CLI_REJECT,
    CLI_PENDING,
    CLI_PARTS,
    CLI_BY_MONTH,
    CLI_SINCE,
    CLI_UNTIL,
    CLI_DAILY,
    CLI_HOURLY,
    CLI_OPENMETRICS,
    CLI_FLAG,
    CLI_FORGET,
    CLI_FROM,
    CLI_SIGNER,
    CLI_ORIGIN,
    CLI_VERIFIER,
    CLI_CHECKPOINT,
    CLI_OLD,
    CLI_SIZE,
    CLI_TREE_ONLY,
    CLI_PHASE,
    CLI_SUBJECT,
    CLI_FOLLOW,
    CLI_CHECK,
    CLI_INPUT,
    CLI_OUTPUT,
    CLI_TOLERANCE,
    CLI_FIELD,
    CLI_STRICT,
    CLI_FORCE,
    CLI_WAIT,
    CLI_WATCH,
    CLI_OPTION_COUNT
};

/* The last of those behind every command. */
#define CLI_LAST_EVERYWHERE CLI_VERSION

/* A list of options, which one that every command has ends. */
#define CLI_OPTIONS(...)       \
    (const unsigned char[])    \
    {                          \
        __VA_ARGS__, CLI_STORE \
    }

struct cli_request;

struct cli_command {
    const char *name;             /* its words: "flag eval" */
    const char *operands;         /* "KEY [FROM [TO]]", "KEY USER...", "[KEY...]"; "" for none */
    const char *summary;          /* half a line */
    const char *manual;           /* what --help says beyond that, lines */
    const unsigned char *options; /* CLI_OPTIONS of its own; NULL: it has none */
    int (*run)(const struct cli_request *request);
};

/* Does the command understand this option? */
bool cli_command_takes(const struct cli_command *command, int option);

/* All commands; ends with one without a name. */
extern const struct cli_command cli_commands[];

struct cli_option_form {
    const char *name;
    const char *value; /* what it takes, NULL: nothing */
    const char *summary;
};

extern const struct cli_option_form cli_options[CLI_OPTION_COUNT];

struct cli_request {
    const struct cli_command *command;    /* NULL: none, which --help and --version allow */
    char group[64];                       /* without a command, the words that begin some, or "" */
    const char *values[CLI_OPTION_COUNT]; /* NULL: not given; "" where it takes none */
    const char **roles;                   /* each --role */
    size_t role_count;
    const char **checks; /* each --check */
    size_t check_count;
    const char **fields; /* each --field */
    size_t field_count;
    char **operands;
    int operand_count;
};

/*
 * Take a command line apart; `argv` is reordered and referred to. The number of operands
 * is what the command wants. Cleared with cli_request_clear() in any case.
 *
 * Returns 0, or CLI_USAGE after having said what is wrong.
 */
int cli_request_parse(struct cli_request *request, int argc, char **argv);

void cli_request_clear(struct cli_request *request);

/* An operand, NULL where there is none. */
const char *cli_request_operand(const struct cli_request *request, int index);

/* Says "flagver: flag eval: why" on standard error and returns CLI_USAGE. */
int cli_request_refuse(const struct cli_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What --help prints: about the command, the group of commands, or all of it. */
void cli_request_help(const struct cli_request *request);

#endif
