/*
 * Migrations: how they stand, and to which stage they are to go. The program has none of their
 * sides: it changes the record, and applications that have them carry it out.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep() */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "datetime.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"
#include "table.h"

#define WAIT_S 5
#define WAIT_LIMIT_S 86400
#define PAUSE_MS 100

/* What the commands about one migration begin with. */
struct steering {
    const struct cli_request *request;
    struct cli_record record;
    flagver_client *client;
    uint32_t wait_s;
};

static int read_wait(const struct cli_request *request, uint32_t otherwise, uint32_t *ret_wait_s)
{
    const char *text = request->values[CLI_WAIT];

    *ret_wait_s = otherwise;
    if (text && (!cli_parse_number(text, 0, ret_wait_s) || *ret_wait_s > WAIT_LIMIT_S))
        return cli_request_refuse(request, "--wait %s is no number of seconds from 0 to %d", text,
                                  WAIT_LIMIT_S);
    return 0;
}

static int begin(struct steering *steering, const struct cli_request *request, uint32_t wait_s)
{
    int r;

    *steering = (struct steering){ .request = request };
    cli_record_of(request, &steering->record);
    r = read_wait(request, wait_s, &steering->wait_s);
    return r ? r : cli_store_read(request, NULL, &steering->client);
}

static int fail(const struct steering *steering, const flagver_error *err)
{
    if (err->code == FLAGVER_ENOTFOUND)
        return cli_record_missing(steering->request, steering->client, &steering->record, 0);
    return cli_fail(steering->record.key, err);
}

/* ---- how it stands ---- */

/* The library's document. Freed with json_decref(). */
static int read_status(flagver_client *client, const char *name, json_t **ret_status,
                       flagver_error *err)
{
    json_error_t error;
    char *json;
    int r = flagver_migration_status(client, name, &json, err);

    if (r < 0)
        return r;
    *ret_status = cli_json_read(json, strlen(json), 0, &error);
    flagver_string_free(json);
    return 0;
}

static const char *text_of(const json_t *status, const char *name)
{
    const char *text = json_string_value(json_object_get(status, name));

    return text ? text : "";
}

static bool is_so(const json_t *status, const char *name)
{
    return json_is_true(json_object_get(status, name));
}

static double number_of(const json_t *status, const char *name)
{
    return json_number_value(json_object_get(status, name));
}

/* "ramp 25 %" */
static void print_stage(const char *stage, double percentage)
{
    cli_print("%s", stage);
    if (strcmp(stage, "ramp") == 0)
        cli_print(" %.10g %%", percentage);
}

static void print_carried_out(const json_t *status)
{
    if (*text_of(status, "stage"))
        print_stage(text_of(status, "stage"), number_of(status, "percentage"));
    else
        cli_print("none yet");
}

static void print_asked(const json_t *status)
{
    print_stage(text_of(status, "asked"), number_of(status, "asked_percentage"));
    cli_print(", version %.0f", number_of(status, "version"));
}

static void print_since(const json_t *status)
{
    json_int_t since = json_integer_value(json_object_get(status, "since"));
    char time[CLI_DATETIME_SIZE];

    if (!since)
        return;
    cli_datetime_print(since, time);
    cli_print(", since %s", time);
}

/* "7 s", "12 min", "3 h" */
static void write_span(char *out, size_t size, double seconds)
{
    if (seconds < 120)
        snprintf(out, size, "%.0f s", seconds);
    else if (seconds < 7200)
        snprintf(out, size, "%.0f min", seconds / 60);
    else
        snprintf(out, size, "%.0f h", seconds / 3600);
}

#define PASSAGE_SIZE 200

/*
 * "1200 of about 5000 records, 512 a second, 7 s left"; "": there is no copy, or comparison, of which that
 * has to be said.
 */
