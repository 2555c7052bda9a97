#include "driver/sqlite_internal.h"

/*
 * The schema, step by step. Stores that an older library has made went through the same
 * steps, so what stands here once never changes; what is new is another step.
 *
 * Texts are compared by their bytes, ids are 16 bytes, times are microseconds,
 * NULL is "none".
 *
 * Triggers repeat the library's rules for whoever writes with plain SQL; their words reach
 * people. They look at what is there before a row is inserted, too: OR REPLACE deletes
 * without asking the triggers for deletion, and references are checked only by connections that
 * ask for it.
 *
 * There are few references. A series that has a last number has that version, by the time of
 * the commit, and numbers have no gaps and versions stay: so the other numbers in a series and
 * its versions refer to something that exists.
 *
 * All of it runs in every change, so it is written to be cheap: triggers for what hardly anybody
 * writes are bound to those columns, and where IN would make a table for its list each time
 * there are comparisons.
 */
/* ---- version 1 ---- */

/* What version 2 replaces; going down brings it back. */
#define PAYLOAD_BORN_1                                                                        \
    "CREATE TRIGGER flagver_payload_born BEFORE INSERT ON flagver_payload\n"                  \
    "WHEN EXISTS (SELECT 1 FROM flagver_payload WHERE id = NEW.id)\n"                         \
    "  OR NEW.rowid > 0 AND EXISTS (SELECT 1 FROM flagver_payload WHERE rowid = NEW.rowid)\n" \
    "BEGIN\n"                                                                                 \
    "  SELECT RAISE(ABORT, 'flagver: there is such a payload already');\n"                    \
    "END"

#define PAYLOAD_FROZEN_1                                                       \
    "CREATE TRIGGER flagver_payload_frozen BEFORE UPDATE ON flagver_payload\n" \
    "BEGIN\n"                                                                  \
    "  SELECT RAISE(ABORT, 'flagver: a payload never changes');\n"             \
    "END"

#define PAYLOAD_STAYS_1                                                              \
    "CREATE TRIGGER flagver_payload_stays BEFORE DELETE ON flagver_payload\n"        \
    "WHEN EXISTS (SELECT 1 FROM flagver_version WHERE payload = OLD.id)\n"           \
    "BEGIN\n"                                                                        \
    "  SELECT RAISE(ABORT, 'flagver: the payload of a version is never deleted');\n" \
    "END"

#define VERSION_BORN_1                                                                    \
    "CREATE TRIGGER flagver_version_born BEFORE INSERT ON flagver_version\n"              \
    "BEGIN\n"                                                                             \
    "  SELECT CASE\n"                                                                     \
    "    WHEN NEW.state <> 1 AND NEW.state <> 7\n"                                        \
    "      THEN RAISE(ABORT, 'flagver: a version is born as draft or as recorded')\n"     \
    "    WHEN NEW.no IS NOT (SELECT last_no FROM flagver_series WHERE id = NEW.series)\n" \
    "      THEN RAISE(ABORT, 'flagver: a version takes the last number of its series')\n" \
    "    WHEN EXISTS (SELECT 1 FROM flagver_version WHERE id = NEW.id)\n"                 \
    "      OR EXISTS (SELECT 1 FROM flagver_version\n"                                    \
    "        WHERE series = NEW.series AND no = NEW.no)\n"                                \
    "      THEN RAISE(ABORT, 'flagver: there is such a version already')\n"               \
    "  END;\n"                                                                            \
    "END"

