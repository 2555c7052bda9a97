/*
 * What belongs to a version: its items, votes and contributors; payloads that are shredded. And
 * what belongs to the log: its nodes and its head.
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

/* Move the version as far as this state; it stays in `version`. */
static void move(int32_t state, uint32_t superseded_by)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform_move(txn, &version, state, superseded_by));
    conform_commit(txn);
}

/* Apply in a transaction of its own. */
static void commit_batch(struct conform_batch *batch)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform_apply(txn, batch));
    conform_commit(txn);
}

static void refuse(struct conform_batch *batch, const char *what)
{
    flagver_driver_txn *txn = conform_write();

    assert_refused(conform_apply(txn, batch), what);
    conform_rollback(txn);
}

/* Apply and undo it; it is refused, or not, as it has to be. */
static void check_allowed(struct conform_batch *batch, bool fine, const char *what)
{
    flagver_driver_txn *txn;
    int r;

    if (!fine) {
        refuse(batch, what);
        return;
    }
    txn = conform_write();
    r = conform_apply(txn, batch);
    ck_assert_msg(r == 0, "%s was refused: %d, %s", what, r, conform_error.message);
    conform_rollback(txn);
}

/* How many rows of each kind belong to the series. */
static void check_counts(flagver_driver_txn *txn, size_t items, size_t votes, size_t contributors)
{
    const flagver_query of_items = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0),
                        of_votes = conform_parts_of(FLAGVER_QUERY_VOTES, &version, 0),
                        of_editors = conform_parts_of(FLAGVER_QUERY_CONTRIBUTORS, &version, 0);

    ck_assert_uint_eq(conform_count(txn, &of_items), items);
    ck_assert_uint_eq(conform_count(txn, &of_votes), votes);
    ck_assert_uint_eq(conform_count(txn, &of_editors), contributors);
}

static void check_all(size_t items, size_t votes, size_t contributors)
{
    flagver_driver_txn *txn = conform_read();

    check_counts(txn, items, votes, contributors);
    conform_rollback(txn);
}

static flagver_item_row decided(flagver_item_row item, int32_t status)
{
    bool done = status != FLAGVER_ITEM_PENDING;

    item.status = status;
    item.decided_at = done ? 1234567890123456 : 0;
    item.decided_by = conform_text(done ? "reviewer" : NULL);
    item.origin_no = status == FLAGVER_ITEM_APPROVED ? item.no : 0;
    return item;
}

/* ---- items ---- */

/* Like this it is stored, and with this payload. */
static void check_stored(const flagver_item_row *wanted, const char *body)
{
    flagver_query query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, wanted->no);
    flagver_driver_txn *txn = conform_read();
    struct conform_rows rows;

    query.subject = wanted->key;
    conform_one(txn, &query, &rows);
    conform_check_item(&rows.rows[0].as.item, wanted);
    ck_assert(conform_same(rows.rows[0].as.item.payload, conform_text(body)));
    conform_free(&rows);
    conform_rollback(txn);
}

START_TEST(every_column_of_an_item_comes_back)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row item;
    size_t i;

    draft();
    item = decided(conform_item(&version, "key"), FLAGVER_ITEM_APPROVED);
    item.note = conform_text("a note");
    memset(item.payload_id.bytes, 0xfe, sizeof item.payload_id.bytes);
    for (i = 0; i < sizeof item.hash; i++)
        item.hash[i] = (uint8_t)(i * 41);
    conform_add_new_item(&batch, item, "body");
    commit_batch(&batch);
    check_stored(&item, "body");
}
END_TEST

START_TEST(an_item_that_is_decided_and_edited_comes_back)
{
    static const int32_t statuses[] = { FLAGVER_ITEM_REJECTED, FLAGVER_ITEM_APPROVED,
                                        FLAGVER_ITEM_PENDING };
    struct conform_batch batch = { .count = 0 };
    flagver_item_row item, changed;
    size_t i;

    draft();
    item = conform_item(&version, "key");
    conform_add_new_item(&batch, item, "first");
    commit_batch(&batch);
    check_stored(&item, "first");
    for (i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        changed = decided(item, statuses[i]);
        changed.note = conform_text(statuses[i] ? "because" : NULL);
        conform_add_item(&batch, FLAGVER_CHANGE_ITEM, changed);
        commit_batch(&batch);
        check_stored(&changed, "first");
    }
    item.hash[7] ^= 0xff;
    item.payload_id = conform_id(77);
    conform_add_new_item(&batch, item, "second");
    commit_batch(&batch);
    check_stored(&item, "second");
    check_all(1, 0, 0);
}
END_TEST

