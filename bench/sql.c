#define _POSIX_C_SOURCE 200809L

#include "sql.h"

#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "fixture.h"

/* What the library writes for a flag's next version, for a record's first one, and always. */
enum statement {
    BEGIN,
    SERIES,
    PAYLOAD,
    VERSION,
    SUPERSEDE,
    APPROVE,
    NEW_SERIES,
    NEW_VERSION,
    SUBMIT,
    VOTE,
    DECIDE,
    LEAF,
    NODE,
    FRONTIER,
    KEYED,
    COMMIT,
    READ,
    READ_ALL,
    READ_LEAF,
    READ_LEAVES,
    STATEMENTS
};

#define IN_FORCE                                                          \
    " FROM flagver_series s JOIN flagver_version v ON v.series = s.id"    \
    " AND v.no = s.current_no JOIN flagver_payload p ON p.id = v.payload" \
    " WHERE s.tenant = 'default' AND s.phase = 'flagver.flag'"

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [SERIES] = "UPDATE flagver_series SET last_no = ?, current_no = ?, rev = ?, changed_at = ?"
               " WHERE tenant = 'default' AND phase = 'flagver.flag' AND subject = ?",
    [PAYLOAD] = "INSERT INTO flagver_payload (id, body) VALUES (?, ?)",
    [VERSION] = "INSERT INTO flagver_version (series, no, id, state, bits, rev, parent_no,"
                " base_no, created_at, created_by, payload, content_hash)"
                " VALUES (?, ?, ?, 1, 0, 1, ?, ?, ?, 'bench', ?, ?)",
    [SUPERSEDE] = "UPDATE flagver_version SET state = 4, superseded_by = ?, superseded_at = ?,"
                  " rev = 3 WHERE series = ? AND no = ?",
    [APPROVE] = "UPDATE flagver_version SET state = 3, submitted_at = ?, decided_at = ?,"
                " decided_by = 'bench', rev = 2 WHERE series = ? AND no = ?",
    [NEW_SERIES] = "INSERT INTO flagver_series (tenant, phase, subject, id, last_no, current_no,"
                   " rev, changed_at) VALUES ('default', ?, ?, ?, 1, 1, 1, ?)",
    [NEW_VERSION] = "INSERT INTO flagver_version (series, no, id, state, bits, rev, created_at,"
                    " created_by, payload, content_hash)"
                    " VALUES (?, 1, ?, ?, 0, 1, ?, 'bench', ?, ?)",
    [SUBMIT] = "UPDATE flagver_version SET state = 2, submitted_at = ?, rev = 2"
               " WHERE series = ? AND no = 1",
    [VOTE] = "INSERT INTO flagver_vote (series, no, actor, content_hash, time)"
             " VALUES (?, 1, 'bench', ?, ?)",
    [DECIDE] = "UPDATE flagver_version SET state = 3, decided_at = ?, decided_by = 'bench',"
               " rev = 3 WHERE series = ? AND no = 1",
    [NODE] = "INSERT INTO flagver_node (tenant, level, no, hash) VALUES ('default', ?, ?, ?)",
    [FRONTIER] =
        "UPDATE flagver_log SET frontier = ?, frontier_size = size WHERE tenant = 'default'",
    [LEAF] = "INSERT INTO flagver_leaf (tenant, no, leaf, hash) VALUES ('default', ?, ?, ?)",
    [KEYED] = "INSERT INTO flagver_keyed (tenant, space, key, rev, time, value)"
              " VALUES ('default', 'request', ?, 1, ?, x'01')",
    [COMMIT] = "COMMIT",
    [READ] = "SELECT s.phase, s.subject, v.series, v.id, v.no, v.parent_no, v.base_no,"
             " v.reverts_no, v.superseded_by, v.state, v.bits, v.rev, v.created_at,"
             " v.submitted_at, v.decided_at, v.superseded_at, v.created_by, v.decided_by, v.note,"
             " v.payload, v.content_hash, p.body" IN_FORCE " AND s.subject = ?",
    [READ_ALL] = "SELECT s.subject, v.no, p.body" IN_FORCE " ORDER BY s.subject",
    [READ_LEAF] = "SELECT leaf, hash FROM flagver_leaf WHERE tenant = 'default' AND no = ?",
    [READ_LEAVES] = "SELECT leaf FROM flagver_leaf WHERE tenant = 'default' ORDER BY no",
};

