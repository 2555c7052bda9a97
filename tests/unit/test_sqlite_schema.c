/*
 * The SQLite driver's schema: what it refuses to plain SQL, up and down, and verification.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, strtok_r */

#include "unit/sqlite_store.h"
#include "unit/verifying.h"

/* ---- what plain SQL may not do ---- */

#define SERIES "(SELECT id FROM flagver_series WHERE subject = 's')"
#define PAYLOAD "(SELECT min(id) FROM flagver_payload)"
#define VERSION "flagver_version WHERE series = " SERIES " AND no = "
#define COLUMNS                                                                            \
    "flagver_version (series, no, id, state, bits, rev, created_at, created_by, payload, " \
    "content_hash)"
#define ID "CAST('0123456789abcdef' AS BLOB)"
#define NEXT "UPDATE flagver_series SET last_no = last_no + 1, rev = rev + 1 WHERE subject = 's'; "

/* Series "s": 1 superseded, 2 approved, 3 a draft; series "r": 1 recorded; a log of 2 leaves. */
static void fill(void)
{
    flagver_driver_txn *txn;
    struct record record;

    set_up();
    put(store, "s", "1");
    put(store, "s", "2");
    txn = writing();
    start_record(txn, &record, "s", "3");
    assert_ok(driver->apply(txn, record.changes, record.count, &error));
    start_record(txn, &record, "r", "1");
    record.version.state = FLAGVER_STATE_RECORDED;
    assert_ok(driver->apply(txn, record.changes, record.count, &error));
    assert_ok(driver->commit(txn, &error));
}

