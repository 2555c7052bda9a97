/* From one store straight into another. */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"

#define LINE_MS 1000      /* between lines about a tenant */
#define COMPLAINT_MS 5000 /* between complaints about a store that is waited for */
#define ECHO_MS 500       /* both a process and its group may be sent one signal */

/* What was said of a tenant last. */
struct said {
    char *tenant;
    uint64_t copied, leaves;
    int64_t at_ms;
    struct said *next;
};

struct copy {
    const struct cli_request *request;
    bool follows;
    struct said *said;
    size_t equal;       /* so often it was all there */
    int64_t complained; /* ms */
};

/* ---- time, and the end of it ---- */

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static volatile sig_atomic_t wanted_end;
static int64_t wanted_since; /* for the handler alone */

/* The first signal ends the copy in order, one that is no echo of it the program. */
static void end(int number)
{
    if (!wanted_end) {
        wanted_since = now_ms();
        wanted_end = 1;
    } else if (now_ms() - wanted_since >= ECHO_MS) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

static void listen_to_signals(void)
{
    struct sigaction action = { .sa_handler = end };

    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- saying where it is ---- */

static struct said *find_said(struct copy *copy, const char *tenant)
{
    struct said *said = copy->said;

    while (said && strcmp(said->tenant, tenant) != 0)
        said = said->next;
    if (said)
        return said;
    said = cli_allocate(sizeof *said);
    *said = (struct said){ .tenant = cli_copy(tenant, strlen(tenant)),
                           .copied = UINT64_MAX,
                           .at_ms = -LINE_MS,
                           .next = copy->said };
    copy->said = said;
    return said;
}

static void free_said(struct said *said)
{
    struct said *next;

    for (; said; said = next) {
        next = said->next;
        free(said->tenant);
        free(said);
    }
}

static void print_state(const struct copy *copy, const flagver_copy_state *state, const char *word)
{
    bool is_equal = state->stage == FLAGVER_COPY_EQUAL;
    char root[2 * sizeof state->root + 1];

    cli_print_hex(state->root, sizeof state->root, root);
    if (copy->request->values[CLI_JSON]) {
        cli_print_document(json_pack("{s:o, s:s, s:I, s:I, s:o}", "tenant",
                                     cli_json_text(state->tenant), "stage", word, "copied",
                                     (json_int_t)state->copied, "leaves", (json_int_t)state->leaves,
                                     "root", cli_json_text(is_equal ? root : NULL)));
        return;
    }
    cli_print_name(state->tenant);
    if (is_equal)
        cli_print(": the same %" PRIu64 " leaves in both, root %s\n", state->leaves, root);
    else
        cli_print(": %" PRIu64 " leaves, %" PRIu64 " behind\n", state->copied,
                  state->leaves - state->copied);
}

/* Who follows sees each change, though not more often than there is something to be seen. */
static void say_place(struct copy *copy, const flagver_copy_state *state, const char *word)
{
    struct said *said = find_said(copy, state->tenant);

    if (now_ms() - said->at_ms < LINE_MS ||
        (said->copied == state->copied && said->leaves == state->leaves))
        return;
    said->copied = state->copied;
    said->leaves = state->leaves;
    said->at_ms = now_ms();
    print_state(copy, state, word);
}

static void say_progress(const flagver_copy_state *state)
{
    char line[200];

    snprintf(line, sizeof line, "%.100s: %" PRIu64 " of %" PRIu64 " leaves", state->tenant,
             state->copied, state->leaves);
    cli_progress(line);
}

static void say_problem(struct copy *copy, const flagver_copy_state *state)
{
    if (copy->complained && now_ms() - copy->complained < COMPLAINT_MS)
        return;
    copy->complained = now_ms();
    cli_complain(NULL, "%s; trying again", state->problem->message);
}

static bool tell(void *data, const flagver_copy_state *state)
{
    struct copy *copy = data;

    switch (state->stage) {
    case FLAGVER_COPY_EQUAL:
        cli_progress(NULL);
        print_state(copy, state, "equal");
        copy->equal++;
        break;
    case FLAGVER_COPY_FOLLOWING:
        say_place(copy, state, "following");
        break;
    case FLAGVER_COPY_WAITING:
        say_problem(copy, state);
        break;
    default:
        if (copy->follows && copy->equal)
            say_place(copy, state, "behind");
        else
            say_progress(state);
        break;
    }
    return cli_flush() && !wanted_end;
}

/* ---- the command ---- */

/* What is not there is the source: the target is made, if that is possible. */
static int fail(const char *from, const char *to, flagver_error *err)
{
    if (err->code == FLAGVER_ENOTFOUND || err->code == FLAGVER_ENOTSUP)
        return cli_fail(cli_shown(from), err);
    return cli_store_fail(to, err);
}

static int finish(const struct copy *copy, const char *from, int r)
{
    if (r > 0) {
        cli_complain(cli_shown(from),
                     "ended before everything was copied; the same command goes on");
        return CLI_FOUND;
    }
    if (!copy->equal && !copy->request->values[CLI_JSON])
        cli_print("%s: there is no tenant to be seen; --tenant names one\n", cli_shown(from));
    return CLI_DONE;
}

int cli_copy_store(const struct cli_request *request, const char *from)
{
    struct copy copy = { .request = request, .follows = request->values[CLI_FOLLOW] != NULL };
    const flagver_copy_options options = { .size = sizeof options,
                                           .tenant = cli_store_tenant(request),
                                           .follow = copy.follows,
                                           .tell = tell,
                                           .data = &copy };
    flagver_error error;
    const char *to;
    int r = cli_store_uri(request, &to);

    if (r)
        return r;
    if (strcmp(from, "memory:") == 0)
        return cli_request_refuse(request, "a store in memory ends with the program that has it");
    listen_to_signals();
    r = flagver_store_copy(from, to, &options, &error);
    cli_progress(NULL);
    free_said(copy.said);
    return r < 0 ? fail(from, to, &error) : finish(&copy, from, r);
}
