/*
 * The PostgreSQL driver's schema: up and down, verification, rights, and what it shows people.
 */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include <sys/wait.h>

#include "cluster.h"
#include "model/leaf.h"
#include "unit/postgres_sql.h"

static char database[48];

static void set_up_from(const char *template)
{
    snprintf(database, sizeof database, "%s_%ld", template_name, (long)getpid());
    cluster_database(cluster, database, template);
    store = open_as(database, "owner");
    conn = connect_as(database, "owner");
}

static void set_up(void)
{
    set_up_from(template_name);
}

static void set_up_empty(void)
{
    set_up_from(NULL);
}

static void tear_down(void)
{
    driver->close(store);
    PQfinish(conn);
    cluster_drop(cluster, database);
}

/* From now on SQL is said by this role. */
static void become(const char *role)
{
    PQfinish(conn);
    conn = connect_as(database, role);
}

/* Without rules. */
static void assert_forced(const char *statements)
{
    become("postgres");
    assert_sql("SET session_replication_role = replica");
    assert_sql(statements);
}

/* ---- verification ---- */

#include "unit/verifying.h"

static void verify_as(const char *role)
{
    driver->close(store);
    store = open_as(database, role);
    verify();
}

START_TEST(a_sound_store_has_nothing_to_be_found)
{
    verify();
    assert_nothing_found();
    ck_assert_uint_gt(checked_count, 250);
    assert_ok(driver->schema_verify(store, NULL, NULL, NULL, &error));
    verify_as("app");
    assert_nothing_found();
    ck_assert_uint_gt(checked_count, 240);
}
END_TEST

START_TEST(verification_changes_nothing)
{
    static char before[4096];
    const char *count =
        "SELECT string_agg(relname || reltuples, ',' ORDER BY relname) || (SELECT count(*) FROM "
        "pg_class) || (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_t') FROM pg_class "
        "WHERE relnamespace = 'flagver'::regnamespace";

    snprintf(before, sizeof before, "%s", answer(count));
    verify();
    assert_nothing_found();
    ck_assert_str_eq(answer(count), before);
    become("postgres");
    ck_assert_str_eq(
        answer("SELECT count(*) FROM flagver.series WHERE tenant NOT IN ('default', 'other')"),
        "0");
}
END_TEST

/* What there is of a kind, by name and table (none: ""), and how one is dropped. */
static const struct {
    const char *kind, *names;
    const char *drop; /* NAME and TABLE stand for them */
    int least;
} kinds[] = {
    { "trigger",
      "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
      "DROP TRIGGER NAME ON TABLE", 55 },
    { "policy", "SELECT polname, polrelid::regclass FROM pg_policy ORDER BY 1, 2",
      "DROP POLICY NAME ON TABLE", 12 },
    { "constraint",
      "SELECT conname, conrelid::regclass FROM pg_constraint WHERE contype IN ('c', 'f') AND "
      "connamespace = 'flagver'::regnamespace ORDER BY 1, 2",
      "ALTER TABLE TABLE DROP CONSTRAINT NAME", 50 },
    { "constraint",
      "SELECT conname, conrelid::regclass FROM pg_constraint WHERE contype IN ('p', 'u') AND "
      "connamespace = 'flagver'::regnamespace ORDER BY 1, 2",
      "ALTER TABLE TABLE DROP CONSTRAINT NAME CASCADE", 13 },
    { "index",
      "SELECT indexrelid::regclass, indrelid::regclass FROM pg_index JOIN pg_class ON oid = "
      "indexrelid WHERE relnamespace = 'flagver'::regnamespace AND indexrelid NOT IN (SELECT "
      "conindid FROM pg_constraint) ORDER BY 1, 2",
      "DROP INDEX NAME", 5 },
    { "function",
      "SELECT oid::regprocedure, '' FROM pg_proc WHERE pronamespace = 'flagver'::regnamespace",
      "DROP FUNCTION NAME CASCADE", 16 },
    { "view",
      "SELECT oid::regclass, '' FROM pg_class WHERE relkind = 'v' AND relnamespace = "
      "'flagver'::regnamespace",
      "DROP VIEW NAME", 4 },
    { "table",
      "SELECT oid::regclass, '' FROM pg_class WHERE relkind = 'r' AND relnamespace = "
      "'flagver'::regnamespace AND relname <> 'meta'",
      "DROP TABLE NAME CASCADE", 10 },
};

/* The statement with the words NAME and the last TABLE replaced. */
static void drop(const char *form, const char *name, const char *table)
{
    char statement[512] = "", words[128], *word, *rest = words;
    const char *before = "";

    snprintf(words, sizeof words, "%s", form);
    while ((word = strtok_r(rest, " ", &rest))) {
        if (strcmp(word, "NAME") == 0)
            word = (char *)name;
        else if (strcmp(word, "TABLE") == 0 &&
                 (strcmp(before, "ON") == 0 || strcmp(before, "TABLE") == 0))
            word = (char *)table;
        strcat(strcat(statement, word), " ");
        before = word;
    }
    assert_sql(statement);
}

static const char *plain(const char *name)
{
    return strncmp(name, "flagver.", 8) == 0 ? name + 8 : name;
}

/* All of a kind are dropped: each is missed by its name. */
START_TEST(each_dropped_thing_is_missed)
{
    PGresult *things = PQexec(conn, kinds[_i].names);
    int count = PQntuples(things), i;
    char wanted[256];

    ck_assert_msg(PQresultStatus(things) == PGRES_TUPLES_OK, "%s", PQresultErrorMessage(things));
    ck_assert_int_ge(count, kinds[_i].least);
    for (i = 0; i < count; i++)
        drop(kinds[_i].drop, PQgetvalue(things, i, 0), PQgetvalue(things, i, 1));
    verify();
    for (i = 0; i < count; i++) {
        snprintf(wanted, sizeof wanted, "%s %s%s%s: missing\n", kinds[_i].kind,
                 plain(PQgetvalue(things, i, 0)), *PQgetvalue(things, i, 1) ? " of " : "",
                 plain(PQgetvalue(things, i, 1)));
        assert_in_found(wanted);
    }
    PQclear(things);
}
END_TEST

START_TEST(each_dropped_column_is_missed)
{
    PGresult *columns = PQexec(
        conn, "SELECT c.relname, a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = "
              "a.attrelid WHERE c.relnamespace = 'flagver'::regnamespace AND c.relkind = 'r' AND "
              "a.attnum > 0 AND c.relname <> 'meta'");
    int count = PQntuples(columns), i;
    char text[256];

    ck_assert_int_gt(count, 70);
    for (i = 0; i < count; i++) {
        snprintf(text, sizeof text, "ALTER TABLE flagver.%s DROP COLUMN %s CASCADE",
                 PQgetvalue(columns, i, 0), PQgetvalue(columns, i, 1));
        assert_sql(text);
    }
    verify();
    for (i = 0; i < count; i++) {
        snprintf(text, sizeof text, "column %s.%s: missing\n", PQgetvalue(columns, i, 0),
                 PQgetvalue(columns, i, 1));
        assert_in_found(text);
    }
    PQclear(columns);
}
END_TEST

