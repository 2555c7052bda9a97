#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "store/transaction.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/request.h"
#include "store/staging.h"
#include "util/fail.h"
#include "util/options.h"

#define ARENA_CHUNK 4096
#define TIMEOUT_MS 30000
#define OUTCOME_TRIES 8

/* ---- time ---- */

static int64_t system_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t fv_source_time(const struct fv_txn_source *source)
{
    return source->clock ? source->clock(source->clock_data) : system_us();
}

int64_t fv_txn_time(const flagver_txn *txn, const struct fv_series *series)
{
    return txn->time > series->row.changed_at ? txn->time : series->row.changed_at + 1;
}

/* ---- small things ---- */

const char *fv_txn_actor(const flagver_txn *txn)
{
    return txn->actor;
}

bool fv_txn_is_enlisted(const flagver_txn *txn)
{
    return txn->adopted;
}

int64_t fv_txn_began(const flagver_txn *txn)
{
    return txn->time;
}

bool fv_txn_took_place(flagver_txn *txn)
{
    if (txn->replaying)
        txn->replayed = txn->recorded_count;
    return txn->replaying;
}

int fv_txn_try(const flagver_txn *txn)
{
    return txn->try_number;
}

int fv_txn_try_in_doubt(const flagver_txn *txn)
{
    return txn->try_in_doubt;
}

bool fv_txn_is_first_try(const flagver_txn *txn)
{
    return txn->key_is_ours && txn->key_is_fresh;
}

const flagver_actor *fv_txn_who(const flagver_txn *txn)
{
    return &txn->who;
}

void fv_txn_attach(flagver_txn *txn, void *data, void (*release)(void *data))
{
    if (txn->release_attached)
        txn->release_attached(txn->attached);
    txn->attached = data;
    txn->release_attached = release;
}

void *fv_txn_attached(const flagver_txn *txn)
{
    return txn->attached;
}

struct fv_arena *fv_txn_arena(flagver_txn *txn)
{
    return &txn->arena;
}

const struct fv_txn_source *fv_txn_source(const flagver_txn *txn)
{
    return &txn->source;
}

const flagver_driver *fv_txn_driver(const flagver_txn *txn)
{
    return txn->source.store->driver;
}

int fv_txn_outcome(flagver_txn *txn, int r)
{
    if (r < 0)
        txn->store_failed = true;
    return r;
}

int fv_txn_id(flagver_txn *txn, flagver_id *ret_id, flagver_error *err)
{
    return fv_store_id(txn->source.store, txn->time / 1000, ret_id, err);
}

struct fv_digest *fv_txn_digester(flagver_txn *txn)
{
    if (!txn->digest)
        txn->digest = fv_digest_new(txn->source.store->crypto);
    return txn->digest;
}

int fv_txn_digest(flagver_txn *txn, const struct fv_words *parts, size_t count, uint8_t out[32],
                  flagver_error *err)
{
    size_t i;

    if (!fv_txn_digester(txn))
        return fv_fail_memory(err);
    fv_digest_start(txn->digest);
    for (i = 0; i < count; i++)
        fv_digest_add(txn->digest, parts[i].data, parts[i].length);
    return fv_digest_end(txn->digest, out) ? 0 : fv_fail_memory(err);
}

/* ---- new and free ---- */

static int check_actor(const flagver_actor *actor, flagver_error *err)
{
    char what[48];
    size_t i;
    int r;

    r = fv_check_text("actor.id", actor->id, FLAGVER_ACTOR_LIMIT, err);
    for (i = 0; r == 0 && i < actor->role_count; i++) {
        snprintf(what, sizeof what, "actor.roles[%zu]", i);
        r = fv_check_text(what, actor->roles ? actor->roles[i] : NULL, FLAGVER_ACTOR_LIMIT, err);
    }
    return r;
}

int fv_actor_check(const flagver_actor *actor, flagver_actor *ret_actor, flagver_error *err)
{
    int r = fv_options_copy("actor", actor, ret_actor, sizeof *ret_actor, err);

    return r < 0 ? r : check_actor(ret_actor, err);
}

static int check_options(const flagver_txn_options *options, flagver_error *err)
{
    if (options->reserved)
        return fv_fail(err, FLAGVER_EINVAL, "options.reserved is not 0");
    if (options->timeout_ms < -1)
        return fv_fail(err, FLAGVER_EINVAL, "timeout_ms is %d; -1 or more allowed",
                       (int)options->timeout_ms);
    return options->idempotency_key ? fv_check_text("idempotency_key", options->idempotency_key,
                                                    FLAGVER_IDEMPOTENCY_KEY_LIMIT, err)
                                    : 0;
}

