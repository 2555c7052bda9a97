#define _POSIX_C_SOURCE 200809L /* nanosleep() */
#include "fault.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 8
#define NAME_LIMIT 32
#define RETIRED 256 /* handles that have ended and are still recognised */

/* What is to happen to one kind of call; `…_at` are counts, 0: never. */
struct plan {
    atomic_ullong count;
    atomic_ullong fail_at, delay_at;
    atomic_int code, milliseconds;
    atomic_bool persists;
};

struct flagver_fault {
    flagver_driver table;
    const flagver_driver *inner;
    char name[NAME_LIMIT + 1];
    struct plan plans[FLAGVER_FAULT_CALLS];
    atomic_ullong lie_at;
    atomic_int lie;
    atomic_ullong failures, misuses, stores, txns, cursors;

    pthread_mutex_t mutex; /* over the words */
    char first_misuse[256], complaint[256];
};

/* The inner driver's handles have the same types and are never looked into. */
struct flagver_store {
    struct flagver_fault *fault;
    flagver_store *inner;
    atomic_int txns, writers;

    pthread_mutex_t mutex; /* over what follows */
    void *retired[RETIRED];
    size_t retired_at;
};

struct flagver_driver_txn {
    flagver_store *store;
    flagver_driver_txn *inner;
    atomic_bool busy, ended;
    bool writes, adopted, log_locked, nested;
    flagver_cursor *cursors; /* that are open */
};

struct flagver_cursor {
    flagver_driver_txn *txn;
    flagver_cursor *inner, *next;
    atomic_bool ended;
};

/* ---- what is noticed ---- */

static void misuse(struct flagver_fault *fault, const char *format, ...)
{
    va_list arguments;

    pthread_mutex_lock(&fault->mutex);
    if (!fault->first_misuse[0]) {
        va_start(arguments, format);
        vsnprintf(fault->first_misuse, sizeof fault->first_misuse, format, arguments);
        va_end(arguments);
    }
    pthread_mutex_unlock(&fault->mutex);
    atomic_fetch_add(&fault->misuses, 1);
}

static int fail(flagver_error *err, int code, const char *words)
{
    if (err) {
        memset(err, 0, sizeof *err);
        err->code = code;
        snprintf(err->message, sizeof err->message, "%s", words);
    }
    return code;
}

/* Ended handles are kept for a while, so that who uses one is found out. */
static void retire(flagver_store *store, void *handle)
{
    pthread_mutex_lock(&store->mutex);
    free(store->retired[store->retired_at]);
    store->retired[store->retired_at] = handle;
    store->retired_at = (store->retired_at + 1) % RETIRED;
    pthread_mutex_unlock(&store->mutex);
}

/* A call on a transaction begins; false: it must not go on. */
static bool enter(flagver_driver_txn *txn, const char *call)
{
    struct flagver_fault *fault = txn->store->fault;

    if (atomic_load(&txn->ended)) {
        misuse(fault, "%s on a transaction that has ended", call);
        return false;
    }
    if (atomic_exchange(&txn->busy, true)) {
        misuse(fault, "%s while another thread is inside a call on the transaction", call);
        return false;
    }
    return true;
}

static void leave(flagver_driver_txn *txn)
{
    atomic_store(&txn->busy, false);
}

static int refused(flagver_error *err)
{
    return fail(err, FLAGVER_EINVAL, "the driver was misused");
}

/* ---- what is to happen ---- */

static void rest(int milliseconds)
{
    const struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000L };

    nanosleep(&time, NULL);
}

/* Count the call as one of this plan, and do what is planned for the n-th. */
static int follow(struct flagver_fault *fault, struct plan *plan, unsigned long long *ret_n)
{
    unsigned long long n = atomic_fetch_add(&plan->count, 1) + 1;
    unsigned long long fail_at = atomic_load(&plan->fail_at);

    *ret_n = n;
    if (n == atomic_load(&plan->delay_at))
        rest(atomic_load(&plan->milliseconds));
    if (fail_at == 0 || (atomic_load(&plan->persists) ? n < fail_at : n != fail_at))
        return 0;
    atomic_fetch_add(&fault->failures, 1);
    return atomic_load(&plan->code);
}

