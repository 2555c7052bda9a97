#include "engine/acting.h"

#include <string.h>

#include "engine/items.h"
#include "engine/policies.h"
#include "engine/votes.h"
#include "util/fail.h"

/* ---- words for what is refused ---- */

static const char *done(enum fv_action action)
{
    static const char *const words[] = {
        [FV_ACTION_CREATE] = "created",     [FV_ACTION_EDIT] = "edited",
        [FV_ACTION_REBASE] = "rebased",     [FV_ACTION_SUBMIT] = "submitted",
        [FV_ACTION_RETURN] = "returned",    [FV_ACTION_DECIDE] = "decided about",
        [FV_ACTION_APPROVE] = "approved",   [FV_ACTION_REJECT] = "rejected",
        [FV_ACTION_WITHDRAW] = "withdrawn", [FV_ACTION_RECORD] = "recorded",
        [FV_ACTION_REVIEW] = "reviewed",    [FV_ACTION_SHRED] = "shredded",
        [FV_ACTION_REVERT] = "gone back to"
    };

    return words[action];
}

static int refuse_denied(const struct fv_act *act, flagver_error *err)
{
    const char *policy = act->target->policy->subject, *actor = fv_txn_actor(act->txn);
    const char *phase = act->target->phase, *subject = act->target->subject;

    if (act->emergency)
        return fv_fail(
            err, FLAGVER_EDENIED,
            "%s may not do this to %s \"%.256s\" without approval: the emergency rule of "
            "\"%.256s\" does not name him",
            actor, phase, subject, policy);
    return fv_fail(err, FLAGVER_EDENIED, "%s may not %s %s \"%.256s\": %s%s%s does not allow it",
                   actor, fv_action_name((int)act->action), phase, subject,
                   act->by_host ? "the host"
                   : *policy    ? "the policy \""
                                : "the built-in policy",
                   act->by_host ? "" : policy, act->by_host || !*policy ? "" : "\"");
}

static int refuse_phase(const struct fv_act *act, flagver_error *err)
{
    if (act->action == FV_ACTION_RECORD)
        return fv_fail(err, FLAGVER_EPHASE, "phase \"%s\" has versions; it does not only record",
                       act->target->phase);
    if (act->version && act->state == FLAGVER_STATE_RECORDED)
        return fv_fail(err, FLAGVER_EPHASE, "version %u was recorded: it cannot be %s",
                       (unsigned)act->version->row.no, done(act->action));
    return fv_fail(err, FLAGVER_EPHASE, "phase \"%s\" only records: nothing in it can be %s",
                   act->target->phase, done(act->action));
}

static int refuse_expectation(const struct fv_act *act, flagver_error *err)
{
    const struct fv_target *target = act->target;
    uint32_t current = act->series->row.current_no;

    if (target->expect_no == FLAGVER_EXPECT_NONE)
        return fv_fail(err, FLAGVER_ECONFLICT, "\"%.256s\" is there already, as version %u",
                       target->subject, (unsigned)current);
    if (!current)
        return fv_fail(err, FLAGVER_ECONFLICT, "\"%.256s\" is not there; version %u was expected",
                       target->subject, (unsigned)target->expect_no);
    return fv_fail(err, FLAGVER_ECONFLICT, "\"%.256s\" is at version %u, not %u", target->subject,
                   (unsigned)current, (unsigned)target->expect_no);
}

static int refuse_state(const struct fv_act *act, int code, flagver_error *err)
{
    unsigned no = (unsigned)act->version->row.no;

    if (act->action == FV_ACTION_REVIEW)
        return fv_fail(err, code, "version %u did not come into force by an emergency", no);
    if (act->action == FV_ACTION_REVERT)
        return fv_fail(err, code, "version %u is %s: there is nothing to go back to", no,
                       fv_state_name(act->state));
    return fv_fail(err, code, "version %u is %s: it cannot be %s", no, fv_state_name(act->state),
                   done(act->action));
}