static const struct {
    const char *label;
    const char *statement;
    const char *words;
} refused[] = {
    { "a second identity", "INSERT INTO flagver_meta VALUES (2, zeroblob(16), 1, 1, 0)",
      "identity" },
    { "a replaced identity",
      "INSERT OR REPLACE INTO flagver_meta VALUES (1, zeroblob(16), 1, 1, 0)", "identity" },
    { "a changed identity", "UPDATE flagver_meta SET store = zeroblob(16)", "identity" },
    { "no identity", "DELETE FROM flagver_meta", "identity" },

    { "a series with a number it never gave",
      "INSERT INTO flagver_series VALUES ('t', 'p', 'x', " ID ", 2, NULL, 1, 1)", "begin with 1" },
    { "a series without a name",
      "INSERT INTO flagver_series VALUES ('t', 'p', '', " ID ", NULL, NULL, 1, 1)", "CHECK" },
    { "a series without a tenant",
      "INSERT INTO flagver_series VALUES ('', 'p', 'x', " ID ", NULL, NULL, 1, 1)", "CHECK" },
    { "a series with a subject of 513 bytes",
      "INSERT INTO flagver_series VALUES ('t', 'p', printf('%.513c', 'x'), " ID
      ", NULL, NULL, 1, 1)",
      "CHECK" },
    { "an id that is none",
      "INSERT INTO flagver_series VALUES ('t', 'p', 'x', x'00', NULL, NULL, 1, 1)", "CHECK" },
    { "a text for a number",
      "INSERT INTO flagver_series VALUES ('t', 'p', 'x', " ID ", NULL, NULL, 'one', 1)", "TEXT" },
    { "a replaced series",
      "INSERT OR REPLACE INTO flagver_series VALUES ('default', 'phase', 's', " ID
      ", 1, NULL, 9, 1)",
      "already" },
    { "a series with another's id",
      "INSERT OR REPLACE INTO flagver_series SELECT tenant, phase, 'x', id, NULL, NULL, 1, 1 FROM "
      "flagver_series WHERE subject = 's'",
      "already" },
    { "a number without a version", NEXT, "FOREIGN KEY" },
    { "two numbers at once", NEXT NEXT, "not used yet" },
    { "a jump of the last number",
      "UPDATE flagver_series SET last_no = 5, rev = rev + 1 WHERE subject = 's'", "rise by one" },
    { "a falling number",
      "UPDATE flagver_series SET last_no = 2, rev = rev + 1 WHERE subject = 's'", "rise by one" },
    { "no number any more",
      "UPDATE flagver_series SET last_no = NULL, current_no = NULL, rev = rev + 1 WHERE subject = "
      "'s'",
      "rise by one" },
    { "a current number beyond the last",
      "UPDATE flagver_series SET current_no = 4, rev = rev + 1 WHERE subject = 's'", "CHECK" },
    { "a rev that stays", "UPDATE flagver_series SET current_no = 2 WHERE subject = 's'", "rev" },
    { "a time that falls",
      "UPDATE flagver_series SET changed_at = 0, rev = rev + 1 WHERE subject = 's'",
      "never falls" },
    { "another subject", "UPDATE flagver_series SET subject = 'x', rev = rev + 1", "its name" },
    { "another tenant", "UPDATE flagver_series SET tenant = 'x', rev = rev + 1", "its name" },
    { "another phase", "UPDATE flagver_series SET phase = 'x', rev = rev + 1", "its name" },
    { "another id", "UPDATE flagver_series SET id = " ID ", rev = rev + 1 WHERE subject = 's'",
      "its name" },
    { "a deleted series", "DELETE FROM flagver_series", "never deleted" },

    { "another body", "UPDATE flagver_payload SET body = x'00'", "never changes" },
    { "a replaced payload",
      "INSERT OR REPLACE INTO flagver_payload SELECT id, NULL, NULL, x'00', NULL FROM "
      "flagver_payload",
      "already" },
    { "a deleted payload of a version", "DELETE FROM flagver_payload", "never deleted" },

    { "a version that is born approved",
      NEXT "INSERT INTO " COLUMNS " VALUES (" SERIES ", 4, " ID ", 3, 0, 1, 1, 'a', " PAYLOAD
           ", zeroblob(32))",
      "born" },
    { "a version that skips a number",
      NEXT "INSERT INTO " COLUMNS " VALUES (" SERIES ", 5, " ID ", 1, 0, 1, 1, 'a', " PAYLOAD
           ", zeroblob(32))",
      "last number" },
    { "a version of no series",
      "INSERT INTO " COLUMNS " VALUES (" ID ", 1, " ID ", 1, 0, 1, 1, 'a', " PAYLOAD
      ", zeroblob(32))",
      "last number" },
    { "a version that takes an old number",
      "INSERT INTO " COLUMNS " VALUES (" SERIES ", 2, " ID ", 1, 0, 1, 1, 'a', " PAYLOAD
      ", zeroblob(32))",
      "last number" },
    { "a replaced version",
      "INSERT OR REPLACE INTO " COLUMNS " VALUES (" SERIES ", 3, " ID ", 1, 0, 1, 1, 'a', " PAYLOAD
      ", zeroblob(32))",
      "already" },
    { "a version with another's id",
      NEXT "INSERT OR REPLACE INTO " COLUMNS " SELECT series, 4, id, 1, 0, 1, 1, 'a', payload, "
           "content_hash FROM " VERSION "1",
      "already" },
    { "a version without a payload",
      "PRAGMA foreign_keys = ON; " NEXT "INSERT INTO " COLUMNS " VALUES (" SERIES ", 4, " ID
      ", 1, 0, 1, 1, 'a', " ID ", zeroblob(32))",
      "FOREIGN KEY" },
    { "a version without an author",
      NEXT "INSERT INTO " COLUMNS " VALUES (" SERIES ", 4, " ID ", 1, 0, 1, 1, NULL, " PAYLOAD
           ", zeroblob(32))",
      "NOT NULL" },
    { "half a hash",
      NEXT "INSERT INTO " COLUMNS " VALUES (" SERIES ", 4, " ID ", 1, 0, 1, 1, 'a', " PAYLOAD
           ", zeroblob(16))",
      "CHECK" },
    { "a parent that comes later",
      NEXT "INSERT INTO flagver_version (series, no, id, state, bits, rev, created_at, created_by, "
           "payload, content_hash, parent_no) VALUES (" SERIES ", 4, " ID
           ", 1, 0, 1, 1, 'a', " PAYLOAD ", zeroblob(32), 4)",
      "CHECK" },

    { "another author",
      "UPDATE flagver_version SET created_by = 'eve', rev = rev + 1 WHERE state = 1", "born with" },
    { "another time of birth",
      "UPDATE flagver_version SET created_at = 7, rev = rev + 1 WHERE state = 1", "born with" },
    { "another number", "UPDATE flagver_version SET no = 9, rev = rev + 1 WHERE state = 1",
      "born with" },
    { "another parent", "UPDATE flagver_version SET parent_no = 1, rev = rev + 1 WHERE state = 1",
      "born with" },
    { "another id of a version",
      "UPDATE flagver_version SET id = " ID ", rev = rev + 1 WHERE state = 1", "born with" },
    { "another series of a version",
      "UPDATE flagver_version SET series = " ID ", rev = rev + 1 WHERE state = 1", "born with" },
    { "a version that becomes a tombstone",
      "UPDATE flagver_version SET bits = 1, rev = rev + 1 WHERE state = 1", "deletion" },
    { "a draft that changes without a rev", "UPDATE flagver_version SET note = 'x' WHERE state = 1",
      "rev" },
    { "a note on what is approved",
      "UPDATE flagver_version SET note = 'x', rev = rev + 1 WHERE state = 3",
      "does not change so" },
    { "a note on what is superseded",
      "UPDATE flagver_version SET note = 'x', rev = rev + 1 WHERE state = 4",
      "does not change so" },
    { "a record that changes",
      "UPDATE flagver_version SET note = 'x', rev = rev + 1 WHERE state = 7",
      "does not change so" },
    { "content that changes with the submission",
      "UPDATE flagver_version SET state = 2, content_hash = randomblob(32), rev = rev + 1 WHERE "
      "state = "
      "1",
      "drafts only" },
    { "a base that changes with the submission",
      "UPDATE flagver_version SET state = 2, base_no = 1, rev = rev + 1 WHERE state = 1",
      "drafts only" },
    { "a decision rewritten when superseded",
      "UPDATE flagver_version SET state = 4, superseded_by = 3, superseded_at = 99999, decided_by "
      "= "
      "'eve', rev = rev + 1 WHERE state = 3",
      "only becomes superseded" },
    { "superseded by what is not there",
      "UPDATE flagver_version SET state = 4, superseded_by = 4, superseded_at = 99999, rev = rev + "
      "1 "
      "WHERE state = 3",
      "not there" },
    { "superseded by nothing",
      "UPDATE flagver_version SET state = 4, superseded_at = 99999, rev = rev + 1 WHERE state = 3",
      "not there" },
    { "superseded by an older one",
      "UPDATE flagver_version SET state = 4, superseded_by = 1, superseded_at = 99999, rev = rev + "
      "1 "
      "WHERE state = 3",
      "CHECK" },
    { "superseded before it was decided",
      "UPDATE flagver_version SET state = 4, superseded_by = 3, superseded_at = 1, rev = rev + 1 "
      "WHERE "
      "state = 3",
      "CHECK" },
    { "approved by nobody",
      "UPDATE flagver_version SET state = 6, decided_by = 'x', rev = rev + 1 "
      "WHERE state = 1",
      "CHECK" },
    { "a second approved one",
      "UPDATE flagver_version SET state = 3, decided_at = 99999, decided_by = 'x', rev = rev + 1 "
      "WHERE "
      "state = 1",
      "another version" },
    { "an approved one that pushes the other out",
      "UPDATE OR REPLACE flagver_version SET state = 3, decided_at = 99999, decided_by = 'x', rev "
      "= rev "
      "+ 1 WHERE state = 1",
      "another version" },
    { "a deleted version", "DELETE FROM flagver_version", "never deleted" },

    { "a leaf that is skipped",
      "INSERT INTO flagver_leaf VALUES ('default', 3, x'00', zeroblob(32))", "one by one" },
    { "a log that begins with 1", "INSERT INTO flagver_leaf VALUES ('new', 1, x'00', zeroblob(32))",
      "one by one" },
    { "a leaf below 0", "INSERT INTO flagver_leaf VALUES ('new', -1, x'00', zeroblob(32))",
      "CHECK" },
    { "a leaf that is there", "INSERT INTO flagver_leaf VALUES ('default', 1, x'00', zeroblob(32))",
      "UNIQUE" },
    { "a replaced leaf",
      "INSERT OR REPLACE INTO flagver_leaf VALUES ('default', 0, x'00', zeroblob(32))",
      "one by one" },
    { "a replaced first leaf",
      "INSERT OR REPLACE INTO flagver_leaf VALUES ('default', 1, x'00', zeroblob(32))",
      "one by one" },
    { "a changed leaf", "UPDATE flagver_leaf SET leaf = x'00'", "never changes" },
    { "a changed leaf, replacing", "UPDATE OR REPLACE flagver_leaf SET no = 0", "never changes" },
    { "a deleted leaf", "DELETE FROM flagver_leaf WHERE no = 1", "never deleted" },
    { "a longer log", "UPDATE flagver_log SET size = size + 1", "one by one" },
    { "a shorter log", "UPDATE flagver_log SET size = size - 1", "one by one" },
    { "another tenant's log", "UPDATE flagver_log SET tenant = 'x', size = size + 1",
      "one by one" },
    { "a log without leaves", "INSERT INTO flagver_log (tenant, size) VALUES ('new', 1)",
      "one by one" },
    { "a replaced log", "INSERT OR REPLACE INTO flagver_log (tenant, size) VALUES ('default', 1)",
      "one by one" },
    { "a deleted log", "DELETE FROM flagver_log", "never deleted" },

    { "a keyed row without a key", "INSERT INTO flagver_keyed VALUES ('t', 's', '', 1, 1, x'')",
      "CHECK" },
    { "a keyed row without a rev", "INSERT INTO flagver_keyed VALUES ('t', 's', 'k', 0, 1, x'')",
      "CHECK" },
};

