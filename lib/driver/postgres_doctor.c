#define _DEFAULT_SOURCE /* clock_gettime, statvfs */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"

/*
 * What only the database can tell of itself before a deployment. What the schema should be, and that
 * tenants are kept apart, postgres_verify.c looks at.
 */

#define LINE_SIZE 2048
#define MIB (INT64_C(1) << 20)
#define LITTLE_ROOM (256 * MIB)
#define NO_ROOM (16 * MIB)
#define SKEW_TOLERANCE_MS 2000
#define LAG_TOLERANCE_S 10
#define LONG_TRANSACTION_S 3600

enum { OK = FLAGVER_FINDING_OK, WARNING = FLAGVER_FINDING_WARNING, BAD = FLAGVER_FINDING_ERROR };

struct examination {
    struct fv_pg *conn;
    void (*visit)(void *data, int finding, const char *line);
    void *data;
    int64_t asked_ms, answered_ms; /* of the statement whose rows are looked at, by our clock */
};

static void say(const struct examination *examination, int finding, const char *format, ...)
    FV_TEXT_FORMAT(3, 4);

static void say(const struct examination *examination, int finding, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    examination->visit(examination->data, finding, line);
}

/* Texts come without a NUL of the server's; libpq puts one behind them. */
static const char *text(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column);
}

static int64_t number(const PGresult *rows, int column)
{
    return fv_pg_get_number(rows, 0, column);
}

/* ---- the server, and who we are there ---- */

static const char about_server[] =
    "SELECT current_setting('server_version'), getdatabaseencoding()::text, current_user::text,\n"
    "  rolsuper, rolbypassrls,\n"
    "  (SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'flagver'),\n"
    "  (SELECT pg_has_role(nspowner, 'MEMBER') FROM pg_namespace WHERE nspname = 'flagver')\n"
    "FROM pg_roles WHERE rolname = current_user";

static void judge_role(const struct examination *examination, const PGresult *rows)
{
    const char *role = text(rows, 0, 2), *owner = text(rows, 0, 5);
    bool super = fv_pg_get_truth(rows, 0, 3);

    if (super || fv_pg_get_truth(rows, 0, 4))
        say(examination, WARNING,
            "role \"%s\" %s: row-level security does not bind it, and every tenant but \"default\" "
            "is refused to it; let applications use a role without that, which the owner admits: "
            "SELECT flagver.admit('ROLE')",
            role, super ? "is a superuser" : "has BYPASSRLS");
    else if (fv_pg_get_truth(rows, 0, 6))
        say(examination, OK,
            "role \"%s\" %s the schema: it is for flagver schema and doctor; applications need "
            "less, which flagver.admit('ROLE') gives",
            role, strcmp(role, owner) == 0 ? "owns" : "is a member of the one that owns");
    else
        say(examination, OK, "role \"%s\" is bound by row-level security%s%s%s", role,
            *owner ? "; the schema belongs to \"" : "", owner, *owner ? "\"" : "");
}

static void judge_server(struct examination *examination, const PGresult *rows)
{
    const char *encoding = text(rows, 0, 1);

    say(examination, OK, "the server is PostgreSQL %s", text(rows, 0, 0));
    if (strcmp(encoding, "UTF8") == 0)
        say(examination, OK, "the database's encoding is UTF8");
    else
        say(examination, BAD,
            "the database's encoding is %s: make one with UTF8 (createdb -E UTF8 -T template0) and "
            "bring the store over with flagver export and import",
            encoding);
    judge_role(examination, rows);
}

/* ---- the way there ---- */

static void look_at_connection(const struct examination *examination)
{
    const char *host = PQhost(examination->conn->pq);
    bool local = !host || !*host || *host == '/';

    if (PQsslInUse(examination->conn->pq))
        say(examination, OK, "the connection to %s is encrypted: %s", local ? "the server" : host,
            PQsslAttribute(examination->conn->pq, "protocol"));
    else if (local)
        say(examination, OK, "the server is on this machine, behind a socket");
    else if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
             strncmp(host, "127.", 4) == 0)
        say(examination, OK, "the server is on this machine: %s", host);
    else
        say(examination, WARNING,
            "the connection to %s is not encrypted: sslmode=verify-full in the URI makes it so, "
            "where the server has a certificate",
            host);
    if (examination->conn->pooled)
        say(examination, OK,
            "a pooler is in between: statements are not kept prepared, and changes of other "
            "processes are found by asking every 500 ms, not by NOTIFY");
    else
        say(examination, OK, "no pooler is in between: changes of other processes come by NOTIFY");
}