static int arrive_nth(struct flagver_fault *fault, int call, unsigned long long *ret_n,
                      flagver_error *err)
{
    unsigned long long of_all;
    int r = follow(fault, &fault->plans[call], ret_n);

    if (r == 0 && call <= FLAGVER_FAULT_CHANGES)
        r = follow(fault, &fault->plans[FLAGVER_FAULT_ANY], &of_all);
    return r < 0 ? fail(err, r, "this failure was asked for") : 0;
}

static int arrive(struct flagver_fault *fault, int call, flagver_error *err)
{
    unsigned long long n;

    return arrive_nth(fault, call, &n, err);
}

static void schedule(atomic_ullong *at, struct plan *plan, uint64_t n)
{
    atomic_store(at, n ? atomic_load(&plan->count) + n : 0);
}

void flagver_fault_fail(struct flagver_fault *fault, int call, uint64_t n, int code, bool persists)
{
    struct plan *plan = &fault->plans[call];

    atomic_store(&plan->code, code);
    atomic_store(&plan->persists, persists);
    schedule(&plan->fail_at, plan, n);
}

void flagver_fault_lie(struct flagver_fault *fault, uint64_t n, int lie)
{
    atomic_store(&fault->lie, lie);
    schedule(&fault->lie_at, &fault->plans[FLAGVER_FAULT_COMMIT], n);
}

void flagver_fault_delay(struct flagver_fault *fault, int call, uint64_t n, int milliseconds)
{
    struct plan *plan = &fault->plans[call];

    atomic_store(&plan->milliseconds, milliseconds);
    schedule(&plan->delay_at, plan, n);
}

void flagver_fault_reset(struct flagver_fault *fault)
{
    int call;

    for (call = 0; call < FLAGVER_FAULT_CALLS; call++) {
        atomic_store(&fault->plans[call].fail_at, 0);
        atomic_store(&fault->plans[call].delay_at, 0);
        atomic_store(&fault->plans[call].count, 0);
    }
    atomic_store(&fault->lie_at, 0);
    atomic_store(&fault->failures, 0);
    atomic_store(&fault->misuses, 0);
    pthread_mutex_lock(&fault->mutex);
    fault->first_misuse[0] = '\0';
    pthread_mutex_unlock(&fault->mutex);
}

uint64_t flagver_fault_calls(const struct flagver_fault *fault, int call)
{
    return atomic_load(&fault->plans[call].count);
}

uint64_t flagver_fault_failures(const struct flagver_fault *fault)
{
    return atomic_load(&fault->failures);
}

uint64_t flagver_fault_misuses(const struct flagver_fault *fault)
{
    return atomic_load(&fault->misuses);
}

uint64_t flagver_fault_stores(const struct flagver_fault *fault)
{
    return atomic_load(&fault->stores);
}

uint64_t flagver_fault_txns(const struct flagver_fault *fault)
{
    return atomic_load(&fault->txns);
}

uint64_t flagver_fault_cursors(const struct flagver_fault *fault)
{
    return atomic_load(&fault->cursors);
}

const char *flagver_fault_complaint(struct flagver_fault *fault)
{
    unsigned long long stores = atomic_load(&fault->stores), txns = atomic_load(&fault->txns),
                       cursors = atomic_load(&fault->cursors);
    bool wrong = stores || txns || cursors;

    pthread_mutex_lock(&fault->mutex);
    if (fault->first_misuse[0]) {
        memcpy(fault->complaint, fault->first_misuse, sizeof fault->complaint);
        wrong = true;
    } else if (wrong) {
        snprintf(fault->complaint, sizeof fault->complaint,
                 "%llu stores, %llu transactions and %llu cursors are still open", stores, txns,
                 cursors);
    }
    pthread_mutex_unlock(&fault->mutex);
    return wrong ? fault->complaint : NULL;
}

/* ---- stores ---- */