/* Said by the owner; with a + in front by a superuser. */
static const struct {
    const char *statement, *words;
} altered[] = {
    /* tables and columns */
    { "ALTER TABLE flagver.keyed ALTER COLUMN value DROP NOT NULL",
      "column keyed.value: is bytea; should be bytea NOT NULL" },
    { "ALTER TABLE flagver.vote ALTER COLUMN note TYPE varchar(10)",
      "column vote.note: is character varying(10); should be text COLLATE C" },
    { "ALTER TABLE flagver.contributor ALTER COLUMN actor TYPE text COLLATE \"POSIX\"",
      "column contributor.actor: is text COLLATE POSIX NOT NULL; should be text COLLATE C" },
    { "ALTER TABLE flagver.vote ALTER COLUMN note TYPE text COLLATE \"default\"",
      "column vote.note: is text; should be text COLLATE C" },
    { "ALTER TABLE flagver.keyed ALTER COLUMN time SET DEFAULT 0",
      "column keyed.time: is bigint NOT NULL DEFAULT 0; should be bigint NOT NULL" },
    { "ALTER TABLE flagver.keyed ALTER COLUMN rev ADD GENERATED ALWAYS AS IDENTITY",
      "column keyed.rev: is bigint NOT NULL GENERATED" },
    { "ALTER TABLE flagver.keyed ALTER COLUMN time TYPE numeric", "column keyed.time: is numeric" },
    { "ALTER TABLE flagver.payload ADD COLUMN more text", "column payload.more: does not belong" },
    { "ALTER TABLE flagver.vote RENAME COLUMN note TO remark", "column vote.note: missing" },
    { "ALTER TABLE flagver.keyed SET UNLOGGED", "table keyed: is unlogged" },
    { "ALTER TABLE flagver.keyed RENAME TO key_value", "table keyed: missing" },
    { "CREATE TABLE flagver.more (x bigint)", "table more: does not belong there" },
    { "CREATE TABLE heir () INHERITS (flagver.keyed)",
      "heir public.heir of keyed: does not belong" },
    { "CREATE SEQUENCE flagver.more", "sequence more: does not belong there" },
    { "CREATE VIEW flagver.more AS SELECT 1", "view more: does not belong there" },
    { "CREATE MATERIALIZED VIEW flagver.more AS SELECT 1", "materialized view more: does not" },

    /* triggers */
    { "ALTER TABLE flagver.leaf DISABLE TRIGGER frozen", "trigger frozen of leaf: is" },
    { "ALTER TABLE flagver.leaf ENABLE REPLICA TRIGGER frozen", "trigger frozen of leaf: is" },
    { "ALTER TABLE flagver.node DISABLE TRIGGER USER", "trigger stays of node: is" },
    { "+ALTER TABLE flagver.version DISABLE TRIGGER ALL", "constraint version_payload of version: "
                                                          "is" },
    { "DROP TRIGGER rev_rises ON flagver.version; CREATE TRIGGER rev_rises BEFORE UPDATE ON "
      "flagver.version FOR EACH ROW WHEN (NEW.rev < OLD.rev) EXECUTE FUNCTION "
      "flagver.refuse('flagver: each change of a version raises its rev')",
      "trigger rev_rises of version: is different" },
    { "DROP TRIGGER stays ON flagver.node; CREATE TRIGGER stays BEFORE DELETE ON flagver.node FOR "
      "EACH ROW EXECUTE FUNCTION flagver.refuse('flagver: gone')",
      "trigger stays of node: is" },
    { "CREATE TRIGGER more BEFORE INSERT ON flagver.leaf FOR EACH ROW EXECUTE FUNCTION "
      "flagver.refuse('no')",
      "trigger more of leaf: does not belong there" },
    { "CREATE RULE more AS ON INSERT TO flagver.keyed DO INSTEAD NOTHING",
      "rule more of keyed: does not belong there" },

    /* functions */
    { "CREATE OR REPLACE FUNCTION flagver.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "RETURN NEW; END $$",
      "function refuse(): is" },
    { "ALTER FUNCTION flagver.admit(name) SECURITY DEFINER", "function admit(name): is different" },
    { "ALTER FUNCTION flagver.json_of(bytea) RESET ALL", "function json_of(bytea): is different" },
    { "ALTER FUNCTION flagver.log_size(text) IMMUTABLE", "function log_size(text): is different" },
    { "CREATE FUNCTION flagver.more() RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
      "function more(): does not belong there" },
    { "CREATE FUNCTION flagver.log_size(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1'",
      "function log_size(bigint): does not belong there" },

    /* indexes */
    { "DROP INDEX flagver.version_approved; CREATE INDEX version_approved ON flagver.version "
      "(tenant, series) WHERE state = 3",
      "index version_approved of version: is" },
    { "DROP INDEX flagver.version_approved; CREATE UNIQUE INDEX version_approved ON "
      "flagver.version (tenant, series) WHERE state = 2",
      "index version_approved of version: is" },
    { "DROP INDEX flagver.keyed_time; CREATE INDEX keyed_time ON flagver.keyed (tenant, time, "
      "space)",
      "index keyed_time of keyed: is CREATE INDEX keyed_time ON keyed USING btree (tenant, "
      "\"time\"" },
    { "CREATE INDEX more ON flagver.version (note)", "index more of version: does not belong" },
    { "+UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
      "'flagver.version_open'::regclass",
      "index version_open of version: is" },

    /* constraints */
    { "ALTER TABLE flagver.version DROP CONSTRAINT version_base, ADD CONSTRAINT version_base CHECK "
      "(base_no >= 1)",
      "constraint version_base of version: is CHECK ((base_no >= 1)); should be" },
    { "ALTER TABLE flagver.keyed DROP CONSTRAINT keyed_rev_check, ADD CONSTRAINT keyed_rev_check "
      "CHECK (rev BETWEEN 1 AND 4611686018427387904) NOT VALID",
      "NOT VALID; should be CHECK" },
    { "ALTER TABLE flagver.series ALTER CONSTRAINT series_last NOT DEFERRABLE",
      "constraint series_last of series: is" },
    { "+ALTER TABLE flagver.series DROP CONSTRAINT series_last, ADD CONSTRAINT series_last FOREIGN "
      "KEY (tenant, id, last_no) REFERENCES flagver.version ON DELETE CASCADE DEFERRABLE INITIALLY "
      "DEFERRED",
      "constraint series_last of series: is" },
    { "ALTER TABLE flagver.keyed ADD CONSTRAINT more CHECK (rev < 9)",
      "constraint more of keyed: does not belong" },
    { "ALTER TABLE flagver.keyed DROP CONSTRAINT keyed_pkey, ADD PRIMARY KEY (tenant, key, space)",
      "constraint keyed_pkey of keyed: is PRIMARY KEY (tenant, key, space)" },

    /* row-level security */
    { "ALTER TABLE flagver.series DISABLE ROW LEVEL SECURITY",
      "table series: is row-level security off, for its owner too; should be row-level security "
      "on, for its owner too" },
    { "ALTER TABLE flagver.series NO FORCE ROW LEVEL SECURITY",
      "table series: is row-level security on; should be" },
    { "ALTER POLICY tenant ON flagver.leaf USING (true)", "policy tenant of leaf: is" },
    { "ALTER POLICY tenant ON flagver.leaf USING (tenant = NULLIF(current_setting('tenant', true), "
      "''))",
      "policy tenant of leaf: is" },
    { "ALTER POLICY tenant ON flagver.leaf WITH CHECK (true)", "policy tenant of leaf: is" },
    { "ALTER POLICY tenant ON flagver.leaf TO app", "policy tenant of leaf: is" },
    { "ALTER POLICY tenants ON flagver.log TO app", "policy tenants of log: is" },
    { "CREATE POLICY more ON flagver.leaf USING (true)", "policy more of leaf: does not belong" },
    { "CREATE POLICY more ON flagver.leaf AS RESTRICTIVE USING (false)",
      "policy more of leaf: does not belong" },

    /* views */
    { "DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW flagver.audit_log WITH (security_barrier) AS ' "
      "|| replace(pg_get_viewdef('flagver.audit_log'), 'f.tenant = ', 'f.tenant >= '); END $$",
      "view audit_log: is different" },
    { "ALTER VIEW flagver.flag_current SET (security_barrier = false)",
      "view flag_current: is different" },
    { "ALTER VIEW flagver.flag_current RESET (security_barrier)",
      "view flag_current: is different" },

    /* owners */
    { "+ALTER TABLE flagver.leaf OWNER TO app", "table leaf: is row-level security on, for its "
                                                "owner too, belongs to app; should be" },
    { "+ALTER VIEW flagver.audit_log OWNER TO postgres", "view audit_log: is different" },
    { "+ALTER FUNCTION flagver.refuse() OWNER TO app", "function refuse(): is" },

    /* rights */
    { "GRANT DELETE ON flagver.leaf TO app",
      "rights of app: DELETE on TABLE flagver.leaf: too much" },
    { "GRANT TRUNCATE ON flagver.keyed TO app",
      "rights of app: TRUNCATE on TABLE flagver.keyed: too much" },
    { "REVOKE SELECT ON flagver.meta FROM app",
      "rights of app: SELECT on TABLE flagver.meta: missing; flagver.admit()" },
    { "REVOKE INSERT ON flagver.vote FROM app",
      "rights of app: INSERT on TABLE flagver.vote: missing" },
    { "REVOKE EXECUTE ON FUNCTION flagver.log_size(text) FROM app",
      "rights of app: EXECUTE on FUNCTION flagver.log_size(text): missing" },
    { "REVOKE USAGE ON SCHEMA flagver FROM app",
      "rights of app: USAGE on SCHEMA flagver: missing" },
    { "GRANT CREATE ON SCHEMA flagver TO app",
      "rights of app: CREATE on SCHEMA flagver: too much; REVOKE" },
    { "GRANT USAGE ON SCHEMA flagver TO PUBLIC",
      "rights of PUBLIC: USAGE on SCHEMA flagver: too much" },
    { "GRANT SELECT ON flagver.series TO PUBLIC",
      "rights of PUBLIC: SELECT on TABLE flagver.series: too much" },
    { "GRANT EXECUTE ON FUNCTION flagver.admit(name) TO PUBLIC",
      "rights of PUBLIC: EXECUTE on FUNCTION flagver.admit(name): too much" },
    { "GRANT SELECT ON flagver.flag_current TO app WITH GRANT OPTION",
      "rights of app: SELECT WITH GRANT OPTION on TABLE flagver.flag_current: too much" },
    { "GRANT UPDATE (note) ON flagver.vote TO app",
      "rights of app: UPDATE on COLUMN flagver.vote.note: too much" },
    { "+GRANT SELECT ON flagver.flag_current TO pg_monitor",
      "rights of pg_monitor: SELECT on TABLE flagver.leaf: missing" },
    { "REVOKE INSERT ON flagver.leaf FROM owner",
      "rights of owner: INSERT on TABLE flagver.leaf: missing; GRANT INSERT ON TABLE flagver.leaf "
      "TO owner gives it" },
};

