#include "record.h"

#include <stdio.h>
#include <string.h>

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

const struct cli_kind *cli_kind_of(const struct cli_request *request)
{
    return strncmp(request->command->name, "segment ", 8) == 0 ? &cli_segment_kind : &cli_flag_kind;
}

json_t *cli_version_document(const struct cli_kind *kind, const flagver_version *version)
{
    char hash[sizeof version->content_hash * 2 + 1];
    size_t i;

    for (i = 0; i < sizeof version->content_hash; i++)
        snprintf(hash + i * 2, 3, "%02x", version->content_hash[i]);
    return json_pack(
        "{s:o, s:I, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", /**/
        kind->name, cli_json_text(version->subject), "no", (json_int_t)version->no, "state",
        cli_json_text(flagver_state_name(version->state)), "deleted", version->tombstone,
        "createdAt", cli_json_time(version->created_at), "createdBy",
        cli_json_text(version->created_by), "submittedAt", cli_json_time(version->submitted_at),
        "decidedAt", cli_json_time(version->decided_at), "decidedBy",
        cli_json_text(version->decided_by), "supersededAt", cli_json_time(version->superseded_at),
        "supersededBy", cli_json_number(version->superseded_by), "base",
        cli_json_number(version->base_no), "reverts", cli_json_number(version->reverts_no), "note",
        cli_json_text(version->note), "id", cli_json_text(version->id), "contentHash", hash);
}

json_t *cli_version_definition(const flagver_version *version)
{
    json_error_t error;

    if (version->tombstone || !version->payload)
        return NULL;
    return cli_json_read(version->payload, version->payload_length, 0, &error);
}

/* The newest version that came into force: what became of the record. */
struct fate {
    bool exists;      /* it has versions */
    bool deleted;     /* that one is a tombstone */
    uint32_t no, was; /* its number, and that of the one before it */
    char by[FLAGVER_ACTOR_LIMIT + 1];
};

static bool look_back(void *data, const flagver_version *version)
{
    struct fate *fate = data;

    fate->exists = true;
    if (version->state != FLAGVER_STATE_APPROVED)
        return true;
    fate->deleted = version->tombstone;
    fate->no = version->no;
    fate->was = version->base_no;
    snprintf(fate->by, sizeof fate->by, "%s", version->created_by);
    return false;
}

int cli_record_missing(const struct cli_request *request, flagver_client *client,
                       const struct cli_kind *kind, const char *key, uint32_t no)
{
    flagver_list_options options = { .size = sizeof options, .backwards = 1 };
    struct fate fate = { .exists = false };
    const char *uri = "";

    /* Where even that cannot be found out, it is not there all the same. */
    cli_store_uri(request, &uri);
    flagver_version_history(client, kind->phase, key, &options, look_back, &fate, NULL);
    if (no && fate.exists)
        cli_complain(key, "no version %u in %s", (unsigned)no, uri);
    else if (fate.deleted)
        cli_complain(NULL, "%s was deleted in version %u by %s; \"%s revert %s %u\" brings it back",
                     key, (unsigned)fate.no, fate.by, kind->name, key, (unsigned)fate.was);
    else
        cli_complain(key, "no such %s in %s", kind->name, uri);
    return CLI_NOT_FOUND;
}
