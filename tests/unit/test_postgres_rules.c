/*
 * What plain SQL may do to the PostgreSQL driver's tables, and what not: as their owner, and
 * even less as an application's role. And what a tenant sees of another one: nothing.
 */
#include "cluster.h"
#include "unit/deeds.h"
#include "unit/postgres_sql.h"

static void connect_owner(void)
{
    conn = connect_as(template_name, "owner");
}

static void disconnect(void)
{
    PQfinish(conn);
}

/* ---- refused ---- */

#define SERIES(subject) "(SELECT id FROM flagver.series WHERE subject = '" subject "')"
#define OF(subject) " WHERE series = " SERIES(subject)
#define PAYLOAD(subject) "(SELECT min(payload::text)::uuid FROM flagver.version" OF(subject) ")"
#define ID "'00000000-0000-0000-0000-000000000001'"
#define ZEROS "decode(repeat('00', 32), 'hex')"
#define ONES "decode(repeat('01', 32), 'hex')"
#define HALF "decode(repeat('00', 16), 'hex')"
#define NEXT "UPDATE flagver.series SET last_no = last_no + 1, rev = rev + 1 WHERE subject = 's'; "
#define ANY_SERIES(tenant, phase, subject, last)                                                \
    "INSERT INTO flagver.series (tenant, id, phase, subject, last_no, rev, changed_at) VALUES " \
    "(" tenant ", " ID ", " phase ", " subject ", " last ", 1, 1)"
#define VERSION(series, no, id, state, bits, author, payload, hash)                            \
    "INSERT INTO flagver.version (tenant, series, no, id, state, bits, rev, created_at, "      \
    "created_by, payload, content_hash) VALUES ('default', " series ", " no ", " id ", " state \
    ", " bits ", 1, 1, " author ", " payload ", " hash ")"
#define CHANGE(what, where) "UPDATE flagver.version SET " what ", rev = rev + 1 WHERE " where
#define ITEM(subject, no, key, status, origin, at, by, payload, hash)                             \
    "INSERT INTO flagver.item (tenant, series, no, key, status, origin_no, decided_at, "          \
    "decided_by, payload, hash) VALUES ('default', " SERIES(subject) ", " no ", " key ", " status \
                                                                     ", " origin ", " at ", " by  \
                                                                     ", " payload ", " hash ")"
#define PLAIN_ITEM(subject, no, key) \
    ITEM(subject, no, key, "0", "NULL", "NULL", "NULL", PAYLOAD("draft"), ZEROS)
#define VOTE(subject, no, actor, hash)                                                 \
    "INSERT INTO flagver.vote (tenant, series, no, actor, content_hash, time) VALUES " \
    "('default', " SERIES(subject) ", " no ", " actor ", " hash ", 1)"
#define CONTRIBUTOR(subject, no, actor)                                                       \
    "INSERT INTO flagver.contributor (tenant, series, no, actor) VALUES ('default', " SERIES( \
        subject) ", " no ", " actor ")"
#define LEAF(no) "INSERT INTO flagver.leaf VALUES ('default', " no ", '', " ZEROS ")"
#define NODE(level, no, hash) \
    "INSERT INTO flagver.node VALUES ('default', " level ", " no ", " hash ")"

