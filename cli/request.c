#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "output.h"
#include "similar.h"

const struct cli_option_form cli_options[CLI_OPTION_COUNT] = {
    [CLI_STORE] = { "store", "URI", "the store, sqlite:FILE or postgresql://..." },
    [CLI_TENANT] = { "tenant", "TENANT", "whose records" },
    [CLI_ACTOR] = { "actor", "ID", "who acts" },
    [CLI_ROLE] = { "role", "ROLE", "a role of the actor; once more for each further one" },
    [CLI_JSON] = { "json", NULL, "print JSON" },
    [CLI_HELP] = { "help", NULL, "print this text; -h is the same" },
    [CLI_VERSION] = { "version", NULL, "print the version" },
    [CLI_DEFINITIONS] = { "definitions", "FILE", "take the flags from this file" },
    [CLI_BATCH] = { "batch", NULL, "answer each line of standard input" },
    [CLI_CONTEXT] = { "context", "JSON", "for whom: {\"targetingKey\": \"user42\", ...}" },
    [CLI_AT] = { "at", "TIME", "as of 2026-01-31T12:00:00Z, or -90s, -5m, -2h, -1d" },
    [CLI_TYPE] = { "type", "TYPE", "boolean, string, integer, double or json" },
    [CLI_DEFAULT] = { "default", "JSON", "the value when the flag gives none" },
    [CLI_NOTE] = { "note", "TEXT", "why it is done" },
    [CLI_EXPECT] = { "expect", "NO|none", "only if this version is in force, or none is" },
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
    [CLI_SUBMIT] = { "submit", NULL, "submit it in the same transaction" },
    [CLI_HASH] = { "hash", "HEX", "only if this is what it says: its contentHash" },
    [CLI_PARENT] = { "parent", "NO", "the version that it goes back to" },
    [CLI_BASELINE] = { "baseline", "NO", "carry its approved items forward" },
    [CLI_EMERGENCY] = { "emergency", NULL, "at once, to be reviewed later; needs --note" },
    [CLI_STATE] = { "state", "STATE", "only versions in this state: draft, submitted, ..." },
    [CLI_PREFIX] = { "prefix", "TEXT", "only subjects that begin with it" },
    [CLI_AUTHOR] = { "author", "ID", "only what this actor has created" },
    [CLI_LIMIT] = { "limit", "COUNT", "at most so many" },
    [CLI_AFTER] = { "after", "SUBJECT", "only subjects after this one" },
    [CLI_ALL] = { "all", NULL, "what has been deleted, too" },
    [CLI_PUT] = { "put", "FILE", "put what is in it: {\"KEY\": JSON, ...}" },
    [CLI_REMOVE] = { "remove", NULL, "take it away" },
    [CLI_APPROVE] = { "approve", NULL, "decide for it" },
    [CLI_REJECT] = { "reject", NULL, "decide against it" },
    [CLI_PENDING] = { "pending", NULL, "take the decision back" },
    [CLI_PARTS] = { "parts", "COUNT", "by the first so many parts of the subject" },
    [CLI_BY_MONTH] = { "by-month", NULL, "by the month of creation, in UTC" },
    [CLI_SINCE] = { "since", "TIME", "only what was created, or tracked, from then on" },
    [CLI_UNTIL] = { "until", "TIME", "only what was before then" },
    [CLI_DAILY] = { "daily", NULL, "how flags fared each day, in UTC" },
    [CLI_HOURLY] = { "hourly", NULL, "the same by the hour" },
    [CLI_OPENMETRICS] = { "openmetrics", NULL, "all of it as OpenMetrics text" },
    [CLI_FLAG] = { "flag", "KEY", "only of this flag" },
    [CLI_FORGET] = { "forget", "TIME", "delete what was tracked before then" },
    [CLI_FROM] = { "from", "LEAF", "from this leaf on" },
    [CLI_SIGNER] = { "signer", "FILE", "sign with the key in this file" },
    [CLI_ORIGIN] = { "origin", "TEXT", "what the log is called" },
    [CLI_VERIFIER] = { "verifier", "KEY|FILE", "who must have signed it" },
    [CLI_CHECKPOINT] = { "checkpoint", "FILE", "the log must begin with what this is of" },
    [CLI_OLD] = { "old", "SIZE", "that the log begins with its first so many leaves" },
    [CLI_SIZE] = { "size", "SIZE", "about the log as it was with so many leaves" },
    [CLI_TREE_ONLY] = { "tree-only", NULL, "the log alone, not the records" },
    [CLI_PHASE] = { "phase", "PHASE", "only of this phase" },
    [CLI_SUBJECT] = { "subject", "SUBJECT", "only of this subject, all of it" },
    [CLI_FOLLOW] = { "follow", NULL, "keep up with the source until it is interrupted" },
    [CLI_CHECK] = { "check", "COMMAND", "a check of your own; once more for each further one" },
    [CLI_INPUT] = { "input", "FILE", "JSON lines, or a snapshot; - is standard input" },
    [CLI_OUTPUT] = { "output", "FILE", "the file to write" },
    [CLI_TOLERANCE] = { "tolerance", "5%|abs:N", "how far numbers may differ" },
    [CLI_FIELD] = { "field", "FIELD=RULE", "what holds for a field; once more for others" },
    [CLI_STRICT] = { "strict", NULL, "take every difference for an error" },
    [CLI_FORCE] = { "force", "REASON", "why the gates do not matter" },
    [CLI_WAIT] = { "wait", "SECONDS", "for how long to wait for that" },
    [CLI_WATCH] = { "watch", "SECONDS", "look again and again, so many seconds apart" },
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

/* ---- did you mean ---- */

static int count_words(const char *text)
{
    int count = *text != 0;

    for (; *text; text++)
        count += *text == ' ';
    return count;
}

/* How far the words that were given, in the group and behind it, are from these. */
static size_t distance_of(const struct cli_request *request, const char *words)
{
    int more = count_words(words) - count_words(request->group), i;
    char given[CLI_SIMILAR_LIMIT * 2];
    size_t used;

    if (more <= 0)
        return SIZE_MAX;
    used = (size_t)snprintf(given, sizeof given, "%s", request->group);
    for (i = 0; i < more && i < request->operand_count && used < sizeof given; i++)
        used += (size_t)snprintf(given + used, sizeof given - used, "%s%s", used ? " " : "",
                                 request->operands[i]);
    return cli_distance(words, given);
}

/* There is no command of that name; perhaps there is one of a name like that, or of one that
 * only lacks its first word: "ramp". */
static int refuse_command(const struct cli_request *request)
{
    const char *word = request->operands[0], *meant = NULL, *behind;
    size_t least = cli_tolerance(word) + 1, distance;
    const struct cli_command *command;

    for (command = cli_commands; command->name; command++) {
        distance = distance_of(request, command->name);
        behind = strchr(command->name, ' ');
        if (behind && !request->group[0] && distance_of(request, behind + 1) < distance)
            distance = distance_of(request, behind + 1);
        if (distance < least) {
            least = distance;
            meant = command->name;
        }
    }
    if (meant)
        return cli_request_refuse(request, "no command \"%s\"; did you mean \"%s\"?", word, meant);
    return cli_request_refuse(request, "no command \"%s\"; see flagver --help", word);
}

bool cli_command_takes(const struct cli_command *command, int option)
{
    const unsigned char *own = command->options;

    if (option <= CLI_LAST_EVERYWHERE)
        return true;
    while (own && *own && *own != option)
        own++;
    return own && *own;
}

static bool takes(const struct cli_request *request, int option)
{
    return !request->command || cli_command_takes(request->command, option);
}

/* The option that a word with its dashes may have meant; NULL: none. */
static const char *similar_option(const struct cli_request *request, const char *word)
{
    size_t least = cli_tolerance(word + 2) + 1, distance;
    const char *meant = NULL;
    int i;

    for (i = 0; i < CLI_OPTION_COUNT; i++) {
        distance = takes(request, i) ? cli_distance(cli_options[i].name, word + 2) : SIZE_MAX;
        if (distance < least) {
            least = distance;
            meant = cli_options[i].name;
        }
    }
    return meant;
}

/* ---- taking the words apart ---- */

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
    const char *why; /* NULL: there is none of that name */
};