START_TEST(what_was_altered_is_found)
{
    const char *statement = altered[_i].statement;

    if (*statement == '+')
        become("postgres");
    assert_sql(statement + (*statement == '+'));
    verify();
    assert_in_found(altered[_i].words);
}
END_TEST

START_TEST(what_belongs_to_a_missing_table_is_not_said_to_be_missing_too)
{
    assert_sql("DROP TABLE flagver.node");
    verify();
    assert_in_found("table node: missing");
    ck_assert_ptr_null(strstr(found_lines, "column node"));
    ck_assert_ptr_null(strstr(found_lines, " of node"));
}
END_TEST

START_TEST(things_outside_of_the_schema_are_none_of_our_business)
{
    become("postgres");
    assert_sql("CREATE TABLE public.customer (name text PRIMARY KEY); GRANT ALL ON public.customer "
               "TO PUBLIC; CREATE FUNCTION public.refuse() RETURNS bigint LANGUAGE sql AS 'SELECT "
               "1'; CREATE INDEX ON public.customer (lower(name)); CREATE TABLE public.leaf ()");
    verify();
    assert_nothing_found();
}
END_TEST

static const struct {
    const char *statement, *words;
} contradictions[] = {
    { "DELETE FROM flagver.meta", "flagver.meta has 0 rows" },
    { "DELETE FROM flagver.leaf WHERE no = 1 AND tenant = 'other'",
      "the log of other says 2 leaves and has 1" },
    { "DELETE FROM flagver.log WHERE tenant = 'other'",
      "the log of other says 0 leaves and has 2" },
    { "DELETE FROM flagver.leaf WHERE no = 0", "the log of default begins with 1 and ends with 1" },
    { "DELETE FROM flagver.version WHERE no = 1 AND series = md5('s')::uuid",
      "phase s of other ends with 3 and has 2 versions" },
    { "UPDATE flagver.version SET no = 7 WHERE no = 3", "phase s of other ends with 3 and has 3" },
    { "UPDATE flagver.series SET current_no = 3 WHERE subject = 's'",
      "phase s of default: version 3 is current, in state 1" },
    { "UPDATE flagver.series SET current_no = NULL", "version 2 is approved and not current" },
    { "DELETE FROM flagver.payload WHERE id = md5('done1')::uuid AND tenant = 'other'",
      "table version: a row of version 1 of series" },
    { "DELETE FROM flagver.payload WHERE id = md5('done1')::uuid AND tenant = 'other'",
      "table item: a row of version 1 of series" },
    { "DELETE FROM flagver.series WHERE subject = 'done' AND tenant = 'default'",
      "there is no such series" },
    { "UPDATE flagver.item SET no = 9 WHERE series = md5('draft')::uuid",
      "table item: a row of version 9 of series" },
    { "UPDATE flagver.vote SET no = 9 WHERE series = md5('open')::uuid",
      "table vote: a row of version 9" },
    { "UPDATE flagver.contributor SET no = 9 WHERE series = md5('open')::uuid",
      "table contributor: a row of version 9" },
};

