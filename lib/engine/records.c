#include "engine/records.h"

#include <string.h>

#include "codec/payload.h"
#include "engine/references.h"
#include "model/flag.h"
#include "model/version.h"
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

/* What the payloads of a phase are, and what its subjects are called. */
static const struct {
    const char *phase;
    enum fv_form form;
    const char *subject;
    size_t subject_limit;
} forms[] = {
    { FLAGVER_PHASE_FLAG, FV_FORM_FLAG, "flag key", FV_FLAG_KEY_LIMIT },
    { FLAGVER_PHASE_SEGMENT, FV_FORM_SEGMENT, "segment name", FV_FLAG_KEY_LIMIT },
    { FLAGVER_PHASE_PHASE, FV_FORM_POLICY, "phase", FLAGVER_SUBJECT_LIMIT },
    { FLAGVER_PHASE_ASSIGNMENT, FV_FORM_ASSIGNMENT, "assignment", FLAGVER_SUBJECT_LIMIT },
    { "", FV_FORM_JSON, "subject", FLAGVER_SUBJECT_LIMIT },
};

/* The last one is for all others. */
static size_t form_of(const char *phase)
{
    size_t i = 0;

    while (forms[i].form != FV_FORM_JSON && strcmp(forms[i].phase, phase) != 0)
        i++;
    return i;
}

int fv_record_target(const char *phase, const char *subject, const flagver_write_options *options,
                     struct fv_target *ret_target, flagver_error *err)
{
    flagver_write_options given;
    size_t form;
    int r;

    r = fv_record_options(options, &given, err);
    if (r == 0)
        r = fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);
    if (r < 0)
        return r;
    form = form_of(phase);
    r = fv_check_text(forms[form].subject, subject, forms[form].subject_limit, err);
    if (r < 0)
        return r;
    *ret_target = (struct fv_target){ .phase = phase,
                                      .subject = subject,
                                      .form = forms[form].form,
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
    static const struct fv_policy built_in = { .subject = "" };

    (void)txn;
    if (target->form != FV_FORM_FLAG && target->form != FV_FORM_SEGMENT)
        return fv_fail(err, FLAGVER_ENOTFOUND, "there is no phase \"%s\"", target->phase);
    target->policy = &built_in;
    return 0;
}

static bool is_definition(const struct fv_target *target)
{
    return target->form == FV_FORM_FLAG || target->form == FV_FORM_SEGMENT;
}

static int lock(flagver_txn *txn, const struct fv_target *target, bool create,
                struct fv_series **ret_series, flagver_error *err)
{
    return fv_txn_series(txn, target->phase, target->subject, create, ret_series, err);
}

static int refuse_expectation(const struct fv_target *target, const struct fv_series *series,
                              flagver_error *err)
{
    uint32_t current = series->row.current_no;

    if (target->expect_no == FLAGVER_EXPECT_NONE)
        return fv_fail(err, FLAGVER_ECONFLICT, "\"%.256s\" is there already, as version %u",
                       target->subject, (unsigned)current);
    if (!current)
        return fv_fail(err, FLAGVER_ECONFLICT, "\"%.256s\" is not there; version %u was expected",
                       target->subject, (unsigned)target->expect_no);
    return fv_fail(err, FLAGVER_ECONFLICT, "\"%.256s\" is at version %u, not %u", target->subject,
                   (unsigned)current, (unsigned)target->expect_no);
}

/* What is in force is what the caller believes to be. */
static int check_expectation(flagver_txn *txn, const struct fv_target *target,
                             struct fv_series *series, flagver_error *err)
{
    uint32_t current = series->row.current_no;
    struct fv_staged *version;
    int r;

    if (!target->expect_no || target->expect_no == current)
        return 0;
    if (target->expect_no != FLAGVER_EXPECT_NONE)
        return refuse_expectation(target, series, err);
    if (!current)
        return 0;
    r = fv_txn_version(txn, series, current, false, &version, err);
    if (r < 0)
        return r;
    return version->row.bits & FLAGVER_VERSION_TOMBSTONE ? 0
                                                         : refuse_expectation(target, series, err);
}

int fv_record_expected(flagver_txn *txn, const struct fv_target *target, flagver_error *err)
{
    struct fv_series *series;
    int r = lock(txn, target, true, &series, err);

    return r < 0 ? r : check_expectation(txn, target, series, err);
}

/* ---- content ---- */

int fv_record_checked(flagver_txn *txn, const char *canonical, size_t length,
                      struct fv_content *ret_content, flagver_error *err)
{
    char *copy;

