#include "engine/rollout.h"

#include <string.h>

#include "codec/edit.h"
#include "codec/plan.h"
#include "engine/feed.h"
#include "engine/items.h"
#include "util/fail.h"

/* Where no approval is asked for an emergency is a change like others. */
static int check_emergency(const struct fv_target *target, const struct fv_edit *edit,
                           const flagver_version_row *current, flagver_error *err)
{
    int r;

    if (!(target->flags & FLAGVER_WRITE_EMERGENCY) || target->policy->approvals == 0)
        return 0;
    r = edit->takes_back(edit->data, current->payload.data, current->payload.length, err);
    return r == 0
               ? fv_fail(err, FLAGVER_EINVAL,
                         "this does not take \"%.256s\" back: only switching off or lowering the "
                         "percentage can be an emergency",
                         target->subject)
               : r;
}

int fv_rollout_edit(flagver_txn *txn, const struct fv_target *target, const struct fv_edit *edit,
                    struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_text changed = FV_TEXT_INIT;
    struct fv_content content;
    struct fv_staged *current;
    int r;

    r = fv_record_current(txn, target, &current, err);
    if (r == 0)
        r = check_emergency(target, edit, &current->row, err);
    if (r >= 0)
        r = edit->edit(edit->data, current->row.payload.data, current->row.payload.length, &changed,
                       err);
    if (r == 0)
        r = fv_record_content(txn, target, changed.data, changed.length, &content, err);
    if (r == 0)
        r = fv_record_put(txn, target, &content, ret_version, err);
    fv_text_clear(&changed);
    return r;
}

static int edit_ramp(const void *percentage, const char *text, size_t length, struct fv_text *out,
                     flagver_error *err)
{
    return fv_edit_ramp(text, length, *(const double *)percentage, false, out, err);
}

static int takes_some_back(const void *percentage, const char *text, size_t length,
                           flagver_error *err)
{
    return fv_edit_lowers(text, length, *(const double *)percentage, err);
}

struct fv_edit fv_rollout_ramp(const double *percentage)
{
    return (struct fv_edit){ edit_ramp, percentage, takes_some_back };
}

/* ---- files ---- */

/* What is in force before the file is applied. */
struct present {
    struct fv_harvest definitions, policies, assignments;
};

static void present_init(struct present *present)
{
    fv_harvest_init(&present->definitions, NULL);
    fv_harvest_init(&present->policies, NULL);
    fv_harvest_init(&present->assignments, NULL);
}

static void present_clear(struct present *present)
{
    fv_harvest_clear(&present->definitions);
    fv_harvest_clear(&present->policies);
    fv_harvest_clear(&present->assignments);
}

static int make_plan(const struct fv_rollout_file *file, const struct present *present,
                     struct fv_plan_steps *ret_steps, flagver_error *err)
{
    const struct fv_plan_request request = {
        .text = file->json,
        .length = file->length,
        .name = file->name,
        .records = present->definitions.records,
        .count = present->definitions.count,
        .policies = { present->policies.records, present->policies.count },
        .assignments = { present->assignments.records, present->assignments.count },
        .prune = file->prune,
    };

    return fv_plan_make(&request, ret_steps, err);
}

static const char *phase_of(const struct fv_plan_step *step)
{
    static const char *const phases[] = { [FV_FORM_FLAG] = FLAGVER_PHASE_FLAG,
                                          [FV_FORM_SEGMENT] = FLAGVER_PHASE_SEGMENT,
                                          [FV_FORM_POLICY] = FLAGVER_PHASE_PHASE,
                                          [FV_FORM_ASSIGNMENT] = FLAGVER_PHASE_ASSIGNMENT };

    return phases[step->form];
}

static flagver_plan_step public_step(const struct fv_plan_step *step)
{
    static const int32_t actions[] = { [FV_PLAN_CREATE] = FLAGVER_PLAN_CREATE,
                                       [FV_PLAN_CHANGE] = FLAGVER_PLAN_CHANGE,
                                       [FV_PLAN_DELETE] = FLAGVER_PLAN_DELETE };

    return (flagver_plan_step){ .action = actions[step->action],
                                .segment = step->form == FV_FORM_SEGMENT,
                                .key = step->key,
                                .current_no = (uint32_t)step->version,
                                .difference = step->diff,
                                .phase = phase_of(step) };
}

int fv_rollout_plan(const struct fv_tenancy *tenancy, const struct fv_rollout_file *file,
                    void (*visit)(void *data, const flagver_plan_step *step), void *data,
                    flagver_error *err)
{
    struct fv_plan_steps plan;
    struct present present;
    flagver_plan_step step;
    size_t i;
    int r;

    present_init(&present);
    r = fv_feed_all(tenancy, 0, &present.definitions, err);
    if (r == 0)
        r = fv_feed_phase(tenancy, FLAGVER_PHASE_PHASE, &present.policies, err);
    if (r == 0)
        r = fv_feed_phase(tenancy, FLAGVER_PHASE_ASSIGNMENT, &present.assignments, err);
    if (r == 0)
        r = make_plan(file, &present, &plan, err);
    present_clear(&present);
    if (r < 0)
        return r;
    for (i = 0; visit && i < plan.count; i++) {
        step = public_step(&plan.steps[i]);
        visit(data, &step);
    }
    r = (int)plan.count;
    fv_plan_clear(&plan);
    return r;
}

/* A step of which nothing is left but to write it. */
struct prepared {
    struct fv_target target;
    struct fv_content content;
};