static const struct {
    const char *label, *statement;
    const char *words; /* that are in what the server says, with the SQLSTATE in front */
} refused[] = {
    /* meta */
    { "a second identity", "INSERT INTO flagver.meta VALUES (2, " ID ", 1, 1)", "23514" },
    { "another identity", "INSERT INTO flagver.meta VALUES (1, " ID ", 1, 1)", "23505" },
    { "a changed identity", "UPDATE flagver.meta SET store = " ID, "never changes" },
    { "no identity", "DELETE FROM flagver.meta", "never deleted" },
    { "compatible with what comes later", "UPDATE flagver.meta SET compatible = 9", "23514" },

    /* series */
    { "a series with a number it never gave", ANY_SERIES("'default'", "'p'", "'x'", "2"),
      "begin with 1" },
    { "a series without a name", ANY_SERIES("'default'", "'p'", "''", "NULL"), "23514" },
    { "a series without a phase", ANY_SERIES("'default'", "''", "'x'", "NULL"), "23514" },
    { "a series with a subject of 513 bytes",
      ANY_SERIES("'default'", "'p'", "repeat('x', 511) || 'ü'", "NULL"), "23514" },
    { "a series with a phase of 129 bytes",
      ANY_SERIES("'default'", "repeat('x', 129)", "'x'", "NULL"), "23514" },
    { "a series of another tenant", ANY_SERIES("'other'", "'p'", "'x'", "NULL"), "42501" },
    { "a series of no tenant", ANY_SERIES("''", "'p'", "'x'", "NULL"), "42501" },
    { "a series that is there", ANY_SERIES("'default'", "'phase'", "'s'", "NULL"), "23505" },
    { "a series with another's id",
      "INSERT INTO flagver.series SELECT tenant, id, phase, 'x', NULL, NULL, 1, 1 FROM "
      "flagver.series WHERE subject = 's'",
      "23505" },
    { "a number without a version", NEXT, "23503" },
    { "two numbers at once", NEXT NEXT, "not used yet" },
    { "a jump of the last number",
      "UPDATE flagver.series SET last_no = 5, rev = rev + 1 WHERE subject = 's'", "rise by one" },
    { "a falling number",
      "UPDATE flagver.series SET last_no = 2, rev = rev + 1 WHERE subject = 's'", "rise by one" },
    { "no number any more",
      "UPDATE flagver.series SET last_no = NULL, rev = rev + 1 WHERE subject = 'draft'",
      "rise by one" },
    { "a current number beyond the last",
      "UPDATE flagver.series SET current_no = 4, rev = rev + 1 WHERE subject = 's'", "23514" },
    { "a current number that falls",
      "UPDATE flagver.series SET current_no = 1, rev = rev + 1 WHERE subject = 's'",
      "does not come back" },
    { "a current number that goes",
      "UPDATE flagver.series SET current_no = NULL, rev = rev + 1 WHERE subject = 's'",
      "does not come back" },
    { "a rev that stays", "UPDATE flagver.series SET current_no = 2 WHERE subject = 's'",
      "its rev" },
    { "a time that falls",
      "UPDATE flagver.series SET changed_at = 0, rev = rev + 1 WHERE subject = 's'",
      "never falls" },
    { "another subject", "UPDATE flagver.series SET subject = 'x', rev = rev + 1", "its name" },
    { "another tenant", "UPDATE flagver.series SET tenant = 'other', rev = rev + 1", "its name" },
    { "another phase", "UPDATE flagver.series SET phase = 'x', rev = rev + 1", "its name" },
    { "another id", "UPDATE flagver.series SET id = " ID ", rev = rev + 1 WHERE subject = 's'",
      "its name" },
    { "a deleted series", "DELETE FROM flagver.series", "never deleted" },

    /* versions */
    { "a version that is born approved",
      NEXT VERSION(SERIES("s"), "4", ID, "3", "0", "'a'", PAYLOAD("s"), ZEROS), "is born" },
    { "a version that skips a number",
      NEXT VERSION(SERIES("s"), "5", ID, "1", "0", "'a'", PAYLOAD("s"), ZEROS), "last number" },
    { "a version of no series", VERSION(ID, "1", ID, "1", "0", "'a'", PAYLOAD("s"), ZEROS),
      "last number" },
    { "a version that takes an old number",
      VERSION(SERIES("s"), "2", ID, "1", "0", "'a'", PAYLOAD("s"), ZEROS), "last number" },
    { "a version that is there",
      VERSION(SERIES("s"), "3", ID, "1", "0", "'a'", PAYLOAD("s"), ZEROS), "23505" },
    { "a version with another's id",
      NEXT VERSION(SERIES("s"), "4",
                   "(SELECT id FROM flagver.version WHERE series = " SERIES("s") " AND no = 1)",
                   "1", "0", "'a'", PAYLOAD("s"), ZEROS),
      "23505" },
    { "a version without a payload", NEXT VERSION(SERIES("s"), "4", ID, "1", "0", "'a'", ID, ZEROS),
      "23503" },
    { "a version without an author",
      NEXT VERSION(SERIES("s"), "4", ID, "1", "0", "NULL", PAYLOAD("s"), ZEROS), "23502" },
    { "half a hash", NEXT VERSION(SERIES("s"), "4", ID, "1", "0", "'a'", PAYLOAD("s"), HALF),
      "23514" },
    { "a version that is born by emergency",
      NEXT VERSION(SERIES("s"), "4", ID, "1", "2", "'a'", PAYLOAD("s"), ZEROS),
      "not born by emergency" },
    { "another author", CHANGE("created_by = 'eve'", "state = 1"), "born with" },
    { "another time of birth", CHANGE("created_at = 7", "state = 1"), "born with" },
    { "another number", CHANGE("no = 9", "state = 1"), "born with" },
    { "another parent", CHANGE("parent_no = 1", "state = 1 AND no = 3"), "born with" },
    { "another id of a version", CHANGE("id = " ID, "state = 1 AND no = 3"), "born with" },
    { "another series of a version", CHANGE("series = " ID, "state = 1"), "born with" },
    { "another tenant of a version", CHANGE("tenant = 'other'", "state = 1"), "born with" },
    { "a version that becomes a tombstone", CHANGE("bits = 1", "state = 1"), "deletion" },
    { "a draft that changes without a rev", "UPDATE flagver.version SET note = 'x' WHERE state = 1",
      "its rev" },
    { "a note on what is approved", CHANGE("note = 'x'", "state = 3"), "does not change so" },
    { "a note on what is superseded", CHANGE("note = 'x'", "state = 4"), "does not change so" },
    { "a record that changes", CHANGE("note = 'x'", "state = 7"), "does not change so" },
    { "content that changes with the submission",
      CHANGE("state = 2, content_hash = " ONES, "state = 1"), "drafts only" },
    { "a payload that changes with the submission",
      CHANGE("state = 2, payload = " PAYLOAD("done"), "state = 1"), "drafts only" },
    { "a base that changes with the submission",
      CHANGE("state = 2, base_no = 1", "state = 1 AND no = 3"), "drafts only" },
    { "a base that comes later", CHANGE("base_no = 3", "state = 1 AND no = 3"), "23514" },
    { "a decision rewritten when superseded",
      CHANGE("state = 4, superseded_by = 3, superseded_at = 99, decided_by = 'eve'",
             "state = 3 AND series = " SERIES("s")),
      "only becomes superseded" },
    { "superseded by what is not there",
      CHANGE("state = 4, superseded_by = 4, superseded_at = 99",
             "state = 3 AND series = " SERIES("s")),
      "not there" },
    { "superseded by nothing",
      CHANGE("state = 4, superseded_at = 99", "state = 3 AND series = " SERIES("s")), "not there" },
    { "superseded by an older one",
      CHANGE("state = 4, superseded_by = 1, superseded_at = 99",
             "state = 3 AND series = " SERIES("s")),
      "23514" },
    { "superseded by the successor of another",
      "UPDATE flagver.version SET superseded_by = 3 WHERE state = 4 AND series = " SERIES("s"),
      "does not change so" },
    { "superseded before it was decided",
      CHANGE("state = 4, superseded_by = 3, superseded_at = 1",
             "state = 3 AND series = " SERIES("s")),
      "23514" },
    { "approved by nobody", CHANGE("state = 3", "state = 2"), "23514" },
    { "decided by nobody", CHANGE("state = 6, decided_by = 'x'", "state = 1"), "23514" },
    { "a second approved one",
      CHANGE("state = 3, decided_at = 99, decided_by = 'x'", "state = 1 AND no = 3"), "23505" },
    { "a deleted version", "DELETE FROM flagver.version", "never deleted" },

    /* emergencies */
    { "an emergency of a draft", CHANGE("bits = 2", "state = 1"), "becomes approved" },
    { "an emergency that is submitted", CHANGE("bits = 2, state = 2", "state = 1"),
      "becomes approved" },
    { "an emergency that is withdrawn", CHANGE("bits = 2, state = 6", "state = 2"),
      "becomes approved" },
    { "an emergency after the approval", CHANGE("bits = 2", "series = " SERIES("done")),
      "does not change so" },

    /* items */
    { "an item of what is submitted", PLAIN_ITEM("open", "1", "'c'"), "only drafts get items" },
    { "an item of what is approved", PLAIN_ITEM("done", "1", "'c'"), "only drafts get items" },
    { "an item of no version", PLAIN_ITEM("draft", "2", "'c'"), "only drafts get items" },
    { "an item that is there", PLAIN_ITEM("draft", "1", "'a'"), "23505" },
    { "an item that is written over",
      PLAIN_ITEM("done", "1", "'a'") " ON CONFLICT (tenant, series, no, key) DO UPDATE SET status "
                                     "= 2",
      "only drafts get items" },
    { "an item without a key", PLAIN_ITEM("draft", "1", "''"), "23514" },
    { "an item with a key of 513 bytes", PLAIN_ITEM("draft", "1", "repeat('x', 513)"), "23514" },
    { "a status that is none",
      ITEM("draft", "1", "'c'", "3", "NULL", "1", "'x'", PAYLOAD("draft"), ZEROS), "23514" },
    { "a decision of nobody",
      ITEM("draft", "1", "'c'", "1", "NULL", "1", "NULL", PAYLOAD("draft"), ZEROS), "23514" },
    { "a decision at no time",
      ITEM("draft", "1", "'c'", "2", "NULL", "NULL", "'x'", PAYLOAD("draft"), ZEROS), "23514" },
    { "somebody who has not decided",
      ITEM("draft", "1", "'c'", "0", "NULL", "1", "'x'", PAYLOAD("draft"), ZEROS), "23514" },
    { "an origin that comes later",
      ITEM("draft", "1", "'c'", "1", "2", "1", "'x'", PAYLOAD("draft"), ZEROS), "23514" },
    { "half a hash of an item",
      ITEM("draft", "1", "'c'", "0", "NULL", "NULL", "NULL", PAYLOAD("draft"), HALF), "23514" },
    { "an item without a payload",
      ITEM("draft", "1", "'c'", "0", "NULL", "NULL", "NULL", ID, ZEROS), "23503" },
    { "another hash of what is submitted", "UPDATE flagver.item SET hash = " ONES OF("open"),
      "stays as it is" },
    { "another payload of what is submitted",
      "UPDATE flagver.item SET payload = " PAYLOAD("draft") OF("open"), "stays as it is" },
    { "another decision about what is approved", "UPDATE flagver.item SET status = 2" OF("done"),
      "never change" },
    { "another note on what is approved", "UPDATE flagver.item SET note = 'x'" OF("done"),
      "never change" },
    { "another key of an item", "UPDATE flagver.item SET key = 'c'" OF("draft") " AND key = 'a'",
      "its key" },
    { "an item that moves into a draft",
      "UPDATE flagver.item SET series = " SERIES("draft") ", key = 'c'" OF("open") " AND key = 'a'",
      "its key" },
    { "an item that moves to another number", "UPDATE flagver.item SET no = 2" OF("draft"),
      "its key" },
    { "an item that moves to another tenant",
      "UPDATE flagver.item SET tenant = 'other'" OF("draft"), "its key" },
    { "a deleted item of what is submitted", "DELETE FROM flagver.item" OF("open"),
      "only drafts lose items" },
    { "a deleted item of what is approved", "DELETE FROM flagver.item" OF("done"),
      "only drafts lose items" },

    /* votes */
    { "a vote for a draft", VOTE("draft", "1", "'eve'", ZEROS), "votes are about" },
    { "a vote for what is approved without emergency", VOTE("done", "1", "'eve'", ZEROS),
      "votes are about" },
    { "a vote for no version", VOTE("open", "2", "'eve'", ZEROS), "votes are about" },
    { "a second vote", VOTE("open", "1", "'bob'", ZEROS), "23505" },
    { "a vote that is written over",
      VOTE("open", "1", "'bob'", ZEROS) " ON CONFLICT (tenant, series, no, actor, content_hash) DO "
                                        "UPDATE SET time = 9",
      "never changes" },
    { "a vote of nobody", VOTE("open", "1", "NULL", ZEROS), "23502" },
    { "a vote for half a hash", VOTE("open", "1", "'eve'", HALF), "23514" },
    { "a changed vote", "UPDATE flagver.vote SET note = 'x'", "never changes" },
    { "a deleted vote", "DELETE FROM flagver.vote", "never deleted" },

    /* contributors */
    { "a contributor to what is submitted", CONTRIBUTOR("open", "1", "'eve'"),
      "only drafts get contributors" },
    { "a contributor to what is approved", CONTRIBUTOR("done", "1", "'eve'"),
      "only drafts get contributors" },
    { "a contributor to no version", CONTRIBUTOR("draft", "2", "'eve'"),
      "only drafts get contributors" },
    { "a contributor twice", CONTRIBUTOR("draft", "1", "'carol'"), "23505" },
    { "another contributor", "UPDATE flagver.contributor SET actor = 'eve'", "never changes" },
    { "a deleted contributor", "DELETE FROM flagver.contributor" OF("draft"), "never deleted" },

    /* the log */
    { "a leaf that is skipped", LEAF("3"), "one by one" },
    { "leaves with a gap between them",
      "INSERT INTO flagver.leaf SELECT 'default', n, '', " ZEROS
      " FROM unnest('{2,4}'::bigint[]) AS n",
      "one by one" },
    { "a leaf below 0", LEAF("-1"), "23514" },
    { "a leaf that is there", LEAF("1"), "23505" },
    { "a leaf without a hash", "INSERT INTO flagver.leaf VALUES ('default', 2, '', '')", "23514" },
    { "a leaf of another tenant", "INSERT INTO flagver.leaf VALUES ('other', 2, '', " ZEROS ")",
      "42501" },
    { "a changed leaf", "UPDATE flagver.leaf SET leaf = ''", "never changes" },
    { "a deleted leaf", "DELETE FROM flagver.leaf WHERE no = 1", "never deleted" },
    { "a longer log", "UPDATE flagver.log SET size = size + 1", "one by one" },
    { "a shorter log", "UPDATE flagver.log SET size = size - 1", "one by one" },
    { "another tenant's log", "UPDATE flagver.log SET tenant = 'x'", "one by one" },
    { "a second log", "INSERT INTO flagver.log (tenant, size) VALUES ('default', 2)", "23505" },
    { "a log of another size", "INSERT INTO flagver.log (tenant, size) VALUES ('default', 1)",
      "one by one" },
    { "a deleted log", "DELETE FROM flagver.log", "never deleted" },
    { "another frontier", "UPDATE flagver.log SET frontier = ''", "told once" },
    { "another frontier of a smaller log",
      "UPDATE flagver.log SET frontier = '', frontier_size = 1", "told once" },
    { "a frontier that was never told",
      "UPDATE flagver.log SET frontier = NULL, frontier_size = NULL", "told once" },
    { "half a frontier", "UPDATE flagver.log SET frontier = NULL", "told once" },
    { "a frontier of a log that is to come",
      LEAF("2") "; UPDATE flagver.log SET frontier = '', frontier_size = 4", "told once" },
    { "a frontier of a log that was", LEAF("2") "; UPDATE flagver.log SET frontier = ''",
      "told once" },

    /* nodes */
    { "a node of level 0", NODE("0", "1", ZEROS), "23514" },
    { "a node between two levels", NODE("6", "0", ZEROS), "23514" },
    { "a node of a level below 0", NODE("-4", "0", ZEROS), "23514" },
    { "a node before the first", NODE("8", "-1", ZEROS), "23514" },
    { "half a node", NODE("8", "1", HALF), "23514" },
    { "a node that is there", NODE("8", "0", ONES), "23505" },
    { "a changed node", "UPDATE flagver.node SET hash = " ONES, "never changes" },
    { "a deleted node", "DELETE FROM flagver.node", "never deleted" },

    /* payloads */
    { "another body", "UPDATE flagver.payload SET body = '\\x00'", "never changes" },
    { "a payload that comes back",
      "UPDATE flagver.payload SET shredded = NULL, body = '\\x00' WHERE shredded",
      "never changes" },
    { "what was shredded, shredded again",
      "UPDATE flagver.payload SET shredded = true WHERE shredded", "never changes" },
    { "a payload that is shredded and stays",
      "UPDATE flagver.payload SET shredded = true WHERE "
      "shredded IS NULL",
      "23514" },
    { "a payload that is not quite shredded",
      "UPDATE flagver.payload SET shredded = false, body = '' WHERE shredded IS NULL", "23514" },
    { "a key that outlives its payload",
      "UPDATE flagver.payload SET shredded = true, body = '', key = 1 WHERE shredded IS NULL",
      "23514" },
    { "a salt that outlives its payload",
      "UPDATE flagver.payload SET shredded = true, body = '', salt = '\\x00' WHERE shredded IS "
      "NULL",
      "23514" },
    { "a payload that is emptied in silence",
      "UPDATE flagver.payload SET body = '' WHERE shredded IS NULL", "never changes" },
    { "a shredded payload with another id",
      "UPDATE flagver.payload SET shredded = true, body = '', id = " ID " WHERE shredded IS NULL",
      "never changes" },
    { "a payload that is born shredded",
      "INSERT INTO flagver.payload (tenant, id, body, shredded) VALUES ('default', " ID
      ", '', true)",
      "born whole" },
    { "a payload with a key that is none",
      "INSERT INTO flagver.payload (tenant, id, key, body) VALUES ('default', " ID ", 0, '')",
      "23514" },
    { "a deleted payload of a version", "DELETE FROM flagver.payload WHERE id = " PAYLOAD("open"),
      "23503" },

    /* keyed rows */
    { "a keyed row without a key",
      "INSERT INTO flagver.keyed VALUES ('default', 's', '', 1, 1, '')", "23514" },
    { "a keyed row without a space",
      "INSERT INTO flagver.keyed VALUES ('default', '', 'k', 1, 1, '')", "23514" },
    { "a keyed row without a rev",
      "INSERT INTO flagver.keyed VALUES ('default', 's', 'k', 0, 1, '')", "23514" },
    { "a keyed row in a space of 65 bytes",
      "INSERT INTO flagver.keyed VALUES ('default', repeat('ü', 32) || 'x', 'k', 1, 1, '')",
      "23514" },
    { "a keyed row of another tenant",
      "INSERT INTO flagver.keyed VALUES ('other', 's', 'k', 1, 1, '')", "42501" },
    { "a keyed row that moves to another tenant", "UPDATE flagver.keyed SET tenant = 'other'",
      "42501" },

    /* all at once */
    { "no series any more", "TRUNCATE flagver.series CASCADE", "never truncated" },
    { "no versions any more", "TRUNCATE flagver.version CASCADE", "never truncated" },
    { "no payloads any more", "TRUNCATE flagver.payload CASCADE", "never truncated" },
    { "no items any more", "TRUNCATE flagver.item", "never truncated" },
    { "no votes any more", "TRUNCATE flagver.vote", "never truncated" },
    { "no contributors any more", "TRUNCATE flagver.contributor", "never truncated" },
    { "no leaves any more", "TRUNCATE flagver.leaf", "never truncated" },
    { "no log any more", "TRUNCATE flagver.log", "never truncated" },
    { "no nodes any more", "TRUNCATE flagver.node", "never truncated" },
    { "no keyed rows any more", "TRUNCATE flagver.keyed", "never truncated" },
    { "no identity any more", "TRUNCATE flagver.meta", "never truncated" },
};