START_TEST(plain_sql_cannot_break_the_rules)
{
    static char before[65536], after[65536], statement[2048];
    size_t length = fingerprint(before, sizeof before);

    snprintf(statement, sizeof statement, "PRAGMA foreign_keys = ON; BEGIN; %s; COMMIT",
             refused[_i].statement);
    ck_assert_msg(sql(statement) != SQLITE_OK, "%s was accepted", refused[_i].label);
    ck_assert_msg(strstr(sql_words, refused[_i].words), "%s: \"%s\" does not say \"%s\"",
                  refused[_i].label, sql_words, refused[_i].words);
    ck_assert_uint_eq(fingerprint(after, sizeof after), length);
    ck_assert_mem_eq(before, after, length);
}
END_TEST

START_TEST(plain_sql_may_do_what_the_rules_allow)
{
    assert_sql("UPDATE flagver_version SET note = 'x', rev = rev + 1 WHERE state = 1");
    assert_sql(
        "UPDATE flagver_version SET state = 2, submitted_at = 9, rev = rev + 1 WHERE state = 1");
    assert_sql("INSERT INTO flagver_leaf VALUES ('default', 2, x'00', zeroblob(32))");
    assert_sql("INSERT INTO flagver_leaf VALUES ('new', 0, x'00', zeroblob(32))");
    assert_sql("INSERT INTO flagver_leaf VALUES ('new', 1, x'00', zeroblob(32))");
    ck_assert_str_eq(answer("SELECT group_concat(tenant || size) FROM flagver_log"),
                     "default3,new2");
    assert_sql("BEGIN; " NEXT "INSERT INTO " COLUMNS " VALUES (" SERIES ", 4, " ID
               ", 1, 0, 1, 1, 'a', " PAYLOAD ", zeroblob(32)); COMMIT");
    assert_sql("INSERT INTO flagver_keyed VALUES ('t', 's', 'k', 1, 1, x''); DELETE FROM "
               "flagver_keyed");
}
END_TEST

