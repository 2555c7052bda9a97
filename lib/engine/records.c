#include "engine/records.h"

#include <string.h>

#include "codec/payload.h"
#include "codec/policy.h"
#include "engine/acting.h"
#include "engine/items.h"
#include "engine/migrations.h"
#include "engine/policies.h"
#include "engine/references.h"
#include "engine/votes.h"
#include "flagver/route.h"
#include "model/flag.h"
#include "store/sealing.h"
#include "util/fail.h"
#include "util/options.h"
#include "util/utf8.h"

/* ---- what an operation is about ---- */

static int check_note(const char *note, flagver_error *err)
{
    size_t length = note ? strlen(note) : 0;

    if (length > FLAGVER_NOTE_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "the note is %zu bytes; up to %d allowed", length,
                       FLAGVER_NOTE_LIMIT);
    if (length && !fv_utf8_valid(note, length))
        return fv_fail(err, FLAGVER_EINVAL, "the note is not UTF-8");
    return 0;
}

int fv_record_options(const flagver_write_options *options, flagver_write_options *ret_options,
                      flagver_error *err)
{
    int r = fv_options_copy("options", options, ret_options, sizeof *ret_options, err);

    if (r < 0)
        return r;
    if (ret_options->flags & ~(FLAGVER_WRITE_SUBMIT | FLAGVER_WRITE_EMERGENCY))
        return fv_fail(err, FLAGVER_EINVAL, "options.flags is %#x; FLAGVER_WRITE_… allowed",
                       (unsigned)ret_options->flags);
    return check_note(ret_options->note, err);
}

/* What the subjects of a form are called, and how long they may be. */
static const struct {
    const char *subject;
    size_t limit;
} forms[] = {
    [FV_FORM_JSON] = { "subject", FLAGVER_SUBJECT_LIMIT },
    [FV_FORM_FLAG] = { "flag key", FV_FLAG_KEY_LIMIT },
    [FV_FORM_SEGMENT] = { "segment name", FV_FLAG_KEY_LIMIT },
    [FV_FORM_POLICY] = { "phase", FLAGVER_SUBJECT_LIMIT },
    [FV_FORM_ASSIGNMENT] = { "assignment", FLAGVER_SUBJECT_LIMIT },
    [FV_FORM_MIGRATION] = { "migration", FLAGVER_MIGRATION_LIMIT },
};

int fv_record_target(const char *phase, const char *subject, const flagver_write_options *options,
                     struct fv_target *ret_target, flagver_error *err)
{
    flagver_write_options given;
    enum fv_form form;
    int r;

    r = fv_record_options(options, &given, err);
    if (r == 0)
        r = fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);
    if (r < 0)
        return r;
    form = fv_form_of(phase);
    r = fv_check_text(forms[form].subject, subject, forms[form].limit, err);
    if (r < 0)
        return r;
    *ret_target = (struct fv_target){ .phase = phase,
                                      .subject = subject,
                                      .form = form,
                                      .note = given.note,
                                      .expect_no = given.expect_no,
                                      .flags = given.flags,
                                      .content_hash = given.content_hash,
                                      .parent_no = given.parent_no,
                                      .baseline_no = given.baseline_no };
    return 0;
}

int fv_record_resolve(flagver_txn *txn, struct fv_target *target, flagver_error *err)
{
    return fv_policies_find(txn, target->phase, target->subject, &target->policy, err);
}

static bool is_definition(const struct fv_target *target)
{
    return target->form == FV_FORM_FLAG || target->form == FV_FORM_SEGMENT;
}

/* ---- content ---- */

static int refuse_size(const struct fv_target *target, size_t length, flagver_error *err)
{
    const struct fv_policy *policy = target->policy;

    if (length > FLAGVER_PAYLOAD_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "the payload is %zu bytes; up to %u allowed", length,
                       FLAGVER_PAYLOAD_LIMIT);
    return fv_fail(err, FLAGVER_EVALIDATION,
                   "the payload is %zu bytes; the policy \"%.256s\" allows up to %llu", length,
                   policy->subject, (unsigned long long)policy->max_bytes);
}