#define REFUSED (sizeof refused / sizeof *refused)

/* At the latest when what waits for the commit is looked at. */
static bool is_done(const char *statements)
{
    static char all[8192];

    snprintf(all, sizeof all, "%s; SET CONSTRAINTS ALL IMMEDIATE", statements);
    return sql(all);
}

static void begin_as(const char *role)
{
    char statement[128];

    snprintf(statement, sizeof statement, "BEGIN; SET LOCAL ROLE %s; " TENANT("default"), role);
    assert_sql(statement);
}

START_TEST(plain_sql_cannot_break_the_rules)
{
    char state[8];

    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE); /* with the SQLSTATE */
    begin_as("owner");
    ck_assert_msg(!is_done(refused[_i].statement), "%s was accepted", refused[_i].label);
    ck_assert_msg(strstr(sql_words, refused[_i].words), "%s: \"%s\" does not say \"%s\"",
                  refused[_i].label, sql_words, refused[_i].words);
    snprintf(state, sizeof state, "%.5s", sql_words + strlen("ERROR:  "));
    ck_assert_msg(strncmp(state, "23", 2) == 0 || strcmp(state, "42501") == 0, "%s: %s",
                  refused[_i].label, sql_words);
}
END_TEST

START_TEST(an_application_cannot_either)
{
    PQfinish(conn);
    conn = connect_as(template_name, "app");
    begin_as("app");
    ck_assert_msg(!is_done(refused[_i].statement), "%s was accepted", refused[_i].label);
}
END_TEST

