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
    const struct cli_request *request;
    flagver_client *client;
    const char *name;
    char *file; /* the definitions as they are */
    size_t file_length;
    const char *text; /* those that are planned for */
    size_t length;
    bool prune, keep_off, as_json;
    flagver_write_options options;

    json_t *steps; /* documents */
    json_t *kept;  /* of flags that stay switched off */
    char *adapted; /* the text in which they are off */
    int changes;   /* what apply made */
};

static int read_plan(struct plan *plan, const struct cli_request *request)
{
    int r;

    *plan = (struct plan){ .request = request,
                           .prune = request->values[CLI_PRUNE] != NULL,
                           .keep_off = request->values[CLI_KEEP_OFF] != NULL,
                           .as_json = request->values[CLI_JSON] != NULL };
    r = cli_read_operand(cli_request_operand(request, 0), &plan->name, &plan->file,
                         &plan->file_length);
    if (r)
        return r;
    plan->steps = json_array();
    plan->kept = json_array();
    if (!plan->steps || !plan->kept)
        cli_out_of_memory();
    return 0;
}

static void clear_plan(struct plan *plan)
{
    flagver_close(plan->client);
    json_decref(plan->steps);
    json_decref(plan->kept);
    free(plan->adapted);
    free(plan->file);
}

/* ---- what was switched off ---- */

/* Who switched a flag off: the author of the first version since which it is off. */
struct switching {
    bool was_on;
    uint32_t no;
    char by[FLAGVER_ACTOR_LIMIT + 1];
    int64_t at;
};

static bool look_back(void *data, const flagver_version *version)
{
    struct switching *switching = data;
    json_t *definition;
    bool is_off;

    if (version->state != FLAGVER_STATE_APPROVED && version->state != FLAGVER_STATE_SUPERSEDED)
        return true;
    definition = cli_version_definition(version);
    is_off = json_is_false(json_object_get(definition, "enabled"));
    if (is_off) {
        switching->no = version->no;
        switching->at = version->decided_at;
        snprintf(switching->by, sizeof switching->by, "%s", version->created_by);
    }
    switching->was_on = definition && !is_off;
    json_decref(definition);
    return is_off;
}

/* Does the step switch on a flag that is off? */
static bool switches_on(const flagver_plan_step *step)
{
    const char *line = step->difference;

    if (strcmp(step->phase, FLAGVER_PHASE_FLAG) != 0 || step->action != FLAGVER_PLAN_CHANGE)
        return false;
    for (; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, "~ /enabled: false", 17) == 0 ||
            strncmp(line, "- /enabled: false", 17) == 0)
            return true;
    return false;
}

/* Puts it into the step; null for a flag that was never on: nobody has switched that off. */
static int find_switching(const struct plan *plan, json_t *step, flagver_error *err)
{
    const char *key = json_string_value(json_object_get(step, "flag"));
    flagver_list_options options = { .size = sizeof options, .payload = 1, .backwards = 1 };
    struct switching switching = { .was_on = false };
    json_t *off = json_null();
    int r;

    r = flagver_version_history(plan->client, FLAGVER_PHASE_FLAG, key, &options, look_back,
                                &switching, err);
    if (r < 0)
        return r;
    if (switching.was_on)
        off = json_pack("{s:I, s:o, s:o}", "no", (json_int_t)switching.no, "by",
                        cli_json_text(switching.by), "at", cli_json_time(switching.at));
    cli_json_set(step, "switchedOff", off);
    return 0;
}

/* ---- what would change ---- */

static const struct {
    const char *name;
    char sign;
    enum cli_style style;
} actions[] = {
    [FLAGVER_PLAN_CREATE] = { "create", '+', CLI_GREEN },
    [FLAGVER_PLAN_CHANGE] = { "change", '~', CLI_YELLOW },
    [FLAGVER_PLAN_DELETE] = { "delete", '-', CLI_RED },
};

/* What a record is called, and the member of a step that holds its name. */
static const struct {
    const char *phase, *name;
} kinds[] = {
    { FLAGVER_PHASE_FLAG, "flag" },
    { FLAGVER_PHASE_SEGMENT, "segment" },
    { FLAGVER_PHASE_PHASE, "phase" },
    { FLAGVER_PHASE_ASSIGNMENT, "assignment" },
};

static const char *kind_of_phase(const char *phase)
{
    size_t i = 0;

    while (strcmp(kinds[i].phase, phase) != 0)
        i++;
    return kinds[i].name;
}

/* Which of the kinds a step is about. */
static size_t kind_of(const json_t *step)
{
    size_t i = 0;

    while (!json_object_get(step, kinds[i].name))
        i++;
    return i;
}

static void collect_step(void *data, const flagver_plan_step *step)
{
    struct plan *plan = data;
    json_t *off = switches_on(step) ? json_true() : json_null(); /* by whom is found out later */

    cli_json_append(plan->steps,
                    json_pack("{s:s, s:o, s:o, s:o, s:o}", "action", actions[step->action].name,
                              kind_of_phase(step->phase), cli_json_text(step->key), "no",
                              cli_json_number(step->current_no), "changes",
                              cli_json_lines(step->difference), "switchedOff", off));
}