int fv_record_checked(flagver_txn *txn, const struct fv_target *target, const char *canonical,
                      size_t length, struct fv_content *ret_content, flagver_error *err)
{
    uint64_t limit = target->policy->max_bytes;
    char *copy;

    if (length > FLAGVER_PAYLOAD_LIMIT || (limit && length > limit))
        return refuse_size(target, length, err);
    copy = fv_arena_string(fv_txn_arena(txn), canonical, length);
    if (!copy)
        return fv_fail_memory(err);
    *ret_content = (struct fv_content){ .payload = fv_bytes_of(copy, length) };
    return target->policy->encrypt ? fv_txn_salt(txn, &ret_content->salt, err) : 0;
}

int fv_record_part(flagver_txn *txn, const struct fv_target *target, const char *json,
                   size_t length, struct fv_content *ret_content, flagver_error *err)
{
    struct fv_text canonical = FV_TEXT_INIT;
    int r;

    r = fv_payload_canonical(json, length, &canonical, err);
    if (r == 0)
        r = fv_record_checked(txn, target, canonical.data, canonical.length, ret_content, err);
    fv_text_clear(&canonical);
    return r;
}

static int check_policy(const char *subject, const char *json, size_t length, flagver_error *err)
{
    struct fv_policy policy;
    struct fv_arena arena;
    int r;

    fv_arena_init(&arena, NULL, 512);
    r = fv_policy_read(json, length, &arena, &policy, err);
    if (r == 0) {
        r = fv_policy_check_subject(subject, &policy, err);
        fv_policy_clear(&policy);
    }
    fv_arena_clear(&arena);
    return r;
}

static int check_content(flagver_txn *txn, const struct fv_target *target, const char *json,
                         size_t length, struct fv_text *canonical, flagver_error *err)
{
    int r = 0;

    switch (target->form) {
    case FV_FORM_FLAG:
    case FV_FORM_SEGMENT:
        return fv_references_check(txn, target->form == FV_FORM_SEGMENT, target->subject, json,
                                   length, canonical, err);
    case FV_FORM_POLICY:
        r = check_policy(target->subject, json, length, err);
        break;
    case FV_FORM_ASSIGNMENT:
        r = fv_assignment_check(target->subject, json, length, err);
        break;
    case FV_FORM_MIGRATION:
        r = fv_migrations_check(txn, target, json, length, err);
        break;
    case FV_FORM_JSON:
        break;
    }
    return r < 0 ? r : fv_payload_check(json, length, target->policy->schema, canonical, err);
}

int fv_record_content(flagver_txn *txn, const struct fv_target *target, const char *json,
                      size_t length, struct fv_content *ret_content, flagver_error *err)
{
    struct fv_text canonical = FV_TEXT_INIT;
    int r;

    r = check_content(txn, target, json, length, &canonical, err);
    if (r == 0)
        r = fv_record_checked(txn, target, canonical.data, canonical.length, ret_content, err);
    fv_text_clear(&canonical);
    return r;
}

/*
 * What was fine when it was written may not be when it comes into force: what it refers to may be gone,
 * what refers to it may be there, and the policy may ask for something else.
 */
static int check_again(flagver_txn *txn, const struct fv_target *target,
                       const flagver_version_row *row, flagver_error *err)
{
    struct fv_text canonical = FV_TEXT_INIT;
    int r;

    if (row->bits & FLAGVER_VERSION_TOMBSTONE)
        return is_definition(target)
                   ? fv_references_check_removal(txn, target->form == FV_FORM_SEGMENT,
                                                 target->subject, err)
                   : 0;
    if (target->form == FV_FORM_JSON && !target->policy->schema)
        return 0;
    r = check_content(txn, target, row->payload.data, row->payload.length, &canonical, err);
    fv_text_clear(&canonical);
    return r;
}

/* ---- making versions ---- */

/* Which version it goes back to: one that is there. */
static int find_parent(const struct fv_act *act, uint32_t *ret_parent, flagver_error *err)
{
    const struct fv_target *target = act->target;
    const flagver_series_row *series = &act->series->row;
    uint32_t parent = target->parent_no ? target->parent_no : target->baseline_no;

    if (parent > series->last_no)
        return fv_fail(err, FLAGVER_ENOTFOUND, "\"%.256s\" has no version %u", target->subject,
                       (unsigned)parent);
    *ret_parent = parent ? parent : series->current_no;
    return 0;
}

