#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include <string.h>
#include <time.h>

#include "store/staging.h"
#include "util/fail.h"

#define TRIES 10
#define FIRST_PAUSE_US 1000
#define LAST_PAUSE_US 64000

/* Half of it is chance, so that those who met once do not meet again. */
static void rest(int try)
{
    int64_t pause = FIRST_PAUSE_US;
    struct timespec time = { 0, 0 };
    uint16_t chance = 0;

    while (--try > 0 && pause < LAST_PAUSE_US)
        pause *= 2;
    fv_random(&chance, sizeof chance);
    pause = pause / 2 + pause * chance / UINT16_MAX / 2;
    time.tv_nsec = (long)(pause * 1000);
    nanosleep(&time, NULL);
}

static bool worth_another_try(int r)
{
    int class_ = fv_error_class(r);

    return class_ == FLAGVER_CLASS_RETRY || class_ == FLAGVER_CLASS_UNKNOWN;
}

static bool is_refusal(int r)
{
    return fv_error_class(r) == FLAGVER_CLASS_MISTAKE;
}

static int make_own_key(struct fv_store *store, char out[FV_UUID_TEXT], flagver_error *err)
{
    flagver_id id;
    int r = fv_store_id(store, 0, &id, err);

    if (r == 0)
        fv_uuid_text(&id, out);
    return r;
}

/* ---- what others have locked ---- */

/* The series of a try that others were in the way of. */
struct wanted {
    struct fv_arena arena;
    struct fv_series_name *names;
    size_t count;
};

static bool read_name(struct wanted *wanted, const struct fv_name *name,
                      struct fv_series_name *ret_name)
{
    const char *end = strchr(name->text, '\n');
    size_t length = (size_t)(end - name->text);

    ret_name->phase = fv_arena_string(&wanted->arena, name->text, length);
    ret_name->subject = fv_arena_string(&wanted->arena, end + 1, name->length - length - 1);
    return ret_name->phase && ret_name->subject;
}

/* Those that it has locked, and the one that it could not. Without memory for it: none. */
static void note_wanted(struct wanted *wanted, const flagver_txn *txn)
{
    size_t count = txn->series_numbers.count, i;

    wanted->count = 0;
    fv_arena_reset(&wanted->arena);
    wanted->names = fv_arena_allocate_zeroed(&wanted->arena, count, sizeof *wanted->names);
    if (!wanted->names)
        return;
    for (i = 0; i < count; i++)
        if (!read_name(wanted, &txn->series_numbers.names[i], &wanted->names[i]))
            return;
    wanted->count = count;
}

/*
 * A transaction asks for series as its operations come, and those that come out of order are only
 * tried: among many who want the same few it may be turned away each time. So the next try asks for
 * all of them first, and waits for its turn.
 */
static int lock_wanted(const struct wanted *wanted, flagver_txn *txn, flagver_error *err)
{
    int r;

    if (!wanted->count)
        return 0;
    r = fv_txn_enter(txn, err);
    if (r == 0)
        r = fv_txn_leave(txn, fv_txn_lock(txn, wanted->names, wanted->count, err), err);
    return r;
}

/* ---- trying ---- */

static int try_once(const struct fv_txn_source *source, const flagver_actor *actor,
                    const flagver_txn_options *options, const struct fv_try *try,
                    struct wanted *wanted,
                    int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                    flagver_error *err)
{
    flagver_txn *txn;
    int r;

    r = fv_txn_begin_try(source, actor, options, try, &txn, err);
    if (r < 0)
        return r;
    r = lock_wanted(wanted, txn, err);
    if (r == 0)
        r = run(data, txn, err);
    if (r >= 0)
        r = fv_txn_commit(txn, err);
    if (r == FLAGVER_EBUSY)
        note_wanted(wanted, txn);
    fv_txn_free(txn);
    return r;
}

/*
 * A try whose outcome nobody knows may have taken place, whatever the next ones come to, unless one
 * of them got as far as being told by the store.
 */
static int doubt(int r, flagver_error *err)
{
    char words[FLAGVER_MESSAGE_SIZE] = "";

    if (is_refusal(r) || r == FLAGVER_EUNKNOWN)
        return r;
    if (err)
        memcpy(words, err->message, sizeof words);
    return fv_fail(err, FLAGVER_EUNKNOWN,
                   "the transaction may or may not have taken place, and the store did not answer "
                   "again: %.700s",
                   words);
}

/* A time that is set is the limit: who waits a second for others should meet more of them than ten. */
static bool is_over(int tries, int64_t until_ms)
{
    return until_ms ? fv_monotonic_ms() > until_ms : tries >= TRIES;
}

/*
 * Every try has the same key: one that took place after all is found by the next. One that does so
 * while the next is under way may be why that is refused: then it is found by the one after that.
 */
int fv_txn_run_until(const struct fv_txn_source *source, const flagver_actor *actor,
                     const flagver_txn_options *options, int64_t until_ms,
                     int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                     flagver_error *err)
{
    char own_key[FV_UUID_TEXT];
    struct fv_try try = { own_key, 1, 0 };
    struct wanted wanted = { .count = 0 };
    bool has_key = options && options->idempotency_key;
    bool unknown = false, refused = false, again;
    flagver_error problem; /* of the last try: of one that another has followed nothing is said */
    int r;

    r = fv_store_usable(source->store, err);
    if (r == 0)
        r = make_own_key(source->store, own_key, err);
    if (r < 0)
        return r;
    fv_arena_init(&wanted.arena, source->memory, 256);
    for (;;) {
        problem = (flagver_error){ .code = 0 };
        r = try_once(source, actor, options, &try, &wanted, run, data, &problem);
        if (r == FLAGVER_EUNKNOWN)
            try.in_doubt = try.number;
        unknown = unknown || r == FLAGVER_EUNKNOWN;
        again = worth_another_try(r) || (unknown && !refused && is_refusal(r));
        refused = refused || is_refusal(r);
        if (r >= 0 || !again || is_over(try.number, unknown && !has_key ? 0 : until_ms))
            break;
        rest(try.number);
        try.number++;
    }
    fv_arena_clear(&wanted.arena);
    if (r < 0 && unknown)
        r = doubt(r, &problem);
    if (r < 0 && err && problem.code != 0)
        *err = problem;
    return r;
}

int fv_txn_run(const struct fv_txn_source *source, const flagver_actor *actor,
               const flagver_txn_options *options,
               int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
               flagver_error *err)
{
    return fv_txn_run_until(source, actor, options, 0, run, data, err);
}