START_TEST(an_item_that_was_deleted_is_gone_and_may_come_again)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row item, other, key = { .no = 1, .key = { "key", 3 } };

    draft();
    item = conform_item(&version, "key");
    other = conform_item(&version, "kez");
    conform_add_new_item(&batch, item, "1");
    conform_add_new_item(&batch, other, "2");
    commit_batch(&batch);
    /* The key is enough to say which. */
    key.series = version.series;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM_DELETE, key);
    commit_batch(&batch);
    check_all(1, 0, 0);
    check_stored(&other, "2");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    commit_batch(&batch);
    check_stored(&item, "1");
}
END_TEST

START_TEST(items_are_decided_while_the_version_is_submitted)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row item;

    draft();
    item = conform_item(&version, "key");
    conform_add_new_item(&batch, item, "body");
    commit_batch(&batch);
    move(FLAGVER_STATE_SUBMITTED, 0);
    item = decided(item, FLAGVER_ITEM_REJECTED);
    item.note = conform_text("");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    commit_batch(&batch);
    check_stored(&item, "body");
    item = decided(item, FLAGVER_ITEM_PENDING);
    item.note = conform_text(NULL);
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    commit_batch(&batch);
    check_stored(&item, "body");
}
END_TEST

START_TEST(a_payload_of_an_item_is_any_bytes_or_not_asked_for)
{
    const flagver_bytes values[] = {
        { "", 0 }, { "\0\xff", 2 }, { "0123456789abcdef", 16 }, { NULL, 0 }
    };
    flagver_payload_row payload = { .key = 4000000007u };
    struct conform_batch batch = { .count = 0 };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    flagver_query query;
    size_t i, j;

    draft();
    query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 1);
    for (i = 0; i < 3; i++)
        for (j = 0; j < sizeof values / sizeof *values; j++) {
            flagver_item_row item = conform_item(&version, "key");

            item.payload_id = payload.id = conform_id((unsigned)(100 + 10 * i + j));
            payload.body = values[i];
            payload.salt = values[j];
            conform_add_payload(&batch, payload);
            conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
            commit_batch(&batch);
            txn = conform_read();
            for (query.payload = 0; query.payload < 2; query.payload++) {
                flagver_bytes none = { NULL, 0 };

                conform_one(txn, &query, &rows);
                ck_assert(
                    conform_same(rows.rows[0].as.item.payload, query.payload ? values[i] : none));
                if (query.payload) {
                    ck_assert(conform_same(rows.rows[0].as.item.payload_salt, values[j]));
                    ck_assert_uint_eq(rows.rows[0].as.item.payload_key, payload.key);
                }
                conform_free(&rows);
            }
            conform_rollback(txn);
        }
}
END_TEST

START_TEST(a_version_and_items_may_have_one_payload)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row a, b;

    draft();
    a = conform_item(&version, "a");
    b = conform_item(&version, "b");
    a.payload_id = b.payload_id = version.payload_id;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, a);
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, b);
    commit_batch(&batch);
    check_stored(&a, "{}");
    check_stored(&b, "{}");
}
END_TEST

/* ---- texts of every kind ---- */

/* In the order of their bytes. */
static const char *const keys[] = {
    "\x01\x1f\x7f",
    " ",
    "%",
    "''; DROP TABLE item; --",
    "/",
    "0",
    "A",
    "NULL",
    "_",
    "a",
    "a ",
    "a%",
    "a/",
    "a/b",
    "a/b/c",
    "aa",
    "b",
    "e\xcc\x81",
    "line\nline\r\n",
    "\xc3\xa9",
    "\xef\xbf\xbd",
    "\xf0\x9f\x98\x80",
    "\xf4\x8f\xbf\xbf",
    "\xf4\x8f\xbf\xbf/x",
};

#define KEYS (sizeof keys / sizeof *keys)

/* Text number i in an order that is none. */
static const char *mixed(size_t i)
{
    return keys[i * 7 % KEYS];
}

