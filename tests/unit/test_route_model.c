/*
 * The decisions of the routing protocol, one by one. That they hold together is for
 * tests/model/route_checker.c.
 */
#include "model/route.h"

#include <stdio.h>

#include "model/ledger.h"
#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

#define OFF FLAGVER_STAGE_OFF
#define DUAL FLAGVER_STAGE_DUALWRITE
#define SHADOW FLAGVER_STAGE_SHADOW
#define LIVE FLAGVER_STAGE_LIVE
#define DOWN FLAGVER_STAGE_RAMPDOWN
#define COMPLETE FLAGVER_STAGE_COMPLETE

/* ---- fences ---- */

struct admission_row {
    const char *label;
    enum fv_role role;
    uint64_t version;
    enum fv_admission admission;
};

static const struct admission_row admission_rows[] = {
    { "the authority", FV_ROLE_AUTHORITY, 3, FV_ADMIT_GO },
    { "the authority, planned before a change", FV_ROLE_AUTHORITY, 2, FV_ADMIT_ELSEWHERE },
    { "the authority, planned after a change to come", FV_ROLE_AUTHORITY, 4, FV_ADMIT_ELSEWHERE },
    { "a secondary", FV_ROLE_SECONDARY, 3, FV_ADMIT_ELSEWHERE },
    { "one that is prepared", FV_ROLE_PREPARED, 3, FV_ADMIT_ELSEWHERE },
    { "one that is frozen", FV_ROLE_FROZEN, 3, FV_ADMIT_WAIT },
    { "one that is frozen, planned before a change", FV_ROLE_FROZEN, 2, FV_ADMIT_WAIT },
    { "no fence", FV_ROLE_NONE, 0, FV_ADMIT_ELSEWHERE },
};

START_TEST(only_the_authority_admits_and_only_what_was_planned_for_its_version)
{
    const struct admission_row *row = &admission_rows[_i];
    const struct fv_fence fence = {
        .role = row->role, .stage = DUAL, .epoch = 5, .version = row->role == FV_ROLE_NONE ? 0 : 3
    };

    ck_assert_msg(fv_fence_admit(&fence, row->version) == row->admission, "%s", row->label);
}
END_TEST

static const struct {
    const char *label;
    enum fv_role of_old, of_new;
    enum fv_side believed;
} belief_rows[] = {
    { "nobody has been here", FV_ROLE_NONE, FV_ROLE_NONE, FV_OLD },
    { "the first fence", FV_ROLE_AUTHORITY, FV_ROLE_NONE, FV_OLD },
    { "the old side", FV_ROLE_AUTHORITY, FV_ROLE_SECONDARY, FV_OLD },
    { "a flip is prepared", FV_ROLE_AUTHORITY, FV_ROLE_PREPARED, FV_OLD },
    { "the old side is frozen", FV_ROLE_FROZEN, FV_ROLE_PREPARED, FV_OLD },
    { "a flip is called off", FV_ROLE_FROZEN, FV_ROLE_SECONDARY, FV_OLD },
    { "the new side has its place", FV_ROLE_FROZEN, FV_ROLE_AUTHORITY, FV_NEW },
    { "the new side", FV_ROLE_SECONDARY, FV_ROLE_AUTHORITY, FV_NEW },
    { "the way back is prepared", FV_ROLE_PREPARED, FV_ROLE_AUTHORITY, FV_NEW },
    { "the new side is frozen", FV_ROLE_PREPARED, FV_ROLE_FROZEN, FV_NEW },
    { "the way back is called off", FV_ROLE_SECONDARY, FV_ROLE_FROZEN, FV_NEW },
    { "the old side has its place back", FV_ROLE_AUTHORITY, FV_ROLE_FROZEN, FV_OLD },
};

START_TEST(the_authority_is_believed_and_without_one_who_was_it_last)
{
    const struct fv_fence fences[] = { { .role = belief_rows[_i].of_old },
                                       { .role = belief_rows[_i].of_new } };

    ck_assert_msg(fv_route_believed(fences) == belief_rows[_i].believed, "%s",
                  belief_rows[_i].label);
}
END_TEST

/* The authority's, in stages that write both sides and one. */
static const struct fv_fence of_both = { .role = FV_ROLE_AUTHORITY, .epoch = 9, .period = 4 };
static const struct fv_fence of_one = { .role = FV_ROLE_AUTHORITY, .epoch = 9 };

START_TEST(a_gate_holds_in_the_period_it_was_passed_in)
{
    ck_assert(!fv_fence_gate_holds(&of_both, 0));
    ck_assert(!fv_fence_gate_holds(&of_both, 3));
    ck_assert(fv_fence_gate_holds(&of_both, 4));
    ck_assert(fv_fence_gate_holds(&of_both, 9));
    ck_assert(!fv_fence_gate_holds(&of_one, 0));
    ck_assert(!fv_fence_gate_holds(&of_one, 9));
}
END_TEST

START_TEST(what_is_of_an_earlier_epoch_is_not_current)
{
    ck_assert(!fv_fence_is_current(&of_both, 0));
    ck_assert(!fv_fence_is_current(&of_both, 8));
    ck_assert(fv_fence_is_current(&of_both, 9));
    ck_assert(!fv_fence_is_current(&of_one, 9));
}
END_TEST

