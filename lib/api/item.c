#include "api/writing.h"
#include "engine/client.h"
#include "engine/items.h"
#include "engine/history.h"
#include "flagver/version.h"
#include "util/fail.h"

const char *flagver_item_status_name(int32_t status)
{
    switch (status) {
    case FLAGVER_ITEM_PENDING:
        return "pending";
    case FLAGVER_ITEM_APPROVED:
        return "approved";
    case FLAGVER_ITEM_REJECTED:
        return "rejected";
    default:
        return NULL;
    }
}

/* The store that a version is read from, when it can be one. */
static int begin(flagver_client *client, const char *phase, const char *subject, bool has_visit,
                 struct fv_tenancy *ret_tenancy, flagver_error *err)
{
    int r = has_visit ? fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err)
                      : fv_fail(err, FLAGVER_EINVAL, "visit is NULL");

    if (r == 0)
        r = fv_check_text("subject", subject, FLAGVER_SUBJECT_LIMIT, err);
    return r < 0 ? r : fv_client_tenancy(client, ret_tenancy, err);
}

int flagver_items_list(flagver_client *client, const char *phase, const char *subject, uint32_t no,
                       bool (*visit)(void *data, const flagver_item *item), void *data,
                       flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = begin(client, phase, subject, visit != NULL, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_items(&tenancy, phase, subject, no, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_votes_list(flagver_client *client, const char *phase, const char *subject, uint32_t no,
                       bool (*visit)(void *data, const flagver_vote *vote), void *data,
                       flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = begin(client, phase, subject, visit != NULL, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_votes(&tenancy, phase, subject, no, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_authors_list(flagver_client *client, const char *phase, const char *subject,
                         uint32_t no, bool (*visit)(void *data, const char *actor), void *data,
                         flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = begin(client, phase, subject, visit != NULL, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_authors(&tenancy, phase, subject, no, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

/* ---- writing ---- */

struct call {
    const char *name;
    int (*run)(flagver_txn *txn, const struct fv_target *target, const struct fv_items_asked *asked,
               struct fv_staged **ret_version, flagver_error *err);
    const char *phase, *subject;
    struct fv_items_asked asked;
};

static int run_call(flagver_txn *txn, const struct fv_target *target, const void *data,
                    struct fv_staged **ret_version, flagver_error *err)
{
    const struct call *call = data;

    return call->run(txn, target, &call->asked, ret_version, err);
}

/* All that is asked for as one text, for its digest: keys and texts with their NUL. */
static void join(const struct fv_items_asked *asked, struct fv_text *out)
{
    size_t i;

    fv_text_format(out, "%u %d %zu ", (unsigned)asked->no, (int)asked->status, asked->count);
    for (i = 0; i < asked->count; i++) {
        const char *key = asked->items ? asked->items[i].key : asked->keys[i];

        fv_text_format(out, "%zu:", strlen(key));
        fv_text_add(out, key);
        if (!asked->items)
            continue;
        fv_text_format(out, "%zu:", asked->items[i].length);
        fv_text_add_bytes(out, asked->items[i].json, asked->items[i].length);
    }
}

/* What can be read at all; the rest is checked where it is used. */
static int check_list(const struct fv_items_asked *asked, flagver_error *err)
{
    size_t i;

    if (!asked->count)
        return fv_fail(err, FLAGVER_EINVAL, "no items");
    if (asked->count > FLAGVER_ITEM_COUNT_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "%zu items; up to %u allowed", asked->count,
                       FLAGVER_ITEM_COUNT_LIMIT);
    if (!asked->items && !asked->keys)
        return fv_fail(err, FLAGVER_EINVAL, "the list of items is NULL");
    for (i = 0; i < asked->count; i++) {
        if (asked->items ? !asked->items[i].key : !asked->keys[i])
            return fv_fail(err, FLAGVER_EINVAL, "the key of item %zu is NULL", i);
        if (asked->items && !asked->items[i].json)
            return fv_fail(err, FLAGVER_EINVAL, "item \"%.256s\": json is NULL",
                           asked->items[i].key);
    }
    return 0;
}

static int write_items(flagver_txn *txn, const struct call *call,
                       const flagver_write_options *options, flagver_version **ret_version,
                       flagver_error *err)
{
    struct fv_operation operation = { call->name, call->phase, call->subject,   options,
                                      run_call,   call,        { { NULL, 0 } }, 0 };
    struct fv_text words = FV_TEXT_INIT;
    int r;

    r = check_list(&call->asked, err);
    if (r < 0)
        return r;
    join(&call->asked, &words);
    operation.asked[0] = (struct fv_words){ words.data, words.length };
    if (words.failed)
        r = fv_write_without_memory(txn, err);
    else if (call->asked.items)
        r = fv_write_content(txn, &operation, ret_version, err);
    else
        r = fv_write(txn, &operation, ret_version, NULL, err);
    fv_text_clear(&words);
    return r;
}

int flagver_items_put(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                      const flagver_item_content *items, size_t count,
                      const flagver_write_options *options, flagver_version **ret_version,
                      flagver_error *err)
{
    const struct call call = {
        "items put", fv_items_put, phase, subject, { .no = no, .items = items, .count = count }
    };

    return write_items(txn, &call, options, ret_version, err);
}

int flagver_items_remove(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                         const char *const *keys, size_t count,
                         const flagver_write_options *options, flagver_version **ret_version,
                         flagver_error *err)
{
    const struct call call = {
        "items remove", fv_items_remove, phase, subject, { .no = no, .keys = keys, .count = count }
    };

    return write_items(txn, &call, options, ret_version, err);
}

int flagver_items_decide(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                         const char *const *keys, size_t count, int32_t status,
                         const flagver_write_options *options, flagver_version **ret_version,
                         flagver_error *err)
{
    const struct call call = { "items decide",
                               fv_items_decide,
                               phase,
                               subject,
                               { .no = no, .keys = keys, .count = count, .status = status } };

    return write_items(txn, &call, options, ret_version, err);
}