/* ---- clocks ---- */

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static const char about_clock[] = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/* The server looked at its clock between our question and its answer. */
static void judge_clock(struct examination *examination, const PGresult *rows)
{
    int64_t theirs = number(rows, 0), skew = 0;

    if (theirs < examination->asked_ms)
        skew = theirs - examination->asked_ms;
    else if (theirs > examination->answered_ms)
        skew = theirs - examination->answered_ms;
    if (skew < -SKEW_TOLERANCE_MS || skew > SKEW_TOLERANCE_MS)
        say(examination, WARNING,
            "the server's clock is %" PRId64 ".%03d s %s this machine's: times of versions come "
            "from the machines that write them; have all of them set by NTP",
            (skew < 0 ? -skew : skew) / 1000, (int)((skew < 0 ? -skew : skew) % 1000),
            skew < 0 ? "behind" : "ahead of");
    else
        say(examination, OK, "the server's clock and this machine's agree");
}

/* ---- rights ---- */

/* What an application does; flagver.rights() says the same where this role may not ask it. */
static const char about_rights[] =
    "WITH needed (name, rights) AS (VALUES ('meta', 'SELECT'),\n"
    "  ('series', 'SELECT,INSERT,UPDATE'), ('payload', 'SELECT,INSERT,UPDATE'),\n"
    "  ('version', 'SELECT,INSERT,UPDATE'), ('item', 'SELECT,INSERT,UPDATE,DELETE'),\n"
    "  ('vote', 'SELECT,INSERT'), ('contributor', 'SELECT,INSERT'),\n"
    "  ('log', 'SELECT,INSERT,UPDATE'), ('leaf', 'SELECT,INSERT'), ('node', 'SELECT,INSERT'),\n"
    "  ('keyed', 'SELECT,INSERT,UPDATE,DELETE')),\n"
    "lacking (words) AS (\n"
    "  SELECT p.privilege || ' on flagver.' || c.relname\n"
    "  FROM needed AS t JOIN pg_class AS c ON c.relname = t.name\n"
    "  JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'flagver',\n"
    "    regexp_split_to_table(t.rights, ',') AS p (privilege)\n"
    "  WHERE NOT has_table_privilege(c.oid, p.privilege)\n"
    "  UNION ALL\n"
    "  SELECT 'EXECUTE on flagver.' || f.proname FROM pg_proc AS f\n"
    "  JOIN pg_namespace AS n ON n.oid = f.pronamespace AND n.nspname = 'flagver'\n"
    "  WHERE f.proname = 'log_size' AND NOT has_function_privilege(f.oid, 'EXECUTE')\n"
    "  UNION ALL\n"
    "  SELECT 'USAGE on the schema flagver' FROM pg_namespace AS n\n"
    "  WHERE n.nspname = 'flagver' AND NOT has_schema_privilege(n.oid, 'USAGE'))\n"
    "SELECT (SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace\n"
    "    WHERE n.nspname = 'flagver' AND c.relkind = 'r'),\n"
    "  (SELECT count(*) FROM lacking), (SELECT min(words COLLATE \"C\") FROM lacking),\n"
    "  current_user::text";

static void judge_rights(struct examination *examination, const PGresult *rows)
{
    int64_t tables = number(rows, 0), lacking = number(rows, 1);

    if (lacking)
        say(examination, BAD,
            "role \"%s\" lacks %" PRId64 " rights, the first: %s; as the owner of the schema run: "
            "SELECT flagver.admit('%s')",
            text(rows, 0, 3), lacking, text(rows, 0, 2), text(rows, 0, 3));
    else if (tables)
        say(examination, OK, "role \"%s\" has the rights on %" PRId64 " tables that it needs",
            text(rows, 0, 3), tables);
}

static const char about_row_security[] =
    "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity,\n"
    "  (SELECT count(*) FROM pg_policy AS p WHERE p.polrelid = c.oid)\n"
    "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace\n"
    "WHERE n.nspname = 'flagver' AND c.relkind = 'r' AND c.relname <> 'meta' ORDER BY 1";