/* 512 bytes, of which the last one is this. */
static const char *long_key(char last)
{
    static char texts[2][513];
    static unsigned turn;
    char *text = texts[turn++ % 2];
    size_t i;

    for (i = 0; i < 510; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[510] = '/';
    text[511] = last;
    text[512] = '\0';
    return text;
}

START_TEST(items_have_texts_of_every_kind)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row items[KEYS];
    size_t i;

    draft();
    for (i = 0; i < KEYS; i++) {
        items[i] = decided(conform_item(&version, mixed(i)), FLAGVER_ITEM_APPROVED);
        items[i].decided_by = items[i].key;
        items[i].note = conform_text(i % 3 == 0 ? NULL : i % 3 == 1 ? "" : mixed(i));
        conform_add_new_item(&batch, items[i], mixed(i));
    }
    commit_batch(&batch);
    for (i = 0; i < KEYS; i++)
        check_stored(&items[i], mixed(i));
}
END_TEST

START_TEST(a_key_of_an_item_may_have_512_bytes)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row a, b;

    draft();
    a = conform_item(&version, long_key('a'));
    b = conform_item(&version, long_key('b'));
    conform_add_new_item(&batch, a, "a");
    conform_add_new_item(&batch, b, "b");
    commit_batch(&batch);
    check_stored(&a, "a");
    check_stored(&b, "b");
}
END_TEST

START_TEST(what_belongs_to_a_version_is_borrowed_until_apply_returns)
{
    char key[] = "key", actor[] = "actor", editor[] = "editor", frontier[] = "frontier";
    const flagver_query editors = { .kind = FLAGVER_QUERY_CONTRIBUTORS, .id = conform_id(1) };
    struct conform_batch batch = { .count = 0 };
    flagver_item_row item;
    struct conform_rows rows;
    flagver_driver_txn *txn;

    draft();
    item = decided(conform_item(&version, key), FLAGVER_ITEM_APPROVED);
    item.decided_by = conform_text(actor);
    conform_add_new_item(&batch, item, "body");
    conform_add_contributor(&batch, conform_contributor(&version, editor));
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_head(&batch, conform_head(1, frontier));
    txn = conform_write();
    assert_ok(conform_apply(txn, &batch));
    memset(&batch, 0xee, sizeof batch);
    memset(key, 'x', sizeof key - 1);
    memset(actor, 'x', sizeof actor - 1);
    memset(editor, 'x', sizeof editor - 1);
    memset(frontier, 'x', sizeof frontier - 1);
    conform_commit(txn);

    item.key = conform_text("key");
    item.decided_by = conform_text("actor");
    check_stored(&item, "body");
    txn = conform_read();
    conform_check_log(txn, 1, "frontier");
    conform_one(txn, &editors, &rows);
    ck_assert(conform_same(rows.rows[0].as.contributor.actor, conform_text("editor")));
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

/* ---- questions about items ---- */

/* Three versions; each has the keys whose number is a multiple of its own. */
static void make_items(void)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    flagver_version_row other;
    size_t i;

    draft();
    txn = conform_write();
    other = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    other = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    for (other.no = 3; other.no > 0; other.no--) {
        for (i = 0; i < KEYS; i++)
            if (i * 7 % KEYS % other.no == 0)
                conform_add_new_item(&batch, conform_item(&other, mixed(i)), mixed(i));
        assert_ok(conform_apply(txn, &batch));
    }
    conform_commit(txn);
    /* And another series, of which nothing is to be found. */
    conform_draft(2, "phase", "other", &other);
    conform_add_new_item(&batch, conform_item(&other, "a"), "other");
    commit_batch(&batch);
}

static bool is_after(const char *key, flagver_bytes after)
{
    return !after.data || strcmp(key, (const char *)after.data) > 0;
}

/* Ask, and compare with what make_items() has made. */
static void ask(flagver_driver_txn *txn, const flagver_query *query)
{
    uint32_t first = query->no ? query->no : 1, last = query->no ? query->no : 3, no;
    struct conform_rows rows;
    size_t at = 0, i;

    conform_scan(txn, query, &rows);
    for (no = first; no <= last; no++)
        for (i = 0; i < KEYS && !(query->limit && at == query->limit); i += no) {
            const flagver_item_row *got;

            if (!is_after(keys[i], query->after) ||
                (query->subject.data && !conform_same(query->subject, conform_text(keys[i]))))
                continue;
            ck_assert_msg(at < rows.count, "only %zu items", rows.count);
            got = &rows.rows[at++].as.item;
            ck_assert_msg(got->no == no && conform_same(got->key, conform_text(keys[i])),
                          "item %zu is \"%.*s\" of %u instead of \"%s\" of %u", at - 1,
                          (int)got->key.length, (const char *)got->key.data, (unsigned)got->no,
                          keys[i], (unsigned)no);
            ck_assert(conform_same(got->payload, conform_text(query->payload ? keys[i] : NULL)));
        }
    ck_assert_msg(at == rows.count, "%zu items instead of %zu", rows.count, at);
    conform_free(&rows);
}