static bool copy_text(flagver_txn *txn, const char *text, const char **ret_copy)
{
    *ret_copy = fv_arena_string(&txn->arena, text, strlen(text));
    return *ret_copy != NULL;
}

static bool copy_actor(flagver_txn *txn, const flagver_actor *actor)
{
    const char **roles = fv_arena_allocate(&txn->arena, (actor->role_count + 1) * sizeof *roles);
    size_t i;

    if (!roles || !copy_text(txn, actor->id, &txn->actor))
        return false;
    for (i = 0; i < actor->role_count; i++)
        if (!copy_text(txn, actor->roles[i], &roles[i]))
            return false;
    txn->who = (flagver_actor){
        .size = sizeof txn->who, .id = txn->actor, .roles = roles, .role_count = actor->role_count
    };
    return true;
}

static void destroy(flagver_txn *txn)
{
    fv_txn_attach(txn, NULL, NULL);
    fv_digest_free(txn->digest);
    fv_data_keys_clear(&txn->data_keys);
    fv_text_clear(&txn->operations);
    fv_map_clear(&txn->series_numbers);
    fv_release(txn->source.memory, txn->changes);
    fv_release(txn->source.memory, txn->leaves);
    fv_release(txn->source.memory, txn->series);
    pthread_mutex_destroy(&txn->lock);
    fv_store_release(txn->source.store);
    fv_arena_clear(&txn->arena);
    fv_release(txn->source.memory, txn);
}

static flagver_txn *new_txn(const struct fv_txn_source *source, const flagver_actor *actor,
                            const flagver_txn_options *options)
{
    const char *key = options->idempotency_key;
    int32_t timeout = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    flagver_txn *txn = fv_allocate_zeroed(source->memory, 1, sizeof *txn);

    if (!txn)
        return NULL;
    txn->source = *source;
    fv_store_hold(source->store);
    fv_arena_init(&txn->arena, source->memory, ARENA_CHUNK);
    fv_map_init(&txn->series_numbers, source->memory);
    txn->operations = (struct fv_text)FV_TEXT_INIT;
    pthread_mutex_init(&txn->lock, NULL);
    txn->deadline = timeout < 0 ? INT64_MAX : fv_monotonic_ms() + timeout;
    if (!copy_text(txn, source->tenant, &txn->source.tenant) || !copy_actor(txn, actor) ||
        (key && !copy_text(txn, key, &txn->key))) {
        destroy(txn);
        return NULL;
    }
    return txn;
}

static int begin(const struct fv_txn_source *source, const flagver_actor *actor,
                 const flagver_txn_options *options, flagver_txn **ret_txn, flagver_error *err)
{
    flagver_txn_options given;
    flagver_actor who;
    int r;

    if (!actor)
        return fv_fail(err, FLAGVER_EINVAL, "no actor");
    r = fv_actor_check(actor, &who, err);
    if (r == 0)
        r = fv_options_copy("options", options, &given, sizeof given, err);
    if (r == 0)
        r = check_options(&given, err);
    if (r == 0)
        r = fv_store_usable(source->store, err);
    if (r < 0)
        return r;
    *ret_txn = new_txn(source, &who, &given);
    return *ret_txn ? 0 : fv_fail_memory(err);
}

/* ---- begin and end at the driver ---- */

static void close_driver(flagver_txn *txn)
{
    txn->driver = NULL;
    if (txn->at_gate)
        fv_gate_leave(txn->source.store, txn);
    txn->at_gate = false;
}

static void roll_back(flagver_txn *txn)
{
    if (txn->driver)
        fv_txn_driver(txn)->rollback(txn->driver);
    close_driver(txn);
}

/* The transaction is over; its calls will repeat this error. */
static void break_off(flagver_txn *txn, int code, const flagver_error *err)
{
    if (err && err->code == code)
        txn->broken = *err;
    else
        fv_fail(&txn->broken, code, "the transaction is over: %s", fv_error_words(code));
    txn->state = FV_TXN_BROKEN;
}

static int open_driver(flagver_txn *txn, flagver_error *err)
{
    struct fv_store *store = txn->source.store;
    int r;

    if (store->driver->capabilities & FLAGVER_DRIVER_ONE_WRITER) {
        r = fv_gate_enter(store, txn, fv_monotonic_ms() + store->wait_ms, err);
        if (r < 0)
            return r;
        txn->at_gate = true;
    }
    r = store->driver->begin(store->handle, fv_bytes(txn->source.tenant), FLAGVER_MODE_WRITE,
                             &txn->driver, err);
    if (r < 0)
        close_driver(txn);
    return r;
}

