#include <string.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"

/*
 * What should be there is made as temporary objects, by the same statements; then both are
 * read from the catalogs, where the server has brought them into a form of its own, and compared.
 * A store that has not been upgraded is to be what its version says, and is sound as that.
 *
 * Everything happens in transactions that are rolled back.
 */

struct check {
    struct fv_pg *conn;
    struct fv_saying saying;
    uint32_t version;    /* that it should be */
    const char *subject; /* what is being looked at, for words */
};

/* What the server refuses to look at is something that was found. */
static int forgive(struct check *check, const char *what, int r, const flagver_error *failure,
                   flagver_error *err)
{
    if (r >= 0)
        return 0;
    if (check->conn->broken || r == FLAGVER_ENOMEM || r == FLAGVER_EBUSY) {
        if (err)
            *err = *failure;
        return fv_pg_name_limit(check->conn, r, err);
    }
    fv_text_reset(&check->saying.line);
    fv_text_format(&check->saying.line, "%s: %s", what, failure->message);
    return fv_say_found(&check->saying, err);
}

/* ---- asking ---- */

/* One row of an answer; negative ends it. */
typedef int each_row(struct check *check, const PGresult *rows, int row, flagver_error *err);

static int for_each(struct check *check, const char *sql, const struct fv_pg_parameters *parameters,
                    each_row *visit, flagver_error *err)
{
    const struct fv_pg_statement statement = { -1, sql };
    PGresult *rows;
    int r, row;

    r = fv_pg_query(check->conn, &statement, parameters, &rows, err);
    if (r < 0)
        return r;
    for (row = 0; r == 0 && row < PQntuples(rows); row++)
        r = visit(check, rows, row, err);
    PQclear(rows);
    return r;
}

/* The first column of the only row. */
static int ask_truth(struct check *check, const char *sql, bool *ret_truth, flagver_error *err)
{
    const struct fv_pg_statement statement = { -1, sql };
    PGresult *rows;
    int r = fv_pg_query(check->conn, &statement, NULL, &rows, err);

    if (r < 0)
        return r;
    *ret_truth = PQntuples(rows) == 1 && fv_pg_get_truth(rows, 0, 0);
    PQclear(rows);
    return 0;
}

static const char *column(const PGresult *rows, int row, int number)
{
    return PQgetisnull(rows, row, number) ? NULL : PQgetvalue(rows, row, number);
}

/* A setting of the transaction. */
static int set(struct check *check, const char *name, const char *value, flagver_error *err)
{
    static const struct fv_pg_statement statement = { -1, "SELECT set_config($1, $2, true)" };
    struct fv_pg_parameters parameters = { .count = 0 };

    fv_pg_text(&parameters, (flagver_bytes){ name, strlen(name) });
    fv_pg_text(&parameters, (flagver_bytes){ value, strlen(value) });
    return fv_pg_query(check->conn, &statement, &parameters, NULL, err);
}

/*
 * With pg_temp last, names of our schema are written without it, those of temporary objects with
 * it, and nothing of the application's is found. Compiling would take longer than the queries.
 */
#define SETTINGS                                                                      \
    "SET LOCAL search_path = pg_catalog, flagver, pg_temp; SET LOCAL jit = off; "     \
    "SET LOCAL check_function_bodies = off; SET LOCAL standard_conforming_strings = " \
    "on; SET LOCAL statement_timeout = 0; SET LOCAL row_security = on"

static int in_transaction(struct check *check, const char *begin, const char *what,
                          int (*part)(struct check *check, flagver_error *err), flagver_error *err)
{
    flagver_error failure;
    int r;

    check->subject = what;
    check->saying.fine = true;
    r = fv_pg_execute(check->conn, begin, &failure);
    if (r == 0)
        r = fv_pg_execute(check->conn, SETTINGS, &failure);
    if (r == 0)
        r = fv_pg_limit_locks(check->conn, &failure);
    if (r == 0)
        r = part(check, &failure);
    if (!check->conn->broken)
        fv_pg_execute(check->conn, "ROLLBACK", NULL);
    return forgive(check, what, r, &failure, err);
}

#define WRITING "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
#define READING "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

/* ---- what should be there ---- */

#define SCHEMA "flagver."

/* The end of a quoted part that begins here; "" in it end and begin one. */
static const char *behind_quote(const char *at)
{
    const char *quote = *at == '$' ? "$$" : *at == '"' ? "\"" : "'";
    const char *end = strstr(at + strlen(quote), quote);

    return end ? end + strlen(quote) : at + strlen(at);
}

static bool opens_quote(const char *at)
{
    return *at == '\'' || *at == '"' || (at[0] == '$' && at[1] == '$');
}

/* The statement, for temporary objects. */
static void add_temporary(struct fv_text *text, const char *sql)
{
    const char *end;

    while (*sql) {
        end = sql + 1;
        if (strncmp(sql, SCHEMA, strlen(SCHEMA)) == 0) {
            fv_text_add(text, "pg_temp.");
            sql += strlen(SCHEMA);
            continue;
        }
        if (opens_quote(sql))
            end = behind_quote(sql);
        fv_text_add_bytes(text, sql, (size_t)(end - sql));
        sql = end;
    }
    fv_text_add(text, ";\n");
}