START_TEST(items_come_in_order_of_version_and_key)
{
    flagver_driver_txn *txn;
    flagver_query query;

    make_items();
    query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0);
    txn = conform_read();
    for (query.payload = 0; query.payload < 2; query.payload++)
        for (query.no = 0; query.no <= 3; query.no++)
            for (query.limit = 0; query.limit <= 30; query.limit += 10)
                ask(txn, &query);
    query.no = 4;
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    query.no = 0;
    query.id = conform_id(3);
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
}
END_TEST

START_TEST(an_item_is_found_by_its_key)
{
    static const char *const asked[] = { "a", "a%", "A", "%", "_", "\xc3\xa9", "nothing", "" };
    flagver_driver_txn *txn;
    flagver_query query;
    size_t i;

    make_items();
    query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0);
    txn = conform_read();
    for (i = 0; i < sizeof asked / sizeof *asked; i++)
        for (query.no = 0; query.no <= 3; query.no++) {
            query.subject = conform_text(asked[i]);
            ask(txn, &query);
        }
    conform_rollback(txn);
}
END_TEST

START_TEST(items_go_on_after_a_key)
{
    static const char *const after[] = {
        "", "A", "a", "a/", "a/a", "zz", "\xc3", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf/x"
    };
    flagver_driver_txn *txn;
    flagver_query query;
    size_t i;

    make_items();
    txn = conform_read();
    for (i = 0; i < sizeof after / sizeof *after; i++) {
        query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0);
        query.after = conform_text(after[i]);
        for (query.no = 1; query.no <= 3; query.no++)
            for (query.limit = 0; query.limit <= 3; query.limit += 3)
                ask(txn, &query);
    }
    conform_rollback(txn);
}
END_TEST

START_TEST(a_question_about_items_is_borrowed_until_scan_returns)
{
    char after[] = "a/b";
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    flagver_query query;
    flagver_row row;

    make_items();
    query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 1);
    query.after = conform_text(after);
    txn = conform_read();
    assert_ok(conform.driver->scan(txn, &query, &cursor, &conform_error));
    memset(&query, 0xee, sizeof query);
    memset(after, 'x', sizeof after - 1);
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 1);
    ck_assert(conform_same(row.as.item.key, conform_text("a/b/c")));
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 1);
    ck_assert(conform_same(row.as.item.key, conform_text("aa")));
    conform.driver->end_scan(cursor);
    conform_rollback(txn);
}
END_TEST

/* ---- votes and contributors ---- */

START_TEST(every_column_of_a_vote_comes_back)
{
    static const char *const notes[] = { NULL, "", "a note" };
    struct conform_batch batch = { .count = 0 };
    flagver_vote_row votes[3];
    struct conform_rows rows;
    flagver_driver_txn *txn;
    flagver_query query;
    size_t i, j;

    draft();
    move(FLAGVER_STATE_SUBMITTED, 0);
    for (i = 0; i < 3; i++) {
        votes[i] = conform_vote(&version, mixed(i));
        votes[i].time = INT64_C(253402300799999990) + (int64_t)i;
        votes[i].note = conform_text(notes[i]);
        for (j = 0; j < 32; j++)
            votes[i].content_hash[j] = (uint8_t)(j * 29 + i);
        conform_add_vote(&batch, votes[i]);
    }
    commit_batch(&batch);
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
    commit_batch(&batch);
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
    for (i = 0; i < KEYS; i++)
        conform_add_contributor(&batch, conform_contributor(&version, mixed(i)));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    txn = conform_read();
    query = conform_parts_of(FLAGVER_QUERY_CONTRIBUTORS, &version, 0);
    conform_scan(txn, &query, &rows);
    ck_assert_uint_eq(rows.count, KEYS + 1);
    for (i = 0; i <= KEYS; i++) {
        const flagver_contributor_row *got = &rows.rows[i].as.contributor;

        ck_assert(memcmp(&got->series, &version.series, sizeof got->series) == 0);
        ck_assert_uint_eq(got->no, i < KEYS ? 1 : 2);
        ck_assert(conform_same(got->actor, conform_text(i < KEYS ? keys[i] : "a")));
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

START_TEST(a_vote_and_a_contributor_are_added_once)
{
    struct conform_batch batch = { .count = 0 };
    flagver_vote_row vote;

    draft();
    conform_add_contributor(&batch, conform_contributor(&version, "a"));
    commit_batch(&batch);
    conform_add_contributor(&batch, conform_contributor(&version, "a"));
    refuse(&batch, "a second contributor of one name");
    conform_add_contributor(&batch, conform_contributor(&version, "A"));
    commit_batch(&batch);

    move(FLAGVER_STATE_SUBMITTED, 0);
    vote = conform_vote(&version, "a");
    conform_add_vote(&batch, vote);
    commit_batch(&batch);
    vote.time++;
    vote.note = conform_text("again");
    conform_add_vote(&batch, vote);
    refuse(&batch, "a second vote of one actor for the same content");
    conform_add_vote(&batch, conform_vote(&version, "b"));
    vote.content_hash[31] ^= 1;
    conform_add_vote(&batch, vote);
    commit_batch(&batch);
    check_all(0, 3, 2);
}
END_TEST

/* ---- shredding ---- */

/* The payload of the version, as it is read. */
static void check_payload(flagver_driver_txn *txn, const flagver_version_row *wanted,
                          const char *body)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSION, .id = wanted->id, .payload = 1 };
    const flagver_version_row *got;
    struct conform_rows rows;

    conform_one(txn, &query, &rows);
    got = &rows.rows[0].as.version;
    conform_check_version(got, wanted, &series);
    ck_assert(conform_same(got->payload, conform_text(body)));
    if (!body) {
        ck_assert_ptr_null(got->payload_salt.data);
        ck_assert_uint_eq(got->payload_key, 0);
    }
    conform_free(&rows);
}

