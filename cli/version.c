#include "version.h"

#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"

/* Subjects may have an '@' in them, numbers have none. */
int cli_target_read(struct cli_target *target, const struct cli_request *request)
{
    const char *text = cli_request_operand(request, 1), *at = strrchr(text, '@');

    *target = (struct cli_target){ .phase = cli_request_operand(request, 0), .name = text };
    if (!at)
        return cli_request_refuse(request, "%s names no version; %s@1 is the first", text, text);
    if (!at[1])
        return cli_request_refuse(request, "%s has no number behind the @", text);
    if (!cli_parse_number(at + 1, 1, &target->no))
        return cli_request_refuse(request, "%s is no version's number", at + 1);
    target->subject = cli_copy(text, (size_t)(at - text));
    return 0;
}

void cli_target_clear(struct cli_target *target)
{
    free(target->subject);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int cli_read_hash(const struct cli_request *request, uint8_t ret_hash[32], bool *ret_given)
{
    const char *text = request->values[CLI_HASH];
    int high, low, i;

    *ret_given = text != NULL;
    if (!text)
        return 0;
    for (i = 0; i < 32; i++, text += 2) {
        high = digit_of(text[0]);
        low = high < 0 ? -1 : digit_of(text[1]);
        if (low < 0)
            break;
        ret_hash[i] = (uint8_t)(high << 4 | low);
    }
    if (i < 32 || *text)
        return cli_request_refuse(request, "--hash %s is no contentHash: 64 hexadecimal digits",
                                  request->values[CLI_HASH]);
    return 0;
}

int cli_read_number(const struct cli_request *request, enum cli_option option, uint32_t *ret_no)
{
    const char *text = request->values[option];

    *ret_no = 0;
    if (text && !cli_parse_number(text, 1, ret_no))
        return cli_request_refuse(request, "--%s %s is no number from 1 on",
                                  cli_options[option].name, text);
    return 0;
}

struct count {
    const flagver_version *version;
    unsigned votes;
};

static bool count_vote(void *data, const flagver_vote *vote)
{
    struct count *count = data;

    count->votes += memcmp(vote->content_hash, count->version->content_hash, 32) == 0;
    return true;
}

/* How many have approved what waits for more of them; 0 also when that cannot be found out. */
static unsigned count_votes(flagver_client *client, const flagver_version *version)
{
    struct count count = { .version = version };

    if (version->state == FLAGVER_STATE_SUBMITTED)
        flagver_votes_list(client, version->phase, version->subject, version->no, count_vote,
                           &count, NULL);
    return count.votes;
}

static void print_for_people(flagver_client *client, const flagver_version *version,
                             const char *words)
{
    unsigned votes = count_votes(client, version);

    cli_print_name(version->subject);
    cli_print(": ");
    if (votes)
        cli_print("version %u has %u approval%s and waits for more", (unsigned)version->no, votes,
                  votes == 1 ? "" : "s");
    else if (!cli_print_pending(version))
        cli_print("version %u %s%s%s", (unsigned)version->no, words ? words : "is ",
                  words ? "" : flagver_state_name(version->state),
                  version->tombstone ? ": deleted" : "");
    cli_print("\n");
}

void cli_print_outcome(const struct cli_request *request, flagver_client *client,
                       const flagver_version *version, const char *words)
{
    if (request->values[CLI_JSON])
        cli_print_document(cli_version_document(NULL, version));
    else
        print_for_people(client, version, words);
}