static int open_in(struct flagver_fault *fault, const flagver_driver_config *config,
                   flagver_store **ret_store, flagver_error *err)
{
    flagver_store *store = calloc(1, sizeof *store);
    int r = store ? arrive(fault, FLAGVER_FAULT_OPEN, err) : fail(err, FLAGVER_ENOMEM, "no memory");

    if (r == 0)
        r = fault->inner->open(config, &store->inner, err);
    if (r < 0) {
        free(store);
        return r;
    }
    store->fault = fault;
    pthread_mutex_init(&store->mutex, NULL);
    atomic_fetch_add(&fault->stores, 1);
    *ret_store = store;
    return 0;
}

static void close_store(flagver_store *store)
{
    struct flagver_fault *fault = store->fault;
    size_t i;

    arrive(fault, FLAGVER_FAULT_CLOSE, NULL);
    if (atomic_load(&store->txns))
        misuse(fault, "close with %d transactions open", atomic_load(&store->txns));
    fault->inner->close(store->inner);
    atomic_fetch_sub(&fault->stores, 1);
    pthread_mutex_destroy(&store->mutex);
    for (i = 0; i < RETIRED; i++)
        free(store->retired[i]);
    free(store);
}

/* What is open stays open in the parent, and is nothing here. */
static void abandon(flagver_store *store)
{
    struct flagver_fault *fault = store->fault;

    arrive(fault, FLAGVER_FAULT_ABANDON, NULL);
    fault->inner->abandon(store->inner);
    atomic_fetch_sub(&fault->stores, 1);
    atomic_fetch_sub(&fault->txns, (unsigned long long)atomic_load(&store->txns));
}

static int ping(flagver_store *store, flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_PING, err);

    return r < 0 ? r : store->fault->inner->ping(store->inner, err);
}

static int describe(flagver_store *store, char *buffer, size_t size, flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_DESCRIBE, err);

    return r < 0 ? r : store->fault->inner->describe(store->inner, buffer, size, err);
}

static int schema_version(flagver_store *store, uint32_t *ret_version, flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_SCHEMA_VERSION, err);

    return r < 0 ? r : store->fault->inner->schema_version(store->inner, ret_version, err);
}

static int schema_migrate(flagver_store *store, uint32_t to, flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_SCHEMA_MIGRATE, err);

    return r < 0 ? r : store->fault->inner->schema_migrate(store->inner, to, err);
}

static int schema_verify(flagver_store *store, void (*found)(void *data, const char *line),
                         void (*checked)(void *data, const char *line), void *data,
                         flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_SCHEMA_VERIFY, err);

    return r < 0 ? r : store->fault->inner->schema_verify(store->inner, found, checked, data, err);
}

static int examine(flagver_store *store, void (*visit)(void *data, int finding, const char *line),
                   void *data, flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_EXAMINE, err);

    return r < 0 ? r : store->fault->inner->examine(store->inner, visit, data, err);
}

static int outcome(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                   bool *ret_committed, flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_OUTCOME, err);

    return r < 0 ? r : store->fault->inner->outcome(store->inner, tenant, key, ret_committed, err);
}

static int changes(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                   flagver_error *err)
{
    int r = arrive(store->fault, FLAGVER_FAULT_CHANGES, err);

    return r < 0 ? r : store->fault->inner->changes(store->inner, tenant, ret_size, err);
}

static int watch_fd(flagver_store *store)
{
    arrive(store->fault, FLAGVER_FAULT_WATCH_FD, NULL);
    return store->fault->inner->watch_fd(store->inner);
}

/* ---- transactions ---- */

static flagver_driver_txn *new_txn(flagver_store *store, bool writes, bool adopted)
{
    flagver_driver_txn *txn = calloc(1, sizeof *txn);

    if (txn) {
        txn->store = store;
        txn->writes = writes;
        txn->adopted = adopted;
    }
    return txn;
}

static int txn_has_begun(flagver_driver_txn *txn, int r, flagver_driver_txn **ret_txn)
{
    if (r < 0) {
        free(txn);
        return r;
    }
    atomic_fetch_add(&txn->store->txns, 1);
    atomic_fetch_add(&txn->store->fault->txns, 1);
    *ret_txn = txn;
    return 0;
}

