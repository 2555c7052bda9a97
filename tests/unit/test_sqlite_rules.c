/*
 * What plain SQL may do to what belongs to versions and to the log, and what not: items,
 * votes, contributors, nodes, the frontier, payloads that are shredded.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "unit/deeds.h"
#include "unit/sqlite_store.h"

/* ---- a store with some of everything ---- */

static struct record record;
static flagver_payload_row contents[2];
static flagver_item_row items[2];
static flagver_version_row submitted;
static flagver_vote_row vote;
static flagver_contributor_row contributor;

static void add_items(int32_t status)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        contents[i] = (flagver_payload_row){ .id = fresh_id(), .body = text(i ? "{}" : "[]") };
        add(&record, FLAGVER_CHANGE_PAYLOAD, 0, &contents[i]);
        items[i] = (flagver_item_row){ .series = record.series.id,
                                       .no = record.version.no,
                                       .key = text(i ? "b" : "a"),
                                       .status = status,
                                       .decided_at = status ? 5 : 0,
                                       .decided_by = text(status ? "bob" : NULL),
                                       .payload_id = contents[i].id };
        add(&record, FLAGVER_CHANGE_ITEM, 0, &items[i]);
    }
    contributor = (flagver_contributor_row){ .series = record.series.id,
                                             .no = record.version.no,
                                             .actor = text("carol") };
    add(&record, FLAGVER_CHANGE_CONTRIBUTOR, 0, &contributor);
}

static void submit(void)
{
    submitted = record.version;
    submitted.state = FLAGVER_STATE_SUBMITTED;
    submitted.submitted_at = record.series.changed_at;
    submitted.rev = 2;
    add(&record, FLAGVER_CHANGE_VERSION_CHANGE, 1, &submitted);
    vote = (flagver_vote_row){
        .series = submitted.series, .no = submitted.no, .actor = text("bob"), .time = 7
    };
    add(&record, FLAGVER_CHANGE_VOTE, 0, &vote);
}

static void approve(flagver_driver_txn *txn, const char *subject, uint32_t bits)
{
    flagver_change *last;

    approve_record(txn, &record, subject);
    last = &record.changes[record.count - 1];
    last->expect = 2;
    record.approved.rev = 3;
    record.approved.bits = bits;
    record.approved.submitted_at = submitted.submitted_at;
}

static void apply_record(flagver_driver_txn *txn)
{
    assert_ok(driver->apply(txn, record.changes, record.count, &error));
}

/*
 * Number 1 of each: "draft", "open" is submitted, "done" approved, and all have the items a and b,
 * a contributor, and votes but for the draft. "urgent" 1 superseded, 2 approved, by emergency.
 * "gone" is approved and shredded. A log of 2 leaves, with a head and a node.
 */
static void fill(void)
{
    flagver_node_row node = { .tenant = text("default"), .level = 8 };
    flagver_log_row head = { .tenant = text("default"), .size = 2, .frontier = text("f") };
    flagver_driver_txn *txn;
    int i;

    set_up();
    txn = writing();
    start_record(txn, &record, "draft", "1");
    add_items(FLAGVER_ITEM_PENDING);
    apply_record(txn);
    start_record(txn, &record, "open", "1");
    add_items(FLAGVER_ITEM_PENDING);
    submit();
    apply_record(txn);
    start_record(txn, &record, "done", "1");
    add_items(FLAGVER_ITEM_APPROVED);
    submit();
    approve(txn, "done", 0);
    apply_record(txn);
    for (i = 0; i < 2; i++) {
        start_record(txn, &record, "urgent", "1");
        submit();
        approve(txn, "urgent", FLAGVER_VERSION_EMERGENCY);
        log_record(txn, &record);
        apply_record(txn);
    }
    start_record(txn, &record, "gone", "secret");
    submit();
    approve(txn, "gone", 0);
    add(&record, FLAGVER_CHANGE_SHRED, 0, &record.payload);
    add(&record, FLAGVER_CHANGE_NODE, 0, &node);
    add(&record, FLAGVER_CHANGE_HEAD, 0, &head);
    apply_record(txn);
    assert_ok(driver->commit(txn, &error));
}

/* ---- refused ---- */

