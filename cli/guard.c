/* Guards of schedules: looks what was tracked of rollouts, and takes them back. */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "commands.h"
#include "json.h"
#include "output.h"
#include "store.h"

#define WATCH_LIMIT_S 86400
#define REAL_DIGITS 15 /* as many as every decimal number keeps */

struct watch {
    const struct cli_request *request;
    flagver_client *client;
    struct cli_actor who;
    bool tripped;
};

/* ---- what has tripped ---- */

static void print_for_programs(const flagver_rollout_alert *alert)
{
    json_t *document = json_pack(
        "{s:o, s:s, s:f, s:f, s:I, s:f, s:f, s:b, s:o, s:o}", "flag", cli_json_text(alert->flag),
        "guard", alert->guard, "value", alert->value, "limit", alert->limit, "samples",
        (json_int_t)alert->samples, "from", alert->from, "to", alert->to, "acted", alert->acted,
        "no", alert->acted ? json_integer(alert->no) : json_null(), "why",
        cli_json_text(alert->why));
    char *text = cli_json_write(document, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));

    cli_print("%s\n", text);
    free(text);
    json_decref(document);
}

static void print_for_people(const flagver_rollout_alert *alert)
{
    cli_print_name(alert->flag);
    cli_print(": ");
    cli_print_styled(CLI_RED, "%s", alert->guard);
    cli_print(" %.4g > %.10g of %llu: ", alert->value, alert->limit,
              (unsigned long long)alert->samples);
    if (alert->acted) {
        cli_print("back from %.10g %% to %.10g %%, version %u\n", alert->from, alert->to,
                  (unsigned)alert->no);
        return;
    }
    cli_print("still at %.10g %%: ", alert->from);
    cli_print_name(alert->why);
    cli_print("\n");
}

static void print_alert(void *data, const flagver_rollout_alert *alert)
{
    struct watch *watch = data;

    watch->tripped = true;
    if (watch->request->values[CLI_JSON])
        print_for_programs(alert);
    else
        print_for_people(alert);
}

/* ---- looking ---- */

static int look(struct watch *watch, flagver_error *err)
{
    return flagver_flags_guard(watch->client, &watch->who.actor, print_alert, watch, err);
}

/* Signals that end the program wait until it rests. */
static bool rest(const sigset_t *ends, uint32_t seconds)
{
    const struct timespec time = { (time_t)seconds, 0 };

    return sigtimedwait(ends, NULL, &time) < 0;
}

/* A store that is away for a while ends no watch: what is true then is true later. */
static int watch_on(struct watch *watch, uint32_t seconds)
{
    flagver_error error;
    sigset_t ends;
    int r;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    do {
        r = flagver_client_refresh(watch->client, &error);
        if (r == 0)
            r = look(watch, &error);
        if (r < 0 && flagver_error_class(r) == FLAGVER_CLASS_MISTAKE)
            return cli_fail(NULL, &error);
        if (r < 0)
            cli_fail(NULL, &error);
    } while (cli_flush() && rest(&ends, seconds));
    return CLI_DONE;
}

static int look_once(struct watch *watch)
{
    flagver_error error;

    if (look(watch, &error) < 0)
        return cli_fail(NULL, &error);
    /* For programs nothing is nothing. */
    if (!watch->tripped && !watch->request->values[CLI_JSON] && cli_is_terminal())
        cli_print("no guard has tripped\n");
    return CLI_DONE;
}

int cli_flag_guard(const struct cli_request *request)
{
    struct watch watch = { .request = request };
    const char *text = request->values[CLI_WATCH];
    uint32_t seconds = 0;
    int r;

    if (text && (!cli_parse_number(text, 1, &seconds) || seconds > WATCH_LIMIT_S))
        return cli_request_refuse(request, "--watch %s is no number of seconds from 1 to %d", text,
                                  WATCH_LIMIT_S);
    r = cli_store_write(request, false, &watch.client);
    if (r)
        return r;
    cli_store_actor(request, &watch.who);
    r = text ? watch_on(&watch, seconds) : look_once(&watch);
    flagver_close(watch.client);
    return r == CLI_DONE && watch.tripped ? CLI_FOUND : r;
}