#define VERSION_CHANGES_1                                                                      \
    "CREATE TRIGGER flagver_version_changes BEFORE UPDATE ON flagver_version\n"                \
    "BEGIN\n"                                                                                  \
    "  SELECT CASE\n"                                                                          \
    "    WHEN NOT (OLD.state = 1 AND (NEW.state <= 3 OR NEW.state = 6)\n"                      \
    "        OR OLD.state = 2 AND (NEW.state <= 3 OR NEW.state = 5 OR NEW.state = 6)\n"        \
    "        OR OLD.state = 3 AND NEW.state = 4)\n"                                            \
    "      THEN RAISE(ABORT, 'flagver: a version in this state does not change so')\n"         \
    "    WHEN OLD.state = 3\n"                                                                 \
    "      AND (NEW.submitted_at, NEW.decided_at, NEW.decided_by, NEW.note, NEW.bits)\n"       \
    "        IS NOT (OLD.submitted_at, OLD.decided_at, OLD.decided_by, OLD.note, OLD.bits)\n"  \
    "      THEN RAISE(ABORT, 'flagver: what was approved only becomes superseded')\n"          \
    "    WHEN (NEW.bits & 1) <> (OLD.bits & 1)\n"                                              \
    "      THEN RAISE(ABORT, 'flagver: a version does not become a deletion, nor cease to be " \
    "one')\n"                                                                                  \
    "    WHEN NEW.rev <= OLD.rev\n"                                                            \
    "      THEN RAISE(ABORT, 'flagver: each change of a version raises its rev')\n"            \
    "    WHEN NEW.state = 4 AND NOT EXISTS (SELECT 1 FROM flagver_version\n"                   \
    "        WHERE series = NEW.series AND no = NEW.superseded_by)\n"                          \
    "      THEN RAISE(ABORT, 'flagver: the version that supersedes is not there')\n"           \
    "    WHEN NEW.state = 3 AND EXISTS (SELECT 1 FROM flagver_version\n"                       \
    "        WHERE series = NEW.series AND state = 3)\n"                                       \
    "      THEN RAISE(ABORT, 'flagver: another version of the series is approved')\n"          \
    "  END;\n"                                                                                 \
    "END"

#define LOG_GROWS_1                                                                              \
    "CREATE TRIGGER flagver_log_grows BEFORE UPDATE ON flagver_log\n"                            \
    "WHEN NEW.tenant IS NOT OLD.tenant OR NEW.size IS NOT OLD.size + 1\n"                        \
    "  OR NOT EXISTS (SELECT 1 FROM flagver_leaf WHERE tenant = OLD.tenant AND no = OLD.size)\n" \
    "BEGIN\n"                                                                                    \
    "  SELECT RAISE(ABORT, 'flagver: leaves are appended to the log one by one, from 0');\n"     \
    "END"