static int check_baseline(const struct fv_act *act, flagver_error *err)
{
    uint32_t no = act->target->baseline_no;
    struct fv_staged *version;
    int r;

    if (!no)
        return 0;
    r = fv_txn_version(act->txn, act->series, no, false, &version, err);
    if (r == 0 && version->row.state != FLAGVER_STATE_APPROVED &&
        version->row.state != FLAGVER_STATE_SUPERSEDED)
        r = fv_fail(err, FLAGVER_ESTATE, "version %u is %s and was never in force: no baseline",
                    (unsigned)no, fv_state_name(version->row.state));
    return r;
}

/* Stages a new version; the leaf is not staged yet. */
static int make(struct fv_act *act, const struct fv_content *content, int state, flagver_error *err)
{
    flagver_version_row row = { .state = state,
                                .base_no = act->series->row.current_no,
                                .reverts_no = content->reverts_no,
                                .bits = content->bits,
                                .created_by = fv_bytes(fv_txn_actor(act->txn)),
                                .payload = content->payload,
                                .payload_salt = content->salt };
    int r;

    r = find_parent(act, &row.parent_no, err);
    if (r == 0)
        r = check_baseline(act, err);
    if (r == 0)
        r = fv_items_hash(act->txn, NULL, content->salt, content->payload, row.content_hash, err);
    if (r == 0)
        r = fv_act_note(act, &row.note, err);
    if (r < 0)
        return r;
    row.created_at = fv_txn_time(act->txn, act->series);
    return fv_txn_add_version(act->txn, act->series, &row, &act->version, err);
}

/* The items of the version that it is based on come along; they are part of its content. */
static int carry(struct fv_act *act, const struct fv_carried *carried, flagver_error *err)
{
    flagver_version_row *row = &act->version->row;
    int r;

    if (!carried->count)
        return 0;
    r = fv_items_carry(act->txn, carried, act->version, err);
    if (r == 0)
        r = fv_items_hash(act->txn, act->version, row->payload_salt, row->payload,
                          row->content_hash, err);
    return r < 0 ? r : fv_txn_change_version(act->txn, act->version, false, err);
}

static int find_carried(const struct fv_act *act, struct fv_carried *ret_carried,
                        flagver_error *err)
{
    uint32_t baseline = act->target->baseline_no;
    int r = check_baseline(act, err);

    *ret_carried = (struct fv_carried){ NULL, 0 };
    return r < 0 || !baseline
               ? r
               : fv_items_find_carried(act->txn, act->series, baseline, ret_carried, err);
}

static int make_draft(struct fv_act *act, const struct fv_content *content, flagver_error *err)
{
    struct fv_carried carried;
    int r;

    r = find_carried(act, &carried, err);
    if (r == 0)
        r = make(act, content, FLAGVER_STATE_DRAFT, err);
    if (r == 0)
        r = carry(act, &carried, err);
    if (r == 0)
        r = fv_act_leaf(act, &act->version->row, 0, 0, err);
    act->state = FLAGVER_STATE_DRAFT;
    return r;
}

/* What was prepared as a submission comes to pass. */
static int submit(struct fv_act *act, int next, flagver_error *err)
{
    flagver_version_row *row = &act->version->row;
    uint32_t supersedes;
    int r;

    row->submitted_at = fv_txn_time(act->txn, act->series);
    if (next == FLAGVER_STATE_SUBMITTED)
        return fv_act_move(act, next, err);
    if (act->emergency)
        row->bits |= FLAGVER_VERSION_EMERGENCY;
    r = fv_act_into_force(act, act->version, &supersedes, err);
    return r < 0 ? r : fv_act_leaf(act, row, FLAGVER_STATE_DRAFT, supersedes, err);
}

/* Both are looked at before the first of them is staged. */
static int prepare_put(struct fv_act *act, flagver_txn *txn, const struct fv_target *target,
                       const char **ret_rule, int *ret_next, flagver_error *err)
{
    struct fv_staged *current;
    int r;

    r = fv_act_prepare(act, txn, target, FV_ACTION_CREATE, 0, err);
    if (r < 0)
        return r;
    *ret_rule = act->rule;
    act->state = FLAGVER_STATE_DRAFT;
    r = fv_act_prepare_next(act, FV_ACTION_SUBMIT, err);
    *ret_next = r;
    return r < 0 ? r : fv_act_find_current(act, &current, err);
}

