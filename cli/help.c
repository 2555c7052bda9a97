#include "request.h"

#include <stdio.h>
#include <string.h>

#include "output.h"

/* The left columns of commands and options; what is beside them stays within 80. */
#define COMMAND_WIDTH 40
#define OPTION_WIDTH 22

static void print_option(int option)
{
    const struct cli_option_form *form = &cli_options[option];
    char left[64];

    snprintf(left, sizeof left, "--%s %s", form->name, form->value ? form->value : "");
    cli_print("  %-*s %s\n", OPTION_WIDTH, left, form->summary);
}

static void print_own_options(const struct cli_command *command)
{
    int i;

    if (!command->options)
        return;
    cli_print("\nOptions:\n");
    for (i = CLI_LAST_EVERYWHERE + 1; i < CLI_OPTION_COUNT; i++)
        if (cli_command_takes(command, i))
            print_option(i);
}

static void print_options_everywhere(void)
{
    int i;

    cli_print("\nOptions of every command:\n");
    for (i = 0; i <= CLI_LAST_EVERYWHERE; i++)
        print_option(i);
}

static void command_help(const struct cli_command *command)
{
    cli_print("usage: flagver %s [OPTION]...%s%s\n\n%s\n", command->name,
              *command->operands ? " " : "", command->operands, command->manual);
    print_own_options(command);
    print_options_everywhere();
}

static void print_command(const struct cli_command *command)
{
    char left[64];

    snprintf(left, sizeof left, "%s %s", command->name, command->operands);
    cli_print("  %-*s %s\n", COMMAND_WIDTH, left, command->summary);
}

void cli_request_help(const struct cli_request *request)
{
    size_t length = strlen(request->group);
    const struct cli_command *command;

    if (request->command) {
        command_help(request->command);
        return;
    }

    cli_print("usage: flagver [OPTION]... %s%sCOMMAND\n\nCommands:\n", request->group,
              length ? " " : "");
    for (command = cli_commands; command->name; command++)
        if (strncmp(command->name, request->group, length) == 0 &&
            (!length || command->name[length] == ' '))
            print_command(command);
    print_options_everywhere();
    cli_print("\n\"flagver help COMMAND\" says which others it takes, and more about it.\n"
              "Environment: FLAGVER_STORE, FLAGVER_TENANT and FLAGVER_ACTOR stand for the\n"
              "options of these names.\n"
              "Exit status: 0 done, 1 the check found something, 2 usage, 3 not found,\n"
              "4 denied, 5 conflict, 6 invalid input, 7 store, key or output\n"
              "unavailable, 8 outcome unknown.\n");
}
