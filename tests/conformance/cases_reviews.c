/*
 * Votes and contributors; and of all that belongs to a version: what transactions and tenants
 * see of it, and the rules for it.
 */
#include <stdio.h>

#include "fixture.h"

static flagver_version_row version;
static flagver_series_row series;

/* A series with one draft. */
static void draft(void)
{
    series = conform_draft(1, "phase", "subject", &version);
}

static void submit(void)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform_move(txn, &version, FLAGVER_STATE_SUBMITTED, 0));
    conform_commit(txn);
}

/* How many rows of each kind belong to the series, which is the only one that has any. */
static void check_counts(flagver_driver_txn *txn, size_t items, size_t votes, size_t contributors)
{
    const flagver_query all_items = { .kind = FLAGVER_QUERY_ITEMS },
                        all_votes = { .kind = FLAGVER_QUERY_VOTES },
                        all_editors = { .kind = FLAGVER_QUERY_CONTRIBUTORS };
    const flagver_query of_items = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0),
                        of_votes = conform_parts_of(FLAGVER_QUERY_VOTES, &version, 0),
                        of_editors = conform_parts_of(FLAGVER_QUERY_CONTRIBUTORS, &version, 0);

    ck_assert_uint_eq(conform_count(txn, &of_items), items);
    ck_assert_uint_eq(conform_count(txn, &of_votes), votes);
    ck_assert_uint_eq(conform_count(txn, &of_editors), contributors);
    ck_assert_uint_eq(conform_count(txn, &all_items), items);
    ck_assert_uint_eq(conform_count(txn, &all_votes), votes);
    ck_assert_uint_eq(conform_count(txn, &all_editors), contributors);
}

static void check_all(size_t items, size_t votes, size_t contributors)
{
    flagver_driver_txn *txn = conform_read();

    check_counts(txn, items, votes, contributors);
    conform_rollback(txn);
}

/* ---- votes and contributors ---- */

