#include "flagver/txn.h"

#include "api/writing.h"
#include "engine/client.h"
#include "store/transaction.h"
#include "util/fail.h"

static int begin(flagver_client *client, const flagver_adoption *adoption,
                 const flagver_actor *actor, const flagver_txn_options *options,
                 flagver_txn **ret_txn, flagver_error *err)
{
    struct fv_txn_source source;
    int r;

    if (!ret_txn)
        return fv_fail(err, FLAGVER_EINVAL, "ret_txn is NULL");
    r = fv_client_source(client, &source, err);
    if (r < 0)
        return r;
    r = fv_txn_begin(&source, actor, options, adoption, ret_txn, err);
    fv_store_release(source.store);
    return r;
}

int flagver_txn_begin(flagver_client *client, const flagver_actor *actor,
                      const flagver_txn_options *options, flagver_txn **ret_txn, flagver_error *err)
{
    return begin(client, NULL, actor, options, ret_txn, err);
}

int flagver_txn_begin_on(flagver_client *client, void *connection, const void *library,
                         int32_t library_version, const flagver_actor *actor,
                         const flagver_txn_options *options, flagver_txn **ret_txn,
                         flagver_error *err)
{
    const flagver_adoption adoption = { connection, library, library_version };

    if (!connection)
        return fv_fail(err, FLAGVER_EINVAL, "connection is NULL");
    return begin(client, &adoption, actor, options, ret_txn, err);
}

int flagver_txn_connection(flagver_txn *txn, const void *library, int32_t library_version,
                           void **ret_connection, flagver_error *err)
{
    int r;

    if (!txn || !ret_connection)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", txn ? "ret_connection" : "txn");
    r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = fv_txn_connection(txn, library, library_version, ret_connection, err);
    return fv_txn_leave(txn, r, err);
}

int flagver_txn_commit(flagver_txn *txn, flagver_error *err)
{
    return txn ? fv_txn_commit(txn, err) : fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
}

void flagver_txn_free(flagver_txn *txn)
{
    fv_txn_free(txn);
}

static int name_series(const char *phase, const char *const *subjects, size_t count,
                       struct fv_series_name *names, flagver_error *err)
{
    struct fv_target target;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < count; i++) {
        r = fv_record_target(phase, subjects[i], NULL, &target, err);
        names[i] = (struct fv_series_name){ phase, subjects[i] };
    }
    return r;
}

static int lock(flagver_txn *txn, const struct fv_series_name *names, size_t count,
                flagver_error *err)
{
    int r = fv_txn_enter(txn, err);

    return r < 0 ? r : fv_txn_leave(txn, fv_txn_lock(txn, names, count, err), err);
}

int flagver_txn_lock(flagver_txn *txn, const char *phase, const char *const *subjects, size_t count,
                     flagver_error *err)
{
    struct fv_series_name *names;
    int r;

    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    if (count && !subjects)
        return fv_fail(err, FLAGVER_EINVAL, "subjects is NULL");
    names = fv_allocate_zeroed(fv_txn_source(txn)->memory, count + 1, sizeof *names);
    if (!names)
        return fv_write_without_memory(txn, err);
    r = name_series(phase, subjects, count, names, err);
    if (r == 0)
        r = lock(txn, names, count, err);
    fv_release(fv_txn_source(txn)->memory, names);
    return r;
}

int flagver_txn_run(flagver_client *client, const flagver_actor *actor,
                    const flagver_txn_options *options,
                    int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                    flagver_error *err)
{
    struct fv_txn_source source;
    int r;

    if (!run)
        return fv_fail(err, FLAGVER_EINVAL, "run is NULL");
    r = fv_client_source(client, &source, err);
    if (r < 0)
        return r;
    r = fv_txn_run(&source, actor, options, run, data, err);
    fv_store_release(source.store);
    return r;
}
