#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "output.h"

const struct cli_option_form cli_options[CLI_OPTION_COUNT] = {
    [CLI_STORE] = { "store", "URI", "the store, such as sqlite:flagver.db" },
    [CLI_TENANT] = { "tenant", "TENANT", "whose records" },
    [CLI_ACTOR] = { "actor", "ID", "who acts" },
    [CLI_ROLE] = { "role", "ROLE", "what the actor may call itself; as often as needed" },
    [CLI_JSON] = { "json", NULL, "print JSON" },
    [CLI_HELP] = { "help", NULL, "print this text" },
    [CLI_VERSION] = { "version", NULL, "print the version" },
    [CLI_DEFINITIONS] = { "definitions", "FILE", "take the flags from this file" },
    [CLI_BATCH] = { "batch", NULL, "answer each line of standard input" },
    [CLI_CONTEXT] = { "context", "JSON", "for whom: {\"targetingKey\": \"user42\", ...}" },
    [CLI_AT] = { "at", "TIME", "as of 2026-01-31T12:00:00Z, or -90s, -5m, -2h, -1d" },
    [CLI_TYPE] = { "type", "TYPE", "boolean, string, integer, double or json" },
    [CLI_DEFAULT] = { "default", "JSON", "the value when the flag gives none" },
    [CLI_NOTE] = { "note", "TEXT", "why; kept with the version" },
    [CLI_EXPECT] = { "expect", "NO", "only if this version is in force, or none" },
    [CLI_IDEMPOTENCY_KEY] = { "idempotency-key", "KEY", "makes doing it twice harmless" },
    [CLI_PRUNE] = { "prune", NULL, "delete what the file does not have" },
    [CLI_KEEP_OFF] = { "keep-off", NULL, "leave off what somebody has switched off" },
    [CLI_DELETED] = { "deleted", NULL, "those that have been deleted" },
    [CLI_MERGE_PATCH] = { "merge-patch", NULL, "as an RFC 7396 merge patch" },
    [CLI_CLEAR] = { "clear", NULL, "take the schedule away" },
    [CLI_LOAD] = { "load", "FILE", "definitions to begin with" },
    [CLI_ENABLE] = { "enable", "KEY", "switch this flag on" },
    [CLI_BACKUP] = { "backup", "FILE", "export everything into this file first" },
    [CLI_NO_BACKUP] = { "no-backup", NULL, "without one" },
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

static void drop_operands(struct cli_request *request, int count)
{
    request->operands += count;
    request->operand_count -= count;
}

/* Finds the command, or else the group, that the words name; takes them off the operands. */
static void find_command(struct cli_request *request)
{
    const struct cli_command *command;
    int used, most = 0, i;
    bool whole;

    for (command = cli_commands; command->name; command++) {
        used = match(command->name, request->operands, request->operand_count, &whole);
        if (whole) {
            request->command = command;
            drop_operands(request, used);
            return;
        }
        if (used > most)
            most = used;
    }
    /* The words are those of some name, so they fit. */
    for (i = 0; i < most; i++) {
        strcat(request->group, i ? " " : "");
        strcat(request->group, request->operands[i]);
    }
    drop_operands(request, most);
}

int cli_request_refuse(const struct cli_request *request, const char *format, ...)
{
    const char *group = request->group[0] ? request->group : NULL;
    va_list arguments;

    va_start(arguments, format);
    cli_complain_list(request->command ? request->command->name : group, format, arguments);
    va_end(arguments);
    return CLI_USAGE;
}

static int option_of(const char *name, size_t length)
{
    int i;

    for (i = 0; i < CLI_OPTION_COUNT; i++)
        if (strlen(cli_options[i].name) == length && memcmp(cli_options[i].name, name, length) == 0)
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
    const char *name = argv[0] + 2, *equals = strchr(argv[0], '='), *value;
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
    if (equals && !cli_options[option].value) {
        mistake->why = "takes no value";
        return 1;
    }
    if (cli_options[option].value && !equals && (!argv[1] || strncmp(argv[1], "--", 2) == 0)) {
        mistake->why = "needs a value";
        return 1;
    }

    mistake->option = NULL;
    value = !cli_options[option].value ? "" : equals ? equals + 1 : argv[1];
    request->values[option] = value;
    if (option == CLI_ROLE)
        request->roles[request->role_count++] = value;
    return cli_options[option].value && !equals ? 2 : 1;
}

static int check_options(const struct cli_request *request)
{
    int i;

    for (i = 0; i < CLI_OPTION_COUNT; i++)
        if (request->values[i] && !((request->command->options | CLI_EVERYWHERE) & CLI_BIT(i)))
            return cli_request_refuse(request, "takes no --%s", cli_options[i].name);
    return 0;
}

/* The words of "KEY [FROM [TO]]" against what was given. */
static int check_operands(const struct cli_request *request)
{
    const char *form = request->command->operands, *word = form;
    int given = request->operand_count, place;
    size_t length;

    for (place = 0; *word; place++) {
        length = strcspn(word, " ");
        if (place >= given && word[0] != '[')
            return cli_request_refuse(request, "no %.*s given", (int)strcspn(word, " ."), word);
        if (length > 3 && memcmp(word + length - 3, "...", 3) == 0)
            return 0;
        word += length + (word[length] == ' ');
    }
    if (given <= place)
        return 0;
    if (place == 0)
        return cli_request_refuse(request, "takes no operand; \"%s\" is too much",
                                  request->operands[0]);
    return cli_request_refuse(request, "takes %s; \"%s\" is too much", form,
                              request->operands[place]);
}

int cli_request_parse(struct cli_request *request, int argc, char **argv)
{
    struct mistake mistake = { NULL, 0, NULL };
    bool only_operands = false;
    int i = 1;

    *request = (struct cli_request){ .operands = argv + 1 };
    request->roles = cli_allocate((size_t)argc * sizeof *request->roles);
    while (i < argc) {
        if (only_operands || argv[i][0] != '-' || !argv[i][1])
            request->operands[request->operand_count++] = argv[i++];
        else if (strcmp(argv[i], "--") == 0)
            only_operands = i++ > 0;
        else
            i += take_option(request, argv + i, &mistake);
    }
    if (request->operand_count && strcmp(request->operands[0], "help") == 0) {
        request->values[CLI_HELP] = "";
        drop_operands(request, 1);
    }

    find_command(request);
    if (mistake.option)
        return cli_request_refuse(request, "%.*s %s", mistake.length, mistake.option, mistake.why);
    if (!request->command && request->operand_count)
        return cli_request_refuse(request, "no command \"%s\"; see flagver --help",
                                  request->operands[0]);
    if (request->values[CLI_HELP] || request->values[CLI_VERSION])
        return 0;
    if (!request->command)
        return cli_request_refuse(request, "no command; see flagver --help");
    i = check_options(request);
    return i ? i : check_operands(request);
}

void cli_request_clear(struct cli_request *request)
{
    free(request->roles);
    request->roles = NULL;
}

const char *cli_request_operand(const struct cli_request *request, int index)
{
    return index < request->operand_count ? request->operands[index] : NULL;
}