static void describe_passage(const json_t *passage, char out[PASSAGE_SIZE])
{
    char total[48] = "", left[48] = "", span[24], differ[48] = "";
    size_t length;
    bool done = json_is_object(passage) && is_so(passage, "done");

    out[0] = '\0';
    if (!json_is_object(passage) ||
        (done && number_of(passage, "differences") + number_of(passage, "left_out") == 0))
        return;
    if (number_of(passage, "total") > 0 && !done)
        snprintf(total, sizeof total, " of about %.0f", number_of(passage, "total"));
    if (json_is_number(json_object_get(passage, "left_s")) && !done) {
        write_span(span, sizeof span, number_of(passage, "left_s"));
        snprintf(left, sizeof left, ", %s left", span);
    }
    if (number_of(passage, "differences") > 0)
        snprintf(differ, sizeof differ, ", %.0f differ", number_of(passage, "differences"));
    snprintf(out, PASSAGE_SIZE, "%.0f%s records, %.0f a second%s%s", number_of(passage, "records"),
             total, number_of(passage, "per_second"), left, differ);
    length = strlen(out);
    if (number_of(passage, "left_out") > 0)
        snprintf(out + length, PASSAGE_SIZE - length, ", %.0f left out",
                 number_of(passage, "left_out"));
}

static void print_passed(const json_t *status, const char *what, const char *name)
{
    char passage[PASSAGE_SIZE];

    describe_passage(json_object_get(status, name), passage);
    cli_print("\n%-10s %s%s%s", what, is_so(status, what) ? "yes" : "no", *passage ? ", " : "",
              passage);
}

static void print_status(const json_t *status)
{
    cli_print("stage      ");
    print_carried_out(status);
    print_since(status);
    cli_print("\nasked for  ");
    print_asked(status);
    if (!is_so(status, "settled"))
        cli_print_styled(CLI_YELLOW, ", not carried out yet");
    cli_print("\nbelieved   %s", text_of(status, "believed"));
    print_passed(status, "copied", "copying");
    print_passed(status, "verified", "comparing");
    cli_print("\ncompared   %.0f reads, %.0f agree", number_of(status, "compared"),
              number_of(status, "matched"));
    if (number_of(status, "compared") > 0)
        cli_print(", at least %.2f %% do", number_of(status, "match_rate_at_least") * 100);
    cli_print("\n");
}

/* As the library says it: its numbers stay as they are. */
static int print_document(const struct steering *steering)
{
    flagver_error error;
    char *json;

    if (flagver_migration_status(steering->client, steering->record.key, &json, &error) < 0)
        return fail(steering, &error);
    cli_print("%s\n", json);
    flagver_string_free(json);
    return CLI_DONE;
}

static int show_status(const struct steering *steering)
{
    flagver_error error;
    json_t *status;

    if (steering->request->values[CLI_JSON])
        return print_document(steering);
    if (read_status(steering->client, steering->record.key, &status, &error) < 0)
        return fail(steering, &error);
    print_status(status);
    json_decref(status);
    return CLI_DONE;
}

int cli_route_status(const struct cli_request *request)
{
    struct steering steering;
    int r = begin(&steering, request, 0);

    if (r == 0)
        r = show_status(&steering);
    flagver_close(steering.client);
    return r;
}

/* ---- all of them ---- */

struct listing {
    const struct steering *steering;
    struct cli_table table;
    int result; /* a code: what ended it, told in err */
    flagver_error *err;
};

static void add_stage(struct cli_table *table, const char *stage, double percentage)
{
    if (strcmp(stage, "ramp") == 0)
        cli_table_format(table, "ramp %.10g %%", percentage);
    else
        cli_table_add(table, stage);
}

static void add_row(struct cli_table *table, const char *json, const flagver_version *version)
{
    json_error_t error;
    json_t *status = cli_json_read(json, strlen(json), 0, &error);

    cli_table_add(table, version->subject);
    add_stage(table, text_of(status, "stage"), number_of(status, "percentage"));
    add_stage(table, text_of(status, "asked"), number_of(status, "asked_percentage"));
    cli_table_add(table, text_of(status, "believed"));
    cli_table_format(table, "%u", (unsigned)version->no);
    cli_table_add_since(table, version);
    cli_table_add(table, version->created_by);
    json_decref(status);
}

static bool list_one(void *data, const flagver_version *version)
{
    struct listing *listing = data;
    char *json;
    int r;

    r = flagver_migration_status(listing->steering->client, version->subject, &json, listing->err);
    if (r == FLAGVER_ENOTFOUND) /* deleted meanwhile */
        return true;
    listing->result = r;
    if (r < 0)
        return false;
    if (listing->steering->request->values[CLI_JSON])
        cli_print("%s\n", json);
    else
        add_row(&listing->table, json, version);
    flagver_string_free(json);
    return true;
}

