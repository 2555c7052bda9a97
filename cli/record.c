#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"

const struct cli_kind cli_flag_kind = {
    .name = "flag",
    .phase = FLAGVER_PHASE_FLAG,
    .put = flagver_flag_put,
    .revert = flagver_flag_revert,
    .remove = flagver_flag_delete,
};

const struct cli_kind cli_segment_kind = {
    .name = "segment",
    .phase = FLAGVER_PHASE_SEGMENT,
    .put = flagver_segment_put,
    .revert = flagver_segment_revert,
    .remove = flagver_segment_delete,
};

static int put_migration(flagver_txn *txn, const char *name, const char *json, size_t length,
                         const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    flagver_version *version;
    int r = flagver_version_put(txn, FLAGVER_PHASE_MIGRATION, name, json, length, options, &version,
                                err);

    if (r < 0)
        return r;
    *ret_no = version->no;
    flagver_version_free(version);
    return 0;
}

const struct cli_kind cli_route_kind = {
    .name = "migration",
    .phase = FLAGVER_PHASE_MIGRATION,
    .put = put_migration,
};

void cli_record_of(const struct cli_request *request, struct cli_record *ret_record)
{
    const char *name = request->command->name;
    const struct cli_kind *kind = NULL;

    if (strncmp(name, "flag ", 5) == 0)
        kind = &cli_flag_kind;
    else if (strncmp(name, "segment ", 8) == 0)
        kind = &cli_segment_kind;
    else if (strncmp(name, "route ", 6) == 0)
        kind = &cli_route_kind;
    *ret_record = (struct cli_record){ .kind = kind,
                                       .phase = kind ? kind->phase
                                                     : cli_request_operand(request, 0),
                                       .key = cli_request_operand(request, kind ? 0 : 1),
                                       .operands = kind ? 1 : 2 };
}

json_t *cli_record_document(const struct cli_kind *kind, const char *phase, const char *key)
{
    return kind ? json_pack("{s:o}", kind->name, cli_json_text(key))
                : json_pack("{s:o, s:o}", "phase", cli_json_text(phase), "subject",
                            cli_json_text(key));
}

json_t *cli_version_document(const struct cli_kind *kind, const flagver_version *version)
{
    char hash[sizeof version->content_hash * 2 + 1];
    json_t *document = cli_record_document(kind, version->phase, version->subject), *rest;

    cli_print_hex(version->content_hash, sizeof version->content_hash, hash);
    rest = json_pack(
        "{s:I, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}",
        "no", (json_int_t)version->no, "state", cli_json_text(flagver_state_name(version->state)),
        "deleted", version->tombstone, "emergency", version->emergency, "createdAt",
        cli_json_time(version->created_at), "createdBy", cli_json_text(version->created_by),
        "submittedAt", cli_json_time(version->submitted_at), "decidedAt",
        cli_json_time(version->decided_at), "decidedBy", cli_json_text(version->decided_by),
        "supersededAt", cli_json_time(version->superseded_at), "supersededBy",
        cli_json_number(version->superseded_by), "base", cli_json_number(version->base_no),
        "parent", cli_json_number(version->parent_no), "reverts",
        cli_json_number(version->reverts_no), "note", cli_json_text(version->note), "id",
        cli_json_text(version->id), "contentHash", hash);
    if (!document || !rest || json_object_update(document, rest) < 0)
        cli_out_of_memory();
    json_decref(rest);
    return document;
}

const char *cli_payload_state_name(int32_t state)
{
    switch (state) {
    case FLAGVER_PAYLOAD_HERE:
        return "here";
    case FLAGVER_PAYLOAD_SHREDDED:
        return "shredded";
    case FLAGVER_PAYLOAD_SEALED:
        return "sealed";
    default:
        return NULL;
    }
}

json_t *cli_payload_state(const flagver_version *version)
{
    return cli_json_text(version->tombstone ? NULL
                                            : cli_payload_state_name(version->payload_state));
}

const char *cli_payload_json(const flagver_version *version)
{
    return version->payload && !version->tombstone ? version->payload : "null";
}

json_t *cli_version_definition(const flagver_version *version)
{
    json_error_t error;

    if (version->tombstone || !version->payload)
        return NULL;
    return cli_json_read(version->payload, version->payload_length, 0, &error);
}

/* ---- tables ---- */

void cli_table_add_state(struct cli_table *table, const flagver_version *version)
{
    char reverts[32] = "";

    if (version->reverts_no)
        snprintf(reverts, sizeof reverts, ", reverts %u", (unsigned)version->reverts_no);
    cli_table_format(table, "%s%s%s%s", flagver_state_name(version->state),
                     version->tombstone ? ", deleted" : "",
                     version->emergency ? ", by emergency" : "", reverts);
}