/* Returns how many steps there are, or a code. */
static int collect(struct plan *plan, flagver_error *err)
{
    json_t *step;
    size_t i;
    int count, r = 0;

    json_array_clear(plan->steps);
    count = flagver_flags_plan(plan->client, plan->text, plan->length, plan->name, plan->prune,
                               collect_step, plan, err);
    json_array_foreach(plan->steps, i,
                       step) if (r == 0 && json_is_true(json_object_get(step, "switchedOff")))
        r = find_switching(plan, step, err);
    return r < 0 ? r : count;
}

/* The next step that switches on what somebody has switched off. */
static const json_t *next_switching(const struct plan *plan, size_t *i)
{
    const json_t *step;

    while ((step = json_array_get(plan->steps, (*i)++)))
        if (json_is_object(json_object_get(step, "switchedOff")))
            return step;
    return NULL;
}

/* The definitions, but with those flags off. */
static void adapt(struct plan *plan)
{
    json_error_t place;
    json_t *file = cli_json_read(plan->file, plan->file_length, JSON_REJECT_DUPLICATES, &place),
           *flags;
    const json_t *step;
    const char *key;
    size_t i = 0;

    flags = json_object_get(file, "flags");
    while ((step = next_switching(plan, &i))) {
        key = json_string_value(json_object_get(step, "flag"));
        cli_json_set(json_object_get(flags, key), "enabled", json_false());
        cli_json_append(plan->kept, json_pack("{s:s, s:O}", "flag", key, "switchedOff",
                                              json_object_get(step, "switchedOff")));
    }
    plan->text = plan->adapted = cli_json_write(file, JSON_COMPACT);
    plan->length = strlen(plan->text);
    json_decref(file);
}

/* From the file as it is, each time anew. Returns how many steps there are, or a code. */
static int make_plan(struct plan *plan, flagver_error *err)
{
    size_t i = 0;
    int r;

    json_array_clear(plan->kept);
    free(plan->adapted);
    plan->adapted = NULL;
    plan->text = plan->file;
    plan->length = plan->file_length;
    r = collect(plan, err);
    if (r < 0 || !plan->keep_off || !next_switching(plan, &i))
        return r;
    adapt(plan);
    return collect(plan, err);
}

/* ---- what is printed of it ---- */

static int action_of(const json_t *step)
{
    const char *name = json_string_value(json_object_get(step, "action"));
    int action = FLAGVER_PLAN_CREATE;

    while (action < FLAGVER_PLAN_DELETE && strcmp(actions[action].name, name) != 0)
        action++;
    return action;
}

static void print_switching(const char *key, const json_t *off, const char *indent,
                            const char *outcome)
{
    char *name = cli_readable(key),
         *by = cli_readable(json_string_value(json_object_get(off, "by")));

    cli_print_styled(CLI_RED, "%s%s was switched off by %s at %s; %s", indent, name, by,
                     json_string_value(json_object_get(off, "at")), outcome);
    cli_print("\n");
    free(by);
    free(name);
}

/* After apply: a change that is only proposed. */
static void print_waiting(const json_t *step)
{
    const json_int_t no = json_integer_value(json_object_get(step, "waits"));
    const size_t kind = kind_of(step);
    const flagver_version version = { .phase = kinds[kind].phase,
                                      .subject = json_string_value(
                                          json_object_get(step, kinds[kind].name)),
                                      .no = (uint32_t)no,
                                      .state = FLAGVER_STATE_SUBMITTED };

    if (!no)
        return;
    cli_print("    ");
    cli_print_pending(&version);
    cli_print("\n");
}

static void print_step(const json_t *step)
{
    const char *kind = kinds[kind_of(step)].name;
    const char *key = json_string_value(json_object_get(step, kind));
    const json_t *line;
    const json_t *off = json_object_get(step, "switchedOff"), *no = json_object_get(step, "no");
    int action = action_of(step);
    char *name = cli_readable(key);
    size_t i;

    cli_print_styled(actions[action].style, "%c %s %s", actions[action].sign, kind, name);
    free(name);
    if (json_is_integer(no))
        cli_print(" (version %" JSON_INTEGER_FORMAT ")", json_integer_value(no));
    cli_print("\n");
    /* What goes is known from its history. */
    if (action != FLAGVER_PLAN_DELETE)
        json_array_foreach(json_object_get(step, "changes"), i, line)
            cli_print_changes("    ", json_string_value(line));
    if (json_is_object(off))
        print_switching(key, off, "    ", "this switches it on");
    print_waiting(step);
}

static void print_steps(const struct plan *plan)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(plan->steps, i, entry) print_step(entry);
    json_array_foreach(plan->kept, i, entry)
        print_switching(json_string_value(json_object_get(entry, "flag")),
                        json_object_get(entry, "switchedOff"), "", "it stays off");
}

/* ---- plan ---- */