    if (length > FLAGVER_PAYLOAD_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "the payload is %zu bytes; up to %u allowed", length,
                       FLAGVER_PAYLOAD_LIMIT);
    copy = fv_arena_string(fv_txn_arena(txn), canonical, length);
    if (!copy)
        return fv_fail_memory(err);
    *ret_content = (struct fv_content){ .payload = fv_bytes_of(copy, length) };
    return 0;
}

static int check_content(flagver_txn *txn, const struct fv_target *target, const char *json,
                         size_t length, struct fv_text *canonical, flagver_error *err)
{
    if (!is_definition(target))
        return fv_payload_canonical(json, length, canonical, err);
    return fv_references_check(txn, target->form == FV_FORM_SEGMENT, target->subject, json, length,
                               canonical, err);
}

int fv_record_content(flagver_txn *txn, const struct fv_target *target, const char *json,
                      size_t length, struct fv_content *ret_content, flagver_error *err)
{
    struct fv_text canonical = FV_TEXT_INIT;
    int r;

    r = check_content(txn, target, json, length, &canonical, err);
    if (r == 0)
        r = fv_record_checked(txn, canonical.data, canonical.length, ret_content, err);
    fv_text_clear(&canonical);
    return r;
}

static int hash_content(flagver_txn *txn, const struct fv_content *content, uint8_t out[32],
                        flagver_error *err)
{
    const struct fv_words part = { content->payload.data, content->payload.length };

    return fv_txn_digest(txn, &part, 1, out, err);
}

/* ---- leaves ---- */

/* Salted with what everybody may know: equal notes on different versions look different. */
static int hash_note(flagver_txn *txn, const flagver_version_row *row, flagver_bytes note,
                     uint8_t out[32], flagver_error *err)
{
    const uint8_t no[4] = { (uint8_t)(row->no >> 24), (uint8_t)(row->no >> 16),
                            (uint8_t)(row->no >> 8), (uint8_t)row->no };
    const struct fv_words parts[] = { { row->phase.data, row->phase.length },
                                      { "", 1 },
                                      { row->subject.data, row->subject.length },
                                      { "", 1 },
                                      { no, sizeof no },
                                      { note.data, note.length } };

    return note.data ? fv_txn_digest(txn, parts, sizeof parts / sizeof *parts, out, err) : 0;
}

/* What has just become of the version; its time is when the series changed last. */
static int add_leaf(flagver_txn *txn, const struct fv_series *series,
                    const flagver_version_row *row, enum fv_action action, int from,
                    uint32_t supersedes, const char *note, flagver_error *err)
{
    struct fv_audit_leaf leaf = { .time = series->row.changed_at,
                                  .action = (uint8_t)action,
                                  .phase = row->phase,
                                  .subject = row->subject,
                                  .no = row->no,
                                  .from = (uint8_t)from,
                                  .to = (uint8_t)row->state,
                                  .bits = row->bits,
                                  .rev = row->rev,
                                  .parent_no = row->parent_no,
                                  .base_no = row->base_no,
                                  .reverts_no = row->reverts_no,
                                  .supersedes = supersedes };
    int r;

    memcpy(leaf.content_hash, row->content_hash, sizeof leaf.content_hash);
    r = hash_note(txn, row, fv_bytes(note), leaf.note_hash, err);
    return r < 0 ? r : fv_txn_leaf(txn, &leaf, err);
}

static int keep_note(flagver_txn *txn, const char *note, flagver_bytes *ret_note,
                     flagver_error *err)
{
    char *copy;

    if (!note)
        return 0;
    copy = fv_arena_string(fv_txn_arena(txn), note, strlen(note));
    if (!copy)
        return fv_fail_memory(err);
    *ret_note = fv_bytes(copy);
    return 0;
}

/* ---- transitions ---- */

static int create(flagver_txn *txn, struct fv_series *series, const struct fv_target *target,
                  const struct fv_content *content, struct fv_staged **ret_version,
                  flagver_error *err)
{
    flagver_version_row row = { .state = FLAGVER_STATE_DRAFT,
                                .parent_no = series->row.current_no,
                                .base_no = series->row.current_no,
                                .reverts_no = content->reverts_no,
                                .bits = content->bits,
                                .created_by = fv_bytes(fv_txn_actor(txn)),
                                .payload = content->payload };
    int r;

    r = hash_content(txn, content, row.content_hash, err);
    if (r == 0)
        r = keep_note(txn, target->note, &row.note, err);
    if (r < 0)
        return r;
    row.created_at = fv_txn_time(txn, series);
    r = fv_txn_add_version(txn, series, &row, ret_version, err);
    return r < 0 ? r
                 : add_leaf(txn, series, &(*ret_version)->row, FV_ACTION_CREATE, 0, 0, target->note,
                            err);
}