/* Each of the 7 states to each: only those that the interface names. */
START_TEST(a_version_changes_its_state_only_as_it_may)
{
    static const char allowed[] = " 11 12 13 16 21 22 23 25 26 34 ";
    int from = _i / 7 + 1, to = _i % 7 + 1;
    char statement[1024], pair[32];
    bool may;

    snprintf(pair, sizeof pair, " %d%d ", from, to);
    may = strstr(allowed, pair) != NULL;
    /* number 2 of "s" in this state, with all that the state asks for */
    snprintf(
        statement, sizeof statement,
        "UPDATE flagver_version SET state = %d, decided_at = 50, decided_by = 'b', superseded_by "
        "= %s, superseded_at = %s WHERE no = 2 AND series = " SERIES,
        from, from == 4 ? "3" : "NULL", from == 4 ? "60" : "NULL");
    assert_forced(statement);
    snprintf(
        statement, sizeof statement,
        "UPDATE flagver_version SET state = %d, superseded_by = %s, superseded_at = %s, rev = rev "
        "+ 1 WHERE no = 2 AND series = " SERIES,
        to, to == 4 ? "3" : "NULL", to == 4 ? "60" : "NULL");
    ck_assert_msg((sql(statement) == SQLITE_OK) == may, "%d to %d: %s", from, to, sql_words);
    if (!may)
        ck_assert_msg(strstr(sql_words, "does not change so"), "%d to %d: %s", from, to, sql_words);
}
END_TEST

/* ---- verification ---- */

#define assert_found(part)     \
    do {                       \
        verify();              \
        assert_in_found(part); \
    } while (0)

START_TEST(a_sound_store_has_nothing_to_be_found)
{
    verify();
    assert_nothing_found();
    ck_assert_uint_gt(checked_count, 90);
    assert_ok(driver->schema_verify(store, NULL, NULL, NULL, &error));
}
END_TEST

/* Dropped and made again, one after the other: each is missed by its name. */
START_TEST(each_dropped_thing_is_missed)
{
    static char names[65536], definition[65536];
    char statement[8192], wanted[128], *name, *rest = names;
    const char *type = _i ? "trigger" : "index";
    size_t dropped = 0;

    snprintf(
        statement, sizeof statement,
        "SELECT group_concat(name, ',') FROM sqlite_schema WHERE type = '%s' AND sql IS NOT NULL",
        type);
    snprintf(names, sizeof names, "%s", answer(statement));
    while ((name = strtok_r(rest, ",", &rest))) {
        snprintf(statement, sizeof statement, "SELECT sql FROM sqlite_schema WHERE name = '%s'",
                 name);
        snprintf(definition, sizeof definition, "%s", answer(statement));
        snprintf(statement, sizeof statement, "DROP %s %s", type, name);
        assert_sql(statement);
        snprintf(wanted, sizeof wanted, "%s %s: missing", type, name);
        assert_found(wanted);
        ck_assert_uint_eq(found_count, 1);
        assert_sql(definition);
        dropped++;
    }
    ck_assert_uint_ge(dropped, _i ? 35 : 4);
    verify();
    ck_assert_uint_eq(found_count, 0);
}
END_TEST

static const char *const tables[] = { "flagver_series", "flagver_payload", "flagver_version",
                                      "flagver_log",    "flagver_leaf",    "flagver_keyed",
                                      "flagver_item",   "flagver_vote",    "flagver_contributor",
                                      "flagver_node" };

START_TEST(a_dropped_table_is_missed)
{
    char statement[128], wanted[128];

    snprintf(statement, sizeof statement, "DROP TABLE %s", tables[_i]);
    assert_sql(statement);
    snprintf(wanted, sizeof wanted, "table %s: missing", tables[_i]);
    assert_found(wanted);
}
END_TEST