static void conclude(const struct plan *plan)
{
    json_int_t counts[FLAGVER_PLAN_DELETE + 1] = { 0 };
    const json_t *step;
    size_t i;

    json_array_foreach(plan->steps, i, step) counts[action_of(step)]++;
    if (plan->as_json) {
        cli_print_document(
            json_pack("{s:o, s:I, s:I, s:I, s:O, s:O}", "file", cli_json_text(plan->name), "create",
                      counts[FLAGVER_PLAN_CREATE], "change", counts[FLAGVER_PLAN_CHANGE], "delete",
                      counts[FLAGVER_PLAN_DELETE], "steps", plan->steps, "keptOff", plan->kept));
        return;
    }
    print_steps(plan);
    cli_print("%" JSON_INTEGER_FORMAT " to create, %" JSON_INTEGER_FORMAT
              " to change, %" JSON_INTEGER_FORMAT " to delete\n",
              counts[FLAGVER_PLAN_CREATE], counts[FLAGVER_PLAN_CHANGE],
              counts[FLAGVER_PLAN_DELETE]);
}

int cli_flag_plan(const struct cli_request *request)
{
    flagver_error error;
    struct plan plan;
    int r = read_plan(&plan, request);

    if (r)
        return r;
    r = cli_store_read(request, NULL, &plan.client);
    if (r == 0) {
        r = make_plan(&plan, &error);
        if (r >= 0)
            conclude(&plan);
        r = r < 0 ? cli_fail(NULL, &error) : r ? CLI_FOUND : CLI_DONE;
    }
    clear_plan(&plan);
    return r;
}

/* ---- apply and import ---- */

static int busy(flagver_error *err)
{
    *err = (flagver_error){ .code = FLAGVER_EBUSY };
    snprintf(err->message, sizeof err->message, "others change the same flags all the time");
    return err->code;
}

/*
 * What is made is what is planned after it: by then nobody else can change the records, and
 * what the transaction wrote is not seen yet.
 */
static int run(void *data, flagver_txn *txn, flagver_error *err)
{
    struct plan *plan = data;
    size_t i = 0;
    int r;

    r = make_plan(plan, err);
    if (r >= 0)
        r = flagver_flags_apply(txn, plan->text, plan->length, plan->name, plan->prune,
                                &plan->options, err);
    if (r < 0)
        return r;
    plan->changes = r;
    r = collect(plan, err);
    if (r < 0)
        return r;
    return plan->keep_off && next_switching(plan, &i) ? busy(err) : 0;
}

static bool look_at_last(void *data, const flagver_version *version)
{
    bool waits = version->state == FLAGVER_STATE_SUBMITTED;

    cli_json_set(data, "waits", cli_json_number(waits ? version->no : 0));
    return false;
}

/*
 * Which changes are only proposed: they have made the last versions of their records. Returns how
 * many that are.
 */
static int find_waiting(const struct plan *plan)
{
    flagver_list_options options = { .size = sizeof options, .backwards = 1 };
    int count = 0;
    json_t *step;
    size_t i, kind;

    json_array_foreach(plan->steps, i, step)
    {
        kind = kind_of(step);
        flagver_version_history(plan->client, kinds[kind].phase,
                                json_string_value(json_object_get(step, kinds[kind].name)),
                                &options, look_at_last, step, NULL);
        count += json_is_integer(json_object_get(step, "waits"));
    }
    return count;
}

/*
 * Under an idempotency key that was used before nothing was made now, whatever there is to do. What
 * waits is still to do.
 */
static void drop_repetition(struct plan *plan, int waiting)
{
    if (!plan->request->values[CLI_IDEMPOTENCY_KEY])
        return;
    if (flagver_flags_plan(plan->client, plan->text, plan->length, plan->name, plan->prune, NULL,
                           NULL, NULL) > waiting)
        json_array_clear(plan->steps);
}

static void report(struct plan *plan)
{
    int waiting = find_waiting(plan);

    drop_repetition(plan, waiting);
    if (plan->as_json) {
        cli_print_document(json_pack("{s:o, s:i, s:O, s:O}", "file", cli_json_text(plan->name),
                                     "changes", plan->changes, "steps", plan->steps, "keptOff",
                                     plan->kept));
        return;
    }
    print_steps(plan);
    cli_print("%s: %d change%s", plan->name, plan->changes, plan->changes == 1 ? "" : "s");
    if (waiting)
        cli_print("; %d wait%s for approval", waiting, waiting == 1 ? "s" : "");
    cli_print("\n");
}

static int apply(struct plan *plan)
{
    flagver_error error;
    int r;

    r = cli_write_options(plan->request, &plan->options);
    if (r == 0)
        r = cli_store_write(plan->request, true, &plan->client);
    if (r)
        return r;
    if (cli_transact(plan->request, plan->client, run, plan, &error) < 0)
        return cli_fail(NULL, &error);
    report(plan);
    return CLI_DONE;
}

int cli_flag_apply(const struct cli_request *request)
{
    struct plan plan;
    int r = read_plan(&plan, request);

    if (r)
        return r;
    r = apply(&plan);
    clear_plan(&plan);
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
