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

static int try_once(const struct fv_txn_source *source, const flagver_actor *actor,
                    const flagver_txn_options *options, const struct fv_try *try,
                    int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                    flagver_error *err)
{
    flagver_txn *txn;
    int r;

    r = fv_txn_begin_try(source, actor, options, try, &txn, err);
    if (r < 0)
        return r;
    r = run(data, txn, err);
    if (r >= 0)
        r = fv_txn_commit(txn, err);
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

/*
 * Every try has the same key: one that took place after all is found by the next. One that does so
 * while the next is under way may be why that is refused: then it is found by the one after that.
 */
int fv_txn_run(const struct fv_txn_source *source, const flagver_actor *actor,
               const flagver_txn_options *options,
               int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
               flagver_error *err)
{
    char own_key[FV_UUID_TEXT];
    struct fv_try try = { own_key, 1 };
    bool unknown = false, refused = false, again;
    int r;

    r = fv_store_usable(source->store, err);
    if (r == 0)
        r = make_own_key(source->store, own_key, err);
    if (r < 0)
        return r;
    for (;;) {
        r = try_once(source, actor, options, &try, run, data, err);
        unknown = unknown || r == FLAGVER_EUNKNOWN;
        again = worth_another_try(r) || (unknown && !refused && is_refusal(r));
        refused = refused || is_refusal(r);
        if (r >= 0 || try.number == TRIES || !again)
            return r < 0 && unknown ? doubt(r, err) : r;
        rest(try.number);
        try.number++;
    }
}
