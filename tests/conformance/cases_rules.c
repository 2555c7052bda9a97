/*
 * Rules: which changes a driver refuses. Some every driver does; the others, as the second
 * line behind the library, one with FLAGVER_DRIVER_RULES. What is refused leaves no trace.
 */
#include <stdio.h>

#include "fixture.h"

/* ---- a series with its first version in any state, and a draft behind it ---- */

static const int32_t all_states[] = {
    FLAGVER_STATE_DRAFT,      FLAGVER_STATE_SUBMITTED, FLAGVER_STATE_APPROVED,
    FLAGVER_STATE_SUPERSEDED, FLAGVER_STATE_REJECTED,  FLAGVER_STATE_WITHDRAWN,
    FLAGVER_STATE_RECORDED,
};

#define STATES (sizeof all_states / sizeof *all_states)

struct history {
    flagver_series_row series;
    flagver_version_row first, second;
};

static void move(flagver_driver_txn *txn, struct history *history, int32_t state)
{
    flagver_version_row *version = &history->first;
    uint32_t by = state == FLAGVER_STATE_SUPERSEDED ? 2 : 0;

    assert_ok(conform_move(txn, version, state, by));
}

static struct history make_history(unsigned number, int32_t state)
{
    static char subjects[32][32];
    struct history history;
    flagver_driver_txn *txn;

    snprintf(subjects[number % 32], sizeof *subjects, "state %d of %u", (int)state, number);
    history.series = conform_series(number, "phase", subjects[number % 32]);
    txn = conform_write();
    history.first = conform_next_version(
        txn, &history.series,
        state == FLAGVER_STATE_RECORDED ? FLAGVER_STATE_RECORDED : FLAGVER_STATE_DRAFT, "1");
    history.second = conform_next_version(txn, &history.series, FLAGVER_STATE_DRAFT, "2");
    if (state == FLAGVER_STATE_SUBMITTED || state == FLAGVER_STATE_REJECTED)
        move(txn, &history, FLAGVER_STATE_SUBMITTED);
    if (state == FLAGVER_STATE_SUPERSEDED)
        move(txn, &history, FLAGVER_STATE_APPROVED);
    if (state != FLAGVER_STATE_RECORDED && state != FLAGVER_STATE_DRAFT &&
        state != FLAGVER_STATE_SUBMITTED)
        move(txn, &history, state);
    conform_commit(txn);
    return history;
}

static bool allowed(int32_t from, int32_t to)
{
    static const int8_t ways[][2] = { { 1, 1 }, { 1, 2 }, { 1, 3 }, { 1, 6 }, { 2, 1 },
                                      { 2, 2 }, { 2, 3 }, { 2, 5 }, { 2, 6 }, { 3, 4 } };
    size_t i;

    for (i = 0; i < sizeof ways / sizeof *ways; i++)
        if (ways[i][0] == from && ways[i][1] == to)
            return true;
    return false;
}

START_TEST(a_version_changes_its_state_in_ten_ways_and_no_other)
{
    flagver_driver_txn *txn;
    struct history history;
    size_t from;
    int32_t to;
    int r;

    for (from = 0; from < STATES; from++) {
        history = make_history((unsigned)from + 1, all_states[from]);
        for (to = 0; to <= 8; to++) {
            flagver_version_row version = history.first;

            txn = conform_write();
            r = conform_move(txn, &version, to, to == FLAGVER_STATE_SUPERSEDED ? 2 : 0);
            ck_assert_msg((r == 0) == allowed(all_states[from], to), "from state %d to %d: %d, %s",
                          (int)all_states[from], (int)to, r, r ? conform_error.message : "");
            if (r < 0)
                ck_assert_msg(r == FLAGVER_ECORRUPT || r == FLAGVER_ECONFLICT,
                              "from state %d to %d: %d instead of ECORRUPT or ECONFLICT",
                              (int)all_states[from], (int)to, r);
            conform_rollback(txn);
        }
    }
}
END_TEST