#define SQL_LEAVES 4
#define LEAF_ROOM 1024
#define TILE 16 /* the library keeps a node for each so many leaves, and for so many nodes */

struct sql_flag {
    char key[BARE_KEY];
    unsigned char series[16];
    int no;
};

struct sql {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    struct sql_flag *flags;
    int64_t time, leaves;
    int leaf_lengths[SQL_LEAVES]; /* of the last ones, the last one first */
    unsigned char leaf[LEAF_ROOM];
    EVP_MD *sha256;
    EVP_MD_CTX *digest;
    uint32_t ids; /* given so far */
};

/* ------------------------------------------------------------------------ */

static void must(sqlite3 *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        bench_die("sqlite: %s", sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement;

    must(db, sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL));
    return statement;
}

static sqlite3 *open_file(const char *path)
{
    sqlite3 *db = NULL;
    int r = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    must(db, r);
    must(db,
         sqlite3_exec(
             db, "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY",
             NULL, NULL, NULL));
    return db;
}

static int64_t ask(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = prepare(db, text);
    int64_t answer;

    must(db, sqlite3_step(statement));
    answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

static void learn_flags(struct sql *sql)
{
    sqlite3_stmt *statement = prepare(sql->db, "SELECT subject, id, last_no FROM flagver_series"
                                               " WHERE phase = 'flagver.flag' ORDER BY subject");
    struct sql_flag *flag = sql->flags;

    for (; sqlite3_step(statement) == SQLITE_ROW && flag < sql->flags + BENCH_FLAGS; flag++) {
        snprintf(flag->key, sizeof flag->key, "%s", sqlite3_column_text(statement, 0));
        memcpy(flag->series, sqlite3_column_blob(statement, 1), sizeof flag->series);
        flag->no = sqlite3_column_int(statement, 2);
    }
    sqlite3_finalize(statement);
}

static void learn_leaves(struct sql *sql)
{
    sqlite3_stmt *statement = prepare(sql->db,
                                      "SELECT length(leaf) FROM flagver_leaf ORDER BY no DESC");
    int i;

    for (i = 0; i < SQL_LEAVES && sqlite3_step(statement) == SQLITE_ROW; i++) {
        sql->leaf_lengths[i] = sqlite3_column_int(statement, 0);
        if (sql->leaf_lengths[i] > LEAF_ROOM)
            bench_die("a leaf of %d bytes", sql->leaf_lengths[i]);
    }
    sqlite3_finalize(statement);
}

struct sql *sql_open(const char *path)
{
    struct sql *sql = bench_allocate(1, sizeof *sql);
    int i;

    sql->db = open_file(path);
    for (i = 0; i < STATEMENTS; i++)
        sql->statements[i] = prepare(sql->db, texts[i]);
    sql->flags = bench_allocate(BENCH_FLAGS, sizeof *sql->flags);
    learn_flags(sql);
    sql->leaves = ask(sql->db, "SELECT size FROM flagver_log");
    learn_leaves(sql);
    sql->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sql->digest = EVP_MD_CTX_new();
    if (!sql->sha256 || !sql->digest)
        bench_die("no SHA-256");
    sql->time = ask(sql->db, "SELECT max(changed_at) FROM flagver_series");
    return sql;
}

void sql_close(struct sql *sql)
{
    int i;

    for (i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(sql->statements[i]);
    must(sql->db, sqlite3_close(sql->db));
    EVP_MD_CTX_free(sql->digest);
    EVP_MD_free(sql->sha256);
    free(sql->flags);
    free(sql);
}

/* ------------------------------------------------------------------------ */

static sqlite3_stmt *begin_binding(struct sql *sql, enum statement which, int *ret_at)
{
    *ret_at = 0;
    return sql->statements[which];
}

static void run(struct sql *sql, enum statement which)
{
    must(sql->db, sqlite3_step(sql->statements[which]));
    sqlite3_reset(sql->statements[which]);
}

/* Ids rise, as the library's do. */
static void make_id(struct sql *sql, unsigned char id[16])
{
    uint32_t number = ++sql->ids;

    memset(id, 0xff, 16);
    id[12] = (unsigned char)(number >> 24);
    id[13] = (unsigned char)(number >> 16);
    id[14] = (unsigned char)(number >> 8);
    id[15] = (unsigned char)number;
}

void sql_begin(struct sql *sql)
{
    run(sql, BEGIN);
}

static void change_series(struct sql *sql, const struct sql_flag *flag)
{
    int at;
    sqlite3_stmt *call = begin_binding(sql, SERIES, &at);

    sqlite3_bind_int(call, ++at, flag->no);
    sqlite3_bind_int(call, ++at, flag->no);
    sqlite3_bind_int(call, ++at, flag->no);
    sqlite3_bind_int64(call, ++at, sql->time);
    sqlite3_bind_text(call, ++at, flag->key, -1, SQLITE_STATIC);
    run(sql, SERIES);
}

static void add_payload(struct sql *sql, const unsigned char id[16], const char *json,
                        size_t length)
{
    int at;
    sqlite3_stmt *call = begin_binding(sql, PAYLOAD, &at);

    sqlite3_bind_blob(call, ++at, id, 16, SQLITE_STATIC);
    sqlite3_bind_blob(call, ++at, json, (int)length, SQLITE_STATIC);
    run(sql, PAYLOAD);
}

static void add_version(struct sql *sql, const struct sql_flag *flag,
                        const unsigned char payload[16])
{
    static const unsigned char hash[32];
    unsigned char id[16];
    int at;
    sqlite3_stmt *call = begin_binding(sql, VERSION, &at);

    make_id(sql, id);
    sqlite3_bind_blob(call, ++at, flag->series, 16, SQLITE_STATIC);
    sqlite3_bind_int(call, ++at, flag->no);
    sqlite3_bind_blob(call, ++at, id, 16, SQLITE_STATIC);
    sqlite3_bind_int(call, ++at, flag->no - 1);
    sqlite3_bind_int(call, ++at, flag->no - 1);
    sqlite3_bind_int64(call, ++at, sql->time);
    sqlite3_bind_blob(call, ++at, payload, 16, SQLITE_STATIC);
    sqlite3_bind_blob(call, ++at, hash, 32, SQLITE_STATIC);
    run(sql, VERSION);
}

static void supersede(struct sql *sql, const struct sql_flag *flag)
{
    int at;
    sqlite3_stmt *call = begin_binding(sql, SUPERSEDE, &at);

    sqlite3_bind_int(call, ++at, flag->no);
    sqlite3_bind_int64(call, ++at, sql->time);
    sqlite3_bind_blob(call, ++at, flag->series, 16, SQLITE_STATIC);
    sqlite3_bind_int(call, ++at, flag->no - 1);
    run(sql, SUPERSEDE);
}

static void approve(struct sql *sql, const struct sql_flag *flag)
{
    int at;
    sqlite3_stmt *call = begin_binding(sql, APPROVE, &at);

    sqlite3_bind_int64(call, ++at, sql->time);
    sqlite3_bind_int64(call, ++at, sql->time);
    sqlite3_bind_blob(call, ++at, flag->series, 16, SQLITE_STATIC);
    sqlite3_bind_int(call, ++at, flag->no);
    run(sql, APPROVE);
}

static void add_node(struct sql *sql, int level, int64_t number)
{
    static const unsigned char hash[32];
    int at;
    sqlite3_stmt *call = begin_binding(sql, NODE, &at);

    sqlite3_bind_int(call, ++at, level);
    sqlite3_bind_int64(call, ++at, number);
    sqlite3_bind_blob(call, ++at, hash, 32, SQLITE_STATIC);
    run(sql, NODE);
}

/* One as long as the one that was so many before the end of the log, when it was opened. */
static void append_leaf(struct sql *sql, int before)
{
    static const unsigned char hash[32];
    int64_t number;
    int at, level;
    sqlite3_stmt *call = begin_binding(sql, LEAF, &at);

    sqlite3_bind_int64(call, ++at, sql->leaves++);
    sqlite3_bind_blob(call, ++at, sql->leaf, sql->leaf_lengths[before - 1], SQLITE_STATIC);
    sqlite3_bind_blob(call, ++at, hash, 32, SQLITE_STATIC);
    run(sql, LEAF);
    for (level = 4, number = sql->leaves; number % TILE == 0; level += 4) {
        number /= TILE;
        add_node(sql, level, number - 1);
    }
}

/* A size and a hash for each of its binary digits that is 1. */
static void write_frontier(struct sql *sql)
{
    static const unsigned char frontier[8 + 63 * 32];
    int64_t size;
    int length = 8, at;
    sqlite3_stmt *call = begin_binding(sql, FRONTIER, &at);

    for (size = sql->leaves; size; size &= size - 1)
        length += 32;
    sqlite3_bind_blob(call, ++at, frontier, length, SQLITE_STATIC);
    run(sql, FRONTIER);
}

/* The keys are numbered. */
static struct sql_flag *find_flag(struct sql *sql, const char *key)
{
    return &sql->flags[strtoul(key + sizeof "feature_" - 1, NULL, 10)];
}

void sql_change(struct sql *sql, const char *key, const char *json, size_t length)
{
    struct sql_flag *flag = find_flag(sql, key);
    unsigned char payload[16];

    flag->no++;
    sql->time++;
    make_id(sql, payload);
    change_series(sql, flag);
    add_payload(sql, payload, json, length);
    add_version(sql, flag, payload);
    supersede(sql, flag);
    approve(sql, flag);
    append_leaf(sql, 2);
    append_leaf(sql, 1);
}

static void add_first(struct sql *sql, const struct sql_record *record,
                      const unsigned char series[16], int state)
{
    static const unsigned char hash[32];
    unsigned char id[16], payload[16];
    int at;
    sqlite3_stmt *call = begin_binding(sql, NEW_SERIES, &at);

    sqlite3_bind_text(call, ++at, record->phase, -1, SQLITE_STATIC);
    sqlite3_bind_text(call, ++at, record->subject, -1, SQLITE_STATIC);
    sqlite3_bind_blob(call, ++at, series, 16, SQLITE_STATIC);
    sqlite3_bind_int64(call, ++at, sql->time);
    run(sql, NEW_SERIES);

    make_id(sql, payload);
    add_payload(sql, payload, record->json, record->length);
    make_id(sql, id);
    call = begin_binding(sql, NEW_VERSION, &at);
    sqlite3_bind_blob(call, ++at, series, 16, SQLITE_STATIC);
    sqlite3_bind_blob(call, ++at, id, 16, SQLITE_STATIC);
    sqlite3_bind_int(call, ++at, state);
    sqlite3_bind_int64(call, ++at, sql->time);
    sqlite3_bind_blob(call, ++at, payload, 16, SQLITE_STATIC);
    sqlite3_bind_blob(call, ++at, hash, 32, SQLITE_STATIC);
    run(sql, NEW_VERSION);
}

static void move_on(struct sql *sql, enum statement which, const unsigned char series[16])
{
    int at;
    sqlite3_stmt *call = begin_binding(sql, which, &at);

    sqlite3_bind_int64(call, ++at, ++sql->time);
    sqlite3_bind_blob(call, ++at, series, 16, SQLITE_STATIC);
    run(sql, which);
}

static void add_vote(struct sql *sql, const unsigned char series[16])
{
    static const unsigned char hash[32];
    int at;
    sqlite3_stmt *call = begin_binding(sql, VOTE, &at);

    sqlite3_bind_blob(call, ++at, series, 16, SQLITE_STATIC);
    sqlite3_bind_blob(call, ++at, hash, 32, SQLITE_STATIC);
    sqlite3_bind_int64(call, ++at, sql->time);
    run(sql, VOTE);
}

void sql_approve(struct sql *sql, const struct sql_record *record)
{
    unsigned char series[16];

    sql->time++;
    make_id(sql, series);
    add_first(sql, record, series, 1);
    move_on(sql, SUBMIT, series);
    add_vote(sql, series);
    move_on(sql, DECIDE, series);
    append_leaf(sql, 3);
    append_leaf(sql, 2);
    append_leaf(sql, 1);
}

void sql_record(struct sql *sql, const struct sql_record *record)
{
    unsigned char series[16];

    sql->time++;
    make_id(sql, series);
    add_first(sql, record, series, 7);
    append_leaf(sql, 4);
}

void sql_commit(struct sql *sql)
{
    char key[40];
    int at;
    sqlite3_stmt *call;

    write_frontier(sql);
    call = begin_binding(sql, KEYED, &at);
    snprintf(key, sizeof key, "o:ffffffff-ffff-ffff-ffff-ffff%08x", (unsigned)++sql->ids);
    sqlite3_bind_text(call, ++at, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(call, ++at, ++sql->time);
    run(sql, KEYED);
    run(sql, COMMIT);
}

/* ------------------------------------------------------------------------ */

/* Looks at every column, as whoever wants the row would; the length of the last one. */
static size_t look(sqlite3_stmt *statement)
{
    int last = sqlite3_column_count(statement) - 1, i;
    uint64_t sum = 0;

    for (i = 0; i <= last; i++) {
        if (sqlite3_column_type(statement, i) == SQLITE_INTEGER)
            sum += (uint64_t)sqlite3_column_int64(statement, i);
        else
            sum += sqlite3_column_blob(statement, i) != NULL;
    }
    bench_sink += sum;
    return (size_t)sqlite3_column_bytes(statement, last);
}

size_t sql_read(struct sql *sql, const char *key)
{
    int at;
    sqlite3_stmt *call = begin_binding(sql, READ, &at);
    size_t length;

    sqlite3_bind_text(call, ++at, key, -1, SQLITE_STATIC);
    must(sql->db, sqlite3_step(call));
    length = look(call);
    sqlite3_reset(call);
    return length;
}

size_t sql_read_all(struct sql *sql, void (*visit)(const char *json, size_t length))
{
    sqlite3_stmt *call = sql->statements[READ_ALL];
    size_t count = 0;

    while (sqlite3_step(call) == SQLITE_ROW) {
        visit(sqlite3_column_blob(call, 2), (size_t)sqlite3_column_bytes(call, 2));
        count++;
    }
    sqlite3_reset(call);
    return count;
}

size_t sql_read_leaf(struct sql *sql, int64_t number)
{
    int at;
    sqlite3_stmt *call = begin_binding(sql, READ_LEAF, &at);
    size_t length;

    sqlite3_bind_int64(call, ++at, number);
    must(sql->db, sqlite3_step(call));
    length = look(call);
    sqlite3_reset(call);
    return length;
}

size_t sql_hash_leaves(struct sql *sql)
{
    static const unsigned char zero = 0; /* RFC 6962: what is hashed is a leaf */
    sqlite3_stmt *call = sql->statements[READ_LEAVES];
    unsigned char hash[32];
    size_t count = 0;

    while (sqlite3_step(call) == SQLITE_ROW) {
        if (!EVP_DigestInit_ex2(sql->digest, sql->sha256, NULL) ||
            !EVP_DigestUpdate(sql->digest, &zero, 1) ||
            !EVP_DigestUpdate(sql->digest, sqlite3_column_blob(call, 0),
                              (size_t)sqlite3_column_bytes(call, 0)) ||
            !EVP_DigestFinal_ex(sql->digest, hash, NULL))
            bench_die("SHA-256 failed");
        bench_sink += hash[0];
        count++;
    }
    sqlite3_reset(call);
    return count;
}

char *sql_census(const char *path)
{
    sqlite3 *db = open_file(path);
    sqlite3_stmt *statement = prepare(
        db, "SELECT printf('%d %d %d %d %d %d %d, %d %d %d %d bytes',"
            " (SELECT sum(last_no) FROM flagver_series),"
            " (SELECT count(*) FROM flagver_version WHERE state = 3),"
            " (SELECT count(*) FROM flagver_version WHERE state = 4),"
            " (SELECT count(*) FROM flagver_vote), (SELECT count(*) FROM flagver_node),"
            " (SELECT size FROM flagver_log), (SELECT count(*) FROM flagver_keyed),"
            " (SELECT sum(length(body)) FROM flagver_payload),"
            " (SELECT sum(length(leaf) + length(hash)) FROM flagver_leaf),"
            " (SELECT length(frontier) FROM flagver_log),"
            " (SELECT sum(length(key) + length(value)) FROM flagver_keyed))");
    char *census;

    must(db, sqlite3_step(statement));
    census = strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    must(db, sqlite3_close(db));
    return census;
}