static int make_expected(struct check *check, flagver_error *err)
{
    const struct fv_pg_step *step;
    const char *const *statement;
    struct fv_text text = FV_TEXT_INIT;
    int r;

    for (step = fv_pg_steps; step->version && step->version <= check->version; step++)
        for (statement = step->up; *statement; statement++)
            add_temporary(&text, *statement);
    r = text.failed ? fv_fail_memory(err) : fv_pg_execute(check->conn, text.data, err);
    fv_text_clear(&text);
    return r;
}

/* ---- objects ---- */

/* Tables and so on of our schema and of the temporary one; who owns what is there. */
static const char objects_begin[] =
    "WITH space (oid, expected) AS (\n"
    "  SELECT oid, false FROM pg_namespace WHERE nspname = 'flagver'\n"
    "  UNION ALL SELECT pg_my_temp_schema(), true),\n"
    "relation AS (\n"
    "  SELECT c.*, s.expected FROM pg_class AS c JOIN space AS s ON s.oid = c.relnamespace\n"
    "  WHERE c.relkind <> 't'),\n"
    "owner AS (\n"
    "  SELECT COALESCE((SELECT relowner FROM relation WHERE relname = 'meta' AND NOT expected),\n"
    "    (SELECT nspowner FROM pg_namespace WHERE nspname = 'flagver')) AS oid),\n"
    "thing (expected, relation, name, definition, owner) AS (\n";

/* Things: which side they are on, what they belong to, their name, definition and owner. */
static const char *const things[] = {
    "SELECT expected, NULL::name, CASE relkind WHEN 'r' THEN 'table ' WHEN 'v' THEN 'view '\n"
    "    WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence '\n"
    "    WHEN 'p' THEN 'partitioned table ' ELSE 'relation ' END || relname,\n"
    "  CASE WHEN relkind IN ('v', 'm')\n"
    "    THEN pg_get_viewdef(oid) || COALESCE(array_to_string(reloptions, ','), '')\n"
    "    ELSE concat(CASE relpersistence WHEN 'u' THEN 'unlogged, ' END,\n"
    "      'row-level security ', CASE WHEN relrowsecurity THEN 'on' ELSE 'off' END,\n"
    "      CASE WHEN relforcerowsecurity THEN ', for its owner too' END) END, relowner\n"
    "FROM relation WHERE relkind NOT IN ('i', 'I')\n",

    "SELECT r.expected, r.relname, format('column %s.%s', r.relname, a.attname),\n"
    "  concat(format_type(a.atttypid, a.atttypmod),\n"
    "    CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE '\n"
    "      || (SELECT collname FROM pg_collation WHERE oid = a.attcollation) END,\n"
    "    CASE WHEN a.attnotnull THEN ' NOT NULL' END,\n"
    "    ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid),\n"
    "    CASE WHEN a.attidentity <> '' OR a.attgenerated <> '' THEN ' GENERATED' END), NULL\n"
    "FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid\n"
    "JOIN pg_type AS t ON t.oid = a.atttypid\n"
    "LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum\n"
    "WHERE r.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped\n",

    /* A reference is kept by triggers of the server's. */
    "SELECT r.expected, r.relname, format('constraint %s of %s', c.conname, r.relname),\n"
    "  pg_get_constraintdef(c.oid) || CASE WHEN EXISTS (SELECT 1 FROM pg_trigger AS g\n"
    "    WHERE g.tgconstraint = c.oid AND g.tgenabled <> 'O') THEN ', disabled' ELSE '' END, NULL\n"
    "FROM relation AS r JOIN pg_constraint AS c ON c.conrelid = r.oid WHERE c.contype <> 't'\n",

    /* Those of constraints go with these. */
    "SELECT r.expected, t.relname, format('index %s of %s', r.relname, t.relname),\n"
    "  pg_get_indexdef(r.oid, 0, true) || CASE WHEN i.indisvalid AND i.indisready\n"
    "    THEN '' ELSE ', not valid' END, NULL\n"
    "FROM relation AS r JOIN pg_index AS i ON i.indexrelid = r.oid\n"
    "JOIN pg_class AS t ON t.oid = i.indrelid\n"
    "WHERE NOT EXISTS (SELECT 1 FROM pg_constraint AS c\n"
    "  WHERE c.conindid = r.oid AND c.contype IN ('p', 'u', 'x'))\n",

    "SELECT r.expected, r.relname, format('trigger %s of %s', g.tgname, r.relname),\n"
    "  pg_get_triggerdef(g.oid, true) || CASE g.tgenabled WHEN 'O' THEN ''\n"
    "    WHEN 'D' THEN ', disabled' ELSE ', not enabled as usual' END, NULL\n"
    "FROM relation AS r JOIN pg_trigger AS g ON g.tgrelid = r.oid WHERE NOT g.tgisinternal\n",

    "SELECT r.expected, r.relname, format('policy %s of %s', p.polname, r.relname),\n"
    "  format('%s for %s to %s using %s check %s',\n"
    "    CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, p.polcmd,\n"
    "    (SELECT string_agg(CASE x.oid WHEN 0 THEN 'all' WHEN r.relowner THEN 'the owner'\n"
    "      ELSE x.oid::regrole::text END, ', ' ORDER BY x.oid)\n"
    "      FROM unnest(p.polroles) AS x (oid)),\n"
    "    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), NULL\n"
    "FROM relation AS r JOIN pg_policy AS p ON p.polrelid = r.oid\n",

    "SELECT r.expected, r.relname, format('rule %s of %s', w.rulename, r.relname),\n"
    "  pg_get_ruledef(w.oid, true), NULL\n"
    "FROM relation AS r JOIN pg_rewrite AS w ON w.ev_class = r.oid\n"
    "WHERE w.rulename <> '_RETURN'\n",

    "SELECT r.expected, r.relname, format('heir %s of %s', h.inhrelid::regclass, r.relname), '',\n"
    "  NULL\n"
    "FROM relation AS r JOIN pg_inherits AS h ON h.inhparent = r.oid\n",

    "SELECT s.expected, NULL, format('function %s(%s)', p.proname,\n"
    "    oidvectortypes(p.proargtypes)),\n"
    "  CASE WHEN p.prokind IN ('f', 'p')\n"
    "    THEN regexp_replace(pg_get_functiondef(p.oid), '^.*?\\(', '')\n"
    "    ELSE p.prokind::text END, p.proowner\n"
    "FROM pg_proc AS p JOIN space AS s ON s.oid = p.pronamespace",
};