START_TEST(a_version_is_born_as_a_draft_or_recorded)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    int32_t state;

    series.last_no = 1;
    for (state = 0; state <= 8; state++) {
        version = conform_version(&series, 1, state);
        version.superseded_by = 0;
        conform_add_series(&batch, series, 0);
        conform_add_payload(&batch, conform_payload(&version, "{}"));
        conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
        conform_check_allowed(&batch,
                              state == FLAGVER_STATE_DRAFT || state == FLAGVER_STATE_RECORDED,
                              "a version born in this state");
    }
}
END_TEST

/* ---- what is frozen ---- */

/* What a change of a version may not touch; `edit`: while a draft stays one it may. */
static const struct {
    const char *what;
    bool edit;
} columns[] = {
    { "id", false },          { "parent_no", false },  { "reverts_no", false },
    { "created_at", false },  { "created_by", false }, { "tombstone", false },
    { "series", false },      { "payload_id", true },  { "base_no", true },
    { "content_hash", true }, { "note", true },
};

#define COLUMNS (sizeof columns / sizeof *columns)
#define FROZEN 9 /* how many of them; the others may always be touched by an edit */

static void touch(flagver_version_row *version, size_t column)
{
    switch (column) {
    case 0:
        version->id = conform_id(9999);
        break;
    case 1:
        version->parent_no = !version->parent_no;
        break;
    case 2:
        version->reverts_no = !version->reverts_no;
        break;
    case 3:
        version->created_at++;
        break;
    case 4:
        version->created_by = conform_text("somebody else");
        break;
    case 5:
        version->bits ^= FLAGVER_VERSION_TOMBSTONE;
        break;
    case 6:
        version->series = conform_id(8888);
        break;
    case 7:
        version->payload_id = conform_id(7777);
        break;
    case 8:
        version->base_no = !version->base_no;
        break;
    case 9:
        version->content_hash[5] ^= 1;
        break;
    default:
        version->note = conform_text("another note");
        break;
    }
}

/* A series whose third version goes through its life. */
struct life {
    flagver_series_row series;
    flagver_version_row version;
};

static struct life begin_life(void)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    struct life life;

    life.series = conform_series(1, "phase", "subject");
    conform_next_version(txn, &life.series, FLAGVER_STATE_DRAFT, "1");
    conform_next_version(txn, &life.series, FLAGVER_STATE_DRAFT, "2");
    life.version = conform_next_version(txn, &life.series, FLAGVER_STATE_DRAFT, "3");
    conform_next_version(txn, &life.series, FLAGVER_STATE_DRAFT, "4");
    conform_add_payload(
        &batch, (flagver_payload_row){ .id = conform_id(7777), .body = conform_text("other") });
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    return life;
}

/* Change a version to this state, and one column with it. */
static int move_and_touch(const struct life *life, int32_t state, size_t column)
{
    flagver_driver_txn *txn = conform_write();
    flagver_version_row version = life->version;
    uint32_t by = state == FLAGVER_STATE_SUPERSEDED ? 4 : 0;
    int r;

    touch(&version, column);
    r = conform_move(txn, &version, state, by);
    conform_rollback(txn);
    return r;
}

START_TEST(what_a_version_was_made_from_never_changes)
{
    static const int32_t steps[] = { FLAGVER_STATE_DRAFT,     FLAGVER_STATE_SUBMITTED,
                                     FLAGVER_STATE_SUBMITTED, FLAGVER_STATE_DRAFT,
                                     FLAGVER_STATE_SUBMITTED, FLAGVER_STATE_APPROVED,
                                     FLAGVER_STATE_SUPERSEDED };
    struct life life = begin_life();
    flagver_driver_txn *txn;
    size_t step, column;
    bool editing;
    int r;

    for (step = 0; step < sizeof steps / sizeof *steps; step++) {
        editing = life.version.state == FLAGVER_STATE_DRAFT && steps[step] == FLAGVER_STATE_DRAFT;
        for (column = 0; column < (editing ? COLUMNS : FROZEN); column++) {
            bool fine = editing && columns[column].edit;

            r = move_and_touch(&life, steps[step], column);
            ck_assert_msg(fine ? r == 0 : r == FLAGVER_ECORRUPT || r == FLAGVER_ECONFLICT,
                          "from state %d to %d with another %s: %d", (int)life.version.state,
                          (int)steps[step], columns[column].what, r);
        }
        txn = conform_write();
        assert_ok(conform_move(txn, &life.version, steps[step],
                               steps[step] == FLAGVER_STATE_SUPERSEDED ? 4 : 0));
        conform_commit(txn);
    }
}
END_TEST

