#define _POSIX_C_SOURCE 200809L /* clock_gettime(), strdup() */
#include "engine/side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/transaction.h"
#include "util/fail.h"

static int64_t ask_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t fv_monotonic_ns(void)
{
    return ask_clock(CLOCK_MONOTONIC);
}

int64_t fv_monotonic_coarse_ns(void)
{
    return ask_clock(CLOCK_MONOTONIC_COARSE);
}

const char *fv_side_name(int side)
{
    return side == FLAGVER_SIDE_OLD ? "old" : "new";
}

static const char *function_name(int operation)
{
    switch (operation) {
    case FLAGVER_ROUTE_READ:
        return "read";
    case FLAGVER_ROUTE_WRITE:
        return "write";
    case FLAGVER_ROUTE_SCAN:
        return "scan";
    case FLAGVER_ROUTE_WRITE_MANY:
        return "write_many";
    case FLAGVER_ROUTE_DEACTIVATE:
        return "deactivate";
    case FLAGVER_ROUTE_COUNT:
        return "count";
    case FLAGVER_ROUTE_FIND:
        return "find_by_operation";
    default:
        return "remove";
    }
}

/* ---- what a side gives ---- */

/* A function may forget to look at what the sink said; the route does not. */
static int refuse(flagver_sink *sink, int code)
{
    sink->failed = code;
    return code;
}

int fv_sink_value(flagver_sink *sink, const void *value, size_t length)
{
    char *copy;

    if (!sink)
        return FLAGVER_EINVAL;
    if (!value && length > 0)
        return refuse(sink, FLAGVER_EINVAL);
    copy = length < SIZE_MAX ? malloc(length + 1) : NULL;
    if (!copy)
        return refuse(sink, FLAGVER_ENOMEM);

    if (length > 0)
        memcpy(copy, value, length);
    copy[length] = '\0';
    free(sink->value);
    sink->value = copy;
    sink->length = length;
    return 0;
}

int fv_sink_key(flagver_sink *sink, const char *key)
{
    char *copy;

    if (!sink)
        return FLAGVER_EINVAL;
    if (!key || fv_check_text("key", key, FLAGVER_ROUTE_KEY_LIMIT, NULL) < 0)
        return refuse(sink, FLAGVER_EINVAL);
    copy = strdup(key);
    if (!copy)
        return refuse(sink, FLAGVER_ENOMEM);
    free(sink->key);
    sink->key = copy;
    return 0;
}

static struct fv_found *next_found(flagver_sink *sink)
{
    size_t capacity = sink->found_capacity ? sink->found_capacity * 2 : 64;
    struct fv_found *found;

    if (sink->found_count < sink->found_capacity)
        return &sink->found[sink->found_count];
    found = realloc(sink->found, capacity * sizeof *found);
    if (!found)
        return NULL;
    sink->found = found;
    sink->found_capacity = capacity;
    return &found[sink->found_count];
}

int fv_sink_row(flagver_sink *sink, const char *key, const void *value, size_t length)
{
    struct fv_found *found;
    size_t key_size;

    if (!key || fv_check_text("key", key, FLAGVER_ROUTE_KEY_LIMIT, NULL) < 0 ||
        (!value && length > 0) || length > SIZE_MAX / 2)
        return refuse(sink, FLAGVER_EINVAL);
    if (sink->found_count > 0 && strcmp(sink->found[sink->found_count - 1].key, key) >= 0)
        return refuse(sink, FLAGVER_EINVAL);
    key_size = strlen(key) + 1;
    found = next_found(sink);
    if (found)
        found->key = malloc(key_size + length + 1);
    if (!found || !found->key)
        return refuse(sink, FLAGVER_ENOMEM);

    memcpy(found->key, key, key_size);
    found->value = found->key + key_size;
    found->length = length;
    if (length > 0)
        memcpy(found->value, value, length);
    found->value[length] = '\0';
    sink->found_count++;
    return 0;
}

static void free_gift(struct fv_side_call *call)
{
    for (size_t i = 0; i < call->sink.found_count; i++)
        free(call->sink.found[i].key);
    free(call->sink.found);
    free(call->sink.value);
    free(call->sink.key);
}

void fv_side_clear(struct fv_side_call *call)
{
    if (call->sink.value || call->sink.key || call->sink.found) /* most writes give nothing */
        free_gift(call);
    call->sink = (flagver_sink){ 0 };
}

/* ---- calling ---- */

static int call_function(struct fv_side_call *call)
{
    const flagver_side *side = call->side;

    switch (call->asked.operation) {
    case FLAGVER_ROUTE_READ:
        return side->read(side->data, &call->asked, &call->sink, call->error);
    case FLAGVER_ROUTE_WRITE:
        return side->write(side->data, &call->asked, call->value, call->length, &call->sink,
                           call->error);
    case FLAGVER_ROUTE_SCAN:
        return side->scan(side->data, &call->asked, call->after, call->limit, &call->sink,
                          call->error);
    case FLAGVER_ROUTE_WRITE_MANY:
        return side->write_many(side->data, &call->asked, call->rows, call->row_count, call->error);
    case FLAGVER_ROUTE_DEACTIVATE:
        return side->deactivate(side->data, &call->asked, call->error);
    case FLAGVER_ROUTE_COUNT:
        return side->count(side->data, &call->asked, &call->count, call->error);
    case FLAGVER_ROUTE_FIND:
        return side->find_by_operation(side->data, &call->asked, &call->sink, call->error);
    default:
        return side->remove(side->data, &call->asked, call->error);
    }
}

