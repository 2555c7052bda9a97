/* Changing one flag or segment in a store: each command is a transaction of one operation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"
#include "summary.h"

/* One operation and what it needs. */
struct change {
    int (*make)(struct change *change, flagver_txn *txn, flagver_error *err);
    struct cli_record record;
    flagver_write_options options;
    bool creates; /* it can succeed in a new store, too */

    const char *file; /* where the text comes from; NULL: no text */
    char *text;
    size_t length;
    double percentage;
    uint32_t to;
    const char *const *users;
    size_t user_count;

    uint32_t no; /* of the version that came of it */
};

static int run(void *data, flagver_txn *txn, flagver_error *err)
{
    struct change *change = data;

    return change->make(change, txn, err);
}

static int schedule(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return flagver_flag_schedule(txn, change->record.key, change->text, change->length,
                                 &change->options, &change->no, err);
}

/* ", 2 beta users, 25 %": what the flag does from now on. */
static void print_effect(const struct change *change, const flagver_version *version)
{
    json_t *definition = cli_version_definition(version);
    char summary[CLI_SUMMARY_SIZE];

    if (version->tombstone) {
        cli_print(", deleted");
    } else if (change->record.kind == &cli_flag_kind) {
        cli_summarise(definition, cli_now(), summary);
        cli_print(", ");
        cli_print_name(json_is_false(json_object_get(definition, "enabled")) ? "switched off"
                                                                             : summary);
    }
    json_decref(definition);
}

/* The change is made whether or not it can be read again: `version` may be NULL. */
static void print_for_people(const struct change *change, const flagver_version *version)
{
    cli_print_name(change->record.key);
    cli_print(": ");
    if (!version || !cli_print_pending(version)) {
        cli_print("version %u", (unsigned)change->no);
        if (version)
            print_effect(change, version);
        if (version && version->emergency) {
            cli_print(", by emergency (");
            cli_print_suggestion("review", version);
            cli_print(")");
        }
    }
    cli_print("\n");
}

static void print_change(const struct change *change, flagver_client *client, bool as_json)
{
    const struct cli_record *record = &change->record;
    flagver_version *version = NULL;
    const char *state = NULL;

    flagver_version_get(client, record->phase, record->key, change->no, &version, NULL);
    if (version)
        state = flagver_state_name(version->state);
    if (as_json)
        cli_print_document(json_pack("{s:o, s:I, s:o}", record->kind->name,
                                     cli_json_text(record->key), "no", (json_int_t)change->no,
                                     "state", cli_json_text(state)));
    else
        print_for_people(change, version);
    flagver_version_free(version);
}

static int fail(const struct cli_request *request, flagver_client *client,
                const struct change *change, const flagver_error *err)
{
    if (err->code == FLAGVER_ENOTFOUND)
        return cli_record_missing(request, client, &change->record, change->to);
    if (!change->file || err->code != FLAGVER_EPARSE)
        return cli_fail(change->record.key, err);
    /* A schedule is put into the definition, and that is looked at. */
    if (change->make == schedule && strstr(err->message, ": /schedule"))
        return cli_fail_from(change->file, err);
    return cli_fail_in(change->file, err);
}

/* Makes the change in a transaction of its own and prints what came of it. */
static int carry_out(const struct cli_request *request, struct change *change)
{
    flagver_client *client;
    flagver_error error;
    int r;

    cli_record_of(request, &change->record);
    r = cli_write_options(request, &change->options);
    if (r)
        return r;
    r = cli_store_write(request, change->creates, &client);
    if (r)
        return r;

    if (cli_transact(request, client, run, change, &error) < 0)
        r = fail(request, client, change, &error);
    else
        print_change(change, client, request->values[CLI_JSON] != NULL);
    flagver_close(client);
    return r;
}

/* ---- flags and segments ---- */

static int put(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return change->record.kind->put(txn, change->record.key, change->text, change->length,
                                    &change->options, &change->no, err);
}