/* What waits for the first operation. */
static int start(flagver_txn *txn, flagver_error *err)
{
    int r;

    r = txn->adopted ? 0 : open_driver(txn, err);
    if (r < 0)
        return r;
    txn->time = fv_source_time(&txn->source);
    txn->state = FV_TXN_OPEN;
    return txn->key ? fv_request_find(txn, err) : 0;
}

static int repeat_error(const flagver_txn *txn, flagver_error *err)
{
    if (txn->state == FV_TXN_ENDED)
        return fv_fail(err, FLAGVER_EINVAL, "the transaction has ended");
    if (err)
        *err = txn->broken;
    return txn->broken.code;
}

int fv_txn_check_open(const flagver_txn *txn, flagver_error *err)
{
    return txn->state > FV_TXN_OPEN ? repeat_error(txn, err) : 0;
}

static int time_out(flagver_txn *txn)
{
    roll_back(txn);
    fv_fail(&txn->broken, FLAGVER_ETIMEDOUT,
            "the transaction was open for longer than its timeout and was rolled back");
    txn->state = FV_TXN_BROKEN;
    return FLAGVER_ETIMEDOUT;
}

int fv_txn_enter(flagver_txn *txn, flagver_error *err)
{
    int r = fv_store_usable(txn->source.store, err);

    if (r < 0)
        return r; /* not even the lock is what it was before the fork */
    pthread_mutex_lock(&txn->lock);
    if (txn->state <= FV_TXN_OPEN && fv_monotonic_ms() > txn->deadline)
        time_out(txn);
    if (txn->state > FV_TXN_OPEN) {
        r = repeat_error(txn, err);
        pthread_mutex_unlock(&txn->lock);
        return r;
    }
    if (txn->state == FV_TXN_IDLE)
        r = start(txn, err);
    txn->staged_before = txn->staged;
    return r < 0 ? fv_txn_leave(txn, r, err) : 0;
}

int fv_txn_leave(flagver_txn *txn, int r, const flagver_error *err)
{
    /* What the store refuses, or what began, may leave half of an operation, whatever the code says. */
    if (r < 0 && (fv_error_class(r) != FLAGVER_CLASS_MISTAKE || txn->store_failed ||
                  txn->staged != txn->staged_before || txn->state == FV_TXN_IDLE)) {
        roll_back(txn);
        break_off(txn, r, err);
    }
    pthread_mutex_unlock(&txn->lock);
    return r;
}

void fv_txn_pause(flagver_txn *txn)
{
    pthread_mutex_unlock(&txn->lock);
}

int fv_txn_resume(flagver_txn *txn, flagver_error *err)
{
    pthread_mutex_lock(&txn->lock);
    return fv_txn_check_open(txn, err);
}

/* Not one whose connection the application has: it may be using that at this moment. */
bool fv_txn_expire(flagver_txn *txn)
{
    bool over;

    if (pthread_mutex_trylock(&txn->lock) != 0)
        return false;
    over = txn->state == FV_TXN_OPEN && !txn->lent && fv_monotonic_ms() > txn->deadline;
    if (over) {
        txn->at_gate = false;
        time_out(txn);
    }
    pthread_mutex_unlock(&txn->lock);
    return over;
}

/* ---- commit ---- */

/*
 * The store lost its answer. The row with the transaction's key was written in it:
 * where that is, all of it is.
 */
static int find_out(flagver_txn *txn, const flagver_error *why, flagver_error *err)
{
    struct fv_store *store = txn->source.store;
    struct timespec pause = { 0, 2000000 };
    bool committed;
    int r = FLAGVER_EUNKNOWN, i;

    for (i = 0; r < 0 && i < OUTCOME_TRIES; i++, pause.tv_nsec *= 2) {
        if (i > 0)
            nanosleep(&pause, NULL);
        r = store->driver->outcome(store->handle, fv_bytes(txn->source.tenant),
                                   fv_bytes(txn->written_key), &committed, NULL);
    }
    if (r < 0)
        return fv_fail(err, FLAGVER_EUNKNOWN,
                       "the store did not answer; the transaction may or may not have taken place: "
                       "%.700s",
                       why->message);
    return committed
               ? 0
               : fv_fail(err, FLAGVER_EBUSY,
                         "the store did not take the transaction; nothing has happened: %.700s",
                         why->message);
}

