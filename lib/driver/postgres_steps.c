#include "driver/postgres_internal.h"

/*
 * The schema, step by step. Stores that an older library has made went through the same
 * steps, so what stands here once never changes; what is new is another step.
 *
 * Triggers repeat the library's rules for whoever writes with plain SQL; their words reach
 * people. What can be told from the row alone is the trigger's condition, which runs without
 * calling anything; functions are for what has to look elsewhere.
 *
 * Conditions, checks, policies and views keep the operators that were meant when they were made.
 * What stands in a function is read when it runs, with the caller's search_path: so functions
 * name the schema of everything, of operators too. Setting search_path instead would take longer
 * than what they do; only those that are not part of a change do that.
 *
 * Every key has the tenant in it, so that not even an error tells of a row of another one.
 * Row-level security compares it with the setting flagver.tenant. NULLIF: when a transaction that
 * has set it is over, the setting is there and empty.
 *
 * While a table is small, or was when it was looked at last, PostgreSQL expects one row of any
 * index that begins with what is asked for, takes the one that was made last, and stays with
 * that: looking for a series by its id it would read the names of all of the tenant's, and
 * recording ten thousand at once would take minutes. So of a table's indexes over all rows not
 * two begin with the tenant, unless the one that is wanted where both would do is made last.
 *
 * There are few references. A series that has a last number has that version, by the time of
 * the commit, and numbers have no gaps and versions stay: so the other numbers in a series and
 * its versions refer to something that exists. What belongs to a version looks whether that is a
 * draft, or submitted, which a reference would ask once more; it locks the version, or
 * somebody else could approve what is just being changed.
 *
 * A step that adds a table or a function adds it to rights(), too, and ends with admit() for
 * every role that has been admitted. One that adds a reference to rows that are there lifts FORCE
 * for that time: without a tenant the owner finds nothing that they could refer to.
 */

/* ---- version 2, the first that there was on PostgreSQL ---- */

#define EQUALS " OPERATOR(pg_catalog.=) "
#define TENANT "NULLIF(current_setting('flagver.tenant', true), '')"

#define TENANT_COLUMN \
    "  tenant text COLLATE \"C\" NOT NULL CHECK (octet_length(tenant) BETWEEN 1 AND 128),\n"

/* A change of a row for which this holds is refused with these words. */
#define REFUSE(table, name, event, when, words)                       \
    "CREATE TRIGGER " name " BEFORE " event " ON flagver." table "\n" \
    "FOR EACH ROW WHEN (" when ")\nEXECUTE FUNCTION flagver.refuse('flagver: " words "')"

#define NEVER(table, name, event, words)                              \
    "CREATE TRIGGER " name " BEFORE " event " ON flagver." table "\n" \
    "FOR EACH ROW EXECUTE FUNCTION flagver.refuse('flagver: " words "')"

#define CALL(table, name, event, function, words)                     \
    "CREATE TRIGGER " name " BEFORE " event " ON flagver." table "\n" \
    "FOR EACH ROW EXECUTE FUNCTION flagver." function "('flagver: " words "')"

#define CALL_WHEN(table, name, event, when, function, words)          \
    "CREATE TRIGGER " name " BEFORE " event " ON flagver." table "\n" \
    "FOR EACH ROW WHEN (" when ")\nEXECUTE FUNCTION flagver." function "('flagver: " words "')"

#define NOT_TRUNCATED(table)                                     \
    "CREATE TRIGGER kept BEFORE TRUNCATE ON flagver." table "\n" \
    "FOR EACH STATEMENT EXECUTE FUNCTION flagver.refuse('flagver: " table " is never truncated')"

#define KEEP_APART(table)                                                                \
    "ALTER TABLE flagver." table " ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", \
        "CREATE POLICY tenant ON flagver." table " USING (tenant = " TENANT ")"

/* The owner may see whose names there are, while no tenant is set. */
#define SHOW_OWNER(table)                                                     \
    "CREATE POLICY tenants ON flagver." table " FOR SELECT TO CURRENT_USER\n" \
    "USING (" TENANT " IS NULL)"

#define RAISE_ARGUMENT "  RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = '23001';\n"

#define SAME_VERSION(row) \
    "v.tenant" EQUALS row ".tenant AND v.series" EQUALS row ".series AND v.no" EQUALS row ".no"

/* Exactly: a product with a double has 53 bits, and hours have enough zeros at their end. */
#define TIME(column)                                                      \
    "timestamptz 'epoch' + " column " / 3600000000 * interval '1 hour'\n" \
    "    + " column " % 3600000000 * interval '1 microsecond'"

#define STATE(number)                                                                   \
    "(ARRAY['draft', 'submitted', 'approved', 'superseded', 'rejected', 'withdrawn',\n" \
    "    'recorded'])[" number "::integer]"

#define CONTENT "CASE WHEN p.key IS NULL AND p.shredded IS NULL THEN flagver.json_of(p.body) END"