/*
 * Each by its name, as it should be and as it is. What belongs to a table that is missing is not
 * said to be missing, too.
 */
static const char objects_end[] =
    "),\n"
    "plain (expected, relation, name, definition) AS (\n"
    "  SELECT t.expected, t.relation, t.name,\n"
    "    regexp_replace(t.definition, 'pg_temp(_[0-9]+)?\\.', '', 'g')\n"
    "      || CASE WHEN t.expected OR t.owner IS NULL OR t.owner = o.oid THEN ''\n"
    "        ELSE ', belongs to ' || t.owner::regrole END\n"
    "  FROM thing AS t, owner AS o)\n"
    "SELECT COALESCE(e.name, a.name), e.definition, a.definition\n"
    "FROM (SELECT * FROM plain WHERE expected) AS e\n"
    "FULL JOIN (SELECT * FROM plain WHERE NOT expected) AS a ON a.name = e.name\n"
    "WHERE a.name IS NOT NULL OR e.relation IS NULL\n"
    "  OR e.relation IN (SELECT relname FROM relation WHERE NOT expected)\n"
    "ORDER BY 1";

static void add_objects(struct fv_text *text)
{
    size_t i;

    fv_text_add(text, objects_begin);
    for (i = 0; i < sizeof things / sizeof *things; i++) {
        fv_text_add(text, i ? "UNION ALL\n" : "");
        fv_text_add(text, things[i]);
    }
    fv_text_add(text, objects_end);
}

/* Of a definition that fits into a line. */
static bool is_short(const char *definition)
{
    return strlen(definition) <= 120 && !strchr(definition, '\n');
}

static int visit_object(struct check *check, const PGresult *rows, int row, flagver_error *err)
{
    const char *name = column(rows, row, 0), *expected = column(rows, row, 1),
               *actual = column(rows, row, 2);

    fv_text_add(&check->saying.line, name);
    if (expected && actual && strcmp(expected, actual) == 0)
        return fv_say_fine(&check->saying, err);
    if (!actual)
        fv_text_add(&check->saying.line, ": missing");
    else if (!expected)
        fv_text_add(&check->saying.line, ": does not belong there");
    else if (is_short(expected) && is_short(actual))
        fv_text_format(&check->saying.line, ": is %s; should be %s", actual, expected);
    else
        fv_text_add(&check->saying.line, ": is different");
    return fv_say_found(&check->saying, err);
}

static int check_objects(struct check *check, flagver_error *err)
{
    struct fv_text sql = FV_TEXT_INIT;
    int r;

    add_objects(&sql);
    r = sql.failed ? fv_fail_memory(err) : for_each(check, sql.data, NULL, visit_object, err);
    fv_text_clear(&sql);
    return r;
}

/* ---- rights ---- */