/* What stands in sqlite_schema is replaced behind SQLite's back. */
static const struct {
    const char *object, *from, *to, *words;
} altered[] = {
    { "flagver_version", "  note TEXT,\n", "", "note TEXT: missing" },
    { "flagver_version", "note TEXT", "note TEXT NOT NULL", "note TEXT: missing or different" },
    { "flagver_version", "note TEXT", "note TEXT NOT NULL", "note TEXT NOT NULL: does not belong" },
    { "flagver_version", "UNIQUE (id)", "UNIQUE (no, series)", "UNIQUE(id): missing" },
    { "flagver_version", "CHECK (bits BETWEEN 0 AND 4294967295)", "",
      "bits INTEGER NOT NULL CHECK" },
    { "flagver_version", "CHECK ((state = 4) = (superseded_by IS NOT NULL))", "CHECK (1)",
      "superseded_by IS NOT NULL" },
    { "flagver_version", " REFERENCES flagver_payload (id)", "", "REFERENCES flagver_payload" },
    { "flagver_series", " DEFERRABLE INITIALLY DEFERRED", "", "DEFERRABLE INITIALLY DEFERRED" },
    { "flagver_payload", "salt BLOB,\n  body BLOB NOT NULL", "body BLOB NOT NULL,\n  salt BLOB",
      "another order" },
    { "flagver_payload", ") STRICT", ")", "STRICT: missing" },
    { "flagver_log", "STRICT, WITHOUT ROWID", "WITHOUT ROWID", "STRICT: missing" },
    { "flagver_log", "frontier BLOB", "frontier ANY", "frontier BLOB: missing" },
    { "flagver_log", "frontier_size BETWEEN 1 AND size", "1", "frontier_size INTEGER CHECK" },
    { "flagver_payload", "shredded INTEGER", "shredded ANY", "shredded INTEGER CHECK" },
    { "flagver_payload", "AND key IS NULL", "", "shredded INTEGER CHECK" },
    { "flagver_item", "  note TEXT,\n", "", "note TEXT: missing" },
    { "flagver_item", " REFERENCES flagver_payload (id)", "", "REFERENCES flagver_payload" },
    { "flagver_item", "PRIMARY KEY (series, no, key)", "PRIMARY KEY (series, key, no)",
      "PRIMARY KEY(series,no,key): missing" },
    { "flagver_item", "(status = 0) = (decided_by IS NULL)", "1", "decided_by IS NULL" },
    { "flagver_vote", "content_hash)", "no)", "PRIMARY KEY(series,no,actor,content_hash)" },
    { "flagver_vote", "  note TEXT,\n", "", "note TEXT: missing" },
    { "flagver_contributor", "actor TEXT NOT NULL", "actor TEXT", "actor TEXT NOT NULL: missing" },
    { "flagver_node", " AND level % 4 = 0", "", "level INTEGER NOT NULL CHECK" },
    { "flagver_version_open", "state <= 2", "state <= 1", "flagver_version_open: is different" },
    { "flagver_payload_frozen", "OLD.shredded IS NOT NULL", "0",
      "flagver_payload_frozen: is different" },
    { "flagver_version_approved", "state = 3", "state = 2",
      "flagver_version_approved: is different" },
    { "flagver_version_changes", "NEW.rev <= OLD.rev", "NEW.rev < OLD.rev",
      "flagver_version_changes: is different" },
    { "flagver_leaf_stays", "never deleted", "gone", "flagver_leaf_stays: is different" },
};

START_TEST(what_was_altered_is_found)
{
    char statement[2048];

    snprintf(statement, sizeof statement,
             "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '%s', '%s') "
             "WHERE name = '%s'; PRAGMA writable_schema = RESET",
             altered[_i].from, altered[_i].to, altered[_i].object);
    /* \n in the definitions: SQLite keeps what it was given */
    sql(statement);
    snprintf(statement, sizeof statement,
             "SELECT instr(sql, '%s') FROM sqlite_schema WHERE name = '%s'",
             *altered[_i].to ? altered[_i].to : "CREATE", altered[_i].object);
    ck_assert_str_ne(answer(statement), "0");
    assert_found(altered[_i].words);
}
END_TEST

START_TEST(spaces_and_lines_make_no_difference)
{
    assert_sql("DROP INDEX flagver_keyed_time; CREATE INDEX\tflagver_keyed_time ON flagver_keyed( "
               "tenant ,space,\n  time )");
    verify();
    assert_nothing_found();
}
END_TEST

static const struct {
    const char *statement, *words;
} strange[] = {
    { "CREATE TABLE flagver_more (x)", "table flagver_more: does not belong" },
    { "CREATE INDEX mine ON flagver_version (note)",
      "index mine on flagver_version: does not belong" },
    { "CREATE TRIGGER mine AFTER INSERT ON flagver_leaf BEGIN SELECT 1; END",
      "trigger mine on flagver_leaf: does not belong" },
    { "ALTER TABLE flagver_payload ADD COLUMN more TEXT", "more TEXT: does not belong" },
};