/* There may be one at a time, or any number. */
static int enter_writer(flagver_store *store, flagver_error *err)
{
    struct flagver_fault *fault = store->fault;

    if (atomic_fetch_add(&store->writers, 1) == 0 ||
        !(fault->inner->capabilities & FLAGVER_DRIVER_ONE_WRITER))
        return 0;
    atomic_fetch_sub(&store->writers, 1);
    misuse(fault, "begin of a second writer");
    return refused(err);
}

static void leave_writer(flagver_store *store)
{
    atomic_fetch_sub(&store->writers, 1);
}

static int begin(flagver_store *store, flagver_bytes tenant, int mode, flagver_driver_txn **ret_txn,
                 flagver_error *err)
{
    struct flagver_fault *fault = store->fault;
    bool writes = mode == FLAGVER_MODE_WRITE;
    flagver_driver_txn *txn = new_txn(store, writes, false);
    int r = txn ? arrive(fault, FLAGVER_FAULT_BEGIN, err) : fail(err, FLAGVER_ENOMEM, "no memory");

    if (r == 0 && writes)
        r = enter_writer(store, err);
    if (r == 0) {
        r = fault->inner->begin(store->inner, tenant, mode, &txn->inner, err);
        if (r < 0 && writes)
            leave_writer(store);
    }
    return txn_has_begun(txn, r, ret_txn);
}

static int adopt(flagver_store *store, flagver_bytes tenant, const flagver_adoption *adoption,
                 flagver_driver_txn **ret_txn, flagver_error *err)
{
    struct flagver_fault *fault = store->fault;
    flagver_driver_txn *txn = new_txn(store, true, true);
    int r = txn ? arrive(fault, FLAGVER_FAULT_ADOPT, err) : fail(err, FLAGVER_ENOMEM, "no memory");

    if (r == 0)
        r = fault->inner->adopt(store->inner, tenant, adoption, &txn->inner, err);
    return txn_has_begun(txn, r, ret_txn);
}

/* The inner transaction has ended, in one way or another. */
static void end(flagver_driver_txn *txn)
{
    flagver_store *store = txn->store;

    if (txn->writes && !txn->adopted)
        leave_writer(store);
    atomic_fetch_sub(&store->fault->txns, 1);
    atomic_fetch_sub(&store->txns, 1);
    atomic_store(&txn->ended, true);
    retire(store, txn);
}

static void end_cursor(flagver_cursor *cursor)
{
    flagver_driver_txn *txn = cursor->txn;
    flagver_cursor **link = &txn->cursors;

    while (*link != cursor)
        link = &(*link)->next;
    *link = cursor->next;
    txn->store->fault->inner->end_scan(cursor->inner);
    atomic_store(&cursor->ended, true);
    atomic_fetch_sub(&txn->store->fault->cursors, 1);
    retire(txn->store, cursor);
}

/* Those that were forgotten are ended here: it is not the inner driver that is tested. */
static void end_cursors(flagver_driver_txn *txn, const char *call)
{
    if (txn->cursors)
        misuse(txn->store->fault, "%s with a cursor open", call);
    while (txn->cursors)
        end_cursor(txn->cursors);
}

static int commit_or_lie(struct flagver_fault *fault, flagver_driver_txn *inner, int lie,
                         flagver_error *err)
{
    int r;

    if (lie == FLAGVER_FAULT_NOT_DONE) {
        fault->inner->rollback(inner);
        r = 0;
    } else {
        r = fault->inner->commit(inner, err);
    }
    if (!lie || r < 0)
        return r;
    atomic_fetch_add(&fault->failures, 1);
    return fail(err, FLAGVER_EUNKNOWN, "this lie was asked for");
}