int fv_record_may(flagver_txn *txn, const struct fv_target *target, enum fv_action action,
                  uint32_t no, flagver_error *err)
{
    struct fv_act act;

    return fv_act_prepare(&act, txn, target, action, no, err);
}

int fv_record_may_put(flagver_txn *txn, const struct fv_target *target, flagver_error *err)
{
    const char *rule;
    struct fv_act act;
    int next;

    return prepare_put(&act, txn, target, &rule, &next, err);
}

int fv_record_put(flagver_txn *txn, const struct fv_target *target,
                  const struct fv_content *content, struct fv_staged **ret_version,
                  flagver_error *err)
{
    const char *create_rule, *submit_rule;
    struct fv_target silent = *target;
    struct fv_act act;
    int next, r;

    r = prepare_put(&act, txn, target, &create_rule, &next, err);
    if (r < 0)
        return r;
    submit_rule = act.rule;
    act.action = FV_ACTION_CREATE;
    act.rule = create_rule;
    r = make_draft(&act, content, err);
    if (r < 0)
        return r;
    silent.note = NULL; /* it was said when it was created */
    act.action = FV_ACTION_SUBMIT;
    act.rule = submit_rule;
    act.target = &silent;
    *ret_version = act.version;
    return submit(&act, next, err);
}

/* ---- operations ---- */

int fv_record_create(flagver_txn *txn, const struct fv_target *target,
                     const struct fv_content *content, struct fv_staged **ret_version,
                     flagver_error *err)
{
    struct fv_act act;
    int r;

    r = fv_act_prepare(&act, txn, target, FV_ACTION_CREATE, 0, err);
    if (r >= 0)
        r = make_draft(&act, content, err);
    *ret_version = act.version;
    return r;
}

int fv_record_record(flagver_txn *txn, const struct fv_target *target,
                     const struct fv_content *content, struct fv_staged **ret_version,
                     flagver_error *err)
{
    struct fv_staged *current;
    struct fv_act act;
    int r;

    r = fv_act_prepare(&act, txn, target, FV_ACTION_RECORD, 0, err);
    if (r >= 0)
        r = fv_act_find_current(&act, &current, err);
    if (r == 0)
        r = make(&act, content, FLAGVER_STATE_RECORDED, err);
    if (r == 0)
        r = fv_txn_change_series(txn, act.series, act.version->row.no, act.version->row.created_at,
                                 err);
    if (r == 0)
        r = fv_act_leaf(&act, &act.version->row, 0, 0, err);
    *ret_version = act.version;
    return r;
}

int fv_record_edit(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                   const struct fv_content *content, struct fv_staged **ret_version,
                   flagver_error *err)
{
    flagver_version_row *row;
    struct fv_act act;
    int r;

    r = fv_act_prepare(&act, txn, target, FV_ACTION_EDIT, no, err);
    if (r < 0)
        return r;
    row = &act.version->row;
    if (row->bits & FLAGVER_VERSION_TOMBSTONE)
        return fv_fail(err, FLAGVER_ESTATE, "version %u is a deletion and has no content",
                       (unsigned)no);
    r = fv_items_hash(txn, act.version, content->salt, content->payload, row->content_hash, err);
    if (r == 0)
        r = fv_act_note(&act, &row->note, err);
    if (r == 0)
        r = fv_votes_add_author(txn, act.version, err);
    if (r < 0)
        return r;
    row->payload = content->payload;
    row->payload_salt = content->salt;
    r = fv_txn_change_series(txn, act.series, act.series->row.current_no,
                             fv_txn_time(txn, act.series), err);
    if (r == 0)
        r = fv_txn_change_version(txn, act.version, true, err);
    if (r == 0)
        r = fv_act_leaf(&act, row, FLAGVER_STATE_DRAFT, 0, err);
    *ret_version = act.version;
    return r;
}

int fv_record_rebase(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_act act;
    int r;

    r = fv_act_prepare(&act, txn, target, FV_ACTION_REBASE, no, err);
    if (r < 0)
        return r;
    *ret_version = act.version;
    act.version->row.base_no = act.series->row.current_no;
    return fv_act_move(&act, r, err);
}