START_TEST(a_tombstone_stays_one)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    flagver_version_row version;

    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    version.bits = FLAGVER_VERSION_TOMBSTONE;
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, ""));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    version.bits = 0;
    version.rev = 2;
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, version, 1);
    conform_refuse(&batch, "a tombstone that is none any more");
}
END_TEST

/* ---- numbers ---- */

/* A new version with this number in a series whose last number is 2. */
static void add_numbered(struct conform_batch *batch, flagver_series_row *series, uint32_t no)
{
    flagver_version_row version = conform_version(series, no, FLAGVER_STATE_DRAFT);

    version.id = conform_id(4000 + no);
    version.payload_id = conform_id(5000 + no);
    version.parent_no = 0;
    conform_add_payload(batch, conform_payload(&version, "{}"));
    conform_add_version(batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
}

START_TEST(a_new_version_has_the_last_number_of_its_series)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    uint32_t no;

    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    conform_commit(txn);

    /* Without a change of the series no number is free. */
    for (no = 0; no <= 4; no++) {
        add_numbered(&batch, &series, no);
        conform_refuse(&batch, "a version whose number is not free or not the last");
    }
    series.last_no = 3;
    series.rev++;
    for (no = 0; no <= 4; no++) {
        conform_add_series(&batch, series, series.rev - 1);
        add_numbered(&batch, &series, no);
        conform_check_allowed(&batch, no == 3, "the last number, or another one");
    }
}
END_TEST

START_TEST(the_numbers_of_a_series_have_no_gap)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    uint32_t first;
    int r;

    /* A series that begins with number 2, and one that goes on with number 3. */
    for (first = 0; first < 2; first++) {
        flagver_series_row jumped = series;

        jumped.last_no += 2;
        jumped.rev += first;
        txn = conform_write();
        conform_add_series(&batch, jumped, first ? series.rev : 0);
        add_numbered(&batch, &jumped, jumped.last_no);
        r = conform_apply(txn, &batch);
        if (r == 0)
            r = conform.driver->commit(txn, &conform_error);
        else
            conform_rollback(txn);
        ck_assert_msg(r == FLAGVER_ECORRUPT || r == FLAGVER_ECONFLICT,
                      "a series with a gap before number %u: %d", (unsigned)jumped.last_no, r);
        if (first == 0) {
            txn = conform_write();
            conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
            conform_commit(txn);
        }
    }
}
END_TEST

START_TEST(a_version_needs_its_series_and_its_payload)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;

    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_refuse(&batch, "a version without a series");

    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_add_series(&batch, series, 0);
    conform_refuse(&batch, "a version before its series");

    conform_add_series(&batch, series, 0);
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_refuse(&batch, "a version without a payload");

    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_check_allowed(&batch, true, "a version with both");
}
END_TEST

START_TEST(only_versions_that_are_there_change)
{
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version, other;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);

    other = conform_version(&series, 2, FLAGVER_STATE_DRAFT);
    conform_add_payload(&batch, conform_payload(&other, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, other, FLAGVER_EXPECT_ANY);
    conform_refuse(&batch, "a change of a version that is not there");
}
END_TEST

/* Version 2 of a series, and what of it is not right. */
static const struct shape {
    const char *what;
    uint32_t parent, base, reverts, superseded_by;
    bool fine;
} shapes[] = {
    { "all its numbers are smaller", 1, 1, 1, 0, true },
    { "it has no numbers", 0, 0, 0, 0, true },
    { "it is its own parent", 2, 0, 0, 0, false },
    { "its parent is greater", 3, 0, 0, 0, false },
    { "it is its own base", 0, 2, 0, 0, false },
    { "its base is greater", 0, 3, 0, 0, false },
    { "it reverts itself", 0, 0, 2, 0, false },
    { "it reverts a greater one", 0, 0, 3, 0, false },
    { "it is superseded already", 0, 0, 0, 3, false },
};