/* Things with rights, the rights that roles have on them, and who owns things. */
#define RIGHTS                                                                                     \
    "object (name, kind, acl, owner) AS (\n"                                                       \
    "  SELECT 'SCHEMA flagver', 'n'::\"char\", nspacl, nspowner FROM pg_namespace\n"               \
    "  WHERE nspname = 'flagver'\n"                                                                \
    "  UNION ALL\n"                                                                                \
    "  SELECT format('TABLE flagver.%I', c.relname), 'r', c.relacl, c.relowner\n"                  \
    "  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace\n"                      \
    "  WHERE n.nspname = 'flagver' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')\n"                   \
    "  UNION ALL\n"                                                                                \
    "  SELECT format('FUNCTION flagver.%I(%s)', p.proname, oidvectortypes(p.proargtypes)), 'f',\n" \
    "    p.proacl, p.proowner\n"                                                                   \
    "  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace\n"                       \
    "  WHERE n.nspname = 'flagver'),\n"                                                            \
    "owner (oid) AS (SELECT DISTINCT owner FROM object),\n"                                        \
    "given (object, grantee, privilege) AS (\n"                                                    \
    "  SELECT o.name, x.grantee,\n"                                                                \
    "    x.privilege_type || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END\n"     \
    "  FROM object AS o,\n"                                                                        \
    "    LATERAL aclexplode(COALESCE(o.acl, acldefault(o.kind, o.owner))) AS x\n"                  \
    "  WHERE x.grantee = o.owner OR x.grantee NOT IN (SELECT oid FROM owner)\n"                    \
    "  UNION ALL\n"                                                                                \
    "  SELECT format('COLUMN flagver.%I.%I', c.relname, a.attname), x.grantee, x.privilege_type\n" \
    "  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid\n"                          \
    "  JOIN pg_namespace AS n ON n.oid = c.relnamespace, LATERAL aclexplode(a.attacl) AS x\n"      \
    "  WHERE n.nspname = 'flagver'),\n"                                                            \
    "role (oid) AS (\n"                                                                            \
    "  SELECT DISTINCT grantee FROM given\n"                                                       \
    "  WHERE grantee <> 0 AND grantee NOT IN (SELECT oid FROM owner))"

static const char compare_rights[] =
    "WITH " RIGHTS ",\n"
    "due (object, grantee, privilege) AS (\n"
    "  SELECT o.name, x.grantee, x.privilege_type\n"
    "  FROM object AS o, LATERAL aclexplode(acldefault(o.kind, o.owner)) AS x\n"
    "  WHERE x.grantee = o.owner\n"
    "  UNION ALL\n"
    "  SELECT r.object, role.oid, p.privilege\n"
    "  FROM role, pg_temp.rights() AS r JOIN object AS o ON o.name = r.object,\n"
    "    regexp_split_to_table(r.rights, ', ') AS p (privilege))\n"
    "SELECT CASE COALESCE(d.grantee, g.grantee) WHEN 0 THEN 'PUBLIC'\n"
    "    ELSE COALESCE(d.grantee, g.grantee)::regrole::text END,\n"
    "  COALESCE(d.grantee, g.grantee) IN (SELECT oid FROM owner), g.grantee IS NULL,\n"
    "  COALESCE(d.privilege, g.privilege), COALESCE(d.object, g.object)\n"
    "FROM due AS d FULL JOIN given AS g\n"
    "  ON g.object = d.object AND g.grantee = d.grantee AND g.privilege = d.privilege\n"
    "WHERE d.grantee IS NULL OR g.grantee IS NULL\n"
    "ORDER BY 1, 5, 4";

static int visit_right(struct check *check, const PGresult *rows, int row, flagver_error *err)
{
    const char *role = column(rows, row, 0), *privilege = column(rows, row, 3),
               *object = column(rows, row, 4);
    bool owner = fv_pg_get_truth(rows, row, 1), missing = fv_pg_get_truth(rows, row, 2);

    fv_text_format(&check->saying.line, "rights of %s: %s on %s: ", role, privilege, object);
    if (!missing)
        fv_text_add(&check->saying.line, "too much; REVOKE takes it away");
    else if (owner)
        fv_text_format(&check->saying.line, "missing; GRANT %s ON %s TO %s gives it", privilege,
                       object, role);
    else
        fv_text_format(&check->saying.line,
                       "missing; flagver.admit() gives what an application's role needs, "
                       "flagver.expel() takes all away");
    return fv_say_found(&check->saying, err);
}

/* Superusers are members of everything, and found for that. */
static const char find_members[] =
    "WITH " RIGHTS "\n"
    "SELECT quote_ident(r.rolname), o.oid::regrole::text\n"
    "FROM role JOIN pg_roles AS r ON r.oid = role.oid, owner AS o\n"
    "WHERE NOT r.rolsuper AND pg_has_role(r.oid, o.oid, 'MEMBER') ORDER BY 1, 2";

static int visit_member(struct check *check, const PGresult *rows, int row, flagver_error *err)
{
    const char *role = column(rows, row, 0), *owner = column(rows, row, 1);

    fv_text_format(&check->saying.line,
                   "rights of %s: it is a member of %s, who may alter and take away what keeps "
                   "tenants apart; a role of applications must not be: REVOKE %s FROM %s",
                   role, owner, owner, role);
    return fv_say_found(&check->saying, err);
}

static int check_rights(struct check *check, flagver_error *err)
{
    int r;

    check->saying.fine = true;
    r = for_each(check, compare_rights, NULL, visit_right, err);
    if (r == 0)
        r = for_each(check, find_members, NULL, visit_member, err);
    if (r < 0 || !check->saying.fine)
        return r;
    fv_text_add(&check->saying.line, "rights of the owner and of the roles that were admitted");
    return fv_say_fine(&check->saying, err);
}

/* ---- both, beside what should be there ---- */