START_TEST(every_column_of_a_vote_comes_back)
{
    static const char *const notes[] = { NULL, "", "a note" };
    static const char *const actors[] = { "\xc3\xa9", "%", "a'b\"c" };
    struct conform_batch batch = { .count = 0 };
    flagver_vote_row votes[3];
    struct conform_rows rows;
    flagver_driver_txn *txn;
    flagver_query query;
    size_t i, j;

    draft();
    submit();
    for (i = 0; i < 3; i++) {
        votes[i] = conform_vote(&version, actors[i]);
        votes[i].time = INT64_C(253402300799999990) + (int64_t)i;
        votes[i].note = conform_text(notes[i]);
        for (j = 0; j < 32; j++)
            votes[i].content_hash[j] = (uint8_t)(j * 29 + i);
        conform_add_vote(&batch, votes[i]);
    }
    conform_commit_batch(&batch);
    query = conform_parts_of(FLAGVER_QUERY_VOTES, &version, 1);
    txn = conform_read();
    conform_scan(txn, &query, &rows);
    ck_assert_uint_eq(rows.count, 3);
    for (i = 0; i < 3; i++)
        conform_check_vote(&rows.rows[i].as.vote, &votes[i]);
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

/* Two versions that are submitted; what is in `version` is the first one. */
static flagver_version_row submit_two(void)
{
    flagver_driver_txn *txn;
    flagver_version_row second;

    draft();
    txn = conform_write();
    second = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    assert_ok(conform_move(txn, &second, FLAGVER_STATE_SUBMITTED, 0));
    assert_ok(conform_move(txn, &version, FLAGVER_STATE_SUBMITTED, 0));
    conform_commit(txn);
    return second;
}

START_TEST(votes_come_in_order_of_version_time_and_actor)
{
    static const struct {
        uint32_t no;
        const char *actor;
        int64_t time;
    } wanted[] = {
        { 1, "b", 10 }, { 1, "A", 20 },        { 1, "a", 20 }, { 1, "\xc3\xa9", 20 },
        { 1, "0", 30 }, { 2, "\xc3\xa9", 10 }, { 2, "a", 11 },
    };
    const size_t count = sizeof wanted / sizeof *wanted;
    flagver_version_row second = submit_two();
    struct conform_batch batch = { .count = 0 };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    flagver_query query;
    size_t i, from;

    for (i = 0; i < count; i++) {
        const size_t at = i * 3 % count;
        flagver_vote_row vote = conform_vote(wanted[at].no == 1 ? &version : &second,
                                             wanted[at].actor);

        vote.time = wanted[at].time;
        conform_add_vote(&batch, vote);
    }
    conform_commit_batch(&batch);
    query = conform_parts_of(FLAGVER_QUERY_VOTES, &version, 0);
    txn = conform_read();
    for (query.no = 0; query.no <= 2; query.no++) {
        from = query.no == 2 ? 5 : 0;
        conform_scan(txn, &query, &rows);
        ck_assert_uint_eq(rows.count, query.no == 0 ? count : query.no == 1 ? 5 : 2);
        for (i = 0; i < rows.count; i++) {
            ck_assert_uint_eq(rows.rows[i].as.vote.no, wanted[from + i].no);
            ck_assert_int_eq(rows.rows[i].as.vote.time, wanted[from + i].time);
            ck_assert(
                conform_same(rows.rows[i].as.vote.actor, conform_text(wanted[from + i].actor)));
        }
        conform_free(&rows);
    }
    query.limit = 2;
    query.no = 1;
    ck_assert_uint_eq(conform_count(txn, &query), 2);
    query.no = 3;
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
}
END_TEST

START_TEST(contributors_come_in_order_of_version_and_actor)
{
    static const char *const actors[] = {
        "%", "0", "A", "_", "a", "a b", "a/b", "ab", "e\xcc\x81", "\xc3\xa9", "\xf4\x8f\xbf\xbf"
    };
    const size_t count = sizeof actors / sizeof *actors;
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    flagver_version_row second;
    struct conform_rows rows;
    flagver_query query;
    size_t i;

    draft();
    txn = conform_write();
    second = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    conform_add_contributor(&batch, conform_contributor(&second, "a"));
    for (i = 0; i < count; i++)
        conform_add_contributor(&batch, conform_contributor(&version, actors[i * 7 % count]));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    txn = conform_read();
    query = conform_parts_of(FLAGVER_QUERY_CONTRIBUTORS, &version, 0);
    conform_scan(txn, &query, &rows);
    ck_assert_uint_eq(rows.count, count + 1);
    for (i = 0; i <= count; i++) {
        const flagver_contributor_row *got = &rows.rows[i].as.contributor;

        ck_assert(memcmp(&got->series, &version.series, sizeof got->series) == 0);
        ck_assert_uint_eq(got->no, i < count ? 1 : 2);
        ck_assert(conform_same(got->actor, conform_text(i < count ? actors[i] : "a")));
    }
    conform_free(&rows);
    query.no = 1;
    query.limit = 5;
    ck_assert_uint_eq(conform_count(txn, &query), 5);
    query.no = 2;
    ck_assert_uint_eq(conform_count(txn, &query), 1);
    conform_rollback(txn);
}
END_TEST

/* ---- of all series ---- */

/* In order, and made in another one. */
static const char *const names[][2] = { { "a", "\xc3\xa9" }, { "b", "a" },    { "b", "a b" },
                                        { "b", "a%" },       { "b", "a/b" },  { "b", "aa" },
                                        { "b a", "A" },      { "b/a", "zzz" } };
#define NAMED (sizeof names / sizeof *names)
#define OF_EACH 4 /* two of each of two versions */

/* Two versions, and two of everything of each. */
static void make_parts(unsigned number, const char *phase, const char *subject)
{
    static const char *const texts[] = { "z", "x" };
    struct conform_batch batch = { .count = 0 }, votes = { .count = 0 };
    flagver_version_row versions[2];
    flagver_series_row of;
    flagver_driver_txn *txn;
    flagver_vote_row vote;
    size_t v, i;

    of = conform_draft(number, phase, subject, &versions[0]);
    txn = conform_write();
    versions[1] = conform_next_version(txn, &of, FLAGVER_STATE_DRAFT, "{}");
    for (v = 0; v < 2; v++)
        for (i = 0; i < 2; i++) {
            conform_add_new_item(&batch, conform_item(&versions[v], texts[i]), texts[i]);
            conform_add_contributor(&batch, conform_contributor(&versions[v], texts[i]));
            vote = conform_vote(&versions[v], texts[i]);
            vote.time += (int64_t)i;
            conform_add_vote(&votes, vote);
        }
    assert_ok(conform_apply(txn, &batch));
    for (v = 0; v < 2; v++)
        assert_ok(conform_move(txn, &versions[v], FLAGVER_STATE_SUBMITTED, 0));
    assert_ok(conform_apply(txn, &votes));
    conform_commit(txn);
}

/* The key or actor of a row; whose it is, and of which version. */
static flagver_bytes text_of(int32_t kind, const flagver_row *row, flagver_id *ret_series,
                             uint32_t *ret_no)
{
    switch (kind) {
    case FLAGVER_QUERY_ITEMS:
        *ret_series = row->as.item.series;
        *ret_no = row->as.item.no;
        return row->as.item.key;
    case FLAGVER_QUERY_VOTES:
        *ret_series = row->as.vote.series;
        *ret_no = row->as.vote.no;
        return row->as.vote.actor;
    default:
        *ret_series = row->as.contributor.series;
        *ret_no = row->as.contributor.no;
        return row->as.contributor.actor;
    }
}

static void check_part(int32_t kind, const flagver_row *row, const flagver_id *of, uint32_t no,
                       size_t i)
{
    static const char *const by_text[] = { "x", "z" }, *const by_time[] = { "z", "x" };
    const char *wanted = (kind == FLAGVER_QUERY_VOTES ? by_time : by_text)[i];
    flagver_bytes text;
    flagver_id id;
    uint32_t found;

    text = text_of(kind, row, &id, &found);
    ck_assert_msg(memcmp(&id, of, sizeof id) == 0, "it is of another series");
    ck_assert_uint_eq(found, no);
    ck_assert(conform_same(text, conform_text(wanted)));
    if (kind == FLAGVER_QUERY_ITEMS)
        ck_assert(conform_same(row->as.item.payload, text));
}

static void check_parts_of_all(flagver_driver_txn *txn, int32_t kind, const struct conform_rows *of)
{
    flagver_query query = { .kind = kind, .payload = 1 };
    struct conform_rows rows;
    size_t i;

    conform_scan(txn, &query, &rows);
    ck_assert_uint_eq(rows.count, NAMED * OF_EACH);
    for (i = 0; i < rows.count; i++)
        check_part(kind, &rows.rows[i], &of->rows[i / OF_EACH].as.series.id, i / 2 % 2 ? 2 : 1,
                   i % 2);
    conform_free(&rows);

    query.no = 2;
    conform_scan(txn, &query, &rows);
    ck_assert_uint_eq(rows.count, NAMED * OF_EACH / 2);
    for (i = 0; i < rows.count; i++)
        check_part(kind, &rows.rows[i], &of->rows[i / 2].as.series.id, 2, i % 2);
    conform_free(&rows);
    query.limit = 3;
    ck_assert_uint_eq(conform_count(txn, &query), 3);
}

START_TEST(what_belongs_to_all_series_comes_in_order_of_their_names)
{
    const flagver_query all = conform_all_series();
    struct conform_rows of;
    flagver_driver_txn *txn;
    size_t i;

    for (i = 0; i < NAMED; i++)
        make_parts((unsigned)i + 1, names[i * 5 % NAMED][0], names[i * 5 % NAMED][1]);
    txn = conform_read();
    conform_scan(txn, &all, &of);
    ck_assert_uint_eq(of.count, NAMED);
    check_parts_of_all(txn, FLAGVER_QUERY_ITEMS, &of);
    check_parts_of_all(txn, FLAGVER_QUERY_VOTES, &of);
    check_parts_of_all(txn, FLAGVER_QUERY_CONTRIBUTORS, &of);
    conform_free(&of);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_vote_and_a_contributor_are_added_once)
{
    struct conform_batch batch = { .count = 0 };
    flagver_vote_row vote;

    draft();
    conform_add_contributor(&batch, conform_contributor(&version, "a"));
    conform_commit_batch(&batch);
    conform_add_contributor(&batch, conform_contributor(&version, "a"));
    conform_refuse(&batch, "a second contributor of one name");
    conform_add_contributor(&batch, conform_contributor(&version, "A"));
    conform_commit_batch(&batch);

    submit();
    vote = conform_vote(&version, "a");
    conform_add_vote(&batch, vote);
    conform_commit_batch(&batch);
    vote.time++;
    vote.note = conform_text("again");
    conform_add_vote(&batch, vote);
    conform_refuse(&batch, "a second vote of one actor for the same content");
    conform_add_vote(&batch, conform_vote(&version, "b"));
    vote.content_hash[31] ^= 1;
    conform_add_vote(&batch, vote);
    conform_commit_batch(&batch);
    check_all(0, 3, 2);
}
END_TEST

/* ---- transactions ---- */

/* A change of every kind, to a draft with item "old". */
static void change_everything(flagver_driver_txn *txn)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row old = conform_item(&version, "old");
    flagver_version_row submitted = version;
    uint64_t size;

    conform_add_new_item(&batch, conform_item(&version, "new"), "new");
    conform_add_new_item(&batch, conform_item(&version, "newer"), "newer");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM_DELETE, old);
    conform_add_contributor(&batch, conform_contributor(&version, "editor"));
    conform_shred(&batch, version.payload_id);
    assert_ok(conform_apply(txn, &batch));
    assert_ok(conform_move(txn, &submitted, FLAGVER_STATE_SUBMITTED, 0));
    conform_add_vote(&batch, conform_vote(&submitted, "voter"));
    assert_ok(conform_apply(txn, &batch));
    assert_ok(conform.driver->lock_log(txn, &size, &conform_error));
    conform_add_leaf(&batch, conform_leaf(size, "leaf"));
    conform_add_node(&batch, conform_node(8, 0));
    conform_add_head(&batch, conform_head(size + 1, "frontier"));
    assert_ok(conform_apply(txn, &batch));
}