static flagver_version_row shaped(const flagver_series_row *series, const struct shape *shape)
{
    flagver_version_row version = conform_version(series, 2, FLAGVER_STATE_DRAFT);

    version.parent_no = shape->parent;
    version.base_no = shape->base;
    version.reverts_no = shape->reverts;
    version.superseded_by = shape->superseded_by;
    return version;
}

START_TEST(a_version_refers_to_smaller_numbers_at_its_birth)
{
    flagver_version_row first, version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &first);
    struct conform_batch batch = { .count = 0 };
    const struct shape *shape;

    series.last_no = 2;
    series.rev++;
    for (shape = shapes; shape < shapes + sizeof shapes / sizeof *shapes; shape++) {
        version = shaped(&series, shape);
        conform_add_series(&batch, series, series.rev - 1);
        conform_add_payload(&batch, conform_payload(&version, "{}"));
        conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
        conform_check_allowed(&batch, shape->fine, shape->what);
    }
}
END_TEST

START_TEST(an_edit_cannot_make_the_base_greater)
{
    flagver_version_row version;
    struct conform_batch batch = { .count = 0 };

    conform_draft(1, "phase", "subject", &version);
    version.rev = 2;
    version.base_no = 1;
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, version, 1);
    conform_refuse(&batch, "a version that is its own base");
}
END_TEST

START_TEST(a_superseded_version_says_by_which_and_since_when)
{
    static const struct {
        const char *what;
        uint32_t by;
        int64_t after; /* the decision */
        bool fine;
    } rows[] = {
        { "a greater one, later", 2, 1, true },
        { "none", 0, 1, false },
        { "itself", 1, 1, false },
        { "at the moment of the decision", 2, 0, false },
        { "before the decision", 2, -1, false },
    };
    struct history history = make_history(1, FLAGVER_STATE_APPROVED);
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        version = history.first;
        version.state = FLAGVER_STATE_SUPERSEDED;
        version.superseded_by = rows[i].by;
        version.superseded_at = version.decided_at + rows[i].after;
        version.rev++;
        conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, version, version.rev - 1);
        conform_check_allowed(&batch, rows[i].fine, rows[i].what);
    }
}
END_TEST

START_TEST(only_a_superseded_version_is_superseded_by_another)
{
    static const int32_t targets[] = { FLAGVER_STATE_DRAFT, FLAGVER_STATE_SUBMITTED,
                                       FLAGVER_STATE_APPROVED, FLAGVER_STATE_REJECTED,
                                       FLAGVER_STATE_WITHDRAWN };
    struct history history = make_history(1, FLAGVER_STATE_SUBMITTED);
    flagver_version_row version;
    flagver_driver_txn *txn;
    size_t i;

    for (i = 0; i < sizeof targets / sizeof *targets; i++) {
        version = history.first;
        txn = conform_write();
        assert_refused(conform_move(txn, &version, targets[i], 2),
                       "a version that is superseded by another in the wrong state");
        conform_rollback(txn);
    }
}
END_TEST

START_TEST(one_version_of_a_series_is_approved)
{
    struct history history = make_history(1, FLAGVER_STATE_APPROVED);
    struct history elsewhere = make_history(2, FLAGVER_STATE_DRAFT);
    flagver_version_row version = history.second;
    flagver_driver_txn *txn;

    txn = conform_write();
    assert_refused(conform_move(txn, &version, FLAGVER_STATE_APPROVED, 0),
                   "a second approved version");
    conform_rollback(txn);

    /* Of another series, and when the first one gives way, it is fine. */
    txn = conform_write();
    assert_ok(conform_move(txn, &elsewhere.first, FLAGVER_STATE_APPROVED, 0));
    conform_approve(txn, &history.series, &history.first, &version);
    conform_commit(txn);
}
END_TEST

/* ---- uniqueness ---- */

