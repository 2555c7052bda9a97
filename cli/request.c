#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "output.h"

#define EVERYWHERE (CLI_BIT(CLI_JSON) | CLI_BIT(CLI_HELP) | CLI_BIT(CLI_VERSION))

static const struct option {
    const char *name;
    const char *value; /* what it takes, NULL: nothing */
    const char *summary;
} options[CLI_OPTION_COUNT] = {
    [CLI_DEFINITIONS] = { "definitions", "FILE", "take the flags from this file" },
    [CLI_BATCH] = { "batch", NULL, "answer each line of standard input" },
    [CLI_CONTEXT] = { "context", "JSON", "for whom: {\"targetingKey\": \"user42\", ...}" },
    [CLI_AT] = { "at", "TIME", "as of this time, such as 2026-01-31T12:00:00Z" },
    [CLI_TYPE] = { "type", "TYPE", "boolean, string, integer, double or json" },
    [CLI_DEFAULT] = { "default", "JSON", "the value when the flag gives none" },
    [CLI_JSON] = { "json", NULL, "print JSON" },
    [CLI_HELP] = { "help", NULL, "print this text" },
    [CLI_VERSION] = { "version", NULL, "print the version" },
};

/* How many of the words spell the command's name; `whole` when all of the name is there. */
static int match(const char *name, char *const *words, int count, bool *ret_whole)
{
    size_t length;
    int i;

    for (i = 0; i < count && *name; i++) {
        length = strcspn(name, " ");
        if (strlen(words[i]) != length || memcmp(words[i], name, length) != 0)
            break;
        name += length + (name[length] == ' ');
    }
    *ret_whole = !*name;
    return i;
}

/* Finds the command, or else the group, that the words name; takes them off the operands. */
static void find_command(struct cli_request *request, const struct cli_command *commands)
{
    const struct cli_command *command;
    bool whole;
    int used;

    for (command = commands; command->name; command++) {
        used = match(command->name, request->operands, request->operand_count, &whole);
        if (whole) {
            request->command = command;
            request->operands += used;
            request->operand_count -= used;
            return;
        }
        if (used > 0)
            request->group = request->operands[0];
    }
    if (request->group) {
        request->operands++;
        request->operand_count--;
    }
}

int cli_request_refuse(const struct cli_request *request, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cli_complain_list(request->command ? request->command->name : request->group, format,
                      arguments);
    va_end(arguments);
    return CLI_USAGE;
}

static int option_of(const char *name, size_t length)
{
    int i;

    for (i = 0; i < CLI_OPTION_COUNT; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return i;
    return -1;
}

/* What is wrong with an option, said once the command is known. */
struct mistake {
    const char *option; /* as given; NULL: nothing is wrong */
    int length;
    const char *why;
};

/* Takes the option at argv[0] and perhaps its value behind it; returns how many words that were. */
static int take_option(struct cli_request *request, char **argv, struct mistake *mistake)
{
    const char *name = argv[0] + 2, *equals = strchr(argv[0], '=');
    size_t length = equals && equals > name ? (size_t)(equals - name) : strlen(name);
    int option = argv[0][1] == '-' ? option_of(name, length) : -1;

    if (mistake->option)
        return 1;
    mistake->option = argv[0];
    mistake->length = (int)length + 2;
    if (option < 0) {
        mistake->why = "is no option; see flagver --help";
        return 1;
    }
    if (equals && !options[option].value) {
        mistake->why = "takes no value";
        return 1;
    }
    if (options[option].value && !equals && (!argv[1] || strncmp(argv[1], "--", 2) == 0)) {
        mistake->why = "needs a value";
        return 1;
    }

    mistake->option = NULL;
    request->values[option] = !options[option].value ? "" : equals ? equals + 1 : argv[1];
    return options[option].value && !equals ? 2 : 1;
}

static int check_options(const struct cli_request *request)
{
    int i;

    for (i = 0; i < CLI_OPTION_COUNT; i++)
        if (request->values[i] && !((request->command->options | EVERYWHERE) & CLI_BIT(i)))
            return cli_request_refuse(request, "takes no --%s", options[i].name);
    return 0;
}

int cli_request_parse(struct cli_request *request, const struct cli_command *commands, int argc,
                      char **argv)
{
    struct mistake mistake = { NULL, 0, NULL };
    bool only_operands = false;
    int i = 1;

    *request = (struct cli_request){ .operands = argv + 1 };
    while (i < argc) {
        if (only_operands || argv[i][0] != '-' || !argv[i][1])
            request->operands[request->operand_count++] = argv[i++];
        else if (strcmp(argv[i], "--") == 0)
            only_operands = i++ > 0;
        else
            i += take_option(request, argv + i, &mistake);
    }

    find_command(request, commands);
    if (mistake.option)
        return cli_request_refuse(request, "%.*s %s", mistake.length, mistake.option, mistake.why);
    if (request->values[CLI_HELP] || request->values[CLI_VERSION])
        return 0;
    if (!request->command && request->operand_count)
        return cli_request_refuse(request, "no command \"%s\"; see flagver --help",
                                  request->operands[0]);
    if (!request->command)
        return cli_request_refuse(request, "no command; see flagver --help");
    return check_options(request);
}

int cli_request_operand(const struct cli_request *request, const char **ret_operand)
{
    if (request->operand_count == 0)
        return cli_request_refuse(request, "no %s given", request->command->operand);
    if (request->operand_count > 1)
        return cli_request_refuse(request, "one %s only; \"%s\" is too much",
                                  request->command->operand, request->operands[1]);
    *ret_operand = request->operands[0];
    return 0;
}

static void print_options(unsigned set)
{
    char left[64];
    int i;

    cli_print("\nOptions:\n");
    for (i = 0; i < CLI_OPTION_COUNT; i++) {
        if (!(set & CLI_BIT(i)))
            continue;
        snprintf(left, sizeof left, "--%s %s", options[i].name,
                 options[i].value ? options[i].value : "");
        cli_print("  %-20s %s\n", left, options[i].summary);
    }
}

static void command_help(const struct cli_command *command)
{
    cli_print("usage: flagver %s [OPTION]... %s\n\n%s\n", command->name, command->operand,
              command->manual);
    print_options(command->options | EVERYWHERE);
}

void cli_request_help(const struct cli_request *request, const struct cli_command *commands)
{
    const char *group = request->group;
    const struct cli_command *command;
    unsigned set = EVERYWHERE;
    char left[64];
    bool whole;

    if (request->command) {
        command_help(request->command);
        return;
    }

    cli_print("usage: flagver [OPTION]... %s%sCOMMAND\n\nCommands:\n", group ? group : "",
              group ? " " : "");
    for (command = commands; command->name; command++) {
        if (group && !match(command->name, (char *const *)&group, 1, &whole))
            continue;
        snprintf(left, sizeof left, "%s %s", command->name, command->operand);
        cli_print("  %-20s %s\n", left, command->summary);
        set |= command->options;
    }
    print_options(set);
    cli_print("\n\"flagver COMMAND --help\" says more about one of them.\n"
              "Exit status: 0 done, 1 the check found something, 2 usage, 3 not found,\n"
              "6 invalid input, 7 memory or output unavailable.\n");
}