static const char *const up_1[] = {
    "CREATE TABLE flagver_meta (\n"
    "  one INTEGER PRIMARY KEY CHECK (one = 1),\n"
    "  store BLOB NOT NULL CHECK (length(store) = 16),\n"
    "  version INTEGER NOT NULL,\n"
    "  compatible INTEGER NOT NULL CHECK (compatible BETWEEN 1 AND version),\n"
    "  settled INTEGER NOT NULL\n"
    ") STRICT",

    "CREATE TABLE flagver_series (\n"
    "  tenant TEXT NOT NULL CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 128),\n"
    "  phase TEXT NOT NULL CHECK (length(CAST(phase AS BLOB)) BETWEEN 1 AND 128),\n"
    "  subject TEXT NOT NULL CHECK (length(CAST(subject AS BLOB)) BETWEEN 1 AND 512),\n"
    "  id BLOB NOT NULL CHECK (length(id) = 16),\n"
    "  last_no INTEGER CHECK (last_no >= 1),\n"
    "  current_no INTEGER CHECK (current_no BETWEEN 1 AND ifnull(last_no, 0)),\n"
    "  rev INTEGER NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  changed_at INTEGER NOT NULL CHECK (changed_at <= 4611686018427387904),\n"
    "  PRIMARY KEY (tenant, phase, subject),\n"
    "  UNIQUE (id),\n"
    "  FOREIGN KEY (id, last_no) REFERENCES flagver_version (series, no)\n"
    "    DEFERRABLE INITIALLY DEFERRED\n"
    ") STRICT, WITHOUT ROWID",

    /*
     * With rowids: payloads are long, and long rows make a tree without them deep. A trigger sees
     * -1 for a rowid that is still to be chosen, so none may be that.
     */
    "CREATE TABLE flagver_payload (\n"
    "  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),\n"
    "  key INTEGER CHECK (key >= 1),\n"
    "  salt BLOB,\n"
    "  body BLOB NOT NULL,\n"
    "  CHECK (rowid > 0)\n"
    ") STRICT",

    "CREATE TABLE flagver_version (\n"
    "  series BLOB NOT NULL,\n"
    "  no INTEGER NOT NULL CHECK (no BETWEEN 1 AND 4294967295),\n"
    "  id BLOB NOT NULL CHECK (length(id) = 16),\n"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 7),\n"
    "  bits INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 4294967295),\n"
    "  rev INTEGER NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  parent_no INTEGER CHECK (parent_no BETWEEN 1 AND no - 1),\n"
    "  base_no INTEGER CHECK (base_no BETWEEN 1 AND no - 1),\n"
    "  reverts_no INTEGER CHECK (reverts_no BETWEEN 1 AND no - 1),\n"
    "  superseded_by INTEGER CHECK (superseded_by > no),\n"
    "  created_at INTEGER NOT NULL,\n"
    "  created_by TEXT NOT NULL,\n"
    "  submitted_at INTEGER,\n"
    "  decided_at INTEGER,\n"
    "  decided_by TEXT,\n"
    "  superseded_at INTEGER CHECK (superseded_at > decided_at),\n"
    "  note TEXT,\n"
    "  payload BLOB NOT NULL REFERENCES flagver_payload (id),\n"
    "  content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),\n"
    "  PRIMARY KEY (series, no),\n"
    "  UNIQUE (id),\n"
    "  CHECK ((state = 4) = (superseded_by IS NOT NULL)),\n"
    "  CHECK ((state = 4) = (superseded_at IS NOT NULL)),\n"
    "  CHECK ((decided_at IS NULL) = (decided_by IS NULL)),\n"
    "  CHECK (state NOT BETWEEN 3 AND 5 OR decided_at IS NOT NULL)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE UNIQUE INDEX flagver_version_approved ON flagver_version (series) WHERE state = 3",

    "CREATE INDEX flagver_version_decided ON flagver_version (series, decided_at)\n"
    "  WHERE decided_at IS NOT NULL",

    "CREATE TABLE flagver_log (\n"
    "  tenant TEXT NOT NULL PRIMARY KEY CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 128),\n"
    "  size INTEGER NOT NULL CHECK (size >= 1)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE flagver_leaf (\n"
    "  tenant TEXT NOT NULL,\n"
    "  no INTEGER NOT NULL CHECK (no >= 0),\n"
    "  leaf BLOB NOT NULL,\n"
    "  hash BLOB NOT NULL CHECK (length(hash) = 32),\n"
    "  PRIMARY KEY (tenant, no)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE flagver_keyed (\n"
    "  tenant TEXT NOT NULL CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 128),\n"
    "  space TEXT NOT NULL CHECK (length(CAST(space AS BLOB)) BETWEEN 1 AND 64),\n"
    "  key TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 512),\n"
    "  rev INTEGER NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  time INTEGER NOT NULL,\n"
    "  value BLOB NOT NULL,\n"
    "  PRIMARY KEY (tenant, space, key)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE INDEX flagver_keyed_time ON flagver_keyed (tenant, space, time)",

    /* ---- meta ---- */

    "CREATE TRIGGER flagver_meta_once BEFORE INSERT ON flagver_meta\n"
    "WHEN EXISTS (SELECT 1 FROM flagver_meta)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the store has its identity already');\n"
    "END",

    "CREATE TRIGGER flagver_meta_kept BEFORE UPDATE ON flagver_meta\n"
    "WHEN NEW.one IS NOT OLD.one OR NEW.store IS NOT OLD.store\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the identity of the store never changes');\n"
    "END",

    "CREATE TRIGGER flagver_meta_stays BEFORE DELETE ON flagver_meta\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the identity of the store is never deleted');\n"
    "END",

    /* ---- series ---- */

    "CREATE TRIGGER flagver_series_born BEFORE INSERT ON flagver_series\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.last_no > 1\n"
    "      THEN RAISE(ABORT, 'flagver: the numbers of a series begin with 1')\n"
    "    WHEN EXISTS (SELECT 1 FROM flagver_series WHERE id = NEW.id)\n"
    "      OR EXISTS (SELECT 1 FROM flagver_series WHERE tenant = NEW.tenant\n"
    "        AND phase = NEW.phase AND subject = NEW.subject)\n"
    "      THEN RAISE(ABORT, 'flagver: there is such a series already')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_series_frozen BEFORE UPDATE OF tenant, phase, subject, id\n"
    "ON flagver_series\n"
    "WHEN (NEW.id, NEW.tenant, NEW.phase, NEW.subject)\n"
    "  IS NOT (OLD.id, OLD.tenant, OLD.phase, OLD.subject)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a series keeps its id and its name');\n"
    "END",

    "CREATE TRIGGER flagver_series_changes BEFORE UPDATE ON flagver_series\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.last_no IS NOT OLD.last_no\n"
    "      AND NEW.last_no IS NOT ifnull(OLD.last_no, 0) + 1\n"
    "      THEN RAISE(ABORT, 'flagver: the numbers of a series rise by one')\n"
    "    WHEN NEW.last_no > OLD.last_no AND NOT EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = OLD.id AND no = OLD.last_no)\n"
    "      THEN RAISE(ABORT, 'flagver: the last number of the series is not used yet')\n"
    "    WHEN ifnull(NEW.current_no, 0) < OLD.current_no\n"
    "      THEN RAISE(ABORT, 'flagver: what was in force once does not come back')\n"
    "    WHEN NEW.rev <= OLD.rev\n"
    "      THEN RAISE(ABORT, 'flagver: each change of a series raises its rev')\n"
    "    WHEN NEW.changed_at < OLD.changed_at\n"
    "      THEN RAISE(ABORT, 'flagver: the time of a series never falls')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_series_stays BEFORE DELETE ON flagver_series\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a series is never deleted');\n"
    "END",

    /* ---- payloads ---- */

    PAYLOAD_BORN_1,

    PAYLOAD_FROZEN_1,

    PAYLOAD_STAYS_1,

    /* ---- versions ---- */

    VERSION_BORN_1,

    "CREATE TRIGGER flagver_version_frozen BEFORE UPDATE OF series, no, id, parent_no,\n"
    "  reverts_no, created_at, created_by ON flagver_version\n"
    "WHEN (NEW.series, NEW.no, NEW.id, NEW.parent_no, NEW.reverts_no, NEW.created_at,\n"
    "    NEW.created_by)\n"
    "  IS NOT (OLD.series, OLD.no, OLD.id, OLD.parent_no, OLD.reverts_no, OLD.created_at,\n"
    "    OLD.created_by)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: what a version was born with never changes');\n"
    "END",

    "CREATE TRIGGER flagver_version_content BEFORE UPDATE OF payload, content_hash, base_no\n"
    "ON flagver_version\n"
    "WHEN (OLD.state <> 1 OR NEW.state <> 1)\n"
    "  AND (NEW.payload, NEW.content_hash, NEW.base_no)\n"
    "    IS NOT (OLD.payload, OLD.content_hash, OLD.base_no)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the content changes in drafts only');\n"
    "END",

    VERSION_CHANGES_1,

    "CREATE TRIGGER flagver_version_stays BEFORE DELETE ON flagver_version\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a version is never deleted');\n"
    "END",

    /* ---- the log: its size is what its leaves say, and only they make it grow ---- */

    "CREATE TRIGGER flagver_leaf_first AFTER INSERT ON flagver_leaf WHEN NEW.no = 0\n"
    "BEGIN\n"
    "  INSERT INTO flagver_log (tenant, size) VALUES (NEW.tenant, 1);\n"
    "END",

    "CREATE TRIGGER flagver_leaf_next AFTER INSERT ON flagver_leaf WHEN NEW.no > 0\n"
    "BEGIN\n"
    "  UPDATE flagver_log SET size = size + 1 WHERE tenant = NEW.tenant;\n"
    "  SELECT RAISE(ABORT, 'flagver: leaves are appended to the log one by one, from 0')\n"
    "    WHERE NOT EXISTS (SELECT 1 FROM flagver_log WHERE tenant = NEW.tenant\n"
    "      AND size = NEW.no + 1);\n"
    "END",

    "CREATE TRIGGER flagver_leaf_frozen BEFORE UPDATE ON flagver_leaf\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a leaf of the log never changes');\n"
    "END",

    "CREATE TRIGGER flagver_leaf_stays BEFORE DELETE ON flagver_leaf\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a leaf of the log is never deleted');\n"
    "END",

    "CREATE TRIGGER flagver_log_born BEFORE INSERT ON flagver_log\n"
    "WHEN NEW.size <> 1 OR EXISTS (SELECT 1 FROM flagver_log WHERE tenant = NEW.tenant)\n"
    "  OR NOT EXISTS (SELECT 1 FROM flagver_leaf WHERE tenant = NEW.tenant AND no = 0)\n"
    "  OR EXISTS (SELECT 1 FROM flagver_leaf WHERE tenant = NEW.tenant AND no = 1)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: leaves are appended to the log one by one, from 0');\n"
    "END",

    LOG_GROWS_1,

    "CREATE TRIGGER flagver_log_stays BEFORE DELETE ON flagver_log\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the log is never deleted');\n"
    "END",
    NULL,
};