START_TEST(series_have_names_and_ids_of_their_own)
{
    flagver_version_row version;
    flagver_series_row present = conform_draft(1, "phase", "subject", &version), other;
    struct conform_batch batch = { .count = 0 };

    other = conform_series(2, "phase", "subject");
    conform_add_series(&batch, other, 0);
    conform_refuse(&batch, "a second series of the same name");
    conform_add_series(&batch, conform_series(1, "phase", "other"), 0);
    conform_refuse(&batch, "a second series with the same id");
    other.rev = present.rev + 1;
    conform_add_series(&batch, other, present.rev);
    conform_refuse(&batch, "a series that gets another id");
    conform_add_series(&batch, conform_series(2, "phase", "other"), 0);
    conform_add_series(&batch, conform_series(3, "other", "subject"), 0);
    conform_check_allowed(&batch, true, "series with names and ids of their own");
}
END_TEST

START_TEST(versions_and_payloads_have_ids_of_their_own)
{
    flagver_version_row version, other;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);
    struct conform_batch batch = { .count = 0 };

    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_refuse(&batch, "a second payload with the same id");

    series.last_no = 2;
    series.rev++;
    other = conform_version(&series, 2, FLAGVER_STATE_DRAFT);
    conform_add_series(&batch, series, series.rev - 1);
    conform_add_payload(&batch, conform_payload(&other, "{}"));
    other.id = version.id;
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, other, 0);
    conform_refuse(&batch, "a second version with the same id");

    /* Ids are the store's, not the series'. */
    series = conform_series(2, "phase", "other");
    series.last_no = 1;
    other = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&other, "{}"));
    other.id = version.id;
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, other, 0);
    conform_refuse(&batch, "a version of another series with the same id");
}
END_TEST

/* ---- the log ---- */

START_TEST(leaves_are_dense)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    uint64_t no;

    conform_add_leaf(&batch, conform_leaf(1, "leaf"));
    conform_refuse(&batch, "a first leaf with number 1");
    txn = conform_write();
    conform_add_leaf(&batch, conform_leaf(0, "0"));
    conform_add_leaf(&batch, conform_leaf(1, "1"));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    for (no = 0; no < 5; no++) {
        conform_add_leaf(&batch, conform_leaf(no, "leaf"));
        conform_check_allowed(&batch, no == 2, "the next leaf, or another one");
    }
    conform_add_leaf(&batch, conform_leaf(2, "leaf"));
    conform_add_leaf(&batch, conform_leaf(2, "leaf"));
    conform_refuse(&batch, "the same number twice in a batch");
}
END_TEST

START_TEST(each_tenant_has_a_log_of_its_own)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    flagver_leaf_row leaf = conform_leaf(0, "other");
    uint64_t size = 99;

    conform_add_leaf(&batch, conform_leaf(0, "0"));
    conform_add_leaf(&batch, conform_leaf(1, "1"));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    leaf.tenant = conform_text("other");
    txn = conform_begin(conform.store, "other", FLAGVER_MODE_WRITE);
    assert_ok(conform.driver->lock_log(txn, &size, &conform_error));
    ck_assert_uint_eq(size, 0);
    conform_add_leaf(&batch, leaf);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    txn = conform_write();
    assert_ok(conform.driver->lock_log(txn, &size, &conform_error));
    ck_assert_uint_eq(size, 2);
    conform_rollback(txn);
}
END_TEST

/* ---- series ---- */

static const struct {
    const char *what;
    uint32_t last_no, current_no;
    int64_t changed_at;
    bool fine;
} moves[] = {
    { "nothing but the rev changes", 2, 0, 2000, true },
    { "the current version changes", 2, 2, 2000, true },
    { "the current version is beyond the last", 2, 3, 2000, false },
    { "the last number falls", 1, 0, 2000, false },
    { "the time rises", 2, 0, 2001, true },
    { "the time falls", 2, 0, 1999, false },
};