START_TEST(rows_that_contradict_each_other_are_found)
{
    assert_forced(contradictions[_i].statement);
    verify();
    assert_in_found(contradictions[_i].words);
}
END_TEST

/* ---- isolation ---- */

static const struct {
    const char *statement, *words;
} leaks[] = {
    { "ALTER POLICY tenant ON flagver.leaf USING (true)",
      "isolation of tenants as role %s: sees rows of another tenant in leaf" },
    { "CREATE POLICY more ON flagver.keyed FOR SELECT USING (true)",
      "isolation of tenants as role %s: sees rows of another tenant in keyed" },
    { "CREATE POLICY more ON flagver.keyed FOR SELECT USING (true)",
      "isolation of tenants as role %s: sees rows in keyed while no tenant is set" },
    { "CREATE POLICY more ON flagver.node FOR INSERT WITH CHECK (true)",
      "isolation of tenants as role %s: writes rows of another tenant into node" },
    { "ALTER TABLE flagver.payload DISABLE ROW LEVEL SECURITY",
      "isolation of tenants as role %s: sees rows of another tenant in payload" },
    { "CREATE POLICY more ON flagver.node AS RESTRICTIVE FOR SELECT USING (false)",
      "isolation of tenants as role %s: does not see its own rows in node" },
    { "CREATE OR REPLACE VIEW flagver.version_current AS SELECT 'flagver.canary.b' COLLATE \"C\" "
      "AS tenant, phase, subject, no, state, deletion, emergency, content, created_at, created_by, "
      "decided_at, decided_by, note, content_hash FROM flagver.version_history",
      "isolation of tenants as role %s: sees rows of another tenant in version_current" },
};

START_TEST(a_canary_sees_what_does_not_keep_tenants_apart)
{
    const char *role = _i % 2 ? "app" : "owner";
    char words[256];

    assert_sql(leaks[_i / 2].statement);
    verify_as(role);
    snprintf(words, sizeof words, leaks[_i / 2].words, role);
    assert_in_found(words);
}
END_TEST

START_TEST(the_owners_name_policy_is_for_the_owner_only)
{
    assert_sql("ALTER POLICY tenants ON flagver.series TO app");
    verify_as("app");
    assert_in_found("as role app: sees rows in series while no tenant is set\n");
}
END_TEST

START_TEST(a_superuser_is_told_that_nothing_keeps_tenants_apart)
{
    verify_as("postgres");
    assert_in_found("isolation of tenants as role postgres: none");
    ck_assert_msg(found_count == 1, "%s", found_lines);
    /* it can try what others see */
    assert_sql("ALTER POLICY tenant ON flagver.leaf USING (true)");
    verify();
    assert_in_found("isolation of tenants as role app: sees rows of another tenant in leaf");
}
END_TEST

START_TEST(a_role_that_bypasses_policies_is_found)
{
    char role[64], statement[256];

    snprintf(role, sizeof role, "%s_bypass", database);
    become("postgres");
    snprintf(statement, sizeof statement, "CREATE ROLE %s BYPASSRLS; SELECT flagver.admit('%s')",
             role, role);
    assert_sql(statement);
    verify();
    snprintf(statement, sizeof statement, "isolation of tenants as role %s: none", role);
    assert_in_found(statement);
    ck_assert_uint_eq(found_count, 1);
    snprintf(statement, sizeof statement, "SELECT flagver.expel('%s'); DROP ROLE %s", role, role);
    assert_sql(statement);
}
END_TEST

/* Nothing that it is granted, but it may act as who owns everything. */
START_TEST(an_applications_role_that_is_a_member_of_the_owner_is_found)
{
    char role[64], between[64], statement[700];

    snprintf(role, sizeof role, "%s_member", database);
    snprintf(between, sizeof between, "%s_between", database);
    become("postgres");
    snprintf(statement, sizeof statement,
             "CREATE ROLE %s; CREATE ROLE %s NOINHERIT; GRANT owner TO %s; GRANT %s TO %s;"
             "SELECT flagver.admit('%s')",
             between, role, between, between, role, role);
    assert_sql(statement);
    verify();
    snprintf(statement, sizeof statement, "rights of %s: it is a member of owner", role);
    assert_in_found(statement);
    ck_assert_uint_eq(found_count, 1);
    snprintf(statement, sizeof statement, "SELECT flagver.expel('%s'); DROP ROLE %s; DROP ROLE %s",
             role, role, between);
    assert_sql(statement);
}
END_TEST

START_TEST(who_may_not_make_temporary_tables_is_told_what_to_grant)
{
    char statement[256];

    become("postgres");
    snprintf(statement, sizeof statement, "REVOKE TEMPORARY ON DATABASE %s FROM PUBLIC", database);
    assert_sql(statement);
    verify_as("app");
    snprintf(statement, sizeof statement, "GRANT TEMPORARY ON DATABASE %s TO app", database);
    assert_in_found(statement);
    ck_assert_uint_eq(found_count, 1);
}
END_TEST

START_TEST(a_standby_is_told_from_damage)
{
    struct cluster *mine = cluster_start(NULL), *standby;
    flagver_driver_config how = { .size = sizeof how, .no_upgrade = 1 };
    flagver_store *opened;

    cluster_database(mine, "one", NULL);
    how.path = cluster_uri(mine, "one", "owner") + strlen("postgresql:");
    assert_ok(driver->open(&how, &opened, &error));
    assert_ok(driver->schema_migrate(opened, FLAGVER_SCHEMA_VERSION, &error));
    driver->close(opened);
    standby = cluster_standby(mine, NULL);
    cluster_wait_standby(mine, standby);

    how.path = cluster_uri(standby, "one", "owner") + strlen("postgresql:");
    how.read_only = 1;
    assert_ok(driver->open(&how, &opened, &error));
    found_lines[0] = 0;
    found_count = checked_count = 0;
    assert_ok(driver->schema_verify(opened, note_found, note_checked, NULL, &error));
    assert_in_found("as this is a standby: verify on the server that it follows");
    ck_assert_uint_eq(found_count, 1);
    ck_assert_uint_gt(checked_count, 5); /* rows */
    driver->close(opened);
    cluster_stop(standby);
    cluster_stop(mine);
}
END_TEST

/* ---- up and down ---- */