START_TEST(an_authority_that_forgot_begins_an_epoch_and_a_period)
{
    const struct fv_fence both = { FV_ROLE_AUTHORITY, SHADOW, 7, 5, 2, 3 };
    const struct fv_fence one = { FV_ROLE_AUTHORITY, OFF, 0, 5, 0, 3 };
    const struct fv_fence ahead = { .role = FV_ROLE_SECONDARY, .epoch = 8 };
    struct fv_fence renewed = fv_fence_renewed(&both, &ahead);

    ck_assert(
        fv_fence_equal(&renewed, &(struct fv_fence){ FV_ROLE_AUTHORITY, SHADOW, 7, 9, 9, 3 }));
    renewed = fv_fence_renewed(&one, &(struct fv_fence){ .epoch = 1 });
    ck_assert(fv_fence_equal(&renewed, &(struct fv_fence){ FV_ROLE_AUTHORITY, OFF, 0, 6, 0, 3 }));
}
END_TEST

/* ---- steps ---- */

/* A fence as role, stage, epoch, period, version. */
#define A(stage, epoch, period, version)                    \
    {                                                       \
        FV_ROLE_AUTHORITY, stage, 0, epoch, period, version \
    }
#define S(stage, epoch, period, version)                    \
    {                                                       \
        FV_ROLE_SECONDARY, stage, 0, epoch, period, version \
    }
#define P(stage, epoch, period, version)                   \
    {                                                      \
        FV_ROLE_PREPARED, stage, 0, epoch, period, version \
    }
#define F(stage, epoch, period, version)                 \
    {                                                    \
        FV_ROLE_FROZEN, stage, 0, epoch, period, version \
    }
#define NONE                        \
    {                               \
        FV_ROLE_NONE, 0, 0, 0, 0, 0 \
    }

#define WRITES FV_STEP_WRITE
#define GRANTS FV_STEP_GRANT
#define DONE FV_STEP_DONE, 0, NONE
#define IMPOSSIBLE DONE, FLAGVER_ECORRUPT
#define STALE DONE, FLAGVER_ESTALE

struct step_row {
    const char *label;
    struct fv_fence fences[2];
    uint64_t version;
    int stage;
    bool give_up;
    enum fv_step_kind kind;
    enum fv_side side;
    struct fv_fence write;
    int result;
};