static int list(const struct steering *steering)
{
    static const char *const heading[] = { "MIGRATION", "STAGE", "ASKED FOR", "BELIEVED",
                                           "NO",        "SINCE", "BY",        NULL };
    flagver_list_options options = { .size = sizeof options };
    flagver_error error;
    struct listing listing = { .steering = steering, .err = &error };
    int r;

    cli_table_add_heading(&listing.table, heading);
    r = flagver_version_list(steering->client, FLAGVER_PHASE_MIGRATION, &options, list_one,
                             &listing, &error);
    cli_table_print(&listing.table);
    if (r == 0)
        r = listing.result;
    return r < 0 ? fail(steering, &error) : CLI_DONE;
}

int cli_route_list(const struct cli_request *request)
{
    struct steering steering;
    int r = begin(&steering, request, 0);

    if (r == 0)
        r = list(&steering);
    flagver_close(steering.client);
    return r;
}

/* ---- from stage to stage ---- */

/* A change of stage; or all the way back, with `stage` 0. */
struct change {
    struct steering steering;
    flagver_route_change how;
    int stage;
    bool keeps_share;
};

/* Who asks for the stage that it is in does not ask for all reads to go back. */
static int keep_share(struct change *change, flagver_error *err)
{
    json_t *status = NULL;
    int r = read_status(change->steering.client, change->steering.record.key, &status, err);

    if (r == 0 && strcmp(text_of(status, "asked"), "ramp") == 0)
        change->how.percentage = number_of(status, "asked_percentage");
    json_decref(status);
    return r;
}

static int make(struct change *change, flagver_error *err)
{
    const struct steering *steering = &change->steering;
    struct cli_actor who;
    int r;

    cli_store_actor(steering->request, &who);
    r = change->keeps_share ? keep_share(change, err) : 0;
    if (r < 0)
        return r;
    if (!change->stage)
        return flagver_migration_rollback(steering->client, steering->record.key, &who.actor,
                                          &change->how, err);
    return flagver_migration_stage(steering->client, steering->record.key, &who.actor,
                                   change->stage, &change->how, err);
}

struct pending {
    bool as_json;
    bool found;
};

static bool print_if_pending(void *data, const flagver_version *version)
{
    struct pending *pending = data;

    pending->found = version->state == FLAGVER_STATE_SUBMITTED;
    if (!pending->found)
        return false;
    if (pending->as_json) {
        cli_print_document(json_pack("{s:o, s:I, s:o}", "migration",
                                     cli_json_text(version->subject), "no", (json_int_t)version->no,
                                     "state", cli_json_text(flagver_state_name(version->state))));
        return false;
    }
    cli_print_name(version->subject);
    cli_print(": ");
    cli_print_pending(version);
    cli_print("\n");
    return false;
}

/* Where the policy asks for approval, the newest version may wait for it. */
static bool waits_for_approval(const struct steering *steering)
{
    flagver_list_options options = { .size = sizeof options, .backwards = 1, .limit = 1 };
    struct pending pending = { .as_json = steering->request->values[CLI_JSON] != NULL };

    flagver_version_history(steering->client, FLAGVER_PHASE_MIGRATION, steering->record.key,
                            &options, print_if_pending, &pending, NULL);
    return pending.found;
}

static void print_outcome(const struct steering *steering, const json_t *status)
{
    cli_print_name(steering->record.key);
    cli_print(": ");
    print_asked(status);
    cli_print("%s\n", is_so(status, "settled") ? "" : ", not carried out yet");
}

static int show_outcome(const struct change *change)
{
    const struct steering *steering = &change->steering;
    flagver_error error;
    json_t *status;

    if (change->stage && waits_for_approval(steering))
        return CLI_DONE;
    if (steering->request->values[CLI_JSON])
        return show_status(steering);
    if (read_status(steering->client, steering->record.key, &status, &error) < 0)
        return fail(steering, &error);
    print_outcome(steering, status);
    json_decref(status);
    return CLI_DONE;
}