static int commit(flagver_driver_txn *txn, flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    unsigned long long n;
    int r;

    if (!enter(txn, "commit"))
        return refused(err);
    end_cursors(txn, "commit");
    if (txn->nested)
        misuse(fault, "commit inside of a part that may be taken back");
    r = arrive_nth(fault, FLAGVER_FAULT_COMMIT, &n, err);
    if (r < 0)
        fault->inner->rollback(txn->inner); /* the handle is gone in any case */
    else
        r = commit_or_lie(fault, txn->inner,
                          n == atomic_load(&fault->lie_at) ? atomic_load(&fault->lie) : 0, err);
    end(txn);
    return r;
}

static void rollback(flagver_driver_txn *txn)
{
    struct flagver_fault *fault = txn->store->fault;

    if (!enter(txn, "rollback"))
        return;
    end_cursors(txn, "rollback");
    arrive(fault, FLAGVER_FAULT_ROLLBACK, NULL);
    fault->inner->rollback(txn->inner);
    end(txn);
}

static int compare(flagver_bytes a, flagver_bytes b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static void check_keys(const flagver_driver_txn *txn, const flagver_series_row *series,
                       size_t count)
{
    size_t i;
    int order;

    if (!txn->writes)
        misuse(txn->store->fault, "lock in a transaction that reads");
    if (txn->log_locked)
        misuse(txn->store->fault, "lock behind lock_log");
    for (i = 1; i < count; i++) {
        order = compare(series[i - 1].phase, series[i].phase);
        if (order > 0 || (order == 0 && compare(series[i - 1].subject, series[i].subject) >= 0))
            misuse(txn->store->fault, "lock of keys that are not in order");
    }
}

static int lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
                flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    int r;

    if (!enter(txn, "lock"))
        return refused(err);
    check_keys(txn, series, count);
    r = arrive(fault, FLAGVER_FAULT_LOCK, err);
    if (r == 0)
        r = fault->inner->lock(txn->inner, series, count, try_only, err);
    leave(txn);
    return r;
}

static int lock_log(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    int r;

    if (!enter(txn, "lock_log"))
        return refused(err);
    if (!txn->writes)
        misuse(fault, "lock_log in a transaction that reads");
    r = arrive(fault, FLAGVER_FAULT_LOCK_LOG, err);
    if (r == 0)
        r = fault->inner->lock_log(txn->inner, ret_size, err);
    txn->log_locked |= r == 0;
    leave(txn);
    return r;
}

static int hold(flagver_driver_txn *txn, flagver_keyed_row *row, int64_t number, int shared,
                flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    int r;

    if (!enter(txn, "hold"))
        return refused(err);
    if (!txn->writes)
        misuse(fault, "hold in a transaction that reads");
    if (txn->log_locked)
        misuse(fault, "hold behind lock_log");
    r = arrive(fault, FLAGVER_FAULT_HOLD, err);
    if (r == 0)
        r = fault->inner->hold(txn->inner, row, number, shared, err);
    leave(txn);
    return r;
}

static void check_nest(const flagver_driver_txn *txn, int what)
{
    struct flagver_fault *fault = txn->store->fault;

    if (!txn->writes)
        misuse(fault, "nest in a transaction that reads");
    if (txn->cursors)
        misuse(fault, "nest with a cursor open");
    if (txn->nested == (what == FLAGVER_NEST_BEGIN))
        misuse(fault, txn->nested ? "nest inside of another one" : "the end of what did not begin");
}

static int nest(flagver_driver_txn *txn, int what, flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    int r;

    if (!enter(txn, "nest"))
        return refused(err);
    check_nest(txn, what);
    r = arrive(fault, FLAGVER_FAULT_NEST, err);
    if (r == 0)
        r = fault->inner->nest(txn->inner, what, err);
    if (r == 0)
        txn->nested = what == FLAGVER_NEST_BEGIN;
    leave(txn);
    return r;
}

static int connection(flagver_driver_txn *txn, flagver_adoption *adoption, flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    int r;

    if (!enter(txn, "connection"))
        return refused(err);
    if (!txn->writes)
        misuse(fault, "connection of a transaction that reads");
    r = arrive(fault, FLAGVER_FAULT_CONNECTION, err);
    if (r == 0)
        r = fault->inner->connection(txn->inner, adoption, err);
    leave(txn);
    return r;
}