#define SERIES(subject) "(SELECT id FROM flagver_series WHERE subject = '" subject "')"
#define OF(subject) " WHERE series = " SERIES(subject)
#define PAYLOAD(subject) "(SELECT payload FROM flagver_version" OF(subject) ")"
#define ITEM(subject, no, key, status, origin, at, by, payload, hash)                          \
    "flagver_item (series, no, key, status, origin_no, decided_at, decided_by, payload, hash)" \
    " VALUES (" SERIES(subject) ", " no ", " key ", " status ", " origin ", " at ", " by       \
                                ", " payload ", " hash ")"
#define PLAIN_ITEM(subject, no, key) \
    ITEM(subject, no, key, "0", "NULL", "NULL", "NULL", PAYLOAD(subject), "zeroblob(32)")
#define VOTE(subject, no, actor, hash)                                      \
    "flagver_vote (series, no, actor, content_hash, time) VALUES (" SERIES( \
        subject) ", " no ", " actor ", " hash ", 1)"
#define CONTRIBUTOR(subject, no, actor) \
    "flagver_contributor (series, no, actor) VALUES (" SERIES(subject) ", " no ", " actor ")"

static const struct {
    const char *label, *statement, *words;
} refused[] = {
    /* items */
    { "an item of what is submitted", "INSERT INTO " PLAIN_ITEM("open", "1", "'c'"),
      "only drafts get items" },
    { "an item of what is approved", "INSERT INTO " PLAIN_ITEM("done", "1", "'c'"),
      "only drafts get items" },
    { "an item of no version", "INSERT INTO " PLAIN_ITEM("draft", "2", "'c'"),
      "only drafts get items" },
    { "a replaced item of a draft", "INSERT OR REPLACE INTO " PLAIN_ITEM("draft", "1", "'a'"),
      "already" },
    { "a replaced item of what is approved",
      "INSERT OR REPLACE INTO " PLAIN_ITEM("done", "1", "'a'"), "only drafts get items" },
    { "an item that is written over",
      "INSERT INTO " PLAIN_ITEM("done", "1", "'a'") " ON CONFLICT DO UPDATE SET status = 2",
      "only drafts get items" },
    { "an item without a key", "INSERT INTO " PLAIN_ITEM("draft", "1", "''"), "CHECK" },
    { "an item with a key of 513 bytes",
      "INSERT INTO " PLAIN_ITEM("draft", "1", "printf('%.513c', 'x')"), "CHECK" },
    { "a status that is none",
      "INSERT INTO " ITEM("draft", "1", "'c'", "3", "NULL", "1", "'x'", PAYLOAD("draft"),
                          "zeroblob(32)"),
      "CHECK" },
    { "a decision of nobody",
      "INSERT INTO " ITEM("draft", "1", "'c'", "1", "NULL", "1", "NULL", PAYLOAD("draft"),
                          "zeroblob(32)"),
      "CHECK" },
    { "a decision at no time",
      "INSERT INTO " ITEM("draft", "1", "'c'", "2", "NULL", "NULL", "'x'", PAYLOAD("draft"),
                          "zeroblob(32)"),
      "CHECK" },
    { "somebody who has not decided",
      "INSERT INTO " ITEM("draft", "1", "'c'", "0", "NULL", "1", "'x'", PAYLOAD("draft"),
                          "zeroblob(32)"),
      "CHECK" },
    { "an origin that comes later",
      "INSERT INTO " ITEM("draft", "1", "'c'", "1", "2", "1", "'x'", PAYLOAD("draft"),
                          "zeroblob(32)"),
      "CHECK" },
    { "half a hash of an item",
      "INSERT INTO " ITEM("draft", "1", "'c'", "0", "NULL", "NULL", "NULL", PAYLOAD("draft"),
                          "zeroblob(16)"),
      "CHECK" },
    { "an item without a payload",
      "PRAGMA foreign_keys = ON; INSERT INTO " ITEM("draft", "1", "'c'", "0", "NULL", "NULL",
                                                    "NULL", "randomblob(16)", "zeroblob(32)"),
      "FOREIGN KEY" },
    { "another hash of what is submitted",
      "UPDATE flagver_item SET hash = randomblob(32)" OF("open"), "stays as it is" },
    { "another payload of what is submitted",
      "UPDATE flagver_item SET payload = " PAYLOAD("draft") OF("open"), "stays as it is" },
    { "another decision about what is approved", "UPDATE flagver_item SET status = 2" OF("done"),
      "never change" },
    { "another note on what is approved", "UPDATE flagver_item SET note = 'x'" OF("done"),
      "never change" },
    { "another origin of what is approved", "UPDATE flagver_item SET origin_no = 1" OF("done"),
      "never change" },
    { "another key of an item", "UPDATE flagver_item SET key = 'c' WHERE key = 'a'", "its key" },
    { "an item that pushes another out",
      "UPDATE OR REPLACE flagver_item SET key = 'b'" OF("draft") " AND key = 'a'", "its key" },
    { "an item that moves into a draft",
      "UPDATE flagver_item SET series = " SERIES("draft") ", key = 'c'" OF("open") " AND key = 'a'",
      "its key" },
    { "an item that moves to another number", "UPDATE flagver_item SET no = 2", "its key" },
    { "a deleted item of what is submitted", "DELETE FROM flagver_item" OF("open"),
      "only drafts lose items" },
    { "a deleted item of what is approved", "DELETE FROM flagver_item" OF("done"),
      "only drafts lose items" },
    { "a deleted payload of an item",
      "DELETE FROM flagver_payload WHERE id = (SELECT payload FROM flagver_item" OF(
          "done") " AND key = 'a')",
      "never deleted" },
    { "a replaced payload of an item",
      "INSERT OR REPLACE INTO flagver_payload (id, body) SELECT payload, x'00' FROM "
      "flagver_item" OF("done"),
      "already" },
    { "another payload of an item",
      "UPDATE flagver_payload SET body = x'00' WHERE id = (SELECT payload FROM flagver_item" OF(
          "done") " AND key = 'a')",
      "never changes" },

    /* votes */
    { "a vote for a draft", "INSERT INTO " VOTE("draft", "1", "'eve'", "zeroblob(32)"),
      "votes are about" },
    { "a vote for what is approved without emergency",
      "INSERT INTO " VOTE("done", "1", "'eve'", "zeroblob(32)"), "votes are about" },
    { "a vote for no version", "INSERT INTO " VOTE("open", "2", "'eve'", "zeroblob(32)"),
      "votes are about" },
    { "a second vote", "INSERT INTO " VOTE("open", "1", "'bob'", "zeroblob(32)"), "already" },
    { "a replaced vote", "INSERT OR REPLACE INTO " VOTE("open", "1", "'bob'", "zeroblob(32)"),
      "already" },
    { "a vote that is written over",
      "INSERT INTO " VOTE("open", "1", "'bob'", "zeroblob(32)") " ON CONFLICT DO UPDATE SET "
                                                                "time = 9",
      "already" },
    { "a vote of nobody", "INSERT INTO " VOTE("open", "1", "NULL", "zeroblob(32)"), "NOT NULL" },
    { "a vote for half a hash", "INSERT INTO " VOTE("open", "1", "'eve'", "zeroblob(16)"),
      "CHECK" },
    { "a changed vote", "UPDATE flagver_vote SET note = 'x'", "never changes" },
    { "somebody else's vote", "UPDATE OR REPLACE flagver_vote SET actor = 'eve'", "never changes" },
    { "a vote for something else", "UPDATE flagver_vote SET content_hash = randomblob(32)",
      "never changes" },
    { "a deleted vote", "DELETE FROM flagver_vote", "never deleted" },

    /* contributors */
    { "a contributor to what is submitted", "INSERT INTO " CONTRIBUTOR("open", "1", "'eve'"),
      "only drafts get contributors" },
    { "a contributor to what is approved", "INSERT INTO " CONTRIBUTOR("done", "1", "'eve'"),
      "only drafts get contributors" },
    { "a contributor to no version", "INSERT INTO " CONTRIBUTOR("draft", "2", "'eve'"),
      "only drafts get contributors" },
    { "a contributor twice", "INSERT OR REPLACE INTO " CONTRIBUTOR("draft", "1", "'carol'"),
      "already" },
    { "another contributor", "UPDATE flagver_contributor SET actor = 'eve'", "never changes" },
    { "a contributor who moves away",
      "UPDATE OR REPLACE flagver_contributor SET series = " SERIES("gone"), "never changes" },
    { "a deleted contributor", "DELETE FROM flagver_contributor" OF("draft"), "never deleted" },

    /* emergencies */
    { "a version that is born by emergency",
      "UPDATE flagver_series SET last_no = 2, rev = rev + 1 WHERE subject = 'draft'; INSERT INTO "
      "flagver_version (series, no, id, state, bits, rev, created_at, created_by, payload, "
      "content_hash) VALUES (" SERIES("draft") ", 2, randomblob(16), 1, 2, 1, 1, "
                                               "'a', " PAYLOAD("draft") ", zeroblob(32))",
      "not born by emergency" },
    { "an emergency of a draft",
      "UPDATE flagver_version SET bits = 2, rev = rev + 1 WHERE state = 1", "becomes approved" },
    { "an emergency that is submitted",
      "UPDATE flagver_version SET bits = 2, state = 2, rev = rev + 1 WHERE state = 1",
      "becomes approved" },
    { "an emergency that is withdrawn",
      "UPDATE flagver_version SET bits = 2, state = 6, rev = rev + 1 WHERE state = 2",
      "becomes approved" },
    { "an emergency after the approval",
      "UPDATE flagver_version SET bits = 2, rev = rev + 1" OF("done"), "does not change so" },
    { "an emergency that is forgotten with the end",
      "UPDATE flagver_version SET bits = 0, state = 4, superseded_by = 3, superseded_at = 99999, "
      "rev = rev + 1 WHERE no = 2",
      "only becomes superseded" },

    /* nodes */
    { "a node of level 0", "INSERT INTO flagver_node VALUES ('t', 0, 0, zeroblob(32))", "CHECK" },
    { "a node between two levels", "INSERT INTO flagver_node VALUES ('t', 6, 0, zeroblob(32))",
      "CHECK" },
    { "a node of a level below 0", "INSERT INTO flagver_node VALUES ('t', -4, 0, zeroblob(32))",
      "CHECK" },
    { "a node before the first", "INSERT INTO flagver_node VALUES ('t', 8, -1, zeroblob(32))",
      "CHECK" },
    { "a node of no tenant", "INSERT INTO flagver_node VALUES ('', 8, 0, zeroblob(32))", "CHECK" },
    { "half a node", "INSERT INTO flagver_node VALUES ('t', 8, 0, zeroblob(16))", "CHECK" },
    { "a node that is there", "INSERT INTO flagver_node VALUES ('default', 8, 0, randomblob(32))",
      "already" },
    { "a replaced node",
      "INSERT OR REPLACE INTO flagver_node VALUES ('default', 8, 0, randomblob(32))", "already" },
    { "a node that is written over",
      "INSERT INTO flagver_node VALUES ('default', 8, 0, zeroblob(32)) ON CONFLICT DO UPDATE SET "
      "hash = randomblob(32)",
      "already" },
    { "a changed node", "UPDATE flagver_node SET hash = randomblob(32)", "never changes" },
    { "a node that moves away", "UPDATE flagver_node SET no = 1", "never changes" },
    { "a deleted node", "DELETE FROM flagver_node", "never deleted" },

    /* the frontier */
    { "another frontier", "UPDATE flagver_log SET frontier = x'00'", "told once" },
    { "another frontier of a smaller log",
      "UPDATE flagver_log SET frontier = x'00', frontier_size = 1", "told once" },
    { "a frontier that was never told",
      "UPDATE flagver_log SET frontier = NULL, frontier_size = NULL", "told once" },
    { "half a frontier", "UPDATE flagver_log SET frontier = NULL", "told once" },
    { "a frontier that comes with a size", "UPDATE flagver_log SET frontier = x'00', size = 3",
      "one by one" },
    { "a frontier of a log that is to come",
      "INSERT INTO flagver_leaf VALUES ('default', 2, x'00', zeroblob(32)); UPDATE flagver_log SET "
      "frontier = x'00', frontier_size = 4",
      "told once" },
    { "a frontier of a log that was",
      "INSERT INTO flagver_leaf VALUES ('default', 2, x'00', zeroblob(32)); UPDATE flagver_log SET "
      "frontier = x'00'",
      "told once" },
    { "a replaced head", "INSERT OR REPLACE INTO flagver_log VALUES ('default', 2, x'00', 2)",
      "one by one" },
    { "a head that is written over",
      "INSERT INTO flagver_log VALUES ('default', 2, x'00', 2) ON CONFLICT DO UPDATE SET frontier "
      "= x'00'",
      "one by one" },

    /* payloads that are shredded */
    { "a payload that comes back",
      "UPDATE flagver_payload SET shredded = NULL, body = x'00'"
      " WHERE shredded",
      "never changes" },
    { "a payload that was never shredded",
      "UPDATE flagver_payload SET shredded = NULL WHERE shredded", "never changes" },
    { "another body of what was shredded", "UPDATE flagver_payload SET body = x'00' WHERE shredded",
      "never changes" },
    { "what was shredded, shredded again", "UPDATE flagver_payload SET shredded = 1 WHERE shredded",
      "never changes" },
    { "what was shredded, replaced",
      "INSERT OR REPLACE INTO flagver_payload (id, body) SELECT id, x'00' FROM flagver_payload "
      "WHERE shredded",
      "already" },
    { "what was shredded, pushed out by its row number",
      "INSERT OR REPLACE INTO flagver_payload (rowid, id, body) SELECT rowid, randomblob(16), "
      "x'00' FROM flagver_payload WHERE shredded",
      "already" },
    { "what was shredded, deleted", "DELETE FROM flagver_payload WHERE shredded", "never deleted" },
    { "a payload that is shredded and stays", "UPDATE flagver_payload SET shredded = 1", "CHECK" },
    { "a payload that is shredded and changes",
      "UPDATE flagver_payload SET shredded = 1, body = x'00' WHERE shredded IS NULL", "CHECK" },
    { "a key that outlives its payload",
      "UPDATE flagver_payload SET shredded = 1, body = x'', key = 1 WHERE shredded IS NULL",
      "CHECK" },
    { "a salt that outlives its payload",
      "UPDATE flagver_payload SET shredded = 1, body = x'', salt = x'00' WHERE shredded IS NULL",
      "CHECK" },
    { "a payload that is shredded twice over",
      "UPDATE flagver_payload SET shredded = 2, body = x'' WHERE shredded IS NULL", "CHECK" },
    { "a payload that is emptied in silence",
      "UPDATE flagver_payload SET body = x'' WHERE shredded IS NULL", "never changes" },
    { "a shredded payload with another id",
      "UPDATE flagver_payload SET shredded = 1, body = x'', id = randomblob(16) WHERE shredded IS "
      "NULL",
      "never changes" },
    { "a shredded payload with another row number",
      "UPDATE OR REPLACE flagver_payload SET shredded = 1, body = x'', rowid = rowid + 1 WHERE "
      "shredded IS NULL",
      "never changes" },
    { "a payload that is born shredded",
      "INSERT INTO flagver_payload (id, body, shredded) VALUES (randomblob(16), x'', 1)",
      "born whole" },
};