/* ---- allowed ---- */

static const struct {
    const char *statement;
    bool by_owner_only;
} allowed[] = {
    { CHANGE("note = 'x'", "state = 1"), false },
    { CHANGE("base_no = 2, content_hash = " ONES ", payload = " PAYLOAD("done"),
             "state = 1 AND no = 3"),
      false },
    { CHANGE("state = 2, submitted_at = 9", "state = 1"), false },
    { CHANGE("state = 3, bits = 2, decided_at = 9, decided_by = 'x'", "state = 2"), false },
    { LEAF("2"), false },
    { LEAF("2") "; UPDATE flagver.log SET frontier = '', frontier_size = 3", false },
    { "INSERT INTO flagver.leaf SELECT 'default', n, '', " ZEROS " FROM generate_series(2, 99) n",
      false },
    { "INSERT INTO flagver.leaf VALUES ('default', 3, '', " ZEROS "), ('default', 2, '', " ZEROS
      ")",
      false },
    { "UPDATE flagver.log SET frontier = frontier", false },
    { NEXT VERSION(SERIES("s"), "4", ID, "1", "1", "'a'", PAYLOAD("s"), ZEROS), false },
    { NEXT VERSION(SERIES("s"), "4", ID, "7", "0", "'a'", PAYLOAD("s"), ZEROS), false },
    { ANY_SERIES("'default'", "'p'", "'x'", "NULL"), false },
    { PLAIN_ITEM("draft", "1", "'c'"), false },
    { PLAIN_ITEM("draft", "1", "'a'") " ON CONFLICT (tenant, series, no, key) DO UPDATE SET note = "
                                      "'x'",
      false },
    { "UPDATE flagver.item SET hash = " ONES
      ", status = 2, decided_at = 1, decided_by = 'x'" OF("draft"),
      false },
    { "DELETE FROM flagver.item" OF("draft"), false },
    { "UPDATE flagver.item SET status = 1, decided_at = 1, decided_by = 'x', origin_no = 1, note = "
      "'x'" OF("open"),
      false },
    { VOTE("open", "1", "'eve'", ZEROS), false },
    { VOTE("open", "1", "'bob'", ONES), false },
    { VOTE("urgent", "1", "'eve'", ZEROS), false },
    { VOTE("urgent", "2", "'eve'", ZEROS), false },
    { CONTRIBUTOR("draft", "1", "'eve'"), false },
    { NODE("16", "0", ZEROS), false },
    { "INSERT INTO flagver.keyed VALUES ('default', 's', 'k', 1, 1, ''); UPDATE flagver.keyed SET "
      "rev = 2; DELETE FROM flagver.keyed",
      false },
    { "UPDATE flagver.payload SET shredded = true, body = '', key = NULL, salt = NULL WHERE "
      "shredded IS NULL",
      false },
    { "DELETE FROM flagver.item" OF(
          "draft") "; INSERT INTO flagver.payload (tenant, id, body) VALUES ('default', " ID
                   ", ''); DELETE FROM flagver.payload WHERE id NOT IN (SELECT payload FROM "
                   "flagver.version UNION SELECT payload FROM flagver.item)",
      true },
    { "UPDATE flagver.meta SET version = 9", true },
};