static int commit_driver(flagver_txn *txn, flagver_error *err)
{
    flagver_driver_txn *driver = txn->driver;
    flagver_error problem = { .code = 0 };
    int r;

    txn->driver = NULL; /* gone, whatever comes back */
    r = fv_txn_driver(txn)->commit(driver, &problem);
    if (r == FLAGVER_EUNKNOWN && !txn->adopted)
        r = find_out(txn, &problem, err);
    else if (r < 0 && err)
        *err = problem;
    close_driver(txn);
    return r;
}

/* Everything that was done is recorded, numbered, handed over and committed. */
static int commit_changes(flagver_txn *txn, flagver_error *err)
{
    int r;

    r = fv_request_stage(txn, err);
    if (r == 0)
        r = fv_staging_number_leaves(txn, err);
    if (r == 0)
        r = fv_txn_flush(txn, err);
    return r == 0 ? commit_driver(txn, err) : r;
}

/* Operations that found nothing to do must find nothing to do again under the caller's key. */
static bool has_something_to_write(const flagver_txn *txn)
{
    return txn->change_count || txn->leaf_count || txn->flushed || txn->lent ||
           (txn->operations.length && !txn->key_is_ours);
}

static int end(flagver_txn *txn, flagver_error *err)
{
    if (!txn->replaying)
        return has_something_to_write(txn) ? commit_changes(txn, err) : 0;
    if (txn->replayed < txn->recorded_count)
        return fv_fail(err, FLAGVER_EIDEM,
                       "under this idempotency key %zu operations were recorded, not %zu",
                       txn->recorded_count, txn->replayed);
    return 0;
}

int fv_txn_commit(flagver_txn *txn, flagver_error *err)
{
    bool changed = false;
    int r = fv_store_usable(txn->source.store, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&txn->lock);
    if (txn->state == FV_TXN_OPEN && fv_monotonic_ms() > txn->deadline)
        time_out(txn);
    if (txn->state > FV_TXN_OPEN) {
        r = repeat_error(txn, err);
    } else {
        if (txn->state == FV_TXN_OPEN) {
            changed = txn->leaf_count > 0;
            r = end(txn, err);
        }
        roll_back(txn); /* whatever is still open */
        txn->state = FV_TXN_ENDED;
    }
    pthread_mutex_unlock(&txn->lock);

    if (r == 0 && changed && txn->source.committed)
        txn->source.committed(txn->source.data);
    return r;
}

void fv_txn_free(flagver_txn *txn)
{
    if (!txn)
        return;
    if (!fv_store_is_inherited(txn->source.store)) {
        pthread_mutex_lock(&txn->lock);
        roll_back(txn);
        pthread_mutex_unlock(&txn->lock);
    }
    destroy(txn);
}

/* ---- begin, in two ways ---- */

int fv_txn_begin(const struct fv_txn_source *source, const flagver_actor *actor,
                 const flagver_txn_options *options, const flagver_adoption *adoption,
                 flagver_txn **ret_txn, flagver_error *err)
{
    const struct fv_store *store = source->store;
    flagver_txn *txn;
    int r;

    if (adoption && !(store->driver->capabilities & FLAGVER_DRIVER_ENLIST))
        return fv_fail(err, FLAGVER_ENOTSUP,
                       "the driver \"%s\" cannot work inside an application's transaction",
                       store->driver->name);
    r = begin(source, actor, options, &txn, err);
    if (r < 0)
        return r;
    if (adoption) {
        r = store->driver->adopt(store->handle, fv_bytes(txn->source.tenant), adoption,
                                 &txn->driver, err);
        txn->adopted = true;
    }
    if (r < 0) {
        destroy(txn);
        return r;
    }
    *ret_txn = txn;
    return 0;
}

int fv_txn_begin_try(const struct fv_txn_source *source, const flagver_actor *actor,
                     const flagver_txn_options *options, const struct fv_try *try,
                     flagver_txn **ret_txn, flagver_error *err)
{
    flagver_txn *txn;
    int r;

    r = begin(source, actor, options, &txn, err);
    if (r < 0)
        return r;
    txn->try_number = try->number;
    txn->try_in_doubt = try->in_doubt;
    if (!txn->key) {
        txn->key_is_ours = true;
        txn->key_is_fresh = try->number == 1;
        if (!copy_text(txn, try->own_key, &txn->key)) {
            destroy(txn);
            return fv_fail_memory(err);
        }
    }
    *ret_txn = txn;
    return 0;
}
