#include <stdlib.h>

#include <flagver.h>

#include "commands.h"
#include "output.h"
#include "request.h"

#define EVALUATION (CLI_BIT(CLI_DEFINITIONS) | CLI_BIT(CLI_CONTEXT) | CLI_BIT(CLI_AT))

static const struct cli_command commands[] = {
    {
        .name = "flag eval",
        .operand = "KEY",
        .summary = "what a flag serves to a context",
        .options = EVALUATION | CLI_BIT(CLI_TYPE) | CLI_BIT(CLI_DEFAULT) | CLI_BIT(CLI_BATCH),
        .manual =
            "Print what the flag KEY serves to a context, and why.\n"
            "\n"
            "With --batch there is no KEY. Each line of standard input is an object\n"
            "  {\"flag\": KEY, \"context\": {...}, \"type\": TYPE, \"default\": JSON}\n"
            "of which \"flag\" and \"context\" are needed. Each is answered with one line, in\n"
            "order: the result as --json prints it, or {\"line\": NUMBER, \"error\": WHY} for\n"
            "a line that is no such object.\n"
            "\n"
            "Exit status: 3 when there is no such flag, 6 for any other error; the default is\n"
            "printed all the same. With --batch errors are results, and 6 means a bad line.",
        .run = cli_flag_eval,
    },
    {
        .name = "flag explain",
        .operand = "KEY",
        .summary = "why it serves that, step by step",
        .options = EVALUATION,
        .manual = "Print what the flag KEY serves to a context and the steps that led there.\n"
                  "\n"
                  "Exit status: as flag eval.",
        .run = cli_flag_explain,
    },
    {
        .name = "flag lint",
        .operand = "FILE",
        .summary = "look for mistakes in definitions",
        .options = 0,
        .manual = "Check the definitions in FILE, or on standard input for -, and print what is\n"
                  "allowed but hardly meant, one line each.\n"
                  "\n"
                  "Exit status: 1 when there are such lines, 6 when the file is malformed.",
        .run = cli_flag_lint,
    },
    { .name = NULL },
};

int main(int argc, char **argv)
{
    struct cli_request request;
    int status;

    status = cli_request_parse(&request, commands, argc, argv);
    if (status != CLI_DONE)
        return status;

    if (request.values[CLI_HELP])
        cli_request_help(&request, commands);
    else if (request.values[CLI_VERSION])
        cli_print("flagver %s (libflagver %s)\n", FLAGVER_VERSION, flagver_version_string());
    else
        status = request.command->run(&request);
    return cli_finish(status);
}