static int refuse_option(const struct cli_request *request, const struct mistake *mistake)
{
    char word[CLI_SIMILAR_LIMIT + 4];
    const char *meant;

    if (mistake->why)
        return cli_request_refuse(request, "%.*s %s", mistake->length, mistake->option,
                                  mistake->why);
    snprintf(word, sizeof word, "%.*s", mistake->length, mistake->option);
    meant = similar_option(request, word);
    if (meant)
        return cli_request_refuse(request, "%.*s is no option; did you mean --%s?", mistake->length,
                                  mistake->option, meant);
    return cli_request_refuse(request, "%.*s is no option; see flagver --help", mistake->length,
                              mistake->option);
}

/* "-5" is none: no option begins with a digit. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && !strchr("0123456789.", word[1]);
}

/* Takes the option at argv[0] and perhaps its value behind it; returns how many words that were. */
static int take_option(struct cli_request *request, char **argv, struct mistake *mistake)
{
    const char *name = argv[0] + 2, *equals = strchr(argv[0], '='), *value;
    size_t length = equals && equals > name ? (size_t)(equals - name) : strlen(name);
    int option = argv[0][1] == '-' ? option_of(name, length) : -1;

    if (strcmp(argv[0], "-h") == 0)
        option = CLI_HELP;
    if (mistake->option)
        return 1;
    mistake->option = argv[0];
    mistake->length = (int)length + 2;
    if (option < 0)
        return 1;
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
    if (option == CLI_CHECK)
        request->checks[request->check_count++] = value;
    if (option == CLI_FIELD)
        request->fields[request->field_count++] = value;
    return cli_options[option].value && !equals ? 2 : 1;
}

static int check_options(const struct cli_request *request)
{
    size_t role, check;
    int i;

    for (i = 0; i < CLI_OPTION_COUNT; i++)
        if (request->values[i] && !takes(request, i))
            return cli_request_refuse(request, "takes no --%s", cli_options[i].name);
    if (request->values[CLI_ACTOR] && !*request->values[CLI_ACTOR])
        return cli_request_refuse(request, "--actor is empty");
    if (request->values[CLI_TENANT] && !*request->values[CLI_TENANT])
        return cli_request_refuse(request, "--tenant is empty");
    for (role = 0; role < request->role_count; role++)
        if (!*request->roles[role])
            return cli_request_refuse(request, "--role is empty");
    for (check = 0; check < request->check_count; check++)
        if (!*request->checks[check])
            return cli_request_refuse(request, "--check is empty");
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
        if (memchr(word, '.', length))
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
    request->checks = cli_allocate((size_t)argc * sizeof *request->checks);
    request->fields = cli_allocate((size_t)argc * sizeof *request->fields);
    while (i < argc) {
        if (only_operands || !is_option(argv[i]))
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
        return refuse_option(request, &mistake);
    if (!request->command && request->operand_count)
        return refuse_command(request);
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
    free(request->checks);
    free(request->fields);
    request->roles = request->checks = request->fields = NULL;
}

const char *cli_request_operand(const struct cli_request *request, int index)
{
    return index < request->operand_count ? request->operands[index] : NULL;
}