/* With references checked and not: a connection from elsewhere does not ask for it. */
START_TEST(plain_sql_cannot_break_the_rules)
{
    static char before[65536], after[65536], statement[2048];
    size_t i = (size_t)_i / 2, length = fingerprint(before, sizeof before);

    snprintf(statement, sizeof statement, "PRAGMA foreign_keys = %d; BEGIN; %s; COMMIT", _i % 2,
             refused[i].statement);
    if (_i % 2 == 0 && strcmp(refused[i].words, "FOREIGN KEY") == 0)
        return;
    ck_assert_msg(sql(statement) != SQLITE_OK, "%s was accepted", refused[i].label);
    ck_assert_msg(strstr(sql_words, refused[i].words), "%s: \"%s\" does not say \"%s\"",
                  refused[i].label, sql_words, refused[i].words);
    ck_assert_uint_eq(fingerprint(after, sizeof after), length);
    ck_assert_mem_eq(before, after, length);
}
END_TEST

/* ---- allowed ---- */

static const char *const allowed[] = {
    "INSERT INTO " PLAIN_ITEM("draft", "1", "'c'"),
    "UPDATE flagver_item SET hash = randomblob(32), status = 2, decided_at = 1, decided_by = "
    "'x'" OF("draft"),
    "DELETE FROM flagver_item" OF("draft"),
    "UPDATE flagver_item SET status = 1, decided_at = 1, decided_by = 'x', origin_no = 1, note = "
    "'x'" OF("open"),
    "INSERT INTO " VOTE("open", "1", "'eve'", "zeroblob(32)"),
    "INSERT INTO " VOTE("open", "1", "'bob'", "randomblob(32)"),
    "INSERT INTO " VOTE("urgent", "1", "'eve'", "zeroblob(32)"),
    "INSERT INTO " VOTE("urgent", "2", "'eve'", "zeroblob(32)"),
    "INSERT INTO " CONTRIBUTOR("draft", "1", "'eve'"),
    "UPDATE flagver_version SET state = 3, bits = 2, decided_at = 9, decided_by = 'x', rev = rev + "
    "1 WHERE state = 2",
    "INSERT INTO flagver_node VALUES ('default', 16, 0, zeroblob(32))",
    "INSERT INTO flagver_leaf VALUES ('default', 2, x'00', zeroblob(32)); UPDATE flagver_log SET "
    "frontier = x'00', frontier_size = 3",
    "UPDATE flagver_log SET frontier = frontier",
    "UPDATE flagver_payload SET shredded = 1, body = x'', key = NULL, salt = NULL WHERE shredded "
    "IS NULL",
    "DELETE FROM flagver_item" OF("draft") "; DELETE FROM flagver_payload WHERE id NOT IN (SELECT "
                                           "payload FROM flagver_version UNION SELECT payload FROM "
                                           "flagver_item)",
};