START_TEST(a_series_only_moves_on)
{
    flagver_series_row series = conform_series(1, "phase", "subject"), changed;
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    size_t i;

    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    conform_commit(txn);
    for (i = 0; i < sizeof moves / sizeof *moves; i++) {
        changed = series;
        changed.last_no = moves[i].last_no;
        changed.current_no = moves[i].current_no;
        changed.changed_at = moves[i].changed_at;
        changed.rev++;
        conform_add_series(&batch, changed, series.rev);
        conform_check_allowed(&batch, moves[i].fine, moves[i].what);
    }
}
END_TEST

/* ---- tenants ---- */

/* Apply to another tenant. */
static void refuse_elsewhere(struct conform_batch *batch, const char *what)
{
    flagver_driver_txn *txn = conform_begin(conform.store, "other", FLAGVER_MODE_WRITE);

    assert_refused(conform_apply(txn, batch), what);
    conform_rollback(txn);
}

START_TEST(rows_of_another_tenant_cannot_be_changed)
{
    flagver_version_row version, changed;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version), elsewhere;
    struct conform_batch batch = { .count = 0 };

    changed = version;
    changed.rev = 2;
    changed.note = conform_text("from elsewhere");
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, changed, 1);
    refuse_elsewhere(&batch, "a change of another tenant's version");

    elsewhere = conform_series(2, "phase", "subject");
    elsewhere.tenant = conform_text("other");
    elsewhere.last_no = 1;
    changed = conform_version(&elsewhere, 1, FLAGVER_STATE_DRAFT);
    changed.payload_id = version.payload_id;
    conform_add_series(&batch, elsewhere, 0);
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, changed, 0);
    refuse_elsewhere(&batch, "a version with another tenant's payload");

    changed = conform_version(&series, 2, FLAGVER_STATE_DRAFT);
    conform_add_payload(&batch, conform_payload(&changed, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, changed, 0);
    refuse_elsewhere(&batch, "a version of another tenant's series");
}
END_TEST

START_TEST(rows_of_another_tenant_are_not_found)
{
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);
    flagver_query query = { .kind = FLAGVER_QUERY_VERSION, .id = version.id, .payload = 1 };
    struct conform_rows rows;
    flagver_driver_txn *txn;

    txn = conform_begin(conform.store, "other", FLAGVER_MODE_READ);
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
    txn = conform_read();
    conform_one(txn, &query, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

void conform_rule_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "rules");

    conform_add(tcase, NEEDS_RULES, a_version_changes_its_state_in_ten_ways_and_no_other);
    conform_add(tcase, NEEDS_RULES, a_version_is_born_as_a_draft_or_recorded);
    conform_add(tcase, NEEDS_RULES, what_a_version_was_made_from_never_changes);
    conform_add(tcase, NEEDS_RULES, a_tombstone_stays_one);
    conform_add(tcase, NEEDS_RULES, a_new_version_has_the_last_number_of_its_series);
    conform_add(tcase, NEEDS_RULES, the_numbers_of_a_series_have_no_gap);
    conform_add(tcase, NEEDS_RULES, a_version_needs_its_series_and_its_payload);
    conform_add(tcase, 0, only_versions_that_are_there_change);
    conform_add(tcase, NEEDS_RULES, a_version_refers_to_smaller_numbers_at_its_birth);
    conform_add(tcase, NEEDS_RULES, an_edit_cannot_make_the_base_greater);
    conform_add(tcase, NEEDS_RULES, a_superseded_version_says_by_which_and_since_when);
    conform_add(tcase, NEEDS_RULES, only_a_superseded_version_is_superseded_by_another);
    conform_add(tcase, NEEDS_RULES, one_version_of_a_series_is_approved);
    conform_add(tcase, 0, series_have_names_and_ids_of_their_own);
    conform_add(tcase, 0, versions_and_payloads_have_ids_of_their_own);
    conform_add(tcase, 0, leaves_are_dense);
    conform_add(tcase, 0, each_tenant_has_a_log_of_its_own);
    conform_add(tcase, NEEDS_RULES, a_series_only_moves_on);
    conform_add(tcase, NEEDS_TENANTS, rows_of_another_tenant_cannot_be_changed);
    conform_add(tcase, 0, rows_of_another_tenant_are_not_found);
}
