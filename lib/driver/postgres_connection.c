#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "driver/postgres_internal.h"
#include "util/fail.h"
#include "util/memory.h"

/* What the types of parameters are called in every PostgreSQL. */
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_TEXT 25
#define OID_UUID 2950

#define NAME_SIZE 16

/* What an answer of a pipeline is to: a statement, or the preparation of the one in slot n. */
#define AWAIT_STATEMENT (-1)

/* ---- errors ---- */

const char *fv_pg_state(const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

    return state ? state : "";
}

/* In one line: libpq breaks its words and indents them. */
static void copy_words(char *out, size_t size, const char *words)
{
    size_t length = 0;

    for (; words && *words && length + 1 < size; words++)
        if (*words != '\n' && *words != '\t')
            out[length++] = *words;
        else if (words[1] && length > 0 && out[length - 1] != ' ')
            out[length++] = ' ';
    out[length] = '\0';
}

/* Longer beginnings come before those that they begin with. */
static const struct {
    const char *state;
    int code;
} codes[] = {
    { "40001", FLAGVER_EBUSY },        { "40P01", FLAGVER_EBUSY },
    { "55P03", FLAGVER_EBUSY },        { "57014", FLAGVER_EBUSY },
    { "26000", FLAGVER_EBUSY },        { "42P05", FLAGVER_EBUSY },
    { "0A000", FLAGVER_EBUSY },        { "23505", FLAGVER_ECONFLICT },
    { "23", FLAGVER_ECORRUPT },        { "22", FLAGVER_ECORRUPT },
    { "P0001", FLAGVER_ECORRUPT },     { "44000", FLAGVER_ECORRUPT },
    { "3F000", FLAGVER_ESCHEMA },      { "42P01", FLAGVER_ESCHEMA },
    { "42703", FLAGVER_ESCHEMA },      { "42883", FLAGVER_ESCHEMA },
    { "08", FLAGVER_EUNAVAILABLE },    { "25006", FLAGVER_EUNAVAILABLE },
    { "28", FLAGVER_EUNAVAILABLE },    { "3D000", FLAGVER_EUNAVAILABLE },
    { "42501", FLAGVER_EUNAVAILABLE }, { "53", FLAGVER_EUNAVAILABLE },
    { "57", FLAGVER_EUNAVAILABLE },
};

static int code_of(const char *state)
{
    size_t i;

    for (i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strncmp(state, codes[i].state, strlen(codes[i].state)) == 0)
            return codes[i].code;
    return FLAGVER_EIO;
}

/* Statements that were kept are gone or do not fit any more: there is a pooler, or a new schema. */
static bool is_about_kept(const char *state)
{
    return strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0 ||
           strcmp(state, "0A000") == 0;
}

/* The transaction's session is over; nothing that was not committed will be. */
static bool ends_session(const char *state)
{
    return strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0 ||
           strcmp(state, "25P03") == 0;
}

static int fail_lost(struct fv_pg *conn, flagver_error *err)
{
    char words[FV_PG_WORDS];

    conn->broken = true;
    copy_words(words, sizeof words, PQerrorMessage(conn->pq));
    return fv_fail(err, FLAGVER_EUNAVAILABLE, "the server does not answer: %s",
                   *words ? words : "the connection is gone");
}

int fv_pg_fail(struct fv_pg *conn, const PGresult *result, flagver_error *err)
{
    const char *state = fv_pg_state(result);
    char words[FV_PG_WORDS];
    int code;

    if (!*state)
        return fail_lost(conn, err);
    if (is_about_kept(state) || ends_session(state))
        conn->broken = !conn->adopted;
    code = strcmp(state, "25P03") == 0 ? FLAGVER_EUNAVAILABLE : code_of(state);
    if (strcmp(state, "42501") == 0 &&
        strstr(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), "row-level security"))
        code = FLAGVER_ECORRUPT;
    copy_words(words, sizeof words, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    fv_fail(err, code, "PostgreSQL: %s", words);
    if (err)
        snprintf(err->sqlstate, sizeof err->sqlstate, "%.5s", state);
    return code;
}

static bool is_good(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_IN:
        return true;
    default:
        return false;
    }
}

/* ---- parameters ---- */