START_TEST(plain_sql_may_do_what_the_rules_allow)
{
    char statement[1024];

    snprintf(statement, sizeof statement, "PRAGMA foreign_keys = ON; BEGIN; %s; COMMIT",
             allowed[_i]);
    assert_sql(statement);
}
END_TEST

/* ---- by the state of the version ---- */

static const struct deed deeds[] = {
    { "INSERT INTO " PLAIN_ITEM("open", "1", "'c'"), "1 E1" },
    { "UPDATE flagver_item SET hash = randomblob(32)" OF("open"), "1 E1" },
    { "UPDATE flagver_item SET note = 'x'" OF("open"), "1 2 E1 E2" },
    { "DELETE FROM flagver_item" OF("open"), "1 E1" },
    { "INSERT INTO " CONTRIBUTOR("open", "1", "'eve'"), "1 E1" },
    { "INSERT INTO " VOTE("open", "1", "'eve'", "zeroblob(32)"), "2 E2 E3 E4" },
};

START_TEST(what_belongs_to_a_version_changes_only_as_its_state_allows)
{
    const struct deed_turn turn = deed_turn(_i);
    const struct deed *deed = &deeds[turn.deed];
    char statement[1024];

    snprintf(statement, sizeof statement,
             "UPDATE flagver_version SET state = %d, bits = %d, decided_at = 50, decided_by = 'b', "
             "superseded_by = %s, superseded_at = %s" OF("open"),
             turn.state, turn.emergency * 2, turn.state == 4 ? "2" : "NULL",
             turn.state == 4 ? "60" : "NULL");
    assert_forced(statement);
    ck_assert_msg((sql(deed->statement) == SQLITE_OK) == deed_is_allowed(deed, &turn),
                  "%s in state %s: %s", deed->statement, turn.name, sql_words);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite rules");
    TCase *rules = tcase_create("rules"), *allowances = tcase_create("allowances");

    tcase_add_checked_fixture(allowances, fill, tear_down);
    tcase_add_loop_test(allowances, plain_sql_may_do_what_the_rules_allow, 0,
                        sizeof allowed / sizeof *allowed);
    suite_add_tcase(suite, allowances);

    tcase_add_checked_fixture(rules, fill, tear_down);
    tcase_set_tags(rules, "slow"); /* valgrind leaves it out */
    tcase_add_loop_test(rules, plain_sql_cannot_break_the_rules, 0,
                        2 * sizeof refused / sizeof *refused);
    tcase_add_loop_test(rules, what_belongs_to_a_version_changes_only_as_its_state_allows, 0,
                        DEED_TURNS(deeds));
    suite_add_tcase(suite, rules);
    return run_suite(suite);
}