static void make_draft_with_item(void)
{
    struct conform_batch batch = { .count = 0 };

    draft();
    conform_add_new_item(&batch, conform_item(&version, "old"), "old");
    conform_commit_batch(&batch);
}

/* Is it as before change_everything(), or as after it? */
static void check_everything(flagver_driver_txn *txn, bool changed)
{
    const flagver_query nodes = { .kind = FLAGVER_QUERY_NODES, .no = 8 },
                        log = { .kind = FLAGVER_QUERY_LOG },
                        secret = { .kind = FLAGVER_QUERY_VERSION, .id = version.id, .payload = 1 };
    flagver_query old = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 1);
    struct conform_rows rows;

    old.subject = conform_text("old");
    check_counts(txn, changed ? 2 : 1, changed ? 1 : 0, changed ? 1 : 0);
    ck_assert_uint_eq(conform_count(txn, &old), changed ? 0 : 1);
    ck_assert_uint_eq(conform_count(txn, &nodes), changed ? 1 : 0);
    if (changed)
        conform_check_log(txn, 1, "frontier");
    else
        ck_assert_uint_eq(conform_count(txn, &log), 0);
    conform_one(txn, &secret, &rows);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text(changed ? NULL : "{}")));
    conform_free(&rows);
}

START_TEST(what_belongs_to_versions_is_rolled_back)
{
    flagver_driver_txn *txn;

    make_draft_with_item();
    txn = conform_write();
    change_everything(txn);
    check_everything(txn, true);
    conform_rollback(txn);
    txn = conform_read();
    check_everything(txn, false);
    conform_rollback(txn);
    /* The same names are free. */
    txn = conform_write();
    change_everything(txn);
    conform_commit(txn);
    txn = conform_read();
    check_everything(txn, true);
    conform_rollback(txn);
}
END_TEST