static int add(struct fv_pg_parameters *parameters, Oid type, const void *value, size_t length)
{
    int at = parameters->count++;

    parameters->types[at] = type;
    parameters->values[at] = value;
    parameters->lengths[at] = (int)length;
    parameters->formats[at] = 1;
    return at;
}

/* An empty one that is not none has an address, too. */
static const void *address(flagver_bytes bytes)
{
    return bytes.data || !bytes.length ? bytes.data : "";
}

void fv_pg_text(struct fv_pg_parameters *parameters, flagver_bytes text)
{
    add(parameters, OID_TEXT, address(text), text.length);
}

void fv_pg_bytea(struct fv_pg_parameters *parameters, flagver_bytes bytes)
{
    add(parameters, OID_BYTEA, address(bytes), bytes.length);
}

void fv_pg_hash(struct fv_pg_parameters *parameters, const uint8_t hash[32])
{
    add(parameters, OID_BYTEA, hash, 32);
}

void fv_pg_id(struct fv_pg_parameters *parameters, const flagver_id *id)
{
    add(parameters, OID_UUID, id->bytes, sizeof id->bytes);
}

void fv_pg_number(struct fv_pg_parameters *parameters, int64_t number)
{
    unsigned char *bytes = parameters->numbers[parameters->count];
    int i;

    for (i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (56 - 8 * i));
    add(parameters, OID_INT8, bytes, 8);
}

void fv_pg_positive(struct fv_pg_parameters *parameters, int64_t number)
{
    fv_pg_number(parameters, number);
    if (number == 0)
        parameters->values[parameters->count - 1] = NULL;
}

/* ---- columns ---- */

int64_t fv_pg_get_number(const PGresult *result, int row, int column)
{
    const unsigned char *bytes = (const unsigned char *)PQgetvalue(result, row, column);
    int length = PQgetlength(result, row, column), i;
    uint64_t number = length > 0 && bytes[0] & 0x80 ? UINT64_MAX : 0;

    for (i = 0; i < length && i < 8; i++)
        number = number << 8 | bytes[i];
    return (int64_t)number;
}

flagver_bytes fv_pg_get_bytes(const PGresult *result, int row, int column)
{
    flagver_bytes bytes = { NULL, 0 };

    if (PQgetisnull(result, row, column))
        return bytes;
    bytes.data = PQgetvalue(result, row, column);
    bytes.length = (size_t)PQgetlength(result, row, column);
    return bytes;
}

void fv_pg_get_id(const PGresult *result, int row, int column, flagver_id *ret_id)
{
    if (PQgetlength(result, row, column) == (int)sizeof ret_id->bytes)
        memcpy(ret_id->bytes, PQgetvalue(result, row, column), sizeof ret_id->bytes);
    else
        memset(ret_id->bytes, 0, sizeof ret_id->bytes);
}

bool fv_pg_get_truth(const PGresult *result, int row, int column)
{
    return PQgetlength(result, row, column) == 1 && *PQgetvalue(result, row, column);
}

/* ---- statements ---- */

bool fv_pg_is_shared(const struct fv_pg *conn)
{
    return conn->adopted || conn->lent;
}

static bool keeps(const struct fv_pg *conn, const struct fv_pg_statement *statement)
{
    return statement->slot >= 0 && statement->slot < FV_PG_KEPT && !conn->pooled &&
           !fv_pg_is_shared(conn);
}

static bool is_kept(const struct fv_pg *conn, int slot)
{
    return conn->kept[slot / 64] >> (slot % 64) & 1;
}

static void set_kept(struct fv_pg *conn, int slot, bool kept)
{
    uint64_t bit = UINT64_C(1) << (slot % 64);

    if (kept)
        conn->kept[slot / 64] |= bit;
    else
        conn->kept[slot / 64] &= ~bit;
}

static void name_statement(int slot, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "flagver_%d", slot);
}

static const struct fv_pg_parameters no_parameters;

static int finish(struct fv_pg *conn, PGresult *result, PGresult **ret_result, flagver_error *err)
{
    int r = is_good(result) ? 0 : fv_pg_fail(conn, result, err);

    if (r < 0 || !ret_result)
        PQclear(result);
    else
        *ret_result = result;
    return r;
}