#define ALLOWED (sizeof allowed / sizeof *allowed)

START_TEST(plain_sql_may_do_what_the_rules_allow)
{
    const char *role = _i % 2 ? "app" : "owner";

    PQfinish(conn);
    conn = connect_as(template_name, role);
    begin_as(role);
    if (is_done(allowed[_i / 2].statement))
        ck_assert_msg(_i % 2 == 0 || !allowed[_i / 2].by_owner_only, "%s",
                      allowed[_i / 2].statement);
    else
        ck_assert_msg(_i % 2 && allowed[_i / 2].by_owner_only, "%s: %s", allowed[_i / 2].statement,
                      sql_words);
}
END_TEST

/* ---- by the state of the version ---- */

/* A transaction in which a superuser has changed something without rules. */
static void begin_forced(const char *statement)
{
    char all[1024];

    PQfinish(conn);
    conn = connect_as(template_name, "postgres");
    snprintf(all, sizeof all,
             "BEGIN; " TENANT("default") "SET LOCAL session_replication_role = replica; %s; SET "
                                         "LOCAL session_replication_role = origin; SET LOCAL ROLE "
                                         "owner",
             statement);
    assert_sql(all);
}

/* Each of the 7 states to each: only those that the interface names. */
START_TEST(a_version_changes_its_state_only_as_it_may)
{
    static const char pairs[] = " 11 12 13 16 21 22 23 25 26 34 ";
    int from = _i / 7 + 1, to = _i % 7 + 1;
    char statement[1024], pair[32];
    bool may;

    snprintf(pair, sizeof pair, " %d%d ", from, to);
    may = strstr(pairs, pair) != NULL;
    snprintf(statement, sizeof statement,
             "UPDATE flagver.version SET state = %d, decided_at = 50, decided_by = 'b', "
             "superseded_by = %s, superseded_at = %s"
             " WHERE series = md5('s')::uuid AND tenant = 'default' AND no = 2",
             from, from == 4 ? "3" : "NULL", from == 4 ? "60" : "NULL");
    begin_forced(statement);
    snprintf(statement, sizeof statement,
             "UPDATE flagver.version SET state = %d, superseded_by = %s, superseded_at = %s, rev = "
             "rev + 1" OF("s") " AND no = 2",
             to, to == 4 ? "3" : "NULL", to == 4 ? "60" : "NULL");
    ck_assert_msg(sql(statement) == may, "%d to %d: %s", from, to, sql_words);
    if (!may)
        ck_assert_msg(strstr(sql_words, "does not change so"), "%d to %d: %s", from, to, sql_words);
}
END_TEST