START_TEST(what_belongs_to_versions_outlives_the_store)
{
    flagver_driver_txn *txn;

    make_draft_with_item();
    txn = conform_write();
    change_everything(txn);
    conform_commit(txn);
    conform_close(conform.store);
    conform.store = conform_open(CONFORM_WAIT_MS);
    txn = conform_read();
    check_everything(txn, true);
    conform_rollback(txn);
}
END_TEST

/* Kinds that say nothing about the rev of their row have none. */
START_TEST(what_belongs_to_versions_is_written_whatever_is_expected)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row old;
    flagver_driver_txn *txn;
    size_t i;

    make_draft_with_item();
    old = conform_item(&version, "old");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, conform_decided(old, FLAGVER_ITEM_REJECTED));
    conform_add_new_item(&batch, conform_item(&version, "new"), "new");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM_DELETE, old);
    conform_add_contributor(&batch, conform_contributor(&version, "editor"));
    conform_shred(&batch, version.payload_id);
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_node(&batch, conform_node(8, 0));
    conform_add_head(&batch, conform_head(1, "frontier"));
    for (i = 0; i < batch.count; i++)
        batch.changes[i].expect = 4711;
    conform_commit_batch(&batch);
    txn = conform_write();
    check_counts(txn, 1, 0, 1);
    assert_ok(conform_move(txn, &version, FLAGVER_STATE_SUBMITTED, 0));
    conform_add_vote(&batch, conform_vote(&version, "voter"));
    batch.changes[0].expect = 4711;
    assert_ok(conform_apply(txn, &batch));
    check_counts(txn, 1, 1, 1);
    conform_commit(txn);
}
END_TEST