/* The version in force makes room for the next one. */
static int supersede(flagver_txn *txn, struct fv_series *series, uint32_t by, int64_t time,
                     flagver_error *err)
{
    struct fv_staged *current;
    int r;

    if (!series->row.current_no)
        return 0;
    r = fv_txn_version(txn, series, series->row.current_no, false, &current, err);
    if (r < 0)
        return r;
    current->row.state = FLAGVER_STATE_SUPERSEDED;
    current->row.superseded_by = by;
    current->row.superseded_at = time;
    return fv_txn_change_version(txn, current, false, err);
}

static int approve(flagver_txn *txn, struct fv_series *series, struct fv_staged *version,
                   const char *note, flagver_error *err)
{
    uint32_t supersedes = series->row.current_no;
    int64_t time = fv_txn_time(txn, series);
    int r;

    r = supersede(txn, series, version->row.no, time, err);
    if (r < 0)
        return r;
    version->row.state = FLAGVER_STATE_APPROVED;
    version->row.submitted_at = time;
    version->row.decided_at = time;
    version->row.decided_by = fv_bytes(fv_txn_actor(txn));
    r = fv_txn_change_series(txn, series, version->row.no, time, err);
    if (r == 0)
        r = fv_txn_change_version(txn, version, false, err);
    return r < 0 ? r
                 : add_leaf(txn, series, &version->row, FV_ACTION_SUBMIT, FLAGVER_STATE_DRAFT,
                            supersedes, note, err);
}

static int refuse_transition(const struct fv_staged *version, enum fv_action action, int code,
                             flagver_error *err)
{
    return fv_fail(err, code, "version %u is %s: it cannot be %s", (unsigned)version->row.no,
                   fv_state_name(version->row.state),
                   action == FV_ACTION_EDIT     ? "edited"
                   : action == FV_ACTION_SUBMIT ? "submitted"
                                                : "withdrawn");
}

/* The version, when the action is possible in its state; 0, or the new state. */
static int find_for(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                    enum fv_action action, struct fv_series **ret_series,
                    struct fv_staged **ret_version, flagver_error *err)
{
    int r;

    r = lock(txn, target, false, ret_series, err);
    if (r == 0)
        r = check_expectation(txn, target, *ret_series, err);
    if (r == 0)
        r = fv_txn_version(txn, *ret_series, no, true, ret_version, err);
    if (r < 0)
        return r;
    r = fv_version_judge(action,
                         &(struct fv_version_facts){ .state = (*ret_version)->row.state,
                                                     .no = no,
                                                     .base_no = (*ret_version)->row.base_no,
                                                     .current_no = (*ret_series)->row.current_no,
                                                     .approvals = target->policy->approvals });
    return r < 0 ? refuse_transition(*ret_version, action, r, err) : r;
}

/* ---- operations ---- */

int fv_record_create(flagver_txn *txn, const struct fv_target *target,
                     const struct fv_content *content, struct fv_staged **ret_version,
                     flagver_error *err)
{
    struct fv_series *series;
    int r;

    r = lock(txn, target, true, &series, err);
    if (r == 0)
        r = check_expectation(txn, target, series, err);
    return r < 0 ? r : create(txn, series, target, content, ret_version, err);
}

int fv_record_edit(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                   const struct fv_content *content, struct fv_staged **ret_version,
                   flagver_error *err)
{
    struct fv_series *series;
    struct fv_staged *version;
    int r;

    r = find_for(txn, target, no, FV_ACTION_EDIT, &series, &version, err);
    if (r < 0)
        return r;
    r = hash_content(txn, content, version->row.content_hash, err);
    if (r == 0)
        r = keep_note(txn, target->note, &version->row.note, err);
    if (r < 0)
        return r;
    version->row.payload = content->payload;
    r = fv_txn_change_series(txn, series, series->row.current_no, fv_txn_time(txn, series), err);
    if (r == 0)
        r = fv_txn_change_version(txn, version, true, err);
    if (r == 0)
        r = add_leaf(txn, series, &version->row, FV_ACTION_EDIT, FLAGVER_STATE_DRAFT, 0,
                     target->note, err);
    *ret_version = version;
    return r;
}