static const struct deed deeds[] = {
    { PLAIN_ITEM("open", "1", "'c'"), "1 E1" },
    { "UPDATE flagver.item SET hash = " ONES OF("open"), "1 E1" },
    { "UPDATE flagver.item SET note = 'x'" OF("open"), "1 2 E1 E2" },
    { "DELETE FROM flagver.item" OF("open"), "1 E1" },
    { CONTRIBUTOR("open", "1", "'eve'"), "1 E1" },
    { VOTE("open", "1", "'eve'", ZEROS), "2 E2 E3 E4" },
};

START_TEST(what_belongs_to_a_version_changes_only_as_its_state_allows)
{
    const struct deed_turn turn = deed_turn(_i);
    const struct deed *deed = &deeds[turn.deed];
    char statement[1024];

    snprintf(statement, sizeof statement,
             "UPDATE flagver.version SET state = %d, bits = %d, decided_at = 50, decided_by = 'b', "
             "superseded_by = %s, superseded_at = %s"
             " WHERE series = md5('open')::uuid AND tenant = 'default'",
             turn.state, turn.emergency * 2, turn.state == 4 ? "2" : "NULL",
             turn.state == 4 ? "60" : "NULL");
    begin_forced(statement);
    ck_assert_msg(sql(deed->statement) == deed_is_allowed(deed, &turn), "%s in state %s: %s",
                  deed->statement, turn.name, sql_words);
}
END_TEST

