/* What becomes of a version: each command is a transaction of one operation. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "input.h"
#include "output.h"
#include "store.h"
#include "version.h"

/* One operation and what it needs. */
struct writing {
    int (*make)(struct writing *writing, flagver_txn *txn, flagver_error *err);
    const struct cli_request *request;
    struct cli_target target;
    bool creates;      /* it can succeed in a new store, too */
    const char *words; /* what is said of a version that is in force then; NULL: its state */
    uint32_t flags;    /* of the options */
    flagver_write_options options;
    uint8_t hash[32];

    const char *file; /* where the content comes from; NULL: none */
    char *text;
    size_t length;
    /* one of these, of the operations that have the same form */
    int (*move)(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                const flagver_write_options *options, flagver_version **ret_version,
                flagver_error *err);
    int (*begin)(flagver_txn *txn, const char *phase, const char *subject, const char *json,
                 size_t length, const flagver_write_options *options, flagver_version **ret_version,
                 flagver_error *err);

    flagver_version *version; /* what came of it */
};

/* It may have been made before, in a transaction that was run again. */
static int run(void *data, flagver_txn *txn, flagver_error *err)
{
    struct writing *writing = data;

    flagver_version_free(writing->version);
    writing->version = NULL;
    return writing->make(writing, txn, err);
}

static int read_options(struct writing *writing)
{
    const struct cli_request *request = writing->request;
    flagver_write_options *options = &writing->options;
    bool has_hash;
    int r;

    r = cli_write_options(request, options);
    if (r == 0)
        r = cli_read_number(request, CLI_PARENT, &options->parent_no);
    if (r == 0)
        r = cli_read_number(request, CLI_BASELINE, &options->baseline_no);
    if (r == 0)
        r = cli_read_hash(request, writing->hash, &has_hash);
    if (r)
        return r;
    options->flags |= writing->flags;
    if (has_hash)
        options->content_hash = writing->hash;
    return 0;
}

static int fail(const struct writing *writing, const flagver_error *err)
{
    if (writing->file && (err->code == FLAGVER_EPARSE || err->code == FLAGVER_EVALIDATION))
        return cli_fail_in(writing->file, err);
    return cli_fail(writing->target.name, err);
}

/* Makes it in a transaction of its own and prints what came of it. Frees what `writing` holds. */
static int carry_out(struct writing *writing)
{
    flagver_client *client = NULL;
    flagver_error error;
    int r;

    r = read_options(writing);
    if (r == 0)
        r = cli_store_write(writing->request, writing->creates, &client);
    if (r == 0 && cli_transact(writing->request, client, run, writing, &error) < 0)
        r = fail(writing, &error);
    else if (r == 0)
        cli_print_outcome(writing->request, client, writing->version, writing->words);

    flagver_version_free(writing->version);
    flagver_close(client);
    free(writing->text);
    cli_target_clear(&writing->target);
    return r;
}

/* ---- new versions ---- */

static int begin(struct writing *writing, flagver_txn *txn, flagver_error *err)
{
    return writing->begin(txn, writing->target.phase, writing->target.subject, writing->text,
                          writing->length, &writing->options, &writing->version, err);
}

static int read_content(struct writing *writing, const char *file)
{
    return cli_read_operand(file, &writing->file, &writing->text, &writing->length);
}

/* Into a phase, which has to be there: so has the store. */
static int carry_out_beginning(struct writing *writing, const char *phase, const char *subject,
                               const char *file)
{
    int r = read_content(writing, file);

    if (r)
        return r;
    writing->make = begin;
    writing->target = (struct cli_target){ .phase = phase,
                                           .subject = cli_copy(subject, strlen(subject)),
                                           .name = subject };
    return carry_out(writing);
}

int cli_version_create(const struct cli_request *request)
{
    struct writing writing = { .request = request,
                               .begin = request->values[CLI_SUBMIT] ? flagver_version_put
                                                                    : flagver_version_create,
                               .words = "is in force" };

    return carry_out_beginning(&writing, cli_request_operand(request, 0),
                               cli_request_operand(request, 1), cli_request_operand(request, 2));
}