/* clang-format off */
static const struct step_row step_rows[] = {
    { "the first fence is the old side's", { NONE, NONE }, 1, DUAL, false, WRITES, FV_OLD, A(DUAL, 1, 1, 1), 0 },
    { "with one side written there is no period", { NONE, NONE }, 1, OFF, false, WRITES, FV_OLD, A(OFF, 1, 0, 1), 0 },
    { "the old side's even when the new one is wished", { NONE, NONE }, 4, LIVE, false, WRITES, FV_OLD, A(OFF, 1, 0, 0), 0 },
    { "then the new side's", { A(DUAL, 1, 1, 1), NONE }, 1, DUAL, false, WRITES, FV_NEW, S(DUAL, 1, 1, 1), 0 },
    { "then the new side's, whatever is wished", { A(DUAL, 1, 1, 1), NONE }, 2, LIVE, false, WRITES, FV_NEW, S(DUAL, 1, 1, 1), 0 },
    { "the old side lost its fence", { NONE, S(DUAL, 1, 1, 1) }, 1, DUAL, false, IMPOSSIBLE },

    { "as wished", { A(DUAL, 1, 1, 1), S(DUAL, 1, 1, 1) }, 1, DUAL, false, DONE, 0 },
    { "a later stage, first on the authority", { A(DUAL, 4, 2, 1), S(DUAL, 3, 2, 1) }, 2, SHADOW, false, WRITES, FV_OLD, A(SHADOW, 4, 2, 2), 0 },
    { "then on the other side", { A(SHADOW, 4, 2, 2), S(DUAL, 3, 2, 1) }, 2, SHADOW, false, WRITES, FV_NEW, S(SHADOW, 3, 2, 2), 0 },
    { "both are written from now on", { A(OFF, 4, 0, 1), S(OFF, 6, 0, 1) }, 2, DUAL, false, WRITES, FV_OLD, A(DUAL, 7, 7, 2), 0 },
    { "both are written no longer", { A(DUAL, 7, 7, 2), S(DUAL, 6, 7, 2) }, 3, OFF, false, WRITES, FV_OLD, A(OFF, 8, 0, 3), 0 },
    { "the last stage", { S(DOWN, 7, 3, 2), A(DOWN, 7, 3, 2) }, 3, COMPLETE, false, WRITES, FV_NEW, A(COMPLETE, 8, 0, 3), 0 },
    { "back from it", { S(COMPLETE, 7, 0, 3), A(COMPLETE, 8, 0, 3) }, 4, DOWN, false, WRITES, FV_NEW, A(DOWN, 9, 9, 4), 0 },
    { "a record from before the change", { A(SHADOW, 4, 2, 2), S(DUAL, 3, 2, 1) }, 1, DUAL, false, STALE },

    { "a flip: prepare", { A(DUAL, 4, 2, 1), S(DUAL, 6, 2, 1) }, 2, LIVE, false, WRITES, FV_NEW, P(DUAL, 7, 2, 2), 0 },
    { "a flip: freeze", { A(DUAL, 4, 2, 1), P(DUAL, 7, 2, 2) }, 2, LIVE, false, WRITES, FV_OLD, F(DUAL, 7, 2, 1), 0 },
    { "a flip: grant", { F(DUAL, 7, 2, 1), P(DUAL, 7, 2, 2) }, 2, LIVE, false, GRANTS, FV_NEW, A(LIVE, 7, 2, 2), 0 },
    { "a flip: demote", { F(DUAL, 7, 2, 1), A(LIVE, 7, 2, 2) }, 2, LIVE, false, WRITES, FV_OLD, S(LIVE, 7, 2, 2), 0 },
    { "a flip: done", { S(LIVE, 7, 2, 2), A(LIVE, 7, 2, 2) }, 2, LIVE, false, DONE, 0 },
    { "a flip back: prepare", { S(LIVE, 7, 2, 2), A(LIVE, 7, 2, 2) }, 3, DUAL, false, WRITES, FV_OLD, P(LIVE, 8, 2, 3), 0 },
    { "a flip back: freeze", { P(LIVE, 8, 2, 3), A(LIVE, 7, 2, 2) }, 3, DUAL, false, WRITES, FV_NEW, F(LIVE, 8, 2, 2), 0 },
    { "a flip back: grant", { P(LIVE, 8, 2, 3), F(LIVE, 8, 2, 2) }, 3, DUAL, false, GRANTS, FV_OLD, A(DUAL, 8, 2, 3), 0 },
    { "cutting over without writing both", { F(OFF, 2, 0, 1), P(OFF, 2, 0, 2) }, 2, COMPLETE, false, GRANTS, FV_NEW, A(COMPLETE, 2, 0, 2), 0 },
    { "a flip into writing both", { F(OFF, 2, 0, 1), P(OFF, 2, 0, 2) }, 2, LIVE, false, GRANTS, FV_NEW, A(LIVE, 2, 2, 2), 0 },
    { "prepared too long ago: again", { A(DUAL, 8, 2, 1), P(DUAL, 7, 2, 2) }, 2, LIVE, false, WRITES, FV_NEW, P(DUAL, 9, 2, 2), 0 },
    { "prepared in the epoch of the authority: again", { A(DUAL, 7, 2, 1), P(DUAL, 7, 2, 2) }, 2, LIVE, false, WRITES, FV_NEW, P(DUAL, 8, 2, 2), 0 },
    { "who does not know of the flip keeps off", { A(DUAL, 4, 2, 1), P(DUAL, 7, 2, 2) }, 1, DUAL, false, STALE },

    { "called off before the freeze", { A(DUAL, 4, 2, 1), P(DUAL, 7, 2, 2) }, 3, DUAL, false, WRITES, FV_NEW, S(DUAL, 8, 2, 3), 0 },
    { "then as any other change", { A(DUAL, 4, 2, 1), S(DUAL, 8, 2, 3) }, 3, SHADOW, false, WRITES, FV_OLD, A(SHADOW, 4, 2, 3), 0 },
    { "called off after the freeze: withdraw", { F(DUAL, 7, 2, 1), P(DUAL, 7, 2, 2) }, 3, DUAL, false, WRITES, FV_NEW, S(DUAL, 8, 2, 3), 0 },
    { "called off after the freeze: restore", { F(DUAL, 7, 2, 1), S(DUAL, 8, 2, 3) }, 3, DUAL, false, WRITES, FV_OLD, A(DUAL, 9, 2, 1), 0 },
    { "restored before another flip begins", { F(DUAL, 7, 2, 1), S(DUAL, 8, 2, 3) }, 4, LIVE, false, WRITES, FV_OLD, A(DUAL, 9, 2, 1), 0 },
    { "frozen and prepared in two epochs: withdraw", { F(DUAL, 7, 2, 1), P(DUAL, 9, 2, 2) }, 2, LIVE, false, WRITES, FV_NEW, S(DUAL, 10, 2, 2), 0 },
    { "called off after the grant: first demote", { F(DUAL, 7, 2, 1), A(LIVE, 7, 2, 2) }, 3, DUAL, false, WRITES, FV_OLD, S(LIVE, 7, 2, 2), 0 },

    { "given up before it began", { A(DUAL, 4, 2, 1), S(DUAL, 6, 2, 1) }, 2, LIVE, true, DONE, 0 },
    { "given up before the freeze", { A(DUAL, 4, 2, 1), P(DUAL, 7, 2, 2) }, 2, LIVE, true, WRITES, FV_NEW, S(DUAL, 8, 2, 2), 0 },
    { "given up after the freeze: withdraw", { F(DUAL, 7, 2, 1), P(DUAL, 7, 2, 2) }, 2, LIVE, true, WRITES, FV_NEW, S(DUAL, 8, 2, 2), 0 },
    { "given up after the freeze: restore", { F(DUAL, 7, 2, 1), S(DUAL, 8, 2, 2) }, 2, LIVE, true, WRITES, FV_OLD, A(DUAL, 9, 2, 1), 0 },
    { "given up: done", { A(DUAL, 9, 2, 1), S(DUAL, 8, 2, 2) }, 2, LIVE, true, DONE, 0 },
    { "given up after the grant: complete it", { F(DUAL, 7, 2, 1), A(LIVE, 7, 2, 2) }, 2, LIVE, true, WRITES, FV_OLD, S(LIVE, 7, 2, 2), 0 },
    { "no patience is needed for other changes", { A(DUAL, 4, 2, 1), S(DUAL, 3, 2, 1) }, 2, SHADOW, true, WRITES, FV_OLD, A(SHADOW, 4, 2, 2), 0 },

    { "two authorities", { A(DUAL, 4, 2, 1), A(LIVE, 5, 2, 2) }, 2, LIVE, false, IMPOSSIBLE },
    { "two secondaries", { S(DUAL, 4, 2, 1), S(DUAL, 5, 2, 1) }, 2, LIVE, false, IMPOSSIBLE },
    { "both frozen", { F(DUAL, 4, 2, 1), F(DUAL, 4, 2, 1) }, 2, LIVE, false, IMPOSSIBLE },
    { "both prepared", { P(DUAL, 4, 2, 1), P(DUAL, 4, 2, 1) }, 2, LIVE, false, IMPOSSIBLE },
    { "prepared, and nobody to lose", { S(DUAL, 4, 2, 1), P(DUAL, 4, 2, 1) }, 2, LIVE, false, IMPOSSIBLE },
    { "frozen later than granted", { F(DUAL, 6, 2, 1), A(LIVE, 5, 2, 2) }, 2, LIVE, false, IMPOSSIBLE },
    { "frozen for nobody", { F(DUAL, 6, 2, 1), NONE }, 2, LIVE, false, IMPOSSIBLE },
    { "a new side alone", { NONE, A(LIVE, 6, 2, 1) }, 2, LIVE, false, IMPOSSIBLE },
};
/* clang-format on */