/* The first version has a payload with a key and a salt, that item "same" has too. */
static flagver_version_row make_secrets(void)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    flagver_version_row second;
    flagver_item_row item;

    draft();
    txn = conform_write();
    second = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "kept");
    version.payload_id = conform_id(500);
    version.rev++;
    conform_add_payload(&batch, (flagver_payload_row){ .id = version.payload_id,
                                                       .key = 7,
                                                       .salt = conform_text("salt"),
                                                       .body = conform_text("secret") });
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, version, version.rev - 1);
    item = conform_item(&version, "same");
    item.payload_id = version.payload_id;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    conform_add_new_item(&batch, conform_item(&version, "other"), "other");
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    return second;
}

START_TEST(a_payload_that_was_shredded_is_none_for_whoever_reads_it)
{
    flagver_version_row second = make_secrets();
    flagver_item_row same = conform_item(&version, "same"), other = conform_item(&version, "other");
    struct conform_batch batch = { .count = 0 };
    flagver_query query = conform_versions_of(&series);
    struct conform_rows rows;
    flagver_driver_txn *txn;

    same.payload_id = version.payload_id;
    conform_shred(&batch, version.payload_id);
    commit_batch(&batch);
    check_stored(&same, NULL);
    check_stored(&other, "other");
    txn = conform_read();
    check_payload(txn, &version, NULL);
    check_payload(txn, &second, "kept");
    conform_scan(txn, &query, &rows);
    ck_assert_uint_eq(rows.count, 2);
    ck_assert_ptr_null(rows.rows[0].as.version.payload.data);
    ck_assert(conform_same(rows.rows[1].as.version.payload, conform_text("kept")));
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_payload_of_an_item_can_be_shredded)
{
    flagver_version_row second = make_secrets();
    flagver_item_row other = conform_item(&version, "other");
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;

    conform_shred(&batch, other.payload_id);
    commit_batch(&batch);
    check_stored(&other, NULL);
    txn = conform_read();
    check_payload(txn, &version, "secret");
    check_payload(txn, &second, "kept");
    conform_rollback(txn);
}
END_TEST