int cli_version_record(const struct cli_request *request)
{
    struct writing writing = { .request = request, .begin = flagver_version_record };

    return carry_out_beginning(&writing, cli_request_operand(request, 0),
                               cli_request_operand(request, 1), cli_request_operand(request, 2));
}

int cli_version_put(const struct cli_request *request, const char *phase, const char *subject,
                    const char *file)
{
    struct writing writing = {
        .request = request, .begin = flagver_version_put, .creates = true, .words = "is in force"
    };

    return carry_out_beginning(&writing, phase, subject, file);
}

static int remove_record(struct writing *writing, flagver_txn *txn, flagver_error *err)
{
    return flagver_version_remove(txn, writing->target.phase, writing->target.subject,
                                  &writing->options, &writing->version, err);
}

int cli_version_remove(const struct cli_request *request)
{
    const char *subject = cli_request_operand(request, 1);
    struct writing writing = { .request = request,
                               .make = remove_record,
                               .target = { .phase = cli_request_operand(request, 0),
                                           .subject = cli_copy(subject, strlen(subject)),
                                           .name = subject },
                               .words = "is in force" };

    return carry_out(&writing);
}

/* ---- versions that are there ---- */

static int edit(struct writing *writing, flagver_txn *txn, flagver_error *err)
{
    return flagver_version_edit(txn, writing->target.phase, writing->target.subject,
                                writing->target.no, writing->text, writing->length,
                                &writing->options, &writing->version, err);
}

int cli_version_edit(const struct cli_request *request)
{
    struct writing writing = { .request = request, .make = edit };
    int r;

    r = cli_target_read(&writing.target, request);
    if (r == 0)
        r = read_content(&writing, cli_request_operand(request, 2));
    if (r == 0)
        return carry_out(&writing);
    cli_target_clear(&writing.target);
    return r;
}

static int move(struct writing *writing, flagver_txn *txn, flagver_error *err)
{
    return writing->move(txn, writing->target.phase, writing->target.subject, writing->target.no,
                         &writing->options, &writing->version, err);
}

static int carry_out_move(struct writing *writing)
{
    int r = cli_target_read(&writing->target, writing->request);

    writing->make = move;
    if (r == 0)
        return carry_out(writing);
    cli_target_clear(&writing->target);
    return r;
}

int cli_version_rebase(const struct cli_request *request)
{
    struct writing writing = { .request = request, .move = flagver_version_rebase };

    return carry_out_move(&writing);
}

int cli_version_submit(const struct cli_request *request)
{
    struct writing writing = { .request = request,
                               .move = flagver_version_submit,
                               .words = "is in force" };

    return carry_out_move(&writing);
}

int cli_version_return(const struct cli_request *request)
{
    struct writing writing = { .request = request, .move = flagver_version_return };

    return carry_out_move(&writing);
}

int cli_version_approve(const struct cli_request *request)
{
    struct writing writing = { .request = request,
                               .move = flagver_version_approve,
                               .flags = request->values[CLI_SUBMIT] ? FLAGVER_WRITE_SUBMIT : 0,
                               .words = "is in force" };

    return carry_out_move(&writing);
}

int cli_version_reject(const struct cli_request *request)
{
    struct writing writing = { .request = request, .move = flagver_version_reject };

    return carry_out_move(&writing);
}

int cli_version_withdraw(const struct cli_request *request)
{
    struct writing writing = { .request = request, .move = flagver_version_withdraw };

    return carry_out_move(&writing);
}

int cli_version_review(const struct cli_request *request)
{
    struct writing writing = { .request = request,
                               .move = flagver_version_review,
                               .words = "has been reviewed" };

    return carry_out_move(&writing);
}

int cli_version_revert(const struct cli_request *request)
{
    struct writing writing = { .request = request,
                               .move = flagver_version_revert,
                               .words = "is in force" };

    return carry_out_move(&writing);
}