START_TEST(the_next_step_follows_from_the_fences_and_the_wish)
{
    const struct step_row *row = &step_rows[_i];
    const struct fv_route_wish wish = { row->version, row->stage, 0 };
    struct fv_step step;

    if (row->result < 0) {
        assert_fails(row->result, fv_route_step(row->fences, &wish, row->give_up, &step, &error));
        return;
    }
    assert_ok(fv_route_step(row->fences, &wish, row->give_up, &step, &error));
    ck_assert_msg(step.kind == row->kind, "%s: kind %d", row->label, step.kind);
    if (step.kind == FV_STEP_DONE)
        return;
    ck_assert_msg(step.side == row->side, "%s: side %d", row->label, step.side);
    ck_assert(fv_fence_equal(&step.expect, &row->fences[row->side]));
    ck_assert_msg(fv_fence_equal(&step.write, &row->write),
                  "%s: role %d, stage %d, epoch %d, period %d, version %d", row->label,
                  step.write.role, step.write.stage, (int)step.write.epoch, (int)step.write.period,
                  (int)step.write.version);
}
END_TEST

START_TEST(the_bound_goes_where_the_stage_goes)
{
    const struct fv_fence fences[2] = { A(SHADOW, 4, 2, 1), S(SHADOW, 3, 2, 1) };
    const struct fv_route_wish wish = { 2, FLAGVER_STAGE_RAMP, 2500 };
    struct fv_fence after[2] = { fences[0], fences[1] };
    struct fv_step step;

    assert_ok(fv_route_step(after, &wish, false, &step, &error));
    after[step.side] = step.write;
    ck_assert_uint_eq(after[FV_OLD].bound, 2500);
    assert_ok(fv_route_step(after, &wish, false, &step, &error));
    after[step.side] = step.write;
    ck_assert_uint_eq(after[FV_NEW].bound, 2500);
    assert_ok(fv_route_step(after, &wish, false, &step, &error));
    ck_assert_int_eq(step.kind, FV_STEP_DONE);
}
END_TEST

START_TEST(what_cannot_be_is_named)
{
    const struct fv_fence two[2] = { A(DUAL, 4, 2, 1), A(LIVE, 5, 2, 2) };
    const struct fv_fence later[2] = { A(DUAL, 4, 2, 7), S(DUAL, 4, 2, 7) };
    const struct fv_route_wish wish = { 6, LIVE, 0 };
    struct fv_step step;

    assert_fails(FLAGVER_ECORRUPT, fv_route_step(two, &wish, false, &step, &error));
    assert_words("the old side is authority in epoch 4 and the new side authority in epoch 5");
    assert_fails(FLAGVER_ESTALE, fv_route_step(later, &wish, false, &step, &error));
    assert_words("version 7 of the migration is in force, and version 6 was asked for");
}
END_TEST

/* ---- leases ---- */

START_TEST(a_renewed_lease_has_seen_the_fence_once_nothing_older_runs)
{
    const struct fv_fence fence = A(DUAL, 4, 2, 3);
    const struct fv_lease held = { 100, 3, 9 };
    struct fv_lease lease = fv_lease_renew(NULL, &fence, false, 200);

    ck_assert(lease.until == 200 && lease.epoch == 4 && lease.version == 3);
    lease = fv_lease_renew(&held, &fence, false, 200);
    ck_assert(lease.until == 200 && lease.epoch == 3 && lease.version == 9);
    lease = fv_lease_renew(&held, &fence, true, 200);
    ck_assert(lease.until == 200 && lease.epoch == 4 && lease.version == 3);
}
END_TEST

struct lease_row {
    const char *label;
    int64_t now;
    enum fv_role role;
    uint64_t version;
    enum fv_admission admission;
};

static const struct lease_row lease_rows[] = {
    { "in time", 89, FV_ROLE_AUTHORITY, 3, FV_ADMIT_GO },
    { "at the margin", 90, FV_ROLE_AUTHORITY, 3, FV_ADMIT_RENEW },
    { "at the end", 100, FV_ROLE_AUTHORITY, 3, FV_ADMIT_RENEW },
    { "long after", INT64_MAX, FV_ROLE_AUTHORITY, 3, FV_ADMIT_RENEW },
    { "planned before a change", 50, FV_ROLE_AUTHORITY, 2, FV_ADMIT_ELSEWHERE },
    { "frozen", 50, FV_ROLE_FROZEN, 3, FV_ADMIT_WAIT },
    { "out, and frozen", 95, FV_ROLE_FROZEN, 3, FV_ADMIT_RENEW },
    { "a secondary", 50, FV_ROLE_SECONDARY, 3, FV_ADMIT_ELSEWHERE },
};

