#include "record.h"

#include <stdio.h>
#include <string.h>

#include "json.h"

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
