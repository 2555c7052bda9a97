#include "engine/migrations.h"

#include "engine/steering.h"
#include "util/fail.h"

/* What is to change: from what stands in the store to what is asked for. */
struct change {
    const char *name;
    struct fv_migration to;
    int from; /* stage */
    uint32_t from_no;
    bool is_new;
    struct fv_evidence evidence;
};

static int read_version(const char *name, const struct fv_staged *version,
                        struct fv_migration *ret_migration, flagver_error *err)
{
    const flagver_bytes *payload = &version->row.payload;

    return fv_migration_read(name, payload->data, payload->length, ret_migration, err);
}

/* A new migration begins where the one of its name has ended, if there was one. */
static int find_before(flagver_txn *txn, const struct fv_target *target, struct change *change,
                       flagver_error *err)
{
    struct fv_migration before;
    struct fv_staged *version;
    flagver_keyed_row row;
    int r;

    r = fv_evidence_in(txn, target->subject, &row, &change->evidence, err);
    if (r < 0)
        return r;
    r = fv_record_current(txn, target, &version, err);
    change->is_new = r == FLAGVER_ENOTFOUND;
    if (change->is_new) {
        change->from = row.rev ? change->evidence.authority.stage : FLAGVER_STAGE_OFF;
        return 0;
    }
    if (r == 0)
        r = read_version(change->name, version, &before, err);
    if (r < 0)
        return r;
    change->from = before.stage;
    change->from_no = version->row.no;
    return 0;
}

static int refuse_order(const struct change *change, int r, flagver_error *err)
{
    if (r == FLAGVER_EINVAL)
        return fv_fail(err, FLAGVER_ESTATE, "%s: it is in stage %s, which %u stages do not have",
                       change->name, fv_stage_name(change->from), change->to.stages);
    return fv_fail(err, FLAGVER_ESTATE, "%s: %s does not follow %s; %s does", change->name,
                   fv_stage_name(change->to.stage), fv_stage_name(change->from),
                   fv_stage_name(fv_stage_next(change->from, change->to.stages)));
}

/*
 * Nobody has to show anything for going back to where it is, or behind that: so a flip is called off that
 * does not come to its end. Only, whoever is believed there has to be written in all that was asked for
 * since: how far that was carried out is not known. 1: it is so; 0.
 */
static int calls_off(flagver_txn *txn, const struct fv_target *target, const struct change *change,
                     flagver_error *err)
{
    const struct fv_evidence *evidence = &change->evidence;
    struct fv_migration asked;
    struct fv_staged *version;

    if (change->to.stage > evidence->authority.stage ||
        fv_stage_write(change->to.stage).primary != evidence->believed)
        return 0;
    for (uint32_t no = (uint32_t)evidence->authority.version + 1; no <= change->from_no; no++) {
        struct fv_stage_plan plan;
        int r = fv_record_get(txn, target, no, &version, err);

        if (r == 0 && version->row.bits & FLAGVER_VERSION_TOMBSTONE)
            return 0;
        if (r == 0)
            r = read_version(change->name, version, &asked, err);
        if (r < 0)
            return r;
        plan = fv_stage_write(asked.stage);
        if (!plan.both && plan.primary != evidence->believed)
            return 0;
    }
    return 1;
}

/* Forward only from where it has arrived: what was shown is about that. */
static int check_gates(const struct change *change, uint32_t gates, int64_t now, flagver_error *err)
{
    struct fv_text words = FV_TEXT_INIT;
    uint32_t shut;
    int r;

    if (!change->is_new && change->evidence.authority.version != change->from_no)
        return fv_fail(err, FLAGVER_ESTATE,
                       "%s: version %u of it is not carried out yet; that comes first",
                       change->name, change->from_no);
    shut = fv_gates_shut(gates, &change->evidence, &change->to.gates, now);
    if (shut == 0)
        return 0;
    fv_gate_words(&words, shut, &change->evidence, &change->to.gates, now);
    r = words.failed ? fv_fail_memory(err)
                     : fv_fail(err, FLAGVER_ESTATE, "%s: not to %s yet: %s", change->name,
                               fv_stage_name(change->to.stage), words.data);
    fv_text_clear(&words);
    return r;
}

int fv_migrations_check(flagver_txn *txn, const struct fv_target *target, const char *json,
                        size_t length, flagver_error *err)
{
    struct change change = { .name = target->subject };
    struct fv_stage_change step;
    int r;

    r = fv_migration_read(change.name, json, length, &change.to, err);
    if (r == 0)
        r = find_before(txn, target, &change, err);
    if (r < 0)
        return r;

    r = fv_stage_change(change.to.stages, change.from, change.to.stage, &step);
    if (r < 0)
        return refuse_order(&change, r, err);
    if (change.from == change.to.stage || (step.back && step.gates == 0) || change.to.forced)
        return 0;
    r = step.back ? calls_off(txn, target, &change, err) : 0;
    if (r != 0)
        return r < 0 ? r : 0;
    return check_gates(&change, step.gates, fv_txn_began(txn), err);
}