START_TEST(what_belongs_to_versions_is_seen_once_it_is_committed)
{
    flagver_driver_txn *txn, *reader;

    make_draft_with_item();
    txn = conform_write();
    reader = conform_read();
    check_everything(reader, false);
    change_everything(txn);
    check_everything(txn, true);
    check_everything(reader, false);
    conform_commit(txn);
    check_everything(reader, false);
    conform_rollback(reader);
    reader = conform_read();
    check_everything(reader, true);
    conform_rollback(reader);
}
END_TEST

START_TEST(a_cursor_over_items_stays_in_its_state_while_others_commit)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *reader;
    flagver_cursor *cursor;
    flagver_query query;
    flagver_row row;
    size_t i;

    make_draft_with_item();
    query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0);
    conform_add_new_item(&batch, conform_item(&version, "pld"), "pld");
    conform_commit_batch(&batch);
    reader = conform_read();
    assert_ok(conform.driver->scan(reader, &query, &cursor, &conform_error));
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 1);
        ck_assert(conform_same(row.as.item.payload, conform_text(i ? "pld" : "old")));
        conform_add_new_item(&batch, conform_item(&version, i ? "z" : "p"), "late");
        conform_shred(&batch, conform_item(&version, i ? "old" : "pld").payload_id);
        conform_commit_batch(&batch);
    }
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 0);
    conform.driver->end_scan(cursor);
    conform_rollback(reader);
    check_all(4, 0, 0);
}
END_TEST

START_TEST(a_batch_that_is_refused_leaves_nothing_of_any_kind)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;

    make_draft_with_item();
    txn = conform_write();
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM,
                     conform_decided(conform_item(&version, "old"), FLAGVER_ITEM_APPROVED));
    conform_add_new_item(&batch, conform_item(&version, "new"), "new");
    conform_add_contributor(&batch, conform_contributor(&version, "editor"));
    conform_shred(&batch, version.payload_id);
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_node(&batch, conform_node(8, 0));
    conform_add_head(&batch, conform_head(1, "frontier"));
    conform_add_contributor(&batch, conform_contributor(&version, "editor"));
    assert_refused(conform_apply(txn, &batch), "a contributor twice in a batch");
    /* It may go on without the batch, or not at all. */
    conform.driver->commit(txn, NULL);
    txn = conform_read();
    check_everything(txn, false);
    conform_rollback(txn);
}
END_TEST

/* ---- tenants ---- */

START_TEST(what_belongs_to_another_tenants_versions_is_not_found)
{
    const flagver_query nodes = { .kind = FLAGVER_QUERY_NODES, .no = 8 },
                        log = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    flagver_node_row node = conform_node(8, 0);
    flagver_leaf_row leaf = conform_leaf(0, "leaf");
    flagver_log_row head = conform_head(1, "theirs");
    flagver_driver_txn *txn;

    make_draft_with_item();
    txn = conform_write();
    change_everything(txn);
    conform_commit(txn);
    txn = conform_begin(conform.store, "other", FLAGVER_MODE_WRITE);
    check_counts(txn, 0, 0, 0);
    ck_assert_uint_eq(conform_count(txn, &nodes), 0);
    ck_assert_uint_eq(conform_count(txn, &log), 0);
    /* A log of its own, with nodes of the same names. */
    node.tenant = leaf.tenant = head.tenant = conform_text("other");
    conform_add_leaf(&batch, leaf);
    conform_add_node(&batch, node);
    conform_add_head(&batch, head);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    txn = conform_read();
    check_everything(txn, true);
    conform_rollback(txn);
}
END_TEST

