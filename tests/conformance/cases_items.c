/*
 * Items: what is written comes back, in order; payloads of versions and items that are shredded.
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

static void check_count(size_t wanted)
{
    const flagver_query query = conform_parts_of(FLAGVER_QUERY_ITEMS, &version, 0);
    flagver_driver_txn *txn = conform_read();

    ck_assert_uint_eq(conform_count(txn, &query), wanted);
    conform_rollback(txn);
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
    item = conform_decided(conform_item(&version, "key"), FLAGVER_ITEM_APPROVED);
    item.note = conform_text("a note");
    memset(item.payload_id.bytes, 0xfe, sizeof item.payload_id.bytes);
    for (i = 0; i < sizeof item.hash; i++)
        item.hash[i] = (uint8_t)(i * 41);
    conform_add_new_item(&batch, item, "body");
    conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
    check_stored(&item, "first");
    for (i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        changed = conform_decided(item, statuses[i]);
        changed.note = conform_text(statuses[i] ? "because" : NULL);
        conform_add_item(&batch, FLAGVER_CHANGE_ITEM, changed);
        conform_commit_batch(&batch);
        check_stored(&changed, "first");
    }
    item.hash[7] ^= 0xff;
    item.payload_id = conform_id(77);
    conform_add_new_item(&batch, item, "second");
    conform_commit_batch(&batch);
    check_stored(&item, "second");
    check_count(1);
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
    conform_commit_batch(&batch);
    /* The key is enough to say which. */
    key.series = version.series;
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM_DELETE, key);
    conform_commit_batch(&batch);
    check_count(1);
    check_stored(&other, "2");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
    submit();
    item = conform_decided(item, FLAGVER_ITEM_REJECTED);
    item.note = conform_text("");
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    conform_commit_batch(&batch);
    check_stored(&item, "body");
    item = conform_decided(item, FLAGVER_ITEM_PENDING);
    item.note = conform_text(NULL);
    conform_add_item(&batch, FLAGVER_CHANGE_ITEM, item);
    conform_commit_batch(&batch);
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
            conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
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
        items[i] = conform_decided(conform_item(&version, mixed(i)), FLAGVER_ITEM_APPROVED);
        items[i].decided_by = items[i].key;
        items[i].note = conform_text(i % 3 == 0 ? NULL : i % 3 == 1 ? "" : mixed(i));
        conform_add_new_item(&batch, items[i], mixed(i));
    }
    conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
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
    item = conform_decided(conform_item(&version, key), FLAGVER_ITEM_APPROVED);
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
    conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
    conform_add_payload(&batch, payload);
    conform_refuse(&batch, "a payload with the id of one that was shredded");
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
    conform_commit_batch(&batch);
    conform_shred(&batch, version.payload_id);
    conform_commit_batch(&batch);
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
    conform_commit_batch(&batch);
    txn = conform_write();
    conform_approve(txn, &series, &version, &second);
    conform_commit(txn);
    txn = conform_read();
    check_payload(txn, &version, NULL);
    check_payload(txn, &second, "kept");
    conform_rollback(txn);
}
END_TEST

void conform_item_cases(Suite *suite)
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

    tcase = conform_tcase(suite, "shredding");
    conform_add(tcase, 0, a_payload_that_was_shredded_is_none_for_whoever_reads_it);
    conform_add(tcase, 0, a_payload_of_an_item_can_be_shredded);
    conform_add(tcase, 0, shredding_can_be_undone_until_it_is_committed);
    conform_add(tcase, 0, a_payload_that_was_shredded_does_not_come_back);
    conform_add(tcase, 0, a_payload_can_be_shredded_again);
    conform_add(tcase, 0, a_version_without_its_payload_lives_on);
}