/* ---- whoever decides about the version waits ---- */

START_TEST(nobody_approves_what_is_just_being_changed)
{
    PGconn *first = conn;

    begin_as("owner");
    assert_sql("UPDATE flagver.item SET status = 1, decided_at = 1, decided_by = 'x'" OF("open"));
    conn = connect_as(template_name, "owner");
    begin_as("owner");
    assert_sql("SET LOCAL lock_timeout = 50");
    ck_assert(!sql(CHANGE("state = 3, decided_at = 9, decided_by = 'x'", "state = 2")));
    ck_assert_msg(strstr(sql_words, "lock timeout"), "%s", sql_words);
    PQfinish(first);
}
END_TEST

/* ---- whoever has chosen the search_path ---- */

static const struct {
    const char *statement, *words;
} deceived[] = {
    { PLAIN_ITEM("done", "1", "'c'"), "only drafts get items" },
    { "UPDATE flagver.item SET note = 'x'" OF("done"), "never change" },
    { "DELETE FROM flagver.item" OF("done"), "only drafts lose items" },
    { VOTE("done", "1", "'eve'", ZEROS), "votes are about" },
    { CONTRIBUTOR("done", "1", "'eve'"), "only drafts get contributors" },
    { LEAF("3"), "one by one" },
    { "UPDATE flagver.log SET size = size + 1", "one by one" },
    { VERSION(SERIES("s"), "9", ID, "1", "0", "'a'", PAYLOAD("s"), ZEROS), "last number" },
    { NEXT NEXT, "not used yet" },
    { CHANGE("state = 4, superseded_by = 9, superseded_at = 99",
             "state BETWEEN 3 AND 3 AND no >= 2"),
      "not there" },
    { CHANGE("created_by = 'eve'", "state <= 1"), "born with" },
    { CHANGE("note = 'x'", "state BETWEEN 4 AND 4"), "does not change so" },
};

START_TEST(operators_of_ones_own_deceive_nobody)
{
    assert_sql("BEGIN; CREATE SCHEMA deceit; SET LOCAL search_path = pg_catalog, public");
    assert_sql(TENANT("default"));
    assert_sql("CREATE FUNCTION deceit.yes(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE "
               "AS 'SELECT true'; CREATE FUNCTION deceit.no(bigint, bigint) RETURNS boolean "
               "LANGUAGE sql IMMUTABLE AS 'SELECT false'; CREATE OPERATOR deceit.= (LEFTARG = "
               "bigint, RIGHTARG = bigint, FUNCTION = deceit.yes); CREATE OPERATOR deceit.<> "
               "(LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = deceit.no)");
    assert_sql("CREATE FUNCTION deceit.yes(bigint, integer) RETURNS boolean LANGUAGE sql IMMUTABLE "
               "AS 'SELECT true'; CREATE OPERATOR deceit.= (LEFTARG = bigint, RIGHTARG = integer, "
               "FUNCTION = deceit.yes)");
    assert_sql("SET LOCAL search_path = deceit, pg_catalog");
    ck_assert_str_eq(answer("SELECT 1::bigint = 2::bigint"), "t");
    ck_assert_msg(!sql(deceived[_i].statement), "%s was accepted", deceived[_i].statement);
    ck_assert_msg(strstr(sql_words, deceived[_i].words), "%s", sql_words);
}
END_TEST