int cli_record_put(const struct cli_request *request)
{
    struct change change = { .make = put, .creates = true };
    int r;

    r = cli_read_operand(cli_request_operand(request, 1), &change.file, &change.text,
                         &change.length);
    if (r)
        return r;
    r = carry_out(request, &change);
    free(change.text);
    return r;
}

static int revert(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return change->record.kind->revert(txn, change->record.key, change->to, &change->options,
                                       &change->no, err);
}

int cli_record_revert(const struct cli_request *request)
{
    const char *no = cli_request_operand(request, 1);
    struct change change = { .make = revert };

    if (!cli_parse_number(no, 1, &change.to))
        return cli_request_refuse(request, "%s is no version's number", no);
    return carry_out(request, &change);
}

static int delete (struct change *change, flagver_txn *txn, flagver_error *err)
{
    return change->record.kind->remove(txn, change->record.key, &change->options, &change->no, err);
}

int cli_record_delete(const struct cli_request *request)
{
    struct change change = { .make = delete };

    return carry_out(request, &change);
}

/* ---- flags alone ---- */

static int enable(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return flagver_flag_enable(txn, change->record.key, &change->options, &change->no, err);
}

static int disable(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return flagver_flag_disable(txn, change->record.key, &change->options, &change->no, err);
}

static int ramp(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return flagver_flag_ramp(txn, change->record.key, change->percentage, &change->options,
                             &change->no, err);
}

static int release(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return flagver_flag_release(txn, change->record.key, &change->options, &change->no, err);
}

static int beta_add(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return flagver_flag_beta_add(txn, change->record.key, change->users, change->user_count,
                                 &change->options, &change->no, err);
}

static int beta_remove(struct change *change, flagver_txn *txn, flagver_error *err)
{
    return flagver_flag_beta_remove(txn, change->record.key, change->users, change->user_count,
                                    &change->options, &change->no, err);
}

int cli_flag_enable(const struct cli_request *request)
{
    struct change change = { .make = enable };

    return carry_out(request, &change);
}

int cli_flag_disable(const struct cli_request *request)
{
    struct change change = { .make = disable };

    return carry_out(request, &change);
}

int cli_flag_ramp(const struct cli_request *request)
{
    const char *text = cli_request_operand(request, 1);
    struct change change = { .make = ramp };

    if (!cli_parse_percentage(text, &change.percentage)) {
        cli_complain(request->command->name, "%s is no percentage from 0 to 100", text);
        return CLI_INVALID;
    }
    return carry_out(request, &change);
}

int cli_flag_release(const struct cli_request *request)
{
    struct change change = { .make = release };

    return carry_out(request, &change);
}

/* All operands behind the key. */
static int carry_out_for_users(const struct cli_request *request, struct change *change)
{
    change->users = (const char *const *)request->operands + 1;
    change->user_count = (size_t)request->operand_count - 1;
    return carry_out(request, change);
}

int cli_flag_beta_add(const struct cli_request *request)
{
    struct change change = { .make = beta_add };
    int i;

    for (i = 1; i < request->operand_count; i++)
        if (!*request->operands[i])
            return cli_request_refuse(request, "a USER is empty");
    return carry_out_for_users(request, &change);
}

int cli_flag_beta_rm(const struct cli_request *request)
{
    struct change change = { .make = beta_remove };

    return carry_out_for_users(request, &change);
}

int cli_flag_schedule(const struct cli_request *request)
{
    const char *file = cli_request_operand(request, 1);
    bool clear = request->values[CLI_CLEAR] != NULL;
    struct change change = { .make = schedule };
    int r;

    if (clear == (file != NULL))
        return cli_request_refuse(request, "needs either a FILE or --clear");
    if (file) {
        r = cli_read_operand(file, &change.file, &change.text, &change.length);
        if (r)
            return r;
    }
    r = carry_out(request, &change);
    free(change.text);
    return r;
}