START_TEST(what_belongs_to_another_tenants_versions_cannot_be_changed)
{
    struct conform_batch batches[5] = { { .count = 0 } };
    flagver_item_row item;
    flagver_driver_txn *txn;
    size_t i;

    make_draft_with_item();
    item = conform_item(&version, "new");
    item.payload_id = version.payload_id;
    conform_add_item(&batches[0], FLAGVER_CHANGE_ITEM, item);
    conform_add_item(&batches[1], FLAGVER_CHANGE_ITEM_DELETE, conform_item(&version, "old"));
    conform_add_contributor(&batches[2], conform_contributor(&version, "editor"));
    conform_add_vote(&batches[3], conform_vote(&version, "voter"));
    conform_shred(&batches[4], version.payload_id);
    for (i = 0; i < 5; i++) {
        txn = conform_begin(conform.store, "other", FLAGVER_MODE_WRITE);
        assert_refused(conform_apply(txn, &batches[i]), "a change of what is another tenant's");
        conform_rollback(txn);
    }
    txn = conform_read();
    check_everything(txn, false);
    conform_rollback(txn);
}
END_TEST

/* ---- rules ---- */

/* What may be done to a version in each state, and to its item "old". */
#define NEW 1u      /* another item */
#define DECIDE 2u   /* decide the item */
#define EDIT 4u     /* give it other content */
#define DELETE 8u   /* delete it */
#define VOTE 16u    /* a vote */
#define CONTRIB 32u /* a contributor */
#define ACTIONS 6

static const char *const action_names[ACTIONS] = {
    "a new item",         "a decision", "an item's new content",
    "an item's deletion", "a vote",     "a contributor"
};

static const struct {
    int32_t state;
    uint32_t bits;
    unsigned fine;
} states[] = {
    { FLAGVER_STATE_DRAFT, 0, NEW | DECIDE | EDIT | DELETE | CONTRIB },
    { FLAGVER_STATE_SUBMITTED, 0, DECIDE | VOTE },
    { FLAGVER_STATE_APPROVED, 0, 0 },
    { FLAGVER_STATE_APPROVED, FLAGVER_VERSION_EMERGENCY, VOTE },
    { FLAGVER_STATE_SUPERSEDED, 0, 0 },
    { FLAGVER_STATE_SUPERSEDED, FLAGVER_VERSION_EMERGENCY, VOTE },
    { FLAGVER_STATE_REJECTED, 0, 0 },
    { FLAGVER_STATE_WITHDRAWN, 0, 0 },
};

#define STATES (sizeof states / sizeof *states)

static void add_action(struct conform_batch *batch, unsigned action)
{
    flagver_item_row old = conform_item(&version, "old"), fresh = conform_item(&version, "new");

    switch (action) {
    case NEW:
        conform_add_new_item(batch, fresh, "new");
        break;
    case DECIDE:
        conform_add_item(batch, FLAGVER_CHANGE_ITEM, conform_decided(old, FLAGVER_ITEM_APPROVED));
        break;
    case EDIT:
        old.payload_id = fresh.payload_id;
        old.hash[0] ^= 0xff;
        conform_add_new_item(batch, old, "edited");
        break;
    case DELETE:
        conform_add_item(batch, FLAGVER_CHANGE_ITEM_DELETE, old);
        break;
    case VOTE:
        conform_add_vote(batch, conform_vote(&version, "voter"));
        break;
    default:
        conform_add_contributor(batch, conform_contributor(&version, "editor"));
        break;
    }
}

