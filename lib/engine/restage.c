#define _POSIX_C_SOURCE 200809L /* nanosleep() */

#include "engine/restage.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "codec/canonical.h"
#include "engine/history.h"
#include "engine/records.h"
#include "util/fail.h"
#include "util/options.h"

#define WAIT_MS 5000
#define PAUSE_MS 20

/* ---- a version of the record ---- */

int fv_change_check(const flagver_route_change *change, flagver_route_change *ret_change,
                    flagver_error *err)
{
    int r;

    r = fv_options_copy("change", change, ret_change, sizeof *ret_change, err);
    if (r < 0)
        return r;
    if (!(ret_change->percentage >= 0 && ret_change->percentage <= 100))
        return fv_fail(err, FLAGVER_EINVAL, "change.percentage is %g; 0 to 100 allowed",
                       ret_change->percentage);
    if (ret_change->wait_ms == 0)
        ret_change->wait_ms = WAIT_MS;
    return 0;
}

struct restaging {
    const struct fv_restage *asked;
    uint32_t no;
};

static int put_record(struct restaging *restaging, flagver_txn *txn, const struct fv_target *target,
                      flagver_error *err)
{
    const struct fv_restage *asked = restaging->asked;
    const struct fv_migration_edit edit = { asked->stage,
                                            (uint32_t)(asked->change->percentage * 100 + 0.5),
                                            asked->change->forced };
    struct fv_text json = FV_TEXT_INIT;
    struct fv_content content;
    struct fv_staged *version;
    int r;

    r = fv_record_current(txn, target, &version, err);
    if (r == 0 && asked->from && version->row.no != asked->from)
        r = fv_fail(err, FLAGVER_ESTALE, "%s: version %u is in force, and not %" PRIu64,
                    asked->migration, version->row.no, asked->from);
    if (r == 0)
        r = fv_migration_edit(version->row.payload.data, version->row.payload.length, &edit, &json,
                              err);
    if (r == 0)
        r = fv_record_content(txn, target, json.data, json.length, &content, err);
    if (r == 0)
        r = fv_record_put(txn, target, &content, &version, err);
    if (r == 0)
        restaging->no = version->row.state == FLAGVER_STATE_APPROVED ? version->row.no : 0;
    fv_text_clear(&json);
    return r;
}

static int put(void *data, flagver_txn *txn, flagver_error *err)
{
    struct restaging *restaging = data;
    const flagver_write_options options = { .size = sizeof options,
                                            .note = restaging->asked->change->note,
                                            .flags = restaging->asked->emergency
                                                         ? FLAGVER_WRITE_EMERGENCY
                                                         : 0 };
    struct fv_target target;
    int r;

    r = fv_record_target(FLAGVER_PHASE_MIGRATION, restaging->asked->migration, &options, &target,
                         err);
    if (r == 0)
        r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = fv_record_resolve(txn, &target, err);
    if (r == 0)
        r = put_record(restaging, txn, &target, err);
    return fv_txn_leave(txn, r, err);
}

int fv_restage(flagver_client *client, const struct fv_restage *restage, const flagver_actor *actor,
               uint32_t *ret_no, flagver_error *err)
{
    struct restaging restaging = { .asked = restage };
    struct fv_txn_source source;
    int r;

    if (!fv_stage_name(restage->stage))
        return fv_fail(err, FLAGVER_EINVAL, "%d is no stage", restage->stage);
    if (restage->change->percentage > 0 && restage->stage != FLAGVER_STAGE_RAMP)
        return fv_fail(err, FLAGVER_EINVAL, "change.percentage is for stage ramp alone, not %s",
                       fv_stage_name(restage->stage));
    r = fv_client_source(client, &source, err);
    if (r < 0)
        return r;
    r = fv_txn_run(&source, actor, NULL, put, &restaging, err);
    fv_store_release(source.store);
    if (r == 0)
        *ret_no = restaging.no;
    return r;
}

/* ---- what comes of it ---- */

/* Record and evidence as they are now; without evidence that is all zeros. */
static int look(flagver_client *client, const char *migration, struct fv_migration *ret_record,
                uint64_t *ret_version, struct fv_evidence *ret_evidence, flagver_error *err)
{
    int r;

    r = fv_record_of(client, migration, ret_record, ret_version, err);
    return r < 0 ? r : fv_evidence_of(client, migration, ret_evidence, err);
}

int fv_restage_wait(flagver_client *client, const char *migration, uint32_t no, int32_t wait_ms,
                    flagver_error *err)
{
    int64_t deadline = fv_monotonic_ms() + wait_ms;
    struct fv_evidence evidence;
    int r;

    for (;;) {
        r = fv_evidence_of(client, migration, &evidence, err);
        if (r < 0 || evidence.authority.version >= no)
            return r;
        if (fv_monotonic_ms() >= deadline)
            return fv_fail(err, FLAGVER_EBUSY,
                           "%s: version %u of it is not carried out yet: that takes a process "
                           "which has its sides and takes steps",
                           migration, no);
        nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000L }, NULL);
    }
}