static int prepare(flagver_txn *txn, const struct fv_plan_step *step,
                   const flagver_write_options *options, struct prepared *ret_prepared,
                   flagver_error *err)
{
    int r;

    r = fv_record_target(phase_of(step), step->key, options, &ret_prepared->target, err);
    if (r == 0)
        r = fv_record_resolve(txn, &ret_prepared->target, err);
    if (r == 0)
        r = fv_record_may_put(txn, &ret_prepared->target, err);
    if (r == 0 && step->text)
        return fv_record_checked(txn, &ret_prepared->target, step->text, step->length,
                                 &ret_prepared->content, err);
    ret_prepared->content = (struct fv_content){ .payload = fv_bytes(""),
                                                 .bits = FLAGVER_VERSION_TOMBSTONE };
    return r;
}

/* Is just that proposed already, last of all, and waits for approval? */
static int is_proposed(flagver_txn *txn, const struct prepared *prepared, bool *ret_proposed,
                       flagver_error *err)
{
    const struct fv_target *target = &prepared->target;
    struct fv_series *series;
    struct fv_staged *last;
    uint8_t hash[32];
    int r;

    *ret_proposed = false;
    if (target->policy->approvals == 0)
        return 0;
    r = fv_txn_series(txn, target->phase, target->subject, true, &series, err);
    if (r < 0 || series->row.last_no == 0)
        return r;
    r = fv_txn_version(txn, series, series->row.last_no, false, &last, err);
    if (r == 0)
        r = fv_items_hash(txn, NULL, prepared->content.salt, prepared->content.payload, hash, err);
    if (r == 0)
        *ret_proposed = last->row.state == FLAGVER_STATE_SUBMITTED &&
                        last->row.base_no == series->row.current_no &&
                        memcmp(last->row.content_hash, hash, sizeof hash) == 0;
    return r;
}

/* 1: it was written, 0: there was no need to. */
static int do_step(flagver_txn *txn, const struct prepared *prepared, flagver_error *err)
{
    struct fv_staged *version;
    bool proposed;
    int r;

    r = is_proposed(txn, prepared, &proposed, err);
    if (r < 0 || proposed)
        return r;
    r = fv_record_put(txn, &prepared->target, &prepared->content, &version, err);
    return r < 0 ? r : 1;
}

static int lock_all(flagver_txn *txn, const struct fv_plan_steps *plan, flagver_error *err)
{
    struct fv_series_name *names = fv_arena_allocate(fv_txn_arena(txn),
                                                     plan->count * sizeof *names);
    size_t i;

    if (!names)
        return fv_fail_memory(err);
    for (i = 0; i < plan->count; i++)
        names[i] = (struct fv_series_name){ phase_of(&plan->steps[i]), plan->steps[i].key };
    return fv_txn_lock(txn, names, plan->count, err);
}

/*
 * The definitions were checked together, so each is written as it is. Whatever else
 * may refuse one of them does so before the first is written; and all are written by
 * the policies that were in force before, those of the file count from then on.
 */
static int do_steps(flagver_txn *txn, const struct fv_plan_steps *plan,
                    const flagver_write_options *options, flagver_error *err)
{
    struct prepared *prepared = fv_arena_allocate(fv_txn_arena(txn),
                                                  plan->count * sizeof *prepared);
    flagver_write_options given;
    int written = 0, r;
    size_t i;

    if (!prepared)
        return fv_fail_memory(err);
    r = fv_record_options(options, &given, err);
    if (r == 0)
        r = lock_all(txn, plan, err);
    for (i = 0; r == 0 && i < plan->count; i++)
        r = prepare(txn, &plan->steps[i], options, &prepared[i], err);
    for (i = 0; r >= 0 && i < plan->count; i++) {
        r = do_step(txn, &prepared[i], err);
        written += r > 0;
    }
    return r < 0 ? r : written;
}

static int do_plan(flagver_txn *txn, const struct fv_rollout_file *file,
                   const struct present *present, const flagver_write_options *options,
                   flagver_error *err)
{
    struct fv_plan_steps plan;
    int r;

    r = make_plan(file, present, &plan, err);
    if (r < 0)
        return r;
    r = do_steps(txn, &plan, options, err);
    fv_plan_clear(&plan);
    return r;
}

int fv_rollout_apply(flagver_txn *txn, const struct fv_rollout_file *file,
                     const flagver_write_options *options, flagver_error *err)
{
    struct present present;
    int r;

    present_init(&present);
    r = fv_feed_in(txn, &present.definitions, err);
    if (r == 0)
        r = fv_feed_phase_in(txn, FLAGVER_PHASE_PHASE, &present.policies, err);
    if (r == 0)
        r = fv_feed_phase_in(txn, FLAGVER_PHASE_ASSIGNMENT, &present.assignments, err);
    if (r == 0)
        r = do_plan(txn, file, &present, options, err);
    present_clear(&present);
    return r;
}

int fv_rollout_export(const struct fv_tenancy *tenancy, char **ret_json, flagver_error *err)
{
    struct fv_text json = FV_TEXT_INIT;
    struct fv_harvest harvest;
    char *text;
    int r;

    fv_harvest_init(&harvest, NULL);
    r = fv_feed_all(tenancy, 0, &harvest, err);
    if (r == 0)
        r = fv_definitions_export(harvest.records, harvest.count, &json, err);
    fv_harvest_clear(&harvest);
    if (r == 0) {
        text = fv_text_detach(&json);
        if (text)
            *ret_json = text;
        else
            r = fv_fail_memory(err);
    }
    fv_text_clear(&json);
    return r;
}
