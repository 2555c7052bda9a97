#include <string.h>

#include "driver/sqlite_internal.h"
#include "util/fail.h"
#include "util/memory.h"

/*
 * What should be there is made in a database in memory, by the same statements; then the
 * texts that SQLite keeps of tables, indexes and triggers are compared. A store that has not been
 * upgraded is to be what its version says, and is sound as that.
 */

struct check {
    struct fv_sqlite *conn;     /* what is there */
    struct fv_sqlite *expected; /* what should be */
    struct fv_saying saying;
};

/* What cannot be looked at because the database is damaged is something that was found. */
static int forgive(struct check *check, const char *what, int r, const flagver_error *failure,
                   flagver_error *err)
{
    if (r == FLAGVER_ECORRUPT || r == FLAGVER_ESCHEMA) {
        fv_text_format(&check->saying.line, "%s: %s", what, failure->message);
        return fv_say_found(&check->saying, err);
    }
    if (r < 0 && err)
        *err = *failure;
    return r;
}

/* ---- texts of definitions ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool stands_alone(char c)
{
    return c == '(' || c == ')' || c == ',';
}

/* Spaces that say nothing are left out, but not within quotes. */
static void normalise(struct fv_text *text, const char *sql)
{
    char quote = 0, last = 0;
    bool space = false;

    for (; *sql; sql++) {
        if (!quote && is_space(*sql)) {
            space = true;
            continue;
        }
        if (space && last && !stands_alone(last) && !stands_alone(*sql))
            fv_text_add_char(text, ' ');
        space = false;
        if (quote)
            quote = *sql == quote ? 0 : quote;
        else if (*sql == '\'' || *sql == '"' || *sql == '`')
            quote = *sql;
        fv_text_add_char(text, *sql);
        last = *sql;
    }
}

/* A part of a CREATE TABLE: a column, a constraint, or what follows the list of them. */
struct part {
    const char *at;
    size_t length;
};