static const char may_compare[] =
    "SELECT has_database_privilege(current_database(), 'TEMPORARY'), quote_ident(current_user),\n"
    "  quote_ident(current_database())";

static int visit_place(struct check *check, const PGresult *rows, int row, flagver_error *err)
{
    if (fv_pg_get_truth(rows, row, 0))
        return 0;
    fv_text_format(&check->saying.line,
                   "the schema was not looked at, as the role may not make temporary tables to "
                   "compare it with: GRANT TEMPORARY ON DATABASE %s TO %s",
                   column(rows, row, 2), column(rows, row, 1));
    return fv_say_found(&check->saying, err);
}

static int compare(struct check *check, flagver_error *err)
{
    int r;

    r = for_each(check, may_compare, NULL, visit_place, err);
    if (r < 0 || !check->saying.fine)
        return r;
    r = make_expected(check, err);
    if (r == 0)
        r = check_objects(check, err);
    return r == 0 ? check_rights(check, err) : r;
}

/* ---- contents ---- */

static int visit_contradiction(struct check *check, const PGresult *rows, int row,
                               flagver_error *err)
{
    fv_text_add(&check->saying.line, column(rows, row, 0));
    return fv_say_found(&check->saying, err);
}

#define OF_VERSION(table)                                                                          \
    "SELECT format('%s: a row of version %s of series %s refers to a version that is not there', " \
    "'table " table "', x.no, x.series) FROM flagver." table " AS x WHERE x.tenant = $1 AND NOT "  \
    "EXISTS (SELECT 1 FROM flagver.version AS v WHERE v.tenant = $1 AND v.series = x.series AND "  \
    "v.no = x.no)"

#define TO_PAYLOAD(table)                                                                          \
    "SELECT format('%s: a row of version %s of series %s refers to a payload that is not there', " \
    "'table " table "', x.no, x.series) FROM flagver." table " AS x WHERE x.tenant = $1 AND NOT "  \
    "EXISTS (SELECT 1 FROM flagver.payload AS p WHERE p.tenant = $1 AND p.id = x.payload)"

/* They yield what breaks them, in the tenant $1. */
static const struct {
    const char *name, *sql;
} rules[] = {
    { "references of version", TO_PAYLOAD("version") },
    { "series of versions",
      "SELECT format('version %s of series %s: there is no such series', v.no, v.series) FROM "
      "flagver.version AS v WHERE v.tenant = $1 AND NOT EXISTS (SELECT 1 FROM flagver.series AS s "
      "WHERE s.tenant = $1 AND s.id = v.series)" },
    { "references of item", OF_VERSION("item") " UNION ALL " TO_PAYLOAD("item") },
    { "references of vote", OF_VERSION("vote") },
    { "references of contributor", OF_VERSION("contributor") },
    { "logs as long as they say",
      "SELECT format('the log of %s says %s leaves and has %s', $1, COALESCE(size, 0), n) FROM "
      "(SELECT (SELECT size FROM flagver.log WHERE tenant = $1) AS size, (SELECT count(*) FROM "
      "flagver.leaf WHERE tenant = $1) AS n) AS l WHERE COALESCE(size, 0) <> n" },
    { "logs without gaps",
      "SELECT format('the log of %s begins with %s and ends with %s', $1, min(no), max(no)) FROM "
      "flagver.leaf WHERE tenant = $1 HAVING min(no) <> 0 OR max(no) <> count(*) - 1" },
    { "numbers without gaps",
      "SELECT format('%s %s of %s ends with %s and has %s versions', phase, subject, $1, last, n) "
      "FROM (SELECT s.phase, s.subject, COALESCE(s.last_no, 0) AS last, count(v.no) AS n, "
      "COALESCE(max(v.no), 0) AS greatest FROM flagver.series AS s LEFT JOIN flagver.version AS v "
      "ON v.tenant = $1 AND v.series = s.id WHERE s.tenant = $1 GROUP BY s.id, s.phase, s.subject, "
      "s.last_no) AS l WHERE last <> n OR last <> greatest" },
    { "what is current is in force",
      "SELECT format('%s %s of %s: version %s is current, in state %s', s.phase, s.subject, $1, "
      "s.current_no, COALESCE(v.state, 0)) FROM flagver.series AS s LEFT JOIN flagver.version AS v "
      "ON v.tenant = $1 AND v.series = s.id AND v.no = s.current_no WHERE s.tenant = $1 AND "
      "s.current_no IS NOT NULL AND COALESCE(v.state, 0) NOT IN (3, 7)" },
    { "what is approved is current",
      "SELECT format('%s %s of %s: version %s is approved and not current', s.phase, s.subject, "
      "$1, v.no) FROM flagver.version AS v JOIN flagver.series AS s ON s.tenant = $1 AND s.id = "
      "v.series WHERE v.tenant = $1 AND v.state = 3 AND v.no IS DISTINCT FROM s.current_no" },
};

#define RULES (sizeof rules / sizeof *rules)

/* One statement that yields the number of a rule and what breaks it. */
static void add_rules(struct fv_text *text)
{
    size_t i;

    for (i = 0; i < RULES; i++)
        fv_text_format(text, "%sSELECT %zu::bigint, line FROM (%s) AS r%zu (line)",
                       i ? " UNION ALL " : "", i, rules[i].sql, i);
}