static int refuse_stale(const struct fv_act *act, flagver_error *err)
{
    const flagver_version_row *row = &act->version->row;
    unsigned current = (unsigned)act->series->row.current_no;

    if (act->action == FV_ACTION_REBASE || act->target->policy->allow_stale)
        return fv_fail(err, FLAGVER_ESTALE,
                       "version %u is older than version %u, which is in force", (unsigned)row->no,
                       current);
    if (!row->base_no)
        return fv_fail(err, FLAGVER_ESTALE,
                       "version %u was made when none was in force, and now %u is",
                       (unsigned)row->no, current);
    return fv_fail(err, FLAGVER_ESTALE,
                   "version %u was made from version %u, and now %u is in force", (unsigned)row->no,
                   (unsigned)row->base_no, current);
}

static int refuse(const struct fv_act *act, int code, flagver_error *err)
{
    unsigned no = act->version ? (unsigned)act->version->row.no : 0;
    const char *actor = fv_txn_actor(act->txn);

    switch (code) {
    case FLAGVER_EDENIED:
        return refuse_denied(act, err);
    case FLAGVER_EPHASE:
        return refuse_phase(act, err);
    case FLAGVER_ECONFLICT:
        return refuse_expectation(act, err);
    case FLAGVER_EEXIST:
        return fv_fail(err, code, "%s has %s version %u already", actor, done(act->action), no);
    case FLAGVER_ESELF:
        return fv_fail(err, code, "%s has written version %u, or a part of it", actor, no);
    case FLAGVER_ECHANGED:
        return fv_fail(err, code, "version %u does not have the content that was looked at", no);
    case FLAGVER_ESTALE:
        return refuse_stale(act, err);
    case FLAGVER_EINCOMPLETE:
        return fv_fail(err, code, "item \"%.256s\" of version %u is not decided yet",
                       act->undecided, no);
    default:
        return refuse_state(act, code, err);
    }
}

/* ---- facts ---- */

/* What is in force is not what the caller believes to be; a tombstone is nothing. */
static int find_conflict(struct fv_act *act, bool *ret_conflict, flagver_error *err)
{
    uint32_t current = act->series->row.current_no, expected = act->target->expect_no;
    struct fv_staged *version;
    int r;

    *ret_conflict = false;
    if (!expected || expected == current || (expected == FLAGVER_EXPECT_NONE && !current))
        return 0;
    *ret_conflict = true;
    if (expected != FLAGVER_EXPECT_NONE)
        return 0;
    r = fv_txn_version(act->txn, act->series, current, false, &version, err);
    if (r == 0)
        *ret_conflict = !(version->row.bits & FLAGVER_VERSION_TOMBSTONE);
    return r;
}

/* Authors may take back what they have handed in, and who could approve it may send it back. */
static int find_permission(struct fv_act *act, bool *ret_denied, flagver_error *err)
{
    const struct fv_policy *policy = act->target->policy;
    struct fv_claim claim = { act->target->phase, act->target->subject, act->action,
                              act->emergency ? &policy->emergency
                                             : fv_policy_permit(policy, act->action) };
    int r;

    act->rule = NULL;
    r = fv_policies_allow(act->txn, &claim, &act->rule, err);
    if (r == 0 && act->action == FV_ACTION_RETURN) {
        claim.rule = &policy->approve;
        r = fv_policies_allow(act->txn, &claim, &act->rule, err);
    }
    *ret_denied = r == 0;
    act->by_host = r == 0 && act->rule;
    return r < 0 ? r : 0;
}