static int keep(struct fv_pg *conn, const struct fv_pg_statement *statement,
                const struct fv_pg_parameters *parameters, flagver_error *err)
{
    char name[NAME_SIZE];
    int r;

    name_statement(statement->slot, name);
    r = finish(conn,
               PQprepare(conn->pq, name, statement->sql, parameters->count, parameters->types),
               NULL, err);
    if (r == 0)
        set_kept(conn, statement->slot, true);
    return r;
}

int fv_pg_query(struct fv_pg *conn, const struct fv_pg_statement *statement,
                const struct fv_pg_parameters *parameters, PGresult **ret_result,
                flagver_error *err)
{
    const struct fv_pg_parameters *given = parameters ? parameters : &no_parameters;
    char name[NAME_SIZE];
    PGresult *result;
    int r = 0;

    if (!keeps(conn, statement)) {
        result = PQexecParams(conn->pq, statement->sql, given->count, given->types, given->values,
                              given->lengths, given->formats, 1);
        return finish(conn, result, ret_result, err);
    }
    if (!is_kept(conn, statement->slot))
        r = keep(conn, statement, given, err);
    if (r < 0)
        return r;
    name_statement(statement->slot, name);
    result = PQexecPrepared(conn->pq, name, given->count, given->values, given->lengths,
                            given->formats, 1);
    return finish(conn, result, ret_result, err);
}

bool fv_pg_send(struct fv_pg *conn, const struct fv_pg_statement *statement)
{
    return PQpipelineStatus(conn->pq) == PQ_PIPELINE_OFF &&
           PQsendQueryParams(conn->pq, statement->sql, 0, NULL, NULL, NULL, NULL, 1) == 1;
}

PGresult *fv_pg_receive(struct fv_pg *conn)
{
    PGresult *result = PQgetResult(conn->pq), *end;

    while ((end = PQgetResult(conn->pq)))
        PQclear(end);
    return result;
}

int fv_pg_execute(struct fv_pg *conn, const char *sql, flagver_error *err)
{
    return finish(conn, PQexec(conn->pq, sql), NULL, err);
}

/* ---- what is asked outside of a transaction ---- */

/* 0 would be for ever. */
static int lock_timeout(const struct fv_pg *conn)
{
    return conn->store->wait_ms > 0 ? (int)conn->store->wait_ms : 1;
}

int fv_pg_limit_locks(struct fv_pg *conn, flagver_error *err)
{
    char sql[64];

    snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %d", lock_timeout(conn));
    return fv_pg_execute(conn, sql, err);
}

int fv_pg_name_limit(const struct fv_pg *conn, int r, flagver_error *err)
{
    flagver_error failure;

    if (r != FLAGVER_EBUSY || !err)
        return r;
    failure = *err;
    if (strcmp(failure.sqlstate, "55P03") == 0)
        fv_fail(err, r,
                "what flagver needs is locked, and was not let go of within %d ms (wait_ms)",
                (int)conn->store->wait_ms);
    else if (strcmp(failure.sqlstate, "57014") == 0)
        fv_fail(err, r, "%.600s; it may take %d ms (flagver_statement_ms in the URI)",
                failure.message, (int)conn->store->target.statement_ms);
    memcpy(err->sqlstate, failure.sqlstate, sizeof err->sqlstate);
    return r;
}

int fv_pg_aside_begin(struct fv_pg *conn, flagver_error *err)
{
    int statement_ms = (int)conn->store->target.statement_ms;
    char sql[200];

    /* "%.0d" of 0 is nothing */
    snprintf(sql, sizeof sql,
             "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL search_path = pg_catalog; "
             "SET LOCAL lock_timeout = %d%s%.0d",
             lock_timeout(conn), statement_ms ? "; SET LOCAL statement_timeout = " : "",
             statement_ms);
    return fv_pg_execute(conn, sql, err);
}

int fv_pg_aside_end(struct fv_pg *conn, int r, flagver_error *err)
{
    int end = conn->broken ? r : fv_pg_execute(conn, "ROLLBACK", r < 0 ? NULL : err);

    return r < 0 ? fv_pg_name_limit(conn, r, err) : end;
}

/* ---- pipelines ---- */

int fv_pg_pipeline_begin(struct fv_pg *conn, flagver_error *err)
{
    conn->awaited_count = conn->awaited_at = 0;
    return PQenterPipelineMode(conn->pq) ? 0 : fail_lost(conn, err);
}