static int check_tenant(struct check *check, const char *sql, const char *tenant,
                        bool broken[RULES], flagver_error *err)
{
    const struct fv_pg_statement statement = { -1, sql };
    struct fv_pg_parameters parameters = { .count = 0 };
    PGresult *rows;
    int r, row;

    r = set(check, "flagver.tenant", tenant, err);
    if (r < 0)
        return r;
    fv_pg_text(&parameters, (flagver_bytes){ tenant, strlen(tenant) });
    r = fv_pg_query(check->conn, &statement, &parameters, &rows, err);
    if (r < 0)
        return r;
    for (row = 0; r == 0 && row < PQntuples(rows); row++) {
        broken[fv_pg_get_number(rows, row, 0)] = true;
        fv_text_add(&check->saying.line, column(rows, row, 1));
        r = fv_say_found(&check->saying, err);
    }
    PQclear(rows);
    return r;
}

static const struct fv_pg_statement find_tenants = {
    -1, "SELECT tenant FROM flagver.series UNION SELECT tenant FROM flagver.log ORDER BY 1"
};

static int check_tenants(struct check *check, flagver_error *err)
{
    struct fv_text sql = FV_TEXT_INIT;
    bool broken[RULES] = { false };
    PGresult *tenants;
    int r, row;
    size_t i;

    r = fv_pg_query(check->conn, &find_tenants, NULL, &tenants, err);
    if (r < 0)
        return r;
    add_rules(&sql);
    if (sql.failed)
        r = fv_fail_memory(err);
    for (row = 0; r == 0 && row < PQntuples(tenants); row++)
        r = check_tenant(check, sql.data, column(tenants, row, 0), broken, err);
    for (i = 0; r == 0 && i < RULES; i++)
        if (!broken[i]) {
            fv_text_add(&check->saying.line, rules[i].name);
            r = fv_say_fine(&check->saying, err);
        }
    PQclear(tenants);
    fv_text_clear(&sql);
    return r;
}

/* Is the role the owner, one that has its rights, or one that sees everything? */
#define SEES_NAMES                                                                             \
    "SELECT pg_has_role(current_user, c.relowner, 'USAGE') FROM pg_class AS c JOIN "           \
    "pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'flagver' AND c.relname = " \
    "'series'"

static int check_rows(struct check *check, flagver_error *err)
{
    bool sees_names;
    int r;

    r = for_each(check,
                 "SELECT format('flagver.meta has %s rows', count(*)) FROM flagver.meta HAVING "
                 "count(*) <> 1",
                 NULL, visit_contradiction, err);
    if (r == 0)
        r = set(check, "flagver.tenant", "", err);
    if (r == 0)
        r = ask_truth(check, SEES_NAMES, &sees_names, err);
    if (r < 0)
        return r;
    if (sees_names || check->conn->bypasses)
        return check_tenants(check, err);
    fv_text_add(&check->saying.line,
                "rows: only the owner sees whose there are, and was not asked");
    return fv_say_fine(&check->saying, err);
}

/* ---- isolation ---- */

/*
 * Some of everything is written for two tenants, as a role that is to see one of them. The same
 * ids, since keys of one tenant must not be in the way of another's.
 */
#define OTHERS "flagver.canary.b"
#define OURS "flagver.canary.a"
#define NOBODYS "flagver.canary.c"
#define WHOSE "current_setting('flagver.canary')"
#define ID "'00000000-0000-4000-8000-000000000001'"
#define HASH "decode(repeat('00', 32), 'hex')"

static const struct {
    const char *table; /* that gets a row, or NULL */
    const char *sql;
} canary[] = {
    { "payload", "INSERT INTO flagver.payload (tenant, id, body) VALUES (" WHOSE ", " ID ", '')" },
    { "series", "INSERT INTO flagver.series (tenant, id, phase, subject, last_no, rev, changed_at) "
                "VALUES (" WHOSE ", " ID ", 'flagver.flag', 'canary', 1, 1, 1)" },
    { "version", "INSERT INTO flagver.version (tenant, series, no, id, state, bits, rev, "
                 "created_at, created_by, payload, content_hash) VALUES (" WHOSE ", " ID ", 1, " ID
                 ", 1, 0, 1, 1, 'canary', " ID ", " HASH ")" },
    { "item", "INSERT INTO flagver.item (tenant, series, no, key, status, payload, hash) VALUES "
              "(" WHOSE ", " ID ", 1, 'canary', 0, " ID ", " HASH ")" },
    { "contributor", "INSERT INTO flagver.contributor (tenant, series, no, actor) VALUES (" WHOSE
                     ", " ID ", 1, 'canary')" },
    { NULL, "UPDATE flagver.version SET state = 2, rev = 2 WHERE tenant = " WHOSE },
    { "vote", "INSERT INTO flagver.vote (tenant, series, no, actor, content_hash, time) VALUES "
              "(" WHOSE ", " ID ", 1, 'canary', " HASH ", 1)" },
    { NULL, "UPDATE flagver.version SET state = 3, rev = 3, decided_at = 1, decided_by = 'canary' "
            "WHERE tenant = " WHOSE },
    { NULL, "UPDATE flagver.series SET current_no = 1, rev = 2 WHERE tenant = " WHOSE },
    { "leaf",
      "INSERT INTO flagver.leaf (tenant, no, leaf, hash) VALUES (" WHOSE ", 0, '', " HASH ")" },
    { "node",
      "INSERT INTO flagver.node (tenant, level, no, hash) VALUES (" WHOSE ", 4, 0, " HASH ")" },
    { "keyed", "INSERT INTO flagver.keyed (tenant, space, key, rev, time, value) VALUES (" WHOSE
               ", 'canary', 'canary', 1, 1, '')" },
};