static void judge_row_security(struct examination *examination, const PGresult *rows)
{
    const char *lacks;
    int row, fine = 0;

    for (row = 0; row < PQntuples(rows); row++) {
        lacks = !fv_pg_get_truth(rows, row, 1)        ? "off"
                : !fv_pg_get_truth(rows, row, 2)      ? "not forced for the owner"
                : fv_pg_get_number(rows, row, 3) == 0 ? "without a policy"
                                                      : NULL;
        fine += !lacks;
        if (lacks)
            say(examination, BAD,
                "row-level security of flagver.%s is %s, so that tenants are not kept apart: ALTER "
                "TABLE flagver.%s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; flagver "
                "schema verify looks at the policies",
                text(rows, row, 0), lacks, text(rows, row, 0));
    }
    if (fine && fine == PQntuples(rows))
        say(examination, OK, "row-level security is on and forced for %d tables", fine);
}

/* ---- durability ---- */

static const char about_durability[] =
    "SELECT current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',\n"
    "  current_setting('synchronous_commit')";

static void judge_durability(struct examination *examination, const PGresult *rows)
{
    bool forced = fv_pg_get_truth(rows, 0, 0), whole = fv_pg_get_truth(rows, 0, 1);
    const char *commits = text(rows, 0, 2);

    if (!forced)
        say(examination, BAD,
            "fsync is off: a power cut may destroy the database; set fsync = on in "
            "postgresql.conf and reload");
    else if (!whole)
        say(examination, WARNING,
            "full_page_writes is off: a power cut may leave torn pages, unless the file system "
            "rules that out; set full_page_writes = on");
    else
        say(examination, OK, "the server forces what is committed to its disk%s",
            strcmp(commits, "off") == 0 ? "; synchronous_commit is off, our transactions set it on"
                                        : "");
}

/* ---- room ---- */

/* What there is, and how many of it are for superusers, in use, and for this role and database. */
static const char about_connections[] =
    "SELECT current_setting('max_connections')::bigint,\n"
    "  current_setting('superuser_reserved_connections')::bigint,\n"
    "  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),\n"
    "  (SELECT rolconnlimit::bigint FROM pg_roles WHERE rolname = current_user),\n"
    "  (SELECT datconnlimit::bigint FROM pg_database WHERE datname = current_database())";

static void judge_connections(struct examination *examination, const PGresult *rows)
{
    int64_t most = number(rows, 0) - number(rows, 1), used = number(rows, 2);
    int64_t ours = 2 * (int64_t)examination->conn->store->target.pool + 1;
    int column;

    for (column = 3; column <= 4; column++)
        if (number(rows, column) >= 0 && number(rows, column) < most)
            most = number(rows, column);
    if (examination->conn->pooled)
        say(examination, OK,
            "the server takes %" PRId64 " connections and has %" PRId64 "; the pooler decides how "
            "many of them are ours",
            most, used);
    else if (ours > most)
        say(examination, BAD,
            "each process may open %" PRId64 " connections (twice flagver_pool, and one that "
            "listens), and this role may have %" PRId64
            ": make flagver_pool in the URI smaller, or "
            "max_connections and the limits of role and database greater",
            ours, most);
    else if (used + ours > most)
        say(examination, WARNING,
            "%" PRId64 " of %" PRId64 " connections are in use and each process may open %" PRId64
            ": make flagver_pool in the URI smaller, max_connections greater, or put PgBouncer in "
            "between",
            used, most, ours);
    else
        say(examination, OK,
            "%" PRId64 " of %" PRId64 " connections are in use; each process may open %" PRId64,
            used, most, ours);
}

static const char about_size[] =
    "SELECT pg_database_size(current_database()),\n"
    "  (SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c\n"
    "   JOIN pg_namespace AS n ON n.oid = c.relnamespace\n"
    "   WHERE n.nspname = 'flagver' AND c.relkind = 'r'),\n"
    "  (SELECT setting FROM pg_settings WHERE name = 'data_directory')";

/* Where it is on this machine and its place is told to this role; elsewhere nobody knows. */
static bool free_room(const struct examination *examination, const char *directory,
                      int64_t *ret_bytes)
{
    const char *host = PQhost(examination->conn->pq);
    struct statvfs disk;

    if (!*directory || !host || *host != '/' || statvfs(directory, &disk) < 0)
        return false;
    *ret_bytes = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
    return true;
}

static void judge_size(struct examination *examination, const PGresult *rows)
{
    const char *directory = text(rows, 0, 2);
    int64_t room;

    say(examination, OK,
        "the database has %" PRId64 " MiB, %" PRId64 " of them in the schema flagver",
        number(rows, 0) / MIB, number(rows, 1) / MIB);
    if (!free_room(examination, directory, &room))
        say(examination, OK,
            "how much room is left on the server's disk it does not tell: watch it there");
    else if (room < LITTLE_ROOM)
        say(examination, room < NO_ROOM ? BAD : WARNING,
            "only %" PRId64 " MiB are free in %s: make room on the disk", room / MIB, directory);
    else
        say(examination, OK, "%" PRId64 " MiB are free in %s", room / MIB, directory);
}