/* A version with item "old" in this state, and a draft behind it. */
static void make_version(unsigned number, size_t row)
{
    int32_t state = states[row].state;
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    static char subject[32];

    snprintf(subject, sizeof subject, "subject %u", number);
    series = conform_series(number, "phase", subject);
    version = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    conform_add_new_item(&batch, conform_item(&version, "old"), "old");
    assert_ok(conform_apply(txn, &batch));
    version.bits = states[row].bits;
    if (state == FLAGVER_STATE_SUBMITTED || state == FLAGVER_STATE_REJECTED)
        assert_ok(conform_move(txn, &version, FLAGVER_STATE_SUBMITTED, 0));
    if (state == FLAGVER_STATE_APPROVED || state == FLAGVER_STATE_SUPERSEDED)
        assert_ok(conform_move(txn, &version, FLAGVER_STATE_APPROVED, 0));
    if (state != version.state)
        assert_ok(conform_move(txn, &version, state, state == FLAGVER_STATE_SUPERSEDED ? 2 : 0));
    conform_commit(txn);
}

START_TEST(what_belongs_to_a_version_changes_in_some_states_only)
{
    struct conform_batch batch = { .count = 0 };
    char what[96];
    unsigned action;
    size_t row;

    for (row = 0; row < STATES; row++) {
        make_version((unsigned)row + 1, row);
        for (action = 0; action < ACTIONS; action++) {
            snprintf(what, sizeof what, "%s in state %d with bits %u", action_names[action],
                     (int)states[row].state, (unsigned)states[row].bits);
            add_action(&batch, 1u << action);
            conform_check_allowed(&batch, states[row].fine & 1u << action, what);
        }
    }
}
END_TEST

START_TEST(nothing_belongs_to_a_recorded_version)
{
    static const unsigned actions[] = { NEW, VOTE, CONTRIB };
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    size_t i;

    series = conform_series(1, "phase", "subject");
    version = conform_next_version(txn, &series, FLAGVER_STATE_RECORDED, "{}");
    conform_commit(txn);
    for (i = 0; i < sizeof actions / sizeof *actions; i++) {
        add_action(&batch, actions[i]);
        conform_refuse(&batch, "something that belongs to a recorded version");
    }
}
END_TEST

START_TEST(a_submitted_item_keeps_its_content)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row old, changed;

    make_version(1, 1);
    old = conform_decided(conform_item(&version, "old"), FLAGVER_ITEM_REJECTED);
    changed = old;
    changed.hash[31] ^= 1;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, changed);
    conform_refuse(&batch, "a decision with another hash");
    changed = old;
    changed.payload_id = version.payload_id;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, changed);
    conform_refuse(&batch, "a decision with another payload");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, old);
    conform_check_allowed(&batch, true, "a decision");
}
END_TEST

START_TEST(a_batch_that_returns_a_version_may_change_its_items)
{
    struct conform_batch batch = { .count = 0 };
    flagver_version_row returned;

    make_version(1, 1);
    returned = version;
    returned.state = FLAGVER_STATE_DRAFT;
    returned.submitted_at = 0;
    returned.rev++;
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, returned, version.rev);
    add_action(&batch, NEW);
    add_action(&batch, DELETE);
    add_action(&batch, CONTRIB);
    conform_check_allowed(&batch, true, "changes of a version that is a draft again");
    add_action(&batch, NEW);
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, returned, version.rev);
    conform_refuse(&batch, "an item before the version is a draft again");
}
END_TEST

/* Items of a draft with number 1, and what of them is not right. */
static const struct shape {
    const char *what, *key;
    int32_t status;
    const char *decided_by;
    int64_t decided_at;
    uint32_t origin_no;
    bool fine;
} shapes[] = {
    { "pending", "a", FLAGVER_ITEM_PENDING, NULL, 0, 0, true },
    { "approved", "a", FLAGVER_ITEM_APPROVED, "b", 1, 1, true },
    { "approved, its origin not known", "a", FLAGVER_ITEM_APPROVED, "b", 1, 0, true },
    { "rejected", "a", FLAGVER_ITEM_REJECTED, "b", 1, 0, true },
    { "approved by nobody", "a", FLAGVER_ITEM_APPROVED, NULL, 1, 1, false },
    { "approved at no time", "a", FLAGVER_ITEM_APPROVED, "b", 0, 1, false },
    { "rejected by nobody", "a", FLAGVER_ITEM_REJECTED, NULL, 1, 0, false },
    { "pending and decided by somebody", "a", FLAGVER_ITEM_PENDING, "b", 0, 0, false },
    { "pending and decided at some time", "a", FLAGVER_ITEM_PENDING, NULL, 1, 0, false },
    { "of a status that there is not", "a", 3, "b", 1, 0, false },
    { "of a status below all", "a", -1, "b", 1, 0, false },
    { "of an origin that is to come", "a", FLAGVER_ITEM_APPROVED, "b", 1, 2, false },
    { "without a key", "", FLAGVER_ITEM_PENDING, NULL, 0, 0, false },
};