/* What of a change says to which version it belongs, and which payload is its own. */
struct belonging {
    const char *what; /* NULL: to none */
    const flagver_id *series, *payload;
    uint32_t no;
};

static struct belonging belonging_of(const flagver_change *change)
{
    switch (change->kind) {
    case FLAGVER_CHANGE_ITEM:
        return (struct belonging){ "an item", &change->row.item->series,
                                   &change->row.item->payload_id, change->row.item->no };
    case FLAGVER_CHANGE_ITEM_DELETE:
        return (struct belonging){ "an item", &change->row.item->series, NULL,
                                   change->row.item->no };
    case FLAGVER_CHANGE_VOTE:
        return (struct belonging){ "a vote", &change->row.vote->series, NULL,
                                   change->row.vote->no };
    case FLAGVER_CHANGE_CONTRIBUTOR:
        return (struct belonging){ "a contributor", &change->row.contributor->series, NULL,
                                   change->row.contributor->no };
    default:
        return (struct belonging){ NULL, NULL, NULL, 0 };
    }
}

static bool is_same(const flagver_id *a, const flagver_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* What it belongs to is not to come behind it. */
static void check_order(const flagver_driver_txn *txn, const struct belonging *of,
                        const flagver_change *list, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (list[i].kind == FLAGVER_CHANGE_VERSION_NEW && list[i].row.version->no == of->no &&
            is_same(&list[i].row.version->series, of->series))
            misuse(txn->store->fault, "apply of %s before its version", of->what);
        else if (list[i].kind == FLAGVER_CHANGE_PAYLOAD && of->payload &&
                 is_same(&list[i].row.payload->id, of->payload))
            misuse(txn->store->fault, "apply of %s before its payload", of->what);
}

/* As a complaint names a change of the log; NULL: it is another one. */
static const char *part_of_log(int32_t kind)
{
    switch (kind) {
    case FLAGVER_CHANGE_LEAF:
        return "a leaf";
    case FLAGVER_CHANGE_NODE:
        return "a node";
    case FLAGVER_CHANGE_HEAD:
        return "a head";
    default:
        return NULL;
    }
}

static void check_changes(const flagver_driver_txn *txn, const flagver_change *list, size_t count)
{
    struct flagver_fault *fault = txn->store->fault;
    struct belonging of;
    size_t i;

    if (!txn->writes)
        misuse(fault, "apply in a transaction that reads");
    for (i = 0; i < count; i++) {
        if (part_of_log(list[i].kind) && !txn->log_locked)
            misuse(fault, "apply of %s without lock_log", part_of_log(list[i].kind));
        of = belonging_of(&list[i]);
        if (of.what)
            check_order(txn, &of, list + i + 1, count - i - 1);
    }
}

static int apply(flagver_driver_txn *txn, const flagver_change *list, size_t count,
                 flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    int r;

    if (!enter(txn, "apply"))
        return refused(err);
    check_changes(txn, list, count);
    r = arrive(fault, FLAGVER_FAULT_APPLY, err);
    if (r == 0)
        r = fault->inner->apply(txn->inner, list, count, err);
    leave(txn);
    return r;
}

/* ---- cursors ---- */

static int scan(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                flagver_error *err)
{
    struct flagver_fault *fault = txn->store->fault;
    flagver_cursor *cursor;
    int r;

    if (!enter(txn, "scan"))
        return refused(err);
    if (query->kind == FLAGVER_QUERY_ITEMS && query->after.data && query->no == 0)
        misuse(fault, "scan of items after a key of no version");
    cursor = calloc(1, sizeof *cursor);
    r = cursor ? arrive(fault, FLAGVER_FAULT_SCAN, err) : fail(err, FLAGVER_ENOMEM, "no memory");
    if (r == 0)
        r = fault->inner->scan(txn->inner, query, &cursor->inner, err);
    if (r < 0) {
        free(cursor);
    } else {
        cursor->txn = txn;
        cursor->next = txn->cursors;
        txn->cursors = cursor;
        atomic_fetch_add(&fault->cursors, 1);
        *ret_cursor = cursor;
    }
    leave(txn);
    return r;
}

static bool enter_cursor(flagver_cursor *cursor, const char *call)
{
    if (!atomic_load(&cursor->ended))
        return enter(cursor->txn, call);
    misuse(cursor->txn->store->fault, "%s on a cursor that has ended", call);
    return false;
}

static int next(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err)
{
    struct flagver_fault *fault = cursor->txn->store->fault;
    int r;

    if (!enter_cursor(cursor, "next"))
        return refused(err);
    r = arrive(fault, FLAGVER_FAULT_NEXT, err);
    if (r == 0)
        r = fault->inner->next(cursor->inner, ret_row, err);
    leave(cursor->txn);
    return r;
}

static void end_scan(flagver_cursor *cursor)
{
    flagver_driver_txn *txn = cursor->txn;

    if (!enter_cursor(cursor, "end_scan"))
        return;
    arrive(txn->store->fault, FLAGVER_FAULT_END_SCAN, NULL);
    end_cursor(cursor);
    leave(txn);
}

/* ---- the tables ---- */

static struct flagver_fault faults[SLOTS];
static size_t fault_count;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* open is the one call that has no handle to tell the drivers apart. */
#define OPEN_OF(slot)                                                                      \
    static int open_##slot(const flagver_driver_config *config, flagver_store **ret_store, \
                           flagver_error *err)                                             \
    {                                                                                      \
        return open_in(&faults[slot], config, ret_store, err);                             \
    }

