/* Flags as code: a definitions file against a store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"

/* A definitions file and what is to be done with it. */
struct plan {
    const char *name;
    char *text;
    size_t length;
    bool prune, as_json;
    flagver_write_options options;

    size_t counts[FLAGVER_PLAN_DELETE + 1]; /* by action */
    json_t *steps;                          /* with as_json */
    int changes;                            /* what apply made */
};

static int read_plan(struct plan *plan, const struct cli_request *request)
{
    *plan = (struct plan){ .prune = request->values[CLI_PRUNE] != NULL,
                           .as_json = request->values[CLI_JSON] != NULL };
    return cli_read_operand(cli_request_operand(request, 0), &plan->name, &plan->text,
                            &plan->length);
}

/* ---- plan ---- */

static const struct {
    const char *name;
    char sign;
    enum cli_style style;
} actions[] = {
    [FLAGVER_PLAN_CREATE] = { "create", '+', CLI_GREEN },
    [FLAGVER_PLAN_CHANGE] = { "change", '~', CLI_YELLOW },
    [FLAGVER_PLAN_DELETE] = { "delete", '-', CLI_RED },
};

static void collect_step(struct plan *plan, const flagver_plan_step *step)
{
    json_t *object = json_pack("{s:s, s:o, s:o, s:o}", "action", actions[step->action].name,
                               step->segment ? "segment" : "flag", cli_json_text(step->key), "no",
                               cli_json_number(step->current_no), "changes",
                               cli_json_lines(step->difference));

    cli_json_append(plan->steps, object);
}

static void take_step(void *data, const flagver_plan_step *step)
{
    struct plan *plan = data;
    char *key;

    plan->counts[step->action]++;
    if (plan->as_json) {
        collect_step(plan, step);
        return;
    }
    key = cli_readable(step->key);
    cli_print_styled(actions[step->action].style, "%c %s %s", actions[step->action].sign,
                     step->segment ? "segment" : "flag", key);
    if (step->current_no)
        cli_print(" (version %u)", (unsigned)step->current_no);
    cli_print("\n");
    /* What goes is known from its history. */
    if (step->action != FLAGVER_PLAN_DELETE)
        cli_print_changes("    ", step->difference);
    free(key);
}

static void conclude(struct plan *plan)
{
    if (plan->as_json)
        cli_print_document(json_pack("{s:o, s:I, s:I, s:I, s:O}", "file", cli_json_text(plan->name),
                                     "create", (json_int_t)plan->counts[FLAGVER_PLAN_CREATE],
                                     "change", (json_int_t)plan->counts[FLAGVER_PLAN_CHANGE],
                                     "delete", (json_int_t)plan->counts[FLAGVER_PLAN_DELETE],
                                     "steps", plan->steps));
    else
        cli_print("%zu to create, %zu to change, %zu to delete\n",
                  plan->counts[FLAGVER_PLAN_CREATE], plan->counts[FLAGVER_PLAN_CHANGE],
                  plan->counts[FLAGVER_PLAN_DELETE]);
}

static int make_plan(const struct cli_request *request, struct plan *plan)
{
    flagver_client *client;
    flagver_error error;
    int r = cli_store_read(request, NULL, &client);

    if (r)
        return r;
    plan->steps = json_array();
    r = flagver_flags_plan(client, plan->text, plan->length, plan->name, plan->prune, take_step,
                           plan, &error);
    if (r >= 0)
        conclude(plan);
    json_decref(plan->steps);
    flagver_close(client);
    if (r < 0)
        return cli_fail(NULL, &error);
    return r ? CLI_FOUND : CLI_DONE;
}

int cli_flag_plan(const struct cli_request *request)
{
    struct plan plan;
    int r = read_plan(&plan, request);

    if (r)
        return r;
    r = make_plan(request, &plan);
    free(plan.text);
    return r;
}

/* ---- apply and import ---- */

static int run(void *data, flagver_txn *txn, flagver_error *err)
{
    struct plan *plan = data;
    int r = flagver_flags_apply(txn, plan->text, plan->length, plan->name, plan->prune,
                                &plan->options, err);

    plan->changes = r;
    return r < 0 ? r : 0;
}

static int apply(const struct cli_request *request, struct plan *plan)
{
    flagver_client *client;
    flagver_error error;
    int r = cli_store_write(request, true, &client);

    if (r)
        return r;
    r = cli_write_options(request, &plan->options);
    if (r == 0 && cli_transact(request, client, run, plan, &error) < 0)
        r = cli_fail(NULL, &error);
    flagver_close(client);
    if (r)
        return r;

    if (plan->as_json)
        cli_print_document(
            json_pack("{s:o, s:i}", "file", cli_json_text(plan->name), "changes", plan->changes));
    else
        cli_print("%s: %d change%s\n", plan->name, plan->changes, plan->changes == 1 ? "" : "s");
    return CLI_DONE;
}

int cli_flag_apply(const struct cli_request *request)
{
    struct plan plan;
    int r = read_plan(&plan, request);

    if (r)
        return r;
    r = apply(request, &plan);
    free(plan.text);
    return r;
}

/* ---- export ---- */

int cli_flag_export(const struct cli_request *request)
{
    flagver_client *client;
    flagver_error error;
    char *json;
    int r = cli_store_read(request, NULL, &client);

    if (r)
        return r;
    r = flagver_flags_export(client, &json, &error);
    flagver_close(client);
    if (r < 0)
        return cli_fail(NULL, &error);

    cli_write(json, strlen(json));
    flagver_string_free(json);
    return CLI_DONE;
}