#define CANARY (sizeof canary / sizeof *canary)

static int act_for(struct check *check, const char *tenant, const char *whose, flagver_error *err)
{
    int r = set(check, "flagver.tenant", tenant, err);

    return r == 0 ? set(check, "flagver.canary", whose, err) : r;
}

static int write_canary(struct check *check, const char *tenant, flagver_error *err)
{
    int r = act_for(check, tenant, tenant, err);
    size_t i;

    for (i = 0; r == 0 && i < CANARY; i++)
        r = fv_pg_execute(check->conn, canary[i].sql, err);
    return r;
}

static const char *const seen[] = { "series",
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

#define SEEN (sizeof seen / sizeof *seen)

/* Of each table and view: its name, does it show a row of ours, and one of others'? */
static void add_looks(struct fv_text *text)
{
    size_t i;

    for (i = 0; i < SEEN; i++)
        fv_text_format(text,
                       "%sSELECT '%s', EXISTS (SELECT 1 FROM flagver.%s WHERE tenant = '" OURS
                       "'), EXISTS (SELECT 1 FROM flagver.%s WHERE tenant = '" OTHERS "')",
                       i ? " UNION ALL " : "", seen[i], seen[i], seen[i]);
}

static int look(struct check *check, each_row *visit, flagver_error *err)
{
    struct fv_text sql = FV_TEXT_INIT;
    int r;

    add_looks(&sql);
    r = sql.failed ? fv_fail_memory(err) : for_each(check, sql.data, NULL, visit, err);
    fv_text_clear(&sql);
    return r;
}

static int visit_as_ours(struct check *check, const PGresult *rows, int row, flagver_error *err)
{
    bool ours = fv_pg_get_truth(rows, row, 1), others = fv_pg_get_truth(rows, row, 2);
    const char *name = column(rows, row, 0);

    if (ours && !others)
        return 0;
    fv_text_format(&check->saying.line,
                   others ? "%s: sees rows of another tenant in %s"
                          : "%s: does not see its own rows in %s",
                   check->subject, name);
    return fv_say_found(&check->saying, err);
}

static int visit_as_nobody(struct check *check, const PGresult *rows, int row, flagver_error *err)
{
    if (!fv_pg_get_truth(rows, row, 1) && !fv_pg_get_truth(rows, row, 2))
        return 0;
    fv_text_format(&check->saying.line, "%s: sees rows in %s while no tenant is set",
                   check->subject, column(rows, row, 0));
    return fv_say_found(&check->saying, err);
}

/* The same for the owner, who may see whose series and logs there are. */
static int visit_as_owner(struct check *check, const PGresult *rows, int row, flagver_error *err)
{
    const char *name = column(rows, row, 0);

    if (strcmp(name, "series") == 0 || strcmp(name, "log") == 0)
        return 0;
    return visit_as_nobody(check, rows, row, err);
}

/* Each row in turn, of a tenant that has none: every one has to be refused. */
static int try_to_write(struct check *check, flagver_error *err)
{
    int r = act_for(check, OURS, NOBODYS, err);
    size_t i;

    for (i = 0; r == 0 && i < CANARY; i++) {
        if (!canary[i].table)
            continue;
        r = fv_pg_execute(check->conn, "SAVEPOINT row", err);
        if (r == 0 && fv_pg_execute(check->conn, canary[i].sql, err) == 0) {
            fv_text_format(&check->saying.line, "%s: writes rows of another tenant into %s",
                           check->subject, canary[i].table);
            r = fv_say_found(&check->saying, err);
        }
        if (r == 0)
            r = fv_pg_execute(check->conn, "ROLLBACK TO SAVEPOINT row", err);
    }
    return r;
}

static int keep_apart(struct check *check, flagver_error *err)
{
    bool sees_names = false;
    int r = write_canary(check, OTHERS, err);

    if (r == 0)
        r = write_canary(check, OURS, err);
    if (r == 0)
        r = look(check, visit_as_ours, err);
    if (r == 0)
        r = try_to_write(check, err);
    if (r == 0)
        r = set(check, "flagver.tenant", "", err);
    if (r == 0)
        r = ask_truth(check, SEES_NAMES, &sees_names, err);
    if (r == 0)
        r = look(check, sees_names ? visit_as_owner : visit_as_nobody, err);
    if (r < 0 || !check->saying.fine)
        return r;
    fv_text_add(&check->saying.line, check->subject);
    return fv_say_fine(&check->saying, err);
}

struct role {
    const char *name;
    bool bypasses, ourselves;
};

static int as_role(struct check *check, const struct role *role, flagver_error *err)
{
    flagver_error failure;
    int r = role->ourselves ? 0 : set(check, "role", role->name, &failure);

    if (r == 0)
        return keep_apart(check, err);
    if (strcmp(failure.sqlstate, "42501") != 0) {
        if (err)
            *err = failure;
        return r;
    }
    fv_text_format(&check->saying.line, "%s: not tried, as only a member may SET ROLE %s",
                   check->subject, role->name);
    return fv_say_fine(&check->saying, err);
}

static int check_role(struct check *check, const struct role *role, flagver_error *err)
{
    struct fv_text subject = FV_TEXT_INIT;
    flagver_error failure;
    int r;

    fv_text_format(&subject, "isolation of tenants as role %s", role->name);
    if (subject.failed)
        return fv_fail_memory(err);
    check->subject = subject.data;
    check->saying.fine = true;
    if (role->bypasses) {
        fv_text_format(&check->saying.line,
                       "%s: none, row-level security does not bind it; use a role that is neither "
                       "SUPERUSER nor BYPASSRLS",
                       subject.data);
        r = fv_say_found(&check->saying, err);
    } else {
        r = fv_pg_execute(check->conn, WRITING "; " SETTINGS, &failure);
        if (r == 0)
            r = fv_pg_limit_locks(check->conn, &failure);
        if (r == 0)
            r = as_role(check, role, &failure);
        if (!check->conn->broken)
            fv_pg_execute(check->conn, "ROLLBACK", NULL);
        r = forgive(check, subject.data, r, &failure, err);
    }
    fv_text_clear(&subject);
    return r;
}

static const struct fv_pg_statement find_roles = {
    -1, "WITH " RIGHTS "\n"
        "SELECT rolname::text, rolsuper OR rolbypassrls, rolname = current_user FROM pg_roles\n"
        "WHERE oid IN (SELECT oid FROM role) OR rolname = current_user ORDER BY 3 DESC, 1"
};

/* As ourselves, and as each role that has rights. */
static int check_isolation(struct check *check, flagver_error *err)
{
    PGresult *rows;
    struct role role;
    int r, row;

    r = fv_pg_query(check->conn, &find_roles, NULL, &rows, err);
    if (r < 0)
        return r;
    for (row = 0; r == 0 && row < PQntuples(rows); row++) {
        role = (struct role){ .name = column(rows, row, 0),
                              .bypasses = fv_pg_get_truth(rows, row, 1),
                              .ourselves = fv_pg_get_truth(rows, row, 2) };
        r = check_role(check, &role, err);
    }
    PQclear(rows);
    return r;
}

/* ---- all of it ---- */

/* The version that it should be: its own; where there is none, or none that makes sense, ours. */
static int find_version(struct check *check, bool *ret_there, flagver_error *err)
{
    struct fv_pg_meta meta = { .version = 0 };
    int r = fv_pg_aside_begin(check->conn, err);

    if (r == 0)
        r = fv_pg_aside_end(check->conn, fv_pg_meta_read(check->conn, &meta, err), err);
    *ret_there = r < 0 || meta.version > 0;
    if (r == FLAGVER_ESCHEMA || r == FLAGVER_ECORRUPT)
        r = 0; /* that will be found */
    if (r == 0 && meta.version > FLAGVER_SCHEMA_VERSION)
        r = fv_fail(err, FLAGVER_ESCHEMA, "the database has schema %u; this library knows up to %u",
                    (unsigned)meta.version, FLAGVER_SCHEMA_VERSION);
    check->version = meta.version ? meta.version : FLAGVER_SCHEMA_VERSION;
    return r;
}

static int on_standby(struct check *check, flagver_error *err)
{
    fv_text_add(&check->saying.line,
                "the schema and the isolation of tenants were not looked at, as this is a standby: "
                "verify on the server that it follows");
    return fv_say_found(&check->saying, err);
}

static int verify(struct check *check, flagver_error *err)
{
    bool standby = check->conn->standby, there;
    int r;

    r = find_version(check, &there, err);
    if (r < 0)
        return r;
    r = standby ? on_standby(check, err)
                : in_transaction(check, WRITING, "the schema", compare, err);
    if (r == 0 && there)
        r = in_transaction(check, READING, "rows", check_rows, err);
    if (r == 0 && there && !standby)
        r = check_isolation(check, err);
    return r;
}

int fv_pg_schema_verify(flagver_store *store, void (*found)(void *data, const char *line),
                        void (*checked)(void *data, const char *line), void *data,
                        flagver_error *err)
{
    struct check check = { .saying = { found, checked, data, FV_TEXT_INIT, false } };
    int r;

    r = fv_pg_pool_take(store, FLAGVER_MODE_WRITE, &check.conn, NULL, err);
    if (r < 0)
        return r;
    r = verify(&check, err);
    fv_pg_pool_put(check.conn);
    fv_text_clear(&check.saying.line);
    return r;
}
