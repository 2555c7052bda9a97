#include "pq.h"

#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum statement {
    BEGIN,
    TENANT,
    POLICY,
    SERIES,
    VERSION,
    VOTES,
    LOG,
    PAYLOAD,
    NEW_SERIES,
    NEW_VERSION,
    SUBMIT,
    VOTE,
    DECIDE,
    CURRENT,
    REQUEST,
    LEAF,
    NODE,
    HEAD,
    COMMIT,
    READ_ALL,
    STATEMENTS
};

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN ISOLATION LEVEL READ COMMITTED",
    [TENANT] = "SELECT set_config('flagver.tenant', 'default', true)",
    [POLICY] = "SELECT rev, time FROM flagver.keyed WHERE tenant = 'default' AND space = 'policy'"
               " AND key = 'policies'",
    [SERIES] = "SELECT id, last_no, current_no, rev, changed_at FROM flagver.series"
               " WHERE tenant = 'default' AND phase = $1 AND subject = $2 FOR UPDATE",
    [VERSION] = "SELECT no, id, state, bits, rev, parent_no, base_no, reverts_no, superseded_by,"
                " created_at, created_by, submitted_at, decided_at, decided_by, superseded_at,"
                " note, payload, content_hash FROM flagver.version"
                " WHERE tenant = 'default' AND series = $1 AND no = 1",
    [VOTES] = "SELECT actor, content_hash, time, note FROM flagver.vote"
              " WHERE tenant = 'default' AND series = $1 AND no = 1",
    [LOG] = "SELECT size, frontier FROM flagver.log WHERE tenant = 'default' FOR UPDATE",
    [PAYLOAD] = "INSERT INTO flagver.payload (tenant, id, body) VALUES ('default', $1, $2)",
    [NEW_SERIES] = "INSERT INTO flagver.series (tenant, phase, subject, id, last_no, current_no,"
                   " rev, changed_at) VALUES ('default', $1, $2, $3, 1, 1, 1, $4)",
    [NEW_VERSION] = "INSERT INTO flagver.version (tenant, series, no, id, state, bits, rev,"
                    " created_at, created_by, payload, content_hash)"
                    " VALUES ('default', $1, 1, $2, 1, 0, 1, $3, 'bench', $4, $5)",
    [SUBMIT] = "UPDATE flagver.version SET state = 2, submitted_at = $2, rev = rev + 1"
               " WHERE tenant = 'default' AND series = $1 AND no = 1",
    [VOTE] = "INSERT INTO flagver.vote (tenant, series, no, actor, content_hash, time)"
             " VALUES ('default', $1, 1, 'bench', $2, $3)",
    [DECIDE] = "UPDATE flagver.version SET state = 3, decided_at = $2, decided_by = 'bench',"
               " rev = rev + 1 WHERE tenant = 'default' AND series = $1 AND no = 1",
    [CURRENT] = "UPDATE flagver.series SET current_no = 1, rev = rev + 1, changed_at = $3"
                " WHERE tenant = 'default' AND phase = $1 AND subject = $2",
    [REQUEST] = "INSERT INTO flagver.keyed (tenant, space, key, rev, time, value)"
                " VALUES ('default', 'request', $1, 1, $2, '\\x01')",
    [LEAF] = "INSERT INTO flagver.leaf (tenant, no, leaf, hash) VALUES ('default', $1, $2, $3)",
    [NODE] = "INSERT INTO flagver.node (tenant, level, no, hash) VALUES ('default', $1, $2, $3)",
    [HEAD] = "UPDATE flagver.log SET frontier = $1, frontier_size = size WHERE tenant = 'default'",
    [COMMIT] = "COMMIT",
    [READ_ALL] = "SELECT s.subject, v.no, p.body FROM flagver.series s"
                 " JOIN flagver.version v ON v.tenant = s.tenant AND v.series = s.id"
                 " AND v.no = s.current_no"
                 " JOIN flagver.payload p ON p.tenant = v.tenant AND p.id = v.payload"
                 " WHERE s.tenant = 'default' AND s.phase = 'flagver.flag' ORDER BY s.subject",
};

#define LEAVES 3 /* of a record: created, submitted, approved */
#define LEAF_ROOM 1024
#define TILE 16 /* the library keeps a node for each so many leaves, and for so many nodes */
#define ID 16
#define HASH 32

struct pq {
    PGconn *connection;
    bool prepared[STATEMENTS];
    int leaf_lengths[LEAVES]; /* of the last ones, the last one first */
    char leaf[LEAF_ROOM];
    uint32_t ids; /* given so far */
};

/* ------------------------------------------------------------------------
 * Statements
 */

static void must(const struct pq *pq, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
        return;
    default:
        bench_die("libpq: %s", PQerrorMessage(pq->connection));
    }
}