#define OBJECTS                                                                                   \
    "SELECT string_agg(line, ';' ORDER BY line) FROM (SELECT concat(relname, relkind, "           \
    "relpersistence, relrowsecurity, relforcerowsecurity, relacl, reloptions, relowner) AS line " \
    "FROM pg_class WHERE relnamespace = 'flagver'::regnamespace UNION ALL SELECT "                \
    "concat(attrelid::regclass, attname, attnum, atttypid::regtype, attnotnull, attcollation) "   \
    "FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = "         \
    "'flagver'::regnamespace) UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM "        \
    "pg_constraint WHERE connamespace = 'flagver'::regnamespace UNION ALL SELECT "                \
    "pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT "             \
    "pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE "          \
    "relnamespace = 'flagver'::regnamespace UNION ALL SELECT concat(polname, polcmd, polroles, "  \
    "pg_get_expr(polqual, polrelid)) FROM pg_policy UNION ALL SELECT "                            \
    "concat(pg_get_functiondef(oid), proacl) FROM pg_proc WHERE pronamespace = "                  \
    "'flagver'::regnamespace UNION ALL SELECT viewname || definition FROM pg_views WHERE "        \
    "schemaname = 'flagver' UNION ALL SELECT nspacl::text FROM pg_namespace WHERE nspname = "     \
    "'flagver') AS lines"

#define COUNT_OURS                                                                         \
    "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text = "      \
    "'flagver') + (SELECT count(*) FROM pg_proc WHERE pronamespace::regnamespace::text = " \
    "'flagver') + (SELECT count(*) FROM pg_type WHERE typnamespace::regnamespace::text = " \
    "'flagver')"

static uint32_t version(void)
{
    uint32_t found = 99;

    assert_ok(driver->schema_version(store, &found, &error));
    return found;
}

START_TEST(up_down_and_up_again_gives_the_same_schema)
{
    static char before[262144];

    ck_assert_uint_eq(version(), 0);
    assert_ok(driver->schema_migrate(store, 0, &error));
    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    ck_assert_uint_eq(version(), FLAGVER_SCHEMA_VERSION);
    snprintf(before, sizeof before, "%s", answer(OBJECTS));
    ck_assert_uint_gt(strlen(before), 30000);

    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    assert_ok(driver->schema_migrate(store, 0, &error));
    ck_assert_uint_eq(version(), 0);
    ck_assert_str_eq(answer("SELECT count(*) FROM pg_namespace WHERE nspname = 'flagver'"), "0");
    ck_assert_str_eq(answer("SELECT count(*) FROM pg_type WHERE typnamespace > 16383"), "0");

    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    ck_assert_str_eq(answer(OBJECTS), before);
    verify();
    assert_nothing_found();
}
END_TEST

START_TEST(a_schema_that_is_made_anew_is_another_store)
{
    char before[64];

    snprintf(before, sizeof before, "%s", answer("SELECT store FROM flagver.meta"));
    assert_ok(driver->schema_migrate(store, 0, &error));
    assert_ok(driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &error));
    ck_assert_str_ne(answer("SELECT store FROM flagver.meta"), before);
    ck_assert_str_eq(answer("SELECT substr(store::text, 15, 1) FROM flagver.meta"), "4");
    ck_assert_str_eq(answer("SELECT version || '/' || compatible FROM flagver.meta"), "2/2");
}
END_TEST

#define PROCESSES 10

static int migrate_in_child(uint32_t to)
{
    flagver_store *own = open_as(database, "owner");
    flagver_error failure;
    int r = driver->schema_migrate(own, to, &failure);

    if (r < 0)
        fprintf(stderr, "%s\n", failure.message);
    driver->close(own);
    return r < 0;
}

/* All at once, each to the version that its place in `to` says. */
static void migrate_in_many(const uint32_t *to)
{
    pid_t children[PROCESSES];
    int i, status;

    for (i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(migrate_in_child(to[i]));
    }
    for (i = 0; i < PROCESSES; i++) {
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
}

START_TEST(ten_processes_at_once_make_it_once)
{
    static const uint32_t up[PROCESSES] = { 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 }, down[PROCESSES] = { 0 },
                          both[PROCESSES] = { 2, 0, 2, 0, 2, 0, 2, 0, 2, 0 };

    migrate_in_many(up);
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver.meta"), "1");
    verify();
    assert_nothing_found();
    migrate_in_many(both);
    migrate_in_many(down);
    ck_assert_str_eq(answer("SELECT count(*) FROM pg_namespace WHERE nspname = 'flagver'"), "0");
}
END_TEST

static flagver_store *open_waiting(const char *more, int32_t wait_ms, int32_t no_upgrade,
                                   int expected)
{
    flagver_driver_config how = { .size = sizeof how,
                                  .wait_ms = wait_ms,
                                  .no_upgrade = no_upgrade };
    flagver_store *opened = NULL;
    char path[400];

    snprintf(path, sizeof path, "%s%s",
             cluster_uri(cluster, database, "owner") + strlen("postgresql:"), more);
    how.path = path;
    ck_assert_int_eq(driver->open(&how, &opened, &error), expected);
    return opened;
}

/* Whoever waits for nobody is told at once that somebody is there, and is not taken for waiting for ever. */
START_TEST(who_does_not_wait_tries_once_to_change_the_schema)
{
    flagver_store *hasty = open_waiting("", 0, 1, 0);
    PGconn *other = connect_as(database, "owner");

    PQclear(PQexec(other, "BEGIN; SELECT pg_advisory_xact_lock(28829613227926898)"));
    assert_fails(FLAGVER_EBUSY, driver->schema_migrate(hasty, 0, &error));
    assert_words("somebody else is changing the schema");
    assert_words("wait_ms is 0");
    PQclear(PQexec(other, "ROLLBACK; BEGIN; SELECT FROM flagver.keyed"));
    assert_fails(FLAGVER_EBUSY, driver->schema_migrate(hasty, 0, &error));
    assert_words("not let go of within 0 ms (wait_ms)");
    ck_assert_uint_eq(version(), FLAGVER_SCHEMA_VERSION);
    PQclear(PQexec(other, "ROLLBACK"));
    assert_ok(driver->schema_migrate(hasty, 0, &error));
    ck_assert_uint_eq(version(), 0);
    PQfinish(other);
    driver->close(hasty);
}
END_TEST

/* A change of a table that does not end, and a server that is slow with all that is asked. */
START_TEST(opening_a_store_has_the_limits_that_transactions_have)
{
    PGconn *other = connect_as(database, "owner");
    flagver_store *opened;
    uint32_t found;

    PQclear(PQexec(other, "BEGIN; ALTER TABLE flagver.meta ADD COLUMN more text"));
    open_waiting("", 50, 0, FLAGVER_EBUSY);
    assert_words("not let go of within 50 ms (wait_ms)");
    opened = open_waiting("", 50, 1, 0);
    assert_fails(FLAGVER_EBUSY, driver->schema_version(opened, &found, &error));
    assert_words("50 ms (wait_ms)");
    assert_fails(FLAGVER_EBUSY,
                 driver->schema_verify(opened, note_found, note_checked, NULL, &error));
    assert_words("50 ms (wait_ms)");
    driver->close(opened);
    open_waiting("&flagver_statement_ms=50", 20000, 0, FLAGVER_EBUSY);
    assert_words("it may take 50 ms (flagver_statement_ms in the URI)");
    PQclear(PQexec(other, "ROLLBACK"));
    PQfinish(other);
}
END_TEST

START_TEST(a_version_that_never_was_is_refused)
{
    assert_fails(FLAGVER_EINVAL, driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION + 1, &error));
    assert_words("schema 3");
    assert_fails(FLAGVER_EINVAL, driver->schema_migrate(store, 1, &error));
    assert_words("the first is 2");
    ck_assert_uint_eq(version(), FLAGVER_SCHEMA_VERSION);
}
END_TEST