/* ---- who else is there ---- */

static const char about_transactions[] =
    "SELECT COALESCE(extract(epoch FROM clock_timestamp() - xact_start), 0)::bigint, pid::bigint,\n"
    "  COALESCE(usename::text, '?')\n"
    "FROM pg_stat_activity\n"
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL\n"
    "ORDER BY xact_start LIMIT 1";

static void judge_transactions(struct examination *examination, const PGresult *rows)
{
    if (PQntuples(rows) && number(rows, 0) > LONG_TRANSACTION_S)
        say(examination, WARNING,
            "a transaction of role \"%s\" (process %" PRId64 ") has been open for %" PRId64
            " minutes, and keeps VACUUM from what was deleted since: look for it in "
            "pg_stat_activity",
            text(rows, 0, 2), number(rows, 1), number(rows, 0) / 60);
    else
        say(examination, OK, "no transaction that this role can see stays open for long");
}

/* A standby that has all that it received lags by nothing, however long ago that was. */
static const char about_replication[] =
    "SELECT pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_replication),\n"
    "  CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()\n"
    "    THEN 0 ELSE COALESCE(extract(epoch FROM clock_timestamp() -\n"
    "      pg_last_xact_replay_timestamp()), 0) END::bigint";

static void judge_replication(struct examination *examination, const PGresult *rows)
{
    int64_t lag = number(rows, 2);

    if (!fv_pg_get_truth(rows, 0, 0))
        say(examination, OK, "the server is the primary; standbys that follow it: %" PRId64,
            number(rows, 1));
    else if (lag > LAG_TOLERANCE_S)
        say(examination, WARNING,
            "the server is a standby, to read from only, and %" PRId64
            " s behind its primary: look at its network, its load and its log",
            lag);
    else
        say(examination, WARNING,
            "the server is a standby and takes no changes: name the primary in the URI, or all "
            "hosts of which one is");
}

/* ---- all of it ---- */

static const struct {
    const char *what, *sql;
    void (*judge)(struct examination *examination, const PGresult *rows);
} checks[] = {
    { "the server", about_server, judge_server },
    { "the server's clock", about_clock, judge_clock },
    { "rights", about_rights, judge_rights },
    { "row-level security", about_row_security, judge_row_security },
    { "durability", about_durability, judge_durability },
    { "connections", about_connections, judge_connections },
    { "open transactions", about_transactions, judge_transactions },
    { "replication", about_replication, judge_replication },
    { "the database's size", about_size, judge_size },
};

/* In a transaction of its own: nothing is left behind, and names mean what they should. */
static int ask(struct examination *examination, const char *sql, PGresult **ret_rows,
               flagver_error *err)
{
    const struct fv_pg_statement statement = { -1, sql };
    int r = fv_pg_execute(examination->conn, "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog",
                          err);

    if (r < 0)
        return r;
    examination->asked_ms = now_ms();
    r = fv_pg_query(examination->conn, &statement, NULL, ret_rows, err);
    examination->answered_ms = now_ms();
    if (!examination->conn->broken)
        fv_pg_execute(examination->conn, "ROLLBACK", NULL);
    return r;
}

/* What this role may not ask is a line, not the end. */
static int look(struct examination *examination, size_t i, flagver_error *err)
{
    flagver_error problem = { .code = 0 };
    PGresult *rows;
    int r = ask(examination, checks[i].sql, &rows, &problem);

    if (r == 0) {
        checks[i].judge(examination, rows);
        PQclear(rows);
        return 0;
    }
    if (r == FLAGVER_ENOMEM || examination->conn->broken)
        return fv_fail(err, r, "%s", problem.message);
    say(examination, WARNING, "%s: this role cannot find out: %s", checks[i].what, problem.message);
    return 0;
}

int fv_pg_examine(flagver_store *store, void (*visit)(void *data, int finding, const char *line),
                  void *data, flagver_error *err)
{
    struct examination examination = { .visit = visit, .data = data };
    size_t i;
    int r = fv_pg_pool_take(store, FLAGVER_MODE_WRITE, &examination.conn, NULL, err);

    if (r < 0)
        return r;
    look_at_connection(&examination);
    for (i = 0; r == 0 && i < sizeof checks / sizeof *checks; i++)
        r = look(&examination, i, err);
    fv_pg_pool_put(examination.conn);
    return r;
}