START_TEST(what_does_not_belong_there_is_found)
{
    assert_sql(strange[_i].statement);
    assert_found(strange[_i].words);
    ck_assert_uint_eq(found_count, 1);
}
END_TEST

START_TEST(tables_of_the_application_are_none_of_our_business)
{
    assert_sql(
        "CREATE TABLE customer (name); CREATE INDEX by_name ON customer (name); CREATE TRIGGER "
        "greet AFTER INSERT ON customer BEGIN SELECT 1; END");
    verify();
    assert_nothing_found();
}
END_TEST

static const struct {
    const char *statement, *words;
} contradictions[] = {
    { "DELETE FROM flagver_meta", "flagver_meta" },
    { "DELETE FROM flagver_leaf WHERE no = 1", "the log of default says 2 leaves and has 1" },
    { "DELETE FROM flagver_log", "the log of default has leaves and no size" },
    { "DELETE FROM flagver_leaf WHERE no = 0", "begins with 1" },
    { "DELETE FROM flagver_version WHERE no = 1 AND series = " SERIES, "ends with 3 and has 2" },
    { "UPDATE flagver_series SET current_no = 3 WHERE subject = 's'",
      "version 3 is current, in state 1" },
    { "UPDATE flagver_series SET current_no = NULL", "version 2 is approved and not current" },
    { "UPDATE flagver_version SET state = 4, superseded_by = 3, superseded_at = 99999 WHERE state "
      "= 3; "
      "UPDATE flagver_version SET superseded_by = 3 WHERE no = 1 AND state = 4",
      "supersedes 2 versions" },
    { "UPDATE flagver_version SET payload = " ID " WHERE no = 3",
      "refers to one of flagver_payload" },
    { "UPDATE flagver_series SET last_no = 4 WHERE subject = 's'",
      "refers to one of flagver_version" },
    { "INSERT INTO flagver_item (series, no, key, status, payload, hash) VALUES (" SERIES
      ", 9, 'k', 0, " PAYLOAD ", zeroblob(32))",
      "table flagver_item: a row refers to one of flagver_version" },
    { "INSERT INTO flagver_item (series, no, key, status, payload, hash) VALUES (" SERIES
      ", 1, 'k', 0, " ID ", zeroblob(32))",
      "table flagver_item: a row refers to one of flagver_payload" },
    { "INSERT INTO flagver_vote VALUES (" SERIES ", 9, 'a', zeroblob(32), 1, NULL)",
      "table flagver_vote: a row refers to one of flagver_version" },
    { "INSERT INTO flagver_contributor VALUES (" SERIES ", 9, 'a')",
      "table flagver_contributor: a row refers to one of flagver_version" },
    { "PRAGMA ignore_check_constraints = ON; UPDATE flagver_payload SET shredded = 1",
      "CHECK constraint failed in flagver_payload" },
};

START_TEST(rows_that_contradict_each_other_are_found)
{
    assert_forced(contradictions[_i].statement);
    assert_found(contradictions[_i].words);
}
END_TEST

START_TEST(damage_is_found)
{
    char rubbish[512];
    FILE *file;
    long at;

    assert_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    at = strtol(answer("SELECT rootpage FROM sqlite_schema WHERE name = 'flagver_leaf'"), NULL, 10);
    driver->close(store);
    file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, (at - 1) * 4096, SEEK_SET), 0);
    memset(rubbish, 0xaa, sizeof rubbish);
    ck_assert_uint_eq(fwrite(rubbish, 1, sizeof rubbish, file), sizeof rubbish);
    fclose(file);
    store = open_store();
    assert_found("damage");
}
END_TEST

/* ---- versions of the schema ---- */

#define SUM_OF_VERSION_1 UINT64_C(11524747508262304020)

/* Whatever the order in which things were made. */
#define OBJECTS                                                                   \
    "SELECT group_concat(type || name || tbl_name || ifnull(sql, ''), ';') FROM " \
    "(SELECT * FROM sqlite_schema ORDER BY name)"

START_TEST(down_and_up_again_gives_the_same_schema)
{
    static char before[131072];
    flagver_driver_txn *txn;
    uint32_t version;

    snprintf(before, sizeof before, "%s", answer(OBJECTS));
    assert_ok(driver->schema_migrate(store, 0, &error));
    assert_ok(driver->schema_version(store, &version, &error));
    ck_assert_uint_eq(version, 0);
    ck_assert_str_eq(answer("SELECT count(*) FROM sqlite_schema"), "0");
    assert_fails(FLAGVER_ESCHEMA,
                 driver->begin(store, text("default"), FLAGVER_MODE_WRITE, &txn, &error));
    assert_words("flagver schema up");
    assert_words(path);
    assert_ok(driver->schema_migrate(store, 0, &error));

    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    assert_ok(driver->schema_version(store, &version, &error));
    ck_assert_uint_eq(version, FLAGVER_SCHEMA_VERSION);
    ck_assert_str_eq(answer(OBJECTS), before);
    put(store, "s", "anew");
    ck_assert_str_eq(current(store, "s"), "anew");
}
END_TEST