START_TEST(without_a_schema_one_is_told_how_to_make_it)
{
    flagver_driver_config how = { .size = sizeof how };
    flagver_store *opened;

    how.path = cluster_uri(cluster, database, "owner") + strlen("postgresql:");
    assert_fails(FLAGVER_ESCHEMA, driver->open(&how, &opened, &error));
    assert_words("schema up");
    ck_assert_str_eq(answer("SELECT count(*) FROM pg_namespace WHERE nspname = 'flagver'"), "0");
    verify();
    assert_in_found("table version: missing");
    assert_in_found("function admit(name): missing");
}
END_TEST

START_TEST(a_role_that_may_not_create_is_told_what_to_grant)
{
    flagver_store *own = open_as(database, "app");
    char grant[128];

    assert_fails(FLAGVER_EUNAVAILABLE, driver->schema_migrate(own, 2, &error));
    snprintf(grant, sizeof grant, "GRANT CREATE ON DATABASE %s TO app", database);
    assert_words(grant);
    assert_sql("CREATE SCHEMA flagver");
    assert_fails(FLAGVER_EUNAVAILABLE, driver->schema_migrate(own, 2, &error));
    assert_words("GRANT CREATE, USAGE ON SCHEMA flagver TO app");
    driver->close(own);
    ck_assert_str_eq(answer(COUNT_OURS), "0");
}
END_TEST

/* Somebody else has made it, and decides who may fill it. */
START_TEST(a_schema_that_is_there_is_used_and_stays)
{
    flagver_store *own;

    become("postgres");
    assert_sql("CREATE SCHEMA flagver; GRANT CREATE, USAGE ON SCHEMA flagver TO app");
    driver->close(store);
    own = store = open_as(database, "app");
    assert_ok(driver->schema_migrate(own, 2, &error));
    verify();
    assert_nothing_found();
    assert_ok(driver->schema_migrate(own, 0, &error));
    ck_assert_uint_eq(version(), 0);
    ck_assert_str_eq(answer(COUNT_OURS), "0");
    assert_ok(driver->schema_migrate(own, 2, &error));
    verify();
    assert_nothing_found();
}
END_TEST

START_TEST(a_role_without_rights_is_told_how_to_get_them)
{
    flagver_store *own = open_as(database, "app");
    uint32_t found;

    assert_sql("SELECT flagver.expel('app')");
    assert_fails(FLAGVER_EUNAVAILABLE, driver->schema_version(own, &found, &error));
    assert_words("SELECT flagver.admit('app')");
    assert_sql("SELECT flagver.admit('app')");
    assert_ok(driver->schema_version(own, &found, &error));
    driver->close(own);
}
END_TEST

START_TEST(an_applications_role_takes_nothing_down)
{
    flagver_store *own = open_as(database, "app");

    ck_assert_int_lt(driver->schema_migrate(own, 0, &error), 0);
    assert_words("owner");
    driver->close(own);
    verify();
    assert_nothing_found();
}
END_TEST

START_TEST(texts_in_another_encoding_are_refused)
{
    char statement[256];

    tear_down();
    snprintf(statement, sizeof statement,
             "CREATE DATABASE %s OWNER owner TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE "
             "'C' LC_CTYPE 'C'",
             database);
    cluster_sql(cluster, "postgres", statement);
    store = open_as(database, "owner");
    conn = connect_as(database, "owner");
    assert_fails(FLAGVER_ENOTSUP, driver->schema_migrate(store, 2, &error));
    assert_words("SQL_ASCII");
    assert_words("ENCODING 'UTF8'");
}
END_TEST

START_TEST(a_newer_schema_is_used_when_it_allows_that)
{
    flagver_driver_config how = { .size = sizeof how };
    flagver_store *opened;

    how.path = cluster_uri(cluster, database, "app") + strlen("postgresql:");
    assert_sql("UPDATE flagver.meta SET version = 9");
    assert_ok(driver->open(&how, &opened, &error));
    driver->close(opened);
    assert_sql("UPDATE flagver.meta SET compatible = 7");
    how.path = cluster_uri(cluster, database, "app") + strlen("postgresql:");
    assert_fails(FLAGVER_ESCHEMA, driver->open(&how, &opened, &error));
    assert_words("schema 9");
    assert_words("schema 7");
    assert_fails(FLAGVER_ESCHEMA, driver->schema_migrate(store, 0, &error));
    assert_fails(FLAGVER_ESCHEMA,
                 driver->schema_verify(store, note_found, note_checked, NULL, &error));
}
END_TEST

START_TEST(a_step_that_fails_leaves_what_was_there)
{
    assert_sql("CREATE SCHEMA flagver; CREATE TABLE flagver.leaf (mine text)");
    ck_assert_int_lt(driver->schema_migrate(store, 2, &error), 0);
    assert_words("leaf");
    ck_assert_str_eq(answer("SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = "
                            "'flagver'::regnamespace AND relkind = 'r'"),
                     "leaf");
    ck_assert_uint_eq(version(), 0);
}
END_TEST

START_TEST(all_the_way_down_leads_past_damage)
{
    assert_sql("DROP TABLE flagver.log; DROP TRIGGER born ON flagver.item; DROP TABLE flagver.node;"
               "DROP FUNCTION flagver.admit(name); DROP VIEW flagver.audit_log; DROP FUNCTION "
               "flagver.refuse() CASCADE; ALTER TABLE flagver.vote DROP COLUMN note");
    assert_ok(driver->schema_migrate(store, 0, &error));
    ck_assert_str_eq(answer("SELECT count(*) FROM pg_namespace WHERE nspname = 'flagver'"), "0");
}
END_TEST

START_TEST(what_the_application_keeps_in_the_schema_stays)
{
    assert_sql("CREATE TABLE flagver.mine (x bigint); INSERT INTO flagver.mine VALUES (7)");
    assert_ok(driver->schema_migrate(store, 0, &error));
    ck_assert_str_eq(answer("SELECT x FROM flagver.mine"), "7");
    ck_assert_uint_eq(version(), 0);
    assert_ok(driver->schema_migrate(store, 2, &error));
    ck_assert_uint_eq(version(), 2);
}
END_TEST