/* What is in force is since it was decided, so that --at with this time finds it. */
static int64_t since(const flagver_version *version)
{
    if (version->state == FLAGVER_STATE_DRAFT)
        return version->created_at;
    if (version->state == FLAGVER_STATE_SUBMITTED)
        return version->submitted_at;
    return version->decided_at ? version->decided_at : version->created_at;
}

void cli_table_add_since(struct cli_table *table, const flagver_version *version)
{
    char text[CLI_DATETIME_SIZE];

    cli_datetime_print(since(version), text);
    cli_table_add(table, text);
}

void cli_table_add_heading(struct cli_table *table, const char *const *words)
{
    for (; *words; words++, table->columns++)
        cli_table_add(table, *words);
}

/* ---- what comes next ---- */

/* What a shell takes as it is stays so; control characters are for nobody to type. */
static void print_word(const char *text)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./@:,+%=";
    size_t length;

    if (text[strspn(text, plain)] == 0) {
        cli_print("%s", text);
        return;
    }
    cli_print("'");
    for (; *text; text += length) {
        length = strcspn(text, "'");
        cli_write(text, length);
        if (text[length] == '\'') {
            cli_print("'\\''");
            length++;
        }
    }
    cli_print("'");
}

void cli_print_suggestion(const char *action, const flagver_version *version)
{
    size_t size = strlen(version->subject) + 16;
    char *target = cli_allocate(size), *readable;

    snprintf(target, size, "%s@%u", version->subject, (unsigned)version->no);
    readable = cli_readable(target);
    cli_print("flagver version %s ", action);
    print_word(version->phase);
    cli_print(" ");
    print_word(readable);
    free(readable);
    free(target);
}

bool cli_print_pending(const flagver_version *version)
{
    bool waits = version->state == FLAGVER_STATE_SUBMITTED;

    if (version->state == FLAGVER_STATE_APPROVED || version->state == FLAGVER_STATE_SUPERSEDED)
        return false;
    if (!waits && version->state != FLAGVER_STATE_DRAFT) {
        cli_print("version %u is %s", (unsigned)version->no, flagver_state_name(version->state));
        return true;
    }
    cli_print("version %u %s (", (unsigned)version->no,
              waits ? "waits for approval" : "is a draft");
    cli_print_suggestion(waits ? "approve" : "submit", version);
    cli_print(")");
    return true;
}

/* ---- what is not there ---- */

/* The newest version that came into force: what became of the record. */
struct fate {
    uint32_t last;    /* the highest number; 0: there is none */
    bool deleted;     /* that one is a tombstone */
    uint32_t no, was; /* its number, and that of the one before it */
    char by[FLAGVER_ACTOR_LIMIT + 1];
};

static bool look_back(void *data, const flagver_version *version)
{
    struct fate *fate = data;

    if (!fate->last)
        fate->last = version->no;
    if (version->state != FLAGVER_STATE_APPROVED && version->state != FLAGVER_STATE_RECORDED)
        return true;
    fate->deleted = version->tombstone;
    fate->no = version->no;
    fate->was = version->base_no;
    snprintf(fate->by, sizeof fate->by, "%s", version->created_by);
    return false;
}

/* How what was deleted comes back, as a command. */
static void complain_deleted(const struct cli_record *record, const struct fate *fate)
{
    if (record->kind && record->kind->revert)
        cli_complain(NULL, "%s was deleted in version %u by %s; \"%s revert %s %u\" brings it back",
                     record->key, (unsigned)fate->no, fate->by, record->kind->name, record->key,
                     (unsigned)fate->was);
    else
        cli_complain(NULL,
                     "%s was deleted in version %u by %s; \"version revert %s %s@%u\" brings it "
                     "back",
                     record->key, (unsigned)fate->no, fate->by, record->phase, record->key,
                     (unsigned)fate->was);
}

/* A record that has versions, of which none came into force yet. */
static void complain_pending(const struct cli_record *record, uint32_t last)
{
    cli_complain(record->key, "nothing is in force; version %u is the last one", (unsigned)last);
}

int cli_record_missing(const struct cli_request *request, flagver_client *client,
                       const struct cli_record *record, uint32_t no)
{
    flagver_list_options options = { .size = sizeof options, .backwards = 1 };
    struct fate fate = { .last = 0 };
    const char *uri = "";

    /* Where even that cannot be found out, it is not there all the same. */
    cli_store_uri(request, &uri);
    flagver_version_history(client, record->phase, record->key, &options, look_back, &fate, NULL);
    if (no && fate.last)
        cli_complain(record->key, "no version %u in %s", (unsigned)no, uri);
    else if (fate.deleted)
        complain_deleted(record, &fate);
    else if (fate.last && !fate.no)
        complain_pending(record, fate.last);
    else if (record->kind)
        cli_complain(record->key, "no such %s in %s", record->kind->name, uri);
    else
        cli_complain(record->key, "no such record of %s in %s", record->phase, uri);
    return CLI_NOT_FOUND;
}