static const char *const up_2[] = {
    "CREATE TABLE flagver.meta (\n"
    "  one bigint PRIMARY KEY CHECK (one = 1),\n"
    "  store uuid NOT NULL,\n"
    "  version bigint NOT NULL,\n"
    "  compatible bigint NOT NULL CHECK (compatible BETWEEN 1 AND version)\n"
    ")",

    "CREATE TABLE flagver.series (\n" TENANT_COLUMN "  id uuid NOT NULL,\n"
    "  phase text COLLATE \"C\" NOT NULL CHECK (octet_length(phase) BETWEEN 1 AND 128),\n"
    "  subject text COLLATE \"C\" NOT NULL CHECK (octet_length(subject) BETWEEN 1 AND 512),\n"
    "  last_no bigint CHECK (last_no >= 1),\n"
    "  current_no bigint,\n"
    "  rev bigint NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  changed_at bigint NOT NULL CHECK (changed_at <= 4611686018427387904),\n"
    "  UNIQUE (tenant, phase, subject),\n"
    "  CONSTRAINT series_current CHECK (current_no BETWEEN 1 AND COALESCE(last_no, 0))\n"
    ")",

    "ALTER TABLE flagver.series ADD PRIMARY KEY (id, tenant)",

    "CREATE TABLE flagver.payload (\n" TENANT_COLUMN "  id uuid NOT NULL,\n"
    "  key bigint CHECK (key >= 1),\n"
    "  salt bytea,\n"
    "  body bytea NOT NULL,\n"
    "  shredded boolean,\n"
    "  PRIMARY KEY (tenant, id),\n"
    "  CONSTRAINT payload_shredded CHECK (shredded IS NULL\n"
    "    OR shredded AND octet_length(body) = 0 AND key IS NULL AND salt IS NULL)\n"
    ")",

    "CREATE TABLE flagver.version (\n" TENANT_COLUMN "  series uuid NOT NULL,\n"
    "  no bigint NOT NULL CHECK (no BETWEEN 1 AND 4294967295),\n"
    "  id uuid NOT NULL,\n"
    "  state bigint NOT NULL CHECK (state BETWEEN 1 AND 7),\n"
    "  bits bigint NOT NULL CHECK (bits BETWEEN 0 AND 4294967295),\n"
    "  rev bigint NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  parent_no bigint,\n"
    "  base_no bigint,\n"
    "  reverts_no bigint,\n"
    "  superseded_by bigint,\n"
    "  created_at bigint NOT NULL,\n"
    "  created_by text COLLATE \"C\" NOT NULL,\n"
    "  submitted_at bigint,\n"
    "  decided_at bigint,\n"
    "  decided_by text COLLATE \"C\",\n"
    "  superseded_at bigint,\n"
    "  note text COLLATE \"C\",\n"
    "  payload uuid NOT NULL,\n"
    "  content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),\n"
    "  PRIMARY KEY (tenant, series, no),\n"
    "  UNIQUE (id, tenant),\n"
    "  CONSTRAINT version_payload FOREIGN KEY (tenant, payload) REFERENCES flagver.payload,\n"
    "  CONSTRAINT version_parent CHECK (parent_no BETWEEN 1 AND no - 1),\n"
    "  CONSTRAINT version_base CHECK (base_no BETWEEN 1 AND no - 1),\n"
    "  CONSTRAINT version_reverts CHECK (reverts_no BETWEEN 1 AND no - 1),\n"
    "  CONSTRAINT version_successor CHECK (superseded_by > no),\n"
    "  CONSTRAINT version_superseded_by CHECK ((state = 4) = (superseded_by IS NOT NULL)),\n"
    "  CONSTRAINT version_superseded_at CHECK ((state = 4) = (superseded_at IS NOT NULL)),\n"
    "  CONSTRAINT version_superseded_later CHECK (superseded_at > decided_at),\n"
    "  CONSTRAINT version_decided_by CHECK ((decided_at IS NULL) = (decided_by IS NULL)),\n"
    "  CONSTRAINT version_decided_at CHECK (state NOT BETWEEN 3 AND 5 OR decided_at IS NOT NULL)\n"
    ")",

    "ALTER TABLE flagver.series ADD CONSTRAINT series_last FOREIGN KEY (tenant, id, last_no)\n"
    "  REFERENCES flagver.version DEFERRABLE INITIALLY DEFERRED",

    "CREATE UNIQUE INDEX version_approved ON flagver.version (tenant, series) WHERE state = 3",

    "CREATE UNIQUE INDEX version_chain ON flagver.version (tenant, series, superseded_by)\n"
    "  WHERE superseded_by IS NOT NULL",

    "CREATE INDEX version_decided ON flagver.version (tenant, series, decided_at)\n"
    "  WHERE decided_at IS NOT NULL",

    "CREATE INDEX version_open ON flagver.version (tenant, state, series, no) WHERE state <= 2",

    "CREATE TABLE flagver.item (\n" TENANT_COLUMN "  series uuid NOT NULL,\n"
    "  no bigint NOT NULL,\n"
    "  key text COLLATE \"C\" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 512),\n"
    "  status bigint NOT NULL CHECK (status BETWEEN 0 AND 2),\n"
    "  origin_no bigint,\n"
    "  decided_at bigint,\n"
    "  decided_by text COLLATE \"C\",\n"
    "  note text COLLATE \"C\",\n"
    "  payload uuid NOT NULL,\n"
    "  hash bytea NOT NULL CHECK (octet_length(hash) = 32),\n"
    "  PRIMARY KEY (tenant, series, no, key),\n"
    "  CONSTRAINT item_payload FOREIGN KEY (tenant, payload) REFERENCES flagver.payload,\n"
    "  CONSTRAINT item_origin CHECK (origin_no BETWEEN 1 AND no),\n"
    "  CONSTRAINT item_decided_at CHECK ((status = 0) = (decided_at IS NULL)),\n"
    "  CONSTRAINT item_decided_by CHECK ((status = 0) = (decided_by IS NULL))\n"
    ")",

    "CREATE TABLE flagver.vote (\n" TENANT_COLUMN "  series uuid NOT NULL,\n"
    "  no bigint NOT NULL,\n"
    "  actor text COLLATE \"C\" NOT NULL,\n"
    "  content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),\n"
    "  time bigint NOT NULL,\n"
    "  note text COLLATE \"C\",\n"
    "  PRIMARY KEY (tenant, series, no, actor, content_hash)\n"
    ")",

    "CREATE TABLE flagver.contributor (\n" TENANT_COLUMN "  series uuid NOT NULL,\n"
    "  no bigint NOT NULL,\n"
    "  actor text COLLATE \"C\" NOT NULL,\n"
    "  PRIMARY KEY (tenant, series, no, actor)\n"
    ")",

    "CREATE TABLE flagver.log (\n" TENANT_COLUMN "  size bigint NOT NULL CHECK (size >= 1),\n"
    "  frontier bytea,\n"
    "  frontier_size bigint,\n"
    "  PRIMARY KEY (tenant),\n"
    "  CONSTRAINT log_frontier CHECK ((frontier IS NULL) = (frontier_size IS NULL)),\n"
    "  CONSTRAINT log_frontier_size CHECK (frontier_size BETWEEN 1 AND size)\n"
    ")",

    "CREATE TABLE flagver.leaf (\n" TENANT_COLUMN "  no bigint NOT NULL CHECK (no >= 0),\n"
    "  leaf bytea NOT NULL,\n"
    "  hash bytea NOT NULL CHECK (octet_length(hash) = 32),\n"
    "  PRIMARY KEY (tenant, no)\n"
    ")",

    "CREATE TABLE flagver.node (\n" TENANT_COLUMN
    "  level bigint NOT NULL CHECK (level >= 4 AND level % 4 = 0),\n"
    "  no bigint NOT NULL CHECK (no >= 0),\n"
    "  hash bytea NOT NULL CHECK (octet_length(hash) = 32),\n"
    "  PRIMARY KEY (tenant, level, no)\n"
    ")",

    "CREATE TABLE flagver.keyed (\n" TENANT_COLUMN
    "  space text COLLATE \"C\" NOT NULL CHECK (octet_length(space) BETWEEN 1 AND 64),\n"
    "  key text COLLATE \"C\" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 512),\n"
    "  rev bigint NOT NULL CHECK (rev BETWEEN 1 AND 4611686018427387904),\n"
    "  time bigint NOT NULL,\n"
    "  value bytea NOT NULL\n"
    ")",

    "CREATE INDEX keyed_time ON flagver.keyed (tenant, space, time)",

    "ALTER TABLE flagver.keyed ADD PRIMARY KEY (tenant, space, key)",

    /* ---- who sees what ---- */

    KEEP_APART("series"),
    KEEP_APART("payload"),
    KEEP_APART("version"),
    KEEP_APART("item"),
    KEEP_APART("vote"),
    KEEP_APART("contributor"),
    KEEP_APART("log"),
    KEEP_APART("leaf"),
    KEEP_APART("node"),
    KEEP_APART("keyed"),

    SHOW_OWNER("series"),
    SHOW_OWNER("log"),

    /* clang-format off */

    /* ---- functions of triggers; the first argument is what they say ---- */

    "CREATE FUNCTION flagver.refuse() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    RAISE_ARGUMENT
    "END $$",

    "CREATE FUNCTION flagver.last_of_series() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  IF EXISTS (SELECT 1 FROM flagver.series AS s WHERE s.tenant" EQUALS "NEW.tenant\n"
    "      AND s.id" EQUALS "NEW.series AND s.last_no" EQUALS "NEW.no) THEN\n"
    "    RETURN NEW;\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    "CREATE FUNCTION flagver.last_is_used() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  IF EXISTS (SELECT 1 FROM flagver.version AS v WHERE v.tenant" EQUALS "OLD.tenant\n"
    "      AND v.series" EQUALS "OLD.id AND v.no" EQUALS "OLD.last_no) THEN\n"
    "    RETURN NEW;\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    "CREATE FUNCTION flagver.successor_exists() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  IF EXISTS (SELECT 1 FROM flagver.version AS v WHERE v.tenant" EQUALS "NEW.tenant\n"
    "      AND v.series" EQUALS "NEW.series AND v.no" EQUALS "NEW.superseded_by) THEN\n"
    "    RETURN NEW;\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    "CREATE FUNCTION flagver.new_in_draft() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  PERFORM 1 FROM flagver.version AS v\n"
    "    WHERE " SAME_VERSION("NEW") " AND v.state" EQUALS "1 FOR SHARE;\n"
    "  IF FOUND THEN\n"
    "    RETURN NEW;\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    "CREATE FUNCTION flagver.old_in_draft() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  PERFORM 1 FROM flagver.version AS v\n"
    "    WHERE " SAME_VERSION("OLD") " AND v.state" EQUALS "1 FOR SHARE;\n"
    "  IF FOUND THEN\n"
    "    RETURN OLD;\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    "CREATE FUNCTION flagver.item_is_open() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "DECLARE\n"
    "  found_state bigint;\n"
    "BEGIN\n"
    "  SELECT v.state INTO found_state FROM flagver.version AS v\n"
    "    WHERE " SAME_VERSION("OLD") " FOR SHARE;\n"
    "  IF found_state" EQUALS "1 OR found_state" EQUALS "2\n"
    "      AND NEW.payload" EQUALS "OLD.payload AND NEW.hash" EQUALS "OLD.hash THEN\n"
    "    RETURN NEW;\n"
    "  ELSIF found_state" EQUALS "2 THEN\n"
    "    RAISE EXCEPTION 'flagver: what is submitted is decided about, and stays as it is'\n"
    "      USING ERRCODE = '23001';\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    "CREATE FUNCTION flagver.is_voted_on() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  PERFORM 1 FROM flagver.version AS v\n"
    "    WHERE " SAME_VERSION("NEW") "\n"
    "    AND (v.state" EQUALS "2 OR (v.state" EQUALS "3 OR v.state" EQUALS "4)\n"
    "      AND (v.bits OPERATOR(pg_catalog.&) 2)" EQUALS "2) FOR SHARE;\n"
    "  IF FOUND THEN\n"
    "    RETURN NEW;\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    /* Once for a statement: leaves come by the thousand. */
    "CREATE FUNCTION flagver.log_grows() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "DECLARE\n"
    "  part record;\n"
    "BEGIN\n"
    "  FOR part IN SELECT f.tenant, pg_catalog.min(f.no) AS first, pg_catalog.max(f.no) AS last,\n"
    "      pg_catalog.count(*) AS many FROM fresh AS f GROUP BY f.tenant LOOP\n"
    "    IF part.last OPERATOR(pg_catalog.-) part.first OPERATOR(pg_catalog.+) 1\n"
    "        OPERATOR(pg_catalog.<>) part.many THEN\n"
    RAISE_ARGUMENT
    "    ELSIF part.first" EQUALS "0 THEN\n"
    "      INSERT INTO flagver.log (tenant, size) VALUES (part.tenant, part.many);\n"
    "    ELSE\n"
    "      UPDATE flagver.log AS l SET size = part.last OPERATOR(pg_catalog.+) 1\n"
    "        WHERE l.tenant" EQUALS "part.tenant AND l.size" EQUALS "part.first;\n"
    "      IF NOT FOUND THEN\n"
    RAISE_ARGUMENT
    "      END IF;\n"
    "    END IF;\n"
    "  END LOOP;\n"
    "  RETURN NULL;\n"
    "END $$",

    "CREATE FUNCTION flagver.size_is_right() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  IF EXISTS (SELECT 1 FROM flagver.leaf AS f WHERE f.tenant" EQUALS "NEW.tenant\n"
    "        AND f.no" EQUALS "(NEW.size OPERATOR(pg_catalog.-) 1))\n"
    "      AND NOT EXISTS (SELECT 1 FROM flagver.leaf AS f\n"
    "        WHERE f.tenant" EQUALS "NEW.tenant AND f.no" EQUALS "NEW.size) THEN\n"
    "    RETURN NEW;\n"
    "  END IF;\n"
    RAISE_ARGUMENT
    "END $$",

    /* ---- meta ---- */

    REFUSE("meta", "frozen", "UPDATE", "(NEW.one, NEW.store) IS DISTINCT FROM (OLD.one, OLD.store)",
           "the identity of the store never changes"),

    NEVER("meta", "stays", "DELETE", "the identity of the store is never deleted"),

    NOT_TRUNCATED("meta"),

    /* ---- series ---- */

    REFUSE("series", "born", "INSERT", "NEW.last_no > 1", "the numbers of a series begin with 1"),

    REFUSE("series", "frozen", "UPDATE",
           "(NEW.id, NEW.tenant, NEW.phase, NEW.subject)\n"
           "  IS DISTINCT FROM (OLD.id, OLD.tenant, OLD.phase, OLD.subject)",
           "a series keeps its id and its name"),

    REFUSE("series", "numbers", "UPDATE",
           "NEW.last_no IS DISTINCT FROM OLD.last_no\n"
           "  AND NEW.last_no IS DISTINCT FROM COALESCE(OLD.last_no, 0) + 1",
           "the numbers of a series rise by one"),

    CALL_WHEN("series", "numbers_used", "UPDATE", "NEW.last_no > OLD.last_no", "last_is_used",
              "the last number of the series is not used yet"),

    REFUSE("series", "current_rises", "UPDATE", "COALESCE(NEW.current_no, 0) < OLD.current_no",
           "what was in force once does not come back"),

    REFUSE("series", "rev_rises", "UPDATE", "NEW.rev <= OLD.rev",
           "each change of a series raises its rev"),

    REFUSE("series", "time_rises", "UPDATE", "NEW.changed_at < OLD.changed_at",
           "the time of a series never falls"),

    NEVER("series", "stays", "DELETE", "a series is never deleted"),

    NOT_TRUNCATED("series"),

    /* ---- payloads: they are shredded, and that is all; references keep them ---- */

    REFUSE("payload", "born", "INSERT", "NEW.shredded IS NOT NULL", "a payload is born whole"),

    REFUSE("payload", "frozen", "UPDATE",
           "NEW.shredded IS NULL OR OLD.shredded IS NOT NULL\n"
           "  OR (NEW.tenant, NEW.id) IS DISTINCT FROM (OLD.tenant, OLD.id)",
           "a payload never changes, unless it is shredded"),

    NOT_TRUNCATED("payload"),

    /* ---- versions ---- */

    REFUSE("version", "born", "INSERT", "NEW.state <> 1 AND NEW.state <> 7",
           "a version is born as draft or as recorded"),

    REFUSE("version", "born_calmly", "INSERT", "NEW.bits & 2 = 2",
           "a version is not born by emergency"),

    CALL("version", "born_last", "INSERT", "last_of_series",
         "a version takes the last number of its series"),

    REFUSE("version", "frozen", "UPDATE",
           "(NEW.tenant, NEW.series, NEW.no, NEW.id, NEW.parent_no, NEW.reverts_no,\n"
           "    NEW.created_at, NEW.created_by)\n"
           "  IS DISTINCT FROM (OLD.tenant, OLD.series, OLD.no, OLD.id, OLD.parent_no,\n"
           "    OLD.reverts_no, OLD.created_at, OLD.created_by)",
           "what a version was born with never changes"),

    REFUSE("version", "content", "UPDATE",
           "(OLD.state <> 1 OR NEW.state <> 1)\n"
           "  AND (NEW.payload, NEW.content_hash, NEW.base_no)\n"
           "    IS DISTINCT FROM (OLD.payload, OLD.content_hash, OLD.base_no)",
           "the content changes in drafts only"),

    REFUSE("version", "changes", "UPDATE",
           "NOT (OLD.state = 1 AND (NEW.state <= 3 OR NEW.state = 6)\n"
           "    OR OLD.state = 2 AND (NEW.state <= 3 OR NEW.state = 5 OR NEW.state = 6)\n"
           "    OR OLD.state = 3 AND NEW.state = 4)",
           "a version in this state does not change so"),

    REFUSE("version", "changes_approved", "UPDATE",
           "OLD.state = 3\n"
           "  AND (NEW.submitted_at, NEW.decided_at, NEW.decided_by, NEW.note, NEW.bits)\n"
           "    IS DISTINCT FROM (OLD.submitted_at, OLD.decided_at, OLD.decided_by, OLD.note,\n"
           "      OLD.bits)",
           "what was approved only becomes superseded"),

    REFUSE("version", "changes_deletion", "UPDATE", "NEW.bits & 1 <> OLD.bits & 1",
           "a version does not become a deletion, nor cease to be one"),

    REFUSE("version", "changes_emergency", "UPDATE",
           "NEW.bits & 2 <> OLD.bits & 2 AND NEW.state <> 3",
           "only what becomes approved does so by emergency"),

    REFUSE("version", "rev_rises", "UPDATE", "NEW.rev <= OLD.rev",
           "each change of a version raises its rev"),

    CALL_WHEN("version", "successor", "UPDATE", "NEW.state = 4", "successor_exists",
              "the version that supersedes is not there"),

    NEVER("version", "stays", "DELETE", "a version is never deleted"),

    NOT_TRUNCATED("version"),

    /* ---- items ---- */

    CALL("item", "born", "INSERT", "new_in_draft", "only drafts get items"),

    CALL("item", "changes", "UPDATE", "item_is_open",
         "the items of a version in this state never change"),

    REFUSE("item", "frozen", "UPDATE",
           "(NEW.tenant, NEW.series, NEW.no, NEW.key)\n"
           "  IS DISTINCT FROM (OLD.tenant, OLD.series, OLD.no, OLD.key)",
           "an item keeps its version and its key"),

    CALL("item", "stays", "DELETE", "old_in_draft", "only drafts lose items"),

    NOT_TRUNCATED("item"),

    /* ---- votes and contributors ---- */

    CALL("vote", "born", "INSERT", "is_voted_on",
         "votes are about what is submitted, or in force by emergency"),

    NEVER("vote", "frozen", "UPDATE", "a vote never changes"),

    NEVER("vote", "stays", "DELETE", "a vote is never deleted"),

    NOT_TRUNCATED("vote"),

    CALL("contributor", "born", "INSERT", "new_in_draft", "only drafts get contributors"),

    NEVER("contributor", "frozen", "UPDATE", "a contributor never changes"),

    NEVER("contributor", "stays", "DELETE", "a contributor is never deleted"),

    NOT_TRUNCATED("contributor"),

    /* ---- the log: its size is what its leaves say, and only they make it grow ---- */

    "CREATE TRIGGER appended AFTER INSERT ON flagver.leaf REFERENCING NEW TABLE AS fresh\n"
    "FOR EACH STATEMENT EXECUTE FUNCTION flagver.log_grows(\n"
    "  'flagver: leaves are appended to the log one by one, from 0')",

    NEVER("leaf", "frozen", "UPDATE", "a leaf of the log never changes"),

    NEVER("leaf", "stays", "DELETE", "a leaf of the log is never deleted"),

    NOT_TRUNCATED("leaf"),

    CALL("log", "born", "INSERT", "size_is_right",
         "leaves are appended to the log one by one, from 0"),

    CALL_WHEN("log", "grows", "UPDATE",
              "(NEW.tenant, NEW.size) IS DISTINCT FROM (OLD.tenant, OLD.size)", "size_is_right",
              "leaves are appended to the log one by one, from 0"),

    REFUSE("log", "frozen", "UPDATE", "NEW.tenant <> OLD.tenant OR NEW.size < OLD.size",
           "leaves are appended to the log one by one, from 0"),

    /* The frontier is that of the log when it had frontier_size. */
    REFUSE("log", "told_once", "UPDATE",
           "(NEW.frontier, NEW.frontier_size) IS DISTINCT FROM (OLD.frontier, OLD.frontier_size)\n"
           "  AND (NEW.size <> OLD.size OR NEW.frontier_size IS DISTINCT FROM NEW.size\n"
           "    OR OLD.frontier_size IS NOT DISTINCT FROM OLD.size)",
           "the frontier is told once for each size of the log"),

    NEVER("log", "stays", "DELETE", "the log is never deleted"),

    NOT_TRUNCATED("log"),

    NEVER("node", "frozen", "UPDATE", "a node of the tree never changes"),

    NEVER("node", "stays", "DELETE", "a node of the tree is never deleted"),

    NOT_TRUNCATED("node"),

    NOT_TRUNCATED("keyed"),

    /* ---- polling: the tenant and the answer in one statement ---- */

    "CREATE FUNCTION flagver.log_size(name text) RETURNS bigint LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "  PERFORM pg_catalog.set_config('flagver.tenant', name, true);\n"
    "  RETURN COALESCE((SELECT l.size FROM flagver.log AS l WHERE l.tenant" EQUALS "name), 0);\n"
    "END $$",

    /* ---- for people: the tenant's rows, with contents as JSON ---- */

    /* Null where it is no JSON, or none that jsonb takes: it has no place for a NUL. */
    "CREATE FUNCTION flagver.json_of(body bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT\n"
    "SET search_path = pg_catalog AS $$\n"
    "BEGIN\n"
    "  RETURN convert_from(body, 'UTF8')::jsonb;\n"
    "EXCEPTION WHEN data_exception OR program_limit_exceeded THEN\n"
    "  RETURN NULL;\n"
    "END $$",

    /*
     * The beginning of a leaf of form 1: two forms, tenant, number (8), time (8), actor,
     * action (1), phase, subject, version (4), states (1, 1). All null when it is none.
     */
    "CREATE FUNCTION flagver.leaf_read(leaf bytea, OUT moment bigint, OUT actor text,\n"
    "  OUT action integer, OUT phase text, OUT subject text, OUT version bigint,\n"
    "  OUT was integer, OUT became integer)\n"
    "LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog AS $$\n"
    "DECLARE\n"
    "  at integer := 2;\n"
    "  size integer;\n"
    "BEGIN\n"
    "  IF substring(leaf FROM 1 FOR 2) <> '\\x0101' THEN\n"
    "    RETURN;\n"
    "  END IF;\n"
    "  at := at + 2 + get_byte(leaf, at) * 256 + get_byte(leaf, at + 1) + 8;\n"
    "  moment := ('x' || encode(substring(leaf FROM at + 1 FOR 8), 'hex'))::bit(64)::bigint;\n"
    "  at := at + 8;\n"
    "  size := get_byte(leaf, at) * 256 + get_byte(leaf, at + 1);\n"
    "  actor := convert_from(substring(leaf FROM at + 3 FOR size), 'UTF8');\n"
    "  at := at + 2 + size;\n"
    "  action := get_byte(leaf, at);\n"
    "  at := at + 1;\n"
    "  size := get_byte(leaf, at) * 256 + get_byte(leaf, at + 1);\n"
    "  phase := convert_from(substring(leaf FROM at + 3 FOR size), 'UTF8');\n"
    "  at := at + 2 + size;\n"
    "  size := get_byte(leaf, at) * 256 + get_byte(leaf, at + 1);\n"
    "  subject := convert_from(substring(leaf FROM at + 3 FOR size), 'UTF8');\n"
    "  at := at + 2 + size;\n"
    "  version := ('x' || encode(substring(leaf FROM at + 1 FOR 4), 'hex'))::bit(32)::bigint;\n"
    "  was := get_byte(leaf, at + 4);\n"
    "  became := get_byte(leaf, at + 5);\n"
    "EXCEPTION WHEN data_exception THEN\n"
    "  SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL\n"
    "    INTO moment, actor, action, phase, subject, version, was, became;\n"
    "END $$",

    /*
     * The owner's rights are used for a view's tables, so each compares the tenant itself; and as
     * a barrier, or a function in somebody's condition would be shown rows before that.
     */
    "CREATE VIEW flagver.flag_current WITH (security_barrier = true) AS\n"
    "SELECT s.tenant, s.subject AS flag, v.no, " CONTENT " AS definition,\n"
    "  " TIME("v.decided_at") " AS since, v.decided_by AS by, v.note\n"
    "FROM flagver.series AS s\n"
    "JOIN flagver.version AS v ON v.tenant = s.tenant AND v.series = s.id AND v.no = s.current_no\n"
    "JOIN flagver.payload AS p ON p.tenant = v.tenant AND p.id = v.payload\n"
    "WHERE s.tenant = " TENANT " AND s.phase = 'flagver.flag' AND v.bits & 1 = 0",

    "CREATE VIEW flagver.version_current WITH (security_barrier = true) AS\n"
    "SELECT s.tenant, s.phase, s.subject, v.no, " STATE("v.state") " AS state,\n"
    "  v.bits & 1 = 1 AS deletion, v.bits & 2 = 2 AS emergency, " CONTENT " AS content,\n"
    "  " TIME("v.created_at") " AS created_at, v.created_by,\n"
    "  " TIME("v.decided_at") " AS decided_at, v.decided_by, v.note,\n"
    "  encode(v.content_hash, 'hex') AS content_hash\n"
    "FROM flagver.series AS s\n"
    "JOIN flagver.version AS v ON v.tenant = s.tenant AND v.series = s.id AND v.no = s.current_no\n"
    "JOIN flagver.payload AS p ON p.tenant = v.tenant AND p.id = v.payload\n"
    "WHERE s.tenant = " TENANT,

    "CREATE VIEW flagver.version_history WITH (security_barrier = true) AS\n"
    "SELECT s.tenant, s.phase, s.subject, v.no, v.id, " STATE("v.state") " AS state,\n"
    "  v.bits & 1 = 1 AS deletion, v.bits & 2 = 2 AS emergency, v.rev, v.parent_no, v.base_no,\n"
    "  v.reverts_no, v.superseded_by, " CONTENT " AS content,\n"
    "  " TIME("v.created_at") " AS created_at, v.created_by,\n"
    "  " TIME("v.submitted_at") " AS submitted_at,\n"
    "  " TIME("v.decided_at") " AS decided_at, v.decided_by,\n"
    "  " TIME("v.superseded_at") " AS superseded_at, v.note,\n"
    "  encode(v.content_hash, 'hex') AS content_hash\n"
    "FROM flagver.series AS s\n"
    "JOIN flagver.version AS v ON v.tenant = s.tenant AND v.series = s.id\n"
    "JOIN flagver.payload AS p ON p.tenant = v.tenant AND p.id = v.payload\n"
    "WHERE s.tenant = " TENANT,

    "CREATE VIEW flagver.audit_log WITH (security_barrier = true) AS\n"
    "SELECT f.tenant, f.no, " TIME("r.moment") " AS time, r.actor,\n"
    "  (ARRAY['create', 'edit', 'rebase', 'submit', 'return', 'decide', 'approve', 'reject',\n"
    "    'withdraw', 'record', 'review', 'shred'])[r.action] AS action,\n"
    "  r.phase, r.subject, r.version, " STATE("r.was") " AS was, " STATE("r.became") " AS became,\n"
    "  encode(f.hash, 'hex') AS hash\n"
    "FROM flagver.leaf AS f CROSS JOIN LATERAL flagver.leaf_read(f.leaf) AS r\n"
    "WHERE f.tenant = " TENANT,

    /* clang-format on */

    /* ---- the rights of an application's role, and how it gets and loses them ---- */

    "CREATE FUNCTION flagver.rights(OUT object text, OUT rights text) RETURNS SETOF record\n"
    "LANGUAGE sql IMMUTABLE AS $$\n"
    "  VALUES ('TABLE flagver.meta', 'SELECT'),\n"
    "    ('TABLE flagver.series', 'SELECT, INSERT, UPDATE'),\n"
    "    ('TABLE flagver.payload', 'SELECT, INSERT, UPDATE'),\n"
    "    ('TABLE flagver.version', 'SELECT, INSERT, UPDATE'),\n"
    "    ('TABLE flagver.item', 'SELECT, INSERT, UPDATE, DELETE'),\n"
    "    ('TABLE flagver.vote', 'SELECT, INSERT'),\n"
    "    ('TABLE flagver.contributor', 'SELECT, INSERT'),\n"
    "    ('TABLE flagver.log', 'SELECT, INSERT, UPDATE'),\n"
    "    ('TABLE flagver.leaf', 'SELECT, INSERT'),\n"
    "    ('TABLE flagver.node', 'SELECT, INSERT'),\n"
    "    ('TABLE flagver.keyed', 'SELECT, INSERT, UPDATE, DELETE'),\n"
    "    ('TABLE flagver.flag_current', 'SELECT'),\n"
    "    ('TABLE flagver.version_current', 'SELECT'),\n"
    "    ('TABLE flagver.version_history', 'SELECT'),\n"
    "    ('TABLE flagver.audit_log', 'SELECT'),\n"
    "    ('FUNCTION flagver.log_size(text)', 'EXECUTE'),\n"
    "    ('FUNCTION flagver.json_of(bytea)', 'EXECUTE'),\n"
    "    ('FUNCTION flagver.leaf_read(bytea)', 'EXECUTE'),\n"
    "    ('SCHEMA flagver', 'USAGE')\n"
    "$$",

    "CREATE FUNCTION flagver.admit(role name) RETURNS void LANGUAGE plpgsql\n"
    "SET search_path = pg_catalog AS $$\n"
    "DECLARE\n"
    "  given record;\n"
    "BEGIN\n"
    "  PERFORM 1 FROM pg_roles WHERE rolname = role;\n"
    "  IF NOT FOUND THEN\n"
    "    RAISE EXCEPTION 'flagver: there is no role %', role USING ERRCODE = '42704';\n"
    "  END IF;\n"
    "  FOR given IN SELECT r.object, r.rights FROM flagver.rights() AS r LOOP\n"
    "    EXECUTE format('GRANT %s ON %s TO %I', given.rights, given.object, role);\n"
    "  END LOOP;\n"
    "END $$",

    "CREATE FUNCTION flagver.expel(role name) RETURNS void LANGUAGE plpgsql\n"
    "SET search_path = pg_catalog AS $$\n"
    "BEGIN\n"
    "  PERFORM 1 FROM pg_roles WHERE rolname = role;\n"
    "  IF NOT FOUND THEN\n"
    "    RAISE EXCEPTION 'flagver: there is no role %', role USING ERRCODE = '42704';\n"
    "  END IF;\n"
    "  EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA flagver FROM %I', role);\n"
    "  EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA flagver FROM %I', role);\n"
    "  EXECUTE format('REVOKE ALL ON SCHEMA flagver FROM %I', role);\n"
    "END $$",

    "REVOKE ALL ON FUNCTION flagver.refuse(), flagver.last_of_series(), flagver.last_is_used(),\n"
    "  flagver.successor_exists(), flagver.new_in_draft(), flagver.old_in_draft(),\n"
    "  flagver.item_is_open(), flagver.is_voted_on(), flagver.log_grows(),\n"
    "  flagver.size_is_right(), flagver.log_size(text), flagver.json_of(bytea),\n"
    "  flagver.leaf_read(bytea), flagver.rights(), flagver.admit(name), flagver.expel(name)\n"
    "FROM PUBLIC",
    NULL,
};

/* Also from what is damaged. Tables take their indexes, triggers, policies and grants along. */
static const char *const down_2[] = {
    "DROP VIEW IF EXISTS flagver.flag_current, flagver.version_current, flagver.version_history,\n"
    "  flagver.audit_log",

    "DROP TABLE IF EXISTS flagver.item, flagver.vote, flagver.contributor, flagver.node,\n"
    "  flagver.keyed, flagver.leaf, flagver.log, flagver.series, flagver.version,\n"
    "  flagver.payload, flagver.meta",

    "DROP FUNCTION IF EXISTS flagver.refuse(), flagver.last_of_series(), flagver.last_is_used(),\n"
    "  flagver.successor_exists(), flagver.new_in_draft(), flagver.old_in_draft(),\n"
    "  flagver.item_is_open(), flagver.is_voted_on(), flagver.log_grows(),\n"
    "  flagver.size_is_right(), flagver.log_size(text), flagver.json_of(bytea),\n"
    "  flagver.leaf_read(bytea), flagver.rights(), flagver.admit(name), flagver.expel(name)",
    NULL,
};

const struct fv_pg_step fv_pg_steps[] = {
    { .version = 2, .compatible = 2, .up = up_2, .down = down_2 },
    { .version = 0 },
};