START_TEST(what_depends_on_a_table_keeps_it)
{
    assert_sql("CREATE VIEW public.mine AS SELECT subject FROM flagver.series");
    ck_assert_int_lt(driver->schema_migrate(store, 0, &error), 0);
    assert_words("depend");
    ck_assert_uint_eq(version(), 2);
    verify();
    assert_nothing_found();
}
END_TEST

/* ---- roles ---- */

START_TEST(roles_are_admitted_and_expelled)
{
    char role[64], statement[256];

    snprintf(role, sizeof role, "%s_Odd \"name\"", database);
    become("postgres");
    snprintf(statement, sizeof statement, "CREATE ROLE \"%s_Odd \"\"name\"\"\"", database);
    assert_sql(statement);
    become("owner");
    snprintf(statement, sizeof statement, "SELECT flagver.admit('%s')", role);
    assert_sql(statement);
    assert_sql(statement); /* and again */
    verify();
    assert_nothing_found();
    ck_assert_str_ne(answer("SELECT count(*) FROM pg_class WHERE relacl::text LIKE '%Odd%'"), "0");
    snprintf(statement, sizeof statement, "SELECT flagver.expel('%s')", role);
    assert_sql(statement);
    verify();
    assert_nothing_found();
    become("postgres");
    snprintf(statement, sizeof statement, "DROP ROLE \"%s_Odd \"\"name\"\"\"", database);
    assert_sql(statement);
}
END_TEST

START_TEST(nobody_else_admits_and_nobody_admits_everybody)
{
    ck_assert(!sql("SELECT flagver.admit('public')"));
    ck_assert_msg(strstr(sql_words, "there is no role public"), "%s", sql_words);
    ck_assert(!sql("SELECT flagver.expel('nobody')"));
    ck_assert_msg(strstr(sql_words, "there is no role nobody"), "%s", sql_words);
    become("app");
    ck_assert(!sql("SELECT flagver.admit('app')"));
    ck_assert_msg(strstr(sql_words, "permission denied"), "%s", sql_words);
    ck_assert(!sql("SELECT flagver.expel('app')"));
}
END_TEST

/* ---- views ---- */

static const char *row(const char *statement)
{
    assert_sql("SET flagver.tenant = 'default'; SET timezone = 'UTC'");
    return answer(statement);
}

START_TEST(people_see_states_and_contents)
{
    become("app");
    ck_assert_str_eq(
        row("SELECT string_agg(concat_ws(' ', subject, no, state, deletion, emergency, "
            "content->>'n', decided_by), ', ' ORDER BY subject, no) FROM "
            "flagver.version_history"),
        "done 1 approved f f 1 bob, draft 1 draft f f 1, gone 1 approved f f bob, "
        "open 1 submitted f f 1, r 1 recorded f f 1, s 1 superseded f f 1 bob, s 2 "
        "approved f f 2 bob, s 3 draft f f 3, urgent 1 superseded f t 1 bob, urgent 2 "
        "approved f t 2 bob");
    ck_assert_str_eq(
        row("SELECT string_agg(concat_ws(' ', subject, no, state, content), ', ' ORDER "
            "BY subject) FROM flagver.version_current"),
        "done 1 approved {\"n\": 1}, gone 1 approved, r 1 recorded {\"n\": 1}, s 2 "
        "approved {\"n\": 2}, urgent 2 approved {\"n\": 2}");
    ck_assert_str_eq(row("SELECT count(*) FROM flagver.flag_current"), "0");
}
END_TEST

START_TEST(people_see_flags_that_are_in_force)
{
    assert_forced("UPDATE flagver.series SET phase = 'flagver.flag'; UPDATE flagver.version SET "
                  "bits = 1 WHERE series = md5('s')::uuid");
    become("app");
    ck_assert_str_eq(row("SELECT string_agg(concat_ws(' ', flag, no, definition, since, by), ', ' "
                         "ORDER BY flag) FROM flagver.flag_current"),
                     "done 1 {\"n\": 1} 1970-01-01 00:00:00.000012+00 bob, gone 1 1970-01-01 "
                     "00:00:00.000012+00 bob, r 1 {\"n\": 1}, urgent 2 {\"n\": 2} 1970-01-01 "
                     "00:00:00.000022+00 bob");
}
END_TEST

static const struct {
    const char *number, *time;
} times[] = {
    { "0", "1970-01-01 00:00:00+00" },
    { "1", "1970-01-01 00:00:00.000001+00" },
    { "1700000000123457", "2023-11-14 22:13:20.123457+00" },
    { "-1", "1969-12-31 23:59:59.999999+00" },
    { "9007199254740993", "2255-06-05 23:47:34.740993+00" },
    { "253402300799999999", "9999-12-31 23:59:59.999999+00" },
};

START_TEST(times_are_exact)
{
    char statement[256];

    snprintf(statement, sizeof statement, "UPDATE flagver.version SET created_at = %s",
             times[_i].number);
    assert_forced(statement);
    become("app");
    ck_assert_str_eq(row("SELECT DISTINCT created_at FROM flagver.version_history"),
                     times[_i].time);
    assert_sql("SET timezone = 'America/New_York'");
    snprintf(
        statement, sizeof statement,
        "SELECT DISTINCT (extract(epoch FROM created_at AT TIME ZONE 'UTC') * 1000000)::bigint "
        "FROM flagver.version_history");
    ck_assert_str_eq(answer(statement), times[_i].number);
}
END_TEST

/* As a bytea literal, and what becomes of it. */
static const struct {
    const char *body, *content;
} contents[] = {
    { "'[1, 2]'", "[1, 2]" },
    { "convert_to('\"ü\"', 'UTF8')", "\"ü\"" },
    { "'null'", "null" },
    { "''", "" },
    { "'{'", "" },
    { "'\\xff'", "" },
    { "'\\x00'", "" },
    { "convert_to('\"\\u0000\"', 'UTF8')", "" },
    { "convert_to(repeat('[', 100000), 'UTF8')", "" },
};

START_TEST(contents_that_are_no_json_are_null)
{
    char statement[256];

    snprintf(statement, sizeof statement,
             "UPDATE flagver.payload SET body = %s WHERE shredded IS NULL", contents[_i].body);
    assert_forced(statement);
    become("app");
    ck_assert_str_eq(row("SELECT DISTINCT content FROM flagver.version_history WHERE subject = "
                         "'s'"),
                     contents[_i].content);
    assert_forced("UPDATE flagver.payload SET key = 1 WHERE shredded IS NULL");
    become("app");
    ck_assert_str_eq(row("SELECT count(*) FROM flagver.version_history WHERE content IS NOT NULL"),
                     "0");
}
END_TEST

static flagver_bytes text(const char *words)
{
    return (flagver_bytes){ words, strlen(words) };
}