/*
 * All that any version has: who wants it gone gets there in one step, also from what is damaged.
 * Tables take their indexes and triggers along.
 */
static const char *const down_1[] = {
    "DROP TABLE IF EXISTS main.flagver_item",        "DROP TABLE IF EXISTS main.flagver_vote",
    "DROP TABLE IF EXISTS main.flagver_contributor", "DROP TABLE IF EXISTS main.flagver_node",
    "DROP TABLE IF EXISTS main.flagver_keyed",       "DROP TABLE IF EXISTS main.flagver_leaf",
    "DROP TABLE IF EXISTS main.flagver_log",         "DROP TABLE IF EXISTS main.flagver_version",
    "DROP TABLE IF EXISTS main.flagver_payload",     "DROP TABLE IF EXISTS main.flagver_series",
    "DROP TABLE IF EXISTS main.flagver_meta",        NULL,
};

/* ---- version 2 ---- */

/*
 * Version 2: items, votes, contributors, what is kept of the tree over the log, and payloads
 * that are shredded. What version 1 has is added to; triggers whose words change are made anew.
 *
 * A library for version 1 must not use it. It knows no policies, so it would put into force
 * what somebody else has to approve, and it would serve what is encrypted as it is; and
 * where it appends to a log the nodes of the tree would be missing.
 *
 * What belongs to a version refers to it, which costs nothing where versions are changed.
 */