/* What can be known without asking the store further. */
static int find_first_facts(struct fv_act *act, struct fv_version_facts *facts, flagver_error *err)
{
    const struct fv_policy *policy = act->target->policy;
    const flagver_version_row *row = act->version ? &act->version->row : NULL;
    int r;

    *facts = (struct fv_version_facts){ .state = act->state,
                                        .audit_only = policy->audit_only,
                                        .emergency = act->emergency ||
                                                     (row && row->bits & FLAGVER_VERSION_EMERGENCY),
                                        .allow_self = policy->allow_self,
                                        .no = act->series->row.last_no + 1,
                                        .base_no = act->series->row.current_no,
                                        .current_no = act->series->row.current_no,
                                        .allow_stale = policy->allow_stale,
                                        .votes = policy->approvals,
                                        .approvals = policy->approvals };
    if (row) {
        facts->no = row->no;
        facts->base_no = row->base_no;
        facts->changed = act->target->content_hash &&
                         memcmp(act->target->content_hash, row->content_hash, 32) != 0;
    }
    r = find_permission(act, &facts->denied, err);
    return r < 0 ? r : find_conflict(act, &facts->conflict, err);
}

static bool is_of_reviewers(enum fv_action action)
{
    return action == FV_ACTION_APPROVE || action == FV_ACTION_DECIDE || action == FV_ACTION_REVIEW;
}

static int find_other_facts(struct fv_act *act, struct fv_version_facts *facts, flagver_error *err)
{
    int r = 0;

    if (is_of_reviewers(act->action)) {
        r = fv_votes_is_author(act->txn, act->version, &facts->is_author, err);
        act->is_author = facts->is_author;
        if (r == 0 && act->action != FV_ACTION_DECIDE)
            r = fv_votes_count(act->txn, act->version, facts->allow_self, &facts->votes,
                               &facts->has_voted, err);
        facts->votes++; /* this one */
    }
    if (r == 0 && act->version && act->target->policy->items_complete &&
        (act->action == FV_ACTION_APPROVE || act->action == FV_ACTION_SUBMIT))
        r = fv_items_undecided(act->txn, act->version, &act->undecided, err);
    facts->undecided = act->undecided != NULL;
    return r;
}

int fv_act_prepare_next(struct fv_act *act, enum fv_action action, flagver_error *err)
{
    struct fv_version_facts facts;
    int r;

    act->action = action;
    r = find_first_facts(act, &facts, err);
    if (r < 0)
        return r;
    r = fv_version_judge(action, &facts);
    if (r >= 0 || r == FLAGVER_ECHANGED || r == FLAGVER_ESTALE) {
        /* What comes before these in order may still be in the way. */
        r = find_other_facts(act, &facts, err);
        if (r < 0)
            return r;
        r = fv_version_judge(action, &facts);
    }
    return r < 0 ? refuse(act, r, err) : r;
}

int fv_act_begin(struct fv_act *act, flagver_txn *txn, const struct fv_target *target,
                 const uint32_t *no, flagver_error *err)
{
    int r;

    *act = (struct fv_act){ .txn = txn, .target = target };
    /* Where no approval is asked for an emergency is a change like others. */
    act->emergency = target->flags & FLAGVER_WRITE_EMERGENCY && target->policy->approvals > 0;
    if (act->emergency && (!target->note || !*target->note))
        return fv_fail(err, FLAGVER_EINVAL, "an emergency needs a note that says why");
    r = fv_txn_series(txn, target->phase, target->subject, !no, &act->series, err);
    if (r == 0 && no)
        r = fv_txn_version(txn, act->series, *no, true, &act->version, err);
    if (r < 0)
        return r;
    act->state = act->version ? act->version->row.state : 0;
    return 0;
}

int fv_act_prepare(struct fv_act *act, flagver_txn *txn, const struct fv_target *target,
                   enum fv_action action, uint32_t no, flagver_error *err)
{
    bool is_new = action == FV_ACTION_CREATE || action == FV_ACTION_RECORD;
    int r = fv_act_begin(act, txn, target, is_new ? NULL : &no, err);

    return r < 0 ? r : fv_act_prepare_next(act, action, err);
}

