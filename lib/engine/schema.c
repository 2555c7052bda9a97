#include "engine/schema.h"

#include "engine/transfer.h"
#include "util/fail.h"

/* To be looked at: nothing is created, and the schema stays what it is. */
static int open_to_look(const char *uri, struct fv_store **ret_store, flagver_error *err)
{
    const struct fv_store_options options = { .read_only = true, .no_upgrade = true };

    return fv_store_open(uri, &options, ret_store, err);
}

int fv_schema_version(const char *uri, uint32_t *ret_version, flagver_error *err)
{
    struct fv_store *store;
    int r;

    r = open_to_look(uri, &store, err);
    if (r < 0)
        return r;
    r = store->driver->schema_version(store->handle, ret_version, err);
    fv_store_release(store);
    return r;
}

/* ---- up and down ---- */

/* A newer schema than ours is none of our business: it stays. */
static int bring_up(struct fv_store *store, flagver_error *err)
{
    uint32_t version;
    int r = store->driver->schema_version(store->handle, &version, err);

    if (r < 0 || version >= FLAGVER_SCHEMA_VERSION)
        return r;
    return store->driver->schema_migrate(store->handle, FLAGVER_SCHEMA_VERSION, err);
}

/* Opening creates the store where that is the driver's habit; where it is not, the schema may be missing. */
static int open_to_bring_up(const char *uri, struct fv_store **ret_store, flagver_error *err)
{
    struct fv_store_options options = { .no_upgrade = false };
    flagver_error ignored;
    int r;

    r = fv_store_open(uri, &options, ret_store, err);
    if (r != FLAGVER_ESCHEMA)
        return r;
    options.no_upgrade = true;
    if (fv_store_open(uri, &options, ret_store, &ignored) < 0)
        return r;
    if (!((*ret_store)->driver->capabilities & FLAGVER_DRIVER_SELF_UPGRADE))
        return 0;
    fv_store_release(*ret_store);
    return r;
}

int fv_schema_up(const char *uri, flagver_error *err)
{
    struct fv_store *store;
    int r;

    r = open_to_bring_up(uri, &store, err);
    if (r < 0)
        return r;
    r = bring_up(store, err);
    fv_store_release(store);
    return r;
}

/* A backup that could not be brought back would be none. */
static int back_up(struct fv_store *store, const char *path, flagver_error *err)
{
    flagver_error found = { .code = 0 };
    int r;

    r = fv_export_store(store, NULL, path, false, err);
    if (r < 0)
        return r;
    r = fv_export_check(path, &found);
    if (r == FLAGVER_EPARSE)
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "the store contradicts itself, nothing was taken down: %.800s",
                       found.message);
    if (r < 0 && err)
        *err = found;
    return r;
}

static int take_down(struct fv_store *store, uint32_t to, const char *backup, flagver_error *err)
{
    uint32_t version;
    int r;

    r = store->driver->schema_version(store->handle, &version, err);
    if (r < 0 || to == version)
        return r;
    if (to > version)
        return fv_fail(err, FLAGVER_EINVAL, "the schema has version %u; it cannot go down to %u",
                       (unsigned)version, (unsigned)to);
    if (backup && version < FLAGVER_SCHEMA_VERSION)
        return fv_fail(err, FLAGVER_ESCHEMA,
                       "the schema has version %u, and only version %u can be backed up: go up "
                       "first, or say no_backup",
                       (unsigned)version, FLAGVER_SCHEMA_VERSION);
    if (backup)
        r = back_up(store, backup, err);
    return r == 0 ? store->driver->schema_migrate(store->handle, to, err) : r;
}

int fv_schema_down(const char *uri, uint32_t to, const char *backup, bool no_backup,
                   flagver_error *err)
{
    const struct fv_store_options options = { .no_upgrade = true };
    struct fv_store *store;
    int r;

    if (!backup && !no_backup)
        return fv_fail(err, FLAGVER_EINVAL,
                       "taking the schema down removes what is in it: name a file for the backup, "
                       "or say no_backup");
    r = fv_store_open(uri, &options, &store, err);
    if (r < 0)
        return r;
    r = take_down(store, to, backup, err);
    fv_store_release(store);
    return r;
}

/* ---- verify ---- */

struct verification {
    void (*visit)(void *data, bool fine, const char *line);
    void *data;
    int found;
};

static void found(void *data, const char *line)
{
    struct verification *verification = data;

    verification->found++;
    if (verification->visit)
        verification->visit(verification->data, false, line);
}

static void checked(void *data, const char *line)
{
    const struct verification *verification = data;

    if (verification->visit)
        verification->visit(verification->data, true, line);
}

int fv_schema_verify(const char *uri, void (*visit)(void *data, bool fine, const char *line),
                     void *data, flagver_error *err)
{
    struct verification verification = { visit, data, 0 };
    struct fv_store *store;
    int r;

    r = open_to_look(uri, &store, err);
    if (r < 0)
        return r;
    r = store->driver->schema_verify(store->handle, found, checked, &verification, err);
    fv_store_release(store);
    return r < 0 ? r : verification.found;
}