static const char *const up_2[] = {
    "CREATE INDEX flagver_version_open ON flagver_version (state, series, no) WHERE state <= 2",

    "CREATE TABLE flagver_item (\n"
    "  series BLOB NOT NULL,\n"
    "  no INTEGER NOT NULL,\n"
    "  key TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 512),\n"
    "  status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 2),\n"
    "  origin_no INTEGER CHECK (origin_no BETWEEN 1 AND no),\n"
    "  decided_at INTEGER,\n"
    "  decided_by TEXT,\n"
    "  note TEXT,\n"
    "  payload BLOB NOT NULL REFERENCES flagver_payload (id),\n"
    "  hash BLOB NOT NULL CHECK (length(hash) = 32),\n"
    "  PRIMARY KEY (series, no, key),\n"
    "  FOREIGN KEY (series, no) REFERENCES flagver_version (series, no),\n"
    "  CHECK ((status = 0) = (decided_at IS NULL)),\n"
    "  CHECK ((status = 0) = (decided_by IS NULL))\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE flagver_vote (\n"
    "  series BLOB NOT NULL,\n"
    "  no INTEGER NOT NULL,\n"
    "  actor TEXT NOT NULL,\n"
    "  content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),\n"
    "  time INTEGER NOT NULL,\n"
    "  note TEXT,\n"
    "  PRIMARY KEY (series, no, actor, content_hash),\n"
    "  FOREIGN KEY (series, no) REFERENCES flagver_version (series, no)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE flagver_contributor (\n"
    "  series BLOB NOT NULL,\n"
    "  no INTEGER NOT NULL,\n"
    "  actor TEXT NOT NULL,\n"
    "  PRIMARY KEY (series, no, actor),\n"
    "  FOREIGN KEY (series, no) REFERENCES flagver_version (series, no)\n"
    ") STRICT, WITHOUT ROWID",

    "CREATE TABLE flagver_node (\n"
    "  tenant TEXT NOT NULL CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 128),\n"
    "  level INTEGER NOT NULL CHECK (level >= 4 AND level % 4 = 0),\n"
    "  no INTEGER NOT NULL CHECK (no >= 0),\n"
    "  hash BLOB NOT NULL CHECK (length(hash) = 32),\n"
    "  PRIMARY KEY (tenant, level, no)\n"
    ") STRICT, WITHOUT ROWID",

    "ALTER TABLE main.flagver_log ADD COLUMN frontier BLOB",

    "ALTER TABLE main.flagver_log ADD COLUMN frontier_size INTEGER\n"
    "  CHECK (frontier_size BETWEEN 1 AND size)\n"
    "  CHECK ((frontier IS NULL) = (frontier_size IS NULL))",

    "ALTER TABLE main.flagver_payload ADD COLUMN shredded INTEGER CHECK (shredded IS NULL\n"
    "    OR shredded = 1 AND length(body) = 0 AND key IS NULL AND salt IS NULL)",

    /* ---- payloads: they are shredded, and that is all ---- */

    "DROP TRIGGER main.flagver_payload_born",

    "CREATE TRIGGER flagver_payload_born BEFORE INSERT ON flagver_payload\n"
    "WHEN NEW.shredded IS NOT NULL OR EXISTS (SELECT 1 FROM flagver_payload WHERE id = NEW.id)\n"
    "  OR NEW.rowid > 0 AND EXISTS (SELECT 1 FROM flagver_payload WHERE rowid = NEW.rowid)\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.shredded IS NOT NULL\n"
    "      THEN RAISE(ABORT, 'flagver: a payload is born whole')\n"
    "    ELSE RAISE(ABORT, 'flagver: there is such a payload already')\n"
    "  END;\n"
    "END",

    "DROP TRIGGER main.flagver_payload_frozen",

    "CREATE TRIGGER flagver_payload_frozen BEFORE UPDATE ON flagver_payload\n"
    "WHEN NEW.shredded IS NULL OR OLD.shredded IS NOT NULL OR NEW.id IS NOT OLD.id\n"
    "  OR NEW.rowid IS NOT OLD.rowid\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a payload never changes, unless it is shredded');\n"
    "END",

    "DROP TRIGGER main.flagver_payload_stays",

    "CREATE TRIGGER flagver_payload_stays BEFORE DELETE ON flagver_payload\n"
    "WHEN EXISTS (SELECT 1 FROM flagver_version WHERE payload = OLD.id)\n"
    "  OR EXISTS (SELECT 1 FROM flagver_item WHERE payload = OLD.id)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: the payload of a version or an item is never deleted');\n"
    "END",

    /* ---- versions: what an emergency is, is said when they become approved ---- */

    "DROP TRIGGER main.flagver_version_born",

    "CREATE TRIGGER flagver_version_born BEFORE INSERT ON flagver_version\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.state <> 1 AND NEW.state <> 7\n"
    "      THEN RAISE(ABORT, 'flagver: a version is born as draft or as recorded')\n"
    "    WHEN NEW.bits & 2\n"
    "      THEN RAISE(ABORT, 'flagver: a version is not born by emergency')\n"
    "    WHEN NEW.no IS NOT (SELECT last_no FROM flagver_series WHERE id = NEW.series)\n"
    "      THEN RAISE(ABORT, 'flagver: a version takes the last number of its series')\n"
    "    WHEN EXISTS (SELECT 1 FROM flagver_version WHERE id = NEW.id)\n"
    "      OR EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = NEW.series AND no = NEW.no)\n"
    "      THEN RAISE(ABORT, 'flagver: there is such a version already')\n"
    "  END;\n"
    "END",

    "DROP TRIGGER main.flagver_version_changes",

    "CREATE TRIGGER flagver_version_changes BEFORE UPDATE ON flagver_version\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NOT (OLD.state = 1 AND (NEW.state <= 3 OR NEW.state = 6)\n"
    "        OR OLD.state = 2 AND (NEW.state <= 3 OR NEW.state = 5 OR NEW.state = 6)\n"
    "        OR OLD.state = 3 AND NEW.state = 4)\n"
    "      THEN RAISE(ABORT, 'flagver: a version in this state does not change so')\n"
    "    WHEN OLD.state = 3\n"
    "      AND (NEW.submitted_at, NEW.decided_at, NEW.decided_by, NEW.note, NEW.bits)\n"
    "        IS NOT (OLD.submitted_at, OLD.decided_at, OLD.decided_by, OLD.note, OLD.bits)\n"
    "      THEN RAISE(ABORT, 'flagver: what was approved only becomes superseded')\n"
    "    WHEN (NEW.bits & 1) <> (OLD.bits & 1)\n"
    "      THEN RAISE(ABORT, 'flagver: a version does not become a deletion, nor cease to be "
    "one')\n"
    "    WHEN (NEW.bits & 2) <> (OLD.bits & 2) AND NEW.state <> 3\n"
    "      THEN RAISE(ABORT, 'flagver: only what becomes approved does so by emergency')\n"
    "    WHEN NEW.rev <= OLD.rev\n"
    "      THEN RAISE(ABORT, 'flagver: each change of a version raises its rev')\n"
    "    WHEN NEW.state = 4 AND NOT EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = NEW.series AND no = NEW.superseded_by)\n"
    "      THEN RAISE(ABORT, 'flagver: the version that supersedes is not there')\n"
    "    WHEN NEW.state = 3 AND EXISTS (SELECT 1 FROM flagver_version\n"
    "        WHERE series = NEW.series AND state = 3)\n"
    "      THEN RAISE(ABORT, 'flagver: another version of the series is approved')\n"
    "  END;\n"
    "END",

    /* ---- items ---- */

    "CREATE TRIGGER flagver_item_born BEFORE INSERT ON flagver_item\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN (SELECT state FROM flagver_version WHERE series = NEW.series AND no = NEW.no)\n"
    "      IS NOT 1\n"
    "      THEN RAISE(ABORT, 'flagver: only drafts get items')\n"
    "    WHEN EXISTS (SELECT 1 FROM flagver_item\n"
    "        WHERE series = NEW.series AND no = NEW.no AND key = NEW.key)\n"
    "      THEN RAISE(ABORT, 'flagver: there is such an item already')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_item_frozen BEFORE UPDATE OF series, no, key ON flagver_item\n"
    "WHEN (NEW.series, NEW.no, NEW.key) IS NOT (OLD.series, OLD.no, OLD.key)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: an item keeps its version and its key');\n"
    "END",

    "CREATE TRIGGER flagver_item_changes BEFORE UPDATE ON flagver_item\n"
    "BEGIN\n"
    "  SELECT CASE ifnull((SELECT state FROM flagver_version\n"
    "      WHERE series = OLD.series AND no = OLD.no), 0)\n"
    "    WHEN 1 THEN NULL\n"
    "    WHEN 2 THEN CASE WHEN (NEW.payload, NEW.hash) IS NOT (OLD.payload, OLD.hash)\n"
    "      THEN RAISE(ABORT, 'flagver: what is submitted is decided about, and stays as it is') "
    "END\n"
    "    ELSE RAISE(ABORT, 'flagver: the items of a version in this state never change')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_item_stays BEFORE DELETE ON flagver_item\n"
    "WHEN (SELECT state FROM flagver_version WHERE series = OLD.series AND no = OLD.no) IS NOT 1\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: only drafts lose items');\n"
    "END",

    /* ---- votes ---- */

    "CREATE TRIGGER flagver_vote_born BEFORE INSERT ON flagver_vote\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NOT EXISTS (SELECT 1 FROM flagver_version WHERE series = NEW.series\n"
    "        AND no = NEW.no AND (state = 2 OR (state = 3 OR state = 4) AND bits & 2))\n"
    "      THEN RAISE(ABORT, 'flagver: votes are about what is submitted, or in force by "
    "emergency')\n"
    "    WHEN EXISTS (SELECT 1 FROM flagver_vote WHERE series = NEW.series AND no = NEW.no\n"
    "        AND actor = NEW.actor AND content_hash = NEW.content_hash)\n"
    "      THEN RAISE(ABORT, 'flagver: there is such a vote already')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_vote_frozen BEFORE UPDATE ON flagver_vote\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a vote never changes');\n"
    "END",

    "CREATE TRIGGER flagver_vote_stays BEFORE DELETE ON flagver_vote\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a vote is never deleted');\n"
    "END",

    /* ---- contributors ---- */

    "CREATE TRIGGER flagver_contributor_born BEFORE INSERT ON flagver_contributor\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN (SELECT state FROM flagver_version WHERE series = NEW.series AND no = NEW.no)\n"
    "      IS NOT 1\n"
    "      THEN RAISE(ABORT, 'flagver: only drafts get contributors')\n"
    "    WHEN EXISTS (SELECT 1 FROM flagver_contributor\n"
    "        WHERE series = NEW.series AND no = NEW.no AND actor = NEW.actor)\n"
    "      THEN RAISE(ABORT, 'flagver: there is such a contributor already')\n"
    "  END;\n"
    "END",

    "CREATE TRIGGER flagver_contributor_frozen BEFORE UPDATE ON flagver_contributor\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a contributor never changes');\n"
    "END",

    "CREATE TRIGGER flagver_contributor_stays BEFORE DELETE ON flagver_contributor\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a contributor is never deleted');\n"
    "END",

    /* ---- the tree over the log; the frontier is that of the log when it had frontier_size ---- */

    "CREATE TRIGGER flagver_node_born BEFORE INSERT ON flagver_node\n"
    "WHEN EXISTS (SELECT 1 FROM flagver_node\n"
    "  WHERE tenant = NEW.tenant AND level = NEW.level AND no = NEW.no)\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: there is such a node already');\n"
    "END",

    "CREATE TRIGGER flagver_node_frozen BEFORE UPDATE ON flagver_node\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a node of the tree never changes');\n"
    "END",

    "CREATE TRIGGER flagver_node_stays BEFORE DELETE ON flagver_node\n"
    "BEGIN\n"
    "  SELECT RAISE(ABORT, 'flagver: a node of the tree is never deleted');\n"
    "END",

    "DROP TRIGGER main.flagver_log_grows",

    "CREATE TRIGGER flagver_log_grows BEFORE UPDATE ON flagver_log\n"
    "BEGIN\n"
    "  SELECT CASE\n"
    "    WHEN NEW.tenant IS NOT OLD.tenant OR NEW.size <> OLD.size AND (NEW.size <> OLD.size + 1\n"
    "        OR NOT EXISTS (SELECT 1 FROM flagver_leaf\n"
    "          WHERE tenant = OLD.tenant AND no = OLD.size))\n"
    "      THEN RAISE(ABORT, 'flagver: leaves are appended to the log one by one, from 0')\n"
    "    WHEN (NEW.frontier, NEW.frontier_size) IS NOT (OLD.frontier, OLD.frontier_size)\n"
    "      AND (NEW.size <> OLD.size OR NEW.frontier_size IS NOT NEW.size\n"
    "        OR OLD.frontier_size = OLD.size)\n"
    "      THEN RAISE(ABORT, 'flagver: the frontier is told once for each size of the log')\n"
    "  END;\n"
    "END",

    "UPDATE main.flagver_meta SET version = 2, compatible = 2",
    NULL,
};