static bool await(struct fv_pg *conn, int what)
{
    if (!fv_grow(conn->store->memory, (void **)&conn->awaited, &conn->awaited_capacity,
                 conn->awaited_count, sizeof *conn->awaited))
        return false;
    conn->awaited[conn->awaited_count++] = what;
    return true;
}

static int queue_kept(struct fv_pg *conn, const struct fv_pg_statement *statement,
                      const struct fv_pg_parameters *parameters)
{
    char name[NAME_SIZE];

    name_statement(statement->slot, name);
    if (!is_kept(conn, statement->slot)) {
        if (!PQsendPrepare(conn->pq, name, statement->sql, parameters->count, parameters->types))
            return 0;
        set_kept(conn, statement->slot, true);
    }
    return PQsendQueryPrepared(conn->pq, name, parameters->count, parameters->values,
                               parameters->lengths, parameters->formats, 1);
}

int fv_pg_queue(struct fv_pg *conn, const struct fv_pg_statement *statement,
                const struct fv_pg_parameters *parameters, flagver_error *err)
{
    const struct fv_pg_parameters *given = parameters ? parameters : &no_parameters;
    bool kept = keeps(conn, statement);
    int sent;

    if (kept && !is_kept(conn, statement->slot) && !await(conn, statement->slot))
        return fv_fail_memory(err);
    if (!await(conn, AWAIT_STATEMENT))
        return fv_fail_memory(err);
    sent = kept ? queue_kept(conn, statement, given)
                : PQsendQueryParams(conn->pq, statement->sql, given->count, given->types,
                                    given->values, given->lengths, given->formats, 1);
    return sent ? 0 : fail_lost(conn, err);
}

int fv_pg_flush(struct fv_pg *conn, flagver_error *err)
{
    return PQpipelineSync(conn->pq) ? 0 : fail_lost(conn, err);
}

/* The answer that comes next, without the NULL that libpq puts behind it. */
static PGresult *next_answer(struct fv_pg *conn)
{
    PGresult *result = PQgetResult(conn->pq), *end;

    if (!result || PQresultStatus(result) == PGRES_PIPELINE_SYNC)
        return result;
    end = PQgetResult(conn->pq);
    PQclear(end);
    return result;
}

int fv_pg_take(struct fv_pg *conn, PGresult **ret_result, flagver_error *err)
{
    PGresult *result;
    int slot, r;

    while (conn->awaited_at < conn->awaited_count &&
           (slot = conn->awaited[conn->awaited_at]) != AWAIT_STATEMENT) {
        conn->awaited_at++;
        result = next_answer(conn);
        r = is_good(result) ? 0 : fv_pg_fail(conn, result, err);
        PQclear(result);
        if (r == 0)
            continue;
        set_kept(conn, slot, false);
        conn->awaited_at++; /* the statement itself, which the server passes over */
        PQclear(conn->broken ? NULL : next_answer(conn));
        return r;
    }
    conn->awaited_at++;
    return finish(conn, next_answer(conn), ret_result, err);
}

int fv_pg_pipeline_end(struct fv_pg *conn, flagver_error *err)
{
    PGresult *result;
    int first = 0, r, slot;

    while (!conn->broken && conn->awaited_at < conn->awaited_count) {
        slot = conn->awaited[conn->awaited_at++];
        result = next_answer(conn);
        r = 0;
        if (PQresultStatus(result) != PGRES_PIPELINE_ABORTED && !is_good(result))
            r = fv_pg_fail(conn, result, first ? NULL : err);
        if (slot != AWAIT_STATEMENT && !is_good(result))
            set_kept(conn, slot, false);
        PQclear(result);
        first = first ? first : r;
    }
    while (!conn->broken && (result = PQgetResult(conn->pq)))
        PQclear(result);
    conn->awaited_count = conn->awaited_at = 0;
    if (!PQexitPipelineMode(conn->pq) && !conn->broken)
        return first ? first : fail_lost(conn, err);
    return first;
}

static int queue_both(struct fv_pg *conn, const struct fv_pg_statement *first,
                      const struct fv_pg_parameters *of_first, const struct fv_pg_statement *second,
                      const struct fv_pg_parameters *of_second, flagver_error *err)
{
    int r = fv_pg_queue(conn, first, of_first, err);

    if (r == 0)
        r = fv_pg_queue(conn, second, of_second, err);
    if (r == 0)
        r = fv_pg_flush(conn, err);
    if (r < 0)
        conn->broken = true; /* nobody knows how much of it is under way */
    return r;
}