/* ---- tenants ---- */

static const char *const tables[] = { "series",
                                      "payload",
                                      "version",
                                      "item",
                                      "vote",
                                      "log",
                                      "leaf",
                                      "node",
                                      "contributor",
                                      "keyed",
                                      "flag_current",
                                      "version_current",
                                      "version_history",
                                      "audit_log" };

START_TEST(a_tenant_sees_its_own_rows_only)
{
    const char *role = _i % 2 ? "app" : "owner", *table = tables[_i / 2];
    char statement[256];

    PQfinish(conn);
    conn = connect_as(template_name, role);
    begin_as(role);
    snprintf(statement, sizeof statement,
             "SELECT count(*) = 0 OR count(*) FILTER (WHERE tenant <> 'default') > 0 FROM "
             "flagver.%s",
             table);
    if (strcmp(table, "flag_current") != 0)
        ck_assert_str_eq(answer(statement), "f");
    assert_sql("SELECT set_config('flagver.tenant', 'neither', true)");
    snprintf(statement, sizeof statement, "SELECT count(*) FROM flagver.%s", table);
    ck_assert_str_eq(answer(statement), "0");
}
END_TEST

START_TEST(without_a_tenant_only_the_owner_sees_names)
{
    const char *role = _i % 2 ? "app" : "owner", *table = tables[_i / 2];
    bool names = strcmp(table, "series") == 0 || strcmp(table, "log") == 0;
    char statement[256];

    PQfinish(conn);
    conn = connect_as(template_name, role);
    snprintf(statement, sizeof statement, "SELECT count(DISTINCT tenant) FROM flagver.%s", table);
    ck_assert_str_eq(answer(statement), names && _i % 2 == 0 ? "2" : "0");
    /* after a transaction the setting is there, and empty */
    begin_as(role);
    assert_sql("COMMIT");
    ck_assert_str_eq(answer(statement), names && _i % 2 == 0 ? "2" : "0");
}
END_TEST

/* It is asked about rows before the view has chosen them. */
START_TEST(a_function_in_a_condition_is_shown_nothing)
{
    PQfinish(conn);
    conn = connect_as(template_name, "app");
    assert_sql("CREATE FUNCTION pg_temp.told(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS "
               "$$ BEGIN RAISE EXCEPTION 'told %', $1; END $$");
    assert_sql("SELECT * FROM flagver.version_history WHERE pg_temp.told(subject)");
    assert_sql("BEGIN; " TENANT("neither") "SELECT * FROM flagver.version_history WHERE "
                                           "pg_temp.told(subject)");
}
END_TEST

START_TEST(the_size_of_a_log_is_one_statement)
{
    ck_assert_str_eq(answer("SELECT flagver.log_size('default')"), "2");
    ck_assert_str_eq(answer("SELECT flagver.log_size('nobody')"), "0");
    ck_assert_str_eq(answer("SELECT COALESCE(current_setting('flagver.tenant', true), '')"), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres rules");
    TCase *rules = tcase_create("rules");

    if (!cluster_possible())
        cluster_skip();
    tcase_add_unchecked_fixture(rules, make_template, drop_template);
    tcase_add_checked_fixture(rules, connect_owner, disconnect);
    tcase_add_loop_test(rules, plain_sql_cannot_break_the_rules, 0, REFUSED);
    tcase_add_loop_test(rules, an_application_cannot_either, 0, REFUSED);
    tcase_add_loop_test(rules, plain_sql_may_do_what_the_rules_allow, 0, 2 * ALLOWED);
    tcase_add_loop_test(rules, a_version_changes_its_state_only_as_it_may, 0, 49);
    tcase_add_loop_test(rules, what_belongs_to_a_version_changes_only_as_its_state_allows, 0,
                        DEED_TURNS(deeds));
    tcase_add_test(rules, nobody_approves_what_is_just_being_changed);
    tcase_add_loop_test(rules, operators_of_ones_own_deceive_nobody, 0,
                        sizeof deceived / sizeof *deceived);
    tcase_add_loop_test(rules, a_tenant_sees_its_own_rows_only, 0,
                        2 * sizeof tables / sizeof *tables);
    tcase_add_loop_test(rules, without_a_tenant_only_the_owner_sees_names, 0,
                        2 * sizeof tables / sizeof *tables);
    tcase_add_test(rules, a_function_in_a_condition_is_shown_nothing);
    tcase_add_test(rules, the_size_of_a_log_is_one_statement);
    suite_add_tcase(suite, rules);
    return run_suite(suite);
}