int fv_record_submit(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_content content;
    struct fv_series *series;
    struct fv_staged *version;
    int r;

    r = find_for(txn, target, no, FV_ACTION_SUBMIT, &series, &version, err);
    if (r < 0)
        return r;
    if (version->row.base_no != series->row.current_no)
        return fv_fail(err, FLAGVER_ESTALE,
                       "version %u was made from version %u, and now %u is in force", (unsigned)no,
                       (unsigned)version->row.base_no, (unsigned)series->row.current_no);
    /* What it refers to may be gone since it was written. */
    r = fv_record_content(txn, target, version->row.payload.data, version->row.payload.length,
                          &content, err);
    if (r == 0)
        r = keep_note(txn, target->note, &version->row.note, err);
    if (r < 0)
        return r;
    *ret_version = version;
    return approve(txn, series, version, target->note, err);
}

int fv_record_withdraw(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                       struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_series *series;
    struct fv_staged *version;
    int from, r;

    r = find_for(txn, target, no, FV_ACTION_WITHDRAW, &series, &version, err);
    if (r >= 0)
        r = keep_note(txn, target->note, &version->row.note, err);
    if (r < 0)
        return r;
    from = version->row.state;
    version->row.state = FLAGVER_STATE_WITHDRAWN;
    r = fv_txn_change_series(txn, series, series->row.current_no, fv_txn_time(txn, series), err);
    if (r == 0)
        r = fv_txn_change_version(txn, version, false, err);
    if (r == 0)
        r = add_leaf(txn, series, &version->row, FV_ACTION_WITHDRAW, from, 0, target->note, err);
    *ret_version = version;
    return r;
}

int fv_record_put(flagver_txn *txn, const struct fv_target *target,
                  const struct fv_content *content, struct fv_staged **ret_version,
                  flagver_error *err)
{
    struct fv_series *series;
    int r;

    r = lock(txn, target, true, &series, err);
    if (r == 0)
        r = check_expectation(txn, target, series, err);
    if (r == 0)
        r = create(txn, series, target, content, ret_version, err);
    return r < 0 ? r : approve(txn, series, *ret_version, NULL, err);
}

int fv_record_get(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                  struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_series *series;
    int r = lock(txn, target, false, &series, err);

    return r < 0 ? r : fv_txn_version(txn, series, no, true, ret_version, err);
}

int fv_record_current(flagver_txn *txn, const struct fv_target *target,
                      struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_series *series;
    int r;

    r = lock(txn, target, false, &series, err);
    if (r < 0)
        return r;
    if (series->row.current_no) {
        r = fv_txn_version(txn, series, series->row.current_no, true, ret_version, err);
        if (r < 0 || !((*ret_version)->row.bits & FLAGVER_VERSION_TOMBSTONE))
            return r;
    }
    return fv_fail(err, FLAGVER_ENOTFOUND, "no version of \"%.256s\" is in force", target->subject);
}

int fv_record_revert(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_content content;
    struct fv_staged *past;
    int r;

    r = fv_record_get(txn, target, no, &past, err);
    if (r < 0)
        return r;
    if (past->row.state == FLAGVER_STATE_DRAFT || past->row.state == FLAGVER_STATE_SUBMITTED)
        return fv_fail(err, FLAGVER_ESTATE, "version %u is %s: there is nothing to go back to",
                       (unsigned)no, fv_state_name(past->row.state));
    if (past->row.bits & FLAGVER_VERSION_TOMBSTONE)
        return fv_fail(err, FLAGVER_ESTATE, "version %u is a deletion; delete \"%.256s\" instead",
                       (unsigned)no, target->subject);
    r = fv_record_content(txn, target, past->row.payload.data, past->row.payload.length, &content,
                          err);
    content.reverts_no = no;
    return r < 0 ? r : fv_record_put(txn, target, &content, ret_version, err);
}

int fv_record_remove(flagver_txn *txn, const struct fv_target *target,
                     struct fv_staged **ret_version, flagver_error *err)
{
    const struct fv_content tombstone = { .payload = fv_bytes(""),
                                          .bits = FLAGVER_VERSION_TOMBSTONE };
    struct fv_staged *current;
    int r;

    r = fv_record_current(txn, target, &current, err);
    if (r == 0 && is_definition(target))
        r = fv_references_check_removal(txn, target->form == FV_FORM_SEGMENT, target->subject, err);
    return r < 0 ? r : fv_record_put(txn, target, &tombstone, ret_version, err);
}