START_TEST(shredding_can_be_undone_until_it_is_committed)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;
    struct conform_rows rows;
    flagver_query query;

    make_secrets();
    txn = conform_write();
    conform_shred(&batch, version.payload_id);
    assert_ok(conform_apply(txn, &batch));
    check_payload(txn, &version, NULL);
    conform_rollback(txn);
    txn = conform_read();
    query = (flagver_query){ .kind = FLAGVER_QUERY_VERSION, .id = version.id, .payload = 1 };
    conform_one(txn, &query, &rows);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("secret")));
    ck_assert(conform_same(rows.rows[0].as.version.payload_salt, conform_text("salt")));
    ck_assert_uint_eq(rows.rows[0].as.version.payload_key, 7);
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_payload_that_was_shredded_does_not_come_back)
{
    flagver_payload_row payload = { .body = { "again", 5 } };
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;

    make_secrets();
    payload.id = version.payload_id;
    conform_shred(&batch, version.payload_id);
    commit_batch(&batch);
    conform_add_payload(&batch, payload);
    refuse(&batch, "a payload with the id of one that was shredded");
    txn = conform_read();
    check_payload(txn, &version, NULL);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_payload_can_be_shredded_again)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;

    make_secrets();
    conform_shred(&batch, version.payload_id);
    conform_shred(&batch, version.payload_id);
    commit_batch(&batch);
    conform_shred(&batch, version.payload_id);
    commit_batch(&batch);
    txn = conform_read();
    check_payload(txn, &version, NULL);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_version_without_its_payload_lives_on)
{
    flagver_version_row second = make_secrets();
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn;

    txn = conform_write();
    conform_approve(txn, &series, NULL, &version);
    conform_commit(txn);
    conform_shred(&batch, version.payload_id);
    commit_batch(&batch);
    txn = conform_write();
    conform_approve(txn, &series, &version, &second);
    conform_commit(txn);
    txn = conform_read();
    check_payload(txn, &version, NULL);
    check_payload(txn, &second, "kept");
    conform_rollback(txn);
}
END_TEST

/* ---- the log ---- */

static void append(uint64_t no)
{
    struct conform_batch batch = { .count = 0 };

    conform_add_leaf(&batch, conform_leaf(no, "leaf"));
    commit_batch(&batch);
}

static void check_log(uint64_t size, const char *frontier)
{
    flagver_driver_txn *txn = conform_read();
    uint64_t changes = 99;

    conform_check_log(txn, size, frontier);
    conform_rollback(txn);
    assert_ok(
        conform.driver->changes(conform.store, conform_text(TENANT), &changes, &conform_error));
    ck_assert_uint_eq(changes, size);
}

START_TEST(the_log_has_a_head_once_it_has_a_leaf)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_read();

    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
    append(0);
    check_log(1, NULL);
    append(1);
    check_log(2, NULL);
    conform_add_head(&batch, conform_head(2, "first"));
    commit_batch(&batch);
    check_log(2, "first");
}
END_TEST

START_TEST(each_size_has_a_head_of_its_own)
{
    static const char *const frontiers[] = { "first", "", "third" };
    struct conform_batch batch = { .count = 0 };
    uint64_t size;

    for (size = 1; size <= 3; size++) {
        conform_add_leaf(&batch, conform_leaf(size - 1, "leaf"));
        conform_add_head(&batch, conform_head(size, frontiers[size - 1]));
        commit_batch(&batch);
        check_log(size, frontiers[size - 1]);
    }
}
END_TEST

/* Whether what was said of a smaller log is still there is the driver's choice. */
START_TEST(the_head_counts_leaves_that_came_after_it)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    flagver_bytes frontier;
    struct conform_rows rows;
    flagver_driver_txn *txn;

    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_head(&batch, conform_head(1, "first"));
    conform_add_leaf(&batch, conform_leaf(1, "leaf"));
    conform_add_leaf(&batch, conform_leaf(2, "leaf"));
    commit_batch(&batch);
    txn = conform_read();
    conform_one(txn, &query, &rows);
    ck_assert_uint_eq(rows.rows[0].as.log.size, 3);
    frontier = rows.rows[0].as.log.frontier;
    ck_assert(!frontier.data || conform_same(frontier, conform_text("first")));
    conform_free(&rows);
    conform_rollback(txn);
    conform_add_head(&batch, conform_head(3, "second"));
    commit_batch(&batch);
    check_log(3, "second");
}
END_TEST

START_TEST(a_frontier_is_any_bytes)
{
    static uint8_t bytes[8 + 63 * 32];
    flagver_log_row head = conform_head(1, NULL);
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    size_t i;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 13);
    head.frontier = (flagver_bytes){ bytes, sizeof bytes };
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_head(&batch, head);
    commit_batch(&batch);
    txn = conform_read();
    conform_one(txn, &query, &rows);
    ck_assert(conform_same(rows.rows[0].as.log.frontier, head.frontier));
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_head_has_the_size_of_the_log)
{
    struct conform_batch batch = { .count = 0 };
    uint64_t size;

    conform_add_head(&batch, conform_head(1, "first"));
    refuse(&batch, "a head of an empty log that is not empty");
    append(0);
    append(1);
    for (size = 0; size <= 4; size++) {
        conform_add_head(&batch, conform_head(size, "head"));
        check_allowed(&batch, size == 2, "a head of this or another size");
    }
    conform_add_head(&batch, conform_head(3, "early"));
    conform_add_leaf(&batch, conform_leaf(2, "leaf"));
    refuse(&batch, "a head before its leaf");
    check_log(2, NULL);
}
END_TEST