START_TEST(a_lease_admits_until_its_margin)
{
    const struct lease_row *row = &lease_rows[_i];
    const struct fv_lease lease = { 100, 4, 3 };
    const struct fv_fence fence = { row->role, DUAL, 0, 4, 2, 3 };
    int64_t deadline = 0;

    ck_assert_msg(fv_lease_admit(&lease, &fence, row->version, 10, row->now, &deadline) ==
                      row->admission,
                  "%s", row->label);
    if (row->admission == FV_ADMIT_GO)
        ck_assert_int_eq(deadline, 90);
}
END_TEST

START_TEST(others_wait_for_a_lease_that_lives_and_has_seen_less)
{
    const struct fv_fence fence = F(DUAL, 4, 2, 3);

    ck_assert(fv_lease_waits(&(struct fv_lease){ 100, 4, 2 }, &fence, 99));
    ck_assert(fv_lease_waits(&(struct fv_lease){ 100, 3, 9 }, &fence, 99));
    ck_assert(!fv_lease_waits(&(struct fv_lease){ 100, 4, 3 }, &fence, 99));
    ck_assert(!fv_lease_waits(&(struct fv_lease){ 100, 4, 4 }, &fence, 99));
    ck_assert(!fv_lease_waits(&(struct fv_lease){ 100, 5, 1 }, &fence, 99));
    ck_assert(!fv_lease_waits(&(struct fv_lease){ 100, 3, 9 }, &fence, 100));
    ck_assert(!fv_lease_is_past(&(struct fv_lease){ 100, 3, 9 }, 100));
    ck_assert(!fv_lease_is_past(&(struct fv_lease){ 100, 3, 9 }, 3600000099));
    ck_assert(fv_lease_is_past(&(struct fv_lease){ 100, 3, 9 }, 3600000100));
}
END_TEST

/* ---- versions of keys ---- */

START_TEST(a_write_gets_a_greater_version)
{
    const struct fv_fence fence = A(DUAL, 4, 2, 3);
    struct fv_version version;

    assert_ok(fv_version_next((struct fv_version){ 0, 0 }, &fence, &version, &error));
    ck_assert(version.epoch == 4 && version.seq == 1);
    assert_ok(fv_version_next((struct fv_version){ 3, 17 }, &fence, &version, &error));
    ck_assert(version.epoch == 4 && version.seq == 1);
    assert_ok(fv_version_next((struct fv_version){ 4, 17 }, &fence, &version, &error));
    ck_assert(version.epoch == 4 && version.seq == 18);
    assert_fails(FLAGVER_ECORRUPT,
                 fv_version_next((struct fv_version){ 5, 1 }, &fence, &version, &error));
    assert_words("epoch 5");
}
END_TEST

START_TEST(only_a_greater_version_applies)
{
    const struct fv_version stored = { 4, 7 };

    ck_assert(fv_version_applies((struct fv_version){ 4, 8 }, stored));
    ck_assert(fv_version_applies((struct fv_version){ 5, 0 }, stored));
    ck_assert(!fv_version_applies(stored, stored));
    ck_assert(!fv_version_applies((struct fv_version){ 4, 6 }, stored));
    ck_assert(!fv_version_applies((struct fv_version){ 3, 99 }, stored));
}
END_TEST

START_TEST(a_row_from_before_the_period_counts_as_of_its_beginning)
{
    const struct fv_fence fence = A(DUAL, 9, 4, 3);
    struct fv_version version = fv_version_since((struct fv_version){ 0, 0 }, &fence);

    ck_assert(version.epoch == 4 && version.seq == 0);
    version = fv_version_since((struct fv_version){ 3, 88 }, &fence);
    ck_assert(version.epoch == 4 && version.seq == 0);
    version = fv_version_since((struct fv_version){ 4, 1 }, &fence);
    ck_assert(version.epoch == 4 && version.seq == 1);
    version = fv_version_since((struct fv_version){ 8, 2 }, &fence);
    ck_assert(version.epoch == 8 && version.seq == 2);
}
END_TEST

/* ---- entries ---- */

static struct fv_entry_operation operation(uint8_t number, int64_t until)
{
    return (struct fv_entry_operation){ .id.bytes = { number }, .until = until };
}

static void enter(struct fv_entry *entry, uint8_t number, int64_t until, int64_t now)
{
    const struct fv_entry_operation self = operation(number, until);

    assert_ok(fv_entry_enter(entry, &self, now, &error));
}

static enum fv_entry_fate leave(struct fv_entry *entry, uint8_t number, bool ok)
{
    const flagver_id id = { { number } };

    return fv_entry_leave(entry, &id, ok);
}

START_TEST(an_entry_is_gone_when_its_last_version_has_arrived)
{
    struct fv_entry entry = { .count = 0 };

    fv_entry_owe(&entry, (struct fv_version){ 4, 1 }, 1000);
    fv_entry_owe(&entry, (struct fv_version){ 4, 2 }, 2000);
    ck_assert(entry.since == 1000 && entry.doubtful);
    ck_assert_int_eq(fv_entry_settle(&entry, (struct fv_version){ 4, 1 }), FV_ENTRY_STAYS);
    ck_assert_int_eq(fv_entry_settle(&entry, (struct fv_version){ 4, 2 }), FV_ENTRY_GONE);
}
END_TEST

START_TEST(a_later_version_settles_earlier_debts)
{
    struct fv_entry entry = { .count = 0 };

    fv_entry_owe(&entry, (struct fv_version){ 4, 2 }, 0);
    ck_assert_int_eq(fv_entry_settle(&entry, (struct fv_version){ 5, 1 }), FV_ENTRY_GONE);
}
END_TEST