/* Of what is in sqlite_schema, by FNV-1a. */
static uint64_t sum(const char *words)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *words; words++)
        hash = (hash ^ (unsigned char)*words) * UINT64_C(1099511628211);
    return hash;
}

static void close_at(uint32_t version)
{
    assert_ok(driver->schema_migrate(store, version, &error));
    driver->close(store);
    store = NULL;
}

/* There are stores that have it: what is new is another version. */
START_TEST(version_1_stays_what_it_was)
{
    assert_ok(driver->schema_migrate(store, 0, &error));
    assert_ok(driver->schema_migrate(store, 1, &error));
    ck_assert_uint_eq(sum(answer(OBJECTS)), SUM_OF_VERSION_1);
    ck_assert_str_eq(answer("SELECT version || compatible FROM flagver_meta"), "11");
}
END_TEST

START_TEST(going_down_to_version_1_gives_version_1)
{
    flagver_driver_txn *txn;

    assert_ok(driver->schema_migrate(store, 1, &error));
    ck_assert_uint_eq(sum(answer(OBJECTS)), SUM_OF_VERSION_1);
    ck_assert_str_eq(answer("SELECT version || compatible FROM flagver_meta"), "11");
    assert_fails(FLAGVER_ESCHEMA,
                 driver->begin(store, text("default"), FLAGVER_MODE_WRITE, &txn, &error));
    assert_words("schema 1");
}
END_TEST

/* What an application has that uses version 1, and what it is to find again. */
START_TEST(a_store_of_version_1_is_upgraded_when_it_is_opened)
{
    static char before[65536], after[65536];
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    flagver_row row;
    size_t length;

    length = fingerprint(before, sizeof before);
    close_at(1);
    store = open_store();
    verify();
    assert_nothing_found();
    ck_assert_uint_eq(fingerprint(after, sizeof after), length);
    ck_assert_mem_eq(after, before, length);

    txn = reading();
    assert_ok(driver->scan(txn, &query, &cursor, &error));
    ck_assert_int_eq(driver->next(cursor, &row, &error), 1);
    ck_assert_uint_eq(row.as.log.size, 2);
    ck_assert_ptr_null(row.as.log.frontier.data);
    driver->end_scan(cursor);
    driver->rollback(txn);
    put(store, "s", "anew");
    ck_assert_str_eq(current(store, "s"), "anew");
}
END_TEST

START_TEST(a_store_of_version_1_is_verified_as_that)
{
    assert_ok(driver->schema_migrate(store, 1, &error));
    verify();
    assert_nothing_found();
    assert_sql("CREATE TABLE flagver_item (mine); DROP TRIGGER flagver_payload_frozen");
    assert_found("table flagver_item: does not belong there");
    assert_found("trigger flagver_payload_frozen: missing");
    ck_assert_uint_eq(found_count, 2);
}
END_TEST

START_TEST(a_library_for_version_1_is_told_to_keep_away)
{
    ck_assert_str_eq(answer("SELECT compatible FROM flagver_meta"), "2");
}
END_TEST

START_TEST(an_upgrade_that_fails_leaves_version_1)
{
    flagver_driver_config how = config();
    flagver_store *opened;

    close_at(1);
    assert_sql("CREATE TABLE flagver_vote (mine)");
    ck_assert_int_lt(driver->open(&how, &opened, &error), 0);
    assert_words("flagver_vote");
    ck_assert_str_eq(answer("SELECT version FROM flagver_meta"), "1");
    assert_sql("DROP TABLE flagver_vote");
    ck_assert_uint_eq(sum(answer(OBJECTS)), SUM_OF_VERSION_1);
    store = open_store();
    verify();
    ck_assert_uint_eq(found_count, 0);
}
END_TEST

START_TEST(what_the_application_has_beside_it_is_in_nobodys_way)
{
    assert_sql("CREATE VIEW broken AS SELECT * FROM nowhere; CREATE TABLE customer (name); CREATE "
               "TRIGGER greet AFTER INSERT ON customer BEGIN INSERT INTO nowhere VALUES (1); END");
    assert_ok(driver->schema_migrate(store, 1, &error));
    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    put(store, "s", "anew");
    assert_ok(driver->schema_migrate(store, 0, &error));
    ck_assert_str_eq(answer("SELECT count(*) FROM sqlite_schema"), "3");
}
END_TEST

START_TEST(all_the_way_down_leads_past_damage)
{
    assert_sql("DROP TABLE flagver_log; DROP TRIGGER flagver_item_born; DROP TABLE flagver_node");
    assert_ok(driver->schema_migrate(store, 0, &error));
    ck_assert_str_eq(answer("SELECT count(*) FROM sqlite_schema"), "0");
}
END_TEST

START_TEST(a_version_that_nobody_knows_is_refused)
{
    assert_fails(FLAGVER_EINVAL, driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION + 1, &error));
    assert_words("3");
}
END_TEST