/* The function may use the transaction, and may have broken it: whatever it says of that itself. */
static int call_inside(struct fv_side_call *call)
{
    flagver_txn *txn = call->asked.txn;
    flagver_error why;
    int r, resumed;

    if (!txn)
        return call_function(call);
    fv_txn_pause(txn);
    r = call_function(call);
    resumed = fv_txn_resume(txn, &why);
    if (resumed == 0)
        return r;
    call->broken = true;
    *call->error = why;
    return resumed;
}

static int nonsense(struct fv_side_call *call, const char *what)
{
    return fv_fail(call->error, FLAGVER_EINVAL, "%s: %s %s", fv_side_name(call->asked.side),
                   function_name(call->asked.operation), what);
}

static bool goes_back(const struct fv_side_call *call)
{
    return call->sink.found_count > 0 && strcmp(call->sink.found[0].key, call->after) <= 0;
}

/* What the sink has refused. */
static int refuse_gift(struct fv_side_call *call)
{
    const flagver_sink *sink = &call->sink;

    if (sink->failed == FLAGVER_ENOMEM)
        return fv_fail_memory(call->error);
    if (sink->found_count == 0)
        return nonsense(call, "gave a key or value that is none");
    return fv_fail(
        call->error, FLAGVER_EINVAL,
        "%s: %s gave a key or value that is none, or a key that does not rise, behind %s",
        fv_side_name(call->asked.side), function_name(call->asked.operation),
        sink->found[sink->found_count - 1].key);
}

/* What the function should have given, and did not. */
static int check_gift(struct fv_side_call *call)
{
    bool scans = call->asked.operation == FLAGVER_ROUTE_SCAN;

    if (call->sink.failed != 0)
        return refuse_gift(call);
    if (scans && goes_back(call))
        return nonsense(call, "gave a key that does not come after the one it was to go on from");
    if (scans && call->sink.found_count == 0 && !call->sink.ended)
        return nonsense(call, "gave no record, and did not say that there are no more");
    if (call->asked.operation == FLAGVER_ROUTE_COUNT && call->count > INT64_MAX)
        return nonsense(call, "told more records than there can be");
    if (call->asked.operation == FLAGVER_ROUTE_READ && !call->sink.value)
        return nonsense(call, "returned 0 without a value");
    if (call->asked.operation == FLAGVER_ROUTE_WRITE && !call->asked.key && !call->sink.key)
        return nonsense(call, "returned 0 without the key of what it created");
    if (call->asked.operation == FLAGVER_ROUTE_FIND && !call->sink.key)
        return nonsense(call, "returned 0 without a key");
    return 0;
}

/* What a library of the function's has said may have several lines, and end with one: messages and logs are one. */
static void keep_to_one_line(char *message, size_t size)
{
    char *end;

    message[size - 1] = '\0';
    for (char *at = message; *at; at++)
        *at = (unsigned char)*at < ' ' ? ' ' : *at;
    end = message + strlen(message);
    while (end > message && end[-1] == ' ')
        *--end = '\0';
}

/* The function's own words, or ours where it has none. */
static int check_error(struct fv_side_call *call, int r)
{
    char words[64];
    bool is_silent;

    if (!fv_error_name(r)) {
        snprintf(words, sizeof words, "returned %d, which is no FLAGVER_E... code", r);
        return nonsense(call, words);
    }
    keep_to_one_line(call->error->message, sizeof call->error->message);
    is_silent = call->error->code != r || call->error->message[0] == '\0';
    if (is_silent && r == call->sink.failed)
        return refuse_gift(call);
    if (is_silent)
        return fv_fail(call->error, r, "%s: %s: %s", fv_side_name(call->asked.side),
                       function_name(call->asked.operation), fv_error_words(r));
    return r;
}

void fv_error_clear(flagver_error *err)
{
    err->code = 0;
    err->native = 0;
    err->line = 0;
    err->column = 0;
    err->sqlstate[0] = '\0';
    err->message[0] = '\0';
}

/* A function may say something and return 0. */
static void run_at(struct fv_side_call *call, int64_t start)
{
    int r;

    fv_error_clear(call->error);
    r = call_inside(call);
    call->latency_ns = fv_monotonic_ns() - start;
    call->code = r == 0 ? check_gift(call) : check_error(call, r);
    if (call->code < 0)
        fv_side_clear(call);
    else
        fv_error_clear(call->error);
}

void fv_side_run(struct fv_side_call *call)
{
    run_at(call, fv_monotonic_ns());
}

bool fv_side_run_in_time(struct fv_side_call *call)
{
    int64_t start = fv_monotonic_ns();

    call->broken = false;
    if (call->asked.deadline != 0 && start >= call->asked.deadline) {
        call->code = fv_fail(call->error, FLAGVER_ETIMEDOUT,
                             "%s: %s was not called: it is too late",
                             fv_side_name(call->asked.side), function_name(call->asked.operation));
        return false;
    }
    run_at(call, start);
    return true;
}

/* ---- in transactions of ours ---- */

int fv_side_end(const struct fv_side_call *call)
{
    bool again = call->broken || call->code == FLAGVER_EBUSY;

    return call->code < 0 && call->asked.txn && !again ? FLAGVER_ESTATE : call->code;
}

int fv_side_ended(int said, int r)
{
    return r == FLAGVER_ESTATE && said < 0 ? said : r;
}