int fv_pg_query_both(struct fv_pg *conn, const struct fv_pg_statement *first,
                     const struct fv_pg_parameters *of_first, const struct fv_pg_statement *second,
                     const struct fv_pg_parameters *of_second, PGresult **ret_result,
                     flagver_error *err)
{
    PGresult *result = NULL;
    int r, end;

    r = fv_pg_pipeline_begin(conn, err);
    if (r < 0)
        return r;
    r = queue_both(conn, first, of_first, second, of_second, err);
    if (r == 0)
        r = fv_pg_take(conn, NULL, err);
    if (r == 0)
        r = fv_pg_take(conn, &result, err);
    end = fv_pg_pipeline_end(conn, r < 0 ? NULL : err);
    r = r < 0 ? r : end;
    if (r < 0)
        PQclear(result);
    else
        *ret_result = result;
    return r;
}

/* ---- opening ---- */

/* What is said to nobody in particular is passed over, but for the last words of a session. */
static void note(void *data, const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    struct fv_pg *conn = data;

    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        conn->broken = true;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options && options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val;
    return NULL;
}

/* What libpq would not ask for, and the URI does not mention: a peer that is gone is noticed. */
static const char *const habits[][2] = {
    { "connect_timeout", "10" },     { "keepalives_idle", "15" },
    { "keepalives_interval", "5" },  { "keepalives_count", "3" },
    { "tcp_user_timeout", "30000" }, { "fallback_application_name", "flagver" },
};

#define HABITS (sizeof habits / sizeof *habits)

static PGconn *start_connecting(const flagver_store *store, bool standby)
{
    const char *keywords[HABITS + 4] = { "dbname", "client_encoding" };
    const char *values[HABITS + 4] = { store->target.uri, "UTF8" };
    PQconninfoOption *options = PQconninfoParse(store->target.uri, NULL);
    size_t count = 2, i;

    for (i = 0; i < HABITS; i++)
        if (!value_of(options, habits[i][0])) {
            keywords[count] = habits[i][0];
            values[count++] = habits[i][1];
        }
    if (!value_of(options, "target_session_attrs")) {
        keywords[count] = "target_session_attrs";
        values[count++] = standby ? "prefer-standby" : store->read_only ? "any" : "read-write";
    }
    PQconninfoFree(options);
    return PQconnectStartParams(keywords, values, 1);
}

/* How long each address has, in ms; -1: for ever. And is there more than one host? */
static int patience_of(PGconn *pq, bool *ret_several)
{
    PQconninfoOption *options = PQconninfo(pq);
    const char *timeout = value_of(options, "connect_timeout");
    const char *host = value_of(options, "host"), *address = value_of(options, "hostaddr");
    long seconds = timeout ? strtol(timeout, NULL, 10) : 0;

    *ret_several = (host && strchr(host, ',')) || (address && strchr(address, ','));
    PQconninfoFree(options);
    if (seconds <= 0)
        return -1;
    return seconds > INT_MAX / 1000 ? INT_MAX : seconds > 1 ? (int)seconds * 1000 : 2000;
}

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Is it so far before that time? Negative: there is all the time. */
static bool is_ready(const PGconn *pq, short events, int64_t until)
{
    struct pollfd socket = { .fd = PQsocket(pq), .events = events };
    int64_t left;
    int r;

    do {
        left = until < 0 ? -1 : until - now_ms();
        r = poll(&socket, 1, until < 0 ? -1 : left < 0 ? 0 : (int)left);
    } while (r < 0 && errno == EINTR);
    return r != 0;
}

/*
 * As PQconnectdbParams() would wait, which prints whatever the server remarks before anybody can
 * ask it not to. An address whose time is over is given up by ending what is under way there, as if
 * it had been refused: libpq goes on to the next one. That does not help with a host that has
 * taken the connection and says nothing more: of several, libpq's own waiting knows to pass it.
 *
 * Returns what was waited for in vain, in ms, or 0.
 */