static bool same_part(struct part a, struct part b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

/* The next part behind *at in a normalised definition; false at its end. */
static bool next_part(const char **at, struct part *ret_part)
{
    const char *end = *at;
    char quote = 0;
    int depth = 0;

    if (!*end)
        return false;
    for (; *end; end++) {
        if (quote) {
            quote = *end == quote ? 0 : quote;
            continue;
        }
        if (*end == '\'' || *end == '"' || *end == '`')
            quote = *end;
        if (*end == ')' && depth == 0)
            break;
        if (*end == ',' && depth == 0)
            break;
        depth += (*end == '(') - (*end == ')');
    }
    *ret_part = (struct part){ *at, (size_t)(end - *at) };
    *at = *end ? end + 1 : end;
    return true;
}

static const char *first_part(const char *definition)
{
    const char *list = strchr(definition, '(');

    return list ? list + 1 : definition;
}

static bool has_part(const char *definition, struct part part)
{
    const char *at = first_part(definition);
    struct part other;

    while (next_part(&at, &other))
        if (same_part(other, part))
            return true;
    return false;
}

static int compare_tables(struct check *check, const char *name, const char *expected,
                          const char *actual, flagver_error *err)
{
    const char *at;
    struct part part;
    bool there;
    int r = 0;

    for (at = first_part(expected); r == 0 && next_part(&at, &part);) {
        there = has_part(actual, part);
        fv_text_format(&check->saying.line, "table %s: %.*s%s", name, (int)part.length, part.at,
                       there ? "" : ": missing or different");
        r = there ? fv_say_fine(&check->saying, err) : fv_say_found(&check->saying, err);
    }
    for (at = first_part(actual); r == 0 && next_part(&at, &part);) {
        if (has_part(expected, part))
            continue;
        fv_text_format(&check->saying.line, "table %s: %.*s: does not belong there", name,
                       (int)part.length, part.at);
        r = fv_say_found(&check->saying, err);
    }
    if (r == 0 && check->saying.fine && strcmp(expected, actual) != 0) {
        fv_text_format(&check->saying.line, "table %s: its columns are in another order", name);
        r = fv_say_found(&check->saying, err);
    }
    return r;
}

static int compare_texts(struct check *check, const char *type, const char *name,
                         const char *expected, const char *actual, flagver_error *err)
{
    bool same = strcmp(expected, actual) == 0;

    if (strcmp(type, "table") == 0)
        return compare_tables(check, name, expected, actual, err);
    fv_text_format(&check->saying.line, "%s %s%s", type, name, same ? "" : ": is different");
    return same ? fv_say_fine(&check->saying, err) : fv_say_found(&check->saying, err);
}

/* ---- objects ---- */

static int find_definition(struct fv_sqlite *conn, const char *type, const char *name,
                           struct fv_text *text, flagver_error *err)
{
    sqlite3_stmt *statement;
    const char *sql;
    int r;

    r = fv_sqlite_prepare(conn, "SELECT sql FROM main.sqlite_schema WHERE type = ? AND name = ?",
                          &statement, err);
    if (r < 0)
        return r;
    sqlite3_bind_text(statement, 1, type, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        sql = (const char *)sqlite3_column_text(statement, 0);
        normalise(text, sql ? sql : "");
    }
    r = r == SQLITE_ROW || r == SQLITE_DONE ? 0 : fv_sqlite_fail(conn, err);
    sqlite3_finalize(statement);
    return r == 0 && text->failed ? fv_fail_memory(err) : r;
}

static int check_object(struct check *check, const char *type, const char *name, const char *sql,
                        flagver_error *err)
{
    struct fv_text expected = FV_TEXT_INIT, actual = FV_TEXT_INIT;
    int r;

    check->saying.fine = true;
    normalise(&expected, sql);
    r = find_definition(check->conn, type, name, &actual, err);
    if (r == 0 && expected.failed)
        r = fv_fail_memory(err);
    if (r == 0 && !actual.length) {
        fv_text_format(&check->saying.line, "%s %s: missing", type, name);
        r = fv_say_found(&check->saying, err);
    } else if (r == 0) {
        r = compare_texts(check, type, name, expected.data, actual.data, err);
    }
    fv_text_clear(&expected);
    fv_text_clear(&actual);
    return r;
}

/* One row of what a statement yields; negative ends it. */
typedef int each_row(struct check *check, sqlite3_stmt *row, flagver_error *err);

static int for_each(struct check *check, struct fv_sqlite *conn, const char *sql, each_row *visit,
                    flagver_error *err)
{
    sqlite3_stmt *statement;
    int r, step = SQLITE_ROW;

    r = fv_sqlite_prepare(conn, sql, &statement, err);
    while (r == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW)
        r = visit(check, statement, err);
    if (r == 0 && step != SQLITE_DONE)
        r = fv_sqlite_fail(conn, err);
    sqlite3_finalize(statement);
    return r;
}

static const char *column(sqlite3_stmt *row, int number)
{
    const char *text = (const char *)sqlite3_column_text(row, number);

    return text ? text : "";
}

static int visit_expected(struct check *check, sqlite3_stmt *row, flagver_error *err)
{
    return check_object(check, column(row, 0), column(row, 1), column(row, 2), err);
}

static int visit_actual(struct check *check, sqlite3_stmt *row, flagver_error *err)
{
    struct fv_text expected = FV_TEXT_INIT;
    const char *type = column(row, 0), *name = column(row, 1), *on = column(row, 2);
    int r;

    r = find_definition(check->expected, type, name, &expected, err);
    if (r == 0 && !expected.length) {
        fv_text_format(&check->saying.line, "%s %s%s%s: does not belong there", type, name,
                       strcmp(on, name) == 0 ? "" : " on ", strcmp(on, name) == 0 ? "" : on);
        r = fv_say_found(&check->saying, err);
    }
    fv_text_clear(&expected);
    return r;
}

/* Indexes that SQLite makes for keys have no text; they follow from the table's. */
static int check_objects(struct check *check, flagver_error *err)
{
    int r;

    r = for_each(
        check, check->expected,
        "SELECT type, name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid",
        visit_expected, err);
    if (r < 0)
        return r;
    return for_each(check, check->conn,
                    "SELECT type, name, tbl_name FROM main.sqlite_schema WHERE sql IS NOT NULL AND "
                    "(name LIKE 'flagver!_%' ESCAPE '!' OR tbl_name LIKE 'flagver!_%' ESCAPE '!') "
                    "ORDER BY rowid",
                    visit_actual, err);
}

/* ---- contents ---- */

static int visit_damage(struct check *check, sqlite3_stmt *row, flagver_error *err)
{
    const char *words;
    size_t length;

    if (strcmp(column(row, 0), "ok") == 0)
        return 0;
    fv_text_add(&check->saying.line, "damaged:");
    /* SQLite says where it is in a line of its own. */
    for (words = column(row, 0); *words; words += length + (words[length] != '\0')) {
        length = strcspn(words, "\n");
        fv_text_format(&check->saying.line, " %.*s", (int)length, words);
    }
    return fv_say_found(&check->saying, err);
}

static int visit_orphan(struct check *check, sqlite3_stmt *row, flagver_error *err)
{
    fv_text_format(&check->saying.line, "table %s: a row refers to one of %s that is not there",
                   column(row, 0), column(row, 2));
    return fv_say_found(&check->saying, err);
}

static int visit_contradiction(struct check *check, sqlite3_stmt *row, flagver_error *err)
{
    fv_text_add(&check->saying.line, column(row, 0));
    return fv_say_found(&check->saying, err);
}

struct rule {
    uint32_t since; /* this version of the schema */
    const char *name;
    const char *sql; /* yields what breaks it */
    each_row *visit;
};

static const struct rule rules[] = {
    { 1, "no damage", "PRAGMA main.integrity_check", visit_damage },
    { 1, "references of flagver_series", "PRAGMA main.foreign_key_check(flagver_series)",
      visit_orphan },
    { 1, "references of flagver_version", "PRAGMA main.foreign_key_check(flagver_version)",
      visit_orphan },
    { 2, "references of flagver_item", "PRAGMA main.foreign_key_check(flagver_item)",
      visit_orphan },
    { 2, "references of flagver_vote", "PRAGMA main.foreign_key_check(flagver_vote)",
      visit_orphan },
    { 2, "references of flagver_contributor", "PRAGMA main.foreign_key_check(flagver_contributor)",
      visit_orphan },
    { 1, "one identity",
      "SELECT 'flagver_meta has ' || count(*) || ' rows' FROM main.flagver_meta HAVING count(*) <> "
      "1",
      visit_contradiction },
    { 1, "logs as long as they say",
      "SELECT 'the log of ' || tenant || ' says ' || size || ' leaves and has ' || n FROM (SELECT "
      "tenant, size, (SELECT count(*) FROM main.flagver_leaf f WHERE f.tenant = l.tenant) AS n "
      "FROM main.flagver_log l) WHERE size <> n UNION ALL SELECT 'the log of ' || tenant || ' has "
      "leaves and no size' FROM (SELECT DISTINCT tenant FROM main.flagver_leaf) WHERE tenant NOT "
      "IN (SELECT tenant FROM main.flagver_log)",
      visit_contradiction },
    { 1, "logs without gaps",
      "SELECT 'the log of ' || tenant || ' begins with ' || min(no) || ' and ends with ' || "
      "max(no) "
      "FROM main.flagver_leaf GROUP BY tenant HAVING min(no) <> 0 OR max(no) <> count(*) - 1",
      visit_contradiction },
    { 1, "numbers without gaps",
      "SELECT phase || ' ' || subject || ' of ' || tenant || ' ends with ' || last || ' and has ' "
      "|| n || ' versions' FROM (SELECT tenant, phase, subject, ifnull(last_no, 0) AS last, "
      "(SELECT "
      "count(*) FROM main.flagver_version WHERE series = s.id) AS n FROM main.flagver_series s) "
      "WHERE last <> n",
      visit_contradiction },
    { 1, "what is current is in force",
      "SELECT s.phase || ' ' || s.subject || ' of ' || s.tenant || ': version ' || s.current_no || "
      "' is current, in state ' || v.state FROM main.flagver_series s JOIN main.flagver_version v "
      "ON v.series = s.id AND v.no = s.current_no WHERE v.state NOT IN (3, 7)",
      visit_contradiction },
    { 1, "what is approved is current",
      "SELECT s.phase || ' ' || s.subject || ' of ' || s.tenant || ': version ' || v.no || ' is "
      "approved and not current' FROM main.flagver_version v JOIN main.flagver_series s ON s.id = "
      "v.series WHERE v.state = 3 AND v.no IS NOT s.current_no",
      visit_contradiction },
    { 1, "one successor for each",
      "SELECT 'version ' || superseded_by || ' of series ' || hex(series) || ' supersedes ' || "
      "count(*) || ' versions' FROM main.flagver_version WHERE superseded_by IS NOT NULL GROUP BY "
      "series, superseded_by HAVING count(*) > 1",
      visit_contradiction },
};

static int check_rule(struct check *check, const struct rule *rule, flagver_error *err)
{
    flagver_error failure;
    int r;

    check->saying.fine = true;
    r = for_each(check, check->conn, rule->sql, rule->visit, &failure);
    r = forgive(check, rule->name, r, &failure, err);
    if (r < 0 || !check->saying.fine)
        return r;
    fv_text_add(&check->saying.line, rule->name);
    return fv_say_fine(&check->saying, err);
}

/* ---- all of it ---- */

static int check_all(struct check *check, uint32_t version, flagver_error *err)
{
    flagver_error failure;
    size_t i;
    int r;

    r = check_objects(check, &failure);
    r = forgive(check, "the schema", r, &failure, err);
    for (i = 0; r == 0 && i < sizeof rules / sizeof *rules; i++)
        if (rules[i].since <= version)
            r = check_rule(check, &rules[i], err);
    return r;
}

static int connect_expected(flagver_store *store, uint32_t version, struct fv_sqlite **ret_conn,
                            flagver_error *err)
{
    struct fv_sqlite *conn = fv_allocate_zeroed(store->memory, 1, sizeof *conn);
    int r;

    if (!conn)
        return fv_fail_memory(err);
    conn->store = store;
    r = sqlite3_open_v2(":memory:", &conn->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                            SQLITE_OPEN_PRIVATECACHE,
                        NULL) == SQLITE_OK
            ? fv_sqlite_schema_move(conn, version, err)
            : fv_fail_memory(err);
    if (r < 0) {
        fv_sqlite_disconnect(conn, true);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

/* The version that it should be: its own; where there is none, or none that makes sense, ours. */
static int find_version(struct fv_sqlite *conn, uint32_t *ret_version, flagver_error *err)
{
    struct fv_sqlite_meta meta;
    int r;

    *ret_version = FLAGVER_SCHEMA_VERSION;
    r = fv_sqlite_meta_read(conn, &meta, err);
    if (r == FLAGVER_ESCHEMA || r == FLAGVER_ECORRUPT)
        return 0; /* that will be found */
    if (r == 0 && meta.version > FLAGVER_SCHEMA_VERSION)
        r = fv_fail(err, FLAGVER_ESCHEMA, "%.500s has schema %u; this library knows up to %u",
                    conn->store->path, (unsigned)meta.version, FLAGVER_SCHEMA_VERSION);
    if (r == 0 && meta.version > 0)
        *ret_version = meta.version;
    return r;
}

static int verify(struct check *check, flagver_error *err)
{
    uint32_t version;
    int r;

    r = find_version(check->conn, &version, err);
    if (r == 0)
        r = connect_expected(check->conn->store, version, &check->expected, err);
    if (r < 0)
        return r;
    r = check_all(check, version, err);
    fv_sqlite_disconnect(check->expected, true);
    return r;
}

int fv_sqlite_schema_verify(flagver_store *store, void (*found)(void *data, const char *line),
                            void (*checked)(void *data, const char *line), void *data,
                            flagver_error *err)
{
    struct check check = { .saying = { found, checked, data, FV_TEXT_INIT, false } };
    int r;

    r = fv_sqlite_pool_take(store, FLAGVER_MODE_READ, &check.conn, err);
    if (r < 0)
        return r;
    r = fv_sqlite_execute(check.conn, "BEGIN", err);
    if (r == 0)
        r = verify(&check, err);
    sqlite3_exec(check.conn->db, "ROLLBACK", NULL, NULL, NULL);
    fv_sqlite_pool_put(store, FLAGVER_MODE_READ, check.conn);
    fv_text_clear(&check.saying.line);
    return r;
}