OPEN_OF(0)
OPEN_OF(1)
OPEN_OF(2)
OPEN_OF(3)
OPEN_OF(4)
OPEN_OF(5)
OPEN_OF(6)
OPEN_OF(7)

/* A table that was compiled before this member came ends before it. */
#define HAS(driver, member) ((driver)->size > offsetof(flagver_driver, member) && (driver)->member)

static void make(size_t slot, const flagver_driver *inner)
{
    static int (*const opens[SLOTS])(const flagver_driver_config *, flagver_store **,
                                     flagver_error *) = { open_0, open_1, open_2, open_3,
                                                          open_4, open_5, open_6, open_7 };
    struct flagver_fault *fault = &faults[slot];

    fault->inner = inner;
    pthread_mutex_init(&fault->mutex, NULL);
    snprintf(fault->name, sizeof fault->name, "fault-%s", inner->name);
    fault->table = (flagver_driver){
        .abi = FLAGVER_DRIVER_ABI,
        .size = sizeof(flagver_driver),
        .name = fault->name,
        .capabilities = inner->capabilities,
        .open = opens[slot],
        .close = close_store,
        .abandon = abandon,
        .ping = ping,
        .describe = describe,
        .schema_version = schema_version,
        .schema_migrate = schema_migrate,
        .schema_verify = schema_verify,
        .begin = begin,
        .adopt = inner->adopt ? adopt : NULL,
        .commit = commit,
        .rollback = rollback,
        .outcome = outcome,
        .lock = lock,
        .lock_log = lock_log,
        .apply = apply,
        .scan = scan,
        .next = next,
        .end_scan = end_scan,
        .changes = changes,
        .watch_fd = inner->watch_fd ? watch_fd : NULL,
        .examine = HAS(inner, examine) ? examine : NULL,
        .hold = HAS(inner, hold) ? hold : NULL,
        .nest = HAS(inner, nest) ? nest : NULL,
        .connection = HAS(inner, connection) ? connection : NULL,
    };
}

struct flagver_fault *flagver_fault_driver(const flagver_driver *inner)
{
    struct flagver_fault *fault = NULL;
    size_t i;

    pthread_mutex_lock(&making);
    for (i = 0; i < fault_count && faults[i].inner != inner; i++)
        ;
    if (i < SLOTS) {
        if (i == fault_count)
            make(fault_count++, inner);
        fault = &faults[i];
    }
    pthread_mutex_unlock(&making);
    return fault;
}

const flagver_driver *flagver_fault_table(const struct flagver_fault *fault)
{
    return &fault->table;
}