static void execute(const struct pq *pq, const char *text)
{
    PGresult *result = PQexec(pq->connection, text);

    must(pq, result);
    PQclear(result);
}

/* In the order of their numbers. */
struct arguments {
    int count;
    const char *values[8];
    int lengths[8], formats[8];
    unsigned char numbers[8][8];
};

static void add_bytes(struct arguments *arguments, const void *bytes, size_t length)
{
    arguments->values[arguments->count] = bytes;
    arguments->lengths[arguments->count] = (int)length;
    arguments->formats[arguments->count++] = 1;
}

static void add_text(struct arguments *arguments, const char *text)
{
    add_bytes(arguments, text, strlen(text));
}

static void add_number(struct arguments *arguments, int64_t number)
{
    unsigned char *bytes = arguments->numbers[arguments->count];
    int i;

    for (i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (56 - 8 * i));
    add_bytes(arguments, bytes, 8);
}

static int64_t get_number(const PGresult *result, int column)
{
    const unsigned char *bytes = (const unsigned char *)PQgetvalue(result, 0, column);
    uint64_t number = 0;
    int i;

    for (i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return (int64_t)number;
}

static PGresult *ask(struct pq *pq, enum statement which, const struct arguments *arguments)
{
    static const struct arguments none = { .count = 0 };
    const struct arguments *given = arguments ? arguments : &none;
    PGresult *result;
    char name[8];

    snprintf(name, sizeof name, "s%d", (int)which);
    if (!pq->prepared[which]) {
        result = PQprepare(pq->connection, name, texts[which], 0, NULL);
        must(pq, result);
        PQclear(result);
        pq->prepared[which] = true;
    }
    result = PQexecPrepared(pq->connection, name, given->count, given->values, given->lengths,
                            given->formats, 1);
    must(pq, result);
    return result;
}

static void run(struct pq *pq, enum statement which, const struct arguments *arguments)
{
    PGresult *result = ask(pq, which, arguments);

    if (*PQcmdTuples(result) && strcmp(PQcmdTuples(result), "1") != 0)
        bench_die("%s rows: %s", PQcmdTuples(result), texts[which]);
    PQclear(result);
}

/* ------------------------------------------------------------------------
 * Opening
 */

static void learn_leaves(struct pq *pq)
{
    PGresult *result = PQexec(pq->connection,
                              "SELECT length(leaf) FROM flagver.leaf WHERE tenant = 'default'"
                              " ORDER BY no DESC LIMIT 3");
    int i;

    must(pq, result);
    for (i = 0; i < PQntuples(result); i++) {
        pq->leaf_lengths[i] = atoi(PQgetvalue(result, i, 0));
        if (pq->leaf_lengths[i] > LEAF_ROOM)
            bench_die("a leaf of %d bytes", pq->leaf_lengths[i]);
    }
    PQclear(result);
}

static void ignore(void *data, const char *message)
{
    (void)data;
    (void)message;
}

struct pq *pq_open(const char *uri)
{
    struct pq *pq = bench_allocate(1, sizeof *pq);

    pq->connection = PQconnectdb(uri);
    if (PQstatus(pq->connection) != CONNECTION_OK)
        bench_die("libpq: %s", PQerrorMessage(pq->connection));
    PQsetNoticeProcessor(pq->connection, ignore, NULL);
    execute(pq, "SELECT set_config('flagver.tenant', 'default', false)");
    learn_leaves(pq);
    return pq;
}

void pq_close(struct pq *pq)
{
    PQfinish(pq->connection);
    free(pq);
}

/* ------------------------------------------------------------------------
 * Writing
 */

/* Ids rise, as the library's do. */
static void make_id(struct pq *pq, unsigned char id[ID])
{
    uint32_t number = ++pq->ids;

    memset(id, 0xff, ID);
    id[12] = (unsigned char)(number >> 24);
    id[13] = (unsigned char)(number >> 16);
    id[14] = (unsigned char)(number >> 8);
    id[15] = (unsigned char)number;
}

static void add_name(struct arguments *arguments, const struct sql_record *record)
{
    add_text(arguments, record->phase);
    add_text(arguments, record->subject);
}

/* What a transaction knows of the record. */
struct known {
    unsigned char series[ID], hash[HASH];
    int64_t time, leaves;
};

static void begin(struct pq *pq)
{
    run(pq, BEGIN, NULL);
    PQclear(ask(pq, TENANT, NULL));
    PQclear(ask(pq, POLICY, NULL));
}

/* Is it there? */
static bool lock_series(struct pq *pq, const struct sql_record *record, struct known *known)
{
    struct arguments arguments = { .count = 0 };
    PGresult *result;
    bool there;

    add_name(&arguments, record);
    result = ask(pq, SERIES, &arguments);
    there = PQntuples(result) > 0;
    if (there) {
        memcpy(known->series, PQgetvalue(result, 0, 0), ID);
        known->time = get_number(result, 4) + 1;
    }
    PQclear(result);
    return there;
}

static void read_version(struct pq *pq, struct known *known)
{
    struct arguments arguments = { .count = 0 };
    PGresult *result;

    add_bytes(&arguments, known->series, ID);
    result = ask(pq, VERSION, &arguments);
    if (PQntuples(result) != 1)
        bench_die("a record without version 1");
    memcpy(known->hash, PQgetvalue(result, 0, 17), HASH);
    PQclear(result);
    PQclear(ask(pq, VOTES, &arguments));
}

static void insert_record(struct pq *pq, const struct sql_record *record, struct known *known)
{
    struct arguments series = { .count = 0 }, payload = { .count = 0 }, version = { .count = 0 };
    unsigned char payload_id[ID], version_id[ID];

    make_id(pq, known->series);
    add_name(&series, record);
    add_bytes(&series, known->series, ID);
    add_number(&series, known->time);
    run(pq, NEW_SERIES, &series);

    make_id(pq, payload_id);
    add_bytes(&payload, payload_id, ID);
    add_bytes(&payload, record->json, record->length);
    run(pq, PAYLOAD, &payload);

    make_id(pq, version_id);
    add_bytes(&version, known->series, ID);
    add_bytes(&version, version_id, ID);
    add_number(&version, known->time);
    add_bytes(&version, payload_id, ID);
    add_bytes(&version, known->hash, HASH);
    run(pq, NEW_VERSION, &version);
}

static void move_on(struct pq *pq, enum statement which, struct known *known)
{
    struct arguments arguments = { .count = 0 };

    add_bytes(&arguments, known->series, ID);
    add_number(&arguments, ++known->time);
    run(pq, which, &arguments);
}

static void vote(struct pq *pq, const struct known *known)
{
    struct arguments arguments = { .count = 0 };

    add_bytes(&arguments, known->series, ID);
    add_bytes(&arguments, known->hash, HASH);
    add_number(&arguments, known->time);
    run(pq, VOTE, &arguments);
}

static void change_series(struct pq *pq, const struct sql_record *record, const struct known *known)
{
    struct arguments arguments = { .count = 0 };

    add_name(&arguments, record);
    add_number(&arguments, known->time);
    run(pq, CURRENT, &arguments);
}

static void record_request(struct pq *pq, const struct known *known)
{
    struct arguments arguments = { .count = 0 };
    char key[40];

    snprintf(key, sizeof key, "o:ffffffff-ffff-ffff-ffff-ffff%08x", (unsigned)++pq->ids);
    add_text(&arguments, key);
    add_number(&arguments, known->time);
    run(pq, REQUEST, &arguments);
}

static void lock_log(struct pq *pq, struct known *known)
{
    PGresult *result = ask(pq, LOG, NULL);

    known->leaves = get_number(result, 0);
    PQclear(result);
}

static void add_node(struct pq *pq, int level, int64_t number)
{
    static const unsigned char hash[HASH];
    struct arguments arguments = { .count = 0 };

    add_number(&arguments, level);
    add_number(&arguments, number);
    add_bytes(&arguments, hash, HASH);
    run(pq, NODE, &arguments);
}

/* One as long as the one that was so many before the end of the log, when it was opened. */
static void append_leaf(struct pq *pq, struct known *known, int before)
{
    struct arguments arguments = { .count = 0 };
    int64_t number;
    int level;

    add_number(&arguments, known->leaves++);
    add_bytes(&arguments, pq->leaf, (size_t)pq->leaf_lengths[before - 1]);
    add_bytes(&arguments, known->hash, HASH);
    run(pq, LEAF, &arguments);
    for (level = 4, number = known->leaves; number % TILE == 0; level += 4) {
        number /= TILE;
        add_node(pq, level, number - 1);
    }
}

/* A size and a hash for each of its binary digits that is 1. */
static void write_head(struct pq *pq, const struct known *known)
{
    static const unsigned char frontier[8 + 63 * HASH];
    struct arguments arguments = { .count = 0 };
    size_t length = 8;
    int64_t size;

    for (size = known->leaves; size; size &= size - 1)
        length += HASH;
    add_bytes(&arguments, frontier, length);
    run(pq, HEAD, &arguments);
}

void pq_approve(struct pq *pq, const struct sql_record *record)
{
    struct known known;

    begin(pq);
    if (!lock_series(pq, record, &known))
        bench_die("there is no record %s", record->subject);
    read_version(pq, &known);
    change_series(pq, record, &known);
    vote(pq, &known);
    move_on(pq, DECIDE, &known);
    record_request(pq, &known);
    lock_log(pq, &known);
    append_leaf(pq, &known, 1);
    write_head(pq, &known);
    run(pq, COMMIT, NULL);
}

void pq_create(struct pq *pq, const struct sql_record *record)
{
    struct known known = { .time = 1 };

    begin(pq);
    if (lock_series(pq, record, &known))
        bench_die("there is a record %s already", record->subject);
    insert_record(pq, record, &known);
    move_on(pq, SUBMIT, &known);
    vote(pq, &known);
    move_on(pq, DECIDE, &known);
    record_request(pq, &known);
    lock_log(pq, &known);
    append_leaf(pq, &known, 3);
    append_leaf(pq, &known, 2);
    append_leaf(pq, &known, 1);
    write_head(pq, &known);
    run(pq, COMMIT, NULL);
}

/* ------------------------------------------------------------------------
 * Reading
 */

size_t pq_read_all(struct pq *pq, void (*visit)(const char *json, size_t length))
{
    PGresult *result = ask(pq, READ_ALL, NULL);
    int count = PQntuples(result), i;

    for (i = 0; i < count; i++)
        visit(PQgetvalue(result, i, 2), (size_t)PQgetlength(result, i, 2));
    PQclear(result);
    return (size_t)count;
}

/* ------------------------------------------------------------------------
 * Copying
 */

/* In an order that references and triggers accept. The log itself is not there: its row changes. */
static const char *const tables[] = { "series", "payload", "version", "leaf", "node", "keyed" };

#define TABLES (sizeof tables / sizeof *tables)

struct pq_rows {
    struct bytes {
        char *data;
        size_t length;
    } copies[TABLES], frontier;
};

static void append(struct bytes *bytes, const char *data, size_t length)
{
    char *grown = realloc(bytes->data, bytes->length + length);

    if (!grown)
        bench_die("out of memory");
    memcpy(grown + bytes->length, data, length);
    bytes->data = grown;
    bytes->length += length;
}

/* What the transaction has written that appended the last leaf. */
static void copy_table_out(const struct pq *pq, const char *table, struct bytes *ret_bytes)
{
    char text[256], *block;
    PGresult *result;
    int got;

    snprintf(text, sizeof text,
             "COPY (SELECT * FROM flagver.%s WHERE xmin ="
             " (SELECT xmin FROM flagver.leaf WHERE tenant = 'default' ORDER BY no DESC LIMIT 1))"
             " TO STDOUT (FORMAT binary)",
             table);
    result = PQexec(pq->connection, text);
    must(pq, result);
    PQclear(result);
    while ((got = PQgetCopyData(pq->connection, &block, 0)) > 0) {
        append(ret_bytes, block, (size_t)got);
        PQfreemem(block);
    }
    while ((result = PQgetResult(pq->connection))) {
        must(pq, result);
        PQclear(result);
    }
}

struct pq_rows *pq_copy_out(struct pq *pq)
{
    struct pq_rows *rows = bench_allocate(1, sizeof *rows);
    PGresult *result;
    size_t i;

    for (i = 0; i < TABLES; i++)
        copy_table_out(pq, tables[i], &rows->copies[i]);
    result = PQexecParams(pq->connection,
                          "SELECT frontier FROM flagver.log WHERE tenant = 'default'", 0, NULL,
                          NULL, NULL, NULL, 1);
    must(pq, result);
    append(&rows->frontier, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
    PQclear(result);
    return rows;
}

static void copy_table_in(const struct pq *pq, const char *table, const struct bytes *bytes)
{
    PGresult *result;
    char text[64];

    snprintf(text, sizeof text, "COPY flagver.%s FROM STDIN (FORMAT binary)", table);
    execute(pq, text);
    if (PQputCopyData(pq->connection, bytes->data, (int)bytes->length) != 1 ||
        PQputCopyEnd(pq->connection, NULL) != 1)
        bench_die("libpq: %s", PQerrorMessage(pq->connection));
    while ((result = PQgetResult(pq->connection))) {
        must(pq, result);
        PQclear(result);
    }
}

void pq_copy_in(struct pq *pq, const struct pq_rows *rows)
{
    struct arguments arguments = { .count = 0 };
    size_t i;

    run(pq, BEGIN, NULL);
    execute(pq, "SET LOCAL enable_seqscan = off"); /* plans are made while tables are small */
    for (i = 0; i < TABLES; i++)
        copy_table_in(pq, tables[i], &rows->copies[i]);
    add_bytes(&arguments, rows->frontier.data, rows->frontier.length);
    run(pq, HEAD, &arguments);
    run(pq, COMMIT, NULL);
}

void pq_rows_free(struct pq_rows *rows)
{
    size_t i;

    for (i = 0; i < TABLES; i++)
        free(rows->copies[i].data);
    free(rows->frontier.data);
    free(rows);
}