/* ---- back ---- */

/* Reads first: what the new side does not get any more, nobody should look for there. */
int fv_stage_back(int stage, uint32_t stages)
{
    int back = FLAGVER_STAGE_OFF;

    if (stage == FLAGVER_STAGE_COMPLETE)
        back = FLAGVER_STAGE_RAMPDOWN; /* the old side has to be brought up to date first */
    else if (stage >= FLAGVER_STAGE_RAMP)
        back = FLAGVER_STAGE_SHADOW;
    while (!fv_stage_in(back, stages))
        back--;
    return back;
}

int fv_restage_back(flagver_client *client, const char *migration, const flagver_actor *actor,
                    const flagver_route_change *change, flagver_error *err)
{
    struct fv_restage restage = { .migration = migration, .change = change, .emergency = true };
    struct fv_evidence evidence;
    struct fv_migration record;
    uint64_t version;
    uint32_t no;
    int r;

    r = look(client, migration, &record, &version, &evidence, err);
    while (r == 0 && record.stage != FLAGVER_STAGE_OFF) {
        restage.stage = fv_stage_back(record.stage, record.stages);
        restage.from = version;
        r = fv_restage(client, &restage, actor, &no, err);
        if (r == 0 && change->wait_ms > 0)
            r = fv_restage_wait(client, migration, no, change->wait_ms, err);
        if (r == FLAGVER_ESTALE)
            r = 0; /* somebody was faster */
        if (r == 0)
            r = look(client, migration, &record, &version, &evidence, err);
    }
    if (r == 0 && change->wait_ms > 0) /* where it was asked for before, and is not done yet */
        r = fv_restage_wait(client, migration, (uint32_t)version, change->wait_ms, err);
    return r;
}

/* ---- status ---- */

void fv_status_record(struct fv_text *out, const struct fv_migration *record, uint64_t version)
{
    fv_text_format(out, ",\"asked\":\"%s\",\"asked_percentage\":", fv_stage_name(record->stage));
    fv_text_add_decimal(out, record->bound, 2);
    fv_text_format(out, ",\"version\":%" PRIu64, version);
}

static void add_bool(struct fv_text *out, const char *name, bool value)
{
    fv_text_format(out, ",\"%s\":%s", name, value ? "true" : "false");
}

void fv_status_evidence(struct fv_text *out, const struct fv_evidence *evidence,
                        const struct fv_passages *passages)
{
    fv_text_format(out, ",\"since\":%" PRId64, evidence->since);
    add_bool(out, "copied", fv_evidence_whole(evidence, fv_side_other(evidence->believed)));
    fv_passage_write(out, false, &passages->copy, evidence->believed, &evidence->authority);
    add_bool(out, "verified", fv_evidence_verified(evidence));
    fv_passage_write(out, true, &passages->comparison, evidence->believed, &evidence->authority);
    fv_text_format(out,
                   ",\"compared\":%" PRIu64 ",\"matched\":%" PRIu64 ",\"match_rate_at_least\":",
                   evidence->compared, evidence->matched);
    fv_canonical_real(out, fv_lower_bound(evidence->matched, evidence->compared));
}

int fv_restage_status(flagver_client *client, const char *migration, char **ret_json,
                      flagver_error *err)
{
    struct fv_text out = FV_TEXT_INIT;
    struct fv_evidence evidence;
    struct fv_migration record;
    struct fv_passages passages;
    const char *stage;
    uint64_t version;
    int r;

    r = look(client, migration, &record, &version, &evidence, err);
    if (r == 0)
        r = fv_passages_of(client, migration, &passages, err);
    if (r < 0)
        return r;
    stage = fv_stage_name(evidence.authority.stage);
    fv_text_add(&out, "{\"migration\":");
    fv_canonical_string(&out, migration, strlen(migration));
    if (stage)
        fv_text_format(&out, ",\"stage\":\"%s\",\"percentage\":", stage);
    else
        fv_text_add(&out, ",\"stage\":null,\"percentage\":");
    fv_text_add_decimal(&out, evidence.authority.bound, 2);
    fv_status_record(&out, &record, version);
    add_bool(&out, "settled", evidence.authority.version == version);
    fv_text_format(&out, ",\"believed\":\"%s\"", evidence.believed == FV_NEW ? "new" : "old");
    fv_status_evidence(&out, &evidence, &passages);
    fv_text_add(&out, "}");
    return fv_text_give(&out, ret_json, err);
}