/* A change that nobody has carried out yet is no fault of the store's. */
static int fail_busy(const struct steering *steering, const flagver_error *err)
{
    json_t *status = NULL;
    int r = cli_fail(steering->record.key, err);

    if (read_status(steering->client, steering->record.key, &status, NULL) == 0 &&
        !is_so(status, "settled"))
        r = CLI_CONFLICT;
    json_decref(status);
    return r;
}

static int carry_out(const struct cli_request *request, struct change *change)
{
    flagver_error error;
    int r = begin(&change->steering, request, WAIT_S);

    if (r == 0) {
        change->how.size = sizeof change->how;
        change->how.note = request->values[CLI_NOTE];
        change->how.forced = request->values[CLI_FORCE];
        change->how.wait_ms = change->steering.wait_s ? (int32_t)change->steering.wait_s * 1000
                                                      : -1;
        r = make(change, &error);
        if (r == FLAGVER_EBUSY)
            r = fail_busy(&change->steering, &error);
        else
            r = r < 0 ? fail(&change->steering, &error) : show_outcome(change);
    }
    flagver_close(change->steering.client);
    return r;
}

int cli_route_stage(const struct cli_request *request)
{
    const char *name = cli_request_operand(request, 1);
    struct change change = { .stage = flagver_stage_parse(name) };

    change.keeps_share = change.stage == FLAGVER_STAGE_RAMP;
    if (!change.stage) {
        cli_complain(request->command->name,
                     "%s is no stage; there are off, dualwrite, backfill, shadow, ramp, live, "
                     "rampdown, complete",
                     name);
        return CLI_INVALID;
    }
    return carry_out(request, &change);
}

int cli_route_ramp(const struct cli_request *request)
{
    const char *text = cli_request_operand(request, 1);
    struct change change = { .stage = FLAGVER_STAGE_RAMP };

    if (!cli_parse_percentage(text, &change.how.percentage)) {
        cli_complain(request->command->name, "%s is no percentage from 0 to 100", text);
        return CLI_INVALID;
    }
    return carry_out(request, &change);
}

int cli_route_rollback(const struct cli_request *request)
{
    struct change change = { .stage = 0 };

    return carry_out(request, &change);
}

/* ---- what applications have done ---- */

/* On a terminal, while nothing else is to be seen. */
static void show_progress(const struct steering *steering, const char *what, const json_t *status)
{
    const char *name = strcmp(what, "copied") == 0 ? "copying" : "comparing";
    char passage[PASSAGE_SIZE], line[PASSAGE_SIZE + 64];

    if (steering->wait_s == 0)
        return;
    describe_passage(json_object_get(status, name), passage);
    snprintf(line, sizeof line, "waits until it is %s%s%s", what, *passage ? ": " : "", passage);
    cli_progress(line);
}

/* Waits until the status says so: applications copy and verify, and leave word in the store. */
static int await(const struct steering *steering, const char *what, json_t **ret_status)
{
    int64_t deadline = cli_now() + (int64_t)steering->wait_s * 1000000;
    flagver_error error;

    for (;;) {
        if (read_status(steering->client, steering->record.key, ret_status, &error) < 0)
            return fail(steering, &error);
        if (is_so(*ret_status, what))
            return CLI_DONE;
        if (cli_now() >= deadline)
            return CLI_FOUND;
        show_progress(steering, what, *ret_status);
        json_decref(*ret_status);
        *ret_status = NULL;
        nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000L }, NULL);
    }
}

static int check(const struct cli_request *request, const char *what)
{
    struct steering steering;
    json_t *status = NULL;
    int r = begin(&steering, request, 0);

    if (r == 0)
        r = await(&steering, what, &status);
    cli_progress(NULL);
    if (status && request->values[CLI_JSON]) {
        print_document(&steering);
    } else if (status) {
        cli_print_name(steering.record.key);
        cli_print(": %s%s\n", r == CLI_DONE ? "" : "not ", what);
    }
    json_decref(status);
    flagver_close(steering.client);
    return r;
}

int cli_route_backfill(const struct cli_request *request)
{
    return check(request, "copied");
}

int cli_route_verify(const struct cli_request *request)
{
    return check(request, "verified");
}