/* What was shredded stays so. What was remembered of the tree can be made again from the log. */
static const char *const down_2[] = {
    "DROP TABLE IF EXISTS main.flagver_item",
    "DROP TABLE IF EXISTS main.flagver_vote",
    "DROP TABLE IF EXISTS main.flagver_contributor",
    "DROP TABLE IF EXISTS main.flagver_node",
    "DROP INDEX IF EXISTS main.flagver_version_open",
    "DROP TRIGGER IF EXISTS main.flagver_payload_born",
    "DROP TRIGGER IF EXISTS main.flagver_payload_frozen",
    "DROP TRIGGER IF EXISTS main.flagver_payload_stays",
    "DROP TRIGGER IF EXISTS main.flagver_version_born",
    "DROP TRIGGER IF EXISTS main.flagver_version_changes",
    "DROP TRIGGER IF EXISTS main.flagver_log_grows",
    "ALTER TABLE main.flagver_log DROP COLUMN frontier_size",
    "ALTER TABLE main.flagver_log DROP COLUMN frontier",
    "ALTER TABLE main.flagver_payload DROP COLUMN shredded",
    PAYLOAD_BORN_1,
    PAYLOAD_FROZEN_1,
    PAYLOAD_STAYS_1,
    VERSION_BORN_1,
    VERSION_CHANGES_1,
    LOG_GROWS_1,
    "UPDATE main.flagver_meta SET version = 1, compatible = 1",
    NULL,
};

const struct fv_sqlite_step fv_sqlite_steps[FLAGVER_SCHEMA_VERSION] = {
    { up_1, down_1 },
    { up_2, down_2 },
};