#define LEVELS 3
#define NODES 5

/* Which nodes there are is the library's business: a driver does not count leaves. */
static void make_nodes(void)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    uint32_t level;
    uint64_t i;

    for (level = 8 * LEVELS; level > 0; level -= 8)
        for (i = 0; i < NODES; i++)
            conform_add_node(&batch, conform_node(level, i * 2 % NODES));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
}

START_TEST(nodes_of_a_level_come_in_order_from_an_index_on)
{
    flagver_query query = { .kind = FLAGVER_QUERY_NODES };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    size_t i;

    make_nodes();
    txn = conform_read();
    for (query.no = 0; query.no <= 32; query.no += 4)
        for (query.from = 0; query.from <= NODES + 1; query.from++)
            for (query.limit = 0; query.limit <= 2; query.limit += 2) {
                bool kept = query.no % 8 == 0 && query.no >= 8 && query.no <= 8 * LEVELS;
                size_t left = kept && query.from < NODES ? NODES - (size_t)query.from : 0;

                conform_scan(txn, &query, &rows);
                ck_assert_uint_eq(rows.count,
                                  query.limit && left > query.limit ? query.limit : left);
                for (i = 0; i < rows.count; i++) {
                    const flagver_node_row *got = &rows.rows[i].as.node;
                    flagver_node_row wanted = conform_node(query.no, query.from + i);

                    ck_assert_uint_eq(got->level, wanted.level);
                    ck_assert_uint_eq(got->index, wanted.index);
                    ck_assert(conform_same(got->tenant, wanted.tenant));
                    ck_assert(memcmp(got->hash, wanted.hash, sizeof got->hash) == 0);
                }
                conform_free(&rows);
            }
    conform_rollback(txn);
}
END_TEST

START_TEST(a_node_never_changes)
{
    flagver_query query = { .kind = FLAGVER_QUERY_NODES, .no = 8, .from = 2, .limit = 1 };
    struct conform_batch batch = { .count = 0 };
    flagver_node_row node = conform_node(8, 2);
    struct conform_rows rows;
    flagver_driver_txn *txn;

    make_nodes();
    conform_add_node(&batch, node);
    refuse(&batch, "the same node again");
    node.hash[3] ^= 1;
    conform_add_node(&batch, node);
    refuse(&batch, "a node with another hash");
    txn = conform_read();
    conform_one(txn, &query, &rows);
    ck_assert(memcmp(rows.rows[0].as.node.hash, conform_node(8, 2).hash, 32) == 0);
    conform_free(&rows);
    conform_rollback(txn);
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
    commit_batch(&batch);
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
    commit_batch(&batch);
    reader = conform_read();
    assert_ok(conform.driver->scan(reader, &query, &cursor, &conform_error));
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 1);
        ck_assert(conform_same(row.as.item.payload, conform_text(i ? "pld" : "old")));
        conform_add_new_item(&batch, conform_item(&version, i ? "z" : "p"), "late");
        conform_shred(&batch, conform_item(&version, i ? "old" : "pld").payload_id);
        commit_batch(&batch);
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
                     decided(conform_item(&version, "old"), FLAGVER_ITEM_APPROVED));
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
        conform_add_item(batch, FLAGVER_CHANGE_ITEM, decided(old, FLAGVER_ITEM_APPROVED));
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
            check_allowed(&batch, states[row].fine & 1u << action, what);
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
        refuse(&batch, "something that belongs to a recorded version");
    }
}
END_TEST

START_TEST(a_submitted_item_keeps_its_content)
{
    struct conform_batch batch = { .count = 0 };
    flagver_item_row old, changed;

    make_version(1, 1);
    old = decided(conform_item(&version, "old"), FLAGVER_ITEM_REJECTED);
    changed = old;
    changed.hash[31] ^= 1;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, changed);
    refuse(&batch, "a decision with another hash");
    changed = old;
    changed.payload_id = version.payload_id;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, changed);
    refuse(&batch, "a decision with another payload");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, old);
    check_allowed(&batch, true, "a decision");
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
    check_allowed(&batch, true, "changes of a version that is a draft again");
    add_action(&batch, NEW);
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, returned, version.rev);
    refuse(&batch, "an item before the version is a draft again");
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
        check_allowed(&batch, shape->fine, shape->what);
    }
    memset(key, 'k', 513);
    key[513] = '\0';
    conform_add_new_item(&batch, conform_item(&version, key), "{}");
    refuse(&batch, "an item whose key is too long");
}
END_TEST