START_TEST(an_operation_that_was_alone_leaves_nothing)
{
    struct fv_entry entry = { .count = 0 };

    enter(&entry, 1, 50, 10);
    ck_assert(entry.count == 1 && entry.since == 10 && !entry.doubtful);
    ck_assert_int_eq(leave(&entry, 1, true), FV_ENTRY_GONE);
}
END_TEST

START_TEST(operations_that_overlap_leave_a_doubt)
{
    struct fv_entry entry = { .count = 0 };

    enter(&entry, 1, 50, 10);
    enter(&entry, 2, 60, 20);
    ck_assert(entry.doubtful && entry.since == 10);
    ck_assert_int_eq(leave(&entry, 1, true), FV_ENTRY_STAYS);
    ck_assert_int_eq(leave(&entry, 2, true), FV_ENTRY_STAYS);
    ck_assert_uint_eq(entry.count, 0);
}
END_TEST

START_TEST(one_whose_time_is_over_overlaps_as_well)
{
    struct fv_entry entry = { .count = 0 };

    enter(&entry, 1, 50, 10);
    enter(&entry, 2, 160, 100);
    ck_assert(entry.doubtful && entry.count == 2);
}
END_TEST

START_TEST(a_failed_operation_leaves_a_doubt_and_is_counted)
{
    struct fv_entry entry = { .count = 0 };

    enter(&entry, 1, 50, 10);
    ck_assert_int_eq(leave(&entry, 1, false), FV_ENTRY_STAYS);
    ck_assert(entry.doubtful && entry.failures == 1);
    enter(&entry, 2, 50, 10);
    ck_assert_int_eq(leave(&entry, 2, false), FV_ENTRY_STAYS);
    ck_assert_uint_eq(entry.failures, 2);
    enter(&entry, 3, 50, 10);
    ck_assert_int_eq(leave(&entry, 3, true), FV_ENTRY_STAYS);
    ck_assert(entry.doubtful && entry.failures == 0);
}
END_TEST

START_TEST(a_late_leave_says_so_and_changes_nothing)
{
    struct fv_entry entry = { .count = 0 };

    ck_assert_int_eq(leave(&entry, 1, true), FV_ENTRY_LATE);
    enter(&entry, 2, 50, 10);
    ck_assert_int_eq(leave(&entry, 1, false), FV_ENTRY_LATE);
    ck_assert(entry.count == 1 && !entry.doubtful && entry.failures == 0);
    fv_entry_doubt(&entry, 99);
    ck_assert(entry.doubtful && entry.since == 10);
    ck_assert_int_eq(leave(&entry, 2, true), FV_ENTRY_STAYS);
}
END_TEST

START_TEST(a_full_entry_makes_room_only_for_the_dead)
{
    const struct fv_entry_operation one_more = operation(99, 500);
    struct fv_entry entry = { .count = 0 };
    uint8_t i;

    for (i = 1; i <= FV_ENTRY_OPERATIONS; i++)
        enter(&entry, i, i % 2 ? 100 : 200, 10);
    assert_fails(FLAGVER_EBUSY, fv_entry_enter(&entry, &one_more, 99, &error));
    assert_words("16 operations");
    assert_ok(fv_entry_enter(&entry, &one_more, 100, &error));
    ck_assert_uint_eq(entry.count, FV_ENTRY_OPERATIONS / 2 + 1);
    ck_assert(entry.doubtful);
    ck_assert_int_eq(leave(&entry, 1, true), FV_ENTRY_LATE);
    ck_assert_int_eq(leave(&entry, 2, true), FV_ENTRY_STAYS);
}
END_TEST

START_TEST(a_repair_waits_for_the_living_and_drops_the_dead)
{
    const struct fv_entry_operation repair = operation(9, 300);
    struct fv_entry entry = { .count = 0 };

    ck_assert(!fv_entry_repairable(&entry, 0));
    enter(&entry, 1, 50, 10);
    enter(&entry, 2, 90, 10);
    ck_assert(!fv_entry_repairable(&entry, 89));
    ck_assert(fv_entry_repairable(&entry, 90));
    fv_entry_repair(&entry, &repair);
    ck_assert(entry.count == 1 && !entry.doubtful && entry.since == 10);
    ck_assert_int_eq(leave(&entry, 2, true), FV_ENTRY_LATE);
    ck_assert_int_eq(leave(&entry, 9, true), FV_ENTRY_GONE);
}
END_TEST

START_TEST(who_enters_during_a_repair_brings_the_doubt_back)
{
    const struct fv_entry_operation repair = operation(9, 300);
    struct fv_entry entry = { .count = 0 };

    fv_entry_doubt(&entry, 10);
    ck_assert(fv_entry_repairable(&entry, 10));
    fv_entry_repair(&entry, &repair);
    enter(&entry, 1, 400, 20);
    ck_assert_int_eq(leave(&entry, 9, true), FV_ENTRY_STAYS);
    ck_assert_int_eq(leave(&entry, 1, true), FV_ENTRY_STAYS);
    ck_assert(fv_entry_repairable(&entry, 20));
}
END_TEST

/* ---- bytes ---- */

/* Which begins in an epoch of the authority: the other side's own may be an earlier one. */
START_TEST(a_secondary_knows_a_later_period_than_its_epoch)
{
    const struct fv_fence fence = S(DUAL, 1, 2, 2);
    struct fv_fence decoded;
    uint8_t bytes[FV_FENCE_BYTES];

    assert_ok(fv_fence_decode(bytes, fv_fence_encode(&fence, bytes), &decoded, &error));
    ck_assert(fv_fence_equal(&decoded, &fence));
}
END_TEST