static void append_leaf(const struct fv_audit_leaf *leaf)
{
    struct fv_text bytes = FV_TEXT_INIT, statement = FV_TEXT_INIT;
    size_t i;

    fv_leaf_encode(leaf, &bytes);
    fv_text_add(&statement, "INSERT INTO flagver.leaf VALUES ('default', 2, '\\x");
    for (i = 0; i < bytes.length; i++)
        fv_text_format(&statement, "%02x", (unsigned)(unsigned char)bytes.data[i]);
    fv_text_add(&statement, "', decode(repeat('ab', 32), 'hex'))");
    ck_assert(!statement.failed);
    assert_sql("SET flagver.tenant = 'default'");
    assert_sql(statement.data);
    fv_text_clear(&bytes);
    fv_text_clear(&statement);
}

START_TEST(people_read_the_audit_log)
{
    char subject[513];
    struct fv_audit_leaf leaf = { .tenant = text("default"),
                                  .leaf_no = 2,
                                  .time = 1700000000123457,
                                  .actor = text("Zoë"),
                                  .action = FV_ACTION_APPROVE,
                                  .phase = text("scoping"),
                                  .no = 4000000000u,
                                  .from = FLAGVER_STATE_SUBMITTED,
                                  .to = FLAGVER_STATE_APPROVED };

    memset(subject, 's', sizeof subject - 1);
    subject[sizeof subject - 1] = 0;
    leaf.subject = text(subject);
    append_leaf(&leaf);
    become("app");
    ck_assert_str_eq(row("SELECT concat_ws(' ', tenant, no, time, actor, action, phase, "
                         "length(subject), version, was, became, left(hash, 4), length(hash)) FROM "
                         "flagver.audit_log WHERE no = 2"),
                     "default 2 2023-11-14 22:13:20.123457+00 Zoë approve scoping 512 4000000000 "
                     "submitted approved abab 64");
    /* what is no leaf has its number and hash */
    ck_assert_str_eq(
        row("SELECT concat_ws(' ', tenant, no, time, actor, action, length(hash)) FROM "
            "flagver.audit_log WHERE no = 1"),
        "default 1 64");
}
END_TEST

START_TEST(a_leaf_that_is_cut_off_is_no_leaf)
{
    struct fv_audit_leaf leaf = { .tenant = text("default"),
                                  .leaf_no = 2,
                                  .actor = text("bob"),
                                  .action = FV_ACTION_CREATE,
                                  .phase = text("p"),
                                  .subject = text("s"),
                                  .no = 1,
                                  .to = FLAGVER_STATE_DRAFT };
    char statement[128];
    int length;

    append_leaf(&leaf);
    become("postgres");
    for (length = 0; length < 50; length++) {
        snprintf(statement, sizeof statement,
                 "SELECT r FROM flagver.leaf, flagver.leaf_read(substring(leaf FOR %d)) AS r WHERE "
                 "no = 2",
                 length);
        ck_assert_str_eq(answer(statement), length < 45 ? "(,,,,,,,)" : "(0,bob,1,p,s,1,0,1)");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres schema");
    TCase *filled = tcase_create("filled"), *empty = tcase_create("empty"),
          *standby = tcase_create("standby");

    if (!cluster_possible())
        cluster_skip();
    tcase_add_unchecked_fixture(filled, make_template, drop_template);
    tcase_add_checked_fixture(filled, set_up, tear_down);
    tcase_add_test(filled, a_sound_store_has_nothing_to_be_found);
    tcase_add_test(filled, verification_changes_nothing);
    tcase_add_loop_test(filled, each_dropped_thing_is_missed, 0, sizeof kinds / sizeof *kinds);
    tcase_add_test(filled, each_dropped_column_is_missed);
    tcase_add_loop_test(filled, what_was_altered_is_found, 0, sizeof altered / sizeof *altered);
    tcase_add_test(filled, what_belongs_to_a_missing_table_is_not_said_to_be_missing_too);
    tcase_add_test(filled, things_outside_of_the_schema_are_none_of_our_business);
    tcase_add_loop_test(filled, rows_that_contradict_each_other_are_found, 0,
                        sizeof contradictions / sizeof *contradictions);
    tcase_add_loop_test(filled, a_canary_sees_what_does_not_keep_tenants_apart, 0,
                        2 * sizeof leaks / sizeof *leaks);
    tcase_add_test(filled, the_owners_name_policy_is_for_the_owner_only);
    tcase_add_test(filled, a_superuser_is_told_that_nothing_keeps_tenants_apart);
    tcase_add_test(filled, a_role_that_bypasses_policies_is_found);
    tcase_add_test(filled, an_applications_role_that_is_a_member_of_the_owner_is_found);
    tcase_add_test(filled, who_may_not_make_temporary_tables_is_told_what_to_grant);
    tcase_add_test(filled, a_schema_that_is_made_anew_is_another_store);
    tcase_add_test(filled, who_does_not_wait_tries_once_to_change_the_schema);
    tcase_add_test(filled, opening_a_store_has_the_limits_that_transactions_have);
    tcase_add_test(filled, a_version_that_never_was_is_refused);
    tcase_add_test(filled, a_role_without_rights_is_told_how_to_get_them);
    tcase_add_test(filled, an_applications_role_takes_nothing_down);
    tcase_add_test(filled, a_newer_schema_is_used_when_it_allows_that);
    tcase_add_test(filled, all_the_way_down_leads_past_damage);
    tcase_add_test(filled, what_the_application_keeps_in_the_schema_stays);
    tcase_add_test(filled, what_depends_on_a_table_keeps_it);
    tcase_add_test(filled, roles_are_admitted_and_expelled);
    tcase_add_test(filled, nobody_else_admits_and_nobody_admits_everybody);
    tcase_add_test(filled, people_see_states_and_contents);
    tcase_add_test(filled, people_see_flags_that_are_in_force);
    tcase_add_loop_test(filled, times_are_exact, 0, sizeof times / sizeof *times);
    tcase_add_loop_test(filled, contents_that_are_no_json_are_null, 0,
                        sizeof contents / sizeof *contents);
    tcase_add_test(filled, people_read_the_audit_log);
    tcase_add_test(filled, a_leaf_that_is_cut_off_is_no_leaf);
    suite_add_tcase(suite, filled);

    tcase_add_unchecked_fixture(empty, make_template, drop_template);
    tcase_add_checked_fixture(empty, set_up_empty, tear_down);
    tcase_add_test(empty, up_down_and_up_again_gives_the_same_schema);
    tcase_add_test(empty, ten_processes_at_once_make_it_once);
    tcase_add_test(empty, without_a_schema_one_is_told_how_to_make_it);
    tcase_add_test(empty, a_role_that_may_not_create_is_told_what_to_grant);
    tcase_add_test(empty, a_schema_that_is_there_is_used_and_stays);
    tcase_add_test(empty, texts_in_another_encoding_are_refused);
    tcase_add_test(empty, a_step_that_fails_leaves_what_was_there);
    suite_add_tcase(suite, empty);

    tcase_set_timeout(standby, 120);
    tcase_add_test(standby, a_standby_is_told_from_damage);
    suite_add_tcase(suite, standby);
    return run_suite(suite);
}