static int go_on_connecting(struct fv_pg *conn)
{
    PGconn *pq = conn->pq;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    bool several, late = false;
    int patience = patience_of(pq, &several), socket = -1;
    int64_t until = -1;

    while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
        if (PQsocket(pq) != socket && patience >= 0)
            until = now_ms() + patience;
        socket = PQsocket(pq);
        fv_pg_note_socket(conn);
        if (!is_ready(pq, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until)) {
            shutdown(socket, SHUT_RDWR);
            late = true;
            socket = -1;
        }
        state = PQconnectPoll(pq);
    }
    if (state != PGRES_POLLING_FAILED || !late)
        return 0;
    if (!several)
        return patience;
    PQreset(pq);
    return 0;
}

static void note_facts(struct fv_pg *conn)
{
    flagver_store *store = conn->store;
    struct fv_pg_facts facts = { .server_version = PQserverVersion(conn->pq),
                                 .pooled = conn->pooled,
                                 .bypasses = conn->bypasses,
                                 .standby = conn->standby };
    const char *host = PQhost(conn->pq), *database = PQdb(conn->pq), *role = PQuser(conn->pq);

    snprintf(facts.host, sizeof facts.host, "%s", host ? host : "");
    snprintf(facts.database, sizeof facts.database, "%s", database ? database : "");
    snprintf(facts.role, sizeof facts.role, "%s", role ? role : "");
    pthread_mutex_lock(&store->lock);
    store->facts = facts;
    pthread_mutex_unlock(&store->lock);
}

/* A pooler answers with a number of its own where a server says which process it is. */
static int look_around(struct fv_pg *conn, flagver_error *err)
{
    static const struct fv_pg_statement statement = {
        -1, "SELECT pg_catalog.pg_backend_pid()::bigint, rolsuper OR rolbypassrls, "
            "pg_catalog.pg_is_in_recovery() FROM pg_catalog.pg_roles WHERE rolname = current_user"
    };
    PGresult *result = NULL;
    int r = fv_pg_aside_begin(conn, err);

    if (r == 0)
        r = fv_pg_aside_end(conn, fv_pg_query(conn, &statement, NULL, &result, err), err);
    if (r < 0) {
        PQclear(result);
        return r;
    }
    conn->pooled = fv_pg_get_number(result, 0, 0) != PQbackendPID(conn->pq);
    conn->bypasses = fv_pg_get_truth(result, 0, 1);
    conn->standby = fv_pg_get_truth(result, 0, 2);
    PQclear(result);
    note_facts(conn);
    return 0;
}

static int fail_connect(const struct fv_pg *conn, int waited_ms, flagver_error *err)
{
    char words[FV_PG_WORDS];

    if (waited_ms)
        return fv_fail(err, FLAGVER_EUNAVAILABLE,
                       "%.250s: no answer within %d s (connect_timeout in the URI)",
                       conn->store->target.shown, waited_ms / 1000);
    copy_words(words, sizeof words, PQerrorMessage(conn->pq));
    return fv_fail(err, FLAGVER_EUNAVAILABLE, "%.250s: %s", conn->store->target.shown, words);
}

/* Notices are taken from the start on. */
static int start_session(struct fv_pg *conn, bool standby, flagver_error *err)
{
    int waited_ms = 0;

    conn->pq = start_connecting(conn->store, standby);
    if (!conn->pq)
        return fv_fail_memory(err);
    PQsetNoticeReceiver(conn->pq, note, conn);
    if (PQstatus(conn->pq) != CONNECTION_BAD)
        waited_ms = go_on_connecting(conn);
    if (PQstatus(conn->pq) != CONNECTION_OK)
        return fail_connect(conn, waited_ms, err);
    fv_pg_note_socket(conn);
    return 0;
}

int fv_pg_connect(flagver_store *store, bool standby, struct fv_pg **ret_conn, flagver_error *err)
{
    struct fv_pg *conn = fv_allocate_zeroed(store->memory, 1, sizeof *conn);
    int r;

    if (!conn)
        return fv_fail_memory(err);
    conn->store = store;
    fv_pg_count_in(conn);
    r = start_session(conn, standby, err);
    if (r == 0)
        r = look_around(conn, err);
    if (r < 0) {
        fv_pg_disconnect(conn);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

void fv_pg_disconnect(struct fv_pg *conn)
{
    if (!conn)
        return;
    if (!conn->adopted) {
        fv_pg_count_out(conn);
        PQfinish(conn->pq);
    }
    fv_release(conn->store->memory, conn->awaited);
    fv_release(conn->store->memory, conn);
}