int fv_record_submit(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_staged *current;
    struct fv_act act;
    int next, r;

    next = r = fv_act_prepare(&act, txn, target, FV_ACTION_SUBMIT, no, err);
    if (r >= 0)
        r = fv_act_find_current(&act, &current, err);
    if (r == 0)
        r = check_again(txn, target, &act.version->row, err);
    if (r == 0)
        r = fv_act_note(&act, &act.version->row.note, err);
    *ret_version = act.version;
    return r < 0 ? r : submit(&act, next, err);
}

/* Back to a draft, or the end of it; the last word about it is kept. */
static int move(flagver_txn *txn, const struct fv_target *target, enum fv_action action,
                uint32_t no, struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_act act;
    int next, r;

    next = r = fv_act_prepare(&act, txn, target, action, no, err);
    if (r >= 0)
        r = fv_act_note(&act, &act.version->row.note, err);
    if (r < 0)
        return r;
    if (action == FV_ACTION_RETURN)
        act.version->row.submitted_at = 0;
    if (action == FV_ACTION_REJECT) {
        act.version->row.decided_at = fv_txn_time(txn, act.series);
        act.version->row.decided_by = fv_bytes(fv_txn_actor(txn));
    }
    *ret_version = act.version;
    return fv_act_move(&act, next, err);
}

int fv_record_return(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    return move(txn, target, FV_ACTION_RETURN, no, ret_version, err);
}

int fv_record_reject(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    return move(txn, target, FV_ACTION_REJECT, no, ret_version, err);
}

int fv_record_withdraw(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                       struct fv_staged **ret_version, flagver_error *err)
{
    return move(txn, target, FV_ACTION_WITHDRAW, no, ret_version, err);
}

/* ---- approval ---- */

/* Counts as a vote; the last one that is needed brings the version into force. */
static int approve(struct fv_act *act, int next, flagver_error *err)
{
    flagver_version_row *row = &act->version->row;
    flagver_bytes note = { NULL, 0 };
    uint32_t supersedes;
    int r;

    r = fv_act_note(act, &note, err);
    if (r == 0)
        r = fv_votes_add(act->txn, act->version, fv_txn_time(act->txn, act->series), note, err);
    if (r < 0)
        return r;
    if (next == FLAGVER_STATE_SUBMITTED)
        return fv_act_move(act, next, err);
    r = fv_act_into_force(act, act->version, &supersedes, err);
    return r < 0 ? r : fv_act_leaf(act, row, FLAGVER_STATE_SUBMITTED, supersedes, err);
}

/*
 * Submitting and approving are both looked at before the first of them is staged. The note is said
 * about the approval.
 */
static int submit_and_approve(struct fv_act *act, flagver_error *err)
{
    const struct fv_target *target = act->target;
    struct fv_target silent = *target;
    const char *submit_rule, *approve_rule;
    struct fv_staged *current;
    int next, r;

    r = fv_act_prepare_next(act, FV_ACTION_SUBMIT, err);
    if (r < 0)
        return r;
    submit_rule = act->rule;
    act->state = r;
    next = r = fv_act_prepare_next(act, FV_ACTION_APPROVE, err);
    if (r >= 0)
        r = fv_act_find_current(act, &current, err);
    if (r == 0)
        r = check_again(act->txn, act->target, &act->version->row, err);
    if (r < 0)
        return r;
    approve_rule = act->rule;
    silent.note = NULL;
    act->action = FV_ACTION_SUBMIT;
    act->rule = submit_rule;
    act->target = &silent;
    r = submit(act, FLAGVER_STATE_SUBMITTED, err);
    if (r < 0)
        return r;
    act->action = FV_ACTION_APPROVE;
    act->rule = approve_rule;
    act->target = target;
    return approve(act, next, err);
}

int fv_record_approve(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                      struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_staged *current;
    struct fv_act act;
    int next, r;

    r = fv_act_begin(&act, txn, target, &no, err);
    if (r < 0)
        return r;
    *ret_version = act.version;
    if (target->flags & FLAGVER_WRITE_SUBMIT && act.state == FLAGVER_STATE_DRAFT)
        return submit_and_approve(&act, err);
    next = r = fv_act_prepare_next(&act, FV_ACTION_APPROVE, err);
    if (r >= 0)
        r = fv_act_find_current(&act, &current, err);
    if (r == 0)
        r = check_again(txn, target, &act.version->row, err);
    return r < 0 ? r : approve(&act, next, err);
}