START_TEST(what_is_referred_to_has_to_be_there)
{
    struct conform_batch batch = { .count = 0 };
    flagver_version_row absent;

    draft();
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, conform_item(&version, "key"));
    refuse(&batch, "an item without a payload");
    absent = conform_version(&series, 2, FLAGVER_STATE_DRAFT);
    conform_add_new_item(&batch, conform_item(&absent, "key"), "{}");
    refuse(&batch, "an item of a version that is not there");
    conform_add_contributor(&batch, conform_contributor(&absent, "editor"));
    refuse(&batch, "a contributor to a version that is not there");
    conform_add_vote(&batch, conform_vote(&absent, "voter"));
    refuse(&batch, "a vote on a version that is not there");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM_DELETE, conform_item(&version, "key"));
    refuse(&batch, "the deletion of an item that is not there");
    conform_shred(&batch, conform_id(4711));
    refuse(&batch, "the shredding of a payload that is not there");
}
END_TEST

START_TEST(nodes_are_of_every_eighth_level)
{
    static const uint32_t levels[] = { 0, 1, 7, 8, 9, 15, 16 };
    struct conform_batch batch = { .count = 0 };
    size_t i;

    for (i = 0; i < sizeof levels / sizeof *levels; i++) {
        conform_add_node(&batch, conform_node(levels[i], 0));
        check_allowed(&batch, levels[i] && levels[i] % 8 == 0, "a node of this level");
    }
}
END_TEST

void conform_review_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "items");

    conform_add(tcase, 0, every_column_of_an_item_comes_back);
    conform_add(tcase, 0, an_item_that_is_decided_and_edited_comes_back);
    conform_add(tcase, 0, an_item_that_was_deleted_is_gone_and_may_come_again);
    conform_add(tcase, 0, items_are_decided_while_the_version_is_submitted);
    conform_add(tcase, 0, a_payload_of_an_item_is_any_bytes_or_not_asked_for);
    conform_add(tcase, 0, a_version_and_items_may_have_one_payload);
    conform_add(tcase, 0, items_have_texts_of_every_kind);
    conform_add(tcase, 0, a_key_of_an_item_may_have_512_bytes);
    conform_add(tcase, 0, what_belongs_to_a_version_is_borrowed_until_apply_returns);
    conform_add(tcase, 0, items_come_in_order_of_version_and_key);
    conform_add(tcase, 0, an_item_is_found_by_its_key);
    conform_add(tcase, 0, items_go_on_after_a_key);
    conform_add(tcase, 0, a_question_about_items_is_borrowed_until_scan_returns);

    tcase = conform_tcase(suite, "votes and contributors");
    conform_add(tcase, 0, every_column_of_a_vote_comes_back);
    conform_add(tcase, 0, votes_come_in_order_of_version_time_and_actor);
    conform_add(tcase, 0, contributors_come_in_order_of_version_and_actor);
    conform_add(tcase, 0, a_vote_and_a_contributor_are_added_once);

    tcase = conform_tcase(suite, "shredding");
    conform_add(tcase, 0, a_payload_that_was_shredded_is_none_for_whoever_reads_it);
    conform_add(tcase, 0, a_payload_of_an_item_can_be_shredded);
    conform_add(tcase, 0, shredding_can_be_undone_until_it_is_committed);
    conform_add(tcase, 0, a_payload_that_was_shredded_does_not_come_back);
    conform_add(tcase, 0, a_payload_can_be_shredded_again);
    conform_add(tcase, 0, a_version_without_its_payload_lives_on);

    tcase = conform_tcase(suite, "the log");
    conform_add(tcase, 0, the_log_has_a_head_once_it_has_a_leaf);
    conform_add(tcase, 0, each_size_has_a_head_of_its_own);
    conform_add(tcase, 0, the_head_counts_leaves_that_came_after_it);
    conform_add(tcase, 0, a_frontier_is_any_bytes);
    conform_add(tcase, 0, a_head_has_the_size_of_the_log);
    conform_add(tcase, 0, nodes_of_a_level_come_in_order_from_an_index_on);
    conform_add(tcase, 0, a_node_never_changes);

    tcase = conform_tcase(suite, "transactions of reviews");
    conform_add(tcase, 0, what_belongs_to_versions_is_rolled_back);
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
    conform_add(tcase, NEEDS_RULES, nodes_are_of_every_eighth_level);
}