int fv_act_find_current(struct fv_act *act, struct fv_staged **ret_current, flagver_error *err)
{
    uint32_t no = act->series->row.current_no;
    int r;

    *ret_current = NULL;
    if (!no)
        return 0;
    r = fv_txn_version(act->txn, act->series, no, false, ret_current, err);
    if (r < 0)
        return r;
    if (((*ret_current)->row.state == FLAGVER_STATE_RECORDED) != act->target->policy->audit_only)
        return fv_fail(err, FLAGVER_EPHASE,
                       "version %u of \"%.256s\" is %s: when it was made the phase \"%s\" was of "
                       "another kind",
                       (unsigned)no, act->target->subject, fv_state_name((*ret_current)->row.state),
                       act->target->phase);
    return 0;
}

/* ---- what it leaves ---- */

int fv_act_note(const struct fv_act *act, flagver_bytes *ret_note, flagver_error *err)
{
    const char *note = act->target->note;
    char *copy;

    if (!note)
        return 0;
    copy = fv_arena_string(fv_txn_arena(act->txn), note, strlen(note));
    if (!copy)
        return fv_fail_memory(err);
    *ret_note = fv_bytes(copy);
    return 0;
}

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

int fv_act_leaf(const struct fv_act *act, const flagver_version_row *row, int from,
                uint32_t supersedes, flagver_error *err)
{
    const struct fv_policy *policy = act->target->policy;
    struct fv_audit_leaf leaf = { .time = act->series->row.changed_at,
                                  .action = (uint8_t)act->action,
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
                                  .supersedes = supersedes,
                                  .policy = fv_bytes(policy->subject),
                                  .policy_no = policy->no,
                                  .rule = fv_bytes(act->rule) };
    int r;

    if (act->is_author && is_of_reviewers(act->action))
        leaf.bits |= FLAGVER_AUDIT_SELF;
    memcpy(leaf.content_hash, row->content_hash, sizeof leaf.content_hash);
    r = hash_note(act->txn, row, fv_bytes(act->target->note), leaf.note_hash, err);
    if (r == 0 && act->version)
        r = fv_items_decisions(act->txn, act->version, leaf.decisions_hash, err);
    return r < 0 ? r : fv_txn_leaf(act->txn, &leaf, err);
}

/* The version in force makes room for the next one. */
static int supersede(struct fv_act *act, uint32_t by, int64_t time, flagver_error *err)
{
    struct fv_staged *current;
    int r;

    r = fv_act_find_current(act, &current, err);
    if (r < 0 || !current)
        return r;
    current->row.state = FLAGVER_STATE_SUPERSEDED;
    current->row.superseded_by = by;
    current->row.superseded_at = time;
    return fv_txn_change_version(act->txn, current, false, err);
}

int fv_act_into_force(struct fv_act *act, struct fv_staged *version, uint32_t *ret_supersedes,
                      flagver_error *err)
{
    int64_t time = fv_txn_time(act->txn, act->series);
    int r;

    *ret_supersedes = act->series->row.current_no;
    r = supersede(act, version->row.no, time, err);
    if (r < 0)
        return r;
    version->row.state = FLAGVER_STATE_APPROVED;
    version->row.decided_at = time;
    version->row.decided_by = fv_bytes(fv_txn_actor(act->txn));
    if (!version->row.submitted_at)
        version->row.submitted_at = time;
    r = fv_txn_change_series(act->txn, act->series, version->row.no, time, err);
    if (r == 0)
        r = fv_txn_change_version(act->txn, version, false, err);
    return r < 0 ? r : fv_policies_changed(act->txn, act->target->form, err);
}

int fv_act_move(struct fv_act *act, int state, flagver_error *err)
{
    flagver_version_row *row = &act->version->row;
    int from = row->state, r;

    row->state = state;
    r = fv_txn_change_series(act->txn, act->series, act->series->row.current_no,
                             fv_txn_time(act->txn, act->series), err);
    if (r == 0)
        r = fv_txn_change_version(act->txn, act->version, false, err);
    return r < 0 ? r : fv_act_leaf(act, row, from, 0, err);
}