int fv_record_review(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    flagver_bytes note = { NULL, 0 };
    struct fv_act act;
    int64_t time;
    int r;

    r = fv_act_prepare(&act, txn, target, FV_ACTION_REVIEW, no, err);
    if (r >= 0)
        r = fv_act_note(&act, &note, err);
    if (r < 0)
        return r;
    *ret_version = act.version;
    time = fv_txn_time(txn, act.series);
    r = fv_votes_add(txn, act.version, time, note, err);
    if (r == 0)
        r = fv_txn_change_series(txn, act.series, act.series->row.current_no, time, err);
    return r < 0 ? r : fv_act_leaf(&act, &act.version->row, act.state, 0, err);
}

/* ---- what is there ---- */

static int lock(flagver_txn *txn, const struct fv_target *target, struct fv_series **ret_series,
                flagver_error *err)
{
    return fv_txn_series(txn, target->phase, target->subject, false, ret_series, err);
}

int fv_record_get(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                  struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_series *series;
    int r = lock(txn, target, &series, err);

    return r < 0 ? r : fv_txn_version(txn, series, no, true, ret_version, err);
}

int fv_record_current(flagver_txn *txn, const struct fv_target *target,
                      struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_series *series;
    int r;

    r = lock(txn, target, &series, err);
    if (r < 0)
        return r;
    if (series->row.current_no) {
        r = fv_txn_version(txn, series, series->row.current_no, true, ret_version, err);
        if (r < 0 || !((*ret_version)->row.bits & FLAGVER_VERSION_TOMBSTONE))
            return r;
    }
    return fv_fail(err, FLAGVER_ENOTFOUND, "no version of \"%.256s\" is in force", target->subject);
}

/* ---- back, and away ---- */

static int content_of_past(struct fv_act *act, struct fv_content *ret_content, flagver_error *err)
{
    const flagver_version_row *row = &act->version->row;
    int r;

    if (row->bits & FLAGVER_VERSION_TOMBSTONE)
        return fv_fail(err, FLAGVER_ESTATE, "version %u is a deletion; delete \"%.256s\" instead",
                       (unsigned)row->no, act->target->subject);
    if (!row->payload.data)
        return fv_fail(err, FLAGVER_ESTATE, "the payload of version %u was shredded",
                       (unsigned)row->no);
    r = fv_record_content(act->txn, act->target, row->payload.data, row->payload.length,
                          ret_content, err);
    ret_content->reverts_no = row->no;
    return r;
}

int fv_record_revert(flagver_txn *txn, const struct fv_target *target, uint32_t no, bool do_submit,
                     struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_target again = *target;
    struct fv_content content;
    struct fv_act act;
    int r;

    r = fv_act_prepare(&act, txn, target, FV_ACTION_REVERT, no, err);
    if (r < 0)
        return r;
    if (r == FLAGVER_STATE_APPROVED || r == FLAGVER_STATE_SUPERSEDED)
        again.baseline_no = no;
    if (!again.parent_no)
        again.parent_no = act.series->row.current_no;
    r = content_of_past(&act, &content, err);
    if (r < 0)
        return r;
    return do_submit || target->policy->approvals == 0
               ? fv_record_put(txn, &again, &content, ret_version, err)
               : fv_record_create(txn, &again, &content, ret_version, err);
}

int fv_record_remove(flagver_txn *txn, const struct fv_target *target,
                     struct fv_staged **ret_version, flagver_error *err)
{
    const struct fv_content tombstone = { .payload = fv_bytes(""),
                                          .bits = FLAGVER_VERSION_TOMBSTONE };
    struct fv_staged *current;
    int r;

    if (target->baseline_no)
        return fv_fail(err, FLAGVER_EINVAL, "options.baseline_no is %u; a deletion has no items",
                       (unsigned)target->baseline_no);
    r = fv_record_current(txn, target, &current, err);
    if (r == 0 && is_definition(target))
        r = fv_references_check_removal(txn, target->form == FV_FORM_SEGMENT, target->subject, err);
    return r < 0 ? r : fv_record_put(txn, target, &tombstone, ret_version, err);
}