START_TEST(a_newer_schema_is_used_when_it_allows_that)
{
    flagver_driver_config how = config();
    flagver_store *opened;

    assert_sql("UPDATE flagver_meta SET version = 9");
    opened = open_store();
    put(opened, "s", "from an older library");
    driver->close(opened);
    ck_assert_str_eq(answer("SELECT version FROM flagver_meta"), "9");

    assert_sql("UPDATE flagver_meta SET compatible = 7");
    assert_fails(FLAGVER_ESCHEMA, driver->open(&how, &opened, &error));
    assert_words("schema 9");
    assert_words("schema 7");
    assert_words("flagver schema");
    assert_fails(FLAGVER_ESCHEMA, driver->schema_migrate(store, 0, &error));
    assert_fails(FLAGVER_ESCHEMA,
                 driver->schema_verify(store, note_found, note_checked, NULL, &error));
}
END_TEST

START_TEST(without_upgrade_a_store_opens_as_it_is)
{
    flagver_driver_config how = config();
    flagver_driver_txn *txn;
    uint32_t version = 99;

    driver->close(store);
    store = NULL;
    remove_place();
    make_place();
    ck_assert_int_eq(fclose(fopen(path, "w")), 0);
    how.no_upgrade = 1;
    assert_ok(driver->open(&how, &store, &error));
    assert_ok(driver->schema_version(store, &version, &error));
    ck_assert_uint_eq(version, 0);
    ck_assert_str_eq(answer("SELECT count(*) FROM sqlite_schema"), "0");
    assert_fails(FLAGVER_ESCHEMA,
                 driver->begin(store, text("default"), FLAGVER_MODE_READ, &txn, &error));
    assert_found("table flagver_version: missing");

    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    put(store, "s", "1");
    ck_assert_str_eq(current(store, "s"), "1");
    verify();
    assert_nothing_found();
}
END_TEST

START_TEST(a_step_that_fails_leaves_what_was_there)
{
    assert_ok(driver->schema_migrate(store, 0, &error));
    assert_sql("CREATE TABLE flagver_leaf (mine)");
    ck_assert_int_lt(driver->schema_migrate(store, 1, &error), 0);
    assert_words("flagver_leaf");
    ck_assert_str_eq(answer("SELECT group_concat(name) FROM sqlite_schema"), "flagver_leaf");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite schema");
    TCase *rules = tcase_create("rules"), *schema = tcase_create("schema");

    tcase_add_checked_fixture(rules, fill, tear_down);
    tcase_set_tags(rules, "slow"); /* valgrind leaves it out */
    tcase_add_loop_test(rules, plain_sql_cannot_break_the_rules, 0,
                        sizeof refused / sizeof *refused);
    tcase_add_test(rules, plain_sql_may_do_what_the_rules_allow);
    tcase_add_loop_test(rules, a_version_changes_its_state_only_as_it_may, 0, 49);
    suite_add_tcase(suite, rules);

    tcase_add_checked_fixture(schema, fill, tear_down);
    tcase_add_test(schema, a_sound_store_has_nothing_to_be_found);
    tcase_add_loop_test(schema, each_dropped_thing_is_missed, 0, 2);
    tcase_add_loop_test(schema, a_dropped_table_is_missed, 0, sizeof tables / sizeof *tables);
    tcase_add_loop_test(schema, what_was_altered_is_found, 0, sizeof altered / sizeof *altered);
    tcase_add_test(schema, spaces_and_lines_make_no_difference);
    tcase_add_loop_test(schema, what_does_not_belong_there_is_found, 0,
                        sizeof strange / sizeof *strange);
    tcase_add_test(schema, tables_of_the_application_are_none_of_our_business);
    tcase_add_loop_test(schema, rows_that_contradict_each_other_are_found, 0,
                        sizeof contradictions / sizeof *contradictions);
    tcase_add_test(schema, damage_is_found);
    tcase_add_test(schema, down_and_up_again_gives_the_same_schema);
    tcase_add_test(schema, version_1_stays_what_it_was);
    tcase_add_test(schema, going_down_to_version_1_gives_version_1);
    tcase_add_test(schema, a_store_of_version_1_is_upgraded_when_it_is_opened);
    tcase_add_test(schema, a_store_of_version_1_is_verified_as_that);
    tcase_add_test(schema, a_library_for_version_1_is_told_to_keep_away);
    tcase_add_test(schema, an_upgrade_that_fails_leaves_version_1);
    tcase_add_test(schema, what_the_application_has_beside_it_is_in_nobodys_way);
    tcase_add_test(schema, all_the_way_down_leads_past_damage);
    tcase_add_test(schema, a_version_that_nobody_knows_is_refused);
    tcase_add_test(schema, a_newer_schema_is_used_when_it_allows_that);
    tcase_add_test(schema, without_upgrade_a_store_opens_as_it_is);
    tcase_add_test(schema, a_step_that_fails_leaves_what_was_there);
    suite_add_tcase(suite, schema);
    return run_suite(suite);
}