START_TEST(an_item_has_one_of_the_shapes_that_there_are)
{
    struct conform_batch batch = { .count = 0 };
    char key[514];
    size_t i;

    draft();
    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *shape = &shapes[i];
        flagver_item_row item = conform_item(&version, shape->key);

        item.status = shape->status;
        item.decided_by = conform_text(shape->decided_by);
        item.decided_at = shape->decided_at;
        item.origin_no = shape->origin_no;
        conform_add_new_item(&batch, item, "{}");
        conform_check_allowed(&batch, shape->fine, shape->what);
    }
    memset(key, 'k', 513);
    key[513] = '\0';
    conform_add_new_item(&batch, conform_item(&version, key), "{}");
    conform_refuse(&batch, "an item whose key is too long");
}
END_TEST

START_TEST(what_is_referred_to_has_to_be_there)
{
    struct conform_batch batch = { .count = 0 };
    flagver_version_row absent;

    draft();
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, conform_item(&version, "key"));
    conform_refuse(&batch, "an item without a payload");
    absent = conform_version(&series, 2, FLAGVER_STATE_DRAFT);
    conform_add_new_item(&batch, conform_item(&absent, "key"), "{}");
    conform_refuse(&batch, "an item of a version that is not there");
    conform_add_contributor(&batch, conform_contributor(&absent, "editor"));
    conform_refuse(&batch, "a contributor to a version that is not there");
    conform_add_vote(&batch, conform_vote(&absent, "voter"));
    conform_refuse(&batch, "a vote on a version that is not there");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM_DELETE, conform_item(&version, "key"));
    conform_refuse(&batch, "the deletion of an item that is not there");
    conform_shred(&batch, conform_id(4711));
    conform_refuse(&batch, "the shredding of a payload that is not there");
}
END_TEST

void conform_review_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "votes and contributors");

    conform_add(tcase, 0, every_column_of_a_vote_comes_back);
    conform_add(tcase, 0, votes_come_in_order_of_version_time_and_actor);
    conform_add(tcase, 0, contributors_come_in_order_of_version_and_actor);
    conform_add(tcase, 0, what_belongs_to_all_series_comes_in_order_of_their_names);
    conform_add(tcase, 0, a_vote_and_a_contributor_are_added_once);

    tcase = conform_tcase(suite, "transactions of reviews");
    conform_add(tcase, 0, what_belongs_to_versions_is_rolled_back);
    conform_add(tcase, NEEDS_REOPEN, what_belongs_to_versions_outlives_the_store);
    conform_add(tcase, 0, what_belongs_to_versions_is_written_whatever_is_expected);
    conform_add(tcase, NEEDS_SNAPSHOTS, what_belongs_to_versions_is_seen_once_it_is_committed);
    conform_add(tcase, NEEDS_SNAPSHOTS, a_cursor_over_items_stays_in_its_state_while_others_commit);
    conform_add(tcase, 0, a_batch_that_is_refused_leaves_nothing_of_any_kind);
    conform_add(tcase, 0, what_belongs_to_another_tenants_versions_is_not_found);
    conform_add(tcase, NEEDS_TENANTS, what_belongs_to_another_tenants_versions_cannot_be_changed);

    tcase = conform_tcase(suite, "rules of reviews");
    conform_add(tcase, NEEDS_RULES, what_belongs_to_a_version_changes_in_some_states_only);
    conform_add(tcase, NEEDS_RULES, nothing_belongs_to_a_recorded_version);
    conform_add(tcase, NEEDS_RULES, a_submitted_item_keeps_its_content);
    conform_add(tcase, NEEDS_RULES, a_batch_that_returns_a_version_may_change_its_items);
    conform_add(tcase, NEEDS_RULES, an_item_has_one_of_the_shapes_that_there_are);
    conform_add(tcase, NEEDS_RULES, what_is_referred_to_has_to_be_there);
}