static const struct fv_fence some_fence = { FV_ROLE_FROZEN, SHADOW, 10000, 300, 299, 128 };

static struct fv_entry some_entry(void)
{
    struct fv_entry entry = { .version = { 1, 200 }, .doubtful = true, .since = 3, .failures = 4 };

    entry.operations[0] = operation(1, 5);
    entry.operations[1] = operation(2, INT64_MAX);
    entry.count = 2;
    return entry;
}

static void assert_bytes(const uint8_t *bytes, size_t length, const char *expected)
{
    char text[2 * FV_ENTRY_BYTES + 1] = "";
    size_t i;

    for (i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    ck_assert_str_eq(text, expected);
}

START_TEST(bytes_are_what_they_were)
{
    const struct fv_lease lease = { 0x0102030405060708, 1, 2 };
    const struct fv_key_row row = { { 3, 0x4001 }, true };
    const struct fv_entry entry = some_entry();
    uint8_t bytes[FV_ENTRY_BYTES];

    assert_bytes(bytes, fv_fence_encode(&some_fence, bytes),
                 "01"
                 "04"
                 "04"
                 "904e"
                 "ac02"
                 "ab02"
                 "8001");
    assert_bytes(bytes, fv_lease_encode(&lease, bytes), "0101020304050607080102");
    assert_bytes(bytes, fv_key_row_encode(&row, bytes), "010381800101");
    assert_bytes(bytes, fv_entry_encode(&entry, bytes),
                 "010101c801"
                 "0000000000000003"
                 "0402"
                 "01000000000000000000000000000000"
                 "0000000000000005"
                 "02000000000000000000000000000000"
                 "7fffffffffffffff");
}
END_TEST

/* Every kind of row, by number, so that what holds for one is tried on all. */
static size_t encode(int kind, uint8_t out[FV_ENTRY_BYTES])
{
    const struct fv_lease lease = { -1, 77, 300 };
    const struct fv_key_row row = { { 3, 0x4001 }, true };
    const struct fv_entry entry = some_entry();

    switch (kind) {
    case 0:
        return fv_fence_encode(&some_fence, out);
    case 1:
        return fv_lease_encode(&lease, out);
    case 2:
        return fv_key_row_encode(&row, out);
    default:
        return fv_entry_encode(&entry, out);
    }
}

/* Decodes and encodes again. */
static int again(int kind, const uint8_t *bytes, size_t length, uint8_t out[FV_ENTRY_BYTES],
                 size_t *ret_length)
{
    struct fv_fence fence;
    struct fv_lease lease;
    struct fv_key_row row;
    struct fv_entry entry;
    int r;

    switch (kind) {
    case 0:
        r = fv_fence_decode(bytes, length, &fence, &error);
        *ret_length = r < 0 ? 0 : fv_fence_encode(&fence, out);
        return r;
    case 1:
        r = fv_lease_decode(bytes, length, &lease, &error);
        *ret_length = r < 0 ? 0 : fv_lease_encode(&lease, out);
        return r;
    case 2:
        r = fv_key_row_decode(bytes, length, &row, &error);
        *ret_length = r < 0 ? 0 : fv_key_row_encode(&row, out);
        return r;
    default:
        r = fv_entry_decode(bytes, length, &entry, &error);
        *ret_length = r < 0 ? 0 : fv_entry_encode(&entry, out);
        return r;
    }
}

START_TEST(what_is_encoded_is_decoded)
{
    uint8_t bytes[FV_ENTRY_BYTES], out[FV_ENTRY_BYTES];
    size_t length = encode(_i, bytes), out_length;

    assert_ok(again(_i, bytes, length, out, &out_length));
    ck_assert_uint_eq(out_length, length);
    ck_assert_mem_eq(out, bytes, length);
}
END_TEST

START_TEST(no_part_of_a_row_is_a_row)
{
    uint8_t bytes[FV_ENTRY_BYTES + 1] = { 0 }, out[FV_ENTRY_BYTES];
    size_t length = encode(_i, bytes), out_length, i;

    for (i = 0; i < length; i++)
        assert_fails(FLAGVER_ECORRUPT, again(_i, bytes, i, out, &out_length));
    bytes[length] = 0;
    assert_fails(FLAGVER_ECORRUPT, again(_i, bytes, length + 1, out, &out_length));
    assert_fails(FLAGVER_ECORRUPT, again(_i, NULL, 0, out, &out_length));
    bytes[0] = 2;
    assert_fails(FLAGVER_ECORRUPT, again(_i, bytes, length, out, &out_length));
    assert_words("of form 1");
}
END_TEST

/* A row has one encoding, so whatever is accepted comes back as it was. */
START_TEST(every_changed_byte_is_refused_or_kept)
{
    uint8_t bytes[FV_ENTRY_BYTES], changed[FV_ENTRY_BYTES], out[FV_ENTRY_BYTES];
    size_t length = encode(_i, bytes), out_length, i;
    int value;

    for (i = 0; i < length; i++)
        for (value = 0; value < 256; value++) {
            memcpy(changed, bytes, length);
            changed[i] = (uint8_t)value;
            if (again(_i, changed, length, out, &out_length) < 0)
                continue;
            ck_assert_uint_eq(out_length, length);
            ck_assert_mem_eq(out, changed, length);
        }
}
END_TEST

struct refused_row {
    const char *label;
    int kind;
    size_t length;
    uint8_t bytes[32];
};

static const struct refused_row refused_rows[] = {
    { "a fence without a role", 0, 7, { 1, 0, 1, 0, 1, 0, 1 } },
    { "an unknown role", 0, 7, { 1, 5, 1, 0, 1, 0, 1 } },
    { "no stage", 0, 7, { 1, 1, 0, 0, 1, 0, 1 } },
    { "an unknown stage", 0, 7, { 1, 1, FV_STAGES, 0, 1, 0, 1 } },
    { "a bound above 100 %", 0, 8, { 1, 1, 1, 0x91, 0x4e, 1, 0, 1 } },
    { "no epoch", 0, 7, { 1, 1, 1, 0, 0, 0, 1 } },
    { "a number in more bytes than it needs", 0, 8, { 1, 1, 1, 0, 1, 0, 0x81, 0 } },
    { "a number beyond 63 bits",
      0,
      16,
      { 1, 1, 1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1 } },
    { "a tombstone that is neither", 2, 4, { 1, 1, 1, 2 } },
    { "an entry that says nothing", 3, 14, { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } },
    { "too many operations", 3, 14, { 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17 } },
};

START_TEST(nonsense_is_refused)
{
    const struct refused_row *row = &refused_rows[_i];
    uint8_t out[FV_ENTRY_BYTES];
    size_t length;

    assert_fails(FLAGVER_ECORRUPT, again(row->kind, row->bytes, row->length, out, &length));
}
END_TEST

START_TEST(the_greatest_rows_fit)
{
    const uint64_t most = INT64_MAX;
    const struct fv_fence fence = { FV_ROLE_FROZEN, COMPLETE, 10000, most, most, most };
    const struct fv_lease lease = { INT64_MAX, most, most };
    const struct fv_key_row row = { { most, most }, true };
    struct fv_entry entry = { .version = { most, most }, .doubtful = true, .failures = UINT32_MAX };
    uint8_t bytes[FV_ENTRY_BYTES];

    entry.count = FV_ENTRY_OPERATIONS;
    ck_assert_uint_le(fv_fence_encode(&fence, bytes), FV_FENCE_BYTES);
    ck_assert_uint_le(fv_lease_encode(&lease, bytes), FV_LEASE_BYTES);
    ck_assert_uint_le(fv_key_row_encode(&row, bytes), FV_KEY_ROW_BYTES);
    ck_assert_uint_le(fv_entry_encode(&entry, bytes), FV_ENTRY_BYTES);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("route_model");
    TCase *fences = tcase_create("fences"), *steps = tcase_create("steps");
    TCase *leases = tcase_create("leases"), *entries = tcase_create("entries");
    TCase *bytes = tcase_create("bytes");

    tcase_add_loop_test(fences, only_the_authority_admits_and_only_what_was_planned_for_its_version,
                        0, COUNT(admission_rows));
    tcase_add_loop_test(fences, the_authority_is_believed_and_without_one_who_was_it_last, 0,
                        COUNT(belief_rows));
    tcase_add_test(fences, a_gate_holds_in_the_period_it_was_passed_in);
    tcase_add_test(fences, what_is_of_an_earlier_epoch_is_not_current);
    tcase_add_test(fences, an_authority_that_forgot_begins_an_epoch_and_a_period);
    suite_add_tcase(s, fences);

    tcase_add_loop_test(steps, the_next_step_follows_from_the_fences_and_the_wish, 0,
                        COUNT(step_rows));
    tcase_add_test(steps, the_bound_goes_where_the_stage_goes);
    tcase_add_test(steps, what_cannot_be_is_named);
    suite_add_tcase(s, steps);

    tcase_add_test(leases, a_renewed_lease_has_seen_the_fence_once_nothing_older_runs);
    tcase_add_loop_test(leases, a_lease_admits_until_its_margin, 0, COUNT(lease_rows));
    tcase_add_test(leases, others_wait_for_a_lease_that_lives_and_has_seen_less);
    suite_add_tcase(s, leases);

    tcase_add_test(entries, a_write_gets_a_greater_version);
    tcase_add_test(entries, only_a_greater_version_applies);
    tcase_add_test(entries, a_row_from_before_the_period_counts_as_of_its_beginning);
    tcase_add_test(entries, an_entry_is_gone_when_its_last_version_has_arrived);
    tcase_add_test(entries, a_later_version_settles_earlier_debts);
    tcase_add_test(entries, an_operation_that_was_alone_leaves_nothing);
    tcase_add_test(entries, operations_that_overlap_leave_a_doubt);
    tcase_add_test(entries, one_whose_time_is_over_overlaps_as_well);
    tcase_add_test(entries, a_failed_operation_leaves_a_doubt_and_is_counted);
    tcase_add_test(entries, a_late_leave_says_so_and_changes_nothing);
    tcase_add_test(entries, a_full_entry_makes_room_only_for_the_dead);
    tcase_add_test(entries, a_repair_waits_for_the_living_and_drops_the_dead);
    tcase_add_test(entries, who_enters_during_a_repair_brings_the_doubt_back);
    suite_add_tcase(s, entries);

    tcase_add_test(bytes, a_secondary_knows_a_later_period_than_its_epoch);
    tcase_add_test(bytes, bytes_are_what_they_were);
    tcase_add_loop_test(bytes, what_is_encoded_is_decoded, 0, 4);
    tcase_add_loop_test(bytes, no_part_of_a_row_is_a_row, 0, 4);
    tcase_add_loop_test(bytes, every_changed_byte_is_refused_or_kept, 0, 4);
    tcase_add_loop_test(bytes, nonsense_is_refused, 0, COUNT(refused_rows));
    tcase_add_test(bytes, the_greatest_rows_fit);
    suite_add_tcase(s, bytes);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
